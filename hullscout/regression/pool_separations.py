"""Separations of the labelled candidates of a pool from all of it, a row for each label."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from hullscout.errors import InvalidSettingError, InvalidTrainingSetError
from hullscout.regression.arrays import FloatArray, IntArray, candidate_indices, finite_matrix
from hullscout.regression.covariance import Metric, self_separations, separations

_FIRST_ROWS: Final = 32


class PoolSeparations:
    """Separations labelled x pool, for each feature block, growing by a row when a structure is labelled.

    Never candidates x candidates: 8 bytes x labelled x candidates x blocks (up to twice that while growing).

    Args:
        blocks: For every block name the features of all candidates, shape (n_candidates, d_block).
        metric: What is measured; squared Euclidean unless the kernel is linear or Laplacian.
        scales: Unit of length of each block, where the candidates are a part of a pool whose units are used.
    """

    def __init__(
        self,
        blocks: Mapping[str, npt.ArrayLike],
        *,
        metric: Metric = Metric.SQUARED_EUCLIDEAN,
        scales: Mapping[str, float] | None = None,
    ) -> None:
        if not blocks:
            raise InvalidSettingError("Expected at least one feature block, found none.")
        features = {name: finite_matrix(values, what=f"block {name!r}") for name, values in blocks.items()}
        lengths = {name: len(values) for name, values in features.items()}
        if len(set(lengths.values())) > 1:
            raise InvalidTrainingSetError(f"Expected blocks with the same number of candidates, found {lengths}.")
        self.metric = metric
        self.n_candidates = next(iter(lengths.values()))
        is_shift_free = metric is not Metric.DOT
        self._centers = {name: values.mean(axis=0) * is_shift_free for name, values in features.items()}
        self._features = {name: values - self._centers[name] for name, values in features.items()}
        self._squares = {name: np.einsum("ij,ij->i", values, values) for name, values in self._features.items()}
        self._rows = {name: np.empty((0, self.n_candidates)) for name in features}
        self._labelled: list[int] = []
        self._scales = None if scales is None else {name: float(scales[name]) for name in features}

    @property
    def scales(self) -> dict[str, float]:
        """Root mean square distance among all candidates in each block, 1 where all coincide; or the units that were given."""
        if self._scales is not None:
            return self._scales
        n = self.n_candidates
        means = {name: 2.0 * float(squares.mean()) * n / max(n - 1, 1) for name, squares in self._squares.items()}
        return {name: float(np.sqrt(mean)) if mean > 0.0 else 1.0 for name, mean in means.items()}

    def rows_from(self, candidates: IntArray) -> FloatArray:
        """Squared distances candidates x pool, (q, n_candidates), in units of the mean among all candidates, summed over blocks.

        Blocks of a single number do not count where there are others: a few outliers there would be all that is far.
        """
        total = np.zeros((len(candidates), self.n_candidates))
        widest = max(features.shape[1] for features in self._features.values())
        for name, scale in self.scales.items():
            features = self._features[name]
            if features.shape[1] < min(widest, 2):
                continue
            rows = separations(
                features[candidates], features, metric=Metric.SQUARED_EUCLIDEAN, squares=self._squares[name]
            )
            total += rows / scale**2
        return total

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
        n_old, n_new = len(known), len(known) + len(new)
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

    def to_pool(
        self, candidates: IntArray | slice = slice(None), places: IntArray | slice = slice(None)
    ) -> dict[str, FloatArray]:
        """Separations labelled x candidates, shape (n_labelled, n) per block; the whole pool if none are named.

        Of labels at some places among the labelled; of all if none are named.
        """
        n_labelled = len(self._labelled)
        if not isinstance(candidates, slice) and not isinstance(places, slice):
            return {name: rows[np.ix_(places, candidates)] for name, rows in self._rows.items()}
        return {name: rows[:n_labelled][:, candidates][places] for name, rows in self._rows.items()}

    def among(self, candidates: IntArray) -> dict[str, FloatArray]:
        """Separations candidates x candidates, computed now: meant for the contenders, not for the pool."""
        result = {}
        for name, features in self._features.items():
            chosen = features[candidates]
            result[name] = separations(chosen, chosen, metric=self.metric)
            if self.metric is not Metric.DOT:
                np.fill_diagonal(result[name], 0.0)
        return result

    def to_others(self, blocks: Mapping[str, FloatArray]) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
        """Separations of the labelled from other structures, (n_labelled, q), and of each of these from itself, (q,).

        By block, from features (q, d) as they were given.
        """
        cross, own = {}, {}
        for name, features in self._features.items():
            others = blocks[name] - self._centers[name]
            cross[name] = separations(features[self.labelled], others, metric=self.metric)
            own[name] = self_separations(others, metric=self.metric)
        return cross, own

    def to_self(self, candidates: IntArray | slice) -> dict[str, FloatArray]:
        """Separation of each candidate from itself, shape (n,) per block: zero, or x.x for the dot product."""
        return {name: self_separations(block[candidates], metric=self.metric) for name, block in self._features.items()}
