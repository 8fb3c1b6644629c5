"""Compiled search for neighbours: every atom within a radius of an atom, in all periodic images.

The lattice is first reduced, so that a skewed cell costs no more than a compact one. In small cells, as in alloy pools,
images are then enumerated per pair of atoms in exactly the range that the radius can reach. Where it looks at fewer
atoms, in cells several radii wide, a cell list does: atoms are sorted into bins half a radius wide, and only the bins
around an atom are searched, so that the cost grows linearly with the number of atoms.

Plain arrays in and out; no thread state; the interpreter lock is released.

Numba's cache on disk watches only the file of the compiled function: after a change here or in kernels.py, clear this
folder's `__pycache__`, or the functions that call the changed ones stay as they were.
"""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import math

import numpy as np
from numba import njit

from hullscout.mbtr.kernel_arrays import SearchArrays

FEW_ATOMS = 64
"""Structures of fewer atoms are searched without a cell list."""


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
def prepare_search(first, last, positions, cell, pbc, radius):  # type: ignore[no-untyped-def]  # noqa: C901 - small loops over three directions
    """Return SearchArrays of one structure: its reduced lattice and, where that pays, a list of its atoms by bins.

    Args:
        first: First atom of the structure.
        last: One past its last atom.
        positions: All positions, A, shape (n_atoms, 3).
        cell: Lattice vectors as rows, shape (3, 3).
        pbc: Periodic directions, shape (3,).
        radius: Search radius, A; may be infinite where nothing is periodic.
    """
    lattice, inverse, heights = reduce_lattice(cell, pbc)
    n_atoms = last - first
    n_bins, reach = np.ones(3, dtype=np.int64), np.zeros(3, dtype=np.int64)
    bins, members = np.empty((0, 3), dtype=np.int64), np.empty(0, dtype=np.int64)
    starts = np.empty(0, dtype=np.int64)
    if n_atoms < FEW_ATOMS or not math.isfinite(radius):
        return SearchArrays(lattice, inverse, heights, n_bins, reach, bins, starts, members)
    fractions = positions[first:last] @ inverse
    lowest, extent = np.zeros(3), heights.copy()
    for a in range(3):
        if not pbc[a]:  # the lattice vector is a unit normal, fractions are lengths
            lowest[a] = np.min(fractions[:, a])
            extent[a] = np.max(fractions[:, a]) - lowest[a] + 1e-9
        n_bins[a] = max(1, int(min(2.0 * extent[a] / radius, float(n_atoms))))
    while n_bins[0] * n_bins[1] * n_bins[2] > 4 * n_atoms:
        widest = np.argmax(n_bins)
        n_bins[widest] = (n_bins[widest] + 1) // 2
    searched = 1.0
    for a in range(3):
        reach[a] = math.ceil((radius + 1e-9) * n_bins[a] / extent[a])
        span = 2 * reach[a] + 1
        searched *= (span if pbc[a] else min(span, n_bins[a])) / n_bins[a]
    if searched > 0.5:
        return SearchArrays(lattice, inverse, heights, n_bins, reach, bins, starts, members)
    bins, members = np.empty((n_atoms, 3), dtype=np.int64), np.empty(n_atoms, dtype=np.int64)
    starts = np.zeros(n_bins[0] * n_bins[1] * n_bins[2] + 1, dtype=np.int64)
    number = np.empty(n_atoms, dtype=np.int64)
    for i in range(n_atoms):
        number[i] = 0
        for a in range(3):
            if pbc[a]:
                bins[i, a] = math.floor(fractions[i, a] * n_bins[a])
            else:
                bins[i, a] = min(int((fractions[i, a] - lowest[a]) / extent[a] * n_bins[a]), n_bins[a] - 1)
            number[i] = number[i] * n_bins[a] + bins[i, a] % n_bins[a]
        starts[number[i] + 1] += 1
    starts = np.cumsum(starts)
    filled = starts[:-1].copy()
    for i in range(n_atoms):
        members[filled[number[i]]] = i
        filled[number[i]] += 1
    return SearchArrays(lattice, inverse, heights, n_bins, reach, bins, starts, members)


@njit(cache=True, nogil=True)
def note_neighbor(x, y, z, atom, place, vectors, atoms):  # type: ignore[no-untyped-def]
    """Write a neighbour at a place, if the output has that place; arguments as in find_neighbors."""
    if place < atoms.shape[0]:
        vectors[place, 0] = x
        vectors[place, 1] = y
        vectors[place, 2] = z
        atoms[place] = atom


@njit(cache=True, nogil=True)
def _neighbors_by_bins(center, first, positions, pbc, search, radius, vectors, atoms):  # type: ignore[no-untyped-def]
    """Do what find_neighbors does, by the cell list."""
    lattice, n_bins, reach = search.lattice, search.n_bins, search.reach
    home = search.bins[center - first]
    square_radius = radius * radius
    closest = math.inf
    found = 0
    low, high = -reach, reach.copy()
    for a in range(3):
        if not pbc[a]:
            low[a] = max(low[a], -home[a])
            high[a] = min(high[a], n_bins[a] - 1 - home[a])
    for o0 in range(low[0], high[0] + 1):
        row = (home[0] + o0) % n_bins[0] * n_bins[1]
        for o1 in range(low[1], high[1] + 1):
            column = (row + (home[1] + o1) % n_bins[1]) * n_bins[2]
            for o2 in range(low[2], high[2] + 1):
                number = column + (home[2] + o2) % n_bins[2]
                for m in range(search.starts[number], search.starts[number + 1]):
                    member = search.members[m]
                    # Exact: the bins are the same but for images.
                    n0 = (home[0] + o0 - search.bins[member, 0]) // n_bins[0]
                    n1 = (home[1] + o1 - search.bins[member, 1]) // n_bins[1]
                    n2 = (home[2] + o2 - search.bins[member, 2]) // n_bins[2]
                    other = first + member
                    if other == center and n0 == 0 and n1 == 0 and n2 == 0:
                        continue
                    x = positions[other, 0] - positions[center, 0]
                    y = positions[other, 1] - positions[center, 1]
                    z = positions[other, 2] - positions[center, 2]
                    x += n0 * lattice[0, 0] + n1 * lattice[1, 0] + n2 * lattice[2, 0]
                    y += n0 * lattice[0, 1] + n1 * lattice[1, 1] + n2 * lattice[2, 1]
                    z += n0 * lattice[0, 2] + n1 * lattice[1, 2] + n2 * lattice[2, 2]
                    square = x * x + y * y + z * z
                    if square <= square_radius:
                        note_neighbor(x, y, z, other, found, vectors, atoms)
                        found += 1
                        closest = min(closest, square)
    return found, closest


@njit(cache=True, nogil=True)
def find_neighbors(center, first, last, positions, pbc, search, radius, vectors, atoms):  # type: ignore[no-untyped-def]
    """Write the neighbours of an atom and return (how many there are, the shortest squared distance).

    Args:
        center: Index of the central atom.
        first: First atom of its structure.
        last: One past the last atom of its structure.
        positions: All positions, shape (n_atoms, 3).
        pbc: Periodic directions, shape (3,).
        search: SearchArrays of the structure, prepared for this radius.
        radius: Search radius, inclusive; may be infinite where nothing is periodic.
        vectors: Output, centre to neighbour, shape (capacity, 3). What does not fit is counted and not written.
        atoms: Output, index of the neighbour's atom, shape (capacity,).
    """
    if search.starts.shape[0] > 0:
        return _neighbors_by_bins(center, first, positions, pbc, search, radius, vectors, atoms)
    lattice, inverse, heights = search.lattice, search.inverse, search.heights
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
                        note_neighbor(x, y, z, other, found, vectors, atoms)
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
        search = prepare_search(offsets[s], offsets[s + 1], positions, cells[s], pbc[s], radii[s])
        most[s] = 0
        closest[s] = math.inf
        for center in range(offsets[s], offsets[s + 1]):
            n, square = find_neighbors(
                center, offsets[s], offsets[s + 1], positions, pbc[s], search, radii[s], vectors, atoms
            )
            most[s] = max(most[s], n)
            closest[s] = min(closest[s], math.sqrt(square))
