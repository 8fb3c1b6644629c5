"""What a calculation takes in core-hours: a column of the pool, a law t = a N^p K with N atoms and K k-points, given or fitted.

A law is fitted on the logarithms of times already measured (`measured_times`): the exponent by the median of all pairwise slopes
(Theil and Sen), the prefactor by the median residual. Both withstand up to 29 % of calculations that crashed early or ran on a busy
node.

Source: Sen, J. Am. Stat. Assoc. 63, 1379 (1968); the scatter is 1.4826 times the median absolute deviation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.special import ndtri

from hullscout.errors import InvalidPlanError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hullscout.pool import Pool
    from hullscout.selection.known import Floats

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
class KPointGrid:
    """Grids of k-points as many codes choose them: along each reciprocal vector as few as are no coarser than a spacing.

    Attributes:
        spacing: Largest distance of grid points, 1/Angstrom, 2 pi included.
        parity: 0 where the number along each vector is rounded up to an even one, 1 to an odd one, None where it is not.

    Raises:
        InvalidPlanError: The spacing is not above 0.
    """

    spacing: float
    parity: int | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.spacing) and self.spacing > 0):
            raise InvalidPlanError(f"Expected a spacing of k-points above 0, found {self.spacing:g} 1/Angstrom.")

    def of(self, cell: Floats) -> int:
        """Number of points in the whole zone, before symmetry.

        Args:
            cell: (3, 3) lattice vectors as rows, Angstrom.

        >>> KPointGrid(spacing=0.4).of(np.eye(3) * 4.0)
        64
        """
        lengths = 2.0 * np.pi * np.linalg.norm(np.linalg.inv(np.asarray(cell)), axis=0)
        along = np.ceil(lengths / self.spacing - 1e-9)
        if self.parity is not None:
            along += (along + self.parity) % 2
        return int(along.prod())

    def __str__(self) -> str:
        """The grid in words."""
        rounded = {None: "", 0: ", even", 1: ", odd"}[self.parity]
        return f"k-points {self.spacing:.4g}/A apart{rounded}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerLaw:
    """Core-hours t = hours (N / reference_atoms)^exponent K.

    Attributes:
        hours: Core-hours of a cell of the reference size, with one k-point where K counts.
        reference_atoms: Its number of atoms.
        exponent: p.
        grid: The k-points of which K is the number; None where K is 1.
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


def fit_power_law(
    n_atoms: Sequence[float] | Floats,
    hours: Sequence[float] | Floats,
    *,
    n_kpoints: Sequence[float] | Floats | None = None,
    grid: KPointGrid | None = None,
) -> PowerLaw:
    """Fit t = a N^p K on measured times.

    Args:
        n_atoms: (m,) atoms of each calculation.
        hours: (m,) core-hours that it took.
        n_kpoints: (m,) k-points of each; None where they do not count.
        grid: K-points of the candidates to come; with `n_kpoints` only, and needed then.

    Raises:
        InvalidPlanError: Fewer than five times, fewer than two sizes, numbers not above 0, or k-points without their grid.
    """
    columns = {"atoms": np.asarray(n_atoms, dtype=np.float64), "core-hours": np.asarray(hours, dtype=np.float64)}
    columns["k-points"] = np.ones(len(hours)) if n_kpoints is None else np.asarray(n_kpoints, dtype=np.float64)
    for name, values in columns.items():
        if not (np.isfinite(values).all() and (values > 0).all()):
            raise InvalidPlanError(f"Expected measured {name} above 0, found {values.min()}.")
    if (n_kpoints is None) != (grid is None):
        has, lacks = ("times with k-points", "no spacing") if grid is None else ("a spacing", "times without k-points")
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
    from scipy.stats import theilslopes  # noqa: PLC0415  slow to import

    fit = theilslopes(times, sizes, alpha=0.95)
    exponent = float(fit.slope)
    middle = float(np.median(sizes))
    at_middle = times - exponent * (sizes - middle)
    scatter = float(GAUSSIAN_MAD * np.median(np.abs(at_middle - np.median(at_middle))))
    return PowerLaw(
        hours=float(np.exp(np.median(at_middle))),
        reference_atoms=float(np.exp(middle)),
        exponent=exponent,
        grid=grid,
        # The standard error of a median of Gaussian numbers.
        hours_error=float(np.sqrt(np.pi / 2.0) * scatter / np.sqrt(len(times))),
        exponent_error=float((fit.high_slope - fit.low_slope) / (2.0 * ndtri(0.975))),
        scatter=scatter,
        n_times=len(times),
    )


def given_law(text: str, *, grid: KPointGrid | None = None) -> PowerLaw:
    """Read `ATOMS:HOURS[:EXPONENT]`.

    Raises:
        InvalidPlanError: It is none.

    >>> str(given_law("8:12"))
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
            f"--core-hours {text}: expected atoms and core-hours above 0 and an exponent of 0 or more, found {atoms:g}, {hours:g} "
            f"and {exponent:g}."
        )
    return PowerLaw(hours=hours, reference_atoms=atoms, exponent=exponent, grid=grid)


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
