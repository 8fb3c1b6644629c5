"""A campaign file is taken whole or refused with each key's full name, what was found and what is allowed."""

import re

import pytest

from hullscout.campaign.config import load_config
from hullscout.errors import InvalidCampaignError

GOOD = """
name = "Ag-Pd"
elements = ["Ag", "Pd"]
[pool]
path = "pool.extxyz"
[select]
rule = "threshold"
"""


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "c.toml"
        path.write_text(text)
        return path

    return write


def test_defaults_fill_what_is_not_written(write):
    config = load_config(write(GOOD))
    assert config.elements == ("Ag", "Pd")
    assert (config.seed, config.oracle.kind, config.select.rule, config.select.batch) == (0, "table", "threshold", 4)
    assert config.stop.hull_tolerance == 0.001


def test_the_command_line_replaces_settings_of_any_section(write):
    config = load_config(
        write(GOOD), ["select.batch=8", "stop.hull_tolerance=0.002", "name=other", "select.held_out=half"], seed=3
    )
    assert (config.select.batch, config.stop.hull_tolerance, config.name, config.seed) == (8, 0.002, "other", 3)
    assert config.select.held_out == "half"


def test_settings_of_a_rule_without_its_name_are_those_of_the_default(write):
    for text in (GOOD.replace('rule = "threshold"', ""), GOOD.replace('[select]\nrule = "threshold"', "")):
        assert load_config(write(text), ["select.batch=7"]).select.batch == 7


def test_differences_name_the_settings_but_not_the_place_of_the_pool(write):
    before = load_config(write(GOOD))
    now = load_config(write(GOOD), ["select.batch=8", "pool.path=elsewhere.extxyz"])
    assert now.differences(before) == ("select.batch: 4 before, 8 now",)


@pytest.mark.parametrize(
    ("name", "folder"), [("Ag-Pd", "Ag-Pd"), ("Ag-Pt (UNEP-v1)", "Ag-Pt-UNEP-v1"), ("../..", "campaign")]
)
def test_the_default_folder_stays_in_runs(write, name, folder):
    assert load_config(write(GOOD), [f'name="{name}"']).folder_name == folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("name =", "nmae ="), "nmae: unknown key. Allowed here: name, elements, seed, .* Did you mean 'name'"),
        (('path = "pool.extxyz"', 'path = "p"\ncolour = 1'), "pool.colour: unknown key. Allowed here: path"),
        (('rule = "threshold"', 'rule = "threshold"\nfacter = 2'), "select.facter: unknown key.*Did you mean 'factor'"),
        (
            ('rule = "threshold"', 'rule = "treshold"'),
            "select.rule: expected one of 'hull-posterior', 'threshold', 'hull-threshold', 'greedy', .* found 'treshold'",
        ),
        (('rule = "threshold"', "batch = 0"), "select.batch: expected greater than 0, found 0"),
        (
            ('rule = "threshold"', 'rule = "threshold"\nbatch = "four"'),
            "select.batch: expected a valid integer, found 'four'",
        ),
        (('rule = "threshold"', 'rule = "threshold"\nbatch = 0'), "select.batch: expected greater than 0, found 0"),
        (
            ('rule = "threshold"', 'rule = "threshold"\nfactor = nan'),
            "select.factor: expected a finite number, found nan",
        ),
        (
            ('rule = "threshold"', 'rule = "threshold"\nheld_out = "x"'),
            "select.held_out: expected 'leave-one-out' or 'half'",
        ),
        (("[pool]", "seed = -1\n[pool]"), "seed: expected greater than or equal to 0, found -1"),
        (("[pool]", "seed = 1.5\n[pool]"), "seed: expected a valid integer, found 1.5"),
        (("[select]", "[stop]\nfailure_probability = 1.0\n[select]"), "stop.failure_probability: expected less than 1"),
        (("[select]", "[stop]\nmax_calculations = 0\n[select]"), "stop.max_calculations: expected greater than 0"),
        (
            ("[select]", '[oracle]\nkind = "guess"\n[select]'),
            "oracle.kind: expected one of 'table', 'calculator', 'function', 'handoff', found 'guess'",
        ),
        (("[select]", "[mbtr]\npair_cutoff = -1.0\n[select]"), "mbtr.pair_cutoff: expected greater than or equal to 3"),
        (('["Ag", "Pd"]', '["Ag", "Ag"]'), "elements: expected different elements, found Ag more than once"),
        (('["Ag", "Pd"]', '["Ag", "Xx"]'), "elements: 'Xx' is no chemical symbol"),
        (('["Ag", "Pd"]', '["Ag"]'), "elements: expected two to five chemical symbols, found 1"),
        (
            ('["Ag", "Pd"]', '["Ag", "Pd", "Au", "Cu", "Ni", "Pt"]'),
            "elements: expected two to five chemical symbols, found 6",
        ),
        (('["Ag", "Pd"]', '"AgPd"'), "elements: expected a valid tuple, found 'AgPd'"),
        (('elements = ["Ag", "Pd"]', ""), "elements: missing, and it has no default"),
        (('[pool]\npath = "pool.extxyz"', ""), "pool: missing, and it has no default"),
        (('[pool]\npath = "pool.extxyz"', 'pool = "p"'), "pool: expected .* found 'p'"),
        (('rule = "threshold"', 'rule = "threshold'), "is not valid TOML: .*line 7"),
    ],
)
def test_a_fault_is_named_with_key_finding_and_what_is_allowed(write, change, message):
    assert change[0] in GOOD
    with pytest.raises(InvalidCampaignError, match=message):
        load_config(write(GOOD.replace(*change)))


def test_all_faults_are_told_at_once(write):
    with pytest.raises(InvalidCampaignError, match="is not a valid campaign") as caught:
        load_config(write(GOOD.replace("name =", "nmae =").replace('"threshold"', '"threshold"\nbatch = 0')))
    assert {"name: missing", "nmae: unknown", "select.batch: expected"} <= set(
        re.findall(r"^  (\S+ \w+)", str(caught.value), re.MULTILINE)
    )


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("select.batch", "expected section.key=value"),
        ("=3", "expected section.key=value"),
        ("name.x=3", "name is no section"),
        ("select.bitch=3", "select.bitch: unknown key.*Did you mean 'batch'"),
        ("select.batch=many", "select.batch: expected a valid integer, found 'many'"),
    ],
)
def test_a_wrong_override_is_refused(write, override, message):
    with pytest.raises(InvalidCampaignError, match=message):
        load_config(write(GOOD), [override])


def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path):
    with pytest.raises(InvalidCampaignError, match=r"no campaign file .*nowhere.toml"):
        load_config(tmp_path / "nowhere.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidCampaignError, match="expected UTF-8"):
        load_config(tmp_path / "binary.toml")
    with pytest.raises(InvalidCampaignError, match="cannot be read"):
        load_config(tmp_path)


def test_costs_of_the_pool_that_nothing_uses_are_refused(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text('name = "n"\nelements = ["Ag", "Pd"]\n[pool]\npath = "p.xyz"\ncost = "hours"\n')
    with pytest.raises(
        InvalidCampaignError, match=r'pool\.cost names a column that is not used with cost\.kind = "equal"'
    ):
        load_config(path)
    assert load_config(path, ["cost.kind=column"]).pool.cost == "hours"


@pytest.mark.parametrize(
    ("key", "setting"),
    [
        ("select.samples", "select={rule = 'hull-posterior', samples = 1000000000}"),
        ("select.n_start", "select={rule = 'hull-posterior', n_start = 10000000}"),
        ("stop.max_calculations", "stop.max_calculations=10000000"),
        ("stop.hull_tolerance", "stop.hull_tolerance=1e300"),
        ("seed", f"seed={2**63}"),
    ],
)
def test_settings_have_bounds_that_arithmetic_and_memory_bear(campaign_file, key, setting):
    with pytest.raises(InvalidCampaignError, match=f"{key}: expected less than"):
        load_config(campaign_file, [setting])
