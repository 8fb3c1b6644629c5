"""The engine: ask it what to look up, tell it the energies. It decides, and computes no energy nor touches a disk.

The engine is a function of the pool, the settings and the state: give those to a new engine and it goes on exactly where the
old one stood.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hullscout.campaign.threads import fitting_threads
from hullscout.errors import InvalidCampaignError
from hullscout.selection.interface import Proposal, RoundRecord, Stop, StopReason
from hullscout.selection.start import end_members
from hullscout.selection.stopping import StopSettings

if TYPE_CHECKING:
    from hullscout.campaign.state import State
    from hullscout.oracle import Failed
    from hullscout.selection.interface import Floats, Rule, Snapshot
    from hullscout.selection.surrogate import Surrogate


def refuse_impossible_limits(settings: StopSettings, snapshot: Snapshot) -> None:
    """Refuse limits that do not even allow the pure elements.

    Raises:
        InvalidCampaignError: They do not.
    """
    ends = np.asarray(end_members(snapshot))
    for key, most, least in (
        ("max_calculations", settings.max_calculations, ends.size),
        ("max_cost", settings.max_cost, float(snapshot.cost[ends].sum())),
    ):
        if most is not None and most < least:
            raise InvalidCampaignError(
                f"stop.{key}: expected at least {least:g}, what the structures of the pure elements that every campaign starts "
                f"from take, found {most:g}."
            )


class Engine:
    """What to look up next, and when to stop.

    Args:
        state: What was asked and answered so far; the engine adds to it.
        rule: The selection rule.
        surrogate: The model of energies over the pool's features.
        seed: Seed of every random choice.
        settings: When to stop, and what counts as the right hull.
        cost: (n,) cost of the calculation of each candidate; 1 each if not given.

    Attributes:
        stop: Why the campaign ended, or None while it goes on.
        proposal: The last decision of this engine, with the numbers behind it.

    Raises:
        InvalidCampaignError: `settings` do not even allow the pure elements.
    """

    def __init__(
        self,
        state: State,
        *,
        rule: Rule,
        surrogate: Surrogate,
        seed: int = 0,
        settings: StopSettings | None = None,
        cost: Floats | None = None,
    ) -> None:
        self.state = state
        self.rule = rule
        self.surrogate = surrogate
        self.stop: Stop | None = None
        self.proposal: Proposal | None = None
        self._seed = seed
        self._settings = StopSettings() if settings is None else settings
        self._cost = np.ones(len(state.pool.ids)) if cost is None else cost
        refuse_impossible_limits(self._settings, self._snapshot())

    @property
    def spent(self) -> float:
        """Cost of what was asked for, whatever came of it."""
        return float(self._cost[self.state.asked].sum())

    def ask(self) -> tuple[str, ...]:
        """Return the ids to look up, best first: those still pending, or a new round. Empty at the end; see `stop`.

        Asking again without telling gives the same ids.
        """
        if not self.state.pending and self.stop is None:
            self._take(self._decide())
        return self.state.pending

    def ask_ahead(self, n: int) -> tuple[str, ...]:
        """Ask for up to n more while others are pending, and return these ids alone; the start comes whole.

        Empty where nothing can be decided before more answers are there: the pure elements are not known yet, or the rule would
        stop by what is known (an answer that is still pending may speak against it). With nothing pending: empty at the end only.
        """
        if self.stop is not None or n < 1:
            return ()
        is_waiting = bool(self.state.pending)
        if is_waiting and not self.state.has_both_ends:
            return ()
        proposal = self._decide()
        if is_waiting and proposal.stop is not None:
            return ()
        if self.state.rounds:
            proposal = replace(proposal, chosen=proposal.chosen[:n])
        return self._take(proposal)

    def tell(self, candidate_id: str, energy_ev: float) -> None:
        """Take the energy of a candidate that was asked for, in eV per cell; the same answer twice changes nothing.

        Raises:
            ProtocolError: The candidate was not asked for, the energy is not finite, or another one was told before.
        """
        self.state.add_answer(candidate_id, energy_ev)

    def tell_failure(self, candidate_id: str, failed: Failed) -> None:
        """Take it that the energy of a candidate that was asked for cannot be had.

        Raises:
            ProtocolError: The candidate was not asked for, or its energy is known.
        """
        self.state.add_failure(candidate_id, failed)

    def predict(self) -> Floats:
        """(n,) formation energies in eV/atom that the model predicts for all candidates from what is known."""
        with fitting_threads(len(self.state.pool.ids)):
            return self.surrogate.predict_formation_energy(self._snapshot())

    def _take(self, proposal: Proposal) -> tuple[str, ...]:
        """Make a proposal this engine's decision; the ids that it asks for."""
        self.proposal, self.stop = proposal, proposal.stop
        chosen = tuple(self.state.pool.ids[index] for index in proposal.chosen)
        if chosen:
            self.state.add_round(
                RoundRecord(
                    round=len(self.state.rounds),
                    chosen=chosen,
                    n_contenders=proposal.n_contenders,
                    model_errors=proposal.model_errors,
                    threshold_ev_per_atom=proposal.threshold_ev_per_atom,
                    failure_probability=proposal.failure_probability,
                    stated_failure_probability=proposal.stated_failure_probability,
                    settleable_probability=proposal.settleable_probability,
                    n_lookups_foreseen=proposal.n_lookups_foreseen,
                    warm_starts=proposal.warm_starts,
                )
            )
        return chosen

    def _decide(self) -> Proposal:
        n_candidates, n_known = len(self.state.pool.ids), self.state.n_known
        if n_known == n_candidates:
            return Proposal(
                stop=Stop(reason=StopReason.ALL_KNOWN, sentence="Every candidate's energy is known."),
                stated_failure_probability=0.0 if self.rule.states_probability else None,
            )
        snapshot = self._snapshot()
        if not self.state.rounds:
            return Proposal(chosen=self._affordable(self.rule.start(snapshot)), n_contenders=n_candidates)
        if not self.state.has_both_ends:
            return self._decide_without_a_hull(snapshot)
        with fitting_threads(n_candidates):
            proposal = self.rule.select(snapshot, self.surrogate, stop=self._settings)
        chosen = self._affordable(proposal.chosen)
        if proposal.stop is None and not chosen:
            stop = self._end_of_budget() if proposal.chosen else self._end_of_pool()
            return replace(proposal, chosen=(), stop=stop)
        return replace(proposal, chosen=chosen)

    def _decide_without_a_hull(self, snapshot: Snapshot) -> Proposal:
        """Other structures of a pure element of which all that were asked for failed, or the end where there are none."""
        pool, known_x = self.state.pool, snapshot.x[snapshot.known]
        missing = [end for end in (0.0, 1.0) if not (known_x == end).any()]
        others = tuple(index for index in snapshot.askable.tolist() if snapshot.x[index] in missing)
        chosen = self._affordable(others)
        if set(missing) == {float(snapshot.x[index]) for index in chosen}:
            return Proposal(chosen=chosen, n_contenders=len(pool.ids))
        left = {float(snapshot.x[index]) for index in others}
        out_of_budget = all(end in left for end in missing)
        elements = " and ".join(
            f"pure {pool.elements[round(end)]}" for end in missing if out_of_budget or end not in left
        )
        sentence = f"There is no hull: the calculation of every structure of {elements} failed"
        if out_of_budget:
            sentence += " that the budget allows"
        return Proposal(stop=Stop(reason=StopReason.NO_HULL, sentence=f"{sentence}."))

    def _snapshot(self) -> Snapshot:
        return self.state.snapshot(seed=self._seed, cost=self._cost)

    def _affordable(self, wanted: tuple[int, ...]) -> tuple[int, ...]:
        """Those of the wanted candidates that the limits still allow, best first."""
        n_left, left = self._n_left, self._cost_left
        chosen: list[int] = []
        for index in wanted:
            if len(chosen) < n_left and self._cost[index] <= left:
                chosen.append(index)
                left -= self._cost[index]
        return tuple(chosen)

    @property
    def _n_left(self) -> float:
        most = self._settings.max_calculations
        return np.inf if most is None else most - self.state.asked.size

    @property
    def _cost_left(self) -> float:
        # Rounding of a sum of costs must not refuse the last calculation of a budget that is just enough.
        most = self._settings.max_cost
        return np.inf if most is None else most * (1.0 + 1e-12) - self.spent

    def _end_of_pool(self) -> Stop:
        n_failed = len(self.state.failures)
        sentence = f"Every candidate was asked for; {n_failed} of {len(self.state.pool.ids)} failed."
        return Stop(reason=StopReason.ALL_ASKED, sentence=sentence)

    def _end_of_budget(self) -> Stop:
        if self._n_left <= 0:
            sentence = f"The limit of {self._settings.max_calculations} calculations was reached before the rule was satisfied."
            return Stop(reason=StopReason.MAX_CALCULATIONS, sentence=sentence)
        sentence = (
            f"{self.spent:g} of the cost of {self._settings.max_cost:g} that may be spent are, and the rest covers nothing that "
            "the rule asks for."
        )
        return Stop(reason=StopReason.MAX_COST, sentence=sentence)
