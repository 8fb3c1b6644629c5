"""What the model of a campaign believed at a moment, computed again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hullscout.campaign.engine import fitting_threads
from hullscout.campaign.kept_belief import belief_of, read_belief, write_belief
from hullscout.campaign.prior_energies import baseline_sources
from hullscout.pool.frames import shown_ids
from hullscout.selection import ChemicalPotentials, HullPosteriorRule, Sources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hullscout.campaign.setup import Setup
    from hullscout.selection import Belief, Known, Surrogate


class Beliefs:
    """Computes again what the model of a campaign believed at a moment, by the code that decided then.

    That of a finished campaign's end is kept in its folder. Any other costs one fit and the samples of the hull; moments in order
    share their kernel rows. Rules that believe nothing of the hull are shown what `hull-posterior` with its default settings would
    believe, which the campaign does not state.
    """

    def __init__(self, setup: Setup, surrogate: Surrogate | None = None) -> None:
        rule = setup.config.select
        self._is_of_the_rule = rule.states_probability
        self._rule = rule if rule.states_probability else HullPosteriorRule()
        self._stop = setup.config.stop
        self._setup = setup
        self._kept = read_belief(setup.folder) if self._is_of_the_rule and setup.folder is not None else None
        # By the number of candidates, to which some may have been added.
        self._surrogates = {} if surrogate is None else {len(setup.pool): surrogate}

    def at(self, known: Known) -> Belief | None:
        """What was believed then; None where its class was not imported, too little was known, or nothing was left to ask."""
        if not known.unknown.size or self._setup.not_imported:
            return None
        if self._kept is not None and (kept := belief_of(self._kept, self._setup, known)) is not None:
            return kept
        if known.n_candidates not in self._surrogates:
            self._surrogates[known.n_candidates] = self._setup.surrogate(known.n_candidates)
        surrogate = self._surrogates[known.n_candidates]
        with fitting_threads():
            belief = self._rule.believe(known, surrogate, stop=self._stop)
        if belief is None or self._is_of_the_rule:
            return belief
        return replace(belief, is_of_the_rule=False, stated_failure_probability=belief.failure_probability)


def sources_of(setup: Setup, known: Known, belief: Belief | None) -> Iterator[str]:
    """Where the probability of a wrong hull comes from, where the rule states one."""
    if not setup.config.select.states_probability or not known.has_hull or setup.not_imported:
        return
    if belief is None and known.answered.size > 2 and known.unknown.size:
        if not known.decisions:
            yield "No round was played yet: what can be learned of the energies is said once structures were chosen by them."
            return
        yield _nothing_learned(setup, known)
    if belief is not None and belief.is_learned and (given := baseline_sources(setup)):
        yield belief.baseline_use.sentence(list(given))
    if belief is not None:
        yield from Sources.of(belief, tolerance_ev_per_atom=setup.config.stop.hull_tolerance).sentences(belief)


def _nothing_learned(setup: Setup, known: Known) -> str:
    """Why nothing is believed of the hull: the start was not asked for as a whole, or its energies say nothing."""
    n_asked = known.n_calculable - int(known.askable.size)
    if (n_start := setup.config.select.n_at_start(known)) <= n_asked:
        return "Nothing can be learned of energies that all agree, or are so few: any unknown structure may lie on the hull."
    awaited = shown_ids([known.pool.ids[index] for index in known.pending.tolist()])
    return (
        f"The campaign starts with {n_start} structures, of which {n_asked} were asked for"
        f"{f' (awaited: {awaited})' if awaited else ''}: what can be learned of the energies is said once all were."
    )


def explained(
    setup: Setup, known: Known, surrogate: Surrogate | None = None, *, is_kept: bool = False
) -> tuple[tuple[str, ...], ChemicalPotentials | None]:
    """Where the probability of a wrong hull comes from, in sentences, and where each ground state is stable, if there is a hull.

    From a belief of the rule, where it states a probability; a surrogate at hand saves making one. `is_kept`: in the campaign's
    folder, for figures of it.
    """
    is_stated = known.has_hull and setup.config.select.states_probability
    belief = Beliefs(setup, surrogate).at(known) if is_stated else None
    if is_kept and belief is not None and setup.folder is not None:
        write_belief(setup.folder, setup, belief)
    potentials = ChemicalPotentials.of(known, belief) if known.has_hull else None
    return tuple(sources_of(setup, known, belief)), potentials
