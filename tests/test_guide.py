"""The user guide builds without a warning, and its table of settings is whole."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from hullscout.campaign.config import KINDS, CampaignConfig, PoolSection

GUIDE = Path(__file__).parent.parent / ".docs"


@pytest.mark.slow
def test_the_guide_builds_without_a_warning(tmp_path):
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-n",
        "-q",
        "-t",
        "without_source",
        GUIDE,
        tmp_path / "html",
    ]
    done = subprocess.run([*command, "-d", tmp_path / "doctrees"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    front = (tmp_path / "html" / "index.html").read_text(encoding="utf-8")
    assert "How sure it is" in front
    assert 'id="hullscout-run"' in (tmp_path / "html" / "commands.html").read_text(encoding="utf-8")
    assert "hullscout.mbtr.transformer.MBTR.transform" in (tmp_path / "html" / "api" / "mbtr.html").read_text(
        encoding="utf-8"
    )


def settings_there_are():
    """(key, kind, default) of every setting; the kind is empty where a section has only one."""
    for name, field in CampaignConfig.model_fields.items():
        if name in KINDS:
            kinds = KINDS[name]
            yield f"{name}.{kinds.key}", "", kinds.default
            for kind in kinds.ours:
                fields = kinds.kind(kind).model_fields
                for key in kinds.settings_of(kind)[1:]:
                    yield f"{name}.{key}", kind, default_of(fields[key])
        elif name == "pool" or isinstance(field.default, PoolSection.__base__):
            section = PoolSection if name == "pool" else type(field.default)
            for key, setting in section.model_fields.items():
                yield f"{name}.{key}", "", default_of(setting)
        else:
            yield name, "", default_of(field)


def default_of(field):
    default = field.get_default(call_default_factory=True)
    return "needed" if default is PydanticUndefined else default


def settings_in_the_table():
    """The same, read from the tables of the page; `all` stands for every kind."""
    page = (GUIDE / "campaign_file.md").read_text(encoding="utf-8")
    for row in re.findall(r"^\| `([\w.]+)` \| (.*) \|$", page, re.MULTILINE):
        key, cells = row[0], row[1].split(" | ")
        words = {"needed": "needed", "none": None}
        default = words[cells[0]] if cells[0] in words else tomllib.loads(f"value = {cells[0].strip('`')}")["value"]
        section = key.split(".")[0]
        if section not in KINDS or key == f"{section}.{KINDS[section].key}":
            yield key, "", default
            continue
        for kind in KINDS[section].ours if cells[1] == "all" else cells[1].split(", "):
            yield key, kind, default


def test_the_table_holds_every_setting_with_its_default():
    def plain(rows):
        return sorted((key, kind, list(value) if isinstance(value, tuple) else value) for key, kind, value in rows)

    assert plain(settings_in_the_table()) == plain(settings_there_are())


@pytest.mark.parametrize("page", sorted(GUIDE.rglob("*.md")), ids=lambda page: page.stem)
def test_pages_name_no_folder_of_this_machine(page):
    assert not re.search(r"(^|[\s'\"(])/(tmp|home|root|Users|work)/", page.read_text(encoding="utf-8"))
