"""What a setting saves and what it risks, from replays; the entries of `plan.json`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hullscout.errors import OutputError
from hullscout.hull import VERTEX_TOLERANCE_EV_PER_ATOM
from hullscout.planning.intervals import Rate, Spread

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hullscout.planning.core_hours import Price
    from hullscout.planning.grid import Setting
    from hullscout.planning.path import Path as ReplayPath
    from hullscout.selection.known import Floats


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
        riskiest: The campaign where it was largest.
    """

    rule: str
    varied: dict[str, Any]
    n_candidates: int
    calculations: float
    core_hours: float | None
    core_hours_saved: float | None
    stated: float | None
    risk: Rate
    riskiest: Outcome

    @property
    def saved_fraction(self) -> float:
        """Share of all candidates that was not calculated."""
        return 1.0 - self.calculations / self.n_candidates

    @property
    def expense(self) -> float:
        """What settings are compared by: core-hours where they are known, else calculations."""
        return self.calculations if self.core_hours is None else self.core_hours

    @property
    def label(self) -> str:
        """The rule and what was varied, on one line."""
        varied = ", ".join(f"{key} = {value}" for key, value in self.varied.items())
        return f"{self.rule} ({varied})" if varied else self.rule


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
        riskiest=max(group, key=lambda outcome: outcome.risk.rate),
    )


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
