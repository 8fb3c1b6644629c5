"""What an alloy will take of which no energy is known yet: a distribution, not a point.

From similar alloys: the share of the pool that replays took, as log-odds y. Alloys differ far more than seeds do, so alloys are the
sample. With k alloys of mean y_i, their variance s^2, and the mean variance v of runs on one alloy, a new alloy's y follows

    mean(y_i) + t_{k-1} sqrt(s^2 (1 + 1/k) + v).

Source of the predictive t distribution: Gelman et al., Bayesian Data Analysis, 3rd ed., section 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit, logit
from scipy.stats import t as student

from hullscout.errors import InvalidPlanError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hullscout.selection.interface import Floats


class Source(StrEnum):
    """What a new alloy is predicted from: replays of similar alloys, or replays on its own pool with energies that stand in."""

    REPLAYS = "replays"
    PRIOR = "prior"
    BASELINE = "baseline"


LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
LEAST_ALLOYS = 3
N_DRAWS = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Predictive distribution of what a campaign takes.

    Attributes:
        name: Name of the campaign.
        n_candidates: Size of the pool.
        calculations: (d,) draws of the number of calculations.
        core_hours_per_calculation: Of those that are looked up; None where nothing says so.
    """

    name: str
    n_candidates: int
    calculations: Floats
    core_hours_per_calculation: float | None = None

    def quantiles(self, levels: Sequence[float] = LEVELS) -> Floats:
        """Numbers of calculations that are not exceeded with these probabilities."""
        return np.asarray(np.quantile(self.calculations, levels))

    def to_tree(self) -> dict[str, Any]:
        """The prediction for a JSON file, quantiles by level."""
        quantiles = dict(zip(map(str, LEVELS), self.quantiles().tolist(), strict=True))
        hours = self.core_hours_per_calculation
        return {
            "campaign": self.name,
            "n_candidates": self.n_candidates,
            "calculations": quantiles,
            "core_hours": None if hours is None else {level: hours * n for level, n in quantiles.items()},
        }

    def probability_within(self, n_calculations: float) -> float:
        """Probability that the campaign ends within so many calculations."""
        return float((self.calculations <= n_calculations).mean())


def from_similar(
    shares: Sequence[Floats], n_candidates: int, *, name: str = "", core_hours_per_calculation: float | None = None
) -> Prediction:
    """Predict from replays of similar alloys.

    Args:
        shares: For each of three or more alloys (r_i,) share of its pool that each replay took, two or more replays of one of them.
        n_candidates: Size of the new pool.
        name: Name of its campaign.
        core_hours_per_calculation: Of those that are looked up, where something says so.

    Raises:
        InvalidPlanError: Fewer than three alloys: their spread could not be told.
    """
    if len(shares) < LEAST_ALLOYS:
        raise too_few_alloys(len(shares))
    # A run that took everything has no finite log-odds; half a calculation less has.
    odds = [logit(np.minimum(np.asarray(share), 1.0 - 0.5 / n_candidates)) for share in shares]
    means = np.array([one.mean() for one in odds])
    within = np.mean([one.var(ddof=1) if one.size > 1 else 0.0 for one in odds])
    scale = np.sqrt(means.var(ddof=1) * (1.0 + 1.0 / means.size) + within)
    # Evenly spread probabilities instead of random ones: quantiles without noise.
    levels = (np.arange(N_DRAWS) + 0.5) / N_DRAWS
    drawn = expit(means.mean() + scale * student.ppf(levels, means.size - 1))
    return Prediction(
        name=name,
        n_candidates=n_candidates,
        calculations=np.maximum(drawn * n_candidates, 1.0),
        core_hours_per_calculation=core_hours_per_calculation,
    )


def too_few_alloys(n_alloys: int) -> InvalidPlanError:
    """The error that names how many similar alloys there are and how many it takes."""
    return InvalidPlanError(
        f"Expected replays of at least {LEAST_ALLOYS} similar alloys, found {n_alloys}: fewer do not tell how alloys differ. "
        "Give more campaign files."
    )
