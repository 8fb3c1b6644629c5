"""A new user begins with an example, or a campaign from two symbols, wherever the package is installed."""

import re
import tomllib
from pathlib import Path

import pytest

from hullscout.campaign import load_config
from hullscout.campaign.template import STARTERS, starting_text
from hullscout.cli.starting import CALCULATORS
from hullscout.errors import InvalidCampaignError
from hullscout.examples import EXAMPLES

ROOT = Path(__file__).parents[1]


def test_the_wheel_takes_every_file_of_every_example_from_the_one_copy():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    included = build["force-include"]
    for example in EXAMPLES.values():
        for file in example.files:
            path = f"campaigns/{example.folder}/{file}"
            assert (ROOT / path).is_file()
            inside = f"hullscout/example_files/{example.folder}/{file}"
            assert any(
                path.startswith(source) and inside == target + path.removeprefix(source)
                for source, target in included.items()
            )
    assert sum((ROOT / source).stat().st_size for source in included if (ROOT / source).is_file()) < 200_000


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_written_whole_and_never_over_what_differs(name, hullscout, tmp_path):
    folder = tmp_path / "here"
    code, text = hullscout("example", name, "--to", folder)
    file = folder / EXAMPLES[name].campaign_file
    assert (code, f"Next: hullscout run {file}" in text) == (0, True), text
    assert (folder / load_config(file).pool.path).is_file()
    assert "?." not in text
    readme = (folder / "README.md").read_text()
    assert f"hullscout run {EXAMPLES[name].campaign_file}" in readme
    assert "campaigns/" not in readme
    assert hullscout("example", name, "--to", folder)[0] == 0
    file.write_text("# mine\n")
    code, text = hullscout("example", name, "--to", folder)
    assert (code, "is there already with another content" in text, file.read_text()) == (2, True, "# mine\n")


def test_an_example_runs_to_a_hull(hullscout, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert hullscout("example", "alli")[0] == 0
    code, text = hullscout("run", "alli/alli-replay.toml", "--set", "select={rule = 'random', batch = 20}")
    assert (code, "Convex hull of Al-Li" in text) == (0, True), text


@pytest.mark.parametrize("calculator", CALCULATORS)
def test_a_campaign_file_of_each_kind_is_valid_and_says_what_it_says(calculator, tmp_path):
    text = starting_text(("Cu", "Au"), pool="cu-au.extxyz.gz", starter=calculator)
    (tmp_path / "c.toml").write_text(text)
    config = load_config(tmp_path / "c.toml")
    assert (config.elements, config.pool.path) == (("Cu", "Au"), "cu-au.extxyz.gz")
    assert config.oracle.kind == ("handoff" if calculator == "handoff" else "calculator")
    optional = [line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ") and " = " in line]
    assert len(optional) >= 2
    for line in optional:
        tomllib.loads(line)
    assert set(CALCULATORS) == set(STARTERS)


def test_elements_that_a_calculator_does_not_know_are_refused():
    with pytest.raises(InvalidCampaignError, match=r"--calculator emt: expected elements that it knows .*, found Ti"):
        starting_text(("Ti", "Al"), pool="p", starter="emt")


def test_two_symbols_become_a_campaign_that_runs_to_a_hull(hullscout, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, text = hullscout(
        "new", "Cu", "Au", "--lattice", "fcc", "--max-atoms", 2, "--calculator", "emt", "--to", "here"
    )
    assert (code, "Next: hullscout run here/cu-au.toml" in text) == (0, True), text
    assert (
        "hullscout new Cu Au --lattice fcc --max-atoms 2 --calculator emt" in (tmp_path / "here/cu-au.toml").read_text()
    )
    code, text = hullscout("run", "here/cu-au.toml", "--set", "executor={kind = 'in-process'}")
    assert (code, "Convex hull of Cu-Au" in text) == (0, True), text
    said = text + hullscout("status", "runs/Cu-Au")[1]
    assert ("Calculated 4 of 4" in said, "4 of 4 candidates calculated" in said, "ooked up" in said) == (
        True,
        True,
        False,
    ), said
    code, text = hullscout("new", "Cu", "Au", "--calculator", "handoff", "--to", "here")
    assert (code, "is there already and was not changed" in text) == (2, True), text
    code, text = hullscout("new", "Au", "Cu", "--pool", "here/cu-au.extxyz.gz", "--to", "there")
    assert (code, "Next: hullscout ask there/au-cu.toml -n 8 --to outbox/" in text) == (0, True), text
    code, text = hullscout("ask", "there/au-cu.toml", "-n", 1, "--to", "outbox")
    assert (code, "Handed out 1 structures" in text) == (0, True), text
    assert hullscout("new", "Cu", "Au", "--pool", "here/cu-au.extxyz.gz", "--lattice", "fcc")[0] == 2
    assert not list(tmp_path.glob("*.toml"))


CUAU = ROOT / "campaigns" / "cuau-emt" / "cuau-cells.extxyz.gz"
REFUSED = {
    "a size of nothing": (("Ni", "Al", "--max-atoms", 0), "Expected max_atoms from"),
    "a volume that nobody knows": (("Og", "Lr", "--max-atoms", 2), "Expected a tabulated molar volume of Og"),
    "an element twice": (
        ("Ni", "Ni"),
        "`hullscout new Ni Ni --calculator handoff` is not a valid campaign:.*found Ni more",
    ),
    "a pool that is not there": (("Ni", "Al", "--pool", "nope"), "There is no nope"),
    "a pool of others": (("Cu", "Al", "--pool", CUAU), "expected structures of Cu, Al, found none that holds Al. Give"),
    "a file as the folder": (
        ("Cu", "Au", "--pool", CUAU, "--to", "a-file"),
        "The folder a-file cannot be made: File exists",
    ),
    "a folder in a file": (
        ("Cu", "Au", "--max-atoms", 2, "--to", "a-file/b"),
        "The folder a-file/b cannot be made: Not a",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_leaves_nothing_behind(name, hullscout, tmp_path, monkeypatch):
    words, said = REFUSED[name]
    monkeypatch.chdir(tmp_path)
    Path("a-file").touch()
    code, text = hullscout("new", *(() if "--to" in words else ("--to", "here")), *words)
    assert (code, bool(re.search(said, text, re.DOTALL))) == (2, True), text
    assert [path.name for path in tmp_path.rglob("*")] == ["a-file"]


@pytest.mark.parametrize(("calculator", "is_there"), [("gpaw", False), ("diep", False), ("gpaw", True), ("emt", False)])
def test_a_calculator_that_is_not_installed_is_said_at_once(calculator, is_there, hullscout, tmp_path, monkeypatch):
    monkeypatch.setattr("hullscout.cli.starting.find_spec", lambda _: is_there or None)
    code, text = hullscout("new", "Cu", "Au", "--pool", CUAU, "--calculator", calculator, "--to", tmp_path)
    assert (code, (tmp_path / "cu-au.toml").is_file()) == (0, True), text
    assert ("is not installed" in text) == (calculator != "emt" and not is_there)
    assert (f"pip install 'hullscout[{calculator}]'." in text) == (calculator != "emt" and not is_there)


def test_every_package_that_a_new_campaign_needs_is_an_extra_of_its_calculators_name():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for name, starter in STARTERS.items():
        assert not starter.package or any(each.startswith(starter.package) for each in extras[name])
