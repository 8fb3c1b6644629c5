"""The search for neighbours: against its own Python, against ASE's neighbour list, in every choice of cell."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from hullscout import neighbors
from hullscout.lattice import reduce_lattice
from hullscout.neighbors import (
    closest_pair,
    find_neighbors,
    list_neighbors,
    nearest_distances,
    prepare_search,
)

PERIODIC = np.ones(3, dtype=np.bool_)


def crystal(seed: int, *, skew: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions, kinds and a skewed cell."""
    rng = np.random.default_rng(seed)
    cell = np.diag([3.5, 4.0, 4.5]) + rng.uniform(-0.8, 0.8, (3, 3))
    positions = rng.uniform(0, 1, (4, 3)) @ cell
    cell[1] += skew * cell[0]
    cell[2] -= skew * cell[1]
    return positions, np.array([0, 1, 1, 0]), cell


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), skew=st.integers(-3, 3))
def test_the_reduced_lattice_is_the_same_lattice_with_no_longer_vectors(seed: int, skew: int) -> None:
    _, _, cell = crystal(seed, skew=skew)
    found, inverse, heights = reduce_lattice.py_func(cell, PERIODIC)
    times = found @ np.linalg.inv(cell)
    np.testing.assert_allclose(times, np.rint(times), atol=1e-8)
    assert abs(np.linalg.det(times)) == pytest.approx(1.0)
    assert np.linalg.norm(found) <= np.linalg.norm(cell) + 1e-12
    np.testing.assert_allclose(found @ inverse, np.eye(3), atol=1e-12)
    assert heights.max() <= np.linalg.norm(found, axis=1).max()


def test_a_much_skewed_lattice_becomes_short() -> None:
    cell = np.array([[1.0, 0.0, 0.0], [7.3, 1.0, 0.0], [-12.2, 5.4, 1.0]])
    found, _, _ = reduce_lattice(cell, PERIODIC)
    assert np.linalg.norm(found, axis=1).max() < 1.5


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    skew=st.integers(-3, 3),
    pbc=st.tuples(*[st.booleans()] * 3),
    radius=st.sampled_from([3.0, 5.0, 9.0]),  # at the last, more neighbours than there is room for at first
)
def test_lists_are_those_of_the_neighbour_list(seed: int, skew: int, pbc: tuple[bool, ...], radius: float) -> None:
    positions, _, cell = crystal(seed, skew=skew)
    starts, others, vectors = list_neighbors(positions, cell, np.array(pbc), radius)
    found = np.column_stack((np.repeat(np.arange(4), np.diff(starts)), others, vectors))
    i, j, expected = neighbor_list("ijD", Atoms("H4", positions=positions, cell=cell, pbc=pbc), radius)
    expected = np.column_stack((i, j, expected))
    assert found.shape == expected.shape
    for rows in (found, expected):
        rows[:] = rows[np.lexsort(rows.round(6).T)]
    np.testing.assert_allclose(found, expected, atol=1e-10)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), skew=st.integers(-3, 3))
def test_the_closest_pair_is_the_one_of_the_neighbour_list(seed: int, skew: int) -> None:
    positions, _, cell = crystal(seed, skew=skew)
    distance, first, second = closest_pair(positions, cell, 3.0)
    i, j, d = neighbor_list("ijd", Atoms("H4", positions=positions, cell=cell, pbc=True), 3.0)
    if len(d) == 0:
        assert (distance, first, second) == (np.inf, 0, 0)
    elif np.linalg.norm(reduce_lattice.py_func(cell, PERIODIC)[0], axis=1).min() >= 3.0:
        best = int(np.argmin(d))
        assert distance == pytest.approx(d[best], abs=1e-10)
        assert {first, second} == {int(i[best]), int(j[best])}
    else:
        assert distance < 3.0


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), skew=st.integers(-2, 2))
def test_nearest_distances_are_those_of_the_neighbour_list(seed: int, skew: int) -> None:
    positions, kinds, cell = crystal(seed, skew=skew)
    found = nearest_distances(positions, cell, kinds, 12)
    i, j, d = neighbor_list("ijd", Atoms("H4", positions=positions, cell=cell, pbc=True), float(found.max()) + 0.1)
    for atom in range(4):
        for kind in range(2):
            expected = np.sort(d[(i == atom) & (kinds[j] == kind)])[:12]
            np.testing.assert_allclose(found[atom, kind], expected, atol=1e-10)


def test_a_lattice_vector_below_the_limit_is_an_atom_and_its_image() -> None:
    assert closest_pair(np.zeros((1, 3)), np.diag([0.3, 4.0, 4.0]), 0.5) == (pytest.approx(0.3), 0, 0)


def test_compiled_search_agrees_with_its_python(monkeypatch: pytest.MonkeyPatch) -> None:
    positions, kinds, cell = crystal(5, skew=1)

    def results() -> list[np.ndarray]:
        search = neighbors.prepare_search(positions, cell, np.array([True, True, False]), 5.0)
        vectors, atoms = np.zeros((300, 3)), np.zeros(300, dtype=np.int64)
        n, square = neighbors.find_neighbors(2, search, vectors, atoms)
        return [
            np.array([n, square]),
            vectors,
            atoms,
            *neighbors.list_neighbors(positions, cell, PERIODIC, 9.0),
            np.array(neighbors.closest_pair(positions, cell, 4.0)),
            neighbors.nearest_distances(positions, cell, kinds, 6),
        ]

    compiled = results()
    for name in (
        "reduce_lattice",
        "prepare_search",
        "_note",
        "find_neighbors",
        "_list_neighbors",
        "_note_nearest",
        "_nearest_distances",
        "_closest_pair",
    ):
        monkeypatch.setattr(neighbors, name, getattr(neighbors, name).py_func)
    for one, other in zip(compiled, results(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def test_fcc_has_twelve_nearest_and_six_next_neighbours() -> None:
    half = 2.045
    cell = np.array([[0, half, half], [half, 0, half], [half, half, 0]])
    position = np.zeros((1, 3))
    vectors, atoms = np.zeros((50, 3)), np.zeros(50, dtype=np.int64)
    for radius, expected in ((2.9, 12), (4.1, 18)):
        search = prepare_search(position, cell, PERIODIC, radius)
        n, square = find_neighbors(0, search, vectors, atoms)
        assert n == expected
        assert math.sqrt(square) == pytest.approx(half * math.sqrt(2))


@pytest.mark.parametrize("pbc", [(True, True, True), (True, False, True), (False, True, False), (False, False, False)])
def test_cell_list_finds_what_image_enumeration_finds(pbc: tuple[bool, ...]) -> None:
    rng = np.random.default_rng(3)
    cell = 30.0 * np.eye(3) + 6.0 * rng.uniform(-1, 1, (3, 3))
    n_atoms, radius, periodic = 300, 3.5, np.array(pbc)
    positions = rng.uniform(0, 1, (n_atoms, 3)) @ cell
    positions += np.outer(rng.integers(-1, 2, n_atoms), cell[0])  # also outside the cell
    listed = prepare_search(positions, cell, periodic, radius)
    assert len(listed.members) == n_atoms
    plain = listed._replace(starts=np.empty(0, dtype=np.int64))
    n_found = 0
    for center in range(0, n_atoms, 7):
        results = []
        slowly = find_neighbors if center else find_neighbors.py_func
        for find, search in ((find_neighbors, listed), (slowly, plain), (slowly, listed)):
            vectors, atoms = np.zeros((300, 3)), np.zeros(300, dtype=np.int64)
            n, square = find(center, search, vectors, atoms)
            order = np.lexsort((*vectors[:n].T.round(9), atoms[:n]))
            results.append((atoms[:n][order], vectors[:n][order], square))
        n_found += len(results[0][0])
        for found in results[1:]:
            np.testing.assert_array_equal(results[0][0], found[0])
            np.testing.assert_allclose(results[0][1], found[1], atol=1e-12)
            assert results[0][2] == pytest.approx(found[2], rel=1e-12)
    assert n_found > 20
