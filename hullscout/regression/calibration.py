"""What labels that were left out decide: how wide stated intervals must be, whether they hold, and where heights are capped.

A z-score is a residual over its predicted standard deviation; left-out labels give honest ones without a test set. What
lies far above the hull says nothing about the hull, yet a few structures at several eV/atom would set the model's scale,
so heights are capped. Hulls are not known here: heights come in as arrays.

Source: Kuleshov, Fenner & Ermon, ICML 2018, eq. 9, for the calibration error, with absolute instead of squared
deviations, over central intervals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import scipy

from hullscout.display import PERCENT, refuse_no_axes
from hullscout.errors import InvalidSettingError, InvalidTrainingSetError
from hullscout.regression.arrays import BoolArray, FloatArray, IntArray, finite_vector, is_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt
    from matplotlib.axes import Axes

LEVELS: Final = (0.5, 0.8, 0.95)  # Central intervals reported by default
# Degrees of freedom considered for the distribution of z-scores; the last is the normal distribution.
TAILS: Final = (3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 30.0, np.inf)
_ERROR_LEVELS: Final = np.linspace(0.05, 0.95, 19)
_EDGES: Final = np.linspace(-5.0, 5.0, 21)


@dataclass(frozen=True, slots=True, kw_only=True)
class TailCalibration:
    """z-scores follow `scale` times Student-t with `degrees_of_freedom`; infinity means Gaussian."""

    scale: float = 1.0
    degrees_of_freedom: float = np.inf

    def half_width(self, level: float) -> float:
        """Half width of the central interval of probability `level`, in predicted standard deviations."""
        return self.scale * student_quantile(0.5 + level / 2.0, self.degrees_of_freedom)


def student_quantile(probability: float, degrees_of_freedom: float) -> float:
    """Quantile of the Student-t distribution, of the normal one for infinite degrees of freedom."""
    if np.isinf(degrees_of_freedom):
        return float(scipy.special.ndtri(probability))
    return float(scipy.special.stdtrit(degrees_of_freedom, probability))


def calibrate(
    z: FloatArray, *, level: float = 0.95, n_tuned: int = 0, is_suspect: BoolArray | None = None
) -> TailCalibration:
    """Tail weight from the likelihood of the z-scores, then the scale that makes the interval of `level` hold.

    The inverse degrees of freedom are averaged over `TAILS` by likelihood, so that few labels never claim Gaussian
    tails. The scale is the conformal one, from the (n + 1) level-th smallest abs(z), with two steps to the safe side: half
    a standard error of that rank, since the quantile of few scores is uncertain; and sqrt((n + k) / (n - k)) for k tuned
    hyperparameters, the ratio of new to own residuals in a linear regression with k coefficients.

    Args:
        z: z-scores of left-out labels, shape (n,).
        level: Probability of the central interval that must be right.
        n_tuned: Number of hyperparameters that were tuned on these labels.
        is_suspect: Labels that do not count for the tail weight, and for the scale as much as the worst other label:
            one label wrong by 1000 eV must not widen all intervals.
    """
    n = len(z)
    believed = z if is_suspect is None else z[~is_suspect]
    if not np.all(np.isfinite(z)) or not np.any(believed):
        raise InvalidTrainingSetError(
            f"Expected finite z-scores that are not all zero, found {n} of which {np.count_nonzero(~np.isfinite(z))} are not "
            "finite. Check that labels differ and standard deviations are positive."
        )
    z = np.clip(z, -np.max(np.abs(believed)), np.max(np.abs(believed)))
    likelihoods = _log_likelihoods(believed)
    shares = np.exp(likelihoods - likelihoods.max())
    thickness = float(shares @ (1.0 / np.array(TAILS)) / shares.sum())
    nu = 1.0 / thickness if thickness > 1e-6 else np.inf
    rank = min((n + 1) * level + 0.5 * np.sqrt(n * level * (1.0 - level)), n)
    quantile = float(np.interp(rank, np.arange(1, n + 1), np.sort(np.abs(z))))
    correction = np.sqrt((n + n_tuned) / max(n - n_tuned, 0.25 * n))
    return TailCalibration(
        scale=float(correction * quantile / student_quantile(0.5 + level / 2.0, nu)), degrees_of_freedom=nu
    )


def scale_of(z: FloatArray, *, n_prior: float = 4.0, degrees_of_freedom: float = 30.0) -> TailCalibration:
    """The scale of z-scores (n,) of labels left out, with `n_prior` more that are as modelled, and tails that are given or heavier.

    The root mean square of all of them: the scale that a conjugate prior centred on 1 asks for (scaled inverse chi^2). A scale that
    is known from n + `n_prior` scores makes what is predicted a Student-t of so many degrees of freedom, be they fewer than given
    (Gelman et al., Bayesian Data Analysis, 3rd ed., section 2.6). For models whose settings come from many alloys (`KernelPrior`):
    where nothing was tuned on these labels, no interval has to be widened for that.
    """
    if not np.all(np.isfinite(z)):
        raise InvalidTrainingSetError(
            f"Expected finite z-scores, found {np.count_nonzero(~np.isfinite(z))} that are not."
        )
    scale = float(np.sqrt((n_prior + np.sum(z**2)) / (n_prior + len(z))))
    return TailCalibration(scale=scale, degrees_of_freedom=min(degrees_of_freedom, n_prior + len(z)))


def _log_likelihoods(z: FloatArray) -> FloatArray:
    """Largest log likelihood of z-scores under a scaled Student-t for each of `TAILS`: ten EM steps for the scale."""
    n, squares = len(z), z**2
    gaussian = -0.5 * n * (np.log(2.0 * np.pi * np.mean(squares)) + 1.0)
    nu = np.array(TAILS[:-1])[:, None]
    scale = np.full_like(nu, np.mean(squares))
    for _ in range(10):
        scale = np.mean((nu + 1.0) / (nu + squares / scale) * squares, axis=1, keepdims=True)
    constant = (
        scipy.special.gammaln((nu + 1.0) / 2.0) - scipy.special.gammaln(nu / 2.0) - 0.5 * np.log(nu * np.pi * scale)
    )
    heavy = n * constant[:, 0] - 0.5 * (nu[:, 0] + 1.0) * np.log1p(squares / (nu * scale)).sum(axis=1)
    return np.append(heavy, gaussian)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationReport:
    """How stated and observed uncertainty compare on n labels that the model had not seen.

    Attributes:
        rmse: Root mean square residual, unit of the labels.
        coverage: Share of labels inside the central interval of each of `levels`, its stated probability.
        expected_calibration_error: Mean of abs(coverage - level) over levels 0.05, 0.10, ..., 0.95.
        z_counts: Number of z-scores, shape (k,), in the bins of `z_edges`, shape (k + 1,); those beyond are in the end bins.
        log_score: Mean log predictive density of a normal distribution of the stated standard deviation.
    """

    n: int
    rmse: float
    levels: tuple[float, ...]
    coverage: tuple[float, ...]
    expected_calibration_error: float
    z_edges: FloatArray
    z_counts: IntArray
    log_score: float


def coverage(z: FloatArray, levels: Sequence[float] | FloatArray, *, degrees_of_freedom: float = np.inf) -> FloatArray:
    """Share of z-scores (n,) inside the central interval of each level, shape of `levels`: the curve that says how honest."""
    tails = TailCalibration(degrees_of_freedom=degrees_of_freedom)
    return np.array([np.mean(np.abs(z) <= tails.half_width(float(level))) for level in levels])


def diagnose(
    residuals: npt.ArrayLike,
    std: npt.ArrayLike,
    *,
    degrees_of_freedom: float = np.inf,
    levels: tuple[float, ...] = LEVELS,
) -> CalibrationReport:
    """Compare residuals (label minus prediction, shape (n,)) with their stated standard deviations (n,).

    These are scales of a Student-t of so many `degrees_of_freedom`; infinity means Gaussian.
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
    off = coverage(z, _ERROR_LEVELS, degrees_of_freedom=degrees_of_freedom) - _ERROR_LEVELS
    counts, _ = np.histogram(np.clip(z, _EDGES[0], _EDGES[-1]), bins=_EDGES)
    return CalibrationReport(
        n=len(z),
        rmse=float(np.sqrt(np.mean(errors**2))),
        levels=levels,
        coverage=tuple(coverage(z, levels, degrees_of_freedom=degrees_of_freedom).tolist()),
        expected_calibration_error=float(np.mean(np.abs(off))),
        z_edges=_EDGES.copy(),
        z_counts=counts.astype(np.intp),
        log_score=float(np.mean(-0.5 * np.log(2.0 * np.pi * deviations**2) - 0.5 * z**2)),
    )


def normal_scores(z: npt.ArrayLike, *, degrees_of_freedom: float) -> FloatArray:
    """z-scores (n,) of a Student-t as those of a normal distribution at the same quantile, to pool models of different tails."""
    values = finite_vector(z, what="z")
    if not degrees_of_freedom > 0.0:
        raise InvalidSettingError(f"Expected positive degrees of freedom, found {degrees_of_freedom=}.")
    if np.isinf(degrees_of_freedom):
        return values
    return np.asarray(-np.sign(values) * scipy.special.ndtri(scipy.special.stdtr(degrees_of_freedom, -np.abs(values))))


def plot_calibration(
    reports: Mapping[str, CalibrationReport],
    axes: Axes | None = None,
    *,
    styles: Mapping[str, Mapping[str, Any]] | None = None,
) -> Axes:
    """Draw the share of labels inside the stated central interval of each probability; the diagonal is honest.

    Grey: where 95 % of the shares of a perfectly honest model would lie, for as many independent labels as each curve has.
    Reports are by label, of `diagnose` with the `levels` to draw; `styles` say how matplotlib draws the line of a label. A new
    figure has a legend, `axes` leave it to you.
    """
    if not reports:
        raise InvalidSettingError("Expected one or more reports to draw, found none.")
    from matplotlib.figure import Figure  # noqa: PLC0415  slow to import
    from scipy.stats import binom  # noqa: PLC0415  the same

    is_ours = axes is None
    axes = Figure(figsize=(5.0, 5.0), layout="constrained").add_subplot() if axes is None else axes
    refuse_no_axes(axes)
    levels = {report.n: np.array(report.levels) for report in reports.values()}
    for order, n in enumerate(sorted(levels)):
        low, high = (PERCENT * binom.ppf(p, n, levels[n]) / n for p in (0.025, 0.975))
        grey, label = f"{max(0.88 - 0.14 * order, 0.32):.2f}", f"honest model, 95 % range of {n} energies"
        axes.fill_between(PERCENT * levels[n], low, high, fc=grey, ec="0.5", lw=0.4, zorder=0.1 * order, label=label)
    axes.plot([0, 100], [0, 100], "-", color="black", lw=0.8, zorder=1, label="honest model, expected")
    for order, (label, report) in enumerate(reports.items()):
        style: dict[str, Any] = {"lw": 1.4, "zorder": 2 + order, **(styles or {}).get(label, {})}
        axes.plot(PERCENT * np.array(report.levels), PERCENT * np.array(report.coverage), label=label, **style)
    axes.set(xlim=(0, 100), ylim=(0, 100), aspect="equal")
    axes.set(xlabel="stated probability of the interval (%)", ylabel="energies inside (%)")
    if is_ours:
        axes.legend(frameon=False)
    return axes


def cap_height(height: npt.ArrayLike, cap: float) -> FloatArray:
    """Height c tanh(h / c): h where small, never more than the cap c, its order kept; h itself for an infinite cap.

    Heights (any shape) and c > 0 are in one unit, as eV/atom.

    >>> cap_height(np.array([0.0, 0.01, 3.0]), 0.15).round(4).tolist()
    [0.0, 0.01, 0.15]
    """
    if not is_kind(cap, float, int) or not cap > 0.0:
        raise InvalidSettingError(f"Expected a cap > 0 eV/atom (infinity for none), found {cap!r}.")
    heights = np.asarray(height)
    return np.asarray(heights if np.isinf(cap) else cap * np.tanh(heights / cap), dtype=np.float64)


def tune_cap(
    leave_out: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
    energies: npt.ArrayLike,
    heights: npt.ArrayLike,
    *,
    caps: Sequence[float] = (0.05, 0.1, 0.2, 0.4, np.inf),
) -> float:
    """The cap (eV/atom) under which the labels near the hull are predicted best from all others; for models outside a campaign.

    Caps are compared by the leave-one-out log density of the labels lower than the smallest cap, as energies: the density
    of the capped label times the slope 1 - tanh^2(h / c) of the cap there. `leave_out` fits on capped `energies` (n,) and
    gives leave-one-out means (n,) and standard deviations (n,); `heights` (n,) are those above the current hull.
    """
    if not caps:
        raise InvalidSettingError("Expected at least one cap, found none.")
    values, above = finite_vector(energies, what="energies"), finite_vector(heights, what="heights")
    if values.shape != above.shape:
        raise InvalidTrainingSetError(f"Expected one height per energy, found {above.shape} and {values.shape}.")
    is_low = above <= min(caps)
    if np.count_nonzero(is_low) < 3:
        raise InvalidTrainingSetError(
            f"Expected at least 3 labels within {min(caps)} eV/atom of the hull, found {np.count_nonzero(is_low)}."
        )

    def log_density(cap: float) -> float:
        labels = values - above + cap_height(above, cap)
        mean, std = leave_out(labels)
        slope, z = 1.0 - np.tanh(above[is_low] / cap) ** 2, (labels - mean)[is_low] / std[is_low]
        return float(np.mean(np.log(slope) - np.log(std[is_low]) - 0.5 * z**2))

    return max(caps, key=log_density)
