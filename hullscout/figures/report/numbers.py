"""How numbers are written on the page: in meV, with no more digits than mean something."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from hullscout.display import MILLI

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def percent(share: float) -> str:
    """A probability as it is shown.

    >>> percent(0.0283), percent(0.05), percent(0.497), percent(0.0), percent(1e-4)
    ('2.8 %', '5 %', '50 %', '0 %', '< 0.1 %')
    """
    if 0 < share < 0.001:
        return "< 0.1 %"
    return f"{100 * share:.{1 if share < 0.0995 else 0}f}".removesuffix(".0") + " %"


def unbroken(text: str) -> str:
    """A text whose numbers stay with their units: no-break spaces between them.

    >>> unbroken("5 % of 20, 1 meV/atom").replace("\u00a0", "_")
    '5_% of 20, 1_meV/atom'
    """
    return re.sub(r"(?<=\d) (?=%|meV|eV)", "\N{NO-BREAK SPACE}", text)


def milli(energy_ev: float, digits: int = 1) -> str:
    """An energy in eV as it is shown, in meV.

    >>> milli(0.0561), milli(-1e-12)
    ('56.1', '0.0')
    """
    text = f"{energy_ev * MILLI:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


def energies_mev(ev: Floats) -> list[float | None]:
    """Energies in meV, as `energy_mev`."""
    return [energy_mev(value) for value in ev.tolist()]


def energy_mev(ev: float | None) -> float | None:
    """In meV, to 0.001; None where there is none."""
    return None if ev is None or np.isnan(ev) else round(ev * MILLI, 3)


def listed(values: Floats, digits: int) -> list[float]:
    """Numbers rounded to so many digits."""
    return [round(value, digits) for value in values.tolist()]
