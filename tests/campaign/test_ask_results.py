"""From calculations at hand and cells to choose from to what comes next, in one command that looks at everything first."""

import json

import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from results_tree import write_results

from hullscout.campaign import Setup


@pytest.fixture
def tree(live_file, tmp_path, monkeypatch):
    """Six sound results of VASP and three bad ones of ten cells, in a folder with the cells."""
    monkeypatch.chdir(tmp_path)
    return write_results(tmp_path / "results", live_file.with_name("cells.extxyz"), n=6)


def asked(hullscout, *more):
    return hullscout("ask", "results", "--pool", "cells.extxyz", "-n", 2, "--to", "outbox", *more)


def handed_out(folder):
    return {json.loads(file.read_text())["id"] for file in folder.rglob("manifest.json")}


def test_results_and_cells_give_what_comes_next(hullscout, tree, tmp_path):
    code, text = asked(hullscout)
    assert (code, "results: 3 faults in 9 frames." in text, "--leave-out-faults takes them" in text) == (2, True, True)
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "outbox").exists()
    code, text = asked(hullscout, "--leave-out-faults")
    assert (code, "6 new energies, 0 new failures, 0 known already" in text) == (0, True), text
    assert text.count("Left out: ") == 3
    assert "Next: hullscout tell runs/Au-Cu RESULTS" in text
    first = handed_out(tmp_path / "outbox")
    sound = {folder.name for folder in tree.iterdir() if not folder.name.endswith("-bad")}
    assert len(first) == 2
    assert not first & sound
    write_results(tmp_path / "more", tmp_path / "cells.extxyz", n=7, n_bad=0)
    (new,) = (folder for folder in (tmp_path / "more").iterdir() if folder.name not in sound)
    new.rename(tree / new.name)
    code, text = asked(hullscout, "--leave-out-faults")
    assert (code, "1 new energy, 0 new failures, 6 known already" in text) == (0, True), text
    assert text.count("Left out: ") == 3, "a bad run of before says nothing of what is awaited since"
    assert first < handed_out(tmp_path / "outbox")


def test_a_file_of_results_is_told_frame_by_frame_and_what_is_no_cell_becomes_a_candidate(
    hullscout, live_file, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    cells = read(live_file.with_name("cells.extxyz"), ":")
    own = cells[0].copy()
    own.set_cell(own.cell * 1.03, scale_atoms=True)
    results = [cells[0], cells[-1], cells[4], own]
    for atoms in results:
        atoms.info.pop("id")
        atoms.calc = EMT()
        atoms.get_potential_energy()
    write("results.extxyz", results)
    code, text = hullscout("ask", "results.extxyz", "--pool", "cells.extxyz", "-n", 2, "--to", "outbox")
    assert (code, "3 new energies" in text, "1 candidate was added" in text) == (0, True, True), text
    assert len(Setup.read(tmp_path / "runs" / "Au-Cu").pool) == 11


def test_results_at_other_volumes_are_candidates_and_pure_cells_are_not_paid_again(
    hullscout, live_file, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    cells = {atoms.info["id"]: atoms for atoms in read(live_file.with_name("cells.extxyz"), ":")}
    pure = {name for name, atoms in cells.items() if len(set(atoms.numbers)) == 1}
    for scale in (1.02, 1.04):
        for name, atoms in cells.items():
            own = atoms.copy()
            own.set_cell(own.cell * scale, scale_atoms=True)
            own.calc = EMT()
            own.get_potential_energy()
            folder = tmp_path / "results" / f"set {scale}" / f"no {name}" / "static"
            folder.mkdir(parents=True)
            write(folder / "run.extxyz", own)
    code, text = asked(hullscout)
    n, n_pure = len(cells), len(pure)
    assert (code, f"None of {2 * n} results began from a cell" in text) == (0, True), text
    assert text.count("is not calculated again") == n_pure
    assert "--volume" in text
    setup = Setup.read(tmp_path / "runs" / "Au-Cu")
    assert len(setup.pool) == 3 * n - n_pure
    assert any(name.startswith("set 1.02/no ") and name.endswith("/static") for name in setup.pool.ids), (
        "as `hull` names them"
    )
    assert not handed_out(tmp_path / "outbox") & pure
    code, text = asked(hullscout)
    assert (code, f"0 new energies, 0 new failures, {2 * n} known already" in text) == (0, True), text
    assert "None of" not in text
    # Twins whose energies agree within what counts as a conflict are one result.
    twin = read(next((tmp_path / "results").rglob("run.extxyz")))
    twin.calc = SinglePointCalculator(twin, energy=twin.get_potential_energy() + 6e-6 * len(twin))
    (tmp_path / "results" / "twin").mkdir()
    write(tmp_path / "results" / "twin" / "run.extxyz", twin)
    code, text = asked(hullscout)
    assert (code, f"{2 * n + 1} known already" in text, "Left out" in text) == (0, True, False), text


@pytest.mark.usefixtures("tree")
def test_results_of_other_elements_are_refused_in_one_sentence(hullscout, tmp_path):
    write("cupd.extxyz", [bulk("Cu"), bulk("Pd"), bulk("CuPd", "cesiumchloride", a=3.0)])
    write("gold.extxyz", [bulk("Au", a=a) for a in (4.0, 4.1)])
    for results, found in (("cells.extxyz", "Au-Cu"), ("gold.extxyz", "Au")):
        told = read(results, ":")
        for place, atoms in enumerate(told):
            atoms.info["id"] = f"own-{place}"
            atoms.calc = EMT()
            atoms.get_potential_energy()
        write("told.extxyz", told)
        code, text = hullscout("ask", "told.extxyz", "--pool", "cupd.extxyz", "-n", 1, "--to", "outbox")
        assert (code, "told.extxyz: expected results of Cu-Pd, as the candidates are" in text) == (2, True), text
        assert f"found such of {found} (" in text
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("cells.extxyz", "--template", "nowhere"), "nowhere cannot be read as a template"),
        (("by-hand.toml", "--template", "nowhere"), "nowhere cannot be read as a template"),
        (("results", "--pool", "cells.extxyz", "--leave-out-faults", "--template", "nowhere"), "cannot be read as a"),
        (("cells.extxyz", "--to", "cells.extxyz/box"), "cannot be made"),
        (("nowhere", "--pool", "cells.extxyz"), "There is no nowhere. Give results"),
        (("nowhere",), "Give a campaign's folder, a campaign file or a pool; or results, with --pool."),
        (("results", "--pool", "nowhere.extxyz"), "There is no nowhere.extxyz"),
        (("by-hand.toml", "--leave-out-faults"), "a campaign file says that itself, by [pool] leave_out_faults"),
        (("by-hand.toml", "--pool", "cells.extxyz"), "a campaign file says that itself, by [pool] path"),
    ],
)
@pytest.mark.usefixtures("tree")
def test_what_is_wrong_is_said_before_anything_is_made(hullscout, tmp_path, arguments, said):
    text = 'name = "by hand"\nelements = ["Cu", "Au"]\npool = {path = "cells.extxyz"}\noracle = {kind = "handoff"}\n'
    (tmp_path / "by-hand.toml").write_text(text)
    to = () if "--to" in arguments else ("--to", "outbox")
    code, text = hullscout("ask", *arguments, *to)
    assert (code, said in text) == (2, True), text
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "outbox").exists()


def test_results_of_different_settings_and_foreign_ones_are_refused_first(hullscout, tree, tmp_path):
    first = next(file for file in tree.glob("*A*B*/vasprun.xml") if "bad" not in file.parent.name)
    text = first.read_text()
    first.write_text(text.replace(">400.0<", ">520.0<"))
    code, said = asked(hullscout, "--leave-out-faults")
    assert (code, "results: expected energies that were all computed with the same settings" in said) == (2, True), said
    assert "--allow-mixed-settings" not in said, "an option that `ask` has not"
    assert "pool.allow_mixed_settings = true in a campaign file." in said
    said = " ".join(hullscout("check", "results")[1].split())
    assert "as do --leave-out-faults and [pool] leave_out_faults = true, but for mixed settings." in said, said
    first.write_text(text.replace("Au", "Ag"))
    code, said = asked(hullscout)
    assert (code, "Ag" in said) == (2, True), said
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("tree")
def test_a_pool_alone_may_have_faults_left_out_in_every_command_that_reads_one(hullscout, tmp_path):
    code, text = hullscout("ask", "results", "-n", 1, "--to", "outbox")
    assert (code, "and --leave-out-faults takes them" in text) == (2, True), text
    code, text = hullscout("ask", "results", "--leave-out-faults", "-n", 1, "--to", "outbox")
    assert (code, "6 of 6 candidates have energies" in text) == (0, True), text
    code, text = hullscout("ask", "cells.extxyz", "--out", "mine", "-n", 1, "--to", "box")
    assert code == 0, text
    code, text = hullscout("add", "mine", "results")
    assert (code, "and --leave-out-faults takes them" in text) == (2, True), text
    code, text = hullscout("add", "mine", "results", "--leave-out-faults")
    assert (code, text.count("Left out: ")) == (0, 3), text
    code, text = hullscout("new", "Cu", "Au", "--pool", "results", "--leave-out-faults", "--to", "new")
    assert code == 0, text
    assert "leave_out_faults = true" in (tmp_path / "new" / "cu-au.toml").read_text()
    assert hullscout("run", "new/cu-au.toml")[0] == 0
    assert hullscout("new", "Cu", "Au", "--leave-out-faults")[0] == 2
