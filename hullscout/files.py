"""Files: digests, and tables with their checks; `hullscout.contents` opens what came from outside, `hullscout.writing` writes."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hullscout.contents import DAMAGED, content_of, decimal, raw_content, text_of
from hullscout.errors import UnsafeFileError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hullscout.errors import HullscoutError

COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
"""Suffixes that compressed files have; what they are is told by their content."""
MAX_COLUMNS = 2000
"""Columns that a table may have."""
_BLANKS = " \t"
_SEPARATORS = (",", ";", "\t")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+([eE][+-]?[0-9]+)?")


def without_compression(name: str) -> str:
    """A file's name without the suffix of a compression.

    >>> without_compression("Cu.vasp.gz")
    'Cu.vasp'
    """
    return name[: name.rindex(".")] if name.lower().endswith(COMPRESSIONS) else name


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
    """A table, plain or compressed, whose first line names the columns, separated by commas, semicolons or tabs.

    Args:
        error: What is raised where it cannot be read, has other columns or one twice, or a row with another number of fields; and
            where a row may hold a decimal comma between commas.
        refused: Says of the names of the columns what was expected and what was found, in a sentence; nothing where they will do.
        plain: Names that are the same after this are the same.
        is_ragged: Rows may have another number of fields than there are names.
    """
    text = _table_text(path, error)
    separator = _separator(text, refused)
    try:
        lines = list(csv.reader(io.StringIO(text), strict=True, delimiter=separator))
    except csv.Error as fault:
        raise error(f"{path}: expected a CSV table, found none that can be read: {fault}.") from fault
    header = tuple(name.strip(_BLANKS) for name in lines[0]) if lines else ()
    if sentence := refused(header):
        raise error(f"{path}: {sentence}")
    names = [plain(name) for name in header]
    if len(names) > MAX_COLUMNS:
        raise error(f"{path}: expected at most {MAX_COLUMNS} columns, found {len(names)}. Leave out what is not used.")
    if repeated := sorted(name for name, n in Counter(names).items() if n > 1):
        found = dict.fromkeys(one for one, name in zip(header, names, strict=True) if name == repeated[0])
        shown = " and ".join(map(repr, found)) if len(found) > 1 else f"{repeated[0]!r} more than once"
        raise error(f"{path}: expected columns of different names, found {shown}.")
    rows = []
    # Where no row has more fields than there are names, none was split by a comma of its own.
    may_be_split = separator == "," and any(len(fields) > len(header) for fields in lines[1:])
    for line, fields in enumerate(lines[1:], start=2):
        stripped = [field.strip(_BLANKS) for field in fields]  # what else is not seen is no blank
        if not any(stripped):
            continue
        if sentence := _split_number(header, fields) if may_be_split else "":
            raise error(f"{path}, line {line}: {sentence}")
        if len(fields) != len(header) and not is_ragged:
            raise error(
                f"{path}, line {line}: expected {len(header)} fields ({separator.join(header)}), found {len(fields)}."
            )
        cells = {name: field for name, field in zip(header, stripped, strict=False) if field}
        rows.append(Row(line=line, n_fields=len(fields), cells=cells))
    return Table(path=path, header=header, rows=tuple(rows))


def _table_text(path: Path, error: type[HullscoutError]) -> str:
    """The text of a table; workbooks of spreadsheets are refused with what to do."""
    try:
        head = raw_content(path, 8)
    except OSError as fault:
        raise error(f"{path}: the table cannot be read: {fault.strerror}.") from fault
    except UnsafeFileError as fault:
        raise error(str(fault)) from fault
    if is_workbook(head):
        raise error(f"{path}: {WORKBOOK}")
    try:
        return text_of(content_of(path))
    except UnsafeFileError as fault:
        raise error(f"{path}: {str(fault).removeprefix(f'{path}: ').rstrip('.')}.") from fault
    except DAMAGED as fault:
        raise error(f"{path}: expected a CSV table in UTF-8, found none that can be read: {fault}.") from fault


WORKBOOK = "expected a table as text, found a spreadsheet's workbook. Save it as CSV (UTF-8) there and give that file."


def is_workbook(content: bytes) -> bool:
    """Whether a content, or the beginning of one, is a spreadsheet's (`.xlsx`, `.ods`, `.xls`)."""
    return content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0"))


def _separator(text: str, refused: Callable[[tuple[str, ...]], str]) -> str:
    """What separates the names in the first line; a comma where no other gives the columns that are expected."""
    first = text.partition("\n")[0].rstrip("\r")
    splits = {separator: _split(first, separator) for separator in _SEPARATORS}
    n_columns = {
        separator: len(names)
        for separator, names in splits.items()
        if not refused(tuple(name.strip() for name in names))
    }
    return max(n_columns, key=lambda separator: n_columns[separator], default=",")


def _split(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:  # said where the table is read
        return []


def _split_number(header: tuple[str, ...], fields: list[str]) -> str:
    """What is said of an energy that may be the first half of a number with a decimal comma; nothing where it is none."""
    for place, name in enumerate(header[: len(fields) - 1]):
        one, other = fields[place].strip(), fields[place + 1].strip()
        if "energy" in name.lower() and _WHOLE.fullmatch(one) and other.isdecimal():
            return (
                f"expected {name} as a number with a decimal point, found {one!r} before {other!r}, which may be {one},{other} "
                f"with a decimal comma. Write {one}.{other}, or {one}.0,{other} if these are two."
            )
    return ""


def number(text: str, otherwise: Exception) -> float:
    """The number in a cell; what does not read as one raises the error that is given, which says so of a decimal comma."""
    try:
        return decimal(text)
    except ValueError as error:
        if advice := _advice(text.strip()):
            raise type(otherwise)(f"{str(otherwise).rstrip('.')}: {advice}.") from error
        raise otherwise from error


def _advice(text: str) -> str:
    """Which character of a number is odd and what to write instead; nothing where it is none that is known.

    >>> _advice("-0.37D+01"), _advice("-3,569.95"), _advice("-3.7 eV")
    ('a D before the exponent; write -0.37E+01', 'a comma between thousands; write -3569.95', "'eV' behind it; write -3.7")
    """
    if _DECIMAL_COMMA.fullmatch(text):
        return f"a decimal comma; write {text.replace(',', '.')}"
    words = text.split()
    for what, meant in (
        ("a D before the exponent", re.sub(r"[dD](?=[+-]?[0-9])", "E", text)),
        ("a minus that is not '-'", re.sub("[\u2010-\u2015\u2212\ufe63\uff0d]", "-", text)),
        ("a comma between thousands", re.sub(r",(?=[0-9]{3}(?![0-9]))", "", text)),
        (f"{' '.join(words[1:])!r} behind it", words[0] if words else ""),
    ):
        if meant != text and _is_number(meant):
            return f"{what}; write {meant}"
    return ""


def _is_number(text: str) -> bool:
    try:
        decimal(text)
    except ValueError:
        return False
    return True
