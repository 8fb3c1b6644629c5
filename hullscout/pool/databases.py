"""ASE databases: SQLite (`.db`) or JSON, one row per candidate, its keys as columns.

The id is the key `name` where every row has one of its own, else `row-12` after the number that the database gives. Settings are
those that ASE keeps of the calculator. The database is only read.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from hullscout.errors import InvalidPoolError, ResultError
from hullscout.pool.calculations import ase_settings, largest_force, note_on_forces
from hullscout.pool.frames import UNREADABLE, FrameError, Frames, Gathered

if TYPE_CHECKING:
    from pathlib import Path

    import ase
    from ase.db.row import AtomsRow

SQLITE_MAGIC = b"SQLite format 3\0"
_MOVING = 1e-6  # momenta above this, in ASE's units


def read_ase_database(path: Path) -> Frames:
    """All rows of an ASE database."""
    from ase.db import connect  # noqa: PLC0415  (late: ASE loads slowly)

    with path.open("rb") as stream:
        is_sqlite = stream.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC
    if is_sqlite:
        _refuse_foreign_tables(path)
    gathered = Gathered(path)
    try:
        database = connect(str(path), type="db" if is_sqlite else "json", use_lock_file=False)
        rows = sorted(database.select(), key=lambda row: row.id)
    except (*UNREADABLE, sqlite3.Error) as error:
        raise _no_database(path, f"{type(error).__name__}: {error}") from error
    if not rows:
        raise _no_database(path, "no rows")
    names = [str(row.key_value_pairs.get("name", "")) for row in rows]
    has_names = all(names) and len(set(names)) == len(names)
    forces: dict[str, float] = {}
    for row, name in zip(rows, names, strict=True):
        with gathered.reading(f"row {row.id}"):
            atoms, energy = row.toatoms(), row.get("energy")
            label = name if has_names else f"row-{row.id}"
            columns = _columns_of(row, atoms)
            gathered.add(atoms, name=label, energy_ev=None if energy is None else float(energy), columns=columns)
            forces[label] = _force_on(atoms) or 0.0
    if note := note_on_forces(forces):
        gathered.note(note)
    return gathered.finish()


def _force_on(atoms: Any) -> float | None:
    """The largest force on an atom that is free to move, in eV/A; None where the row states none."""
    results = getattr(atoms.calc, "results", {})
    return largest_force(atoms.get_forces()) if "forces" in results else None


def _columns_of(row: AtomsRow, atoms: ase.Atoms) -> dict[str, object]:
    """The keys of a row and the settings of its calculator; a FrameError where it is no energy of a structure at rest."""
    stated = dict(row.key_value_pairs)
    try:
        settings = ase_settings(row.get("calculator", ""), dict(row.get("calculator_parameters") or {}), atoms)
    except ResultError as error:
        raise FrameError(str(error).removesuffix(".")) from error
    is_moving = atoms.has("momenta") and abs(atoms.get_momenta()).max() > _MOVING
    if is_moving and row.get("energy") is not None:
        raise FrameError("expected a structure at rest, found one of molecular dynamics, with velocities")
    return {**stated, **settings}


def _refuse_foreign_tables(path: Path) -> None:
    """ASE would make its tables in a database that has none, so look first whether it is whole and ASE's."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error as error:
        raise _no_database(path, str(error)) from error
    if "systems" not in tables:
        raise _no_database(path, f"an SQLite database with the tables {', '.join(sorted(tables)) or 'none'}")


def _no_database(path: Path, found: str) -> InvalidPoolError:
    return InvalidPoolError(f"{path}: expected an ASE database with candidates, found {found}. Write it by ase.db.")
