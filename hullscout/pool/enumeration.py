"""The candidates of a new campaign, by enumeration and by analogy; nothing is relaxed.

Every symmetry-distinct way to put two elements on a parent lattice, cell size by cell size. The search is icet's, after G. L. W.
Hart, R. W. Forcade, Phys. Rev. B 77, 224115 (2008) and 80, 014120 (2009). hcp has the ideal c/a = sqrt(8/3).

And the binary crystals of the AFLOW library of prototypes, each with the elements both ways round. The list is pymatgen's copy of
M. J. Mehl et al., Comput. Mater. Sci. 136, S1 (2017). Cells keep their shape and the positions in them.

All cells have the volume that Vegard's law gives between the elements: v(x) = (1 - x) v_A + x v_B per atom, whatever the lattice.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import InvalidSettingError, MissingPackageError
from hullscout.pool.candidate import AtomArrays, atoms_of
from hullscout.pool.checks import CLOSE, shortest_distance, two_atomic_numbers
from hullscout.pool.frames import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import ase
    from numpy.typing import NDArray
    from pymatgen.core.structure import Structure

MAX_ATOMS = 12
"""Larger cells are refused: with up to ten atoms fcc has 2 346 candidates, with up to twelve 10 850."""

PROTOTYPE = "prototype"
"""The source of a candidate that no lattice gave."""

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

        edges = {
            ParentLattice.FCC: {"a": 4 ** (1 / 3)},
            ParentLattice.BCC: {"a": 2 ** (1 / 3)},
            ParentLattice.HCP: {"a": 2 ** (1 / 6), "c": 2 ** (1 / 6) * (8 / 3) ** 0.5},
        }
        return bulk("X", self.value, **edges[self])


@dataclass(frozen=True, slots=True, kw_only=True)
class EnumerationSettings:
    """What to enumerate.

    Attributes:
        elements: first and second element of the axis.
        lattices: parent lattices, in the order of the pool.
        max_atoms: atoms in the largest cell of a lattice.
        prototype_atoms: atoms in the largest cell of a prototype; None for no prototypes.
        volumes: A^3 per atom of pure elements, where they are known better than from the table.

    Raises:
        InvalidPoolError: not two different elements.
        InvalidSettingError: no lattice, one twice, cells too small for a lattice or too large for any, or an impossible volume.
    """

    elements: tuple[str, str]
    lattices: tuple[ParentLattice, ...]
    max_atoms: int
    prototype_atoms: int | None = None
    volumes: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        two_atomic_numbers(self.elements)
        names = [lattice.value for lattice in self.lattices]
        if not names or len(set(names)) < len(names):
            raise InvalidSettingError(f"Expected one or more different lattices, found {', '.join(names) or 'none'}.")
        smallest = max(lattice.n_sites for lattice in self.lattices)
        if not smallest <= self.max_atoms <= MAX_ATOMS:
            raise InvalidSettingError(
                f"Expected max_atoms from {smallest} to {MAX_ATOMS} for {', '.join(names)}, found {self.max_atoms}."
            )
        if self.prototype_atoms is not None and self.prototype_atoms < 2:
            raise InvalidSettingError(
                f"Expected prototypes of at most 2 atoms or more, found prototype_atoms={self.prototype_atoms}."
            )
        atomic_volumes(self.elements, self.volumes)


@dataclass(frozen=True, slots=True, kw_only=True)
class MadePool:
    """New candidates.

    Attributes:
        frames: without an energy, numbered from 1.
        counts: how many there are by source (a lattice's name, or PROTOTYPE) and number of atoms.
        n_known: prototypes left out because a lattice, or a prototype before, gave them already.
        n_open: prototypes left out because their atoms come too close; see `checks.CLOSE`.
        volumes: A^3 per atom of the two elements that were used.
    """

    frames: tuple[Frame, ...] = field(repr=False)
    counts: Mapping[tuple[str, int], int]
    n_known: int
    n_open: int
    volumes: tuple[float, float]


def make_pool(settings: EnumerationSettings, *, on_progress: Callable[[str], None] = lambda _: None) -> MadePool:
    """All candidates that are asked for; the same settings give the same frames. Before each step `on_progress` is told of it.

    Raises:
        MissingPackageError: icet is not installed.
    """
    volumes = atomic_volumes(settings.elements, settings.volumes)
    frames: list[Frame] = []
    counts: Counter[tuple[str, int]] = Counter()
    for lattice in settings.lattices:
        for n_atoms in range(lattice.n_sites, settings.max_atoms + 1, lattice.n_sites):
            on_progress(f"{lattice.value}, {n_atoms} atoms")
            cells = tuple(enumerate_cells(settings.elements, lattice, n_atoms=n_atoms, volumes=volumes))
            counts[lattice.value, n_atoms] += len(cells)
            frames.extend(cells)
    n_known = n_open = 0
    if settings.prototype_atoms is not None:
        on_progress("prototypes")
        prototypes, n_open = prototype_cells(settings.elements, max_atoms=settings.prototype_atoms, volumes=volumes)
        on_progress(f"comparing {len(prototypes)} prototypes with {len(frames)} cells")
        new = without_known(prototypes, frames)
        n_known = len(prototypes) - len(new)
        counts.update((PROTOTYPE, len(frame.numbers)) for frame in new)
        frames.extend(new)
    numbered = tuple(replace(frame, number=number) for number, frame in enumerate(frames, start=1))
    return MadePool(frames=numbered, counts=dict(counts), n_known=n_known, n_open=n_open, volumes=volumes)


def atomic_volumes(elements: tuple[str, str], given: Mapping[str, float] | None = None) -> tuple[float, float]:
    """Volumes per atom in A^3 of the two elements as solids.

    Those given, from a calculation of the pure element, say, or else the molar volumes of pymatgen's table of elements (measured,
    of the solid) over Avogadro's number.

    Raises:
        InvalidSettingError: no volume is known for an element; a given one is no number above 0 or of another element.
    """
    from pymatgen.core.periodic_table import Element  # noqa: PLC0415  (late: slow to import)

    two_atomic_numbers(elements)
    known = dict(given or {})
    for symbol, value in known.items():
        if symbol not in elements or not (np.isfinite(value) and value > 0):
            raise InvalidSettingError(
                f"Expected volumes above 0 A^3 per atom for {elements[0]} or {elements[1]}, found {symbol}={value:g}."
            )
    for symbol in (symbol for symbol in elements if symbol not in known):
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

    Exchanging the elements gives another cell. Pure elements occur at the size of the primitive cell. Where the primitive cell
    has two atoms, no odd number has any cells. `volumes` are those of the pure elements, in A^3 per atom. Ids `fcc-A1B3-0007` name
    the lattice, the atoms of the first (A) and second element (B), and the number among those, in the order of icet; they do not
    depend on what else is enumerated.
    """
    try:
        from icet.tools import enumerate_structures  # noqa: PLC0415  (an extra)
    except ImportError as error:
        raise MissingPackageError(
            "Enumeration expects the package icet, found none. Install it: pip install 'hullscout[enumerate]'."
        ) from error

    first, _ = two_atomic_numbers(elements)
    sizes = [] if n_atoms % lattice.n_sites else [n_atoms // lattice.n_sites]
    counts: Counter[str] = Counter()
    for cell in map(atoms_of, enumerate_structures(lattice.primitive_cell(), sizes, list(elements))):
        name, volume = _name_and_volume(lattice.value, cell.numbers == first, volumes, counts)
        yield _scaled_frame(name, cell, volume ** (1 / 3))


def prototype_cells(
    elements: tuple[str, str], *, max_atoms: int, volumes: tuple[float, float]
) -> tuple[tuple[Frame, ...], int]:
    """Every binary prototype with up to so many atoms in its primitive cell, both ways round.

    And how many structures were left out because their atoms come closer than CLOSE: molecules, silica frameworks. Ids
    `A3B_cP4_221_c_a-A1B3-0001` name the AFLOW label, the atoms of each element, and the number among those.
    """
    from pymatgen.analysis.prototypes import AFLOW_PROTOTYPE_LIBRARY  # noqa: PLC0415  (late: loads for seconds)

    frames: list[Frame] = []
    n_open = 0
    counts: Counter[str] = Counter()
    for entry in AFLOW_PROTOTYPE_LIBRARY:
        structure, label = entry["snl"].structure, entry["tags"]["aflow"]
        kinds = sorted({site.specie.symbol for site in structure})
        if len(kinds) != 2 or len(structure) > max_atoms:
            continue
        atoms = atoms_of(structure)
        if shortest_distance(atoms.positions, atoms.cell) < CLOSE:
            n_open += len(kinds)
            continue
        for first_kind in kinds:
            is_first = np.array([site.specie.symbol == first_kind for site in structure])
            name, volume = _name_and_volume(label, is_first, volumes, counts)
            scale = (volume * len(structure) / structure.volume) ** (1 / 3)
            numbers = np.where(is_first, *two_atomic_numbers(elements))
            frames.append(_scaled_frame(name, atoms._replace(numbers=numbers), scale))
    return tuple(frames), n_open


def without_known(frames: Sequence[Frame], known: Sequence[Frame]) -> tuple[Frame, ...]:
    """Those that are not yet there: no known frame, nor one before, would relax into the same crystal.

    Two frames count as one crystal where stoichiometry and space group agree and pymatgen's StructureMatcher lays them on each
    other within 20 % of length, 5 degrees and 0.1 of the cube root of the volume per atom, scaled. Comparing by space group (to
    0.01 A) first keeps L1_0 and B2 apart, which only the shape of the cell tells apart, and the number of comparisons small. Of two
    alike the first stays.
    """
    from pymatgen.core.structure_matcher import StructureMatcher  # noqa: PLC0415  (late: slow to import)
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer  # noqa: PLC0415

    matcher = StructureMatcher(ltol=0.2, stol=0.1, angle_tol=5.0, primitive_cell=True, scale=True)
    formulas = {frame.candidate().formula for frame in frames}
    seen: defaultdict[tuple[str, int], list[Structure]] = defaultdict(list)
    new: list[Frame] = []
    for frame, is_known in [*((frame, True) for frame in known), *((frame, False) for frame in frames)]:
        candidate = frame.candidate()
        if candidate.formula in formulas:
            structure = candidate.to_pymatgen()
            space_group = SpacegroupAnalyzer(structure, symprec=0.01).get_space_group_number()
            alike = seen[candidate.formula, space_group]
            if is_known or not any(matcher.fit(structure, other) for other in alike):
                alike.append(structure)
                new += [] if is_known else [frame]
    return tuple(new)


def _name_and_volume(
    label: str, is_first: NDArray[np.bool_], volumes: tuple[float, float], counts: Counter[str]
) -> tuple[str, float]:
    """The next id of a label and the atoms of each element in the cell, and the volume per atom in A^3."""
    n_first, n_second = int(is_first.sum()), int((~is_first).sum())
    atoms = "".join(f"{letter}{count}" for letter, count in (("A", n_first), ("B", n_second)) if count)
    name = f"{label}-{atoms}"
    counts[name] += 1
    return f"{name}-{counts[name]:04d}", vegard(volumes, n_first, n_second)


def _scaled_frame(name: str, atoms: AtomArrays, scale: float) -> Frame:
    """A frame without an energy, not yet numbered, of a cell enlarged by a scale of lengths."""
    scaled = atoms._replace(positions=atoms.positions * scale, cell=atoms.cell * scale, pbc=(True, True, True))
    return Frame(number=0, id=name, energy_ev=None, **scaled._asdict())


def vegard(volumes: tuple[float, float], n_first: int, n_second: int) -> float:
    """Volume per atom in A^3 between those of the elements: v(x) = (1 - x) v_A + x v_B."""
    return (n_first * volumes[0] + n_second * volumes[1]) / (n_first + n_second)
