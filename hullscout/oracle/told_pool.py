"""Results that stand together in one file, as a pool does: frames with an energy, each with an id of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hullscout.contents import content_of, text_of
from hullscout.errors import HullscoutError, ResultError
from hullscout.pool import read_pool
from hullscout.pool.calculations import Calculation, stated_unconverged
from hullscout.pool.formats import detect_format

if TYPE_CHECKING:
    from pathlib import Path

WITH_IDS = frozenset({"extxyz", "ase", "entries", "parquet"})

_MAX_DIGITS = 10


def results_together(path: Path) -> list[tuple[str, Calculation] | ResultError]:
    """The results of a file of several frames by id, in its order; empty where it is no such file, but one result.

    Frames of the same atoms without ids, or of one id, may be the steps of one relaxation, of which the last counts.
    """
    try:
        kind = detect_format(path)
        is_pool = kind in WITH_IDS and not (kind == "extxyz" and _is_one_frame(path))
        read = read_pool(path) if is_pool else None
    except HullscoutError:
        return []
    if read is None or len(read.frames) + read.n_faulty < 2:
        return []
    ids = {frame.id for frame in read.frames}
    are_of_one_cell = len({tuple(frame.numbers.tolist()) for frame in read.frames}) == 1
    are_unnamed = ids == {f"frame-{frame.number:06d}" for frame in read.frames}
    if len(ids) < len(read.frames) or (are_unnamed and are_of_one_cell):
        return []
    found: list[tuple[str, Calculation] | ResultError] = [ResultError(f"{path}: {fault}") for fault in read.faults]
    for frame in read.frames:
        if frame.energy_ev is None:
            found.append(ResultError(f"{path}: {frame.name} states no energy. Give one, or take the frame out."))
            continue
        force = frame.columns.get("max_force")
        done = Calculation(
            atoms=frame.candidate().to_ase(),
            energy_ev=frame.energy_ev,
            columns=frame.columns,
            unconverged=stated_unconverged(frame.columns),
            max_force=force if isinstance(force, float) else None,
        )
        found.append((frame.id, done))
    return found


def _is_one_frame(path: Path) -> bool:
    """Whether a file is extended XYZ of a single frame, which is read as a result and need not be read as a pool, too."""
    lines = text_of(content_of(path)).rstrip().splitlines()
    counted = lines[0].strip() if lines else ""
    return counted.isdecimal() and len(counted) < _MAX_DIGITS and len(lines) <= int(counted) + 2
