"""Array types and the one place where what comes in from outside is checked.

Every function returns float64 copies or views that are safe to use; nothing is imputed and nothing is dropped.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from hullscout.errors import InvalidTrainingSetError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

MIN_LABELS: Final = 3
"""Fewest labels that a tuned model accepts: leaving one out must leave two."""


def finite_matrix(values: npt.ArrayLike, *, what: str) -> FloatArray:
    """Two-dimensional float64 array without NaN or infinity.

    Args:
        values: Rows are structures, columns are features.
        what: Name used in the message.

    Returns:
        Array of shape (n, d), n and d at least 1.

    Raises:
        InvalidTrainingSetError: Not two-dimensional, empty, complex or not finite.
    """
    array = _real(values, what=what)
    if array.ndim != 2:
        raise InvalidTrainingSetError(
            f"Expected 2D array for {what}, found {array.ndim}D. Reshape your data to one row per structure."
        )
    if array.shape[0] == 0:
        raise InvalidTrainingSetError(f"Found array with 0 sample(s) (shape={array.shape}): {what} is empty.")
    if array.shape[1] == 0:
        raise InvalidTrainingSetError(
            f"Found array with 0 feature(s) (shape={array.shape}) while a minimum of 1 is required."
        )
    _refuse_not_finite(array, what=what)
    return array


def finite_labels(values: npt.ArrayLike, *, n_rows: int, min_labels: int = MIN_LABELS) -> FloatArray:
    """Labels as a float64 vector, one per row, finite, and not all equal.

    Args:
        values: Labels, shape (n_rows,), eV/atom when they are formation energies.
        n_rows: Number of structures that the labels belong to.
        min_labels: Fewest labels accepted.

    Returns:
        Array of shape (n_rows,).

    Raises:
        InvalidTrainingSetError: Wrong length, too few, NaN, infinite, or constant.
    """
    labels = _real(values, what="y")
    if labels.ndim != 1:
        raise InvalidTrainingSetError(f"Expected labels y of shape ({n_rows},), found {labels.shape=}.")
    if len(labels) != n_rows:
        raise InvalidTrainingSetError(f"Expected one label per row, found {len(labels)} labels and {n_rows} rows.")
    _refuse_not_finite(labels, what="y")
    if len(labels) < min_labels:
        raise InvalidTrainingSetError(
            f"Expected at least {min_labels} labels, found n_samples={len(labels)}. Label more structures first."
        )
    if np.ptp(labels) == 0.0:
        raise InvalidTrainingSetError(
            f"Expected labels that differ, found {len(labels)} times {labels[0]}: nothing can be learned from them."
        )
    return labels


def _real(values: npt.ArrayLike, *, what: str) -> FloatArray:
    if hasattr(values, "toarray"):
        raise InvalidTrainingSetError(f"Sparse input is not supported: expected a dense array for {what}.")
    if values is None:
        raise InvalidTrainingSetError(f"This estimator requires y to be passed, but the target {what} is None.")
    array = np.asarray(values)
    if np.iscomplexobj(array):
        raise InvalidTrainingSetError(f"Complex data not supported: expected real numbers in {what}.")
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidTrainingSetError(f"Expected numbers in {what}, found {array.dtype=}: {error}.") from error


def _refuse_not_finite(array: FloatArray, *, what: str) -> None:
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        raise InvalidTrainingSetError(
            f"Expected finite numbers in {what}, found {len(bad)} NaN or inf, the first at index {bad[0].tolist()}."
        )
