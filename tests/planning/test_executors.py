"""Where replays are played changes nothing in what they show: processes, this process, any executor, Dask."""

import errno
import mmap
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import BrokenExecutor, Future
from contextlib import closing

import numpy as np
import pytest
from planning.conftest import GRID

from hullscout.errors import InvalidPlanError, WorkersLostError
from hullscout.oracle import InProcessSettings
from hullscout.planning import replay_workers
from hullscout.planning.order import PlanOrder, executor_of
from hullscout.planning.planner import open_pools, read_campaigns
from hullscout.planning.replay import ReplayJob, ReplayKey
from hullscout.planning.replay_workers import ReplayWorkers, play_all

HEARING = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # what is started in the background ignores it
from hullscout.cli import main
if __name__ == "__main__":
    main(sys.argv[1:])
"""
EXECUTORS = {
    "in-process": ["--set", "executor.kind=in-process"],
    "processes": ["--set", "executor.kind=processes", "--set", "executor.workers=3"],
    "threads": [
        "--set", "executor.kind=custom", "--set", "executor.path=concurrent.futures.ThreadPoolExecutor",
        "--set", "executor.options={max_workers = 2}", "--workers", "2",
    ],
    "other processes": ["--set", "executor.kind=custom", "--set", "executor.path=concurrent.futures.ProcessPoolExecutor"],
    "dask": ["--set", "executor.kind=dask", "--set", "executor.workers=2"],
    "one dask worker": ["--set", "executor.kind=dask", "--workers", "1"],
}  # fmt: skip


def kept(folder):
    with closing(sqlite3.connect(folder / "plan.db")) as connection:
        return connection.execute("SELECT * FROM replays ORDER BY campaign, path_key, seed").fetchall()


@pytest.mark.slow
@pytest.mark.parametrize("executor", EXECUTORS)
def test_every_executor_gives_the_same_bytes(hullscout, planned, tmp_path, executor):
    if "dask" in executor:
        pytest.importorskip("distributed")
    file, out, _ = planned
    code, text = hullscout("plan", file, "--replicates", 4, "--out", tmp_path / "out", *GRID, *EXECUTORS[executor])
    assert code == 0, text
    assert kept(tmp_path / "out") == kept(out)
    assert (tmp_path / "out" / "plan.json").read_bytes() == (out / "plan.json").read_bytes()


def test_processes_map_features_from_one_file_and_leave_nothing(planned, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (campaign,) = read_campaigns([planned[0]])
    pools, before = open_pools(campaign), set(tmp_path.iterdir())
    with replay_workers._features_in_files(pools) as files:
        for name, pool in pools.items():
            mapped = replay_workers._mapped(files[name])
            assert mapped.keys() == pool.features.keys()
            assert all(mapped[block].tobytes() == own.tobytes() for block, own in pool.features.items())
            assert all(isinstance(one.base, np.memmap | mmap.mmap) for one in mapped.values())
    assert set(tmp_path.iterdir()) == before


def test_without_room_for_that_file_processes_are_sent_features(hullscout, planned, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "no space left")

    file, out, _ = planned
    monkeypatch.setattr(replay_workers.np, "save", full)
    code, text = hullscout("plan", file, "--replicates", 4, "--out", tmp_path / "out", *GRID, *EXECUTORS["processes"])
    assert code == 0, text
    assert kept(tmp_path / "out") == kept(out)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one group")
def test_ctrl_c_while_processes_start_ends_in_one_sentence(planned, tmp_path):
    """As a terminal sends it: to the plan and to its processes."""
    words = ["plan", planned[0], "--replicates", "40", "--workers", "2", "--out", tmp_path / "out"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-c", HEARING, *map(str, words)],
        env=environment,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while not [*tmp_path.glob("hullscout-*/*.npy")]:
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=60.0)
    assert process.returncode == 130, said
    assert "Interrupted. Every finished replay is kept" in said
    assert "Traceback" not in said
    assert not [*tmp_path.glob("hullscout-*")]


def test_a_running_dask_cluster_is_used_and_left_as_it_was(hullscout, planned, tmp_path):
    distributed = pytest.importorskip("distributed")
    file, out, _ = planned
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        settings = ["--set", "executor.kind=dask", "--set", f"executor.address={cluster.scheduler_address}"]
        code, text = hullscout("plan", file, "--replicates", 4, "--out", tmp_path / "out", *GRID, *settings)
        assert code == 0, text
        (seen,) = client.run(lambda: len(__import__("hullscout.planning.replay_workers", fromlist="_")._POOLS)).values()
        assert seen == 0
    assert kept(tmp_path / "out") == kept(out)


def job(seed):
    return ReplayJob(key=ReplayKey(campaign="small", path_key="", seed=seed), pool="", settings={}, played_to=0.05)


class KilledWorker(Exception):  # noqa: N818  the name of Dask's own
    """Stands for the loss of a worker, as Dask tells it."""


def workers(*, retries, deaths, error):
    """Workers that are lost with so many of the jobs of seed 2 before they give an answer."""
    left = [error] * deaths

    def submit(given):
        future = Future()
        if given.key.seed == 2 and left:
            future.set_exception(left.pop())
        else:
            future.set_result(given.key.seed)
        return future

    return ReplayWorkers(submit=submit, n_ahead=2, retries=retries)


def test_a_replay_whose_worker_was_lost_is_tried_again_so_often():
    jobs = [job(seed) for seed in range(4)]
    done = {one.key.seed: path for one, path in play_all(jobs, workers(retries=2, deaths=2, error=KilledWorker()))}
    assert done == {0: 0, 1: 1, 2: 2, 3: 3}
    with pytest.raises(WorkersLostError, match=r"replayed small with seed 2.*kept; run the same command again"):
        list(play_all(jobs, workers(retries=1, deaths=2, error=KilledWorker())))
    with pytest.raises(WorkersLostError, match="killed, or out of memory"):
        list(play_all(jobs, workers(retries=9, deaths=1, error=BrokenExecutor())))
    with pytest.raises(ZeroDivisionError, match="a fault of the code"):
        list(play_all(jobs, workers(retries=9, deaths=1, error=ZeroDivisionError("a fault of the code"))))


def test_the_number_of_workers_is_the_executors_unless_given(campaign_file):
    def size(*overrides, n_workers=None):
        executor = executor_of(read_campaigns([campaign_file], overrides=overrides), n_workers=n_workers)
        return PlanOrder(n_replicates=1, executor=executor, n_workers=n_workers).sized_executor

    assert size("executor.workers=7").workers == 7
    assert size("executor.kind=dask", n_workers=5).workers == 5
    assert size(n_workers=5).workers == 5
    assert size().workers >= 1
    assert isinstance(size("executor.kind=in-process"), InProcessSettings)


def test_executors_in_conflict_are_refused(hullscout, campaign_file, tmp_path):
    campaigns = read_campaigns([campaign_file], overrides=["executor.workers=2"])
    other = tmp_path / "other.toml"
    text = campaign_file.read_text().replace('"small"', '"other"').replace("seed = 1", "seed = 2")
    other.write_text(text + '\n[executor]\nkind = "dask"\n')
    with pytest.raises(
        InvalidPlanError, match=r"files state two: small \{.*'workers': 2.*\} and other \{'kind': 'dask'\}"
    ):
        executor_of([*campaigns, *read_campaigns([other])])
    assert executor_of([*read_campaigns([campaign_file, other])]).kind == "dask"
    for arguments, message in (
        (["--workers", 2, "--set", "executor.workers=3"], "executor.workers is given by --set as well"),
        (["--workers", 2, "--set", "executor.kind=in-process"], "plays one replay at a time"),
        (
            ["--set", "executor.kind=custom", "--set", "executor.path=os.nowhere"],
            "executor.path: 'os.nowhere' cannot be made",
        ),
        (["--set", "executor.kind=dask", "--set", "executor.cluster=os.nowhere"], "cannot be used as Dask cluster"),
    ):
        code, text = hullscout("plan", campaign_file, "--replicates", 1, "--out", tmp_path / "out", *arguments)
        assert (code, message in text) == (2, True), text
    assert not (tmp_path / "out" / "plan.json").exists()
