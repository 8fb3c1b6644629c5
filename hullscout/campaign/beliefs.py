"""What the model of a campaign believed at a moment, computed again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hullscout.campaign.engine import fitting_threads
from hullscout.selection import HullPosteriorRule

if TYPE_CHECKING:
    from hullscout.campaign.setup import Setup
    from hullscout.selection import Belief, Known, Surrogate


class Beliefs:
    """Computes again what the model of a campaign believed at a moment, by the code that decided then.

    Each moment costs one fit and the samples of the hull; moments in order share their kernel rows. Rules that believe nothing of
    the hull are shown what `hull-posterior` with its default settings would believe, which the campaign does not state.
    """

    def __init__(self, setup: Setup) -> None:
        rule = setup.config.select
        self._is_of_the_rule = rule.states_probability
        self._rule = rule if rule.states_probability else HullPosteriorRule()
        self._stop = setup.config.stop
        self._setup = setup
        self._surrogates: dict[int, Surrogate] = {}  # by the number of candidates, to which some may have been added

    def at(self, known: Known) -> Belief | None:
        """What was believed then; None where its class was not imported, too little was known, or nothing was left to ask."""
        if not known.unknown.size or self._setup.not_imported:
            return None
        if known.n_candidates not in self._surrogates:
            self._surrogates[known.n_candidates] = self._setup.surrogate(known.n_candidates)
        surrogate = self._surrogates[known.n_candidates]
        with fitting_threads():
            belief = self._rule.believe(known, surrogate, stop=self._stop)
        if belief is None or self._is_of_the_rule:
            return belief
        return replace(belief, is_of_the_rule=False, stated_failure_probability=belief.failure_probability)
