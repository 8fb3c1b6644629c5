"""One calculation by a calculator or a function: a structure comes in, an energy or a failure goes out."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.display import class_names, told
from hullscout.errors import OracleError
from hullscout.oracle.function import answer_of, function_at, handed_over
from hullscout.oracle.outcome import (
    Calculated,
    Failed,
    FailureReason,
    Outcome,
    failure_of,
    fault_of,
    judge,
    real_number,
)
from hullscout.oracle.paths import OWN_FOLDER, is_missing_file
from hullscout.oracle.room import is_full, speaks_of_room
from hullscout.oracle.settings import CalculatorSettings, ComputedSettings, FunctionSettings
from hullscout.oracle.surroundings import kept_traces
from hullscout.pool import Candidate
from hullscout.pool.moments import moments_by_rule
from hullscout.settings import object_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ase

    from hullscout.oracle.settings import CalculatorSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """A calculator that this process made, of which class or function, with which arguments."""

    make: Any
    arguments: dict[str, Any]
    calculator: Any


MAX_TOLD = 500
"""Characters of an exception that are kept."""
_LAST: list[_Made] = []  # at most one
_OF_FILES = ("command", "profile", "txt", "log")
"""What calculators have that run a program or write as they go: these belong to the folder of one calculation."""


def calculator_for(settings: CalculatorSettings) -> Any:
    """The calculator that the settings name: the one that this process made last, where that is of the same and did not fail.

    A potential takes seconds to load and less to be asked. Made anew for each structure are calculators that ASE knows by name,
    and those that write files.
    """
    make = _maker(settings)
    for last in _LAST:
        if last.make is make and last.arguments == settings.arguments:
            getattr(last.calculator, "reset", lambda: None)()
            return last.calculator
    _LAST.clear()
    calculator = make_calculator(settings)
    if "." in settings.calculator and not any(hasattr(calculator, name) for name in _OF_FILES):
        _LAST.append(_Made(make=make, arguments=settings.arguments, calculator=calculator))
    return calculator


def _maker(settings: CalculatorSettings) -> Any:
    """The class or function that the settings name."""
    from ase.calculators.calculator import get_calculator_class  # noqa: PLC0415  (late: ASE loads slowly)

    name = settings.calculator
    try:
        return object_at(name) if "." in name else get_calculator_class(name)
    except (ImportError, AttributeError) as error:
        raise OracleError(
            f"oracle.calculator: expected a name that ASE knows (emt, gpaw, ...) or the dotted path of a class or function, "
            f"found {name!r}: {error}. Is its package installed where the calculations run?"
        ) from error


def make_calculator(settings: CalculatorSettings) -> Any:
    """The calculator that the settings name, made with their arguments."""
    make, name = _maker(settings), settings.calculator
    try:
        calculator = make(**settings.arguments)
    except Exception as error:
        advice = f". {OWN_FOLDER}" if is_missing_file(error) else _on_files(settings.arguments)
        raise OracleError(
            f"oracle.arguments: {name!r} cannot be made with {settings.arguments}: {told(error)}{advice}"
        ) from error
    if not hasattr(calculator, "get_potential_energy"):
        raise OracleError(f"oracle.calculator: expected an ASE calculator, found that {name!r} makes {calculator!r}.")
    return calculator


def _on_files(arguments: Mapping[str, Any]) -> str:
    """A sentence on files among arguments, which a calculator that cannot be made may not have understood; empty without any."""
    files = [value for value in arguments.values() if isinstance(value, str) and Path(value).is_file()]
    return f". Is {' and '.join(files)} whole, and such as this calculator reads?" if files else ""


def probe(settings: ComputedSettings) -> Outcome:
    """Whether the calculator can be made here, or the function called: before anything is paid for."""
    try:
        with kept_traces():
            function_at(settings) if isinstance(settings, FunctionSettings) else calculator_for(settings)
    except OracleError as error:
        return Failed(reason=FailureReason.RAISED, sentence=str(error))
    except BaseException as error:  # noqa: BLE001  its module or class may raise anything
        failed = failure_by(error)
        key = "function" if isinstance(settings, FunctionSettings) else "calculator"
        what = f"oracle.{key}: {getattr(settings, key)!r} cannot be made with {settings.arguments}: {failed.sentence}"
        return replace(failed, sentence=what)
    return Calculated(energy_ev=0.0)


def calculate(candidate: Candidate, settings: ComputedSettings) -> Outcome:
    """Compute the energy of a structure, relaxed as the settings say. Whatever the calculator raises becomes a failure."""
    began = time.perf_counter()
    try:
        with kept_traces():
            outcome = (
                _call(candidate, settings)
                if isinstance(settings, FunctionSettings)
                else _calculate(candidate, settings)
            )
    except BaseException as error:  # noqa: BLE001  (a calculator may raise anything; all of it is told)
        outcome = failure_by(error)
    if isinstance(outcome, Failed) and is_full(Path(os.curdir)):  # codes that are run say nothing of why they ended
        outcome = replace(outcome, reason=FailureReason.NO_ROOM)
    if isinstance(outcome, Failed):  # whatever state that left it in
        _LAST.clear()
    return replace(outcome, wall_s=time.perf_counter() - began)


def failure_by(error: BaseException) -> Failed:
    """The failure that an exception is."""
    names = class_names(error)
    is_unconverged = "SCFError" in names or any("converge" in name.lower() for name in names)
    reason = FailureReason.NOT_CONVERGED if is_unconverged else FailureReason.RAISED
    if speaks_of_room(error):
        reason = FailureReason.NO_ROOM
    advice = f". {OWN_FOLDER}" if is_missing_file(error) else ""
    return Failed(reason=reason, sentence=f"{told(error)[:MAX_TOLD]}{advice}")


def _call(candidate: Candidate, settings: FunctionSettings) -> Outcome:
    """What the function makes of a structure."""
    function = function_at(settings)
    atoms = _atoms(candidate, settings)
    before = atoms.copy()
    answer = answer_of(function(handed_over(atoms, settings)), candidate, settings)
    if not isinstance(answer, Calculated):
        return answer
    end = answer.relaxed
    is_same = all(
        np.array_equal(getattr(atoms, name), getattr(before, name)) for name in ("numbers", "positions", "cell")
    )
    if end is None and not is_same:  # relaxed where they were handed over
        end = Candidate.from_ase(atoms, candidate.id)
        answer = replace(answer, relaxed=end)
    if end is not None and end.handedness != candidate.handedness:
        answer = replace(answer, relaxed=replace(end, cell=-end.cell))
    return judge(candidate, answer, settings)


def _atoms(candidate: Candidate, settings: ComputedSettings) -> ase.Atoms:
    """The structure as codes take it: right-handed, since VASP and others refuse other cells, with its magnetic moments."""
    atoms = candidate.right_handed().to_ase()
    if candidate.magmoms is None and settings.magmoms:
        atoms.set_initial_magnetic_moments(moments_by_rule(candidate.numbers, settings.magmoms))
    return atoms


def _calculate(candidate: Candidate, settings: CalculatorSettings) -> Outcome:
    atoms = _atoms(candidate, settings)
    atoms.calc = calculator_for(settings)
    is_relaxed = settings.relax == "none" or _relax(atoms, settings)
    given = atoms.get_potential_energy()
    if failed := fault_of(candidate, atoms, given, settings):
        return failed
    energy = float(real_number(given) or 0.0)
    unconverged = ""
    if getattr(atoms.calc, "converged", None) is False:  # file-based codes say so and do not raise
        unconverged = "The calculator says that the electrons did not converge"
    elif not is_relaxed:
        unconverged = f"The relaxation did not reach {settings.fmax:g} eV/Angstrom in {settings.max_steps} steps"
    if failed := failure_of(energy, candidate.n_atoms, unconverged):
        return failed
    relaxed = None
    if settings.relax != "none":
        ended = Candidate.from_ase(atoms, candidate.id)
        relaxed = replace(ended, cell=candidate.handedness * ended.cell)
    return judge(candidate, Calculated(energy_ev=energy, relaxed=relaxed), settings)


def _relax(atoms: ase.Atoms, settings: CalculatorSettings) -> bool:
    """Relax in place by BFGS; whether it converged."""
    from ase.filters import FrechetCellFilter  # noqa: PLC0415  (late: ASE loads slowly)
    from ase.optimize import BFGS  # noqa: PLC0415

    class VolumeOnly(FrechetCellFilter):
        """A cell that keeps its shape, and atoms that stay at their fractions of it."""

        def get_forces(self, **how: Any) -> Any:
            """Those on the cell alone."""
            forces = super().get_forces(**how)  # type: ignore[no-untyped-call]
            forces[: len(self.atoms)] = 0.0
            return forces

    movable: Any = atoms
    if settings.relax != "positions":
        make: Any = VolumeOnly if settings.relax == "volume-only" else FrechetCellFilter
        movable = make(atoms, hydrostatic_strain=settings.relax != "cell-and-positions")
    return bool(BFGS(movable, logfile=None).run(fmax=settings.fmax, steps=settings.max_steps))
