"""Pools in every form that is read: one interface, the same checks, the same faults whatever the format.

A campaign keeps any of them as extended XYZ (`pool_bytes`).
"""

from __future__ import annotations

import zlib
from enum import Enum
from typing import TYPE_CHECKING

from hullscout.errors import InvalidPoolError
from hullscout.files import is_gzipped
from hullscout.pool.extxyz import format_frames, read_frames
from hullscout.pool.formats.csv_table import find_tables, read_table
from hullscout.pool.formats.databases import SQLITE_MAGIC, read_ase_database, read_entries, read_json
from hullscout.pool.formats.structure_files import find_structures, is_structure_file, read_structure_files
from hullscout.pool.formats.vasprun import find_vaspruns, read_vaspruns
from hullscout.pool.frames import number_shared_labels

if TYPE_CHECKING:
    from pathlib import Path

    from hullscout.pool.frames import Frames

_HEAD = 4096


class PoolFormat(Enum):
    """How candidates are written down."""

    EXTXYZ = "extxyz"
    """Extended XYZ, plain or gzipped."""
    ASE = "ase"
    """An ASE database, `.db` or `.json`."""
    ENTRIES = "entries"
    """JSON list of pymatgen's `ComputedStructureEntry`, plain or gzipped."""
    FILES = "files"
    """A folder of POSCAR or CIF files with a CSV table of their energies; or that table."""
    VASPRUN = "vasprun"
    """A folder tree of `vasprun.xml` files."""


_READERS = {
    PoolFormat.ASE: read_ase_database,
    PoolFormat.ENTRIES: read_entries,
    PoolFormat.FILES: read_structure_files,
    PoolFormat.VASPRUN: read_vaspruns,
}


def read_pool(path: Path, pool_format: PoolFormat | None = None) -> Frames:
    """All frames of a file or folder, whatever its format, which is told by what is there if not given.

    They are in the source's order; structures that share a prototype's label are numbered (see `number_shared_labels`).

    Raises:
        InvalidPoolError: there is nothing, or it cannot be read in that format; all faults in one error.
    """
    chosen = _chosen(path, pool_format)
    if chosen is PoolFormat.EXTXYZ:
        return read_frames(path)
    return number_shared_labels(_READERS[chosen](path))


def pool_bytes(path: Path, pool_format: PoolFormat | None = None) -> bytes:
    """A pool as a campaign keeps it: the file itself if it is extended XYZ, else its frames written as such.

    The same pool gives the same bytes.

    Raises:
        InvalidPoolError: see `read_pool`.
    """
    chosen = _chosen(path, pool_format)
    if chosen is PoolFormat.EXTXYZ:
        try:
            return path.read_bytes()
        except OSError as error:
            raise _unreadable(path, error) from error
    return format_frames(_READERS[chosen](path).frames)


def detect_format(path: Path) -> PoolFormat:
    """The format of what is at a path: by its content, not its name; CSV tables by their name.

    Raises:
        InvalidPoolError: nothing there, no pool in the folder, or more than one kind.
    """
    if path.is_dir():
        return _format_of_folder(path)
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError as error:
        raise _unreadable(path, error) from error
    if head.startswith(SQLITE_MAGIC):
        return PoolFormat.ASE
    if path.suffix.lower() == ".csv":
        return PoolFormat.FILES
    return _format_of_text(path, head)


def _chosen(path: Path, pool_format: PoolFormat | None) -> PoolFormat:
    """The format that was asked for, or the one that is there."""
    chosen = detect_format(path) if pool_format is None else pool_format
    if not path.exists():
        raise InvalidPoolError(f"{path}: expected a pool, found no file or folder of this name. Correct the path.")
    if path.is_dir() != (chosen in {PoolFormat.VASPRUN, PoolFormat.FILES}) and not (
        chosen is PoolFormat.FILES and path.suffix.lower() == ".csv"
    ):
        found = "a folder" if path.is_dir() else "a file"
        raise InvalidPoolError(
            f'{path}: expected what pool.format = "{chosen.value}" reads, found {found}. '
            "Correct pool.path, or leave pool.format out."
        )
    return chosen


def _format_of_folder(folder: Path) -> PoolFormat:
    """Calculations or structure files."""
    if find_vaspruns(folder):
        tables = find_tables(folder)
        if any("energy" in read_table(table).header for table in tables):
            raise InvalidPoolError(
                f"{folder}: expected vasprun.xml files, or structure files with a table of energies, found both. Set pool.format "
                '= "vasprun" or "files".'
            )
        return PoolFormat.VASPRUN
    if find_structures(folder):
        return PoolFormat.FILES
    n_files = sum(1 for path in folder.rglob("*") if path.is_file())
    raise InvalidPoolError(
        f"{folder}: expected vasprun.xml, POSCAR or CIF files in the folder, found none among {n_files} files. Name a folder "
        "of calculations or structures, or a pool file."
    )


def _format_of_text(path: Path, head: bytes) -> PoolFormat:
    """JSON of either kind, or else extended XYZ; plain or gzipped."""
    first = _first_character(head)
    is_ase = first == b"{" and {"ids", "nextid"} <= read_json(path).keys()
    if is_gzipped(head) and (is_ase or first == SQLITE_MAGIC[:1]):
        raise InvalidPoolError(f"{path}: expected an ASE database as it is, found it gzipped. Unpack it.")
    if is_structure_file(path):
        raise InvalidPoolError(
            f"{path}: expected a pool, found a file with one structure. Name the folder that holds such files."
        )
    if first == b"<":
        raise InvalidPoolError(
            f"{path}: expected a pool, found XML. For vasprun.xml files, name the folder that holds them."
        )
    if is_ase:
        return PoolFormat.ASE
    return PoolFormat.ENTRIES if first in {b"[", b"{"} else PoolFormat.EXTXYZ


def _first_character(head: bytes) -> bytes:
    """The first character of a content that is no space, decompressed if it begins like gzip."""
    if is_gzipped(head):
        try:
            head = zlib.decompressobj(wbits=31).decompress(head, _HEAD)  # 31: gzip; a head is no whole file
        except zlib.error:
            return b""  # the reader says what is wrong
    return head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]


def _unreadable(path: Path, error: OSError) -> InvalidPoolError:
    return InvalidPoolError(
        f"{path}: expected a pool, found none that can be read: {error.strerror}. Correct the path."
    )
