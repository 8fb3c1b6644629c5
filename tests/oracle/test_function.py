"""A function is a source of energies: whatever it may return is understood or said, never guessed at."""

import json
import sys
from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from hullscout.campaign import Setup, read_origin, run
from hullscout.errors import OracleError
from hullscout.oracle import FunctionSettings, InProcessSettings, ProcessesSettings, open_workers, outcome_of
from hullscout.pool import Candidate

START = Candidate.from_ase(bulk("Cu", a=3.7, cubic=True), "Cu")
HERE = {}


def answer(atoms, *, case="number"):
    """What a function may return, by name."""
    return HERE[case](atoms)


def energy_of(atoms):
    cell = atoms.copy()
    cell.calc = EMT()
    return cell.get_potential_energy()


def with_energy(atoms, energy=None, **results):
    done = atoms.copy()
    done.calc = SinglePointCalculator(done, energy=energy_of(atoms) if energy is None else energy, **results)
    return done


def grown(atoms, factor=1.02):
    done = atoms.copy()
    done.set_cell(done.cell.array * factor, scale_atoms=True)
    return done


def quacc_like(atoms, **fields):
    """The shape of what quacc's recipes return: `RunSchema` and `OptSchema`."""
    return {
        "atoms": atoms,
        "input_atoms": {"atoms": atoms, "structure_metadata": {}},
        "name": "EMT Relax",
        "parameters": {"asap_cutoff": False},
        "results": {
            "energy": np.float64(energy_of(atoms)),
            "energies": np.zeros(len(atoms)),
            "forces": np.zeros((4, 3)),
        },
        "structure_metadata": {"nsites": len(atoms)},
        **fields,
    }


class TaskState(Enum):
    SUCCESS = "successful"
    FAILED = "unsuccessful"


def task_document(atoms, *, state=TaskState.SUCCESS, nsites=None, **fields):
    """The shape of the documents that flows of atomate2 end in: `TaskDoc`."""
    from pymatgen.io.ase import AseAtomsAdaptor

    energy, structure = energy_of(atoms), AseAtomsAdaptor.get_structure(atoms)
    output = SimpleNamespace(energy=energy, energy_per_atom=energy / len(atoms), structure=structure)
    count = len(atoms) if nsites is None else nsites
    return SimpleNamespace(output=output, structure=structure, state=state, nsites=count, **fields)


def as_dictionary(document):
    output = {**vars(document.output), "structure": document.output.structure.as_dict()}
    return {**vars(document), "output": output, "structure": output["structure"], "state": document.state.value}


UNDERSTOOD = {
    "number": (energy_of, None),
    "numpy number": (lambda atoms: np.float32(energy_of(atoms)), None),
    "array without dimensions": (lambda atoms: np.array(energy_of(atoms)), None),
    "the same atoms": (with_energy, None),
    "relaxed atoms": (lambda atoms: with_energy(grown(atoms)), 1.02),
    "atoms with a live calculator": (lambda atoms: setattr(atoms, "calc", EMT()) or atoms, None),
    "results alone": (lambda atoms: {"energy": energy_of(atoms), "forces": []}, None),
    "a recipe's": (quacc_like, None),
    "a relaxing recipe's": (lambda atoms: quacc_like(grown(atoms), converged=np.True_), 1.02),
    "a document": (lambda atoms: task_document(grown(atoms)), 1.02),
    "a document as a dictionary": (lambda atoms: as_dictionary(task_document(grown(atoms))), 1.02),
}
NOT_UNDERSTOOD = {
    "nothing": (lambda _: None, r"found nothing \(None\)\. Raise an error where there is no energy"),
    "text": (lambda _: "-3.7 eV", "found str '-3.7 eV'"),
    "a boolean": (lambda _: True, "found bool True"),
    "energies": (lambda _: np.array([-3.7, -3.8]), "found ndarray"),
    "a pair": (lambda atoms: (energy_of(atoms), atoms), "found tuple"),
    "bare atoms": (lambda atoms: atoms, "found atoms without a calculator"),
    "atoms with forces alone": (
        lambda atoms: setattr(atoms, "calc", SinglePointCalculator(atoms, forces=np.zeros((4, 3)))) or atoms,
        "found atoms whose calculator holds no energy of them",
    ),
    "a calculator": (lambda _: EMT(), 'found a calculator, EMT. For an ASE calculator set oracle.kind = "calculator"'),
    "energy per atom": (lambda _: {"energy_per_atom": -3.7}, "found a dictionary with energy_per_atom"),
    "an empty dictionary": (lambda _: {}, "found a dictionary with nothing in it"),
    "text in results": (lambda _: {"results": {"energy": "-3"}}, r'expected \["results"\]\["energy"\] as one number'),
    "two energies": (
        lambda _: {"results": {"energy": -3.0}, "energy": -4.0},
        r'expected one energy, found several that differ: \["results"\]\["energy"\] = -3.0, energy = -4.0',
    ),
    "another cell": (
        lambda _: with_energy(bulk("Cu")),
        "expected the energy of the cell .* 4 atoms of Cu, found one of 1 atoms of Cu",
    ),
    "another count": (
        lambda atoms: task_document(atoms, nsites=1),
        "cell of 4 atoms that was handed over, found nsites = 1",
    ),
    "other atoms": (lambda _: with_energy(bulk("Au", cubic=True)), "found one of 4 atoms of Au"),
    "no crystal": (lambda atoms: with_energy(Atoms(atoms, pbc=False)), "expected a crystal, periodic"),
    "an object": (lambda _: SimpleNamespace(total=3), "found SimpleNamespace"),
}
PULLED = np.array([[0.0, 0.0, 0.3], [0.0, 0.0, -0.3], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
WITH_FORCES = {
    "relaxed atoms that are pulled": (lambda a: with_energy(grown(a), forces=PULLED), True),
    "a relaxing recipe's that are pulled": (
        lambda a: quacc_like(grown(a), results={"energy": energy_of(grown(a)), "forces": PULLED.tolist()}),
        True,
    ),
    "forces in the output": (
        lambda a: {"output": {"energy": energy_of(grown(a)), "atoms": grown(a), "forces": PULLED}},
        True,
    ),
    "nearly at rest": (lambda a: with_energy(grown(a), forces=PULLED / 10), False),
    "a single point": (lambda a: with_energy(a, forces=PULLED), False),
    "forces of another shape": (lambda a: {"energy": energy_of(a), "atoms": grown(a), "forces": [0.3]}, False),
}
FAILURES = {
    "an error": (lambda _: 1 / 0, "raised", "ZeroDivisionError"),
    "no number": (lambda _: float("nan"), "not-finite", "nan"),
    "beyond bounds": (lambda _: 1e30, "not-finite", "1e[+]30"),
    "not converged": (lambda a: quacc_like(a, converged=False), "not-converged", "says converged = False"),
    "not converged, numpy": (lambda _: {"results": {"energy": -1.0, "converged": np.False_}}, "not-converged", "False"),
    "forces": (lambda a: task_document(a, is_force_converged=False), "not-converged", "is_force_converged = False"),
    "state": (lambda a: task_document(a, state=TaskState.FAILED), "not-converged", "state = 'unsuccessful'"),
    "changed": (
        lambda atoms: with_energy(sheared(atoms)),
        "changed",
        "relaxed into another structure: its cell changed shape",
    ),
}
for cases in (UNDERSTOOD, NOT_UNDERSTOOD, WITH_FORCES, FAILURES):
    HERE |= {name: case[0] for name, case in cases.items()}


def sheared(atoms):
    done = atoms.copy()
    done.set_cell(done.cell.array @ np.diag([0.86, 0.86, 1.3]), scale_atoms=True)
    return done


def outcome(tmp_path, case, executor=None, **settings):
    oracle = FunctionSettings(function="test_function_cases.answer", arguments={"case": case}, **settings)
    with open_workers(oracle, executor or InProcessSettings(), folder=tmp_path) as workers:
        return outcome_of(workers.submit(START, attempt=1))


@pytest.fixture(autouse=True)
def _cases(monkeypatch):
    monkeypatch.setitem(sys.modules, "test_function_cases", sys.modules[__name__])


@pytest.mark.parametrize("case", UNDERSTOOD)
def test_an_energy_is_understood_in_every_form_with_the_structure_that_has_it(tmp_path, case):
    found, scale = outcome(tmp_path, case), UNDERSTOOD[case][1]
    atoms = START.to_ase() if scale is None else grown(START.to_ase(), scale)
    assert found.energy_ev == pytest.approx(energy_of(atoms), abs=1e-6)
    assert (found.relaxed is None) is (scale is None)
    if scale is not None:
        np.testing.assert_allclose(found.relaxed.cell, START.cell * scale, atol=1e-9)
    assert found.wall_s > 0


@pytest.mark.parametrize("case", WITH_FORCES)
def test_a_structure_that_comes_back_with_large_forces_is_noted(tmp_path, case):
    note = "It came back with forces up to 0.30 eV/A: this is no relaxed structure, if that was meant."
    assert outcome(tmp_path, case).note == (note if WITH_FORCES[case][1] else "")


@pytest.mark.parametrize("case", NOT_UNDERSTOOD)
def test_what_is_not_understood_is_an_error_that_says_what_was_found(tmp_path, case):
    error = outcome(tmp_path, case)
    assert isinstance(error, OracleError)
    with pytest.raises(OracleError, match=rf"oracle\.function: .* returned for 'Cu' .*{NOT_UNDERSTOOD[case][1]}"):
        raise error


@pytest.mark.parametrize("case", FAILURES)
def test_what_fails_is_a_failure_with_its_reason(tmp_path, case):
    _, reason, sentence = FAILURES[case]
    with pytest.raises(AssertionError, match=sentence):
        raise AssertionError(outcome(tmp_path, case).sentence)
    assert outcome(tmp_path, case).reason == reason


def test_a_structure_that_became_another_one_may_be_kept(tmp_path):
    found = outcome(tmp_path, "changed", on_change="keep")
    assert "relaxed into another structure" in found.note
    assert outcome(tmp_path, "changed", max_strain=0.9, max_displacement=9.0).note == ""


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (
            "nowhere.energy",
            {},
            r"oracle\.function: expected the dotted path .* found 'nowhere\.energy': ModuleNotFoundError",
        ),
        ("test_function_cases.missing", {}, r"oracle\.function: .*AttributeError"),
        ("test_function_cases.START", {}, r"oracle\.function: expected a function, found that"),
        ("test_function_cases.answer", {"kase": "x"}, r"oracle\.arguments: .*unexpected keyword argument 'kase'"),
        ("test_function_cases.late", {}, r"oracle\.function: expected a function that returns, .* is `async`"),
        ("test_function_cases.two", {}, r"oracle\.arguments: .*missing a required argument: 'b'"),
    ],
)
def test_a_function_that_cannot_be_called_is_refused_before_any_cost(tmp_path, function, arguments, message):
    oracle = FunctionSettings(function=function, arguments=arguments)
    with pytest.raises(OracleError, match=message), open_workers(oracle, InProcessSettings(), folder=tmp_path):
        pass


async def late(atoms):
    return float(len(atoms))


def two(atoms, b):
    return atoms, b


RECIPES = """
from pathlib import Path
from ase.calculators.emt import EMT

def energy(atoms, shift=0.0, seconds=0.0, kind="number"):
    import time
    time.sleep(seconds)
    Path("seen.txt").write_text(atoms.info["id"])
    atoms.calc = EMT()
    total = atoms.get_potential_energy() + shift * len(atoms)
    return {"number": total, "nothing": None}[kind]
"""


@pytest.fixture
def campaign(tmp_path):
    cells = [
        (bulk("Cu"), "Cu"),
        (bulk("Au"), "Au"),
        (Atoms("CuAu", [[0, 0, 0], [1.35, 1.35, 1.9]], cell=[2.7, 2.7, 3.8]), "CuAu"),
    ]
    for atoms, name in cells:
        atoms.pbc, atoms.info["id"] = True, name
    write(tmp_path / "cells.extxyz", [atoms for atoms, _ in cells])
    (tmp_path / "recipes.py").write_text(RECIPES)
    path = tmp_path / "function.toml"
    path.write_text(
        'name = "f"\nelements = ["Cu", "Au"]\npool = { path = "cells.extxyz" }\n'
        'oracle = { kind = "function", function = "recipes.energy", arguments = { shift = 1.0 } }\n'
        'executor = { kind = "in-process", keep_files = "calculations" }\nselect = { rule = "random" }\n'
    )
    yield path
    sys.modules.pop("recipes", None)


@pytest.mark.parametrize("executor", ["in-process", "processes", "dask"])
def test_a_campaign_is_run_by_a_function_beside_its_file_each_call_in_a_folder_of_its_own(campaign, tmp_path, executor):
    settings = [f"executor.kind={executor}", *(["executor.flow=rounds"] if executor != "in-process" else [])]
    result, known = run(Setup(read_origin(campaign, settings)), tmp_path / "out")
    assert result.n_calculations == len(known.pool)
    energies = [energy_of(known.pool.candidates[i].to_ase()) / known.pool.n_atoms[i] + 1.0 for i in known.answered]
    np.testing.assert_allclose(known.energies_ev_per_atom, energies, atol=1e-12)
    seen = {path.read_text() for path in (tmp_path / "out" / "calculations").rglob("seen.txt")}
    assert seen == set(known.pool.ids)
    assert "calculations" in json.loads(result.to_json())["timings_s"]


def test_what_is_not_understood_ends_the_run_and_is_asked_for_again(campaign, tmp_path, hullscout):
    code, text = hullscout("run", campaign, "--out", tmp_path / "out", "--set", "oracle.arguments.kind=nothing")
    assert code == 2
    assert "what is not understood: expected the energy of the cell in eV" in text
    assert "What was computed is kept; correct the function and run the same command again." in text
    ledger = Setup.read(tmp_path / "out").read_ledger(tmp_path / "out")
    assert (ledger.known.n_answered, ledger.known.n_failed, len(ledger.pending) > 0) == (0, 0, True)


def test_a_function_past_its_limit_is_ended(campaign, tmp_path):
    oracle = FunctionSettings(function="recipes.energy", arguments={"seconds": 600.0})
    executor = ProcessesSettings(time_limit_s=0.5)
    with open_workers(oracle, executor, folder=tmp_path, beside=str(campaign.parent)) as workers:
        assert outcome_of(workers.submit(START, attempt=1)).reason == "timed-out"


@dataclass
class StaticMaker:
    """The shape of a maker of jobflow."""

    shift: float = 0.0

    def make(self, structure):
        from pymatgen.core import Structure

        assert isinstance(structure, Structure)
        return task_document(structure.to_ase_atoms())


def test_a_maker_is_made_with_the_arguments_and_given_pymatgens_structure(tmp_path):
    oracle = FunctionSettings(function="test_function_cases.StaticMaker", arguments={"shift": 1.0})
    with open_workers(oracle, InProcessSettings(), folder=tmp_path) as workers:
        assert outcome_of(workers.submit(START, attempt=1)).energy_ev == pytest.approx(
            energy_of(START.to_ase()), abs=1e-6
        )
    wrong = FunctionSettings(function="test_function_cases.StaticMaker", arguments={"sift": 1.0})
    with pytest.raises(OracleError, match="'sift'"), open_workers(wrong, InProcessSettings(), folder=tmp_path):
        pass


@pytest.mark.parametrize("recipe", ["static_job", "relax_job"])
def test_a_recipe_of_quacc_is_used_as_it_is(tmp_path, recipe):
    pytest.importorskip("quacc")
    relax = {"relax_cell": True} if recipe == "relax_job" else {}
    oracle = FunctionSettings(function=f"quacc.recipes.emt.core.{recipe}", arguments=relax)
    with open_workers(oracle, ProcessesSettings(), folder=tmp_path) as workers:
        found = outcome_of(workers.submit(START, attempt=1))
    assert (found.relaxed is None) is (recipe == "static_job")
    atoms = (found.relaxed or START).to_ase()
    assert found.energy_ev == pytest.approx(energy_of(atoms), abs=1e-6)


@pytest.mark.filterwarnings("ignore:cd is deprecated:FutureWarning")  # jobflow's own
@pytest.mark.parametrize("form", ["job", "flow", "replaced"])
def test_a_job_or_flow_of_jobflow_is_run_where_it_is_returned(tmp_path, form, monkeypatch):
    jobflow = pytest.importorskip("jobflow")

    def compute(energy):
        return {"energy": energy}

    def replace(energy):
        return jobflow.Response(replace=jobflow.job(compute)(energy))

    def make(atoms):
        first = jobflow.job(replace if form == "replaced" else compute)(energy_of(atoms))
        return first if form == "job" else jobflow.Flow([first], output=first.output)

    monkeypatch.setitem(HERE, "jobflow", make)
    assert outcome(tmp_path, "jobflow").energy_ev == pytest.approx(energy_of(START.to_ase()), abs=1e-12)


@pytest.mark.filterwarnings("ignore:cd is deprecated:FutureWarning")
def test_a_flow_without_an_output_and_one_that_fails_are_said(tmp_path, monkeypatch):
    jobflow = pytest.importorskip("jobflow")

    def fail():
        raise RuntimeError("no licence")

    monkeypatch.setitem(HERE, "fails", lambda _: jobflow.job(fail)())
    assert (outcome(tmp_path, "fails").reason, "no licence" in outcome(tmp_path, "fails").sentence) == ("raised", True)
    monkeypatch.setitem(HERE, "silent", lambda _: jobflow.Flow([jobflow.job(fail)()]))
    assert "expected a flow with an output" in str(outcome(tmp_path, "silent"))
