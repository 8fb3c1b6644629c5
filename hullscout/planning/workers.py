"""Replays in parallel, where `[executor]` says: processes here, this process, Dask, or any other executor.

Each replay has one thread of linear algebra, so that results are the same whatever the number of workers and wherever they are.
What replays are played on is sent to a worker once, not with each replay.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import Counter
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from threadpoolctl import threadpool_limits

from hullscout.errors import WorkersLostError
from hullscout.oracle import (
    AnyExecutor,
    CustomSettings,
    DaskSettings,
    InProcessSettings,
    ProcessesSettings,
    open_custom,
    open_dask,
)
from hullscout.planning.replay import play

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from hullscout.campaign.config import CampaignConfig
    from hullscout.planning.path import Path
    from hullscout.planning.replay import Ground
    from hullscout.planning.store import ReplayKey

P = ParamSpec("P")
T = TypeVar("T")


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


# What the replays of this process are played on.
_GROUNDS: dict[str, Ground] = {}


def settle(grounds: Mapping[str, Ground]) -> None:
    """Make this process a worker: one thread, deaf to Ctrl-C (the parent hears it), with the pools at hand."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threadpool_limits(1)
    _GROUNDS.update(grounds)


def play_job(job: Job) -> Path:
    """Play a job in a worker that was settled."""
    return play(_GROUNDS[job.ground], job.config, seed=job.key.seed)


def play_on(ground: Ground, job: Job) -> Path:
    """Play a job in a worker that nobody settled; it keeps its one thread from then on."""
    threadpool_limits(1)
    return play(ground, job.config, seed=job.key.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Players:
    """Workers that play replays.

    Attributes:
        submit: Starts a job.
        n_ahead: Jobs handed out at a time; more than there are workers keeps them busy.
        retries: Further tries after a lost worker.
    """

    submit: Callable[[Job], Future[Path]]
    n_ahead: int
    retries: int


class InThisProcess(Executor):
    """Runs what is submitted at once, in the process that submits it."""

    def submit(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run it; what it raises is raised here."""
        future: Future[T] = Future()
        future.set_result(call(*args, **kwargs))
        return future


@contextmanager
def open_players(settings: AnyExecutor, grounds: Mapping[str, Ground]) -> Iterator[Players]:
    """Workers that know the grounds; they are ended on leaving, without what they had not begun.

    Args:
        settings: Where they run. Time limits and kept files are those of calculations; replays have neither.
        grounds: What replays are played on, by name.

    Raises:
        OracleError: The executor cannot be made.
    """
    match settings:
        case ProcessesSettings():
            # Started afresh, so that no threads or locks of the parent are inherited.
            context = multiprocessing.get_context("spawn")
            pool = ProcessPoolExecutor(settings.workers, mp_context=context, initializer=settle, initargs=(grounds,))
            try:
                yield Players(submit=lambda job: pool.submit(play_job, job), n_ahead=2 * settings.workers, retries=0)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
        case InProcessSettings():
            with threadpool_limits(1):
                here = InThisProcess()
                yield Players(submit=lambda job: here.submit(play_on, grounds[job.ground], job), n_ahead=1, retries=0)
        case CustomSettings():
            # Its workers may be threads of this process.
            with open_custom(settings) as custom, threadpool_limits(1):
                yield Players(
                    submit=lambda job: custom.submit(play_on, grounds[job.ground], job),
                    n_ahead=2 * settings.workers,
                    retries=settings.retries,
                )
        case DaskSettings():
            with open_dask(settings) as (dask, _):
                from hullscout.planning.dask_grounds import settled  # noqa: PLC0415

                options: dict[str, Any] = {"pure": False, "retries": 0}
                with settled(grounds) as (play_settled, n_threads):
                    yield Players(
                        submit=lambda job: dask.submit(play_settled, job, **options),
                        n_ahead=2 * max(n_threads, settings.workers),
                        retries=settings.retries,
                    )


def play_all(jobs: Iterable[Job], players: Players) -> Iterator[tuple[Job, Path]]:
    """Play jobs, and give each as it is finished.

    Raises:
        WorkersLostError: A worker was lost with its replay, more often than it may be tried again, or all are gone.
    """
    waiting = iter(jobs)
    running: dict[Future[Path], Job] = {}
    n_lost: Counter[ReplayKey] = Counter()
    while True:
        while len(running) < players.n_ahead and (job := next(waiting, None)) is not None:
            running[players.submit(job)] = job
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            job = running.pop(future)
            error = None if future.cancelled() else future.exception()
            if error is None and not future.cancelled():
                yield job, future.result()
                continue
            # Dask's error is not imported for its name.
            if type(error).__name__ == "KilledWorker" and n_lost[job.key] < players.retries:
                n_lost[job.key] += 1
                running[players.submit(job)] = job
                continue
            if (
                error is None
                or isinstance(error, BrokenExecutor | CancelledError)
                or type(error).__name__ == "KilledWorker"
            ):
                raise WorkersLostError(
                    f"A worker was lost while it replayed {job.key.campaign} with seed {job.key.seed}: killed, or out of memory. "
                    "What was played before is kept; run the same command again, with fewer --workers if memory is short."
                ) from error
            raise error
