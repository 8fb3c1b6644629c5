"""What the bounds on geometry cost, and what a skewed cell costs: ratios of times taken in one run.

    python tests/benchmarks/pool_geometry.py [--pool AgPd.extxyz.gz] [--repeats 5]

Printed: bounds as a share of all checks of the frames, of reading them, and of finding twins; features of the pool in cells
sheared up to a hundred times over those in its own cells, with the largest difference.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hullscout.pool import find_twins, read_pool
from hullscout.pool.checks import find_frame_faults, symbol_of
from hullscout.pool.geometry import crystal_fault
from hullscout.representation import MbtrRepresentation

if TYPE_CHECKING:
    from collections.abc import Callable

POOL = Path(__file__).resolve().parents[2] / "campaigns" / "agpd" / "agpd.extxyz.gz"


def least(work: Callable[[], object], repeats: int) -> float:
    """The shortest time of several, in s of the processor."""
    times = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pool", type=Path, default=POOL)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    frames = read_pool(given.pool).frames
    elements = tuple(symbol_of(z) for z in sorted({z for frame in frames for z in frame.numbers.tolist()}))
    candidates = [frame.candidate() for frame in frames]
    rng = np.random.default_rng(0)
    skewed = []
    for candidate in candidates:
        times = np.eye(3)
        times[1, 0], times[2, 1] = rng.integers(-100, 101, 2)
        skewed.append(replace(candidate, cell=times @ candidate.cell))
    representation = MbtrRepresentation(elements=elements)
    own, other = (np.hstack(list(representation.blocks(some).values())) for some in (candidates, skewed))
    bounds = least(lambda: [crystal_fault(f.positions, f.cell) for f in frames], given.repeats)
    shares = {
        "checks of frames": least(lambda: [list(find_frame_faults(f, elements)) for f in frames], given.repeats),
        "reading": least(lambda: read_pool(given.pool), given.repeats),
        "finding twins": least(lambda: find_twins(candidates), given.repeats),
    }
    print(f"{len(frames)} frames; bounds take {1e6 * bounds / len(frames):.1f} us a frame")
    for name, seconds in shares.items():
        print(f"  {100 * bounds / seconds:5.1f} % of {name}, {1e6 * seconds / len(frames):.0f} us a frame")
    plain = least(lambda: representation.blocks(candidates), given.repeats)
    sheared = least(lambda: representation.blocks(skewed), given.repeats)
    print(f"features in skewed cells over those in compact ones: time {sheared / plain:.3f}, ", end="")
    print(f"largest difference {np.abs(own - other).max() / np.abs(own).max():.1e} of the largest feature")


if __name__ == "__main__":
    main()
