"""Whatever change of a file fails, or is the last one before the process dies: nothing is lost, nothing calculated twice.

Every write, sync, link, rename, removal and making of a file of small campaigns and a plan, those of SQLite too, is tried by
`pytest -m every_write`, which prints how many they are.
"""

import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from conftest import ROOT
from frames import frames_of

TESTS = Path(__file__).parents[1]
STEP = int(os.environ.get("HULLSCOUT_STEP", "1"))  # of the marked tests
SAMPLE = 37  # each so many-th change; the marked tests try all
N_LANES = min(os.cpu_count() or 1, 8)  # processes that try
IN_MEMORY = "/dev/shm"  # noqa: S108  tests make a folder of their own in it
HOWS = ("kill", "full", "io")
CAMPAIGN = """
name = "small"
elements = ["Cu", "Au"]

[pool]
path = "{pool}.extxyz"

[select]
rule = "random"

[oracle]
"""
CALCULATOR = """kind = "calculator"
calculator = "faulty_calculators.Logged"
arguments = {{ log = "{folder}/log" }}

[executor]
kind = "{executor}"
"""
PROCESSES = """workers = 2
flow = "rounds"
"""
KINDS = ("here", "processes", "handoff", "replay", "plan", "add", "known", "changed", "unasked")


@pytest.fixture
def place(tmp_path):
    """A folder in memory where there is such a place: what is synced thousands of times takes long on a disk."""
    if not os.access(IN_MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="hullscout-", dir=IN_MEMORY) as folder:
        yield Path(folder)


@pytest.fixture
def library(tmp_path):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("calls are caught by a C library, which takes Linux and a compiler")
    path = tmp_path / "injector.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", str(path), str(TESTS / "injector.c"), "-ldl"],
        check=True,
        capture_output=True,
    )
    return path


def write_campaigns(folder):
    """Campaign files of each kind, with their pools."""
    with gzip.open(ROOT / "campaigns" / "cuau-emt" / "cuau-cells.extxyz.gz", "rt") as file:
        frames = [frame for frame in frames_of(file.read()) if int(frame.split(maxsplit=1)[0]) <= 3]
    (folder / "cells.extxyz").write_text("".join(frames[:5]))
    (folder / "few.extxyz").write_text("".join(frames[:3]))
    (folder / "more.extxyz").write_text("".join(frames[5:6]))
    (folder / "table.extxyz").write_text("".join(with_energy(frame, -n / 7) for n, frame in enumerate(frames[:5])))
    (folder / "some.extxyz").write_text("".join([*map(with_energy, frames[:2], (-0.1, -0.2)), *frames[2:5]]))
    oracles = {
        "here": CALCULATOR.format(folder=folder, executor="in-process"),
        "processes": CALCULATOR.format(folder=folder, executor="processes") + PROCESSES,
        "handoff": 'kind = "handoff"\n',
        "replay": 'kind = "table"\n',
    }
    oracles |= {"add": oracles["here"], "plan": oracles["replay"], "known": oracles["here"]}
    oracles |= {"changed": oracles["here"], "unasked": oracles["handoff"]}
    pools = {
        "replay": "table",
        "plan": "table",
        "known": "some",
        "handoff": "few",
        "unasked": "few",
        "processes": "few",
    }
    for kind, oracle in oracles.items():
        text = CAMPAIGN.format(pool=pools.get(kind, "cells")) + oracle
        (folder / f"{kind}.toml").write_text(text)


def with_energy(frame, energy):
    number, comment, *rest = frame.split("\n")
    return "\n".join([number, f"{comment} energy={energy}", *rest])


def tried(library, folder, kind, how, *, step, n_lanes):
    """The numbers of changes and of those that were tried, and what went wrong; some processes share them."""
    environment = {**os.environ, "LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    lanes = []
    for lane in range(n_lanes):
        (folder / f"lane{lane}").mkdir()
        write_campaigns(folder / f"lane{lane}")
        command = [sys.executable, str(TESTS / "injecting.py"), str(library), str(folder / f"lane{lane}"), kind, how]
        command += [str(1 + lane * step), str(n_lanes * step)]
        lanes.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
        )
    said = [lane.communicate()[0] for lane in lanes]
    assert [lane.returncode for lane in lanes] == [0] * n_lanes, said
    found = [json.loads(text) for text in said]
    wrong = {n: faults for one in found for n, faults in one["wrong"].items()}
    return found[0]["n_changes"], sum(one["n_tried"] for one in found), wrong


@pytest.mark.slow
@pytest.mark.parametrize("how", HOWS)
def test_a_fault_at_some_changes_of_files_costs_nothing(library, place, how):
    _, n_tried, wrong = tried(library, place, "here", how, step=SAMPLE, n_lanes=1)
    assert wrong == {}
    assert n_tried >= 3


@pytest.mark.every_write
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_at_any_change_of_a_file_costs_nothing(library, place, kind, how, capsys):
    n_changes, n_tried, wrong = tried(library, place, kind, how, step=STEP, n_lanes=N_LANES)
    with capsys.disabled():
        print(f"\n{kind}, {how}: {n_tried} of {n_changes} changes of files tried, {len(wrong)} went wrong", end=" ")  # noqa: T201
    assert wrong == {}
    if kind != "processes":  # there what is written differs with the order of answers
        assert n_tried >= len(range(0, n_changes, STEP))
