"""Lower hulls of many samples at once: plain arrays in and out, one Andrew chain per sample."""

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def chain_of(x, e, tolerance, chain):  # type: ignore[no-untyped-def]
    """Write the vertices of the lower hull of points in ascending x into `chain` and return their number.

    Of several points at one composition the lowest counts, the first one if they are equal. A vertex lies below the line
    through its neighbours by more than the tolerance.
    """
    size, i, n = 0, 0, x.size
    while i < n:
        lowest = i
        i += 1
        while i < n and x[i] == x[lowest]:
            if e[i] < e[lowest]:
                lowest = i
            i += 1
        while size > 1:
            a, b = chain[size - 2], chain[size - 1]
            if e[a] + (e[lowest] - e[a]) * (x[b] - x[a]) / (x[lowest] - x[a]) - e[b] > tolerance:
                break
            size -= 1
        chain[size] = lowest
        size += 1
    return size


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
    """(q,) share of the samples in which each point is a vertex of the lower hull.

    Args:
        x: (q,) compositions, in any order.
        energies: (s, q) energies of the points in each sample, eV/atom.
        tolerance: A vertex lies below the line through its neighbours by more than this, eV/atom.
    """
    order = np.argsort(x, kind="stable")
    counts = np.empty(x.size)
    counts[order] = count_vertices(x[order], np.ascontiguousarray(energies[:, order]), tolerance)
    return np.asarray(counts / energies.shape[0])


def hulls_at(x: NDArray[np.float64], energies: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """(s, a) energy of the lower hull of each sample, eV/atom.

    Args:
        x: (q,) compositions, in any order, at least two different ones.
        energies: (s, q) energies of the points in each sample, eV/atom.
        at: (a,) where to evaluate, in ascending order and between the smallest and the largest x.
    """
    order = np.argsort(x, kind="stable")
    return np.asarray(evaluate_hulls(x[order], np.ascontiguousarray(energies[:, order]), at))
