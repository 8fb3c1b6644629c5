"""Enumerated candidates of three elements and more: all assignments, no crystal twice, within limits where there are any."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from ase.build import make_supercell

from hullscout.errors import InvalidPoolError, InvalidSettingError
from hullscout.pool import Candidate, EnumerationSettings, ParentLattice, find_twins, make_pool
from hullscout.pool.enumeration import PROTOTYPE, atomic_volumes, enumerate_cells, prototype_cells, without_known
from hullscout.pool.limits import is_within

ELEMENTS = ("Cu", "Ag", "Au")
VOLUMES = (11.8, 17.0, 16.9)
FCC, BCC, HCP = ParentLattice


def cells(lattice, n_atoms, elements=ELEMENTS):
    volumes = (11.8, 17.0, 16.9, 14.2, 15.1)[: len(elements)]
    return tuple(enumerate_cells(elements, lattice, n_atoms=n_atoms, volumes=volumes))


def candidates(frames):
    return [Candidate(id=f.id, numbers=f.numbers, positions=f.positions, cell=f.cell) for f in frames]


def shapes(n_cells):
    """Hermite normal forms of one determinant."""
    for a, c in itertools.product(range(1, n_cells + 1), repeat=2):
        if n_cells % (a * c) == 0:
            f = n_cells // (a * c)
            for b, d, e in itertools.product(range(a), range(a), range(c)):
                yield np.array([[a, 0, 0], [b, c, 0], [d, e, f]])


@pytest.mark.parametrize(("lattice", "n_atoms"), [(FCC, 3), (HCP, 4)])
def test_ternary_cells_are_those_that_brute_force_finds(lattice, n_atoms):
    """Every cell of every shape with every labelling, at one volume, twins and larger repeats of smaller cells removed."""
    parent = lattice.primitive_cell()
    parent.set_cell(parent.cell * 15.0 ** (1 / 3), scale_atoms=True)
    found = []
    for n_cells in range(1, n_atoms // lattice.n_sites + 1):
        for shape in shapes(n_cells):
            cell = make_supercell(parent, shape)
            found += [
                Candidate(id="x", numbers=np.array(labels), positions=cell.positions, cell=np.array(cell.cell))
                for labels in itertools.product((29, 47, 79), repeat=len(cell))
            ]
    smallest = Counter(found[group[0]].n_atoms for group in find_twins(found))
    assert len(cells(lattice, n_atoms)) == smallest[n_atoms]


@pytest.mark.parametrize("elements", [ELEMENTS, (*ELEMENTS, "Pd", "Pt")])
def test_the_subsystems_are_those_of_their_elements_alone(elements):
    """Cells of two of the elements are those that two elements have, and each assignment is there as often as any other."""
    frames = cells(FCC, 4, elements)
    by_elements = Counter(frozenset(frame.numbers.tolist()) for frame in frames)
    n_binary, n_ternary = len(cells(FCC, 4, ("Cu", "Ag"))), len(cells(FCC, 4)) - 3 * len(cells(FCC, 4, ("Cu", "Ag")))
    counts = {size: {n for some, n in by_elements.items() if len(some) == size} for size in (2, 3)}
    assert counts == {2: {n_binary}, 3: {n_ternary}}
    assert len({frame.id for frame in frames}) == len(frames)


def test_no_ternary_crystal_occurs_twice_and_volumes_follow_vegard():
    made = make_pool(
        EnumerationSettings(
            elements=ELEMENTS, lattices=(FCC, BCC), max_atoms=3, volumes=dict(zip(ELEMENTS, VOLUMES, strict=True))
        )
    )
    assert len(find_twins(candidates(made.frames))) == len(made.frames) == 2 * (3 + 6 + 21)
    numbers = np.array([29, 47, 79])
    for frame in made.frames:
        share = (frame.numbers[:, None] == numbers).mean(axis=0)
        assert abs(np.linalg.det(frame.cell)) / len(frame.numbers) == pytest.approx(share @ VOLUMES)
    ids = {frame.id for frame in made.frames}
    assert {"fcc-A1-0001", "fcc-C1-0001", "fcc-A1B1C1-0001", "bcc-A1C1-0001"} <= ids


@pytest.fixture(scope="module")
def prototypes():
    return prototype_cells(ELEMENTS, max_atoms=5, volumes=atomic_volumes(ELEMENTS))[0]


def test_ternary_prototypes_come_all_ways_round(prototypes):
    perovskite = sorted(frame.id for frame in prototypes if frame.id.startswith("AB3C_cP5_221_a_c_b"))
    assert perovskite == sorted(
        f"AB3C_cP5_221_a_c_b-{atoms}-000{n}" for atoms in ("A1B1C3", "A1B3C1", "A3B1C1") for n in (1, 2)
    )
    b2 = {frame.id for frame in prototypes if frame.id.startswith("AB_cP2_221_b_a")}
    assert b2 == {f"AB_cP2_221_b_a-{atoms}-000{n}" for atoms in ("A1B1", "A1C1", "B1C1") for n in (1, 2)}


def test_equivalent_assignments_are_one(prototypes):
    """Heusler: the two elements that occur once may be exchanged; perovskite: they may not; half-Heusler: two of three may."""
    new = without_known(prototypes, [])
    counts = Counter(frame.id.split("-")[0] for frame in new)
    shown = {name: counts[name] for name in ("AB2C_cF16_225_a_c_b", "AB3C_cP5_221_a_c_b", "ABC_cF12_216_b_c_a")}
    assert shown == {"AB2C_cF16_225_a_c_b": 3, "AB3C_cP5_221_a_c_b": 6, "ABC_cF12_216_b_c_a": 3}
    assert len(find_twins(candidates(new))) == len(new)


def test_limits_keep_ids_and_pure_elements():
    recipe = {"elements": ELEMENTS, "lattices": (FCC,), "max_atoms": 4, "prototype_atoms": 3}
    whole = make_pool(EnumerationSettings(**recipe))
    some = make_pool(EnumerationSettings(**recipe, limits={"Cu": (0.25, 0.5), "Au": (0.0, 1 / 3)}))
    by_id = {frame.id: frame for frame in whole.frames}
    kept = set()
    for frame in some.frames:
        np.testing.assert_array_equal(by_id[frame.id].positions, frame.positions)
        n_cu, n_ag, n_au = ((frame.numbers == number).sum() / len(frame.numbers) for number in (29, 47, 79))
        assert max(n_cu, n_ag, n_au) == 1.0 or (0.25 <= n_cu <= 0.5 and n_au <= 1 / 3)
        kept.add(frame.id)
    n_within = sum(
        0.25 <= np.mean(frame.numbers == 29) <= 0.5 and np.mean(frame.numbers == 79) <= 1 / 3 for frame in whole.frames
    )
    assert len(kept) == n_within + 3
    assert some.n_beyond > len(whole.frames) - len(some.frames) > 0  # prototypes that a lattice gives are among them
    assert {source for source, _ in some.counts} == {"fcc", PROTOTYPE}


def test_a_fraction_at_a_limit_is_within():
    assert is_within({"Cu": (0.333333333, 0.5)}, ELEMENTS, np.array([[1, 1, 1], [1, 0, 1], [1, 1, 2]])).tolist() == [
        True,
        True,
        False,
    ]


PURE_SEARCH = {"elements": ELEMENTS, "lattices": (FCC,), "max_atoms": 2}


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"elements": ("Cu", "Ag", "Au", "Pd", "Pt", "Ni")},
            InvalidPoolError,
            "two to five different chemical elements",
        ),
        ({"elements": ("Cu", "Ag", "Cu")}, InvalidPoolError, "two to five different chemical elements"),
        ({"limits": {"Pd": (0, 1)}}, InvalidSettingError, "limits of Cu or Ag or Au, found some of 'Pd'"),
        ({"limits": {"Cu": (0.5, 0.2)}}, InvalidSettingError, r"the lower one first, found \[0.5, 0.2\]"),
        ({"limits": {"Cu": (0.0, float("nan"))}}, InvalidSettingError, "two atomic fractions from 0 to 1"),
        ({"limits": {"Cu": (0.6, 1), "Ag": (0.6, 1)}}, InvalidSettingError, "found Cu 0.6 to 1, Ag 0.6 to 1: .*add up"),
        (
            {"limits": {"Cu": (0, 0.2), "Ag": (0, 0.3), "Au": (0, 0.4)}},
            InvalidSettingError,
            "some composition is within",
        ),
        ({"volumes": {"Pd": 14.0}}, InvalidSettingError, "for Cu or Ag or Au, found Pd=14"),
        (
            {"elements": (*ELEMENTS, "Pd", "Pt"), "max_atoms": 8},
            InvalidSettingError,
            r"at most 50000 cells, found some \d+ or more of fcc\. Take a smaller --max-atoms",
        ),
    ],
)
def test_an_impossible_recipe_is_refused_before_any_cost(changes, error, message):
    with pytest.raises(error, match=message):
        EnumerationSettings(**{**PURE_SEARCH, **changes})


def test_limits_allow_more_cells_to_be_looked_at():
    recipe = {"elements": (*ELEMENTS, "Pd", "Pt"), "lattices": (FCC,), "max_atoms": 8}
    assert EnumerationSettings(**recipe, limits={"Cu": (0.8, 1.0)}).max_atoms == 8
    with pytest.raises(InvalidSettingError, match="at most 500000 cells"):
        EnumerationSettings(**{**recipe, "max_atoms": 9}, limits={"Cu": (0.8, 1.0)})


@pytest.mark.parametrize(("lattice", "n_atoms"), [(FCC, 5), (HCP, 4)])
def test_the_least_number_of_cells_is_never_above_what_there_is(lattice, n_atoms):
    assert 0 < lattice.least_cells(n_atoms, 3) <= len(cells(lattice, n_atoms))


def test_more_candidates_than_a_pool_may_hold_are_refused_while_they_are_made():
    with pytest.raises(InvalidSettingError, match="at most 20 cells, found more"):
        make_pool(EnumerationSettings(elements=ELEMENTS, lattices=(FCC,), max_atoms=3, max_candidates=20))
