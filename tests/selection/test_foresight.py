"""Lookups foreseen: none where nothing is in doubt, one for each independent doubt, fewer where one settles another."""

import numpy as np
import pytest

from hullscout.selection.foresight import lookups_foreseen, tent

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
