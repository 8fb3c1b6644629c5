"""A tuned model on separations: settings averaged, each an exact process, calibrated by the labels left out.

This is the layer that a campaign's rounds use: it takes separations that somebody keeps (see `separations.py`) and
never computes or copies features.
"""

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from hullscout.regression.arrays import FloatArray, IntArray
from hullscout.regression.block_kernels import BlockKernels, Representations
from hullscout.regression.calibration import TailCalibration, calibrate
from hullscout.regression.grouping import Grouping, group_labels
from hullscout.regression.known import Known, chosen
from hullscout.regression.posterior import MixturePosterior
from hullscout.regression.process import GaussianProcess
from hullscout.regression.settings import Hyperparameters, ModelSettings, Uncertainty
from hullscout.regression.suspects import DOUBT, Suspicion
from hullscout.regression.tuning import ScoredSetting, Search, SearchPoint, TunedSetting, WarmStart, averaging_weights

_MAX_ROUNDS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One setting of a mixture, conditioned on the labels."""

    weight: float
    hyperparameters: Hyperparameters
    process: GaussianProcess = field(repr=False)

    def moments(self, cross: BlockKernels, prior: BlockKernels, basis: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and variance (or covariance, if `prior` is among points) of the function, without noise."""
        return self.process.predict(self._matrix(cross), self._matrix(prior), basis)

    def extended(self, cross: BlockKernels, among: BlockKernels, basis: FloatArray, y: FloatArray) -> "Component":
        """The same setting, conditioned on more labels."""
        return replace(self, process=self.process.extended(self._matrix(cross), self._matrix(among), basis, y))

    @property
    def noise_variance(self) -> float:
        """Variance of a label around the function."""
        return self.hyperparameters.regularization * self.hyperparameters.signal_variance

    def _matrix(self, kernels: BlockKernels) -> FloatArray:
        return kernels.matrix(self.hyperparameters.kernel, self.hyperparameters.representation)


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

    def extended(
        self, cross: Representations, among: Representations, basis: FloatArray, y: FloatArray
    ) -> "FittedMixture":
        """The same settings, conditioned on more labels by growing each Cholesky factor: nothing is tuned again.

        The leave-one-out predictions of the new labels are those made before they were known.

        Args:
            cross: For each representation and block, separations known labels x new labels, shape (n, m).
            among: For each representation and block, separations among the new labels, shape (m, m).
            basis: The mean's basis functions at the new labels, shape (m, p).
            y: New labels, shape (m,).

        Raises:
            InvalidTrainingSetError: A new label that the known ones determine to rounding; fit again.
        """
        n, kept = len(self.loo_mean), self.grouping.kept
        own = {name: {block: np.diag(values) for block, values in blocks.items()} for name, blocks in among.items()}
        mean, std = self.predict(cross, own, basis)
        columns, square = self._of_kept(cross), BlockKernels(separations=among)
        return replace(
            self,
            components=tuple(component.extended(columns, square, basis, y) for component in self.components),
            loo_mean=np.concatenate([self.loo_mean, mean]),
            loo_std=np.concatenate([self.loo_std, std]),
            grouping=replace(
                self.grouping,
                kept=np.concatenate([kept, n + np.arange(len(y))]),
                merged_to=np.concatenate([self.grouping.merged_to, len(kept) + np.arange(len(y))]),
            ),
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
        columns, own = self._of_kept(cross), BlockKernels(separations=prior)
        pairs = [component.moments(columns, own, basis) for component in self.components]
        return np.stack([mean for mean, _ in pairs]), np.stack([variance for _, variance in pairs])

    def _of_kept(self, cross: Representations) -> BlockKernels:
        """Kernels labels x structures, of one label for every merged set."""
        kept = self.grouping.kept
        if len(kept) == len(self.grouping.merged_to):
            return BlockKernels(separations=cross)
        return BlockKernels(
            separations={
                name: {block: values[kept] for block, values in blocks.items()} for name, blocks in cross.items()
            }
        )


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
    warm_start: WarmStart | None = None,
    hyperparameters: Hyperparameters | None = None,
) -> FittedMixture:
    """Merge copies, tune, find suspects, average and calibrate.

    Args:
        labelled: For each representation, for each block, separations among the labels, shape (n, n).
        basis: The mean's basis functions at the labels, shape (n, p).
        y: Labels, shape (n,).
        settings: What is searched and how.
        groups: A number per label; equal numbers are left out together.
        warm_start: What an earlier round found; a search from nothing if not given.
        hyperparameters: Use this setting and search nothing.

    Raises:
        InvalidTrainingSetError: Fewer than three different structures, or a singular problem.
    """
    metric = settings.shape.metric if hyperparameters is None else hyperparameters.kernel.shape.metric
    grouping = group_labels(next(iter(labelled.values())), y, metric=metric, groups=groups)
    kept = grouping.kept
    known = Known(labelled=chosen(labelled, kept), basis=basis[kept], y=grouping.merge(y), groups=grouping.groups)
    if hyperparameters is None:
        weights, scored, evaluated, suspicion = _tuned(known, settings, warm_start)
        averaged = [setting.hyperparameters for setting in scored]
    else:
        weights, scored, evaluated, averaged = np.ones(1), [], [], [hyperparameters]
        suspicion = known.suspicion(
            known.left_out(hyperparameters, known.trusting().suspects), hyperparameters, settings.suspicion
        )
    if scored and len(suspicion.suspects) == 0 and len(scored[0].residuals) == len(known.y):
        left_out = [setting.left_out(known.y) for setting in scored]
        processes = [setting.process for setting in scored]
    else:
        left_out = [known.left_out(setting, suspicion.suspects) for setting in averaged]
        processes = [known.process(setting, suspicion.noise) for setting in averaged]
    loo_mean, raw_std = mixed(
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
    known: Known, settings: ModelSettings, warm_start: WarmStart | None
) -> tuple[FloatArray, list[TunedSetting], list[ScoredSetting], Suspicion]:
    """Search on the trusted labels until the suspects stay the same; at first all labels are trusted.

    A suspect that a model tuned without it explains is believed from then on, so the search ends. Labels are believed,
    too, that the others cannot spare: without which they would be constant or would not determine the mean.
    """
    searches: dict[bytes, Search] = {}
    suspicion = known.trusting()
    is_believed = np.zeros(len(known.y), dtype=np.bool_)
    for number in range(_MAX_ROUNDS):
        trusted = known.restricted(np.flatnonzero(suspicion.noise == 1.0))
        key = suspicion.suspects.tobytes()
        if key not in searches:
            searches[key] = Search(
                labelled=trusted.labelled, basis=trusted.basis, y=trusted.y, settings=settings, groups=trusted.groups
            )
            searches[key].run(warm_start=warm_start)
        evaluated = searches[key].ranked()
        indices, weights = averaging_weights(evaluated, criterion=settings.criterion, n_kept=settings.n_averaged)
        heaviest = searches[key].tuned(evaluated[indices[0]])
        left_out = (
            known.left_out(heaviest.hyperparameters, suspicion.suspects, process=heaviest.process)
            if len(suspicion.suspects)
            else heaviest.left_out(known.y)
        )
        found = known.suspicion(
            left_out,
            heaviest.hyperparameters,
            settings.suspicion,
            is_believed=is_believed,
            doubt=1.0 if number else DOUBT,
        )
        if len(found.suspects) and not known.can_spare(found.suspects):
            is_believed[found.suspects] = True
            found = known.trusting()
        is_believed[np.setdiff1d(suspicion.suspects, found.suspects)] = True
        is_settled = np.array_equal(found.suspects, suspicion.suspects)
        suspicion = found
        if is_settled:
            break
    averaged = [heaviest, *(searches[key].tuned(evaluated[index]) for index in indices[1:])]
    return weights, averaged, evaluated, suspicion
