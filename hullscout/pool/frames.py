"""What a pool file says, frame by frame, before anything of it is believed.

Every reader of a format ends here; the checks, the pool and the table oracle begin here. A frame is the only place
outside the oracle where an energy stands: the pool is built from frames, and takes none of it along.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hullscout.errors import InvalidPoolError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


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
    """

    number: int
    id: str
    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    cell: NDArray[np.float64]
    pbc: tuple[bool, bool, bool]
    energy_ev: float | None = field(repr=False)

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
    """

    path: Path
    frames: tuple[Frame, ...] = field(repr=False)
    keys: tuple[str, ...]


_N_SHOWN = 10


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
