"""A plan from its order to its answer, which terminal, figure, tables and page show: one holder of all that it found.

Campaigns whose energies are known are replayed; those of which no energy is known are predicted: from replays of others that are
named, from energies that stand in for their own, or from the replays of known alloys that come with the package.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hullscout.campaign import Setup, read_origin
from hullscout.display import PERCENT
from hullscout.errors import InvalidPlanError
from hullscout.planning import planner
from hullscout.planning.budget import split
from hullscout.planning.forecast import Source
from hullscout.planning.new_alloys import (
    asks_of_new,
    predict_from,
    predict_new,
    spending_of_new,
    with_chance,
)
from hullscout.planning.order import check_budget, check_source, refuse_twice
from hullscout.planning.prior_saving import savings_of
from hullscout.planning.recommending import are_all_unsafe, of_campaigns, recommendations
from hullscout.planning.shipped import shipped
from hullscout.planning.stand_in import simulate_new
from hullscout.planning.store import PlanStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hullscout.planning.asking import Ask
    from hullscout.planning.budget import Budget, Share, Spending
    from hullscout.planning.forecast import Prediction
    from hullscout.planning.order import PlannedCampaign, PlanOrder
    from hullscout.planning.planner import Plan, Progress

MIN_TELLING_ALLOYS = 6
"""Fewer similar alloys say little of how alloys differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a plan found.

    Attributes:
        plan: The replays; None where nothing was replayed with its own energies.
        predictions: Of new alloys.
        asks: What to ask for, of every campaign that the plan is for, and of all of several together.
        basis: What the predictions are from, in words; empty without them.
        cautions: What is to be borne in mind, in sentences.
        spendings: Of each campaign and setting that was replayed, in the unit of the budget; empty without a budget.
        shares: How a budget is split over all campaigns that the plan is for.
    """

    order: PlanOrder
    plan: Plan | None
    is_of_others: bool
    predictions: tuple[Prediction, ...]
    asks: tuple[Ask, ...]
    basis: str
    cautions: tuple[str, ...]
    budget: Budget | None
    spendings: tuple[Spending, ...] = field(repr=False)
    shares: tuple[Share, ...]

    @property
    def is_in_core_hours(self) -> bool:
        """Whether amounts are shown in core-hours: in the unit of the budget where there is one."""
        return self.order.cost_model is not None if self.budget is None else self.budget.is_core_hours

    @property
    def sentences(self) -> tuple[str, ...]:
        """All that is said in words: what to ask for first, then the setting to take, whether that is decided, and cautions."""
        texts = [ask.sentence for ask in self.asks]
        if self.plan is not None:
            found = recommendations(self.plan.outcomes, risk=self.order.risk)
            n_campaigns = len({outcome.campaign for outcome in self.plan.outcomes})
            if not self.is_of_others:
                texts += [one.sentence for one in found]
                texts += [self.decided, *filter(None, [self._way_out(self.plan)])]
            elif len(self.plan.outcomes) > n_campaigns:
                texts.append(found[-1].sentence)
            texts += savings_of(self.plan)
        return (*texts, *([self.basis] if self.basis else []), *self.cautions)

    def _way_out(self, plan: Plan) -> str:
        """What may be done where no setting of a campaign is safe enough, and no stricter one was tried; empty elsewhere."""
        risk = self.order.risk
        unsafe = (are_all_unsafe(options, risk=risk) for options in of_campaigns(plan.outcomes).values())
        if self.order.tries_stricter or not any(unsafe):
            return ""
        return (
            f"For {PERCENT * (1.0 - risk):g} %: leave --replicates and --max-replicates out, so that stricter settings are "
            "tried as well; the whole pool is always enough."
        )

    @property
    def decided(self) -> str:
        """Whether the replays have decided which setting to take, and if not what is open."""
        if self.plan is None:
            return ""
        open_ones = self.plan.undecided(risk=self.order.risk)
        n_replays = f"{self.plan.outcomes[0].replicates} replays of each setting"
        if not open_ones:
            return f"Decided by {n_replays}."
        bound = f" (--max-replicates {self.order.max_replicates})" if self.order.n_replicates is None else ""
        texts = "; ".join(f"{name}: {', and '.join(those)}" for name, those in open_ones.items())
        return f"Not decided by {n_replays}{bound}: {texts}."

    @property
    def about_intervals(self) -> str:
        """What the intervals of the replays are."""
        if self.order.n_replicates is not None:
            return "the 95 % interval after Clopper and Pearson"
        n = len(self.order.looks)
        return (
            f"the {PERCENT * self.order.confidence:.1f} % interval after Clopper and Pearson, so that with up to {n} looks at the "
            "replays all hold together with 95 %"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a plan is for, read and checked.

    Attributes:
        replayed: The campaigns that are replayed, or that are named as like the new ones.
        new: Those of which no energy is known.
        is_like: Whether the others were named for the new ones' sake.
    """

    replayed: tuple[PlannedCampaign, ...]
    new: tuple[Setup, ...]
    source: Source
    is_like: bool

    @property
    def has_replays(self) -> bool:
        """Whether campaigns are replayed with their own energies."""
        return self.source is Source.REPLAYS and bool(self.replayed)

    @property
    def is_shipped(self) -> bool:
        """Whether the new ones are predicted from what comes with the package."""
        return self.source is Source.REPLAYS and bool(self.new) and not self.is_like

    @property
    def folder_name(self) -> str:
        """Name of the default output folder."""
        return planner.folder_name([*(() if self.is_like else self.replayed), *self.new])

    @property
    def played(self) -> tuple[PlannedCampaign, ...] | tuple[Setup, ...]:
        """The campaigns whose executors play."""
        return self.replayed if self.has_replays else self.new


def read_request(
    files: Sequence[Path],
    *,
    like: Sequence[Path],
    source: Source,
    grid: Sequence[str] = (),
    overrides: Sequence[str] = (),
    unused: Sequence[str] = (),
) -> Request:
    """Read the campaign files of a plan: those with energies are replayed, others are new; with `like` all of them are.

    `unused` are the options given, beside the grid, that only replays use.
    """
    is_new = bool(like) or source is not Source.REPLAYS
    known = [] if is_new else [file for file in files if has_energies(file, overrides)]
    replayed = planner.read_campaigns([*like, *known], grid=grid, overrides=overrides)
    new = planner.read_new([file for file in files if file not in known], overrides)
    refuse_twice([*(() if is_new else replayed), *new])
    request = Request(replayed=replayed, new=new, source=source, is_like=is_new)
    if is_new:
        check_source(source, new=new, similar=replayed, unused=["--grid"] if grid else [])
    elif new:
        shipped(new)
        idle = [*(["--grid"] if grid else []), *unused]
        if idle and not known:
            raise InvalidPlanError(
                f"{idle[0]}: no energy of {new[0].config.name} is known, so that nothing is replayed; it is predicted from replays "
                f"that come with Hullscout. Leave {' and '.join(idle)} out, or name campaigns to replay by --like."
            )
    return request


def answer(
    request: Request, folder: Path, *, order: PlanOrder, budget: Budget | None, progress: Progress = planner.SILENT
) -> Answer:
    """Play what is to be played, and say what it shows; what an earlier plan wrote into the folder is removed."""
    check_budget(budget, order)
    plan, basis, cautions = None, "", _cautions(request)
    predictions: tuple[Prediction, ...] = ()
    if request.has_replays:
        plan = planner.make_plan(request.replayed, folder, order=order, progress=progress)
    elif request.is_shipped:
        PlanStore.refuse_another(folder, [setup.origin for setup in request.new])
        folder.mkdir(parents=True, exist_ok=True)
    n_similar = len(request.replayed)
    if request.is_shipped:
        known = shipped(request.new)
        predictions = predict_from(known.experience, request.new, order=order, relative_size=known.relative_size)
        basis = known.sentence
    elif request.new and plan is not None:
        predictions = predict_new(plan, request.new, order=order)
        basis = f"Predicted from replays of {n_similar} other campaigns."
    elif request.new:
        predictions = simulate_new(
            request.new, request.replayed, folder, source=request.source, order=order, progress=progress
        )
        basis = f"Predicted from {order.n_of_alloys} replays of the baseline's energies."
        if request.source is Source.PRIOR:
            basis = f"Predicted from {order.n_of_alloys} replays of energies drawn as those of {n_similar} other campaigns are."
    if plan is None:
        planner.clear_results(folder)
    spendings = () if plan is None or budget is None else planner.fixed_budget(plan, budget, order=order)
    return Answer(
        order=order,
        plan=plan,
        is_of_others=request.is_like,
        predictions=predictions,
        asks=_asks(plan if not request.is_like else None, predictions, order=order),
        basis=basis,
        cautions=cautions,
        budget=budget,
        spendings=spendings,
        shares=_shares(None if request.is_like else plan, predictions, spendings, budget, risk=order.risk),
    )


def has_energies(file: Path, overrides: Sequence[str] = ()) -> bool:
    """Whether a campaign is one to replay: a table knows energies of its pool."""
    origin = read_origin(file, list(overrides))
    if origin.config.oracle.kind != "table":
        return False
    return any(frame.energy_ev is not None for frame in Setup(origin).frames.frames)


def _cautions(request: Request) -> tuple[str, ...]:
    found = []
    alloys = {frozenset(campaign.origin.config.elements) for campaign in request.replayed}
    if request.new and request.is_like and request.has_replays and len(alloys) < MIN_TELLING_ALLOYS:
        found.append(
            f"Caution: {len(alloys)} alloys say little of how alloys differ, which is why the interval is wide; name "
            f"{MIN_TELLING_ALLOYS} or more by --like, or leave --like out for those that come with Hullscout."
        )
    if request.is_shipped:
        with_prior = [setup.config.name for setup in request.new if setup.config.pool.baseline is not None]
        if with_prior:
            found.append(f"What the prior of {', '.join(with_prior)} saves is not counted: those replays had none.")
    return tuple(found)


def _asks(plan: Plan | None, predictions: tuple[Prediction, ...], *, order: PlanOrder) -> tuple[Ask, ...]:
    """Of the campaigns that were replayed, and of new ones."""
    known = () if plan is None else planner.asks_of(plan, order=order)
    return (*known, *(asks_of_new(predictions, order=order) if predictions else ()))


def _shares(
    plan: Plan | None,
    predictions: tuple[Prediction, ...],
    spendings: tuple[Spending, ...],
    budget: Budget | None,
    *,
    risk: float,
) -> tuple[Share, ...]:
    """How a budget is split over the campaigns that were replayed, each under the setting to take, and new ones."""
    if budget is None:
        return ()
    known = [] if plan is None else planner.spendings_to_take(plan, spendings, risk=risk)
    shares = split([*known, *(spending_of_new(one, budget) for one in predictions)], budget.amount)
    return (*shares[: len(known)], *with_chance(shares[len(known) :], predictions, budget))
