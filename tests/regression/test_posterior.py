"""Samples of the posterior have its mean, covariance and tails."""

import numpy as np
import pytest

from hullscout.regression import KernelModel, MixturePosterior


def posterior(**changes):
    root = np.random.default_rng(0).normal(size=(3, 3))
    values = {
        "weights": np.array([0.75, 0.25]),
        "means": np.array([[0.0, 1.0, 2.0], [1.0, 1.0, 1.0]]),
        "covariances": np.stack([root @ root.T, np.eye(3)]),
        "scale": 1.3,
        "degrees_of_freedom": np.inf,
    }
    return MixturePosterior(**{**values, **changes})


def test_gaussian_samples_have_the_mixtures_moments():
    mixture = posterior()
    samples = mixture.sample(200_000, np.random.default_rng(1))
    np.testing.assert_allclose(samples.mean(axis=0), mixture.mean, atol=0.03)
    np.testing.assert_allclose(np.cov(samples.T), mixture.covariance, rtol=0.05, atol=0.05)
    np.testing.assert_allclose(mixture.std**2, np.diag(mixture.covariance))


def test_heavy_tails_widen_extremes_and_keep_correlations():
    light, heavy = (
        posterior(weights=np.array([1.0, 0.0])),
        posterior(weights=np.array([1.0, 0.0]), degrees_of_freedom=4.0),
    )
    a, b = (mixture.sample(100_000, np.random.default_rng(2)) for mixture in (light, heavy))
    assert np.quantile(b[:, 0], 0.999) > 1.5 * np.quantile(a[:, 0], 0.999)
    np.testing.assert_allclose(np.corrcoef(a.T), np.corrcoef(b.T), atol=0.06)


def test_coinciding_candidates_can_be_sampled():
    one = np.array([[1.0, 1.0], [1.0, 1.0]])
    mixture = posterior(weights=np.ones(1), means=np.zeros((1, 2)), covariances=one[None])
    samples = mixture.sample(100, np.random.default_rng(3))
    np.testing.assert_allclose(samples[:, 0], samples[:, 1], atol=1e-7)


def test_same_generator_gives_the_same_samples():
    first, second = (posterior().sample(10, np.random.default_rng([4, 7])) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_posterior_marginals_are_the_predictions(alloy):
    X, y, _, blocks = alloy
    model = KernelModel(blocks=blocks).fit(X[:50], y[:50])
    mixture = model.posterior(X[50:60])
    mean, std = model.predict(X[50:60], return_std=True)
    assert len(mixture.weights) > 1
    assert mixture.weights.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(mixture.mean, mean, atol=1e-10)
    np.testing.assert_allclose(mixture.std, std, rtol=1e-6)
