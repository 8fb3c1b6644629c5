"""Costs decide the order and are a budget; a cheaper method's energies are what the model starts from."""

from dataclasses import replace

import numpy as np
import pytest

from hullscout.campaign import Engine, Ledger, Setup, read_origin
from hullscout.errors import InvalidCampaignError
from hullscout.hull import lower_hull
from hullscout.selection import CostSettings, HullPosteriorRule, StopReason, StopSettings, Surrogate
from hullscout.selection.hull_posterior import Fantasies
from hullscout.selection.transforms import Transform


@pytest.fixture
def opened(campaign_file):
    setup = Setup(read_origin(campaign_file))
    return setup.pool, setup.table, setup.features


def play(opened, *, pool=None, costs=None, seed=0, **stop):
    own, oracle, features = opened
    pool = own if pool is None else pool
    engine = Engine(
        Ledger(pool, seed=seed, cost=None if costs is None else costs.of(pool.n_atoms)),
        rule=HullPosteriorRule(samples=500, n_start=5),
        surrogate=Surrogate(features, fractions=pool.x),
        settings=StopSettings(**stop),
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
    for first, expected in ((1.0, 0), (8.0, 1)):
        cost = np.array([first, 1.0, 1.0])
        assert Fantasies(depths, x, floor=0.0005).look_up_deepest(1, cost=cost).tolist() == [expected]


def test_a_campaign_that_minds_costs_spends_less(opened):
    costs = CostSettings(kind="atoms")
    spent, spent_blindly = [], []
    for seed in range(10):
        mindful, blind = play(opened, costs=costs, seed=seed), play(opened, seed=seed)
        assert mindful.stop.reason in {StopReason.FAILURE_PROBABILITY, StopReason.ALL_CONTENDERS_KNOWN}
        spent.append(mindful.ledger.known.spent)
        spent_blindly.append(costs.of(opened[0].n_atoms)[blind.ledger.known.answered].sum())
    assert np.mean(spent) < 0.95 * np.mean(spent_blindly)


def test_a_cost_budget_is_never_exceeded_and_says_so(opened):
    engine = play(opened, costs=CostSettings(kind="atoms"), max_cost=700.0)
    assert engine.stop.reason is StopReason.MAX_COST
    assert engine.ledger.known.spent <= 700.0
    assert f"{engine.ledger.known.spent:g} of the cost of 700" in engine.stop.sentence


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
    pool = replace(pool, baseline_ev_per_atom=energies + 3.0 - 2.0 * pool.x)
    view = replace(Ledger(pool).known, answered=known, energies_ev_per_atom=energies[known])
    formation = Surrogate(features, fractions=pool.x).predict_formation_energy(view)
    expected = energies - (1 - pool.x) * energies[pool.x == 0].min() - pool.x * energies[pool.x == 1].min()
    np.testing.assert_allclose(formation, expected, atol=1e-9)


def test_an_offset_linear_in_composition_changes_nothing(opened):
    pool = opened[0]
    baseline = energies_of(opened) + 0.02 * np.sin(np.arange(len(pool.ids)))
    one = play(opened, pool=replace(pool, baseline_ev_per_atom=baseline))
    other = play(opened, pool=replace(pool, baseline_ev_per_atom=baseline + 0.5 - 0.25 * pool.x))
    assert [decision.chosen for decision in one.ledger.decisions] == [
        decision.chosen for decision in other.ledger.decisions
    ]


def test_a_useful_baseline_saves_calculations(opened):
    pool = opened[0]
    helped = play(opened, pool=replace(pool, baseline_ev_per_atom=energies_of(opened) + 0.1 * pool.x * (1 - pool.x)))
    assert helped.ledger.known.n_answered < play(opened).ledger.known.n_answered


@pytest.mark.parametrize("transform", list(Transform))
def test_a_baseline_that_is_right_is_on_the_scale_of_the_labels(opened, transform):
    energies = energies_of(opened)
    pool = replace(opened[0], baseline_ev_per_atom=energies)
    known = replace(Ledger(pool).known, answered=np.arange(len(pool)), energies_ev_per_atom=energies)
    labels, baselines = transform(known, energy_cap_ev_per_atom=0.6)
    np.testing.assert_allclose(baselines[:, 0], labels, atol=1e-12)


def test_a_baseline_that_is_right_up_to_offsets_leaves_little_to_look_up(opened):
    pool, oracle, _ = opened
    offsets = 1.3 + 0.7 * pool.x
    engine = play(opened, pool=replace(pool, baseline_ev_per_atom=oracle.energies_ev_per_atom() + offsets))
    known = engine.ledger.known
    truth = lower_hull(pool.x, oracle.energies_ev_per_atom())
    found = lower_hull(pool.x[known.answered], known.energies_ev_per_atom)
    assert float((found.energy_at(truth.x) - truth.energy_ev_per_atom).max()) < 1e-9
    assert known.n_answered <= 7 + truth.x.size + 4
    assert engine.decision.stated_failure_probability < 0.05
