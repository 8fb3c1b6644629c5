"""Files: written whole or not at all, gzip told by content, digests, CSV tables with their checks."""

from __future__ import annotations

import bz2
import csv
import gzip
import hashlib
import io
import lzma
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hullscout.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hullscout.errors import HullscoutError

_COMPRESSIONS = {b"\x1f\x8b": gzip.decompress, b"BZh": bz2.decompress, b"\xfd7zXZ\x00": lzma.decompress}


@contextmanager
def written_whole(path: Path, *, remedy: str) -> Iterator[Path]:
    """A name beside `path` for a file or a folder, which is moved to `path` when all of it is written.

    What stood at `path` is replaced then and not before; after an error it is as it was, and nothing half made is left.

    Raises:
        OutputError: The disk refuses it; the remedy, a sentence, says what to do then.
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
    """Write or replace a file by `written_whole`, on the disk before this returns; text is UTF-8."""
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
    return content.startswith(b"\x1f\x8b")


def decompressed(content: bytes) -> bytes:
    """A content as it is, or decompressed where it begins like one of gzip, bzip2 or xz.

    Raises:
        OSError, EOFError, zlib.error, lzma.LZMAError: It begins so and is damaged.
    """
    for magic, opened in _COMPRESSIONS.items():
        if content.startswith(magic):
            return opened(content)
    return content


def sha256_of(content: bytes) -> str:
    """The SHA-256 fingerprint of a content, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a CSV table: the number of its line, from 2, and of its fields, and what is not blank by column."""

    line: int
    n_fields: int
    cells: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A CSV table: the names of its columns, and the rows that are not blank."""

    path: Path
    header: tuple[str, ...]
    rows: tuple[Row, ...]


def read_csv(
    path: Path,
    *,
    error: type[HullscoutError],
    refused: Callable[[tuple[str, ...]], str],
    plain: Callable[[str], str] = str,
    is_ragged: bool = False,
) -> Table:
    """A CSV table in UTF-8 whose first line names the columns.

    Args:
        error: What is raised where it cannot be read, has other columns or one twice, or a row with another number of fields.
        refused: Says of the names of the columns what was expected and what was found, in a sentence; nothing where they will do.
        plain: Names that are the same after this are the same.
        is_ragged: Rows may have another number of fields than there are names.
    """
    try:
        lines = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as fault:
        raise error(f"{path}: expected a CSV table in UTF-8, found none that can be read: {fault}.") from fault
    except OSError as fault:
        raise error(f"{path}: the table cannot be read: {fault.strerror}.") from fault
    header = tuple(name.strip() for name in lines[0]) if lines else ()
    if sentence := refused(header):
        raise error(f"{path}: {sentence}")
    names = [plain(name) for name in header]
    if repeated := sorted(name for name in set(names) if names.count(name) > 1):
        raise error(f"{path}: expected columns of different names, found {repeated[0]!r} more than once.")
    rows = []
    for line, fields in enumerate(lines[1:], start=2):
        if not any(field.strip() for field in fields):
            continue
        if len(fields) != len(header) and not is_ragged:
            raise error(
                f"{path}, line {line}: expected {len(header)} fields ({','.join(header)}), found {len(fields)}."
            )
        cells = {name: field.strip() for name, field in zip(header, fields, strict=False) if field.strip()}
        rows.append(Row(line=line, n_fields=len(fields), cells=cells))
    return Table(path=path, header=header, rows=tuple(rows))


def number(text: str, otherwise: Exception) -> float:
    """The number in a cell; what does not read as one raises the error that is given."""
    try:
        return float(text)
    except ValueError as error:
        raise otherwise from error
