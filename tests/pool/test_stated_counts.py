"""A POSCAR or CIF that contradicts its own formula, counts or tags is a fault, and one that does not is read."""

from __future__ import annotations

import re

import numpy as np
import pytest
from pool_writers import make
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter

from hullscout.errors import InvalidPoolError
from hullscout.pool import read_pool

AG2PD = Structure(Lattice.orthorhombic(3, 3, 9), ["Ag", "Ag", "Pd"], [[0, 0, 0], [0, 0, 1 / 3], [0.5, 0.5, 2 / 3]])
SILVER = Structure(Lattice.cubic(4), ["Ag"] * 4, [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
CIF, SILVER_CIF = str(CifWriter(AG2PD)), str(CifWriter(SILVER))
SYMMETRIC = str(CifWriter(SILVER, symprec=0.01))
POSCAR = "a\n1.0\n3 0 0\n0 3 0\n0 0 9\nAg Pd\n2 1\ndirect\n0 0 0\n0 0 0.33\n0.5 0.5 0.67\n"


def cut(text):
    return "\n".join(text.rstrip("\n").split("\n")[:-1]) + "\n"


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("x.cif", cut(CIF), "expected the atoms of _chemical_formula_sum, 'Ag2 Pd1', found 'Ag2'"),
        ("x.cif", cut(SILVER_CIF), "expected 4 or 16 atoms"),
        ("x.cif", CIF.replace("Pd  Pd2", "Ag  Pd2"), "_chemical_formula_sum"),
        ("x.cif", CIF.replace("_cell_length_b   3.0", "_cell_length_b   4.0"), "_cell_volume"),
        ("x.cif", CIF.replace("_cell_length_b", "_cell_length_a   4.0\n_cell_length_b"), "_cell_length_a once"),
        (
            "x.cif",
            CIF.replace("_cell_length_b   3.0", "_cell_length_b   3.\n0"),
            "expected one value of _cell_length_b, found '00000000' in a line of its own after it",
        ),
        ("x.vasp", cut(POSCAR), "expected 3 atoms, found lines for 2"),
        (
            "x.vasp",
            POSCAR.replace("2 1", "1 1"),
            "expected 2 atoms and then the end or an empty line, found '0.5 0.5 0.67'",
        ),
        (
            "x.vasp",
            POSCAR.replace("1.0", "1.0 2.0", 1),
            "expected one scale, or three above 0 for x, y and z, found '1.0 2.0'",
        ),
        (
            "x.vasp",
            POSCAR.replace("Ag Pd\n", ""),
            "expected element symbols above the numbers of atoms, as VASP 5 has them, found none. Write",
        ),
        ("x.vasp", POSCAR.replace("2 1", "3"), "a number of atoms for each of 2 symbols, found 1"),
        ("x.vasp", POSCAR.replace("2 1", "2 999999999"), "expected 1000000001 atoms, found lines for 3"),
        ("x.vasp", POSCAR.replace("0 0 0.33", "0 0 0_1"), "expected decimal numbers, found '0_1'"),
        ("x.vasp", POSCAR.replace("3 0 0", "\N{FULLWIDTH DIGIT THREE} 0 0"), "expected decimal numbers"),
    ],
)
def test_what_contradicts_itself_is_a_fault(tmp_path, name, text, found):
    with pytest.raises(InvalidPoolError, match=re.escape(found)):
        read_pool(make(tmp_path, {name: text}))


@pytest.mark.parametrize("text", [CIF, SILVER_CIF, SYMMETRIC])
def test_what_pymatgen_writes_does_not_contradict_itself(tmp_path, text):
    assert len(read_pool(make(tmp_path, {"x.cif": text})).frames) == 1


def test_velocities_and_symbols_may_follow_the_atoms(tmp_path):
    text = POSCAR.replace("0 0 0.33", "0 0 0.33 Ag") + "\n0 0 0\n0 0 0\n0 0 0\n"
    assert len(read_pool(make(tmp_path, {"x.vasp": text})).frames) == 1


@pytest.mark.parametrize(("mode", "row"), [("direct", "0.5 0.5 0.5"), ("cartesian", "1.5 1.5 4.5")])
def test_three_scales_of_a_poscar_are_of_x_y_and_z(tmp_path, mode, row):
    text = f"a\n1.1 1.0 0.5 ! each\n3 0 3\n0 3 0\n0 0 9\nAg Pd\n1 1\n{mode}\n0 0 0\n{row} Pd\n"
    (frame,) = read_pool(make(tmp_path, {"x.vasp": text})).frames
    assert frame.cell == pytest.approx(np.array([[3.3, 0, 1.5], [0, 3, 0], [0, 0, 4.5]]))
    expected = {"direct": [1.65, 1.5, 3.0], "cartesian": [1.65, 1.5, 2.25]}
    assert frame.positions[1] == pytest.approx(expected[mode])
