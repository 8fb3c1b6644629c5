"""The chance of the right hull along what is spent: of each alloy of a plan, and of all together as the budget is split.

Of replays it is their share that is right by then, and its interval that of Clopper and Pearson. Of a new alloy it is the chance
that its campaign has ended times the chance that the hull is right then; the interval is that of what is not known of all alloys.
All together it is the mean of the alloys, and so are the ends of its interval. What is asked for is one of the amounts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hullscout.planning import planner
from hullscout.planning.asking import chance_together
from hullscout.planning.budget import Budget
from hullscout.planning.new_alloys import chance_of_right, spending_of_new

if TYPE_CHECKING:
    from collections.abc import Callable

    from hullscout.planning.answer import Answer
    from hullscout.planning.budget import Spending
    from hullscout.planning.forecast import Prediction
    from hullscout.planning.rates import Rate
    from hullscout.selection.known import Floats

MAX_BEYOND = 1.5
"""A budget is on the axis up to so many times what may be spent."""
N_POINTS = 120
N_TOTALS = 40
SHOWN = 0.975
"""A prediction is shown up to this quantile of what it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """(b,) amounts from 0 on and the chances there, from 0 to 1; `asked` and `budget` are None where there is none.

    Attributes:
        is_step: Whether a chance holds up to the next amount.
        budget: What the alloy gets of the budget.
    """

    name: str
    about: str
    amounts: Floats = field(repr=False)
    chance: Floats = field(repr=False)
    low: Floats = field(repr=False)
    high: Floats = field(repr=False)
    is_step: bool
    asked: float | None = None
    budget: float | None = None

    def at(self, amount: float) -> tuple[float, float, float]:
        """Chance and interval at an amount."""
        if self.is_step:
            place = max(int(np.searchsorted(self.amounts, amount * (1 + 1e-9), side="right")) - 1, 0)
            return float(self.chance[place]), float(self.low[place]), float(self.high[place])
        chance, low, high = (float(np.interp(amount, self.amounts, y)) for y in (self.chance, self.low, self.high))
        return chance, low, high


def curves_of(answer: Answer) -> tuple[Curve, ...]:
    """Of every campaign that the plan is for, and of all together where they are several."""
    model = answer.order.cost_model if answer.is_in_core_hours else None
    unit = "core-hours" if answer.is_in_core_hours else "calculations"
    asked = {ask.name: ask.amount for ask in answer.asks if ask.unit == unit}
    given = {share.name: share.budget for share in answer.shares}
    plan = None if answer.is_of_others else answer.plan
    played = () if plan is None else plan.recommended(risk=answer.order.risk)
    known = () if plan is None else planner.spendings_to_ask(plan, order=answer.order, model=model)
    curves = []
    for one, spending in zip(played, known, strict=True):
        at, _ = spending.steps()
        end = _end(float(spending.whole.max()), asked.get(spending.name), given.get(spending.name))
        curves.append(_of_replays(spending, np.append(at, end), f"{len(one.paths)} replays", asked=asked, given=given))
    measure = Budget(amount=1.0, is_core_hours=answer.is_in_core_hours)
    curves += [_of_prediction(one, measure, asked=asked, given=given) for one in answer.predictions]
    if len(curves) > 1:
        spendings = [*known, *(spending_of_new(one, measure) for one in answer.predictions)]
        chances = [*(one.chance for one in known), *(chance_of_right(one, measure) for one in answer.predictions)]
        total = None if answer.budget is None else answer.budget.amount
        curves.append(_together(curves, spendings, chances, asked=_total_asked(answer, unit), budget=total))
    return tuple(curves)


def _end(spent: float, asked: float | None, budget: float | None) -> float:
    """Where an axis ends: beyond what is spent and asked, and at the budget where that is not far off."""
    end = max(spent, asked or 0.0)
    return max(end, budget) if budget is not None and budget <= MAX_BEYOND * end else end


def _total_asked(answer: Answer, unit: str) -> float | None:
    """What is asked for all together: of known ones and new ones apart there is no sum that is enough with a stated chance."""
    sums = [ask for ask in answer.asks if ask.n_alloys > 1]
    singles = [ask for ask in answer.asks if ask.n_alloys == 1]
    is_sum = len(sums) == 1 and sums[0].n_alloys == len(singles) and sums[0].unit == unit
    return sums[0].amount if is_sum else None


def _of_replays(
    spending: Spending, at: Floats, about: str, *, asked: dict[str, float], given: dict[str, float]
) -> Curve:
    rates = [spending.chance(float(amount)) for amount in at]
    return Curve(
        name=spending.name,
        about=about,
        amounts=at,
        chance=np.array([rate.rate for rate in rates]),
        low=np.array([rate.low for rate in rates]),
        high=np.array([rate.high for rate in rates]),
        is_step=True,
        asked=asked.get(spending.name),
        budget=given.get(spending.name),
    )


def _of_prediction(
    prediction: Prediction, measure: Budget, *, asked: dict[str, float], given: dict[str, float]
) -> Curve:
    spent = np.sort(prediction.spent(measure))
    end = _end(float(np.quantile(spent, SHOWN)), asked.get(prediction.name), given.get(prediction.name))
    amounts = _with_asked(np.linspace(0.0, end, N_POINTS), asked.get(prediction.name))
    right = (
        np.ones(3)
        if prediction.right is None
        else np.array([prediction.right.rate, prediction.right.low, prediction.right.high])
    )
    low, high = np.quantile(
        prediction.chances_given(amounts, is_core_hours=measure.is_core_hours), [0.025, 0.975], axis=0
    )
    return Curve(
        name=prediction.name,
        about="predicted",
        amounts=amounts,
        chance=np.searchsorted(spent, amounts, side="right") / spent.size * right[0],
        low=low * right[1],
        high=high * right[2],
        is_step=False,
        asked=asked.get(prediction.name),
        budget=given.get(prediction.name),
    )


def _with_asked(amounts: Floats, asked: float | None) -> Floats:
    return amounts if asked is None else np.unique(np.append(amounts, asked))


def _together(
    curves: list[Curve],
    spendings: list[Spending],
    chances: list[Callable[[float], Rate]],
    *,
    asked: float | None,
    budget: float | None,
) -> Curve:
    end = _end(sum(float(curve.amounts[-1]) for curve in curves), asked, budget)
    amounts = _with_asked(np.linspace(0.0, end, N_TOTALS + 1), asked)
    rates = [chance_together(spendings, chances, float(amount)) for amount in amounts[1:]]
    return Curve(
        name=f"All {len(curves)} together",
        about="budget split",
        amounts=amounts,
        chance=np.array([0.0, *(rate.rate for rate in rates)]),
        low=np.array([0.0, *(rate.low for rate in rates)]),
        high=np.array([0.0, *(rate.high for rate in rates)]),
        is_step=False,
        asked=asked,
        budget=budget,
    )
