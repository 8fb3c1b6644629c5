"""A tuned model on separations: settings averaged, each an exact process, calibrated by the labels left out.

It takes separations that somebody keeps (see `pool_model.py`) and never computes or copies features.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from hullscout.errors import InvalidSettingError
from hullscout.regression.arrays import (
    BoolArray,
    FloatArray,
    IntArray,
    Representations,
    is_kind,
    refuse_no_count,
)
from hullscout.regression.calibration import TailCalibration, calibrate, scale_of
from hullscout.regression.covariance import BlockKernels, Hyperparameters
from hullscout.regression.labelled import Grouping, Labelled, Suspicion, chosen, distrust, group_labels, settled
from hullscout.regression.tuning import (
    Component,
    ModelSettings,
    ScoredSetting,
    Search,
    SearchPoint,
    Uncertainty,
    WarmStart,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MixturePosterior:
    """Joint posterior of the labels of q candidates: Gaussians mixed, widened to heavy tails as leave-one-out asks.

    Each component is one setting of the hyperparameters. `scale` and `degrees_of_freedom` come from the z-scores of the
    labels that were left out (see `calibration.py`), so that the intervals hold on data and not only under the model.

    Attributes:
        weights: Of the components, shape (m,), summing to one.
        means: Shape (m, q), unit of the labels.
        covariances: Shape (m, q, q), noise of the labels included, before the standard deviations are scaled.
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
        """
        refuse_no_count(least=0, n=n)
        if not is_kind(rng, np.random.Generator):
            raise InvalidSettingError(f"Expected a generator such as np.random.default_rng(0), found {rng!r}.")
        samples = []
        for count, mean, covariance in zip(rng.multinomial(n, self.weights), self.means, self.covariances, strict=True):
            normal = rng.standard_normal((count, len(mean)))
            drawn = mean + self.scale * normal @ covariance_root(covariance).T
            if np.isfinite(self.degrees_of_freedom):
                tails = np.sqrt(self.degrees_of_freedom / rng.chisquare(self.degrees_of_freedom, size=count))
                drawn += (tails - 1.0)[:, None] * (drawn - mean)
            samples.append(drawn)
        return np.concatenate(samples)[rng.permutation(n)]


def covariance_root(covariance: FloatArray) -> FloatArray:
    """A square root of a covariance matrix: Cholesky, or by eigenvalues where candidates coincide."""
    try:
        return np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(covariance)
        return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


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

        From separations labels x structures (n, q) and of each structure from itself (q,) for each representation and
        block, and the mean's basis functions at the structures (q, p).
        """
        return self.of_labels(*self._moments(cross, prior, basis))

    def of_labels(self, means: FloatArray, variances: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation (q,) of what `uncertainty` says, from those of the function by component (m, q)."""
        weights, noise, tails = self._stated
        return _mixed(weights, means, variances + noise[:, None], scale=tails.scale)

    def posterior(self, cross: Representations, among: Representations, basis: FloatArray) -> MixturePosterior:
        """Joint posterior of the labels of a few structures; arguments as of `predict`, but `among` of shape (q, q)."""
        (means, covariances), (weights, noise, tails) = self._moments(cross, among, basis), self._stated
        return MixturePosterior(
            weights=weights,
            means=means,
            covariances=covariances + noise[:, None, None] * np.eye(means.shape[1]),
            scale=tails.scale,
            degrees_of_freedom=tails.degrees_of_freedom,
        )

    @property
    def _stated(self) -> tuple[FloatArray, FloatArray, TailCalibration]:
        """Weights (m,) of the components, the noise variance (m,) that counts, and tails, as `uncertainty` says."""
        is_label = self.uncertainty is Uncertainty.LABEL
        weights = np.array([component.weight for component in self.components])
        noise = np.array([is_label * component.hyperparameters.noise_variance for component in self.components])
        return weights, noise, self.calibration if is_label else TailCalibration()

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
    scales: Mapping[str, Mapping[str, float]] | None = None,
    is_counted: BoolArray | None = None,
) -> FittedMixture:
    """Merge copies, tune, find suspects, average and calibrate.

    From separations (n, n) among the labels for each representation and block, the mean's basis functions there (n, p) and
    the labels y (n,). Labels with the same number in `groups` are left out together. The search starts from `warm_start`,
    or from nothing; with `hyperparameters` nothing is searched. `scales` are the units of its length scales (see `Search`). Where
    labels are marked as `is_counted` (n,), the z-scores of these alone say how wide intervals are (see `scale_of`).
    """
    metric = settings.shape.metric if hyperparameters is None else hyperparameters.kernel.shape.metric
    grouping = group_labels(next(iter(labelled.values())), y, metric=metric, groups=groups)
    kept = grouping.kept
    known = Labelled(separations=chosen(labelled, kept), basis=basis[kept], y=grouping.merge(y), groups=grouping.groups)
    if hyperparameters is None:
        weights, tuned, evaluated, suspicion = _tuned(known, settings, warm_start, scales)
    else:
        only, noise = _conditioned(known, hyperparameters), hyperparameters.noise_variance
        weights, tuned, evaluated = np.ones(1), [only], []
        suspicion = distrust(known.y - only.loo_mean, only.loo_variance, noise, suspicion=settings.suspicion)
    if len(suspicion.suspects) or len(tuned[0].loo_mean) < len(known.y):
        tuned = [_conditioned(known, setting.hyperparameters, suspicion) for setting in tuned]
    loo_mean, raw_std = _mixed(
        weights,
        np.stack([setting.loo_mean for setting in tuned]),
        np.stack([setting.loo_variance for setting in tuned]),
    )
    calibration = TailCalibration()
    z = (known.y - loo_mean) / raw_std
    if settings.calibrated and is_counted is not None:
        calibration = scale_of(z[is_counted[kept] & (suspicion.noise == 1.0)])
    elif settings.calibrated:
        calibration = calibrate(
            z,
            n_tuned=settings.n_tuned(len(evaluated[0].point.log_lengths)) if evaluated else 0,
            is_suspect=suspicion.noise > 1.0,
        )
    return FittedMixture(
        components=tuple(replace(one, weight=float(weight)) for one, weight in zip(tuned, weights, strict=True)),
        calibration=calibration,
        uncertainty=settings.uncertainty,
        loo_mean=loo_mean[grouping.merged_to],
        loo_std=(raw_std * calibration.scale)[grouping.merged_to],
        grouping=grouping,
        suspects=np.flatnonzero(np.isin(grouping.merged_to, suspicion.suspects)),
        evaluated=tuple(evaluated),
    )


def _conditioned(known: Labelled, setting: Hyperparameters, suspicion: Suspicion | None = None) -> Component:
    """A setting conditioned on all labels, the suspects with their own noise, and what the trusted labels say of each."""
    suspects, noise = (np.zeros(0, dtype=np.intp), None) if suspicion is None else (suspicion.suspects, suspicion.noise)
    mean, variance = known.left_out(setting, suspects)
    return Component(
        hyperparameters=setting, process=known.process(setting, noise), loo_mean=mean, loo_variance=variance
    )


def _tuned(
    known: Labelled,
    settings: ModelSettings,
    warm_start: WarmStart | None,
    scales: Mapping[str, Mapping[str, float]] | None,
) -> tuple[FloatArray, list[Component], list[ScoredSetting], Suspicion]:
    """Weights and settings averaged over, all settings tried, and suspects, from searches on the trusted labels."""
    searches: dict[bytes, Search] = {}

    def fit(suspects: IntArray) -> tuple[tuple[Search, Component], FloatArray, FloatArray, float]:
        """The search without suspects, which may be those of an earlier one, and its heaviest setting."""
        key = suspects.tobytes()
        if key not in searches:
            searches[key] = Search(known.without(suspects), settings=settings, scales=scales)
            searches[key].run(warm_start=warm_start)
        search = searches[key]
        best = search.tuned(search.averaged()[0][0])
        setting, mean, variance = best.hyperparameters, best.loo_mean, best.loo_variance
        if len(suspects):
            mean, variance = known.left_out(setting, suspects, process=best.process)
        return (search, best), known.y - mean, variance, setting.noise_variance

    can_spare, n = known.can_spare, len(known.y)
    (search, best), _, found = settled(fit, n=n, suspicion=settings.suspicion, can_spare=can_spare)
    scored, weights = search.averaged()
    return weights, [best, *map(search.tuned, scored[1:])], search.ranked(), found
