"""A worker process and its guard: the calculation may crash, hang or be killed, and what asked for it learns why.

The guard starts the process when it is first needed and again after it died, ends it when a calculation runs past its limit, and
ends it when it is closed. It can sit in the campaign's own process, or in a worker of Dask or of any other executor.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hullscout.oracle.child import OUTPUT
from hullscout.oracle.outcome import Failed, FailureReason, Outcome, outcome_from_json

# Workers share the cores; threads of linear algebra on top of them fight for these. What the environment says goes first.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hullscout.oracle.calculator import Task
    from hullscout.oracle.settings import CalculatorSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a single calculation may take, and where its files go.

    Attributes:
        time_limit_s: Seconds until it is ended; None for no limit.
        folder: Its folder, which is kept; None for a temporary one.
    """

    time_limit_s: float | None = None
    folder: str | None = None


class Guard:
    """One worker process, started when needed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._starting = threading.Lock()
        self._talking = threading.Lock()
        self._is_closed = False

    def calculate(self, task: Task, limits: Limits) -> Outcome:
        """Compute a task in the worker process."""
        with working_folder(limits.folder) as folder:
            return self._ask({"folder": str(folder), "task": task.to_json()}, limits.time_limit_s)

    def probe(self, settings: CalculatorSettings) -> Outcome:
        """Whether the worker process can make the calculator."""
        with working_folder(None) as folder:
            return self._ask({"folder": str(folder), "probe": settings.model_dump_json()}, None)

    def close(self) -> None:
        """End the process, also in the middle of a calculation; it is not started again."""
        with self._starting:
            self._is_closed = True
            process = self._process
        if process is not None:
            _kill(process)
            with self._talking:  # whoever waits for an answer has seen the end by now
                _reap(process)

    def _ask(self, message: dict[str, str], time_limit_s: float | None) -> Outcome:
        with self._talking:
            process = self._running()
            if process is None:
                return Failed(reason=FailureReason.WORKER_DIED, sentence="The worker process was closed.")
            is_late = threading.Event()

            def end_late() -> None:
                is_late.set()
                _kill(process)

            began = time.perf_counter()
            timer = threading.Timer(time_limit_s or 0.0, end_late)
            try:
                if time_limit_s is not None:
                    timer.start()
                line = _exchange(process, json.dumps(message))
            finally:
                timer.cancel()
            wall_s = time.perf_counter() - began
            if line and not is_late.is_set():
                return outcome_from_json(line)
            code = _reap(process)
            if line:
                return outcome_from_json(line)
        if is_late.is_set():
            return Failed(
                reason=FailureReason.TIMED_OUT,
                sentence=f"It ran longer than the limit of {time_limit_s:g} s and was ended.",
                wall_s=wall_s,
            )
        cause = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        said = _last_line(Path(message["folder"]) / OUTPUT)
        return Failed(
            reason=FailureReason.WORKER_DIED,
            sentence=f"The worker process was ended {cause}" + (f"; it said last: {said}" if said else "."),
            wall_s=wall_s,
        )

    def _running(self) -> subprocess.Popen[str] | None:
        """The process, started where there is none that lives; None after `close`."""
        with self._starting:
            if self._is_closed:
                return None
            if self._process is not None and self._process.poll() is None:
                return self._process
            if self._process is not None:
                _reap(self._process)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hullscout.oracle.child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C is for the campaign, which ends its workers itself
                env={**ONE_THREAD, **os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            )
            process = self._process
        if process.stdout is not None:
            process.stdout.readline()  # ready: its start does not count as calculation; at its end this is empty
        return process


def calculate_guarded(task: Task, limits: Limits) -> Outcome:
    """Compute a task in a worker process of the calling thread: what every executor is given."""
    return _guard_of_this_thread().calculate(task, limits)


def probe_guarded(settings: CalculatorSettings) -> Outcome:
    """Whether a worker process of the calling thread can make the calculator."""
    return _guard_of_this_thread().probe(settings)


def close_guards() -> None:
    """End the worker processes of all threads of this process."""
    with _LOCK:
        guards = list(_GUARDS)
        _GUARDS.clear()
    for guard in guards:
        guard.close()


@contextlib.contextmanager
def working_folder(kept: str | None) -> Iterator[Path]:
    """The folder of one calculation: the kept one, made where it is not there, or a temporary one, removed afterwards."""
    if kept is not None:
        Path(kept).mkdir(parents=True, exist_ok=True)
        yield Path(kept).resolve()
        return
    folder = Path(tempfile.mkdtemp(prefix="hullscout-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_THREAD = threading.local()
_GUARDS: set[Guard] = set()
_LOCK = threading.Lock()


def _guard_of_this_thread() -> Guard:
    guard: Guard | None = getattr(_THREAD, "guard", None)
    if guard is None or guard not in _GUARDS:
        guard = Guard()
        _THREAD.guard = guard
        with _LOCK:
            _GUARDS.add(guard)
    return guard


def _exchange(process: subprocess.Popen[str], line: str) -> str:
    """Send a line and read one; an empty string where the process ended."""
    if process.stdin is None or process.stdout is None:
        return ""
    try:
        process.stdin.write(line + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
    except (OSError, ValueError):
        return ""
    return answer if answer.endswith("\n") else ""


def _kill(process: subprocess.Popen[str]) -> None:
    """End a process with all that it started."""
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _reap(process: subprocess.Popen[str]) -> int:
    """Clear away a process that has ended or is about to; its exit code."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=5)
    _kill(process)
    code = process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError, ValueError):
                pipe.close()
    return code


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    return next((re.sub(r"\s+", " ", line)[:300] for line in reversed(lines) if line.strip()), "")
