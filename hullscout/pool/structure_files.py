"""Folders of POSCAR and CIF files with a table of their energies.

The CSV table beside structure files has the columns `id`, `file` (relative to the table; without it the file whose name begins like
the id), `energy` (eV per cell) and any others; a blank field states nothing. Files that it does not name have no energy.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from typing import TYPE_CHECKING

from hullscout.errors import InvalidPoolError
from hullscout.files import Table, number
from hullscout.pool.folders import find_tables, in_order, read_table
from hullscout.pool.frames import FrameError, Frames, Gathered

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES = (".cif", ".vasp", ".poscar")
_VASP_NAMES = ("POSCAR", "CONTCAR")


def find_structures(folder: Path) -> list[Path]:
    """POSCAR and CIF files anywhere in a folder: `*.cif`, `*.vasp`, `*.poscar`, `POSCAR*`, `CONTCAR*`."""
    return in_order(folder, (path for path in folder.rglob("*") if is_structure_file(path)))


def is_structure_file(path: Path) -> bool:
    """Whether the name is that of a POSCAR or CIF file."""
    return path.suffix.lower() in SUFFIXES or path.name.startswith(_VASP_NAMES)


def read_structure_files(path: Path) -> Frames:
    """All structures of a folder with at most one CSV file directly in it, or of a CSV file's folder, with what the file states."""
    folder = path if path.is_dir() else path.parent
    tables = find_tables(folder) if path.is_dir() else [path]
    if len(tables) > 1:
        raise InvalidPoolError(
            f"{path}: expected one CSV file with the energies, found {', '.join(table.name for table in tables)}. Name one of "
            "them as pool.path, or move the others away."
        )
    by_id: defaultdict[str, list[Path]] = defaultdict(list)
    for found in find_structures(folder):
        by_id[structure_id(found, folder)].append(found)
    if not by_id:
        raise InvalidPoolError(
            f"{folder}: expected structures as {', '.join(SUFFIXES)}, POSCAR or CONTCAR files, found none. Put them there."
        )
    gathered = Gathered(path)
    listed = _add_listed(gathered, read_table(tables[0]), folder, by_id) if tables else set()
    for name, files in by_id.items():
        files_left = [file for file in files if file not in listed]
        if len(files_left) > 1:
            shown = " and ".join(file.relative_to(folder).as_posix() for file in files_left)
            gathered.faults.append(
                f"{name}: expected one file, found {shown}: name the one meant in the table, or remove it"
            )
        elif files_left and len(files) == 1:
            _add(gathered, files_left[0], name=name, energy_ev=None, columns={})
    return gathered.finish()


def structure_id(path: Path, folder: Path) -> str:
    """The id of a file without a table: its path in the folder without its suffix; that of its folder for a plain POSCAR."""
    relative = path.relative_to(folder)
    if path.suffix.lower() in SUFFIXES:
        return relative.with_suffix("").as_posix()
    if path.name in _VASP_NAMES and relative.parent.as_posix() != ".":
        return relative.parent.as_posix()
    return relative.as_posix()


def _add_listed(gathered: Gathered, table: Table, folder: Path, by_id: dict[str, list[Path]]) -> set[Path]:
    """Add the structures that a table names; returns their files."""
    listed: set[Path] = set()
    for row in table.rows:
        columns = {key: value for key, value in row.cells.items() if key not in {"id", "file", "energy"}}
        with gathered.reading(f"{table.path.name}, line {row.line}"):
            file = _file_of(row.cells, folder, by_id)
            energy = None  # eV per cell
            if text := row.cells.get("energy"):
                energy = number(text, FrameError(f"expected energy as a number in eV per cell, found {text!r}"))
            listed.add(file)
            name = row.cells.get("id") or structure_id(file, folder)
            _add(gathered, file, name=name, energy_ev=energy, columns=columns)
    return listed


def _file_of(stated: dict[str, str], folder: Path, by_id: dict[str, list[Path]]) -> Path:
    """The structure file of a row."""
    if "file" in stated:
        file = folder / stated["file"]
        if not file.is_file():
            raise FrameError(f"expected the structure file {stated['file']!r} in {folder}, found none")
        return file
    if "id" not in stated:
        raise FrameError("expected an id or a file, found neither")
    files = by_id.get(stated["id"], [])
    if len(files) != 1:
        found = " and ".join(file.name for file in files) or "none"
        raise FrameError(f"expected one structure file for id {stated['id']!r}, found {found}: name it in `file`")
    return files[0]


def _add(gathered: Gathered, file: Path, *, name: str, energy_ev: float | None, columns: dict[str, str]) -> None:
    """Read a POSCAR or CIF file by pymatgen; what goes wrong becomes a fault."""
    from pymatgen.io.cif import CifParser  # noqa: PLC0415  (late: slow to import)
    from pymatgen.io.vasp.inputs import BadPoscarWarning, Poscar  # noqa: PLC0415

    is_cif = file.suffix.lower() == ".cif"
    with gathered.reading(f"{file.name} (id {name!r})", " as CIF" if is_cif else " as POSCAR"):
        warnings.simplefilter("error", BadPoscarWarning)  # no symbols, and others made up for them
        text = file.read_text(encoding="utf-8")
        try:
            structure, *others = (
                CifParser.from_str(text).parse_structures(primitive=False, on_error="raise")
                if is_cif
                else [Poscar.from_str(text).structure]
            )
        except BadPoscarWarning as error:
            symbols = "element symbols above the numbers of atoms, as VASP 5 has them"
            raise FrameError(f"expected {symbols}: {error}") from error
        if others:
            raise FrameError(f"expected one structure, found {len(others) + 1}: give each a file of its own")
        gathered.add(structure, name=name, energy_ev=energy_ev, columns=columns)
