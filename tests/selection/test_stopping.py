"""Every end of a campaign is one function of what is known and what was decided; the first that answers ends it."""

from dataclasses import replace

import numpy as np
import pytest
from views import known_of

from hullscout.errors import InvalidCampaignError
from hullscout.selection import Decision, Stop, StopSettings, stopping

X = np.array([0.0, 1.0, 0.5, 0.5])
NONE_LEFT = Stop(reason="all-contenders-known", sentence="The rule has none left.")
ASKS = Decision(chosen=(2, 3), n_contenders=2, model_errors={"cap": 0.01})


def ended(decision, answered=(0, 1), *, none_left=NONE_LEFT, failed=(), asked=(0, 1), cost=None, **settings):
    view = known_of(X, np.zeros(4), answered, failed=failed, decisions=(Decision(chosen=tuple(asked)),))
    known = view if cost is None else replace(view, cost=np.asarray(cost, dtype=np.float64))
    return stopping.concluded(known, decision, none_left=none_left, settings=StopSettings(**settings))


@pytest.mark.parametrize(
    ("decision", "state", "reason"),
    [
        (Decision(), {"answered": (0, 1, 2, 3)}, "all-known"),
        (Decision(), {"answered": (1,), "failed": (0,)}, "no-hull"),
        (replace(ASKS, n_contenders=0), {}, "all-contenders-known"),
        (replace(ASKS, stated_failure_probability=0.04), {}, "failure-probability"),
        (
            replace(ASKS, stated_failure_probability=0.5, stated_settleable_probability=0.04),
            {"failed": (3,)},
            "only-failed-left",
        ),
        (ASKS, {"max_calculations": 2}, "max-calculations"),
        (ASKS, {"max_cost": 2.5}, "max-cost"),
        (Decision(), {"failed": (2, 3)}, "all-asked"),
        (Decision(), {}, "all-contenders-known"),
    ],
)
def test_each_end_has_its_reason_and_nothing_is_chosen(decision, state, reason):
    end = ended(decision, **state)
    assert (end.stop.reason, end.chosen) == (reason, ())
    assert end.stop.sentence.endswith(".")


@pytest.mark.parametrize(
    ("decision", "state"),
    [
        (ASKS, {}),
        (replace(ASKS, stated_failure_probability=0.05), {}),  # the accepted probability itself is not below it
        (replace(ASKS, n_contenders=0, stated_failure_probability=0.06), {}),  # it was higher not long ago
        (replace(ASKS, stated_failure_probability=0.5, stated_settleable_probability=0.04), {}),  # nothing failed
        (replace(ASKS, model_errors={}, n_contenders=0), {}),  # no model was fitted that could tell
        (ASKS, {"max_calculations": 4}),
    ],
)
def test_it_goes_on_while_there_is_reason_to(decision, state):
    assert ended(decision, **state) == decision


def test_limits_leave_of_a_batch_what_they_allow():
    assert ended(ASKS, max_calculations=3).chosen == (2,)
    assert ended(ASKS, cost=[1, 1, 5, 2], max_cost=4.0).chosen == (3,)


def test_another_end_is_another_function(monkeypatch):
    def enough(now):
        return Stop(reason="enough", sentence="Two are enough.") if now.known.n_answered >= 2 else None

    monkeypatch.setattr(stopping, "ENDS", (*stopping.ENDS, enough))
    assert ended(ASKS).stop == Stop(reason="enough", sentence="Two are enough.")


def test_limits_below_the_pure_elements_are_refused():
    known = known_of(X, np.zeros(4), ())
    with pytest.raises(InvalidCampaignError, match=r"stop\.max_calculations: expected at least 2.*found 1"):
        stopping.refuse_impossible_limits(known, (0, 1), StopSettings(max_calculations=1))
