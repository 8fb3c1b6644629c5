"""What each setting saves and what it risks, from replays, with intervals; and which one to take.

The settings' outcomes are the entries of `plan.json`. The cheapest is recommended of those whose observed risk is below the wanted
one with confidence, or a plain "none is": the upper end of the 95 % interval of the risk is at most the wanted one.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import scipy

from hullscout.display import PERCENT
from hullscout.errors import InvalidPlanError
from hullscout.hull import VERTEX_TOLERANCE_EV_PER_ATOM

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hullscout.planning.core_hours import Price
    from hullscout.planning.grid import Setting
    from hullscout.planning.replay import Path as ReplayPath
    from hullscout.selection.known import Floats

CONFIDENCE = 0.95
MOST = 0.5
"""A setting that is wrong in more than this share of replays is no matter of their number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A share of runs, with its two-sided 95 % interval after Clopper and Pearson (exact; it covers at least 95 %).

    Source: Clopper & Pearson, Biometrika 26, 404 (1934).
    """

    rate: float
    low: float
    high: float

    @classmethod
    def of(cls, n_hits: int, n_runs: int) -> Self:
        """The rate of hits among one or more runs.

        >>> Rate.of(30, 30).low.__round__(3)
        0.884
        """
        beyond = (1.0 - CONFIDENCE) / 2.0
        low = scipy.special.betaincinv(n_hits, n_runs - n_hits + 1, beyond) if n_hits else 0.0
        high = scipy.special.betaincinv(n_hits + 1, n_runs - n_hits, 1.0 - beyond) if n_hits < n_runs else 1.0
        return cls(rate=n_hits / n_runs, low=float(low), high=float(high))

    @property
    def complement(self) -> Rate:
        """The rate of misses."""
        return Rate(rate=1.0 - self.rate, low=1.0 - self.high, high=1.0 - self.low)

    def __str__(self) -> str:
        return f"{PERCENT * self.rate:.1f} % ({PERCENT * self.low:.1f} to {PERCENT * self.high:.1f} %)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Mean and 5th and 95th percentile of a quantity over runs, in its own unit."""

    mean: float
    p05: float
    p95: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """The spread of one or more values.

        >>> Spread.of([1.0, 2.0, 3.0])
        Spread(mean=2.0, p05=1.1, p95=2.9)
        """
        array = np.asarray(list(values), dtype=np.float64)
        low, high = np.quantile(array, [0.05, 0.95])
        return cls(mean=float(array.mean()), p05=float(low), p95=float(high))


def three_digits(amount: float) -> str:
    """An amount with three digits, whole from 1000 on.

    >>> three_digits(1234.5), three_digits(0.012345)
    ('1234', '0.0123')
    """
    return f"{amount:.0f}" if abs(amount) >= 999.5 else f"{amount:.3g}"


def fewest_runs(risk: float) -> int:
    """Runs that are needed at least to show that a risk is below `risk`: without any failure the interval ends just there.

    1 - (alpha / 2)^(1 / n) <= risk, from Clopper and Pearson's upper end at no failure.

    >>> fewest_runs(0.05)
    72
    """
    return int(np.ceil(np.log((1.0 - CONFIDENCE) / 2.0) / np.log1p(-risk)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingOutcome:
    """One setting of one campaign: an entry of `plan.json`. What a setting or plan cannot tell is None.

    Attributes:
        setting: Hull tolerance in eV/atom, accepted failure probability, and what was varied.
        seeds: First and last seed.
        saved_fraction: Share of the candidates that was not calculated.
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
    seeds: tuple[int, int]
    n_candidates: int
    saved_fraction: Spread
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
        text += f", {PERCENT * self.saved_fraction.mean:.1f} % saved"
        if hours is not None:
            spent, every = three_digits(hours["mean"]), three_digits(hours["all"])
            text += f"; {spent} of {every} core-hours, {PERCENT * hours['saved_fraction']:.1f} % saved"
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
) -> SettingOutcome:
    """Read the outcome of a setting off its replays, one or more, played at least as far as the setting asks.

    The (n,) costs are of the candidates, in the unit of the campaign's costs; the error is that of the sum of core-hours, relative.
    `ground_states` are the ids of the vertices of the true hull by index.
    """
    stop = setting.config.stop
    ends = [path.end(setting.failure_probability) for path in paths]
    errors = [end.hull_error_ev_per_atom for end in ends]
    right = Rate.of(sum(error <= stop.hull_tolerance for error in errors), len(ends))
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
    fixed = {"hull_tolerance": stop.hull_tolerance, "failure_probability": setting.failure_probability}
    return SettingOutcome(
        campaign=setting.config.name,
        rule=setting.config.select.rule,
        setting={**fixed, **varied},
        replicates=len(ends),
        seeds=(paths[0].seed, paths[-1].seed),
        n_candidates=n_candidates,
        saved_fraction=Spread.of(1.0 - end.n_calculations / n_candidates for end in ends),
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

    The risk is that of all replays as one sample, of these pools only; `riskiest` is the campaign where it was largest.
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
            saved = PERCENT * (self.core_hours_saved or 0.0)
            hours = f"; {three_digits(self.core_hours)} core-hours, {saved:.1f} % saved"
        return (
            f"{self.calculations:.0f} of {self.n_candidates} calculations, {PERCENT * self.saved_fraction:.1f} % saved{hours}; "
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
        risk=Rate.of(n_right, n_runs).complement,
        riskiest=max(group, key=lambda outcome: outcome.risk.rate),
    )


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
    name, n_runs = options[0].campaign, options[0].replicates
    best = min((one for one in options if one.risk.high <= risk), key=lambda one: one.expense, default=None)
    if best is not None:
        sentence = (
            f"{name}: take {best.label}: {best.in_words}, below the wanted {PERCENT * risk:g} %{best.largest_risk}."
        )
    elif are_all_unsafe(options, risk=risk):
        safest = min(options, key=lambda one: (one.risk.rate, one.expense))
        stated = "" if safest.stated is None else f", where {PERCENT * safest.stated:.1f} % were stated"
        more = " More replicates will not change that." if safest.risk.low > risk else ""
        sentence = (
            f"{name}: no setting is safe enough. The safest, {safest.label}, has {safest.risk} wrong hulls{stated}, and "
            f"{PERCENT * risk:g} % are wanted{safest.largest_risk}.{safest.most_missed}{more}"
        )
    elif n_runs < fewest_runs(risk) and isinstance(options[0], SettingOutcome):
        sentence = too_few(name, n_runs, risk=risk)
    else:
        safest = min(options, key=lambda one: (one.risk.high, one.expense))
        sentence = (
            f"{name}: no setting is below the wanted risk of {PERCENT * risk:g} % with confidence. "
            f"The safest, {safest.label}, has {safest.risk}."
        )
    return Recommendation(option=best, sentence=sentence)


def are_all_unsafe(options: Sequence[SettingOutcome | Total], *, risk: float) -> bool:
    """Whether every setting is wrong in most replays, or its observed risk above the wanted one, its whole interval included."""
    return all(one.risk.low > risk or one.risk.rate > max(MOST, risk) for one in options)


def too_few(name: str, n_runs: int, *, risk: float) -> str:
    """The sentence that says how many replicates it takes to show a risk."""
    runs = "one replicate" if n_runs == 1 else f"{n_runs} replicates"
    return (
        f"{name}: none is: with {runs} even no failure leaves a risk of up to {PERCENT * Rate.of(0, n_runs).high:.1f} %, and "
        f"{PERCENT * risk:g} % are wanted. Give --replicates {fewest_runs(risk)} or more; the finished ones are kept."
    )


def _listed(setting: dict[str, Any]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in setting.items() if value is not None)
