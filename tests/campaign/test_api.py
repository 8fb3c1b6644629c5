"""A campaign in a notebook: it runs or is asked and told, as by the commands, and reads what its folder holds."""

import json
import subprocess
import sys

import matplotlib as mpl
import pytest
from ase.calculators.emt import EMT
from click.testing import CliRunner
from filelock import FileLock
from matplotlib.axes import Axes

from hullscout import Campaign, Pool
from hullscout.campaign import Setup
from hullscout.cli import main
from hullscout.errors import (
    InvalidCampaignError,
    InvalidPoolError,
    InvalidSettingError,
    OutputError,
    ProtocolError,
    ResultError,
    StoreError,
)
from hullscout.oracle import Calculated, Failed
from hullscout.selection import StopReason

mpl.use("Agg")


NOT_YET_CERTAIN = ("stop.max_calculations=20", "stop.failure_probability=0.001")


@pytest.fixture
def run(campaign_file, tmp_path):
    def play(*settings):
        campaign = Campaign.create(campaign_file, tmp_path / "run", settings=settings)
        campaign.run()
        return campaign

    return play


@pytest.fixture
def handed(live_file, tmp_path):
    """A hand-off campaign of ten Cu-Au cells."""
    text = live_file.read_text().replace('kind = "calculator"\ncalculator = "emt"', 'kind = "handoff"')
    live_file.write_text(text.replace('[executor]\nkind = "in-process"\n', ""))
    return Campaign.create(live_file, tmp_path / "run")


def emt(candidate):
    atoms = candidate.to_ase()
    atoms.calc = EMT()
    return atoms.get_potential_energy()


def answer(campaign, candidates):
    for candidate in candidates:
        campaign.tell(candidate.id, emt(candidate))


def test_a_campaign_is_asked_and_told_to_its_end(handed):
    told = []
    while candidates := handed.ask(4):
        assert handed.pending == tuple(candidate.id for candidate in candidates)
        answer(handed, candidates)
        told += [candidate.id for candidate in candidates]
        assert handed.history.now.n_answered == len(told)
    assert sorted(told) == sorted(handed.pool.ids)
    assert handed.result.n_calculations == 10
    assert handed.hull == handed.result.hull
    assert Campaign(handed.folder).hull == handed.hull
    assert (handed.folder / "hull.png").exists()


def test_python_and_the_commands_drive_the_same_campaign(handed, tmp_path):
    ends = handed.ask(2)
    box = tmp_path / "box"
    shown = CliRunner().invoke(main, ["ask", str(handed.folder), "--again", "--to", str(box)], catch_exceptions=False)
    assert "Handed out 2 structures; 2 results are awaited." in shown.output
    assert {json.loads(path.read_text())["id"] for path in box.glob("*/manifest.json")} == {c.id for c in ends}
    answer(handed, ends[:1])
    (tmp_path / "rest.csv").write_text(f"id,energy_ev\n{ends[0].id},{emt(ends[0])}\n{ends[1].id},{emt(ends[1])}\n")
    shown = CliRunner().invoke(main, ["tell", str(handed.folder), str(tmp_path / "rest.csv")], catch_exceptions=False)
    assert "1 new energy, 0 new failures, 1 known already; 0 results are awaited." in shown.output
    assert len(handed.ask(3)) == 3
    assert [vertex.formula for vertex in handed.hull] == ["Cu", "Au"]


def test_telling_twice_changes_nothing_and_another_energy_is_refused(handed):
    first, second = handed.ask(2)
    energy = emt(first)
    assert handed.tell(first.id, energy, wall_s=2.0) == Calculated(energy_ev=energy, wall_s=2.0)
    handed.tell(first.id, energy + 1e-9)
    with pytest.raises(ProtocolError, match=r"told as .* eV before and as .* eV now. The first is kept"):
        handed.tell(first.id, energy + 0.1)
    handed.tell_failure(second.id, "out  of memory")
    handed.tell_failure(second.id, "again")
    with pytest.raises(ProtocolError, match="is told to have failed, but its energy was told"):
        handed.tell_failure(first.id, "too late")
    assert handed.pending == ()
    handed.tell(second.id, emt(second))
    assert [vertex.id for vertex in handed.hull] == [first.id, second.id]


def test_failures_are_unknown_and_named(handed):
    answer(handed, handed.ask(2))
    (third,) = handed.ask(1)
    handed.tell_failure(third.id, "the electrons do not converge")
    while candidates := handed.ask(4):
        answer(handed, candidates)
    (failed,) = handed.result.failed
    assert (failed.id, failed.sentence) == (third.id, "the electrons do not converge")
    assert "Failed: " + third.id in handed._repr_html_()


def test_what_relaxed_into_another_structure_failed(handed):
    from pymatgen.io.ase import AseAtomsAdaptor

    copper, gold = handed.ask(2)
    larger = copper.to_ase()
    larger.set_cell(larger.cell.array * 1.02, scale_atoms=True)
    kept = handed.tell(copper.id, -0.1, structure=AseAtomsAdaptor.get_structure(larger))
    assert kept.relaxed.cell == pytest.approx(larger.cell.array)
    sheared = gold.to_ase()
    sheared.set_cell(sheared.cell.array @ [[1.2, 0, 0], [0, 1, 0], [0, 0, 0.9]], scale_atoms=True)
    with pytest.raises(ResultError, match=r"What was told is of another structure\. Expected the atoms Au1"):
        handed.tell(gold.id, 0.0, structure=copper)
    outcome = handed.tell(gold.id, 0.0, structure=sheared)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "changed"


@pytest.mark.parametrize(
    ("tell", "message"),
    [
        (lambda c, _: c.tell("nobody", 1.0), "'nobody' is no candidate of this pool"),
        (
            lambda c, i: c.tell(i, float("nan")),
            "Expected a finite energy of .* found nan. Tell a failure by tell_failure",
        ),
        (lambda c, _: c.tell_failure("fcc-A2B1-0001", "no"), "was never asked for"),
        (lambda c, _: c.ask(0), "at least 1, found 0"),
    ],
    ids=["nobody", "nan", "failure", "none"],
)
def test_what_cannot_be_taken_is_refused_and_changes_nothing(handed, tell, message):
    (first, *_) = handed.ask(2)
    with pytest.raises((ProtocolError, InvalidSettingError), match=message):
        tell(handed, first.id)
    assert len(handed.pending) == 2


def test_a_campaign_that_another_process_holds_is_refused(handed):
    with FileLock(handed.folder / "campaign.lock"), pytest.raises(StoreError, match="Another process is running"):
        handed.ask(2)


def test_before_there_is_a_hull_a_campaign_says_so(handed):
    assert repr(handed).endswith("live: 0 of 10 candidates calculated; not finished.")
    handed.ask(2)
    assert "0 of 10 candidates calculated, 2 asked for and not yet answered; not finished." in handed._repr_html_()
    assert handed.result is None
    with pytest.raises(StoreError, match="has no hull yet"):
        _ = handed.hull


def test_a_campaign_that_computes_does_not_ask(run):
    campaign = run("stop.max_calculations=20")
    with pytest.raises(InvalidCampaignError, match=r"has oracle\.kind = 'table': it computes its energies"):
        campaign.ask(1)


def test_a_campaign_goes_on_where_it_stood_and_refuses_other_settings(campaign_file, tmp_path):
    first = Campaign.create(campaign_file, tmp_path / "run", settings=["stop.max_calculations=20"])
    assert (first.run().n_calculations, first.run().n_calculations) == (20, 20)
    with pytest.raises(StoreError, match="this one with other settings"):
        Campaign.create(campaign_file, tmp_path / "run", seed=5)


def test_a_pool_is_read_whether_or_not_it_has_energies(live_file, campaign_file):
    pool = Pool.read(live_file.parent / "cells.extxyz", ("Cu", "Au"))
    assert len(pool) == 10
    table = pool.table()
    assert table.loc["fcc-A2B1-0001"].to_dict() == {"formula": "Cu2Au", "x": pytest.approx(1 / 3), "n_atoms": 3}
    html = Pool.read(campaign_file.parent / "pool.extxyz", ("Ag", "Pd"))._repr_html_()
    assert "<p>57 frames hold 57 candidates.</p>" in html
    with pytest.raises(InvalidPoolError, match="expected a pool, found none that can be read"):
        Pool.read(live_file.parent / "none.extxyz", ("Cu", "Au"))


def test_what_a_notebook_needs_stands_at_the_top_and_is_loaded_when_it_is_used():
    code = "import sys, hullscout as h; light = 'numpy' not in sys.modules; h.Campaign, h.Pool; print(light, dir(h))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.startswith("True ")
    assert "'Campaign'" in shown
    with pytest.raises(ImportError, match="cannot import name 'Nothing'"):
        from hullscout import Nothing  # noqa: F401


def test_a_campaign_is_run_and_its_results_are_objects_and_tables(run):
    campaign = run("select.rule=hull-posterior", *NOT_YET_CERTAIN)
    assert campaign.hull == campaign.result.hull
    candidates = campaign.candidates()
    assert len(candidates) == 57
    assert candidates.status.value_counts()["calculated"] == 20
    assert list(candidates.index[candidates.on_hull == 1]) != []
    assert candidates.loc[[vertex.id for vertex in campaign.hull], "on_hull"].all()
    rounds = campaign.rounds()
    assert rounds.index[-1] == 20
    assert rounds.hull_error_ev_per_atom.iloc[-1] == campaign.result.reference.hull_error_ev_per_atom
    stable = campaign.phase_diagram().stable_entries
    assert {entry.entry_id for entry in stable} == {vertex.id for vertex in campaign.hull}


@pytest.mark.slow
def test_every_figure_is_drawn_into_axes(run):
    import matplotlib.pyplot as plt

    campaign = run("select.rule=hull-posterior", *NOT_YET_CERTAIN)
    for name in ("hull", "distance", "errors", "failure_probability", "parity", "calibration", "learning"):
        plot = getattr(campaign, f"plot_{name}")
        assert isinstance(plot(), Axes)
        _, ax = plt.subplots(layout="constrained")
        assert plot(ax) is ax
        assert len(ax.lines) > 0
        plt.close("all")
    pairs, angles = campaign.plot_mbtr("AgPd_0001")
    assert (pairs.get_xlabel(), angles.get_xlabel()) == ("inverse distance (1/Å)", "cosine of the angle")
    plt.close("all")
    with pytest.raises(OutputError, match="found 'nobody'"):
        campaign.plot_mbtr("nobody")


def test_a_report_is_written_into_the_folder(run):
    campaign = run("select={rule = 'random'}", "stop.max_calculations=12")
    path = campaign.write_report()
    assert path == campaign.folder / "report.html"
    assert "12 of 57 calculations" in path.read_text(encoding="utf-8")


def test_the_page_of_a_notebook_shows_the_hull_and_escapes_names(run):
    campaign = run("name='a <b>'")
    html = campaign._repr_html_()
    assert "a &lt;b&gt;: " in html
    assert html == campaign.result._repr_html_()
    assert campaign.hull._repr_html_() in html
    for vertex in campaign.hull:
        assert f"<td>{vertex.formula}</td><td>{vertex.x:.4f}</td>" in html
    assert campaign.result.stop_sentence.split(".")[0] in repr(campaign)


def test_with_nothing_left_to_predict_parity_is_refused(run):
    campaign = run("select={rule = 'random', batch = 57}")
    assert campaign.belief is None
    assert campaign.candidates().probability_on_hull.isna().all()
    with pytest.raises(InvalidSettingError, match="found 57 of 57 known"):
        campaign.plot_parity()


def test_a_campaign_whose_energies_come_by_hand_is_not_run(handed):
    with pytest.raises(InvalidCampaignError, match='expected "table", "calculator" or "function", found "handoff"'):
        handed.run()


def test_only_what_was_handed_out_is_awaited(handed, tmp_path):
    (out,) = handed.ask(1)  # the start comes whole, and one of it is handed out
    chosen = Setup.read(handed.folder).read_ledger(handed.folder).pending
    assert len(chosen) > 1
    assert handed.pending == (out.id,)
    asked = handed.candidates()
    assert list(asked.index[asked.status == "asked"]) == [out.id]
    assert asked["round"][[i for i in chosen if i != out.id]].isna().all()
    status = CliRunner().invoke(main, ["status", str(handed.folder)], catch_exceptions=False).output
    assert "1 asked for and not yet answered." in " ".join(status.split())
    assert "1 asked for and not yet answered" in repr(handed)
    (tmp_path / "told.csv").write_text(f"id,energy_ev\n{out.id},{emt(out)}\n")
    told = CliRunner().invoke(main, ["tell", str(handed.folder), str(tmp_path / "told.csv")], catch_exceptions=False)
    assert "1 new energy, 0 new failures, 0 known already; 0 results are awaited." in told.output
    assert handed.pending == ()
    assert "not yet answered" not in repr(handed)
    assert handed.ask(1)[0].id == chosen[1]


def test_the_table_of_candidates_is_there_before_the_hull(handed):
    first, second = handed.ask(2)
    handed.tell(first.id, emt(first))
    table = handed.candidates()
    assert len(table) == 10
    assert table.status[[first.id, second.id]].tolist() == ["calculated", "asked"]
    assert table.energy_ev[first.id] == pytest.approx(emt(first))
    assert table[["on_hull", "formation_energy_ev_per_atom", "probability_on_hull"]].isna().all(axis=None)
    assert table.formation_energy_ev_per_atom.dtype == float


@pytest.mark.parametrize("energy", ["1.2", None, True])
def test_an_energy_that_is_no_number_is_refused(handed, energy):
    (first,) = handed.ask(1)
    with pytest.raises(InvalidSettingError, match=f"as a number in eV, found {energy!r}"):
        handed.tell(first.id, energy)


def test_a_stop_reason_is_the_same_kind_when_read_back(run):
    campaign = run("stop.max_calculations=20")
    assert campaign.result.stop_reason is StopReason.MAX_CALCULATIONS
    assert campaign.run().stop_reason is StopReason.MAX_CALCULATIONS


def test_a_candidate_shows_itself(handed):
    (first,) = handed.ask(1)
    assert repr(first) == f"Candidate(id={first.id!r}, formula='Cu', n_atoms=1)"
    assert f"<td>{first.id}</td><td>Cu</td><td>1</td><td>11.81</td>" in first._repr_html_()
