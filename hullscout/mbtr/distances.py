"""Distances between structures, equation 5, straight from the counts, for many widths at once.

d^2 = sum over channels of int (f - f')^2 dx over the whole axis. Normal distributions of width s make the integrand so
smooth that the plain sum over points s/2 apart is off by a factor of exp(-(2 pi / (s/2))^2 s^2 / 4) = 7e-18 only: no
discretization error, and nothing is cut off at the ends of the term's grid, on which the result does not depend. Laplace
and uniform distributions have kinks and jumps where the data lie, for which no such sum exists: they are refused.

Source: Huo & Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022), equation 5.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.distance import pdist, squareform

from hullscout.errors import InvalidSettingError
from hullscout.mbtr.axis import N_MOMENTS, check_sigma, density_matrix, panels_of
from hullscout.mbtr.channels import correlate
from hullscout.mbtr.normalization import channel_factors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hullscout.mbtr.counts import Counts


def structure_distances(counts: Counts, label: str, sigmas: Iterable[float]) -> NDArray[np.float64]:
    """Return d_k between all counted structures, for each width.

    Args:
        counts: Structures, normalized in any way but `l2`.
        label: Which term; its distribution must be normal.
        sigmas: Widths that the term's counts are prepared for.

    Returns:
        Distances, shape (n_sigmas, n, n), in units of features times sqrt(unit of the axis); symmetric, zero on the
        diagonal.

    Raises:
        InvalidSettingError: An unknown label, a term without normal distribution, `l2`, or a width that is not planned.
    """
    by_label = {
        term.label: (term, term_counts) for term, term_counts in zip(counts.recipe.terms, counts.terms, strict=True)
    }
    if label not in by_label:
        raise InvalidSettingError(f"label must be one of {sorted(by_label)}, found {label!r}")
    term, term_counts = by_label[label]
    if term_counts is None or term.distribution != "normal":
        raise InvalidSettingError(
            f"distances from counts need a normal distribution, found {term.geometry} with {term.distribution}: "
            "use distances of the features instead"
        )
    if counts.recipe.normalization == "l2":
        raise InvalidSettingError(
            "distances from counts do not know l2: its length is that of the features on the grid"
        )
    if not isinstance(sigmas, Iterable):
        raise InvalidSettingError(f"sigmas must be a sequence of widths, found {sigmas!r}")
    sigmas = tuple(sigmas)
    for sigma in sigmas:
        check_sigma(term, sigma)
    panels = panels_of(term)
    factors = channel_factors(term, counts.recipe.normalization, counts.element_counts, counts.volumes)
    moments = term_counts.moments.reshape(-1, len(panels.middle) * N_MOMENTS)
    result = np.empty((len(sigmas), counts.n_structures, counts.n_structures))
    for number, sigma in enumerate(sigmas):
        step = sigma / 2
        points = np.arange(panels.edges[0] - 9 * sigma, panels.edges[-1] + 9 * sigma, step)
        densities = moments @ density_matrix(term, sigma, points)
        block = np.concatenate((densities, np.zeros((1, len(points)))))[term_counts.rows]
        if counts.recipe.correlation is not None:
            block = correlate(block, counts.recipe.correlation, term.k)
        block *= term.factor * math.sqrt(step) * factors[:, :, None]
        result[number] = squareform(pdist(block.reshape(-1, block.shape[1] * len(points))))
    return result
