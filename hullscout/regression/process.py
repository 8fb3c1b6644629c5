"""The exact Gaussian process on kernel matrices, and the joint posterior that a mixture of such processes states.

A process knows no features, only covariances among labels and from labels to candidates. The regularization is the only
thing on the diagonal. If the factorization fails all the same, the jitter policy adds 1e-12, 1e-11, ... of the mean
diagonal up to `MAX_JITTER`, keeps what it added in `jitter`, and refuses beyond; nothing is added when it is not needed.

Source: Musil & Ceriotti, Chimia 73, 972 (2019), eqs. 13-15 and 19; Rasmussen & Williams (2006), eqs. 2.41-2.42 for the
mean with fitted coefficients.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.linalg import blas, cho_solve, lapack, solve_triangular

from hullscout.errors import InvalidSettingError, InvalidTrainingSetError
from hullscout.regression.arrays import FloatArray, IntArray, is_kind, refuse_no_count
from hullscout.regression.criteria import LeftOut, contrasts, refuse_fixed_mean

MAX_JITTER: Final = 1e-8
"""Largest addition to the diagonal, relative to its mean, before a kernel matrix is called singular."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GaussianProcess:
    """A process conditioned on labels."""

    factor: FloatArray  # Lower Cholesky factor of A = K + (regularization noise + jitter) I, shape (n, n), signal variance 1
    basis: FloatArray  # H, shape (n, p), the mean's basis functions at the labels
    signal_variance: float  # Prior variance at one point, unit of the labels squared
    jitter: float  # What the jitter policy added to the diagonal; 0 in a healthy fit
    coefficients: FloatArray  # Fitted coefficients of the mean, shape (p,)
    dual: FloatArray  # A^-1 (y - H coefficients), shape (n,): the coefficients of kernel ridge regression
    basis_factor: FloatArray  # Lower Cholesky factor of H^T A^-1 H, shape (p, p)

    def predict(self, cross: FloatArray, prior: FloatArray, basis: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean (q,) and variance of the function at new points, without noise.

        Args:
            cross: Kernel labels x points, shape (n, q).
            prior: Kernel of each point with itself, shape (q,), or for the covariance among the points, shape (q, q).
            basis: The mean's basis functions at the points, shape (q, p).
        """
        mean = cross.T @ self.dual + basis @ self.coefficients
        # L^-1 cross, from X L^T = cross^T: BLAS takes cross^T as it is, without a copy of either.
        solved = np.asarray(blas.dtrsm(1.0, self.factor.T, cross.T, side=1, lower=0).T)
        lift = basis.T - self._solved_basis().T @ solved
        lifted = solve_triangular(self.basis_factor, lift, lower=True, check_finite=False) if lift.size else lift
        if prior.ndim == 1:
            variance = prior - np.einsum("ij,ij->j", solved, solved) + np.einsum("ij,ij->j", lifted, lifted)
            return mean, self.signal_variance * np.maximum(variance, 0.0)
        return mean, self.signal_variance * (prior - solved.T @ solved + lifted.T @ lifted)

    def left_out(self, groups: Sequence[IntArray] = ()) -> LeftOut:
        """What is known of each label from all labels outside its group, as `leave_out` gives it, in arrays (n, 1).

        With L the factor, P = L^-T (I - U U^T) L^-1, U an orthonormal basis of L^-1 H; P y is `dual`.
        """
        if self.basis.shape[1]:
            refuse_fixed_mean(contrasts(self.basis)[0], groups)
        inverse = lapack.dtrtri(self.factor, lower=1)[0]
        orthonormal = solve_triangular(self.basis_factor, self._solved_basis().T, lower=True, check_finite=False).T
        means = inverse.T @ orthonormal
        variances = 1.0 / (np.einsum("ij,ij->j", inverse, inverse) - np.einsum("ij,ij->i", means, means))
        residuals, counts = self.dual * variances, np.ones(len(self.dual))
        for group in groups:
            covariance = np.linalg.inv(inverse[:, group].T @ inverse[:, group] - means[group] @ means[group].T)
            residuals[group] = covariance @ self.dual[group]
            variances[group] = np.diag(covariance)
            counts[group] = 1.0 / len(group)
        return LeftOut(residuals=residuals[:, None], variances=variances[:, None], counts=counts)

    def _solved_basis(self) -> FloatArray:
        return solve_triangular(self.factor, self.basis, lower=True, check_finite=False)


def condition(
    kernel: FloatArray,
    basis: FloatArray,
    y: FloatArray,
    *,
    regularization: float,
    signal_variance: float = 1.0,
    noise: FloatArray | None = None,
) -> GaussianProcess:
    """The process with kernel K (n, n) at signal variance 1 and mean basis H (n, p), conditioned on labels y (n,).

    `regularization` is noise variance over signal variance, >= 0; `noise` (n,) is each label's relative to that, 1 if not
    given.
    """
    relative = np.ones(len(y)) if noise is None else noise
    factor, jitter = jittered_cholesky(kernel + np.diag(regularization * relative))
    solved_basis = solve_triangular(factor, basis, lower=True, check_finite=False)
    solved_y = solve_triangular(factor, y, lower=True, check_finite=False)
    try:
        basis_factor = np.asarray(np.linalg.cholesky(solved_basis.T @ solved_basis), dtype=np.float64)
    except np.linalg.LinAlgError as error:
        raise InvalidTrainingSetError(
            f"Expected labels that determine all {basis.shape[1]} coefficients of the mean, found that they do not. "
            "Label more compositions or choose a constant mean."
        ) from error
    coefficients: FloatArray = (
        cho_solve((basis_factor, True), solved_basis.T @ solved_y, check_finite=False)
        if basis.shape[1]
        else np.zeros(0)
    )
    return GaussianProcess(
        factor=factor,
        basis=basis,
        signal_variance=signal_variance,
        jitter=jitter,
        coefficients=coefficients,
        dual=solve_triangular(factor, solved_y - solved_basis @ coefficients, lower=True, trans=1, check_finite=False),
        basis_factor=basis_factor,
    )


def jittered_cholesky(matrix: FloatArray) -> tuple[FloatArray, float]:
    """Lower Cholesky factor, and what the jitter policy had to add to the diagonal (0 in a healthy matrix)."""
    scale = float(np.mean(np.diag(matrix)))
    for jitter in (0.0, *(scale * 10.0**exponent for exponent in range(-12, -7))):
        try:
            return np.asarray(np.linalg.cholesky(matrix + jitter * np.eye(len(matrix))), dtype=np.float64), jitter
        except np.linalg.LinAlgError:
            continue
    raise InvalidTrainingSetError(
        f"Expected a positive definite kernel matrix, found it singular with a jitter of {MAX_JITTER} times its mean "
        "diagonal. Raise the regularization, or group coinciding structures."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MixturePosterior:
    """Joint posterior of the labels of q candidates: Gaussians mixed, widened to heavy tails as leave-one-out asks.

    Each component is one setting of the hyperparameters. `scale` and `degrees_of_freedom` come from the z-scores of the
    labels that were left out (see `calibration.py`), so that the intervals hold on data and not only under the model.

    Attributes:
        weights: Of the components, shape (m,), summing to one.
        means: Shape (m, q), unit of the labels.
        covariances: Shape (m, q, q), noise of the labels included, before scaling.
        scale: Factor on standard deviations.
        degrees_of_freedom: Of the Student-t that samples follow; infinity means Gaussian.
    """

    weights: FloatArray
    means: FloatArray
    covariances: FloatArray
    scale: float
    degrees_of_freedom: float

    @property
    def mean(self) -> FloatArray:
        """Mixture mean, shape (q,)."""
        return np.asarray(self.weights @ self.means)

    @property
    def covariance(self) -> FloatArray:
        """Scaled covariance within components plus the spread of their means, shape (q, q)."""
        within = np.tensordot(self.weights, self.covariances, axes=1) * self.scale**2
        deviations = self.means - self.mean
        return np.asarray(within + (deviations * self.weights[:, None]).T @ deviations)

    @property
    def std(self) -> FloatArray:
        """Standard deviation of each candidate, shape (q,)."""
        return np.sqrt(np.diag(self.covariance))

    def sample(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Joint samples, shape (n, q): a component by weight, then a multivariate Student-t around its mean.

        All candidates of one sample share the tail factor sqrt(nu / chi^2_nu), so a bad day is a bad day everywhere.

        Raises:
            InvalidSettingError: n is no count, or rng no generator.
        """
        refuse_no_count(least=0, n=n)
        if not is_kind(rng, np.random.Generator):
            raise InvalidSettingError(f"Expected a generator such as np.random.default_rng(0), found {rng!r}.")
        counts = rng.multinomial(n, self.weights)
        samples = np.empty((n, self.means.shape[1]))
        start = 0
        for count, mean, covariance in zip(counts, self.means, self.covariances, strict=True):
            normal = rng.standard_normal((count, len(mean)))
            samples[start : start + count] = mean + self.scale * normal @ covariance_root(covariance).T
            if np.isfinite(self.degrees_of_freedom):
                tails = np.sqrt(self.degrees_of_freedom / rng.chisquare(self.degrees_of_freedom, size=count))
                samples[start : start + count] += (tails - 1.0)[:, None] * (samples[start : start + count] - mean)
            start += count
        return samples[rng.permutation(n)]


def covariance_root(covariance: FloatArray) -> FloatArray:
    """A square root of a covariance matrix: Cholesky, or by eigenvalues where candidates coincide."""
    try:
        return np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(covariance)
        return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
