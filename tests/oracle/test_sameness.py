"""A structure is the same however it is written down, and another one where its shape or its atoms went too far."""

import gzip

import numpy as np
import pytest
from ase.io import read
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from hullscout.oracle import Calculated, HandoffSettings, change_between, judge
from hullscout.pool import Candidate

LIMITS = HandoffSettings(max_strain=0.1, max_displacement=0.25)
with gzip.open(ROOT / "campaigns" / "cuau-emt" / "cuau-cells.extxyz.gz", "rt") as file:
    CELLS = read(file, ":", format="extxyz")


def candidate(atoms):
    return Candidate(id="x", numbers=atoms.numbers, positions=atoms.positions, cell=np.array(atoms.cell))


@given(
    place=st.integers(0, len(CELLS) - 1),
    shears=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.sampled_from([-1, 1])), max_size=4),
    seed=st.integers(0, 2**32 - 1),
    scale=st.floats(0.9, 1.1),
)
@settings(max_examples=60, deadline=None)
def test_other_cell_vectors_rotation_order_shift_and_volume_are_no_change(place, shears, seed, scale):
    rng = np.random.default_rng(seed)
    start = CELLS[place]
    end = start.copy()
    cell = np.array(end.cell)
    for row, other, sign in shears:
        if row != other:
            cell[row] += sign * cell[other]
    end.set_cell(cell)
    end.positions += rng.uniform(-5, 5, 3)
    end.rotate(rng.uniform(0, 360), rng.normal(size=3), rotate_cell=True)
    end.set_cell(end.cell * scale, scale_atoms=True)
    end.wrap()
    change = change_between(candidate(start), candidate(end[rng.permutation(len(end))]))
    assert change.strain == pytest.approx(0, abs=1e-6)
    assert change.displacement == pytest.approx(0, abs=1e-6)
    assert change.volume_ratio == pytest.approx(scale**3)


def test_small_relaxations_in_other_cell_vectors_are_measured():
    start = next(atoms for atoms in CELLS if atoms.info["id"] == "fcc-A1B1-0002")
    end = start.copy()
    end.set_cell(end.cell @ np.diag([1.02, 1.0, 0.99]), scale_atoms=True)
    straight = change_between(candidate(start), candidate(end))
    end.set_cell(np.array([[1, 0, 0], [1, 1, 0], [0, -1, 1]]) @ end.cell)
    turned = change_between(candidate(start), candidate(end))
    assert straight.strain > 0.01
    assert (turned.strain, turned.displacement) == pytest.approx((straight.strain, straight.displacement), abs=1e-9)


def test_no_two_cells_of_a_pool_count_as_the_same():
    """Unrelaxed derivative cells of one lattice differ by where the atoms are, or by the shape of the cell."""
    same = [
        (one.info["id"], other.info["id"])
        for place, one in enumerate(CELLS)
        for other in CELLS[:place]
        if sorted(one.numbers) == sorted(other.numbers)
        and isinstance(judge(candidate(one), Calculated(energy_ev=0.0, relaxed=candidate(other)), LIMITS), Calculated)
    ]
    assert same == []


@given(shear=st.tuples(*[st.integers(-1000, 1000)] * 2), place=st.integers(0, len(CELLS) - 1))
@settings(max_examples=20, deadline=None)
def test_a_crystal_that_comes_back_in_a_cell_sheared_a_thousand_times_is_unchanged(shear, place):
    start = CELLS[place]
    end = start.copy()
    times = np.eye(3, dtype=int)
    times[1, 0], times[2, 0] = shear
    end.set_cell(times @ end.cell.array)
    for one, other in ((start, end), (end, start)):
        change = change_between(candidate(one), candidate(other))
        assert (change.strain, change.displacement) == pytest.approx((0, 0), abs=1e-6)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("length", [20.0, 60.0, 120.0])
def test_a_crystal_that_comes_back_as_a_needle_or_a_plate_is_another_without_a_search_for_all_its_cells(axis, length):
    start = next(atoms for atoms in CELLS if len(atoms) == 5)
    edges = np.full(3, np.sqrt(80.0 / length))
    edges[axis] = length
    end = start.copy()
    end.set_cell(np.diag(np.maximum(edges, 0.6)), scale_atoms=True)
    change = change_between(candidate(start), candidate(end))
    assert change.strain > LIMITS.max_strain


def test_what_went_too_far_by_little_is_told_with_the_digits_that_say_so():
    start, atoms = candidate(CELLS[0]), CELLS[0].copy()
    atoms.set_cell(atoms.cell.array @ np.diag([1.2, 1.0, 1.0]), scale_atoms=True)
    end = candidate(atoms)
    assert change_between(start, end).strain == pytest.approx(0.1538, abs=1e-4)
    for most, said in ((0.15, "strain 0.154, expected at most 0.15 "), (0.1, "strain 0.15, expected at most 0.1 ")):
        outcome = judge(start, Calculated(energy_ev=0.0, relaxed=end), HandoffSettings(max_strain=most))
        assert said in outcome.sentence
