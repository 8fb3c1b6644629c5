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

from hullscout.citations import HULL_OF_SAMPLES, Citation
from hullscout.selection.belief import heavy_tailed_samples
from hullscout.selection.decision import Decision, Stop
from hullscout.selection.fantasies import Fantasies, lookups_foreseen
from hullscout.selection.known import NONE
from hullscout.selection.rule import Rule, in_order, random_askable, random_compounds, starting_pure
from hullscout.selection.stopping import StopReason
from hullscout.selection.transforms import Transform

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hullscout.selection.belief import Belief
    from hullscout.selection.known import Floats, Indices, Known
    from hullscout.selection.stopping import StopSettings
    from hullscout.selection.surrogate import Surrogate

# A candidate is a contender while today's hull is within this many standard deviations below its mean.
REACH = 8.0
# Contenders within this many standard deviations are sampled jointly, nearest first, in this number at least and at most. The
# others count as independent: so far out it is the tail of each that matters.
JOINT_REACH = 3.0
MIN_SAMPLED, MAX_SAMPLED = 100, 300
# The stated probability looks back over this share of the calculations at most.
MAX_STEADY = 0.2
MODEL = Transform.CAP.value


class HullPosteriorRule(Rule):
    """Look up what most probably lowers the hull; stop when a wrong hull is improbable.

    A batch is chosen one by one: the candidate that is the deepest below the hull in most samples, per cost; then each sample is
    conditioned on it (its own value in that sample lowers the hull of that sample: a fantasy, and no refit), and the next is
    chosen from what is left. This is the probability that a lookup settles the largest error of the hull, which is what the stop
    waits for; expected lowering instead spends lookups on a few deep but unlikely candidates.
    """

    rule: Literal["hull-posterior"] = "hull-posterior"
    states_probability: ClassVar[bool] = True
    citations: ClassVar[tuple[Citation, ...]] = (HULL_OF_SAMPLES,)
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

    def start(self, known: Known) -> tuple[int, ...]:
        """The pure elements and `n_start` random compounds."""
        return (*starting_pure(known), *random_compounds(known, self.n_start))

    def believe(self, known: Known, surrogate: Surrogate, *, stop: StopSettings) -> Belief | None:
        """What the hull could still be, from what is known; None where nothing could be learned of it."""
        belief = surrogate.learn(known, Transform.CAP, energy_cap_ev_per_atom=self.energy_cap)
        if not belief.is_learned:
            return None
        sampled = self._sampled(belief, surrogate)
        now = sampled.probability_of_deeper(stop.hull_tolerance)
        recent = [decision.failure_probability for decision in self._recent(known)]
        return replace(sampled, failure_probability=now, stated_failure_probability=_highest(now, recent))

    def decide(self, known: Known, surrogate: Surrogate, *, stop: StopSettings) -> Decision:
        """The candidates that most probably settle the largest error of the hull."""
        belief = self.believe(known, surrogate, stop=stop)
        if belief is None or belief.failure_probability is None:
            return Decision(
                chosen=random_askable(known, self.batch),
                n_contenders=known.unknown.size,
                failure_probability=1.0,
                stated_failure_probability=1.0,
                settleable_probability=1.0,
                stated_settleable_probability=1.0,
            )
        settleable = belief.failure_probability
        if known.n_failed:
            settleable = belief.probability_of_deeper(stop.hull_tolerance, without=known.failed)
        depths = belief.depths_without(known.failed)
        return Decision(
            chosen=self._chosen(belief, depths, floor=0.5 * stop.hull_tolerance),
            n_contenders=belief.n_contenders,
            model_errors={MODEL: belief.model_error_ev_per_atom},
            failure_probability=belief.failure_probability,
            stated_failure_probability=belief.stated_failure_probability,
            settleable_probability=settleable,
            stated_settleable_probability=_highest(
                settleable, [decision.settleable_probability for decision in self._recent(known)]
            ),
            n_lookups_foreseen=lookups_foreseen(
                depths,
                known.x[belief.sampled],
                tolerance_ev_per_atom=stop.hull_tolerance,
                failure_probability=stop.failure_probability,
                cost=known.cost[belief.sampled],
            ),
            warm_starts={} if belief.best is None else {MODEL: belief.best},
        )

    def none_left(self, decision: Decision, stop: StopSettings) -> Stop:  # noqa: ARG002  the interface of all rules
        """The campaign ends since nothing is believed to be anywhere near the hull."""
        return Stop(
            reason=StopReason.ALL_CONTENDERS_KNOWN,
            sentence=f"Every unknown structure is predicted more than {REACH:g} standard deviations above the hull.",
        )

    def calculations_to_stay_low(self, n_candidates: int, n_asked: int) -> float:
        """`steady` of the pool, or a fifth of what was asked for if that is less."""
        return min(self.steady * n_candidates, MAX_STEADY * n_asked)

    def _sampled(self, belief: Belief, surrogate: Surrogate) -> Belief:
        """The belief with joint samples of the contenders, nearest first in standard deviations.

        Where none is within reach, a batch of the nearest is sampled.
        """
        known = belief.known
        unknown = known.unknown
        in_stds = (belief.mean_ev_per_atom - known.hull.energy_at(known.fractions))[unknown] / belief.std_ev_per_atom[
            unknown
        ]
        nearest = in_order(in_stds)
        n_contenders = int((in_stds < REACH).sum())
        # Whatever is pending or failed, the sample holds a batch that may be asked for.
        askable = np.flatnonzero(np.isin(unknown[nearest], known.askable))[: self.batch]
        n_joint = min(max(int((in_stds < JOINT_REACH).sum()), MIN_SAMPLED), MAX_SAMPLED, n_contenders)
        n_sampled = max([n_joint, *(askable[-1:] + 1).tolist()])
        sampled = unknown[nearest[:n_sampled]]
        return replace(
            belief,
            n_contenders=n_contenders,
            sampled=sampled,
            sampled_ev_per_atom=heavy_tailed_samples(
                surrogate.posterior(sampled), self.samples, known.rng(), degrees_of_freedom=self.degrees_of_freedom
            ),
            others=unknown[nearest[n_sampled:n_contenders]],
            tail_degrees_of_freedom=self.degrees_of_freedom,
        )

    def _chosen(self, belief: Belief, depths: Floats, *, floor: float) -> tuple[int, ...]:
        """The batch; the nearest in standard deviations where hardly a sample goes below the hull any more."""
        known, sampled = belief.known, belief.sampled
        picks = _most_often_deepest(
            depths,
            known.x[sampled],
            cost=known.cost[sampled],
            floor=floor,
            n=self.batch,
            taken=np.flatnonzero(np.isin(sampled, known.pending)),
        )
        chosen = sampled[picks] if picks else sampled[np.isin(sampled, known.askable)][: self.batch]
        return tuple(chosen.tolist())

    def _recent(self, known: Known) -> list[Decision]:
        """The decisions in the last `steady` calculations."""
        n_now, n_asked, recent = known.n_asked, 0, []
        n_back = self.calculations_to_stay_low(known.n_candidates, n_now)
        for decision in known.decisions:
            if n_asked >= n_now - n_back:
                recent.append(decision)
            n_asked += len(decision.chosen)
        return recent


def _highest(now: float, recent: Iterable[float | None]) -> float:
    """The highest of these probabilities; 1 before there was a model."""
    return max([now, *(1.0 if probability is None else probability for probability in recent)])


def _most_often_deepest(
    depths: Floats, x: Floats, *, cost: Floats, floor: float, n: int, taken: Indices = NONE
) -> list[int]:
    """Up to n columns of `depths`, each the deepest below the hull in most samples per cost, conditioned on those before it.

    Args:
        depths: (s, q) depth of contender j below the hull in sample i, eV/atom.
        x: (q,) compositions.
        cost: (q,) cost of looking each up, in any unit.
        floor: Depths up to this do not count, eV/atom.
        taken: Columns that are being calculated: each sample is conditioned on them first, and they are not picked.
    """
    fantasies = Fantasies(depths, x, floor=floor)
    for place in np.flatnonzero(np.isin(fantasies.columns, taken)).tolist():
        fantasies.look_up(place)
    return [int(pick) for pick in fantasies.look_up_deepest(n, cost=cost)]
