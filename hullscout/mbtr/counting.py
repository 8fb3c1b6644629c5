"""The expensive part: from a batch of structures to counts, by compiled kernels on several threads."""

from __future__ import annotations

import itertools
import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, get_args

import numpy as np

from hullscout.errors import InvalidStructureError
from hullscout.mbtr.axis import N_MOMENTS, panels_of
from hullscout.mbtr.chain_kernels import count_chains
from hullscout.mbtr.channels import channel_table, present_channels
from hullscout.mbtr.counts import Counts, TermCounts
from hullscout.mbtr.kernel_arrays import TermCodes
from hullscout.mbtr.kernels import count_angles, count_pairs, deposit
from hullscout.mbtr.neighbor_kernels import survey
from hullscout.mbtr.structures import MIN_DISTANCE, Batch
from hullscout.mbtr.term import GEOMETRIES, Taper, Weighting
from hullscout.mbtr.truncation import search_radii
from hullscout.mbtr.workload import expected_neighbors, refuse_density, refuse_excess

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hullscout.mbtr.recipe import Recipe
    from hullscout.mbtr.term import Term

_SURVEY_RADIUS: Final = 3.0
_KERNELS: Final = {2: count_pairs, 3: count_angles, 4: count_chains}


def count_batch(batch: Batch, recipe: Recipe, *, first: int = 0, n_threads: int | None = None) -> Counts:
    """Count every term of a recipe on a batch.

    Args:
        batch: The structures.
        recipe: What to count.
        first: Number of the first structure, for messages.
        n_threads: Threads, at least 1; None: as many as the process may use.

    Returns:
        The counts.

    Raises:
        InvalidStructureError: Coinciding atoms, a sum that does not converge or meets too many tuples, or a grid that
            misses the structure.
    """
    threads = available_threads() if n_threads is None else n_threads
    closest = closest_distances(batch, first=first, n_threads=threads)
    ranges = {  # of all terms before any of them is counted: what is refused, is refused at once
        term.label: search_range(batch, term, closest, first=first, n_threads=threads)
        for term in recipe.terms
        if term.k > 1
    }
    if recipe.normalization == "valle_oganov" and not np.all(batch.pbc):
        open_one = first + int(np.argmin(np.all(batch.pbc, axis=1)))
        raise InvalidStructureError(
            f"structure {open_one} is not periodic in three directions: valle_oganov needs a volume"
        )
    terms = tuple(
        None
        if term.grid is None
        else _count_atoms(batch, recipe, term)
        if term.k == 1
        else _count_tuples(batch, recipe, term, *ranges[term.label], threads)
        for term in recipe.terms
    )
    volumes = np.where(np.all(batch.pbc, axis=1), np.abs(np.linalg.det(batch.cells)), math.nan)
    counts = Counts(
        recipe=recipe, element_counts=batch.element_counts(len(recipe.elements)), volumes=volumes, terms=terms
    )
    for label, fraction in counts.outside().items():
        if np.any(fraction > recipe.max_outside):
            worst = int(np.argmax(fraction))
            raise InvalidStructureError(
                f"structure {first + worst}: {fraction[worst]:.1%} of the weight of {label} lies outside its grid "
                f"(max_outside = {recipe.max_outside:.1%}): widen the grid"
            )
    return counts


def available_threads() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_threads(work: Callable[[int, int], None], costs: NDArray[np.float64], threads: int) -> None:
    """Run work(start, stop) over contiguous ranges of about equal cost.

    Args:
        work: Releases the interpreter lock; writes only what belongs to its range.
        costs: Relative cost per structure, shape (n,).
        threads: Number of threads.
    """
    n = len(costs)
    if threads == 1 or n <= 1:
        work(0, n)
        return
    cumulative = np.cumsum(costs) + 1e-12 * np.arange(1, n + 1)
    marks = np.linspace(0, cumulative[-1], 8 * threads + 1)[1:-1]
    bounds = np.unique(np.concatenate(([0], np.searchsorted(cumulative, marks), [n]))).tolist()
    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(work, a, b) for a, b in itertools.pairwise(bounds)]:
            future.result()


def term_codes(term: Term, n_elements: int) -> TermCodes:
    """Return a term in the numbers that kernels understand."""
    taper: Taper = "sharp" if term.cutoff is None else term.taper
    return TermCodes(
        geometry=GEOMETRIES[term.k].index(term.geometry),
        weighting=get_args(Weighting).index(term.weighting),
        taper=get_args(Taper).index(taper),
        scale=0.0 if term.scale is None else float(term.scale),
        cutoff=math.inf if term.cutoff is None else float(term.cutoff),
        sharpness=float(term.sharpness),
        n_elements=n_elements,
        channels=channel_table(n_elements, term.k),
    )


def search_range(
    batch: Batch, term: Term, closest: NDArray[np.float64], *, first: int = 0, n_threads: int = 1
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return how far a term reaches in each structure (A), and the largest number of neighbours within.

    Args:
        batch: The structures.
        term: A term of k = 2, 3 or 4.
        closest: A lower bound on the shortest distance in each structure, A, shape (n,).
        first: Number of the first structure, for messages.
        n_threads: Threads.

    Returns:
        Two arrays of shape (n,).

    Raises:
        InvalidStructureError: A sum that does not converge, or that meets too many tuples.
    """
    radii = search_radii(term, batch, closest, first=first)
    refuse_excess(expected_neighbors(batch, radii), radii, term, first=first)
    most = _survey(batch, radii, n_threads)[0]
    refuse_excess(most.astype(np.float64), radii, term, first=first)
    return radii, most


def closest_distances(batch: Batch, *, first: int = 0, n_threads: int = 1) -> NDArray[np.float64]:
    """Return the shortest distance in each structure, or 3 A if it is longer; refuse coinciding atoms."""
    radii = np.full(batch.n_structures, _SURVEY_RADIUS)
    refuse_density(expected_neighbors(batch, radii), _SURVEY_RADIUS, first=first)
    _, closest = _survey(batch, radii, n_threads)
    if np.any(closest < MIN_DISTANCE):
        worst = int(np.argmin(closest))
        raise InvalidStructureError(
            f"structure {first + worst} has coinciding atoms: expected at least {MIN_DISTANCE} A between any two, "
            f"found {closest[worst]:.3g} A"
        )
    return np.minimum(closest, _SURVEY_RADIUS)


def _survey(batch: Batch, radii: NDArray[np.float64], threads: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    most = np.zeros(batch.n_structures, dtype=np.int64)
    closest = np.empty(batch.n_structures)
    arrays = batch.arrays

    def work(start: int, stop: int) -> None:
        survey(start, stop, arrays, radii, most, closest)

    in_threads(work, batch.n_atoms.astype(np.float64) ** 2, threads)
    return most, closest


def _count_atoms(batch: Batch, recipe: Recipe, term: Term) -> TermCounts:
    """Count k = 1: every element's atoms at its atomic number."""
    panels = panels_of(term)
    counts = batch.element_counts(len(recipe.elements))
    held = counts > 0
    rows = np.where(held, np.cumsum(held.ravel()).reshape(held.shape) - 1, -1)
    moments = np.zeros((int(held.sum()), len(panels.middle), N_MOMENTS))
    lost = np.zeros(batch.n_structures)
    zero = np.zeros(1, dtype=np.int64)
    for element, z in enumerate(recipe.numbers):
        unit = np.zeros((1, len(panels.middle), N_MOMENTS))
        missed = deposit(unit, zero, zero, np.array([float(z)]), np.ones(1), 1, panels)
        owners = held[:, element]
        moments[rows[owners, element]] = counts[owners, element][:, None, None] * unit[0]
        lost += counts[:, element] * missed
    return TermCounts(rows=rows, moments=moments, lost=lost)


def _count_tuples(
    batch: Batch, recipe: Recipe, term: Term, radii: NDArray[np.float64], most: NDArray[np.int64], threads: int
) -> TermCounts:
    """Count k = 2, 3 or 4 by the compiled kernels."""
    n_elements = len(recipe.elements)
    held = present_channels(batch.present(n_elements), term.k)
    rows = np.where(held, np.cumsum(held.ravel()).reshape(held.shape) - 1, -1)
    panels = panels_of(term)
    moments = np.zeros((int(held.sum()), len(panels.middle), N_MOMENTS))
    lost = np.zeros(batch.n_structures)
    codes = term_codes(term, n_elements)
    kernel = _KERNELS[term.k]
    arrays = batch.arrays

    def work(start: int, stop: int) -> None:
        kernel(start, stop, arrays, radii, most, codes, panels, rows, moments, lost)

    in_threads(work, batch.n_atoms * (1.0 + most) ** (term.k - 1.0), threads)
    return TermCounts(rows=rows, moments=moments, lost=lost)
