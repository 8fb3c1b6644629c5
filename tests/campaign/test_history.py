"""A history says what happened, and beliefs are computed again: exactly what the model believed when it decided."""

import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from sealed import seal

from hullscout.campaign import Beliefs, Setup, Store, read_history, read_origin, run
from hullscout.errors import StoreError
from hullscout.figures import save_result
from hullscout.selection import HullPosteriorRule, Surrogate

POSTERIOR = ("select={rule = 'hull-posterior', samples = 200, batch = 3, energy_cap = 0.5}",)


@pytest.fixture
def play(campaign_file, tmp_path):
    """Run the small campaign with other settings; its folder and result."""

    def play(*overrides):
        result, known = run(Setup(read_origin(campaign_file, overrides)), tmp_path / "run")
        save_result(tmp_path / "run", result, known)
        return tmp_path / "run", result

    return play


def test_a_belief_is_what_the_rule_believed_in_every_round(play):
    folder, result = play(*POSTERIOR)
    history = read_history(folder)
    beliefs = Beliefs(history.setup)
    assert len(history.moments) > 5
    for known, decision in zip(history.moments[:-1], history.decided[:-1], strict=True):
        belief = beliefs.at(known)
        assert belief.is_of_the_rule
        assert belief.failure_probability == decision.failure_probability
        assert belief.stated_failure_probability == decision.stated_failure_probability
        assert belief.model_error_ev_per_atom == decision.model_error
        assert belief.probability_on_hull.shape == (len(history.pool),)
    assert beliefs.at(history.now).stated_failure_probability == result.failure_probability


def test_a_history_holds_what_was_known_before_each_round(play):
    folder, result = play(*POSTERIOR)
    history = read_history(folder)
    assert history.now.n_answered == result.n_calculations
    assert history.now.hull_error_ev_per_atom == result.reference.hull_error_ev_per_atom
    for earlier, later, decision in zip(history.moments, history.moments[1:], history.decided, strict=False):
        added = tuple(later.answered[earlier.n_answered :].tolist())
        assert added == decision.chosen
        assert {later.asked_in[i] for i in added} == {len(earlier.decisions)}
        assert later.spent == later.n_answered


def test_a_history_says_why_calculations_failed(play):
    folder, _ = play(*POSTERIOR)
    failed_id = _last_chosen(read_history(folder))
    with closing(sqlite3.connect(folder / "campaign.db")) as connection, connection:
        connection.execute("DELETE FROM answers WHERE id = ?", (failed_id,))
        row = (failed_id, "not-converged", "200 steps were too few.")
        connection.execute("INSERT INTO failures VALUES (?, ?, ?, x'')", row)
    seal(folder)
    history = read_history(folder)
    index = history.pool.ids.index(failed_id)
    assert list(history.failures) == history.now.failed.tolist() == [index]
    assert (history.failures[index].id, *row[1:]) == (
        failed_id,
        history.failures[index].reason,
        history.failures[index].sentence,
    )


def test_the_result_is_read_as_it_was_written(play):
    folder, result = play()
    read = read_history(folder).result
    assert read == result
    assert read.to_json() == result.to_json()


def test_of_a_finished_campaign_status_fits_nothing_and_says_the_same(play, hullscout, monkeypatch):
    folder, result = play(*POSTERIOR)
    assert result.sources
    with monkeypatch.context() as patch:
        patch.setattr(Surrogate, "fit", None)
        said = hullscout("status", folder)
    assert said[0] == 0
    of_before = {name: value for name, value in json.loads(result.to_json()).items() if name != "stability"}
    (folder / "result.json").write_text(json.dumps(of_before))
    assert hullscout("status", folder) == said  # computed, since a result of an earlier version does not hold it


@pytest.mark.parametrize("damage", [{"corners_ev_per_atom": [1.0]}, {"is_unbounded": [True]}, {"probability": "all"}])
def test_regions_that_are_none_are_refused(play, damage):
    folder, result = play(*POSTERIOR)
    tree = json.loads(result.to_json())
    tree["stability"][0] |= damage
    (folder / "result.json").write_text(json.dumps(tree))
    with pytest.raises(StoreError, match=r"result\.json cannot be read as a result"):
        read_history(folder)


def _last_chosen(history):
    return history.pool.ids[history.decided[-2].chosen[0]]


@pytest.mark.parametrize("rule", ["threshold", "random"])
def test_a_rule_without_a_posterior_is_seen_through_the_default_one(play, rule):
    folder, _ = play(f"select={{rule = '{rule}'}}", "stop.max_calculations=30")
    history = read_history(folder)
    belief = Beliefs(history.setup).at(history.now)
    assert not belief.is_of_the_rule
    assert belief.stated_failure_probability == belief.failure_probability
    assert history.decided[-2].failure_probability is None
    setup = history.setup
    expected = HullPosteriorRule().believe(history.now, setup.surrogate(), stop=setup.config.stop)
    np.testing.assert_array_equal(belief.probability_on_hull, expected.probability_on_hull)


def test_nothing_is_believed_of_a_pool_that_is_known(play):
    folder, _ = play("select={rule = 'random'}")
    history = read_history(folder)
    assert history.now.n_answered == len(history.pool)
    assert Beliefs(history.setup).at(history.now) is None


def test_an_unfinished_campaign_has_a_history_and_no_result(campaign_file, tmp_path):
    class StoppedError(Exception):
        pass

    def stop_early(known):
        if known.n_answered == 20:
            raise StoppedError

    with pytest.raises(StoppedError, match=r"^$"):
        run(Setup(read_origin(campaign_file, POSTERIOR)), tmp_path / "run", on_progress=stop_early)
    history = read_history(tmp_path / "run")
    assert history.result is None
    assert history.now.n_answered == 20
    assert history.decided[-1] is None


def test_a_campaign_without_both_ends_has_no_history(campaign_file, tmp_path):
    with Store.create_or_resume(tmp_path / "run", read_origin(campaign_file)):
        pass
    with pytest.raises(StoreError, match="has no hull yet"):
        read_history(tmp_path / "run")


@pytest.mark.parametrize("text", ["{", "{}", '{"schema": 1, "hull": [{"id": 1}], "elements": []}'])
def test_a_result_that_is_none_is_refused(play, text):
    folder, _ = play()
    (folder / "result.json").write_text(text)
    with pytest.raises(StoreError, match=r"result\.json cannot be read as a result"):
        read_history(folder)
