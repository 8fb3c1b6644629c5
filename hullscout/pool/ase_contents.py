"""What files of ASE (trajectories, `.gpw`, databases) ask to have made of them, looked at before ASE reads them.

ASE's JSON names objects that are made when it is read, and arrays by their shape. Such files are data: cells and arrays that the
file has the numbers for, and the constraints that a structure may carry, are made; anything else that is named is a FrameError.
"""

from __future__ import annotations

import math
import sqlite3
import struct
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.contents import json_of
from hullscout.errors import UnsafeFileError
from hullscout.pool.frames import FrameError
from hullscout.pool.plain_structures import dicts_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ULM_MAGICS = (b"- of Ulm", b"AFFormat")
SQLITE_MAGIC = b"SQLite format 3\0"
_OBJECTS = frozenset({"cell"})
_CONSTRAINTS = frozenset(
    {
        "FixAtoms", "FixCartesian", "FixScaled", "FixedPlane", "FixedLine", "FixCom", "FixSubsetCom", "FixBondLength",
        "FixBondLengths", "FixLinearTriatomic", "FixInternals", "Hookean", "ExternalForce", "MirrorForce", "MirrorTorque",
    }
)  # fmt: skip
_HEAD = struct.Struct("<8s16sqqq")
_LENGTH = struct.Struct("<q")
_JSON_COLUMNS = ("key_value_pairs", "calculator_parameters", "constraints")


def refuse_objects(content: bytes) -> None:
    """A FrameError where a content that ASE reads asks for objects other than plain ones; a ValueError where it is damaged."""
    if content.startswith(ULM_MAGICS):
        for item in _ulm_items(content):
            refuse_objects_in(item)
            _refuse_arrays(item, len(content))
    elif content.lstrip()[:1] == b"{":
        refuse_objects_in(json_of(content))


def _ulm_items(content: bytes) -> Iterator[Any]:
    """The plain JSON of each item of a file of ASE's ULM format, as `ase.io.ulm` lays it out."""
    if len(content) < _HEAD.size:
        raise ValueError("it is cut off")
    *_, n_items, place = _HEAD.unpack_from(content)
    if not 0 <= place <= len(content) or not 0 <= n_items <= (len(content) - place) // _LENGTH.size:
        raise ValueError("it is cut off")
    for offset in struct.unpack_from(f"<{n_items}q", content, place):
        if not 0 <= offset <= len(content) - _LENGTH.size:
            raise ValueError("it is cut off")
        (size,) = _LENGTH.unpack_from(content, offset)
        start = offset + _LENGTH.size
        if not 0 <= size <= len(content) - start:
            raise ValueError("it is cut off")
        yield json_of(content[start : start + size])


def _refuse_arrays(item: object, n_bytes: int) -> None:
    """A FrameError for an array that is larger than the file that is to hold it."""
    for found in dicts_in(item):
        stated = found.get("ndarray")
        if isinstance(stated, list) and len(stated) == 3:
            shape, kind, offset = stated
            size = math.prod(map(int, shape)) * _plain_type(kind).itemsize
            if min([0, *map(int, shape)]) < 0 or not 0 <= int(offset) <= n_bytes - size:
                raise FrameError(f"expected an array within the file, found one of the shape {shape}")


def refuse_objects_in(tree: object) -> None:
    """A FrameError where ASE's JSON names objects, arrays or constraints that are no plain ones."""
    for found in dicts_in(tree):
        named = found.get("__ase_objtype__")
        if named is not None and named not in _OBJECTS:
            raise FrameError(f"expected data, found a request to make {str(named)[:60]!r}: nothing from a file is run")
        if (array := found.get("__ndarray__")) is not None:
            _refuse_array(array)
        constraint = (
            found.get("name", found.get("__name__"))
            if {"name", "kwargs"} == found.keys() or "__name__" in found
            else None
        )
        if constraint is not None and str(constraint).rpartition(".")[2] not in _CONSTRAINTS:
            raise FrameError(
                f"expected constraints of atoms, found {str(constraint)[:60]!r}: nothing from a file is run"
            )
        if isinstance(text := found.get("constraints"), str):
            refuse_objects_in(json_of(text))


def _refuse_array(stated: object) -> None:
    if (
        not isinstance(stated, list)
        or len(stated) != 3
        or not isinstance(stated[0], list)
        or not isinstance(stated[2], list)
    ):
        raise FrameError("expected an array as shape, type and numbers, found something else")
    shape, kind, values = stated
    per_value = 2 if _plain_type(kind).kind == "c" else 1
    if math.prod(map(int, shape)) * per_value != len(values):
        raise FrameError(f"expected as many numbers as an array of the shape {shape} has, found {len(values)}")


def _plain_type(kind: object) -> np.dtype[Any]:
    found = np.dtype(str(kind))
    if found.kind not in "biufcUS" or found.itemsize > 1000:
        raise FrameError(f"expected an array of numbers, found one of {str(kind)[:60]!r}")
    return found


def refuse_written(path: Path) -> None:
    """An UnsafeFileError for an SQLite database that is being written, or that a writer left half done."""
    for suffix in ("-wal", "-journal"):
        beside = path.with_name(path.name + suffix)
        if beside.is_file() and beside.stat().st_size:
            raise UnsafeFileError(
                f"{path}: expected a database that is closed, found {beside.name} beside it. Close what writes it, or open it "
                "once by `ase db`, and read it then."
            )


def sqlite_tables(plain: Path) -> set[str]:
    """The tables of an SQLite database that holds nothing that is run when it is read: no views, triggers or virtual tables.

    Raises:
        sqlite3.Error: It is damaged.
        FrameError: It holds such.
    """
    with closing(_read_only(plain)) as connection:
        (damage,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if damage != "ok":
            raise sqlite3.DatabaseError(f"the database is damaged ({' '.join(damage.split())[:80]})")
        made = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
    for kind, name, sql in made:
        if kind not in {"table", "index"} or "virtual" in str(sql or "").lower().split("(")[0].split():
            raise FrameError(
                f"expected a database of tables, found the {kind} {str(name)[:60]!r}: nothing from a file is run"
            )
    return {str(name) for kind, name, _ in made if kind == "table"}


def sqlite_rows(plain: Path) -> dict[int, str]:
    """What is wrong with each row of an ASE database by its number, empty where nothing is."""
    found: dict[int, str] = {}
    with closing(_read_only(plain)) as connection:
        connection.text_factory = bytes
        columns = {str(row[1], "utf-8", "replace") for row in connection.execute("PRAGMA table_info(systems)")}
        wanted = [name for name in _JSON_COLUMNS if name in columns]
        n_atoms = [name for name in ("natoms", "numbers") if name in columns]
        for number, *texts in connection.execute(f"SELECT id, {', '.join([*wanted, *n_atoms])} FROM systems"):  # noqa: S608
            found[number] = _fault_of(texts[: len(wanted)], texts[len(wanted) :])
        for number, fault in _stated_otherwise(connection):
            found[number] = found.get(number) or fault
    return found


def _stated_otherwise(connection: sqlite3.Connection) -> Iterator[tuple[int, str]]:
    """Rows whose keys stand with another value in the tables that they are looked up by."""
    for table, plain in (("text_key_values", bytes.decode), ("number_key_values", float)):
        try:
            stated = connection.execute(f"SELECT id, key, value FROM {table} WHERE value IS NOT NULL").fetchall()  # noqa: S608
            texts = dict(connection.execute("SELECT id, key_value_pairs FROM systems"))
        except sqlite3.OperationalError:  # a database without this table or column
            continue
        pairs = {number: _plain_pairs(text) for number, text in texts.items()}
        for number, key, value in stated:
            try:
                name, found = key.decode(), plain(value)
            except (ValueError, TypeError) as error:
                yield number, f"its keys cannot be read: {error}"
                continue
            if (held := pairs.get(number, {}).get(name, found)) != found:
                yield number, f"its key {name!r} is stated twice: {held!r}, and {found!r} in the table of keys"


def _plain_pairs(text: bytes | None) -> dict[str, Any]:
    """The keys of a row; none where they cannot be read, which is a fault of its own."""
    try:
        found = json_of(text.decode()) if isinstance(text, bytes) else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _fault_of(texts: list[bytes | None], n_atoms: list[Any]) -> str:
    try:
        for text in texts:
            if isinstance(text, bytes) and text.lstrip()[:1] in {b"{", b"["}:
                refuse_objects_in(json_of(text.decode()))
    except (FrameError, ValueError, TypeError, OverflowError) as error:
        return str(error) or type(error).__name__
    if len(n_atoms) == 2 and isinstance(n_atoms[0], int) and isinstance(n_atoms[1], bytes):
        n_stated, n_found = n_atoms[0], len(n_atoms[1]) // np.dtype(np.int32).itemsize
        return "" if n_stated == n_found else f"expected the {n_stated} atoms of `natoms`, found {n_found}"
    return ""


def _read_only(plain: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{plain.resolve().as_uri()}?mode=ro", uri=True)
