"""The energies of a potential as prior of a campaign: computed once, before anything is asked for, and kept in its database.

One row for each candidate, committed as it comes, so that a process that is killed goes on where it stopped. Nothing is decided
before all rows are there: a campaign that is resumed knows what it knew.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.errors import InvalidCampaignError, StoreError
from hullscout.hull import FRACTION_TOLERANCE
from hullscout.oracle import Calculated, PriorOrder, ProcessesSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from hullscout.campaign.setup import Setup
    from hullscout.campaign.store import Store
    from hullscout.pool import Pool
    from hullscout.selection.known import Floats

ROW = "prior/"
"""Before the id of a candidate: the row that holds its energy by the potential, or why there is none."""
SOURCE_ROW = "prior"
"""The row that says of which potential they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What a potential says of candidates, by id: energies in eV per cell, and why others have none."""

    source: str
    energies_ev: Mapping[str, float] = field(repr=False)
    failures: Mapping[str, str] = field(default_factory=dict, repr=False)

    def column(self, pool: Pool) -> Floats | None:
        """(n,) energies in eV/atom, NaN where it has none; None while not every candidate was computed, or where it lacks an end."""
        if not all(each in self.energies_ev or each in self.failures for each in pool.ids) or self.missing_ends(pool):
            return None
        return np.array([self.energies_ev.get(each, np.nan) for each in pool.ids]) / pool.n_atoms

    def missing_ends(self, pool: Pool) -> tuple[str, ...]:
        """The ends of the axis of which it has no energy."""
        known = np.array([each in self.energies_ev for each in pool.ids])
        weights = np.column_stack([1.0 - pool.fractions.sum(axis=1), pool.fractions])
        ends = zip(pool.end_labels, (weights > 1.0 - FRACTION_TOLERANCE).T, strict=True)
        return tuple(label for label, those in ends if not known[those].any())


def prior_of_rows(values: Mapping[str, bytes]) -> Prior | None:
    """What is kept of it; None where there is none. KeyError, TypeError or ValueError where it is damaged."""
    if SOURCE_ROW not in values:
        return None
    rows = {key.removeprefix(ROW): json.loads(value) for key, value in values.items() if key.startswith(ROW)}
    return Prior(
        source=values[SOURCE_ROW].decode(),
        energies_ev={each: float(row["energy_ev"]) for each, row in rows.items() if "energy_ev" in row},
        failures={each: str(row["failed"]) for each, row in rows.items() if "energy_ev" not in row},
    )


def with_prior(pool: Pool, prior: Prior | None) -> Pool:
    """The pool with what a potential says, beside the baselines that it states."""
    column = None if prior is None else prior.column(pool)
    if column is None:
        return pool
    stated = pool.baseline_ev_per_atom
    return replace(pool, baseline_ev_per_atom=column if stated is None else np.column_stack([stated, column]))


def complete_prior(
    setup: Setup, store: Store, *, folder: Path, on_note: Callable[[str], None] = lambda _: None
) -> Setup:
    """The campaign with the energies of its potential; those that its database does not hold yet are computed and kept.

    `OracleError` where the potential cannot be used, `InvalidCampaignError` where it says nothing of an end.
    """
    section = setup.config.prior
    if section.calculator is None:
        return setup
    order = PriorOrder(calculator=section.calculator, arguments=section.arguments)
    kept = setup.origin.prior
    missing = [
        each for each in setup.pool if kept is None or not {each.id} & (kept.energies_ev.keys() | kept.failures.keys())
    ]
    if missing:
        if kept is not None and kept.source != order.source:
            raise StoreError(
                f"prior.calculator: the energies that the campaign keeps are by {kept.source}, and here is {order.source}. "
                "Install that version to go on, or choose another --out."
            )
        order.refuse_unknown_elements(setup.config.elements)
        store.save_values({SOURCE_ROW: order.source.encode()})
        executor = setup.config.executor
        if setup.table is not None:
            executor = ProcessesSettings(workers=executor.workers)
        on_note(f"Computing {len(missing)} energies by {order.source}, once.")
        for candidate_id, outcome in order.energies(
            missing, executor, folder=folder, beside=setup.origin.folder or None
        ):
            if isinstance(outcome, Calculated):
                row: dict[str, Any] = {"energy_ev": outcome.energy_ev}
            else:
                row = {"failed": outcome.sentence}
                on_note(
                    f"{candidate_id} has no energy by {section.calculator}, and is learned without: {outcome.sentence}"
                )
            store.save_values({f"{ROW}{candidate_id}": json.dumps(row).encode()})
        setup = setup.with_origin(replace(setup.origin, prior=store.origin().prior))
    _refuse_without_ends(setup)
    return setup


def refuse_without_prior(setup: Setup, folder: Path) -> None:
    """`StoreError` where the energies of its potential are not all there: nothing may be decided then."""
    prior = setup.origin.prior
    if setup.config.prior.calculator is not None and (prior is None or prior.column(setup.pool) is None):
        raise StoreError(
            f"The campaign in {folder} has not computed the energies of its prior ({setup.config.prior.calculator}) for all "
            "candidates. Run its campaign file first: `hullscout run CAMPAIGN --out FOLDER`."
        )


def _refuse_without_ends(setup: Setup) -> None:
    prior = setup.origin.prior
    if prior is not None and (missing := prior.missing_ends(setup.pool)):
        first, why = next(iter(prior.failures.items()))
        raise InvalidCampaignError(
            f"prior.calculator: {setup.config.prior.calculator!r} gives no energy of {' and '.join(missing)}, on which formation "
            f"energies rest. The first failure, of {first}: {why} Take another potential, or none, and another --out."
        )
