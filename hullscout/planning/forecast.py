"""How many calculations a campaign will take, learned from replays: one that runs, and one on an alloy that nothing is known of.

**A running campaign.** Each round of a rule that states a probability plays its posterior forward to the stop
(`selection.hull_posterior`): k lookups. To these come the s lookups for which the probability must then stay low
(`Rule.calculations_to_stay_low`). Replays show what became of such counts:

    log(lookups to the stop) = a + b log(k + s + 1) + c log(contenders + 1) + error,

where the contenders tell how much the far ones still add. a, b, c and the 5th, 50th and 95th percentile of the error were taken
from replays of eleven pools under `hull-posterior` at 5 %, each round weighted so that every run counts the same, the errors those
of alloys left out of the fit. Below 5 % most lookups rule out loners; then k + s is what it may take at most, since each
lookup also says how rare loners are.

**A new alloy.** Known alloys say how far off a guess is. The share of the pool that a campaign takes is seen as log-odds y. A guess
c of it is 0 where nothing is known of the alloy but that it is like the others (`REPLAYS`), or the mean of replays on its own pool
with energies that stand in for its own (`PRIOR`, `BASELINE`). On k known alloys the same guess was off by d_i = mean(y_i) - c_i,
with variance s^2 over the alloys, and runs on one alloy scatter around their mean with variance v. Alloys differ far more than
seeds do, so alloys are the sample, and a new one's y follows

    c + mean(d_i) + t_{k-1} sqrt(s^2 (1 + 1/k)), scattered by v.

Drawn as sigma^2 from its scaled inverse chi^2, mu given sigma, d given mu and sigma. Draw number n of every prediction comes from
the same mu and sigma, so that draws of several alloys may be added: what is not known of all alloys is the same for all.

What was learned is printed, with its coverage on alloys that took no part, by `python tests/benchmarks/planning.py`.

Source: Gelman et al., Bayesian Data Analysis, 3rd ed., section 3.2.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import scipy

from hullscout.errors import InvalidPlanError
from hullscout.planning.rates import Rate
from hullscout.selection.stopping import StopSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hullscout.campaign import CampaignConfig
    from hullscout.planning.budget import Budget
    from hullscout.selection import Known
    from hullscout.selection.known import Floats

INTERVAL: Final = (0.05, 0.5, 0.95)
QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
MIN_ALLOYS = 3
N_DRAWS = 20_000
N_GIVEN = 1000
"""Of what is not known of all alloys, so many draws make the interval of a chance."""
MIN_WIDTH = 1e-9
MAX_SHARE = 0.999
"""A run that took all of a pool has the log-odds of one that took nearly all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastCalibration:
    """What replays taught of the counts: a, b, c, and the 5th, 50th and 95th percentile of the error."""

    coefficients: tuple[float, float, float]
    errors: tuple[float, float, float]


CALIBRATION: Final = ForecastCalibration(coefficients=(-0.203, 0.684, 0.058), errors=(-0.868, 0.038, 0.896))
"""From ten replays of each of eleven pools, nine alloys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Calculations from now to the stop: the median and the ends of the 90 % interval; or what it may take at most."""

    expected: int
    low: int
    high: int
    is_most: bool = False

    def __str__(self) -> str:
        return f"up to {self.high} more" if self.is_most else f"{self.expected} more ({self.low} to {self.high})"

    @property
    def sentence(self) -> str:
        """What a person should know of it."""
        if self.is_most:
            return (
                f"Expected until the stop: up to {self.high} more calculations, to rule out what no model sees coming."
            )
        return f"Expected until the stop: {self.expected} more calculations (90 % interval {self.low} to {self.high})."


def regressors(*, n_foreseen: Floats, n_contenders: Floats, n_to_stay_low: Floats) -> Floats:
    """(r, 3) what the logarithm of the lookups to the stop is linear in, from (r,) counts in each round."""
    ones = np.ones(len(n_foreseen))
    return np.column_stack([ones, np.log(n_foreseen + n_to_stay_low + 1.0), np.log(n_contenders + 1.0)])


def calibrate(rows: Floats, lookups: Floats, *, weights: Floats, pools: Sequence[str]) -> ForecastCalibration:
    """Fit the line and take the errors of each group, a pool or an alloy of two or more, from a fit without it.

    All are of (r,) rounds: rows from `regressors`, lookups from each to the stop, 1 or more, and their weights.
    """
    target, of_pool = np.log(lookups), np.asarray(pools)
    left_out = np.empty(len(target))
    for name in np.unique(of_pool):
        is_it = of_pool == name
        coefficients = _line(rows[~is_it], target[~is_it], weights[~is_it])
        left_out[is_it] = target[is_it] - rows[is_it] @ coefficients
    order = np.argsort(left_out)
    share = np.cumsum(weights[order]) / weights.sum()
    low, middle, high = (float(left_out[order][np.searchsorted(share, level)]) for level in INTERVAL)
    a, b, c = _line(rows, target, weights).tolist()
    return ForecastCalibration(coefficients=(a, b, c), errors=(low, middle, high))


def predict_lookups(rows: Floats, calibration: ForecastCalibration) -> Floats:
    """(r, 3) lookups to the stop: 5th, 50th and 95th percentile."""
    middle = rows @ np.array(calibration.coefficients)
    return np.asarray(np.exp(middle[:, None] + np.array(calibration.errors)))


def forecast(config: CampaignConfig, known: Known) -> Forecast | None:
    """Forecast a campaign from its last round; None under rules that foresee nothing, and before there is a model."""
    last = known.decisions[-1] if known.decisions else None
    if last is None or last.n_lookups_foreseen is None:
        return None
    n_then = known.n_asked - len(last.chosen)
    row = regressors(
        n_foreseen=np.array([last.n_lookups_foreseen]),
        n_contenders=np.array([last.n_contenders]),
        n_to_stay_low=np.array([config.select.calculations_to_stay_low(known.n_candidates, n_then)]),
    )
    most = min(known.n_calculable, config.stop.max_calculations or known.n_calculable)
    is_most = config.stop.failure_probability < StopSettings().failure_probability
    to_come = np.repeat(np.exp(row[0, 1]) - 1.0, 3) if is_most else predict_lookups(row, CALIBRATION)[0]
    at_end = np.clip(n_then + to_come, n_then + len(last.chosen), most)
    low, expected, high = np.maximum(np.rint(at_end).astype(int) - known.n_answered, 0).tolist()
    return Forecast(expected=expected, low=low, high=high, is_most=is_most)


def _line(rows: Floats, target: Floats, weights: Floats) -> Floats:
    root = np.sqrt(weights)
    return np.asarray(np.linalg.lstsq(rows * root[:, None], target * root, rcond=None)[0])


class Source(StrEnum):
    """What a new alloy is predicted from: replays of similar alloys, or replays on its own pool with energies that stand in."""

    REPLAYS = "replays"
    PRIOR = "prior"
    BASELINE = "baseline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Experience:
    """How far off guesses were on three known alloys or more, as log-odds: each one's d_i, and the scatter of runs on one.

    `right` are the shares of the runs on each that ended with the right hull, where that is known.
    """

    offsets: tuple[float, ...]
    scatter: float
    right: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.offsets) < MIN_ALLOYS:
            raise too_few_alloys(len(self.offsets))

    @classmethod
    def of(
        cls, shares: Sequence[Floats], guesses: Sequence[float] | None = None, *, right: Sequence[float] = ()
    ) -> Experience:
        """Learn it from replays: for each alloy the (r_i,) shares of its pool that they took; c_i as log-odds, 0 if not given."""
        odds = [log_odds(share) for share in shares]
        centres = np.zeros(len(odds)) if guesses is None else np.asarray(guesses)
        within = [one.var(ddof=1) for one in odds if one.size > 1]
        return cls(
            offsets=tuple(float(one.mean() - centre) for one, centre in zip(odds, centres, strict=True)),
            scatter=float(np.sqrt(np.mean(within))) if within else 0.0,
            right=tuple(right),
        )

    @property
    def chance_of_right(self) -> Rate | None:
        """How often the hull of a new alloy is right at the end of its run, every known alloy counted once; None if unknown."""
        return Rate.of(float(sum(self.right)), len(self.right)) if self.right else None

    def common(self) -> tuple[Floats, Floats]:
        """(d,) draws of mu and sigma, the same for all alloys."""
        offsets, k = np.array(self.offsets), len(self.offsets)
        common = np.random.default_rng(0)
        sigma = np.sqrt(offsets.var(ddof=1) * (k - 1) / common.chisquare(k - 1, N_DRAWS))
        return offsets.mean() + sigma / np.sqrt(k) * common.standard_normal(N_DRAWS), sigma

    def draw(self, *, number: int = 0) -> Floats:
        """(d,) log-odds over the guess of a new alloy, the `number`-th of several."""
        mu, sigma = self.common()
        own = np.random.default_rng([1, number]).standard_normal((2, N_DRAWS))
        return np.asarray(mu + sigma * own[0] + self.scatter * own[1])


EXPERIENCE: Final[Mapping[Source, Experience]] = {
    Source.PRIOR: Experience(offsets=(0.98, 0.13, -0.38, 0.11, -0.10, 0.22, 0.89, -0.26, 1.15), scatter=0.14),
    Source.BASELINE: Experience(offsets=(1.55, 0.88, 0.0, 0.24, -0.08, 0.13), scatter=0.13),
}
"""How far off the guesses from energies that stand in were on nine alloys, and with ASE's EMT as baseline on six of them, under
`EXPERIENCE_RULE` at 5 %."""
EXPERIENCE_RULE = "hull-posterior"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Predictive distribution of what a campaign takes: (d,) draws; core-hours are None where nothing tells them.

    Attributes:
        whole_core_hours: Of the whole pool.
        right: How often the hull is right at the end; None where nothing tells it.
        given: Chance that a number of calculations is enough, of (b,) numbers as (m, b), given each of m draws of what is not known
            of all alloys; None of several together.
        hours_given: (m,) core-hours of a calculation in the same draws.
    """

    name: str
    n_candidates: int
    calculations: Floats = field(repr=False)
    core_hours: Floats | None = field(default=None, repr=False)
    whole_core_hours: float | None = None
    right: Rate | None = None
    given: Callable[[Floats], Floats] | None = field(default=None, repr=False)
    hours_given: Floats | None = field(default=None, repr=False)

    def quantiles(self, levels: Sequence[float] = QUANTILES) -> Floats:
        """Numbers of calculations that are not exceeded with these probabilities."""
        return np.asarray(np.quantile(self.calculations, levels))

    def core_hour_quantiles(self, levels: Sequence[float] = QUANTILES) -> Floats | None:
        """Core-hours that are not exceeded with these probabilities; None where nothing says what a calculation takes."""
        return None if self.core_hours is None else np.asarray(np.quantile(self.core_hours, levels))

    def to_tree(self) -> dict[str, Any]:
        """The prediction for a JSON file, quantiles by level."""
        names, hours = list(map(str, QUANTILES)), self.core_hour_quantiles()
        return {
            "campaign": self.name,
            "n_candidates": self.n_candidates,
            "calculations": dict(zip(names, self.quantiles().tolist(), strict=True)),
            "core_hours": None if hours is None else dict(zip(names, hours.tolist(), strict=True)),
            "right": None if self.right is None else asdict(self.right),
        }

    def probability_within(self, budget: Budget) -> float:
        """Probability that the campaign ends within a budget."""
        return float((self.spent(budget) <= budget.amount).mean())

    def spent(self, budget: Budget) -> Floats:
        """(d,) draws in the unit of a budget."""
        spent = self.core_hours if budget.is_core_hours else self.calculations
        if spent is None:
            raise InvalidPlanError("A budget in core-hours needs a cost model, found none.")
        return spent

    def chances_given(self, amounts: Floats, *, is_core_hours: bool) -> Floats:
        """(m, b) chances that (b,) amounts are enough, given what is not known of all alloys."""
        if self.given is None:
            raise InvalidPlanError(f"Expected the prediction of one alloy, found that of {self.name}.")
        if not is_core_hours:
            return self.given(np.broadcast_to(amounts, (N_GIVEN, len(amounts))))
        if self.hours_given is None:
            raise InvalidPlanError("A budget in core-hours needs a cost model, found none.")
        return self.given(np.asarray(amounts) / self.hours_given[:, None])

    def chance_within(self, budget: Budget) -> Rate:
        """The chance that the campaign ends within a budget; the 95 % interval is that of what is not known of all alloys."""
        chances = self.chances_given(np.array([budget.amount]), is_core_hours=budget.is_core_hours)[:, 0]
        low, high = np.quantile(chances, [0.025, 0.975]).tolist()
        return Rate(rate=self.probability_within(budget), low=low, high=high)

    def right_within(self, budget: Budget) -> Rate:
        """The chance that the campaign ends within a budget with the right hull; that it ends where nothing tells the latter."""
        ends, right = self.chance_within(budget), self.right or Rate(rate=1.0, low=1.0, high=1.0)
        return Rate(rate=ends.rate * right.rate, low=ends.low * right.low, high=ends.high * right.high)


def predict_alloy(
    experience: Experience,
    n_candidates: int,
    *,
    n_start: int = 2,
    name: str = "",
    guess: float = 0.0,
    number: int = 0,
    hours_per_calculation: float | None = None,
    whole_core_hours: float | None = None,
    hours_error: float = 0.0,
) -> Prediction:
    """Predict a campaign, the `number`-th of several, which takes no fewer calculations than its start; `guess` is c.

    Core-hours are those of a calculation that is looked up, where something says so, with a relative error that all alloys share.
    """
    calculations = np.maximum(scipy.special.expit(guess + experience.draw(number=number)) * n_candidates, n_start)
    per_calculation = None
    if hours_per_calculation is not None:
        law = np.exp(hours_error * np.random.default_rng(2).standard_normal(N_DRAWS))
        per_calculation = hours_per_calculation * law
    mu, sigma = (draws[:N_GIVEN, None] for draws in experience.common())

    def given(amounts: Floats) -> Floats:
        odds = scipy.special.logit(np.clip(amounts / n_candidates, 0.0, 1.0))
        chances = scipy.special.ndtr((odds - guess - mu) / np.maximum(np.hypot(sigma, experience.scatter), MIN_WIDTH))
        return np.asarray(np.where(amounts < n_start, 0.0, chances))

    return Prediction(
        name=name,
        n_candidates=n_candidates,
        calculations=calculations,
        core_hours=None if per_calculation is None else calculations * per_calculation,
        whole_core_hours=whole_core_hours,
        right=experience.chance_of_right,
        given=given,
        hours_given=None if per_calculation is None else per_calculation[:N_GIVEN],
    )


def total_of(predictions: Sequence[Prediction]) -> Prediction:
    """All campaigns together."""
    hours = [one.core_hours for one in predictions if one.core_hours is not None]
    whole = [one.whole_core_hours for one in predictions if one.whole_core_hours is not None]
    return Prediction(
        name=f"all {len(predictions)} together",
        n_candidates=sum(one.n_candidates for one in predictions),
        calculations=np.sum([one.calculations for one in predictions], axis=0),
        core_hours=np.sum(hours, axis=0) if len(hours) == len(predictions) else None,
        whole_core_hours=sum(whole) if len(whole) == len(predictions) else None,
    )


def log_odds(shares: Floats) -> Floats:
    """(r,) log-odds of shares above 0; a run that took all has those of a share that is nearly all."""
    return np.asarray(scipy.special.logit(np.minimum(np.asarray(shares), MAX_SHARE)))


def too_few_alloys(n_alloys: int) -> InvalidPlanError:
    """The error that names how many similar alloys there are and how many it takes."""
    return InvalidPlanError(
        f"Expected replays of at least {MIN_ALLOYS} similar alloys, found {n_alloys}: fewer do not tell how alloys differ. "
        "Give more campaign files; those of the same two elements count as one alloy."
    )
