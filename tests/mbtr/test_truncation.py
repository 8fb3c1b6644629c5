"""Cutoffs that follow from an accuracy: what is left out stays below it, and the cell does not matter."""

import math

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from scipy.spatial.distance import pdist, squareform

from hullscout.errors import InvalidStructureError
from hullscout.mbtr import MBTR, Term
from hullscout.mbtr.counting import closest_distances, search_range
from hullscout.mbtr.structures import read_structures
from hullscout.mbtr.truncation import (
    CONVERGENT_DIRECTIONS,
    _radius,
    dropped_power_bound,
    dropped_weight_bound,
    search_radii,
)

GRIDS = {
    2: ("distance", (0.0, 60.0, 60), 2.0),
    3: ("cosine", (-1.0, 1.0, 40), 0.2),
    4: ("dihedral", (0.0, 3.2, 20), 0.3),
}


CHAIN = Atoms("Ag", cell=[2.6, 0, 0], pbc=(True, False, False))
WAVE = Atoms("Ag2", [[0, 0, 0], [2.5, 0.8, 0]], cell=[5.0, 0, 0], pbc=(True, False, False))
ZIGZAG = Atoms("Ag3", [[0, 0, 0], [1.5, 2.0, 0], [0.5, 1.0, 2.4]], cell=[4.0, 0, 0], pbc=(True, False, False))
SLAB = fcc111("Ag", (1, 1, 2), vacuum=5.0)


def term_of(k, weighting, **settings):
    geometry, grid, sigma = GRIDS[k]
    return Term(k=k, geometry=geometry, grid=grid, sigma=sigma, weighting=weighting, **settings)


def exponential_term(k, scale, **settings):
    return term_of(k, "exponential", scale=scale, **settings)


def weight_of(structure, term):
    counts = MBTR(("Ag",), (term,), max_outside=1.0).count([structure])
    return float(counts.terms[0].moments[:, :, 0].sum() + counts.terms[0].lost.sum())


def total_weight(structure, k, scale, **settings):
    return weight_of(structure, exponential_term(k, scale, **settings))


def range_of(structures, term):
    batch = read_structures(structures, (47,))
    return search_range(batch, term, closest_distances(batch))


@pytest.mark.parametrize(("k", "scale", "accuracy"), [(2, 1.0, 1e-2), (2, 1.0, 1e-5), (3, 1.2, 1e-3), (4, 3.5, 1e-3)])
@pytest.mark.parametrize("structure", [bulk("Ag"), SLAB], ids=["crystal", "slab"])
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
    radii, _ = range_of(structures, exponential_term(2, 0.8))
    np.testing.assert_allclose(radii, radii[0], rtol=1e-12)
    X = MBTR(("Ag",), (exponential_term(2, 0.8),)).transform(structures)
    np.testing.assert_allclose(X, X[[0, 0, 0, 0]], atol=1e-12 * X.max())


@pytest.mark.parametrize("k", [2, 3, 4])
def test_bound_falls_with_the_radius_and_the_radius_meets_the_accuracy(k):
    bounds = [dropped_weight_bound(k, 1.0, radius, closest=2.5) for radius in (5.0, 10.0, 20.0)]
    assert bounds[0] > bounds[1] > bounds[2] > 0
    radius = _radius(exponential_term(k, 1.0, accuracy=1e-4), 3, 2.5, 0.0)
    assert dropped_weight_bound(k, 1.0, radius, closest=2.5) <= 1e-4
    assert dropped_weight_bound(k, 1.0, radius - 1e-5, closest=2.5) > 1e-4


def test_bound_of_pairs_is_the_integral_that_its_docstring_states():
    from scipy.integrate import quad

    a, scale, radius = 2.5, 0.9, 7.0
    density = 6 / (math.pi * a**3)
    integral = quad(lambda r: math.exp(-scale * (r - a / 2)) * 4 * math.pi * r**2, radius - a / 2, 80)[0]
    assert dropped_weight_bound(2, scale, radius, closest=a) == pytest.approx(0.5 * density * integral, rel=1e-8)


@pytest.mark.parametrize(
    ("structure", "k", "weighting", "accuracy", "wider"),
    [
        (CHAIN, 2, "inverse_square", 1e-2, 1e-5),
        (ZIGZAG, 2, "inverse_square", 1e-3, 1e-6),
        (CHAIN, 3, "inverse_product", 1e-1, 3e-3),
        (ZIGZAG, 3, "inverse_product", 0.9, 0.2),
        (CHAIN, 3, "inverse_square", 1e-3, 1e-6),
        (ZIGZAG, 3, "inverse_square", 1e-3, 1e-6),
        (WAVE, 4, "inverse_square", 0.5, 0.1),
        (SLAB, 3, "inverse_square", 0.9, 0.1),
    ],
)
def test_weight_left_out_of_a_power_law_is_smaller_than_the_accuracy(structure, k, weighting, accuracy, wider):
    found = weight_of(structure, term_of(k, weighting, accuracy=accuracy))
    nearly_all = weight_of(structure, term_of(k, weighting, accuracy=wider))
    assert found < nearly_all
    assert nearly_all - found <= accuracy * len(structure)


def test_a_chain_of_atoms_sums_to_the_zeta_function():
    spacing, accuracy = 2.6, 1e-6
    exact = math.pi**2 / 6 / spacing**2
    found = weight_of(CHAIN, term_of(2, "inverse_square", accuracy=accuracy))
    assert exact - accuracy <= found < exact


def weight_within(structure, k, power, reach):
    """Return the weight of all tuples with no leg (k = 3) or bond longer than reach, by plain sums over images."""
    images = np.arange(-60, 61)
    steps = np.stack(np.meshgrid(*(images if periodic else [0] for periodic in structure.pbc)), axis=-1).reshape(-1, 3)
    points = (structure.positions[None] + (steps @ structure.cell[:])[:, None]).reshape(-1, 3)
    owner = np.tile(np.arange(len(structure)), len(steps))
    around = []
    for position in structure.positions:
        d = np.linalg.norm(points - position, axis=1)
        around.append((points[(d > 0) & (d <= reach)] - position, owner[(d > 0) & (d <= reach)]))
    legs = [np.linalg.norm(vectors, axis=1) ** -power for vectors, _ in around]
    if k == 2:
        return 0.5 * sum(leg.sum() for leg in legs)
    if k == 3:
        thirds = [pdist(vectors) ** -power for vectors, _ in around]
        return sum(
            (third * squareform(np.outer(leg, leg), checks=False)).sum()
            for third, leg in zip(thirds, legs, strict=True)
        )
    sums = np.array([leg.sum() for leg in legs])
    return 0.5 * sum((leg * sums[of]).sum() * own for leg, (_, of), own in zip(legs, around, sums, strict=True))


@pytest.mark.parametrize(("k", "weighting"), list(CONVERGENT_DIRECTIONS))
def test_bounds_of_power_laws_hold_for_random_slabs_and_chains(structure_of, k, weighting):
    power = 2 if weighting == "inverse_square" else 1
    for n_periodic in range(1, CONVERGENT_DIRECTIONS[k, weighting] + 1):
        for seed in range(5):
            structure = structure_of(seed, 3, (True, n_periodic == 2, False), closest=2.0)
            batch = read_structures([structure], (47, 46))
            closest, half_width = float(closest_distances(batch)[0]), float(batch.half_widths()[0])
            for radius in (12.0, 18.0):
                bound = dropped_power_bound(k, power, n_periodic, radius, closest=closest, half_width=half_width)
                dropped = weight_within(structure, k, power, 36.0 if n_periodic == 2 else 150.0)
                dropped -= weight_within(structure, k, power, radius)
                assert 0 < dropped <= 3 * bound < math.inf


def test_radius_of_a_power_law_does_not_depend_on_the_cell():
    other = ZIGZAG.repeat((3, 1, 1))
    other.rotate(40, (1, 2, 3), rotate_cell=True)
    other.positions += 7.0
    radii, _ = range_of([ZIGZAG, other], term_of(2, "inverse_square", accuracy=1e-2))
    assert radii[0] == pytest.approx(radii[1], rel=1e-12)
    X = MBTR(("Ag",), (term_of(3, "inverse_square", accuracy=1e-4),)).transform([ZIGZAG, other])
    np.testing.assert_allclose(X[0], X[1], atol=1e-12 * X.max())


@pytest.mark.parametrize("k", [2, 3, 4])
@pytest.mark.parametrize("weighting", ["unity", "inverse_square", "inverse_product"])
@pytest.mark.parametrize("n_periodic", [1, 2, 3])
def test_periodic_sums_that_diverge_are_refused_and_only_they(k, weighting, n_periodic):
    converges = n_periodic <= CONVERGENT_DIRECTIONS.get((k, weighting), 0)
    structure = bulk("Ag", cubic=True)
    structure.pbc = np.arange(3) < n_periodic
    batch = read_structures([Atoms("Ag2", [[0, 0, 0], [0, 0, 2.5]]), structure], (47,))
    if converges:
        radii = search_radii(term_of(k, weighting), batch, closest_distances(batch))
        assert radii[0] == math.inf
        assert 10.0 < radii[1] < math.inf
        return
    match = rf"structure 1 has {n_periodic} periodic directions?, over which k{k}.*diverges: expected at most"
    with pytest.raises(InvalidStructureError, match=match):
        search_radii(term_of(k, weighting), batch, closest_distances(batch))
