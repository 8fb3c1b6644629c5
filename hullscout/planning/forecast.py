"""How many more calculations a running campaign is expected to take, with an interval.

Each round of `hull-posterior` plays its posterior forward to the stop (`selection.foresight`): k lookups. To these come the s
lookups for which the probability must then stay low (`select.steady`). Replays show what became of such counts:

    log(lookups to the stop) = a + b log(k + s + 1) + c log(contenders + 1) + error,

where the contenders tell how much the far ones still add. a, b, c and the 5th, 50th and 95th percentile of the error were taken
from replays of eleven pools, each round weighted so that every run counts the same, the errors those of alloys left out of the
fit. They hold for an accepted failure probability of 5 %; the dependence on it is in k. Printed, with their coverage on pools
that took no part, by `python tests/benchmarks/planning.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hullscout.campaign.config import CampaignConfig
    from hullscout.selection.known import Floats, Known

LEVELS: Final = (0.05, 0.5, 0.95)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What replays taught of the counts.

    Attributes:
        coefficients: a, b, c.
        errors: 5th, 50th and 95th percentile of the error.
    """

    coefficients: tuple[float, float, float]
    errors: tuple[float, float, float]


SEEN: Final = Calibration(coefficients=(-0.628, 0.301, 0.59), errors=(-0.74, -0.018, 0.775))
"""From thirty replays of each of eleven pools, nine alloys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Calculations from now to the stop: the median and the ends of the 90 % interval."""

    expected: int
    low: int
    high: int

    def __str__(self) -> str:
        return f"{self.expected} more ({self.low} to {self.high})"


def regressors(*, n_foreseen: Floats, n_contenders: Floats, n_to_stay_low: Floats) -> Floats:
    """(r, 3) what the logarithm of the lookups to the stop is linear in.

    Args:
        n_foreseen: (r,) lookups foreseen in each round.
        n_contenders: (r,) contenders.
        n_to_stay_low: (r,) calculations for which the probability must stay low, `Rule.calculations_to_stay_low`.
    """
    ones = np.ones(len(n_foreseen))
    return np.column_stack([ones, np.log(n_foreseen + n_to_stay_low + 1.0), np.log(n_contenders + 1.0)])


def calibrate(rows: Floats, lookups: Floats, *, weights: Floats, pools: Sequence[str]) -> Calibration:
    """Fit the line and take the errors of each group from a fit without it.

    Args:
        rows: (r, 3) from `regressors`.
        lookups: (r,) lookups from each round to the stop, 1 or more.
        weights: (r,) of the rounds.
        pools: (r,) name of the pool or alloy of each round, two or more different ones.
    """
    target, of_pool = np.log(lookups), np.asarray(pools)
    left_out = np.empty(len(target))
    for name in np.unique(of_pool):
        is_it = of_pool == name
        coefficients = _line(rows[~is_it], target[~is_it], weights[~is_it])
        left_out[is_it] = target[is_it] - rows[is_it] @ coefficients
    order = np.argsort(left_out)
    share = np.cumsum(weights[order]) / weights.sum()
    low, middle, high = (float(left_out[order][np.searchsorted(share, level)]) for level in LEVELS)
    a, b, c = _line(rows, target, weights).tolist()
    return Calibration(coefficients=(a, b, c), errors=(low, middle, high))


def predict(rows: Floats, calibration: Calibration) -> Floats:
    """(r, 3) lookups to the stop: 5th, 50th and 95th percentile."""
    middle = rows @ np.array(calibration.coefficients)
    return np.asarray(np.exp(middle[:, None] + np.array(calibration.errors)))


def forecast(config: CampaignConfig, known: Known) -> Forecast | None:
    """Forecast a campaign from its last round; None under rules that foresee nothing, and before there is a model."""
    if not known.decisions or known.decisions[-1].n_lookups_foreseen is None:
        return None
    last = known.decisions[-1]
    n_then = known.n_asked - len(last.chosen)
    row = regressors(
        n_foreseen=np.array([last.n_lookups_foreseen]),
        n_contenders=np.array([last.n_contenders]),
        n_to_stay_low=np.array([config.select.calculations_to_stay_low(known.n_candidates, n_then)]),
    )
    limit = config.stop.max_calculations
    most = known.n_candidates if limit is None else min(known.n_candidates, limit)
    at_end = np.clip(n_then + predict(row, SEEN)[0], n_then + len(last.chosen), most)
    low, expected, high = np.maximum(np.rint(at_end).astype(int) - known.n_answered, 0).tolist()
    return Forecast(expected=expected, low=low, high=high)


def _line(rows: Floats, target: Floats, weights: Floats) -> Floats:
    root = np.sqrt(weights)
    return np.asarray(np.linalg.lstsq(rows * root[:, None], target * root, rcond=None)[0])
