"""Energies of cheaper methods: used as they are, times a fitted coefficient, or not, as the left-out labels say, in each round."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from views import known_of

from hullscout.errors import InvalidPoolError
from hullscout.selection import HullPosteriorRule, StopSettings, Surrogate
from hullscout.selection.alloys import observed, stated_for
from hullscout.selection.baselines import Use
from hullscout.selection.transforms import Transform

RNG = np.random.default_rng(5)
X = np.concatenate([[0.0, 1.0], np.repeat(np.arange(1, 6) / 6, 12)])
FEATURES = np.concatenate([[[0.0] * 3, [1.0] * 3], RNG.uniform(size=(60, 3))])
HIDDEN = 0.01 * RNG.standard_normal(62) * X * (1 - X) * 4
"""What no feature tells, and a cheaper method does."""
ENERGY = -0.2 * X * (1 - X) + 0.03 * np.sin(3 * FEATURES).sum(axis=1) + HIDDEN - 2.0 * X - 1.0
NOISE = 0.05 * RNG.standard_normal(62)
ANSWERED = [0, 1, *(2 + np.random.default_rng(2).permutation(60)[:20]).tolist()]


def learned(baseline, answered=ANSWERED, **fields):
    known = known_of(X, ENERGY, answered, baseline=baseline, **fields)
    surrogate = Surrogate({"all": FEATURES}, fractions=X)
    return surrogate, surrogate.learn(known, Transform.CAP, energy_cap_ev_per_atom=0.15)


def error(belief):
    unknown = belief.known.unknown
    formation = ENERGY - (1 - X) * ENERGY[0] - X * ENERGY[1]
    return np.sqrt(np.mean((belief.mean_ev_per_atom - formation)[unknown] ** 2))


def test_a_baseline_that_knows_what_no_feature_tells_is_used():
    belief = learned(HIDDEN)[1]
    assert belief.baseline_use.baselines == (0,)
    assert error(belief) < 0.5 * error(learned(None)[1])


def test_a_baseline_on_another_scale_is_fitted_and_its_coefficient_told():
    use = learned(3.0 * HIDDEN)[1].baseline_use
    assert use.is_fitted
    assert use.coefficients == pytest.approx([1 / 3], abs=0.1)
    assert use.sentence(["diep"]) == f"The model starts from diep times {use.coefficients[0]:.2f} (fitted) now."


def test_a_share_of_the_belief_stays_with_the_model_that_was_told_nothing():
    surrogate, belief = learned(HIDDEN)
    without = learned(None)[1]
    told, untold = surrogate._fits
    best = told.predict()[0]
    doubt = told.doubt
    assert doubt == 1 / (len(ANSWERED) // 2)
    expected = (1 - doubt) * best + doubt * without.mean_ev_per_atom
    np.testing.assert_allclose(belief.mean_ev_per_atom, expected, atol=1e-12)
    assert (belief.std_ev_per_atom >= np.sqrt(doubt) * without.std_ev_per_atom).all()
    posterior = surrogate.posterior(belief.known.unknown[:5])
    assert posterior.weights.sum() == pytest.approx(1.0)
    assert posterior.weights[-len(untold.fitted.components) :].sum() == pytest.approx(doubt)


def test_the_share_falls_with_every_label_that_was_foretold_and_those_without_a_word_do_not_count():
    doubts = [learned(HIDDEN, ANSWERED[:n])[0]._fits[0].doubt for n in (10, 16, 22)]
    assert doubts == [1 / 5, 1 / 8, 1 / 11]
    lacking = np.isin(np.arange(62), ANSWERED[2::4])
    surrogate = learned(np.where(lacking, np.nan, HIDDEN))[0]
    assert surrogate._fits[0].n_counted < 11
    assert surrogate._fits[0].doubt == 1 / surrogate._fits[0].n_counted


def test_what_a_prior_says_is_stated_by_what_campaigns_with_one_came_to():
    rule, stop = HullPosteriorRule(), StopSettings()
    for baseline, has_prior in ((HIDDEN, True), (None, False)):
        surrogate = Surrogate({"all": FEATURES}, fractions=X)
        belief = rule.believe(known_of(X, ENERGY, ANSWERED, baseline=baseline), surrogate, stop=stop)
        share = belief.probability_of_deeper(stop.hull_tolerance)
        assert 0.0 < share < 1.0
        assert belief.has_prior is has_prior
        assert belief.observed(share) == observed(share, has_prior=has_prior)
        by_model = 1.0 - (1.0 - belief.failure_probability) / (1.0 - belief.loner_probability.sum())
        assert by_model == pytest.approx(belief.observed(share))
    assert observed(0.05, has_prior=True) > observed(0.05)
    assert stated_for(observed(0.05, has_prior=True), has_prior=True) == pytest.approx(0.05)


def test_noise_hardly_harms():
    errors = []
    for seed in range(8):
        answered = [0, 1, *(2 + np.random.default_rng(seed).permutation(60)[:20]).tolist()]
        noise = 0.05 * np.random.default_rng(seed).standard_normal(62)
        errors.append([error(learned(each, answered)[1]) for each in (None, noise)])
    without, beside = np.mean(errors, axis=0)
    assert beside < 1.1 * without


def test_what_is_not_used_leaves_the_belief_as_it_is_without():
    without, beside = learned(None)[1], learned(NOISE)[1]
    assert beside.baseline_use == Use()
    np.testing.assert_array_equal(beside.mean_ev_per_atom, without.mean_ev_per_atom)
    np.testing.assert_array_equal(beside.std_ev_per_atom, without.std_ev_per_atom)
    assert "nothing now" in beside.baseline_use.sentence(["noise"])


@given(offset=st.floats(-1e3, 1e3), slope=st.floats(-1e3, 1e3), scale=st.sampled_from([1.0, -0.4]))
@settings(max_examples=15, deadline=None)
def test_what_is_linear_in_composition_changes_nothing(offset, slope, scale):
    one, other = learned(scale * HIDDEN)[1], learned(scale * HIDDEN + offset + slope * X)[1]
    assert other.baseline_use.baselines == one.baseline_use.baselines
    np.testing.assert_allclose(other.mean_ev_per_atom, one.mean_ev_per_atom, atol=1e-7)
    np.testing.assert_allclose(other.std_ev_per_atom, one.std_ev_per_atom, atol=1e-7)


def test_of_several_baselines_those_that_help_are_used():
    use = learned(np.stack([NOISE, HIDDEN], axis=1))[1].baseline_use
    assert 1 in use.baselines
    other = 0.01 * np.random.default_rng(7).standard_normal(62) * X * (1 - X) * 4
    halves = np.stack([HIDDEN - other, 2.0 * other], axis=1)
    both = learned(halves)[1].baseline_use
    assert (both.baselines, both.is_fitted) == ((0, 1), True)
    assert both.coefficients == pytest.approx([1.0, 0.5], abs=0.2)


def test_what_is_decided_is_the_same_whatever_was_fitted_before():
    grown = Surrogate({"all": FEATURES}, fractions=X)
    for n in (6, 9, 14, len(ANSWERED)):
        known = known_of(X, ENERGY, ANSWERED[:n], baseline=np.stack([NOISE, HIDDEN], axis=1))
        belief = grown.learn(known, Transform.CAP, energy_cap_ev_per_atom=0.15)
        anew = Surrogate({"all": FEATURES}, fractions=X).learn(known, Transform.CAP, energy_cap_ev_per_atom=0.15)
        np.testing.assert_array_equal(belief.mean_ev_per_atom, anew.mean_ev_per_atom)
        assert belief.baseline_use == anew.baseline_use


def test_candidates_of_which_it_says_nothing_are_learned_without():
    lacking = np.arange(62) % 5 == 4
    surrogate, belief = learned(np.where(lacking, np.nan, HIDDEN))
    without = learned(None)[1]
    assert belief.baseline_use.baselines == (0,)
    np.testing.assert_array_equal(belief.mean_ev_per_atom[lacking], without.mean_ev_per_atom[lacking])
    np.testing.assert_array_equal(belief.std_ev_per_atom[lacking], without.std_ev_per_atom[lacking])
    said = belief.known.unknown[~lacking[belief.known.unknown]]
    assert (belief.std_ev_per_atom[said] < 0.9 * without.std_ev_per_atom[said]).mean() > 0.8
    chosen = belief.known.unknown[:9]
    posterior = surrogate.posterior(chosen)
    np.testing.assert_allclose(posterior.mean, belief.mean_ev_per_atom[chosen], atol=1e-12)
    np.testing.assert_allclose(posterior.std, belief.std_ev_per_atom[chosen], rtol=1e-6)
    told, untold = posterior.covariances[0], posterior.covariances[1:]
    apart = np.ix_(lacking[chosen], ~lacking[chosen])
    assert not told[apart].any(), "what is said of some is nothing to the others"
    assert untold[0][apart].any()
    assert np.isfinite([*belief.left_out_mean_ev_per_atom, *belief.left_out_std_ev_per_atom]).all()


def test_one_that_is_the_energy_itself_of_all_but_a_few_is_learned():
    formation = ENERGY - (1 - X) * ENERGY[0] - X * ENERGY[1]
    lacking = np.arange(62) % 9 == 4
    known = known_of(X, ENERGY, ANSWERED)
    baseline = np.where(lacking, np.nan, formation)
    surrogate = Surrogate({"all": FEATURES}, fractions=X)
    belief = surrogate.fit(known, formation[known.answered], baselines=baseline[:, None])
    assert belief.baseline_use.coefficients == pytest.approx([1.0], abs=1e-3)
    unknown = known.unknown[~lacking[known.unknown]]
    off = np.abs(belief.mean_ev_per_atom - formation)[unknown]
    assert off.max() < 2 * surrogate._fits[0].doubt * np.ptp(formation)


def test_a_rule_decides_with_candidates_of_which_nothing_is_said():
    known = known_of(X, ENERGY, ANSWERED, baseline=np.where(np.arange(62) % 5 == 4, np.nan, HIDDEN))
    decision = HullPosteriorRule(samples=200, n_start=2).decide(
        known, Surrogate({"all": FEATURES}, fractions=X), stop=StopSettings()
    )
    assert decision.chosen
    assert 0.0 <= decision.failure_probability <= 1.0


def test_few_labels_of_what_it_says_are_not_looked_at():
    said = np.isin(np.arange(62), [0, 1, 2, 5])
    belief = learned(np.where(said, HIDDEN, np.nan))[1]
    assert belief.baseline_use == Use()
    np.testing.assert_array_equal(belief.mean_ev_per_atom, learned(None)[1].mean_ev_per_atom)


def test_a_baseline_of_one_value_is_none():
    np.testing.assert_array_equal(learned(np.zeros(62))[1].mean_ev_per_atom, learned(None)[1].mean_ev_per_atom)


def test_a_pool_whose_baseline_says_nothing_of_an_end_is_refused(small_pool, tmp_path):
    from dataclasses import replace

    from hullscout.pool import Pool

    path = tmp_path / "pool.extxyz"
    path.write_text(small_pool)
    pool = Pool.read(path, ("Ag", "Pd"))
    with pytest.raises(InvalidPoolError, match=r"a structure of each end of the axis, found none for pure Pd"):
        replace(pool, baseline_ev_per_atom=np.where(pool.x == 1.0, np.nan, 0.5))
