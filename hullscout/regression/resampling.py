"""Models trained again and again: ensembles and learning curves on random parts of the labels, and caps compared.

A cap bounds the height of labels above the current hull: what lies far above it says nothing about the hull, yet a few
structures at several eV/atom would set the model's scale. Hulls are not known here: heights come in as arrays.

Source: Musil & Ceriotti, Chimia 73, 972 (2019), eq. 21 for the ensemble and figure 2 for learning curves (random subsets
of each size, error on what is left out, log-log axes). The factor that turns spread into a standard deviation comes from
labels that a submodel has not seen, as in Musil et al., J. Chem. Theory Comput. 15, 906 (2019).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from hullscout.errors import InvalidSettingError, InvalidTrainingSetError
from hullscout.regression.arrays import (
    MIN_LABELS,
    BoolArray,
    FloatArray,
    IntArray,
    finite_labels,
    finite_matrix,
    finite_vector,
    group_numbers,
    is_kind,
    refuse_no_count,
)
from hullscout.regression.calibration import TailCalibration, calibrate
from hullscout.regression.model import KernelModel, Regressor
from hullscout.regression.tuning import ModelSettings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Predictor = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]
"""(X of the labels, y, X of the rest) -> predictions at the rest."""


@dataclass(eq=False, repr=False)
class ResamplingEnsemble(Regressor):
    """Submodels with the hyperparameters of one tuned model, each conditioned on a random subset of the labels.

    For those who want a spread that assumes no Gaussian process; no command uses it.

    Args:
        kernel: Kernel shape, as in `KernelModel`.
        blocks: Columns of each feature block by name.
        n_models: Number of submodels, at least 2.
        fraction: Share of the labels (of the groups, if there are some) in each subset, between 0 and 1.
        seed: Of the subsets.
        suspicion: As in `KernelModel`.

    Attributes:
        models_: The submodels.
        calibration_: Factor on the spread and weight of the tails.
        suspects_: Indices of the labels that the others contradict; they are in no subset.
    """

    kernel: str = "matern52"
    _: KW_ONLY
    blocks: Mapping[str, slice] | None = None
    n_models: int = 16
    fraction: float = 0.5
    seed: int = 0
    suspicion: float = 6.0

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike, groups: npt.ArrayLike | None = None) -> Self:
        """Tune once on features X (n, d) and labels y (n,), then condition every submodel on its subset.

        Labels with the same number in `groups` (n,) are in or out of a subset together.

        Raises:
            InvalidSettingError: A parameter that is not allowed.
            InvalidTrainingSetError: Labels that cannot be learned from, or too few for the subsets.
        """
        refuse_no_count(2, n_models=self.n_models)
        refuse_no_count(0, seed=self.seed)
        if not 0.0 < self.fraction < 1.0:
            raise InvalidSettingError(f"Expected a fraction between 0 and 1, found {self.fraction=}.")
        rows = self._learned_rows(X)
        labels = finite_labels(y, n_rows=len(rows))
        tuned = KernelModel(self.kernel, blocks=self.blocks, n_averaged=1, suspicion=self.suspicion)
        tuned.fit(rows, labels, groups)
        grouping = tuned.fitted_.grouping
        given = group_numbers(groups)
        is_suspect = np.isin(np.arange(len(labels)), tuned.suspects_)
        is_in = self._subsets(grouping.merged_to if given is None else given) & ~is_suspect
        smallest = int(is_in.sum(axis=1).min())
        if smallest < MIN_LABELS:
            raise InvalidTrainingSetError(
                f"Expected subsets of at least {MIN_LABELS} labels, found {smallest}: raise {self.fraction=} or label more."
            )
        self.models_ = [
            KernelModel(self.kernel, blocks=self.blocks, hyperparameters=tuned.hyperparameters_, suspicion=np.inf).fit(
                rows[chosen], labels[chosen]
            )
            for chosen in is_in
        ]
        self.suspects_ = tuned.suspects_
        once = grouping.kept
        z, is_tested = self._unseen_z(rows[once], labels[once], is_in[:, once])
        self.calibration_: TailCalibration = calibrate(
            z,
            n_tuned=ModelSettings().n_tuned(1 if self.blocks is None else len(self.blocks)),
            is_suspect=is_suspect[once][is_tested],
        )
        return self

    def predict(self, X: npt.ArrayLike, *, return_std: bool = False) -> FloatArray | tuple[FloatArray, FloatArray]:
        """Mean over the submodels, with their calibrated spread (both of shape (q,))."""
        predictions = self._predictions(self._new_rows(X))
        mean: FloatArray = predictions.mean(axis=0)
        if not return_std:
            return mean
        return mean, np.asarray(self.calibration_.scale * predictions.std(axis=0, ddof=1))

    def _predictions(self, rows: FloatArray) -> FloatArray:
        return np.stack([np.asarray(model.predict(rows)) for model in self.models_])

    def _subsets(self, sets: IntArray) -> BoolArray:
        n_sets = int(sets.max()) + 1
        n_in = max(round(self.fraction * n_sets), 1)
        rng = np.random.default_rng([self.seed, n_sets])
        chosen = [rng.permutation(n_sets)[:n_in] for _ in range(self.n_models)]
        return np.stack([np.isin(sets, part) for part in chosen])

    def _unseen_z(self, rows: FloatArray, labels: FloatArray, is_in: BoolArray) -> tuple[FloatArray, BoolArray]:
        """z-score of each label that two or more submodels have not seen, from these; and which labels those are."""
        predictions = np.where(is_in, np.nan, self._predictions(rows))
        is_tested = np.sum(~is_in, axis=0) >= 2
        if not np.any(is_tested):
            remedy = f"raise {self.n_models=} or lower {self.fraction=}"
            raise InvalidTrainingSetError(f"Expected labels unseen by two submodels, found none: {remedy}.")
        unseen = predictions[:, is_tested]
        spread = np.maximum(np.nanstd(unseen, axis=0, ddof=1), 1e-12 * np.std(labels))
        return np.asarray((labels[is_tested] - np.nanmean(unseen, axis=0)) / spread), is_tested


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
    """Train on nested random subsets of features X (n, d) and labels y (n,), and test on what is left.

    Args:
        predict: Trains on (X, y) and predicts at new X; `lambda X, y, Q: KernelModel().fit(X, y).predict(Q)`.
        X: What is learned from and tested on.
        y: The same.
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
    for count in (*sizes, n_repeats):
        refuse_no_count(count=count)
    refuse_no_count(0, seed=seed)
    errors = np.empty((len(rising), n_repeats))
    for repeat in range(n_repeats):
        order = np.random.default_rng([seed, repeat]).permutation(len(rows))
        for place, size in enumerate(rising):
            known, held_out = order[:size], order[size:]
            what, n = f"predictions of {label!r}", len(held_out)
            predicted = finite_vector(predict(rows[known], labels[known], rows[held_out]), what=f"the {what}")
            if len(predicted) != n:
                raise InvalidTrainingSetError(f"Expected {n} {what}, found {len(predicted)}. Return means only.")
            errors[place, repeat] = np.sqrt(np.mean((labels[held_out] - predicted) ** 2))
    return LearningCurve(label=label, sizes=rising, errors=errors)


def plot_learning_curves(curves: Sequence[LearningCurve], axes: Axes | None = None, *, unit: str = "eV/atom") -> Axes:
    """Draw mean errors with one standard deviation over repeats on log-log axes, those given or of a new figure.

    Raises:
        InvalidSettingError: No curves.
    """
    if not curves:
        raise InvalidSettingError("Expected one or more learning curves to draw, found none.")
    from matplotlib.figure import Figure  # noqa: PLC0415  slow to import
    from matplotlib.ticker import LogLocator  # noqa: PLC0415  the same

    axes = Figure(figsize=(6.5, 4.0), layout="constrained").add_subplot() if axes is None else axes
    style: dict[str, Any] = {"marker": "o", "markersize": 3.5, "linewidth": 1.2, "elinewidth": 0.8, "capsize": 2}
    for curve in curves:
        spread, label = np.minimum(curve.std, 0.9 * curve.mean), f"{curve.label} (n$^{{{curve.exponent:.2f}}}$)"
        axes.errorbar(curve.sizes, curve.mean, yerr=spread, label=label, **style)
    axes.set(xscale="log", yscale="log", xlabel="training structures", ylabel=f"RMSE ({unit})")
    sizes = sorted({int(size) for curve in curves for size in curve.sizes})
    axes.set_xticks(sizes, labels=[str(size) for size in sizes])
    axes.set_xticks([], minor=True)
    axes.yaxis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))
    for which in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        which("{x:g}")
    axes.legend(frameon=False, loc="lower left")
    return axes


def cap_height(height: npt.ArrayLike, cap: float) -> FloatArray:
    """Height c tanh(h / c): h where small, never more than the cap c, its order kept; h itself for an infinite cap.

    Heights (any shape) and c > 0 are in one unit, as eV/atom.

    Raises:
        InvalidSettingError: A cap that is no number above 0.

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
    """The cap under which the labels near the hull are predicted best from all others; for models outside a campaign.

    Caps are compared by the leave-one-out log density of the labels lower than the smallest cap, as energies: the density
    of the capped label times the slope 1 - tanh^2(h / c) of the cap there.

    Args:
        leave_out: Fits on capped energies, gives leave-one-out means and standard deviations, each of shape (n,).
        energies: Formation energies, eV/atom, shape (n,).
        heights: Their heights above the current hull.
        caps: Caps to choose from, eV/atom.

    Raises:
        InvalidSettingError: No caps, or one that is not above 0.
        InvalidTrainingSetError: Different lengths, not finite, or fewer than three labels below the smallest cap.
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
        slope = 1.0 - np.tanh(above[is_low] / cap) ** 2
        z = (labels - mean)[is_low] / std[is_low]
        return float(np.mean(np.log(slope) - np.log(std[is_low]) - 0.5 * z**2))

    return max(caps, key=log_density)
