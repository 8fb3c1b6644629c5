"""What folders of candidates share: their table, and the order of their files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hullscout.contents import leaves
from hullscout.errors import InvalidPoolError
from hullscout.files import Table, read_csv, without_compression
from hullscout.pool.frames import natural_key, plain_name

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def find_tables(folder: Path) -> list[Path]:
    """The tables of a folder, not of those in it."""
    return sorted(
        path
        for path in folder.iterdir()
        if is_table_file(path) and not path.name.startswith(".") and not is_link_out(folder, path)
    )


def is_link_out(folder: Path, path: Path) -> bool:
    """Whether what stands in a folder is a link that leads out of it, which is not followed."""
    return path.is_symlink() and leaves(folder, path)


def links_out(folder: Path) -> list[str]:
    """The places in a folder of links that lead out of it, hidden ones left out."""
    found = (path for path in folder.rglob("*") if not path.name.startswith(".") and is_link_out(folder, path))
    return sorted(path.relative_to(folder).as_posix() for path in found)


def is_table_file(path: Path) -> bool:
    """Whether the name is that of a table, `.csv` or `.tsv`, also compressed."""
    return without_compression(path.name).lower().endswith((".csv", ".tsv"))


def read_table(path: Path) -> Table:
    """A CSV table beside structures or calculations: a row for each, with `id` or `file` among its columns."""
    expected = "expected a first line that names the columns, between commas, semicolons or tabs, with `id` or `file` among them"

    def refused(header: tuple[str, ...]) -> str:
        return "" if {"id", "file"} & set(header) else f"{expected}, found {','.join(header)[:80]!r}."

    def plain(name: str) -> str:
        name = plain_name(name)
        return name.lower() if name.lower() in {"id", "file"} else name

    return read_csv(path, error=InvalidPoolError, refused=refused, plain=plain)


def in_order(folder: Path, paths: Iterable[Path]) -> list[Path]:
    """The files among paths in a folder that are not hidden and no links out of it, in the natural order of their places in it."""
    files = (p for p in paths if p.is_file() and not p.name.startswith(".") and not is_link_out(folder, p))
    return sorted(files, key=lambda path: natural_key(path.relative_to(folder).as_posix()))
