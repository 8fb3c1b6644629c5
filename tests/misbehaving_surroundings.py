"""Ways to change what the next calculation finds around it: output, folders, settings of the process, threads."""

import atexit
import ctypes
import gc
import locale
import os
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np
from misbehaving import DIED, ENERGY, RAISED, way
from misbehaving_answers import LATIN


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


@way(ENERGY, ends=True)
def allows_few_files_for_good(*_):
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))


@way(ENERGY, ends=True)
def allows_small_files_for_good(*_):
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))


@way(ENERGY)
def allows_no_dumps_for_good(*_):
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@way(ENERGY)
def allows_fewer_files_for_good(*_):
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, soft))


@way(ENERGY)
def allows_few_digits(*_):
    sys.set_int_max_str_digits(640)


@way(ENERGY)
def leaves_a_finder(*_):
    class Finder:
        def find_spec(self, *_):
            raise RuntimeError("found")

    sys.meta_path.insert(0, Finder())
    sys.path_hooks.insert(0, Finder)


@way(ENERGY)
def removes_modules(*_):
    for name in list(sys.modules):
        if name.startswith(("json", "hullscout.", "tempfile", "ase.units")):
            del sys.modules[name]


@way(ENERGY)
def replaces_the_modules(*_):
    sys.modules = {}
    sys.meta_path = []


@way(ENERGY)
def leaves_another_place_for_temporary_files(*_):
    tempfile.tempdir = "/nowhere"


@way(RAISED)  # what it calls itself is told to it as well
def leaves_a_profile(*_):
    def profile(*_):
        raise RuntimeError("profiled")

    sys.setprofile(profile)


@way(ENERGY)
def leaves_a_profile_that_waits(*_):
    def profile(frame, *_):
        if frame.f_code.co_name in {"submit", "working_folder"}:
            raise RuntimeError("profiled")

    sys.setprofile(profile)
    threading.setprofile(profile)


@way(ENERGY, ends=True)
def leaves_an_audit(*_):
    def audit(event, _):
        if event in {"open", "sqlite3.connect", "os.rename"}:
            raise RuntimeError("audited")

    sys.addaudithook(audit)


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


@way(ENERGY, ends=True)
def leaves_work_for_the_end(*_):
    atexit.register(time.sleep, 600)


@way(ENERGY, ends=True)
def leaves_an_exit(*_):
    def end(thread):
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(SystemExit))

    threading.Timer(0.05, end, args=(threading.main_thread().ident,)).start()
