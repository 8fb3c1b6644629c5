"""What a pool file says, frame by frame, before anything of it is believed.

Every reader of a format ends here; the checks, the pool and the table oracle begin here. A frame is the only place
outside the oracle where an energy stands: the pool is built from frames, and takes none of it along.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import InvalidPoolError, InvalidStructureError
from hullscout.pool.candidate import Candidate, atoms_of, stated_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    import ase
    from numpy.typing import NDArray
    from pymatgen.core.structure import Structure

UNREADABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a library may raise at content that it does not understand."""

IN_MEMORY = Path("<structures>")
"""The path of frames that were read from no file."""


class FrameError(Exception):
    """One frame cannot be read; the others still can."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """One structure as it stands in a file.

    Attributes:
        number: its place in the file, from 1.
        id: its id, letter by letter as written; made from the number where no frame of the file has one.
        numbers: (n,) atomic numbers.
        positions: (n, 3) Cartesian positions in A.
        cell: (3, 3) row vectors in A; all zero where the file gives no lattice.
        pbc: periodic along each of the three vectors.
        energy_ev: total energy in eV per cell, None where the file gives none.
        columns: everything else that the source states of this structure, by name: text as written, or numbers.
    """

    number: int
    id: str
    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    cell: NDArray[np.float64]
    pbc: tuple[bool, bool, bool]
    energy_ev: float | None = field(repr=False)
    columns: Mapping[str, str | float] = field(repr=False, default_factory=dict)

    @property
    def name(self) -> str:
        """Frame number and id, as an error names them."""
        return f"frame {self.number} (id {self.id!r})"

    def candidate(self) -> Candidate:
        """The crystal without its energy."""
        return Candidate(id=self.id, numbers=self.numbers, positions=self.positions, cell=self.cell)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """All frames of one source, in the source's order.

    Attributes:
        path: where they were read; IN_MEMORY for objects.
        frames: at least one.
        keys: the names of everything that any frame states beside its atoms, sorted.
        shared_labels: prototype labels that stood for several structures, each of which got a number; see
            `number_shared_labels`.
    """

    path: Path
    frames: tuple[Frame, ...] = field(repr=False)
    keys: tuple[str, ...]
    shared_labels: tuple[str, ...] = ()

    @classmethod
    def of(cls, structures: Iterable[ase.Atoms | Structure | Candidate], *, ids: Sequence[str] | None = None) -> Frames:
        """Frames of structures in memory, with the energies that they carry.

        ASE's atoms carry one if their calculator holds it for the atoms as they are (nothing is computed), or else as
        `atoms.info["energy"]`, in eV per cell; other structures carry none.

        Args:
            structures: of any of these types, also mixed.
            ids: one for each; else `atoms.info["id"]`, a candidate's id, or the place in the list from 1.

        Raises:
            InvalidPoolError: no structures, or not as many ids; another type, partly occupied sites, ids of several lines,
                energies that are no numbers, all in one error.
        """
        listed = tuple(structures)
        names = [stated_id(s) or str(place) for place, s in enumerate(listed, 1)] if ids is None else list(ids)
        is_text = {type(name) for name in names} <= {str, np.str_} and all(names)
        if not listed or len(names) != len(listed) or not is_text:
            raise InvalidPoolError(
                f"Expected one or more structures and, if any, an id for each, found {len(listed)} structures and "
                f"{len(names)} ids ({shown_ids([repr(name) for name in names])}). Give two lists of one length, ids as text."
            )
        frames, faults = [], []
        for number, (structure, name) in enumerate(zip(listed, map(str, names), strict=True), start=1):
            try:
                frames.append(frame_of(structure, number=number, name=name, energy_ev=_carried_energy(structure)))
            except FrameError as error:
                faults.append(f"{place_of(number, name)}: {error}")
        if faults:
            raise one_error(IN_MEMORY, faults, n_frames=len(listed))
        return cls(path=IN_MEMORY, frames=tuple(frames), keys=())


def frame_of(
    structure: ase.Atoms | Structure | Candidate,
    *,
    number: int,
    name: str,
    energy_ev: float | None,
    columns: Mapping[str, str | float] | None = None,
) -> Frame:
    """A structure as a frame.

    Raises:
        FrameError: an id that is no line of printable text, another type of structure, partly occupied sites, no atoms.
    """
    if not name.isprintable():
        raise FrameError(f"expected an id of printable characters on one line, found {name!r}")
    try:
        numbers, positions, cell, pbc = atoms_of(structure)
    except InvalidStructureError as error:
        raise FrameError(str(error)) from error
    if not len(numbers):
        raise FrameError("expected atoms, found none")
    return Frame(
        number=number,
        id=name,
        numbers=numbers,
        positions=positions,
        cell=cell,
        pbc=pbc,
        energy_ev=energy_ev,
        columns=columns or {},
    )


def place_of(number: int, name: str) -> str:
    """Number and id of a frame, as an error names them; the number alone where the id is the fault."""
    return f"frame {number} (id {name!r})" if name.isprintable() else f"frame {number}"


def one_energy(value: object) -> float:
    """An energy in eV per cell, as a source states it. NaN and infinity pass: they are the checks' to refuse.

    Raises:
        FrameError: no single number.
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        raise FrameError(f"expected energy as one number in eV per cell, found {value!r}")
    return float(value)


def _carried_energy(structure: ase.Atoms | Structure | Candidate) -> float | None:
    """The energy that ASE's atoms carry, None for any other; that of a calculator counts only for the atoms as they are."""
    info = getattr(structure, "info", None)
    if info is None:
        return None
    calculator: Any = getattr(structure, "calc", None)
    if "energy" in getattr(calculator, "results", {}) and not calculator.check_state(structure):
        return one_energy(calculator.results["energy"])
    return one_energy(info["energy"]) if info.get("energy") is not None else None


def named(frames: Sequence[Frame], nameless: Sequence[int], n: int, faults: list[str]) -> tuple[Frame, ...]:
    """Frames as they are, or `frame-000001` and so on where all n have no id; where only some have none, that is a fault."""
    if len(nameless) == n:
        return tuple(replace(frame, id=f"frame-{frame.number:06d}") for frame in frames)
    if nameless:
        shown = shown_ids([str(number) for number in nameless])
        faults.append(f"{len(nameless)} of {n} frames have no id (frame {shown}): name all frames or none")
    return tuple(frames)


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns of a source, named as it names them, are read as what.

    Attributes:
        cost: what computing a candidate costs, in any unit (core-hours, say), above 0.
        baseline: an energy of a cheaper method, in eV per cell as energies are.

    Raises:
        InvalidPoolError: the energy that is to be looked up is named as one of them.
    """

    cost: str | None = None
    baseline: str | None = None

    def __post_init__(self) -> None:
        for setting, column in (("cost", self.cost), ("baseline", self.baseline)):
            if column == "energy":
                raise InvalidPoolError(
                    f"pool.{setting}: expected a column other than 'energy', found {column!r}: that is what a campaign looks "
                    "up, and it may not know it before. Name another column."
                )

    def read(self, path: Path, used: Sequence[Frame]) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
        """Cost (n,), all above 0, and baseline energy (n,) in eV/atom of the frames that become candidates; None where not named.

        Raises:
            InvalidPoolError: some frame does not state a column, or no finite number there, or no cost above 0.
        """
        cost = baseline = None
        if self.cost is not None:
            cost = _read_column(path, used, setting="cost", column=self.cost)
            wrong = [frame for frame, value in zip(used, cost.tolist(), strict=True) if value <= 0]
            if wrong:
                raise InvalidPoolError(
                    f"{path}: pool.cost = {self.cost!r}: expected a number above 0 for every candidate, found "
                    f"{wrong[0].columns[self.cost]} for {wrong[0].name} ({len(wrong)} of {len(used)} are not above 0). "
                    "Correct the column."
                )
        if self.baseline is not None:
            n_atoms = np.array([len(frame.numbers) for frame in used], dtype=np.float64)
            baseline = _read_column(path, used, setting="baseline", column=self.baseline) / n_atoms
        return cost, baseline


def _read_column(path: Path, used: Sequence[Frame], *, setting: str, column: str) -> NDArray[np.float64]:
    """(n,) finite numbers of a column that every frame states."""
    where = f"{path}: pool.{setting} = {column!r}"
    missing = [frame.id for frame in used if column not in frame.columns]
    if missing:
        known = sorted({key for frame in used for key in frame.columns})
        raise InvalidPoolError(
            f"{where}: expected it for every candidate, found it for {len(used) - len(missing)} of {len(used)}; missing for "
            f"{shown_ids(missing)}. Columns found: {', '.join(known) or 'none'}. State it for all, or name another column."
        )
    values = [finite_number(str(frame.columns[column])) for frame in used]
    wrong = [frame for frame, value in zip(used, values, strict=True) if value is None]
    if wrong:
        raise InvalidPoolError(
            f"{where}: expected a finite number for every candidate, found {wrong[0].columns[column]!r} for {wrong[0].name} "
            f"({len(wrong)} of {len(used)} are no finite numbers). Correct the column."
        )
    return np.array(values, dtype=np.float64)


def finite_number(text: str) -> float | None:
    """A finite number as text states it, or None.

    >>> finite_number("4e0"), finite_number("inf"), finite_number("long")
    (4.0, None, None)
    """
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def number_shared_labels(frames: Frames) -> Frames:
    """Give structures that share a prototype's label ids of their own: `label#1`, `label#2`, ... by ascending volume per atom.

    Published pools name candidates by prototype, and a prototype with other parameters, or with the elements exchanged, is
    another structure under the same name. Only that is told apart here: different compounds of as many atoms and the same
    stoichiometry either way round. Any other id that occurs twice is a fault of the file and left as it is, for the checks to
    refuse.

    The numbers follow from the structures, not from their order in the file, nor from energies.
    """
    by_id: defaultdict[str, list[Frame]] = defaultdict(list)
    for frame in frames.frames:
        by_id[frame.id].append(frame)
    new_ids: dict[int, str] = {}
    shared: list[str] = []
    for label, alike in by_id.items():
        if len(alike) > 1 and _is_one_prototype(alike):
            shared.append(label)
            ranked = sorted(alike, key=_fingerprint)
            new_ids.update({frame.number: f"{label}#{place}" for place, frame in enumerate(ranked, start=1)})
    numbered = tuple(replace(frame, id=new_ids.get(frame.number, frame.id)) for frame in frames.frames)
    return replace(frames, frames=numbered, shared_labels=tuple(shared))


def _is_one_prototype(frames: Sequence[Frame]) -> bool:
    """Whether these are different compounds of one size and stoichiometry, whichever element takes which part."""
    counts = {tuple(sorted(np.unique(frame.numbers, return_counts=True)[1].tolist())) for frame in frames}
    is_compound = all(len(count) > 1 for count in counts)
    return is_compound and len(counts) == 1 and len({_fingerprint(frame) for frame in frames}) == len(frames)


def _fingerprint(frame: Frame) -> tuple[float, bytes]:
    """Volume per atom in A^3, then the structure as written; the volume is 0 where the cell is not finite."""
    volume = abs(float(np.linalg.det(frame.cell))) if np.isfinite(frame.cell).all() else 0.0
    return volume / len(frame.numbers), frame.cell.tobytes() + frame.positions.tobytes() + frame.numbers.tobytes()


_N_SHOWN = 10
_N_IDS_SHOWN = 5


def shown_ids(ids: Sequence[str]) -> str:
    """The first few ids, and dots where there are more."""
    return ", ".join(ids[:_N_IDS_SHOWN]) + (", ..." if len(ids) > _N_IDS_SHOWN else "")


def one_error(path: Path, faults: Sequence[str], *, n_frames: int) -> InvalidPoolError:
    """All faults of a source, each with its frame and id, in one error: the first ten, and how many more there are."""
    lines = [f"  {fault}" for fault in faults[:_N_SHOWN]]
    if len(faults) > _N_SHOWN:
        lines.append(f"  and {len(faults) - _N_SHOWN} more")
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    remedy = "Correct these or take them" if path == IN_MEMORY else "Correct the file or take these frames"
    return InvalidPoolError(f"{path}: {count} in {n_frames} frames.\n" + "\n".join(lines) + f"\n{remedy} out.")


def natural_key(candidate_id: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """A key that sorts the numbers inside ids as numbers.

    >>> sorted(["a10", "a9", "a09", "b1"], key=natural_key)
    ['a09', 'a9', 'a10', 'b1']
    """
    parts = []
    for part in re.findall(r"[0-9]+|[^0-9]+", candidate_id):
        digits = part.lstrip("0") if part[0] in "0123456789" else None
        # numbers before words; numbers by their length, then digit by digit: no limit to their size
        parts.append((1, 0, part) if digits is None else (0, len(digits), digits))
    return tuple(parts), candidate_id
