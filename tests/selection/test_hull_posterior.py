"""The stated probability follows its definition, grows with doubt, and a stricter one never stops earlier."""

import itertools

import numpy as np
import pytest
from frames import frames_of

from hullscout.campaign import runner
from hullscout.campaign.engine import Engine
from hullscout.campaign.standing import Standing
from hullscout.campaign.state import State
from hullscout.hull import lower_hull
from hullscout.regression import MixturePosterior
from hullscout.selection.hull_posterior import HullPosteriorRule, _most_often_deepest
from hullscout.selection.interface import RoundRecord, Snapshot, StopReason
from hullscout.selection.outlook import heavy_tailed_samples
from hullscout.selection.stopping import StopSettings
from hullscout.selection.surrogate import Surrogate, SurrogateSettings


@pytest.fixture(scope="module")
def problem():
    """An alloy of 152 structures whose energy is a smooth function of two features."""
    rng = np.random.default_rng(5)
    x = np.concatenate([[0.0, 1.0], np.repeat(np.arange(1, 11) / 11, 15)])
    order = np.concatenate([[0.0, 0.0], rng.uniform(size=150)])
    energy = -0.2 * x * (1 - x) + 0.3 * (order - 0.2) ** 2
    return x, np.column_stack([x, order]), energy


def snapshot_of(problem, known, history=()):
    x, _, energy = problem
    known = np.asarray(known)
    n_atoms = np.ones(x.size, dtype=int)
    return Snapshot(
        x=x,
        n_atoms=n_atoms,
        cost=np.ones(x.size),
        known=known,
        energies_ev_per_atom=energy[known],
        history=history,
        seed=0,
    )


def propose(problem, known, *, rule=None, history=(), **stop):
    surrogate = Surrogate({"all": problem[1]}, x=problem[0])
    rule = HullPosteriorRule() if rule is None else rule
    return rule.select(snapshot_of(problem, known, history), surrogate, stop=StopSettings(**stop))


def record(n, probability, number):
    return RoundRecord(
        round=number, chosen=tuple(str(i) for i in range(n)), n_contenders=1, failure_probability=probability
    )


def test_settings_of_the_model_reach_it(problem):
    def std(**settings):
        surrogate = Surrogate({"all": problem[1]}, x=problem[0], settings=SurrogateSettings(**settings))
        return surrogate.fit(np.array(FEW), problem[2][FEW]).std

    assert not np.allclose(std(calibrated=False), std())
    assert not np.allclose(std(kernel="gaussian"), std())


FEW = [0, 1, *range(2, 152, 12)]


def test_the_probability_of_a_deep_hull_error_is_that_of_a_deep_candidate():
    """The largest gap between two hulls is the largest depth of a point: held against hulls built sample by sample."""
    rng = np.random.default_rng(0)
    x = np.concatenate([[0.0, 1.0], rng.uniform(size=12)])
    known = lower_hull(x[:5], [0.0, 0.0, -0.1, -0.05, 0.02])
    for _ in range(200):
        sample = rng.normal(0.0, 0.1, size=9)
        depth = (known.energy_at(x[5:]) - sample).max()
        both = lower_hull(np.append(known.x, x[5:]), np.append(known.energy_ev_per_atom, sample))
        gaps = known.energy_at(both.x) - both.energy_ev_per_atom
        assert gaps.max() == pytest.approx(max(depth, 0.0), abs=1e-12)


def test_a_smaller_tolerance_is_more_easily_missed(problem):
    probabilities = [propose(problem, FEW, hull_tolerance=t).failure_probability for t in (1e-5, 0.003, 0.02, 0.1)]
    assert probabilities == sorted(probabilities, reverse=True)
    assert probabilities[0] > probabilities[-1]


def test_everything_but_the_highest_known_leaves_no_doubt(problem):
    proposal = propose(problem, np.delete(np.arange(152), np.argmax(problem[2])))
    assert proposal.failure_probability == 0.0
    assert proposal.stop.reason is StopReason.ALL_CONTENDERS_KNOWN
    assert proposal.chosen == ()


def test_one_low_probability_is_not_enough(problem):
    known = np.delete(np.arange(152), np.argmax(problem[2]))
    recent_doubt = (record(148, None, 0), record(3, 0.4, 1))
    proposal = propose(problem, known, history=recent_doubt)
    assert (proposal.failure_probability, proposal.stated_failure_probability) == (0.0, 0.4)
    assert proposal.stop is None
    assert len(proposal.chosen) == 1
    long_ago = (record(20, None, 0), record(60, 0.4, 1), record(68, 0.4, 2), record(3, 0.01, 3))
    assert propose(problem, known, history=long_ago).stop is not None


def test_a_stricter_probability_never_stops_earlier(campaign_file):
    origin = runner.read_origin(campaign_file)
    pool, oracle = runner.open_pool(origin)
    features = runner.open_features(origin, pool)
    ends, paths = [], []
    for probability in (0.5, 0.1, 0.02):
        state = State(pool)
        engine = Engine(
            state,
            rule=HullPosteriorRule(samples=500),
            surrogate=Surrogate(features, x=pool.x),
            settings=StopSettings(failure_probability=probability),
        )
        while ids := engine.ask():
            for candidate_id in ids:
                engine.tell(candidate_id, oracle.lookup(candidate_id))
        ends.append(state.n_known)
        paths.append([r.chosen for r in state.rounds])
    assert ends == sorted(ends)
    for shorter, longer in itertools.pairwise(paths):
        assert longer[: len(shorter)] == shorter
    standing = Standing.of(state, name="", reference_ev_per_atom=oracle.energies_ev_per_atom())
    assert standing.hull_error_ev_per_atom <= 0.001


def test_a_candidate_far_above_the_hull_changes_nothing(problem):
    x, features, energy = problem
    known = [0, 1, *range(2, 152, 3)]
    highest = known[int(np.argmax(energy[known]))]
    larger = (
        np.append(x, x[highest]),
        np.vstack([features, features[highest] + 1e-4]),
        np.append(energy, energy[highest]),
    )
    with_it, without = propose(larger, known), propose(problem, known)
    assert with_it.chosen == without.chosen
    assert with_it.failure_probability == without.failure_probability


def test_where_nothing_was_learned_doubt_is_complete(problem):
    x, features, _ = problem
    proposal = propose((x, features, np.zeros(152)), FEW)
    assert proposal.failure_probability == 1.0
    assert len(proposal.chosen) == 4


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


def test_a_batch_is_diverse():
    """Two candidates that are deep in the same samples are not both taken before one that is deep in others."""
    depths = np.full((10, 3), -1.0)
    depths[:6, 0], depths[:6, 1], depths[6:, 2] = 0.02, 0.0199, 0.01
    x = np.array([0.5, 0.5, 0.25])
    assert _most_often_deepest(depths, x, cost=np.ones(3), floor=0.0005, n=2) == [0, 2]
    assert _most_often_deepest(depths, x, cost=np.ones(3), floor=0.0005, n=3) == [0, 2]
    assert _most_often_deepest(np.full((10, 3), -1.0), x, cost=np.ones(3), floor=0.0005, n=3) == []


def played(campaign_file):
    """The engine of a campaign played to its end."""
    origin = runner.read_origin(campaign_file)
    pool, oracle = runner.open_pool(origin)
    surrogate = Surrogate(runner.open_features(origin, pool), x=pool.x)
    engine = Engine(State(pool), rule=HullPosteriorRule(samples=500), surrogate=surrogate)
    while ids := engine.ask():
        for candidate_id in ids:
            engine.tell(candidate_id, oracle.lookup(candidate_id))
    return engine


def test_the_order_of_the_frames_in_the_pool_file_changes_nothing(campaign_file):
    pool_file = campaign_file.parent / "pool.extxyz"
    first = played(campaign_file)
    pool_file.write_text("".join(frames_of(pool_file.read_text())[::-1]))
    second = played(campaign_file)
    assert [record.chosen for record in first.state.rounds] == [record.chosen for record in second.state.rounds]
    assert first.proposal.stated_failure_probability == second.proposal.stated_failure_probability


def test_every_round_keeps_what_was_stated(campaign_file):
    engine = played(campaign_file)
    rounds = engine.state.rounds
    assert rounds[0].stated_failure_probability is None
    for record in rounds[1:]:
        assert record.stated_failure_probability >= record.failure_probability
        assert record.stated_failure_probability >= engine.proposal.stated_failure_probability
