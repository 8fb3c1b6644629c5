"""Ctrl-C ends compiled loops that would run for hours; each in a process of its own, which a limit ends if it does not."""

import subprocess
import sys

import pytest

START = """
import os, signal, threading
import numpy as np
signal.signal(signal.SIGINT, signal.default_int_handler)  # what is started in the background ignores it
def press():
    print("pressed", flush=True)
    os.kill(os.getpid(), signal.SIGINT)
def soon():
    threading.Timer(1.0, press).start()
"""
END = """
except KeyboardInterrupt:
    print("ended by Ctrl-C")
else:
    print("went on to the end")
"""
WORKS = {
    "the nearest of many atoms in a heap": """
from hullscout.neighbors import nearest_distances
rng = np.random.default_rng(0)
heap = rng.uniform(0, 20, (200_000, 3))
cell, kinds = np.diag([1000.0] * 3), np.zeros(200_000, dtype=np.int64)
nearest_distances(heap[:400], cell, kinds[:400], 4)
soon()
try:
    nearest_distances(heap, cell, kinds, 24)
""",
    "the closest pair of them": """
from hullscout.neighbors import closest_pair
rng = np.random.default_rng(0)
heap = rng.uniform(0, 20, (500_000, 3))
closest_pair(heap[:400], np.diag([1000.0] * 3), 0.5)
soon()
try:
    for _ in range(1000):
        closest_pair(heap, np.diag([1e4] * 3), 0.5)
""",
    "all angles of a wide term, on one thread": """
from ase.build import bulk
from hullscout.mbtr import MBTR, Term
wide = dict(k=3, geometry="angle", grid=(0.0, 3.2, 9), sigma=0.3)
MBTR(("Ag",), (Term(**wide, cutoff=4.0),), n_threads=1).transform([bulk("Ag")])
mbtr = MBTR(("Ag",), (Term(**wide, cutoff=40.0),), n_threads=1)
soon()
try:
    mbtr.transform([bulk("Ag", cubic=True).repeat(5)])
""",
    "all angles of a wide term, on two threads": """
from ase.build import bulk
from hullscout.mbtr import MBTR, Term
wide = dict(k=3, geometry="angle", grid=(0.0, 3.2, 9), sigma=0.3)
MBTR(("Ag",), (Term(**wide, cutoff=4.0),), n_threads=1).transform([bulk("Ag")])
mbtr = MBTR(("Ag",), (Term(**wide, cutoff=40.0),), n_threads=2)
soon()
try:
    mbtr.transform([bulk("Ag", cubic=True).repeat(5)] * 20)
""",
}


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot press its own Ctrl-C")
@pytest.mark.parametrize("work", WORKS)
def test_ctrl_c_ends(work: str) -> None:
    code = START + WORKS[work] + END
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.split("\n")[:2] == ["pressed", "ended by Ctrl-C"], done.stderr
