"""The ground-state convex hull over atomic fractions, of any number of elements, and pymatgen's phase diagram.

A composition is the atomic fractions of the elements after the first, an array (n, k): k = 1 for an alloy of two elements, where
(n,) is taken as well. Energies are in eV/atom. A hull distance is measured along the energy axis: zero on the hull, positive above
it, negative for a point that would lower it. For k = 1 the hull is found by Andrew's monotone chain after one sort; above by qhull
(Barber, Dobkin & Huhdanpaa, ACM Trans. Math. Softw. 22, 469 (1996)). This is the only module that knows pymatgen's
`PhaseDiagram`, which tests hold equal to these hulls.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

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
FRACTION_TOLERANCE = 1e-9
"""Fractions may be outside of the hull by so much: the rounding of a quotient of two numbers of atoms."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
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
        at, k = np.asarray(fractions, dtype=np.float64), self.fractions.shape[1]
        if (at.ndim == 2 or k > 1) and (at.shape[-1:] != (k,) or at.ndim > 2):
            raise InvalidSettingError(
                f"Expected compositions (n, {k}) for a hull of {k + 1} elements, found {at.shape=}."
            )
        if k > 1:
            return self._energy_on_facets(at)
        at = at[:, 0] if at.ndim == 2 and at.shape[1] == 1 else at
        x = self.fractions[:, 0]
        outside = at[~((at >= x[0] - FRACTION_TOLERANCE) & (at <= x[-1] + FRACTION_TOLERANCE))]
        if outside.size:
            raise InvalidSettingError(
                f"Expected atomic fractions from {x[0]:g} to {x[-1]:g}, where the hull is, found {outside[0]:g}."
            )
        return np.asarray(np.interp(at, x, self.energy_ev_per_atom))

    def distance(self, fractions: ArrayLike, energy_ev_per_atom: ArrayLike) -> Floats:
        """Height in eV/atom of points above the hull; negative for points below it."""
        return np.asarray(energy_ev_per_atom, dtype=np.float64) - self.energy_at(fractions)

    def _energy_on_facets(self, at: Floats) -> Floats:
        """(n,) by barycentric coordinates (n, f, k + 1) in the facet that holds each composition."""
        at = np.atleast_2d(at)
        corners = np.concatenate([self.fractions, np.ones((len(self.fractions), 1))], axis=1)[self.facets]
        inside_out = np.linalg.inv(corners)
        columns = inside_out.transpose(1, 0, 2).reshape(at.shape[1] + 1, -1)
        weights = np.concatenate([at, np.ones((len(at), 1))], axis=1) @ columns
        weights = weights.reshape(len(at), *self.facets.shape)
        depth = weights.min(axis=2)
        holding = depth.argmax(axis=1)
        rows = np.arange(len(at))
        is_outside = ~(depth[rows, holding] >= -FRACTION_TOLERANCE)  # also what is no number
        if is_outside.any():
            raise InvalidSettingError(
                f"Expected atomic fractions on the hull, found {at[is_outside][0].tolist()}, which lie outside of it."
            )
        return np.asarray((weights[rows, holding] * self.energy_ev_per_atom[self.facets[holding]]).sum(axis=1))


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

    A point far above the middle makes the body whole where all points lie in one plane; its facets are no part of the lower hull.
    """
    from scipy.spatial import ConvexHull, QhullError  # noqa: PLC0415  slow to import

    _, first = np.unique(np.column_stack([fractions, energies]), axis=0, return_index=True)
    ordered = first[np.lexsort((first, energies[first], *fractions[first].T))]
    is_new = np.concatenate(([True], (np.diff(fractions[ordered], axis=0) != 0).any(axis=1)))
    lowest = ordered[is_new]
    # Energies measured from a plane through the points, so that what counts is not lost in their size.
    plane = np.concatenate([fractions[lowest], np.ones((lowest.size, 1))], axis=1)
    heights = energies[lowest] - plane @ np.linalg.lstsq(plane, energies[lowest], rcond=None)[0]
    apex = np.append(fractions[lowest].mean(axis=0), heights.max() + 1.0 + np.ptp(heights))
    points = np.vstack([np.column_stack([fractions[lowest], heights]), apex])
    try:
        body = ConvexHull(points, qhull_options="Qt")
    except QhullError as error:
        raise InvalidSettingError(
            f"Expected compositions that span {fractions.shape[1]} fractions, found {lowest.size} that do not."
        ) from error
    is_lower = (body.equations[:, -2] < -FRACTION_TOLERANCE) & (body.simplices != lowest.size).all(axis=1)
    indices, facets = np.unique(lowest[body.simplices[is_lower]], return_inverse=True)
    return indices, np.sort(facets.reshape(-1, fractions.shape[1] + 1), axis=1)


def hull_error(found: Hull, true: Hull) -> float:
    """Return the largest height in eV/atom of the found hull above the true one over all compositions.

    Both are linear on facets and convex, so the largest difference lies at a vertex of the true one (for k = 1 those of both are
    looked at). Zero when the found hull is right.
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
    return phase_diagram_of(entries)


def phase_diagram_of(entries: Sequence[Entry]) -> PhaseDiagram:
    """Return pymatgen's `PhaseDiagram` of pymatgen's entries, those of all pure elements among them."""
    from pymatgen.analysis.phase_diagram import PhaseDiagram  # noqa: PLC0415  slow to import

    return PhaseDiagram(entries)
