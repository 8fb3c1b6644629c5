"""A forecast is what the calibration says of the last round, never less than what is asked for, never more than is allowed."""

import numpy as np
import pytest
from planning.conftest import hullscout

from hullscout.campaign import runner
from hullscout.campaign.state import State
from hullscout.planning.forecast import LEVELS, SEEN, calibrate, forecast, predict, regressors
from hullscout.selection.interface import RoundRecord
from hullscout.selection.threshold import ThresholdRule


@pytest.fixture(scope="session")
def opened(planned):
    origin = runner.read_origin(planned[0], ["select.rule=hull-posterior"])
    return origin.config, runner.open_pool(origin)[0]


def state_of(pool, *, n_known, n_asked=3, n_foreseen=6, n_contenders=20):
    """So many known in a first round, then a round that is asked for."""
    rounds = (
        RoundRecord(round=0, chosen=pool.ids[:n_known], n_contenders=len(pool)),
        RoundRecord(
            round=1,
            chosen=pool.ids[n_known : n_known + n_asked],
            n_contenders=n_contenders,
            n_lookups_foreseen=n_foreseen,
        ),
    )
    return State(pool, rounds=rounds, energies_ev=dict.fromkeys(pool.ids[:n_known], 0.0))


def test_a_forecast_is_the_calibrated_count(opened):
    config, pool = opened
    found = forecast(config, state_of(pool, n_known=20))
    a, b, c = SEEN.coefficients
    steady = min(0.03 * 57, 0.2 * 20)
    middle = a + b * np.log(6 + steady + 1) + c * np.log(20 + 1)
    expected = np.exp(middle + np.array(SEEN.errors))
    assert [found.low, found.expected, found.high] == np.rint(np.clip(expected, 3, 37)).tolist()
    assert found.low < found.expected < found.high


def test_answers_since_the_round_are_counted(opened):
    config, pool = opened
    state = state_of(pool, n_known=20)
    before = forecast(config, state)
    state.add_answer(pool.ids[20], 0.0)
    after = forecast(config, state)
    assert (before.expected - after.expected, before.high - after.high) == (1, 1)


def test_a_forecast_keeps_to_the_pool_and_the_limit(opened):
    config, pool = opened
    assert forecast(config, state_of(pool, n_known=50)).high == 7
    capped = config.model_copy(update={"stop": config.stop.model_copy(update={"max_calculations": 24})})
    assert forecast(capped, state_of(pool, n_known=20)).high == 4
    assert forecast(config, state_of(pool, n_known=20, n_asked=9, n_foreseen=0, n_contenders=0)).low == 9


def test_nothing_is_forecast_where_nothing_was_foreseen(opened):
    config, pool = opened
    assert forecast(config, State(pool)) is None
    assert forecast(config, state_of(pool, n_known=20, n_foreseen=None)) is None
    other = config.model_copy(update={"select": ThresholdRule()})
    assert forecast(other, state_of(pool, n_known=20)) is None


def made_rounds(seed=0, n_pools=8, n_rounds=60):
    """Rounds of pools that follow a known line, with errors that a pool shares."""
    rng = np.random.default_rng(seed)
    pools = np.repeat([f"pool {i}" for i in range(n_pools)], n_rounds)
    rows = regressors(
        n_foreseen=rng.integers(0, 100, pools.size), n_contenders=rng.integers(1, 500, pools.size),
        n_known=rng.integers(12, 200, pools.size), n_candidates=np.full(pools.size, 600), steady=0.03,
    )  # fmt: skip
    errors = np.repeat(0.3 * rng.standard_normal(n_pools), n_rounds) + 0.2 * rng.standard_normal(pools.size)
    return rows, np.exp(rows @ [-0.4, 0.3, 0.6] + errors), pools


def test_calibration_finds_the_line_and_errors_that_hold_on_another_pool():
    rows, lookups, pools = made_rounds(n_pools=60)
    found = calibrate(rows, lookups, weights=np.ones(len(rows)), pools=pools)
    np.testing.assert_allclose(found.coefficients, [-0.4, 0.3, 0.6], atol=0.15)
    other_rows, other, _ = made_rounds(seed=1, n_pools=60)
    low, _, high = predict(other_rows, found).T
    assert np.mean((other >= low) & (other <= high)) == pytest.approx(LEVELS[2] - LEVELS[0], abs=0.05)


def test_rounds_count_by_their_weight():
    rows, lookups, pools = made_rounds()
    weights = np.where(pools == "pool 0", 0.0, 1.0)
    keep = weights > 0
    without = calibrate(rows[keep], lookups[keep], weights=weights[keep], pools=pools[keep])
    weightless = calibrate(rows, lookups, weights=weights, pools=pools)
    np.testing.assert_allclose(weightless.coefficients, without.coefficients)
    np.testing.assert_allclose(weightless.errors, without.errors)


def test_status_and_progress_say_how_many_more(campaign_file, tmp_path):
    settings = ["--set", "select.rule=hull-posterior", "--set", "stop.failure_probability=0.3"]
    code, text = hullscout("run", campaign_file, "--out", tmp_path / "out", *settings)
    assert code == 0
    assert " more (" in text
    assert "Expected until the stop" not in hullscout("status", tmp_path / "out")[1]
    (tmp_path / "out" / "result.json").unlink()
    assert "Expected until the stop" in hullscout("status", tmp_path / "out")[1]
