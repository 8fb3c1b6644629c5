"""The exact Gaussian process on kernel matrices: one Cholesky factor, grown when labels are added.

It knows no features, only covariances among labels and from labels to candidates. The regularization is the only thing
on the diagonal. If the factorization fails all the same, the jitter policy adds 1e-12, 1e-11, ... of the mean diagonal
up to `MAX_JITTER`, keeps what it added in `jitter`, and refuses beyond; nothing is added when it is not needed.

Source: Musil & Ceriotti, Chimia 73, 972 (2019), eqs. 13-15 and 19; Rasmussen & Williams (2006), eqs. 2.41-2.42 for the
mean with fitted coefficients.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.linalg import blas, cho_solve, lapack, solve_triangular

from hullscout.errors import InvalidTrainingSetError
from hullscout.regression.arrays import FloatArray, IntArray
from hullscout.regression.leave_one_out import LeftOut, contrasts, refuse_fixed_mean

MAX_JITTER: Final = 1e-8
"""Largest addition to the diagonal, relative to its mean, before a kernel matrix is called singular."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GaussianProcess:
    """A process conditioned on labels.

    Attributes:
        factor: Lower Cholesky factor of K + (regularization noise + jitter) I, shape (n, n), signal variance 1.
        basis: H, shape (n, p), the mean's basis functions at the labels.
        y: Labels, shape (n,).
        regularization: Noise variance over signal variance.
        signal_variance: Prior variance at one point, unit of the labels squared.
        jitter: What the jitter policy added to the diagonal; 0 in a healthy fit.
        coefficients: Fitted coefficients of the mean, shape (p,).
        dual: (K + ...)^-1 (y - H coefficients), shape (n,): the coefficients of kernel ridge regression.
        basis_factor: Lower Cholesky factor of H^T A^-1 H, shape (p, p).
    """

    factor: FloatArray
    basis: FloatArray
    y: FloatArray
    regularization: float
    signal_variance: float
    jitter: float
    coefficients: FloatArray
    dual: FloatArray
    basis_factor: FloatArray

    def predict(self, cross: FloatArray, prior: FloatArray, basis: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and variance of the function at new points, without noise.

        Args:
            cross: Kernel labels x points, shape (n, q).
            prior: Kernel of each point with itself, shape (q,); or among the points, shape (q, q), for joint
                covariance.
            basis: The mean's basis functions at the points, shape (q, p).

        Returns:
            Mean of shape (q,) and variance in the shape of `prior`.
        """
        mean = cross.T @ self.dual + basis @ self.coefficients
        solved = _solved_by_rows(self.factor, cross)
        lift = basis.T - self._solved_basis().T @ solved
        lifted = solve_triangular(self.basis_factor, lift, lower=True, check_finite=False) if lift.size else lift
        if prior.ndim == 1:
            variance = prior - np.einsum("ij,ij->j", solved, solved) + np.einsum("ij,ij->j", lifted, lifted)
            return mean, self.signal_variance * np.maximum(variance, 0.0)
        return mean, self.signal_variance * (prior - solved.T @ solved + lifted.T @ lifted)

    def extended(
        self, cross: FloatArray, among: FloatArray, basis: FloatArray, y: FloatArray, *, noise: FloatArray | None = None
    ) -> "GaussianProcess":
        """The process that knows m more labels, by growing the Cholesky factor: O(n^2 m), not O(n^3).

        Args:
            cross: Kernel old labels x new labels, shape (n, m).
            among: Kernel among the new labels, shape (m, m).
            basis: The mean's basis functions at the new labels, shape (m, p).
            y: New labels, shape (m,).
            noise: Noise variance of each new label relative to the common one; ones if not given.

        Raises:
            InvalidTrainingSetError: The grown matrix is singular; fit from the beginning, where the jitter policy
                applies.
        """
        n, m = cross.shape
        block = solve_triangular(self.factor, cross, lower=True, check_finite=False)
        relative = np.ones(m) if noise is None else noise
        complement = among + np.diag(self.regularization * relative + self.jitter) - block.T @ block
        try:
            corner = np.linalg.cholesky(complement)
        except np.linalg.LinAlgError as error:
            raise InvalidTrainingSetError(
                f"Expected new labels that are not determined by the {n} known ones, found a singular kernel matrix "
                f"with {self.regularization=}. Fit again from the beginning."
            ) from error
        factor = np.zeros((n + m, n + m))
        factor[:n, :n] = self.factor
        factor[n:, :n] = block.T
        factor[n:, n:] = corner
        return _solve(
            factor=factor,
            basis=np.vstack([self.basis, basis]),
            y=np.concatenate([self.y, y]),
            regularization=self.regularization,
            signal_variance=self.signal_variance,
            jitter=self.jitter,
        )

    def left_out(self, groups: Sequence[IntArray] = ()) -> LeftOut:
        """What is known of each label from all labels outside its group, in closed form (see `leave_one_out.py`).

        With L the factor, P = L^-T (I - U U^T) L^-1, U an orthonormal basis of L^-1 H; P y is `dual`.

        Args:
            groups: Index arrays of the groups with two or more labels; everything else is left out alone.

        Returns:
            Arrays of shape (n, 1).

        Raises:
            InvalidTrainingSetError: Without one of the labels or groups the mean is not determined.
        """
        if self.basis.shape[1]:
            refuse_fixed_mean(contrasts(self.basis).vectors, groups)
        inverse = lapack.dtrtri(self.factor, lower=1)[0]
        orthonormal = solve_triangular(self.basis_factor, self._solved_basis().T, lower=True, check_finite=False).T
        means = inverse.T @ orthonormal
        variances = 1.0 / (np.einsum("ij,ij->j", inverse, inverse) - np.einsum("ij,ij->i", means, means))
        residuals, counts = self.dual * variances, np.ones(len(self.y))
        for group in groups:
            covariance = np.linalg.inv(inverse[:, group].T @ inverse[:, group] - means[group] @ means[group].T)
            residuals[group] = covariance @ self.dual[group]
            variances[group] = np.diag(covariance)
            counts[group] = 1.0 / len(group)
        return LeftOut(residuals=residuals[:, None], variances=variances[:, None], counts=counts)

    def _solved_basis(self) -> FloatArray:
        return solve_triangular(self.factor, self.basis, lower=True, check_finite=False)


def _solved_by_rows(factor: FloatArray, columns: FloatArray) -> FloatArray:
    """L^-1 B for a lower factor L, shape (n, n), and B, shape (n, q) in C order, without a copy of either.

    Solves X L^T = B^T from the right, where B^T is what BLAS takes as it is.
    """
    return np.asarray(blas.dtrsm(1.0, factor.T, columns.T, side=1, lower=0).T)


def condition(
    kernel: FloatArray,
    basis: FloatArray,
    y: FloatArray,
    *,
    regularization: float,
    signal_variance: float = 1.0,
    noise: FloatArray | None = None,
) -> GaussianProcess:
    """Condition a process on labels.

    Args:
        kernel: K among the labels, shape (n, n), signal variance 1.
        basis: H, shape (n, p), p = 0 for a zero mean.
        y: Labels, shape (n,).
        regularization: Noise variance over signal variance, >= 0.
        signal_variance: Prior variance at one point.
        noise: Noise variance of each label relative to the common one; ones if not given.

    Returns:
        The conditioned process.

    Raises:
        InvalidTrainingSetError: The kernel matrix is singular beyond the jitter policy.
    """
    relative = np.ones(len(y)) if noise is None else noise
    factor, jitter = jittered_cholesky(kernel + np.diag(regularization * relative))
    return _solve(
        factor=factor,
        basis=basis,
        y=y,
        regularization=regularization,
        signal_variance=signal_variance,
        jitter=jitter,
    )


def jittered_cholesky(matrix: FloatArray) -> tuple[FloatArray, float]:
    """Lower Cholesky factor, and what the jitter policy had to add to the diagonal (0 in a healthy matrix).

    Raises:
        InvalidTrainingSetError: The matrix is singular beyond the jitter policy.
    """
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


def _solve(
    *,
    factor: FloatArray,
    basis: FloatArray,
    y: FloatArray,
    regularization: float,
    signal_variance: float,
    jitter: float,
) -> GaussianProcess:
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
    dual = solve_triangular(factor, solved_y - solved_basis @ coefficients, lower=True, trans=1, check_finite=False)
    return GaussianProcess(
        factor=factor,
        basis=basis,
        y=y,
        regularization=regularization,
        signal_variance=signal_variance,
        jitter=jitter,
        coefficients=coefficients,
        dual=dual,
        basis_factor=basis_factor,
    )
