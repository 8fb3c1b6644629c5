"""Every structure of a pure element is looked up before a compound; where one is not, the probability and the end say so."""

import numpy as np
import pytest
from ase import Atoms
from views import decided, known_of

from hullscout.campaign import Engine, Ledger
from hullscout.oracle import Failed, FailureReason
from hullscout.pool import Pool
from hullscout.selection import (
    GreedyRule,
    HullPosteriorRule,
    HullThresholdRule,
    RandomRule,
    StopReason,
    StopSettings,
    Surrogate,
    ThresholdRule,
    VarianceRule,
)

RNG = np.random.default_rng(3)
SIZES = (1, 2, 4, 29, 8)  # the fourth is the odd one: large, and 70 meV/atom below the others


def chain(symbols, n, *, wide):
    """Atoms in a row, 2 to 3 A apart."""
    heights = [2.5 * k + 0.2 * np.sin(7 * k) for k in range(n)]
    positions = [[0.0, 0.0, height] for height in heights]
    formula = symbols if symbols == "CuAu" else f"{symbols}{n}"
    return Atoms(formula, positions=positions, cell=[wide, wide, 2.5 * n], pbc=True)


def cells():
    """Five structures of Cu, one of Au, and twenty compounds, with their energies in eV/atom; the odd one is as alpha-Mn is."""
    pure = [(chain("Cu", n, wide=4.0 + 0.1 * n), 0.0) for n in SIZES]
    gold = [(chain("Au", 1, wide=4.0), 0.0)]
    compounds = [(chain("CuAu", 2, wide=4.0 + 0.1 * k), 0.01 * k) for k in range(20)]
    energies = [-0.07 if n == 29 else 0.01 * n for n in SIZES]
    rest = [*gold, *compounds]
    return [atoms for atoms, _ in [*pure, *rest]], np.array([*energies, *[energy for _, energy in rest]])


ATOMS, ENERGY = cells()
POOL = Pool.of(ATOMS, ["Cu", "Au"], ids=[f"{place:02d}" for place in range(len(ATOMS))])
FEATURES = np.column_stack([POOL.x, POOL.n_atoms, [atoms.cell[0, 0] for atoms in ATOMS]])


def engine(rule, **stop):
    ledger = Ledger(POOL, name="ends", seed=0, cost=POOL.n_atoms.astype(float))
    return Engine(
        ledger, rule=rule, surrogate=Surrogate({"all": FEATURES}, fractions=POOL.x), settings=StopSettings(**stop)
    )


RULES = [HullPosteriorRule(), ThresholdRule(), HullThresholdRule(), GreedyRule(), VarianceRule(), RandomRule()]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.rule)
def test_all_structures_of_the_elements_come_first_and_the_cheapest_of_each_before_the_others(rule):
    asked = engine(rule).ask()
    assert asked[:6] == ("00", "05", "01", "02", "04", "03")


def play(rule, *, failing=(), **stop):
    found = engine(rule, **stop)
    while asked := found.ask():
        for name in asked:
            index = POOL.index_of(name)
            if name in failing:
                found.tell_failure(name, Failed(reason=FailureReason.REPORTED, sentence="no"))
            else:
                found.tell(name, float(ENERGY[index] * POOL.n_atoms[index]))
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.rule)
def test_the_end_of_the_axis_is_right_whatever_the_rule(rule):
    assert "03" in {POOL.ids[index] for index in play(rule).ledger.known.hull.indices}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.rule)
def test_a_budget_that_leaves_pure_structures_out_says_how_many(rule):
    stop = play(rule, max_calculations=4).stop  # some rules end by themselves before the limit speaks
    assert stop is not None
    assert "Of the 5 structures of pure Cu, 2 have no energy: were one lower than those known" in stop.sentence


def test_a_budget_has_to_allow_one_structure_of_each_element_only():
    assert play(HullPosteriorRule(), max_calculations=2).stop.reason is StopReason.MAX_CALCULATIONS


def test_an_unknown_structure_of_an_element_counts_in_the_probability():
    """One of five equal structures is the lowest with the probability 1/5, whatever the model thinks of it."""
    found = play(HullPosteriorRule(), failing={"03"}, failure_probability=0.05)
    assert found.stop.reason is StopReason.ONLY_FAILED_LEFT
    assert 0.2 <= found.decision.stated_failure_probability < 0.4
    assert found.decision.stated_settleable_probability < 0.05
    assert "Of the 5 structures of pure Cu, 1 has no energy" in found.stop.sentence


def test_a_structure_of_an_element_that_was_left_over_is_asked_for_next():
    """As in a campaign of an earlier version, which began with the smallest cells only."""
    x = np.concatenate([[0.0, 0.0, 0.0, 1.0], np.repeat(np.arange(1, 6) / 6, 10)])
    order = np.concatenate([[0.0, 5.0, 0.1, 0.0], RNG.uniform(size=50)])
    energy = -0.2 * x * (1 - x) + 0.3 * (order - 0.2) ** 2
    answered = [0, 3, *range(4, 54)]
    decision = decided(
        HullPosteriorRule(), known_of(x, energy, answered), Surrogate({"all": np.column_stack([x, order])}, fractions=x)
    )
    assert decision.failure_probability > 2 / 3
    assert set(decision.chosen) <= {1, 2}
