"""An SQLite file that holds something whole: what the stores of campaigns and of plans share.

Each write is one transaction, on disk before the function returns. A lock file beside the database admits one writer at a time.
It knows nothing of what is kept. `StoreError` where a folder or database cannot be made, locked, read or written.
"""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING, Any, ClassVar, Self

from filelock import FileLock, Timeout

from hullscout.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


RESERVE_BYTES = 1 << 20
"""An answer takes some 20 kB of the database and its log while the campaign runs."""
OF_THE_MACHINE = {
    getattr(sqlite3, f"SQLITE_{name}") for name in ("FULL", "IOERR", "CANTOPEN", "READONLY", "BUSY", "PERM")
}


OF_A_LOCK = "Wait for it, or choose another --out."


class DatabaseStore:
    """An open database, for writing (its lock is held meanwhile) or only for reading (None)."""

    kind: ClassVar[str]
    """What the database holds: `campaign`, `plan`."""

    def __init__(self, database: Path, *, connection: sqlite3.Connection, lock: FileLock | None) -> None:
        self.database = database
        self._connection = connection
        self._lock = lock

    def close(self) -> None:
        """Close the database and let another process have it."""
        self._connection.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @classmethod
    def damaged(cls, database: Path, error: object) -> StoreError:
        """The error of a database that does not hold what it should."""
        return StoreError(
            f"{database} is damaged or is no {cls.kind} ({error}). Nothing was changed. "
            "Put back a copy of it, or choose another --out to start again."
        )

    @classmethod
    def unreadable(cls, database: Path, error: sqlite3.Error) -> StoreError:
        """The error of a database that SQLite cannot read or open: damaged, or the machine does not let it."""
        if is_of_the_machine(error):
            return StoreError(
                f"{database} could not be opened: {error}. Nothing was changed and what was committed is safe; see that there is "
                "room on the disk and that it can be written, and run the same command again."
            )
        return cls.damaged(database, error)

    def _rows(self, query: str) -> list[Any]:
        try:
            return self._connection.execute(query).fetchall()
        except sqlite3.DatabaseError as error:
            raise self.unreadable(self.database, error) from error

    def _write(self, *statements: tuple[str, tuple[object, ...]]) -> None:
        """Execute statements as one transaction."""
        try:
            with self._connection:
                for statement, values in statements:
                    self._connection.execute(statement, values)
        except sqlite3.Error as error:
            if not self._made_room(error):
                raise StoreError(
                    f"{self.database} could not be written: {error}. What was committed before is safe; see that there is "
                    "room on the disk, and run the same command again."
                ) from error
            self._write(*statements)

    def _made_room(self, error: sqlite3.Error) -> bool:  # noqa: ARG002  for those that keep some back
        """Whether something was done about what hindered a transaction, so that it is worth another try."""
        return False


def is_of_the_machine(error: sqlite3.Error) -> bool:
    """Whether SQLite speaks of the disk or of another process (full, read-only, busy, an I/O error), not of what is in the file."""
    code = getattr(error, "sqlite_errorcode", None)  # no errors but SQLite's own have one
    return code is not None and code & 0xFF in OF_THE_MACHINE


def lock_folder(folder: Path, name: str, *, busy: str, remedy: str = OF_A_LOCK) -> FileLock:
    """Make a folder where there is none and take the lock file in it; the caller releases it.

    Args:
        busy: What another process is doing where that has the lock, as "running the campaign"; the remedy says what to do then.
    """
    lock, what = FileLock(folder / name), "made"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        what = "written"
        lock.acquire(timeout=0)
    except Timeout as error:
        raise StoreError(f"Another process is {busy} in {folder}. {remedy}") from error
    except OSError as error:
        raise StoreError(
            f"The output folder {folder} cannot be {what}: {error.strerror}. Choose another --out."
        ) from error
    return lock


class DiskReserve:
    """Room on the disk that is kept back, so that what was paid for can be committed when the disk is full.

    A disk that fills up would otherwise lose the calculations that are under way. The reserve is a file (one that a killed process
    left is made anew); it is given back when a transaction finds no room, and what is still to be committed goes there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("wb") as file:
                file.write(os.urandom(RESERVE_BYTES))  # a file system that compresses would keep nothing back for zeros
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            path.unlink(missing_ok=True)
            raise StoreError(
                f"There is no room for a campaign in {path.parent}: {error.strerror}. {RESERVE_BYTES >> 20} MB is kept back there, "
                "so that no answer is lost when the disk is full. Free some room and run the same command again."
            ) from error
        self.is_there = True

    def give_back(self) -> None:
        """Make its room free."""
        self._path.unlink(missing_ok=True)
        self.is_there = False
