"""A grid holds each setting once, leaves alone what a rule does not know, and refuses what makes no sense."""

import pytest

from hullscout.campaign.config import load_config
from hullscout.errors import InvalidCampaignError, InvalidPlanError
from hullscout.planning.grid import Axis, parse_axes, settings_of


@pytest.fixture
def config(campaign_file):
    return load_config(campaign_file, ["select.factor=1.1"])


def settings(config, *texts):
    return settings_of(config, parse_axes(texts), source="small.toml")


def test_values_are_toml_or_bare_words():
    assert parse_axes(["select.rule=threshold, random", "select.batch=1,8", "select.transforms=['cap'],['none']"]) == (
        Axis(key="select.rule", values=("threshold", "random")),
        Axis(key="select.batch", values=(1, 8)),
        Axis(key="select.transforms", values=(["cap"], ["none"])),
    )


def test_without_a_grid_there_is_the_file_itself(config):
    (setting,) = settings(config)
    assert setting.config == config
    assert setting.varied == {}
    assert setting.failure_probability is None


def test_a_key_is_varied_only_for_rules_that_know_it(config):
    found = settings(
        config,
        "select.rule=hull-posterior,threshold",
        "stop.failure_probability=0.1,0.05",
        "select.factor=1.0,1.3,1.6",
    )
    assert [(s.config.select.rule, s.failure_probability, s.varied.get("select.factor")) for s in found] == [
        ("hull-posterior", 0.1, None),
        ("hull-posterior", 0.05, None),
        ("threshold", None, 1.0),
        ("threshold", None, 1.3),
        ("threshold", None, 1.6),
    ]


def test_another_rule_keeps_the_settings_that_it_knows(config):
    rule = settings(config, "select.rule=hull-posterior")[0].config.select
    assert (rule.rule, rule.batch) == ("hull-posterior", 3)


def test_failure_probabilities_share_a_path_and_batches_do_not(config):
    stops = settings(config, "select.rule=hull-posterior", "stop.failure_probability=0.1,0.05")
    assert len({s.path_key for s in stops}) == 1
    batches = settings(config, "select.batch=1,2")
    assert len({s.path_key for s in batches}) == 2


def test_tolerances_share_a_path_only_where_the_rule_does_not_look_at_them(config):
    shared = settings(config, "stop.hull_tolerance=0.001,0.005")
    own = settings(config, "select.rule=hull-posterior", "stop.hull_tolerance=0.001,0.005")
    assert (len({s.path_key for s in shared}), len({s.path_key for s in own})) == (1, 2)


def test_a_rule_from_outside_is_compared_with_ours(config):
    found = settings(config, "select.rule=threshold,outside.InOrder", "select.factor=1.0,1.3", "select.batch=2,4")
    assert [(s.config.select.rule, s.varied.get("select.factor"), s.config.select.batch) for s in found] == [
        ("threshold", 1.0, 2),
        ("threshold", 1.0, 4),
        ("threshold", 1.3, 2),
        ("threshold", 1.3, 4),
        ("outside.InOrder", None, 2),
        ("outside.InOrder", None, 4),
    ]
    assert {s.failure_probability for s in found} == {None}
    assert len({s.path_key for s in found}) == 6


@pytest.mark.parametrize("section", ["mbtr", "representation"])
def test_the_representation_is_varied_under_both_of_its_names(config, section):
    found = settings(config, f"{section}.pair_cutoff=6,8")
    assert [(s.varied, s.config.representation.pair_cutoff) for s in found] == [
        ({f"{section}.pair_cutoff": 6}, 6.0),
        ({f"{section}.pair_cutoff": 8}, 8.0),
    ]
    assert len({s.pool_key for s in found}) == 2
    with pytest.raises(InvalidCampaignError, match=rf"{section}\.pair_cutoff: expected less than or equal to 20"):
        settings(config, f"{section}.pair_cutoff=6,99")
    with pytest.raises(InvalidCampaignError, match=rf"{section}\.cutoff: unknown key.*Did you mean"):
        settings(config, f"{section}.cutoff=6,8")


def test_a_representation_from_outside_is_compared_with_ours(config):
    found = settings(config, "representation.kind=mbtr,outside.VolumeAndShare", "mbtr.pair_cutoff=6,8")
    assert [(s.config.representation.kind, s.varied.get("mbtr.pair_cutoff")) for s in found] == [
        ("mbtr", 6),
        ("mbtr", 8),
        ("outside.VolumeAndShare", None),
    ]
    with pytest.raises(InvalidPlanError, match=r"the representation 'outside\.VolumeAndShare' does not use this key"):
        settings(config, "representation.kind=outside.VolumeAndShare", "mbtr.pair_cutoff=6,8")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["mbtr.pair_cutoff=6,8", "representation.pair_cutoff=7"], "given by another --grid as well"),
        (["select.batch"], "expected section.key=value,value"),
        (["batch=1,2"], "expected section.key=value,value"),
        (["select.batch="], "expected section.key=value,value"),
        (["pool.path=a,b"], "pool.path cannot be varied"),
        (["seed.x=1,2"], "Seeds are varied by --replicates"),
        (["select.batch=1,2", "select.batch=3"], "given by another --grid as well"),
        (["select.batch=1,1"], "different values, found one twice"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(texts, message):
    with pytest.raises(InvalidPlanError, match=message):
        parse_axes(texts)


def test_a_key_that_is_set_and_varied_is_refused():
    with pytest.raises(InvalidPlanError, match="given by --set as well"):
        parse_axes(["select.batch=1,2"], fixed=["select.batch=4"])


@pytest.mark.parametrize("key", ["stop.failure_probability=0.1,0.2", "select.samples=10,20"])
def test_a_key_that_no_rule_of_the_grid_uses_is_refused(config, key):
    with pytest.raises(InvalidPlanError, match="the rule 'threshold' does not use this key"):
        settings(config, key)


def test_an_impossible_value_is_refused_with_the_setting_that_holds_it(config):
    with pytest.raises(InvalidCampaignError, match=r"small.toml with select.batch=0 is not a valid campaign"):
        settings(config, "select.batch=1,0")
    with pytest.raises(InvalidCampaignError, match=r"stop.tolerance: unknown key"):
        settings(config, "stop.tolerance=1,2")
