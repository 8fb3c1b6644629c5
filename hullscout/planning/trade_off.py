"""What each setting saves and what it risks, from replays, with intervals: the entries of `plan.json`, and their sums."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from hullscout.display import PERCENT, saved_percent
from hullscout.hull import VERTEX_TOLERANCE_EV_PER_ATOM
from hullscout.planning.rates import CONFIDENCE, Rate, Spread, mean_interval, three_digits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hullscout.planning.core_hours import Price
    from hullscout.planning.grid import Setting
    from hullscout.planning.replay import Path as ReplayPath
    from hullscout.selection.known import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingOutcome:
    """One setting of one campaign: an entry of `plan.json`. What a setting or plan cannot tell is None.

    Attributes:
        setting: Hull tolerance in eV/atom, accepted failure probability, and what was varied.
        seeds: First and last seed.
        confidence: Of the intervals of shares and means; more than 95 % where the replays are looked at several times.
        saved_fraction: Share of the candidates that was not calculated.
        mean_saved: Interval of its mean.
        within_tolerance, exact_hull_rate: Shares of runs with the hull within the tolerance, and with the true hull.
        failure: `stated`: mean over the runs of what the rule stated at the end; `rate`, `low`, `high`: the observed share of runs
            beyond the tolerance, with its interval.
        missed: Ground states that were not looked up in runs beyond the tolerance, by id, and in how many; most often first.
        cost: Cost of the calculations in the unit of the campaign's costs, and the share of the whole pool's cost that was saved.
        cost_core_hours: The same, with the relative standard error of the cost model.
        cost_priced: The same in money or units of an allocation, and the `unit`.
    """

    campaign: str
    rule: str
    setting: dict[str, Any]
    replicates: int
    confidence: float
    seeds: tuple[int, int]
    n_candidates: int
    saved_fraction: Spread
    mean_saved: tuple[float, float]
    calculations: Spread
    within_tolerance: Rate
    exact_hull_rate: float
    hull_error_ev_per_atom: dict[str, float]
    failure: dict[str, float | None]
    missed: dict[str, int]
    stop_reasons: dict[str, int]
    cost: dict[str, float]
    cost_core_hours: dict[str, float] | None
    cost_priced: dict[str, float | str] | None

    @property
    def risk(self) -> Rate:
        """The observed risk of a hull beyond the tolerance."""
        return self.within_tolerance.complement

    @property
    def stated(self) -> float | None:
        """Mean of the probabilities that the rule stated at the end."""
        return self.failure["stated"]

    @property
    def expense(self) -> float:
        """What settings are compared by: mean core-hours where they are known, else mean cost."""
        return (self.cost if self.cost_core_hours is None else self.cost_core_hours)["mean"]

    @property
    def label(self) -> str:
        """The rule and the varied settings on one line."""
        return f"{self.rule} ({_listed(self.setting)})"

    @property
    def in_words(self) -> str:
        """What it takes, saves and risks."""
        hours, priced = self.cost_core_hours, self.cost_priced
        text = f"{self.calculations.mean:.0f} of {self.n_candidates} calculations"
        text += f", {saved_percent(self.saved_fraction.mean)} saved"
        if hours is not None:
            spent, every = three_digits(hours["mean"]), three_digits(hours["all"])
            text += f"; {spent} of {every} core-hours, {saved_percent(hours['saved_fraction'])} saved"
            if hours["relative_error"]:
                text += f" (the law is uncertain by {PERCENT * hours['relative_error']:.0f} %)"
        if priced is not None:
            text += f", {three_digits(float(priced['mean']))} of {three_digits(float(priced['all']))} {priced['unit']}"
        return f"{text}; risk {self.risk}"

    @property
    def most_missed(self) -> str:
        """The ground state that was missed most often in wrong runs, in a sentence to go on with; empty without one."""
        if not self.missed:
            return ""
        name, count = next(iter(self.missed.items()))
        n_wrong = round(self.risk.rate * self.replicates)
        return f" Most often missed: {name}, in {count} of the {n_wrong} wrong {'run' if n_wrong == 1 else 'runs'}."

    largest_risk: ClassVar[str] = ""


def outcome_of(
    setting: Setting,
    paths: Sequence[ReplayPath],
    *,
    n_candidates: int,
    cost: Floats,
    ground_states: Mapping[int, str] | None = None,
    core_hours: Floats | None = None,
    core_hours_error: float = 0.0,
    price: Price | None = None,
    confidence: float = CONFIDENCE,
) -> SettingOutcome:
    """Read the outcome of a setting off its replays, one or more, played at least as far as the setting asks.

    The (n,) costs are of the candidates, in the unit of the campaign's costs; the error is that of the sum of core-hours, relative.
    `ground_states` are the ids of the vertices of the true hull by index.
    """
    stop = setting.config.stop
    ends = [path.end(setting.failure_probability) for path in paths]
    errors = [end.hull_error_ev_per_atom for end in ends]
    right = Rate.of(sum(error <= stop.hull_tolerance for error in errors), len(ends), confidence=confidence)
    stated = [end.stated for end in ends if end.stated is not None]
    reasons = [str(end.reason) for end in ends]

    def spent(cost: Floats) -> dict[str, float]:
        looked_up = [list(path.order[: end.n_calculations]) for path, end in zip(paths, ends, strict=True)]
        spread, every = Spread.of(float(cost[indices].sum()) for indices in looked_up), float(cost.sum())
        return {**asdict(spread), "all": every, "saved_fraction": 1.0 - spread.mean / every}

    hours = None if core_hours is None else {**spent(core_hours), "relative_error": core_hours_error}
    priced: dict[str, float | str] | None = None
    if hours is not None and price is not None:
        amounts = {key: price.per_core_hour * hours[key] for key in ("mean", "p05", "p95", "all")}
        priced = {"unit": price.unit, **amounts}
    named = {key.removeprefix("select.").removeprefix("stop."): value for key, value in setting.varied.items()}
    varied = {key: value for key, value in named.items() if key != "rule"}
    wrong = [place for place, error in enumerate(errors) if error > stop.hull_tolerance]
    found = [set(paths[place].order[: ends[place].n_calculations]) for place in wrong]
    missed = Counter(name for index, name in (ground_states or {}).items() for of_run in found if index not in of_run)
    saved = [1.0 - end.n_calculations / n_candidates for end in ends]
    low, high = mean_interval(saved, confidence=confidence)
    fixed = {"hull_tolerance": stop.hull_tolerance, "failure_probability": setting.failure_probability}
    return SettingOutcome(
        campaign=setting.config.name,
        rule=setting.config.select.rule,
        setting={**fixed, **varied},
        replicates=len(ends),
        confidence=confidence,
        seeds=(paths[0].seed, paths[-1].seed),
        n_candidates=n_candidates,
        saved_fraction=Spread.of(saved),
        mean_saved=(max(low, 0.0), min(high, 1.0)),
        calculations=Spread.of(end.n_calculations for end in ends),
        within_tolerance=right,
        exact_hull_rate=sum(error <= VERTEX_TOLERANCE_EV_PER_ATOM for error in errors) / len(errors),
        hull_error_ev_per_atom={"mean": sum(errors) / len(errors), "max": max(errors)},
        failure={"stated": sum(stated) / len(stated) if stated else None, **asdict(right.complement)},
        missed=dict(missed.most_common()),
        stop_reasons={reason: reasons.count(reason) for reason in sorted(set(reasons))},
        cost=spent(cost),
        cost_core_hours=hours,
        cost_priced=priced,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """A setting over all campaigns of a plan: the sums over their means and pools, and what was varied beside the rule.

    The risk is that of all replays as one sample, of these pools only; `riskiest` is the campaign where it was largest. `parts` are
    the settings that are summed.
    """

    rule: str
    varied: dict[str, Any]
    replicates: int
    n_candidates: int
    calculations: float
    core_hours: float | None
    core_hours_saved: float | None
    stated: float | None
    risk: Rate
    riskiest: SettingOutcome
    parts: tuple[SettingOutcome, ...]
    campaign: ClassVar[str] = "All together"

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
        return f"{self.rule} ({_listed(self.varied)})" if self.varied else self.rule

    @property
    def in_words(self) -> str:
        """What it takes, saves and risks."""
        hours = ""
        if self.core_hours is not None:
            saved = saved_percent(self.core_hours_saved or 0.0)
            hours = f"; {three_digits(self.core_hours)} core-hours, {saved} saved"
        return (
            f"{self.calculations:.0f} of {self.n_candidates} calculations, {saved_percent(self.saved_fraction)} saved{hours}; "
            f"risk {self.risk} as the mean of these campaigns"
        )

    @property
    def most_missed(self) -> str:
        """What the campaign with the largest risk missed most often."""
        return self.riskiest.most_missed

    @property
    def largest_risk(self) -> str:
        """Where the risk is largest, to go on with."""
        return f"; largest for {self.riskiest.campaign}: {self.riskiest.risk}"


def totals(outcomes: Sequence[SettingOutcome]) -> tuple[Total, ...]:
    """Each setting over all campaigns, where every campaign has it, in the order of the first campaign."""
    n_campaigns = len({outcome.campaign for outcome in outcomes})
    found: dict[str, list[SettingOutcome]] = {}
    for outcome in outcomes:
        found.setdefault(json.dumps([outcome.rule, outcome.setting], sort_keys=True), []).append(outcome)
    groups = [group for group in found.values() if len(group) == n_campaigns]
    shared = {
        key for key, value in outcomes[0].setting.items() if all(group[0].setting.get(key) == value for group in groups)
    }
    return tuple(_total(group, shared) for group in groups)


def _total(group: Sequence[SettingOutcome], shared: set[str]) -> Total:
    hours = [outcome.cost_core_hours for outcome in group if outcome.cost_core_hours is not None]
    spent, every = sum(one["mean"] for one in hours), sum(one["all"] for one in hours)
    stated = [value for outcome in group if (value := outcome.failure["stated"]) is not None]
    n_runs = sum(outcome.replicates for outcome in group)
    n_right = sum(round(outcome.within_tolerance.rate * outcome.replicates) for outcome in group)
    return Total(
        rule=group[0].rule,
        varied={key: value for key, value in group[0].setting.items() if key not in shared and value is not None},
        replicates=n_runs,
        n_candidates=sum(outcome.n_candidates for outcome in group),
        calculations=sum(outcome.calculations.mean for outcome in group),
        core_hours=spent if hours else None,
        core_hours_saved=1.0 - spent / every if hours else None,
        stated=sum(stated) / len(stated) if stated else None,
        risk=Rate.of(n_right, n_runs, confidence=group[0].confidence).complement,
        parts=tuple(group),
        riskiest=max(group, key=lambda outcome: outcome.risk.rate),
    )


def _listed(setting: dict[str, Any]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in setting.items() if value is not None)
