"""What comes back from a calculation: an energy or a failure, and whether its structure is still the one that was asked for.

Source of the comparison: the strain criterion is that of ATAT's `checkrelax` (A. van de Walle, CALPHAD 33, 266 (2009)): the strain
from the start to the relaxed cell without its volume change, 0.1 by default. A change of volume alone is no other structure: the
volumes of candidates are guesses. Deviations: displacements of atoms within the cell count too, and a crystal that comes back in
other vectors of its lattice (a code that standardizes cells) is compared in those that fit best.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.display import class_names, valid_text, visible
from hullscout.errors import ResultError
from hullscout.pool import Candidate

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ase

    from hullscout.oracle.settings import CalculatorSettings, ComputedSettings, HandoffSettings

MAX_ENERGY_EV_PER_ATOM = 1e7
"""No total energy of an atom is further from zero: what a code prints beyond this is no energy."""
_NEAR = 0.05  # strains and displacements up to this need no search for other cells
MAX_VECTORS = 10_000  # of a lattice that are looked at for other cells of a crystal that came back
_LENGTH_TOLERANCE = 0.2
_ANGLE_TOLERANCE = 12.0  # degrees
_BREAKS = re.compile(r"[\r\n]+")
_UNMOVED = 1e-6  # strains, displacements and relative volume changes up to this are those of rounding


class FailureReason(StrEnum):
    """Why a calculation gave no energy."""

    RAISED = "raised"  #: The calculator ended in an error.
    TIMED_OUT = "timed-out"  #: It ran past `executor.time_limit_s` and was ended.
    WORKER_DIED = "worker-died"  #: The process that ran it ended without an answer: killed, out of memory, crashed.
    NOT_FINITE = "not-finite"  #: The energy is no finite real number.
    NOT_CONVERGED = "not-converged"  #: The electrons or the atoms did not come to rest within the allowed steps.
    CHANGED = "changed"  #: The relaxed structure is no longer the one that was asked for.
    NOT_UNDERSTOOD = "not-understood"  #: A function returned what is no energy to the campaign, which does not go on.
    NO_ROOM = "no-room"  #: A disk or a quota was full, which says nothing of the structure: it is no try, and the campaign stops.
    REPORTED = "reported"  #: Whoever ran the calculation elsewhere says that it failed.

    @property
    def may_pass(self) -> bool:
        """Whether another try may end otherwise: machines recover, the mathematics of a calculation does not."""
        return self in {FailureReason.RAISED, FailureReason.TIMED_OUT, FailureReason.WORKER_DIED, FailureReason.NO_ROOM}


@dataclass(frozen=True, slots=True, kw_only=True)
class Calculated:
    """A total energy in eV of the candidate's cell, and the structure that has it, where it was relaxed.

    The note says in a sentence what a person should know of it, if anything; the seconds are None where nobody measured; the
    settings of the calculation are by name, as far as its files state them.
    """

    energy_ev: float
    relaxed: Candidate | None = None
    note: str = ""
    wall_s: float | None = None
    settings: Mapping[str, str | float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "note", _sentence(self.note))


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """No energy: the reason for programs, a sentence for people, and the seconds until it failed, where these were measured."""

    reason: FailureReason
    sentence: str
    wall_s: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "sentence", _sentence(self.sentence))


Outcome = Calculated | Failed


def _sentence(text: object) -> str:
    """The text of anything as a sentence that is kept and shown: on one line, with all else that is not seen escaped."""
    return visible(" ".join(part for line in _BREAKS.split(valid_text(text)) if (part := line.strip())))


def real_number(given: object) -> float | None:
    """A real number of Python or of arrays as a float; None for truth values, texts, complex and several numbers."""
    if isinstance(given, bool | str | bytes | list | tuple) or np.ma.is_masked(given):
        return None
    try:
        if isinstance(given, Real):
            return float(given)
        array = np.asarray(given.detach().cpu() if hasattr(given, "detach") else given)
        return float(array.reshape(())) if array.dtype.kind in "iuf" and array.shape in {(), (1,)} else None
    except Exception:  # noqa: BLE001  whatever it is, it is no number
        return None


def is_energy(energy_ev: object, n_atoms: int) -> bool:
    """Whether something is the total energy in eV of so many atoms: a real number, finite, and not beyond all bounds."""
    number = real_number(energy_ev)
    return number is not None and math.isfinite(number) and abs(number) <= MAX_ENERGY_EV_PER_ATOM * n_atoms


def outcome_from_tree(tree: dict[str, Any]) -> Outcome:
    """The outcome that `dataclasses.asdict` made a tree of; TypeError or ValueError where it is none."""
    wall_s = tree["wall_s"]
    if not (wall_s is None or (type(wall_s) is float and math.isfinite(wall_s))):
        raise ValueError(f"expected seconds, found {wall_s!r}")
    if "reason" in tree:
        return Failed(**{**tree, "reason": FailureReason(tree["reason"])})
    if type(tree["energy_ev"]) is not float or not math.isfinite(tree["energy_ev"]):
        raise ValueError(f"expected an energy in eV, found {tree['energy_ev']!r}")
    # A worker states no settings: they are those of the campaign.
    return Calculated(**{**tree, "relaxed": tree["relaxed"] and candidate_from_tree(tree["relaxed"]), "settings": {}})


def failure_of(energy_ev: float, n_atoms: int, unconverged: str) -> Failed | None:
    """Why what a code gave is no energy, if it is none; with the sentence on what did not converge, if that is not empty."""
    if not is_energy(energy_ev, n_atoms):
        return Failed(reason=FailureReason.NOT_FINITE, sentence=f"The energy is {energy_ev:g} eV.")
    if unconverged:
        sentence = f"{unconverged} (energy then: {energy_ev:.6f} eV)."
        return Failed(reason=FailureReason.NOT_CONVERGED, sentence=sentence)
    return None


def fault_of(start: Candidate, atoms: ase.Atoms, energy: object, settings: CalculatorSettings) -> Failed | None:
    """Why what a calculator gave is no answer for a structure: no number, other atoms, forces of another shape."""
    if real_number(energy) is None:
        sentence = f"Expected the energy as one real number in eV, found {_shown(energy)}."
        return Failed(reason=FailureReason.NOT_FINITE, sentence=sentence)
    numbers, is_relaxed = np.asarray(atoms.numbers), settings.relax != "none"
    if not np.array_equal(np.sort(numbers), np.sort(start.numbers)):
        sentence = (
            f"The calculator changed the atoms: expected the {start.n_atoms} of {start.id!r}, found {atoms.symbols}."
        )
        return Failed(reason=FailureReason.CHANGED, sentence=sentence)
    here = (atoms.numbers, atoms.positions, atoms.cell.array)
    there = (start.numbers, start.positions, start.cell)
    is_same = all(np.array_equal(one, other) for one, other in zip(here, there, strict=True))
    if not is_relaxed and not is_same and not _is_unmoved(start, Candidate.from_ase(atoms, start.id)):
        sentence = f"The calculator moved the atoms or the cell of {start.id!r}, which was not to be relaxed."
        return Failed(reason=FailureReason.CHANGED, sentence=sentence)
    if not is_relaxed:
        return None
    results = getattr(atoms.calc, "results", None)
    expected: list[tuple[str, list[tuple[int, ...]]]] = [("forces", [(start.n_atoms, 3)]), ("stress", [(6,), (3, 3)])]
    for name, shapes in expected:
        found = results.get(name) if isinstance(results, dict) else None
        if found is not None and not _are_real(found, shapes):
            sentence = f"Expected the {name} as finite real numbers of the shape {shapes[0]}, found {_shown(found)}."
            return Failed(reason=FailureReason.NOT_FINITE, sentence=sentence)
    return None


def _is_unmoved(start: Candidate, end: Candidate) -> bool:
    change = change_between(start, end)
    return max(change.strain, change.displacement, abs(change.volume_ratio - 1)) <= _UNMOVED


def _are_real(given: object, shapes: list[tuple[int, ...]]) -> bool:
    array = np.asarray(given)
    is_number = array.dtype.kind in "iuf" and not np.ma.is_masked(given)
    return is_number and array.shape in shapes and bool(np.isfinite(array).all())


def _shown(given: object) -> str:
    """What was given, in few words: its type and the beginning of its text."""
    try:
        text = " ".join(valid_text(repr(given)).split())
    except BaseException:  # noqa: BLE001  foreign code makes the text
        text = "whose text cannot be had"
    return f"{class_names(given)[0]} {text[:100]}"


def candidate_to_tree(candidate: Candidate) -> dict[str, Any]:
    """A structure as JSON knows it: floats are written so that they are read back to the last bit."""
    arrays = {name: getattr(candidate, name).tolist() for name in ("numbers", "positions", "cell")}
    moments = {} if candidate.magmoms is None else {"magmoms": candidate.magmoms.tolist()}
    return {"id": candidate.id, **arrays, **moments}


def candidate_from_tree(tree: dict[str, Any]) -> Candidate:
    """The structure of `candidate_to_tree`."""
    return Candidate(**tree)


def _above(value: float, limit: float) -> str:
    """A value above a limit, with the digits that tell it from that."""
    return next((text for n in range(2, 9) if float(text := f"{value:.{n}f}") > limit), f"{value:g}")


def judge(
    start: Candidate, answer: Calculated, settings: ComputedSettings | HandoffSettings, *, source: str = "The answer"
) -> Outcome:
    """The answer; a failure, or one with a note, where its structure went further from the start than the settings allow."""
    if answer.relaxed is None:
        return answer
    change = change_between(start, answer.relaxed, source=source)
    is_back = settings.kind != "calculator"  # whether it was relaxed is not known
    if change.strain > settings.max_strain:
        strain = _above(change.strain, settings.max_strain)
        what = f"its cell changed shape: strain {strain}, expected at most {settings.max_strain:g}"
    elif change.displacement > settings.max_displacement:
        moved = f"{_above(change.displacement, settings.max_displacement)} of a nearest-neighbour distance"
        what = f"an atom moved by {moved}, expected at most {settings.max_displacement:g}"
    elif is_back and max(change.strain, change.displacement, abs(change.volume_ratio - 1)) <= _UNMOVED:
        return replace(answer, relaxed=None, note="")  # it came back as it was handed out
    else:
        return _with_moments(start, answer)
    way = "came back as" if settings.kind == "handoff" else "relaxed into"
    sentence = f"It {way} another structure: {what} (energy there: {answer.energy_ev:.6f} eV)."
    if settings.kind != "handoff" and settings.on_change == "keep":
        return _with_moments(start, replace(answer, note=f"{sentence} {answer.note}".strip()))
    return Failed(reason=FailureReason.CHANGED, sentence=sentence, wall_s=answer.wall_s)


def _with_moments(start: Candidate, answer: Calculated) -> Calculated:
    """The answer; where its structure states no magnetic moments, with those that it was started from, atom by atom."""
    end = answer.relaxed
    if end is None or end.magmoms is not None or start.magmoms is None:
        return answer
    others = [cell for _, cell in _other_cells(start, replace(end, cell=_short_cell(end)))]
    pairings = (_pairing(start, replace(end, cell=cell)) for cell in (end.cell, *others))
    partners = min(pairings, key=lambda pairing: pairing[0])[1]
    moments = np.empty_like(start.magmoms)
    moments[partners] = start.magmoms
    return replace(answer, relaxed=replace(end, magmoms=moments))


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How far a structure went from its start.

    Attributes:
        strain: Frobenius norm of U - 1, with U the right stretch of the cell scaled to its first volume.
        displacement: Largest way of an atom in fractional coordinates, measured in the first cell and without a common shift,
            over the mean distance of nearest neighbours.
        volume_ratio: Volume after over volume before.
    """

    strain: float
    displacement: float
    volume_ratio: float


def change_between(start: Candidate, end: Candidate, *, source: str = "The answer") -> Change:
    """How far a structure went from its start; a ResultError where it does not hold the same atoms.

    Rotation, a common shift, other cell vectors and another order are no change.
    """
    if not np.array_equal(np.sort(start.numbers), np.sort(end.numbers)):
        raise ResultError(
            f"{source} is of another structure. Expected the atoms {_atoms_in(start)} of {start.id!r}, found "
            f"{_atoms_in(end)}. Nothing of it was taken."
        )
    change = _change(start, end)
    if max(change.strain, change.displacement) <= _NEAR:
        return change
    # In short vectors, since those of one lattice that have about the lengths of long ones are very many.
    start = replace(start, cell=_short_cell(start))
    for strain, cell in _other_cells(start, replace(end, cell=_short_cell(end))):
        if strain >= change.strain + change.displacement:
            break
        other = _change(start, replace(end, cell=cell))
        change = min(change, other, key=lambda one: one.strain + one.displacement)
    return change


def _short_cell(candidate: Candidate) -> np.ndarray:
    from hullscout.lattice import shorten_vectors  # noqa: PLC0415  (late: numba)

    return np.asarray(shorten_vectors(candidate.cell, candidate.pbc))


def _atoms_in(candidate: Candidate) -> str:
    from ase.data import chemical_symbols  # noqa: PLC0415  (late: ASE loads slowly)

    numbers, counts = np.unique(candidate.numbers, return_counts=True)
    return " ".join(f"{chemical_symbols[number]}{count}" for number, count in zip(numbers, counts, strict=True))


def _change(start: Candidate, end: Candidate) -> Change:
    """The change where vectors of the cells correspond one to one."""
    strain, volume_ratio = _stretch(start.cell, end.cell)
    return Change(strain=strain, displacement=_largest_displacement(start, end), volume_ratio=volume_ratio)


def _other_cells(start: Candidate, end: Candidate) -> list[tuple[float, np.ndarray]]:
    """Strains and cells of the end's lattice whose vectors have about the lengths and angles of the start's, at its volume.

    The least strained are first. None where the cell is so long and thin, or so unlike the start, that more than MAX_VECTORS
    would have to be looked at.
    """
    from pymatgen.core.lattice import Lattice  # noqa: PLC0415  (late: slow to import)

    volume = abs(np.linalg.det(start.cell))
    scale = np.cbrt(volume / abs(np.linalg.det(end.cell)))
    longest = np.linalg.norm(start.cell, axis=1).max() * (1 + _LENGTH_TOLERANCE)
    if 4 / 3 * math.pi * (longest + np.linalg.norm(scale * end.cell, axis=1).max()) ** 3 > MAX_VECTORS * volume:
        return []
    mappings = Lattice(end.cell * scale).find_all_mappings(
        Lattice(start.cell), ltol=_LENGTH_TOLERANCE, atol=_ANGLE_TOLERANCE, skip_rotation_matrix=True
    )
    cells = [np.asarray(v) @ end.cell for _, _, v in mappings if round(abs(np.linalg.det(v))) == 1]
    strained = [(_stretch(start.cell, cell)[0], cell) for cell in cells]
    return sorted(strained, key=lambda pair: pair[0])


def _stretch(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """Strain and volume ratio as in Change, from one cell to another whose vectors correspond."""
    stretches = np.linalg.svd(np.linalg.solve(before, after), compute_uv=False)
    volume_ratio = float(np.prod(stretches))
    return float(np.linalg.norm(stretches / np.cbrt(volume_ratio) - 1.0)), volume_ratio


def _largest_displacement(start: Candidate, end: Candidate) -> float:
    """Largest way of an atom to its nearest partner, over the mean distance of nearest neighbours."""
    from hullscout.neighbors import nearest_distances  # noqa: PLC0415  (late: numba)

    one_kind = np.zeros(start.n_atoms, dtype=np.int64)
    return _pairing(start, end)[0] / float(nearest_distances(start.positions, start.cell, one_kind, 1).mean())


def _pairing(start: Candidate, end: Candidate) -> tuple[float, np.ndarray]:
    """Largest way of an atom to its partner in A, and (n,) the places of the partners of the start's atoms in the end."""
    from ase.geometry import find_mic  # noqa: PLC0415  (late: ASE loads slowly)
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415

    before = np.linalg.solve(start.cell.T, start.positions.T).T
    after = np.linalg.solve(end.cell.T, end.positions.T).T
    different = start.numbers[:, None] != end.numbers[None, :]
    # The common shift is not known where atoms were reordered: each atom of the rarest kind may be the partner of the first one.
    kinds, counts = np.unique(start.numbers, return_counts=True)
    rarest = kinds[np.argmin(counts)]
    anchor = before[np.argmax(start.numbers == rarest)]
    found: list[tuple[float, np.ndarray]] = []
    for partner in after[end.numbers == rarest]:
        ways = (after[None, :, :] - before[:, None, :] - (partner - anchor)) @ start.cell
        steps = find_mic(ways.reshape(-1, 3), start.cell)[0].reshape(ways.shape)
        costs = np.where(different, 1e6, (steps**2).sum(axis=2))
        rows, columns = linear_sum_assignment(costs)
        moved = steps[rows, columns]
        found.append((float(np.linalg.norm(moved - moved.mean(axis=0), axis=1).max()), columns))
    return min(found, key=lambda pairing: pairing[0])
