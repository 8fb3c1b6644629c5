"""What replays of many known alloys taught, shipped with the package, so that a new alloy is predicted without pools of others.

`replayed.json` holds, for each of these alloys and of three accepted failure probabilities, the shares of its pool that replays
under the default settings took and how many of them found the right hull, on the whole pool and on its 60 smallest cells: small
pools take larger shares. It is written by `python tests/benchmarks/planning.py
ship DIR --write`, from the plan in DIR.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hullscout.errors import InvalidPlanError
from hullscout.planning.forecast import EXPERIENCE_RULE, Experience, log_odds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hullscout.campaign import Setup

FILE: Final = Path(__file__).parent / "replayed.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfSize:
    """Replays on one pool: mean and variance of the log-odds of the share that they took, and how many were right."""

    n_candidates: int
    offset: float
    variance: float
    right: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """The replays of known alloys at one accepted failure probability.

    Attributes:
        alloys: Their names.
        sizes: Of each its pools, whole and the smallest cells of each.
        relative_size: Core-hours of the mean calculation over those of the mean candidate, where time grows with the third power
            of the number of atoms; the mean of the alloys.
    """

    alloys: tuple[str, ...]
    sizes: tuple[tuple[OfSize, ...], ...]
    relative_size: float

    def experience(self, n_candidates: int) -> Experience:
        """What the alloys say of a pool of so many candidates: each by interpolation between its pools in log size."""
        at = np.log(n_candidates)
        offsets, variances, right = [], [], []
        for pools in self.sizes:
            sizes = np.log([pool.n_candidates for pool in pools])
            rows = np.array([[pool.offset, pool.variance, pool.right] for pool in pools])
            known = np.unique(sizes)
            means = np.array([rows[sizes == size].mean(axis=0) for size in known])
            offset, variance, share = (float(np.interp(at, known, column)) for column in means.T)
            offsets.append(offset)
            variances.append(variance)
            right.append(share)
        return Experience(offsets=tuple(offsets), scatter=float(np.sqrt(np.mean(variances))), right=tuple(right))

    @property
    def sentence(self) -> str:
        """Of which alloys it is."""
        return (
            f"Predicted from replays of {len(self.alloys)} known alloys that come with Hullscout ({', '.join(self.alloys)}); "
            "campaigns of alloys more like yours, by --like, say more."
        )


@cache
def shipped_tree() -> dict[str, Any]:
    """What the file holds."""
    return dict(json.loads(FILE.read_text(encoding="utf-8")))


def shipped(new: Sequence[Setup]) -> Shipped:
    """What is shipped, for new alloys that all have the settings it is of; an `InvalidPlanError` for others."""
    tree = shipped_tree()
    known = sorted(map(float, tree["failure_probabilities"]), reverse=True)
    configs = [setup.config for setup in new]
    for config in configs:
        n_ends = len(config.axis.names)
        if n_ends != 2:
            raise InvalidPlanError(
                f"{config.name}: the replays that come with Hullscout are of alloys of two elements, found {n_ends} elements or "
                "ends. Give three or more campaigns of as many by --like."
            )
        found = (config.select.rule, config.stop.failure_probability)
        if config.select.rule != EXPERIENCE_RULE or config.stop.failure_probability not in known:
            raise InvalidPlanError(
                f"{config.name}: the replays that come with Hullscout are of {EXPERIENCE_RULE} with stop.failure_probability = "
                f"{', '.join(f'{one:g}' for one in known)}, found {found[0]} with {found[1]:g}. "
                "Give three or more campaigns by --like."
            )
    probabilities = {config.stop.failure_probability for config in configs}
    if len(probabilities) > 1:
        raise InvalidPlanError(
            f"Expected new campaigns with one stop.failure_probability, found {sorted(probabilities)}. Plan them apart."
        )
    key = f"{probabilities.pop():g}"
    alloys = tree["alloys"]
    return Shipped(
        alloys=tuple(alloys),
        sizes=tuple(tuple(_of_size(replays, key) for replays in one["replays"]) for one in alloys.values()),
        relative_size=float(np.mean([one["relative_size"] for one in alloys.values()])),
    )


def _of_size(replays: dict[str, Any], key: str) -> OfSize:
    odds = log_odds(np.array(replays["shares"][key]))
    return OfSize(
        n_candidates=replays["n_candidates"],
        offset=float(odds.mean()),
        variance=float(odds.var(ddof=1)),
        right=replays["right"][key],
    )
