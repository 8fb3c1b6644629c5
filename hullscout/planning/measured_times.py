"""Times of calculations that were done already: read from the folders of live campaigns, or from CSV files.

A campaign with `oracle.kind = "calculator"` keeps the seconds that every try of a calculation took. What a candidate took is the
sum over its tries, failed ones too, if it has an energy in the end; times the cores that a calculation has. Its k-points are
those that the calculator's settings ask for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.campaign import Setup
from hullscout.campaign.store import Store
from hullscout.errors import InvalidPlanError
from hullscout.files import number, read_csv
from hullscout.planning.core_hours import KPointGrid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hullscout.files import Row
    from hullscout.pool import Candidate
    from hullscout.selection.known import Floats

SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredTimes:
    """What calculations took.

    Attributes:
        source: Where they were read.
        n_atoms: (m,) atoms of each.
        hours: (m,) core-hours of each.
        n_kpoints: (m,) k-points of each; None where nothing tells them, or where they were the same for all.
        grid: Which k-points the calculations to come have; None where that is not known.
    """

    source: str
    n_atoms: Floats
    hours: Floats
    n_kpoints: Floats | None
    grid: KPointGrid | None


def read_times(path: Path, *, grid: KPointGrid | None = None, cores: int = 1) -> MeasuredTimes:
    """Read the output folder of a live campaign, running or not, or a CSV file.

    Args:
        path: Folder with `campaign.db`, or a file with the columns `atoms`, `core_hours` and, where they count, `kpoints`.
        grid: K-points of the calculations to come, and of those of a folder whose settings tell none.
        cores: Of each calculation of a folder.

    Raises:
        InvalidPlanError: It is neither, holds no times, or tells other k-points than `grid`.
        StoreError: The folder holds no campaign, or it is damaged.
    """
    return _of_campaign(path, grid=grid, cores=cores) if path.is_dir() else _of_csv(path, grid=grid)


def joined(parts: Sequence[MeasuredTimes]) -> MeasuredTimes:
    """Several times as one.

    Raises:
        InvalidPlanError: Some tell k-points and others do not, or different grids.
    """
    first = parts[0]
    for other in parts[1:]:
        if (first.grid, first.n_kpoints is None) != (other.grid, other.n_kpoints is None):
            raise InvalidPlanError(
                f"Expected times with the same rule for k-points, found {_told(first)} in {first.source} and {_told(other)} in "
                f"{other.source}. Give them apart."
            )
    n_kpoints = [part.n_kpoints for part in parts if part.n_kpoints is not None]
    return MeasuredTimes(
        source=", ".join(part.source for part in parts),
        n_atoms=np.concatenate([part.n_atoms for part in parts]),
        hours=np.concatenate([part.hours for part in parts]),
        n_kpoints=np.concatenate(n_kpoints) if n_kpoints else None,
        grid=first.grid,
    )


def grid_of(arguments: Mapping[str, Any]) -> KPointGrid | None:
    """The k-points that the arguments of an ASE calculator ask for, where they depend on the cell; None where they do not say so.

    `kpts` as a density in points times Angstrom (`{density = 3.5, even = true}`, or a number), or `kspacing` in 1/Angstrom (VASP,
    Quantum ESPRESSO). A grid of fixed size is the same for all cells, so that it belongs to the prefactor of a law.

    Source: `ase.calculators.calculator.kpts2sizeandoffsets`.

    >>> grid_of({"kpts": {"density": 4.0, "even": True}})
    KPointGrid(spacing=0.25, parity=0)
    """
    spacing, kpoints = arguments.get("kspacing"), arguments.get("kpts")
    if isinstance(spacing, int | float):
        return KPointGrid(spacing=float(spacing))
    if isinstance(kpoints, int | float):
        return KPointGrid(spacing=1.0 / kpoints)
    if isinstance(kpoints, dict) and isinstance(kpoints.get("density"), int | float):
        even = kpoints.get("even")
        return KPointGrid(spacing=1.0 / kpoints["density"], parity=None if even is None else int(not even))
    return None


def _of_campaign(folder: Path, *, grid: KPointGrid | None, cores: int) -> MeasuredTimes:
    with Store.read(folder) as store:
        origin, attempts, answers = store.origin(), store.attempts(), store.answers()
    oracle = origin.config.oracle
    if oracle.kind != "calculator":
        raise InvalidPlanError(
            f"--core-hours {folder}: expected a campaign that computes energies, found oracle.kind = {oracle.kind!r}, which "
            "keeps no times. Give the folder of a live campaign, or a .csv file of measured times."
        )
    told = grid_of(oracle.arguments)
    if told is not None and grid not in (None, told):
        raise InvalidPlanError(
            f"--kpoint-spacing: expected the {told} of the calculations in {folder}, found {grid}. Leave the option out, or give "
            "times of that spacing."
        )
    pool = Setup(origin).pool
    seconds: dict[str, float] = {}
    for attempt in attempts:
        if attempt.id in answers and attempt.wall_s is not None:
            seconds[attempt.id] = seconds.get(attempt.id, 0.0) + attempt.wall_s
    by_id: dict[str, Candidate] = {candidate.id: candidate for candidate in pool.candidates if candidate.id in seconds}
    rule = told or grid
    return MeasuredTimes(
        source=str(folder),
        n_atoms=np.array([len(candidate.numbers) for candidate in by_id.values()], dtype=np.float64),
        hours=np.array([seconds[i] for i in by_id]) * cores / SECONDS_PER_HOUR,
        n_kpoints=None
        if rule is None
        else np.array([rule.of(candidate.cell) for candidate in by_id.values()], dtype=np.float64),
        grid=rule,
    )


def _of_csv(path: Path, *, grid: KPointGrid | None) -> MeasuredTimes:
    def refused(header: tuple[str, ...]) -> str:
        if {"atoms", "core_hours"} <= set(header):
            return ""
        return (
            "expected a line of names with atoms and core_hours (and kpoints where they count), then one calculation a line; found "
            f"{', '.join(sorted(header)) or 'no calculations'}."
        )

    table = read_csv(path, error=InvalidPlanError, refused=refused, is_ragged=True)
    if not table.rows:
        raise InvalidPlanError(f"{path}: {refused(())}")

    def numbers(column: str) -> Floats:
        return np.array([_number(row, column, path) for row in table.rows])

    kpoints = numbers("kpoints") if "kpoints" in table.header else None
    return MeasuredTimes(
        source=str(path), n_atoms=numbers("atoms"), hours=numbers("core_hours"), n_kpoints=kpoints, grid=grid
    )


def _number(row: Row, column: str, path: Path) -> float:
    text = row.cells.get(column, "")
    found = f"expected a number in every field of every line, found {text!r} for {column} in line {row.line}"
    return number(text, InvalidPlanError(f"{path}: {found}."))


def _told(times: MeasuredTimes) -> str:
    if times.n_kpoints is None:
        return "none"
    return "k-points without one" if times.grid is None else str(times.grid)
