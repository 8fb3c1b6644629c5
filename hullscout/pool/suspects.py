"""What does not look like the others: odd volumes, atoms that come too close, energies that the others contradict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from hullscout.pool.candidate import Candidate
    from hullscout.pool.frames import Frame

ODD_VOLUME = 0.4
"""A volume per atom within this share of the line is never odd."""

ROBUST_DEVIATIONS = 6.0
"""Odd is what lies further off than this many robust standard deviations: 1.4826 medians of the absolute deviation."""

CLOSE = 0.6
"""Atoms come too close for an alloy below this share of the neighbour distance in fcc at the same volume per atom; a zincblende
cell has 0.77."""

MIN_ENERGIES = 30
"""Fewer energies say too little of one another."""

MAX_COMPARED = 800
"""More energies are judged in random parts of at most so many: the cost grows with the third power."""

FLOOR_EV_PER_ATOM = 0.005
"""Smaller deviations of an energy are never suspect."""

SUSPICION = 6.0
"""Robust standard deviations from which on an energy is a suspect."""


def find_odd_volumes(frames: Sequence[Frame], x: NDArray[np.float64]) -> dict[int, tuple[float, float]]:
    """Cells further from the line through all volumes than ODD_VOLUME and ROBUST_DEVIATIONS.

    The line v(x) over x (n,), the fractions of the second element, has the least sum of absolute deviations; deviations are
    log(v / v(x)).

    Returns:
        By place in `frames`: the volume and that of the line at its composition, in A^3 per atom.
    """
    from sklearn.linear_model import QuantileRegressor  # noqa: PLC0415  (late: slow to import)

    volumes = np.array([abs(float(np.linalg.det(frame.cell))) / len(frame.numbers) for frame in frames])
    line = QuantileRegressor(quantile=0.5, alpha=0.0).fit(x[:, None], volumes).predict(x[:, None])
    expected = np.where(line > 0.0, line, np.median(volumes))
    deviations = np.abs(np.log(volumes / expected))
    width = max(ROBUST_DEVIATIONS * 1.4826 * float(np.median(deviations)), np.log1p(ODD_VOLUME))
    return {
        place: (float(volumes[place]), float(expected[place])) for place in np.flatnonzero(deviations > width).tolist()
    }


def shortest_distance(positions: NDArray[np.float64], cell: NDArray[np.float64]) -> float:
    """The shortest distance as a share of the neighbour distance in fcc at the same volume per atom, (sqrt(2) v)^(1/3)."""
    from hullscout.neighbors import nearest_distances  # noqa: PLC0415  (late: numba)

    n = len(positions)
    fcc = (2**0.5 * abs(float(np.linalg.det(cell))) / n) ** (1 / 3)
    distances = nearest_distances(positions, cell, np.zeros(n, dtype=np.intp), 1)
    return float(distances.min()) / float(fcc)


def find_suspect_energies(
    candidates: Sequence[Candidate],
    energies_ev_per_atom: NDArray[np.float64],
    x: NDArray[np.float64],
    *,
    elements: tuple[str, str],
    on_progress: Callable[[str], None],
) -> dict[int, tuple[float, float]]:
    """Energies that the others contradict: each predicted from all others by the kernel model of the representation.

    The model of formation energies is fitted robustly; an energy is a suspect if it is further from its leave-one-out prediction
    than `regression.suspects` allows (see there), and by more than FLOOR_EV_PER_ATOM.

    Args:
        candidates: n different crystals, at least MIN_ENERGIES.
        energies_ev_per_atom: (n,) total energies.
        x: (n,) atomic fraction of the second of the two elements.
        elements: both.
        on_progress: told of each step before it is done.

    Returns:
        By place in `candidates`: the energy minus its prediction, and the prediction's calibrated standard deviation, in eV/atom.
    """
    from hullscout.mbtr import MBTR  # noqa: PLC0415  (late: numba)
    from hullscout.regression import Mean, ModelSettings, PoolModel  # noqa: PLC0415

    on_progress(f"representing {len(candidates)} crystals")
    mbtr = MBTR.for_alloys(elements)
    features = mbtr.transform(candidates)
    ends = np.column_stack([1.0 - x, x])
    labels = energies_ev_per_atom - ends @ np.linalg.lstsq(ends, energies_ev_per_atom, rcond=None)[0]
    settings = ModelSettings(mean=Mean.QUADRATIC, suspicion=SUSPICION)
    n_parts = -(-len(labels) // MAX_COMPARED)
    suspects: dict[int, tuple[float, float]] = {}
    for number, part in enumerate(np.array_split(np.random.default_rng(0).permutation(len(labels)), n_parts), start=1):
        on_progress(f"comparing energies, part {number} of {n_parts}")
        blocks = {name: features[part, columns] for name, columns in mbtr.slices.items()}
        model = PoolModel(blocks, composition=x[part], settings=settings)
        model.add(np.arange(len(part)))
        fitted = model.fit(labels[part])
        for row in fitted.suspects.tolist():
            deviation = float(labels[part[row]] - fitted.loo_mean[row])
            if abs(deviation) > FLOOR_EV_PER_ATOM:
                suspects[int(part[row])] = deviation, float(fitted.loo_std[row])
    return suspects
