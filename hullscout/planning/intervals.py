"""Rates and their intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from scipy.special import betaincinv

if TYPE_CHECKING:
    from collections.abc import Iterable

CONFIDENCE = 0.95


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
        low = betaincinv(n_hits, n_runs - n_hits + 1, beyond) if n_hits else 0.0
        high = betaincinv(n_hits + 1, n_runs - n_hits, 1.0 - beyond) if n_hits < n_runs else 1.0
        return cls(rate=n_hits / n_runs, low=float(low), high=float(high))

    @property
    def complement(self) -> Rate:
        """The rate of misses."""
        return Rate(rate=1.0 - self.rate, low=1.0 - self.high, high=1.0 - self.low)


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
