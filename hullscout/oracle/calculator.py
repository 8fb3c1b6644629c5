"""One calculation by an ASE calculator: a structure in, an energy or a failure out. It knows of no campaign."""

from __future__ import annotations

import importlib
import json
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.errors import OracleError
from hullscout.oracle.outcome import (
    Calculated,
    Failed,
    FailureReason,
    Outcome,
    candidate_from_tree,
    candidate_to_tree,
    is_energy,
)
from hullscout.oracle.sameness import change_between
from hullscout.oracle.settings import CalculatorSettings
from hullscout.pool import Candidate

if TYPE_CHECKING:
    import ase


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a worker is given.

    Attributes:
        candidate: The structure.
        settings: How its energy is computed.
    """

    candidate: Candidate
    settings: CalculatorSettings

    def to_json(self) -> str:
        """The task on one line."""
        return json.dumps({"candidate": candidate_to_tree(self.candidate), "settings": self.settings.model_dump()})

    @classmethod
    def from_json(cls, line: str) -> Task:
        """The task of `to_json`."""
        tree = json.loads(line)
        return cls(
            candidate=candidate_from_tree(tree["candidate"]),
            settings=CalculatorSettings.model_validate(tree["settings"]),
        )


def make_calculator(settings: CalculatorSettings) -> Any:
    """The calculator that the settings name, made with their arguments.

    Raises:
        OracleError: It cannot be found, cannot be made, or is no ASE calculator.
    """
    from ase.calculators.calculator import get_calculator_class  # noqa: PLC0415  (late: ASE loads slowly)

    name = settings.calculator
    try:
        make = resolve(name) if "." in name else get_calculator_class(name)
    except (ImportError, AttributeError) as error:
        raise OracleError(
            f"oracle.calculator: expected a name that ASE knows (emt, gpaw, ...) or the dotted path of a class or function, "
            f"found {name!r}: {error}. Is its package installed where the calculations run?"
        ) from error
    try:
        calculator = make(**settings.arguments)
    except Exception as error:
        raise OracleError(
            f"oracle.arguments: {name!r} cannot be made with {settings.arguments}: {type(error).__name__}: {error}"
        ) from error
    if not hasattr(calculator, "get_potential_energy"):
        raise OracleError(f"oracle.calculator: expected an ASE calculator, found that {name!r} makes {calculator!r}.")
    return calculator


def resolve(path: str) -> Any:
    """The object at a dotted path.

    Raises:
        ImportError: There is no such module.
        AttributeError: The module holds no such name.
    """
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def calculate(task: Task) -> Outcome:
    """Compute the energy of a structure, relaxed as the settings say. Whatever the calculator raises becomes a failure."""
    began = time.perf_counter()
    outcome = _caught(task)
    return replace(outcome, wall_s=time.perf_counter() - began)


def _caught(task: Task) -> Outcome:
    try:
        return _calculate(task)
    except Exception as error:  # noqa: BLE001  (a calculator may raise anything; all of it is told)
        is_unconverged = any(
            "converge" in base.__name__.lower() or base.__name__ == "SCFError" for base in type(error).__mro__
        )
        reason = FailureReason.NOT_CONVERGED if is_unconverged else FailureReason.RAISED
        text = " ".join(str(error).split())
        return Failed(reason=reason, sentence=f"{type(error).__name__}: {text[:500]}" if text else type(error).__name__)


def _calculate(task: Task) -> Outcome:
    settings, candidate = task.settings, task.candidate
    atoms = candidate.to_ase()
    atoms.calc = make_calculator(settings)
    is_relaxed = True
    if settings.relax != "none":
        is_relaxed = _relax(atoms, settings)
    energy = float(atoms.get_potential_energy())
    if not is_energy(energy, len(atoms)):
        return Failed(reason=FailureReason.NOT_FINITE, sentence=f"The energy is {energy:g} eV.")
    if getattr(atoms.calc, "converged", None) is False:  # file-based codes say so and do not raise
        return Failed(
            reason=FailureReason.NOT_CONVERGED,
            sentence=f"The calculator says that the electrons did not converge (energy then: {energy:.6f} eV).",
        )
    if not is_relaxed:
        return Failed(
            reason=FailureReason.NOT_CONVERGED,
            sentence=f"The relaxation did not reach {settings.fmax:g} eV/Angstrom in {settings.max_steps} steps "
            f"(energy then: {energy:.6f} eV).",
        )
    if settings.relax == "none":
        return Calculated(energy_ev=energy)
    relaxed = Candidate(
        id=candidate.id, numbers=atoms.numbers, positions=atoms.positions, cell=np.asarray(atoms.cell, dtype=np.float64)
    )
    return judge(candidate, Calculated(energy_ev=energy, relaxed=relaxed), settings)


def judge(start: Candidate, answer: Calculated, settings: CalculatorSettings) -> Outcome:
    """The answer, or what becomes of it where the relaxed structure is another one than the start."""
    if answer.relaxed is None:
        return answer
    change = change_between(start, answer.relaxed)
    what = change.sentence(max_strain=settings.max_strain, max_displacement=settings.max_displacement)
    if not what:
        return answer
    sentence = f"It relaxed into another structure: {what} (energy there: {answer.energy_ev:.6f} eV)."
    if settings.on_change == "fail":
        return Failed(reason=FailureReason.CHANGED, sentence=sentence)
    return Calculated(energy_ev=answer.energy_ev, relaxed=answer.relaxed, note=sentence)


def _relax(atoms: ase.Atoms, settings: CalculatorSettings) -> bool:
    """Relax in place by BFGS; whether it converged."""
    from ase.filters import FrechetCellFilter  # noqa: PLC0415  (late: ASE loads slowly)
    from ase.optimize import BFGS  # noqa: PLC0415

    match settings.relax:
        case "cell":
            movable: Any = FrechetCellFilter(atoms)
        case "volume":
            movable = FrechetCellFilter(atoms, hydrostatic_strain=True)
        case _:
            movable = atoms
    return bool(BFGS(movable, logfile=None).run(fmax=settings.fmax, steps=settings.max_steps))
