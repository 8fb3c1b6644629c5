"""Structures that coincide: one label merged from copies, and groups that are left out together.

Two copies of one structure carry one piece of information, and leaving out one copy while the other stays tests
nothing. So labels with coinciding features and agreeing values are merged into one; coinciding features with different
values (two structures that the representation cannot tell apart) stay, as a group.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.sparse.csgraph import connected_components

from hullscout.errors import InvalidTrainingSetError
from hullscout.regression.arrays import FloatArray, IntArray
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
        InvalidTrainingSetError: Groups of another length than the labels.
    """
    n = len(y)
    if groups is not None and np.shape(groups) != (n,):
        raise InvalidTrainingSetError(f"Expected one group number per label, found {np.shape(groups)} for {n} labels.")
    coincide = np.ones((n, n), dtype=np.bool_)
    for values in separations.values():
        coincide &= _coincide(values, metric)
    agree = np.abs(y[:, None] - y[None, :]) <= AGREEMENT * np.std(y)
    copies = _in_order(np.asarray(connected_components(coincide & agree, directed=False)[1], dtype=np.intp))
    _, kept, merged_to = np.unique(copies, return_index=True, return_inverse=True)
    together = coincide[np.ix_(kept, kept)]
    if groups is not None:
        given = np.asarray(groups)[kept]
        together = together | (given[:, None] == given[None, :])
    sets = _in_order(np.asarray(connected_components(together, directed=False)[1], dtype=np.intp))
    shared = np.flatnonzero(np.bincount(sets) > 1)
    return Grouping(
        kept=kept.astype(np.intp),
        merged_to=merged_to.astype(np.intp),
        groups=tuple(np.flatnonzero(sets == number) for number in shared),
    )


def _coincide(values: FloatArray, metric: Metric) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    distances = values
    if metric is Metric.DOT:
        norms = np.diag(values)
        distances = norms[:, None] + norms[None, :] - 2.0 * values
    if metric is not Metric.MANHATTAN:
        distances = np.sqrt(np.maximum(distances, 0.0))
    return np.asarray(distances <= COINCIDENCE * distances.mean())


def _in_order(components: IntArray) -> IntArray:
    """Component numbers renamed in the order of their first member."""
    _, first, inverse = np.unique(components, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[inverse], dtype=np.intp)
