"""The store of a plan: one SQLite file that keeps each finished replay, so that a plan that was cut off goes on.

It keeps the settings and the fingerprint of the pool of every campaign of the plan, and refuses others. More replicates and other
grids are welcome: what they share with what is there is not played again.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, ClassVar, Self

from hullscout import __version__
from hullscout.campaign import check_config
from hullscout.campaign.database import DatabaseStore, lock_folder, refuse_no_database
from hullscout.campaign.opening import DATABASE as CAMPAIGN
from hullscout.errors import StoreError
from hullscout.planning.replay import Path as ReplayPath
from hullscout.planning.replay import ReplayKey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hullscout.campaign import Origin

DATABASE = "plan.db"
SCHEMA = "3"
TABLES = (
    "CREATE TABLE plan (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    "CREATE TABLE campaigns (name TEXT PRIMARY KEY, config TEXT NOT NULL, pool_sha256 TEXT NOT NULL) STRICT",
    """CREATE TABLE replays (
        campaign TEXT NOT NULL, path_key TEXT NOT NULL, seed INTEGER NOT NULL, played_to REAL NOT NULL, path TEXT NOT NULL,
        PRIMARY KEY (campaign, path_key, seed)
    ) STRICT""",
)


class PlanStore(DatabaseStore):
    """A plan's database, open for writing, with the lock held."""

    kind: ClassVar[str] = "plan"

    @classmethod
    def create_or_resume(cls, folder: Path, origins: Sequence[Origin]) -> Self:
        """Open the plan in `folder`; make it where there is none. Another one's is refused by a `StoreError`."""
        database = folder / DATABASE
        refuse_no_database(database)
        lock = lock_folder(folder, "plan.lock", busy="making the plan")
        with ExitStack() as on_error:
            on_error.callback(lock.release)
            try:
                connection = on_error.enter_context(closing(sqlite3.connect(database, timeout=30)))
                # One without tables is what a kill before the first commit leaves: SQLite takes back what was half written.
                is_new = connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None
            except sqlite3.Error as error:
                raise cls.unreadable(database, error) from error
            store = cls(database, connection=connection, lock=lock)
            if is_new:
                store._make(origins)
                store.watch()  # the file is there only now
            store._refuse_another(origins)
            on_error.pop_all()
        return store

    @classmethod
    def refuse_another(cls, folder: Path, origins: Sequence[Origin]) -> None:
        """Refuse a folder that holds a campaign or another plan, by a `StoreError`; nothing is made where there is none."""
        if (folder / DATABASE).exists():
            cls.create_or_resume(folder, origins).close()
        elif (folder / CAMPAIGN).exists():
            raise StoreError(f"{folder} holds a campaign. Nothing was changed; choose another --out for the plan.")

    def replays(self) -> dict[ReplayKey, tuple[float, ReplayPath]]:
        """Every finished replay, and the failure probability to which it was played."""
        rows = self._rows("SELECT campaign, path_key, seed, played_to, path FROM replays")
        try:
            return {
                ReplayKey(campaign=name, path_key=key, seed=seed): (played_to, ReplayPath.from_json(text))
                for name, key, seed, played_to, text in rows
            }
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise self.damaged(self.database, error) from error

    def save(self, key: ReplayKey, *, played_to: float, path: ReplayPath) -> None:
        """Commit a replay, finished for the failure probability `played_to`; one that was played less far is replaced."""
        values = (key.campaign, key.path_key, key.seed, played_to, path.to_json())
        self._write(("INSERT OR REPLACE INTO replays VALUES (?, ?, ?, ?, ?)", values))

    def _make(self, origins: Sequence[Origin]) -> None:
        rows = [(o.config.name, o.config.model_dump_json(), o.pool_sha256) for o in origins]
        try:
            with self._connection:
                # In one transaction, which `executescript` would end: a plan is made whole or not at all.
                self._connection.execute("BEGIN")
                for statement in TABLES:
                    self._connection.execute(statement)
                values = [("schema", SCHEMA), ("version", __version__)]
                self._connection.executemany("INSERT INTO plan VALUES (?, ?)", values)
                self._connection.executemany("INSERT INTO campaigns VALUES (?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise StoreError(f"{self.database} could not be made: {error}. Choose another --out.") from error

    def _refuse_another(self, origins: Sequence[Origin]) -> None:
        made_by: dict[str, str] = dict(self._rows("SELECT key, value FROM plan"))
        if (made_by.get("schema"), made_by.get("version")) != (SCHEMA, __version__):
            raise StoreError(
                f"{self.database} was made by another version of Hullscout ({made_by.get('version', 'unknown')}, format "
                f"{made_by.get('schema', 'unknown')}; this is {__version__}, format {SCHEMA}), which may replay otherwise. Nothing "
                "was changed; choose another --out."
            )
        kept = {name: (config, sha) for name, config, sha in self._rows("SELECT * FROM campaigns")}
        given = {origin.config.name: origin for origin in origins}
        changed = [f"  {name}: not in that plan" for name in given if name not in kept]
        changed += [f"  {name}: in that plan and not given now" for name in kept if name not in given]
        for name in sorted(kept.keys() & given.keys()):
            (config, sha), origin = kept[name], given[name]
            try:
                before = check_config(json.loads(config), source=f"a campaign kept in {self.database}", is_own=False)
            except (AttributeError, TypeError, ValueError, RecursionError) as error:
                raise self.damaged(self.database, error) from error
            changed += [f"  {name}: {line}" for line in origin.config.differences(before)]
            if origin.pool_sha256 != sha:
                changed += [f"  {name}: the pool file {origin.pool_name} has other content than when the plan was made"]
        if changed:
            raise StoreError(
                f"{self.database.parent} holds the plan of other campaigns:\n"
                + "\n".join(changed)
                + "\nNothing was changed. Choose another --out, or give the campaign files as they were."
            )
