"""Distances between structures, straight from the counts."""

import numpy as np
import pytest
from ase.build import bulk
from scipy.spatial.distance import pdist, squareform

from hullscout.errors import InvalidSettingError
from hullscout.mbtr import MBTR, Term, pettifor_correlation, structure_distances

FINE = Term(k=2, geometry="inverse_distance", grid=(-0.3, 1.2, 1500), sigma=0.03, cutoff=6.0, value="density")


@pytest.mark.parametrize("normalization", ["none", "per_atom", "valle_oganov"])
def test_distances_equal_those_of_features_on_a_fine_grid(structure_of, normalization):
    structures = [structure_of(seed, 2 + seed % 2) for seed in range(6)]
    mbtr = MBTR(("Ag", "Pd"), (FINE,), normalization=normalization)
    counts = mbtr.count(structures)
    sigmas = (0.015, 0.03, 0.06)
    found = structure_distances(counts, "k2", sigmas)
    for sigma, matrix in zip(sigmas, found, strict=True):
        expected = squareform(pdist(counts.features({"k2": sigma}))) * np.sqrt(1.5 / 1500)
        np.testing.assert_allclose(matrix, expected, atol=1e-10 * expected.max())


def test_distances_follow_the_element_correlation(structure_of):
    structures = [structure_of(seed) for seed in range(5)]
    C = pettifor_correlation(("Ag", "Pd"), length=1.0)
    counts = MBTR(("Ag", "Pd"), (FINE,), correlation=C).count(structures)
    expected = squareform(pdist(counts.features())) * np.sqrt(1.5 / 1500)
    np.testing.assert_allclose(structure_distances(counts, "k2", [0.03])[0], expected, atol=1e-10 * expected.max())


def test_of_one_structure_or_none_there_are_no_distances():
    mbtr = MBTR(("Ag",), (FINE,))
    assert structure_distances(mbtr.count([bulk("Ag")]), "k2", [0.03]).tolist() == [[[0.0]]]
    assert structure_distances(mbtr.count([]), "k2", [0.03, 0.04]).shape == (2, 0, 0)


def test_distances_that_have_no_exact_form_are_refused(structure_of):
    structures = [structure_of(1), structure_of(2)]
    counts = MBTR(("Ag", "Pd"), (FINE,)).count(structures)
    with pytest.raises(InvalidSettingError, match="label must be one of"):
        structure_distances(counts, "k3", [0.03])
    with pytest.raises(InvalidSettingError, match="must lie in"):
        structure_distances(counts, "k2", [0.3])
    for kind in ("laplace", "uniform"):
        term = Term(k=2, geometry="inverse_distance", grid=(0, 1, 9), sigma=0.1, cutoff=6.0, distribution=kind)
        with pytest.raises(InvalidSettingError, match=f"normal distribution, found inverse_distance with {kind}"):
            structure_distances(MBTR(("Ag", "Pd"), (term,)).count(structures), "k2", [0.1])
    with pytest.raises(InvalidSettingError, match="do not know l2"):
        structure_distances(MBTR(("Ag", "Pd"), (FINE,), normalization="l2").count(structures), "k2", [0.03])
