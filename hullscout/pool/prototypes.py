"""Candidates by analogy: the binary crystals of the AFLOW library of prototypes, each with the elements both ways round.

The list is pymatgen's copy of M. J. Mehl et al., Comput. Mater. Sci. 136, S1 (2017). Cells are scaled to the volume of
Vegard's law, keeping their shape and the positions in them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hullscout.pool.candidate import Candidate
from hullscout.pool.checks import atomic_numbers
from hullscout.pool.enumeration import stoichiometry, unfinished_frame, vegard

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pymatgen.core.structure import Structure

    from hullscout.pool.frames import Frame

CLOSEST = 0.6
"""Prototypes whose closest atoms are nearer than this share of the neighbour distance in fcc at the same volume per atom are
no alloys (molecules, silica frameworks): a zincblende cell has 0.77."""

_SYMPREC = 0.01  # A
_LENGTH_TOLERANCE = 0.2
_SITE_TOLERANCE = 0.1  # of the cube root of the volume per atom
_ANGLE_TOLERANCE = 5.0  # degrees


@dataclass(frozen=True, slots=True, kw_only=True)
class Prototypes:
    """Frames made of prototypes.

    Attributes:
        frames: without an energy, their ids `A3B_cP4_221_c_a-A1B3-0001`: AFLOW label, atoms of each element, number among those.
        n_open: structures left out because their atoms come too close; see CLOSEST.
    """

    frames: tuple[Frame, ...]
    n_open: int


def prototype_cells(elements: tuple[str, str], *, most_atoms: int, volumes: tuple[float, float]) -> Prototypes:
    """Every binary prototype with up to so many atoms, both ways round.

    Args:
        elements: first and second element, A and B behind the label in the ids.
        most_atoms: of the cell as the library lists it, which is primitive.
        volumes: A^3 per atom of the pure elements.
    """
    from pymatgen.analysis.prototypes import AFLOW_PROTOTYPE_LIBRARY  # noqa: PLC0415  (late: loads for seconds)

    frames: list[Frame] = []
    n_open = 0
    counts: Counter[str] = Counter()
    for entry in AFLOW_PROTOTYPE_LIBRARY:
        structure, label = entry["snl"].structure, entry["tags"]["aflow"]
        kinds = sorted({site.specie.symbol for site in structure})
        if len(kinds) != 2 or len(structure) > most_atoms:
            continue
        is_open = _closest(structure) < CLOSEST
        for first_kind in kinds:
            if is_open:
                n_open += 1
                continue
            is_first = np.array([site.specie.symbol == first_kind for site in structure])
            n_first, n_second = int(is_first.sum()), int((~is_first).sum())
            name = f"{label}-{stoichiometry(n_first, n_second)}"
            counts[name] += 1
            scale = (vegard(volumes, n_first, n_second) * len(structure) / structure.volume) ** (1 / 3)
            frames.append(
                unfinished_frame(
                    f"{name}-{counts[name]:04d}",
                    np.where(is_first, *atomic_numbers(elements)),
                    np.asarray(structure.cart_coords) * scale,
                    np.asarray(structure.lattice.matrix) * scale,
                )
            )
    return Prototypes(frames=tuple(frames), n_open=n_open)


def without_known(frames: Iterable[Frame], known: Iterable[Frame]) -> tuple[Frame, ...]:
    """Those that are not yet there: no known frame, nor one before, would relax into the same crystal.

    Two frames count as one crystal where stoichiometry and space group agree and pymatgen's StructureMatcher lays them on each
    other within 20 % of length, 5 degrees and 0.1 of the atomic diameter, scaled. Comparing by space group first keeps L1_0 and
    B2 apart, which only the shape of the cell tells apart, and the number of comparisons small.

    Args:
        frames: in the order that decides which of two stays.
        known: those that stay in any case.
    """
    from pymatgen.core.structure_matcher import StructureMatcher  # noqa: PLC0415  (late: slow to import)

    matcher = StructureMatcher(
        ltol=_LENGTH_TOLERANCE, stol=_SITE_TOLERANCE, angle_tol=_ANGLE_TOLERANCE, primitive_cell=True, scale=True
    )
    candidates = [(frame, _structure(frame)) for frame in frames]
    formulas = {structure.composition.reduced_formula for _, structure in candidates}
    seen: defaultdict[tuple[str, int], list[Structure]] = defaultdict(list)
    for frame in known:
        structure = _structure(frame)
        if structure.composition.reduced_formula in formulas:
            seen[_kind(structure)].append(structure)
    new: list[Frame] = []
    for frame, structure in candidates:
        alike = seen[_kind(structure)]
        if not any(matcher.fit(structure, other) for other in alike):
            alike.append(structure)
            new.append(frame)
    return tuple(new)


def _kind(structure: Structure) -> tuple[str, int]:
    """Reduced formula and space group number."""
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer  # noqa: PLC0415  (late: slow to import)

    return structure.composition.reduced_formula, SpacegroupAnalyzer(
        structure, symprec=_SYMPREC
    ).get_space_group_number()


def _structure(frame: Frame) -> Structure:
    """A frame as pymatgen's structure."""
    return Candidate(id=frame.id, numbers=frame.numbers, positions=frame.positions, cell=frame.cell).to_pymatgen()


def _closest(structure: Structure) -> float:
    """Shortest distance, in neighbour distances of fcc at the same volume per atom: (sqrt(2) v)^(1/3)."""
    from hullscout.neighbors import closest_pair  # noqa: PLC0415  (late: numba)

    fcc = (2**0.5 * structure.volume / len(structure)) ** (1 / 3)
    distance, _, _ = closest_pair(
        np.asarray(structure.cart_coords), np.asarray(structure.lattice.matrix), CLOSEST * fcc
    )
    return float(distance / fcc)
