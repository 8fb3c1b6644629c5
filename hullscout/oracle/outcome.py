"""What comes back from a calculation: an energy, or a failure. Both are values, and both can travel as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from hullscout.pool import Candidate

LARGEST_ENERGY_EV_PER_ATOM = 1e7
"""No total energy of an atom is further from zero: what a code prints beyond this is no energy."""


class FailureReason(StrEnum):
    """Why a calculation gave no energy."""

    RAISED = "raised"
    """The calculator ended in an error."""
    TIMED_OUT = "timed-out"
    """It ran past `executor.time_limit_s` and was ended."""
    WORKER_DIED = "worker-died"
    """The process that ran it ended without an answer: killed, out of memory, crashed."""
    NOT_FINITE = "not-finite"
    """The energy is NaN or infinite."""
    NOT_CONVERGED = "not-converged"
    """The electrons or the atoms did not come to rest within the allowed steps."""
    CHANGED = "changed"
    """The relaxed structure is no longer the one that was asked for."""
    REPORTED = "reported"
    """Whoever ran the calculation elsewhere says that it failed."""

    @property
    def may_pass(self) -> bool:
        """Whether another try may end otherwise: machines recover, the mathematics of a calculation does not."""
        return self in {FailureReason.RAISED, FailureReason.TIMED_OUT, FailureReason.WORKER_DIED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Calculated:
    """An energy.

    Attributes:
        energy_ev: Total energy in eV of the candidate's cell; finite.
        relaxed: The structure that has this energy, where it was relaxed.
        note: What a person should know of it, in a sentence; empty for nothing.
        wall_s: Seconds that it took; None where nobody measured.
    """

    energy_ev: float
    relaxed: Candidate | None = None
    note: str = ""
    wall_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """No energy.

    Attributes:
        reason: For programs.
        sentence: For people.
        wall_s: Seconds until it failed; None where nobody measured.
    """

    reason: FailureReason
    sentence: str
    wall_s: float | None = None


Outcome = Calculated | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A result that was read.

    Attributes:
        id: The candidate.
        outcome: Its energy in eV of the candidate's own cell, or why there is none.
        source: Where it stood.
    """

    id: str
    outcome: Outcome
    source: str


def is_energy(energy_ev: float, n_atoms: int) -> bool:
    """Whether a number can be the total energy in eV of so many atoms: finite, and not beyond all bounds."""
    return math.isfinite(energy_ev) and abs(energy_ev) <= LARGEST_ENERGY_EV_PER_ATOM * n_atoms


def candidate_to_tree(candidate: Candidate) -> dict[str, Any]:
    """A structure as JSON knows it: floats are written so that they are read back to the last bit."""
    return {
        "id": candidate.id,
        "numbers": candidate.numbers.tolist(),
        "positions": candidate.positions.tolist(),
        "cell": candidate.cell.tolist(),
    }


def candidate_from_tree(tree: dict[str, Any]) -> Candidate:
    """The structure of `candidate_to_tree`."""
    return Candidate(
        id=tree["id"],
        numbers=np.array(tree["numbers"], dtype=np.int64),
        positions=np.array(tree["positions"], dtype=np.float64),
        cell=np.array(tree["cell"], dtype=np.float64),
    )


def outcome_to_json(outcome: Outcome) -> str:
    """An outcome on one line."""
    match outcome:
        case Failed():
            return json.dumps({"reason": outcome.reason, "sentence": outcome.sentence, "wall_s": outcome.wall_s})
        case Calculated():
            relaxed = None if outcome.relaxed is None else candidate_to_tree(outcome.relaxed)
            tree = {"energy_ev": outcome.energy_ev, "relaxed": relaxed, "note": outcome.note, "wall_s": outcome.wall_s}
            return json.dumps(tree, allow_nan=False)


def outcome_from_json(line: str) -> Outcome:
    """The outcome of `outcome_to_json`."""
    tree = json.loads(line)
    if "reason" in tree:
        return Failed(reason=FailureReason(tree["reason"]), sentence=tree["sentence"], wall_s=tree["wall_s"])
    relaxed = None if tree["relaxed"] is None else candidate_from_tree(tree["relaxed"])
    return Calculated(energy_ev=tree["energy_ev"], relaxed=relaxed, note=tree["note"], wall_s=tree["wall_s"])
