"""A new alloy predicted from replays on its own pool, with energies that stand in for those that are not known."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hullscout.campaign import Setup
from hullscout.planning.grid import Setting, states_probability
from hullscout.planning.new_alloy import SEEN, Prediction, Source, log_odds, predict
from hullscout.planning.playing import NewCampaign, PlannedCampaign, open_grounds, play_jobs
from hullscout.planning.replay import Ground, engine_on, n_at_start
from hullscout.planning.stand_in import EnergyScales, baseline_energies, draw_energies, learn_scales
from hullscout.planning.store import PlanStore, ReplayKey
from hullscout.planning.workers import Job

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from hullscout.planning.order import PlanOrder
    from hullscout.planning.progress import Progress
    from hullscout.selection.known import Indices


def simulate_new(
    new: Sequence[NewCampaign],
    similar: Sequence[PlannedCampaign],
    folder: Path,
    *,
    source: Source,
    order: PlanOrder,
    progress: Progress,
) -> tuple[Prediction, ...]:
    """Predict campaigns from replays on their own pools, with energies that stand in for those that are not known.

    Args:
        new: The campaigns, each with its own settings.
        similar: Alloys whose energies say what energies are like; not needed for a baseline.
        folder: Where `plan.db` is kept; made where there is none.
        source: `PRIOR` or `BASELINE`.
        order: How many replays; each is of another draw from the prior.
        progress: Told what happens.

    Raises:
        InvalidPlanError: A similar alloy's energies are not known, a pool has no baseline or is too large to draw for.
        StoreError: The folder holds another plan.
    """
    scales = learn_all(similar, progress=progress) if source is Source.PRIOR else ()
    taken_by = play_stand_ins(new, similar, folder, scales=scales, order=order, progress=progress)
    predictions = []
    for number, (campaign, taken) in enumerate(zip(new, taken_by, strict=True)):
        hours = None if order.cost_model is None else order.cost_model.of(campaign.pool)
        shares = np.array([len(one) for one in taken]) / len(campaign.pool)
        predictions.append(
            predict(
                SEEN[source],
                len(campaign.pool),
                n_start=n_at_start(campaign.pool, campaign.origin.config),
                name=campaign.name,
                guess=float(log_odds(shares).mean()),
                number=number,
                hours_per_calculation=None if hours is None else float(np.mean([hours[one].mean() for one in taken])),
                hours_error=0.0 if order.cost_model is None else order.cost_model.relative_error(campaign.pool),
            )
        )
    return tuple(predictions)


def learn_all(similar: Sequence[PlannedCampaign], *, progress: Progress) -> tuple[EnergyScales, ...]:
    """What the energies of each of these alloys are like.

    Raises:
        InvalidPlanError: The energies of one are not known.
    """
    scales = []
    for known in similar:
        progress.opening(known.name)
        scales.append(learn_scales(next(iter(open_grounds(known).values())), known.origin.config.regression))
    return tuple(scales)


def play_stand_ins(
    new: Sequence[NewCampaign],
    similar: Sequence[PlannedCampaign],
    folder: Path,
    *,
    scales: Sequence[EnergyScales],
    order: PlanOrder,
    progress: Progress,
) -> tuple[tuple[Indices, ...], ...]:
    """Replay campaigns with energies that stand in for their own.

    Args:
        new: The campaigns.
        similar: Alloys that the scales are of; the store keeps which they were.
        folder: Where `plan.db` is kept; made where there is none.
        scales: Of the prior that energies are drawn from; none for those of the pool's baseline.
        order: How many replays.
        progress: Told what happens.

    Returns:
        For each campaign and replay, the candidates that were looked up.
    """
    origins = [campaign.origin for campaign in similar] + [campaign.origin for campaign in new]
    PlanStore.refuse_another(folder, origins)
    grounds: dict[str, Ground] = {}
    jobs: dict[str, list[Job]] = {}
    for campaign in new:
        progress.opening(campaign.name)
        jobs[campaign.name] = list(_stand_ins(campaign, scales, order=order, grounds=grounds))
    stop = {campaign.name: campaign.origin.config.stop.failure_probability for campaign in new}
    every = [(job, stop[job.key.campaign]) for of_campaign in jobs.values() for job in of_campaign]
    with PlanStore.create_or_resume(folder, origins) as store:
        play_jobs(every, grounds, store, executor=order.players, on_progress=progress.update)
        kept = store.replays()
    taken = []
    for campaign in new:
        probability = None if not states_probability(campaign.origin.config) else stop[campaign.name]
        paths = [kept[job.key][1] for job in jobs[campaign.name]]
        taken.append(tuple(np.array(path.order[: path.end(probability).n_calculations]) for path in paths))
    return tuple(taken)


def _stand_ins(
    campaign: NewCampaign,
    scales: Sequence[EnergyScales],
    *,
    order: PlanOrder,
    grounds: dict[str, Ground],
) -> Iterator[Job]:
    """A job for each replicate; what they are played on is put into `grounds`."""
    config = campaign.origin.config
    # What stands in for the energies cannot be what the model learns the difference from.
    pool = campaign.pool if scales else replace(campaign.pool, baseline_ev_per_atom=None)
    baseline = None if scales else baseline_energies(campaign.pool)
    features = Setup(campaign.origin, has_energies=False).features
    for seed in range(config.seed, config.seed + order.n_replicates):
        energies = draw_energies(pool, features, scales, seed=seed) if baseline is None else baseline
        fingerprint = hashlib.sha256(np.ascontiguousarray(energies).tobytes()).hexdigest()
        ground = Ground(pool=pool, energies_ev=energies, features=features)
        name = f"{campaign.name}\n{fingerprint}"
        if name not in grounds:
            engine_on(ground, config, seed=seed)
            grounds[name] = ground
        setting = Setting(config=config, varied={})
        key = ReplayKey(campaign=campaign.name, path_key=f"{setting.path_key} {fingerprint}", seed=seed)
        yield Job(key=key, ground=name, config=config)
