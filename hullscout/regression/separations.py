"""Separations between structures, block by block: computed once, grown by rows, never candidates x candidates.

Source of the two-product form of squared distances: Onat, Ortner & Kermode, J. Chem. Phys. 153, 144106 (2020), eq. 36
needs only |a - b|^2 = |a|^2 + |b|^2 - 2 a.b. Features are centred first, so that the rounding error is relative to the
spread of the pool and not to its distance from the origin. scikit-learn's pairwise functions do the same for many rows
at once, in the same time (they are the reference in the tests); for a single row, which is what a new label costs, they
take more than twice as long. Manhattan distances are scipy's, as there.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from hullscout.errors import InvalidSettingError, InvalidTrainingSetError
from hullscout.regression.arrays import FloatArray, IntArray, candidate_indices, finite_matrix
from hullscout.regression.covariance import Metric

_FIRST_ROWS = 32


def separations(
    rows: FloatArray, columns: FloatArray, *, metric: Metric, squares: FloatArray | None = None
) -> FloatArray:
    """Separation of every row structure from every column structure.

    Args:
        rows: Features, shape (n, d).
        columns: Features, shape (m, d).
        metric: Squared Euclidean, Manhattan or dot.
        squares: Product of every column structure with itself, shape (m,), where somebody keeps them.

    Returns:
        Array of shape (n, m).
    """
    if metric is Metric.MANHATTAN:
        return np.asarray(cdist(rows, columns, metric="cityblock"))
    products: FloatArray = rows @ columns.T
    if metric is Metric.DOT:
        return products
    products *= -2.0
    products += np.einsum("ij,ij->i", rows, rows)[:, None]
    products += (np.einsum("ij,ij->i", columns, columns) if squares is None else squares)[None, :]
    np.maximum(products, 0.0, out=products)
    return products


def self_separations(rows: FloatArray, *, metric: Metric) -> FloatArray:
    """Separation of every structure from itself, shape (n,): zero, or x.x for the dot product."""
    return np.einsum("ij,ij->i", rows, rows) if metric is Metric.DOT else np.zeros(len(rows))


class PoolSeparations:
    """Separations labelled x pool, for each feature block, growing by a row when a structure is labelled.

    Args:
        blocks: For every block name the features of all candidates, shape (n_candidates, d_block).
        metric: What is measured; squared Euclidean unless the kernel is linear or Laplacian.

    Memory: 8 bytes x labelled x candidates x blocks (up to twice that while growing).
    """

    def __init__(self, blocks: Mapping[str, npt.ArrayLike], *, metric: Metric = Metric.SQUARED_EUCLIDEAN) -> None:
        if not blocks:
            raise InvalidSettingError("Expected at least one feature block, found none.")
        features = {name: finite_matrix(values, what=f"block {name!r}") for name, values in blocks.items()}
        lengths = {name: len(values) for name, values in features.items()}
        if len(set(lengths.values())) > 1:
            raise InvalidTrainingSetError(f"Expected blocks with the same number of candidates, found {lengths}.")
        self.metric = metric
        self.n_candidates = next(iter(lengths.values()))
        is_shift_free = metric is not Metric.DOT
        self._features = {name: values - values.mean(axis=0) * is_shift_free for name, values in features.items()}
        self._squares = {name: np.einsum("ij,ij->i", values, values) for name, values in self._features.items()}
        self._rows = {name: np.empty((0, self.n_candidates)) for name in features}
        self._labelled: list[int] = []

    @property
    def blocks(self) -> tuple[str, ...]:
        """Names of the feature blocks."""
        return tuple(self._features)

    @property
    def labelled(self) -> IntArray:
        """Indices of the labelled candidates, in the order in which they were added."""
        return np.array(self._labelled, dtype=np.intp)

    def add(self, indices: Sequence[int] | IntArray) -> None:
        """Label candidates: one row per block and candidate.

        Each row is computed alone, so that how labels came in batches leaves no trace in rounding.

        Raises:
            InvalidTrainingSetError: An index outside the pool, or labelled before.
        """
        new = candidate_indices(indices, n_candidates=self.n_candidates).tolist()
        known = set(self._labelled)
        if len(set(new)) < len(new) or known.intersection(new):
            raise InvalidTrainingSetError(
                f"Expected candidates not labelled before, found {sorted(known & set(new)) or new}."
            )
        n_old, n_new = len(self._labelled), len(self._labelled) + len(new)
        for name, features in self._features.items():
            if n_new > len(self._rows[name]):
                grown = np.empty((max(_FIRST_ROWS, n_new, 3 * n_old // 2), self.n_candidates))
                grown[:n_old] = self._rows[name][:n_old]
                self._rows[name] = grown
            for row, index in zip(range(n_old, n_new), new, strict=True):
                self._rows[name][row] = separations(
                    features[[index]], features, metric=self.metric, squares=self._squares[name]
                )[0]
                if self.metric is not Metric.DOT:
                    self._rows[name][row, index] = 0.0
        self._labelled.extend(new)

    def to_pool(self, candidates: IntArray | slice | None = None) -> dict[str, FloatArray]:
        """Separations labelled x candidates, shape (n_labelled, n) per block; the whole pool if none are named."""
        columns = slice(None) if candidates is None else candidates
        n_labelled = len(self._labelled)
        return {name: rows[:n_labelled][:, columns] for name, rows in self._rows.items()}

    def among_labelled(self) -> dict[str, FloatArray]:
        """Separations labelled x labelled, shape (n_labelled, n_labelled) per block."""
        return self.to_pool(self.labelled)

    def among(self, candidates: IntArray) -> dict[str, FloatArray]:
        """Separations candidates x candidates, computed now: meant for the contenders, not for the pool."""
        chosen = {name: features[candidates] for name, features in self._features.items()}
        result = {name: separations(block, block, metric=self.metric) for name, block in chosen.items()}
        if self.metric is not Metric.DOT:
            for matrix in result.values():
                np.fill_diagonal(matrix, 0.0)
        return result

    def to_self(self, candidates: IntArray | slice | None = None) -> dict[str, FloatArray]:
        """Separation of each candidate from itself, shape (n,) per block: zero, or x.x for the dot product."""
        columns = slice(None) if candidates is None else candidates
        return {
            name: self_separations(features[columns], metric=self.metric) for name, features in self._features.items()
        }
