"""Compositions between ends: elements or compounds, measured so that a hull over them is the hull over atomic fractions."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.phase_diagram import CompoundPhaseDiagram
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedEntry

from hullscout.errors import InvalidPoolError, InvalidSettingError
from hullscout.hull import end_energies, formation_energy, lower_hull
from hullscout.pool import CompositionAxis, Frames, Pool, WithoutEnergy, axis_of, build_pool
from hullscout.pool.growth import grown, growth_of
from hullscout.pool.pool import NO_COLUMNS, Faulty

ZR_ZRN = axis_of(("Zr", "N"), ("Zr", "ZrN"))


def test_an_end_has_exactly_one_and_zero_and_weights_are_shares_of_the_atoms():
    found = ZR_ZRN.coordinates(np.array([[3, 0], [2, 2], [2, 1], [4, 1]]))
    assert found[:2].tolist() == [[1.0, 0.0], [0.0, 1.0]]
    np.testing.assert_allclose(found[2:], [[1 / 3, 2 / 3], [3 / 5, 2 / 5]])  # Zr2N: Zr + ZrN; Zr4N: 3 Zr + ZrN


def test_elements_as_ends_are_their_atomic_fractions():
    counts = np.array([[1, 2, 3], [5, 0, 0], [0, 1, 1]])
    plain, named = axis_of(("Cu", "Ag", "Au")), axis_of(("Cu", "Ag", "Au"), ("Cu", "Ag", "Au"))
    np.testing.assert_array_equal(plain.coordinates(counts), counts / counts.sum(axis=1, keepdims=True))
    np.testing.assert_array_equal(plain.coordinates(counts), named.coordinates(counts))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.floats(-3, 3)), min_size=1, max_size=12))
def test_the_hull_between_compounds_is_that_of_pymatgen(made):
    """Of mixtures of CoO2 and LiCoO2, and energies of any size: the same vertices, the same formation energies per atom."""
    axis = axis_of(("Li", "Co", "O"), ("CoO2", "LiCoO2"))
    mixtures = [(1, 0, -5.0), (0, 1, -6.5), *((a, b, e) for a, b, e in made if a + b)]
    counts = np.array([[b, a + b, 2 * (a + b)] for a, b, _ in mixtures])
    per_atom = np.array([energy for *_, energy in mixtures])
    entries = [
        ComputedEntry(Composition({"Li": li, "Co": co, "O": o}), energy * (li + co + o), entry_id=str(place))
        for place, ((li, co, o), energy) in enumerate(zip(counts.tolist(), per_atom.tolist(), strict=True))
    ]
    diagram = CompoundPhaseDiagram(
        entries, [Composition("CoO2"), Composition("LiCoO2")], normalize_terminal_compositions=True
    )
    fractions = axis.coordinates(counts)[:, 1:]
    formation = formation_energy(fractions, per_atom, ends_ev_per_atom=end_energies(fractions, per_atom))
    hull = lower_hull(fractions, formation)
    stable = {entry.original_entry.entry_id for entry in diagram.stable_entries}
    lowest = {round(float(x), 9): float(e) for x, e in zip(hull.fractions[:, 0], hull.energy_ev_per_atom, strict=True)}
    theirs = {round(float(fractions[int(name), 0]), 9): float(formation[int(name)]) for name in stable}
    # pymatgen counts formula units, so that a point within rounding of a tie line may be a vertex in one and not in the other
    for x in lowest.keys() ^ theirs.keys():
        assert float(hull.energy_at([x])[0]) == pytest.approx((lowest | theirs)[x], abs=1e-6)
    for x in lowest.keys() & theirs.keys():
        assert lowest[x] == pytest.approx(theirs[x], abs=1e-9)


def test_names_and_sentences():
    assert (ZR_ZRN.names, ZR_ZRN.labels) == (("Zr", "ZrN"), ("pure Zr", "ZrN"))
    assert axis_of(("Cu", "Au")).labels == ("pure Cu", "pure Au")


@pytest.mark.parametrize(
    ("elements", "ends", "message"),
    [
        (("Zr", "N"), ("ZrN", "Zr2N2"), "linearly independent, found Zr2N2, which is made of ZrN"),
        (("Cu", "Ag", "Au"), ("CuAg", "Au", "CuAgAu"), "found CuAgAu, which is made of CuAg and Au. Leave one out"),
        (("Cu", "Ag", "Au"), ("Cu", "Au"), "found Ag in none: no candidate"),
        (("Zr", "N"), ("Zr",), "at least two ends, and no more than the elements Zr, N, found 1"),
        (("Zr", "N"), ("Zr", "N", "ZrN"), "found 3: Zr, N, ZrN. More can never be independent"),
        (("Zr", "N"), ("Zr", "ZrC"), "found C in 'ZrC'. Name it among the elements"),
        (("Zr", "N"), ("X2", "ZrN"), "hold atoms, found 'X2', which is of vacancies alone"),
        (("Zr", "N"), ("Zr0.5N", "Zr"), "whole numbers, for example Zr or ZrN, found 'Zr0.5N'"),
        (("Zr", "N"), ("Zr0N", "Zr"), "found 'Zr0N'"),
    ],
)
def test_ends_that_make_no_axis_are_refused(elements, ends, message):
    with pytest.raises(InvalidSettingError, match=message):
        axis_of(elements, ends)


def cell(symbols, energy=None, a=4.0):
    """A crystal in a cubic cell: sites along the diagonal."""
    atoms = bulk("Cu", "fcc", a=a, cubic=True)[: len(symbols)] if len(symbols) <= 4 else None
    atoms = Atoms(symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)
    atoms.info = {"id": "".join(symbols), **({} if energy is None else {"energy": energy})}
    return atoms


CELLS = [cell(["Zr"]), cell(["Zr", "N"]), cell(["Zr", "Zr", "N"]), cell(["Zr", "Zr", "Zr", "N"])]


def test_a_pool_between_compounds_has_their_fractions_and_names():
    pool = Pool.of(CELLS, ("Zr", "N"), ends=("Zr", "ZrN"))
    assert dict(zip(pool.ids, pool.x.tolist(), strict=True)) == {"Zr": 0.0, "ZrN": 1.0, "ZrZrN": 2 / 3, "ZrZrZrN": 0.5}
    assert (pool.end_names, pool.fraction_names, pool.report.n_pure) == (("Zr", "ZrN"), ("x",), (1, 1))


def test_a_candidate_outside_is_refused_by_name_or_left_out_and_said():
    frames = Frames.of([*CELLS, cell(["Zr", "N", "N"]), cell(["N"])])
    with pytest.raises(InvalidPoolError, match=r"ZrNN.*composition ZrN2 is outside of Zr-ZrN") as error:
        build_pool(frames, ZR_ZRN, without_energy=WithoutEnergy.KEEP)
    assert "composition N is outside of Zr-ZrN: expected a mixture of the ends" in str(error.value)
    pool = build_pool(frames, ZR_ZRN, without_energy=WithoutEnergy.KEEP, faulty=Faulty.LEAVE_OUT)
    assert len(pool) == 4
    assert len(pool.report.faults) == 2


def test_an_end_without_a_structure_is_named():
    with pytest.raises(InvalidPoolError, match="no structure of ZrN among 2 usable frames"):
        Pool.of([CELLS[0], CELLS[2]], ("Zr", "N"), ends=("Zr", "ZrN"))
    with pytest.raises(InvalidPoolError, match="no structure of pure Zr among 1 usable frames"):
        Pool.of(CELLS[1:2], ("Zr", "N"), ends=("Zr", "ZrN"))


def test_limits_leave_candidates_out_and_keep_the_ends():
    axis = axis_of(("Zr", "N"), ("Zr", "ZrN"), {"N": (0.0, 0.3)})
    pool = build_pool(Frames.of(CELLS), axis, without_energy=WithoutEnergy.KEEP)
    assert pool.ids == ("Zr", "ZrN", "ZrZrZrN")
    assert (
        "Limits: N 0 to 0.3. 1 frame is beyond and left out: the hull is that of the others. What is ZrN is beyond, too, and "
        "stays: energies are relative to it."
    ) in pool.report.notes


def test_limits_that_leave_nothing_but_ends_are_refused():
    axis = axis_of(("Zr", "N"), ("Zr", "ZrN"), {"N": (0.4, 0.45)})
    with pytest.raises(InvalidPoolError, match="no compound is within the limits N"):
        build_pool(Frames.of(CELLS), axis, without_energy=WithoutEnergy.KEEP)


def test_what_is_added_is_between_the_ends_and_within_the_limits():
    axis = axis_of(("Zr", "N"), ("Zr", "ZrN"), {"N": (0.0, 0.3)})
    known = Frames.of(CELLS)

    def build(frames):
        return build_pool(frames, axis, without_energy=WithoutEnergy.KEEP, faulty=Faulty.LEAVE_OUT)

    pool = build(known)
    fresh = [cell(["Zr", "Zr", "Zr", "N"], a=4.4), cell(["N", "Zr", "N"], a=4.4), cell(["N", "Zr"], a=4.4)]
    for atoms, name in zip(fresh, ("wide", "outside", "beyond"), strict=True):
        atoms.info["id"] = name
    given = Frames.of([*fresh[:2], cell(["Zr", "Zr", "N"], a=4.2)])
    growth = growth_of(pool, known, given, axis=axis, needs_energy=False, faulty=Faulty.LEAVE_OUT, build=build)
    assert growth.ids == ("wide",)
    assert len(growth.faults) == 2
    assert "outside of Zr-ZrN" in growth.faults[0]
    assert "beyond the limits" in growth.faults[1]
    more = grown(pool, given.frames[:1], source=given, columns=NO_COLUMNS, sentence="One more.", suspects=())
    assert (more.ends, more.x[-1]) == (("Zr", "ZrN"), 0.5)
    with pytest.raises(InvalidPoolError, match="beyond the limits"):
        growth_of(pool, known, given, axis=axis, needs_energy=False, faulty=Faulty.REFUSE, build=build)


def test_three_compounds_make_a_triangle():
    axis = axis_of(("Cu", "Ag", "Au"), ("CuAu", "AgAu", "Au"))
    counts = np.array([[1, 0, 1], [0, 1, 1], [0, 0, 4], [1, 1, 2], [1, 1, 1]])
    found = axis.coordinates(counts)
    np.testing.assert_allclose(found[:4], [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0]])
    assert axis.holds(counts).tolist() == [True, True, True, True, False]
    assert isinstance(axis, CompositionAxis)
