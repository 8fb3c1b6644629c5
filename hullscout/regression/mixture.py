"""A tuned model on separations: settings averaged, each an exact process, calibrated by the labels left out.

This is the layer that a campaign's rounds use: it takes separations that somebody keeps (see `pool_model.py`) and
never computes or copies features.
"""

from dataclasses import dataclass, field

import numpy as np

from hullscout.regression.arrays import FloatArray, IntArray
from hullscout.regression.calibration import TailCalibration, calibrate
from hullscout.regression.covariance import BlockKernels, Representations
from hullscout.regression.labelled import (
    MAX_TRIALS,
    Grouping,
    Labelled,
    Suspicion,
    Trial,
    chosen,
    distrust,
    group_labels,
    no_suspicion,
)
from hullscout.regression.process import GaussianProcess, MixturePosterior
from hullscout.regression.settings import Hyperparameters, ModelSettings, Uncertainty
from hullscout.regression.tuning import ScoredSetting, Search, SearchPoint, TunedSetting, WarmStart, averaging_weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One setting of a mixture, conditioned on the labels."""

    weight: float
    hyperparameters: Hyperparameters
    process: GaussianProcess = field(repr=False)


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
    loo_mean: FloatArray = field(repr=False)
    loo_std: FloatArray = field(repr=False)
    grouping: Grouping = field(repr=False)
    suspects: IntArray
    evaluated: tuple[ScoredSetting, ...] = field(repr=False)

    @property
    def best(self) -> SearchPoint | None:
        """The best setting tried, with which a fit on more labels may start; None if the setting was given."""
        return self.evaluated[0].point if self.evaluated else None

    def predict(
        self, cross: Representations, prior: Representations, basis: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation (q,) at new structures, of what `uncertainty` says.

        Args:
            cross: For each representation and block, separations labels x structures, shape (n, q).
            prior: For each representation and block, separation of each structure from itself, shape (q,).
            basis: The mean's basis functions at the structures, shape (q, p).
        """
        means, variances = self._moments(cross, prior, basis)
        return _mixed(self._weights, means, variances + self._noise[:, None], scale=self._tails.scale)

    def posterior(self, cross: Representations, among: Representations, basis: FloatArray) -> MixturePosterior:
        """Joint posterior of the labels of a few structures; arguments as of `predict`, but `among` of shape (q, q)."""
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
        return np.array([component.hyperparameters.noise_variance for component in self.components])

    @property
    def _tails(self) -> TailCalibration:
        return self.calibration if self.uncertainty is Uncertainty.LABEL else TailCalibration()

    def _moments(
        self, cross: Representations, prior: Representations, basis: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Means and variances (or covariances) of the function, one row per component."""
        kept = self.grouping.kept
        if len(kept) < len(self.grouping.merged_to):  # one label for every merged set
            cross = {name: {block: values[kept] for block, values in blocks.items()} for name, blocks in cross.items()}
        columns, own = BlockKernels(cross), BlockKernels(prior)
        pairs = []
        for component in self.components:
            setting = component.hyperparameters
            known, new = (kernels.matrix(setting.kernel, setting.representation) for kernels in (columns, own))
            pairs.append(component.process.predict(known, new, basis))
        return np.stack([mean for mean, _ in pairs]), np.stack([variance for _, variance in pairs])


def _mixed(
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
    warm_start: WarmStart | None = None,
    hyperparameters: Hyperparameters | None = None,
) -> FittedMixture:
    """Merge copies, tune, find suspects, average and calibrate.

    From separations (n, n) among the labels for each representation and block, the mean's basis functions there (n, p) and
    the labels y (n,). Labels with the same number in `groups` are left out together. The search starts from `warm_start`,
    or from nothing; with `hyperparameters` nothing is searched.
    """
    metric = settings.shape.metric if hyperparameters is None else hyperparameters.kernel.shape.metric
    grouping = group_labels(next(iter(labelled.values())), y, metric=metric, groups=groups)
    kept = grouping.kept
    known = Labelled(separations=chosen(labelled, kept), basis=basis[kept], y=grouping.merge(y), groups=grouping.groups)
    if hyperparameters is None:
        weights, tuned, evaluated, suspicion = _tuned(known, settings, warm_start)
        averaged = [setting.hyperparameters for setting in tuned]
    else:
        weights, tuned, evaluated, averaged = np.ones(1), [], [], [hyperparameters]
        mean, variance = known.left_out(hyperparameters, no_suspicion(len(known.y)).suspects)
        suspicion = distrust(known.y - mean, variance, hyperparameters.noise_variance, suspicion=settings.suspicion)
    if tuned and len(suspicion.suspects) == 0 and len(tuned[0].loo_mean) == len(known.y):
        left_out = [(setting.loo_mean, setting.loo_variance) for setting in tuned]
        processes = [setting.process for setting in tuned]
    else:
        left_out = [known.left_out(setting, suspicion.suspects) for setting in averaged]
        processes = [known.process(setting, suspicion.noise) for setting in averaged]
    loo_mean, raw_std = _mixed(
        weights, np.stack([mean for mean, _ in left_out]), np.stack([variance for _, variance in left_out])
    )
    calibration = TailCalibration()
    if settings.calibrated:
        calibration = calibrate(
            (known.y - loo_mean) / raw_std,
            n_tuned=settings.n_tuned(len(evaluated[0].point.log_lengths)) if evaluated else 0,
            is_suspect=suspicion.noise > 1.0,
        )
    return FittedMixture(
        components=tuple(
            Component(weight=float(weight), hyperparameters=setting, process=process)
            for weight, setting, process in zip(weights, averaged, processes, strict=True)
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
    known: Labelled, settings: ModelSettings, warm_start: WarmStart | None
) -> tuple[FloatArray, list[TunedSetting], list[ScoredSetting], Suspicion]:
    """Search on the trusted labels until the suspects stay the same; at first all labels are trusted."""
    searches: dict[bytes, Search] = {}
    suspicion = no_suspicion(len(known.y))
    trial = Trial(len(known.y), suspicion=settings.suspicion, can_spare=known.can_spare)
    for _ in range(MAX_TRIALS):
        suspects = suspicion.suspects
        key = suspects.tobytes()
        if key not in searches:
            searches[key] = Search(known.without(suspects), settings=settings)
            searches[key].run(warm_start=warm_start)
        evaluated = searches[key].ranked()
        indices, weights = averaging_weights(evaluated, criterion=settings.criterion, n_kept=settings.n_averaged)
        heaviest = searches[key].tuned(evaluated[indices[0]])
        mean, variance = (
            known.left_out(heaviest.hyperparameters, suspects, process=heaviest.process)
            if len(suspects)
            else (heaviest.loo_mean, heaviest.loo_variance)
        )
        suspicion = trial.judge(suspects, known.y - mean, variance, heaviest.hyperparameters.noise_variance)
        if np.array_equal(suspicion.suspects, suspects):
            break
    averaged = [heaviest, *(searches[key].tuned(evaluated[index]) for index in indices[1:])]
    return weights, averaged, evaluated, suspicion
