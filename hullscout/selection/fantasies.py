"""How many lookups a stop is away, if each lookup told only of itself.

The posterior is played forward on samples of the outlook: each sample is a possible truth. The candidate that is the deepest below
the hull in most samples is looked up in all of them, each sample's own value lowers that sample's hull, and so on, until the
share of samples in which something still lies below the hull is as small as the stop wants it. That is the rule's own choice of a
batch, gone on to the end. What is left out is that a lookup also teaches of other candidates (fewer lookups), and that the model
is at times surprised (more); a forecast corrects for both by replays (`planning.forecast`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from hullscout.selection.known import Floats, Indices

# Enough to tell 1 % from 5 %; all samples of a round would take as long as the round.
MAX_SAMPLES = 500


class Fantasies:
    """Samples of what the candidates could be, each lowered by what is looked up in it, one lookup after the other.

    Args:
        depths: (s, q) depth of candidate j below the hull of sample i, eV/atom; negative above it. It is not changed.
        x: (q,) compositions.
        floor: Depths up to this (and exactly this) do not count, eV/atom; 0 or more.

    Attributes:
        columns: (c,) the candidates that count in some sample: all others are left out of what follows.
    """

    def __init__(self, depths: Floats, x: Floats, *, floor: float) -> None:
        rows = np.flatnonzero(depths.max(axis=1, initial=-np.inf) > floor)
        self.columns: Indices = np.flatnonzero(depths[rows].max(axis=0, initial=-np.inf) > floor)
        self._floor = floor
        left = depths[np.ix_(rows, self.columns)]
        deepest = left.argmax(axis=1) if self.columns.size else np.zeros(0, dtype=np.intp)
        self._state = (x[self.columns], left, deepest, left.max(axis=1, initial=-np.inf))

    def look_up(self, place: int) -> None:
        """Lower the hull of each sample by a candidate at its energy in that sample, and count the candidate no more.

        Args:
            place: Its place in `columns`.
        """
        from hullscout.selection import sample_kernels  # noqa: PLC0415  loads numba

        sample_kernels.look_up(place, *self._state)

    def look_up_deepest(self, n_most: int, *, least: float = 1.0, cost: Floats | None = None) -> Indices:
        """Look up the candidate that is the deepest in most samples, then the next, and so on.

        Args:
            least: It ends when fewer samples than this, or none, go deeper than the floor.
            cost: (q,) of each candidate: samples count per cost.

        Returns:
            The candidates in their order, as indices among the q.
        """
        from hullscout.selection import sample_kernels  # noqa: PLC0415  loads numba

        relative = np.ones(self.columns.size) if cost is None else cost[self.columns]
        n_most = min(n_most, self.columns.size)
        places = sample_kernels.look_up_deepest(n_most, float(least), self._floor, relative, *self._state)
        return np.asarray(self.columns[places], dtype=np.intp)


def lookups_foreseen(
    depths: Floats, x: Floats, *, tolerance_ev_per_atom: float, failure_probability: float, cost: Floats | None = None
) -> int:
    """Lookups until fewer than the accepted share of samples go deeper below the hull than the tolerance.

    Args:
        depths: (s, q) depth of contender j below today's hull in sample i, eV/atom; negative above it.
        x: (q,) compositions.
        tolerance_ev_per_atom: Depths up to this (and exactly this) do not count.
        failure_probability: Accepted share of samples; the stop is strictly below it.
        cost: (q,) of each contender, where they differ.

    Returns:
        0 where the share is below it already; at most q.
    """
    n_samples = min(depths.shape[0], MAX_SAMPLES)
    # Samples come sorted by component of the posterior; a stride takes from all of them.
    chosen = np.linspace(0, depths.shape[0] - 1, n_samples).astype(np.intp)
    fantasies = Fantasies(depths[chosen], x, floor=tolerance_ev_per_atom)
    return fantasies.look_up_deepest(x.size, least=failure_probability * n_samples, cost=cost).size
