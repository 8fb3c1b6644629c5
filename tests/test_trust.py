"""Looking at a campaign's folder imports nothing that it names; what only its own rule or representation can tell is left out."""

import json
import re
import subprocess
import sys

import pytest
from conftest import CAMPAIGN

from hullscout import Campaign
from hullscout.errors import InvalidCampaignError

CLASSES = """
from pathlib import Path

import numpy as np
from hullscout import Decision, Rule

Path("imported").touch()


class Foreign(Rule):
    batch: int = 4
    states_probability = True

    def start(self, known):
        return tuple(np.flatnonzero((known.x == 0) | (known.x == 1)).tolist())

    def decide(self, known, surrogate, *, stop):
        return Decision(chosen=tuple(known.askable[: self.batch].tolist()), failure_probability=0.5,
                        stated_failure_probability=0.5)


class Volumes:
    def blocks(self, candidates):
        return {"volume": np.array([[abs(np.linalg.det(c.cell)) / len(c.numbers)] for c in candidates])}
"""
SETTINGS = {
    "both": ["select={rule = 'theirs.Foreign', batch = 7}", "representation={kind = 'theirs.Volumes'}"],
    "representation": ["representation={kind = 'theirs.Volumes'}", "select.rule=greedy"],
}
LOOKS = {
    "status": "status got",
    "hull": "plot got -o x.png",
    "progress": "plot got --kind progress -o x.png",
    "report": "report got -o x.html",
    "csv": "export got --format csv -o x.csv",
    "entries": "export got --format entries -o x.json",
    "cite": "cite got",
    "parity": "plot got --kind parity -o x.png",
    "features": "plot got --kind representation -o x.png",
    "table": "table got -o x.extxyz",
    "salvage": "salvage got -o salvaged",
    "add": "add salvaged pool.extxyz",
}
SAID = "is what the campaign's folder names, and looking at a folder imports nothing"
SCRIPT = """
import json, sys
from click.testing import CliRunner
from hullscout.cli import main

said = {}
for name, words in json.loads(sys.argv[1]).items():
    done = CliRunner().invoke(main, words.split(), catch_exceptions=False)
    said[name] = [done.exit_code, done.output, any(module.startswith("theirs") for module in sys.modules)]
print(json.dumps(said))
"""


def commanded(place, commands):
    """Exit code and output of commands, in this order, in one process that had imported nothing; and whether it has then."""
    words = [sys.executable, "-c", SCRIPT, json.dumps(commands)]
    done = subprocess.run(words, cwd=place, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module", params=list(SETTINGS))
def place(request, tmp_path_factory, small_pool):
    """A folder with a campaign in `got` that names what lies beside its campaign file."""
    place = tmp_path_factory.mktemp("trust")
    (place / "pool.extxyz").write_text(small_pool)
    (place / "small.toml").write_text(CAMPAIGN)
    (place / f"theirs_{request.param}.py").write_text(
        CLASSES
    )  # each of its own name: all are imported into this process
    settings = [text.replace("theirs", f"theirs_{request.param}") for text in SETTINGS[request.param]]
    told = " ".join(f"--set={text.replace(' ', '')}" for text in [*settings, "stop.max_calculations=30"])
    done = commanded(place, {"run": f"run small.toml {told} --out got"})
    assert done["run"][0] == 0, done
    (place / "told").write_text(told)
    (place / "imported").unlink()
    return place


def test_looking_imports_nothing_that_a_folder_names(place):
    done = commanded(place, LOOKS)
    assert not (place / "imported").exists()
    for name, (code, output, is_imported) in done.items():
        assert not is_imported
        assert code == (2 if name in {"features", "parity"} else 0), (name, output)
        assert (SAID in output) is (name not in {"table", "salvage", "add"}), (name, output)
        assert ("give --trust" in output) is (name not in {"table", "salvage", "add"}), (name, output)
    header, *rows = (place / "x.csv").read_text().splitlines()
    column = header.split(",").index("probability_on_hull")
    assert {row.split(",")[column] for row in rows} == {""}


@pytest.mark.parametrize("variables", [{}, {"HULLSCOUT_TRUST": "1"}])
def test_ones_own_word_imports_it(place, monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    code, output, is_imported = commanded(place, {"look": f"status got{'' if variables else ' --trust'}"})["look"]
    assert (code, is_imported, SAID in output) == (0, True, False)
    (place / "imported").unlink()


def test_going_on_by_the_campaign_file_needs_no_word_and_another_file_imports_nothing(place):
    told, before = (place / "told").read_text(), json.loads((place / "got" / "result.json").read_text())
    assert commanded(place, {"run": f"run small.toml {told} --out got"})["run"][::2] == [0, True]
    assert json.loads((place / "got" / "result.json").read_text())["hull"] == before["hull"]
    (place / "imported").unlink()
    code, output, is_imported = commanded(place, {"run": "run small.toml --out got"})["run"]
    assert (code, is_imported) == (2, False)
    assert re.search(r"representation\.kind: 'theirs_\w+\.Volumes' before, 'mbtr' now", output)


def test_in_python_run_and_an_import_are_ones_word(place, monkeypatch):
    monkeypatch.chdir(place)
    seen = Campaign("got")
    assert seen.belief is None
    assert seen.hull
    with pytest.raises(InvalidCampaignError, match=r"in Python import its module first, or give trust=True"):
        seen.plot_parity()
    kept = json.loads(seen.config.model_dump_json())
    assert not (place / "imported").exists()
    trusted = Campaign("got", trust=True)
    (place / "imported").unlink()
    assert json.loads(trusted.config.model_dump_json()) == kept
    assert trusted.config == Campaign("got").config
    assert seen.run().n_calculations == 30


def test_a_hand_off_is_told_without_its_rule_and_asks_for_more_by_ones_word_only(campaign_file):
    place = campaign_file.parent
    (place / "theirs.py").write_text(CLASSES)
    settings = "--set=select={rule='theirs.Foreign'} --set=oracle={kind='handoff',use_known=false}"
    asked = {"run": f"run small.toml {settings} --out got", "ask": "ask got -n 99 --to out --trust"}
    assert commanded(place, asked)["ask"][0] == 0
    (place / "imported").unlink()
    ids = [json.loads(path.read_text())["id"] for path in place.glob("out/*/manifest.json")]
    (place / "told.csv").write_text(
        "".join(["id,energy_ev\n", *(f"{name},-{place}.5\n" for place, name in enumerate(ids))])
    )
    done = commanded(place, {"tell": "tell got told.csv", "ask": "ask got --to out"})
    assert f"{len(ids)} new energies" in done["tell"][1]
    assert done["ask"][0] == 2
    assert "give --trust" in done["ask"][1]
    assert not (place / "imported").exists()
