"""Uncertainty from resampling: the spread of models trained on different subsets of the labels.

Source: Musil & Ceriotti, Chimia 73, 972 (2019), eq. 21. The factor that turns spread into a standard deviation comes
from labels that a submodel has not seen, as in Musil et al., J. Chem. Theory Comput. 15, 906 (2019). An alternative to
the Gaussian process's own variance, which stays the default.
"""

from collections.abc import Mapping
from typing import Self

import numpy as np
import numpy.typing as npt

from hullscout.errors import InvalidSettingError, InvalidTrainingSetError
from hullscout.regression.arrays import FloatArray, finite_labels, finite_matrix, group_numbers, refuse_no_count
from hullscout.regression.calibration import TailCalibration, calibrate
from hullscout.regression.estimator import Regressor
from hullscout.regression.model import KernelModel
from hullscout.regression.settings import ModelSettings


class ResamplingEnsemble(Regressor):
    """Submodels with the hyperparameters of one tuned model, each conditioned on a random subset of the labels.

    Args:
        kernel: Kernel shape, as in `KernelModel`.
        blocks: Columns of each feature block by name.
        n_models: Number of submodels, at least 2.
        fraction: Share of the labels (of the groups, if there are some) in each subset, between 0 and 1.
        seed: Of the subsets.
        suspicion: Robust standard deviations from which on a label is distrusted; infinity trusts every label.

    Attributes:
        models_: The submodels.
        calibration_: Factor on the spread and weight of the tails.
        suspects_: Indices of the labels that the others contradict; they are in no subset.
    """

    def __init__(
        self,
        kernel: str = "matern52",
        *,
        blocks: Mapping[str, slice] | None = None,
        n_models: int = 16,
        fraction: float = 0.5,
        seed: int = 0,
        suspicion: float = 6.0,
    ) -> None:
        self.kernel = kernel
        self.blocks = blocks
        self.n_models = n_models
        self.fraction = fraction
        self.seed = seed
        self.suspicion = suspicion

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike, groups: npt.ArrayLike | None = None) -> Self:
        """Tune once, then condition every submodel on its subset.

        Args:
            X: Features, shape (n, d).
            y: Labels, shape (n,).
            groups: A number per label; equal numbers are in or out of a subset together.

        Raises:
            InvalidSettingError: A parameter that is not allowed.
            InvalidTrainingSetError: Labels that cannot be learned from, or too few for the subsets.
        """
        refuse_no_count(2, n_models=self.n_models)
        refuse_no_count(0, seed=self.seed)
        if not 0.0 < self.fraction < 1.0:
            raise InvalidSettingError(f"Expected a fraction between 0 and 1, found {self.fraction=}.")
        rows = finite_matrix(X, what="X")
        labels = finite_labels(y, n_rows=len(rows))
        tuned = KernelModel(self.kernel, blocks=self.blocks, n_averaged=1, suspicion=self.suspicion)
        tuned.fit(rows, labels, groups)
        grouping = tuned.fitted_.grouping
        given = group_numbers(groups)
        is_suspect = np.isin(np.arange(len(labels)), tuned.suspects_)
        is_in = self._subsets(grouping.merged_to if given is None else given) & ~is_suspect
        if int(is_in.sum(axis=1).min()) < 3:
            raise InvalidTrainingSetError(
                f"Expected subsets of at least 3 labels, found {int(is_in.sum(axis=1).min())}: raise "
                f"{self.fraction=} or label more."
            )
        self._remember_columns(X, rows)
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

    def _subsets(self, sets: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
        n_sets = int(sets.max()) + 1
        n_in = max(round(self.fraction * n_sets), 1)
        rng = np.random.default_rng([self.seed, n_sets])
        chosen = [rng.permutation(n_sets)[:n_in] for _ in range(self.n_models)]
        return np.stack([np.isin(sets, part) for part in chosen])

    def _unseen_z(
        self, rows: FloatArray, labels: FloatArray, is_in: npt.NDArray[np.bool_]
    ) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """z-score of each label that two or more submodels have not seen, from these; and which labels those are."""
        predictions = np.where(is_in, np.nan, self._predictions(rows))
        is_tested = np.sum(~is_in, axis=0) >= 2
        if not np.any(is_tested):
            raise InvalidTrainingSetError(
                f"Expected labels unseen by two submodels, found none: raise {self.n_models=} or lower "
                f"{self.fraction=}."
            )
        unseen = predictions[:, is_tested]
        spread = np.maximum(np.nanstd(unseen, axis=0, ddof=1), 1e-12 * np.std(labels))
        return np.asarray((labels[is_tested] - np.nanmean(unseen, axis=0)) / spread), is_tested
