"""The candidates of a new campaign, by enumeration and by analogy; nothing is relaxed.

Every symmetry-distinct way to put two to five elements on a parent lattice, cell size by cell size. The search is icet's, after
G. L. W. Hart, R. W. Forcade, Phys. Rev. B 77, 224115 (2008) and 80, 014120 (2009). hcp has the ideal c/a = sqrt(8/3).

And the crystals of two or more elements, up to as many as there are, of the AFLOW library of prototypes, each with the elements all
ways round. The list is pymatgen's copy of M. J. Mehl et al., Comput. Mater. Sci. 136, S1 (2017). Cells keep their shape and the
positions in them.

All cells have the volume that Vegard's law gives between the elements: v = sum_i x_i v_i per atom, whatever the lattice.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from itertools import compress, islice, permutations
from string import ascii_uppercase
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import InvalidSettingError, MissingPackageError
from hullscout.pool.axis import CompositionAxis, axis_of
from hullscout.pool.candidate import AtomArrays, atoms_of
from hullscout.pool.checks import CLOSE, atomic_numbers, shortest_distance
from hullscout.pool.frames import Frame
from hullscout.pool.twins import reduced_composition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import ase
    from numpy.typing import NDArray
    from pymatgen.core.structure import Structure

    from hullscout.pool.candidate import Candidate
    from hullscout.pool.limits import Limits

MAX_ATOMS = 12  # larger cells are refused: with up to ten atoms fcc has 2 346 candidates, with up to twelve 10 850
MAX_CANDIDATES = 50_000  # of a pool as text; more are refused
MAX_IN_COLUMNS = 3_000_000  # of one as Parquet
AT_A_TIME = 1000
MAX_CELLS = 500_000  # looked at for them, limits or not: some minutes
VEGARD_TOLERANCE = 1e-5  # files round
PROTOTYPE = "prototype"  # the source of a candidate that no lattice gave
_AVOGADRO = 6.02214076e23  # 1/mol
_A3_PER_CM3 = 1e24


class ParentLattice(Enum):
    """A lattice whose sites the elements share."""

    FCC = "fcc"
    BCC = "bcc"
    HCP = "hcp"

    @property
    def n_sites(self) -> int:
        """Atoms in its primitive cell."""
        return 2 if self is ParentLattice.HCP else 1

    @property
    def n_rotations(self) -> int:
        """Operations of its point group."""
        return 24 if self is ParentLattice.HCP else 48

    def least_cells(self, n_atoms: int, n_elements: int) -> int:
        """About the least number of distinct cells of one size: all labelings of all shapes, over all symmetry there may be.

        There are sum_{a c f = n} c f^2 shapes of n primitive cells, and n translations in each.
        """
        n = n_atoms // self.n_sites
        divisors = [each for each in range(1, n + 1) if n % each == 0]
        n_shapes = sum(c * f * f for f in divisors for c in divisors if n % (c * f) == 0)
        return int(n_shapes * n_elements**n_atoms // (n * self.n_rotations))

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
    """What to enumerate; volumes are in A^3 per atom of pure elements, where they are known better than from the table."""

    elements: tuple[str, ...]
    lattices: tuple[ParentLattice, ...]  #: in the order of the pool
    max_atoms: int  #: in the largest cell of a lattice
    prototype_atoms: int | None = None  #: in the largest cell of a prototype; None for no prototypes
    volumes: Mapping[str, float] = field(default_factory=dict)
    ends: tuple[str, ...] = ()  #: formulas between which the compositions are, where it is not the elements
    limits: Limits = field(default_factory=dict)  #: of what is made besides the ends, which every campaign needs
    max_candidates: int = MAX_CANDIDATES  #: more are refused

    def __post_init__(self) -> None:
        atomic_numbers(self.elements)
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
        _ = self.axis
        self._refuse_too_many()

    @property
    def axis(self) -> CompositionAxis:
        """What is between the ends and within the limits."""
        return axis_of(self.elements, self.ends, self.limits)

    def _refuse_too_many(self) -> None:
        """What can be seen of it before the first cell is made."""
        n_elements = len(self.elements)
        sizes = {lattice: range(lattice.n_sites, self.max_atoms + 1, lattice.n_sites) for lattice in self.lattices}
        least = sum(lattice.least_cells(n, n_elements) for lattice, of in sizes.items() for n in of)
        n_max = max(MAX_CELLS, self.max_candidates) if self.limits or self.ends else self.max_candidates
        if least > n_max:
            raise _too_many(f"some {least} or more of {', '.join(each.value for each in self.lattices)}", n_max)


def _too_many(found: str, n_max: int) -> InvalidSettingError:
    columns = "" if n_max >= MAX_IN_COLUMNS else f", or write a file.parquet, which may hold {MAX_IN_COLUMNS}"
    return InvalidSettingError(
        f"Expected at most {n_max} cells, found {found}. Take a smaller --max-atoms, fewer lattices or fewer elements{columns}; "
        f"--limit ELEMENT=LOW:HIGH bounds what is kept, out of at most {max(n_max, MAX_CELLS)}."
    )


@dataclass(kw_only=True)
class MadePool:
    """New candidates: frames without an energy, numbered from 1; the same settings give the same frames.

    What is counted is known when all are made. Before each step `on_progress` is told of it.
    """

    settings: EnumerationSettings
    on_progress: Callable[[str], None] = field(default=lambda _: None, repr=False)
    counts: Counter[tuple[str, int]] = field(default_factory=Counter)
    """Candidates by source (a lattice's name, or PROTOTYPE) and number of atoms."""
    n_known: int = 0  #: prototypes left out because a lattice, or a prototype before, gave them already
    n_open: int = 0  #: prototypes left out because their atoms come too close; see `checks.CLOSE`
    n_beyond: int = 0  #: cells and prototypes left out because they are not between the ends, or beyond the limits

    @property
    def volumes(self) -> tuple[float, ...]:
        """A^3 per atom of the elements that are used."""
        return atomic_volumes(self.settings.elements, self.settings.volumes)

    @property
    def n_made(self) -> int:
        """Candidates so far."""
        return self.counts.total()

    @cached_property
    def frames(self) -> tuple[Frame, ...]:
        """All of them."""
        return tuple(self.stream())

    def stream(self) -> Iterator[Frame]:
        """All of them one by one: lattice by lattice, size by size, then prototypes; held is only what these may repeat."""
        settings, volumes = self.settings, self.volumes
        prototypes: tuple[Frame, ...] = ()
        if settings.prototype_atoms is not None:
            self.on_progress("prototypes")
            made, self.n_open = prototype_cells(settings.elements, max_atoms=settings.prototype_atoms, volumes=volumes)
            prototypes = tuple(self._within(made))
        formulas = {reduced_composition(frame.numbers) for frame in prototypes}
        alike: list[Frame] = []
        for lattice in settings.lattices:
            for n_atoms in range(lattice.n_sites, settings.max_atoms + 1, lattice.n_sites):
                self.on_progress(f"{lattice.value}, {n_atoms} atoms")
                cells = enumerate_cells(settings.elements, lattice, n_atoms=n_atoms, volumes=volumes)
                for frame in self._within(cells):
                    if formulas and reduced_composition(frame.numbers) in formulas:
                        alike.append(frame)
                    yield self._counted(lattice.value, frame)
        if prototypes:
            self.on_progress(f"comparing {len(prototypes)} prototypes with {len(alike)} cells")
            new = without_known(prototypes, alike)
            self.n_known = len(prototypes) - len(new)
            for frame in new:
                yield self._counted(PROTOTYPE, frame)

    def _counted(self, source: str, frame: Frame) -> Frame:
        self.counts[source, len(frame.numbers)] += 1
        if self.n_made > self.settings.max_candidates:
            raise _too_many("more", self.settings.max_candidates)
        return replace(frame, number=self.n_made)

    def _within(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames that are an end, or between the ends and within the limits; the others are counted."""
        axis, left = self.settings.axis, iter(frames)
        while some := tuple(islice(left, AT_A_TIME)):
            are_held = axis.holds(axis.counts(some)).tolist()
            self.n_beyond += are_held.count(False)
            yield from compress(some, are_held)


def make_pool(settings: EnumerationSettings, *, on_progress: Callable[[str], None] = lambda _: None) -> MadePool:
    """All candidates that are asked for, with what is counted of them."""
    made = MadePool(settings=settings, on_progress=on_progress)
    _ = made.frames
    return made


def atomic_volumes(elements: tuple[str, ...], given: Mapping[str, float] | None = None) -> tuple[float, ...]:
    """Volumes per atom in A^3 of the elements as solids.

    Those given, from a calculation of the pure element, say, or else the molar volumes of pymatgen's table of elements (measured,
    of the solid) over Avogadro's number.
    """
    from pymatgen.core.periodic_table import Element  # noqa: PLC0415  (late: slow to import)

    atomic_numbers(elements)
    known = dict(given or {})
    for symbol, value in known.items():
        if symbol not in elements or not (np.isfinite(value) and value > 0):
            raise InvalidSettingError(
                f"Expected volumes above 0 A^3 per atom for {' or '.join(elements)}, found {symbol}={value:g}."
            )
    for symbol in (symbol for symbol in elements if symbol not in known):
        molar = Element(symbol).data.get("Molar volume")
        if molar is None:
            raise InvalidSettingError(
                f"Expected a tabulated molar volume of {symbol}, found none. Give it in A^3 per atom: --volume {symbol}=..."
            )
        known[symbol] = float(molar) / _AVOGADRO * _A3_PER_CM3
    return tuple(known[symbol] for symbol in elements)


def enumerate_cells(
    elements: tuple[str, ...], lattice: ParentLattice, *, n_atoms: int, volumes: tuple[float, ...]
) -> Iterator[Frame]:
    """All symmetry-distinct cells of one size on one lattice, each only in the smallest cell that holds it.

    Exchanging the elements gives another cell. Pure elements occur at the size of the primitive cell. Where the primitive cell
    has two atoms, no odd number has any cells. `volumes` are those of the pure elements, in A^3 per atom. Ids `fcc-A1B3-0007` name
    the lattice, the atoms of the first (A), second (B), ... element, and the number among those, in the order of icet; they do not
    depend on what else is enumerated.
    """
    try:
        from icet.tools import enumerate_structures  # noqa: PLC0415  (an extra)
    except ImportError as error:
        raise MissingPackageError(
            "Enumeration expects the package icet, found none. Nothing was made. Install it: pip install 'hullscout[enumerate]', "
            "or where Hullscout is installed already pip install icet; it comes as source, for which it takes a C++ compiler and "
            "the headers of Python (Debian's g++ and python3-dev). Candidates that are there need none of it: `hullscout new ... "
            "--pool FILE`."
        ) from error

    numbers = atomic_numbers(elements)
    sizes = [] if n_atoms % lattice.n_sites else [n_atoms // lattice.n_sites]
    counts: Counter[str] = Counter()
    for cell in map(atoms_of, enumerate_structures(lattice.primitive_cell(), sizes, list(elements))):
        name, volume = _name_and_volume(lattice.value, cell.numbers, numbers, volumes, counts)
        yield _scaled_frame(name, cell, volume ** (1 / 3))


def prototype_cells(
    elements: tuple[str, ...], *, max_atoms: int, volumes: tuple[float, ...]
) -> tuple[tuple[Frame, ...], int]:
    """Every prototype of two or more elements with up to so many atoms in its primitive cell, all ways round.

    One of fewer elements than there are is made of each choice of them. And how many structures were left out because their atoms
    come closer than CLOSE: molecules, silica frameworks. Ids `A3B_cP4_221_c_a-A1B3-0001` name the AFLOW label, the atoms of each
    element, and the number among those.
    """
    from pymatgen.analysis.prototypes import AFLOW_PROTOTYPE_LIBRARY  # noqa: PLC0415  (late: loads for seconds)

    frames: list[Frame] = []
    n_open = 0
    counts: Counter[str] = Counter()
    numbers = atomic_numbers(elements)
    for entry in AFLOW_PROTOTYPE_LIBRARY:
        structure, label = entry["snl"].structure, entry["tags"]["aflow"]
        symbols = [site.specie.symbol for site in structure]
        kinds = sorted(set(symbols))
        if not 2 <= len(kinds) <= len(numbers) or len(structure) > max_atoms:
            continue
        atoms = atoms_of(structure)
        ways = list(permutations(numbers, len(kinds)))
        if shortest_distance(atoms.positions, atoms.cell) < CLOSE:
            n_open += len(ways)
            continue
        for way in ways:
            number_of = dict(zip(kinds, way, strict=True))
            standing = np.array([number_of[symbol] for symbol in symbols])
            name, volume = _name_and_volume(label, standing, numbers, volumes, counts)
            scale = (volume * len(structure) / structure.volume) ** (1 / 3)
            frames.append(_scaled_frame(name, atoms._replace(numbers=standing), scale))
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
    label: str,
    standing: NDArray[np.int64],
    numbers: tuple[int, ...],
    volumes: tuple[float, ...],
    counts: Counter[str],
) -> tuple[str, float]:
    """The next id of a label and the atoms of each element in the cell, and the volume per atom in A^3."""
    n_of = [int((standing == number).sum()) for number in numbers]
    atoms = "".join(f"{letter}{count}" for letter, count in zip(ascii_uppercase, n_of, strict=False) if count)
    name = f"{label}-{atoms}"
    counts[name] += 1
    return f"{name}-{counts[name]:04d}", vegard(volumes, n_of)


def _scaled_frame(name: str, atoms: AtomArrays, scale: float) -> Frame:
    """A frame without an energy, not yet numbered, of a cell enlarged by a scale of lengths."""
    scaled = atoms._replace(positions=atoms.positions * scale, cell=atoms.cell * scale, pbc=(True, True, True))
    return Frame(number=0, id=name, energy_ev=None, **scaled._asdict())


def vegard(volumes: Sequence[float], n_of: Sequence[int]) -> float:
    """Volume per atom in A^3 between those of the elements, by the number of atoms of each: sum_i x_i v_i."""
    return sum(n * volume for n, volume in zip(n_of, volumes, strict=True)) / sum(n_of)


def follows_vegard(candidates: Sequence[Candidate], fractions: NDArray[np.float64]) -> bool:
    """Whether all volumes per atom are linear in the fractions (n, k), as those of enumerated cells are and no others.

    Of fewer than three compositions beyond the elements nothing can be told.
    """
    if len(np.unique(fractions, axis=0)) < fractions.shape[1] + 4:
        return False
    volumes = np.array([candidate.volume_a3_per_atom for candidate in candidates])
    line = np.column_stack([np.ones(len(fractions)), fractions])
    off = volumes - line @ np.linalg.lstsq(line, volumes, rcond=None)[0]
    return bool(np.abs(off).max() < VEGARD_TOLERANCE * volumes.mean())
