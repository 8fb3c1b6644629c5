"""Results in a CSV table: an energy or a failure of a candidate in each row."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from hullscout.display import is_visible
from hullscout.errors import ResultError
from hullscout.files import Row, number, read_csv
from hullscout.oracle.function import SAME_EV_PER_ATOM
from hullscout.oracle.outcome import Calculated, Failed, FailureReason, Outcome, is_energy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from hullscout.pool import Candidate

CSV_ENERGIES = {"energy_ev": False, "energy": False, "energy_ev_per_atom": True, "energy_per_atom": True}
"""Columns of a table that state energies in eV, and whether per atom."""
CSV_COLUMNS = ("id", *CSV_ENERGIES, "failed", "wall_s")
MAX_WORDS = 300  # characters of what somebody wrote of a failure that are kept


def words_of(text: str) -> str:
    """The beginning of what somebody wrote of a failure."""
    return " ".join(text.split())[:MAX_WORDS]


def read_table(path: Path, candidates: Mapping[str, Candidate]) -> Iterator[dict[str, Any] | ResultError]:
    """A row for each candidate: `id`, one of `CSV_ENERGIES`, or `failed` with a reason; also `wall_s`. Others are passed over.

    Gives the `id`, `outcome` and `source` of each, and the `columns` that were not used.
    """

    def refused(header: tuple[str, ...]) -> str:
        if "id" in header and len(CSV_ENERGIES.keys() & set(header)) == 1:
            return ""
        return (
            f"expected the columns id and one of {', '.join(CSV_ENERGIES)}, and failed and wall_s if wanted; found "
            f"{', '.join(header) or 'none'}. Name them in the first line."
        )

    try:
        table = read_csv(path, error=ResultError, refused=refused, plain=str.lower, is_ragged=True)
    except ResultError as error:
        yield error
        return
    unused = tuple(name for name in table.header if name not in CSV_COLUMNS)
    stated: dict[str, dict[int, Outcome]] = {}
    for row in table.rows:
        try:
            if outcome := _outcome_in(row, len(table.header), candidates):
                stated.setdefault(row.cells["id"], {})[row.line] = outcome
        except ResultError as error:
            yield ResultError(f"{path}, line {row.line}: {error}")
    for candidate_id, by_line in stated.items():
        if contradiction := _contradiction(by_line, candidates[candidate_id].n_atoms):
            yield ResultError(
                f"{path}: expected one result of {candidate_id!r}, found {contradiction}. None was taken; keep one."
            )
            continue
        for line, outcome in by_line.items():
            yield {"id": candidate_id, "outcome": outcome, "source": f"{path}, line {line}", "columns": unused}


def _contradiction(by_line: Mapping[int, Outcome], n_atoms: int) -> str:
    """What the lines of a table say of a candidate where they do not agree; nothing where they do."""
    energies = [outcome.energy_ev for outcome in by_line.values() if isinstance(outcome, Calculated)]
    is_failed = len(energies) < len(by_line)
    if not energies or (not is_failed and max(energies) - min(energies) <= SAME_EV_PER_ATOM * n_atoms):
        return ""
    said = (f"{o.energy_ev} eV" if isinstance(o, Calculated) else "a failure" for o in by_line.values())
    return ", ".join(f"{what} in line {line}" for line, what in zip(by_line, said, strict=True))


def _outcome_in(row: Row, n_columns: int, candidates: Mapping[str, Candidate]) -> Outcome | None:
    """The outcome in a row; None where energy and failure are empty, as in a list that is not filled in yet."""
    cells = row.cells
    if row.n_fields > n_columns:
        raise ResultError(f"expected {n_columns} columns, found more. Put text with commas into quotes.")
    if row.n_fields < n_columns:
        raise ResultError(
            f"expected {n_columns} columns, found {row.n_fields}: was the row cut off? Leave fields blank between commas."
        )
    candidate_id, failed = cells.get("id", ""), cells.get("failed", "")
    if candidate_id not in candidates:
        advice = (
            "Is it another campaign's?" if is_visible(candidate_id) else "It has signs that are not seen; remove them."
        )
        raise ResultError(f"{candidate_id!r} is no candidate of this campaign. {advice}")
    column = next((name for name in CSV_ENERGIES if name in cells), "")
    text = cells.get(column)
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
        return Failed(reason=FailureReason.REPORTED, sentence=words_of(failed), wall_s=wall_s)
    n_atoms = candidates[candidate_id].n_atoms
    energy = number(text, ResultError(f"expected an energy in eV as a number, found {text!r}."))
    energy *= n_atoms if CSV_ENERGIES[column] else 1
    if not is_energy(energy, n_atoms):
        raise ResultError(
            f"expected a finite energy of {candidate_id!r} in eV, found {text}. A failure goes into `failed`."
        )
    return Calculated(energy_ev=energy, wall_s=wall_s)
