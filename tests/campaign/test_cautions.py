"""What is said of a stated probability where it was not observed: other settings, more elements, small pools."""

import pytest
from conftest import ROOT

from hullscout.campaign import Setup, read_origin
from hullscout.campaign.cautions import cautions, meaning

AGPD = ROOT / "campaigns" / "agpd" / "agpd.toml"


def _meaning(*settings, file=AGPD):
    return meaning(Setup(read_origin(file, settings)))


@pytest.mark.parametrize(
    "settings",
    [(), ("stop.failure_probability=0.01",), ("executor.workers=3",), ("seed=4",), ("stop.max_calculations=200",)],
)
def test_what_does_not_change_how_often_a_hull_is_wrong_is_no_other_setting(settings):
    found = _meaning(*settings)
    assert found["settings_are_defaults"] is True
    assert found["other_settings"] == []


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("stop.hull_tolerance=0.01", "stop.hull_tolerance"),
        ("regression.kernel='gaussian'", "regression.kernel"),
        ("select.batch=50", "select.batch"),
        ("select.steady=0.1", "select.steady"),
        ("representation.volume=false", "representation.volume"),
        ("prior.calculator='ase.calculators.emt.EMT'", "prior.calculator"),
    ],
)
def test_other_settings_are_named_and_their_probability_was_not_observed(setting, name):
    found = _meaning(setting)
    assert found["settings_are_defaults"] is False
    assert name in found["other_settings"]
    assert any(f"another one here: {name}" in said and "was not observed" in said for said in found["cautions"])


def test_rules_that_state_nothing_are_not_cautioned_of():
    setup = Setup(read_origin(AGPD, ["select.rule='threshold'", "stop.hull_tolerance=0.01"]))
    assert cautions(setup) == ()
    assert meaning(setup) is None


def test_more_elements_are_not_what_was_observed():
    found = _meaning(file=ROOT / "campaigns" / "cuagau" / "cuagau.toml")
    assert "alloys of two elements" in found["sentence"]
    assert any("3 elements" in said for said in found["cautions"])


VEGARD = "Volumes follow Vegard's law"


@pytest.mark.parametrize(
    ("relax", "stretch", "is_warned"), [("none", 1.0, True), ("cell", 1.0, False), ("none", 1.02, False)]
)
def test_guessed_volumes_that_nothing_relaxes_are_warned_of_once(
    hullscout, live_file, tmp_path, relax, stretch, is_warned
):
    from ase.io import read, write

    cells = read(live_file.with_name("cells.extxyz"), index=":")
    cells[-1].set_cell(cells[-1].cell * stretch, scale_atoms=True)  # a volume of its own: no guess
    write(live_file.with_name("cells.extxyz"), cells)
    shown = " ".join(
        hullscout("run", live_file, "--set", f"oracle.relax={relax!r}", "--out", tmp_path / "out")[1].split()
    )
    assert (VEGARD in shown, shown.count('which oracle.relax = "none" keeps')) == (is_warned, int(is_warned))
    assert VEGARD not in " ".join(hullscout("run", tmp_path / "out")[1].split())


def test_a_small_pool_is_cautioned_of_as_long_as_it_is_looked_at(hullscout, tmp_path):
    file = ROOT / "campaigns" / "alli-gpaw" / "alli-replay.toml"
    code, said = hullscout("run", file, "--out", tmp_path / "out")
    assert code == 0
    assert "Stopped: The probability that the hull is wrong by more than 1 meV/atom is" in " ".join(said.split())
    assert "Stated probability of a hull" not in said, "said by the reason of the end"
    code, said = hullscout("status", tmp_path / "out")
    assert code == 0
    assert "Finished" in said
    assert "58 candidates are few" in " ".join(said.split())
    assert hullscout("report", tmp_path / "out")[0] == 0
    assert "58 candidates are few" in (tmp_path / "out" / "report.html").read_text()
