"""What spglib says of a candidate: its space group, and the lattice under it if all atoms were of one kind."""

from __future__ import annotations

import re
import warnings
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hullscout.pool import Candidate

# Positions within this distance in A are equivalent.
SYMMETRY_TOLERANCE = 0.01
# Relaxed atoms still belong to a site of the parent lattice that is at most so far away, in nearest-neighbour distances.
PARENT_TOLERANCE = 0.05


class Lattice(Enum):
    """A parent lattice, by its name."""

    FCC = "fcc"
    BCC = "bcc"
    HCP = "hcp"
    OTHER = "other"


# Space group and atoms in the primitive cell of the elements in these lattices.
PARENTS = {(225, 1): Lattice.FCC, (229, 1): Lattice.BCC, (194, 2): Lattice.HCP}


def space_group(candidate: Candidate) -> str | None:
    """International symbol of the space group at a tolerance of 0.01 A, for example `Fm-3m`; None where spglib finds none."""
    dataset = _dataset(candidate, candidate.numbers, tolerance=SYMMETRY_TOLERANCE)
    return None if dataset is None else str(dataset.international)


def parent_lattice(candidate: Candidate) -> Lattice:
    """The lattice that the sites form, whatever the elements on them: within a twentieth of the nearest-neighbour distance."""
    one_kind = np.ones_like(candidate.numbers)
    volume = abs(float(np.linalg.det(candidate.cell))) / candidate.n_atoms
    nearest = (np.sqrt(2.0) * volume) ** (1.0 / 3.0)  # of close-packed spheres of this volume per atom
    dataset = _dataset(candidate, one_kind, tolerance=PARENT_TOLERANCE * nearest)
    if dataset is None:
        return Lattice.OTHER
    n_primitive = len(set(dataset.mapping_to_primitive.tolist()))
    return PARENTS.get((int(dataset.number), n_primitive), Lattice.OTHER)


def mathtext_space_group(symbol: str) -> str:
    r"""An international symbol with bars and screw axes as they are printed.

    >>> mathtext_space_group("P6_3/mmc"), mathtext_space_group("Fm-3m")
    ('$P6_{3}/mmc$', '$Fm\\bar{3}m$')
    """
    return "$" + re.sub(r"_(\d)", r"_{\1}", re.sub(r"-(\d)", r"\\bar{\1}", symbol)) + "$"


def _dataset(candidate: Candidate, kinds: NDArray[np.int64], *, tolerance: float) -> Any:
    import spglib  # noqa: PLC0415  slow to import

    fractions = np.linalg.solve(candidate.cell.T, candidate.positions.T).T
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of how errors are told: both ways are heeded here
            return spglib.get_symmetry_dataset((candidate.cell, fractions, kinds), symprec=tolerance)  # type: ignore[arg-type]  # arrays
    except spglib.SpglibError:
        return None
