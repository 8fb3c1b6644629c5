"""A prediction for a new alloy is wide where alloys differ, and covers what is drawn from the same family."""

import numpy as np
import pytest
from scipy.special import expit

from hullscout.errors import InvalidPlanError
from hullscout.planning.new_alloy import from_similar


def alloys(rng, n, *, between=0.6, within=0.1):
    centres = -1.5 + between * rng.standard_normal(n)
    return [expit(centre + within * rng.standard_normal(8)) for centre in centres]


def test_the_interval_covers_new_alloys_as_often_as_it_says():
    rng, hits = np.random.default_rng(0), []
    for _ in range(200):
        *known, new = alloys(rng, 6)
        low, high = from_similar(known, 500).quantiles((0.05, 0.95))
        hits.extend((low <= 500 * new) & (500 * new <= high))
    assert np.mean(hits) == pytest.approx(0.9, abs=0.04)


def test_alloys_that_differ_more_make_it_wider():
    rng = np.random.default_rng(1)
    widths = [np.ptp(from_similar(alloys(rng, 8, between=b), 500).quantiles((0.05, 0.95))) for b in (0.1, 0.4, 1.0)]
    assert widths == sorted(widths)


def test_it_scales_with_the_pool_and_stays_within_it():
    shares = alloys(np.random.default_rng(2), 5)
    small, large = (from_similar(shares, n) for n in (100, 1000))
    np.testing.assert_allclose(large.quantiles(), 10 * small.quantiles())
    full = from_similar([np.ones(3), np.ones(3), np.full(3, 0.9)], 50)
    assert full.calculations.max() <= 50
    assert full.probability_within(50) == 1.0


def test_fewer_than_three_alloys_are_refused():
    with pytest.raises(InvalidPlanError, match="at least 3 similar alloys, found 2"):
        from_similar([np.array([0.1, 0.2])] * 2, 100)
