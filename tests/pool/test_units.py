"""Units of energies: by a column's name, and refused where a name claims one that is not understood."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ase.build import bulk

from hullscout.errors import InvalidPoolError
from hullscout.pool import Columns, EnergyMeaning, Frames, understand

ENERGIES_EV = [-3.7, -7.0, -13.2]


def frames_with(column, factor):
    """Cells of 1, 2 and 4 atoms, whose energy stands in a column, times a factor by the number of atoms."""
    cells = [bulk("Cu", "fcc", a=3.6) * (n, 1, 1) for n in (1, 2, 4)]
    stated = zip(Frames.of(cells).frames, ENERGIES_EV, strict=True)
    frames = tuple(replace(f, columns={column: energy * factor(len(f.numbers))}) for f, energy in stated)
    return replace(Frames.of(cells), frames=frames)


@pytest.mark.parametrize(
    ("column", "factor"),
    [
        ("energy_Ry", lambda _: 1 / 13.605693123),
        ("Total_Energy_eV_atom", lambda n: 1 / n),
        ("e_dft_meV_per_atom", lambda n: 1000 / n),
        ("energyHa", lambda _: 1 / 27.211386246),
        ("REF_energy", lambda _: 1.0),
    ],
)
def test_a_column_is_read_in_the_unit_that_its_name_ends_in(column, factor):
    read = understand(frames_with(column, factor), EnergyMeaning(column=column))
    assert [frame.energy_ev for frame in read.frames] == pytest.approx(ENERGIES_EV)


@pytest.mark.parametrize("column", ["energy_au", "energy_kJ", "dft_energy_cm-1", "energy_eV_per_fu", "energy_per_site"])
def test_a_column_that_claims_a_unit_that_is_not_understood_is_refused(column):
    frames = frames_with(column, lambda _: 1.0)
    expected = (
        rf"pool\.energy = '{column}': expected a name that says no unit, or one of eV, meV, Ry.* pool\.energy_unit"
    )
    with pytest.raises(InvalidPoolError, match=expected):
        understand(frames, EnergyMeaning(column=column))
    read = understand(frames, EnergyMeaning(column=column, unit="eV"))
    assert [frame.energy_ev for frame in read.frames] == pytest.approx(ENERGIES_EV)


def test_energies_in_another_unit_beside_those_taken_are_compared_in_it():
    frames = frames_with("energy_Ry", lambda _: 1 / 13.605693123)
    beside = tuple(replace(f, energy_ev=energy) for f, energy in zip(frames.frames, ENERGIES_EV, strict=True))
    assert understand(replace(frames, frames=beside)).notes == ()
    (note,) = understand(replace(frames, frames=(*beside[:2], replace(beside[2], energy_ev=-13.0)))).notes
    assert "energy_Ry stands beside it and differs for 1 of 3" in note


def test_a_unit_that_agrees_with_the_name_of_the_column_is_no_contradiction():
    frames = frames_with("energy_per_atom", lambda n: 1 / n)
    stated = tuple(replace(f, columns={**f.columns, "energy_unit": "eV/atom"}) for f in frames.frames)
    read = understand(replace(frames, frames=stated))
    assert [frame.energy_ev for frame in read.frames] == pytest.approx(ENERGIES_EV)


@pytest.mark.parametrize("column", ["emt_Ry", "emt_per_atom", "emt_au"])
def test_a_baseline_whose_name_claims_another_unit_is_refused(column):
    with pytest.raises(InvalidPoolError, match=r"pool\.baseline: expected a column of energies in eV per cell"):
        Columns(baseline=column)


@pytest.mark.parametrize(
    ("name", "unit", "is_said"),
    [
        ("energy_unit", "Ha", True),
        ("energy_unit", "eV/atom", True),
        ("units", "kcal/mol", True),
        ("unit", "Rydberg", True),
        ("energy_unit", "a.u.", True),
        ("Energy_Units", "J", True),
        ("units", "real", True),
        ("energy_unit", "eV", False),
        ("energy_unit", "eV/cell", False),
        ("energy_unit", "unknown", False),
        ("units", "metal", False),
        ("unit", "Angstrom", False),
        ("units", "eV, Angstrom", False),
    ],
)
def test_a_unit_that_a_source_states_is_not_passed_over(name, unit, is_said):
    read = frames_with("note", lambda _: 0.0)
    pairs = zip(read.frames, ENERGIES_EV, strict=True)
    stated = replace(read, frames=tuple(replace(f, energy_ev=energy, columns={name: unit}) for f, energy in pairs))
    if is_said:
        with pytest.raises(InvalidPoolError, match=rf"expected energies in eV per cell, found {name} = '{unit}'"):
            understand(stated)
        assert understand(stated, EnergyMeaning(unit="Ha")).is_meant
    else:
        assert [frame.energy_ev for frame in understand(stated).frames] == pytest.approx(ENERGIES_EV)
