"""A tree of VASP calculations as a user has it: results of some cells of a pool, and a few runs that went wrong."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from ase.calculators.emt import EMT
from pool_writers import vasprun_text

from hullscout.pool import Frame, read_pool


def with_energy(frame: Frame) -> Frame:
    """A frame with the energy that its pool states, or else EMT in place of DFT."""
    if frame.energy_ev is not None:
        return frame
    cell = frame.candidate().to_ase()
    cell.calc = EMT()
    return replace(frame, energy_ev=float(cell.get_potential_energy()))


def write_results(folder: Path, pool: Path, *, n: int, n_bad: int = 3, marks_bad: bool = True) -> Path:
    """Write results of n cells of a pool, the pure elements first and the others at random; of those behind them some are bad.

    In turn they are not converged, or cut off in the middle; where they are marked, their folders are called so.
    """
    frames = read_pool(pool).frames
    pure = [frame for frame in frames if len(set(frame.numbers.tolist())) == 1]
    rest = [frame for frame in frames if len(set(frame.numbers.tolist())) > 1]
    order = np.random.default_rng(0).permutation(len(rest)).tolist()
    chosen = [*pure, *(rest[place] for place in order)][: n + n_bad]
    for place, frame in enumerate(map(with_energy, chosen)):
        name = frame.id if place < n or not marks_bad else f"{frame.id}-bad"
        counts = np.ceil(2 * np.pi * np.linalg.norm(np.linalg.inv(frame.cell), axis=0) / 0.2).astype(int)
        text = vasprun_text(frame, mesh=" ".join(map(str, counts)), n_loop=1 if place < n else 60)
        (folder / name).mkdir(parents=True)
        is_cut = place >= n and (place - n) % 3 == 1
        (folder / name / "vasprun.xml").write_text(text[: len(text) // 2] if is_cut else text)
    return folder
