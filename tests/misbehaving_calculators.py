"""EMT that misbehaves once its energy is there: a table of ways, and what is to come of each.

`WAYS` maps a name to what is done and to what is expected: a reason of failure, or none where the energy counts. `ENDS` are those
that end a campaign that calculates in its own process, and `NOT_HERE` those that would end whoever started it.
"""

import asyncio
import ctypes
import decimal
import fractions
import gc
import locale
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
from ase.calculators.emt import EMT

WAYS = {}
ENDS = set()
NOT_HERE = set()
ENERGY, RAISED, NO_NUMBER, CHANGED = None, "raised", "not-finite", "changed"
DIED, LATE = "worker-died", "timed-out"


def way(expected, *, ends=False, not_here=False, relax="none"):
    def note(function):
        WAYS[function.__name__] = (function, expected, relax)
        ENDS.update({function.__name__} if ends else ())
        NOT_HERE.update({function.__name__} if not_here else ())
        return function

    return note


class Misbehaves(EMT):
    def __init__(self, how):
        super().__init__()
        self.how = how

    def calculate(self, atoms=None, *args, **kwargs):
        super().calculate(atoms, *args, **kwargs)
        WAYS[self.how][0](self, atoms)


def raises(name, make):
    def calculate(*_):
        raise make()

    calculate.__name__ = name
    way(RAISED)(calculate)


def gives(name, energy, expected=NO_NUMBER):
    def calculate(calculator, _):
        calculator.results["energy"] = energy(calculator.results["energy"])

    calculate.__name__ = name
    way(expected)(calculate)


class StrRaisesError(Exception):
    def __str__(self):
        raise ValueError("no text")


class StrExitsError(Exception):
    def __str__(self):
        raise SystemExit


class StrIsBytesError(Exception):
    def __str__(self):
        return b"caf\xe9"  # noqa: PLE0307


class StrIsNoneError(Exception):
    def __str__(self):
        return None  # noqa: PLE0307


class OwnBaseError(BaseException):
    pass


class Untold:
    def __repr__(self):
        raise RuntimeError("not told")


LATIN = b"caf\xe9.dat".decode(errors="surrogateescape")
raises("error", lambda: RuntimeError("no licence"))
raises("surrogate_text", lambda: RuntimeError(LATIN))
raises("bytes_text", lambda: RuntimeError(b"caf\xe9"))
raises("file_name_in_latin", lambda: FileNotFoundError(2, "No such file", LATIN))
raises("text_raises", StrRaisesError)
raises("text_exits", StrExitsError)
raises("text_is_bytes", StrIsBytesError)
raises("text_is_none", StrIsNoneError)
raises("text_of_megabytes", lambda: RuntimeError("x" * 10_000_000))
raises("text_with_nul_and_lines", lambda: RuntimeError("a\0b\nc\rd\x1b[2J"))
raises("no_text", RuntimeError)
raises("system_exit", SystemExit)
raises("system_exit_with_code", lambda: SystemExit(3))
raises("system_exit_with_text", lambda: SystemExit(LATIN))
raises("base_exception", lambda: OwnBaseError("mine"))
raises("keyboard_interrupt", KeyboardInterrupt)
raises("generator_exit", GeneratorExit)
raises("cancelled", asyncio.CancelledError)
raises("stop_iteration", StopIteration)
raises("group", lambda: BaseExceptionGroup("two", [KeyboardInterrupt(), ValueError("x")]))
raises("memory_error", MemoryError)
raises("broken_pipe", BrokenPipeError)

gives("true", lambda _: True)
gives("numpy_true", lambda _: np.True_)
gives("text", str)
gives("bytes_number", lambda _: b"1.0")
gives("complex_number", lambda energy: complex(energy, 0.0))
gives("numpy_complex", np.complex128)
gives("none", lambda _: None)
gives("nan", lambda _: float("nan"))
gives("infinite", lambda _: -np.inf)
gives("beyond_all_bounds", lambda _: 1e300)
gives("integer_without_end", lambda _: 10**400)
gives("two_numbers", lambda energy: np.array([energy, energy]))
gives("empty_array", lambda _: np.array([]))
gives("array_of_bool", lambda _: np.array(True))  # noqa: FBT003
gives("array_of_objects", lambda energy: np.array(energy, dtype=object))
gives("list_of_one", lambda energy: [energy])
gives("masked", lambda _: np.ma.masked)
gives("masked_array", lambda energy: np.ma.array([energy], mask=[True]))
gives("decimal_number", decimal.Decimal)
gives("table", lambda energy: {"energy": energy})
gives("untold", lambda _: Untold())
gives("time", lambda _: np.datetime64("2020-01-01"))
gives("array_of_one", lambda energy: np.array([energy]), ENERGY)
gives("array_without_axis", np.array, ENERGY)
gives("fraction", fractions.Fraction, ENERGY)
gives("long_double", np.longdouble, ENERGY)


@way(RAISED)
def recursion(*_):
    def deeper():
        return deeper() + 1

    deeper()


@way(RAISED)
def out_of_memory(*_):
    np.ones(1 << 56)


@way(RAISED)
def warnings_as_errors(*_):
    warnings.simplefilter("error")
    warnings.warn("old", DeprecationWarning, stacklevel=1)


@way(CHANGED)
def moves_an_atom(_, atoms):
    atoms.positions[-1] += 0.3


@way(CHANGED)
def changes_the_cell(_, atoms):
    atoms.set_cell(atoms.cell.array * 1.1, scale_atoms=True)


@way(CHANGED)
def another_kind(_, atoms):
    atoms.numbers[0] = 79


@way(CHANGED)
def one_atom_more(_, atoms):
    atoms.append("Cu")


@way(CHANGED)
def one_atom_less(_, atoms):
    del atoms[0]


@way(RAISED, relax="positions")
def forces_not_finite(calculator, _):
    calculator.results["forces"] = np.full_like(calculator.results["forces"], np.nan)


@way(NO_NUMBER, relax="positions")
def forces_complex(calculator, _):
    calculator.results["forces"] = np.zeros((2, 3), dtype=complex)


@way(RAISED, relax="positions")
def forces_of_other_atoms(calculator, _):
    calculator.results["forces"] = np.zeros((7, 3)) + 1.0


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


@way(ENERGY)
def floods_the_output(*_):
    for _ in range(200):
        os.write(1, (b"\xe9" * 99 + b"\n") * 1000)


@way(DIED, ends=True)
def floods_the_output_and_dies(*_):
    for _ in range(200):
        os.write(1, b"\xe9" * 100_000)
    os._exit(1)


@way(DIED, ends=True)
def makes_the_output_a_pipe_and_dies(*_):
    Path("output.txt").unlink()
    os.mkfifo("output.txt")
    os._exit(1)


@way(DIED, ends=True)
def removes_its_folder_and_dies(*_):
    shutil.rmtree(Path.cwd())
    os._exit(1)


@way(ENERGY)
def prints_what_is_no_text(*_):
    print(LATIN)  # noqa: T201


@way(ENERGY)
def file_names_that_are_no_text(*_):
    Path(LATIN).write_text("x")


@way(ENERGY)
def goes_elsewhere(*_):
    os.chdir("/")


@way(ENERGY)
def removes_its_folder(*_):
    shutil.rmtree(Path.cwd())


@way(ENERGY)
def clears_the_environment(*_):
    os.environ.clear()


@way(ENERGY)
def replaces_the_environment(*_):
    os.environ = {"PATH": ""}  # noqa: B003


@way(ENERGY)
def clears_the_path(*_):
    sys.path.clear()


@way(ENERGY)
def forbids_files(*_):
    os.umask(0o777)


@way(ENERGY)
def speaks_another_language(*_):
    locale.setlocale(locale.LC_ALL, "C")


@way(ENERGY)
def allows_little_depth(*_):
    sys.setrecursionlimit(90)


@way(ENERGY)
def allows_few_files(*_):
    resource.setrlimit(resource.RLIMIT_NOFILE, (8, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


@way(ENERGY)
def allows_no_processes(*_):
    resource.setrlimit(resource.RLIMIT_NPROC, (1, resource.getrlimit(resource.RLIMIT_NPROC)[1]))


@way(ENERGY)
def leaves_warnings_as_errors(*_):
    warnings.simplefilter("error")


@way(ENERGY)
def leaves_traps(*_):
    np.seterr(all="raise")


@way(ENERGY)
def leaves_signals_ignored(*_):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


@way(ENERGY)
def leaves_signals_blocked(*_):
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


@way(ENERGY)
def leaves_an_alarm(*_):
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(1)


@way(ENERGY)
def leaves_a_timer(*_):
    signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.05, 0.05)


@way(ENERGY)
def leaves_no_collection(*_):
    gc.disable()


@way(RAISED)  # what it calls itself is traced as well
def leaves_a_trace(*_):
    def trace(*_):
        raise RuntimeError("traced")

    sys.settrace(trace)


@way(ENERGY)
def leaves_a_thread(*_):
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()


@way(ENERGY, ends=True)
def leaves_a_thread_that_does_not_end(*_):
    threading.Thread(target=time.sleep, args=(600,)).start()


@way(ENERGY, ends=True)
def leaves_a_thread_that_exits(*_):
    threading.Timer(0.1, os._exit, args=(3,)).start()


@way(ENERGY, ends=True)
def leaves_a_thread_that_interrupts(*_):
    threading.Timer(0.02, os.kill, args=(os.getpid(), signal.SIGINT)).start()


@way(ENERGY, ends=True)
def leaves_a_thread_that_holds_the_lock(*_):
    threading.Timer(0.02, ctypes.PyDLL(None).sleep, args=(600,)).start()
