"""What is done to every number of many samples, and lower hulls of many samples at once: plain arrays in and out."""

import numpy as np
from numpy.typing import NDArray

from hullscout.compiling import njit
from hullscout.hull_kernels import chain_of


@njit(cache=True, nogil=True)
def entries(table, places):  # type: ignore[no-untyped-def]
    """(s, q) entries of a table (f,) at places (s, q)."""
    found = np.empty(places.shape, dtype=table.dtype)
    for s in range(places.shape[0]):
        for i in range(places.shape[1]):
            found[s, i] = table[places[s, i]]
    return found


@njit(cache=True, nogil=True)
def widen(deviations, factors, places, scale, mean, samples):  # type: ignore[no-untyped-def]
    """Write mean (q,) + scale x factor x deviation (s, q) into `samples` (s, q), each factor from its place in a table (f,)."""
    for s in range(samples.shape[0]):
        for i in range(samples.shape[1]):
            samples[s, i] = mean[i] + scale * factors[places[s, i]] * deviations[s, i]


@njit(cache=True, nogil=True)
def tent(shares, peak):  # type: ignore[no-untyped-def]
    """1 at `peak` (k + 1,), linear to 0 where one of its elements is missing; atomic fractions of all elements (k + 1,).

    It is the most that a mixture of `shares` (k + 1,) can hold of the peak's composition. By convexity a compound at depth d lowers
    the hull by at most d times this. Formation energies are measured from the pure elements, so that one of these lowers nothing
    but itself.
    """
    held = np.inf
    for i in range(peak.size):
        if peak[i] == 1.0:
            return 1.0 if shares[i] == 1.0 else 0.0
        if peak[i] > 0.0:
            held = min(held, shares[i] / peak[i])
    return held


@njit(cache=True, nogil=True)
def deeper_than(floor, depths):  # type: ignore[no-untyped-def]
    """Points (c,) deeper than the floor in some sample; their depths (r, c) in samples with one; the deepest, its depth (r,)."""
    in_some, has_one = np.zeros(depths.shape[1], dtype=np.bool_), np.zeros(depths.shape[0], dtype=np.bool_)
    for s in range(depths.shape[0]):
        for i in range(depths.shape[1]):
            if depths[s, i] > floor:
                in_some[i] = has_one[s] = True
    columns, rows = np.flatnonzero(in_some), np.flatnonzero(has_one)
    left = np.empty((rows.size, columns.size))
    deepest, depth = np.zeros(rows.size, dtype=np.int64), np.full(rows.size, -np.inf)
    for k in range(rows.size):
        for i in range(columns.size):
            left[k, i] = depths[rows[k], columns[i]]
            if left[k, i] > depth[k]:
                deepest[k], depth[k] = i, left[k, i]
    return columns, left, deepest, depth


@njit(cache=True, nogil=True)
def look_up(place, shares, depths, deepest, depth):  # type: ignore[no-untyped-def]
    """Lower the hull of each sample, in place, by point `place` where it lies below it; the point then counts no more.

    Of points with fractions of all elements `shares` (q, k + 1), `depths` (s, q) are those below the hull of each sample, `deepest`
    (s,) its deepest point at `depth` (s,).
    """
    by_depth = np.empty(shares.shape[0])
    for i in range(by_depth.size):
        by_depth[i] = tent(shares[i], shares[place])
    for s in range(depths.shape[0]):
        lowered = depths[s, place]
        if lowered <= 0.0:
            continue
        best, most = 0, -np.inf
        for i in range(by_depth.size):
            left = -np.inf if i == place else depths[s, i] - lowered * by_depth[i]
            depths[s, i] = left
            if left > most:
                best, most = i, left
        deepest[s], depth[s] = best, most


@njit(cache=True, nogil=True)
def look_up_deepest(n_most, least, floor, cost, shares, depths, deepest, depth):  # type: ignore[no-untyped-def]
    """(n,) points looked up one after the other: each time that which is the deepest in most samples per cost (q,).

    It ends when fewer samples than `least`, or none, go deeper than the floor. The rest is as in `look_up`, and changed as by it.
    """
    picks = np.empty(n_most, dtype=np.int64)
    for n in range(n_most):
        counts = np.zeros(shares.shape[0])
        for s in range(depth.size):
            if depth[s] > floor:
                counts[deepest[s]] += 1.0
        if counts.sum() < max(least, 1.0):
            return picks[:n]
        picks[n] = (counts / cost).argmax()
        look_up(picks[n], shares, depths, deepest, depth)
    return picks


@njit(cache=True, nogil=True)
def count_vertices(x, energies, tolerance):  # type: ignore[no-untyped-def]
    """(q,) in how many samples (rows of `energies`, (s, q)) each point of ascending x (q,) is a vertex of the lower hull."""
    n_samples, n = energies.shape
    counts = np.zeros(n, dtype=np.int64)
    chain = np.empty(n, dtype=np.int64)
    for s in range(n_samples):
        for k in range(chain_of(x, energies[s], tolerance, chain)):
            counts[chain[k]] += 1
    return counts


@njit(cache=True, nogil=True)
def evaluate_hulls(x, energies, at):  # type: ignore[no-untyped-def]
    """(s, a) energy of the lower hull of each sample at ascending compositions `at` (a,) within the range of x (q,)."""
    n_samples, n = energies.shape
    values = np.empty((n_samples, at.size))
    chain = np.empty(n, dtype=np.int64)
    for s in range(n_samples):
        e = energies[s]
        size = chain_of(x, e, 0.0, chain)
        k = 1
        for i in range(at.size):
            while k < size - 1 and x[chain[k]] < at[i]:
                k += 1
            a, b = chain[k - 1], chain[k]
            values[s, i] = e[a] + (e[b] - e[a]) * (at[i] - x[a]) / (x[b] - x[a])
    return values


def vertex_shares(x: NDArray[np.float64], energies: NDArray[np.float64], *, tolerance: float) -> NDArray[np.float64]:
    """(q,) share of the samples, energies (s, q), in which each point, at x (q,) in any order, is a vertex of the lower hull."""
    order = np.argsort(x, kind="stable")
    counts = np.empty(x.size)
    counts[order] = count_vertices(x[order], np.ascontiguousarray(energies[:, order]), tolerance)
    return np.asarray(counts / energies.shape[0])


def hulls_at(x: NDArray[np.float64], energies: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """(s, a) energy of the lower hull of each sample, energies (s, q), at ascending `at` (a,) within the range of x (q,)."""
    order = np.argsort(x, kind="stable")
    return np.asarray(evaluate_hulls(x[order], np.ascontiguousarray(energies[:, order]), at))
