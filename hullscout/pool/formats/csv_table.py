"""A CSV table beside structures: one row per candidate, `id` or `file`, and columns by name. A blank field states nothing."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hullscout.errors import InvalidPoolError
from hullscout.pool.formats.gathering import plain_name

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A CSV file.

    Attributes:
        path: the file.
        header: names of its columns.
        rows: line number and the fields that are not blank, by column.
    """

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]


def find_tables(folder: Path) -> list[Path]:
    """The CSV files of a folder, not of those in it."""
    return sorted(path for path in folder.glob("*.csv") if not path.name.startswith("."))


def read_table(path: Path) -> Table:
    """A CSV file with a header that names `id` or `file`.

    Raises:
        InvalidPoolError: no text, no such header, a name twice, or a row with another number of fields.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        lines = list(csv.reader(io.StringIO(text), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidPoolError(
            f"{path}: expected a CSV table in UTF-8, found none that can be read: {error}."
        ) from error
    except OSError as error:
        raise InvalidPoolError(f"{path}: the table cannot be read: {error.strerror}.") from error
    header = tuple(name.strip() for name in lines[0]) if lines else ()
    if not {"id", "file"} & set(header):
        raise InvalidPoolError(
            f"{path}: expected a first line that names the columns, separated by commas, with `id` or `file` among them, found "
            f"{','.join(header)[:80]!r}."
        )
    names = [plain_name(name) for name in header]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InvalidPoolError(f"{path}: expected columns of different names, found {repeated[0]!r} more than once.")
    rows = []
    for number, fields in enumerate(lines[1:], start=2):
        if not any(field.strip() for field in fields):
            continue
        if len(fields) != len(header):
            raise InvalidPoolError(
                f"{path}, line {number}: expected {len(header)} fields ({','.join(header)}), found {len(fields)}."
            )
        stated = {name: field.strip() for name, field in zip(header, fields, strict=True) if field.strip()}
        rows.append((number, stated))
    return Table(path=path, header=header, rows=tuple(rows))
