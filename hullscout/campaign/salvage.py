"""What is sound in a damaged campaign, as a new one: every answer that can be trusted is kept, and what was lost is told.

A round that was lost is replaced by one that asked for the answers of which no round is known any more, so that these are kept too.
What has no answer is calculated again when the new campaign goes on. `StoreError` where nothing can be read.
"""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hullscout.campaign.database import is_of_the_machine, lock_folder, refuse_no_database
from hullscout.campaign.founding import given_of_rows, origin_of_rows, row_given_later
from hullscout.campaign.opening import DATABASE, SCHEMA, CampaignDatabase, connect_to_damaged, has_checksums, make
from hullscout.campaign.rows import ADDITIONS, ANSWERS, ATTEMPTS, CAMPAIGN, FAILURES, ROUNDS, TABLES, listed
from hullscout.campaign.setup import Setup
from hullscout.campaign.store import Store
from hullscout.errors import HullscoutError, StoreError
from hullscout.files import sha256_of
from hullscout.selection import Decision
from hullscout.writing import write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from hullscout.campaign.rows import Row, Table

NEEDED = ("campaign_text", "config", "pool_name", "pool_sha256", "pool")
ENERGIES = "answers.csv"
Rows = dict["Table", list["Row"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Salvaged:
    """How much was kept, a sentence for each thing that was lost, and whether it is a campaign or a table of energies alone."""

    n_answers: int
    n_failures: int
    n_rounds: int
    lost: tuple[str, ...]
    is_campaign: bool

    @property
    def sentences(self) -> tuple[str, ...]:
        """The same in sentences."""
        kept = f"Kept {self.n_answers} answers, {self.n_failures} failures and {self.n_rounds} rounds."
        if not self.is_campaign:
            kept = f"No campaign can be made of what is left. Wrote {self.n_answers} energies to {ENERGIES}."
        return (kept, *(f"Lost: {name}" for name in self.lost), *(() if self.lost else ("Nothing was lost.",)))


def salvage(folder: Path, output: Path) -> Salvaged:
    """Make a campaign in another folder of what is sound of the one in `folder`, which is left as it is."""
    database = folder / DATABASE
    refuse_no_database(database)
    if not database.exists():
        raise StoreError(f"There is no campaign in {folder}: expected {DATABASE}. Give the --out folder of a run.")
    if (output / DATABASE).exists():
        raise StoreError(f"{output} holds a campaign already. Nothing was changed; choose another -o.")
    rows, lost = _read(database)
    values = {row["key"]: row["value"] for row in rows[CAMPAIGN]}
    missing = [key for key in NEEDED if key not in values]
    if not missing and sha256_of(values["pool"]).encode() != values["pool_sha256"]:
        missing.append("pool")
    if missing:
        lost += [f"what no campaign can be without: {', '.join(missing)}"]
        return _energies_alone(rows, output, lost)
    lock = lock_folder(output, "campaign.lock", busy="running a campaign")
    try:
        rows[CAMPAIGN] = [row for row in rows[CAMPAIGN] if row["key"] != "schema"]
        rows[CAMPAIGN].append({"key": "schema", "value": str(SCHEMA).encode()})
        rows[ADDITIONS] = [{**row, "number": number} for number, row in enumerate(rows[ADDITIONS], start=1)]
        try:
            ids = _ids(rows, database)
        except HullscoutError as error:
            return _energies_alone(rows, output, [*lost, f"what no campaign can be without: {error}"])
        lost += _fit(rows, ids)
        make(output / DATABASE, rows)
    finally:
        lock.release()
    with Store.read(output) as store:  # it is what it should be
        Setup(store.origin()).open_ledger(store, is_kept=False)
    return _told(rows, lost, is_campaign=True)


def _told(rows: Rows, lost: list[str], *, is_campaign: bool) -> Salvaged:
    sizes = {"n_answers": ANSWERS, "n_failures": FAILURES, "n_rounds": ROUNDS}
    counts = {name: len(rows[table]) for name, table in sizes.items()}
    return Salvaged(**counts, lost=tuple(lost), is_campaign=is_campaign)


def _energies_alone(rows: Rows, output: Path, lost: list[str]) -> Salvaged:
    """The energies as a table, where there is no campaign to which they belong."""
    if not rows[ANSWERS]:
        raise StoreError(
            f"Nothing can be salvaged: {'; '.join(lost)}. Nothing was written. Put back a copy of the folder."
        )
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerows([("id", "energy_ev"), *((row["id"], repr(row["energy_ev"])) for row in rows[ANSWERS])])
    output.mkdir(parents=True, exist_ok=True)
    write_whole(output / ENERGIES, text.getvalue(), remedy="Choose another -o.")
    return _told(rows, lost, is_campaign=False)


def _read(database: Path) -> tuple[Rows, list[str]]:
    """The sound rows of all tables, and what the others are called."""
    rows: Rows = {}
    lost: list[str] = []
    try:
        with closing(connect_to_damaged(database)) as connection:
            is_sealed = has_checksums(connection)
            for table in TABLES:
                found, is_whole = _lines(connection, table, is_sealed=is_sealed)
                rows[table], damaged = table.sift(found, is_sealed=is_sealed)
                lost += damaged
                lost += [] if is_whole else [f"rows of {table.name} that cannot be read"]
    except (sqlite3.Error, MemoryError) as error:
        if is_of_the_machine(error):
            raise CampaignDatabase.unreadable(database, error) from error
        raise StoreError(
            f"Nothing can be salvaged: {database} is damaged beyond reading or is no campaign ({error}). Nothing was written. "
            "Put back a copy of it, or run the campaign again with another --out."
        ) from error
    return rows, lost


def _lines(connection: sqlite3.Connection, table: Table, *, is_sealed: bool) -> tuple[list[Any], bool]:
    """What can be read of a table from both its ends, and whether that is all of it."""
    query = table.selection(is_sealed=is_sealed).replace("SELECT ", "SELECT rowid, ", 1)
    found: dict[int, Any] = {}
    for end in ("", " DESC"):
        try:
            for number, *line in connection.execute(f"{query}{end}"):
                found.setdefault(number, line)
        except (sqlite3.Error, MemoryError) as error:
            if "no such table" in str(error):
                return [], table is ADDITIONS and not is_sealed
            continue
        return [line for _, line in sorted(found.items())], True
    return [line for _, line in sorted(found.items())], False


def _ids(rows: Rows, database: Path) -> set[str]:
    """The ids of all candidates."""
    values = {row["key"]: row["value"] for row in rows[CAMPAIGN]}
    return set(Setup(origin_of_rows(values, rows[ADDITIONS], database)).pool.ids)


def _fit(rows: Rows, ids: set[str]) -> list[str]:
    """Leave out what speaks of no candidate, and ask for what was answered but is in no round; what was left out or made up."""
    lost = []
    for table in (ANSWERS, FAILURES, ATTEMPTS):
        lost += [f"{table.named(row)}: it is no candidate" for row in rows[table] if row["id"] not in ids]
        rows[table] = [row for row in rows[table] if row["id"] in ids]
    answered = {row["id"] for row in rows[ANSWERS]}
    rows[FAILURES] = [row for row in rows[FAILURES] if row["id"] not in answered]
    given, given_after = given_of_rows({row["key"]: row["value"] for row in rows[CAMPAIGN]})
    asked: set[str] = set(given)
    rounds: list[tuple[int, dict[str, Any]]] = []
    for row in rows[ROUNDS]:
        tree = json.loads(row["record"])
        chosen = [name for name in tree["chosen"] if name in ids and name not in asked]
        asked.update(chosen)
        if chosen:
            rounds.append((row["round"], {**tree, "chosen": chosen}))
    numbers = [number for number, _ in rounds]
    settled = [row["id"] for table in (ANSWERS, FAILURES) for row in rows[table]]
    if orphans := [name for name in settled if name not in asked]:
        gap = next((place for place, number in enumerate(numbers) if place != number), len(numbers))
        rounds.insert(gap, (gap, {**Decision().to_tree(), "chosen": orphans}))
        numbers.insert(gap, gap)
        lost.append(f"who asked for {listed(orphans)}: round {gap} stands for that now")
    rows[ADDITIONS] = [
        {**row, "n_rounds": sum(number < row["n_rounds"] for number in numbers)} for row in rows[ADDITIONS]
    ]
    renewed = {
        row["key"]: row
        for name, n_rounds in given_after.items()
        for row in [row_given_later(name, given[name], sum(number < n_rounds for number in numbers))]
    }
    rows[CAMPAIGN] = [renewed.get(row["key"], row) for row in rows[CAMPAIGN]]
    rows[ROUNDS] = [{"round": n, "record": json.dumps({**tree, "round": n})} for n, (_, tree) in enumerate(rounds)]
    return lost
