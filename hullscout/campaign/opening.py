"""Making and opening a campaign's database, of this version or an earlier one; what does not fit is refused before it is used.

It is made under another name and given its own by a link, which never replaces anything. While a campaign is open for writing, its
database has a log beside it; at rest it is one file, which can be read where nothing can be written.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING, ClassVar

from hullscout.campaign.database import DatabaseStore, is_of_the_machine, refuse_no_database
from hullscout.campaign.rows import ADDITIONS, CAMPAIGN, CHECKSUM, FAILURES, ROUNDS, TABLES, listed
from hullscout.campaign.watched import descriptors_of
from hullscout.contents import raw_content
from hullscout.errors import StoreError
from hullscout.writing import sync

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hullscout.campaign.database import Statements
    from hullscout.campaign.reserve import DiskReserve
    from hullscout.campaign.rows import Row, Table
    from hullscout.campaign.watched import Identity

DATABASE = "campaign.db"
SCHEMA = 5
"""Earlier versions would write rows without checksums, so that they are given a schema that they refuse."""
SCHEMAS_WITHOUT_CHECKSUMS = (3, 4)
_MAGIC = b"SQLite format 3\0"
_KINDS_OF_LOG = {1, 2}  # none while at rest, one beside it
_CUT_OFF = {
    sqlite3.SQLITE_READONLY_ROLLBACK,
    sqlite3.SQLITE_READONLY_RECOVERY,
}  # somebody has to clear up before it is read


class CampaignDatabase(DatabaseStore):
    """The database of a campaign."""

    kind: ClassVar[str] = "campaign"
    remedy: ClassVar[str] = ", keep what is sound by `hullscout salvage FOLDER -o ANOTHER`"


def refuse_foreign(database: Path) -> None:
    """`StoreError` where the folder holds results that are not of a campaign, or cannot be read."""
    folder = database.parent
    refuse_no_database(database)
    try:
        foreign = [name for name in ("result.json", "hull.png") if (folder / name).exists()]
        if not foreign or database.exists():
            return
    except OSError as error:
        raise StoreError(
            f"The output folder {folder} cannot be read: {error.strerror}. Choose another --out."
        ) from error
    raise StoreError(f"{folder} holds {foreign[0]} but no {DATABASE}. Nothing was changed; choose another --out.")


def make(database: Path, rows: dict[Table, list[Row]]) -> None:
    """Make a database that holds some rows; one that is there is never replaced."""
    half_made = database.with_name(f".{DATABASE}.{secrets.token_hex(8)}.new")
    try:
        with closing(sqlite3.connect(half_made)) as connection, connection:
            connection.execute("PRAGMA journal_mode = MEMORY")  # what fails is thrown away
            for statement, values in creating(rows):
                connection.execute(statement, values)
        _name(half_made, database)
        sync(database.parent)
    except FileExistsError as error:
        raise StoreError(
            f"Another process made {database} meanwhile; it was left as it is. Run the same command again to go on with it."
        ) from error
    except (OSError, sqlite3.Error, TypeError, ValueError) as error:
        raise StoreError(
            f"{database} could not be made: {error}. Nothing was looked up; choose another --out."
        ) from error
    finally:
        with suppress(OSError):
            half_made.unlink(missing_ok=True)


def _name(half_made: Path, database: Path) -> None:
    """Give a file its name; FileExistsError where that is taken."""
    try:
        database.hardlink_to(half_made)
    except FileExistsError:
        raise
    except OSError:  # a file system without links: the name is claimed, then the claim is replaced
        database.touch(exist_ok=False)
        half_made.replace(database)


def creating(rows: dict[Table, list[Row]]) -> Statements:
    """The statements that make all tables with some rows, as one transaction; ValueError or TypeError where one cannot be kept."""
    made = [("BEGIN IMMEDIATE", ()), *((table.creation, ()) for table in TABLES)]
    return (*made, *((table.insertion, table.sealed(row)) for table, kept in rows.items() for row in kept))


def sealing(connection: sqlite3.Connection, rows: dict[Table, list[Row]]) -> Statements:
    """The statements that give the rows of a database of an earlier version their checksums."""
    rows[CAMPAIGN] = [
        {**row, "value": str(SCHEMA).encode()} if row["key"] == "schema" else row for row in rows[CAMPAIGN]
    ]
    begin, *made = creating(rows)
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    dropped = [(f"DROP TABLE {table.name}", ()) for table in TABLES if table.name in there]
    return (begin, *dropped, *made)


def open_for_reading(database: Path) -> sqlite3.Connection:
    """A connection that changes nothing, also while another process writes, and where nothing can be written."""
    try:
        return _connect(database, "mode=ro")
    except (sqlite3.Error, MemoryError) as error:
        if getattr(error, "sqlite_errorcode", None) in _CUT_OFF:
            with suppress(sqlite3.Error):  # where nothing can be written, the first error stands
                _take_back(database)
                return _connect(database, "mode=ro")
        is_at_rest = not database.with_name(f"{DATABASE}-wal").exists()
        if is_of_the_machine(error) and is_at_rest and not os.access(database.parent, os.W_OK):
            with suppress(sqlite3.Error):  # an earlier version left it as one that has a log, which cannot be made here
                return _connect(database, "mode=ro&immutable=1")
        raise CampaignDatabase.unreadable(database, error) from error


def _take_back(database: Path) -> None:
    """Let SQLite take back what a killed process had half written; where another process is writing, it waits for that."""
    with closing(_opened(database, "mode=rw")) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()


def open_for_writing(database: Path) -> tuple[sqlite3.Connection, dict[int, Identity]]:
    """A connection whose commits are on the disk when they return, and its descriptors; the caller holds the lock."""
    for left in database.parent.glob(f".{DATABASE}*.new*"):  # of a process that was killed while it made one
        with suppress(OSError):  # the next one does
            left.unlink()
    try:
        # Looked at for reading first: opening for writing would already change a file that is no campaign.
        open_for_reading(database).close()
        files = [database.with_name(f"{DATABASE}{end}") for end in ("", "-wal", "-shm")]
        before = descriptors_of(files)
        with ExitStack() as undo:
            connection = undo.enter_context(closing(_opened(database, "mode=rw")))
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # makes the log
            undo.pop_all()
            return connection, {number: of for number, of in descriptors_of(files).items() if number not in before}
    except (sqlite3.Error, MemoryError) as error:
        raise CampaignDatabase.unreadable(database, error) from error


def leave_log(connection: sqlite3.Connection) -> None:
    """Bring what is in the log into the database, and leave it as one file; where somebody reads, the next one does."""
    with suppress(sqlite3.Error):
        connection.execute("PRAGMA busy_timeout = 0")
        connection.execute("PRAGMA journal_mode = DELETE")


def has_checksums(connection: sqlite3.Connection) -> bool:
    """Whether the rows have checksums; those of earlier versions have none."""
    return any(column[1] == CHECKSUM for column in connection.execute("PRAGMA table_info(campaign)"))


def sound_rows(connection: sqlite3.Connection, table: Table, database: Path) -> list[Row]:
    """The rows of a table; `StoreError` names those that are damaged."""
    rows, damaged = sifted(connection, table)
    if damaged:
        raise CampaignDatabase.damaged(database, f"rows that do not fit their checksums or types: {listed(damaged)}")
    if table in {ROUNDS, ADDITIONS}:
        (number,), first = table.key, int(table is ADDITIONS)
        found = [row[number] for row in rows]
        if found != list(range(first, first + len(found))):
            raise CampaignDatabase.damaged(database, f"{table.name} that do not follow on each other")
    return rows


def sifted(connection: sqlite3.Connection, table: Table) -> tuple[list[Row], list[str]]:
    """The rows of a table that are sound, and the names of the others."""
    is_sealed = has_checksums(connection)
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    if not is_sealed and table is ADDITIONS and not connection.execute(query, (table.name,)).fetchone():
        return [], []
    return table.sift(connection.execute(table.selection(is_sealed=is_sealed)), is_sealed=is_sealed)


def connect_to_damaged(database: Path) -> sqlite3.Connection:
    """A connection for reading what there is of a database, whatever is wrong with it."""
    is_at_rest = not database.with_name(f"{DATABASE}-wal").exists()
    is_closed = is_at_rest and not os.access(database.parent, os.W_OK)
    return _opened(database, "mode=ro&immutable=1" if is_closed else "mode=ro")


def kept_statements(reserve: DiskReserve) -> Iterator[tuple[str, tuple[object, ...]]]:
    """What a reserve keeps, so that it may be written twice; `StoreError` for anything that is not of a store."""
    tables = {sql: table for table in TABLES for sql in (table.insertion, table.replacement)}
    for statements in reserve.kept:
        for sql, values in statements:
            is_removal = sql == FAILURES.removal and [type(value) for value in values] == [str]
            table = tables.get(sql)
            is_row = table is not None and len(values) == len(table.columns) + 1
            if table is not None and is_row and not table.sift([values], is_sealed=True)[1]:
                yield table.replacement, values
            elif is_removal:
                yield sql, values
            else:
                raise StoreError(
                    f"{reserve.path} is damaged: it holds something else than sound rows. Nothing was changed. Put back a copy "
                    "of it, or remove it to go on without them."
                )


def _opened(database: Path, options: str) -> sqlite3.Connection:
    refuse_no_database(database)
    connection = sqlite3.connect(f"{database.resolve().as_uri()}?{options}", uri=True, timeout=30)
    connection.text_factory = _text
    return connection


def _connect(database: Path, options: str) -> sqlite3.Connection:
    """A connection to a database that was looked over."""
    with ExitStack() as undo:
        connection = undo.enter_context(closing(_opened(database, options)))
        _refuse_damaged(connection, database)
        undo.pop_all()
        return connection


def _text(content: bytes) -> str:
    """A text, also of bytes that are none; these stand in no row that is taken."""
    return content.decode(errors="surrogateescape")


def _refuse_damaged(connection: sqlite3.Connection, database: Path) -> None:
    try:
        head = raw_content(database, 100)
    except OSError as error:
        raise StoreError(
            f"{database} could not be opened: {error.strerror}. Nothing was changed; see that it can be read."
        ) from error
    if not head.startswith(_MAGIC) or not set(head[18:20]) <= _KINDS_OF_LOG:
        raise CampaignDatabase.damaged(database, "it does not begin like a database")
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise CampaignDatabase.damaged(database, " ".join(verdict.split()))
    foreign = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('trigger', 'view')").fetchall()
    if foreign:  # it would be run when rows are written
        raise CampaignDatabase.damaged(database, f"it holds {foreign[0][0]!r}, which no campaign has")
    is_sealed = has_checksums(connection)
    if is_sealed:
        found = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
        if others := [table.name for table in TABLES if found.get(table.name) != table.creation]:
            raise CampaignDatabase.damaged(database, f"its table {others[0]} is not as it was made")
    query = f"SELECT value{f', {CHECKSUM}' if is_sealed else ''} FROM campaign WHERE key = 'schema'"  # noqa: S608
    row = connection.execute(query).fetchone() or (b"none", b"")
    row_of_schema = {"key": "schema", "value": row[0]}
    if is_sealed and CAMPAIGN.sift([("schema", *row)], is_sealed=True)[1]:
        raise CampaignDatabase.damaged(
            database, f"a row that does not fit its checksum: {CAMPAIGN.named(row_of_schema)}"
        )
    schemas = (SCHEMA,) if is_sealed else SCHEMAS_WITHOUT_CHECKSUMS
    if row[0] not in {str(schema).encode() for schema in schemas}:
        said = row[0].decode(errors="backslashreplace") if isinstance(row[0], bytes) else repr(row[0])
        raise StoreError(
            f"{database} has schema {said}, this version of Hullscout reads {SCHEMAS_WITHOUT_CHECKSUMS[0]} to {SCHEMA}. "
            "Nothing was changed. Open it with the version that made it (its `hullscout table` hands on the energies), or choose "
            "another --out."
        )
