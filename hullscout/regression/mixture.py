"""A tuned model on separations: settings averaged, each an exact process, calibrated by the labels left out.

This is the layer that a campaign's rounds use: it takes separations that somebody keeps (see `separations.py`) and
never computes or copies features.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hullscout.errors import InvalidTrainingSetError
from hullscout.regression.arrays import FloatArray, IntArray
from hullscout.regression.calibration import TailCalibration, calibrate
from hullscout.regression.grouping import Grouping, group_labels
from hullscout.regression.leave_one_out import leave_out, spectrum
from hullscout.regression.posterior import MixturePosterior
from hullscout.regression.process import GaussianProcess, condition
from hullscout.regression.settings import Hyperparameters, ModelSettings, Uncertainty
from hullscout.regression.tuning import ScoredSetting, Search, SearchPoint, Separations, averaging_weights

Representations = Mapping[str, Separations]


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One setting of a mixture, conditioned on the labels."""

    weight: float
    hyperparameters: Hyperparameters
    process: GaussianProcess

    def moments(
        self, cross: Representations, prior: Representations, basis: FloatArray, kept: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """Mean and variance (or covariance, if `prior` is among points) of the function, without noise."""
        name, kernel = self.hyperparameters.representation, self.hyperparameters.kernel
        columns = {block: values[kept] for block, values in cross[name].items()}
        return self.process.predict(kernel(columns), kernel(prior[name]), basis)

    @property
    def noise_variance(self) -> float:
        """Variance of a label around the function."""
        return self.hyperparameters.regularization * self.hyperparameters.signal_variance


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedMixture:
    """Settings averaged over, conditioned on labels and calibrated.

    Attributes:
        components: Heaviest first; weights sum to one.
        calibration: From the z-scores of the labels left out.
        uncertainty: Of labels (noise included, calibrated) or of the function (as modelled).
        loo_mean: Prediction of every label from the labels outside its group, shape (n,).
        loo_std: Calibrated standard deviation of that prediction, shape (n,).
        grouping: What was merged and what was left out together.
        evaluated: Every setting tried, best first; empty if the setting was given.
    """

    components: tuple[Component, ...]
    calibration: TailCalibration
    uncertainty: Uncertainty
    loo_mean: FloatArray
    loo_std: FloatArray
    grouping: Grouping
    evaluated: tuple[ScoredSetting, ...]

    @property
    def warm_start(self) -> SearchPoint | None:
        """Where the next round's search may start."""
        return self.evaluated[0].point if self.evaluated else None

    def predict(
        self, cross: Representations, prior: Representations, basis: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation at new structures, of what `uncertainty` says.

        Args:
            cross: For each representation and block, separations labels x structures, shape (n, q).
            prior: For each representation and block, separation of each structure from itself, shape (q,).
            basis: The mean's basis functions at the structures, shape (q, p).

        Returns:
            Two arrays of shape (q,).
        """
        means, variances = self._moments(cross, prior, basis)
        return _mixed(self._weights, means, variances + self._noise[:, None], self._tails.scale)

    def posterior(self, cross: Representations, among: Representations, basis: FloatArray) -> MixturePosterior:
        """Joint posterior of the labels of a few structures.

        Args:
            cross: For each representation and block, separations labels x structures, shape (n, q).
            among: For each representation and block, separations among the structures, shape (q, q).
            basis: The mean's basis functions at the structures, shape (q, p).
        """
        means, covariances = self._moments(cross, among, basis)
        return MixturePosterior(
            weights=self._weights,
            means=means,
            covariances=covariances + self._noise[:, None, None] * np.eye(means.shape[1]),
            scale=self._tails.scale,
            degrees_of_freedom=self._tails.degrees_of_freedom,
        )

    @property
    def _weights(self) -> FloatArray:
        return np.array([component.weight for component in self.components])

    @property
    def _noise(self) -> FloatArray:
        if self.uncertainty is Uncertainty.FUNCTION:
            return np.zeros(len(self.components))
        return np.array([component.noise_variance for component in self.components])

    @property
    def _tails(self) -> TailCalibration:
        return self.calibration if self.uncertainty is Uncertainty.LABEL else TailCalibration()

    def _moments(
        self, cross: Representations, prior: Representations, basis: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        kept = self.grouping.kept
        pairs = [component.moments(cross, prior, basis, kept) for component in self.components]
        return np.stack([mean for mean, _ in pairs]), np.stack([variance for _, variance in pairs])


def fit_mixture(
    labelled: Representations,
    basis: FloatArray,
    y: FloatArray,
    *,
    settings: ModelSettings,
    groups: IntArray | None = None,
    warm_start: SearchPoint | None = None,
    hyperparameters: Hyperparameters | None = None,
) -> FittedMixture:
    """Merge copies, tune, average and calibrate.

    Args:
        labelled: For each representation, for each block, separations among the labels, shape (n, n).
        basis: The mean's basis functions at the labels, shape (n, p).
        y: Labels, shape (n,).
        settings: What is searched and how.
        groups: A number per label; equal numbers are left out together.
        warm_start: The best search point of an earlier round; the search from nothing if not given.
        hyperparameters: Use this setting and search nothing.

    Raises:
        InvalidTrainingSetError: Fewer than three different structures, or a singular problem.
    """
    metric = settings.shape.metric if hyperparameters is None else hyperparameters.kernel.shape.metric
    grouping = group_labels(next(iter(labelled.values())), y, metric=metric, groups=groups)
    kept = grouping.kept
    if len(kept) < 3:
        raise InvalidTrainingSetError(f"Expected labels of at least 3 different structures, found {len(kept)}.")
    chosen = {
        name: {block: values[np.ix_(kept, kept)] for block, values in blocks.items()}
        for name, blocks in labelled.items()
    }
    kept_basis, kept_y = basis[kept], grouping.merge(y)
    if hyperparameters is not None:
        pairs = [(1.0, hyperparameters)]
        evaluated: list[ScoredSetting] = []
        means, variances = _left_out(chosen, kept_basis, kept_y, hyperparameters, grouping)
    else:
        search = Search(labelled=chosen, basis=kept_basis, y=kept_y, settings=settings, groups=grouping.groups)
        evaluated = search.run(warm_start=warm_start)
        indices, weights = averaging_weights(evaluated, n_kept=settings.n_averaged)
        averaged = [evaluated[index] for index in indices]
        pairs = [(float(w), setting.hyperparameters) for w, setting in zip(weights, averaged, strict=True)]
        means = np.stack([kept_y - setting.residuals for setting in averaged])
        variances = np.stack([setting.variances for setting in averaged])
    loo_mean, raw_std = _mixed(np.array([weight for weight, _ in pairs]), means, variances, 1.0)
    calibration = calibrate((kept_y - loo_mean) / raw_std)
    return FittedMixture(
        components=tuple(
            Component(
                weight=weight,
                hyperparameters=setting,
                process=condition(
                    setting.kernel(chosen[setting.representation]),
                    kept_basis,
                    kept_y,
                    regularization=setting.regularization,
                    signal_variance=setting.signal_variance,
                ),
            )
            for weight, setting in pairs
        ),
        calibration=calibration,
        uncertainty=settings.uncertainty,
        loo_mean=loo_mean[grouping.merged_to],
        loo_std=(raw_std * calibration.scale)[grouping.merged_to],
        grouping=grouping,
        evaluated=tuple(evaluated),
    )


def _left_out(
    labelled: Representations, basis: FloatArray, y: FloatArray, setting: Hyperparameters, grouping: Grouping
) -> tuple[FloatArray, FloatArray]:
    decomposition = spectrum(setting.kernel(labelled[setting.representation]), basis)
    regularizations = np.array([setting.regularization])
    left_out = leave_out(decomposition, y, regularizations, groups=grouping.groups)
    return (y - left_out.residuals[:, 0])[None, :], (left_out.variances[:, 0] * setting.signal_variance)[None, :]


def _mixed(
    weights: FloatArray, means: FloatArray, variances: FloatArray, scale: float
) -> tuple[FloatArray, FloatArray]:
    mean = weights @ means
    return mean, np.sqrt(scale**2 * (weights @ variances) + weights @ (means - mean) ** 2)
