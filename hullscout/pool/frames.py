"""What a source of candidates says, frame by frame, before anything of it is believed.

Every reader of a format ends here; the checks, the pool and the table oracle begin here. A frame is the only place
outside the oracle where an energy stands: the pool is built from frames, and takes none of it along.
"""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.display import is_visible, visible
from hullscout.errors import HullscoutError, InvalidPoolError, InvalidStructureError
from hullscout.pool.candidate import Candidate, atoms_of, stated_id
from hullscout.pool.moments import moments_in_words, unused_note

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import ase
    from numpy.typing import NDArray
    from pymatgen.core.structure import Structure

UNREADABLE = (Exception,)
"""What a library may raise at content that it does not understand: anything; also that it asks for more memory than there is."""

IN_MEMORY = Path("<structures>")  # the path of frames that were read from no file
_N_SHOWN = 10
_VELOCITIES = frozenset({"momenta", "velocities", "velocity", "velo", "vel"})
_MOVING = 1e-6  # in any unit of momenta and velocities
_N_IDS_SHOWN = 5


class FrameError(Exception):
    """One frame of a source cannot be read; the others still can."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """One structure as it stands in a file, with whatever else its source states of it, by name: text as written, or numbers."""

    number: int  #: its place in the file, from 1
    id: str  #: letter by letter as written; made from the number where no frame of the file has one
    numbers: NDArray[np.int64]  #: (n,) atomic numbers
    positions: NDArray[np.float64]  #: (n, 3) Cartesian positions in A
    cell: NDArray[np.float64]  #: (3, 3) row vectors in A; all zero where the file gives no lattice
    pbc: tuple[bool, bool, bool]  #: periodic along each of the three vectors
    energy_ev: float | None = field(repr=False)  #: total energy in eV per cell, None where the file gives none
    columns: Mapping[str, str | float] = field(repr=False, default_factory=dict)
    magmoms: NDArray[np.float64] | None = (
        None  #: (n,) or (n, 3) initial magnetic moments in Bohr magnetons, where stated
    )
    is_given: bool = False  #: stands for a pure element whose energy was given by value: its crystal is made up

    @property
    def name(self) -> str:
        """Frame number and id, as an error names them."""
        return f"frame {self.number} (id {self.id!r})"

    def candidate(self) -> Candidate:
        """The crystal without its energy."""
        return Candidate(
            id=self.id, numbers=self.numbers, positions=self.positions, cell=self.cell, magmoms=self.magmoms
        )

    def with_atoms(self, of: Candidate) -> Frame:
        """The same with the crystal of a candidate."""
        return replace(self, numbers=of.numbers, positions=of.positions, cell=of.cell, magmoms=of.magmoms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """All sound frames of one source, at least one, in the source's order, and what is wrong with the others."""

    path: Path  #: where they were read; IN_MEMORY for objects
    frames: tuple[Frame, ...] = field(repr=False)
    keys: tuple[str, ...]  #: the names of everything that any frame states beside its atoms, sorted
    shared_labels: tuple[str, ...] = ()  #: of prototypes with several structures; see `number_shared_labels`
    notes: tuple[str, ...] = ()  #: sentences about the source as a whole, each once
    faults: tuple[str, ...] = field(
        default=(), repr=False
    )  #: what cannot be used: a place in the source, what is wrong
    n_faulty: int = 0  #: frames that have faults, where that is known, and so are not among the others
    is_meant: bool = False  #: whether a user has said what the energies are of
    usable_for: tuple[str, ...] = ()  #: elements for whose campaigns those of no use were taken out; see `checks.sift`

    @property
    def n_frames(self) -> int:
        """Number of frames of the source, with those that cannot be used."""
        return sum(not frame.is_given for frame in self.frames) + self.n_faulty

    @classmethod
    def of(cls, structures: Iterable[ase.Atoms | Structure | Candidate], *, ids: Sequence[str] | None = None) -> Frames:
        """Frames of structures in memory, of any of these types, with the energies that they carry.

        ASE's atoms carry one if their calculator holds it for the atoms as they are (nothing is computed), or else as
        `atoms.info["energy"]`, in eV per cell; other structures carry none. Without `ids` a structure is named by
        `atoms.info["id"]`, a candidate's id, or its place in the list from 1. All faults are in one InvalidPoolError.
        """
        listed = tuple(structures)
        names = [stated_id(s) or str(place) for place, s in enumerate(listed, 1)] if ids is None else list(ids)
        is_text = {type(name) for name in names} <= {str, np.str_} and all(names)
        if not listed or len(names) != len(listed) or not is_text:
            raise InvalidPoolError(
                f"Expected one or more structures and, if any, an id for each, found {len(listed)} structures and "
                f"{len(names)} ids ({shown_ids([repr(name) for name in names])}). Give two lists of one length, ids as text."
            )
        gathered = Gathered(IN_MEMORY)
        for structure, name in zip(listed, names, strict=True):
            gathered.add(structure, name=str(name), energy_ev=carried_energy(structure), columns={})
        if gathered.faults:
            raise one_error(IN_MEMORY, gathered.faults, n_frames=len(listed))
        return gathered.finish()


def carried_energy(structure: ase.Atoms | Structure | Candidate) -> object:
    """What ASE's atoms carry as their energy, None for any other; that of a calculator counts only for the atoms as they are."""
    info: Any = getattr(structure, "info", None)
    calculator: Any = None if info is None else getattr(structure, "calc", None)
    said = (info or {}).get("energy")
    if "energy" not in getattr(calculator, "results", {}) or calculator.check_state(structure):
        return said
    computed = calculator.results["energy"]
    return computed if said is None or said == computed else (computed, said)  # two of them are refused as no number


VACANCIES = "Sites of X are vacancies, sites without an atom. They are left out of the cells; fractions and energies are per atom."
"""What is said of a source that states such sites."""


@dataclass(slots=True)
class Gathered:
    """Frames of one source while they are read (an empty id where it gives none), and what could not be read, with its place."""

    path: Path
    frames: list[Frame] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def note(self, sentence: str) -> None:
        """Say something about the source as a whole, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    @contextmanager
    def reading(self, place: str, kind: str = "") -> Iterator[None]:
        """What cannot be read in this block becomes a fault at a place of the source; warnings of libraries are ignored."""
        try:
            with warnings.catch_warnings(action="ignore"):  # what matters is checked
                yield
        except (FrameError, InvalidStructureError) as error:
            self.faults.append(visible(f"{place}: {error}"))
        except HullscoutError as error:
            self.faults.append(visible(f"{place}: {str(error).removesuffix('.')}"))
        except UNREADABLE as error:
            said = " ".join(str(error).split())[:300]
            self.faults.append(visible(f"{place}: not readable{kind}: {type(error).__name__}: {said}"))

    def moments(
        self, columns: Mapping[str, Any], atom_by_atom: Iterable[str], n: int
    ) -> tuple[Mapping[str, Any], NDArray[np.float64] | None]:
        """Columns without the one that states moments of n atoms that state none one by one, and these; others are named."""
        if found := moments_in_words(columns, n):
            return {name: value for name, value in columns.items() if name != found[0]}, found[1]
        if sentence := unused_note(columns, atom_by_atom):
            self.note(sentence)
        return columns, None

    def add(
        self, structure: ase.Atoms | Structure | Candidate, name: str, energy_ev: object, columns: Mapping[str, object]
    ) -> None:
        """Add a structure, numbered by its place; what cannot be a frame becomes a fault.

        The name is empty, the energy (eV per cell) None where the source gives none; of columns single numbers and words are kept.
        """
        number = len(self.frames) + len(self.faults) + 1
        with self.reading(f"frame {number} (id {name!r})" if is_visible(name) else f"frame {number}"):
            energy = None if energy_ev is None else one_energy(energy_ev)
            check_id(name)
            atoms = atoms_of(structure)
            if not len(atoms.numbers):
                raise FrameError("expected atoms, found none")
            sites: Any = getattr(structure, "numbers", structure)
            if len(sites) > len(atoms.numbers):
                self.note(VACANCIES)
            if atoms.magmoms is None:
                columns, magmoms = self.moments(columns, _atom_by_atom(structure), len(atoms.numbers))
                atoms = atoms._replace(magmoms=magmoms)
            kept = plain_columns(columns) if columns else {}
            self.frames.append(Frame(number=number, id=name, energy_ev=energy, columns=kept, **atoms._asdict()))

    def finish(self) -> Frames:
        """All sound frames, named `frame-000001` and so on where none has an id; an InvalidPoolError where none is sound."""
        return self.named({key for frame in self.frames for key in frame.columns})

    def named(self, keys: Iterable[str]) -> Frames:
        """As `finish`, for a source that states these keys."""
        frames, nameless = self.frames, [frame for frame in self.frames if not frame.id]
        if len(nameless) == len(frames):
            frames = [replace(frame, id=f"frame-{frame.number:06d}") for frame in frames]
        elif nameless:
            frames = [frame for frame in frames if frame.id]
            self.faults += [
                f"frame {frame.number}: expected an id, as others have one, found none: name all frames or none"
                for frame in nameless
            ]
        if not frames:
            raise one_error(self.path, self.faults, n_frames=len(self.faults))
        return Frames(
            path=self.path,
            frames=tuple(frames),
            keys=tuple(sorted(keys)),
            notes=tuple(self.notes),
            faults=tuple(self.faults),
            n_faulty=len(self.faults),
        )


def _atom_by_atom(structure: Any) -> Iterable[str]:
    """Names of what ASE's atoms or pymatgen's sites state one by one."""
    if hasattr(structure, "site_properties"):
        return [name for name, value in structure[0].properties.items() if value is not None]
    return getattr(structure, "arrays", ())


def refuse_motion(atoms: ase.Atoms) -> None:
    """A FrameError for atoms with velocities: their energy is of a step of molecular dynamics."""
    stated = (
        values for name, values in atoms.arrays.items() if name.lower() in _VELOCITIES and values.dtype.kind in "fi"
    )
    if any(np.abs(values).max(initial=0.0) > _MOVING for values in stated):
        raise FrameError("expected a structure at rest, found one of molecular dynamics, with velocities")


def check_id(name: str) -> None:
    """A FrameError for an id of which something cannot be seen, or that does not stand on one line."""
    if not is_visible(name):
        raise FrameError(f"expected an id of printable characters on one line, found {name!a}")


def one_energy(value: object) -> float:
    """An energy in eV per cell, as a source states it; a FrameError for what is no single number.

    NaN and infinity pass: they are the checks' to refuse.
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        raise FrameError(f"expected energy as one number in eV per cell, found {repr(value)[:80]}")
    return float(value)


def plain_columns(stated: Mapping[str, object]) -> dict[str, str | float]:
    """Single numbers and words by plain name, without names that mean something of their own in a comment line.

    >>> plain_columns({"core hours": 3, "spin": True, "sites": [1, 2], "empty": None, "by": "PBE"})
    {'core_hours': 3.0, 'spin': 1.0, 'by': 'PBE'}
    """
    from ase.calculators.calculator import all_properties  # noqa: PLC0415  (late: ASE loads slowly)

    reserved = {"", *all_properties, "Lattice", "Properties", "pbc", "id", "virial", "virials"} - {"free_energy"}
    columns: dict[str, str | float] = {}
    for key, value in stated.items():
        name = plain_name(str(key))
        if name in reserved:
            continue
        if isinstance(value, str):
            if text := " ".join(value.split()):
                columns[name] = text
        elif isinstance(value, bool | int | float | np.number | np.bool_):
            columns[name] = float(value)
    return columns


def plain_name(key: str) -> str:
    """A column's name as a comment line can hold it: other characters than letters, digits and `_.+-` become underscores.

    >>> plain_name("wall time (h)")
    'wall_time_h'
    """
    return re.sub(r"[^A-Za-z0-9_.+-]+", "_", key).strip("_")


def number_shared_labels(frames: Frames) -> Frames:
    """Give structures that share a prototype's label ids of their own: `label#1`, `label#2`, ... by ascending volume per atom.

    Published pools name candidates by prototype, and a prototype with other parameters, or with the elements exchanged, is
    another structure under the same name. Only that is told apart here: different compounds of as many atoms and the same
    stoichiometry either way round. Any other id that occurs twice is a fault of the file and left as it is, for the checks to
    refuse. The numbers follow from the structures, not from their order in the file, nor from energies.
    """
    by_id: defaultdict[str, list[Frame]] = defaultdict(list)
    for frame in frames.frames:
        by_id[frame.id].append(frame)
    shared = [label for label, alike in by_id.items() if len(alike) > 1 and _is_one_prototype(alike)]
    new_ids = {
        frame.number: f"{label}#{place}"
        for label in shared
        for place, frame in enumerate(sorted(by_id[label], key=_fingerprint), start=1)
    }
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


def shown_ids(ids: Sequence[str]) -> str:
    """The first few ids, and dots where there are more."""
    return ", ".join(ids[:_N_IDS_SHOWN]) + (", ..." if len(ids) > _N_IDS_SHOWN else "")


LEAVE_OUT = "[pool] leave_out_faults = true"
"""What a campaign file says where faults are to be left out."""


def one_error(
    path: Path, faults: Sequence[str], *, n_frames: int, n_sound: int = 0, leave_out: str = LEAVE_OUT
) -> InvalidPoolError:
    """All faults of a source, each with its frame and id, in one error: the first ten, and how many more there are.

    Where some frames are sound, it says how to go on with these: `leave_out` is what takes them without the faults.
    """
    lines = [f"  {fault}" for fault in faults[:_N_SHOWN]]
    if len(faults) > _N_SHOWN:
        lines.append(f"  and {len(faults) - _N_SHOWN} more")
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    remedy = "Correct these or take them" if path == IN_MEMORY else "Correct the file or take these frames"
    remedy += " out."
    if n_sound and path != IN_MEMORY:
        remedy += (
            f" To go on with the other {n_sound}: `hullscout check {path} --write cleaned.extxyz` writes them, and "
            f"{leave_out} takes them and says what is left out."
        )
    return InvalidPoolError(f"{path}: {count} in {n_frames} frames.\n" + "\n".join(lines) + f"\n{remedy}")


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
