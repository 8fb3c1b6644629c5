"""The paper's rule: what is a contender, what the threshold is, and that a looser one selects a superset."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from views import decided, known_of

from hullscout.regression import cap_height
from hullscout.selection import Decision, StopReason, Surrogate, ThresholdRule
from hullscout.selection.threshold import lowest_of_composition
from hullscout.selection.transforms import Transform

CAP = ThresholdRule().energy_cap


@pytest.fixture(scope="module")
def problem():
    """An alloy of 90 structures whose energy is a smooth function of two features."""
    rng = np.random.default_rng(5)
    x = np.repeat(np.arange(1, 10) / 10, 10)
    x = np.concatenate([[0.0, 1.0], x])
    order = np.concatenate([[0.0, 0.0], rng.uniform(size=90)])
    features = np.column_stack([x, order])
    energy = -0.2 * x * (1 - x) + 0.3 * (order - 0.2) ** 2
    return x, features, energy


def view_of(problem, answered, decisions=()):
    x, _, energy = problem
    return known_of(x, energy, answered, decisions=decisions)


def surrogate_of(problem):
    return Surrogate({"all": problem[1]}, fractions=problem[0])


def known_indices(n):
    return [0, 1, *np.random.default_rng(0).permutation(np.arange(2, 92))[: n - 2].tolist()]


def test_contenders_are_those_below_the_threshold_above_the_lowest_of_their_composition(problem):
    known = view_of(problem, known_indices(20))
    decision = decided(ThresholdRule(batch=1000), known, surrogate_of(problem))
    labels, _ = Transform.CAP(known, energy_cap_ev_per_atom=CAP)
    belief = surrogate_of(problem).fit(known, labels)
    threshold = 1.3 * belief.model_error_ev_per_atom
    assert decision.threshold_ev_per_atom == pytest.approx(threshold)
    lowest = lowest_of_composition(known.fractions, known.answered, labels)
    expected = [i for i in known.unknown if belief.mean_ev_per_atom[i] - lowest[i] < threshold]
    assert sorted(decision.chosen) == expected
    heights = [belief.mean_ev_per_atom[i] - lowest[i] for i in decision.chosen]
    finite = [height for height in heights if np.isfinite(height)]
    assert finite == sorted(finite)


@pytest.mark.parametrize("held_out", ["leave-one-out", "half"])
@pytest.mark.parametrize("transforms", [(Transform.CAP,), tuple(Transform)])
def test_a_looser_threshold_selects_a_superset(problem, held_out, transforms):
    chosen = []
    for factor in (0.5, 1.3, 4.0):
        rule = ThresholdRule(factor=factor, batch=1000, held_out=held_out, transforms=transforms)
        chosen.append(set(decided(rule, view_of(problem, known_indices(20)), surrogate_of(problem)).chosen))
    assert chosen[0] <= chosen[1] <= chosen[2]
    assert chosen[0] < chosen[2]


def test_several_transforms_take_the_union(problem):
    def chosen(*transforms):
        rule = ThresholdRule(batch=1000, transforms=transforms)
        return set(decided(rule, view_of(problem, known_indices(20)), surrogate_of(problem)).chosen)

    paper = (Transform.SHRINK_POSITIVE, Transform.STRETCH_NEGATIVE, Transform.STANDARDIZE)
    assert chosen(*paper) == set().union(*(chosen(transform) for transform in paper))


def test_the_threshold_is_the_median_error_of_the_last_rounds(problem):
    history = tuple(Decision(n_contenders=1, model_errors={"cap": error}) for error in [9.0, 9.0, 0.1, 0.2])
    decision = decided(ThresholdRule(window=3), view_of(problem, known_indices(20), history), surrogate_of(problem))
    own = decision.model_errors["cap"]
    assert own < 0.1
    assert decision.threshold_ev_per_atom == pytest.approx(1.3 * 0.1)


def test_it_stops_when_nothing_is_below_the_threshold(problem):
    all_but_the_highest = np.delete(np.arange(92), np.argmax(problem[2]))
    decision = decided(ThresholdRule(), view_of(problem, all_but_the_highest), surrogate_of(problem))
    assert decision.chosen == ()
    assert decision.stop.reason is StopReason.NOTHING_BELOW_THRESHOLD


def test_a_composition_of_which_nothing_is_known_is_looked_up_first(problem):
    x = problem[0]
    known = [i for i in known_indices(60) if x[i] != 0.5]
    decision = decided(ThresholdRule(batch=3), view_of(problem, known), surrogate_of(problem))
    assert set(x[list(decision.chosen)]) == {0.5}


@given(st.lists(st.floats(0, 10), min_size=2, max_size=20))
@settings(deadline=None)
def test_the_cap_keeps_the_order_and_never_exceeds_itself(heights):
    capped = cap_height(np.sort(heights), 0.15)
    assert (np.diff(capped) >= 0).all()
    assert capped.max() <= 0.15
    assert (capped <= np.sort(heights) * (1 + 1e-12)).all()


@pytest.mark.parametrize("transform", list(Transform))
def test_every_transform_keeps_the_order_at_one_composition(problem, transform):
    known = view_of(problem, np.arange(92))
    labels, baseline = transform(known, energy_cap_ev_per_atom=CAP)
    assert baseline is None
    for value in np.unique(known.x):
        at = np.flatnonzero(known.x == value)
        np.testing.assert_array_equal(np.argsort(labels[at]), np.argsort(known.formation_ev_per_atom[at]))


def test_order_of_labels_does_not_matter_to_the_model(problem):
    indices = known_indices(20)
    known, backwards = view_of(problem, indices), view_of(problem, indices[::-1])
    one = surrogate_of(problem).fit(known, problem[2][indices])
    surrogate = surrogate_of(problem)
    surrogate.fit(backwards, problem[2][indices[::-1]])
    again = surrogate.fit(known, problem[2][indices])
    np.testing.assert_allclose(again.mean_ev_per_atom, one.mean_ev_per_atom, atol=1e-6)
