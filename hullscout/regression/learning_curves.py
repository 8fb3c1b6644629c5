"""Error against training size: how fast a model learns, with the spread over repeats.

Source: Musil & Ceriotti, Chimia 73, 972 (2019), figure 2: random subsets of each size, error on what is left out,
log-log axes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import InvalidSettingError, InvalidTrainingSetError
from hullscout.regression.arrays import (
    FloatArray,
    IntArray,
    finite_labels,
    finite_matrix,
    finite_vector,
    refuse_no_count,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt
    from matplotlib.axes import Axes

    Predictor = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]
    """(X of the labels, y, X of the rest) -> predictions at the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """Errors at several training sizes.

    Attributes:
        label: What was trained, for the legend.
        sizes: Training sizes, rising, shape (k,).
        errors: RMSE on the held-out structures, unit of the labels, shape (k, n_repeats).
    """

    label: str
    sizes: IntArray
    errors: FloatArray

    @property
    def mean(self) -> FloatArray:
        """Mean error at each size, shape (k,)."""
        return np.asarray(self.errors.mean(axis=1))

    @property
    def std(self) -> FloatArray:
        """Standard deviation over the repeats, shape (k,)."""
        return np.asarray(self.errors.std(axis=1))

    @property
    def exponent(self) -> float:
        """Slope of ln(mean error) against ln(size): -0.5 means that four times the labels halve the error; NaN if one is zero."""
        if not np.all(self.mean > 0.0):
            return float("nan")
        return float(np.polyfit(np.log(self.sizes), np.log(self.mean), 1)[0])


def learning_curve(
    predict: Predictor,
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    sizes: Sequence[int],
    n_repeats: int = 5,
    seed: int = 0,
    label: str = "model",
) -> LearningCurve:
    """Train on nested random subsets and test on what is left.

    Args:
        predict: Trains on (X, y) and predicts at new X; `lambda X, y, Q: KernelModel().fit(X, y).predict(Q)`.
        X: Features, shape (n, d).
        y: Labels, shape (n,).
        sizes: Training sizes, each smaller than n.
        n_repeats: Number of random orders.
        seed: Of the orders.
        label: What is trained, for the legend.

    Raises:
        InvalidSettingError: Fewer than two sizes, a size that leaves nothing to test on, or no repeats.
    """
    rows = finite_matrix(X, what="X")
    labels = finite_labels(y, n_rows=len(rows))
    rising = np.array(sorted(set(sizes)), dtype=np.intp)
    if len(rising) < 2 or rising[0] < 1 or rising[-1] >= len(rows) or n_repeats < 1:
        raise InvalidSettingError(
            f"Expected two or more sizes from 1 to {len(rows) - 1} and a repeat, found {list(sizes)} and {n_repeats=}."
        )
    for size in sizes:
        refuse_no_count(size=size)
    refuse_no_count(n_repeats=n_repeats)
    refuse_no_count(0, seed=seed)
    errors = np.empty((len(rising), n_repeats))
    for repeat in range(n_repeats):
        order = np.random.default_rng([seed, repeat]).permutation(len(rows))
        for place, size in enumerate(rising):
            known, held_out = order[:size], order[size:]
            predicted = finite_vector(
                predict(rows[known], labels[known], rows[held_out]), what=f"the predictions of {label!r}"
            )
            if len(predicted) != len(held_out):
                raise InvalidTrainingSetError(
                    f"Expected {len(held_out)} predictions of {label!r}, found {len(predicted)}. Return means only."
                )
            errors[place, repeat] = np.sqrt(np.mean((labels[held_out] - predicted) ** 2))
    return LearningCurve(label=label, sizes=rising, errors=errors)


def plot_learning_curves(curves: Sequence[LearningCurve], axes: Axes | None = None, *, unit: str = "eV/atom") -> Axes:
    """Mean error with one standard deviation over repeats, on log-log axes.

    Args:
        curves: One line each.
        axes: Where to draw; a new figure if not given.
        unit: Of the labels.

    Returns:
        The axes drawn on.

    Raises:
        InvalidSettingError: No curves.
    """
    if not curves:
        raise InvalidSettingError("Expected one or more learning curves to draw, found none.")
    from matplotlib.ticker import LogLocator  # noqa: PLC0415 (late: slow to import)

    if axes is None:
        from matplotlib.figure import Figure  # noqa: PLC0415 (late: slow to import)

        axes = Figure(figsize=(6.5, 4.0), layout="constrained").add_subplot()
    for curve in curves:
        axes.errorbar(
            curve.sizes,
            curve.mean,
            yerr=np.minimum(curve.std, 0.9 * curve.mean),
            marker="o",
            markersize=3.5,
            linewidth=1.2,
            elinewidth=0.8,
            capsize=2,
            label=f"{curve.label} (n$^{{{curve.exponent:.2f}}}$)",
        )
    axes.set(xscale="log", yscale="log", xlabel="training structures", ylabel=f"RMSE ({unit})")
    sizes = sorted({int(size) for curve in curves for size in curve.sizes})
    axes.set_xticks(sizes, labels=[str(size) for size in sizes])
    axes.set_xticks([], minor=True)
    axes.yaxis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))
    for which in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        which("{x:g}")
    axes.legend(frameon=False, loc="lower left")
    return axes
