"""What a pool file says, frame by frame, before anything of it is believed.

Every reader of a format ends here; the checks, the pool and the table oracle begin here. A frame is the only place
outside the oracle where an energy stands: the pool is built from frames, and takes none of it along.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import InvalidPoolError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """All frames of one source, in the source's order.

    Attributes:
        path: where they were read.
        frames: at least one.
        keys: the names of everything that any frame states beside its atoms, sorted.
        shared_labels: prototype labels that stood for several structures, each of which got a number; see
            `number_shared_labels`.
    """

    path: Path
    frames: tuple[Frame, ...] = field(repr=False)
    keys: tuple[str, ...]
    shared_labels: tuple[str, ...] = ()


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
    for label, named in by_id.items():
        if len(named) > 1 and _is_one_prototype(named):
            shared.append(label)
            ranked = sorted(named, key=_fingerprint)
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
    """All faults of a pool file in one error: the first ten, and how many more there are.

    Args:
        path: the file.
        faults: what is wrong, each with frame and id; at least one.
        n_frames: how many frames the file has.

    Returns:
        The error, to be raised.
    """
    lines = [f"  {fault}" for fault in faults[:_N_SHOWN]]
    if len(faults) > _N_SHOWN:
        lines.append(f"  and {len(faults) - _N_SHOWN} more")
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    return InvalidPoolError(
        f"{path}: {count} in {n_frames} frames.\n" + "\n".join(lines) + "\nCorrect the file or take these frames out."
    )


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
