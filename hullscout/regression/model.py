"""`KernelModel`: kernel ridge regression that tunes itself and states its uncertainty, in scikit-learn's form.

Its mean is that of a Gaussian process, so it gives joint covariances too. It works on a feature matrix whose columns
are split in named blocks, and knows nothing of structures, pools or hulls.

Source: Musil & Ceriotti, Chimia 73, 972 (2019), eqs. 13-15 and 19; Onat, Ortner & Kermode, J. Chem. Phys. 153, 144106
(2020), eqs. 34-36.
"""

from collections.abc import Mapping
from typing import Self

import numpy as np
import numpy.typing as npt

from hullscout.errors import InvalidSettingError
from hullscout.regression.arrays import FloatArray, finite_labels, finite_matrix, group_numbers, is_kind
from hullscout.regression.covariance import Combination, KernelShape, Metric
from hullscout.regression.estimator import Regressor
from hullscout.regression.mixture import FittedMixture, fit_mixture
from hullscout.regression.posterior import MixturePosterior
from hullscout.regression.separations import self_separations, separations
from hullscout.regression.settings import SINGLE, Criterion, Hyperparameters, Mean, ModelSettings, Uncertainty


def refuse_no_blocks(blocks: Mapping[str, slice] | None) -> None:
    """Check that blocks are slices by name.

    Raises:
        InvalidSettingError: They are not.
    """
    if blocks is None:
        return
    if not is_kind(blocks, Mapping) or not blocks or not all(isinstance(part, slice) for part in blocks.values()):
        raise InvalidSettingError(f"Expected one or more slices of columns by block name, found {blocks!r}.")


def refuse_empty_blocks(blocks: Mapping[str, slice], *, n_columns: int) -> None:
    """Check that every block has columns, and none beyond the last.

    Raises:
        InvalidSettingError: One has none, or more than there are.
    """
    for block, columns in blocks.items():
        if max(columns.start or 0, columns.stop or 0) > n_columns:
            raise InvalidSettingError(
                f"Expected blocks within the {n_columns} columns of the features, found {columns} for block {block!r}. "
                "Use the slices of the representation that made these features."
            )
        if len(range(*columns.indices(n_columns))) == 0:
            raise InvalidSettingError(f"Expected columns for block {block!r}, found none in {columns} of {n_columns}.")


class KernelModel(Regressor):
    """Gaussian process regression on feature blocks, tuned in closed form: by marginal likelihood or leave-one-out.

    Args:
        kernel: "gaussian", "laplacian", "matern32", "matern52" or "linear".
        blocks: Columns of each feature block by name; one block "all" if not given.
        alternatives: Further sets of the same blocks by name (for example other MBTR broadenings, side by side in X);
            tuning chooses among them and `blocks`, which is called "features".
        combination: "sum" of one kernel per block, or one kernel of the "joint" separation.
        mean: "zero", "constant", "linear" or "quadratic" (the last two in composition).
        composition: Column of X that holds the composition; it enters the mean, and a block only if a block names it.
        criterion: "marginal-likelihood", or leave-one-out "log-score" or "rmse".
        suspicion: Robust standard deviations from which on a label is distrusted; infinity trusts every label.
        uncertainty: Standard deviations and covariances of a "label" (noise included, calibrated) or of the "function"
            as the model states it.
        n_averaged: Largest number of settings averaged over; 1 picks the best.
        max_kernels: Budget of kernel matrices in the search.
        hyperparameters: Use this setting and search nothing.

    Attributes:
        hyperparameters_: The heaviest setting.
        loo_mean_: Prediction of each label from the labels outside its group, shape (n,).
        loo_std_: Calibrated standard deviation of that prediction, shape (n,).
        loo_rmse_: Root mean square of label minus `loo_mean_`.
        suspects_: Indices of the labels that the others contradict.
        fitted_: Components, calibration, every setting tried.
        n_features_in_: Number of columns of X.

    >>> rng = np.random.default_rng(0)
    >>> X = rng.random((40, 3))
    >>> model = KernelModel(blocks={"pairs": slice(0, 2), "triples": slice(2, 3)}).fit(X, X[:, 0] ** 2 + X[:, 2])
    >>> mean, std = model.predict(X[:5], return_std=True)
    >>> mean.shape, std.shape, model.loo_rmse_ < 0.05
    ((5,), (5,), True)
    """

    def __init__(
        self,
        kernel: str = "matern52",
        *,
        blocks: Mapping[str, slice] | None = None,
        alternatives: Mapping[str, Mapping[str, slice]] | None = None,
        combination: str = "sum",
        mean: str = "constant",
        composition: int | None = None,
        criterion: str = "marginal-likelihood",
        suspicion: float = 6.0,
        uncertainty: str = "label",
        n_averaged: int = 4,
        max_kernels: int = 60,
        hyperparameters: Hyperparameters | None = None,
    ) -> None:
        self.kernel = kernel
        self.blocks = blocks
        self.alternatives = alternatives
        self.combination = combination
        self.mean = mean
        self.composition = composition
        self.criterion = criterion
        self.suspicion = suspicion
        self.uncertainty = uncertainty
        self.n_averaged = n_averaged
        self.max_kernels = max_kernels
        self.hyperparameters = hyperparameters

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike, groups: npt.ArrayLike | None = None) -> Self:
        """Tune on labels.

        Args:
            X: Features, shape (n, d).
            y: Labels, shape (n,).
            groups: A number per label; equal numbers are left out together. Coinciding rows are grouped anyway.

        Raises:
            InvalidSettingError: A parameter that is not allowed.
            InvalidTrainingSetError: Labels or features that cannot be learned from.
        """
        settings = self._settings()
        rows = finite_matrix(X, what="X")
        labels = finite_labels(y, n_rows=len(rows))
        self._remember_columns(X, rows)
        self._columns = self._checked_blocks()
        self._mean = settings.mean
        self._metric = (
            settings.shape.metric if self.hyperparameters is None else self.hyperparameters.kernel.shape.metric
        )
        self._centre = np.zeros(rows.shape[1]) if self._metric is Metric.DOT else rows.mean(axis=0)
        self._rows = rows
        self.fitted_: FittedMixture = fit_mixture(
            self._separations(rows, rows),
            self._basis(rows),
            labels,
            settings=settings,
            groups=group_numbers(groups),
            hyperparameters=self.hyperparameters,
        )
        self.hyperparameters_ = self.fitted_.components[0].hyperparameters
        self.loo_mean_ = self.fitted_.loo_mean
        self.loo_std_ = self.fitted_.loo_std
        self.suspects_ = self.fitted_.suspects
        self.loo_rmse_ = float(np.sqrt(np.mean((labels - self.loo_mean_) ** 2)))
        return self

    def predict(
        self, X: npt.ArrayLike, *, return_std: bool = False, return_cov: bool = False
    ) -> FloatArray | tuple[FloatArray, FloatArray]:
        """Predictive mean, with the standard deviation or joint covariance of what `uncertainty` says.

        Args:
            X: Features, shape (q, d).
            return_std: Also give standard deviations, shape (q,).
            return_cov: Also give the covariance, shape (q, q).

        Raises:
            InvalidSettingError: Both asked for at once.
        """
        if return_std and return_cov:
            raise InvalidSettingError("Expected one of return_std and return_cov, found both.")
        rows = self._new_rows(X)
        if return_cov:
            posterior = self.posterior(rows)
            return posterior.mean, posterior.covariance
        own = {
            name: {block: self_separations(rows[:, part], metric=self._metric) for block, part in blocks.items()}
            for name, blocks in self._columns.items()
        }
        mean, std = self.fitted_.predict(self._separations(self._rows, rows), own, self._basis(rows))
        return (mean, std) if return_std else mean

    def posterior(self, X: npt.ArrayLike) -> MixturePosterior:
        """Joint posterior of the labels at the rows of X, as a mixture over settings with calibrated tails."""
        rows = self._new_rows(X)
        cross, among = self._separations(self._rows, rows), self._separations(rows, rows)
        return self.fitted_.posterior(cross, among, self._basis(rows))

    def _settings(self) -> ModelSettings:
        try:
            return ModelSettings(
                shape=KernelShape(self.kernel),
                combination=Combination(self.combination),
                mean=Mean(self.mean),
                criterion=Criterion(self.criterion),
                suspicion=self.suspicion,
                uncertainty=Uncertainty(self.uncertainty),
                n_averaged=self.n_averaged,
                max_kernels=self.max_kernels,
            )
        except ValueError as error:
            raise InvalidSettingError(f"Expected a known setting in {self!r}: {error}") from error

    def _checked_blocks(self) -> dict[str, dict[str, slice]]:
        refuse_no_blocks(self.blocks)
        for other in (self.alternatives or {}).values():
            refuse_no_blocks(other)
        blocks = {"all": slice(None)} if self.blocks is None else dict(self.blocks)
        named = {SINGLE: blocks, **{name: dict(other) for name, other in (self.alternatives or {}).items()}}
        for name, representation in named.items():
            if set(representation) != set(blocks):
                raise InvalidSettingError(
                    f"Expected the blocks {list(blocks)} in {name!r}, found {list(representation)}."
                )
            refuse_empty_blocks(representation, n_columns=self.n_features_in_)
        if self.hyperparameters is not None:
            if not isinstance(self.hyperparameters, Hyperparameters):
                raise InvalidSettingError(f"Expected Hyperparameters or None, found {self.hyperparameters=}.")
            asked = [term.block for term in self.hyperparameters.kernel.terms]
            if not set(asked) <= set(blocks) or self.hyperparameters.representation not in named:
                raise InvalidSettingError(
                    f"Expected hyperparameters of {list(blocks)} in one of {list(named)}, found {asked} in "
                    f"{self.hyperparameters.representation!r}."
                )
        if self.composition is not None and not (
            is_kind(self.composition, int, np.integer) and 0 <= self.composition < self.n_features_in_
        ):
            raise InvalidSettingError(f"Expected a column 0 to {self.n_features_in_ - 1}, found {self.composition=}.")
        return named

    def _basis(self, rows: FloatArray) -> FloatArray:
        return self._mean.basis(len(rows), None if self.composition is None else rows[:, self.composition])

    def _separations(self, rows: FloatArray, columns: FloatArray) -> dict[str, dict[str, FloatArray]]:
        left, right = rows - self._centre, columns - self._centre
        return {
            name: {
                block: separations(left[:, part], right[:, part], metric=self._metric) for block, part in blocks.items()
            }
            for name, blocks in self._columns.items()
        }
