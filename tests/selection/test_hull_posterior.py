"""The stated probability follows its definition, grows with doubt, and a stricter one never stops earlier."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from frames import frames_of
from views import decided, known_of

from hullscout.campaign import Engine, Setup, read_origin
from hullscout.hull import hull_error, lower_hull
from hullscout.regression import MixturePosterior
from hullscout.selection import (
    Decision,
    HullPosteriorRule,
    Sources,
    StopReason,
    StopSettings,
    Surrogate,
    SurrogateSettings,
)
from hullscout.selection.alloys import observed
from hullscout.selection.belief import heavy_tailed_samples
from hullscout.selection.hull_posterior import Fantasies
from hullscout.selection.sources import _outlook


@pytest.fixture(scope="module")
def problem():
    """An alloy of 152 structures whose energy is a smooth function of two features."""
    rng = np.random.default_rng(5)
    x = np.concatenate([[0.0, 1.0], np.repeat(np.arange(1, 11) / 11, 15)])
    order = np.concatenate([[0.0, 0.0], rng.uniform(size=150)])
    energy = -0.2 * x * (1 - x) + 0.3 * (order - 0.2) ** 2
    return x, np.column_stack([x, order]), energy


def decide(problem, answered, *, decisions=(), rule=None, **stop):
    x, features, energy = problem
    known = known_of(x, energy, answered, decisions=decisions)
    return decided(
        HullPosteriorRule() if rule is None else rule, known, Surrogate({"all": features}, fractions=x), **stop
    )


def earlier(n, probability):
    return Decision(chosen=tuple(range(n)), n_contenders=1, failure_probability=probability)


def test_settings_of_the_model_reach_it(problem):
    def std(**settings):
        surrogate = Surrogate({"all": problem[1]}, fractions=problem[0], settings=SurrogateSettings(**settings))
        return surrogate.fit(known_of(problem[0], problem[2], FEW), problem[2][FEW]).std_ev_per_atom

    assert not np.allclose(std(calibrated=False), std())
    assert not np.allclose(std(kernel="gaussian"), std())


FEW = [0, 1, *range(2, 152, 12)]


def test_the_probability_of_a_wrong_hull_is_the_share_of_samples_whose_own_hull_lies_deeper(problem):
    """The stated probability, held against hulls that are built sample by sample."""
    x, features, energy = problem
    known = known_of(x, energy, FEW)
    belief = HullPosteriorRule(samples=300).believe(
        known, Surrogate({"all": features}, fractions=x), stop=StopSettings()
    )
    assert not belief.others.size, "all contenders are sampled here"
    at = np.concatenate([known.hull.x, x[belief.sampled]])
    shares = []
    for tolerance in (1e-5, 0.0173, 0.0175, 0.0177, 0.04):
        n_wrong = 0
        for sample in belief.sampled_ev_per_atom:
            true = lower_hull(at, np.concatenate([known.hull.energy_ev_per_atom, sample]))
            n_wrong += hull_error(known.hull, true) > tolerance
        shares.append(max(n_wrong, 1) / 300)  # as fine as samples can tell
        assert belief.probability_of_deeper(tolerance) == pytest.approx(shares[-1])
    assert shares[0] > shares[1] > shares[2] > shares[3] > shares[4]


def test_a_smaller_tolerance_is_more_easily_missed(problem):
    probabilities = [decide(problem, FEW, hull_tolerance=t).failure_probability for t in (1e-5, 0.003, 0.02, 0.1)]
    assert probabilities == sorted(probabilities, reverse=True)
    assert probabilities[0] > probabilities[-1]


def test_everything_but_the_highest_known_leaves_hardly_a_doubt(problem):
    decision = decide(problem, np.delete(np.arange(152), np.argmax(problem[2])))
    assert decision.failure_probability == pytest.approx(decision.loner_probability)
    assert decision.failure_probability < 1e-3
    assert decision.stop.reason is StopReason.ALL_CONTENDERS_KNOWN
    assert decision.chosen == ()


def test_one_low_probability_is_not_enough_where_it_must_stay_low(problem):
    known = np.delete(np.arange(152), np.argmax(problem[2]))
    waiting = HullPosteriorRule(steady=0.03)
    decision = decide(problem, known, decisions=(earlier(148, None), earlier(3, 0.4)), rule=waiting)
    assert decision.failure_probability < 1e-3
    assert decision.stated_failure_probability == 0.4
    assert decision.stop is None
    assert len(decision.chosen) == 1
    long_ago = (earlier(20, None), earlier(60, 0.4), earlier(68, 0.4), earlier(3, 0.01))
    assert decide(problem, known, decisions=long_ago, rule=waiting).stop is not None


def test_a_stricter_probability_never_stops_earlier(campaign_file):
    setup = Setup(read_origin(campaign_file))
    ends, paths = [], []
    for probability in (0.5, 0.1, 0.02):
        ledger = played(setup, failure_probability=probability).ledger
        ends.append(ledger.known.n_answered)
        paths.append([decision.chosen for decision in ledger.decisions])
    assert ends == sorted(ends)
    for shorter, longer in itertools.pairwise(paths):
        assert longer[: len(shorter)] == shorter
    assert ledger.known.with_truth(setup.true_ev_per_atom).hull_error_ev_per_atom <= 0.001


def test_a_candidate_far_above_the_hull_changes_nothing(problem):
    x, features, energy = problem
    known = [0, 1, *range(2, 152, 3)]
    highest = known[int(np.argmax(energy[known]))]
    larger = (
        np.append(x, x[highest]),
        np.vstack([features, features[highest] + 1e-4]),
        np.append(energy, energy[highest]),
    )
    with_it, without = decide(larger, known), decide(problem, known)
    assert with_it.chosen == without.chosen
    assert with_it.failure_probability == without.failure_probability


def test_where_nothing_was_learned_doubt_is_complete(problem):
    x, features, _ = problem
    decision = decide((x, features, np.zeros(152)), FEW)
    assert decision.failure_probability == 1.0
    assert len(decision.chosen) == 1


def posterior_of(n=3, dof=np.inf):
    covariance = 0.01**2 * (0.5 * np.eye(n) + 0.5)
    return MixturePosterior(
        weights=np.array([0.3, 0.7]),
        means=np.array([[0.0] * n, [0.0] * n]),
        covariances=np.array([covariance, covariance]),
        scale=1.5,
        degrees_of_freedom=dof,
    )


@pytest.mark.parametrize("dof", [np.inf, 5.0])
def test_heavy_tails_keep_the_interval_of_95_percent(dof):
    from scipy.stats import norm, t

    samples = heavy_tailed_samples(posterior_of(dof=dof), 200_000, np.random.default_rng(0), degrees_of_freedom=4.0)
    half_width = 1.5 * 0.01 * (norm.ppf(0.975) if np.isinf(dof) else t.ppf(0.975, dof))
    assert (np.abs(samples) < half_width).mean() == pytest.approx(0.95, abs=0.003)
    assert (samples < -2.5 * half_width).mean() > 0.001


def test_candidates_of_a_sample_stay_correlated_but_have_tails_of_their_own():
    samples = heavy_tailed_samples(posterior_of(), 100_000, np.random.default_rng(0), degrees_of_freedom=4.0)
    assert 0.2 < np.corrcoef(np.sign(samples.T))[0, 1] < 0.5
    is_far = np.abs(samples) > 0.06
    both = (is_far[:, 0] & is_far[:, 1]).mean()
    assert both < 0.5 * is_far.mean()


def deepest(depths, x, *, n, taken=()):
    fantasies = Fantasies(depths, x, floor=0.0005)
    for place in np.flatnonzero(np.isin(fantasies.columns, taken)).tolist():
        fantasies.look_up(place)
    return fantasies.look_up_deepest(n, cost=np.ones(x.size)).tolist()


def test_a_batch_is_diverse():
    """Two candidates that are deep in the same samples are not both taken before one that is deep in others."""
    depths = np.full((10, 3), -1.0)
    depths[:6, 0], depths[:6, 1], depths[6:, 2] = 0.02, 0.0199, 0.01
    x = np.array([0.5, 0.5, 0.25])
    assert deepest(depths, x, n=2) == [0, 2]
    assert deepest(depths, x, n=3) == [0, 2]
    assert deepest(np.full((10, 3), -1.0), x, n=3) == []
    np.testing.assert_allclose(Fantasies(depths, x, floor=0.0005).share_of_deepest, [0.6, 0.0, 0.4])


def test_a_batch_is_conditioned_on_what_is_being_calculated():
    depths = np.full((10, 3), -1.0)
    depths[:6, 0], depths[:6, 1], depths[6:, 2] = 0.02, 0.0199, 0.01
    assert deepest(depths, np.array([0.5, 0.5, 0.25]), n=3, taken=[0]) == [2]


def test_a_batch_shrinks_where_little_is_left_to_settle(problem):
    rule = HullPosteriorRule(batch=6)
    early, late = (decide(problem, [0, 1, *range(2, 152, step)], rule=rule) for step in (24, 2))
    assert len(early.chosen) == 6
    assert len(late.chosen) == 1, "one candidate settles all that is left"


def test_where_samples_show_nothing_the_likeliest_loner_is_next(problem):
    x, features, energy = problem
    rows = np.union1d(np.setdiff1d(np.arange(152), np.argsort(energy)[-20:]), [0, 1])
    view = known_of(x, energy, rows)
    belief = HullPosteriorRule().believe(view, Surrogate({"all": features}, fractions=x), stop=StopSettings())
    assert belief.probability_of_deeper(0.001) <= 1 / 2000
    decision = decide(problem, rows)
    assert decision.loner_probability == pytest.approx(belief.loner_probability.sum())
    assert belief.loner_probability[rows].max() == 0.0
    chosen = HullPosteriorRule().decide(view, Surrogate({"all": features}, fractions=x), stop=StopSettings()).chosen
    assert chosen == (int(belief.loner_probability.argmax()),)
    assert belief.failure_probability == pytest.approx(
        1 - (1 - observed(belief.probability_of_deeper(0.001))) * (1 - decision.loner_probability)
    )


def test_the_parts_of_the_probability_add_up_and_more_calculations_lower_it(problem):
    x, features, energy = problem
    rule, surrogate = HullPosteriorRule(), Surrogate({"all": features}, fractions=x)
    belief = rule.believe(known_of(x, energy, FEW), surrogate, stop=StopSettings(hull_tolerance=0.0175))
    parts = Sources.of(belief, tolerance_ev_per_atom=0.0175)
    assert 0.05 < parts.probability < 0.99
    assert parts.probability == pytest.approx(belief.failure_probability)
    assert parts.model + parts.loners == pytest.approx(parts.probability)
    assert 0.0 <= parts.tails <= parts.model
    assert sum(part for _, part in parts.candidates) == pytest.approx(parts.model)
    assert sum(part for _, part in parts.compositions) == pytest.approx(parts.model)
    ahead = [parts.probability, *(probability for _, probability in parts.outlook)]
    assert ahead == sorted(ahead, reverse=True)
    assert ahead[-1] < ahead[0]


def parts_of(problem, *, rows=None, tolerance=0.0175, tails=30.0, **known):
    x, features, energy = problem
    rule, surrogate = HullPosteriorRule(degrees_of_freedom=tails), Surrogate({"all": features}, fractions=x)
    known = known_of(x, energy, FEW if rows is None else rows, **known)
    belief = rule.believe(known, surrogate, stop=StopSettings(hull_tolerance=tolerance))
    return Sources.of(belief, tolerance_ev_per_atom=tolerance), belief


@pytest.mark.parametrize("tails", [3.0, 30.0])
def test_the_outlook_begins_where_the_probability_is(problem, monkeypatch, tails):
    """Contenders that were not sampled count in it, so that the first calculation does not buy what none bought."""
    monkeypatch.setattr("hullscout.selection.hull_posterior.MAX_SAMPLED", 30)
    parts, belief = parts_of(problem, tails=tails)
    assert belief.others_deeper(0.0175).sum() > 0.0
    ((_, at_start),) = _outlook(belief, 0.0175, (0,))
    assert at_start == pytest.approx(parts.probability) == pytest.approx(belief.failure_probability)
    assert sum(part for _, part in parts.candidates) == pytest.approx(parts.model)
    assert {index for index, _ in parts.candidates} & set(belief.others.tolist())


def test_few_labels_have_heavier_tails(problem):
    assert parts_of(problem)[1].tail_degrees_of_freedom < 30.0
    assert parts_of(problem, tails=5.0)[1].tail_degrees_of_freedom == 5.0
    assert parts_of(problem, rows=range(80))[1].tail_degrees_of_freedom == 30.0


def test_what_failed_stays_in_doubt_whatever_else_is_calculated(problem):
    x, _, energy = problem
    high = np.argsort(energy - np.interp(x, [0, 1], energy[:2]))[-6:]
    gone = np.flatnonzero(x == x[60])[::2]  # every second one at a composition where all else is known
    rows = np.setdiff1d(np.arange(x.size), [*gone, *high])
    failed, belief = parts_of(problem, rows=rows, failed=gone, tolerance=1e-6)
    assert failed.failed > 0.02
    assert failed.outlook[-1][0] == 6, "all that is left to ask"
    assert failed.outlook[-1][1] > 0.5 * failed.failed
    said = " ".join(failed.sentences(belief))
    assert f"of the {gone.size} candidates that failed: no other calculation settles that" in said
    assert ", failed)" in said


def test_the_outlook_says_that_what_is_under_way_counts_as_known(problem):
    parts, belief = parts_of(problem, pending=np.arange(10, 20))
    assert "With more calculations, once those chosen before are known, it falls to" in " ".join(
        parts.sentences(belief)
    )


def test_an_energy_that_all_others_contradict_is_named(problem):
    x, features, energy = problem
    wrong = energy.copy()
    many = [0, 1, *range(2, 152, 4)]
    wrong[many[9]] += 5.0
    belief = HullPosteriorRule(energy_cap=1000).believe(
        known_of(x, wrong, many), Surrogate({"all": features}, fractions=x), stop=StopSettings()
    )
    assert many[9] in belief.suspects
    said = " ".join(Sources.of(belief, tolerance_ev_per_atom=0.001).sentences(belief))
    assert f"since the other energies contradict them: {', '.join(map(str, belief.suspects))}" in said


def test_kernels_weighed_by_some_of_many_labels_are_told(problem, monkeypatch):
    parts, belief = parts_of(problem)
    assert "are weighed by" not in " ".join(parts.sentences(belief))
    monkeypatch.setattr("hullscout.selection.sources.N_WEIGHED", n := belief.known.answered.size - 1)
    said = f"learns from all {n + 1} known energies; its kernels are weighed by {n} of them"
    assert said in " ".join(parts.sentences(belief))


def test_a_small_accepted_probability_says_what_it_takes_and_when_it_cannot_be_stated():
    def said(probability, n=500):
        return " ".join(HullPosteriorRule().cautions(StopSettings(failure_probability=probability), n_candidates=n))

    assert said(0.05) == ""
    assert "to accept 1 % only, most structures that could be one are calculated" in said(0.01)
    assert "not reached before all of these are known" not in said(0.01)
    assert "1e-07 % is not reached before all of these are known" in said(1e-9)
    assert "58 candidates are few" in said(0.05, n=58)


def played(setup, **stop):
    """The engine of a campaign played to its end."""
    rule, settings = HullPosteriorRule(samples=500), StopSettings(**stop)
    engine = Engine(setup.ledger(), rule=rule, surrogate=setup.surrogate(), settings=settings)
    while ids := engine.ask():
        for candidate_id in ids:
            engine.tell(candidate_id, setup.table.lookup(candidate_id))
    return engine


def test_the_order_of_the_frames_in_the_pool_file_changes_nothing(campaign_file):
    pool_file = campaign_file.parent / "pool.extxyz"
    first = played(Setup(read_origin(campaign_file)))
    pool_file.write_text("".join(frames_of(pool_file.read_text())[::-1]))
    second = played(Setup(read_origin(campaign_file)))
    assert [decision.chosen for decision in first.ledger.decisions] == [
        decision.chosen for decision in second.ledger.decisions
    ]
    assert first.decision.stated_failure_probability == second.decision.stated_failure_probability


def test_every_round_keeps_what_was_stated(campaign_file):
    engine = played(Setup(read_origin(campaign_file)))
    rounds = engine.ledger.decisions
    assert rounds[0].stated_failure_probability is None
    for decision in rounds[1:]:
        assert decision.stated_failure_probability >= decision.failure_probability
        assert decision.stated_failure_probability >= engine.decision.stated_failure_probability


def test_parts_are_told_where_nothing_but_loners_is_left(problem):
    parts, belief = parts_of(problem)
    only = replace(parts, probability=0.03, model=0.0, loners=0.03, tails=0.0, is_least=True)
    said = " ".join(only.sentences(belief))
    assert "over alloys: nothing by what the model foresees, and 3.0 % by a ground state" in said
    said = " ".join(replace(only, model=1e-4).sentences(belief))
    assert "0.01 % that samples of the model cannot exclude, though none shows it, and 3.0 % by a ground state" in said
