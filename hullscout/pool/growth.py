"""Candidates added to a pool that is in use: those that it holds keep their places, and no crystal comes twice.

What is added is checked as a pool is, alone and together with what is there. A candidate that was added keeps its place, too:
further ones come after it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from hullscout.pool.axis import CompositionAxis
from hullscout.pool.checks import Faulty
from hullscout.pool.frames import Frames, natural_key, one_error
from hullscout.pool.pool import Pool
from hullscout.pool.twins import find_twins

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hullscout.pool.columns import Columns
    from hullscout.pool.frames import Frame

_MADE_ID = re.compile(r"frame-\d{6}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """What of a source is new to a pool.

    Attributes:
        ids: Of the new candidates, in the order in which they are appended: the natural one.
        twins: For each structure that is a crystal of the pool, or one that is new, by its id: that candidate's.
        left_out: Ids of structures without an energy, where a table would have to answer for them.
        faults: Of structures that no campaign can use, where these are left out.
        suspects: What looks wrong of the energies of the pool with what is new, and did not before.
    """

    ids: tuple[str, ...]
    twins: dict[str, str] = field(repr=False)
    left_out: tuple[str, ...] = field(repr=False)
    faults: tuple[str, ...] = field(repr=False)
    suspects: tuple[str, ...] = field(repr=False)


def with_own_ids(frames: Frames, prefix: str) -> Frames:
    """Frames whose ids were made from their places in the file, with ids that no other file's are given."""
    if not all(_MADE_ID.fullmatch(frame.id) for frame in frames.frames):
        return frames
    return replace(frames, frames=tuple(replace(f, id=f"{prefix}-{f.number:06d}") for f in frames.frames))


def growth_of(
    pool: Pool,
    known: Frames,
    added: Frames,
    *,
    axis: CompositionAxis,
    needs_energy: bool,
    faulty: Faulty,
    build: Callable[[Frames], Pool],
) -> Growth:
    """What is new among added frames; an InvalidPoolError where a campaign cannot use them, or an id is another crystal's.

    Args:
        known: The frames that the pool was built from, so far.
        axis: What compositions of the pool are measured by, and their limits.
        build: Checks frames and makes a pool of them, as the pool was made.
    """
    added = axis.sift(added)
    said = {
        frame.number: f"{frame.name}: beyond the limits"
        for frame in added.frames
        if frame.number in axis.beyond(added.frames)
    }
    added = replace(
        added,
        frames=tuple(frame for frame in added.frames if frame.number not in said),
        faults=(*added.faults, *said.values()),
        n_faulty=added.n_faulty + len(said),
    )
    if added.faults and faulty is Faulty.REFUSE:
        n_sound = len(added.frames)
        raise one_error(
            added.path, added.faults, n_frames=added.n_frames, n_sound=n_sound, leave_out="--leave-out-faults"
        )
    faults: list[str] = []
    usable = [frame for frame in added.frames if not needs_energy or frame.energy_ev is not None]
    left_out = {frame.id for frame in added.frames} - {frame.id for frame in usable}
    stands_for = {name: name for name in pool.ids} | {
        twin: first for first, twins in pool.twins.items() for twin in twins
    }
    there = {frame.id: frame for frame in known.frames if frame.id in stands_for}
    twins: dict[str, str] = {}
    for frame in usable:
        if frame.id not in there:
            continue
        if len(find_twins([there[frame.id].candidate(), frame.candidate()])) == 1:
            twins[frame.id] = stands_for[frame.id]
        else:
            faults.append(f"{frame.name}: the pool has another crystal of this id: give it another id")
    if faults:
        raise one_error(added.path, faults, n_frames=len(added.frames))
    fresh = [frame for frame in usable if frame.id not in there]
    suspects: tuple[str, ...] = ()
    if fresh:
        together = replace(added, frames=(*there.values(), *fresh), keys=tuple(sorted({*known.keys, *added.keys})))
        report = build(together).report
        suspects = tuple(sentence for sentence in report.suspects if sentence not in pool.report.suspects)
        for group in report.twin_groups:
            first = next((stands_for[member] for member in group if member in stands_for), group[0])
            twins |= {member: first for member in group if member not in stands_for and member != first}
    ids = sorted((frame.id for frame in fresh if frame.id not in twins), key=natural_key)
    return Growth(
        ids=tuple(ids),
        twins=twins,
        left_out=tuple(sorted(left_out, key=natural_key)),
        faults=added.faults,
        suspects=suspects,
    )


def grown(
    pool: Pool, frames: Sequence[Frame], *, source: Frames, columns: Columns, sentence: str, suspects: tuple[str, ...]
) -> Pool:
    """The pool with candidates of these frames, which are new to it, appended in their order; the sentence joins its report.

    Suspects are what looks wrong of the energies of all, the new ones among them.
    """
    candidates = tuple(frame.candidate() for frame in frames)
    cost, baseline = columns.read(source.path, frames)
    report = pool.report
    axis = CompositionAxis(elements=pool.elements, ends=pool.ends)
    n_pure = np.array(report.n_pure) + (axis.coordinates(axis.counts(candidates)) == 1.0).sum(axis=0)
    return Pool(
        elements=pool.elements,
        ends=pool.ends,
        candidates=(*pool.candidates, *candidates),
        report=replace(
            report,
            n_frames=report.n_frames + len(frames),
            n_candidates=report.n_candidates + len(candidates),
            n_pure=tuple(n_pure.tolist()),
            notes=(*report.notes, sentence),
            suspects=suspects,
        ),
        given=pool.given,
        cost=None if pool.cost is None or cost is None else np.concatenate([pool.cost, cost]),
        baseline_ev_per_atom=None
        if pool.baseline_ev_per_atom is None or baseline is None
        else np.concatenate([pool.baseline_ev_per_atom, baseline]),
    )
