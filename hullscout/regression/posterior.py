"""What the model believes of chosen candidates: a mixture of Gaussians, widened to heavy tails as leave-one-out asks.

Each component is one setting of the hyperparameters. `scale` and `degrees_of_freedom` come from the z-scores of the
labels that were left out (see `calibration.py`), so that the intervals hold on data and not only under the model.
"""

from dataclasses import dataclass

import numpy as np

from hullscout.errors import InvalidSettingError
from hullscout.regression.arrays import FloatArray, is_kind, refuse_no_count


@dataclass(frozen=True, slots=True, kw_only=True)
class MixturePosterior:
    """Joint posterior of the labels of q candidates.

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
        """Joint samples: a component by weight, then a multivariate Student-t around its mean.

        All candidates of one sample share the tail factor sqrt(nu / chi^2_nu), so a bad day is a bad day everywhere.

        Args:
            n: Number of samples.
            rng: Source of randomness.

        Returns:
            Array of shape (n, q).

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
