"""Sites of X are vacancies: no atoms of compositions, energies and calculations, in every format that knows them."""

import itertools

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from ase.io import write
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import DummySpecies, Lattice, Structure

from hullscout import Campaign
from hullscout.errors import InvalidPoolError
from hullscout.hull import lower_hull
from hullscout.pool import Frames, Pool, axis_of, read_pool

SITES = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


def nitride(filling):
    """Rock salt: four Al, and four octahedral sites that hold N or nothing, X."""
    at = np.vstack([SITES, (SITES + np.array([0.5, 0, 0])) % 1])
    atoms = Atoms(["Al"] * 4 + list(filling), scaled_positions=at, cell=[4.3, 4.3, 4.4], pbc=True)
    occupied = atoms[atoms.numbers > 0]
    occupied.calc = EMT()
    atoms.info = {"id": "".join(filling), "energy": occupied.get_potential_energy()}
    return atoms


NITRIDES = [nitride(filling) for filling in itertools.product("NX", repeat=4)]


@pytest.mark.parametrize("name", ["pool.extxyz", "pool.db", "pool.json", "pool.traj"])
def test_formats_that_know_vacancies_give_the_atoms_alone_and_say_so(tmp_path, name):
    for atoms in NITRIDES[:3] if name.endswith(("db", "json")) else [NITRIDES[:3]]:
        write(tmp_path / name, atoms, **({"append": True} if name.endswith(("db", "json")) else {}))
    frames = read_pool(tmp_path / name)
    assert [frame.numbers.tolist().count(7) for frame in frames.frames] == [4, 3, 3]
    assert all(set(frame.numbers.tolist()) == {7, 13} for frame in frames.frames)
    assert any("Sites of X are vacancies" in note for note in frames.notes)


@pytest.mark.parametrize(("name", "written_as"), [("POSCAR-1", "vasp"), ("one.cif", "cif")])
def test_files_of_one_structure_may_hold_vacancies(tmp_path, name, written_as):
    write(tmp_path / name, NITRIDES[3], format=written_as)
    (frame,) = read_pool(tmp_path).frames
    assert sorted(frame.numbers.tolist()) == [7, 7, 13, 13, 13, 13]


@pytest.mark.parametrize("charge", [0, 2])
def test_dummy_species_of_pymatgen_are_vacancies(charge):
    cell = Structure(Lattice.cubic(4.0), ["Zr", DummySpecies("X", charge)], [[0, 0, 0], [0.5, 0.5, 0.5]])
    (frame,) = Frames.of([cell]).frames
    assert frame.numbers.tolist() == [40]


def test_a_cell_of_vacancies_alone_is_refused():
    with pytest.raises(InvalidPoolError, match="expected atomic numbers from 1 to 118, found 0"):
        Frames.of([Atoms("X", cell=[3, 3, 3], pbc=True)])


def test_an_end_may_name_its_empty_sites():
    assert axis_of(("Zr", "N"), ("ZrX", "ZrN")) == axis_of(("Zr", "N"), ("Zr", "ZrN"))
    assert axis_of(("Xe", "N"), ("Xe", "XeN2")).names == ("Xe", "XeN2")


def test_fractions_are_between_the_empty_and_the_filled_compound():
    pool = Pool.of(NITRIDES, ("Al", "N"), ends=("AlX", "AlN"))
    filled = {"NNNN": 1.0, "XXXX": 0.0, "NNXX": 2 * 2 / 6}  # two of four sites: two AlN and two Al, four atoms of six
    assert {name: pool.x[pool.index_of(name)] for name in filled} == pytest.approx(filled)


def test_a_campaign_over_vacancies_runs_to_its_end(tmp_path):
    campaign = Campaign.of(NITRIDES, tmp_path / "run", name="Al-N", elements=("Al", "N"), ends=("AlX", "AlN"))
    campaign.run()
    assert {"Al", "AlN"} <= set(campaign.candidates().formula)
    known = campaign.history.now
    assert known.has_hull
    assert all(0 not in candidate.numbers for candidate in known.pool.candidates)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.floats(-2, 2)), min_size=1, max_size=15, unique_by=lambda pair: pair[0]),
    st.integers(1, 3),
)
def test_the_hull_per_atom_is_the_hull_per_site(found, hosts):
    """Of 12 host sites times `hosts` and 12 others, n of them filled: the same ground states, heights times atoms per site."""
    per_site = {0: -1.0, 12: -2.0} | {n: energy for n, energy in found if 0 < n < 12}
    n = np.array(sorted(per_site))
    n_sites, n_atoms = 12 * hosts + 12, 12 * hosts + n
    y, energy = n / 12, np.array([per_site[each] for each in n.tolist()])
    formation = energy + (1 - y) * 1.0 + y * 2.0
    axis = axis_of(("Zr", "N"), (f"Zr{hosts}X", f"Zr{hosts}N"))
    w = axis.coordinates(np.column_stack([np.full(n.size, 12 * hosts), n]))[:, 1]
    of_atoms = energy * n_sites / n_atoms
    of_atoms = of_atoms - (1 - w) * of_atoms[0] - w * of_atoms[-1]
    by_site, by_atom = lower_hull(y, formation), lower_hull(w, of_atoms)
    np.testing.assert_allclose(
        (of_atoms - by_atom.energy_at(w)) * n_atoms / n_sites, formation - by_site.energy_at(y), atol=1e-9
    )
