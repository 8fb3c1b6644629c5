r"""How far a periodic sum must reach so that no more than a stated weight is left out.

**The bound.** If no two atoms are closer than a, the balls of radius a/2 around them do not overlap, so for a falling
function f

    sum over atoms with d > R of f(d)  <=  6/(pi a^3) * int_{r > R - a/2} f(r - a/2) dV,

whatever the cell. In a crystal dV = 4 pi r^2 dr; power laws need the smaller dV of slabs and chains, see power_tails.
The bound needs only the closest distance of a structure and its width across the periodic directions, so the radius
does not depend on the choice of the cell.

**Which sums converge** without a cutoff, by weighting and number of periodic directions:

    exponential      k = 2, 3, 4    1, 2, 3
    inverse_square   k = 3          1, 2
    inverse_square   k = 2, 4       1
    inverse_product  k = 3          1

and no other. With n periodic directions r^n atoms lie within r, so that pairs and bonds of weight d^-p need p > n.
Triangles of size r are r^(2n) of weight r^(-3p) each, which needs 3p > 2n; long ones with one short side need 2p > n.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import InvalidStructureError
from hullscout.mbtr.power_tails import CONVERGENT_DIRECTIONS, dropped_power_bound

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hullscout.mbtr.structures import Batch
    from hullscout.mbtr.term import Term


def search_radii(term: Term, batch: Batch, closest: NDArray[np.float64], *, first: int = 0) -> NDArray[np.float64]:
    """Return how far from its central atom a tuple of each structure may reach.

    Args:
        term: The term.
        batch: The structures.
        closest: A lower bound on the shortest distance in each structure, A, shape (n,).
        first: Number of the first structure, for messages.

    Returns:
        Radii in A, shape (n,); infinite for finite systems without cutoff.

    Raises:
        InvalidStructureError: A structure is periodic and the sum over its images diverges.
    """
    if term.cutoff is not None:
        return np.full(batch.n_structures, term.cutoff)
    directions = np.sum(batch.pbc, axis=1)
    radii = np.full(batch.n_structures, math.inf)
    if not np.any(directions):
        return radii
    _check_convergence(term, directions, first)
    widths = batch.half_widths() if term.scale is None else np.zeros(batch.n_structures)
    # To 1e-6 A on the safe side: equal crystals in other cells differ by rounding, and must not in their radii.
    cases = np.stack((directions, np.round(closest, 6) - 1e-6, np.round(widths, 6) + 1e-6), axis=1)
    distinct, inverse = np.unique(cases[directions > 0], axis=0, return_inverse=True)
    table = np.array([_radius(term, int(n), float(a), float(b)) for n, a, b in distinct])
    radii[directions > 0] = table[inverse.ravel()]
    return radii


def _check_convergence(term: Term, directions: NDArray[np.int64], first: int) -> None:
    """Refuse structures with more periodic directions than the sum of a term without cutoff can bear."""
    most = 3 if term.weighting == "exponential" else CONVERGENT_DIRECTIONS.get((term.k, term.weighting), 0)
    if np.all(directions <= most):
        return
    worst = int(np.argmax(directions > most))
    found = f"{directions[worst]} periodic direction{'s' if directions[worst] > 1 else ''}"
    raise InvalidStructureError(
        f"structure {first + worst} has {found}, over which {term.label} (k = {term.k}, weighting {term.weighting}, no "
        f"cutoff) diverges: expected at most {most}. Give the term a cutoff, or the exponential weighting"
    )


def _radius(term: Term, n_periodic: int, closest: float, half_width: float) -> float:
    if term.scale is not None:
        return exponential_radius(term.k, term.scale, term.accuracy, closest)
    power = 2 if term.weighting == "inverse_square" else 1
    bound = partial(dropped_power_bound, term.k, power, n_periodic, closest=closest, half_width=half_width)
    return _smallest_radius(bound, term.accuracy)


def _smallest_radius(bound: Callable[[float], float], accuracy: float) -> float:
    """Return the smallest radius, to 1e-6 A or a part in 1e12, where a falling bound meets the accuracy."""
    low, high = 0.0, 1.0
    while bound(high) > accuracy:
        low, high = high, 2 * high
    while high - low > max(1e-6, 1e-12 * high):
        middle = 0.5 * (low + high)
        if bound(middle) > accuracy:
            low = middle
        else:
            high = middle
    return high


def exponential_radius(k: int, scale: float, accuracy: float, closest: float) -> float:
    """Return the smallest radius (to 1e-6 A) whose dropped weight per central atom is bounded by `accuracy`.

    Args:
        k: Order of the term, 2 to 4.
        scale: s of exp(-s * path), 1/A.
        accuracy: Bound on the dropped weight.
        closest: No two atoms are closer than this, A.
    """
    return _smallest_radius(lambda radius: dropped_weight_bound(k, scale, radius, closest), accuracy)


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
