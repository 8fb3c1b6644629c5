"""A folder tree of VASP calculations: the `vasprun.xml` of each is a candidate with its final structure and energy.

The energy is that for zero smearing. The id is the path of the calculation's folder. Of a relaxation in several runs, kept under
the names that custodian gives (`vasprun.xml.relax1`, `.relax2`), the last counts. Settings are functional, cutoff, +U,
potentials and the coarsest spacing of the k-points. A CSV table in the top folder may state further columns by `id`.
"""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.errors import InvalidPoolError
from hullscout.pool.formats.csv_table import find_tables, read_table
from hullscout.pool.formats.gathering import Gathered, coarsest_k_spacing, potentials
from hullscout.pool.frames import UNREADABLE, natural_key

if TYPE_CHECKING:
    from pathlib import Path

    from hullscout.pool.frames import Frames

_NAME = re.compile(r"(?P<stem>.*vasprun.*?)\.xml(\.relax(?P<run>\d+))?(\.(gz|bz2|xz))?")


class _UnusableError(Exception):
    """One calculation states no energy that can be used; the others still can."""


def find_vaspruns(folder: Path) -> list[Path]:
    """Files anywhere in a folder whose name holds `vasprun` and ends in `.xml` or `.xml.relaxN`, also compressed.

    Of runs that follow each other in one folder under one name (`.relax1`, `.relax2`, then without a number) only the last.
    """
    runs: defaultdict[tuple[Path, str], list[tuple[float, Path]]] = defaultdict(list)
    for path in folder.rglob("*vasprun*"):
        named = _NAME.fullmatch(path.name)
        if named is not None and path.is_file() and not path.name.startswith("."):
            runs[path.parent, named["stem"]].append((float(named["run"] or np.inf), path))
    found = [path for group in runs.values() for number, path in group if number == max(group)[0]]
    return sorted(found, key=lambda path: natural_key(path.relative_to(folder).as_posix()))


def read_vaspruns(path: Path) -> Frames:
    """All calculations of a folder tree.

    Raises:
        InvalidPoolError: no calculation; some that are cut off or not converged; a table that does not fit.
    """
    files = find_vaspruns(path) if path.is_dir() else []
    if not files:
        raise InvalidPoolError(
            f"{path}: expected a folder with vasprun.xml files in it, found none. Name their folder."
        )
    stated = _stated_by_table(path)
    gathered = Gathered(path)
    names = [_id(file, path) for file in files]
    for file, name in zip(files, names, strict=True):
        try:
            structure, energy, settings = _read(file)
        except _UnusableError as error:
            gathered.faults.append(f"{file.relative_to(path).as_posix()}: {error}")
        else:
            gathered.add(structure, name=name, energy_ev=energy, columns={**stated.get(name, {}), **settings})
    gathered.faults += [
        f"the table states {name!r}: there is no such calculation" for name in stated.keys() - set(names)
    ]
    return gathered.finish()


def _id(file: Path, folder: Path) -> str:
    """The path of the calculation's folder; that of the file without suffix where it has a name of its own."""
    relative = file.relative_to(folder)
    stem = file.name[: file.name.index(".xml")]
    if stem == "vasprun":
        return folder.resolve().name if relative.parent.as_posix() == "." else relative.parent.as_posix()
    return relative.with_name(stem).as_posix()


def _stated_by_table(folder: Path) -> dict[str, dict[str, str]]:
    """Columns by id of the CSV table in the top folder; none where there is no table."""
    tables = find_tables(folder)
    if not tables:
        return {}
    table = read_table(tables[0])
    if len(tables) > 1 or "id" not in table.header or "energy" in table.header:
        raise InvalidPoolError(
            f"{folder}: expected at most one CSV file beside vasprun.xml files, with a column `id` and none `energy`, found "
            f"{', '.join(path.name for path in tables)} ({','.join(table.header)}). The energies are in the vasprun.xml files; "
            'to read structure files with a table instead, set pool.format = "files".'
        )
    return {
        row["id"]: {key: value for key, value in row.items() if key != "id"} for _, row in table.rows if "id" in row
    }


def _read(file: Path) -> tuple[Any, float, dict[str, Any]]:
    """Final structure, energy in eV per cell for zero smearing, and settings."""
    from pymatgen.io.vasp.outputs import Vasprun  # noqa: PLC0415  (late: slow to import)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters is checked
            run = Vasprun(str(file), parse_dos=False, parse_eigen=False, parse_potcar_file=False)
            if not run.converged_electronic:
                raise _UnusableError("expected a converged calculation, found the last electronic loop cut off at NELM")
            if not run.converged_ionic:
                raise _UnusableError("expected a converged relaxation, found it cut off at NSW")
            energy = float(run.final_energy)
            return run.final_structure, energy, _settings(run)
    except (*UNREADABLE, SyntaxError, EOFError) as error:  # xml's ParseError is a SyntaxError
        raise _UnusableError(f"not readable as a finished vasprun.xml: {type(error).__name__}: {error}") from error


def _settings(run: Any) -> dict[str, Any]:
    """Functional, cutoff, +U by element, potentials, k-points."""
    symbols = {site.specie.symbol for site in run.final_structure}
    used = run.hubbards
    found: dict[str, Any] = {
        "code": "vasp",
        "functional": run.run_type,
        "cutoff": run.parameters.get("ENMAX") or run.parameters.get("ENCUT"),
        **{f"hubbard_u_{symbol}": float(used.get(symbol, 0.0)) for symbol in sorted(symbols)},
        **potentials(run.potcar_symbols),
    }
    mesh = run.kpoints.kpts[0] if run.kpoints is not None and run.kpoints.num_kpts == 0 else ()
    return found | coarsest_k_spacing(run.final_structure.lattice.matrix, mesh)
