"""Crystals are drawn in their conventional cell."""

import base64

import numpy as np
import pytest
from ase.build import bulk
from ase.data import atomic_numbers

from hullscout.figures.crystals import COLOURS, drawn_cell, picture
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


@pytest.mark.parametrize(("atoms", "n_bonds"), [
    (bulk("Ag"), 36),  # of 14 atoms: 24 from the faces to their corners, 12 between faces that meet
    (bulk("Fe"), 8),  # from the middle to the corners, none along the edges
    (bulk("NaCl", "cesiumchloride", a=4.0), 8),
], ids=["fcc", "bcc", "B2"])  # fmt: skip
def test_bonds_are_drawn_between_nearest_neighbours_alone(atoms, n_bonds):
    drawn = drawn_cell(candidate(atoms))
    assert len(drawn.bonds) == n_bonds
    lengths = np.linalg.norm(drawn.positions[drawn.bonds[:, 0]] - drawn.positions[drawn.bonds[:, 1]], axis=1)
    np.testing.assert_allclose(lengths, lengths[0])
