"""Reading structures of other packages into flat arrays, with everything refused that no term can represent.

pymatgen `Structure` and `Molecule` and anything with `numbers`, `positions`, `cell` and `pbc` (ASE `Atoms`) are
understood by their attributes: nothing is imported for it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from hullscout.errors import InvalidStructureError
from hullscout.lattice import SKEWED, shorten_vectors
from hullscout.mbtr.channels import SYMBOLS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MIN_DISTANCE: Final = 0.01  # atoms closer than this (A) coincide
MAX_LENGTH: Final = 1e7  # of coordinates, A: they hold distances to 1e-9 A
MIN_INDEPENDENCE: Final = 1e-16  # of periodic vectors: less is rounding


class Batch(NamedTuple):
    """Structures as flat arrays, as compiled kernels take them."""

    offsets: NDArray[np.int64]  # first atom of each structure and the end, shape (n + 1,)
    species: NDArray[np.int64]  # position in the element set of each atom, shape (n_atoms,)
    positions: NDArray[np.float64]  # Cartesian, A, shape (n_atoms, 3)
    cells: NDArray[np.float64]  # lattice vectors as rows, A, zero along open directions, shape (n, 3, 3)
    pbc: NDArray[np.bool_]  # periodic directions, shape (n, 3)

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
        """Return how far atoms of slabs and chains lie at most from a plane or line along the periodic directions, A, (n,).

        It is 0 for crystals and finite structures.
        """
        widths = np.zeros(self.n_structures)
        for s in np.flatnonzero(np.any(self.pbc, axis=1) & ~np.all(self.pbc, axis=1)):
            positions = self.positions[self.offsets[s] : self.offsets[s + 1]]
            along = np.linalg.qr(self.cells[s][self.pbc[s]].T)[0]  # orthonormal columns
            across = positions - positions.mean(axis=0)
            across = across - across @ along @ along.T
            widths[s] = math.sqrt(np.max(np.sum(across**2, axis=1)))
        return widths

    def element_counts(self, n_elements: int) -> NDArray[np.int64]:
        """Return the number of atoms of each element, shape (n, n_elements)."""
        owner = np.repeat(np.arange(self.n_structures), self.n_atoms)
        flat = np.bincount(owner * n_elements + self.species, minlength=self.n_structures * n_elements)
        return flat.reshape(self.n_structures, n_elements)


def read_structures(structures: Sequence[Any], numbers: tuple[int, ...], *, first: int = 0) -> Batch:
    """Gather structures into a batch, given the atomic numbers of the element set; they are counted from `first` in messages.

    Whether atoms coincide is not checked here: it takes a neighbour search.
    """
    parts = [_read(structure, first + s) for s, structure in enumerate(structures)]
    z = np.concatenate([np.empty(0, dtype=np.int64), *(part[0] for part in parts)])
    pbc = np.array([part[3] for part in parts], dtype=np.bool_).reshape(-1, 3)
    cells = np.array([part[2] for part in parts]).reshape(-1, 3, 3)
    batch = Batch(
        offsets=np.cumsum([0] + [len(part[0]) for part in parts]),
        species=_species(z, numbers),
        positions=np.concatenate([np.empty((0, 3)), *(part[1] for part in parts)]),
        cells=np.where(pbc[:, :, None], cells, 0.0),
        pbc=pbc,
    )
    foreign = batch.species < 0
    if np.any(foreign):
        s = int(np.argmax(_by_structure(batch, foreign)))
        of_it = slice(*batch.offsets[s : s + 2])
        raise InvalidStructureError(
            f"structure {first + s} holds elements outside the fixed set: expected atomic numbers {numbers}, "
            f"found {sorted(set(z[of_it][foreign[of_it]].tolist()))}"
        )
    _check_positions(batch, first)
    _check_cells(batch, first)
    return batch


def _species(z: NDArray[np.int64], numbers: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the position of each atomic number in the element set, -1 for those outside."""
    column = np.full(max(numbers) + 2, -1, dtype=np.int64)  # the last stands for all that are larger or negative
    column[list(numbers)] = np.arange(len(numbers))
    return np.asarray(column[np.where((z >= 0) & (z < len(column)), z, len(column) - 1)])


def _by_structure(batch: Batch, atoms: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Say which structures hold any of the atoms marked, shape (n,)."""
    return np.logical_or.reduceat(atoms, batch.offsets[:-1])


_Arrays = tuple["NDArray[np.int64]", "NDArray[np.float64]", "NDArray[np.float64]", "NDArray[np.bool_]"]
"""Atomic numbers, positions, cell and periodicity."""


def _read(structure: Any, number: int) -> _Arrays:
    """Return the arrays of any supported object: an atom at least, and as many positions as atoms."""
    if hasattr(structure, "numbers") and hasattr(structure, "positions"):
        arrays = _read_ase(structure, number)
    elif hasattr(structure, "cart_coords") and hasattr(structure, "sites"):
        arrays = _read_pymatgen(structure, number)
    else:
        raise InvalidStructureError(
            f"structure {number} is not understood: expected a pymatgen Structure or Molecule, ASE Atoms, or numbers, "
            f"positions, cell and pbc, in a list even if it is only one; found {type(structure).__name__}"
        )
    n_atoms, shape = len(arrays[0]), arrays[1].shape
    if n_atoms == 0:
        raise InvalidStructureError(f"structure {number} has no atoms")
    if shape != (n_atoms, 3):
        raise InvalidStructureError(f"structure {number}: expected positions of shape ({n_atoms}, 3), found {shape}")
    return arrays


def _read_ase(structure: Any, number: int) -> _Arrays:
    """Return the arrays of ASE Atoms, or of anything with the same four attributes."""
    if not hasattr(structure, "cell") or not hasattr(structure, "pbc"):
        raise InvalidStructureError(f"structure {number} has no cell or no pbc: expected both, with pbc False if open")
    cell = np.asarray(structure.cell[:], dtype=np.float64)
    if cell.shape != (3, 3):
        raise InvalidStructureError(f"structure {number}: expected a cell of shape (3, 3), found {cell.shape}")
    pbc = np.asarray(structure.pbc, dtype=np.bool_)
    if pbc.shape not in {(), (3,)}:
        raise InvalidStructureError(
            f"structure {number}: expected pbc to be one or three booleans, found {structure.pbc!r}"
        )
    z = np.asarray(structure.numbers)
    if z.ndim != 1 or z.dtype.kind not in "iu":
        raise InvalidStructureError(
            f"structure {number}: expected whole atomic numbers, shape (n_atoms,), found {z.dtype} of shape {z.shape}"
        )
    return z.astype(np.int64), np.asarray(structure.positions, dtype=np.float64), cell, np.broadcast_to(pbc, 3)


def _read_pymatgen(structure: Any, number: int) -> _Arrays:
    """Return the arrays of a pymatgen Structure or Molecule."""
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


def _check_positions(batch: Batch, first: int) -> None:
    """Refuse coordinates that are not finite, or too large for distances to be exact."""
    wild = _by_structure(batch, ~np.all(np.isfinite(batch.positions), axis=1))
    if np.any(wild):
        raise InvalidStructureError(f"structure {first + int(np.argmax(wild))} has positions that are not finite")
    far = _by_structure(batch, np.max(np.abs(batch.positions), axis=1) > MAX_LENGTH)
    far |= np.any(np.abs(batch.cells) > MAX_LENGTH, axis=(1, 2))
    if np.any(far):
        raise InvalidStructureError(
            f"structure {first + int(np.argmax(far))} has positions or cell vectors beyond {MAX_LENGTH:.0e} A, where "
            "distances lose their digits: expected lengths in Angstrom, near the origin"
        )


def _check_cells(batch: Batch, first: int) -> None:
    """Refuse periodic vectors that are not finite or not independent; skewed cells of the batch become compact.

    Cells that are no more skewed than usual stay as they are, to the last bit.
    """
    independence = _independence(batch.cells, batch.pbc)
    is_finite = np.all(np.isfinite(batch.cells), axis=(1, 2))
    for s in np.flatnonzero(is_finite & ~(independence >= SKEWED**2)).tolist():
        compact = shorten_vectors(batch.cells[s], batch.pbc[s])
        independence[s] = _independence(compact[None], batch.pbc[s][None])[0]
        if independence[s] >= MIN_INDEPENDENCE:
            batch.cells[s] = compact
    independent = independence >= MIN_INDEPENDENCE  # False where not finite
    if not np.all(independent):
        s = int(np.argmin(independent))
        vectors = batch.cells[s][batch.pbc[s]].tolist()
        raise InvalidStructureError(f"structure {first + s} has a singular cell: periodic vectors {vectors}")


def _independence(cells: NDArray[np.float64], pbc: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the square of volume (area, length) over the product of edges of the periodic vectors, (n,); 0 to 1 or NaN."""
    lengths = np.sqrt(np.sum(cells**2, axis=2))
    both = pbc[:, :, None] & pbc[:, None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = cells / lengths[:, :, None]
        products = np.where(both, unit @ unit.transpose(0, 2, 1), np.eye(3))  # open directions are independent of all
        return np.asarray(np.linalg.det(products))
