"""Search over representation, length scales and block weights; every regularization comes free with each kernel.

Coarse: every representation with one length scale for all blocks. Fine: coordinate steps of 1, 1/2 and 1/4 octave from
the best. A warm start replaces the coarse part by the previous round's best. Settings are compared by the marginal
likelihood or by the closed-form leave-one-out score, and averaged over.

Source of the averaging: Yao, Vehtari, Simpson & Gelman, Bayesian Anal. 13, 917 (2018), section 3.4 (log scores of the
left-out labels under the Bayesian bootstrap).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from hullscout.errors import InvalidSettingError
from hullscout.regression.arrays import FloatArray
from hullscout.regression.covariance import BlockKernels, Combination, Kernel, KernelTerm, Metric
from hullscout.regression.criteria import RestrictedLikelihood, leave_out, spectrum
from hullscout.regression.labelled import Labelled
from hullscout.regression.process import GaussianProcess, condition
from hullscout.regression.settings import Criterion, Hyperparameters, ModelSettings

_STEPS: Final = (1.0, 0.5, 0.25)
_LOG_WEIGHT_FLOOR: Final = -12.0
_BOOTSTRAPS: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPoint:
    """A kernel in the search's coordinates.

    Attributes:
        representation: Name of the alternative feature set.
        log_lengths: log2 of length scale over typical separation, one per block.
        log_weights: log2 of weight over largest weight, one per block; all 0 in a joint kernel.
    """

    representation: str
    log_lengths: tuple[float, ...]
    log_weights: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmStart:
    """What an earlier fit found, for a fit on more labels.

    Attributes:
        point: Its best kernel.
        is_searched: Whether the search goes on from there; else this kernel is kept, and only the strength of its
            regularization is chosen anew.
    """

    point: SearchPoint
    is_searched: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredSetting:
    """A kernel with its best regularization."""

    point: SearchPoint  # Where in the search it lies: the warm start of the next round
    kernel: Kernel  # The kernel, in the units of the features
    regularization: float  # The best regularization with it
    score: float  # Value of the criterion; larger is better
    # Log predictive density of each left-out label times its weight, (n,); (0,) under the marginal likelihood
    log_scores: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedSetting:
    """A setting in the units of features and labels, and what leaving labels out says of it."""

    hyperparameters: Hyperparameters  # The setting
    process: GaussianProcess  # The process of that setting, conditioned on the labels
    loo_mean: FloatArray  # Prediction of each label from the labels outside its group, shape (n,)
    loo_variance: FloatArray  # Variance of that prediction, noise included, shape (n,)


class Search:
    """One tuning run on the labels `known`: every setting evaluated so far is kept."""

    def __init__(self, known: Labelled, *, settings: ModelSettings) -> None:
        self._known, self._settings = known, settings
        self._strengths = settings.regularizations
        self._evaluated: dict[SearchPoint, ScoredSetting] = {}
        self._kernels = BlockKernels(known.separations)
        self._likelihood = RestrictedLikelihood(basis=known.basis, y=known.y, regularizations=self._strengths)
        self._scales = {
            name: {block: typical_separation(values, metric=settings.shape.metric) for block, values in blocks.items()}
            for name, blocks in known.separations.items()
        }

    def run(self, *, warm_start: WarmStart | None = None) -> None:
        """Search from nothing, or from what an earlier fit found."""
        if warm_start is None:
            self._refine(self._coarse(), steps=_STEPS)
        else:
            start = self.evaluate(self._checked(warm_start))
            if warm_start.is_searched:
                self._refine(start, steps=_STEPS[1:])

    def ranked(self) -> list[ScoredSetting]:
        """Every evaluated setting, best first; ties in the order of evaluation."""
        return sorted(self._evaluated.values(), key=lambda setting: -setting.score)

    def evaluate(self, point: SearchPoint) -> ScoredSetting:
        """One kernel matrix, one decomposition, all regularizations; the best of them is kept."""
        if point not in self._evaluated:
            kernel = self._kernel(point)
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

    def tuned(self, scored: ScoredSetting) -> TunedSetting:
        """The setting conditioned on the labels; its signal variance makes the mean squared left-out z-score one."""
        y = self._known.y
        matrix = self._kernels.matrix(scored.kernel, scored.point.representation)
        process = condition(matrix, self._known.basis, y, regularization=scored.regularization)
        left_out = process.left_out(self._known.groups)
        signal = float(left_out.signal_variance[0])
        return TunedSetting(
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

    def _kernel(self, point: SearchPoint) -> Kernel:
        """The kernel of a search point, in the units of the features; weights sum to one in a sum."""
        scales = self._scales[point.representation]
        is_sum = self._settings.combination is Combination.SUM
        powers = np.exp2(point.log_weights)
        weights = powers / powers.sum() if is_sum else np.ones(len(scales))
        return Kernel(
            terms=tuple(
                KernelTerm(block=block, length_scale=scale * 2.0**log_length, weight=float(weight))
                for (block, scale), log_length, weight in zip(scales.items(), point.log_lengths, weights, strict=True)
            ),
            shape=self._settings.shape,
            combination=self._settings.combination,
        )

    def _scores(self, matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Criterion (m,) and log scores of the left-out labels (n, m), or (0, m) if it needs none, per regularization."""
        if self._settings.criterion is Criterion.MARGINAL_LIKELIHOOD:
            return self._likelihood.logarithms(matrix), np.empty((0, len(self._strengths)))
        known = self._known
        left_out = leave_out(spectrum(matrix, known.basis), known.y, self._strengths, groups=known.groups)
        log_scores = left_out.counts[:, None] * left_out.log_scores(left_out.signal_variance)
        return -left_out.rmse if self._settings.criterion is Criterion.RMSE else log_scores.sum(axis=0), log_scores

    def _checked(self, warm_start: object) -> SearchPoint:
        if isinstance(warm_start, WarmStart) and isinstance(point := warm_start.point, SearchPoint):
            n_blocks = len(self._scales.get(point.representation, ()))
            if 0 < n_blocks == len(point.log_lengths) == len(point.log_weights):
                return point
        raise InvalidSettingError(
            f"Expected a warm start on one of the representations {list(self._scales)} with one entry per block, found "
            f"{warm_start}."
        )

    def _coarse(self) -> ScoredSetting:
        for name, blocks in self._scales.items():
            flat = (0.0,) * len(blocks)
            for log_length in self._settings.log_lengths:
                if len(self._evaluated) < self._settings.max_kernels:
                    lengths = (log_length,) * len(blocks)
                    self.evaluate(SearchPoint(representation=name, log_lengths=lengths, log_weights=flat))
        return self.ranked()[0]

    def _refine(self, best: ScoredSetting, *, steps: Sequence[float]) -> None:
        for step in steps:
            for axis in range(self._n_axes(best.point)):
                for neighbour in self._neighbours(best.point, axis, step):
                    if len(self._evaluated) >= self._settings.max_kernels:
                        return
                    candidate = self.evaluate(neighbour)
                    if candidate.score > best.score:
                        best = candidate
                        break

    def _n_axes(self, point: SearchPoint) -> int:
        n_blocks = len(point.log_lengths)
        has_weights = self._settings.combination is Combination.SUM and n_blocks > 1
        return n_blocks * (2 if has_weights else 1) + (len(self._scales) > 1)

    def _neighbours(self, point: SearchPoint, axis: int, step: float) -> Iterator[SearchPoint]:
        n_blocks = len(point.log_lengths)
        low, high = self._settings.log_length_bounds
        for sign in (1.0, -1.0):
            if axis < n_blocks:
                moved = point.log_lengths[axis] + sign * step
                if low <= moved <= high:
                    yield replace(point, log_lengths=_replaced(point.log_lengths, axis, moved))
            elif self._settings.combination is Combination.SUM and axis < 2 * n_blocks and n_blocks > 1:
                block = axis - n_blocks
                moved = point.log_weights[block] + sign * 2.0 * step
                yield replace(point, log_weights=_normalized(_replaced(point.log_weights, block, moved)))
            else:
                names = list(self._scales)
                index = names.index(point.representation) + int(sign)
                if 0 <= index < len(names):
                    yield replace(point, representation=names[index])


def averaging_weights(
    settings: Sequence[ScoredSetting], *, criterion: Criterion, n_kept: int
) -> tuple[list[int], FloatArray]:
    """Indices of the `n_kept` heaviest settings, and their weights, summing to one.

    With the marginal likelihood weights are those of Bayes' rule under equal priors. With a leave-one-out criterion they
    are those of pseudo-BMA+, how often a setting would win if the labels were drawn again, because left-out scores of
    neighbouring settings differ by less than their own scatter.
    """
    if criterion is Criterion.MARGINAL_LIKELIHOOD:
        totals = np.array([[setting.score for setting in settings]])
    else:
        scores = np.stack([setting.log_scores for setting in settings])
        n = scores.shape[1]
        draws = np.random.default_rng([n, len(settings)]).dirichlet(np.ones(n), size=_BOOTSTRAPS) * n
        totals = draws @ scores.T
    shares = np.exp(totals - totals.max(axis=1, keepdims=True))
    weights = (shares / shares.sum(axis=1, keepdims=True)).mean(axis=0)
    kept = np.argsort(-weights, kind="stable")[:n_kept]
    return kept.tolist(), weights[kept] / weights[kept].sum()


def typical_separation(values: FloatArray, *, metric: Metric) -> float:
    """A block's unit of length: rms distance (mean distance if Manhattan, rms norm if dot); 1 if all coincide."""
    n = len(values)
    mean = float(np.mean(np.diag(values)) if metric is Metric.DOT else values.sum() / max(n * (n - 1), 1))
    if mean <= 0.0:
        return 1.0
    return mean if metric is Metric.MANHATTAN else float(np.sqrt(mean))


def _normalized(log_weights: tuple[float, ...]) -> tuple[float, ...]:
    """The same weights up to a factor, the largest 1 and none below the floor: one point per kernel."""
    largest = max(log_weights)
    return tuple(max(value - largest, _LOG_WEIGHT_FLOOR) for value in log_weights)


def _replaced(values: tuple[float, ...], index: int, value: float) -> tuple[float, ...]:
    return (*values[:index], value, *values[index + 1 :])
