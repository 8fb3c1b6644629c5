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
def lower_by(depths, deepest, depth, place, tent):  # type: ignore[no-untyped-def]
    """Lower the hull of each sample, in place, by point `place` where it lies below it; the point then counts no more.

    Args:
        depths: (s, q) depth of each point below the hull of each sample; negative above it.
        deepest: (s,) the deepest point of each sample.
        depth: (s,) its depth.
        place: Which point.
        tent: (q,) by how much of the depth of that point the hull is lowered at each point.
    """
    for s in range(depths.shape[0]):
        by = depths[s, place]
        if by <= 0.0:
            continue
        best, lowest = 0, -np.inf
        for i in range(depths.shape[1]):
            left = -np.inf if i == place else depths[s, i] - by * tent[i]
            depths[s, i] = left
            if left > lowest:
                best, lowest = i, left
        deepest[s], depth[s] = best, lowest
