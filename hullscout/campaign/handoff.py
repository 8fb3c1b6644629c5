"""Campaigns whose energies are calculated elsewhere: hand structures out, take results back.

The same engine, ledger and order of commits as in a campaign that computes for itself; only the workers are people and queues.
Every function raises `StoreError` where the folder cannot be used, and `InvalidCampaignError` where the energies do not come from
elsewhere. Those that ask raise `OracleError` where all structures of a pure element failed; those that tell one candidate raise
`ProtocolError` where it was not asked for or contradicts what is known. Told twice, nothing changes.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hullscout.campaign import growth
from hullscout.campaign.founding import KnownAnswer
from hullscout.campaign.opening import DATABASE
from hullscout.campaign.prior_energies import refuse_without_prior
from hullscout.campaign.result import conclude, energy_doubts
from hullscout.campaign.setup import Setup
from hullscout.campaign.store import Store
from hullscout.campaign.strangers import refuse_other_elements, with_pure_cells
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
    notes_on_replies,
    read_replies,
    read_template,
    write_folder,
)
from hullscout.oracle.function import SAME_EV_PER_ATOM
from hullscout.pool import CONFLICT_EV_PER_ATOM, MAX_OF_ANY_EV_PER_ATOM, Frames, find_outlying
from hullscout.pool.columns import ALLOW_IN_FILE, find_setting_conflicts, refuse_mixed_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from hullscout.campaign.additions import Added
    from hullscout.campaign.ledger import Ledger
    from hullscout.campaign.result import CampaignResult
    from hullscout.oracle import Outcome
    from hullscout.pool import Candidate, CompositionAxis
    from hullscout.selection import Known

UNASKED = "results told unasked"
"""Where energies are from that were told of candidates that were never asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked for and where it was written, if it was; at the end of the campaign its result, still to be written.

    `n_awaited` counts all structures whose results are awaited, these included.
    """

    candidates: tuple[Candidate, ...] = ()
    folders: tuple[Path, ...] = ()
    n_awaited: int = 0
    result: CampaignResult | None = None
    known: Known | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What came back: new energies, new failures by id, results known before, and a sentence for each that cannot be taken.

    Notes are sentences on what was taken: what cannot be told of it, and what its calculations do not have in common. `n_unasked`
    of the energies are of candidates that were never handed out, `added` is what came of structures that were none.
    """

    n_energies: int
    failures: dict[str, Failed]
    n_known: int
    n_awaited: int
    faults: tuple[str, ...]
    notes: tuple[str, ...] = ()
    n_unasked: int = 0
    added: Added | None = None


def ask(
    folder: Path,
    *,
    n: int,
    outbox: Path,
    again: bool = False,
    template: Path | None = None,
    retry_failed: bool = False,
) -> Asked:
    """Write up to n structures to the outbox that no result is awaited of yet, or `again` those that are still awaited.

    The files of a template go beside each. What failed may be asked for once more: `retry_failed`.
    """
    setup = Setup.read(folder)
    settings_of(setup, folder)  # where nothing is handed out, the template is not what is wrong
    files = None if template is None else read_template(template)
    if retry_failed:
        with _open(folder, setup) as (_, store, _, _):
            store.forgive_failures()
    names = dict(zip(setup.pool.ids, folder_names(setup.pool.ids), strict=True))
    folders: list[Path] = []

    def write(candidate: Candidate) -> None:
        name, config = names[candidate.id], setup.config
        folders.append(
            write_folder(outbox, name, candidate, campaign=config.name, elements=config.elements, template=files)
        )

    return replace(ask_for(folder, n=n, again=again, hand_out=write, setup=setup), folders=tuple(folders))


def ask_for(folder: Path, *, n: int, again: bool = False, hand_out: Callable[[Candidate], None], setup: Setup) -> Asked:
    """Choose as `ask`; `hand_out` is called with each candidate before it is kept as handed out."""
    began = time.perf_counter()
    with _open(folder, setup) as (_, store, ledger, setup):  # noqa: PLR1704  with what was added
        engine, handed = setup.engine(ledger), ledger.handed_out
        setup.keep()
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


def tell(folder: Path, paths: Iterable[Path], *, adds: bool = False) -> Told:
    """Read results and commit what is new; what is known is left as it is, and what cannot be taken is told.

    What was never handed out is taken as well, where it is a candidate; where it is none, it becomes one if that `adds`.
    """
    return take(folder, lambda now: read_results(now, paths), adds=adds)


def read_results(setup: Setup, paths: Iterable[Path]) -> list[Reply | ResultError]:
    """All results at some paths, of the candidates of a campaign or of none; what cannot be read is an error in its place."""
    pool, settings = setup.pool, settings_of(setup, Path(setup.origin.pool_name))
    candidates = dict(zip(pool.ids, pool.candidates, strict=True))
    names = dict(zip(folder_names(pool.ids), pool.ids, strict=True))
    return list(chain.from_iterable(read_replies(path, candidates, names, settings) for path in paths))


def unusable(setup: Setup, folder: Path, replies: Sequence[Reply | ResultError], *, path: Path) -> list[str]:
    """What is wrong of results at a path of which none is taken yet, in the campaign in `folder`, which need not be there.

    `InvalidPoolError` where most are of other elements, or their settings differ and that is not allowed.
    """
    refuse_other_elements(path, replies, setup.config.elements)
    ledger = setup.read_ledger(folder) if (folder / DATABASE).is_file() else setup.ledger()
    implausible = _implausible(ledger, replies, setup.config.axis)
    faults = []
    for place, reply in enumerate(replies):
        if isinstance(reply, ResultError):
            faults.append(str(reply))
        elif place in implausible:
            faults.append(implausible[place])
        elif isinstance(reply.outcome, Failed) and not (reply.is_named and ledger.is_asked(reply.id)):
            faults.append(f"{reply.source}: {reply.outcome.sentence}")
    stated = []
    for place, reply in enumerate(replies, start=1):
        if isinstance(reply, Reply) and isinstance(reply.outcome, Calculated) and reply.calculation is not None:
            cell = replace(reply.stranger or setup.pool[reply.id], id=reply.source)
            frame = growth.result_frame(cell, reply.outcome, reply.calculation.columns, number=place)
            stated.append((reply, frame))
    if not setup.config.pool.allow_mixed_settings:
        refuse_mixed_settings(path, find_setting_conflicts([frame for _, frame in stated]), allow=ALLOW_IN_FILE)
    strangers = tuple(frame for reply, frame in stated if reply.stranger is not None)
    return [*faults, *setup.config.axis.sift(Frames(path=growth.IN_RESULTS, frames=strangers, keys=())).faults]


def take(folder: Path, read: Callable[[Setup], Sequence[Reply | ResultError]], *, adds: bool = False) -> Told:
    """Commit what is new of the results that `read` gives of the campaign as it is now; see `tell`."""
    setup = Setup.read(folder)
    with _open(folder, setup) as (_, _, ledger, now):
        pool = ledger.pool
        candidates = dict(zip(pool.ids, pool.candidates, strict=True))
        faults: list[str] = []
        failures: dict[str, Failed] = {}
        taken: list[Reply] = []
        strangers: list[Reply] = []
        n_energies = n_known = n_unasked = 0
        replies, said = with_pure_cells(ledger, read(now)) if adds else (read(now), [])
        implausible = _implausible(ledger, replies, now.config.axis)
        for place, reply in enumerate(replies):
            try:
                if isinstance(reply, ResultError) or place in implausible:
                    faults.append(implausible.get(place) or str(reply))
                    continue
                if reply.stranger is not None:
                    strangers.append(reply)
                    continue
                is_asked, is_new = ledger.is_asked(reply.id), _take(ledger, reply)
                taken.append(reply)
                if not is_new:
                    n_known += 1
                elif isinstance(reply.outcome, Failed):
                    failures[reply.id] = reply.outcome
                else:
                    failures.pop(reply.id, None)
                    n_energies += 1
                    n_unasked += not is_asked
            except ProtocolError as error:
                faults.append(str(error))
        n_awaited, doubts = len(ledger.awaited), energy_doubts(ledger.known)
    refused, added = _strangers(folder, strangers, adds=adds)
    return Told(
        n_energies=n_energies,
        n_unasked=n_unasked,
        added=added,
        failures=failures,
        n_known=n_known,
        n_awaited=n_awaited,
        faults=(*faults, *refused),
        notes=(*said, *notes_on_replies(taken, candidates), *(f"Look at the energies: {doubt}." for doubt in doubts)),
    )


def _strangers(folder: Path, strangers: Sequence[Reply], *, adds: bool) -> tuple[list[str], Added | None]:
    """What cannot be taken of results whose structures are no candidates, and what came of adding the others."""
    said = "its structure is no candidate of this campaign, and nothing names one. `hullscout tell --add` makes it a candidate."
    refused, frames, answers = [], [], {}
    for place, reply in enumerate(strangers, start=1):
        if not adds:
            refused.append(f"{reply.source}: {said}")
        elif isinstance(reply.outcome, Failed):
            refused.append(f"{reply.source}: not added, since it gives no energy. {reply.outcome.sentence}")
        elif reply.stranger is not None and reply.calculation is not None:
            frames.append(growth.result_frame(reply.stranger, reply.outcome, reply.calculation.columns, number=place))
            answers[reply.id] = reply.outcome
    return refused, growth.add_results(folder, frames, answers) if frames else None


def tell_energy(
    folder: Path,
    candidate_id: str,
    energy_ev: float,
    *,
    setup: Setup,
    structure: Candidate | None = None,
    wall_s: float | None = None,
) -> Outcome:
    """Commit the energy of the cell of a candidate, and return what was kept.

    Relaxed into another structure than was asked for, it counts as failed; one of other atoms raises `ResultError`.
    """
    with _open(folder, setup) as (settings, _, ledger, now):
        candidate = ledger.pool.candidates[ledger.index_of(candidate_id)]
        if not is_energy(energy_ev, candidate.n_atoms):
            raise ProtocolError(
                f"Expected a finite energy of {candidate_id!r} in eV, found {energy_ev}. Tell a failure by tell_failure."
            )
        answer = Calculated(energy_ev=energy_ev, relaxed=structure, wall_s=wall_s)
        outcome = judge(candidate, answer, settings, source="What was told")
        reply = Reply(id=candidate_id, outcome=outcome, source="tell")
        for sentence in _implausible(ledger, [reply], now.config.axis).values():
            raise ProtocolError(sentence)
        _take(ledger, reply)
        return outcome


def tell_failure(folder: Path, candidate_id: str, why: str, *, setup: Setup) -> Outcome:
    """Commit that the energy of a candidate that was asked for cannot be had, and return what was kept."""
    with _open(folder, setup) as (_, _, ledger, _):
        ledger.index_of(candidate_id)
        outcome = Failed(reason=FailureReason.REPORTED, sentence=" ".join(why.split()) or "No reason was given.")
        _take(ledger, Reply(id=candidate_id, outcome=outcome, source="tell_failure"))
        return outcome


def _implausible(ledger: Ledger, replies: Sequence[Reply | ResultError], axis: CompositionAxis) -> dict[int, str]:
    """By its place, what is said of each new energy that is too far off those that are known and told beside it to be taken."""
    known, cells, energies = ledger.known, [], []
    for place, reply in enumerate(replies):
        if isinstance(reply, ResultError) or not isinstance(reply.outcome, Calculated):
            continue
        if reply.stranger is not None or ledger.energy_ev(reply.id) is None:
            cell = reply.stranger or ledger.pool.candidates[ledger.index_of(reply.id)]
            cells.append((place, reply, cell))
            energies.append(reply.outcome.energy_ev / cell.n_atoms)
    if not cells:
        return {}
    answered = [known.pool.candidates[index] for index in known.answered.tolist()]
    weights = axis.coordinates(axis.counts([*answered, *(cell for _, _, cell in cells)]))
    usable = np.flatnonzero(np.isfinite(weights).all(axis=1))  # a stranger need not be between the ends
    ev_per_atom = np.array([*known.energies_ev_per_atom, *energies])
    found = find_outlying(weights[usable], ev_per_atom[usable], usable >= len(answered))
    said = {}
    for outlier, expected in found.items():
        place, reply, _ = cells[usable[outlier] - len(answered)]
        said[place] = (
            f"{reply.source}: expected an energy of {reply.id!r} within {MAX_OF_ANY_EV_PER_ATOM:g} eV/atom of {expected:.6g} "
            f"eV/atom, where the others are that are known or told, found {ev_per_atom[usable[outlier]]:.6g} eV/atom. It was not "
            "taken: tell the total energy of its cell."
        )
    return said


def _take(ledger: Ledger, reply: Reply) -> bool:
    """Take a reply into the ledger; whether it says something that was not known yet."""
    index = ledger.index_of(reply.id)
    is_asked, before = ledger.is_asked(reply.id), ledger.energy_ev(reply.id)
    if isinstance(reply.outcome, Failed) and not (is_asked and reply.is_named) and before is None:
        why = "was never asked for" if not is_asked else "is told by its crystal alone"
        raise ProtocolError(
            f"{reply.source}: {reply.id!r} {why}, and failed: {reply.outcome.sentence.removesuffix('.')}. Only an energy is taken "
            "of such."
        )
    if isinstance(reply.outcome, Failed):
        if before is not None:
            raise ProtocolError(
                f"{reply.source}: {reply.id!r} is told to have failed, but its energy was told as {before} eV before. The energy "
                "is kept."
            )
        is_new = reply.id not in ledger.failures
    else:
        now, is_new = reply.outcome.energy_ev, before is None
        tolerance = SAME_EV_PER_ATOM if reply.is_named else CONFLICT_EV_PER_ATOM  # one crystal may be calculated twice
        if before is not None and abs(now - before) > tolerance * int(ledger.pool.n_atoms[index]):
            raise ProtocolError(
                f"{reply.source}: the energy of {reply.id!r} was told as {before} eV before and as {now} eV now. The first is "
                "kept; for the other, start another campaign."
            )
    if is_new and not is_asked and isinstance(reply.outcome, Calculated):
        outcome = reply.outcome
        ledger.know(reply.id, _unasked(outcome))
    elif is_new:
        # Without an attempt it was asked for, but the process ended before it was handed out.
        attempt = ledger.n_attempts(reply.id) or ledger.start(reply.id)
        ledger.take(reply.id, reply.outcome, attempt=attempt)
    return is_new


def _unasked(answer: Calculated) -> KnownAnswer:
    return KnownAnswer(
        energy_ev=answer.energy_ev,
        source=UNASKED,
        relaxed=answer.relaxed,
        wall_s=answer.wall_s,
        settings=answer.settings,
    )


def settings_of(setup: Setup, source: Path) -> HandoffSettings:
    """The section `oracle` of the campaign in a folder or file; refused where its energies do not come from elsewhere."""
    settings = setup.config.oracle
    if not isinstance(settings, HandoffSettings):
        raise InvalidCampaignError(
            f"The campaign in {source} has oracle.kind = '{settings.kind}': it computes its energies by `hullscout run`. "
            "Only campaigns of the kind 'handoff' ask and are told."
        )
    return settings


@contextmanager
def _open(folder: Path, setup: Setup) -> Iterator[tuple[HandoffSettings, Store, Ledger, Setup]]:
    settings = settings_of(setup, folder)
    with Store.create_or_resume(folder, setup.origin) as store:
        now = setup.with_additions(store)
        refuse_without_prior(now, folder)
        yield settings, store, now.open_ledger(store), now
        store.refuse_full()
        store.refuse_removed()
