"""Does the stated uncertainty hold? z-score histogram, coverage of central intervals, expected calibration error.

Source: Kuleshov, Fenner & Ermon, ICML 2018, eq. 9, with absolute instead of squared deviations, over central intervals.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hullscout.errors import InvalidSettingError, InvalidTrainingSetError
from hullscout.regression.arrays import FloatArray, IntArray, finite_vector
from hullscout.regression.calibration import TailCalibration

LEVELS: Final = (0.5, 0.8, 0.95)
"""Central intervals reported by default."""

_ECE_LEVELS: Final = np.linspace(0.05, 0.95, 19)
_EDGES: Final = np.linspace(-5.0, 5.0, 21)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationReport:
    """How stated and observed uncertainty compare on labels that the model had not seen.

    Attributes:
        n: Number of labels.
        rmse: Root mean square residual, unit of the labels.
        levels: Stated probabilities of central intervals.
        coverage: Share of labels inside the interval of each level.
        expected_calibration_error: Mean |coverage - level| over levels 0.05, 0.10, ..., 0.95.
        z_edges: Bin edges of the z-score histogram, shape (k + 1,); z-scores beyond the ends are in the end bins.
        z_counts: Number of z-scores in each bin, shape (k,); residual over calibrated standard deviation.
        log_score: Mean log predictive density of a normal distribution of that standard deviation.
    """

    n: int
    rmse: float
    levels: tuple[float, ...]
    coverage: tuple[float, ...]
    expected_calibration_error: float
    z_edges: FloatArray
    z_counts: IntArray
    log_score: float


def diagnose(
    residuals: npt.ArrayLike,
    std: npt.ArrayLike,
    *,
    degrees_of_freedom: float = np.inf,
    levels: tuple[float, ...] = LEVELS,
) -> CalibrationReport:
    """Compare residuals with their stated standard deviations.

    Args:
        residuals: Label minus prediction, shape (n,).
        std: Calibrated standard deviations, shape (n,), positive.
        degrees_of_freedom: Of the Student-t whose scale `std` is; infinity means Gaussian.
        levels: Central intervals to report.

    Raises:
        InvalidTrainingSetError: No residuals, different lengths, not finite, or a standard deviation that is not positive.
        InvalidSettingError: Levels that are no probabilities, or degrees of freedom that are not positive.
    """
    errors, deviations = finite_vector(residuals, what="residuals"), finite_vector(std, what="std")
    if errors.shape != deviations.shape or len(errors) == 0:
        raise InvalidTrainingSetError(
            f"Expected as many residuals as deviations, one or more, found {errors.shape} and {deviations.shape}."
        )
    if not np.all(deviations > 0.0):
        raise InvalidTrainingSetError(f"Expected positive standard deviations, found {float(np.min(deviations))}.")
    if not all(0.0 < level < 1.0 for level in levels) or not degrees_of_freedom > 0.0:
        raise InvalidSettingError(
            f"Expected levels between 0 and 1 and positive degrees of freedom, found {levels=}, {degrees_of_freedom=}."
        )
    z = errors / deviations
    tails = TailCalibration(degrees_of_freedom=degrees_of_freedom)

    def coverage(level: float) -> float:
        return float(np.mean(np.abs(z) <= tails.half_width(level)))

    counts, _ = np.histogram(np.clip(z, _EDGES[0], _EDGES[-1]), bins=_EDGES)
    return CalibrationReport(
        n=len(z),
        rmse=float(np.sqrt(np.mean(errors**2))),
        levels=levels,
        coverage=tuple(coverage(level) for level in levels),
        expected_calibration_error=float(np.mean([abs(coverage(float(level)) - level) for level in _ECE_LEVELS])),
        z_edges=_EDGES.copy(),
        z_counts=counts.astype(np.intp),
        log_score=float(np.mean(-0.5 * np.log(2.0 * np.pi * deviations**2) - 0.5 * z**2)),
    )
