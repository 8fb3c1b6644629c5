"""Following a campaign that another process drives: its folder is read when something in it has changed, and never written."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

POLL_S = 1.0
"""Between two looks at the times and sizes of a campaign's files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Where a campaign stands, as far as one who follows it has to know."""

    n_rounds: int
    n_answered: int
    n_failed: int
    n_awaited: int
    has_hull: bool
    is_ended: bool

    @classmethod
    def now(cls, folder: Path) -> Seen:
        """What its files say; `StoreError` where there is no campaign or a damaged one."""
        from hullscout.campaign import Setup, read_result  # noqa: PLC0415  loads the scientific packages

        ledger = Setup.read(folder).read_ledger(folder)
        return cls(
            n_rounds=len(ledger.decisions),
            n_answered=int(ledger.known.answered.size),
            n_failed=ledger.known.n_failed,
            n_awaited=len(ledger.awaited),
            has_hull=ledger.known.has_hull,
            is_ended=read_result(folder) is not None,
        )


def time_now() -> str:
    """Date and time, in words."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


def follow(folder: Path, *, every_s: float, of: Callable[[Seen], object] = lambda seen: seen) -> Iterator[Seen]:
    """Yield where a campaign stands: at once, whenever `of` it has changed, and at its end, which is the last.

    At least `every_s` pass between what is done of one and the next. A campaign whose process is gone does not end.
    """
    shown: object = None
    while True:
        stamps = _stamps(folder)
        seen = Seen.now(folder)
        if (what := (of(seen), seen.is_ended)) != shown:
            yield seen
            if seen.is_ended:
                return
            shown = what
            wait_until(time.monotonic() + every_s)
        while _stamps(folder) == stamps:
            time.sleep(POLL_S)


def wait_until(then: float) -> None:
    """Wait until the clock of the process shows this many seconds."""
    while (left := then - time.monotonic()) > 0:
        time.sleep(left)


def _stamps(folder: Path) -> tuple[tuple[int, int, int] | None, ...]:
    """What tells that files of a campaign were written: its database, the log of that, and its result."""
    from hullscout.campaign.opening import DATABASE  # noqa: PLC0415
    from hullscout.campaign.result import RESULT  # noqa: PLC0415

    return tuple(_stamp(folder / name) for name in (DATABASE, f"{DATABASE}-wal", RESULT))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
