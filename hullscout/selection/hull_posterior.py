"""Select by what the hull could still be, and stop when it can hardly be wrong.

The failure probability. Let h(x) be today's hull and e_i the unknown energy of candidate i. The true hull lies more than the
tolerance t below today's at some composition exactly if some candidate does: the largest gap between two lower hulls is at a
vertex of the lower one, and that vertex is known (gap 0) or a candidate (gap h(x_i) - e_i). So P(failure) = P(min_i e_i - h(x_i)
< -t), read off joint samples of the posterior; no hull has to be built per sample.

What keeps it honest. Standard deviations are scaled so that left-out labels near the hull hold (`Surrogate.fit`); how often a share
of samples comes true, and how often a ground state comes that no sample shows, was observed on many alloys (`alloys`). Tails end at
`REACH` standard deviations: whatever is predicted further above the hull is a loner, if anything.

Source of posterior samples of a hull: Novick et al. (CAL), arXiv 2402.15582. The stop is ours.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from hullscout.citations import COARSENING, COVERING, HULL_OF_SAMPLES, Citation
from hullscout.display import PERCENT
from hullscout.hull import of_all_elements, systems
from hullscout.selection.alloys import LONER_RATE, judged, loner_probabilities, observed, stated_for
from hullscout.selection.belief import heavy_tailed_samples
from hullscout.selection.decision import Decision, Stop
from hullscout.selection.rule import Rule, in_order, starting_pure
from hullscout.selection.stopping import StopReason
from hullscout.selection.transforms import Transform
from hullscout.settings import Amount, Count, CountOrZero  # noqa: TC001  pydantic reads them

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
MIN_SAMPLED, MAX_SAMPLED = 100, 200
# The stated probability looks back over this share of the calculations at most.
MAX_STEADY = 0.2
# Of three elements or more it looks back over this share of the pool at least: one low probability is sooner by chance where there
# are more directions in which the model can err.
STEADY_OF_MORE = 0.02
# Beyond the first of a batch, candidates are chosen while samples show this much left to settle.
MIN_SHARE = 0.02
# Loners are foreseen to be looked up until they take this share of the accepted probability.
LONER_SHARE = 0.8
# Samples that are played forward: enough to tell 1 % from 5 %; all samples of a round would take as long as the round.
MAX_PLAYED = 500
# Smaller pools are hardly among those that stated probabilities were fitted to.
MIN_JUDGED = 130
PARTS_OF_SYSTEM = 4
"""Of three elements or more, one of so many compounds of a system at most is looked up at the start."""
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
    citations: ClassVar[tuple[Citation, ...]] = (HULL_OF_SAMPLES, COARSENING, COVERING)
    batch: Count | None = None
    """Structures looked up in one round; by default one, or where whole rounds are awaited, what is calculated at the same time."""
    n_start: CountOrZero = 6
    """Compounds looked up before a model is asked, far apart in their features, beside the structures of the pure elements; of
    three elements or more so many of each two, and of all others together, and no more than a quarter of each."""
    energy_cap: Amount = 0.6
    """Heights above today's hull are capped smoothly at this, eV/atom: what lies far above says nothing of the hull."""
    samples: int = Field(default=2000, ge=100, le=100_000)
    """Posterior samples per round; the probability is never stated below one over their number while a contender is left."""
    degrees_of_freedom: float = Field(default=30.0, ge=1, le=1e6, allow_inf_nan=False)
    """Of the Student-t factor of each candidate in a sample, at most: fewer mean heavier tails, and so do few labels."""
    steady: float = Field(default=0.0, ge=0, lt=1)
    """The probability must have stayed low while this share of the pool was looked up, or a fifth of what is known if less."""

    def start(self, known: Known) -> tuple[int, ...]:
        """All structures of the pure elements."""
        return starting_pure(known)

    def begin(self, known: Known, surrogate: Surrogate) -> tuple[int, ...]:
        """Beside them, compounds that cover the pool: those of each two elements, and those of more, less what was known before."""
        chosen, rng = self.start(known), known.rng()
        for those in systems(known.fractions):
            n_wanted = self._n_new_of(those, known)
            chosen += surrogate.spread_out(known, n_wanted, beside=chosen, among=those, rng=rng)
        return chosen

    def n_at_start(self, known: Known) -> int:
        """The structures of the pure elements, and `n_start` compounds where there are as many, less what was known before."""
        return len(self.start(known)) + sum(self._n_new_of(those, known) for those in systems(known.fractions))

    def _n_new_of(self, system: Indices, known: Known) -> int:
        """Compounds of a system to look up at the start."""
        n_given = int(np.isin(known.given, system).sum())
        return min(max(0, self._n_start_of(system, known) - n_given), system.size - n_given)

    def _n_start_of(self, system: Indices, known: Known) -> int:
        """`n_start`; of each of several systems no more than a share, since many small ones would be most of the pool."""
        is_alone = known.fractions.shape[1] == 1
        return self.n_start if is_alone else min(self.n_start, -(-system.size // PARTS_OF_SYSTEM))

    def believe(self, known: Known, surrogate: Surrogate, *, stop: StopSettings) -> Belief | None:
        """What the hull could still be, from what is known; None where nothing could be learned of it."""
        if self._n_to_cover(known) > 0:
            return None
        belief = surrogate.learn(known, Transform.CAP, energy_cap_ev_per_atom=self.energy_cap)
        if not belief.is_learned:
            return None
        sampled = self._sampled(belief, surrogate)
        loners = loner_probabilities(known, belief.mean_ev_per_atom, tolerance_ev_per_atom=stop.hull_tolerance)
        sampled = replace(sampled, loner_probability=loners)
        now = sampled.probability_of_wrong_hull(stop.hull_tolerance)
        recent = [decision.failure_probability for decision in self._recent(known)]
        return replace(sampled, failure_probability=now, stated_failure_probability=_highest(now, recent))

    def decide(self, known: Known, surrogate: Surrogate, *, stop: StopSettings) -> Decision:
        """The candidates that make the probability of a wrong hull fall fastest."""
        belief = self.believe(known, surrogate, stop=stop)
        if belief is None or belief.failure_probability is None:
            return Decision(
                chosen=surrogate.spread_out(known, self._n_to_cover(known) or self.batch or 1),
                n_contenders=known.unknown.size,
                failure_probability=1.0,
                stated_failure_probability=1.0,
                settleable_probability=1.0,
                stated_settleable_probability=1.0,
            )
        settleable = belief.failure_probability
        if known.n_failed:
            settleable = belief.probability_of_wrong_hull(stop.hull_tolerance, without=known.failed)
        earlier = [decision.settleable_probability for decision in self._recent(known)]
        depths = belief.depths_ev_per_atom
        if known.n_failed:
            depths = np.where(np.isin(belief.sampled, known.failed), -np.inf, depths)
        foreseen = self._foreseen(belief, depths, stop=stop)
        return Decision(
            chosen=self._chosen(belief, depths, floor=0.5 * stop.hull_tolerance),
            n_contenders=belief.n_contenders,
            model_errors={MODEL: belief.model_error_ev_per_atom},
            failure_probability=belief.failure_probability,
            stated_failure_probability=belief.stated_failure_probability,
            loner_probability=float(belief.loner_probability.sum()),
            settleable_probability=settleable,
            stated_settleable_probability=_highest(settleable, earlier),
            n_lookups_foreseen=foreseen,
        )

    def none_left(self, decision: Decision, stop: StopSettings) -> Stop:  # noqa: ARG002  the interface of all rules
        """The campaign ends since nothing is believed to be anywhere near the hull."""
        return Stop(
            reason=StopReason.ALL_CONTENDERS_KNOWN,
            sentence=f"Every unknown structure is predicted more than {REACH:g} standard deviations above the hull.",
        )

    def cautions(self, stop: StopSettings, *, n_candidates: int) -> tuple[str, ...]:
        """That a small accepted probability is paid for, and when it cannot be stated; that small pools were judged less well."""
        accepted, said = stop.failure_probability, []
        if accepted < LONER_RATE:
            calculated = ", ".join(
                f"{PERCENT * (1.0 - row['saved_fraction']):.0f} % of the pool at {PERCENT * row['stated']:g} %"
                for row in judged()["observed"]
                if row["stated"] < LONER_RATE
            )
            said.append(
                f"stop.failure_probability: some {PERCENT * LONER_RATE:.0f} % of alloys hold a ground state that no model sees "
                f"coming, so to accept {PERCENT * accepted:g} % only, most structures that could be one are calculated. Replays "
                f"took {calculated}, of small pools more, and of all pools more below that."
            )
        finest = observed(1.0 / self.samples)
        if accepted <= finest:
            said.append(
                f"stop.failure_probability: select.samples = {self.samples} tell no probability below {PERCENT * finest:.2g} % "
                f"while a structure may lie on the hull, so {PERCENT * accepted:.2g} % is not reached before all of these are "
                "known."
            )
        if n_candidates < MIN_JUDGED:
            said.append(
                f"{n_candidates} candidates are few: stated probabilities were fitted to pools of more than {MIN_JUDGED} mostly, "
                "and little is saved of smaller ones. Where much depends on the hull, calculate all of them."
            )
        return tuple(said)

    def meaning(self) -> dict[str, Any]:
        """Over alloys; with what was observed on many, by name."""
        return {
            "sentence": (
                "Of a hundred alloys whose campaigns end at a stated 5 %, some five have a hull that is wrong by more than the "
                "tolerance. Observed on alloys of two elements with the default settings, each alloy judged by constants that "
                "were fitted without it."
            ),
            **judged(),
        }

    def calculations_to_stay_low(self, n_candidates: int, n_asked: int) -> float:
        """`steady` of the pool, or a fifth of what was asked for if that is less."""
        return min(self.steady * n_candidates, MAX_STEADY * n_asked)

    def _sampled(self, belief: Belief, surrogate: Surrogate) -> Belief:
        """The belief with joint samples of the contenders, nearest first in standard deviations.

        Where none is within reach, a batch of the nearest is sampled.
        """
        known = belief.known
        unknown = known.unknown
        height = belief.mean_ev_per_atom - known.hull.energy_at(known.fractions)
        in_stds = height[unknown] / belief.std_ev_per_atom[unknown]
        nearest = in_order(in_stds)
        n_contenders = int((in_stds < REACH).sum())
        # Whatever is pending or failed, the sample holds a batch that may be asked for.
        askable = np.flatnonzero(np.isin(unknown[nearest], known.askable))[: self.batch or 1]
        n_joint = min(max(int((in_stds < JOINT_REACH).sum()), MIN_SAMPLED), MAX_SAMPLED, n_contenders)
        n_sampled = max([n_joint, *(askable[-1:] + 1).tolist()])
        sampled = unknown[nearest[:n_sampled]]
        tails = min(self.degrees_of_freedom, belief.degrees_of_freedom)
        return replace(
            belief,
            n_contenders=n_contenders,
            sampled=sampled,
            sampled_ev_per_atom=heavy_tailed_samples(
                surrogate.posterior(sampled), self.samples, known.rng(), degrees_of_freedom=tails
            ),
            others=unknown[nearest[n_sampled:n_contenders]],
            tail_degrees_of_freedom=tails,
        )

    def _chosen(self, belief: Belief, depths: Floats, *, floor: float) -> tuple[int, ...]:
        """The batch: what makes the stated probability fall fastest per cost.

        That is what most often is the deepest in samples; once that is rarer than a loner is probable, the likeliest loners. A
        batch shrinks near the end: beyond the first, one is chosen only while samples show more than `MIN_SHARE` left to settle.
        """
        known, sampled = belief.known, belief.sampled
        cost, taken = known.cost[sampled], np.flatnonzero(np.isin(sampled, known.pending))
        fantasies = Fantasies(depths, known.fractions[sampled], floor=floor)
        for place in np.flatnonzero(np.isin(fantasies.columns, taken)).tolist():
            fantasies.look_up(place)
        askable = known.askable
        loners = belief.loner_probability[askable] / known.cost[askable]
        likeliest = float(loners.max(initial=0.0))
        settled = fantasies.share_of_deepest / cost
        if settled.max(initial=0.0) <= likeliest:
            best_first = in_order(-loners / max(likeliest, float(np.finfo(np.float64).tiny)))
            return tuple(askable[best_first][: self.batch or 1].tolist())
        if self.batch in (None, 1):
            return (int(sampled[settled.argmax()]),)
        first = fantasies.look_up_deepest(1, cost=cost)
        more = fantasies.look_up_deepest(self.batch - 1, least=MIN_SHARE * depths.shape[0], cost=cost)
        return tuple(sampled[[*first, *more]].tolist())

    def _n_to_cover(self, known: Known) -> int:
        """Compounds to look up before a model is asked."""
        n_askable = int(known.askable.size)
        return max(0, min(self.n_at_start(known) - (known.n_calculable - n_askable), n_askable))

    def _foreseen(self, belief: Belief, depths: Floats, *, stop: StopSettings) -> int:
        """Lookups to the stop as they look today, of likely loners and of what samples show below the hull."""
        known, accepted = belief.known, stop.failure_probability
        loners = -np.sort(-belief.loner_probability)
        left = loners.sum() - np.cumsum(loners)
        n_loners = 0 if loners.sum() < LONER_SHARE * accepted else 1 + int(np.argmax(left < LONER_SHARE * accepted))
        by_loners = min(float(loners.sum()), LONER_SHARE * accepted)
        return n_loners + lookups_foreseen(
            depths,
            known.fractions[belief.sampled],
            tolerance_ev_per_atom=stop.hull_tolerance,
            failure_probability=stated_for(1.0 - (1.0 - accepted) / (1.0 - by_loners), has_prior=belief.has_prior),
            cost=known.cost[belief.sampled],
        )

    def _recent(self, known: Known) -> list[Decision]:
        """The decisions in the last `steady` calculations."""
        n_now, n_asked, recent = known.n_asked, 0, []
        n_back = self.calculations_to_stay_low(known.n_candidates, n_now)
        if known.fractions.shape[1] > 1:
            n_back = max(n_back, min(STEADY_OF_MORE * known.n_candidates, MAX_STEADY * n_now))
        for place, decision in enumerate(known.decisions):
            if n_asked >= n_now - n_back:
                # What was stated of a smaller pool says nothing of what was added to it.
                is_of_this_pool = place >= max(known.added_after, default=0)
                recent.append(decision if is_of_this_pool else Decision())
            n_asked += len(decision.chosen)
        return recent


def _highest(now: float, recent: Iterable[float | None]) -> float:
    """The highest of these probabilities; 1 before there was a model."""
    return max([now, *(1.0 if probability is None else probability for probability in recent)])


class Fantasies:
    """Samples of what the candidates could be, each lowered by what is looked up in it, one lookup after the other.

    Args:
        depths: (s, q) depth of candidate j below the hull of sample i, eV/atom; negative above it. Left unchanged.
        fractions: (q, k) atomic fractions of the elements after the first, or (q,) of the second of two.
        floor: Depths up to this (and exactly this) do not count, eV/atom; 0 or more.

    Attributes:
        columns: (c,) the candidates that count in some sample: all others are left out of what follows.
    """

    def __init__(self, depths: Floats, fractions: Floats, *, floor: float) -> None:
        from hullscout.selection import sample_kernels  # noqa: PLC0415  loads numba

        self._n = depths.shape
        self._floor = floor
        columns, *of_samples = sample_kernels.deeper_than(floor, depths)
        self.columns: Indices = columns
        self._state = (of_all_elements(fractions[columns]), *of_samples)

    @property
    def share_of_deepest(self) -> Floats:
        """(q,) share of all samples in which each candidate is the deepest below the hull, by more than the floor."""
        deepest, depth = self._state[2:]
        counts = np.bincount(self.columns[deepest[depth > self._floor]], minlength=self._n[1])
        return np.asarray(counts / max(self._n[0], 1))

    def look_up(self, place: int) -> None:
        """Lower the hull of each sample by the candidate at a place in `columns`, at its energy there; it counts no more."""
        from hullscout.selection import sample_kernels  # noqa: PLC0415  loads numba

        sample_kernels.look_up(place, *self._state)

    def look_up_deepest(self, n_most: int, *, least: float = 1.0, cost: Floats | None = None) -> Indices:
        """Look up the candidate that is the deepest in most samples per cost (q,), then the next: their indices among the q.

        It ends when fewer samples than `least`, or none, go deeper than the floor.
        """
        from hullscout.selection import sample_kernels  # noqa: PLC0415  loads numba

        relative = np.ones(self.columns.size) if cost is None else cost[self.columns]
        n_most = min(n_most, self.columns.size)
        places = sample_kernels.look_up_deepest(n_most, float(least), self._floor, relative, *self._state)
        return np.asarray(self.columns[places], dtype=np.intp)


def lookups_foreseen(
    depths: Floats,
    fractions: Floats,
    *,
    tolerance_ev_per_atom: float,
    failure_probability: float,
    cost: Floats | None = None,
) -> int:
    """Lookups, 0 to q, until strictly less than the accepted share of samples goes deeper than the tolerance.

    As if each lookup told only of itself: the choice of a batch is played forward on samples to the stop, each a possible truth. A
    lookup also teaches of other candidates (fewer lookups), and the model is at times surprised (more); a forecast corrects for
    both by replays (`planning.forecast`). Depths (s, q) below today's hull, fractions as of `Fantasies` and costs (q,) are of the
    contenders.
    """
    n_samples = min(depths.shape[0], MAX_PLAYED)
    # Samples come sorted by component of the posterior; a stride takes from all of them.
    chosen = np.linspace(0, depths.shape[0] - 1, n_samples).astype(np.intp)
    fantasies = Fantasies(depths[chosen], fractions, floor=tolerance_ev_per_atom)
    return fantasies.look_up_deepest(len(fractions), least=failure_probability * n_samples, cost=cost).size
