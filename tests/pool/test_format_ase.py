"""ASE databases are read and never written; others are refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from ase import Atoms
from pool_writers import (
    content,
    write_ase,
)

from hullscout.errors import InvalidPoolError
from hullscout.pool import (
    read_pool,
)


def test_rows_of_a_database_without_names_of_their_own_are_named_by_number(frames, tmp_path):
    unnamed = [replace(frame, id="same") for frame in frames[:3]]
    assert [f.id for f in read_pool(write_ase(tmp_path / "a.db", unnamed)).frames] == ["row-1", "row-2", "row-3"]


def test_databases_that_are_not_of_ase_are_refused_and_stay_as_they_are(tmp_path):
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (x INTEGER)")
        connection.commit()
    before = content(path)
    with pytest.raises(InvalidPoolError, match="found an SQLite database with the tables mine"):
        read_pool(path)
    assert content(path) == before


def test_an_empty_database_is_refused(tmp_path):
    from ase.db import connect

    for name in ("a.db", "a.json"):
        with connect(str(tmp_path / name), use_lock_file=False) as database:
            database.write(Atoms("Ag"))
        database.delete([1])
        with pytest.raises(InvalidPoolError, match="expected an ASE database with candidates, found no rows"):
            read_pool(tmp_path / name, "ase")
