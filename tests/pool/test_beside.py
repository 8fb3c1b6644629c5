"""Files of one run of VASP agree: what stands beside a result and contradicts it is a fault of that result, and of no other."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from code_outputs import OUTCAR, outcar_text
from pool_writers import make, vasprun_text

from hullscout.errors import ResultError
from hullscout.pool import Frames, inspect_frames, read_pool
from hullscout.pool.calculations import read_calculation

ENERGY = -68.23102426  # of the example, for zero smearing
STATES = f"energy(sigma->0) =      {ENERGY}"


@pytest.fixture(scope="module")
def nickel():
    """The structure of the example, with its energy."""
    found = read(OUTCAR, format="vasp-out")
    atoms = Atoms(found.numbers, positions=found.positions, cell=found.cell, pbc=True)
    atoms.calc = SinglePointCalculator(atoms, energy=ENERGY)
    return atoms


def vasprun(atoms, energy_ev=ENERGY, **changes):
    atoms = atoms.copy()
    atoms.calc = SinglePointCalculator(atoms, energy=energy_ev)
    return vasprun_text(Frames.of([atoms]).frames[0], **changes)


def poscar(atoms, tmp_path):
    write(tmp_path / "one.vasp", atoms, format="vasp", direct=True)
    return (tmp_path / "one.vasp").read_text()


def moved(atoms, by, atom=3):
    other = atoms.copy()
    other.positions[atom, 0] += by
    return other


def strained(atoms, by):
    other = atoms.copy()
    other.set_cell(other.cell.array * by, scale_atoms=True)
    return other


def oszicar(energy_ev):
    return f"RMM:   1     0.1E+01\n   1 F= {energy_ev:.8E} E0= {energy_ev:.8E}  d E =-.1E-01\n"


def test_files_of_one_run_agree_in_silence(nickel, tmp_path):
    files = {
        "a/vasprun.xml": vasprun(nickel),
        "a/OUTCAR": outcar_text(),
        "a/OSZICAR": oszicar(ENERGY),
        "a/POSCAR": poscar(nickel, tmp_path),
        "a/CONTCAR": poscar(moved(nickel, 5e-5), tmp_path),  # rounded
        "b/OUTCAR": outcar_text(),
        "b/POSCAR": poscar(nickel, tmp_path),
        "c/run7_vasprun.xml": vasprun(nickel),
        "c/run7_OUTCAR": outcar_text(),
    }
    read_ = read_pool(make(tmp_path / "tree", files))
    assert [frame.id for frame in read_.frames] == ["a", "b", "c/run7_vasprun"]
    assert not read_.faults
    assert not any("beside" in note for note in read_.notes)


CONTRADICTIONS = {
    "another energy": lambda _, __: {
        "OUTCAR": outcar_text((f"without entropy=      -68.23570214  {STATES}", f"without entropy=  -69.0  {STATES[:-8]}33102426"))
    },
    "a packed one": lambda _, __: {"OUTCAR.gz": gzip.compress(outcar_text((STATES, STATES.replace("68.2", "68.3"))).encode())},
    "an energy that is a little lower": lambda n, _: {"vasprun.xml": vasprun(n, ENERGY - 0.001), "OUTCAR": outcar_text()},
    "another cell": lambda n, _: {"vasprun.xml": vasprun(strained(n, 1.001)), "OUTCAR": outcar_text()},
    "other positions": lambda n, _: {"vasprun.xml": vasprun(moved(n, 0.05)), "OUTCAR": outcar_text()},
    "other atoms": lambda _, __: {"OUTCAR": outcar_text(("PAW_PBE Ni 02Aug2007", "PAW_PBE Pd 04Jan2005"))},
    "one that is cut off": lambda _, __: {"OUTCAR": outcar_text()[:-20000]},
    "one that is cut off in its middle": lambda _, __: {"OUTCAR": outcar_text()[:30000]},
    "a damaged one": lambda _, __: {"OUTCAR.gz": gzip.compress(outcar_text().encode())[:-2000]},
    "electrons that did not converge": lambda _, __: {
        "OUTCAR": outcar_text(("aborting loop because EDIFF is reached", "aborting loop EDIFF was not reached"))
    },
    "the energy of another run": lambda _, __: {"OSZICAR": oszicar(ENERGY + 0.01)},
    "the only other file, renamed like the result": lambda n, _: {
        "ni-static.xml": vasprun(n), "OSZICAR.static": oszicar(ENERGY + 0.01), "vasprun.xml": None,
    },
    "a run without a step": lambda _, __: {"OSZICAR": "RMM:   1     0.1E+01\n"},
    "another end": lambda n, at: {"CONTCAR": poscar(moved(n, 0.02), at)},
    "another start": lambda n, at: {"POSCAR": poscar(strained(n, 1.02), at)},
    "the start of other atoms": lambda n, at: {"POSCAR": poscar(n[1:], at)},
    "a renamed result": lambda n, _: {"final.xml": vasprun(n, ENERGY + 0.1), "OUTCAR": outcar_text(), "vasprun.xml": None},
    "runs under one name of one's own": lambda n, _: {
        "ni_vasprun.xml": vasprun(n, ENERGY + 0.1), "ni_OUTCAR": outcar_text(), "vasprun.xml": None,
    },
    "the last of several runs": lambda n, _: {
        "vasprun.xml.relax2": vasprun(n), "OUTCAR.relax2": outcar_text((STATES, STATES.replace("68.2", "68.3"))),
        "OUTCAR.relax1": outcar_text(), "vasprun.xml": None,
    },
    "an OUTCAR alone, and another start": lambda n, at: {
        "OUTCAR": outcar_text(), "POSCAR": poscar(moved(n, 0.1), at), "vasprun.xml": None,
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", CONTRADICTIONS)
def test_what_contradicts_a_result_beside_it_is_a_fault_with_both_names(kind, nickel, tmp_path):
    files = {"vasprun.xml": vasprun(nickel), **CONTRADICTIONS[kind](nickel, tmp_path)}
    tree = {f"bad/{name}": content for name, content in files.items() if content is not None}
    found = read_pool(make(tmp_path / "tree", {**tree, "good/vasprun.xml": vasprun(nickel)}))
    assert [frame.id for frame in found.frames] == ["good"]
    (fault,) = found.faults
    assert fault.startswith("bad/")
    assert " beside it to be of the same run, found " in fault
    assert fault.endswith("Keep the files of one run, or each run in a folder of its own")
    named = [name for name in files if name in fault]
    assert len(named) >= 1


def test_a_contradiction_says_which_numbers_stand_where(nickel, tmp_path):
    folder = make(tmp_path, {"vasprun.xml": vasprun(nickel, -68.0), "OUTCAR": outcar_text()})
    expected = (
        r"expected OUTCAR beside it to be of the same run, found -68.231024 eV there and -68.000000 eV in vasprun.xml"
    )
    with pytest.raises(ResultError, match=expected):
        read_calculation(folder / "vasprun.xml")
    with pytest.raises(ResultError, match=r"found -68.000000 eV there and -68.231024 eV in OUTCAR"):
        read_calculation(folder / "OUTCAR")


def test_the_start_may_be_the_end_from_which_a_run_goes_on(nickel, tmp_path):
    start, end = vasprun(moved(nickel, 0.2)), vasprun(nickel)
    beginning, _, last = start.partition("</calculation>")[0], None, end[end.index("<calculation>") :]
    text = beginning.partition("<calculation>")[0] + last  # relaxed from one to the other
    for name, structure in (("start", moved(nickel, 0.2)), ("end", nickel)):
        folder = make(tmp_path / name, {"vasprun.xml": text, "POSCAR": poscar(structure, tmp_path)})
        assert read_calculation(folder / "vasprun.xml").energy_ev == ENERGY
    folder = make(tmp_path / "third", {"vasprun.xml": text, "POSCAR": poscar(moved(nickel, 0.1), tmp_path)})
    with pytest.raises(ResultError, match="POSCAR beside it to be of the same run, found other positions"):
        read_calculation(folder / "vasprun.xml")


def test_an_external_pressure_does_no_work_in_either_file(nickel, tmp_path):
    work = 100.0 * 1e-22 / 1.60217733e-19 * nickel.get_volume()
    text = vasprun(nickel, ENERGY + work, PSTRESS=100.0)
    folder = make(tmp_path, {"vasprun.xml": text, "OUTCAR": outcar_text(), "OSZICAR": oszicar(ENERGY + work)})
    assert read_calculation(folder / "vasprun.xml").energy_ev == pytest.approx(ENERGY, abs=1e-6)


def test_what_cannot_be_read_contradicts_nothing_and_is_said(nickel, tmp_path):
    files = {
        "a/vasprun.xml": vasprun(nickel),
        "a/OSZICAR": b"\0\1",
        "a/POSCAR": "no structure",
        "a/CONTCAR": "",
        "b/one.xml": vasprun(nickel),
        "b/two.xml": vasprun(nickel, ENERGY - 1.0),
        "b/OUTCAR_of_three": outcar_text(),
    }
    found = read_pool(make(tmp_path, files))
    assert len(found.frames) == 3
    assert not found.faults
    assert [note for note in found.notes if "beside" in note] == [
        "Not read, since a vasprun.xml stands beside: b/OUTCAR_of_three.",
        "Files beside calculations that cannot be read, and were not compared with them: OSZICAR of a, POSCAR of a.",
    ]


def test_check_lists_a_contradiction_and_goes_on(nickel, tmp_path):
    copper = Atoms("Cu", cell=np.eye(3) * 2.6, pbc=True)
    files = {
        "cu/vasprun.xml": vasprun(copper, -3.0),
        "ni/vasprun.xml": vasprun(nickel),
        "bad/vasprun.xml": vasprun(nickel, ENERGY + 1.0),
        "bad/OUTCAR": outcar_text(),
    }
    found = inspect_frames(read_pool(make(tmp_path, files)), ("Cu", "Ni"))
    assert any(f.kind == "not read" and "bad/vasprun.xml: expected OUTCAR" in f.sentence for f in found.findings)
