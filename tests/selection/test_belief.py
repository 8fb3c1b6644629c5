"""What is believed of the hull, held against hulls built one by one."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2
from scipy.stats import t as student
from views import known_of

from hullscout.hull import lower_hull
from hullscout.regression import MixturePosterior
from hullscout.selection import Belief
from hullscout.selection.belief import _tail_quantiles, heavy_tailed_samples
from hullscout.selection.sample_kernels import (
    chain_of,
    count_vertices,
    evaluate_hulls,
    hulls_at,
    vertex_shares,
    widen,
)


def belief_of(x, energies, *, sampled, others=((), ()), n_contenders=None):
    """A belief where the pure elements and the structure at x = 0.5, the first three candidates, are known."""
    heights, scales = (np.asarray(values, dtype=np.float64) for values in others)
    n, at = len(x), np.append(x, np.full(heights.size, 0.5))
    known = known_of(at, np.append([0.0, -0.1, 0.0], np.zeros(at.size - 3)), [0, 1, 2])
    return Belief(
        known=known,
        mean_ev_per_atom=np.append(np.zeros(n), -0.1 + heights),
        # Of the same tails, so that scales are taken as they are.
        std_ev_per_atom=np.append(np.ones(n), scales),
        degrees_of_freedom=4.0,
        left_out_mean_ev_per_atom=np.zeros(3),
        left_out_std_ev_per_atom=np.ones(3),
        is_learned=True,
        model_error_ev_per_atom=0.0,
        n_contenders=len(sampled) if n_contenders is None else n_contenders,
        sampled=np.asarray(sampled, dtype=np.intp),
        sampled_ev_per_atom=np.asarray(energies, dtype=np.float64),
        others=np.arange(n, at.size),
    )


@pytest.fixture(scope="module")
def samples():
    """Twelve points at six compositions, some of them equal, in 40 samples."""
    rng = np.random.default_rng(2)
    x = np.concatenate([[0.0, 1.0], rng.choice([0.2, 0.25, 0.5, 0.75], size=10)])
    energies = rng.normal(0.0, 0.1, size=(40, 12))
    energies[:, :2] = 0.0
    energies[:, 5] = energies[:, 4]
    return x, energies


def test_vertices_of_all_samples_are_those_of_each(samples):
    x, energies = samples
    expected = np.zeros(12)
    for row in energies:
        expected[lower_hull(x, row).indices] += 1 / 40
    np.testing.assert_allclose(vertex_shares(x, energies, tolerance=1e-9), expected)


def test_hulls_of_all_samples_are_those_of_each(samples):
    x, energies = samples
    at = np.linspace(0.0, 1.0, 23)
    expected = [lower_hull(x, row).energy_at(at) for row in energies]
    np.testing.assert_allclose(hulls_at(x, energies, at), expected, atol=1e-12)


def test_compiled_kernels_equal_their_source(samples):
    x, energies = samples
    order = np.argsort(x, kind="stable")
    x, energies = x[order], np.ascontiguousarray(energies[:, order])
    chains = [np.zeros(12, dtype=np.int64) for _ in range(2)]
    sizes = [
        kernel(x, energies[0], 1e-9, chain) for kernel, chain in zip((chain_of, chain_of.py_func), chains, strict=True)
    ]
    assert sizes[0] == sizes[1]
    np.testing.assert_array_equal(*chains)
    np.testing.assert_array_equal(count_vertices(x, energies, 1e-9), count_vertices.py_func(x, energies, 1e-9))
    at = np.linspace(0.0, 1.0, 5)
    np.testing.assert_array_equal(evaluate_hulls(x, energies, at), evaluate_hulls.py_func(x, energies, at))


def test_a_known_vertex_far_below_every_contender_is_on_the_hull_for_sure():
    energies = np.random.default_rng(0).normal(0.1, 0.01, size=(500, 2))
    belief = belief_of([0.0, 0.5, 1.0, 0.3, 0.7], energies, sampled=[3, 4])
    np.testing.assert_array_equal(belief.probability_on_hull, [1.0, 1.0, 1.0, 0.0, 0.0])
    np.testing.assert_array_equal(belief.expected_lowering_ev_per_atom, np.zeros(5))
    assert belief.probability_of_deeper(0.001) == pytest.approx(1 / 500), "500 samples cannot tell less from none"
    assert replace(belief, n_contenders=0).probability_of_deeper(0.001) == 0.0


def test_probabilities_are_shares_of_the_samples():
    energies = [
        [-0.2],
        [-0.2],
        [-0.0601],
        [0.3],
    ]  # today's hull is -0.06 at x = 0.3; -0.2 also takes x = 0.5 off the hull
    belief = belief_of([0.0, 0.5, 1.0, 0.3], energies, sampled=[3])
    np.testing.assert_allclose(belief.probability_on_hull, [1.0, 0.5, 1.0, 0.75])
    assert belief.probability_of_deeper(0.001) == 0.5
    assert belief.probability_of_deeper(0.00001) == 0.75
    assert belief.expected_lowering_ev_per_atom[3] == pytest.approx((0.14 + 0.14 + 0.0001) / 4)


def test_contenders_that_were_not_sampled_count_by_their_own_tails():
    heights, scales = [0.02, 0.05], [0.01, 0.02]
    energies = np.full((10, 1), 0.3)
    energies[:2] = -0.3
    belief = belief_of([0.0, 0.5, 1.0, 0.3], energies, sampled=[3], others=(heights, scales), n_contenders=3)
    each = student(4).cdf([-0.021 / 0.01, -0.051 / 0.02])
    assert belief.probability_of_deeper(0.001) == pytest.approx(1 - 0.8 * (1 - each[0]) * (1 - each[1]))


def test_the_band_holds_the_share_of_the_hulls_that_it_says():
    rng = np.random.default_rng(1)
    energies = rng.normal(-0.12, 0.02, size=(4000, 1))
    belief = belief_of([0.0, 0.5, 1.0, 0.5], energies, sampled=[3])
    low, middle, high = belief.band_ev_per_atom(np.array([0.0, 0.5, 1.0]))
    assert low[1] == pytest.approx(-0.12 - 1.96 * 0.02, abs=0.003)
    assert middle[1] == pytest.approx(-0.12, abs=0.002)
    assert high[1] == -0.1
    assert low[0] == high[0] == low[2] == high[2] == 0.0


def test_samples_have_the_stated_interval_heavier_tails_and_the_posterior_s_correlation():
    covariance = np.array([[4.0, 3.0, 0.0], [3.0, 4.0, 0.0], [0.0, 0.0, 1e-4]])
    posterior = MixturePosterior(
        weights=np.ones(1),
        means=np.array([[0.0, 1.0, -5.0]]),
        covariances=covariance[None],
        scale=1.3,
        degrees_of_freedom=np.inf,
    )
    samples = heavy_tailed_samples(posterior, 400_000, np.random.default_rng(0), degrees_of_freedom=4.0)
    stds = 1.3 * np.sqrt(np.diag(covariance))
    believed = student(np.inf).ppf(0.975) * stds
    np.testing.assert_allclose(np.median(samples, axis=0), [0.0, 1.0, -5.0], atol=0.02)
    z = (samples - posterior.means) / believed
    np.testing.assert_allclose((np.abs(z) < 1.0).mean(axis=0), 0.95, atol=0.002)
    for p in (0.01, 0.001, 0.0001):
        expected = student(4.0).ppf(1 - p) / student(4.0).ppf(0.975)
        np.testing.assert_allclose((z > expected).mean(axis=0), p, rtol=0.3, err_msg=f"{p}")
    # Signs of a bivariate Gaussian agree by 1/2 + arcsin(rho) / pi; factors of their own do not change them.
    np.testing.assert_allclose((z[:, 0] * z[:, 1] > 0).mean(), 0.5 + np.arcsin(0.75) / np.pi, atol=0.004)
    np.testing.assert_allclose((z[:, 0] * z[:, 2] > 0).mean(), 0.5, atol=0.004)
    wide = np.abs(z) > 2.0
    assert np.mean(wide[:, 0] & wide[:, 2]) == pytest.approx(wide[:, 0].mean() * wide[:, 2].mean(), rel=0.2)


@pytest.mark.parametrize("degrees_of_freedom", [1.0, 4.0, 11.0, 30.0, 1e6])
def test_tails_from_a_table_are_those_of_chi_squared(degrees_of_freedom):
    probabilities = (np.arange(2**16) + 0.5) / 2**16
    exact = np.sqrt(degrees_of_freedom / chi2(degrees_of_freedom).isf(probabilities))
    np.testing.assert_allclose(_tail_quantiles(degrees_of_freedom), exact, rtol=2e-4)


def test_components_of_a_posterior_are_sampled_by_weight():
    posterior = MixturePosterior(
        weights=np.array([0.75, 0.25]),
        means=np.array([[0.0], [10.0]]),
        covariances=np.full((2, 1, 1), 1e-6),
        scale=1.0,
        degrees_of_freedom=np.inf,
    )
    samples = heavy_tailed_samples(posterior, 20_000, np.random.default_rng(0), degrees_of_freedom=4.0)
    assert np.mean(samples > 5.0) == pytest.approx(0.25, abs=0.02)


def test_the_kernel_that_widens_equals_its_source():
    rng = np.random.default_rng(0)
    deviations, places = rng.normal(size=(5, 2)).astype(np.float32), rng.integers(0, 3, size=(5, 2), dtype=np.uint16)
    written = [np.empty((5, 2)) for _ in range(2)]
    for kernel, samples in zip((widen, widen.py_func), written, strict=True):
        kernel(deviations, np.array([1.0, 2.0, 4.0], dtype=np.float32), places, 0.1, np.array([0.0, 1.0]), samples)
    np.testing.assert_allclose(*written, rtol=1e-6)
