"""The exact Gaussian process on kernel matrices: conditioned on labels, left-out labels and likelihood in closed form.

A process knows no features, only covariances among labels and from labels to candidates. The regularization is the only
thing on the diagonal. If the factorization fails all the same, the jitter policy adds 1e-12, 1e-11, ... of the mean
diagonal up to `MAX_JITTER`, keeps what it added in `jitter`, and refuses beyond; nothing is added when it is not needed.

Labels y follow y = H b + f + noise, with f a Gaussian process of covariance s^2 K, b a coefficient vector under a flat
prior (constant or composition mean), and noise of variance s^2 lambda. With A = K + lambda I and the projected precision

    P = A^-1 - A^-1 H (H^T A^-1 H)^-1 H^T A^-1,

leaving group g out gives the residual r_g = (P_gg)^-1 (P y)_g with covariance s^2 (P_gg)^-1, exactly. For tuning, P is
kept as U (D + lambda)^-1 U^T with U, D from the kernel projected on the contrasts of H, so that lambda costs a matrix
product only. The likelihood needs no eigenvectors: with the projected kernel reduced to tridiagonal T, T + lambda is
factorized in O(n) for each lambda.

Source: Musil & Ceriotti, Chimia 73, 972 (2019), eqs. 13-15 and 19; O. Dubrule, Math. Geol. 15, 687 (1983), for the
residuals with a fitted mean; Rasmussen & Williams, Gaussian Processes for Machine Learning (2006), eqs. 2.41-2.42 for the
mean with fitted coefficients, 2.45 for the restricted likelihood and 5.10-5.12 for the log score; Golub & Van Loan, Matrix
Computations (2013), section 8.3.1 for the reduction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy

from hullscout.errors import InvalidTrainingSetError
from hullscout.regression.arrays import FloatArray, IntArray

MAX_JITTER: Final = 1e-8  # Largest addition to the diagonal, relative to its mean; a matrix that needs more is singular
# Rounding makes eigenvalues this negative, relative to the largest; more means that the matrix is no covariance.
NEGATIVE_EIGENVALUE: Final = 1e-8
_FREEDOM_FLOOR: Final = 1e-9
_SINGULAR: Final = 1e-16
_BLOCK: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """What is known of each label from all labels outside its group, for each regularization."""

    residuals: FloatArray  # Label minus prediction, shape (n, n_regularizations), unit of the labels
    variances: FloatArray  # Predictive variance over the signal variance, noise included, same shape
    counts: FloatArray  # Weight of each label, shape (n,): one over the size of its group

    @property
    def rmse(self) -> FloatArray:
        """Root mean square residual, each group counted once, shape (n_regularizations,)."""
        return np.asarray(np.sqrt(self.counts @ self.residuals**2 / self.counts.sum()))

    @property
    def signal_variance(self) -> FloatArray:
        """The signal variance that makes the mean squared z-score one, shape (n_regularizations,)."""
        return np.asarray(self.counts @ (self.residuals**2 / self.variances) / self.counts.sum())

    def log_scores(self, signal_variance: FloatArray) -> FloatArray:
        """Log predictive density of every left-out label, shape (n, n_regularizations)."""
        variances = self.variances * signal_variance
        return -0.5 * (np.log(2.0 * np.pi * variances) + self.residuals**2 / variances)


@dataclass(frozen=True, slots=True, kw_only=True)
class GaussianProcess:
    """A process conditioned on labels."""

    factor: FloatArray  # Lower Cholesky factor of A = K + (regularization noise + jitter) I, shape (n, n), signal variance 1
    basis: FloatArray  # H, shape (n, p), the mean's basis functions at the labels
    signal_variance: float  # Prior variance at one point, unit of the labels squared
    jitter: float  # What the jitter policy added to the diagonal; 0 in a healthy fit
    diagonal: FloatArray  # What stands on the diagonal beside K, without the jitter, shape (n,)
    coefficients: FloatArray  # Fitted coefficients of the mean, shape (p,)
    dual: FloatArray  # A^-1 (y - H coefficients), shape (n,): the coefficients of kernel ridge regression
    basis_factor: FloatArray  # Lower Cholesky factor of H^T A^-1 H, shape (p, p)

    def predict(self, cross: FloatArray, prior: FloatArray, basis: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean (q,) and variance (q,) of the function at new points, without noise, or covariance (q, q).

        From the kernel labels x points (n, q), that of each point with itself (q,) or among the points (q, q), and the
        mean's basis functions at the points (q, p).
        """
        mean = cross.T @ self.dual + basis @ self.coefficients
        # L^-1 cross, from X L^T = cross^T: BLAS takes cross^T as it is, without a copy of either.
        solved = np.asarray(scipy.linalg.blas.dtrsm(1.0, self.factor.T, cross.T, side=1, lower=0).T)
        lift = basis.T - self._solved_basis().T @ solved
        lifted = lower_solved(self.basis_factor, lift)
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
        inverse = scipy.linalg.lapack.dtrtri(self.factor, lower=1)[0]
        orthonormal = lower_solved(self.basis_factor, self._solved_basis().T).T
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
        return lower_solved(self.factor, self.basis)


def condition(
    kernel: FloatArray, basis: FloatArray, y: FloatArray, *, regularization: float, noise: FloatArray | None = None
) -> GaussianProcess:
    """The process with kernel K (n, n), signal variance 1 and mean basis H (n, p), conditioned on labels y (n,).

    `regularization` is noise variance over signal variance, >= 0; `noise` (n,) is each label's relative to that, else 1.
    """
    diagonal = regularization * (np.ones(len(y)) if noise is None else noise)
    matrix = kernel.copy()
    np.einsum("ii->i", matrix)[:] += diagonal
    factor, jitter = jittered_cholesky(matrix)
    del matrix
    solved_basis, solved_y = lower_solved(factor, basis), lower_solved(factor, y)
    try:
        basis_factor = np.asarray(np.linalg.cholesky(solved_basis.T @ solved_basis), dtype=np.float64)
    except np.linalg.LinAlgError as error:
        raise InvalidTrainingSetError(
            f"Expected labels that determine all {basis.shape[1]} coefficients of the mean, found that they do not. "
            "Label more compositions or choose a constant mean."
        ) from error
    coefficients: FloatArray = (
        scipy.linalg.cho_solve((basis_factor, True), solved_basis.T @ solved_y, check_finite=False)
        if basis.shape[1]
        else np.zeros(0)
    )
    return GaussianProcess(
        factor=factor,
        basis=basis,
        signal_variance=1.0,
        jitter=jitter,
        diagonal=diagonal,
        coefficients=coefficients,
        dual=lower_solved(factor, solved_y - solved_basis @ coefficients, is_transposed=True),
        basis_factor=basis_factor,
    )


def lower_solved(factor: FloatArray, right: FloatArray, *, is_transposed: bool = False) -> FloatArray:
    """L^-1 B, or L^-T B, from a lower Cholesky factor L (n, n) as NumPy gives it, and B (n,) or (n, p).

    SciPy's `solve_triangular` calls the same routine, and takes several times as long around it as that takes in a small system.
    """
    return (
        np.asarray(scipy.linalg.lapack.dtrtrs(factor.T, right, lower=0, trans=not is_transposed)[0])
        if right.size
        else right
    )


def jittered_cholesky(matrix: FloatArray) -> tuple[FloatArray, float]:
    """Lower Cholesky factor, and what the jitter policy had to add to the diagonal (0 in a healthy matrix)."""
    scale = float(np.mean(np.diag(matrix)))
    for jitter in (0.0, *(scale * 10.0**exponent for exponent in range(-12, -7))):
        try:
            raised = matrix + jitter * np.eye(len(matrix)) if jitter else matrix
            return np.asarray(np.linalg.cholesky(raised), dtype=np.float64), jitter
        except np.linalg.LinAlgError:
            continue
    raise InvalidTrainingSetError(
        f"Expected a positive definite kernel matrix, found it singular with a jitter of {MAX_JITTER} times its mean "
        "diagonal. Raise the regularization, or group coinciding structures."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectrum:
    """Eigenvectors and eigenvalues from which P follows for every regularization."""

    vectors: FloatArray  # U, shape (n, n - p), label order
    values: FloatArray  # D, shape (n - p,), not negative
    mean_vectors: FloatArray  # Orthonormal basis of H, shape (n, p)
    log_volume: float  # log det(H^T H), the part of the restricted likelihood without lambda


def spectrum(kernel: FloatArray, basis: FloatArray) -> Spectrum:
    """Eigendecomposition of K (n, n), in units of the signal variance, on the contrasts of H (n, p), p = 0 for no mean."""
    n, p = basis.shape
    mean_vectors, log_volume = contrasts(basis)
    matrix = _projected(kernel, mean_vectors)[0] if p else kernel
    values, vectors = (part[..., : n - p] for part in np.linalg.eigh(matrix, UPLO="L"))
    if values[0] < -NEGATIVE_EIGENVALUE * max(values[-1], 1.0):
        raise InvalidTrainingSetError(
            f"Expected a covariance matrix, found eigenvalues from {values[0]:.3g} to {values[-1]:.3g}: the matrix is "
            f"singular beyond rounding (relative {NEGATIVE_EIGENVALUE})."
        )
    return Spectrum(vectors=vectors, values=np.maximum(values, 0.0), mean_vectors=mean_vectors, log_volume=log_volume)


def contrasts(basis: FloatArray) -> tuple[FloatArray, float]:
    """Orthonormal basis of the mean's basis functions H at the labels, shape (n, p), and log det(H^T H)."""
    n, p = basis.shape
    if n <= p:
        raise InvalidTrainingSetError(
            f"Expected more labels than coefficients of the mean, found {n} labels and {p} coefficients. Label more "
            "structures or choose a constant mean."
        )
    if p == 0:
        return basis, 0.0
    vectors, triangle = np.linalg.qr(basis)
    pivots = np.abs(np.diag(triangle))
    if pivots.min() <= 1e-10 * max(1.0, pivots.max()):
        raise InvalidTrainingSetError(
            f"Expected labels that determine all {p} coefficients of the mean, found pivots {pivots.tolist()}. "
            "Label more compositions or choose a constant mean."
        )
    return vectors, 2.0 * float(np.log(pivots).sum())


def refuse_fixed_mean(mean_vectors: FloatArray, groups: Sequence[IntArray]) -> None:
    """Check that the mean (orthonormal basis (n, p)) is determined without any one label and any one group."""
    leverages = np.sum(mean_vectors**2, axis=1)
    label = int(np.argmax(leverages))
    if leverages[label] >= 1.0 - _FREEDOM_FLOOR:
        raise InvalidTrainingSetError(
            f"Expected a mean that is determined without any one label, found that label {label} alone fixes it. Label "
            "more compositions or choose a constant mean."
        )
    for group in groups:
        part = mean_vectors[group]
        if part.size and np.linalg.norm(part, ord=2) ** 2 >= 1.0 - _FREEDOM_FLOOR:
            raise InvalidTrainingSetError(
                f"Expected a mean that is determined without group {group.tolist()}, found that it is not. Label more "
                "compositions, choose a constant mean, or make smaller groups."
            )


def _projected(kernel: FloatArray, mean_vectors: FloatArray) -> tuple[FloatArray, float]:
    """M K M + c Q Q^T, M = I - Q Q^T, and c: the kernel on the contrasts of the mean, the p other eigenvalues at c.

    A symmetric rank-2p update, O(n^2 p); c is larger than any eigenvalue of K. Only the lower triangle is meant.
    """
    products = kernel @ mean_vectors
    lift = 2.0 * max(float(kernel.trace()), 1.0)
    lifted = mean_vectors.T @ products
    np.einsum("ii->i", lifted)[:] += lift
    update = mean_vectors @ (0.5 * lifted) - products
    return np.asarray(scipy.linalg.blas.dsyr2k(1.0, mean_vectors, update, beta=1.0, c=kernel.T, lower=1)), lift


def leave_out(
    decomposition: Spectrum, y: FloatArray, regularizations: FloatArray, *, groups: Sequence[IntArray] = ()
) -> LeftOut:
    """Every label y (n,) predicted from the labels outside its group (of two or more, else itself), for each lambda (m,) > 0."""
    refuse_fixed_mean(decomposition.mean_vectors, groups)
    shifted = decomposition.values[:, None] + regularizations[None, :]
    if shifted.min() <= _SINGULAR * shifted.max():
        raise InvalidTrainingSetError(
            f"Expected a regular kernel matrix, found eigenvalues from {shifted.min():.3g} to {shifted.max():.3g} with "
            f"regularization {regularizations.min():.3g}: it is singular to rounding. Raise the regularization."
        )
    inverse = 1.0 / shifted
    vectors = decomposition.vectors
    projected: FloatArray = vectors @ (inverse * (vectors.T @ y)[:, None])
    precision: FloatArray = (vectors**2) @ inverse
    counts = np.ones(len(y))
    residuals, variances = projected / precision, 1.0 / precision
    for group in groups:
        block = vectors[group]
        matrices = np.einsum("ik,kl,jk->lij", block, inverse, block, optimize=True)
        covariances = np.linalg.inv(matrices)
        residuals[group] = np.einsum("lij,jl->il", covariances, projected[group])
        variances[group] = np.einsum("lii->il", covariances)
        counts[group] = 1.0 / len(group)
    return LeftOut(residuals=residuals, variances=variances, counts=counts)


def log_marginal_likelihood(decomposition: Spectrum, y: FloatArray, regularizations: FloatArray) -> FloatArray:
    """Restricted log likelihood of the labels with the signal variance at its maximum, for each regularization, (m,)."""
    shifted = decomposition.values[:, None] + regularizations[None, :]
    quadratic = ((decomposition.vectors.T @ y) ** 2) @ (1.0 / shifted)
    log_volume = np.log(shifted).sum(axis=0) + decomposition.log_volume
    return _log_likelihood(log_volume, quadratic, degrees=len(decomposition.values))


def _log_likelihood(log_volume: FloatArray, quadratic: FloatArray, *, degrees: int) -> FloatArray:
    return np.asarray(-0.5 * (log_volume + degrees * (np.log(2.0 * np.pi * quadratic / degrees) + 1.0)))


class RestrictedLikelihood:
    """Restricted likelihood of labels y (n,) with mean basis H (n, p), p = 0 for no mean, for each lambda (m,) > 0.

    Under any kernel; what depends on the labels alone is computed once.
    """

    def __init__(self, *, basis: FloatArray, y: FloatArray, regularizations: FloatArray) -> None:
        self._basis, self._y, self._regularizations = basis, y, regularizations
        self._mean_vectors, self._log_volume = contrasts(basis)
        self._labels = y - self._mean_vectors @ (self._mean_vectors.T @ y)

    def logarithms(self, kernel: FloatArray) -> FloatArray:
        """`log_marginal_likelihood` of the spectrum of K (n, n) to rounding; itself where T + lambda is not positive definite."""
        (n, p), m, vectors = self._basis.shape, len(self._regularizations), self._mean_vectors
        matrix, lift = _projected(kernel, vectors) if p else (kernel.T, 0.0)
        reduced, diagonal, beside, reflectors, _ = scipy.linalg.lapack.dsytrd(matrix, lower=1, lwork=_BLOCK * n)
        rotated = np.empty(n)
        rotated[0] = self._labels[0]
        rotated[1:] = scipy.linalg.lapack.dormqr(
            "L", "T", reduced[1:, :-1], reflectors, self._labels[1:, None], _BLOCK
        )[0][:, 0]
        # All T + lambda stand in one block-diagonal matrix: a single call to factorize and one to solve.
        all_beside = np.zeros((m, n))
        all_beside[:, :-1] = beside
        pivots, multipliers, failure = scipy.linalg.lapack.dpttrf(
            (diagonal + self._regularizations[:, None]).ravel(), all_beside.ravel()[:-1], overwrite_d=1, overwrite_e=1
        )
        if failure:
            return log_marginal_likelihood(spectrum(kernel, self._basis), self._y, self._regularizations)
        repeated = np.empty((m, n))
        repeated[:] = rotated
        solved = scipy.linalg.lapack.dpttrs(pivots, multipliers, repeated.reshape(-1, 1), overwrite_b=1)[0]
        quadratic = solved.reshape(m, n) @ rotated
        log_volume = np.log(pivots).reshape(m, n).sum(axis=1) + self._log_volume
        if p:
            log_volume -= p * np.log(lift + self._regularizations)
        return _log_likelihood(log_volume, quadratic, degrees=n - p)
