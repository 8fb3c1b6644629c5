"""Files that came from outside: what is no file is refused at once, what unpacks without end is stopped, JSON is plain."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import socket
import tracemalloc
from pathlib import Path

import pytest

from hullscout import contents
from hullscout.contents import content_of, decimal, decompressed, json_of, leaves, text_of, toml_of
from hullscout.errors import UnsafeFileError

PACKED = [gzip.compress, bz2.compress, lzma.compress]


@pytest.mark.parametrize("kind", ["a named pipe", "a socket", "a folder", "a device"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, kind):
    path = tmp_path / "x"
    listening = socket.socket(socket.AF_UNIX)
    if kind == "a named pipe":
        os.mkfifo(path)
    elif kind == "a socket":
        listening.bind(str(path))
    elif kind == "a folder":
        path.mkdir()
    else:
        path = Path("/dev/zero")
    with listening, pytest.raises(UnsafeFileError, match=f"expected a regular file, found {kind}"):
        content_of(path)


def test_a_file_larger_than_the_bound_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "sparse"
    with path.open("wb") as stream:
        stream.truncate(10 * 1024**3)
    with pytest.raises(UnsafeFileError, match="expected at most 2,048 MB, found 10,240 MB"):
        content_of(path)


@pytest.mark.parametrize("pack", PACKED)
def test_what_unpacks_to_too_much_is_stopped_while_it_is_unpacked(pack):
    packed = pack(b"\n" * (100 * 1024**2))
    tracemalloc.start()
    with pytest.raises(UnsafeFileError, match="unpacks to more than 64 MB"):
        decompressed(packed)
    assert tracemalloc.get_traced_memory()[1] < 2.5 * contents.MIN_JUDGED
    tracemalloc.stop()


@pytest.mark.parametrize("pack", PACKED)
def test_streams_one_after_the_other_are_one_content(pack):
    text = bytes(range(256)) * 9000
    assert decompressed(pack(text) + pack(b"") + pack(b"end")) == text + b"end"
    with pytest.raises(EOFError, match="ended before"):
        decompressed(pack(text)[:-9])
    with pytest.raises(OSError, match="something else follows"):
        decompressed(pack(text) + b"more")


def test_many_streams_and_many_lines_are_bounded(monkeypatch):
    monkeypatch.setattr(contents, "_MAX_STREAMS", 10)
    with pytest.raises(UnsafeFileError, match="at most 10 compressed streams"):
        decompressed(gzip.compress(b"") * 11)
    monkeypatch.setattr(contents, "MAX_LINES", 10)
    with pytest.raises(UnsafeFileError, match="at most 10 lines"):
        text_of(b"\n" * 11)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[" * 100_000, "at most 100 levels"),
        ("[" * 101 + "]" * 101, "at most 100 levels"),
        ('{"a": {"b": 1, "b": 2}}', "'b' is stated twice"),
    ],
)
def test_json_is_bounded_and_states_each_key_once(text, found):
    with pytest.raises(ValueError, match=found):
        json_of(text)
    assert json_of("[" * 100 + "]" * 100)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a" + ".a" * 50_000 + "=1", "at most 100 parts in a key"),
        ("[a" + ".'a'" * 50_000 + "]", "at most 100 parts in a key"),
        ('x = {b = 1, "a"' + ' . "a"' * 50_000 + "= 1}", "at most 100 parts in a key"),
        ("[a" + ".a" * 60 + "]\na" + ".a" * 60 + "=1", "at most 100 levels"),
        ("x = " + "[" * 100_000, "at most 100 levels"),
        ("x = " + "{a=" * 101 + "1" + "}" * 101, "at most 100 levels"),
        ("x = 1\n" * 1_000_000, "at most 4,194,304 characters, found 6,000,000"),
        ("x = " + "1" * 5000, "Exceeds the limit"),
    ],
)
def test_toml_is_bounded(text, found):
    with pytest.raises(ValueError, match=found):
        toml_of(text)


def test_toml_within_its_bounds_is_read():
    assert toml_of("a" + ".a" * 99 + "=1")
    assert toml_of('x = "' + "a." * 1000 + '"\n"a.b" . c = [1.5, {d.e = 2}]') == {
        "x": "a." * 1000,
        "a.b": {"c": [1.5, {"d": {"e": 2}}]},
    }


@pytest.mark.parametrize(
    "text", ["1_000", "\N{FULLWIDTH DIGIT ONE}", "0x10", "1d-3", "", "1e", "1,5", "infinite", "1\u2028"]
)
def test_numbers_are_decimal_numbers(text):
    with pytest.raises(ValueError, match="could not convert"):
        decimal(text)


def test_a_path_leaves_a_folder_by_dots_links_and_roots(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "round").symlink_to(folder / "round")
    (folder / "out").symlink_to(tmp_path / "other")
    (folder / "here").symlink_to(folder / "file")
    assert [leaves(folder, folder / n) for n in ("out", "../x", "/etc/passwd", "round")] == [True] * 4
    assert [leaves(folder, folder / n) for n in ("here", "a/../file", "file")] == [False] * 3
