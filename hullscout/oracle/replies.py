"""Results of calculations that ran elsewhere, read back.

What is read is an energy with its structure, or a failure: from a folder of folders, a single file or a CSV table. Whether anyone
asked for it is not known here; whether a calculation may be used is `pool.calculations`' to say.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hullscout.contents import json_of, member_text, raw_content
from hullscout.errors import HullscoutError, ResultError, UnsafeFileError
from hullscout.oracle.handoff import FAILED, MAGMOM, MANIFEST, WRITTEN
from hullscout.oracle.outcome import Calculated, Failed, FailureReason, Outcome, failure_of, judge
from hullscout.oracle.told_pool import results_together
from hullscout.oracle.told_table import read_table, words_of
from hullscout.pool import Candidate, Frame
from hullscout.pool.calculations import (
    OUTCAR,
    VASP_NAME,
    VASPRUN,
    Calculation,
    kind_of,
    notes_on,
    promised_kind,
    read_calculation,
)
from hullscout.pool.columns import find_setting_conflicts, setting_notes
from hullscout.pool.folders import is_link_out, is_table_file, links_out
from hullscout.pool.frames import plain_columns
from hullscout.pool.settings import setting_columns
from hullscout.pool.twins import twin_among

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from hullscout.oracle.settings import HandoffSettings

_MAX_REASON = 10_000  # bytes
_OTHER = 3  # the rank of results of other codes than VASP
_SUFFIXES = {".xml", ".traj", ".extxyz", ".xyz", ".json", ".db", ".out", ".pwo", ".log", ".gpw", ".castep"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A result that was read: of which candidate, the energy of its own cell or why there is none, and where it stood.

    The calculation is as its file says it, None of a table's row; other files in its folder that hold a result are `unused`, and so
    are `columns` of its table. Where nothing names a candidate and none is this crystal, `stranger` is what was calculated, as it
    was before it was relaxed if that is known, and the id is the path of its folder, as in a pool, or its file's name. It
    `is_named` where manifest, folder, id or table say of which candidate it is, and not its crystal alone.
    """

    id: str
    outcome: Outcome
    source: str
    calculation: Calculation | None = field(default=None, repr=False)
    unused: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    stranger: Candidate | None = field(default=None, repr=False)
    is_named: bool = True


def _name_within(path: Path, where: Path) -> str:
    """What a result is called that states no name: its place within the path that was given, or that path's own name."""
    if where != path:
        return where.relative_to(path).as_posix()
    return where.resolve().name if where.is_dir() else where.stem


def read_replies(
    path: Path, candidates: Mapping[str, Candidate], names: Mapping[str, str], settings: HandoffSettings
) -> Iterator[Reply | ResultError]:
    """Read all results at a path, in the order of names; what cannot be read is an error in its place.

    The path is a CSV file, a result, its folder, a folder of such, or a file of several with ids; `names` has the ids of folders.
    """
    ids = {**{candidate_id: candidate_id for candidate_id in candidates}, **names}

    def reply(where: Path) -> Reply | ResultError:
        """The result in a file, or in the one of a folder that counts."""
        try:
            return _reply_in(where, ids, candidates, settings, name=_name_within(path, where))
        except HullscoutError as error:
            return ResultError(f"{where}: {error}")
        except Exception as error:  # noqa: BLE001  a library may raise anything at what came from outside
            what = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            return ResultError(f"{where}: holds no result that can be used ({what}). Look at the file.")

    if not path.exists():
        yield ResultError(f"There is no {path}. Give a folder of results, a result or a CSV file.")
    elif is_table_file(path):
        yield from _in_table(path, candidates)
    elif path.is_file():
        yield from [_reply_of(one, path, candidates, settings) for one in results_together(path)] or [reply(path)]
    else:
        yield from _links_out(path)
        tables = sorted(file for file in path.rglob("*") if is_table_file(file) and not is_link_out(path, file))
        folders = sorted({file.parent for file in path.rglob("*") if _rank(file)})
        folders = [folder for folder in folders if not _is_scratch(folder, ids)]
        if not folders and not tables:
            yield ResultError(
                f"{path} holds no results. Expected vasprun.xml, OUTCAR, {FAILED}, or files that ASE reads."
            )
        for table in tables:
            yield from _in_table(table, candidates)
        yield from map(reply, folders)


def _links_out(folder: Path) -> Iterator[ResultError]:
    """An error for each link that is named like a result and leads out of a folder, and for each other thing that is no file."""
    links = [folder / name for name in links_out(folder)]
    for link in filter(_is_named_like_a_result, links):
        yield ResultError(f"{link}: a link that leads out of {folder} is not followed. Copy the file.")
    for other in sorted(path for path in folder.rglob("*") if _is_named_like_a_result(path) and path not in links):
        if not other.is_file() and not other.is_dir():
            yield ResultError(f"{other}: expected a file, found a pipe, a device or a link to nothing. Give a file.")


def _is_named_like_a_result(path: Path) -> bool:
    is_named = path.name == FAILED or VASP_NAME.fullmatch(path.name) is not None or is_table_file(path)
    return is_named or path.suffix.lower() in _SUFFIXES


def _handed_out(folder: Path, ids: Mapping[str, str]) -> Path | None:
    """The folder that was handed out, by its manifest or its name: this one, or the nearest above it."""
    places = (folder, *folder.resolve().parents)
    return next((place for place in places if (place / MANIFEST).is_file() or place.name in ids), None)


def _is_scratch(folder: Path, ids: Mapping[str, str]) -> bool:
    """Whether a folder in one that was handed out holds no energy: what a code stores for itself."""
    if _handed_out(folder, ids) in {None, folder}:
        return False
    ranked = [(rank, file) for file in folder.iterdir() if (rank := _rank(file))]
    return not any(rank[0] != _OTHER or _holds_energy(file) for rank, file in ranked)


def _id_of(folder: Path, ids: Mapping[str, str], candidates: Mapping[str, Candidate]) -> str | None:
    """The id that the manifest of what was handed out states, or that the folder's name stands for; None where neither is there."""
    place = _handed_out(folder, ids)
    if place is None:
        return None
    manifest = place / MANIFEST
    if not manifest.is_file():
        return ids[place.name]
    try:
        found = str(json_of(member_text(manifest))["id"])
    except (OSError, UnsafeFileError, ValueError, KeyError, TypeError) as error:
        raise ResultError(f"{manifest} is no manifest ({error}). Put it back as it was handed out.") from error
    if found not in candidates:
        raise ResultError(
            f"{manifest} names {found!r}, which is no candidate of this campaign. Is it another campaign's?"
        )
    return found


def _rank(file: Path) -> tuple[int, float, bool] | None:
    """Where a file stands among the results of its folder, the lowest is taken; None where it is no result.

    First what kind it is, by its content or by a name that promises it, then of several runs the last, then VASP's own names.
    """
    if not file.is_file() or is_link_out(file.parent, file):
        return None
    if file.name in {MAGMOM, MANIFEST, *WRITTEN} or file.name.startswith("."):
        return None
    if file.name == FAILED:
        return 0, 0.0, False
    named, kind = VASP_NAME.fullmatch(file.name), promised_kind(file) or kind_of(file)
    if kind in {VASPRUN, OUTCAR}:
        return 1 if kind == VASPRUN else 2, -float((named and named["run"]) or math.inf), named is None
    return (_OTHER, 0.0, False) if kind or file.suffix.lower() in _SUFFIXES else None


def _result_in(folder: Path) -> tuple[Path, tuple[str, ...]]:
    """The file of a folder that counts, and the names of others that hold a result, too."""
    ranked = sorted((rank, file) for file in folder.iterdir() if (rank := _rank(file)))
    best, chosen = ranked[0]
    files = [file for rank, file in ranked if rank == best]
    if len(files) > 1:  # the queueing system's log, say, beside the result
        shown = ", ".join(file.name for file in files)
        files = [file for file in files if _holds_energy(file)]
        if len(files) != 1:
            found = ", ".join(file.name for file in files) or f"none that can be read among {shown}"
            raise ResultError(f"expected one file with an energy, found {found}. Keep one, or give its path.")
        chosen = files[0]
    is_vasp = (
        VASP_NAME.fullmatch(chosen.name) is not None
    )  # then others of these names are of the same or of earlier runs
    others = [file for _, file in ranked if file != chosen and not (is_vasp and VASP_NAME.fullmatch(file.name))]
    return chosen, tuple(file.name for file in others if _holds_energy(file))


def _holds_energy(file: Path) -> bool:
    with suppress(ResultError):
        return bool(read_calculation(file))
    return False


def read_outcome(file: Path, candidate: Candidate, settings: HandoffSettings) -> Outcome:
    """The energy in a file that a code wrote for a candidate, or why it is none; the words of one that is named `FAILED`."""
    return _reported(file) if file.name == FAILED else _outcome_of(_read(file), file, candidate, settings)


def _reported(file: Path) -> Failed:
    """The failure in a file `FAILED`."""
    text = words_of(raw_content(file, _MAX_REASON).decode(errors="replace"))
    return Failed(reason=FailureReason.REPORTED, sentence=text or "No reason was given.")


def _read(file: Path) -> Calculation:
    is_handed_out = (
        file.parent / MANIFEST
    ).is_file()  # the start may have been another; judge compares with the candidate
    try:
        return read_calculation(file, of_others=WRITTEN if is_handed_out else ())
    except ResultError as error:
        if " holds no energy " not in str(error):
            raise
        raise ResultError(f"{error} If it failed, put a file {FAILED} beside it that says why.") from error


def _outcome_of(done: Calculation, file: Path, candidate: Candidate, settings: HandoffSettings) -> Outcome:
    relaxed = Candidate.from_ase(done.atoms, candidate.id)
    stated = setting_columns(plain_columns(done.columns))
    answer = Calculated(energy_ev=done.energy_ev, relaxed=relaxed, wall_s=done.wall_s, settings=stated)
    outcome = judge(candidate, answer, settings, source=file.name)  # first, since it refuses other atoms
    unconverged = done.unconverged
    if not unconverged and settings.fmax is not None and (done.max_force or 0.0) > settings.fmax:
        unconverged = (
            f"The largest force is {done.max_force:.3g} eV/A, expected at most oracle.fmax = {settings.fmax:g}"
        )
    return failure_of(done.energy_ev, candidate.n_atoms, unconverged) or outcome


def _reply_in(
    where: Path, ids: Mapping[str, str], candidates: Mapping[str, Candidate], settings: HandoffSettings, *, name: str
) -> Reply:
    """The result in a file, or in the one of a folder that counts: of the candidate that is named, or whose crystal it is."""
    file, unused = (where, ()) if where.is_file() else _result_in(where)
    candidate_id = _id_of(file.parent, ids, candidates)
    if candidate_id is None and file.name == FAILED:
        raise ResultError(
            f"expected {MANIFEST} in the folder or above it, or a folder with the name that was handed out; found neither. "
            "Keep the manifest with the results."
        )
    done = None if file.name == FAILED else _read(file)
    if candidate_id is None and done is not None:
        return replace(_unasked(done, file, candidates, settings, name=name), unused=unused)
    candidate = candidates[candidate_id or ""]
    outcome = _reported(file) if done is None else _outcome_of(done, file, candidate, settings)
    return Reply(id=candidate.id, outcome=outcome, source=str(file), calculation=done, unused=unused)


def _reply_of(
    one: tuple[str, Calculation] | ResultError,
    file: Path,
    candidates: Mapping[str, Candidate],
    settings: HandoffSettings,
) -> Reply | ResultError:
    """One of several results in a file: of the candidate of that id, or whose crystal it is."""
    if isinstance(one, ResultError):
        return one
    name, done = one
    try:
        if name not in candidates:
            return _unasked(done, file, candidates, settings, name=name)
        outcome = _outcome_of(done, file, candidates[name], settings)
    except HullscoutError as error:
        return ResultError(f"{file}, {name}: {error}")
    return Reply(id=name, outcome=outcome, source=f"{file}, {name}", calculation=done)


def _unasked(
    done: Calculation, file: Path, candidates: Mapping[str, Candidate], settings: HandoffSettings, *, name: str
) -> Reply:
    """A result that names no candidate: of the one that its structure is, before it was relaxed if that is known, or of none."""
    start = Candidate.from_ase(done.atoms if done.start is None else done.start, name)
    candidate = twin_among(start, candidates.values())
    outcome = _outcome_of(done, file, start, settings)
    if candidate is None:
        return Reply(id=name, outcome=outcome, source=str(file), calculation=done, stranger=start, is_named=False)
    if isinstance(outcome, Calculated) and candidate.n_atoms != start.n_atoms:
        outcome = replace(outcome, energy_ev=outcome.energy_ev / start.n_atoms * candidate.n_atoms, relaxed=None)
    elif isinstance(outcome, Calculated) and outcome.relaxed is not None:
        outcome = replace(outcome, relaxed=replace(outcome.relaxed, id=candidate.id))
    return Reply(id=candidate.id, outcome=outcome, source=str(file), calculation=done, is_named=False)


def _in_table(path: Path, candidates: Mapping[str, Candidate]) -> Iterator[Reply | ResultError]:
    """The results in a CSV table, or what is wrong of a row."""
    for row in read_table(path, candidates):
        yield row if isinstance(row, ResultError) else Reply(**row)


def notes_on_replies(replies: Sequence[Reply], candidates: Mapping[str, Candidate]) -> tuple[str, ...]:
    """Sentences about results that were taken: files beside them, what cannot be told of them, settings in which they differ."""
    energies = [(r, r.calculation) for r in replies if r.calculation is not None and isinstance(r.outcome, Calculated)]
    notes = [f"{r.source} was read; not used beside it: {', '.join(r.unused)}." for r in replies if r.unused]
    columns = dict.fromkeys(column for r in replies for column in r.columns)
    notes += [f"Columns of tables that mean nothing here and were not used: {', '.join(columns)}."] if columns else []
    notes += notes_on((reply.id, done) for reply, done in energies)
    frames = [
        Frame(
            number=place,
            id=reply.id,
            numbers=candidates[reply.id].numbers,
            positions=candidates[reply.id].positions,
            cell=candidates[reply.id].cell,
            pbc=(True, True, True),
            energy_ev=done.energy_ev,
            columns=plain_columns(done.columns),
        )
        for place, (reply, done) in enumerate(energies, start=1)
    ]
    differing = "; ".join(str(conflict) for conflict in find_setting_conflicts(frames))
    if differing:
        notes.append(f"Energies of different settings do not belong on one hull, and these were told: {differing}.")
    return (*notes, *setting_notes(frames))
