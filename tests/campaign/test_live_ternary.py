"""Three elements, live by EMT, from an enumerated pool to its table and its report in three commands."""

import json

import numpy as np
import pytest

from hullscout.pool import Pool, WithoutEnergy, build_pool, read_frames

LIVE = """
name = "ternary"
elements = {elements}

[pool]
path = "pool.extxyz"

[oracle]
kind = "calculator"
calculator = "emt"
relax = "volume-and-positions"

[executor]
kind = "in-process"
"""


@pytest.mark.slow
@pytest.mark.parametrize("elements", [("Cu", "Ag", "Au"), ("Ni", "Al", "Cu")])
def test_from_symbols_to_a_report_in_three_commands(elements, hullscout, tmp_path):
    (tmp_path / "ternary.toml").write_text(LIVE.format(elements=json.dumps(elements)))
    pool, out = tmp_path / "pool.extxyz", tmp_path / "out"
    assert hullscout("enumerate", *elements, "--lattice", "fcc", "--max-atoms", 3, "-o", pool)[0] == 0
    code, text = hullscout("run", tmp_path / "ternary.toml", "--out", out)
    assert (code, "of 30 candidates" in text) == (0, True)
    assert hullscout("report", out)[0] == 0
    assert (out / "report.html").read_bytes()[:9].lower() == b"<!doctype"

    stated = json.loads((out / "result.json").read_text())
    assert stated["elements"] == list(elements)
    assert stated["n_calculations"] <= stated["n_candidates"] == 30
    assert stated["saved_fraction"] == 1.0 - stated["n_calculations"] / 30
    for vertex in stated["hull"]:
        assert list(vertex["fractions"]) == list(elements)
        assert sum(vertex["fractions"].values()) == pytest.approx(1.0)
    corners = [vertex for vertex in stated["hull"] if 1.0 in vertex["fractions"].values()]
    assert [vertex["formation_energy_ev_per_atom"] for vertex in corners] == [0.0, 0.0, 0.0]

    known = tmp_path / "known.extxyz"
    assert hullscout("table", out, "-o", known)[0] == 0
    frames = read_frames(known)
    assert sum(frame.energy_ev is not None for frame in frames.frames) == stated["n_calculations"]
    assert isinstance(build_pool(frames, elements, without_energy=WithoutEnergy.KEEP), Pool)


@pytest.mark.slow
def test_the_hull_of_all_candidates_is_the_lower_one_of_their_formation_energies(hullscout, tmp_path):
    elements = ("Cu", "Ag", "Au")
    (tmp_path / "ternary.toml").write_text(LIVE.format(elements=json.dumps(elements)) + '[select]\nrule = "random"\n')
    pool, out = tmp_path / "pool.extxyz", tmp_path / "out"
    assert hullscout("enumerate", *elements, "--lattice", "fcc", "--max-atoms", 2, "-o", pool)[0] == 0
    assert hullscout("run", tmp_path / "ternary.toml", "--out", out)[0] == 0
    assert hullscout("export", out, "--format", "csv", "-o", tmp_path / "all.csv")[0] == 0
    table = np.genfromtxt(tmp_path / "all.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")
    assert len(table) == 9
    # Compounds of two atoms lie between two elements: on the hull are the lowest of each composition below 0.
    formation, at = table["formation_energy_ev_per_atom"], np.column_stack([table["x_Ag"], table["x_Au"]])
    lowest = [formation[(at == each).all(axis=1)].min() for each in at]
    expected = (formation == lowest) & ((formation < 0) | (formation == 0))
    np.testing.assert_array_equal(table["on_hull"] == 1, expected)
