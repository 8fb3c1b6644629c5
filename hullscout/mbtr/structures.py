"""Reading structures of other packages into flat arrays, with everything refused that no term can represent.

pymatgen `Structure` and `Molecule` and anything with `numbers`, `positions`, `cell` and `pbc` (ASE `Atoms`) are
understood by their
attributes: nothing is imported for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hullscout.errors import InvalidStructureError
from hullscout.mbtr.elements import SYMBOLS
from hullscout.mbtr.kernel_arrays import StructureArrays

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MIN_DISTANCE: Final = 0.01
"""Atoms closer than this (A) coincide."""
MAX_LENGTH: Final = 1e7
"""Of coordinates, A: they hold distances to 1e-9 A."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Structures as flat arrays.

    Attributes:
        offsets: First atom of each structure and the end, shape (n + 1,).
        species: Position in the element set of each atom, shape (n_atoms,).
        positions: Cartesian, A, shape (n_atoms, 3).
        cells: Lattice vectors as rows, A, shape (n, 3, 3); rows of open directions have no meaning.
        pbc: Periodic directions, shape (n, 3).
    """

    offsets: NDArray[np.int64]
    species: NDArray[np.int64]
    positions: NDArray[np.float64]
    cells: NDArray[np.float64]
    pbc: NDArray[np.bool_]

    @property
    def arrays(self) -> StructureArrays:
        """The same, for kernels."""
        return StructureArrays(self.offsets, self.species, self.positions, self.cells, self.pbc)

    @property
    def n_structures(self) -> int:
        """Number of structures."""
        return len(self.cells)

    @property
    def n_atoms(self) -> NDArray[np.int64]:
        """Number of atoms of each structure, shape (n,)."""
        return np.diff(self.offsets)

    def contents(self) -> NDArray[np.float64]:
        """Return length, area or volume of the cells along their periodic directions, A^n, shape (n,); 1 if finite."""
        vectors = np.where(self.pbc[:, :, None], self.cells, 0.0)
        products = vectors @ vectors.transpose(0, 2, 1) + np.where(self.pbc, 0.0, 1.0)[:, :, None] * np.eye(3)
        return np.asarray(np.sqrt(np.linalg.det(products)))

    def half_widths(self) -> NDArray[np.float64]:
        """Return how far the atoms of slabs and chains lie at most from a plane or line along the periodic directions.

        Returns:
            Distances in A, shape (n,); 0 for crystals and finite structures.
        """
        widths = np.zeros(self.n_structures)
        for s in np.flatnonzero(np.any(self.pbc, axis=1) & ~np.all(self.pbc, axis=1)):
            positions = self.positions[self.offsets[s] : self.offsets[s + 1]]
            along = np.linalg.qr(self.cells[s][self.pbc[s]].T)[0]  # orthonormal columns
            across = positions - positions.mean(axis=0)
            across = across - across @ along @ along.T
            widths[s] = math.sqrt(np.max(np.sum(across**2, axis=1)))
        return widths

    def present(self, n_elements: int) -> NDArray[np.bool_]:
        """Say which elements each structure holds, shape (n, n_elements)."""
        return self.element_counts(n_elements) > 0

    def element_counts(self, n_elements: int) -> NDArray[np.int64]:
        """Return the number of atoms of each element, shape (n, n_elements)."""
        owner = np.repeat(np.arange(self.n_structures), self.n_atoms)
        flat = np.bincount(owner * n_elements + self.species, minlength=self.n_structures * n_elements)
        return flat.reshape(self.n_structures, n_elements)


def read_structures(structures: Sequence[Any], numbers: tuple[int, ...], *, first: int = 0) -> Batch:
    """Gather structures into a batch.

    Args:
        structures: pymatgen or ASE objects, or anything with `numbers`, `positions`, `cell`, `pbc`.
        numbers: Atomic numbers of the element set.
        first: Number of the first structure, for messages.

    Returns:
        The batch. Whether atoms coincide is not checked here: it takes a neighbour search.

    Raises:
        InvalidStructureError: No atoms, foreign element, coordinates not finite, or a cell without volume along its
            periodic directions.
    """
    column = np.full(max(numbers) + 1, -1, dtype=np.int64)
    column[list(numbers)] = np.arange(len(numbers))
    offsets = [0]
    parts: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []
    cells = np.zeros((len(structures), 3, 3))
    pbc = np.zeros((len(structures), 3), dtype=np.bool_)
    for s, structure in enumerate(structures):
        z, positions, cells[s], pbc[s] = _read(structure, first + s)
        _check(z, positions, cells[s], pbc[s], first + s)
        known = (z >= 0) & (z < len(column))
        species = np.where(known, column[np.where(known, z, 0)], -1)
        if np.any(species < 0):
            foreign = sorted({int(n) for n in z[species < 0]})
            raise InvalidStructureError(
                f"structure {first + s} holds elements outside the fixed set: expected atomic numbers {numbers}, "
                f"found {foreign}"
            )
        parts.append((species, positions))
        offsets.append(offsets[-1] + len(z))
    return Batch(
        offsets=np.array(offsets, dtype=np.int64),
        species=np.concatenate([p[0] for p in parts]) if parts else np.empty(0, dtype=np.int64),
        positions=np.ascontiguousarray(np.concatenate([p[1] for p in parts])) if parts else np.empty((0, 3)),
        cells=cells,
        pbc=pbc,
    )


def _read(
    structure: Any, number: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return atomic numbers, positions, cell and periodicity of any supported object."""
    if hasattr(structure, "numbers") and hasattr(structure, "positions"):
        if not hasattr(structure, "cell") or not hasattr(structure, "pbc"):
            raise InvalidStructureError(
                f"structure {number} has no cell or no pbc: expected both, with pbc False if open"
            )
        cell = np.asarray(structure.cell[:], dtype=np.float64)
        if cell.shape != (3, 3):
            raise InvalidStructureError(f"structure {number}: expected a cell of shape (3, 3), found {cell.shape}")
        pbc = np.broadcast_to(np.asarray(structure.pbc, dtype=np.bool_), (3,))
        z = np.asarray(structure.numbers)
        if z.ndim != 1 or not np.issubdtype(z.dtype, np.integer):
            raise InvalidStructureError(
                f"structure {number}: expected whole atomic numbers, shape (n_atoms,), found {z.dtype} of shape {z.shape}"
            )
        return z.astype(np.int64), np.asarray(structure.positions, dtype=np.float64), cell, pbc
    if hasattr(structure, "cart_coords") and hasattr(structure, "sites"):
        try:
            z = np.array([specie.Z for specie in structure.species], dtype=np.int64)
        except AttributeError as error:
            raise InvalidStructureError(
                f"structure {number} has disordered sites: expected one element per site"
            ) from error
        if np.any((z < 1) | (z > len(SYMBOLS))):  # pymatgen numbers its dummy species by a hash of their symbols
            dummies = sorted({str(specie) for specie in structure.species if not 1 <= specie.Z <= len(SYMBOLS)})
            raise InvalidStructureError(
                f"structure {number} holds dummy species: expected chemical elements, found {dummies}"
            )
        positions = np.asarray(structure.cart_coords, dtype=np.float64).reshape(-1, 3)
        lattice = getattr(structure, "lattice", None)
        if lattice is None:
            return z, positions, np.zeros((3, 3)), np.zeros(3, dtype=np.bool_)
        return z, positions, np.asarray(lattice.matrix, dtype=np.float64), np.asarray(lattice.pbc, dtype=np.bool_)
    raise InvalidStructureError(
        f"structure {number} is not understood: expected a pymatgen Structure or Molecule, ASE Atoms, or numbers, "
        f"positions, cell and pbc, in a list even if it is only one; found {type(structure).__name__}"
    )


def _check(
    z: NDArray[np.int64],
    positions: NDArray[np.float64],
    cell: NDArray[np.float64],
    pbc: NDArray[np.bool_],
    number: int,
) -> None:
    """Refuse what has no meaning as a structure."""
    if len(z) == 0:
        raise InvalidStructureError(f"structure {number} has no atoms")
    if positions.shape != (len(z), 3):
        raise InvalidStructureError(
            f"structure {number}: expected positions of shape ({len(z)}, 3), found {positions.shape}"
        )
    if not np.all(np.isfinite(positions)):
        raise InvalidStructureError(f"structure {number} has positions that are not finite")
    if np.any(np.abs(positions) > MAX_LENGTH) or np.any(np.abs(cell[pbc]) > MAX_LENGTH):
        raise InvalidStructureError(
            f"structure {number} has positions or cell vectors beyond {MAX_LENGTH:.0e} A, where distances lose their digits: "
            "expected lengths in Angstrom, near the origin"
        )
    if not np.any(pbc):
        return
    vectors = cell[pbc]
    lengths = np.sqrt(np.sum(vectors**2, axis=1))
    if not np.all(np.isfinite(vectors)) or np.any(lengths == 0):
        raise InvalidStructureError(f"structure {number} has a singular cell: periodic vectors {vectors.tolist()}")
    unit = vectors / lengths[:, None]
    if np.linalg.det(unit @ unit.T) < 1e-16:
        raise InvalidStructureError(f"structure {number} has a singular cell: periodic vectors {vectors.tolist()}")
