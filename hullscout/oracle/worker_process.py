"""The worker process in which a calculation may crash, hang or be killed and still is answered.

`WorkerProcess` starts one when needed, again after that died, and ends it when a calculation runs past its limit or is not wanted
any more. It can sit in the campaign's own process, or in a worker of Dask or of any other executor. What comes back is believed
where it is one line with the token and the id of the calculation; anything else ends the process.

Between the two stands a watcher, which ends the worker with all that descends from it, whatever the worker is doing.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import secrets
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hullscout.errors import InvalidStructureError
from hullscout.oracle.calculator import failure_by
from hullscout.oracle.outcome import Failed, FailureReason, Outcome, candidate_to_tree, outcome_from_tree
from hullscout.oracle.presence import INTERVAL_S, Sign, follow, wanted
from hullscout.oracle.work import OUTPUT

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from hullscout.oracle.settings import ComputedSettings
    from hullscout.pool import Candidate

# Workers share the cores; threads of linear algebra on top of them fight for these. What the environment says goes first.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
MARK = "HULLSCOUT_WORKER"
"""A variable of the environment of a worker, and so of what it starts."""
MAX_ANSWER_BYTES = 1 << 28
MAX_START_S = 600.0  # a file system of a cluster may be slow
MAX_LAST_BYTES = 4096  # of what a calculator printed
_WATCHER = Path(__file__).with_name("watcher.py")
_WORK = "import sys; sys.path += {!r}; from hullscout.oracle.work import work; work({!r})"
_GRACE_S = 8.0  # for the watcher; it gives up before
_PROCESSES: dict[tuple[int, int], WorkerProcess] = {}  # by process and thread; a fork inherits what is not its own
_LOCK = threading.Lock()


def calculate_in_worker(
    candidate: Candidate | None,
    settings: ComputedSettings,
    time_limit_s: float | None = None,
    folder: str | None = None,
    beside: str | None = None,
    sign: Sign | None = None,
) -> Outcome:
    """Compute an energy in the worker process of the calling thread: what every executor is given.

    Without a structure, learn whether the process can make the calculator. A folder for the files of a calculation is kept. Modules
    are found in the folder of the campaign file, `beside` it. Where the campaign's sign says that it is gone, the calculation is
    ended.
    """
    follow(sign)
    with _LOCK:
        process = _PROCESSES.setdefault((os.getpid(), threading.get_ident()), WorkerProcess())
    tree = None if candidate is None else candidate_to_tree(candidate)
    with contextlib.ExitStack() as stack:
        try:
            place = stack.enter_context(working_folder(folder))
        except OSError as error:
            return failure_by(error)
        message = {
            "id": tree and tree["id"],
            "folder": place,
            "candidate": tree,
            "settings": settings.model_dump(),
            "beside": beside,
        }
        return process.ask(message, time_limit_s, is_wanted=wanted(sign))


def end_workers() -> None:
    """End the worker processes of all threads of this process."""
    with _LOCK:
        processes = list(_PROCESSES.values())
        _PROCESSES.clear()
    for process in processes:
        process.kill()
    for process in processes:
        process.close()


def working_folder(kept: str | None) -> AbstractContextManager[str]:
    """The folder of one calculation: the kept one, made where it is not there, or a temporary one, removed afterwards."""
    if kept is None:
        return tempfile.TemporaryDirectory(prefix="hullscout-", ignore_cleanup_errors=True)
    Path(kept).mkdir(parents=True, exist_ok=True)
    return contextlib.nullcontext(kept)


class WorkerProcess:
    """A process that calculates, started when needed."""

    def __init__(self) -> None:
        self._process: _Process | None = None
        self._starting = threading.Lock()
        self._talking = threading.Lock()
        self._is_closed = False

    def kill(self) -> None:
        """Tell the process to end, also in the middle of a calculation; it is not started again."""
        with self._starting:
            self._is_closed = True
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """End the process, and wait until it is gone with all that it started."""
        self.kill()
        with self._talking:  # whoever waits for an answer has seen the end by now
            if self._process is not None:
                self._process.end()

    def ask(
        self, message: dict[str, Any], time_limit_s: float | None, *, is_wanted: Callable[[], bool] = lambda: True
    ) -> Outcome:
        """Send a message to the process, and wait for the outcome that it answers with."""
        with self._talking:
            process = self._running()
            if process is None:
                return Failed(reason=FailureReason.WORKER_DIED, sentence="The worker process was closed.")
            began = time.monotonic()
            try:
                return process.ask(message, time_limit_s, is_wanted=is_wanted)
            except _EndError as end:
                code = process.end()
                wall_s = time.monotonic() - began
                sentence = end.sentence or _death(code, Path(message["folder"]) / OUTPUT)
                return Failed(reason=end.reason, sentence=sentence, wall_s=wall_s)
            except BaseException:  # Ctrl-C in the process of an executor
                process.end()
                raise

    def _running(self) -> _Process | None:
        """The process, started where there is none that can go on; None after `close`."""
        with self._starting:
            if self._is_closed:
                return None
            if self._process is not None and self._process.is_fit:
                return self._process
        if self._process is not None:
            self._process.end()
        with self._starting:
            if self._is_closed:
                return None
            self._process = process = _Process()
        process.wait_until_ready()
        return process


class _EndError(Exception):
    """Why a process has to end, or has ended: the sentence is empty where its exit code says it."""

    def __init__(self, reason: FailureReason, sentence: str = "") -> None:
        super().__init__(sentence)
        self.reason, self.sentence = reason, sentence


class _Process:
    """A process that was started, and what it says."""

    def __init__(self) -> None:
        self._mark, self._rest, self._is_clean = secrets.token_hex(16), b"", True
        self._code: int | None = None
        # The current folder, which a notebook has first, hides no module of Python's own here: it is looked into last.
        relative = [os.path.abspath(entry) for entry in sys.path if not Path(entry).is_absolute()]  # noqa: PTH100  of "" too
        command = [sys.executable, "-P", "-c", _WORK.format(relative, self._mark)]
        if hasattr(os, "fork"):
            command = [sys.executable, "-I", "-S", str(_WATCHER), *command]
        path = os.pathsep.join(str(entry) for entry in sys.path if Path(entry).is_absolute())
        self._popen = subprocess.Popen(  # noqa: S603  Python itself
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the campaign, which ends its workers itself
            env={**ONE_THREAD, **os.environ, "PYTHONPATH": path, MARK: self._mark},
        )
        self._said: queue.Queue[bytes] = queue.Queue(maxsize=64)
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def is_fit(self) -> bool:
        """Whether it can take a calculation: it lives, and said nothing since its last answer."""
        return self._is_clean and self._popen.poll() is None and self._said.empty() and not self._rest

    def wait_until_ready(self) -> None:
        """Wait for its start, which does not count as calculation; at its end there is nothing to wait for."""
        expected, until = self._mark.encode(), time.monotonic() + MAX_START_S
        with contextlib.suppress(_EndError):
            while self._line(until, lambda: True) != expected:  # what comes before is of no calculator
                pass

    def ask(self, message: dict[str, Any], time_limit_s: float | None, *, is_wanted: Callable[[], bool]) -> Outcome:
        """The outcome for a message; `_EndError` where this process has to be ended."""
        token = secrets.token_hex(16)
        until = None if time_limit_s is None else time.monotonic() + time_limit_s
        if self._popen.stdin is None:
            raise _EndError(FailureReason.WORKER_DIED)
        try:
            self._popen.stdin.write(json.dumps({"token": token, **message}).encode() + b"\n")
            self._popen.stdin.flush()
        except (OSError, ValueError) as error:
            raise _EndError(FailureReason.WORKER_DIED) from error
        try:
            line = self._line(until, is_wanted)
        except TimeoutError as error:
            sentence = f"It ran longer than the limit of {time_limit_s:g} s and was ended."
            raise _EndError(FailureReason.TIMED_OUT, sentence) from error
        try:
            answer = json.loads(line)
            is_mine = (answer["token"], answer["id"]) == (token, message["id"])
            outcome = outcome_from_tree(answer["outcome"])
            self._is_clean = answer["is_clean"] is True
        except (ValueError, TypeError, KeyError, RecursionError, InvalidStructureError) as error:
            raise _EndError(FailureReason.WORKER_DIED, _foreign(line)) from error
        if self._rest or not self._said.empty() or not is_mine:
            raise _EndError(FailureReason.WORKER_DIED, _foreign(self._rest if is_mine else line))
        return outcome

    def kill(self) -> None:
        """Tell it to end with all that it started."""
        with contextlib.suppress(OSError):
            self._popen.terminate()  # the watcher, which ends the worker; else the worker itself

    def end(self) -> int:
        """Wait until it is gone with all that it started, which it is told first; its exit code."""
        if self._code is None:
            self.kill()
            try:
                self._popen.wait(timeout=_GRACE_S)
            except subprocess.TimeoutExpired:
                self._popen.kill()
            self._code = self._popen.wait()
            if self._code == -getattr(signal, "SIGKILL", 9):  # perhaps that of the watcher, which then ended nothing
                _end_marked(self._mark)
            with contextlib.suppress(OSError, queue.Empty):
                if self._popen.stdin is not None:
                    self._popen.stdin.close()
                while self._said.get(timeout=1.0):  # until its end: nobody reads any more then
                    pass
                if self._popen.stdout is not None:
                    self._popen.stdout.close()
        return self._code

    def _line(self, until: float | None, is_wanted: Callable[[], bool]) -> bytes:
        """The next line that it says."""
        parts = [self._rest]
        while b"\n" not in parts[-1]:
            left = INTERVAL_S if until is None else until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            try:
                part = self._said.get(timeout=min(left, INTERVAL_S))
            except queue.Empty:
                if not is_wanted():
                    sentence = "It was ended, since the campaign that asked for it is gone."
                    raise _EndError(FailureReason.WORKER_DIED, sentence) from None
                continue
            if not part:
                self._said.put(part)  # the end, for whoever asks next
                raise _EndError(FailureReason.WORKER_DIED)
            parts.append(part)
            if sum(map(len, parts)) > MAX_ANSWER_BYTES:
                sentence = f"The worker process answered with more than {MAX_ANSWER_BYTES >> 20} MB and was ended."
                raise _EndError(FailureReason.WORKER_DIED, sentence)
        line, _, self._rest = b"".join(parts).partition(b"\n")
        return line

    def _listen(self) -> None:
        descriptor = -1 if self._popen.stdout is None else self._popen.stdout.fileno()
        with contextlib.suppress(OSError):
            while part := os.read(descriptor, 1 << 16):
                self._said.put(part)
        self._said.put(b"")


def _foreign(line: bytes) -> str:
    return (
        "Something else than the worker spoke where it answers, and the worker was ended: expected one line with the token of "
        f"this calculation, found {line[:80].decode(errors='backslashreplace')!r}. Let the calculator write to no descriptor that "
        "it did not open."
    )


def _death(code: int, output: Path) -> str:
    """What is known of a process that ended without an answer."""
    try:
        cause = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
    except ValueError:
        cause = f"by signal {-code}"
    said = _last_line(output)
    return f"The worker process was ended {cause}" + (f"; it said last: {said}" if said else ".")


def _last_line(path: Path) -> str:
    """The last line of a file that is not empty; only the end of the file is read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return ""
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - MAX_LAST_BYTES))
            text = file.read(MAX_LAST_BYTES).decode(errors="backslashreplace")
    except OSError:
        return ""
    return next((re.sub(r"\s+", " ", line)[:300] for line in reversed(text.split("\n")) if line.strip()), "")


def _end_marked(mark: str) -> None:
    """End the processes whose environment bears the mark: what is left of a worker whose watcher was killed."""
    wanted_variable = f"{MARK}={mark}".encode()
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted_variable in (place / "environ").read_bytes().split(b"\0"):
                os.kill(int(place.name), signal.SIGKILL)
