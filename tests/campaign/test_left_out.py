"""What a campaign leaves out of its pool is said when it runs, in its result, in its report, and after it is resumed."""

from __future__ import annotations

import json

import pytest
from pool_writers import WRITERS

from hullscout.campaign import Setup, read_origin
from hullscout.campaign.result import CampaignResult
from hullscout.pool import checks, read_frames

CAMPAIGN = """
name = "left-out"
elements = ["Ag", "Pd"]
pool = {{path = "{path}", leave_out_faults = {leave}}}
select = {{rule = "random"}}
stop = {{max_calculations = 6}}
"""


@pytest.fixture
def pool(small_pool, tmp_path):
    path = tmp_path / "pool.extxyz"
    path.write_text(small_pool)
    return path


@pytest.fixture
def calculations(pool, tmp_path):
    """A tree of calculations; one of them was cut off, and is no pure element."""
    folder = WRITERS["vasprun"](tmp_path, read_frames(pool).frames[:12])
    bad = max(folder.glob("*/vasprun.xml"), key=lambda path: path.stat().st_size)
    bad.write_text(bad.read_text()[:-300])
    return bad


def campaign(folder, leave):
    path = folder / "c.toml"
    path.write_text(CAMPAIGN.format(path="runs", leave=leave))
    return path


def test_a_pool_with_faults_is_refused_with_what_to_do(hullscout, calculations, tmp_path):
    code, text = hullscout("run", campaign(tmp_path, "false"), "--out", tmp_path / "out")
    said = " ".join(text.split())
    assert code == 2
    assert f"{calculations.parent.name}/vasprun.xml: " in said
    assert "--write cleaned.extxyz` writes them, and [pool] leave_out_faults = true takes them" in said


def test_what_is_left_out_is_said_everywhere_and_after_resuming(hullscout, calculations, tmp_path):
    path, out = campaign(tmp_path, "true"), tmp_path / "out"
    fault = f"{calculations.parent.name}/vasprun.xml: "
    for _ in range(2):
        code, text = hullscout("run", path, "--out", out)
        assert code == 0
        assert f"Left out, since no campaign can use it, as pool.leave_out_faults says: {fault}" in " ".join(
            text.split()
        )
        (said,) = json.loads((out / "result.json").read_text())["left_out"]
        assert said.startswith(fault)
    assert len(Setup.read(out).pool) == len(Setup(read_origin(path)).pool) == 11
    assert CampaignResult.from_json((out / "result.json").read_text()).left_out == (said,)
    assert hullscout("report", out)[0] == 0
    assert f"Left out of the pool, since no campaign can use it: {fault}" in (out / "report.html").read_text()


def test_a_result_says_nothing_of_it_where_nothing_is_left_out(hullscout, pool, tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(CAMPAIGN.format(path=pool.name, leave="true"))
    assert hullscout("run", path, "--out", tmp_path / "out")[0] == 0
    assert "left_out" not in json.loads((tmp_path / "out" / "result.json").read_text())


def test_what_is_left_out_is_looked_for_once(calculations, tmp_path, monkeypatch):
    looked_at = []
    find = checks.find_frame_faults
    monkeypatch.setattr(
        checks, "find_frame_faults", lambda frame, elements: looked_at.append(frame.id) or find(frame, elements)
    )
    setup = Setup(read_origin(campaign(tmp_path, "true")))
    assert len(setup.table.energies_ev) == len(setup.pool) == len(looked_at) == len(set(looked_at))
    assert calculations.parent.name not in looked_at
