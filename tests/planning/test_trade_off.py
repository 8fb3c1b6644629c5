"""Intervals are exact, and a setting is recommended only with confidence."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from planning.conftest import made_path
from scipy.stats import beta

from hullscout.campaign.config import load_config
from hullscout.figures.trade_off import draw_trade_off
from hullscout.planning.grid import parse_axes, settings_of
from hullscout.planning.rates import Rate, Spread, fewest_runs
from hullscout.planning.recommending import recommend, recommendations
from hullscout.planning.trade_off import outcome_of, totals


def path(seed, *, stated=0.01, is_right=True, n=20):
    """Ten calculations at a stated half, then all `n`; the hull is found after fifteen, or never."""
    steps = ((2, 0.5), (15, 0.0)) if is_right else ((2, 0.5),)
    return made_path((10, 9, 0.5, 8), (n, 5, stated, 0), seed=seed, steps=steps)


@pytest.fixture
def settings(campaign_file):
    axes = parse_axes(["select.rule=hull-posterior", "stop.failure_probability=0.6,0.05"])
    return settings_of(load_config(campaign_file), axes, source="")


def outcomes(settings, n_runs, n_wrong=0, **kind):
    paths = [path(seed, is_right=seed >= n_wrong, **kind) for seed in range(n_runs)]
    return [outcome_of(setting, paths, n_candidates=40, cost=np.arange(40) + 1.0) for setting in settings]


@pytest.mark.parametrize(("hits", "runs"), [(0, 7), (3, 7), (7, 7), (48, 50)])
def test_the_interval_is_that_of_clopper_and_pearson(hits, runs):
    rate = Rate.of(hits, runs)
    low = beta.ppf(0.025, hits, runs - hits + 1) if hits else 0.0
    high = beta.ppf(0.975, hits + 1, runs - hits) if hits < runs else 1.0
    np.testing.assert_allclose([rate.low, rate.high], [low, high], atol=1e-9)
    np.testing.assert_allclose([rate.complement.low, rate.complement.high], [1 - high, 1 - low], atol=1e-9)


@pytest.mark.parametrize("risk", [0.01, 0.05, 0.2])
def test_fewest_runs_are_just_enough(risk):
    n = fewest_runs(risk)
    assert Rate.of(0, n).high <= risk < Rate.of(0, n - 1).high


def test_an_outcome_counts_calculations_costs_and_failures(settings):
    early, late = outcomes(settings, 4, n_wrong=1)
    assert (early.calculations.mean, late.calculations) == (10, Spread(mean=20, p05=20, p95=20))
    assert (early.saved_fraction.mean, late.saved_fraction.mean) == (0.75, 0.5)
    assert (early.within_tolerance.rate, late.within_tolerance.rate) == (0.0, 0.75)
    assert late.hull_error_ev_per_atom == {"mean": 0.125, "max": 0.5}
    assert late.failure["stated"] == pytest.approx(0.01)
    assert late.failure["rate"] == 0.25
    assert late.cost == {"mean": 210, "p05": 210, "p95": 210, "all": 820, "saved_fraction": 1 - 210 / 820}
    assert early.stop_reasons == late.stop_reasons == {"failure-probability": 4}


def test_the_cheapest_setting_that_is_surely_safe_is_recommended(settings):
    both_right = [outcomes(settings, 80)[1], *outcomes(settings, 80, n=18)[1:]]
    best = recommend(both_right, risk=0.05)
    assert best.option is both_right[1]
    assert "18 of 40 calculations, 55.0 % saved" in best.sentence


def test_a_setting_that_only_looks_safe_is_not_recommended(settings):
    found = recommend(outcomes(settings, 80, n_wrong=2), risk=0.05)
    assert found.option is None
    assert "no setting is below the wanted risk of 5 % with confidence" in found.sentence
    assert "2.5 % (0.3 to 8.7 %)" in found.sentence


def test_too_few_replicates_are_said_to_be_too_few(settings):
    found = recommend(outcomes(settings, 30), risk=0.05)
    assert found.option is None
    assert "Give --replicates 72 or more" in found.sentence


def test_the_figure_shows_each_setting_with_its_interval(settings):
    drawn = outcomes(settings, 80, n_wrong=3)
    ax = draw_trade_off(Figure().add_subplot(), drawn, risk=0.05, rules=["hull-posterior"])
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[3.75, 50.0], [100.0, 75.0]])
    (whiskers, _) = ax.containers[0].lines[2]
    np.testing.assert_allclose(whiskers.get_segments()[0][:, 0], [100 * drawn[1].risk.low, 100 * drawn[1].risk.high])
    assert ax.get_xlabel() == "hulls beyond the tolerance (% of replays)"


def named(settings, name, n_runs, **kind):
    return [replace(outcome, campaign=name) for outcome in outcomes(settings, n_runs, **kind)]


def test_campaigns_together_are_sums_of_calculations_and_one_sample_of_runs(settings):
    both = [*named(settings, "a", 60), *named(settings, "b", 60, n_wrong=1, n=18)]
    early, late = totals(both)
    assert (early.label, late.label) == (
        "hull-posterior (failure_probability = 0.6)",
        "hull-posterior (failure_probability = 0.05)",
    )
    assert (late.calculations, late.n_candidates, late.saved_fraction) == (38.0, 80, 1 - 38 / 80)
    assert late.risk == Rate.of(119, 120).complement
    assert late.riskiest.campaign == "b"
    assert totals(both[:3]) == (totals(both[:3])[0],)  # b has only one of the settings


def test_all_campaigns_get_the_cheapest_setting_that_is_safe_on_average(settings):
    both = [*named(settings, "a", 60), *named(settings, "b", 60, n_wrong=1, n=18)]
    each, together = recommendations(both, risk=0.05)
    assert each.sentence.startswith("Each by itself: 60 replicates cannot show that a setting is safe enough")
    assert together.sentence == (
        "All together: take hull-posterior (failure_probability = 0.05): 38 of 80 calculations, 52.5 % saved; risk 0.8 % (0.0 to "
        "4.6 %) as the mean of these campaigns, below the wanted 5 %; largest for b: 1.7 % (0.0 to 8.9 %)."
    )
    unsafe = recommendations([*named(settings, "a", 80), *named(settings, "b", 80, n_wrong=20)], risk=0.05)
    assert len(unsafe) == 3
    assert unsafe[-1].sentence.startswith("All together: no setting is safe enough.")


def test_where_the_observed_risk_is_far_above_the_wanted_one_that_is_said_and_what_was_missed(settings):
    """More replicates cannot help there, so they are not asked for."""
    paths = [path(seed, is_right=seed >= 17) for seed in range(20)]
    states = {0: "fcc-Cu", 9: "A12-Cu", 19: "found late", 30: "D0_22"}
    late = outcome_of(settings[1], paths, n_candidates=40, cost=np.ones(40), ground_states=states)
    assert late.missed == {"D0_22": 17}
    for options in ([late], [replace(late, campaign="All together")]):
        said = recommend(options, risk=0.05).sentence
        assert "no setting is safe enough" in said
        assert "85.0 % (62.1 to 96.8 %) wrong hulls, where 1.0 % were stated, and 5 % are wanted" in said
        assert "Most often missed: D0_22, in 17 of the 17 wrong runs." in said
        assert "--replicates" not in said


@pytest.mark.parametrize("n_runs", [1, 2, 3])
def test_replays_that_all_fail_are_said_to_be_before_more_of_them_are_asked_for(settings, n_runs):
    """Of a single one the interval still holds the wanted risk; that it failed comes first all the same."""
    said = recommend(outcomes(settings, n_runs, n_wrong=n_runs), risk=0.05).sentence
    assert "no setting is safe enough. The safest" in said
    assert "100.0 % (" in said
    assert "--replicates" not in said
    assert said.endswith("More replicates will not change that.") == (n_runs > 1)


def test_one_unsafe_campaign_of_several_is_named_before_more_replicates_are_asked_for(settings):
    found = recommendations([*named(settings, "a", 20), *named(settings, "b", 20, n_wrong=17)], risk=0.05)
    assert [one.sentence.split(":")[0] for one in found] == ["b", "Each by itself", "All together"]
    assert "no setting is safe enough" in found[0].sentence
