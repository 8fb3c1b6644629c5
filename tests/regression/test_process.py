"""The exact process agrees with scikit-learn and says when it is singular."""

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel
from sklearn.kernel_ridge import KernelRidge

from hullscout.errors import InvalidTrainingSetError
from hullscout.regression import Hyperparameters, Kernel, KernelModel, KernelShape, KernelTerm, Mean
from hullscout.regression.process import MAX_JITTER, condition

SETTING = Hyperparameters(
    kernel=Kernel(terms=(KernelTerm(block="all", length_scale=1.7),), shape=KernelShape.GAUSSIAN),
    regularization=1e-3,
    signal_variance=2.5,
)


def test_mean_std_and_covariance_are_those_of_scikit_learn(smooth):
    X, y = smooth
    new = np.random.default_rng(2).normal(size=(8, 5))
    model = KernelModel(mean="zero", hyperparameters=SETTING, uncertainty="function", suspicion=np.inf).fit(X, y)
    reference = GaussianProcessRegressor(ConstantKernel(2.5) * RBF(1.7), alpha=2.5e-3, optimizer=None).fit(X, y)
    mean, covariance = model.predict(new, return_cov=True)
    _, std = model.predict(new, return_std=True)
    expected_mean, expected_covariance = reference.predict(new, return_cov=True)
    np.testing.assert_allclose(mean, expected_mean, atol=1e-8)
    np.testing.assert_allclose(covariance, expected_covariance, atol=1e-8)
    np.testing.assert_allclose(std, reference.predict(new, return_std=True)[1], atol=1e-8)


def test_mean_is_kernel_ridge_regression(smooth):
    X, y = smooth
    new = np.random.default_rng(2).normal(size=(8, 5))
    model = KernelModel(mean="zero", hyperparameters=SETTING, suspicion=np.inf).fit(X, y)
    reference = KernelRidge(kernel="rbf", gamma=0.5 / 1.7**2, alpha=1e-3).fit(X, y)
    np.testing.assert_allclose(model.predict(new), reference.predict(new), atol=1e-8)
    np.testing.assert_allclose(model.fitted_.components[0].process.dual, reference.dual_coef_, atol=1e-8)


def test_variance_is_the_diagonal_of_the_covariance(smooth):
    X, y = smooth
    kernel = np.exp(-np.sum((X[:, None] - X[None]) ** 2, axis=-1) / 10.0)
    basis = np.ones((len(y), 1))
    process = condition(kernel[:40, :40], basis[:40], y[:40], regularization=1e-4)
    _, variance = process.predict(kernel[:40, 40:], np.ones(20), basis[40:])
    _, covariance = process.predict(kernel[:40, 40:], kernel[40:, 40:], basis[40:])
    np.testing.assert_allclose(variance, np.diag(covariance), atol=1e-12)


def test_healthy_matrices_get_no_jitter_and_singular_ones_say_how_much(smooth):
    X, y = smooth
    kernel = np.exp(-np.sum((X[:, None] - X[None]) ** 2, axis=-1) / 10.0)
    basis = np.ones((len(y), 1))
    assert condition(kernel, basis, y, regularization=1e-6).jitter == 0.0
    twice = np.block([[kernel, kernel], [kernel, kernel]])
    jitter = condition(twice, np.ones((120, 1)), np.concatenate([y, y]), regularization=0.0).jitter
    assert 0.0 < jitter <= MAX_JITTER


def test_a_matrix_singular_beyond_the_policy_is_refused():
    with pytest.raises(InvalidTrainingSetError, match="singular with a jitter"):
        condition(np.array([[1.0, 1.1], [1.1, 1.0]]), np.ones((2, 1)), np.arange(2.0), regularization=0.0)


def test_labels_of_one_composition_cannot_fix_a_linear_mean():
    basis = Mean.LINEAR.basis(4, np.full(4, 0.5))
    with pytest.raises(InvalidTrainingSetError, match="determine all 2 coefficients"):
        condition(np.eye(4), basis, np.arange(4.0), regularization=0.1)
