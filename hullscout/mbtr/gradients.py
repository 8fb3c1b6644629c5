"""Derivatives of the features of one structure with respect to its atoms' positions and to strain.

Source: Huo & Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022), equation 6.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from hullscout.errors import InvalidSettingError
from hullscout.mbtr.axis import N_MOMENTS, broadening_matrix, panels_of
from hullscout.mbtr.counting import closest_distances, count_batch, search_range, term_codes
from hullscout.mbtr.slope_kernels import angle_slopes, pair_slopes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hullscout.mbtr.counts import Counts
    from hullscout.mbtr.definition import MBTRDefinition
    from hullscout.mbtr.structures import Batch
    from hullscout.mbtr.term import Term

_KERNELS: Final = {2: pair_slopes, 3: angle_slopes}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gradient:
    """Features of one structure and their derivatives.

    Attributes:
        features: Shape (n_features,).
        positions: d features / d r, per A, shape (n_atoms, 3, n_features). An atom moves with all its images.
        strain: d features / d e_ab for r_a -> r_a + sum_b e_ab r_b of atoms and cell, shape (3, 3, n_features).
            Symmetric in ab, because rotations change nothing.
    """

    features: NDArray[np.float64]
    positions: NDArray[np.float64]
    strain: NDArray[np.float64]


def gradient_of(batch: Batch, definition: MBTRDefinition, sigma: Mapping[str, float] | None = None) -> Gradient:
    """Return features and derivatives of the only structure of a batch.

    Args:
        batch: One structure.
        definition: Terms of k = 1, 2, 3.
        sigma: Other widths by term label.

    Returns:
        The derivatives. Where a sharp cutoff or a straight angle makes a feature jump or kink, the slope beside it.

    Raises:
        InvalidSettingError: A term of k = 4, or a width that is not planned.
        InvalidStructureError: As for counting.
    """
    for term in definition.terms:
        if term.k > 3:
            raise InvalidSettingError(f"gradients exist for k = 1, 2, 3, found {term.label} with k = {term.k}")
    counts = count_batch(batch, definition, n_threads=1)
    widths = counts.widths(sigma)
    n_atoms = len(batch.species)
    slopes = np.zeros((3 * n_atoms + 9, definition.n_features))
    for term, term_counts in zip(definition.terms, counts.terms, strict=True):
        if term.k == 1:
            continue  # no position in it
        raw = _moment_slopes(batch, definition, term) @ broadening_matrix(term, widths[term.label])
        block = counts.block(term, term_counts, widths[term.label])[0]
        scaled = _normalized_slopes(counts.correlated(raw, term), block, term, counts)
        slopes[:, definition.slices[term.label]] = term.factor * scaled.reshape(len(slopes), -1)
    return Gradient(
        features=counts.features(sigma)[0],
        positions=slopes[: 3 * n_atoms].reshape(n_atoms, 3, -1),
        strain=slopes[3 * n_atoms :].reshape(3, 3, -1),
    )


def _normalized_slopes(
    slopes: NDArray[np.float64], block: NDArray[np.float64], term: Term, counts: Counts
) -> NDArray[np.float64]:
    """Return derivatives (n_dof, n_channels, n_x) of normalized features from those, and the values, before normalization."""
    if counts.definition.normalization == "l2":
        square = float(np.sum(block**2))
        if square == 0.0:
            return np.zeros_like(slopes)
        along = np.tensordot(slopes, block, axes=2) / square
        return np.asarray((slopes - along[:, None, None] * block) / math.sqrt(square))
    factors = counts.channel_factors(term)[0]
    scaled = slopes * factors[:, None]
    if counts.definition.normalization == "valle_oganov":
        volume_slopes = np.zeros(len(slopes))
        volume_slopes[-9::4] = 1.0  # d ln V / d e_ab = delta_ab
        scaled += volume_slopes[:, None, None] * (block * factors[:, None])
    return np.asarray(scaled)


def _moment_slopes(batch: Batch, definition: MBTRDefinition, term: Term) -> NDArray[np.float64]:
    """Return the derivatives of the moments of one term, shape (n_dof, n_channels, n_panels * N_MOMENTS)."""
    panels = panels_of(term)
    n_dof = 3 * len(batch.species) + 9
    slopes = np.zeros((n_dof, definition.n_channels(term), len(panels.middle), N_MOMENTS))
    radii, most = search_range(batch, term, closest_distances(batch))
    codes = term_codes(term, len(definition.elements))
    structure = (batch.species, batch.positions, batch.cells[0], batch.pbc[0])
    _KERNELS[term.k](*structure, radii[0], most[0], codes, panels, slopes)
    return slopes.reshape(n_dof, definition.n_channels(term), -1)
