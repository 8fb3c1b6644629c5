"""Elements by symbol, and element channels: which tuples of elements a k-body term keeps apart, and in which order.

A channel is a tuple of element positions in the fixed element set, one per index of the tuple of atoms. Tuples that a
symmetry of the geometry function maps on each other share a channel: (i, j) = (j, i), (i, j, k) = (k, j, i) with j the
vertex, and (i, j, k, l) = (l, k, j, i). Knows nothing of positions.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hullscout.errors import InvalidSettingError

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


def atomic_numbers(elements: tuple[str, ...]) -> tuple[int, ...]:
    """Return the atomic numbers of a set of elements, in its order.

    Raises:
        InvalidSettingError: No element, one that does not exist, or one named twice.

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

    Args:
        n_elements: Size of the element set.
        k: Order of the term, 1 to 4.

    Returns:
        Tuples of element positions.

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
    """Return a readable name for every channel, such as `Ag-Pd` or `Ag-Pd-Ag` (vertex in the middle).

    Args:
        elements: Element symbols in feature order.
        k: Order of the term.

    Returns:
        One name per channel.
    """
    return ["-".join(elements[e] for e in z) for z in list_channels(len(elements), k)]


def present_channels(present: NDArray[np.bool_], k: int) -> NDArray[np.bool_]:
    """Say whether structures that hold some elements, (n, n_elements), hold all of each channel, (n, n_channels)."""
    members = np.array(list_channels(present.shape[1], k), dtype=np.int64)
    held = present[:, members[:, 0]].copy()
    for position in range(1, k):
        held &= present[:, members[:, position]]
    return held


def correlate(features: NDArray[np.float64], correlation: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Return sum_Z f(x, Z) prod_j C[z_j, Z_j], the element correlation of equation 4, per channel.

    The sum runs over ordered element tuples Z. As everywhere here an unordered tuple of atoms counts once, so a channel
    that equals its own reverse (A-A, A-B-A) holds half of the published ordered sum; with C = 1 nothing changes.

    Args:
        features: Values for C = 1, shape (..., n_channels, n_x).
        correlation: C, shape (n_elements, n_elements).
        k: Order of the term.

    Returns:
        Values for C, same shape.

    Source: Huo & Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022), equation 4.
    """
    n_elements = correlation.shape[0]
    channels = list_channels(n_elements, k)
    table = channel_table(n_elements, k)
    doubled = np.array([2.0 if k > 1 and z == z[::-1] else 1.0 for z in channels])
    ordered = (features * doubled[:, None])[..., table, :]
    shape = ordered.shape[:-2] + (n_elements,) * k + ordered.shape[-1:]
    tensor = ordered.reshape(shape)
    for position in range(k):
        axis = len(shape) - 1 - k + position
        tensor = np.moveaxis(np.tensordot(tensor, correlation, axes=(axis, 1)), -1, axis)
    flat = tensor.reshape(ordered.shape)
    strides = n_elements ** np.arange(k - 1, -1, -1)
    canonical = np.array(channels) @ strides
    result: NDArray[np.float64] = flat[..., canonical, :] / doubled[:, None]
    return result
