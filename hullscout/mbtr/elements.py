"""Symbols of the chemical elements, without importing a package for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from hullscout.errors import InvalidSettingError

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
