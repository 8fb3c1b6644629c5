"""Energies that stand in for those of a new alloy, so that its own pool can be replayed: a cheaper method's, or drawn from a prior.

The prior is a Gaussian process on the pool's own features. Its length scales (over the pool's typical separation), weights,
variance, noise and curvature in composition are those that similar alloys' energies show; each draw takes them from one of these
alloys and is another possible alloy. The energies that they are learned from are capped above the hull as the rule caps them, since
what lies far above says nothing of the hull.

Source: Rasmussen & Williams, Gaussian Processes for Machine Learning, MIT Press 2006, eq. 2.17 for draws from the prior.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import InvalidPlanError
from hullscout.hull import formation_energy, lower_hull
from hullscout.regression import (
    SINGLE,
    Hyperparameters,
    Kernel,
    KernelTerm,
    Mean,
    ModelSettings,
    PoolModel,
    cap_height,
    covariance_root,
    typical_separation,
)
from hullscout.selection.hull_posterior import HullPosteriorRule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hullscout.planning.replay import Ground
    from hullscout.pool import Pool
    from hullscout.regression import Metric
    from hullscout.selection.known import Floats
    from hullscout.selection.surrogate import SurrogateSettings

# Energies of so many candidates fix the scales of a process well; all of a pool would take minutes.
MOST_LEARNED = 250
# A draw takes a matrix of all candidates by all.
MOST_DRAWN = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyScales:
    """What the energies of an alloy are like.

    Attributes:
        hyperparameters: Kernel, noise over signal variance, and signal variance in (eV/atom)^2; length scales are over the typical
            separation of their block.
        coefficients: (p,) of the mean in composition, eV/atom.
    """

    hyperparameters: Hyperparameters
    coefficients: Floats


def learn_scales(ground: Ground, settings: SurrogateSettings, *, energy_cap: float | None = None) -> EnergyScales:
    """Learn the scales of the energies of a pool, from all of them or a random part.

    Args:
        ground: The pool, its energies and features.
        settings: How energies are learned.
        energy_cap: Heights above the hull are capped at this, eV/atom; as `hull-posterior` does if not given.
    """
    x, energy = ground.pool.x, ground.energies_ev_per_atom
    cap = HullPosteriorRule().energy_cap if energy_cap is None else energy_cap
    ends = (float(energy[x == 0].min()), float(energy[x == 1].min()))
    formation = formation_energy(x, energy, ends_ev_per_atom=ends)
    at_hull = lower_hull(x, formation).energy_at(x)
    chosen = np.sort(np.random.default_rng(0).permutation(x.size)[:MOST_LEARNED])
    mean = settings.mean if np.unique(x[chosen]).size > settings.mean.n_coefficients else Mean.CONSTANT
    model = PoolModel(
        ground.features,
        composition=x,
        settings=ModelSettings(shape=settings.kernel, criterion=settings.criterion, mean=mean),
    )
    model.add(chosen)
    best = model.fit((at_hull + cap_height(formation - at_hull, cap))[chosen]).components[0]
    scales = _typical(model.labelled_separations()[SINGLE], metric=settings.kernel.metric)
    return EnergyScales(
        hyperparameters=_rescaled(best.hyperparameters, {block: 1.0 / scale for block, scale in scales.items()}),
        coefficients=best.process.coefficients,
    )


def draw_energies(pool: Pool, features: Mapping[str, Floats], scales: Sequence[EnergyScales], *, seed: int) -> Floats:
    """Draw one possible alloy: (n,) energies in eV per cell.

    Args:
        pool: The candidates.
        features: (n, d) their features by block name.
        scales: Of one similar alloy or more; the draw takes one of them at random.
        seed: Of the draw.

    Raises:
        InvalidPlanError: The pool is too large for a matrix of all candidates by all.
    """
    if len(pool) > MOST_DRAWN:
        raise InvalidPlanError(
            f"Expected a pool of at most {MOST_DRAWN} candidates to draw energies for, found {len(pool)}. Plan by replays of "
            "similar alloys instead."
        )
    rng = np.random.default_rng([seed, len(pool)])
    chosen = scales[int(rng.integers(len(scales)))]
    shape = chosen.hyperparameters.kernel.shape
    model = PoolModel(features, settings=ModelSettings(shape=shape))
    model.add(np.arange(len(pool)))
    separations = model.labelled_separations()[SINGLE]
    own = _rescaled(chosen.hyperparameters, _typical(separations, metric=shape.metric))
    covariance = own.kernel(separations) + own.regularization * np.eye(len(pool))
    process = np.sqrt(own.signal_variance) * covariance_root(covariance) @ rng.standard_normal(len(pool))
    mean = pool.x[:, None] ** np.arange(chosen.coefficients.size) @ chosen.coefficients
    return np.asarray((mean + process) * pool.n_atoms)


def baseline_energies(pool: Pool) -> Floats:
    """(n,) energies of the cheaper method in eV per cell.

    Raises:
        InvalidPlanError: The pool has none.
    """
    if pool.baseline_ev_per_atom is None:
        raise InvalidPlanError(
            "--from baseline: the pool states no energies of a cheaper method. Name their column in the campaign file ([pool] "
            "baseline), or plan from similar alloys."
        )
    return np.asarray(pool.baseline_ev_per_atom * pool.n_atoms)


def _typical(separations: Mapping[str, Floats], *, metric: Metric) -> dict[str, float]:
    return {block: typical_separation(values, metric=metric) for block, values in separations.items()}


def _rescaled(hyperparameters: Hyperparameters, factors: Mapping[str, float]) -> Hyperparameters:
    """The same with the length scale of each block times a factor."""
    kernel = hyperparameters.kernel
    terms = tuple(
        KernelTerm(block=term.block, length_scale=term.length_scale * factors[term.block], weight=term.weight)
        for term in kernel.terms
    )
    return Hyperparameters(
        kernel=Kernel(terms=terms, shape=kernel.shape, combination=kernel.combination),
        regularization=hyperparameters.regularization,
        signal_variance=hyperparameters.signal_variance,
    )
