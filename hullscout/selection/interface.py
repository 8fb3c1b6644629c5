"""What a selection rule sees and what it answers.

A rule is a function from a `Snapshot` (everything that was asked and answered so far) to a `Proposal` (what to look up next, or
stop). It keeps no state of its own: whatever a later round needs of an earlier one stands in its `RoundRecord`, which the
store keeps, so that a campaign can be resumed at any moment. Rules know candidates by index, and nothing of files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import numpy as np

from hullscout.hull import LowerHull, formation_energy, lower_hull

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hullscout.regression import SearchPoint
    from hullscout.selection.stopping import StopSettings
    from hullscout.selection.surrogate import Surrogate

    Floats = NDArray[np.float64]
    Indices = NDArray[np.intp]

NONE = np.empty(0, dtype=np.intp)
NONE.setflags(write=False)


def in_order(values: Floats) -> Indices:
    """Indices from the smallest value to the largest.

    Values are rounded to 1e-6 (of what they are in: standard deviations, thresholds or eV/atom), and equal ones stay in the order
    of the pool: candidates that a model cannot tell apart differ by rounding only, which is another on each machine.
    """
    with np.errstate(over="ignore"):
        rounded = np.round(values, 6)
    return np.argsort(np.where(np.isfinite(rounded), rounded, values), kind="stable")


class StopReason(StrEnum):
    """Why a campaign ended."""

    NOTHING_BELOW_THRESHOLD = "nothing-below-threshold"
    ALL_KNOWN = "all-known"
    ALL_CONTENDERS_KNOWN = "all-contenders-known"
    MAX_CALCULATIONS = "max-calculations"
    MAX_COST = "max-cost"
    FAILURE_PROBABILITY = "failure-probability"
    ONLY_FAILED_LEFT = "only-failed-left"
    ALL_ASKED = "all-asked"
    NO_HULL = "no-hull"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """The end of a campaign: a reason for programs and a sentence for people."""

    reason: StopReason
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRecord:
    """What was decided in one round, and what the model knew then.

    Attributes:
        round: 0 for the start, then 1, 2, ...
        chosen: Ids to look up, best first; empty only in a record that stops.
        n_contenders: Unknown candidates that the rule still considered.
        model_errors: Held-out error of each of the rule's models, on the scale that it was trained on.
        threshold_ev_per_atom: The rule's threshold, where it has one.
        failure_probability: Probability of a wrong hull in this round, where the rule knows one.
        stated_failure_probability: What the rule stood by in this round, where it states one.
        settleable_probability: The probability of this round without the candidates that failed, which no calculation settles.
        n_lookups_foreseen: Lookups to the stop if each told only of itself (see `foresight`), where the rule foresees one.
        warm_starts: Where the hyperparameter search of each model ended, for the next round to start from.
    """

    round: int
    chosen: tuple[str, ...]
    n_contenders: int
    model_errors: dict[str, float] = field(default_factory=dict)
    threshold_ev_per_atom: float | None = None
    failure_probability: float | None = None
    stated_failure_probability: float | None = None
    settleable_probability: float | None = None
    n_lookups_foreseen: int | None = None
    warm_starts: dict[str, SearchPoint] = field(default_factory=dict)

    @property
    def model_error(self) -> float | None:
        """Held-out error of the rule's first model in eV/atom, or None where no model was fitted."""
        return next(iter(self.model_errors.values()), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that a rule may see.

    Attributes:
        x: (n,) atomic fraction of the second element of each candidate; equal compositions are equal floats.
        n_atoms: (n,) atoms per cell.
        cost: (n,) cost of each calculation, in any unit; ones where only their number counts.
        baseline_ev_per_atom: (n,) energies of a cheaper method, where the pool has them.
        known: (m,) indices of the candidates with an energy, in the order in which they were asked for.
        energies_ev_per_atom: (m,) their energies.
        history: The rounds so far.
        seed: The campaign's seed.
        pending: (p,) indices of the candidates asked for and not answered yet, in the order of asking.
        failed: (k,) indices of the candidates whose calculation failed for good, in the order of asking. Nothing is known of their
            energies: they count in the probability of a wrong hull like any unknown one, and are not asked for again.
    """

    x: Floats
    n_atoms: NDArray[np.int64]
    cost: Floats
    baseline_ev_per_atom: Floats | None = None
    known: Indices
    energies_ev_per_atom: Floats
    history: tuple[RoundRecord, ...]
    seed: int
    pending: Indices = field(default_factory=lambda: NONE)
    failed: Indices = field(default_factory=lambda: NONE)

    @property
    def unknown(self) -> Indices:
        """(n - m,) indices of the candidates without an energy, pending and failed ones included, ascending."""
        is_unknown = np.ones(self.x.size, dtype=bool)
        is_unknown[self.known] = False
        return np.flatnonzero(is_unknown)

    @property
    def askable(self) -> Indices:
        """(n - m - p - k,) indices of the candidates that may be asked for: unknown, not pending, not failed; ascending."""
        is_askable = np.ones(self.x.size, dtype=bool)
        for taken in (self.known, self.pending, self.failed):
            is_askable[taken] = False
        return np.flatnonzero(is_askable)

    @property
    def n_asked(self) -> int:
        """Number of candidates asked for so far, whatever came of it."""
        return sum(len(record.chosen) for record in self.history)

    def rng(self) -> np.random.Generator:
        """Random numbers of this round: the same whenever it is decided again."""
        return np.random.default_rng([self.seed, len(self.history)])

    @property
    def formation_ev_per_atom(self) -> Floats:
        """(m,) formation energies of what is known, relative to the lowest known structure of each pure element."""
        x, e = self.x[self.known], self.energies_ev_per_atom
        return formation_energy(x, e, ends_ev_per_atom=(float(e[x == 0].min()), float(e[x == 1].min())))

    @property
    def baseline_formation_ev_per_atom(self) -> Floats | None:
        """(n,) formation energies of the cheaper method, relative to its own lowest structures of the pure elements."""
        if self.baseline_ev_per_atom is None:
            return None
        x, e = self.x, self.baseline_ev_per_atom
        return formation_energy(x, e, ends_ev_per_atom=(float(e[x == 0].min()), float(e[x == 1].min())))

    @property
    def hull(self) -> LowerHull:
        """Today's hull over formation energies; its `indices` count within `known`."""
        return lower_hull(self.x[self.known], self.formation_ev_per_atom)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A rule's answer: indices to look up, best first, or a reason to stop; and the numbers behind it.

    `failure_probability` is this round's; `stated_failure_probability` is what the rule stands by; `settleable_probability` is
    this round's without the candidates that failed.
    """

    chosen: tuple[int, ...] = ()
    stop: Stop | None = None
    n_contenders: int = 0
    model_errors: dict[str, float] = field(default_factory=dict)
    threshold_ev_per_atom: float | None = None
    failure_probability: float | None = None
    stated_failure_probability: float | None = None
    settleable_probability: float | None = None
    n_lookups_foreseen: int | None = None
    warm_starts: dict[str, SearchPoint] = field(default_factory=dict)


class Rule(Protocol):
    """A selection rule: how to start, and what to do next."""

    @property
    def rule(self) -> str:
        """Name in the campaign file."""

    @property
    def states_probability(self) -> bool:
        """Whether it says how probable a wrong hull is."""

    def start(self, snapshot: Snapshot) -> tuple[int, ...]:
        """Indices to look up before any model is fitted; holds a structure of each pure element."""

    def select(self, snapshot: Snapshot, surrogate: Surrogate, *, stop: StopSettings) -> Proposal:
        """What to look up next among `snapshot.askable`, or stop.

        Called only with both pure elements known and something unknown, which need not be askable.
        """
