"""A campaign that calculates for itself: ids go from the engine to workers, outcomes back, by way of the ledger.

What the engine asks for is committed before it is started, each outcome before the engine sees it. So the process can die anywhere,
and running again ends in the same result.
"""

from __future__ import annotations

import time
from concurrent.futures import FIRST_COMPLETED, wait
from contextlib import nullcontext
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from hullscout.campaign.beforehand import begin
from hullscout.campaign.prior_energies import complete_prior
from hullscout.campaign.result import CampaignResult, conclude
from hullscout.campaign.store import Store
from hullscout.errors import InvalidCampaignError, StoreError
from hullscout.oracle import (
    Beside,
    Calculated,
    ComputedSettings,
    Failed,
    FailureReason,
    TableWorkers,
    is_full,
    open_workers,
    outcome_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from contextlib import AbstractContextManager

    from hullscout.campaign.engine import Engine
    from hullscout.campaign.ledger import Ledger
    from hullscout.campaign.setup import Setup
    from hullscout.errors import OracleError
    from hullscout.oracle import Outcome, Workers
    from hullscout.selection import Known


def create(
    setup: Setup, folder: Path, *, retry_failed: bool = False, on_note: Callable[[str], None] = lambda _: None
) -> tuple[str, ...]:
    """Make a campaign in `folder`, or see that it is the one that is there; nothing is asked for.

    What is to be said of what was known before one that is made, and of changed settings, is given back, in sentences.
    """
    found = begin(setup, folder)
    with Store.create_or_resume(folder, setup.origin, known=found.answers) as store:
        if retry_failed:
            store.forgive_failures()
        if setup.config.oracle.kind == "handoff":  # nothing runs later that could
            complete_prior(setup.with_additions(store), store, folder=folder, on_note=on_note)
        return (*found.sentences, *([store.changed] if store.changed else ()))


def run(
    setup: Setup,
    folder: Path,
    *,
    retry_failed: bool = False,
    on_progress: Callable[[Known], None] = lambda _: None,
    on_note: Callable[[str], None] = lambda _: None,
    on_computed: Callable[[int, int], None] = lambda *_: None,
) -> tuple[CampaignResult, Known]:
    """Run a campaign to its end, from where its folder stands: its result, and what was known then. Only the store is written.

    Args:
        on_progress: Called with what is known after every answer.
        on_note: Called with a sentence for each calculation that a person should know of.
        on_computed: Called with how many energies of the prior are there, and of how many, while they are computed.

    Raises:
        StoreError: The folder cannot be used or was removed, or a disk is full.
        OracleError: The workers cannot be used or are gone, or all structures of a pure element failed.
    """
    began = time.perf_counter()
    found = begin(setup, folder)
    for sentence in found.sentences:
        on_note(sentence)
    with Store.create_or_resume(folder, setup.origin, known=found.answers) as store:
        if store.changed:
            on_note(store.changed)
        if retry_failed:
            store.forgive_failures()
        setup = complete_prior(
            setup.with_additions(store), store, folder=folder, on_note=on_note, on_computed=on_computed
        )
        engine = setup.engine(setup.open_ledger(store))
        timings_s = {"features": time.perf_counter() - began}
        setup.keep()
        n_ahead = 0 if setup.table is not None else setup.config.executor.n_ahead
        if _ask(engine, n_ahead):  # a campaign that has ended needs no workers
            with _open_workers(setup, store, folder=folder, on_note=on_note) as workers:
                _work(engine, workers, folder, n_ahead=n_ahead, on_progress=on_progress, on_note=on_note)
        store.refuse_full()
        store.refuse_removed()
        store.refuse_written()
        if setup.table is None:
            timings_s["calculations"] = sum(attempt.wall_s or 0.0 for attempt in store.attempts())
    _refuse_lost(engine.ledger, folder)
    timings_s["total"] = time.perf_counter() - began
    return conclude(setup, engine, timings_s=timings_s), engine.ledger.known.with_truth(setup.true_ev_per_atom)


def _refuse_lost(ledger: Ledger, folder: Path) -> None:
    """`StoreError` where the folder does not hold what was found, whoever changed it: read back as the next command will."""
    with Store.read(folder) as store:
        kept = store.answers()
    lost = [each for each, energy in ledger.told_ev.items() if kept.get(each) != energy]
    if lost:
        raise StoreError(
            f"{store.database} does not hold {len(lost)} of {len(ledger.told_ev)} energies that were written to it, the first is "
            f"that of {lost[0]!r}: something else changed it while the campaign ran. No result was written. Look at `hullscout "
            "status`; the same command goes on from what is there."
        )


def _open_workers(
    setup: Setup, store: Store, *, folder: Path, on_note: Callable[[str], None]
) -> AbstractContextManager[Workers]:
    oracle, executor, origin = setup.config.oracle, setup.config.executor, setup.origin
    if setup.table is not None:
        return nullcontext(TableWorkers(table=setup.table))
    if not isinstance(oracle, ComputedSettings):
        raise InvalidCampaignError(
            f"oracle.kind: '{oracle.kind}' computes nothing here. Hand out by `hullscout ask {quote(str(folder))}`."
        )
    if not origin.folder:
        return open_workers(oracle, executor, folder=folder)
    beside = Beside(folder=Path(origin.folder))
    found = oracle.model_copy(update={"arguments": beside.found(oracle.arguments)})
    for name, path in beside.named.items():
        on_note(f"oracle.arguments: {name} is {path}, beside the campaign file.")
    store.keep_files(beside.digests(), folder=origin.folder)
    return open_workers(found, executor, folder=folder, beside=origin.folder)


def _ask(engine: Engine, n_ahead: int) -> tuple[str, ...]:
    """Let the engine ask for as much as there is room for, and return what is pending. Empty at the end."""
    if not n_ahead:
        engine.ask()
    while engine.ask_ahead(n_ahead - len(engine.ledger.pending)):
        pass
    return engine.ledger.pending


def _work(
    engine: Engine,
    workers: Workers,
    folder: Path,
    *,
    n_ahead: int,
    on_progress: Callable[[Known], None],
    on_note: Callable[[str], None],
) -> None:
    """Keep the workers busy until the engine has no more to ask, a disk is full, or they are gone: what was answered is kept."""
    ledger, no_room = engine.ledger, ""
    running: dict[Future[Outcome], tuple[str, int | None]] = {}
    while (pending := _ask(engine, n_ahead) if ledger.has_room and not no_room else ()) or running:
        busy = {candidate_id for candidate_id, _ in running.values()}
        for candidate_id in pending:
            if len(running) < workers.size and candidate_id not in busy and ledger.has_room:
                attempt = ledger.start(candidate_id) if workers.is_recorded else None
                candidate = ledger.pool.candidates[ledger.index_of(candidate_id)]
                running[workers.submit(candidate, attempt=attempt or 1)] = (candidate_id, attempt)
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        lost: OracleError | None = None
        for future in [future for future in running if future in done]:
            candidate_id, attempt = running.pop(future)
            outcome = outcome_of(future)
            if not isinstance(outcome, Calculated | Failed):
                lost = outcome
                continue
            if isinstance(outcome, Failed) and _is_no_try(outcome, (folder, *workers.places)):
                no_room = f"{candidate_id} ({outcome.reason}): {outcome.sentence}"
                continue
            n_left = ledger.take(candidate_id, outcome, attempt=attempt, retries=workers.retries)
            if note := _note(candidate_id, outcome, n_left):
                on_note(note)
            on_progress(ledger.known)
        if lost is not None:
            raise lost
    if no_room:
        raise StoreError(
            f"A disk is full. {no_room} That counts as no try of the structure. Nothing new was begun; what was under way was "
            "awaited, and every answer is kept. Free some room and run the same command again."
        )


def _is_no_try(failed: Failed, places: tuple[Path, ...]) -> bool:
    """Whether a calculation ended for want of room, or while there was none: that says nothing of its structure."""
    return failed.reason is FailureReason.NO_ROOM or any(map(is_full, places))


def _note(candidate_id: str, outcome: Outcome, n_left: int) -> str:
    """What a person should know of an outcome."""
    if isinstance(outcome, Calculated):
        return f"{candidate_id}: {outcome.note}" if outcome.note else ""
    verdict = f"tried again, {n_left} left" if n_left else "marked as failed"
    return f"{candidate_id} ({outcome.reason}): {outcome.sentence} It is {verdict}."
