"""A tree of VASP calculations as a user has it: results of some cells of a pool, and a few runs that went wrong."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from ase.calculators.emt import EMT
from pool_writers import vasprun_text

from hullscout.pool import Frame, read_pool


def with_emt(frame: Frame) -> Frame:
    """A frame with the energy that EMT gives it, in place of DFT."""
    cell = frame.candidate().to_ase()
    cell.calc = EMT()
    return replace(frame, energy_ev=float(cell.get_potential_energy()))


def write_results(folder: Path, pool: Path, *, n: int, n_bad: int = 3, seed: int = 0) -> Path:
    """Write results of n cells of a pool, the pure elements first and the others at random; of those behind them some are bad.

    In turn they are not converged, cut off in the middle, and of a cell that came out without an energy.
    """
    frames = read_pool(pool).frames
    pure = [frame for frame in frames if len(set(frame.numbers.tolist())) == 1]
    rest = [frame for frame in frames if len(set(frame.numbers.tolist())) > 1]
    order = np.random.default_rng(seed).permutation(len(rest)).tolist()
    chosen = [*pure, *(rest[place] for place in order)][: n + n_bad]
    for place, frame in enumerate(map(with_emt, chosen)):
        name = frame.id if place < n else f"{frame.id}-bad"
        text = vasprun_text(frame, n_loop=1 if place < n else 60)
        (folder / name).mkdir(parents=True)
        is_cut = place >= n and (place - n) % 3 == 1
        (folder / name / "vasprun.xml").write_text(text[: len(text) // 2] if is_cut else text)
    return folder
