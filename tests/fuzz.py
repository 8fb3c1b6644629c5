"""Damage small files of every format that is read, thousands of times, and see what the commands make of them.

    python tests/fuzz.py --cases 500                    all formats
    python tests/fuzz.py --format traj --case 17        one case again, with its files kept

Each case is a sound file or folder with one or two mutations, the same for the same number. It goes through `check` and `run`, or
`tell`, in a process with limits of time and memory, and ends as one of `ENDS`. What the file states is read a second time by
`fuzz_stated`; the last three ends are faults of Hullscout, and the exit code is 1 if there are any.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["COLUMNS"] = "2000"

import multiprocessing
import resource
import shutil
import sys
import tempfile
import time
import traceback
import zlib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

import click
import numpy as np
from fuzz_corpus import other_samples, pool_samples, tell_samples
from fuzz_mutations import mutate
from fuzz_readers import Crash, differing, harness, write_all
from stated import Contradiction

from hullscout.cli import campaigns
from hullscout.errors import HullscoutError

SEED = 20
TIME_S = 10.0
WARM_UP_S = 300.0  # compiles what is not compiled yet
MEMORY_BYTES = 1536 * 1024**2
ENDS = ("refused", "same", "plausible", "said", "SILENT", "traceback", "hang")
"""Refused by us; taken as the sound file; another valid value that the file states, taken as such; a change that was taken and that
the commands speak of by id; taken though the file contradicts itself or is not understood; any other exception; no answer in time
or memory."""
FAULTS = ENDS[4:]
RUN_EVERY = 10  # of cases that are taken as the sound file, which the run was seen to take


class Verdict(NamedTuple):
    """How a case ended, and what there is to say of it."""

    end: str
    said: str = ""


def samples():
    """All sound samples by format."""
    return {**pool_samples(), **tell_samples(), **other_samples()}


def damaged(name, sample, case):
    """The files of a case, and what was done to them."""
    rng = np.random.default_rng([SEED, zlib.crc32(name.encode()), case])
    kept = {"pool.extxyz": sample.files["pool.extxyz"]} if name == "campaign" else {}
    files, how = mutate(rng, {path: content for path, content in sample.files.items() if path not in kept})
    return {**files, **kept}, how


def judge(made, files, folder, *, case):
    """How a case ends."""
    write_all(folder, files)
    try:
        seen = made.taken_of(folder, is_run=case % RUN_EVERY == 0)
    except HullscoutError as error:
        return Verdict("refused", str(error))
    except MemoryError:
        return Verdict("hang", f"more memory than {MEMORY_BYTES >> 20} MiB")
    except Crash as crash:
        return Verdict("hang" if "\nMemoryError" in str(crash) else "traceback", str(crash))
    except Exception:  # noqa: BLE001  it is what is looked for
        return Verdict("traceback", traceback.format_exc())
    if not differing(made, seen.taken, made.sound.taken):
        return Verdict("same")
    return _of_changed(made, files, seen)


def _of_changed(made, files, seen):
    """How a case ends that was taken as something else than the sound file."""
    try:
        apart = differing(made, seen.taken, made.states(files))
        why = f"the file states another: {apart}"
    except Contradiction as found:
        apart, why = differing(made, seen.taken, made.sound.taken), f"{found}"
    new = set(seen.printed.splitlines()) - set(made.sound.printed.splitlines())
    is_refused = any(line.startswith("Error:") for line in new)  # in part, by the place in a table
    taken = dict(seen.taken)
    unsaid = [
        (name, how)
        for name, how in apart
        if not any(name in line for line in new if "candidates" not in line) and not (is_refused and name not in taken)
    ]
    if not apart:
        return Verdict("plausible")
    if unsaid:
        return Verdict("SILENT", f"{why}; taken otherwise than before: {unsaid}")
    return Verdict("refused" if is_refused and not set(dict(apart)) & set(taken) else "said", why)


def work(connection, names):
    """Judge cases that come in by format and number, in a process of its own with its limits."""
    held = {}
    with tempfile.TemporaryDirectory() as scratch, open(os.devnull, "w") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), 1)
        campaigns.save_result = lambda *_, **__: None  # no figure of each
        for name in names:
            folder = Path(scratch) / "sound" / name
            folder.mkdir(parents=True)
            held[name] = harness(name, samples()[name], folder)
        pages = int(Path("/proc/self/statm").read_text().split()[0])  # what the process that was forked has already
        bound = MEMORY_BYTES + pages * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
        connection.send(None)
        while (asked := connection.recv()) is not None:
            name, case = asked
            folder = Path(scratch) / "case"
            files, _ = damaged(name, held[name].sample, case)
            connection.send(judge(held[name], files, folder, case=case))
            shutil.rmtree(folder, ignore_errors=True)


class Worker:
    """A process that judges cases of some formats; it is ended, and begun anew, where it does not answer."""

    def __init__(self, names):
        self._names, self._process = names, None

    def begin(self):
        context = multiprocessing.get_context("fork")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=work, args=(other, self._names), daemon=True)
        self._process.start()
        other.close()
        try:
            self._connection.recv() if self._connection.poll(WARM_UP_S) else self.end()
        except EOFError as error:
            raise RuntimeError(f"{', '.join(self._names)}: the sound files were not read") from error

    def judge(self, name, case):
        if self._process is None:
            self.begin()
        try:
            self._connection.send((name, case))
            if self._connection.poll(TIME_S):
                return self._connection.recv()
            verdict = Verdict("hang", f"no answer in {TIME_S:g} s")
        except (EOFError, OSError):
            self._process.join()
            verdict = Verdict("hang", f"the process ended with {self._process.exitcode}")
        self.end()
        return verdict

    def end(self):
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


def fuzz(name, cases):
    """The ends of cases of a format, and the faults among them by number."""
    worker, counts, faults = Worker([name]), Counter(), {}
    try:
        for case in cases:
            verdict = worker.judge(name, case)
            counts[verdict.end] += 1
            if verdict.end in FAULTS:
                faults[case] = verdict
    finally:
        worker.end()
    return counts, faults


def _show(name, counts, faults, seconds, sample):
    for case, verdict in faults.items():
        _, how = damaged(name, sample, case)
        click.echo(
            f"{verdict.end}: --format {name} --case {case} ({how})\n    "
            + "\n    ".join(verdict.said.splitlines()[-6:])
        )
    click.echo("".join([f"{name:<20}", *(f"{counts[end]:>10}" for end in ENDS), f"{seconds:>8.0f} s"]))


@click.command(help=__doc__.replace("\n\n", "\n\n\b\n", 1) if __doc__ else None)
@click.option("--format", "formats", multiple=True, help="Only this format; may be repeated.")
@click.option("--cases", default=50, show_default=True, help="Mutations of each format.")
@click.option("--case", "only", type=int, help="Only this case; its files are kept, and where is said.")
def run(formats, cases, only):
    all_samples = samples()
    if unknown := set(formats) - set(all_samples):
        raise click.UsageError(f"no format {', '.join(unknown)}; there are {', '.join(all_samples)}")
    chosen = formats or tuple(all_samples)
    click.echo("".join([f"{'format':<20}", *(f"{end:>10}" for end in ENDS), f"{'time':>10}"]))
    total, is_wrong = Counter(), False
    for name in chosen:
        began = time.perf_counter()
        counts, faults = fuzz(name, range(cases) if only is None else [only])
        _show(name, counts, faults, time.perf_counter() - began, all_samples[name])
        total += counts
        is_wrong |= bool(faults)
        if only is not None:
            folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
            files, how = damaged(name, all_samples[name], only)
            write_all(folder, files)
            click.echo(f"{how}\n{folder / all_samples[name].target}")
    click.echo("".join([f"{'all':<20}", *(f"{total[end]:>10}" for end in ENDS)]))
    sys.exit(1 if is_wrong else 0)


if __name__ == "__main__":
    run()
