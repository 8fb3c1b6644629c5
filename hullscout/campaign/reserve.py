"""Room on the disk that is kept back, so that what was paid for is kept when the disk is full.

A disk that fills up would otherwise lose the calculations that are under way. The reserve is a file of random bytes: room that is
given back would be taken by whatever filled the disk, so that what finds no room in the database is written over these bytes
instead, and goes into the database when it is opened again.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hullscout.contents import raw_content
from hullscout.errors import StoreError
from hullscout.oracle import MIN_ROOM_BYTES
from hullscout.writing import open_anew

if TYPE_CHECKING:
    from pathlib import Path

    from hullscout.campaign.database import Statements

RESERVE_BYTES = MIN_ROOM_BYTES
"""An answer takes some 20 kB of the database and its log while the campaign runs."""
_HEAD = b"hullscout-reserve 1 %08d\n"  # the number of records, written after them: what was cut off does not count
_HEAD_BYTES = len(_HEAD % 0)
_DIGEST_BYTES = 64
_HEX = frozenset(b"0123456789abcdef")


class DiskReserve:
    """The reserve of one campaign, made where it is not there; what an earlier process kept in it is in `kept`.

    `StoreError` where there is no room for it, or where what was kept there is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._used = self._n_records = 0
        self.kept: tuple[Statements, ...] = ()
        try:
            is_kept = path.is_file() and not path.is_symlink()
            content = raw_content(path, RESERVE_BYTES + 1) if is_kept else b""
            if content.startswith(_HEAD[:20]) or (content and set(content[_HEAD_BYTES:][:_DIGEST_BYTES]) <= _HEX):
                self.kept, self._used = _records(content, path)
                self._n_records = len(self.kept)
            else:
                self._make()
        except OSError as error:
            if not self.kept:
                path.unlink(missing_ok=True)
            raise StoreError(
                f"There is no room for a campaign in {path.parent}: {error.strerror}. {RESERVE_BYTES >> 20} MB is kept back there, "
                "so that no answer is lost when the disk is full. Free some room and run the same command again."
            ) from error

    @property
    def is_there(self) -> bool:
        """Whether nothing had to be kept in it."""
        return not self._used

    def keep(self, statements: Statements) -> bool:
        """Write a transaction over the bytes that are kept back, on the disk before this returns; whether there was room."""
        record = json.dumps(
            [[statement, [_tree(value) for value in values]] for statement, values in statements]
        ).encode()
        line = hashlib.sha256(record).hexdigest().encode() + record + b"\n"
        place = self._used or _HEAD_BYTES
        if place + len(line) > RESERVE_BYTES:
            return False
        try:
            with os.fdopen(os.open(self.path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)), "r+b") as file:
                for where, content in ((place, line), (0, _HEAD % (self._n_records + 1))):
                    file.seek(where)
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
        except OSError:
            return False
        self._used, self._n_records = place + len(line), self._n_records + 1
        return True

    def renew(self) -> None:
        """Forget what was kept: it is in the database now."""
        self.kept, self._used, self._n_records = (), 0, 0
        try:
            self._make()
        except OSError as error:
            self.path.unlink(missing_ok=True)
            raise StoreError(
                f"There is no room in {self.path.parent}: {error.strerror}. Every answer is kept. Free some room and run the same "
                "command again."
            ) from error

    def give_back(self) -> None:
        """Make its room free, where nothing had to be kept in it."""
        if self.is_there:
            with suppress(OSError):  # what is left is made anew
                self.path.unlink(missing_ok=True)

    def _make(self) -> None:
        with open_anew(self.path) as file:
            file.write(os.urandom(RESERVE_BYTES))  # a file system that compresses would keep nothing back for zeros
            file.flush()
            os.fsync(file.fileno())


def _records(content: bytes, path: Path) -> tuple[tuple[Statements, ...], int]:
    """What is kept in a reserve, and where it ends."""
    kept: list[Statements] = []
    place, head = _HEAD_BYTES, content[:_HEAD_BYTES]
    n_records = int(head[20:-1]) if head[20:-1].isdigit() and head.startswith(_HEAD[:20]) else -1
    while len(kept) < n_records:
        end = content.find(b"\n", place)
        digest, record = content[place : place + _DIGEST_BYTES], content[place + _DIGEST_BYTES : end]
        if end < 0 or hashlib.sha256(record).hexdigest().encode() != digest:
            break
        try:
            kept.append(_statements(record))
        except (ValueError, RecursionError):  # nothing that a campaign wrote
            break
        place = end + 1
    if len(kept) != n_records:
        raise StoreError(
            f"{path} is damaged: it holds what found no room on the disk, and {len(kept)} of its records can be read. Nothing was "
            "changed. Put back a copy of it, or remove it to go on without them."
        )
    return tuple(kept), place


def _tree(value: object) -> Any:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _statements(record: bytes) -> Statements:
    """The statements of a record; `ValueError` or `RecursionError` for what is none."""
    statements = json.loads(record)
    for statement in statements if isinstance(statements, list) else [None]:
        match statement:
            case [str(), list()]:
                continue
        raise ValueError("expected statements with their values")
    return tuple((sql, tuple(map(_value, values))) for sql, values in statements)


def _value(tree: Any) -> object:
    match tree:
        case {"base64": str(text), **others} if not others:
            return base64.b64decode(text, validate=True)
        case None | str() | float() | int():
            return tree
    raise ValueError("expected a value that a row may hold")
