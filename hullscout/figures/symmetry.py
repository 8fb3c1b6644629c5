"""What spglib says of a candidate: its space group, the lattice under it if all atoms were of one kind, its prototype by both."""

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
# Ordered structures on these lattices, by space group and atoms of each element in the primitive cell, and their names: the
# Strukturbericht, or the crystal named first. Those that lattice, space group and numbers tell for certain: among the
# derivative structures with so many atoms each is the only one.
PROTOTYPES = {
    (Lattice.FCC, 123, (1, 1)): "L1_0",
    (Lattice.FCC, 166, (1, 1)): "L1_1",
    (Lattice.FCC, 221, (1, 3)): "L1_2",
    (Lattice.FCC, 139, (1, 3)): "D0_22",
    (Lattice.FCC, 139, (2, 6)): "D0_23",
    (Lattice.FCC, 87, (1, 4)): "D1_a",
    (Lattice.FCC, 71, (1, 2)): "MoPt_2",
    (Lattice.BCC, 221, (1, 1)): "B2",
    (Lattice.BCC, 227, (2, 2)): "B32",
    (Lattice.BCC, 225, (1, 3)): "D0_3",
    (Lattice.BCC, 139, (1, 2)): "C11_b",
    (Lattice.HCP, 51, (2, 2)): "B19",
    (Lattice.HCP, 187, (1, 1)): "B_h",
    (Lattice.HCP, 194, (2, 6)): "D0_19",
}


def space_group(candidate: Candidate) -> str | None:
    """International symbol of the space group at a tolerance of 0.01 A, for example `Fm-3m`; None where spglib finds none."""
    dataset = symmetry_of(candidate, candidate.numbers, tolerance=SYMMETRY_TOLERANCE)
    return None if dataset is None else str(dataset.international)


def parent_lattice(candidate: Candidate) -> Lattice:
    """The lattice that the sites form, whatever the elements on them: within a twentieth of the nearest-neighbour distance."""
    one_kind = np.ones_like(candidate.numbers)
    volume = abs(float(np.linalg.det(candidate.cell))) / candidate.n_atoms
    nearest = (np.sqrt(2.0) * volume) ** (1.0 / 3.0)  # of close-packed spheres of this volume per atom
    dataset = symmetry_of(candidate, one_kind, tolerance=PARENT_TOLERANCE * nearest)
    if dataset is None:
        return Lattice.OTHER
    n_primitive = len(set(dataset.mapping_to_primitive.tolist()))
    return PARENTS.get((int(dataset.number), n_primitive), Lattice.OTHER)


def prototype(candidate: Candidate) -> str | None:
    """Name of a common ordered structure, for example `L1_2`, or the lattice of an element; None of any other."""
    dataset = symmetry_of(candidate, candidate.numbers, tolerance=SYMMETRY_TOLERANCE)
    if dataset is None:
        return None
    _, first = np.unique(dataset.mapping_to_primitive, return_index=True)
    counts = tuple(sorted(np.unique(candidate.numbers[first], return_counts=True)[1].tolist()))
    if len(counts) == 1:
        element = PARENTS.get((int(dataset.number), counts[0]))
        return None if element is None else element.value
    if not any((int(dataset.number), counts) == key[1:] for key in PROTOTYPES):
        return None
    return PROTOTYPES.get((parent_lattice(candidate), int(dataset.number), counts))


def mathtext_structure(candidate: Candidate) -> str:
    """How a label names a structure: its prototype, else its space group, else nothing."""
    name = prototype(candidate)
    if name is not None:
        return re.sub(r"_(\w+)", r"$_{\1}$", name)
    symbol = space_group(candidate)
    return "" if symbol is None else mathtext_space_group(symbol)


def mathtext_space_group(symbol: str) -> str:
    r"""An international symbol with bars and screw axes as they are printed.

    >>> mathtext_space_group("P6_3/mmc"), mathtext_space_group("Fm-3m")
    ('$P6_{3}/mmc$', '$Fm\\bar{3}m$')
    """
    return "$" + re.sub(r"_(\d)", r"_{\1}", re.sub(r"-(\d)", r"\\bar{\1}", symbol)) + "$"


def symmetry_of(candidate: Candidate, kinds: NDArray[np.int64], *, tolerance: float) -> Any:
    """The symmetry of a candidate as spglib's dataset; None where it finds no symmetry.

    Args:
        candidate: The crystal.
        kinds: (n,) what tells its atoms apart.
        tolerance: Positions within this distance in A are equivalent.
    """
    import spglib  # noqa: PLC0415  slow to import

    fractions = np.linalg.solve(candidate.cell.T, candidate.positions.T).T
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of how errors are told: both ways are heeded here
            return spglib.get_symmetry_dataset((candidate.cell, fractions, kinds), symprec=tolerance)  # type: ignore[arg-type]  # arrays
    except spglib.SpglibError:
        return None
