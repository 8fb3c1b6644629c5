"""Play a small campaign again and again, each time with a fault at the next change of a file; preloaded with `injector.c`.

    python injecting.py LIBRARY FOLDER KIND HOW FIRST STEP

prints one JSON line: how many changes of files there are, how many were tried, and what was not as it should be.
"""

import ctypes
import errno
import io
import json
import os
import shutil
import sqlite3
import sys
import traceback
from contextlib import closing, redirect_stderr, redirect_stdout
from pathlib import Path

from hullscout import figures  # noqa: F401  loaded before the forks
from hullscout.campaign import Setup, Store
from hullscout.cli import main

FAULTS = {"kill": -1, "full": errno.ENOSPC, "io": errno.EIO}


def steps(kind, base):
    """The commands of a campaign; giving them all again goes on where they stopped."""
    run, box = ["run", str(base.parent / f"{kind}.toml"), "--out", str(base / "out")], base / "box"
    yield run
    if kind == "handoff":
        while n_left := 2 - len(handed_out(box)):
            yield ["ask", str(base / "out"), "-n", str(n_left), "--to", str(box)]
        told = base.parent / "told.csv"
        lines = [f"{name},{-sum(name.encode()) / 1000}\n" for name in handed_out(box)]
        told.write_text("".join(["id,energy_ev\n", *lines]))
        yield ["tell", str(base / "out"), str(told)]
    if kind == "add":
        yield ["add", str(base / "out"), str(base.parent / "more.extxyz")]
        yield run


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


def in_a_fork(call):
    """What a call printed and its exit code, in a process of its own; a killed one has the code -9."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        code, said = call()
        os.write(writing, said.encode(errors="replace")[-60000:])
        os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        said = stream.read().decode()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


def kept(out):
    """The energies that were committed, of a copy of the folder, by whoever opens it next; None where nothing was made."""
    if not (out / "campaign.db").exists():
        return {}
    copy = out.with_name("copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(out, copy)
    with Store.create_or_resume(copy, Setup.read(copy).origin) as store:
        return store.answers()


def ended(out):
    """What a campaign ends in, to the byte, but for its times."""
    with closing(sqlite3.connect(out / "campaign.db")) as connection:
        tables = [
            connection.execute(f"SELECT {columns} FROM {table} ORDER BY rowid").fetchall()  # noqa: S608
            for table, columns in (("answers", "*"), ("rounds", "*"), ("failures", "*"), ("additions", "*"))
        ]
    result = out / "result.json"
    tree = json.loads(result.read_text()) if result.exists() else {}
    tree.pop("timings_s", None)
    return tables, tree, sorted(path.name for path in out.iterdir() if path.name != "campaign.lock")


def logged(base):
    log = base.parent / "log"
    return [float(line.split()[1]) for line in log.read_text().splitlines()] if log.exists() else []


def try_one(library, kind, base, how, n, calm):
    """What is wrong after a fault at the n-th change, in sentences."""
    shutil.rmtree(base, ignore_errors=True)
    base.mkdir()
    (base.parent / "log").unlink(missing_ok=True)

    def faulty():
        library.inject(str(base).encode(), n, FAULTS[how])
        return play(kind, base)

    code, said = in_a_fork(faulty)
    wrong = [f"it ended with {code}: {said[-600:]}"] if code not in {-9, 0, 2} or "Traceback" in said else []
    safe, n_before = kept(base / "out"), len(logged(base))
    code, said = in_a_fork(lambda: play(kind, base))
    if code:
        return [*wrong, f"it does not go on ({code}): {said[-600:]}"]
    again = {energy for energy in logged(base)[n_before:] if energy in safe.values()}
    wrong += [f"calculated twice: {again}"] if again else []
    after = kept(base / "out")
    wrong += [] if safe.items() <= after.items() else ["an answer was lost"]
    pairs = zip(ended(base / "out"), calm, strict=True)
    return wrong + [f"another end: {now} instead of {then}" for now, then in pairs if now != then]


if __name__ == "__main__":
    library, folder, kind, how = ctypes.CDLL(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]
    first, step = int(sys.argv[5]), int(sys.argv[6])
    library.inject.argtypes, library.injected.restype = (ctypes.c_char_p, ctypes.c_long, ctypes.c_int), ctypes.c_long
    base = folder / "base"
    base.mkdir()

    def calm_run():
        library.inject(str(base).encode(), 0, 0)
        code, said = play(kind, base)
        return code, said + f"\n{library.injected()}"

    code, said = in_a_fork(calm_run)
    if code:
        raise SystemExit(said)
    n_changes, calm = int(said.splitlines()[-1]), ended(base / "out")
    tried = range(first, n_changes + 1, step)
    wrong = {n: faults for n in tried if (faults := try_one(library, kind, base, how, n, calm))}
    print(json.dumps({"n_changes": n_changes, "n_tried": len(tried), "wrong": wrong}))  # noqa: T201
