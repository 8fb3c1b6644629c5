r"""How far a periodic sum must reach so that no more than a stated weight is left out.

**The bound.** If no two atoms are closer than a, the balls of radius a/2 around them do not overlap, so for a falling
function f

    sum over atoms with d > R of f(d)  <=  6/(pi a^3) * int_{r > R - a/2} f(r - a/2) 4 pi r^2 dr,

whatever the cell. The bound needs only the closest distance of a structure, so the radius does not depend on the choice
of the cell.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import InvalidStructureError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hullscout.mbtr.term import Term


def search_radii(
    term: Term, pbc: NDArray[np.bool_], closest: NDArray[np.float64], *, first: int = 0
) -> NDArray[np.float64]:
    """Return how far from its central atom a tuple of each structure may reach.

    Args:
        term: The term.
        pbc: Periodic directions, shape (n, 3).
        closest: A lower bound on the shortest distance in each structure, A, shape (n,).
        first: Number of the first structure, for messages.

    Returns:
        Radii in A, shape (n,); infinite for finite systems without cutoff.

    Raises:
        InvalidStructureError: A structure is periodic and nothing in the term makes the sum converge.
    """
    if term.cutoff is not None:
        return np.full(len(pbc), term.cutoff)
    periodic = np.any(pbc, axis=1)
    radii = np.full(len(pbc), math.inf)
    if not np.any(periodic):
        return radii
    if term.weighting != "exponential" or term.scale is None:
        raise InvalidStructureError(
            f"structure {first + int(np.argmax(periodic))} is periodic and the weighting of {term.label} "
            f"({term.weighting}) does not converge, or along a chain only as slowly as 1/radius: "
            "give the term a cutoff, or the exponential weighting"
        )
    distinct, inverse = np.unique(np.round(closest[periodic], 6), return_inverse=True)
    table = np.array([exponential_radius(term.k, term.scale, term.accuracy, float(a) - 1e-6) for a in distinct])
    radii[periodic] = table[inverse]
    return radii


def exponential_radius(k: int, scale: float, accuracy: float, closest: float) -> float:
    """Return the smallest radius (to 1e-6 A) whose dropped weight per central atom is bounded by `accuracy`.

    Args:
        k: Order of the term, 2 to 4.
        scale: s of exp(-s * path), 1/A.
        accuracy: Bound on the dropped weight.
        closest: No two atoms are closer than this, A.
    """
    low, high = 0.0, 1.0
    while dropped_weight_bound(k, scale, high, closest) > accuracy:
        low, high = high, 2 * high
    while high - low > 1e-6:
        middle = 0.5 * (low + high)
        if dropped_weight_bound(k, scale, middle, closest) > accuracy:
            low = middle
        else:
            high = middle
    return high


def dropped_weight_bound(k: int, scale: float, radius: float, closest: float) -> float:
    """Bound the weight per central atom of the tuples that reach beyond a radius.

    k = 2: half the sum of exp(-s d) over d > R. k = 3: a triangle whose longer leg is d has a perimeter of at least 2
    d, and the other atom is one of those within d: sum of n(d) exp(-2 s d). k = 4: one of three bonds is too long, the
    others anything.

    Args:
        k: Order of the term, 2 to 4.
        scale: s of exp(-s * path), 1/A.
        radius: R in A.
        closest: No two atoms are closer than this, A.

    Returns:
        The bound, dimensionless.
    """
    half = closest / 2
    density = 6 / (math.pi * closest**3)
    shell = max(radius - half, 0.0)
    if k == 3:
        # n(d) <= density * 4/3 pi (d + a/2)^3 with d <= r + a/2; the integrand is a polynomial in r times exp(-2 s r)
        tail = _polynomial_tail([0.0, 0.0, closest**3, 3 * closest**2, 3 * closest, 1.0], 2 * scale, shell)
        tail *= math.exp(2 * scale * half)
        return density**2 * 16 / 3 * math.pi**2 * tail
    beyond = density * 4 * math.pi * _polynomial_tail([0.0, 0.0, 1.0], scale, shell) * math.exp(scale * half)
    if k == 2:
        return 0.5 * beyond
    everything = density * 4 * math.pi * _polynomial_tail([0.0, 0.0, 1.0], scale, 0.0) * math.exp(scale * half)
    return 1.5 * beyond * everything**2


def _polynomial_tail(coefficients: list[float], rate: float, start: float) -> float:
    """Return int_start^inf sum_n c_n r^n exp(-rate r) dr = exp(-rate start) sum_m p^(m)(start) / rate^(m+1)."""
    polynomial = np.polynomial.Polynomial(coefficients)
    total = sum(float(polynomial.deriv(m)(start)) / rate ** (m + 1) for m in range(len(coefficients)))
    return total * math.exp(-rate * start)
