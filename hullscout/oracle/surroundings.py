"""What a calculator finds around it in its process, and must leave as it was for the next one.

Working folder, environment, signals, timers, limits, masks, warnings, floating-point traps, locale, standard streams, modules and
what finds them, functions that trace: whatever it changed is put back. Of limits that cannot be, it is said; threads and hooks of
audits cannot be, and end with the process.
"""

from __future__ import annotations

import gc
import locale
import os
import signal
import sys
import tempfile
import threading
import warnings
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LIMITS = ("AS", "CORE", "CPU", "DATA", "FSIZE", "MEMLOCK", "NOFILE", "NPROC", "RSS", "STACK")
_NEEDED = {"AS", "CPU", "DATA", "FSIZE", "NOFILE", "NPROC", "STACK"}  # without others a campaign goes on
_SIGNALS = tuple(int(number) for number in signal.valid_signals() if number < 32)  # nobody uses the others
_STREAMS = ("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__")


@contextmanager
def kept_surroundings() -> Iterator[list[str]]:
    """Put everything back that is changed within; one thing that cannot be put back hinders no other.

    The list says, after the context, which limits of the process are lower than they were.
    """
    lowered: list[str] = []
    with ExitStack() as stack, warnings.catch_warnings(), np.errstate():
        for keep in (
            _folder,
            _environment,
            _interpreter,
            _signals,
            _timers,
            partial(_limits, lowered),
            _masks,
            _modules,
        ):
            with suppress(OSError, ValueError, locale.Error):
                stack.callback(_tried, keep())
        yield lowered


def _tried(put_back: Callable[[], None]) -> None:
    with suppress(OSError, ValueError, locale.Error):
        put_back()


@contextmanager
def kept_traces() -> Iterator[None]:
    """Put functions that trace back; such a one may raise here, and is none any more then."""
    kept: list[tuple[Callable[[Any], None], object]] = [
        (sys.settrace, sys.gettrace()),
        (sys.setprofile, sys.getprofile()),
        (threading.settrace, threading.gettrace()),
        (threading.setprofile, threading.getprofile()),
    ]
    try:
        yield
    finally:
        for put_back, function in kept:
            put_back(function)


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
    of_threads = threading.excepthook
    depth, is_collecting, spoken = sys.getrecursionlimit(), gc.isenabled(), locale.setlocale(locale.LC_ALL)
    folder, digits = tempfile.tempdir, sys.get_int_max_str_digits()

    def put_back() -> None:
        for name, value in {**streams, **hooks}.items():
            setattr(sys, name, value)
        threading.excepthook, tempfile.tempdir = of_threads, folder
        sys.set_int_max_str_digits(digits)
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


def _limits(lowered: list[str]) -> Callable[[], None]:
    if sys.platform == "win32":
        return lambda: None
    import resource  # noqa: PLC0415  (not there on every system)

    kinds = {name: kind for name in _LIMITS if (kind := getattr(resource, f"RLIMIT_{name}", None)) is not None}
    limits = {name: resource.getrlimit(kind) for name, kind in kinds.items()}

    def put_back() -> None:
        for name, (soft, hard) in limits.items():
            now = resource.getrlimit(kinds[name])[1]
            possible = (
                soft if now == resource.RLIM_INFINITY else now if soft == resource.RLIM_INFINITY else min(soft, now)
            )
            if resource.getrlimit(kinds[name]) == (soft, hard):
                continue
            for limit in ((soft, hard), (possible, now)):  # only some users may raise the second
                with suppress(OSError, ValueError):
                    resource.setrlimit(kinds[name], limit)
                    break
            if resource.getrlimit(kinds[name])[0] != soft and name in _NEEDED:
                lowered.append(f"RLIMIT_{name} to {resource.getrlimit(kinds[name])[0]}")

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


def _modules() -> Callable[[], None]:
    modules, content = sys.modules, dict(sys.modules)
    lists = {name: (found := getattr(sys, name), list(found)) for name in ("meta_path", "path_hooks")}

    def put_back() -> None:
        for name, (found, members) in lists.items():
            setattr(sys, name, found)
            found[:] = members
        sys.modules = modules
        for name, module in content.items():  # what was imported since stays
            if modules.get(name) is not module:
                modules[name] = module
                parent, _, child = name.rpartition(".")
                if parent in content:
                    setattr(content[parent], child, module)

    return put_back
