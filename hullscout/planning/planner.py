"""The planner: opens the campaigns, plays what is not played yet, and reads the outcomes off."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from hullscout.campaign import Setup, read_origin
from hullscout.files import sha256_of
from hullscout.oracle import ProcessesSettings
from hullscout.planning.asking import Ask, ask_of, ask_together
from hullscout.planning.budget import Share, Spending, split
from hullscout.planning.forecast import Prediction, total_of
from hullscout.planning.grid import Setting, parse_axes, settings_of
from hullscout.planning.order import PlannedCampaign, PlanOrder, check_budget, refuse_twice
from hullscout.planning.recommending import are_all_unsafe, chosen, is_safe, of_campaigns, undecided
from hullscout.planning.replay import ReplayJob, ReplayKey, ReplayPool
from hullscout.planning.replay_workers import open_replay_workers, play_all
from hullscout.planning.store import PlanStore
from hullscout.planning.trade_off import outcome_of, totals
from hullscout.selection import StopReason
from hullscout.writing import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from hullscout.planning.budget import Budget
    from hullscout.planning.core_hours import CostModel
    from hullscout.planning.replay import Path as ReplayPath
    from hullscout.planning.trade_off import SettingOutcome
    from hullscout.pool import Pool

PLAN, BUDGET, PREDICTION, FIGURE, TRADE_OFF = "plan.json", "budget.json", "prediction.json", "plan.png", "trade_off.png"
TABLE, LATEX, PAGE = "plan.csv", "plan.tex", "plan.html"
RESULTS = (PLAN, BUDGET, PREDICTION, FIGURE, TRADE_OFF, TABLE, LATEX, PAGE)
"""All that a plan writes beside its replays."""


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

    @property
    def are_right(self) -> list[bool]:
        """Whether the hull of each is within the tolerance in the end."""
        ends = [path.end(self.setting.failure_probability) for path in self.paths]
        return [end.hull_error_ev_per_atom <= self.setting.config.stop.hull_tolerance for end in ends]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The replays of each campaign and setting, and what they show, in the order of the campaigns given.

    `to_the_end` names the campaigns of which no setting is safe enough, however strict: of these the whole pool is the answer.
    """

    played: tuple[Played, ...]
    outcomes: tuple[SettingOutcome, ...]
    to_the_end: frozenset[str] = frozenset()

    def undecided(self, *, risk: float) -> dict[str, tuple[str, ...]]:
        """What more replays may still change, by campaign; empty where all are decided."""
        found = {name: undecided(options, risk=risk) for name, options in of_campaigns(self.outcomes).items()}
        return {name: texts for name, texts in found.items() if texts}

    def recommended(self, *, risk: float, is_shared: bool = False) -> tuple[Played, ...]:
        """The replays of each campaign under the setting to take: the cheapest safe one, or else the safest.

        Where it is shared, the setting is that for all campaigns together, if they have one in common.
        """
        of_outcome = {id(outcome): one for outcome, one in zip(self.outcomes, self.played, strict=True)}
        groups = of_campaigns(self.outcomes)
        sums = totals(self.outcomes) if is_shared and len(groups) > 1 else ()
        if sums:
            return tuple(of_outcome[id(outcome)] for outcome in chosen(sums, risk=risk).parts)
        return tuple(of_outcome[id(chosen(options, risk=risk))] for options in groups.values())


def read_campaigns(
    files: Iterable[Path], *, grid: Iterable[str] = (), overrides: Iterable[str] = ()
) -> tuple[PlannedCampaign, ...]:
    """Read the campaign files of a plan, each with a name of its own, and set up what is compared on each.

    Where a pool has a baseline, every setting is compared with the same one without it, too.
    """
    fixed, campaigns = list(overrides), []
    axes = parse_axes(grid, fixed=fixed)
    for file in files:
        origin = read_origin(file, fixed)
        settings = settings_of(origin.config, axes, source=str(file))
        if origin.config.pool.baseline is not None:
            settings = (*settings, *(setting.without_prior for setting in settings))
        campaigns.append(PlannedCampaign(origin=origin, settings=settings))
    refuse_twice(campaigns)
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
    names = [campaign.name for campaign in campaigns]
    with PlanStore.create_or_resume(folder, origins) as store:
        for n_replicates in order.looks:
            made = _played(settings, pools, store, n_replicates=n_replicates, order=order, progress=progress)
            while more := _stricter(made, order=order, is_last=n_replicates == order.looks[-1]):
                settings = sorted([*settings, *more], key=lambda setting: names.index(setting.config.name))
                made = _played(settings, pools, store, n_replicates=n_replicates, order=order, progress=progress)
            if not made.undecided(risk=order.risk):
                break
    if order.tries_stricter:
        unsafe = {
            name for name, options in of_campaigns(made.outcomes).items() if not is_safe(options, risk=order.risk)
        }
        made = replace(made, to_the_end=frozenset(unsafe))
    clear_results(folder)
    _save(folder / PLAN, made.outcomes)
    return made


def _stricter(made: Plan, *, order: PlanOrder, is_last: bool) -> list[Setting]:
    """The next stricter setting of each campaign of which none is safe, and more replays do not make one so.

    A replay to a smaller failure probability goes on where the one to a larger ends, and its hull is nowhere higher. So the last
    of the settings whose true risk is too large looks safe wherever one before it does, and trying one after the other is wrong
    no more often than one interval is.
    """
    found = []
    for name, options in of_campaigns(made.outcomes).items() if order.tries_stricter else ():
        is_open = not is_last and not are_all_unsafe(options, risk=order.risk)
        if is_open or is_safe(options, risk=order.risk):
            continue
        ended = [
            one.setting
            for one, outcome in zip(made.played, made.outcomes, strict=True)
            if outcome.campaign == name and StopReason.FAILURE_PROBABILITY in outcome.stop_reasons
        ]
        strictest = min(ended, key=lambda setting: setting.played_to, default=None)
        if strictest is not None and (more := strictest.stricter) is not None:
            found.append(more)
    return found


def _played(
    settings: Sequence[Setting],
    pools: Mapping[str, ReplayPool],
    store: PlanStore,
    *,
    n_replicates: int,
    order: PlanOrder,
    progress: Progress,
) -> Plan:
    """The plan of so many replays of each setting; those that are not kept yet are played."""
    jobs = [_jobs(setting, pools[_pool_name(setting)].pool, n_replicates) for setting in settings]
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
    return Plan(played=played, outcomes=tuple(_outcome(one, order) for one in played))


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


def fixed_budget(plan: Plan, budget: Budget, *, order: PlanOrder) -> tuple[Spending, ...]:
    """The replays of each campaign and setting along what they spend, in the unit of a budget."""
    check_budget(budget, order)
    return spendings_of(plan.played, order=order, model=order.cost_model if budget.is_core_hours else None)


def spendings_of(played: Iterable[Played], *, order: PlanOrder, model: CostModel | None) -> tuple[Spending, ...]:
    """Replays along what they spend, in core-hours where a model tells them, else in calculations."""
    return tuple(
        Spending.of(
            one.setting.config.name,
            one.paths,
            cost=one.pool.is_calculable * (np.ones(len(one.pool)) if model is None else model.of(one.pool)),
            hull_tolerance=one.setting.config.stop.hull_tolerance,
            failure_probability=one.setting.failure_probability,
            confidence=order.confidence,
        )
        for one in played
    )


def spendings_to_ask(plan: Plan, *, order: PlanOrder, model: CostModel | None) -> tuple[Spending, ...]:
    """What each campaign spends under the setting to take, to the end of the pool where that is the answer."""
    played = plan.recommended(risk=order.risk)
    return _to_the_end(plan, spendings_of(played, order=order, model=model))


def _to_the_end(plan: Plan, spendings: Iterable[Spending]) -> tuple[Spending, ...]:
    return tuple(one.to_the_whole_pool if one.name in plan.to_the_end else one for one in spendings)


def asks_of(plan: Plan, *, order: PlanOrder) -> tuple[Ask, ...]:
    """What to ask for each campaign under the setting to take, in core-hours where they are known, and for all of several."""
    model = order.cost_model
    spendings = spendings_to_ask(plan, order=order, model=model)
    asks = tuple(
        ask_of(
            spending,
            unit="calculations" if model is None else "core-hours",
            whole=spending.pool,
            risk=order.risk,
            is_all=spending.name in plan.to_the_end,
            price=order.price,
        )
        for spending in spendings
    )
    if len(asks) == 1:
        return asks
    spent = np.sum([spending.whole for spending in spendings], axis=0)
    return (*asks, ask_together(asks, spent, spendings, [spending.chance for spending in spendings]))


def split_budget(plan: Plan, spendings: Sequence[Spending], budget: Budget, *, risk: float) -> tuple[Share, ...]:
    """Split a budget over the campaigns of a plan, each under the setting to take; alone a campaign gets all of it."""
    return split(spendings_to_take(plan, spendings, risk=risk), budget.amount)


def spendings_to_take(plan: Plan, spendings: Sequence[Spending], *, risk: float) -> tuple[Spending, ...]:
    """Of the spendings of all settings those of each campaign's setting to take, to the end of the pool where that is asked for."""
    place = {id(one): place for place, one in enumerate(plan.played)}
    return _to_the_end(plan, (spendings[place[id(one)]] for one in plan.recommended(risk=risk)))


def save_budget(
    folder: Path,
    budget: Budget,
    outcomes: Sequence[SettingOutcome],
    spendings: Sequence[Spending],
    shares: Sequence[Share],
) -> None:
    """Write `budget.json`: the chance of a right hull of each campaign and setting for the whole budget, and the split."""
    alone = [
        {"campaign": o.campaign, "rule": o.rule, "setting": o.setting, "within_tolerance": s.chance(budget.amount)}
        for o, s in zip(outcomes, spendings, strict=True)
    ]
    _save(folder / BUDGET, {"budget": budget.amount, "unit": budget.unit, "alone": alone, "split": shares})


def clear_results(folder: Path) -> None:
    """Remove what an earlier plan wrote into a folder, so that nothing old stands beside what comes; the replays stay."""
    for name in RESULTS:
        (folder / name).unlink(missing_ok=True)


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
    return f"{setting.config.name}\n{setting.pool_key}"


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
        confidence=order.confidence,
    )
