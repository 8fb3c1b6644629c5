"""What a crystal structure is called: its space group, the lattice of its sites, and its prototype.

Lattice and prototype are told by topology, so that strain and relaxation change neither: atoms on the sites of fcc, bcc or hcp are
put on the ideal ones, where the symmetry of the ordering is exact and names it; all others are compared with the AFLOW library of
prototypes, whatever their elements, by pymatgen's structure matcher. A space group is that of the atoms as they are.

Source: Mehl et al., Comput. Mater. Sci. 136, S1 (2017), for the library.
"""

from __future__ import annotations

import gzip
import json
import re
import warnings
from collections import Counter, defaultdict
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from hullscout.figures.parents import parent_sites
from hullscout.figures.style import mathtext_formula

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hullscout.figures.parents import ParentSites
    from hullscout.pool import Candidate

    Floats = NDArray[np.float64]

# Positions within this distance in A are equivalent.
SYMMETRY_TOLERANCE = 0.01
# Ordered structures on these lattices, by space group and atoms of each element in the primitive cell, and their names: the
# Strukturbericht, or the crystal named first. Those that lattice, space group and numbers tell for certain: among the
# derivative structures with so many atoms each is the only one.
PROTOTYPES = {
    ("fcc", 123, (1, 1)): "L1_0",
    ("fcc", 166, (1, 1)): "L1_1",
    ("fcc", 221, (1, 3)): "L1_2",
    ("fcc", 139, (1, 3)): "D0_22",
    ("fcc", 139, (2, 6)): "D0_23",
    ("fcc", 87, (1, 4)): "D1_a",
    ("fcc", 71, (1, 2)): "MoPt_2",
    ("bcc", 221, (1, 1)): "B2",
    ("bcc", 227, (2, 2)): "B32",
    ("bcc", 225, (1, 3)): "D0_3",
    ("bcc", 139, (1, 2)): "C11_b",
    ("hcp", 51, (2, 2)): "B19",
    ("hcp", 187, (1, 1)): "B_h",
    ("hcp", 194, (2, 6)): "D0_19",
}
# The first of the cubic space groups; and the distance from the ideal lattice above which a crystal may have a name of its own in
# the library: indium is a strained fcc (A6), Ti3Cu a strained L1_2 (L6_0), uranium a hcp with displaced atoms (A20). Where symmetry
# leaves the shape of the cell free, as in L1_0 and hcp, a strain gives no other name.
FIRST_CUBIC, SLIGHT = 195, 0.05
# Up to which a structure is one of the library: lengths, the farthest atom over the cube root of the volume per atom, degrees.
TOLERANCES = {"ltol": 0.2, "stol": 0.2, "angle_tol": 5.0}
# What the library calls the lattices.
LATTICES = {"A1": "fcc", "A2": "bcc", "A3": "hcp"}
# Ideal stackings of space group 194, by formula of letters, atoms in the cell, c/a, elements and places: that of four Laves layers,
# which the library has with atoms 1.5 A apart, and that of four layers of Ni3Ti, which it has not.
STACKED = {
    "C36": (
        "AB2",
        24,
        (32 / 3) ** 0.5,
        ["Mg", "Mg", "Ni", "Ni", "Ni"],
        [(0, 0, 3 / 32), (1 / 3, 2 / 3, 27 / 32), (1 / 3, 2 / 3, 1 / 8), (1 / 2, 0, 0), (1 / 6, 1 / 3, 1 / 4)],
    ),
    "D0_24": (
        "AB3",
        16,
        (8 / 3) ** 0.5,
        ["Ti", "Ti", "Ni", "Ni"],
        [(0, 0, 0), (1 / 3, 2 / 3, 3 / 4), (1 / 2, 0, 0), (5 / 6, 2 / 3, 1 / 4)],
    ),
}
# Crystals of one element in the library whose sites ordered alloys share, by its name of them.
SHARED_SITES = {"A_b": "sigma", "A12": "A12", "A13": "A13"}


def space_group(candidate: Candidate) -> str | None:
    """International symbol of the space group at a tolerance of 0.01 A, for example `Fm-3m`; None where spglib finds none."""
    dataset = symmetry(candidate.cell, candidate.positions, candidate.numbers)
    return None if dataset is None else str(dataset.international)


def parent_lattice(candidate: Candidate) -> Literal["fcc", "bcc", "hcp", "other"]:
    """The lattice that the sites form, whatever the elements on them, strained and relaxed as far as it is still the nearest."""
    sites = parent_sites(candidate)
    return "other" if sites is None else sites.lattice


def prototype(candidate: Candidate) -> str | None:
    """Name of a known structure: `L1_2`, `C15`, `sigma`, the lattice of an element; None of any other.

    Strukturbericht where there is one, else the crystal that the AFLOW library has of it, `TiPt8 type`, or its label there.
    """
    sites = parent_sites(candidate)
    name = None
    if sites is not None:
        ordered = symmetry(sites.cell, sites.positions, candidate.numbers, tolerance=1e-3)
        name = None if ordered is None else _name_on(sites, candidate.numbers, ordered)
        if name is not None and (sites.displacement if ordered.number < FIRST_CUBIC else sites.distance) <= SLIGHT:
            return name
    return _name_in_library(candidate, sites) or name


def mathtext_structure(candidate: Candidate) -> str:
    """How a label names a structure: its prototype, else its space group with bars and screw axes as printed, else nothing."""
    name = prototype(candidate)
    if name is not None:
        return mathtext_formula(name) if name.endswith(" type") else re.sub(r"_(\w+)", r"$_{\1}$", name)
    symbol = space_group(candidate) or ""
    return symbol and "$" + re.sub(r"_(\d)", r"_{\1}", re.sub(r"-(\d)", r"\\bar{\1}", symbol)) + "$"


def symmetry(
    cell: Floats, positions: Floats, kinds: NDArray[np.int64], *, tolerance: float = SYMMETRY_TOLERANCE
) -> Any:
    """The symmetry of atoms told apart by kinds (n,), as spglib's dataset; None where it finds none."""
    import spglib  # noqa: PLC0415  slow to import

    fractions = np.linalg.solve(cell.T, positions.T).T
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of how errors are told: both ways are heeded here
            return spglib.get_symmetry_dataset((cell, fractions, kinds), symprec=tolerance)  # type: ignore[arg-type]  # arrays
    except spglib.SpglibError:
        return None


def _name_on(sites: ParentSites, numbers: NDArray[np.int64], ordered: Any) -> str | None:
    """Name of elements on sites of a lattice, by the symmetry (spglib's) of their order."""
    _, first = np.unique(ordered.mapping_to_primitive, return_index=True)
    counts = tuple(sorted(np.unique(numbers[first], return_counts=True)[1].tolist()))
    return sites.lattice if len(counts) == 1 else PROTOTYPES.get((sites.lattice, int(ordered.number), counts))


class _Known(NamedTuple):
    """A structure of the library in its primitive cell."""

    name: str
    structure: Any

    @property
    def sites(self) -> str | None:
        from hullscout.pool import Candidate  # noqa: PLC0415  (at run time here alone)

        found = parent_sites(Candidate.from_structure(self.structure, id=self.name))
        return None if found is None else found.lattice


def _name_in_library(candidate: Candidate, sites: ParentSites | None) -> str | None:
    """Of the structures of the library that match, on the same lattice if on any, the one that does so the closest."""
    structure = _primitive(candidate.to_pymatgen())
    lattice = None if sites is None else sites.lattice
    found = [one for one in _matching(structure, structure.composition.anonymized_formula) if one.sites == lattice]
    if found:
        return found[0].name
    if sites is None and len(structure.composition) > 1:
        alike = structure.copy()
        alike.replace_species(dict.fromkeys(structure.composition, structure[0].specie))
        shared = _matching(_primitive(alike), "A", frozenset(SHARED_SITES))
        return next((SHARED_SITES[one.name] for one in shared), None)
    return None


def _matching(structure: Any, formula: str, names: frozenset[str] | None = None) -> list[_Known]:
    """Those of the library that a structure in its primitive cell matches, of some names alone where these are given.

    Tolerances are tightened as long as there are several and any is left.
    """
    found, share = _library(formula, len(structure), names), 1.0
    if not found:
        return []
    from pymatgen.core.structure_matcher import StructureMatcher  # noqa: PLC0415  slow to import

    while found and share > 0.1:
        matcher = StructureMatcher(**{name: share * most for name, most in TOLERANCES.items()})
        kept = [one for one in found if matcher.fit_anonymous(one.structure, structure, skip_structure_reduction=True)]
        if not kept and share < 1.0:
            break
        found, share = kept, 0.8 * share
        if len(found) == 1:
            break
    return found


@cache
def _library(formula: str, n_atoms: int, names: frozenset[str] | None = None) -> list[_Known]:
    """The structures of the library with a formula of letters, as `AB3`, and so many atoms in the cell, which is primitive."""
    from pymatgen.core import Structure  # noqa: PLC0415  slow to import

    known = [(name, _stacked(name)) for name, of in STACKED.items() if of[:2] == (formula, n_atoms)]
    known += [
        (name, Structure.from_dict(tree))
        for name, tree in _entries().get(formula, ())
        if (names is None or name in names) and len(tree["sites"]) == n_atoms
    ]
    return [_Known(LATTICES.get(name, name), _primitive(structure)) for name, structure in known]


@cache
def _entries() -> Mapping[str, list[tuple[str, dict[str, Any]]]]:
    """Names and trees of the library's structures by their formulas of letters, without those that are `STACKED`.

    From its file: importing its module makes all of its structures, which takes seconds.
    """
    from pymatgen.core import Composition  # noqa: PLC0415  slow to import

    package = find_spec("pymatgen.analysis.prototypes")
    assert package is not None  # noqa: S101  pymatgen is there
    path = Path(str(package.origin)).with_name("aflow_prototypes.json.gz")
    entries = json.loads(gzip.decompress(path.read_bytes()))
    species = [[kind["element"] for site in entry["snl"]["sites"] for kind in site["species"]] for entry in entries]
    compositions = [Composition(Counter(symbols)) for symbols in species]
    crystals = Counter(composition.reduced_formula for composition in compositions)
    found = defaultdict(list)
    for entry, composition in zip(entries, compositions, strict=True):
        tags, crystal = entry["tags"], composition.reduced_formula
        name = str(tags["strukturbericht"]).strip('"')
        if name == "None":
            name = f"{crystal} type" if crystals[crystal] == 1 else tags["aflow"]
        if name not in STACKED:
            found[composition.anonymized_formula].append((name, entry["snl"]))
    return found


def _stacked(name: str) -> Any:
    from pymatgen.core import Lattice, Structure  # noqa: PLC0415  slow to import

    *_, c_over_a, species, places = STACKED[name]
    return Structure.from_spacegroup(194, Lattice.hexagonal(1.0, c_over_a).scale(100.0), species, places)


def _primitive(structure: Any) -> Any:
    return structure.get_reduced_structure().get_primitive_structure()
