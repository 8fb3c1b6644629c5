"""When a campaign ends: every end is decided here, one function each.

A function of `ENDS` is given what is known, what the rule decided and the settings, and answers why the campaign ends, or None.
They are asked in their order, and the first that answers ends it. Another way to stop is another function. What a calculation
costs is known before it is done: only ratios matter to a rule, and a budget is in the same unit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from hullscout.display import MILLI, PERCENT, stated_percent
from hullscout.errors import InvalidCampaignError
from hullscout.hull import pure
from hullscout.selection.decision import Decision, Stop
from hullscout.settings import Amount, Count, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from hullscout.pool import Pool
    from hullscout.selection.known import Floats, Known


class StopSettings(Settings):
    """When to stop, and what counts as the right hull."""

    hull_tolerance: Amount = 0.001
    """A hull nowhere higher than this above the true one counts as found, eV/atom."""
    failure_probability: float = Field(default=0.05, gt=0, lt=1)
    """Accepted probability of a hull that is not found; used by rules that state one."""
    max_calculations: Count | None = None
    """Never look up more structures than this."""
    max_cost: Amount | None = None
    """Never spend more than this, in the unit of the costs (section `cost`)."""


class CostSettings(Settings):
    """The cost of a calculation."""

    kind: Literal["equal", "atoms", "column"] = "equal"
    """`equal`: 1 each. `atoms`: (atoms / reference_atoms)^exponent. `column`: the pool's own cost of each candidate."""
    exponent: float = Field(default=3.0, ge=0, le=6)
    """Power of the number of atoms; 3 is that of conventional DFT."""
    reference_atoms: Amount = 1.0
    """Number of atoms of a cell that costs 1."""

    def of(self, n_atoms: NDArray[np.int64], *, column: Floats | None = None) -> Floats:
        """(n,) cost of each candidate, of its atoms per cell (n,) or from the pool's own column (n,)."""
        match self.kind:
            case "equal":
                return np.ones(n_atoms.size)
            case "atoms":
                return np.asarray((n_atoms / self.reference_atoms) ** self.exponent)
            case "column":
                if column is None:
                    raise InvalidCampaignError(
                        'cost.kind: "column" takes the costs from the pool, and this pool has none. Name its column in pool.cost, '
                        'or set cost.kind to "atoms".'
                    )
                return column

    def of_pool(self, pool: Pool) -> Floats:
        """(n,) cost of each candidate of a pool, 0 of those whose energies are given by value."""
        return self.of(pool.n_atoms, column=pool.cost) * pool.is_calculable


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
class Situation:
    """What an end is decided by.

    Attributes:
        affordable: Those of the chosen candidates that the limits still allow, best first.
        none_left: How the campaign ends if the rule has no contender left.
    """

    known: Known
    decision: Decision
    affordable: tuple[int, ...]
    none_left: Stop
    settings: StopSettings

    @property
    def is_confident(self) -> bool:
        """Whether the probability that the rule states does not speak against an end; it may state none."""
        stated = self.decision.stated_failure_probability
        return stated is None or stated < self.settings.failure_probability


def concluded(known: Known, decision: Decision, *, none_left: Stop, settings: StopSettings) -> Decision:
    """The decision with what the limits allow of it, or with the reason why the campaign ends and nothing chosen.

    An end says what is not known of the pure elements.
    """
    affordable = _affordable(known, decision.chosen, settings)
    now = Situation(known=known, decision=decision, affordable=affordable, none_left=none_left, settings=settings)
    stop = next((stop for end in ENDS if (stop := end(now)) is not None), None)
    if stop is None:
        return replace(decision, chosen=affordable)
    return replace(decision, chosen=(), stop=replace(stop, sentence=" ".join([stop.sentence, *unknown_ends(known)])))


def unknown_ends(known: Known) -> Iterator[str]:
    """A sentence for each element that has an energy, and structures without one."""
    for label, those in zip(known.pool.end_labels, pure(known.fractions), strict=True):
        n_unknown = int(np.isin(those, known.unknown).sum())
        if 0 < n_unknown < those.size:
            yield (
                f"Of the {those.size} structures of {label}, {n_unknown} {'has' if n_unknown == 1 else 'have'} no energy: "
                f"were one lower than those known, the whole hull would be wrong."
            )


def refuse_impossible_limits(known: Known, wanted: tuple[int, ...], settings: StopSettings) -> None:
    """Refuse limits that do not even allow the wanted structures of the pure elements, which every campaign starts from."""
    for key, limit, needed in (
        ("max_calculations", settings.max_calculations, len(wanted)),
        ("max_cost", settings.max_cost, float(known.cost[list(wanted)].sum())),
    ):
        if limit is not None and limit < needed:
            raise InvalidCampaignError(
                f"stop.{key}: expected at least {needed:g}, what the structures of the pure elements that every campaign starts "
                f"from take, found {limit:g}."
            )


def reason_to_end(decision: Decision, failure_probability: float | None) -> str | None:
    """Why a campaign ends at a decision, also one that accepts a larger failure probability than it was decided for.

    What a rule decides does not depend on what is accepted, so that the ends of campaigns that accept more are read off one that
    goes on. None as the probability accepts as much as there; None is answered where the campaign goes on.
    """
    if decision.stop is not None:
        return decision.stop.reason
    stated = decision.stated_failure_probability
    if stated is None or failure_probability is None or stated >= failure_probability:
        return None
    has_contenders = decision.n_contenders > 0 or not decision.model_errors
    return StopReason.FAILURE_PROBABILITY if has_contenders else StopReason.ALL_CONTENDERS_KNOWN


def all_known(now: Situation) -> Stop | None:
    """There is nothing left to calculate."""
    if now.known.unknown.size:
        return None
    return Stop(reason=StopReason.ALL_KNOWN, sentence="Every candidate's energy is known.")


def no_hull(now: Situation) -> Stop | None:
    """The structures of a pure element failed, and no other of it may be asked for."""
    known = now.known
    if known.has_hull or not known.decisions:
        return None
    answered, chosen = pure(known.fractions[known.answered]), pure(known.fractions[list(now.affordable)])
    missing = [place for place, indices in enumerate(answered) if not indices.size]
    if all(chosen[place].size for place in missing):
        return None
    wanted = pure(known.fractions[list(now.decision.chosen)])
    is_out_of_budget = all(wanted[place].size for place in missing)
    elements = " and ".join(
        known.pool.end_labels[place] for place in missing if is_out_of_budget or not wanted[place].size
    )
    allowed = " that the budget allows" if is_out_of_budget else ""
    return Stop(
        reason=StopReason.NO_HULL,
        sentence=f"There is no hull: the calculation of every structure of {elements} failed{allowed}.",
    )


def no_contenders(now: Situation) -> Stop | None:
    """The rule's model leaves no candidate that could matter, and no probability that the rule states speaks against that."""
    decision = now.decision
    if decision.n_contenders or not decision.model_errors or not now.is_confident:
        return None
    return now.none_left


def failure_probability(now: Situation) -> Stop | None:
    """The hull is wrong with a smaller probability than is accepted."""
    stated, settings = now.decision.stated_failure_probability, now.settings
    if stated is None or not now.is_confident:
        return None
    return Stop(
        reason=StopReason.FAILURE_PROBABILITY,
        sentence=(
            f"The probability that the hull is wrong by more than {MILLI * settings.hull_tolerance:g} meV/atom is "
            f"{stated_percent(stated, below=settings.failure_probability)}, below the accepted "
            f"{PERCENT * settings.failure_probability:g} %."
        ),
    )


def only_failed_left(now: Situation) -> Stop | None:
    """Nothing but candidates that failed keeps the hull uncertain."""
    known, decision, settings = now.known, now.decision, now.settings
    left, stated = decision.stated_settleable_probability, decision.stated_failure_probability
    if left is None or stated is None or not known.n_failed or left >= settings.failure_probability:
        return None
    return Stop(
        reason=StopReason.ONLY_FAILED_LEFT,
        sentence=(
            f"What can still be calculated moves the hull by more than {MILLI * settings.hull_tolerance:g} meV/atom with a "
            f"probability of {stated_percent(left, below=settings.failure_probability)}, below the accepted "
            f"{PERCENT * settings.failure_probability:g} %. With the candidates that failed ({known.n_failed}) the probability of "
            f"a wrong hull is {stated_percent(stated)}."
        ),
    )


def budget(now: Situation) -> Stop | None:
    """The limits allow nothing that the rule asks for."""
    known, settings = now.known, now.settings
    if now.affordable or not now.decision.chosen:
        return None
    if settings.max_calculations is not None and known.asked.size >= settings.max_calculations:
        sentence = f"The limit of {settings.max_calculations} calculations was reached before the rule was satisfied."
        return Stop(reason=StopReason.MAX_CALCULATIONS, sentence=sentence)
    spent = f"{known.spent:g} of the cost of {settings.max_cost:g} that may be spent are"
    sentence = f"{spent}, and the rest covers nothing that the rule asks for."
    return Stop(reason=StopReason.MAX_COST, sentence=sentence)


def all_asked(now: Situation) -> Stop | None:
    """Every candidate was asked for, and some failed."""
    known = now.known
    if now.decision.chosen or known.askable.size:
        return None
    sentence = f"Every candidate was asked for; {known.n_failed} of {known.n_calculable} failed."
    return Stop(reason=StopReason.ALL_ASKED, sentence=sentence)


def nothing_chosen(now: Situation) -> Stop | None:
    """The rule asks for nothing more."""
    return None if now.decision.chosen else now.none_left


ENDS: tuple[Callable[[Situation], Stop | None], ...] = (
    all_known,
    no_hull,
    no_contenders,
    failure_probability,
    only_failed_left,
    budget,
    all_asked,
    nothing_chosen,
)


def _affordable(known: Known, wanted: tuple[int, ...], settings: StopSettings) -> tuple[int, ...]:
    n_left = np.inf if settings.max_calculations is None else settings.max_calculations - known.asked.size
    # Rounding of a sum of costs must not refuse the last calculation of a budget that is just enough.
    left = np.inf if settings.max_cost is None else settings.max_cost * (1.0 + 1e-12) - known.spent
    chosen: list[int] = []
    for index in wanted:
        if len(chosen) < n_left and known.cost[index] <= left:
            chosen.append(index)
            left -= known.cost[index]
    return tuple(chosen)
