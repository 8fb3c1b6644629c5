"""Compiled kernels against the same functions in plain Python, and the search for neighbours."""

import math

import numpy as np
import pytest

from hullscout.mbtr import Term
from hullscout.mbtr.axis import N_MOMENTS, panels_of
from hullscout.mbtr.chain_kernels import count_chains
from hullscout.mbtr.channels import channel_table
from hullscout.mbtr.counting import closest_distances, search_range, term_codes
from hullscout.mbtr.gradient_kernels import angle_slopes, decay_slope, find_panel, pair_slopes, taper_slope
from hullscout.mbtr.kernels import count_angles, count_pairs, decay, deposit, taper_factor
from hullscout.mbtr.neighbor_kernels import find_neighbors, prepare_search, reduce_lattice, survey
from hullscout.mbtr.structures import read_structures

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
    n_channels = int(channel_table(2, k).max()) + 1
    rows = np.arange(2 * n_channels).reshape(2, n_channels)
    results = []
    for function in (kernel, kernel.py_func):
        moments = np.zeros((rows.size, len(panels_of(term).middle), N_MOMENTS))
        lost = np.zeros(2)
        function(0, 2, batch.arrays, radii, most, term_codes(term, 2), panels_of(term), rows, moments, lost)
        results.append((moments, lost))
    assert np.max(results[0][0]) > 0
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("k", "kernel"), [(2, pair_slopes), (3, angle_slopes)])
def test_compiled_slopes_equal_plain_python(batch, k, kernel):
    term = TERMS[k]
    radii, most = search_range(batch, term, closest_distances(batch))
    n = int(batch.offsets[1])
    results = []
    for function in (kernel, kernel.py_func):
        slopes = np.zeros((3 * n + 9, int(channel_table(2, k).max()) + 1, len(panels_of(term).middle), N_MOMENTS))
        function(
            batch.species[:n],
            batch.positions[:n],
            batch.cells[0],
            batch.pbc[0],
            radii[0],
            most[0],
            term_codes(term, 2),
            panels_of(term),
            slopes,
        )
        results.append(slopes)
    assert np.max(np.abs(results[0])) > 0
    np.testing.assert_allclose(results[0], results[1], rtol=1e-11, atol=1e-12)


def test_compiled_survey_and_search_equal_plain_python(batch):
    results = []
    for function in (survey, survey.py_func):
        most, closest = np.zeros(2, dtype=np.int64), np.zeros(2)
        function(0, 2, batch.arrays, np.array([4.0, 5.0]), most, closest)
        results.append((most.tolist(), closest.tolist()))
    assert results[0] == results[1]
    for prepare, find in ((prepare_search, find_neighbors), (prepare_search.py_func, find_neighbors.py_func)):
        search = prepare(2, 5, batch.positions, batch.cells[1], batch.pbc[1], 5.0)
        vectors, atoms = np.zeros((300, 3)), np.zeros(300, dtype=np.int64)
        n, square = find(2, 2, 5, batch.positions, batch.pbc[1], search, 5.0, vectors, atoms)
        results.append((n, square, np.sort(np.linalg.norm(vectors[:n], axis=1)).round(10).tolist()))
    assert results[2] == results[3]


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


def test_reduced_lattice_spans_the_same_points_and_is_short():
    cell = np.array([[1.0, 0.0, 0.0], [7.3, 1.0, 0.0], [-12.2, 5.4, 1.0]])
    lattice, inverse, heights = reduce_lattice(cell, np.ones(3, dtype=np.bool_))
    steps = lattice @ np.linalg.inv(cell)
    np.testing.assert_allclose(steps, steps.round(), atol=1e-9)
    assert abs(np.linalg.det(lattice)) == pytest.approx(1.0)
    assert np.linalg.norm(lattice, axis=1).max() < 1.5
    np.testing.assert_allclose(lattice @ inverse, np.eye(3), atol=1e-12)
    assert heights.max() <= np.linalg.norm(lattice, axis=1).max()


def test_fcc_has_twelve_nearest_and_six_next_neighbours():
    half = 2.045
    cell = np.array([[0, half, half], [half, 0, half], [half, half, 0]])
    position, periodic = np.zeros((1, 3)), np.ones(3, dtype=np.bool_)
    vectors, atoms = np.zeros((50, 3)), np.zeros(50, dtype=np.int64)
    for radius, expected in ((2.9, 12), (4.1, 18)):
        search = prepare_search(0, 1, position, cell, periodic, radius)
        n, square = find_neighbors(0, 0, 1, position, periodic, search, radius, vectors, atoms)
        assert n == expected
        assert math.sqrt(square) == pytest.approx(half * math.sqrt(2))


@pytest.mark.parametrize("pbc", [(True, True, True), (True, False, True), (False, True, False), (False, False, False)])
def test_cell_list_finds_what_image_enumeration_finds(pbc):
    rng = np.random.default_rng(3)
    cell = 30.0 * np.eye(3) + 6.0 * rng.uniform(-1, 1, (3, 3))
    n_atoms, radius, periodic = 300, 3.5, np.array(pbc)
    positions = rng.uniform(0, 1, (n_atoms, 3)) @ cell
    positions += np.outer(rng.integers(-1, 2, n_atoms), cell[0])  # also outside the cell
    listed = prepare_search(0, n_atoms, positions, cell, periodic, radius)
    assert len(listed.members) == n_atoms
    plain = listed._replace(starts=np.empty(0, dtype=np.int64))
    n_found = 0
    for center in range(0, n_atoms, 7):
        results = []
        slowly = find_neighbors if center else find_neighbors.py_func
        for find, search in ((find_neighbors, listed), (slowly, plain), (slowly, listed)):
            vectors, atoms = np.zeros((300, 3)), np.zeros(300, dtype=np.int64)
            n, square = find(center, 0, n_atoms, positions, periodic, search, radius, vectors, atoms)
            order = np.lexsort((*vectors[:n].T.round(9), atoms[:n]))
            results.append((atoms[:n][order], vectors[:n][order], square))
        n_found += len(results[0][0])
        for found in results[1:]:
            np.testing.assert_array_equal(results[0][0], found[0])
            np.testing.assert_allclose(results[0][1], found[1], atol=1e-12)
            assert results[0][2] == pytest.approx(found[2], rel=1e-12)
    assert n_found > 20
