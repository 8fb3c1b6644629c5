"""New alloys predicted from replays of others, and a budget split over them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hullscout.planning.asking import Ask, ask_together
from hullscout.planning.budget import TINY, Budget, Spending
from hullscout.planning.forecast import Experience, Prediction, predict_alloy, total_of
from hullscout.planning.replay import begun, n_at_start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hullscout.campaign import Setup
    from hullscout.planning.budget import Share
    from hullscout.planning.core_hours import CostModel
    from hullscout.planning.order import PlanOrder
    from hullscout.planning.planner import Plan, Played
    from hullscout.planning.rates import Rate
    from hullscout.selection.known import Floats

N_STEPS = 400
"""A prediction is split by so many of its quantiles."""


def predict_new(plan: Plan, setups: Iterable[Setup], *, order: PlanOrder) -> tuple[Prediction, ...]:
    """Predict campaigns on pools without energies from the replays of similar alloys, under the setting to take for all of them.

    Core-hours are those of the new pool's mean candidate, times what looked-up candidates of similar alloys took over theirs.
    """
    played, model = plan.recommended(risk=order.risk, is_shared=True), order.cost_model
    size = 1.0 if model is None else float(np.mean([relative_size(one, model) for one in played]))
    experience = experience_of(played)
    return predict_from(lambda _: experience, setups, order=order, relative_size=size)


def predict_from(
    experience: Callable[[int], Experience], setups: Iterable[Setup], *, order: PlanOrder, relative_size: float
) -> tuple[Prediction, ...]:
    """Predict campaigns from what was seen of other alloys, for a pool of so many candidates.

    Core-hours of what is calculated are `relative_size` times those of the mean candidate.
    """
    model, predictions = order.cost_model, []
    for number, setup in enumerate(setups):
        pool = begun(setup)
        hours = None if model is None else float(model.of(pool)[pool.is_calculable].mean() * relative_size)
        predictions.append(
            predict_setup(setup, experience(pool.n_calculable), number=number, hours=hours, cost_model=model)
        )
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
    whole = None if cost_model is None else float(cost_model.of(pool)[pool.is_calculable].sum())
    return predict_alloy(
        experience,
        pool.n_calculable,
        n_start=n_at_start(pool, setup.config),
        name=setup.config.name,
        guess=guess,
        number=number,
        hours_per_calculation=hours,
        whole_core_hours=whole,
        hours_error=0.0 if cost_model is None else cost_model.relative_error(setup.pool),
    )


def experience_of(played: Iterable[Played]) -> Experience:
    """What replays of known alloys, one setting of each, say of new ones. Pools of the same elements are one alloy."""
    alloys: dict[frozenset[str], list[Floats]] = {}
    right: dict[frozenset[str], list[bool]] = {}
    for one in played:
        shares, alloy = np.array(one.n_calculations) / one.pool.n_calculable, frozenset(one.setting.config.elements)
        alloys.setdefault(alloy, []).append(shares)
        right.setdefault(alloy, []).extend(one.are_right)
    return Experience.of(
        [np.concatenate(shares) for shares in alloys.values()], right=[float(np.mean(ends)) for ends in right.values()]
    )


def spending_of_new(prediction: Prediction, budget: Budget) -> Spending:
    """A prediction as if it were replays: its quantiles in the unit of a budget, right where the campaign has ended."""
    spent = np.quantile(prediction.spent(budget), (np.arange(N_STEPS) + 0.5) / N_STEPS)
    return Spending(name=prediction.name, whole=spent, right_from=spent)


def chance_of_right(prediction: Prediction, measure: Budget) -> Callable[[float], Rate]:
    """The chance of the right hull with an amount in the unit of `measure`."""
    return lambda amount: prediction.right_within(replace(measure, amount=max(amount, TINY)))


def with_chance(shares: Sequence[Share], predictions: Sequence[Prediction], budget: Budget) -> tuple[Share, ...]:
    """Shares of a budget with the chance that each is enough, by the predictions themselves."""
    return tuple(
        replace(share, chance=one.chance_within(replace(budget, amount=max(share.budget, TINY))))
        for share, one in zip(shares, predictions, strict=True)
    )


def asks_of_new(predictions: Sequence[Prediction], *, order: PlanOrder) -> tuple[Ask, ...]:
    """What to ask for each new alloy, and for all of several together."""

    def measured(one: Prediction) -> Budget:
        return Budget(amount=1.0, is_core_hours=one.core_hours is not None)

    def ask(one: Prediction) -> Ask:
        spent, whole = one.calculations, float(one.n_candidates)
        unit = "calculations"
        if one.core_hours is not None and one.whole_core_hours is not None:
            spent, whole, unit = one.core_hours, one.whole_core_hours, "core-hours"
        amount = float(np.quantile(spent, 1.0 - order.risk))
        return Ask(
            name=one.name,
            amount=amount,
            mean=float(spent.mean()),
            whole=whole,
            unit=unit,
            level=1.0 - order.risk,
            chance=None if one.right is None else chance_of_right(one, measured(one))(amount),
            at_most=None if one.right is None else one.right.rate,
            is_predicted=True,
            price=order.price,
        )

    asks = tuple(map(ask, predictions))
    if len(asks) == 1:
        return asks
    total = total_of(predictions)
    measure = measured(total)
    spendings = [spending_of_new(one, measure) for one in predictions]
    chances = [chance_of_right(one, measure) for one in predictions]
    return (*asks, ask_together(asks, total.spent(measure), spendings, chances))


def relative_size(one: Played, model: CostModel) -> float:
    """Core-hours of the mean calculation over those of the mean candidate."""
    hours = model.of(one.pool)
    looked_up = [hours[list(path.order[:n])].mean() for path, n in zip(one.paths, one.n_calculations, strict=True)]
    return float(np.mean(looked_up) / hours[one.pool.is_calculable].mean())
