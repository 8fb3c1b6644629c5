"""A folder of POSCAR and CIF files with a table of energies is read, or refused with what to do."""

from __future__ import annotations

import shutil

import pytest
from pool_writers import (
    make,
    said_of,
    structure_as,
    write_files,
)

from hullscout.errors import InvalidPoolError
from hullscout.pool import (
    read_pool,
)

CIF = """data_x
_cell_length_a 4
_cell_length_b 4
_cell_length_c 4
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_type_symbol
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
"""
POSCAR = "cell\n1.0\n4 0 0\n0 4 0\n0 0 4\n{symbols}1\ndirect\n0 0 0\n"


TABLE = "energies.csv"
ENERGIES = "id,energy\nag,-1\n"
SILVER = POSCAR.format(symbols="Ag\n")


def test_the_table_itself_may_be_named(frames, tmp_path):
    folder = write_files(tmp_path / "files", frames[:4], fmt="cif")
    shutil.copy(folder / TABLE, folder / "more.csv")
    assert len(read_pool(folder / TABLE).frames) == 4
    with pytest.raises(InvalidPoolError, match=r"one CSV file with the energies, found energies\.csv, more\.csv"):
        read_pool(folder)


def test_files_are_named_by_their_place_without_a_table(frames, tmp_path):
    for name, frame in zip(("ag/POSCAR", "pd/CONTCAR", "more/x.vasp", "POSCAR_7"), frames, strict=False):
        path = tmp_path / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(structure_as(frame, "poscar"))
    read = read_pool(tmp_path / "files")
    assert [frame.id for frame in read.frames] == ["POSCAR_7", "ag", "more/x", "pd"]


def test_ids_come_from_the_file_and_files_from_the_id(frames, tmp_path):
    folder = write_files(tmp_path / "files", frames[:3], fmt="cif")
    (folder / TABLE).write_text("file,energy\nstructure0.cif,-1\nstructure2.cif,-2\n")
    assert {f.id: f.energy_ev for f in read_pool(folder).frames} == {
        "structure0": -1,
        "structure1": None,
        "structure2": -2,
    }
    (folder / TABLE).write_text("id,energy (eV),energy\nstructure1,5,-1\n")
    assert {f.id: f.energy_ev for f in read_pool(folder).frames} == {
        "structure0": None,
        "structure1": -1,
        "structure2": None,
    }


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"notes.txt": "x"}, "or other calculations, found none among 1 files"),
        ({"ag.vasp": SILVER, TABLE: "id,energy\nag,low\n"}, "expected energy as a number in eV per cell, found 'low'"),
        ({"ag.vasp": SILVER, TABLE: "id,energy\npd,-1\n"}, "expected one structure file for id 'pd', found none"),
        ({"ag.vasp": SILVER, TABLE: "file,energy\npd.cif,-1\n"}, "expected the structure file 'pd.cif'"),
        ({"ag.vasp": SILVER, TABLE: "id,energy\n,-1\n"}, "line 2: expected an id or a file, found neither"),
        ({"ag.vasp": SILVER, TABLE: "id,energy\nag\n"}, "line 2: expected 2 fields (id,energy), found 1"),
        ({"ag.vasp": SILVER, TABLE: "name;energy\nag;-1\n"}, "with `id` or `file` among them, found 'name;energy'"),
        ({"ag.vasp": SILVER, TABLE: "id;energy\nag;-1,5\n"}, "found '-1,5': a decimal comma; write -1.5"),
        ({"ag.vasp": SILVER, TABLE: "id,energy\nag,-1.5 eV\n"}, "found '-1.5 eV': 'eV' behind it; write -1.5"),
        ({"ag.vasp": SILVER, TABLE: "id,energy\nag,-0.15D+01\n"}, "a D before the exponent; write -0.15E+01"),
        ({"ag.vasp": SILVER, TABLE: "id,energy\nag,\N{MINUS SIGN}1.5\n"}, "a minus that is not '-'; write -1.5"),
        ({"ag.vasp": SILVER, TABLE: "id;energy\nag;-3,569.95\n"}, "a comma between thousands; write -3569.95"),
        ({"ag.vasp": SILVER, TABLE: "id,energy,hours\nag,-1,5,\n"}, "which may be -1,5 with a decimal comma. Write -1.5, or"),
        ({"ag.vasp": SILVER, TABLE: "id,energy\nag,-1_0\n"}, "expected energy as a number in eV per cell, found '-1_0'"),
        ({"ag.vasp": SILVER, TABLE: b"PK\x03\x04 a workbook"}, "found a spreadsheet's workbook. Save it as CSV"),
        ({"ag.vasp": SILVER, TABLE: ""}, "expected a first line that names the columns"),
        ({"ag.vasp": SILVER, TABLE: "id,energy,energy\nag,-1,-2\n"}, "found 'energy' more than once"),
        ({"ag.vasp": SILVER, TABLE: b"id,energy\nag,\x00\n"}, "expected a CSV table in UTF-8"),
        ({"ag.vasp": SILVER, "ag.cif": CIF + "Ag Ag 0 0 0 1\n"}, "ag: expected one file, found ag.cif and ag.vasp"),
        ({"ag.vasp": SILVER, "ag.cif": CIF + "Ag Ag 0 0 0 1\n", "e.csv": ENERGIES}, "found ag.cif and ag.vasp: name it in `file`"),
        ({"ag.vasp": "nonsense\n"}, "ag.vasp (id 'ag'): not readable as POSCAR"),
        ({"ag.vasp": POSCAR.format(symbols="")}, "ag.vasp (id 'ag'): expected element symbols above the numbers of atoms"),
        ({"ag.cif": "data_x\n"}, "ag.cif (id 'ag'): not readable as CIF"),
        ({"ag.cif": CIF + "Ag Ag 0 0 0 0.5\nPd Pd 0 0 0 0.5\n"}, "(id 'ag'): expected whole atoms, found partly"),
        ({"ag.cif": CIF + "Ag Ag 0 0 0 1\n" + CIF.replace("data_x", "data_y") + "Pd Pd 0 0 0 1\n"}, "one structure, found 2"),
        ({"ag.vasp": SILVER, "a/vasprun.xml": "<modeling>", "e.csv": ENERGIES}, 'found both. Set pool.format = "vasprun"'),
        ({"a/vasprun.xml": "<modeling><incar>"}, "that can be read: it is cut off before its first step"),
        ({"a/vasprun.xml": ""}, "a/vasprun.xml: vasprun.xml holds no energy that can be read: it is empty"),
        ({"a/vasprun.xml.gz": b"\x1f\x8b nothing"}, "a/vasprun.xml.gz: vasprun.xml.gz holds no energy that can be read"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_folder_is_said_clearly(files, message, tmp_path):
    assert message in said_of(make(tmp_path, files))
