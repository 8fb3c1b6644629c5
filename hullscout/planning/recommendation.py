"""Which setting to take: the cheapest whose observed risk is below the wanted one with confidence, or a plain "none is"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hullscout.display import PERCENT
from hullscout.errors import InvalidPlanError
from hullscout.planning.intervals import Rate, fewest_runs, three_digits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hullscout.planning.trade_off import Outcome, Total


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """The cheapest setting whose risk is below the wanted one with confidence, or the reason why none is.

    Attributes:
        campaign: Name of the campaign, None for all of a plan together.
        outcome: The recommended setting's; None where there is none.
        sentence: What to tell a person.
    """

    campaign: str | None
    outcome: Outcome | None
    sentence: str


def recommend(outcomes: Sequence[Outcome], *, risk: float) -> Recommendation:
    """Recommend among the settings of one campaign.

    Confidence: the upper end of the 95 % interval of the observed risk is at most the wanted risk. The interval speaks of the seeds
    of this pool, not of another alloy.

    Args:
        outcomes: Of one campaign, one or more.
        risk: Wanted risk, between 0 and 1.

    Raises:
        InvalidPlanError: The risk is no probability.
    """
    if not 0.0 < risk < 1.0:
        raise InvalidPlanError(f"Expected a wanted risk above 0 and below 1, found {risk}.")
    name = outcomes[0].campaign
    sure = [outcome for outcome in outcomes if outcome.risk.high <= risk]
    if sure:
        best = min(sure, key=lambda outcome: outcome.expense)
        sentence = (
            f"{name}: take {best.rule} ({best.label}): {best.calculations.mean:.0f} of {best.n_candidates} calculations, "
            f"{100 * best.saved_fraction.mean:.1f} % saved{_in_core_hours(best)}; risk {_percent(best.risk)}, below the wanted "
            f"{100 * risk:g} %."
        )
        return Recommendation(campaign=name, outcome=best, sentence=sentence)
    if outcomes[0].replicates < fewest_runs(risk):
        sentence = too_few(name, outcomes[0].replicates, risk=risk)
    else:
        safest = min(outcomes, key=lambda outcome: (outcome.risk.high, outcome.expense))
        sentence = (
            f"{name}: no setting is below the wanted risk of {100 * risk:g} % with confidence. "
            f"The safest, {safest.rule} ({safest.label}), has {_percent(safest.risk)}."
        )
    return Recommendation(campaign=name, outcome=None, sentence=sentence)


def too_few(name: str, n_runs: int, *, risk: float) -> str:
    """The sentence that says how many replicates it takes to show a risk."""
    runs = "one replicate" if n_runs == 1 else f"{n_runs} replicates"
    return (
        f"{name}: none is: with {runs} even no failure leaves a risk of up to {PERCENT * Rate.of(0, n_runs).high:.1f} %, and "
        f"{PERCENT * risk:g} % are wanted. Give --replicates {fewest_runs(risk)} or more; the finished ones are kept."
    )


def recommend_for_all(sums: Sequence[Total], *, risk: float) -> Recommendation:
    """Recommend one setting for all campaigns of a plan, by the risk of all their replays as one sample.

    Args:
        sums: From `totals`, one or more.
        risk: Wanted risk, between 0 and 1.
    """
    sure = [total for total in sums if total.risk.high <= risk]
    if not sure:
        safest = min(sums, key=lambda total: (total.risk.high, total.expense))
        sentence = (
            f"All together: no setting is below the wanted risk of {PERCENT * risk:g} % with confidence. The safest, "
            f"{safest.label}, has {_percent(safest.risk)}."
        )
        return Recommendation(campaign=None, outcome=None, sentence=sentence)
    best = min(sure, key=lambda total: total.expense)
    hours = (
        ""
        if best.core_hours is None
        else f"; {three_digits(best.core_hours)} core-hours, {PERCENT * (best.core_hours_saved or 0.0):.1f} % saved"
    )
    worst = best.riskiest
    sentence = (
        f"All together: take {best.label}: {best.calculations:.0f} of {best.n_candidates} calculations, "
        f"{PERCENT * best.saved_fraction:.1f} % saved{hours}; risk {_percent(best.risk)} as the mean of these campaigns, "
        f"below the wanted {PERCENT * risk:g} %; largest for {worst.campaign}: {_percent(worst.risk)}."
    )
    return Recommendation(campaign=None, outcome=None, sentence=sentence)


def _in_core_hours(outcome: Outcome) -> str:
    hours, priced = outcome.cost_core_hours, outcome.cost_priced
    if hours is None:
        return ""
    spent, every = three_digits(hours["mean"]), three_digits(hours["all"])
    text = f"; {spent} of {every} core-hours, {100 * hours['saved_fraction']:.1f} % saved"
    if hours["relative_error"]:
        text += f" (the law is uncertain by {100 * hours['relative_error']:.0f} %)"
    return (
        text
        if priced is None
        else f"{text}, {three_digits(float(priced['mean']))} of {three_digits(float(priced['all']))} {priced['unit']}"
    )


def _percent(rate: Rate) -> str:
    return f"{100 * rate.rate:.1f} % ({100 * rate.low:.1f} to {100 * rate.high:.1f} %)"
