"""What a potential says of the candidates of a campaign, as its database keeps it: a row for each of them.

Where it relaxes them first, that is the structure that a candidate is calculated as, and each crystal is calculated once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.hull import FRACTION_TOLERANCE
from hullscout.oracle import candidate_from_tree
from hullscout.pool import CONFLICT_EV_PER_ATOM, RELAXED_TOLERANCE, find_twins
from hullscout.pool.frames import shown_ids

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hullscout.pool import Candidate, Pool
    from hullscout.selection.known import Floats

ROW = "prior/"
"""Before the id of a candidate: the row that holds its energy by the potential, or why there is none."""
SOURCE_ROW = "prior"
"""The row that says of which potential they are."""
TWINS_ROW = "prior_twins"
"""The row that says which candidate stands for each of those that were relaxed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What a potential says of candidates, by id.

    Attributes:
        energies_ev: In eV per cell, of what it relaxed them to where it did.
        failures: Why others have none.
        relaxed: What it relaxed them to.
        changed: How those went that became another structure: their energies are not of the candidate.
        stands_for: Once those that were relaxed are compared, which candidate is calculated for each: itself, or its twin.
    """

    source: str
    energies_ev: Mapping[str, float] = field(repr=False)
    failures: Mapping[str, str] = field(default_factory=dict, repr=False)
    relaxed: Mapping[str, Candidate] = field(default_factory=dict, repr=False, compare=False)
    changed: Mapping[str, str] = field(default_factory=dict, repr=False)
    stands_for: Mapping[str, str] = field(default_factory=dict, repr=False)

    def column(self, pool: Pool) -> Floats | None:
        """(n,) energies in eV/atom, NaN where it has none; None while not all was computed, or where it lacks an end."""
        done = self.energies_ev.keys() | self.failures.keys()
        done &= self.stands_for.keys() if self.relaxed else done
        if not all(each in done for each in pool.ids) or self.missing_ends(pool):
            return None
        energies = [self.energies_ev[each] if self._knows(each) else np.nan for each in pool.ids]
        return np.array(energies) / pool.n_atoms

    def missing_ends(self, pool: Pool) -> tuple[str, ...]:
        """The ends of the axis of which it has no energy."""
        known = np.array([self._knows(each) for each in pool.ids])
        ends = zip(pool.end_labels, _are_ends(pool).T, strict=True)
        return tuple(label for label, those in ends if not known[those].any())

    def compared(self, pool: Pool) -> dict[str, str]:
        """Which candidate is calculated for each, those of a pool that were not compared yet with all that are there.

        What is relaxed into the crystal of another one, with its energy, is calculated as that. A candidate that was there before,
        or is an end of the axis, keeps its place; what became another structure stands for nothing else.
        """
        found = {each: self.stands_for.get(each, each) for each in (*self.stands_for, *pool.ids)}
        ends = _are_ends(pool)
        inner = [each for place, each in enumerate(pool.ids) if each in self.relaxed and not ends[place].any()]
        old = [each for each in inner if each in self.stands_for and self._knows(each)]
        new = [each for each in inner if each not in self.stands_for]
        ids = [*old, *(each for each in new if self._knows(each)), *(each for each in new if not self._knows(each))]
        for group in find_twins([self.relaxed[each] for each in ids], tolerance=RELAXED_TOLERANCE):
            first = ids[group[0]]
            if self._knows(first):
                later = (ids[place] for place in group[1:] if place >= len(old))
                found |= {each: first for each in later if self._are_alike(first, each)}
        return found

    @property
    def sentences(self) -> tuple[str, ...]:
        """What is to be said of the structures that candidates are calculated as; nothing where they were not relaxed."""
        if not self.stands_for:
            return ()
        said = [f"Candidates are calculated as {self.source.split(',')[0]} relaxed them (prior.relax)."]
        if merged := [f"{each} = {first}" for each, first in self.stands_for.items() if each != first]:
            said.append(f"Relaxed into the crystal of another candidate, and calculated as that: {shown_ids(merged)}.")
        alone = [each for each, first in self.stands_for.items() if each == first]
        if changed := [each for each in alone if each in self.changed]:
            said.append(
                "Relaxed into another structure that is no candidate, so that it is calculated as it was given and learned without "
                f"an energy of the prior: {shown_ids(changed)}. The first: {self.changed[changed[0]]}"
            )
        if failed := [each for each in alone if each in self.failures]:
            said.append(f"Not relaxed, since that failed, and calculated as given: {shown_ids(failed)}.")
        return tuple(said)

    def _knows(self, candidate_id: str) -> bool:
        return candidate_id in self.energies_ev and candidate_id not in self.changed

    def _are_alike(self, *ids: str) -> bool:
        one, other = (self.energies_ev[each] / self.relaxed[each].n_atoms for each in ids)
        return abs(one - other) <= CONFLICT_EV_PER_ATOM


def prior_of_rows(values: Mapping[str, bytes]) -> Prior | None:
    """What is kept of it; None where there is none. KeyError, TypeError or ValueError where it is damaged."""
    if SOURCE_ROW not in values:
        return None
    rows = {key.removeprefix(ROW): json.loads(value) for key, value in values.items() if key.startswith(ROW)}
    return Prior(
        source=values[SOURCE_ROW].decode(),
        energies_ev={each: float(row["energy_ev"]) for each, row in rows.items() if "energy_ev" in row},
        failures={each: str(row["failed"]) for each, row in rows.items() if "energy_ev" not in row},
        relaxed={each: candidate_from_tree(row["relaxed"]) for each, row in rows.items() if "relaxed" in row},
        changed={each: str(row["changed"]) for each, row in rows.items() if "changed" in row},
        stands_for=dict(json.loads(values.get(TWINS_ROW, b"{}"))),
    )


def with_prior(pool: Pool, prior: Prior | None) -> Pool:
    """The pool with what a potential says, beside the baselines that it states."""
    column = None if prior is None else prior.column(pool)
    if column is None:
        return pool
    stated = pool.baseline_ev_per_atom
    return replace(pool, baseline_ev_per_atom=column if stated is None else np.column_stack([stated, column]))


def relaxed_pool(pool: Pool, prior: Prior | None) -> Pool:
    """The pool as it is calculated: each candidate as the potential relaxed it, once; those not compared yet as they stand."""
    if prior is None or not prior.stands_for:
        return pool
    stands_for = {each: prior.stands_for.get(each, each) for each in pool.ids}
    places = [place for place, each in enumerate(pool.ids) if stands_for[each] == each]
    twins = dict(pool.twins)
    for each, first in stands_for.items():
        if each != first:
            twins[first] = (*twins.get(first, ()), each, *twins.pop(each, ()))
    report = replace(
        pool.report,
        n_candidates=pool.report.n_candidates + len(places) - len(pool),
        twin_groups=tuple((first, *others) for first, others in twins.items()),
        relaxed_twins=tuple(each for each, first in stands_for.items() if each != first),
        notes=(*pool.report.notes, *prior.sentences),
    )
    columns: dict[str, Any] = {
        name: values[places] for name in ("cost", "baseline_ev_per_atom") if (values := getattr(pool, name)) is not None
    }
    candidates = (pool.candidates[place] for place in places)
    return replace(pool, candidates=tuple(_as_relaxed(each, prior) for each in candidates), report=report, **columns)


def _as_relaxed(candidate: Candidate, prior: Prior) -> Candidate:
    is_relaxed = (
        candidate.id in prior.stands_for and candidate.id in prior.relaxed and candidate.id not in prior.changed
    )
    return prior.relaxed[candidate.id] if is_relaxed else candidate


def _are_ends(pool: Pool) -> NDArray[np.bool_]:
    """(n, ends) whether each candidate is each end of the axis."""
    weights = np.column_stack([1.0 - pool.fractions.sum(axis=1), pool.fractions])
    return np.asarray(weights > 1.0 - FRACTION_TOLERANCE)
