"""A plan plays until it is decided, says first what to ask for, and leaves nothing old beside it."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from planning.conftest import GRID, made_path

from hullscout.errors import InvalidPlanError
from hullscout.oracle import InProcessSettings
from hullscout.planning.answer import answer, read_request
from hullscout.planning.asking import ask_of
from hullscout.planning.budget import Budget, Spending
from hullscout.planning.core_hours import Price
from hullscout.planning.curves import curves_of
from hullscout.planning.forecast import Experience, Source, predict_alloy
from hullscout.planning.new_alloys import asks_of_new
from hullscout.planning.order import PlanOrder, cost_model
from hullscout.planning.rates import SEQUENTIAL_CONFIDENCE, Rate, fewest_runs, looks, mean_interval
from hullscout.planning.recommending import undecided
from hullscout.planning.shipped import shipped_tree
from hullscout.planning.tables import latex

POSTERIOR = ("--set", "select.rule=hull-posterior", "--workers", 1)


def test_looks_end_at_the_most_and_their_intervals_hold_together():
    assert looks(0.05, most=300) == (24, 94, 300)
    assert looks(0.05, most=10) == (10,)
    assert Rate.of(0, 94, confidence=SEQUENTIAL_CONFIDENCE).high <= 0.05
    rng, n_missed, true = np.random.default_rng(0), 0, 0.1
    for _ in range(400):
        hits = np.cumsum(rng.random(300) < true)
        rates = [Rate.of(int(hits[n - 1]), n, confidence=SEQUENTIAL_CONFIDENCE) for n in looks(0.05, most=300)]
        n_missed += not all(rate.low <= true <= rate.high for rate in rates)
    assert n_missed <= 0.05 * 400


def test_an_order_for_a_number_of_replays_looks_once_with_the_usual_interval():
    assert (PlanOrder(n_replicates=7).looks, PlanOrder(n_replicates=7).confidence) == ((7,), 0.95)
    assert PlanOrder().looks[-1] == 300
    assert PlanOrder().confidence == SEQUENTIAL_CONFIDENCE
    assert fewest_runs(0.05, confidence=SEQUENTIAL_CONFIDENCE) == 94


def test_the_interval_of_a_mean_is_that_of_student():
    low, high = mean_interval([0.4, 0.5, 0.6, 0.5], confidence=0.95)
    assert (low, high) == pytest.approx((0.5 - 0.12992, 0.5 + 0.12992), abs=1e-4)


def test_a_plan_is_decided_where_no_cheaper_setting_may_still_be_safe(planned):
    file, _, _ = planned
    outcome = outcomes_of(file)[0]
    safe = replace(outcome, failure={"stated": 0.04, "rate": 0.0, "low": 0.0, "high": 0.04}, mean_saved=(0.5, 0.51))
    safe = replace(safe, within_tolerance=Rate(rate=1.0, low=0.96, high=1.0))
    maybe = replace(safe, within_tolerance=Rate(rate=0.96, low=0.9, high=0.99))
    unsafe = replace(safe, within_tolerance=Rate(rate=0.5, low=0.4, high=0.6))
    dear = replace(maybe, cost={**maybe.cost, "mean": 10 * maybe.cost["mean"]})
    assert undecided([safe, dear, unsafe], risk=0.05) == ()
    assert undecided([unsafe], risk=0.05) == ()
    cheap = replace(maybe, cost={**maybe.cost, "mean": 0.1 * maybe.cost["mean"]})
    (sentence,) = undecided([safe, cheap], risk=0.05)
    assert "4.0 % (1.0 to 10.0 %), is below 5 %" in sentence
    (sentence,) = undecided([replace(safe, mean_saved=(0.4, 0.6))], risk=0.05)
    assert "what is saved to within 2 points (40.0 to 60.0 %)" in sentence


def outcomes_of(file):
    from hullscout.campaign.config import load_config
    from hullscout.planning.grid import settings_of
    from hullscout.planning.trade_off import outcome_of

    paths = [made_path((10, 5, 0.02, 0), seed=seed, steps=((2, 0.0),)) for seed in range(3)]
    settings = settings_of(load_config(file, ["select.rule=hull-posterior"]), [], source="")
    return [outcome_of(setting, paths, n_candidates=40, cost=np.ones(40)) for setting in settings]


def test_what_is_asked_for_is_enough_for_the_wanted_share_and_stands_with_its_price():
    spending = Spending(name="a", whole=np.arange(1.0, 101.0), right_from=np.full(100, 3.0))
    ask = ask_of(spending, unit="core-hours", whole=400.0, risk=0.05, price=Price.parse("0.5 EUR"))
    assert (spending.whole <= ask.amount).mean() >= 0.95
    assert ask.sentence == (
        "a: ask for 96 core-hours (48 EUR) of the 400 core-hours (200 EUR) of the whole pool, enough for 95 % of the replays; "
        "right hull with a probability of 100.0 % (96.4 to 100.0 %)."
    )


@pytest.mark.parametrize(
    ("right_from", "said"),
    [
        (
            np.where(np.arange(100) < 90, 3.0, np.inf),
            "90.0 % (82.4 to 95.1 %), less than the wanted 95 %; more hours alone do not raise it.",
        ),
        (
            np.where(np.arange(100) < 94, 3.0, 99.0),
            "94.0 % (87.4 to 97.8 %), less than the wanted 95 %; more hours alone raise it to 100.0 % at most.",
        ),
    ],
)
def test_what_gives_less_than_is_wanted_says_what_more_would_give(right_from, said):
    spending = Spending(name="a", whole=np.arange(1.0, 101.0), right_from=right_from)
    ask = ask_of(spending, unit="hours", whole=400.0, risk=0.05)
    assert ask.sentence.endswith(f"; right hull with a probability of {said}")


def test_the_default_plan_answers_first_and_is_the_same_again(hullscout, campaign_file, tmp_path):
    out = tmp_path / "out"
    command = ("plan", campaign_file, *POSTERIOR, "--risk", "0.4", "--max-replicates", 12, "--out", out)
    code, text = hullscout(*command, "--core-hours", "4:2", "--budget", "30h")
    assert code == 0, text
    assert text.startswith("small: ask for "), text
    assert "of the whole pool, enough for 60 % of the replays; right hull with a probability of" in text.splitlines()[0]
    assert "ecided by " in text
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.suffix != ".lock"}
    assert {"plan.png", "plan.csv", "plan.tex", "plan.html", "plan.json", "budget.json"} <= set(before)
    (row,) = csv.DictReader(before["plan.csv"].decode().splitlines())
    assert (row["campaign"], row["known"], row["unit"]) == ("small", "yes", "core-hours")
    assert r"\begin{tabular}" in before["plan.tex"].decode()
    page = before["plan.html"].decode()
    assert text.splitlines()[0].split(";")[0].split(":")[0] in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    hullscout(*command, "--core-hours", "4:2", "--budget", "30h")
    again = {path.name: path.read_bytes() for path in out.iterdir() if path.suffix != ".lock"}
    assert {name for name in before if before[name] != again[name]} <= {"plan.db"}


def test_nothing_of_an_earlier_plan_stands_beside_a_new_one(hullscout, campaign_file, tmp_path):
    out = tmp_path / "out"
    once = ("--workers", 1, "--replicates", 1, "--out", out)
    code, text = hullscout("plan", campaign_file, *GRID, *once, "--budget", 20)
    assert code == 0, text
    assert {"trade_off.png", "budget.json"} <= {path.name for path in out.iterdir()}
    (out / "mine.txt").write_text("kept")
    code, text = hullscout("plan", campaign_file, *POSTERIOR, "--replicates", 1, "--out", out)
    assert code == 2, "another rule than the plan that is there"
    code, text = hullscout("plan", campaign_file, *once)
    assert code == 0, text
    names = {path.name for path in out.iterdir()}
    assert not {"trade_off.png", "budget.json", "prediction.json"} & names
    assert {"mine.txt", "plan.db", "plan.html"} <= names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-replicates", 0], "--max-replicates: expected at least 1, found 0"),
        (["--max-replicates", 9, "--replicates", 3], "Give one of them|how many are played. Give one."),
    ],
)
def test_bad_bounds_are_refused_before_any_replay(hullscout, campaign_file, tmp_path, arguments, message):
    code, text = hullscout("plan", campaign_file, "--out", tmp_path / "out", *arguments)
    assert code == 2
    assert any(part in text for part in message.split("|")), text
    assert not (tmp_path / "out").exists()


def test_a_plan_of_a_pool_with_a_baseline_says_what_it_saves(hullscout, campaign_file, tmp_path):
    pool = campaign_file.with_name("pool.extxyz")
    lines = pool.read_text().splitlines()
    with_column = [
        f"{line} cheap={line.split('energy=')[1].split()[0]}" if "energy=" in line else line for line in lines
    ]
    pool.write_text("\n".join(with_column) + "\n")
    file = tmp_path / "with.toml"
    text = campaign_file.read_text()
    file.write_text(text.replace('path = "', 'baseline = "cheap"\npath = "'))
    (tmp_path / "pool.extxyz").write_text(pool.read_text())
    code, printed = hullscout("plan", file, *POSTERIOR, "--replicates", 2, "--out", tmp_path / "out")
    assert code == 0, printed
    assert "small: the prior (cheap) is expected to save " in printed
    entries = json.loads((tmp_path / "out" / "plan.json").read_text())
    assert [entry["setting"].get("pool.baseline") for entry in entries] == [None, "none"]
    with_it, without = (entry["calculations"]["mean"] for entry in entries)
    assert f"save {without - with_it:.1f} calculations" in printed
    assert with_it <= without


def test_a_new_alloy_asks_for_what_is_surely_enough_and_its_chance_is_that_of_alloys():
    experience = Experience(offsets=(-2.0, -1.5, -2.5, -1.8), scatter=0.1, right=(1.0, 1.0, 0.5, 1.0))
    one = predict_alloy(experience, 400, name="new")
    (ask,) = asks_of_new([one], order=PlanOrder(risk=0.1))
    assert ask.amount == pytest.approx(one.quantiles((0.9,))[0])
    ends = one.chance_within(Budget(amount=ask.amount))
    right = Rate.of(3.5, 4)
    assert ask.chance == Rate(rate=ends.rate * right.rate, low=ends.low * right.low, high=ends.high * right.high)
    assert ask.chance.rate == pytest.approx(0.9 * 3.5 / 4, abs=1e-3)
    assert f"right hull with a probability of {ask.chance}, less than the wanted 90 %" in ask.sentence
    assert ask.sentence.endswith("more calculations alone raise it to 87.5 % at most.")
    within = one.chance_within(Budget(amount=100))
    assert within.low < within.rate < within.high
    assert within.rate == pytest.approx(one.chances_given(np.array([100.0]), is_core_hours=False).mean(), abs=0.03)
    with pytest.raises(InvalidPlanError, match="needs a cost model"):
        one.chances_given(np.array([1.0]), is_core_hours=True)


@pytest.mark.parametrize("core_hours", [(), ("--core-hours", "4:2")])
def test_the_chance_that_is_said_is_the_one_that_the_figure_shows(campaign_file, tmp_path, core_hours):
    files = []
    for name in ("one", "two"):
        lines = [line for line in campaign_file.read_text().splitlines() if not line.startswith("name")]
        text = "\n".join([f'name = "{name}"', *lines]).replace("seed = 1", f"seed = {len(files)}")
        files.append(tmp_path / f"{name}.toml")
        files[-1].write_text(text.replace("pool.extxyz", str(campaign_file.with_name("pool.extxyz"))))
    given = cost_model(core_hours[1:])
    order = PlanOrder(n_replicates=4, executor=InProcessSettings(), cost_model=given)
    settings = ["select.rule=hull-posterior"]
    new = ["oracle.kind=calculator", "oracle.calculator=emt", "oracle.use_known=false"]
    for overrides in (settings, [*settings, *new]):
        request = read_request(files, like=(), source=Source.REPLAYS, overrides=overrides)
        made = answer(request, tmp_path / f"out{len(overrides)}", order=order, budget=None)
        asks, curves = made.asks, curves_of(made)
        assert [ask.name for ask in asks] == [curve.name for curve in curves] == ["one", "two", "All 2 together"]
        said = (
            f"; split over them beforehand, {2 * curves[-1].at(asks[-1].amount)[0]:.2f} right hulls of 2 are expected."
        )
        assert asks[-1].sentence.endswith(said)
        for ask, curve in zip(asks, curves, strict=True):
            assert curve.asked == ask.amount
            chance = ask.chance
            assert (chance.rate, chance.low, chance.high) == pytest.approx(curve.at(ask.amount), abs=1e-9)


def test_what_is_shipped_is_of_many_alloys_and_small_pools_take_more():
    alloys = shipped_tree()["alloys"]
    assert len(alloys) >= 20
    for one in alloys.values():
        small, whole = one["replays"][0], one["replays"][-1]
        assert np.mean(small["shares"]["0.05"]) >= np.mean(whole["shares"]["0.05"])
        assert np.mean(whole["shares"]["0.05"]) >= np.mean(whole["shares"]["0.2"])


def test_no_sign_of_a_name_is_a_command_to_latex():
    assert latex(r"a_b & 5 % \x") == r"a\_b \& 5 \% \textbackslash{}x"
