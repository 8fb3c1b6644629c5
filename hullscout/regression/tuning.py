"""Search over representation, length scales and block weights; every regularization comes free with each kernel.

Coarse: every representation with one length scale for all blocks. Fine: coordinate steps of 1, 1/2 and 1/4 octave from
the best. A warm start replaces the coarse part by the previous round's best. Settings are compared by the marginal
likelihood or by the closed-form leave-one-out score, and averaged over.

Source of the averaging: Yao, Vehtari, Simpson & Gelman, Bayesian Anal. 13, 917 (2018), section 3.4 (log scores of the
left-out labels under the Bayesian bootstrap).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from hullscout.errors import InvalidSettingError
from hullscout.regression.arrays import FloatArray, IntArray
from hullscout.regression.block_kernels import BlockKernels, Representations
from hullscout.regression.covariance import Combination, Kernel, KernelTerm, Metric
from hullscout.regression.leave_one_out import leave_out, spectrum
from hullscout.regression.marginal_likelihood import RestrictedLikelihood
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
    """A kernel with its best regularization.

    Attributes:
        point: Where in the search it lies: the warm start of the next round.
        kernel: The kernel, in the units of the features.
        regularization: The best regularization with it.
        score: Value of the criterion; larger is better.
        log_scores: Log predictive density of each left-out label times its weight, shape (n,); shape (0,) under the
            marginal likelihood, which leaves nothing out.
    """

    point: SearchPoint
    kernel: Kernel
    regularization: float
    score: float
    log_scores: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedSetting:
    """A setting in the units of features and labels, and what leaving labels out says of it.

    Attributes:
        hyperparameters: The setting.
        process: The process of that setting, conditioned on the labels.
        residuals: Left-out label minus prediction, shape (n,).
        variances: Predictive variance of each left-out label, noise included, shape (n,).
    """

    hyperparameters: Hyperparameters
    process: GaussianProcess
    residuals: FloatArray
    variances: FloatArray

    def left_out(self, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and variance of each label y (those tuned on) from the labels outside its group, shape (n,) each."""
        return y - self.residuals, self.variances


@dataclass(slots=True, kw_only=True)
class Search:
    """One tuning run: the labels, what is searched, and every setting evaluated so far.

    Attributes:
        labelled: For each representation, for each block, separations among labels, shape (n, n).
        basis: The mean's basis functions at the labels, shape (n, p).
        y: Labels, shape (n,).
        settings: What is searched and how.
        groups: Index arrays of labels that are left out together.
        evaluated: Every setting so far, by search point.
    """

    labelled: Representations
    basis: FloatArray
    y: FloatArray
    settings: ModelSettings
    groups: Sequence[IntArray] = ()
    evaluated: dict[SearchPoint, ScoredSetting] = field(default_factory=dict)
    _scales: dict[str, dict[str, float]] = field(init=False)
    _kernels: BlockKernels = field(init=False)
    _likelihood: RestrictedLikelihood = field(init=False)

    def __post_init__(self) -> None:
        self._kernels = BlockKernels(separations=self.labelled)
        self._likelihood = RestrictedLikelihood(
            basis=self.basis, y=self.y, regularizations=self.settings.regularizations
        )
        metric = self.settings.shape.metric
        self._scales = {
            name: {block: typical_separation(values, metric=metric) for block, values in blocks.items()}
            for name, blocks in self.labelled.items()
        }

    def run(self, *, warm_start: WarmStart | None = None) -> list[ScoredSetting]:
        """Search, and return every evaluated setting, best first."""
        if warm_start is None:
            self._refine(self._coarse(), steps=_STEPS)
        else:
            start = self.evaluate(self._checked(warm_start))
            if warm_start.is_searched:
                self._refine(start, steps=_STEPS[1:])
        return self.ranked()

    def ranked(self) -> list[ScoredSetting]:
        """Every evaluated setting, best first; ties in the order of evaluation."""
        return sorted(self.evaluated.values(), key=lambda setting: -setting.score)

    def evaluate(self, point: SearchPoint) -> ScoredSetting:
        """One kernel matrix, one decomposition, all regularizations; the best of them is kept."""
        if point not in self.evaluated:
            kernel = self.kernel(point)
            scores, log_scores = self._scores(self._kernels.matrix(kernel, point.representation))
            best = int(np.argmax(scores))
            self.evaluated[point] = ScoredSetting(
                point=point,
                kernel=kernel,
                regularization=float(self._likelihood.regularizations[best]),
                score=float(scores[best]),
                log_scores=log_scores[:, best],
            )
        return self.evaluated[point]

    def tuned(self, scored: ScoredSetting) -> TunedSetting:
        """The setting conditioned on the labels; its signal variance makes the mean squared left-out z-score one."""
        process = condition(
            self._kernels.matrix(scored.kernel, scored.point.representation),
            self.basis,
            self.y,
            regularization=scored.regularization,
        )
        left_out = process.left_out(self.groups)
        signal = float(left_out.signal_variance[0])
        return TunedSetting(
            hyperparameters=Hyperparameters(
                kernel=scored.kernel,
                regularization=scored.regularization,
                signal_variance=signal,
                representation=scored.point.representation,
            ),
            process=replace(process, signal_variance=signal),
            residuals=left_out.residuals[:, 0],
            variances=left_out.variances[:, 0] * signal,
        )

    def kernel(self, point: SearchPoint) -> Kernel:
        """The kernel of a search point, in the units of the features; weights sum to one in a sum."""
        scales = self._scales[point.representation]
        is_sum = self.settings.combination is Combination.SUM
        weights = np.exp2(point.log_weights) if is_sum else np.ones(len(scales))
        weights = weights / weights.sum() if is_sum else weights
        return Kernel(
            terms=tuple(
                KernelTerm(block=block, length_scale=scale * 2.0**log_length, weight=float(weight))
                for (block, scale), log_length, weight in zip(scales.items(), point.log_lengths, weights, strict=True)
            ),
            shape=self.settings.shape,
            combination=self.settings.combination,
        )

    def _scores(self, matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Criterion (m,) and log scores of the left-out labels (n, m), or (0, m) if it needs none, per regularization."""
        strengths = self._likelihood.regularizations
        if self.settings.criterion is Criterion.MARGINAL_LIKELIHOOD:
            return self._likelihood.logarithms(matrix), np.empty((0, len(strengths)))
        left_out = leave_out(spectrum(matrix, self.basis), self.y, strengths, groups=self.groups)
        log_scores = left_out.counts[:, None] * left_out.log_scores(left_out.signal_variance)
        return -left_out.rmse if self.settings.criterion is Criterion.RMSE else log_scores.sum(axis=0), log_scores

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
            for log_length in self.settings.log_lengths:
                if len(self.evaluated) < self.settings.max_kernels:
                    n_blocks = len(blocks)
                    self.evaluate(
                        SearchPoint(
                            representation=name, log_lengths=(log_length,) * n_blocks, log_weights=(0.0,) * n_blocks
                        )
                    )
        return self.ranked()[0]

    def _refine(self, best: ScoredSetting, *, steps: Sequence[float]) -> None:
        for step in steps:
            for axis in range(self._n_axes(best.point)):
                for neighbour in self._neighbours(best.point, axis, step):
                    if len(self.evaluated) >= self.settings.max_kernels:
                        return
                    candidate = self.evaluate(neighbour)
                    if candidate.score > best.score:
                        best = candidate
                        break

    def _n_axes(self, point: SearchPoint) -> int:
        n_blocks = len(point.log_lengths)
        has_weights = self.settings.combination is Combination.SUM and n_blocks > 1
        return n_blocks * (2 if has_weights else 1) + (len(self._scales) > 1)

    def _neighbours(self, point: SearchPoint, axis: int, step: float) -> Iterator[SearchPoint]:
        n_blocks = len(point.log_lengths)
        low, high = self.settings.log_length_bounds
        for sign in (1.0, -1.0):
            if axis < n_blocks:
                moved = point.log_lengths[axis] + sign * step
                if low <= moved <= high:
                    yield _moved(point, log_lengths=_replaced(point.log_lengths, axis, moved))
            elif self.settings.combination is Combination.SUM and axis < 2 * n_blocks and n_blocks > 1:
                block = axis - n_blocks
                moved = point.log_weights[block] + sign * 2.0 * step
                yield _moved(point, log_weights=_normalized(_replaced(point.log_weights, block, moved)))
            else:
                names = list(self._scales)
                index = names.index(point.representation) + int(sign)
                if 0 <= index < len(names):
                    yield SearchPoint(
                        representation=names[index], log_lengths=point.log_lengths, log_weights=point.log_weights
                    )


def averaging_weights(
    settings: Sequence[ScoredSetting], *, criterion: Criterion, n_kept: int
) -> tuple[list[int], FloatArray]:
    """How much each setting counts: its likelihood, or how often it would win if the labels were drawn again.

    With the marginal likelihood weights are those of Bayes' rule under equal priors; with a leave-one-out criterion
    they are those of pseudo-BMA+, because left-out scores of neighbouring settings differ by less than their own
    scatter.

    Args:
        settings: Scored settings on the same labels.
        criterion: What they were scored by.
        n_kept: Largest number of settings kept.

    Returns:
        Indices of the kept settings, heaviest first, and their weights, summing to one.
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


def _moved(
    point: SearchPoint, *, log_lengths: tuple[float, ...] | None = None, log_weights: tuple[float, ...] | None = None
) -> SearchPoint:
    return SearchPoint(
        representation=point.representation,
        log_lengths=point.log_lengths if log_lengths is None else log_lengths,
        log_weights=point.log_weights if log_weights is None else log_weights,
    )


def _normalized(log_weights: tuple[float, ...]) -> tuple[float, ...]:
    """The same weights up to a factor, the largest 1 and none below the floor: one point per kernel."""
    largest = max(log_weights)
    return tuple(max(value - largest, _LOG_WEIGHT_FLOOR) for value in log_weights)


def _replaced(values: tuple[float, ...], index: int, value: float) -> tuple[float, ...]:
    return (*values[:index], value, *values[index + 1 :])
