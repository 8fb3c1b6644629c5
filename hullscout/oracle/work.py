"""What a worker process does: it calculates until nobody asks any more.

It reads calculations from its standard input, one JSON line each, and answers each with a line on what was its standard output. A
message carries a token and the candidate's id, the answer repeats both. Whatever a calculator prints goes into `output.txt` of the
calculation's own folder. The two descriptors are its own: no fork and no program that a calculator starts has them, and a fork
that comes back from a calculation ends there. When the input ends (the campaign is gone) the process ends at once.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import traceback
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from hullscout.oracle.calculator import calculate, failure_by, probe
from hullscout.oracle.outcome import Outcome, candidate_from_tree
from hullscout.oracle.settings import CalculatorSettings, ComputedSettings, FunctionSettings
from hullscout.oracle.surroundings import kept_surroundings
from hullscout.settings import look_beside

OUTPUT = "output.txt"
MAX_OPEN_SHARE = 0.5  # of the descriptors that a process may open: then it is better begun anew


class _Line:
    """A descriptor of this process alone: in forks it leads nowhere."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = os.dup(descriptor)  # not inherited by programs that are started
        self._file = self._identity()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._close)

    @property
    def is_whole(self) -> bool:
        """Whether it still is what it was: a calculator may have closed it, and the number may stand for a file of its own."""
        try:
            return self._identity() == self._file
        except OSError:
            return False

    def read(self) -> bytes:
        try:
            return os.read(self._descriptor, 1 << 16)
        except OSError:
            return b""

    def write(self, line: bytes) -> None:
        while line:
            line = line[os.write(self._descriptor, line) :]

    def _identity(self) -> tuple[int, int]:
        found = os.fstat(self._descriptor)
        return found.st_dev, found.st_ino

    def _close(self) -> None:
        with suppress(OSError):
            os.close(self._descriptor)


def work(ready: str) -> None:
    """Be a worker process, which says that it is ready: calculate until the input ends."""
    messages, answers, me = _Line(0), _Line(1), os.getpid()
    _connect(os.devnull, os.O_RDWR, 0, 1, 2)
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(messages, waiting), daemon=True).start()
    threads, hooked = set(threading.enumerate()), threading.Event()
    sys.addaudithook(
        lambda event, _: hooked.set() if event == "sys.addaudithook" else None
    )  # such a one stays for good
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # between calculations
    answers.write(f"{ready}\n".encode())
    while True:
        message = json.loads(waiting.get())
        try:
            outcome, lowered = _outcome(message)
            if os.getpid() != me:
                os._exit(0)
            if not (messages.is_whole and answers.is_whole):
                os.write(2, b"\nThe calculator closed descriptors that it did not open.\n")
                os._exit(1)
            tree = {name: message[name] for name in ("token", "id")}
            tree |= {"is_clean": not (lowered or hooked.is_set()) and _is_clean(threads), "outcome": asdict(outcome)}
            answers.write(json.dumps(tree, default=np.ndarray.tolist, allow_nan=False).encode() + b"\n")
        except BaseException:  # noqa: BLE001  whatever a calculator left behind
            if os.getpid() == me:
                os.write(2, traceback.format_exc().encode(errors="backslashreplace"))
            os._exit(1)


def _outcome(message: dict[str, Any]) -> tuple[Outcome, list[str]]:
    os.chdir(message["folder"])
    _connect(os.devnull, os.O_RDONLY, 0)
    try:
        _connect(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 1, 2)
    except OSError as error:
        return failure_by(error), []
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", errors="replace", closefd=False)  # type: ignore[misc]  # noqa: SIM115
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream: TextIO = open(descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    look_beside(message["beside"])
    is_function = message["settings"]["kind"] == "function"
    made: type[ComputedSettings] = FunctionSettings if is_function else CalculatorSettings
    settings, tree = made.model_validate(message["settings"]), message["candidate"]
    with kept_surroundings() as lowered:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        outcome = calculate(candidate_from_tree(tree), settings) if tree else probe(settings)
        for said in (sys.stdout, sys.stderr):
            with suppress(Exception):  # it may be closed, or anything
                said.flush()
    return outcome, lowered


def _connect(path: str, flags: int, *descriptors: int) -> None:
    """Let descriptors lead to a file."""
    opened = os.open(path, flags, 0o666)
    for descriptor in descriptors:
        if descriptor != opened:
            os.dup2(opened, descriptor, inheritable=True)
    if opened not in descriptors:
        os.close(opened)
    else:
        os.set_inheritable(opened, True)  # noqa: FBT003  the interface


def _is_clean(threads: set[threading.Thread]) -> bool:
    """Whether a calculation left nothing behind that goes on: no thread, no process, not too many open files."""
    return set(threading.enumerate()) <= threads and not _has_children() and not _is_leaking()


def _has_children() -> bool:
    """Whether a process runs that was started here, also one that its own parent left to the watcher."""
    if not hasattr(os, "fork"):
        return False
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
        return True
    watcher = os.getppid()
    try:
        children = Path(f"/proc/{watcher}/task/{watcher}/children").read_bytes().split()
    except OSError:
        return False
    return children != [str(os.getpid()).encode()]


def _is_leaking() -> bool:
    try:
        import resource  # noqa: PLC0415  (not there on every system)

        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return len(os.listdir("/proc/self/fd")) > MAX_OPEN_SHARE * limit  # noqa: PTH208  no paths are wanted
    except (ImportError, OSError):
        return False


def _listen(messages: _Line, waiting: queue.SimpleQueue[bytes]) -> None:
    begun = b""
    while chunk := messages.read():
        *lines, begun = (begun + chunk).split(b"\n")
        for line in lines:
            waiting.put(line)
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
