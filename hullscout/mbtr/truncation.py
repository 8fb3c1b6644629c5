r"""How far a periodic sum must reach so that no more than a stated weight is left out, and what work that would be.

**The bound.** If no two atoms are closer than a, the balls of radius a/2 around them do not overlap, so for a falling
function f

    sum over atoms with d > R of f(d)  <=  6/(pi a^3) * int_{r > R - a/2} f(r - a/2) dV,

whatever the cell. In a crystal dV = 4 pi r^2 dr; power laws need the smaller dV of slabs and chains, see below.
The bound needs only the closest distance of a structure and its width across the periodic directions, so the radius
does not depend on the choice of the cell.

**Which sums converge** without a cutoff, by weighting and number of periodic directions:

    exponential      k = 2, 3, 4    1, 2, 3
    inverse_square   k = 3          1, 2
    inverse_square   k = 2, 4       1
    inverse_product  k = 3          1

and no other. With n periodic directions r^n atoms lie within r, so that pairs and bonds of weight d^-p need p > n.
Triangles of size r are r^(2n) of weight r^(-3p) each, which needs 3p > 2n; long ones with one short side need 2p > n.

**Power laws, one distance.** All atoms of a slab (chain) lie within b of a plane (line), their balls of radius a/2
within b + a/2. In the plane (along the line) two atoms are at most 2 b closer than in space. With s^2 = R^2 - (2b)^2 and
a falling f

    sum over atoms with d > R of f(d)  <=  rho * int_{t > s - a} f(t) (t + a/2)^(n-1) dt,

where n = 2: rho = 24 (b + a/2)/a^3, and n = 1: rho = 12 (b + a/2)^2/a^3. Likewise, since no distance is below a,

    S_q(x) = sum over atoms with d <= x of d^-q  <=  rho * int_0^(x + a/2) max(a, r - a/2)^-q r^(n-1) dr.

**Power laws, triangles** u, v, w with u the longest leg, v <= u and w <= 2u. From u <= v + w follows
1/(vw) <= (1/v + 1/w)/u, so

    sum of 1/(vw)    <=  (S_1(u) + S_1(2u))/u,
    sum of 1/(vw)^2  <=  (S_2(u) + S_2(2u))/u^2 + 2 (S_1(u) + S_1(2u))/u^3,

and the sum over u > R of this times u^-1 or u^-2 is a sum over one distance again.

**Work** is known before it is begun: a cell in the wrong unit or a cutoff with one zero too many would otherwise run for
days or fill the memory.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from hullscout.errors import InvalidStructureError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hullscout.mbtr.structures import Batch
    from hullscout.mbtr.term import Term, Weighting

CONVERGENT_DIRECTIONS: Final[dict[tuple[int, Weighting], int]] = {
    (2, "inverse_square"): 1,
    (3, "inverse_square"): 2,
    (3, "inverse_product"): 1,
    (4, "inverse_square"): 1,
}
"""Over how many periodic directions a sum without cutoff converges, by k and weighting; 0 if not named."""

_LN2: Final = math.log(2.0)
MAX_NEIGHBORS: Final = 10_000_000
"""Neighbours of one atom; they are held in memory, some 60 bytes each."""
MAX_TUPLES: Final = 200_000_000
"""Tuples of one atom: some seconds of work."""
_BALL: Final = (0.0, 2.0, math.pi, 4 / 3 * math.pi)
"""Length, area and volume of a ball of radius 1 in 1, 2, 3 dimensions."""


def search_radii(term: Term, batch: Batch, closest: NDArray[np.float64], *, first: int = 0) -> NDArray[np.float64]:
    """Return how far from its central atom a tuple of each structure may reach, A, shape (n,); infinite if nothing ends it.

    `closest` is a lower bound on the shortest distance in each structure, A, shape (n,). Structures that are periodic, and
    whose sum over images diverges, are refused; they are counted from `first` in the message.
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
    """Return the smallest radius, to 1e-6 A or a part in 1e12, beyond which no more weight lies than the accuracy."""
    if term.scale is not None:
        bound = partial(dropped_weight_bound, term.k, term.scale, closest=closest)
    else:
        power = 2 if term.weighting == "inverse_square" else 1
        bound = partial(dropped_power_bound, term.k, power, n_periodic, closest=closest, half_width=half_width)
    low, high = 0.0, 1.0
    while bound(high) > term.accuracy:
        low, high = high, 2 * high
    while high - low > max(1e-6, 1e-12 * high):
        middle = 0.5 * (low + high)
        if bound(middle) > term.accuracy:
            low = middle
        else:
            high = middle
    return high


def dropped_weight_bound(k: int, scale: float, radius: float, *, closest: float) -> float:
    """Bound the weight exp(-s * path) per central atom of the tuples that reach beyond a radius R, A.

    k = 2: half the sum of exp(-s d) over d > R. k = 3: a triangle whose longer leg is d has a perimeter of at least 2
    d, and the other atom is one of those within d: sum of n(d) exp(-2 s d). k = 4: one of three bonds is too long, the
    others anything. The scale s is in 1/A; no two atoms are closer than `closest`, A.
    """
    half, density = closest / 2, 6 / (math.pi * closest**3)
    shell = max(radius - half, 0.0)
    if k == 3:
        # n(d) <= density * 4/3 pi (d + a/2)^3 with d <= r + a/2; the integrand is a polynomial in r times exp(-2 s r)
        tail = _polynomial_tail([0.0, 0.0, closest**3, 3 * closest**2, 3 * closest, 1.0], 2 * scale, shell)
        tail *= math.exp(2 * scale * half)
        return density**2 * 16 / 3 * math.pi**2 * tail
    beyond, everything = (
        density * 4 * math.pi * _polynomial_tail([0.0, 0.0, 1.0], scale, start) * math.exp(scale * half)
        for start in (shell, 0.0)
    )
    return 0.5 * beyond if k == 2 else 1.5 * beyond * everything**2


def _polynomial_tail(coefficients: list[float], rate: float, start: float) -> float:
    """Return int_start^inf sum_n c_n r^n exp(-rate r) dr = exp(-rate start) sum_m p^(m)(start) / rate^(m+1)."""
    polynomial = np.polynomial.Polynomial(coefficients)
    total = sum(float(polynomial.deriv(m)(start)) / rate ** (m + 1) for m in range(len(coefficients)))
    return total * math.exp(-rate * start)


def dropped_power_bound(
    k: int, power: int, n_periodic: int, radius: float, *, closest: float, half_width: float
) -> float:
    """Bound the weight prod d^-p (p = 1 or 2) per central atom of the tuples that reach beyond a radius R, A.

    In A^-p for k = 2 and A^-3p for k = 3 and 4; infinite where R is too short for it. No two atoms are closer than a =
    `closest`, none is farther than b = `half_width` from a line (n_periodic = 1) or plane (2), A; p is `power`.
    """
    start = math.sqrt(max(radius**2 - 4 * half_width**2, 0.0)) / closest - 1  # from here on in units of a
    if start < 1:
        return math.inf
    across = half_width / closest + 0.5
    rho = 12 * across**2 if n_periodic == 1 else 24 * across
    unit = closest ** (-power * (1 if k == 2 else 3))
    if k == 2:  # every pair is met twice
        return unit * 0.5 * rho / start
    if k == 4:  # one of three bonds is too long, the others anything: S_2 <= 2.5 rho
        return unit * 1.5 * (rho / start) * (2.5 * rho) ** 2
    if power == 1:  # S_1(x) <= rho (3/2 + ln x)
        return unit * rho**2 * _log_tail(2, 3 + _LN2, start)
    if n_periodic == 1:
        return unit * rho**2 * (5 / (3 * start**3) + 2 * _log_tail(5, 3 + _LN2, start))
    # S_1(x) <= rho (1/8 + x + ln(x)/2) and S_2(x) <= rho (13/8 + ln x)
    far, near = 9.25 + _LN2, 0.5 + _LN2
    ring = _log_tail(3, far, start) + _log_tail(4, near, start)
    return unit * rho**2 * (ring + 0.5 * (_log_tail(4, far, start) + _log_tail(5, near, start)))


def _log_tail(n: int, constant: float, start: float) -> float:
    """Return int_start^inf t^-n (constant + 2 ln t) dt."""
    return start ** (1 - n) / (n - 1) * (constant + 2 * math.log(start) + 2 / (n - 1))


def expected_neighbors(batch: Batch, radii: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return about how many atoms lie within a radius (A) of an atom, from the density alone, shape (n,).

    Slabs and chains count where the radius exceeds their whole width, as if it were shorter by so much as to err on the
    low side. Finite structures count where the radius is infinite.
    """
    directions = np.sum(batch.pbc, axis=1)
    finite = directions == 0
    reach = np.sqrt(np.maximum(np.where(finite, 0.0, radii) ** 2 - (2 * batch.half_widths()) ** 2, 0.0))
    with np.errstate(divide="ignore", over="ignore"):  # a cell far too small: infinitely many
        within = batch.n_atoms / batch.contents() * np.array(_BALL)[directions] * reach**directions
    return np.where(finite, np.where(np.isinf(radii), batch.n_atoms - 1.0, 0.0), within)


def refuse_excess(neighbors: NDArray[np.float64], radii: NDArray[np.float64], term: Term, *, first: int = 0) -> None:
    """Refuse a term of k = 2, 3 or 4 that meets more than MAX_NEIGHBORS or MAX_TUPLES of one atom.

    Neighbours of an atom are those expected or found, and the radii (A) how far the term reaches, both of shape (n,).
    """
    tuples = {2: neighbors, 3: 0.5 * neighbors**2, 4: neighbors**3}[term.k]
    excess = (neighbors > MAX_NEIGHBORS) | (tuples > MAX_TUPLES)
    if not np.any(excess):
        return
    worst = int(np.argmax(np.where(excess, tuples, 0.0)))
    remedy = "shorten its cutoff" if term.cutoff is not None else "give it a cutoff"
    if term.cutoff is None and math.isfinite(radii[worst]):
        remedy = f"give it a cutoff or an accuracy looser than {term.accuracy:g}"
    raise InvalidStructureError(
        f"structure {first + worst}: {term.label} (k = {term.k}) reaches {radii[worst]:.4g} A, to about "
        f"{neighbors[worst]:.2g} neighbours and {tuples[worst]:.2g} tuples per atom: expected at most "
        f"{MAX_NEIGHBORS:.0e} and {MAX_TUPLES:.0e}. See that lengths are in Angstrom, or {remedy}"
    )


def refuse_density(neighbors: NDArray[np.float64], radius: float, *, first: int = 0) -> None:
    """Refuse structures so dense, with neighbours (n,) expected within a radius, that no distance can be looked for."""
    if np.any(neighbors > MAX_NEIGHBORS):
        worst = int(np.argmax(neighbors))
        raise InvalidStructureError(
            f"structure {first + worst} has coinciding atoms or a singular cell: its density puts about "
            f"{neighbors[worst]:.2g} atoms within {radius:g} A of each other, expected fewer than {MAX_NEIGHBORS:.0e}: "
            "are lengths in Angstrom?"
        )
