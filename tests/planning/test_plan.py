"""A plan is what separate runs would have shown, whatever the number of workers, and goes on where it was cut off."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from conftest import CAMPAIGN
from planning.conftest import GRID

from hullscout.campaign import read_origin
from hullscout.errors import InvalidPlanError, StoreError
from hullscout.hull import hull_error, lower_hull
from hullscout.planning import planner
from hullscout.planning import store as plan_store
from hullscout.planning.replay import Path as ReplayPath
from hullscout.planning.replay import error_steps, play
from hullscout.planning.store import PlanStore
from hullscout.selection import Decision, Stop
from hullscout.selection.stopping import reason_to_end

ENTRY = {
    "campaign", "rule", "setting", "replicates", "saved_fraction", "within_tolerance", "exact_hull_rate",
    "hull_error_ev_per_atom", "cost_core_hours",
}  # fmt: skip


def kept(folder):
    with closing(sqlite3.connect(folder / "plan.db")) as connection:
        return {
            (path_key, seed): text
            for path_key, seed, text in connection.execute("SELECT path_key, seed, path FROM replays")
        }


def test_the_plan_keeps_its_contract(planned):
    _, out, text = planned
    plan = json.loads((out / "plan.json").read_text())
    assert [(entry["rule"], entry["setting"]["failure_probability"]) for entry in plan] == [
        ("hull-posterior", 0.5),
        ("hull-posterior", 0.1),
        ("hull-threshold", None),
        ("random", None),
    ]
    for entry in plan:
        assert set(entry) >= ENTRY
        assert (entry["campaign"], entry["replicates"], entry["seeds"]) == ("small", 4, [1, 4])
        assert set(entry["saved_fraction"]) == {"mean", "p05", "p95"}
        assert (
            entry["within_tolerance"]["low"] <= entry["within_tolerance"]["rate"] <= entry["within_tolerance"]["high"]
        )
        assert entry["cost_core_hours"] is None
        assert sum(entry["stop_reasons"].values()) == 4
    random = plan[-1]
    assert random["saved_fraction"] == {"mean": 0.0, "p05": 0.0, "p95": 0.0}
    assert random["failure"] == {"stated": None, "rate": 0.0, "low": 0.0, "high": pytest.approx(0.6024, abs=1e-4)}
    assert (out / "plan.png").read_bytes().startswith(b"\x89PNG")
    assert "small: 4 replays of 57 candidates" in text
    assert "cannot show that a setting is safe enough: even where none is wrong, the risk may be up to 60.2 %" in text


def test_a_smaller_failure_probability_reads_off_the_same_ends_as_separate_runs(planned, replay_pool):
    file, out, _ = planned
    paths = [ReplayPath.from_json(text) for text in kept(out).values()]
    for seed in (1, 2):
        for probability in (0.5, 0.1):
            settings = ["select.rule=hull-posterior", f"stop.failure_probability={probability}"]
            alone = play(replay_pool, read_origin(file, settings).config, seed=seed)
            ends = [path.end(probability) for path in paths if path.seed == seed and path.end().stated is not None]
            assert ends == [alone.end()]
            assert ends[0].stated < probability


def test_a_replay_is_what_run_does(hullscout, planned, tmp_path):
    file, out, _ = planned
    hullscout(
        "run",
        file,
        "--set",
        "select.rule=hull-posterior",
        "--set",
        "stop.failure_probability=0.1",
        "--out",
        tmp_path / "run",
    )
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    (end,) = [
        path.end(0.1)
        for path in map(ReplayPath.from_json, kept(out).values())
        if path.seed == 1 and path.end().stated is not None
    ]
    assert (end.n_calculations, end.reason, end.stated) == (
        result["n_calculations"], result["stop_reason"], result["failure_probability"],
    )  # fmt: skip
    assert end.hull_error_ev_per_atom == pytest.approx(result["reference"]["hull_error_ev_per_atom"], abs=1e-12)


def test_rules_and_representations_from_outside_are_replayed_in_other_processes(hullscout, campaign_file, tmp_path):
    code, text = hullscout(
        "plan", campaign_file, "--replicates", 2, "--workers", 2, "--out", tmp_path / "out",
        "--grid", "select.rule=random,outside.InOrder", "--grid", "representation.kind=mbtr,outside.VolumeAndShare",
    )  # fmt: skip
    assert code == 0, text
    plan = json.loads((tmp_path / "out" / "plan.json").read_text())
    assert [(entry["rule"], entry["setting"]["representation.kind"]) for entry in plan] == [
        ("random", "mbtr"),
        ("random", "outside.VolumeAndShare"),
        ("outside.InOrder", "mbtr"),
        ("outside.InOrder", "outside.VolumeAndShare"),
    ]
    assert [entry["stop_reasons"] for entry in plan] == [{"all-known": 2}] * 4


def test_an_end_is_read_off_a_decision_that_went_on():
    went_on = Decision(chosen=(4,), n_contenders=3, model_errors={"cap": 0.1}, stated_failure_probability=0.08)
    assert [reason_to_end(went_on, accepted) for accepted in (None, 0.05, 0.08, 0.1)] == [
        None, None, None, "failure-probability",
    ]  # fmt: skip
    assert reason_to_end(replace(went_on, n_contenders=0), 0.1) == "all-contenders-known"
    assert reason_to_end(replace(went_on, stated_failure_probability=None), 0.1) is None
    ended = replace(went_on, stop=Stop(reason="max-cost", sentence=""))
    assert reason_to_end(ended, 0.1) == reason_to_end(ended, None) == "max-cost"


def test_a_path_comes_back_from_its_text(replay_pool, campaign_file):
    path = play(replay_pool, read_origin(campaign_file, ["select.rule=hull-posterior"]).config, seed=3)
    again = ReplayPath.from_json(path.to_json())
    assert again == path
    assert again.order == path.order
    assert again.n_known[-1] == len(path.order)


def test_one_worker_gives_the_same_bytes_as_two_and_a_cut_plan_goes_on(hullscout, planned, tmp_path):
    file, out, _ = planned
    hullscout("plan", file, "--replicates", 2, "--workers", 1, "--out", tmp_path, *GRID)
    first = kept(tmp_path)
    assert len(first) == 6
    with closing(sqlite3.connect(tmp_path / "plan.db")) as connection, connection:
        connection.execute("UPDATE replays SET path = replace(path, '\"seed\":1', '\"seed\":1 ') WHERE seed = 1")
    marked = kept(tmp_path)
    hullscout("plan", file, "--replicates", 4, "--workers", 1, "--out", tmp_path, *GRID)
    after = kept(tmp_path)
    assert {key: after[key] for key in marked} == marked  # played once
    assert (tmp_path / "plan.json").read_bytes() == (out / "plan.json").read_bytes()


def test_the_hull_error_along_a_path_is_that_of_each_hull(replay_pool):
    order = tuple(np.random.default_rng(0).permutation(len(replay_pool.pool)).tolist())
    x, energy = replay_pool.pool.x, replay_pool.energies_ev_per_atom
    steps = dict(error_steps(replay_pool.pool.fractions, energy, order))
    now, true = np.inf, lower_hull(x, energy)
    for n in range(1, len(order) + 1):
        known = list(order[:n])
        now = steps.get(n, now)
        if {0.0, 1.0} <= set(x[known]):
            assert now == pytest.approx(hull_error(lower_hull(x[known], energy[known]), true), abs=1e-12)
        else:
            assert now == np.inf


def test_a_store_of_other_settings_pools_or_campaigns_is_refused(planned, tmp_path):
    file, out, _ = planned
    before = (out / "plan.db").read_bytes()
    with pytest.raises(StoreError, match=r"small: select.batch: 3 before, 5 now"):
        PlanStore.create_or_resume(out, [read_origin(file, ["select.batch=5"])])
    text = (file.parent / "pool.extxyz").read_text()
    (tmp_path / "pool.extxyz").write_text(text.replace("energy=0.0", "energy=0.1", 1))
    (tmp_path / "small.toml").write_text(CAMPAIGN)
    with pytest.raises(StoreError, match="has other content than when the plan was made"):
        PlanStore.create_or_resume(out, [read_origin(tmp_path / "small.toml")])
    (tmp_path / "other.toml").write_text(CAMPAIGN.replace('"small"', '"other"'))
    with pytest.raises(StoreError, match="other: not in that plan\n  small: in that plan and not given now"):
        PlanStore.create_or_resume(out, [read_origin(tmp_path / "other.toml")])
    assert (out / "plan.db").read_bytes() == before


def test_a_plan_is_not_written_into_a_campaign(hullscout, campaign_file, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "campaign.db").touch()
    code, text = hullscout("plan", campaign_file, "--replicates", 1, "--out", tmp_path / "out")
    assert (code, "holds a campaign. Nothing was changed" in text) == (2, True), text
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["campaign.db"]


def test_a_store_that_was_never_made_is_made(campaign_file, tmp_path):
    origin = read_origin(campaign_file)
    (tmp_path / "plan.db").touch()
    PlanStore.create_or_resume(tmp_path, [origin]).close()
    PlanStore.create_or_resume(tmp_path, [origin]).close()


def test_a_store_is_made_whole_or_not_at_all(campaign_file, tmp_path, monkeypatch):
    origin = read_origin(campaign_file)
    with monkeypatch.context() as patch:
        patch.setattr(plan_store, "SCHEMA", None)  # which the last statement of its making refuses
        with pytest.raises(StoreError, match="could not be made"):
            PlanStore.create_or_resume(tmp_path, [origin])
    with closing(sqlite3.connect(tmp_path / "plan.db")) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    PlanStore.create_or_resume(tmp_path, [origin]).close()


@pytest.mark.parametrize("key", ["schema", "version"])
def test_replays_of_another_version_are_not_mixed_with_those_of_this_one(campaign_file, tmp_path, key):
    origin = read_origin(campaign_file)
    PlanStore.create_or_resume(tmp_path, [origin]).close()
    with closing(sqlite3.connect(tmp_path / "plan.db")) as connection, connection:
        connection.execute("UPDATE plan SET value = '0.0' WHERE key = ?", (key,))
    with pytest.raises(StoreError, match=r"another version of Hullscout \(.*0\.0.*choose another --out"):
        PlanStore.create_or_resume(tmp_path, [origin])


def test_a_second_planner_and_a_damaged_store_are_refused(planned, tmp_path):
    origin = read_origin(planned[0])
    with PlanStore.create_or_resume(tmp_path / "a", [origin]), pytest.raises(StoreError, match="Another process"):
        PlanStore.create_or_resume(tmp_path / "a", [origin])
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "plan.db").write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match="is damaged or is no plan"):
        PlanStore.create_or_resume(tmp_path / "b", [origin])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--replicates", 0], "--replicates: expected at least 1, found 0"),
        (["--risk", 0], "--risk: expected a probability above 0 and below 1, found 0.0"),
        (["--grid", "select.batch=1,2", "--set", "select.batch=3"], "given by --set as well"),
        (["--set", "stop.max_calculations=1"], "stop.max_calculations: expected at least"),
    ],
)
def test_bad_orders_are_refused_before_any_replay(hullscout, campaign_file, tmp_path, arguments, message):
    code, text = hullscout("plan", campaign_file, "--out", tmp_path / "out", *arguments)
    assert code == 2
    assert message in text
    assert not (tmp_path / "out" / "plan.json").exists()


def test_two_campaigns_of_one_name_are_refused(campaign_file):
    other = campaign_file.with_name("other.toml")
    other.write_text(campaign_file.read_text().replace("seed = 1", "seed = 2"))
    with pytest.raises(InvalidPlanError, match="Two campaign files are called 'small'"):
        planner.read_campaigns([campaign_file, other])


@pytest.mark.parametrize("energy", ["energy=", "other="])
@pytest.mark.parametrize(
    ("name", "said"), [("small", "'small' twice"), ("copy", "'small' and 'copy' with the same pool and settings")]
)
def test_an_alloy_that_is_named_twice_is_refused(hullscout, campaign_file, tmp_path, energy, name, said):
    pool = campaign_file.with_name("pool.extxyz")
    for path in (pool, pool.with_name("copy.extxyz")):
        path.write_text(pool.read_text().replace("energy=", energy))
    other = campaign_file.with_name("other.toml")
    text = campaign_file.read_text().replace('"small"', f'"{name}"').replace("pool.extxyz", "copy.extxyz")
    other.write_text(text)
    code, text = hullscout(
        "plan", campaign_file, other, "--set", "select.rule=hull-posterior", "--out", tmp_path / "out"
    )
    assert (code, f"Expected each alloy once, found {said}: it would count as two. Leave one out." in text) == (2, True)
    assert not (tmp_path / "out").exists()


def test_a_pool_without_energies_is_predicted_from_known_alloys_or_refused_before_anything_is_made(
    hullscout, campaign_file, tmp_path
):
    pool = campaign_file.with_name("pool.extxyz")
    pool.write_text(pool.read_text().replace("energy=", "other="))
    code, text = hullscout("plan", campaign_file, "--out", tmp_path / "out", "--set", "select.rule=threshold")
    assert code == 2
    assert "are of hull-posterior with stop.failure_probability = 0.2, 0.1, 0.05, found threshold" in text
    posterior = ("--set", "select.rule=hull-posterior")
    code, text = hullscout("plan", campaign_file, "--out", tmp_path / "out", *posterior, "--replicates", 3)
    assert (code, "--replicates: no energy of small is known, so that nothing is replayed" in text) == (2, True), text
    assert not (tmp_path / "out").exists(), (
        "what is refused leaves nothing behind that would be in the way of another try"
    )
    code, text = hullscout("plan", campaign_file, "--out", tmp_path / "out", *posterior)
    assert code == 0, text
    assert text.startswith("small: ask for "), text
    assert "Predicted from replays of 21 known alloys that come with Hullscout (Ag-Pd, Ag-Pt, Al-Li" in text
    assert not (tmp_path / "out" / "plan.db").exists()
