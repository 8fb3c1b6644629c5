"""Files: written whole or not at all, gzip told by content, digests."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hullscout.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GZIP_MAGIC = b"\x1f\x8b"


@contextmanager
def written_whole(path: Path, *, remedy: str) -> Iterator[Path]:
    """A name beside `path` for a file or a folder, which is moved to `path` when all of it is written.

    What stood at `path` is replaced then and not before; after an error it is as it was, and nothing half made is left.

    Args:
        path: Where it goes.
        remedy: What to do where it cannot be written, in a sentence.

    Raises:
        OutputError: The disk refuses it.
    """
    half_made = path.with_name(f".{path.name}.new")
    try:
        remove(half_made)
        yield half_made
        if path.is_dir():
            shutil.rmtree(path)
        half_made.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}. {remedy}") from error
    finally:
        remove(half_made)


def write_whole(path: Path, content: bytes | str, *, remedy: str) -> None:
    """Write a file, on the disk before this returns; text is UTF-8.

    Args:
        path: The file; replaced where there is one.
        content: All of it.
        remedy: What to do where it cannot be written, in a sentence.

    Raises:
        OutputError: The disk refuses it.
    """
    with written_whole(path, remedy=remedy) as half_made, half_made.open("wb") as stream:
        stream.write(content.encode() if isinstance(content, str) else content)
        stream.flush()
        os.fsync(stream.fileno())


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it, where there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def is_gzipped(content: bytes) -> bool:
    """Whether a content, or the beginning of one, is gzip's."""
    return content.startswith(GZIP_MAGIC)


def gunzipped(content: bytes) -> bytes:
    """A content as it is, or decompressed where it is gzip's.

    Raises:
        OSError, EOFError, zlib.error: It begins like gzip's and is damaged.
    """
    return gzip.decompress(content) if is_gzipped(content) else content


def sha256_of(content: bytes) -> str:
    """The SHA-256 fingerprint of a content, hexadecimal."""
    return hashlib.sha256(content).hexdigest()
