"""The expensive part, by compiled kernels: from a batch of structures to counts, and from one structure to derivatives.

Counts take several threads. Derivatives are those of the features by the positions of the atoms and by strain.

Source: Huo & Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022), equation 6 for derivatives.
"""

from __future__ import annotations

import itertools
import math
import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, get_args

import numpy as np

from hullscout.errors import InvalidSettingError, InvalidStructureError
from hullscout.lattice import MAX_IMAGES, too_many_images
from hullscout.mbtr.axis import N_MOMENTS, broadening_matrix, panels_of
from hullscout.mbtr.channels import channel_table, present_channels
from hullscout.mbtr.counts import Counts, MBTRDefinition, TermCounts
from hullscout.mbtr.kernels import TermCodes, count_angles, count_chains, count_pairs, deposit
from hullscout.mbtr.slope_kernels import angle_slopes, pair_slopes
from hullscout.mbtr.structures import MIN_DISTANCE, Batch
from hullscout.mbtr.term import GEOMETRIES, Taper, Term, Weighting
from hullscout.mbtr.truncation import expected_neighbors, refuse_density, refuse_excess, search_radii
from hullscout.neighbors import (
    Search,
    count_neighbors,
    find_neighbors,
    interruptible,
    interruptible_all,
    prepare_search,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Flag = NDArray[np.bool_]
    Reach = tuple[NDArray[np.float64], NDArray[np.int64]]

_SURVEY_RADIUS: Final = 3.0
MAX_AT_ONCE: Final = 1e7  # images or tuples that are looked at without a way to interrupt: some tenths of a second
_KERNELS: Final = {2: count_pairs, 3: count_angles, 4: count_chains}
_SLOPE_KERNELS: Final = {2: pair_slopes, 3: angle_slopes}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gradient:
    """Features of one structure and their derivatives; an atom moves with all its images.

    Strain e_ab takes r_a to r_a + sum_b e_ab r_b of atoms and cell: symmetric in ab, because rotations change nothing.
    """

    features: NDArray[np.float64]  #: shape (n_features,)
    positions: NDArray[np.float64]  #: d features / d r, per A, shape (n_atoms, 3, n_features)
    strain: NDArray[np.float64]  #: d features / d e_ab, shape (3, 3, n_features)


def count_batch(batch: Batch, definition: MBTRDefinition, *, first: int = 0, n_threads: int | None = None) -> Counts:
    """Count every term of a definition on a batch.

    Structures are numbered from `first` in messages; without n_threads there are as many threads as the process may use.
    """
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = processors if n_threads is None else int(n_threads)
    search = searched(batch, first=first)
    closest = closest_distances(batch, first=first, n_threads=threads, search=search)
    ranges = {  # of all terms before any of them is counted: what is refused, is refused at once
        term.label: search_range(batch, term, closest, first=first, n_threads=threads, search=search)
        for term in definition.terms
        if term.k > 1
    }
    has_volume = np.all(batch.pbc, axis=1)
    if definition.normalization == "valle_oganov" and not np.all(has_volume):
        raise InvalidStructureError(
            f"structure {first + int(np.argmin(has_volume))} is not periodic in three directions: "
            "valle_oganov needs a volume"
        )
    counts = Counts(
        definition=definition,
        element_counts=batch.element_counts(len(definition.elements)),
        volumes=np.where(has_volume, np.abs(np.linalg.det(batch.cells)), math.nan),
        terms=tuple(
            None
            if term.grid is None
            else _count_atoms(batch, definition, term)
            if term.k == 1
            else _count_tuples(batch, search, definition, term, ranges[term.label], threads)
            for term in definition.terms
        ),
    )
    for label, fraction in counts.outside().items():
        if np.any(fraction > definition.max_outside):
            worst = int(np.argmax(fraction))
            raise InvalidStructureError(
                f"structure {first + worst}: {fraction[worst]:.1%} of the weight of {label} lies outside its grid "
                f"(max_outside = {definition.max_outside:.1%}): widen the grid"
            )
    return counts


def in_threads(work: Callable[[int, int, Flag], None], costs: NDArray[np.float64], threads: int) -> None:
    """Run work(start, stop, stopped) over contiguous ranges of structures of about equal cost, in about tuples, (n,).

    The work releases the interpreter lock, writes only what belongs to its range, and ends early where the flag says so:
    long work is then left on Ctrl-C.
    """
    n = len(costs)
    if threads == 1 or n <= 1:
        interruptible(lambda stopped: work(0, n, stopped), is_long=float(costs.sum()) > MAX_AT_ONCE)
        return
    cumulative = np.cumsum(costs) + 1e-12 * np.arange(1, n + 1)
    marks = np.linspace(0, cumulative[-1], 8 * threads + 1)[1:-1]
    bounds = np.unique(np.concatenate(([0], np.searchsorted(cumulative, marks), [n]))).tolist()
    interruptible_all([partial(work, a, b) for a, b in itertools.pairwise(bounds)], threads=threads)


def term_codes(term: Term, n_elements: int) -> TermCodes:
    """Return a term in the numbers that kernels understand."""
    return TermCodes(
        geometry=GEOMETRIES[term.k].index(term.geometry),
        weighting=get_args(Weighting).index(term.weighting),
        taper=get_args(Taper).index("sharp" if term.cutoff is None else term.taper),
        scale=0.0 if term.scale is None else float(term.scale),
        cutoff=math.inf if term.cutoff is None else float(term.cutoff),
        sharpness=float(term.sharpness),
        n_elements=n_elements,
        channels=channel_table(n_elements, term.k),
    )


def search_range(
    batch: Batch,
    term: Term,
    closest: NDArray[np.float64],
    *,
    first: int = 0,
    n_threads: int = 1,
    search: Search | None = None,
) -> Reach:
    """Return how far a term of k = 2, 3 or 4 reaches in each structure (A), and the largest number of neighbours within.

    Both have shape (n,), as has `closest`, a lower bound on the shortest distance (A). Sums that do not converge, or that
    meet too many tuples, are refused; structures are counted from `first` in the message. `search` is that of the batch, if it was
    prepared already.
    """
    radii = search_radii(term, batch, closest, first=first)
    refuse_excess(expected_neighbors(batch, radii), radii, term, first=first)
    most = _survey(search or searched(batch, first=first), radii, n_threads, first)[0]
    refuse_excess(most.astype(np.float64), radii, term, first=first)
    return radii, most


def searched(batch: Batch, *, first: int = 0) -> Search:
    """Return a batch made ready for the search of neighbours; refuse atoms or lattices so dense that atoms coincide."""
    radii = np.full(batch.n_structures, _SURVEY_RADIUS)
    refuse_density(expected_neighbors(batch, radii), _SURVEY_RADIUS, first=first)
    search = prepare_search(batch.offsets, batch.positions, batch.cells, batch.pbc)
    squares = np.where(batch.pbc, (search.lattices * search.lattices).sum(axis=2), math.inf)
    shortest = np.sqrt(squares.min(axis=1))
    if np.any(shortest < MIN_DISTANCE):
        worst = int(np.argmin(shortest))
        raise InvalidStructureError(
            f"structure {first + worst} has coinciding atoms or a singular cell: an atom and its periodic image are "
            f"{shortest[worst]:.3g} A apart, expected at least {MIN_DISTANCE} A"
        )
    return search


def closest_distances(
    batch: Batch, *, first: int = 0, n_threads: int = 1, search: Search | None = None
) -> NDArray[np.float64]:
    """Return the shortest distance in each structure, or 3 A if it is longer; refuse coinciding atoms."""
    radii = np.full(batch.n_structures, _SURVEY_RADIUS)
    _, closest = _survey(search or searched(batch, first=first), radii, n_threads, first)
    if np.any(closest < MIN_DISTANCE):
        worst = int(np.argmin(closest))
        raise InvalidStructureError(
            f"structure {first + worst} has coinciding atoms: expected at least {MIN_DISTANCE} A between any two, "
            f"found {closest[worst]:.3g} A"
        )
    return np.minimum(closest, _SURVEY_RADIUS)


def _survey(
    search: Search, radii: NDArray[np.float64], threads: int, first: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the largest number of neighbours of an atom, and the shortest distance (A), of each structure.

    Searches of too many images are refused before.
    """
    n_atoms = np.diff(search.offsets)
    images = n_atoms.astype(np.float64)
    for a in range(3):
        images *= np.where(search.pbc[:, a], 2.0 * radii / search.heights[:, a] + 1.0, 1.0)
    if np.any(images > MAX_IMAGES):
        worst = int(np.argmax(images))
        raise InvalidStructureError(f"structure {first + worst}: {too_many_images(images[worst], radii[worst])}")
    counts, squares = np.zeros(len(search.owners), np.int64), np.empty(len(search.owners))

    def work(a: int, b: int, stopped: Flag) -> None:
        atoms = slice(int(search.offsets[a]), int(search.offsets[b]))
        counts[atoms], squares[atoms] = count_neighbors(search, radii, atoms.start, atoms.stop, stopped)

    in_threads(work, n_atoms * images, threads)
    most, closest = np.zeros(len(radii), np.int64), np.full(len(radii), math.inf)
    np.maximum.at(most, search.owners, counts)
    np.minimum.at(closest, search.owners, squares)
    return most, np.sqrt(closest)


def _nothing_counted(batch: Batch, definition: MBTRDefinition, term: Term) -> TermCounts:
    """Return counts of zero, with a row for every channel that a structure holds all elements of."""
    held = present_channels(batch.element_counts(len(definition.elements)) > 0, term.k)
    return TermCounts(
        rows=np.where(held, np.cumsum(held.ravel()).reshape(held.shape) - 1, -1),
        moments=np.zeros((int(held.sum()), len(panels_of(term).middle), N_MOMENTS)),
        lost=np.zeros(batch.n_structures),
    )


def _count_atoms(batch: Batch, definition: MBTRDefinition, term: Term) -> TermCounts:
    """Count k = 1: every element's atoms at its atomic number."""
    found = _nothing_counted(batch, definition, term)
    counts = batch.element_counts(len(definition.elements))
    zero = np.zeros(1, dtype=np.int64)
    for element, z in enumerate(definition.numbers):
        unit = np.zeros((1, *found.moments.shape[1:]))
        missed = deposit(unit, zero, zero, np.array([float(z)]), np.ones(1), 1, panels_of(term))
        owners = counts[:, element] > 0
        found.moments[found.rows[owners, element]] = counts[owners, element][:, None, None] * unit[0]
        found.lost[:] += counts[:, element] * missed
    return found


def _count_tuples(
    batch: Batch, search: Search, definition: MBTRDefinition, term: Term, reach: Reach, threads: int
) -> TermCounts:
    """Count k = 2, 3 or 4 by the compiled kernels, within what search_range returned."""
    found = _nothing_counted(batch, definition, term)
    atoms, settings = (batch.species, search.owners), (term_codes(term, len(definition.elements)), panels_of(term))
    output = (found.rows, found.moments, found.lost)

    def work(a: int, b: int, stopped: Flag) -> None:
        part = int(batch.offsets[a]), int(batch.offsets[b])
        for some in find_neighbors(search, reach[0], *part, stopped, whole=term.k == 4):
            _KERNELS[term.k](some, some.most, *atoms, *settings, *output, stopped)

    in_threads(work, batch.n_atoms * (1.0 + reach[1]) ** (term.k - 1.0), threads)
    return found


def gradient_of(batch: Batch, definition: MBTRDefinition, sigma: Mapping[str, float] | None = None) -> Gradient:
    """Return features and derivatives, at some other widths by term label, of the only structure of a batch."""
    for term in definition.terms:
        if term.k > 3:
            raise InvalidSettingError(f"gradients exist for k = 1, 2, 3, found {term.label} with k = {term.k}")
    counts = count_batch(batch, definition, n_threads=1)
    widths = counts.widths(sigma)
    n_atoms = len(batch.species)
    slopes = np.zeros((3 * n_atoms + 9, definition.n_features))
    for term, term_counts in zip(definition.terms, counts.terms, strict=True):
        if term.k == 1:
            continue  # no position in it
        raw = _moment_slopes(batch, definition, term) @ broadening_matrix(term, widths[term.label])
        block = counts.block(term, term_counts, widths[term.label])[0]
        scaled = _normalized_slopes(counts.correlated(raw, term), block, term, counts)
        slopes[:, definition.slices[term.label]] = term.factor * scaled.reshape(len(slopes), -1)
    return Gradient(
        features=counts.features(sigma)[0],
        positions=slopes[: 3 * n_atoms].reshape(n_atoms, 3, -1),
        strain=slopes[3 * n_atoms :].reshape(3, 3, -1),
    )


def _normalized_slopes(
    slopes: NDArray[np.float64], block: NDArray[np.float64], term: Term, counts: Counts
) -> NDArray[np.float64]:
    """Return derivatives (n_dof, n_channels, n_x) of normalized features from those, and the values, before normalization."""
    if counts.definition.normalization == "l2":
        square = float(np.sum(block**2))
        if square == 0.0:
            return np.zeros_like(slopes)
        along = np.tensordot(slopes, block, axes=2) / square
        return np.asarray((slopes - along[:, None, None] * block) / math.sqrt(square))
    factors = counts.channel_factors(term)[0]
    scaled = slopes * factors[:, None]
    if counts.definition.normalization == "valle_oganov":
        scaled[-9::4] += block * factors[:, None]  # d ln V / d e_ab = delta_ab
    return np.asarray(scaled)


def _moment_slopes(batch: Batch, definition: MBTRDefinition, term: Term) -> NDArray[np.float64]:
    """Return the derivatives of the moments of one term, shape (n_dof, n_channels, n_panels * N_MOMENTS)."""
    panels = panels_of(term)
    slopes = np.zeros((3 * len(batch.species) + 9, definition.n_channels(term), len(panels.middle), N_MOMENTS))
    search = searched(batch)
    radii, most = search_range(batch, term, closest_distances(batch, search=search), search=search)
    settings = (term_codes(term, len(definition.elements)), panels)

    def work(_a: int, _b: int, stopped: Flag) -> None:
        for found in find_neighbors(search, radii, 0, len(batch.species), stopped):
            _SLOPE_KERNELS[term.k](found, found.most, batch.species, *settings, slopes, stopped)

    in_threads(work, 100.0 * batch.n_atoms * (1.0 + most) ** (term.k - 1.0), 1)
    return slopes.reshape(*slopes.shape[:2], -1)
