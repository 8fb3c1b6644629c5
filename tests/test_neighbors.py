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
    count_neighbors,
    find_neighbors,
    list_neighbors,
    nearest_distances,
    prepare_search,
)

PERIODIC = np.ones(3, dtype=np.bool_)
RUNNING = np.zeros(1, dtype=np.bool_)


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
    found, inverse, heights = reduce_lattice(cell, PERIODIC)
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
    elif np.linalg.norm(reduce_lattice(cell, PERIODIC)[0], axis=1).min() >= 3.0:
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
        return [
            *neighbors.list_neighbors(positions, cell, np.array([True, True, False]), 5.0),
            *neighbors.list_neighbors(positions, cell, PERIODIC, 9.0),
            np.array(neighbors.closest_pair(positions, cell, 4.0)),
            neighbors.nearest_distances(positions, cell, kinds, 6),
        ]

    compiled = results()
    for name in ("find_by_images", "find_by_bins", "note_nearest"):
        monkeypatch.setattr(neighbors, name, getattr(neighbors, name).py_func)
    for one, other in zip(compiled, results(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def test_fcc_has_twelve_nearest_and_six_next_neighbours() -> None:
    half = 2.045
    cell = np.array([[0, half, half], [half, 0, half], [half, half, 0]])
    search = prepare_search(np.array([0, 1]), np.zeros((1, 3)), cell[None], PERIODIC[None])
    for radius, expected in ((2.9, 12), (4.1, 18)):
        counts, squares = count_neighbors(search, np.array([radius]), 0, 1, RUNNING)
        assert counts.tolist() == [expected]
        assert math.sqrt(squares[0]) == pytest.approx(half * math.sqrt(2))


def found_by_atom(search: neighbors.Search, radii: np.ndarray, **options: bool) -> list[np.ndarray]:
    """Neighbours of each atom, (n, 4): other, vector."""
    rows = []
    for found in find_neighbors(search, radii, 0, len(search.owners), RUNNING, **options):
        table = np.column_stack((found.others, found.vectors))[: found.starts[-1]].copy()
        rows += np.split(table, found.starts[1:-1])
    return rows


def test_neighbours_are_the_same_however_many_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small cells between two that are searched by bins; with room for a few neighbours, for one atom's, for all."""
    rng = np.random.default_rng(7)
    sizes, cells = [3, 100, 2, 4, 80], np.array([4.0, 14.0, 4.0, 4.5, 13.0])[:, None, None] * np.eye(3)
    parts = [rng.uniform(0, 1, (n, 3)) @ cell for n, cell in zip(sizes, cells, strict=True)]
    offsets = np.cumsum([0, *sizes])
    search = prepare_search(offsets, np.concatenate(parts), cells, np.ones((5, 3), dtype=np.bool_))
    radii = np.array([4.0, 3.0, 5.0, 4.0, 3.0])
    expected = found_by_atom(search, radii)
    counts, squares = count_neighbors(search, radii, 0, len(search.owners), RUNNING)
    assert counts.tolist() == [len(rows) for rows in expected]
    nearest = [(rows[:, 1:] ** 2).sum(axis=1).min(initial=np.inf) for rows in expected]
    np.testing.assert_allclose(squares, nearest, rtol=1e-12)
    for room in (1, 30, 400, 10**5):
        monkeypatch.setattr(neighbors, "MAX_FOUND", room)
        for whole in (False, True):
            for one, other in zip(found_by_atom(search, radii, whole=whole), expected, strict=True):
                np.testing.assert_array_equal(one, other)
        ends = [found.last for found in find_neighbors(search, radii, 0, offsets[-1], RUNNING, whole=True)]
        assert set(ends) <= set(offsets.tolist())
    alone = prepare_search(np.array([0, 3]), parts[0], cells[:1], np.ones((1, 3), dtype=np.bool_))
    for one, other in zip(found_by_atom(alone, radii[:1]), expected[:3], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("pbc", [(True, True, True), (True, False, True), (False, True, False), (False, False, False)])
def test_cell_list_finds_what_image_enumeration_finds(pbc: tuple[bool, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    cell = 30.0 * np.eye(3) + 6.0 * rng.uniform(-1, 1, (3, 3))
    n_atoms, radius, periodic = 300, 3.5, np.array(pbc)
    positions = rng.uniform(0, 1, (n_atoms, 3)) @ cell
    positions += np.outer(rng.integers(-1, 2, n_atoms), cell[0])  # also outside the cell
    search = prepare_search(np.array([0, n_atoms]), positions, cell[None], periodic[None])
    assert neighbors._sort_into_bins(search, 0, radius) is not None
    results = [found_by_atom(search, np.array([radius]))]
    monkeypatch.setattr(neighbors, "find_by_bins", neighbors.find_by_bins.py_func)
    results.append(found_by_atom(search, np.array([radius])))
    monkeypatch.setattr(neighbors, "MAX_ATOMS_UNLISTED", 1000)
    results.append(found_by_atom(search, np.array([radius])))
    assert sum(len(rows) for rows in results[0]) > 200
    for found in results[1:]:
        for one, other in zip(results[0], found, strict=True):
            rows = [each[np.lexsort(each.round(9).T)] for each in (one, other)]
            np.testing.assert_array_equal(rows[0][:, 0], rows[1][:, 0])
            np.testing.assert_allclose(rows[0], rows[1], atol=1e-12)
