"""Replays in parallel. Each runs in a process with one thread, so that results are the same whatever the number of workers."""

from __future__ import annotations

import multiprocessing
import signal
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from hullscout.planning.replay import play

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from concurrent.futures import Executor

    from hullscout.campaign.config import CampaignConfig
    from hullscout.planning.path import Path
    from hullscout.planning.replay import Ground
    from hullscout.planning.store import ReplayKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A replay to be played.

    Attributes:
        key: Which one.
        ground: Name of what it is played on.
        config: Its settings, with the failure probability to which it is played.
    """

    key: ReplayKey
    ground: str
    config: CampaignConfig


# What the replays of this process are played on. Sent once to each worker, not with each job.
_GROUNDS: dict[str, Ground] = {}


def settle(grounds: Mapping[str, Ground]) -> None:
    """Make this process a worker: one thread, deaf to Ctrl-C (the parent hears it), with the pools at hand."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threadpool_limits(1)
    _GROUNDS.update(grounds)


def play_job(job: Job) -> Path:
    """Play a job in a worker."""
    return play(_GROUNDS[job.ground], job.config, seed=job.key.seed)


@contextmanager
def local_workers(n_workers: int, grounds: Mapping[str, Ground]) -> Iterator[Executor]:
    """Processes of this machine, started afresh so that no threads or locks of the parent are inherited."""
    executor = ProcessPoolExecutor(
        n_workers, mp_context=multiprocessing.get_context("spawn"), initializer=settle, initargs=(grounds,)
    )
    try:
        yield executor
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def play_all(jobs: Iterable[Job], executor: Executor, *, n_ahead: int) -> Iterator[tuple[Job, Path]]:
    """Play jobs on an executor whose processes were settled, and give each as it is finished.

    Args:
        jobs: What to play.
        executor: Any of `concurrent.futures`.
        n_ahead: Jobs handed out at a time; twice the number of workers keeps them busy.
    """
    waiting = iter(jobs)
    running: dict[Future[Path], Job] = {}
    while True:
        while len(running) < n_ahead and (job := next(waiting, None)) is not None:
            running[executor.submit(play_job, job)] = job
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            yield running.pop(future), future.result()
