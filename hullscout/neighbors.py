"""The neighbours of atoms: who lies within a radius, in all periodic images, how near, and which two are closest.

The one search of the package, exact for any choice of cell and any periodic directions. Knows arrays only, nothing of
candidates or terms.

The lattice is first reduced, so that a skewed cell costs no more than a compact one. In small cells, as in alloy pools,
images are then enumerated per pair of atoms in exactly the range that the radius can reach. Where it looks at fewer
atoms, in cells several radii wide, a cell list does: atoms are sorted into bins half a radius wide, and only the bins
around an atom are searched, so that the cost grows linearly with the number of atoms.

Neighbours are found for some atoms at a time, so that the memory is bounded, by kernels that are compiled once for all
that want them (`neighbor_kernels`).

No search is without end: one that would look at too many images of an atom is refused before it starts, and what runs
long is left within moments on Ctrl-C, since the compiled loops look at a flag (`interruptible`).
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from hullscout.lattice import reduce_lattices, refuse_images
from hullscout.neighbor_kernels import find_by_bins, find_by_images, note_nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    Flag = NDArray[np.bool_]

__all__ = [
    "Found",
    "Search",
    "closest_pair",
    "count_neighbors",
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
MAX_FOUND = 2**18
"""Neighbours that are found at a time, 8 MB, unless those of one atom, or of one structure, are more."""


class Search(NamedTuple):
    """Structures made ready by prepare_search."""

    offsets: NDArray[np.int64]  # first atom of each structure and the end, shape (n + 1,)
    owners: NDArray[np.int64]  # the structure of each atom, shape (n_atoms,)
    positions: NDArray[np.float64]  # A, shape (n_atoms, 3)
    pbc: NDArray[np.bool_]  # periodic directions, shape (n, 3)
    lattices: NDArray[np.float64]  # reduced vectors as rows, open directions filled by unit normals, shape (n, 3, 3)
    inverses: NDArray[np.float64]  # of the lattices, shape (n, 3, 3)
    heights: NDArray[np.float64]  # distances of their opposite faces, A, shape (n, 3)


class Bins(NamedTuple):
    """The atoms of one structure by bins."""

    n_bins: NDArray[np.int64]  # along each direction, shape (3,)
    reach: NDArray[np.int64]  # how many bins away a neighbour may lie, shape (3,)
    bins: NDArray[np.int64]  # of each atom as it stands, not wrapped into the cell, shape (n_atoms, 3)
    starts: NDArray[np.int64]  # first member of each bin and the end, shape (n_bins + 1,)
    members: NDArray[np.int64]  # atoms by bin, shape (n_atoms,)


class Found(NamedTuple):
    """The neighbours of some atoms, one atom after the other."""

    first: int  # atom
    last: int  # one past the last atom
    starts: NDArray[np.int64]  # the first neighbour of each atom and the end, shape (last - first + 1,)
    others: NDArray[np.int64]  # the atom that each neighbour is or is an image of, shape (>= n_neighbors,)
    vectors: NDArray[np.float64]  # to the neighbours, A, shape (>= n_neighbors, 3)

    @property
    def most(self) -> int:
        """The largest number of neighbours of an atom."""
        return int(np.diff(self.starts).max(initial=0))


def prepare_search(
    offsets: NDArray[np.int64], positions: NDArray[np.float64], cells: NDArray[np.float64], pbc: NDArray[np.bool_]
) -> Search:
    """Return n structures made ready.

    Args:
        offsets: First atom of each structure and the end, shape (n + 1,).
        positions: Anywhere, they need not lie in the cells; A, shape (n_atoms, 3).
        cells: Lattice vectors as rows, A, shape (n, 3, 3); those of open directions are ignored, the others independent.
        pbc: Periodic directions, shape (n, 3).
    """
    owners = np.repeat(np.arange(len(cells)), np.diff(offsets))
    # copies: arrays that may not be written, or that lie otherwise in memory, would be compiled for anew
    arrays = np.array(positions, np.float64, order="C"), np.array(pbc, np.bool_, order="C")
    return Search(np.asarray(offsets, np.int64), owners, *arrays, *reduce_lattices(cells, pbc))


def _one(positions: NDArray[np.float64], cell: NDArray[np.float64], pbc: NDArray[np.bool_]) -> Search:
    return prepare_search(np.array([0, len(positions)]), positions, cell[None], pbc[None])


def _sort_into_bins(search: Search, s: int, radius: float) -> Bins | None:
    """The list of one structure, or None where it does not pay."""
    positions = search.positions[search.offsets[s] : search.offsets[s + 1]]
    n_atoms, pbc = len(positions), search.pbc[s]
    if n_atoms < MAX_ATOMS_UNLISTED or not math.isfinite(radius):
        return None
    fractions = positions @ search.inverses[s]
    lowest, extent = (
        np.zeros(3),
        search.heights[s].copy(),
    )  # where open, the vector is a unit normal, fractions are lengths
    lowest[~pbc] = fractions.min(axis=0)[~pbc]
    extent[~pbc] = (fractions.max(axis=0) - lowest)[~pbc] + 1e-9
    n_bins = np.maximum(np.minimum(2.0 * extent / radius, float(n_atoms)).astype(np.int64), 1)
    while math.prod(n_bins.tolist()) > 4 * n_atoms:
        widest = np.argmax(n_bins)
        n_bins[widest] = (n_bins[widest] + 1) // 2
    reach = np.ceil((radius + 1e-9) * n_bins / extent).astype(np.int64)
    spans = np.where(pbc, 2 * reach + 1, np.minimum(2 * reach + 1, n_bins))
    if np.prod(spans / n_bins) > 0.5:
        return None
    wrapped = np.floor(fractions * n_bins)
    inside = np.minimum(((fractions - lowest) / extent * n_bins).astype(np.int64), n_bins - 1)
    bins = np.where(pbc, wrapped.astype(np.int64), inside)
    folded = bins % n_bins
    number = (folded[:, 0] * n_bins[1] + folded[:, 1]) * n_bins[2] + folded[:, 2]
    starts = np.concatenate(([0], np.cumsum(np.bincount(number, minlength=math.prod(n_bins.tolist())))))
    return Bins(n_bins, reach, bins, starts, np.argsort(number, kind="stable"))


def _runs(search: Search, radii: NDArray[np.float64], first: int, last: int) -> Iterator[tuple[int, int, Bins | None]]:
    """Atoms first to last in runs that are searched alike: those of a structure with a list of bins, and all between such."""
    if first >= last:
        return
    structures = np.arange(search.owners[first], search.owners[last - 1] + 1)
    for s in structures[np.diff(search.offsets)[structures] >= MAX_ATOMS_UNLISTED].tolist():
        bins = _sort_into_bins(search, s, float(radii[s]))
        if bins is not None:
            start, stop = max(first, int(search.offsets[s])), min(last, int(search.offsets[s + 1]))
            if first < start:
                yield first, start, None
            yield start, stop, bins
            first = stop
    if first < last:
        yield first, last, None


def _search(
    search: Search,
    radii: NDArray[np.float64],
    bins: Bins | None,
    run: tuple[int, int],
    output: tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]],
    stopped: Flag,
) -> int:
    """Call the kernel of one run, of atoms from the first to before the last: see find_by_images."""
    if bins is None:
        return int(find_by_images(*run, search, radii, output, stopped))
    return int(find_by_bins(*run, search, radii, bins, output, stopped))


def count_neighbors(
    search: Search, radii: NDArray[np.float64], first: int, last: int, stopped: Flag
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return how many neighbours the atoms first to last have, and their shortest squared distances, A^2, (last - first,).

    Radii are those of the structures, A, inclusive, shape (n,); they may be infinite where nothing is periodic. The distance is
    infinite where there is no neighbour.
    """
    counts, closest = np.zeros(last - first, np.int64), np.full(last - first, np.inf)
    nothing = np.empty(0, np.int64), np.empty((0, 3))
    for begin, end, bins in _runs(search, radii, first, last):
        part = slice(begin - first, end - first)
        _search(search, radii, bins, (begin, end), (counts[part], closest[part], *nothing), stopped)
    return counts, closest


def find_neighbors(
    search: Search, radii: NDArray[np.float64], first: int, last: int, stopped: Flag, *, whole: bool = False
) -> Iterator[Found]:
    """Yield the neighbours of atoms first to last, some atoms at a time; `whole`: never a part of a structure.

    What is yielded is overwritten by what comes next. Radii as in count_neighbors.
    """
    room = min(MAX_FOUND, 128 * (last - first))
    others, vectors = np.empty(room, np.int64), np.empty((room, 3))
    for start, end, bins in _runs(search, radii, first, last):
        begin = start
        while begin < end:
            stop = min(end, begin + room)
            counts, closest = np.zeros(stop - begin, np.int64), np.empty(stop - begin)
            reached = _search(search, radii, bins, (begin, stop), (counts, closest, others, vectors), stopped)
            done = int(search.offsets[search.owners[reached]]) if whole and reached < end else reached
            if done == begin:  # once more, with room for what did not fit
                room = max(2 * room, int(counts.max()))
                others, vectors = np.empty(room, np.int64), np.empty((room, 3))
                continue
            starts = np.zeros(done - begin + 1, np.int64)
            np.cumsum(counts[: done - begin], out=starts[1:])
            yield Found(begin, done, starts, others, vectors)
            begin = done


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
    """Return the neighbours of all atoms of one structure; arguments as in prepare_search and count_neighbors.

    These are where the neighbours of each atom start, and the end, shape (n_atoms + 1,); the atom that each neighbour is
    or is an image of, shape (n_neighbors,); the vectors to them, A, shape (n_neighbors, 3).
    """
    n = len(positions)
    search = _one(positions, cell, pbc)
    refuse_images(n, np.where(pbc, search.heights[0], np.inf), radius)

    def work(stopped: Flag) -> Found:
        return next(find_neighbors(search, np.array([radius], np.float64), 0, n, stopped, whole=True))

    found = interruptible(work, is_long=n > MAX_ATOMS_AT_ONCE)
    return found.starts, found.others[: found.starts[-1]].copy(), found.vectors[: found.starts[-1]].copy()


def nearest_distances(
    positions: NDArray[np.float64], cell: NDArray[np.float64], kinds: NDArray[np.int64], n_nearest: int
) -> NDArray[np.float64]:
    """Return, for each atom of a crystal, the distances to its nearest neighbours of each kind, ascending.

    In A, shape (n_atoms, n_kinds, n_nearest). Kinds count from 0, shape (n_atoms,), and every kind up to the last occurs.
    Other arguments as in prepare_search. It is not begun where a radius takes more than MAX_IMAGES.
    """
    n = len(positions)
    search = _one(positions, cell, np.ones(3, dtype=np.bool_))
    kinds, n_of_kind = np.array(kinds, np.int64), np.bincount(kinds)
    heights, volume = search.heights[0], abs(float(np.linalg.det(search.lattices[0])))
    # a ball that holds the neighbours wanted of the rarest kind on average; grown until it does so for every atom
    ball = float((0.75 / np.pi * n_nearest / n_of_kind.min() * volume) ** (1.0 / 3.0))

    def work(stopped: Flag) -> NDArray[np.float64]:
        radius, nearest = ball, np.full((n, len(n_of_kind), n_nearest), np.inf)
        while not (stopped[0] or np.isfinite(nearest[:, :, -1]).all()):
            radius *= 1.15
            refuse_images(n, heights, radius)
            nearest.fill(np.inf)
            for found in find_neighbors(search, np.array([radius]), 0, n, stopped):
                note_nearest(*found, kinds, nearest)
        return np.asarray(np.sqrt(nearest))

    return interruptible(work, is_long=n > MAX_ATOMS_AT_ONCE)


def closest_pair(positions: NDArray[np.float64], cell: NDArray[np.float64], limit: float) -> tuple[float, int, int]:
    """Return the shortest distance between two atoms of a crystal, or an atom and its image, A, and the two atoms.

    Infinity and two zeros where none is closer than the limit (A). A lattice vector shorter than that ends the search
    (it is the distance of atom 0 to its own image). Other arguments as in prepare_search.
    """
    n, periodic = len(positions), np.ones(3, dtype=np.bool_)
    search = _one(positions, cell, periodic)
    shortest = math.sqrt(min((search.lattices[0] * search.lattices[0]).sum(axis=1).tolist()))
    if shortest < limit:
        return shortest, 0, 0
    refuse_images(n, search.heights[0], limit)

    def work(stopped: Flag) -> tuple[float, int, int]:
        best, first, second = math.inf, 0, 0
        for found in find_neighbors(search, np.array([limit], np.float64), 0, n, stopped):
            end = int(found.starts[-1])
            if end > 0:
                vectors = found.vectors[:end]
                distances = np.sqrt(vectors[:, 0] ** 2 + vectors[:, 1] ** 2 + vectors[:, 2] ** 2)
                place = int(np.argmin(distances))
                if distances[place] < min(best, limit):
                    center = found.first + int(np.searchsorted(found.starts, place, side="right")) - 1
                    best, first, second = float(distances[place]), center, int(found.others[place])
        return best, first, second

    return interruptible(work, is_long=n > MAX_ATOMS_AT_ONCE)
