"""Whatever a calculation does, workers answer with an energy or a failure that says why, and go on."""

import json
import sys

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from hullscout.errors import OracleError
from hullscout.oracle import (
    CalculatorSettings,
    InProcessSettings,
    ProcessesSettings,
    candidate_from_tree,
    candidate_to_tree,
    open_workers,
    outcome_of,
)
from hullscout.pool import Candidate


def candidate(a=3.7):
    atoms = bulk("Cu", a=a)
    return Candidate(id="Cu", numbers=atoms.numbers, positions=atoms.positions, cell=np.array(atoms.cell))


def outcomes(tmp_path, n=1, *, executor=None, start=None, **settings):
    settings = CalculatorSettings(**{"calculator": "emt", **settings})
    with open_workers(settings, executor or ProcessesSettings(time_limit_s=60.0), folder=tmp_path) as workers:
        futures = [workers.submit(start or candidate(), attempt=attempt + 1) for attempt in range(n)]
        return [outcome_of(future) for future in futures]


@pytest.mark.parametrize("executor", [InProcessSettings(), ProcessesSettings(workers=2)], ids=lambda e: e.kind)
def test_an_energy_is_that_of_the_calculator_wherever_it_runs(tmp_path, executor):
    start = candidate(11 / 3)
    atoms = start.to_ase()
    atoms.calc = EMT(asap_cutoff=True)
    found = outcomes(tmp_path, 3, executor=executor, start=start, arguments={"asap_cutoff": True})
    assert {outcome.energy_ev for outcome in found} == {atoms.get_potential_energy()}


def test_a_relaxed_structure_comes_with_its_energy(tmp_path):
    here, there = (
        outcomes(tmp_path, executor=executor, relax="cell", fmax=0.001)[0]
        for executor in (InProcessSettings(), ProcessesSettings())
    )
    assert (here.energy_ev, here.relaxed.has_same_atoms(there.relaxed)) == (there.energy_ev, True)
    assert there.relaxed.cell[0, 1] == pytest.approx(3.59 / 2, abs=0.01)
    assert there.energy_ev < outcomes(tmp_path, executor=InProcessSettings())[0].energy_ev


@pytest.mark.parametrize(
    ("name", "reason", "may_pass", "sentence"),
    [
        ("Raises", "raised", True, "RuntimeError: no licence"),
        ("Unconverged", "not-converged", False, "KohnShamConvergenceError: did not converge"),
        ("SaysUnconverged", "not-converged", False, "The calculator says that the electrons did not converge (energy"),
        ("NotANumber", "not-finite", False, "The energy is nan eV"),
        ("Dies", "worker-died", True, "ended by SIGKILL; it said last: out of memory"),
    ],
)
def test_a_fault_is_a_failure_with_its_reason_and_the_next_try_runs(tmp_path, name, reason, may_pass, sentence):
    executor = ProcessesSettings() if name in {"Raises", "Dies"} else InProcessSettings()
    for outcome in outcomes(tmp_path, 2, calculator=f"faulty_calculators.{name}", executor=executor):
        assert (outcome.reason, outcome.reason.may_pass) == (reason, may_pass)
        assert sentence in outcome.sentence


def test_a_calculation_that_hangs_is_ended_at_its_limit(tmp_path):
    (outcome,) = outcomes(tmp_path, calculator="faulty_calculators.Hangs", executor=ProcessesSettings(time_limit_s=0.5))
    assert (outcome.reason, outcome.reason.may_pass) == ("timed-out", True)
    assert "longer than the limit of 0.5 s" in outcome.sentence


def test_a_structure_comes_back_from_json_to_the_last_bit():
    start = candidate(10 / 3)
    back = candidate_from_tree(json.loads(json.dumps(candidate_to_tree(start))))
    assert (back.id, back.has_same_atoms(start)) == ("Cu", True)


def test_a_relaxation_out_of_steps_is_not_converged(tmp_path):
    (outcome,) = outcomes(tmp_path, executor=InProcessSettings(), relax="cell", max_steps=1, fmax=1e-6)
    assert outcome.reason == "not-converged"
    assert "did not reach 1e-06 eV/Angstrom in 1 steps" in outcome.sentence


@pytest.mark.parametrize("policy", ["fail", "keep"])
def test_a_structure_that_relaxes_into_another_one_is_failed_or_noted(tmp_path, policy):
    atoms = bulk("Cu", "fcc", a=3.6)
    atoms.set_cell(atoms.cell.array * np.array([0.86, 0.86, 1.3]), scale_atoms=True)
    settings = {"start": Candidate.from_ase(atoms, "bct"), "relax": "cell", "fmax": 0.2, "on_change": policy}
    (outcome,) = outcomes(tmp_path, executor=InProcessSettings(), **settings)
    if policy == "fail":
        assert outcome.reason == "changed"
        assert "It relaxed into another structure: its cell changed shape: strain 0." in outcome.sentence
    else:
        assert "It relaxed into another structure" in outcome.note


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"calculator": "nothing"}, "oracle.calculator: expected a name that ASE knows .* found 'nothing'"),
        ({"calculator": "ase.calculators.emt.Nothing"}, "oracle.calculator: expected .* found"),
        (
            {"calculator": "eam", "arguments": {"potential": __file__}},
            r"oracle\.arguments: 'eam' cannot be made .* Is .*test_workers\.py whole, and such as this calculator reads\?",
        ),
        (
            {"calculator": "ase.build.bulk", "arguments": {"wrong": 1}},
            "oracle.arguments: 'ase.build.bulk' cannot be made",
        ),
        ({"calculator": "fractions.Fraction"}, "expected an ASE calculator"),
    ],
)
def test_a_calculator_that_cannot_be_made_is_refused_before_any_cost(tmp_path, settings, message):
    with pytest.raises(OracleError, match=message):
        outcomes(tmp_path, executor=InProcessSettings(), **settings)


def test_workers_take_no_modules_of_the_current_folder_in_place_of_pythons_own(tmp_path, monkeypatch):
    for name in ("json", "random", "numpy", "hullscout", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('taken from the current folder')\n")
    monkeypatch.chdir(tmp_path)
    (outcome,) = outcomes(tmp_path / "work", executor=ProcessesSettings())
    assert np.isfinite(outcome.energy_ev)
    monkeypatch.setattr(sys, "path", ["", *sys.path])  # as in a notebook, whose own modules are found
    (tmp_path / "module_of_mine.py").write_text("from ase.calculators.emt import EMT as Mine\n")
    (outcome,) = outcomes(tmp_path / "work", executor=ProcessesSettings(), calculator="module_of_mine.Mine")
    assert np.isfinite(outcome.energy_ev)
