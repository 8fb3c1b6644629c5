"""`KernelModel`: kernel ridge regression that tunes itself and states its uncertainty, in scikit-learn's form.

It works on a feature matrix whose columns are split in named blocks, and knows nothing of structures, pools or hulls.

`clone`, `GridSearchCV`, `cross_val_score` and `Pipeline` need `get_params`, `set_params`, `fit`, `predict`, `score` and
the tags, which `Estimator` and `Regressor` give without scikit-learn: importing it would cost a second at start-up.

Source: Musil & Ceriotti, Chimia 73, 972 (2019), eqs. 13-15 and 19; Onat, Ortner & Kermode, J. Chem. Phys. 153, 144106
(2020), eqs. 34-36.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from hullscout.errors import InvalidSettingError, InvalidTrainingSetError
from hullscout.regression.arrays import (
    SINGLE,
    FloatArray,
    are_constant,
    finite_labels,
    finite_matrix,
    finite_vector,
    group_numbers,
    is_kind,
)
from hullscout.regression.covariance import Hyperparameters, Metric, self_separations, separations
from hullscout.regression.mixture import FittedMixture, MixturePosterior, fit_mixture
from hullscout.regression.tuning import CHOICES, ModelSettings


class NotFittedError(InvalidTrainingSetError, AttributeError):
    """A model was asked before it had learned."""


class Estimator:
    """Base of the estimators: parameters are the fields of a dataclass, checked in `fit`."""

    n_features_in_: int
    feature_names_in_: npt.NDArray[np.object_]

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        parameters = inspect.signature(cls).parameters
        return {name: parameters[name].default for name in sorted(parameters)}

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002, FBT001, FBT002 (scikit-learn's signature)
        """Parameters by name; no estimator here holds another one, so `deep` changes nothing."""
        return {name: getattr(self, name) for name in self._defaults()}

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name."""
        names = list(self._defaults())
        for name, value in params.items():
            if name not in names:
                raise InvalidSettingError(
                    f"Invalid parameter {name!r} for estimator {self!r}. Valid parameters are: {names!r}."
                )
            setattr(self, name, value)
        return self

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, RegressorTags, Tags, TargetTags, TransformerTags  # noqa: PLC0415 (slow)

        is_regressor = isinstance(self, Regressor)
        return Tags(
            estimator_type="regressor" if is_regressor else None,
            target_tags=TargetTags(required=is_regressor),
            regressor_tags=RegressorTags() if is_regressor else None,
            transformer_tags=None if is_regressor else TransformerTags(),
            input_tags=InputTags(),
        )

    def __repr__(self) -> str:
        values = ((name, getattr(self, name), default) for name, default in self._defaults().items())
        changed = ", ".join(f"{name}={value!r}" for name, value, default in values if value is not default)
        return f"{type(self).__name__}({changed})"

    def _learned_rows(self, X: npt.ArrayLike) -> FloatArray:
        """Rows to learn from; keeps how many columns there are, and what a table calls them."""
        rows, names = finite_matrix(X, what="X"), _column_names(X)
        self.n_features_in_ = rows.shape[1]
        if names is not None:
            self.feature_names_in_ = names
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        return rows

    def _new_rows(self, X: npt.ArrayLike) -> FloatArray:
        """Rows to predict at, checked against what was fitted."""
        if not hasattr(self, "n_features_in_"):
            raise NotFittedError(f"This {type(self).__name__} instance is not fitted yet. Call 'fit' first.")
        rows = finite_matrix(X, what="X")
        if rows.shape[1] != self.n_features_in_:
            raise InvalidTrainingSetError(
                f"X has {rows.shape[1]} features, but {type(self).__name__} is expecting {self.n_features_in_} features "
                "as input."
            )
        names, learned = _column_names(X), getattr(self, "feature_names_in_", None)
        if names is not None and learned is not None and not np.array_equal(names, learned):
            raise InvalidTrainingSetError(
                f"Expected the columns learned from, in their order, found {names.tolist()} instead of {learned.tolist()}."
                " Select them by name."
            )
        return rows


def _column_names(X: npt.ArrayLike) -> npt.NDArray[np.object_] | None:
    """Names of a table's columns if all are text, as in scikit-learn; None for arrays and lists."""
    columns = getattr(X, "columns", None)
    names = [] if columns is None else list(columns)
    return np.array(names, dtype=object) if names and all(isinstance(name, str) for name in names) else None


class Regressor(Estimator, ABC):
    """An estimator that predicts numbers."""

    @abstractmethod
    def predict(self, X: npt.ArrayLike) -> Any:
        """Predictions at the rows of X."""

    def _learned(self, X: npt.ArrayLike, y: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        rows = self._learned_rows(X)
        return rows, finite_labels(y, n_rows=len(rows))

    def score(self, X: npt.ArrayLike, y: npt.ArrayLike) -> float:
        """Coefficient of determination of the predictions, 1 at best; of finite labels that differ, one per row."""
        labels, predicted = finite_vector(y, what="y"), np.asarray(self.predict(X))
        if labels.shape != predicted.shape or are_constant(labels):
            raise InvalidTrainingSetError(
                f"Expected one label per row that are not all equal, found {len(labels)} labels for {len(predicted)} rows."
            )
        residuals = labels - predicted
        return float(1.0 - np.sum(residuals**2) / np.sum((labels - labels.mean()) ** 2))


def named_blocks(blocks: Mapping[str, slice] | None, *, n_columns: int) -> dict[str, slice]:
    """Columns of each feature block by name, checked; one block "all" if none are given."""
    if blocks is None:
        return {"all": slice(None)}
    if not is_kind(blocks, Mapping) or not blocks or not all(isinstance(part, slice) for part in blocks.values()):
        raise InvalidSettingError(f"Expected one or more slices of columns by block name, found {blocks!r}.")
    for block, columns in blocks.items():
        if max(columns.start or 0, columns.stop or 0) > n_columns:
            raise InvalidSettingError(
                f"Expected blocks within the {n_columns} columns of the features, found {columns} for block {block!r}. "
                "Use the slices of the representation that made these features."
            )
        if len(range(*columns.indices(n_columns))) == 0:
            raise InvalidSettingError(f"Expected columns for block {block!r}, found none in {columns} of {n_columns}.")
    return dict(blocks)


@dataclass(eq=False, repr=False)
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

    kernel: str = "matern52"
    _: KW_ONLY
    blocks: Mapping[str, slice] | None = None
    alternatives: Mapping[str, Mapping[str, slice]] | None = None
    combination: str = "sum"
    mean: str = "constant"
    composition: int | None = None
    criterion: str = "marginal-likelihood"
    suspicion: float = 6.0
    uncertainty: str = "label"
    n_averaged: int = 4
    max_kernels: int = 60
    hyperparameters: Hyperparameters | None = None

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike, groups: npt.ArrayLike | None = None) -> Self:
        """Tune on features X (n, d) and labels y (n,).

        Labels with the same number or name in `groups` (n,) are left out together. Coinciding rows are grouped anyway.

        Raises:
            InvalidSettingError: A parameter that is not allowed.
            InvalidTrainingSetError: Labels or features that cannot be learned from.
        """
        settings = self._settings()
        rows, labels = self._learned(X, y)
        self._columns = self._checked_blocks()
        self._mean = settings.mean
        self._metric = (settings if self.hyperparameters is None else self.hyperparameters.kernel).shape.metric
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
        self.loo_mean_, self.loo_std_ = self.fitted_.loo_mean, self.fitted_.loo_std
        self.suspects_ = self.fitted_.suspects
        self.loo_rmse_ = float(np.sqrt(np.mean((labels - self.loo_mean_) ** 2)))
        return self

    def predict(
        self, X: npt.ArrayLike, *, return_std: bool = False, return_cov: bool = False
    ) -> FloatArray | tuple[FloatArray, FloatArray]:
        """Predictive mean (q,) at features (q, d), with the std (q,) or joint covariance (q, q) of what `uncertainty` says."""
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
        names = {"shape": "kernel"}
        try:
            given: dict[str, Any] = {name: kind(getattr(self, names.get(name, name))) for name, kind in CHOICES.items()}
            given |= {name: getattr(self, name) for name in ("suspicion", "n_averaged", "max_kernels")}
            return ModelSettings(**given)
        except ValueError as error:
            raise InvalidSettingError(f"Expected a known setting in {self!r}: {error}") from error

    def _checked_blocks(self) -> dict[str, dict[str, slice]]:
        parts = {SINGLE: self.blocks, **(self.alternatives or {})}
        named = {name: named_blocks(part, n_columns=self.n_features_in_) for name, part in parts.items()}
        blocks = list(named[SINGLE])
        for name, representation in named.items():
            if set(representation) != set(blocks):
                raise InvalidSettingError(f"Expected the blocks {blocks} in {name!r}, found {list(representation)}.")
        if self.hyperparameters is not None:
            if not isinstance(self.hyperparameters, Hyperparameters):
                raise InvalidSettingError(f"Expected Hyperparameters or None, found {self.hyperparameters=}.")
            asked = [term.block for term in self.hyperparameters.kernel.terms]
            if not set(asked) <= set(blocks) or self.hyperparameters.representation not in named:
                raise InvalidSettingError(
                    f"Expected hyperparameters of {blocks} in one of {list(named)}, found {asked} in "
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
