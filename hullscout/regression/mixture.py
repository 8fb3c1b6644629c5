"""A tuned model on separations: settings averaged, each an exact process, calibrated by the labels left out.

This is the layer that a campaign's rounds use: it takes separations that somebody keeps (see `separations.py`) and
never computes or copies features.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from hullscout.errors import InvalidTrainingSetError
from hullscout.regression.arrays import MIN_LABELS, FloatArray, IntArray
from hullscout.regression.calibration import TailCalibration, calibrate
from hullscout.regression.grouping import Grouping, group_labels
from hullscout.regression.known import Known, Representations, chosen
from hullscout.regression.posterior import MixturePosterior
from hullscout.regression.process import GaussianProcess
from hullscout.regression.settings import Hyperparameters, ModelSettings, Uncertainty
from hullscout.regression.suspects import Suspicion
from hullscout.regression.tuning import ScoredSetting, Search, SearchPoint, averaging_weights

_MAX_ROUNDS: Final = 4


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
        suspects: Indices of the labels that the others contradict; they hardly count in the fit.
        evaluated: Every setting tried, best first; empty if the setting was given.
    """

    components: tuple[Component, ...]
    calibration: TailCalibration
    uncertainty: Uncertainty
    loo_mean: FloatArray
    loo_std: FloatArray
    grouping: Grouping
    suspects: IntArray
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
        return mixed(self._weights, means, variances + self._noise[:, None], scale=self._tails.scale)

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


def mixed(
    weights: FloatArray, means: FloatArray, variances: FloatArray, *, scale: float = 1.0
) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of a mixture of components (shape (m, q) each), whose own variances are scaled."""
    mean = weights @ means
    return mean, np.sqrt(scale**2 * (weights @ variances) + weights @ (means - mean) ** 2)


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
    """Merge copies, tune, find suspects, average and calibrate.

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
    if len(kept) < MIN_LABELS:
        raise InvalidTrainingSetError(
            f"Expected labels of at least {MIN_LABELS} different structures, found {len(kept)}."
        )
    known = Known(labelled=chosen(labelled, kept), basis=basis[kept], y=grouping.merge(y), groups=grouping.groups)
    if hyperparameters is None:
        averaged, evaluated, suspicion = _tuned(known, settings, warm_start)
    else:
        averaged, evaluated = [(1.0, hyperparameters)], []
        suspicion = known.suspicion(hyperparameters, settings.suspicion)
    left_out = [known.left_out(setting, suspicion.noise) for _, setting in averaged]
    weights = np.array([weight for weight, _ in averaged])
    loo_mean, raw_std = mixed(
        weights, np.stack([mean for mean, _ in left_out]), np.stack([variance for _, variance in left_out])
    )
    calibration = calibrate(
        (known.y - loo_mean) / raw_std,
        n_tuned=len(evaluated[0].point.log_lengths) * 2 + 1 if evaluated else 0,
        is_suspect=suspicion.noise > 1.0,
    )
    return FittedMixture(
        components=tuple(
            Component(weight=weight, hyperparameters=setting, process=known.process(setting, suspicion.noise))
            for weight, setting in averaged
        ),
        calibration=calibration,
        uncertainty=settings.uncertainty,
        loo_mean=loo_mean[grouping.merged_to],
        loo_std=(raw_std * calibration.scale)[grouping.merged_to],
        grouping=grouping,
        suspects=np.flatnonzero(np.isin(grouping.merged_to, suspicion.suspects)),
        evaluated=tuple(evaluated),
    )


def _tuned(
    known: Known, settings: ModelSettings, warm_start: SearchPoint | None
) -> tuple[list[tuple[float, Hyperparameters]], list[ScoredSetting], Suspicion]:
    """Search on the trusted labels until the suspects stay the same; at first all labels are trusted."""
    suspicion = known.trusting()
    start = warm_start
    for _ in range(_MAX_ROUNDS):
        trusted = known.restricted(np.flatnonzero(suspicion.noise == 1.0))
        search = Search(
            labelled=trusted.labelled, basis=trusted.basis, y=trusted.y, settings=settings, groups=trusted.groups
        )
        evaluated = search.run(warm_start=start)
        indices, weights = averaging_weights(evaluated, criterion=settings.criterion, n_kept=settings.n_averaged)
        averaged = [(float(w), evaluated[index].hyperparameters) for w, index in zip(weights, indices, strict=True)]
        found = known.suspicion(averaged[0][1], settings.suspicion, noise=suspicion.noise)
        is_settled = np.array_equal(found.suspects, suspicion.suspects)
        suspicion, start = found, evaluated[0].point
        if is_settled:
            break
    return averaged, evaluated, suspicion
