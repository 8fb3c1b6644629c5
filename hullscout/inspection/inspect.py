"""The inspection of a pool: every check in turn, each on the frames that the checks before left sound."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from hullscout.display import MILLI
from hullscout.errors import InvalidPoolError
from hullscout.inspection.energies import FEWEST, FLOOR_EV_PER_ATOM, SUSPICION, find_suspect_energies
from hullscout.inspection.findings import Finding, Inspection, Severity
from hullscout.inspection.geometry import (
    CLOSE,
    LEAST_ODD_VOLUME,
    ROBUST_DEVIATIONS,
    find_odd_volumes,
    shortest_distance,
)
from hullscout.oracle.table import CONFLICT_EV_PER_ATOM
from hullscout.pool import TWIN_TOLERANCE, Candidate, find_twins, natural_key
from hullscout.pool.checks import atomic_numbers, find_frame_faults, find_missing_ends, find_repeated_ids
from hullscout.pool.frames import shown_ids
from hullscout.pool.theory import find_setting_conflicts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from hullscout.pool import Frame, Frames

_ORDER = tuple(Severity)


def most_frequent_elements(frames: Frames) -> tuple[str, str]:
    """The two elements that occur in most frames, in alphabetical order.

    Raises:
        InvalidPoolError: fewer than two occur.
    """
    from ase.data import chemical_symbols  # noqa: PLC0415  (late: ASE loads slowly)

    counts = Counter(number for frame in frames.frames for number in set(frame.numbers.tolist()))
    symbols = [chemical_symbols[number] for number, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))]
    if len(symbols) < 2:
        raise InvalidPoolError(
            f"{frames.path}: expected a pool of two elements, found only {', '.join(symbols)}. Name both: --elements A,B."
        )
    first, second = sorted(symbols[:2])
    return first, second


def inspect_frames(
    frames: Frames, elements: tuple[str, str], *, on_progress: Callable[[str], None] = lambda _: None
) -> Inspection:
    """Look a pool over.

    Args:
        frames: what a source says.
        elements: first and second element of the axis.
        on_progress: called with what is being done, before it is done.

    Raises:
        InvalidPoolError: not two different chemical elements.
    """
    on_progress(f"reading {len(frames.frames)} frames")
    faults, sound = _sound(frames, elements)
    findings = [*faults, *_about_the_whole(frames, sound, elements)]
    criteria: list[str] = []
    groups: tuple[tuple[int, ...], ...] = ()
    if sound:
        on_progress(f"looking for twins among {len(sound)} frames")
        candidates = [Candidate(id=f.id, numbers=f.numbers, positions=f.positions, cell=f.cell) for f in sound]
        groups = find_twins(candidates)
        findings += _duplicates(sound, groups)
        x = np.array([float(np.mean(f.numbers == atomic_numbers(elements)[1])) for f in sound])
        findings += [*_volumes(sound, x), *_distances(sound)]
        criteria += [
            (
                f"Volumes are suspect that are more than {100 * LEAST_ODD_VOLUME:.0f} % and {ROBUST_DEVIATIONS:g} robust standard "
                "deviations off the line through all (least absolute deviations)."
            ),
            f"Distances are suspect below {CLOSE} of the neighbour distance in fcc at the same volume per atom.",
        ]
        found, criterion = _energies(sound, candidates, groups, x, elements, on_progress)
        findings += found
        criteria.append(criterion)
    return Inspection(
        elements=elements,
        n_frames=len(frames.frames),
        n_energies=sum(frame.energy_ev is not None for frame in frames.frames),
        n_crystals=len(groups),
        findings=tuple(sorted(findings, key=lambda finding: _ORDER.index(finding.severity))),
        criteria=tuple(criteria),
    )


def _sound(frames: Frames, elements: tuple[str, str]) -> tuple[list[Finding], list[Frame]]:
    """Faults of single frames, and the frames without any, in the natural order of their ids."""
    findings = []
    bad: set[int] = set()
    for frame in frames.frames:
        for fault in find_frame_faults(frame, elements):
            bad.add(frame.number)
            findings.append(
                Finding(
                    kind="frame",
                    severity=Severity.FAULT,
                    frames=(frame.number,),
                    sentence=f"{frame.id}: {fault}",
                    taken_out=(frame.number,),
                )
            )
    for repeated, numbers in find_repeated_ids(frames.frames).items():
        first, *others = [number for number in numbers if number not in bad] or numbers
        bad.update(number for number in numbers if number != first)
        findings.append(
            Finding(
                kind="repeated id",
                severity=Severity.FAULT,
                frames=numbers,
                sentence=f"{repeated}: frames {', '.join(map(str, numbers))} have this id",
                taken_out=tuple(others),
            )
        )
    sound = [frame for frame in frames.frames if frame.number not in bad]
    return findings, sorted(sound, key=lambda frame: natural_key(frame.id))


def _about_the_whole(frames: Frames, sound: Sequence[Frame], elements: tuple[str, str]) -> Iterator[Finding]:
    """Ends of the axis without a structure, mixed settings, energies that are not there, shared labels."""
    with_energy = [frame for frame in sound if frame.energy_ev is not None]
    for sentence in find_missing_ends(with_energy or sound, elements):
        yield Finding(kind="missing element", severity=Severity.FAULT, frames=(), sentence=sentence)
    place = {frame.id: frame.number for frame in sound}
    for conflict in find_setting_conflicts(sound):
        yield Finding(
            kind="mixed settings",
            severity=Severity.FAULT,
            frames=tuple(place[member] for _, ids in conflict.groups for member in ids),
            sentence=str(conflict),
            taken_out=tuple(place[member] for member in conflict.odd_ids),
        )
    dark = [frame for frame in sound if frame.energy_ev is None]
    if dark:
        yield Finding(
            kind="no energy",
            severity=Severity.NOTE,
            frames=tuple(frame.number for frame in dark),
            sentence=f"{shown_ids([frame.id for frame in dark])}: no candidates where energies are looked up"
            if with_energy
            else "no frame states an energy: they have to be computed",
        )
    for label in frames.shared_labels:
        numbered = [frame for frame in sound if frame.id.startswith(f"{label}#")]
        yield Finding(
            kind="shared label",
            severity=Severity.NOTE,
            frames=tuple(frame.number for frame in numbered),
            sentence=f"{label}: several structures of a prototype; named {shown_ids([frame.id for frame in numbered])}",
        )


def _duplicates(sound: Sequence[Frame], groups: Sequence[tuple[int, ...]]) -> Iterator[Finding]:
    """Crystals that occur more than once, and whether their energies agree."""
    for group in groups:
        if len(group) == 1:
            continue
        kept = _best(sound, group)
        twins = [sound[index] for index in group]
        stated = [_per_atom(frame) for frame in twins if frame.energy_ev is not None]
        spread = max(stated) - min(stated) if stated else 0.0
        agree = spread <= CONFLICT_EV_PER_ATOM
        names = " = ".join(frame.id for frame in twins[:5]) + (" = ..." if len(twins) > 5 else "")
        yield Finding(
            kind="duplicate",
            severity=Severity.NOTE if agree else Severity.SUSPECT,
            frames=tuple(frame.number for frame in twins),
            sentence=names
            if agree
            else f"{names}: energies differ by {MILLI * spread:.1f} meV/atom; {sound[kept].id} is lowest",
            taken_out=tuple(sound[index].number for index in group if index != kept),
        )


def _volumes(sound: Sequence[Frame], x: NDArray[np.float64]) -> Iterator[Finding]:
    """Volumes per atom that are far from the others'."""
    for place, odd in find_odd_volumes(sound, x).items():
        yield Finding(
            kind="volume",
            severity=Severity.SUSPECT,
            frames=(sound[place].number,),
            sentence=f"{sound[place].id}: {odd.volume:.2f} A^3 per atom; the others suggest {odd.expected:.2f}",
            doubted=(sound[place].number,),
        )


def _distances(sound: Sequence[Frame]) -> Iterator[Finding]:
    """Atoms that are too close for an alloy."""
    for frame in sound:
        shortest = shortest_distance(frame)
        if shortest < CLOSE:
            yield Finding(
                kind="distance",
                severity=Severity.SUSPECT,
                frames=(frame.number,),
                sentence=f"{frame.id}: atoms come as close as {shortest:.2f} of the fcc neighbour distance",
                doubted=(frame.number,),
            )


def _energies(
    sound: Sequence[Frame],
    candidates: Sequence[Candidate],
    groups: Sequence[tuple[int, ...]],
    x: NDArray[np.float64],
    elements: tuple[str, str],
    on_progress: Callable[[str], None],
) -> tuple[list[Finding], str]:
    """Energies that the others contradict, and the criterion."""
    best = [_best(sound, group) for group in groups]
    used = [index for index in best if sound[index].energy_ev is not None]
    if len(used) < FEWEST:
        return [], (
            f"Energies were not compared: that takes {FEWEST} different crystals with an energy; found {len(used)}."
        )
    energies = np.array([_per_atom(sound[index]) for index in used])
    suspects = find_suspect_energies(
        [candidates[index] for index in used], energies, x[used], elements=elements, on_progress=on_progress
    )
    findings = [
        Finding(
            kind="energy",
            severity=Severity.SUSPECT,
            frames=(sound[used[row]].number,),
            sentence=f"{sound[used[row]].id}: {abs(suspect.deviation_ev_per_atom) * MILLI:.1f} meV/atom "
            f"{'above' if suspect.deviation_ev_per_atom > 0 else 'below'} what the others suggest "
            f"(+- {suspect.std_ev_per_atom * MILLI:.1f})",
            doubted=(sound[used[row]].number,),
        )
        for row, suspect in sorted(suspects.items(), key=lambda pair: -abs(pair[1].deviation_ev_per_atom))
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
