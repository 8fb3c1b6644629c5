"""Speed against DScribe 2.1.2 on the Ag-Pd pool: same parameters, numbers compared, each code timed in turn on one thread.

    python tests/benchmarks/mbtr_vs_dscribe.py --dscribe-python PATH [--pool AgPd.extxyz.gz] [--cells 12]

PATH is the Python of an environment with dscribe 2.1.2 and an ASE before 3.27 (DScribe fails on periodic cells with later ones).
DScribe is timed on an evenly spaced sample of the pool, ours on the same sample, both in processor time on one thread and the best
of several runs, so that other work on the machine does not matter much; and ours on the whole pool, all threads, by the clock.
With --compile, the first call of k = 2 and 3, with and without the compiled kernels on disk, is timed in fresh processes.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase.io import read
from threadpoolctl import threadpool_limits

from hullscout.mbtr import MBTR, Term

if TYPE_CHECKING:
    from collections.abc import Callable

POOL = Path(__file__).resolve().parents[2] / "campaigns" / "agpd" / "agpd.extxyz.gz"
SCALE_2 = -math.log(1e-3) / 10.0

CASES = {
    "k=2 to 10 A, inverse distance, exponential": (
        {"function": "inverse_distance"},
        {"min": 0.05, "max": 0.5, "n": 100, "sigma": 0.01},
        {"function": "exp", "r_cut": 10.0, "threshold": 1e-3},
        {"k": 2, "weighting": "exponential", "scale": SCALE_2, "cutoff": 10.0, "taper": "sharp"},
    ),
    "k=3 to 6 A, cosine, smooth cutoff": (
        {"function": "cosine"},
        {"min": -1.0, "max": 1.0, "n": 100, "sigma": 0.05},
        {"function": "smooth_cutoff", "r_cut": 6.0, "sharpness": 2},
        {"k": 3, "cutoff": 6.0, "taper": "polynomial"},
    ),
    "k=3 to 8 A, cosine, smooth cutoff": (
        {"function": "cosine"},
        {"min": -1.0, "max": 1.0, "n": 100, "sigma": 0.05},
        {"function": "smooth_cutoff", "r_cut": 8.0, "sharpness": 2},
        {"k": 3, "cutoff": 8.0, "taper": "polynomial"},
    ),
}

WORKER = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np
from ase.io import read
from dscribe.descriptors import MBTR
task = json.load(sys.stdin)
mbtr = MBTR(species=["Pd", "Ag"], geometry=task["geometry"], grid=task["grid"], weighting=task["weighting"],
            normalization="n_atoms", periodic=True, normalize_gaussians=True)
cells = [read(task["pool"], i) for i in task["cells"]]
times, rows = [], []
for cell in cells:
    twice = []
    for _ in range(2):
        start = time.process_time()
        row = mbtr.create(cell)
        twice.append(time.process_time() - start)
    rows.append(row)
    times.append(min(twice))
np.save(task["out"], np.array(rows))
print(json.dumps(times))
"""

FIRST_CALL = """
import sys, time
from ase.build import bulk
start = time.perf_counter()
from hullscout.mbtr import MBTR
imported = time.perf_counter()
MBTR.for_alloys(("Ag", "Pd")).transform([bulk("Ag")])
print(f"{imported - start:.2f} {time.perf_counter() - imported:.2f} {time.process_time():.2f}")
"""


def run_dscribe(python: str, task: dict[str, object]) -> tuple[list[float], np.ndarray]:
    """Return DScribe's seconds per cell and its features."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "features.npy"
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        finished = subprocess.run(
            [python, "-c", WORKER],
            input=json.dumps(task | {"out": str(out)}),
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(finished.stdout), np.load(out)


def best_time(work: Callable[[], object], clock: Callable[[], float], repeats: int) -> float:
    """Return the shortest of several runs, in seconds."""
    times = []
    for _ in range(repeats):
        start = clock()
        work()
        times.append(clock() - start)
    return min(times)


def time_first_calls() -> None:
    """Print the time of the first call in a fresh process, without and with the compiled kernels on disk."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": folder}
        for label in ("nothing cached", "cached on disk"):
            finished = subprocess.run(
                [sys.executable, "-c", FIRST_CALL], env=environment, capture_output=True, text=True, check=True
            )
            imported, first, processor = finished.stdout.split()
            print(
                f"first call, {label}: import {imported} s, k = 2 and 3 of one cell {first} s by the clock; all in all "
                f"{processor} s of the processor"
            )


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--dscribe-python", help="Python of an environment with dscribe 2.1.2; without it only ours is timed"
    )
    parser.add_argument("--pool", type=Path, default=POOL)
    parser.add_argument("--cells", type=int, default=12, help="cells of the sample that DScribe computes")
    parser.add_argument("--compile", action="store_true", help="time first calls in fresh processes too")
    arguments = parser.parse_args()
    pool = read(arguments.pool, ":")
    sample = np.linspace(2, len(pool) - 1, arguments.cells).astype(int).tolist()
    sampled = [pool[i] for i in sample]
    agrees = True
    for label, (geometry, grid, weighting, ours) in CASES.items():
        term = Term(
            geometry=geometry["function"],
            grid=(grid["min"], grid["max"], grid["n"]),
            sigma=grid["sigma"],
            placement="points",
            **ours,
        )
        single = MBTR(("Pd", "Ag"), (term,), n_threads=1)
        single.transform(sampled[:1])
        with threadpool_limits(1):
            per_cell = best_time(lambda mbtr=single: mbtr.transform(sampled), time.process_time, 5) / len(sampled)
        threaded = MBTR(("Pd", "Ag"), (term,))
        whole = best_time(lambda mbtr=threaded: mbtr.transform(pool), time.perf_counter, 3)
        line = f"{label}: ours {1e3 * per_cell:.3f} ms per cell on one thread; {len(pool)} cells on all threads {whole:.2f} s"
        if arguments.dscribe_python:
            task = {
                "geometry": geometry,
                "grid": grid,
                "weighting": weighting,
                "pool": str(arguments.pool),
                "cells": sample,
            }
            times, expected = run_dscribe(arguments.dscribe_python, task)
            found = single.transform(sampled)
            difference = float(np.max(np.abs(found - expected)) / np.max(np.abs(expected)))
            agrees &= difference < 1e-8
            line += (
                f"; DScribe {1e3 * np.mean(times):.1f} ms per cell: ratio {np.mean(times) / per_cell:.0f}; "
                f"largest difference {difference:.1e} of the largest value"
            )
        print(line, flush=True)
    default, alone = MBTR.for_alloys(("Ag", "Pd")), MBTR.for_alloys(("Ag", "Pd"), n_threads=1)
    default.transform(pool[:1])
    seconds = best_time(lambda: default.transform(pool), time.perf_counter, 5)
    with threadpool_limits(1):
        processor = best_time(lambda: alone.transform(pool), time.process_time, 5)
    print(
        f"default for alloys (k = 2 to 10 A and k = 3 to 8 A), {len(pool)} cells: {processor:.2f} s of the processor on one "
        f"thread; {seconds:.2f} s by the clock on all threads"
    )
    if arguments.compile:
        time_first_calls()
    print("numbers agree" if agrees else "NUMBERS DISAGREE")
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main())
