"""Counted structures: the geometry is done, any broadening follows from here by matrix products."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import InvalidSettingError
from hullscout.mbtr.axis import bin_edges, broadening_matrix, panels_of
from hullscout.mbtr.channels import correlate
from hullscout.mbtr.normalization import normalize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hullscout.mbtr.recipe import Recipe
    from hullscout.mbtr.term import Term


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TermCounts:
    """Moments of one term.

    Attributes:
        rows: Row of each structure and channel in the moments, -1 where the structure lacks an element, shape (n,
            n_channels).
        moments: Shape (n_rows, n_panels, N_MOMENTS).
        lost: Weight that lies on no panel, far outside the grid, shape (n,).
    """

    rows: NDArray[np.int64]
    moments: NDArray[np.float64]
    lost: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counts:
    """Geometry of a set of structures, counted once.

    Attributes:
        recipe: What was counted.
        element_counts: Atoms of each element, shape (n, n_elements).
        volumes: Cell volumes in A^3, NaN unless periodic in three directions, shape (n,).
        terms: One per term of the recipe; None for `element_count`, which needs no more than element_counts.
    """

    recipe: Recipe
    element_counts: NDArray[np.int64]
    volumes: NDArray[np.float64]
    terms: tuple[TermCounts | None, ...]

    @property
    def n_structures(self) -> int:
        """Number of structures."""
        return len(self.element_counts)

    def features(self, sigma: Mapping[str, float] | None = None) -> NDArray[np.float64]:
        """Broaden and normalize: F = M B per term, then the element correlation, then the normalization.

        Args:
            sigma: Other widths by term label; terms not named keep their own.

        Returns:
            Feature matrix, shape (n_structures, n_features).

        Raises:
            InvalidSettingError: An unknown label, or a width that the counts were not prepared for.
        """
        widths = self.widths(sigma)
        X = np.empty((self.n_structures, self.recipe.n_features))
        for term, counts in zip(self.recipe.terms, self.terms, strict=True):
            block = self.block(term, counts, widths[term.label])
            block = normalize(block, term, self.recipe.normalization, self.element_counts, self.volumes)
            X[:, self.recipe.slices[term.label]] = term.factor * block.reshape(
                -1, self.recipe.n_channels(term) * term.n_x
            )
        return X

    def outside(self) -> dict[str, NDArray[np.float64]]:
        """Return, per term, the fraction of each structure's weight that lies outside the grid, before broadening.

        Returns:
            Arrays of shape (n,) by term label; 0 where a structure has no tuple at all.
        """
        fractions = {}
        for term, counts in zip(self.recipe.terms, self.terms, strict=True):
            if counts is None:
                fractions[term.label] = np.zeros(self.n_structures)
                continue
            edges = bin_edges(term)
            middle = panels_of(term).middle
            inside = (middle > edges[0]) & (middle < edges[-1])
            weight = np.append(counts.moments[:, :, 0], np.zeros((1, len(middle))), axis=0)[counts.rows].sum(axis=1)
            total = weight.sum(axis=1) + counts.lost
            missed = weight[:, ~inside].sum(axis=1) + counts.lost
            fractions[term.label] = np.divide(missed, total, out=np.zeros_like(total), where=total > 0)
        return fractions

    def widths(self, sigma: Mapping[str, float] | None) -> dict[str, float]:
        """Return the width of every term by label, with some replaced; refuse unknown labels."""
        widths = {term.label: term.sigma for term in self.recipe.terms}
        if sigma is not None and not isinstance(sigma, Mapping):
            raise InvalidSettingError(f"sigma must map labels to widths, such as {widths}, found {sigma!r}")
        unknown = set(sigma or {}) - set(widths)
        if unknown:
            raise InvalidSettingError(f"sigma names unknown terms {sorted(unknown)}: expected some of {sorted(widths)}")
        return widths | dict(sigma or {})

    def block(self, term: Term, counts: TermCounts | None, sigma: float) -> NDArray[np.float64]:
        """Return the features of one term before normalization, shape (n, n_channels, n_x)."""
        if counts is None:
            block = self.element_counts[:, :, None].astype(np.float64)
        else:
            matrix = broadening_matrix(term, sigma)
            broadened = counts.moments.reshape(-1, len(matrix)) @ matrix
            padded = np.concatenate((broadened, np.zeros((1, term.n_x))))
            block = padded[counts.rows]
        if self.recipe.correlation is not None:
            block = correlate(block, self.recipe.correlation, term.k)
        return block
