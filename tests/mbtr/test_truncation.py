"""Cutoffs that follow from an accuracy: what is left out stays below it, and the cell does not matter."""

import math

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111

from hullscout.errors import InvalidStructureError
from hullscout.mbtr import MBTR, Term
from hullscout.mbtr.counting import search_range
from hullscout.mbtr.structures import read_structures
from hullscout.mbtr.truncation import dropped_weight_bound, exponential_radius

GRIDS = {
    2: ("distance", (0.0, 60.0, 60), 2.0),
    3: ("cosine", (-1.0, 1.0, 40), 0.2),
    4: ("dihedral", (0.0, 3.2, 20), 0.3),
}


def exponential_term(k, scale, **settings):
    geometry, grid, sigma = GRIDS[k]
    return Term(k=k, geometry=geometry, grid=grid, sigma=sigma, weighting="exponential", scale=scale, **settings)


def total_weight(structure, k, scale, **settings):
    counts = MBTR(("Ag",), (exponential_term(k, scale, **settings),), max_outside=1.0).count([structure])
    return float(counts.terms[0].moments[:, :, 0].sum() + counts.terms[0].lost.sum())


@pytest.mark.parametrize(("k", "scale", "accuracy"), [(2, 1.0, 1e-2), (2, 1.0, 1e-5), (3, 1.2, 1e-3), (4, 3.5, 1e-3)])
@pytest.mark.parametrize("structure", [bulk("Ag"), fcc111("Ag", (1, 1, 2), vacuum=5.0)], ids=["crystal", "slab"])
def test_weight_left_out_is_smaller_than_the_accuracy(structure, k, scale, accuracy):
    wider = {2: 1e-12, 3: 1e-6, 4: 1e-5}[k]
    found = total_weight(structure, k, scale, accuracy=accuracy)
    nearly_all = total_weight(structure, k, scale, accuracy=wider)
    assert nearly_all - found >= -1e-12 * found
    assert nearly_all - found <= accuracy * len(structure)


def test_radius_does_not_depend_on_the_cell():
    crystal = bulk("Ag")
    other = crystal.copy()
    other.set_cell(np.array([[1, 2, 0], [0, 1, -3], [0, 0, 1]]) @ crystal.cell[:])
    structures = [crystal, other, crystal.repeat((2, 1, 3)), bulk("Ag", cubic=True)]
    radii, _ = search_range(read_structures(structures, (47,)), exponential_term(2, 0.8))
    np.testing.assert_allclose(radii, radii[0], rtol=1e-12)
    X = MBTR(("Ag",), (exponential_term(2, 0.8),)).transform(structures)
    np.testing.assert_allclose(X, X[[0, 0, 0, 0]], atol=1e-12 * X.max())


@pytest.mark.parametrize("k", [2, 3, 4])
def test_bound_falls_with_the_radius_and_the_radius_meets_the_accuracy(k):
    bounds = [dropped_weight_bound(k, 1.0, radius, 2.5) for radius in (5.0, 10.0, 20.0)]
    assert bounds[0] > bounds[1] > bounds[2] > 0
    radius = exponential_radius(k, 1.0, 1e-4, 2.5)
    assert dropped_weight_bound(k, 1.0, radius, 2.5) <= 1e-4
    assert dropped_weight_bound(k, 1.0, radius - 1e-5, 2.5) > 1e-4


def test_bound_of_pairs_is_the_integral_that_its_docstring_states():
    from scipy.integrate import quad

    a, scale, radius = 2.5, 0.9, 7.0
    density = 6 / (math.pi * a**3)
    integral = quad(lambda r: math.exp(-scale * (r - a / 2)) * 4 * math.pi * r**2, radius - a / 2, 80)[0]
    assert dropped_weight_bound(2, scale, radius, a) == pytest.approx(0.5 * density * integral, rel=1e-8)


@pytest.mark.parametrize("weighting", ["unity", "inverse_square", "inverse_product"])
def test_periodic_sums_that_do_not_converge_are_refused(weighting):
    mbtr = MBTR(("Ag",), (Term(k=2, geometry="distance", grid=(0.0, 9.0, 9), sigma=0.5, weighting=weighting),))
    with pytest.raises(
        InvalidStructureError, match=r"structure 1 is periodic and the weighting of k2 .* does not converge"
    ):
        mbtr.transform([Atoms("Ag2", [[0, 0, 0], [0, 0, 2.5]]), bulk("Ag")])
