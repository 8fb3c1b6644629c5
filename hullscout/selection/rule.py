"""A selection rule: how a campaign starts, and what it calculates next.

A rule is a class of settings with two methods; anybody's is used by its dotted path in `[select] rule`. It keeps no state of its
own: what a later round needs of an earlier one stands in the decisions, which the store keeps, so that a campaign can be resumed
at any moment. Rules know candidates by index, and nothing of files.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, field_validator

from hullscout.citations import Citation
from hullscout.hull import pure
from hullscout.selection.decision import Stop
from hullscout.selection.stopping import StopReason
from hullscout.settings import Kinds, Settings, dotted_path

if TYPE_CHECKING:
    from hullscout.selection.belief import Belief
    from hullscout.selection.decision import Decision
    from hullscout.selection.known import Floats, Indices, Known
    from hullscout.selection.stopping import StopSettings
    from hullscout.selection.surrogate import Surrogate


class Rule(Settings, ABC):
    """A selection rule; its settings are its fields.

    What it decides must not depend on `stop.failure_probability`, which only says when to end.
    """

    rule: str = Field(default="", validate_default=True)
    """Name of the rule, or the dotted path of its class."""
    states_probability: ClassVar[bool] = False
    """Whether it says how probable a wrong hull is."""
    uses_hull_tolerance: ClassVar[bool] = True
    """Whether what it decides depends on `stop.hull_tolerance`."""
    citations: ClassVar[tuple[Citation, ...]] = ()
    """Papers that it owes something to."""

    @abstractmethod
    def start(self, known: Known) -> tuple[int, ...]:
        """Candidates to calculate before any model is fitted, a structure of each pure element among them."""

    def begin(self, known: Known, surrogate: Surrogate) -> tuple[int, ...]:  # noqa: ARG002  for those who look at features
        """The whole of what is calculated before any model is fitted: `start`, and what a rule chooses beside it by features."""
        return self.start(known)

    def n_at_start(self, known: Known) -> int:
        """Number of these, without a look at features."""
        return len(self.start(known))

    @abstractmethod
    def decide(self, known: Known, surrogate: Surrogate, *, stop: StopSettings) -> Decision:
        """What to calculate next among `known.askable`.

        Called only with all pure elements known and something unknown, which need not be askable. Without a contender the campaign
        ends, and where the stated probability is low enough: see `stopping`.
        """

    def none_left(self, decision: Decision, stop: StopSettings) -> Stop:  # noqa: ARG002  for those who say more
        """How a campaign ends when the rule has no contender left."""
        return Stop(reason=StopReason.ALL_CONTENDERS_KNOWN, sentence=f"The rule {self.rule!r} asks for nothing more.")

    def believe(self, known: Known, surrogate: Surrogate, *, stop: StopSettings) -> Belief | None:  # noqa: ARG002  for those who do
        """What the rule believes of every candidate; None where it believes nothing, or nothing could be learned."""
        return None

    def cautions(self, stop: StopSettings, *, n_candidates: int) -> tuple[str, ...]:  # noqa: ARG002  for those who have some
        """What a person should know of a pool of so many candidates before anything is calculated, in sentences."""
        return ()

    def meaning(self) -> dict[str, Any] | None:
        """What the stated probability means and what was observed of it, as `result.json` says it; None where none is stated."""
        return None

    def calculations_to_stay_low(self, n_candidates: int, n_asked: int) -> float:  # noqa: ARG002  for those who wait
        """Calculations for which the stated probability must have been low before the campaign ends."""
        return 0.0

    @field_validator("rule")
    @classmethod
    def _is_named(cls, name: str) -> str:
        return name or dotted_path(cls)


RULES = Kinds(
    section="select",
    key="rule",
    base=Rule,  # type: ignore[type-abstract]  # what all are
    ours={
        "hull-posterior": "hullscout.selection.hull_posterior.HullPosteriorRule",
        "threshold": "hullscout.selection.threshold.ThresholdRule",
        "hull-threshold": "hullscout.selection.threshold.HullThresholdRule",
        "greedy": "hullscout.selection.simple_rules.GreedyRule",
        "variance": "hullscout.selection.simple_rules.VarianceRule",
        "random": "hullscout.selection.simple_rules.RandomRule",
    },
    default="hull-posterior",
    is_open=True,
)
"""The rules by name."""


def in_order(values: Floats) -> Indices:
    """Indices from the smallest value to the largest.

    Values are rounded to 1e-6 (of what they are in: standard deviations, thresholds or eV/atom), and equal ones stay in the order
    of the pool: candidates that a model cannot tell apart differ by rounding only, which is another on each machine.
    """
    with np.errstate(over="ignore"):
        rounded = np.round(values, 6)
    return np.argsort(np.where(np.isfinite(rounded), rounded, values), kind="stable")


def starting_pure(known: Known) -> tuple[int, ...]:
    """All structures of the pure elements, which every campaign starts with: the cheapest of each, then the others, cheapest first.

    The lowest of an element is an end of the axis, and every formation energy is measured from it. Nothing else that is known
    tells which it is: structures of elements (alpha-Mn, alpha-Ga) have no like among compounds.
    """
    first = cheapest_pure(known)
    others = np.setdiff1d(np.concatenate(pure(known.fractions)), [*first, *known.given.tolist()])
    return (*first, *_cheapest_first(known, others).tolist())


def cheapest_pure(known: Known) -> tuple[int, ...]:
    """The cheapest structure of each pure element not known beforehand: the least that a campaign needs for a hull."""
    ends = (those for those in pure(known.fractions) if not np.isin(known.given, those).any())
    return tuple(int(_cheapest_first(known, those)[0]) for those in ends)


def _cheapest_first(known: Known, indices: Indices) -> Indices:
    """By cost, then smallest cells first, then in the order of the pool."""
    return indices[np.lexsort((known.pool.n_atoms[indices], known.cost[indices]))]


def missing_pure(known: Known) -> tuple[int, ...]:
    """Further structures of the pure elements of which nothing is known, ascending."""
    answered = pure(known.fractions[known.answered])
    missing = [indices for indices, those in zip(pure(known.fractions), answered, strict=True) if not those.size]
    return tuple(np.intersect1d(known.askable, np.concatenate(missing)).tolist())


def one_per_composition(known: Known) -> tuple[int, ...]:
    """One random unknown structure of each composition between the pure elements, by ascending composition."""
    rng, compositions = known.rng(), np.unique(known.fractions[_compounds(known)], axis=0)
    unknown = known.unknown
    return tuple(int(rng.choice(unknown[(known.fractions[unknown] == at).all(axis=1)])) for at in compositions)


def random_compounds(known: Known, n: int) -> tuple[int, ...]:
    """N random unknown candidates between the pure elements."""
    return tuple(known.rng().permutation(_compounds(known))[:n].tolist())


def random_askable(known: Known, n: int) -> tuple[int, ...]:
    """N random candidates that may be asked for."""
    return tuple(known.rng().permutation(known.askable)[:n].tolist())


def _compounds(known: Known) -> Indices:
    return np.setdiff1d(known.unknown, np.concatenate(pure(known.fractions)))
