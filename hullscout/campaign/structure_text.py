"""Structures as the text of CIF and POSCAR files, in the cell that they were given in or in a standard one."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import OutputError
from hullscout.oracle import magmom_words

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

    from hullscout.pool import Candidate

__all__ = ["Cells", "cif_text", "poscar_text"]

SYMMETRY_TOLERANCE = 0.01
"""Positions within this distance in A are equivalent, as in the report."""


class Cells(StrEnum):
    """In which cell structures are written."""

    GIVEN = "given"
    """As they were handed in or relaxed, to the last atom."""
    SYMMETRISED = "symmetrised"
    """CIF alone: the conventional cell with the space group, its operations, and one atom of each kind of site."""
    PRIMITIVE = "primitive"
    CONVENTIONAL = "conventional"
    """Every atom of pymatgen's standard cells, at the places that symmetry gives it."""


def cif_text(candidate: Candidate, cells: Cells = Cells.GIVEN) -> str:
    """A structure as a CIF file in a right-handed cell; its first line is the id, with the magnetic moments where it has any."""
    from pymatgen.io.cif import CifWriter  # noqa: PLC0415  slow to import

    structure, comment = _sorted_structure(candidate, cells)
    symprec = SYMMETRY_TOLERANCE if cells is Cells.SYMMETRISED else None
    return f"# {comment}\n{CifWriter(structure, symprec=symprec)}"


def poscar_text(candidate: Candidate, cells: Cells = Cells.GIVEN) -> str:
    """A structure as a POSCAR in a right-handed cell; its comment is as that of a CIF. A POSCAR states no symmetry."""
    from pymatgen.io.vasp import Poscar  # noqa: PLC0415  slow to import

    structure, comment = _sorted_structure(candidate, cells)
    return str(Poscar(structure, comment=comment).get_str(significant_figures=16))


def _sorted_structure(candidate: Candidate, cells: Cells) -> tuple[Structure, str]:
    """Pymatgen's structure in a right-handed cell, and what the first line of a file says of it."""
    structure = _in_cell(candidate, cells).get_sorted_structure()
    comment = " ".join(candidate.id.split())
    if candidate.magmoms is not None:
        moments = np.array([site.properties["magmom"] for site in structure])
        comment += f"  MAGMOM = {magmom_words(moments)}"
    return structure, comment


def _in_cell(candidate: Candidate, cells: Cells) -> Structure:
    structure = candidate.right_handed().to_pymatgen()
    if cells is Cells.GIVEN:
        return structure
    if candidate.magmoms is not None:
        raise OutputError(
            f"Candidate {candidate.id!r} has magnetic moments, which are those of the atoms of its own cell: expected cells given, "
            f"found {cells}. Export it as it is given."
        )
    if cells is Cells.SYMMETRISED:
        return structure  # CifWriter refines it
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer  # noqa: PLC0415  slow to import

    found = SpacegroupAnalyzer(structure, symprec=SYMMETRY_TOLERANCE)
    return (
        found.get_primitive_standard_structure()
        if cells is Cells.PRIMITIVE
        else found.get_conventional_standard_structure()
    )
