"""What is counted (elements, terms, correlation, normalization, checked once), and counted structures.

Their geometry is done: any broadening follows from here by matrix products.

Scaling of the features, so that structures of different size can be compared, and distances between structures, for many
widths at once.

Source: Huo & Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022), equation 5 for distances; Valle & Oganov, Acta Cryst. A
66, 507 (2010), in the form of DScribe (Himanen et al., Comput. Phys. Commun. 247, 106949 (2020)), for `valle_oganov`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np
import scipy

from hullscout.errors import InvalidSettingError
from hullscout.mbtr.axis import bin_edges, broadening_matrix, check_sigma, density_matrix, panels_of
from hullscout.mbtr.channels import atomic_numbers, correlate, list_channels, n_channels
from hullscout.mbtr.term import Term, plain_number

if TYPE_CHECKING:
    from numpy.typing import NDArray


MAX_FEATURES: Final = 50_000_000  # of one term: 400 MB per structure
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TermCounts:
    """Moments of one term."""

    rows: NDArray[np.int64]  # of each structure and channel in the moments, -1 if it lacks an element, (n, n_channels)
    moments: NDArray[np.float64]  # shape (n_rows, n_panels, N_MOMENTS)
    lost: NDArray[np.float64]  # weight that lies on no panel, far outside the grid, shape (n,)

    def spread(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return M B per structure and channel, shape (n, n_channels, n_x); the matrix has shape (n_panels * N_MOMENTS, n_x)."""
        broadened = self.moments.reshape(-1, len(matrix)) @ matrix
        return np.concatenate((broadened, np.zeros((1, matrix.shape[1]))))[self.rows]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counts:
    """Geometry of a set of structures, counted once."""

    definition: MBTRDefinition
    element_counts: NDArray[np.int64]  #: atoms of each element, shape (n, n_elements)
    volumes: NDArray[np.float64]  #: of the cells in A^3, NaN unless periodic in three directions, shape (n,)
    terms: tuple[TermCounts | None, ...]  #: None for `element_count`, which needs no more than element_counts

    @property
    def n_structures(self) -> int:
        """Number of structures."""
        return len(self.element_counts)

    def features(self, sigma: Mapping[str, float] | None = None) -> NDArray[np.float64]:
        """Broaden and normalize: F = M B per term, then the element correlation, then the normalization.

        The result has shape (n_structures, n_features). Terms that `sigma` does not name by label keep their own widths.
        """
        widths = self.widths(sigma)
        X = np.empty((self.n_structures, self.definition.n_features))
        for term, counts in zip(self.definition.terms, self.terms, strict=True):
            block = self.normalize(self.block(term, counts, widths[term.label]), term)
            X[:, self.definition.slices[term.label]] = term.factor * block.reshape(len(X), math.prod(block.shape[1:]))
        return X

    def outside(self) -> dict[str, NDArray[np.float64]]:
        """Return, by term label, the fraction of each structure's weight that lies outside the grid, before broadening.

        Of shape (n,); 0 where a structure has no tuple at all.
        """
        fractions = {}
        for term, counts in zip(self.definition.terms, self.terms, strict=True):
            if counts is None:
                fractions[term.label] = np.zeros(self.n_structures)
                continue
            edges, middle = bin_edges(term), panels_of(term).middle
            inside = (middle > edges[0]) & (middle < edges[-1])
            weight = np.append(counts.moments[:, :, 0], np.zeros((1, len(middle))), axis=0)[counts.rows].sum(axis=1)
            total = weight.sum(axis=1) + counts.lost
            missed = weight[:, ~inside].sum(axis=1) + counts.lost
            fractions[term.label] = np.divide(missed, total, out=np.zeros_like(total), where=total > 0)
        return fractions

    def widths(self, sigma: Mapping[str, float] | None) -> dict[str, float]:
        """Return the width of every term by label, with some replaced; refuse unknown labels."""
        widths = {term.label: term.sigma for term in self.definition.terms}
        if sigma is not None and not isinstance(sigma, Mapping):
            raise InvalidSettingError(f"sigma must map labels to widths, such as {widths}, found {sigma!r}")
        unknown = set(sigma or {}) - set(widths)
        if unknown:
            raise InvalidSettingError(f"sigma names unknown terms {sorted(unknown)}: expected some of {sorted(widths)}")
        return widths | dict(sigma or {})

    def block(self, term: Term, counts: TermCounts | None, sigma: float) -> NDArray[np.float64]:
        """Return the features of one term before normalization, shape (n, n_channels, n_x)."""
        if counts is None:
            return self.correlated(self.element_counts[:, :, None].astype(np.float64), term)
        return self.correlated(counts.spread(broadening_matrix(term, sigma)), term)

    def correlated(self, block: NDArray[np.float64], term: Term) -> NDArray[np.float64]:
        """Return values of one term, shape (..., n_channels, n_x), under the element correlation."""
        return block if self.definition.correlation is None else correlate(block, self.definition.correlation, term.k)

    def normalize(self, block: NDArray[np.float64], term: Term) -> NDArray[np.float64]:
        """Scale the features of one term, shape (n, n_channels, n_x); under `l2` a block of zeros stays."""
        if self.definition.normalization == "l2":
            length = np.sqrt(np.sum(block**2, axis=(1, 2), keepdims=True))
            return np.asarray(np.divide(block, length, out=np.zeros_like(block), where=length > 0))
        return np.asarray(block * self.channel_factors(term)[:, :, None])

    def channel_factors(self, term: Term) -> NDArray[np.float64]:
        """Return what the features of each structure and channel are multiplied by, shape (n, n_channels).

        `none`: 1. `per_atom`: 1/N. `valle_oganov`: V / (4 pi N_A N_B), with N_A N_A / 2 for equal elements (k = 2), and
        V / (N_A N_B N_C) (k = 3), so that a random structure has features near one whatever its size; 0 for elements
        that are not there. Not for `l2`, which is no factor known beforehand.
        """
        members = np.array(list_channels(self.element_counts.shape[1], term.k))
        if self.definition.normalization != "valle_oganov":
            is_per_atom = self.definition.normalization == "per_atom"
            factor = 1.0 / self.element_counts.sum(axis=1) if is_per_atom else np.ones(self.n_structures)
            return np.repeat(factor[:, None], len(members), axis=1)
        products = np.prod(self.element_counts[:, members], axis=2).astype(np.float64)
        if term.k == 2:
            products *= 4 * math.pi * np.where(members[:, 0] == members[:, 1], 0.5, 1.0)
        return np.asarray(np.divide(self.volumes[:, None], products, out=np.zeros_like(products), where=products > 0))


def structure_distances(counts: Counts, label: str, sigmas: Iterable[float]) -> NDArray[np.float64]:
    """Return d_k between all counted structures, for each width: d^2 = sum over channels of int (f - f')^2 dx.

    Normal distributions of width s make the integrand so smooth that the plain sum over points s/2 apart is off by a
    factor of exp(-(2 pi / (s/2))^2 s^2 / 4) = 7e-18 only: no discretization error, and nothing is cut off at the ends of
    the term's grid, on which the result does not depend. Laplace and uniform distributions have kinks and jumps where
    the data lie, for which no such sum exists: they are refused, as is `l2`.

    Distances have shape (n_sigmas, n, n), in units of features times sqrt(unit of the axis); symmetric, zero on the diagonal.
    """
    by_label = {term.label: (term, found) for term, found in zip(counts.definition.terms, counts.terms, strict=True)}
    if label not in by_label:
        raise InvalidSettingError(f"label must be one of {sorted(by_label)}, found {label!r}")
    term, term_counts = by_label[label]
    if term_counts is None or term.distribution != "normal":
        raise InvalidSettingError(
            f"distances from counts need a normal distribution, found {term.geometry} with {term.distribution}: "
            "use distances of the features instead"
        )
    if counts.definition.normalization == "l2":
        raise InvalidSettingError(
            "distances from counts do not know l2: its length is that of the features on the grid"
        )
    if not isinstance(sigmas, Iterable):
        raise InvalidSettingError(f"sigmas must be a sequence of widths, found {sigmas!r}")
    sigmas = tuple(sigmas)
    for sigma in sigmas:
        check_sigma(term, sigma)
    edges, factors = panels_of(term).edges, counts.channel_factors(term)
    result = np.empty((len(sigmas), counts.n_structures, counts.n_structures))
    for number, sigma in enumerate(sigmas):
        step = sigma / 2
        points = np.arange(edges[0] - 9 * sigma, edges[-1] + 9 * sigma, step)
        block = counts.correlated(term_counts.spread(density_matrix(term, sigma, points)), term)
        block = block * (term.factor * math.sqrt(step) * factors[:, :, None])
        result[number] = scipy.spatial.distance.squareform(
            scipy.spatial.distance.pdist(block.reshape(-1, block.shape[1] * len(points)))
        )
    return result
