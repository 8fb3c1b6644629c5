"""JSON lists of ComputedStructureEntry are read with their corrections."""

from __future__ import annotations

import json

import pytest
from pool_writers import (
    WRITERS,
)

from hullscout.errors import InvalidPoolError
from hullscout.pool import (
    read_pool,
)


def test_entries_may_stand_in_a_dictionary(frames, tmp_path):
    path = WRITERS["entries.json"](tmp_path, frames[:3])
    path.write_text(json.dumps({"source": "me", "entries": json.loads(path.read_text())}))
    assert [frame.id for frame in read_pool(path).frames] == [frame.id for frame in frames[:3]]


def test_corrections_of_entries_count(frames, tmp_path):
    path = WRITERS["entries.json"](tmp_path, frames[:3])
    tree = json.loads(path.read_text())
    tree[0]["correction"] = 0.25
    tree[0]["energy_adjustments"] = []
    path.write_text(json.dumps(tree))
    assert read_pool(path).frames[0].energy_ev == pytest.approx(frames[0].energy_ev + 0.25)


def test_a_damaged_archive_is_refused_as_entries(frames, tmp_path):
    path = WRITERS["entries.json.gz"](tmp_path, frames[:3])
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InvalidPoolError, match="the compressed file is truncated or damaged"):
        read_pool(path)
