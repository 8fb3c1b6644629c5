"""Large training sets: a process that stands on few active points.

With M active points, phi(x) = L^-1 k_M(x), L L^T = K_MM, the process is Bayesian linear regression on [H, phi] (mean
basis and M features): O(N M^2) to fit, O(M^2) to predict. The subset of regressors keeps that model's variance; the
projected process adds what the active points do not span, k(x, x) - |phi(x)|^2, so that its variance is right far from
all data.

Source: Musil & Ceriotti, Chimia 73, 972 (2019), eq. 20, with active points by farthest point sampling or CUR as they
say there; Rasmussen & Williams (2006), section 8.3. Leave-one-out residuals e / (1 - h) come from the hat matrix,
active points fixed.
"""

from collections.abc import Mapping
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, solve_triangular

from hullscout.errors import InvalidSettingError
from hullscout.regression.arrays import FloatArray, IntArray, finite_labels, finite_matrix, is_kind, refuse_no_count
from hullscout.regression.calibration import TailCalibration, calibrate
from hullscout.regression.covariance import Kernel, Metric
from hullscout.regression.estimator import Regressor
from hullscout.regression.model import KernelModel, refuse_no_blocks
from hullscout.regression.process import jittered_cholesky
from hullscout.regression.separations import self_separations, separations
from hullscout.regression.settings import Hyperparameters, ModelSettings
from hullscout.regression.subset import cur_points, farthest_rows

_MAX_CUR = 4000


class SparseKernelModel(Regressor):
    """Projected process or subset of regressors with a constant mean.

    Args:
        kernel: Kernel shape, as in `KernelModel`.
        blocks: Columns of each feature block by name.
        n_active: Number of active points; all labels if there are fewer.
        selection: "fps" (farthest points), "cur" (up to 4000 labels) or "random".
        variance: "projected-process" or "subset-of-regressors".
        n_tuning: Labels (drawn at random) on which length scales and weights are tuned exactly.
        seed: Of the random draws.
        hyperparameters: Use this kernel, and this regularization and signal variance, and tune nothing.

    Attributes:
        active_: Rows of the active points, shape (m,).
        hyperparameters_: Kernel of the tuning subset; regularization and signal variance of all labels.
        loo_mean_: Leave-one-out predictions, shape (n,).
        calibration_: Factor on standard deviations and weight of the tails.
    """

    def __init__(
        self,
        kernel: str = "matern52",
        *,
        blocks: Mapping[str, slice] | None = None,
        n_active: int = 200,
        selection: str = "fps",
        variance: str = "projected-process",
        n_tuning: int = 300,
        seed: int = 0,
        hyperparameters: Hyperparameters | None = None,
    ) -> None:
        self.kernel = kernel
        self.blocks = blocks
        self.n_active = n_active
        self.selection = selection
        self.variance = variance
        self.n_tuning = n_tuning
        self.seed = seed
        self.hyperparameters = hyperparameters

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Self:
        """Tune on a subset, choose active points, then fit all labels.

        Args:
            X: Features, shape (n, d).
            y: Labels, shape (n,).

        Raises:
            InvalidSettingError: A parameter that is not allowed.
            InvalidTrainingSetError: Labels or features that cannot be learned from.
        """
        if self.variance not in {"projected-process", "subset-of-regressors"}:
            raise InvalidSettingError(
                f"Expected variance 'projected-process' or 'subset-of-regressors', found {self.variance=}."
            )
        refuse_no_count(n_active=self.n_active)
        refuse_no_count(3, n_tuning=self.n_tuning)
        refuse_no_count(0, seed=self.seed)
        refuse_no_blocks(self.blocks)
        self._refuse_foreign_hyperparameters()
        rows = finite_matrix(X, what="X")
        labels = finite_labels(y, n_rows=len(rows))
        self.n_features_in_ = rows.shape[1]
        rng = np.random.default_rng([self.seed, len(rows)])
        tuned = self._tuned(rows, labels, rng)
        self._kernel: Kernel = tuned.kernel
        self._blocks = {"all": slice(None)} if self.blocks is None else dict(self.blocks)
        is_dot = tuned.kernel.shape.metric is Metric.DOT
        self._centre = np.zeros(rows.shape[1]) if is_dot else rows.mean(axis=0)
        self.active_: IntArray = self._select(rows, rng)
        self._active_rows = rows[self.active_]
        self._factor, _ = jittered_cholesky(self._covariances(self._active_rows, self._active_rows))
        features = self._features(rows)
        unspanned = np.maximum(self._own(rows) - np.sum(features**2, axis=1), 0.0)
        self._solve(features, unspanned, labels, tuned)
        return self

    def predict(self, X: npt.ArrayLike, *, return_std: bool = False) -> FloatArray | tuple[FloatArray, FloatArray]:
        """Mean, with the calibrated standard deviation of labels (noise included), both of shape (q,)."""
        rows = self._new_rows(X)
        features = self._features(rows)
        design = np.hstack([np.ones((len(rows), 1)), features])
        mean = design @ self._coefficients
        if not return_std:
            return np.asarray(mean)
        solved = solve_triangular(self._precision_factor, design.T, lower=True, check_finite=False)
        setting = self.hyperparameters_
        variance = setting.regularization * (1.0 + np.sum(solved**2, axis=0))
        if self.variance == "projected-process":
            variance = variance + np.maximum(self._own(rows) - np.sum(features**2, axis=1), 0.0)
        return mean, np.asarray(self.calibration_.scale * np.sqrt(setting.signal_variance * variance))

    def _refuse_foreign_hyperparameters(self) -> None:
        if self.hyperparameters is None:
            return
        names = ["all"] if self.blocks is None else list(self.blocks)
        if (
            not is_kind(self.hyperparameters, Hyperparameters)
            or {term.block for term in self.hyperparameters.kernel.terms} - set(names)
            or not self.hyperparameters.regularization > 0.0
        ):
            raise InvalidSettingError(
                f"Expected hyperparameters on blocks of {names} with a regularization > 0, found {self.hyperparameters!r}."
            )

    def _tuned(self, rows: FloatArray, labels: FloatArray, rng: np.random.Generator) -> Hyperparameters:
        if self.hyperparameters is not None:
            return self.hyperparameters
        subset = np.sort(rng.permutation(len(rows))[: self.n_tuning])
        model = KernelModel(self.kernel, blocks=self.blocks, n_averaged=1).fit(rows[subset], labels[subset])
        return model.hyperparameters_

    def _select(self, rows: FloatArray, rng: np.random.Generator) -> IntArray:
        n = min(self.n_active, len(rows))
        scaled = np.hstack(
            [
                rows[:, self._blocks[term.block]] * (np.sqrt(term.weight) / term.length_scale)
                for term in self._kernel.terms
            ]
        )
        if self.selection == "random":
            return np.sort(rng.permutation(len(rows))[:n])
        if self.selection == "fps":
            return farthest_rows(scaled, n)
        if self.selection == "cur" and len(rows) <= _MAX_CUR:
            return cur_points(self._covariances(rows, rows), n)
        raise InvalidSettingError(
            f"Expected selection 'fps', 'random', or 'cur' (up to {_MAX_CUR} labels), found {self.selection!r} for "
            f"{len(rows)}."
        )

    def _solve(self, features: FloatArray, unspanned: FloatArray, labels: FloatArray, tuned: Hyperparameters) -> None:
        n = len(labels)
        centred, deviations = features - features.mean(axis=0), labels - labels.mean()
        values, vectors = np.linalg.eigh(centred.T @ centred)
        rotated = centred @ vectors
        projected = rotated.T @ deviations
        is_projected = self.variance == "projected-process"
        extra = unspanned if is_projected else np.zeros(n)
        fixed = self.hyperparameters is not None
        best_score = -np.inf
        for strength in (tuned.regularization,) if fixed else ModelSettings().regularizations:
            inverse = 1.0 / (np.maximum(values, 0.0) + strength)
            left = np.maximum(1.0 - 1.0 / n - (rotated**2) @ inverse, 1e-12)
            residuals = (deviations - rotated @ (inverse * projected)) / left
            variances = strength / left + extra
            signal = tuned.signal_variance if fixed else float(np.mean(residuals**2 / variances))
            score = -float(np.log(signal) + np.mean(np.log(variances)))
            if score > best_score:
                best_score, best = score, (float(strength), signal, residuals, np.sqrt(variances * signal))
        regularization, signal, residuals, std = best
        self.hyperparameters_ = Hyperparameters(
            kernel=self._kernel,
            regularization=regularization,
            signal_variance=signal,
            representation=tuned.representation,
        )
        self.loo_mean_ = labels - residuals
        self.calibration_: TailCalibration = calibrate(residuals / std)
        design = np.hstack([np.ones((n, 1)), features])
        precision = design.T @ design
        precision[np.arange(1, len(precision)), np.arange(1, len(precision))] += regularization
        self._precision_factor, _ = jittered_cholesky(precision)
        self._coefficients: FloatArray = cho_solve(
            (self._precision_factor, True), design.T @ labels, check_finite=False
        )

    def _features(self, rows: FloatArray) -> FloatArray:
        cross = self._covariances(self._active_rows, rows)
        return np.asarray(solve_triangular(self._factor, cross, lower=True, check_finite=False).T)

    def _covariances(self, left: FloatArray, right: FloatArray) -> FloatArray:
        metric = self._kernel.shape.metric
        pairs = ((name, left - self._centre, right - self._centre, part) for name, part in self._blocks.items())
        return self._kernel({name: separations(a[:, part], b[:, part], metric=metric) for name, a, b, part in pairs})

    def _own(self, rows: FloatArray) -> FloatArray:
        metric = self._kernel.shape.metric
        return self._kernel(
            {name: self_separations(rows[:, part], metric=metric) for name, part in self._blocks.items()}
        )
