"""What a campaign found, for other programs: pymatgen entries, an ASE database, a CSV table, CIF and POSCAR files.

Where a structure was relaxed, its energy is that of the relaxed one: so that is what is written beside the energy, and the
structure that was asked for, the start, is kept next to it. Entries and databases can be read back as pools. Energies are those
told to the campaign, total energies in eV per cell; beside them stands what the campaign makes of them, each name with its unit.
"""

from __future__ import annotations

import csv
import json
import re
import sqlite3
from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from hullscout.campaign.beliefs import Beliefs
from hullscout.campaign.candidate_rows import CandidateRow, candidate_rows
from hullscout.campaign.energy_settings import settings_of_answers
from hullscout.campaign.history import read_history
from hullscout.campaign.setup import Setup
from hullscout.campaign.store import Store
from hullscout.campaign.structure_text import Cells, cif_text, poscar_text
from hullscout.display import formula_note
from hullscout.errors import OutputError
from hullscout.oracle import candidate_to_tree
from hullscout.selection import left_out_of, shown_candidates
from hullscout.writing import refuse_unwritable, written_whole

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from pymatgen.entries.computed_entries import ComputedStructureEntry

    from hullscout.pool import Candidate, Frame, Pool
    from hullscout.selection import Belief, Known

    Stated = Mapping[str, Mapping[str, Any]]


class ExportFormat(StrEnum):
    """Where to, and what."""

    ENTRIES = "entries"
    """JSON list of pymatgen's `ComputedStructureEntry`: what was calculated."""
    ASE = "ase"
    """ASE database: all candidates, with an energy where it was calculated; of large pools as CSV."""
    CSV = "csv"
    """Table: all candidates; of large pools those of `shown_candidates`."""
    CIF = "cif"
    POSCAR = "poscar"
    """Folder: the structures of the hull."""

    @property
    def default_name(self) -> str:
        """File or folder in the campaign's folder."""
        return {"entries": "entries.json", "ase": "candidates.db", "csv": "candidates.csv"}.get(self.value, self.value)


class Structures(StrEnum):
    """Which structures are written."""

    RELAXED = "relaxed"
    """What the energies are of: relaxed where that is known, else as asked for."""
    START = "start"
    """What was asked for, whatever it was relaxed into."""


def computed_entries(
    known: Known,
    belief: Belief | None = None,
    *,
    relaxed: Mapping[int, Candidate] | None = None,
    structures: Structures = Structures.RELAXED,
    settings: Stated | None = None,
) -> list[ComputedStructureEntry]:
    """What was calculated, as pymatgen's `ComputedStructureEntry` with the id as `entry_id`; the rest of the row in `data`.

    An entry's `name` is its formula in the order of the elements. `parameters` are the settings of its energy, given by candidate,
    see `energy_settings`.

    `data["structure"]` says which structure an entry holds, `relaxed` or `start`; where there are both, the other one is the
    dictionary `data["start_structure"]` or `data["relaxed_structure"]`. `hullscout.hull.phase_diagram_of` makes a phase diagram.
    """
    from pymatgen.entries.computed_entries import ComputedStructureEntry  # noqa: PLC0415  slow to import

    entries = []
    for index, row in enumerate(candidate_rows(known, belief=belief, relaxed=relaxed)):
        if row.energy_ev is None:
            continue
        written = _written(known.pool.candidates[index], (relaxed or {}).get(index), structures)
        data = {**_filled(row, without=("id", "energy_ev")), "structure": written.kind.value}
        if written.other is not None:
            data[f"{written.other_kind}_structure"] = written.other.to_pymatgen().as_dict()
        structure, parameters = written.structure.to_pymatgen(), dict((settings or {}).get(row.id, {}))
        entry = ComputedStructureEntry(structure, row.energy_ev, entry_id=row.id, data=data, parameters=parameters)
        # pymatgen's own is in the order of electronegativity, and is what it reads back from JSON
        entry.name = row.formula
        entries.append(entry)
    return entries


class _Written(NamedTuple):
    """The structure of a candidate that is written, which it is, and the other one where there are two."""

    structure: Candidate
    kind: Structures
    other: Candidate | None

    @property
    def other_kind(self) -> Structures:
        return Structures.START if self.kind is Structures.RELAXED else Structures.RELAXED


def _written(start: Candidate, relaxed: Candidate | None, structures: Structures) -> _Written:
    if relaxed is None:
        return _Written(start, Structures.START, None)
    return (
        _Written(relaxed, structures, start)
        if structures is Structures.RELAXED
        else _Written(start, structures, relaxed)
    )


def frames_with_energies(folder: Path, structures: Structures = Structures.RELAXED) -> tuple[Frame, ...]:
    """The frames of the pool of the campaign in `folder`, with the energies in eV per cell that it found and no others.

    Where a structure was relaxed, the column `structure` says which one a frame holds, and `start_volume_a3_per_atom` and
    `relaxed_volume_a3_per_atom` how far the two are apart.
    """
    with Store.read(folder) as store:
        setup, answers, relaxed = Setup(store.origin()), store.answers(), store.relaxed()
    frames = []
    for frame in setup.asked_frames:
        answered = replace(frame, energy_ev=answers.get(frame.id))
        if (ended := relaxed.get(frame.id)) is not None:
            start = frame.candidate()
            stated = {
                "structure": structures.value,
                "start_volume_a3_per_atom": start.volume_a3_per_atom,
                "relaxed_volume_a3_per_atom": ended.volume_a3_per_atom,
            }
            answered = replace(answered, columns={**frame.columns, **stated})
            if structures is Structures.RELAXED:
                answered = answered.with_atoms(ended)
        frames.append(answered)
    return tuple(frames)


def frames_as_given(folder: Path) -> tuple[Frame, ...]:
    """The frames of the pool of the campaign in `folder` as they were given, whatever a potential relaxed them into."""
    return Setup.read(folder).frames.frames


def export(
    folder: Path,
    path: Path,
    export_format: ExportFormat,
    *,
    structures: Structures = Structures.RELAXED,
    cells: Cells = Cells.GIVEN,
    replace: bool = False,
    setup: Setup | None = None,
) -> int:
    """Write what the campaign in `folder` found, finished or not, whole or not at all; the number of candidates written.

    With relaxed structures where they are known, a folder of CIF or POSCAR files holds their starts in the folder `start` in it.

    Raises:
        OutputError: Other cells are asked for than the format can have, something is at `path` and not to be replaced, or it cannot
            be written.
        StoreError: There is no campaign, it is damaged, or it has no hull yet.
    """
    # first of all: where there is none, the path is not what is wrong
    setup = Setup.read(folder) if setup is None else setup
    refuse_cells(export_format, cells)
    refuse_target(path, export_format, replace=replace)
    history = read_history(folder, setup=setup)
    needs_belief = export_format not in (ExportFormat.CIF, ExportFormat.POSCAR)
    needs_settings = export_format is ExportFormat.ENTRIES
    belief = Beliefs(history.setup).at(history.now) if needs_belief else None
    with written_whole(path, remedy="Give another name.") as half_made:
        return _write(
            half_made,
            history.now,
            export_format,
            structures,
            cells=cells,
            belief=belief,
            relaxed=history.relaxed,
            awaited=history.awaited,
            settings=settings_of_answers(history.setup, history.now, history.about) if needs_settings else None,
        )


def export_known(
    path: Path,
    known: Known,
    export_format: ExportFormat,
    *,
    cells: Cells = Cells.GIVEN,
    settings: Stated | None = None,
    replace: bool = False,
) -> int:
    """Write what is known without a campaign, as `export`; the settings of its energies by candidate."""
    refuse_cells(export_format, cells)
    refuse_target(path, export_format, replace=replace)
    with written_whole(path, remedy="Give another name.") as half_made:
        return _write(half_made, known, export_format, Structures.START, cells=cells, settings=settings)


def refuse_cells(export_format: ExportFormat, cells: Cells) -> None:
    """OutputError where a format cannot have structures in these cells."""
    if cells is not Cells.GIVEN and export_format not in (ExportFormat.CIF, ExportFormat.POSCAR):
        raise OutputError(
            f"Other cells than the given ones are for cif and poscar, found {cells} for {export_format}, whose energies are of the "
            "given cells. Leave it out."
        )
    if cells is Cells.SYMMETRISED and export_format is ExportFormat.POSCAR:
        raise OutputError("A POSCAR states no symmetry: expected primitive or conventional cells, found symmetrised.")


def refuse_target(path: Path, export_format: ExportFormat, *, replace: bool) -> None:
    """OutputError where something is at a path that is not to be replaced, or cannot be."""
    if (path.exists() or path.is_symlink()) and not replace:
        raise OutputError(f"{path} is there already and was not changed. Give another name, or --force to replace it.")
    is_folder = export_format in (ExportFormat.CIF, ExportFormat.POSCAR)
    if path.is_dir() and not (is_folder and _is_exported(path, export_format)):
        what = f"a folder of .{export_format} files only" if is_folder else "a file"
        raise OutputError(f"{path}: expected {what} to replace, found another folder. Give another name.")
    if path.is_file() and is_folder:
        raise OutputError(f"{path}: expected a folder to replace, found a file. Give another name.")
    if not path.is_dir():
        refuse_unwritable(path)


def notes_on(pool: Pool, export_format: ExportFormat, n_written: int) -> Iterator[str]:
    """What is to be said of so many candidates of a pool that were written.

    That a spreadsheet takes ids for formulas, and that of a large pool not all were written.
    """
    if export_format not in (ExportFormat.CSV, ExportFormat.ASE):
        return
    if not_written := left_out_of(len(pool), n_written):
        yield f"{not_written} All of them are in `Campaign(...).candidates()`."
    if export_format is ExportFormat.CSV and (note := formula_note(pool.ids)):
        yield note


def _is_exported(folder: Path, export_format: ExportFormat) -> bool:
    """Whether a folder holds structure files of this format only, those of starts in a folder of their own."""
    inside = [member for member in folder.iterdir() if not (member.name == Structures.START and member.is_dir())]
    starts = folder / Structures.START
    inside += starts.iterdir() if starts.is_dir() else ()
    return all(member.suffix == f".{export_format}" for member in inside)


def _write(
    path: Path,
    known: Known,
    export_format: ExportFormat,
    structures: Structures,
    *,
    cells: Cells,
    belief: Belief | None = None,
    relaxed: Mapping[int, Candidate] | None = None,
    awaited: Collection[int] = (),
    settings: Stated | None = None,
) -> int:
    relaxed = relaxed or {}
    if export_format in (ExportFormat.CIF, ExportFormat.POSCAR):
        vertices = known.hull.indices.tolist()
        every = [_written(known.pool.candidates[i], relaxed.get(i), structures) for i in vertices]
        write = partial(_write_structures, elements=known.pool.elements, export_format=export_format, cells=cells)
        write(path, [(place, each.structure) for place, each in enumerate(every)])
        starts = [(place, each.other) for place, each in enumerate(every) if each.other is not None]
        if structures is Structures.RELAXED and starts:
            write(path / Structures.START, starts)
        return len(every)
    if export_format is ExportFormat.ENTRIES:
        entries = computed_entries(known, belief, relaxed=relaxed, structures=structures, settings=settings)
        path.write_text(json.dumps([entry.as_dict() for entry in entries], allow_nan=False), encoding="utf-8")
        return len(entries)
    shown = shown_candidates(known, belief)
    rows = candidate_rows(known, awaited=awaited, belief=belief, relaxed=relaxed, chosen=shown)
    if export_format is ExportFormat.CSV:
        return _write_table(path, rows)
    every = [_written(known.pool.candidates[i], relaxed.get(i), structures) for i in shown.tolist()]
    return _write_database(path, every, rows)


def _write_table(path: Path, rows: Sequence[CandidateRow]) -> int:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0].columns()), lineterminator="\n")
        writer.writeheader()
        writer.writerows(row.columns() for row in rows)
    return len(rows)


def _write_database(path: Path, written: Sequence[_Written], rows: Sequence[CandidateRow]) -> int:
    from ase.db import connect  # noqa: PLC0415

    numbers = [row.id for row in rows if _is_number(row.id)]
    if numbers:
        raise OutputError(
            f"ASE's databases take no number for a name, and {len(numbers)} ids are numbers, the first {numbers[0]!r}. "
            "Choose another format."
        )
    try:
        _fill_database(connect(str(path), type="db", use_lock_file=False), written, rows)
    except sqlite3.Error as error:
        raise OSError(str(error)) from error
    return len(rows)


def _fill_database(database: Any, written: Sequence[_Written], rows: Sequence[CandidateRow]) -> None:
    from ase.calculators.singlepoint import SinglePointCalculator  # noqa: PLC0415  slow to import

    with database:
        for (structure, kind, other), row in zip(written, rows, strict=True):
            atoms = structure.to_ase()
            atoms.info = {}
            if row.energy_ev is not None:
                atoms.calc = SinglePointCalculator(atoms, energy=row.energy_ev)
            stated = _filled(row, without=("id", "energy_ev", "formula", "n_atoms"))
            beside = (
                {}
                if other is None
                else {f"{_Written(structure, kind, other).other_kind}_structure": candidate_to_tree(other)}
            )
            database.write(atoms, name=row.id, structure=kind.value, data=beside, **stated)


def _write_structures(
    folder: Path,
    placed: Sequence[tuple[int, Candidate]],
    *,
    elements: Sequence[str],
    export_format: ExportFormat,
    cells: Cells,
) -> None:
    """One file per structure, numbered by ascending x, named for formula and id; with right-handed cells, as VASP wants them."""
    text_of = cif_text if export_format is ExportFormat.CIF else poscar_text
    folder.mkdir()
    for place, candidate in placed:
        name = f"{place:02d}-{candidate.formula_in(elements)}-{re.sub(r'[^A-Za-z0-9._+-]+', '_', candidate.id)}"
        (folder / f"{name}.{export_format}").write_text(text_of(candidate, cells), encoding="utf-8")


def _filled(row: CandidateRow, *, without: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in row.columns().items() if value is not None and name not in without}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
