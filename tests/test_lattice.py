"""Lattices in short vectors: the same lattice, whatever the cell, and an end of the search for any numbers at all."""

import numpy as np
import pytest
from ase.geometry.minkowski_reduction import minkowski_reduce
from hypothesis import given, settings
from hypothesis import strategies as st

from hullscout import lattice
from hullscout.errors import InvalidStructureError
from hullscout.lattice import compact_cell, reduce_lattice, reduce_lattices, refuse_images, shorten_vectors
from hullscout.neighbors import closest_pair, list_neighbors, nearest_distances

PERIODIC = np.ones(3, dtype=np.bool_)
FCC = np.array([[0, 2.0, 2], [2, 0, 2], [2, 2, 0]])
SHEARS = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 2), st.integers(-1000, 1000)), max_size=2)


def sheared(cell: np.ndarray, shears: list[tuple[int, int, int]]) -> np.ndarray:
    """Other vectors of the same lattice."""
    cell = cell.copy()
    for row, step, times in shears:
        cell[row] += times * cell[(row + step) % 3]
    return cell


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), stretch=st.tuples(*[st.floats(-1, 1)] * 3), shears=SHEARS)
def test_short_vectors_are_about_as_short_as_minkowskis_and_faces_are_no_nearer_than_a_third_of_them(
    seed: int, stretch: tuple[float, ...], shears: list[tuple[int, int, int]]
) -> None:
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    cell = sheared(FCC @ np.diag(10.0 ** np.array(stretch)) @ rotation, shears)
    found, _, heights = reduce_lattice(cell, PERIODIC)
    expected = np.sort(np.linalg.norm(minkowski_reduce(cell)[0], axis=1))
    edges = np.sort(np.linalg.norm(found, axis=1))
    assert (edges <= 1.5 * expected + 1e-6).all()
    assert heights.min() >= expected[0] / 3
    times = np.linalg.solve(cell.T, found.T).T
    assert abs(np.linalg.det(np.rint(times))) == pytest.approx(1.0)
    np.testing.assert_allclose(np.rint(times) @ cell, found, atol=1e-6)


@settings(max_examples=200, deadline=None)
@given(
    entries=st.lists(st.sampled_from([0.0, 1e-300, 1e-9, 0.1, 1 / 3, 1.0, 2**0.5, 3.0, 1e6]), min_size=9, max_size=9),
    times=st.tuples(st.integers(-1000, 1000), st.integers(-1000, 1000)),
    noise=st.sampled_from([0.0, 1e-12, 1e-6]),
)
def test_vectors_that_depend_on_each_other_end_too(entries: list[float], times: tuple[int, int], noise: float) -> None:
    cell = np.array(entries).reshape(3, 3)
    cell[2] = times[0] * cell[0] + times[1] * cell[1] + noise
    found = shorten_vectors(cell, PERIODIC)
    assert np.isfinite(found).all()
    assert np.linalg.norm(found) <= np.linalg.norm(cell) * (1 + 1e-9)


def test_three_vectors_that_all_but_cancel_become_the_short_one_that_they_hide() -> None:
    """Pairs of them are as short as they get."""
    height = 1.5 * 3**0.5
    cell = np.array([[3, 0, 0], [-1.5, height, 0], [-1.5, -height, 1e-4]])
    assert np.linalg.norm(shorten_vectors(cell, PERIODIC), axis=1).min() == pytest.approx(1e-4)


def test_compiled_reduction_equals_plain_python(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [sheared(FCC, [(0, 1, 700), (2, 1, -31)]), np.array([[4.0, 0, 0], [0, 4, 0], [-4, -4, 0.3]])]
    cells = np.array([cells[0], cells[1], cells[0], FCC, np.zeros((3, 3))])
    pbc = np.array([[True] * 3, [True] * 3, [True, False, True], [False, True, False], [False] * 3])
    compiled = reduce_lattices(cells, pbc)
    monkeypatch.setattr(lattice, "reduce_cells", lattice.reduce_cells.py_func)
    for found, expected in zip(reduce_lattices(cells, pbc), compiled, strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(compiled[0] @ compiled[1], [np.eye(3)] * 5, atol=1e-12)


def test_dependent_vectors_have_no_inverse() -> None:
    with pytest.raises(InvalidStructureError, match="expected independent vectors of the cell"):
        reduce_lattices(np.ones((1, 3, 3)), PERIODIC[None])


def test_a_cell_is_made_compact_only_where_it_is_skewed() -> None:
    skewed = sheared(FCC, [(0, 1, 1000), (1, 1, 1000)])
    assert compact_cell(FCC) is FCC
    assert abs(np.linalg.det(compact_cell(skewed))) == pytest.approx(16.0, rel=1e-9)


def test_too_many_images_are_refused_before_they_are_looked_at() -> None:
    refuse_images(1, np.array([3.0, 3.0, 3.0]), 10.0)
    thin = np.diag([1e-3, 1e-3, 1e3])
    with pytest.raises(
        InvalidStructureError, match=r"at most 1e\+08 images of atoms .* within 20 A .* found 1\.7e\+09"
    ):
        list_neighbors(np.zeros((1, 3)), thin, PERIODIC, 20.0)
    with pytest.raises(InvalidStructureError, match=r"images of atoms to look at"):
        nearest_distances(np.zeros((1, 3)), np.diag([1e-3, 1e-3, 1e12]), np.zeros(1, dtype=np.int64), 10)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), shears=SHEARS)
def test_neighbours_are_the_same_in_every_cell_of_a_lattice(seed: int, shears: list[tuple[int, int, int]]) -> None:
    rng = np.random.default_rng(seed)
    base = 1.5 * FCC
    positions = rng.uniform(0, 1, (3, 3)) @ base
    cell = sheared(base, shears)
    kinds = np.array([0, 1, 1])
    moved = positions + rng.integers(-3, 4, (3, 3)) @ cell
    np.testing.assert_allclose(
        nearest_distances(moved, cell, kinds, 8), nearest_distances(positions, base, kinds, 8), atol=1e-6
    )
    assert closest_pair(moved, cell, 3.0)[0] == pytest.approx(closest_pair(positions, base, 3.0)[0], abs=1e-6)
