"""A line through the compositions: which candidates lie on it, and the hull along it.

For two elements it is the whole axis. For more it is what lies between two compositions, and energies are measured from the hull at
its ends: a section looks like the phase diagram of two elements.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np

from hullscout.errors import OutputError
from hullscout.figures import style
from hullscout.hull import of_all_elements

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hullscout.hull import Hull
    from hullscout.selection import Known
    from hullscout.selection.known import Floats, Indices

# A candidate is on the line where its fractions are so near: the rounding of a quotient, and of weights of two.
ON_LINE = 1e-8
# Between these points of a section the hull's facets are told apart.
STEPS = np.linspace(0.0, 1.0, 401)
# Of the columns of systems: how wide they are, how many are named without turning their names, and what puts them in order.
COLUMN_WIDTH = 0.8
MAX_LEVEL = 7
WEIGHTS = 0.5 ** np.arange(5)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Section:
    """A line from one composition to another, x = 0 to 1 on it: the share of the atoms that comes from the second.

    Attributes:
        ends: (2, k) fractions of its ends.
        names: What the ends are called.
        candidates: (n,) those on it, ascending, by their indices in the pool.
        x: (n,) where.
        zero_ev_per_atom: (2,) formation energies that are zero in it, at its ends.
        is_whole: Whether it is the whole axis of two elements.
    """

    ends: Floats
    names: tuple[str, str]
    candidates: Indices = field(repr=False)
    x: Floats = field(repr=False)
    zero_ev_per_atom: Floats
    is_whole: bool = False

    @classmethod
    def whole(cls, known: Known) -> Self:
        """All candidates of two elements."""
        first, second = known.pool.end_names
        return cls(
            ends=np.array([[0.0], [1.0]]),
            names=(first, second),
            candidates=np.arange(known.n_candidates),
            x=known.x,
            zero_ev_per_atom=np.zeros(2),
            is_whole=True,
        )

    @classmethod
    def between(cls, known: Known, start: str, end: str) -> Self:
        """What lies between two compositions, each a formula or the id of a candidate, energies relative to the hull there.

        Raises:
            OutputError: One of them is neither, or both are the same composition.
        """
        ends = np.array([composition_named(known, start), composition_named(known, end)])
        along = ends[1] - ends[0]
        if np.abs(along).max() < ON_LINE:
            raise OutputError(f"A section needs two different compositions, found {start} and {end}. Give another one.")
        x = (known.fractions - ends[0]) @ along / (along @ along)
        off = np.abs(known.fractions - ends[0] - x[:, None] * along).max(axis=1)
        candidates = np.flatnonzero((off < ON_LINE) & (x > -ON_LINE) & (x < 1.0 + ON_LINE))
        return cls(
            ends=ends,
            names=(_name(known, start), _name(known, end)),
            candidates=candidates,
            x=np.clip(np.round(x[candidates], 9), 0.0, 1.0),
            zero_ev_per_atom=known.hull.energy_at(ends),
        )

    def compositions(self, x: Floats) -> Floats:
        """Fractions (n, k) at places (n,) of the line; of two elements (n,)."""
        if self.is_whole:
            return x
        return np.asarray((1.0 - x)[:, None] * self.ends[0] + x[:, None] * self.ends[1])

    def relative(self, x: Floats, formation_ev_per_atom: Floats) -> Floats:
        """Formation energies, places in their last dimension, relative to the ends of the section."""
        if self.is_whole:
            return formation_ev_per_atom
        first, second = self.zero_ev_per_atom.tolist()
        return np.asarray(formation_ev_per_atom - (1.0 - x) * first - x * second)

    def hull_line(self, hull: Hull) -> tuple[Floats, Floats]:
        """Places (m,) of the kinks of a hull on the line and of its ends, and energies there, relative to the section's ends."""
        if self.is_whole:
            return hull.x, hull.energy_ev_per_atom
        lines = (
            np.column_stack([self.ends, np.ones(2)]) @ hull.planes.T
        )  # (2, f) energies of each facet's plane at the ends
        at_steps = np.outer(1.0 - STEPS, lines[0]) + np.outer(STEPS, lines[1])
        highest = at_steps.argmax(axis=1)
        kinks = [0.0, 1.0]
        for one, other in zip(highest[:-1].tolist(), highest[1:].tolist(), strict=True):
            gap = lines[:, one] - lines[:, other]
            if one != other and abs(gap[0] - gap[1]) > 1e-12:
                kinks.append(float(gap[0] / (gap[0] - gap[1])))
        x = np.unique(np.round(np.clip(kinks, 0.0, 1.0), 9))
        return x, self.relative(x, hull.energy_at(self.compositions(x)))

    def hull_points(self, hull: Hull) -> tuple[Floats, Floats]:
        """Many places of a hull's line, and relative energies there."""
        return STEPS, self.relative(STEPS, hull.energy_at(self.compositions(STEPS)))

    def vertices(self, hull: Hull) -> tuple[Floats, Floats, Indices]:
        """Places (v,), relative energies and indices of the vertices of a hull on the line, ascending."""
        places = dict(zip(self.candidates.tolist(), self.x.tolist(), strict=True))
        on_line = [place for place, index in enumerate(hull.indices.tolist()) if index in places]
        x = np.array([places[int(hull.indices[place])] for place in on_line])
        order = np.argsort(x, kind="stable")
        indices = hull.indices[on_line][order]
        return x[order], self.relative(x, hull.energy_ev_per_atom[on_line])[order], indices


def composition_named(known: Known, text: str) -> Floats:
    """(k,) fractions of a formula of the campaign's elements, or of the candidate with an id.

    Raises:
        OutputError: It is neither.
    """
    pool = known.pool
    if text in pool.ids:
        return np.asarray(pool.fractions[pool.ids.index(text)])
    parts = re.findall(r"([A-Z][a-z]?)(\d+(?:\.\d+)?)?", text)
    amounts = dict.fromkeys(pool.elements, 0.0)
    for symbol, number in parts:
        if symbol in amounts:
            amounts[symbol] += float(number or 1)
    is_whole = "".join(symbol + number for symbol, number in parts) == text
    total = sum(amounts.values())
    if not is_whole or total == 0.0 or any(symbol not in amounts for symbol, _ in parts):
        raise OutputError(
            f"Expected a formula of {', '.join(pool.elements)}, as {''.join(pool.elements[:2])}, or the id of a candidate, found "
            f"{text!r}."
        )
    weights = pool.axis.coordinates(np.array([list(amounts.values())]))[0]
    if not (weights >= 0.0).all():
        raise OutputError(
            f"Expected a composition between {' and '.join(pool.end_names)}, found {text!r}. Give another one."
        )
    return np.asarray(weights[1:])


def _name(known: Known, text: str) -> str:
    """What an end is called: its formula."""
    pool = known.pool
    return pool.formulas[pool.index_of(text)] if text in pool.ids else text


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Places:
    """Where candidates stand beside each other in a figure of all of them.

    For two elements at their composition; for more in a column for each system of elements, inside by composition.

    Attributes:
        x: (n,) places.
        systems: The columns, at 0, 1 and on; none for two elements.
    """

    x: Floats
    systems: tuple[str, ...] = ()

    @classmethod
    def of(cls, known: Known) -> Self:
        """The places of all candidates."""
        elements, fractions = known.pool.end_names, known.fractions
        if len(elements) == 2:
            return cls(x=known.x)
        shares = of_all_elements(fractions) > 0.0
        names = ["elements" if row.sum() == 1 else "-".join(np.array(elements)[row]) for row in shares]
        systems = sorted(
            set(names),
            key=lambda name: (name.count("-"), -float(WEIGHTS[: len(elements)][shares[names.index(name)]].sum())),
        )
        x = np.array([systems.index(name) for name in names], dtype=np.float64)
        for column in range(len(systems)):
            inside = np.flatnonzero(x == column)
            order = np.lexsort(fractions[inside].T[::-1])
            x[inside[order]] += COLUMN_WIDTH * ((np.arange(inside.size) + 0.5) / inside.size - 0.5)
        return cls(x=x, systems=tuple(systems))

    def set_axis(self, ax: Axes, known: Known) -> None:
        """Limits, ticks and label of the axis of these places."""
        if not self.systems:
            style.set_composition_axis(ax, known.pool.end_names)
            return
        ax.set_xlim(-0.6, len(self.systems) - 0.4)
        is_long = len(self.systems) > MAX_LEVEL
        ax.set_xticks(range(len(self.systems)), self.systems, rotation=90 if is_long else 0)
        ax.tick_params(axis="x", length=0)
