"""A replay: one campaign played through on energies that are all known, without a store; the path that it took.

A replay goes on to the strictest stop that is asked of it. Which candidates are looked up does not depend on
`stop.failure_probability`, which only decides when to end; so a run with a larger one is the first part of the same path, and
its end is read off. This is exact, and a grid over failure probabilities costs no more than its smallest value.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from hullscout.campaign import Engine, Ledger
from hullscout.campaign.beforehand import known_beforehand
from hullscout.campaign.ledger import BY_VALUE
from hullscout.errors import InvalidPlanError, InvalidPoolError
from hullscout.hull import end_energies, formation_energy, hull_error, lower_hull, pure
from hullscout.selection import Decision, Surrogate
from hullscout.selection.stopping import reason_to_end

if TYPE_CHECKING:
    from hullscout.campaign import CampaignConfig, Setup
    from hullscout.hull import Hull
    from hullscout.pool import Pool
    from hullscout.selection.known import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a run ended (a `StopReason`), its largest error of the hull, and what probability the rule stood by, if any."""

    n_calculations: int
    hull_error_ev_per_atom: float
    stated: float | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """A replay to its end.

    Attributes:
        decisions: All of them; the last one ends it.
        error_steps: (number of calculations, hull error in eV/atom from then on), ascending; the first when all pure elements
            are known.
    """

    seed: int
    decisions: tuple[Decision, ...]
    error_steps: tuple[tuple[int, float], ...]

    @property
    def order(self) -> tuple[int, ...]:
        """(m,) indices in the pool in the order of looking up."""
        return tuple(index for decision in self.decisions for index in decision.chosen)

    @property
    def n_known(self) -> tuple[int, ...]:
        """Calculations before each decision."""
        return tuple(accumulate((len(decision.chosen) for decision in self.decisions[:-1]), initial=0))

    def hull_error_after(self, n_calculations: int) -> float:
        """Hull error in eV/atom after so many calculations, at the end of the path if it is shorter; infinite without a hull."""
        step = bisect_right(self.error_steps, n_calculations, key=lambda pair: pair[0])
        return self.error_steps[step - 1][1] if step else float("inf")

    def end(self, failure_probability: float | None = None) -> Ending:
        """Where a run that accepts this failure probability ends; the end of the path if it is None or never reached."""
        n, decision, reason = next(
            (n, decision, reason)
            for n, decision in zip(self.n_known, self.decisions, strict=True)
            if (reason := reason_to_end(decision, failure_probability)) is not None
        )
        return Ending(
            n_calculations=n,
            hull_error_ev_per_atom=self.hull_error_after(n),
            stated=decision.stated_failure_probability,
            reason=reason,
        )

    def to_json(self) -> str:
        """The path as text, without what is None or empty; `from_json` gives the same path back."""
        trees = [{k: v for k, v in one.to_tree().items() if v not in (None, {}, ())} for one in self.decisions]
        tree = {"seed": self.seed, "decisions": trees, "error_steps": self.error_steps}
        return json.dumps(tree, allow_nan=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """A path from its text; of another one an `AttributeError`, `KeyError`, `TypeError` or `ValueError`."""
        tree = json.loads(text)
        return cls(
            seed=tree["seed"],
            decisions=tuple(Decision.from_tree({"chosen": (), **one}) for one in tree["decisions"]),
            error_steps=tuple((n, error) for n, error in tree["error_steps"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReplayPool:
    """What all replays on one pool share: its (n,) energies in eV per cell, and (n, d) features by block name."""

    pool: Pool
    energies_ev: Floats = field(repr=False)
    features: dict[str, Floats] = field(repr=False)

    @classmethod
    def of(cls, setup: Setup) -> Self:
        """The pool of a campaign whose energies a table knows; an `InvalidPlanError` where none does."""
        name, oracle = setup.config.name, setup.config.oracle
        if setup.config.prior.calculator is not None and setup.origin.prior is None:
            said = "make it a column of the pool by `hullscout baseline`, and name that in [pool] baseline"
            raise InvalidPlanError(f"{name}: a plan computes no prior ({setup.config.prior.calculator}); {said}.")
        try:
            table = setup.table
        except InvalidPoolError as error:
            frames = setup.frames.frames
            if any(frame.energy_ev is not None for frame in frames):
                raise
            raise InvalidPlanError(
                f"{name}: a replay needs the energies of the candidates, and none of the {len(frames)} frames of "
                f"{setup.origin.pool_name} states one. Give campaigns whose energies are known, or predict this one from them by "
                "--like."
            ) from error
        if table is None:
            raise InvalidPlanError(
                f"{name}: a replay needs the energies of all candidates, and this campaign computes them (oracle.kind = "
                f"{oracle.kind!r}). Give campaigns with a table of energies (`hullscout table` writes what a campaign computed), "
                "or predict this one from them by --like."
            )
        return cls(pool=begun(setup), energies_ev=np.array(table.energies_ev), features=setup.features)

    @property
    def energies_ev_per_atom(self) -> Floats:
        """(n,) energies in eV/atom."""
        return np.asarray(self.energies_ev / self.pool.n_atoms)

    @property
    def ground_states(self) -> tuple[int, ...]:
        """Indices of the vertices of the true hull."""
        return tuple(_true_hull(self.pool.fractions, self.energies_ev_per_atom)[1].indices.tolist())

    @property
    def given(self) -> dict[str, float]:
        """Energies that are known by value, eV per cell by id."""
        return {name: float(self.energies_ev[self.pool.index_of(name)]) for name in self.pool.given}

    def engine(self, config: CampaignConfig, *, seed: int) -> Engine:
        """An engine at the start of a campaign on this pool."""
        cost, given = config.cost.of_pool(self.pool), self.given
        surrogate = Surrogate(self.features, fractions=self.pool.fractions, settings=config.regression)
        ledger = Ledger(
            self.pool, name=config.name, seed=seed, cost=cost, given=dict.fromkeys(given, BY_VALUE), energies_ev=given
        )
        return Engine(ledger, rule=config.select, surrogate=surrogate, settings=config.stop)


def begun(setup: Setup) -> Pool:
    """The pool of a campaign as it begins: what `pool.known` knows of it is given, and no replay asks for it."""
    known = known_beforehand(setup).answers
    return replace(setup.pool, given=tuple(dict.fromkeys((*setup.pool.given, *known))))


def play(pool: ReplayPool, config: CampaignConfig, *, seed: int) -> Path:
    """Play one campaign from its start to its stop, with this seed in place of its own."""
    engine = pool.engine(config, seed=seed)
    energies_ev = dict(zip(pool.pool.ids, pool.energies_ev.tolist(), strict=True))
    while asked := engine.ask():
        for candidate_id in asked:
            engine.tell(candidate_id, energies_ev[candidate_id])
    ended = () if engine.decision is None else (engine.decision,)
    decisions = (*engine.ledger.decisions, *ended)
    order = tuple(index for decision in decisions for index in decision.chosen)
    given = tuple(map(pool.pool.index_of, pool.pool.given))
    steps = error_steps(pool.pool.fractions, pool.energies_ev_per_atom, order, given=given)
    return Path(seed=seed, decisions=decisions, error_steps=steps)


def n_at_start(pool: Pool, config: CampaignConfig) -> int:
    """Calculations that a campaign asks for before it knows anything: those of the rule's start that its limits allow."""
    given, energies_ev = dict.fromkeys(pool.given, BY_VALUE), dict.fromkeys(pool.given, 0.0)
    n = config.select.n_at_start(Ledger(pool, seed=config.seed, given=given, energies_ev=energies_ev).known)
    return n if config.stop.max_calculations is None else min(n, config.stop.max_calculations)


def error_steps(
    fractions: Floats, energy_ev_per_atom: Floats, order: tuple[int, ...], *, given: tuple[int, ...] = ()
) -> tuple[tuple[int, float], ...]:
    """After how many calculations the hull error changes, and to what, eV/atom.

    Compositions are (n, k), energies (n,), and `order` (m,) the indices of the candidates as they are looked up, beside those that
    are given.
    """
    formation, true = _true_hull(fractions, energy_ev_per_atom)
    found = None
    steps: list[tuple[int, float]] = []
    for n in range(len(order) + 1):
        newest = list(order[n - 1 : n]) if n else []
        if found is not None and float(found.distance(fractions[newest], formation[newest])[0]) >= 0.0:
            continue
        known = np.asarray([*given, *order[:n]], dtype=np.intp)
        if all(indices.size for indices in pure(fractions[known])):
            found = lower_hull(fractions[known], formation[known])
            error = hull_error(found, true)
            if not steps or steps[-1][1] != error:
                steps.append((n, error))
    return tuple(steps)


def _true_hull(fractions: Floats, energy_ev_per_atom: Floats) -> tuple[Floats, Hull]:
    """(n,) formation energies, and their hull."""
    ends = end_energies(fractions, energy_ev_per_atom)
    formation = formation_energy(fractions, energy_ev_per_atom, ends_ev_per_atom=ends)
    return formation, lower_hull(fractions, formation)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayKey:
    """Which replay: its campaign, the fingerprint of its settings (`Setting.path_key`) and its seed."""

    campaign: str
    path_key: str
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayJob:
    """A replay to be played.

    Attributes:
        pool: Name of what it is played on.
        settings: The campaign file as a tree, of which a worker makes the settings: rules that are not ours cannot be sent.
        played_to: `Setting.played_to`.
    """

    key: ReplayKey
    pool: str
    settings: dict[str, Any]
    played_to: float
