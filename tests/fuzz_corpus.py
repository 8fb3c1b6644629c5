"""Small valid files of every format that is read, made by what owns the format: what `fuzz.py` damages."""

import gzip
import json
import re
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch
from uuid import UUID

import numpy as np
from ase.io import write
from code_outputs import outcar_text, pw_text
from frames import frames_of
from pool_writers import WRITERS, structure_as, to_atoms, to_structure, vasprun_text

from hullscout.pool import Frame, parse_frames, save_frames
from hullscout.pool.writing import format_frames

ROOT = Path(__file__).parent.parent
ELEMENTS = {47: ("Ag", -2.83), 46: ("Pd", -5.21)}  # symbol and energy in eV/atom by atomic number
N_POOL = 7
CAMPAIGN = """
name = "fuzz"
elements = ["Ag", "Pd"]
seed = 3

[pool]
path = "{path}"
allow_mixed_settings = {mixed}

[select]
rule = "threshold"
batch = 2

[stop]
max_calculations = 4
"""
HANDOFF = """
name = "fuzz"
elements = ["Ag", "Pd"]
seed = 3

[pool]
path = "pool.extxyz"

[oracle]
kind = "handoff"
use_known = false

[select]
rule = "random"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Valid files by their paths in a folder, and which of them is given to the commands."""

    files: dict[str, bytes]
    target: str
    is_mixed: bool = False


def pool_frames() -> tuple[Frame, ...]:
    """Cells of Ag-Pd of up to four atoms with total energies."""
    with gzip.open(ROOT / "campaigns" / "agpd" / "agpd.extxyz.gz", "rt") as file:
        texts = frames_of(file.read())
    small = [text for text in texts if int(text.split(maxsplit=1)[0]) <= 3][: N_POOL - 1]
    small.append(next(text for text in texts if text.startswith("4\n")))
    read = parse_frames("".join(small).encode(), path=Path("small.extxyz")).frames
    shift = {number: energy for number, (_, energy) in ELEMENTS.items()}
    return tuple(
        replace(
            frame,
            id=f"cell-{place}",
            energy_ev=round(frame.energy_ev + sum(shift[z] for z in frame.numbers.tolist()), 8),
            columns={},
        )
        for place, frame in enumerate(read, start=1)
    )


def pool_samples() -> dict[str, Sample]:
    """A pool in each format."""
    frames = pool_frames()
    plain = format_frames(frames)
    samples = {
        "extxyz": Sample(files={"pool.extxyz": plain}, target="pool.extxyz"),
        "extxyz.gz": Sample(files={"pool.extxyz.gz": gzip.compress(plain, mtime=0)}, target="pool.extxyz.gz"),
        "traj": _written("pool.traj", lambda path: write(path, [_named(frame) for frame in frames])),
    }
    for name, kind in (("db", "ase.db"), ("json", "ase.json"), ("entries", "entries.json")):
        samples[name] = _of_writer(kind, frames)
    samples["parquet"] = _written("pool.parquet", lambda path: save_frames(path, frames))
    for name, kind in (("poscar", "poscar"), ("cif", "cif"), ("vasprun", "vasprun")):
        samples[name] = _of_writer(kind, frames)
    entries = json.loads(samples["entries"].files["entries.json"])
    for entry, frame in zip(entries, frames, strict=True):
        entry |= {"entry_id": None, "data": {"mat_id": frame.id, "e_above_hull": 0.01}}
    samples["alexandria"] = _of_json({"entries": entries})
    samples["mp"] = _of_json([_mp(frame) for frame in frames])
    samples["jarvis"] = _of_json([_jarvis(frame) for frame in frames])
    table = "id,energy\n" + "".join(f"{frame.id},{frame.energy_ev!r}\n" for frame in frames)
    parts = [_commented(structure_as(frame, "poscar"), frame.id) for frame in frames]
    many = {"pool/POSCARS": "".join(parts).encode(), "pool/energies.csv": table.encode()}
    samples["poscars"] = Sample(files=many, target="pool")
    runs = {f"pool/{frame.id}/vasprun.xml": vasprun_text(frame).encode() for frame in frames}
    outcar = {"pool/big/OUTCAR": outcar_bytes()}
    samples["outcar"] = Sample(files={**runs, **outcar}, target="pool", is_mixed=True)
    printed = {f"pool/{frame.id}/pw.out": pw_bytes(frame) for frame in frames}
    samples["pw"] = Sample(files=printed, target="pool", is_mixed=True)
    tree = {f"pool/{f.id}/{name}": text.encode() for f in frames for name, text in _atat(f).items()}
    samples["atat"] = Sample(files=tree, target="pool")
    return samples


def tell_samples() -> dict[str, Sample]:
    """Results for a campaign that handed out the same cells, in folders with their manifests; those of the elements are known."""
    frames = pool_frames()[2:]
    lines = [f"{frame.id},{frame.energy_ev!r},,12.5" for frame in frames[:-1]]
    table = "\n".join(["id,energy_ev,failed,wall_s", *lines, f"{frames[-1].id},,out of memory,3", ""])
    samples = {"tell-csv": Sample(files={"results.csv": table.encode()}, target="results.csv")}
    writers = {
        "vasprun.xml": lambda frame: vasprun_text(frame).encode(),
        "pw.out": pw_bytes,
        "result.extxyz": lambda frame: format_frames([frame]),
        "result.traj": lambda frame: _written("a", lambda path: write(path, _named(frame), format="traj")).files["a"],
        "FAILED": lambda frame: f"The electrons of {frame.id} did not converge after 60 steps.\n".encode(),
    }
    for name, written in writers.items():
        files: dict[str, bytes] = {}
        for frame in frames[:4]:
            files[f"results/{frame.id}/manifest.json"] = _manifest(frame)
            files[f"results/{frame.id}/{name}"] = written(frame)
        samples[f"tell-{name}"] = Sample(files=files, target="results")
    big = {"results/big/OUTCAR": outcar_bytes(), "results/big/manifest.json": _manifest(outcar_frame())}
    samples["tell-OUTCAR"] = Sample(files=big, target="results")
    return samples


def other_samples() -> dict[str, Sample]:
    """A campaign file, and a table of measured times."""
    campaign = CAMPAIGN.format(path="pool.extxyz", mixed="false")
    campaign += 'failure_probability = 0.05\n\n[cost]\nkind = "atoms"\nexponent = 2.5\n'
    pool = format_frames(pool_frames())
    hours = "atoms,core_hours,host\n" + "".join(f"{n},{0.5 * n**2.5:.3f},node{n}\n" for n in range(1, 9))
    return {
        "campaign": Sample(files={"campaign.toml": campaign.encode(), "pool.extxyz": pool}, target="campaign.toml"),
        "core-hours": Sample(files={"hours.csv": hours.encode()}, target="hours.csv"),
    }


def outcar_bytes() -> bytes:
    """The OUTCAR of 18 atoms, as if they were of Pd, with the last electronic step alone."""
    begin, *_, last = re.split(r"(?m)^(?=-+ Iteration )", outcar_text())
    return re.sub(r"\bNi(?=\b|_)", "Pd", begin + last).encode()


def outcar_frame() -> Frame:
    """What the OUTCAR is about."""
    from ase.io import read

    with TemporaryDirectory() as folder:
        path = Path(folder) / "OUTCAR"
        path.write_bytes(outcar_bytes())
        atoms = read(path, format="vasp-out")
    first = pool_frames()[0]
    return replace(
        first,
        id="big",
        numbers=np.asarray(atoms.numbers),
        positions=atoms.positions,
        cell=atoms.cell.array,
        energy_ev=float(atoms.get_potential_energy()),
    )


def pw_bytes(frame: Frame) -> bytes:
    """The output of pw.x for a cell; that of one element, with the symbols of its sites put in."""
    atoms = to_atoms(frame)
    text = pw_text(atoms, frame.energy_ev / 13.605693122994, functional="PBE")
    symbols = iter(atoms.symbols)
    return re.sub(r"(?m)^( +\d+ +)[A-Z][a-z]?( +tau)", lambda found: found[1] + next(symbols) + found[2], text).encode()


def _named(frame):
    atoms = to_atoms(frame)
    atoms.info["id"] = frame.id
    return atoms


def _written(name, write_to) -> Sample:
    with TemporaryDirectory() as folder:
        write_to(Path(folder) / name)
        return Sample(files={name: (Path(folder) / name).read_bytes()}, target=name)


def _of_writer(kind, frames) -> Sample:
    ids = (UUID(int=number) for number in count(1))  # ASE's databases hold times and random numbers
    with (
        TemporaryDirectory() as folder,
        patch("uuid.uuid4", lambda: next(ids)),
        patch("ase.db.core.time", lambda: 1.7e9),
    ):
        path = WRITERS[kind](Path(folder), frames)
        files = [path] if path.is_file() else sorted(path.rglob("*"))
        places = {file: file.relative_to(path) if path.is_dir() else "" for file in files if file.is_file()}
        name = "pool" if path.is_dir() else path.name
        contents = {(Path(name) / place).as_posix(): file.read_bytes() for file, place in places.items()}
        return Sample(files=contents, target=name)


def _of_json(tree) -> Sample:
    return Sample(files={"pool.json": json.dumps(tree, indent=1).encode()}, target="pool.json")


def _mp(frame):
    """A document as the Materials Project's API gives it."""
    structure = to_structure(frame)
    return {
        "material_id": frame.id,
        "formula_pretty": structure.composition.reduced_formula,
        "nsites": len(structure),
        "volume": structure.volume,
        "energy_per_atom": frame.energy_ev / len(structure),
        "thermo_type": "GGA_GGA+U",
        "structure": structure.as_dict(),
    }


def _jarvis(frame):
    """A document as JARVIS gives it."""
    structure = to_structure(frame)
    atoms = {
        "lattice_mat": frame.cell.tolist(),
        "coords": structure.frac_coords.tolist(),
        "elements": [site.specie.symbol for site in structure],
        "abc": list(structure.lattice.abc),
        "angles": list(structure.lattice.angles),
        "cartesian": False,
    }
    formula, energy = structure.composition.reduced_formula, frame.energy_ev / len(structure)
    return {
        "jid": frame.id,
        "formula": formula,
        "nat": len(structure),
        "atoms": atoms,
        "optb88vdw_total_energy": energy,
    }


def _commented(poscar, name):
    return name + "\n" + poscar.partition("\n")[2]


def _atat(frame):
    """The files of a folder of ATAT's maps."""
    rows = ["1 0 0", "0 1 0", "0 0 1", *(" ".join(f"{value:.8f}" for value in row) for row in frame.cell)]
    rows += [
        f"{' '.join(f'{value:.8f}' for value in position)} {ELEMENTS[z][0]}"
        for position, z in zip(frame.positions, frame.numbers.tolist(), strict=True)
    ]
    text = "\n".join(rows) + "\n"
    return {"str.out": text, "str_relax.out": text, "energy": f"{frame.energy_ev!r}\n"}


def _manifest(frame) -> bytes:
    formula = to_atoms(frame).get_chemical_formula()
    stated = {"schema": 1, "campaign": "fuzz", "id": frame.id, "formula": formula, "n_atoms": len(frame.numbers)}
    return json.dumps({**stated, "wanted": "total energy in eV of this cell"}, indent=2).encode()
