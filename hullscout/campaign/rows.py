"""The rows of a campaign's database: what their columns may hold, and the checksum that each row carries over what it means.

A flipped bit leaves a number a number: only the checksum tells. Databases of earlier versions have none; there, types and texts
are all that is looked at.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hullscout.oracle import FailureReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

CHECKSUM = "checksum"
CHECKSUM_BYTES = 16
MAX_NAMED = 5
"""Rows that a message names."""
_SQL_TYPES = {str: "TEXT", int: "INTEGER", float: "REAL", bytes: "BLOB"}
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What a column holds: its type, whether it may be empty, and what raises ValueError for a text that cannot stand there."""

    kind: type
    is_optional: bool = False
    check: Callable[[Any], object] = field(default=lambda _: None)

    def checked(self, value: Any) -> Any:
        """A value as it is kept; ValueError or TypeError where it cannot be kept."""
        if value is None and self.is_optional:
            return None
        if self.kind is float and isinstance(value, int | float) and not isinstance(value, bool):
            value = float(value) + 0.0  # no sign of zero: the database keeps none
            if math.isnan(value):
                raise ValueError("found no number")
        if not isinstance(value, self.kind):
            raise TypeError(f"expected {_SQL_TYPES[self.kind]}, found {value!r:.80}")
        if isinstance(value, str):
            value.encode()
            value = "".join(value)  # no texts of another class, as those of enums
        self.check(value)
        return value


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """A table: its columns in their order, and those of them that tell its rows apart."""

    name: str
    columns: dict[str, Column]
    key: tuple[str, ...]

    @property
    def creation(self) -> str:
        """The statement that makes it; what is in force in a database is compared with it to the letter."""
        is_row_id = len(self.key) == 1 and self.columns[self.key[0]].kind is int
        parts = []
        for name, column in self.columns.items():
            end = "" if column.is_optional else " NOT NULL"
            parts.append(f"{name} {_SQL_TYPES[column.kind]}{' PRIMARY KEY' if is_row_id and name in self.key else end}")
        parts.append(f"{CHECKSUM} BLOB NOT NULL")
        if not is_row_id:
            parts.append(f"PRIMARY KEY ({', '.join(self.key)})")
        return f"CREATE TABLE {self.name} ({', '.join(parts)}) STRICT"

    @property
    def insertion(self) -> str:
        """The statement that adds a row; IntegrityError where it is there."""
        return f"INSERT INTO {self.name} VALUES ({', '.join('?' * (len(self.columns) + 1))})"  # noqa: S608  names of ours

    @property
    def replacement(self) -> str:
        """The statement that adds a row, or changes it where it stands."""
        changed = ", ".join(f"{name} = excluded.{name}" for name in (*self.columns, CHECKSUM) if name not in self.key)
        return f"{self.insertion} ON CONFLICT ({', '.join(self.key)}) DO UPDATE SET {changed}"

    @property
    def removal(self) -> str:
        """The statement that removes a row by its key."""
        return f"DELETE FROM {self.name} WHERE {' AND '.join(f'{name} = ?' for name in self.key)}"  # noqa: S608

    def sealed(self, row: Row) -> tuple[Any, ...]:
        """The values of a row and its checksum; ValueError or TypeError where it cannot be kept."""
        values = tuple(column.checked(row[name]) for name, column in self.columns.items())
        return (*values, self._checksum(values))

    def selection(self, *, is_sealed: bool) -> str:
        """The query for all rows, in the order in which they came."""
        names = (*self.columns, CHECKSUM) if is_sealed else tuple(self.columns)
        return f"SELECT {', '.join(names)} FROM {self.name} ORDER BY rowid"  # noqa: S608

    def sift(self, found: Iterable[Sequence[Any]], *, is_sealed: bool) -> tuple[list[Row], list[str]]:
        """The rows that fit, and how those are called that do not."""
        rows, damaged = [], []
        for line in found:
            values = tuple(line[: len(self.columns)])
            row = dict(zip(self.columns, values, strict=True))
            try:
                kept = self.sealed(row)
                is_sound = kept[:-1] == values and (not is_sealed or line[-1] == kept[-1])
            except (TypeError, ValueError, RecursionError):
                is_sound = False
            if is_sound:
                rows.append(row)
            else:
                damaged.append(self.named(row))
        return rows, damaged

    def named(self, row: Row) -> str:
        """How a row is called in a message."""
        return f"{self.name} {', '.join(f'{row[name]!r:.60}' for name in self.key)}"

    def _checksum(self, values: Sequence[Any]) -> bytes:
        digest = hashlib.sha256(self.name.encode())
        for value in values:
            content = _content(value)
            digest.update(f"{type(value).__name__} {len(content)} ".encode())
            digest.update(content)
        return digest.digest()[:CHECKSUM_BYTES]


def listed(names: Sequence[str]) -> str:
    """Rows by name, the first few of them."""
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return f"{'; '.join(names[:MAX_NAMED])}{more}"


def _content(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, float):
        return struct.pack(">d", value)
    return b"" if value is None else str(value).encode()


def _number(value: int) -> None:
    if value < 0:
        raise ValueError(f"expected a number that counts, found {value}")


def _truth(value: int) -> None:
    if value not in {0, 1}:
        raise ValueError(f"expected 0 or 1, found {value}")


def _finite(value: float) -> None:
    if not math.isfinite(value):
        raise ValueError(f"expected a finite number, found {value}")


CAMPAIGN = Table(name="campaign", columns={"key": Column(kind=str), "value": Column(kind=bytes)}, key=("key",))
ROUNDS = Table(
    name="rounds",
    columns={"round": Column(kind=int, check=_number), "record": Column(kind=str, check=json.loads)},
    key=("round",),
)
ANSWERS = Table(
    name="answers",
    columns={
        "id": Column(kind=str),
        "energy_ev": Column(kind=float, check=_finite),
        "relaxed": Column(kind=str, is_optional=True, check=json.loads),
        "note": Column(kind=str, is_optional=True),
    },
    key=("id",),
)
FAILURES = Table(
    name="failures",
    columns={
        "id": Column(kind=str),
        "reason": Column(kind=str, check=FailureReason),
        "sentence": Column(kind=str),
    },
    key=("id",),
)
ATTEMPTS = Table(
    name="attempts",
    columns={
        "id": Column(kind=str),
        "attempt": Column(kind=int, check=_number),
        "began": Column(kind=str, check=datetime.fromisoformat),
        "ended": Column(kind=str, is_optional=True, check=datetime.fromisoformat),
        "wall_s": Column(kind=float, is_optional=True, check=_finite),
        "reason": Column(kind=str, is_optional=True, check=FailureReason),
        "sentence": Column(kind=str, is_optional=True),
        "is_forgiven": Column(kind=int, check=_truth),
    },
    key=("id", "attempt"),
)
ADDITIONS = Table(
    name="additions",
    columns={
        "number": Column(kind=int, check=_number),
        "n_rounds": Column(kind=int, check=_number),
        "name": Column(kind=str),
        "pool": Column(kind=bytes),
    },
    key=("number",),
)
TABLES = (CAMPAIGN, ROUNDS, ANSWERS, FAILURES, ATTEMPTS, ADDITIONS)
