"""A pool of structures in memory: the same checks as a file's, with ids, elements and energies that the structures carry."""

from __future__ import annotations

import re

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from pymatgen.core import Lattice, Molecule, Structure

from hullscout.errors import InvalidPoolError, InvalidStructureError, OracleError
from hullscout.oracle import TableOracle
from hullscout.pool import Candidate, Frames, Pool, build_pool
from hullscout.pool.frames import IN_MEMORY
from hullscout.pool.pool import WithoutEnergy

CUBE = Lattice.cubic(4.0)


def atoms(symbols, *, id=None, a=4.0, energy=None):  # noqa: A002
    places = [[0, 0, 0], [0.5, 0.5, 0.5]]
    cell = Atoms(symbols, cell=[a] * 3, pbc=True)
    cell.set_scaled_positions(places[: len(cell)])
    if energy is not None:
        cell.calc = SinglePointCalculator(cell, energy=energy)
    cell.info |= {} if id is None else {"id": id}
    return cell


def structure(*species):
    return Structure(CUBE, species, [[0, 0, 0], [0.5, 0.5, 0.5]][: len(species)])


@pytest.fixture
def mixed():
    """ASE's atoms, a pymatgen structure and a candidate, with a supercell of the structure."""
    b2 = structure("Ag", "Pd")
    return [atoms("Pd", id="pd"), b2, Candidate.from_ase(atoms("Ag", id="ag")), b2 * (1, 1, 2)]


def test_a_list_of_all_kinds_is_a_pool(mixed):
    pool = Pool.of(mixed)
    assert pool.elements == ("Ag", "Pd")
    assert pool.ids == ("2", "ag", "pd")
    assert pool.x.tolist() == [0.5, 0.0, 1.0]
    assert pool.twins == {"2": ("4",)}
    assert pool.report.n_frames == 4


def test_elements_and_ids_may_be_given(mixed):
    pool = Pool.of(iter(mixed), ("Pd", "Ag"), ids=["a1", "a2", "a3", "a4"])
    assert pool.elements == ("Pd", "Ag")
    assert pool.ids == ("a1", "a2", "a3")
    assert pool.x.tolist() == [0.0, 0.5, 1.0]
    assert repr(Pool.of(mixed, ids=np.array(["z", "b", "c", "a"])).ids) == "('a', 'c', 'z')"


def test_cost_and_baseline_follow_the_candidates(mixed):
    pool = Pool.of(
        mixed, ids=["z", "b", "c", "a"], cost=[1, 2, 3, 4], baseline_ev_per_atom=np.array([-1.0, -2, -3, -4])
    )
    assert pool.ids == ("a", "c", "z")
    assert pool.cost.tolist() == [4.0, 3.0, 1.0]
    assert pool.baseline_ev_per_atom.tolist() == [-4.0, -3.0, -1.0]


def test_a_pool_of_a_pools_candidates_is_the_same_pool(mixed):
    pool = Pool.of(mixed)
    again = Pool.of(pool)
    assert again.ids == pool.ids
    assert all(candidate in again for candidate in pool)


def test_energies_that_structures_carry_make_a_table():
    cells = [
        atoms("Ag", energy=-2.5),
        atoms("Pd", energy=-3.5),
        atoms("AgPd", energy=-7.0, a=3.5),
        structure("Ag", "Pd"),
    ]
    cells[1].calc = None
    cells[1].info["energy"] = np.float64(-3.25)
    frames = Frames.of(cells[:3])
    pool = Pool.of(cells[:3])
    assert frames.path == IN_MEMORY
    assert TableOracle.from_frames(frames, pool).energies_ev == (-2.5, -3.25, -7.0)
    with pytest.raises(OracleError, match=r"Expected an energy for '4', found frame 4 \(id '4'\) without one"):
        TableOracle.from_frames(Frames.of(cells), Pool.of(cells))
    assert len(build_pool(Frames.of(cells), ("Ag", "Pd"), without_energy=WithoutEnergy.LEAVE_OUT)) == 3


def test_an_energy_of_other_positions_is_not_taken_and_nothing_is_computed():
    shared = EMT()
    cells = [bulk("Ag"), bulk("Pd")]
    for cell in cells:
        cell.calc = shared
    energy = cells[1].get_potential_energy()
    assert [frame.energy_ev for frame in Frames.of(cells).frames] == [None, energy]
    assert shared.results["energy"] == energy
    cells[1].positions += 0.1
    assert Frames.of(cells).frames[1].energy_ev is None


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        (lambda: "Ag", "frame 3 (id '3'): expected ase.Atoms, a pymatgen Structure or a Candidate, found str"),
        (lambda: Molecule(["Ag"], [[0, 0, 0]]), "frame 3 (id '3'): expected ase.Atoms, a pymatgen Structure or a Candidate, found"),
        (lambda: structure({"Ag": 0.5, "Pd": 0.5}), "frame 3 (id '3'): expected whole atoms, found partly occupied sites"),
        (lambda: atoms("Ag", id="a\nb"), "frame 3: expected an id of printable characters"),
        (lambda: Atoms(cell=[4, 4, 4], pbc=True), "frame 3 (id '3'): expected atoms, found none"),
        (lambda: Atoms("Ag"), "frame 3 (id '3'): no lattice: expected a crystal"),
        (lambda: Atoms("Ag", cell=[4, 4, 4]), "frame 3 (id '3'): not periodic in three directions"),
        (lambda: Atoms("Ag", cell=[4, 4, 4], pbc=[1, 1, 0]), 'expected pbc="T T T", found pbc="T T F"'),
        (lambda: Structure(Lattice(np.eye(3) * 4, pbc=(True, True, False)), ["Ag"], [[0, 0, 0]]), 'found pbc="T T F"'),
        (lambda: Atoms("Ag", cell=[4, 4, 0], pbc=True), "frame 3 (id '3'): a cell without volume"),
        (lambda: atoms("AgPd", a=0.55), "frame 3 (id '3'): atoms 1 and 2 are 0.476 A apart"),
        (lambda: atoms("Ag", id="1"), "id '1' is repeated: frames 1, 3; ids must be unique"),
        (lambda: Atoms(numbers=[200], cell=[4, 4, 4], pbc=True), "frame 3 (id '3'): expected atomic numbers from 1 to 118"),
    ],
)  # fmt: skip
def test_what_no_campaign_can_use_is_refused_by_place_and_id(spoilt, message):
    with pytest.raises(InvalidPoolError, match=re.escape(message)) as refused:
        Pool.of([atoms("Ag"), atoms("Pd"), spoilt()], ("Ag", "Pd"))
    assert str(refused.value).startswith("<structures>: ")


def test_all_faults_are_in_one_error_with_a_remedy():
    with pytest.raises(InvalidPoolError, match=r"<structures>: 2 faults in 3 frames") as refused:
        Pool.of([atoms("Ag"), Atoms("Pd"), atoms("Al")], ("Ag", "Pd"))
    assert str(refused.value).endswith("Correct these or take them out.")


@pytest.mark.parametrize("energy", ["low", True, [1.0, 2.0]])
def test_an_energy_that_is_no_number_is_refused(energy):
    cell = atoms("Ag")
    cell.info["energy"] = energy
    with pytest.raises(
        InvalidPoolError, match=r"frame 1 \(id '1'\): expected energy as one number in eV per cell, found"
    ):
        Frames.of([cell])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ids": ["a"]}, "found 2 structures and 1 ids ('a'). Give two lists of one length"),
        ({"ids": ["a", ""]}, "found 2 structures and 2 ids ('a', '')"),
        ({"ids": [1, 2]}, "found 2 structures and 2 ids (1, 2). Give two lists of one length, ids as text"),
        ({"ids": ["a", "a"]}, "id 'a' is repeated: frames 1, 2"),
        ({"cost": [1.0]}, "Expected cost as 2 finite numbers above 0, found [1.]. Give one for each structure"),
        ({"cost": [1.0, 0.0]}, "Expected cost as 2 finite numbers above 0"),
        ({"cost": ["low", 2]}, "Expected cost as 2 finite numbers, found ['low', 2]"),
        ({"baseline_ev_per_atom": [1.0, np.inf]}, "Expected baseline_ev_per_atom as 2 finite numbers above -inf"),
        ({"elements": ("Ag", "Xy")}, "Expected two to five different chemical elements, found elements=('Ag', 'Xy')"),
        ({"elements": ("Ag",)}, "Expected two to five different chemical elements, found elements=('Ag',)"),
        ({"elements": ("Ag", "Pd", "Ag")}, "Expected two to five different chemical elements"),
        ({"elements": ("Ag", "Pd", "Au")}, "no structure of pure Au among 2 usable frames"),
    ],
)  # fmt: skip
def test_arguments_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(InvalidPoolError, match=re.escape(message)):
        Pool.of([atoms("Ag"), atoms("Pd")], **arguments)


def test_no_structures_make_no_pool():
    with pytest.raises(InvalidPoolError, match="Expected one or more structures"):
        Pool.of([])


def test_three_elements_have_two_fractions_and_no_x():
    pool = Pool.of([atoms("Ag"), atoms("Pd"), atoms("Au"), atoms("PdAu"), atoms("AgPd")])
    assert pool.elements == ("Ag", "Au", "Pd")
    assert pool.fractions.tolist() == [[0, 0], [0, 1], [1, 0], [0.5, 0.5], [0, 0.5]]
    assert pool.report.n_pure == (1, 1, 1)
    assert list(pool.table().columns) == ["formula", "x_Au", "x_Pd", "n_atoms"]
    assert "compositions" in pool._repr_html_()
    with pytest.raises(InvalidPoolError, match=r"two elements to have x, found Ag, Au, Pd\. Use fractions"):
        _ = pool.x


def test_x_is_the_column_of_the_fractions(mixed):
    pool = Pool.of(mixed)
    assert pool.fractions.shape == (3, 1)
    assert np.shares_memory(pool.x, pool.fractions)
    with pytest.raises(ValueError, match="read-only"):
        pool.fractions[0, 0] = 1.0


def test_candidates_are_found_by_place_and_by_id(mixed):
    pool = Pool.of(mixed)
    assert [candidate.id for candidate in pool] == ["2", "ag", "pd"]
    assert pool[1] is pool["ag"] is pool[-2] is pool.candidates[1]
    assert pool.index_of("pd") == 2
    assert "pd" in pool
    assert mixed[2] in pool
    assert Candidate.from_ase(atoms("Ag", id="ag", a=4.1)) not in pool
    assert 1 not in pool
    with pytest.raises(KeyError, match=r"one of 3 candidates, found 'p'\. Near: 'pd'"):
        pool["p"]
    with pytest.raises(KeyError, match=r"found '4'\. It is a twin of '2'\."):
        pool.index_of("4")
    with pytest.raises(IndexError, match="out of range"):
        pool[3]
    with pytest.raises(TypeError, match=r"Slices are taken of pool\.candidates"):
        pool[:2]


def test_a_candidate_of_ase_or_pymatgen_is_the_same_crystal():
    candidate = Candidate.from_ase(atoms("AgPd", id="b2"))
    assert candidate.id == "b2"
    assert Candidate.from_ase(candidate.to_ase()).has_same_atoms(candidate)
    assert Candidate.from_structure(candidate.to_pymatgen(), "b2").has_same_atoms(candidate)
    labelled = Structure(CUBE, ["Ag"], [[0, 0, 0]], properties={"id": "silver"})
    assert Candidate.from_structure(labelled).id == "silver"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Candidate.from_ase(atoms("Ag")), "found an empty id. Give it a name"),
        (lambda: Candidate.from_ase(Atoms("Ag", cell=[4, 4, 4]), "a"), "periodic in three directions, found pbc=[False, False"),
        (lambda: Candidate.from_ase("Ag", "a"), "expected ase.Atoms, a pymatgen Structure or a Candidate, found str"),
        (lambda: Candidate.from_structure(structure({"Ag": 0.5}), "a"), "expected whole atoms, found partly occupied sites"),
    ],
)  # fmt: skip
def test_a_candidate_of_what_is_no_crystal_is_refused(make, message):
    with pytest.raises(InvalidStructureError, match=re.escape(message)):
        make()
