"""The axis of a term: where its output bins lie, and the panels on which weights are counted.

**Two-step broadening.** A feature is F(x) = sum_i w_i K_x(g_i), where K_x(g) is the distribution around g averaged over
the bin of x. On a panel, an interval of g on which K_x is smooth, K_x is a polynomial in the offset t in [-1, 1] from
the panel's middle: K_x(g) = sum_p B_px t^p. Hence F(x) = sum_panels sum_p B_px M_p with the moments M_p = sum_i w_i
t_i^p. The moments hold the geometry and are counted once; B holds the width and costs a matrix product. With 16 moments
and a panel of twice the smallest planned width, the polynomial through the Chebyshev nodes is off by less than 2
(1/2)^16 / sqrt(16!) = 7e-12 of the peak; at twice that width by 1e-16. Panel borders lie on every kink of K_x, so that
Laplace and uniform distributions are as exact as the normal one.

Knows nothing of atoms. Source: the Taylor form of the fast Gauss transform (Greengard & Strain, SIAM J. Sci. Stat.
Comput. 12, 79 (1991)), with interpolation in place of Taylor coefficients.
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import scipy

from hullscout.errors import InvalidSettingError
from hullscout.mbtr.term import GEOMETRIES, Geometry, Term, plain_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

N_MOMENTS: Final = 16
MAX_PANELS: Final = 100_000  # a structure needs 128 bytes for every panel and channel
_NATURAL_RANGE: Final[dict[Geometry, tuple[float, float]]] = {
    **dict.fromkeys(GEOMETRIES[2], (0.0, math.inf)),
    **dict.fromkeys(("angle", "dihedral"), (0.0, math.pi)),
    **dict.fromkeys(("cosine", "dihedral_cosine"), (-1.0, 1.0)),
}
_REACH: Final = {"normal": 8.5, "laplace": 28.0, "uniform": math.sqrt(3.0)}  # in sigmas; beyond it less than 1e-16


class Panels(NamedTuple):
    """Panels of an axis in its order, and a table that finds them: a uniform lattice of cells over the axis."""

    edges: NDArray[np.float64]  # shape (n_panels + 1,); the last is raised by a hair to hold the end of the axis
    middle: NDArray[np.float64]  # shape (n_panels,)
    inverse_half: NDArray[np.float64]  # 2 / width, shape (n_panels,)
    table: NDArray[np.int64]  # first candidate panel of each cell, shape (n_cells,)
    table_start: float
    table_inverse: float  # 1 / spacing of the cells


def bin_edges(term: Term) -> NDArray[np.float64]:
    """Return the borders of the output bins, shape (n_x + 1,)."""
    if term.grid is None:
        raise InvalidSettingError(f"{term.label} ({term.geometry}) has no axis")
    minimum, maximum, n = term.grid
    half = 0.0 if term.placement == "bins" else (maximum - minimum) / (n - 1) / 2
    return np.linspace(minimum - half, maximum + half, n + 1)


def bin_centers(term: Term) -> NDArray[np.float64]:
    """Return the middles of the output bins, shape (n_x,)."""
    edges = bin_edges(term)
    return np.asarray(0.5 * (edges[1:] + edges[:-1]))


@lru_cache(maxsize=64)
def panels_of(term: Term) -> Panels:
    """Lay out the panels of a term: no wider than twice its smallest planned width, borders on every kink.

    They cover every g that can reach the grid at the largest planned width.
    """
    sigmas = term.planned_sigmas
    start, end = bin_edges(term)[[0, -1]]
    least, most = _NATURAL_RANGE.get(term.geometry, (-math.inf, math.inf))
    reach = _REACH[term.distribution] * sigmas[-1]
    low, high = max(least, start - reach), min(most, end + reach)
    if low >= high:
        raise InvalidSettingError(
            f"grid of {term.label} misses every value of {term.geometry}: expected an overlap with {(least, most)}, "
            f"found {term.grid}"
        )
    if start < least - (most - least) or end > most + (most - least):
        unit = " radians" if most == math.pi else ""
        raise InvalidSettingError(
            f"grid of {term.label} goes far beyond {term.geometry}: expected about {least:g} to {most:g}{unit}, "
            f"found {term.grid}"
        )
    kinks = np.concatenate((_kinks(term), [start, end, low, high]))
    kinks = np.unique(kinks[(kinks >= low) & (kinks <= high)])
    kinks = kinks[np.concatenate(([True], np.diff(kinks) > 1e-12 * (high - low)))]
    kinks[-1] = high
    widest = math.inf if term.distribution == "uniform" else 2 * sigmas[0]
    if (high - low) / widest > MAX_PANELS:
        raise InvalidSettingError(
            f"sigmas of {term.label} are too small for its grid: expected at least {(high - low) / 2 / MAX_PANELS:.2g}, "
            f"found {sigmas[0]:g} with {term.grid}"
        )
    pieces = [
        np.linspace(a, b, max(1, math.ceil((b - a) / widest - 1e-9)) + 1)[:-1] for a, b in itertools.pairwise(kinks)
    ]
    edges = np.concatenate([*pieces, [high]])
    n_cells = 2 * (len(edges) - 1)
    starts = np.linspace(low, high, n_cells + 1)[:-1]
    table = np.clip(np.searchsorted(edges, starts, side="right") - 1, 0, len(edges) - 2)
    middle, widths = 0.5 * (edges[1:] + edges[:-1]), np.diff(edges)
    edges[-1] = np.nextafter(high + 1e-12 * (high - low), math.inf)
    return Panels(
        edges=edges,
        middle=middle,
        inverse_half=2.0 / widths,
        table=table.astype(np.int64),
        table_start=float(low),
        table_inverse=float(n_cells / (high - low)),
    )


def response(term: Term, g: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Return K_x(g): the distribution around g, averaged over each output bin or taken at its middle.

    Shape (n, n_x) for g of shape (n,), in 1/(unit of g). Averages times the bin width sum to one for g far inside the grid.
    """
    if term.value == "density":
        return _density(term.distribution, bin_centers(term) - g[:, None], sigma)
    edges = bin_edges(term)
    return np.asarray(np.diff(_cumulative(term.distribution, edges - g[:, None], sigma), axis=1) / np.diff(edges))


@lru_cache(maxsize=256)
def broadening_matrix(term: Term, sigma: float) -> NDArray[np.float64]:
    """Return B, which turns moments into features, F = M B: shape (n_panels * N_MOMENTS, n_x), read-only."""
    check_sigma(term, sigma)
    matrix = _panel_polynomials(term, lambda g: response(term, g, sigma))
    matrix.setflags(write=False)
    return matrix


def density_matrix(term: Term, sigma: float, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what turns moments into normal densities at any points, shape (n_panels * N_MOMENTS, n_points)."""
    check_sigma(term, sigma)
    return _panel_polynomials(term, lambda g: _density("normal", points - g[:, None], sigma))


def _panel_polynomials(term: Term, values: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the coefficients of t^p on every panel of functions of g, interpolated at the Chebyshev nodes."""
    panels = panels_of(term)
    nodes = np.cos(np.pi * (np.arange(N_MOMENTS) + 0.5) / N_MOMENTS)
    g = panels.middle[:, None] + nodes / panels.inverse_half[:, None]
    sampled = values(g.ravel()).reshape(len(panels.middle), N_MOMENTS, -1)
    powers = np.vander(nodes, N_MOMENTS, increasing=True)
    return np.asarray(np.linalg.solve(powers, sampled).reshape(len(panels.middle) * N_MOMENTS, -1))


def check_sigma(term: Term, sigma: float) -> None:
    """Refuse a width that the counts of a term were not prepared for."""
    sigma = plain_number(f"sigma of {term.label}", sigma)
    planned = term.planned_sigmas
    if term.distribution == "uniform":
        is_planned = any(math.isclose(sigma, s, rel_tol=1e-9) for s in planned)
        expected = f"be one of {planned} (uniform)"
    else:
        is_planned = planned[0] * (1 - 1e-9) <= sigma <= planned[-1] * (1 + 1e-9)
        expected = f"lie in [{planned[0]:g}, {planned[-1]:g}]"
    if not is_planned:
        raise InvalidSettingError(
            f"sigma of {term.label} must {expected}, found {sigma!r}: name it in the term's sigmas"
        )


def _kinks(term: Term) -> NDArray[np.float64]:
    """Return every g where K_x is not smooth."""
    if term.distribution == "normal":
        return np.empty(0)
    borders = bin_centers(term) if term.value == "density" else bin_edges(term)
    if term.distribution == "laplace":
        return borders
    halves = math.sqrt(3.0) * np.array(term.planned_sigmas)
    return np.asarray(borders + np.concatenate((-halves, halves))[:, None]).ravel()


def _density(distribution: str, x: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Return the density of a distribution around zero at x."""
    if distribution == "normal":
        return np.asarray(np.exp(-0.5 * (x / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi)))
    if distribution == "laplace":
        b = sigma / math.sqrt(2.0)
        return np.asarray(np.exp(-np.abs(x) / b) / (2 * b))
    half = math.sqrt(3.0) * sigma
    return np.asarray(np.where(np.abs(x) < half, 0.5 / half, 0.0))


def _cumulative(distribution: str, x: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Return its integral up to x."""
    if distribution == "normal":
        return np.asarray(scipy.special.ndtr(x / sigma))
    if distribution == "laplace":
        tail = 0.5 * np.exp(-np.abs(x) * (math.sqrt(2.0) / sigma))
        return np.asarray(np.where(x < 0, tail, 1.0 - tail))
    half = math.sqrt(3.0) * sigma
    return np.asarray(np.clip(0.5 + 0.5 * x / half, 0.0, 1.0))
