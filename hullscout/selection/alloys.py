"""What alloys have in common: numbers that a campaign of sixty labels cannot learn from its own pool, learned from many.

**Kernels.** Lengths and weights with which campaigns on other alloys do well (`KERNELS`): they are weighed, and none is searched.

**Calibration.** The share u of posterior samples in which a candidate lies below the hull is a statement of the model. Over alloys,
campaigns that stop at u are wrong with the probability

    logit P_model = a + b logit u                                       (`CALIBRATION`).

Where a model starts from a potential (`baselines`), which may be confidently wrong, a and b are those of campaigns with one
(`CALIBRATION_WITH_PRIOR`).

**Loners.** Some alloys have a ground state that the model has nothing to say of: far below its prediction with every
representation that was tried, while nothing looked up hints at it. No sample shows it. At the rate rho over alloys (`LONER_RATE`)
there is one; it may be any compound, more likely one that the energies of the alloy allow on the hull. With heights z_i predicted
above the hull, the tolerance t, and B the upper quartile of the heights that are known, or a fifth of the depth of the hull if that
is more,

    w_i = Phi(-(z_i + t) / B),   P_loner = rho  sum_unknown w_i / (sum_unknown w_i + n_known / 2).

A known compound was predicted near the hull when it was looked up, and counts 1/2. Of three elements or more each system, those of
two elements each and what holds more, is an alloy that may have one: with m systems rho is 1 - (1 - rho)^m.

**Ends.** No structure of an element hints at another. Of the n structures of a pure element any may be the lowest, and one of the k
that are unknown is with the probability k/n. (A campaign looks all of them up first: this counts where some failed, are under way,
or cost more than may be spent.) With the ends, E, as a third part

    P = 1 - (1 - P_model) (1 - P_loner) prod_E (1 - k_E/n_E).

a, b and rho are printed by `python tests/benchmarks/alloys.py`, with what they would be without each alloy, and those with a prior
by its `--prior diep`; what kernels of many alloys are like, by `python tests/benchmarks/kernels.py`. The kernels in use, the share
of the depth and the weight of what is known were chosen among a few by replays of the same alloys.
"""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import scipy

from hullscout.hull import pure, systems
from hullscout.regression import KernelPrior

if TYPE_CHECKING:
    from hullscout.selection.known import Floats, Indices, Known

KERNELS: Final = KernelPrior(
    log_length_mean=1.15, log_length_std=1.0, log_weight_std=1.5, extras=(("volume", 1.0, -1.5),)
)
"""Lengths and weights of the blocks' kernels; the volume per atom, in every other one."""
CALIBRATION: Final = (-0.08, 1.0)
"""a and b of the line between the log-odds that samples state and those that are observed."""
CALIBRATION_WITH_PRIOR: Final = (0.5, 1.0)
"""The same of models that start from energies of a cheaper method."""
LONER_RATE: Final = 0.046
"""rho, the share of alloys that hold a ground state of which the model has nothing to say."""
SHARE_OF_DEPTH: Final = 0.2
"""How far a loner may lie below its prediction at least, over the depth of the hull."""
KNOWN_WEIGHT: Final = 0.5
"""What a compound counts as a possible loner once it is known: that of one on the hull."""


@cache
def judged() -> dict[str, Any]:
    """What was observed of the stated probabilities under the default settings, each alloy judged by the others.

    The alloys, the number of pools and runs, and for each stated probability the rate of wrong hulls over alloys with its 95 %
    interval over alloys and seeds, and the pools in which runs were wrong; and the command that printed it.
    """
    return dict(json.loads((Path(__file__).parent / "judged.json").read_text(encoding="utf-8")))


def observed(stated: float, *, has_prior: bool = False) -> float:
    """The rate over alloys at which campaigns are wrong that end when so large a share of their samples goes below the hull."""
    offset, slope = CALIBRATION_WITH_PRIOR if has_prior else CALIBRATION
    return _logistic(offset + slope * _log_odds(stated)) if 0.0 < stated < 1.0 else stated


def stated_for(rate: float, *, has_prior: bool = False) -> float:
    """The share of samples at which this rate is observed: the inverse of `observed`."""
    offset, slope = CALIBRATION_WITH_PRIOR if has_prior else CALIBRATION
    return _logistic((_log_odds(rate) - offset) / slope) if 0.0 < rate < 1.0 else rate


def _log_odds(probability: float) -> float:
    return math.log(probability) - math.log1p(-probability)


def _logistic(log_odds: float) -> float:
    odds = math.exp(-abs(log_odds))
    return (1.0 if log_odds >= 0.0 else odds) / (1.0 + odds)


def loner_rate(fractions: Floats) -> float:
    """The probability, before anything is known, that a pool of compositions (n, k) holds a loner."""
    return LONER_RATE * sum((1.0 - LONER_RATE) ** place for place in range(len(systems(fractions))))


def loner_probabilities(known: Known, mean_ev_per_atom: Floats, *, tolerance_ev_per_atom: float) -> Floats:
    """(n,) probability of each candidate to be a ground state that the model has nothing to say of; 0 of what is known.

    From the predicted formation energies (n,) of all candidates, eV/atom. They are exclusive: their sum is the probability of a
    loner or of an unknown end, 1 - (1 - P_loner) prod_E (1 - k_E/n_E).
    """
    is_possible = np.zeros(known.n_candidates, dtype=bool)
    is_possible[known.unknown] = True
    ends = [(those[is_possible[those]], those) for those in pure(known.fractions)]
    is_possible[np.concatenate([unknown for unknown, _ in ends])] = False
    compounds = np.flatnonzero(is_possible)
    shares = _loner_shares(known, mean_ev_per_atom, compounds, tolerance_ev_per_atom=tolerance_ev_per_atom)
    none = 1.0 - float(shares.sum())
    for unknown, those in ends:
        shares[unknown] += 1.0 / those.size
        none *= 1.0 - unknown.size / those.size
    return shares * ((1.0 - none) / max(float(shares.sum()), float(np.finfo(np.float64).tiny)))


def _loner_shares(
    known: Known, mean_ev_per_atom: Floats, compounds: Indices, *, tolerance_ev_per_atom: float
) -> Floats:
    """(n,) probability of each of the unknown compounds to be a loner; their sum is P_loner."""
    at_hull = known.hull.energy_at(known.fractions)
    scale = max(
        float(np.percentile(known.formation_ev_per_atom - at_hull[known.answered], 75)),
        -SHARE_OF_DEPTH * float(known.hull.energy_ev_per_atom.min()),
        tolerance_ev_per_atom,
    )
    weights = np.zeros(known.n_candidates)
    height = (mean_ev_per_atom - at_hull)[compounds] + tolerance_ev_per_atom
    weights[compounds] = scipy.special.ndtr(-height / scale)
    return np.asarray(loner_rate(known.fractions) * weights / (weights.sum() + KNOWN_WEIGHT * known.answered.size))
