"""Where calculations run: a table at hand, this process, worker processes here, Dask, or any other executor.

Workers take candidates and give a `concurrent.futures.Future` of each outcome. They know of no campaign, and a calculation that
went wrong is an outcome, not an exception.

The table is the only reader of a pool's energies: a replay looks them up one by one. What it answers is the total energy of a
candidate's own cell; where a crystal occurs more than once in the pool, the lowest energy per atom among its twins answers for all.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.display import MILLI, class_names, told
from hullscout.errors import OracleError
from hullscout.oracle.calculator import failure_by
from hullscout.oracle.handoff import folder_name
from hullscout.oracle.in_process import adopted_processes, calculate_here
from hullscout.oracle.outcome import Calculated, Failed, FailureReason, Outcome
from hullscout.oracle.paths import Beside
from hullscout.oracle.presence import Presence
from hullscout.oracle.room import existing
from hullscout.oracle.settings import (
    AnyExecutor,
    ComputedSettings,
    CustomSettings,
    DaskSettings,
    InProcessSettings,
    ProcessesSettings,
)
from hullscout.oracle.worker_process import calculate_in_worker, end_workers, working_folder
from hullscout.pool.twins import CONFLICT_EV_PER_ATOM
from hullscout.settings import look_beside, object_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from hullscout.pool import Candidate, Frame, Frames, Pool

PROBE_TIMEOUT_S = 600.0  # workers of a cluster may have to wait for a machine
CONNECT_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinConflict:
    """One crystal with energies that do not agree: the ids of a candidate and its twins, and highest minus lowest energy."""

    ids: tuple[str, ...]
    spread_ev_per_atom: float

    def __str__(self) -> str:
        return (
            f"Caution: {' = '.join(self.ids)} are one crystal, but their energies differ by "
            f"{MILLI * self.spread_ev_per_atom:.1f} meV/atom; the lowest is used."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TableOracle:
    """The ids, total energies in eV per cell and numbers of atoms of n candidates in pool order, and twins that do not agree."""

    ids: tuple[str, ...] = field(repr=False)
    energies_ev: tuple[float, ...] = field(repr=False)
    n_atoms: tuple[int, ...] = field(repr=False)
    conflicts: tuple[TwinConflict, ...]
    _rows: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_rows", {candidate_id: row for row, candidate_id in enumerate(self.ids)})
        if not len(self._rows) == len(self.ids) == len(self.energies_ev) == len(self.n_atoms):
            raise OracleError(
                f"Expected one energy and one number of atoms for each id, found {len(self._rows)} different ids of "
                f"{len(self.ids)}, {len(self.energies_ev)} energies and {len(self.n_atoms)} numbers of atoms."
            )
        if not np.isfinite(self.energies_ev).all() or min(self.n_atoms, default=1) < 1:
            raise OracleError(
                "Expected finite energies in eV per cell and cells with atoms. Build tables by from_frames."
            )

    @classmethod
    def from_frames(cls, frames: Frames, pool: Pool) -> TableOracle:
        """The energies that frames state for the candidates of the pool that was built from them, in its order."""
        stated = {frame.id: frame for frame in frames.frames}
        twins = pool.twins
        energies: list[float] = []
        conflicts: list[TwinConflict] = []
        for candidate in pool.candidates:
            ids = (candidate.id, *twins.get(candidate.id, ()))
            cells = [_energy_and_size(stated.get(member), member) for member in ids]
            per_atom = [energy / size for energy, size in cells]
            energy, size = cells[int(np.argmin(per_atom))]
            energies.append(energy * (candidate.n_atoms / size))
            spread = max(per_atom) - min(per_atom)
            if spread > CONFLICT_EV_PER_ATOM:
                conflicts.append(TwinConflict(ids=ids, spread_ev_per_atom=spread))
        n_atoms = tuple(pool.n_atoms.tolist())
        return cls(ids=pool.ids, energies_ev=tuple(energies), n_atoms=n_atoms, conflicts=tuple(conflicts))

    def lookup(self, candidate_id: str) -> float:
        """The total energy in eV of the candidate's cell."""
        if candidate_id not in self._rows:
            raise OracleError(
                f"Expected the id of one of {len(self.ids)} candidates, found {candidate_id=}. "
                "Twins are asked for by the id of the candidate that stands for them."
            )
        return self.energies_ev[self._rows[candidate_id]]

    def energies_ev_per_atom(self) -> NDArray[np.float64]:
        """(n,) energies in eV/atom in pool order: the reference that a replay is judged by."""
        return np.array(self.energies_ev, dtype=np.float64) / np.array(self.n_atoms, dtype=np.float64)


def _energy_and_size(frame: Frame | None, candidate_id: str) -> tuple[float, int]:
    """Energy in eV per cell and atoms in the cell of one frame."""
    if frame is None or frame.energy_ev is None:
        found = "no such frame" if frame is None else f"{frame.name} without one"
        raise OracleError(
            f"Expected an energy for {candidate_id!r}, found {found}. Build pool and table from the same frames."
        )
    return frame.energy_ev, len(frame.numbers)


@dataclass(kw_only=True)
class TableWorkers:
    """Energies that are known already."""

    table: TableOracle
    size: int = sys.maxsize
    retries: int = 0
    is_recorded: bool = False
    places: tuple[Path, ...] = ()

    def submit(self, candidate: Candidate, *, attempt: int) -> Future[Outcome]:  # noqa: ARG002  as other workers
        """Look an energy up."""
        return _done(Calculated(energy_ev=self.table.lookup(candidate.id)))


@dataclass(kw_only=True)
class CalculatorWorkers:
    """Energies computed by an ASE calculator or a function through an executor, or in this process where there is none."""

    settings: ComputedSettings
    executor: Executor | None
    options: dict[str, Any]  # of each submission
    size: int  # calculations at a time
    retries: int  # further tries after a failure that may pass
    time_limit_s: float | None
    keep_files: Path | None
    beside: str | None = None  # the folder of the campaign file, where modules may lie
    is_recorded: bool = True  # each calculation is worth a record of its own

    def submit(self, candidate: Candidate, *, attempt: int) -> Future[Outcome]:
        """Start a calculation; the attempts of one candidate are counted from 1."""
        kept = None if self.keep_files is None else str(self.keep_files / f"{folder_name(candidate.id)}.{attempt}")
        if self.executor is not None:
            return self.executor.submit(
                calculate_in_worker, candidate, self.settings, self.time_limit_s, kept, self.beside, **self.options
            )
        try:
            with working_folder(kept) as folder:
                return _done(calculate_here(candidate, self.settings, folder))
        except OSError as error:  # there is no folder to calculate in
            return _done(failure_by(error))

    @property
    def places(self) -> tuple[Path, ...]:
        """Where calculations write, as far as it is known here."""
        return (Path(tempfile.gettempdir()) if self.keep_files is None else existing(self.keep_files),)


Workers = TableWorkers | CalculatorWorkers


def outcome_of(future: Future[Outcome]) -> Outcome | OracleError:
    """The outcome of a finished future; a worker that was lost with it is a failure.

    An error is an executor that is gone, and what a function returned where that is not understood: no other calculation would
    fare better.
    """
    try:
        outcome = future.result()
    except (Exception, CancelledError) as error:  # noqa: BLE001  an executor may raise anything; all of it is told
        if class_names(error)[0] == "KilledWorker":  # Dask's, which is not imported for its name
            return Failed(reason=FailureReason.WORKER_DIED, sentence="The Dask worker that ran it was killed or lost.")
        gone = OracleError(
            f"The executor is gone ({told(error)}). What was computed is kept; run the same command again."
        )
        gone.__cause__ = error
        return gone
    if isinstance(outcome, Failed) and outcome.reason is FailureReason.NOT_UNDERSTOOD:
        return OracleError(
            f"{outcome.sentence} What was computed is kept; correct the function and run the same command again."
        )
    return outcome


@contextmanager
def open_workers(
    oracle: ComputedSettings, executor: AnyExecutor, *, folder: Path, beside: str | None = None
) -> Iterator[CalculatorWorkers]:
    """Workers for a campaign in `folder`; they are ended, with all that they are doing, on leaving.

    Modules and what the executor's options name are found in the folder of the campaign file too, `beside` it.
    """
    look_beside(beside)
    if beside is not None and isinstance(executor, DaskSettings | CustomSettings):
        found = Beside(folder=Path(beside)).found(executor.options)
        executor = executor.model_copy(update={"options": found})
    with ExitStack() as stack:
        options: dict[str, Any] = {"pure": False, "retries": 0} if isinstance(executor, DaskSettings) else {}
        if not isinstance(executor, InProcessSettings):
            options["sign"] = stack.enter_context(Presence()).sign
        pool = _executor(executor, stack)
        verdict = _probe_here(oracle) if pool is None else _probe_by(pool, oracle, beside, options)
        if isinstance(verdict, Failed):
            raise OracleError(verdict.sentence)
        yield CalculatorWorkers(
            settings=oracle,
            executor=pool,
            options=options,
            beside=beside,
            size=executor.workers,
            retries=executor.retries,
            time_limit_s=executor.time_limit_s,
            keep_files=None if executor.keep_files is None else (folder / executor.keep_files).resolve(),
        )


@contextmanager
def open_for_features(executor: AnyExecutor) -> Iterator[tuple[Executor | None, int]]:
    """Workers for the features of a large pool, and how many there are: processes here, or those of Dask or of one's own executor.

    None where all is done in this process.
    """
    match executor:
        case ProcessesSettings():
            spawn = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(executor.workers, spawn) as pool:
                yield pool, executor.workers
        case DaskSettings():
            with open_dask(executor) as opened:
                yield opened
        case CustomSettings():
            with open_custom(executor) as own:
                yield own, executor.workers
        case _:
            yield None, 1


@contextmanager
def open_custom(settings: CustomSettings) -> Iterator[Executor]:
    """The executor that a dotted path names; it is ended on leaving, without waiting for what it is doing."""
    try:
        pool = object_at(settings.path)(**settings.options)
    except Exception as error:
        raise OracleError(
            f"executor.path: {settings.path!r} cannot be made with {settings.options}: {told(error)}"
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
            raise OracleError(f"executor: {where} cannot be used as Dask cluster: {told(error)}") from error
        stack.callback(client.cancel, [], force=True)
        yield client.get_executor(), n


def _executor(settings: AnyExecutor, stack: ExitStack) -> Executor | None:
    """The executor, whose workers end with the stack in the middle of what they do; None for this process."""
    match settings:
        case InProcessSettings():
            stack.enter_context(adopted_processes())
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


def _probe_here(oracle: ComputedSettings) -> Outcome:
    with working_folder(None) as folder:
        return calculate_here(None, oracle, folder)


def _probe_by(pool: Executor, oracle: ComputedSettings, beside: str | None, options: dict[str, Any]) -> Outcome:
    future = pool.submit(calculate_in_worker, None, oracle, None, None, beside, **options)
    try:
        return future.result(timeout=PROBE_TIMEOUT_S)
    except TimeoutError as error:
        raise OracleError(
            f"No worker answered within {PROBE_TIMEOUT_S:g} s. Does the cluster have workers? Nothing was computed."
        ) from error
    except Exception as error:
        raise OracleError(
            f"The workers cannot run calculations ({told(error)}). Is hullscout installed where they run?"
        ) from error


def _done(outcome: Outcome) -> Future[Outcome]:
    future: Future[Outcome] = Future()
    future.set_result(outcome)
    return future
