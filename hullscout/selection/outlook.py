"""What the hull could still be: joint posterior samples of the contenders, held against today's hull.

Source of hulls of posterior samples: Novick et al. (CAL), arXiv 2402.15582.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtri, ndtri, stdtr

from hullscout.hull import VERTEX_TOLERANCE_EV_PER_ATOM, LowerHull
from hullscout.regression import covariance_root, student_quantile
from hullscout.selection.interface import NONE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hullscout.regression import MixturePosterior
    from hullscout.selection.interface import Floats, Indices

    Singles = NDArray[np.float32]

# In the middle of 2^16 equally probable parts: as many as an index of two bytes names, and as draws of a round can tell apart.
_PROBABILITIES = (np.arange(2**16) + 0.5) / 2**16


@dataclass(frozen=True, slots=True, kw_only=True)
class HullOutlook:
    """Samples of what is not known, beside what is.

    Attributes:
        x: (n,) composition of every candidate.
        hull: Today's hull; its `indices` count among the candidates.
        n_contenders: Number of unknown candidates that today's hull is within reach of; the rest is believed to lie above.
        sampled: (q,) the nearest of them, of which samples were drawn (where none is within reach, a few beyond).
        energies_ev_per_atom: (s, q) their formation energies in each sample.
        others: (r,) the contenders that were not sampled.
        others_height_ev_per_atom: (r,) predicted height above today's hull of these.
        others_scale_ev_per_atom: (r,) scale of its Student-t distribution.
        degrees_of_freedom: Of that.
        depths_ev_per_atom: (s, q) depth of each sampled candidate below today's hull in each sample; negative above it.
    """

    x: Floats
    hull: LowerHull
    n_contenders: int
    sampled: Indices
    energies_ev_per_atom: Floats
    others: Indices
    others_height_ev_per_atom: Floats
    others_scale_ev_per_atom: Floats
    degrees_of_freedom: float
    depths_ev_per_atom: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        depths = self.hull.energy_at(self.x[self.sampled]) - self.energies_ev_per_atom
        object.__setattr__(self, "depths_ev_per_atom", depths)

    def failure_probability(self, tolerance_ev_per_atom: float, *, without: Indices = NONE) -> float:
        """Probability that the true hull lies more than the tolerance below today's at some composition.

        The share of such samples; contenders that were not sampled count as independent of them and of each other. While there
        are contenders it is at least one over the number of samples, which is as fine as samples can tell.

        Args:
            tolerance_ev_per_atom: How far lower counts.
            without: Candidates that are taken to lie above the hull.
        """
        depths = self.depths_ev_per_atom
        if without.size:
            depths = depths[:, ~np.isin(self.sampled, without)]
        share = float((depths.max(axis=1, initial=-np.inf) > tolerance_ev_per_atom).mean())
        reach = -(self.others_height_ev_per_atom + tolerance_ev_per_atom) / self.others_scale_ev_per_atom
        reach = reach[~np.isin(self.others, without)]
        if self.n_contenders and depths.shape[1]:
            share = max(share, 1.0 / depths.shape[0])
        return 1.0 - (1.0 - share) * float(np.prod(1.0 - stdtr(self.degrees_of_freedom, reach)))

    def expected_lowering_ev_per_atom(self) -> Floats:
        """(n,) mean over the samples of how far each candidate alone would lower today's hull at its composition."""
        lowering = np.zeros(self.x.size)
        lowering[self.sampled] = np.maximum(self.depths_ev_per_atom, 0.0).mean(axis=0)
        return lowering

    def probability_on_hull(self) -> Floats:
        """(n,) share of the samples in which each candidate, known or not, is a vertex of the hull of all of them."""
        from hullscout.selection.sampled_hulls import vertex_shares  # noqa: PLC0415  loads numba

        points, energies = self._points()
        shares = np.zeros(self.x.size)
        shares[points] = vertex_shares(self.x[points], energies, tolerance=VERTEX_TOLERANCE_EV_PER_ATOM)
        return shares

    def band_ev_per_atom(self, at: Floats, levels: tuple[float, ...] = (0.025, 0.5, 0.975)) -> Floats:
        """(len(levels), len(at)) quantiles over the samples of the hull's formation energy.

        Args:
            at: Atomic fractions.
            levels: Probabilities of the quantiles.
        """
        from hullscout.selection.sampled_hulls import hulls_at  # noqa: PLC0415  loads numba

        points, energies = self._points()
        return np.quantile(hulls_at(self.x[points], energies, at), levels, axis=0)

    def _points(self) -> tuple[Indices, Floats]:
        """(p,) vertices of today's hull and sampled candidates, and their energies (s, p)."""
        n_samples = self.energies_ev_per_atom.shape[0]
        vertices = np.broadcast_to(self.hull.energy_ev_per_atom, (n_samples, self.hull.x.size))
        return np.concatenate([self.hull.indices, self.sampled]), np.hstack([vertices, self.energies_ev_per_atom])


def heavy_tailed_samples(
    posterior: MixturePosterior, n: int, rng: np.random.Generator, *, degrees_of_freedom: float
) -> Floats:
    """Joint samples (n, q) in which each candidate has a tail of its own.

    A component by weight, a correlated Gaussian around its mean, and for each candidate an independent factor
    sqrt(nu / chi^2_nu), so that margins are Student-t. The scale keeps the half width of the posterior's 95 % interval. Normal
    variables and factors are drawn from tables of their quantiles, deviations from the mean in single precision.

    Args:
        posterior: Of q candidates.
        n: Number of samples.
        rng: Source of randomness.
        degrees_of_freedom: nu.
    """
    from hullscout.selection.sample_kernels import widen  # noqa: PLC0415  loads numba

    believed = posterior.scale * student_quantile(0.975, posterior.degrees_of_freedom)
    scale = believed / student_quantile(0.975, degrees_of_freedom)
    normal, tails = _normal_quantiles(), _tail_quantiles(degrees_of_freedom)
    samples = np.empty((n, posterior.means.shape[1]))
    start = 0
    for count, mean, covariance in zip(
        rng.multinomial(n, posterior.weights), posterior.means, posterior.covariances, strict=True
    ):
        part = samples[start : start + count]
        # Places in the tables; to draw so is several times faster than by the distributions' formulas.
        places, tail_places = _random_places(2 * part.size, rng).reshape(2, *part.shape)
        deviations = normal.take(places) @ covariance_root(covariance).astype(np.float32).T
        widen(deviations, tails, tail_places, scale, mean, part)
        start += count
    return samples


def _random_places(n: int, rng: np.random.Generator) -> NDArray[np.uint16]:
    """(n,) places in a table of quantiles: four from each random number of 64 bits."""
    words = rng.integers(0, 2**64 - 1, size=-(-n // 4), dtype=np.uint64, endpoint=True)
    return words.astype("<u8").view("<u2")[:n]


@cache
def _normal_quantiles() -> Singles:
    return np.asarray(ndtri(_PROBABILITIES), dtype=np.float32)


@lru_cache(maxsize=8)
def _tail_quantiles(degrees_of_freedom: float) -> Singles:
    """Of sqrt(nu / chi^2_nu)."""
    return np.asarray(np.sqrt(degrees_of_freedom / chdtri(degrees_of_freedom, _PROBABILITIES)), dtype=np.float32)
