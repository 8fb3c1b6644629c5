"""Ready-made element correlation matrices C ("alchemical" similarity), for the `correlation` setting of MBTR.

Both are Gaussian kernels of a position in a table of the elements, hence symmetric and positive semidefinite with ones
on the diagonal; short lengths give the identity. Any other symmetric positive semidefinite matrix may be used as well.

For whom: those who learn several alloys together from few energies, or study which element pairs matter, in Python and
notebooks. No command of hullscout uses a correlation.

Source: Huo & Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022), section 2, for the use of C; the kernels are ours.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from hullscout.errors import InvalidSettingError
from hullscout.mbtr.channels import atomic_numbers
from hullscout.mbtr.term import plain_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NOBLE_GASES: Final = (2, 10, 18, 36, 54, 86, 118)

_PETTIFOR: Final = tuple(
    """He Ne Ar Kr Xe Rn Fr Cs Rb K Na Li Ra Ba Sr Ca Yb Eu Sc Lu Tm Er Ho Dy Y Tb Gd Sm Pm Nd Pr Ce La Lr No Md Fm Es
    Cf Bk Cm Am Pu Np U Pa Th Ac Zr Hf Ti Ta Nb V W Mo Cr Re Tc Mn Fe Ru Os Co Rh Ir Ni Pt Pd Au Ag Cu Mg Hg Cd Zn Be Tl
    In Al Ga Pb Sn Ge Si B Bi Sb As P Po Te Se S C At I Br Cl N O F H""".split()  # noqa: SIM905 - a hundred quotes hide the table
)
"""Elements in the order of their Mendeleev numbers, 1 to 103."""


def pettifor_correlation(elements: tuple[str, ...], *, length: float = 2.0) -> NDArray[np.float64]:
    """Return exp(-(m - m')^2 / (2 length^2)) for Mendeleev numbers m, which order the elements by chemical likeness.

    Args:
        elements: Symbols, in feature order; up to lawrencium.
        length: Correlation length, in steps of the scale.

    Returns:
        C, shape (n_elements, n_elements).

    Raises:
        InvalidSettingError: An element that the scale does not hold, or a length that is not positive.

    Source: Pettifor, J. Phys. C: Solid State Phys. 19, 285 (1986), the string of Mendeleev numbers.

    Examples:
        >>> pettifor_correlation(("Ag", "Au", "Cl")).round(3).tolist()
        [[1.0, 0.882, 0.0], [0.882, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    atomic_numbers(elements)
    missing = [symbol for symbol in elements if symbol not in _PETTIFOR]
    if missing:
        raise InvalidSettingError(f"the Pettifor scale holds hydrogen to lawrencium, found {missing}")
    places = np.array([[float(_PETTIFOR.index(symbol))] for symbol in elements])
    return _gaussian(places, (length,))


def periodic_table_correlation(
    elements: tuple[str, ...], *, group_length: float = 1.0, period_length: float = 1.0
) -> NDArray[np.float64]:
    """Return exp(-(group - group')^2 / (2 a^2) - (period - period')^2 / (2 b^2)): neighbours in the table are alike.

    Lanthanoids and actinoids lie between groups 3 and 4, in order.

    Args:
        elements: Symbols, in feature order.
        group_length: a, in columns. Much less than 1: only elements of the same group are alike.
        period_length: b, in rows.

    Returns:
        C, shape (n_elements, n_elements).

    Raises:
        InvalidSettingError: An unknown element, or a length that is not positive.

    Examples:
        >>> periodic_table_correlation(("Ag", "Pd", "Pt")).round(3).tolist()
        [[1.0, 0.607, 0.368], [0.607, 1.0, 0.607], [0.368, 0.607, 1.0]]
    """
    places = np.array([_table_place(z) for z in atomic_numbers(elements)])
    return _gaussian(places, (group_length, period_length))


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
    lengths = tuple(plain_number("correlation lengths", length) for length in lengths)
    if not all(math.isfinite(length) and length > 0 for length in lengths):
        raise InvalidSettingError(f"correlation lengths must be positive and finite, found {list(lengths)}")
    scaled = places / np.array(lengths)
    square = np.sum((scaled[:, None, :] - scaled[None, :, :]) ** 2, axis=-1)
    return np.asarray(np.exp(-0.5 * square))
