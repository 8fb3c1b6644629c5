"""Compiled kernels against the same functions in plain Python."""

import numpy as np
import pytest

from hullscout.mbtr import Term
from hullscout.mbtr.axis import N_MOMENTS, panels_of
from hullscout.mbtr.channels import channel_table
from hullscout.mbtr.counting import closest_distances, search_range, searched, term_codes
from hullscout.mbtr.kernels import (
    count_angles,
    count_chains,
    count_pairs,
    decay,
    deposit,
    find_panel,
    taper_factor,
)
from hullscout.mbtr.slope_kernels import angle_slopes, decay_slope, pair_slopes, taper_slope
from hullscout.mbtr.structures import read_structures
from hullscout.neighbors import find_neighbors

RUNNING = np.zeros(1, dtype=np.bool_)
TERMS = {
    2: Term(k=2, geometry="inverse_distance", grid=(0.1, 0.8, 9), sigma=0.1, cutoff=4.0, weighting="inverse_square"),
    3: Term(k=3, geometry="angle", grid=(0.0, 3.0, 9), sigma=0.3, cutoff=3.0, weighting="exponential", scale=0.5),
    4: Term(k=4, geometry="dihedral", grid=(0.0, 3.0, 9), sigma=0.3, cutoff=2.5, taper="polynomial"),
}


@pytest.fixture
def batch(structure_of):
    return read_structures([structure_of(1, 2), structure_of(2, 3, (True, True, False))], (47, 46))


@pytest.mark.parametrize(("k", "kernel"), [(2, count_pairs), (3, count_angles), (4, count_chains)])
def test_compiled_counting_equals_plain_python(batch, k, kernel):
    term = TERMS[k]
    radii, most = search_range(batch, term, closest_distances(batch))
    search = searched(batch)
    (found,) = find_neighbors(search, radii, 0, len(batch.species), RUNNING)
    assert found.most == most.max()
    atoms = (batch.species, search.owners)
    n_channels = int(channel_table(2, k).max()) + 1
    rows = np.arange(2 * n_channels).reshape(2, n_channels)
    results = []
    for function in (kernel, kernel.py_func):
        moments = np.zeros((rows.size, len(panels_of(term).middle), N_MOMENTS))
        lost = np.zeros(2)
        function(found, found.most, *atoms, term_codes(term, 2), panels_of(term), rows, moments, lost, RUNNING)
        results.append((moments, lost))
    assert np.max(results[0][0]) > 0
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("k", "kernel"), [(2, pair_slopes), (3, angle_slopes)])
def test_compiled_slopes_equal_plain_python(batch, k, kernel):
    term = TERMS[k]
    radii, _ = search_range(batch, term, closest_distances(batch))
    n = int(batch.offsets[1])
    (found,) = find_neighbors(searched(batch), radii, 0, n, RUNNING)
    results = []
    for function in (kernel, kernel.py_func):
        slopes = np.zeros((3 * n + 9, int(channel_table(2, k).max()) + 1, len(panels_of(term).middle), N_MOMENTS))
        function(found, found.most, batch.species, term_codes(term, 2), panels_of(term), slopes, RUNNING)
        results.append(slopes)
    assert np.max(np.abs(results[0])) > 0
    np.testing.assert_allclose(results[0], results[1], rtol=1e-11, atol=1e-12)


def test_small_functions_equal_plain_python():
    for code in range(4):
        assert decay(1.7, code, 0.3) == pytest.approx(decay.py_func(1.7, code, 0.3), rel=1e-14)
    for code in range(3):
        for d in (0.5, 2.0, 3.0):
            assert taper_factor(d, code, 2.5, 2.0) == pytest.approx(taper_factor.py_func(d, code, 2.5, 2.0), rel=1e-14)


def test_slopes_of_weights_are_their_derivatives():
    h = 1e-5
    for code in range(4):
        expected = (decay(1.7 + h, code, 0.3) - decay(1.7 - h, code, 0.3)) / (2 * h)
        assert decay_slope(1.7, code, 0.3) == decay_slope.py_func(1.7, code, 0.3) == pytest.approx(expected, rel=1e-8)
    for code in range(3):
        for d in (0.5, 2.0, 3.0):
            expected = (taper_factor(d + h, code, 2.5, 2.0) - taper_factor(d - h, code, 2.5, 2.0)) / (2 * h)
            assert taper_slope(d, code, 2.5, 2.0) == pytest.approx(expected, rel=1e-8)
            assert taper_slope.py_func(d, code, 2.5, 2.0) == pytest.approx(expected, rel=1e-8)


def test_panels_are_found_as_by_bisection():
    panels = panels_of(TERMS[2])
    for g in np.linspace(panels.edges[0], panels.edges[-1], 50):
        expected = min(np.searchsorted(panels.edges, g, side="right") - 1, len(panels.middle) - 1)
        assert find_panel(g, panels) == find_panel.py_func(g, panels) == expected
    assert find_panel(1e6, panels) == find_panel.py_func(1e6, panels) == -1


def test_deposit_returns_the_weight_that_no_panel_holds():
    panels = panels_of(TERMS[2])
    moments = np.zeros((1, len(panels.middle), N_MOMENTS))
    zero = np.zeros(2, dtype=np.int64)
    missed = deposit(moments, zero, zero, np.array([0.3, 1e6]), np.array([2.0, 5.0]), 2, panels)
    assert missed == 5.0
    assert moments[0, :, 0].sum() == 2.0
