"""Array types and the one place where what comes in from outside is checked.

Arrays come back as float64 copies or views that are safe to use; nothing is imputed and nothing is dropped.
"""

from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hullscout.errors import InvalidSettingError, InvalidTrainingSetError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]

Representations = Mapping[str, Mapping[str, FloatArray]]
"""For each representation, for each block, separations."""

SINGLE: Final = "features"
"""Name of the representation when there is only one."""

MIN_LABELS: Final = 3  # Fewest labels that a tuned model accepts: leaving one out must leave two
MAX_MAGNITUDE: Final = 1e100  # Largest number accepted; squares and products of larger ones overflow
MIN_SPREAD: Final = 1e-100  # Smallest spread accepted in what is not constant; squares of smaller ones vanish
CONSTANT: Final = 1e-14  # Spread of constant labels, relative to the largest of them: what rounding alone can do


def finite_matrix(values: npt.ArrayLike, *, what: str) -> FloatArray:
    """Two-dimensional float64 array (n, d) without NaN or infinity, n and d at least 1; `what` names it in messages."""
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
    _refuse_absurd_unit(array, float(np.max(np.ptp(array, axis=0))), what=what)
    return array


def finite_labels(values: npt.ArrayLike, *, n_rows: int) -> FloatArray:
    """Labels as a float64 vector (n_rows,), finite and not all equal; eV/atom when they are formation energies."""
    labels = _real(values, what="y")
    if labels.ndim != 1:
        raise InvalidTrainingSetError(
            f"Expected labels y of shape ({n_rows},), found {labels.shape=}. Pass one number per structure."
        )
    if len(labels) != n_rows:
        raise InvalidTrainingSetError(f"Expected one label per row, found {len(labels)} labels and {n_rows} rows.")
    _refuse_not_finite(labels, what="y")
    if len(labels) < MIN_LABELS:
        raise InvalidTrainingSetError(
            f"Expected at least {MIN_LABELS} labels, found n_samples={len(labels)}. Label more structures first."
        )
    _refuse_absurd_unit(labels, float(np.ptp(labels)), what="y")
    if are_constant(labels):
        raise InvalidTrainingSetError(
            f"Expected labels that differ, found {len(labels)} times {labels[0]}: nothing can be learned from them. "
            "Label other structures, or check that y is the energy."
        )
    return labels


def are_constant(labels: FloatArray) -> bool:
    """Whether labels differ by no more than rounding."""
    return bool(np.ptp(labels) <= CONSTANT * np.max(np.abs(labels)))


def finite_vector(values: npt.ArrayLike, *, what: str) -> FloatArray:
    """One-dimensional float64 array without NaN or infinity; may be empty or constant."""
    array = _real(values, what=what)
    if array.ndim != 1:
        raise InvalidTrainingSetError(f"Expected one number per structure in {what}, found shape {array.shape}.")
    _refuse_not_finite(array, what=what)
    return array


def finite_composition(values: npt.ArrayLike) -> FloatArray:
    """Atomic fractions (n, k) or (n,), without NaN or infinity."""
    array = _real(values, what="composition")
    return finite_matrix(array, what="composition") if array.ndim == 2 else finite_vector(array, what="composition")


def candidate_indices(values: npt.ArrayLike, *, n_candidates: int) -> IntArray:
    """Indices of candidates, shape (q,), which may be none."""
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise InvalidTrainingSetError(
            f"Expected a list of whole numbers that name candidates, found shape {array.shape} of {array.dtype}. Turn a "
            "mask into indices with np.flatnonzero."
        )
    wrong = array[(array < 0) | (array >= n_candidates)]
    if wrong.size:
        raise InvalidTrainingSetError(f"Expected candidates 0 to {n_candidates - 1}, found {wrong.tolist()}.")
    return array.astype(np.intp)


def group_numbers(values: npt.ArrayLike | None) -> IntArray | None:
    """Groups renamed 0, 1, ... whatever their names were; None stays None."""
    if values is None:
        return None
    array = np.asarray(values)
    if array.dtype.kind == "O" and all(isinstance(value, str) for value in array.flat):  # text, from a table
        array = array.astype(str)
    if array.dtype.kind not in "biufUS" or (array.dtype.kind == "f" and np.isnan(array).any()):
        raise InvalidTrainingSetError(f"Expected a number or a name for every group, found {array.dtype=} or NaN.")
    return np.asarray(np.unique(array, return_inverse=True)[1], dtype=np.intp).reshape(array.shape)


def is_kind(value: Any, *kinds: type) -> bool:
    """Whether a setting is what its annotation says, which a caller without a type checker may not know."""
    return isinstance(value, kinds)


def are_finite(values: Iterable[Any]) -> bool:
    """Whether all settings are finite numbers."""
    return all(is_kind(value, float, int, np.floating, np.integer) and bool(np.isfinite(value)) for value in values)


def refuse_no_count(least: int = 1, **counts: Any) -> None:
    """Check settings that count something."""
    wrong = {name: value for name, value in counts.items() if not isinstance(value, Integral) or int(value) < least}
    if wrong:
        raise InvalidSettingError(f"Expected counts of at least {least}, whole numbers, found {wrong}.")


def _real(values: npt.ArrayLike, *, what: str) -> FloatArray:
    if hasattr(values, "toarray"):
        raise InvalidTrainingSetError(f"Sparse input is not supported: expected a dense array for {what}.")
    if values is None:
        raise InvalidTrainingSetError(f"This estimator requires y to be passed, but the target {what} is None.")
    if isinstance(values, np.ma.MaskedArray) and np.any(np.ma.getmaskarray(values)):
        raise InvalidTrainingSetError(
            f"Expected no masked values in {what}, found {int(np.ma.getmaskarray(values).sum())}. Leave those structures "
            "out: nothing is imputed."
        )
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InvalidTrainingSetError(
            f"Expected rows of equal length in {what}, found {type(values).__name__}: {error} Check each row."
        ) from error
    if array.dtype.kind in "mM":
        raise InvalidTrainingSetError(f"Expected numbers in {what}, found dates: {array.dtype=}. Pass numbers.")
    if np.iscomplexobj(array):
        raise InvalidTrainingSetError(f"Complex data not supported: expected real numbers in {what}.")
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidTrainingSetError(
            f"Expected numbers in {what}, found {array.dtype=}: {error}. Pass numbers."
        ) from error


def _refuse_not_finite(array: FloatArray, *, what: str) -> None:
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        raise InvalidTrainingSetError(
            f"Expected finite numbers in {what}, found {len(bad)} NaN or inf, the first at index {bad[0].tolist()}. "
            "Remove or compute them: nothing is imputed."
        )


def _refuse_absurd_unit(array: FloatArray, spread: float, *, what: str) -> None:
    largest = float(np.max(np.abs(array)))
    if largest > MAX_MAGNITUDE or 0.0 < spread < MIN_SPREAD:
        raise InvalidTrainingSetError(
            f"Expected numbers up to {MAX_MAGNITUDE:g} that differ by {MIN_SPREAD:g} or more in {what}, found {largest=:g} "
            f"and {spread=:g}. Choose another unit."
        )
