"""Energies that lie farther from the others than those of any alloy or salt: told with no model, one by one.

Energies per atom are near `E = sum_a mu_a w_a`, w being the weights of the ends. The line that most energies are near is found by
lines through few of them, as many as there are ends (Fischler and Bolles, Commun. ACM 24, 381, 1981), so that no energy is
judged by one that is off itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hullscout.pool.plausibility import MAX_OF_ANY_EV_PER_ATOM

if TYPE_CHECKING:
    from numpy.typing import NDArray

_N_LINES = 500
_SINGULAR = 1e-6  # the determinant of weights that make no line


def find_outlying(
    weights: NDArray[np.float64], ev_per_atom: NDArray[np.float64], is_new: NDArray[np.bool_]
) -> dict[int, float]:
    """The places of new energies over MAX_OF_ANY_EV_PER_ATOM off the line that most are near, and what was expected, eV/atom.

    Where several lines have equally many, those with most that are not new count, and what is off any of these is found. Nothing
    is where an end has no energy, or where no more energies are there than ends: any line goes through these.

    Args:
        weights: (n, k) of the ends in each composition, each row adds up to 1.
        ev_per_atom: (n,) energies.
        is_new: (n,) those that are judged.
    """
    n, k = weights.shape
    if n <= k or not (weights == 1.0).any(axis=0).all():
        return {}
    rng = np.random.default_rng(0)
    chosen = np.column_stack([rng.choice(np.flatnonzero(column > 0.0), _N_LINES) for column in weights.T])
    chosen = np.unique(np.sort(chosen, axis=1), axis=0)
    chosen = chosen[np.abs(np.linalg.det(weights[chosen])) > _SINGULAR]
    ends = np.linalg.solve(weights[chosen], ev_per_atom[chosen][:, :, None])[:, :, 0]
    lines = ends @ weights.T
    is_near = np.abs(lines - ev_per_atom) <= MAX_OF_ANY_EV_PER_ATOM
    score = is_near.sum(axis=1) * (n + 1) + (is_near & ~is_new).sum(axis=1)
    is_best = score == score.max()
    off = ~is_near[is_best] & is_new
    return {
        place: float(lines[is_best][off[:, place].argmax(), place])
        for place in np.flatnonzero(off.any(axis=0)).tolist()
    }
