"""What is played for a plan: opens the pools, plays what the store does not hold yet, and hands out the replays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from hullscout.campaign import Setup
from hullscout.errors import InvalidPlanError, InvalidPoolError
from hullscout.oracle import ProcessesSettings
from hullscout.planning.grid import Setting, states_probability
from hullscout.planning.replay import Ground, engine_on
from hullscout.planning.store import NO_PROBABILITY, PlanStore, ReplayKey
from hullscout.planning.workers import Job, open_players, play_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hullscout.campaign.config import Origin
    from hullscout.oracle import AnyExecutor
    from hullscout.planning.path import Path as ReplayPath
    from hullscout.pool import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCampaign:
    """A campaign of a plan.

    Attributes:
        origin: Its file and pool.
        settings: What is compared on it.
    """

    origin: Origin
    settings: tuple[Setting, ...]

    @property
    def name(self) -> str:
        """Name of the campaign."""
        return self.origin.config.name


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCampaign:
    """A campaign of which no energy is known."""

    origin: Origin
    pool: Pool

    @property
    def name(self) -> str:
        """Name of the campaign."""
        return self.origin.config.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """The replays of one setting.

    Attributes:
        setting: Which one.
        pool: The candidates.
        paths: One for each seed, ascending.
    """

    setting: Setting
    pool: Pool = field(repr=False)
    paths: tuple[ReplayPath, ...] = field(repr=False)


def open_grounds(campaign: PlannedCampaign) -> dict[str, Ground]:
    """Open the pool of a campaign and compute its features, once for each representation among its settings.

    Returns:
        By `Setting.features_key`.

    Raises:
        InvalidPlanError: The energies of the pool are not known, so that nothing can be replayed.
        InvalidPoolError: The pool holds something that no campaign can use.
        InvalidCampaignError: A setting does not fit the pool.
    """
    origin = campaign.origin
    if origin.config.oracle.kind != "table":
        raise InvalidPlanError(
            f"{campaign.name}: a replay needs the energies of all candidates, and this campaign computes them "
            f"(oracle.kind = {origin.config.oracle.kind!r}). Give campaigns with a table of energies (`hullscout table` "
            "writes what a campaign computed), or predict this one from them by --like."
        )
    try:
        setup = Setup(origin)
        pool, oracle = setup.pool, setup.table
    except InvalidPoolError as error:
        frames = setup.frames.frames
        if any(frame.energy_ev is not None for frame in frames):
            raise
        raise InvalidPlanError(
            f"{campaign.name}: a replay needs the energies of the candidates, and none of the {len(frames)} frames of "
            f"{origin.pool_name} states one. Give campaigns whose energies are known, or predict this one from them by --like."
        ) from error
    assert oracle is not None  # noqa: S101  it is a table
    grounds: dict[str, Ground] = {}
    for setting in campaign.settings:
        if setting.features_key not in grounds:
            features = Setup(replace(origin, config=setting.config)).features
            grounds[setting.features_key] = Ground(
                pool=pool, energies_ev=np.asarray(oracle.energies_ev), features=features
            )
        engine_on(grounds[setting.features_key], setting.config, seed=0)
    return grounds


def play_missing(
    campaigns: Sequence[PlannedCampaign],
    grounds: Sequence[dict[str, Ground]],
    store: PlanStore,
    *,
    n_replicates: int,
    executor: AnyExecutor,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> None:
    """Play every replay of the plan that the store does not hold, and keep each as soon as it is finished.

    Args:
        campaigns: The campaigns.
        grounds: Their grounds, from `open_grounds`.
        store: Where replays are kept.
        n_replicates: Seeds of each setting, counted from the campaign's own.
        executor: Where they are played.
        on_progress: Called with the number of finished replays and of all, at the beginning and after each.
    """
    on_offer = {
        _ground_name(campaign, key): ground
        for campaign, by_key in zip(campaigns, grounds, strict=True)
        for key, ground in by_key.items()
    }
    play_jobs(_jobs(campaigns, n_replicates), on_offer, store, executor=executor, on_progress=on_progress)


def play_jobs(
    jobs: Iterable[tuple[Job, float]],
    grounds: Mapping[str, Ground],
    store: PlanStore,
    *,
    executor: AnyExecutor,
    on_progress: Callable[[int, int], None],
) -> None:
    """Play those jobs that the store does not hold, and keep each as soon as it is finished.

    Args:
        jobs: Each with the failure probability to which it is played.
        grounds: What they are played on, by name.
        store: Where replays are kept.
        executor: Where they are played.
        on_progress: Called with the number of finished replays and of all, at the beginning and after each.
    """
    kept = store.replays()
    wanted = {job.key: (job, played_to) for job, played_to in jobs}
    missing = [job for key, (job, played_to) in wanted.items() if key not in kept or kept[key][0] > played_to]
    n_done = len(wanted) - len(missing)
    on_progress(n_done, len(wanted))
    if not missing:
        return
    needed = {job.ground for job in missing}
    if isinstance(executor, ProcessesSettings):
        executor = executor.model_copy(update={"workers": min(executor.workers, len(missing))})
    with open_players(executor, {name: ground for name, ground in grounds.items() if name in needed}) as players:
        for job, path in play_all(missing, players):
            store.save(job.key, played_to=wanted[job.key][1], path=path)
            n_done += 1
            on_progress(n_done, len(wanted))


def read_played(
    campaigns: Sequence[PlannedCampaign],
    grounds: Sequence[dict[str, Ground]],
    store: PlanStore,
    *,
    n_replicates: int,
) -> tuple[Played, ...]:
    """The replays of every campaign and setting, in their order, once all are in the store."""
    kept = store.replays()
    return tuple(
        Played(
            setting=setting,
            pool=by_key[setting.features_key].pool,
            paths=tuple(kept[key][1] for key in _keys(campaign, setting, n_replicates)),
        )
        for campaign, by_key in zip(campaigns, grounds, strict=True)
        for setting in campaign.settings
    )


def _jobs(campaigns: Sequence[PlannedCampaign], n_replicates: int) -> Iterable[tuple[Job, float]]:
    """One job for each path and seed, to the smallest failure probability that is asked of it; seeds outermost."""
    strictest: dict[tuple[str, str], tuple[PlannedCampaign, Setting]] = {}
    for campaign in campaigns:
        for setting in campaign.settings:
            _, before = strictest.get((campaign.name, setting.path_key), (None, setting))
            if setting.config.stop.failure_probability <= before.config.stop.failure_probability:
                strictest[campaign.name, setting.path_key] = (campaign, setting)
    for n in range(n_replicates):
        for campaign, setting in strictest.values():
            played_to = (
                setting.config.stop.failure_probability if states_probability(setting.config) else NO_PROBABILITY
            )
            key = _keys(campaign, setting, n_replicates)[n]
            yield (
                Job(key=key, ground=_ground_name(campaign, setting.features_key), config=setting.config),
                played_to,
            )


def _keys(campaign: PlannedCampaign, setting: Setting, n_replicates: int) -> tuple[ReplayKey, ...]:
    first = campaign.origin.config.seed
    return tuple(
        ReplayKey(campaign=campaign.name, path_key=setting.path_key, seed=first + n) for n in range(n_replicates)
    )


def _ground_name(campaign: PlannedCampaign, features_key: str) -> str:
    return f"{campaign.name}\n{features_key}"
