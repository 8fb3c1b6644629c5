"""What is done to every number of many samples: plain arrays in and out, one pass over them."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def widen(deviations, factors, places, scale, mean, samples):  # type: ignore[no-untyped-def]
    """Write mean + scale x factor x deviation of q points into `samples` (s, q).

    Args:
        deviations: (s, q) from the mean.
        factors: (f,) table of factors.
        places: (s, q) place in the table of the factor of each point of each sample.
        scale: Of all deviations.
        mean: (q,) of the points.
        samples: (s, q) where they are written.
    """
    for s in range(samples.shape[0]):
        for i in range(samples.shape[1]):
            samples[s, i] = mean[i] + scale * factors[places[s, i]] * deviations[s, i]


@njit(cache=True, nogil=True)
def tent(x, peak):  # type: ignore[no-untyped-def]
    """1 at `peak`, linear to 0 at both pure elements.

    A compound at depth d lowers the hull by at most d times this. Formation energies are measured from the pure elements, so that
    one of these lowers nothing but itself.
    """
    if peak in (0.0, 1.0):
        return 1.0 if x == peak else 0.0
    return min(x / peak, (1.0 - x) / (1.0 - peak))


@njit(cache=True, nogil=True)
def look_up(place, x, depths, deepest, depth):  # type: ignore[no-untyped-def]
    """Lower the hull of each sample, in place, by point `place` where it lies below it; the point then counts no more.

    Args:
        place: Which point.
        x: (q,) compositions.
        depths: (s, q) depth of each point below the hull of each sample; negative above it.
        deepest: (s,) the deepest point of each sample.
        depth: (s,) its depth.
    """
    by_depth = np.array([tent(one, x[place]) for one in x])
    for s in range(depths.shape[0]):
        lowered = depths[s, place]
        if lowered <= 0.0:
            continue
        best, most = 0, -np.inf
        for i in range(x.size):
            left = -np.inf if i == place else depths[s, i] - lowered * by_depth[i]
            depths[s, i] = left
            if left > most:
                best, most = i, left
        deepest[s], depth[s] = best, most


@njit(cache=True, nogil=True)
def look_up_deepest(n_most, least, floor, cost, x, depths, deepest, depth):  # type: ignore[no-untyped-def]
    """(n,) points looked up one after the other: each time that which is the deepest in most samples per cost.

    Args:
        n_most: How many at most.
        least: It ends when fewer samples than this, or none, go deeper than the floor.
        floor: Depths up to this do not count.
        cost: (q,) of each point.
        x: (q,) as in `look_up`.
        depths: (s, q), changed as by `look_up`.
        deepest: (s,) the same.
        depth: (s,) the same.
    """
    picks = np.empty(n_most, dtype=np.int64)
    for n in range(n_most):
        counts = np.zeros(x.size)
        for s in range(depth.size):
            if depth[s] > floor:
                counts[deepest[s]] += 1.0
        if counts.sum() < max(least, 1.0):
            return picks[:n]
        picks[n] = (counts / cost).argmax()
        look_up(picks[n], x, depths, deepest, depth)
    return picks
