"""What is known of a campaign at one moment: the one view that rules, progress, tables, figures and history read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from hullscout.hull import Hull, end_energies, formation_energy, hull_error, lower_hull, pure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hullscout.pool import Pool
    from hullscout.selection.decision import Decision

    Floats = NDArray[np.float64]
    Indices = NDArray[np.intp]

NONE: Indices = np.empty(0, dtype=np.intp)
NONE.setflags(write=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class Known:
    """A campaign at one moment. Candidates are indices in the pool; formation energies and hull are computed once.

    Attributes:
        cost: (n,) cost of each calculation, in any unit; ones where only their number counts.
        decisions: The decisions so far, each with what it asked for.
        added_after: For each time that candidates were added to the pool, the number of decisions before it.
        given: (g,) the candidates whose energies were known before anything was asked for, elements by value among them.
        answered: (m,) the candidates with an energy: those given first, then in the order of asking.
        energies_ev_per_atom: (m,) their energies.
        failed: (f,) the candidates whose calculation failed for good, in the order of asking. Nothing is known of their energies:
            in the probability of a wrong hull they count like any unknown one, and they are not asked for again.
        pending: (p,) the candidates asked for and not answered yet, in the order of asking.
        true_ev_per_atom: (n,) energies of all candidates, where a replay knows them. No rule is ever given them.
    """

    pool: Pool = field(repr=False)
    name: str = ""
    seed: int = 0
    cost: Floats = field(repr=False)
    decisions: tuple[Decision, ...] = field(default=(), repr=False)
    added_after: tuple[int, ...] = ()
    given: Indices = field(default_factory=lambda: NONE, repr=False)
    answered: Indices = field(default_factory=lambda: NONE, repr=False)
    energies_ev_per_atom: Floats = field(default_factory=lambda: np.empty(0), repr=False)
    failed: Indices = field(default_factory=lambda: NONE, repr=False)
    pending: Indices = field(default_factory=lambda: NONE, repr=False)
    true_ev_per_atom: Floats | None = field(default=None, repr=False)

    def with_truth(self, true_ev_per_atom: Floats | None) -> Known:
        """The same moment with the energies of all candidates, for those who judge it; as it is where nobody knows them.

        Those of candidates that were added later are not looked at.
        """
        if true_ev_per_atom is None:
            return self
        return replace(self, true_ev_per_atom=true_ev_per_atom[: self.n_candidates])

    @property
    def fractions(self) -> Floats:
        """(n, k) atomic fractions of the elements after the first."""
        return self.pool.fractions

    @property
    def x(self) -> Floats:
        """(n,) atomic fraction of the second element of two."""
        return self.pool.x

    @property
    def n_candidates(self) -> int:
        """Number of candidates."""
        return len(self.fractions)

    @property
    def n_answered(self) -> int:
        """Number of calculations that gave an energy; what was known beforehand is none."""
        return int(self.answered.size - self.given.size)

    @property
    def n_calculable(self) -> int:
        """Number of candidates that were not known beforehand: all that there was to calculate."""
        return self.n_candidates - int(self.given.size)

    @property
    def n_failed(self) -> int:
        """Number of calculations that failed for good."""
        return int(self.failed.size)

    @property
    def n_asked(self) -> int:
        """Number of candidates asked for, whatever came of it."""
        return sum(len(decision.chosen) for decision in self.decisions)

    @property
    def saved_fraction(self) -> float:
        """Share that was not calculated of the candidates that were not known beforehand; what failed was."""
        return 1.0 - (self.n_answered + self.n_failed) / max(self.n_calculable, 1)

    @cached_property
    def asked(self) -> Indices:
        """(a,) the candidates asked for, whatever came of it, in the order of asking."""
        return np.array([index for decision in self.decisions for index in decision.chosen], dtype=np.intp)

    @cached_property
    def asked_in(self) -> dict[int, int]:
        """The round, from 0, in which each candidate was asked for; -1 where it was known beforehand."""
        asked = {index: place for place, decision in enumerate(self.decisions) for index in decision.chosen}
        return dict.fromkeys(self.given.tolist(), -1) | asked

    @property
    def spent(self) -> float:
        """Cost of all that was asked for."""
        return float(self.cost[self.asked].sum())

    @cached_property
    def unknown(self) -> Indices:
        """(n - m,) the candidates without an energy, pending and failed ones included, ascending."""
        return self._others(self.answered)

    @cached_property
    def askable(self) -> Indices:
        """(n - m - p - f,) the candidates that may be asked for: unknown, not pending, not failed; ascending."""
        return self._others(self.answered, self.pending, self.failed)

    @cached_property
    def has_hull(self) -> bool:
        """Whether the energy of a structure of each pure element is known."""
        return all(indices.size for indices in pure(self.fractions[self.answered]))

    @cached_property
    def formation_ev_per_atom(self) -> Floats:
        """(m,) formation energies of what is known, relative to the lowest known structure of each pure element."""
        return formation_energy(
            self.fractions[self.answered], self.energies_ev_per_atom, ends_ev_per_atom=self._ends_ev_per_atom
        )

    @cached_property
    def hull(self) -> Hull:
        """The hull of what is known, over formation energies; its indices count in the pool."""
        hull = lower_hull(self.fractions[self.answered], self.formation_ev_per_atom)
        return replace(hull, indices=self.answered[hull.indices])

    @property
    def hull_formulas(self) -> tuple[str, ...]:
        """Formulas of the vertices of the hull."""
        return tuple(self.pool.formulas[index] for index in self.hull.indices.tolist())

    @cached_property
    def baseline_formation_ev_per_atom(self) -> Floats | None:
        """(n, b) formation energies of cheaper methods, each relative to its own lowest structures of the pure elements.

        NaN where a method says nothing of a candidate; None where there is no such method.
        """
        if self.pool.baseline_ev_per_atom is None:
            return None
        columns = self.pool.baseline_ev_per_atom.reshape(self.n_candidates, -1).T
        return np.stack([self._formation_by(energies) for energies in columns], axis=1)

    def _formation_by(self, energies: Floats) -> Floats:
        said = np.isfinite(energies)
        ends = end_energies(self.fractions[said], energies[said])
        return formation_energy(self.fractions, energies, ends_ev_per_atom=ends)

    @cached_property
    def true_formation_ev_per_atom(self) -> Floats | None:
        """(n,) formation energies of all candidates relative to the lowest *known* pure elements; None where nobody knows them."""
        if self.true_ev_per_atom is None:
            return None
        return formation_energy(self.fractions, self.true_ev_per_atom, ends_ev_per_atom=self._ends_ev_per_atom)

    @cached_property
    def true_hull(self) -> Hull | None:
        """The hull of all candidates; None where nobody knows their energies."""
        energies = self.true_formation_ev_per_atom
        return None if energies is None else lower_hull(self.fractions, energies)

    @cached_property
    def hull_error_ev_per_atom(self) -> float | None:
        """Largest height of the hull above the true one; None where nobody knows that."""
        return None if self.true_hull is None else hull_error(self.hull, self.true_hull)

    def rng(self) -> np.random.Generator:
        """Random numbers of this round: the same whenever it is decided again."""
        return np.random.default_rng([self.seed, len(self.decisions)])

    @cached_property
    def _ends_ev_per_atom(self) -> Floats:
        return end_energies(self.fractions[self.answered], self.energies_ev_per_atom)

    def _others(self, *taken: Indices) -> Indices:
        is_other = np.ones(self.n_candidates, dtype=bool)
        for indices in taken:
            is_other[indices] = False
        return np.flatnonzero(is_other)
