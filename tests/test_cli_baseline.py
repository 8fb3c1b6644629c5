"""`baseline`, and `enumerate --baseline`, from the command line."""

import json

import pytest
from frames import frames_of

from hullscout.pool import read_pool

HERE = ("--set", "executor.kind=in-process")
EMT = "ase.calculators.emt.EMT"
COUNTING = "counting_calculators.Counting"


@pytest.fixture
def pool(tmp_path, small_pool):
    path = tmp_path / "pool.extxyz"
    path.write_text("".join(frames_of(small_pool)[:6]))
    return path


def test_a_column_is_named_as_the_calculator_or_as_wanted(hullscout, pool, tmp_path):
    code, said = hullscout("baseline", pool, "--calculator", EMT, "-o", tmp_path / "a.extxyz", *HERE)
    assert code == 0, said
    assert "6 energies by ase.calculators.emt.EMT of ase " in said
    words = ("--calculator", EMT, "--column", "cheap", "--arguments", "asap_cutoff=true", "-o", tmp_path / "b.extxyz")
    code, said = hullscout("baseline", tmp_path / "a.extxyz", *words, *HERE)
    assert code == 0, said
    assert '[pool] baseline = "cheap"' in said
    columns = read_pool(tmp_path / "b.extxyz").frames[2].columns
    assert columns["emt"] != columns["cheap"]
    assert 'with {"asap_cutoff": true}, as given' in columns["cheap_by"]
    assert read_pool(pool).frames[2].energy_ev == read_pool(tmp_path / "b.extxyz").frames[2].energy_ev


def test_what_is_there_is_replaced_by_force_alone(hullscout, pool, tmp_path):
    out = tmp_path / "a.extxyz"
    out.write_text("mine")
    code, said = hullscout("baseline", pool, "--calculator", EMT, "-o", out, *HERE)
    assert (code, out.read_text()) == (2, "mine")
    assert "is there already" in said
    assert hullscout("baseline", pool, "--calculator", EMT, "-o", out, "--force", *HERE)[0] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--calculator", "dieb"], "--calculator: expected one of diep, chgnet, sevenn, or the dotted path"),
        (["--calculator", "ase.calculators.emt.EMD"], "--calculator: expected a name that ASE knows"),
        (["--calculator", EMT, "--arguments", "a=="], "expected NAME=VALUE, ... in TOML"),
        (
            ["--calculator", COUNTING, "--arguments", "a=1"],
            "--arguments: 'counting_calculators.Counting' cannot be made with {'a': 1}",
        ),
        (
            ["--calculator", EMT, "--set", "oracle.kind=table"],
            "--set oracle: expected settings of the section executor alone",
        ),
        (["--calculator", EMT, "--set", "executor.kind=cloud"], "executor.kind: expected one of"),
        (["--calculator", EMT, "--workers", "0"], "--workers"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(hullscout, pool, tmp_path, words, message):
    code, said = hullscout("baseline", pool, "-o", tmp_path / "a.extxyz", *words)
    assert code == 2
    assert message in " ".join(said.split())
    assert not (tmp_path / "a.extxyz").exists()


def test_enumerate_adds_the_column_in_one_go(hullscout, tmp_path):
    words = ("Cu", "Au", "--lattice", "fcc", "--max-atoms", "2", "-o", tmp_path / "a.extxyz")
    code, said = hullscout("enumerate", *words, "--baseline", EMT)
    assert code == 0, said
    assert f"4 energies by {EMT}" in said
    assert all("emt" in frame.columns for frame in read_pool(tmp_path / "a.extxyz").frames)
    code, said = hullscout("enumerate", *words, "--force", "--baseline", "dieb")
    assert code == 2
    assert "--baseline: expected one of diep" in said


def test_a_column_without_a_pure_element_is_written_and_not_recommended(hullscout, small_pool, tmp_path):
    (tmp_path / "pool.extxyz").write_text(small_pool)
    pure = [
        each.candidate().formula for each in read_pool(tmp_path / "pool.extxyz").frames if len(set(each.numbers)) == 1
    ]
    nan = [each for each in pure if "Pd" in each]
    stated = f"log = {json.dumps(str(tmp_path / 'log.txt'))}, nan = {json.dumps(nan)}"
    words = ("--calculator", COUNTING, "--arguments", stated, "-o", tmp_path / "a.extxyz")
    code, said = hullscout("baseline", tmp_path / "pool.extxyz", *words, *HERE)
    assert code == 0, said
    assert "No structure of pure Pd has one: a campaign with that end" in " ".join(said.split())
    assert "The energy is nan eV" in said
    assert "In a campaign file" not in said
