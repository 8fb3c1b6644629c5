"""Shares and means that replays show, with their intervals, and how many replays show a risk.

Source: Clopper & Pearson, Biometrika 26, 404 (1934), of shares; Student's t of means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import scipy

from hullscout.display import PERCENT

if TYPE_CHECKING:
    from collections.abc import Iterable

CONFIDENCE = 0.95
MAX_LOOKS = 3
"""A plan that plays until it is decided looks at its replays so often at most."""
SEQUENTIAL_CONFIDENCE = 1.0 - (1.0 - CONFIDENCE) / MAX_LOOKS
"""Of the interval at each look: then those of all looks hold together with `CONFIDENCE` (Bonferroni), whenever the plan ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A share of runs, with its two-sided interval after Clopper and Pearson (exact; it covers at least what it says)."""

    rate: float
    low: float
    high: float

    @classmethod
    def of(cls, n_hits: float, n_runs: int, *, confidence: float = CONFIDENCE) -> Self:
        """The rate of hits among one or more runs; of several alloys a hit may be a part.

        >>> Rate.of(30, 30).low.__round__(3)
        0.884
        """
        beyond = (1.0 - confidence) / 2.0
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


def mean_interval(values: Iterable[float], *, confidence: float) -> tuple[float, float]:
    """The interval of the mean of one or more values; of one alone nothing is known.

    >>> mean_interval([0.5], confidence=0.95)
    (-inf, inf)
    """
    array = np.asarray(list(values), dtype=np.float64)
    if array.size == 1:
        return -np.inf, np.inf
    beyond = scipy.special.stdtrit(array.size - 1, 0.5 + confidence / 2.0)
    half, mean = float(beyond * array.std(ddof=1) / np.sqrt(array.size)), float(array.mean())
    return mean - half, mean + half


def fewest_runs(risk: float, *, confidence: float = CONFIDENCE) -> int:
    """Runs that are needed at least to show that a risk is below `risk`: without any failure the interval ends just there.

    1 - (alpha / 2)^(1 / n) <= risk, from Clopper and Pearson's upper end at no failure.

    >>> fewest_runs(0.05)
    72
    """
    return int(np.ceil(np.log((1.0 - confidence) / 2.0) / np.log1p(-risk)))


def looks(risk: float, *, most: int) -> tuple[int, ...]:
    """After how many replays a plan looks whether it is decided: `MAX_LOOKS` times or less, the last time at `most`.

    First at a quarter of those that show the risk without a failure, which finds what is far too risky, then at all of those.

    >>> looks(0.05, most=300), looks(0.05, most=50)
    ((24, 94, 300), (24, 50))
    """
    enough = fewest_runs(risk, confidence=SEQUENTIAL_CONFIDENCE)
    return (*(n for n in sorted({-(-enough // 4), enough}) if n < most), most)
