"""Energies of the elements that are given by value: known from the start, so that nothing of them is calculated or counted."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read, write

from hullscout.campaign import Engine, Ledger, Setup, read_origin
from hullscout.errors import InvalidPoolError, ProtocolError
from hullscout.pool import inspect_frames
from hullscout.selection import Decision

TABLE = """
name = "table"
elements = ["Cu", "Au"]
[pool]
path = "pool.extxyz"
references = {{ Cu = {cu}, Au = {au} }}
{more}
[select]
rule = "{rule}"
"""


def energy_of(symbol):
    atoms = bulk(symbol)
    atoms.calc = EMT()
    return float(atoms.get_potential_energy())


CU, AU = energy_of("Cu"), energy_of("Au")


@pytest.fixture
def computed(live_file):
    """The compounds of the live campaign's pool with their energies and a setting, and a live campaign without pure structures."""
    cells = [atoms for atoms in read(live_file.with_name("cells.extxyz"), ":") if len(set(atoms.numbers)) == 2]
    write(live_file.with_name("cells.extxyz"), cells)
    for atoms in cells:
        atoms.calc = EMT()
        atoms.info |= {"energy": float(atoms.get_potential_energy()), "functional": "EMT"}
        atoms.calc = None
    write(live_file.with_name("pool.extxyz"), cells)
    return cells


def table_file(folder, *, rule="hull-posterior", more="", cu=CU, au=AU):
    (folder / "table.toml").write_text(TABLE.format(cu=cu, au=au, rule=rule, more=more))
    return folder / "table.toml"


def live_with(live_file, line):
    live_file.write_text(live_file.read_text().replace('path = "cells.extxyz"', f'path = "cells.extxyz"\n{line}'))
    return live_file


REFERENCES = f"references = {{ Cu = {CU}, Au = {AU} }}"


@pytest.mark.parametrize("rule", ["hull-posterior", "random", "greedy", "threshold"])
def test_what_is_given_is_no_lookup_and_no_candidate_of_the_counts(hullscout, tmp_path, computed, rule):
    code, text = hullscout("run", table_file(tmp_path, rule=rule), "--out", tmp_path / "out")
    assert code == 0, text
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["n_candidates"] == len(computed)
    assert result["n_calculations"] <= len(computed)
    assert result["saved_fraction"] == pytest.approx(1 - result["n_calculations"] / len(computed))
    assert result["cost_spent"] == result["n_calculations"]
    assert result["given_ev_per_atom"] == pytest.approx({"Cu": CU, "Au": AU})
    assert {result["hull"][0]["id"], result["hull"][-1]["id"]} == {"reference-Cu", "reference-Au"}
    assert f"Looked up {result['n_calculations']} of {len(computed)} candidates" in text
    said = f"Given by value, and not calculated: Cu {CU:g} eV/atom, Au {AU:g} eV/atom."
    assert said in " ".join(text.split())
    assert said in " ".join(hullscout("status", tmp_path / "out")[1].split())


def test_limits_count_what_is_calculated_and_none_is_needed_for_what_is_given(hullscout, tmp_path, computed):
    file = table_file(tmp_path, rule="random")
    code, text = hullscout("run", file, "--set", "stop.max_calculations=1", "--out", tmp_path / "out")
    assert code == 0, text
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert (result["n_calculations"], result["stop_reason"]) == (1, "max-calculations")
    assert len(computed) > 1


@pytest.mark.usefixtures("computed")
def test_a_pool_with_one_reference_still_needs_the_other_element(tmp_path):
    file = table_file(tmp_path)
    file.write_text(file.read_text().replace(f", Au = {AU}", ""))
    with pytest.raises(InvalidPoolError, match="no structure of pure Au"):
        _ = Setup(read_origin(file)).pool


def test_what_is_computed_takes_the_same_references(hullscout, tmp_path, live_file, computed):
    live = live_with(live_file, REFERENCES)
    code, text = hullscout("run", live, "--out", tmp_path / "live")
    assert code == 0, text
    hullscout("run", table_file(tmp_path, rule="random"), "--out", tmp_path / "table")
    one, other = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("live", "table"))
    assert one["n_calculations"] == one["n_candidates"] == len(computed)
    assert [v["id"] for v in one["hull"]] == [v["id"] for v in other["hull"]]
    for mine, theirs in zip(one["hull"], other["hull"], strict=True):
        assert mine["formation_energy_ev_per_atom"] == pytest.approx(theirs["formation_energy_ev_per_atom"], abs=1e-6)


@pytest.mark.usefixtures("computed")
def test_a_campaign_that_was_cut_goes_on_to_the_same_end(hullscout, tmp_path):
    hullscout("run", table_file(tmp_path, rule="random"), "--set", "select.batch=2", "--out", tmp_path / "out")
    setup = Setup.read(tmp_path / "out")
    whole = setup.read_ledger(tmp_path / "out")
    cut = whole.decisions[:2]
    asked = [setup.pool.ids[index] for decision in cut for index in decision.chosen]
    ledger = setup.ledger(decisions=cut, energies_ev={name: whole.energy_ev(name) for name in asked})
    assert (ledger.known.n_answered, ledger.known.given.size, ledger.known.has_hull) == (4, 2, True)
    engine = setup.engine(ledger)
    while pending := engine.ask():
        for name in pending:
            engine.tell(name, setup.table.lookup(name))
    assert engine.ledger.known.answered.tolist() == whole.known.answered.tolist()
    again = hullscout("run", tmp_path / "table.toml", "--set", "select.batch=2", "--out", tmp_path / "out")
    assert again[0] == 0, again[1]


def test_structures_that_are_handed_out_are_never_those_given(hullscout, tmp_path, live_file, computed):
    live = live_with(live_file, REFERENCES)
    text = live.read_text().split("[oracle]")[0] + '[oracle]\nkind = "handoff"\n[select]\nrule = "random"\nbatch = 20\n'
    live.write_text(text)
    hullscout("run", live, "--out", tmp_path / "out")
    code, text = hullscout("ask", tmp_path / "out", "-n", 20, "--to", tmp_path / "box")
    assert code == 0, text
    names = {path.name for path in (tmp_path / "box").iterdir()}
    assert len(names) == len(computed)
    assert not any("reference" in name for name in names)
    (tmp_path / "told.csv").write_text("id,energy_ev\nreference-Cu,-3.0\n")
    assert "reference-Cu" in hullscout("tell", tmp_path / "out", tmp_path / "told.csv")[1]
    ledger = Setup.read(tmp_path / "out").read_ledger(tmp_path / "out")
    assert ledger.energy_ev("reference-Cu") == pytest.approx(CU)


def test_a_reference_beside_a_structure_of_its_element_is_refused_where_energies_are_computed(live_file):
    live = live_with(live_file, f"references = {{ Cu = {CU} }}")
    with pytest.raises(InvalidPoolError, match=r"pool\.references\.Cu: expected no structure of pure Cu, found"):
        _ = Setup(read_origin(live)).pool
    with pytest.raises(InvalidPoolError, match="expected none with"):
        read_origin(live_with(live_file, 'energy_kind = "formation"'))


def test_references_add_no_noise(tmp_path, computed):
    setup = Setup(read_origin(table_file(tmp_path)))
    lines = "\n".join(setup.pool.report.lines())
    assert lines.startswith(f"{len(computed)} frames hold {len(computed)} candidates.")
    assert "Settings that not all energies state" not in lines
    assert lines.count("reference-Cu") == lines.count("reference-Au") == 1
    found = inspect_frames(setup.frames, ("Cu", "Au"))
    assert (found.n_frames, found.n_energies) == (len(computed), len(computed))
    assert not any(
        "reference-" in finding.sentence and "end of the axis" not in finding.sentence for finding in found.findings
    )


def test_a_checked_pool_is_written_without_what_was_made_up(hullscout, tmp_path, computed):
    words = ["--reference", f"Cu={CU}", "--reference", f"Au={AU}", "--write", tmp_path / "clean.extxyz"]
    assert "Wrote" in hullscout("check", tmp_path / "pool.extxyz", *words)[1]
    assert len(read(tmp_path / "clean.extxyz", ":")) == len(computed)


def test_structures_are_added_without_new_ends(hullscout, tmp_path, computed):
    write(tmp_path / "pool.extxyz", computed[:-1])
    hullscout("run", table_file(tmp_path, rule="random"), "--out", tmp_path / "out")
    write(tmp_path / "more.extxyz", computed[-1:])
    code, text = hullscout("add", tmp_path / "out", tmp_path / "more.extxyz")
    assert code == 0, text
    assert "reference" not in text
    assert f"The campaign has {len(computed)} candidates." in text


@pytest.mark.parametrize("kind", ["table", "live"])
def test_an_element_that_is_given_by_value_is_not_added_either(kind, hullscout, tmp_path, live_file, computed):
    file = table_file(tmp_path, rule="random") if kind == "table" else live_with(live_file, REFERENCES)
    hullscout("run", file, "--out", tmp_path / "out")
    atoms = bulk("Cu", a=3.8)
    atoms.info = {"id": "pure", "energy": CU, "functional": "EMT"}
    write(tmp_path / "more.extxyz", [atoms, *computed[:1]])
    code, text = hullscout("add", tmp_path / "out", tmp_path / "more.extxyz")
    assert code == 2
    assert "pool.references.Cu: expected no" in text
    assert Setup.read(tmp_path / "out").origin.additions == ()


def test_replays_count_the_same(hullscout, tmp_path, computed):
    file = table_file(tmp_path, rule="random")
    code, text = hullscout("plan", file, "--replicates", 2, "--out", tmp_path / "plan", "--workers", 1)
    assert code == 0, text
    outcome = json.loads((tmp_path / "plan" / "plan.json").read_text())[0]
    assert outcome["n_candidates"] == len(computed)
    assert outcome["calculations"]["mean"] <= len(computed)
    assert not any("reference" in name for name in outcome["missed"])
    assert outcome["cost"]["all"] == len(computed)


def test_costs_are_those_of_the_structures_and_a_baseline_needs_ends_of_its_own(tmp_path, computed):
    for atoms in computed:
        atoms.info["hours"] = 2.0
    write(tmp_path / "pool.extxyz", computed)
    file = table_file(tmp_path, more='cost = "hours"\n[cost]\nkind = "column"')
    setup = Setup(read_origin(file))
    assert setup.cost.sum() == 2.0 * len(computed)
    assert setup.cost[setup.pool.index_of("reference-Cu")] == 0.0
    with pytest.raises(InvalidPoolError, match="the cheaper method's energies need ends of their own"):
        _ = Setup(read_origin(table_file(tmp_path, more='baseline = "hours"'))).pool


@pytest.mark.usefixtures("computed")
def test_what_an_earlier_version_looked_up_stays_looked_up(tmp_path):
    setup = Setup(read_origin(table_file(tmp_path)))
    pure = [setup.pool.index_of(f"reference-{symbol}") for symbol in ("Cu", "Au")]
    told = {f"reference-{symbol}": setup.given[f"reference-{symbol}"] for symbol in ("Cu", "Au")}
    ledger = setup.ledger(decisions=[Decision(chosen=tuple(pure))], energies_ev=told)
    assert (ledger.known.n_answered, ledger.known.given.size) == (2, 0)
    assert np.isclose(ledger.known.energies_ev_per_atom, [CU, AU]).all()


@pytest.mark.usefixtures("computed")
def test_what_is_given_cannot_be_told(tmp_path):
    ledger = Setup(read_origin(table_file(tmp_path))).ledger()
    assert isinstance(ledger, Ledger)
    with pytest.raises(ProtocolError, match=r"The energy of 'reference-Cu' was told as .* before and as -1\.0 eV now"):
        Engine(ledger, rule=None, surrogate=None).tell("reference-Cu", -1.0)


def test_a_structure_with_the_name_of_a_reference_is_refused(tmp_path, computed):
    computed[0].info["id"] = "reference-Cu"
    write(tmp_path / "pool.extxyz", computed)
    with pytest.raises(InvalidPoolError, match="expected no structure called 'reference-Cu'"):
        _ = Setup(read_origin(table_file(tmp_path))).pool
