"""What must not change a representation, and what must change it continuously."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hullscout.mbtr import MBTR, Term

TERMS = (
    Term(k=1, geometry="element_count"),
    Term(k=2, geometry="inverse_distance", grid=(0.1, 0.8, 30), sigma=0.03, cutoff=5.0),
    Term(k=3, geometry="cosine", grid=(-1.0, 1.0, 30), sigma=0.06, cutoff=4.0),
    Term(k=3, geometry="angle", grid=(0.0, 3.2, 30), sigma=0.1, cutoff=3.5, name="angle"),
    Term(k=4, geometry="dihedral", grid=(0.0, 3.2, 20), sigma=0.2, cutoff=3.0),
)
SEEDS = st.integers(0, 10**6)
PBC = st.sampled_from([(True, True, True), (True, True, False), (False, True, False), (False, False, False)])
MBTR_ALL = MBTR(("Ag", "Pd"), TERMS, n_threads=1, max_outside=1.0)  # random molecules may be very tight


def assert_same(first, second, mbtr=MBTR_ALL):
    X = mbtr.transform([first, second])
    assert np.max(np.abs(X[0] - X[1])) <= 1e-11 * np.max(np.abs(X[0]))


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS, pbc=PBC)
def test_translation_wrapping_and_permutation_change_nothing(structure_of, seed, pbc):
    structure = structure_of(seed, 3, pbc)
    rng = np.random.default_rng(seed)
    moved = structure.copy()
    moved.positions += rng.normal(size=3) * 10
    moved.wrap()
    assert_same(structure, moved[rng.permutation(3)])


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS, pbc=PBC)
def test_rotation_and_reflection_change_nothing(structure_of, seed, pbc):
    structure = structure_of(seed, 3, pbc)
    turn = -Rotation.random(random_state=seed).as_matrix()
    turned = Atoms(structure.numbers, structure.positions @ turn, cell=structure.cell[:] @ turn, pbc=pbc)
    assert_same(structure, turned)


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS, steps=st.lists(st.integers(-2, 2), min_size=3, max_size=3))
def test_choice_of_lattice_vectors_changes_nothing(structure_of, seed, steps):
    structure = structure_of(seed)
    a, b, c = steps
    other = structure.copy()
    other.set_cell(
        np.array([[1, a, 0], [0, 1, b], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, 1, 0], [c, 0, 1]]) @ structure.cell[:]
    )
    assert_same(structure, other)


@settings(max_examples=8, deadline=None)
@given(seed=SEEDS, repeat=st.sampled_from([(2, 1, 1), (1, 3, 1), (1, 2, 2)]))
def test_supercells_agree_per_atom(structure_of, seed, repeat):
    structure = structure_of(seed, 2)
    supercell = structure.repeat(repeat)
    X = MBTR_ALL.transform([structure, supercell])
    counted = MBTR_ALL.slices["k1"]
    assert np.max(np.abs(X[0] - X[1])) <= 1e-11 * np.max(np.abs(X[0]))
    assert X[0, counted].sum() == pytest.approx(1.0)


def test_slab_and_chain_ignore_the_cell_vector_of_open_directions(structure_of):
    for pbc in ((True, True, False), (False, False, True)):
        structure = structure_of(5, 3, pbc)
        other = structure.copy()
        cell = structure.cell[:].copy()
        cell[[not periodic for periodic in pbc]] = 0.0
        other.set_cell(cell)
        assert_same(structure, other)


def test_known_counts_of_fcc():
    a = 4.09
    mbtr = MBTR(
        ("Ag",),
        (
            Term(k=2, geometry="distance", grid=(0.0, 5.0, 50), sigma=0.05, cutoff=4.2, taper="sharp"),
            Term(k=3, geometry="angle", grid=(-1.0, 4.0, 50), sigma=0.05, cutoff=3.0, taper="cosine"),
        ),
    )
    X = mbtr.transform([bulk("Ag", a=a)])[0]
    assert X[mbtr.slices["k2"]].sum() * 0.1 == pytest.approx((12 + 6) / 2)
    weight = 0.5 * (1 + np.cos(np.pi * a / np.sqrt(2) / 3.0))
    assert X[mbtr.slices["k3"]].sum() * 0.1 == pytest.approx(66 * weight**2)


@pytest.mark.parametrize("taper", ["cosine", "polynomial"])
@pytest.mark.parametrize("k", [2, 3, 4])
def test_an_atom_that_crosses_the_cutoff_changes_features_continuously(k, taper):
    term = {
        2: Term(k=2, geometry="distance", grid=(0.0, 6.0, 30), sigma=0.2, cutoff=4.0, taper=taper),
        3: Term(k=3, geometry="cosine", grid=(-1.0, 1.0, 30), sigma=0.1, cutoff=4.0, taper=taper),
        4: Term(k=4, geometry="dihedral_cosine", grid=(-1.0, 1.0, 30), sigma=0.1, cutoff=4.0, taper=taper),
    }[k]
    mbtr = MBTR(("Ag", "Pd"), (term,))
    X = mbtr.transform([Atoms("Ag3Pd", [[0, 0, 0], [2, 1, 0], [1, 2, 2], [4.0 + s, 0, 0]]) for s in (-1e-6, 0.0, 1e-6)])
    assert np.max(X) > 0
    assert np.max(np.abs(np.diff(X, axis=0))) < 1e-5


def test_an_atom_that_crosses_the_cell_boundary_changes_features_continuously(structure_of):
    structure = structure_of(9)
    shifted = []
    for s in (-1e-9, 1e-9):
        moved = structure.copy()
        moved.positions[0] = s * moved.cell[0] + 0.3 * moved.cell[1]
        moved.positions[1:] = (np.array([[0.4, 0.6, 0.5], [0.6, 0.1, 0.4]])) @ moved.cell[:]
        moved.wrap()
        shifted.append(moved)
    X = MBTR_ALL.transform(shifted)
    assert np.max(np.abs(X[0] - X[1])) < 1e-6 * np.max(X)


def test_results_do_not_depend_on_the_number_of_threads(structure_of):
    structures = [structure_of(seed, 1 + seed % 4) for seed in range(20)]
    one = MBTR(("Ag", "Pd"), TERMS, n_threads=1).transform(structures)
    many = MBTR(("Ag", "Pd"), TERMS, n_threads=5).transform(structures)
    np.testing.assert_array_equal(one, many)
