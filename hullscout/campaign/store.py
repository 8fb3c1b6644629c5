"""The store: one SQLite file that holds a whole campaign, and is the only place where it is kept.

It keeps the campaign file as written, the settings in force, the pool file, every round that was decided, every calculation that
was started, every answer and every failure, each row with a checksum that is compared when it is read.
Each write is one transaction, on disk before the function returns; what was paid for is never lost. The store knows nothing of
what the numbers mean. A lock file beside it admits one writer at a time; readers are always welcome.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar

from hullscout.campaign.attempts import Attempt
from hullscout.campaign.database import OF_A_LOCK, is_of_the_machine, lock_folder, refuse_no_database
from hullscout.campaign.founding import (
    UNREADABLE,
    About,
    about_of_rows,
    addition_of,
    answer_row,
    changed_since,
    changes_of_rows,
    decision_of,
    first_rows,
    given_of_rows,
    origin_of_rows,
    refused,
    rows_about,
    rows_known,
    values_of_changes,
)
from hullscout.campaign.opening import (
    DATABASE,
    CampaignDatabase,
    has_checksums,
    kept_statements,
    leave_log,
    make,
    open_for_reading,
    open_for_writing,
    refuse_foreign,
    sealing,
    sound_rows,
)
from hullscout.campaign.reserve import DiskReserve
from hullscout.campaign.resuming import ChangedThen
from hullscout.campaign.rows import ADDITIONS, ANSWERS, ATTEMPTS, CAMPAIGN, FAILURES, ROUNDS, TABLES
from hullscout.errors import StoreError
from hullscout.oracle import Calculated, Failed, FailureReason, candidate_from_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from filelock import FileLock

    from hullscout.campaign.additions import Addition
    from hullscout.campaign.database import Statements
    from hullscout.campaign.founding import KnownAnswer
    from hullscout.campaign.origin import Origin
    from hullscout.campaign.rows import Row, Table
    from hullscout.pool import Candidate
    from hullscout.selection import Decision

T = TypeVar("T")
RESERVE = ".campaign.reserve"


class Store(CampaignDatabase):
    """A campaign's database, open for writing (with the lock held) or only for reading."""

    changed: str = ""
    """What opening it changed, in sentences."""
    _reserve: DiskReserve | None = None
    _tried: dict[tuple[str, int], Row]  # all attempts and failures, as they are kept; only where it is open for writing
    _failed: set[str]

    @classmethod
    def create_or_resume(
        cls,
        folder: Path,
        origin: Origin,
        *,
        known: Mapping[str, KnownAnswer] | None = None,
        remedy: str = OF_A_LOCK,
    ) -> Self:
        """Open the campaign in `folder` for writing, and make it where there is none; no other campaign or results may be there.

        One that is made begins with the answers that are known. One without an answer is made anew where the settings are others;
        later some may change, and that is committed: see `resuming`. `changed` says either.
        """
        database = folder / DATABASE
        refuse_foreign(database)  # before a folder is touched
        lock = lock_folder(folder, "campaign.lock", busy="running the campaign", remedy=remedy)
        with ExitStack() as undo:
            undo.callback(lock.release)
            refuse_foreign(database)
            if not database.exists():  # nobody but the holder of the lock makes it
                make(database, first_rows(origin, known or {}))
            with cls.read(folder) as kept:  # what is another campaign's is only read
                kept.changed_to(origin)
            connection, descriptors = open_for_writing(database)
            store = cls(database, connection=connection, lock=lock, descriptors=descriptors)
            undo.callback(store.close)
            store._begin()
            noted, fixed = store.changed_to(origin)  # what was kept back is there now
            if fixed:
                store._make_anew(origin, known or {}, fixed)
            elif noted:
                store._save_change(origin, noted)
            undo.pop_all()
        return store

    def changed_to(self, origin: Origin) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What is other in what is given: what may change now, and what takes a campaign anew; `StoreError` where neither may."""
        noted, fixed = changed_since(self.origin(), origin)
        at_first = self.given().keys() - self.given_after().keys()
        if fixed and (self.n_additions or self.answers().keys() - at_first):
            raise refused(fixed, self.database.parent)
        return noted, fixed

    def _make_anew(self, origin: Origin, known: Mapping[str, KnownAnswer], changed: tuple[str, ...]) -> None:
        """Make a campaign without an answer anew, as a whole or not at all."""
        n_awaited = len({row["id"] for row in self._tried.values()})
        reserve, self._reserve = self._reserve, None  # which takes no more than rows
        self._write(*sealing(self._connection, first_rows(origin, known)))
        self._reserve, self._tried, self._failed = reserve, {}, set()
        self.changed = f"Made anew, since no answer was there and this is other: {'; '.join(changed)}."
        if n_awaited:
            self.changed += (
                f" {n_awaited} that were started or handed out are asked for anew; results of them may be told."
            )

    def _save_change(self, origin: Origin, lines: tuple[str, ...]) -> None:
        """Commit settings that changed, before anything is decided by them."""
        change = ChangedThen(n_rounds=self.n_rounds, lines=lines)
        self.save_values(values_of_changes(origin, (*self.changes(), change)))
        self.changed = change.sentence

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Open the campaign in `folder` for reading, also while it is running."""
        database = folder / DATABASE
        refuse_no_database(database)
        if not database.exists():
            raise StoreError(f"There is no campaign in {folder}: expected {DATABASE}. Give the --out folder of a run.")
        return cls(database, connection=open_for_reading(database), lock=None)

    @property
    def has_room(self) -> bool:
        """Whether the disk took every transaction so far; if not, the reserve was given back, and nothing new should be begun."""
        return self._reserve is None or self._reserve.is_there

    def refuse_full(self) -> None:
        """`StoreError` where the disk did not take everything; nothing is lost."""
        if not self.has_room:
            raise StoreError(
                f"The disk of {self.database} is full. Nothing new was begun; what was under way was awaited, and every "
                "answer is kept. Free some room and run the same command again."
            )

    @property
    def has_moments(self) -> bool:
        """Whether the version that made it took magnetic moments from the pool: earlier ones left them out without a word."""
        return "has_moments" in self._values()

    def origin(self) -> Origin:
        """What the campaign was started from."""
        return origin_of_rows(self._values(), self._sound(ADDITIONS), self.database)

    def decisions(self, index: Mapping[str, int]) -> tuple[Decision, ...]:
        """The decisions so far; `index` is that of each candidate by its id, by which they are kept."""
        return self._parsed(ROUNDS, lambda row: decision_of(row, index))

    @property
    def n_rounds(self) -> int:
        """Rounds that were decided."""
        return len(self._sound(ROUNDS))

    @property
    def n_additions(self) -> int:
        """How often structures were added."""
        return len(self._sound(ADDITIONS))

    def additions(self) -> tuple[Addition, ...]:
        """The structures that were added, in their order."""
        return tuple(map(addition_of, self._sound(ADDITIONS)))

    def changes(self) -> tuple[ChangedThen, ...]:
        """What was changed of the settings, in the order in which it was."""
        return self._of_values(changes_of_rows)

    def save_addition(self, addition: Addition, known: Mapping[str, KnownAnswer] | None = None) -> None:
        """Commit structures that were added and what is known of them, before anything is decided that knows of them."""
        row = {name: getattr(addition, name) for name in ("n_rounds", "name", "pool")}
        answers = self._given_later(known or {}, addition.n_rounds)
        self._insert(ADDITIONS, {"number": self.n_additions + 1, **row}, *answers)

    def save_known(self, known: Mapping[str, KnownAnswer], *, n_rounds: int) -> None:
        """Commit answers that nobody asked for, after so many rounds, all of them at once."""
        self._write(*self._given_later(known, n_rounds))

    def _given_later(self, known: Mapping[str, KnownAnswer], n_rounds: int) -> Statements:
        rows = [row for each, answer in known.items() for row in rows_known(each, answer, n_rounds=n_rounds)]
        try:
            return tuple((table.insertion, table.sealed(row)) for table, row in rows)
        except (TypeError, ValueError) as error:
            raise self._not_kept(error) from error

    def answers(self) -> dict[str, float]:
        """Energy in eV per cell of each candidate that was answered."""
        return {row["id"]: row["energy_ev"] for row in self._sound(ANSWERS)}

    def about(self) -> dict[str, About]:
        """What is kept of energies beside themselves, by the candidate's id."""
        return self._of_values(about_of_rows)

    def given(self) -> dict[str, str]:
        """Where each answer is from that nobody asked for, by the candidate's id."""
        return self._of_values(given_of_rows)[0]

    def given_after(self) -> dict[str, int]:
        """How many rounds were decided before those of them that came when the campaign was there."""
        return self._of_values(given_of_rows)[1]

    def relaxed(self) -> dict[str, Candidate]:
        """The structure that each energy is of, where it came back another one than was asked for."""
        parsed = self._parsed(
            ANSWERS, lambda row: (row["id"], row["relaxed"] and candidate_from_tree(json.loads(row["relaxed"])))
        )
        return {candidate_id: relaxed for candidate_id, relaxed in parsed if relaxed is not None}

    def save_decision(self, number: int, decision: Decision, ids: Sequence[str]) -> None:
        """Commit what was decided in a round (from 0) before anything of it is looked up; kept by the `ids` of all candidates."""
        tree = {"round": number, **decision.to_tree(), "chosen": [ids[index] for index in decision.chosen]}
        self._insert(ROUNDS, {"round": number, "record": json.dumps(tree)})

    def failures(self) -> dict[str, Failed]:
        """Each candidate whose energy could not be had."""
        return dict(
            self._parsed(
                FAILURES,
                lambda row: (row["id"], Failed(reason=FailureReason(row["reason"]), sentence=row["sentence"])),
            )
        )

    def attempts(self) -> tuple[Attempt, ...]:
        """Every calculation that was started, in this order; none where energies are looked up in a table."""
        return self._parsed(ATTEMPTS, Attempt.of_row)

    def save_start(self, candidate_id: str, attempt: int) -> None:
        """Commit that a calculation is about to be started."""
        row = dict.fromkeys(ATTEMPTS.columns) | {
            "id": candidate_id,
            "attempt": attempt,
            "began": _now(),
            "is_forgiven": 0,
        }
        self._insert(ATTEMPTS, row)
        self._tried[candidate_id, attempt] = row

    def save_answer(self, candidate_id: str, answer: Calculated, *, attempt: int | None) -> None:
        """Commit an energy, before anything uses it; a failure that was kept before is withdrawn."""
        row = answer_row(candidate_id, answer)
        about = [(CAMPAIGN.replacement, CAMPAIGN.sealed(each)) for each in rows_about(candidate_id, answer.settings)]
        # An energy told after a failure leaves the reason.
        ended = self._ended(candidate_id, attempt, ended=_now(), wall_s=answer.wall_s)
        self._insert(ANSWERS, row, (FAILURES.removal, (candidate_id,)), *about, *ended)
        self._failed.discard(candidate_id)

    def save_failed(self, candidate_id: str, failed: Failed, *, attempt: int | None, is_final: bool) -> None:
        """Commit that a calculation failed, and whether that is all that can be had of the candidate."""
        why = {"reason": str(failed.reason), "sentence": failed.sentence}
        ended = self._ended(candidate_id, attempt, ended=_now(), wall_s=failed.wall_s, **why)
        if is_final and candidate_id not in self._failed:  # of several the first counts
            self._insert(FAILURES, {"id": candidate_id, **why}, *ended)
            self._failed.add(candidate_id)
        elif ended:
            self._write(*ended)

    def forgive_failures(self) -> None:
        """Let every candidate that failed be calculated again, with all its tries."""
        forgiven = [row for row in self._tried.values() if row["reason"] is not None and not row["is_forgiven"]]
        removed = [(FAILURES.removal, (candidate_id,)) for candidate_id in sorted(self._failed)]
        changed = [line for row in forgiven for line in self._ended(row["id"], row["attempt"], is_forgiven=1)]
        if removed or changed:
            self._write(*removed, *changed)
        self._failed.clear()

    def keep_files(self, digests: Mapping[str, str], *, folder: str) -> None:
        """Keep where the campaign file lies and the SHA-256 of each file that its oracle is given; StoreError where one changed."""
        values = {key: value for key, value in self._values().items() if key in {"folder", "files"}}
        try:
            kept: dict[str, str] = json.loads(values.get("files", b"{}"))
            changed = [name for name, digest in kept.items() if digests.get(name) != digest]
        except (AttributeError, ValueError) as error:
            raise self.damaged(self.database, error) from error
        if changed:
            what = "other content" if changed[0] in digests else f"nothing in {folder}"
            raise StoreError(
                f"oracle.arguments: expected the file {changed[0]!r} beside the campaign file as it was when energies were "
                f"computed with it, found {what}. Nothing was computed. Put it back, or choose another --out."
            )
        now = {"folder": folder.encode(errors="surrogateescape"), "files": json.dumps(dict(digests)).encode()}
        if now != values and (digests or "folder" not in values or values["folder"] != now["folder"]):
            self.save_values(now)

    def save_values(self, values: Mapping[str, bytes]) -> None:
        """Commit what belongs to the campaign as a whole, by name."""
        rows = [CAMPAIGN.sealed({"key": key, "value": value}) for key, value in values.items()]
        self._write(*((CAMPAIGN.replacement, row) for row in rows))

    def close(self) -> None:
        """Close the database and let another process have it."""
        if self._lock is not None and self.is_in_place:  # else nothing there is of this campaign
            leave_log(self._connection)
            if self._reserve is not None:
                self._reserve.give_back()
        super().close()

    def _files(self, lock: FileLock) -> tuple[Path, ...]:
        """The log holds what was written last."""
        return (*super()._files(lock), *self.database.parent.glob(f"{DATABASE}-wal"))

    def _begin(self) -> None:
        """Make all ready for writing: rows of an earlier version get checksums, what found no room before is written."""
        if not has_checksums(self._connection):
            rows = {table: self._sound(table) for table in TABLES}
            self._write(*sealing(self._connection, rows))
        self._reserve = DiskReserve(self.database.with_name(RESERVE))
        if self._reserve.kept:
            super()._write(*kept_statements(self._reserve))
            self._reserve.renew()
        for table in TABLES:
            self._sound(table)
        self._tried = {(row["id"], row["attempt"]): row for row in self._sound(ATTEMPTS)}
        self._failed = {row["id"] for row in self._sound(FAILURES)}

    def _ended(self, candidate_id: str, attempt: int | None, **now: Any) -> list[tuple[str, tuple[Any, ...]]]:
        """What has to be written of an attempt that ended; nothing where nobody calculated."""
        row = None if attempt is None else self._tried.get((candidate_id, attempt))
        if row is None:
            return []
        row.update(now)
        return [(ATTEMPTS.replacement, ATTEMPTS.sealed(row))]

    def _insert(self, table: Table, row: Row, *others: tuple[str, tuple[Any, ...]]) -> None:
        try:
            sealed = table.sealed(row)
        except (TypeError, ValueError) as error:
            raise self._not_kept(error) from error
        self._write((table.insertion, sealed), *others)

    def _write(self, *statements: tuple[str, tuple[object, ...]]) -> None:
        """Execute statements as one transaction; where the disk took no more, they are kept in the reserve, in this order."""
        if self.has_room:
            super()._write(*statements)
        elif self._reserve is None or not self._reserve.keep(statements):
            raise StoreError(
                f"{self.database} could not be written: the disk is full, and so is what was kept back. What was committed before "
                "is safe. Free some room and run the same command again."
            )

    def _values(self) -> dict[str, bytes]:
        return {row["key"]: row["value"] for row in self._sound(CAMPAIGN)}

    def _sound(self, table: Table) -> list[Row]:
        """The rows of a table; `StoreError` where one is damaged."""
        try:
            return sound_rows(self._connection, table, self.database)
        except (sqlite3.Error, MemoryError) as error:  # a length that is damaged may be beyond all memory
            raise self.unreadable(self.database, error) from error

    def _of_values(self, parse: Callable[[Mapping[str, bytes]], T]) -> T:
        """What the rows of the campaign as a whole say; what cannot be read is damage."""
        try:
            return parse(self._values())
        except UNREADABLE as error:
            raise self.damaged(self.database, error) from error

    def _parsed(self, table: Table, parse: Callable[[Row], T]) -> tuple[T, ...]:
        """What each row says; one that cannot be read is damage."""
        try:
            return tuple(parse(row) for row in self._sound(table))
        except UNREADABLE as error:
            raise self.damaged(self.database, error) from error

    def _made_room(self, error: sqlite3.Error, statements: Statements) -> bool:
        """Whether the reserve took it."""
        return self._reserve is not None and is_of_the_machine(error) and self._reserve.keep(statements)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
