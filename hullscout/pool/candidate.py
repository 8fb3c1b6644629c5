"""One periodic structure whose energy a campaign may ask for: its atoms and its cell, and no energy."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from hullscout.display import html_table, is_visible
from hullscout.errors import InvalidStructureError
from hullscout.pool.geometry import crystal_fault, numbers_fault
from hullscout.pool.moments import checked_moments, moments_of_atoms, moments_of_sites

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ase
    from numpy.typing import NDArray
    from pymatgen.core.structure import Structure


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """A crystal by its id, unique in a pool: atomic numbers (n,), Cartesian positions (n, 3) and cell vectors (3, 3, rows) in A.

    It is periodic in three directions. It has ASE's `numbers`, `positions`, `cell` and `pbc`, so that code written for `ase.Atoms`
    can read it. Where it is to be calculated from a magnetic ordering, `magmoms` are the initial moments in Bohr magnetons, (n,)
    along one axis or (n, 3); None where nothing is stated of them. What is no crystal (a coordinate that is not finite, a cell
    without volume or beyond the bounds of `hullscout.pool.geometry`, a number of no element) is an InvalidStructureError.
    """

    id: str
    numbers: NDArray[np.int64]
    positions: NDArray[np.float64] = field(repr=False)
    cell: NDArray[np.float64] = field(repr=False)
    magmoms: NDArray[np.float64] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name, dtype in (("numbers", np.int64), ("positions", np.float64), ("cell", np.float64)):
            array = np.array(getattr(self, name), dtype=dtype)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        n = self.numbers.size
        if not self.id:
            raise InvalidStructureError("Expected a candidate with an id, found an empty id. Give it a name.")
        if not is_visible(str(self.id)):
            raise InvalidStructureError(
                f"Expected a candidate with an id of printable characters on one line, found {self.id!a}. Give it another."
            )
        if n == 0 or self.numbers.shape != (n,) or self.positions.shape != (n, 3) or self.cell.shape != (3, 3):
            raise InvalidStructureError(
                f"Candidate {self.id!r}: expected numbers (n,), positions (n, 3) and cell (3, 3) with n > 0, found "
                f"{self.numbers.shape}, {self.positions.shape} and {self.cell.shape}. Give one row per atom."
            )
        if not np.isfinite(self.positions).all() or not np.isfinite(self.cell).all() or not self.cell.any():
            raise InvalidStructureError(
                f"Candidate {self.id!r}: expected finite coordinates and a cell with a volume, found "
                f"cell={self.cell.tolist()}. Correct the structure or leave it out."
            )
        if fault := numbers_fault(self.numbers) or crystal_fault(self.positions, self.cell):
            raise InvalidStructureError(f"Candidate {self.id!r}: {fault}. Correct the structure or leave it out.")
        if self.magmoms is not None:
            try:
                object.__setattr__(self, "magmoms", checked_moments(self.magmoms, n))
            except InvalidStructureError as error:
                raise InvalidStructureError(f"Candidate {self.id!r}: {error}") from error

    @classmethod
    def from_ase(cls, atoms: ase.Atoms, id: str | None = None) -> Self:  # noqa: A002  the attribute's name
        """A candidate of ASE's `Atoms`, periodic in three directions; its id is `atoms.info["id"]` where none is given."""
        name = stated_id(atoms) if id is None else id
        found = atoms_of(atoms)
        if not all(found.pbc):
            raise InvalidStructureError(
                f"Candidate {name!r}: expected a crystal, periodic in three directions, found pbc={list(found.pbc)}. "
                "Set pbc=True, if it is one."
            )
        return cls(id=name, numbers=found.numbers, positions=found.positions, cell=found.cell, magmoms=found.magmoms)

    @classmethod
    def from_structure(cls, structure: Structure, id: str | None = None) -> Self:  # noqa: A002
        """A candidate of pymatgen's `Structure` with whole atoms; its id is `structure.properties["id"]` where none is given."""
        return cls.from_ase(structure, id)

    @classmethod
    def checked_before(cls, id: str, atoms: AtomArrays) -> Self:  # noqa: A002
        """A candidate of arrays that were a candidate's before: they are not looked at again, and nobody may write to them."""
        made = object.__new__(cls)
        parts = (atoms.numbers, atoms.positions, atoms.cell, atoms.magmoms)
        for name, value in (("id", id), *zip(("numbers", "positions", "cell", "magmoms"), parts, strict=True)):
            object.__setattr__(made, name, value)
        return made

    def __repr__(self) -> str:
        return f"Candidate(id={self.id!r}, formula={self.formula!r}, n_atoms={self.n_atoms})"

    def _repr_html_(self) -> str:
        row = (self.id, self.formula, self.n_atoms, f"{self.volume_a3_per_atom:.2f}")
        return html_table(("id", "formula", "atoms", "volume (Å³/atom)"), [row])

    @property
    def n_atoms(self) -> int:
        """The number of atoms in the cell."""
        return int(self.numbers.size)

    @property
    def volume_a3_per_atom(self) -> float:
        """The volume of the cell over its atoms, in A^3."""
        return abs(float(np.linalg.det(self.cell))) / self.n_atoms

    @property
    def pbc(self) -> NDArray[np.bool_]:
        """(3,) always true: a candidate is a crystal."""
        return np.ones(3, dtype=np.bool_)

    @property
    def formula(self) -> str:
        """The conventional reduced formula (pymatgen's), for example `Ag5Pd3`."""
        from pymatgen.core.composition import Composition  # noqa: PLC0415  (late: a light import of this package)

        numbers, counts = np.unique(self.numbers, return_counts=True)
        return str(Composition(dict(zip(numbers.tolist(), counts.tolist(), strict=True))).reduced_formula)

    def formula_in(self, elements: Sequence[str]) -> str:
        """The reduced formula in the order of a campaign's elements, for example `AlLi3` where they are Al and Li.

        Those that are not among them are left out.
        """
        from ase.data import atomic_numbers  # noqa: PLC0415  slow to import

        return formula_of([int((self.numbers == atomic_numbers[symbol]).sum()) for symbol in elements], elements)

    def has_same_atoms(self, other: Candidate) -> bool:
        """Whether numbers, positions, cell and magnetic moments are the same to the last bit."""
        is_same = all(np.array_equal(getattr(self, n), getattr(other, n)) for n in ("numbers", "positions", "cell"))
        if self.magmoms is None or other.magmoms is None:
            return is_same and self.magmoms is other.magmoms
        return is_same and np.array_equal(self.magmoms, other.magmoms)

    @property
    def handedness(self) -> int:
        """1 where the three cell vectors are right-handed, else -1: a triple product below zero, which VASP and others refuse."""
        return 1 if np.linalg.det(self.cell) > 0 else -1

    def right_handed(self) -> Candidate:
        """The same crystal, atoms where they are, in right-handed cell vectors: all three turned round where they were not."""
        return self if self.handedness == 1 else replace(self, cell=-self.cell)

    def to_ase(self) -> ase.Atoms:
        """The same crystal as ASE's `Atoms`, with the id in `info` and the magnetic moments as initial ones."""
        from ase import Atoms  # noqa: PLC0415  (late: a light import of this package)

        return Atoms(
            numbers=self.numbers,
            positions=self.positions,
            cell=self.cell,
            pbc=True,
            info={"id": self.id},
            magmoms=self.magmoms,
        )

    def to_pymatgen(self) -> Structure:
        """The same crystal as pymatgen's `Structure`; the magnetic moments are its sites' `magmom`."""
        from pymatgen.core.lattice import Lattice  # noqa: PLC0415  (late: a light import of this package)
        from pymatgen.core.periodic_table import Element  # noqa: PLC0415
        from pymatgen.core.structure import Structure  # noqa: PLC0415

        species = [Element.from_Z(number) for number in self.numbers.tolist()]
        stated = None if self.magmoms is None else {"magmom": self.magmoms.tolist()}
        return Structure(Lattice(self.cell), species, self.positions, coords_are_cartesian=True, site_properties=stated)


VACANCY = "X"
"""The symbol of a site without an atom, as ASE, files of its formats and pymatgen's `DummySpecies` have it."""


class AtomArrays(NamedTuple):
    """Atomic numbers (n,), positions (n, 3) and cell (3, 3) in A, whether it is periodic along each vector, magnetic moments."""

    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    cell: NDArray[np.float64]
    pbc: tuple[bool, bool, bool]
    magmoms: NDArray[np.float64] | None = None

    def without_vacancies(self) -> AtomArrays:
        """The atoms alone: `X`, ASE's number 0, is a site without one. As it is where there are no atoms besides."""
        is_atom = self.numbers != 0
        if is_atom.all() or not is_atom.any():
            return self
        magmoms = None if self.magmoms is None else self.magmoms[is_atom]
        return self._replace(numbers=self.numbers[is_atom], positions=self.positions[is_atom], magmoms=magmoms)


def atoms_of(structure: ase.Atoms | Structure | Candidate) -> AtomArrays:
    """The atoms of a structure of any kind; an InvalidStructureError, which does not name it, for partly occupied sites."""
    given: Any = structure  # told by its attributes: importing ASE and pymatgen takes long
    if hasattr(given, "lattice") and hasattr(given, "is_ordered"):
        if not given.is_ordered:
            raise InvalidStructureError("expected whole atoms, found partly occupied sites")
        magmoms = moments_of_sites(given)
        numbers = [0 if _is_vacancy(site.specie) else site.specie.Z for site in given]
        positions, cell = given.cart_coords, given.lattice.matrix
    elif all(hasattr(given, name) for name in ("numbers", "positions", "cell", "pbc")):
        magmoms = given.magmoms if isinstance(given, Candidate) else moments_of_atoms(given)
        numbers, positions, cell = given.numbers, given.positions, np.array(given.cell)
    else:
        found = type(structure).__name__
        raise InvalidStructureError(f"expected ase.Atoms, a pymatgen Structure or a Candidate, found {found}")
    first, second, third = (bool(axis) for axis in given.pbc)
    arrays = (np.asarray(numbers, np.int64), np.asarray(positions, np.float64), np.asarray(cell, np.float64))
    atoms = AtomArrays(*arrays, (first, second, third), magmoms).without_vacancies()
    if atoms.numbers.size and (odd := numbers_fault(atoms.numbers)):
        raise InvalidStructureError(odd)
    return atoms


def _is_vacancy(species: Any) -> bool:
    """Whether pymatgen's species is its `DummySpecies("X")`, under any oxidation state."""
    return not hasattr(species, "atomic_mass") and getattr(species, "symbol", "") == VACANCY


def formula_of(atoms: Sequence[int], elements: Sequence[str]) -> str:
    """A composition as a reduced formula in the order of the elements.

    >>> formula_of([2, 6], ["Al", "Li"])
    'AlLi3'
    """
    divisor = math.gcd(*atoms)
    reduced = [(symbol, n // divisor) for symbol, n in zip(elements, atoms, strict=True) if n]
    return "".join(f"{symbol}{n if n > 1 else ''}" for symbol, n in reduced)


def stated_id(structure: ase.Atoms | Structure | Candidate) -> str:
    """The id that a structure carries: a candidate's, that in ASE's `info` or in pymatgen's `properties`; empty for none."""
    if isinstance(structure, Candidate):
        return structure.id
    value = (getattr(structure, "info", None) or getattr(structure, "properties", None) or {}).get("id")
    return "" if value is None else str(value)
