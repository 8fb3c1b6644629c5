"""The parent lattice of a crystal: fcc, bcc or hcp sites under a strain and displacements, whatever the elements on them.

Knows cells and positions only. Every way to lay as many sites into the cell as it holds atoms is looked at: a lattice of sites is
one of which the cell is a supercell, and there are finitely many. The ideal lattice that is nearest, in strain and displacements
together, wins; so a tetragonal cell on Bain's path from fcc to bcc is fcc where c/a, of the cube of fcc, is above 2^(-1/4) = 0.84,
and bcc below. What is far from all three is of none.

Source: Hart & Forcade, Phys. Rev. B 77, 224115 (2008), for supercells by their Hermite normal forms.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from hullscout.pool import Candidate

    Floats = NDArray[np.float64]
    Lattice = Literal["fcc", "bcc", "hcp"]

__all__ = ["ParentSites", "parent_sites"]

MAX_STRAIN = 0.2
"""Norm of the logarithmic strain, volume apart, up to which a lattice is one of the three; fcc and bcc are 0.28 apart."""
MAX_DISPLACEMENT = 0.15
"""Root mean square distance of atoms from the sites, in nearest-neighbour distances, up to which they are on them."""
MAX_SITES = 200
"""In a cell that is looked at; the ways to lay sites into it grow with the square of their number."""
# The longest edge of a reduced cell of sites, over the cube root of its volume: 1.12 in fcc, 1.46 in hcp, and what a strain adds.
_LONGEST_EDGE = {"fcc": 1.6, "bcc": 1.6, "hcp": 2.0}
_CELLS: dict[Lattice, tuple[tuple[float, ...], ...]] = {
    "fcc": ((0, 1, 1), (1, 0, 1), (1, 1, 0)),
    "bcc": ((-1, 1, 1), (1, -1, 1), (1, 1, -1)),
    "hcp": ((1, 0, 0), (-0.5, 0.75**0.5, 0), (0, 0, (8 / 3) ** 0.5)),
}
_SECOND_OF_HCP = (1 / 3, 2 / 3, 1 / 2)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ParentSites:
    """The sites of an ideal lattice that the atoms of a crystal belong to.

    Attributes:
        lattice: Which.
        cell: (3, 3) the crystal's cell with the strain taken off, row vectors; turned, and with cells of sites of volume 1.
        positions: (n, 3) the site of each atom in that cell.
        strain: Norm of the logarithmic strain that was taken off, volume apart.
        displacement: Root mean square distance of the atoms from the strained sites, in nearest-neighbour distances.
    """

    lattice: Lattice
    cell: Floats
    positions: Floats
    strain: float
    displacement: float

    @property
    def distance(self) -> float:
        """From the ideal lattice: strain and displacement together."""
        return float(np.hypot(self.strain, self.displacement))


def parent_sites(candidate: Candidate) -> ParentSites | None:
    """The sites of fcc, bcc or hcp that the atoms are nearest to; None where they are on none of these."""
    best = None
    for lattice in _CELLS:
        for found in _matches(candidate, lattice):
            if best is not None and found.strain >= best.distance:  # as all that follow: they come by ascending strain
                break
            if best is None or found.distance < best.distance:
                best = found
    return best


def _matches(candidate: Candidate, lattice: Lattice) -> Iterator[ParentSites]:
    """Ways to lay the sites of one lattice into the cell, one for each atom, within the limits, by ascending strain."""
    from hullscout.lattice import reduce_lattices  # noqa: PLC0415  (late: numba)

    ideal = _ideal(lattice)
    n_cells, rest = divmod(candidate.n_atoms, len(ideal.sites[0]))
    if rest or candidate.n_atoms > MAX_SITES:
        return
    supercells = _supercells(n_cells)
    cells = np.asarray(np.linalg.solve(supercells, np.broadcast_to(candidate.cell, supercells.shape)), np.float64)
    cells, inverses, _ = reduce_lattices(cells, np.ones((len(cells), 3), dtype=np.bool_))
    length = abs(float(np.linalg.det(cells[0]))) ** (1 / 3)
    is_compact = np.linalg.norm(cells, axis=2).max(axis=1) <= _LONGEST_EDGE[lattice] * length
    cells, inverses = cells[is_compact], inverses[is_compact]
    metrics = cells @ cells.transpose(0, 2, 1) / length**2
    # half of what the trace of the squared stretches exceeds 3 by is the square of the logarithmic strain, but for higher orders
    which, shapes = np.nonzero(metrics.reshape(-1, 9) @ ideal.duals.T - 3 < 4 * MAX_STRAIN**2)
    strains = _strains(metrics[which], ideal.cells[shapes])
    nearest = length * float(np.linalg.norm(ideal.cells[0], axis=1).min())
    for place in np.argsort(strains, kind="stable").tolist():
        if strains[place] > MAX_STRAIN:
            return
        cell, inverse, sites = cells[which[place]], inverses[which[place]], ideal.sites[shapes[place]]
        images, taken, distance = _fitted(candidate.positions @ inverse, cell, sites)
        whole = np.rint(candidate.cell @ inverse)
        if distance <= MAX_DISPLACEMENT * nearest and _are_all_filled(images, taken, whole):
            shape = ideal.cells[shapes[place]]
            yield ParentSites(
                lattice=lattice,
                cell=whole @ shape,
                positions=(images + sites[taken]) @ shape,
                strain=float(strains[place]),
                displacement=distance / nearest,
            )


def _fitted(places: Floats, cell: Floats, sites: Floats) -> tuple[Floats, NDArray[np.intp], float]:
    """The nearest site of each atom, of places (n, 3) and sites (b, 3) in units of a cell, the lattice moved to fit on average.

    Returns: (n, 3) which cell, (n,) which of its sites, and the root mean square distance in A.
    """
    every, found = np.arange(len(places)), []
    for first in sites:  # that of the first atom
        origin = places[0] - first
        for _ in range(3):
            away = places[:, None] - origin - sites
            images = np.rint(away)
            away -= images
            squares = ((away @ cell) ** 2).sum(axis=2)
            taken = np.argmin(squares, axis=1)
            origin = origin + away[every, taken].mean(axis=0)
        found.append((images[every, taken], taken, float(squares[every, taken].mean()) ** 0.5))
    return min(found, key=lambda one: one[2])


def _are_all_filled(images: Floats, taken: NDArray[np.intp], whole: Floats) -> bool:
    """Whether no two atoms have the same site, in a supercell given in whole numbers of cells (3, 3)."""
    n_cells = round(abs(float(np.linalg.det(whole))))
    # fractions of the supercell are whole numbers over the number of cells in it
    shares = np.rint(np.linalg.solve(whole.T, images.T).T * n_cells).astype(np.int64) % n_cells
    return len(set(map(tuple, np.column_stack([shares, taken]).tolist()))) == len(images)


def _strains(metrics: Floats, cells: Floats) -> Floats:
    """(n,) norms of the logarithmic strains between cells of sites with metrics (n, 3, 3) and ideal ones (n, 3, 3)."""
    inverses = np.linalg.inv(cells)
    squares = np.linalg.eigvalsh(inverses @ metrics @ inverses.transpose(0, 2, 1))
    return np.asarray(np.linalg.norm(np.log(squares) / 2, axis=1))


class _Ideal(NamedTuple):
    """Every short cell of one ideal lattice, of volume 1, each shape once."""

    cells: Floats  # (v, 3, 3)
    duals: (
        Floats  # (v, 9): their product with a metric is the trace of the squared stretches from the cell to that metric
    )
    sites: Floats  # (v, b, 3) in units of the cell: the corner, and in hcp the second one


@cache
def _ideal(lattice: Lattice) -> _Ideal:
    cell = np.array(_CELLS[lattice], dtype=np.float64)
    cell /= np.linalg.det(cell) ** (1 / 3)
    turns = np.array(list(itertools.product((-1, 0, 1), repeat=9)), dtype=np.float64).reshape(-1, 3, 3)
    turns = turns[np.rint(np.linalg.det(turns)) == 1]
    cells = turns @ cell
    metrics = (cells @ cells.transpose(0, 2, 1)).reshape(-1, 9)
    _, first = np.unique(metrics.round(6), axis=0, return_index=True)
    inverses = np.linalg.inv(cells[first])
    sites = np.zeros((len(first), 2 if lattice == "hcp" else 1, 3))
    if lattice == "hcp":
        sites[:, 1] = np.array(_SECOND_OF_HCP) @ np.linalg.inv(turns[first])
    return _Ideal(cells[first], (inverses.transpose(0, 2, 1) @ inverses).reshape(-1, 9), sites)


@cache
def _supercells(n_cells: int) -> Floats:
    """(m, 3, 3) whole numbers: every way to make a cell out of so many of a lattice, whatever vectors that lattice is given in."""
    of = [n for n in range(1, n_cells + 1) if n_cells % n == 0]
    return np.array(
        [
            [[a, 0, 0], [d, b, 0], [e, f, c]]
            for a in of
            for b in of
            if n_cells % (a * b) == 0
            for c in [n_cells // (a * b)]
            for d in range(b)
            for e in range(c)
            for f in range(c)
        ],
        dtype=np.float64,
    )
