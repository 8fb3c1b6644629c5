"""Bayesian linear regression on [1, phi], phi the features of active points; every regularization from one eigenproblem.

With D = [1, phi], A = D^T D + lambda diag(0, 1) and H = D A^-1 D^T, leaving group g out gives the residual
(I - H_gg)^-1 e_g with covariance s^2 lambda (I - H_gg)^-1, exactly, active points fixed.

Source: Rasmussen & Williams, Gaussian Processes for Machine Learning (2006), eqs. 2.8-2.9 and section 8.3; Cook &
Weisberg, Residuals and Influence in Regression (1982), section 2.2, for residuals from the hat matrix.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, solve_triangular

from hullscout.regression.arrays import FloatArray, IntArray
from hullscout.regression.leave_one_out import LeftOut
from hullscout.regression.process import jittered_cholesky


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveRegression:
    """Regression conditioned on labels.

    Attributes:
        regularization: Noise variance over signal variance.
        signal_variance: Prior variance of a coefficient, unit of the labels squared.
        left_out: What is known of each label from the labels outside its group, arrays of shape (n, 1).
        coefficients: Of 1 and phi, shape (1 + m,).
        precision_factor: Lower Cholesky factor of A, shape (1 + m, 1 + m).
    """

    regularization: float
    signal_variance: float
    left_out: LeftOut
    coefficients: FloatArray
    precision_factor: FloatArray

    def mean(self, features: FloatArray) -> FloatArray:
        """Predictive mean, shape (q,), at features phi of shape (q, m)."""
        return np.asarray(self.coefficients[0] + features @ self.coefficients[1:])

    def variance(self, features: FloatArray, unspanned: FloatArray) -> FloatArray:
        """Predictive variance of a label, noise included, shape (q,).

        Args:
            features: phi, shape (q, m).
            unspanned: Prior variance that phi does not carry, in units of the signal variance, shape (q,).
        """
        design = np.hstack([np.ones((len(features), 1)), features])
        solved = solve_triangular(self.precision_factor, design.T, lower=True, check_finite=False)
        return np.asarray(self.signal_variance * (self.regularization * (1.0 + np.sum(solved**2, axis=0)) + unspanned))


def fit_active(
    features: FloatArray,
    unspanned: FloatArray,
    y: FloatArray,
    *,
    regularizations: Sequence[float] | FloatArray,
    signal_variance: float | None = None,
    groups: Sequence[IntArray] = (),
) -> ActiveRegression:
    """The regression whose regularization has the best leave-one-out log score.

    Args:
        features: phi at the labels, shape (n, m).
        unspanned: Prior variance that phi does not carry, in units of the signal variance, shape (n,).
        y: Labels, shape (n,).
        regularizations: lambda to choose from, positive.
        signal_variance: Used if given; else the one that makes the mean squared left-out z-score one.
        groups: Index arrays of labels that are left out together.

    Raises:
        InvalidTrainingSetError: The problem is singular beyond the jitter policy.
    """
    n = len(y)
    centre, deviations = features.mean(axis=0), y - y.mean()
    values, vectors = np.linalg.eigh((features - centre).T @ (features - centre))
    rotated = (features - centre) @ vectors
    projected = rotated.T @ deviations
    counts = np.ones(n)
    for group in groups:
        counts[group] = 1.0 / len(group)
    best_score = -np.inf
    for strength in regularizations:
        inverse = 1.0 / (np.maximum(values, 0.0) + strength)
        freedom = np.maximum(1.0 - 1.0 / n - (rotated**2) @ inverse, 1e-12)
        fitted = deviations - rotated @ (inverse * projected)
        residuals, spread = fitted / freedom, 1.0 / freedom
        for group in groups:
            hat = 1.0 / n + (rotated[group] * inverse) @ rotated[group].T
            inverted = np.linalg.pinv(np.eye(len(group)) - hat, hermitian=True)
            residuals[group], spread[group] = inverted @ fitted[group], np.diag(inverted)
        left_out = LeftOut(
            residuals=residuals[:, None], variances=(strength * spread + unspanned)[:, None], counts=counts
        )
        signal = np.full(1, signal_variance) if signal_variance is not None else left_out.signal_variance
        score = float(counts @ left_out.log_scores(signal)[:, 0])
        if score > best_score:
            best_score, best = score, (float(strength), float(signal[0]), left_out)
    regularization, variance, left_out = best
    design = np.hstack([np.ones((n, 1)), features])
    precision = design.T @ design
    precision[np.arange(1, len(precision)), np.arange(1, len(precision))] += regularization
    factor, _ = jittered_cholesky(precision)
    return ActiveRegression(
        regularization=regularization,
        signal_variance=variance,
        left_out=left_out,
        coefficients=np.asarray(cho_solve((factor, True), design.T @ y, check_finite=False)),
        precision_factor=factor,
    )
