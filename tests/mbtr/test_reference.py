"""The compiled representation against the slow one, over all settings."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st
from mbtr_reference import reference_features

from hullscout.mbtr import MBTR, Term, pettifor_correlation
from hullscout.mbtr.channels import correlate
from hullscout.mbtr.counting import closest_distances, search_range
from hullscout.mbtr.structures import read_structures
from hullscout.mbtr.term import GEOMETRIES, WEIGHTINGS
from hullscout.mbtr.truncation import CONVERGENT_DIRECTIONS

ELEMENTS = ("Ag", "Pd")
AXES = {
    "atomic_number": (44.0, 49.0, 1.0),
    "distance": (0.5, 6.0, 0.3),
    "inverse_distance": (0.1, 0.9, 0.05),
    "inverse_square_distance": (0.0, 0.7, 0.05),
    "angle": (-0.1, 3.2, 0.2),
    "cosine": (-1.0, 1.0, 0.1),
    "dihedral": (-0.1, 3.2, 0.2),
    "dihedral_cosine": (-1.0, 1.0, 0.1),
}
RADII = {1: None, 2: 5.0, 3: 3.6, 4: 2.9}


@st.composite
def terms(draw, k):
    geometry = draw(st.sampled_from(GEOMETRIES[k]))
    if geometry == "element_count":
        return Term(k=1, geometry=geometry)
    weighting = draw(st.sampled_from(WEIGHTINGS[k]))
    low, high, sigma = AXES[geometry]
    return Term(
        k=k,
        geometry=geometry,
        grid=(low, high, draw(st.integers(2, 9))),
        sigma=sigma,
        weighting=weighting,
        scale=draw(st.floats(0.3, 1.5)) if weighting == "exponential" else None,
        cutoff=RADII[k],
        taper=draw(st.sampled_from(["cosine", "polynomial", "sharp"])),
        sharpness=draw(st.floats(1.5, 4.0)),
        distribution=draw(st.sampled_from(["normal", "laplace", "uniform"])),
        placement=draw(st.sampled_from(["bins", "points"])),
        value=draw(st.sampled_from(["average", "density"])),
    )


def assert_equals_reference(structure, term, normalization="none", correlation=None):
    mbtr = MBTR(ELEMENTS, (term,), normalization=normalization, correlation=correlation, max_outside=1.0, n_threads=1)
    batch = read_structures([structure], (47, 46))
    radii = np.zeros(1) if term.k == 1 else search_range(batch, term, closest_distances(batch))[0]
    block = reference_features(batch, term, (47, 46), radii)
    if correlation is not None:
        block = correlate(block, correlation, term.k)
    block = mbtr.count([structure]).normalize(block, term)
    found = mbtr.transform([structure])[0]
    assert np.max(np.abs(found - block.ravel())) <= 1e-10 * max(np.max(np.abs(block)), 1e-12)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_compiled_equals_slow_reference_for_every_setting(structure_of, k, data):
    term = data.draw(terms(k))
    pbc = data.draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
    structure = structure_of(data.draw(st.integers(0, 10**6)), data.draw(st.integers(1, 3)), pbc)
    assert_equals_reference(structure, term)


@pytest.mark.parametrize("k", [2, 3, 4])
def test_unbounded_weightings_of_molecules_equal_the_reference(structure_of, k):
    molecule = structure_of(7, 4, (False, False, False))
    for weighting in WEIGHTINGS[k]:
        geometry = GEOMETRIES[k][0]
        low, high, sigma = AXES[geometry]
        scale = 0.5 if weighting == "exponential" else None
        term = Term(k=k, geometry=geometry, grid=(low, high, 7), sigma=sigma, weighting=weighting, scale=scale)
        assert_equals_reference(molecule, term)


@pytest.mark.parametrize(("k", "weighting"), list(CONVERGENT_DIRECTIONS))
def test_power_laws_of_chains_and_slabs_without_cutoff_equal_the_reference(structure_of, k, weighting):
    geometry = GEOMETRIES[k][-1]
    low, high, sigma = AXES[geometry]
    for n_periodic in range(1, CONVERGENT_DIRECTIONS[k, weighting] + 1):
        structure = structure_of(8, 1, (True, n_periodic == 2, False), edge=7.0)
        accuracy = 0.01 if (k, weighting) in {(2, "inverse_square"), (3, "inverse_square")} else 0.9
        term = Term(k=k, geometry=geometry, grid=(low, high, 7), sigma=sigma, weighting=weighting, accuracy=accuracy)
        assert_equals_reference(structure, term)


@pytest.mark.parametrize("normalization", ["none", "per_atom", "l2", "valle_oganov"])
@pytest.mark.parametrize("k", [2, 3])
def test_normalizations_equal_the_reference(structure_of, k, normalization):
    geometry = GEOMETRIES[k][1]
    low, high, sigma = AXES[geometry]
    term = Term(k=k, geometry=geometry, grid=(low, high, 7), sigma=sigma, cutoff=RADII[k])
    assert_equals_reference(structure_of(3), term, normalization)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_element_correlation_equals_the_reference(structure_of, k):
    geometry = GEOMETRIES[k][0]
    low, high, sigma = AXES[geometry]
    term = Term(k=k, geometry=geometry, grid=(low, high, 7), sigma=sigma, cutoff=RADII[k])
    assert_equals_reference(structure_of(4), term, correlation=pettifor_correlation(ELEMENTS, length=1.0))


def test_angles_within_reach_of_an_exponential_equal_the_reference(structure_of):
    term = Term(k=3, geometry="angle", grid=(0.0, 3.2, 9), sigma=0.2, weighting="exponential", scale=2.0, accuracy=0.1)
    assert_equals_reference(structure_of(11, 2), term)


def test_straight_chains_and_rings_of_three_have_no_dihedral_angle():
    term = Term(k=4, geometry="dihedral", grid=(0.0, 3.2, 9), sigma=0.2, cutoff=3.2)
    assert_equals_reference(bulk("Ag"), term)
    triangle = Atoms("AgPdAg", [[0, 0, 0], [2.5, 0, 0], [1.2, 2.2, 0]])
    line = Atoms("AgPdAgPd", [[0, 0, 0], [0, 0, 2.5], [0, 0, 5.0], [0, 0, 7.5]])
    assert MBTR(ELEMENTS, (term,)).transform([triangle, line]).max() == 0.0


def test_a_dihedral_angle_is_that_of_the_textbook():
    for angle in (0.4, 1.9, -1.9):
        end = [2.0 * np.cos(angle), 2.0 * np.sin(angle), 2.0]
        chain = Atoms("AgPdPdAg", [[2.0, 0, 0], [0, 0, 0], [0, 0, 2.0], end])
        term = Term(k=4, geometry="dihedral", grid=(0.0, 3.2, 320), sigma=0.02, cutoff=2.1, taper="sharp")
        X = MBTR(ELEMENTS, (term,), normalization="none").transform([chain])[0]
        peak = X.reshape(-1, 320).sum(axis=0)
        assert 0.01 * peak.sum() == pytest.approx(1.0)
        assert 0.01 * (np.argmax(peak) + 0.5) == pytest.approx(abs(angle), abs=0.006)
