"""The ground-state convex hull over atomic fractions, of any number of elements, and pymatgen's phase diagram.

A composition is the atomic fractions of the elements after the first, an array (n, k): k = 1 for an alloy of two elements, where
(n,) is taken as well. Energies are in eV/atom. A hull distance is measured along the energy axis: zero on the hull, positive above
it, negative for a point that would lower it. For k = 1 the hull is found by Andrew's monotone chain after one sort; above by qhull
(Barber, Dobkin & Huhdanpaa, ACM Trans. Math. Softw. 22, 469 (1996)). This is the only module that knows pymatgen's
`PhaseDiagram`, which tests hold equal to these hulls.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hullscout.errors import InvalidSettingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray
    from pymatgen.analysis.phase_diagram import PhaseDiagram
    from pymatgen.entries import Entry

    Floats = NDArray[np.float64]
    Indices = NDArray[np.intp]

VERTEX_TOLERANCE_EV_PER_ATOM = 1e-9
"""A point is a vertex when it lies below the line through its neighbours by more than this: far below any error of DFT, and above
the rounding of energies of some thousand eV per cell."""
MAX_UNCOMPILED = 20_000
"""Points of an alloy of two elements up to which their hull is found without compiled code, for which numba would be loaded."""
FRACTION_TOLERANCE = 1e-9
"""Fractions may be outside of the hull by so much: the rounding of a quotient of two numbers of atoms."""
# Facets over less than this part of the fractions hold no composition: what rounding makes of points on one edge.
MIN_VOLUME = 1e-13
# Weights of compositions in facets that are looked at together: 16 MB.
MAX_WEIGHTS = 2_000_000


class Decomposition(NamedTuple):
    """The phases that compositions fall apart into, (n, k + 1) places among the vertices of the hull, and how much of each.

    Amounts (n, k + 1) are shares of the atoms: zero where a phase is not needed, and together one.
    """

    vertices: Indices
    amounts: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Hull:
    """A lower convex hull. `lower_hull` makes one.

    Attributes:
        fractions: (m, k) atomic fractions of the vertices; ascending for k = 1.
        energy_ev_per_atom: (m,) their energies.
        indices: (m,) where the vertices stand in the points that the hull was made from.
        facets: (f, k + 1) vertices of each simplex of the hull.
    """

    fractions: Floats
    energy_ev_per_atom: Floats
    indices: Indices
    facets: Indices = field(repr=False)

    @property
    def x(self) -> Floats:
        """(m,) atomic fraction of the second element of two; refused where there are more."""
        n_elements = self.fractions.shape[1] + 1
        if n_elements != 2:
            raise InvalidSettingError(f"Expected a hull of two elements, found one of {n_elements}. Use fractions.")
        return self.fractions[:, 0]

    def energy_at(self, fractions: ArrayLike) -> Floats:
        """(n,) energies of the hull in eV/atom, linear on each facet, at compositions (n, k), or any shape (...) for k = 1.

        Raises:
            InvalidSettingError: A composition lies outside of the hull, where nothing is known.
        """
        at = self._checked(fractions)
        if self.fractions.shape[1] == 1:
            return np.asarray(np.interp(at, self.fractions[:, 0], self.energy_ev_per_atom))
        # A convex function is the largest of the planes that touch it.
        return np.asarray((_with_ones(at) @ self.planes.T).max(axis=1))

    def distance(self, fractions: ArrayLike, energy_ev_per_atom: ArrayLike) -> Floats:
        """Height in eV/atom of points above the hull; negative for points below it."""
        return np.asarray(energy_ev_per_atom, dtype=np.float64) - self.energy_at(fractions)

    def decomposition(self, fractions: ArrayLike) -> Decomposition:
        """The phases that compositions (n, k), or (n,) for k = 1, fall apart into: the lowest in energy, on the hull.

        Where several facets lie in one plane there is a choice between equals, and one of them is given.

        Raises:
            InvalidSettingError: A composition lies outside of the hull, where nothing is known.

        >>> hull = lower_hull([0.0, 0.5, 1.0], [0.0, -0.1, 0.0])
        >>> vertices, amounts = hull.decomposition([0.25])
        >>> vertices.tolist(), amounts.tolist()
        ([[0, 1]], [[0.5, 0.5]])
        """
        at, n_phases = self._checked(fractions), self.fractions.shape[1] + 1
        at = at.reshape(-1, n_phases - 1)
        if not self.facets.size:  # one composition alone
            return Decomposition(np.zeros((len(at), n_phases), dtype=np.intp), np.eye(n_phases)[np.zeros(len(at), int)])
        inverse = np.linalg.inv(_with_ones(self.fractions)[self.facets])
        columns = inverse.transpose(1, 0, 2).reshape(n_phases, -1)
        vertices, amounts = np.empty((len(at), n_phases), dtype=np.intp), np.empty((len(at), n_phases))
        n_together = max(1, MAX_WEIGHTS // columns.shape[1])
        for start in range(0, len(at), n_together):
            some = at[start : start + n_together]
            weights = (_with_ones(some) @ columns).reshape(len(some), *self.facets.shape)
            holding = weights.min(axis=2).argmax(axis=1)
            vertices[start : start + n_together] = self.facets[holding]
            amounts[start : start + n_together] = weights[np.arange(len(some)), holding]
        amounts[amounts < FRACTION_TOLERANCE] = 0.0
        return Decomposition(vertices, amounts / amounts.sum(axis=1, keepdims=True))

    @cached_property
    def planes(self) -> Floats:
        """(f, k + 1) plane of each facet: slopes by the k fractions, eV/atom, and the energy where they are all zero."""
        return _planes(self.fractions, self.energy_ev_per_atom, self.facets)

    @cached_property
    def _walls(self) -> Floats:
        """(b, k + 1) planes that bound the compositions, k > 1: positive outside."""
        from scipy.spatial import ConvexHull  # noqa: PLC0415  slow to import

        return np.asarray(ConvexHull(self.fractions).equations)

    def _checked(self, fractions: ArrayLike) -> Floats:
        """Compositions (n, k), or any shape (...) for k = 1, that all lie on the hull."""
        at, k = np.asarray(fractions, dtype=np.float64), self.fractions.shape[1]
        if (at.ndim == 2 or k > 1) and (at.shape[-1:] != (k,) or at.ndim > 2):
            raise InvalidSettingError(
                f"Expected compositions (n, {k}) for a hull of {k + 1} elements, found {at.shape=}."
            )
        if k > 1:
            at = np.atleast_2d(at)
            outside = at[~(_with_ones(at) @ self._walls.T <= FRACTION_TOLERANCE).all(axis=1)]  # also what is no number
            if len(outside):
                raise InvalidSettingError(
                    f"Expected atomic fractions on the hull, found {outside[0].tolist()}, which lie outside of it."
                )
            return at
        at = at[:, 0] if at.ndim == 2 else at
        x = self.fractions[:, 0]
        outside = at[~((at >= x[0] - FRACTION_TOLERANCE) & (at <= x[-1] + FRACTION_TOLERANCE))]
        if outside.size:
            raise InvalidSettingError(
                f"Expected atomic fractions from {x[0]:g} to {x[-1]:g}, where the hull is, found {outside[0]:g}."
            )
        return at


def _planes(fractions: Floats, energies: Floats, facets: Indices) -> Floats:
    """(f, k + 1) planes through the vertices of facets."""
    return np.asarray(np.linalg.solve(_with_ones(fractions)[facets], energies[facets][:, :, None])[:, :, 0])


def _with_ones(fractions: Floats) -> Floats:
    """(n, k + 1) compositions and a column of ones."""
    return np.concatenate([fractions, np.ones((len(fractions), 1))], axis=1)


def lower_hull(fractions: ArrayLike, energy_ev_per_atom: ArrayLike) -> Hull:
    """Return the lower convex hull of points: compositions (n,) or (n, k), energies (n,) relative to anything linear in them.

    Points on a tie line and not at its ends are no vertices; of equal points the first one is.

    Raises:
        InvalidSettingError: The lengths differ, there is no point, a value is not finite, or, for k > 1, the compositions do not
            span the fractions.

    >>> hull = lower_hull([0.0, 0.5, 0.5, 1.0], [0.0, -0.1, 0.2, 0.0])
    >>> hull.indices.tolist(), float(hull.energy_at(0.25))
    ([0, 1, 3], -0.05)
    """
    at, es = np.asarray(fractions, dtype=np.float64), np.asarray(energy_ev_per_atom, dtype=np.float64)
    at = at[:, None] if at.ndim == 1 else at
    if at.ndim != 2 or es.shape != at.shape[:1] or at.size == 0:
        raise InvalidSettingError(
            f"A hull needs as many energies as compositions, at least one: found {at.shape=}, {es.shape=}."
        )
    if not (np.isfinite(at).all() and np.isfinite(es).all()):
        raise InvalidSettingError("A hull needs finite compositions and energies; leave out what is not known.")
    if at.shape[1] > 1:
        indices, facets = _qhull(at, es)
    else:
        indices = _chain(at[:, 0], es)
        facets = np.stack([np.arange(indices.size - 1), np.arange(1, indices.size)], axis=1)
    return Hull(fractions=at[indices], energy_ev_per_atom=es[indices], indices=indices, facets=facets)


def _chain(x: Floats, energies: Floats) -> Indices:
    """Indices of the vertices of the lower hull of points of one fraction, by ascending x."""
    if x.size > MAX_UNCOMPILED:
        from hullscout.hull_kernels import chain_of  # noqa: PLC0415  loads numba

        order = np.argsort(x, kind="stable")
        chain = np.empty(x.size, dtype=np.int64)
        n = chain_of(x[order], energies[order], VERTEX_TOLERANCE_EV_PER_ATOM, chain)
        return np.asarray(order[chain[:n]], dtype=np.intp)
    order = np.lexsort((np.arange(x.size), energies, x))
    lowest = order[np.concatenate(([True], np.diff(x[order]) > 0))]
    kept: list[tuple[float, float, int]] = []
    for px, pe, index in zip(x[lowest].tolist(), energies[lowest].tolist(), lowest.tolist(), strict=True):
        while len(kept) > 1:
            (ax, ae, _), (bx, be, _) = kept[-2:]
            if ae + (pe - ae) * (bx - ax) / (px - ax) - be > VERTEX_TOLERANCE_EV_PER_ATOM:
                break
            kept.pop()
        kept.append((px, pe, index))
    return np.array([index for *_, index in kept], dtype=np.intp)


def _qhull(fractions: Floats, energies: Floats) -> tuple[Indices, Indices]:
    """Indices of the vertices, ascending, and facets of the lower hull of points of several fractions.

    What lies within `VERTEX_TOLERANCE_EV_PER_ATOM` of the hull of all others is no vertex. It takes a hull without it to tell, but
    for vertices that a plane tells apart: the mean of their facets' planes, where all others lie above it by more.
    """
    ordered = np.lexsort((np.arange(energies.size), energies, *fractions.T))
    is_new = np.concatenate(([True], (np.diff(fractions[ordered], axis=0) != 0).any(axis=1)))
    kept, facets = _lower_facets(fractions, energies, ordered[is_new])
    for vertex in kept[_doubtful(fractions[kept], energies[kept], facets)].tolist():
        others, without = _lower_facets(fractions, energies, kept[kept != vertex])
        hull = Hull(fractions=fractions[others], energy_ev_per_atom=energies[others], indices=others, facets=without)
        if hull.distance(fractions[[vertex]], energies[vertex])[0] >= -VERTEX_TOLERANCE_EV_PER_ATOM:
            kept, facets = others, without
    return kept, facets


def _doubtful(fractions: Floats, energies: Floats, facets: Indices) -> Indices:
    """Places of the vertices that the others may replace: none that bounds the compositions, nor that a plane tells apart."""
    from scipy.spatial import ConvexHull  # noqa: PLC0415  slow to import

    points, planes, doubtful = _with_ones(fractions), _planes(fractions, energies, facets), []
    for place in np.setdiff1d(np.arange(energies.size), ConvexHull(fractions).vertices).tolist():
        plane = planes[(facets == place).any(axis=1)].mean(axis=0)
        above = np.delete(energies - points @ plane, place)
        if above.min() <= VERTEX_TOLERANCE_EV_PER_ATOM:
            doubtful.append(place)
    return np.array(doubtful, dtype=np.intp)


def _lower_facets(fractions: Floats, energies: Floats, among: Indices) -> tuple[Indices, Indices]:
    """Vertices, ascending, and facets of the lower hull of the points `among` all, as qhull finds them.

    A point far above the middle makes the body whole where all points lie in one plane; its facets are no part of the lower hull.
    """
    from scipy.spatial import ConvexHull, QhullError  # noqa: PLC0415  slow to import

    # Energies measured from a plane through the points, so that what counts is not lost in their size.
    plane = _with_ones(fractions[among])
    heights = energies[among] - plane @ np.linalg.lstsq(plane, energies[among], rcond=None)[0]
    apex = np.append(fractions[among].mean(axis=0), heights.max() + 1.0 + np.ptp(heights))
    points = np.vstack([np.column_stack([fractions[among], heights]), apex])
    try:
        body = ConvexHull(points)
    except QhullError as error:
        raise InvalidSettingError(
            f"Expected compositions that span {fractions.shape[1]} fractions, found {among.size} that do not."
        ) from error
    is_lower = (body.equations[:, -2] < -FRACTION_TOLERANCE) & (body.simplices != among.size).all(axis=1)
    simplices = among[body.simplices[is_lower]]
    simplices = simplices[np.abs(np.linalg.det(_with_ones(fractions)[simplices])) > MIN_VOLUME]
    indices, facets = np.unique(simplices, return_inverse=True)
    return indices, np.sort(facets.reshape(-1, fractions.shape[1] + 1), axis=1)


def hull_error(found: Hull, true: Hull) -> float:
    """Return the largest height in eV/atom of the found hull above the true one over all compositions.

    On a facet of the true hull that is linear and the found one convex; so is their difference, which is largest at a corner of
    the facet. All compositions lie on facets: the largest difference of all lies at a vertex of the true hull, for any number of
    elements (for k = 1 the vertices of both are looked at). Zero when the found hull is right.
    """
    at = np.union1d(found.x, true.x) if true.fractions.shape[1] == 1 else true.fractions
    return float(np.max(np.maximum(found.energy_at(at) - true.energy_at(at), 0.0)))


def of_all_elements(fractions: Floats) -> Floats:
    """(n, k + 1) atomic fractions of all elements, from those of the elements after the first, (n, k), or (n,) of two."""
    others = fractions[:, None] if fractions.ndim == 1 else fractions
    first = 1.0 - others.sum(axis=1)
    return np.column_stack([np.where(np.abs(first) > FRACTION_TOLERANCE, first, 0.0), others])


def pure(fractions: Floats) -> tuple[Indices, ...]:
    """Indices of the structures of each pure element, by fractions (n, k) of the elements after the first."""
    others = [np.flatnonzero(fractions[:, j] == 1.0) for j in range(fractions.shape[1])]
    return (np.flatnonzero((fractions == 0.0).all(axis=1)), *others)


def systems(fractions: Floats) -> tuple[Indices, ...]:
    """Indices of the compounds in parts: those of each two elements, and those of three or more together; none is empty."""
    is_held = of_all_elements(fractions) > 0.0
    n_held, n_elements = is_held.sum(axis=1), is_held.shape[1]
    pairs = [
        np.flatnonzero((n_held == 2) & is_held[:, [a, b]].all(axis=1)) for a, b in combinations(range(n_elements), 2)
    ]
    return tuple(those for those in (*pairs, np.flatnonzero(n_held > 2)) if those.size)


def end_energies(fractions: Floats, energy_ev_per_atom: Floats) -> Floats:
    """(k + 1,) energies in eV/atom of the lowest structures of the pure elements, all of which are among fractions (n, k)."""
    return np.array([energy_ev_per_atom[indices].min() for indices in pure(fractions)])


def formation_energy(fractions: ArrayLike, energy_ev_per_atom: ArrayLike, *, ends_ev_per_atom: ArrayLike) -> Floats:
    """(n,) energies in eV/atom relative to the pure elements' (k + 1,), see `end_energies`: e - (1 - x) e_A - x e_B for two."""
    at = np.asarray(fractions, dtype=np.float64)
    columns = [at] if at.ndim == 1 else list(at.T)
    first, *others = np.asarray(ends_ev_per_atom, dtype=np.float64)
    formation = np.asarray(energy_ev_per_atom, dtype=np.float64) - (1.0 - sum(columns)) * first
    for x, end in zip(columns, others, strict=True):
        formation = formation - x * end
    return np.asarray(formation)


def phase_diagram(
    elements: Sequence[str], counts: Sequence[Sequence[int]], energies_ev: Sequence[float], ids: Sequence[str]
) -> PhaseDiagram:
    """Return pymatgen's `PhaseDiagram` of entries: atoms of each element, total energy in eV and `entry_id` of each."""
    from pymatgen.analysis.phase_diagram import PDEntry  # noqa: PLC0415  slow to import
    from pymatgen.core import Composition  # noqa: PLC0415

    entries = []
    for n_atoms, energy, entry_id in zip(counts, energies_ev, ids, strict=True):
        entries.append(PDEntry(Composition(dict(zip(elements, n_atoms, strict=True))), energy))
        entries[-1].entry_id = entry_id
    return phase_diagram_of(entries, elements)


def phase_diagram_of(entries: Sequence[Entry], elements: Sequence[str] | None = None) -> PhaseDiagram:
    """Return pymatgen's `PhaseDiagram` of pymatgen's entries, those of all pure elements among them.

    Its elements are in the order that is given, or in pymatgen's.
    """
    from pymatgen.analysis.phase_diagram import PhaseDiagram  # noqa: PLC0415  slow to import
    from pymatgen.core import Element  # noqa: PLC0415

    return PhaseDiagram(entries, elements=None if elements is None else [Element(symbol) for symbol in elements])
