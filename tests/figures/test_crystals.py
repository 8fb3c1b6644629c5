"""Crystals are named by lattice, prototype and space group, and drawn in their conventional cell."""

import base64

import numpy as np
import pytest
from ase.build import bulk
from ase.data import atomic_numbers

from hullscout.figures.crystals import (
    COLOURS,
    PROTOTYPES,
    drawn_cell,
    mathtext_structure,
    parent_lattice,
    picture,
    prototype,
    space_group,
)
from hullscout.pool import Candidate


def candidate(atoms):
    return Candidate(id="a", numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell.array)


@pytest.mark.parametrize(
    ("atoms", "group", "n_atoms", "n_drawn"),
    [
        (bulk("Ag"), "Fm-3m (225)", 4, 14),
        (bulk("Fe"), "Im-3m (229)", 2, 9),
        (bulk("NaCl", "cesiumchloride", a=4.0), "Pm-3m (221)", 2, 9),
        (bulk("Mg"), "P6_3/mmc (194)", 2, 2),
    ],
    ids=["fcc", "bcc", "B2", "hcp"],
)
def test_the_conventional_cell_is_drawn(atoms, group, n_atoms, n_drawn):
    turned = atoms.copy()
    turned.rotate(33, (1, 2, 3), rotate_cell=True)
    turned.positions += (0.3, 0.1, 0.2)
    drawn = drawn_cell(candidate(turned))
    assert (drawn.space_group, drawn.n_atoms, len(drawn.numbers)) == (group, n_atoms, n_drawn)
    assert abs(np.linalg.det(drawn.cell)) / n_atoms == pytest.approx(atoms.get_volume() / len(atoms))
    lengths = np.linalg.norm(drawn.edges[:, 1] - drawn.edges[:, 0], axis=1)
    np.testing.assert_allclose(np.sort(lengths), np.sort(np.repeat(np.linalg.norm(drawn.cell, axis=1), 4)))


def test_a_structure_in_which_no_symmetry_is_found_is_drawn_as_it_is():
    atoms = bulk("Ag", cubic=True)
    atoms.positions[1] = atoms.positions[0] + 1e-4
    drawn = drawn_cell(candidate(atoms))
    assert (drawn.space_group, drawn.n_atoms) == ("", 4)
    np.testing.assert_allclose(drawn.cell, atoms.cell.array)


def test_the_two_elements_are_seen_in_the_picture():
    from io import BytesIO

    from matplotlib.colors import to_rgb
    from matplotlib.image import imread

    atoms = bulk("NaCl", "cesiumchloride", a=4.0)
    atoms.numbers = [atomic_numbers["Ag"], atomic_numbers["Pd"]]
    address = picture(drawn_cell(candidate(atoms)), ("Ag", "Pd"))
    kind, _, text = address.partition(",")
    assert kind == "data:image/png;base64"
    pixels = imread(BytesIO(base64.b64decode(text)))[..., :3].reshape(-1, 3)
    for colour in COLOURS[:2]:
        assert (np.abs(pixels - to_rgb(colour)).max(axis=1) < 0.01).mean() > 0.02


def test_prototypes_are_those_of_known_structures():
    from ase.spacegroup import crystal

    def named(atoms):
        return prototype(candidate(atoms))

    layers = bulk("Ag", cubic=True)
    layers.symbols[[z < 0.1 for z in layers.positions[:, 2]]] = "Pd"
    corner = bulk("Ag", cubic=True)
    corner.symbols[0] = "Pd"
    iron = bulk("Fe", cubic=True).repeat(2)
    assert named(corner) == "L1_2"
    assert named(layers) == "L1_0"
    assert named(bulk("CsCl", "cesiumchloride", a=4.1)) == "B2"
    assert named(bulk("NaCl", "rocksalt", a=5.64)) is None
    assert (named(bulk("Ag")), named(iron), named(bulk("Ti"))) == ("fcc", "bcc", "hcp")
    heusler = crystal(
        ["Al", "Fe", "Fe"],
        [(0, 0, 0), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)],
        spacegroup=225,
        cellpar=[5.8] * 3 + [90] * 3,
    )
    assert named(heusler) == "D0_3"
    titanium = crystal(
        ["Ti", "Al", "Al"], [(0, 0, 0), (0, 0, 0.5), (0, 0.5, 0.25)], spacegroup=139, cellpar=[4, 4, 8, 90, 90, 90]
    )
    assert named(titanium) == "D0_22"
    silicide = crystal(["Mo", "Si"], [(0, 0, 0), (0, 0, 1 / 3)], spacegroup=139, cellpar=[3, 3, 9, 90, 90, 90])
    assert named(silicide) == "C11_b"
    tin = crystal(
        ["Ti", "Sn"],
        [(0.8333, 0.6667, 0.25), (1 / 3, 2 / 3, 0.25)],
        spacegroup=194,
        cellpar=[5.9, 5.9, 4.76, 90, 90, 120],
    )
    assert named(tin) == "D0_19"


def test_names_are_those_of_the_library_of_prototypes():
    from pymatgen.analysis.prototypes import AFLOW_PROTOTYPE_LIBRARY

    elements = {"fcc": "A1", "bcc": "A2", "hcp": "A3"}
    found = set()
    for entry in AFLOW_PROTOTYPE_LIBRARY:
        structure = entry["snl"].structure
        numbers = [site.specie.Z for site in structure]
        name = prototype(
            Candidate(id="one", numbers=numbers, positions=structure.cart_coords, cell=structure.lattice.matrix)
        )
        if name is not None:
            assert elements.get(name, name) == entry["tags"]["strukturbericht"]
            found.add(name)
    assert found == {"fcc", "bcc", "hcp", "L1_1", "L1_2", "D1_a", "B2", "B32", "D0_3", "B_h"}


@pytest.mark.parametrize(("lattice", "a", "sizes"), [("fcc", 4.0, 4), ("bcc", 3.0, 4), ("hcp", 3.0, 2)])
def test_a_prototype_is_told_from_every_other_structure_of_its_lattice(lattice, a, sizes):
    """Among all derivative structures with so many atoms, those of one name are one crystal."""
    from icet.tools import enumerate_structures
    from pymatgen.analysis.structure_matcher import StructureMatcher

    parent = bulk("Al", lattice, a=a, **({"c": 1.63 * a} if lattice == "hcp" else {}))
    matcher, found = StructureMatcher(scale=True), {}
    for atoms in enumerate_structures(parent, range(1, sizes + 1), ["Al", "Ti"]):
        cell = Candidate(id="one", numbers=atoms.numbers, positions=atoms.positions, cell=np.asarray(atoms.cell))
        name = prototype(cell)
        if name is not None:
            first = found.setdefault(name, cell.to_pymatgen())
            assert matcher.fit_anonymous(first, cell.to_pymatgen()), name
    expected = {
        name
        for (parent, _, n), name in PROTOTYPES.items()
        if parent == lattice and sum(n) <= sizes * (2 if lattice == "hcp" else 1)
    }
    assert set(found) == expected | {lattice}


def test_lattices_and_space_groups_are_those_of_known_structures():
    salt = candidate(bulk("NaCl", "rocksalt", a=5.64))
    caesium = candidate(bulk("CsCl", "cesiumchloride", a=4.1))
    ordered = bulk("Ag", cubic=True)
    ordered.symbols[0] = "Pd"
    assert (space_group(candidate(ordered)), parent_lattice(candidate(ordered))) == ("Pm-3m", "fcc")
    assert (space_group(caesium), parent_lattice(caesium)) == ("Pm-3m", "bcc")
    assert (space_group(salt), parent_lattice(salt)) == ("Fm-3m", "other")
    assert parent_lattice(candidate(bulk("Ti"))) == "hcp"


@pytest.mark.parametrize(("atoms", "label"), [
    (bulk("NaCl", "rocksalt", a=5.64), r"$Fm\bar{3}m$"),
    (bulk("NaCl", "wurtzite", a=5.64), "$P6_{3}mc$"),
    (bulk("NaCl", "cesiumchloride", a=4.0), "B2"),
], ids=["rock salt", "wurtzite", "B2"])  # fmt: skip
def test_labels_hold_the_prototype_or_the_space_group_as_printed(atoms, label):
    assert mathtext_structure(candidate(atoms)) == label
