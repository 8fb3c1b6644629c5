"""Fewer features: selected by FPS or CUR, or projected by PCA; and the error against the kept fraction.

Source: Onat, Ortner & Kermode, J. Chem. Phys. 153, 144106 (2020), sections V.B and VI.B (their figures 6 to 8).
Deviation: columns are centred, and the error of a selection is that of the best linear reconstruction of all columns
from the selected ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from hullscout.errors import InvalidSettingError
from hullscout.regression.arrays import FloatArray, IntArray, finite_matrix, refuse_no_count
from hullscout.regression.estimator import Estimator
from hullscout.regression.subset import cur_points, farthest_points

_NOTHING_NEW: Final = 1e-12
"""Share of the norm of all columns below which the rest of one is rounding."""


class Compression(StrEnum):
    """How features are made fewer."""

    FPS = "fps"
    CUR = "cur"
    PCA = "pca"


class FeatureCompressor(Estimator):
    """Keep few features: a scikit-learn transformer.

    Args:
        method: "fps" or "cur" (keeps columns as they are), or "pca" (orthogonal projection: distances change least).
        n_features: How many to keep; at most the number of columns.

    Attributes:
        selected_: Indices of the kept columns in the order chosen, shape (n_features,); empty for PCA.
        components_: Map from centred columns to kept features, shape (d, n_features).
        error_: Relative reconstruction error, 0 to 1.

    >>> X = np.outer(np.arange(5.0), [1.0, 2.0, 3.0])
    >>> compressor = FeatureCompressor(method="cur", n_features=1).fit(X)
    >>> compressor.selected_.tolist(), bool(compressor.error_ < 1e-7)
    ([2], True)
    """

    def __init__(self, method: str = "cur", *, n_features: int = 1) -> None:
        self.method = method
        self.n_features = n_features

    def fit(self, X: npt.ArrayLike, y: Any = None) -> Self:  # noqa: ARG002 (scikit-learn's signature)
        """Choose features.

        Args:
            X: Features, shape (n, d).
            y: Not needed; there for pipelines.

        Raises:
            InvalidSettingError: Unknown method or impossible number.
        """
        method = _method(self.method)
        rows = finite_matrix(X, what="X")
        d = rows.shape[1]
        refuse_no_count(n_features=self.n_features)
        if self.n_features > d:
            raise InvalidSettingError(f"Expected n_features from 1 to {d}, found {self.n_features}.")
        self._remember_columns(X, rows)
        self.mean_ = rows.mean(axis=0)
        centred = rows - self.mean_
        order, directions = _directions(centred, method, self.n_features)
        self.selected_ = order
        self.components_: FloatArray = directions if method is Compression.PCA else np.eye(d)[:, order]
        self.error_ = float(_errors(centred, method, order, directions)[-1])
        return self

    def transform(self, X: npt.ArrayLike) -> FloatArray:
        """Kept features, shape (n, n_features)."""
        rows = self._new_rows(X)
        if self.method == Compression.PCA:
            return np.asarray((rows - self.mean_) @ self.components_)
        return rows[:, self.selected_]

    def fit_transform(self, X: npt.ArrayLike, y: Any = None) -> FloatArray:
        """Fit, then transform the same rows."""
        return self.fit(X, y).transform(X)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressionCurve:
    """Reconstruction error against how much is kept.

    Attributes:
        method: How features were chosen.
        fractions: Kept share of the features, rising, shape (k,).
        errors: Relative reconstruction error norm(X - X') / norm(X) of centred features (Frobenius), shape (k,).
    """

    method: Compression
    fractions: FloatArray
    errors: FloatArray


def compression_curve(
    X: npt.ArrayLike, *, method: str = "cur", counts: Sequence[int] | None = None
) -> CompressionCurve:
    """Error against kept fraction, from one ordered selection.

    Args:
        X: Features, shape (n, d).
        method: "fps", "cur" or "pca".
        counts: Numbers of kept features; 1 to d unless given.

    Raises:
        InvalidSettingError: Unknown method or impossible counts.
    """
    rows = finite_matrix(X, what="X")
    d = rows.shape[1]
    kept = np.arange(1, d + 1) if counts is None else np.asarray(sorted(set(counts)), dtype=np.intp)
    if len(kept) == 0 or kept[0] < 1 or kept[-1] > d:
        raise InvalidSettingError(f"Expected counts from 1 to {d}, found {kept.tolist()}.")
    for count in counts or ():
        refuse_no_count(counts=count)
    centred = rows - rows.mean(axis=0)
    order, directions = _directions(centred, _method(method), int(kept[-1]))
    errors = _errors(centred, _method(method), order, directions)
    return CompressionCurve(method=_method(method), fractions=kept / d, errors=errors[kept - 1])


def _method(name: str) -> Compression:
    try:
        return Compression(name)
    except ValueError as error:
        raise InvalidSettingError(f"Expected a method of {[m.value for m in Compression]}, found {name!r}.") from error


def _directions(centred: FloatArray, method: Compression, n: int) -> tuple[IntArray, FloatArray]:
    """Selected columns in order (none for PCA), and the principal directions, shape (d, n) (none for a selection)."""
    gram = centred.T @ centred
    if method is Compression.PCA:
        _, vectors = np.linalg.eigh(gram)
        return np.zeros(0, dtype=np.intp), np.asarray(vectors[:, ::-1][:, :n])
    order = farthest_points(gram, n) if method is Compression.FPS else cur_points(gram, n)
    return order, np.zeros((centred.shape[1], 0))


def _errors(centred: FloatArray, method: Compression, order: IntArray, directions: FloatArray) -> FloatArray:
    """Relative reconstruction error after each kept feature, by orthogonalizing them one after the other."""
    total = float(np.sum(centred**2))
    if total == 0.0:
        return np.zeros(max(len(order), directions.shape[1]))
    if method is Compression.PCA:
        explained = np.sum((centred @ directions) ** 2, axis=0)
    else:
        explained = _explained(centred, order, total=total)
    return np.sqrt(np.maximum(1.0 - np.cumsum(explained) / total, 0.0))


def _explained(centred: FloatArray, order: IntArray, *, total: float) -> FloatArray:
    """Squares that each selected column adds to the reconstruction, by Gram-Schmidt, each column twice.

    A column that adds nothing takes no direction: a QR factorization would give it an arbitrary one, which later columns lack.
    """
    basis = np.zeros((min(len(centred), len(order)), len(centred)))
    explained = np.zeros(len(order))
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
