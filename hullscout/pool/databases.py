"""ASE databases: SQLite (`.db`) or JSON, one row per candidate, its keys as columns.

The id is the key `name` where every row has one of its own, else `row-12` after the number that the database gives. Settings are
those that ASE keeps of the calculator. The database is only read, and from a copy.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hullscout.contents import raw_content
from hullscout.errors import InvalidPoolError, ResultError, UnsafeFileError
from hullscout.pool.ase_contents import SQLITE_MAGIC, refuse_objects_in, refuse_written, sqlite_rows, sqlite_tables
from hullscout.pool.calculations import ase_settings, plain_file
from hullscout.pool.entries import read_json
from hullscout.pool.forces import force_column, force_on, note_on_forces
from hullscout.pool.frames import UNREADABLE, FrameError, Frames, Gathered, one_energy, refuse_motion

if TYPE_CHECKING:
    from pathlib import Path

    import ase
    from ase.db.row import AtomsRow


def read_ase_database(path: Path) -> Frames:
    """All rows of an ASE database."""
    gathered = Gathered(path)
    try:
        content = raw_content(path)
        rows = _sqlite_rows(path, content, gathered) if content.startswith(SQLITE_MAGIC) else _json_rows(path, gathered)
    except UnsafeFileError as error:
        raise InvalidPoolError(str(error)) from error
    if not rows and not gathered.faults:
        raise _no_database(path, "no rows")
    names = [str(row.key_value_pairs.get("name", "")) for row in rows]
    has_names = all(names) and len(set(names)) == len(names)
    if any(names) and not has_names:
        gathered.note(_why_by_number(rows, names))
    forces: dict[str, float] = {}
    for row, name in zip(rows, names, strict=True):
        with gathered.reading(f"row {row.id}"):
            atoms, energy = row.toatoms(), row.get("energy")
            label = name if has_names else f"row-{row.id}"
            force = force_on(atoms)
            columns = {**_columns_of(row, atoms), **force_column(force)}
            gathered.add(atoms, name=label, energy_ev=None if energy is None else one_energy(energy), columns=columns)
            forces[label] = force or 0.0
    if note := note_on_forces(forces):
        gathered.note(note)
    return gathered.finish()


def _why_by_number(rows: list[AtomsRow], names: list[str]) -> str:
    """A sentence on names that cannot serve as ids."""
    seen: dict[str, int] = {}
    for row, name in zip(rows, names, strict=True):
        if not name:
            return f"The key `name` is no id, since row {row.id} has none: rows are named by their number."
        if name in seen:
            both = f"{seen[name]} and {row.id} are both {name!r}"
            return f"The key `name` is no id, since the rows {both}: rows are named by their number."
        seen[name] = row.id
    raise AssertionError("every row has a name of its own")


def _sqlite_rows(path: Path, content: bytes, gathered: Gathered) -> list[AtomsRow]:
    """The sound rows of an SQLite database, read from a copy: what is opened may be written to."""
    from ase.db import connect  # noqa: PLC0415  (late: ASE loads slowly)

    refuse_written(path)
    rows: list[AtomsRow] = []
    with plain_file(content, "pool.db") as plain:
        try:
            tables = sqlite_tables(plain)
            if "systems" not in tables:
                raise _no_database(path, f"an SQLite database with the tables {', '.join(sorted(tables)) or 'none'}")
            faults = sqlite_rows(plain)
            with connect(str(plain), type="db", use_lock_file=False) as database:
                for number, fault in sorted(faults.items()):
                    with gathered.reading(f"row {number}"):
                        if fault:
                            raise FrameError(fault)
                        rows.append(database.get(id=number, include_data=False))
        except InvalidPoolError:
            raise
        except UNREADABLE as error:
            raise _no_database(path, f"{type(error).__name__}: {error}") from error
    return rows


def _json_rows(path: Path, gathered: Gathered) -> list[AtomsRow]:
    """The sound rows of a JSON database."""
    from ase.db.row import AtomsRow  # noqa: PLC0415  (late: ASE loads slowly)
    from ase.io.jsonio import decode  # noqa: PLC0415

    tree = read_json(path)
    if not isinstance(tree, dict) or not isinstance(ids := tree.get("ids"), list):
        raise _no_database(path, "JSON without a list of ids")
    rows: list[AtomsRow] = []
    for number in ids:
        with gathered.reading(f"row {str(number)[:20]}"):
            if (
                isinstance(number, bool)
                or not isinstance(number, int)
                or not isinstance(row := tree.get(str(number)), dict)
            ):
                raise FrameError("expected a row of this number, found none")
            refuse_objects_in({key: value for key, value in row.items() if key != "data"})
            stated = decode(json.dumps({key: value for key, value in row.items() if key != "data"}))
            rows.append(AtomsRow({**stated, "id": number}))
    return sorted(rows, key=lambda row: row.id)


def _columns_of(row: AtomsRow, atoms: ase.Atoms) -> dict[str, object]:
    """The keys of a row and the settings of its calculator; a FrameError where it is no energy of a structure at rest."""
    stated = dict(row.key_value_pairs)
    try:
        settings = ase_settings(row.get("calculator", ""), dict(row.get("calculator_parameters") or {}), atoms)
    except ResultError as error:
        raise FrameError(str(error).removesuffix(".")) from error
    if row.get("energy") is not None:
        refuse_motion(atoms)
    return {**stated, **settings}


def _no_database(path: Path, found: str) -> InvalidPoolError:
    return InvalidPoolError(f"{path}: expected an ASE database with candidates, found {found}. Write it by ase.db.")
