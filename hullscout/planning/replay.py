"""A replay: one campaign played through on energies that are all known, without a store."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hullscout.campaign import Engine, Ledger
from hullscout.hull import formation_energy, hull_error, lower_hull
from hullscout.planning.path import Moment, Path
from hullscout.selection import StopReason, Surrogate

if TYPE_CHECKING:
    from hullscout.campaign.config import CampaignConfig
    from hullscout.pool import Pool
    from hullscout.selection.known import Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ground:
    """What all replays on one pool share.

    Attributes:
        pool: The candidates.
        energies_ev: (n,) their energies, eV per cell.
        features: (n, d) features of every candidate by block name.
    """

    pool: Pool
    energies_ev: Floats = field(repr=False)
    features: dict[str, Floats] = field(repr=False)

    @property
    def energies_ev_per_atom(self) -> Floats:
        """(n,) energies in eV/atom."""
        return np.asarray(self.energies_ev / self.pool.n_atoms)


def engine_on(ground: Ground, config: CampaignConfig, *, seed: int) -> Engine:
    """An engine at the start of a campaign on this ground.

    Raises:
        InvalidCampaignError: The settings do not fit the pool: no costs, or a budget that does not cover the pure elements.
    """
    pool = ground.pool
    return Engine(
        Ledger(pool, name=config.name, seed=seed, cost=config.cost.of(pool.n_atoms, column=pool.cost)),
        rule=config.select,
        surrogate=Surrogate(ground.features, x=pool.x, settings=config.regression),
        settings=config.stop,
    )


def n_at_start(pool: Pool, config: CampaignConfig) -> int:
    """Calculations that a campaign asks for before it knows anything: those of the rule's start that its limits allow."""
    n = len(config.select.start(Ledger(pool, seed=config.seed).known))
    return n if config.stop.max_calculations is None else min(n, config.stop.max_calculations)


def play(ground: Ground, config: CampaignConfig, *, seed: int) -> Path:
    """Play one campaign from its start to its stop.

    Args:
        ground: The pool and its energies.
        config: The settings; its own seed does not count.
        seed: Of every random choice.
    """
    engine = engine_on(ground, config, seed=seed)
    ledger, ids = engine.ledger, ground.pool.ids
    index_of = {candidate_id: index for index, candidate_id in enumerate(ids)}
    moments: list[Moment] = []
    while True:
        n_known, asked = ledger.known.n_answered, engine.ask()
        proposal, stop = engine.decision, engine.stop
        if n_known and proposal is not None:
            moments.append(
                Moment(
                    n_known=n_known,
                    n_contenders=proposal.n_contenders,
                    stated=proposal.stated_failure_probability,
                    n_foreseen=proposal.n_lookups_foreseen,
                )
            )
        if stop is not None:
            break
        for candidate_id in asked:
            engine.tell(candidate_id, float(ground.energies_ev[index_of[candidate_id]]))
    order = tuple(ledger.known.answered.tolist())
    steps = error_steps(ground.pool.x, ground.energies_ev_per_atom, order)
    return Path(seed=seed, order=order, error_steps=steps, moments=tuple(moments), reason=StopReason(stop.reason))


def error_steps(x: Floats, energy_ev_per_atom: Floats, order: tuple[int, ...]) -> tuple[tuple[int, float], ...]:
    """After how many calculations the hull error changes, and to what, eV/atom.

    Args:
        x: (n,) compositions.
        energy_ev_per_atom: (n,) energies.
        order: (m,) indices in the order of looking up.
    """
    ends = (float(energy_ev_per_atom[x == 0].min()), float(energy_ev_per_atom[x == 1].min()))
    formation = formation_energy(x, energy_ev_per_atom, ends_ev_per_atom=ends)
    true, found = lower_hull(x, formation), None
    steps: list[tuple[int, float]] = []
    for n, index in enumerate(order, start=1):
        if found is not None and float(found.distance(x[index], formation[index])) >= 0.0:
            continue
        known = np.asarray(order[:n], dtype=np.intp)
        if (x[known] == 0).any() and (x[known] == 1).any():
            found = lower_hull(x[known], formation[known])
            error = hull_error(found, true)
            if not steps or steps[-1][1] != error:
                steps.append((n, error))
    return tuple(steps)
