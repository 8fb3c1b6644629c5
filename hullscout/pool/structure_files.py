"""Folders of POSCAR and CIF files with a table of their energies, and files of many POSCARs.

The table beside structure files has the columns `id`, `file` (relative to the table; without it the file whose name begins like
the id), `energy` (eV per cell) and any others; a blank field states nothing. Files that it does not name have no energy. Where a
POSCAR stands beside a CONTCAR that is not empty, the CONTCAR is the structure. POSCARs one after the other in one file, as USPEX
writes them, are as many structures, named by the first words of their comment lines where these differ.
"""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from hullscout.contents import DAMAGED, content_of, leaves, text_of
from hullscout.errors import InvalidPoolError, UnsafeFileError
from hullscout.files import Table, number, without_compression
from hullscout.pool.folders import find_tables, in_order, is_table_file, read_table
from hullscout.pool.frames import FrameError, Frames, Gathered
from hullscout.pool.stated_counts import refuse_odd_poscar, refuse_odd_tags, refuse_other_formula, with_one_scale

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pymatgen.core.structure import Structure

SUFFIXES = (".cif", ".vasp", ".poscar")
_VASP_NAMES = ("POSCAR", "CONTCAR")
_MANY = "POSCARS"
_WORKBOOKS = (".xlsx", ".xls", ".ods")
_NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eEdD][+-]?[0-9]+)?"
_SCALE = re.compile(rf"\s*{_NUMBER}(\s+{_NUMBER}\s+{_NUMBER})?(\s.*)?")
_TRIPLE = re.compile(rf"\s*{_NUMBER}\s+{_NUMBER}\s+{_NUMBER}(\s.*)?")
_SYMBOLS = re.compile(r"\s*[A-Z][a-z]?\S*(\s+[A-Z][a-z]?\S*)*\s*")
_COUNTS = re.compile(r"\s*[0-9]{1,9}(\s+[0-9]{1,9})*\s*([!#].*)?")


class Place(NamedTuple):
    """Where a structure stands: a file, and its number in it, from 0, where there are several."""

    file: Path
    part: int | None = None


def find_structures(folder: Path) -> list[Path]:
    """POSCAR and CIF files anywhere in a folder: `*.cif`, `*.vasp`, `*.poscar`, `POSCAR*`, `CONTCAR*`, `*POSCARS`."""
    return in_order(folder, (path for path in folder.rglob("*") if is_structure_file(path)))


def is_structure_file(path: Path) -> bool:
    """Whether the name is that of a POSCAR or CIF file, or of one of many POSCARs."""
    name = without_compression(path.name)
    return name.lower().endswith(SUFFIXES) or name.startswith(_VASP_NAMES) or name.endswith(_MANY)


def read_structure_files(path: Path) -> Frames:
    """All structures of a folder with at most one table directly in it, of a table's folder with what it states, or of one file."""
    folder = path if path.is_dir() else path.parent
    is_one = path.is_file() and not is_table_file(path)
    tables = [] if is_one else find_tables(folder) if path.is_dir() else [path]
    if len(tables) > 1:
        raise InvalidPoolError(
            f"{path}: expected one CSV file with the energies, found {', '.join(table.name for table in tables)}. Name one of "
            "them as pool.path, or move the others away."
        )
    gathered = Gathered(path)
    files = [path] if is_one else _without_starts(find_structures(folder), gathered)
    if not files:
        raise InvalidPoolError(
            f"{folder}: expected structures as {', '.join(SUFFIXES)}, POSCAR or CONTCAR files, found none. Put them there."
        )
    by_id, texts = _places(files, folder)
    if is_one and all(place.part is None for places in by_id.values() for place in places):
        raise InvalidPoolError(
            f"{path}: expected a pool, found a file with one structure. Name the folder that holds such files."
        )
    for workbook in sorted(f.name for f in folder.iterdir() if f.suffix.lower() in _WORKBOOKS and not is_one):
        gathered.note(f"{workbook} is not read. What it states is read from a table saved as CSV.")
    listed = _add_listed(gathered, read_table(tables[0]), folder, by_id, texts) if tables else set()
    for name, places in by_id.items():
        left = [place for place in places if place not in listed]
        if len(left) > 1:
            shown = " and ".join(place.file.relative_to(folder).as_posix() for place in left)
            gathered.faults.append(
                f"{name}: expected one file, found {shown}: name the one meant in the table, or remove it"
            )
        elif left and len(places) == 1:
            _add(gathered, left[0], texts, name=name, energy_ev=None, columns={})
    return gathered.finish()


def _without_starts(files: list[Path], gathered: Gathered) -> list[Path]:
    """The files without POSCARs beside a CONTCAR, or empty CONTCARs beside a POSCAR."""
    plain = {(file.parent, without_compression(file.name)): file for file in files}
    left = []
    for file in files:
        name = without_compression(file.name)
        other = {"POSCAR": "CONTCAR", "CONTCAR": "POSCAR"}.get(name)
        beside = plain.get((file.parent, other or ""))
        contcar = file if name == "CONTCAR" else beside
        is_filled = contcar is not None and contcar.stat().st_size > 0
        if beside is None or is_filled == (name == "CONTCAR"):
            left.append(file)
        if beside is not None and is_filled:
            gathered.note("Where a POSCAR stands beside a CONTCAR that is not empty, the CONTCAR is taken.")
    return left


def _places(files: list[Path], folder: Path) -> tuple[dict[str, list[Place]], dict[Path, list[str]]]:
    """Where structures stand by their ids, and the texts of the POSCARs in files of several."""
    by_id: defaultdict[str, list[Place]] = defaultdict(list)
    texts: dict[Path, list[str]] = {}
    for file in files:
        name = structure_id(file, folder)
        try:
            parts = [] if _is_cif(file) else split_poscars(_text(file))
        except (FrameError, OSError):
            parts = []  # what is wrong is said where it is read
        if len(parts) < 2:
            by_id[name].append(Place(file))
            continue
        texts[file] = parts
        comments = [part.partition("\n")[0].strip() for part in parts]
        firsts = [(comment.split() or [""])[0] for comment in comments]
        names = next(
            (each for each in (firsts, comments) if all(each) and len(set(each)) == len(each)),
            [f"{name}-{number}" for number in range(1, len(parts) + 1)],
        )
        for part, each in enumerate(names):
            by_id[each].append(Place(file, part))
    return by_id, texts


def split_poscars(text: str) -> list[str]:
    """The POSCARs that stand one after the other in a text; velocities and what else VASP writes behind are of the one before."""
    lines = text.splitlines()
    starts = [0]
    place = _end_of_atoms(lines, 0)
    while place < len(lines):
        if _is_header(lines, place):
            starts.append(place)
            place = _end_of_atoms(lines, place)
        else:
            place += 1
    return ["\n".join(lines[one:other]) + "\n" for one, other in zip(starts, [*starts[1:], len(lines)], strict=True)]


def _is_header(lines: list[str], place: int) -> bool:
    """Whether a POSCAR begins at a line: comment, scale, three vectors, symbols and numbers, or numbers alone."""
    head = lines[place : place + 8]
    if len(head) < 7 or not _SCALE.fullmatch(head[1]) or not all(_TRIPLE.fullmatch(line) for line in head[2:5]):
        return False
    if _SYMBOLS.fullmatch(head[5]):
        return _COUNTS.fullmatch(head[6]) is not None
    return _COUNTS.fullmatch(head[5]) is not None and head[6].strip()[:1].isalpha()


def _end_of_atoms(lines: list[str], start: int) -> int:
    """The line after the last atom of the POSCAR that begins at a line; the end where it does not begin like one."""
    if not _is_header(lines, start):
        return len(lines)
    counts = start + (6 if _SYMBOLS.fullmatch(lines[start + 5]) else 5)
    n_atoms = sum(int(count) for count in re.split(r"[!#]", lines[counts])[0].split())
    mode = counts + 1
    if mode < len(lines) and lines[mode].strip()[:1] in {"s", "S"}:
        mode += 1
    return min(mode + 1 + n_atoms, len(lines))


def structure_id(path: Path, folder: Path) -> str:
    """The id of a file without a table: its path in the folder without its suffix; that of its folder for a plain POSCAR."""
    relative = path.relative_to(folder)
    relative = relative.with_name(without_compression(relative.name))
    if relative.name.lower().endswith(SUFFIXES):
        return relative.with_suffix("").as_posix()
    if relative.name in _VASP_NAMES and relative.parent.as_posix() != ".":
        return relative.parent.as_posix()
    return relative.as_posix()


def _add_listed(
    gathered: Gathered, table: Table, folder: Path, by_id: Mapping[str, list[Place]], texts: Mapping[Path, list[str]]
) -> set[Place]:
    """Add the structures that a table names; returns where they stand, and what stands beside them as their start."""
    listed: set[Place] = set()
    for row in table.rows:
        columns = {key: value for key, value in row.cells.items() if key not in {"id", "file", "energy"}}
        with gathered.reading(f"{table.path.name}, line {row.line}"):
            place = _place_of(row.cells, folder, by_id, texts)
            listed.update({place, *_relaxed(place)})
            energy = None  # eV per cell
            if text := row.cells.get("energy"):
                energy = number(text, FrameError(f"expected energy as a number in eV per cell, found {text!r}"))
            name = row.cells.get("id") or structure_id(place.file, folder)
            _add(gathered, place, texts, name=name, energy_ev=energy, columns=columns)
    return listed


def _relaxed(place: Place) -> Iterator[Place]:
    """The CONTCARs beside a POSCAR that a table names."""
    if without_compression(place.file.name) == "POSCAR":
        yield from (Place(file) for file in place.file.parent.glob("CONTCAR*"))


def _place_of(
    stated: Mapping[str, str], folder: Path, by_id: Mapping[str, list[Place]], texts: Mapping[Path, list[str]]
) -> Place:
    """The structure of a row."""
    if "file" in stated:
        file = folder / stated["file"]
        if leaves(folder, file):
            raise FrameError(f"expected a file in {folder}, found {stated['file']!r}, which leads out of it")
        if not file.is_file():
            raise FrameError(f"expected the structure file {stated['file']!r} in {folder}, found none")
        among = [place for place in by_id.get(stated.get("id", ""), []) if place.file == file]
        if file in texts and len(among) != 1:
            raise FrameError(f"expected one structure in {file.name}, found {len(texts[file])}: name each by its id")
        return among[0] if file in texts else Place(file)
    if "id" not in stated:
        raise FrameError("expected an id or a file, found neither")
    places = by_id.get(stated["id"], [])
    if len(places) != 1:
        found = " and ".join(place.file.name for place in places) or "none"
        raise FrameError(f"expected one structure file for id {stated['id']!r}, found {found}: name it in `file`")
    return places[0]


def _is_cif(file: Path) -> bool:
    return without_compression(file.name).lower().endswith(".cif")


def _text(file: Path) -> str:
    try:
        return text_of(content_of(file))
    except UnsafeFileError as error:
        raise FrameError(str(error).removeprefix(f"{file}: ").rstrip(".")) from error
    except DAMAGED as error:
        raise FrameError(f"expected text, plain or compressed, found none that can be read: {error}") from error


def _add(
    gathered: Gathered,
    place: Place,
    texts: Mapping[Path, list[str]],
    *,
    name: str,
    energy_ev: float | None,
    columns: dict[str, str],
) -> None:
    """Read a POSCAR or CIF file by pymatgen; what goes wrong becomes a fault."""
    from pymatgen.io.vasp.inputs import BadPoscarWarning  # noqa: PLC0415  (late: slow to import)

    file, is_cif = place.file, _is_cif(place.file)
    with gathered.reading(f"{file.name} (id {name!r})", " as CIF" if is_cif else " as POSCAR"):
        warnings.simplefilter("error", BadPoscarWarning)  # no symbols, and others made up for them
        text = _text(file) if place.part is None else texts[file][place.part]
        try:
            structure, *others = _structures_of_cif(text) if is_cif else [structure_of_poscar(text)]
        except BadPoscarWarning as error:
            symbols = "element symbols above the numbers of atoms, as VASP 5 has them, found none. Write them there"
            raise FrameError(f"expected {symbols}") from error
        if others:
            raise FrameError(f"expected one structure, found {len(others) + 1}: give each a file of its own")
        gathered.add(structure, name=name, energy_ev=energy_ev, columns=columns)


def _structures_of_cif(text: str) -> list[Structure]:
    from pymatgen.io.cif import CifParser  # noqa: PLC0415  (late: slow to import)

    refuse_odd_tags(text)
    parser = CifParser.from_str(text)
    structures: list[Structure] = parser.parse_structures(primitive=False, on_error="raise")
    if len(structures) == 1 and len(blocks := list(parser.as_dict().values())) == 1:
        refuse_other_formula({str(key).lower(): value for key, value in blocks[0].items()}, structures[0])
    return structures


def structure_of_poscar(text: str) -> Structure:
    """The structure of a POSCAR; a FrameError where it contradicts itself."""
    from pymatgen.io.vasp.inputs import Poscar  # noqa: PLC0415  (late: slow to import)

    refuse_odd_poscar(text)
    return Poscar.from_str(with_one_scale(text)).structure
