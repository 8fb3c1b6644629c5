"""A pool as extended XYZ: every reader's frames in one form, whole on disk or not there at all.

What is written reads back as the same frames: ids letter by letter, energies to the last bit, coordinates to 1e-10 A.
"""

from __future__ import annotations

import gzip
import os
from enum import Enum
from typing import TYPE_CHECKING

from hullscout.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np

    from hullscout.pool.frames import Frame

SUFFIXES = (".extxyz", ".xyz", ".extxyz.gz", ".xyz.gz")


class Existing(Enum):
    """What becomes of a file that is there already."""

    REFUSE = "refuse"
    """It stays as it is."""
    REPLACE = "replace"
    """The new one takes its place, once it is complete."""


def check_target(path: Path, existing: Existing, *, source: Path | None = None) -> None:
    """Whether a pool may be written there: to be asked before any cost.

    Args:
        path: where to.
        existing: what becomes of a file of that name.
        source: the pool that is read, which is never written over.

    Raises:
        OutputError: another suffix than one of SUFFIXES, no such folder, or a file that may not be replaced.
    """
    if not path.name.endswith(SUFFIXES):
        raise OutputError(
            f"{path}: expected a name that ends in {', '.join(SUFFIXES)}, found {path.name!r}. Rename it."
        )
    if not path.parent.is_dir():
        raise OutputError(f"{path} cannot be written: there is no folder {path.parent}. Make it, or give another name.")
    if source is not None and path.exists() and source.exists() and path.samefile(source):
        raise OutputError(f"{path} is the pool that is read and stays as it is. Give another name.")
    if path.is_dir() or (path.exists() and existing is Existing.REFUSE):
        raise OutputError(
            f"{path} is there already and was not changed. Give another name, or --force to replace a file."
        )


def save_frames(path: Path, frames: Sequence[Frame], *, existing: Existing = Existing.REFUSE) -> None:
    """Write frames as a pool file, gzipped where the name says so; the same frames give the same bytes.

    Args:
        path: the file, with one of SUFFIXES.
        frames: in the order of the file.
        existing: what becomes of a file of that name.

    Raises:
        OutputError: see `check_target`; or the disk refuses it.
    """
    check_target(path, existing)
    content = format_frames(frames)
    if path.name.endswith(".gz"):
        content = gzip.compress(content, mtime=0)
    half_made = path.with_name(f".{path.name}.new")
    try:
        with half_made.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        half_made.replace(path)
    except OSError as error:
        half_made.unlink(missing_ok=True)
        raise OutputError(f"{path} cannot be written: {error.strerror}. Nothing was changed.") from error


def format_frames(frames: Sequence[Frame]) -> bytes:
    """Frames as the content of an extended XYZ file, UTF-8."""
    return "".join(_format(frame) for frame in frames).encode()


def _format(frame: Frame) -> str:
    """One frame: a count, a comment line, one line per atom."""
    from ase.data import chemical_symbols  # noqa: PLC0415  (late: ASE loads slowly)

    periodic = " ".join("T" if axis else "F" for axis in frame.pbc)
    stated = {"id": frame.id, "energy": frame.energy_ev, **frame.columns}
    lines = [
        str(len(frame.numbers)),
        " ".join(
            [
                f'Lattice="{_row(frame.cell.ravel())}"',
                "Properties=species:S:1:pos:R:3",
                *(f"{key}={_value(value)}" for key, value in stated.items() if value is not None),
                f'pbc="{periodic}"',
            ]
        ),
        *(
            f"{chemical_symbols[number]} {_row(position)}"
            for number, position in zip(frame.numbers.tolist(), frame.positions, strict=True)
        ),
    ]
    return "\n".join(lines) + "\n"


def _row(values: np.ndarray) -> str:
    """Coordinates in A with ten decimals, without a sign before zero."""
    return " ".join(f"{value:z.10f}" for value in values.tolist())


def _value(value: str | float) -> str:
    """A value as a comment line holds it: numbers bare and exact, words in quotes where they need them."""
    if not isinstance(value, str):
        return repr(float(value))
    if (
        value
        and value.isascii()
        and value.replace("_", "").replace("-", "").replace("#", "").replace(".", "").isalnum()
    ):
        return value
    quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("\r", " ").replace("\n", " ")
    return f'"{quoted}"'
