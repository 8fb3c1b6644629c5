"""The engine: ask it what to look up, tell it the energies. It decides, and computes no energy nor touches a disk.

The engine is a function of the pool, the settings and the state: give those to a new engine and it goes on exactly where the
old one stood.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hullscout.errors import InvalidCampaignError
from hullscout.selection.interface import Proposal, RoundRecord, Stop, StopReason
from hullscout.selection.start import end_members
from hullscout.selection.stopping import StopSettings

if TYPE_CHECKING:
    from hullscout.campaign.state import State
    from hullscout.selection.interface import Floats, Rule
    from hullscout.selection.surrogate import Surrogate


class Engine:
    """What to look up next, and when to stop.

    Args:
        state: What was asked and answered so far; the engine adds to it.
        rule: The selection rule.
        surrogate: The model of energies over the pool's features.
        seed: Seed of every random choice.
        settings: When to stop, and what counts as the right hull.

    Attributes:
        stop: Why the campaign ended, or None while it goes on.
        proposal: The last decision of this engine, with the numbers behind it.

    Raises:
        InvalidCampaignError: `settings.max_calculations` does not even allow the pure elements.
    """

    def __init__(
        self, state: State, *, rule: Rule, surrogate: Surrogate, seed: int = 0, settings: StopSettings | None = None
    ) -> None:
        self.state = state
        self.rule = rule
        self.surrogate = surrogate
        self.stop: Stop | None = None
        self.proposal: Proposal | None = None
        self._seed = seed
        self._settings = StopSettings() if settings is None else settings
        most = self._settings.max_calculations
        n_ends = len(end_members(state.snapshot(seed=seed)))
        if most is not None and most < n_ends:
            raise InvalidCampaignError(
                f"stop.max_calculations: expected at least {n_ends}, the structures of the pure elements that every campaign "
                f"starts from, found {most}."
            )

    def ask(self) -> tuple[str, ...]:
        """Return the ids to look up, best first: those still pending, or a new round. Empty at the end; see `stop`.

        Asking again without telling gives the same ids.
        """
        if not self.state.pending and self.stop is None:
            proposal = self._decide()
            self.proposal, self.stop = proposal, proposal.stop
            if proposal.chosen:
                self.state.add_round(
                    RoundRecord(
                        round=len(self.state.rounds),
                        chosen=tuple(self.state.pool.ids[index] for index in proposal.chosen),
                        n_contenders=proposal.n_contenders,
                        model_errors=proposal.model_errors,
                        threshold_ev_per_atom=proposal.threshold_ev_per_atom,
                        failure_probability=proposal.failure_probability,
                        warm_starts=proposal.warm_starts,
                    )
                )
        return self.state.pending

    def tell(self, candidate_id: str, energy_ev: float) -> None:
        """Take the energy of a candidate that was asked for, in eV per cell; the same answer twice changes nothing.

        Raises:
            ProtocolError: The candidate was not asked for, the energy is not finite, or another one was told before.
        """
        self.state.add_answer(candidate_id, energy_ev)

    def predict(self) -> Floats:
        """(n,) formation energies in eV/atom that the model predicts for all candidates from what is known."""
        return self.surrogate.predict_formation_energy(self.state.snapshot(seed=self._seed))

    def _decide(self) -> Proposal:
        n_candidates, n_known = len(self.state.pool.ids), self.state.n_known
        if n_known == n_candidates:
            states_probability = any(record.failure_probability is not None for record in self.state.rounds)
            return Proposal(
                stop=Stop(reason=StopReason.ALL_KNOWN, sentence="Every candidate's energy is known."),
                stated_failure_probability=0.0 if states_probability else None,
            )
        most = self._settings.max_calculations
        left = n_candidates if most is None else most - n_known
        snapshot = self.state.snapshot(seed=self._seed)
        if not self.state.rounds:
            return Proposal(chosen=self.rule.start(snapshot)[:left], n_contenders=n_candidates)
        proposal = self.rule.select(snapshot, self.surrogate, stop=self._settings)
        if left == 0 and proposal.stop is None:
            sentence = f"The limit of {most} calculations was reached before the rule was satisfied."
            return replace(proposal, chosen=(), stop=Stop(reason=StopReason.MAX_CALCULATIONS, sentence=sentence))
        return replace(proposal, chosen=proposal.chosen[:left])
