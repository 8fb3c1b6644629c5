"""Structures are named by lattice and prototype, whatever strain and relaxation did to them, and nothing else is."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal

from hullscout.figures.prototypes import PROTOTYPES, mathtext_structure, parent_lattice, prototype, space_group
from hullscout.pool import Candidate

HEXAGONAL, RIGHT = (90, 90, 120), (90, 90, 90)


def candidate(atoms):
    return Candidate(id="a", numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell.array)


def layered(c_over_a):
    """L1_0 in the cube of fcc, drawn out along c."""
    atoms = bulk("Au", cubic=True)
    atoms.symbols[[z < 0.1 for z in atoms.positions[:, 2]]] = "Cu"
    atoms.set_cell(atoms.cell.array * [[1], [1], [c_over_a]], scale_atoms=True)
    return atoms


def stacked(layers):
    """Layers of fcc along c, A of silver and B of palladium."""
    cell = bulk("Ag", cubic=True).repeat((1, 1, len(layers) // 2))
    heights = np.rint(cell.positions[:, 2] / 2.045).astype(int)
    cell.symbols = [{"A": "Ag", "B": "Pd"}[layers[height]] for height in heights]
    return cell


def of_pt8ti():
    return crystal(
        ["Ti", "Pt", "Pt"],
        [(0, 0, 0), (1 / 3, 0, 0), (1 / 3, 1 / 3, 0)],
        spacegroup=139,
        cellpar=[8.3, 8.3, 3.9, *RIGHT],
    )


def sigma(kinds):
    """The sigma phase of Cr-Fe, by the elements on its five sites."""
    sites = [(0, 0, 0), (0.3986, 0.3986, 0), (0.4635, 0.1312, 0), (0.7393, 0.0661, 0), (0.1823, 0.1823, 0.252)]
    return crystal(kinds, sites, spacegroup=136, cellpar=[8.8, 8.8, 4.56, *RIGHT])


def moved(atoms, seed=0):
    """Each atom by 0.1 A in a direction of its own, in a larger cell where there are few."""
    atoms = atoms.repeat(2 if len(atoms) < 5 else 1)
    away = np.random.default_rng(seed).normal(size=(len(atoms), 3))
    atoms.positions += 0.1 * away / np.linalg.norm(away, axis=1)[:, None]
    return atoms


KNOWN = {
    "L1_0": layered(0.93),
    "L1_2": crystal(["Au", "Cu"], [(0, 0, 0), (0, 0.5, 0.5)], spacegroup=221, cellpar=[3.75] * 3 + [*RIGHT]),
    "D0_22": crystal(
        ["Ti", "Al", "Al"], [(0, 0, 0), (0, 0, 0.5), (0, 0.5, 0.25)], spacegroup=139, cellpar=[3.85, 3.85, 8.6, *RIGHT]
    ),
    "D1_a": crystal(["Mo", "Ni"], [(0, 0, 0), (0.2, 0.4, 0)], spacegroup=87, cellpar=[5.72, 5.72, 3.56, *RIGHT]),
    "MoPt_2": crystal(["Mo", "Pt"], [(0, 0, 0), (0, 0.35, 0)], spacegroup=71, cellpar=[2.75, 8.24, 3.92, *RIGHT]),
    "B2": bulk("CsCl", "cesiumchloride", a=3.0),
    "D0_3": crystal(
        ["Al", "Fe", "Fe"], [(0, 0, 0), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)], spacegroup=225, cellpar=[5.8] * 3 + [*RIGHT]
    ),
    "C11_b": crystal(["Mo", "Si"], [(0, 0, 0), (0, 0, 0.335)], spacegroup=139, cellpar=[3.2, 3.2, 7.85, *RIGHT]),
    "D0_19": crystal(
        ["Sn", "Ni"], [(1 / 3, 2 / 3, 0.25), (0.83, 0.66, 0.25)], spacegroup=194, cellpar=[5.29, 5.29, 4.24, *HEXAGONAL]
    ),
    "D0_24": crystal(
        ["Ti", "Ti", "Ni", "Ni"], [(0, 0, 0), (1 / 3, 2 / 3, 0.75), (0.5, 0, 0), (0.835, 0.67, 0.25)],
        spacegroup=194, cellpar=[5.1, 5.1, 8.3, *HEXAGONAL],
    ),
    "A15": crystal(["Sn", "Nb"], [(0, 0, 0), (0.25, 0, 0.5)], spacegroup=223, cellpar=[5.29] * 3 + [*RIGHT]),
    "C14": crystal(
        ["Mg", "Zn", "Zn"], [(1 / 3, 2 / 3, 0.062), (0, 0, 0), (0.8305, 0.661, 0.25)],
        spacegroup=194, cellpar=[5.22, 5.22, 8.57, *HEXAGONAL],
    ),
    "C15": crystal(["Mg", "Cu"], [(0, 0, 0), (0.625, 0.625, 0.625)], spacegroup=227, cellpar=[7.05] * 3 + [*RIGHT]),
    "C36": crystal(
        ["Mg", "Mg", "Ni", "Ni", "Ni"],
        [(0, 0, 0.094), (1 / 3, 2 / 3, 0.844), (1 / 3, 2 / 3, 0.125), (0.5, 0, 0), (0.164, 0.328, 0.25)],
        spacegroup=194, cellpar=[4.824, 4.824, 15.826, *HEXAGONAL],
    ),
    "sigma": sigma(["Fe", "Cr", "Cr", "Fe", "Cr"]),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_a_structure_is_named_as_it_is_and_with_every_atom_a_tenth_of_an_angstrom_away(name):
    assert prototype(candidate(KNOWN[name])) == name
    assert [prototype(candidate(moved(KNOWN[name], seed))) for seed in range(3)] == [name] * 3


@pytest.mark.parametrize("name", ["L1_2", "D0_22", "D1_a", "B2", "D0_3", "D0_19", "C15", "A15", "sigma"])
def test_a_strain_of_some_percent_leaves_the_name(name):
    atoms = KNOWN[name].copy()
    atoms.set_cell(atoms.cell.array @ (np.diag([1.02, 0.99, 1.01]) + 0.01 * np.eye(3, k=1)), scale_atoms=True)
    assert prototype(candidate(atoms)) == name


@pytest.mark.parametrize("c_over_a", [0.85, 0.9, 0.93, 1.0, 1.05, 1.1])
def test_layers_are_named_so_whatever_the_cell_is_drawn_out(c_over_a):
    assert (prototype(candidate(layered(c_over_a))), parent_lattice(candidate(layered(c_over_a)))) == ("L1_0", "fcc")
    assert prototype(candidate(moved(layered(c_over_a)))) in ({"L1_0", "B2"} if c_over_a == 0.85 else {"L1_0"})


def test_between_fcc_and_bcc_the_nearer_one_decides_and_half_way_is_the_fourth_root_of_one_half():
    half_way = 0.5**0.25
    names = [
        prototype(candidate(layered(c_over_a))) for c_over_a in (0.5**0.5, 0.76, half_way - 0.005, half_way + 0.005)
    ]
    assert names == ["B2", "B2", "B2", "L1_0"]


def test_sigma_is_told_by_its_sites_whatever_their_order():
    assert prototype(candidate(sigma(["Cr", "Cr", "Fe", "Fe", "Fe"]))) == "sigma"
    alpha_like = sigma(["Cr"] * 5)
    assert prototype(candidate(alpha_like)) == "A_b"


@pytest.mark.parametrize(("atoms", "lattice"), [
    (bulk("Zn"), "hcp"),
    (bulk("Pa", "bct", a=3.93, c=3.24), "bcc"),
    (bulk("In", "bct", a=3.25, c=4.95), "fcc"),
    (bulk("Si"), "other"),
    (bulk("Po", "sc", a=3.35), "other"),
    (bulk("NaCl", "rocksalt", a=5.64), "other"),
    (KNOWN["C15"], "other"),
    (KNOWN["A15"], "other"),
    (KNOWN["sigma"], "other"),
    (Atoms("Ag8", np.random.default_rng(1).uniform(0, 5.5, (8, 3)), cell=[5.5] * 3, pbc=True), "other"),
], ids=["Zn", "Pa", "In", "diamond", "simple cubic", "B1", "C15", "A15", "sigma", "any places"])  # fmt: skip
def test_a_lattice_is_that_of_the_sites_or_none(atoms, lattice):
    assert parent_lattice(candidate(atoms)) == lattice


@pytest.mark.parametrize(("lattice", "n"), [("fcc", 4), ("bcc", 4), ("hcp", 3)])
def test_a_large_cell_of_a_lattice_is_found_with_every_atom_moved(lattice, n):
    atoms = bulk("Al", lattice, a=2.9 if lattice != "fcc" else 4.05).repeat(n)
    assert len(atoms) > 50
    assert parent_lattice(candidate(moved(atoms))) == lattice


def test_what_is_none_of_them_has_no_name():
    """Orders of fcc that have none, half of the atoms a long way off, and sites of no crystal."""
    rng = np.random.default_rng(0)
    torn = bulk("Ag", cubic=True).repeat((2, 1, 1))
    torn.symbols[:4] = "Pd"
    torn.positions[::2] += rng.normal(0, 0.6, (4, 3))
    gas = Atoms("Ag4Pd4", rng.uniform(0, 5.5, (8, 3)), cell=[5.5, 5.6, 5.7], pbc=True)
    assert [prototype(candidate(atoms)) for atoms in (stacked("AABB"), stacked("AAABBB"), torn, gas)] == [None] * 4


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
    assert named(bulk("NaCl", "rocksalt", a=5.64)) == "B1"
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
    """But where the topology is that of another, of higher symmetry."""
    from pymatgen.analysis.prototypes import AFLOW_PROTOTYPE_LIBRARY

    lattices, others, n_named = {"fcc": "A1", "bcc": "A2", "hcp": "A3"}, {}, 0
    for entry in AFLOW_PROTOTYPE_LIBRARY:
        structure, tags = entry["snl"].structure, entry["tags"]
        if structure.composition.anonymized_formula not in {"A", "AB", "AB3"} or len(structure) > 12:
            continue
        name = prototype(Candidate.from_structure(structure, id="one"))
        n_named += 1
        expected = {
            str(tags["strukturbericht"]).strip('"'),
            f"{structure.composition.reduced_formula} type",
            tags["aflow"],
        }
        if lattices.get(name, name) not in expected:
            others[tags["aflow"]] = name
    assert others == {"AB3_tI16_140_b_ah": "L1_2"}
    assert n_named > 80


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
        for (its_parent, _, n), name in PROTOTYPES.items()
        if its_parent == lattice and sum(n) <= sizes * (2 if lattice == "hcp" else 1)
    }
    assert expected | {lattice} <= set(found)


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
    (stacked("AABB"), r"$P4/nmm$"),
    (of_pt8ti(), "TiPt$_{8}$ type"),
    (bulk("NaCl", "cesiumchloride", a=4.0), "B2"),
    (layered(1.0), "L1$_{0}$"),
], ids=["space group", "crystal", "B2", "L1_0"])  # fmt: skip
def test_labels_hold_the_prototype_or_the_space_group_as_printed(atoms, label):
    assert mathtext_structure(candidate(atoms)) == label
