"""Rules and representations that are no part of the package are used by their dotted paths, as those that are."""

import json

import numpy as np
import pytest

from hullscout.campaign import Setup, load_config, read_history, read_origin, run
from hullscout.campaign.candidate_rows import candidate_rows
from hullscout.errors import InvalidCampaignError, InvalidSettingError


@pytest.mark.parametrize("path", ["outside.LowestNeighbours", "outside.InOrder"])
def test_a_rule_of_ones_own_runs_to_the_end_and_is_resumed(campaign_file, tmp_path, path):
    setup = Setup(read_origin(campaign_file, [f"select={{rule = '{path}', batch = 5}}", "stop.max_calculations=30"]))
    result, known = run(setup, tmp_path / "run")
    assert (result.rule, result.stop_reason, known.n_answered) == (path, "max-calculations", 30)
    assert setup.config.select.uses_hull_tolerance is (path != "outside.InOrder")
    assert {len(decision.chosen) for decision in known.decisions[1:-1]} == {5}
    assert result.failure_probability is None
    again = Setup.read(tmp_path / "run")
    assert again.config == setup.config
    assert run(again, tmp_path / "run")[0].hull == result.hull
    assert json.loads(setup.config.model_dump_json())["select"] == {"rule": path, "batch": 5}


def test_a_rule_of_ones_own_ends_when_everything_is_known(campaign_file, tmp_path):
    result, _ = run(
        Setup(read_origin(campaign_file, ["select={rule = 'outside.InOrder', batch = 20}"])), tmp_path / "r"
    )
    assert (result.stop_reason, result.n_calculations, result.reference.exact) == ("all-known", 57, True)


def test_a_rule_that_asks_for_nothing_more_ends_the_campaign_in_words(campaign_file, tmp_path, monkeypatch):
    import outside

    monkeypatch.setattr(outside.InOrder, "decide", lambda *_, **__: outside.Decision())
    result, _ = run(Setup(read_origin(campaign_file, ["select={rule = 'outside.InOrder'}"])), tmp_path / "r")
    assert result.stop_reason == "all-contenders-known"
    assert result.stop_sentence == "The rule 'outside.InOrder' asks for nothing more."


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ((3, 3), r"\(3, 3\)"),
        ((-1,), r"\(-1,\)"),
        ((57,), r"\(57,\)"),
        ((0,), r"\(0,\)"),  # asked for before
        (("AgPd_0003",), r"'AgPd_0003'"),
        ((True,), r"\(True,\)"),
        (None, r"a Decision from decide of .outside.InOrder., found None"),
    ],
)
def test_what_a_rule_must_not_answer_is_refused(campaign_file, tmp_path, monkeypatch, chosen, found):
    import outside

    monkeypatch.setattr(outside.InOrder, "decide", lambda *_, **__: chosen and outside.Decision(chosen=chosen))
    setup = Setup(read_origin(campaign_file, ["select={rule = 'outside.InOrder'}"]))
    with pytest.raises(InvalidSettingError, match=rf"select\.rule: expected .*{found}"):
        run(setup, tmp_path / "run")


def test_features_of_ones_own_are_what_a_campaign_learns_from(campaign_file, tmp_path):
    settings = [
        "representation={kind = 'outside.VolumeAndShare', power = 2.0}",
        "select={rule = 'greedy'}",
        "stop.max_calculations=20",
    ]
    setup = Setup(read_origin(campaign_file, settings))
    assert {name: block.shape for name, block in setup.features.items()} == {"volume": (57, 1), "share": (57, 1)}
    np.testing.assert_array_equal(setup.features["share"][:, 0], setup.pool.x)
    result, known = run(setup, tmp_path / "run")
    assert known.decisions[-1].model_error is not None
    assert Setup.read(tmp_path / "run").config == setup.config
    assert len(candidate_rows(read_history(tmp_path / "run").now)) == 57
    (volume, share) = setup.representation.panels(setup.pool.candidates[0])
    assert (volume.y_label, share.y_label, volume.x.size) == ("volume", "share", 1)
    assert result.n_calculations == 20


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("select={rule = 'nowhere.Rule'}", r"select\.rule: 'nowhere\.Rule' cannot be imported \(ModuleNotFoundError"),
        ("select={rule = 'outside.Missing'}", r"select\.rule: 'outside\.Missing' cannot be imported \(AttributeError"),
        ("select={rule = 'outside.NoRule'}", r"expected a class with decide and start, .* without decide"),
        ("select={rule = 'outside.Unfinished'}", r"expected a class with decide and start, .* without decide"),
        ("select={rule = 'outside.WrongDefault'}", r"select\.tags: expected a valid list, found None"),
        ("select={rule = 'outside.np'}", r"expected a class with decide and start, .*which is no class"),
        ("select={rule = 'outside.InOrder', bitch = 3}", r"select\.bitch: unknown key\. .*Did you mean 'batch'"),
        ("select={rule = 'outside.InOrder', batch = 'four'}", r"select\.batch: expected a valid integer, found 'four'"),
        ("select={rule = 'greedier'}", r"expected one of 'hull-posterior'.*or the dotted path of a class, found"),
        ("representation={kind = 'soap'}", r"representation\.kind: expected one of 'mbtr', or the dotted path"),
        ("representation={kind = 'outside.VolumeAndShare', elements = ['Au', 'Cu']}", r"elements: unknown key"),
        ("mbtr={pair_cutoff = 100.0}", r"mbtr\.pair_cutoff: expected less than or equal to 20, found 100"),
        (
            "oracle={kind = 'outside.InOrder'}",
            r"oracle\.kind: expected one of 'table', 'calculator', 'function', 'handoff', found",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(campaign_file, setting, message):
    with pytest.raises(InvalidCampaignError, match=message):
        load_config(campaign_file, [setting])


@pytest.mark.parametrize(
    "blocks", [[1.0, 2.0], None, {"": np.ones((57, 1))}, {1: np.ones((57, 1))}, {"a": [[1j]] * 57}]
)
def test_features_that_are_no_blocks_are_refused(campaign_file, monkeypatch, blocks):
    import outside

    monkeypatch.setattr(outside.BadBlocks, "blocks", lambda *_: blocks)
    setup = Setup(read_origin(campaign_file, ["representation={kind = 'outside.BadBlocks'}"]))
    with pytest.raises(InvalidSettingError, match=r"expected arrays of real features by printable names .*found"):
        _ = setup.features


@pytest.mark.parametrize("stated", [-1.0, 2.0, float("nan"), "low"])
def test_a_stated_probability_is_one(campaign_file, tmp_path, monkeypatch, stated):
    import outside

    answer = outside.Decision(chosen=(20,), n_contenders=1, stated_failure_probability=stated)
    monkeypatch.setattr(outside.InOrder, "decide", lambda *_, **__: answer)
    setup = Setup(read_origin(campaign_file, ["select={rule = 'outside.InOrder'}"]))
    with pytest.raises(InvalidSettingError, match=r"expected stated_failure_probability .*from 0 to 1, found"):
        run(setup, tmp_path / "run")


def test_features_that_are_not_one_row_a_candidate_are_refused(campaign_file):
    setup = Setup(read_origin(campaign_file, ["representation={kind = 'outside.BadBlocks'}"]))
    with pytest.raises(
        InvalidSettingError, match=r"finite features \(57, d\) in block 'all' of .*found shape \(56, 2\)"
    ):
        _ = setup.features
