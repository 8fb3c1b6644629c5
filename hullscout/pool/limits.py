"""Limits of what a campaign or a pool is about: the least and the most that there may be of an element, as atomic fractions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import InvalidSettingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

Limits = dict[str, tuple[float, float]]
"""Lowest and highest atomic fraction by element; elements that are not named may be anything."""
LIMIT_TOLERANCE = 1e-9
"""Fractions may be beyond a limit by so much: 1/3 is within 0.333333333."""


def checked_limits(limits: Mapping[str, Sequence[float]], elements: Sequence[str]) -> Limits:
    """Limits of some of the elements; an InvalidSettingError where no composition can be within all of them."""
    checked: Limits = {}
    for symbol, limit in limits.items():
        if symbol not in elements:
            raise InvalidSettingError(
                f"Expected limits of {' or '.join(elements)}, found some of {symbol!r}. Name an element of the campaign."
            )
        if len(limit) != 2 or not 0.0 <= limit[0] <= limit[1] <= 1.0:
            raise InvalidSettingError(
                f"Expected limits of {symbol} as two atomic fractions from 0 to 1, the lower one first, found {list(limit)}."
            )
        checked[symbol] = (float(limit[0]), float(limit[1]))
    least = sum(low for low, _ in checked.values())
    most = sum(checked.get(symbol, (0.0, 1.0))[1] for symbol in elements)
    if least > 1.0 + LIMIT_TOLERANCE or most < 1.0 - LIMIT_TOLERANCE:
        found = ", ".join(f"{symbol} {low:g} to {high:g}" for symbol, (low, high) in checked.items())
        raise InvalidSettingError(
            f"Expected limits that some composition is within, found {found}: atomic fractions add up to 1. Widen one of them."
        )
    return checked


def is_within(limits: Limits, elements: Sequence[str], counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) whether compositions are within the limits, both included: (n, elements) atoms of each element."""
    shares = counts / counts.sum(axis=1, keepdims=True)
    bounds = np.array([limits.get(symbol, (0.0, 1.0)) for symbol in elements])
    return np.asarray(
        ((shares >= bounds[:, 0] - LIMIT_TOLERANCE) & (shares <= bounds[:, 1] + LIMIT_TOLERANCE)).all(axis=1)
    )
