"""Greedy takes the lowest, variance the most uncertain, hull-threshold measures from the hull; each stops by its own rule."""

import numpy as np
import pytest

from hullscout.hull import lower_hull
from hullscout.selection.interface import Snapshot, StopReason
from hullscout.selection.stopping import StopSettings
from hullscout.selection.surrogate import Surrogate
from hullscout.selection.threshold import HullThresholdRule
from hullscout.selection.transforms import Transform
from hullscout.selection.yardsticks import GreedyRule, VarianceRule

CAP = 0.6
KNOWN = np.array([0, 1, *range(2, 92, 7)])


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(7)
    x = np.concatenate([[0.0, 1.0], np.repeat(np.arange(1, 10) / 10, 10)])
    order = np.concatenate([[0.0, 0.0], rng.uniform(size=90)])
    energy = -0.2 * x * (1 - x) + 0.05 * (order - 0.3) ** 2
    return x, {"all": np.column_stack([x, order])}, energy


def snapshot_of(problem, known):
    x, _, energy = problem
    return Snapshot(
        x=x,
        n_atoms=np.ones(x.size, dtype=int),
        cost=np.ones(x.size),
        known=known,
        energies_ev_per_atom=energy[known],
        history=(),
        seed=0,
    )


def predicted(problem, known):
    """Predicted height above today's hull and its standard deviation, of what is unknown."""
    snapshot = snapshot_of(problem, known)
    labels, _ = Transform.CAP(snapshot, energy_cap_ev_per_atom=CAP)
    fit = Surrogate(problem[1], x=problem[0]).fit(known, labels)
    unknown = snapshot.unknown
    return unknown, (fit.mean - snapshot.hull.energy_at(snapshot.x))[unknown], fit.std[unknown]


def select(problem, rule, known, **stop):
    return rule.select(snapshot_of(problem, known), Surrogate(problem[1], x=problem[0]), stop=StopSettings(**stop))


def test_greedy_looks_up_the_contenders_predicted_lowest(problem):
    unknown, height, std = predicted(problem, KNOWN)
    is_contender = height - 5 * std < -1e-5
    expected = [i for i in unknown[np.argsort(height)].tolist() if i in set(unknown[is_contender].tolist())][:4]
    proposal = select(problem, GreedyRule(confidence=5.0), KNOWN, hull_tolerance=1e-5)
    assert list(proposal.chosen) == expected
    assert proposal.n_contenders == is_contender.sum()
    assert proposal.failure_probability is None


def test_variance_looks_up_the_contenders_least_known(problem):
    unknown, height, std = predicted(problem, KNOWN)
    is_contender = height - 5 * std < -1e-5
    expected = unknown[is_contender][np.argsort(-std[is_contender], kind="stable")][:4]
    proposal = select(problem, VarianceRule(confidence=5.0), KNOWN, hull_tolerance=1e-5)
    np.testing.assert_array_equal(proposal.chosen, expected)


@pytest.mark.parametrize("rule", [GreedyRule(), VarianceRule()], ids=lambda rule: rule.rule)
def test_without_contenders_it_stops(problem, rule):
    known = np.delete(np.arange(92), np.argmax(problem[2] + 0.2 * problem[0] * (1 - problem[0])))
    proposal = select(problem, rule, known, hull_tolerance=0.01)
    assert proposal.stop.reason is StopReason.ALL_CONTENDERS_KNOWN
    assert proposal.chosen == ()


def test_the_hull_threshold_is_measured_from_the_hull(problem):
    rule = HullThresholdRule(energy_cap=CAP, batch=90)
    proposal = select(problem, rule, KNOWN)
    snapshot = snapshot_of(problem, KNOWN)
    unknown, height, _ = predicted(problem, KNOWN)
    assert set(proposal.chosen) == set(unknown[height < proposal.threshold_ev_per_atom].tolist())
    assert 0 < len(proposal.chosen) < unknown.size
    # Also where nothing is known of a composition, which the paper's rule would look up first.
    inner = np.flatnonzero(np.isclose(problem[0], 0.1))
    without = KNOWN[~np.isin(KNOWN, inner)]
    assert not set(inner.tolist()) <= set(select(problem, rule, without).chosen)
    assert lower_hull(snapshot.x[KNOWN], snapshot.formation_ev_per_atom).x.size > 2


def test_the_hull_threshold_stops_in_words(problem):
    known = np.delete(np.arange(92), np.argmax(problem[2] + 0.2 * problem[0] * (1 - problem[0])))
    proposal = select(problem, HullThresholdRule(), known)
    assert proposal.stop.reason is StopReason.NOTHING_BELOW_THRESHOLD
    assert proposal.stop.sentence.endswith("meV/atom of the hull.")
