"""An energy that no alloy has is found beside the others, whichever it is, and no energy of an alloy is."""

import numpy as np
import pytest

from hullscout.pool import find_outlying

RNG = np.random.default_rng(3)


def pool(k, n=40):
    """Weights and energies of n structures of k elements, the pure ones first, formation energies within 1 eV/atom."""
    weights = np.vstack([np.eye(k), RNG.dirichlet(np.ones(k), n - k)])
    ends = RNG.uniform(-9000.0, -1.0, k)
    return weights, weights @ ends + RNG.uniform(-1.0, 1.0, n) * (weights < 1.0).all(axis=1)


@pytest.mark.parametrize("k", [2, 3, 4])
def test_energies_of_an_alloy_are_not_found(k):
    weights, energies = pool(k)
    assert find_outlying(weights, energies, np.ones(len(energies), bool)) == {}


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("place", [0, 1, 7])
def test_one_that_is_far_off_is_found_alone_be_it_of_an_element(k, place):
    weights, energies = pool(k)
    right, energies[place] = energies[place], energies[place] - 5000.0
    found = find_outlying(weights, energies, np.ones(len(energies), bool))
    assert list(found) == [place]
    assert found[place] == pytest.approx(right, abs=10.0)


def test_what_is_known_is_not_judged_and_counts_first_where_nothing_else_decides():
    weights, energies = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]), np.array([-3.0, -4.0, -40.0])
    assert find_outlying(weights, energies, np.array([False, False, True])) == {2: pytest.approx(-3.5)}
    assert find_outlying(weights, energies, np.zeros(3, bool)) == {}


def test_nothing_is_found_without_an_energy_of_each_end_or_beside_the_ends_alone():
    weights, energies = np.array([[1.0, 0.0], [0.5, 0.5], [0.25, 0.75]]), np.array([-3.0, -4.0, -4000.0])
    assert find_outlying(weights, energies, np.ones(3, bool)) == {}
    assert find_outlying(np.eye(2), np.array([-3.0, 4000.0]), np.ones(2, bool)) == {}
