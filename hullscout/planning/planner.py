"""The planner: opens the campaigns, plays what is not played yet, and reads the outcomes off."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from hullscout.campaign import Setup, read_origin
from hullscout.errors import InvalidPlanError
from hullscout.files import sha256_of
from hullscout.oracle import ProcessesSettings
from hullscout.planning.budget import Share, Spending, split
from hullscout.planning.forecast import Experience, Prediction, predict_alloy, total_of
from hullscout.planning.grid import Setting, parse_axes, settings_of
from hullscout.planning.order import PlannedCampaign, PlanOrder, check_budget
from hullscout.planning.replay import ReplayJob, ReplayKey, ReplayPool, begun, n_at_start, open_replay_workers, play_all
from hullscout.planning.store import PlanStore
from hullscout.planning.trade_off import (
    Recommendation,
    are_all_unsafe,
    fewest_runs,
    outcome_of,
    recommend,
    too_few,
    totals,
)
from hullscout.writing import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from hullscout.planning.budget import Budget
    from hullscout.planning.core_hours import CostModel
    from hullscout.planning.replay import Path as ReplayPath
    from hullscout.planning.trade_off import SettingOutcome
    from hullscout.pool import Pool
    from hullscout.selection.known import Floats

PLAN, BUDGET, PREDICTION, FIGURE = "plan.json", "budget.json", "prediction.json", "plan.png"


class Progress:
    """Told how far a plan is; it says nothing of that, others do."""

    def opening(self, name: str) -> None:
        """The pool of the campaign `name` is being opened."""

    def update(self, n_done: int, n_all: int) -> None:
        """So many replays of all are finished."""


SILENT = Progress()


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """The replays of one setting, a path for each seed, ascending, and the indices of the vertices of the true hull."""

    setting: Setting
    pool: Pool = field(repr=False)
    paths: tuple[ReplayPath, ...] = field(repr=False)
    ground_states: tuple[int, ...] = field(default=(), repr=False)

    @property
    def n_calculations(self) -> list[int]:
        """Calculations of each replay."""
        return [path.end(self.setting.failure_probability).n_calculations for path in self.paths]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The replays of each campaign and setting, and what they show, in the order of the campaigns given."""

    played: tuple[Played, ...]
    outcomes: tuple[SettingOutcome, ...]

    @property
    def first_settings(self) -> tuple[Played, ...]:
        """The replays of each campaign under its first setting."""
        first: dict[str, Played] = {}
        for one in self.played:
            first.setdefault(one.setting.config.name, one)
        return tuple(first.values())


def read_campaigns(
    files: Iterable[Path], *, grid: Iterable[str] = (), overrides: Iterable[str] = ()
) -> tuple[PlannedCampaign, ...]:
    """Read the campaign files of a plan, each with a name of its own, and set up what is compared on each."""
    fixed, campaigns = list(overrides), []
    axes = parse_axes(grid, fixed=fixed)
    for file in files:
        origin = read_origin(file, fixed)
        campaigns.append(PlannedCampaign(origin=origin, settings=settings_of(origin.config, axes, source=str(file))))
    names = [campaign.name for campaign in campaigns]
    again = sorted({name for name in names if names.count(name) > 1})
    if again:
        raise InvalidPlanError(
            f"Two campaign files are called {again[0]!r}; a plan tells campaigns by name. Give each its own `name`."
        )
    return tuple(campaigns)


def read_new(files: Iterable[Path], overrides: Iterable[str] = ()) -> tuple[Setup, ...]:
    """Open campaigns of which no energy is known, before anything is replayed for them."""
    fixed = list(overrides)
    setups = tuple(Setup(read_origin(file, fixed), has_energies=False) for file in files)
    for setup in setups:
        _ = setup.pool
    return setups


def folder_name(campaigns: Sequence[PlannedCampaign | Setup]) -> str:
    """Name of the default output folder."""
    return campaigns[0].origin.config.folder_name if len(campaigns) == 1 else f"{len(campaigns)}-campaigns"


def make_plan(
    campaigns: Sequence[PlannedCampaign], folder: Path, *, order: PlanOrder, progress: Progress = SILENT
) -> Plan:
    """Play what the folder (made where there is none) does not hold yet, keep it there in `plan.db`, and write `plan.json`."""
    origins = [campaign.origin for campaign in campaigns]
    PlanStore.refuse_another(folder, origins)
    pools: dict[str, ReplayPool] = {}
    for campaign in campaigns:
        progress.opening(campaign.name)
        pools |= open_pools(campaign)
        if order.cost_model is not None:
            order.cost_model.of(pools[_pool_name(campaign.settings[0])].pool)  # refused before any replay
    settings = [setting for campaign in campaigns for setting in campaign.settings]
    jobs = [_jobs(setting, pools[_pool_name(setting)].pool, order.n_replicates) for setting in settings]
    with PlanStore.create_or_resume(folder, origins) as store:
        # Seeds outermost: a plan that is cut off holds the same seeds of all settings.
        every = [job for of_seed in zip(*jobs, strict=True) for job in of_seed]
        kept = play_missing(every, pools, store, order=order, progress=progress)
    played = tuple(
        Played(
            setting=setting,
            pool=pools[_pool_name(setting)].pool,
            paths=tuple(kept[job.key] for job in of_setting),
            ground_states=pools[_pool_name(setting)].ground_states,
        )
        for setting, of_setting in zip(settings, jobs, strict=True)
    )
    outcomes = tuple(_outcome(one, order) for one in played)
    _save(folder / PLAN, outcomes)
    return Plan(played=played, outcomes=outcomes)


def open_pools(campaign: PlannedCampaign) -> dict[str, ReplayPool]:
    """The pool of a campaign with its features, once for each representation among its settings, by the name that jobs give it."""
    pools: dict[str, ReplayPool] = {}
    for setting in campaign.settings:
        name = _pool_name(setting)
        if name not in pools:
            pools[name] = ReplayPool.of(Setup(replace(campaign.origin, config=setting.config)))
        pools[name].engine(setting.config, seed=0)
    return pools


def play_missing(
    jobs: Iterable[ReplayJob],
    pools: Mapping[str, ReplayPool],
    store: PlanStore,
    *,
    order: PlanOrder,
    progress: Progress,
) -> dict[ReplayKey, ReplayPath]:
    """Play those jobs that the store does not hold, keep each as soon as it is finished, and return all that are kept.

    Of jobs with one key, that to the smallest failure probability is played.
    """
    kept, wanted = store.replays(), dict[ReplayKey, ReplayJob]()
    for job in jobs:
        if job.key not in wanted or job.played_to < wanted[job.key].played_to:
            wanted[job.key] = job
    missing = [job for key, job in wanted.items() if key not in kept or kept[key][0] > job.played_to]
    n_done, executor = len(wanted) - len(missing), order.sized_executor
    progress.update(n_done, len(wanted))
    if missing:
        if isinstance(executor, ProcessesSettings):
            executor = executor.model_copy(update={"workers": min(executor.workers, len(missing))})
        with open_replay_workers(executor, {job.pool: pools[job.pool] for job in missing}) as workers:
            for job, path in play_all(missing, workers):
                store.save(job.key, played_to=job.played_to, path=path)
                n_done += 1
                progress.update(n_done, len(wanted))
    return {key: path for key, (_, path) in store.replays().items()}


def recommendations(outcomes: Sequence[SettingOutcome], *, risk: float) -> tuple[Recommendation, ...]:
    """One recommendation for each campaign, and one for all of several together."""
    names, n_runs = dict.fromkeys(outcome.campaign for outcome in outcomes), outcomes[0].replicates
    by_name = {name: [o for o in outcomes if o.campaign == name] for name in names}
    each = tuple(recommend(options, risk=risk) for options in by_name.values())
    if len(names) > 1 and n_runs < fewest_runs(risk):
        unsafe = (
            one for one, options in zip(each, by_name.values(), strict=True) if are_all_unsafe(options, risk=risk)
        )
        each = (*unsafe, Recommendation(option=None, sentence=too_few("Each by itself", n_runs, risk=risk)))
    sums = totals(outcomes) if len(names) > 1 else ()
    return (*each, recommend(sums, risk=risk)) if sums else each


def fixed_budget(plan: Plan, budget: Budget, *, order: PlanOrder) -> tuple[Spending, ...]:
    """The replays of each campaign and setting along what they spend, in the unit of a budget."""
    check_budget(budget, order)
    model = order.cost_model if budget.is_core_hours else None
    return tuple(
        Spending.of(
            one.setting.config.name,
            one.paths,
            cost=np.ones(len(one.pool)) if model is None else model.of(one.pool),
            hull_tolerance=one.setting.config.stop.hull_tolerance,
            failure_probability=one.setting.failure_probability,
        )
        for one in plan.played
    )


def split_budget(plan: Plan, spendings: Sequence[Spending], budget: Budget) -> tuple[Share, ...]:
    """Split a budget over the campaigns of a plan, each under its first setting; alone a campaign gets all of it."""
    place = {id(one): place for place, one in enumerate(plan.played)}
    return split([spendings[place[id(one)]] for one in plan.first_settings], budget.amount)


def save_budget(
    folder: Path, budget: Budget, plan: Plan, spendings: Sequence[Spending], shares: Sequence[Share]
) -> None:
    """Write `budget.json`: the chance of a right hull of each campaign and setting for the whole budget, and the split."""
    alone = [
        {"campaign": o.campaign, "rule": o.rule, "setting": o.setting, "within_tolerance": s.chance(budget.amount)}
        for o, s in zip(plan.outcomes, spendings, strict=True)
    ]
    _save(folder / BUDGET, {"budget": budget.amount, "unit": budget.unit, "alone": alone, "split": shares})


def predict_new(plan: Plan, setups: Iterable[Setup], *, order: PlanOrder) -> tuple[Prediction, ...]:
    """Predict campaigns on pools without energies from the replays of similar alloys, those of each one's first setting.

    Core-hours are those of the new pool's mean candidate, times what looked-up candidates of similar alloys took over theirs.
    """
    experience, model, predictions = experience_of(plan), order.cost_model, []
    for number, setup in enumerate(setups):
        sizes = [] if model is None else [_relative_size(one, model) for one in plan.first_settings]
        pool = begun(setup)
        hours = None if model is None else float(model.of(pool)[pool.is_calculable].mean() * np.mean(sizes))
        predictions.append(predict_setup(setup, experience, number=number, hours=hours, cost_model=model))
    return tuple(predictions)


def predict_setup(
    setup: Setup,
    experience: Experience,
    *,
    number: int,
    hours: float | None,
    cost_model: CostModel | None,
    guess: float = 0.0,
) -> Prediction:
    """Predict a campaign, the `number`-th of those that may be added, of which a calculation takes so many core-hours."""
    pool = begun(setup)
    return predict_alloy(
        experience,
        pool.n_calculable,
        n_start=n_at_start(pool, setup.config),
        name=setup.config.name,
        guess=guess,
        number=number,
        hours_per_calculation=hours,
        hours_error=0.0 if cost_model is None else cost_model.relative_error(setup.pool),
    )


def experience_of(plan: Plan) -> Experience:
    """What a plan says of new alloys, from the first setting of each campaign. Pools of the same elements are one alloy."""
    alloys: dict[frozenset[str], list[Floats]] = {}
    for one in plan.first_settings:
        shares = np.array(one.n_calculations) / one.pool.n_calculable
        alloys.setdefault(frozenset(one.setting.config.elements), []).append(shares)
    return Experience.of([np.concatenate(shares) for shares in alloys.values()])


def save_predictions(folder: Path, predictions: Sequence[Prediction]) -> None:
    """Write `prediction.json`: quantiles of the calculations and core-hours of each new alloy, and of all together."""
    entries = [*predictions, *([total_of(predictions)] if len(predictions) > 1 else [])]
    _save(folder / PREDICTION, [prediction.to_tree() for prediction in entries])


def _save(path: Path, tree: object) -> None:
    """Write a tree of dataclasses and what JSON knows."""
    text = json.dumps(tree, indent=2, allow_nan=False, default=asdict) + "\n"
    write_whole(path, text, remedy="The replays are kept; run again.")


def _jobs(setting: Setting, begins: Pool, n_replicates: int) -> list[ReplayJob]:
    """A job for each seed; settings that share their path, and what is known before it, have the same keys."""
    config, path_key, pool = setting.config, setting.path_key, _pool_name(setting)
    if config.pool.known:
        path_key = f"{path_key} {sha256_of(json.dumps(begins.given).encode())}"
    tree = config.model_dump(mode="json")
    keys = [ReplayKey(campaign=config.name, path_key=path_key, seed=config.seed + n) for n in range(n_replicates)]
    return [ReplayJob(key=key, pool=pool, settings=tree, played_to=setting.played_to) for key in keys]


def _pool_name(setting: Setting) -> str:
    return f"{setting.config.name}\n{setting.features_key}"


def _relative_size(one: Played, model: CostModel) -> float:
    """Core-hours of the mean calculation over those of the mean candidate."""
    hours = model.of(one.pool)
    looked_up = [hours[list(path.order[:n])].mean() for path, n in zip(one.paths, one.n_calculations, strict=True)]
    return float(np.mean(looked_up) / hours[one.pool.is_calculable].mean())


def _outcome(one: Played, order: PlanOrder) -> SettingOutcome:
    model, pool = order.cost_model, one.pool
    return outcome_of(
        one.setting,
        one.paths,
        n_candidates=pool.n_calculable,
        cost=one.setting.config.cost.of_pool(pool),
        ground_states={index: pool.ids[index] for index in one.ground_states if pool.ids[index] not in pool.given},
        core_hours=None if model is None else model.of(pool) * pool.is_calculable,
        core_hours_error=0.0 if model is None else model.relative_error(pool),
        price=order.price,
    )
