"""Candidates by enumeration: every symmetry-distinct way to put two elements on a parent lattice, cell size by cell size.

The search is icet's, after G. L. W. Hart, R. W. Forcade, Phys. Rev. B 77, 224115 (2008) and 80, 014120 (2009). Cells have
the volume that Vegard's law gives between the elements: v(x) = (1 - x) v_A + x v_B per atom, the same on every lattice, and
hcp has the ideal c/a = sqrt(8/3). Nothing is relaxed.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import InvalidSettingError, MissingPackageError
from hullscout.pool.checks import atomic_numbers
from hullscout.pool.frames import Frame

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import ase
    from numpy.typing import NDArray

MOST_ATOMS = 12
"""Larger cells are refused: with up to ten atoms fcc has 2 346 candidates, with up to twelve 10 850."""

_AVOGADRO = 6.02214076e23  # 1/mol
_A3_PER_CM3 = 1e24


class ParentLattice(Enum):
    """A lattice whose sites the two elements share."""

    FCC = "fcc"
    BCC = "bcc"
    HCP = "hcp"

    @property
    def n_sites(self) -> int:
        """Atoms in its primitive cell."""
        return 2 if self is ParentLattice.HCP else 1

    def primitive_cell(self) -> ase.Atoms:
        """Its primitive cell, scaled to 1 A^3 per atom."""
        from ase.build import bulk  # noqa: PLC0415  (late: ASE loads slowly)

        match self:
            case ParentLattice.FCC:
                return bulk("X", "fcc", a=4 ** (1 / 3))
            case ParentLattice.BCC:
                return bulk("X", "bcc", a=2 ** (1 / 3))
            case ParentLattice.HCP:
                return bulk("X", "hcp", a=2 ** (1 / 6), c=2 ** (1 / 6) * (8 / 3) ** 0.5)


def atomic_volumes(elements: tuple[str, str], given: Mapping[str, float] | None = None) -> tuple[float, float]:
    """Volumes per atom in A^3 of the two elements as solids.

    Args:
        elements: first and second element.
        given: volumes in A^3 per atom that are known better, from a calculation of the pure element, say.

    Returns:
        Given volumes, or else the molar volumes of pymatgen's table of elements (measured, of the solid) over Avogadro's number.

    Raises:
        InvalidPoolError: not two different chemical elements.
        InvalidSettingError: no volume is known for an element; a given one is no number above 0 or of another element.
    """
    from pymatgen.core.periodic_table import Element  # noqa: PLC0415  (late: slow to import)

    atomic_numbers(elements)
    known = dict(given or {})
    for symbol, value in known.items():
        if symbol not in elements or not (np.isfinite(value) and value > 0):
            raise InvalidSettingError(
                f"Expected volumes above 0 A^3 per atom for {elements[0]} or {elements[1]}, found {symbol}={value:g}."
            )
    for symbol in elements:
        if symbol not in known:
            molar = Element(symbol).data.get("Molar volume")
            if molar is None:
                raise InvalidSettingError(
                    f"Expected a tabulated molar volume of {symbol}, found none. Give it in A^3 per atom: --volume {symbol}=..."
                )
            known[symbol] = float(molar) / _AVOGADRO * _A3_PER_CM3
    return known[elements[0]], known[elements[1]]


def enumerate_cells(
    elements: tuple[str, str], lattice: ParentLattice, *, n_atoms: int, volumes: tuple[float, float]
) -> Iterator[Frame]:
    """All symmetry-distinct cells of one size on one lattice, each only in the smallest cell that holds it.

    Exchanging the elements gives another cell. Pure elements occur at the size of the primitive cell.

    Args:
        elements: first and second element, A and B in the ids.
        lattice: the parent lattice.
        n_atoms: atoms in the cell; where the primitive cell has two, no odd number has any cells.
        volumes: A^3 per atom of the pure elements.

    Yields:
        Frames without an energy, their ids `fcc-A1B3-0007`: lattice, atoms of each element, number among those, in the
        order of icet. They do not depend on what else is enumerated.

    Raises:
        MissingPackageError: icet is not installed.
    """
    try:
        from icet.tools import enumerate_structures  # noqa: PLC0415  (an extra)
    except ImportError as error:
        raise MissingPackageError(
            "Enumeration expects the package icet, found none. Install it: pip install 'hullscout[enumerate]'."
        ) from error

    first, _ = atomic_numbers(elements)
    counts: Counter[str] = Counter()
    for cell in enumerate_structures(lattice.primitive_cell(), _sizes(lattice, n_atoms), list(elements)):
        numbers = np.asarray(cell.numbers, dtype=np.int64)
        n_first = int((numbers == first).sum())
        formula = stoichiometry(n_first, n_atoms - n_first)
        counts[formula] += 1
        scale = vegard(volumes, n_first, n_atoms - n_first) ** (1 / 3)
        yield unfinished_frame(
            f"{lattice.value}-{formula}-{counts[formula]:04d}",
            numbers,
            np.asarray(cell.positions) * scale,
            np.array(cell.cell) * scale,
        )


def unfinished_frame(
    name: str, numbers: NDArray[np.int64], positions: NDArray[np.float64], cell: NDArray[np.float64]
) -> Frame:
    """A frame without an energy, not yet numbered."""
    return Frame(
        number=0, id=name, numbers=numbers, positions=positions, cell=cell, pbc=(True, True, True), energy_ev=None
    )


def vegard(volumes: tuple[float, float], n_first: int, n_second: int) -> float:
    """Volume per atom in A^3 between those of the elements: v(x) = (1 - x) v_A + x v_B."""
    return (n_first * volumes[0] + n_second * volumes[1]) / (n_first + n_second)


def stoichiometry(n_first: int, n_second: int) -> str:
    """Atoms of each element in the cell, as ids name them.

    >>> stoichiometry(1, 3), stoichiometry(0, 2)
    ('A1B3', 'B2')
    """
    return "".join(f"{letter}{count}" for letter, count in (("A", n_first), ("B", n_second)) if count)


def _sizes(lattice: ParentLattice, n_atoms: int) -> list[int]:
    """The number of primitive cells that hold so many atoms; none where it is no whole number."""
    return [] if n_atoms % lattice.n_sites else [n_atoms // lattice.n_sites]
