"""What a user may choose about a model, and what tuning found: frozen values, checked when made."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from hullscout.errors import InvalidSettingError, InvalidTrainingSetError
from hullscout.regression.arrays import FloatArray, are_finite, is_kind, refuse_no_count
from hullscout.regression.covariance import Combination, Kernel, KernelShape

SINGLE: Final = "features"
"""Name of the representation when there is only one."""


def refuse_no_suspicion(suspicion: float) -> None:
    """Check the number of standard deviations from which on a label is distrusted."""
    if not is_kind(suspicion, float, int) or not suspicion > 0.0:
        raise InvalidSettingError(f"Expected a suspicion > 0 (infinity to trust every label), found {suspicion!r}.")


class Mean(StrEnum):
    """The fitted mean under the process: nothing, a constant, or a polynomial in composition."""

    ZERO = "zero"
    CONSTANT = "constant"
    LINEAR = "linear"
    QUADRATIC = "quadratic"

    @property
    def n_coefficients(self) -> int:
        """Number of basis functions p."""
        return list(Mean).index(self)

    def basis(self, n: int, composition: FloatArray | None) -> FloatArray:
        """The basis functions 1, x, x^2 as far as they are in use, at n structures of atomic fraction x: shape (n, p).

        Raises:
            InvalidTrainingSetError: A composition mean without compositions, or of another length.
        """
        shape = None if composition is None else composition.shape
        if shape != (n,) and (shape is not None or self.n_coefficients > 1):
            raise InvalidTrainingSetError(
                f"Expected a composition for each of {n} structures ({self} mean), found shape {shape}."
            )
        powers = np.arange(self.n_coefficients)
        return np.ones((n, len(powers))) if composition is None else np.asarray(composition[:, None] ** powers)


class Criterion(StrEnum):
    """What tuning makes best: leave-one-out log predictive score, leave-one-out RMSE, or the marginal likelihood."""

    LOG_SCORE = "log-score"
    RMSE = "rmse"
    MARGINAL_LIKELIHOOD = "marginal-likelihood"


class Uncertainty(StrEnum):
    """What a predicted deviation is of: a structure's label, calibrated; or the function without noise, as modelled."""

    LABEL = "label"
    FUNCTION = "function"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    """One complete setting of a model.

    Attributes:
        kernel: Shape, length scales and weights by block.
        regularization: Noise variance over signal variance, >= 0.
        signal_variance: Prior variance at one point, unit of the labels squared.
        representation: Which of the alternative feature sets (for example which MBTR broadening).
    """

    kernel: Kernel
    regularization: float
    signal_variance: float = 1.0
    representation: str = SINGLE

    def __post_init__(self) -> None:
        if not (are_finite((self.regularization,)) and self.regularization >= 0.0):
            raise InvalidSettingError(f"Expected a regularization >= 0, found {self.regularization!r}.")
        if not (are_finite((self.signal_variance,)) and self.signal_variance > 0.0):
            raise InvalidSettingError(f"Expected a positive signal variance, found {self.signal_variance!r}.")

    @property
    def noise_variance(self) -> float:
        """Variance of a label around the function, unit of the labels squared."""
        return self.regularization * self.signal_variance


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """What is searched and how; the defaults are meant to be left alone.

    Attributes:
        shape: Kernel shape.
        combination: Sum of one kernel per block, or one kernel of the joint separation.
        mean: Mean under the process.
        criterion: What tuning makes best.
        uncertainty: What standard deviations and covariances are of.
        calibrated: Scale deviations of labels by the z-scores of the labels left out; else as modelled.
        suspicion: Robust standard deviations from which on a label is distrusted; infinity trusts every label.
        n_averaged: Largest number of settings in the mixture; 1 picks the best one.
        max_kernels: Budget of kernel matrices (each one eigendecomposition) in a search from nothing.
        log_lengths: Coarse grid of log2(length scale over the typical separation of the block).
        log_length_bounds: Range of the same in refinement.
        log_regularization_bounds: Range of log10(regularization).
        n_regularizations: Points in that range.
    """

    shape: KernelShape = KernelShape.MATERN52
    combination: Combination = Combination.SUM
    mean: Mean = Mean.CONSTANT
    criterion: Criterion = Criterion.MARGINAL_LIKELIHOOD
    uncertainty: Uncertainty = Uncertainty.LABEL
    calibrated: bool = True
    suspicion: float = 6.0
    n_averaged: int = 4
    max_kernels: int = 60
    log_lengths: tuple[float, ...] = (-1.0, 0.0, 1.0, 2.0, 3.0)
    log_length_bounds: tuple[float, float] = (-3.0, 6.0)
    log_regularization_bounds: tuple[float, float] = (-9.0, 1.0)
    n_regularizations: int = 41

    def __post_init__(self) -> None:
        choices = (self.shape, self.combination, self.mean, self.criterion, self.uncertainty)
        for value, kind in zip(choices, (KernelShape, Combination, Mean, Criterion, Uncertainty), strict=True):
            if not isinstance(value, kind):
                names = [f"{kind.__name__}.{member.name}" for member in kind]
                raise InvalidSettingError(f"Expected one of {names}, found {value!r}.")
        refuse_no_count(n_averaged=self.n_averaged, max_kernels=self.max_kernels)
        refuse_no_count(n_regularizations=self.n_regularizations)
        refuse_no_suspicion(self.suspicion)
        if not is_kind(self.log_lengths, tuple) or not self.log_lengths or not are_finite(self.log_lengths):
            raise InvalidSettingError(
                f"Expected at least one coarse length scale, a tuple of numbers, found {self.log_lengths!r}."
            )
        ranges: tuple[tuple[float, ...], ...] = (self.log_length_bounds, self.log_regularization_bounds)
        for bounds in ranges:
            if not is_kind(bounds, tuple) or len(bounds) != 2 or not are_finite(bounds) or bounds[0] > bounds[1]:
                raise InvalidSettingError(f"Expected bounds in rising order, two numbers, found {bounds!r}.")

    def n_tuned(self, n_blocks: int) -> int:
        """Number of continuous hyperparameters: length scales, free weights, regularization and signal variance."""
        return n_blocks + (n_blocks - 1 if self.combination is Combination.SUM else 0) + 2

    @property
    def regularizations(self) -> FloatArray:
        """The regularizations tried with every kernel, shape (n_regularizations,)."""
        return np.logspace(*self.log_regularization_bounds, self.n_regularizations)
