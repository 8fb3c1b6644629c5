"""Models trained again and again on random parts of the labels: the spread of an ensemble, and learning curves.

Source: Musil & Ceriotti, Chimia 73, 972 (2019), eq. 21 for the ensemble and figure 2 for learning curves (random subsets
of each size, error on what is left out, log-log axes). The factor that turns spread into a standard deviation comes from
labels that a submodel has not seen, as in Musil et al., J. Chem. Theory Comput. 15, 906 (2019).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from hullscout.display import refuse_no_axes
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
    refuse_no_count,
)
from hullscout.regression.calibration import calibrate
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
        kernel, blocks, suspicion: As in `KernelModel`.
        n_models: Number of submodels, at least 2.
        fraction: Share of the labels (of the groups, if there are some) in each subset, between 0 and 1.

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
        """
        refuse_no_count(2, n_models=self.n_models)
        refuse_no_count(0, seed=self.seed)
        if not 0.0 < self.fraction < 1.0:
            raise InvalidSettingError(f"Expected a fraction between 0 and 1, found {self.fraction=}.")
        rows, labels = self._learned(X, y)
        tuned = KernelModel(self.kernel, blocks=self.blocks, n_averaged=1, suspicion=self.suspicion)
        grouping, numbers = tuned.fit(rows, labels, groups).fitted_.grouping, group_numbers(groups)
        is_suspect = np.isin(np.arange(len(labels)), tuned.suspects_)
        is_in = self._subsets(grouping.merged_to if numbers is None else numbers) & ~is_suspect
        smallest = int(is_in.sum(axis=1).min())
        if smallest < MIN_LABELS:
            raise InvalidTrainingSetError(
                f"Expected subsets of at least {MIN_LABELS} labels, found {smallest}: raise {self.fraction=} or label more."
            )
        trusting = replace(tuned, hyperparameters=tuned.hyperparameters_, suspicion=np.inf)
        self.models_ = [replace(trusting).fit(rows[part], labels[part]) for part in is_in]
        self.suspects_, once = tuned.suspects_, grouping.kept
        z, is_tested = self._unseen_z(rows[once], labels[once], is_in[:, once])
        n_tuned = ModelSettings().n_tuned(1 if self.blocks is None else len(self.blocks))
        self.calibration_ = calibrate(z, n_tuned=n_tuned, is_suspect=is_suspect[once][is_tested])
        return self

    def predict(self, X: npt.ArrayLike, *, return_std: bool = False) -> FloatArray | tuple[FloatArray, FloatArray]:
        """Mean over the submodels, with their calibrated spread (both of shape (q,))."""
        predictions = self._predictions(self._new_rows(X))
        mean, spread = np.asarray(predictions.mean(axis=0)), np.asarray(predictions.std(axis=0, ddof=1))
        return (mean, self.calibration_.scale * spread) if return_std else mean

    def _predictions(self, rows: FloatArray) -> FloatArray:
        return np.stack([np.asarray(model.predict(rows)) for model in self.models_])

    def _subsets(self, sets: IntArray) -> BoolArray:
        """Whether each label, of a numbered set (n,), is in the subset of each submodel: (n_models, n)."""
        n_sets = int(sets.max()) + 1
        n_in, rng = max(round(self.fraction * n_sets), 1), np.random.default_rng([self.seed, n_sets])
        return np.stack([np.isin(sets, rng.permutation(n_sets)[:n_in]) for _ in range(self.n_models)])

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
    """RMSE on held-out structures, unit of the labels, shape (k, n_repeats), at training sizes, rising, shape (k,)."""

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

    `predict` trains on (X, y) and predicts at new X: `lambda X, y, Q: KernelModel().fit(X, y).predict(Q)`. There are two or
    more sizes, each smaller than n; `n_repeats` random orders, drawn with `seed`; `label` is what the legend says.
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
    for repeat, (place, size) in product(range(n_repeats), enumerate(rising)):
        order = np.random.default_rng([seed, repeat]).permutation(len(rows))
        known, held_out = order[:size], order[size:]
        what, n = f"predictions of {label!r}", len(held_out)
        predicted = finite_vector(predict(rows[known], labels[known], rows[held_out]), what=f"the {what}")
        if len(predicted) != n:
            raise InvalidTrainingSetError(f"Expected {n} {what}, found {len(predicted)}. Return means only.")
        errors[place, repeat] = np.sqrt(np.mean((labels[held_out] - predicted) ** 2))
    return LearningCurve(label=label, sizes=rising, errors=errors)


def plot_learning_curves(curves: Sequence[LearningCurve], axes: Axes | None = None, *, unit: str = "eV/atom") -> Axes:
    """Draw mean errors with one standard deviation over repeats on log-log axes, those given or of a new figure."""
    if not curves:
        raise InvalidSettingError("Expected one or more learning curves to draw, found none.")
    from matplotlib.figure import Figure  # noqa: PLC0415  slow to import
    from matplotlib.ticker import LogLocator  # noqa: PLC0415  the same

    axes = Figure(figsize=(6.5, 4.0), layout="constrained").add_subplot() if axes is None else axes
    refuse_no_axes(axes)
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
