"""What is learned: energies whose height above the current hull is tamed.

What lies far above the hull says nothing about the hull, yet a few structures at several eV/atom would set the model's
scale. Heights up to the cap stay as they are; beyond it they grow as a logarithm, so that order is kept and slope is
continuous. Hulls are not known here: heights come in as arrays.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hullscout.errors import InvalidSettingError, InvalidTrainingSetError
from hullscout.regression.arrays import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class HeightCap:
    """h -> h up to `cap`, cap (1 + ln(h / cap)) beyond.

    Attributes:
        cap: Height from which on energies are compressed, eV/atom; infinity changes nothing.

    >>> HeightCap(cap=0.1).tame(np.array([0.05, 0.1, 1.0])).round(3).tolist()
    [0.05, 0.1, 0.33]
    """

    cap: float

    def __post_init__(self) -> None:
        if not self.cap > 0.0:
            raise InvalidSettingError(f"Expected a cap > 0 eV/atom (infinity for none), found {self.cap}.")

    def tame(self, heights: npt.ArrayLike) -> FloatArray:
        """Compressed heights; negative ones (below the hull given) stay.

        Args:
            heights: Heights above the current hull, eV/atom, any shape.
        """
        values = np.asarray(heights, dtype=np.float64)
        if np.isinf(self.cap):
            return values.copy()
        return np.where(values > self.cap, self.cap * (1.0 + np.log(np.maximum(values, self.cap) / self.cap)), values)

    def restore(self, tamed: npt.ArrayLike) -> FloatArray:
        """Heights from compressed heights: the inverse of `tame`."""
        values = np.asarray(tamed, dtype=np.float64)
        if np.isinf(self.cap):
            return values.copy()
        return np.where(values > self.cap, self.cap * np.exp(np.maximum(values, self.cap) / self.cap - 1.0), values)

    def apply(self, energies: npt.ArrayLike, heights: npt.ArrayLike) -> FloatArray:
        """Energies lowered by as much as their heights are compressed.

        Args:
            energies: Formation energies, eV/atom, shape (n,).
            heights: Their heights above the current hull, eV/atom, shape (n,).

        Raises:
            InvalidTrainingSetError: Different lengths.
        """
        values, above = np.asarray(energies, dtype=np.float64), np.asarray(heights, dtype=np.float64)
        if values.shape != above.shape:
            raise InvalidTrainingSetError(f"Expected one height per energy, found {above.shape} and {values.shape}.")
        return np.asarray(values - above + self.tame(above))


def tune_cap(
    leave_out: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
    energies: FloatArray,
    heights: FloatArray,
    *,
    caps: Sequence[float] = (0.05, 0.1, 0.2, 0.4, np.inf),
) -> HeightCap:
    """The cap under which the labels near the hull are predicted best from all others.

    Caps are compared on the labels lower than the smallest cap, which no cap changes, by their leave-one-out log score.

    Args:
        leave_out: Fits on tamed energies, gives leave-one-out means and standard deviations, each of shape (n,).
        energies: Formation energies, eV/atom, shape (n,).
        heights: Heights above the current hull, eV/atom, shape (n,).
        caps: Caps to choose from, eV/atom.

    Raises:
        InvalidSettingError: No caps.
        InvalidTrainingSetError: Fewer than three labels below the smallest cap.
    """
    if not caps:
        raise InvalidSettingError("Expected at least one cap, found none.")
    is_low = heights <= min(caps)
    if np.count_nonzero(is_low) < 3:
        raise InvalidTrainingSetError(
            f"Expected at least 3 labels within {min(caps)} eV/atom of the hull, found {np.count_nonzero(is_low)}."
        )

    def score(cap: HeightCap) -> float:
        mean, std = leave_out(cap.apply(energies, heights))
        z = (energies - mean)[is_low] / std[is_low]
        return float(-np.mean(np.log(std[is_low]) + 0.5 * z**2))

    return max((HeightCap(cap=cap) for cap in caps), key=score)
