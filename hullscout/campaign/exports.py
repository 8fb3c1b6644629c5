"""What a campaign found, for other programs: pymatgen entries, an ASE database, a CSV table, CIF and POSCAR files.

Entries and databases can be read back as pools. Energies are those told to the campaign, total energies in eV per cell; beside
them stands what the campaign makes of them, each name with its unit.
"""

from __future__ import annotations

import csv
import json
import re
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from hullscout.campaign.history import read_history
from hullscout.campaign.setup import Beliefs, Setup
from hullscout.campaign.store import Store
from hullscout.errors import OutputError
from hullscout.files import written_whole

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from pymatgen.entries.computed_entries import ComputedStructureEntry

    from hullscout.campaign.history import History
    from hullscout.pool import Candidate, Frame, Pool
    from hullscout.selection import Belief, Known


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
            its own energy is left out. See `Belief` for the scale.
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


def candidate_rows(
    known: Known, *, awaited: Collection[int] = (), belief: Belief | None = None
) -> tuple[CandidateRow, ...]:
    """All candidates in the order of the pool; before there is a hull, nothing relative to it.

    Args:
        awaited: Indices of those whose results are awaited.
        belief: What is believed of them; without it nothing is said of predictions.
    """
    place = {index: row for row, index in enumerate(known.answered.tolist())}
    failed, waiting = set(known.failed.tolist()), set(awaited)
    vertices: set[int] = set()
    if known.has_hull:
        vertices = set(known.hull.indices.tolist())
        distance = known.hull.distance(known.fractions[known.answered], known.formation_ev_per_atom)
    believed = None if belief is None else _believed(belief)
    rows = []
    for index, candidate in enumerate(known.pool.candidates):
        row = place.get(index)
        status = "failed" if index in failed else "asked" if index in waiting else "unknown"
        status = status if row is None else "calculated"
        mean, std, probability = (None, None, None) if believed is None else believed[index]
        rows.append(
            CandidateRow(
                id=candidate.id,
                formula=candidate.formula,
                x=float(known.x[index]),
                n_atoms=candidate.n_atoms,
                status=status,
                round=None if status == "unknown" else known.asked_in[index],
                on_hull=int(index in vertices) if known.has_hull else None,
                energy_ev=None if row is None else float(known.energies_ev_per_atom[row]) * candidate.n_atoms,
                formation_energy_ev_per_atom=None
                if row is None or not known.has_hull
                else float(known.formation_ev_per_atom[row]),
                hull_distance_ev_per_atom=None if row is None or not known.has_hull else float(distance[row]),
                predicted_formation_energy_ev_per_atom=mean,
                predicted_std_ev_per_atom=std,
                probability_on_hull=probability,
            )
        )
    return tuple(rows)


def _believed(belief: Belief) -> list[tuple[float, float, float]]:
    """Mean and standard deviation, never from the candidate's own energy, and probability on the hull of each candidate."""
    answered = belief.known.answered
    mean, std = belief.mean_ev_per_atom.copy(), belief.std_ev_per_atom.copy()
    mean[answered], std[answered] = belief.left_out_mean_ev_per_atom, belief.left_out_std_ev_per_atom
    return list(zip(mean.tolist(), std.tolist(), belief.probability_on_hull.tolist(), strict=True))


def computed_entries(known: Known, belief: Belief | None = None) -> list[ComputedStructureEntry]:
    """What was calculated, as pymatgen's `ComputedStructureEntry` with the id as `entry_id`; the rest of the row in `data`.

    `hullscout.hull.phase_diagram_of` makes a phase diagram of them.
    """
    from pymatgen.entries.computed_entries import ComputedStructureEntry  # noqa: PLC0415  slow to import

    return [
        ComputedStructureEntry(
            candidate.to_pymatgen(), row.energy_ev, entry_id=row.id, data=_filled(row, without=("id", "energy_ev"))
        )
        for candidate, row in zip(known.pool.candidates, candidate_rows(known, belief=belief), strict=True)
        if row.energy_ev is not None
    ]


def frames_with_energies(folder: Path) -> tuple[Frame, ...]:
    """The frames of the pool of the campaign in `folder`, with the energies in eV per cell that it found and no others.

    Raises:
        StoreError: There is none, or it is damaged.
    """
    with Store.read(folder) as store:
        setup, answers = Setup(store.origin()), store.answers()
    return tuple(replace(frame, energy_ev=answers.get(frame.id)) for frame in setup.frames.frames)


def export(folder: Path, path: Path, export_format: ExportFormat, *, replace: bool = False) -> int:
    """Write what the campaign in `folder` found, finished or not; a file whole or not at all.

    Args:
        path: The file; a folder for CIF and POSCAR.
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
    with written_whole(path, remedy="Give another name.") as half_made:
        return _write(half_made, history, export_format)


def _write(path: Path, history: History, export_format: ExportFormat) -> int:
    known = history.now
    if export_format in (ExportFormat.CIF, ExportFormat.POSCAR):
        candidates = [known.pool.candidates[index] for index in known.hull.indices.tolist()]
        return _write_structures(path, candidates, export_format)
    belief = Beliefs(history.setup).at(known)
    if export_format is ExportFormat.ENTRIES:
        entries = computed_entries(known, belief)
        path.write_text(json.dumps([entry.as_dict() for entry in entries], allow_nan=False), encoding="utf-8")
        return len(entries)
    rows = candidate_rows(known, awaited=history.awaited, belief=belief)
    return _write_table(path, rows) if export_format is ExportFormat.CSV else _write_database(path, known.pool, rows)


def _write_table(path: Path, rows: Sequence[CandidateRow]) -> int:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(CandidateRow.__dataclass_fields__), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    return len(rows)


def _write_database(path: Path, pool: Pool, rows: Sequence[CandidateRow]) -> int:
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
        for candidate, row in zip(pool.candidates, rows, strict=True):
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
    return {name: value for name, value in asdict(row).items() if value is not None and name not in without}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
