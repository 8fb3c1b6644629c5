"""What a process is before labels: its kernel on feature blocks, its mean, and one setting of their hyperparameters.

Kernels are k(a, b) = sum_t w_t f(r_t) or f(sum_t r_t), with r_t the scaled separation in block t. A kernel never sees features,
only separations (squared distances, Manhattan distances or dot products) block by block; so one set of separations
serves every length scale and every weight.

Source: Rasmussen & Williams, Gaussian Processes for Machine Learning, MIT Press 2006, section 4.2, for the shapes;
Musil & Ceriotti, Chimia 73, 972 (2019), section IV, for sums of kernels with one weight per many-body term; Onat, Ortner
& Kermode, J. Chem. Phys. 153, 144106 (2020), eq. 36, for `|a - b|^2 = |a|^2 + |b|^2 - 2 a.b`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from itertools import combinations_with_replacement
from math import comb

import numpy as np
import scipy

from hullscout.errors import InvalidSettingError, InvalidTrainingSetError
from hullscout.regression.arrays import SINGLE, FloatArray, Representations, are_finite

_FLAT = 1e-6
"""Compositions whose spread in some term is below this, over that in others, do not determine its coefficient."""


class Metric(StrEnum):
    """What is measured between two structures in one block."""

    SQUARED_EUCLIDEAN = "squared-euclidean"
    MANHATTAN = "manhattan"
    DOT = "dot"


def separations(
    rows: FloatArray, columns: FloatArray, *, metric: Metric, squares: FloatArray | None = None
) -> FloatArray:
    """Separation of every row structure from every column structure, shape (n, m).

    Of features (n, d) and (m, d), centred, so that the rounding error is relative to their spread and not to their distance
    from the origin; `squares` (m,) are those of the columns, where somebody keeps them. scikit-learn's pairwise functions
    take more than twice as long for a single row, which is what a new label costs.
    """
    if metric is Metric.MANHATTAN:
        return np.asarray(scipy.spatial.distance.cdist(rows, columns, metric="cityblock"))
    products: FloatArray = rows @ columns.T
    if metric is Metric.DOT:
        return products
    products *= -2.0
    products += np.einsum("ij,ij->i", rows, rows)[:, None]
    products += (np.einsum("ij,ij->i", columns, columns) if squares is None else squares)[None, :]
    np.maximum(products, 0.0, out=products)
    return products


def self_separations(rows: FloatArray, *, metric: Metric) -> FloatArray:
    """Separation of every structure from itself, shape (n,): zero, or x.x for the dot product."""
    return np.einsum("ij,ij->i", rows, rows) if metric is Metric.DOT else np.zeros(len(rows))


def typical_separation(values: FloatArray, *, metric: Metric) -> float:
    """A block's unit of length: rms distance (mean distance if Manhattan, rms norm if dot); 1 if all coincide."""
    n = len(values)
    mean = float(np.mean(np.diag(values)) if metric is Metric.DOT else values.sum() / max(n * (n - 1), 1))
    if mean <= 0.0:
        return 1.0
    return mean if metric is Metric.MANHATTAN else float(np.sqrt(mean))


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
        """f(r) in the shape of the separations, r = scale x separation; 1 at no separation except for the linear kernel.

        Gaussian exp(-r/2), Laplacian exp(-r), Matern 3/2 (1 + s) exp(-s) with s = sqrt(3 r), Matern 5/2
        (1 + s + s^2/3) exp(-s) with s = sqrt(5 r), linear r.
        """
        match self:
            case KernelShape.GAUSSIAN:
                return np.exp(-0.5 * scale * separations)
            case KernelShape.LAPLACIAN:
                return np.exp(-scale * separations)
            case KernelShape.LINEAR:
                return scale * separations
        from hullscout.regression.shape_kernels import matern32, matern52  # noqa: PLC0415  loads numba

        compiled = matern32 if self is KernelShape.MATERN32 else matern52
        return np.asarray(compiled(np.ravel(separations), scale).reshape(np.shape(separations)))


class Combination(StrEnum):
    """How blocks make one kernel: a weighted sum of kernels, or one kernel of the joint separation."""

    SUM = "sum"
    JOINT = "joint"


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelTerm:
    """One feature block's part in a kernel: length scale > 0 in units of its features, weight >= 0 in the prior variance.

    The weight is 1 in a joint kernel, whose formula has none.
    """

    block: str
    length_scale: float
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not (are_finite([self.length_scale]) and self.length_scale > 0.0):
            expected = f"a positive length scale for block {self.block!r}"
            raise InvalidSettingError(f"Expected {expected}, found {self.length_scale!r}.")
        if not (are_finite([self.weight]) and self.weight >= 0.0):
            raise InvalidSettingError(f"Expected a weight >= 0 for block {self.block!r}, found {self.weight!r}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """A covariance function over named feature blocks, with one term for each.

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
        """Covariances in units of the signal variance, from separations as `shape.metric` says, one array (any shape) per block."""
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


class Mean(StrEnum):
    """The fitted mean under the process: nothing, a constant, or a polynomial in composition."""

    ZERO = "zero"
    CONSTANT = "constant"
    LINEAR = "linear"
    QUADRATIC = "quadratic"

    @property
    def degree(self) -> int:
        """Of the polynomial; -1 for none."""
        return list(Mean).index(self) - 1

    def n_coefficients(self, n_fractions: int = 1) -> int:
        """Number of basis functions p at compositions of so many fractions."""
        return comb(n_fractions + self.degree, n_fractions) if self.degree >= 0 else 0

    def determined_by(self, fractions: FloatArray) -> "Mean":
        """This mean, or the richest below it that compositions (n, k) determine without any one of them."""
        compositions, means = np.unique(fractions, axis=0), list(Mean)[: list(Mean).index(self) + 1]
        return next(mean for mean in reversed(means) if mean.degree <= 0 or mean.is_determined_by(compositions))

    def is_determined_by(self, compositions: FloatArray) -> bool:
        """Whether different compositions (n, k) determine every coefficient, without any one of them.

        For k = 1 their number says so; above, some may lie in one line or curve.
        """
        n, n_fractions = compositions.shape
        if n <= self.n_coefficients(n_fractions) or n_fractions == 1:
            return bool(n > self.n_coefficients(n_fractions))
        left, sizes, _ = np.linalg.svd(self.basis(n, compositions), full_matrices=False)
        return bool(sizes[-1] > _FLAT * sizes[0] and (left**2).sum(axis=1).max() < 1.0 - _FLAT)

    def basis(self, n: int, composition: FloatArray | None) -> FloatArray:
        """The basis functions 1, x_i, x_i x_j as far as they are in use, at n structures: shape (n, p).

        Args:
            composition: Atomic fractions (n, k) of the elements after the first, or (n,) of the second of two.
        """
        shape = None if composition is None else composition.shape
        if shape is None and self.degree <= 0:
            return np.ones((n, self.n_coefficients()))
        if composition is None or len(composition.shape) > 2 or len(composition) != n:
            raise InvalidTrainingSetError(
                f"Expected a composition for each of {n} structures ({self} mean), found shape {shape}."
            )
        columns = composition.reshape(n, -1)
        if columns.shape[1] == 1:
            return np.asarray(columns ** np.arange(self.degree + 1))
        terms = [
            np.array(factors, dtype=np.intp)
            for degree in range(self.degree + 1)
            for factors in combinations_with_replacement(range(columns.shape[1]), degree)
        ]
        return np.stack([columns[:, factors].prod(axis=1) for factors in terms], axis=1).reshape(n, len(terms))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    """One complete setting of a model.

    Attributes:
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


class BlockKernels:
    """Kernels of any length scales and weights on the same separations: settings close to each other share most blocks.

    These are kept, unless there are so many labels that they take more memory than time.
    """

    def __init__(self, separations: Representations, *, is_kept: bool = True) -> None:
        self._separations, self._is_kept = separations, is_kept
        self._blocks: dict[tuple[str, str, float, KernelShape], FloatArray] = {}

    def matrix(self, kernel: Kernel, representation: str) -> FloatArray:
        """The kernel's covariances, a new array like the separations, down to its order in memory."""
        separations = self._separations[representation]
        if kernel.combination is Combination.JOINT:
            return kernel(separations)
        first, *others = (term for term in kernel.terms if term.weight)
        total: FloatArray = first.weight * self._alone(kernel, first, representation)
        for term in others:
            total += term.weight * self._alone(kernel, term, representation)
        return total

    def _alone(self, kernel: Kernel, term: KernelTerm, representation: str) -> FloatArray:
        key = (representation, term.block, term.length_scale, kernel.shape)
        if key in self._blocks:
            return self._blocks[key]
        found = kernel.alone(term, self._separations[representation])
        if self._is_kept:
            self._blocks[key] = found
        return found
