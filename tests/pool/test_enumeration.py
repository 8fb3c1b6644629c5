"""Enumerated candidates: as many as the tables say, no crystal twice, at the volumes that were promised."""

from __future__ import annotations

import itertools
import sys
from collections import Counter

import numpy as np
import pytest
from ase.build import make_supercell
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from hullscout.errors import InvalidPoolError, InvalidSettingError, MissingPackageError
from hullscout.pool import Candidate, EnumerationSettings, ParentLattice, find_twins, make_pool
from hullscout.pool.enumeration import PROTOTYPE, atomic_volumes, enumerate_cells, vegard, without_known

ELEMENTS = ("Ag", "Pt")
VOLUMES = (17.0, 15.0)
FCC, BCC, HCP = ParentLattice


def cells(lattice, n_atoms, elements=ELEMENTS):
    return tuple(enumerate_cells(elements, lattice, n_atoms=n_atoms, volumes=VOLUMES))


def as_candidate(frame):
    return Candidate(id=frame.id, numbers=frame.numbers, positions=frame.positions, cell=frame.cell)


def is_closest_packed_at(frame, volume_per_atom):
    """The sites are those of fcc, whatever stands on them."""
    sites = as_candidate(frame).to_pymatgen()
    sites = sites.copy()
    for index in range(len(sites)):
        sites.replace(index, "Cu")
    return SpacegroupAnalyzer(sites, symprec=1e-5).get_space_group_number() == 225 and sites.volume / len(
        sites
    ) == pytest.approx(volume_per_atom)


@pytest.mark.parametrize("lattice", [FCC, BCC])
def test_counts_equal_the_tables_of_hart_and_forcade(lattice):
    """Phys. Rev. B 77, 224115 (2008), table for fcc and bcc; exchanged elements counted, which the table does not."""
    counts = [len(cells(lattice, n_atoms)) for n_atoms in range(1, 9)]
    assert counts == [2, 2, 6, 19, 28, 80, 104, 390]


def test_counts_up_to_an_exchange_of_the_elements_equal_the_tables_too():
    """The numbers as printed: 2, 3, 12, 14, 50 for two to six atoms."""
    for n_atoms, printed in ((2, 2), (3, 3), (4, 12), (5, 14), (6, 50)):
        straight = cells(FCC, n_atoms)
        groups = set()
        unlike = [as_candidate(frame) for frame in straight]
        exchanged = [
            Candidate(id=f.id, numbers=np.where(f.numbers == 47, 78, 47), positions=f.positions, cell=f.cell)
            for f in straight
        ]
        scaled = [_at_unit_volume(c) for c in (*unlike, *exchanged)]
        for group in find_twins(scaled):
            groups.add(frozenset(index % len(straight) for index in group))
        merged = _merge(groups)
        assert len(merged) == printed


def _at_unit_volume(candidate):
    scale = (15.0 * candidate.n_atoms / abs(np.linalg.det(candidate.cell))) ** (1 / 3)
    return Candidate(
        id=candidate.id, numbers=candidate.numbers, positions=candidate.positions * scale, cell=candidate.cell * scale
    )


def _merge(groups):
    """Groups that share a member, joined."""
    merged = []
    for group in groups:
        touching = [other for other in merged if other & group]
        merged = [other for other in merged if not other & group] + [group.union(*touching)]
    return merged


@pytest.mark.parametrize(("n_atoms", "expected"), [(2, 3), (4, 10), (6, 50)])
def test_hcp_cells_are_those_that_brute_force_finds(n_atoms, expected):
    """Every cell of every shape with every labelling, twins and larger repeats of smaller cells removed."""
    parent = HCP.primitive_cell()
    parent.set_cell(parent.cell * 15.0 ** (1 / 3), scale_atoms=True)
    found = []
    for n_cells in range(1, n_atoms // 2 + 1):
        for shape in _shapes(n_cells):
            cell = make_supercell(parent, shape)
            found += [
                Candidate(id="x", numbers=np.array(labels), positions=cell.positions, cell=np.array(cell.cell))
                for labels in itertools.product((47, 78), repeat=len(cell))
            ]
    smallest = Counter(found[group[0]].n_atoms for group in find_twins(found))
    assert len(cells(HCP, n_atoms)) == smallest[n_atoms] == expected
    assert cells(HCP, n_atoms - 1) == ()


def _shapes(n_cells):
    """Hermite normal forms of one determinant."""
    for a, c in itertools.product(range(1, n_cells + 1), repeat=2):
        if n_cells % (a * c) == 0:
            f = n_cells // (a * c)
            for b, d, e in itertools.product(range(a), range(a), range(c)):
                yield np.array([[a, 0, 0], [b, c, 0], [d, e, f]])


@pytest.mark.parametrize("lattice", list(ParentLattice))
def test_no_crystal_occurs_twice(lattice):
    frames = [frame for n_atoms in range(1, 7) for frame in cells(lattice, n_atoms)]
    assert len(find_twins([as_candidate(frame) for frame in frames])) == len(frames)
    assert len({frame.id for frame in frames}) == len(frames)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(0, 1000))
def test_sites_are_the_lattice_and_volumes_follow_vegard(n_atoms, pick):
    frames = cells(FCC, n_atoms)
    frame = frames[pick % len(frames)]
    n_first = int((frame.numbers == 47).sum())
    assert is_closest_packed_at(frame, (n_first * 17.0 + (n_atoms - n_first) * 15.0) / n_atoms)
    assert frame.energy_ev is None


def test_hcp_has_the_ideal_axial_ratio():
    pure = cells(HCP, 2)[0]
    lengths = sorted(np.linalg.norm(pure.cell, axis=1))
    assert lengths[2] / lengths[0] == pytest.approx((8 / 3) ** 0.5)


def test_ids_name_lattice_and_atoms_and_do_not_depend_on_what_else_is_made():
    wide = make_pool(EnumerationSettings(elements=ELEMENTS, lattices=(BCC, FCC), max_atoms=5))
    narrow = make_pool(EnumerationSettings(elements=ELEMENTS, lattices=(FCC,), max_atoms=4))
    by_id = {frame.id: frame for frame in wide.frames}
    for frame in narrow.frames:
        np.testing.assert_array_equal(by_id[frame.id].positions, frame.positions)
        np.testing.assert_array_equal(by_id[frame.id].numbers, frame.numbers)
    assert {"fcc-A1-0001", "fcc-B1-0001", "fcc-A1B3-0001", "bcc-A3B2-0001"} <= set(by_id)
    assert wide.counts["bcc", 5] == 28


def test_the_second_element_comes_second():
    straight, turned = cells(FCC, 3), cells(FCC, 3, elements=("Pt", "Ag"))
    for one, two in zip(straight, turned, strict=True):
        assert one.id == two.id
        np.testing.assert_array_equal(np.where(one.numbers == 47, 78, 47), two.numbers)


def test_volumes_are_tabulated_or_given():
    """Silver: 10.27 cm^3/mol over Avogadro's number; fcc silver measures 4.086^3 / 4 = 17.05 A^3."""
    silver, platinum = atomic_volumes(ELEMENTS)
    assert silver == pytest.approx(4.086**3 / 4, rel=5e-3)
    assert platinum == pytest.approx(3.924**3 / 4, rel=5e-3)
    assert atomic_volumes(ELEMENTS, {"Ag": 17.9}) == (17.9, platinum)
    assert vegard((17.0, 15.0), (1, 3)) == 15.5


PURE_SEARCH = {"elements": ELEMENTS, "lattices": (FCC,), "max_atoms": 2}


@pytest.fixture(scope="module")
def with_prototypes():
    return make_pool(EnumerationSettings(**{**PURE_SEARCH, "lattices": (FCC, BCC), "max_atoms": 4}, prototype_atoms=8))


def test_prototypes_come_both_ways_round(with_prototypes):
    ids = {frame.id for frame in with_prototypes.frames}
    a15 = [name for name in ids if name.startswith("A3B_cP8_223_c_a")]
    assert sorted(a15) == ["A3B_cP8_223_c_a-A2B6-0001", "A3B_cP8_223_c_a-A6B2-0001"]
    assert with_prototypes.counts[PROTOTYPE, 8] > 20
    assert max(len(frame.numbers) for frame in with_prototypes.frames) == 8


def test_prototypes_that_a_lattice_gave_already_are_left_out(with_prototypes):
    """L1_0, L1_1, L1_2, B2, D0_22, D0_3, B32: all are cells of fcc or bcc with up to four atoms."""
    labels = {frame.id.split("-")[0] for frame in with_prototypes.frames}
    named = {
        "AB_tP2_123_a_d", "AB_hR2_166_a_b", "AB3_cP4_221_a_c", "AB_cP2_221_b_a", "A3B_tI8_139_bd_a", "AB3_cF16_225_a_bc",
        "AB_cF16_227_a_b",
    }  # fmt: skip
    assert not named & labels
    assert with_prototypes.n_known > len(named)


def test_prototypes_stay_where_no_lattice_gave_them(with_prototypes):
    prototypes = [frame for frame in with_prototypes.frames if not frame.id.startswith(("fcc", "bcc"))]
    assert without_known(prototypes, []) == tuple(prototypes)
    alone = [frame for frame in prototypes if frame.id.startswith("AB_cF8_216")]
    assert len(alone) == 1


def test_molecules_and_frameworks_are_no_alloys(with_prototypes):
    assert not [frame for frame in with_prototypes.frames if frame.id.startswith("AB_cP8_198_a_a-A4B4-0003")]
    assert with_prototypes.n_open >= 6


def test_prototypes_have_the_volume_of_vegard(with_prototypes):
    volumes = atomic_volumes(ELEMENTS)
    for frame in with_prototypes.frames:
        n_first = int((frame.numbers == 47).sum())
        expected = vegard(volumes, (n_first, len(frame.numbers) - n_first))
        assert abs(np.linalg.det(frame.cell)) / len(frame.numbers) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"elements": ("Ag", "Ag")}, InvalidPoolError, "two to five different chemical elements"),
        ({"elements": ("Ag", "Xy")}, InvalidPoolError, r"found elements=\('Ag', 'Xy'\)"),
        ({"elements": ("Ag", "At")}, InvalidSettingError, "molar volume of At, found none.*--volume At="),
        ({"lattices": ()}, InvalidSettingError, "one or more different lattices, found none"),
        ({"lattices": (FCC, FCC)}, InvalidSettingError, "different lattices, found fcc, fcc"),
        ({"max_atoms": 0}, InvalidSettingError, "max_atoms from 1 to 12 for fcc, found 0"),
        ({"max_atoms": 13}, InvalidSettingError, "max_atoms from 1 to 12 for fcc, found 13"),
        ({"lattices": (HCP,), "max_atoms": 1}, InvalidSettingError, "max_atoms from 2 to 12 for hcp, found 1"),
        ({"prototype_atoms": 1}, InvalidSettingError, "found prototype_atoms=1"),
        ({"volumes": {"Ag": -1.0}}, InvalidSettingError, "volumes above 0 A.3 per atom for Ag or Pt, found Ag=-1"),
        ({"volumes": {"Ag": float("nan")}}, InvalidSettingError, "found Ag=nan"),
        ({"volumes": {"Au": 17.0}}, InvalidSettingError, "for Ag or Pt, found Au=17"),
    ],
)
def test_an_impossible_recipe_is_refused_before_any_cost(changes, error, message):
    with pytest.raises(error, match=message):
        EnumerationSettings(**{**PURE_SEARCH, **changes})


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "icet.tools", None)
    with pytest.raises(MissingPackageError, match=r"package icet.*'hullscout\[enumerate\]'.*a C\+\+ compiler"):
        cells(FCC, 1)
