"""What is learned: energies whose height above the current hull is tamed.

What lies far above the hull says nothing about the hull, yet a few structures at several eV/atom would set the model's
scale. Heights up to the cap stay as they are; beyond it they grow as a logarithm, so that order is kept and slope is
continuous. Hulls are not known here: heights come in as arrays.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hullscout.errors import InvalidSettingError, InvalidTrainingSetError
from hullscout.regression.arrays import FloatArray, finite_vector, is_kind

_LARGEST_LOG: Final = 690.0


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
        if not is_kind(self.cap, float, int) or not self.cap > 0.0:
            raise InvalidSettingError(f"Expected a cap > 0 eV/atom (infinity for none), found {self.cap!r}.")

    def tame(self, heights: npt.ArrayLike) -> FloatArray:
        """Compressed heights; negative ones (below the hull given) stay.

        Args:
            heights: Heights above the current hull, eV/atom, any shape.

        Raises:
            InvalidTrainingSetError: NaN, infinity or no numbers.
        """
        values = finite_vector(np.ravel(np.asarray(heights)), what="heights").reshape(np.shape(heights))
        if np.isinf(self.cap):
            return values.copy()
        return np.where(
            values > self.cap, self.cap * (1.0 + np.log(np.maximum(values, self.cap)) - np.log(self.cap)), values
        )

    def restore(self, tamed: npt.ArrayLike) -> FloatArray:
        """Heights from compressed heights: the inverse of `tame`.

        Raises:
            InvalidTrainingSetError: NaN, infinity, or heights that no height below 1e300 is compressed to.
        """
        values = finite_vector(np.ravel(np.asarray(tamed)), what="tamed heights").reshape(np.shape(tamed))
        if values.size and np.isfinite(self.cap) and np.log(self.cap) + np.max(values) / self.cap - 1.0 > _LARGEST_LOG:
            raise InvalidTrainingSetError(
                f"Expected heights tamed with {self.cap=}, found {float(np.max(values))}: it would stand for more than "
                "1e300 eV/atom. Restore with the cap that tamed them."
            )
        if np.isinf(self.cap):
            return values.copy()
        return np.where(values > self.cap, self.cap * np.exp(np.maximum(values, self.cap) / self.cap - 1.0), values)

    def apply(self, energies: npt.ArrayLike, heights: npt.ArrayLike) -> FloatArray:
        """Energies lowered by as much as their heights are compressed.

        Args:
            energies: Formation energies, eV/atom, shape (n,).
            heights: Their heights above the current hull, eV/atom, shape (n,).

        Raises:
            InvalidTrainingSetError: Different lengths, or not finite.
        """
        values, above = finite_vector(energies, what="energies"), finite_vector(heights, what="heights")
        if values.shape != above.shape:
            raise InvalidTrainingSetError(f"Expected one height per energy, found {above.shape} and {values.shape}.")
        return np.asarray(values - above + self.tame(above))


def tune_cap(
    leave_out: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
    energies: npt.ArrayLike,
    heights: npt.ArrayLike,
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
        InvalidTrainingSetError: Different lengths, not finite, or fewer than three labels below the smallest cap.
    """
    if not caps:
        raise InvalidSettingError("Expected at least one cap, found none.")
    values, above = finite_vector(energies, what="energies"), finite_vector(heights, what="heights")
    if values.shape != above.shape:
        raise InvalidTrainingSetError(f"Expected one height per energy, found {above.shape} and {values.shape}.")
    is_low = above <= min(caps)
    if np.count_nonzero(is_low) < 3:
        raise InvalidTrainingSetError(
            f"Expected at least 3 labels within {min(caps)} eV/atom of the hull, found {np.count_nonzero(is_low)}."
        )

    def score(cap: HeightCap) -> float:
        mean, std = leave_out(cap.apply(values, above))
        z = (values - mean)[is_low] / std[is_low]
        return float(-np.mean(np.log(std[is_low]) + 0.5 * z**2))

    return max((HeightCap(cap=cap) for cap in caps), key=score)
