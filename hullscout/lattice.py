"""Lattices made compact: the same lattice in short vectors, whatever the cell that it was given in.

Knows vectors only. A search over images costs what the shortest vectors and the distances of the faces allow; both are
known, and bounded, once a lattice is reduced.

Source: Nguyen & Stehle, ACM Trans. Algorithms 5, 46 (2009), for reductions in three dimensions. Deviation: combinations of
three vectors are taken only where they are less than half as long, since a few images more cost nothing.
"""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hullscout.compiling import njit
from hullscout.errors import InvalidStructureError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Reduced = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]

__all__ = ["compact_cell", "reduce_lattice", "reduce_lattices", "refuse_images", "shorten_vectors", "too_many_images"]

MAX_PASSES = 1000
"""Of a reduction; a handful is enough for any cell whose numbers hold the digits of its lattice."""
MAX_IMAGES = 1e8
"""Images that a search looks at around one atom: more than a representation takes neighbours, and a second of work."""
SKEWED = 1e-2
"""A cell is skewed where its volume is less than this share of the product of its edges; a compact one has at least 0.7."""


@njit(cache=True, nogil=True)
def reduce_cells(cells, pbc, lattices, inverses, heights):  # type: ignore[no-untyped-def]  # noqa: C901, PLR0912, PLR0915 - one loop nest
    """Write what reduce_lattices returns; loops over three numbers are written out, since they compile ten times as fast."""
    for s in range(cells.shape[0]):
        lattice = lattices[s]
        for a in range(3):
            for i in range(3):
                lattice[a, i] = cells[s, a, i] if pbc[s, a] else 0.0
        for _ in range(MAX_PASSES):
            changed = False
            for a in range(3):
                for b in range(3):
                    if a == b or not pbc[s, a] or not pbc[s, b]:
                        continue
                    ax, ay, az = lattice[a, 0], lattice[a, 1], lattice[a, 2]
                    bx, by, bz = lattice[b, 0], lattice[b, 1], lattice[b, 2]
                    square = bx * bx + by * by + bz * bz
                    if square == 0.0:
                        continue
                    n = np.floor((ax * bx + ay * by + az * bz) / square + 0.5)
                    if n != 0.0:
                        x, y, z = ax - n * bx, ay - n * by, az - n * bz
                        if x * x + y * y + z * z < (ax * ax + ay * ay + az * az) * (1.0 - 1e-12):
                            lattice[a, 0], lattice[a, 1], lattice[a, 2] = x, y, z
                            changed = True
            if not changed and pbc[s, 0] and pbc[s, 1] and pbc[s, 2]:
                # a vector becomes its sum with plus or minus both others where that is less than half as long
                for combination in range(12):
                    a = combination // 4
                    b, c = (a + 1) % 3, (a + 2) % 3
                    sign_b = 1.0 if combination % 4 > 1 else -1.0
                    sign_c = 1.0 if combination % 2 > 0 else -1.0
                    old = lattice[a, 0] * lattice[a, 0] + lattice[a, 1] * lattice[a, 1] + lattice[a, 2] * lattice[a, 2]
                    x = lattice[a, 0] + sign_b * lattice[b, 0] + sign_c * lattice[c, 0]
                    y = lattice[a, 1] + sign_b * lattice[b, 1] + sign_c * lattice[c, 1]
                    z = lattice[a, 2] + sign_b * lattice[b, 2] + sign_c * lattice[c, 2]
                    if x * x + y * y + z * z < 0.25 * old:
                        lattice[a, 0], lattice[a, 1], lattice[a, 2] = x, y, z
                        changed = True
                        break
            if not changed:
                break
        for a in range(3):
            if pbc[s, a]:
                continue
            b, c = (a + 1) % 3, (a + 2) % 3
            ax, ay, az = lattice[b, 0], lattice[b, 1], lattice[b, 2]
            bx, by, bz = lattice[c, 0], lattice[c, 1], lattice[c, 2]
            if (ax != 0.0 or ay != 0.0 or az != 0.0) and (bx != 0.0 or by != 0.0 or bz != 0.0):
                x, y, z = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
            else:
                gx, gy, gz = ax + bx, ay + by, az + bz
                square = gx * gx + gy * gy + gz * gz
                x, y, z, along = 1.0, 0.0, 0.0, gx
                if abs(gy) < abs(along):
                    x, y, z, along = 0.0, 1.0, 0.0, gy
                if abs(gz) < abs(along):
                    x, y, z, along = 0.0, 0.0, 1.0, gz
                if square > 0.0:
                    share = along / square
                    x, y, z = x - gx * share, y - gy * share, z - gz * share
            norm = math.sqrt(x * x + y * y + z * z)
            lattice[a, 0], lattice[a, 1], lattice[a, 2] = x / norm, y / norm, z / norm
        for a in range(3):
            b, c = (a + 1) % 3, (a + 2) % 3
            x = lattice[b, 1] * lattice[c, 2] - lattice[b, 2] * lattice[c, 1]
            y = lattice[b, 2] * lattice[c, 0] - lattice[b, 0] * lattice[c, 2]
            z = lattice[b, 0] * lattice[c, 1] - lattice[b, 1] * lattice[c, 0]
            volume = lattice[a, 0] * x + lattice[a, 1] * y + lattice[a, 2] * z
            inverses[s, 0, a], inverses[s, 1, a], inverses[s, 2, a] = x / volume, y / volume, z / volume
            heights[s, a] = abs(volume) / math.sqrt(x * x + y * y + z * z)


def _reduced(cells: NDArray[np.float64], pbc: NDArray[np.bool_]) -> Reduced:
    n = len(cells)
    lattices, inverses, heights = np.empty((n, 3, 3)), np.empty((n, 3, 3)), np.empty((n, 3))
    # copies, since arrays that may not be written, or that lie otherwise in memory, would be compiled for anew
    reduce_cells(
        np.array(cells, np.float64, order="C"), np.array(pbc, np.bool_, order="C"), lattices, inverses, heights
    )
    return lattices, inverses, heights


def reduce_lattices(cells: NDArray[np.float64], pbc: NDArray[np.bool_]) -> Reduced:
    """Return short vectors of lattices (n, 3, 3), open directions filled by unit normals, their inverses, and heights (n, 3).

    No vector gets shorter by adding multiples of one other, none gets less than half as long by adding or subtracting both
    others. Heights are the distances of opposite faces, A. The periodic vectors, pbc (n, 3), are independent; no height is then
    less than a third of the shortest vector of the lattice, however flat or skewed the cell was.
    """
    found = _reduced(cells, pbc)
    if not np.isfinite(found[2]).all() or not found[2].all():
        raise InvalidStructureError("expected independent vectors of the cell along its periodic directions")
    return found


def reduce_lattice(cell: NDArray[np.float64], pbc: NDArray[np.bool_]) -> Reduced:
    """Return what reduce_lattices does for one cell: lattice (3, 3), inverse (3, 3), heights (3,)."""
    lattices, inverses, heights = reduce_lattices(cell[None], pbc[None])
    return lattices[0], inverses[0], heights[0]


def shorten_vectors(cell: NDArray[np.float64], pbc: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return short vectors of one lattice as in reduce_lattices, (3, 3); zeros for open directions.

    Finite vectors of any length, dependent ones too: those come down to rounding, or to zero.
    """
    return np.where(np.asarray(pbc)[:, None], _reduced(cell[None], np.asarray(pbc)[None])[0][0], 0.0)


def compact_cell(cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """A cell (3, 3) periodic in three directions, in short vectors where it is SKEWED; else as it is, to the last bit.

    Determinants and fractions of a skewed cell lose the digits that its edges are longer.
    """
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = cell.tolist()
    volume = abs(ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx))
    if volume >= SKEWED * math.hypot(ax, ay, az) * math.hypot(bx, by, bz) * math.hypot(cx, cy, cz):
        return cell
    return shorten_vectors(cell, np.ones(3, dtype=np.bool_))


def refuse_images(n_atoms: int, heights: NDArray[np.float64], radius: float) -> None:
    """Refuse a search that would look at more than MAX_IMAGES images within a radius (A) of one atom of a crystal.

    Heights are those of reduce_lattice, shape (3,).
    """
    images = n_atoms * math.prod((2.0 * radius / heights + 1.0).tolist())
    if not images <= MAX_IMAGES:
        raise InvalidStructureError(too_many_images(images, radius))


def too_many_images(images: float, radius: float) -> str:
    """Why a search around one atom is not begun, in a sentence."""
    return (
        f"expected at most {MAX_IMAGES:.0e} images of atoms to look at within {radius:.4g} A of an atom, found {images:.1e}. "
        "Are lengths in Angstrom? If so, the cell is too flat or too thin, or holds too many atoms"
    )
