"""A campaign is made in Python without a file: structures in memory, settings as objects; the face of the package is clean."""

import io

import numpy as np
import pytest
from ase.io import read
from pymatgen.io.ase import AseAtomsAdaptor

import hullscout
from hullscout import Campaign, Candidate, HullPosteriorRule, MbtrRepresentation, Pool, StopSettings
from hullscout.errors import HullscoutError, InvalidCampaignError, InvalidPoolError
from hullscout.oracle import CalculatorSettings, HandoffSettings

RULE = HullPosteriorRule(samples=200, batch=3)


@pytest.fixture(scope="module")
def atoms(small_pool):
    return read(io.StringIO(small_pool), ":", format="extxyz")


def test_structures_in_memory_give_the_campaign_of_their_file(atoms, campaign_file, tmp_path):
    stop = StopSettings(max_calculations=25)
    campaign = Campaign.of(atoms, tmp_path / "memory", name="small", select=RULE, stop=stop, seed=1)
    settings = ["select={rule = 'hull-posterior', samples = 200, batch = 3}", "stop.max_calculations=25"]
    of_the_file = Campaign.create(campaign_file, tmp_path / "file", settings=settings)
    found, expected = campaign.run(on_note=str), of_the_file.run(on_note=str)
    assert found.hull == expected.hull
    assert (found.n_calculations, found.stop_sentence) == (expected.n_calculations, expected.stop_sentence)
    assert campaign.candidates().equals(of_the_file.candidates())
    again = Campaign.of(atoms, tmp_path / "memory", name="small", select=RULE, stop=stop, seed=1)
    assert again.result == found
    with pytest.raises(HullscoutError, match=r"select\.n_start: 6 before, 4 now"):
        Campaign.of(
            atoms,
            tmp_path / "memory",
            name="small",
            select=HullPosteriorRule(samples=200, batch=3, n_start=4),
            stop=stop,
            seed=1,
        )


def test_a_pool_brings_its_costs_and_baseline_along(atoms, tmp_path):
    energies = np.array([a.get_potential_energy() / len(a) for a in atoms])
    pool = Pool.of(atoms, ("Ag", "Pd"), cost=[len(a) ** 2.0 for a in atoms], baseline_ev_per_atom=energies + 0.5)
    campaign = Campaign.of(
        pool, tmp_path / "run", name="by hand", oracle=HandoffSettings(), cost={"kind": "column"}, select=RULE
    )
    np.testing.assert_allclose(campaign.pool.cost, pool.cost)
    np.testing.assert_allclose(campaign.pool.baseline_ev_per_atom, pool.baseline_ev_per_atom, atol=1e-9)
    assert {candidate.id for candidate in campaign.ask(3)} <= set(pool.ids)


def test_pymatgen_s_structures_are_computed_by_a_calculator(atoms, tmp_path):
    structures = [AseAtomsAdaptor.get_structure(a) for a in atoms if len(a) < 3]
    campaign = Campaign.of(
        structures,
        tmp_path / "run",
        name="EMT",
        elements=("Pd", "Ag"),
        oracle=CalculatorSettings(calculator="emt"),
        executor={"kind": "in-process"},
        representation=MbtrRepresentation(pair_cutoff=6.0),
        select={"rule": "random"},
    )
    result = campaign.run(on_note=str)
    assert (result.elements, result.n_calculations) == (("Pd", "Ag"), len(campaign.pool))
    assert "# Made in Python" in campaign.history.setup.origin.campaign_text


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (
            {"select": StopSettings()},
            InvalidCampaignError,
            r"select: expected a table .* of a subclass of Rule, found StopSettings",
        ),
        ({"stop": RULE}, InvalidCampaignError, r"stop: expected a valid dictionary or instance of StopSettings"),
        ({"stopp": StopSettings()}, InvalidCampaignError, r"stopp: unknown key.*Did you mean 'stop'"),
        ({"seed": -1}, InvalidCampaignError, r"the campaign 'bad' is not a valid campaign:\n  seed: expected greater"),
        ({"elements": ("Ag", "Au")}, InvalidPoolError, r"Pd"),
        (
            {"elements": {"Ag", "Pd"}},
            InvalidCampaignError,
            r"elements: expected a list, whose order is that of the axis",
        ),
        ({"elements": ("Ag",)}, HullscoutError, r"Expected two to five different chemical elements"),
    ],
)
def test_what_cannot_be_used_is_refused_before_a_folder_is_made(atoms, tmp_path, given, error, message):
    with pytest.raises(error, match=message):
        Campaign.of(atoms, tmp_path / "run", name="bad", **given)
    assert not (tmp_path / "run").exists()


def test_two_energies_of_one_structure_are_refused(atoms):
    twice = [a.copy() for a in atoms]
    for copy, original in zip(twice, atoms, strict=True):
        copy.calc = original.calc
    twice[2].info["energy"] = -3.0
    with pytest.raises(InvalidPoolError, match=r"expected energy as one number in eV per cell, found \("):
        Pool.of(twice)


def test_the_face_holds_what_it_names_and_nothing_else():
    assert dir(hullscout) == sorted(hullscout.__all__)
    assert all(getattr(hullscout, name) is not None for name in hullscout.__all__)
    assert {"Campaign", "Pool", "Candidate", "MBTR", "KernelModel", "Hull", "lower_hull"} <= set(dir(hullscout))
    with pytest.raises(AttributeError, match="has no attribute 'Standing'"):
        _ = hullscout.Standing


def test_a_candidate_is_made_of_ase_and_of_pymatgen(atoms):
    candidate = Candidate.from_ase(atoms[3])
    again = Candidate.from_structure(candidate.to_pymatgen(), candidate.id)
    assert (again.id, again.formula) == (candidate.id, candidate.formula)
    np.testing.assert_allclose(again.positions, candidate.positions, atol=1e-12)
