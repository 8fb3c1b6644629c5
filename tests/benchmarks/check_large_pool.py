"""How long `hullscout check` takes over a large pool: seconds of wall clock and processor for each of its steps.

    python tests/benchmarks/check_large_pool.py [--frames 20000] [--pool AgPd.extxyz.gz] [--profile]

The pool is made of another one, each structure strained at random by up to 2 % along six directions, every third one doubled along
an edge; energies grow with the square of the strain. Printed: each step as `check` names it, and the sum.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hullscout.pool import format_frames, inspect_frames, most_frequent_elements, read_pool, understand

if TYPE_CHECKING:
    from hullscout.pool import Frame

POOL = Path(__file__).resolve().parents[2] / "campaigns" / "agpd" / "agpd.extxyz.gz"
MODULUS_EV = 1.0  # of the energy per atom, over the square of the strain


class Steps:
    """The seconds between one step and the next, of the wall clock and of the processor."""

    def __init__(self) -> None:
        self.found: list[tuple[str, float, float]] = []
        self._name, self._then = "", (time.perf_counter(), time.process_time())

    def begin(self, name: str) -> None:
        """End the step that is under way, and begin another."""
        now = time.perf_counter(), time.process_time()
        if self._name:
            self.found.append((self._name, now[0] - self._then[0], now[1] - self._then[1]))
        self._name, self._then = name, now


def strained(frame: Frame, number: int, rng: np.random.Generator) -> Frame:
    """A frame under a random strain, each third one doubled."""
    strain = 0.02 * rng.uniform(-1.0, 1.0, (3, 3))
    deformed = np.eye(3) + (strain + strain.T) / 2.0
    cell, positions, numbers = frame.cell @ deformed, frame.positions @ deformed, frame.numbers
    energy = (frame.energy_ev or 0.0) + MODULUS_EV * float((strain**2).sum()) * len(numbers)
    if number % 3 == 0:
        positions, numbers = np.vstack([positions, positions + cell[0]]), np.tile(numbers, 2)
        cell, energy = cell * [[2.0], [1.0], [1.0]], 2.0 * energy
    name = f"{frame.id}-{number:06d}"
    return replace(frame, number=number, id=name, cell=cell, positions=positions, numbers=numbers, energy_ev=energy)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--pool", type=Path, default=POOL)
    parser.add_argument("--profile", action="store_true", help="print what takes longest")
    given = parser.parse_args()
    rng, own = np.random.default_rng(0), read_pool(given.pool).frames
    many = [strained(own[number % len(own)], number, rng) for number in range(1, given.frames + 1)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "many.extxyz"
        path.write_bytes(format_frames(many))
        print(f"{len(many)} frames, {path.stat().st_size / 1e6:.0f} MB")
        steps, profile = Steps(), cProfile.Profile()
        if given.profile:
            profile.enable()
        steps.begin("reading the file")
        frames = read_pool(path)
        elements = most_frequent_elements(frames)
        frames = understand(frames, elements=elements)
        found = inspect_frames(frames, elements, on_progress=steps.begin)
        steps.begin("")
        profile.disable()
    for name, wall_s, cpu_s in [*steps.found, ("all", *np.sum([times[1:] for times in steps.found], axis=0))]:
        print(f"{wall_s:7.1f} s wall {cpu_s:7.1f} s processor  {name}")
    print(f"{len(found.findings)} findings, {found.n_crystals} different crystals")
    if given.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)


if __name__ == "__main__":
    main()
