"""Everything that a plan writes beside its replays: figures, tables for other programs, and a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hullscout.figures.report.plan_page import pictures_of, render_plan
from hullscout.figures.style import Width
from hullscout.planning import planner
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
    budget, plan = answer.budget, answer.plan
    pictures = pictures_of(answer, on_note=on_note)
    for name, drawn in ((planner.FIGURE, pictures.chances), (planner.TRADE_OFF, pictures.trade_off)):
        if drawn:
            write_whole(folder / name, drawn[Width.PAGE], remedy=REMEDY)
    write_whole(folder / planner.TABLE, to_csv(ask_rows(answer)), remedy=REMEDY)
    write_whole(folder / planner.LATEX, to_latex(answer), remedy=REMEDY)
    if budget is not None:
        outcomes = () if plan is None else plan.outcomes
        planner.save_budget(folder, budget, outcomes, answer.spendings, answer.shares)
    if answer.predictions:
        planner.save_predictions(folder, answer.predictions)
    write_whole(folder / planner.PAGE, render_plan(answer, pictures), remedy=REMEDY)
    return [name for name in (DATABASE, *planner.RESULTS) if (folder / name).exists()]
