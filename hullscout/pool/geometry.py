"""What a cell may be, so that no search over its images is without end: the bounds, and a sentence for what is beyond them.

Whatever becomes a candidate passes here: frames of pools, results told, relaxed structures, structures in Python. A skewed cell is
a crystal like any other and is judged by its short vectors.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_DISTANCE = 0.5  # atoms closer than this many A (not at it) are a mistake, periodic images included
MIN_VOLUME_PER_ATOM = 0.01  # A^3; below 0.088 some atoms are too close; below this the pair is not searched for
MAX_VOLUME_PER_ATOM = 1e5  # A^3; an alloy has 10 to 40, an atom alone in a box some thousands
MAX_EDGE = 1e4  # A
MAX_COORDINATE = 1e6  # A; atoms are wrapped into the cell, and further away they lose the digits of their place in it
MAX_CELLS_ACROSS = 200_000
"""Cells in a ball whose radius is the longest vector of the compact cell: libraries list them all to compare two crystals."""
MAX_ATOMIC_NUMBER = 118
FLAT_CELL = 1e-9  # a cell has no volume where |det| is at most this fraction of the product of its edge lengths


def numbers_fault(numbers: NDArray[np.int64]) -> str:
    """What is wrong with atomic numbers (n,), in a sentence; empty where nothing is."""
    listed = numbers.tolist()  # faster than an array's own for so few
    wrong = [n for n in (min(listed), max(listed)) if not 1 <= n <= MAX_ATOMIC_NUMBER]
    return f"expected atomic numbers from 1 to {MAX_ATOMIC_NUMBER}, found {wrong[0]}" if wrong else ""


def crystal_fault(positions: NDArray[np.float64], cell: NDArray[np.float64]) -> str:
    """What is wrong with positions (n, 3) in A or a finite cell (3, 3, rows), in a sentence; empty where nothing is.

    Positions that are not finite are passed over.
    """
    return cell_fault(cell, len(positions)) or _positions_fault(positions)


def _positions_fault(positions: NDArray[np.float64]) -> str:
    if np.abs(positions).max() <= MAX_COORDINATE:
        return ""
    far = (np.isfinite(positions) & (np.abs(positions) > MAX_COORDINATE)).any(axis=1)
    if not far.any():
        return ""
    atom = int(np.argmax(far))
    shown = " ".join(f"{value:.6g}" for value in positions[atom].tolist())
    return f"atom {atom + 1} has the position {shown}: expected coordinates within {MAX_COORDINATE:g} A of the origin"


def cell_fault(cell: NDArray[np.float64], n_atoms: int) -> str:
    """What is wrong with a finite cell (3, 3), rows in A, of a crystal of so many atoms, in a sentence; empty where nothing is."""
    vectors = cell.tolist()
    longest = max(map(math.hypot, *zip(*vectors, strict=True)))
    if longest > MAX_EDGE:
        return f"the cell has an edge of {longest:.4g} A: expected at most {MAX_EDGE:g} A"
    volume, height = _volume_and_height(vectors)
    if height < MIN_DISTANCE or _cells_across(longest, volume) > MAX_CELLS_ACROSS:  # else no vector is too short anyway
        from hullscout.lattice import shorten_vectors  # noqa: PLC0415  (late: numba)

        short = shorten_vectors(cell, np.ones(3, dtype=np.bool_))
        edges = np.linalg.norm(short, axis=1)
        if edges.min() < MIN_DISTANCE:
            return _narrow(cell, short[np.argmin(edges)], volume)
        longest, volume = float(edges.max()), _volume_and_height(short.tolist())[0]
        if _cells_across(longest, volume) > MAX_CELLS_ACROSS:
            shown = " x ".join(f"{edge:.4g}" for edge in sorted(edges.tolist()))
            return (
                f"the cell is too long and thin: its shortest vectors are {shown} A long, and a ball of {longest:.4g} A holds "
                f"{_cells_across(longest, volume):.1e} cells; expected at most {MAX_CELLS_ACROSS:.0e}"
            )
    if not MIN_VOLUME_PER_ATOM <= volume / n_atoms <= MAX_VOLUME_PER_ATOM:
        return (
            f"the cell has {volume / n_atoms:.3g} A^3 per atom: expected {MIN_VOLUME_PER_ATOM:.2g} to {MAX_VOLUME_PER_ATOM:g} "
            "A^3"
        )
    return ""


def _volume_and_height(vectors: list[list[float]]) -> tuple[float, float]:
    """The volume of a cell in A^3, and the smallest distance of two opposite faces in A; zeros where it has no volume."""
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = vectors
    x, y, z = by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx
    volume = abs(ax * x + ay * y + az * z)
    largest = max(
        math.hypot(x, y, z),
        math.hypot(cy * az - cz * ay, cz * ax - cx * az, cx * ay - cy * ax),
        math.hypot(ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx),
    )
    return volume, volume / largest if largest > 0 else 0.0


def _cells_across(longest: float, volume: float) -> float:
    """How many cells a ball with the longest edge as its radius holds."""
    return 4 / 3 * math.pi * longest**3 / volume if volume > 0 else math.inf


def _narrow(cell: NDArray[np.float64], shortest: NDArray[np.float64], volume: float) -> str:
    """Of a lattice with too short a vector: no volume but for rounding, or an atom that meets its image, and along what."""
    distance = float(np.linalg.norm(shortest))
    if volume <= FLAT_CELL * float(np.prod(np.linalg.norm(cell, axis=1))):
        return f"a cell without volume: {' '.join(f'{value:.6g}' for value in cell.ravel().tolist())}"
    times = np.rint(np.linalg.solve(cell.T, shortest)).astype(int).tolist()
    times = [-n for n in times] if sum(times) < 0 else times
    terms = [
        ("- " if n < 0 else "+ ") + (f"{abs(n)}" if abs(n) > 1 else "") + name
        for n, name in zip(times, "abc", strict=True)
        if n
    ]
    where = f" along {' '.join(terms).removeprefix('+ ')}" if len(terms) > 1 else ""
    shown = f"{distance:.3f}" if distance >= 1e-3 else f"{distance:.2g}"
    return f"atom 1 and its periodic image{where} are {shown} A apart: expected at least {MIN_DISTANCE} A"
