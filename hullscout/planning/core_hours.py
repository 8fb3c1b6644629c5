"""What a calculation takes in core-hours: a column of the pool, a law t = a N^p K with N atoms and K k-points, given or fitted.

A law is fitted on the logarithms of times already measured: the exponent by the median of all pairwise slopes (Theil and Sen), the
prefactor by the median residual. Both withstand up to 29 % of calculations that crashed early or ran on a busy node.

Source: Sen, J. Am. Stat. Assoc. 63, 1379 (1968); the scatter is 1.4826 times the median absolute deviation.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.stats import norm, theilslopes

from hullscout.errors import InvalidPlanError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hullscout.pool import Pool
    from hullscout.selection.interface import Floats

DEFAULT_EXPONENT = 3.0
LEAST_TIMES = 5
GAUSSIAN_MAD = 1.4826


class CostModel(Protocol):
    """What says how many core-hours each candidate takes."""

    def of(self, pool: Pool) -> Floats:
        """(n,) core-hours of each candidate's calculation."""

    def relative_error(self, pool: Pool) -> float:
        """Standard error of the sum over the pool, relative to it, as far as the model knows it."""

    def __str__(self) -> str:
        """The model in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostColumn:
    """Core-hours as the pool's cost column states them."""

    def of(self, pool: Pool) -> Floats:
        """(n,) core-hours of each candidate's calculation.

        Raises:
            InvalidPlanError: The pool states no costs.
        """
        if pool.cost is None:
            raise InvalidPlanError(
                "--core-hours column: the pool states no costs. Name the column in the campaign file ([pool] cost, with "
                '[cost] kind = "column"), or give a law such as --core-hours 8:12:3.'
            )
        return pool.cost

    def relative_error(self, pool: Pool) -> float:  # noqa: ARG002  the interface of all models
        """0: the column is taken at its word."""
        return 0.0

    def __str__(self) -> str:
        return "core-hours as the pool's cost column states them"


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerLaw:
    """Core-hours t = hours (N / reference_atoms)^exponent K.

    Attributes:
        hours: Core-hours of a cell of the reference size, with one k-point where K counts.
        reference_atoms: Its number of atoms.
        exponent: p.
        kpoint_spacing: Largest distance of k-points in 1/Angstrom (2 pi included) of which K is the number; None where K is 1.
        hours_error: Relative standard error of `hours`.
        exponent_error: Standard error of p; independent of the other at the reference size.
        scatter: Standard deviation of the logarithm of a single time.
        n_times: Times that it was fitted on; 0 where it was given.

    Raises:
        InvalidPlanError: A number is not positive (the exponent may be zero).
    """

    hours: float
    reference_atoms: float
    exponent: float = DEFAULT_EXPONENT
    kpoint_spacing: float | None = None
    hours_error: float = 0.0
    exponent_error: float = 0.0
    scatter: float = 0.0
    n_times: int = 0

    def __post_init__(self) -> None:
        spacing = 1.0 if self.kpoint_spacing is None else self.kpoint_spacing
        positive = np.array([self.hours, self.reference_atoms, spacing])
        if not (np.isfinite(positive).all() and (positive > 0).all() and np.isfinite(self.exponent)):
            raise InvalidPlanError(
                f"Expected core-hours, atoms and k-point spacing above 0 and a finite exponent, found {self.hours}, "
                f"{self.reference_atoms}, {self.kpoint_spacing} and {self.exponent}."
            )

    def of(self, pool: Pool) -> Floats:
        """(n,) core-hours expected of each candidate's calculation: the mean of the scatter, not its median."""
        n_kpoints = np.ones(len(pool))
        if self.kpoint_spacing is not None:
            n_kpoints = np.array([kpoints_of(candidate.cell, self.kpoint_spacing) for candidate in pool.candidates])
        size = pool.n_atoms / self.reference_atoms
        return np.asarray(self.hours * size**self.exponent * n_kpoints * np.exp(0.5 * self.scatter**2))

    def relative_error(self, pool: Pool) -> float:
        """Standard error of the sum over the pool, relative to it, from those of the two parameters."""
        hours = self.of(pool)
        lever = float(hours @ np.log(pool.n_atoms / self.reference_atoms) / hours.sum())
        return float(np.hypot(self.hours_error, lever * self.exponent_error))

    def __str__(self) -> str:
        per_kpoint = "" if self.kpoint_spacing is None else " per k-point"
        text = f"{self.hours:.3g} x (atoms / {self.reference_atoms:.3g})^{self.exponent:.2f} core-hours{per_kpoint}"
        if not self.n_times:
            return text
        return (
            f"{text}, fitted on {self.n_times} times (exponent +- {self.exponent_error:.2f}, prefactor +- "
            f"{100 * self.hours_error:.0f} %; single calculations scatter by a factor of {np.exp(self.scatter):.2f})"
        )


def fit_power_law(
    n_atoms: Sequence[float],
    hours: Sequence[float],
    *,
    n_kpoints: Sequence[float] | None = None,
    kpoint_spacing: float | None = None,
) -> PowerLaw:
    """Fit t = a N^p K on measured times.

    Args:
        n_atoms: (m,) atoms of each calculation.
        hours: (m,) core-hours that it took.
        n_kpoints: (m,) k-points of each; None where they do not count.
        kpoint_spacing: Spacing for the candidates to come, 1/Angstrom; with `n_kpoints` only, and needed then.

    Raises:
        InvalidPlanError: Fewer than five times, fewer than two sizes, numbers not above 0, or k-points without their spacing.
    """
    columns = {"atoms": np.asarray(n_atoms, dtype=np.float64), "core-hours": np.asarray(hours, dtype=np.float64)}
    columns["k-points"] = np.ones(len(hours)) if n_kpoints is None else np.asarray(n_kpoints, dtype=np.float64)
    for name, values in columns.items():
        if not (np.isfinite(values).all() and (values > 0).all()):
            raise InvalidPlanError(f"Expected measured {name} above 0, found {values.min()}.")
    if (n_kpoints is None) != (kpoint_spacing is None):
        has, lacks = (
            ("times with k-points", "no spacing") if kpoint_spacing is None else ("a spacing", "times without k-points")
        )
        raise InvalidPlanError(
            f"Expected k-points of the measured times and --kpoint-spacing, both or neither, found {has} and {lacks}."
        )
    sizes = np.log(columns["atoms"])
    if len(sizes) < LEAST_TIMES or np.ptp(sizes) == 0.0:
        raise InvalidPlanError(
            f"A law needs {LEAST_TIMES} measured times or more, of cells of at least two sizes; found {len(sizes)} of "
            f"{len(np.unique(sizes))} size(s). Give --core-hours ATOMS:HOURS:EXPONENT instead."
        )
    times = np.log(columns["core-hours"] / columns["k-points"])
    fit = theilslopes(times, sizes, alpha=0.95)
    exponent = float(fit.slope)
    middle = float(np.median(sizes))
    at_middle = times - exponent * (sizes - middle)
    scatter = float(GAUSSIAN_MAD * np.median(np.abs(at_middle - np.median(at_middle))))
    return PowerLaw(
        hours=float(np.exp(np.median(at_middle))),
        reference_atoms=float(np.exp(middle)),
        exponent=exponent,
        kpoint_spacing=kpoint_spacing,
        # The standard error of a median of Gaussian numbers.
        hours_error=float(np.sqrt(np.pi / 2.0) * scatter / np.sqrt(len(times))),
        exponent_error=float((fit.high_slope - fit.low_slope) / (2.0 * norm.ppf(0.975))),
        scatter=scatter,
        n_times=len(times),
    )


def kpoints_of(cell: Floats, spacing: float) -> int:
    """Number of points of the Gamma-centred grid that is no coarser than `spacing`, before symmetry.

    Args:
        cell: (3, 3) lattice vectors as rows, Angstrom.
        spacing: Largest distance of grid points, 1/Angstrom, 2 pi included.

    >>> kpoints_of(np.eye(3) * 4.0, 0.4)
    64
    """
    lengths = 2.0 * np.pi * np.linalg.norm(np.linalg.inv(np.asarray(cell)), axis=0)
    return int(np.prod(np.ceil(lengths / spacing - 1e-9)))


def read_cost_model(text: str, *, kpoint_spacing: float | None = None) -> CostModel:
    """Read `column`, `ATOMS:HOURS[:EXPONENT]`, or the name of a CSV file of measured times.

    The file has a line of names: `atoms`, `core_hours`, and `kpoints` where they count.

    Raises:
        InvalidPlanError: It is none of them, or the file cannot be read or fitted.
    """
    if text == "column":
        if kpoint_spacing is not None:
            raise InvalidPlanError(
                "--kpoint-spacing: the cost column states core-hours already. Leave one of them out."
            )
        return CostColumn()
    if text.endswith(".csv"):
        return _fitted(Path(text), kpoint_spacing)
    try:
        numbers = [float(part) for part in text.split(":")]
    except ValueError:
        numbers = []
    if len(numbers) not in (2, 3):
        raise InvalidPlanError(
            f"--core-hours {text}: expected 'column', ATOMS:HOURS[:EXPONENT] (8:12:3 says that a cell of 8 atoms takes 12 "
            "core-hours and time grows with the third power), or a .csv file of measured times."
        )
    atoms, hours, exponent = [*numbers, DEFAULT_EXPONENT][:3]
    return PowerLaw(hours=hours, reference_atoms=atoms, exponent=exponent, kpoint_spacing=kpoint_spacing)


def _fitted(path: Path, kpoint_spacing: float | None) -> PowerLaw:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise InvalidPlanError(f"The measured times {path} cannot be read: {error.strerror}.") from error
    names = set(rows[0]) if rows else set()
    if not {"atoms", "core_hours"} <= names:
        raise InvalidPlanError(
            f"{path}: expected a line of names with atoms and core_hours (and kpoints where they count), then one calculation a "
            f"line; found {', '.join(sorted(map(str, names))) or 'no calculations'}."
        )
    try:
        atoms, hours = ([float(row[name]) for row in rows] for name in ("atoms", "core_hours"))
        kpoints = [float(row["kpoints"]) for row in rows] if "kpoints" in names else None
    except (TypeError, ValueError) as error:
        raise InvalidPlanError(
            f"{path}: expected a number in every field of every line, found another ({error})."
        ) from error
    try:
        return fit_power_law(atoms, hours, n_kpoints=kpoints, kpoint_spacing=kpoint_spacing)
    except InvalidPlanError as error:
        raise InvalidPlanError(f"{path}: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a core-hour costs, in money or in units of an allocation.

    Attributes:
        per_core_hour: Above 0.
        unit: Its name.
    """

    per_core_hour: float
    unit: str

    def __post_init__(self) -> None:
        if not (np.isfinite(self.per_core_hour) and self.per_core_hour > 0 and self.unit):
            raise InvalidPlanError(
                f"Expected a price above 0 and its unit, found {self.per_core_hour} and {self.unit!r}."
            )

    @classmethod
    def parse(cls, text: str) -> Price:
        """Read `NUMBER UNIT`.

        Raises:
            InvalidPlanError: It is none.

        >>> Price.parse("0.02 EUR")
        Price(per_core_hour=0.02, unit='EUR')
        """
        number, _, unit = text.strip().partition(" ")
        try:
            return cls(per_core_hour=float(number), unit=unit.strip())
        except ValueError as error:
            raise InvalidPlanError(
                f"--price {text}: expected NUMBER UNIT per core-hour, for example '0.02 EUR'."
            ) from error
