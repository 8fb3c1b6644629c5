"""Does the stated uncertainty hold? z-score histogram, coverage of central intervals, expected calibration error.

Source: Kuleshov, Fenner & Ermon, ICML 2018, eq. 9, with absolute instead of squared deviations, over central intervals.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from hullscout.errors import InvalidTrainingSetError
from hullscout.regression.arrays import FloatArray, IntArray
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
    residuals: FloatArray,
    std: FloatArray,
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
        InvalidTrainingSetError: No residuals, different lengths, or a standard deviation that is not positive.
    """
    if residuals.shape != std.shape or len(residuals) == 0:
        raise InvalidTrainingSetError(
            f"Expected as many residuals as deviations, found {residuals.shape} and {std.shape}."
        )
    if not np.all(std > 0.0):
        raise InvalidTrainingSetError(f"Expected positive standard deviations, found {float(np.min(std))}.")
    z = residuals / std
    tails = TailCalibration(degrees_of_freedom=degrees_of_freedom)

    def coverage(level: float) -> float:
        return float(np.mean(np.abs(z) <= tails.half_width(level)))

    counts, _ = np.histogram(np.clip(z, _EDGES[0], _EDGES[-1]), bins=_EDGES)
    return CalibrationReport(
        n=len(z),
        rmse=float(np.sqrt(np.mean(residuals**2))),
        levels=levels,
        coverage=tuple(coverage(level) for level in levels),
        expected_calibration_error=float(np.mean([abs(coverage(float(level)) - level) for level in _ECE_LEVELS])),
        z_edges=_EDGES.copy(),
        z_counts=counts.astype(np.intp),
        log_score=float(np.mean(-0.5 * np.log(2.0 * np.pi * std**2) - 0.5 * z**2)),
    )
