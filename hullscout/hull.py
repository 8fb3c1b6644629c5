"""The ground-state convex hull of a binary alloy: a fast two-dimensional lower hull, and pymatgen's phase diagram.

This is the only module that knows pymatgen's `PhaseDiagram`. The fast hull is for the inner loops; tests hold the two equal.
Everywhere x is the atomic fraction of the second element and energies are in eV/atom. A hull distance is measured along the
energy axis: zero on the hull, positive above it, negative for a point that would lower it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.errors import InvalidSettingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.intp]

# A point belongs to the vertices when it lies below the line through its neighbours by more than this: far below any DFT
# error, and above the rounding of energies of some thousand eV per cell.
VERTEX_TOLERANCE_EV_PER_ATOM = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class LowerHull:
    """A lower convex hull: vertices at strictly increasing x, slopes strictly increasing.

    Attributes:
        x: (m,) atomic fractions of the vertices; the first is 0, the last 1 for a whole phase diagram.
        energy_ev_per_atom: (m,) their energies.
        indices: (m,) where the vertices stand in the points that the hull was made from.
    """

    x: Floats
    energy_ev_per_atom: Floats
    indices: Indices

    def energy_at(self, x: ArrayLike) -> Floats:
        """Energy of the hull in eV/atom at atomic fractions `x`, linear between vertices."""
        return np.asarray(np.interp(np.asarray(x, dtype=np.float64), self.x, self.energy_ev_per_atom))

    def distance(self, x: ArrayLike, energy_ev_per_atom: ArrayLike) -> Floats:
        """Height in eV/atom of points above the hull; negative for points below it."""
        return np.asarray(energy_ev_per_atom, dtype=np.float64) - self.energy_at(x)


def lower_hull(x: ArrayLike, energy_ev_per_atom: ArrayLike) -> LowerHull:
    """Return the lower convex hull of points (x, energy), by Andrew's monotone chain after one sort.

    Points on a tie line and not at its ends are no vertices; of equal points the first one is.

    Args:
        x: (n,) atomic fractions.
        energy_ev_per_atom: (n,) energies; any composition-linear reference gives the same vertices.

    Raises:
        InvalidSettingError: The lengths differ, there is no point, or a value is not finite.

    >>> hull = lower_hull([0.0, 0.5, 0.5, 1.0], [0.0, -0.1, 0.2, 0.0])
    >>> hull.indices.tolist(), float(hull.energy_at(0.25))
    ([0, 1, 3], -0.05)
    """
    xs, es = np.asarray(x, dtype=np.float64), np.asarray(energy_ev_per_atom, dtype=np.float64)
    if xs.ndim != 1 or xs.shape != es.shape or xs.size == 0:
        raise InvalidSettingError(
            f"A hull needs as many energies as compositions, at least one: found {xs.shape=}, {es.shape=}."
        )
    if not (np.isfinite(xs).all() and np.isfinite(es).all()):
        raise InvalidSettingError("A hull needs finite compositions and energies; leave out what is not known.")
    order = np.lexsort((np.arange(xs.size), es, xs))
    first_of_x = np.concatenate(([True], np.diff(xs[order]) > 0))
    lowest = order[first_of_x]
    chain: list[int] = []
    points = list(zip(xs[lowest].tolist(), es[lowest].tolist(), lowest.tolist(), strict=True))
    kept: list[tuple[float, float]] = []
    for px, pe, index in points:
        while len(kept) > 1:
            (ax, ae), (bx, be) = kept[-2], kept[-1]
            if ae + (pe - ae) * (bx - ax) / (px - ax) - be > VERTEX_TOLERANCE_EV_PER_ATOM:
                break
            kept.pop()
            chain.pop()
        kept.append((px, pe))
        chain.append(index)
    indices = np.asarray(chain, dtype=np.intp)
    return LowerHull(x=xs[indices], energy_ev_per_atom=es[indices], indices=indices)


def hull_error(found: LowerHull, true: LowerHull) -> float:
    """Return the largest height in eV/atom of the found hull above the true one over all compositions.

    Both are piecewise linear, so the largest difference lies at a vertex of either. Zero when the found hull is right.
    """
    at = np.union1d(found.x, true.x)
    return float(np.max(np.maximum(found.energy_at(at) - true.energy_at(at), 0.0)))


def formation_energy(x: ArrayLike, energy_ev_per_atom: ArrayLike, *, ends_ev_per_atom: tuple[float, float]) -> Floats:
    """Energy in eV/atom relative to the pure elements: e - (1 - x) e_A - x e_B.

    Args:
        x: (n,) atomic fractions of the second element B.
        energy_ev_per_atom: (n,) total energies per atom.
        ends_ev_per_atom: Energies per atom of the ground states of A and B.
    """
    xs = np.asarray(x, dtype=np.float64)
    at_a, at_b = ends_ev_per_atom
    return np.asarray(energy_ev_per_atom, dtype=np.float64) - (1.0 - xs) * at_a - xs * at_b


def phase_diagram(
    elements: tuple[str, ...], counts: Sequence[tuple[int, int]], energies_ev: Sequence[float], ids: Sequence[str]
) -> Any:
    """Return pymatgen's `PhaseDiagram` of entries with the given ids.

    Args:
        elements: The two elements.
        counts: (n_A, n_B) atoms of each entry.
        energies_ev: Total energy in eV of each entry.
        ids: `entry_id` of each entry.
    """
    from pymatgen.analysis.phase_diagram import PDEntry  # noqa: PLC0415
    from pymatgen.core import Composition  # noqa: PLC0415

    entries = []
    for (n_a, n_b), energy, entry_id in zip(counts, energies_ev, ids, strict=True):
        entry = PDEntry(Composition({elements[0]: n_a, elements[1]: n_b}), energy)
        entry.entry_id = entry_id
        entries.append(entry)
    return phase_diagram_of(entries)


def phase_diagram_of(entries: Sequence[Any]) -> Any:
    """Return pymatgen's `PhaseDiagram` of pymatgen's entries, those of both pure elements among them."""
    from pymatgen.analysis.phase_diagram import PhaseDiagram  # noqa: PLC0415

    return PhaseDiagram(entries)
