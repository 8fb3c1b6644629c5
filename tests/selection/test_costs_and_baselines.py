"""Costs decide the order and are a budget; a cheaper method's energies are what the model starts from."""

from dataclasses import replace

import numpy as np
import pytest

from hullscout.campaign import runner
from hullscout.campaign.engine import Engine
from hullscout.campaign.state import State
from hullscout.errors import InvalidCampaignError
from hullscout.hull import lower_hull
from hullscout.selection.costs import CostSettings
from hullscout.selection.hull_posterior import HullPosteriorRule, _most_often_deepest
from hullscout.selection.interface import StopReason
from hullscout.selection.stopping import StopSettings
from hullscout.selection.surrogate import Surrogate
from hullscout.selection.transforms import Transform


@pytest.fixture
def opened(campaign_file):
    origin = runner.read_origin(campaign_file)
    pool, oracle = runner.open_pool(origin)
    return pool, oracle, runner.open_features(origin, pool)


def play(opened, *, pool=None, costs=None, **stop):
    own, oracle, features = opened
    pool = own if pool is None else pool
    engine = Engine(
        State(pool),
        rule=HullPosteriorRule(samples=500, n_start=5),
        surrogate=Surrogate(features, x=pool.x),
        settings=StopSettings(**stop),
        cost=None if costs is None else costs.of(pool.n_atoms),
    )
    while ids := engine.ask():
        for candidate_id in ids:
            engine.tell(candidate_id, oracle.lookup(candidate_id))
    return engine


def test_cost_grows_with_the_cube_of_the_atoms_unless_told(opened):
    pool = opened[0]
    np.testing.assert_array_equal(CostSettings().of(pool.n_atoms), np.ones(len(pool.ids)))
    np.testing.assert_allclose(
        CostSettings(kind="atoms", reference_atoms=2.0).of(pool.n_atoms), (pool.n_atoms / 2) ** 3
    )
    np.testing.assert_allclose(CostSettings(kind="atoms", exponent=1.5).of(pool.n_atoms), pool.n_atoms**1.5)
    own = np.linspace(1.0, 2.0, len(pool.ids))
    np.testing.assert_array_equal(CostSettings(kind="column").of(pool.n_atoms, column=own), own)


def test_costs_of_a_pool_that_has_none_are_refused(opened):
    with pytest.raises(
        InvalidCampaignError, match=r"cost\.kind: .* this pool has none\. Name its column in pool\.cost"
    ):
        CostSettings(kind="column").of(opened[0].n_atoms)


def test_what_settles_as_much_for_less_comes_first():
    depths = np.full((10, 3), -1.0)
    depths[:6, 0], depths[6:, 1] = 0.02, 0.02
    x = np.array([0.3, 0.6, 0.9])
    assert _most_often_deepest(depths, x, cost=np.array([1.0, 1.0, 1.0]), floor=0.0005, n=1) == [0]
    assert _most_often_deepest(depths, x, cost=np.array([8.0, 1.0, 1.0]), floor=0.0005, n=1) == [1]


def test_a_campaign_that_minds_costs_spends_less(opened):
    costs = CostSettings(kind="atoms")
    blind, mindful = play(opened), play(opened, costs=costs)
    spent_blindly = float(costs.of(opened[0].n_atoms)[blind.state.known].sum())
    assert mindful.spent < spent_blindly
    assert mindful.stop.reason in {StopReason.FAILURE_PROBABILITY, StopReason.ALL_CONTENDERS_KNOWN}


def test_a_cost_budget_is_never_exceeded_and_says_so(opened):
    engine = play(opened, costs=CostSettings(kind="atoms"), max_cost=700.0)
    assert engine.stop.reason is StopReason.MAX_COST
    assert engine.spent <= 700.0
    assert f"{engine.spent:g} of the cost of 700" in engine.stop.sentence


def test_a_budget_that_is_just_enough_for_everything_is_enough(opened):
    pool = opened[0]
    cost = CostSettings(kind="atoms", exponent=0.3).of(pool.n_atoms)
    engine = play(opened, costs=CostSettings(kind="atoms", exponent=0.3), max_cost=float(cost.sum()))
    assert engine.stop.reason is not StopReason.MAX_COST


def test_a_budget_below_the_pure_elements_is_refused(opened):
    with pytest.raises(InvalidCampaignError, match=r"stop\.max_cost: expected at least 2, .* found 1\."):
        play(opened, max_cost=1.0)


def energies_of(opened):
    pool, oracle, _ = opened
    return np.array([oracle.lookup(candidate_id) for candidate_id in pool.ids]) / pool.n_atoms


def test_with_the_right_baseline_the_first_model_knows_everything(opened):
    pool, _, features = opened
    energies = energies_of(opened)
    known = np.concatenate([np.flatnonzero((pool.x == 0) | (pool.x == 1)), [10, 20, 30]])
    snapshot = replace(State(pool).snapshot(seed=0), known=known, energies_ev_per_atom=energies[known])
    snapshot = replace(snapshot, baseline_ev_per_atom=energies + 3.0 - 2.0 * pool.x)
    formation = Surrogate(features, x=pool.x).predict_formation_energy(snapshot)
    expected = energies - (1 - pool.x) * energies[pool.x == 0].min() - pool.x * energies[pool.x == 1].min()
    np.testing.assert_allclose(formation, expected, atol=1e-9)


def test_an_offset_linear_in_composition_changes_nothing(opened):
    pool = opened[0]
    baseline = energies_of(opened) + 0.02 * np.sin(np.arange(len(pool.ids)))
    one = play(opened, pool=replace(pool, baseline_ev_per_atom=baseline))
    other = play(opened, pool=replace(pool, baseline_ev_per_atom=baseline + 0.5 - 0.25 * pool.x))
    assert [record.chosen for record in one.state.rounds] == [record.chosen for record in other.state.rounds]


def test_a_useful_baseline_saves_calculations(opened):
    pool = opened[0]
    helped = play(opened, pool=replace(pool, baseline_ev_per_atom=energies_of(opened) + 0.1 * pool.x * (1 - pool.x)))
    assert helped.state.n_known < play(opened).state.n_known


@pytest.mark.parametrize("transform", list(Transform))
def test_a_baseline_that_is_right_is_on_the_scale_of_the_labels(opened, transform):
    pool = opened[0]
    energies = energies_of(opened)
    everything = np.arange(len(pool.ids))
    snapshot = replace(State(pool).snapshot(seed=0), known=everything, energies_ev_per_atom=energies)
    labels, baseline = transform(replace(snapshot, baseline_ev_per_atom=energies), energy_cap_ev_per_atom=0.6)
    np.testing.assert_allclose(baseline, labels, atol=1e-12)


def test_a_baseline_that_is_right_up_to_offsets_leaves_little_to_look_up(opened):
    pool, oracle, _ = opened
    offsets = 1.3 + 0.7 * pool.x
    engine = play(opened, pool=replace(pool, baseline_ev_per_atom=oracle.energies_ev_per_atom() + offsets))
    truth = lower_hull(pool.x, oracle.energies_ev_per_atom())
    found = lower_hull(pool.x[engine.state.known], engine.state.energies_ev_per_atom)
    assert float((found.energy_at(truth.x) - truth.energy_ev_per_atom).max()) < 1e-9
    assert engine.state.n_known <= 7 + truth.x.size + 4
    assert engine.proposal.stated_failure_probability < 0.05
