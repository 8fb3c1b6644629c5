"""Ways to end, to hang, to leave processes and to take the descriptors of others."""

import ctypes
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from misbehaving import DIED, ENERGY, LATE, RAISED, way


@way(DIED, ends=True)
def exits(*_):
    os._exit(0)


@way(DIED, ends=True)
def exits_with_code(*_):
    os._exit(3)


@way(DIED, ends=True)
def aborts(*_):
    os.abort()


@way(DIED, ends=True)
def segfaults(*_):
    ctypes.string_at(0)


@way(DIED, ends=True)
def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)


@way(DIED, ends=True)
def terminates_itself(*_):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(1)


@way(RAISED, ends=True)
def interrupts_itself(*_):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(1)


@way(DIED, ends=True)
def kills_its_group(*_):
    os.killpg(0, signal.SIGKILL)


@way(DIED, not_here=True)
def kills_its_parent(*_):
    subprocess.Popen(["sleep", "600"], start_new_session=True)  # noqa: S607
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(600)


@way(LATE, ends=True)
def halts(*_):
    os.kill(os.getpid(), signal.SIGSTOP)


@way(LATE, ends=True)
def sleeps(*_):
    Path("begun").touch()
    time.sleep(600)


@way(LATE, ends=True)
def sleeps_with_the_lock_held(*_):
    ctypes.PyDLL(None).sleep(600)


@way(LATE, ends=True)
def runs_for_ever(*_):
    while True:
        pass


@way(LATE, ends=True)
def waits_for_itself(*_):
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


@way(LATE, ends=True)
def catches_everything(*_):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while True:
        try:
            time.sleep(600)
        except BaseException:  # noqa: BLE001, S112
            continue


@way(LATE, not_here=True)
def waits_for_a_daemon_that_holds_the_lock(*_):
    if os.fork() == 0:
        os.setsid()
        ctypes.PyDLL(None).sleep(600)
    ctypes.PyDLL(None).sleep(600)


@way(ENERGY)
def reads_the_input(*_):
    if os.read(0, 1) or sys.stdin.read():
        raise RuntimeError("found something")


@way(ENERGY)
def fork_that_returns(*_):
    os.fork()


@way(ENERGY)
def fork_of_c_that_returns(*_):
    ctypes.PyDLL(None).fork()


@way(ENERGY)
def fork_that_raises(*_):
    if os.fork() == 0:
        raise SystemExit(1)


@way(ENERGY)
def fork_that_stays(*_):
    if os.fork() == 0:
        time.sleep(600)


@way(ENERGY)
def fork_that_answers(*_):
    if os.fork() == 0:
        for descriptor in range(3, 40):
            try:
                os.write(descriptor, b'{"energy": 1.0}\n')
            except OSError:
                continue
        os._exit(0)
    os.wait()


@way(ENERGY)
def daemon(*_):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(600)
        os._exit(0)
    os.wait()


@way(ENERGY)
def many_forks(*_):
    for _ in range(5):
        if os.fork() == 0:
            os.setsid()
            os.fork()
            time.sleep(600)


@way(ENERGY)
def program_that_stays(*_):
    subprocess.Popen(["sleep", "600"])  # noqa: S607


@way(ENERGY)
def program_of_its_own_session(*_):
    subprocess.Popen(["sleep", "600"], start_new_session=True, close_fds=False)  # noqa: S607


@way(ENERGY)
def program_that_ignores_signals(*_):
    subprocess.Popen(["sh", "-c", "trap '' TERM HUP INT; sleep 600 & wait; sleep 600"], start_new_session=True)  # noqa: S607


@way(ENERGY)
def pool_that_stays(calculator, _):
    context = multiprocessing.get_context("fork")
    calculator.__class__.pool = context.Pool(2)


@way(ENERGY)
def closes_the_output(*_):
    os.close(1)
    os.close(2)


@way(ENERGY)
def closes_the_input(*_):
    os.close(0)


@way(ENERGY)
def closes_the_streams(*_):
    sys.stdout.close()
    sys.stderr.close() if sys.stderr is not sys.__stderr__ else os.close(2)


@way(ENERGY)
def replaces_the_streams(*_):
    sys.stdout = sys.stderr = sys.stdin = None


@way(DIED, not_here=True)
def closes_everything(*_):
    os.closerange(3, 256)


@way(DIED, not_here=True)
def opens_files_instead(*_):
    os.closerange(3, 256)
    for name in range(20):
        os.open(f"file-{name}", os.O_RDWR | os.O_CREAT)


@way(DIED, not_here=True)
def leads_everything_to_nothing(*_):
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3, 64):
        if descriptor != nothing:
            os.dup2(nothing, descriptor)


@way(DIED, not_here=True)
def writes_everywhere(*_):
    for descriptor in range(3, 40):
        try:
            os.write(descriptor, b"1.0 eV\n")
        except OSError:
            continue


@way(DIED, not_here=True)
def speaks_for_the_worker(*_):
    outcome = '{"energy_ev": 1.0, "relaxed": null, "note": "", "wall_s": 0.1}'
    answer = f'{{"token": "{"0" * 32}", "id": "speaks_for_the_worker-8", "is_clean": true, "outcome": {outcome}}}\n'
    for descriptor in range(3, 40):
        try:
            os.write(descriptor, answer.encode())
        except OSError:
            continue


@way(DIED, not_here=True)
def writes_everywhere_without_an_end(*_):
    for descriptor in range(3, 40):
        try:
            os.write(descriptor, b"\xe9 1.0 eV")
        except OSError:
            continue


@way(ENERGY)
def opens_many_files(calculator, _):
    limit = min(9999, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    calculator.__class__.files = files = []
    while len(files) < 0.7 * limit:
        files.append(os.open(os.devnull, os.O_RDONLY))
