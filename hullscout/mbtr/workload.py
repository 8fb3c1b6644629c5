"""How many neighbours and tuples a sum would meet, known before it is begun, and what is too much.

A cell in the wrong unit or a cutoff with one zero too many would otherwise run for days or fill the memory.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from hullscout.errors import InvalidStructureError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hullscout.mbtr.structures import Batch
    from hullscout.mbtr.term import Term

MAX_NEIGHBORS: Final = 10_000_000
"""Neighbours of one atom; they are held in memory, some 60 bytes each."""
MAX_TUPLES: Final = 200_000_000
"""Tuples of one atom: some seconds of work."""
_BALL: Final = (0.0, 2.0, math.pi, 4 / 3 * math.pi)
"""Length, area and volume of a ball of radius 1 in 1, 2, 3 dimensions."""


def expected_neighbors(batch: Batch, radii: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return about how many atoms lie within a radius of an atom, from the density alone.

    Slabs and chains count where the radius exceeds their whole width, as if it were shorter by so much as to err on the
    low side. Finite structures count where the radius is infinite.

    Args:
        batch: The structures.
        radii: A, shape (n,).

    Returns:
        Numbers of neighbours, shape (n,).
    """
    directions = np.sum(batch.pbc, axis=1)
    finite = directions == 0
    reach = np.sqrt(np.maximum(np.where(finite, 0.0, radii) ** 2 - (2 * batch.half_widths()) ** 2, 0.0))
    with np.errstate(divide="ignore", over="ignore"):  # a cell far too small: infinitely many
        within = batch.n_atoms / batch.contents() * np.array(_BALL)[directions] * reach**directions
    return np.where(finite, np.where(np.isinf(radii), batch.n_atoms - 1.0, 0.0), within)


def refuse_excess(neighbors: NDArray[np.float64], radii: NDArray[np.float64], term: Term, *, first: int = 0) -> None:
    """Refuse a term that meets too many neighbours or tuples.

    Args:
        neighbors: Neighbours of an atom in each structure, expected or found, shape (n,).
        radii: How far the term reaches, A, shape (n,).
        term: The term, of k = 2, 3 or 4.
        first: Number of the first structure, for messages.

    Raises:
        InvalidStructureError: More than MAX_NEIGHBORS or MAX_TUPLES of one atom.
    """
    tuples = {2: neighbors, 3: 0.5 * neighbors**2, 4: neighbors**3}[term.k]
    excess = (neighbors > MAX_NEIGHBORS) | (tuples > MAX_TUPLES)
    if not np.any(excess):
        return
    worst = int(np.argmax(np.where(excess, tuples, 0.0)))
    remedy = "shorten its cutoff" if term.cutoff is not None else "give it a cutoff"
    if term.cutoff is None and math.isfinite(radii[worst]):
        remedy = f"give it a cutoff or an accuracy looser than {term.accuracy:g}"
    raise InvalidStructureError(
        f"structure {first + worst}: {term.label} (k = {term.k}) reaches {radii[worst]:.4g} A, to about "
        f"{neighbors[worst]:.2g} neighbours and {tuples[worst]:.2g} tuples per atom: expected at most "
        f"{MAX_NEIGHBORS:.0e} and {MAX_TUPLES:.0e}. See that lengths are in Angstrom, or {remedy}"
    )


def refuse_density(neighbors: NDArray[np.float64], radius: float, *, first: int = 0) -> None:
    """Refuse structures so dense that not even their shortest distance can be looked for.

    Args:
        neighbors: Expected neighbours of an atom in each structure, shape (n,).
        radius: The radius they are expected in, A.
        first: Number of the first structure, for messages.

    Raises:
        InvalidStructureError: More than MAX_NEIGHBORS of one atom.
    """
    if np.any(neighbors > MAX_NEIGHBORS):
        worst = int(np.argmax(neighbors))
        raise InvalidStructureError(
            f"structure {first + worst} has coinciding atoms or a singular cell: its density puts about "
            f"{neighbors[worst]:.2g} atoms within {radius:g} A of each other, expected fewer than {MAX_NEIGHBORS:.0e}: "
            "are lengths in Angstrom?"
        )
