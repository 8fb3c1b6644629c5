"""What is written reads back as it was, whole or not at all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hullscout.display import is_visible
from hullscout.errors import OutputError
from hullscout.pool import parse_frames, read_frames
from hullscout.pool.writing import Existing, format_frames, save_frames

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WORDS = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1)


@pytest.fixture
def frame(write: Callable[[str], Path], make_frame: Callable[..., str]):
    return read_frames(write(make_frame("Ag 0 0 0; Pd 1.5 1.25 -1", id="x")))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=WORDS.filter(str.strip).filter(is_visible),
    energy=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    columns=st.dictionaries(st.from_regex(r"[a-z][a-z0-9_.]{0,8}", fullmatch=True), WORDS | st.floats(allow_nan=False)),
)
def test_frames_read_back_as_they_were(frame, tmp_path, name, energy, columns):
    columns = {key: value for key, value in columns.items() if key not in {"id", "energy", "pbc", "stress"}}
    before = replace(frame.frames[0], id=name, energy_ev=energy, columns=columns)
    after = parse_frames(format_frames([before]), path=tmp_path).frames[0]
    assert (after.id, after.energy_ev) == (name, energy)
    assert {key: type(columns[key])(value) for key, value in after.columns.items()} == columns
    np.testing.assert_array_equal(after.numbers, before.numbers)
    np.testing.assert_allclose(after.positions, before.positions, atol=1e-10)
    np.testing.assert_allclose(after.cell, before.cell, atol=1e-10)
    assert after.pbc == before.pbc


@pytest.mark.parametrize("name", ["new.xyz", "new.extxyz", "new.extxyz.gz"])
def test_the_same_frames_give_the_same_bytes(frame, tmp_path, name):
    path = tmp_path / name
    save_frames(path, frame.frames)
    first = path.read_bytes()
    assert first.startswith(b"\x1f\x8b") == name.endswith(".gz")
    save_frames(path, frame.frames, existing=Existing.REPLACE)
    assert path.read_bytes() == first
    assert read_frames(path).frames[0].id == "x"


def test_a_file_that_is_there_stays_as_it_is(frame, tmp_path):
    path = tmp_path / "old.xyz"
    path.write_text("mine")
    with pytest.raises(OutputError, match=r"old.xyz is there already and was not changed\. .*--force"):
        save_frames(path, frame.frames)
    assert path.read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir() if p.name != "pool.extxyz"] == ["old.xyz"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pool.cif", r"expected a name that ends in \.extxyz, .*found 'pool.cif'"),
        ("missing/pool.xyz", "there is no folder .*missing"),
    ],
)
def test_a_place_that_cannot_hold_a_pool_is_refused(frame, tmp_path, name, message):
    with pytest.raises(OutputError, match=message):
        save_frames(tmp_path / name, frame.frames)


def test_a_folder_is_never_replaced(frame, tmp_path):
    (tmp_path / "pool.xyz").mkdir()
    with pytest.raises(OutputError, match="is there already"):
        save_frames(tmp_path / "pool.xyz", frame.frames, existing=Existing.REPLACE)


def test_a_full_disk_leaves_nothing_half_made(frame, tmp_path, monkeypatch):
    path = tmp_path / "pool.xyz.gz"
    path.write_bytes(b"before")

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hullscout.writing.os.fsync", full)
    with pytest.raises(OutputError, match=r"cannot be written: No space left on device\. Nothing was changed"):
        save_frames(path, frame.frames, existing=Existing.REPLACE)
    assert path.read_bytes() == b"before"
    assert not list(tmp_path.glob(".*"))
