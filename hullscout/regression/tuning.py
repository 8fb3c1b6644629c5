"""What may be chosen about a model, and the search over representation, length scales and block weights.

Every regularization comes free with each kernel. Coarse: every representation with one length scale for all blocks.
Fine: coordinate steps of 1, 1/2 and 1/4 octave from the best. A warm start replaces the coarse part by the previous
round's best. Where it is known what kernels of other data were like (`KernelPrior`), nothing is searched: kernels drawn from that
are weighed. Settings are compared by the marginal likelihood or by the closed-form leave-one-out score, and averaged.

Source of the averaging: Yao, Vehtari, Simpson & Gelman, Bayesian Anal. 13, 917 (2018), section 3.4 (log scores of the
left-out labels under the Bayesian bootstrap).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from itertools import product
from typing import Final

import numpy as np

from hullscout.errors import InvalidSettingError
from hullscout.regression.arrays import MIN_LABELS, FloatArray, are_finite, is_kind, refuse_no_count
from hullscout.regression.covariance import (
    BlockKernels,
    Combination,
    Hyperparameters,
    Kernel,
    KernelShape,
    KernelTerm,
    Mean,
    typical_separation,
)
from hullscout.regression.kernel_prior import LOG_WEIGHT_FLOOR, KernelPrior, drawn_points
from hullscout.regression.labelled import Labelled
from hullscout.regression.process import GaussianProcess, RestrictedLikelihood, condition, leave_out, spectrum

_STEPS: Final = (1.0, 0.5, 0.25)
_BOOTSTRAPS: Final = 256
_MIN_SHARE: Final = 0.01  # Of the heaviest setting's weight: what is lighter is left out of an average


class Criterion(StrEnum):
    """What tuning makes best: leave-one-out log predictive score, leave-one-out RMSE, or the marginal likelihood."""

    LOG_SCORE = "log-score"
    RMSE = "rmse"
    MARGINAL_LIKELIHOOD = "marginal-likelihood"


class Uncertainty(StrEnum):
    """What a predicted deviation is of: a structure's label, calibrated; or the function without noise, as modelled."""

    LABEL = "label"
    FUNCTION = "function"


CHOICES: Final[Mapping[str, type[StrEnum]]] = {
    "shape": KernelShape,
    "combination": Combination,
    "mean": Mean,
    "criterion": Criterion,
    "uncertainty": Uncertainty,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """What is searched and how; the defaults are meant to be left alone.

    Attributes:
        uncertainty: What standard deviations and covariances are of.
        calibrated: Scale deviations of labels by the z-scores of the labels left out; else as modelled.
        suspicion: Robust standard deviations from which on a label is distrusted; infinity trusts every label.
        prior: What kernels of other data were like; None where nothing is known, and kernels are searched.
        n_averaged: Largest number of settings in the mixture; 1 picks the best one.
        n_weighed: Labels by which settings are compared, drawn at random from more; None for all. All are learned.
        max_kernels: Budget of kernel matrices (each one eigendecomposition) in a search from nothing.
        log_lengths: Coarse grid of log2(length scale over the typical separation of the block).
        log_length_bounds: Range of the same in refinement.
        log_regularization_bounds: Range of log10(regularization).
        n_regularizations: Points in that range.
    """

    shape: KernelShape = KernelShape.MATERN52
    combination: Combination = Combination.SUM
    mean: Mean = Mean.CONSTANT
    criterion: Criterion = Criterion.MARGINAL_LIKELIHOOD
    uncertainty: Uncertainty = Uncertainty.LABEL
    calibrated: bool = True
    suspicion: float = 6.0
    prior: KernelPrior | None = None
    n_averaged: int = 4
    n_weighed: int | None = None
    max_kernels: int = 60
    log_lengths: tuple[float, ...] = (-1.0, 0.0, 1.0, 2.0, 3.0)
    log_length_bounds: tuple[float, float] = (-3.0, 6.0)
    log_regularization_bounds: tuple[float, float] = (-9.0, 1.0)
    n_regularizations: int = 41

    def __post_init__(self) -> None:
        for name, kind in CHOICES.items():
            if not isinstance(getattr(self, name), kind):
                names = [f"{kind.__name__}.{member.name}" for member in kind]
                raise InvalidSettingError(f"Expected one of {names}, found {getattr(self, name)!r}.")
        counts = {name: getattr(self, name) for name in ("n_averaged", "max_kernels", "n_regularizations")}
        refuse_no_count(**counts)
        if self.n_weighed is not None:
            refuse_no_count(least=MIN_LABELS, n_weighed=self.n_weighed)
        refuse_no_suspicion(self.suspicion)
        if not is_kind(self.log_lengths, tuple) or not self.log_lengths or not are_finite(self.log_lengths):
            raise InvalidSettingError(
                f"Expected at least one coarse length scale, a tuple of numbers, found {self.log_lengths!r}."
            )
        ranges: tuple[tuple[float, ...], ...] = (self.log_length_bounds, self.log_regularization_bounds)
        for bounds in ranges:
            if not is_kind(bounds, tuple) or len(bounds) != 2 or not are_finite(bounds) or bounds[0] > bounds[1]:
                raise InvalidSettingError(f"Expected bounds in rising order, two numbers, found {bounds!r}.")

    def n_tuned(self, n_blocks: int) -> int:
        """Number of continuous hyperparameters: length scales, free weights, regularization and signal variance."""
        return n_blocks + (n_blocks - 1 if self.combination is Combination.SUM else 0) + 2

    @property
    def regularizations(self) -> FloatArray:
        """The regularizations tried with every kernel, shape (n_regularizations,)."""
        return np.logspace(*self.log_regularization_bounds, self.n_regularizations)


def refuse_no_suspicion(suspicion: float) -> None:
    """Check the number of standard deviations from which on a label is distrusted."""
    if not is_kind(suspicion, float, int) or not suspicion > 0.0:
        raise InvalidSettingError(f"Expected a suspicion > 0 (infinity to trust every label), found {suspicion!r}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPoint:
    """A kernel in the search's coordinates, for one of the alternative representations, with one entry per block.

    Attributes:
        log_lengths: log2 of length scale over typical separation.
        log_weights: log2 of weight over largest weight; all 0 in a joint kernel.
    """

    representation: str
    log_lengths: tuple[float, ...]
    log_weights: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmStart:
    """What an earlier fit found best, for a fit on more labels.

    The search goes on from there, or the kernel is kept and only the strength of its regularization is chosen anew.
    """

    point: SearchPoint
    is_searched: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredSetting:
    """A kernel with its best regularization."""

    point: SearchPoint  # Where in the search it lies: the warm start of the next round
    kernel: Kernel  # In the units of the features
    regularization: float
    score: float  # Value of the criterion; larger is better
    # Log predictive density of each left-out label times its weight, (n,); (0,) under the marginal likelihood
    log_scores: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A setting in the units of features and labels, conditioned on the labels, and its weight in a mixture."""

    weight: float = 1.0
    hyperparameters: Hyperparameters
    process: GaussianProcess = field(repr=False)
    loo_mean: FloatArray = field(repr=False)  # Prediction of each label from the labels outside its group, shape (n,)
    loo_variance: FloatArray = field(repr=False)  # Variance of that prediction, noise included, shape (n,)


class Search:
    """One tuning run on the labels `known`: every setting evaluated so far is kept.

    Length scales are in units of the typical separations `scales`, by representation and block; of those among the labels if None.
    """

    def __init__(
        self, known: Labelled, *, settings: ModelSettings, scales: Mapping[str, Mapping[str, float]] | None = None
    ) -> None:
        self._known, self._settings = known, settings
        self._strengths = settings.regularizations
        self._evaluated: dict[SearchPoint, ScoredSetting] = {}
        self._weighed = weighed = known if settings.n_weighed is None else known.drawn(settings.n_weighed)
        self._kernels = BlockKernels(weighed.separations)
        self._all_kernels = self._kernels if weighed is known else BlockKernels(known.separations, is_kept=False)
        self._likelihood = RestrictedLikelihood(basis=weighed.basis, y=weighed.y, regularizations=self._strengths)
        self._scales: Mapping[str, Mapping[str, float]] = scales or {
            name: {block: typical_separation(values, metric=settings.shape.metric) for block, values in blocks.items()}
            for name, blocks in known.separations.items()
        }
        self._n_blocks = len(next(iter(self._scales.values())))
        self._n_weights = self._n_blocks if settings.combination is Combination.SUM and self._n_blocks > 1 else 0

    def run(self, *, warm_start: WarmStart | None = None) -> None:
        """Weigh what the prior draws; without one search from nothing, or from what an earlier fit found."""
        if self._settings.prior is not None:
            points = drawn_points(self._settings.prior, tuple(next(iter(self._scales.values()))))
            for name, (lengths, weights) in product(self._scales, points):
                self.evaluate(SearchPoint(representation=name, log_lengths=lengths, log_weights=weights))
        elif warm_start is None:
            self._refine(self._coarse(), steps=_STEPS)
        else:
            start = self.evaluate(self._checked(warm_start))
            if warm_start.is_searched:
                self._refine(start, steps=_STEPS[1:])

    def ranked(self) -> list[ScoredSetting]:
        """Every evaluated setting, best first; ties in the order of evaluation."""
        return sorted(self._evaluated.values(), key=lambda setting: -setting.score)

    def averaged(self) -> tuple[list[ScoredSetting], FloatArray]:
        """The heaviest `n_averaged` settings, and their weights, summing to one.

        With the marginal likelihood weights are those of Bayes' rule under equal priors. With a leave-one-out criterion
        they are those of pseudo-BMA+, how often a setting would win if the labels were drawn again, because left-out
        scores of neighbouring settings differ by less than their own scatter.
        """
        settings = self.ranked()
        if self._settings.criterion is Criterion.MARGINAL_LIKELIHOOD:
            trust = 1.0 if self._settings.prior is None else self._settings.prior.trust
            totals = trust * np.array([[setting.score for setting in settings]])
        else:
            scores = np.stack([setting.log_scores for setting in settings])
            n = scores.shape[1]
            draws = np.random.default_rng([n, len(settings)]).dirichlet(np.ones(n), size=_BOOTSTRAPS) * n
            totals = draws @ scores.T
        shares = np.exp(totals - totals.max(axis=1, keepdims=True))
        weights = (shares / shares.sum(axis=1, keepdims=True)).mean(axis=0)
        kept = np.argsort(-weights, kind="stable")[: self._settings.n_averaged]
        kept = kept[weights[kept] >= _MIN_SHARE * weights[kept[0]]]
        return [settings[index] for index in kept], weights[kept] / weights[kept].sum()

    def evaluate(self, point: SearchPoint) -> ScoredSetting:
        """One kernel matrix with the best of all regularizations."""
        if point not in self._evaluated:
            scales = tuple(self._scales[point.representation].items())
            kernel = _kernel_at(point, scales, self._settings.shape, self._settings.combination)
            scores, log_scores = self._scores(self._kernels.matrix(kernel, point.representation))
            best = int(np.argmax(scores))
            self._evaluated[point] = ScoredSetting(
                point=point,
                kernel=kernel,
                regularization=float(self._strengths[best]),
                score=float(scores[best]),
                log_scores=log_scores[:, best],
            )
        return self._evaluated[point]

    def tuned(self, scored: ScoredSetting) -> Component:
        """The setting conditioned on the labels; its signal variance makes the mean squared left-out z-score one."""
        y = self._known.y
        matrix = self._all_kernels.matrix(scored.kernel, scored.point.representation)
        process = condition(matrix, self._known.basis, y, regularization=scored.regularization)
        left_out = process.left_out(self._known.groups)
        signal = float(left_out.signal_variance[0])
        return Component(
            hyperparameters=Hyperparameters(
                kernel=scored.kernel,
                regularization=scored.regularization,
                signal_variance=signal,
                representation=scored.point.representation,
            ),
            process=replace(process, signal_variance=signal),
            loo_mean=y - left_out.residuals[:, 0],
            loo_variance=left_out.variances[:, 0] * signal,
        )

    def _scores(self, matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Criterion (m,) and log scores of the left-out labels (n, m), or (0, m) if it needs none, per regularization."""
        if self._settings.criterion is Criterion.MARGINAL_LIKELIHOOD:
            return self._likelihood.logarithms(matrix), np.empty((0, len(self._strengths)))
        known = self._weighed
        left_out = leave_out(spectrum(matrix, known.basis), known.y, self._strengths, groups=known.groups)
        log_scores = left_out.counts[:, None] * left_out.log_scores(left_out.signal_variance)
        return -left_out.rmse if self._settings.criterion is Criterion.RMSE else log_scores.sum(axis=0), log_scores

    def _checked(self, warm_start: object) -> SearchPoint:
        if isinstance(warm_start, WarmStart) and isinstance(point := warm_start.point, SearchPoint):
            lengths, weights = point.log_lengths, point.log_weights
            if point.representation in self._scales and len(lengths) == len(weights) == self._n_blocks:
                return point
        raise InvalidSettingError(
            f"Expected a warm start on one of the representations {list(self._scales)} with one entry per block, found "
            f"{warm_start}."
        )

    def _coarse(self) -> ScoredSetting:
        flat = (0.0,) * self._n_blocks
        for name, log_length in product(self._scales, self._settings.log_lengths):
            if len(self._evaluated) < self._settings.max_kernels:
                lengths = (log_length,) * self._n_blocks
                self.evaluate(SearchPoint(representation=name, log_lengths=lengths, log_weights=flat))
        return self.ranked()[0]

    def _refine(self, best: ScoredSetting, *, steps: Sequence[float]) -> None:
        for step in steps:
            for axis in range(self._n_blocks + self._n_weights + (len(self._scales) > 1)):
                for neighbour in self._neighbours(best.point, axis, step):
                    if len(self._evaluated) >= self._settings.max_kernels:
                        return
                    candidate = self.evaluate(neighbour)
                    if candidate.score > best.score:
                        best = candidate
                        break

    def _neighbours(self, point: SearchPoint, axis: int, step: float) -> Iterator[SearchPoint]:
        """The points a step up and down an axis: length scales first, then weights, then representations."""
        low, high = self._settings.log_length_bounds
        lengths, weights, names = list(point.log_lengths), list(point.log_weights), list(self._scales)
        for sign in (1.0, -1.0):
            if axis < self._n_blocks:
                lengths[axis] = point.log_lengths[axis] + sign * step
                if low <= lengths[axis] <= high:
                    yield replace(point, log_lengths=tuple(lengths))
            elif (block := axis - self._n_blocks) < self._n_weights:
                weights[block] = point.log_weights[block] + sign * 2.0 * step
                # The same up to a factor: one point per kernel.
                scaled = (max(value - max(weights), LOG_WEIGHT_FLOOR) for value in weights)
                yield replace(point, log_weights=tuple(scaled))
            elif 0 <= (index := names.index(point.representation) + int(sign)) < len(names):
                yield replace(point, representation=names[index])


@lru_cache(maxsize=4096)  # the same kernels are weighed in each round of a campaign
def _kernel_at(
    point: SearchPoint, scales: tuple[tuple[str, float], ...], shape: KernelShape, combination: Combination
) -> Kernel:
    """The kernel of a search point, in the units of the features; weights sum to one in a sum."""
    powers = np.exp2(point.log_weights)
    weights = powers / powers.sum() if combination is Combination.SUM else np.ones(len(scales))
    return Kernel(
        terms=tuple(
            KernelTerm(block=block, length_scale=scale * 2.0**log_length, weight=float(weight))
            for (block, scale), log_length, weight in zip(scales, point.log_lengths, weights, strict=True)
        ),
        shape=shape,
        combination=combination,
    )
