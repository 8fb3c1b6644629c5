"""A function as the source of energies: how it is called, and what is understood of what it returns.

It is called with `ase.Atoms` and the arguments of the campaign file, and returns the total energy of the cell in eV: as a number,
as atoms whose calculator holds it, or as a results dictionary or document with the energy and the structure that has it, as the
recipes of quacc and the documents of atomate2 are. A job or flow of jobflow that it returns is run here; a maker of jobflow makes
one. What is not understood is never guessed at.
"""

from __future__ import annotations

import inspect
import sys
from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hullscout.display import class_names, told
from hullscout.errors import HullscoutError, OracleError
from hullscout.oracle.outcome import Calculated, Failed, FailureReason, failure_of
from hullscout.oracle.paths import OWN_FOLDER, is_missing_file
from hullscout.pool import Candidate
from hullscout.pool.forces import MAX_FORCE, largest_force
from hullscout.settings import object_at

if TYPE_CHECKING:
    from collections.abc import Callable

    import ase
    from pymatgen.core.structure import Structure

    from hullscout.oracle.outcome import Outcome
    from hullscout.oracle.settings import FunctionSettings

SAME_EV_PER_ATOM = 1e-6
"""Energies of one result that differ by at most this are one energy."""
_SAYS_CONVERGED = ("converged", "is_converged", "has_converged", "is_force_converged")
_COUNTS = ("natoms", "nsites")
_ENDED_BADLY = {"unsuccessful", "failed", "error"}
EXPECTED = (
    "expected the energy of the cell in eV: a number, ase.Atoms whose calculator holds it, or results with "
    '`results["energy"]`, `output.energy` or `energy`'
)


class NotUnderstoodError(HullscoutError):
    """What a function returned is no energy; the message says what was expected and what was found."""


def function_at(settings: FunctionSettings) -> Callable[[Any], Any]:
    """What is called with a structure; an OracleError where there is none, or where its arguments are not those of the settings."""
    name = settings.function
    try:
        given = object_at(name)
    except Exception as error:  # a module may raise anything when it is imported
        raise OracleError(
            f"oracle.function: expected the dotted path of a function, as package.module.function, found {name!r}: "
            f"{told(error)}. Is its package installed where the calculations run, or its module beside the "
            "campaign file?"
        ) from error
    is_maker = _is_maker(given)
    try:
        if is_maker and isinstance(given, type):
            return given(**settings.arguments).make  # type: ignore[no-any-return]
        called = given.make if is_maker else given
        if callable(called):
            _refuse_other_arguments(called, settings.arguments)
    except Exception as error:
        advice = f" {OWN_FOLDER}" if is_missing_file(error) else ""
        raise OracleError(
            f"oracle.arguments: {name!r} cannot be called with atoms and {settings.arguments or 'no arguments'}: "
            f"{told(error)}.{advice}"
        ) from error
    if inspect.iscoroutinefunction(called):
        raise OracleError(
            f"oracle.function: expected a function that returns, found that {name!r} is `async`. Name one that is not."
        )
    if not callable(called):
        raise OracleError(f"oracle.function: expected a function, found that {name!r} is {called!r}.")
    return partial(called, **settings.arguments)


def handed_over(atoms: ase.Atoms, settings: FunctionSettings) -> ase.Atoms | Structure:
    """The structure as the function wants it: makers of jobflow take pymatgen's."""
    if not _is_maker(object_at(settings.function)):
        return atoms
    from pymatgen.io.ase import AseAtomsAdaptor  # noqa: PLC0415  (late: slow to import)

    bare = atoms.copy()
    bare.info = {}
    made: Structure = AseAtomsAdaptor.get_structure(bare)
    return made


def answer_of(returned: Any, start: Candidate, settings: FunctionSettings) -> Outcome:
    """The energy and structure in what a function returned, or why it is none; what is not understood says so."""
    try:
        energy, atoms, unconverged, forces = _understood(_run_by_jobflow(returned), start.n_atoms)
        relaxed = None if atoms is None else Candidate.from_ase(atoms, start.id)
        if relaxed is not None and not np.array_equal(np.sort(relaxed.numbers), np.sort(start.numbers)):
            raise NotUnderstoodError(
                f"expected the energy of the cell that was handed over, {start.n_atoms} atoms of {start.formula}, found one of "
                f"{relaxed.n_atoms} atoms of {relaxed.formula}. Return the energy of the cell that is given"
            )
    except HullscoutError as error:
        sentence = f"oracle.function: {settings.function!r} returned for {start.id!r} what is not understood: {error}."
        return Failed(reason=FailureReason.NOT_UNDERSTOOD, sentence=sentence.replace("..", "."))
    note = "" if relaxed is None else _note_on_forces(forces, start)
    return failure_of(energy, start.n_atoms, unconverged) or Calculated(energy_ev=energy, relaxed=relaxed, note=note)


def _is_maker(given: Any) -> bool:
    """Whether it makes jobs of jobflow: a class of makers, or one of them."""
    return callable(getattr(given, "make", None)) and (isinstance(given, type) or not callable(given))


def _refuse_other_arguments(function: Callable[..., Any], arguments: dict[str, Any]) -> None:
    try:
        signature = inspect.signature(function)
    except ValueError:  # some that are written in C say nothing
        return
    signature.bind(None, **arguments)


def _run_by_jobflow(returned: Any) -> Any:
    """The output of a job or flow of jobflow, run in this process and folder; anything else as it is."""
    if "jobflow" not in sys.modules:  # which has made it, if it is one
        return returned
    from jobflow.core.flow import Flow  # noqa: PLC0415  not needed by others
    from jobflow.core.job import Job  # noqa: PLC0415
    from jobflow.core.reference import find_and_resolve_references  # noqa: PLC0415
    from jobflow.core.store import JobStore  # noqa: PLC0415
    from jobflow.managers.local import run_locally  # noqa: PLC0415
    from maggma.stores import MemoryStore  # noqa: PLC0415

    if not isinstance(returned, Job | Flow):
        return returned
    if returned.output is None:
        raise NotUnderstoodError("expected a flow with an output, found none. Make it as Flow(jobs, output=job.output)")
    output, store = returned.output, JobStore(MemoryStore())
    store.connect()
    run_locally(returned, log=False, store=store, ensure_success=True, raise_immediately=True)
    return find_and_resolve_references(output, store)


class _Understood(NamedTuple):
    """What a function's result says: the energy in eV, and what stands beside it, if anything."""

    energy_ev: float
    structure: Any = None
    unconverged: str = ""  #: what did not converge
    forces: Any = None


def _understood(returned: Any, n_atoms: int) -> _Understood:
    returned = _plain(returned)
    if isinstance(returned, Real) and not isinstance(returned, bool):
        return _Understood(float(returned))
    if hasattr(returned, "get_potential_energy"):
        return _of_atoms(returned)
    if returned is None or isinstance(returned, bool | str | bytes | list | tuple | set | np.ndarray):
        raise NotUnderstoodError(f"{EXPECTED}; found {_shown(returned)}")
    return _of_results(returned, n_atoms)


def _of_atoms(atoms: Any) -> _Understood:
    calculator = getattr(atoms, "calc", None)
    if calculator is None or not hasattr(atoms, "positions"):
        what = "atoms without a calculator" if hasattr(atoms, "positions") else f"a calculator, {type(atoms).__name__}"
        hint = "" if hasattr(atoms, "positions") else '. For an ASE calculator set oracle.kind = "calculator"'
        raise NotUnderstoodError(f"{EXPECTED}; found {what}{hint}")
    try:
        energy = float(atoms.get_potential_energy())
    except NotImplementedError as error:
        raise NotUnderstoodError(f"{EXPECTED}; found atoms whose calculator holds no energy of them") from error
    is_unconverged = getattr(calculator, "converged", None) is False
    unconverged = "The calculator says that it did not converge" if is_unconverged else ""
    return _Understood(energy, atoms, unconverged, _at(calculator, "results", "forces"))


def _of_results(tree: Any, n_atoms: int) -> _Understood:
    """What a results dictionary, or a document with the same by attributes, says."""
    places = {
        '["results"]["energy"]': _at(tree, "results", "energy"),
        "output.energy": _at(tree, "output", "energy"),
        "energy": _at(tree, "energy"),
    }
    stated = {place: _plain(value) for place, value in places.items() if value is not None}
    if not stated:
        raise NotUnderstoodError(f"{EXPECTED}; found {_shown(tree)}")
    for place, value in stated.items():
        if isinstance(value, bool) or not isinstance(value, Real):
            raise NotUnderstoodError(f"expected {place} as one number in eV of the cell, found {_shown(value)}")
    energies = [float(value) for value in stated.values()]
    if max(energies) - min(energies) > SAME_EV_PER_ATOM * n_atoms:
        shown = ", ".join(f"{place} = {value}" for place, value in stated.items())
        raise NotUnderstoodError(f"expected one energy, found several that differ: {shown}. Return the one that counts")
    for name in _COUNTS:
        count = _at(tree, name)
        if count is not None and count != n_atoms:
            raise NotUnderstoodError(
                f"expected results of the cell of {n_atoms} atoms that was handed over, found {name} = {count}"
            )
    structures = (
        _at(tree, "output", "structure"),
        _at(tree, "structure"),
        _at(tree, "output", "atoms"),
        _at(tree, "atoms"),
    )
    found = next((one for one in structures if one is not None), None)
    forces = (_at(tree, *names, "forces") for names in (("results",), ("output",), ()))
    return _Understood(
        energies[0],
        None if found is None else _decoded(found),
        _unconverged(tree),
        next((one for one in forces if one is not None), None),
    )


def _note_on_forces(forces: Any, start: Candidate) -> str:
    """A sentence on forces (n, 3) in eV/A that are too large for a structure at rest; empty where there are none."""
    if np.shape(forces) != (start.n_atoms, 3):
        return ""
    force = largest_force(forces)
    if force is None or force <= MAX_FORCE:
        return ""
    return f"It came back with forces up to {force:.2f} eV/A: this is no relaxed structure, if that was meant."


def _unconverged(tree: Any) -> str:
    """What a result says of not having converged; nothing where it says nothing of it."""
    for place in (tree, _at(tree, "results"), _at(tree, "output")):
        for name in _SAYS_CONVERGED:
            if isinstance(said := _plain(_at(place, name)), bool) and not said:
                return f"The function says {name} = False"
    state = _at(tree, "state")
    state = getattr(state, "value", state)
    return f"The function says state = {state!r}" if isinstance(state, str) and state.lower() in _ENDED_BADLY else ""


def _at(tree: Any, *names: str) -> Any:
    """What stands in a dictionary or document under these names; None where nothing does."""
    for name in names:
        tree = tree.get(name) if isinstance(tree, dict) else getattr(tree, name, None)
        if callable(tree):  # a method of another kind of object
            return None
    return tree


def _plain(value: Any) -> Any:
    """A number that is an array or tensor without dimensions as Python's own; anything else as it is."""
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value


def _decoded(structure: Any) -> Any:
    """A structure; one that is written out as a dictionary is read by monty."""
    if not isinstance(structure, dict):
        return structure
    from monty.json import MontyDecoder  # noqa: PLC0415  (late: slow to import)

    return MontyDecoder().process_decoded(structure)


def _shown(value: Any) -> str:
    """What something is, in a few words."""
    if isinstance(value, dict):
        return f"a dictionary with {', '.join(map(str, list(value)[:8])) or 'nothing in it'}"
    if value is None:
        return "nothing (None). Raise an error where there is no energy"
    text = " ".join(repr(value).split())
    return f"{class_names(value)[0]} {text[:80]}"
