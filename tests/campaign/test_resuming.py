"""What may change when a campaign is resumed, and what may not: one table, and a campaign goes on as if it had begun so."""

import pytest
from conftest import ROOT
from kept import result_of, rows

from hullscout import Campaign
from hullscout.campaign import Setup, Store, create, read_origin, run
from hullscout.campaign.config import CampaignConfig, _flat
from hullscout.campaign.resuming import RESUMING, Resuming, resuming_table, verdict_on
from hullscout.errors import StoreError
from hullscout.oracle import CalculatorSettings
from hullscout.selection import RULES

POSTERIOR = "select={rule = 'hull-posterior', samples = 200, n_start = 2}"


def ran(file, out, *settings):
    said = []
    result, known = run(Setup(read_origin(file, settings)), out, on_note=said.append)
    return result, known, said


def test_the_table_speaks_of_every_setting_and_the_guide_shows_it():
    tree = CampaignConfig.model_validate(
        {"name": "a", "elements": ["Cu", "Au"], "pool": {"path": "p"}, "oracle": CalculatorSettings(calculator="emt")}
    ).model_dump()
    keys = set(_flat(tree)) | {f"select.{key}" for name in RULES.ours for key in RULES.settings_of(name)}
    assert {verdict_on(key) for key in keys} == set(Resuming)
    assert {row for key in keys for row in RESUMING if row.covers(key)} == set(RESUMING)
    assert "\n".join(resuming_table()) in (ROOT / ".docs" / "campaign_file.md").read_text()


def test_a_finished_campaign_goes_on_with_a_smaller_probability_as_if_it_had_begun_so(campaign_file, tmp_path):
    loose, tight = "stop.failure_probability=0.3", "stop.failure_probability=0.02"
    first, *_ = ran(campaign_file, tmp_path / "out", POSTERIOR, loose)
    second, known, said = ran(campaign_file, tmp_path / "out", POSTERIOR, tight)
    n = len(rows(tmp_path / "out", "SELECT * FROM rounds"))
    whole, through, _ = ran(campaign_file, tmp_path / "whole", POSTERIOR, tight)
    assert first.n_calculations < second.n_calculations == whole.n_calculations
    assert [decision.chosen for decision in known.decisions] == [decision.chosen for decision in through.decisions]
    assert second.hull == whole.hull
    (change,) = second.changes
    assert said == [change.sentence]
    assert change.lines == ("stop.failure_probability: 0.3 before, 0.02 now",)
    assert 0 < change.n_rounds < n
    assert change.sentence in second.sentences


@pytest.mark.parametrize("setting", ["stop.max_calculations=12", "stop.hull_tolerance=0.05", "select.batch=1"])
def test_a_campaign_goes_on_with_another_limit_batch_or_tolerance(setting, campaign_file, tmp_path):
    ran(campaign_file, tmp_path / "out", "stop.max_calculations=6")
    others = ["stop.max_calculations=9"] if "max_calculations" not in setting else []
    result, *_ = ran(campaign_file, tmp_path / "out", *others, setting)
    assert 6 < result.n_calculations <= 12
    assert [key.partition(":")[0] for change in result.changes for key in change.lines] == sorted(
        {"stop.max_calculations", setting.partition("=")[0]} if others else {setting.partition("=")[0]}
    )
    with Store.read(tmp_path / "out") as store:
        kept = store.origin().config
    assert kept == Setup(read_origin(campaign_file, [*others, setting])).config


def test_a_result_of_before_is_none_until_the_campaign_has_come_to_its_end_again(campaign_file, hullscout, tmp_path):
    out = tmp_path / "out"
    ran(campaign_file, out, "stop.max_calculations=6")
    hullscout("run", campaign_file, "--out", out, "--set", "stop.max_calculations=6")
    before = Campaign(out)
    assert before.result is not None
    Campaign.create(campaign_file, out, settings=["stop.max_calculations=9"])
    assert before.result is None
    code, text = hullscout("status", out)
    said = "Changed after 1 round: stop.max_calculations: 6 before, 9 now."
    assert (code, said in " ".join(text.split())) == (0, True), text
    assert before.run(on_note=lambda _: None).n_calculations == 9
    assert result_of(out)["changes"] == [{"n_rounds": 1, "lines": ["stop.max_calculations: 6 before, 9 now"]}]


@pytest.mark.parametrize("setting", ["seed=7", "select.rule=random", "pool.baseline=b", "oracle.kind=handoff"])
def test_what_belongs_to_the_answers_may_not_change_once_there_is_one(setting, campaign_file, tmp_path):
    ran(campaign_file, tmp_path / "out", "stop.max_calculations=6")
    before = (tmp_path / "out" / "campaign.db").read_bytes()
    with pytest.raises(StoreError, match=f"(?s){setting.partition('=')[0]}.* before.*Choose another --out"):
        create(Setup(read_origin(campaign_file, [setting])), tmp_path / "out")
    assert (tmp_path / "out" / "campaign.db").read_bytes() == before


def test_a_folder_without_an_answer_takes_the_corrected_file(live_file, tmp_path, hullscout):
    out = tmp_path / "out"
    wrong = live_file.read_text().replace('"emt"', '"no.such.Calculator"')
    (tmp_path / "wrong.toml").write_text(wrong)
    assert hullscout("run", tmp_path / "wrong.toml", "--out", out)[0] == 2
    code, text = hullscout("run", live_file, "--out", out)
    assert (code, "Made anew, since no answer was there and this is other: oracle.calculator" in text) == (0, True), (
        text
    )
    assert result_of(out)["n_calculations"] == 10
    assert "changes" not in result_of(out)
    alone, *_ = ran(live_file, tmp_path / "alone")
    assert result_of(out)["hull"][1]["id"] == alone.hull[1].id
    query = "SELECT * FROM answers ORDER BY rowid"
    assert rows(out, query) == rows(tmp_path / "alone", query)


def test_what_was_handed_out_is_said_where_a_campaign_is_made_anew(live_file, tmp_path):
    text = live_file.read_text().replace('kind = "calculator"\ncalculator = "emt"', 'kind = "handoff"')
    live_file.write_text(text.replace('[executor]\nkind = "in-process"\n', ""))
    campaign = Campaign.create(live_file, tmp_path / "out")
    handed = campaign.ask(2)
    (said,) = create(Setup(read_origin(live_file, ["seed=5"])), tmp_path / "out")
    assert said.endswith("2 that were started or handed out are asked for anew; results of them may be told.")
    campaign = Campaign(tmp_path / "out")
    assert (campaign.config.seed, campaign.pending) == (5, ())
    campaign.tell(handed[0].id, -0.1)
    with pytest.raises(StoreError, match=r"(?s)seed: 5 before, 6 now"):
        create(Setup(read_origin(live_file, ["seed=6"])), tmp_path / "out")


def test_what_is_known_beforehand_is_looked_at_anew_with_the_corrected_file(live_file, tmp_path):
    from ase.io import read, write

    cells = read(tmp_path / "cells.extxyz", ":")
    for cell in cells[:3]:
        cell.info["energy"] = -0.1 * len(cell)
    write(tmp_path / "cells.extxyz", cells, format="extxyz")
    create(Setup(read_origin(live_file)), tmp_path / "out")
    create(Setup(read_origin(live_file, ["oracle.use_known=false"])), tmp_path / "out")
    with Store.read(tmp_path / "out") as store:
        assert (store.answers(), store.given()) == ({}, {})
    create(Setup(read_origin(live_file)), tmp_path / "out")
    with Store.read(tmp_path / "out") as store:
        assert len(store.answers()) == len(store.given()) == 3
