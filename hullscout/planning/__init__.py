"""Planning: what a campaign saves, at what risk and cost, before it is spent.

`read_campaigns` and `make_plan` replay campaigns whose energies are known, under each setting of a grid; `recommendations` says
which to take, `fixed_budget` and `split_budget` what a budget gives, `predict_new` and `simulate_new` what an alloy takes of which
nothing is known. `forecast` is for a campaign that runs. Dask loads when first used.

What cannot be planned is refused by an `InvalidPlanError`, before any cost where that can be; a folder of another plan or campaign
by a `StoreError`, and campaign files and pools by their own errors.
"""

from hullscout.planning.budget import Budget, Share, Spending
from hullscout.planning.core_hours import CostModel, PowerLaw, Price
from hullscout.planning.forecast import Forecast, Prediction, Source, forecast
from hullscout.planning.order import PlannedCampaign, PlanOrder, cost_model
from hullscout.planning.planner import (
    Plan,
    fixed_budget,
    make_plan,
    predict_new,
    read_campaigns,
    read_new,
    recommendations,
    split_budget,
)
from hullscout.planning.replay import Path, ReplayPool, play
from hullscout.planning.stand_in import simulate_new
from hullscout.planning.trade_off import Rate, Recommendation, SettingOutcome, Spread, Total, totals

__all__ = [
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
    "SettingOutcome",
    "Share",
    "Source",
    "Spending",
    "Spread",
    "Total",
    "cost_model",
    "fixed_budget",
    "forecast",
    "make_plan",
    "play",
    "predict_new",
    "read_campaigns",
    "read_new",
    "recommendations",
    "simulate_new",
    "split_budget",
    "totals",
]
