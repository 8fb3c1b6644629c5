"""The factor on standard deviations, and the weight of the tails, that make stated intervals hold.

A z-score is a residual over its predicted standard deviation. Left-out labels give honest z-scores without a test set.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, ndtri, stdtrit

from hullscout.errors import InvalidTrainingSetError
from hullscout.regression.arrays import FloatArray

TAILS: Final = (3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 30.0, np.inf)
"""Degrees of freedom considered for the distribution of z-scores; the last is the normal distribution."""


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


def calibrate(
    z: FloatArray, *, level: float = 0.95, n_tuned: int = 0, is_suspect: npt.NDArray[np.bool_] | None = None
) -> TailCalibration:
    """Tail weight from the likelihood of the z-scores, then the scale that makes the interval of `level` hold.

    The inverse degrees of freedom are averaged over `TAILS` by likelihood, so that few labels never claim Gaussian
    tails. The scale is the conformal one, from the (n + 1) level-th smallest abs(z), with two steps to the safe side: half
    a standard error of that rank, since the quantile of few scores is uncertain; and sqrt((n + k) / (n - k)) for k tuned
    hyperparameters, the ratio of new to own residuals in a linear regression with k coefficients.

    Args:
        z: z-scores of left-out labels, shape (n,).
        level: Probability of the central interval that must be right.
        n_tuned: Number of hyperparameters that were tuned on these labels.
        is_suspect: Labels that do not count for the tail weight, and for the scale as much as the worst other label:
            one label wrong by 1000 eV must not widen all intervals.

    Raises:
        InvalidTrainingSetError: No scores, NaN or infinity, or nothing but zeros.
    """
    n = len(z)
    believed = z if is_suspect is None else z[~is_suspect]
    if not np.all(np.isfinite(z)) or not np.any(believed):
        raise InvalidTrainingSetError(
            f"Expected finite z-scores that are not all zero, found {n} of which {np.count_nonzero(~np.isfinite(z))} are not "
            "finite. Check that labels differ and standard deviations are positive."
        )
    z = np.clip(z, -np.max(np.abs(believed)), np.max(np.abs(believed)))
    likelihoods = _log_likelihoods(believed)
    shares = np.exp(likelihoods - likelihoods.max())
    thickness = float(shares @ (1.0 / np.array(TAILS)) / shares.sum())
    nu = 1.0 / thickness if thickness > 1e-6 else np.inf
    rank = min((n + 1) * level + 0.5 * np.sqrt(n * level * (1.0 - level)), n)
    quantile = float(np.interp(rank, np.arange(1, n + 1), np.sort(np.abs(z))))
    correction = np.sqrt((n + n_tuned) / max(n - n_tuned, 0.25 * n))
    return TailCalibration(
        scale=float(correction * quantile / student_quantile(0.5 + level / 2.0, nu)), degrees_of_freedom=nu
    )


def _log_likelihoods(z: FloatArray) -> FloatArray:
    """Largest log likelihood of z-scores under a scaled Student-t for each of `TAILS`: ten EM steps for the scale."""
    n, squares = len(z), z**2
    gaussian = -0.5 * n * (np.log(2.0 * np.pi * np.mean(squares)) + 1.0)
    nu = np.array(TAILS[:-1])[:, None]
    scale = np.full_like(nu, np.mean(squares))
    for _ in range(10):
        scale = np.mean((nu + 1.0) / (nu + squares / scale) * squares, axis=1, keepdims=True)
    constant = gammaln((nu + 1.0) / 2.0) - gammaln(nu / 2.0) - 0.5 * np.log(nu * np.pi * scale)
    heavy = n * constant[:, 0] - 0.5 * (nu[:, 0] + 1.0) * np.log1p(squares / (nu * scale)).sum(axis=1)
    return np.append(heavy, gaussian)
