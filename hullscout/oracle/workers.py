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
from typing import TYPE_CHECKING, Any

from hullscout.errors import OracleError
from hullscout.oracle.calculator import OUTPUT, calculate, calculate_in_worker, end_workers, probe, working_folder
from hullscout.oracle.handoff import folder_name
from hullscout.oracle.outcome import Calculated, Failed, FailureReason
from hullscout.oracle.settings import CustomSettings, DaskSettings, InProcessSettings, ProcessesSettings
from hullscout.settings import object_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hullscout.oracle.outcome import Outcome
    from hullscout.oracle.settings import AnyExecutor, CalculatorSettings
    from hullscout.oracle.table import TableOracle
    from hullscout.pool import Candidate

PROBE_TIMEOUT_S = 600.0  # workers of a cluster may have to wait for a machine
CONNECT_TIMEOUT_S = 30


@dataclass(kw_only=True)
class TableWorkers:
    """Energies that are known already."""

    table: TableOracle
    size: int = sys.maxsize
    retries: int = 0
    is_recorded: bool = False

    def submit(self, candidate: Candidate, *, attempt: int) -> Future[Outcome]:  # noqa: ARG002  as other workers
        """Look an energy up."""
        return _done(Calculated(energy_ev=self.table.lookup(candidate.id)))


@dataclass(kw_only=True)
class CalculatorWorkers:
    """Energies computed by an ASE calculator through an executor, or in this process where there is none."""

    settings: CalculatorSettings
    executor: Executor | None
    options: dict[str, Any]  # of each submission
    size: int  # calculations at a time
    retries: int  # further tries after a failure that may pass
    time_limit_s: float | None
    keep_files: Path | None
    is_recorded: bool = True  # each calculation is worth a record of its own

    def submit(self, candidate: Candidate, *, attempt: int) -> Future[Outcome]:
        """Start a calculation; the attempts of one candidate are counted from 1."""
        kept = None if self.keep_files is None else str(self.keep_files / f"{folder_name(candidate.id)}.{attempt}")
        if self.executor is not None:
            return self.executor.submit(
                calculate_in_worker, candidate, self.settings, self.time_limit_s, kept, **self.options
            )
        with working_folder(kept) as folder, chdir(folder), Path(OUTPUT).open("a") as output, redirect_stdout(output):
            return _done(calculate(candidate, self.settings))


Workers = TableWorkers | CalculatorWorkers


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
        options: dict[str, Any] = {"pure": False, "retries": 0} if isinstance(executor, DaskSettings) else {}
        pool = _executor(executor, stack)
        verdict = probe(oracle) if pool is None else _probe_by(pool, oracle, options)
        if isinstance(verdict, Failed):
            raise OracleError(verdict.sentence)
        yield CalculatorWorkers(
            settings=oracle,
            executor=pool,
            options=options,
            size=executor.workers,
            retries=executor.retries,
            time_limit_s=executor.time_limit_s,
            keep_files=None if executor.keep_files is None else (folder / executor.keep_files).resolve(),
        )


@contextmanager
def open_custom(settings: CustomSettings) -> Iterator[Executor]:
    """The executor that a dotted path names; it is ended on leaving, without waiting for what it is doing."""
    try:
        pool = object_at(settings.path)(**settings.options)
    except Exception as error:
        raise OracleError(
            f"executor.path: {settings.path!r} cannot be made with {settings.options}: {type(error).__name__}: {error}"
        ) from error
    if not all(callable(getattr(pool, method, None)) for method in ("submit", "shutdown")):
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
    """An executor on Dask, and how many calculations it takes at a time; a cluster that was started here ends on leaving."""
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
                cluster = LocalCluster(n_workers=n, threads_per_worker=1, processes=True, dashboard_address=":0")
                stack.enter_context(cluster)
            client = stack.enter_context(Client(cluster, timeout=CONNECT_TIMEOUT_S))
        except Exception as error:
            where = settings.address or settings.cluster or "a local cluster"
            raise OracleError(
                f"executor: {where} cannot be used as Dask cluster: {type(error).__name__}: {error}"
            ) from error
        stack.callback(client.cancel, [], force=True)
        yield client.get_executor(), n


def _executor(settings: AnyExecutor, stack: ExitStack) -> Executor | None:
    """The executor, whose workers end with the stack in the middle of what they do; None for this process."""
    match settings:
        case InProcessSettings():
            return None
        case ProcessesSettings():  # each thread minds a process, so that a killed one harms one calculation only
            pool = stack.enter_context(ThreadPoolExecutor(settings.workers))
            stack.callback(end_workers)
            stack.callback(pool.shutdown, wait=False, cancel_futures=True)
            return pool
        case CustomSettings():
            stack.callback(end_workers)
            return stack.enter_context(open_custom(settings))
        case DaskSettings():
            return stack.enter_context(open_dask(settings))[0]


def _probe_by(pool: Executor, oracle: CalculatorSettings, options: dict[str, Any]) -> Outcome:
    future = pool.submit(calculate_in_worker, None, oracle, **options)
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
