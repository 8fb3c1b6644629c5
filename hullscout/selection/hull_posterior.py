"""Select by what the hull could still be, and stop when it can hardly be wrong.

The failure probability. Let h(x) be today's hull and e_i the unknown energy of candidate i. The true hull lies more than the
tolerance t below today's at some composition exactly if some candidate does: the largest gap between two lower hulls is at a
vertex of the lower one, and that vertex is known (gap 0) or a candidate (gap h(x_i) - e_i). So P(failure) = P(min_i e_i - h(x_i)
< -t), read off joint samples of the posterior; no hull has to be built per sample.

What keeps it honest. Standard deviations are scaled so that the 95 % intervals of left-out labels hold (regression service).
Beyond that, a structure that the representation sees badly is wrong by itself, whatever its neighbours do: each candidate of a
sample gets a Student-t factor of its own, with the 95 % interval unchanged. Six degrees of freedom describe the low side of
z-scores of candidates not yet looked up on pools of several lattices and on fcc and bcc enumerations. And one low value is not
enough: what is stated is the largest probability over the last fifth of the calculations.

Source of posterior samples of a hull: Novick et al. (CAL), arXiv 2402.15582. The stop and the tails are ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from hullscout.regression.calibration import student_quantile
from hullscout.selection.interface import Proposal, Snapshot, Stop, StopReason
from hullscout.selection.start import end_members
from hullscout.selection.transforms import Transform
from hullscout.settings import Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hullscout.regression import MixturePosterior
    from hullscout.selection.stopping import StopSettings
    from hullscout.selection.surrogate import Surrogate

    Floats = NDArray[np.float64]
    Indices = NDArray[np.intp]

# A candidate is a contender while today's hull is within this many standard deviations below its mean.
REACH = 8.0
# At most so many contenders, nearest first: the joint covariance is contenders x contenders.
MOST_CONTENDERS = 400
MODEL = Transform.CAP.value


class HullPosteriorRule(Settings):
    """Look up what most probably lowers the hull; stop when a wrong hull is improbable.

    A batch is chosen one by one: the candidate that is the deepest below the hull in most samples; then each sample is
    conditioned on it (its own value in that sample lowers the hull of that sample), and the next is chosen from what is left.
    This is the probability that a lookup settles the largest error of the hull, which is what the stop waits for; expected
    depth instead spends lookups on a few deep but unlikely candidates.
    """

    rule: Literal["hull-posterior"] = "hull-posterior"
    batch: PositiveInt = 4
    """Structures looked up in one round."""
    n_start: NonNegativeInt = 10
    """Random compounds looked up at the start, beside the pure elements."""
    energy_cap: PositiveFloat = 0.6
    """Heights above today's hull are capped smoothly at this, eV/atom: what lies far above says nothing of the hull."""
    samples: PositiveInt = 2000
    """Posterior samples per round."""
    degrees_of_freedom: PositiveFloat = 6.0
    """Of the Student-t factor of each candidate in a sample: fewer mean heavier tails."""
    steady: float = Field(default=0.2, ge=0, lt=1)
    """The probability must have stayed low over this share of the calculations so far."""

    def start(self, snapshot: Snapshot) -> tuple[int, ...]:
        """The pure elements and `n_start` random compounds."""
        compounds = np.flatnonzero((snapshot.x > 0) & (snapshot.x < 1))
        return (*end_members(snapshot), *snapshot.rng().permutation(compounds)[: self.n_start].tolist())

    def select(self, snapshot: Snapshot, surrogate: Surrogate, *, stop: StopSettings) -> Proposal:
        """The candidates that most probably settle the largest error of the hull, or stop."""
        labels = Transform.CAP(snapshot, energy_cap_ev_per_atom=self.energy_cap)
        warm_start = snapshot.warm_start(MODEL, cold_every=surrogate.settings.cold_start_every)
        fit = surrogate.fit(snapshot.known, labels, warm_start=warm_start)
        unknown = snapshot.unknown
        if not fit.is_learned:
            chosen = snapshot.rng().permutation(unknown)[: self.batch]
            return Proposal(
                chosen=tuple(chosen.tolist()),
                n_contenders=unknown.size,
                failure_probability=1.0,
                stated_failure_probability=1.0,
            )
        height = (fit.mean - snapshot.hull.energy_at(snapshot.x))[unknown]
        in_stds = height / fit.std[unknown]
        nearest = np.argsort(in_stds, kind="stable")
        contenders = nearest[in_stds[nearest] < REACH][:MOST_CONTENDERS]
        depths = self._depths(snapshot, surrogate, unknown[contenders])
        now = float((depths.max(axis=1, initial=-np.inf) > stop.hull_tolerance).mean())
        stated = max([now, *self._recent(snapshot)])
        picks = _most_often_deepest(
            depths, snapshot.x[unknown[contenders]], floor=0.5 * stop.hull_tolerance, n=self.batch
        )
        # Where no sample goes below the hull any more, the nearest in standard deviations are next.
        chosen = unknown[contenders[picks]] if picks else unknown[nearest[: self.batch]]
        end = None
        if stated < stop.failure_probability:
            sentence = (
                f"The probability that the hull is wrong by more than {1000 * stop.hull_tolerance:g} meV/atom is "
                f"{100 * stated:.1f} %, below the accepted {100 * stop.failure_probability:g} %."
            )
            end = Stop(reason=StopReason.FAILURE_PROBABILITY, sentence=sentence)
        return Proposal(
            chosen=() if end else tuple(chosen.tolist()),
            stop=end,
            n_contenders=contenders.size,
            model_errors={MODEL: fit.leave_one_out_rmse},
            failure_probability=now,
            stated_failure_probability=stated,
            warm_starts={} if fit.warm_start is None else {MODEL: fit.warm_start},
        )

    def _depths(self, snapshot: Snapshot, surrogate: Surrogate, contenders: Indices) -> Floats:
        """(s, q) depth of each contender below today's hull in each sample, eV/atom."""
        if contenders.size == 0:
            return np.empty((self.samples, 0))
        samples = heavy_tailed_samples(
            surrogate.posterior(contenders), self.samples, snapshot.rng(), degrees_of_freedom=self.degrees_of_freedom
        )
        return snapshot.hull.energy_at(snapshot.x[contenders]) - samples

    def _recent(self, snapshot: Snapshot) -> list[float]:
        """Probabilities of the rounds in the last `steady` share of the calculations; 1 before there was a model."""
        n_now, n_known, recent = snapshot.known.size, 0, []
        for record in snapshot.history:
            if n_known >= (1.0 - self.steady) * n_now:
                recent.append(1.0 if record.failure_probability is None else record.failure_probability)
            n_known += len(record.chosen)
        return recent


def heavy_tailed_samples(
    posterior: MixturePosterior, n: int, rng: np.random.Generator, *, degrees_of_freedom: float
) -> Floats:
    """Joint samples (n, q) in which each candidate has a tail of its own.

    A component by weight, a correlated Gaussian around its mean, and for each candidate an independent factor
    sqrt(nu / chi^2_nu), so that margins are Student-t. The scale keeps the half width of the posterior's 95 % interval.

    Args:
        posterior: Of q candidates.
        n: Number of samples.
        rng: Source of randomness.
        degrees_of_freedom: nu.
    """
    believed = posterior.scale * student_quantile(0.975, posterior.degrees_of_freedom)
    scale = believed / student_quantile(0.975, degrees_of_freedom)
    samples = []
    for count, mean, covariance in zip(
        rng.multinomial(n, posterior.weights), posterior.means, posterior.covariances, strict=True
    ):
        gaussian = rng.standard_normal((count, mean.size)) @ _root(covariance).T
        tails = np.sqrt(degrees_of_freedom / rng.chisquare(degrees_of_freedom, size=gaussian.shape))
        samples.append(mean + scale * tails * gaussian)
    return np.concatenate(samples)


def _root(covariance: Floats) -> Floats:
    """A matrix whose square is the covariance: by Cholesky, or by eigenvalues where candidates coincide."""
    try:
        return np.asarray(np.linalg.cholesky(covariance))
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(covariance)
        return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def _most_often_deepest(depths: Floats, x: Floats, *, floor: float, n: int) -> list[int]:
    """Up to n columns of `depths`, each the deepest below the hull in most samples after conditioning on those before it.

    Args:
        depths: (s, q) depth of contender j below the hull in sample i, eV/atom.
        x: (q,) compositions.
        floor: Depths up to this do not count, eV/atom.
        n: Size of the batch.
    """
    left = depths.copy()
    picks: list[int] = []
    rows = np.arange(left.shape[0])
    while len(picks) < min(n, left.shape[1]):
        deepest = left.argmax(axis=1)
        counts = np.bincount(deepest[left[rows, deepest] > floor], minlength=left.shape[1])
        pick = int(counts.argmax())
        if counts[pick] == 0:
            break
        picks.append(pick)
        # A point at depth d lowers the hull by at most d times the tent between it and the pure elements.
        left -= np.maximum(left[:, pick], 0.0)[:, None] * _tent(x, float(x[pick]))
        left[:, pick] = -np.inf
    return picks


def _tent(x: Floats, peak: float) -> Floats:
    """1 at `peak`, linear to 0 at both pure elements; at a pure element 1 only there."""
    if peak in (0.0, 1.0):
        return np.asarray(x == peak, dtype=np.float64)
    return np.minimum(x / peak, (1.0 - x) / (1.0 - peak))
