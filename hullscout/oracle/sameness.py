"""Whether a relaxed structure is still the one that was asked for.

Source: the strain criterion is that of ATAT's `checkrelax` (A. van de Walle, CALPHAD 33, 266 (2009)): the strain from the start
to the relaxed cell without its volume change, 0.1 by default. A change of volume alone is no other structure: the volumes of
candidates are guesses. Deviations: displacements of atoms within the cell count too, and a crystal that comes back in other vectors
of its lattice (a code that standardizes cells) is compared in those that fit best.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import InvalidStructureError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hullscout.pool import Candidate

_NEAR = 0.05
"""Strains and displacements below this need no search for other cells."""
_LENGTH_TOLERANCE = 0.2
_ANGLE_TOLERANCE = 12.0  # degrees


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How far a structure went from its start.

    Attributes:
        strain: Frobenius norm of U - 1, with U the right stretch of the cell scaled to its first volume.
        displacement: Largest way of an atom in fractional coordinates, measured in the first cell and without a common shift,
            over the mean distance of nearest neighbours.
        volume_ratio: Volume after over volume before.
    """

    strain: float
    displacement: float
    volume_ratio: float

    def sentence(self, *, max_strain: float, max_displacement: float) -> str:
        """What makes it another structure, or an empty string where nothing does."""
        if self.strain > max_strain:
            return f"its cell changed shape: strain {self.strain:.2f}, expected at most {max_strain:g}"
        if self.displacement > max_displacement:
            return (
                f"an atom moved by {self.displacement:.2f} of a nearest-neighbour distance, expected at most "
                f"{max_displacement:g}"
            )
        return ""


def change_between(start: Candidate, end: Candidate) -> Change:
    """Strain, displacement and volume change from one structure to another with as many atoms in the cell, whatever their order.

    A rotation of the whole crystal, a common shift of its atoms and the choice of its cell vectors are no change.

    Raises:
        InvalidStructureError: The two do not hold the same atoms.
    """
    from ase.data import chemical_symbols  # noqa: PLC0415  (late: ASE loads slowly)

    if not np.array_equal(np.sort(start.numbers), np.sort(end.numbers)):
        wanted, found = (
            " ".join(
                f"{chemical_symbols[number]}{count}"
                for number, count in zip(
                    *(part.tolist() for part in np.unique(s.numbers, return_counts=True)), strict=True
                )
            )
            for s in (start, end)
        )
        raise InvalidStructureError(f"Expected the atoms {wanted} of {start.id!r}, found {found}.")
    change = _change(start, end)
    if max(change.strain, change.displacement) > _NEAR:
        others = (_change(start, replace(end, cell=cell)) for cell in _other_cells(start, end))
        change = min((change, *others), key=lambda other: other.strain + other.displacement)
    return change


def _change(start: Candidate, end: Candidate) -> Change:
    """The change where vectors of the cells correspond one to one."""
    gradient = np.linalg.solve(start.cell, end.cell)
    stretches = np.linalg.svd(gradient, compute_uv=False)
    volume_ratio = float(np.prod(stretches))
    strain = float(np.linalg.norm(stretches / np.cbrt(volume_ratio) - 1.0))
    return Change(strain=strain, displacement=_largest_displacement(start, end), volume_ratio=volume_ratio)


def _other_cells(start: Candidate, end: Candidate) -> Iterator[np.ndarray]:
    """Cells of the end's lattice whose vectors have about the lengths and angles of the start's, at its volume."""
    from pymatgen.core.lattice import Lattice  # noqa: PLC0415  (late: slow to import)

    scale = np.cbrt(abs(np.linalg.det(start.cell) / np.linalg.det(end.cell)))
    mappings = Lattice(end.cell * scale).find_all_mappings(
        Lattice(start.cell), ltol=_LENGTH_TOLERANCE, atol=_ANGLE_TOLERANCE, skip_rotation_matrix=True
    )
    for _, _, vectors in mappings:
        if round(abs(np.linalg.det(vectors))) == 1:
            yield np.asarray(vectors) @ end.cell


def _largest_displacement(start: Candidate, end: Candidate) -> float:
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415  (late: loads slowly)

    before = np.linalg.solve(start.cell.T, start.positions.T).T
    after = np.linalg.solve(end.cell.T, end.positions.T).T
    different = start.numbers[:, None] != end.numbers[None, :]
    best = np.inf
    # The common shift is not known where atoms were reordered: each atom of the rarest kind may be the partner of the first one.
    kinds, counts = np.unique(start.numbers, return_counts=True)
    rarest = kinds[np.argmin(counts)]
    anchor = before[np.argmax(start.numbers == rarest)]
    for partner in after[end.numbers == rarest]:
        steps = _nearest_image(after[None, :, :] - before[:, None, :] - (partner - anchor), start.cell)
        costs = np.where(different, 1e6, (steps**2).sum(axis=2))
        rows, columns = linear_sum_assignment(costs)
        moved = steps[rows, columns]
        best = min(best, float(np.linalg.norm(moved - moved.mean(axis=0), axis=1).max()))
    return best / _nearest_neighbour(start)


def _nearest_image(fractional: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """(..., 3) Cartesian vectors of the shortest periodic images, for cells that are not too skewed; Angstrom."""
    from ase.geometry import minkowski_reduce  # noqa: PLC0415  (late: ASE loads slowly)

    reduced, _ = minkowski_reduce(cell)
    inside = np.linalg.solve(reduced.T, (fractional @ cell).reshape(-1, 3).T).T
    inside -= np.rint(inside)
    shifts = np.array(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij")).reshape(3, -1).T
    images = (inside[:, None, :] + shifts[None, :, :]) @ reduced
    nearest = np.argmin((images**2).sum(axis=2), axis=1)
    return np.asarray(images[np.arange(len(images)), nearest].reshape(fractional.shape))


def _nearest_neighbour(candidate: Candidate) -> float:
    """Mean distance of nearest neighbours, Angstrom."""
    from hullscout.neighbors import nearest_distances  # noqa: PLC0415  (late: numba)

    kinds = np.zeros(candidate.n_atoms, dtype=np.int64)
    return float(nearest_distances(candidate.positions, candidate.cell, kinds, 1).mean())
