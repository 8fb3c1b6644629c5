"""Pools in every form that is read: one interface, the same checks, the same faults whatever the format.

A campaign keeps any of them as extended XYZ (`keep_pool`). What ASE and pymatgen keep candidates in is read here:

ASE databases are SQLite (`.db`) or JSON, one row per candidate, its keys as columns. The id is the key `name` where every row has
one of its own, else `row-12` after the number that the database gives. Settings are those that ASE keeps of the calculator. The
database is only read.

The energy of an entry, pymatgen's `ComputedStructureEntry` in a JSON list, is with the corrections that it carries; null for one
that is yet to be computed. Columns are the single values of `data` and `parameters`; settings are those that the Materials Project
writes into `parameters`.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hullscout.errors import InvalidPoolError
from hullscout.files import DAMAGED, WORKBOOK, decompressed, is_gzipped, is_workbook, what_is_left
from hullscout.pool.calculations import find_vaspruns, read_vaspruns
from hullscout.pool.columns import coarsest_k_spacing, potentials
from hullscout.pool.extxyz import format_frames, read_frames
from hullscout.pool.folders import find_tables, is_table_file, read_table
from hullscout.pool.frames import UNREADABLE, FrameError, Frames, Gathered, number_shared_labels
from hullscout.pool.structure_files import find_structures, is_structure_file, read_structure_files
from hullscout.pool.trajectories import TRAJECTORY_MAGIC, read_trajectory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import ase
    from ase.db.row import AtomsRow
    from pymatgen.core.structure import Structure

SQLITE_MAGIC = b"SQLite format 3\0"
_HEAD = 4096
_NAMES = {"xc": "functional", "encut": "cutoff", "ecut": "cutoff", "pp": "pseudopotentials", "kspacing": "kspacing"}


def read_ase_database(path: Path) -> Frames:
    """All rows of an ASE database."""
    from ase.db import connect  # noqa: PLC0415  (late: ASE loads slowly)

    with path.open("rb") as stream:
        is_sqlite = stream.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC
    if is_sqlite:
        _refuse_foreign_tables(path)
    gathered = Gathered(path)
    try:
        database = connect(str(path), type="db" if is_sqlite else "json", use_lock_file=False)
        rows = sorted(database.select(), key=lambda row: row.id)
    except (*UNREADABLE, sqlite3.Error) as error:
        raise _no_database(path, f"{type(error).__name__}: {error}") from error
    if not rows:
        raise _no_database(path, "no rows")
    names = [str(row.key_value_pairs.get("name", "")) for row in rows]
    has_names = all(names) and len(set(names)) == len(names)
    for row, name in zip(rows, names, strict=True):
        with gathered.reading(f"row {row.id}"):
            atoms, energy = row.toatoms(), row.get("energy")
            columns = {**row.key_value_pairs, **_settings_of_row(row, atoms)}
            energy = None if energy is None else float(energy)
            gathered.add(atoms, name=name if has_names else f"row-{row.id}", energy_ev=energy, columns=columns)
    return gathered.finish()


def _settings_of_row(row: AtomsRow, atoms: ase.Atoms) -> dict[str, object]:
    """The calculator's name and those of its parameters that are settings."""
    parameters = dict(row.get("calculator_parameters") or {})
    found: dict[str, object] = {"code": row.get("calculator", "")}
    found |= {name: parameters[key] for key, name in _NAMES.items() if key in parameters}
    mode = parameters.get("mode")
    if isinstance(mode, dict) and "ecut" in mode:
        found["cutoff"] = mode["ecut"]
    for symbol, values in dict(parameters.get("ldau_luj") or {}).items():
        found[f"hubbard_u_{symbol}"] = float(values.get("U", 0.0)) - float(values.get("J", 0.0))
    mesh = parameters.get("kpts")
    mesh = mesh.get("size") if isinstance(mesh, dict) else mesh
    if mesh is not None and np.shape(mesh) == (3,):
        found |= coarsest_k_spacing(np.array(atoms.cell), mesh)
    return found


def _refuse_foreign_tables(path: Path) -> None:
    """ASE would make its tables in a database that has none, so look first whether it is whole and ASE's."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error as error:
        raise _no_database(path, str(error)) from error
    if "systems" not in tables:
        raise _no_database(path, f"an SQLite database with the tables {', '.join(sorted(tables)) or 'none'}")


def _no_database(path: Path, found: str) -> InvalidPoolError:
    return InvalidPoolError(f"{path}: expected an ASE database with candidates, found {found}. Write it by ase.db.")


def read_json(path: Path) -> Any:
    """The content of a JSON file, plain or gzipped."""
    try:
        raw = decompressed(path.read_bytes())
    except DAMAGED as error:
        raise InvalidPoolError(
            f"{path}: the compressed file is truncated or damaged ({error}). Copy or download it again."
        ) from error
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidPoolError(
            f"{path}: expected JSON, found none that can be read: {error}. Write it again."
        ) from error


def read_entries(path: Path) -> Frames:
    """All entries of a file: a list, or a dictionary with a list under `entries`."""
    tree = read_json(path)
    listed = tree.get("entries") if isinstance(tree, dict) else tree
    if not isinstance(listed, list) or not listed:
        found = f"a dictionary of {', '.join(list(tree)[:5])}" if isinstance(tree, dict) else type(tree).__name__
        raise InvalidPoolError(
            f"{path}: expected a list of pymatgen's ComputedStructureEntry with at least one, found {found}. Write one by "
            "monty.serialization.dumpfn(entries, path)."
        )
    from pymatgen.entries.computed_entries import ComputedStructureEntry  # noqa: PLC0415  (late: slow to import)

    gathered = Gathered(path)
    for place, entry in enumerate(listed, start=1):
        with gathered.reading(f"entry {place}"):
            if not isinstance(entry, dict) or not {"structure", "energy"} <= entry.keys():
                what = f"one with {', '.join(sorted(entry)[:6])}" if isinstance(entry, dict) else type(entry).__name__
                raise FrameError(f"expected a ComputedStructureEntry (structure, energy), found {what}")
            computed = ComputedStructureEntry.from_dict({**entry, "energy": entry["energy"] or 0.0})
            settings = _settings_of_entry(computed.parameters, computed.structure)
            energy = None if entry["energy"] is None else float(computed.energy)
            name = "" if computed.entry_id is None else str(computed.entry_id)
            columns = {**computed.data, **computed.parameters, **settings}
            gathered.add(computed.structure, name=name, energy_ev=energy, columns=columns)
    return gathered.finish()


def _settings_of_entry(parameters: Mapping[str, object], structure: Structure) -> dict[str, object]:
    """Settings that are no single values: +U and pseudopotentials by element."""
    found: dict[str, object] = {}
    used = parameters.get("hubbards")
    if isinstance(used, dict):
        symbols = {site.specie.symbol for site in structure if structure.is_ordered}
        found |= {f"hubbard_u_{symbol}": float(used.get(symbol, 0.0)) for symbol in sorted(symbols)}
    specs, titles = parameters.get("potcar_spec"), parameters.get("potcar_symbols")
    if isinstance(specs, list):
        found |= potentials(str(spec.get("titel") or "") for spec in specs if isinstance(spec, dict))
    elif isinstance(titles, list):
        found |= potentials(str(title) for title in titles)
    incar = parameters.get("incar")
    if isinstance(incar, dict) and "ENCUT" in incar:
        found["cutoff"] = incar["ENCUT"]
    return found


@dataclass(frozen=True, slots=True)
class Format:
    """A way to write candidates down, by what reads all frames of a file or folder, or raises one error with all that is wrong."""

    read: Callable[[Path], Frames]
    is_folder: bool = False


FORMATS: dict[str, Format] = {
    "extxyz": Format(read_frames),
    "ase": Format(read_ase_database),
    "entries": Format(read_entries),
    "files": Format(read_structure_files, is_folder=True),
    "vasprun": Format(read_vaspruns, is_folder=True),
    "traj": Format(read_trajectory),
}
"""The formats by name: extended XYZ, plain or gzipped; an ASE database, `.db` or `.json`; a JSON list of pymatgen's
`ComputedStructureEntry`, plain or compressed; a folder of POSCAR or CIF files with a CSV table of their energies, that table, or a
file of many POSCARs; a folder tree of `vasprun.xml` files; ASE's trajectory. A format is one reader and one line here."""


def read_pool(path: Path, pool_format: str | None = None) -> Frames:
    """All frames of a file or folder, whatever its format, which is told by what is there if not given.

    They are in the source's order; structures that share a prototype's label are numbered (see `number_shared_labels`).
    """
    chosen = _chosen(path, pool_format)
    frames = FORMATS[chosen].read(path)
    return frames if chosen == "extxyz" else number_shared_labels(frames)


class Kept(NamedTuple):
    """A pool as a campaign keeps it: extended XYZ, and what was said of the source that it does not hold."""

    content: bytes
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def keep_pool(path: Path, pool_format: str | None = None) -> Kept:
    """A pool as a campaign keeps it: the file itself if it is extended XYZ, else its frames written as such, always the same."""
    chosen = _chosen(path, pool_format)
    if chosen == "extxyz":
        return Kept(_read(path))
    frames = FORMATS[chosen].read(path)
    return Kept(format_frames(frames.frames), frames.faults, frames.notes)


def detect_format(path: Path) -> str:
    """The format of what is at a path, if that is a pool of one kind: by its content, not its name; CSV tables by their name."""
    if path.is_dir():
        return _format_of_folder(path)
    head = _read(path, _HEAD)
    if head.startswith(SQLITE_MAGIC):
        return "ase"
    if is_workbook(head):
        raise InvalidPoolError(f"{path}: {WORKBOOK}")
    if is_table_file(path) or is_structure_file(path):
        return "files"
    if head.startswith(TRAJECTORY_MAGIC):
        return "traj"
    return _format_of_text(path, head)


def _chosen(path: Path, pool_format: str | None) -> str:
    """The format that was asked for, or the one that is there."""
    chosen = detect_format(path) if pool_format is None else pool_format
    if not path.exists():
        raise InvalidPoolError(f"{path}: expected a pool, found no file or folder of this name. Correct the path.")
    if chosen not in FORMATS:
        raise InvalidPoolError(f"pool.format: expected one of {', '.join(map(repr, FORMATS))}, found {chosen!r}.")
    is_one = chosen == "files" and (is_table_file(path) or is_structure_file(path))
    if path.is_dir() != FORMATS[chosen].is_folder and not is_one:
        found = "a folder" if path.is_dir() else "a file"
        raise InvalidPoolError(
            f'{path}: expected what pool.format = "{chosen}" reads, found {found}. '
            "Correct pool.path, or leave pool.format out."
        )
    return chosen


def _format_of_folder(folder: Path) -> str:
    """Calculations or structure files."""
    if find_vaspruns(folder):
        tables = find_tables(folder)
        if any("energy" in read_table(table).header for table in tables):
            raise InvalidPoolError(
                f"{folder}: expected vasprun.xml files, or structure files with a table of energies, found both. Set pool.format "
                '= "vasprun" or "files".'
            )
        return "vasprun"
    if find_structures(folder):
        return "files"
    n_files = sum(1 for path in folder.rglob("*") if path.is_file())
    raise InvalidPoolError(
        f"{folder}: expected vasprun.xml, POSCAR or CIF files in the folder, found none among {n_files} files. Name a folder "
        "of calculations or structures, or a pool file."
    )


def _format_of_text(path: Path, head: bytes) -> str:
    """JSON of either kind, or else extended XYZ; plain or gzipped."""
    first = _first_character(path)
    is_ase = first == b"{" and {"ids", "nextid"} <= read_json(path).keys()
    if is_gzipped(head) and (is_ase or first == SQLITE_MAGIC[:1]):
        raise InvalidPoolError(f"{path}: expected an ASE database as it is, found it gzipped. Unpack it.")
    if first == b"<":
        raise InvalidPoolError(
            f"{path}: expected a pool, found XML. For vasprun.xml files, name the folder that holds them."
        )
    if is_ase:
        return "ase"
    return "entries" if first in {b"[", b"{"} else "extxyz"


def _first_character(path: Path) -> bytes:
    """The first character of a content that is no space, decompressed."""
    try:
        return decompressed(_read(path)).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    except DAMAGED:
        return what_is_left(_read(path)).lstrip()[:1]  # the reader says what is wrong


def _read(path: Path, size: int = -1) -> bytes:
    """The content of a file, or its first bytes."""
    try:
        with path.open("rb") as stream:
            return stream.read(size)
    except OSError as error:
        found = f"found none that can be read: {error.strerror}"
        raise InvalidPoolError(f"{path}: expected a pool, {found}. Correct the path.") from error
