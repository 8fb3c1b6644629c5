"""Distances in a periodic crystal, exact for any choice of cell (numba).

Plain arrays in and out. The kernels first shorten the cell vectors, so that a skewed cell costs no more images than a
compact one, and then visit every image that can lie within the radius: along vector a there are floor(radius / h_a) + 1
of them on each side of the cell, where h_a is the distance between its two faces (the one is there since two atoms of
the cell differ by up to one vector).

Kernels that Python calls are cached. Their helpers are not: they are compiled into the kernels, and what numba cached
as the helper of another kernel fails when Python calls it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@numba.njit(cache=False)
def compact_cell(cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """Another basis of the same lattice: no vector gets shorter by adding multiples of one other vector.

    Args:
        cell: (3, 3) row vectors with a volume, in A.

    Returns:
        (3, 3) row vectors in A.
    """
    short = cell.copy()
    is_changed = True
    while is_changed:
        is_changed = False
        for i in range(3):
            for j in range(3):
                if i != j:
                    n_times = np.rint((short[i] * short[j]).sum() / (short[j] * short[j]).sum())
                    trial = short[i] - n_times * short[j]
                    if (trial * trial).sum() < (1.0 - 1e-10) * (short[i] * short[i]).sum():
                        short[i] = trial
                        is_changed = True
    return short


@numba.njit(cache=False)
def wrapped(positions: NDArray[np.float64], cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same atoms, each moved by lattice vectors into the given cell.

    Args:
        positions: (n, 3) in A.
        cell: (3, 3) row vectors in A.

    Returns:
        (n, 3) positions in A.
    """
    inverse = np.linalg.inv(cell)
    inside = np.empty_like(positions)
    for i in range(len(positions)):
        inside[i] = 0.0
        for a in range(3):
            fraction = (positions[i] * inverse[:, a]).sum()
            inside[i] += (fraction - np.floor(fraction)) * cell[a]
    return inside


@numba.njit(cache=False)
def n_images(cell: NDArray[np.float64], radius: float) -> NDArray[np.int64]:
    """How many cells to visit on each side so that no pair within the radius is missed: floor(radius / h) + 1.

    Args:
        cell: (3, 3) row vectors in A.
        radius: in A.

    Returns:
        (3,) counts.
    """
    inverse = np.linalg.inv(cell)
    counts = np.empty(3, dtype=np.int64)
    for a in range(3):
        counts[a] = int(np.floor(radius * np.sqrt((inverse[:, a] ** 2).sum()))) + 1
    return counts


@numba.njit(cache=True)
def closest_pair(positions: NDArray[np.float64], cell: NDArray[np.float64], limit: float) -> tuple[float, int, int]:
    """The shortest distance between two atoms, or an atom and its own image, if it is below the limit.

    Args:
        positions: (n, 3) in A.
        cell: (3, 3) row vectors with a volume, in A.
        limit: in A.

    Returns:
        Distance in A and the two atoms (from 0); infinity and two zeros where none is closer than the limit. A lattice
        vector shorter than the limit ends the search at once (it is the distance of atom 0 to its own image).
    """
    short = compact_cell(cell)
    for a in range(3):
        edge = np.sqrt((short[a] * short[a]).sum())
        if edge < limit:
            return edge, 0, 0
    xyz = wrapped(positions, short)
    reach = n_images(short, limit)
    best, first, second = limit, -1, -1
    for u in range(-reach[0], reach[0] + 1):
        for v in range(-reach[1], reach[1] + 1):
            for w in range(-reach[2], reach[2] + 1):
                shift = u * short[0] + v * short[1] + w * short[2]
                is_home = u == 0 and v == 0 and w == 0
                for i in range(len(xyz)):
                    for j in range(i + 1 if is_home else i, len(xyz)):
                        dx = xyz[j, 0] + shift[0] - xyz[i, 0]
                        dy = xyz[j, 1] + shift[1] - xyz[i, 1]
                        dz = xyz[j, 2] + shift[2] - xyz[i, 2]
                        distance = np.sqrt(dx * dx + dy * dy + dz * dz)
                        if distance < best:
                            best, first, second = distance, i, j
    if first < 0:
        return np.inf, 0, 0
    return best, first, second


@numba.njit(cache=True)
def nearest_distances(  # noqa: C901  (one loop nest, compiled)
    positions: NDArray[np.float64], kinds: NDArray[np.int64], n_kinds: int, cell: NDArray[np.float64], n_nearest: int
) -> NDArray[np.float64]:
    """For each atom the distances to its nearest neighbours of each kind, in ascending order.

    Args:
        positions: (n, 3) in A.
        kinds: (n,) kind of each atom, 0 to n_kinds - 1; every kind occurs.
        n_kinds: number of kinds.
        cell: (3, 3) row vectors with a volume, in A.
        n_nearest: how many neighbours of each kind.

    Returns:
        (n, n_kinds, n_nearest) distances in A.
    """
    n = len(positions)
    short = compact_cell(cell)
    xyz = wrapped(positions, short)
    counts = np.zeros(n_kinds, dtype=np.int64)
    for kind in kinds:
        counts[kind] += 1
    rarest = counts.min()
    # a ball that holds the neighbours wanted of the rarest kind on average; grown until it does so for every atom
    radius = (0.75 / np.pi * n_nearest / rarest * abs(np.linalg.det(short))) ** (1.0 / 3.0)
    nearest = np.empty((n, n_kinds, n_nearest))
    is_complete = False
    while not is_complete:
        radius *= 1.15
        reach = n_images(short, radius)
        nearest[:] = np.inf
        for i in range(n):
            for u in range(-reach[0], reach[0] + 1):
                for v in range(-reach[1], reach[1] + 1):
                    for w in range(-reach[2], reach[2] + 1):
                        shift = u * short[0] + v * short[1] + w * short[2] - xyz[i]
                        for j in range(n):
                            if i == j and u == 0 and v == 0 and w == 0:
                                continue
                            dx, dy, dz = xyz[j, 0] + shift[0], xyz[j, 1] + shift[1], xyz[j, 2] + shift[2]
                            d2 = dx * dx + dy * dy + dz * dz
                            row = nearest[i, kinds[j]]
                            if d2 > radius * radius or d2 >= row[-1]:
                                continue
                            k = n_nearest - 1
                            while k > 0 and row[k - 1] > d2:
                                row[k] = row[k - 1]
                                k -= 1
                            row[k] = d2
        is_complete = bool(np.isfinite(nearest).all())
    return np.sqrt(nearest)


@numba.njit(cache=True)
def second_moments(  # noqa: C901  (one loop nest, compiled)
    positions: NDArray[np.float64], kinds: NDArray[np.int64], n_kinds: int, cell: NDArray[np.float64], radius: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How the neighbours of each kind lie around each atom: M = sum_j c(d_j) u_j u_j^T, c(d) = (1 - d^2 / radius^2)^2.

    u_j is the unit vector to neighbour j.

    Args:
        positions: (n, 3) in A; no two atoms coincide.
        kinds: (n,) kind of each atom, 0 to n_kinds - 1.
        n_kinds: number of kinds.
        cell: (3, 3) row vectors with a volume, in A.
        radius: in A.

    Returns:
        (n, n_kinds, 3, 3) tensors, and (n,) the most that the tensors of an atom, all kinds together, can change
        (Frobenius norm) per A by which neighbours move: sum_j |c'(d_j)| + 2 c(d_j) / d_j.
    """
    n = len(positions)
    short = compact_cell(cell)
    xyz = wrapped(positions, short)
    reach = n_images(short, radius)
    tensors = np.zeros((n, n_kinds, 3, 3))
    stiffness = np.zeros(n)
    for i in range(n):
        for u in range(-reach[0], reach[0] + 1):
            for v in range(-reach[1], reach[1] + 1):
                for w in range(-reach[2], reach[2] + 1):
                    shift = u * short[0] + v * short[1] + w * short[2] - xyz[i]
                    for j in range(n):
                        x, y, z = xyz[j, 0] + shift[0], xyz[j, 1] + shift[1], xyz[j, 2] + shift[2]
                        d2 = x * x + y * y + z * z
                        if d2 >= radius * radius or (i == j and u == 0 and v == 0 and w == 0):
                            continue
                        fall = 1.0 - d2 / radius**2
                        weight = fall * fall / d2
                        tensor = tensors[i, kinds[j]]
                        tensor[0, 0] += weight * x * x
                        tensor[1, 1] += weight * y * y
                        tensor[2, 2] += weight * z * z
                        tensor[1, 0] += weight * x * y
                        tensor[2, 0] += weight * x * z
                        tensor[2, 1] += weight * y * z
                        stiffness[i] += 4.0 * np.sqrt(d2) / radius**2 * fall + 2.0 * fall * fall / np.sqrt(d2)
    for i in range(n):
        for kind in range(n_kinds):
            for a in range(3):
                for b in range(a):
                    tensors[i, kind, b, a] = tensors[i, kind, a, b]
    return tensors, stiffness
