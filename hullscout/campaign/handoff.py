"""Campaigns whose energies are calculated elsewhere: hand structures out, take results back.

The same engine, store and order of commits as in a campaign that computes for itself; only the workers are people and queues.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hullscout.campaign import runner
from hullscout.campaign.awaited import awaited, handed_out
from hullscout.campaign.drive import Drive
from hullscout.campaign.store import Store
from hullscout.errors import InvalidCampaignError, ProtocolError, ResultError
from hullscout.oracle import (
    Calculated,
    Failed,
    FailureReason,
    HandoffSettings,
    Reply,
    folder_names,
    is_energy,
    judge,
    read_replies,
    write_folder,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from hullscout.campaign.result import CampaignResult
    from hullscout.campaign.state import State
    from hullscout.oracle import Outcome
    from hullscout.pool import Candidate

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
class Asked:
    """What is asked for.

    Attributes:
        candidates: The structures.
        n_awaited: Structures whose results are awaited, these included.
        result: Of the campaign, where it has come to its end.
    """

    candidates: tuple[Candidate, ...]
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


def ask(folder: Path, *, n: int, outbox: Path, again: bool = False) -> Handed:
    """Hand out up to n structures as files that no result is awaited of yet; where the campaign is at its end, write its result.

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
    opened = runner.Opened.read(folder)
    names = dict(zip(opened.pool.ids, folder_names(opened.pool.ids), strict=True))
    folders: list[Path] = []

    def write(candidate: Candidate) -> None:
        folders.append(write_folder(outbox, names[candidate.id], candidate, campaign=opened.origin.config.name))

    asked = ask_for(folder, n=n, again=again, hand_out=write, opened=opened)
    return Handed(folders=tuple(folders), n_awaited=asked.n_awaited, result=asked.result)


def ask_for(
    folder: Path, *, n: int, again: bool = False, hand_out: Callable[[Candidate], None], opened: runner.Opened
) -> Asked:
    """Choose up to n candidates that no result is awaited of yet; where the campaign is at its end, write its result.

    Args:
        folder: Of the campaign.
        n: Number of candidates.
        again: Those that were handed out before and are still awaited, instead of new ones.
        hand_out: Called with each of them before it is kept as handed out.
        opened: What the campaign is made of.

    Raises:
        StoreError: The folder cannot be used.
        InvalidCampaignError: Its energies do not come from elsewhere.
        OracleError: All structures of a pure element failed.
    """
    began = time.perf_counter()
    with _open(folder, opened) as (_, store, state):
        engine = runner.open_engine(opened.origin, state, features=opened.features)
        drive = Drive(engine, store)
        handed = set(handed_out(store.attempts()))
        if again:
            chosen = [candidate_id for candidate_id in state.pending if candidate_id in handed]
        else:
            fresh = [candidate_id for candidate_id in state.pending if candidate_id not in handed]
            while len(fresh) < n and (asked := engine.ask_ahead(n - len(fresh))):
                drive.save_rounds()
                fresh.extend(asked)
            chosen = fresh[:n]
        candidates = tuple(state.pool.candidates[state.index_of(candidate_id)] for candidate_id in chosen)
        for candidate in candidates:
            hand_out(candidate)
            if candidate.id not in handed:
                drive.start(candidate.id)
        handed.update(chosen)
        n_awaited = len(handed.intersection(state.pending))
        if engine.stop is None:
            return Asked(candidates=candidates, n_awaited=n_awaited, result=None)
        attempts = store.attempts()
    timings_s = {"calculations": sum(a.wall_s or 0.0 for a in attempts), "total": time.perf_counter() - began}
    result, standing = runner.conclude(opened.origin, engine, timings_s=timings_s)
    runner.save(folder, result, standing)
    return Asked(candidates=(), n_awaited=0, result=result)


def tell(folder: Path, paths: Iterable[Path]) -> Told:
    """Read results and commit what is new; what is known is left as it is, and what cannot be taken is told.

    Raises:
        StoreError: The folder cannot be used.
        InvalidCampaignError: Its energies do not come from elsewhere.
    """
    opened = runner.Opened.read(folder)
    with _open(folder, opened) as (settings, store, state):
        pool, desk = opened.pool, _Desk(store, state)
        candidates = dict(zip(pool.ids, pool.candidates, strict=True))
        names = dict(zip(folder_names(pool.ids), pool.ids, strict=True))
        faults: list[str] = []
        failures: dict[str, Failed] = {}
        n_energies = n_known = 0
        for path in paths:
            for reply in read_replies(path, candidates, names, settings):
                if isinstance(reply, ResultError):
                    faults.append(str(reply))
                    continue
                try:
                    is_new = desk.take(reply)
                except ProtocolError as error:
                    faults.append(str(error))
                    continue
                if not is_new:
                    n_known += 1
                elif isinstance(reply.outcome, Failed):
                    failures[reply.id] = reply.outcome
                else:
                    failures.pop(reply.id, None)
                    n_energies += 1
        return Told(
            n_energies=n_energies,
            failures=failures,
            n_known=n_known,
            n_awaited=len(awaited(opened.origin.config, state, store.attempts())),
            faults=tuple(faults),
        )


def tell_energy(
    folder: Path,
    candidate_id: str,
    energy_ev: float,
    *,
    opened: runner.Opened,
    structure: Candidate | None = None,
    wall_s: float | None = None,
) -> Outcome:
    """Commit the energy of a candidate that was asked for; the same energy twice changes nothing.

    Args:
        folder: Of the campaign.
        candidate_id: Of the candidate.
        energy_ev: Of its cell.
        opened: What the campaign is made of.
        structure: What it was relaxed into; as another structure than was asked for, it counts as failed.
        wall_s: Seconds that it took.

    Returns:
        What was kept.

    Raises:
        StoreError: The folder cannot be used.
        InvalidCampaignError: Its energies do not come from elsewhere.
        ProtocolError: The candidate was not asked for, the energy is not finite, or another one was told before.
        ResultError: The structure does not hold the same atoms.
    """
    with _open(folder, opened) as (settings, store, state):
        candidate = state.pool.candidates[state.index_of(candidate_id)]
        if not is_energy(energy_ev, candidate.n_atoms):
            raise ProtocolError(
                f"Expected a finite energy of {candidate_id!r} in eV, found {energy_ev}. Tell a failure by tell_failure."
            )
        answer = Calculated(energy_ev=energy_ev, relaxed=structure, wall_s=wall_s)
        outcome = judge(candidate, answer, settings, source="What was told")
        _Desk(store, state).take(Reply(id=candidate_id, outcome=outcome, source="tell"))
        return outcome


def tell_failure(folder: Path, candidate_id: str, why: str, *, opened: runner.Opened) -> Outcome:
    """Commit that the energy of a candidate that was asked for cannot be had; twice changes nothing.

    Returns:
        What was kept.

    Raises:
        StoreError: The folder cannot be used.
        InvalidCampaignError: Its energies do not come from elsewhere.
        ProtocolError: The candidate was not asked for, or its energy is known.
    """
    with _open(folder, opened) as (_, store, state):
        state.index_of(candidate_id)
        outcome = Failed(reason=FailureReason.REPORTED, sentence=" ".join(why.split()) or "No reason was given.")
        _Desk(store, state).take(Reply(id=candidate_id, outcome=outcome, source="tell_failure"))
        return outcome


class _Desk:
    """Takes replies one by one: held against what is known, committed, and then part of the state."""

    def __init__(self, store: Store, state: State) -> None:
        self._store = store
        self._state = state
        self._attempts = {attempt.id: attempt.attempt for attempt in store.attempts()}
        self._kept = store.answers()

    def take(self, reply: Reply) -> bool:
        """Commit a reply; whether it says something new.

        Raises:
            ProtocolError: It was not asked for, or contradicts what is known.
        """
        if not _is_new(reply, self._state, self._kept):
            return False
        if reply.id not in self._attempts:  # asked for, but the process ended before it was handed out
            self._store.save_start(reply.id, 1)
        attempt = self._attempts.setdefault(reply.id, 1)
        match reply.outcome:
            case Calculated() as answer:
                self._store.save_calculated(reply.id, attempt, answer)
                self._state.add_answer(reply.id, answer.energy_ev)
                self._kept[reply.id] = answer.energy_ev
            case Failed() as failed:
                self._store.save_failed(reply.id, attempt, failed, is_final=True)
                self._state.add_failure(reply.id, failed)
        return True


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
def _open(folder: Path, opened: runner.Opened) -> Iterator[tuple[HandoffSettings, Store, State]]:
    settings = opened.origin.config.oracle
    if not isinstance(settings, HandoffSettings):
        raise InvalidCampaignError(
            f"The campaign in {folder} has oracle.kind = '{settings.kind}': it computes its energies by `hullscout run`. "
            "Only campaigns of the kind 'handoff' ask and are told."
        )
    with Store.create_or_resume(folder, opened.origin) as store:
        yield settings, store, runner.open_state(store, opened.pool)
