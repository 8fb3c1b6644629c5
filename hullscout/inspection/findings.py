"""What an inspection says: findings, each with its frames, what is wrong with them and which of them a cleaned pool leaves out."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hullscout.pool import Frame


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing found.

    Attributes:
        kind: what it is about, in a word or two.
        severity: how bad it is.
        frames: numbers of the frames concerned, from 1; none where it is about the pool as a whole.
        sentence: what was found, with ids.
        taken_out: numbers of the frames that a cleaned pool leaves out.
        doubted: numbers of the frames that it leaves out only where suspects are not wanted either.
    """

    kind: str
    severity: Severity
    frames: tuple[int, ...]
    sentence: str
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
    """The frames that no finding takes out, as they are and in their order.

    Args:
        frames: those that were inspected.
        inspection: what was found in them.
        suspects: what becomes of odd energies, volumes and distances.
    """
    out = {number for finding in inspection.findings for number in finding.left_out(suspects)}
    return tuple(frame for frame in frames if frame.number not in out)
