"""Lookups foreseen: none where nothing is in doubt, one for each independent doubt, fewer where one settles another.

What is looked up in a sample lowers its hull, in all samples at once as in each.
"""

import numpy as np
import pytest

from hullscout.selection.foresight import Fantasies, lookups_foreseen, tent
from hullscout.selection.sample_kernels import lower_by

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
    x = np.array([0.0, peak, 1.0])
    assert tent(x, peak)[1] == 1.0
    assert set(tent(x, peak)[x != peak]) == {0.0}


def test_fantasies_are_what_every_sample_lowered_one_by_one_gives():
    rng = np.random.default_rng(3)
    x = np.concatenate([[0.0, 1.0], rng.uniform(size=10)])
    depths = rng.normal(-0.005, 0.01, size=(300, 12))
    floor = 0.002
    fantasies, left = Fantasies(depths=depths, x=x, floor=floor), depths.copy()
    for _ in range(fantasies.columns.size):
        deepest = left.argmax(axis=1)
        counts = np.bincount(deepest[left.max(axis=1) > floor], minlength=12)
        np.testing.assert_array_equal(fantasies.counts(), counts[fantasies.columns])
        place = int(counts[fantasies.columns].argmax())
        pick = fantasies.columns[place]
        fantasies.look_up(place)
        left -= np.maximum(left[:, pick], 0.0)[:, None] * tent(x, float(x[pick]))
        left[:, pick] = -np.inf
    assert not fantasies.counts().any()


def test_the_compiled_kernel_equals_its_source():
    depths = np.random.default_rng(4).normal(size=(50, 3))
    states = [(depths.copy(), depths.argmax(axis=1), depths.max(axis=1)) for _ in range(2)]
    for kernel, state in zip((lower_by, lower_by.py_func), states, strict=True):
        kernel(*state, 1, tent(X, 0.5))
    for compiled, source in zip(*states, strict=True):
        np.testing.assert_allclose(compiled, source, rtol=1e-12)
