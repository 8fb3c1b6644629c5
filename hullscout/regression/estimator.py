"""scikit-learn's conventions for regressors and transformers, without importing scikit-learn.

`clone`, `GridSearchCV`, `cross_val_score` and `Pipeline` need `get_params`, `set_params`, `fit`, `predict`, `score` and
the tags; importing scikit-learn for them would cost a second at start-up. It is imported only when it asks for the
tags.
"""

import inspect
from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from hullscout.errors import InvalidSettingError, InvalidTrainingSetError
from hullscout.regression.arrays import FloatArray, are_constant, finite_matrix, finite_vector


class NotFittedError(InvalidTrainingSetError, AttributeError):
    """A model was asked before it had learned."""


class Estimator:
    """Base of the estimators: parameters are the arguments of `__init__`, kept under their names, checked in `fit`."""

    n_features_in_: int
    feature_names_in_: npt.NDArray[np.object_]

    @classmethod
    def _parameter_names(cls) -> list[str]:
        return sorted(name for name in inspect.signature(cls.__init__).parameters if name != "self")

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002, FBT001, FBT002 (scikit-learn's signature)
        """Parameters by name; no estimator here holds another one, so `deep` changes nothing."""
        return {name: getattr(self, name) for name in self._parameter_names()}

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name.

        Raises:
            InvalidSettingError: A name that is no parameter.
        """
        names = self._parameter_names()
        for name, value in params.items():
            if name not in names:
                raise InvalidSettingError(
                    f"Invalid parameter {name!r} for estimator {self!r}. Valid parameters are: {names!r}."
                )
            setattr(self, name, value)
        return self

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags  # noqa: PLC0415 (slow)

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(),
            input_tags=InputTags(),
        )

    def __repr__(self) -> str:
        defaults = {name: p.default for name, p in inspect.signature(type(self).__init__).parameters.items()}
        changed = (
            f"{name}={value!r}" for name, value in self.get_params(deep=False).items() if value is not defaults[name]
        )
        return f"{type(self).__name__}({', '.join(changed)})"

    def _remember_columns(self, X: npt.ArrayLike, rows: FloatArray) -> None:
        """Keep how many columns a model learns from, and what a table calls them."""
        self.n_features_in_ = rows.shape[1]
        names = _column_names(X)
        if names is not None:
            self.feature_names_in_ = names
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _new_rows(self, X: npt.ArrayLike) -> FloatArray:
        """Rows to predict at, checked against what was fitted.

        Raises:
            InvalidTrainingSetError: Not fitted, another number of features than in fit, or a table with other columns.
        """
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

    def score(self, X: npt.ArrayLike, y: npt.ArrayLike) -> float:
        """Coefficient of determination of the predictions, 1 at best.

        Raises:
            InvalidTrainingSetError: Labels of another length than X, not finite, or constant.
        """
        labels, predicted = finite_vector(y, what="y"), np.asarray(self.predict(X))
        if labels.shape != predicted.shape or are_constant(labels):
            raise InvalidTrainingSetError(
                f"Expected one label per row that are not all equal, found {len(labels)} labels for {len(predicted)} rows."
            )
        residuals = labels - predicted
        return float(1.0 - np.sum(residuals**2) / np.sum((labels - labels.mean()) ** 2))

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, RegressorTags, Tags, TargetTags  # noqa: PLC0415 (slow)

        return Tags(
            estimator_type="regressor",
            target_tags=TargetTags(required=True),
            regressor_tags=RegressorTags(),
            input_tags=InputTags(),
        )
