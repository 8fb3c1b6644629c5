"""Analytic derivatives against finite differences, and the sensitivity to perturbations."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from hullscout.errors import InvalidSettingError
from hullscout.mbtr import MBTR, Term, pettifor_correlation

PAIRS = {"distance": (0.5, 6.0, 0.5), "inverse_distance": (0.1, 0.9, 0.12), "inverse_square_distance": (0.0, 0.7, 0.12)}
ANGLES = {"angle": (-0.1, 3.2, 0.4), "cosine": (-1.0, 1.0, 0.3)}


def every_term():
    terms = [Term(k=1, geometry="element_count")]
    for geometry, (low, high, sigma) in PAIRS.items():
        for weighting in ("unity", "exponential", "inverse_square", "inverse_product"):
            scale = 0.5 if weighting == "exponential" else None
            taper = "polynomial" if weighting == "unity" else "cosine"
            name = f"{geometry} {weighting}"
            settings = {"weighting": weighting, "scale": scale, "taper": taper, "cutoff": 4.5, "name": name}
            terms.append(Term(k=2, geometry=geometry, grid=(low, high, 8), sigma=sigma, **settings))
    for geometry, (low, high, sigma) in ANGLES.items():
        for weighting in ("unity", "exponential", "inverse_square", "inverse_product"):
            scale = 0.5 if weighting == "exponential" else None
            taper = "polynomial" if weighting == "unity" else "cosine"
            name = f"{geometry} {weighting}"
            settings = {"weighting": weighting, "scale": scale, "taper": taper, "cutoff": 3.6, "name": name}
            terms.append(Term(k=3, geometry=geometry, grid=(low, high, 8), sigma=sigma, **settings))
    return tuple(terms)


def slope_of(function, h=2e-4):
    """Return the derivative at 0 by five points, close because tapers have a kink in their second derivative."""
    return (8 * (function(h) - function(-h)) - (function(2 * h) - function(-2 * h))) / (12 * h)


def moved(structure, atom, axis, step):
    other = structure.copy()
    other.positions[atom, axis] += step
    return other


def strained(structure, a, b, step):
    deformation = np.eye(3)
    deformation[a, b] += step
    other = structure.copy()
    other.set_cell(structure.cell[:] @ deformation.T)
    other.positions = structure.positions @ deformation.T
    return other


def assert_slopes(mbtr, found, expected):
    for where in mbtr.slices.values():
        size = np.max(np.abs(expected[..., where]), initial=1e-8)
        assert np.max(np.abs(found[..., where] - expected[..., where])) <= 2e-7 * size


@pytest.mark.slow
@pytest.mark.parametrize("pbc", [(True, True, True), (True, False, True), (False, True, False), (False, False, False)])
def test_gradients_equal_finite_differences_for_every_setting(structure_of, pbc):
    structure = structure_of(21, 3, pbc)
    mbtr = MBTR(("Ag", "Pd"), every_term(), normalization="per_atom")
    gradient = mbtr.gradient(structure)
    np.testing.assert_allclose(gradient.features, mbtr.transform([structure])[0], rtol=1e-12)
    for axis in range(3):
        expected = slope_of(lambda h, axis=axis: mbtr.transform([moved(structure, 1, axis, h)])[0])
        assert_slopes(mbtr, gradient.positions[1, axis], expected)
    for a, b in ((0, 0), (1, 2)):
        expected = slope_of(lambda h, a=a, b=b: mbtr.transform([strained(structure, a, b, h)])[0])
        assert_slopes(mbtr, gradient.strain[a, b], expected)


@pytest.mark.parametrize("weighting", ["unity", "exponential", "inverse_square", "inverse_product"])
def test_gradients_of_molecules_without_cutoff_equal_finite_differences(structure_of, weighting):
    structure = structure_of(28, 5, (False, False, False))
    settings = {"weighting": weighting, "scale": 0.4 if weighting == "exponential" else None}
    terms = (
        Term(k=2, geometry="distance", grid=(0.5, 9.0, 8), sigma=0.8, **settings),
        Term(k=3, geometry="angle", grid=(-0.1, 3.2, 8), sigma=0.4, **settings),
    )
    mbtr = MBTR(("Ag", "Pd"), terms)
    gradient = mbtr.gradient(structure)
    expected = slope_of(lambda h: mbtr.transform([moved(structure, 2, 1, h)])[0])
    assert_slopes(mbtr, gradient.positions[2, 1], expected)
    expected = slope_of(lambda h: mbtr.transform([strained(structure, 0, 2, h)])[0])
    assert_slopes(mbtr, gradient.strain[0, 2], expected)


@pytest.mark.parametrize(
    ("pbc", "settings"),
    [
        ((True, True, True), {"weighting": "exponential", "scale": 2.5, "accuracy": 1e-9}),
        ((True, True, False), {"weighting": "exponential", "scale": 2.0, "accuracy": 1e-9}),
        ((True, False, False), {"weighting": "inverse_square", "accuracy": 1e-6}),
    ],
)
def test_gradients_of_periodic_sums_without_cutoff_equal_finite_differences(structure_of, pbc, settings):
    """The radius moves with the closest distance, and with it what is left out: by less than the accuracy."""
    structure = structure_of(29, 2, pbc, closest=2.2)
    term = Term(k=3, geometry="cosine", grid=(-1.0, 1.0, 8), sigma=0.3, **settings)
    mbtr = MBTR(("Ag", "Pd"), (term,))
    gradient = mbtr.gradient(structure)
    size = np.max(np.abs(gradient.strain))
    for found, change in (
        (gradient.positions[1, 0], lambda h: moved(structure, 1, 0, h)),
        (gradient.strain[0, 0], lambda h: strained(structure, 0, 0, h)),
    ):
        expected = slope_of(lambda h, change=change: mbtr.transform([change(h)])[0], 1e-3)
        assert np.max(np.abs(found - expected)) <= 1e-5 * size


@pytest.mark.parametrize("normalization", ["none", "per_atom", "l2", "valle_oganov"])
def test_gradients_follow_normalization_and_correlation(structure_of, normalization):
    structure = structure_of(26, 2)
    terms = tuple(term for term in every_term() if term.label in {"distance unity", "cosine unity"})
    correlation = None if normalization == "valle_oganov" else pettifor_correlation(("Ag", "Pd"), length=1.0)
    mbtr = MBTR(("Ag", "Pd"), terms, normalization=normalization, correlation=correlation)
    gradient = mbtr.gradient(structure)
    expected = slope_of(lambda h: mbtr.transform([moved(structure, 0, 2, h)])[0])
    assert_slopes(mbtr, gradient.positions[0, 2], expected)
    expected = slope_of(lambda h: mbtr.transform([strained(structure, 1, 1, h)])[0])
    assert_slopes(mbtr, gradient.strain[1, 1], expected)


def test_gradients_for_another_width_equal_finite_differences(structure_of):
    structure = structure_of(23, 2)
    mbtr = MBTR(("Ag", "Pd"), (Term(k=3, geometry="cosine", grid=(-1.0, 1.0, 8), sigma=0.3, cutoff=4.0),))
    gradient = mbtr.gradient(structure, {"k3": 0.25})
    expected = slope_of(lambda h: mbtr.count([moved(structure, 0, 0, h)]).features({"k3": 0.25})[0])
    assert_slopes(mbtr, gradient.positions[0, 0], expected)


@pytest.mark.parametrize("distribution", ["laplace", "uniform"])
@pytest.mark.parametrize("k", [2, 3])
def test_gradients_of_other_distributions_equal_finite_differences(structure_of, k, distribution):
    structure = structure_of(27, 2)
    geometry, (low, high, sigma) = [("inverse_distance", (0.1, 0.9, 0.12)), ("cosine", (-1.0, 1.0, 0.3))][k - 2]
    term = Term(k=k, geometry=geometry, grid=(low, high, 6), sigma=sigma, cutoff=3.6, distribution=distribution)
    mbtr = MBTR(("Ag", "Pd"), (term,))
    expected = slope_of(lambda h: mbtr.transform([moved(structure, 0, 1, h)])[0], 1e-5)
    found = mbtr.gradient(structure).positions[0, 1]
    assert np.max(np.abs(found - expected)) < 1e-6 * np.max(np.abs(expected))


def test_translation_and_rotation_have_no_slope(structure_of):
    gradient = MBTR(("Ag", "Pd"), every_term()).gradient(structure_of(24, 4))
    size = np.max(np.abs(gradient.positions))
    assert np.max(np.abs(gradient.positions.sum(axis=0))) < 1e-11 * size
    assert np.max(np.abs(gradient.strain - gradient.strain.transpose(1, 0, 2))) < 1e-11 * size


def test_a_lonely_atom_has_features_and_slopes_of_zero():
    mbtr = MBTR(("Ag", "Pd"), every_term()[1:], normalization="l2")
    gradient = mbtr.gradient(Atoms("Ag"))
    assert np.all(gradient.features == 0.0)
    assert np.all(gradient.positions == 0.0)


def test_gradients_of_chains_are_refused(structure_of):
    mbtr = MBTR(("Ag", "Pd"), (Term(k=4, geometry="dihedral", grid=(0.0, 3.0, 9), sigma=0.3, cutoff=2.5),))
    with pytest.raises(InvalidSettingError, match="gradients exist for k = 1, 2, 3"):
        mbtr.gradient(structure_of(1, 2))


def response_to(mbtr, structure, direction, steps):
    start = mbtr.transform([structure])[0]
    change = []
    for step in steps:
        other = structure.copy()
        other.positions[0] += step * direction
        change.append(np.linalg.norm(mbtr.transform([other])[0] - start))
    return np.array(change)


def test_diamond_silicon_responds_with_slope_two_at_a_symmetric_site_and_slope_one_elsewhere():
    """Onat, Ortner & Kermode, J. Chem. Phys. 153, 144106 (2020): log-log slopes of |dV| against the displacement.

    An atom of perfect diamond sits at a site of full tetrahedral symmetry: no vector is left invariant, so a global
    invariant representation has no linear response to moving it. Any perturbation that breaks the symmetry restores slope one.
    """
    terms = (
        Term(k=2, geometry="inverse_distance", grid=(0.1, 0.6, 50), sigma=0.02, cutoff=6.0),
        Term(k=3, geometry="cosine", grid=(-1.0, 1.0, 50), sigma=0.06, cutoff=4.5),
    )
    crystal = bulk("Si", "diamond", a=5.43, cubic=True)
    direction = np.array([1.0, 0.0, 0.0])
    steps = np.array([1e-4, 1e-3])
    broken = crystal.copy()
    broken.rattle(0.05, seed=3)
    for term in terms:
        mbtr = MBTR(("Si",), (term,))
        symmetric = response_to(mbtr, crystal, direction, steps)
        assert np.log10(symmetric[1] / symmetric[0]) == pytest.approx(2.0, abs=0.02)
        general = response_to(mbtr, broken, direction, steps)
        assert np.log10(general[1] / general[0]) == pytest.approx(1.0, abs=0.02)
        assert np.max(np.abs(mbtr.gradient(crystal).positions)) < 1e-10 * np.max(mbtr.transform([crystal]))
        linear = np.linalg.norm(mbtr.gradient(broken).positions[0, 0])
        assert general[0] / steps[0] == pytest.approx(linear, rel=1e-2)
