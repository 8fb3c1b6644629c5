"""Kernels on feature blocks: k(a, b) = sum_t w_t f(r_t) or f(sum_t r_t), with r_t the scaled separation in block t.

A kernel never sees features, only separations (squared distances, Manhattan distances or dot products) block by block;
so one set of separations serves every length scale and every weight. Shapes follow Rasmussen & Williams, Gaussian
Processes for Machine Learning, MIT Press 2006, section 4.2; sums of kernels with one weight per many-body term follow
Musil & Ceriotti, Chimia 73, 972 (2019), section IV.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce

import numpy as np

from hullscout.errors import InvalidSettingError
from hullscout.regression.arrays import FloatArray, are_finite


class Metric(StrEnum):
    """What is measured between two structures in one block."""

    SQUARED_EUCLIDEAN = "squared-euclidean"
    MANHATTAN = "manhattan"
    DOT = "dot"


class KernelShape(StrEnum):
    """How covariance falls off with separation."""

    GAUSSIAN = "gaussian"
    LAPLACIAN = "laplacian"
    MATERN32 = "matern32"
    MATERN52 = "matern52"
    LINEAR = "linear"

    @property
    def metric(self) -> Metric:
        """The separation that this shape is a function of."""
        if self is KernelShape.LAPLACIAN:
            return Metric.MANHATTAN
        return Metric.DOT if self is KernelShape.LINEAR else Metric.SQUARED_EUCLIDEAN

    def __call__(self, separations: FloatArray, scale: float = 1.0) -> FloatArray:
        """f(r) with r the separation over the length scale (squared where the separation is).

        Gaussian exp(-r/2), Laplacian exp(-r), Matern 3/2 (1 + s) exp(-s) with s = sqrt(3 r), Matern 5/2
        (1 + s + s^2/3) exp(-s) with s = sqrt(5 r), linear r.

        Args:
            separations: Any shape.
            scale: What they are multiplied by to give r.

        Returns:
            Covariances, same shape; 1 at no separation except for the linear kernel.
        """
        match self:
            case KernelShape.GAUSSIAN:
                return np.exp(-0.5 * scale * separations)
            case KernelShape.LAPLACIAN:
                return np.exp(-scale * separations)
            case KernelShape.MATERN32:
                from hullscout.regression.shape_kernels import matern32  # noqa: PLC0415  loads numba

                return np.asarray(matern32(np.ravel(separations), scale).reshape(np.shape(separations)))
            case KernelShape.MATERN52:
                from hullscout.regression.shape_kernels import matern52  # noqa: PLC0415  loads numba

                return np.asarray(matern52(np.ravel(separations), scale).reshape(np.shape(separations)))
            case KernelShape.LINEAR:
                return scale * separations


class Combination(StrEnum):
    """How blocks make one kernel: a weighted sum of kernels, or one kernel of the joint separation."""

    SUM = "sum"
    JOINT = "joint"


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelTerm:
    """One feature block's part in a kernel.

    Attributes:
        block: Name of the feature block.
        length_scale: In units of the block's features, positive.
        weight: Part of the prior variance, not negative; ignored by a joint kernel's formula and then 1.
    """

    block: str
    length_scale: float
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not (are_finite([self.length_scale]) and self.length_scale > 0.0):
            raise InvalidSettingError(
                f"Expected a positive length scale for block {self.block!r}, found {self.length_scale!r}."
            )
        if not (are_finite([self.weight]) and self.weight >= 0.0):
            raise InvalidSettingError(f"Expected a weight >= 0 for block {self.block!r}, found {self.weight!r}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """A covariance function over named feature blocks.

    Attributes:
        terms: One per block, block names distinct.
        shape: Fall-off with separation.
        combination: Sum of kernels, or one kernel of the summed scaled separations.

    >>> kernel = Kernel(terms=(KernelTerm(block="k2", length_scale=2.0),))
    >>> kernel({"k2": np.array([0.0, 4.0])}).round(4).tolist()
    [1.0, 0.6065]
    """

    terms: tuple[KernelTerm, ...]
    shape: KernelShape = KernelShape.GAUSSIAN
    combination: Combination = Combination.SUM

    def __post_init__(self) -> None:
        names = [term.block for term in self.terms]
        if not names or len(set(names)) < len(names):
            raise InvalidSettingError(f"Expected one or more terms with distinct blocks, found {names}.")
        if all(term.weight == 0.0 for term in self.terms):
            raise InvalidSettingError(f"Expected a positive weight for at least one of the blocks {names}.")

    def __call__(self, separations: Mapping[str, FloatArray]) -> FloatArray:
        """Covariances in units of the signal variance.

        Args:
            separations: For every block, an array of the same shape: squared Euclidean distances, Manhattan distances
                or dot products, as `shape.metric` says.

        Returns:
            Array of that shape.
        """
        terms = [term for term in self.terms if term.weight]
        if self.combination is Combination.JOINT:
            return self.shape(reduce(np.add, (self.scale(term) * separations[term.block] for term in terms)))
        return np.asarray(reduce(np.add, (term.weight * self.alone(term, separations) for term in terms)))

    def scale(self, term: KernelTerm) -> float:
        """What the separations in a term's block are multiplied by."""
        return term.length_scale ** (-1 if self.shape.metric is Metric.MANHATTAN else -2)

    def alone(self, term: KernelTerm, separations: Mapping[str, FloatArray]) -> FloatArray:
        """A term of a sum without its weight, in the shape of the separations."""
        return self.shape(separations[term.block], self.scale(term))
