"""Everything that a plan writes beside its replays: figures, tables for other programs, and a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hullscout.figures.chances import save_chances
from hullscout.figures.report.plan_page import render_plan
from hullscout.figures.trade_off import save_trade_off
from hullscout.planning import planner
from hullscout.planning.curves import curves_of
from hullscout.planning.store import DATABASE
from hullscout.planning.tables import ask_rows, to_csv, to_latex
from hullscout.writing import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hullscout.planning import Answer

REMEDY = "The replays are kept; run again."


def save_answer(folder: Path, answer: Answer, *, on_note: Callable[[str], object] | None = None) -> list[str]:
    """Write the files of an answer into its folder, each whole or not at all, and name all that is there.

    Raises:
        OutputError: One cannot be written.
    """
    risk, budget, plan = answer.order.risk, answer.budget, answer.plan
    unit = "core-hours" if answer.is_in_core_hours else "calculations"
    curves = curves_of(answer)
    save_chances(folder / planner.FIGURE, curves, unit=unit, wanted=1.0 - risk, on_note=on_note)
    if plan is not None and len(plan.outcomes) > len({outcome.campaign for outcome in plan.outcomes}):
        save_trade_off(folder / planner.TRADE_OFF, plan.outcomes, risk=risk, on_note=on_note)
    write_whole(folder / planner.TABLE, to_csv(ask_rows(answer)), remedy=REMEDY)
    write_whole(folder / planner.LATEX, to_latex(answer), remedy=REMEDY)
    if budget is not None:
        outcomes = () if plan is None else plan.outcomes
        planner.save_budget(folder, budget, outcomes, answer.spendings, answer.shares)
    if answer.predictions:
        planner.save_predictions(folder, answer.predictions)
    write_whole(folder / planner.PAGE, render_plan(answer, curves), remedy=REMEDY)
    return [name for name in (DATABASE, *planner.RESULTS) if (folder / name).exists()]
