"""The store: one SQLite file that holds a whole campaign, and is the only place where it is kept.

It keeps the campaign file as written, the settings in force, the pool file, every round that was decided, every calculation that
was started, every answer and every failure.
Each write is one transaction, on disk before the function returns; what was paid for is never lost. The store knows nothing of
what the numbers mean. A lock file beside it admits one writer at a time; readers are always welcome.
"""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from hullscout.campaign.additions import Addition
from hullscout.campaign.config import check_config
from hullscout.campaign.database import OF_A_LOCK, DatabaseStore, DiskReserve, is_of_the_machine, lock_folder
from hullscout.campaign.origin import Origin
from hullscout.errors import StoreError
from hullscout.oracle import Calculated, Failed, FailureReason, candidate_from_tree, candidate_to_tree
from hullscout.selection import Decision
from hullscout.settings import look_beside

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from hullscout.pool import Candidate

T = TypeVar("T")
DATABASE = "campaign.db"
RESERVE = ".campaign.reserve"
SCHEMA, SCHEMA_WITH_ADDITIONS = 3, 4
"""Earlier versions would go on without the additions of a campaign, so that they are given a schema that they refuse."""
TABLES = """
CREATE TABLE campaign (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE rounds (round INTEGER PRIMARY KEY, record TEXT NOT NULL) STRICT;
CREATE TABLE answers (id TEXT PRIMARY KEY, energy_ev REAL NOT NULL, relaxed TEXT, note TEXT) STRICT;
CREATE TABLE failures (id TEXT PRIMARY KEY, reason TEXT NOT NULL, sentence TEXT NOT NULL) STRICT;
CREATE TABLE attempts (
    id TEXT NOT NULL, attempt INTEGER NOT NULL, began TEXT NOT NULL, ended TEXT, wall_s REAL, reason TEXT, sentence TEXT,
    is_forgiven INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (id, attempt)
) STRICT;
"""
ADDITIONS = """
CREATE TABLE IF NOT EXISTS additions (
    number INTEGER PRIMARY KEY, n_rounds INTEGER NOT NULL, name TEXT NOT NULL, pool BLOB NOT NULL
) STRICT
"""
ENDED = """
UPDATE attempts SET ended = ?, wall_s = ?, reason = COALESCE(?, reason), sentence = COALESCE(?, sentence)
WHERE id = ? AND attempt = ?
"""
"""Changes nothing where nobody calculated, so that there is no attempt; an energy told after a failure leaves the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One calculation of a candidate that was started.

    Attributes:
        attempt: 1 for the first, and so on.
        began: When it was handed to a worker, UTC.
        ended: When its outcome was kept, UTC; None while it runs, and for ever where the campaign was ended meanwhile.
        wall_s: Seconds that the calculation took, without waiting for a worker; None where nobody measured.
        reason: Why it failed; None where it gave an energy or has not ended.
        is_forgiven: It does not count against the candidate any more.
    """

    id: str
    attempt: int
    began: datetime
    ended: datetime | None
    wall_s: float | None
    reason: str | None
    sentence: str | None
    is_forgiven: bool


class Store(DatabaseStore):
    """A campaign's database, open for writing (with the lock held) or only for reading."""

    kind: ClassVar[str] = "campaign"
    _reserve: DiskReserve | None = None

    @classmethod
    def create_or_resume(cls, folder: Path, origin: Origin, *, remedy: str = OF_A_LOCK) -> Self:
        """Open the campaign in `folder` for writing, and make it where there is none; no other campaign or results may be there."""
        database = folder / DATABASE
        try:
            foreign = [name for name in ("result.json", "hull.png") if (folder / name).exists()]
            is_new = not database.exists()
        except OSError as error:
            raise StoreError(
                f"The output folder {folder} cannot be read: {error.strerror}. Choose another --out."
            ) from error
        if foreign and is_new:
            raise StoreError(
                f"{folder} holds {foreign[0]} but no {DATABASE}. Nothing was changed; choose another --out."
            )
        lock = lock_folder(folder, "campaign.lock", busy="running the campaign", remedy=remedy)
        with ExitStack() as undo:
            undo.callback(lock.release)
            if is_new:
                _create(database, origin)
            store = cls(database, connection=_connect(database, read_only=False), lock=lock)
            undo.callback(store.close)
            _refuse_another(store.origin(), origin, folder)
            store._reserve = DiskReserve(folder / RESERVE)
            undo.pop_all()
        return store

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Open the campaign in `folder` for reading, also while it is running."""
        database = folder / DATABASE
        if not database.is_file():
            raise StoreError(f"There is no campaign in {folder}: expected {DATABASE}. Give the --out folder of a run.")
        return cls(database, connection=_connect(database, read_only=True), lock=None)

    @property
    def has_room(self) -> bool:
        """Whether the disk took every transaction so far; if not, the reserve was given back, and nothing new should be begun."""
        return self._reserve is None or self._reserve.is_there

    @property
    def has_moments(self) -> bool:
        """Whether the version that made it took magnetic moments from the pool: earlier ones left them out without a word."""
        return bool(self._rows("SELECT value FROM campaign WHERE key = 'has_moments'"))

    def origin(self) -> Origin:
        """What the campaign was started from."""
        values: dict[str, bytes] = dict(self._rows("SELECT key, value FROM campaign"))
        folder = values.get("folder", b"").decode()
        look_beside(folder or None)
        try:
            origin = Origin(
                campaign_text=values["campaign_text"].decode(),
                config=check_config(json.loads(values["config"]), source=f"the campaign kept in {self.database}"),
                pool_name=values["pool_name"].decode(),
                pool=values["pool"],
                folder=folder,
                additions=self.additions(),
                **{key: tuple(said) for key, said in json.loads(values.get("reading", b"{}")).items()},
            )
            fingerprint = values["pool_sha256"].decode()
        except (KeyError, TypeError, ValueError) as error:
            raise self.damaged(self.database, error) from error
        if origin.pool_sha256 != fingerprint:
            raise self.damaged(self.database, "the pool that it keeps does not match its fingerprint")
        return origin

    def decisions(self, index: Mapping[str, int]) -> tuple[Decision, ...]:
        """The decisions so far; `index` is that of each candidate by its id, by which they are kept."""
        return self._read("SELECT record FROM rounds ORDER BY round", lambda text: _decision(text, index))

    @property
    def n_rounds(self) -> int:
        """Rounds that were decided."""
        return int(self._rows("SELECT count(*) FROM rounds")[0][0])

    @property
    def n_additions(self) -> int:
        """How often structures were added."""
        has_any = self._rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'additions'")
        return int(self._rows("SELECT count(*) FROM additions")[0][0]) if has_any else 0

    def additions(self) -> tuple[Addition, ...]:
        """The structures that were added, in their order."""
        query = "SELECT n_rounds, name, pool FROM additions ORDER BY number"
        if not self.n_additions:
            return ()
        return self._read(query, lambda n_rounds, name, pool: Addition(n_rounds=n_rounds, name=name, pool=bytes(pool)))

    def save_addition(self, addition: Addition) -> None:
        """Commit structures that were added, before anything is decided that knows of them."""
        self._write(
            ("UPDATE campaign SET value = ? WHERE key = 'schema'", (str(SCHEMA_WITH_ADDITIONS).encode(),)),
            (ADDITIONS, ()),
            (
                "INSERT INTO additions (n_rounds, name, pool) VALUES (?, ?, ?)",
                (addition.n_rounds, addition.name, addition.pool),
            ),
        )

    def answers(self) -> dict[str, float]:
        """Energy in eV per cell of each candidate that was answered."""
        return dict(self._rows("SELECT id, energy_ev FROM answers"))

    def relaxed(self) -> dict[str, Candidate]:
        """The structure that each energy is of, where it came back another one than was asked for."""
        query = "SELECT id, relaxed FROM answers WHERE relaxed IS NOT NULL"
        return dict(self._read(query, lambda i, text: (i, candidate_from_tree(json.loads(text)))))

    def save_decision(self, number: int, decision: Decision, ids: Sequence[str]) -> None:
        """Commit what was decided in a round (from 0) before anything of it is looked up; kept by the `ids` of all candidates."""
        tree = {"round": number, **decision.to_tree(), "chosen": [ids[index] for index in decision.chosen]}
        self._write(("INSERT INTO rounds VALUES (?, ?)", (number, json.dumps(tree))))

    def failures(self) -> dict[str, Failed]:
        """Each candidate whose energy could not be had."""
        query = "SELECT id, reason, sentence FROM failures"
        return dict(self._read(query, lambda i, why, told: (i, Failed(reason=FailureReason(why), sentence=told))))

    def attempts(self) -> tuple[Attempt, ...]:
        """Every calculation that was started, in this order; none where energies are looked up in a table."""
        query = "SELECT id, attempt, began, ended, wall_s, reason, sentence, is_forgiven FROM attempts ORDER BY rowid"
        return self._read(query, _attempt)

    def save_start(self, candidate_id: str, attempt: int) -> None:
        """Commit that a calculation is about to be started."""
        self._write(("INSERT INTO attempts (id, attempt, began) VALUES (?, ?, ?)", (candidate_id, attempt, _now())))

    def save_answer(self, candidate_id: str, answer: Calculated, *, attempt: int | None) -> None:
        """Commit an energy, before anything uses it; a failure that was kept before is withdrawn."""
        relaxed = None if answer.relaxed is None else json.dumps(candidate_to_tree(answer.relaxed))
        self._write(
            ("INSERT INTO answers VALUES (?, ?, ?, ?)", (candidate_id, answer.energy_ev, relaxed, answer.note or None)),
            ("DELETE FROM failures WHERE id = ?", (candidate_id,)),
            (ENDED, (_now(), answer.wall_s, None, None, candidate_id, attempt)),
        )

    def save_failed(self, candidate_id: str, failed: Failed, *, attempt: int | None, is_final: bool) -> None:
        """Commit that a calculation failed, and whether that is all that can be had of the candidate."""
        ended = (ENDED, (_now(), failed.wall_s, failed.reason, failed.sentence, candidate_id, attempt))
        final = ("INSERT OR IGNORE INTO failures VALUES (?, ?, ?)", (candidate_id, failed.reason, failed.sentence))
        self._write(ended, *([final] if is_final else []))

    def forgive_failures(self) -> None:
        """Let every candidate that failed be calculated again, with all its tries."""
        self._write(("DELETE FROM failures", ()), ("UPDATE attempts SET is_forgiven = 1 WHERE reason IS NOT NULL", ()))

    def keep_files(self, digests: Mapping[str, str], *, folder: str) -> None:
        """Keep where the campaign file lies and the SHA-256 of each file that its oracle is given; StoreError where one changed."""
        values: dict[str, bytes] = dict(self._rows("SELECT key, value FROM campaign WHERE key IN ('folder', 'files')"))
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
        now = {"folder": folder.encode(), "files": json.dumps(dict(digests)).encode()}
        if now != values and (digests or "folder" not in values or values["folder"] != now["folder"]):
            self._write(*(("INSERT OR REPLACE INTO campaign VALUES (?, ?)", pair) for pair in now.items()))

    def close(self) -> None:
        """Close the database and let another process have it."""
        if self._reserve is not None:
            self._reserve.give_back()
        super().close()

    def _read(self, query: str, parse: Callable[..., T]) -> tuple[T, ...]:
        """What each row says; one that cannot be read is damage."""
        rows = self._rows(query)
        try:
            return tuple(parse(*row) for row in rows)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self.damaged(self.database, error) from error

    def _made_room(self, error: sqlite3.Error) -> bool:
        """Whether the reserve could be given back."""
        if self._reserve is None or not self._reserve.is_there or not is_of_the_machine(error):
            return False
        self._reserve.give_back()
        return True


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _decision(text: str, index: Mapping[str, int]) -> Decision:
    tree = json.loads(text)
    del tree["round"]
    return Decision.from_tree({**tree, "chosen": [index[candidate_id] for candidate_id in tree["chosen"]]})


def _attempt(*row: Any) -> Attempt:
    values = dict(zip(Attempt.__dataclass_fields__, row, strict=True))
    for name in ("began", "ended"):
        values[name] = None if values[name] is None else datetime.fromisoformat(values[name])
    return Attempt(**{**values, "is_forgiven": bool(values["is_forgiven"])})


def _create(database: Path, origin: Origin) -> None:
    # Made under another name and moved into place when whole, so that a campaign.db that exists is never half a one.
    half_made = database.with_name(f".{DATABASE}.new")
    half_made.unlink(missing_ok=True)
    values = {
        "schema": str(SCHEMA).encode(),
        "campaign_text": origin.campaign_text.encode(),
        "config": origin.config.model_dump_json().encode(),
        "pool_name": origin.pool_name.encode(),
        "folder": origin.folder.encode(),
        "pool_sha256": origin.pool_sha256.encode(),
        "pool": origin.pool,
        "has_moments": b"1",
        "reading": json.dumps({"faults": origin.faults, "notes": origin.notes}).encode(),
    }
    try:
        with closing(sqlite3.connect(half_made)) as connection, connection:
            connection.executescript(TABLES)
            connection.executemany("INSERT INTO campaign VALUES (?, ?)", values.items())
        os.replace(half_made, database)  # noqa: PTH105  atomic on every system
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            f"{database} could not be made: {error}. Nothing was looked up; choose another --out."
        ) from error


def _connect(database: Path, *, read_only: bool) -> sqlite3.Connection:
    uri = database.resolve().as_uri()
    try:
        # Looked at for reading first: opening for writing would already change a file that is no campaign.
        with ExitStack() as undo:
            connection = undo.enter_context(closing(sqlite3.connect(f"{uri}?mode=ro", uri=True, timeout=30)))
            _refuse_damaged(connection, database)
            if read_only:
                undo.pop_all()
                return connection
        with ExitStack() as undo:
            connection = undo.enter_context(closing(sqlite3.connect(f"{uri}?mode=rw", uri=True, timeout=30)))
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            undo.pop_all()
            return connection
    except sqlite3.Error as error:
        raise Store.unreadable(database, error) from error


def _refuse_damaged(connection: sqlite3.Connection, database: Path) -> None:
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise Store.damaged(database, " ".join(verdict.split()))
    (schema,) = connection.execute("SELECT value FROM campaign WHERE key = 'schema'").fetchone() or (b"none",)
    if schema not in (str(SCHEMA).encode(), str(SCHEMA_WITH_ADDITIONS).encode()):
        raise StoreError(
            f"{database} has schema {schema.decode()}, this version of Hullscout reads {SCHEMA} and {SCHEMA_WITH_ADDITIONS}. "
            "Nothing was changed. Open it with the version that made it (its `hullscout table` hands on the energies), or choose "
            "another --out."
        )


def _refuse_another(kept: Origin, given: Origin, folder: Path) -> None:
    changed = [f"  {line}" for line in given.config.differences(kept.config)]
    if given.pool_sha256 != kept.pool_sha256:
        changed.append(
            f"  the pool file {given.pool_name}: other content than when the campaign was started (`hullscout add` adds structures)"
        )
    if changed:
        raise StoreError(
            f"{folder} holds another campaign, or this one with other settings:\n"
            + "\n".join(changed)
            + "\nNothing was changed. Choose another --out, or put the file back as it was to resume."
        )
