"""One k-body term: geometry, weighting, distribution and grid, checked at construction.

It knows nothing of structures or elements. Lengths in Angstrom, angles in radians.

Source: Huo & Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022), section 2 and equation 4.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, SupportsFloat, get_args

from hullscout.errors import InvalidSettingError

Geometry = Literal[
    "atomic_number",
    "element_count",
    "distance",
    "inverse_distance",
    "inverse_square_distance",
    "angle",
    "cosine",
    "dihedral",
    "dihedral_cosine",
]
Weighting = Literal["unity", "exponential", "inverse_square", "inverse_product"]
Taper = Literal["cosine", "polynomial", "sharp"]
Distribution = Literal["normal", "laplace", "uniform"]
Placement = Literal["bins", "points"]
BinValue = Literal["average", "density"]

GEOMETRIES: Final[dict[int, tuple[Geometry, ...]]] = {
    1: ("atomic_number", "element_count"),
    2: ("distance", "inverse_distance", "inverse_square_distance"),
    3: ("angle", "cosine"),
    4: ("dihedral", "dihedral_cosine"),
}
WEIGHTINGS: Final[dict[int, tuple[Weighting, ...]]] = {1: ("unity",), **dict.fromkeys((2, 3, 4), get_args(Weighting))}
MAX_POINTS: Final = 100_000
"""Of a grid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """w_k(i) D(x, g_k(i)) on a grid: everything of equation 4 but the elements.

    Index tuples are unordered: a pair {i, j}, a vertex j with {i, k}, a chain i-j-k-l or its reverse count once, and
    once per unit cell; `hullscout.mbtr` says how that compares with the published sum.

    Attributes:
        k: Number of atoms in a tuple, 1 to 4.
        geometry: g. k = 1: `atomic_number`, `element_count` (atoms of each element; no grid, no broadening). k = 2:
            `distance` (A), `inverse_distance` (1/A), `inverse_square_distance` (1/A^2). k = 3: `angle` at the middle
            atom (radians, 0 to pi; not differentiable where straight), `cosine`. k = 4: `dihedral` about the middle
            bond (radians, 0 to pi, so mirror images agree), `dihedral_cosine`; chains with a straight bond angle have
            no dihedral and are left out.
        grid: (minimum, maximum, n) of the axis x, in units of g. None for `element_count`.
        sigma: Standard deviation of the distribution, in units of g, whichever the distribution.
        weighting: w. `unity`; `exponential` exp(-scale * path); `inverse_product` 1/(product of the distances);
            `inverse_square` 1/(product of the squared distances). Distances and path are those of the pair (k = 2), of
            the three sides of the triangle (k = 3) or of the three bonds of the chain (k = 4).
        scale: 1/A, for `exponential` only.
        cutoff: Radius in A beyond which a tuple has no weight. Needed in periodic structures unless the sum converges by
            itself: `exponential`; `inverse_square` in chains (one periodic direction) and, for k = 3, slabs (two);
            `inverse_product` for k = 3 in chains.
        taper: How the weight falls to zero at the cutoff, as a factor per pair (k = 2), per leg at the vertex (k = 3)
            or per bond (k = 4): `cosine` (1 + cos(pi d/cutoff))/2; `polynomial` 1 + s t^(s+1) - (s+1) t^s with t =
            d/cutoff, s = sharpness; `sharp`: no factor, tuples whose closed path is longer than two cutoffs are left
            out (k = 2, 3), or with a bond longer than the cutoff (k = 4): not continuous.
        sharpness: s of the polynomial taper.
        accuracy: In periodic structures without cutoff: upper bound on the weight per central atom that is left out, in
            units of the weight. How far the sum reaches follows from it; power laws fall slowly and may need a loose
            one.
        distribution: D: `normal`, `laplace` or `uniform`.
        sigmas: Widths that features may be asked for later without new geometry: everything between the smallest and
            the largest (normal, laplace), exactly these (uniform). Empty: half to twice `sigma` (uniform: `sigma`
            alone).
        placement: `bins`: n equal bins fill [minimum, maximum]; `points`: n points from minimum to maximum, both
            included, are the middles of bins (DScribe).
        value: `average` of the broadened density over a bin, exact for any width; `density` at the middle of the bin.
        factor: The term's features are multiplied by it, after any normalization: how much the term counts in a kernel.
        name: Name of the term's feature slice; empty: `k2` for k = 2 and so on.

    Raises:
        InvalidSettingError: A value is impossible, or meaningless for this k.

    Source: Huo & Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022), equation 4. Polynomial taper and the counting of
        each unordered tuple once follow DScribe (Himanen et al., Comput. Phys. Commun. 247, 106949 (2020)).

    Examples:
        >>> Term(k=2, geometry="inverse_distance", grid=(0.1, 0.5, 80), sigma=0.01, cutoff=10.0).label
        'k2'
    """

    k: int
    geometry: Geometry
    grid: tuple[float, float, int] | None = None
    sigma: float = 0.0
    weighting: Weighting = "unity"
    scale: float | None = None
    cutoff: float | None = None
    taper: Taper = "cosine"
    sharpness: float = 2.0
    accuracy: float = 1e-6
    distribution: Distribution = "normal"
    sigmas: tuple[float, ...] = ()
    placement: Placement = "bins"
    value: BinValue = "average"
    factor: float = 1.0
    name: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be computed; lists and numpy scalars become tuples and plain numbers."""
        self._make_plain()
        self._check_functions()
        self._check_lengths()
        if self.geometry != "element_count":
            self._check_axis()
        elif self.grid is not None or self.sigma != 0.0 or self.sigmas:
            raise InvalidSettingError("element_count has no axis: expected no grid, sigma or sigmas")

    def _make_plain(self) -> None:
        """Turn whatever stands for a number into one, so that equal terms are equal and kernels compile once."""
        try:
            object.__setattr__(self, "k", operator.index(self.k))
        except TypeError as error:
            raise InvalidSettingError(f"k must be 1, 2, 3 or 4, found {self.k!r}") from error
        for field in ("sigma", "scale", "cutoff", "sharpness", "accuracy", "factor"):
            found = getattr(self, field)
            if found is not None or field not in {"scale", "cutoff"}:
                object.__setattr__(self, field, plain_number(field, found))
        for field, expected in (("sigmas", "a sequence of widths"), ("grid", "(minimum, maximum, n)")):
            found = getattr(self, field)
            if found is None and field == "grid":
                continue
            if isinstance(found, str) or not isinstance(found, Iterable):
                raise InvalidSettingError(f"{field} must be {expected}, found {found!r}")
            values = tuple(plain_number(field, x) for x in found)
            if field == "grid" and len(values) == 3 and values[2].is_integer():
                values = (*values[:2], int(values[2]))
            object.__setattr__(self, field, values)

    def _check_functions(self) -> None:
        if self.k not in GEOMETRIES:
            raise InvalidSettingError(f"k must be 1, 2, 3 or 4, found {self.k!r}")
        for field, allowed in (
            ("geometry", GEOMETRIES[self.k]),
            ("weighting", WEIGHTINGS[self.k]),
            ("taper", get_args(Taper)),
            ("distribution", get_args(Distribution)),
            ("placement", get_args(Placement)),
            ("value", get_args(BinValue)),
        ):
            found = getattr(self, field)
            if found not in allowed:
                raise InvalidSettingError(
                    f"{field} for k = {self.k} must be one of {', '.join(allowed)}, found {found!r}"
                )

    def _check_lengths(self) -> None:
        if (self.weighting == "exponential") != (self.scale is not None):
            raise InvalidSettingError(
                f"scale goes with weighting 'exponential', found {self.scale=!r} with {self.weighting!r}"
            )
        for field in ("scale", "cutoff", "sharpness", "factor"):
            _check_positive(field, getattr(self, field))
        if not 0 < self.accuracy < 1:
            raise InvalidSettingError(f"accuracy must lie between 0 and 1, found {self.accuracy!r}")
        if not isinstance(self.name, str):
            raise InvalidSettingError(f"name must be a string, found {self.name!r}")
        if "__" in self.name:
            raise InvalidSettingError(f"name must not hold '__', which set_params reads, found {self.name!r}")
        if self.k == 1 and self.cutoff is not None:
            raise InvalidSettingError(f"k = 1 has no distances: expected no cutoff, found {self.cutoff!r}")

    def _check_axis(self) -> None:
        if self.grid is None:
            raise InvalidSettingError(f"{self.geometry} needs grid = (minimum, maximum, n)")
        if len(self.grid) != 3:
            raise InvalidSettingError(f"grid must be (minimum, maximum, n), found {self.grid!r}")
        minimum, maximum, n = self.grid
        if not (math.isfinite(minimum) and math.isfinite(maximum) and minimum < maximum):
            raise InvalidSettingError(f"grid must have finite minimum < maximum, found {self.grid!r}")
        if not (2 <= n <= MAX_POINTS and n == int(n)):
            raise InvalidSettingError(f"grid needs a whole number of 2 to {MAX_POINTS} points, found {n!r}")
        _check_positive("sigma", self.sigma)
        for sigma in self.sigmas:
            _check_positive("sigmas", sigma)

    @property
    def label(self) -> str:
        """Name of the feature slice."""
        return self.name or f"k{self.k}"

    @property
    def n_x(self) -> int:
        """Number of values along the axis, per channel."""
        return 1 if self.grid is None else self.grid[2]

    @property
    def planned_sigmas(self) -> tuple[float, ...]:
        """Widths that the counts are prepared for, ascending, the term's own included."""
        if self.sigmas or self.distribution == "uniform":
            return tuple(sorted({*self.sigmas, self.sigma}))
        return (self.sigma / 2, self.sigma, self.sigma * 2)


def plain_number(field: str, found: object) -> float:
    """Return a Python float, of whatever number it is; refuse what is none."""
    if isinstance(found, bool) or not isinstance(found, SupportsFloat):
        raise InvalidSettingError(f"{field} must hold numbers, found {found!r}")
    return float(found)


def _check_positive(field: str, found: float | None) -> None:
    if found is not None and not 0 < found < math.inf:
        raise InvalidSettingError(f"{field} must be positive and finite, found {found!r}")
