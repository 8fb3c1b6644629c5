"""What a campaign works with: its file and pool as they were given, and what is opened of them when it is needed.

`InvalidPoolError` where the pool cannot be used, `InvalidCampaignError` where the settings do not fit it, `StoreError` where the
folder holds no campaign or a damaged one.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from hullscout.campaign.additions import AddedThen
from hullscout.campaign.config import check_config
from hullscout.campaign.engine import Engine, fitting_threads
from hullscout.campaign.kept import KEPT, Kept, read_kept, write_kept
from hullscout.campaign.ledger import BY_VALUE, Ledger
from hullscout.campaign.opening import DATABASE
from hullscout.campaign.prior import relaxed_pool, with_prior
from hullscout.campaign.store import Store
from hullscout.errors import InvalidCampaignError, StoreError
from hullscout.oracle import Beside, ComputedSettings, TableOracle, open_for_features
from hullscout.pool import (
    Faulty,
    MixedSettings,
    WithoutEnergy,
    build_pool,
    find_doubts,
    grown,
    kept_frames,
    understand,
    with_given_ends,
)
from hullscout.pool.frames import LEAVE_OUT
from hullscout.pool.moments import moments_by_rule
from hullscout.representation import features_of
from hullscout.selection import surrogate_of
from hullscout.selection.rule import cheapest_pure
from hullscout.selection.stopping import refuse_impossible_limits
from hullscout.settings import NotImported, look_beside
from hullscout.writing import clear_half_made

if TYPE_CHECKING:
    from hullscout.campaign.config import CampaignConfig
    from hullscout.campaign.origin import Origin
    from hullscout.pool import Frame, Frames, Pool
    from hullscout.representation import Representation
    from hullscout.selection import Rule, Surrogate
    from hullscout.selection.known import Floats
    from hullscout.settings import Settings

S = TypeVar("S", bound="Settings")


class Setup:
    """What a campaign is made of, each part opened at its first use and then kept.

    Args:
        features: (n, d) features of the candidates by block name, if they are at hand.
        has_energies: Whether a table of energies is looked at; if not, its candidates without an energy are kept.
        folder: The campaign's, where pool and features may be kept.
        leave_out: What has faults left out, named where some are refused.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        features: dict[str, Floats] | None = None,
        has_energies: bool = True,
        folder: Path | None = None,
        leave_out: str = LEAVE_OUT,
    ) -> None:
        self.origin, self._leave_out = origin, leave_out
        self._has_energies = has_energies
        self.is_table = has_energies and origin.config.oracle.kind == "table"
        self.folder, self.is_given = folder, features is not None
        if features is not None:
            self.__dict__["features"] = features

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What the campaign in `folder` is made of."""
        with Store.read(folder) as store:
            return cls(store.origin(), folder=folder)

    @property
    def config(self) -> CampaignConfig:
        """The settings in force."""
        return self.origin.config

    @property
    def not_imported(self) -> str:
        """What is to be said where the folder names a rule or representation that nobody here has imported; empty where not."""
        sections = (self.config.select, self.config.representation)
        return next((section.refused for section in sections if isinstance(section, NotImported)), "")

    def refuse_not_imported(self) -> None:
        """`InvalidCampaignError` where the rule or representation was not imported."""
        if self.not_imported:
            raise InvalidCampaignError(self.not_imported)

    def trusted(self) -> Setup:
        """The same with the rule and representation that the folder names, imported by the word of the user."""
        look_beside(self.origin.folder or None)
        if not self.not_imported:
            return self
        config = check_config(self.config.model_dump(mode="json"), source=f"the campaign {self.config.name!r}")
        return self.with_origin(replace(self.origin, config=config))

    def as_in(self, folder: Path) -> Setup:
        """The same with the structures that were added to the campaign in `folder`, where there is one."""
        self.folder = folder
        if not (folder / DATABASE).is_file():
            return self
        with Store.read(folder) as store:
            return self.with_additions(store)

    def with_additions(self, store: Store) -> Setup:
        """The same with what was added to the campaign that a store keeps, and what is said of its settings."""
        kept, own = store.origin(), self.origin
        if (kept.additions, kept.changes, kept.prior) == (own.additions, own.changes, own.prior):
            return self
        return self.with_origin(replace(own, additions=kept.additions, changes=kept.changes, prior=kept.prior))

    def with_origin(self, origin: Origin) -> Setup:
        """The same of another origin, of which nothing was opened yet."""
        return Setup(origin, has_energies=self._has_energies, folder=self.folder, leave_out=self._leave_out)

    def now_in(self, folder: Path) -> Setup:
        """The same, or what the campaign in `folder` works with since its settings were changed."""
        with Store.read(folder) as store:
            origin = store.origin()
        if not origin.config.differences(self.config):
            return self.as_in(folder)
        made = Setup(origin, folder=folder)
        return made if self.not_imported else made.trusted()

    @cached_property
    def _kept(self) -> Kept | None:
        if self.folder is None or self.is_given:
            return None
        return read_kept(self.folder, self.origin, is_table=self.is_table)

    def keep(self) -> None:
        """Keep pool and features in the folder of the campaign, where they are not already."""
        if self.folder is None or self.is_given:
            return
        clear_half_made(self.folder / KEPT)
        if self._kept is None:
            kept = Kept(pool=self._relaxed_pools[-1], features=self.features, true_ev_per_atom=self.true_ev_per_atom)
            write_kept(self.folder, self.origin, kept, is_table=self.is_table)

    @cached_property
    def frames(self) -> Frames:
        """What the pool file says, and what was added to it; this replaces what was left out for want of an energy."""
        added = [frame for addition in self._added_frames for frame in addition.frames]
        ids = {frame.id for frame in added}
        kept = [frame for frame in self._first_frames.frames if frame.id not in ids]
        keys = {key for frames in (self._first_frames, *self._added_frames) for key in frames.keys}
        return replace(self._first_frames, frames=(*kept, *added), keys=tuple(sorted(keys)))

    @property
    def asked_frames(self) -> tuple[Frame, ...]:
        """The frames, candidates among them as they are calculated: relaxed, where a potential did that first."""
        prior, pool = self.origin.prior, self.pool
        is_relaxed = prior is not None and prior.stands_for
        return tuple(f.with_atoms(pool[f.id]) if is_relaxed and f.id in pool else f for f in self.frames.frames)

    def frames_in(
        self,
        pool: bytes,
        *,
        path: Path,
        faults: tuple[str, ...] = (),
        notes: tuple[str, ...] = (),
        is_added: bool = False,
    ) -> Frames:
        """What the content of a pool file says, as it is kept, with what its reader said of it; without what is left out.

        Magnetic moments are by `oracle.magmoms` where it states none. What is added to a campaign brings no ends of the axis.
        """
        parsed = kept_frames(pool, path=path)
        read = replace(
            parsed,
            frames=tuple(self._with_moments(frame) for frame in parsed.frames),
            faults=(*faults, *parsed.faults),
            n_faulty=len(faults) + parsed.n_faulty,
            notes=(*notes, *parsed.notes),
        )
        section = self.config.pool
        if self.is_table:
            read = understand(
                read,
                section.energies,
                elements=self.config.elements,
                others=section.columns.names,
                has_ends=not is_added,
            )
        elif not is_added:
            read = with_given_ends(read, section.energies, self.config.elements, is_computed=True)
        return self.config.axis.sift(read) if section.leave_out_faults else read

    def _with_moments(self, frame: Frame) -> Frame:
        rule = getattr(self.config.oracle, "magmoms", {})
        if not rule or frame.magmoms is not None:
            return frame
        return replace(frame, magmoms=moments_by_rule(frame.numbers, rule))

    @cached_property
    def _first_frames(self) -> Frames:
        origin = self.origin
        return self.frames_in(origin.pool, path=Path(origin.pool_name), faults=origin.faults, notes=origin.notes)

    @cached_property
    def _added_frames(self) -> tuple[Frames, ...]:
        return tuple(
            self.frames_in(addition.pool, path=Path(addition.name), is_added=True) for addition in self.origin.additions
        )

    @property
    def added(self) -> tuple[AddedThen, ...]:
        """How many candidates were added when."""
        pairs = zip(self.origin.additions, self._added_frames, strict=True)
        return tuple(AddedThen(n_rounds=then.n_rounds, n_added=len(frames.frames)) for then, frames in pairs)

    @property
    def pool(self) -> Pool:
        """The candidates, without energies. Where energies are computed, those of the pool file are not read."""
        return self.pools[-1]

    @cached_property
    def pools(self) -> tuple[Pool, ...]:
        """The candidates at the start, and after each addition: those that were there before keep their places."""
        return tuple(with_prior(pool, self.origin.prior) for pool in self._relaxed_pools)

    @cached_property
    def _relaxed_pools(self) -> tuple[Pool, ...]:
        """The same without what a potential says of energies."""
        if self._kept is not None:
            return (self._kept.pool,)
        return tuple(relaxed_pool(pool, self.origin.prior) for pool in self._stated_pools)

    @cached_property
    def _stated_pools(self) -> tuple[Pool, ...]:
        """The same as files state them."""
        pools = [self.build_pool_of(self._first_frames)]
        for frames, then in zip(self._added_frames, self.added, strict=True):
            pools.append(
                grown(
                    pools[-1],
                    frames.frames,
                    source=frames,
                    columns=self.config.pool.columns,
                    sentence=then.sentence,
                    suspects=self._suspects,
                )
            )
        return tuple(pools)

    @cached_property
    def _suspects(self) -> tuple[str, ...]:
        """What looks wrong of the energies of all that a table holds, the added ones too."""
        if not self.is_table:
            return ()
        sound = self.config.axis.sift(self.frames)
        found = find_doubts(sound.frames, self.config.elements, is_stated=self.frames.is_meant)
        return tuple(doubt.sentence for doubt in found)

    def build_pool_of(self, frames: Frames) -> Pool:
        """Candidates of frames, checked as the settings say."""
        is_table = self.is_table
        is_strict = is_table and not self.config.pool.allow_mixed_settings
        return build_pool(
            frames,
            self.config.axis,
            without_energy=WithoutEnergy.LEAVE_OUT if is_table else WithoutEnergy.KEEP,
            columns=self.config.pool.columns,
            mixed_settings=MixedSettings.REFUSE if is_strict else MixedSettings.ALLOW,
            faulty=Faulty.LEAVE_OUT if self.config.pool.leave_out_faults else Faulty.REFUSE,
            leave_out=self._leave_out,
        )

    @property
    def prerelaxed(self) -> tuple[str, ...]:
        """What is to be said of the structures that are calculated, where a potential relaxed the candidates first."""
        return () if self.origin.prior is None else self.origin.prior.sentences

    @cached_property
    def table(self) -> TableOracle | None:
        """The table that knows the energies; None where they are computed."""
        return TableOracle.from_frames(self.frames, self.pool) if self.is_table else None

    @cached_property
    def given(self) -> dict[str, float]:
        """Energies of the elements that are given by value, eV per cell by id."""
        if not self.pool.given:
            return {}
        stated = {frame.id: frame.energy_ev for frame in self._first_frames.frames if frame.is_given}
        return {name: energy for name in self.pool.given if (energy := stated[name]) is not None}

    @property
    def true_ev_per_atom(self) -> Floats | None:
        """(n,) energies of all candidates, where a table knows them."""
        if self._kept is not None and self._kept.true_ev_per_atom is not None:
            return self._kept.true_ev_per_atom
        return None if self.table is None else self.table.energies_ev_per_atom()

    @cached_property
    def cost(self) -> Floats:
        """(n,) cost of the calculation of each candidate; `InvalidCampaignError` where the pool should state it and does not."""
        return self.config.cost.of_pool(self.pool)

    @cached_property
    def representation(self) -> Representation:
        """What makes features of candidates."""
        return self._with_files(self.config.representation).for_elements(self.config.elements)

    @cached_property
    def features(self) -> dict[str, Floats]:
        """(n, d) features of every candidate by block name: the expensive step before a campaign."""
        return self._features_of(self.pool) if self._kept is None else self._kept.features

    def _features_of(self, pool: Pool) -> dict[str, Floats]:
        # All of them anew, since the features of a candidate may depend on what else there is.
        with fitting_threads():
            return features_of(self.representation, pool.candidates, partial(open_for_features, self.config.executor))

    def surrogate(self, n_candidates: int | None = None) -> Surrogate:
        """A model of the energies of the pool that has learned nothing yet; of so many candidates, as it was before an addition."""
        n_wanted = len(self.pool) if n_candidates is None else n_candidates
        pool = next(pool for pool in self.pools if len(pool) == n_wanted)
        features = self.features if pool is self.pool else self._features_of(pool)
        return surrogate_of(features, fractions=pool.fractions, settings=self.config.regression)

    def ledger(self, **told: Any) -> Ledger:
        """The ledger of a campaign in which nothing was asked for yet but what is given; without a store it is kept nowhere."""
        earlier = tuple(zip((then.n_rounds for then in self.origin.additions), self.pools, strict=False))
        name, seed = self.config.name, self.config.seed
        told["given"] = dict.fromkeys(self.given, BY_VALUE) | told.get("given", {})
        told["energies_ev"] = self.given | told.get("energies_ev", {})
        return Ledger(self.pool, name=name, seed=seed, cost=self.cost, earlier=earlier, **told)

    def open_ledger(self, store: Store, *, is_kept: bool = True) -> Ledger:
        """The ledger of the campaign as a store has it; what is new goes into the store if it `is_kept`."""
        if is_kept and not store.has_moments and any(frame.magmoms is not None for frame in self.frames.frames):
            raise StoreError(
                f"{store.database} was made by a version of Hullscout that left out the magnetic moments of its pool: what it "
                "knows was calculated without them. Nothing was changed. Choose another --out to calculate with them; "
                "`hullscout table` hands on what is known."
            )
        told: dict[str, Any] = {
            "energies_ev": (answers := store.answers()),
            "given": {each: source for each, source in store.given().items() if each in answers},
            "given_after": store.given_after(),
            "relaxed": store.relaxed(),
            "failures": store.failures(),
            "attempts": store.attempts(),
        }
        # After the answers: a running campaign has asked for all that it answered.
        decisions = store.decisions({candidate_id: place for place, candidate_id in enumerate(self.pool.ids)})
        is_handed_out = self.config.oracle.kind == "handoff"
        kept_in = store if is_kept else None
        return self.ledger(decisions=decisions, is_handed_out=is_handed_out, store=kept_in, **told)

    def read_ledger(self, folder: Path) -> Ledger:
        """The ledger of this campaign in `folder`, finished or not, also while it is running; it is not written to."""
        with Store.read(folder) as store:
            return self.with_additions(store).open_ledger(store, is_kept=False)

    def engine(self, ledger: Ledger) -> Engine:
        """The engine of the campaign, where the ledger stands."""
        return Engine(ledger, rule=self.rule, surrogate=self.surrogate(), settings=self.config.stop)

    @property
    def rule(self) -> Rule:
        """The rule; where it names no batch and whole rounds are awaited, one structure for each worker is a batch."""
        rule, executor = self._with_files(self.config.select), self.config.executor
        is_computed = isinstance(self.config.oracle, ComputedSettings)
        if not is_computed or executor.n_ahead or getattr(rule, "batch", 1) is not None:
            return rule
        return rule.model_copy(update={"batch": executor.workers})

    def _with_files(self, section: S) -> S:
        """A rule or representation of one's own with the files beside the campaign file that its settings name."""
        kind = getattr(section, "rule", getattr(section, "kind", ""))
        if not self.origin.folder or "." not in kind or isinstance(section, NotImported):
            return section
        stated = {name: getattr(section, name) for name in type(section).model_fields}
        found = Beside(folder=Path(self.origin.folder)).found(stated)
        return section.model_copy(update={name: value for name, value in found.items() if value != stated[name]})

    def refuse_what_cannot_start(self, **told: Any) -> None:
        """Check limits and costs against the pool, before a folder is made that would hold a campaign of no use.

        `told` is what is known beforehand, as the ledger takes it.
        """
        known = self.ledger(**told).known
        refuse_impossible_limits(known, cheapest_pure(known), self.config.stop)
