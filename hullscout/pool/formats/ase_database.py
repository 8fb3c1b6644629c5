"""ASE databases, SQLite (`.db`) or JSON: one row per candidate, its keys as columns.

The id is the key `name` where every row has one of its own, else `row-12` after the number that the database gives.
Settings are those that ASE keeps of the calculator. The database is only read.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.errors import InvalidPoolError
from hullscout.pool.formats.gathering import Gathered, coarsest_k_spacing
from hullscout.pool.frames import UNREADABLE

if TYPE_CHECKING:
    from pathlib import Path

    from hullscout.pool.frames import Frames

SQLITE_MAGIC = b"SQLite format 3\0"
_PARAMETERS = {
    "xc": "functional",
    "encut": "cutoff",
    "ecut": "cutoff",
    "pp": "pseudopotentials",
    "kspacing": "kspacing",
}
_DEFAULT_NAME = "row-{}"


def read_ase_database(path: Path) -> Frames:
    """All rows of an ASE database.

    Raises:
        InvalidPoolError: no database of ASE, or a row that cannot be read.
    """
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
    for row, name in zip(rows, names, strict=True):
        label = name if has_names else _DEFAULT_NAME.format(row.id)
        try:
            atoms = row.toatoms()
            energy = row.get("energy")
            columns = {**row.key_value_pairs, **_settings(row, atoms)}
        except UNREADABLE as error:
            gathered.faults.append(f"row {row.id}: not readable: {type(error).__name__}: {error}")
        else:
            gathered.add(atoms, name=label, energy_ev=None if energy is None else float(energy), columns=columns)
    return gathered.finish()


def _settings(row: Any, atoms: Any) -> dict[str, Any]:
    """The calculator's name and those of its parameters that are settings."""
    parameters = dict(row.get("calculator_parameters") or {})
    found: dict[str, Any] = {"code": row.get("calculator", "")}
    found |= {name: parameters[key] for key, name in _PARAMETERS.items() if key in parameters}
    mode = parameters.get("mode")
    if isinstance(mode, dict) and "ecut" in mode:
        found["cutoff"] = mode["ecut"]
    for symbol, values in dict(parameters.get("ldau_luj") or {}).items():
        found[f"hubbard_u_{symbol}"] = float(values.get("U", 0.0)) - float(values.get("J", 0.0))
    mesh = parameters.get("kpts")
    mesh = mesh.get("size") if isinstance(mesh, dict) else mesh
    if mesh is not None and np.shape(mesh) == (3,):
        found |= coarsest_k_spacing(np.array(atoms.cell), mesh)
    return found


def _refuse_foreign_tables(path: Path) -> None:
    """ASE would make its tables in a database that has none, so look first.

    Raises:
        InvalidPoolError: the SQLite database is damaged or not ASE's.
    """
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error as error:
        raise _no_database(path, str(error)) from error
    if "systems" not in tables:
        raise _no_database(path, f"an SQLite database with the tables {', '.join(sorted(tables)) or 'none'}")


def _no_database(path: Path, found: str) -> InvalidPoolError:
    return InvalidPoolError(f"{path}: expected an ASE database with candidates, found {found}. Write it by ase.db.")
