"""A budget's chance is counted on the replays, and a split is better than any other."""

import itertools
import json
import shutil

import numpy as np
import pytest
from planning.conftest import GRID, made_path

from hullscout.errors import InvalidPlanError
from hullscout.planning import planner
from hullscout.planning.budget import Budget, Spending, split
from hullscout.planning.new_alloys import experience_of
from hullscout.planning.order import PlanOrder
from hullscout.planning.rates import Rate


def path(n_right, *, n_end=20, n_early=10):
    """Right from `n_right` calculations on; the run may end early, at a larger failure probability."""
    steps = ((2, 0.2), (n_right, 0.0)) if n_right is not None else ((2, 0.2),)
    return made_path((n_early, 5, 0.3, 4), (n_end, 2, 0.02, 0), steps=steps)


def spending(n_right, *, name="alloy", cost=None, failure_probability=0.05, **kind):
    return Spending.of(
        name,
        [path(n, **kind) for n in n_right],
        cost=np.ones(20) if cost is None else cost,
        hull_tolerance=0.001,
        failure_probability=failure_probability,
    )


def test_the_chance_is_the_share_of_replays_that_are_right_by_then():
    one = spending([5, 8, 8, 15, None])
    assert [one.chance(b).rate for b in (4, 5, 8, 14.9, 15, 1000)] == [0, 0.2, 0.6, 0.6, 0.8, 0.8]
    assert one.chance(8) == Rate.of(3, 5)


def test_what_a_run_would_find_after_its_own_end_does_not_count():
    early = spending([5, 15], failure_probability=0.5)
    assert early.chance(1000).rate == 0.5
    assert early.whole.tolist() == [10, 10]


def test_costs_are_summed_in_the_order_of_looking_up():
    cost = np.arange(20) + 1.0
    one = spending([3], cost=cost)
    assert one.right_from.tolist() == [6.0]  # 1 + 2 + 3
    assert one.whole.tolist() == [cost.sum()]


def test_the_least_budget_shows_the_wanted_chance_with_confidence():
    one = spending([6] * 119 + [12])
    least = one.least_budget(0.95)
    assert least == 6
    assert one.chance(least).low >= 0.95 > one.chance(5).low
    assert one.least_budget(0.999) is None
    assert spending([6] * 5).least_budget(0.95) is None


@pytest.mark.parametrize("budget", [5, 11, 17, 23, 29, 41])
def test_no_other_split_has_more_right_hulls(budget):
    rng = np.random.default_rng(budget)
    spendings = [spending(rng.integers(3, 20, 12), name=str(i)) for i in range(3)]
    shares = split(spendings, budget)
    assert sum(share.budget for share in shares) == pytest.approx(budget)
    found = sum(share.chance.rate for share in shares)
    chances = [[s.chance(part).rate for part in range(budget + 1)] for s in spendings]
    best = max(
        sum(of_alloy[part] for of_alloy, part in zip(chances, parts, strict=True))
        for parts in itertools.product(range(budget + 1), repeat=3)
        if sum(parts) <= budget
    )
    assert found == pytest.approx(best)


def test_a_budget_of_any_unit_is_split_within_a_thousandth_of_it():
    rng = np.random.default_rng(3)
    cost = rng.uniform(0.5, 30.0, 20)
    spendings = [spending(rng.integers(3, 20, 12), name=str(i), cost=cost) for i in range(3)]
    shares = split(spendings, 333.3)
    assert sum(share.budget for share in shares) == pytest.approx(333.3)
    options = [[(b, s.chance(b).rate) for b in s.steps()[0]] for s in spendings]
    best = max(sum(c for _, c in parts) for parts in itertools.product(*options) if sum(b for b, _ in parts) <= 332.9)
    assert sum(share.chance.rate for share in shares) >= best - 1e-9


def test_a_hopeless_alloy_goes_without():
    shares = split([spending([4, 5, 6], name="easy"), spending([None] * 3, name="hopeless")], 6)
    assert [(share.name, share.budget, share.chance.rate) for share in shares] == [
        ("easy", 6, 1.0),
        ("hopeless", 0, 0.0),
    ]


def test_what_is_left_goes_where_runs_would_still_spend():
    easy, hard = split([spending([4], name="easy"), spending([None], name="hard")], 30)
    assert (easy.budget, hard.budget) == pytest.approx((4 + 26 * 16 / 36, 26 * 20 / 36))


@pytest.mark.parametrize("text", ["much", "0", "-3", "nan", "h", "3 kg", "12.5"])
def test_budgets_that_are_none_are_refused(text):
    with pytest.raises(InvalidPlanError, match="--budget"):
        Budget.parse(text)


def test_a_budget_is_calculations_or_core_hours():
    assert Budget.parse("300") == Budget(amount=300)
    assert Budget.parse("5e3 h") == Budget(amount=5000, is_core_hours=True)


def test_a_plan_says_what_a_budget_gives(hullscout, planned, tmp_path):
    file, out, _ = planned
    out = shutil.copytree(out, tmp_path / "out")
    code, text = hullscout("plan", file, "--replicates", 4, "--out", out, *GRID, "--budget", 57)
    assert code == 0, text
    tree = json.loads((out / "budget.json").read_text())
    assert (tree["budget"], tree["unit"], len(tree["alone"])) == (57, "calculations", 4)
    assert tree["alone"][-1]["within_tolerance"]["rate"] == 1.0  # random order, everything looked up
    assert [(share["name"], share["budget"]) for share in tree["split"]] == [("small", 57)]
    assert "57 calculations for one campaign alone give the right hull" in text
    code, text = hullscout("plan", file, "--replicates", 4, "--out", out, *GRID, "--budget", "57h")
    assert (code, "say by --core-hours" in text) == (2, True)


def test_a_new_alloy_needs_three_similar_ones(hullscout, planned, tmp_path):
    file, _, _ = planned
    (tmp_path / "pool.extxyz").write_bytes((file.parent / "pool.extxyz").read_bytes())
    other = tmp_path / "other.toml"
    other.write_text(file.read_text().replace('"small"', '"other"'))
    code, text = hullscout("plan", file, "--like", other, "--out", tmp_path / "out")
    assert (code, "at least 3 similar alloys, found 1" in text) == (2, True)
    assert not (tmp_path / "out").exists()


def test_a_new_alloy_is_predicted_from_three_others(hullscout, planned, tmp_path):
    file, _, _ = planned
    text = file.read_text()
    (tmp_path / "pool.extxyz").write_bytes((file.parent / "pool.extxyz").read_bytes())
    (tmp_path / "bare.extxyz").write_text((file.parent / "pool.extxyz").read_text().replace("energy=", "other="))
    likes = []
    for number, element in enumerate(("Pd", "Pt", "Ni", "Ni")):
        like = tmp_path / f"{number}.toml"
        named = text.replace('"small"', f'"like {number}"').replace("seed = 1", f"seed = {number}")
        like.write_text(named.replace('"Pd"', f'"{element}"').replace("pool.extxyz", f"{element}.extxyz"))
        (tmp_path / f"{element}.extxyz").write_text((file.parent / "pool.extxyz").read_text().replace("Pd", element))
        likes += ["--like", like]
    code, printed = hullscout("plan", tmp_path / "0.toml", *likes[2:], "--out", tmp_path / "two")
    assert (code, "found 2: fewer do not tell" in printed) == (2, True), printed  # Ag-Ni twice is one alloy
    assert not (tmp_path / "two").exists()
    new = tmp_path / "new.toml"
    new.write_text(text.replace('"small"', '"new"').replace("pool.extxyz", "bare.extxyz"))
    out = tmp_path / "out"
    code, printed = hullscout(
        "plan", new, *likes, "--replicates", 2, "--workers", 1, "--out", out, "--core-hours", "4:2",
        "--set", "select.rule=hull-threshold", "--budget", "40",
    )  # fmt: skip
    assert code == 0, printed
    (entry,) = json.loads((out / "prediction.json").read_text())
    quantiles = list(entry["calculations"].values())
    assert (entry["campaign"], entry["n_candidates"]) == ("new", 57)
    assert quantiles == sorted(quantiles)
    assert 2 <= quantiles[0] < quantiles[-1] <= 57
    assert entry["core_hours"]["0.5"] > 0
    assert "Predicted from replays of 4 other campaigns" in printed
    assert "enough" in printed
    campaigns = planner.read_campaigns(likes[1::2], overrides=["select.rule=hull-threshold"])
    made = planner.make_plan(campaigns, out, order=PlanOrder(n_replicates=2))
    assert len(experience_of(made.recommended(risk=0.05)).offsets) == 3
    assert "of 57" in printed
