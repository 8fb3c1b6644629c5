"""What a setting saves and what it risks, from replays; the entries of `plan.json`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hullscout.errors import InvalidPlanError, OutputError
from hullscout.hull import VERTEX_TOLERANCE_EV_PER_ATOM
from hullscout.planning.intervals import Rate, Spread, fewest_runs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hullscout.planning.core_hours import Price
    from hullscout.planning.grid import Setting
    from hullscout.planning.path import Path as ReplayPath
    from hullscout.selection.interface import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One setting of one campaign: an entry of `plan.json`.

    Attributes:
        campaign: Name of the campaign.
        rule: Its rule.
        setting: Hull tolerance in eV/atom, accepted failure probability (None for rules that state none), and what was varied.
        replicates: Number of replays.
        seeds: First and last seed.
        n_candidates: Size of the pool.
        saved_fraction: Share of the candidates that was not calculated.
        calculations: Number of calculations.
        within_tolerance: Share of runs with the hull within the tolerance, with its 95 % interval after Clopper and Pearson.
        exact_hull_rate: Share of runs with the true hull.
        hull_error_ev_per_atom: Its mean and largest value.
        failure: `stated`: mean over the runs of what the rule stated at the end, None where it states none; `rate`, `low`, `high`:
            the observed share of runs beyond the tolerance, with its interval.
        stop_reasons: Number of runs by reason of the end.
        cost: Cost of the calculations in the unit of the campaign's costs, and the share of the whole pool's cost that was saved.
        cost_core_hours: The same in core-hours, with the relative standard error of the cost model; None where no model says what a
            calculation takes.
        cost_priced: Mean, percentiles and the whole pool's cost in money or units of an allocation, and the `unit`; None where a
            core-hour has no price.
    """

    campaign: str
    rule: str
    setting: dict[str, Any]
    replicates: int
    seeds: tuple[int, int]
    n_candidates: int
    saved_fraction: Spread
    calculations: Spread
    within_tolerance: Rate
    exact_hull_rate: float
    hull_error_ev_per_atom: dict[str, float]
    failure: dict[str, float | None]
    stop_reasons: dict[str, int]
    cost: dict[str, float]
    cost_core_hours: dict[str, float] | None
    cost_priced: dict[str, float | str] | None

    @property
    def risk(self) -> Rate:
        """The observed risk of a hull beyond the tolerance."""
        return self.within_tolerance.complement

    @property
    def expense(self) -> float:
        """What settings are compared by: mean core-hours where they are known, else mean cost."""
        return (self.cost if self.cost_core_hours is None else self.cost_core_hours)["mean"]

    @property
    def label(self) -> str:
        """The varied settings on one line."""
        return ", ".join(f"{key} = {value}" for key, value in self.setting.items() if value is not None)


def outcome_of(
    setting: Setting,
    paths: Sequence[ReplayPath],
    *,
    n_candidates: int,
    cost: Floats,
    core_hours: Floats | None = None,
    core_hours_error: float = 0.0,
    price: Price | None = None,
) -> Outcome:
    """Read the outcome of a setting off its replays.

    Args:
        setting: Which one.
        paths: One or more, played at least as far as the setting asks.
        n_candidates: Size of the pool.
        cost: (n,) cost of each calculation in the unit of the campaign's costs.
        core_hours: (n,) core-hours of each, where a cost model says so.
        core_hours_error: Relative standard error of their sum.
        price: Of a core-hour, where it has one.
    """
    stop = setting.config.stop
    ends = [path.end(setting.failure_probability) for path in paths]
    errors = [end.hull_error_ev_per_atom for end in ends]
    n_right = sum(error <= stop.hull_tolerance for error in errors)
    right = Rate.of(n_right, len(ends))
    stated = [end.stated for end in ends if end.stated is not None]
    reasons = [str(end.reason) for end in ends]
    hours = None
    if core_hours is not None:
        hours = {**_spent(paths, [end.n_calculations for end in ends], core_hours), "relative_error": core_hours_error}
    priced: dict[str, float | str] | None = None
    if hours is not None and price is not None:
        amounts = {key: price.per_core_hour * hours[key] for key in ("mean", "p05", "p95", "all")}
        priced = {"unit": price.unit, **amounts}
    varied = {
        key.removeprefix("select.").removeprefix("stop."): value
        for key, value in setting.varied.items()
        if key != "select.rule"
    }
    return Outcome(
        campaign=setting.config.name,
        rule=setting.config.select.rule,
        setting={
            "hull_tolerance": stop.hull_tolerance,
            "failure_probability": setting.failure_probability,
            **varied,
        },
        replicates=len(ends),
        seeds=(paths[0].seed, paths[-1].seed),
        n_candidates=n_candidates,
        saved_fraction=Spread.of(1.0 - end.n_calculations / n_candidates for end in ends),
        calculations=Spread.of(end.n_calculations for end in ends),
        within_tolerance=right,
        exact_hull_rate=sum(error <= VERTEX_TOLERANCE_EV_PER_ATOM for error in errors) / len(errors),
        hull_error_ev_per_atom={"mean": sum(errors) / len(errors), "max": max(errors)},
        failure={"stated": sum(stated) / len(stated) if stated else None, **asdict(right.complement)},
        stop_reasons={reason: reasons.count(reason) for reason in sorted(set(reasons))},
        cost=_spent(paths, [end.n_calculations for end in ends], cost),
        cost_core_hours=hours,
        cost_priced=priced,
    )


def _spent(paths: Sequence[ReplayPath], n_calculations: Sequence[int], cost: Floats) -> dict[str, float]:
    spent = [float(cost[list(path.order[:n])].sum()) for path, n in zip(paths, n_calculations, strict=True)]
    spread = Spread.of(spent)
    return {**asdict(spread), "all": float(cost.sum()), "saved_fraction": 1.0 - spread.mean / float(cost.sum())}


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """A setting over all campaigns of a plan.

    Attributes:
        rule: The rule.
        varied: What was varied beside it.
        n_candidates: Of all pools.
        calculations: Sum of the campaigns' means.
        core_hours: The same in core-hours; None where no model says what a calculation takes.
        core_hours_saved: Saved share of them.
        stated: Mean of the stated risks; None where the rule states none.
        risk: Observed, all replays as one sample. They are of these pools only.
    """

    rule: str
    varied: dict[str, Any]
    n_candidates: int
    calculations: float
    core_hours: float | None
    core_hours_saved: float | None
    stated: float | None
    risk: Rate

    @property
    def saved_fraction(self) -> float:
        """Share of all candidates that was not calculated."""
        return 1.0 - self.calculations / self.n_candidates


def totals(outcomes: Sequence[Outcome]) -> tuple[Total, ...]:
    """Each setting over all campaigns, where every campaign has it, in the order of the first campaign."""
    n_campaigns = len({outcome.campaign for outcome in outcomes})
    found: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        found.setdefault(json.dumps([outcome.rule, outcome.setting], sort_keys=True), []).append(outcome)
    groups = [group for group in found.values() if len(group) == n_campaigns]
    shared = {
        key for key, value in outcomes[0].setting.items() if all(group[0].setting.get(key) == value for group in groups)
    }
    return tuple(_total(group, shared) for group in groups)


def _total(group: Sequence[Outcome], shared: set[str]) -> Total:
    hours = [outcome.cost_core_hours for outcome in group if outcome.cost_core_hours is not None]
    spent, every = sum(one["mean"] for one in hours), sum(one["all"] for one in hours)
    stated = [value for outcome in group if (value := outcome.failure["stated"]) is not None]
    n_runs = sum(outcome.replicates for outcome in group)
    n_right = sum(round(outcome.within_tolerance.rate * outcome.replicates) for outcome in group)
    return Total(
        rule=group[0].rule,
        varied={key: value for key, value in group[0].setting.items() if key not in shared and value is not None},
        n_candidates=sum(outcome.n_candidates for outcome in group),
        calculations=sum(outcome.calculations.mean for outcome in group),
        core_hours=spent if hours else None,
        core_hours_saved=1.0 - spent / every if hours else None,
        stated=sum(stated) / len(stated) if stated else None,
        risk=Rate.of(n_right, n_runs).complement,
    )


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
    n_least = fewest_runs(risk)
    if outcomes[0].replicates < n_least:
        sentence = (
            f"{name}: none is: with {_runs(outcomes[0].replicates)} even no failure leaves a risk of up to "
            f"{100 * Rate.of(0, outcomes[0].replicates).high:.1f} %, and {100 * risk:g} % are wanted. "
            f"Give --replicates {n_least} or more; the finished ones are kept."
        )
    else:
        safest = min(outcomes, key=lambda outcome: (outcome.risk.high, outcome.expense))
        sentence = (
            f"{name}: no setting is below the wanted risk of {100 * risk:g} % with confidence. "
            f"The safest, {safest.rule} ({safest.label}), has {_percent(safest.risk)}."
        )
    return Recommendation(campaign=name, outcome=None, sentence=sentence)


def _in_core_hours(outcome: Outcome) -> str:
    hours, priced = outcome.cost_core_hours, outcome.cost_priced
    if hours is None:
        return ""
    text = f"; {hours['mean']:.3g} of {hours['all']:.3g} core-hours, {100 * hours['saved_fraction']:.1f} % saved"
    if hours["relative_error"]:
        text += f" (the law is uncertain by {100 * hours['relative_error']:.0f} %)"
    return text if priced is None else f"{text}, {priced['mean']:.3g} of {priced['all']:.3g} {priced['unit']}"


def _runs(n_runs: int) -> str:
    return "one replicate" if n_runs == 1 else f"{n_runs} replicates"


def _percent(rate: Rate) -> str:
    return f"{100 * rate.rate:.1f} % ({100 * rate.low:.1f} to {100 * rate.high:.1f} %)"


def save_json(path: Path, tree: object) -> None:
    """Write a tree as JSON, whole or not at all.

    Raises:
        OutputError: It cannot be written.
    """
    half_made = path.with_name(f".{path.name}.new")
    try:
        half_made.write_text(json.dumps(tree, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        half_made.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}. The replays are kept; run again.") from error
