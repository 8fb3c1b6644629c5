"""Closed-form leave-one-out equals leaving out, for every mean and group; the likelihood equals scikit-learn's."""

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel

from hullscout.errors import InvalidTrainingSetError
from hullscout.regression import Mean
from hullscout.regression.process import (
    RestrictedLikelihood,
    condition,
    leave_out,
    log_marginal_likelihood,
    spectrum,
)

STRENGTHS = np.array([1e-6, 1e-3, 1.0])


@pytest.fixture
def problem(smooth):
    X, y = smooth
    X, y = X[:25], y[:25]
    squared = np.sum((X[:, None] - X[None]) ** 2, axis=-1)
    return np.exp(-squared / 18.0), y, np.random.default_rng(3).random(25)


@pytest.mark.parametrize("mean", Mean)
def test_closed_form_equals_leaving_each_label_out(problem, mean):
    kernel, y, x = problem
    basis = mean.basis(len(y), x)
    found = leave_out(spectrum(kernel, basis), y, STRENGTHS)
    for place, strength in enumerate(STRENGTHS):
        for label in range(0, len(y), 6):
            rest = np.delete(np.arange(len(y)), label)
            process = condition(kernel[np.ix_(rest, rest)], basis[rest], y[rest], regularization=strength)
            predicted, variance = process.predict(kernel[rest][:, [label]], np.ones(1), basis[[label]])
            assert found.residuals[label, place] == pytest.approx(y[label] - predicted[0], abs=1e-8)
            assert found.variances[label, place] == pytest.approx(variance[0] + strength, rel=1e-6)


def test_closed_form_equals_leaving_a_group_out(problem):
    kernel, y, x = problem
    basis = Mean.CONSTANT.basis(len(y), x)
    group = np.array([2, 7, 11])
    found = leave_out(spectrum(kernel, basis), y, STRENGTHS, groups=[group])
    rest = np.setdiff1d(np.arange(len(y)), group)
    for place, strength in enumerate(STRENGTHS):
        process = condition(kernel[np.ix_(rest, rest)], basis[rest], y[rest], regularization=strength)
        predicted, variances = process.predict(kernel[np.ix_(rest, group)], np.ones(3), basis[group])
        np.testing.assert_allclose(found.residuals[group, place], y[group] - predicted, atol=1e-8)
        np.testing.assert_allclose(found.variances[group, place], variances + strength, rtol=1e-6)
    assert found.counts[group].sum() == pytest.approx(1.0)


@pytest.mark.parametrize("mean", Mean)
def test_leaving_out_from_the_factor_is_that_from_the_eigenvalues(problem, mean):
    kernel, y, x = problem
    basis, groups = mean.basis(len(y), x), [np.array([2, 7, 11]), np.array([4, 5])]
    for strength in STRENGTHS:
        found = condition(kernel, basis, y, regularization=strength).left_out(groups)
        expected = leave_out(spectrum(kernel, basis), y, np.array([strength]), groups=groups)
        np.testing.assert_allclose(found.residuals, expected.residuals, atol=1e-9)
        np.testing.assert_allclose(found.variances, expected.variances, rtol=1e-7)
        np.testing.assert_array_equal(found.counts, expected.counts)


def test_zero_mean_likelihood_is_scikit_learns(smooth):
    X, y = smooth
    squared = np.sum((X[:, None] - X[None]) ** 2, axis=-1)
    kernel, strength = np.exp(-0.5 * squared / 1.5**2), 1e-3
    found = log_marginal_likelihood(spectrum(kernel, np.zeros((len(y), 0))), y, np.array([strength]))
    signal = float(y @ np.linalg.solve(kernel + strength * np.eye(len(y)), y)) / len(y)
    reference = GaussianProcessRegressor(ConstantKernel(signal) * RBF(1.5), alpha=strength * signal, optimizer=None)
    assert found[0] == pytest.approx(reference.fit(X, y).log_marginal_likelihood_value_, abs=1e-8)


def test_restricted_likelihood_does_not_see_the_mean(problem):
    kernel, y, x = problem
    decomposition = spectrum(kernel, Mean.LINEAR.basis(len(y), x))
    np.testing.assert_allclose(
        log_marginal_likelihood(decomposition, y, STRENGTHS),
        log_marginal_likelihood(decomposition, y + 3.0 - 2.0 * x, STRENGTHS),
        rtol=1e-9,
    )


@pytest.mark.parametrize("mean", Mean)
@pytest.mark.parametrize("n", [4, 5, 25])
def test_the_tridiagonal_likelihood_is_that_of_the_eigenvalues(problem, mean, n):
    kernel, y, x = (part[..., :n] for part in problem)
    kernel, basis = kernel[:n], mean.basis(n, x)
    np.testing.assert_allclose(
        RestrictedLikelihood(basis=basis, y=y, regularizations=STRENGTHS).logarithms(kernel),
        log_marginal_likelihood(spectrum(kernel, basis), y, STRENGTHS),
        rtol=1e-9,
    )


def test_a_kernel_that_is_singular_to_rounding_has_a_likelihood_all_the_same():
    kernel, y = np.add.outer(np.arange(8.0), np.arange(8.0)) + 0.3, np.arange(8.0) ** 2
    kernel = kernel @ kernel.T
    strengths = np.array([1e-18, 1.0])
    found = RestrictedLikelihood(basis=np.zeros((8, 0)), y=y, regularizations=strengths).logarithms(kernel)
    np.testing.assert_array_equal(found, log_marginal_likelihood(spectrum(kernel, np.zeros((8, 0))), y, strengths))


def test_no_covariance_has_no_likelihood():
    likelihood = RestrictedLikelihood(basis=np.zeros((3, 0)), y=np.arange(3.0), regularizations=STRENGTHS)
    with pytest.raises(InvalidTrainingSetError, match="singular beyond rounding"):
        likelihood.logarithms(np.array([[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))


def test_a_matrix_that_is_no_covariance_is_refused():
    with pytest.raises(InvalidTrainingSetError, match="singular beyond rounding"):
        spectrum(np.array([[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), np.zeros((3, 0)))


def test_a_mean_that_one_label_fixes_is_refused():
    basis = Mean.LINEAR.basis(4, np.array([0.0, 0.0, 0.0, 1.0]))
    with pytest.raises(InvalidTrainingSetError, match="label 3 alone"):
        leave_out(spectrum(np.eye(4), basis), np.arange(4.0), STRENGTHS)


def test_a_mean_that_one_group_fixes_is_refused():
    basis = Mean.LINEAR.basis(5, np.array([0.0, 0.0, 0.0, 1.0, 1.0]))
    with pytest.raises(InvalidTrainingSetError, match="without group"):
        leave_out(spectrum(np.eye(5), basis), np.arange(5.0), STRENGTHS, groups=[np.array([3, 4])])


def test_one_composition_cannot_fix_a_linear_mean():
    with pytest.raises(InvalidTrainingSetError, match="Label more compositions"):
        spectrum(np.eye(4), Mean.LINEAR.basis(4, np.full(4, 0.5)))
