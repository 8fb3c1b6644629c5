"""Labels of different structures: copies merged, groups left out together, and labels that cannot be believed.

**Copies.** Two copies of one structure carry one piece of information, and leaving out one while the other stays tests
nothing. So labels with coinciding features and agreeing values are merged into one; coinciding features with different
values (two structures that the representation cannot tell apart) stay, as a group.

**Suspects.** Noise is a contaminated normal, heavier-tailed than any Student-t: nearly every label has the common
variance, a few have any larger one. Given all other labels, label i has residual r_i and predictive variance V_i (noise
included); it is a suspect if `|r_i| > suspicion x sqrt(V_i)`, where V_i is rescaled by the median so that a few wild labels
cannot hide each other. Its noise variance then becomes what explains it, r_i^2 - (V_i - noise), and the model is tuned on
the others. A surprising label far from all others has a large V_i and is no suspect. One wrong label can hide itself: a
model tuned with it takes it for noise. So the worst label is put on trial from `DOUBT` x suspicion on: the model is tuned
without it, and it is a suspect if that model contradicts it beyond the full suspicion, believed for good if not.

Source: contaminated normal and hard assignment (hard EM) as in Tukey (1960) and West, J. R. Stat. Soc. B 46, 431 (1984).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import numpy as np
import scipy

from hullscout.errors import InvalidTrainingSetError
from hullscout.regression.arrays import MIN_LABELS, BoolArray, FloatArray, IntArray, Representations, are_constant
from hullscout.regression.covariance import Hyperparameters, Metric
from hullscout.regression.process import GaussianProcess, condition

COINCIDENCE: Final = 1e-5  # Distance below which features coincide, relative to the typical distance in every block
AGREEMENT: Final = 1e-3  # Difference below which labels of these agree, relative to the labels' standard deviation
MAX_SUSPECT_SHARE: Final = 0.1  # Of the labels: if more are suspects, the model does not fit, and no label is wrong
DOUBT: Final = 2.0 / 3.0  # Share of the suspicion from which on the worst of all labels is put on trial
MAX_TRIALS: Final = 4  # At most so many times a model is tuned, each time without the suspects of the time before

Fit = TypeVar("Fit")

_MEDIAN_SQUARE: Final = 0.4549364231195727  # Median of the square of a standard normal variable


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """Which labels are merged, and which merged labels are left out together."""

    kept: IntArray  # Index of the first label of each merged set, rising, shape (k,)
    merged_to: IntArray  # For every label, its place in `kept`, shape (n,)
    groups: tuple[IntArray, ...]  # Arrays of places in `kept`: the groups with two or more members

    def merge(self, y: FloatArray) -> FloatArray:
        """Mean label of every merged set, shape (k,)."""
        sums = np.bincount(self.merged_to, weights=y, minlength=len(self.kept))
        return np.asarray(sums / np.bincount(self.merged_to, minlength=len(self.kept)))


def group_labels(
    separations: Mapping[str, FloatArray], y: FloatArray, *, metric: Metric, groups: IntArray | None = None
) -> Grouping:
    """Find coinciding labels y (n,) by their separations (n, n) in every block, and join them with the groups given.

    Labels with the same number in `groups` (n,) are left out together; without it only coinciding ones are. Refused are
    fewer than three different structures, one group only, and merged labels that are all the same.
    """
    coincide = np.all([_coincide(values, metric) for values in separations.values()], axis=0)
    return _grouped(np.argwhere(np.triu(coincide, 1)), y, groups)


def group_rows(blocks: Mapping[str, FloatArray], y: FloatArray, *, groups: IntArray | None = None) -> Grouping:
    """The same from features (n, d) by block, without separations among all labels, for large training sets.

    Coinciding rows have coinciding projections on any direction, so only neighbours on one random direction are
    compared. The typical distance of a block is the rms one; distances are Euclidean.
    """
    scaled = [_in_tolerances(features) for features in blocks.values()]
    rows = np.hstack(scaled)
    direction: FloatArray = np.random.default_rng(rows.shape[1]).standard_normal((rows.shape[1],))
    direction /= np.linalg.norm(direction)
    projections = rows @ direction
    by_projection = np.argsort(projections, kind="stable")
    # A distance of 1 in every block, and what rounding adds to the projections.
    reach = float(np.sqrt(len(scaled))) + 1e-12 * float(np.max(np.abs(projections)))
    pairs = [np.empty((0, 2), dtype=np.intp)]
    for shift in range(1, len(y)):
        near = np.flatnonzero(projections[by_projection[shift:]] - projections[by_projection[:-shift]] <= reach)
        if len(near) == 0:
            break
        left, right = by_projection[near], by_projection[near + shift]
        coincide = np.all([np.sum((block[left] - block[right]) ** 2, axis=1) <= 1.0 for block in scaled], axis=0)
        pairs.append(np.stack([left[coincide], right[coincide]], axis=1))
    return _grouped(np.concatenate(pairs), y, groups)


def _grouped(pairs: IntArray, y: FloatArray, groups: IntArray | None) -> Grouping:
    """Merge and group labels, given the pairs of those that coincide, shape (m, 2)."""
    n = len(y)
    if groups is not None and np.shape(groups) != (n,):
        raise InvalidTrainingSetError(f"Expected one group number per label, found {np.shape(groups)} for {n} labels.")
    agree = np.abs(y[pairs[:, 0]] - y[pairs[:, 1]]) <= AGREEMENT * np.std(y)
    copies = _connected(pairs[agree], n)
    _, kept, merged_to = np.unique(copies, return_index=True, return_inverse=True)
    together = merged_to[pairs[np.all(np.isin(pairs, kept), axis=1)]]
    if groups is not None:
        order = np.argsort(groups[kept], kind="stable")
        is_same = np.diff(groups[kept][order]) == 0
        together = np.concatenate([together, np.stack([order[:-1][is_same], order[1:][is_same]], axis=1)])
    sets = _connected(together, len(kept))
    grouping = Grouping(
        kept=kept.astype(np.intp),
        merged_to=merged_to.astype(np.intp),
        groups=tuple(np.flatnonzero(sets == number) for number in np.flatnonzero(np.bincount(sets) > 1)),
    )
    if len(kept) < MIN_LABELS:
        raise InvalidTrainingSetError(
            f"Expected labels of at least {MIN_LABELS} different structures, found {len(kept)}. Label more structures first."
        )
    if not np.any(sets):
        raise InvalidTrainingSetError(
            f"Expected labels in at least 2 groups, found all {n} in one: their features coincide, or are grouped so. "
            "Use features that tell the structures apart, or other groups."
        )
    if are_constant(grouping.merge(y)):
        raise InvalidTrainingSetError(
            f"Expected different structures with labels that differ, found {len(kept)} times {y[0]}: nothing can be "
            "learned from them. Label other structures."
        )
    return grouping


def _coincide(values: FloatArray, metric: Metric) -> BoolArray:
    distances = values
    if metric is Metric.DOT:
        norms = np.diag(values)
        distances = norms[:, None] + norms[None, :] - 2.0 * values
    if metric is not Metric.MANHATTAN:
        distances = np.sqrt(np.maximum(distances, 0.0))
    return np.asarray(distances <= COINCIDENCE * distances.mean())


def _in_tolerances(features: FloatArray) -> FloatArray:
    """Centred features in units of the distance below which they coincide; zeros if all are the same."""
    centred = features - features.mean(axis=0)
    typical = float(np.sqrt(2.0 * np.sum(np.mean(centred**2, axis=0))))
    return np.asarray(centred / (COINCIDENCE * typical)) if typical > 0.0 else np.zeros_like(centred)


def _connected(pairs: IntArray, n: int) -> IntArray:
    """Number of the set of each of n items, given the pairs that belong together; sets in the order of first members."""
    if not len(pairs):
        return np.arange(n)
    links = scipy.sparse.coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    sets = scipy.sparse.csgraph.connected_components(links, directed=False)[1]
    _, first, inverse = np.unique(sets, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[inverse], dtype=np.intp)


def groups_among(groups: Sequence[IntArray], rows: IntArray, *, n: int) -> tuple[IntArray, ...]:
    """What is left of groups among n labels when only `rows` stay, as places in `rows`."""
    place = np.full(n, -1)
    place[rows] = np.arange(len(rows))
    moved = (place[group][place[group] >= 0] for group in groups)
    return tuple(group for group in moved if len(group) > 1)


def asked_apart(groups: Sequence[IntArray], labels: IntArray) -> list[tuple[IntArray, IntArray]]:
    """Which of some labels can be asked together, each with the group that must not answer (empty for single ones)."""
    in_groups = [(np.intersect1d(group, labels), group) for group in groups]
    alone = np.setdiff1d(labels, np.concatenate([asked for asked, _ in in_groups])) if in_groups else labels
    parts = [(alone, np.zeros(0, dtype=np.intp)), *in_groups]
    return [(asked.astype(np.intp), group) for asked, group in parts if len(asked)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """Which labels are distrusted and by how much."""

    suspects: IntArray  # Indices of the distrusted labels, rising
    noise: FloatArray  # Noise variance of each label relative to the common one, shape (n,), 1 for trusted labels


def distrust(
    residuals: FloatArray, variances: FloatArray, noise_variance: float, *, suspicion: float, doubt: float = 1.0
) -> Suspicion:
    """The labels that the others contradict by more than `suspicion` robust standard deviations, the worst from `doubt` of it on.

    From label minus prediction from the other labels (n,), the variance of that with the common noise (n,), and the variance
    of the common noise.
    """
    n = len(residuals)
    squares = residuals**2 / variances
    shrink = min(1.0, float(np.median(squares)) / _MEDIAN_SQUARE)
    excess = squares / max(shrink, np.finfo(np.float64).tiny)
    worst = np.argsort(-excess, kind="stable")[: int(MAX_SUSPECT_SHARE * n)]
    thresholds = np.full(len(worst), suspicion**2)
    thresholds[:1] *= doubt**2
    suspects = np.sort(worst[excess[worst] > thresholds])
    noise = np.ones(n)
    cavity = (variances[suspects] - noise_variance) * shrink
    noise[suspects] = np.maximum((residuals[suspects] ** 2 - cavity) / noise_variance, 1.0)
    return Suspicion(suspects=suspects.astype(np.intp), noise=noise)


def settled(
    fit: Callable[[IntArray], tuple[Fit, FloatArray, FloatArray, float]],
    *,
    n: int,
    suspicion: float,
    can_spare: Callable[[IntArray], bool],
) -> tuple[Fit, IntArray, Suspicion]:
    """The last fit, the suspects among the n labels that it was made without, and the suspicion that follows from it.

    `fit` without given suspects, at first none, and again until these stay the same; with it come the first arguments of
    `distrust`. A suspect that a fit without it explains is believed from then on, and so are labels that the others cannot
    spare (`can_spare` of their indices): without which nothing could be learned.
    """
    found = nobody = Suspicion(suspects=np.zeros(0, dtype=np.intp), noise=np.ones(n))
    is_believed = np.zeros(n, dtype=np.bool_)
    for doubt in (DOUBT, *[1.0] * (MAX_TRIALS - 1)):
        suspects = found.suspects
        fitted, residuals, variances, noise = fit(suspects)
        believed = np.where(is_believed, 0.0, residuals)
        found = distrust(believed, variances, noise, suspicion=suspicion, doubt=doubt)
        if len(found.suspects) and not can_spare(found.suspects):
            is_believed[found.suspects] = True
            found = nobody
        is_believed[np.setdiff1d(suspects, found.suspects)] = True
        if np.array_equal(found.suspects, suspects):
            break
    return fitted, suspects, found


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Labels of different structures, and what each learns from all others under one setting."""

    separations: Representations  # For each representation and block, separations among the labels, shape (n, n)
    basis: FloatArray  # The mean's basis functions at the labels, shape (n, p)
    y: FloatArray  # Labels, shape (n,)
    groups: tuple[IntArray, ...]  # Index arrays of labels that are left out together

    def restricted(self, rows: IntArray) -> "Labelled":
        """Only these labels."""
        if len(rows) == len(self.y):
            return self
        groups, separations = groups_among(self.groups, rows, n=len(self.y)), chosen(self.separations, rows)
        return Labelled(separations=separations, basis=self.basis[rows], y=self.y[rows], groups=groups)

    def without(self, suspects: IntArray) -> "Labelled":
        """All other labels."""
        return self.restricted(np.setdiff1d(np.arange(len(self.y)), suspects))

    def drawn(self, n: int) -> "Labelled":
        """So many of them at random, the same ones each time; all where there are no more, or where too few would be left."""
        if len(self.y) <= n:
            return self
        order = np.argsort(np.random.default_rng(0).random(len(self.y)), kind="stable")
        drawn = self.restricted(np.sort(order[:n]))
        return drawn if drawn.can_spare(np.zeros(0, dtype=np.intp)) else self

    def can_spare(self, suspects: IntArray) -> bool:
        """Whether the other labels still differ and still determine the mean when one more, or a group, is left out."""
        believed = self.without(suspects)
        n, p = believed.basis.shape
        if n <= p + 1 or are_constant(believed.y):
            return False
        if p == 0:
            return True
        leverages = np.sum(np.linalg.qr(believed.basis)[0] ** 2, axis=1)
        parts = (believed.basis, *(np.delete(believed.basis, group, axis=0) for group in believed.groups))
        return bool(leverages.max() < 1.0 - 1e-6) and all(np.linalg.matrix_rank(part) == p for part in parts)

    def process(self, setting: Hyperparameters, noise: FloatArray | None = None) -> GaussianProcess:
        """The process of a setting, conditioned on the labels; `noise` relative to the common one."""
        kernel, strength = setting.kernel(self.separations[setting.representation]), setting.regularization
        process = condition(kernel, self.basis, self.y, regularization=strength, noise=noise)
        return replace(process, signal_variance=setting.signal_variance)

    def left_out(
        self, setting: Hyperparameters, suspects: IntArray, *, process: GaussianProcess | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Mean and variance (with the common noise) of each label, from the trusted labels outside its group.

        Suspects are left out altogether and predicted from the others: to subtract their large noise from a variance would
        leave rounding only. `process` is that of the setting, conditioned on the others, where there is one.
        """
        trusted = np.setdiff1d(np.arange(len(self.y)), suspects)
        believed = self.restricted(trusted)
        if process is None:
            process = believed.process(setting)
        if process.jitter:
            raise InvalidTrainingSetError(
                f"Expected a regular kernel matrix of {len(trusted)} labels, found it singular to rounding with regularization "
                f"{setting.regularization:.3g}: what is left out would be rounding. Raise the regularization."
            )
        result = process.left_out(believed.groups)
        mean, variance = np.empty(len(self.y)), np.empty(len(self.y))
        mean[trusted] = believed.y - result.residuals[:, 0]
        variance[trusted] = result.variances[:, 0] * setting.signal_variance
        for asked, group in asked_apart(self.groups, suspects):
            rows = np.setdiff1d(trusted, group)
            others = self.restricted(rows).process(setting) if len(rows) < len(trusted) else process
            separations = self.separations[setting.representation]
            cross = setting.kernel({block: values[np.ix_(rows, asked)] for block, values in separations.items()})
            prior = setting.kernel({block: np.diag(values)[asked] for block, values in separations.items()})
            mean[asked], of_function = others.predict(cross, prior, self.basis[asked])
            variance[asked] = of_function + setting.noise_variance
        return mean, variance


def chosen(separations: Representations, rows: IntArray) -> dict[str, dict[str, FloatArray]]:
    """Separations among some of the labels; the same arrays where these are all."""
    n = len(next(iter(next(iter(separations.values())).values())))
    if np.array_equal(rows, np.arange(n)):
        return {name: dict(blocks) for name, blocks in separations.items()}
    square = np.ix_(rows, rows)
    return {name: {block: values[square] for block, values in blocks.items()} for name, blocks in separations.items()}
