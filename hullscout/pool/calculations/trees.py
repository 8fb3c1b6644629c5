"""Folder trees of calculations, as their codes wrote them.

A calculation is its final structure with its energy for zero smearing. The id is the path of its folder, or of its file where that
is named for what it holds. Of a relaxation in several runs, kept under the names that custodian gives (`vasprun.xml.relax1`,
`.relax2`), the last counts; an OUTCAR beside a vasprun.xml is the same run, and held against it. A CSV table in the top folder may
state further columns by `id`.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import InvalidPoolError, ResultError
from hullscout.pool.calculations.beside import names_beside
from hullscout.pool.calculations.calculation import Calculation, notes_on
from hullscout.pool.calculations.codes import OUTCAR, VASP_NAME, VASPRUN, kind_of, promised_kind, read_calculation
from hullscout.pool.folders import find_tables, in_order, read_table
from hullscout.pool.forces import force_column
from hullscout.pool.frames import FrameError, Frames, Gathered, shown_ids

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_NAME = re.compile(
    r"(?P<stem>.+?)(?P<suffix>\.xml|\.out|\.pwo|\.log|\.txt|\.castep|\.abo)?(\.relax(?P<run>\d+))?(\.(gz|bz2|xz|zst))?"
)
_PLAIN = frozenset({"vasprun", "OUTCAR"})
_VASPRUN_NAME = re.compile(r".*vasprun.*?\.xml(\.relax\d+)?(\.(gz|bz2|xz|zst))?")
_NO_RESULTS = re.compile(
    r"(POSCAR|CONTCAR|POTCAR|INCAR|KPOINTS|CHG|CHGCAR|WAVECAR|OSZICAR|XDATCAR|DOSCAR|EIGENVAL|PROCAR)\b.*"
)


def find_calculations(folder: Path) -> dict[Path, str]:
    """Files of calculations anywhere in a folder, each with its kind: told by content, or promised by the names that VASP gives.

    Of runs that follow each other in one folder under one name (`.relax1`, `.relax2`, then without a number) only the last, of
    vasprun.xml and OUTCAR in one folder the first.
    """
    return _found(folder)[0]


def _found(folder: Path) -> tuple[dict[Path, str], list[Path]]:
    """The calculations of a folder with their kinds, and OUTCARs that no vasprun.xml beside them is held against."""
    kinds: dict[Path, str] = {}
    for path in in_order(folder, folder.rglob("*")):
        if not _NO_RESULTS.fullmatch(path.name) and (kind := _kind(path)):
            kinds[path] = kind
    runs: defaultdict[tuple[Path, str], list[tuple[float, Path]]] = defaultdict(list)
    vaspruns: defaultdict[Path, set[str]] = defaultdict(set)
    for path, kind in kinds.items():
        if kind == VASPRUN:
            vaspruns[path.parent].add(path.name)
    strangers = []
    for path, kind in kinds.items():
        beside = vaspruns.get(path.parent)
        if kind == OUTCAR and beside is not None:
            is_plain = VASP_NAME.fullmatch(path.name) and (len(beside) == 1 or any(map(VASP_NAME.fullmatch, beside)))
            if not is_plain and not names_beside(path.name) & beside:
                strangers.append(path)
        else:
            stem, run = _parts(path)
            runs[path.parent, stem].append((run, path))
    last = {path for group in runs.values() for run, path in group if run == max(group)[0]}
    return {path: kind for path, kind in kinds.items() if path in last}, strangers


def _kind(path: Path) -> str | None:
    """The kind of a file; one whose name holds `vasprun` and ends in `.xml` promises to be one."""
    return kind_of(path) or promised_kind(path) or (VASPRUN if _VASPRUN_NAME.fullmatch(path.name) else None)


def find_vaspruns(folder: Path) -> list[Path]:
    """The vasprun.xml files among the calculations of a folder."""
    return [path for path, kind in find_calculations(folder).items() if kind == VASPRUN]


def read_vaspruns(path: Path) -> Frames:
    """All vasprun.xml files of a folder tree; other calculations in it are named, not read, but for those of the same runs."""
    files, strangers = _found(path)
    wanted = [file for file, kind in files.items() if kind == VASPRUN]
    if not wanted:
        raise InvalidPoolError(
            f"{path}: expected a folder with vasprun.xml files in it, found none. Name their folder."
        )
    left = [file for file in files if file not in wanted]
    note = f'Not read, since pool.format = "vasprun": {_shown(path, left)}.' if left else ""
    return _read_tree(path, wanted, note or _without_results(path, wanted), _on_strangers(path, strangers))


def read_calculations(path: Path) -> Frames:
    """All calculations of a folder tree, of whatever code; one that may not be used is a fault."""
    files, strangers = _found(path)
    if not files:
        raise InvalidPoolError(
            f"{path}: expected a folder with calculations in it (vasprun.xml, OUTCAR, or the output of another code that is read), "
            "found none. Name their folder."
        )
    return _read_tree(path, files, _without_results(path, files), _on_strangers(path, strangers))


def _read_tree(path: Path, files: Iterable[Path], *notes: str) -> Frames:
    stated = _stated_by_table(path)
    named = _names(path, list(files))
    gathered = Gathered(path)
    read: list[tuple[str, Calculation]] = []
    for file, name in named.items():
        place = file.relative_to(path).as_posix()
        with gathered.reading(place):
            try:
                done = read_calculation(file)
            except ResultError as error:
                raise FrameError(str(error).removesuffix(".")) from error
            if done.unconverged:
                found = done.unconverged[0].lower() + done.unconverged[1:]
                raise FrameError(f"expected a converged calculation, found that {found}")
            columns = {**stated.get(name, {}), **done.columns, **force_column(done.max_force)}
            gathered.add(done.atoms, name=name, energy_ev=done.energy_ev, columns=columns)
            read.append((name, done))
    gathered.faults += [
        f"the table states {name!r}: there is no such calculation" for name in stated if name not in set(named.values())
    ]
    for sentence in (*notes, *notes_on(read)):
        if sentence:
            gathered.note(sentence)
    return gathered.finish()


def _names(folder: Path, files: list[Path]) -> dict[Path, str]:
    """The id of each calculation: its folder's path where its name says nothing or nothing else is there, else its own."""
    n_beside = Counter(file.parent for file in files)
    names = {}
    for file in files:
        relative, (stem, _) = file.relative_to(folder), _parts(file)
        is_top = relative.parent.as_posix() == "."
        is_plain = stem in _PLAIN or (
            n_beside[file.parent] == 1 and not is_top and not _VASPRUN_NAME.fullmatch(file.name)
        )
        name = relative.with_name(stem).as_posix()
        if is_plain:
            name = folder.resolve().name if is_top else relative.parent.as_posix()
        names[file] = name
    return names


def _parts(file: Path) -> tuple[str, float]:
    """The name of a calculation without what says its kind, run and compression; and which run it is, the last without a number."""
    named = _NAME.fullmatch(file.name)
    return (file.name, np.inf) if named is None else (named["stem"], float(named["run"] or np.inf))


def _shown(folder: Path, files: list[Path]) -> str:
    names = [file.relative_to(folder).as_posix() for file in files[:5]]
    return ", ".join(names) + (f" and {len(files) - 5} more" if len(files) > 5 else "")


def _on_strangers(folder: Path, files: list[Path]) -> str:
    return f"Not read, since a vasprun.xml stands beside: {_shown(folder, files)}." if files else ""


def _without_results(folder: Path, files: Iterable[Path]) -> str:
    """A sentence on folders with files of which none is a calculation, where others lie beside them; empty where none is."""
    used = {place for file in files for place in (file.parent, *file.parent.parents)}
    depths = {len(file.relative_to(folder).parts) for file in files}
    filled = {
        file.parent for file in in_order(folder, folder.rglob("*")) if len(file.relative_to(folder).parts) in depths
    }
    left = [place.relative_to(folder).as_posix() for place in sorted(filled - used) if place != folder]
    if not left:
        return ""
    return f"No calculation that is known was found in {len(left)} folders beside others, which are not read: {shown_ids(left)}."


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
    stated: dict[str, dict[str, str]] = {}
    for row in table.rows:
        cells = dict(row.cells)
        if (name := cells.pop("id", None)) in stated:
            raise InvalidPoolError(
                f"{table.path}, line {row.line}: expected each id once, found {name!r} again. Keep one row."
            )
        if name is not None:
            stated[name] = cells
    return stated
