"""What a model believes of every candidate, and joint samples of what the hull could still be.

Source of hulls of posterior samples: Novick et al. (CAL), arXiv 2402.15582.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache, cached_property, lru_cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import scipy

from hullscout.hull import VERTEX_TOLERANCE_EV_PER_ATOM, lower_hull
from hullscout.regression import cap_height, covariance_root, student_quantile
from hullscout.selection.alloys import observed
from hullscout.selection.baselines import NO_USE, Use
from hullscout.selection.known import NONE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hullscout.hull import Hull
    from hullscout.regression import MixturePosterior
    from hullscout.selection.known import Floats, Indices, Known

    Singles = NDArray[np.float32]

# In the middle of 2^16 equally probable parts: as many as an index of two bytes names, and as draws of a round can tell apart.
_PROBABILITIES = (np.arange(2**16) + 0.5) / 2**16
# From beyond the first of these to beyond the last: a line between their quantiles errs by 1e-5.
_NORMAL_STEPS = np.linspace(-4.5, 4.5, 1025)
NO_SAMPLES: Floats = np.empty((0, 0))


@dataclass(frozen=True, kw_only=True, eq=False)
class Belief:
    """What a model learned from what is known, for every candidate, known ones too.

    Attributes:
        mean_ev_per_atom: (n,) predictions on the scale that was learned: formation energies, or what a transform made of them.
        std_ev_per_atom: (n,) their calibrated standard deviations; 0 where nothing was learned.
        degrees_of_freedom: Of the Student-t whose scales the standard deviations are.
        left_out_mean_ev_per_atom: (m,) prediction of each known energy from the others, in the order of `known.answered`.
        left_out_std_ev_per_atom: (m,) calibrated standard deviations of the same.
        is_learned: Whether there was anything to learn: three energies or more that do not all agree, or that all agree with a
            baseline that varies.
        suspects: (k,) indices of known candidates whose energies all others contradict; they hardly count in what was learned.
        model_error_ev_per_atom: Leave-one-out error of the model, root mean square.
        baseline_use: What of the energies of cheaper methods the model learned from.
        energy_cap_ev_per_atom: Heights above the hull are capped at this on the scale of the predictions; None for no cap.
        is_of_the_rule: Whether the campaign's own rule believes this; other rules are shown what `hull-posterior` would.
        n_contenders: Number of unknown candidates that today's hull is within reach of; the rest is believed to lie above.
        sampled: (q,) the nearest of them, of which joint samples were drawn (where none is within reach, a few beyond).
        sampled_ev_per_atom: (s, q) their formation energies in each sample.
        others: (r,) the contenders that were not sampled.
        tail_degrees_of_freedom: Of the Student-t of each candidate in the samples.
        loner_probability: (n,) probability of each candidate to be a ground state that the model does not see coming; see `alloys`.
        failure_probability: Probability that the hull is wrong by more than `stop.hull_tolerance`; None without samples.
        stated_failure_probability: The same with the look back on the last rounds, which the stop waits for.
    """

    BAND_AT: ClassVar[Floats] = np.linspace(0.0, 1.0, 401)
    """Where the band of the hull of two elements is drawn."""
    known: Known = field(repr=False)
    mean_ev_per_atom: Floats = field(repr=False)
    std_ev_per_atom: Floats = field(repr=False)
    degrees_of_freedom: float
    left_out_mean_ev_per_atom: Floats = field(repr=False)
    left_out_std_ev_per_atom: Floats = field(repr=False)
    is_learned: bool
    model_error_ev_per_atom: float
    suspects: Indices = field(default_factory=lambda: NONE, repr=False)
    baseline_use: Use = NO_USE
    energy_cap_ev_per_atom: float | None = None
    is_of_the_rule: bool = True
    n_contenders: int = 0
    sampled: Indices = field(default_factory=lambda: NONE, repr=False)
    sampled_ev_per_atom: Floats = field(default_factory=lambda: NO_SAMPLES, repr=False)
    others: Indices = field(default_factory=lambda: NONE, repr=False)
    tail_degrees_of_freedom: float = 4.0
    loner_probability: Floats = field(default_factory=lambda: np.zeros(0), repr=False)
    failure_probability: float | None = None
    stated_failure_probability: float | None = None

    def capped(self, formation_ev_per_atom: Floats) -> Floats:
        """(n,) formation energies of all candidates on the scale of the predictions."""
        if self.energy_cap_ev_per_atom is None:
            return formation_ev_per_atom
        at_hull = self._at_hull
        return at_hull + cap_height(formation_ev_per_atom - at_hull, self.energy_cap_ev_per_atom)

    @cached_property
    def depths_ev_per_atom(self) -> Floats:
        """(s, q) depth of each sampled candidate below today's hull in each sample; negative above it."""
        return self._at_hull[self.sampled] - self.sampled_ev_per_atom

    def probability_of_wrong_hull(self, tolerance_ev_per_atom: float, *, without: Indices = NONE) -> float:
        """Probability over alloys that the true hull lies more than the tolerance below today's, by the model or by a loner.

        Those `without` are taken to lie above it; see `alloys`.
        """
        is_counted = ~np.isin(np.arange(self.loner_probability.size), without)
        by_model = self.observed(self.probability_of_deeper(tolerance_ev_per_atom, without=without))
        return 1.0 - (1.0 - by_model) * (1.0 - float(self.loner_probability[is_counted].sum()))

    def observed(self, share: float) -> float:
        """The rate over alloys at which such a model is wrong that has so large a share of its samples below the hull."""
        return observed(share, has_prior=self.has_prior)

    @property
    def has_prior(self) -> bool:
        """Whether the model started from energies of a cheaper method."""
        return bool(self.baseline_use.baselines)

    def probability_of_deeper(self, tolerance_ev_per_atom: float, *, without: Indices = NONE) -> float:
        """The same as the model alone states it.

        The share of such samples; contenders that were not sampled count as independent of them and of each other. While there
        are contenders it is at least one over the number of samples, which is as fine as samples can tell.
        """
        is_counted = ~np.isin(self.sampled, without)
        is_deeper = self.depths_ev_per_atom > tolerance_ev_per_atom
        share = float((is_deeper if is_counted.all() else is_deeper[:, is_counted]).any(axis=1).mean())
        if self.n_contenders and is_counted.any():
            share = max(share, 1.0 / is_deeper.shape[0])
        below = self.others_deeper(tolerance_ev_per_atom)[~np.isin(self.others, without)]
        return 1.0 - (1.0 - share) * float(np.prod(1.0 - below))

    def others_deeper(self, tolerance_ev_per_atom: float) -> Floats:
        """(r,) probability of each contender that was not sampled to lie more than the tolerance below today's hull."""
        height = self.mean_ev_per_atom[self.others] - self._at_hull[self.others]
        scale = tail_scale(self.degrees_of_freedom, self.tail_degrees_of_freedom) * self.std_ev_per_atom[self.others]
        return np.asarray(scipy.special.stdtr(self.tail_degrees_of_freedom, -(height + tolerance_ev_per_atom) / scale))

    @cached_property
    def expected_lowering_ev_per_atom(self) -> Floats:
        """(n,) mean over the samples of how far each candidate alone would lower today's hull at its composition."""
        lowering = np.zeros(self.known.n_candidates)
        lowering[self.sampled] = np.maximum(self.depths_ev_per_atom, 0.0).mean(axis=0)
        return lowering

    @cached_property
    def probability_on_hull(self) -> Floats:
        """(n,) share of the samples in which each candidate, known or not, is a vertex of the hull of all of them."""
        from hullscout.selection.sample_kernels import vertex_shares  # noqa: PLC0415  loads numba

        shares = np.zeros(self.known.n_candidates)
        if self.known.fractions.shape[1] > 1:
            for hull, n_samples in self.sampled_hulls:
                shares[hull.indices] += n_samples
            return np.asarray(shares / self.sampled_ev_per_atom.shape[0])
        points, energies = self._points()
        shares[points] = vertex_shares(self.known.x[points], energies, tolerance=VERTEX_TOLERANCE_EV_PER_ATOM)
        return shares

    def band_ev_per_atom(self, at: Floats, levels: tuple[float, ...] = (0.025, 0.5, 0.975)) -> Floats:
        """(len(levels), len(at)) quantiles over the samples of the hull's formation energy, at compositions (n, k), or x (n,)."""
        from hullscout.selection.sample_kernels import hulls_at  # noqa: PLC0415  loads numba

        if self.known.fractions.shape[1] > 1:
            values = [np.broadcast_to(hull.energy_at(at), (n, len(at))) for hull, n in self.sampled_hulls]
            return np.quantile(np.concatenate(values), levels, axis=0)
        points, energies = self._points()
        x = np.ravel(at)
        order = np.argsort(x, kind="stable")
        band = np.empty((len(levels), x.size))
        band[:, order] = np.quantile(hulls_at(self.known.x[points], energies, x[order]), levels, axis=0)
        return band

    @cached_property
    def band(self) -> Floats:
        """(3, 401) ends and middle of the hull's 95 % band at `BAND_AT`, formation energies in eV/atom, of two elements."""
        return self.band_ev_per_atom(self.BAND_AT)

    def half_width_ev_per_atom(self, level: float = 0.95) -> Floats:
        """(n,) half the central interval of each prediction that holds its energy with this probability."""
        return student_quantile(0.5 + 0.5 * level, self.degrees_of_freedom) * self.std_ev_per_atom

    @cached_property
    def _at_hull(self) -> Floats:
        return self.known.hull.energy_at(self.known.fractions)

    @cached_property
    def sampled_hulls(self) -> list[tuple[Hull, int]]:
        """The hulls of the samples, each with how many have it; indices count in the pool.

        Only what lies below today's hull changes it: all samples that show nothing there have today's.
        """
        known, depths = self.known, self.depths_ev_per_atom
        is_below = depths > VERTEX_TOLERANCE_EV_PER_ATOM
        changed = np.flatnonzero(is_below.any(axis=1))
        hulls = [(known.hull, depths.shape[0] - changed.size)]
        for sample in changed.tolist():
            below = np.flatnonzero(is_below[sample])
            points = np.concatenate([known.hull.indices, self.sampled[below]])
            energies = np.concatenate([known.hull.energy_ev_per_atom, self.sampled_ev_per_atom[sample, below]])
            hull = lower_hull(known.fractions[points], energies)
            hulls.append((replace(hull, indices=points[hull.indices]), 1))
        return hulls

    def _points(self) -> tuple[Indices, Floats]:
        """(p,) vertices of today's hull and sampled candidates, and their energies (s, p)."""
        hull, n_samples = self.known.hull, self.sampled_ev_per_atom.shape[0]
        vertices = np.broadcast_to(hull.energy_ev_per_atom, (n_samples, hull.indices.size))
        return np.concatenate([hull.indices, self.sampled]), np.hstack([vertices, self.sampled_ev_per_atom])


def tail_scale(degrees_of_freedom: float, tail_degrees_of_freedom: float) -> float:
    """Scale of a Student-t of other tails with the same 95 % interval."""
    return student_quantile(0.975, degrees_of_freedom) / student_quantile(0.975, tail_degrees_of_freedom)


def heavy_tailed_samples(
    posterior: MixturePosterior, n: int, rng: np.random.Generator, *, degrees_of_freedom: float
) -> Floats:
    """Joint samples (n, q) of q candidates, each of which has a tail of its own.

    A component by weight, a correlated Gaussian around its mean, and for each candidate an independent factor
    sqrt(nu / chi^2_nu), so that margins are Student-t. The scale keeps the half width of the posterior's 95 % interval. Normal
    variables and factors are drawn from tables of their quantiles, deviations from the mean in single precision.
    """
    from hullscout.selection.sample_kernels import entries, widen  # noqa: PLC0415  loads numba

    believed = posterior.scale * student_quantile(0.975, posterior.degrees_of_freedom)
    scale = believed / student_quantile(0.975, degrees_of_freedom)
    normal, tails = _normal_quantiles(), _tail_quantiles(degrees_of_freedom)
    samples = np.empty((n, posterior.means.shape[1]))
    counts, start = rng.multinomial(n, posterior.weights), 0
    for count, mean, covariance in zip(counts, posterior.means, posterior.covariances, strict=True):
        part = samples[start : start + count]
        if not count:
            continue
        # Places in the tables; to draw so is several times faster than by the distributions' formulas.
        places, tail_places = _random_places(2 * part.size, rng).reshape(2, *part.shape)
        deviations = entries(normal, places) @ covariance_root(covariance).astype(np.float32).T
        widen(deviations, tails, tail_places, scale, mean, part)
        start += count
    return samples


def _random_places(n: int, rng: np.random.Generator) -> NDArray[np.uint16]:
    """(n,) places in a table of quantiles: four from each random number of 64 bits."""
    words = rng.integers(0, 2**64 - 1, size=-(-n // 4), dtype=np.uint64, endpoint=True)
    return words.astype("<u8").view("<u2")[:n]


@cache
def _normal_quantiles() -> Singles:
    return np.asarray(scipy.special.ndtri(_PROBABILITIES), dtype=np.float32)


@lru_cache(maxsize=32)  # one for each number of labels that scales are known from
def _tail_quantiles(degrees_of_freedom: float) -> Singles:
    """Of sqrt(nu / chi^2_nu): smooth in the normal quantile of the same probability, between whose steps it is a line."""
    factors = np.sqrt(degrees_of_freedom / scipy.special.chdtri(degrees_of_freedom, scipy.special.ndtr(_NORMAL_STEPS)))
    return np.asarray(np.interp(scipy.special.ndtri(_PROBABILITIES), _NORMAL_STEPS, factors), dtype=np.float32)
