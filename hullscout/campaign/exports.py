"""What a campaign found, for other programs: pymatgen entries, an ASE database, a CSV table, CIF and POSCAR files.

Entries and databases can be read back as pools. Energies are those told to the campaign, total energies in eV per cell; beside
them stands what the campaign makes of them, each name with its unit.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from hullscout.campaign.history import Forecaster, read_history
from hullscout.campaign.store import Store
from hullscout.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from hullscout.campaign.history import History, Outlook
    from hullscout.campaign.state import State
    from hullscout.pool import Candidate, Pool


class ExportFormat(StrEnum):
    """Where to, and what."""

    ENTRIES = "entries"
    """JSON list of pymatgen's `ComputedStructureEntry`: what was calculated."""
    ASE = "ase"
    """ASE database: all candidates, with an energy where it was calculated."""
    CSV = "csv"
    """Table: all candidates."""
    CIF = "cif"
    """Folder: the structures of the hull."""
    POSCAR = "poscar"
    """Folder: the structures of the hull."""

    @property
    def default_name(self) -> str:
        """File or folder in the campaign's folder."""
        return {"entries": "entries.json", "ase": "candidates.db", "csv": "candidates.csv"}.get(self.value, self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateRow:
    """A candidate and what the campaign knows and believes of it; None where it knows or believes nothing.

    Attributes:
        id: Its id.
        formula: Reduced formula.
        x: Atomic fraction of the second element.
        n_atoms: Atoms in its cell.
        status: `calculated`, `failed`, `asked` (its result is awaited; in a hand-off it was handed out) or `unknown`.
        round: In which it was asked for, from 0.
        on_hull: 1 for a vertex of the hull found, else 0; None while there is no hull.
        energy_ev: Total energy of its cell.
        formation_energy_ev_per_atom: Relative to the lowest calculated structures of the pure elements.
        hull_distance_ev_per_atom: Height above the hull found.
        predicted_formation_energy_ev_per_atom: By the model, from all other energies that are known: where it was calculated,
            its own energy is left out. See `Outlook` for the scale.
        predicted_std_ev_per_atom: The calibrated standard deviation of this prediction.
        probability_on_hull: Probability that it is a vertex of the true hull, from all that is known.
    """

    id: str
    formula: str
    x: float
    n_atoms: int
    status: str
    round: int | None
    on_hull: int | None
    energy_ev: float | None
    formation_energy_ev_per_atom: float | None
    hull_distance_ev_per_atom: float | None
    predicted_formation_energy_ev_per_atom: float | None
    predicted_std_ev_per_atom: float | None
    probability_on_hull: float | None


def candidate_rows(history: History, outlook: Outlook | None) -> tuple[CandidateRow, ...]:
    """All candidates in the order of the pool, at the last moment of a campaign.

    Args:
        history: The campaign.
        outlook: What is believed now, from a `Forecaster`; without it nothing is said of predictions.
    """
    standing, snapshot = history.now.standing, history.now.snapshot
    pool, hull = standing.pool, standing.found_hull
    known = standing.known.tolist()
    place = {index: row for row, index in enumerate(known)}
    distance = hull.distance(pool.x[standing.known], standing.formation_ev_per_atom)
    vertices = set(hull.indices.tolist())
    believed = None if outlook is None else _beliefs(outlook, known)
    plain = _rows_without_hull(
        pool,
        energies_ev_per_atom=dict(zip(known, snapshot.energies_ev_per_atom.tolist(), strict=True)),
        failed=set(snapshot.failed.tolist()),
        awaited=set(history.awaited),
        asked_in=history.asked_in,
    )
    rows = []
    for index, candidate in enumerate(plain):
        row = place.get(index)
        mean, std, probability = (None, None, None) if believed is None else believed[index]
        rows.append(
            replace(
                candidate,
                on_hull=int(index in vertices),
                formation_energy_ev_per_atom=None if row is None else float(standing.formation_ev_per_atom[row]),
                hull_distance_ev_per_atom=None if row is None else float(distance[row]),
                predicted_formation_energy_ev_per_atom=mean,
                predicted_std_ev_per_atom=std,
                probability_on_hull=probability,
            )
        )
    return tuple(rows)


def rows_without_hull(state: State, *, awaited: Iterable[str]) -> tuple[CandidateRow, ...]:
    """All candidates in the order of the pool, before the energies of both pure elements are known: nothing relative to them.

    Args:
        state: Of the campaign.
        awaited: Ids whose results are awaited.
    """
    index = state.index_of
    return _rows_without_hull(
        state.pool,
        energies_ev_per_atom=dict(zip(state.known.tolist(), state.energies_ev_per_atom.tolist(), strict=True)),
        failed={index(candidate_id) for candidate_id in state.failures},
        awaited={index(candidate_id) for candidate_id in awaited},
        asked_in={index(candidate_id): record.round for record in state.rounds for candidate_id in record.chosen},
    )


def _rows_without_hull(
    pool: Pool,
    *,
    energies_ev_per_atom: Mapping[int, float],
    failed: Collection[int],
    awaited: Collection[int],
    asked_in: Mapping[int, int],
) -> tuple[CandidateRow, ...]:
    rows = []
    for index, candidate in enumerate(pool.candidates):
        energy = energies_ev_per_atom.get(index)
        status = "failed" if index in failed else "asked" if index in awaited else "unknown"
        status = status if energy is None else "calculated"
        rows.append(
            CandidateRow(
                id=candidate.id,
                formula=candidate.formula,
                x=float(pool.x[index]),
                n_atoms=candidate.n_atoms,
                status=status,
                round=None if status == "unknown" else asked_in[index],
                on_hull=None,
                energy_ev=None if energy is None else energy * candidate.n_atoms,
                formation_energy_ev_per_atom=None,
                hull_distance_ev_per_atom=None,
                predicted_formation_energy_ev_per_atom=None,
                predicted_std_ev_per_atom=None,
                probability_on_hull=None,
            )
        )
    return tuple(rows)


def _beliefs(outlook: Outlook, known: Sequence[int]) -> list[tuple[float, float, float]]:
    """Mean and standard deviation, never from the candidate's own energy, and probability on the hull of each candidate."""
    mean, std = outlook.mean_ev_per_atom.copy(), outlook.std_ev_per_atom.copy()
    mean[known], std[known] = outlook.left_out_mean_ev_per_atom, outlook.left_out_std_ev_per_atom
    return list(zip(mean.tolist(), std.tolist(), outlook.probability_on_hull.tolist(), strict=True))


def computed_entries(history: History, outlook: Outlook | None = None) -> list[Any]:
    """What was calculated, as pymatgen's `ComputedStructureEntry` with the id as `entry_id`; the rest of the row in `data`.

    `hullscout.hull.phase_diagram_of` makes a phase diagram of them.
    """
    from pymatgen.entries.computed_entries import ComputedStructureEntry  # noqa: PLC0415  slow to import

    return [
        ComputedStructureEntry(
            candidate.to_pymatgen(), row.energy_ev, entry_id=row.id, data=_filled(row, without=("id", "energy_ev"))
        )
        for candidate, row in zip(history.pool.candidates, candidate_rows(history, outlook), strict=True)
        if row.energy_ev is not None
    ]


def export(folder: Path, path: Path, export_format: ExportFormat, *, replace: bool = False) -> int:
    """Write what the campaign in `folder` found, finished or not; a file whole or not at all.

    Args:
        folder: Of the campaign.
        path: The file; a folder for CIF and POSCAR.
        export_format: Which.
        replace: Whether something of that name is replaced.

    Returns:
        The number of structures written.

    Raises:
        OutputError: Something of that name is there, or it cannot be written.
        StoreError: There is no campaign, it is damaged, or it has no hull yet.
    """
    with Store.read(folder):  # first of all: where there is no campaign, the path is not what is wrong
        pass
    if path.exists() and not replace:
        raise OutputError(f"{path} is there already and was not changed. Give another name, or --force to replace it.")
    is_folder = export_format in (ExportFormat.CIF, ExportFormat.POSCAR)
    if path.is_dir() and not (is_folder and all(member.suffix == f".{export_format}" for member in path.iterdir())):
        what = f"a folder of .{export_format} files only" if is_folder else "a file"
        raise OutputError(f"{path}: expected {what} to replace, found another folder. Give another name.")
    if path.is_file() and is_folder:
        raise OutputError(f"{path}: expected a folder to replace, found a file. Give another name.")
    if not path.parent.is_dir():
        raise OutputError(f"{path} cannot be written: there is no folder {path.parent}. Make it, or give another name.")
    history = read_history(folder)
    half_made = path.with_name(f".{path.name}.new")
    try:
        _remove(half_made)
        n_written = _write(half_made, history, export_format)
        _remove(path)
        half_made.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}. Give another name.") from error
    return n_written


def _write(path: Path, history: History, export_format: ExportFormat) -> int:
    match export_format:
        case ExportFormat.CIF | ExportFormat.POSCAR:
            indices = history.now.standing.found_hull.indices.tolist()
            return _write_structures(path, [history.pool.candidates[index] for index in indices], export_format)
        case _:
            outlook = Forecaster(history).at(history.now)
    match export_format:
        case ExportFormat.ENTRIES:
            entries = computed_entries(history, outlook)
            path.write_text(json.dumps([entry.as_dict() for entry in entries], allow_nan=False), encoding="utf-8")
            return len(entries)
        case ExportFormat.CSV:
            return _write_table(path, candidate_rows(history, outlook))
        case _:
            return _write_database(path, history.pool.candidates, candidate_rows(history, outlook))


def _write_table(path: Path, rows: Sequence[CandidateRow]) -> int:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(CandidateRow.__dataclass_fields__), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    return len(rows)


def _write_database(path: Path, candidates: Sequence[Candidate], rows: Sequence[CandidateRow]) -> int:
    from ase.calculators.singlepoint import SinglePointCalculator  # noqa: PLC0415  slow to import
    from ase.db import connect  # noqa: PLC0415

    numbers = [row.id for row in rows if _is_number(row.id)]
    if numbers:
        raise OutputError(
            f"ASE's databases take no number for a name, and {len(numbers)} ids are numbers, the first {numbers[0]!r}. "
            "Choose another format."
        )
    database = connect(str(path), type="db", use_lock_file=False)
    with database:
        for candidate, row in zip(candidates, rows, strict=True):
            atoms = candidate.to_ase()
            atoms.info = {}
            if row.energy_ev is not None:
                atoms.calc = SinglePointCalculator(atoms, energy=row.energy_ev)
            database.write(atoms, name=row.id, **_filled(row, without=("id", "energy_ev", "formula", "n_atoms")))
    return len(rows)


def _write_structures(folder: Path, candidates: Sequence[Candidate], export_format: ExportFormat) -> int:
    """One file per structure, numbered by ascending x, named for formula and id."""
    from pymatgen.io.cif import CifWriter  # noqa: PLC0415  slow to import
    from pymatgen.io.vasp import Poscar  # noqa: PLC0415

    folder.mkdir()
    for place, candidate in enumerate(candidates):
        name = f"{place:02d}-{candidate.formula}-{re.sub(r'[^A-Za-z0-9._+-]+', '_', candidate.id)}"
        structure = candidate.to_pymatgen().get_sorted_structure()
        if export_format is ExportFormat.CIF:
            text = f"# {' '.join(candidate.id.split())}\n{CifWriter(structure)}"
            (folder / f"{name}.cif").write_text(text, encoding="utf-8")
        else:
            text = Poscar(structure, comment=" ".join(candidate.id.split())).get_str(significant_figures=16)
            (folder / f"{name}.poscar").write_text(text, encoding="utf-8")
    return len(candidates)


def _filled(row: CandidateRow, *, without: tuple[str, ...]) -> dict[str, Any]:
    return dict(_known_values(row, without))


def _known_values(row: CandidateRow, without: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for name, value in asdict(row).items():
        if value is not None and name not in without:
            yield name, value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
