"""An SQLite file that holds something whole: what the stores of campaigns and of plans share.

Each write is one transaction, on disk before the function returns. A lock file beside the database admits one writer at a time, who
sees before and after each write that lock and database are still those that were opened, and that nobody else wrote.
It knows nothing of what is kept. `StoreError` where a folder or database cannot be made, locked, read or written.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from filelock import FileLock, Timeout

from hullscout.campaign.watched import Watched, descriptors_of
from hullscout.contents import refuse_link_out, refuse_no_file
from hullscout.errors import StoreError, UnsafeFileError

if TYPE_CHECKING:
    from types import TracebackType

    from hullscout.campaign.watched import Identity

OF_THE_MACHINE = {
    getattr(sqlite3, f"SQLITE_{name}") for name in ("FULL", "IOERR", "CANTOPEN", "READONLY", "BUSY", "PERM")
}
NOT_THERE_TWICE = ("SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_ROWID")
OF_A_LOCK = "Wait for it, or choose another --out."


Statements = tuple[tuple[str, tuple[object, ...]], ...]


class DatabaseStore:
    """An open database, for writing (its lock is held meanwhile) or only for reading (None)."""

    kind: ClassVar[str]
    """What the database holds: `campaign`, `plan`."""
    remedy: ClassVar[str] = ""
    """What else can be done about a damaged one."""

    def __init__(
        self,
        database: Path,
        *,
        connection: sqlite3.Connection,
        lock: FileLock | None,
        descriptors: dict[int, Identity] | None = None,
    ) -> None:
        self.database = database
        self._connection = connection
        self._lock = lock
        self.watch(descriptors)

    def watch(self, descriptors: dict[int, Identity] | None = None) -> None:
        """Hold the files that are there now for those that were opened, by descriptors; nothing where it is only read."""
        lock, self._watched = self._lock, Watched()
        if lock is not None:
            held = descriptors_of([Path(lock.lock_file)])
            self._watched = Watched(self._files(lock), descriptors={**(descriptors or {}), **held})
        self._version = self._data_version()

    def close(self) -> None:
        """Close the database and let another process have it."""
        self._connection.close()
        if self._lock is not None:
            self._lock.release()

    @property
    def is_in_place(self) -> bool:
        """Whether database and lock are the files that were opened."""
        return not self._watched.fault()

    def refuse_removed(self) -> None:
        """`StoreError` where the database, its log, its lock or its folder was removed, replaced or cut off since it was opened."""
        fault = self._watched.fault()
        if self._watched.is_let_go:
            raise StoreError(
                f"{fault}. Nothing new is begun; what was committed before is safe. Run the same command again, with "
                'executor.kind = "processes": there a calculation reaches nothing of the campaign.'
            )
        if fault:
            raise StoreError(
                f"{fault} while the {self.kind} was open. Nothing new is begun: what is written now would be lost. "
                f"See what changes files there, put back a copy of {self.database.name} or choose another --out, and run the "
                "command again."
            )

    def refuse_written(self) -> None:
        """`StoreError` where another process committed something to the database."""
        if self._data_version() != self._version:
            raise StoreError(
                f"Another process wrote to {self.database} while the {self.kind} was open. Nothing new is begun; every answer so "
                "far was committed. End the other process, look at `hullscout status`, and run the same command again."
            )

    def _data_version(self) -> Any:
        """A number that others change when they write, and this connection does not."""
        return None if self._lock is None else self._rows("PRAGMA data_version")

    def _files(self, lock: FileLock) -> tuple[Path, ...]:
        """The files that have to stay the same while it is open for writing."""
        return (self.database, Path(lock.lock_file))

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
            f"Put back a copy of it{cls.remedy}, or choose another --out to start again."
        )

    @classmethod
    def unreadable(cls, database: Path, error: Exception) -> StoreError:
        """The error of a database that SQLite cannot read or open: damaged, or the machine does not let it."""
        if is_of_the_machine(error):
            return StoreError(
                f"{database} could not be opened: {error}. Nothing was changed and what was committed is safe; see that there is "
                "room on the disk and that it can be written, and run the same command again."
            )
        return cls.damaged(database, error)

    def _rows(self, query: str, values: tuple[object, ...] = ()) -> list[Any]:
        try:
            return self._connection.execute(query, values).fetchall()
        except (sqlite3.Error, MemoryError) as error:  # a length that is damaged may be beyond all memory
            raise self.unreadable(self.database, error) from error

    def _write(self, *statements: tuple[str, tuple[object, ...]]) -> None:
        """Execute statements as one transaction, in the files that were opened."""
        self.refuse_removed()
        try:
            with self._connection:
                for statement, values in statements:
                    self._connection.execute(statement, values)
        except sqlite3.IntegrityError as error:
            raise self._contradicted(error) from error
        except sqlite3.Error as error:
            if not self._made_room(error, statements):
                raise StoreError(
                    f"{self.database} could not be written: {error}. What was committed before is safe; see that there is "
                    "room on the disk, and run the same command again."
                ) from error
        except (ValueError, TypeError, OverflowError) as error:
            raise self._not_kept(error) from error
        self.refuse_removed()
        self._watched.grown()
        self.refuse_written()

    def _contradicted(self, error: sqlite3.IntegrityError) -> StoreError:
        """The error of a row that is there already, which nobody but this process writes, or of one that cannot be."""
        if getattr(error, "sqlite_errorname", "") not in NOT_THERE_TWICE:
            return self._not_kept(error)
        return StoreError(
            f"{self.database} could not be written: another process writes this {self.kind} ({error}). What was committed before "
            "is safe. End the other process, see that its lock file is left alone, and run the same command again."
        )

    def _not_kept(self, error: Exception) -> StoreError:
        return StoreError(
            f"{self.database} could not be written: it cannot keep a value ({error}). What was committed before is safe."
        )

    def _made_room(self, error: sqlite3.Error, statements: Statements) -> bool:  # noqa: ARG002  for those that keep some back
        """Whether a transaction that did not go into the database was kept all the same."""
        return False


def refuse_no_files(*paths: Path) -> None:
    """`StoreError` for what stands at a path and is no regular file, or a link out of its folder; without opening it."""
    for path in paths:
        try:
            refuse_link_out(path)
            refuse_no_file(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except UnsafeFileError as error:
            raise StoreError(
                f"{error} Nothing was changed; see how it came there, or choose another folder."
            ) from error
        except OSError as error:
            raise StoreError(
                f"{path} cannot be read: {error.strerror}. Ask its owner for the right to read it."
            ) from error


def refuse_no_database(database: Path) -> None:
    """The same of a database, and of what SQLite would open beside it."""
    refuse_no_files(database, *(database.with_name(f"{database.name}-{end}") for end in ("wal", "shm", "journal")))


def is_of_the_machine(error: Exception) -> bool:
    """Whether SQLite speaks of the disk or of another process (full, read-only, busy, an I/O error), not of what is in the file."""
    code = getattr(error, "sqlite_errorcode", None)  # no errors but SQLite's own have one
    return code is not None and code & 0xFF in OF_THE_MACHINE


def lock_folder(folder: Path, name: str, *, busy: str, remedy: str = OF_A_LOCK) -> FileLock:
    """Make a folder where there is none and take the lock file in it; the caller releases it.

    Args:
        busy: What another process is doing where that has the lock, as "running the campaign"; the remedy says what to do then.
    """
    refuse_no_files(folder / name)
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
