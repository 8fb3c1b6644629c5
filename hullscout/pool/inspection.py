"""A pool looked over before it is used: what no campaign would take, and what only looks wrong.

Nothing here changes a pool; `clean` says which frames would be left. Every check looks at the frames that those before left sound.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from hullscout.display import MILLI, PERCENT
from hullscout.errors import InvalidPoolError
from hullscout.pool import checks
from hullscout.pool.axis import CompositionAxis, axis_of
from hullscout.pool.columns import find_setting_conflicts, setting_notes
from hullscout.pool.energies import offered
from hullscout.pool.frames import Frame, Frames, natural_key, shown_ids
from hullscout.pool.moments import moment_note
from hullscout.pool.plausibility import find_doubts
from hullscout.pool.twins import (
    CONFLICT_EV_PER_ATOM,
    TWIN_TOLERANCE,
    find_crystals,
    find_siblings,
    find_twins,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray


ENERGY = "energy"
"""The kind of finding that is about one energy that the others contradict."""
WHAT_ENERGY = "energy of what"
"""The kind of finding that is about what the energies are of."""
FREQUENT = 0.1
"""Share of the frames from which on a third element is one of the pool's, and no stray."""
NOT_READ = "not read"
MIXED_SETTINGS = "mixed settings"
"""The kind of finding that is about what is no frame, so that a cleaned pool cannot hold it."""


class Severity(Enum):
    """No campaign takes a pool with a fault as it is; a suspect looks wrong and may be right; what is noted, campaigns handle."""

    FAULT = "fault"
    SUSPECT = "suspect"
    NOTE = "note"


class Suspects(Enum):
    """What becomes of suspects in a cleaned pool: they are kept, since they may be right, or go with the faults."""

    KEEP = "keep"
    LEAVE_OUT = "leave out"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found: what it is about, in a word or two, and a sentence with ids.

    Frames are given by their numbers, from 1: those concerned, none where it is about the pool as a whole; those that a cleaned
    pool leaves out; and those doubted, which it leaves out only where suspects are not wanted either.
    """

    severity: Severity
    kind: str
    sentence: str
    frames: tuple[int, ...] = ()
    taken_out: tuple[int, ...] = ()
    doubted: tuple[int, ...] = ()

    def left_out(self, suspects: Suspects) -> tuple[int, ...]:
        """Numbers of the frames that a cleaned pool leaves out because of this."""
        return self.taken_out if suspects is Suspects.KEEP else self.taken_out + self.doubted


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """Everything that was found in a pool of n_frames frames, n_energies of them with an energy."""

    elements: tuple[str, ...]
    n_frames: int
    n_energies: int
    n_crystals: int  #: different crystals among the frames without a fault
    findings: tuple[Finding, ...] = field(repr=False)  #: faults first, then suspects, then notes
    criteria: tuple[str, ...] = field(repr=False)  #: what counts as suspect; also why something was not looked at

    @property
    def is_clean(self) -> bool:
        """Neither faults nor suspects; there may be notes."""
        return all(finding.severity is Severity.NOTE for finding in self.findings)

    def of(self, severity: Severity) -> tuple[Finding, ...]:
        """The findings of one severity."""
        return tuple(finding for finding in self.findings if finding.severity is severity)


def clean(
    frames: tuple[Frame, ...], inspection: Inspection, *, suspects: Suspects = Suspects.KEEP
) -> tuple[Frame, ...]:
    """The frames, of those that were inspected, that no finding takes out, as they are and in their order; none that is made up."""
    out = {number for finding in inspection.findings for number in finding.left_out(suspects)}
    return tuple(frame for frame in frames if frame.number not in out and not frame.is_given)


def most_frequent_elements(frames: Frames) -> tuple[str, ...]:
    """The elements that occur in most frames, in alphabetical order; an InvalidPoolError where fewer than two occur.

    Beside the two in most frames those in at least FREQUENT of all, five at most.
    """
    counts = Counter(number for frame in frames.frames for number in set(frame.numbers.tolist()))
    often = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[: checks.MAX_ELEMENTS]
    symbols = [
        checks.symbol_of(number)
        for place, (number, count) in enumerate(often)
        if place < 2 or count >= FREQUENT * len(frames.frames)
    ]
    if len(symbols) < 2:
        raise InvalidPoolError(
            f"{frames.path}: expected a pool of two elements or more, found only {', '.join(symbols)}. Name them: --elements A,B."
            f"{_first_fault(frames)}"
        )
    return tuple(sorted(symbols))


def inspect_frames(
    frames: Frames,
    elements: tuple[str, ...],
    *,
    ends: Sequence[str] = (),
    on_progress: Callable[[str], None] = lambda _: None,
) -> Inspection:
    """Look a pool over; before each step `on_progress` is told of it. `ends` are formulas, where the elements are not the ends."""
    axis = axis_of(elements, ends)
    on_progress(f"reading {len(frames.frames)} frames")
    faults, sound = _sound(frames, axis)
    findings = [*faults, *_about_the_whole(frames, sound, axis)]
    criteria: list[str] = []
    groups: tuple[tuple[int, ...], ...] = ()
    made_up: set[int] = set()
    if sound:
        on_progress(f"looking for twins among {len(sound)} frames")
        made_up = {frame.number for frame in sound if frame.is_given}
        candidates = [frame.candidate() for frame in sound]
        crystals = find_crystals(candidates)
        groups = find_twins(candidates, crystals=crystals)
        findings += _moments(sound, find_siblings(crystals, groups))
        ev_per_atom = np.array([np.nan if f.energy_ev is None else f.energy_ev / len(f.numbers) for f in sound])
        kept = [_best(ev_per_atom, group) for group in groups]
        findings += _duplicates(sound, ev_per_atom, groups, kept)
        fractions = axis.coordinates(axis.counts(sound))[:, 1:]
        findings += [
            _suspect("volume", sound[place], f"{volume:.2f} A^3 per atom; the others suggest {expected:.2f}")
            for place, (volume, expected) in checks.find_odd_volumes(sound, fractions).items()
        ]
        findings += [_suspect("distance", sound[i], said) for i, said in checks.find_close_atoms(sound).items()]
        used = [place for place in kept if not np.isnan(ev_per_atom[place])]
        is_one_kind = not any(f.kind == WHAT_ENERGY and not f.frames for f in findings)
        found: list[Finding] = []
        criterion = "Energies were not compared: they do not look like total energies of the cells."
        if is_one_kind:
            found, criterion = _energies(
                [sound[i] for i in used], ev_per_atom[used], fractions[used], elements, on_progress
            )
        findings += found
        findings = [f for f in findings if f.severity is not Severity.SUSPECT or not made_up & {*f.doubted}]
        criteria += [
            (
                f"Volumes are suspect that are more than {PERCENT * checks.ODD_VOLUME:.0f} % and {checks.ROBUST_DEVIATIONS:g} "
                "robust standard deviations off the line through all (least absolute deviations)."
            ),
            (
                f"Distances are suspect below {checks.CLOSE} of the neighbour distance in fcc at the same volume per atom; where "
                "there is vacuum, of what is usual in the pool."
            ),
            criterion,
        ]
    return Inspection(
        elements=elements,
        n_frames=frames.n_frames,
        n_energies=sum(frame.energy_ev is not None and not frame.is_given for frame in frames.frames),
        n_crystals=len(groups) - len(made_up),
        findings=tuple(sorted(findings, key=lambda finding: tuple(Severity).index(finding.severity))),
        criteria=tuple(criteria),
    )


def find_contradicted(frames: Frames, axis: CompositionAxis) -> dict[str, str]:
    """What `inspect_frames` says of each energy that the others contradict, by id; nothing where they are too few to judge."""
    if sum(frame.energy_ev is not None for frame in frames.frames) < checks.MIN_ENERGIES:
        return {}
    numbered = tuple(replace(frame, number=number) for number, frame in enumerate(frames.frames, start=1))
    found = inspect_frames(replace(frames, frames=numbered), axis.elements, ends=axis.ends)
    return {
        numbered[number - 1].id: finding.sentence
        for finding in found.of(Severity.SUSPECT)
        if finding.kind == ENERGY
        for number in finding.frames
    }


def _suspect(kind: str, frame: Frame, sentence: str) -> Finding:
    """A frame that looks wrong by itself."""
    return Finding(Severity.SUSPECT, kind, f"{frame.id}: {sentence}", (frame.number,), doubted=(frame.number,))


def _sound(frames: Frames, axis: CompositionAxis) -> tuple[list[Finding], list[Frame]]:
    """Faults of single frames, and the frames without any, in the natural order of their ids."""
    findings = [Finding(Severity.FAULT, NOT_READ, fault.rstrip(".")) for fault in frames.faults]
    findings += [
        Finding(Severity.FAULT, "frame", f"{frame.id}: {fault}", (frame.number,), taken_out=(frame.number,))
        for frame in frames.frames
        for fault in checks.find_frame_faults(frame, axis.elements)
    ]
    bad = {number for finding in findings for number in finding.frames}
    findings += [
        Finding(Severity.FAULT, "frame", f"{frame.id}: {fault}", (frame.number,), taken_out=(frame.number,))
        for frame, fault in axis.outside([frame for frame in frames.frames if frame.number not in bad])
    ]
    bad = {number for finding in findings for number in finding.frames}
    for repeated, numbers in checks.find_repeated_ids(frames.frames).items():
        first, *others = [number for number in numbers if number not in bad] or numbers
        bad.update(number for number in numbers if number != first)
        sentence = f"{repeated}: frames {', '.join(map(str, numbers))} have this id"
        findings.append(Finding(Severity.FAULT, "repeated id", sentence, numbers, taken_out=tuple(others)))
    sound = [frame for frame in frames.frames if frame.number not in bad]
    return findings, sorted(sound, key=lambda frame: natural_key(frame.id))


def _about_the_whole(frames: Frames, sound: Sequence[Frame], axis: CompositionAxis) -> Iterator[Finding]:
    """Ends of the axis without a structure, mixed settings, energies that are not there, shared labels."""
    with_energy = [frame for frame in sound if frame.energy_ev is not None]
    for sentence in axis.missing(with_energy or sound):
        yield Finding(Severity.FAULT, "missing end" if axis.ends else "missing element", sentence)
    number_of = {frame.id: frame.number for frame in sound}
    for conflict in find_setting_conflicts(sound):
        numbers = tuple(number_of[member] for _, ids in conflict.groups for member in ids)
        out = tuple(number_of[member] for member in conflict.odd_ids)
        yield Finding(Severity.FAULT, MIXED_SETTINGS, str(conflict), numbers, taken_out=out)
    yield from _doubts(frames, sound, axis.elements)
    without = [frame.id for frame in sound if frame.energy_ev is None]
    if without:
        sentence = f"no frame states an energy: they have to be computed. {offered(sound)}".removesuffix(". ")
        if with_energy:
            sentence = f"{shown_ids(without)}: no candidates where energies are looked up"
        yield Finding(Severity.NOTE, "no energy", sentence, tuple(number_of[name] for name in without))
    for label in frames.shared_labels:
        ids = [frame.id for frame in sound if frame.id.startswith(f"{label}#")]
        sentence = f"{label}: several structures of a prototype; named {shown_ids(ids)}"
        yield Finding(Severity.NOTE, "shared label", sentence, tuple(number_of[name] for name in ids))
    stated = [frame for frame in sound if not frame.is_given]
    for note in (*frames.notes, *setting_notes(stated), *checks.slab_notes(stated)):
        yield Finding(Severity.NOTE, "as read", note)


def _moments(sound: Sequence[Frame], siblings: Sequence[tuple[int, ...]]) -> Iterator[Finding]:
    """Magnetic moments that structures state, and crystals in several orderings."""
    ids = [[sound[place].id for place in group] for group in siblings]
    for sentence in moment_note([frame.magmoms for frame in sound], ids):
        yield Finding(Severity.NOTE, "moments", sentence)


def _doubts(frames: Frames, sound: Sequence[Frame], elements: tuple[str, ...]) -> Iterator[Finding]:
    """Energies that do not look like total energies of their cells."""
    for doubt in find_doubts(sound, elements, is_stated=frames.is_meant):
        severity = Severity.FAULT if doubt.is_fault else Severity.SUSPECT
        yield Finding(severity, WHAT_ENERGY, doubt.sentence, doubt.frames, doubted=doubt.frames)


def _duplicates(
    sound: Sequence[Frame], ev_per_atom: NDArray[np.float64], groups: Sequence[tuple[int, ...]], kept: Sequence[int]
) -> Iterator[Finding]:
    """Crystals that occur more than once, and whether their energies agree."""
    for group, best in zip(groups, kept, strict=True):
        if len(group) == 1:
            continue
        twins = [sound[place] for place in group]
        stated = [ev_per_atom[place] for place in group if not np.isnan(ev_per_atom[place])]
        spread = max(stated) - min(stated) if stated else 0.0
        sentence = " = ".join(frame.id for frame in twins[:5]) + (" = ..." if len(twins) > 5 else "")
        severity = Severity.NOTE
        if spread > CONFLICT_EV_PER_ATOM:
            severity = Severity.SUSPECT
            sentence += f": energies differ by {MILLI * spread:.1f} meV/atom; {sound[best].id} is lowest"
        out = tuple(sound[place].number for place in group if place != best)
        yield Finding(severity, "duplicate", sentence, tuple(frame.number for frame in twins), taken_out=out)


def _energies(
    used: Sequence[Frame],
    ev_per_atom: NDArray[np.float64],
    fractions: NDArray[np.float64],
    elements: tuple[str, ...],
    on_progress: Callable[[str], None],
) -> tuple[list[Finding], str]:
    """Energies (n,) of n different crystals that the others contradict, and the criterion."""
    if len(used) < checks.MIN_ENERGIES:
        return [], (
            f"Energies were not compared: that takes {checks.MIN_ENERGIES} different crystals with an energy; found {len(used)}."
        )
    candidates = [frame.candidate() for frame in used]
    suspects = checks.find_suspect_energies(
        candidates, ev_per_atom, fractions, elements=elements, on_progress=on_progress
    )
    findings = [
        _suspect(
            ENERGY,
            used[place],
            f"{abs(deviation) * MILLI:.1f} meV/atom {'above' if deviation > 0 else 'below'} what the others suggest "
            f"(+- {std * MILLI:.1f})",
        )
        for place, (deviation, std) in sorted(suspects.items(), key=lambda pair: -abs(pair[1][0]))
    ]
    n_judged = min(len(used), checks.MAX_JUDGED)
    share = (
        "" if n_judged == len(used) else f"{n_judged} of {len(used)} energies, half of them the lowest, were compared. "
    )
    return findings, (
        f"{share}Energies are suspect that are more than {checks.SUSPICION:g} robust standard deviations, and "
        f"{MILLI * checks.FLOOR_EV_PER_ATOM:g} meV/atom, off what the kernel model predicts of them from the others; twins, where "
        f"they differ by more than {MILLI * CONFLICT_EV_PER_ATOM:g} meV/atom (within {TWIN_TOLERANCE} A they are one crystal)."
    )


def _best(ev_per_atom: NDArray[np.float64], group: Sequence[int]) -> int:
    """The twin that stands for its group: the first with an energy, or the lowest where they do not agree."""
    stated = [place for place in group if not np.isnan(ev_per_atom[place])]
    if not stated:
        return group[0]
    lowest = min(stated, key=lambda place: float(ev_per_atom[place]))
    return stated[0] if ev_per_atom[stated[0]] - ev_per_atom[lowest] <= CONFLICT_EV_PER_ATOM else lowest


def _first_fault(frames: Frames) -> str:
    """What is said of frames that were not read, where the others do not suffice."""
    return f" Not read: {len(frames.faults)}, the first since {frames.faults[0]}." if frames.faults else ""
