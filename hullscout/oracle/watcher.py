"""The small process between a campaign and a worker process: it ends the worker with all that descends from it.

It runs as a script that loads nothing of this package, so that no calculator can hold it up. It ends the worker when the pipe of
messages has no writer any more, when the process that started it is gone, or when it is told to by SIGTERM; and when the worker has
ended, it ends what that left behind. Then it ends in the way in which the worker did.

On Linux it adopts what its descendants leave behind, also in sessions of their own, and is taken along by nobody: a worker
whose watcher is killed dies with it. Elsewhere what descends from the worker is what `ps` shows at that moment.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
INTERVAL_S = 0.5  # between looks at what tells of itself by nothing
MAX_END_S = 5.0  # for what cannot be ended: a process of another user, or one that waits for a disk


def control(option: int, value: int) -> bool:
    """Ask the kernel for something that Linux alone has; whether it was given."""
    if sys.platform != "linux":
        return False
    try:
        return bool(ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def parents() -> dict[int, int]:
    """The parent of every process that can be seen; what has ended and is not cleared away yet is left out."""
    if not sys.platform.startswith("linux"):
        command = ["ps", "-A", "-o", "pid=,ppid=,stat="]
        shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603
        rows = (line.split() for line in shown.splitlines())
        return {int(row[0]): int(row[1]) for row in rows if len(row) == 3 and not row[2].startswith("Z")}
    found = {}
    for name in os.listdir("/proc"):  # noqa: PTH208  (pathlib is not loaded here)
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                    state, parent = file.read().rpartition(b")")[2].split()[:2]
            except (OSError, ValueError):
                continue
            if state not in (b"Z", b"X"):
                found[int(name)] = int(parent)
    return found


def descendants(ancestor: int, through: set[int] | None = None) -> set[int]:
    """The processes that descend from one, or only those that do so through some of its children, and these."""
    parent_of = parents()
    found: set[int] = set()
    new = {ancestor}
    while new:
        new = {pid for pid, parent in parent_of.items() if parent in new and pid not in found}
        if through is not None and not found:
            new &= through
        found |= new
    return found


def end_processes(left_of: Callable[[], set[int]]) -> bool:
    """End processes until a function finds none; whether none is left. They are halted first, so that none starts another."""
    began = time.monotonic()
    halted: set[int] = set()
    while left := left_of():
        if new := left - halted:
            halted |= new
            send(new, signal.SIGSTOP)
            if time.monotonic() - began < MAX_END_S / 2:
                continue
        send(left, signal.SIGKILL)
        if time.monotonic() - began > MAX_END_S:
            return False
        time.sleep(0.002)
    return True


def send(pids: set[int], number: signal.Signals) -> None:
    """Send a signal to processes, some of which may be gone."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except OSError:
            continue


def reap(wanted: int | None) -> int | None:
    """Clear away children that have ended; the status of one of them, if it is among these."""
    status = None
    while True:
        try:
            pid, found = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        if pid == wanted:
            status = found


def start(command: list[str]) -> int:
    """Start the worker in a session of its own; it dies with this process."""
    watcher = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        control(PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if os.getppid() == watcher:
            os.execv(command[0], command)  # noqa: S606
    finally:
        os._exit(127)


def watch(command: list[str]) -> int:
    """Run the worker, until one of the ends; its status, or that of a SIGKILL where it was ended from here."""
    starter = os.getppid()
    control(PR_SET_CHILD_SUBREAPER, 1)
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    worker = start(command)
    hung_up = select.POLLHUP | select.POLLERR | select.POLLNVAL
    poll = select.poll()
    poll.register(0, 0)  # only whether it has a writer: what is written is for the worker
    poll.register(woken, select.POLLIN)
    status: int | None = None
    while status is None and not told and os.getppid() == starter:
        events = dict(poll.poll(1000 * INTERVAL_S))
        if events.get(0, 0) & hung_up:
            break
        if woken in events:
            os.read(woken, 4096)
        status = reap(worker)
    end_processes(lambda: descendants(os.getpid()))
    reap(None)
    return signal.SIGKILL if status is None else status


def leave(status: int) -> None:
    """End as the worker did."""
    if os.WIFSIGNALED(status):
        import resource  # noqa: PLC0415  (for this alone)

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


if __name__ == "__main__":
    leave(watch(sys.argv[1:]))
