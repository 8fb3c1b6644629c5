"""Pools as they are written: extended XYZ or Parquet, the same bytes for the same frames, and where such a file may be put."""

from __future__ import annotations

import gzip
import re
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import OutputError
from hullscout.pool import moments
from hullscout.pool.columnar import SUFFIX as PARQUET
from hullscout.pool.columnar import kinds_of, write_columns
from hullscout.pool.extxyz import PLAIN_PROPERTIES, SUFFIXES
from hullscout.writing import write_whole, written_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from hullscout.pool.frames import Frame

_BARE = re.compile(r"[_.#-]*[A-Za-z0-9][A-Za-z0-9_.#-]*")


class Existing(Enum):
    """What becomes of a file that is there already: it stays as it is, or the new one takes its place once that is complete."""

    REFUSE = "refuse"
    REPLACE = "replace"


def check_target(path: Path, existing: Existing, *, source: Path | None = None) -> None:
    """Refuse, by an OutputError, a path where no pool may be written, or the `source` that is read: to be asked before any cost."""
    if not path.name.endswith((*SUFFIXES, PARQUET)):
        known = ", ".join((*SUFFIXES, PARQUET))
        raise OutputError(f"{path}: expected a name that ends in {known}, found {path.name!r}. Rename it.")
    if not path.parent.is_dir():
        raise OutputError(f"{path} cannot be written: there is no folder {path.parent}. Make it, or give another name.")
    if source is not None and path.exists() and source.exists() and path.samefile(source):
        raise OutputError(f"{path} is the pool that is read and stays as it is. Give another name.")
    if path.is_dir() or ((path.exists() or path.is_symlink()) and existing is Existing.REFUSE):
        said = "is there already and was not changed. Give another name, or --force to replace a file."
        raise OutputError(f"{path} {said}")


def save_frames(
    path: Path,
    frames: Iterable[Frame],
    *,
    existing: Existing = Existing.REFUSE,
    kinds: Mapping[str, type] | None = None,
) -> None:
    """Write frames as a pool file where `check_target` allows it, gzipped or as Parquet if so named.

    The same frames give the same bytes. Parquet is written while they come, where the `kinds` of the further columns that
    they state are given: `float` or `str` by name.
    """
    check_target(path, existing)
    if path.name.endswith(PARQUET):
        known = tuple(frames) if kinds is None else frames
        with written_whole(path, remedy="Nothing was changed.") as half_made:
            write_columns(half_made, known, kinds_of(known) if kinds is None else kinds)
        return
    content = format_frames(frames)
    if path.name.endswith(".gz"):
        content = gzip.compress(content, mtime=0)
    write_whole(path, content, remedy="Nothing was changed.")


def format_frames(frames: Iterable[Frame]) -> bytes:
    """Frames as the content of an extended XYZ file, UTF-8."""
    return "".join(_format(frame) for frame in frames).encode()


def _format(frame: Frame) -> str:
    """One frame: a count, a comment line, one line per atom."""
    from ase.data import chemical_symbols  # noqa: PLC0415  (late: ASE loads slowly)

    periodic = " ".join("T" if axis else "F" for axis in frame.pbc)
    stated = {"id": frame.id, "energy": frame.energy_ev, **frame.columns}
    pairs = "".join(f"{key}={_value(value)} " for key, value in stated.items() if value is not None)
    properties, stated_moments = PLAIN_PROPERTIES, [""] * len(frame.numbers)
    if frame.magmoms is not None:
        properties += f":{moments.COLUMNS[0]}:R:{1 if frame.magmoms.ndim == 1 else 3}"
        stated_moments = [" " + " ".join(map(repr, np.ravel(row).tolist())) for row in frame.magmoms]
    comment = f'Lattice="{_row(frame.cell.ravel())}" Properties={properties} {pairs}pbc="{periodic}"'
    symbols = [chemical_symbols[number] for number in frame.numbers.tolist()]
    rows = zip(symbols, frame.positions, stated_moments, strict=True)
    atoms = (f"{symbol} {_row(position)}{moment}\n" for symbol, position, moment in rows)
    return f"{len(symbols)}\n{comment}\n{''.join(atoms)}"


def _row(values: NDArray[np.float64]) -> str:
    """Coordinates in A with ten decimals, without a sign before zero."""
    return " ".join(f"{value:z.10f}" for value in values.tolist())


def _value(value: str | float) -> str:
    """A value as a comment line holds it: numbers bare and exact, words in quotes where they need them."""
    if not isinstance(value, str):
        return repr(float(value))
    if _BARE.fullmatch(value):
        return value
    quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("\r", " ").replace("\n", " ")
    return f'"{quoted}"'
