"""Structures handed out as files for codes that run elsewhere, and their results read back.

A folder that is handed out holds the structure as POSCAR, CIF and extended XYZ, and `manifest.json` with its id. It is made under
another name and moved into place when whole. What is read back is an energy with its structure, or a failure: from a folder of
folders, a single file or a CSV table. Whether anyone asked for it is not known here.
"""

from __future__ import annotations

import json
import math
import re
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, count
from typing import TYPE_CHECKING, Any

from hullscout.errors import HullscoutError, OutputError, ResultError
from hullscout.files import Row, number, read_csv, remove
from hullscout.oracle.outcome import (
    Calculated,
    Failed,
    FailureReason,
    Outcome,
    failure_of,
    is_energy,
    judge,
    real_number,
)
from hullscout.pool import Candidate
from hullscout.pool.calculations import VASP_NAME, read_vasp_result

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import ase

    from hullscout.oracle.settings import HandoffSettings

MANIFEST = "manifest.json"
SCHEMA = 1
WRITTEN = {"POSCAR": "vasp", "structure.cif": "cif", "structure.extxyz": "extxyz"}
CSV_COLUMNS = ("id", "energy_ev", "energy_ev_per_atom", "failed", "wall_s")
FAILED = "FAILED"  # a file of this name says that the calculation failed; what is in it says why
_OTHER = (3, 0.0)  # the rank of results of other codes than VASP
_SUFFIXES = {".xml", ".traj", ".extxyz", ".xyz", ".json", ".db", ".out", ".pwo", ".log", ".gpw", ".castep"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A result that was read: of which candidate, the energy of its own cell or why there is none, and where it stood."""

    id: str
    outcome: Outcome
    source: str


def folder_name(candidate_id: str) -> str:
    """An id as a folder name: letters, digits, dots, dashes and underscores, at most 100.

    >>> folder_name("fcc/Al3Li #2")
    'fcc-Al3Li-2'
    """
    return re.sub(r"[^\w.-]+", "-", candidate_id, flags=re.ASCII)[:100].strip("-.") or "structure"


def folder_names(ids: Sequence[str]) -> tuple[str, ...]:
    """A folder name for each id of a pool, in its order; ids whose names would be the same get numbers."""
    names: dict[str, str] = {}
    for plain in map(folder_name, ids):
        numbered = chain([plain], (f"{plain}-{n}" for n in count(2)))
        name = next(name for name in numbered if name.casefold() not in names)
        names[name.casefold()] = name
    return tuple(names.values())


def write_folder(outbox: Path, name: str, candidate: Candidate, *, campaign: str) -> Path:
    """Write one structure into a folder of this name in the outbox, anew if it is there; one of another id is an OutputError."""
    from ase.io import write  # noqa: PLC0415  (late: ASE loads slowly)

    folder, half_made = outbox / name, outbox / f".{name}.new"
    manifest = {
        "schema": SCHEMA,
        "campaign": campaign,
        "id": candidate.id,
        "formula": candidate.formula,
        "n_atoms": candidate.n_atoms,
        "wanted": "total energy in eV of this cell",
    }
    try:
        if folder.exists() and _id_in(folder, campaign) != candidate.id:
            raise OutputError(
                f"{folder} holds something else than {candidate.id!r}. Nothing was changed; choose another --to."
            )
        remove(half_made)
        half_made.mkdir(parents=True)
        atoms = candidate.to_ase()
        for file, kind in WRITTEN.items():
            # POSCAR wants each element once: ASE sorts, and who reads it back compares structures, not lists of atoms.
            write(half_made / file, atoms, format=kind, **({"sort": True} if kind == "vasp" else {}))
        (half_made / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        if folder.exists():  # results may lie in it already, so it is not replaced as a whole
            for file in (*WRITTEN, MANIFEST):
                (half_made / file).replace(folder / file)
            half_made.rmdir()
        else:
            half_made.rename(folder)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror}. Choose another --to.") from error
    return folder


def _id_in(folder: Path, campaign: str) -> str | None:
    """The id in a folder's manifest, if it is of this campaign."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return str(manifest["id"]) if manifest["campaign"] == campaign else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_replies(
    path: Path, candidates: Mapping[str, Candidate], names: Mapping[str, str], settings: HandoffSettings
) -> Iterator[Reply | ResultError]:
    """Read all results at a path, in the order of names; what cannot be read is an error in its place.

    The path is a CSV file, a result of one structure, its folder, or a folder of such; `names` has the id of each folder name.
    """
    ids = {**{candidate_id: candidate_id for candidate_id in candidates}, **names}

    def reply(where: Path) -> Reply | ResultError:
        """The result in a file, or in the one of a folder that counts."""
        try:
            file = where if where.is_file() else _result_in(where)
            candidate = candidates[_id_of(file.parent, ids, candidates)]
            return Reply(id=candidate.id, outcome=read_outcome(file, candidate, settings), source=str(file))
        except HullscoutError as error:
            return ResultError(f"{where}: {error}")

    if not path.exists():
        yield ResultError(f"There is no {path}. Give a folder of results, a result or a CSV file.")
    elif path.suffix.lower() == ".csv":
        yield from _read_table(path, candidates)
    elif path.is_file():
        yield reply(path)
    else:
        tables = sorted(path.rglob("*.csv"))
        folders = sorted({file.parent for file in path.rglob("*") if _rank(file)})
        folders = [folder for folder in folders if not _is_scratch(folder, ids)]
        if not folders and not tables:
            yield ResultError(
                f"{path} holds no results. Expected vasprun.xml, OUTCAR, {FAILED}, or files that ASE reads."
            )
        for table in tables:
            yield from _read_table(table, candidates)
        yield from map(reply, folders)


def _handed_out(folder: Path, ids: Mapping[str, str]) -> Path | None:
    """The folder that was handed out, by its manifest or its name: this one, or the nearest above it."""
    places = (folder, *folder.resolve().parents)
    return next((place for place in places if (place / MANIFEST).is_file() or place.name in ids), None)


def _is_scratch(folder: Path, ids: Mapping[str, str]) -> bool:
    """Whether a folder in one that was handed out holds no energy: what a code stores for itself."""
    if _handed_out(folder, ids) in {None, folder}:
        return False
    ranked = [(rank, file) for file in folder.iterdir() if (rank := _rank(file))]
    return not any(rank != _OTHER or _holds_energy(file) for rank, file in ranked)


def _id_of(folder: Path, ids: Mapping[str, str], candidates: Mapping[str, Candidate]) -> str:
    """The id that the manifest of what was handed out states, or that the folder's name stands for."""
    place = _handed_out(folder, ids)
    if place is None:
        raise ResultError(
            f"expected {MANIFEST} in the folder or above it, or a folder with the name that was handed out; found neither. "
            "Keep the manifest with the results."
        )
    manifest = place / MANIFEST
    if not manifest.is_file():
        return ids[place.name]
    try:
        found = str(json.loads(manifest.read_text(encoding="utf-8"))["id"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultError(f"{manifest} is no manifest ({error}). Put it back as it was handed out.") from error
    if found not in candidates:
        raise ResultError(
            f"{manifest} names {found!r}, which is no candidate of this campaign. Is it another campaign's?"
        )
    return found


def _rank(file: Path) -> tuple[int, float] | None:
    """Where a file stands among the results of its folder by its name, the lowest is taken; None where it is no result."""
    if not file.is_file() or file.name in {MANIFEST, *WRITTEN} or file.name.startswith("."):
        return None
    if file.name == FAILED:
        return 0, 0.0
    if vasp := VASP_NAME.fullmatch(file.name):
        return 1 if vasp["file"] == "vasprun.xml" else 2, -float(vasp["run"] or math.inf)
    return _OTHER if file.suffix.lower() in _SUFFIXES else None


def _result_in(folder: Path) -> Path:
    """The file of a folder that counts."""
    ranked = sorted((rank, file) for file in folder.iterdir() if (rank := _rank(file)))
    files = [file for _, file in ranked]
    if len(files) > 1 and ranked[0][0] == _OTHER:  # the queueing system's log, say, beside the result
        shown = ", ".join(file.name for file in files)
        files = [file for file in files if _holds_energy(file)]
        if len(files) != 1:
            found = ", ".join(file.name for file in files) or f"none that can be read among {shown}"
            raise ResultError(f"expected one file with an energy, found {found}. Keep one, or give its path.")
    return files[0]


def _holds_energy(file: Path) -> bool:
    with suppress(ResultError):
        return bool(_read_energy(file))
    return False


def read_outcome(file: Path, candidate: Candidate, settings: HandoffSettings) -> Outcome:
    """The energy in a file that a code wrote for a candidate, or why it is none; the words of one that is named `FAILED`."""
    if file.name == FAILED:
        text = " ".join(file.read_text(encoding="utf-8", errors="replace").split())[:300]
        return Failed(reason=FailureReason.REPORTED, sentence=text or "No reason was given.")
    atoms, energy, unconverged = _read_energy(file)
    atoms.pbc = True  # which not all files say
    answer = Calculated(energy_ev=energy, relaxed=Candidate.from_ase(atoms, candidate.id))
    outcome = judge(candidate, answer, settings, source=file.name)  # first, since it refuses other atoms
    return failure_of(energy, candidate.n_atoms, unconverged) or outcome


def _read_energy(file: Path) -> tuple[ase.Atoms, float, str]:
    """The last structure with an energy, the energy in eV, and what did not converge where the code says so and does not fail."""
    from ase.io import read  # noqa: PLC0415  (late: ASE loads slowly)

    try:
        if VASP_NAME.fullmatch(file.name):
            return read_vasp_result(file)
        atoms: Any = read(file, index=-1)
        given = atoms.get_potential_energy()
    except ResultError:
        raise
    except Exception as error:  # a reader of a foreign file may raise anything
        text = " ".join(str(error).split())[:200]
        raise ResultError(
            f"{file.name} holds no energy that can be read ({type(error).__name__}: {text}). Is the calculation complete? "
            f"If it failed, put a file {FAILED} beside it that says why."
        ) from error
    energy = real_number(given)
    if energy is None:
        raise ResultError(f"{file.name}: expected the energy as one real number in eV, found {given!r}.")
    return atoms, energy, ""


def _read_table(path: Path, candidates: Mapping[str, Candidate]) -> Iterator[Reply | ResultError]:
    """A row for each candidate: `id`, one of `energy_ev` and `energy_ev_per_atom`, or `failed` with a reason; also `wall_s`."""

    def refused(header: tuple[str, ...]) -> str:
        energies = {"energy_ev", "energy_ev_per_atom"} & set(header)
        if "id" in header and len(energies) == 1 and set(header) <= set(CSV_COLUMNS):
            return ""
        return (
            "expected the columns id and either energy_ev or energy_ev_per_atom, and failed and wall_s if wanted; found "
            f"{', '.join(header) or 'none'}. Name them in the first line."
        )

    try:
        table = read_csv(path, error=ResultError, refused=refused, is_ragged=True)
    except ResultError as error:
        yield error
        return
    for row in table.rows:
        where = f"{path}, line {row.line}"
        try:
            if outcome := _outcome_in(row, len(table.header), candidates):
                yield Reply(id=row.cells["id"], outcome=outcome, source=where)
        except ResultError as error:
            yield ResultError(f"{where}: {error}")


def _outcome_in(row: Row, n_columns: int, candidates: Mapping[str, Candidate]) -> Outcome | None:
    """The outcome in a row; None where energy and failure are empty, as in a list that is not filled in yet."""
    cells = row.cells
    if row.n_fields > n_columns:
        raise ResultError(f"expected {n_columns} columns, found more. Put text with commas into quotes.")
    candidate_id, failed = cells.get("id", ""), cells.get("failed", "")
    if candidate_id not in candidates:
        raise ResultError(f"{candidate_id!r} is no candidate of this campaign. Is it another campaign's?")
    text = cells.get("energy_ev") or cells.get("energy_ev_per_atom")
    if text and failed:
        raise ResultError(f"expected an energy or a failure of {candidate_id!r}, found both. Keep one.")
    if not text and not failed:
        return None
    wall_s = None
    if time := cells.get("wall_s"):
        wall_s = number(time, ResultError(f"expected wall_s, in seconds, as a number, found {time!r}."))
        if not 0 <= wall_s < math.inf:
            raise ResultError(f"expected wall_s of 0 seconds or more, found {time}.")
    if not text:
        return Failed(reason=FailureReason.REPORTED, sentence=failed, wall_s=wall_s)
    n_atoms = candidates[candidate_id].n_atoms
    energy = number(text, ResultError(f"expected an energy in eV as a number, found {text!r}."))
    energy *= 1 if "energy_ev" in cells else n_atoms
    if not is_energy(energy, n_atoms):
        raise ResultError(
            f"expected a finite energy of {candidate_id!r} in eV, found {text}. A failure goes into `failed`."
        )
    return Calculated(energy_ev=energy, wall_s=wall_s)
