"""Grids, panels and the two steps of broadening."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from hullscout.errors import InvalidSettingError
from hullscout.mbtr import MBTR, Term
from hullscout.mbtr.axis import N_MOMENTS, bin_centers, bin_edges, broadening_matrix, panels_of, response


def distance_term(**changes):
    return Term(**({"k": 2, "geometry": "distance", "grid": (1.0, 6.0, 25), "sigma": 0.2, "cutoff": 6.0} | changes))


def interpolated(term, g, sigma):
    """Return what the moments of one value of unit weight give."""
    panels = panels_of(term)
    if not panels.edges[0] <= g <= panels.edges[-1]:
        return np.zeros(term.n_x)
    panel = int(np.clip(np.searchsorted(panels.edges, g, side="right") - 1, 0, len(panels.middle) - 1))
    t = (g - panels.middle[panel]) * panels.inverse_half[panel]
    rows = broadening_matrix(term, sigma).reshape(len(panels.middle), N_MOMENTS, -1)[panel]
    return t ** np.arange(N_MOMENTS) @ rows


@settings(max_examples=60, deadline=None)
@given(
    g=st.floats(0.5, 7.0),
    distribution=st.sampled_from(["normal", "laplace", "uniform"]),
    value=st.sampled_from(["average", "density"]),
    fraction=st.floats(0.5, 2.0),
)
def test_panels_reproduce_every_distribution_at_every_planned_width(g, distribution, value, fraction):
    sigma = 0.2 if distribution == "uniform" else 0.2 * fraction
    term = distance_term(distribution=distribution, value=value)
    expected = response(term, np.array([g]), sigma)[0]
    if distribution == "uniform" and value == "density":
        jumps = np.abs(np.abs(bin_centers(term) - g) - math.sqrt(3) * sigma)
        expected = np.where(jumps < 1e-9, interpolated(term, g, sigma), expected)
    np.testing.assert_allclose(interpolated(term, g, sigma), expected, atol=2e-11 / sigma)


@pytest.mark.parametrize("distribution", ["normal", "laplace", "uniform"])
def test_average_is_the_integral_of_the_density_over_the_bin(distribution):
    average, density = (distance_term(distribution=distribution, value=value) for value in ("average", "density"))
    edges = bin_edges(average)
    g = 3.03
    found = response(average, np.array([g]), 0.2)[0]
    for b in (9, 10, 11):
        kinks = [x for x in (g, g - math.sqrt(3) * 0.2, g + math.sqrt(3) * 0.2) if edges[b] < x < edges[b + 1]]

        def at(x):
            one = distance_term(distribution=distribution, value="density", grid=(x - 0.5, x + 0.5, 3))
            return response(one, np.array([g]), 0.2)[0, 1]

        integral = quad(at, edges[b], edges[b + 1], points=kinks or None)[0]
        assert found[b] == pytest.approx(integral / (edges[b + 1] - edges[b]), abs=1e-9)
    assert response(density, np.array([g]), 0.2).shape == (1, 25)


@pytest.mark.parametrize("distribution", ["normal", "laplace", "uniform"])
def test_sigma_is_the_standard_deviation_and_the_total_is_one(distribution):
    term = Term(k=2, geometry="distance", grid=(-20.0, 26.0, 4600), sigma=0.5, distribution=distribution)
    x, y = bin_centers(term), response(term, np.array([3.0]), 0.5)[0]
    dx = x[1] - x[0]
    assert y.sum() * dx == pytest.approx(1.0, abs=1e-9)
    assert math.sqrt((y * (x - 3.0) ** 2).sum() * dx) == pytest.approx(0.5, rel=1e-3)


def test_bins_fill_the_grid_and_points_end_on_it():
    np.testing.assert_allclose(bin_edges(distance_term(grid=(0.0, 4.0, 4))), [0, 1, 2, 3, 4])
    np.testing.assert_allclose(bin_centers(distance_term(grid=(0.0, 3.0, 4), placement="points")), [0, 1, 2, 3])


def test_another_width_from_the_counts_equals_a_term_of_that_width(structure_of):
    structures = [structure_of(seed) for seed in range(3)]
    for distribution in ("normal", "laplace"):
        counts = MBTR(("Ag", "Pd"), (distance_term(distribution=distribution),)).count(structures)
        for sigma in (0.1, 0.13, 0.4):
            again = MBTR(("Ag", "Pd"), (distance_term(distribution=distribution, sigma=sigma),)).transform(structures)
            np.testing.assert_allclose(counts.features({"k2": sigma}), again, atol=1e-10 * again.max())


def test_uniform_widths_that_were_named_are_exact(structure_of):
    structures = [structure_of(seed) for seed in range(3)]
    named = distance_term(distribution="uniform", sigmas=(0.1, 0.3))
    again = distance_term(distribution="uniform", sigma=0.3)
    found = MBTR(("Ag", "Pd"), (named,)).count(structures).features({"k2": 0.3})
    expected = MBTR(("Ag", "Pd"), (again,)).transform(structures)
    np.testing.assert_allclose(found, expected, atol=1e-12 * expected.max())


def test_widths_that_were_not_planned_are_refused(structure_of):
    counts = MBTR(("Ag", "Pd"), (distance_term(),)).count([structure_of(0)])
    with pytest.raises(InvalidSettingError, match=r"sigma of k2 must lie in \[0.1, 0.4\], found 0.01"):
        counts.features({"k2": 0.01})
    with pytest.raises(InvalidSettingError, match="sigma names unknown terms"):
        counts.features({"k3": 0.2})
    uniform = MBTR(("Ag", "Pd"), (distance_term(distribution="uniform"),)).count([structure_of(0)])
    with pytest.raises(InvalidSettingError, match="must be one of"):
        uniform.features({"k2": 0.1})


def test_weight_outside_the_grid_is_reported_as_a_fraction():
    from ase import Atoms

    dimers = [Atoms("Ag2", [[0, 0, 0], [0, 0, d]]) for d in (2.0, 5.5, 50.0)]
    chain = Atoms("Ag3", [[0, 0, 0], [0, 0, 2.0], [0, 0, 4.0]])
    term = Term(k=2, geometry="distance", grid=(1.0, 3.0, 10), sigma=0.1)
    outside = MBTR(("Ag",), (term,), max_outside=1.0).count([*dimers, chain, Atoms("Ag")]).outside()["k2"]
    np.testing.assert_allclose(outside, [0.0, 1.0, 1.0, 1 / 3, 0.0])
