"""Lattices made compact: the same lattice in short vectors, whatever the cell that it was given in.

Knows vectors only. A search over images costs what the shortest vectors and the distances of the faces allow; both are
known, and bounded, once a lattice is reduced.

Source: Nguyen & Stehle, ACM Trans. Algorithms 5, 46 (2009), for reductions in three dimensions. Deviation: combinations of
three vectors are taken only where they are less than half as long, since a few images more cost nothing.

Numba's cache on disk watches only the file of the compiled function: after a change here, clear the `__pycache__` of
`hullscout` and `hullscout/mbtr`, or the functions that call the changed ones stay as they were.
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

__all__ = ["compact_cell", "reduce_lattice", "refuse_images", "shorten_vectors", "too_many_images"]

MAX_PASSES = 1000
"""Of a reduction; a handful is enough for any cell whose numbers hold the digits of its lattice."""
MAX_IMAGES = 1e8
"""Images that a search looks at around one atom: more than a representation takes neighbours, and a second of work."""
SKEWED = 1e-2
"""A cell is skewed where its volume is less than this share of the product of its edges; a compact one has at least 0.7."""


@njit(cache=True, nogil=True)
def _shorten_by_two(lattice):  # type: ignore[no-untyped-def]
    """Replace a vector by its sum with plus or minus both others where that is less than half as long; say whether one was."""
    for a in range(3):
        b, c = (a + 1) % 3, (a + 2) % 3
        old = lattice[a, 0] ** 2 + lattice[a, 1] ** 2 + lattice[a, 2] ** 2
        for sign_b in (-1.0, 1.0):
            for sign_c in (-1.0, 1.0):
                x = lattice[a, 0] + sign_b * lattice[b, 0] + sign_c * lattice[c, 0]
                y = lattice[a, 1] + sign_b * lattice[b, 1] + sign_c * lattice[c, 1]
                z = lattice[a, 2] + sign_b * lattice[b, 2] + sign_c * lattice[c, 2]
                if x * x + y * y + z * z < 0.25 * old:
                    lattice[a, 0], lattice[a, 1], lattice[a, 2] = x, y, z
                    return True
    return False


@njit(cache=True, nogil=True)
def shorten_vectors(cell, pbc):  # type: ignore[no-untyped-def]  # noqa: C901 - small loops over three directions
    """Return short vectors of the lattice of the periodic directions, as rows, shape (3, 3); zeros for open directions.

    No vector gets shorter by adding multiples of one other, none gets less than half as long by adding or subtracting both
    others. Finite vectors of any length, dependent ones too: those come down to rounding, or to zero.
    """
    lattice = np.zeros((3, 3))
    for a in range(3):
        if pbc[a]:
            lattice[a] = cell[a]
    for _ in range(MAX_PASSES):
        changed = False
        for a in range(3):
            for b in range(3):
                if a != b and pbc[a] and pbc[b]:
                    square = np.sum(lattice[b] * lattice[b])
                    if square == 0.0:
                        continue
                    n = np.floor(np.sum(lattice[a] * lattice[b]) / square + 0.5)
                    if n != 0.0:
                        shorter = lattice[a] - n * lattice[b]
                        if np.sum(shorter * shorter) < np.sum(lattice[a] * lattice[a]) * (1.0 - 1e-12):
                            lattice[a] = shorter
                            changed = True
        if not changed and not (pbc[0] and pbc[1] and pbc[2] and _shorten_by_two(lattice)):
            break
    return lattice


@njit(cache=True, nogil=True)
def reduce_lattice(cell, pbc):  # type: ignore[no-untyped-def]
    """Return short vectors as of shorten_vectors, open directions filled by unit normals, their inverse, and its heights.

    Heights are the distances of opposite faces, A, shape (3,). The periodic vectors are independent; no height is then less
    than a third of the shortest vector of the lattice, however flat or skewed the cell was.
    """
    lattice = shorten_vectors(cell, pbc)
    for a in range(3):
        if not pbc[a]:
            b, c = (a + 1) % 3, (a + 2) % 3
            normal = np.zeros(3)
            if np.any(lattice[b] != 0.0) and np.any(lattice[c] != 0.0):
                normal[0] = lattice[b, 1] * lattice[c, 2] - lattice[b, 2] * lattice[c, 1]
                normal[1] = lattice[b, 2] * lattice[c, 0] - lattice[b, 0] * lattice[c, 2]
                normal[2] = lattice[b, 0] * lattice[c, 1] - lattice[b, 1] * lattice[c, 0]
            else:
                given = lattice[b] + lattice[c]
                square = np.sum(given * given)
                smallest = np.argmin(np.abs(given))
                normal[smallest] = 1.0
                if square > 0.0:
                    normal -= given * (given[smallest] / square)
            lattice[a] = normal / math.sqrt(np.sum(normal * normal))
    inverse = np.linalg.inv(lattice)
    return lattice, inverse, 1.0 / np.sqrt(np.sum(inverse * inverse, axis=0))


def compact_cell(cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """A cell (3, 3) periodic in three directions, in short vectors where it is SKEWED; else as it is, to the last bit.

    Determinants and fractions of a skewed cell lose the digits that its edges are longer.
    """
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = cell.tolist()
    volume = abs(ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx))
    if volume >= SKEWED * math.hypot(ax, ay, az) * math.hypot(bx, by, bz) * math.hypot(cx, cy, cz):
        return cell
    return np.asarray(shorten_vectors(np.ascontiguousarray(cell, dtype=np.float64), np.ones(3, dtype=np.bool_)))


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
