"""A campaign of three elements or more from its structures to its result, tables and entries; what cannot be one is refused."""

import json
from itertools import combinations_with_replacement, product

import numpy as np
import pytest
from ase import Atoms

from hullscout.campaign import CampaignResult, Setup
from hullscout.campaign.candidate_rows import candidate_rows
from hullscout.campaign.exports import computed_entries
from hullscout.campaign.origin import origin_of
from hullscout.campaign.result import conclude, ground_states
from hullscout.errors import InvalidCampaignError, InvalidPoolError
from hullscout.hull import phase_diagram_of
from hullscout.pool import Pool

ELEMENTS = ("Cu", "Ag", "Au")
SITES = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


def cell(symbols, length):
    """Four atoms on an fcc lattice, stretched along z; unlike neighbours attract each other, gold the most."""
    atoms = Atoms(symbols, scaled_positions=SITES, cell=[4.0, 4.0, 4.0 * length], pbc=True)
    unlike = len(set(symbols)) - 1
    atoms.info["energy"] = -12.0 - 0.3 * unlike - 0.1 * symbols.count("Au") * (unlike > 0) + 0.2 * abs(length - 1.0)
    return atoms


ATOMS = [
    cell(symbols, length) for symbols, length in product(combinations_with_replacement(ELEMENTS, 4), (1.0, 1.1, 1.2))
]


@pytest.fixture(scope="module")
def finished():
    setup = Setup(origin_of(ATOMS, name="three", elements=ELEMENTS))
    engine, energies = setup.engine(setup.ledger()), dict(zip(setup.pool.ids, setup.table.energies_ev, strict=True))
    while asked := engine.ask():
        for candidate_id in asked:
            engine.tell(candidate_id, float(energies[candidate_id]))
    return setup, engine


def test_a_result_states_the_fractions_of_all_elements_and_comes_back(finished):
    result = conclude(*finished, timings_s={})
    assert result.reference.within_tolerance
    vertex = json.loads(result.to_json())["hull"][-1]
    assert "x" not in vertex
    assert list(vertex["fractions"]) == list(ELEMENTS)
    assert sum(vertex["fractions"].values()) == pytest.approx(1.0)
    assert CampaignResult.from_json(result.to_json()) == result
    heads, rows = result.hull.table()
    assert heads == ("formula", *ELEMENTS, "formation energy (meV/atom)", "id")
    assert rows[0][:4] == ("Cu", "1.0000", "0.0000", "0.0000")


def test_a_result_of_two_elements_has_x_alone():
    setup = Setup(origin_of([atoms for atoms in ATOMS if "Cu" not in atoms.symbols], name="two", elements=["Ag", "Au"]))
    engine, energies = setup.engine(setup.ledger()), dict(zip(setup.pool.ids, setup.table.energies_ev, strict=True))
    while asked := engine.ask():
        for candidate_id in asked:
            engine.tell(candidate_id, float(energies[candidate_id]))
    result = conclude(setup, engine, timings_s={})
    assert [list(vertex)[2] for vertex in json.loads(result.to_json())["hull"]] == ["x"] * len(result.hull)
    assert CampaignResult.from_json(result.to_json()) == result


def test_tables_have_a_column_for_each_fraction(finished):
    _, engine = finished
    rows = candidate_rows(engine.ledger.known)
    columns = rows[0].columns()
    assert list(columns)[:5] == ["id", "formula", "x_Ag", "x_Au", "n_atoms"]
    mixed = next(row for row in rows if row.formula == "Cu2AgAu").columns()
    assert (mixed["x_Ag"], mixed["x_Au"]) == (0.25, 0.25)


def test_entries_make_the_same_hull(finished):
    setup, engine = finished
    known = engine.ledger.known
    diagram = phase_diagram_of(computed_entries(known))
    found = {entry.entry_id: diagram.get_form_energy_per_atom(entry) for entry in diagram.stable_entries}
    states = {vertex.id: vertex.formation_energy_ev_per_atom for vertex in ground_states(known)}
    assert found == pytest.approx(states)
    assert {setup.pool.ids[index] for index in known.hull.indices} == set(states)


@pytest.mark.parametrize(
    ("elements", "error", "message"),
    [
        (["Cu"], InvalidPoolError, "Expected two to five different chemical elements"),
        (["Cu", "Ag", "Au", "Pd", "Pt", "Ni"], InvalidPoolError, "Expected two to five different chemical elements"),
        (["Cu", "Ag", "Ag"], InvalidPoolError, "Expected two to five different chemical elements"),
        (["Cu", "Ag"], InvalidPoolError, "foreign element Au: expected only Cu and Ag"),
        (
            ["Cu", "Ag", "Au", "Pd"],
            InvalidPoolError,
            "no structure of pure Pd among 45 usable frames, nor any that holds Pd",
        ),
        ("Cu", InvalidCampaignError, "elements: expected a list"),
    ],
)
def test_elements_that_do_not_fit_the_structures_are_refused(elements, error, message):
    with pytest.raises(error, match=message):
        origin_of(ATOMS, name="three", elements=elements)


def test_an_element_without_a_pure_structure_is_refused_by_name():
    mixed = [atoms for atoms in ATOMS if set(atoms.symbols) != {"Au"}]
    with pytest.raises(
        InvalidPoolError, match="no structure of pure Au among 42 usable frames: formation energies need one"
    ):
        Pool.of(mixed, ELEMENTS)
    with pytest.raises(InvalidPoolError, match="foreign element Au: expected only Cu and Ag"):
        Pool.of(mixed, ["Cu", "Ag"])
