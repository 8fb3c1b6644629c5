"""What a campaign works with: its file and pool as they were given, and what is opened of them when it is needed.

`InvalidPoolError` where the pool cannot be used, `InvalidCampaignError` where the settings do not fit it, `StoreError` where the
folder holds no campaign or a damaged one.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hullscout.campaign.engine import Engine, fitting_threads
from hullscout.campaign.ledger import Ledger
from hullscout.campaign.store import Store
from hullscout.oracle import TableOracle
from hullscout.pool import Columns, Faulty, MixedSettings, WithoutEnergy, build_pool, parse_frames, sift, understand
from hullscout.representation import checked_blocks
from hullscout.selection import HullPosteriorRule, Surrogate
from hullscout.selection.rule import starting_pure
from hullscout.selection.stopping import refuse_impossible_limits

if TYPE_CHECKING:
    from hullscout.campaign.config import CampaignConfig, Origin
    from hullscout.pool import Frames, Pool
    from hullscout.representation import Representation
    from hullscout.selection import Belief, Known, Rule
    from hullscout.selection.known import Floats


class Setup:
    """What a campaign is made of, each part opened at its first use and then kept.

    Args:
        features: (n, d) features of the candidates by block name, if they are at hand.
        has_energies: Whether a table of energies is looked at; if not, its candidates without an energy are kept.
    """

    def __init__(self, origin: Origin, *, features: dict[str, Floats] | None = None, has_energies: bool = True) -> None:
        self.origin = origin
        self._is_table = has_energies and origin.config.oracle.kind == "table"
        if features is not None:
            self.__dict__["features"] = features

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What the campaign in `folder` is made of."""
        with Store.read(folder) as store:
            return cls(store.origin())

    @property
    def config(self) -> CampaignConfig:
        """The settings in force."""
        return self.origin.config

    @cached_property
    def frames(self) -> Frames:
        """What the pool file says, without what is left out."""
        parsed = parse_frames(self.origin.pool, path=Path(self.origin.pool_name))
        read = replace(
            parsed,
            faults=(*self.origin.faults, *parsed.faults),
            n_faulty=len(self.origin.faults) + parsed.n_faulty,
            notes=(*self.origin.notes, *parsed.notes),
        )
        section = self.config.pool
        if self._is_table:
            others = [column for column in (section.cost, section.baseline) if column is not None]
            read = understand(read, section.energies, elements=self.config.elements, others=others)
        return sift(read, self.config.elements) if section.leave_out_faults else read

    @cached_property
    def pool(self) -> Pool:
        """The candidates, without energies. Where energies are computed, those of the pool file are not read."""
        section, is_table = self.config.pool, self._is_table
        is_strict = is_table and not section.allow_mixed_settings
        return build_pool(
            self.frames,
            self.config.elements,
            without_energy=WithoutEnergy.LEAVE_OUT if is_table else WithoutEnergy.KEEP,
            columns=Columns(cost=section.cost, baseline=section.baseline),
            mixed_settings=MixedSettings.REFUSE if is_strict else MixedSettings.ALLOW,
            faulty=Faulty.LEAVE_OUT if section.leave_out_faults else Faulty.REFUSE,
        )

    @cached_property
    def table(self) -> TableOracle | None:
        """The table that knows the energies; None where they are computed."""
        return TableOracle.from_frames(self.frames, self.pool) if self._is_table else None

    @property
    def true_ev_per_atom(self) -> Floats | None:
        """(n,) energies of all candidates, where a table knows them."""
        return None if self.table is None else self.table.energies_ev_per_atom()

    @cached_property
    def cost(self) -> Floats:
        """(n,) cost of the calculation of each candidate; `InvalidCampaignError` where the pool should state it and does not."""
        return self.config.cost.of(self.pool.n_atoms, column=self.pool.cost)

    @cached_property
    def representation(self) -> Representation:
        """What makes features of candidates."""
        return self.config.representation.for_elements(self.config.elements)

    @cached_property
    def features(self) -> dict[str, Floats]:
        """(n, d) features of every candidate by block name: the expensive step before a campaign."""
        with fitting_threads(len(self.pool)):
            return checked_blocks(self.representation, self.pool.candidates)

    def surrogate(self) -> Surrogate:
        """A model of the energies of the pool that has learned nothing yet."""
        return Surrogate(self.features, x=self.pool.x, settings=self.config.regression)

    def ledger(self, **told: Any) -> Ledger:
        """The ledger of a campaign in which nothing was asked for yet but what is given; without a store it is kept nowhere."""
        return Ledger(self.pool, name=self.config.name, seed=self.config.seed, cost=self.cost, **told)

    def open_ledger(self, store: Store, *, is_kept: bool = True) -> Ledger:
        """The ledger of the campaign as a store has it; what is new goes into the store if it `is_kept`."""
        told = {"energies_ev": store.answers(), "failures": store.failures(), "attempts": store.attempts()}
        # After the answers: a running campaign has asked for all that it answered.
        decisions = store.decisions({candidate_id: place for place, candidate_id in enumerate(self.pool.ids)})
        is_handed_out = self.config.oracle.kind == "handoff"
        kept_in = store if is_kept else None
        return self.ledger(decisions=decisions, is_handed_out=is_handed_out, store=kept_in, **told)

    def read_ledger(self, folder: Path) -> Ledger:
        """The ledger of this campaign in `folder`, finished or not, also while it is running; it is not written to."""
        with Store.read(folder) as store:
            return self.open_ledger(store, is_kept=False)

    def engine(self, ledger: Ledger) -> Engine:
        """The engine of the campaign, where the ledger stands."""
        return Engine(ledger, rule=self.rule, surrogate=self.surrogate(), settings=self.config.stop)

    @property
    def rule(self) -> Rule:
        """The rule; where it names no batch and whole rounds are awaited, one structure for each worker is a batch."""
        rule, executor = self.config.select, self.config.executor
        if self.config.oracle.kind != "calculator" or executor.n_ahead or getattr(rule, "batch", 1) is not None:
            return rule
        return rule.model_copy(update={"batch": executor.workers})

    def refuse_what_cannot_start(self) -> None:
        """Check limits and costs against the pool, before a folder is made that would hold a campaign of no use."""
        known = self.ledger().known
        refuse_impossible_limits(known, starting_pure(known), self.config.stop)


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
        self._surrogate = setup.surrogate()

    def at(self, known: Known) -> Belief | None:
        """What was believed then; None where too little was known to learn from, or nothing was left to ask."""
        if not known.unknown.size:
            return None
        with fitting_threads(known.n_candidates):
            belief = self._rule.believe(known, self._surrogate, stop=self._stop)
        if belief is None or self._is_of_the_rule:
            return belief
        return replace(belief, is_of_the_rule=False, stated_failure_probability=belief.failure_probability)
