"""Compiled kernels against their own Python, against ASE's neighbour list, and in every choice of cell."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from hullscout.pool import kernels
from hullscout.pool.kernels import closest_pair, compact_cell, n_images, nearest_distances, second_moments, wrapped


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
def test_a_compact_cell_spans_the_same_lattice_with_no_longer_vectors(seed: int, skew: int) -> None:
    _, _, cell = crystal(seed, skew=skew)
    short = compact_cell.py_func(cell)
    times = short @ np.linalg.inv(cell)
    np.testing.assert_allclose(times, np.rint(times), atol=1e-8)
    assert abs(np.linalg.det(times)) == pytest.approx(1.0)
    assert np.linalg.norm(short) <= np.linalg.norm(cell) + 1e-12


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), skew=st.integers(-3, 3))
def test_the_closest_pair_is_the_one_of_the_neighbour_list(seed: int, skew: int) -> None:
    positions, _, cell = crystal(seed, skew=skew)
    distance, first, second = closest_pair(positions, cell, 3.0)
    i, j, d = neighbor_list("ijd", Atoms("H4", positions=positions, cell=cell, pbc=True), 3.0)
    if len(d) == 0:
        assert (distance, first, second) == (np.inf, 0, 0)
    elif np.linalg.norm(compact_cell.py_func(cell), axis=1).min() >= 3.0:
        best = int(np.argmin(d))
        assert distance == pytest.approx(d[best], abs=1e-10)
        assert {first, second} == {int(i[best]), int(j[best])}
    else:
        assert distance < 3.0


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), skew=st.integers(-2, 2))
def test_nearest_distances_are_those_of_the_neighbour_list(seed: int, skew: int) -> None:
    positions, kinds, cell = crystal(seed, skew=skew)
    found = nearest_distances(positions, kinds, 2, cell, 12)
    i, j, d = neighbor_list("ijd", Atoms("H4", positions=positions, cell=cell, pbc=True), float(found.max()) + 0.1)
    for atom in range(4):
        for kind in range(2):
            expected = np.sort(d[(i == atom) & (kinds[j] == kind)])[:12]
            np.testing.assert_allclose(found[atom, kind], expected, atol=1e-10)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), skew=st.integers(-2, 2))
def test_second_moments_are_sums_over_the_neighbour_list(seed: int, skew: int) -> None:
    positions, kinds, cell = crystal(seed, skew=skew)
    radius = 5.0
    tensors, stiffness = second_moments(positions, kinds, 2, cell, radius)
    i, j, d, vectors = neighbor_list("ijdD", Atoms("H4", positions=positions, cell=cell, pbc=True), radius)
    weight = (1 - d**2 / radius**2) ** 2
    slope = 4 * d / radius**2 * (1 - d**2 / radius**2)
    for atom in range(4):
        assert stiffness[atom] == pytest.approx((slope + 2 * weight / d)[i == atom].sum(), rel=1e-10)
        for kind in range(2):
            mine = (i == atom) & (kinds[j] == kind)
            unit = vectors[mine] / d[mine, None]
            expected = np.einsum("j,ja,jb->ab", weight[mine], unit, unit)
            np.testing.assert_allclose(tensors[atom, kind], expected, atol=1e-10)


def test_compiled_kernels_agree_with_their_python(monkeypatch: pytest.MonkeyPatch) -> None:
    positions, kinds, cell = crystal(5, skew=1)
    compiled = [
        np.array(closest_pair(positions, cell, 4.0)),
        nearest_distances(positions, kinds, 2, cell, 6),
        *second_moments(positions, kinds, 2, cell, 4.0),
    ]
    for helper in (compact_cell, wrapped, n_images):
        monkeypatch.setattr(kernels, helper.__name__, helper.py_func)
    python = [
        np.array(closest_pair.py_func(positions, cell, 4.0)),
        nearest_distances.py_func(positions, kinds, 2, cell, 6),
        *second_moments.py_func(positions, kinds, 2, cell, 4.0),
    ]
    for one, other in zip(compiled, python, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def test_a_lattice_vector_below_the_limit_is_an_atom_and_its_image() -> None:
    assert closest_pair(np.zeros((1, 3)), np.diag([0.3, 4.0, 4.0]), 0.5) == (pytest.approx(0.3), 0, 0)
