"""Elements: their channels, which a k-body term keeps apart, and their correlations, which mix channels again.

**Channels.** A channel is a tuple of element positions in the fixed element set, one per index of the tuple of atoms.
Tuples that a symmetry of the geometry function maps on each other share a channel: (i, j) = (j, i), (i, j, k) =
(k, j, i) with j the vertex, and (i, j, k, l) = (l, k, j, i). Knows nothing of positions.

**Correlations.** Two element correlation matrices C ("alchemical" similarity) are ready made for the `correlation`
setting of MBTR. Both are Gaussian kernels of a position in a table of the elements, hence symmetric and positive
semidefinite with ones on the diagonal; short lengths give the identity. Any other symmetric positive semidefinite matrix
may be used as well. For whom: those who learn several alloys together from few energies, or study which element pairs
matter, in Python and notebooks. No command of hullscout uses a correlation.

Source: Huo & Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022), section 2 and equation 4, for the use of C; the kernels
are ours.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hullscout.errors import InvalidSettingError
from hullscout.mbtr.term import plain_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

SYMBOLS: Final = tuple(
    """H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb
    Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg
    Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts
    Og""".split()  # noqa: SIM905 - a hundred quotes hide the table
)
"""Symbols by atomic number less one."""

_NUMBER: Final = {symbol: z for z, symbol in enumerate(SYMBOLS, start=1)}
_NOBLE_GASES: Final = (2, 10, 18, 36, 54, 86, 118)

_PETTIFOR: Final = tuple(
    """He Ne Ar Kr Xe Rn Fr Cs Rb K Na Li Ra Ba Sr Ca Yb Eu Sc Lu Tm Er Ho Dy Y Tb Gd Sm Pm Nd Pr Ce La Lr No Md Fm Es
    Cf Bk Cm Am Pu Np U Pa Th Ac Zr Hf Ti Ta Nb V W Mo Cr Re Tc Mn Fe Ru Os Co Rh Ir Ni Pt Pd Au Ag Cu Mg Hg Cd Zn Be Tl
    In Al Ga Pb Sn Ge Si B Bi Sb As P Po Te Se S C At I Br Cl N O F H""".split()  # noqa: SIM905 - a hundred quotes hide the table
)
"""Elements in the order of their Mendeleev numbers, 1 to 103."""


def atomic_numbers(elements: tuple[str, ...]) -> tuple[int, ...]:
    """Return the atomic numbers of a set of elements, in its order.

    Examples:
        >>> atomic_numbers(("Ag", "Pd"))
        (47, 46)
    """
    found: Any = elements
    if isinstance(found, str) or not isinstance(found, Sequence):
        raise InvalidSettingError(f"elements must be a sequence of symbols such as ('Ag', 'Pd'), found {elements!r}")
    if not elements:
        raise InvalidSettingError("elements must name at least one element, found none")
    unknown = [symbol for symbol in found if not isinstance(symbol, str) or symbol not in _NUMBER]
    if unknown:
        raise InvalidSettingError(f"elements must be chemical symbols, found {unknown}")
    if len(set(elements)) != len(elements):
        raise InvalidSettingError(f"elements must be different, found {elements}")
    return tuple(_NUMBER[symbol] for symbol in elements)


def list_channels(n_elements: int, k: int) -> list[tuple[int, ...]]:
    """Return the canonical tuple of every channel, in feature order.

    A canonical tuple is not larger than its reverse. k = 3 is ordered by vertex first, which is DScribe's order.

    Examples:
        >>> list_channels(2, 2)
        [(0, 0), (0, 1), (1, 1)]
        >>> list_channels(2, 3)
        [(0, 0, 0), (0, 0, 1), (1, 0, 1), (0, 1, 0), (0, 1, 1), (1, 1, 1)]
    """
    channels = [z for z in itertools.product(range(n_elements), repeat=k) if z <= z[::-1]]
    if k == 3:
        channels.sort(key=lambda z: (z[1], z[0], z[2]))
    return channels


def n_channels(n_elements: int, k: int) -> int:
    """Return how many channels there are: ordered tuples, those that differ from their reverse counted once.

    Examples:
        >>> [n_channels(2, k) for k in (1, 2, 3, 4)]
        [2, 3, 6, 10]
    """
    return int(n_elements**k + n_elements ** ((k + 1) // 2)) // 2


def channel_table(n_elements: int, k: int) -> NDArray[np.int64]:
    """Return the channel of every ordered element tuple, index sum_j z_j n_elements^(k - 1 - j), shape (n_elements**k,)."""
    number = {z: c for c, z in enumerate(list_channels(n_elements, k))}
    ordered = itertools.product(range(n_elements), repeat=k)
    return np.array([number[min(z, z[::-1])] for z in ordered], dtype=np.int64)


def channel_labels(elements: tuple[str, ...], k: int) -> list[str]:
    """Return a readable name for every channel, such as `Ag-Pd` or `Ag-Pd-Ag` (vertex in the middle)."""
    return ["-".join(elements[e] for e in z) for z in list_channels(len(elements), k)]


def present_channels(present: NDArray[np.bool_], k: int) -> NDArray[np.bool_]:
    """Say whether structures that hold some elements, (n, n_elements), hold all of each channel, (n, n_channels)."""
    return np.asarray(np.all(present[:, np.array(list_channels(present.shape[1], k))], axis=2))


def correlate(features: NDArray[np.float64], correlation: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Return sum_Z f(x, Z) prod_j C[z_j, Z_j], the element correlation of equation 4, per channel.

    The sum runs over ordered element tuples Z. As everywhere here an unordered tuple of atoms counts once, so a channel
    that equals its own reverse (A-A, A-B-A) holds half of the published ordered sum; with C = 1 nothing changes.

    Features, the values for C = 1, and the result have shape (..., n_channels, n_x), C has shape (n_elements, n_elements).

    Source: Huo & Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022), equation 4.
    """
    n_elements = len(correlation)
    channels = list_channels(n_elements, k)
    doubled = np.array([2.0 if k > 1 and z == z[::-1] else 1.0 for z in channels])[:, None]
    ordered = (features * doubled)[..., channel_table(n_elements, k), :]
    shape = ordered.shape[:-2] + (n_elements,) * k + ordered.shape[-1:]
    tensor = ordered.reshape(shape)
    for axis in range(len(shape) - 1 - k, len(shape) - 1):
        tensor = np.moveaxis(np.tensordot(tensor, correlation, axes=(axis, 1)), -1, axis)
    canonical = np.ravel_multi_index(tuple(np.transpose(channels)), (n_elements,) * k)
    return np.asarray(tensor.reshape(ordered.shape)[..., canonical, :] / doubled)


def pettifor_correlation(elements: tuple[str, ...], *, length: float = 2.0) -> NDArray[np.float64]:
    """Return exp(-(m - m')^2 / (2 length^2)) for Mendeleev numbers m, which order the elements by chemical likeness.

    C has shape (n_elements, n_elements), in the order of the elements, which may go up to lawrencium.

    Source: Pettifor, J. Phys. C: Solid State Phys. 19, 285 (1986), the string of Mendeleev numbers.

    Examples:
        >>> pettifor_correlation(("Ag", "Au", "Cl")).round(3).tolist()
        [[1.0, 0.882, 0.0], [0.882, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    atomic_numbers(elements)
    missing = [symbol for symbol in elements if symbol not in _PETTIFOR]
    if missing:
        raise InvalidSettingError(f"the Pettifor scale holds hydrogen to lawrencium, found {missing}")
    return _gaussian(np.array([[float(_PETTIFOR.index(symbol))] for symbol in elements]), (length,))


def periodic_table_correlation(
    elements: tuple[str, ...], *, group_length: float = 1.0, period_length: float = 1.0
) -> NDArray[np.float64]:
    """Return exp(-(group - group')^2 / (2 a^2) - (period - period')^2 / (2 b^2)): neighbours in the table are alike.

    Lanthanoids and actinoids lie between groups 3 and 4, in order.

    C has shape (n_elements, n_elements). The group length a is in columns: much less than 1, and only elements of the
    same group are alike; the period length b is in rows.

    Examples:
        >>> periodic_table_correlation(("Ag", "Pd", "Pt")).round(3).tolist()
        [[1.0, 0.607, 0.368], [0.607, 1.0, 0.607], [0.368, 0.607, 1.0]]
    """
    return _gaussian(np.array([_table_place(z) for z in atomic_numbers(elements)]), (group_length, period_length))


def _table_place(z: int) -> tuple[float, float]:
    """Return (group, period) of an atomic number."""
    period = 1 + sum(z > gas for gas in _NOBLE_GASES)
    start = 0 if period == 1 else _NOBLE_GASES[period - 2]
    column = z - start
    width = _NOBLE_GASES[period - 1] - start
    if column <= 2:
        return (18.0 if z == 2 else float(column)), float(period)
    if width == 32 and column <= 17:
        return 3.0 + (column - 3) / 15, float(period)
    return float(column + 18 - width), float(period)


def _gaussian(places: NDArray[np.float64], lengths: tuple[float, ...]) -> NDArray[np.float64]:
    """Return the kernel of places (n, d) with a length per dimension, shape (n, n)."""
    lengths = tuple(plain_number("correlation lengths", length) for length in lengths)
    if not all(math.isfinite(length) and length > 0 for length in lengths):
        raise InvalidSettingError(f"correlation lengths must be positive and finite, found {list(lengths)}")
    scaled = places / np.array(lengths)
    square = np.sum((scaled[:, None, :] - scaled[None, :, :]) ** 2, axis=-1)
    return np.asarray(np.exp(-0.5 * square))
