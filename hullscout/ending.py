"""How a process ends in which a calculator ran: threads and work for the end that it left behind may never be done.

They are awaited a moment, in which files that it wrote are closed. Then the process ends as it would have ended.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

GRACE_S = 2.0
"""How long what a calculator left behind may take when all else is done."""
_RAN = threading.Event()


def note_calculator() -> None:
    """Say that a calculator runs in this process."""
    _RAN.set()


def begin_command() -> None:
    """What ran before in this process is another command's."""
    _RAN.clear()


def had_calculator() -> bool:
    """Whether a calculator ran in this process during the command."""
    return _RAN.is_set()


def end_in_time(code: int, say: Callable[[str], None]) -> None:
    """End this process by an exit code `GRACE_S` from now, where it has not ended by itself; what is not awaited is said."""

    def end() -> None:
        time.sleep(GRACE_S)
        threads = [
            thread.name
            for thread in threading.enumerate()
            if not thread.daemon and thread is not threading.main_thread()
        ]
        what = f"the thread {', '.join(threads)}" if threads else "work for the end of the process"
        say(f"A calculator left {what}, which is not awaited. All else is done.")
        os._exit(code)

    threading.Thread(target=end, daemon=True).start()
