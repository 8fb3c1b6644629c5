"""Whatever change of a file fails, or is the last one before the process dies: nothing is lost, nothing calculated twice.

Every write, sync, link, rename and removal of a small campaign, those of SQLite too, is tried by `pytest -m every_write`.
"""

import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from frames import frames_of

TESTS = Path(__file__).parents[1]
STEP = int(os.environ.get("HULLSCOUT_STEP", "1"))  # of the marked tests
SAMPLE = 37  # each so many-th change; the marked tests try all
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
KINDS = ("here", "processes", "handoff", "replay", "add")


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


@pytest.fixture
def folder(tmp_path):
    """Campaign files of each kind, with their pools."""
    with gzip.open(ROOT / "campaigns" / "cuau-emt" / "cuau-cells.extxyz.gz", "rt") as file:
        frames = [frame for frame in frames_of(file.read()) if int(frame.split(maxsplit=1)[0]) <= 3]
    (tmp_path / "cells.extxyz").write_text("".join(frames[:8]))
    (tmp_path / "more.extxyz").write_text("".join(frames[8:10]))
    (tmp_path / "table.extxyz").write_text("".join(with_energy(frame, -n / 7) for n, frame in enumerate(frames[:8])))
    oracles = {
        "here": CALCULATOR.format(folder=tmp_path, executor="in-process"),
        "processes": CALCULATOR.format(folder=tmp_path, executor="processes") + PROCESSES,
        "handoff": 'kind = "handoff"\n',
        "replay": 'kind = "table"\n',
    }
    oracles["add"] = oracles["here"]
    for kind, oracle in oracles.items():
        text = CAMPAIGN.format(pool="table" if kind == "replay" else "cells") + oracle
        (tmp_path / f"{kind}.toml").write_text(text)
    return tmp_path


def with_energy(frame, energy):
    number, comment, *rest = frame.split("\n")
    return "\n".join([number, f"{comment} energy={energy}", *rest])


def faults(library, folder, kind, how, *, first, step):
    """The numbers of changes and of those that were tried, and what went wrong."""
    environment = {**os.environ, "LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, str(TESTS / "injecting.py"), str(library), str(folder), kind, how, str(first), str(step)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("how", ["kill", "full", "io"])
def test_a_fault_at_some_changes_of_files_costs_nothing(library, folder, how):
    found = faults(library, folder, "here", how, first=5, step=SAMPLE)
    assert found["wrong"] == {}
    assert found["n_tried"] >= 3


@pytest.mark.every_write
@pytest.mark.parametrize("how", ["kill", "full", "io"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_at_any_change_of_a_file_costs_nothing(library, folder, kind, how, capsys):
    found = faults(library, folder, kind, how, first=1, step=STEP)
    with capsys.disabled():
        print(f"\n{kind}, {how}: {found['n_tried']} of {found['n_changes']} changes of files tried")  # noqa: T201
    assert found["wrong"] == {}
    assert found["n_tried"] == len(range(0, found["n_changes"], STEP))
