"""Whether a disk is full: a calculation that found no room says nothing of its structure, and is no try of it."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from hullscout.oracle.outcome import valid_text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MIN_ROOM_BYTES = 1 << 20
"""With less than this left on a disk, no failure of a calculation on it is believed."""
_NUMBERS = {number for name in ("ENOSPC", "EDQUOT") if (number := getattr(errno, name, None)) is not None}
_SENTENCES = (*(os.strerror(number) for number in sorted(_NUMBERS)), "database or disk is full")


def speaks_of_room(error: BaseException) -> bool:
    """Whether an exception, or one that it was raised from or holds, says that a disk or a quota is full."""
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        with suppress(Exception):  # foreign classes may do anything when they are looked at
            if isinstance(one, OSError) and one.errno in _NUMBERS:
                return True
        if any(sentence in valid_text(one) for sentence in _SENTENCES):
            return True
        held: Iterable[BaseException] = one.exceptions if isinstance(one, BaseExceptionGroup) else ()
        waiting += [other for other in (one.__cause__, one.__context__, *held) if other is not None]
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
