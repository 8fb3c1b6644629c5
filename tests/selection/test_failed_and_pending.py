"""A candidate that failed counts as unknown and is never asked for again; a pending one is not asked for twice."""

import numpy as np
import pytest
from views import decided, known_of

from hullscout.selection import (
    GreedyRule,
    HullPosteriorRule,
    HullThresholdRule,
    RandomRule,
    StopReason,
    Surrogate,
    ThresholdRule,
    VarianceRule,
)

RNG = np.random.default_rng(5)
X = np.concatenate([[0.0, 1.0], np.repeat(np.arange(1, 6) / 6, 10)])
ORDER = np.concatenate([[0.0, 0.0], RNG.uniform(size=50)])
ENERGY = -0.2 * X * (1 - X) + 0.3 * (ORDER - 0.2) ** 2


def decide(rule, answered, *, failed=(), pending=(), **stop):
    known = known_of(X, ENERGY, answered, failed=failed, pending=pending)
    return known, decided(rule, known, Surrogate({"all": np.column_stack([X, ORDER])}, fractions=X), **stop)


FEW = [0, 1, *range(2, 52, 6)]


@pytest.mark.parametrize(
    "rule",
    [
        HullPosteriorRule(batch=4),
        ThresholdRule(factor=20.0),
        HullThresholdRule(factor=20.0),
        GreedyRule(),
        VarianceRule(),
        RandomRule(),
    ],
    ids=lambda rule: rule.rule,
)
def test_failed_and_pending_candidates_are_not_asked_for(rule):
    taken = decide(rule, FEW)[1].chosen
    known, decision = decide(rule, FEW, failed=taken[:2], pending=taken[2:])
    assert not set(taken) & set(decision.chosen)
    assert decision.chosen
    assert set(taken) <= set(known.unknown.tolist())
    assert not set(taken) & set(known.askable.tolist())


def test_a_failed_candidate_counts_in_the_probability_like_any_unknown_one():
    known, before = decide(HullPosteriorRule(), FEW)
    _, after = decide(HullPosteriorRule(), FEW, failed=known.unknown[1:])
    assert after.failure_probability == before.failure_probability == before.settleable_probability
    assert after.settleable_probability < before.settleable_probability


def test_where_only_failed_candidates_are_in_doubt_the_end_says_so():
    # Nothing but two deep candidates is unknown, and both failed.
    deep = np.argsort(ENERGY - np.interp(X, [0, 1], [ENERGY[0], ENERGY[1]]))[:2]
    known = np.setdiff1d(np.arange(X.size), deep)
    decision = decide(HullPosteriorRule(), known, failed=deep, hull_tolerance=1e-5, failure_probability=0.001)[1]
    assert decision.chosen == ()
    assert decision.settleable_probability == 0.0
    assert decision.stated_failure_probability > 0.001
    assert decision.stop.reason is StopReason.ONLY_FAILED_LEFT
    assert "candidates that failed (2)" in decision.stop.sentence
