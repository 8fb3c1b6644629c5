"""Numbers that a pool states of its candidates beside the energy: what a calculation costs, and a baseline energy.

A column is named by the user, as the source names it: a key of the comment lines, of the database, of the CSV.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import InvalidPoolError
from hullscout.pool.frames import shown_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hullscout.pool.frames import Frame, Frames


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns of a source are read as what.

    Attributes:
        cost: what computing a candidate costs, in any unit (core-hours, say), above 0.
        baseline: an energy of a cheaper method, in eV per cell as energies are.

    Raises:
        InvalidPoolError: the energy that is to be looked up is named as one of them.
    """

    cost: str | None = None
    baseline: str | None = None

    def __post_init__(self) -> None:
        for setting, column in (("cost", self.cost), ("baseline", self.baseline)):
            if column == "energy":
                raise InvalidPoolError(
                    f"pool.{setting}: expected a column other than 'energy', found {column!r}: that is what a campaign looks "
                    "up, and it may not know it before. Name another column."
                )


def read_cost(frames: Frames, used: Sequence[Frame], column: str | None) -> NDArray[np.float64] | None:
    """What each frame's calculation costs.

    Args:
        frames: the source, for messages.
        used: the frames that become candidates.
        column: the column's name; None where costs are not told apart.

    Returns:
        (n,) in the column's unit, all above 0; None where no column is named.

    Raises:
        InvalidPoolError: some frame does not state it, or states no finite number above 0.
    """
    if column is None:
        return None
    cost = _read(frames, used, setting="cost", column=column)
    wrong = [frame for frame, value in zip(used, cost.tolist(), strict=True) if value <= 0]
    if wrong:
        raise InvalidPoolError(
            f"{frames.path}: pool.cost = {column!r}: expected a number above 0 for every candidate, found "
            f"{wrong[0].columns[column]} for {wrong[0].name} ({len(wrong)} of {len(used)} are not above 0). Correct the column."
        )
    return cost


def read_baseline(frames: Frames, used: Sequence[Frame], column: str | None) -> NDArray[np.float64] | None:
    """The baseline energy of each frame.

    Args:
        frames: the source, for messages.
        used: the frames that become candidates.
        column: the column's name, in eV per cell; None where there is no baseline.

    Returns:
        (n,) in eV/atom; None where no column is named.

    Raises:
        InvalidPoolError: some frame does not state it, or states no finite number.
    """
    if column is None:
        return None
    n_atoms = np.array([len(frame.numbers) for frame in used], dtype=np.float64)
    return _read(frames, used, setting="baseline", column=column) / n_atoms


def _read(frames: Frames, used: Sequence[Frame], *, setting: str, column: str) -> NDArray[np.float64]:
    """(n,) finite numbers of a column that every frame states."""
    where = f"{frames.path}: pool.{setting} = {column!r}"
    missing = [frame.id for frame in used if column not in frame.columns]
    if missing:
        known = sorted({key for frame in used for key in frame.columns})
        raise InvalidPoolError(
            f"{where}: expected it for every candidate, found it for {len(used) - len(missing)} of {len(used)}; missing for "
            f"{shown_ids(missing)}. Columns found: {', '.join(known) or 'none'}. State it for all, or name another column."
        )
    values: list[float] = []
    wrong: list[Frame] = []
    for frame in used:
        try:
            value = float(frame.columns[column])
        except ValueError:
            value = np.nan
        values.append(value)
        if not np.isfinite(value):
            wrong.append(frame)
    if wrong:
        raise InvalidPoolError(
            f"{where}: expected a finite number for every candidate, found {wrong[0].columns[column]!r} for {wrong[0].name} "
            f"({len(wrong)} of {len(used)} are no finite numbers). Correct the column."
        )
    return np.array(values, dtype=np.float64)
