"""Choosing few of many: structures by farthest points or CUR, and features by the same or PCA, with the error that costs.

CUR takes the item with the largest weight in the leading eigenvector of the Gram matrix, removes its direction from all
others (a Schur complement) and repeats.

Source: Imbalzano et al., J. Chem. Phys. 148, 241730 (2018), the method behind Onat, Ortner & Kermode, J. Chem. Phys.
153, 144106 (2020), sections V.B and VI.B (their figures 6 to 8). Deviations: one eigenvector per step, the paper's
k = 1; columns are centred, and the error of a selection is that of the best linear reconstruction of all columns from
the selected ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import scipy

from hullscout.errors import InvalidSettingError
from hullscout.regression.arrays import FloatArray, IntArray, candidate_indices, finite_matrix, is_kind, refuse_no_count
from hullscout.regression.model import Estimator

_GRAM: Final = "the Gram matrix"
_DENSE: Final = 32
_EXHAUSTED: Final = 1e-13
_NOTHING_NEW: Final = 1e-12  # Share of the norm of all columns below which the rest of one is rounding


def farthest_points(gram: FloatArray, n: int, *, start: int | None = None) -> IntArray:
    """Farthest point sampling of n items, in the order chosen: each is the one farthest from all before.

    Args:
        gram: Dot products (or kernel) among the items, shape (m, m); distance^2 = g_ii + g_jj - 2 g_ij.
        n: How many to choose; ties go to the smaller index.
        start: First item; the one farthest from the mean of all if not given.
    """
    gram = _checked(gram, n, what=_GRAM)
    diagonal = np.diag(gram)
    far = int(np.argmax(diagonal - 2.0 * gram.mean(axis=1))) if start is None else start
    first = int(candidate_indices([far], n_candidates=len(gram))[0])
    return _farthest(first, n, lambda last: diagonal + diagonal[last] - 2.0 * gram[last])


def farthest_rows(rows: FloatArray, n: int) -> IntArray:
    """The same for structures of features (m, d) without their Gram matrix: O(m d) per point, for large pools."""
    rows = _checked(rows, n, what="rows")
    centred = rows - rows.mean(axis=0)
    squares = np.einsum("ij,ij->i", centred, centred)
    return _farthest(int(np.argmax(squares)), n, lambda last: squares + squares[last] - 2.0 * (centred @ centred[last]))


def _farthest(first: int, n: int, squared_distances: Callable[[int], FloatArray]) -> IntArray:
    chosen, nearest = [first], squared_distances(first)
    for _ in range(n - 1):
        nearest[chosen[-1]] = -np.inf
        chosen.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, squared_distances(chosen[-1]))
    return np.array(chosen, dtype=np.intp)


def cur_points(gram: FloatArray, n: int) -> IntArray:
    """CUR selection of n items, in the order chosen: each is the heaviest in the leading eigenvector of what is left.

    Items of the Gram matrix (m, m) that add nothing any more follow in the order of their indices.
    """
    gram = _checked(gram, n, what=_GRAM)
    left, total, vector = gram.copy(), float(np.trace(gram)), np.ones(len(gram))
    chosen: list[int] = []
    while len(chosen) < n and float(np.trace(left)) > _EXHAUSTED * total:
        vector = _leading(left, vector)
        is_left = np.diag(left) > _EXHAUSTED * total / len(gram)
        item = int(np.argmax(np.where(is_left, vector**2, -1.0)))
        chosen.append(item)
        column = left[:, item] / np.sqrt(left[item, item])
        left -= np.outer(column, column)
        left[item], left[:, item] = 0.0, 0.0
    rest = np.setdiff1d(np.arange(len(gram)), chosen)
    return np.concatenate([chosen, rest]).astype(np.intp)[:n]


def _leading(matrix: FloatArray, start: FloatArray) -> FloatArray:
    """Eigenvector of the largest eigenvalue."""
    if len(matrix) <= _DENSE:
        return np.asarray(np.linalg.eigh(matrix)[1][:, -1])
    _, vectors = scipy.sparse.linalg.eigsh(matrix, k=1, which="LA", v0=start + 1e-3, tol=1e-8)
    return np.asarray(vectors[:, 0])


def _checked(items: FloatArray, n: int, *, what: str) -> FloatArray:
    """Items, one per row, of which n can be chosen; a Gram matrix is square."""
    values = finite_matrix(items, what=what)
    if what == _GRAM and values.shape[0] != values.shape[1]:
        raise InvalidSettingError(f"Expected a square Gram matrix, found {values.shape=}.")
    if not (is_kind(n, int, np.integer) and 1 <= n <= len(values)):
        raise InvalidSettingError(f"Expected to choose 1 to {len(values)} items, found {n=}.")
    return values


_SELECTIONS: Final = {"fps": farthest_points, "cur": cur_points}
_PCA: Final = "pca"


@dataclass(eq=False, repr=False)
class FeatureCompressor(Estimator):
    """Keep few features: a scikit-learn transformer for those who store or send features; no command uses it.

    Args:
        method: "fps" or "cur" (keeps columns as they are), or "pca" (orthogonal projection: distances change least).
        n_features: How many to keep; at most the number of columns.

    Attributes:
        selected_: Indices of the kept columns in the order chosen, shape (n_features,); empty for PCA.
        components_: Map from centred columns to kept features, shape (d, n_features).
        errors_: Relative reconstruction error norm(X - X') / norm(X) of centred features (Frobenius), 0 to 1, after each
            kept feature, shape (n_features,).
        error_: The last of them.

    >>> X = np.outer(np.arange(5.0), [1.0, 2.0, 3.0])
    >>> compressor = FeatureCompressor(method="cur", n_features=1).fit(X)
    >>> compressor.selected_.tolist(), bool(compressor.error_ < 1e-7)
    ([2], True)
    """

    method: str = "cur"
    _: KW_ONLY
    n_features: int = 1

    def fit(self, X: npt.ArrayLike, y: Any = None) -> Self:  # noqa: ARG002 (scikit-learn's signature)
        """Choose features of X, shape (n, d); y is there for pipelines."""
        if self.method not in {*_SELECTIONS, _PCA}:
            raise InvalidSettingError(f"Expected a method of {[*_SELECTIONS, _PCA]}, found {self.method!r}.")
        rows = self._learned_rows(X)
        d = self.n_features_in_
        refuse_no_count(n_features=self.n_features)
        if self.n_features > d:
            raise InvalidSettingError(f"Expected n_features from 1 to {d}, found {self.n_features}.")
        self.mean_ = rows.mean(axis=0)
        centred = rows - self.mean_
        gram, total = centred.T @ centred, float(np.sum(centred**2))
        self.selected_: IntArray = np.zeros(0, dtype=np.intp)
        if self.method == _PCA:
            self.components_: FloatArray = np.linalg.eigh(gram)[1][:, ::-1][:, : self.n_features]
            explained = np.sum((centred @ self.components_) ** 2, axis=0)
        else:
            self.selected_ = _SELECTIONS[self.method](gram, self.n_features)
            self.components_ = np.eye(d)[:, self.selected_]
            explained = _explained(centred, self.selected_, total=total)
        left = 1.0 - np.cumsum(explained) / total if total else np.zeros(self.n_features)
        self.errors_: FloatArray = np.sqrt(np.maximum(left, 0.0))
        self.error_ = float(self.errors_[-1])
        return self

    def transform(self, X: npt.ArrayLike) -> FloatArray:
        """Kept features, shape (n, n_features)."""
        rows = self._new_rows(X)
        return np.asarray((rows - self.mean_) @ self.components_) if self.method == _PCA else rows[:, self.selected_]

    def fit_transform(self, X: npt.ArrayLike, y: Any = None) -> FloatArray:
        """Fit, then transform the same rows."""
        return self.fit(X, y).transform(X)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressionCurve:
    """Errors (k,), as `FeatureCompressor.errors_`, against the kept fractions of the features, rising, shape (k,)."""

    method: str
    fractions: FloatArray
    errors: FloatArray


def compression_curve(
    X: npt.ArrayLike, *, method: str = "cur", counts: Sequence[int] | None = None
) -> CompressionCurve:
    """Error against the kept fraction of features X (n, d), from one ordered selection; `counts` are kept, else 1 to d."""
    rows = finite_matrix(X, what="X")
    d = rows.shape[1]
    kept = np.arange(1, d + 1) if counts is None else np.asarray(sorted(set(counts)), dtype=np.intp)
    if len(kept) == 0 or kept[0] < 1 or kept[-1] > d:
        raise InvalidSettingError(f"Expected counts from 1 to {d}, found {kept.tolist()}.")
    for count in counts or ():
        refuse_no_count(counts=count)
    errors = FeatureCompressor(method, n_features=int(kept[-1])).fit(rows).errors_
    return CompressionCurve(method=method, fractions=kept / d, errors=errors[kept - 1])


def _explained(centred: FloatArray, order: IntArray, *, total: float) -> FloatArray:
    """Squares that each selected column adds to the reconstruction, by Gram-Schmidt, each column twice.

    A column that adds nothing takes no direction: a QR factorization would give it an arbitrary one, which later columns lack.
    """
    basis, explained = np.zeros((min(len(centred), len(order)), len(centred))), np.zeros(len(order))
    rank = 0
    for step, column in enumerate(order):
        if rank == len(basis):
            break
        rest = centred[:, column]
        for _ in range(2):
            rest = rest - (basis[:rank] @ rest) @ basis[:rank]
        length = float(np.linalg.norm(rest))
        if length > _NOTHING_NEW * np.sqrt(total):
            basis[rank] = rest / length
            explained[step] = np.sum((basis[rank] @ centred) ** 2)
            rank += 1
    return explained
