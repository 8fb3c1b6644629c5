"""Large training sets: a process that stands on few active points.

With M active points, phi(x) = L^-1 k_M(x), L L^T = K_MM, the process is Bayesian linear regression on [1, phi]:
O(N M^2) to fit, O(M^2) to predict, every regularization from one eigenproblem. The subset of regressors keeps that
model's variance; the projected process adds what the active points do not span, `k(x, x) - |phi(x)|^2`, so that its
variance is right far from all data.

Source: Musil & Ceriotti, Chimia 73, 972 (2019), eq. 20, with active points by farthest point sampling or CUR as they
say there; Rasmussen & Williams (2006), eqs. 2.8-2.9 and section 8.3; Cook & Weisberg, Residuals and Influence in
Regression (1982), section 2.2, for leave-one-out residuals from the hat matrix.
"""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import scipy

from hullscout.errors import InvalidSettingError
from hullscout.regression.arrays import FloatArray, IntArray, are_constant, group_numbers, is_kind, refuse_no_count
from hullscout.regression.calibration import TailCalibration, calibrate
from hullscout.regression.covariance import Hyperparameters, Kernel, Metric, self_separations, separations
from hullscout.regression.labelled import Grouping, asked_apart, group_rows, groups_among, settled
from hullscout.regression.model import KernelModel, Regressor, named_blocks
from hullscout.regression.process import LeftOut, jittered_cholesky
from hullscout.regression.subset import cur_points, farthest_rows
from hullscout.regression.tuning import ModelSettings, refuse_no_suspicion

_MAX_CUR: Final = 4000
_Strengths = Sequence[float] | FloatArray
_Fit = tuple["ActiveRegression", FloatArray, FloatArray]  # With mean and variance of every label left out, (n,)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveRegression:
    """Regression on [1, phi] conditioned on labels."""

    regularization: float  # Noise variance over signal variance
    signal_variance: float  # Prior variance of a coefficient, unit of the labels squared
    left_out: LeftOut  # What is known of each label from the labels outside its group, arrays of shape (n, 1)
    coefficients: FloatArray  # Of 1 and phi, shape (1 + m,)
    precision_factor: FloatArray  # Lower Cholesky factor of A, shape (1 + m, 1 + m)

    def mean(self, features: FloatArray) -> FloatArray:
        """Predictive mean, shape (q,), at features phi of shape (q, m)."""
        return np.asarray(self.coefficients[0] + features @ self.coefficients[1:])

    def variance(self, features: FloatArray, unspanned: FloatArray) -> FloatArray:
        """Predictive variance of a label, noise included, shape (q,); arguments as of `fit_active`."""
        design = np.hstack([np.ones((len(features), 1)), features])
        solved = scipy.linalg.solve_triangular(self.precision_factor, design.T, lower=True, check_finite=False)
        return np.asarray(self.signal_variance * (self.regularization * (1.0 + np.sum(solved**2, axis=0)) + unspanned))


def fit_active(
    features: FloatArray,
    unspanned: FloatArray,
    y: FloatArray,
    *,
    regularizations: _Strengths,
    signal_variance: float | None = None,
    groups: Sequence[IntArray] = (),
) -> ActiveRegression:
    """The regression whose regularization has the best leave-one-out log score.

    With D = [1, phi], A = D^T D + lambda diag(0, 1) and H = D A^-1 D^T, leaving group g out gives the residual
    (I - H_gg)^-1 e_g with covariance s^2 lambda (I - H_gg)^-1, exactly, active points fixed.

    From features phi at the labels y (n,), shape (n, m), the prior variance that these do not carry, in units of the signal
    variance (n,), and positive lambda. The signal variance makes the mean squared left-out z-score one unless given.
    `groups` are index arrays of labels that are left out together.
    """
    n = len(y)
    centre, deviations = features.mean(axis=0), y - y.mean()
    values, vectors = np.linalg.eigh((features - centre).T @ (features - centre))
    rotated = (features - centre) @ vectors
    projected = rotated.T @ deviations
    counts = np.ones(n)
    for group in groups:
        counts[group] = 1.0 / len(group)
    best_score = -np.inf
    for strength in regularizations:
        inverse = 1.0 / (np.maximum(values, 0.0) + strength)
        freedom = np.maximum(1.0 - 1.0 / n - (rotated**2) @ inverse, 1e-12)
        fitted = deviations - rotated @ (inverse * projected)
        residuals, spread = fitted / freedom, 1.0 / freedom
        for group in groups:
            hat = 1.0 / n + (rotated[group] * inverse) @ rotated[group].T
            inverted = np.linalg.pinv(np.eye(len(group)) - hat, hermitian=True)
            residuals[group], spread[group] = inverted @ fitted[group], np.diag(inverted)
        spread = strength * spread + unspanned
        left_out = LeftOut(residuals=residuals[:, None], variances=spread[:, None], counts=counts)
        signal = np.full(1, signal_variance) if signal_variance is not None else left_out.signal_variance
        score = float(counts @ left_out.log_scores(signal)[:, 0])
        if score > best_score:
            best_score, best = score, (float(strength), float(signal[0]), left_out)
    regularization, variance, left_out = best
    design = np.hstack([np.ones((n, 1)), features])
    precision = design.T @ design
    precision[np.arange(1, len(precision)), np.arange(1, len(precision))] += regularization
    factor, _ = jittered_cholesky(precision)
    return ActiveRegression(
        regularization=regularization,
        signal_variance=variance,
        left_out=left_out,
        coefficients=np.asarray(scipy.linalg.cho_solve((factor, True), design.T @ y, check_finite=False)),
        precision_factor=factor,
    )


@dataclass(eq=False, repr=False)
class SparseKernelModel(Regressor):
    """Projected process or subset of regressors with a constant mean.

    For those who learn from some thousand labels or more outside a campaign; no command uses it.

    Args:
        kernel, blocks, suspicion: As in `KernelModel`.
        n_active: Number of active points; all labels if there are fewer.
        selection: "fps" (farthest points), "cur" (up to 4000 labels) or "random".
        variance: "projected-process" or "subset-of-regressors".
        n_tuning: Labels (drawn at random) on which length scales and weights are tuned exactly.
        hyperparameters: Use this kernel, and this regularization and signal variance, and tune nothing.

    Attributes:
        active_: Rows of the active points, shape (m,).
        hyperparameters_: Kernel of the tuning subset; regularization and signal variance of all labels.
        loo_mean_, loo_std_: As of `KernelModel`.
        suspects_: Indices of the labels that the others contradict; they do not count in the fit.
        calibration_: Factor on standard deviations and weight of the tails.
    """

    kernel: str = "matern52"
    _: KW_ONLY
    blocks: Mapping[str, slice] | None = None
    n_active: int = 200
    selection: str = "fps"
    variance: str = "projected-process"
    n_tuning: int = 300
    seed: int = 0
    suspicion: float = 6.0
    hyperparameters: Hyperparameters | None = None

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike, groups: npt.ArrayLike | None = None) -> Self:
        """Tune on a subset, choose active points, then fit all labels; arguments and errors as of `KernelModel.fit`.

        Coinciding rows are merged where their labels agree.
        """
        if self.variance not in {"projected-process", "subset-of-regressors"}:
            expected = "variance 'projected-process' or 'subset-of-regressors'"
            raise InvalidSettingError(f"Expected {expected}, found {self.variance=}.")
        refuse_no_count(n_active=self.n_active)
        refuse_no_count(3, n_tuning=self.n_tuning)
        refuse_no_count(0, seed=self.seed)
        refuse_no_suspicion(self.suspicion)
        all_rows, all_labels = self._learned(X, y)
        self._blocks = named_blocks(self.blocks, n_columns=all_rows.shape[1])
        fixed, names = self.hyperparameters, list(self._blocks)
        if fixed is not None and (
            not is_kind(fixed, Hyperparameters)
            or {term.block for term in fixed.kernel.terms} - set(names)
            or not fixed.regularization > 0.0
        ):
            raise InvalidSettingError(
                f"Expected hyperparameters on blocks of {names} with a regularization > 0, found {fixed!r}."
            )
        given, parts = group_numbers(groups), {name: all_rows[:, part] for name, part in self._blocks.items()}
        grouping = group_rows(parts, all_labels, groups=given)
        rows, labels = all_rows[grouping.kept], grouping.merge(all_labels)
        rng = np.random.default_rng([self.seed, len(rows)])
        tuned = fixed
        if tuned is None:
            subset = np.sort(rng.permutation(len(rows))[: self.n_tuning])
            among = None if given is None else given[grouping.kept][subset]
            model = KernelModel(self.kernel, blocks=self.blocks, n_averaged=1, suspicion=self.suspicion)
            tuned = model.fit(rows[subset], labels[subset], among).hyperparameters_
        self._kernel: Kernel = tuned.kernel
        is_dot = tuned.kernel.shape.metric is Metric.DOT
        self._centre = np.zeros(rows.shape[1]) if is_dot else rows.mean(axis=0)
        active = self._select(rows, rng)
        self.active_: IntArray = grouping.kept[active]
        self._active_rows = rows[active]
        self._factor, _ = jittered_cholesky(self._covariances(self._active_rows, self._active_rows))
        features = self._features(rows)
        self._robust_fit(features, self._unspanned(rows, features), labels, grouping, tuned)
        return self

    def predict(self, X: npt.ArrayLike, *, return_std: bool = False) -> FloatArray | tuple[FloatArray, FloatArray]:
        """Mean, with the calibrated standard deviation of labels (noise included), both of shape (q,)."""
        rows = self._new_rows(X)
        features = self._features(rows)
        mean = self._regression.mean(features)
        if not return_std:
            return mean
        variance = self._regression.variance(features, self._unspanned(rows, features))
        return mean, np.asarray(self.calibration_.scale * np.sqrt(variance))

    def _select(self, rows: FloatArray, rng: np.random.Generator) -> IntArray:
        n = min(self.n_active, len(rows))
        if self.selection == "random":
            return np.sort(rng.permutation(len(rows))[:n])
        if self.selection == "fps":
            scales = {term.block: np.sqrt(term.weight) / term.length_scale for term in self._kernel.terms}
            return farthest_rows(np.hstack([rows[:, self._blocks[name]] * scale for name, scale in scales.items()]), n)
        if self.selection == "cur" and len(rows) <= _MAX_CUR:
            return cur_points(self._covariances(rows, rows), n)
        raise InvalidSettingError(
            f"Expected selection 'fps', 'random', or 'cur' (up to {_MAX_CUR} labels), found {self.selection!r} for "
            f"{len(rows)}."
        )

    def _robust_fit(
        self, features: FloatArray, unspanned: FloatArray, y: FloatArray, grouping: Grouping, tuned: Hyperparameters
    ) -> None:
        """Fit the merged labels y on those that are not suspects, until these stay the same; at first all are trusted."""
        n, settings, is_fixed = len(y), ModelSettings(), self.hyperparameters is not None
        given = ([tuned.regularization], tuned.signal_variance) if is_fixed else (settings.regularizations, None)

        def fitted(rows: IntArray, strengths: _Strengths, signal_variance: float | None) -> ActiveRegression:
            groups, signal = groups_among(grouping.groups, rows, n=n), signal_variance
            parts = (features[rows], unspanned[rows], y[rows])
            return fit_active(*parts, regularizations=strengths, signal_variance=signal, groups=groups)

        def fit(suspects: IntArray) -> tuple[_Fit, FloatArray, FloatArray, float]:
            trusted = np.setdiff1d(np.arange(n), suspects)
            model = fitted(trusted, *given)
            mean, variance = np.empty(n), np.empty(n)
            mean[trusted] = y[trusted] - model.left_out.residuals[:, 0]
            variance[trusted] = model.left_out.variances[:, 0] * model.signal_variance
            for asked, group in asked_apart(grouping.groups, suspects):
                rows = np.setdiff1d(trusted, group)
                apart = fitted(rows, [model.regularization], model.signal_variance) if len(group) else model
                mean[asked] = apart.mean(features[asked])
                variance[asked] = apart.variance(features[asked], unspanned[asked])
            return (model, mean, variance), y - mean, variance, model.regularization * model.signal_variance

        (model, mean, variance), suspects, _ = settled(
            fit, n=n, suspicion=self.suspicion, can_spare=lambda found: not are_constant(np.delete(y, found))
        )
        self._regression = model
        self.hyperparameters_ = replace(
            tuned, regularization=model.regularization, signal_variance=model.signal_variance
        )
        std, is_suspect = np.sqrt(variance), np.isin(np.arange(n), suspects)
        n_tuned = 0 if is_fixed else settings.n_tuned(len(self._blocks))
        self.calibration_: TailCalibration = calibrate((y - mean) / std, n_tuned=n_tuned, is_suspect=is_suspect)
        self.loo_mean_ = mean[grouping.merged_to]
        self.loo_std_ = (self.calibration_.scale * std)[grouping.merged_to]
        self.suspects_: IntArray = np.flatnonzero(is_suspect[grouping.merged_to])

    def _features(self, rows: FloatArray) -> FloatArray:
        cross = self._covariances(self._active_rows, rows)
        return np.asarray(scipy.linalg.solve_triangular(self._factor, cross, lower=True, check_finite=False).T)

    def _unspanned(self, rows: FloatArray, features: FloatArray) -> FloatArray:
        """Prior variance that the active points do not carry, as far as the chosen variance counts it, shape (n,)."""
        if self.variance == "subset-of-regressors":
            return np.zeros(len(rows))
        metric, blocks = self._kernel.shape.metric, self._blocks
        own = self._kernel({name: self_separations(rows[:, part], metric=metric) for name, part in blocks.items()})
        return np.asarray(np.maximum(own - np.sum(features**2, axis=1), 0.0))

    def _covariances(self, left: FloatArray, right: FloatArray) -> FloatArray:
        metric, blocks = self._kernel.shape.metric, self._blocks
        a, b = left - self._centre, right - self._centre
        return self._kernel({name: separations(a[:, part], b[:, part], metric=metric) for name, part in blocks.items()})
