"""Compiled search for neighbours: every atom within a radius of an atom, in all periodic images.

The lattice is first reduced, so that a skewed cell costs no more than a compact one; then images are enumerated per
pair of atoms in exactly the range that the radius can reach, which for the small cells of alloy pools beats cell lists.
Plain arrays in and out; no thread state; the interpreter lock is released.

Numba's cache on disk watches only the file of the compiled function: after a change here or in kernels.py, clear this
folder's `__pycache__`, or the functions that call the changed ones stay as they were.
"""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import math

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def reduce_lattice(cell, pbc):  # type: ignore[no-untyped-def]  # noqa: C901 - small loops over three directions
    """Return (lattice, inverse, heights): the same lattice with short vectors, open directions filled by unit normals.

    Args:
        cell: Lattice vectors as rows, shape (3, 3); rows of open directions are ignored.
        pbc: Which directions are periodic, shape (3,).
    """
    lattice = np.zeros((3, 3))
    for a in range(3):
        if pbc[a]:
            lattice[a] = cell[a]
    changed = True
    while changed:
        changed = False
        for a in range(3):
            for b in range(3):
                if a != b and pbc[a] and pbc[b]:
                    square = np.sum(lattice[b] * lattice[b])
                    n = np.floor(np.sum(lattice[a] * lattice[b]) / square + 0.5)
                    if n != 0.0:
                        shorter = lattice[a] - n * lattice[b]
                        before = np.sum(lattice[a] * lattice[a])
                        if np.sum(shorter * shorter) < before * (1.0 - 1e-12):
                            lattice[a] = shorter
                            changed = True
    for a in range(3):
        if not pbc[a]:
            b, c = (a + 1) % 3, (a + 2) % 3
            normal = np.zeros(3)
            if np.any(lattice[b] != 0.0) and np.any(lattice[c] != 0.0):
                normal[0] = lattice[b, 1] * lattice[c, 2] - lattice[b, 2] * lattice[c, 1]
                normal[1] = lattice[b, 2] * lattice[c, 0] - lattice[b, 0] * lattice[c, 2]
                normal[2] = lattice[b, 0] * lattice[c, 1] - lattice[b, 1] * lattice[c, 0]
            else:
                given = lattice[b] + lattice[c]
                square = np.sum(given * given)
                smallest = np.argmin(np.abs(given))
                normal[smallest] = 1.0
                if square > 0.0:
                    normal -= given * (given[smallest] / square)
            lattice[a] = normal / math.sqrt(np.sum(normal * normal))
    inverse = np.linalg.inv(lattice)
    heights = np.empty(3)
    for a in range(3):
        heights[a] = 1.0 / math.sqrt(np.sum(inverse[:, a] * inverse[:, a]))
    return lattice, inverse, heights


@njit(cache=True, nogil=True)
def find_neighbors(center, first, last, positions, pbc, lattice, inverse, heights, radius, vectors, atoms):  # type: ignore[no-untyped-def]
    """Write the neighbours of an atom and return (how many there are, the shortest squared distance).

    Args:
        center: Index of the central atom.
        first: First atom of its structure.
        last: One past the last atom of its structure.
        positions: All positions, shape (n_atoms, 3).
        pbc: Periodic directions, shape (3,).
        lattice: Reduced lattice.
        inverse: Its inverse.
        heights: Distances of its opposite faces.
        radius: Search radius, inclusive; may be infinite where nothing is periodic.
        vectors: Output, centre to neighbour, shape (capacity, 3). What does not fit is counted and not written.
        atoms: Output, index of the neighbour's atom, shape (capacity,).
    """
    capacity = atoms.shape[0]
    square_radius = radius * radius
    closest = math.inf
    found = 0
    low = np.zeros(3, dtype=np.int64)
    high = np.zeros(3, dtype=np.int64)
    for other in range(first, last):
        dx = positions[other, 0] - positions[center, 0]
        dy = positions[other, 1] - positions[center, 1]
        dz = positions[other, 2] - positions[center, 2]
        for a in range(3):
            if pbc[a]:
                f = dx * inverse[0, a] + dy * inverse[1, a] + dz * inverse[2, a]
                span = radius / heights[a] + 1e-9
                low[a] = math.ceil(-span - f)
                high[a] = math.floor(span - f)
        for n0 in range(low[0], high[0] + 1):
            ax = dx + n0 * lattice[0, 0]
            ay = dy + n0 * lattice[0, 1]
            az = dz + n0 * lattice[0, 2]
            for n1 in range(low[1], high[1] + 1):
                bx = ax + n1 * lattice[1, 0]
                by = ay + n1 * lattice[1, 1]
                bz = az + n1 * lattice[1, 2]
                for n2 in range(low[2], high[2] + 1):
                    if other == center and n0 == 0 and n1 == 0 and n2 == 0:
                        continue
                    x = bx + n2 * lattice[2, 0]
                    y = by + n2 * lattice[2, 1]
                    z = bz + n2 * lattice[2, 2]
                    square = x * x + y * y + z * z
                    if square <= square_radius:
                        if found < capacity:
                            vectors[found, 0] = x
                            vectors[found, 1] = y
                            vectors[found, 2] = z
                            atoms[found] = other
                        found += 1
                        closest = min(closest, square)
    return found, closest


@njit(cache=True, nogil=True)
def survey(start, stop, structures, radii, most, closest):  # type: ignore[no-untyped-def]
    """Write, for structures start to stop, the largest number of neighbours of an atom and the shortest distance.

    Args:
        start: First structure.
        stop: One past the last structure.
        structures: StructureArrays.
        radii: Search radius per structure.
        most: Output, shape (n_structures,).
        closest: Output in A, infinite where no neighbour is found, shape (n_structures,).
    """
    offsets, _, positions, cells, pbc = structures
    vectors = np.empty((0, 3))
    atoms = np.empty(0, dtype=np.int64)
    for s in range(start, stop):
        lattice, inverse, heights = reduce_lattice(cells[s], pbc[s])
        most[s] = 0
        closest[s] = math.inf
        for center in range(offsets[s], offsets[s + 1]):
            n, square = find_neighbors(
                center,
                offsets[s],
                offsets[s + 1],
                positions,
                pbc[s],
                lattice,
                inverse,
                heights,
                radii[s],
                vectors,
                atoms,
            )
            most[s] = max(most[s], n)
            closest[s] = min(closest[s], math.sqrt(square))
