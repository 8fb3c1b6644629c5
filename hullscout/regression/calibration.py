"""Does the stated uncertainty hold? z-scores, coverage, expected calibration error; and the scale that makes it hold.

A z-score is a residual over its predicted standard deviation. Left-out labels give honest z-scores without a test set.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import gammaln, ndtri, stdtrit

from hullscout.regression.arrays import FloatArray

TAILS: Final = (3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 30.0, np.inf)
"""Degrees of freedom considered for the distribution of z-scores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TailCalibration:
    """z-scores follow `scale` times Student-t with `degrees_of_freedom`.

    Attributes:
        scale: Factor on predicted standard deviations.
        degrees_of_freedom: Weight of the tails; infinity means Gaussian.
    """

    scale: float = 1.0
    degrees_of_freedom: float = np.inf

    def half_width(self, level: float) -> float:
        """Half width of the central interval of probability `level`, in predicted standard deviations."""
        return self.scale * student_quantile(0.5 + level / 2.0, self.degrees_of_freedom)


def student_quantile(probability: float, degrees_of_freedom: float) -> float:
    """Quantile of the Student-t distribution, of the normal one for infinite degrees of freedom."""
    if np.isinf(degrees_of_freedom):
        return float(ndtri(probability))
    return float(stdtrit(degrees_of_freedom, probability))


def calibrate(z: FloatArray, *, level: float = 0.95) -> TailCalibration:
    """Tail weight by maximum likelihood, then the scale that makes the interval of `level` cover what it says.

    The scale is the conformal one: the ceil((n + 1) level)-th smallest |z| (the largest if there are too few labels).

    Args:
        z: z-scores of left-out labels, shape (n,).
        level: Probability of the central interval that must be right.
    """
    n = len(z)
    best = max(TAILS, key=lambda nu: _log_likelihood(z, nu))
    rank = min(int(np.ceil((n + 1) * level)), n)
    quantile = float(np.sort(np.abs(z))[rank - 1])
    return TailCalibration(scale=quantile / student_quantile(0.5 + level / 2.0, best), degrees_of_freedom=best)


def _log_likelihood(z: FloatArray, nu: float) -> float:
    """Largest log likelihood of z-scores under a scaled Student-t: ten EM steps for the scale."""
    n = len(z)
    square = float(np.mean(z**2))
    if np.isinf(nu):
        return -0.5 * n * (np.log(2.0 * np.pi * square) + 1.0)
    for _ in range(10):
        square = float(np.mean((nu + 1.0) / (nu + z**2 / square) * z**2))
    constant = gammaln((nu + 1.0) / 2.0) - gammaln(nu / 2.0) - 0.5 * np.log(nu * np.pi * square)
    return float(n * constant - 0.5 * (nu + 1.0) * np.log1p(z**2 / (nu * square)).sum())
