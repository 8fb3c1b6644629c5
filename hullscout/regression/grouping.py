"""Structures that coincide: one label merged from copies, and groups that are left out together.

Two copies of one structure carry one piece of information, and leaving out one copy while the other stays tests
nothing. So labels with coinciding features and agreeing values are merged into one; coinciding features with different
values (two structures that the representation cannot tell apart) stay, as a group.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hullscout.errors import InvalidTrainingSetError
from hullscout.regression.arrays import MIN_LABELS, FloatArray, IntArray, are_constant
from hullscout.regression.covariance import Metric

COINCIDENCE: Final = 1e-5
"""Distance below which features coincide, relative to the typical distance in every block."""

AGREEMENT: Final = 1e-3
"""Difference below which labels of coinciding structures agree, relative to the labels' standard deviation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """Which labels are merged, and which merged labels are left out together.

    Attributes:
        kept: Index of the first label of each merged set, rising, shape (k,).
        merged_to: For every label, its place in `kept`, shape (n,).
        groups: Arrays of places in `kept`: the groups with two or more members.
    """

    kept: IntArray
    merged_to: IntArray
    groups: tuple[IntArray, ...]

    def merge(self, y: FloatArray) -> FloatArray:
        """Mean label of every merged set, shape (k,)."""
        sums = np.bincount(self.merged_to, weights=y, minlength=len(self.kept))
        return np.asarray(sums / np.bincount(self.merged_to, minlength=len(self.kept)))


def group_labels(
    separations: Mapping[str, FloatArray], y: FloatArray, *, metric: Metric, groups: IntArray | None = None
) -> Grouping:
    """Find coinciding labels and join them with the groups given.

    Args:
        separations: For every block, separations among the labels, shape (n, n).
        y: Labels, shape (n,).
        metric: What the separations are.
        groups: A number per label; labels with the same number are left out together. None: only coinciding ones are.

    Raises:
        InvalidTrainingSetError: Groups of another length than the labels, fewer than three different structures, one
            group only, or merged labels that are all the same.
    """
    n = len(y)
    coincide = np.ones((n, n), dtype=np.bool_)
    for values in separations.values():
        coincide &= _coincide(values, metric)
    return _grouped(np.argwhere(np.triu(coincide, 1)), y, groups)


def group_rows(blocks: Mapping[str, FloatArray], y: FloatArray, *, groups: IntArray | None = None) -> Grouping:
    """The same without separations among all labels, for large training sets.

    Coinciding rows have coinciding projections on any direction, so only neighbours on one random direction are
    compared. The typical distance of a block is the rms one; distances are Euclidean.

    Args:
        blocks: For every block, features, shape (n, d).
        y: Labels, shape (n,).
        groups: As in `group_labels`.

    Raises:
        InvalidTrainingSetError: As in `group_labels`.
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
    if len(pairs) == 0 and groups is None:
        apart = Grouping(kept=np.arange(n), merged_to=np.arange(n), groups=())
        _refuse_nothing_to_compare(apart, y)
        return apart
    agree = np.abs(y[pairs[:, 0]] - y[pairs[:, 1]]) <= AGREEMENT * np.std(y)
    copies = _connected(pairs[agree], n)
    _, kept, merged_to = np.unique(copies, return_index=True, return_inverse=True)
    together = merged_to[pairs[np.all(np.isin(pairs, kept), axis=1)]]
    if groups is not None:
        order = np.argsort(groups[kept], kind="stable")
        is_same = np.diff(groups[kept][order]) == 0
        together = np.concatenate([together, np.stack([order[:-1][is_same], order[1:][is_same]], axis=1)])
    sets = _connected(together, len(kept))
    shared = np.flatnonzero(np.bincount(sets) > 1)
    grouping = Grouping(
        kept=kept.astype(np.intp),
        merged_to=merged_to.astype(np.intp),
        groups=tuple(np.flatnonzero(sets == number) for number in shared),
    )
    _refuse_nothing_to_compare(grouping, y)
    return grouping


def _refuse_nothing_to_compare(grouping: Grouping, y: FloatArray) -> None:
    n_kept = len(grouping.kept)
    if n_kept < MIN_LABELS:
        raise InvalidTrainingSetError(
            f"Expected labels of at least {MIN_LABELS} different structures, found {n_kept}. Label more structures first."
        )
    if any(len(group) == n_kept for group in grouping.groups):
        raise InvalidTrainingSetError(
            f"Expected labels in at least 2 groups, found all {len(y)} in one: their features coincide, or are grouped so. "
            "Use features that tell the structures apart, or other groups."
        )
    if are_constant(grouping.merge(y)):
        raise InvalidTrainingSetError(
            f"Expected different structures with labels that differ, found {n_kept} times {y[0]}: nothing can be "
            "learned from them. Label other structures."
        )


def _coincide(values: FloatArray, metric: Metric) -> npt.NDArray[np.bool_]:
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
    """Number of the set of each of n items, given the pairs that belong together."""
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return _in_order(np.asarray(connected_components(links, directed=False)[1], dtype=np.intp))


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


def _in_order(components: IntArray) -> IntArray:
    """Component numbers renamed in the order of their first member."""
    _, first, inverse = np.unique(components, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[inverse], dtype=np.intp)
