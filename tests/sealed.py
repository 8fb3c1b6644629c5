"""Rows of a campaign's database that a test wrote by hand, with the checksums that they would have."""

import sqlite3
from contextlib import closing

from hullscout.campaign.rows import CHECKSUM, TABLES


def seal(folder):
    """Give every row of the database in a folder the checksum of what it says."""
    with closing(sqlite3.connect(folder / "campaign.db")) as connection, connection:
        for table in TABLES:
            found = connection.execute(f"SELECT rowid, {', '.join(table.columns)} FROM {table.name}").fetchall()  # noqa: S608
            for rowid, *values in found:
                checksum = table.sealed(dict(zip(table.columns, values, strict=True)))[-1]
                connection.execute(f"UPDATE {table.name} SET {CHECKSUM} = ? WHERE rowid = ?", (checksum, rowid))  # noqa: S608
