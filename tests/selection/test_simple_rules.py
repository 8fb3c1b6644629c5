"""Greedy takes the lowest, variance the most uncertain, hull-threshold measures from the hull; each stops by its own rule."""

import numpy as np
import pytest
from views import decided, known_of

from hullscout.hull import lower_hull
from hullscout.selection import GreedyRule, HullThresholdRule, StopReason, Surrogate, VarianceRule
from hullscout.selection.transforms import Transform

CAP = 0.6
KNOWN = np.array([0, 1, *range(2, 92, 7)])


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(7)
    x = np.concatenate([[0.0, 1.0], np.repeat(np.arange(1, 10) / 10, 10)])
    order = np.concatenate([[0.0, 0.0], rng.uniform(size=90)])
    energy = -0.2 * x * (1 - x) + 0.05 * (order - 0.3) ** 2
    return x, {"all": np.column_stack([x, order])}, energy


def predicted(problem, answered):
    """Predicted height above today's hull and its standard deviation, of what is unknown."""
    known = known_of(problem[0], problem[2], answered)
    belief = Surrogate(problem[1], fractions=problem[0]).learn(known, Transform.CAP, energy_cap_ev_per_atom=CAP)
    unknown = known.unknown
    height = belief.mean_ev_per_atom - known.hull.energy_at(known.x)
    return unknown, height[unknown], belief.std_ev_per_atom[unknown]


def decide(problem, rule, answered, **stop):
    return decided(
        rule, known_of(problem[0], problem[2], answered), Surrogate(problem[1], fractions=problem[0]), **stop
    )


def test_greedy_looks_up_the_contenders_predicted_lowest(problem):
    unknown, height, std = predicted(problem, KNOWN)
    is_contender = height - 5 * std < -1e-5
    expected = [i for i in unknown[np.argsort(height)].tolist() if i in set(unknown[is_contender].tolist())][:4]
    decision = decide(problem, GreedyRule(confidence=5.0), KNOWN, hull_tolerance=1e-5)
    assert list(decision.chosen) == expected
    assert decision.n_contenders == is_contender.sum()
    assert decision.failure_probability is None


def test_variance_looks_up_the_contenders_least_known(problem):
    unknown, height, std = predicted(problem, KNOWN)
    is_contender = height - 5 * std < -1e-5
    expected = unknown[is_contender][np.argsort(-std[is_contender], kind="stable")][:4]
    decision = decide(problem, VarianceRule(confidence=5.0), KNOWN, hull_tolerance=1e-5)
    np.testing.assert_array_equal(decision.chosen, expected)


@pytest.mark.parametrize("rule", [GreedyRule(), VarianceRule()], ids=lambda rule: rule.rule)
def test_without_contenders_it_stops(problem, rule):
    known = np.delete(np.arange(92), np.argmax(problem[2] + 0.2 * problem[0] * (1 - problem[0])))
    decision = decide(problem, rule, known, hull_tolerance=0.01)
    assert decision.stop.reason is StopReason.ALL_CONTENDERS_KNOWN
    assert decision.chosen == ()


def test_the_hull_threshold_is_measured_from_the_hull(problem):
    rule = HullThresholdRule(energy_cap=CAP, batch=90)
    decision = decide(problem, rule, KNOWN)
    known = known_of(problem[0], problem[2], KNOWN)
    unknown, height, _ = predicted(problem, KNOWN)
    assert set(decision.chosen) == set(unknown[height < decision.threshold_ev_per_atom].tolist())
    assert 0 < len(decision.chosen) < unknown.size
    # Also where nothing is known of a composition, which the paper's rule would look up first.
    inner = np.flatnonzero(np.isclose(problem[0], 0.1))
    without = KNOWN[~np.isin(KNOWN, inner)]
    assert not set(inner.tolist()) <= set(decide(problem, rule, without).chosen)
    assert lower_hull(known.x[KNOWN], known.formation_ev_per_atom).x.size > 2


def test_the_hull_threshold_stops_in_words(problem):
    known = np.delete(np.arange(92), np.argmax(problem[2] + 0.2 * problem[0] * (1 - problem[0])))
    decision = decide(problem, HullThresholdRule(), known)
    assert decision.stop.reason is StopReason.NOTHING_BELOW_THRESHOLD
    assert decision.stop.sentence.endswith("meV/atom of the hull.")
