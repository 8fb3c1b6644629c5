"""Folder trees of calculations of any code, and of ATAT: each structure once, by the name of its folder."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ase.build import bulk
from code_outputs import outcar_text, pw_text
from pool_writers import WRITERS, make, said_of, vasprun_text

from hullscout.errors import InvalidPoolError
from hullscout.pool import read_pool
from hullscout.pool.formats import detect_format

COPPER = "1.8 1.8 0\n0 1.8 1.8\n1.8 0 1.8\n1 0 0\n0 1 0\n0 0 1\n0 0 0 Cu\n"
TWO = "1.9 0 0\n0 1.9 0\n0 0 3.7\n1 0 0\n0 1 0\n0 0 1\n0 0 0 Cu\n0.5 0.5 0.5 Au\n"


def energies(path, pool_format=None):
    return {frame.id: frame.energy_ev for frame in read_pool(path, pool_format).frames}


def test_a_tree_may_hold_the_results_of_several_codes_under_any_name(frames, tmp_path):
    vasprun, pw = vasprun_text(replace(frames[0], energy_ev=-1.0)), pw_text(bulk("Si"), -2.0)
    files = {
        "a/OUTCAR": outcar_text(),
        "b/final.xml": vasprun,
        "c/pw.out": pw,
        "d/one.out": pw,
        "d/two.out": pw,
        "e/vasprun.xml": vasprun,
        "flat.log": pw,
        "notes.txt": "nothing",
        "c/Si.UPF": "<UPF>",
    }
    path = make(tmp_path, files)
    assert detect_format(path) == "calculations"
    found = energies(path)
    assert set(found) == {"a", "b", "c", "d/one", "d/two", "e", "flat"}
    assert (found["a"], found["b"], found["e"]) == (-68.23102426, -1.0, -1.0)
    assert found["c"] == pytest.approx(-2.0 * 13.605693, abs=1e-5)


def test_a_tree_of_vaspruns_names_what_it_does_not_read(frames, tmp_path):
    path = make(tmp_path, {"a/vasprun.xml": vasprun_text(frames[0]), "b/OUTCAR": outcar_text()})
    read = read_pool(path, "vasprun")
    assert [frame.id for frame in read.frames] == ["a"]
    assert read.notes == ('Not read, since pool.format = "vasprun": b/OUTCAR.',)


def test_of_several_outcars_in_a_folder_the_last_counts(tmp_path):
    path = make(
        tmp_path, {"a/OUTCAR.relax1": outcar_text(), "a/OUTCAR.relax2": outcar_text(("-68.23102426", "-69.00000000"))}
    )
    assert energies(path) == {"a": -69.0}


def test_every_calculation_that_may_not_be_used_is_a_fault(frames, tmp_path):
    pw = pw_text(bulk("Si"), -2.0)
    files = {
        "a/vasprun.xml": vasprun_text(frames[0]),
        "b/vasprun.xml": vasprun_text(frames[0], n_loop=60),
        "c/OUTCAR": "",
        "d/pw.out": pw.replace("JOB DONE.", ""),
        "e/pw.out": pw_text(bulk("Si"), -2.0, end="     Maximum CPU time exceeded"),
    }
    read = read_pool(make(tmp_path, files))
    assert len(read.frames) == 1
    assert [fault.split(": ")[0] for fault in read.faults] == ["b/vasprun.xml", "c/OUTCAR", "d/pw.out", "e/pw.out"]


def test_large_forces_of_single_points_are_pointed_at_once(frames, tmp_path):
    compound = next(frame for frame in frames if len(frame.numbers) == 2)
    files = {f"{n}/vasprun.xml": vasprun_text(compound, force=0.1 * n) for n in (0, 2, 4)}
    notes = read_pool(make(tmp_path, files)).notes
    assert [
        note for note in notes if note.startswith("Forces above 0.1 eV/A: 2 of 3, the largest 0.40 eV/A of 4.")
    ] == [*notes]


def test_a_tree_of_atat_is_a_pool(tmp_path):
    files = {
        "0/str.out": COPPER,
        "0/energy": "-3.72\n",
        "12/str.out": TWO,
        "12/str_relax.out": TWO.replace("3.7", "3.8"),
        "12/energy": "-7.1\n",
        "13/str.out": TWO,
        "13/energy": "-7.0\n",
        "13/error": "",
        "14/str.out": COPPER.replace("0 0 0 Cu", "0 0 0 Cu\n0.5 0.5 0.5 Vac"),
        "lat.in": "x",
    }
    path = make(tmp_path, files)
    assert detect_format(path) == "atat"
    read = read_pool(path)
    assert {frame.id: frame.energy_ev for frame in read.frames} == {"0": -3.72, "12": -7.1, "14": None}
    assert read.frames[1].cell[2, 2] == 3.8
    assert [len(frame.numbers) for frame in read.frames] == [1, 2, 1]
    assert read.notes[0] == "Left out, since they hold a file `error`: 1 of 4 folders (13)."


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"0/str.out": COPPER, "0/energy": "low"}, "0/str.out: expected one energy in eV in energy, found 'low'"),
        ({"0/str.out": "1 2 3\n"}, "0/str.out: not readable as a structure of ATAT"),
        ({"0/str.out": TWO, "0/str_relax.out": COPPER, "0/energy": "1"}, "expected the 2 atoms of str.out, found 1"),
        ({"0/str.out": COPPER, "0/error": ""}, "expected folders without a file `error`, found it in all 1"),
    ],
)
def test_faulty_folders_of_atat_are_named(files, message, tmp_path):
    with pytest.raises(InvalidPoolError, match=message):
        read_pool(make(tmp_path, files))


def test_a_folder_without_calculations_is_refused(tmp_path):
    with pytest.raises(InvalidPoolError, match="expected a folder with calculations in it"):
        read_pool(make(tmp_path, {"a/notes.txt": "x"}), "calculations")


def test_a_folder_without_a_result_beside_others_is_named(frames, tmp_path):
    folder = WRITERS["vasprun"](tmp_path, frames[:3])
    lost = folder / frames[1].id / "vasprun.xml"
    lost.rename(lost.with_name("notes.txt"))
    lost.with_name("notes.txt").write_text("")
    read = read_pool(folder)
    assert len(read.frames) == 2
    assert any(f"not read: {frames[1].id}." in note for note in read.notes)


def test_a_folder_of_atat_that_lost_its_start_is_a_fault(tmp_path):
    text = "1 0 0\n0 1 0\n0 0 1\n0 2 2\n2 0 2\n2 2 0\n0 0 0 Ag\n"
    pool = make(tmp_path, {"0/str.out": text, "0/energy": "-1.0\n", "1/energy": "-2.0\n"})
    assert said_of(pool).startswith("1: expected str.out beside what is there, found none")
