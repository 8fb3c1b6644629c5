"""Campaigns whose energies are calculated elsewhere: hand structures out, take results back.

The same engine, ledger and order of commits as in a campaign that computes for itself; only the workers are people and queues.
Every function raises `StoreError` where the folder cannot be used, `InvalidCampaignError` where the energies do not come from
elsewhere, and `OracleError` where all structures of a pure element failed.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hullscout.campaign.result import conclude
from hullscout.campaign.setup import Setup
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

    from hullscout.campaign.ledger import Ledger
    from hullscout.campaign.result import CampaignResult
    from hullscout.oracle import Outcome
    from hullscout.pool import Candidate
    from hullscout.selection import Known

SAME_EV_PER_ATOM = 1e-6
"""Energies told twice that differ by at most this are the same: files round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked for, or the end of the campaign.

    Attributes:
        candidates: The structures.
        folders: Where each was written, if it was.
        n_awaited: Structures whose results are awaited, these included.
        result: Of the campaign, where it has come to its end; it is still to be written.
        known: What was known then.
    """

    candidates: tuple[Candidate, ...] = ()
    folders: tuple[Path, ...] = ()
    n_awaited: int = 0
    result: CampaignResult | None = None
    known: Known | None = None


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


def ask(folder: Path, *, n: int, outbox: Path, again: bool = False) -> Asked:
    """Hand out up to n structures as files that no result is awaited of yet.

    Args:
        again: Hand out again what was handed out before and is still awaited, instead of new structures.

    Raises:
        OutputError: The outbox cannot be written.
    """
    setup = Setup.read(folder)
    names = dict(zip(setup.pool.ids, folder_names(setup.pool.ids), strict=True))
    folders: list[Path] = []

    def write(candidate: Candidate) -> None:
        folders.append(write_folder(outbox, names[candidate.id], candidate, campaign=setup.config.name))

    return replace(ask_for(folder, n=n, again=again, hand_out=write, setup=setup), folders=tuple(folders))


def ask_for(folder: Path, *, n: int, again: bool = False, hand_out: Callable[[Candidate], None], setup: Setup) -> Asked:
    """Choose up to n candidates that no result is awaited of yet.

    Args:
        again: Those that were handed out before and are still awaited, instead of new ones.
        hand_out: Called with each of them before it is kept as handed out.
    """
    began = time.perf_counter()
    with _open(folder, setup) as (_, store, ledger):
        engine, handed = setup.engine(ledger), ledger.handed_out
        if again:
            chosen = [candidate_id for candidate_id in ledger.pending if candidate_id in handed]
        else:
            fresh = [candidate_id for candidate_id in ledger.pending if candidate_id not in handed]
            while len(fresh) < n and (asked := engine.ask_ahead(n - len(fresh))):
                fresh.extend(asked)
            chosen = fresh[:n]
        candidates = tuple(setup.pool.candidates[ledger.index_of(candidate_id)] for candidate_id in chosen)
        for candidate in candidates:
            hand_out(candidate)
            if candidate.id not in handed:
                ledger.start(candidate.id)
        if engine.stop is None:
            return Asked(candidates=candidates, n_awaited=len(ledger.awaited))
        attempts = store.attempts()
    timings_s = {"calculations": sum(a.wall_s or 0.0 for a in attempts), "total": time.perf_counter() - began}
    return Asked(result=conclude(setup, engine, timings_s=timings_s), known=ledger.known)


def tell(folder: Path, paths: Iterable[Path]) -> Told:
    """Read results and commit what is new; what is known is left as it is, and what cannot be taken is told."""
    setup = Setup.read(folder)
    with _open(folder, setup) as (settings, _, ledger):
        pool = setup.pool
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
                    is_new = _take(ledger, reply)
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
            n_awaited=len(ledger.awaited),
            faults=tuple(faults),
        )


def tell_energy(
    folder: Path,
    candidate_id: str,
    energy_ev: float,
    *,
    setup: Setup,
    structure: Candidate | None = None,
    wall_s: float | None = None,
) -> Outcome:
    """Commit the energy of a candidate that was asked for; the same energy twice changes nothing.

    Args:
        energy_ev: Of its cell.
        structure: What it was relaxed into; as another structure than was asked for, it counts as failed.
        wall_s: Seconds that it took.

    Returns:
        What was kept.

    Raises:
        ProtocolError: The candidate was not asked for, the energy is not finite, or another one was told before.
        ResultError: The structure does not hold the same atoms.
    """
    with _open(folder, setup) as (settings, _, ledger):
        candidate = setup.pool.candidates[ledger.index_of(candidate_id)]
        if not is_energy(energy_ev, candidate.n_atoms):
            raise ProtocolError(
                f"Expected a finite energy of {candidate_id!r} in eV, found {energy_ev}. Tell a failure by tell_failure."
            )
        answer = Calculated(energy_ev=energy_ev, relaxed=structure, wall_s=wall_s)
        outcome = judge(candidate, answer, settings, source="What was told")
        _take(ledger, Reply(id=candidate_id, outcome=outcome, source="tell"))
        return outcome


def tell_failure(folder: Path, candidate_id: str, why: str, *, setup: Setup) -> Outcome:
    """Commit that the energy of a candidate that was asked for cannot be had; twice changes nothing.

    Returns:
        What was kept.

    Raises:
        ProtocolError: The candidate was not asked for, or its energy is known.
    """
    with _open(folder, setup) as (_, _, ledger):
        ledger.index_of(candidate_id)
        outcome = Failed(reason=FailureReason.REPORTED, sentence=" ".join(why.split()) or "No reason was given.")
        _take(ledger, Reply(id=candidate_id, outcome=outcome, source="tell_failure"))
        return outcome


def _take(ledger: Ledger, reply: Reply) -> bool:
    """Take a reply into the ledger; whether it says something new.

    Raises:
        ProtocolError: It was not asked for, or contradicts what is known.
    """
    if not _is_new(ledger, reply):
        return False
    # Without an attempt it was asked for, but the process ended before it was handed out.
    attempt = ledger.n_attempts(reply.id) or ledger.start(reply.id)
    ledger.take(reply.id, reply.outcome, attempt=attempt)
    return True


def _is_new(ledger: Ledger, reply: Reply) -> bool:
    """Whether a reply says something that is not known yet.

    Raises:
        ProtocolError: It was not asked for, or contradicts what is known.
    """
    index = ledger.index_of(reply.id)
    if not ledger.is_asked(reply.id):
        raise ProtocolError(
            f"{reply.source}: {reply.id!r} was never asked for. Only what `ask` handed out can be told."
        )
    before = ledger.energy_ev(reply.id)
    if isinstance(reply.outcome, Failed):
        if before is not None:
            raise ProtocolError(
                f"{reply.source}: {reply.id!r} is told to have failed, but its energy was told as {before} eV before. The energy "
                "is kept."
            )
        return reply.id not in ledger.failures
    now = reply.outcome.energy_ev
    if before is not None and abs(now - before) > SAME_EV_PER_ATOM * int(ledger.pool.n_atoms[index]):
        raise ProtocolError(
            f"{reply.source}: the energy of {reply.id!r} was told as {before} eV before and as {now} eV now. The first is kept; "
            "for the other, start another campaign."
        )
    return before is None


@contextmanager
def _open(folder: Path, setup: Setup) -> Iterator[tuple[HandoffSettings, Store, Ledger]]:
    settings = setup.config.oracle
    if not isinstance(settings, HandoffSettings):
        raise InvalidCampaignError(
            f"The campaign in {folder} has oracle.kind = '{settings.kind}': it computes its energies by `hullscout run`. "
            "Only campaigns of the kind 'handoff' ask and are told."
        )
    with Store.create_or_resume(folder, setup.origin) as store:
        yield settings, store, setup.open_ledger(store)
