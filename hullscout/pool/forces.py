"""Forces that a source states beside energies: the largest, and what is said of those that are large."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import ArrayLike, NDArray

    from hullscout.pool.frames import Frame

MAX_FORCE = 0.1
"""Forces in eV/A above which nothing that was relaxed is at rest, whatever its code says of it; larger ones are pointed at."""

COLUMN = "max_force"
"""The column of a frame that keeps the largest force of its source, eV/A: of forces no pool keeps more."""


def largest_force(forces: ArrayLike | None, free: ArrayLike | None = None) -> float | None:
    """The largest norm of forces (n, 3) over the components that are free to move (n, 3); None where no finite forces are given."""
    if forces is None or not np.size(forces):
        return None
    vectors: NDArray[np.float64] = np.asarray(forces, dtype=np.float64)
    if not np.isfinite(vectors).all():
        return None
    if free is not None and np.shape(free) == vectors.shape:
        vectors = np.where(np.asarray(free, dtype=bool), vectors, 0.0)
    return float(np.linalg.norm(vectors, axis=1).max())


def force_on(atoms: Any) -> float | None:
    """The largest force in eV/A on an atom of ASE's that is free to move; None where its calculator holds none."""
    return largest_force(atoms.get_forces()) if "forces" in getattr(atoms.calc, "results", {}) else None


def force_column(force: float | None) -> dict[str, float]:
    """The column of a frame for its largest force; none where that is not known."""
    return {} if force is None else {COLUMN: force}


def not_at_rest(frames: Iterable[Frame]) -> dict[str, float]:
    """The largest force by id of frames that were not relaxed, or not to an end; those that state no force are not among them."""
    stated: dict[str, float] = {}
    for frame in frames:
        with suppress(ValueError):
            stated[frame.id] = float(frame.columns.get(COLUMN, 0.0))
    return {name: force for name, force in stated.items() if force > MAX_FORCE}


def note_on_forces(forces: Mapping[str, float]) -> str:
    """A sentence on forces in eV/A by name that are too large for structures that were relaxed; empty where none is.

    >>> note_on_forces({"a": 0.02, "b": 0.25})
    'Forces above 0.1 eV/A: 1 of 2, the largest 0.25 eV/A of b. These are no relaxed structures, if that was meant.'
    """
    large = sorted(((force, name) for name, force in forces.items() if force > MAX_FORCE), reverse=True)
    if not large:
        return ""
    force, name = large[0]
    return (
        f"Forces above {MAX_FORCE} eV/A: {len(large)} of {len(forces)}, the largest {force:.2f} eV/A of {name}. These are no "
        "relaxed structures, if that was meant."
    )
