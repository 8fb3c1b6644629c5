"""Results that come back from codes that ran elsewhere: from a folder of folders, a single file or a CSV.

What is read is an energy with its structure, or a failure. Whether anyone asked for it is not known here.
"""

from __future__ import annotations

import csv
import json
import math
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast
from xml.etree import ElementTree as ET

import numpy as np

from hullscout.errors import HullscoutError, InvalidStructureError, ResultError
from hullscout.oracle.outbox import MANIFEST, WRITTEN
from hullscout.oracle.outcome import Calculated, Failed, FailureReason, Outcome
from hullscout.oracle.sameness import change_between
from hullscout.pool import Candidate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import ase

    from hullscout.oracle.sameness import Change
    from hullscout.oracle.settings import HandoffSettings

FAILED = "FAILED"
"""A file of this name says that the calculation failed; what is in it says why."""
PREFERRED = ("vasprun.xml", "vasprun.xml.gz", "OUTCAR", "OUTCAR.gz")
"""Results that are taken where they are; without them the folder must hold exactly one other file with an energy."""
CSV_COLUMNS = ("id", "energy_ev", "energy_ev_per_atom", "failed", "wall_s")
NOT_RESULTS = {MANIFEST, *WRITTEN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A result that was read.

    Attributes:
        id: The candidate.
        outcome: Its energy in eV of the candidate's own cell, or why there is none.
        source: Where it stood.
    """

    id: str
    outcome: Outcome
    source: str


def read_replies(
    path: Path, candidates: Mapping[str, Candidate], names: Mapping[str, str], settings: HandoffSettings
) -> Iterator[Reply | ResultError]:
    """Read all results at a path, in the order of names; what cannot be read is an error in its place.

    Args:
        path: A CSV file, a result of one structure, its folder, or a folder of such.
        candidates: The pool's candidates by id.
        names: The id of each folder name.
        settings: When a returned structure is another one.
    """
    if not path.exists():
        yield ResultError(f"There is no {path}. Give a folder of results, a result or a CSV file.")
    elif path.suffix.lower() == ".csv":
        yield from _read_csv(path, candidates)
    elif path.is_file():
        yield _caught(path, lambda: _read_one(path, path.parent, candidates, names, settings))
    else:
        folders = sorted({file.parent for file in path.rglob("*") if _is_result(file)})
        tables = sorted(file for file in path.rglob("*.csv"))
        if not folders and not tables:
            yield ResultError(
                f"{path} holds no results. Expected {', '.join(PREFERRED[::2])}, {FAILED}, or files that ASE reads."
            )
        for table in tables:
            yield from _read_csv(table, candidates)
        for folder in folders:
            yield _caught(folder, partial(_read_folder, folder, candidates, names, settings))


def _is_result(file: Path) -> bool:
    return (
        file.is_file()
        and file.name not in NOT_RESULTS
        and file.suffix.lower() != ".csv"
        and not file.name.startswith(".")
        and (file.name in (*PREFERRED, FAILED) or _has_energy_format(file))
    )


def _has_energy_format(file: Path) -> bool:
    """Whether the name is that of a file which may hold an energy that ASE reads."""
    return file.suffix.lower() in {
        ".xml",
        ".traj",
        ".extxyz",
        ".xyz",
        ".json",
        ".db",
        ".out",
        ".pwo",
        ".log",
        ".gpw",
        ".castep",
    }


def _caught(where: Path, read: Callable[[], Reply]) -> Reply | ResultError:
    try:
        return read()
    except HullscoutError as error:
        return ResultError(f"{where}: {error}")


def _read_folder(
    folder: Path, candidates: Mapping[str, Candidate], names: Mapping[str, str], settings: HandoffSettings
) -> Reply:
    files = sorted(file for file in folder.iterdir() if _is_result(file))
    preferred = [folder / name for name in (FAILED, *PREFERRED) if (folder / name) in files]
    if not preferred and len(files) > 1:
        raise ResultError(
            f"expected one result, found {', '.join(file.name for file in files)}. Keep one, or give its path."
        )
    return _read_one((preferred or files)[0], folder, candidates, names, settings)


def _read_one(
    file: Path, folder: Path, candidates: Mapping[str, Candidate], names: Mapping[str, str], settings: HandoffSettings
) -> Reply:
    candidate = candidates[_id_of(folder, candidates, names)]
    if file.name == FAILED:
        text = " ".join(file.read_text(encoding="utf-8", errors="replace").split())[:300]
        outcome: Outcome = Failed(reason=FailureReason.REPORTED, sentence=text or "No reason was given.")
    else:
        outcome = _read_result(file, candidate, settings)
    return Reply(id=candidate.id, outcome=outcome, source=str(file))


def _id_of(folder: Path, candidates: Mapping[str, Candidate], names: Mapping[str, str]) -> str:
    """The id that the nearest manifest states, or that the name of a folder above stands for."""
    for place in (folder, *folder.resolve().parents):
        manifest = place / MANIFEST
        if manifest.is_file():
            try:
                found = str(json.loads(manifest.read_text(encoding="utf-8"))["id"])
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise ResultError(f"{manifest} is no manifest ({error}). Put it back as it was handed out.") from error
            if found not in candidates:
                raise ResultError(
                    f"{manifest} names {found!r}, which is no candidate of this campaign. Is it another campaign's?"
                )
            return found
        if place.name in names or place.name in candidates:
            return names.get(place.name, place.name)
    raise ResultError(
        f"expected {MANIFEST} in the folder or above it, or a folder with the name that was handed out; found neither. "
        "Keep the manifest with the results."
    )


def _read_result(file: Path, candidate: Candidate, settings: HandoffSettings) -> Outcome:
    atoms = _read_atoms(file)
    energy = float(atoms.get_potential_energy())
    found = Candidate(
        id=candidate.id, numbers=atoms.numbers, positions=atoms.positions, cell=np.asarray(atoms.cell, dtype=np.float64)
    )
    change = _change(candidate, found, source=file.name)
    if not math.isfinite(energy):
        return Failed(reason=FailureReason.NOT_FINITE, sentence=f"The energy is {energy:g} eV.")
    unconverged = _what_did_not_converge(file)
    if unconverged:
        return Failed(reason=FailureReason.NOT_CONVERGED, sentence=f"{unconverged} (energy then: {energy:.6f} eV).")
    return _judged(change, found, energy, settings)


def judge(
    candidate: Candidate, found: Candidate, energy_ev: float, settings: HandoffSettings, *, wall_s: float | None = None
) -> Outcome:
    """What an energy is worth that came with a structure: nothing, where that is no longer the one that was asked for.

    Raises:
        ResultError: It does not even hold the same atoms.
    """
    return _judged(_change(candidate, found, source="What was told"), found, energy_ev, settings, wall_s=wall_s)


def _change(candidate: Candidate, found: Candidate, *, source: str) -> Change:
    try:
        return change_between(candidate, found)
    except InvalidStructureError as error:
        raise ResultError(f"{source} is of another structure. {error} Nothing of it was taken.") from error


def _judged(
    change: Change, found: Candidate, energy: float, settings: HandoffSettings, *, wall_s: float | None = None
) -> Outcome:
    what = change.sentence(max_strain=settings.max_strain, max_displacement=settings.max_displacement)
    if what:
        return Failed(
            reason=FailureReason.CHANGED,
            sentence=f"It came back as another structure: {what} (energy there: {energy:.6f} eV).",
            wall_s=wall_s,
        )
    is_relaxed = change.strain > 1e-6 or change.displacement > 1e-6 or abs(change.volume_ratio - 1) > 1e-6
    return Calculated(energy_ev=energy, relaxed=found if is_relaxed else None, wall_s=wall_s)


def _read_atoms(file: Path) -> ase.Atoms:
    """The last structure with an energy of a file, as ASE reads it."""
    from ase.io import read  # noqa: PLC0415  (late: ASE loads slowly)

    name = file.name.removesuffix(".gz")
    kind = "vasp-xml" if name == "vasprun.xml" else "vasp-out" if name == "OUTCAR" else None
    try:
        atoms: Any = read(file, index=-1, format=kind)
        atoms.get_potential_energy()
    except Exception as error:  # a reader of a foreign file may raise anything
        text = " ".join(str(error).split())[:200]
        raise ResultError(
            f"{file.name} holds no energy that can be read ({type(error).__name__}: {text}). Is the calculation complete? "
            f"If it failed, put a file {FAILED} beside it that says why."
        ) from error
    return cast("ase.Atoms", atoms)


def _what_did_not_converge(file: Path) -> str:
    """What the code says of its own convergence, for codes that do not fail without it; empty where it converged."""
    import gzip  # noqa: PLC0415  (late: seldom)

    opened = gzip.open if file.name.endswith(".gz") else open
    name = file.name.removesuffix(".gz")
    if name not in ("vasprun.xml", "OUTCAR"):
        return ""
    with opened(file, "rt", encoding="utf-8", errors="replace") as stream:
        text = stream.read()
    if name == "vasprun.xml":
        return _vasprun_convergence(text)
    if "General timing and accounting" not in text:
        raise ResultError("OUTCAR is cut off: expected the timings at its end. Is the calculation complete?")
    loops = re.findall(r"aborting loop (because EDIFF is reached|EDIFF was not reached)", text)
    if loops and "not" in loops[-1]:
        return "The electrons did not converge"
    n_steps, mode = (re.search(rf"\b{key}\s*=\s*(-?\d+)", text) for key in ("NSW", "IBRION"))
    is_relaxation = n_steps and mode and int(n_steps[1]) > 1 and int(mode[1]) in (1, 2, 3)
    return "The atoms did not come to rest" if is_relaxation and "reached required accuracy" not in text else ""


def _vasprun_convergence(text: str) -> str:
    """As pymatgen judges: the last step took less than NELM electronic, the relaxation less than NSW ionic steps."""
    try:
        root = ET.fromstring(text)  # noqa: S314  the user's own result
    except ET.ParseError as error:
        raise ResultError(f"vasprun.xml is cut off ({error}). Is the calculation complete?") from error
    settings = {item.get("name"): (item.text or "").strip() for item in root.findall("./parameters//i")}
    steps = root.findall("./calculation")
    n_electronic, n_ionic = int(settings.get("NELM", 0)), int(settings.get("NSW", 0))
    if steps and n_electronic > 1 and len(steps[-1].findall("./scstep")) >= n_electronic:
        return f"The electrons did not converge within NELM = {n_electronic} steps"
    if n_ionic > 1 and settings.get("IBRION") in {"1", "2", "3"} and len(steps) >= n_ionic:
        return f"The atoms did not come to rest within NSW = {n_ionic} steps"
    return ""


def _read_csv(path: Path, candidates: Mapping[str, Candidate]) -> Iterator[Reply | ResultError]:
    """A row for each candidate: `id`, one of `energy_ev` and `energy_ev_per_atom`, or `failed` with a reason; also `wall_s`."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restkey="more", strict=True)
            columns = tuple(reader.fieldnames or ())
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        yield ResultError(f"{path} cannot be read as CSV ({error}).")
        return
    is_energy = {"energy_ev", "energy_ev_per_atom"} & set(columns)
    if "id" not in columns or len(is_energy) != 1 or not set(columns) <= set(CSV_COLUMNS):
        yield ResultError(
            f"{path}: expected the columns id and either energy_ev or energy_ev_per_atom, and failed and wall_s if wanted; found "
            f"{', '.join(columns) or 'none'}. Name them in the first line."
        )
        return
    for line, row in enumerate(rows, start=2):
        try:
            reply = _read_row(row, candidates, source=f"{path}, line {line}")
        except (ResultError, ValueError) as error:
            yield ResultError(f"{path}, line {line}: {error}")
        else:
            if reply is not None:
                yield reply


def _read_row(row: dict[str, str | None], candidates: Mapping[str, Candidate], *, source: str) -> Reply | None:
    """The reply in a row; None where energy and failure are empty, as in a list that is not filled in yet."""
    if "more" in row:
        raise ResultError(f"expected {len(row) - 1} columns, found more. Put text with commas into quotes.")
    cells = {key: (value or "").strip() for key, value in row.items()}
    candidate_id, failed = cells["id"], cells.get("failed", "")
    if candidate_id not in candidates:
        raise ResultError(f"{candidate_id!r} is no candidate of this campaign. Is it another campaign's?")
    text = cells.get("energy_ev", "") or cells.get("energy_ev_per_atom", "")
    if not text and not failed:
        return None
    if text and failed:
        raise ResultError(f"expected an energy or a failure of {candidate_id!r}, found both. Keep one.")
    wall_s = float(cells["wall_s"]) if cells.get("wall_s") else None
    if failed:
        outcome: Outcome = Failed(reason=FailureReason.REPORTED, sentence=failed, wall_s=wall_s)
    else:
        energy = float(text) * (1 if cells.get("energy_ev") else candidates[candidate_id].n_atoms)
        if not math.isfinite(energy):
            raise ResultError(
                f"expected a finite energy of {candidate_id!r} in eV, found {text}. A failure goes into `failed`."
            )
        outcome = Calculated(energy_ev=energy, wall_s=wall_s)
    return Reply(id=candidate_id, outcome=outcome, source=source)
