"""Pools in every form that is read: one interface, the same checks, the same faults whatever the format.

A campaign keeps any of them as extended XYZ, but Parquet as it is (`keep_pool`). A format is one reader and one line of the table
here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from hullscout.contents import DAMAGED, decompressed, is_gzipped, raw_content, what_is_left
from hullscout.errors import HullscoutError, InvalidPoolError, UnsafeFileError
from hullscout.files import WORKBOOK, is_workbook
from hullscout.pool.ase_contents import SQLITE_MAGIC
from hullscout.pool.calculations import (
    VASPRUN,
    find_atat_folders,
    find_calculations,
    promised_kind,
    read_atat,
    read_calculations,
    read_vaspruns,
)
from hullscout.pool.columnar import MAGIC as PARQUET_MAGIC
from hullscout.pool.columnar import read_columnar, read_columns
from hullscout.pool.databases import read_ase_database
from hullscout.pool.entries import read_entries, read_json
from hullscout.pool.extxyz import parse_frames, read_frames
from hullscout.pool.folders import find_tables, is_table_file, links_out, read_table
from hullscout.pool.frames import Frames, number_shared_labels, shown_ids
from hullscout.pool.structure_files import find_structures, is_structure_file, read_structure_files
from hullscout.pool.trajectories import TRAJECTORY_MAGIC, read_trajectory
from hullscout.pool.writing import format_frames

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_HEAD = 4096


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
    "calculations": Format(read_calculations, is_folder=True),
    "atat": Format(read_atat, is_folder=True),
    "traj": Format(read_trajectory),
    "parquet": Format(read_columnar),
}
"""The formats by name: extended XYZ; an ASE database, `.db` or `.json`; a JSON list of pymatgen's `ComputedStructureEntry` or of a
database's documents; a folder of POSCAR or CIF files with a CSV table of their energies, that table, or a file of many POSCARs; a
folder tree of `vasprun.xml` files, of calculations of any code that is read, or of ATAT's maps; ASE's trajectory; Parquet. A format
is one reader and one line here."""
_KEPT_AS_IT_IS = ("extxyz", "parquet")


def read_pool(path: Path, pool_format: str | None = None) -> Frames:
    """All frames of a file or folder, whatever its format, which is told by what is there if not given.

    They are in the source's order; structures that share a prototype's label are numbered (see `number_shared_labels`).
    """
    chosen = _chosen(path, pool_format)
    frames = _read_as(chosen, path)
    return frames if chosen in _KEPT_AS_IT_IS else number_shared_labels(frames)


def _read_as(chosen: str, path: Path) -> Frames:
    """All frames by one format; links that lead out of a folder are said, and whatever else goes wrong is told of this path."""
    try:
        frames = FORMATS[chosen].read(path)
        left = links_out(path) if path.is_dir() else []
    except HullscoutError:
        raise
    except Exception as error:  # a library may raise anything at what came from outside
        what = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise InvalidPoolError(
            f"{path}: expected a pool that can be read as {chosen!r}, found none ({what}). Look at it, or name another format."
        ) from error
    tests = (is_structure_file, is_table_file, promised_kind)
    named = [place for place in left if any(test(path / place) for test in tests)]
    faults = [f"{place}: a link that leads out of the folder is not followed: copy the file" for place in named]
    others = [place for place in left if place not in named]
    notes = [f"Not followed, since they lead out of the folder: the links {shown_ids(others)}."] if others else []
    return replace(frames, faults=(*frames.faults, *faults), notes=(*frames.notes, *notes)) if left else frames


class Kept(NamedTuple):
    """A pool as a campaign keeps it: extended XYZ or Parquet, and what was said of the source that it does not hold."""

    content: bytes
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def keep_pool(path: Path, pool_format: str | None = None) -> Kept:
    """A pool as a campaign keeps it: the file itself if it is extended XYZ or Parquet, else its frames as extended XYZ."""
    chosen = _chosen(path, pool_format)
    if chosen in _KEPT_AS_IT_IS:
        return Kept(_read(path))
    frames = _read_as(chosen, path)
    return Kept(format_frames(frames.frames), frames.faults, frames.notes)


def kept_frames(content: bytes, *, path: Path) -> Frames:
    """All frames of a pool as a campaign keeps it; the path is what errors name."""
    return (read_columns if content.startswith(PARQUET_MAGIC) else parse_frames)(content, path=path)


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
    for magic, name in ((TRAJECTORY_MAGIC, "traj"), (PARQUET_MAGIC, "parquet")):
        if head.startswith(magic):
            return name
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
    """Calculations, ATAT's structures or structure files."""
    if find_atat_folders(folder):
        return "atat"
    if kinds := set(find_calculations(folder).values()):
        tables = find_tables(folder)
        chosen = "vasprun" if kinds == {VASPRUN} else "calculations"
        if any("energy" in read_table(table).header for table in tables):
            what = "vasprun.xml files" if chosen == "vasprun" else "calculations"
            raise InvalidPoolError(
                f"{folder}: expected {what}, or structure files with a table of energies, found both. Set pool.format "
                f'= "{chosen}" or "files".'
            )
        return chosen
    if find_structures(folder):
        return "files"
    n_files = sum(1 for path in folder.rglob("*") if path.is_file())
    links = " Links that lead out of it are not followed." if links_out(folder) else ""
    raise InvalidPoolError(
        f"{folder}: expected vasprun.xml, POSCAR or CIF files in the folder, or other calculations, found none among {n_files} "
        f"files. Name a folder of calculations or structures, or a pool file.{links}"
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
    raw = _read(path)
    try:
        return _first(decompressed(raw))
    except UnsafeFileError as error:
        raise InvalidPoolError(f"{path}: {error}.") from error
    except DAMAGED:
        return _first(what_is_left(raw))  # the reader says what is wrong


def _first(content: bytes) -> bytes:
    found = re.search(rb"[^\s]", content.removeprefix(b"\xef\xbb\xbf"))
    return found[0] if found else b""


def _read(path: Path, size: int | None = None) -> bytes:
    """The content of a file, or its first bytes."""
    try:
        return raw_content(path, size)
    except UnsafeFileError as error:
        raise InvalidPoolError(str(error)) from error
    except OSError as error:
        found = f"found none that can be read: {error.strerror}"
        raise InvalidPoolError(f"{path}: expected a pool, {found}. Correct the path.") from error
