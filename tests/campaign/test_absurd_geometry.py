"""Cells without end on the command line: `check`, `run` and `tell` name what is wrong, and the rest goes on."""

import re

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

HEIGHT = 1.5 * 3**0.5
FRAME = '2\nLattice="{lattice}" Properties=species:S:1:pos:R:3 id=odd energy=-8.0 pbc="T T T"\nAg 0 0 0\nPd 1 1 0\n'
CELLS = {
    "skewed": (
        f"3 0 0 -1.5 {HEIGHT} 0 -1.5 -{HEIGHT} 1e-4",
        "along a + b + c are 0.0001 A apart: expected at least 0.5 A",
    ),
    "flat": ("3 0 0 0 3 0 0 0 1e12", "the cell has an edge of 1e+12 A: expected at most 10000 A"),
    "huge": ("3 0 0 0 3 0 0 0 1e100", "the cell has an edge of 1e+100 A: expected at most 10000 A"),
}


@pytest.mark.parametrize("kind", CELLS)
def test_check_and_run_name_the_frame_and_what_is_wrong(hullscout, campaign_file, kind):
    lattice, fault = CELLS[kind]
    pool = campaign_file.parent / "pool.extxyz"
    pool.write_text(pool.read_text() + FRAME.format(lattice=lattice))
    code, said = hullscout("check", pool)
    assert code == 1
    assert fault.replace(" ", "") in re.sub(r"1 out|[│\s]", "", said)  # in a table, over several lines
    assert "1 fault, 0 suspects" in said
    code, said = hullscout("run", campaign_file, "--out", campaign_file.parent / "run")
    assert code == 2
    assert fault in " ".join(said.split())
    assert "id 'odd'" in said


def test_tell_refuses_the_absurd_result_and_takes_the_others(hullscout, campaign_file):
    place = campaign_file.parent
    run, out = place / "run", place / "out"
    campaign_file.write_text(campaign_file.read_text() + '\n[oracle]\nkind = "handoff"\nuse_known = false\n')
    assert hullscout("run", campaign_file, "--out", run)[0] == 0
    hullscout("ask", run, "-n", 5, "--to", out)
    folders = sorted(out.iterdir())
    assert len(folders) > 3
    for number, folder in enumerate(folders):
        atoms = read(folder / "structure.extxyz")
        cell = atoms.cell.array.copy()
        if number < 3:
            cell[2, 1] += (1e6, 1e5, 1e20)[number]
        atoms = Atoms(atoms.numbers, atoms.positions, cell=cell, pbc=True)
        atoms.calc = SinglePointCalculator(atoms, energy=-3.0 * len(atoms))
        write(folder / "result.extxyz", atoms)
    code, said = hullscout("tell", run, out)
    assert code == 2
    assert said.count("expected at most 10000 A") == 3
    assert f"{len(folders) - 3} new energies" in said
    first = folders[0] / "result.extxyz"
    first.write_text('1\nLattice="4 0 0 0 4 0 0 0 4" Properties=Z:I:1:pos:R:3 energy=-3.0 pbc="T T T"\n200 0 0 0\n')
    code, said = hullscout("tell", run, folders[0])
    assert code == 2
    assert "200" in said
    assert np.array_equal(sorted(out.iterdir()), folders)
