"""Whether a disk is full: a calculation that found no room says nothing of its structure, and is no try of it."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from typing import TYPE_CHECKING

from hullscout.display import valid_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIN_ROOM_BYTES = 1 << 20
"""With less than this left on a disk, no failure of a calculation on it is believed."""
_NUMBERS = {number for name in ("ENOSPC", "EDQUOT") if (number := getattr(errno, name, None)) is not None}
_SENTENCES = (*(os.strerror(number) for number in sorted(_NUMBERS)), "database or disk is full")


def speaks_of_room(error: BaseException) -> bool:
    """Whether an exception, or one that it was raised from or holds, is that of a full disk or quota.

    A text alone may say so of anything: it counts where the working folder, or that for temporary files, takes nothing more now.
    """
    said = False
    for one in _linked(error):
        if issubclass(type(one), OSError) and OSError.__dict__["errno"].__get__(one) in _NUMBERS:
            return True
        said = said or any(sentence in valid_text(one) for sentence in _SENTENCES)
    return said and any(map(_takes_nothing, (os.curdir, None)))


def _linked(error: BaseException) -> Iterator[BaseException]:
    """An exception and those that it was raised from or holds, as Python keeps them, whatever their classes make of it."""
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        links = [BaseException.__dict__[name].__get__(one) for name in ("__cause__", "__context__")]
        if issubclass(type(one), BaseExceptionGroup):
            links += BaseExceptionGroup.__dict__["exceptions"].__get__(one)
        waiting += [other for other in links if other is not None]


def _takes_nothing(folder: str | None) -> bool:
    """Whether a small file finds no room in a folder, or in that for temporary files: a quota is seen by writing only."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(MIN_ROOM_BYTES))
    except OSError as error:
        return error.errno in _NUMBERS
    return False


def is_full(folder: Path) -> bool:
    """Whether the disk of a folder has hardly any room left; not where that cannot be known."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return False
    return usage.total > 0 and usage.free < MIN_ROOM_BYTES


def existing(folder: Path) -> Path:
    """A folder, or the nearest one above it that is there."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
