"""Play a small campaign again and again, each time with a fault at the next change of a file; preloaded with `injector.c`.

    python injecting.py LIBRARY FOLDER KIND HOW FIRST STEP

prints one JSON line: how many changes there are and were tried, and what was not as it should be. Each play is a fork of this
process, in which all is loaded and every figure drawn already; its writing, which is what fails, is that of the command line.
"""

import ctypes
import errno
import gc
import io
import json
import os
import re
import shutil
import signal
import sqlite3
import sys
import traceback
from collections import Counter
from contextlib import closing, redirect_stderr, redirect_stdout
from itertools import count
from pathlib import Path

from hullscout.campaign import Setup, Store
from hullscout.cli import main
from hullscout.figures import saving
from hullscout.planning import replay_workers

FAULTS = {"kill": -1, "full": errno.ENOSPC, "io": errno.EIO}
MAX_S = 120  # for a play, of a second or two
TABLES = {"campaign.db": ("answers", "rounds", "failures", "additions"), "plan.db": ("replays",)}


def steps(kind, base):
    """The commands of a campaign; giving them all again goes on where they stopped."""
    file, out, box = str(base.parent / f"{kind}.toml"), str(base / "out"), base / "box"
    if kind == "plan":
        yield ["plan", file, "--replicates", "3", "--out", out, "--set", "executor.kind=in-process"]
        return
    if kind == "changed" and not (base / "out" / "result.json").exists():
        yield ["run", file, "--out", out, "--set", "stop.max_calculations=3"]
    yield ["run", file, "--out", out]
    if kind == "unasked":
        (base.parent / "unasked.csv").write_text(f"id,energy_ev\n{last_of(base.parent / 'few.extxyz')},-0.5\n")
        yield ["tell", out, str(base.parent / "unasked.csv")]
    if kind == "add":
        yield ["add", out, str(base.parent / "more.extxyz")]
        yield ["run", file, "--out", out]
    if kind in {"handoff", "unasked"}:
        told = None
        while (yield ["ask", out, "-n", "2", "--to", str(box)]) or handed_out(box) != told:
            told = handed_out(box)
            energies = [f"{name},{-sum(name.encode()) / 1000}\n" for name in told]
            (base.parent / "told.csv").write_text("".join(["id,energy_ev\n", *energies]))
            yield ["tell", out, str(base.parent / "told.csv")]


def last_of(pool):
    return re.findall(r"\bid=(\S+)", pool.read_text())[-1]


def handed_out(box):
    return sorted(path.name for path in box.glob("[!.]*")) if box.is_dir() else []


def play(kind, base):
    """The first exit code that is not 0, and all that was printed."""
    said = io.StringIO()
    for step in steps(kind, base):
        with redirect_stdout(said), redirect_stderr(said):
            try:
                main(step)
            except SystemExit as end:
                if end.code:
                    return int(end.code), said.getvalue()
            except BaseException:  # noqa: BLE001  it is told
                return 70, said.getvalue() + traceback.format_exc()
    return 0, said.getvalue()


def in_a_fork(library, kind, base, *, n=0, fault=0):
    """A play's exit code, what it printed, and its changes of files, in a process of its own; a killed one has the code -9."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reading)
        signal.alarm(MAX_S)
        library.inject(str(base).encode(), n, fault)
        code, said = play(kind, base)
        os.write(writing, json.dumps([said[-20000:], library.injected()]).encode())
        os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        said, n_changes = json.loads(stream.read() or '["", 0]')
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said, n_changes


def kept(out):
    """What was committed and paid for, of a copy of the folder, by whoever opens it next."""
    copy = out.with_name("copy")
    shutil.rmtree(copy, ignore_errors=True)
    if (out / "plan.db").exists():
        shutil.copytree(out, copy)
        with closing(sqlite3.connect(copy / "plan.db")) as connection:
            if not connection.execute("SELECT * FROM sqlite_master").fetchall():
                return {}
            return {seed: path for *_, seed, _, path in connection.execute("SELECT * FROM replays")}
    if not (out / "campaign.db").exists():
        return {}
    shutil.copytree(out, copy)
    with Store.create_or_resume(copy, Setup.read(copy).origin) as store:
        return store.answers()


def ended(kind, out):
    """What a campaign or a plan ends in, to the byte, but for its times; the order of answers counts where it is not left open."""
    (database,) = (name for name in TABLES if (out / name).exists())
    order = "rowid" if kind in {"here", "add", "known", "changed"} else "1, 2"
    with closing(sqlite3.connect(out / database)) as connection:
        found = {
            table: connection.execute(f"SELECT * FROM {table} ORDER BY {order}").fetchall()  # noqa: S608
            for table in TABLES[database]
        }
    for name in ("result.json", "plan.json"):
        if (out / name).exists():
            found[name] = json.loads((out / name).read_text())
            _ = isinstance(found[name], dict) and found[name].pop("timings_s", None)
    box = out.with_name("box")
    names = [str(path.relative_to(out.parent)) for place in (out, box) for path in place.rglob("*")]
    files = {path.name: path.read_bytes() for path in out.glob("*.png")}
    written = {str(path.relative_to(box)): path.read_bytes() for path in box.rglob("*") if path.is_file()}
    # What is kept of a pool, a belief and of names saves time and is no result: where there was no room for it, it may be missing.
    names = [name for name in names if not name.endswith((".lock", ".kept"))]
    return {**found, **files, **written, "names": sorted(names)}


def logged(base):
    log = base.parent / "log"
    return [float(line.split()[1]) for line in log.read_text().splitlines()] if log.exists() else []


def try_one(library, kind, base, how, n, calm):
    """What is wrong after a fault at the n-th change, in sentences; None where there are not so many changes."""
    clear(base)
    code, said, n_changes = in_a_fork(library, kind, base, n=n, fault=FAULTS[how])
    if code != -signal.SIGKILL and n_changes < n:
        return None
    wrong = [] if code == (-signal.SIGKILL if how == "kill" else code) and code in {-signal.SIGKILL, 0, 2} else ["code"]
    wrong += ["no sentence"] if (code == 2) != ("Error: " in said) or "Traceback" in said else []
    wrong = [f"it ended with {code} ({', '.join(wrong)}): {said[-900:]}"] if wrong else []
    safe, before = kept(base / "out"), logged(base)
    code, said, _ = in_a_fork(library, kind, base)
    if code:
        return [*wrong, f"it does not go on ({code}): {said[-900:]}"]
    again = {key for key in logged(base)[len(before) :] if key in safe or key in safe.values()}
    wrong += [f"calculated twice: {again}"] if again else []
    if how != "kill" and kind != "plan":  # whoever lives on keeps all that it paid for; a plan has nothing kept back
        many = {key: times for key, times in Counter(logged(base)).items() if times > 1}
        wrong += [f"calculated more than once: {many}"] if many else []
    now = ended(kind, base / "out")
    after = {row[0]: row[1] for row in now.get("answers", ())} | {row[2]: row[4] for row in now.get("replays", ())}
    wrong += [] if safe.items() <= after.items() else ["an answer was lost"]
    wrong += [
        f"another {key}: {now.get(key)!r} instead of {calm[key]!r}"[:900] for key in calm if now.get(key) != calm[key]
    ]
    return wrong + [f"there is {key} too" for key in now.keys() - calm.keys()]


def clear(base):
    shutil.rmtree(base, ignore_errors=True)
    base.mkdir()
    (base.parent / "log").unlink(missing_ok=True)


def prepare(folder):
    """Load all that plays need, and draw each kind of figure once: its bytes are those of the first play from then on."""
    draws, drawn = saving.figure_bytes, {}

    def drawn_once(draw, *, inches, **how):
        if inches not in drawn:
            drawn[inches] = draws(draw, inches=inches, **how)
        return drawn[inches]

    saving.figure_bytes = drawn_once
    for kind in ("here", "plan"):
        clear(folder / "warm")
        code, said = play(kind, folder / "warm")
        if code:
            raise SystemExit(said)
    gc.freeze()  # what is collected is written to, and then no more shared with the forks


def logs_replays(log):
    """Let each replay write down its seed, as the calculator does its energy."""
    plays = replay_workers.play

    def play_logged(pool, config, *, seed):
        with log.open("a") as file:
            file.write(f"replay {seed}\n")
        return plays(pool, config, seed=seed)

    replay_workers.play = play_logged


if __name__ == "__main__":
    library, folder, kind = ctypes.CDLL(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    how, first, step = sys.argv[4], int(sys.argv[5]), int(sys.argv[6])
    library.inject.argtypes, library.injected.restype = (ctypes.c_char_p, ctypes.c_long, ctypes.c_int), ctypes.c_long
    logs_replays(folder / "log")
    prepare(folder)
    clear(folder / "base")
    code, said, n_changes = in_a_fork(library, kind, folder / "base")
    if code:
        raise SystemExit(said)
    calm, wrong, n_tried = ended(kind, folder / "base" / "out"), {}, 0
    for n in count(first, step):
        faults = try_one(library, kind, folder / "base", how, n, calm)
        if faults is None:
            break
        n_tried += 1
        wrong |= {n: faults} if faults else {}
    print(json.dumps({"n_changes": n_changes, "n_tried": n_tried, "wrong": wrong}))  # noqa: T201
