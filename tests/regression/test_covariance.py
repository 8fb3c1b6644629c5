"""Kernels agree with scikit-learn's and are covariances."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.gaussian_process.kernels import Matern
from sklearn.metrics.pairwise import laplacian_kernel, linear_kernel, rbf_kernel

from hullscout.errors import InvalidSettingError
from hullscout.regression import Combination, Kernel, KernelShape, KernelTerm, Mean, shape_kernels
from hullscout.regression.covariance import separations

SCALE = 1.7
REFERENCES = {
    KernelShape.GAUSSIAN: lambda a, b: rbf_kernel(a, b, gamma=0.5 / SCALE**2),
    KernelShape.LAPLACIAN: lambda a, b: laplacian_kernel(a, b, gamma=1.0 / SCALE),
    KernelShape.MATERN32: Matern(SCALE, nu=1.5),
    KernelShape.MATERN52: Matern(SCALE, nu=2.5),
    KernelShape.LINEAR: lambda a, b: linear_kernel(a, b) / SCALE**2,
}


def matrix(kernel, a, b):
    return kernel({term.block: separations(a, b, metric=kernel.shape.metric) for term in kernel.terms})


@pytest.mark.parametrize("shape", KernelShape)
def test_every_shape_agrees_with_scikit_learn(shape):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(9, 4)), rng.normal(size=(6, 4))
    kernel = Kernel(terms=(KernelTerm(block="all", length_scale=SCALE),), shape=shape)
    np.testing.assert_allclose(matrix(kernel, a, b), REFERENCES[shape](a, b), atol=1e-12)


@pytest.mark.parametrize("shape", [shape for shape in KernelShape if shape is not KernelShape.LINEAR])
@pytest.mark.parametrize("combination", Combination)
@given(seed=st.integers(0, 2**32 - 1), scales=st.tuples(st.floats(0.3, 5.0), st.floats(0.3, 5.0)))
def test_kernel_matrices_are_symmetric_bounded_and_positive(shape, combination, seed, scales):
    rows = np.random.default_rng(seed).normal(size=(7, 3))
    terms = tuple(
        KernelTerm(block=name, length_scale=scale, weight=weight)
        for name, scale, weight in zip(("a", "b"), scales, (0.3, 0.7), strict=True)
    )
    values = matrix(Kernel(terms=terms, shape=shape, combination=combination), rows, rows)
    np.testing.assert_allclose(values, values.T, atol=1e-14)
    assert values.max() <= 1.0 + 1e-12
    assert np.linalg.eigvalsh(values).min() > -1e-10


def test_joint_kernel_is_one_kernel_of_scaled_features():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(8, 4))
    parts = {"a": rows[:, :2], "b": rows[:, 2:]}
    terms = (KernelTerm(block="a", length_scale=2.0), KernelTerm(block="b", length_scale=0.5))
    kernel = Kernel(terms=terms, shape=KernelShape.MATERN52, combination=Combination.JOINT)
    distances = {name: separations(part, part, metric=kernel.shape.metric) for name, part in parts.items()}
    reference = Matern([2.0, 2.0, 0.5, 0.5], nu=2.5)(rows)
    np.testing.assert_allclose(kernel(distances), reference, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: KernelTerm(block="a", length_scale=0.0), "positive length scale"),
        (lambda: KernelTerm(block="a", length_scale=float("nan")), "positive length scale"),
        (lambda: KernelTerm(block="a", length_scale=1.0, weight=-1.0), "weight >= 0"),
        (lambda: Kernel(terms=()), "one or more terms"),
        (lambda: Kernel(terms=(KernelTerm(block="a", length_scale=1.0),) * 2), "distinct blocks"),
        (lambda: Kernel(terms=(KernelTerm(block="a", length_scale=1.0, weight=0.0),)), "positive weight"),
    ],
)
def test_impossible_kernels_are_refused(make, message):
    with pytest.raises(InvalidSettingError, match=message):
        make()


@pytest.mark.parametrize("kernel", [shape_kernels.matern32, shape_kernels.matern52])
def test_compiled_shapes_equal_their_source(kernel):
    separations = np.array([0.0, 1e-9, 0.3, 2.0, 80.0])
    np.testing.assert_allclose(kernel(separations, 1.7), kernel.py_func(separations, 1.7), rtol=1e-14)


def test_a_mean_is_taken_that_the_compositions_determine():
    line = np.array([[0.0, x] for x in np.linspace(0, 1, 9)])
    beside = np.vstack([line, [[1.0, 0.0]]])  # one element apart, of which no compound is known
    grid = np.array([[a, b] for a in (0, 0.25, 0.5, 0.75, 1) for b in (0, 0.25, 0.5, 0.75, 1) if a + b <= 1])
    assert Mean.QUADRATIC.determined_by(beside) is Mean.CONSTANT
    assert Mean.QUADRATIC.determined_by(grid) is Mean.QUADRATIC
    assert Mean.LINEAR.determined_by(grid) is Mean.LINEAR
