"""Very many structures at bounded memory: features of 100 000 cells, made, represented and forgotten one after another.

    python tests/benchmarks/mbtr_stream.py [--structures 100000] [--pool AgPd.extxyz.gz] [--threads N]

The structures are those of the pool, over and over, each strained at random by about 1 %, so that no two are the same. Printed:
time by the clock and of the processor, with and without the making of the structures, and the peak memory of the process.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase.io import read

from hullscout.mbtr import MBTR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ase import Atoms

POOL = Path(__file__).resolve().parents[2] / "campaigns" / "agpd" / "agpd.extxyz.gz"


def strained(pool: list[Atoms], n: int) -> Iterator[Atoms]:
    """Yield n structures of a pool, over and over, each strained at random."""
    rng = np.random.default_rng(0)
    for i in range(n):
        atoms = pool[i % len(pool)].copy()
        strain = rng.normal(scale=0.01, size=(3, 3))
        atoms.set_cell(atoms.cell[:] @ (np.eye(3) + strain + strain.T), scale_atoms=True)
        yield atoms


def peak_memory() -> float:
    """Return the largest resident memory that the process has had so far, MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kilobytes, on macOS bytes
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structures", type=int, default=100_000)
    parser.add_argument("--pool", type=Path, default=POOL)
    parser.add_argument("--threads", type=int, help="default: as many as there are processors")
    arguments = parser.parse_args()
    pool = read(arguments.pool, ":")
    elements = tuple(sorted({symbol for atoms in pool for symbol in atoms.get_chemical_symbols()}))
    mbtr = MBTR.for_alloys(elements, n_threads=arguments.threads)
    mbtr.transform(pool[:1])  # compiled, or read from the cache on disk
    start = time.process_time()
    for _ in strained(pool, arguments.structures):
        pass
    making = time.process_time() - start
    before = peak_memory()
    n_rows, n_chunks = 0, 0
    processor, clock = time.process_time(), time.perf_counter()
    for block in mbtr.stream(strained(pool, arguments.structures)):
        n_rows += len(block)
        n_chunks += 1
    processor, clock = time.process_time() - processor, time.perf_counter() - clock
    print(
        f"{n_rows} structures, {mbtr.n_features} features each ({8e-6 * n_rows * mbtr.n_features:.0f} MB), in {n_chunks} chunks: "
        f"{clock:.1f} s by the clock, {processor:.1f} s of the processor, {processor - making:.1f} s without the making of them"
    )
    print(f"peak memory {peak_memory():.0f} MB, {before:.0f} MB before the first chunk")
    return 0 if n_rows == arguments.structures else 1


if __name__ == "__main__":
    sys.exit(main())
