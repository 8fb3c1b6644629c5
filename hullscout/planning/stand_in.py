"""A new alloy predicted from replays on its own pool, with energies that stand in for those that are not known.

They are a cheaper method's, or drawn from a prior: a Gaussian process on the pool's own features. Its length scales (over the
pool's typical separation), weights, variance, noise and curvature in composition are those that similar alloys' energies show;
each draw takes them from one of these alloys and is another possible alloy. The energies that they are learned from are capped
above the hull as the rule caps them, since what lies far above says nothing of the hull.

Source: Rasmussen & Williams, Gaussian Processes for Machine Learning, MIT Press 2006, eq. 2.17 for draws from the prior.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import InvalidPlanError
from hullscout.files import sha256_of
from hullscout.hull import end_energies, formation_energy, lower_hull
from hullscout.planning.forecast import EXPERIENCE, Prediction, Source, log_odds
from hullscout.planning.grid import Setting
from hullscout.planning.new_alloys import predict_setup
from hullscout.planning.planner import open_pools, play_missing
from hullscout.planning.replay import ReplayJob, ReplayKey, ReplayPool, begun
from hullscout.planning.store import PlanStore
from hullscout.regression import (
    SINGLE,
    Hyperparameters,
    Mean,
    ModelSettings,
    PoolModel,
    cap_height,
    covariance_root,
    typical_separation,
)
from hullscout.selection import HullPosteriorRule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from hullscout.campaign import Setup
    from hullscout.planning.order import PlannedCampaign, PlanOrder
    from hullscout.planning.planner import Progress
    from hullscout.pool import Pool
    from hullscout.regression import Metric
    from hullscout.selection import SurrogateSettings
    from hullscout.selection.known import Floats, Indices

MAX_LEARNED = 250
"""Energies of so many candidates fix the scales of a process well; all of a pool would take minutes."""
MAX_DRAWN = 4000
"""A draw takes a matrix of all candidates by all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyScales:
    """What the energies of an alloy are like; length scales are over the typical separation of their block.

    The signal variance is in (eV/atom)^2, the (p,) coefficients of the mean in composition in eV/atom.
    """

    hyperparameters: Hyperparameters
    mean: Mean
    coefficients: Floats


def simulate_new(
    new: Sequence[Setup],
    similar: Sequence[PlannedCampaign],
    folder: Path,
    *,
    source: Source,
    order: PlanOrder,
    progress: Progress,
) -> tuple[Prediction, ...]:
    """Predict campaigns from replays on their own pools, with energies that stand in for those that are not known.

    Each replay is of another draw from the prior, which similar alloys' energies show; a baseline (`source`) needs none.
    """
    scales = learn_all(similar, progress=progress) if source is Source.PRIOR else ()
    taken_by = play_stand_ins(new, similar, folder, scales=scales, order=order, progress=progress)
    experience, model, predictions = EXPERIENCE[source], order.cost_model, []
    for number, (setup, taken) in enumerate(zip(new, taken_by, strict=True)):
        guess = float(log_odds(np.array([len(one) for one in taken]) / begun(setup).n_calculable).mean())
        hours = None if model is None else float(np.mean([model.of(setup.pool)[one].mean() for one in taken]))
        predictions.append(predict_setup(setup, experience, number=number, hours=hours, cost_model=model, guess=guess))
    return tuple(predictions)


def learn_all(similar: Sequence[PlannedCampaign], *, progress: Progress) -> tuple[EnergyScales, ...]:
    """What the energies of each of these alloys are like."""
    scales = []
    for known in similar:
        progress.opening(known.name)
        scales.append(learn_scales(next(iter(open_pools(known).values())), known.origin.config.regression))
    return tuple(scales)


def play_stand_ins(
    new: Sequence[Setup],
    similar: Sequence[PlannedCampaign],
    folder: Path,
    *,
    scales: Sequence[EnergyScales],
    order: PlanOrder,
    progress: Progress,
) -> tuple[tuple[Indices, ...], ...]:
    """Replay campaigns with energies that stand in for their own: for each and each replay, the candidates that were looked up.

    The energies are drawn from a prior of these scales, or are those of the pool's baseline where there are none. The store keeps
    which similar alloys the scales are of.
    """
    origins = [*(campaign.origin for campaign in similar), *(setup.origin for setup in new)]
    PlanStore.refuse_another(folder, origins)
    pools: dict[str, ReplayPool] = {}
    jobs: list[list[ReplayJob]] = []
    for setup in new:
        progress.opening(setup.config.name)
        jobs.append(list(_jobs(setup, scales, order=order, pools=pools)))
    with PlanStore.create_or_resume(folder, origins) as store:
        every = [job for of_campaign in jobs for job in of_campaign]
        kept = play_missing(every, pools, store, order=order, progress=progress)
    taken = []
    for setup, of_campaign in zip(new, jobs, strict=True):
        accepted = Setting(config=setup.config, varied={}).failure_probability
        paths = [kept[job.key] for job in of_campaign]
        taken.append(tuple(np.array(path.order[: path.end(accepted).n_calculations]) for path in paths))
    return tuple(taken)


def learn_scales(known: ReplayPool, settings: SurrogateSettings, *, energy_cap: float | None = None) -> EnergyScales:
    """Learn the scales of the energies of a pool, from all of them or a random part, heights above the hull capped (eV/atom)."""
    fractions, energy = known.pool.fractions, known.energies_ev_per_atom
    cap = HullPosteriorRule().energy_cap if energy_cap is None else energy_cap
    formation = formation_energy(fractions, energy, ends_ev_per_atom=end_energies(fractions, energy))
    at_hull = lower_hull(fractions, formation).energy_at(fractions)
    chosen = np.sort(np.random.default_rng(0).permutation(len(fractions))[:MAX_LEARNED])
    is_determined = settings.mean.is_determined_by(np.unique(fractions[chosen], axis=0))
    mean = settings.mean if is_determined else Mean.CONSTANT
    own = ModelSettings(shape=settings.kernel, criterion=settings.criterion, mean=mean)
    model = PoolModel(known.features, composition=fractions, settings=own)
    model.add(chosen)
    best = model.fit((at_hull + cap_height(formation - at_hull, cap))[chosen]).components[0]
    scales = _typical(model.labelled_separations()[SINGLE], metric=settings.kernel.metric)
    return EnergyScales(
        hyperparameters=_rescaled(best.hyperparameters, {block: 1.0 / scale for block, scale in scales.items()}),
        mean=mean,
        coefficients=best.process.coefficients,
    )


def draw_energies(pool: Pool, features: Mapping[str, Floats], scales: Sequence[EnergyScales], *, seed: int) -> Floats:
    """Draw one possible alloy: (n,) energies in eV per cell, as those of one of the similar alloys at random."""
    if len(pool) > MAX_DRAWN:
        raise InvalidPlanError(
            f"Expected a pool of at most {MAX_DRAWN} candidates to draw energies for, found {len(pool)}. Plan by replays of "
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
    mean = chosen.mean.basis(len(pool), pool.fractions) @ chosen.coefficients
    return np.asarray((mean + process) * pool.n_atoms)


def baseline_energies(pool: Pool) -> Floats:
    """(n,) energies of the cheaper method in eV per cell."""
    if pool.baseline_ev_per_atom is None:
        raise InvalidPlanError(
            "--from baseline: the pool states no energies of a cheaper method. Name their column in the campaign file ([pool] "
            "baseline), or plan from similar alloys."
        )
    if pool.baseline_ev_per_atom.ndim > 1 or not np.isfinite(pool.baseline_ev_per_atom).all():
        raise InvalidPlanError(
            "--from baseline: expected one cheaper method with an energy of every candidate, found several methods, or some "
            "without. Name one column in [pool] baseline, and state it for all."
        )
    return np.asarray(pool.baseline_ev_per_atom * pool.n_atoms)


def _jobs(
    setup: Setup, scales: Sequence[EnergyScales], *, order: PlanOrder, pools: dict[str, ReplayPool]
) -> Iterator[ReplayJob]:
    """A job for each replicate; what they are played on is put into `pools`."""
    config, setting = setup.config, Setting(config=setup.config, varied={})
    # What stands in for the energies cannot be what the model learns the difference from.
    pool = begun(setup) if scales else replace(begun(setup), baseline_ev_per_atom=None)
    baseline = None if scales else baseline_energies(setup.pool)
    path_key, tree = setting.path_key, config.model_dump(mode="json")
    for seed in range(config.seed, config.seed + order.n_of_alloys):
        energies = draw_energies(pool, setup.features, scales, seed=seed) if baseline is None else baseline
        fingerprint = sha256_of(np.ascontiguousarray(energies).tobytes())
        name = f"{config.name}\n{fingerprint}"
        if name not in pools:
            pools[name] = ReplayPool(pool=pool, energies_ev=energies, features=setup.features)
            pools[name].engine(config, seed=seed)
        key = ReplayKey(campaign=config.name, path_key=f"{path_key} {fingerprint}", seed=seed)
        yield ReplayJob(key=key, pool=name, settings=tree, played_to=setting.played_to)


def _typical(separations: Mapping[str, Floats], *, metric: Metric) -> dict[str, float]:
    return {block: typical_separation(values, metric=metric) for block, values in separations.items()}


def _rescaled(hyperparameters: Hyperparameters, factors: Mapping[str, float]) -> Hyperparameters:
    """The same with the length scale of each block times a factor; the others bear the weight of blocks that have none.

    Pools differ in their blocks: the volume per atom is one only where the composition does not say it all.
    """
    kernel = hyperparameters.kernel
    terms = [replace(t, length_scale=t.length_scale * factors[t.block]) for t in kernel.terms if t.block in factors]
    total = sum(term.weight for term in terms)
    shared = tuple(replace(term, weight=term.weight / total) for term in terms)
    return replace(hyperparameters, kernel=replace(kernel, terms=shared))
