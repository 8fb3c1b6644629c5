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
    from hullscout.selection.interface import Floats

# Enough to tell 1 % from 5 %; all samples of a round would take as long as the round.
MOST_SAMPLES = 500


def lookups_foreseen(depths: Floats, x: Floats, *, tolerance_ev_per_atom: float, failure_probability: float) -> int:
    """Lookups until fewer than the accepted share of samples go deeper below the hull than the tolerance.

    Args:
        depths: (s, q) depth of contender j below today's hull in sample i, eV/atom; negative above it.
        x: (q,) compositions.
        tolerance_ev_per_atom: Depths up to this (and exactly this) do not count.
        failure_probability: Accepted share of samples; the stop is strictly below it.

    Returns:
        0 where the share is below it already; at most q.
    """
    n_samples = min(depths.shape[0], MOST_SAMPLES)
    # Samples come sorted by component of the posterior; a stride takes from all of them.
    chosen = np.linspace(0, depths.shape[0] - 1, n_samples).astype(np.intp)
    part = depths[chosen]
    rows = np.flatnonzero(part.max(axis=1, initial=-np.inf) > tolerance_ev_per_atom)
    columns = np.flatnonzero(part[rows].max(axis=0, initial=-np.inf) > tolerance_ev_per_atom)
    left = part[np.ix_(rows, columns)]
    n_lookups = 0
    while left.shape[0] and left.shape[0] >= failure_probability * n_samples:
        pick = int(np.bincount(left.argmax(axis=1), minlength=columns.size).argmax())
        condition(left, x[columns], pick)
        left = left[left.max(axis=1) > tolerance_ev_per_atom]
        n_lookups += 1
    return n_lookups


def condition(left: Floats, x: Floats, pick: int) -> None:
    """Lower the hull of each sample, in place, by candidate `pick` at its sampled energy: its depths (s, q) below it shrink."""
    left -= np.maximum(left[:, pick], 0.0)[:, None] * tent(x, float(x[pick]))
    left[:, pick] = -np.inf


def tent(x: Floats, peak: float) -> Floats:
    """1 at `peak`, linear to 0 at both pure elements; at a pure element 1 only there.

    A point at depth d lowers the hull by at most d times this.
    """
    if peak in (0.0, 1.0):
        return np.asarray(x == peak, dtype=np.float64)
    return np.minimum(x / peak, (1.0 - x) / (1.0 - peak))
