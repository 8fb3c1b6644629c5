"""Where no setting of a campaign is safe, a plan tries stricter ones by itself, and the whole pool is the answer at worst."""

import csv
import io
from dataclasses import replace

import pytest
from planning.conftest import made_path

from hullscout.oracle import InProcessSettings
from hullscout.planning import planner
from hullscout.planning.answer import answer, read_request
from hullscout.planning.budget import Budget
from hullscout.planning.curves import curves_of
from hullscout.planning.forecast import Source
from hullscout.planning.grid import STRICTER
from hullscout.planning.order import PlanOrder
from hullscout.planning.tables import ask_rows, to_csv
from hullscout.selection import Stop

POSTERIOR = ["select.rule=hull-posterior", "stop.failure_probability=0.05"]
DECIDED = ((10, 9, 0.04, 0), (20, 8, 0.015, 0), (30, 7, 0.004, 0), (40, 6, 0.0005, 0))
"""Replays to 0.05, 0.02, 0.005 and 0.001 end after 10, 20, 30 and 40 calculations."""


def planned(campaign_file, folder, monkeypatch, *, right_from, budget=None, settings=POSTERIOR, **order):
    """The answer of a plan whose replays have the right hull from so many calculations on."""
    asked = []

    def play(jobs, *_, **__):
        jobs = list(jobs)
        asked.append(min(job.played_to for job in jobs))
        steps = ((2, 0.5), (right_from, 0.0))
        return {job.key: made_path(*DECIDED, seed=job.key.seed, steps=steps) for job in jobs}

    monkeypatch.setattr(planner, "play_missing", play)
    request = read_request([campaign_file], like=(), source=Source.REPLAYS, overrides=settings)
    made = answer(request, folder, order=PlanOrder(executor=InProcessSettings(), **order), budget=budget)
    return made, asked


def test_stricter_settings_are_tried_until_one_is_safe(campaign_file, tmp_path, monkeypatch):
    made, asked = planned(campaign_file, tmp_path / "out", monkeypatch, right_from=25)
    assert asked == [0.05, 0.02, 0.005, 0.005]
    assert [one.setting["failure_probability"] for one in made.plan.outcomes] == [0.05, 0.02, 0.005]
    assert made.sentences[0].startswith(
        "small: ask for 30 calculations of the 57 calculations of the whole pool, enough for 95 % of the replays; right hull with "
        "a probability of 100.0 %"
    )
    assert made.sentences[1].startswith(
        "small: take hull-posterior (hull_tolerance = 0.001, failure_probability = 0.005): 30 of 57 calculations"
    )
    assert made.sentences[2] == "Decided by 94 replays of each setting."
    assert "--grid" not in " ".join(made.sentences)


def test_where_none_is_safe_the_whole_pool_is_asked_for(campaign_file, tmp_path, monkeypatch):
    budget = Budget(amount=57)
    made, asked = planned(campaign_file, tmp_path / "out", monkeypatch, right_from=41, budget=budget)
    assert asked == [0.05, *STRICTER]
    (ask,) = made.asks
    assert ask.sentence == (
        "small: ask for the whole pool: 57 calculations. No setting that ends before gives the right hull in 95 % of the replays, "
        "as far as these show it."
    )
    (row,) = csv.DictReader(io.StringIO(to_csv(ask_rows(made))))
    assert (float(row["ask"]), float(row["whole_pool"]), float(row["right"])) == (57, 57, 1.0)
    (curve,) = curves_of(made)
    assert (curve.asked, curve.at(56)[0], curve.at(57)[0]) == (57, 0.0, 1.0)
    assert made.shares[0].chance.rate == 1.0
    assert "small: no setting is safe enough. The safest, hull-posterior" in made.sentences[1]


@pytest.mark.parametrize(
    ("changed", "more"),
    [
        ({"n_replicates": 94}, []),  # so many were asked for
        ({"max_replicates": 50}, []),  # too few to show that any is safe
        ({"settings": ["select.rule=threshold"]}, []),  # it states no probability
        ({"settings": ["select.rule=hull-posterior", "stop.failure_probability=0.005"]}, [0.001]),
    ],
)
def test_where_nothing_would_come_of_it_no_stricter_setting_is_tried(
    campaign_file, tmp_path, monkeypatch, changed, more
):
    made, asked = planned(campaign_file, tmp_path / "out", monkeypatch, right_from=41, **changed)
    assert len(made.plan.outcomes) == 1 + len(more)
    assert asked[1:] == more
    is_counted = "n_replicates" in changed or "max_replicates" in changed
    assert made.asks[0].is_all is not is_counted
    assert any("leave --replicates and --max-replicates out" in one for one in made.sentences) == is_counted


def test_a_limit_that_ends_the_replays_is_not_made_stricter(campaign_file, tmp_path, monkeypatch):
    path = made_path((10, 9, 0.9, 0), steps=((2, 0.5),))
    last = replace(path.decisions[-1], stop=Stop(reason="max-calculations", sentence=""))
    limited = replace(path, decisions=(path.decisions[0], last))
    monkeypatch.setattr(planner, "play_missing", lambda jobs, *_, **__: {job.key: limited for job in jobs})
    request = read_request([campaign_file], like=(), source=Source.REPLAYS, overrides=POSTERIOR)
    made = answer(request, tmp_path / "out", order=PlanOrder(executor=InProcessSettings()), budget=None)
    assert len(made.plan.outcomes) == 1
    assert made.asks[0].is_all


def test_of_several_campaigns_only_the_unsafe_one_is_made_stricter(campaign_file, tmp_path, monkeypatch):
    other = campaign_file.with_name("other.toml")
    other.write_text(campaign_file.read_text().replace('"small"', '"other"').replace("seed = 1", "seed = 2"))
    right_from = {"small": 5, "other": 41}

    def play(jobs, *_, **__):
        keys = [job.key for job in jobs]
        return {
            key: made_path(*DECIDED, seed=key.seed, steps=((2, 0.5), (right_from[key.campaign], 0.0))) for key in keys
        }

    monkeypatch.setattr(planner, "play_missing", play)
    request = read_request([campaign_file, other], like=(), source=Source.REPLAYS, overrides=POSTERIOR)
    made = answer(request, tmp_path / "out", order=PlanOrder(executor=InProcessSettings()), budget=Budget(amount=60))
    assert [(one.campaign, one.setting["failure_probability"]) for one in made.plan.outcomes] == [
        ("small", 0.05),
        *(("other", probability) for probability in (0.05, *STRICTER)),
    ]
    one, whole, together = made.asks
    assert (one.amount, whole.amount, together.amount) == (10, 57, 67)
    assert (one.is_all, whole.is_all) == (False, True)
    assert "other: ask for the whole pool: 57 calculations." in made.sentences[1]
    assert [share.chance.rate for share in made.shares] == [1.0, 0.0]
    assert [curve.asked for curve in curves_of(made)] == [10, 57, 67]
