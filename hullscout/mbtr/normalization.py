"""Scaling of a structure's features, so that structures of different size can be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hullscout.mbtr.recipe import Normalization
    from hullscout.mbtr.term import Term


def normalize(
    block: NDArray[np.float64],
    term: Term,
    normalization: Normalization,
    element_counts: NDArray[np.int64],
    volumes: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Scale the features of one term.

    Args:
        block: Features, shape (n, n_channels, n_x).
        term: The term.
        normalization: Which scaling.
        element_counts: Atoms of each element, shape (n, n_elements).
        volumes: Cell volumes, A^3, shape (n,).

    Returns:
        Scaled features, same shape.
    """
    if normalization == "per_atom":
        return np.asarray(block / element_counts.sum(axis=1)[:, None, None])
    return block
