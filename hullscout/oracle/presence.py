"""Whether somebody still waits for a calculation: the campaign that asked for it, from its own machine or over Dask.

`Presence` is held by a campaign while its workers are open. The `Sign` of it goes with every calculation to wherever an executor
takes that. On the campaign's own machine it tells at once when the campaign is gone, however it ended; on others Dask does.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

INTERVAL_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """What tells of a campaign: the machine that it runs on, its process, and a socket that is there as long as its workers are."""

    machine: str
    process: int
    socket: str

    @property
    def is_gone(self) -> bool:
        """Whether the campaign is known to have left; on another machine nothing is known."""
        if self.machine != _machine():
            return False
        try:
            if not self.socket:
                os.kill(self.process, 0)
                return False
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
                asking.connect(self.socket)
        except OSError as error:
            return isinstance(error, ConnectionRefusedError | ProcessLookupError)
        return False


class Presence:
    """That a campaign is there: from entering until leaving, or until its process ends."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        name = ""
        if sys.platform == "linux":  # sockets with names that are no files
            name = f"\0hullscout-{secrets.token_hex(16)}"
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.bind(name)
            os.register_at_fork(after_in_child=self._close)
        self.sign = Sign(machine=_machine(), process=os.getpid(), socket=name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()


@cache
def _machine() -> str:
    """What two processes share that see each other's processes and sockets."""
    words = [socket.gethostname()]
    for name in ("pid", "net"):
        with suppress(OSError):
            words.append(str(Path(f"/proc/self/ns/{name}").readlink()))
    with suppress(OSError):
        words.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
    return " ".join(words)


def wanted(sign: Sign | None) -> Callable[[], bool]:
    """Whether the calculation that this thread is to run is wanted, to be asked again and again."""
    is_cancelled = _cancelled_by_dask()
    return lambda: not (is_cancelled() or (sign is not None and sign.is_gone))


def _cancelled_by_dask() -> Callable[[], bool]:
    """Whether the Dask task of this thread was cancelled, as it is when the campaign's connection to the scheduler ends."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return lambda: False
    try:
        worker: Any = distributed.get_worker()
        key = worker.get_current_task()
    except (ValueError, KeyError, AttributeError):  # this is no task of Dask
        return lambda: False

    def is_cancelled() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state in {"cancelled", "released", "forgotten"}

    return is_cancelled


def follow(sign: Sign | None) -> None:
    """Let this process end with the campaign, where that started it for its executor: nobody else would end it."""
    if sign is None or os.getpid() == sign.process or os.getpid() in _FOLLOWING or os.getppid() != sign.process:
        return
    _FOLLOWING.add(os.getpid())

    def end() -> None:
        while os.getppid() == sign.process:
            time.sleep(INTERVAL_S)
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()


_FOLLOWING: set[int] = set()  # by process: a fork inherits no threads
