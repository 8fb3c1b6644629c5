"""One calculation from any other file that ASE reads: trajectories, extended XYZ, databases, `.gpw` and what else there is.

Whether the electrons converged cannot be told from these. Of the atoms the forces tell something: a trajectory of several steps is
a relaxation, which may not end with large ones; a single structure may be meant as it is.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.contents import content_of
from hullscout.errors import InvalidPoolError, ResultError
from hullscout.files import without_compression
from hullscout.pool.ase_contents import SQLITE_MAGIC, refuse_objects, refuse_written, sqlite_rows, sqlite_tables
from hullscout.pool.calculations.ase_settings import ase_settings
from hullscout.pool.calculations.calculation import Calculation, another_kind, plain_file, stated_unconverged
from hullscout.pool.extxyz import parse_frames
from hullscout.pool.forces import MAX_FORCE, largest_force
from hullscout.pool.frames import FrameError, one_energy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_READ = frozenset(
    {
        "abinit-out", "aims-output", "castep-castep", "db", "espresso-out", "extxyz", "gaussian-out", "gpaw-out", "gpw", "json",
        "nwchem-out", "orca-output", "traj", "vasp-out", "vasp-xml", "xyz",
    }
)  # fmt: skip
"""Formats whose readers in ASE take text or plain data, and make nothing else of it."""
_HEAD, _LATTICE = 200_000, b"Lattice="
_MOVED = 1e-6  # A, and A sqrt(u / eV) of momenta


def read_ase_file(file: Path) -> Calculation:
    """The last structure with an energy; a ResultError where there are several different ones."""
    content = content_of(file)
    if content.startswith(SQLITE_MAGIC):
        refuse_written(file)
    try:
        refuse_objects(content)
        _refuse_faulty_extxyz(file, content)
        kind, images = _images(content, PurePath(without_compression(file.name)).suffix.lower())
    except FrameError as error:
        raise ResultError(f"{file.name}: {error}.") from error
    images = images if isinstance(images, list) else [images]
    atoms = images[-1]
    if any(not np.array_equal(np.sort(other.numbers), np.sort(atoms.numbers)) for other in images):
        raise ResultError(f"{file.name}: expected one structure, found several of different atoms. Give each a file.")
    energy = one_energy(atoms.get_potential_energy())
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


def _refuse_faulty_extxyz(file: Path, content: bytes) -> None:
    """A FrameError for extended XYZ of which ASE would take what is stated twice, or half."""
    first, _, rest = content[:_HEAD].partition(b"\n")
    if first.strip().isdigit() and _LATTICE in rest.partition(b"\n")[0]:
        try:
            faults = parse_frames(content, path=file).faults
        except InvalidPoolError as error:
            faults = (" ".join(str(error).removeprefix(f"{file}: ").split())[:300].rstrip("."),)
        if faults:
            raise FrameError(faults[0])


def _images(content: bytes, suffix: str) -> tuple[str, Any]:
    """ASE's name of a format, of those that are text or plain data, and the last two structures of a content in it.

    The content is read from a copy beside which there is nothing: some readers open other files that they find, or are told of.
    """
    from ase.io import read  # noqa: PLC0415  (late: ASE loads slowly)
    from ase.io.formats import filetype  # noqa: PLC0415

    with plain_file(content, f"result{suffix if suffix.isascii() and suffix[1:].isalnum() else ''}") as plain:
        if content.startswith(SQLITE_MAGIC):
            sqlite_tables(plain)
            if fault := next((fault for fault in sqlite_rows(plain).values() if fault), ""):
                raise FrameError(fault)
        kind = filetype(str(plain))
        if kind not in _READ:
            raise FrameError(f"expected a file of a kind that is read ({', '.join(sorted(_READ))}), found {kind}")
        try:
            return kind, read(plain, index=slice(-2, None), format=kind, do_not_split_by_at_sign=True)
        except (TypeError, NotImplementedError):  # a format of one structure
            return kind, read(plain, index=-1, format=kind, do_not_split_by_at_sign=True)


def _states_convergence(stated: Mapping[str, object]) -> bool:
    return any(str(key).lower() == "converged" for key in stated)


def _has_moved(start: Any, end: Any) -> bool:
    """Whether atoms or cell of two steps differ."""
    if len(start) != len(end):
        return False
    moved = max(np.abs(start.positions - end.positions).max(), np.abs(start.cell.array - end.cell.array).max())
    return bool(moved > _MOVED)
