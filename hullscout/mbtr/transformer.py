"""The representation as one object: structures in, feature matrix out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.mbtr.counting import count_batch
from hullscout.mbtr.recipe import Recipe
from hullscout.mbtr.structures import read_structures
from hullscout.mbtr.term import Term

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hullscout.mbtr.counts import Counts
    from hullscout.mbtr.recipe import Normalization


class MBTR:
    """Many-body tensor representation of molecules and crystals.

    Args:
        elements: Symbols of every element that may occur, in feature order.
        terms: The k-body terms, in feature order.
        normalization: `none`, `per_atom`, `l2` or `valle_oganov`.
        correlation: Element correlation matrix C, or None for the identity.
        max_outside: Largest fraction of a term's weight that may lie outside its grid, per structure.
        n_threads: Threads over structures; None: as many as the process may use. Results do not depend on it.

    Raises:
        InvalidSettingError: A setting is impossible.

    Source: Huo & Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022), equations 3 to 6.
    """

    def __init__(
        self,
        elements: tuple[str, ...],
        terms: tuple[Term, ...],
        *,
        normalization: Normalization = "per_atom",
        correlation: NDArray[np.float64] | None = None,
        max_outside: float = 0.99,
        n_threads: int | None = None,
    ) -> None:
        self.elements = elements
        self.terms = terms
        self.normalization: Normalization = normalization
        self.correlation = correlation
        self.max_outside = max_outside
        self.n_threads = n_threads
        self._recipe = self._make_recipe()

    @classmethod
    def for_alloys(cls, elements: tuple[str, ...], *, n_threads: int | None = None) -> MBTR:
        """Return the default for alloy pools: pairs to 10 A, angles to 8 A, per atom."""
        return cls(elements, alloy_terms(), normalization="per_atom", n_threads=n_threads)

    def _make_recipe(self) -> Recipe:
        return Recipe(
            elements=tuple(self.elements),
            terms=tuple(self.terms),
            normalization=self.normalization,
            correlation=None if self.correlation is None else np.asarray(self.correlation, dtype=np.float64),
            max_outside=self.max_outside,
        )

    @property
    def slices(self) -> dict[str, slice]:
        """Where each term's features lie."""
        return self._recipe.slices

    def count(self, structures: Sequence[Any]) -> Counts:
        """Count the geometry of structures, once."""
        batch = read_structures(structures, self._recipe.numbers)
        return count_batch(batch, self._recipe, n_threads=self.n_threads)

    def transform(self, structures: Sequence[Any]) -> NDArray[np.float64]:
        """Return the features of structures at the terms' own widths."""
        return self.count(structures).features()


def alloy_terms() -> tuple[Term, ...]:
    """Return the default terms for alloys."""
    return (
        Term(
            k=2,
            geometry="inverse_distance",
            weighting="inverse_square",
            cutoff=10.0,
            grid=(0.08, 0.6, 52),
            sigma=0.02,
            factor=27.0,
        ),
        Term(k=3, geometry="cosine", cutoff=8.0, grid=(-1.0, 1.0, 60), sigma=0.06),
    )
