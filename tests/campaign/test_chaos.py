"""A live campaign over Dask whose workers and main process are killed twenty times ends as if nothing had happened.

`HULLSCOUT_KILLS` sets another number of kills.
"""

import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import datetime

import psutil
import pytest
from conftest import ROOT

N_KILLS = int(os.environ.get("HULLSCOUT_KILLS", "20"))
CAMPAIGN = """
name = "chaos"
elements = ["Cu", "Au"]

[pool]
path = "{root}/campaigns/cuau-emt/cuau-cells.extxyz.gz"

[oracle]
kind = "calculator"
calculator = "faulty_calculators.Logged"
arguments = {{ log = "{folder}/{name}.log", seconds = {seconds} }}

[executor]
kind = "{executor}"
retries = 50

[select]
rule = "random"
batch = 3

"""


def start(folder, name, *settings):
    command = [sys.executable, "-c", "from hullscout.cli import main; main()", "run", str(folder / f"{name}.toml")]
    command += ["--out", str(folder / name), *(word for setting in settings for word in ("--set", setting))]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "OMP_NUM_THREADS": "1",
    }
    with (folder / f"{name}.out").open("a") as output:
        return subprocess.Popen(command, stdout=output, stderr=output, env=environment)


def rows(folder, query):
    try:
        with closing(sqlite3.connect(f"file:{folder / 'campaign.db'}?mode=ro", uri=True, timeout=30)) as connection:
            return connection.execute(query).fetchall()
    except sqlite3.OperationalError:  # not made yet
        return []


def n_started(folder):
    return sum(count for (count,) in rows(folder, "SELECT count(*) FROM attempts"))


def workers_of(process):
    """The Dask workers of a campaign and the processes in which these calculate."""
    workers = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            line = " ".join(child.cmdline())
        except psutil.Error:
            continue
        if "spawn_main" in line or "hullscout.oracle.worker_process" in line:
            workers.append(child)
    return workers


def kill_one(process, rng):
    """Kill the main process, or one of its workers; what was killed."""
    workers = workers_of(process)
    if workers and rng.random() < 0.6:
        try:
            rng.choice(workers).kill()
        except psutil.NoSuchProcess:
            return None
        return "worker"
    process.kill()
    process.wait()
    return "main"


@pytest.mark.chaos
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_campaign_over_dask_survives_kills(tmp_path):
    rng = random.Random(0)  # noqa: S311  not for secrets
    for name, executor, seconds in (("calm", "in-process", 0.0), ("stormy", "dask", 0.5)):
        text = CAMPAIGN.format(root=ROOT, folder=tmp_path, name=name, executor=executor, seconds=seconds)
        (tmp_path / f"{name}.toml").write_text(text)
    assert start(tmp_path, "calm").wait() == 0
    out, dask = tmp_path / "stormy", ("executor.workers=2", "executor.flow=rounds")
    killed = []
    process = start(tmp_path, "stormy", *dask)
    while len(killed) < N_KILLS:
        before = n_started(out)
        while process.poll() is None and n_started(out) == before:  # each life or worker is let to begin something
            time.sleep(0.02)
        time.sleep(rng.uniform(0.0, 0.6))
        if process.poll() is not None:
            assert process.returncode == 0, (tmp_path / "stormy.out").read_text()
            break
        what = kill_one(process, rng)
        killed += [] if what is None else [what]
        if what == "main":
            process = start(tmp_path, "stormy", *dask)
    assert process.wait() == 0, (tmp_path / "stormy.out").read_text()
    assert len(killed) == N_KILLS, "the campaign ended before all kills; give it more to do"
    if N_KILLS >= 10:
        assert {"main", "worker"} == set(killed)

    answers = dict(rows(out, "SELECT id, energy_ev FROM answers"))
    assert answers == dict(rows(tmp_path / "calm", "SELECT id, energy_ev FROM answers"))
    assert rows(out, "SELECT record FROM rounds") == rows(tmp_path / "calm", "SELECT record FROM rounds")
    results = []
    for folder in (tmp_path / "calm", out):
        results.append(json.loads((folder / "result.json").read_text()))
        del results[-1]["timings_s"]
    assert results[0] == results[1]

    id_of = {energy: candidate_id for candidate_id, energy in answers.items()}
    assert len(id_of) == len(answers)
    committed = dict(rows(out, "SELECT id, ended FROM attempts WHERE ended IS NOT NULL AND reason IS NULL"))
    assert committed.keys() == answers.keys()
    begun = [line.split() for line in (tmp_path / "stormy.log").read_text().splitlines()]
    assert len(begun) > len(answers)  # something was lost on the way
    for began, energy in begun:
        assert float(began) <= datetime.fromisoformat(committed[id_of[float(energy)]]).timestamp()
