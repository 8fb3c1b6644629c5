"""Nothing that a file names is imported, made, opened outside of its folder, or waited for; the sound members are read."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import sys
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.io import write
from code_outputs import outcar_text
from pool_writers import make, vasprun_text, write_entries

from hullscout.errors import InvalidPoolError, ResultError
from hullscout.pool import parse_frames, read_pool
from hullscout.pool.calculations import read_calculation

FOREIGN = {"@module": "antigravity", "@class": "X"}


def atoms(energy=-1.0, symbol="Ag", **info):
    crystal = Atoms(symbol, cell=[3, 3, 3], pbc=True, info=info)
    crystal.calc = SinglePointCalculator(crystal, energy=energy)
    return crystal


def in_data(entry):
    entry["data"] = {"p": FOREIGN}


def in_adjustments(entry):
    entry["energy_adjustments"] = [FOREIGN]


def in_a_site(entry):
    entry["structure"]["sites"][0]["properties"] = {"magmom": FOREIGN}


def of_pymatgen(entry):
    stated = {"@module": "pymatgen.io.vasp.inputs", "@class": "Incar", "ENCUT": 1}
    entry["structure"]["sites"][0]["properties"] = {"magmom": stated}


def a_function(entry):
    entry["parameters"] = {"f": {"@callable": "system", "@module": "os"}}


@pytest.mark.parametrize("change", [in_data, in_adjustments, in_a_site, of_pymatgen, a_function])
def test_an_entry_that_names_a_module_is_a_fault_and_nothing_is_imported(frames, tmp_path, monkeypatch, change):
    monkeypatch.setitem(sys.modules, "antigravity", None)  # a try to import it is an ImportError
    path = write_entries(tmp_path / "e.json", frames[:3])
    entries = json.loads(path.read_text())
    change(entries[0])
    path.write_text(json.dumps(entries))
    read = read_pool(path)
    assert len(read.frames) == 2
    assert "entry 1: expected " in read.faults[0]
    assert "Import" not in read.faults[0]


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ({"__ase_objtype__": "bandpath", "cell": {}}, "a request to make 'bandpath'"),
        ({"__ndarray__": [[10**11], "float64", [0.0]]}, "as many numbers as an array"),
        ([{"name": "dict2constraint", "kwargs": {}}], "expected constraints of atoms"),
    ],
)
def test_a_json_database_that_asks_for_objects_loses_that_row_only(tmp_path, row, found):
    path = tmp_path / "a.json"
    with connect(path) as database:
        for symbol in ("Ag", "Pd"):
            database.write(atoms(symbol=symbol))
    tree = json.loads(path.read_text())
    tree["1"]["constraints"] = row
    path.write_text(json.dumps(tree))
    read = read_pool(path)
    assert (len(read.frames), len(read.faults)) == (1, 1)
    assert found in read.faults[0]


def test_an_sqlite_database_is_read_from_a_copy_and_holds_tables_only(tmp_path):
    path = tmp_path / "a.db"
    with connect(path) as database:
        for symbol in ("Ag", "Pd"):
            database.write(atoms(symbol=symbol))
    raw = sqlite3.connect(path)
    raw.execute("UPDATE systems SET natoms = 7 WHERE id = 1")
    raw.commit()
    before = path.read_bytes()
    read = read_pool(path)
    assert read.faults == ("row 1: expected the 7 atoms of `natoms`, found 1",)
    assert (path.read_bytes(), [each.name for each in tmp_path.iterdir()]) == (before, ["a.db"])
    raw.execute("CREATE TRIGGER t AFTER INSERT ON systems BEGIN SELECT 1; END")
    raw.commit()
    raw.close()
    with pytest.raises(InvalidPoolError, match="found the trigger 't'"):
        read_pool(path)
    (tmp_path / "a.db-wal").write_bytes(b"half done")
    with pytest.raises(InvalidPoolError, match=r"found a\.db-wal beside it"):
        read_pool(path)


def test_a_trajectory_is_held_to_arrays_that_it_has(tmp_path):
    path = tmp_path / "a.traj"
    write(path, [atoms(), atoms(symbol="Pd")])
    content = path.read_bytes()
    assert len(read_pool(path).frames) == 2
    path.write_bytes(content.replace(b"[[1, 3]", b"[[9999]"))  # of one length
    with pytest.raises(InvalidPoolError, match="expected an array within the file"):
        read_pool(path)


def test_links_and_tables_that_leave_the_folder_are_said_and_not_followed(tmp_path):
    silver = "cell\n1.0\n4 0 0\n0 4 0\n0 0 4\nAg\n1\ndirect\n0 0 0\n"
    outside = make(tmp_path / "outside", {"b.vasp": silver})
    folder = make(
        tmp_path, {"a.vasp": silver, "t.csv": f"id,file,energy\na,a.vasp,-1\nb,{outside}/b.vasp,-2\nc,../x,-2\n"}
    )
    (folder / "b.vasp").symlink_to(outside / "b.vasp")
    (folder / "pots").symlink_to("/usr")
    read = read_pool(folder)
    assert [frame.id for frame in read.frames] == ["a"]
    assert sum("leads out of it" in fault for fault in read.faults) == 2
    assert any(fault.startswith("b.vasp: a link that leads out of the folder") for fault in read.faults)
    assert any("the links pots" in note for note in read.notes)


@pytest.mark.parametrize("name", ["a.extxyz", "t.csv", "a.json", "POSCAR", "a.db"])
def test_a_pool_that_is_a_pipe_is_refused_at_once(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(InvalidPoolError, match="expected a regular file, found a named pipe"):
        read_pool(tmp_path / name)


@pytest.mark.parametrize(
    ("comment", "found"),
    [
        ("energy=-1 energy=-2", "'energy' once"),
        ('lattice="1 0 0 0 1 0 0 0 1" energy=-1', "'lattice' once"),
        ("energy=-1 note={open", "} at the end of the value of 'note'"),
        ("energy=-1_0.5", "energy in decimal numbers"),
        ("energy=\N{FULLWIDTH DIGIT ONE}", "energy in decimal numbers|one number"),
        ("energy=-1 " + "a" * 200_000, "a comment line of at most"),
        ("energy=*****", "energy as one number"),
    ],
)
def test_a_comment_line_says_each_thing_once_and_in_numbers(tmp_path, comment, found):
    cell = 'Lattice="3 0 0 0 3 0 0 0 3" Properties=species:S:1:pos:R:3 '
    sound = f"1\n{cell}id=b energy=-1\nPd 0 0 0\n"
    text = f"1\n{cell}id=a {comment}\nAg 0 0 0\n{sound}"
    read = parse_frames(text.encode(), path=tmp_path / "a.extxyz")
    assert [frame.id for frame in read.frames] == ["b"]
    assert re.search(found, read.faults[0]), read.faults
    (tmp_path / "result.extxyz").write_text(text.removesuffix(sound))
    with pytest.raises(ResultError, match=found):
        read_calculation(tmp_path / "result.extxyz")


def test_a_name_that_asks_for_a_server_or_for_pickles_is_no_result(tmp_path):
    (tmp_path / "postgresql.py").write_text("import os\n")
    with pytest.raises(ResultError, match="of a kind that is read"):
        read_calculation(tmp_path / "postgresql.py")


def test_counts_in_outputs_of_vasp_are_held_against_their_atoms(frames, tmp_path):
    frame = replace(frames[3], energy_ev=-1.0)
    text = vasprun_text(frame)
    n = len(frame.numbers)
    (tmp_path / "vasprun.xml").write_text(text.replace(f"<atoms>{n}</atoms>", f"<atoms>{n + 1}</atoms>"))
    with pytest.raises(ResultError, match="atoms of atominfo"):
        read_calculation(tmp_path / "vasprun.xml")
    (tmp_path / "OUTCAR").write_text(outcar_text().replace("ions per type =", "ions per type = 9 "))
    with pytest.raises(ResultError, match="ion_types"):
        read_calculation(tmp_path / "OUTCAR")


def test_composition_edges_and_corrections_that_contradict_an_entry_are_faults(frames, tmp_path):
    path = write_entries(tmp_path / "e.json", frames[:5])
    entries = json.loads(path.read_text())
    entries[0]["composition"] = {"Cu": 77}
    entries[1]["structure"]["lattice"]["a"] = 99.0
    entries[2]["structure"]["sites"][0]["xyz"] = [50.0, 0, 0]
    entries[3] |= {"correction": 2.0, "energy_adjustments": [{"name": "x", "value": 1.0}]}
    path.write_text(json.dumps(entries))
    read = read_pool(path)
    assert len(read.frames) == 1
    for fault, found in zip(
        read.faults, ("composition", "edges", "expected xyz of site 1", "sum of the adjustments"), strict=True
    ):
        assert found in fault
    assert np.isclose(read.frames[0].energy_ev, frames[4].energy_ev)
