"""Writes the same candidates in every format that is read, by the libraries that own the formats."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import chemical_symbols
from ase.db import connect
from monty.serialization import dumpfn
from pymatgen.core import Lattice, Structure
from pymatgen.entries.computed_entries import ComputedStructureEntry
from pymatgen.io.cif import CifWriter
from pymatgen.io.vasp import Poscar

from hullscout.errors import InvalidPoolError
from hullscout.pool import read_pool

VASPRUN = """<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling>
 <generator><i name="program" type="string">vasp </i><i name="version" type="string">6.3.0  </i></generator>
 <incar>
  <i name="ENCUT">{cutoff}</i>
  <i type="logical" name="LDAU"> {has_u} </i>
  <v name="LDAUU">{u}</v>
  <v name="LDAUJ">{j}</v>
 </incar>
 <kpoints>
  <generation param="Gamma">
   <v type="int" name="divisions">{mesh}</v>
   <v name="usershift">0 0 0</v>
  </generation>
  <varray name="kpointlist"><v>0.0 0.0 0.0</v></varray>
  <varray name="weights"><v>1.0</v></varray>
 </kpoints>
 <parameters>
  <separator name="electronic">
   <i name="ENMAX">{cutoff}</i>
   <i type="int" name="NELM">{nelm}</i>
   <i type="int" name="NSW">{nsw}</i>
   <i type="int" name="IBRION">{ibrion}</i>
   <i type="string" name="GGA">{gga}</i>
   <i type="logical" name="LHFCALC"> F  </i>
   <i type="logical" name="LDAU"> {has_u} </i>
   <i name="AEXX">0.0</i>
   <i name="HFSCREEN">0.0</i>
   {tags}
  </separator>
 </parameters>
 <atominfo>
  <atoms>{n}</atoms>
  <types>{n_types}</types>
  <array name="atoms">
   <dimension dim="1">ion</dimension><field type="string">element</field><field type="int">atomtype</field>
   <set>{atoms}</set>
  </array>
  <array name="atomtypes">
   <dimension dim="1">type</dimension>
   <field type="int">atomspertype</field><field type="string">element</field><field>mass</field><field>valence</field>
   <field type="string">pseudopotential</field>
   <set>{types}</set>
  </array>
 </atominfo>
 <structure name="initialpos">{structure}</structure>
 {steps}
 <structure name="finalpos">{structure}</structure>
</modeling>
"""


STEP = """<calculation>
  {loop}
  <structure>{structure}</structure>
  <varray name="forces">{forces}</varray>
  <varray name="stress">{stress}</varray>
  <energy>{energy}</energy>
 </calculation>
"""


def tag(name, value):
    """A tag as VASP writes it."""
    kind = {str: "string", int: "int", bool: "logical", float: "float"}[type(value)]
    return f'<i type="{kind}" name="{name}">{("T" if value else "F") if kind == "logical" else value}</i>'


def rows(array):
    return "".join(f"<v>{' '.join(f'{value:.12f}' for value in row)}</v>" for row in array)


def vasprun_text(
    frame,
    *,
    cutoff=400.0,
    gga="PE",
    mesh="7 7 7",
    u=None,
    nelm=60,
    nsw=0,
    ibrion=None,
    potentials="PAW_PBE {} 01Jan2000",
    valence=1.0,
    higher_by=(0.0,),
    force=0.0,
    stress=0.0,
    n_loop=1,
    **tags,
):
    """A vasprun.xml with what VASP writes of structure, settings and energy.

    It is of one static calculation, or has a step for each of the energies by which it was higher than in the end; other tags are
    given by their names.
    """
    symbols = [chemical_symbols[number] for number in frame.numbers]
    kinds = sorted(set(symbols))
    structure = (
        f'<crystal><varray name="basis">{rows(frame.cell)}</varray><i name="volume">{abs(np.linalg.det(frame.cell))}</i>'
        f'<varray name="rec_basis">{rows(np.linalg.inv(frame.cell).T)}</varray></crystal>'
        f'<varray name="positions">{rows(frame.positions @ np.linalg.inv(frame.cell))}</varray>'
    )
    forces = np.zeros((len(symbols), 3))
    forces[0, 0] = force
    steps = []
    for more in higher_by:
        energy = "".join(
            f'<i name="{name}">{frame.energy_ev + more!r}</i>' for name in ("e_fr_energy", "e_wo_entrp", "e_0_energy")
        )
        loop = f"<scstep><energy>{energy}</energy></scstep>" * n_loop
        pressed = rows(stress * np.eye(3))
        steps.append(STEP.format(loop=loop, structure=structure, forces=rows(forces), stress=pressed, energy=energy))
    return VASPRUN.format(
        cutoff=cutoff,
        gga=gga,
        mesh=mesh,
        nelm=nelm,
        nsw=nsw,
        ibrion=ibrion if ibrion is not None else 2 if nsw else -1,
        tags="".join(tag(name, value) for name, value in tags.items()),
        has_u="F" if u is None else "T",
        u=" ".join(str((u or {}).get(kind, 0.0)) for kind in kinds),
        j=" ".join("0.0" for _ in kinds),
        n=len(symbols),
        n_types=len(kinds),
        atoms="".join(f"<rc><c>{symbol}</c><c>{kinds.index(symbol) + 1}</c></rc>" for symbol in symbols),
        types="".join(
            f"<rc><c>{symbols.count(kind)}</c><c>{kind}</c><c>1.0</c><c>{valence}</c><c>{potentials.format(kind)}</c></rc>"
            for kind in kinds
        ),
        structure=structure,
        steps="".join(steps),
    )


def to_atoms(frame, *, code="vasp", **parameters):
    atoms = Atoms(numbers=frame.numbers, positions=frame.positions, cell=frame.cell, pbc=True)
    if frame.energy_ev is not None:
        atoms.calc = SinglePointCalculator(atoms, energy=frame.energy_ev)
        atoms.calc.name = code
        atoms.calc.parameters = parameters
    return atoms


def to_structure(frame):
    return Structure(Lattice(frame.cell), frame.numbers.tolist(), frame.positions, coords_are_cartesian=True)


def write_ase(path, frames):
    with connect(str(path), use_lock_file=False) as database:
        for frame in frames:
            database.write(to_atoms(frame), name=frame.id, **frame.columns)
    return path


def write_entries(path, frames):
    entries = [
        ComputedStructureEntry(to_structure(f), f.energy_ev or 0.0, entry_id=f.id, data=dict(f.columns)).as_dict()
        for f in frames
    ]
    for entry, frame in zip(entries, frames, strict=True):
        entry["energy"] = frame.energy_ev
    dumpfn(entries, str(path))
    return path


def structure_as(frame, fmt):
    """The text of a CIF or POSCAR file."""
    if fmt == "cif":
        return str(CifWriter(to_structure(frame), significant_figures=12))
    return Poscar(to_structure(frame)).get_str(significant_figures=14)


def write_files(folder, frames, *, fmt):
    folder.mkdir()
    suffix = {"cif": ".cif", "poscar": ".vasp"}[fmt]
    columns = sorted({key for frame in frames for key in frame.columns})
    lines = [",".join(["id", "file", "energy", *columns])]
    for number, frame in enumerate(frames):
        file = folder / f"structure{number}{suffix}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            structure_text = structure_as(frame, fmt)
        file.write_text(structure_text)
        energy = "" if frame.energy_ev is None else repr(frame.energy_ev)
        lines.append(",".join([frame.id, file.name, energy, *(str(frame.columns.get(key, "")) for key in columns)]))
    (folder / "energies.csv").write_text("\n".join(lines) + "\n")
    return folder


def write_vaspruns(folder, frames):
    for frame in frames:
        calculation = folder / frame.id
        calculation.mkdir(parents=True)
        counts = np.ceil(2 * np.pi * np.linalg.norm(np.linalg.inv(frame.cell), axis=0) / 0.3).astype(int)
        (calculation / "vasprun.xml").write_text(vasprun_text(frame, mesh=" ".join(map(str, counts))))
    columns = sorted({key for frame in frames for key in frame.columns})
    if columns:
        lines = [",".join(["id", *columns])]
        lines += [",".join([frame.id, *(str(frame.columns[key]) for key in columns)]) for frame in frames]
        (folder / "columns.csv").write_text("\n".join(lines) + "\n")
    return folder


def write_parquet(path, frames):
    """By pandas, a row for each frame."""
    names = sorted({name for frame in frames for name in frame.columns})
    table = pd.DataFrame(
        {
            "id": [frame.id for frame in frames],
            "numbers": [frame.numbers for frame in frames],
            "positions": [frame.positions.ravel() for frame in frames],
            "cell": [frame.cell.ravel() for frame in frames],
            "energy": np.array([frame.energy_ev for frame in frames], dtype=float),
            **{name: [frame.columns.get(name) for frame in frames] for name in names},
        }
    )
    table.to_parquet(path, index=False)
    return path


WRITERS = {
    "ase.db": lambda folder, frames: write_ase(folder / "pool.db", frames),
    "ase.json": lambda folder, frames: write_ase(folder / "pool.json", frames),
    "entries.json": lambda folder, frames: write_entries(folder / "entries.json", frames),
    "entries.json.gz": lambda folder, frames: write_entries(folder / "entries.json.gz", frames),
    "cif": lambda folder, frames: write_files(folder / "cifs", frames, fmt="cif"),
    "poscar": lambda folder, frames: write_files(folder / "poscars", frames, fmt="poscar"),
    "vasprun": lambda folder, frames: write_vaspruns(folder / "runs", frames),
    "parquet": lambda folder, frames: write_parquet(folder / "pool.parquet", frames),
}


def content(path: Path):
    """Every byte of a pool, to see that reading changes nothing."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path, *path.parent.glob(f"{path.name}*")]
    return {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in files if file.is_file()}


def said_of(path, pool_format=None):
    """What is said of a pool that cannot be used as it is: the faults beside the frames, or the error where none is sound."""
    try:
        frames = read_pool(path, pool_format)
    except InvalidPoolError as error:
        return str(error)
    return "\n".join(frames.faults)


def make(folder, files):
    """A folder of files by name and text; a file alone is itself the pool."""
    for name, text in files.items():
        path = folder / "pool" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / "pool"
