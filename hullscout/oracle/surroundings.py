"""What a calculator finds around it in its process, and must leave as it was for the next one.

Working folder, environment, signals, timers, limits, masks, warnings, floating-point traps, locale, standard streams: whatever it
changed is put back. What cannot be put back, such as threads, is for the process to end.
"""

from __future__ import annotations

import gc
import locale
import os
import signal
import sys
import threading
import warnings
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LIMITS = ("AS", "CORE", "CPU", "DATA", "FSIZE", "MEMLOCK", "NOFILE", "NPROC", "RSS", "STACK")
_SIGNALS = tuple(int(number) for number in signal.valid_signals() if number < 32)  # nobody uses the others
_STREAMS = ("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__")


@contextmanager
def kept_surroundings() -> Iterator[None]:
    """Put everything back that is changed within; one thing that cannot be put back hinders no other."""
    with ExitStack() as stack, warnings.catch_warnings(), np.errstate():
        for keep in (_folder, _environment, _interpreter, _signals, _timers, _limits, _masks):
            with suppress(OSError, ValueError, locale.Error):
                stack.callback(_tried, keep())
        yield


def _tried(put_back: Callable[[], None]) -> None:
    with suppress(OSError, ValueError, locale.Error):
        put_back()


def _folder() -> Callable[[], None]:
    where, folder = os.getcwd(), os.open(".", os.O_RDONLY)  # noqa: PTH109  it may be gone, and still is where we are

    def put_back() -> None:
        try:
            os.fchdir(folder) if hasattr(os, "fchdir") else os.chdir(where)
            os.close(folder)
        except OSError:  # the descriptor was closed
            os.chdir(where)

    return put_back


def _environment() -> Callable[[], None]:
    environment, content, path, modules = os.environ, os.environ.copy(), sys.path, list(sys.path)

    def put_back() -> None:
        os.environ = environment  # noqa: B003  it may be another object now
        if environment.copy() != content:
            environment.clear()
            environment.update(content)
        sys.path = path
        path[:] = modules

    return put_back


def _interpreter() -> Callable[[], None]:
    streams = {name: getattr(sys, name) for name in _STREAMS}
    hooks: dict[str, Any] = {name: getattr(sys, name) for name in ("excepthook", "unraisablehook", "displayhook")}
    depth, is_collecting, spoken = sys.getrecursionlimit(), gc.isenabled(), locale.setlocale(locale.LC_ALL)
    trace = sys.gettrace()

    def put_back() -> None:
        for name, value in {**streams, **hooks}.items():
            setattr(sys, name, value)
        if sys.gettrace() is not trace:
            sys.settrace(trace)
        (gc.enable if is_collecting else gc.disable)()
        if sys.getrecursionlimit() != depth:
            sys.setrecursionlimit(depth)
        if locale.setlocale(locale.LC_ALL) != spoken:
            locale.setlocale(locale.LC_ALL, spoken)

    return put_back


def _signals() -> Callable[[], None]:
    is_main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in _SIGNALS} if is_main else {}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ()) if hasattr(signal, "pthread_sigmask") else None

    def put_back() -> None:
        for number, handler in handlers.items():
            if signal.getsignal(number) is not handler:
                with suppress(OSError, ValueError):
                    signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if blocked is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    return put_back


def _timers() -> Callable[[], None]:
    names = [name for name in ("ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF") if hasattr(signal, name)]
    timers = {getattr(signal, name): signal.getitimer(getattr(signal, name)) for name in names}

    def put_back() -> None:
        for timer, setting in timers.items():
            if signal.getitimer(timer) != setting:
                signal.setitimer(timer, *setting)

    return put_back


def _limits() -> Callable[[], None]:
    if sys.platform == "win32":
        return lambda: None
    import resource  # noqa: PLC0415  (not there on every system)

    kinds = [getattr(resource, f"RLIMIT_{name}") for name in _LIMITS if hasattr(resource, f"RLIMIT_{name}")]
    limits = {kind: resource.getrlimit(kind) for kind in kinds}

    def put_back() -> None:
        for kind, limit in limits.items():
            if (now := resource.getrlimit(kind)) != limit:
                with suppress(OSError, ValueError):
                    resource.setrlimit(kind, (limit[0], now[1]))

    return put_back


def _masks() -> Callable[[], None]:
    umask = os.umask(0o077)
    os.umask(umask)
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None

    def put_back() -> None:
        os.umask(umask)
        if cores is not None and os.sched_getaffinity(0) != cores:
            os.sched_setaffinity(0, cores)

    return put_back
