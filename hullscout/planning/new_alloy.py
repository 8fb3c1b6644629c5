"""What an alloy will take of which no energy is known yet: a distribution, not a point.

Known alloys say how far off a guess is. The share of the pool that a campaign takes is seen as log-odds y. A guess c of it is 0
where nothing is known of the alloy but that it is like the others (`REPLAYS`), or the mean of replays on its own pool with
energies that stand in for its own (`PRIOR`, `BASELINE`). On k known alloys the same guess was off by d_i = mean(y_i) - c_i, with
variance s^2 over the alloys, and runs on one alloy scatter around their mean with variance v. Alloys differ far more than seeds
do, so alloys are the sample, and a new one's y follows

    c + mean(d_i) + t_{k-1} sqrt(s^2 (1 + 1/k)), scattered by v.

Drawn as sigma^2 from its scaled inverse chi^2, mu given sigma, d given mu and sigma. Draw number n of every prediction comes from
the same mu and sigma, so that draws of several alloys may be added: what is not known of all alloys is the same for all.

Source: Gelman et al., Bayesian Data Analysis, 3rd ed., section 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.special import expit, logit

from hullscout.errors import InvalidPlanError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hullscout.planning.budget import Budget
    from hullscout.selection.known import Floats


class Source(StrEnum):
    """What a new alloy is predicted from: replays of similar alloys, or replays on its own pool with energies that stand in."""

    REPLAYS = "replays"
    PRIOR = "prior"
    BASELINE = "baseline"


LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
LEAST_ALLOYS = 3
N_DRAWS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Experience:
    """How far off guesses were on known alloys, as log-odds of the share of the pool.

    Attributes:
        offsets: d_i: what replays took on average over the guess, for each of three or more alloys.
        scatter: Standard deviation of the runs on one alloy.

    Raises:
        InvalidPlanError: Fewer than three alloys: their spread could not be told.
    """

    offsets: tuple[float, ...]
    scatter: float

    def __post_init__(self) -> None:
        if len(self.offsets) < LEAST_ALLOYS:
            raise too_few_alloys(len(self.offsets))

    @classmethod
    def of(cls, shares: Sequence[Floats], guesses: Sequence[float] | None = None) -> Experience:
        """Learn it from replays.

        Args:
            shares: For each alloy (r_i,) share of its pool that each replay took.
            guesses: c_i as log-odds; 0 if not given.
        """
        odds = [log_odds(share) for share in shares]
        centres = np.zeros(len(odds)) if guesses is None else np.asarray(guesses)
        within = [one.var(ddof=1) for one in odds if one.size > 1]
        return cls(
            offsets=tuple(float(one.mean() - centre) for one, centre in zip(odds, centres, strict=True)),
            scatter=float(np.sqrt(np.mean(within))) if within else 0.0,
        )

    def draw(self, *, number: int = 0) -> Floats:
        """(d,) log-odds over the guess of a new alloy.

        Args:
            number: Of the alloy, where there are several.
        """
        offsets, k = np.array(self.offsets), len(self.offsets)
        common = np.random.default_rng(0)
        sigma = np.sqrt(offsets.var(ddof=1) * (k - 1) / common.chisquare(k - 1, N_DRAWS))
        mu = offsets.mean() + sigma / np.sqrt(k) * common.standard_normal(N_DRAWS)
        own = np.random.default_rng([1, number]).standard_normal((2, N_DRAWS))
        return np.asarray(mu + sigma * own[0] + self.scatter * own[1])


SEEN: Final[Mapping[Source, Experience]] = {
    Source.PRIOR: Experience(offsets=(1.3, 0.29, -0.22, -0.06, 0.03, 0.24, 1.25, 0.12, 1.65), scatter=0.12),
    Source.BASELINE: Experience(offsets=(2.34, 0.75, -1.3, 0.33, 0.26, 0.0), scatter=0.12),
}
"""How far off the guesses from energies that stand in were on nine alloys, and with ASE's EMT as baseline on six of them, under
`hull-posterior` at 5 %; printed by `python tests/benchmarks/planning.py`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Predictive distribution of what a campaign takes.

    Attributes:
        name: Name of the campaign.
        n_candidates: Size of the pool.
        calculations: (d,) draws of the number of calculations.
        core_hours: (d,) draws of what they take together; None where nothing says so.
    """

    name: str
    n_candidates: int
    calculations: Floats = field(repr=False)
    core_hours: Floats | None = field(default=None, repr=False)

    def quantiles(self, levels: Sequence[float] = LEVELS) -> Floats:
        """Numbers of calculations that are not exceeded with these probabilities."""
        return np.asarray(np.quantile(self.calculations, levels))

    def core_hour_quantiles(self, levels: Sequence[float] = LEVELS) -> Floats | None:
        """Core-hours that are not exceeded with these probabilities; None where nothing says what a calculation takes."""
        return None if self.core_hours is None else np.asarray(np.quantile(self.core_hours, levels))

    def to_tree(self) -> dict[str, Any]:
        """The prediction for a JSON file, quantiles by level."""
        names, hours = list(map(str, LEVELS)), self.core_hour_quantiles()
        return {
            "campaign": self.name,
            "n_candidates": self.n_candidates,
            "calculations": dict(zip(names, self.quantiles().tolist(), strict=True)),
            "core_hours": None if hours is None else dict(zip(names, hours.tolist(), strict=True)),
        }

    def probability_within(self, budget: Budget) -> float:
        """Probability that the campaign ends within a budget.

        Raises:
            InvalidPlanError: The budget is in core-hours, and nothing says what a calculation takes.
        """
        if not budget.is_core_hours:
            return float((self.calculations <= budget.amount).mean())
        if self.core_hours is None:
            raise InvalidPlanError("A budget in core-hours needs a cost model, found none.")
        return float((self.core_hours <= budget.amount).mean())


def predict(
    experience: Experience,
    n_candidates: int,
    *,
    n_start: int = 2,
    name: str = "",
    guess: float = 0.0,
    number: int = 0,
    hours_per_calculation: float | None = None,
    hours_error: float = 0.0,
) -> Prediction:
    """Predict a campaign.

    Args:
        experience: From known alloys.
        n_candidates: Size of the new pool.
        n_start: Calculations at the start of its campaign, before any decision, at least both pure elements: it takes no fewer.
        name: Name of its campaign.
        guess: c, log-odds of the share of the pool.
        number: Of the alloy, where there are several.
        hours_per_calculation: Core-hours of those that are looked up, where something says so.
        hours_error: Relative standard error of that, the same for all alloys.
    """
    calculations = np.maximum(expit(guess + experience.draw(number=number)) * n_candidates, n_start)
    hours = None
    if hours_per_calculation is not None:
        law = np.exp(hours_error * np.random.default_rng(2).standard_normal(N_DRAWS))
        hours = calculations * hours_per_calculation * law
    return Prediction(name=name, n_candidates=n_candidates, calculations=calculations, core_hours=hours)


def total_of(predictions: Sequence[Prediction]) -> Prediction:
    """All campaigns together."""
    hours = [one.core_hours for one in predictions if one.core_hours is not None]
    return Prediction(
        name=f"all {len(predictions)} together",
        n_candidates=sum(one.n_candidates for one in predictions),
        calculations=np.sum([one.calculations for one in predictions], axis=0),
        core_hours=np.sum(hours, axis=0) if len(hours) == len(predictions) else None,
    )


def log_odds(shares: Floats) -> Floats:
    """(r,) log-odds of shares above 0; a run that took all has those of a share that is nearly all."""
    return np.asarray(logit(np.minimum(np.asarray(shares), MOST)))


MOST = 0.999


def too_few_alloys(n_alloys: int) -> InvalidPlanError:
    """The error that names how many similar alloys there are and how many it takes."""
    return InvalidPlanError(
        f"Expected replays of at least {LEAST_ALLOYS} similar alloys, found {n_alloys}: fewer do not tell how alloys differ. "
        "Give more campaign files; those of the same two elements count as one alloy."
    )
