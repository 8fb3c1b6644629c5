"""What a potential says of the candidates of a campaign, as its database keeps it: a row for each of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from hullscout.hull import FRACTION_TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        """(n,) energies in eV/atom, NaN where it has none; None while not all was computed, or where it lacks an end."""
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
