"""Select by what the hull could still be, and stop when it can hardly be wrong.

The failure probability. Let h(x) be today's hull and e_i the unknown energy of candidate i. The true hull lies more than the
tolerance t below today's at some composition exactly if some candidate does: the largest gap between two lower hulls is at a
vertex of the lower one, and that vertex is known (gap 0) or a candidate (gap h(x_i) - e_i). So P(failure) = P(min_i e_i - h(x_i)
< -t), read off joint samples of the posterior; no hull has to be built per sample.

What keeps it honest. Standard deviations are scaled so that the 95 % intervals of left-out labels hold (regression service).
Beyond that, a structure that the representation sees badly is wrong by itself, whatever its neighbours do: each candidate of a
sample gets a Student-t factor of its own, with the 95 % interval unchanged. Tails end at `REACH` standard deviations: whatever
is predicted further above the hull counts as above it, or the far tails of some hundred candidates would keep every campaign
going. And one low value is not enough, since a probability that dips is often followed by a surprise: what is stated is the
largest over the last calculations (`steady`). A final random audit of m of the n candidates left would find a single missed
ground state with probability m / n only, and is not made.

Source of posterior samples of a hull: Novick et al. (CAL), arXiv 2402.15582. The stop and the tails are ours.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from hullscout.regression import student_quantile
from hullscout.selection.foresight import Fantasies, lookups_foreseen
from hullscout.selection.interface import NONE, Proposal, Snapshot, Stop, StopReason, in_order
from hullscout.selection.outlook import HullOutlook, heavy_tailed_samples
from hullscout.selection.start import end_members, random_compounds
from hullscout.selection.transforms import Transform
from hullscout.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hullscout.selection.interface import Floats, Indices, RoundRecord
    from hullscout.selection.stopping import StopSettings
    from hullscout.selection.surrogate import Surrogate, SurrogateFit

# A candidate is a contender while today's hull is within this many standard deviations below its mean.
REACH = 8.0
# Contenders within this many standard deviations are sampled jointly, nearest first, in this number at least and at most. The
# others count as independent: so far out it is the tail of each that matters.
JOINT_REACH = 3.0
LEAST_SAMPLED, MOST_SAMPLED = 100, 300
# The stated probability looks back over this share of the calculations at most.
MOST_STEADY = 0.2
MODEL = Transform.CAP.value


class HullPosteriorRule(Settings):
    """Look up what most probably lowers the hull; stop when a wrong hull is improbable.

    A batch is chosen one by one: the candidate that is the deepest below the hull in most samples, per cost; then each sample is
    conditioned on it (its own value in that sample lowers the hull of that sample: a fantasy, and no refit), and the next is
    chosen from what is left. This is the probability that a lookup settles the largest error of the hull, which is what the stop
    waits for; expected lowering instead spends lookups on a few deep but unlikely candidates.
    """

    rule: Literal["hull-posterior"] = "hull-posterior"
    states_probability: ClassVar[bool] = True
    batch: PositiveInt = 4
    """Structures looked up in one round."""
    n_start: NonNegativeInt = 10
    """Random compounds looked up at the start, beside the pure elements."""
    energy_cap: PositiveFloat = 0.6
    """Heights above today's hull are capped smoothly at this, eV/atom: what lies far above says nothing of the hull."""
    samples: int = Field(default=2000, ge=100)
    """Posterior samples per round; the probability is never stated below one over their number while a contender is left."""
    degrees_of_freedom: float = Field(default=4.0, ge=1, allow_inf_nan=False)
    """Of the Student-t factor of each candidate in a sample: fewer mean heavier tails."""
    steady: float = Field(default=0.03, ge=0, lt=1)
    """The probability must have stayed low while this share of the pool was looked up, or a fifth of what is known if less."""

    def start(self, snapshot: Snapshot) -> tuple[int, ...]:
        """The pure elements and `n_start` random compounds."""
        return (*end_members(snapshot), *random_compounds(snapshot, self.n_start))

    def outlook(self, snapshot: Snapshot, surrogate: Surrogate) -> HullOutlook | None:
        """What the hull could still be, from what is known; None where nothing could be learned of it."""
        fit = self.fit(snapshot, surrogate)
        return self.outlook_of(fit, snapshot, surrogate) if fit.is_learned else None

    def fit(self, snapshot: Snapshot, surrogate: Surrogate) -> SurrogateFit:
        """The model of formation energies whose heights above today's hull are capped, from what is known."""
        labels, baseline = Transform.CAP(snapshot, energy_cap_ev_per_atom=self.energy_cap)
        warm_start = surrogate.warm_start(MODEL, snapshot.history)
        return surrogate.fit(snapshot.known, labels, baseline=baseline, warm_start=warm_start)

    def stated(self, snapshot: Snapshot, failure_probability: float) -> float:
        """The probability that the rule stands by: the largest of this round's and of those in the last `steady` calculations."""
        return _highest(failure_probability, (record.failure_probability for record in self._recent(snapshot)))

    def select(self, snapshot: Snapshot, surrogate: Surrogate, *, stop: StopSettings) -> Proposal:
        """The candidates that most probably settle the largest error of the hull, or stop."""
        fit = self.fit(snapshot, surrogate)
        if not fit.is_learned:
            chosen = snapshot.rng().permutation(snapshot.askable)[: self.batch]
            return Proposal(
                chosen=tuple(chosen.tolist()),
                n_contenders=snapshot.unknown.size,
                failure_probability=1.0,
                stated_failure_probability=1.0,
                settleable_probability=1.0,
            )
        outlook = self.outlook_of(fit, snapshot, surrogate)
        now = outlook.failure_probability(stop.hull_tolerance)
        settleable = (
            outlook.failure_probability(stop.hull_tolerance, without=snapshot.failed) if snapshot.failed.size else now
        )
        stated = self.stated(snapshot, now)
        end = self._end(outlook, stated, stop=stop)
        if end is None and snapshot.failed.size:
            recent = (record.settleable_probability for record in self._recent(snapshot))
            left = _highest(settleable, recent)
            end = _end_with_failed(left, stated, n_failed=snapshot.failed.size, stop=stop)
        return Proposal(
            chosen=() if end else self._choose(snapshot, outlook, floor=0.5 * stop.hull_tolerance),
            stop=end,
            n_contenders=outlook.n_contenders,
            model_errors={MODEL: fit.leave_one_out_rmse},
            failure_probability=now,
            stated_failure_probability=stated,
            settleable_probability=settleable,
            n_lookups_foreseen=lookups_foreseen(
                _without(outlook, snapshot.failed),
                snapshot.x[outlook.sampled],
                tolerance_ev_per_atom=stop.hull_tolerance,
                failure_probability=stop.failure_probability,
                cost=snapshot.cost[outlook.sampled],
            ),
            warm_starts={} if fit.best is None else {MODEL: fit.best},
        )

    def outlook_of(self, fit: SurrogateFit, snapshot: Snapshot, surrogate: Surrogate) -> HullOutlook:
        """What the hull could still be under the surrogate's last fit, one that learned something.

        Sampled are the contenders, nearest first in standard deviations; a batch of the nearest where none is within reach.
        """
        hull, unknown = snapshot.hull, snapshot.unknown
        height = (fit.mean - hull.energy_at(snapshot.x))[unknown]
        std = fit.std[unknown]
        in_stds = height / std
        nearest = in_order(in_stds)
        n_contenders = int((in_stds < REACH).sum())
        # Whatever is pending or failed, the sample holds a batch that may be asked for.
        askable = np.flatnonzero(np.isin(unknown[nearest], snapshot.askable))[: self.batch]
        n_joint = min(max(int((in_stds < JOINT_REACH).sum()), LEAST_SAMPLED), MOST_SAMPLED, n_contenders)
        n_sampled = max([n_joint, *(askable[-1:] + 1).tolist()])
        sampled, others = nearest[:n_sampled], nearest[n_sampled:n_contenders]
        posterior = surrogate.posterior(unknown[sampled])
        interval = student_quantile(0.975, posterior.degrees_of_freedom) / student_quantile(
            0.975, self.degrees_of_freedom
        )
        return HullOutlook(
            x=snapshot.x,
            hull=replace(hull, indices=snapshot.known[hull.indices]),
            n_contenders=n_contenders,
            sampled=unknown[sampled],
            energies_ev_per_atom=heavy_tailed_samples(
                posterior, self.samples, snapshot.rng(), degrees_of_freedom=self.degrees_of_freedom
            ),
            others=unknown[others],
            others_height_ev_per_atom=height[others],
            others_scale_ev_per_atom=interval * std[others],
            degrees_of_freedom=self.degrees_of_freedom,
        )

    def _choose(self, snapshot: Snapshot, outlook: HullOutlook, *, floor: float) -> tuple[int, ...]:
        """The batch; the nearest in standard deviations where hardly a sample goes below the hull any more."""
        sampled = outlook.sampled
        picks = _most_often_deepest(
            _without(outlook, snapshot.failed),
            snapshot.x[sampled],
            cost=snapshot.cost[sampled],
            floor=floor,
            n=self.batch,
            taken=np.flatnonzero(np.isin(sampled, snapshot.pending)),
        )
        chosen = sampled[picks] if picks else sampled[np.isin(sampled, snapshot.askable)][: self.batch]
        return tuple(chosen.tolist())

    def _end(self, outlook: HullOutlook, stated: float, *, stop: StopSettings) -> Stop | None:
        if stated >= stop.failure_probability:
            return None
        tolerance = f"{1000 * stop.hull_tolerance:g} meV/atom"
        if outlook.n_contenders == 0:
            return Stop(
                reason=StopReason.ALL_CONTENDERS_KNOWN,
                sentence=f"Every unknown structure is predicted more than {REACH:g} standard deviations above the hull.",
            )
        return Stop(
            reason=StopReason.FAILURE_PROBABILITY,
            sentence=(
                f"The probability that the hull is wrong by more than {tolerance} is {100 * stated:.1f} %, below the accepted "
                f"{100 * stop.failure_probability:g} %."
            ),
        )

    def _recent(self, snapshot: Snapshot) -> list[RoundRecord]:
        """The rounds in the last `steady` calculations."""
        n_now, n_asked, recent = snapshot.n_asked, 0, []
        n_back = min(self.steady * snapshot.x.size, MOST_STEADY * n_now)
        for record in snapshot.history:
            if n_asked >= n_now - n_back:
                recent.append(record)
            n_asked += len(record.chosen)
        return recent


def _without(outlook: HullOutlook, failed: Indices) -> Floats:
    """(s, q) depths of the sampled candidates, those that failed far above the hull."""
    depths = outlook.depths_ev_per_atom
    return np.where(np.isin(outlook.sampled, failed), -np.inf, depths) if failed.size else depths


def _highest(now: float, recent: Iterable[float | None]) -> float:
    """The highest of these probabilities; 1 before there was a model."""
    return max([now, *(1.0 if probability is None else probability for probability in recent)])


def _end_with_failed(left: float, stated: float, *, n_failed: int, stop: StopSettings) -> Stop | None:
    """The end where nothing but failed candidates keeps the hull uncertain."""
    if left >= stop.failure_probability:
        return None
    return Stop(
        reason=StopReason.ONLY_FAILED_LEFT,
        sentence=(
            f"What can still be calculated moves the hull by more than {1000 * stop.hull_tolerance:g} meV/atom with a probability "
            f"of {100 * left:.1f} %, below the accepted {100 * stop.failure_probability:g} %. With the candidates that failed "
            f"({n_failed}) the probability of a wrong hull is {100 * stated:.1f} %."
        ),
    )


def _most_often_deepest(
    depths: Floats, x: Floats, *, cost: Floats, floor: float, n: int, taken: Indices = NONE
) -> list[int]:
    """Up to n columns of `depths`, each the deepest below the hull in most samples per cost, conditioned on those before it.

    Args:
        depths: (s, q) depth of contender j below the hull in sample i, eV/atom.
        x: (q,) compositions.
        cost: (q,) cost of looking each up, in any unit.
        floor: Depths up to this do not count, eV/atom.
        n: Size of the batch.
        taken: Columns that are being calculated: each sample is conditioned on them first, and they are not picked.
    """
    fantasies = Fantasies(depths, x, floor=floor)
    for place in np.flatnonzero(np.isin(fantasies.columns, taken)).tolist():
        fantasies.look_up(place)
    return [int(pick) for pick in fantasies.look_up_deepest(n, cost=cost)]
