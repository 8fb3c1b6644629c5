"""Contents of files that came from outside: regular files only, bounded, decompressed in pieces; numbers and JSON as defined.

What a file says of itself, its name and its size is not believed. Nothing here waits for what never ends, takes more memory than a
few times what a file may hold, or makes anything of a content but bytes, text, numbers and plain JSON.
"""

from __future__ import annotations

import bz2
import errno
import io
import json
import lzma
import os
import re
import stat
import string
import tomllib
import zlib
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from hullscout.errors import MissingPackageError, UnsafeFileError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_BYTES = 2 * 1024**3
"""What a file may hold after decompression."""
MAX_LINES = 50_000_000
"""Lines that a text may have; a line costs memory however short it is."""
MAX_RATIO = 100
"""How often a compressed file may hold its own size, where it unpacks to more than `MIN_JUDGED`."""
MIN_JUDGED = 64 * 1024**2
MAX_DEPTH = 100
"""Levels of brackets within each other that JSON and TOML may have, and parts of a key of TOML."""
MAX_TOML = 4 * 1024**2
"""Characters of TOML, whose reader takes seconds for a million of them."""
DAMAGED = (EOFError, OSError, ValueError, zlib.error, lzma.LZMAError)
"""What `decompressed` raises at a content that is cut off or damaged."""
MAX_TEXT_BYTES = 16 * 1024**2
"""What a file of ours that is text may hold: a campaign file, a result, a manifest."""
_MAX_STREAMS = 1_000_000
_FIRST_PIECE, _PIECE = 4096, 1024**2
_NO_FILES = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_PART = r"""(?:[\w-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')[ \t]*+"""
_MANY_PARTS = re.compile(rf"(?:^|[\[{{,])[ \t]*+{_PART}(?:\.[ \t]*+{_PART}){{{MAX_DEPTH}}}", re.MULTILINE | re.ASCII)
"""A key of which `tomllib` would not be done with."""
_SPECIAL = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)


def raw_content(path: Path, size: int | None = None, *, at_most: int | None = None) -> bytes:
    """The bytes of a regular file, or the first of them.

    Raises:
        UnsafeFileError: It is a pipe, a device, a socket or a folder, which is said at once, or larger than `at_most`, which is
            `MAX_BYTES` where nothing else is said.
        OSError: The system refuses it.
    """
    refuse_no_file(path)
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(descriptor, "rb") as stream:  # noqa: PTH123  what was opened, not what may stand there by now
        status = os.fstat(stream.fileno())
        _refuse_mode(path, status.st_mode)
        if size is not None:
            return stream.read(size)
        bound = MAX_BYTES if at_most is None else at_most
        if status.st_size > bound:
            remedy = "Split it." if at_most is None else "Is it the file that you mean?"
            raise UnsafeFileError(f"{path}: expected at most {_shown(bound)}, found {_shown(status.st_size)}. {remedy}")
        content = stream.read(status.st_size + 1)  # a buffer of the size that is read is made at once
    if len(content) > status.st_size:
        raise UnsafeFileError(
            f"{path}: expected {_shown(status.st_size)}, found more: it grows. Wait until it is written."
        )
    return content


def own_text(path: Path) -> str:
    """The text of a file that is plain UTF-8 and no larger than `MAX_TEXT_BYTES`.

    Raises:
        UnsafeFileError: It is no regular file, or larger.
        UnicodeDecodeError: It is other text, or none.
        OSError: The system refuses it.
    """
    return raw_content(path, at_most=MAX_TEXT_BYTES).decode("utf-8-sig")


def member_text(path: Path) -> str:
    """The same of a file that lies in a folder of ours; a link that leads out of it is not followed."""
    refuse_link_out(path)
    return own_text(path)


def refuse_link_out(path: Path) -> None:
    """An UnsafeFileError for a link that leads out of the folder in which it lies."""
    if path.is_symlink() and leaves(path.parent, path):
        raise UnsafeFileError(
            f"{path}: expected a file of this folder, found a link out of it. Copy the file, or remove the link."
        )


def refuse_no_file(path: Path) -> None:
    """An UnsafeFileError for what is there and is no regular file; without opening it."""
    _refuse_mode(path, path.stat().st_mode)


def _refuse_mode(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        found = next((name for is_one, name in _NO_FILES if is_one(mode)), "something else")
        raise UnsafeFileError(f"{path}: expected a regular file, found {found}. Give a file.")


def content_of(path: Path) -> bytes:
    """The content of a regular file, decompressed; see `raw_content` and `decompressed`, whose errors name the file."""
    raw = raw_content(path)
    try:
        return decompressed(raw)
    except UnsafeFileError as error:
        raise UnsafeFileError(f"{path}: {error}") from error


def is_gzipped(content: bytes) -> bool:
    """Whether a content, or the beginning of one, is gzip's."""
    return content.startswith(b"\x1f\x8b")


def decompressed(content: bytes) -> bytes:
    """A content as it is, or decompressed where it begins like one of gzip, bzip2, xz or Zstandard.

    Raises:
        UnsafeFileError: It unpacks to more than `MAX_BYTES`, or than `MAX_RATIO` of its own.
        OSError, EOFError, ValueError, zlib.error, lzma.LZMAError: It begins so and is damaged (`DAMAGED`).
        MissingPackageError: It is Zstandard's, and no package that reads it is installed.
    """
    for magic, opened in _OPENED.items():
        if content.startswith(magic):
            return opened(content)
    return content


_PACKED_PIECE = 1 << 12  # Zstandard unpacks some bytes to very many


class _Unpacked:
    """What is unpacked, piece by piece, as long as it is bounded."""

    def __init__(self, n_packed: int) -> None:
        self.stream, self._n_streams = io.BytesIO(), 0
        self._bound = min(MAX_BYTES, max(MIN_JUDGED, MAX_RATIO * n_packed))

    def begin(self) -> None:
        """Count a compressed stream, of which one after the other may stand in a file."""
        self._n_streams += 1
        if self._n_streams > _MAX_STREAMS:
            raise UnsafeFileError(f"expected at most {_MAX_STREAMS:,} compressed streams in one file, found more")

    def add(self, piece: bytes) -> None:
        self.stream.write(piece)
        if self.stream.tell() > self._bound:
            self.stream.close()
            raise UnsafeFileError(
                f"expected a file that unpacks to at most {_shown(MAX_BYTES)}, and to {MAX_RATIO} times its size, found one that "
                f"unpacks to more than {_shown(self._bound)}. Unpack it yourself if it is what you mean"
            )


class _Decompressor(Protocol):
    """What bz2 and lzma have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def _by_pieces(new: Callable[[], _Decompressor], magic: bytes) -> Callable[[bytes], bytes]:
    """Unpacks streams that follow each other, as `bz2.decompress` and `lzma.decompress` do, piece by piece."""

    def opened(content: bytes) -> bytes:
        unpacked, left = _Unpacked(len(content)), memoryview(content)
        while left and bytes(left[: len(magic)]) == magic:
            unpacked.begin()
            stream, place, size = new(), 0, _FIRST_PIECE
            while not stream.eof:
                taken = bytes(left[place : place + size]) if stream.needs_input else b""
                if stream.needs_input and not taken:
                    raise EOFError("Compressed file ended before the end-of-stream marker was reached")
                place, size = place + len(taken), min(2 * size, _PIECE)
                unpacked.add(stream.decompress(taken, _PIECE))
            left = _without_zeros(left[place - len(stream.unused_data) :])
        if len(left):
            raise OSError("something else follows the compressed data")
        return unpacked.stream.getvalue()

    return opened


def _ungzip(content: bytes) -> bytes:
    unpacked, left = _Unpacked(len(content)), memoryview(content)
    while left:
        if not is_gzipped(bytes(left[:2])):
            raise OSError("something else follows the compressed data")
        left = _without_zeros(_unpack_gzip(left, unpacked))
    return unpacked.stream.getvalue()


def _unpack_gzip(content: memoryview, unpacked: _Unpacked) -> memoryview:
    """Unpack one member of a gzip file; what follows it. EOFError where it is cut off."""
    unpacked.begin()
    stream, place, size, taken = zlib.decompressobj(wbits=31), 0, _FIRST_PIECE, b""  # 31: gzip
    while not stream.eof:
        if not taken:
            taken = bytes(content[place : place + size])
            place, size = place + len(taken), min(2 * size, _PIECE)
            if not taken:
                raise EOFError("Compressed file ended before the end-of-stream marker was reached")
        unpacked.add(stream.decompress(taken, _PIECE))
        taken = stream.unconsumed_tail
    return content[place - len(stream.unused_data) :]


def _without_zeros(content: memoryview) -> memoryview:
    """A content without the zeros that it begins with, by which some tools fill up."""
    place = 0
    while place < len(content) and content[place] == 0:
        place += 1
    return content[place:]


def _unzstd(content: bytes) -> bytes:
    try:
        import zstandard  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415  (optional)
    except ImportError as error:
        raise MissingPackageError(
            "Expected the package zstandard to read a file that is compressed by Zstandard (.zst), found none. Install it by "
            "`pip install 'hullscout[zstd]'`, or unpack the file."
        ) from error
    unpacked, left = _Unpacked(len(content)), content
    try:
        while left:
            unpacked.begin()
            opened = zstandard.ZstdDecompressor().decompressobj()
            for start in range(0, len(left), _PACKED_PIECE):
                unpacked.add(opened.decompress(left[start : start + _PACKED_PIECE]))
                if opened.eof:
                    left = opened.unused_data + left[start + _PACKED_PIECE :]
                    break
            else:
                raise EOFError("it ends before its end marker")
    except zstandard.ZstdError as error:
        raise OSError(str(error)) from error
    return unpacked.stream.getvalue()


_OPENED: dict[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": _ungzip,
    b"BZh": _by_pieces(bz2.BZ2Decompressor, b"BZh"),
    b"\xfd7zXZ\x00": _by_pieces(lambda: lzma.LZMADecompressor(memlimit=1024**3), b"\xfd7zXZ\x00"),
    b"\x28\xb5\x2f\xfd": _unzstd,
}


def what_is_left(content: bytes) -> bytes:
    """What can be decompressed of a gzip content that is cut off."""
    unpacked, left = _Unpacked(len(content)), memoryview(content)
    with suppress(EOFError, zlib.error):
        while is_gzipped(bytes(left[:2])):
            left = _unpack_gzip(left, unpacked)
    return unpacked.stream.getvalue()


def text_of(content: bytes) -> str:
    """A content as text: UTF-8 with or without a byte order mark, UTF-16 with one, or else Latin-1.

    Raises:
        ValueError: It is no text.
        UnsafeFileError: It has more than `MAX_LINES` lines.
    """
    if max(content.count(b"\n"), content.count(b"\r")) > MAX_LINES:
        raise UnsafeFileError(f"expected at most {MAX_LINES:,} lines, found more. Split it")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        with suppress(UnicodeDecodeError):
            if (text := content.decode("utf-16"))[:1].isascii():
                return text
    if (place := content.find(b"\0")) >= 0:
        raise ValueError(f"bytes that are no text at offset {place}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def decimal(text: str) -> float:
    """A number as text states it in ASCII digits, also `nan` and `inf`, which are the reader's to refuse; else a ValueError.

    >>> decimal("-1.5e3"), decimal(".5")
    (-1500.0, 0.5)
    """
    text = text.strip(string.whitespace)  # what else is not seen is no blank
    if not _NUMBER.fullmatch(text) and not _SPECIAL.fullmatch(
        text
    ):  # 1_000, full-width digits are numbers in Python only
        raise ValueError(f"could not convert string to float: {text[:60]!r}")
    return float(text)


def json_of(content: bytes | str) -> Any:
    """Plain JSON; a ValueError for what is none, states a key twice, or has brackets within each other beyond `MAX_DEPTH`."""
    return _bounded(partial(json.loads, object_pairs_hook=_once), content)


def toml_of(text: str) -> dict[str, Any]:
    """TOML; a ValueError for what is none, is longer than `MAX_TOML`, or goes deeper than `MAX_DEPTH` by brackets or keys."""
    if len(text) > MAX_TOML:
        raise ValueError(f"expected at most {MAX_TOML:,} characters, found {len(text):,}")
    if _MANY_PARTS.search(text):
        raise ValueError(f"expected at most {MAX_DEPTH} parts in a key, found more")
    found: dict[str, Any] = _bounded(tomllib.loads, text)
    return found


def _bounded(read: Callable[[Any], Any], content: bytes | str) -> Any:
    try:
        found = read(content)
    except RecursionError as error:
        raise ValueError(f"expected at most {MAX_DEPTH} levels of brackets, found more") from error
    _refuse_depth(found)
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:60]!r} is stated twice")
    return found


def _refuse_depth(found: Any) -> None:
    level = [found]
    for _ in range(MAX_DEPTH):
        inner = (part.values() if isinstance(part, dict) else part for part in level)
        level = [value for values in inner if values for value in values if isinstance(value, dict | list)]
        if not level:
            return
    raise ValueError(f"expected at most {MAX_DEPTH} levels of brackets, found more")


def leaves(folder: Path, path: Path) -> bool:
    """Whether a path within a folder leads out of it: by a link, by `..`, or since it is absolute."""
    try:
        return not path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError) as error:  # links that go round; a name that is none
        return not (isinstance(error, OSError) and error.errno == errno.ENOENT)


def _shown(n_bytes: int) -> str:
    return f"{n_bytes / 1024**2:,.0f} MB"
