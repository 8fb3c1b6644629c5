"""One calculation from any other file that ASE reads: trajectories, extended XYZ, databases, `.gpw` and what else there is.

Whether the electrons converged cannot be told from these. Of the atoms the forces tell something: a trajectory of several steps is
a relaxation, which may not end with large ones; a single structure may be meant as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.errors import ResultError
from hullscout.pool.calculations.ase_settings import ase_settings
from hullscout.pool.calculations.calculation import (
    MAX_FORCE,
    Calculation,
    another_kind,
    largest_force,
    stated_unconverged,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_MOVED = 1e-6  # A, and A sqrt(u / eV) of momenta


def read_ase_file(file: Path) -> Calculation:
    """The last structure with an energy; a ResultError where there are several different ones."""
    from ase.io import read  # noqa: PLC0415  (late: ASE loads slowly)
    from ase.io.formats import filetype  # noqa: PLC0415

    kind = filetype(str(file))
    try:
        images: Any = read(file, index=slice(-2, None), format=kind)
    except (TypeError, NotImplementedError):  # a format of one structure
        images = read(file, index=-1, format=kind)
    images = images if isinstance(images, list) else [images]
    atoms = images[-1]
    if any(not np.array_equal(np.sort(other.numbers), np.sort(atoms.numbers)) for other in images):
        raise ResultError(f"{file.name}: expected one structure, found several of different atoms. Give each a file.")
    energy = float(atoms.get_potential_energy())
    stated = {**atoms.info, **dict(atoms.info.get("key_value_pairs") or {})}
    if atoms.has("momenta") and np.abs(atoms.get_momenta()).max() > _MOVED:
        raise another_kind("molecular dynamics (atoms with velocities)")
    force = largest_force(atoms.get_forces() if "forces" in atoms.calc.results else None)
    unconverged, is_path = stated_unconverged(stated), len(images) > 1 and _has_moved(images[0], atoms)
    if not unconverged and is_path and force is not None and force > MAX_FORCE:
        unconverged = f"The atoms did not come to rest: a trajectory ends with a largest force of {force:.3g} eV/A"
    calculator = atoms.calc
    atoms.pbc = True
    return Calculation(
        atoms=atoms,
        energy_ev=energy,
        columns=ase_settings(str(calculator.name), calculator.parameters or {}, atoms),
        unconverged=unconverged,
        max_force=force,
        untested="" if unconverged or _states_convergence(stated) else f"Files of kind {kind}",
    )


def _states_convergence(stated: Mapping[str, object]) -> bool:
    return any(str(key).lower() == "converged" for key in stated)


def _has_moved(start: Any, end: Any) -> bool:
    """Whether atoms or cell of two steps differ."""
    if len(start) != len(end):
        return False
    moved = max(np.abs(start.positions - end.positions).max(), np.abs(start.cell.array - end.cell.array).max())
    return bool(moved > _MOVED)
