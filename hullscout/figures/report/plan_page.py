"""The page of a plan: one HTML file in the look of the report, without scripts, which asks no network for anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hullscout.display import PERCENT
from hullscout.figures.chances import chances_bytes
from hullscout.figures.crystals import data_address
from hullscout.figures.notes import told_once
from hullscout.figures.report.page import PARTS, environment, policy, versions
from hullscout.figures.style import Width
from hullscout.figures.trade_off import trade_off_bytes
from hullscout.planning.curves import curves_of
from hullscout.planning.rates import three_digits
from hullscout.planning.tables import shown_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hullscout.planning import Answer, SettingOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """The figures of a plan as PNG, by width: chances of the right hull, and savings against risk where settings are compared."""

    chances: Mapping[Width, bytes]
    trade_off: Mapping[Width, bytes]


def pictures_of(answer: Answer, *, on_note: Callable[[str], object] | None = None) -> Pictures:
    """The figures of a plan; `on_note` is told what they cannot show, else warnings say it."""
    risk, curves = answer.order.risk, curves_of(answer)
    unit = "core-hours" if answer.is_in_core_hours else "calculations"
    outcomes = () if answer.plan is None else answer.plan.outcomes
    widths = Width if len(outcomes) > len({outcome.campaign for outcome in outcomes}) else ()
    tell = told_once(on_note)
    return Pictures(
        chances={
            width: chances_bytes(curves, unit=unit, wanted=1.0 - risk, width=width, on_note=tell) for width in Width
        },
        trade_off={width: trade_off_bytes(outcomes, risk=risk, width=width, on_note=tell) for width in widths},
    )


def render_plan(answer: Answer, pictures: Pictures) -> str:
    """The HTML text of the page of a plan. The same plan gives the same bytes."""
    risk, plan = answer.order.risk, answer.plan
    unit = "core-hours" if answer.is_in_core_hours else "calculations"
    heads, rows = shown_table(answer)
    outcomes = () if plan is None else plan.outcomes
    asks = len(answer.asks)
    return (
        environment()
        .get_template("plan.html.jinja")
        .render(
            title=" and ".join(ask.name for ask in answer.asks if ask.n_alloys == 1),
            asks=answer.sentences[:asks],
            texts=answer.sentences[asks:],
            heads=heads,
            rows=rows,
            figure={width.value: data_address(drawn) for width, drawn in pictures.chances.items()},
            trade_off={width.value: data_address(drawn) for width, drawn in pictures.trade_off.items()},
            settings=[_setting_row(outcome) for outcome in outcomes],
            about=answer.about_intervals,
            cost_model=None if answer.order.cost_model is None else str(answer.order.cost_model),
            unit=unit,
            wanted=f"{PERCENT * (1.0 - risk):g}",
            policy=policy([]),
            style=(PARTS / "page.css").read_text(encoding="utf-8"),
            versions=versions(),
        )
    )


def _setting_row(outcome: SettingOutcome) -> list[str]:
    """A setting that was replayed: what it takes, saves and risks."""
    taken, hours, stated = outcome.calculations, outcome.cost_core_hours, outcome.stated
    low, high = (PERCENT * end for end in outcome.mean_saved)
    return [
        outcome.campaign,
        outcome.label,
        f"{outcome.replicates}",
        f"{taken.mean:.0f} ({taken.p05:.0f}-{taken.p95:.0f}) of {outcome.n_candidates}",
        ""
        if hours is None
        else f"{three_digits(hours['mean'])} ({three_digits(hours['p05'])}-{three_digits(hours['p95'])})",
        f"{PERCENT * outcome.saved_fraction.mean:.1f} ({low:.1f}-{high:.1f})",
        f"{PERCENT * outcome.risk.rate:.1f} ({PERCENT * outcome.risk.low:.1f}-{PERCENT * outcome.risk.high:.1f})",
        "" if stated is None else f"{PERCENT * stated:.1f}",
    ]
