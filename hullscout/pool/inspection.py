"""A pool looked over before it is used: what no campaign would take, and what only looks wrong.

Nothing here changes a pool; `clean` says which frames would be left. Every check looks at the frames that those before left sound.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from hullscout.display import MILLI, PERCENT
from hullscout.errors import InvalidPoolError
from hullscout.pool.checks import (
    find_frame_faults,
    find_missing_ends,
    find_repeated_ids,
    find_setting_conflicts,
    symbol_of,
    two_atomic_numbers,
)
from hullscout.pool.frames import natural_key, shown_ids
from hullscout.pool.suspects import (
    CLOSE,
    FLOOR_EV_PER_ATOM,
    MIN_ENERGIES,
    ODD_VOLUME,
    ROBUST_DEVIATIONS,
    SUSPICION,
    find_odd_volumes,
    find_suspect_energies,
    shortest_distance,
)
from hullscout.pool.twins import CONFLICT_EV_PER_ATOM, TWIN_TOLERANCE, find_twins

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from hullscout.pool.candidate import Candidate
    from hullscout.pool.frames import Frame, Frames


class Severity(Enum):
    """How bad a finding is."""

    FAULT = "fault"
    """No campaign takes the pool as it is."""
    SUSPECT = "suspect"
    """It looks wrong and may be right."""
    NOTE = "note"
    """Campaigns handle it."""


class Suspects(Enum):
    """What becomes of suspects in a cleaned pool."""

    KEEP = "keep"
    """They may be right."""
    LEAVE_OUT = "leave out"
    """They go with the faults."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found.

    Attributes:
        severity: how bad it is.
        kind: what it is about, in a word or two.
        sentence: what was found, with ids.
        frames: numbers of the frames concerned, from 1; none where it is about the pool as a whole.
        taken_out: numbers of the frames that a cleaned pool leaves out.
        doubted: numbers of the frames that it leaves out only where suspects are not wanted either.
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
    """Everything that was found in a pool.

    Attributes:
        elements: the axis.
        n_frames: frames in the source.
        n_energies: frames that state an energy.
        n_crystals: different crystals among the frames without a fault.
        findings: faults first, then suspects, then notes.
        criteria: what counts as suspect, in sentences; also why something was not looked at.
    """

    elements: tuple[str, str]
    n_frames: int
    n_energies: int
    n_crystals: int
    findings: tuple[Finding, ...] = field(repr=False)
    criteria: tuple[str, ...] = field(repr=False)

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
    """The frames, of those that were inspected, that no finding takes out, as they are and in their order."""
    out = {number for finding in inspection.findings for number in finding.left_out(suspects)}
    return tuple(frame for frame in frames if frame.number not in out)


def most_frequent_elements(frames: Frames) -> tuple[str, str]:
    """The two elements that occur in most frames, in alphabetical order.

    Raises:
        InvalidPoolError: fewer than two occur.
    """
    counts = Counter(number for frame in frames.frames for number in set(frame.numbers.tolist()))
    symbols = [symbol_of(number) for number, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))]
    if len(symbols) < 2:
        raise InvalidPoolError(
            f"{frames.path}: expected a pool of two elements, found only {', '.join(symbols)}. Name both: --elements A,B."
        )
    first, second = sorted(symbols[:2])
    return first, second


def inspect_frames(
    frames: Frames, elements: tuple[str, str], *, on_progress: Callable[[str], None] = lambda _: None
) -> Inspection:
    """Look a pool over; before each step `on_progress` is told of it.

    Raises:
        InvalidPoolError: not two different chemical elements.
    """
    _, second = two_atomic_numbers(elements)
    on_progress(f"reading {len(frames.frames)} frames")
    faults, sound = _sound(frames, elements)
    findings = [*faults, *_about_the_whole(frames, sound, elements)]
    criteria: list[str] = []
    groups: tuple[tuple[int, ...], ...] = ()
    if sound:
        on_progress(f"looking for twins among {len(sound)} frames")
        candidates = [frame.candidate() for frame in sound]
        groups = find_twins(candidates)
        findings += _duplicates(sound, groups)
        x = np.array([float(np.mean(frame.numbers == second)) for frame in sound])
        for place, (volume, expected) in find_odd_volumes(sound, x).items():
            sentence = f"{volume:.2f} A^3 per atom; the others suggest {expected:.2f}"
            findings.append(_suspect("volume", sound[place], sentence))
        for frame in sound:
            shortest = shortest_distance(frame.positions, frame.cell)
            if shortest < CLOSE:
                sentence = f"atoms come as close as {shortest:.2f} of the fcc neighbour distance"
                findings.append(_suspect("distance", frame, sentence))
        criteria += [
            (
                f"Volumes are suspect that are more than {PERCENT * ODD_VOLUME:.0f} % and {ROBUST_DEVIATIONS:g} robust standard "
                "deviations off the line through all (least absolute deviations)."
            ),
            f"Distances are suspect below {CLOSE} of the neighbour distance in fcc at the same volume per atom.",
        ]
        found, criterion = _energies(sound, candidates, groups, x, elements, on_progress)
        findings += found
        criteria.append(criterion)
    order = tuple(Severity)
    return Inspection(
        elements=elements,
        n_frames=len(frames.frames),
        n_energies=sum(frame.energy_ev is not None for frame in frames.frames),
        n_crystals=len(groups),
        findings=tuple(sorted(findings, key=lambda finding: order.index(finding.severity))),
        criteria=tuple(criteria),
    )


def _suspect(kind: str, frame: Frame, sentence: str) -> Finding:
    """A frame that looks wrong by itself."""
    return Finding(Severity.SUSPECT, kind, f"{frame.id}: {sentence}", (frame.number,), doubted=(frame.number,))


def _sound(frames: Frames, elements: tuple[str, str]) -> tuple[list[Finding], list[Frame]]:
    """Faults of single frames, and the frames without any, in the natural order of their ids."""
    findings = [
        Finding(Severity.FAULT, "frame", f"{frame.id}: {fault}", (frame.number,), taken_out=(frame.number,))
        for frame in frames.frames
        for fault in find_frame_faults(frame, elements)
    ]
    bad = {number for finding in findings for number in finding.frames}
    for repeated, numbers in find_repeated_ids(frames.frames).items():
        first, *others = [number for number in numbers if number not in bad] or numbers
        bad.update(number for number in numbers if number != first)
        sentence = f"{repeated}: frames {', '.join(map(str, numbers))} have this id"
        findings.append(Finding(Severity.FAULT, "repeated id", sentence, numbers, taken_out=tuple(others)))
    sound = [frame for frame in frames.frames if frame.number not in bad]
    return findings, sorted(sound, key=lambda frame: natural_key(frame.id))


def _about_the_whole(frames: Frames, sound: Sequence[Frame], elements: tuple[str, str]) -> Iterator[Finding]:
    """Ends of the axis without a structure, mixed settings, energies that are not there, shared labels."""
    with_energy = [frame for frame in sound if frame.energy_ev is not None]
    for sentence in find_missing_ends(with_energy or sound, elements):
        yield Finding(Severity.FAULT, "missing element", sentence)
    number_of = {frame.id: frame.number for frame in sound}
    for conflict in find_setting_conflicts(sound):
        numbers = tuple(number_of[member] for _, ids in conflict.groups for member in ids)
        out = tuple(number_of[member] for member in conflict.odd_ids)
        yield Finding(Severity.FAULT, "mixed settings", str(conflict), numbers, taken_out=out)
    without = [frame.id for frame in sound if frame.energy_ev is None]
    if without:
        sentence = f"{shown_ids(without)}: no candidates where energies are looked up"
        if not with_energy:
            sentence = "no frame states an energy: they have to be computed"
        yield Finding(Severity.NOTE, "no energy", sentence, tuple(number_of[name] for name in without))
    for label in frames.shared_labels:
        ids = [frame.id for frame in sound if frame.id.startswith(f"{label}#")]
        sentence = f"{label}: several structures of a prototype; named {shown_ids(ids)}"
        yield Finding(Severity.NOTE, "shared label", sentence, tuple(number_of[name] for name in ids))


def _duplicates(sound: Sequence[Frame], groups: Sequence[tuple[int, ...]]) -> Iterator[Finding]:
    """Crystals that occur more than once, and whether their energies agree."""
    for group in groups:
        if len(group) == 1:
            continue
        kept = _best(sound, group)
        twins = [sound[index] for index in group]
        stated = [_per_atom(frame) for frame in twins if frame.energy_ev is not None]
        spread = max(stated) - min(stated) if stated else 0.0
        sentence = " = ".join(frame.id for frame in twins[:5]) + (" = ..." if len(twins) > 5 else "")
        severity = Severity.NOTE
        if spread > CONFLICT_EV_PER_ATOM:
            severity = Severity.SUSPECT
            sentence += f": energies differ by {MILLI * spread:.1f} meV/atom; {sound[kept].id} is lowest"
        out = tuple(sound[index].number for index in group if index != kept)
        yield Finding(severity, "duplicate", sentence, tuple(frame.number for frame in twins), taken_out=out)


def _energies(
    sound: Sequence[Frame],
    candidates: Sequence[Candidate],
    groups: Sequence[tuple[int, ...]],
    x: NDArray[np.float64],
    elements: tuple[str, str],
    on_progress: Callable[[str], None],
) -> tuple[list[Finding], str]:
    """Energies that the others contradict, and the criterion."""
    used = [index for index in (_best(sound, group) for group in groups) if sound[index].energy_ev is not None]
    if len(used) < MIN_ENERGIES:
        return [], (
            f"Energies were not compared: that takes {MIN_ENERGIES} different crystals with an energy; found {len(used)}."
        )
    energies = np.array([_per_atom(sound[index]) for index in used])
    suspects = find_suspect_energies(
        [candidates[index] for index in used], energies, x[used], elements=elements, on_progress=on_progress
    )
    findings = [
        _suspect(
            "energy",
            sound[used[row]],
            f"{abs(deviation) * MILLI:.1f} meV/atom {'above' if deviation > 0 else 'below'} what the others suggest "
            f"(+- {std * MILLI:.1f})",
        )
        for row, (deviation, std) in sorted(suspects.items(), key=lambda pair: -abs(pair[1][0]))
    ]
    return findings, (
        f"Energies are suspect that are more than {SUSPICION:g} robust standard deviations, and {MILLI * FLOOR_EV_PER_ATOM:g} "
        "meV/atom, off what the kernel model predicts of them from the others; twins, where they differ by more than "
        f"{MILLI * CONFLICT_EV_PER_ATOM:g} meV/atom (within {TWIN_TOLERANCE} A they are one crystal)."
    )


def _best(sound: Sequence[Frame], group: Sequence[int]) -> int:
    """The twin that stands for its group: the first with an energy, or the lowest where they do not agree."""
    with_energy = [index for index in group if sound[index].energy_ev is not None]
    if not with_energy:
        return group[0]
    lowest = min(with_energy, key=lambda index: _per_atom(sound[index]))
    first = with_energy[0]
    return first if _per_atom(sound[first]) - _per_atom(sound[lowest]) <= CONFLICT_EV_PER_ATOM else lowest


def _per_atom(frame: Frame) -> float:
    """Energy in eV/atom."""
    assert frame.energy_ev is not None  # noqa: S101  asked only of frames with one
    return frame.energy_ev / len(frame.numbers)
