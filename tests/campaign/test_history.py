"""A history says what happened, and a forecaster computes again exactly what the model believed when it decided."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from hullscout.campaign import runner
from hullscout.campaign.history import Forecaster, read_history
from hullscout.campaign.store import Store
from hullscout.errors import StoreError
from hullscout.selection.hull_posterior import HullPosteriorRule

POSTERIOR = ("select={rule = 'hull-posterior', samples = 200, batch = 3, energy_cap = 0.5}",)


@pytest.fixture
def play(campaign_file, tmp_path):
    """Run the small campaign with other settings; its folder and result."""

    def play(*overrides):
        origin = runner.read_origin(campaign_file, overrides)
        pool, oracle = runner.open_pool(origin)
        result, standing = runner.run(origin, tmp_path / "run", pool=pool, oracle=oracle)
        runner.save(tmp_path / "run", result, standing)
        return tmp_path / "run", result

    return play


def test_a_forecast_is_what_the_rule_believed_in_every_round(play):
    folder, result = play(*POSTERIOR)
    history = read_history(folder)
    forecaster = Forecaster(history)
    assert len(history.moments) > 5
    for moment in history.moments[:-1]:
        outlook = forecaster.at(moment)
        assert outlook.is_of_the_rule
        assert outlook.failure_probability == moment.failure_probability
        assert outlook.stated_failure_probability == moment.stated_failure_probability
        assert outlook.model_error_ev_per_atom == moment.model_error_ev_per_atom
        assert outlook.probability_on_hull.shape == (len(history.pool),)
    assert forecaster.at(history.now).stated_failure_probability == result.failure_probability


def test_a_history_holds_what_was_known_before_each_round(play):
    folder, result = play(*POSTERIOR)
    history = read_history(folder)
    assert history.now.n_known == result.n_calculations
    assert history.now.standing.hull_error_ev_per_atom == result.reference.hull_error_ev_per_atom
    for earlier, later in zip(history.moments, history.moments[1:], strict=False):
        added = [history.pool.ids[i] for i in later.standing.known[earlier.n_known :]]
        assert tuple(added) == earlier.decision.chosen
        assert {history.asked_in[i] for i in later.standing.known[earlier.n_known :].tolist()} == {earlier.round}
        assert later.cost_spent == later.n_known


def test_a_history_says_why_calculations_failed(play):
    folder, _ = play(*POSTERIOR)
    failed_id = read_history(folder).moments[-2].decision.chosen[0]
    with closing(sqlite3.connect(folder / "campaign.db")) as connection, connection:
        connection.execute("DELETE FROM answers WHERE id = ?", (failed_id,))
        row = (failed_id, "not-converged", "200 steps were too few.")
        connection.execute("INSERT INTO failures (id, reason, sentence) VALUES (?, ?, ?)", row)
    history = read_history(folder)
    index = history.pool.ids.index(failed_id)
    assert list(history.failures) == history.now.snapshot.failed.tolist() == [index]
    assert (history.failures[index].id, *row[1:]) == (
        failed_id,
        history.failures[index].reason,
        history.failures[index].sentence,
    )


def test_the_result_is_read_as_it_was_written(play):
    folder, result = play()
    assert read_history(folder).result == result


def test_predictions_without_a_cap_are_those_of_the_result(play):
    folder, result = play()
    history = read_history(folder)
    standing = history.now.standing
    mean = Forecaster(history).full_scale(history.now).mean
    errors = np.abs(mean - standing.reference_ev_per_atom)[standing.unknown]
    assert errors.mean() == pytest.approx(result.reference.mae_uncomputed_ev_per_atom, rel=1e-12)


@pytest.mark.parametrize("rule", ["threshold", "random"])
def test_a_rule_without_a_posterior_is_seen_through_the_default_one(play, rule):
    folder, _ = play(f"select={{rule = '{rule}'}}", "stop.max_calculations=30")
    history = read_history(folder)
    forecaster = Forecaster(history)
    outlook = forecaster.at(history.now)
    assert not outlook.is_of_the_rule
    assert outlook.stated_failure_probability == outlook.failure_probability
    assert history.now.failure_probability is None
    expected = HullPosteriorRule().outlook(history.now.snapshot, forecaster._surrogate)
    np.testing.assert_array_equal(outlook.probability_on_hull, expected.probability_on_hull())


def test_nothing_is_believed_of_a_pool_that_is_known(play):
    folder, _ = play("select={rule = 'random'}")
    history = read_history(folder)
    assert history.now.n_known == len(history.pool)
    assert Forecaster(history, features={"one": np.zeros((len(history.pool), 1))}).at(history.now) is None


def test_an_unfinished_campaign_has_a_history_and_no_result(campaign_file, tmp_path):
    origin = runner.read_origin(campaign_file, POSTERIOR)
    pool, oracle = runner.open_pool(origin)

    class StoppedError(Exception):
        pass

    def stop_early(state):
        if state.n_known == 20:
            raise StoppedError

    with pytest.raises(StoppedError, match=r"^$"):
        runner.run(origin, tmp_path / "run", pool=pool, oracle=oracle, on_progress=stop_early)
    history = read_history(tmp_path / "run")
    assert history.result is None
    assert history.now.n_known == 20
    assert history.now.decision is None


def test_a_campaign_without_both_ends_has_no_history(campaign_file, tmp_path):
    with Store.create_or_resume(tmp_path / "run", runner.read_origin(campaign_file)):
        pass
    with pytest.raises(StoreError, match="has no hull yet"):
        read_history(tmp_path / "run")


@pytest.mark.parametrize("text", ["{", "{}", '{"schema": 1, "hull": [{"id": 1}], "elements": []}'])
def test_a_result_that_is_none_is_refused(play, text):
    folder, _ = play()
    (folder / "result.json").write_text(text)
    with pytest.raises(StoreError, match=r"result\.json cannot be read as a result"):
        read_history(folder)
