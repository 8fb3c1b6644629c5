"""Where calculations run: a table at hand, this process, worker processes here, Dask, or any other executor.

Workers take candidates and give a `concurrent.futures.Future` of each outcome. They know of no campaign, and a calculation that
went wrong is an outcome, not an exception.
"""

from __future__ import annotations

import sys
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, chdir, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hullscout.errors import OracleError
from hullscout.oracle.calculator import Task, calculate, probe
from hullscout.oracle.guard import OUTPUT, calculate_guarded, close_guards, working_folder
from hullscout.oracle.handoff import folder_name
from hullscout.oracle.outcome import Calculated, Failed, FailureReason, Outcome
from hullscout.oracle.settings import (
    AnyExecutor,
    CalculatorSettings,
    CustomSettings,
    DaskSettings,
    InProcessSettings,
    ProcessesSettings,
)
from hullscout.settings import object_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hullscout.oracle.table import TableOracle
    from hullscout.pool import Candidate

PROBE_TIMEOUT_S = 600.0
"""Workers of a cluster may have to wait for a machine; a probe that takes longer is awaited no more."""
CONNECT_TIMEOUT_S = 30


class Workers(Protocol):
    """What computes energies."""

    size: int
    """Calculations at a time."""
    retries: int
    """Further tries after a failure that may pass."""
    is_recorded: bool
    """Whether each calculation is worth a record of its own."""

    def submit(self, candidate: Candidate, *, attempt: int) -> Future[Outcome]:
        """Start a calculation; the attempts of one candidate are counted from 1."""


@dataclass(kw_only=True)
class TableWorkers:
    """Energies that are known already."""

    table: TableOracle
    size: int = sys.maxsize
    retries: int = 0
    is_recorded: bool = False

    def submit(self, candidate: Candidate, *, attempt: int) -> Future[Outcome]:  # noqa: ARG002  the interface of all workers
        """Look an energy up."""
        return _done(Calculated(energy_ev=self.table.lookup(candidate.id)))


@dataclass(kw_only=True)
class CalculatorWorkers:
    """Energies computed by an ASE calculator through an executor, or in this process where there is none."""

    settings: CalculatorSettings
    executor: Executor | None
    options: dict[str, Any]
    size: int
    retries: int
    time_limit_s: float | None
    keep_files: Path | None
    is_recorded: bool = True

    def submit(self, candidate: Candidate, *, attempt: int) -> Future[Outcome]:
        """Start a calculation."""
        task = Task(candidate=candidate, settings=self.settings)
        kept = None if self.keep_files is None else str(self.keep_files / f"{folder_name(candidate.id)}.{attempt}")
        if self.executor is not None:
            return self.executor.submit(calculate_guarded, task, self.time_limit_s, kept, **self.options)
        with working_folder(kept) as folder, chdir(folder), Path(OUTPUT).open("a") as output, redirect_stdout(output):
            return _done(calculate(task))


def outcome_of(future: Future[Outcome]) -> Outcome | OracleError:
    """The outcome of a finished future; a worker that was lost with it is a failure, an executor that is gone an error."""
    try:
        return future.result()
    except (Exception, CancelledError) as error:  # noqa: BLE001  an executor may raise anything; all of it is told
        if type(error).__name__ == "KilledWorker":  # Dask's, which is not imported for its name
            return Failed(reason=FailureReason.WORKER_DIED, sentence="The Dask worker that ran it was killed or lost.")
        text = " ".join(str(error).split())
        gone = OracleError(
            f"The executor is gone ({type(error).__name__}{': ' * bool(text)}{text}). What was computed is kept; run the same "
            "command again."
        )
        gone.__cause__ = error
        return gone


@contextmanager
def open_workers(oracle: CalculatorSettings, executor: AnyExecutor, *, folder: Path) -> Iterator[CalculatorWorkers]:
    """Workers for a campaign in `folder`; they are ended, with all that they are doing, on leaving.

    Raises:
        OracleError: The executor or the calculator cannot be made.
    """
    with ExitStack() as stack:
        pool, size, options = _executor(executor, stack)
        verdict = probe(oracle) if pool is None else _probe_by(pool, oracle, options)
        if isinstance(verdict, Failed):
            raise OracleError(verdict.sentence)
        yield CalculatorWorkers(
            settings=oracle,
            executor=pool,
            options=options,
            size=size,
            retries=executor.retries,
            time_limit_s=None if isinstance(executor, InProcessSettings) else executor.time_limit_s,
            keep_files=None if executor.keep_files is None else (folder / executor.keep_files).resolve(),
        )


class LocalProcesses(ThreadPoolExecutor):
    """Worker processes on this machine: each thread minds one, so that a killed process harms one calculation only."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002  (the interface)
        """End the worker processes, in the middle of what they do too."""
        super().shutdown(wait=False, cancel_futures=cancel_futures)
        close_guards()
        super().shutdown(wait=wait, cancel_futures=cancel_futures)


@contextmanager
def open_custom(settings: CustomSettings) -> Iterator[Executor]:
    """The executor that a dotted path names; it is ended on leaving, without waiting for what it is doing.

    Raises:
        OracleError: It cannot be made, or is no executor.
    """
    try:
        pool = object_at(settings.path)(**settings.options)
    except Exception as error:
        raise OracleError(
            f"executor.path: {settings.path!r} cannot be made with {settings.options}: {type(error).__name__}: {error}"
        ) from error
    if not callable(getattr(pool, "submit", None)) or not callable(getattr(pool, "shutdown", None)):
        raise OracleError(
            f"executor.path: expected a class with submit and shutdown of concurrent.futures.Executor, found "
            f"that {settings.path!r} makes {pool!r}."
        )
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def open_dask(settings: DaskSettings) -> Iterator[tuple[Executor, int]]:
    """An executor on Dask, and how many calculations it takes at a time; a cluster that was started here ends on leaving.

    Raises:
        OracleError: Dask is not installed, or the cluster cannot be made or reached.
    """
    try:
        import dask  # noqa: PLC0415  an extra
        from distributed import Client, LocalCluster  # noqa: PLC0415
    except ImportError as error:
        raise OracleError(
            f"executor.kind: 'dask' needs the packages of `pip install 'hullscout[dask]'`: {error}."
        ) from error
    with ExitStack() as stack:
        # A worker that dies is told at once instead of after three deaths: the campaign counts the tries itself.
        stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": 0}))
        n = settings.workers
        try:
            cluster: Any = settings.address
            if settings.cluster is not None:
                cluster = stack.enter_context(object_at(settings.cluster)(**settings.options))
                cluster.scale(n)
            elif cluster is None:
                local = LocalCluster(n_workers=n, threads_per_worker=1, processes=True, dashboard_address=":0")
                cluster = stack.enter_context(local)
            client = stack.enter_context(Client(cluster, timeout=CONNECT_TIMEOUT_S))
        except Exception as error:
            where = settings.address or settings.cluster or "a local cluster"
            raise OracleError(
                f"executor: {where} cannot be used as Dask cluster: {type(error).__name__}: {error}"
            ) from error
        stack.callback(client.cancel, [], force=True)
        yield client.get_executor(), n


def _executor(settings: AnyExecutor, stack: ExitStack) -> tuple[Executor | None, int, dict[str, Any]]:
    """The executor, how many calculations it takes at a time, and what each submission says beside its task."""
    match settings:
        case InProcessSettings():
            return None, 1, {}
        case ProcessesSettings():
            pool: Executor = LocalProcesses(max_workers=settings.workers)
            stack.callback(pool.shutdown, wait=True, cancel_futures=True)
            return pool, settings.workers, {}
        case CustomSettings():
            stack.callback(close_guards)
            return stack.enter_context(open_custom(settings)), settings.workers, {}
        case DaskSettings():
            pool, size = stack.enter_context(open_dask(settings))
            return pool, size, {"pure": False, "retries": 0}


def _probe_by(pool: Executor, oracle: CalculatorSettings, options: dict[str, Any]) -> Outcome:
    future = pool.submit(calculate_guarded, oracle, **options)
    try:
        return future.result(timeout=PROBE_TIMEOUT_S)
    except TimeoutError as error:
        raise OracleError(
            f"No worker answered within {PROBE_TIMEOUT_S:g} s. Does the cluster have workers? Nothing was computed."
        ) from error
    except Exception as error:
        raise OracleError(
            f"The workers cannot run calculations ({type(error).__name__}: {error}). Is hullscout installed where they run?"
        ) from error


def _done(outcome: Outcome) -> Future[Outcome]:
    future: Future[Outcome] = Future()
    future.set_result(outcome)
    return future
