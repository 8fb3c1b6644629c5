"""Lookups foreseen: none where nothing is in doubt, one for each independent doubt, fewer where one settles another.

What is looked up in a sample lowers its hull, in all samples at once as in each.
"""

import numpy as np
import pytest

from hullscout.hull import of_all_elements
from hullscout.selection import sample_kernels
from hullscout.selection.hull_posterior import Fantasies, lookups_foreseen
from hullscout.selection.sample_kernels import deeper_than, tent

X = np.array([0.25, 0.5, 0.75])


def foreseen(depths, *, probability=0.05, x=X):
    return lookups_foreseen(np.asarray(depths), x, tolerance_ev_per_atom=0.001, failure_probability=probability)


def test_nothing_is_foreseen_where_no_sample_goes_below_the_hull():
    assert foreseen(np.full((100, 3), -0.01)) == 0
    assert foreseen(np.full((100, 3), 0.001)) == 0
    assert foreseen(np.empty((100, 0)), x=np.empty(0)) == 0


def test_each_candidate_in_doubt_by_itself_is_looked_up():
    depths = np.full((90, 3), -1.0)
    for i in range(90):
        depths[i, i % 3] = 0.01
    assert foreseen(depths) == 3
    assert foreseen(depths, probability=0.5) == 2  # a third of the samples may stay in doubt
    assert foreseen(depths, probability=0.99) == 1


def test_a_deep_candidate_settles_what_lies_above_its_tie_lines():
    depths = np.tile([0.004, 0.01, 0.004], (50, 1))
    assert foreseen(depths) == 1
    depths = np.tile([0.008, 0.01, 0.004], (50, 1))
    assert foreseen(depths) == 2


def test_the_depths_are_left_as_they_are():
    depths = np.tile([0.008, 0.01, 0.004], (50, 1))
    before = depths.copy()
    foreseen(depths)
    np.testing.assert_array_equal(depths, before)


@pytest.mark.parametrize("peak", [0.0, 0.3, 1.0])
def test_the_tent_is_one_at_its_peak_and_zero_at_the_other_ends(peak):
    assert tent_at(peak, peak) == 1.0
    assert {tent_at(x, peak) for x in (0.0, 1.0) if x != peak} == {0.0}
    assert tent_at(peak / 2, peak) == (0.5 if peak == 0.3 else 0.0 if peak else 1.0)


def test_of_three_elements_a_tent_ends_where_one_of_its_peak_is_missing():
    peak = np.array([0.5, 0.25, 0.25])
    assert tent(peak, peak) == 1.0
    assert tent(np.array([0.5, 0.5, 0.0]), peak) == 0.0
    assert tent(np.array([0.75, 0.125, 0.125]), peak) == 0.5
    on_an_edge = np.array([0.5, 0.5, 0.0])
    assert tent(np.array([0.25, 0.25, 0.5]), on_an_edge) == 0.5, "half of it and half of the third element"
    assert tent(peak, np.array([1.0, 0.0, 0.0])) == 0.0, "pure elements lower nothing but themselves"


def tent_at(x, peak):
    return tent(np.array([1.0 - x, x]), np.array([1.0 - peak, peak]))


def looked_up_one_by_one(depths, x, floor, cost, least):
    """The plain way: every sample's hull lowered by every lookup."""
    left, picks = depths.copy(), []
    while (left.max(axis=1) > floor).sum() >= max(least, 1):
        counts = np.bincount(left.argmax(axis=1)[left.max(axis=1) > floor], minlength=x.size)
        picks.append(int((counts / cost).argmax()))
        by = np.maximum(left[:, picks[-1]], 0.0)
        left -= by[:, None] * np.array([tent_at(one, x[picks[-1]]) for one in x])
        left[:, picks[-1]] = -np.inf
    return picks


@pytest.mark.parametrize("least", [1, 30])
def test_lookups_are_those_of_every_sample_lowered_one_by_one(least):
    rng = np.random.default_rng(3)
    x = np.concatenate([[0.0, 1.0], rng.uniform(size=10)])
    depths, cost = rng.normal(-0.005, 0.01, size=(300, 12)), rng.uniform(1.0, 3.0, size=12)
    expected = looked_up_one_by_one(depths, x, 0.002, cost, least)
    assert len(expected) > 3
    found = Fantasies(depths, x, floor=0.002).look_up_deepest(12, least=least, cost=cost)
    assert found.tolist() == expected
    first = Fantasies(depths, x, floor=0.002)
    first.look_up(int(np.flatnonzero(first.columns == expected[0])[0]))
    assert first.look_up_deepest(2, cost=cost).tolist() == expected[1:3]


def test_compiled_kernels_equal_their_source():
    depths = np.random.default_rng(4).normal(size=(50, 3))
    states = [(of_all_elements(X), depths.copy(), depths.argmax(axis=1), depths.max(axis=1)) for _ in range(2)]
    look_up, look_up_deepest = sample_kernels.look_up, sample_kernels.look_up_deepest
    look_up(1, *states[0])
    look_up.py_func(1, *states[1])
    np.testing.assert_array_equal(
        look_up_deepest(2, 1.0, 0.1, np.ones(3), *states[0]),
        look_up_deepest.py_func(2, 1.0, 0.1, np.ones(3), *states[1]),
    )
    for compiled, source in zip(*states, strict=True):
        np.testing.assert_allclose(compiled, source, rtol=1e-12)


def test_the_kernel_that_finds_what_counts_equals_its_formula():
    depths = np.random.default_rng(0).normal(-2.0, 1.0, size=(40, 7))
    depths[:, 3] = -np.inf
    rows, columns = np.flatnonzero((depths > 0.5).any(axis=1)), np.flatnonzero((depths > 0.5).any(axis=0))
    assert 0 < rows.size < 40
    assert 3 not in columns
    for kernel in (deeper_than, deeper_than.py_func):
        found, left, deepest, depth = kernel(0.5, depths)
        assert found.tolist() == columns.tolist()
        np.testing.assert_array_equal(left, depths[np.ix_(rows, columns)])
        np.testing.assert_array_equal(deepest, left.argmax(axis=1))
        np.testing.assert_array_equal(depth, left.max(axis=1))
