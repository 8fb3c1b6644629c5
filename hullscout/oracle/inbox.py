"""Results that come back from codes that ran elsewhere: from a folder of folders, a single file or a CSV.

What is read is an energy with its structure, or a failure. Whether anyone asked for it is not known here.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import HullscoutError, InvalidStructureError, ResultError
from hullscout.oracle.outbox import MANIFEST, WRITTEN
from hullscout.oracle.outcome import Calculated, Failed, FailureReason, Outcome, Reply, is_energy
from hullscout.oracle.reply_table import read_reply_table
from hullscout.oracle.result_file import (
    FAILED,
    holds_energy,
    may_hold_energy,
    preference,
    read_atoms,
    what_did_not_converge,
)
from hullscout.oracle.sameness import change_between
from hullscout.pool import Candidate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from hullscout.oracle.sameness import Change
    from hullscout.oracle.settings import HandoffSettings

NOT_RESULTS = {MANIFEST, *WRITTEN}


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
        yield from read_reply_table(path, candidates)
    elif path.is_file():
        yield _caught(path, lambda: _read_one(path, path.parent, candidates, names, settings))
    else:
        tables = sorted(file for file in path.rglob("*.csv"))
        folders = sorted({file.parent for file in path.rglob("*") if _is_result(file)})
        folders = [folder for folder in folders if not _is_scratch(folder, candidates, names)]
        if not folders and not tables:
            yield ResultError(
                f"{path} holds no results. Expected vasprun.xml, OUTCAR, {FAILED}, or files that ASE reads."
            )
        for table in tables:
            yield from read_reply_table(table, candidates)
        for folder in folders:
            yield _caught(folder, partial(_read_folder, folder, candidates, names, settings))


def _is_result(file: Path) -> bool:
    return (
        file.is_file()
        and file.name not in NOT_RESULTS
        and file.suffix.lower() != ".csv"
        and not file.name.startswith(".")
        and may_hold_energy(file)
    )


def _is_scratch(folder: Path, candidates: Mapping[str, Candidate], names: Mapping[str, str]) -> bool:
    """Whether a folder in one that was handed out holds no energy: what a code stores for itself."""

    def is_handed(place: Path) -> bool:
        return (place / MANIFEST).is_file() or place.name in names or place.name in candidates

    if is_handed(folder) or not any(is_handed(place) for place in folder.resolve().parents):
        return False
    files = [file for file in folder.iterdir() if _is_result(file)]
    return not any(preference(file) or holds_energy(file) for file in files)


def _caught(where: Path, read: Callable[[], Reply]) -> Reply | ResultError:
    try:
        return read()
    except HullscoutError as error:
        return ResultError(f"{where}: {error}")


def _read_folder(
    folder: Path, candidates: Mapping[str, Candidate], names: Mapping[str, str], settings: HandoffSettings
) -> Reply:
    files = sorted(file for file in folder.iterdir() if _is_result(file))
    preferred = sorted((file for file in files if preference(file)), key=lambda file: (preference(file), file.name))
    if not preferred and len(files) > 1:  # the queueing system's log, say, beside the result
        shown = ", ".join(file.name for file in files)
        files = [file for file in files if holds_energy(file)]
        if len(files) != 1:
            found = ", ".join(file.name for file in files) or f"none that can be read among {shown}"
            raise ResultError(f"expected one file with an energy, found {found}. Keep one, or give its path.")
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
    atoms = read_atoms(file)
    energy = float(atoms.get_potential_energy())
    found = Candidate(
        id=candidate.id, numbers=atoms.numbers, positions=atoms.positions, cell=np.asarray(atoms.cell, dtype=np.float64)
    )
    change = _change(candidate, found, source=file.name)
    if not is_energy(energy, candidate.n_atoms):
        return Failed(reason=FailureReason.NOT_FINITE, sentence=f"The energy is {energy:g} eV.")
    unconverged = what_did_not_converge(file)
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
