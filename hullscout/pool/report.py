"""What was found in the frames of a pool, and what was done about it, in sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hullscout.pool.axis import CompositionAxis
from hullscout.pool.frames import shown_ids
from hullscout.pool.twins import TWIN_TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hullscout.pool.columns import SettingConflict

MAX_LISTED = 10
"""Faults that a report names; more are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolReport:
    """What was found in the frames of a source and what was done about it."""

    elements: tuple[str, ...]
    n_frames: int
    n_candidates: int  #: crystals that a campaign may ask for
    left_out: tuple[str, ...]  #: ids of frames without an energy that are no candidates, in pool order
    twin_groups: tuple[
        tuple[str, ...], ...
    ]  #: ids that are one crystal, the candidate first; only groups of two or more
    n_pure: tuple[int, ...]  #: candidates that are each end of the axis: pure elements, or compounds
    ends: tuple[str, ...] = ()  #: the ends, where they are not the elements
    shared_labels: tuple[str, ...] = ()  #: prototype labels that stood for several structures, which got numbers
    mixed_settings: tuple[SettingConflict, ...] = ()  #: that differ among the energies, where that was allowed
    notes: tuple[str, ...] = ()  #: what the reader says of the source as a whole, and what its settings do not say
    faults: tuple[str, ...] = ()  #: of what was left out, since no campaign can use it
    relaxed_twins: tuple[str, ...] = ()  #: ids of twins that are such since they were relaxed
    suspects: tuple[str, ...] = ()  #: what looks wrong of the energies and may be right

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> tuple[str, ...]:
        """The report in plain sentences, one per finding; one line for a pool with nothing to tell."""
        said = [f"{self.n_frames} frames hold {self.n_candidates} candidates."]
        if self.faults:
            said.append(
                f"Left out, since no campaign can use it, as pool.leave_out_faults says: {_listed(self.faults)}."
            )
        if self.left_out:
            n_out = len(self.left_out)
            shown = self.left_out[0] if n_out == 1 else f"{n_out} frames ({shown_ids(self.left_out)})"
            said.append(f"Left out, since they have no energy: {shown}.")
        as_given = ([each for each in group if each not in self.relaxed_twins] for group in self.twin_groups)
        if groups := [group for group in as_given if len(group) > 1]:
            n_groups, n_twins = len(groups), sum(len(group) - 1 for group in groups)
            one = n_groups == 1
            said.append(
                f"{'1 crystal occurs' if one else f'{n_groups} crystals occur'} more than once (within {TWIN_TOLERANCE} A); "
                f"{'it' if one else 'each'} is one candidate, {'1 frame is' if n_twins == 1 else f'{n_twins} frames are'} "
                f"counted as {'its' if one else 'their'} twins{':' if one else '. The first:'} {' = '.join(groups[0])}."
            )
        if self.shared_labels:
            label = self.shared_labels[0]
            said.append(
                f"{len(self.shared_labels)} ids are labels that several structures of a prototype share; these were given "
                f"numbers by ascending volume per atom. The first: {label}#1, {label}#2."
            )
        said += self.notes
        said += [f"Suspect: {sentence}" for sentence in self.suspects]
        said += [f"Energies of different settings, as allowed: {conflict}." for conflict in self.mixed_settings]
        said += [
            f"{count} candidates are {label}; the lowest of those known is the end of the axis."
            for label, count in zip(
                CompositionAxis(elements=self.elements, ends=self.ends).labels, self.n_pure, strict=True
            )
            if count > 1
        ]
        return tuple(said)


def _listed(sentences: Sequence[str]) -> str:
    """The first few sentences, and how many more there are."""
    shown = "; ".join(sentence.rstrip(".") for sentence in sentences[:MAX_LISTED])
    return shown + (f"; and {len(sentences) - MAX_LISTED} more" if len(sentences) > MAX_LISTED else "")
