"""Planning: what a campaign saves, at what risk and cost, before it is spent.

`read_campaigns` and `make_plan` replay campaigns whose energies are known, under each setting of a grid; `recommendations` says
which to take, `fixed_budget` and `split_budget` what a budget gives, `predict_new` and `simulate_new` what an alloy takes of which
nothing is known. `forecast` is for a campaign that runs. Dask loads when first used.

What cannot be planned is refused by an `InvalidPlanError`, before any cost where that can be; a folder of another plan or campaign
by a `StoreError`, and campaign files and pools by their own errors.
"""

from hullscout.planning.answer import Answer, Request, answer, read_request
from hullscout.planning.asking import Ask
from hullscout.planning.budget import Budget, Share, Spending
from hullscout.planning.core_hours import CostModel, PowerLaw, Price
from hullscout.planning.forecast import Forecast, Prediction, Source, forecast
from hullscout.planning.new_alloys import predict_new
from hullscout.planning.order import PlannedCampaign, PlanOrder, cost_model
from hullscout.planning.planner import (
    Plan,
    asks_of,
    fixed_budget,
    make_plan,
    read_campaigns,
    read_new,
    split_budget,
)
from hullscout.planning.rates import Rate, Spread
from hullscout.planning.recommending import Recommendation, recommendations
from hullscout.planning.replay import Path, ReplayPool, play
from hullscout.planning.stand_in import simulate_new
from hullscout.planning.trade_off import SettingOutcome, Total, totals

__all__ = [
    "Answer",
    "Ask",
    "Budget",
    "CostModel",
    "Forecast",
    "Path",
    "Plan",
    "PlanOrder",
    "PlannedCampaign",
    "PowerLaw",
    "Prediction",
    "Price",
    "Rate",
    "Recommendation",
    "ReplayPool",
    "Request",
    "SettingOutcome",
    "Share",
    "Source",
    "Spending",
    "Spread",
    "Total",
    "answer",
    "asks_of",
    "cost_model",
    "fixed_budget",
    "forecast",
    "make_plan",
    "play",
    "predict_new",
    "read_campaigns",
    "read_new",
    "read_request",
    "recommendations",
    "simulate_new",
    "split_budget",
    "totals",
]
