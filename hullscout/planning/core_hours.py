"""What a calculation takes in core-hours: a column of the pool, or a law t = a N^p K with N atoms and K k-points, given or fitted.

A law is fitted on the logarithms of times already measured: the exponent by the median of all pairwise slopes (Theil and Sen), the
prefactor by the median residual. Both withstand up to 29 % of calculations that crashed early or ran on a busy node.

Times are read from CSV files, or from folders of live campaigns, which keep the seconds that every try of a calculation took,
as they were measured or, of energies calculated elsewhere, told. What a candidate took is the sum over its tries, failed ones
too, if it has an energy in the end; times the cores of a calculation.

Source: Sen, J. Am. Stat. Assoc. 63, 1379 (1968); the scatter is 1.4826 times the median absolute deviation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy

from hullscout.campaign import Setup, Store
from hullscout.errors import InvalidPlanError
from hullscout.files import number, read_csv
from hullscout.oracle import ComputedSettings, HandoffSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hullscout.pool import Pool
    from hullscout.selection.known import Floats

DEFAULT_EXPONENT = 3.0
MIN_TIMES = 5
GAUSSIAN_MAD = 1.4826
SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CostColumn:
    """Core-hours as the pool's cost column states them, taken at its word."""

    def of(self, pool: Pool) -> Floats:
        """(n,) core-hours of each candidate's calculation."""
        if pool.cost is None:
            raise InvalidPlanError(
                "--core-hours column: the pool states no costs. Name the column in the campaign file ([pool] cost, with "
                '[cost] kind = "column"), or give a law such as --core-hours 8:12:3.'
            )
        return pool.cost

    def relative_error(self, pool: Pool) -> float:  # noqa: ARG002  as of a law
        """Standard error of the sum over the pool, relative to it."""
        return 0.0

    def __str__(self) -> str:
        return "core-hours as the pool's cost column states them"


@dataclass(frozen=True, slots=True, kw_only=True)
class KPointGrid:
    """Grids of k-points as many codes choose them: along each reciprocal vector as few as are no coarser than a spacing.

    It is in 1/Angstrom, 2 pi included. The number along each is rounded up to an even one (parity 0), an odd one (1), or any.
    """

    spacing: float
    parity: int | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.spacing) and self.spacing > 0):
            raise InvalidPlanError(f"Expected a spacing of k-points above 0, found {self.spacing:g} 1/Angstrom.")

    @classmethod
    def asked_by(cls, arguments: Mapping[str, Any]) -> KPointGrid | None:
        """The k-points that the arguments of an ASE calculator ask for, where they depend on the cell; None where they do not.

        `kpts` as a density in points times Angstrom (`{density = 3.5, even = true}`, or a number), or `kspacing` in 1/Angstrom
        (VASP, Quantum ESPRESSO). A grid of fixed size is the same for all cells, so that it belongs to the prefactor of a law.
        Source: `ase.calculators.calculator.kpts2sizeandoffsets`.

        >>> KPointGrid.asked_by({"kpts": {"density": 4.0, "even": True}})
        KPointGrid(spacing=0.25, parity=0)
        """
        spacing, kpoints = arguments.get("kspacing"), arguments.get("kpts")
        if isinstance(spacing, int | float):
            return cls(spacing=float(spacing))
        if isinstance(kpoints, int | float):
            return cls(spacing=1.0 / kpoints)
        if isinstance(kpoints, dict) and isinstance(kpoints.get("density"), int | float):
            even = kpoints.get("even")
            return cls(spacing=1.0 / kpoints["density"], parity=None if even is None else int(not even))
        return None

    def of(self, cell: Floats) -> int:
        """Number of points in the whole zone, before symmetry, for the rows of a (3, 3) cell in Angstrom.

        >>> KPointGrid(spacing=0.4).of(np.eye(3) * 4.0)
        64
        """
        lengths = 2.0 * np.pi * np.linalg.norm(np.linalg.inv(np.asarray(cell)), axis=0)
        along = np.ceil(lengths / self.spacing - 1e-9)
        if self.parity is not None:
            along += (along + self.parity) % 2
        return int(along.prod())

    def __str__(self) -> str:
        rounded = {None: "", 0: ", even", 1: ", odd"}[self.parity]
        return f"k-points {self.spacing:.4g}/A apart{rounded}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerLaw:
    """Core-hours t = hours (N / reference_atoms)^exponent K, K the points of its grid or 1; given, or fitted on times.

    Attributes:
        hours_error: Relative standard error of `hours`.
        exponent_error: Standard error of the exponent; independent of the other at the reference size.
        scatter: Standard deviation of the logarithm of a single time.
    """

    hours: float
    reference_atoms: float
    exponent: float = DEFAULT_EXPONENT
    grid: KPointGrid | None = None
    hours_error: float = 0.0
    exponent_error: float = 0.0
    scatter: float = 0.0
    n_times: int = 0

    def __post_init__(self) -> None:
        positive = np.array([self.hours, self.reference_atoms])
        if not (np.isfinite(positive).all() and (positive > 0).all() and np.isfinite(self.exponent)):
            raise InvalidPlanError(
                f"Expected core-hours and atoms above 0 and a finite exponent, found {self.hours:g}, {self.reference_atoms:g} and "
                f"{self.exponent:g}."
            )

    @classmethod
    def parse(cls, text: str, *, grid: KPointGrid | None = None) -> PowerLaw:
        """Read `ATOMS:HOURS[:EXPONENT]`; anything else is an `InvalidPlanError`.

        >>> str(PowerLaw.parse("8:12"))
        '12 x (atoms / 8)^3.00 core-hours'
        """
        try:
            numbers = [float(part) for part in text.split(":")]
        except ValueError:
            numbers = []
        if len(numbers) not in (2, 3):
            raise InvalidPlanError(
                f"--core-hours {text}: expected 'column', ATOMS:HOURS[:EXPONENT] (8:12:3 says that a cell of 8 atoms takes 12 "
                "core-hours and time grows with the third power), a .csv file of measured times, or the folder of a live campaign."
            )
        atoms, hours, exponent = [*numbers, DEFAULT_EXPONENT][:3]
        if not (np.isfinite(numbers).all() and atoms > 0 and hours > 0 and exponent >= 0):
            raise InvalidPlanError(
                f"--core-hours {text}: expected atoms and core-hours above 0 and an exponent of 0 or more, found {atoms:g}, "
                f"{hours:g} and {exponent:g}."
            )
        return cls(hours=hours, reference_atoms=atoms, exponent=exponent, grid=grid)

    def of(self, pool: Pool) -> Floats:
        """(n,) core-hours expected of each candidate's calculation: the mean of the scatter, not its median."""
        n_kpoints = np.ones(len(pool))
        if self.grid is not None:
            n_kpoints = np.array([self.grid.of(candidate.cell) for candidate in pool.candidates])
        size = pool.n_atoms / self.reference_atoms
        return np.asarray(self.hours * size**self.exponent * n_kpoints * np.exp(0.5 * self.scatter**2))

    def relative_error(self, pool: Pool) -> float:
        """Standard error of the sum over the pool, relative to it, from those of the two parameters."""
        hours = self.of(pool)
        lever = float(hours @ np.log(pool.n_atoms / self.reference_atoms) / hours.sum())
        return float(np.hypot(self.hours_error, lever * self.exponent_error))

    def __str__(self) -> str:
        per_kpoint = "" if self.grid is None else f" per k-point ({self.grid})"
        text = f"{self.hours:.3g} x (atoms / {self.reference_atoms:.3g})^{self.exponent:.2f} core-hours{per_kpoint}"
        if not self.n_times:
            return text
        return (
            f"{text}, fitted on {self.n_times} times (exponent +- {self.exponent_error:.2f}, prefactor +- "
            f"{100 * self.hours_error:.0f} %; single calculations scatter by a factor of {np.exp(self.scatter):.2f})"
        )


CostModel = CostColumn | PowerLaw
"""What says how many core-hours each candidate takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a core-hour costs (above 0), in money or in units of an allocation."""

    per_core_hour: float
    unit: str

    def __post_init__(self) -> None:
        if not (np.isfinite(self.per_core_hour) and self.per_core_hour > 0 and self.unit):
            raise InvalidPlanError(
                f"Expected a price above 0 and its unit, found {self.per_core_hour} and {self.unit!r}."
            )

    @classmethod
    def parse(cls, text: str) -> Price:
        """Read `NUMBER UNIT`; anything else is an `InvalidPlanError`.

        >>> Price.parse("0.02 EUR")
        Price(per_core_hour=0.02, unit='EUR')
        """
        amount, _, unit = text.strip().partition(" ")
        try:
            return cls(per_core_hour=float(amount), unit=unit.strip())
        except ValueError as error:
            raise InvalidPlanError(
                f"--price {text}: expected NUMBER UNIT per core-hour, for example '0.02 EUR'."
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredTimes:
    """What calculations took: (m,) core-hours of each, and atoms.

    Attributes:
        n_kpoints: (m,) k-points of each; None where nothing tells them, or where they were the same for all.
        grid: Which k-points the calculations to come have; None where that is not known.
    """

    source: str
    n_atoms: Floats
    hours: Floats
    n_kpoints: Floats | None = None
    grid: KPointGrid | None = None

    @property
    def rule_for_kpoints(self) -> str:
        """How its k-points were chosen, in words."""
        if self.n_kpoints is None:
            return "none"
        return "k-points without one" if self.grid is None else str(self.grid)


def read_times(path: Path, *, grid: KPointGrid | None = None, cores: int = 1) -> MeasuredTimes:
    """Read the folder of a live campaign, running or not, or a CSV file (`atoms`, `core_hours` and, if need be, `kpoints`).

    The grid is that of the calculations to come, and of a folder whose settings tell none; the cores are those of a calculation.
    """
    return _of_campaign(path, grid=grid, cores=cores) if path.is_dir() else _of_csv(path, grid=grid)


def joined(parts: Sequence[MeasuredTimes]) -> MeasuredTimes:
    """Several times as one; all tell k-points of the same grid, or none does."""
    first = parts[0]
    for other in parts[1:]:
        if (first.grid, first.n_kpoints is None) != (other.grid, other.n_kpoints is None):
            raise InvalidPlanError(
                f"Expected times with the same rule for k-points, found {first.rule_for_kpoints} in {first.source} and "
                f"{other.rule_for_kpoints} in {other.source}. Give them apart."
            )
    n_kpoints = [part.n_kpoints for part in parts if part.n_kpoints is not None]
    return MeasuredTimes(
        source=", ".join(part.source for part in parts),
        n_atoms=np.concatenate([part.n_atoms for part in parts]),
        hours=np.concatenate([part.hours for part in parts]),
        n_kpoints=np.concatenate(n_kpoints) if n_kpoints else None,
        grid=first.grid,
    )


def fit_power_law(times: MeasuredTimes) -> PowerLaw:
    """Fit t = a N^p K to five times or more, of two sizes or more."""
    n_kpoints = np.ones(len(times.hours)) if times.n_kpoints is None else times.n_kpoints
    for name, values in (("atoms", times.n_atoms), ("core-hours", times.hours), ("k-points", n_kpoints)):
        if not (np.isfinite(values).all() and (values > 0).all()):
            raise InvalidPlanError(f"Expected measured {name} above 0, found {values.min()}.")
    if (times.n_kpoints is None) != (times.grid is None):
        lacks = ("times with k-points", "no spacing") if times.grid is None else ("a spacing", "times without k-points")
        raise InvalidPlanError(
            f"Expected k-points of the measured times and --kpoint-spacing, both or neither, found {' and '.join(lacks)}."
        )
    sizes = np.log(times.n_atoms)
    if len(sizes) < MIN_TIMES or np.ptp(sizes) == 0.0:
        raise InvalidPlanError(
            f"A law needs {MIN_TIMES} measured times or more, of cells of at least two sizes; found {len(sizes)} of "
            f"{len(np.unique(sizes))} size(s). Give --core-hours ATOMS:HOURS:EXPONENT instead."
        )
    from scipy.stats import theilslopes  # noqa: PLC0415  slow to import

    log_times = np.log(times.hours / n_kpoints)
    fit = theilslopes(log_times, sizes, alpha=0.95)
    exponent, middle = float(fit.slope), float(np.median(sizes))
    at_middle = log_times - exponent * (sizes - middle)
    scatter = float(GAUSSIAN_MAD * np.median(np.abs(at_middle - np.median(at_middle))))
    return PowerLaw(
        hours=float(np.exp(np.median(at_middle))),
        reference_atoms=float(np.exp(middle)),
        exponent=exponent,
        grid=times.grid,
        # The standard error of a median of Gaussian numbers.
        hours_error=float(np.sqrt(np.pi / 2.0) * scatter / np.sqrt(len(log_times))),
        exponent_error=float((fit.high_slope - fit.low_slope) / (2.0 * scipy.special.ndtri(0.975))),
        scatter=scatter,
        n_times=len(log_times),
    )


def _of_campaign(folder: Path, *, grid: KPointGrid | None, cores: int) -> MeasuredTimes:
    with Store.read(folder) as store:
        setup, attempts, answers = Setup(store.origin()), store.attempts(), store.answers()
        about = store.about()
    oracle = setup.config.oracle
    if not isinstance(oracle, ComputedSettings | HandoffSettings):
        raise InvalidPlanError(
            f"--core-hours {folder}: expected a campaign that computes energies or hands them off, found oracle.kind = "
            f"{oracle.kind!r}, which keeps no times. Give the folder of a live campaign, or a .csv file of measured times."
        )
    told = KPointGrid.asked_by(oracle.arguments) if isinstance(oracle, ComputedSettings) else None
    if told is not None and grid not in (None, told):
        raise InvalidPlanError(
            f"--kpoint-spacing: expected the {told} of the calculations in {folder}, found {grid}. Leave the option out, or give "
            "times of that spacing."
        )
    seconds: dict[str, float] = {}
    for attempt in attempts:
        if attempt.id in answers and attempt.wall_s is not None:
            seconds[attempt.id] = seconds.get(attempt.id, 0.0) + attempt.wall_s
    seconds = {name: kept.wall_s for name, kept in about.items() if kept.wall_s is not None} | seconds
    if not seconds and isinstance(oracle, HandoffSettings):
        raise InvalidPlanError(
            f"--core-hours {folder}: expected seconds of results that were told, found none among "
            f"{len(answers)} energies. Tell results that state them (wall_s in a table), or give a .csv file of measured times."
        )
    done = [candidate for candidate in setup.pool.candidates if candidate.id in seconds]
    rule = told or grid
    return MeasuredTimes(
        source=str(folder),
        n_atoms=np.array([len(candidate.numbers) for candidate in done], dtype=np.float64),
        hours=np.array([seconds[candidate.id] for candidate in done]) * cores / SECONDS_PER_HOUR,
        n_kpoints=None if rule is None else np.array([float(rule.of(candidate.cell)) for candidate in done]),
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

    table = read_csv(path, error=InvalidPlanError, refused=refused, plain=str.lower, is_ragged=True)
    if not table.rows:
        raise InvalidPlanError(f"{path}: {refused(())}")
    if cut := [row for row in table.rows if row.n_fields != len(table.header)]:
        raise InvalidPlanError(
            f"{path}: expected a number in every field of every line, found {cut[0].n_fields} fields for "
            f"{len(table.header)} columns in line {cut[0].line}."
        )

    def numbers(column: str) -> Floats:
        wanted = f"{path}: expected a number in every field of every line"
        cells = [(row.cells.get(column, ""), row.line) for row in table.rows]
        errors = [InvalidPlanError(f"{wanted}, found {text!r} for {column} in line {line}.") for text, line in cells]
        return np.array([number(text, error) for (text, _), error in zip(cells, errors, strict=True)])

    kpoints = numbers("kpoints") if "kpoints" in table.header else None
    return MeasuredTimes(
        source=str(path), n_atoms=numbers("atoms"), hours=numbers("core_hours"), n_kpoints=kpoints, grid=grid
    )
