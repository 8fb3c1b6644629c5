"""Does the stated uncertainty hold? z-score histogram, coverage of central intervals, expected calibration error, figure.

Source: Kuleshov, Fenner & Ermon, ICML 2018, eq. 9, with absolute instead of squared deviations, over central intervals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import ndtri, stdtr

from hullscout.errors import InvalidSettingError, InvalidTrainingSetError
from hullscout.regression.arrays import FloatArray, IntArray, finite_vector
from hullscout.regression.calibration import TailCalibration

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    from matplotlib.axes import Axes

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
        expected_calibration_error: Mean of abs(coverage - level) over levels 0.05, 0.10, ..., 0.95.
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


def normal_scores(z: npt.ArrayLike, *, degrees_of_freedom: float) -> FloatArray:
    """z-scores of a Student-t as those of a normal distribution at the same quantile, to pool what models of different tails say.

    Args:
        z: Residual over the calibrated standard deviation, shape (n,).
        degrees_of_freedom: Of the model's tails; infinity changes nothing.

    Raises:
        InvalidTrainingSetError: Not finite.
        InvalidSettingError: Degrees of freedom that are not positive.
    """
    values = finite_vector(z, what="z")
    if not degrees_of_freedom > 0.0:
        raise InvalidSettingError(f"Expected positive degrees of freedom, found {degrees_of_freedom=}.")
    if np.isinf(degrees_of_freedom):
        return values
    return np.asarray(-np.sign(values) * ndtri(stdtr(degrees_of_freedom, -np.abs(values))))


def plot_calibration(
    reports: Mapping[str, CalibrationReport], axes: tuple[Axes, Axes] | None = None
) -> tuple[Axes, Axes]:
    """Observed against stated coverage, and the z-score histogram beside the normal density.

    Args:
        reports: One line each, by label; of `diagnose` with the `levels` to draw, and of z-scores that would be normal
            (see `normal_scores`).
        axes: Where to draw the two; a new figure if not given.

    Returns:
        The axes drawn on.

    Raises:
        InvalidSettingError: No reports.
    """
    if not reports:
        raise InvalidSettingError("Expected one or more reports to draw, found none.")
    if axes is None:
        from matplotlib.figure import Figure  # noqa: PLC0415 (late: slow to import)

        left, right = Figure(figsize=(9.0, 4.0), layout="constrained").subplots(1, 2)
    else:
        left, right = axes
    left.plot([0.0, 1.0], [0.0, 1.0], color="0.6", linewidth=1.0)
    for label, report in reports.items():
        left.plot(report.levels, report.coverage, marker="o", markersize=3, label=label)
        density = report.z_counts / (report.n * np.diff(report.z_edges))
        right.stairs(density, report.z_edges, label=label)
    grid = np.linspace(-5.0, 5.0, 201)
    right.plot(grid, np.exp(-0.5 * grid**2) / np.sqrt(2.0 * np.pi), color="0.6", linewidth=1.0, label="normal")
    left.set(xlabel="stated coverage", ylabel="observed coverage", xlim=(0.0, 1.0), ylim=(0.0, 1.0), aspect="equal")
    right.set(xlabel="z-score (beyond the ends: in the end bins)", ylabel="density")
    for one in (left, right):
        one.grid(visible=True, alpha=0.3)
        one.legend(frameon=False)
    return left, right
