"""Where each ground state is stable: the region of chemical potentials in which nothing else of the hull is lower.

Potentials are relative to the pure elements, mu_i - mu_i(element) in eV/atom, so that none is above zero. A facet of the hull is a
point among them: the values of its plane at the pure elements, at which its phases coexist. The region of a ground state is the
convex hull of the points of its facets; towards minus infinity of the elements that it does not hold it has no bound.

How sure that is, is read off hulls of the model's samples: the share of them in which a structure is on the hull, and there the
quantiles of how far its region reaches. Source of the idea: Novick et al. (CAL), arXiv 2402.15582.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from hullscout.display import html_table, milli, percent
from hullscout.hull import of_all_elements

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from hullscout.hull import Hull
    from hullscout.selection.belief import Belief
    from hullscout.selection.known import Floats, Known

    Mask = NDArray[np.bool_]


# Potentials that differ by less are those of one point.
SAME_EV_PER_ATOM = 1e-9
LEVELS = (0.025, 0.975)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StabilityRegion:
    """The chemical potentials at which a ground state is stable, relative to the pure elements, eV/atom.

    Attributes:
        formula: Its formula.
        id: Its id.
        corners_ev_per_atom: (c, k + 1) corners of the region; for three elements in order around it.
        is_unbounded: (k + 1,) whether the region goes on to minus infinity of an element: of all that the structure does not hold.
        probability: Share of the model's samples in which the structure is on the hull; None without a model.
        interval_ev_per_atom: (2, k + 1, 2) ends of the 95 % intervals over these samples of what `range_ev_per_atom` says; None
            where there are none.
    """

    formula: str
    id: str
    corners_ev_per_atom: Floats = field(repr=False)
    is_unbounded: Mask = field(repr=False)
    probability: float | None = None
    interval_ev_per_atom: Floats | None = field(default=None, repr=False)

    @property
    def range_ev_per_atom(self) -> Floats:
        """(k + 1, 2) lowest and highest potential of each element."""
        corners = self.corners_ev_per_atom
        return np.stack([np.where(self.is_unbounded, -np.inf, corners.min(axis=0)), corners.max(axis=0)], axis=1)

    def tree(self) -> dict[str, Any]:
        """The region as plain values; see `ChemicalPotentials.trees`."""
        interval = None if self.interval_ev_per_atom is None else self.interval_ev_per_atom.astype(object)
        if interval is not None:
            interval[interval == -np.inf] = None
        return {
            "id": self.id,
            "formula": self.formula,
            "corners_ev_per_atom": self.corners_ev_per_atom.tolist(),
            "is_unbounded": self.is_unbounded.tolist(),
            "probability": self.probability,
            "interval_ev_per_atom": None if interval is None else interval.tolist(),
        }

    @classmethod
    def of_tree(cls, tree: Mapping[str, Any], *, n_elements: int) -> Self:
        """The region that `tree` gave; TypeError, KeyError or ValueError for anything else."""
        corners = np.array(tree["corners_ev_per_atom"], np.float64).reshape(-1, n_elements)
        interval = tree["interval_ev_per_atom"]
        if interval is not None:
            interval = np.array(interval, np.float64).reshape(2, n_elements, 2)
            interval[np.isnan(interval)] = -np.inf
        return cls(
            id=str(tree["id"]),
            formula=str(tree["formula"]),
            corners_ev_per_atom=corners,
            is_unbounded=np.array(tree["is_unbounded"], np.bool_).reshape(n_elements),
            probability=None if tree["probability"] is None else float(tree["probability"]),
            interval_ev_per_atom=interval,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChemicalPotentials:
    """The regions of all ground states, in the order of the hull; a notebook shows them as a table.

    Where compounds are the ends, potentials are of an atom's share of these, and stand for `elements` here.
    """

    elements: tuple[str, ...]
    regions: tuple[StabilityRegion, ...]

    @classmethod
    def of(cls, known: Known, belief: Belief | None = None) -> Self:
        """The regions on the hull of what is known; with a belief, how sure they are."""
        hull, pool = known.hull, known.pool
        sampled = [] if belief is None else [(_ranges_of(sample), n) for sample, n in belief.sampled_hulls]
        n_samples = sum(n for _, n in sampled)
        regions, lacking = [], of_all_elements(hull.fractions) == 0.0
        for place, (index, corners) in enumerate(zip(hull.indices.tolist(), corners_of(hull), strict=True)):
            unbounded, probability, interval = lacking[place], None, None
            stable = [ranges[index] for ranges, n in sampled if index in ranges for _ in range(n)]
            if sampled:
                probability = len(stable) / n_samples
            if stable:
                interval = np.quantile(stable, LEVELS, axis=0)
                interval[:, unbounded, 0] = -np.inf
            regions.append(
                StabilityRegion(
                    id=pool.ids[index],
                    formula=pool.formulas[index],
                    corners_ev_per_atom=corners,
                    is_unbounded=unbounded,
                    probability=probability,
                    interval_ev_per_atom=interval,
                )
            )
        return cls(elements=known.pool.end_names, regions=tuple(regions))

    @classmethod
    def of_trees(cls, elements: Sequence[str], trees: Iterable[Mapping[str, Any]]) -> Self:
        """What `trees` gave of these elements (or ends); TypeError, KeyError or ValueError for anything else."""
        regions = tuple(StabilityRegion.of_tree(tree, n_elements=len(elements)) for tree in trees)
        return cls(elements=tuple(elements), regions=regions)

    def trees(self) -> tuple[dict[str, Any], ...]:
        """The regions as plain values, as `result.json` keeps them: an end of an interval that has no bound is None."""
        return tuple(region.tree() for region in self.regions)

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Heads and rows of a table for people: potentials in meV/atom, with 95 % intervals where a model believes something."""
        is_believed = any(region.probability is not None for region in self.regions)
        rows = []
        for region in self.regions:
            told = (_told(region, place) for place in range(len(self.elements)))
            share = [] if region.probability is None else [percent(region.probability)]
            rows.append((region.formula, *told, *share, region.id))
        heads = (f"μ({symbol}) (meV/atom)" for symbol in self.elements)
        return ("formula", *heads, *(("P(on hull)",) if is_believed else ()), "id"), rows

    def _repr_html_(self) -> str:
        return html_table(*self.table())


def facet_potentials(hull: Hull) -> Floats:
    """(f, k + 1) chemical potentials of all elements on each facet, relative to the pure elements, all of which are on the hull."""
    k = hull.fractions.shape[1]
    pure = np.vstack([np.zeros(k), np.eye(k)])
    return np.asarray(hull.planes @ np.column_stack([pure, np.ones(k + 1)]).T - hull.energy_at(pure))


def corners_of(hull: Hull) -> list[Floats]:
    """For each vertex the (c, k + 1) corners of its region, each once; for three elements in order around it."""
    potentials, corners = facet_potentials(hull), []
    for place in range(len(hull.indices)):
        touching = potentials[(hull.facets == place).any(axis=1)]
        _, first = np.unique(np.round(touching / SAME_EV_PER_ATOM), axis=0, return_index=True)
        these = touching[np.sort(first)]
        if these.shape[1] == 3:
            across = slopes(these) - slopes(these).mean(axis=0)
            these = these[np.argsort(np.arctan2(across[:, 1], across[:, 0]), kind="stable")]
        corners.append(these)
    return corners


def slopes(potentials: Floats) -> Floats:
    """(c, k) potentials (c, k + 1) of the elements after the first, relative to that of the first: what phases tell apart."""
    return potentials[:, 1:] - potentials[:, :1]


def _ranges_of(hull: Hull) -> dict[int, Floats]:
    """The (k + 1, 2) lowest and highest potentials at the corners of the region of each vertex, by its index."""
    potentials, ranges = facet_potentials(hull), {}
    for place, index in enumerate(hull.indices.tolist()):
        corners = potentials[(hull.facets == place).any(axis=1)]
        ranges[index] = np.stack([corners.min(axis=0), corners.max(axis=0)], axis=1)
    return ranges


def _told(region: StabilityRegion, place: int) -> str:
    """From where to where the potential of an element reaches, with the 95 % interval of each end."""
    ends = []
    for end in range(2):
        value = float(region.range_ev_per_atom[place, end])
        interval = None if region.interval_ev_per_atom is None else region.interval_ev_per_atom[:, place, end]
        text = "\N{MINUS SIGN}\N{INFINITY}" if np.isneginf(value) else milli(value)
        if interval is not None and not np.isneginf(value):
            low, high = (milli(one) for one in interval.tolist())
            text += f" ({low} to {high})" if low != high else ""
        ends.append(text)
    return " to ".join(dict.fromkeys(ends))
