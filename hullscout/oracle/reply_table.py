"""A CSV table of results that come back: a row for each candidate, with its energy or why there is none."""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING

from hullscout.errors import ResultError
from hullscout.oracle.outcome import Calculated, Failed, FailureReason, Outcome, Reply, is_energy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from hullscout.pool import Candidate

CSV_COLUMNS = ("id", "energy_ev", "energy_ev_per_atom", "failed", "wall_s")


def read_reply_table(path: Path, candidates: Mapping[str, Candidate]) -> Iterator[Reply | ResultError]:
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
        except ResultError as error:
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
    wall_s = _number(cells["wall_s"], "wall_s, in seconds,") if cells.get("wall_s") else None
    if wall_s is not None and not 0 <= wall_s < math.inf:
        raise ResultError(f"expected wall_s of 0 seconds or more, found {cells['wall_s']}.")
    if failed:
        outcome: Outcome = Failed(reason=FailureReason.REPORTED, sentence=failed, wall_s=wall_s)
    else:
        n_atoms = candidates[candidate_id].n_atoms
        energy = _number(text, "an energy in eV") * (1 if cells.get("energy_ev") else n_atoms)
        if not is_energy(energy, n_atoms):
            raise ResultError(
                f"expected a finite energy of {candidate_id!r} in eV, found {text}. A failure goes into `failed`."
            )
        outcome = Calculated(energy_ev=energy, wall_s=wall_s)
    return Reply(id=candidate_id, outcome=outcome, source=source)


def _number(text: str, what: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ResultError(f"expected {what} as a number, found {text!r}.") from error
