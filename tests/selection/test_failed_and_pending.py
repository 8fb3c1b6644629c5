"""A candidate that failed counts as unknown and is never asked for again; a pending one is not asked for twice."""

import numpy as np
import pytest

from hullscout.selection.hull_posterior import HullPosteriorRule, _most_often_deepest
from hullscout.selection.interface import Snapshot, StopReason
from hullscout.selection.stopping import StopSettings
from hullscout.selection.surrogate import Surrogate
from hullscout.selection.threshold import HullThresholdRule, ThresholdRule
from hullscout.selection.yardsticks import GreedyRule, RandomRule, VarianceRule

RNG = np.random.default_rng(5)
X = np.concatenate([[0.0, 1.0], np.repeat(np.arange(1, 6) / 6, 10)])
ORDER = np.concatenate([[0.0, 0.0], RNG.uniform(size=50)])
ENERGY = -0.2 * X * (1 - X) + 0.3 * (ORDER - 0.2) ** 2


def propose(rule, known, *, failed=(), pending=(), **stop):
    snapshot = Snapshot(
        x=X,
        n_atoms=np.ones(X.size, dtype=int),
        cost=np.ones(X.size),
        known=np.asarray(known),
        energies_ev_per_atom=ENERGY[known],
        history=(),
        seed=0,
        failed=np.asarray(failed, dtype=np.intp),
        pending=np.asarray(pending, dtype=np.intp),
    )
    surrogate = Surrogate({"all": np.column_stack([X, ORDER])}, x=X)
    return snapshot, rule.select(snapshot, surrogate, stop=StopSettings(**stop))


FEW = [0, 1, *range(2, 52, 6)]


@pytest.mark.parametrize(
    "rule",
    [
        HullPosteriorRule(),
        ThresholdRule(factor=20.0),
        HullThresholdRule(factor=20.0),
        GreedyRule(),
        VarianceRule(),
        RandomRule(),
    ],
    ids=lambda rule: rule.rule,
)
def test_failed_and_pending_candidates_are_not_asked_for(rule):
    taken = propose(rule, FEW)[1].chosen
    snapshot, proposal = propose(rule, FEW, failed=taken[:2], pending=taken[2:])
    assert not set(taken) & set(proposal.chosen)
    assert proposal.chosen
    assert set(taken) <= set(snapshot.unknown.tolist())
    assert not set(taken) & set(snapshot.askable.tolist())


def test_a_failed_candidate_counts_in_the_probability_like_any_unknown_one():
    snapshot, before = propose(HullPosteriorRule(), FEW)
    _, after = propose(HullPosteriorRule(), FEW, failed=snapshot.unknown[1:])
    assert after.failure_probability == before.failure_probability == before.settleable_probability
    assert after.settleable_probability < before.settleable_probability


def test_where_only_failed_candidates_are_in_doubt_the_end_says_so():
    # Nothing but two deep candidates is unknown, and both failed.
    deep = np.argsort(ENERGY - np.interp(X, [0, 1], [ENERGY[0], ENERGY[1]]))[:2]
    known = np.setdiff1d(np.arange(X.size), deep)
    proposal = propose(HullPosteriorRule(), known, failed=deep, hull_tolerance=1e-5, failure_probability=0.001)[1]
    assert proposal.chosen == ()
    assert proposal.settleable_probability == 0.0
    assert proposal.stated_failure_probability > 0.001
    assert proposal.stop.reason is StopReason.ONLY_FAILED_LEFT
    assert "candidates that failed (2)" in proposal.stop.sentence


def test_a_batch_is_conditioned_on_what_is_being_calculated():
    depths = np.full((10, 3), -1.0)
    depths[:6, 0], depths[:6, 1], depths[6:, 2] = 0.02, 0.0199, 0.01
    x = np.array([0.5, 0.5, 0.25])
    assert _most_often_deepest(depths, x, cost=np.ones(3), floor=0.0005, n=3, taken=np.array([0])) == [2]
