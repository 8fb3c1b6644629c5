"""The files of a database that is open for writing: whether they are still those that were opened, and as long as they were.

A file that was removed takes everything that is written, and nobody will ever find it; one that was cut off has lost what it held.
And a calculation in this process may close a descriptor of the database and open another file under its number: SQLite would write
into that.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_NUMBERS = Path("/dev/fd")  # of all descriptors of this process; on systems without it none is looked at

Identity = tuple[int, int]


class Watched:
    """Files as they were when they were opened, and the descriptors by which they are written; none where nothing is watched."""

    def __init__(self, paths: Iterable[Path] = (), *, descriptors: dict[int, Identity] | None = None) -> None:
        self._files = {path: _found(path) for path in paths}
        self._descriptors = dict(descriptors or {})
        self.is_let_go = False
        """Whether descriptors no longer stand for the files."""

    def fault(self) -> str:
        """What became of one that is no longer as it was, and of which nobody knows; empty where all are."""
        for number, opened in self._descriptors.items():
            if self.is_let_go or _of_descriptor(number) != opened:
                self._let_go()
                return (
                    "A calculation closed files of this process that were not its own, those of the database among them"
                )
        for path, opened_as in self._files.items():
            found = _found(path)
            if opened_as is None or found is None or found[0] != opened_as[0]:
                if found == opened_as:
                    continue
                what = f"{path}" if path.parent.is_dir() else f"The folder {path.parent}"
                return f"{what} was {'removed' if found is None else 'replaced by another'}"
            if found[1] < opened_as[1]:
                return f"{path} was cut off, from {opened_as[1]} to {found[1]} bytes,"
        return ""

    def grown(self) -> None:
        """Hold the lengths that the files have now for those that they must not fall below."""
        for path, opened_as in self._files.items():
            found = _found(path)
            if opened_as is not None and found is not None and found[0] == opened_as[0]:
                self._files[path] = (opened_as[0], max(found[1], opened_as[1]))

    def _let_go(self) -> None:
        """Have the numbers stand for nothing: SQLite still writes to them when it closes the database."""
        if self.is_let_go:
            return
        self.is_let_go = True
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in self._descriptors:
            with suppress(OSError):
                os.dup2(nothing, number, inheritable=False)
        if nothing not in self._descriptors:
            os.close(nothing)


def descriptors_of(paths: Iterable[Path]) -> dict[int, Identity]:
    """The numbers of this process' descriptors of some files, and which files they are."""
    wanted = {found[0] for path in paths if (found := _found(path)) is not None}
    try:
        numbers = [int(name) for name in os.listdir(_NUMBERS) if name.isdigit()]  # noqa: PTH208  names only
    except OSError:
        return {}
    opened = {number: _of_descriptor(number) for number in numbers}
    return {number: identity for number, identity in opened.items() if identity is not None and identity in wanted}


def _of_descriptor(number: int) -> Identity | None:
    try:
        found = os.fstat(number)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _found(path: Path) -> tuple[Identity, int] | None:
    """Which file stands at a path, by device and number, and its length; None where there is none."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return (found.st_dev, found.st_ino), found.st_size
