r"""Bounds on what is left out of sums over power laws of the distance, in slabs and chains.

**One distance.** All atoms of a slab (chain) lie within b of a plane (line), their balls of radius a/2 within b + a/2.
In the plane (along the line) two atoms are at most 2 b closer than in space. With s^2 = R^2 - (2b)^2 and a falling f

    sum over atoms with d > R of f(d)  <=  rho * int_{t > s - a} f(t) (t + a/2)^(n-1) dt,

where n = 2: rho = 24 (b + a/2)/a^3, and n = 1: rho = 12 (b + a/2)^2/a^3. Likewise, since no distance is below a,

    S_q(x) = sum over atoms with d <= x of d^-q  <=  rho * int_0^(x + a/2) max(a, r - a/2)^-q r^(n-1) dr.

**Triangles** u, v, w with u the longest leg, v <= u and w <= 2u. From u <= v + w follows 1/(vw) <= (1/v + 1/w)/u, so

    sum of 1/(vw)    <=  (S_1(u) + S_1(2u))/u,
    sum of 1/(vw)^2  <=  (S_2(u) + S_2(2u))/u^2 + 2 (S_1(u) + S_1(2u))/u^3,

and the sum over u > R of this times u^-1 or u^-2 is a sum over one distance again.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hullscout.mbtr.term import Weighting

CONVERGENT_DIRECTIONS: Final[dict[tuple[int, Weighting], int]] = {
    (2, "inverse_square"): 1,
    (3, "inverse_square"): 2,
    (3, "inverse_product"): 1,
    (4, "inverse_square"): 1,
}
"""Over how many periodic directions a sum without cutoff converges, by k and weighting; 0 if not named."""

_LN2: Final = math.log(2.0)


def dropped_power_bound(
    k: int, power: int, n_periodic: int, radius: float, *, closest: float, half_width: float
) -> float:
    """Bound the weight per central atom of the tuples that reach beyond a radius.

    Args:
        k: Order of the term, 2 to 4.
        power: p of the weight prod d^-p over the distances of a tuple, 1 or 2.
        n_periodic: Periodic directions, 1 or 2, no more than CONVERGENT_DIRECTIONS allows.
        radius: R in A.
        closest: a; no two atoms are closer than this, A.
        half_width: b; no atom is farther than this from a line (n_periodic = 1) or plane (2), A.

    Returns:
        The bound, in A^-p for k = 2 and A^-3p for k = 3 and 4; infinite where R is too short for it.
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
