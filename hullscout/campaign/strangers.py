"""Results whose structures are no candidates of a campaign: which stand for its pure cells, and what is said of all.

Cells that were made have guessed volumes, and results without their first step have those that they were relaxed to: so nothing of
them is one crystal within tolerances. Of compounds that cannot be told from other cells; of the ends it can.
"""

from __future__ import annotations

from dataclasses import replace
from operator import itemgetter
from typing import TYPE_CHECKING

from hullscout.errors import InvalidPoolError
from hullscout.hull import pure
from hullscout.oracle import Calculated, Reply
from hullscout.pool import CONFLICT_EV_PER_ATOM, are_of_one_lattice
from hullscout.pool.checks import symbol_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hullscout.campaign.ledger import Ledger
    from hullscout.errors import ResultError


def with_pure_cells(
    ledger: Ledger, replies: Sequence[Reply | ResultError]
) -> tuple[list[Reply | ResultError], list[str]]:
    """The replies, those of pure cells at other volumes told as of these, and sentences on what is no cell.

    Of results at several volumes the lowest is the cell's energy; where one is known, those that agree with it are told again. What
    is awaited is left alone.
    """
    taken, said, volumes = list(replies), [], ""
    sound = [reply for reply in replies if isinstance(reply, Reply)]
    strangers = [
        (reply.outcome.energy_ev / reply.stranger.n_atoms, place, reply.stranger, reply, reply.outcome)
        for place, reply in enumerate(replies)
        if isinstance(reply, Reply) and reply.stranger is not None and isinstance(reply.outcome, Calculated)
    ]
    for end, those in zip(ledger.pool.axis.names, pure(ledger.pool.fractions), strict=True):
        for cell in (ledger.pool.candidates[index] for index in those.tolist()):
            known_ev = ledger.energy_ev(cell.id)
            alike = sorted((one for one in strangers if are_of_one_lattice(one[2], cell)), key=itemgetter(0, 1))
            is_told = any(reply.id == cell.id and reply.stranger is None for reply in sound)
            if not alike or (known_ev is None and (is_told or ledger.is_asked(cell.id))):
                continue
            if known_ev is None:
                lowest, _, stranger, *_ = alike[0]
                said.append(f"{cell.id} is not calculated again: at another volume it is {stranger.id}.")
                volumes += f" --volume {end}={stranger.volume_a3_per_atom:.2f}"
                alike, known_ev = alike[:1], lowest * cell.n_atoms
            for ev_per_atom, place, stranger, reply, outcome in alike:
                if abs(ev_per_atom - known_ev / cell.n_atoms) <= CONFLICT_EV_PER_ATOM:
                    is_of_its_size = stranger.n_atoms == cell.n_atoms
                    relaxed = replace(outcome.relaxed, id=cell.id) if outcome.relaxed and is_of_its_size else None
                    told = replace(outcome, energy_ev=ev_per_atom * cell.n_atoms, relaxed=relaxed)
                    taken[place] = replace(reply, id=cell.id, outcome=told, stranger=None)
    if sound and all(reply.stranger is not None for reply in sound):
        cells = f"; `hullscout enumerate` with{volumes} makes cells at your volumes" if volumes else ""
        none = (
            f"None of {len(sound)} results began from a cell of the campaign: they are candidates of their own, beside its cells. "
            "Results that keep their first step (the whole vasprun.xml of a relaxation) are of the cell that they began from"
        )
        said = [f"{none}{cells}.", *said]
    return taken, said


def refuse_other_elements(path: Path, replies: Sequence[Reply | ResultError], elements: Sequence[str]) -> None:
    """Make an InvalidPoolError of results most of which hold elements that no candidate has."""
    strangers = [reply.stranger for reply in replies if isinstance(reply, Reply) and reply.stranger is not None]
    found = [{symbol_of(number) for number in stranger.numbers.tolist()} for stranger in strangers]
    n_foreign = sum(not symbols <= set(elements) for symbols in found)
    if 2 * n_foreign > len(replies):
        there = "-".join(sorted(set().union(*found)))
        raise InvalidPoolError(
            f"{path}: expected results of {'-'.join(elements)}, as the candidates are, found such of {there} ({n_foreign} of "
            f"{len(replies)} are foreign). Give candidates of {there}, or other results."
        )
