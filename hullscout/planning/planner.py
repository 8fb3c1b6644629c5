"""The planner: opens the campaigns, plays what is not played yet, and reads the outcomes off."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from hullscout.campaign import runner
from hullscout.errors import InvalidPlanError, InvalidPoolError
from hullscout.planning.grid import Setting, parse_axes, settings_of, states_probability
from hullscout.planning.intervals import fewest_runs
from hullscout.planning.replay import Ground, engine_on
from hullscout.planning.store import NO_PROBABILITY, PlanStore, ReplayKey
from hullscout.planning.trade_off import Outcome, Recommendation, outcome_of, recommend, save_plan
from hullscout.planning.workers import Job, local_workers, play_all
from hullscout.pool import parse_frames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hullscout.campaign.store import Origin
    from hullscout.planning.path import Path as ReplayPath


FIGURE = "plan.png"


class Progress(Protocol):
    """Whoever shows how far a plan is."""

    def opening(self, name: str) -> None:
        """The pool of the campaign `name` is being opened."""

    def update(self, n_done: int, n_all: int) -> None:
        """So many replays of all are finished."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOrder:
    """How a plan is made.

    Attributes:
        n_replicates: Replays of each setting, at least 1.
        risk: Wanted risk of a hull beyond the tolerance, between 0 and 1.
        n_workers: Processes; None for one per core.

    Raises:
        InvalidPlanError: One of them is impossible.
    """

    n_replicates: int
    risk: float = 0.05
    n_workers: int | None = None

    def __post_init__(self) -> None:
        if self.n_replicates < 1:
            raise InvalidPlanError(
                f"--replicates: expected at least 1, found {self.n_replicates}; {fewest_runs(0.05)} show a risk below 5 %."
            )
        if not 0.0 < self.risk < 1.0:
            raise InvalidPlanError(f"--risk: expected a probability above 0 and below 1, found {self.risk}.")


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


def read_campaigns(
    files: Iterable[Path], *, grid: Iterable[str] = (), overrides: Iterable[str] = ()
) -> tuple[PlannedCampaign, ...]:
    """Read the campaign files of a plan and set up what is compared on each.

    Raises:
        InvalidCampaignError: A campaign file or a value of the grid is not valid.
        InvalidPlanError: Two campaigns have one name, or a key of the grid is used by no rule.
        InvalidPoolError: There is no such pool file.
    """
    fixed, campaigns = list(overrides), []
    axes = parse_axes(grid, fixed=fixed)
    for file in files:
        origin = runner.read_origin(file, fixed)
        campaigns.append(PlannedCampaign(origin=origin, settings=settings_of(origin.config, axes, source=str(file))))
    names = [campaign.name for campaign in campaigns]
    again = sorted({name for name in names if names.count(name) > 1})
    if again:
        raise InvalidPlanError(
            f"Two campaign files are called {again[0]!r}; a plan tells campaigns by name. Give each its own `name`."
        )
    return tuple(campaigns)


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
            f"(oracle.kind = {origin.config.oracle.kind!r}). Give campaigns with a table of energies."
        )
    try:
        pool, oracle = runner.open_pool(origin)
    except InvalidPoolError as error:
        frames = parse_frames(origin.pool, path=Path(origin.pool_name)).frames
        if any(frame.energy_ev is not None for frame in frames):
            raise
        raise InvalidPlanError(
            f"{campaign.name}: a replay needs the energies of the candidates, and none of the {len(frames)} frames of "
            f"{origin.pool_name} states one. Give campaigns whose energies are known."
        ) from error
    assert oracle is not None  # noqa: S101  it is a table
    grounds: dict[str, Ground] = {}
    for setting in campaign.settings:
        if setting.features_key not in grounds:
            features = runner.open_features(replace(origin, config=setting.config), pool)
            grounds[setting.features_key] = Ground(
                pool=pool, energies_ev=np.asarray(oracle.energies_ev), features=features
            )
        engine_on(grounds[setting.features_key], setting.config, seed=0)
    return grounds


def folder_name(campaigns: Sequence[PlannedCampaign]) -> str:
    """Name of the default output folder."""
    return campaigns[0].origin.config.folder_name if len(campaigns) == 1 else f"{len(campaigns)}-campaigns"


def make_plan(
    campaigns: Sequence[PlannedCampaign], folder: Path, *, order: PlanOrder, progress: Progress
) -> tuple[Outcome, ...]:
    """Play what `folder` does not hold yet, and write `plan.json` there.

    Args:
        campaigns: From `read_campaigns`.
        folder: Where `plan.db` is kept; made where there is none.
        order: How many replays, at which risk.
        progress: Told what happens.

    Returns:
        An outcome for each campaign and setting, in the order given.

    Raises:
        InvalidPlanError: A campaign's energies are not known.
        StoreError: The folder holds another plan.
        OutputError: `plan.json` cannot be written.
    """
    n_workers = order.n_workers or os.cpu_count() or 1
    with PlanStore.create_or_resume(folder, [campaign.origin for campaign in campaigns]) as store:
        grounds = []
        for campaign in campaigns:
            progress.opening(campaign.name)
            grounds.append(open_grounds(campaign))
        play_missing(
            campaigns, grounds, store, n_replicates=order.n_replicates, n_workers=n_workers, on_progress=progress.update
        )
        outcomes = read_outcomes(campaigns, grounds, store, n_replicates=order.n_replicates)
    save_plan(folder, outcomes)
    return outcomes


def recommendations(outcomes: Sequence[Outcome], *, risk: float) -> tuple[Recommendation, ...]:
    """One recommendation for each campaign."""
    names = dict.fromkeys(outcome.campaign for outcome in outcomes)
    return tuple(recommend([o for o in outcomes if o.campaign == name], risk=risk) for name in names)


def play_missing(
    campaigns: Sequence[PlannedCampaign],
    grounds: Sequence[dict[str, Ground]],
    store: PlanStore,
    *,
    n_replicates: int,
    n_workers: int,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> None:
    """Play every replay of the plan that the store does not hold, and keep each as soon as it is finished.

    Args:
        campaigns: The campaigns.
        grounds: Their grounds, from `open_grounds`.
        store: Where replays are kept.
        n_replicates: Seeds of each setting, counted from the campaign's own.
        n_workers: Processes.
        on_progress: Called with the number of finished replays and of all, at the beginning and after each.
    """
    kept = store.replays()
    wanted = {job.key: (job, played_to) for job, played_to in _jobs(campaigns, n_replicates)}
    missing = [job for key, (job, played_to) in wanted.items() if key not in kept or kept[key][0] > played_to]
    n_done = len(wanted) - len(missing)
    on_progress(n_done, len(wanted))
    if not missing:
        return
    needed = {job.ground for job in missing}
    on_offer = {
        _ground_name(campaign, key): ground
        for campaign, by_key in zip(campaigns, grounds, strict=True)
        for key, ground in by_key.items()
        if _ground_name(campaign, key) in needed
    }
    n_busy = min(n_workers, len(missing))
    with local_workers(n_busy, on_offer) as executor:
        for job, path in play_all(missing, executor, n_ahead=2 * n_busy):
            store.save(job.key, played_to=wanted[job.key][1], path=path)
            n_done += 1
            on_progress(n_done, len(wanted))


def read_outcomes(
    campaigns: Sequence[PlannedCampaign],
    grounds: Sequence[dict[str, Ground]],
    store: PlanStore,
    *,
    n_replicates: int,
) -> tuple[Outcome, ...]:
    """The outcome of every setting, from the replays that the store holds."""
    kept = store.replays()
    outcomes = []
    for campaign, by_key in zip(campaigns, grounds, strict=True):
        for setting in campaign.settings:
            pool = by_key[setting.features_key].pool
            paths = [kept[key][1] for key in _keys(campaign, setting, n_replicates)]
            outcomes.append(
                outcome_of(
                    setting,
                    paths,
                    n_candidates=len(pool),
                    cost=setting.config.cost.of(pool.n_atoms, column=pool.cost),
                )
            )
    return tuple(outcomes)


def paths_of(
    campaign: PlannedCampaign, setting: Setting, store: PlanStore, *, n_replicates: int
) -> tuple[ReplayPath, ...]:
    """The replays of one setting."""
    kept = store.replays()
    return tuple(kept[key][1] for key in _keys(campaign, setting, n_replicates))


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
