"""A forecast is what the calibration says of the last round, never less than what is asked for, never more than is allowed."""

import numpy as np
import pytest

from hullscout.campaign import Ledger, load_config
from hullscout.oracle import Calculated
from hullscout.planning.forecast import CALIBRATION, INTERVAL, calibrate, forecast, predict_lookups, regressors
from hullscout.selection import Decision


@pytest.fixture
def config(campaign_file):
    return load_config(campaign_file, ["select.rule=hull-posterior"])


def ledger_of(replay_pool, *, n_known, n_asked=3, n_foreseen=6, n_contenders=20):
    """So many known after a first round, then a round that is asked for."""
    pool = replay_pool.pool
    decisions = (
        Decision(chosen=tuple(range(n_known)), n_contenders=len(pool)),
        Decision(
            chosen=tuple(range(n_known, n_known + n_asked)), n_contenders=n_contenders, n_lookups_foreseen=n_foreseen
        ),
    )
    return Ledger(pool, decisions=decisions, energies_ev=dict.fromkeys(pool.ids[:n_known], 0.0))


def test_a_forecast_is_the_calibrated_count(config, replay_pool):
    found = forecast(config, ledger_of(replay_pool, n_known=20).known)
    a, b, c = CALIBRATION.coefficients
    middle = a + b * np.log(6 + 1) + c * np.log(20 + 1)
    expected = np.exp(middle + np.array(CALIBRATION.errors))
    assert [found.low, found.expected, found.high] == np.rint(np.clip(expected, 3, 37)).tolist()
    assert found.low < found.expected < found.high


def test_below_five_percent_it_says_what_it_may_take_at_most(config, replay_pool):
    small = config.model_copy(update={"stop": config.stop.model_copy(update={"failure_probability": 0.01})})
    found = forecast(small, ledger_of(replay_pool, n_known=20, n_foreseen=25).known)
    assert (found.low, found.expected, found.high, found.is_most) == (25, 25, 25, True)
    assert str(found) == "up to 25 more"
    assert "up to 25 more calculations" in found.sentence
    assert "90 %" not in found.sentence


def test_answers_since_the_round_are_counted(config, replay_pool):
    ledger = ledger_of(replay_pool, n_known=20)
    before = forecast(config, ledger.known)
    ledger.take(replay_pool.pool.ids[20], Calculated(energy_ev=0.0))
    after = forecast(config, ledger.known)
    assert (before.expected - after.expected, before.high - after.high) == (1, 1)


def test_a_forecast_keeps_to_the_pool_and_the_limit(config, replay_pool):
    assert forecast(config, ledger_of(replay_pool, n_known=50).known).high == 7
    capped = config.model_copy(update={"stop": config.stop.model_copy(update={"max_calculations": 24})})
    assert forecast(capped, ledger_of(replay_pool, n_known=20).known).high == 4
    few = ledger_of(replay_pool, n_known=20, n_asked=9, n_foreseen=0, n_contenders=0).known
    assert forecast(config, few).low == 9


def test_a_rule_that_foresees_is_forecast_by_its_own_wait(campaign_file, replay_pool):
    """A rule from outside that waits for nothing is expected to stop earlier than one that does."""
    known = ledger_of(replay_pool, n_known=20, n_foreseen=0, n_asked=1).known
    own, ours = (
        forecast(load_config(campaign_file, [f"select={{rule = {rule}}}"]), known)
        for rule in ("'outside.LowestNeighbours'", "'hull-posterior', steady = 0.2")
    )
    a, _, c = CALIBRATION.coefficients
    middle = np.exp(a + c * np.log(20 + 1) + CALIBRATION.errors[1])
    assert own.expected == max(1, round(middle)) < ours.expected, "never less than what is asked for"


def test_nothing_is_forecast_where_nothing_was_foreseen(config, replay_pool):
    assert forecast(config, Ledger(replay_pool.pool).known) is None
    assert forecast(config, ledger_of(replay_pool, n_known=20, n_foreseen=None).known) is None


def made_rounds(seed=0, n_pools=8, n_rounds=60):
    """Rounds of pools that follow a known line, with errors that a pool shares."""
    rng = np.random.default_rng(seed)
    pools = np.repeat([f"pool {i}" for i in range(n_pools)], n_rounds)
    rows = regressors(
        n_foreseen=rng.integers(0, 100, pools.size), n_contenders=rng.integers(1, 500, pools.size),
        n_to_stay_low=np.minimum(0.03 * 600, 0.2 * rng.integers(12, 200, pools.size)),
    )  # fmt: skip
    errors = np.repeat(0.3 * rng.standard_normal(n_pools), n_rounds) + 0.2 * rng.standard_normal(pools.size)
    return rows, np.exp(rows @ [-0.4, 0.3, 0.6] + errors), pools


def test_calibration_finds_the_line_and_errors_that_hold_on_another_pool():
    rows, lookups, pools = made_rounds(n_pools=60)
    found = calibrate(rows, lookups, weights=np.ones(len(rows)), pools=pools)
    np.testing.assert_allclose(found.coefficients, [-0.4, 0.3, 0.6], atol=0.15)
    other_rows, other, _ = made_rounds(seed=1, n_pools=60)
    low, _, high = predict_lookups(other_rows, found).T
    assert np.mean((other >= low) & (other <= high)) == pytest.approx(INTERVAL[2] - INTERVAL[0], abs=0.05)


def test_rounds_count_by_their_weight():
    rows, lookups, pools = made_rounds()
    weights = np.where(pools == "pool 0", 0.0, 1.0)
    keep = weights > 0
    without = calibrate(rows[keep], lookups[keep], weights=weights[keep], pools=pools[keep])
    weightless = calibrate(rows, lookups, weights=weights, pools=pools)
    np.testing.assert_allclose(weightless.coefficients, without.coefficients)
    np.testing.assert_allclose(weightless.errors, without.errors)


def test_status_and_progress_say_how_many_more(hullscout, campaign_file, tmp_path):
    settings = ["--set", "select.rule=hull-posterior", "--set", "stop.failure_probability=0.3"]
    code, text = hullscout("run", campaign_file, "--out", tmp_path / "out", *settings)
    assert code == 0
    assert " more (" in text
    assert "Expected until the stop" not in hullscout("status", tmp_path / "out")[1]
    (tmp_path / "out" / "result.json").unlink()
    assert "Expected until the stop" in hullscout("status", tmp_path / "out")[1]
