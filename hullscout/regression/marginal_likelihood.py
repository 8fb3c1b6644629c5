"""The restricted likelihood for every regularization strength from one tridiagonal reduction.

With the kernel projected on the contrasts of the mean, M K M = Q T Q^T and T tridiagonal, the matrix T + lambda is
factorized in O(n) for each lambda. This costs a fraction of the eigendecomposition that leaving labels out needs, and
the search asks for nothing else under this criterion.

Source: Rasmussen & Williams, Gaussian Processes for Machine Learning (2006), eq. 2.45 for the restricted likelihood;
Golub & Van Loan, Matrix Computations (2013), section 8.3.1 for the reduction.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import lapack

from hullscout.regression.arrays import FloatArray
from hullscout.regression.leave_one_out import Contrasts, contrasts, log_marginal_likelihood, projected, spectrum

_BLOCK = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class RestrictedLikelihood:
    """Of labels under any kernel; what depends on the labels alone is computed once.

    Attributes:
        basis: H, shape (n, p), p = 0 for a zero mean.
        y: Labels, shape (n,).
        regularizations: lambda, shape (m,), positive.

    Raises:
        InvalidTrainingSetError: The labels do not determine the mean.
    """

    basis: FloatArray
    y: FloatArray
    regularizations: FloatArray
    _mean: Contrasts = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_mean", contrasts(self.basis))

    def logarithms(self, kernel: FloatArray) -> FloatArray:
        """Restricted log likelihood with the signal variance at its maximum, for each regularization.

        The same as `log_marginal_likelihood` of the kernel's spectrum to rounding, which is what is computed where
        T + lambda is not positive definite.

        Args:
            kernel: K, shape (n, n), in units of the signal variance.

        Returns:
            Array of shape (m,).

        Raises:
            InvalidTrainingSetError: The kernel has a clearly negative eigenvalue.
        """
        (n, p), m = self.basis.shape, len(self.regularizations)
        vectors = self._mean.vectors
        matrix, lift = projected(kernel, vectors) if p else (kernel.T, 0.0)
        labels = self.y - vectors @ (vectors.T @ self.y)
        reduced, diagonal, beside, reflectors, _ = lapack.dsytrd(matrix, lower=1, lwork=_BLOCK * n)
        rotated = np.empty(n)
        rotated[0] = labels[0]
        rotated[1:] = lapack.dormqr("L", "T", reduced[1:, :-1], reflectors, labels[1:, None], _BLOCK)[0][:, 0]
        # All T + lambda stand in one block-diagonal matrix: a single call to factorize and one to solve.
        all_beside = np.tile(np.append(beside, 0.0), m)[:-1]
        pivots, multipliers, failure = lapack.dpttrf(
            (diagonal + self.regularizations[:, None]).ravel(), all_beside, overwrite_d=1, overwrite_e=1
        )
        if failure:
            return log_marginal_likelihood(spectrum(kernel, self.basis), self.y, self.regularizations)
        solved = lapack.dpttrs(pivots, multipliers, np.tile(rotated, m)[:, None], overwrite_b=1)[0]
        quadratic = solved.reshape(m, n) @ rotated
        log_volume = np.log(pivots).reshape(m, n).sum(axis=1) + self._mean.log_volume
        if p:
            log_volume -= p * np.log(lift + self.regularizations)
        degrees = n - p
        return np.asarray(-0.5 * (log_volume + degrees * (np.log(2.0 * np.pi * quadratic / degrees) + 1.0)))
