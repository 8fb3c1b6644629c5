"""The engine asks for each candidate once, decides from what it was told and nothing else, and says why it stops."""

import numpy as np
import pytest
from conftest import ROOT
from threadpoolctl import threadpool_info, threadpool_limits

from hullscout.campaign import Engine, Ledger, Setup, read_origin
from hullscout.campaign.engine import fitting_threads
from hullscout.errors import InvalidCampaignError, ProtocolError
from hullscout.oracle import Failed, FailureReason
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


@pytest.fixture
def opened(campaign_file):
    setup = Setup(read_origin(campaign_file))
    return setup.pool, setup.table, setup.features


def play(opened, *, rule=None, ledger=None, n_answers=None, seed=0, max_calculations=None):
    pool, oracle, features = opened
    ledger = Ledger(pool, seed=seed) if ledger is None else ledger
    engine = Engine(
        ledger,
        rule=rule or ThresholdRule(),
        surrogate=Surrogate(features, fractions=pool.x),
        settings=StopSettings(max_calculations=max_calculations),
    )
    while ids := engine.ask():
        for candidate_id in ids:
            if n_answers is not None and ledger.known.n_answered >= n_answers:
                return engine
            engine.tell(candidate_id, oracle.lookup(candidate_id))
    return engine


def test_the_start_holds_both_pure_elements_and_every_composition(opened):
    pool = opened[0]
    engine = play(opened, n_answers=0)
    asked = [pool.ids.index(candidate_id) for candidate_id in engine.ask()]
    assert set(pool.x[asked]) == set(pool.x)
    assert set(np.flatnonzero((pool.x == 0) | (pool.x == 1))) <= set(asked)


def test_asking_again_without_telling_gives_the_same(opened):
    engine = play(opened, n_answers=14)
    assert engine.ask() == engine.ask() == engine.ledger.pending


def test_every_candidate_is_asked_for_at_most_once(opened):
    asked = [index for decision in play(opened).ledger.decisions for index in decision.chosen]
    assert len(asked) == len(set(asked))


def test_the_end_is_a_reason_and_a_sentence(opened):
    engine = play(opened)
    assert engine.ask() == ()
    assert engine.stop.reason is StopReason.NOTHING_BELOW_THRESHOLD
    assert engine.stop.sentence.endswith(".")
    assert engine.decision.n_contenders == 0


@pytest.mark.parametrize("rule", [ThresholdRule(), HullPosteriorRule(samples=200)], ids=lambda rule: rule.rule)
@pytest.mark.parametrize("n_answers", [0, 1, 5, 12, 13, 16, 20])
def test_a_new_engine_goes_on_where_the_old_one_stood(opened, n_answers, rule):
    undisturbed = play(opened, rule=rule)
    cut = play(opened, rule=rule, n_answers=n_answers).ledger
    energies = {opened[0].ids[i]: opened[1].lookup(opened[0].ids[i]) for i in cut.known.answered}
    ledger = Ledger(opened[0], decisions=cut.decisions, energies_ev=energies)
    resumed = play(opened, rule=rule, ledger=ledger)
    assert resumed.ledger.decisions == undisturbed.ledger.decisions
    assert resumed.stop == undisturbed.stop
    np.testing.assert_array_equal(resumed.predict(), undisturbed.predict())


def test_the_order_of_answers_within_a_round_does_not_matter(opened):
    pool, oracle, features = opened
    rounds = []
    for direction in (1, -1):
        engine = Engine(Ledger(pool), rule=ThresholdRule(), surrogate=Surrogate(features, fractions=pool.x))
        while ids := engine.ask():
            for candidate_id in ids[::direction]:
                engine.tell(candidate_id, oracle.lookup(candidate_id))
        rounds.append(engine.ledger.decisions)
    assert rounds[0] == rounds[1]


def test_another_seed_starts_elsewhere(opened):
    assert play(opened, n_answers=0, seed=0).ask() != play(opened, n_answers=0, seed=1).ask()


def test_the_random_rule_ends_when_all_is_known(opened):
    engine = play(opened, rule=RandomRule())
    assert engine.stop.reason is StopReason.ALL_KNOWN
    assert engine.ledger.known.n_answered == len(opened[0])


@pytest.mark.parametrize(
    "rule",
    [HullPosteriorRule(), ThresholdRule(), HullThresholdRule(), GreedyRule(), VarianceRule(), RandomRule()],
    ids=lambda rule: rule.rule,
)
@pytest.mark.parametrize("most", [2, 3, 9, 15])
def test_the_limit_of_calculations_holds(opened, rule, most):
    engine = play(opened, rule=rule, max_calculations=most)
    assert engine.ledger.known.n_answered == most
    assert engine.stop.reason is StopReason.MAX_CALCULATIONS
    if rule.rule == "hull-posterior":
        assert 0.0 <= engine.decision.stated_failure_probability <= 1.0


def test_a_limit_below_the_pure_elements_is_refused(opened):
    with pytest.raises(InvalidCampaignError, match=r"stop.max_calculations: expected at least 2.*found 1"):
        play(opened, max_calculations=1)


def test_telling_twice_is_idempotent_and_contradicting_is_an_error(opened):
    engine = play(opened, n_answers=0)
    first, last = engine.ask()[0], engine.ask()[-1]
    engine.tell(first, -1.5)
    engine.tell(first, -1.5)
    assert engine.ledger.known.n_answered == 1
    with pytest.raises(ProtocolError, match=r"told as -1\.5 eV before and as -1\.4 eV now"):
        engine.tell(first, -1.4)
    with pytest.raises(ProtocolError, match="must be finite, found nan"):
        engine.tell(last, float("nan"))


def test_telling_what_was_not_asked_for_is_an_error(opened):
    engine = play(opened, n_answers=0)
    never_asked = next(i for i in opened[0].ids if i not in engine.ask())
    with pytest.raises(ProtocolError, match="never asked for"):
        engine.tell(never_asked, 0.0)
    with pytest.raises(ProtocolError, match="no candidate of this pool"):
        engine.tell("nobody", 0.0)


def test_a_candidate_cannot_be_asked_for_twice(opened):
    decisions = play(opened, n_answers=14).ledger.decisions
    with pytest.raises(ProtocolError, match="asks again for"):
        Ledger(opened[0], decisions=(*decisions, decisions[0]))


def test_a_pool_known_from_the_start_has_a_hull_that_is_right_for_sure(opened):
    n = len(opened[0].ids)
    assert play(opened, rule=HullPosteriorRule(n_start=n)).decision.stated_failure_probability == 0.0
    assert play(opened, rule=RandomRule()).decision.stated_failure_probability is None


def test_a_round_takes_one_blas_thread(opened):
    seen = []

    class Watched(GreedyRule):
        def decide(self, known, surrogate, *, stop):
            seen.extend(library["num_threads"] for library in blas_libraries())
            return super().decide(known, surrogate, stop=stop)

    before = [library["num_threads"] for library in blas_libraries()]
    play(opened, rule=Watched(), max_calculations=20)
    assert set(seen) == {1}
    assert [library["num_threads"] for library in blas_libraries()] == before
    with fitting_threads():
        assert {library["num_threads"] for library in blas_libraries()} == {1}


def test_features_do_not_depend_on_the_number_of_threads():
    origin = read_origin(ROOT / "campaigns" / "agpd" / "agpd.toml")
    features = []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads, user_api="blas"):
            features.append(Setup(origin).features)
    for name in features[0]:
        np.testing.assert_array_equal(features[0][name], features[1][name])


def blas_libraries():
    return [library for library in threadpool_info() if library["user_api"] == "blas"]


@pytest.mark.parametrize(
    "rule",
    [HullPosteriorRule(samples=200), ThresholdRule(), HullThresholdRule(), GreedyRule(), VarianceRule(), RandomRule()],
    ids=lambda rule: rule.rule,
)
def test_asking_ahead_goes_on_while_answers_are_pending_and_asks_for_nobody_twice(opened, rule):
    pool, oracle, features = opened
    engine = Engine(Ledger(pool), rule=rule, surrogate=Surrogate(features, fractions=pool.x))
    under_way = list(engine.ask_ahead(3))
    assert under_way == [pool.ids[index] for index in engine.ledger.decisions[0].chosen]  # the start comes whole
    assert engine.ask_ahead(5) == ()  # no hull yet
    n_told = 0
    while under_way:
        candidate_id = under_way.pop(0 if n_told < 4 else -1)
        engine.tell(candidate_id, oracle.lookup(candidate_id))
        n_told += 1
        while len(under_way) < 3 and (more := engine.ask_ahead(3 - len(under_way))):
            assert len(more) <= 3 - len(under_way)
            under_way.extend(more)
        assert tuple(sorted(under_way)) == tuple(sorted(engine.ledger.pending))
    assert engine.stop is not None
    asked = [index for decision in engine.ledger.decisions for index in decision.chosen]
    assert len(asked) == len(set(asked)) == n_told


def test_a_failure_is_no_answer_and_is_withdrawn_by_one(opened):
    pool, oracle, _ = opened
    engine = play(opened, n_answers=0)
    first = engine.ask()[0]
    engine.tell_failure(first, Failed(reason=FailureReason.REPORTED, sentence="Lost."))
    assert first not in engine.ask()
    assert (engine.ledger.known.n_answered, list(engine.ledger.failures)) == (0, [first])
    engine.tell(first, oracle.lookup(first))
    assert (engine.ledger.known.n_answered, engine.ledger.failures) == (1, {})
    with pytest.raises(ProtocolError, match="told to have failed, but its energy is known"):
        engine.tell_failure(first, Failed(reason=FailureReason.REPORTED, sentence="Lost."))
    assert pool.ids[int(engine.ledger.known.answered[0])] == first


def test_where_the_rest_failed_the_end_says_so(opened):
    pool = opened[0]
    engine = play(opened, rule=RandomRule(), n_answers=20)
    while ids := engine.ask():
        for candidate_id in ids:
            engine.tell_failure(candidate_id, Failed(reason=FailureReason.RAISED, sentence="No licence."))
    assert engine.stop.reason is StopReason.ALL_ASKED
    assert engine.stop.sentence == f"Every candidate was asked for; {len(pool) - 20} of {len(pool)} failed."
