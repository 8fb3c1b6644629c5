"""Campaigns whose energies are calculated elsewhere: hand structures out, take results back.

The same engine, store and order of commits as in a campaign that computes for itself; only the workers are people and queues.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hullscout.campaign import runner
from hullscout.campaign.drive import Drive
from hullscout.campaign.store import Store
from hullscout.errors import InvalidCampaignError, ProtocolError, ResultError
from hullscout.oracle.inbox import read_replies
from hullscout.oracle.outbox import folder_names, write_folder
from hullscout.oracle.outcome import Calculated, Failed
from hullscout.oracle.settings import HandoffSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from hullscout.campaign.result import CampaignResult
    from hullscout.campaign.state import State
    from hullscout.campaign.store import Origin
    from hullscout.oracle.inbox import Reply

SAME_EV_PER_ATOM = 1e-6
"""Energies told twice that differ by at most this are the same: files round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """What was handed out.

    Attributes:
        folders: A folder for each structure.
        n_awaited: Structures whose results are awaited, these included.
        result: Of the campaign, where it has come to its end.
    """

    folders: tuple[Path, ...]
    n_awaited: int
    result: CampaignResult | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What came back.

    Attributes:
        n_energies: Energies that are new.
        failures: Failures that are new, by id.
        n_known: Results that were known already.
        n_awaited: Structures whose results are still awaited.
        faults: What could not be taken, a sentence each.
    """

    n_energies: int
    failures: dict[str, Failed]
    n_known: int
    n_awaited: int
    faults: tuple[str, ...]


def create(origin: Origin, folder: Path, *, retry_failed: bool = False) -> State:
    """Make a hand-off campaign in `folder`, or open the one that is there, and return where it stands; nothing is handed out.

    Raises:
        StoreError: The folder cannot be used.
    """
    pool, _ = runner.open_pool(origin)
    runner.refuse_what_cannot_start(origin, pool)
    with Store.create_or_resume(folder, origin) as store:
        if retry_failed:
            store.forgive_failures()
        return runner.open_state(store, pool)


def ask(folder: Path, *, n: int, outbox: Path, again: bool = False) -> Handed:
    """Hand out up to n structures that no result is awaited of yet; where the campaign is at its end, write its result.

    Args:
        folder: Of the campaign.
        n: Number of structures.
        outbox: Where to.
        again: Hand out again what was handed out before and is still awaited, instead of new structures.

    Raises:
        StoreError: The folder cannot be used.
        InvalidCampaignError: Its energies do not come from elsewhere.
        OutputError: The outbox cannot be written.
        OracleError: All structures of a pure element failed.
    """
    began = time.perf_counter()
    with _open(folder) as (_, origin, store, state):
        engine = runner.open_engine(origin, state)
        drive = Drive(engine, store)
        handed = {attempt.id for attempt in store.attempts() if not attempt.is_forgiven}
        if again:
            chosen = [candidate_id for candidate_id in state.pending if candidate_id in handed]
        else:
            fresh = [candidate_id for candidate_id in state.pending if candidate_id not in handed]
            while len(fresh) < n and (asked := engine.ask_ahead(n - len(fresh))):
                drive.save_rounds()
                fresh.extend(asked)
            chosen = fresh[:n]
        names = folder_names(state.pool.ids)
        folders = []
        for candidate_id in chosen:
            index = state.index_of(candidate_id)
            folders.append(
                write_folder(outbox, names[index], state.pool.candidates[index], campaign=origin.config.name)
            )
            if candidate_id not in handed:
                drive.start(candidate_id)
        handed.update(chosen)
        n_awaited = len(handed.intersection(state.pending))
        if engine.stop is None:
            return Handed(folders=tuple(folders), n_awaited=n_awaited, result=None)
        attempts = store.attempts()
    timings_s = {"calculations": sum(a.wall_s or 0.0 for a in attempts), "total": time.perf_counter() - began}
    result, standing = runner.conclude(origin, engine, timings_s=timings_s)
    runner.save(folder, result, standing)
    return Handed(folders=(), n_awaited=0, result=result)


def tell(folder: Path, paths: Iterable[Path]) -> Told:
    """Read results and commit what is new; what is known is left as it is, and what cannot be taken is told.

    Raises:
        StoreError: The folder cannot be used.
        InvalidCampaignError: Its energies do not come from elsewhere.
    """
    with _open(folder) as (settings, _, store, state):
        pool = state.pool
        attempts = {attempt.id: attempt.attempt for attempt in store.attempts()}
        candidates = dict(zip(pool.ids, pool.candidates, strict=True))
        names = dict(zip(folder_names(pool.ids), pool.ids, strict=True))
        kept = store.answers()
        faults: list[str] = []
        failures: dict[str, Failed] = {}
        n_energies = n_known = 0
        for path in paths:
            for reply in read_replies(path, candidates, names, settings):
                if isinstance(reply, ResultError):
                    faults.append(str(reply))
                    continue
                try:
                    is_new = _is_new(reply, state, kept)
                except ProtocolError as error:
                    faults.append(str(error))
                    continue
                if not is_new:
                    n_known += 1
                    continue
                if reply.id not in attempts:  # asked for, but the process ended before it was handed out
                    store.save_start(reply.id, 1)
                attempt = attempts.setdefault(reply.id, 1)
                match reply.outcome:
                    case Calculated() as answer:
                        store.save_calculated(reply.id, attempt, answer)
                        state.add_answer(reply.id, answer.energy_ev)
                        kept[reply.id] = answer.energy_ev
                        failures.pop(reply.id, None)
                        n_energies += 1
                    case Failed() as failed:
                        store.save_failed(reply.id, attempt, failed, is_final=True)
                        state.add_failure(reply.id, failed)
                        failures[reply.id] = failed
        return Told(
            n_energies=n_energies,
            failures=failures,
            n_known=n_known,
            n_awaited=len(state.pending),
            faults=tuple(faults),
        )


def _is_new(reply: Reply, state: State, kept: dict[str, float]) -> bool:
    """Whether a reply says something that is not known yet.

    Raises:
        ProtocolError: It was not asked for, or contradicts what is known.
    """
    index = state.index_of(reply.id)
    if index not in state.asked:
        raise ProtocolError(
            f"{reply.source}: {reply.id!r} was never asked for. Only what `ask` handed out can be told."
        )
    before = kept.get(reply.id)
    if isinstance(reply.outcome, Failed):
        if before is not None:
            raise ProtocolError(
                f"{reply.source}: {reply.id!r} is told to have failed, but its energy was told as {before} eV before. The energy "
                "is kept."
            )
        return reply.id not in state.failures
    now = reply.outcome.energy_ev
    if before is not None and abs(now - before) > SAME_EV_PER_ATOM * int(state.pool.n_atoms[index]):
        raise ProtocolError(
            f"{reply.source}: the energy of {reply.id!r} was told as {before} eV before and as {now} eV now. The first is kept; "
            "for the other, start another campaign."
        )
    return before is None


@contextmanager
def _open(folder: Path) -> Iterator[tuple[HandoffSettings, Origin, Store, State]]:
    with Store.read(folder) as store:
        origin = store.origin()
    settings = origin.config.oracle
    if not isinstance(settings, HandoffSettings):
        raise InvalidCampaignError(
            f"The campaign in {folder} has oracle.kind = '{settings.kind}': it computes its energies by `hullscout run`. "
            "Only campaigns of the kind 'handoff' ask and are told."
        )
    pool, _ = runner.open_pool(origin)
    with Store.create_or_resume(folder, origin) as store:
        yield settings, origin, store, runner.open_state(store, pool)
