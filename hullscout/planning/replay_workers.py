"""Replays of a plan in parallel, where `[executor]` says: in processes here, in this one, on Dask, or any other executor.

Each has one thread of linear algebra, so that results are the same whatever the number of workers and wherever they are. Pools are
sent to a worker once; processes of this machine share their features, which they map from a file.
"""

from __future__ import annotations

import multiprocessing
import signal
import uuid
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from hullscout.campaign import check_config
from hullscout.errors import WorkersLostError
from hullscout.oracle import CustomSettings, DaskSettings, InProcessSettings, ProcessesSettings, open_custom, open_dask
from hullscout.planning.replay import play

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from hullscout.oracle import AnyExecutor
    from hullscout.planning.replay import Path as ReplayPath
    from hullscout.planning.replay import ReplayJob, ReplayKey, ReplayPool
    from hullscout.selection.known import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayWorkers:
    """What starts jobs: more of them are handed out at a time than there are workers, and tried again if a worker is lost."""

    submit: Callable[[ReplayJob], Future[ReplayPath]]
    n_ahead: int
    retries: int


# What a worker has at hand, by plan: a cluster that runs for long may serve several.
_POOLS: dict[str, Mapping[str, ReplayPool]] = {}
_LIMITS: dict[str, threadpool_limits] = {}


def make_ready(plan: str, pools: Mapping[str, ReplayPool]) -> None:
    """Give a worker the pools of a plan, and one thread of linear algebra until the plan ends."""
    _LIMITS[plan] = threadpool_limits(1)
    _POOLS[plan] = pools


def let_go(plan: str) -> None:
    """Leave a worker as it was before the plan."""
    _POOLS.pop(plan, None)
    if plan in _LIMITS:
        _LIMITS.pop(plan).restore_original_limits()


def play_ready(plan: str, job: ReplayJob) -> ReplayPath:
    """Play a job in a worker that was made ready."""
    return _play(_POOLS[plan][job.pool], job)


def play_on(pool: ReplayPool, job: ReplayJob) -> ReplayPath:
    """Play a job in a worker that nobody made ready; it keeps its one thread from then on."""
    threadpool_limits(1)
    return _play(pool, job)


def _play(pool: ReplayPool, job: ReplayJob) -> ReplayPath:
    return play(pool, check_config(job.settings, source=job.key.campaign), seed=job.key.seed)


def _submit(processes: ProcessPoolExecutor, plan: str, job: ReplayJob) -> Future[ReplayPath]:
    """Hand a job out. What is started for the first one inherits that Ctrl-C is held back, and is deaf to it while it loads."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if hasattr(signal, "pthread_sigmask") else None
    try:
        return processes.submit(play_ready, plan, job)
    finally:
        if held is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)


def _begin_process(plan: str, pools: Mapping[str, ReplayPool], files: Mapping[str, Mapping[str, Path]]) -> None:
    """Make a process of ours ready; it is deaf to Ctrl-C, which the parent hears."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    make_ready(plan, {**pools, **{name: replace(pools[name], features=_mapped(of)) for name, of in files.items()}})


def _mapped(files: Mapping[str, Path]) -> dict[str, Floats]:
    return {name: np.asarray(np.load(path, mmap_mode="c", allow_pickle=False)) for name, path in files.items()}


@contextmanager
def _features_in_files(pools: Mapping[str, ReplayPool]) -> Iterator[dict[str, dict[str, Path]]]:
    """The features of pools in files, by pool and block, that all processes map to the same memory; none where there is no room."""
    with ExitStack() as stack:
        files: dict[str, dict[str, Path]] = {}
        try:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="hullscout-", ignore_cleanup_errors=True)))
            for place, (pool_name, pool) in enumerate(pools.items()):
                of_pool = {name: folder / f"{place}-{block}.npy" for block, name in enumerate(pool.features)}
                for name, path in of_pool.items():
                    np.save(path, pool.features[name])
                files[pool_name] = of_pool
        except OSError:
            files = {}
        yield files


def _play_here(pools: Mapping[str, ReplayPool], job: ReplayJob) -> Future[ReplayPath]:
    """Play a job at once; what it raises is raised here."""
    future: Future[ReplayPath] = Future()
    future.set_result(_play(pools[job.pool], job))
    return future


@contextmanager
def open_replay_workers(settings: AnyExecutor, pools: Mapping[str, ReplayPool]) -> Iterator[ReplayWorkers]:
    """Workers that know the pools, by name; they are ended on leaving, without what they had not begun.

    Time limits and kept files of an executor are those of calculations; replays have neither.
    """
    plan = uuid.uuid4().hex
    match settings:
        case ProcessesSettings(workers=n):
            # Started afresh, so that no threads or locks of the parent are inherited.
            spawn = multiprocessing.get_context("spawn")
            with _features_in_files(pools) as files:
                sent = {name: replace(pool, features={}) if name in files else pool for name, pool in pools.items()}
                processes = ProcessPoolExecutor(n, spawn, initializer=_begin_process, initargs=(plan, sent, files))
                try:
                    yield ReplayWorkers(submit=partial(_submit, processes, plan), n_ahead=2 * n, retries=0)
                finally:
                    processes.shutdown(wait=True, cancel_futures=True)
        case InProcessSettings():
            with threadpool_limits(1):
                yield ReplayWorkers(submit=partial(_play_here, pools), n_ahead=1, retries=0)
        case CustomSettings(workers=n):
            # Its workers may be threads of this process.
            with open_custom(settings) as custom, threadpool_limits(1):
                yield ReplayWorkers(
                    submit=lambda job: custom.submit(play_on, pools[job.pool], job),
                    n_ahead=2 * n,
                    retries=settings.retries,
                )
        case DaskSettings(workers=n):
            with open_dask(settings) as (dask, _), _dask_made_ready(plan, dict(pools)) as n_threads:
                options: dict[str, Any] = {"pure": False, "retries": 0}
                submit = partial(dask.submit, play_ready, plan, **options)
                yield ReplayWorkers(submit=submit, n_ahead=2 * max(n_threads, n), retries=settings.retries)


@contextmanager
def _dask_made_ready(plan: str, pools: dict[str, ReplayPool]) -> Iterator[int]:
    """Make the workers of the open Dask client ready, also those that join later; how many threads they have now."""
    from distributed import Worker, WorkerPlugin, get_client  # noqa: PLC0415  an extra

    class Pools(WorkerPlugin):
        """Sent to each worker once."""

        def setup(self, worker: Worker) -> None:  # noqa: ARG002  the interface of plugins
            make_ready(plan, pools)

        def teardown(self, worker: Worker) -> None:  # noqa: ARG002  the interface of plugins
            let_go(plan)

    client = get_client()
    client.register_plugin(Pools(), name=plan)
    try:
        yield sum(client.nthreads().values())
    finally:
        client.unregister_worker_plugin(name=plan)


def play_all(jobs: Iterable[ReplayJob], workers: ReplayWorkers) -> Iterator[tuple[ReplayJob, ReplayPath]]:
    """Play jobs, and give each as it is finished; a `WorkersLostError` if one is lost and its job may not be tried again."""
    waiting = iter(jobs)
    running: dict[Future[ReplayPath], ReplayJob] = {}
    n_lost: Counter[ReplayKey] = Counter()
    while True:
        while len(running) < workers.n_ahead and (job := next(waiting, None)) is not None:
            running[workers.submit(job)] = job
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            job = running.pop(future)
            error = CancelledError() if future.cancelled() else future.exception()
            is_killed = type(error).__name__ == "KilledWorker"  # Dask's is not imported for its name
            if error is None:
                yield job, future.result()
            elif is_killed and n_lost[job.key] < workers.retries:
                n_lost[job.key] += 1
                running[workers.submit(job)] = job
            elif is_killed or isinstance(error, BrokenExecutor | CancelledError):
                raise WorkersLostError(
                    f"A worker was lost while it replayed {job.key.campaign} with seed {job.key.seed}: killed, or out of memory. "
                    "What was played before is kept; run the same command again, with fewer --workers if memory is short."
                ) from error
            else:
                raise error
