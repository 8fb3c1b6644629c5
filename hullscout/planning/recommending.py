"""Which setting to take, and whether replays have decided that.

The cheapest is recommended of those whose observed risk is below the wanted one with confidence, or it is said that there is none:
the upper end of the interval of the risk is at most the wanted one. A campaign is decided once no cheaper setting may still turn
out to be safe (every one is safe or unsafe, its interval on one side of the wanted risk), and what the one that is taken saves is
known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from hullscout.display import PERCENT
from hullscout.errors import InvalidPlanError
from hullscout.planning.rates import Rate, fewest_runs
from hullscout.planning.trade_off import SettingOutcome, Total, totals

if TYPE_CHECKING:
    from collections.abc import Sequence

Option = TypeVar("Option", bound=SettingOutcome | Total)

MOST = 0.5
"""A setting that is wrong in more than this share of replays is no matter of their number."""
MAX_SAVED_ERROR = 0.02
"""Half the interval of the mean share that is saved, at most, of a plan that is decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """The cheapest setting whose risk is below the wanted one with confidence, or None; and the sentence that says it or why."""

    option: SettingOutcome | Total | None
    sentence: str


def recommend(options: Sequence[SettingOutcome | Total], *, risk: float) -> Recommendation:
    """Recommend among the settings of one campaign, or of all campaigns together by all their replays as one sample.

    The intervals speak of the seeds of these pools, not of another alloy.
    """
    if not 0.0 < risk < 1.0:
        raise InvalidPlanError(f"Expected a wanted risk above 0 and below 1, found {risk}.")
    name = options[0].campaign
    best = cheapest_safe(options, risk=risk)
    if best is not None:
        sentence = (
            f"{name}: take {best.label}: {best.in_words}, below the wanted {PERCENT * risk:g} %{best.largest_risk}."
        )
    elif are_all_unsafe(options, risk=risk):
        safest = chosen(options, risk=risk)
        stated = "" if safest.stated is None else f", where {PERCENT * safest.stated:.1f} % were stated"
        more = " More replicates will not change that." if safest.risk.low > risk else ""
        sentence = (
            f"{name}: no setting is safe enough. The safest, {safest.label}, has {safest.risk} wrong hulls{stated}, and "
            f"{PERCENT * risk:g} % are wanted{safest.largest_risk}.{safest.most_missed}{more}"
        )
    elif isinstance(options[0], SettingOutcome) and are_too_few(options[0], risk=risk):
        sentence = too_few(name, options[0], risk=risk)
    else:
        safest = chosen(options, risk=risk)
        sentence = (
            f"{name}: no setting is below the wanted risk of {PERCENT * risk:g} % with confidence. "
            f"The safest, {safest.label}, has {safest.risk}."
        )
    return Recommendation(option=best, sentence=sentence)


def is_safe(options: Sequence[SettingOutcome], *, risk: float) -> bool:
    """Whether the risk of one of the settings is below the wanted one with confidence."""
    return cheapest_safe(options, risk=risk) is not None


def are_all_unsafe(options: Sequence[SettingOutcome | Total], *, risk: float) -> bool:
    """Whether every setting is wrong in most replays, or its observed risk above the wanted one, its whole interval included."""
    return all(one.risk.low > risk or one.risk.rate > max(MOST, risk) for one in options)


def are_too_few(outcome: SettingOutcome, *, risk: float) -> bool:
    """Whether so few replays do not show the risk even where none is wrong."""
    return outcome.replicates < fewest_runs(risk, confidence=outcome.confidence)


def too_few(name: str, outcome: SettingOutcome, *, risk: float) -> str:
    """The sentence that says how many replicates it takes to show a risk."""
    n_runs, confidence = outcome.replicates, outcome.confidence
    runs = "one replicate" if n_runs == 1 else f"{n_runs} replicates"
    up_to = PERCENT * Rate.of(0, n_runs, confidence=confidence).high
    return (
        f"{name}: {runs} cannot show that a setting is safe enough: even where none is wrong, the risk may be up to {up_to:.1f} %, "
        f"and {PERCENT * risk:g} % are wanted. "
        f"Give --replicates {fewest_runs(risk)} or more; the finished ones are kept."
    )


def cheapest_safe(options: Sequence[Option], *, risk: float) -> Option | None:
    """The cheapest of the settings whose risk is below the wanted one with confidence; None where there is none."""
    return min((one for one in options if one.risk.high <= risk), key=lambda one: one.expense, default=None)


def chosen(options: Sequence[Option], *, risk: float) -> Option:
    """The setting to go on with: the cheapest safe one, or else the safest."""
    best = cheapest_safe(options, risk=risk)
    return min(options, key=lambda one: (one.risk.high, one.expense)) if best is None else best


def undecided(options: Sequence[SettingOutcome], *, risk: float) -> tuple[str, ...]:
    """What more replays may still change of the recommendation for one campaign, in words; nothing where it is decided."""
    best = cheapest_safe(options, risk=risk)
    open_ones = [
        f"whether the risk of {one.label}, {one.risk}, is below {PERCENT * risk:g} %"
        for one in options
        if one.risk.low <= risk < one.risk.high and (best is None or one.expense < best.expense)
    ]
    low, high = chosen(options, risk=risk).mean_saved
    if (high - low) / 2.0 > MAX_SAVED_ERROR:
        open_ones.append(
            f"what is saved to within {PERCENT * MAX_SAVED_ERROR:g} points ({PERCENT * low:.1f} to {PERCENT * high:.1f} %)"
        )
    return tuple(open_ones)


def recommendations(outcomes: Sequence[SettingOutcome], *, risk: float) -> tuple[Recommendation, ...]:
    """One recommendation for each campaign, and one for all of several together."""
    by_name = of_campaigns(outcomes)
    each = tuple(recommend(options, risk=risk) for options in by_name.values())
    if len(by_name) > 1 and are_too_few(outcomes[0], risk=risk):
        unsafe = (
            one for one, options in zip(each, by_name.values(), strict=True) if are_all_unsafe(options, risk=risk)
        )
        each = (
            *unsafe,
            Recommendation(option=None, sentence=too_few("Each by itself", outcomes[0], risk=risk)),
        )
    sums = totals(outcomes) if len(by_name) > 1 else ()
    return (*each, recommend(sums, risk=risk)) if sums else each


def of_campaigns(outcomes: Sequence[SettingOutcome]) -> dict[str, list[SettingOutcome]]:
    """The settings of each campaign, by its name."""
    by_name: dict[str, list[SettingOutcome]] = {}
    for outcome in outcomes:
        by_name.setdefault(outcome.campaign, []).append(outcome)
    return by_name
