"""The worker process in which a calculation may crash, hang or be killed and still is answered.

`WorkerProcess` starts one when needed, again after that died, and ends it when a calculation runs past its limit. It can sit in the
campaign's own process, or in a worker of Dask or of any other executor.

The process (`work`) reads calculations from its standard input, one JSON line each, and answers each with a line. Whatever a
calculator prints goes into `output.txt` of the calculation's own folder. When the input ends (the campaign is gone) the process
ends at once, also in the middle of a calculation, with all that it started.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.oracle.calculator import calculate, probe
from hullscout.oracle.outcome import (
    Calculated,
    Failed,
    FailureReason,
    Outcome,
    candidate_from_tree,
    candidate_to_tree,
)
from hullscout.oracle.settings import CalculatorSettings

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from hullscout.pool import Candidate

OUTPUT = "output.txt"
# Workers share the cores; threads of linear algebra on top of them fight for these. What the environment says goes first.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_PROCESSES: dict[tuple[int, int], WorkerProcess] = {}  # by process and thread; a fork inherits what is not its own
_LOCK = threading.Lock()


def calculate_in_worker(
    candidate: Candidate | None,
    settings: CalculatorSettings,
    time_limit_s: float | None = None,
    folder: str | None = None,
) -> Outcome:
    """Compute an energy in the worker process of the calling thread: what every executor is given.

    Without a structure, learn whether the process can make the calculator. A folder for the files of a calculation is kept.
    """
    with _LOCK:
        process = _PROCESSES.setdefault((os.getpid(), threading.get_ident()), WorkerProcess())
    tree = None if candidate is None else candidate_to_tree(candidate)
    with working_folder(folder) as place:
        return process.ask({"folder": place, "candidate": tree, "settings": settings.model_dump()}, time_limit_s)


def end_workers() -> None:
    """End the worker processes of all threads of this process."""
    with _LOCK:
        processes = list(_PROCESSES.values())
        _PROCESSES.clear()
    for process in processes:
        process.close()


class WorkerProcess:
    """A process that calculates, started when needed."""

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

    def ask(self, message: dict[str, Any], time_limit_s: float | None) -> Outcome:
        """Send a message to the process, and wait for the outcome that it answers with."""
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
            return _outcome_in(json.loads(line))
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
            if self._process is not None:
                if self._process.poll() is None:
                    return self._process
                _reap(self._process)
            self._process = process = subprocess.Popen(
                [sys.executable, "-c", "from hullscout.oracle.worker_process import work; work()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
                bufsize=1,
                start_new_session=True,  # Ctrl-C is for the campaign, which ends its workers itself
                env={**ONE_THREAD, **os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            )
        if process.stdout is not None:
            process.stdout.readline()  # ready: its start does not count as calculation; at its end this is empty
        return process


def working_folder(kept: str | None) -> AbstractContextManager[str]:
    """The folder of one calculation: the kept one, made where it is not there, or a temporary one, removed afterwards."""
    if kept is None:
        return tempfile.TemporaryDirectory(prefix="hullscout-", ignore_cleanup_errors=True)
    Path(kept).mkdir(parents=True, exist_ok=True)
    return contextlib.nullcontext(kept)


def _exchange(process: subprocess.Popen[str], line: str) -> str:
    """Send a line and read one; an empty string where the process ended."""
    if process.stdin is None or process.stdout is None:
        return ""
    try:
        process.stdin.write(line + "\n")
        answer = process.stdout.readline()
    except (OSError, ValueError):
        return ""
    return answer if answer.endswith("\n") else ""


def _outcome_in(tree: dict[str, Any]) -> Outcome:
    if "reason" in tree:
        return Failed(**{**tree, "reason": FailureReason(tree["reason"])})
    return Calculated(**{**tree, "relaxed": tree["relaxed"] and candidate_from_tree(tree["relaxed"])})


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
    with contextlib.suppress(OSError, ValueError), process:  # which closes its pipes
        pass
    return process.wait()


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    return next((re.sub(r"\s+", " ", line)[:300] for line in reversed(lines) if line.strip()), "")


def work() -> None:
    """Be a worker process: calculate until the input ends."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1, encoding="utf-8") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        messages: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=_listen, args=(messages,), daemon=True).start()
        answers.write("ready\n")
        while True:
            tree = asdict(_answer(json.loads(messages.get())))
            answers.write(json.dumps(tree, default=np.ndarray.tolist, allow_nan=False) + "\n")


def _answer(message: dict[str, Any]) -> Outcome:
    os.chdir(message["folder"])
    output = os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    settings, tree = CalculatorSettings.model_validate(message["settings"]), message["candidate"]
    try:
        return calculate(candidate_from_tree(tree), settings) if tree else probe(settings)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _listen(messages: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        messages.put(line)
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
