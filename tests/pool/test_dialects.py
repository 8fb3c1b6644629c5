"""Files as the field writes them: many POSCARs in one, CONTCAR beside POSCAR, trajectories, slabs, tables of spreadsheets."""

from __future__ import annotations

import bz2
import gzip
import lzma
from dataclasses import replace
from pathlib import Path

import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write as ase_write
from pool_writers import make, said_of

from hullscout.errors import InvalidPoolError
from hullscout.pool import Frames, WithoutEnergy, build_pool, inspect_frames, read_pool
from hullscout.pool.structure_files import split_poscars

ELEMENTS = ("Cu", "Au")
POSCAR = "{comment}\n1.0\n4 0 0\n0 4 0\n0 0 4\n{symbols}\n{counts}\nDirect\n{atoms}"
STEP = " 0.1 0.2 0.3\n" * 3
VELOCITIES = f"\n 0.1E-02 0.0 0.0\n 0.2E-02 0.0 0.0\n\n1\n 0.5E+00\n 0.0E+00 0.0E+00 0.0E+00\n{STEP}"


def poscar(comment, symbols="Cu", counts="1", atoms="0 0 0\n"):
    return POSCAR.format(comment=comment, symbols=symbols, counts=counts, atoms=atoms)


CU, AU = poscar("EA1 Sym.group: 225"), poscar("EA2 Sym.group: 225", symbols="Au")
BOTH = poscar("EA3 Sym.group: 123", "Cu Au", "1 1", "0 0 0\n0.5 0.5 0.5\n")


@pytest.mark.parametrize(
    "name", ["POSCARS", "gatheredPOSCARS", "extended_convex_hull_POSCARS", "all.vasp", "POSCARS.gz"]
)
def test_all_structures_of_a_file_of_many_are_read(name, tmp_path):
    text = (CU + AU + BOTH).encode()
    folder = make(tmp_path, {name: gzip.compress(text) if name.endswith("gz") else text})
    for path in (folder, folder / name):
        frames = read_pool(path).frames
        assert {frame.id: len(frame.numbers) for frame in frames} == {"EA1": 1, "EA2": 1, "EA3": 2}


def test_structures_of_one_file_find_their_energies_by_id(tmp_path):
    table = "id,energy\nEA2,-3.27\nEA1,-3.72\n"
    frames = read_pool(make(tmp_path, {"POSCARS": CU + AU + BOTH, "e.csv": table})).frames
    assert {frame.id: frame.energy_ev for frame in frames} == {"EA1": -3.72, "EA2": -3.27, "EA3": None}
    said = said_of(make(tmp_path / "b", {"POSCARS": CU + AU, "e.csv": "file,energy\nPOSCARS,-1\n"}))
    assert "expected one structure in POSCARS, found 2: name each by its id" in said


def test_structures_whose_comments_are_alike_are_numbered(tmp_path):
    frames = read_pool(make(tmp_path, {"POSCARS": poscar("made by") + poscar("made by", symbols="Au")})).frames
    assert [frame.id for frame in frames] == ["POSCARS-1", "POSCARS-2"]


def test_what_vasp_writes_behind_the_atoms_is_no_structure():
    assert split_poscars(BOTH + VELOCITIES) == [BOTH + VELOCITIES]
    assert split_poscars(BOTH + VELOCITIES + CU) == [BOTH + VELOCITIES, CU]
    old = CU.replace("Cu\n1\n", "1\n")
    assert split_poscars(old + old) == [old, old]
    selective = CU.replace("Direct", "Selective dynamics\nDirect").replace("0 0 0\n", "0 0 0 T T F\n")
    assert split_poscars(selective + AU) == [selective, AU]


def test_a_contcar_is_taken_beside_its_poscar_and_it_is_said(tmp_path):
    moved = BOTH.replace("0.5 0.5 0.5", "0.5 0.5 0.4")
    frames = read_pool(
        make(
            tmp_path,
            {
                "a/POSCAR": BOTH,
                "a/CONTCAR": moved,
                "b/POSCAR": CU,
                "b/CONTCAR": "",
                "c/CONTCAR.gz": gzip.compress(AU.encode()),
            },
        )
    )
    assert {frame.id: float(frame.positions[-1, 2]) for frame in frames.frames} == {"a": 1.6, "b": 0.0, "c": 0.0}
    assert frames.notes == ("Where a POSCAR stands beside a CONTCAR that is not empty, the CONTCAR is taken.",)


def test_a_table_may_name_the_poscar_all_the_same(tmp_path):
    files = {"a/POSCAR": CU, "a/CONTCAR": AU, "e.csv": "id,file,energy\na,a/POSCAR,-1\n"}
    (frame,) = read_pool(make(tmp_path, files)).frames
    assert (frame.id, frame.numbers.tolist(), frame.energy_ev) == ("a", [29], -1.0)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_structures_and_tables_may_be_compressed(compress, tmp_path):
    files = {"cu.vasp.x": CU, "e.csv.x": "id,energy\ncu,-3.72\n"}
    suffix = {gzip.compress: "gz", bz2.compress: "bz2", lzma.compress: "xz"}[compress]
    folder = make(tmp_path, {name[:-1] + suffix: compress(text.encode()) for name, text in files.items()})
    (frame,) = read_pool(folder).frames
    assert (frame.id, frame.energy_ev) == ("cu", -3.72)


def test_a_damaged_structure_file_is_a_fault_of_its_own(tmp_path):
    frames = read_pool(make(tmp_path, {"cu.vasp": CU, "au.vasp.gz": gzip.compress(AU.encode())[:-9], "x.vasp": "\0"}))
    assert [frame.id for frame in frames.frames] == ["cu"]
    assert [fault[:11] for fault in frames.faults] == ["au.vasp.gz ", "x.vasp (id "]


@pytest.mark.parametrize("encode", ["utf-8-sig", "latin-1"])
def test_structure_files_may_be_in_any_usual_encoding(encode, tmp_path):
    text = CU.replace("EA1", "Müller, a = 4 Å").replace("\n", "\r\n")
    (frame,) = read_pool(make(tmp_path, {"cu.vasp": text.encode(encode)})).frames
    assert frame.numbers.tolist() == [29]


@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_tables_are_separated_as_their_first_line_says(separator, tmp_path):
    table = "id,energy,by whom\ncu,-3.72,Müller\n".replace(",", separator).replace("\n", "\r\n").encode("latin-1")
    (frame,) = read_pool(make(tmp_path, {"cu.vasp": CU, "e.tsv" if separator == "\t" else "e.csv": table})).frames
    assert (frame.energy_ev, frame.columns) == (-3.72, {"by_whom": "Müller"})


def test_a_workbook_is_no_table_and_that_is_said(tmp_path):
    folder = make(tmp_path, {"cu.vasp": CU, "energies.xlsx": b"PK\x03\x04 zip"})
    assert read_pool(folder).notes == ("energies.xlsx is not read. What it states is read from a table saved as CSV.",)
    with pytest.raises(InvalidPoolError, match=r"found a spreadsheet's workbook\. Save it as CSV"):
        read_pool(folder / "energies.xlsx")


def image(symbol, energy, **info):
    atoms = bulk(symbol, "fcc", a=4.0)
    atoms.calc = SinglePointCalculator(atoms, energy=energy)
    atoms.info = info
    return atoms


def test_each_image_of_a_trajectory_is_a_candidate(tmp_path):
    path = tmp_path / "all.traj"
    ase_write(path, [image("Cu", -3.72), image("Au", -3.27)])
    frames = read_pool(path)
    assert [(frame.id, frame.energy_ev) for frame in frames.frames] == [
        ("frame-000001", -3.72),
        ("frame-000002", -3.27),
    ]


def test_the_steps_of_a_relaxation_are_not_taken_for_a_pool(tmp_path):
    ase_write(tmp_path / "relax.traj", [image("Cu", -3.6), image("Cu", -3.72)])
    with pytest.raises(
        InvalidPoolError, match=r"found 2 images of Cu: are they the steps of one relaxation\? Write the last"
    ):
        read_pool(tmp_path / "relax.traj")
    (tmp_path / "cut.traj").write_bytes((tmp_path / "relax.traj").read_bytes()[:60])
    with pytest.raises(InvalidPoolError, match="expected a trajectory of ASE, found none that can be read"):
        read_pool(tmp_path / "cut.traj")


def slabs(pbc, *, vacuum=7.0):
    made = []
    for place, symbols in enumerate(("CuCu", "AuAu", "CuAu")):
        slab = fcc111("Cu", size=(2, 1, 1), a=3.8, vacuum=vacuum)
        slab.set_chemical_symbols(list(Atoms(symbols).symbols))
        slab.pbc, slab.info = pbc, {"id": f"s{place}", "energy": -2.0 - place}
        made.append(slab)
    return Frames.of(made)


def test_slabs_are_taken_as_periodic_where_there_is_vacuum_and_it_is_said():
    note = "3 of 3 frames are open along one direction, with vacuum along it: they are taken as periodic."
    frames = slabs((True, True, False))
    assert [finding.sentence for finding in inspect_frames(frames, ELEMENTS).findings] == [note]
    assert note in build_pool(frames, ELEMENTS, without_energy=WithoutEnergy.KEEP).report.lines()
    assert inspect_frames(slabs((True, True, True)), ELEMENTS).findings == ()


@pytest.mark.parametrize(
    ("pbc", "vacuum"), [((True, True, False), 1.0), ((True, False, False), 7.0), ((False,) * 3, 7.0)]
)
def test_what_is_open_without_vacuum_or_along_more_directions_is_refused(pbc, vacuum):
    with pytest.raises(InvalidPoolError, match=r"not periodic in three directions: expected pbc=\"T T T\""):
        build_pool(slabs(pbc, vacuum=vacuum), ELEMENTS, without_energy=WithoutEnergy.KEEP)


def test_a_slab_whose_atoms_come_close_for_the_pool_is_a_suspect():
    frames = slabs((True, True, True))
    close = frames.frames[2].positions.copy()
    close[1] = close[0] + [0.0, 0.0, 1.2]
    frames = replace(frames, frames=(*frames.frames[:2], replace(frames.frames[2], positions=close)))
    found = [finding.sentence for finding in inspect_frames(frames, ELEMENTS).findings]
    assert found == ["s2: atoms come as close as 0.45 of what is usual in the pool"]


def test_a_campaign_file_may_begin_with_a_byte_order_mark(tmp_path):
    from hullscout.campaign import load_config

    path = tmp_path / "c.toml"
    path.write_bytes(b'\xef\xbb\xbfname = "c"\r\nelements = ["Cu", "Au"]\r\npool = {path = "x"}\r\n')
    assert load_config(Path(path)).name == "c"
