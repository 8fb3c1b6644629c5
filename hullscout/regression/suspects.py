"""Labels that cannot be believed: noise with a heavy tail, by hard EM on closed-form leave-one-out residuals.

Noise is a contaminated normal, heavier-tailed than any Student-t: nearly every label has the common variance, a few
have any larger one. Given all other labels, label i has residual r_i and predictive variance V_i (noise included); it
is a suspect if |r_i| > suspicion x sqrt(V_i), where V_i is rescaled by the median so that a few wild labels cannot hide
each other. Its noise variance then becomes what explains it, r_i^2 - (V_i - noise), and the model is tuned on the
others. A surprising label far from all others has a large V_i and is no suspect.

One wrong label can hide itself: a model tuned with it takes it for noise. So the worst label is put on trial from
`DOUBT` x suspicion on: the model is tuned without it, and it is a suspect if that model contradicts it beyond the full
suspicion, believed for good if not.

Source: contaminated normal and hard assignment as in Tukey (1960) and West, J. R. Stat. Soc. B 46, 431 (1984).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from hullscout.regression.arrays import FloatArray, IntArray

MAX_SUSPECT_SHARE: Final = 0.1
"""At most this share of the labels is distrusted: more is a model that does not fit, not labels that are wrong."""

DOUBT: Final = 2.0 / 3.0
"""From this share of the suspicion on, the worst label of a model tuned on all labels is put on trial."""

_MEDIAN_SQUARE: Final = 0.4549364231195727
"""Median of the square of a standard normal variable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """Which labels are distrusted and by how much.

    Attributes:
        suspects: Indices of the distrusted labels, rising.
        noise: Noise variance of each label relative to the common one, shape (n,), 1 for trusted labels.
    """

    suspects: IntArray
    noise: FloatArray


def distrust(
    residuals: FloatArray, variances: FloatArray, noise_variance: float, *, suspicion: float, doubt: float = 1.0
) -> Suspicion:
    """Find the labels that the others contradict.

    Args:
        residuals: Label minus prediction from the other labels, shape (n,).
        variances: Predictive variance with the common noise, shape (n,).
        noise_variance: The common noise variance.
        suspicion: Number of robust standard deviations from which on a label is a suspect; infinity trusts all.
        doubt: Share of the suspicion from which on the worst label is put on trial; 1 puts none.
    """
    n = len(residuals)
    squares = residuals**2 / variances
    shrink = min(1.0, float(np.median(squares)) / _MEDIAN_SQUARE)
    excess = squares / max(shrink, np.finfo(np.float64).tiny)
    worst = np.argsort(-excess, kind="stable")[: int(MAX_SUSPECT_SHARE * n)]
    thresholds = np.full(len(worst), suspicion**2)
    thresholds[:1] *= doubt**2
    suspects = np.sort(worst[excess[worst] > thresholds])
    noise = np.ones(n)
    cavity = (variances[suspects] - noise_variance) * shrink
    noise[suspects] = np.maximum((residuals[suspects] ** 2 - cavity) / noise_variance, 1.0)
    return Suspicion(suspects=suspects.astype(np.intp), noise=noise)
