"""What the README shows works as written."""

import re
from pathlib import Path

import pytest

from hullscout.campaign.config import check_config

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_python_of_a_campaign_runs(tmp_path, monkeypatch):
    import matplotlib as mpl

    mpl.use("Agg")
    (block,) = [block for block in blocks("python") if "Campaign" in block]
    (tmp_path / "campaigns").symlink_to(ROOT / "campaigns")
    monkeypatch.chdir(tmp_path)
    namespace = {}
    exec(block, namespace)  # noqa: S102
    assert namespace["campaign"].history.now.n_known == 60
    assert namespace["ax"].get_ylabel() == "formation energy (meV/atom)"


@pytest.mark.parametrize("block", [block for block in blocks("python") if "Campaign" not in block])
def test_python_runs(block):
    namespace = {}
    exec(block, namespace)  # noqa: S102
    assert (namespace["std"] > 0).all()
    assert abs(namespace["mean"] - namespace["energies"][1::2]).max() < 0.05


@pytest.mark.parametrize("block", blocks("toml"))
def test_campaign_files_are_valid(block):
    import tomllib

    check_config(tomllib.loads(block), source="README.md")


def test_every_setting_of_a_rule_in_the_table_exists():
    from hullscout.campaign.config import RULES, CampaignConfig

    known = {f"select.{name}" for rule in RULES for name in rule.model_fields}
    for section in ("regression", "mbtr"):
        known |= {f"{section}.{name}" for name in CampaignConfig.model_fields[section].default.__class__.model_fields}
    named = re.findall(r"`((?:select|regression|mbtr)\.\w+)`", README)
    assert set(named) <= known
    assert known - set(named) <= {"select.rule", "select.batch"}


def test_the_blocks_that_continuous_integration_runs_are_there():
    for marker in ("run", "test"):
        assert re.search(rf"<!-- {marker} -->\n```bash\npython3 -m venv .venv && ", README)
