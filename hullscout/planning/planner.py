"""The planner: opens the campaigns, plays what is not played yet, and reads the outcomes off."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from hullscout.campaign import runner
from hullscout.errors import InvalidPlanError
from hullscout.planning.budget import Budget, BudgetUnit, Share, Spending, split
from hullscout.planning.core_hours import read_cost_model
from hullscout.planning.grid import parse_axes, settings_of
from hullscout.planning.intervals import fewest_runs
from hullscout.planning.new_alloy import LEAST_ALLOYS, Prediction, Source, from_similar, too_few_alloys
from hullscout.planning.playing import NewCampaign, PlannedCampaign, Played, open_grounds, play_missing, read_played
from hullscout.planning.store import PlanStore
from hullscout.planning.trade_off import Outcome, Recommendation, outcome_of, recommend, save_json
from hullscout.pool import Columns, WithoutEnergy, build_pool, parse_frames

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hullscout.planning.core_hours import CostModel, Price


PLAN, BUDGET, PREDICTION, FIGURE = "plan.json", "budget.json", "prediction.json", "plan.png"


class Progress(Protocol):
    """Whoever shows how far a plan is."""

    def opening(self, name: str) -> None:
        """The pool of the campaign `name` is being opened."""

    def update(self, n_done: int, n_all: int) -> None:
        """So many replays of all are finished."""


class Silent:
    """Nobody watches."""

    def opening(self, name: str) -> None:
        """Say nothing."""

    def update(self, n_done: int, n_all: int) -> None:
        """Say nothing."""


SILENT = Silent()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOrder:
    """How a plan is made.

    Attributes:
        n_replicates: Replays of each setting, at least 1.
        risk: Wanted risk of a hull beyond the tolerance, between 0 and 1.
        n_workers: Processes; None for one per core.
        cost_model: What a calculation takes in core-hours; None where that is not known.
        price: Of a core-hour; needs the former.

    Raises:
        InvalidPlanError: One of them is impossible.
    """

    n_replicates: int
    risk: float = 0.05
    n_workers: int | None = None
    cost_model: CostModel | None = None
    price: Price | None = None

    @property
    def workers(self) -> int:
        """Number of processes."""
        return self.n_workers or os.cpu_count() or 1

    def __post_init__(self) -> None:
        if self.n_replicates < 1:
            raise InvalidPlanError(
                f"--replicates: expected at least 1, found {self.n_replicates}; {fewest_runs(0.05)} show a risk below 5 %."
            )
        if not 0.0 < self.risk < 1.0:
            raise InvalidPlanError(f"--risk: expected a probability above 0 and below 1, found {self.risk}.")
        if self.price is not None and self.cost_model is None:
            raise InvalidPlanError("--price is that of a core-hour: say by --core-hours what a calculation takes.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A plan that was made.

    Attributes:
        played: The replays of each campaign and setting.
        outcomes: What they show, in the same order.
    """

    played: tuple[Played, ...]
    outcomes: tuple[Outcome, ...]


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


def cost_model(text: str | None, *, kpoint_spacing: float | None) -> CostModel | None:
    """The cost model that a text names (see `core_hours.read_cost_model`); None where there is none.

    Raises:
        InvalidPlanError: It names none, or a k-point spacing is given without a model.
    """
    if text is None and kpoint_spacing is not None:
        raise InvalidPlanError(
            "--kpoint-spacing belongs to --core-hours: say what a calculation takes, or leave it out."
        )
    return None if text is None else read_cost_model(text, kpoint_spacing=kpoint_spacing)


def folder_name(campaigns: Sequence[PlannedCampaign | NewCampaign]) -> str:
    """Name of the default output folder."""
    return campaigns[0].origin.config.folder_name if len(campaigns) == 1 else f"{len(campaigns)}-campaigns"


def make_plan(
    campaigns: Sequence[PlannedCampaign], folder: Path, *, order: PlanOrder, progress: Progress = SILENT
) -> Plan:
    """Play what `folder` does not hold yet, and write `plan.json` there.

    Args:
        campaigns: From `read_campaigns`.
        folder: Where `plan.db` is kept; made where there is none.
        order: How many replays, at which risk.
        progress: Told what happens; nobody if not given.

    Returns:
        Replays and outcome of each campaign and setting, in the order given.

    Raises:
        InvalidPlanError: A campaign's energies are not known.
        StoreError: The folder holds another plan.
        OutputError: `plan.json` cannot be written.
    """
    with PlanStore.create_or_resume(folder, [campaign.origin for campaign in campaigns]) as store:
        grounds = []
        for campaign in campaigns:
            progress.opening(campaign.name)
            grounds.append(open_grounds(campaign))
            if order.cost_model is not None:
                order.cost_model.of(next(iter(grounds[-1].values())).pool)  # refused before any replay
        play_missing(
            campaigns,
            grounds,
            store,
            n_replicates=order.n_replicates,
            n_workers=order.workers,
            on_progress=progress.update,
        )
        played = read_played(campaigns, grounds, store, n_replicates=order.n_replicates)
    outcomes = tuple(_outcome(one, order) for one in played)
    save_json(folder / PLAN, [asdict(outcome) for outcome in outcomes])
    return Plan(played=played, outcomes=outcomes)


def recommendations(outcomes: Sequence[Outcome], *, risk: float) -> tuple[Recommendation, ...]:
    """One recommendation for each campaign."""
    names = dict.fromkeys(outcome.campaign for outcome in outcomes)
    return tuple(recommend([o for o in outcomes if o.campaign == name], risk=risk) for name in names)


def save_budget(
    folder: Path, budget: Budget, plan: Plan, spendings: Sequence[Spending], shares: Sequence[Share]
) -> None:
    """Write `budget.json`: the chance of a right hull of each campaign and setting for the whole budget, and the split.

    Raises:
        OutputError: It cannot be written.
    """
    entries = [
        {
            "campaign": o.campaign,
            "rule": o.rule,
            "setting": o.setting,
            "within_tolerance": asdict(s.chance(budget.amount)),
        }
        for o, s in zip(plan.outcomes, spendings, strict=True)
    ]
    tree = {
        "budget": budget.amount,
        "unit": budget.unit,
        "alone": entries,
        "split": [asdict(share) for share in shares],
    }
    save_json(folder / BUDGET, tree)


def check_source(
    source: Source, *, new: Sequence[NewCampaign], similar: Sequence[PlannedCampaign], unused: Sequence[str]
) -> None:
    """Refuse too few similar alloys, and options that the source of a prediction does not use, before anything is played.

    Args:
        source: What new alloys are predicted from.
        new: The new alloys.
        similar: What was given by --like.
        unused: Names of the options given that only replays use.

    Raises:
        InvalidPlanError: Fewer alloys than the source needs, or options in conflict.
    """
    both = {campaign.name for campaign in similar} & {campaign.name for campaign in new}
    if both:
        raise InvalidPlanError(f"--like: {min(both)!r} is the campaign that is to be predicted. Give other alloys.")
    if source is Source.REPLAYS and len(similar) < LEAST_ALLOYS:
        raise too_few_alloys(len(similar))
    if source is Source.PRIOR and not similar:
        raise InvalidPlanError(
            "--from prior: give at least one --like, a campaign whose energies show what energies are like."
        )
    if source is Source.BASELINE and similar:
        raise InvalidPlanError("--from baseline: the energies are the pool's own; leave --like out.")
    if source is not Source.REPLAYS and unused:
        raise InvalidPlanError(
            f"--from {source}: each campaign is predicted under its own settings; leave {', '.join(unused)} out."
        )


def save_predictions(folder: Path, predictions: Sequence[Prediction]) -> None:
    """Write `prediction.json`: quantiles of the calculations and core-hours of each new alloy.

    Raises:
        OutputError: It cannot be written.
    """
    save_json(folder / PREDICTION, [prediction.to_tree() for prediction in predictions])


def check_budget(budget: Budget | None, order: PlanOrder) -> None:
    """Refuse a budget in core-hours where nothing says what a calculation takes, before anything is played.

    Raises:
        InvalidPlanError: That is so.
    """
    if budget is not None and budget.unit is BudgetUnit.CORE_HOURS and order.cost_model is None:
        raise InvalidPlanError(
            "--budget in core-hours: say by --core-hours what a calculation takes, or give a number of them."
        )


def fixed_budget(plan: Plan, budget: Budget, *, order: PlanOrder) -> tuple[Spending, ...]:
    """The replays of each campaign and setting along what they spend, in the unit of a budget.

    Raises:
        InvalidPlanError: The budget is in core-hours, and nothing says what a calculation takes.
    """
    check_budget(budget, order)
    return tuple(
        Spending.of(
            one.setting.config.name,
            one.paths,
            cost=np.ones(len(one.pool))
            if budget.unit is BudgetUnit.CALCULATIONS or order.cost_model is None
            else order.cost_model.of(one.pool),
            hull_tolerance=one.setting.config.stop.hull_tolerance,
            failure_probability=one.setting.failure_probability,
        )
        for one in plan.played
    )


def split_budget(plan: Plan, spendings: Sequence[Spending], budget: Budget) -> tuple[Share, ...]:
    """Split a budget over the campaigns of a plan, each under its first setting; alone a campaign gets all of it."""
    first = {
        outcome.campaign: spending for outcome, spending in reversed(list(zip(plan.outcomes, spendings, strict=True)))
    }
    names = dict.fromkeys(outcome.campaign for outcome in plan.outcomes)
    return split([first[name] for name in names], budget.amount)


def read_new(files: Iterable[Path], overrides: Iterable[str] = ()) -> tuple[NewCampaign, ...]:
    """Open campaigns of which no energy is known, before anything is replayed for them.

    Raises:
        InvalidCampaignError: A campaign file is not valid.
        InvalidPoolError: A pool cannot be used.
    """
    fixed, campaigns = list(overrides), []
    for file in files:
        origin = runner.read_origin(file, fixed)
        section, frames = origin.config.pool, parse_frames(origin.pool, path=Path(origin.pool_name))
        columns = Columns(cost=section.cost, baseline=section.baseline)
        pool = build_pool(frames, origin.config.elements, without_energy=WithoutEnergy.KEEP, columns=columns)
        campaigns.append(NewCampaign(origin=origin, pool=pool))
    return tuple(campaigns)


def predict_new(plan: Plan, campaigns: Iterable[NewCampaign], *, order: PlanOrder) -> tuple[Prediction, ...]:
    """Predict campaigns on pools without energies from the replays of similar alloys, those of each one's first setting.

    Core-hours are those of the new pool's mean candidate, times what looked-up candidates of similar alloys took over theirs.
    """
    similar = {one.setting.config.name: one for one in reversed(plan.played)}
    ends = {
        name: [path.end(one.setting.failure_probability).n_calculations for path in one.paths]
        for name, one in similar.items()
    }
    shares = [np.array(ends[name]) / len(one.pool) for name, one in similar.items()]
    predictions = []
    for campaign in campaigns:
        hours = None
        if order.cost_model is not None:
            size = np.mean([_relative_size(one, ends[name], order.cost_model) for name, one in similar.items()])
            hours = float(order.cost_model.of(campaign.pool).mean() * size)
        predictions.append(
            from_similar(shares, len(campaign.pool), name=campaign.name, core_hours_per_calculation=hours)
        )
    return tuple(predictions)


def _relative_size(one: Played, ends: Sequence[int], model: CostModel) -> float:
    """Core-hours of the mean calculation over those of the mean candidate."""
    hours = model.of(one.pool)
    looked_up = [hours[list(path.order[:n])].mean() for path, n in zip(one.paths, ends, strict=True)]
    return float(np.mean(looked_up) / hours.mean())


def _outcome(one: Played, order: PlanOrder) -> Outcome:
    model, pool = order.cost_model, one.pool
    return outcome_of(
        one.setting,
        one.paths,
        n_candidates=len(pool),
        cost=one.setting.config.cost.of(pool.n_atoms, column=pool.cost),
        core_hours=None if model is None else model.of(pool),
        core_hours_error=0.0 if model is None else model.relative_error(pool),
        price=order.price,
    )
