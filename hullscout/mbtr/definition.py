"""Everything that defines a representation, checked once: elements, terms, correlation, normalization.

The definition decides the length of a feature vector and what each feature is; structures have no part in it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np

from hullscout.errors import InvalidSettingError
from hullscout.mbtr.axis import panels_of
from hullscout.mbtr.channels import atomic_numbers, n_channels
from hullscout.mbtr.term import Term, plain_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_FEATURES: Final = 50_000_000
"""Of one term: 400 MB per structure."""
Normalization = Literal["none", "per_atom", "l2", "valle_oganov"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MBTRDefinition:
    """A checked set of terms over a fixed set of elements; the attributes are settings of MBTR, and described there."""

    elements: tuple[str, ...]
    terms: tuple[Term, ...]
    normalization: Normalization = "per_atom"
    correlation: NDArray[np.float64] | None = None
    max_outside: float = 0.8

    def __post_init__(self) -> None:
        """Refuse what cannot be computed."""
        atomic_numbers(self.elements)
        self._check_terms()
        allowed = get_args(Normalization)
        if self.normalization not in allowed:
            raise InvalidSettingError(
                f"normalization must be one of {', '.join(allowed)}, found {self.normalization!r}"
            )
        if not 0 <= plain_number("max_outside", self.max_outside) <= 1:
            raise InvalidSettingError(f"max_outside must lie in [0, 1], found {self.max_outside!r}")
        if self.correlation is not None:
            _check_correlation(self.correlation, len(self.elements))
        if self.normalization == "valle_oganov" and self.correlation is not None:
            raise InvalidSettingError("valle_oganov divides by counts of single elements: expected no correlation")

    def _check_terms(self) -> None:
        if not self.terms:
            raise InvalidSettingError("terms must hold at least one Term, found none")
        for found in self.terms:
            if not isinstance(found, Term):
                raise InvalidSettingError(f"terms must be Term objects, found {found!r}")
        labels = [term.label for term in self.terms]
        if len(set(labels)) != len(labels):
            raise InvalidSettingError(f"terms must have different labels, found {labels}: give them names")
        for term in self.terms:
            n_features = self.n_channels(term) * term.n_x
            if n_features > MAX_FEATURES:
                raise InvalidSettingError(
                    f"{term.label} would have {n_features:.2g} features: expected at most {MAX_FEATURES:.0e}; "
                    "take fewer elements, a coarser grid or a smaller k"
                )
            if term.grid is not None:
                panels_of(term)
            if self.normalization == "valle_oganov" and term.k not in {2, 3}:
                raise InvalidSettingError(f"valle_oganov exists for k = 2 and 3, found {term.label} with k = {term.k}")

    @property
    def numbers(self) -> tuple[int, ...]:
        """Atomic numbers, in feature order."""
        return atomic_numbers(self.elements)

    def n_channels(self, term: Term) -> int:
        """Number of element channels of a term."""
        return n_channels(len(self.elements), term.k)

    @property
    def slices(self) -> dict[str, slice]:
        """Where each term's features lie."""
        ends = np.cumsum([0] + [self.n_channels(term) * term.n_x for term in self.terms]).tolist()
        return {term.label: slice(*pair) for term, pair in zip(self.terms, itertools.pairwise(ends), strict=True)}

    @property
    def n_features(self) -> int:
        """Length of a feature vector."""
        return sum(self.n_channels(term) * term.n_x for term in self.terms)


def _check_correlation(correlation: NDArray[np.float64], n_elements: int) -> None:
    """Refuse a matrix that is not symmetric and positive semidefinite, shape (n_elements, n_elements)."""
    if correlation.shape != (n_elements, n_elements):
        raise InvalidSettingError(
            f"correlation must have shape ({n_elements}, {n_elements}), found {correlation.shape}"
        )
    if not np.all(np.isfinite(correlation)):
        raise InvalidSettingError("correlation must be finite")
    scale = float(np.max(np.abs(correlation)))
    if np.max(np.abs(correlation - correlation.T)) > 1e-12 * scale:
        raise InvalidSettingError("correlation must be symmetric")
    lowest = float(np.linalg.eigvalsh(correlation)[0])
    if lowest < -1e-10 * scale:
        raise InvalidSettingError(f"correlation must be positive semidefinite, found an eigenvalue of {lowest:.3g}")
