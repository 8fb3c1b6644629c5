"""A calculation in the process of the campaign: what the calculator changes there is put back, what it leaves behind is ended.

A crash still ends the campaign, and nothing hinders what hangs in C code: worker processes are for that. Ctrl-C is told from an
exception of the same name by its signal.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hullscout.ending import note_calculator
from hullscout.errors import OracleError
from hullscout.oracle.calculator import calculate, probe
from hullscout.oracle.surroundings import kept_surroundings
from hullscout.oracle.watcher import PR_SET_CHILD_SUBREAPER, control, descendants, end_processes
from hullscout.oracle.work import OUTPUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hullscout.oracle.outcome import Outcome
    from hullscout.oracle.settings import ComputedSettings
    from hullscout.pool import Candidate

_OUTSIDE = ("SIGINT", "SIGTERM", "SIGHUP")


def calculate_here(candidate: Candidate | None, settings: ComputedSettings, folder: str) -> Outcome:
    """Compute an energy in this process and in a folder; KeyboardInterrupt where Ctrl-C or another signal ended it from outside.

    Without a structure, learn whether the calculator can be made.
    """
    note_calculator()
    me, children = os.getpid(), _children()
    with ExitStack() as stack:
        kept = stack.enter_context(_kept_streams())
        lowered = stack.enter_context(kept_surroundings())
        told = stack.enter_context(_told_signals())
        os.chdir(folder)
        output = stack.enter_context(Path(OUTPUT).open("a", encoding="utf-8", errors="backslashreplace"))
        stack.enter_context(redirect_stdout(output))
        if 1 in kept:
            os.dup2(output.fileno(), 1)  # what programs and compiled code print
        outcome = probe(settings) if candidate is None else calculate(candidate, settings)
        if os.getpid() != me:  # a fork that came back: the campaign is its parent's
            os._exit(0)
    if children is not None:
        _end_all_but(children)
    if told:
        raise KeyboardInterrupt
    if lowered:
        raise OracleError(
            f"The calculator lowered limits of this process that cannot be raised again: {', '.join(lowered)}. Nothing more can be "
            'kept here; what was answered before is. Set executor.kind = "processes", where this ends a worker alone, and run the '
            "command again."
        )
    return outcome


@contextmanager
def adopted_processes() -> Iterator[None]:
    """Let what a calculator leaves behind be children of this process while the context lasts, where the system can do it."""
    is_adopting = control(PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield
    finally:
        if is_adopting:
            control(PR_SET_CHILD_SUBREAPER, 0)


def _end_all_but(children: set[int]) -> None:
    """End the children of this process but some, with all that descends from them: what a calculator left behind."""
    new: set[int] = set()

    def left() -> set[int]:
        new.update((_children() or set()) - children)  # again: whose parent was ended is a child of this process now
        for pid in new:
            with suppress(OSError):
                os.waitpid(pid, os.WNOHANG)
        return descendants(os.getpid(), new) if new else new

    end_processes(left)


def _children() -> set[int] | None:
    """The children of this process; None where others than this thread may start some, or where they cannot be known."""
    others = set(threading.enumerate()) - {threading.current_thread()}
    if not all(type(thread).__module__.startswith("rich.") for thread in others):  # that of the line of progress
        return None
    with suppress(OSError):
        tasks = Path("/proc/self/task").iterdir()
        return {int(pid) for task in tasks for pid in (task / "children").read_bytes().split()}
    return None


@contextmanager
def _told_signals() -> Iterator[list[int]]:
    """The signals that came while the context lasts and end a campaign, also those whose exception a calculator caught."""
    told: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield told
        return
    before: dict[int, Any] = {}

    def note(number: int, frame: Any) -> None:
        if told:  # the first was caught: this one is not
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        told.append(number)
        before[number](number, frame)

    for number in (getattr(signal, name) for name in _OUTSIDE if hasattr(signal, name)):
        if callable(handler := signal.getsignal(number)) and not isinstance(handler, signal.Handlers):
            before[number] = handler
            signal.signal(number, note)
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _kept_streams() -> Iterator[dict[int, int]]:
    """Let the three standard descriptors lead where they led, and the streams on them be open; copies of them."""
    kept: dict[int, int] = {}
    led: dict[int, os.stat_result] = {}
    for descriptor in (0, 1, 2):
        with suppress(OSError):
            kept[descriptor] = os.dup(descriptor)
            led[descriptor] = os.fstat(descriptor)
    try:
        yield kept
    finally:
        for descriptor, copy in kept.items():
            with suppress(OSError):
                if not os.path.samestat(os.fstat(copy), led[descriptor]):
                    continue  # the calculator closed it, and opened a file of its own under its number
                if not _is_same(descriptor, copy):
                    os.dup2(copy, descriptor)
                os.close(copy)
        for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
            stream = getattr(sys, name)
            if getattr(stream, "closed", False):
                with suppress(OSError):
                    mode = "w" if descriptor else "r"
                    again = open(descriptor, mode, closefd=False, errors="backslashreplace")  # noqa: SIM115
                    setattr(sys, name, again)


def _is_same(one: int, other: int) -> bool:
    try:
        return os.path.sameopenfile(one, other)
    except OSError:
        return False
