"""A prediction for a new alloy is wide where alloys differ, and covers what is drawn from the same family."""

import numpy as np
import pytest
from scipy.special import expit

from hullscout.errors import InvalidPlanError
from hullscout.planning.budget import Budget
from hullscout.planning.forecast import EXPERIENCE, Experience, Source, log_odds, predict_alloy, total_of


def alloys(rng, n, *, between=0.6, within=0.1):
    centres = -1.5 + between * rng.standard_normal(n)
    return [expit(centre + within * rng.standard_normal(8)) for centre in centres]


def test_the_interval_covers_new_alloys_as_often_as_it_says():
    rng, hits = np.random.default_rng(0), []
    for _ in range(200):
        *known, new = alloys(rng, 6)
        low, high = predict_alloy(Experience.of(known), 500).quantiles((0.05, 0.95))
        hits.extend((low <= 500 * new) & (500 * new <= high))
    assert np.mean(hits) == pytest.approx(0.9, abs=0.04)


def test_alloys_that_differ_more_make_it_wider():
    rng = np.random.default_rng(1)
    widths = [
        np.ptp(predict_alloy(Experience.of(alloys(rng, 8, between=b)), 500).quantiles((0.05, 0.95)))
        for b in (0.1, 0.4, 1.0)
    ]
    assert widths == sorted(widths)


def test_it_scales_with_the_pool_and_stays_within_it():
    shares = alloys(np.random.default_rng(2), 5)
    small, large = (predict_alloy(Experience.of(shares), n) for n in (100, 1000))
    np.testing.assert_allclose(large.quantiles(), 10 * small.quantiles())
    full = predict_alloy(Experience.of([np.ones(3), np.ones(3), np.full(3, 0.9)]), 50)
    assert full.calculations.max() <= 50
    assert full.probability_within(Budget.parse("50")) == 1.0


def test_no_campaign_takes_less_than_its_start():
    experience = Experience.of(alloys(np.random.default_rng(2), 5))
    assert predict_alloy(experience, 20).calculations.min() == 2.0, "both pure elements"
    assert predict_alloy(experience, 20, n_start=12).calculations.min() == 12.0


def test_fewer_than_three_alloys_are_refused():
    with pytest.raises(InvalidPlanError, match="at least 3 similar alloys, found 2"):
        Experience.of([np.array([0.1, 0.2])] * 2)


def test_alloys_together_are_less_certain_than_if_they_were_independent():
    experience = Experience.of(alloys(np.random.default_rng(3), 5))
    parts = [predict_alloy(experience, 500, number=n, hours_per_calculation=2.0, hours_error=0.1) for n in range(12)]
    total = total_of(parts)
    assert total.n_candidates == 6000
    assert total.calculations.mean() == pytest.approx(sum(part.calculations.mean() for part in parts))
    assert total.core_hours.mean() == pytest.approx(sum(part.core_hours.mean() for part in parts))
    alone = np.sqrt(sum(part.calculations.var() for part in parts))
    assert 1.5 * alone < total.calculations.std() < sum(part.calculations.std() for part in parts)


def test_core_hours_are_less_certain_than_counts_by_what_the_law_is():
    experience = Experience.of([np.array([0.2, 0.2])] * 3)
    known, unsure = (
        predict_alloy(experience, 500, hours_per_calculation=2.0, hours_error=error) for error in (0.0, 0.2)
    )
    np.testing.assert_allclose(known.core_hours, 200.0)
    assert np.std(np.log(unsure.core_hours)) == pytest.approx(0.2, rel=0.05)
    assert unsure.probability_within(Budget.parse("200h")) == pytest.approx(0.5, abs=0.02)
    with pytest.raises(InvalidPlanError, match="needs a cost model"):
        predict_alloy(experience, 500).probability_within(Budget.parse("200h"))


def test_a_guess_shifts_what_the_offsets_say():
    offsets = Experience(offsets=(0.1, 0.3, 0.2), scatter=0.05)
    low, high = (np.median(predict_alloy(offsets, 1000, guess=guess).calculations) for guess in (-1.0, 0.0))
    assert low == pytest.approx(1000 * expit(-0.8), rel=0.01)
    assert high == pytest.approx(1000 * expit(0.2), rel=0.01)
    shares = [np.array([0.1, 0.2]), np.array([0.3, 0.5]), np.array([0.2, 0.2])]
    means = [log_odds(share).mean() for share in shares]
    assert Experience.of(shares, means).offsets == pytest.approx((0.0, 0.0, 0.0))


def test_what_was_seen_of_stand_ins_is_of_three_alloys_or_more():
    assert set(EXPERIENCE) == {Source.PRIOR, Source.BASELINE}
    assert all(len(experience.offsets) >= 3 for experience in EXPERIENCE.values())
