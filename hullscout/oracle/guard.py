"""A worker process and its guard: the calculation may crash, hang or be killed, and what asked for it learns why.

The guard starts the process when it is first needed and again after it died, ends it when a calculation runs past its limit, and
ends it when it is closed. It can sit in the campaign's own process, or in a worker of Dask or of any other executor.

The process (`work`) reads tasks from its standard input, one JSON line each, and answers each with a line. Whatever a calculator
prints goes into `output.txt` of the task's own folder. When the input ends (the campaign is gone) the process ends at once, also
in the middle of a calculation, with all that it started.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from hullscout.oracle.calculator import Task, calculate, probe
from hullscout.oracle.outcome import Failed, FailureReason, Outcome, outcome_from_json, outcome_to_json
from hullscout.oracle.settings import CalculatorSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

OUTPUT = "output.txt"
# Workers share the cores; threads of linear algebra on top of them fight for these. What the environment says goes first.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_THREAD = threading.local()
_GUARDS: set[Guard] = set()
_LOCK = threading.Lock()


def calculate_guarded(
    task: Task | CalculatorSettings, time_limit_s: float | None = None, folder: str | None = None
) -> Outcome:
    """Compute a task in a worker process of the calling thread: what every executor is given.

    Args:
        task: The task; settings alone to learn whether the process can make their calculator.
        time_limit_s: Seconds until it is ended; None for no limit.
        folder: The folder of its files, which is kept; None for a temporary one.
    """
    guard: Guard | None = getattr(_THREAD, "guard", None)
    if guard is None or guard not in _GUARDS:
        guard = Guard()
        _THREAD.guard = guard
        with _LOCK:
            _GUARDS.add(guard)
    told = {"task": task.to_json()} if isinstance(task, Task) else {"probe": task.model_dump_json()}
    with working_folder(folder) as place:
        return guard.ask({"folder": str(place), **told}, time_limit_s)


def close_guards() -> None:
    """End the worker processes of all threads of this process."""
    with _LOCK:
        guards = list(_GUARDS)
        _GUARDS.clear()
    for guard in guards:
        guard.close()


class Guard:
    """One worker process, started when needed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._starting = threading.Lock()
        self._talking = threading.Lock()
        self._is_closed = False

    def close(self) -> None:
        """End the process, also in the middle of a calculation; it is not started again."""
        with self._starting:
            self._is_closed = True
            process = self._process
        if process is not None:
            _kill(process)
            with self._talking:  # whoever waits for an answer has seen the end by now
                _reap(process)

    def ask(self, message: dict[str, str], time_limit_s: float | None) -> Outcome:
        """Send a message to the worker process, and wait for the outcome that it answers with."""
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
            code = _reap(process) if is_late.is_set() or not line else 0
        if line:
            return outcome_from_json(line)
        if is_late.is_set():
            sentence = f"It ran longer than the limit of {time_limit_s:g} s and was ended."
            return Failed(reason=FailureReason.TIMED_OUT, sentence=sentence, wall_s=wall_s)
        cause = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        said = _last_line(Path(message["folder"]) / OUTPUT)
        sentence = f"The worker process was ended {cause}" + (f"; it said last: {said}" if said else ".")
        return Failed(reason=FailureReason.WORKER_DIED, sentence=sentence, wall_s=wall_s)

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
                [sys.executable, "-c", "from hullscout.oracle.guard import work; work()"],
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


def work() -> None:
    """Be a worker process: answer tasks until the input ends."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        tasks: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=_listen, args=(tasks,), daemon=True).start()
        _say(answers, "ready")
        while True:
            _say(answers, outcome_to_json(_answer(json.loads(tasks.get()))))


def _answer(message: dict[str, str]) -> Outcome:
    os.chdir(message["folder"])
    output = os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    try:
        if "task" in message:
            return calculate(Task.from_json(message["task"]))
        return probe(CalculatorSettings.model_validate_json(message["probe"]))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _listen(tasks: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        tasks.put(line)
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _say(answers: TextIO, line: str) -> None:
    answers.write(line + "\n")
    answers.flush()
