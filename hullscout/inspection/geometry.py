"""Cells that do not look like the others: volumes per atom off the line through the pool, atoms that come too close."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hullscout.pool import Frame

LEAST_ODD_VOLUME = 0.4
"""A volume per atom within this share of the line is never odd."""

ROBUST_DEVIATIONS = 6.0
"""Odd is what lies further off than this many robust standard deviations: 1.4826 medians of the absolute deviation."""

CLOSE = 0.6
"""Atoms nearer than this share of the neighbour distance in fcc at the same volume per atom: a zincblende cell has 0.77."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OddVolume:
    """A cell whose volume per atom is not where the others say.

    Attributes:
        volume: its volume in A^3 per atom.
        expected: that of the line through all cells at its composition, in A^3 per atom.
    """

    volume: float
    expected: float


def find_odd_volumes(frames: Sequence[Frame], x: NDArray[np.float64]) -> dict[int, OddVolume]:
    """Cells further from the line through all volumes than LEAST_ODD_VOLUME and ROBUST_DEVIATIONS.

    The line v(x) has the least sum of absolute deviations; deviations are log(v / v(x)).

    Args:
        frames: without faults.
        x: (n,) atomic fraction of the second element.

    Returns:
        Odd volumes by place in `frames`.
    """
    from sklearn.linear_model import QuantileRegressor  # noqa: PLC0415  (late: slow to import)

    volumes = np.array([abs(float(np.linalg.det(frame.cell))) / len(frame.numbers) for frame in frames])
    line = QuantileRegressor(quantile=0.5, alpha=0.0).fit(x[:, None], volumes).predict(x[:, None])
    expected = np.where(line > 0.0, line, np.median(volumes))
    deviations = np.abs(np.log(volumes / expected))
    width = max(ROBUST_DEVIATIONS * 1.4826 * float(np.median(deviations)), np.log1p(LEAST_ODD_VOLUME))
    return {
        place: OddVolume(volume=float(volumes[place]), expected=float(expected[place]))
        for place in np.flatnonzero(deviations > width).tolist()
    }


def shortest_distance(frame: Frame) -> float:
    """The shortest distance as a share of the neighbour distance in fcc at the same volume per atom, (sqrt(2) v)^(1/3)."""
    from hullscout.neighbors import nearest_distances  # noqa: PLC0415  (late: numba)

    n = len(frame.numbers)
    fcc = (2**0.5 * abs(float(np.linalg.det(frame.cell))) / n) ** (1 / 3)
    distances = nearest_distances(frame.positions, frame.cell, np.zeros(n, dtype=np.intp), 1)
    return float(distances.min()) / float(fcc)
