"""Three elements and more: the same statement, by the same rules, over fractions instead of x."""

import itertools

import numpy as np
import pytest
from views import ArrayPool, known_of

from hullscout.campaign import Engine, Ledger
from hullscout.hull import hull_error, lower_hull, of_all_elements, pure, systems
from hullscout.regression import Mean
from hullscout.selection import HullPosteriorRule, StopSettings, Surrogate
from hullscout.selection.alloys import LONER_RATE, loner_rate
from hullscout.selection.simple_rules import GreedyRule, RandomRule, VarianceRule
from hullscout.selection.sources import Sources
from hullscout.selection.threshold import HullThresholdRule, ThresholdRule

SYMBOLS = ("Cu", "Ag", "Au", "Pd", "Pt")


def alloy(n_elements, n, *, n_parts=8, seed=0):
    """Compositions (n, k) in parts of a cell, all pure elements first; features (n, d); energies (n,) in eV/atom.

    Energies are of pairs, and of what a crystal is like in four numbers that its composition does not say.
    """
    rng = np.random.default_rng(seed)
    shares = (
        np.array([c for c in itertools.product(range(n_parts + 1), repeat=n_elements) if sum(c) == n_parts]) / n_parts
    )
    compounds = shares[shares.max(axis=1) < 1.0]
    at = np.vstack([np.eye(n_elements), compounds[rng.integers(len(compounds), size=n - n_elements)]])
    pairs = np.stack([at[:, a] * at[:, b] for a, b in itertools.combinations(range(n_elements), 2)], axis=1)
    order = rng.normal(size=(n, 4)) * (at.max(axis=1) < 1.0)[:, None]
    energies = at @ np.linspace(-3.0, -4.0, n_elements) - pairs @ np.linspace(0.1, 0.4, pairs.shape[1])
    energies += pairs.sum(axis=1) * (order @ [0.05, -0.03, 0.02, 0.01])
    return at[:, 1:], np.column_stack([at, pairs.sum(axis=1)[:, None] * order]), energies


def engine_of(rule, fractions, features, *, seed=0, **stop):
    pool = ArrayPool(
        x=fractions, n_atoms=np.ones(len(fractions), dtype=np.int64), elements=SYMBOLS[: fractions.shape[1] + 1]
    )
    ledger = Ledger(pool, seed=seed)
    surrogate = Surrogate({"all": features}, fractions=fractions)
    return Engine(ledger, rule=rule, surrogate=surrogate, settings=StopSettings(**stop))


def played(engine, energies):
    while asked := engine.ask():
        for each in asked:
            engine.tell(each, float(energies[int(each)]))
    return engine.ledger.known.with_truth(energies), engine.decision


@pytest.mark.parametrize(
    "rule",
    [HullPosteriorRule(), ThresholdRule(), HullThresholdRule(), GreedyRule(), VarianceRule(), RandomRule(batch=50)],
)
def test_every_rule_comes_to_its_end_with_three_elements(rule):
    fractions, features, energies = alloy(3, 150)
    known, decision = played(engine_of(rule, fractions, features), energies)
    assert decision.stop is not None
    assert known.hull_error_ev_per_atom <= 0.001, decision.stop.sentence
    assert known.n_answered < 150 or isinstance(rule, RandomRule | ThresholdRule)


def test_two_thousand_candidates_of_four_elements_run_through():
    fractions, features, energies = alloy(4, 2000)
    known, decision = played(
        engine_of(HullPosteriorRule(batch=8), fractions, features, failure_probability=0.3), energies
    )
    assert decision.stop.reason in {"failure-probability", "all-contenders-known"}
    assert known.hull_error_ev_per_atom <= 0.001
    assert known.saved_fraction > 0.85


def test_a_start_holds_all_pure_elements_and_compounds_of_each_two_and_of_more():
    fractions, features, energies = alloy(4, 400)
    first = [int(each) for each in engine_of(HullPosteriorRule(n_start=3), fractions, features).ask()]
    assert set(first) >= {0, 1, 2, 3}
    parts = systems(fractions)
    assert [np.isin(first, those).sum() for those in parts] == [3] * 7, "six pairs of elements, and what holds more"
    assert len(first) == 4 + 21 == HullPosteriorRule(n_start=3).n_at_start(known_of(fractions, energies, []))


def test_systems_are_the_pairs_of_elements_and_what_holds_more():
    at = np.array([[0, 0], [1, 0], [0, 1], [0.5, 0], [0, 0.5], [0.5, 0.5], [0.25, 0.25], [0.3, 0.3]])
    assert [those.tolist() for those in systems(at)] == [[3], [4], [5], [6, 7]]
    assert [those.tolist() for those in systems(np.array([[0.0], [0.5], [1.0]]))] == [[1]]
    assert systems(np.array([[0.0], [1.0]])) == ()


def test_each_system_may_hold_a_ground_state_that_nobody_sees_coming():
    assert loner_rate(np.array([[0.0], [0.5], [1.0]])) == LONER_RATE
    assert loner_rate(alloy(3, 100)[0]) == pytest.approx(1.0 - (1.0 - LONER_RATE) ** 4)


def believed(n_elements=3, n=150):
    fractions, features, energies = alloy(n_elements, n)
    answered = np.arange(40)
    known = known_of(fractions, energies, answered, elements=SYMBOLS[:n_elements])
    return HullPosteriorRule(samples=300).believe(
        known, Surrogate({"all": features}, fractions=fractions), stop=StopSettings()
    )


def hulls_one_by_one(belief):
    """The plain way: of each sample the hull of all that is known and sampled."""
    known = belief.known
    points = np.concatenate([known.answered, belief.sampled])
    for sample in belief.sampled_ev_per_atom:
        yield points, lower_hull(known.fractions[points], np.concatenate([known.formation_ev_per_atom, sample]))


def test_probabilities_on_the_hull_are_those_of_every_sample_by_itself():
    belief = believed()
    counts = np.zeros(belief.known.n_candidates)
    for points, hull in hulls_one_by_one(belief):
        counts[points[hull.indices]] += 1
    assert ((counts > 15) & (counts < 285)).any(), "something is in doubt"
    np.testing.assert_allclose(belief.probability_on_hull, counts / 300, atol=2.1 / 300)


def test_a_hull_is_wrong_where_that_of_a_sample_is():
    """The largest error of the hull over all compositions, not only at candidates, against the depth of the deepest candidate."""
    belief = believed()
    errors = np.array([hull_error(belief.known.hull, hull) for _, hull in hulls_one_by_one(belief)])
    deepest = np.maximum(belief.depths_ev_per_atom.max(axis=1), 0.0)
    np.testing.assert_allclose(errors, deepest, atol=1e-9)
    at = belief.known.fractions[40:50]
    every = np.array([hull.energy_at(at) for _, hull in hulls_one_by_one(belief)])
    np.testing.assert_allclose(belief.band_ev_per_atom(at), np.quantile(every, [0.025, 0.5, 0.975], axis=0), atol=1e-9)


def test_sources_name_compositions_of_three_elements():
    belief = believed()
    sources = Sources.of(belief, tolerance_ev_per_atom=0.001)
    assert sum(part for _, part in sources.compositions) == pytest.approx(sources.model)
    assert all(len(at) == 2 for at, _ in sources.compositions)
    at = sources.compositions[0][0]
    shown = "".join(f"{s}{x:.3g}" for s, x in zip(SYMBOLS, (1.0 - sum(at), *at), strict=False) if x > 0)
    assert any(f"at {shown}" in sentence for sentence in sources.sentences(belief))


def test_the_quadratic_mean_has_every_product_of_fractions():
    at = np.random.default_rng(0).dirichlet(np.ones(3), size=9)[:, 1:]
    a, b = at.T
    expected = np.column_stack([np.ones(9), a, b, a * a, a * b, b * b])
    np.testing.assert_allclose(Mean.QUADRATIC.basis(9, at), expected)
    assert [mean.n_coefficients(2) for mean in Mean] == [0, 1, 3, 6]
    assert Mean.QUADRATIC.is_determined_by(at)
    assert not Mean.QUADRATIC.is_determined_by(at[:6]), "without any one of them"
    assert not Mean.LINEAR.is_determined_by(np.column_stack([a, np.zeros(9)])), "all on one edge"


@pytest.mark.parametrize("n_elements", [2, 3, 4, 5])
def test_fractions_of_all_elements_add_up_to_one_and_tell_the_pure_ones(n_elements):
    at = alloy(n_elements, 60, n_parts=6)[0]
    shares = of_all_elements(at)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert [those.tolist() for those in pure(at)] == [[place] for place in range(n_elements)]
    assert ((shares > 0.0).sum(axis=1) == 1).sum() == n_elements, "no rounding passes for an element"


def test_a_start_takes_no_more_than_a_quarter_of_each_system():
    fractions, features, _ = alloy(4, 60)
    known = engine_of(HullPosteriorRule(), fractions, features).ledger.known
    most = sum(min(6, -(-those.size // 4)) for those in systems(fractions))
    assert HullPosteriorRule().n_at_start(known) == 4 + most < 4 + 6 * len(systems(fractions))
    chosen = HullPosteriorRule().begin(known, Surrogate({"all": features}, fractions=fractions))
    assert len(set(chosen)) == len(chosen) == 4 + most
    assert all(np.isin(chosen, those).sum() <= -(-those.size // 4) for those in systems(fractions))
