"""The planner: opens the campaigns, plays what is not played yet, and reads the outcomes off."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hullscout.campaign import Setup, read_origin
from hullscout.errors import InvalidPlanError
from hullscout.planning.budget import Budget, BudgetUnit, Share, Spending, split
from hullscout.planning.grid import parse_axes, settings_of
from hullscout.planning.intervals import fewest_runs
from hullscout.planning.new_alloy import Experience, Prediction, predict, total_of
from hullscout.planning.order import PlanOrder, check_budget
from hullscout.planning.playing import NewCampaign, PlannedCampaign, Played, open_grounds, play_missing, read_played
from hullscout.planning.progress import SILENT, Progress
from hullscout.planning.recommendation import Recommendation, recommend, recommend_for_all, too_few
from hullscout.planning.replay import n_at_start
from hullscout.planning.store import PlanStore
from hullscout.planning.trade_off import Outcome, outcome_of, save_json, totals

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hullscout.planning.core_hours import CostModel
    from hullscout.selection.known import Floats


PLAN, BUDGET, PREDICTION, FIGURE = "plan.json", "budget.json", "prediction.json", "plan.png"


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
        origin = read_origin(file, fixed)
        campaigns.append(PlannedCampaign(origin=origin, settings=settings_of(origin.config, axes, source=str(file))))
    names = [campaign.name for campaign in campaigns]
    again = sorted({name for name in names if names.count(name) > 1})
    if again:
        raise InvalidPlanError(
            f"Two campaign files are called {again[0]!r}; a plan tells campaigns by name. Give each its own `name`."
        )
    return tuple(campaigns)


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
    PlanStore.refuse_another(folder, [campaign.origin for campaign in campaigns])
    grounds = []
    for campaign in campaigns:
        progress.opening(campaign.name)
        grounds.append(open_grounds(campaign))
        if order.cost_model is not None:
            order.cost_model.of(next(iter(grounds[-1].values())).pool)  # refused before any replay
    with PlanStore.create_or_resume(folder, [campaign.origin for campaign in campaigns]) as store:
        play_missing(
            campaigns,
            grounds,
            store,
            n_replicates=order.n_replicates,
            executor=order.players,
            on_progress=progress.update,
        )
        played = read_played(campaigns, grounds, store, n_replicates=order.n_replicates)
    outcomes = tuple(_outcome(one, order) for one in played)
    save_json(folder / PLAN, [asdict(outcome) for outcome in outcomes])
    return Plan(played=played, outcomes=outcomes)


def recommendations(outcomes: Sequence[Outcome], *, risk: float) -> tuple[Recommendation, ...]:
    """One recommendation for each campaign, and one for all of several together."""
    names, n_runs = dict.fromkeys(outcome.campaign for outcome in outcomes), outcomes[0].replicates
    each = tuple(recommend([o for o in outcomes if o.campaign == name], risk=risk) for name in names)
    if len(names) > 1 and n_runs < fewest_runs(risk):
        each = (Recommendation(campaign=None, outcome=None, sentence=too_few("Each by itself", n_runs, risk=risk)),)
    sums = totals(outcomes) if len(names) > 1 else ()
    return (*each, recommend_for_all(sums, risk=risk)) if sums else each


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


def save_predictions(folder: Path, predictions: Sequence[Prediction]) -> None:
    """Write `prediction.json`: quantiles of the calculations and core-hours of each new alloy, and of all together.

    Raises:
        OutputError: It cannot be written.
    """
    entries = [*predictions, *([total_of(predictions)] if len(predictions) > 1 else [])]
    save_json(folder / PREDICTION, [prediction.to_tree() for prediction in entries])


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
        origin = read_origin(file, fixed)
        campaigns.append(NewCampaign(origin=origin, pool=Setup(origin, has_energies=False).pool))
    return tuple(campaigns)


def predict_new(plan: Plan, campaigns: Iterable[NewCampaign], *, order: PlanOrder) -> tuple[Prediction, ...]:
    """Predict campaigns on pools without energies from the replays of similar alloys, those of each one's first setting.

    Core-hours are those of the new pool's mean candidate, times what looked-up candidates of similar alloys took over theirs.
    """
    experience, similar = experience_of(plan), _first_settings(plan)
    predictions = []
    for number, campaign in enumerate(campaigns):
        hours, error = None, 0.0
        if order.cost_model is not None:
            size = np.mean([_relative_size(one, order.cost_model) for one in similar])
            hours = float(order.cost_model.of(campaign.pool).mean() * size)
            error = order.cost_model.relative_error(campaign.pool)
        predictions.append(
            predict(
                experience,
                len(campaign.pool),
                n_start=n_at_start(campaign.pool, campaign.origin.config),
                name=campaign.name,
                number=number,
                hours_per_calculation=hours,
                hours_error=error,
            )
        )
    return tuple(predictions)


def experience_of(plan: Plan) -> Experience:
    """What a plan says of new alloys, from the first setting of each campaign. Pools of the same two elements are one alloy.

    Raises:
        InvalidPlanError: Fewer than three alloys.
    """
    alloys: dict[frozenset[str], list[Floats]] = {}
    for one in _first_settings(plan):
        shares = np.array(_ends(one)) / len(one.pool)
        alloys.setdefault(frozenset(one.setting.config.elements), []).append(shares)
    return Experience.of([np.concatenate(shares) for shares in alloys.values()])


def _first_settings(plan: Plan) -> tuple[Played, ...]:
    first: dict[str, Played] = {}
    for one in plan.played:
        first.setdefault(one.setting.config.name, one)
    return tuple(first.values())


def _ends(one: Played) -> list[int]:
    """Calculations of each replay."""
    return [path.end(one.setting.failure_probability).n_calculations for path in one.paths]


def _relative_size(one: Played, model: CostModel) -> float:
    """Core-hours of the mean calculation over those of the mean candidate."""
    hours = model.of(one.pool)
    looked_up = [hours[list(path.order[:n])].mean() for path, n in zip(one.paths, _ends(one), strict=True)]
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
