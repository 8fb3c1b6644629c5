"""The neighbours of atoms: who lies within a radius, in all periodic images, how near, and which two are closest.

The one search of the package, exact for any choice of cell and any periodic directions. Knows arrays only, nothing of
candidates or terms; everything is compiled, and may be called from Python and from compiled code.

The lattice is first reduced, so that a skewed cell costs no more than a compact one. In small cells, as in alloy pools,
images are then enumerated per pair of atoms in exactly the range that the radius can reach. Where it looks at fewer
atoms, in cells several radii wide, a cell list does: atoms are sorted into bins half a radius wide, and only the bins
around an atom are searched, so that the cost grows linearly with the number of atoms.

No search is without end: one that would look at too many images of an atom is refused before it starts, and what runs
long is left within moments on Ctrl-C, since the compiled loops look at a flag (`interruptible`).

Numba's cache on disk watches only the file of the compiled function: after a change here, clear the `__pycache__` of
`hullscout` and `hullscout/mbtr`, or the functions that call the changed ones stay as they were.
"""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from hullscout.compiling import njit
from hullscout.errors import InvalidStructureError
from hullscout.lattice import MAX_IMAGES, reduce_lattice, refuse_images, shorten_vectors, too_many_images

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Flag = NDArray[np.bool_]

__all__ = [
    "Search",
    "closest_pair",
    "find_neighbors",
    "interruptible",
    "interruptible_all",
    "list_neighbors",
    "nearest_distances",
    "prepare_search",
]

T = TypeVar("T")

MAX_ATOMS_UNLISTED = 64
"""Structures of fewer atoms are searched without a cell list."""
MAX_ATOMS_AT_ONCE = 300
"""Structures of so many atoms are searched in one go, without a way to interrupt it: it takes less than a second."""


class Search(NamedTuple):
    """One structure, made ready by prepare_search; bins and starts are empty where a cell list does not pay."""

    positions: NDArray[np.float64]  # A, shape (n_atoms, 3)
    pbc: NDArray[np.bool_]  # periodic directions, shape (3,)
    radius: float  # A
    lattice: NDArray[np.float64]  # reduced vectors as rows, open directions filled by unit normals, shape (3, 3)
    inverse: NDArray[np.float64]  # of the lattice, shape (3, 3)
    heights: NDArray[np.float64]  # distances of its opposite faces, A, shape (3,)
    n_bins: NDArray[np.int64]  # along each direction, shape (3,)
    reach: NDArray[np.int64]  # how many bins away a neighbour may lie, shape (3,)
    bins: NDArray[np.int64]  # of each atom as it stands, not wrapped into the cell, shape (n_atoms, 3)
    starts: NDArray[np.int64]  # first member of each bin and the end, shape (n_bins + 1,)
    members: NDArray[np.int64]  # atoms by bin, shape (n_atoms,)


@njit(cache=True, nogil=True)
def prepare_search(positions, cell, pbc, radius):  # type: ignore[no-untyped-def]  # noqa: C901 - small loops over three directions
    """Return the Search of one structure: its reduced lattice and, where that pays, a list of its atoms by bins.

    Args:
        positions: Anywhere, they need not lie in the cell; A, shape (n_atoms, 3).
        cell: Lattice vectors as rows, A, shape (3, 3); those of open directions are ignored, the others independent.
        pbc: Periodic directions, shape (3,).
        radius: A, inclusive; may be infinite where nothing is periodic.
    """
    lattice, inverse, heights = reduce_lattice(cell, pbc)
    n_atoms = positions.shape[0]
    n_bins, reach = np.ones(3, dtype=np.int64), np.zeros(3, dtype=np.int64)
    bins, starts, members = np.empty((0, 3), dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    plain = Search(positions, pbc, radius, lattice, inverse, heights, n_bins, reach, bins, starts, members)
    if n_atoms < MAX_ATOMS_UNLISTED or not math.isfinite(radius):
        return plain
    fractions = positions @ inverse
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
        return plain
    bins, members = np.empty((n_atoms, 3), dtype=np.int64), np.empty(n_atoms, dtype=np.int64)
    starts = np.zeros(n_bins[0] * n_bins[1] * n_bins[2] + 1, dtype=np.int64)
    number = np.zeros(n_atoms, dtype=np.int64)
    for i in range(n_atoms):
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
    return Search(positions, pbc, radius, lattice, inverse, heights, n_bins, reach, bins, starts, members)


@njit(cache=True, nogil=True)
def _note(x, y, z, atom, place, vectors, atoms):  # type: ignore[no-untyped-def]
    """Write a neighbour at a place, if the output has that place; arguments as in find_neighbors."""
    if place < atoms.shape[0]:
        vectors[place, 0], vectors[place, 1], vectors[place, 2] = x, y, z
        atoms[place] = atom


@njit(cache=True, nogil=True)
def _find_by_bins(center, search, vectors, atoms):  # type: ignore[no-untyped-def]
    """Do what find_neighbors does, by the cell list."""
    positions, lattice, n_bins, reach = search.positions, search.lattice, search.n_bins, search.reach
    home = search.bins[center]
    found, closest, square_radius = 0, math.inf, search.radius * search.radius
    low, high = -reach, reach.copy()
    for a in range(3):
        if not search.pbc[a]:
            low[a] = max(low[a], -home[a])
            high[a] = min(high[a], n_bins[a] - 1 - home[a])
    for o0 in range(low[0], high[0] + 1):
        row = (home[0] + o0) % n_bins[0] * n_bins[1]
        for o1 in range(low[1], high[1] + 1):
            column = (row + (home[1] + o1) % n_bins[1]) * n_bins[2]
            for o2 in range(low[2], high[2] + 1):
                number = column + (home[2] + o2) % n_bins[2]
                for m in range(search.starts[number], search.starts[number + 1]):
                    other = search.members[m]
                    # Exact: the bins are the same but for images.
                    n0 = (home[0] + o0 - search.bins[other, 0]) // n_bins[0]
                    n1 = (home[1] + o1 - search.bins[other, 1]) // n_bins[1]
                    n2 = (home[2] + o2 - search.bins[other, 2]) // n_bins[2]
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
                        _note(x, y, z, other, found, vectors, atoms)
                        found += 1
                        closest = min(closest, square)
    return found, closest


@njit(cache=True, nogil=True)
def find_neighbors(center, search, vectors, atoms):  # type: ignore[no-untyped-def]
    """Write the neighbours of an atom, its own images included; return (their number, the shortest squared distance).

    Output are the vectors from the atom to its neighbours, A, shape (capacity, 3), and the atom that each neighbour is or
    is an image of, shape (capacity,). What does not fit is counted alone.
    """
    if search.starts.shape[0] > 0:
        return _find_by_bins(center, search, vectors, atoms)
    positions, lattice, inverse = search.positions, search.lattice, search.inverse
    found, closest, square_radius = 0, math.inf, search.radius * search.radius
    low, high = np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64)
    for other in range(positions.shape[0]):
        dx = positions[other, 0] - positions[center, 0]
        dy = positions[other, 1] - positions[center, 1]
        dz = positions[other, 2] - positions[center, 2]
        for a in range(3):
            if search.pbc[a]:
                f = dx * inverse[0, a] + dy * inverse[1, a] + dz * inverse[2, a]
                span = search.radius / search.heights[a] + 1e-9
                low[a] = math.ceil(-span - f)
                high[a] = math.floor(span - f)
        for n0 in range(low[0], high[0] + 1):
            ax, ay, az = dx + n0 * lattice[0, 0], dy + n0 * lattice[0, 1], dz + n0 * lattice[0, 2]
            for n1 in range(low[1], high[1] + 1):
                bx, by, bz = ax + n1 * lattice[1, 0], ay + n1 * lattice[1, 1], az + n1 * lattice[1, 2]
                for n2 in range(low[2], high[2] + 1):
                    if other == center and n0 == 0 and n1 == 0 and n2 == 0:
                        continue
                    x, y, z = bx + n2 * lattice[2, 0], by + n2 * lattice[2, 1], bz + n2 * lattice[2, 2]
                    square = x * x + y * y + z * z
                    if square <= square_radius:
                        _note(x, y, z, other, found, vectors, atoms)
                        found += 1
                        closest = min(closest, square)
    return found, closest


def interruptible(work: Callable[[Flag], T], *, is_long: bool) -> T:
    """What compiled work returns, ended early by Ctrl-C where it is long.

    The work is given a flag, (1,), that says whether to stop, looks at it every now and then, and releases the interpreter's
    lock; what it returns after that does not matter.
    """
    if not is_long:
        return work(np.zeros(1, dtype=np.bool_))
    return interruptible_all([work], threads=1)[0]


def interruptible_all(works: Sequence[Callable[[Flag], T]], *, threads: int) -> list[T]:
    """What each of several pieces of work returns, done in so many threads; see `interruptible`."""
    stopped = np.zeros(1, dtype=np.bool_)
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work, stopped) for work in works]
        try:
            left = set(futures)
            while left:  # with a limit, since no signal ends a wait without one on every system
                left = wait(left, timeout=0.2).not_done
        except BaseException:
            stopped[0] = True
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        return [future.result() for future in futures]


def list_neighbors(
    positions: NDArray[np.float64], cell: NDArray[np.float64], pbc: NDArray[np.bool_], radius: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return the neighbours of all atoms; arguments as in prepare_search.

    These are where the neighbours of each atom start, and the end, shape (n_atoms + 1,); the atom that each neighbour is
    or is an image of, shape (n_neighbors,); the vectors to them, A, shape (n_neighbors, 3).
    """
    refuse_images(len(positions), np.where(pbc, reduce_lattice(cell, pbc)[2], np.inf), radius)
    is_long = len(positions) > MAX_ATOMS_AT_ONCE
    found = interruptible(lambda stopped: _list_neighbors(positions, cell, pbc, radius, stopped), is_long=is_long)
    return found[0], found[1], found[2]


@njit(cache=True, nogil=True)
def _list_neighbors(positions, cell, pbc, radius, stopped):  # type: ignore[no-untyped-def]
    """Do what list_neighbors does, until the flag says to stop."""
    n_atoms = positions.shape[0]
    search = prepare_search(positions, cell, pbc, radius)
    starts = np.zeros(n_atoms + 1, dtype=np.int64)
    vectors, atoms = np.empty((32 * n_atoms, 3)), np.empty(32 * n_atoms, dtype=np.int64)
    for center in range(n_atoms):
        if stopped[0]:
            break
        start = starts[center]
        n, _ = find_neighbors(center, search, vectors[start:], atoms[start:])
        if start + n > len(atoms):  # once more, with room for as many at every atom that is left, or twice the room
            room = max(n, min(n * (n_atoms - center), len(atoms)))
            vectors = np.concatenate((vectors[:start], np.empty((room, 3))))
            atoms = np.concatenate((atoms[:start], np.empty(room, dtype=np.int64)))
            find_neighbors(center, search, vectors[start:], atoms[start:])
        starts[center + 1] = start + n
    return starts, atoms[: starts[-1]], vectors[: starts[-1]]


def nearest_distances(
    positions: NDArray[np.float64], cell: NDArray[np.float64], kinds: NDArray[np.int64], n_nearest: int
) -> NDArray[np.float64]:
    """Return, for each atom of a crystal, the distances to its nearest neighbours of each kind, ascending.

    In A, shape (n_atoms, n_kinds, n_nearest). Kinds count from 0, shape (n_atoms,), and every kind up to the last occurs.
    Other arguments as in prepare_search.
    """
    is_long = len(positions) > MAX_ATOMS_AT_ONCE
    nearest, radius, images = interruptible(
        lambda stopped: _nearest_distances(positions, cell, kinds, n_nearest, stopped), is_long=is_long
    )
    if images > MAX_IMAGES:
        raise InvalidStructureError(too_many_images(images, radius))
    return np.asarray(nearest)


@njit(cache=True, nogil=True)
def _nearest_distances(positions, cell, kinds, n_nearest, stopped):  # type: ignore[no-untyped-def]
    """Return what nearest_distances does, the radius (A) it looked up to, and the images that this takes.

    It ends early where the flag says so, and before a radius that would take more than MAX_IMAGES.
    """
    n_of_kind = np.bincount(kinds)
    lattice, _, heights = reduce_lattice(cell, np.ones(3, dtype=np.bool_))
    # a ball that holds the neighbours wanted of the rarest kind on average; grown until it does so for every atom
    radius = (0.75 / np.pi * n_nearest / n_of_kind.min() * abs(np.linalg.det(lattice))) ** (1.0 / 3.0)
    nearest = np.full((len(positions), len(n_of_kind), n_nearest), np.inf)
    images = 0.0
    while not (stopped[0] or np.isfinite(nearest).all()):
        radius *= 1.15
        images = len(positions) * np.prod(2.0 * radius / heights + 1.0)
        if images > MAX_IMAGES:
            break
        nearest[:] = np.inf
        _note_nearest(positions, cell, kinds, radius, nearest, stopped)
    return np.sqrt(nearest), radius, images


@njit(cache=True, nogil=True)
def _note_nearest(positions, cell, kinds, radius, nearest, stopped):  # type: ignore[no-untyped-def]
    """Write the squares of what nearest_distances returns, as far as neighbours lie within a radius."""
    search = prepare_search(positions, cell, np.ones(3, dtype=np.bool_), radius)
    vectors, atoms = np.empty((512, 3)), np.empty(512, dtype=np.int64)
    last = nearest.shape[2] - 1
    for center in range(len(positions)):
        if stopped[0]:
            break
        n, _ = find_neighbors(center, search, vectors, atoms)
        if n > len(atoms):
            vectors, atoms = np.empty((2 * n, 3)), np.empty(2 * n, dtype=np.int64)
            find_neighbors(center, search, vectors, atoms)
        for m in range(n):
            square = vectors[m, 0] ** 2 + vectors[m, 1] ** 2 + vectors[m, 2] ** 2
            row = nearest[center, kinds[atoms[m]]]
            if square < row[-1]:
                place = last
                while place > 0 and row[place - 1] > square:
                    row[place] = row[place - 1]
                    place -= 1
                row[place] = square


def closest_pair(positions: NDArray[np.float64], cell: NDArray[np.float64], limit: float) -> tuple[float, int, int]:
    """Return the shortest distance between two atoms of a crystal, or an atom and its image, A, and the two atoms.

    Infinity and two zeros where none is closer than the limit (A). A lattice vector shorter than that ends the search
    (it is the distance of atom 0 to its own image). Other arguments as in prepare_search.
    """
    is_long = len(positions) > MAX_ATOMS_AT_ONCE
    best, first, second, images = interruptible(
        lambda stopped: _closest_pair(positions, cell, limit, stopped), is_long=is_long
    )
    if images > MAX_IMAGES:
        raise InvalidStructureError(too_many_images(images, limit))
    return best, first, second


@njit(cache=True, nogil=True)
def _closest_pair(positions, cell, limit, stopped):  # type: ignore[no-untyped-def]
    """Return what closest_pair does, and the images that it takes: nothing is looked for where these are too many.

    It ends early where the flag says so.
    """
    periodic = np.ones(3, dtype=np.bool_)
    shortest = math.sqrt(np.min(np.sum(np.square(shorten_vectors(cell, periodic)), axis=1)))
    if shortest < limit:
        return shortest, 0, 0, 0.0
    images = len(positions) * np.prod(2.0 * limit / reduce_lattice(cell, periodic)[2] + 1.0)
    if images > MAX_IMAGES:
        return np.inf, 0, 0, images
    search = prepare_search(positions, cell, periodic, limit)
    vectors, atoms = np.empty((32, 3)), np.empty(32, dtype=np.int64)
    best, first, second = np.inf, 0, 0
    for center in range(len(positions)):
        if stopped[0]:
            break
        n, _ = find_neighbors(center, search, vectors, atoms)
        if n > len(atoms):
            vectors, atoms = np.empty((2 * n, 3)), np.empty(2 * n, dtype=np.int64)
            find_neighbors(center, search, vectors, atoms)
        for m in range(n):
            distance = math.sqrt(np.sum(vectors[m] * vectors[m]))
            if distance < min(best, limit):
                best, first, second = distance, center, atoms[m]
    return best, first, second, images
