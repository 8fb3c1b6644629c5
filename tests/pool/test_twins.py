"""One crystal is one crystal in every description of it; two crystals stay two."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hullscout.pool import RELAXED_TOLERANCE, Candidate, find_twins
from hullscout.pool.twins import TWIN_TOLERANCE, second_moments

INTEGER_STEPS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(-3, 3)), max_size=3)


def crystal(seed: int, *, n_atoms: int = 4) -> Candidate:
    """Atoms of two kinds at least 1.5 A apart, far from any symmetry."""
    rng = np.random.default_rng(seed)
    cell = np.diag([4.0, 4.6, 5.3]) + rng.uniform(-0.6, 0.6, (3, 3))
    corners = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])[:n_atoms]
    positions = (corners + rng.uniform(-0.08, 0.08, corners.shape)) @ cell
    numbers = [47] + [46 if rng.random() < 0.5 else 47 for _ in range(n_atoms - 2)] + [46]
    return Candidate(id="one", numbers=np.array(numbers), positions=positions, cell=cell)


def skewed(cell: np.ndarray, steps: list[tuple[int, int, int]]) -> np.ndarray:
    """Another basis of the same lattice: multiples of one vector added to another."""
    other = cell.copy()
    for target, source, times in steps:
        if target != source:
            other[target] += times * other[source]
    return other


def described_anew(
    candidate: Candidate, *, seed: int, size: tuple[int, int, int], steps: list[tuple[int, int, int]], sign: float
) -> Candidate:
    """The same crystal: supercell, skewed cell, rotated (mirrored for sign -1), shifted, reordered, atoms elsewhere."""
    rng = np.random.default_rng(seed)
    atoms = make_supercell(candidate.to_ase(), np.diag(size))
    cell = skewed(np.array(atoms.cell), steps)
    positions = atoms.positions + rng.integers(-2, 3, atoms.positions.shape) @ cell + rng.uniform(-5, 5, 3)
    turn = sign * Rotation.random(rng=rng).as_matrix()
    order = rng.permutation(len(atoms))
    return Candidate(id="two", numbers=atoms.numbers[order], positions=(positions @ turn)[order], cell=cell @ turn)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    size=st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 2)),
    steps=INTEGER_STEPS,
    sign=st.sampled_from([1.0, -1.0]),
)
def test_any_description_of_a_crystal_is_its_twin(
    seed: int, size: tuple[int, int, int], steps: list[tuple[int, int, int]], sign: float
) -> None:
    one = crystal(seed)
    assert find_twins([one, described_anew(one, seed=seed, size=size, steps=steps, sign=sign)]) == ((0, 1),)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_displacement_below_the_tolerance_leaves_a_twin(seed: int) -> None:
    one = crystal(seed)
    shift = np.random.default_rng(seed).normal(size=one.positions.shape)
    shift *= 0.3 * TWIN_TOLERANCE / np.linalg.norm(shift, axis=1, keepdims=True)
    two = Candidate(id="two", numbers=one.numbers, positions=one.positions + shift, cell=one.cell)
    assert find_twins([one, two]) == ((0, 1),)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(1, 2)))
def test_crystals_that_were_relaxed_apart_are_twins_within_a_wider_tolerance(
    seed: int, size: tuple[int, int, int]
) -> None:
    one = crystal(seed)
    two = described_anew(one, seed=seed, size=size, steps=[], sign=1.0)
    shift = np.random.default_rng(seed).normal(size=two.positions.shape)
    shift *= 0.3 * RELAXED_TOLERANCE / np.linalg.norm(shift, axis=1, keepdims=True)
    strain = np.diag([1.002, 0.999, 1.0])
    two = Candidate(id="two", numbers=two.numbers, positions=(two.positions + shift) @ strain, cell=two.cell @ strain)
    assert find_twins([one, two], tolerance=RELAXED_TOLERANCE) == ((0, 1),)
    assert find_twins([one, two]) == ((0,), (1,))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), atom=st.integers(0, 3), length=st.floats(0.02, 0.5))
def test_a_displacement_above_the_tolerance_makes_another_crystal(seed: int, atom: int, length: float) -> None:
    one = crystal(seed)
    positions = one.positions.copy()
    positions[atom] += length * np.array([0.6, 0.64, 0.48])
    two = Candidate(id="two", numbers=one.numbers, positions=positions, cell=one.cell)
    assert find_twins([one, two]) == ((0,), (1,))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), strain=st.floats(0.003, 0.1))
def test_a_scaled_crystal_is_another_crystal(seed: int, strain: float) -> None:
    one = crystal(seed)
    grown = 1.0 + strain
    two = Candidate(id="two", numbers=one.numbers, positions=grown * one.positions, cell=grown * one.cell)
    assert find_twins([one, two]) == ((0,), (1,))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_exchanged_elements_make_another_crystal(seed: int) -> None:
    one = crystal(seed, n_atoms=3)
    two = Candidate(id="two", numbers=93 - one.numbers, positions=one.positions, cell=one.cell)
    assert find_twins([one, two]) == ((0,), (1,))


def test_a_small_distortion_of_a_supercell_is_not_reduced_away() -> None:
    ideal = bulk("Ag", cubic=True, a=4.09)
    distorted = ideal.copy()
    distorted.positions[0] += [0.05, 0.0, 0.0]
    pair = [
        Candidate(id=id_, numbers=atoms.numbers, positions=atoms.positions, cell=np.array(atoms.cell))
        for id_, atoms in (("ideal", ideal), ("distorted", distorted))
    ]
    assert find_twins(pair) == ((0,), (1,))


def homometric_pair() -> list[Candidate]:
    """Two decorations of a stack of eight planes with the same pair distances: {0,1,3,4} and {0,1,2,5} modulo 8."""
    cell = np.array([[3.0, 0, 0], [0, 3.0, 0], [0, 0, 20.0]])
    positions = np.array([[0, 0, 2.5 * k] for k in range(8)])
    rings = ({0, 1, 3, 4}, {0, 1, 2, 5})
    return [
        Candidate(
            id=str(sorted(ring)),
            numbers=np.array([46 if k in ring else 47 for k in range(8)]),
            positions=positions,
            cell=cell,
        )
        for ring in rings
    ]


def test_crystals_with_the_same_pair_distances_stay_two() -> None:
    one, two = homometric_pair()
    spectra = []
    for ring in (one, two):
        z = ring.positions[ring.numbers == 46][:, 2]
        gaps = [min(abs(a - b), 20.0 - abs(a - b)) for a, b in combinations(z.tolist(), 2)]
        spectra.append(sorted(gaps))
    assert spectra[0] == spectra[1]
    assert find_twins([one, two]) == ((0,), (1,))


def test_a_group_is_named_by_its_first_member_and_keeps_the_order() -> None:
    one, other = crystal(1), crystal(2)
    copies = [described_anew(one, seed=k, size=(1, 1, 2), steps=[], sign=1.0) for k in range(3)]
    assert find_twins([copies[0], other, one, copies[1], copies[2]]) == ((0, 2, 3, 4), (1,))


def test_pure_elements_of_two_lattices_stay_two() -> None:
    structures = [bulk("Ag", "fcc", a=4.09), bulk("Ag", "hcp", a=2.89, c=4.72), bulk("Ag", "bcc", a=3.3)]
    candidates = [
        Candidate(id=str(k), numbers=a.numbers, positions=a.positions, cell=np.array(a.cell))
        for k, a in enumerate(structures)
    ]
    assert find_twins(candidates) == ((0,), (1,), (2,))


def test_no_candidates_make_no_groups() -> None:
    assert find_twins([]) == ()


def test_the_same_numbers_are_twins_without_asking_the_matcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Candidate, "to_pymatgen", None)
    one = crystal(3)
    assert find_twins([one, crystal(3)]) == ((0, 1),)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_second_moments_are_sums_over_the_neighbour_list(seed: int) -> None:
    cell, numbers = crystal(seed).cell @ np.array([[1, 0, 0], [2, 1, 0], [0, -1, 1]]), crystal(seed).numbers
    positions = np.random.default_rng(seed).uniform(0, 1, (4, 3)) @ cell
    kinds = np.array([0, 1, 1, 0])
    radius = 5.0
    tensors, stiffness = second_moments(positions, cell, kinds, radius)
    i, j, d, vectors = neighbor_list("ijdD", Atoms(numbers, positions=positions, cell=cell, pbc=True), radius)
    weight = (1 - d**2 / radius**2) ** 2
    slope = 4 * d / radius**2 * (1 - d**2 / radius**2)
    for atom in range(4):
        assert stiffness[atom] == pytest.approx((slope + 2 * weight / d)[i == atom].sum(), rel=1e-10)
        for kind in range(2):
            mine = (i == atom) & (kinds[j] == kind)
            unit = vectors[mine] / d[mine, None]
            expected = np.einsum("j,ja,jb->ab", weight[mine], unit, unit)
            np.testing.assert_allclose(tensors[atom, kind], expected, atol=1e-10)
