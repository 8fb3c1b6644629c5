"""What is learned: energies whose height above the current hull is capped.

What lies far above the hull says nothing about the hull, yet a few structures at several eV/atom would set the model's
scale. Hulls are not known here: heights come in as arrays.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from hullscout.errors import InvalidSettingError, InvalidTrainingSetError
from hullscout.regression.arrays import FloatArray, finite_vector, is_kind


def cap_height(height: npt.ArrayLike, cap: float) -> FloatArray:
    """Height c tanh(h / c): h where small, never more than the cap c, its order kept; h itself for an infinite cap.

    Heights (any shape) and c > 0 are in one unit, as eV/atom.

    Raises:
        InvalidSettingError: A cap that is no number above 0.

    >>> cap_height(np.array([0.0, 0.01, 3.0]), 0.15).round(4).tolist()
    [0.0, 0.01, 0.15]
    """
    if not is_kind(cap, float, int) or not cap > 0.0:
        raise InvalidSettingError(f"Expected a cap > 0 eV/atom (infinity for none), found {cap!r}.")
    heights = np.asarray(height)
    return np.asarray(heights if np.isinf(cap) else cap * np.tanh(heights / cap), dtype=np.float64)


def tune_cap(
    leave_out: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
    energies: npt.ArrayLike,
    heights: npt.ArrayLike,
    *,
    caps: Sequence[float] = (0.05, 0.1, 0.2, 0.4, np.inf),
) -> float:
    """The cap under which the labels near the hull are predicted best from all others; for models outside a campaign.

    Caps are compared by the leave-one-out log density of the labels lower than the smallest cap, as energies: the density
    of the capped label times the slope 1 - tanh^2(h / c) of the cap there.

    Args:
        leave_out: Fits on capped energies, gives leave-one-out means and standard deviations, each of shape (n,).
        energies: Formation energies, eV/atom, shape (n,).
        heights: Their heights above the current hull.
        caps: Caps to choose from, eV/atom.

    Raises:
        InvalidSettingError: No caps, or one that is not above 0.
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

    def log_density(cap: float) -> float:
        labels = values - above + cap_height(above, cap)
        mean, std = leave_out(labels)
        slope = 1.0 - np.tanh(above[is_low] / cap) ** 2
        z = (labels - mean)[is_low] / std[is_low]
        return float(np.mean(np.log(slope) - np.log(std[is_low]) - 0.5 * z**2))

    return max(caps, key=log_density)
