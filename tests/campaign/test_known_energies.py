"""Energies that are there are never computed again: those of the pool, of results nobody asked for, of structures that join."""

import json
import re
import shutil

import pytest
from ase.build import bulk, make_supercell
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.io import read, write
from kept import result_of, rows

from hullscout import Campaign
from hullscout.campaign import Setup, Store, create, read_history, read_origin, run
from hullscout.campaign.beforehand import known_beforehand
from hullscout.campaign.salvage import salvage
from hullscout.errors import InvalidPoolError, ProtocolError


def state(file, *, n, per_cell=lambda energy, _: energy, **columns):
    """Write the energies by EMT of the first cells of a pool into it; their ids and energies."""
    cells, stated = read(file, ":"), {}
    for cell in cells[:n]:
        cell.calc = EMT()
        stated[cell.info["id"]] = cell.get_potential_energy()
        cell.calc = None
        cell.info |= {"energy": per_cell(stated[cell.info["id"]], len(cell)), **columns}
    write(file, cells, format="extxyz")
    return stated


def as_handoff(file):
    text = file.read_text().replace('kind = "calculator"\ncalculator = "emt"', 'kind = "handoff"')
    file.write_text(text.replace('[executor]\nkind = "in-process"\n', ""))
    return file


def ran(file, out, *settings):
    said = []
    result, known = run(Setup(read_origin(file, settings)), out, on_note=said.append)
    return result, known, said


def test_energies_of_the_pool_are_answers_and_only_the_others_are_computed(live_file, tmp_path):
    stated = state(tmp_path / "cells.extxyz", n=6, xc="PBE", encut=520)
    result, known, said = ran(live_file, tmp_path / "out")
    assert said[0].startswith(
        "cells.extxyz: 6 of 10 candidates have energies, which are answers and not computed again ("
    )
    assert "PBE" in said[0]
    assert "520" in said[0]
    assert said[0].endswith("oracle.use_known = false computes them anew.")
    assert (result.n_calculations, result.known_beforehand) == (4, {"cells.extxyz": 6})
    assert not {known.pool.ids[index] for index in known.asked} & stated.keys()
    with Store.read(tmp_path / "out") as store:
        assert stated.items() <= store.answers().items()
        assert len(store.attempts()) == 4
    again, _, said = ran(live_file, tmp_path / "out")
    assert (again.n_calculations, said) == (4, [])


MOVING = (
    "3 of 6 energies are of structures with forces above 0.1 eV/A, the largest 2.50 eV/A of {}: they were not relaxed"
)


def pushed(file):
    """Push three of the stated cells of a pool, by the forces that it states of them; the id of the one that is pushed most."""
    cells = read(file, ":")
    for place, cell in enumerate(cells[:6]):
        energy = cell.info.pop("energy") if "energy" in cell.info else cell.get_potential_energy()
        force = [0.0, 0.0, 0.5 * place if place > 2 else 0.04]
        cell.calc = SinglePointCalculator(cell, energy=energy, forces=[force] * len(cell))
    write(file, cells, format="extxyz")
    return cells[5].info["id"]


@pytest.mark.parametrize(
    ("relax", "is_said"), [("cell", True), ("positions", True), ("volume-only", False), ("none", False)]
)
def test_energies_of_unrelaxed_cells_beside_relaxed_ones_are_warned_of(relax, is_said, live_file, tmp_path):
    state(tmp_path / "cells.extxyz", n=6)
    setup = Setup(read_origin(live_file, [f"oracle.relax={relax!r}"]))
    assert not any("not relaxed" in said for said in known_beforehand(setup).sentences)
    worst = pushed(tmp_path / "cells.extxyz")
    said = known_beforehand(Setup(read_origin(live_file, [f"oracle.relax={relax!r}"]))).sentences
    assert (
        any(f"cells.extxyz: {MOVING.format(worst)}" in one and "use_known = false, or" in one for one in said)
        == is_said
    )
    assert (
        known_beforehand(Setup(read_origin(live_file, [f"oracle.relax={relax!r}", "oracle.use_known=false"]))).sentences
        == ()
    )


def test_a_pool_that_is_named_as_known_is_warned_of_with_what_to_do_about_it(live_file, tmp_path):
    shutil.copy(tmp_path / "cells.extxyz", tmp_path / "others.extxyz")
    state(tmp_path / "others.extxyz", n=6)
    worst = pushed(tmp_path / "others.extxyz")
    said = known_beforehand(
        Setup(read_origin(live_file, ["pool.known=['others.extxyz']", "oracle.relax='cell'"]))
    ).sentences
    assert (
        sum(f"others.extxyz: {MOVING.format(worst)}" in one and "Leave it out of pool.known, or" in one for one in said)
        == 1
    )


@pytest.mark.parametrize("name", ["pool.db", "pool.traj"])
def test_forces_of_another_format_than_extended_xyz_are_kept_as_their_largest(name, live_file, tmp_path):
    state(tmp_path / "cells.extxyz", n=6)
    pushed(tmp_path / "cells.extxyz")
    cells = read(tmp_path / "cells.extxyz", ":")
    for place, cell in enumerate(cells):
        cell.info.clear()
        cell.info["name"] = f"cell-{place}"
    if name == "pool.db":
        with connect(tmp_path / name) as database:
            for cell in cells:
                database.write(cell, name=cell.info["name"])
    else:
        write(tmp_path / name, cells)
    origin = read_origin(live_file, [f"pool.path={name!r}", "oracle.relax='cell'"])
    assert sum(f"{name}: {MOVING.format('cell-5')}" in said for said in known_beforehand(Setup(origin)).sentences) == 1


def test_all_is_computed_anew_where_that_is_said(live_file, tmp_path):
    state(tmp_path / "cells.extxyz", n=6, per_cell=lambda *_: 1.5)
    result, known, said = ran(live_file, tmp_path / "out", "oracle.use_known=false")
    assert (result.n_calculations, result.known_beforehand, said, known.given.size) == (10, {}, [], 0)


@pytest.mark.parametrize(
    ("per_cell", "columns", "message"),
    [
        (lambda energy, n: (energy - 20 * n) / n, {}, "energies per atom"),
        (lambda energy, _: energy, {"energy_unit": "Ry"}, "energies in eV per cell, found energy_unit = 'Ry'"),
    ],
)
def test_energies_that_are_not_those_of_their_cells_are_refused_before_a_folder_is_made(
    per_cell, columns, message, live_file, tmp_path
):
    state(tmp_path / "cells.extxyz", n=10, per_cell=per_cell, **columns)
    with pytest.raises(InvalidPoolError, match=rf"(?s){message}.*oracle.use_known = false"):
        ran(live_file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_energies_of_different_settings_are_no_answers_together(live_file, tmp_path):
    state(tmp_path / "cells.extxyz", n=4, xc="PBE")
    cells = read(tmp_path / "cells.extxyz", ":")
    cells[0].info["xc"] = "LDA"
    write(tmp_path / "cells.extxyz", cells, format="extxyz")
    with pytest.raises(InvalidPoolError, match="PBE"):
        ran(live_file, tmp_path / "out")
    result, *_ = ran(live_file, tmp_path / "out", "pool.allow_mixed_settings=true")
    assert result.known_beforehand == {"cells.extxyz": 4}


def test_a_campaign_with_known_energies_that_was_ended_resumes_to_the_same(live_file, tmp_path):
    state(tmp_path / "cells.extxyz", n=4)
    ran(live_file, tmp_path / "whole")

    class Killed(BaseException):
        pass

    def kill(known):
        if known.n_answered == 2:
            raise Killed("after two")

    with pytest.raises(Killed, match="after two"):
        run(Setup(read_origin(live_file)), tmp_path / "cut", on_progress=kill)
    ran(live_file, tmp_path / "cut")
    query = "SELECT * FROM answers ORDER BY rowid"
    assert rows(tmp_path / "cut", query) == rows(tmp_path / "whole", query)


def test_which_ones_next_is_one_command_on_a_pool(hullscout, tmp_path, live_file, monkeypatch):
    stated = state(tmp_path / "cells.extxyz", n=7)
    monkeypatch.chdir(tmp_path)
    code, text = hullscout("ask", "cells.extxyz", "-n", 2, "--to", "outbox")
    assert (code, "7 of 10 candidates have energies" in text) == (0, True), text
    assert "Handed out 2 structures; 2 results are awaited." in text
    assert (
        not {json.loads(file.read_text())["id"] for file in (tmp_path / "outbox").rglob("manifest.json")}
        & stated.keys()
    )
    code, text = hullscout("ask", "cells.extxyz", "-n", 1, "--to", "outbox")
    assert (code, "Handed out 1 structures; 3 results are awaited." in text) == (0, True), text
    asked = json.loads(next((tmp_path / "outbox").rglob("manifest.json")).read_text())["id"]
    (tmp_path / "told.csv").write_text(f"id,energy_ev\n{asked},-1.0\n")
    assert hullscout("tell", "runs/Au-Cu", "told.csv")[0] == 0
    write("others.extxyz", read("cells.extxyz", ":")[:-1])
    code, text = hullscout("ask", "others.extxyz", "-n", 1, "--to", "more")
    assert (code, "holds another campaign" in text, "Choose another --out" in text) == (2, True, True), text
    code, text = hullscout("ask", "others.extxyz", "-n", 1, "--to", "more", "--out", "runs/mine")
    assert (code, "Next: hullscout tell runs/mine" in text) == (0, True), text
    assert hullscout("ask", "runs/mine", "-n", 1, "--to", "more", "--out", "runs/mine")[0] == 2
    code, text = hullscout("ask", as_handoff(live_file), "-n", 1, "--to", "other")
    assert (code, "live is a hand-off campaign, kept in runs/live." in text) == (0, True), text


def test_before_the_first_round_it_is_not_said_that_nothing_can_be_learned(hullscout, tmp_path, live_file):
    state(tmp_path / "cells.extxyz", n=7)
    create(Setup(read_origin(as_handoff(live_file), ["select={rule = 'hull-posterior'}"])), tmp_path / "out")
    code, text = hullscout("status", tmp_path / "out")
    text = " ".join(text.split())
    assert (code, "No round was played yet" in text, "Nothing can be learned" in text) == (0, True, False), text


def test_what_a_campaign_starts_with_counts_known_compounds_and_status_says_when_some_is_not_asked_for(
    hullscout, tmp_path, live_file
):
    state(tmp_path / "cells.extxyz", n=7)
    out = tmp_path / "out"
    create(Setup(read_origin(as_handoff(live_file), ["select={rule = 'hull-posterior', n_start = 5}"])), out)
    assert hullscout("ask", out, "-n", 1, "--to", tmp_path / "box")[0] == 0
    _, text = hullscout("status", out)
    assert "The hull is wrong with a probability" in " ".join(text.split()), (
        "five compounds are known: no other is the start"
    )
    write(tmp_path / "bcc.extxyz", [bulk(symbol, "bcc", a=a) for symbol, a in (("Cu", 2.9), ("Au", 3.3))])
    assert hullscout("add", out, tmp_path / "bcc.extxyz")[0] == 0
    _, text = hullscout("status", out)
    text = " ".join(text.split())
    assert "starts with 2 structures, of which 1 were asked for (awaited: " in text, text
    assert "Nothing can be learned" not in text


@pytest.fixture
def handed(live_file, tmp_path):
    """A hand-off campaign of ten Cu-Au cells in which nothing was asked for."""
    create(Setup(read_origin(as_handoff(live_file))), tmp_path / "out")
    return Campaign(tmp_path / "out")


def compute(folder, candidate, *, strain=1.0):
    """A result of a candidate in a folder that says nothing of it."""
    folder.mkdir(parents=True)
    atoms = candidate.to_ase() if hasattr(candidate, "to_ase") else candidate
    atoms.set_cell(atoms.cell.array * strain, scale_atoms=True)
    atoms.calc = EMT()
    energy = atoms.get_potential_energy()
    write(folder / "result.traj", atoms)
    return energy


def test_results_that_were_never_handed_out_are_told_by_their_crystal(handed, hullscout, tmp_path):
    first, last = handed.pool[0], handed.pool[9]
    turned = make_supercell(last.to_ase(), [[0, 1, 0], [0, 0, 1], [1, 0, 0]])
    energies = [compute(tmp_path / "results" / "one", first), compute(tmp_path / "results" / "two", turned)]
    code, text = hullscout("tell", handed.folder, tmp_path / "results")
    assert (code, "2 new energies, 0 new failures, 0 known already; 0 results are awaited." in text) == (0, True), text
    assert "2 of them were never asked for: they are known from now on, and no calculations of this campaign." in text
    assert (
        "0 new energies, 0 new failures, 2 known already" in hullscout("tell", handed.folder, tmp_path / "results")[1]
    )
    handed = Campaign(handed.folder)
    ledger = Setup.read(handed.folder).read_ledger(handed.folder)
    assert [ledger.energy_ev(each.id) for each in (first, last)] == pytest.approx(energies)
    assert ledger.n_beforehand == {"results told unasked": 2}
    assert not {first.id, last.id} & {one.id for one in handed.ask(8)}


def test_a_supercell_is_known_by_its_energy_per_atom(handed, hullscout, tmp_path):
    first = handed.pool[0]
    energy = compute(tmp_path / "results" / "large", first.to_ase().repeat((1, 1, 2)))
    assert hullscout("tell", handed.folder, tmp_path / "results")[0] == 0
    assert Setup.read(handed.folder).read_ledger(handed.folder).energy_ev(first.id) == pytest.approx(energy / 2)


def test_a_structure_that_is_no_candidate_becomes_one_where_that_is_asked_for(handed, hullscout, tmp_path):
    foreign = bulk("Cu", a=3.9, cubic=True)
    foreign.symbols[0] = "Au"
    energy = compute(tmp_path / "results" / "mine", foreign)
    code, text = hullscout("tell", handed.folder, tmp_path / "results")
    assert (code, "its structure is no candidate of this campaign" in text, "--add" in text) == (2, True, True), text
    code, text = hullscout("tell", handed.folder, tmp_path / "results", "--add")
    assert (code, "1 candidate was added before the first round." in text) == (0, True), text
    assert "Energies that they state are answers from now on, and not computed: 1." in text
    setup = Setup.read(handed.folder)
    assert (len(setup.pool), setup.read_ledger(handed.folder).energy_ev("mine")) == (11, pytest.approx(energy))
    code, text = hullscout("tell", handed.folder, tmp_path / "results", "--add")
    assert (code, "0 new energies, 0 new failures, 1 known already" in text) == (0, True), text


def test_what_results_add_is_said_to_come_after_as_many_rounds_as_status_counts(handed, hullscout, tmp_path):
    for n_asked, symbol in ((1, "Au"), (8, "Cu")):
        for one in handed.ask(n_asked):
            handed.tell(one.id, -0.1 * one.n_atoms)
        compute(tmp_path / symbol, bulk(symbol, "sc", a=2.9))
        added = hullscout("tell", handed.folder, tmp_path / symbol, "--add")[1]
        text = " ".join(hullscout("status", handed.folder)[1].split())
        (counted,) = re.findall(r", (\d+ rounds?), ", text)
        assert f"1 candidate was added after {counted}." in added
        assert f"1 candidate was added after {counted}." in text
    assert ("added after 1 round." in text, counted != "1 round") == (True, True)


def test_a_failure_is_only_told_of_what_was_asked_for(handed):
    with pytest.raises(ProtocolError, match=r"never asked for, and failed: no licence\. Only an energy is taken"):
        handed.tell_failure(handed.pool[5].id, "no licence")


def test_what_was_told_unasked_is_known_from_then_on_alone(handed):
    for one in handed.ask(2):
        handed.tell(one.id, -0.1 * one.n_atoms)
    (asked,) = handed.ask(1)
    other = next(one for one in handed.pool if one.id not in {asked.id, *handed.history.now.pool.ids[:2]})
    n_before = len(Setup.read(handed.folder).read_ledger(handed.folder).decisions)
    handed.tell(other.id, -0.1)
    moments = read_history(handed.folder).moments
    index = handed.pool.index_of(other.id)
    seen = [index in known.given for known in moments]
    assert seen == [len(known.decisions) >= n_before for known in moments]
    assert seen[-1]
    assert not seen[0]
    again = Setup.read(handed.folder).read_ledger(handed.folder)
    assert again.known.answered.tolist() == read_history(handed.folder).now.answered.tolist()


def test_a_result_is_not_of_now_once_more_was_told(handed, hullscout):
    handed = Campaign.create(handed.folder.parent / "live.toml", handed.folder, settings=["stop.max_calculations=2"])
    for one in handed.ask(2):
        handed.tell(one.id, -0.1 * one.n_atoms)
    assert handed.ask(1) == ()
    assert handed.result is not None
    other = next(one for one in handed.pool if one.id not in {v.id for v in handed.result.hull})
    handed.tell(other.id, -4.0 * other.n_atoms)
    assert handed.result is None
    assert "is of before settings were changed or energies told" in hullscout("status", handed.folder)[1]
    assert handed.ask(1) == ()
    assert other.id in {vertex.id for vertex in handed.result.hull}
    assert handed.result.known_beforehand == {"results told unasked": 1}


def test_energies_of_structures_that_are_added_are_answers_of_new_and_of_known_crystals(live_file, hullscout, tmp_path):
    shutil.copy(tmp_path / "cells.extxyz", tmp_path / "more.extxyz")
    cells = read(tmp_path / "cells.extxyz", ":")
    write(
        tmp_path / "cells.extxyz", [cell for cell in cells if cell.info["id"] != cells[-1].info["id"]], format="extxyz"
    )
    create(Setup(read_origin(live_file)), tmp_path / "out")
    stated = state(tmp_path / "more.extxyz", n=10)
    code, text = hullscout("add", tmp_path / "out", tmp_path / "more.extxyz")
    assert (code, "1 candidate was added before the first round." in text) == (0, True), text
    assert "Energies that they state are answers from now on, and not computed: 10." in text
    code, text = hullscout("add", tmp_path / "out", tmp_path / "more.extxyz")
    assert (code, "Nothing was added." in text, "answers from now on" in text) == (0, True, False), text
    assert hullscout("run", live_file, "--out", tmp_path / "out")[0] == 0
    assert result_of(tmp_path / "out")["n_calculations"] == 0
    with Store.read(tmp_path / "out") as store:
        assert store.answers() == pytest.approx(stated)


def test_an_added_energy_of_a_known_crystal_that_differs_is_said_and_not_taken(live_file, hullscout, tmp_path):
    shutil.copy(tmp_path / "cells.extxyz", tmp_path / "more.extxyz")
    state(tmp_path / "cells.extxyz", n=10)
    create(Setup(read_origin(live_file)), tmp_path / "out")
    state(tmp_path / "more.extxyz", n=1, per_cell=lambda energy, _: energy + 0.5)
    code, text = hullscout("add", tmp_path / "out", tmp_path / "more.extxyz")
    assert (code, "500.0 meV/atom higher" in text, "answers from now on" in text) == (0, True, False), text


def test_a_salvaged_campaign_knows_what_was_told_unasked_and_when(handed):
    for one in handed.ask(2):
        handed.tell(one.id, -0.1 * one.n_atoms)
    handed.ask(1)
    handed.tell(handed.pool[7].id, -0.1)
    with Store.read(handed.folder) as store:
        before = store.given(), store.given_after()
    assert salvage(handed.folder, handed.folder.parent / "saved").sentences[-1] == "Nothing was lost."
    with Store.read(handed.folder.parent / "saved") as store:
        assert (store.given(), store.given_after()) == before
