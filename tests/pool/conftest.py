"""Small pools, written as text or read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hullscout.pool import Frame, parse_frames

if TYPE_CHECKING:
    from collections.abc import Callable

FCC = "0 2 2 2 0 2 2 2 0"


def frame(
    atoms: str = "Ag 0 0 0",
    *,
    id: str | None = "ag",  # noqa: A002  (the key's name in the file)
    energy: str | None = "-1.0",
    lattice: str | None = FCC,
    rest: str = "",
) -> str:
    """One frame as text; atoms are separated by semicolons."""
    rows = [row.strip() for row in atoms.split(";")]
    keys = [] if lattice is None else [f'Lattice="{lattice}"']
    keys.append("Properties=species:S:1:pos:R:3")
    keys += [f"{key}={value}" for key, value in (("id", id), ("energy", energy)) if value is not None]
    keys += [rest] if rest else []
    return "\n".join([str(len(rows)), " ".join(keys), *rows]) + "\n"


@pytest.fixture
def make_frame() -> Callable[..., str]:
    return frame


@pytest.fixture
def pure_ends() -> str:
    """The two elements, so that a pool can be built at all."""
    return frame("Ag 0 0 0", id="pure-ag") + frame("Pd 0 0 0", id="pure-pd")


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def _write(content: str | bytes, name: str = "pool.extxyz") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return _write


@pytest.fixture(scope="session")
def frames(small_pool: str) -> tuple[Frame, ...]:
    """The cells of up to five atoms of Ag-Pd; cost and baseline made of the atoms."""
    read = parse_frames(small_pool.encode(), path=Path("small.extxyz")).frames
    return tuple(
        replace(frame, columns={"hours": 1.0 + len(frame.numbers), "cheap": -0.5 * len(frame.numbers)})
        for frame in read
    )
