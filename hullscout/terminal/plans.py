"""What a person sees of a plan in the terminal: the progress bar, the table, the recommendation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from hullscout.display import MILLI, PERCENT
from hullscout.planning.forecast import Source, total_of
from hullscout.planning.trade_off import three_digits, totals
from hullscout.terminal.live import LiveLine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from hullscout.planning.budget import Budget, Share, Spending
    from hullscout.planning.core_hours import CostModel
    from hullscout.planning.forecast import Prediction
    from hullscout.planning.order import PlanOrder
    from hullscout.planning.trade_off import Rate, Recommendation, SettingOutcome, Total

INTERVAL = (0.05, 0.5, 0.95)


class PlanProgress(LiveLine):
    """A live line: replays finished of all, and the time that is left. Silent where output is no terminal."""

    def __init__(self) -> None:
        super().__init__(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(),
        )
        self._task = self._bar.add_task("opening the pools", total=None)

    def opening(self, name: str) -> None:
        """Say which campaign's features are being computed."""
        self._bar.update(self._task, description=f"features of {name}")

    def update(self, n_done: int, n_all: int) -> None:
        """Show how many replays are finished."""
        self._bar.update(self._task, description="replays", completed=n_done, total=n_all)


def print_outcomes(outcomes: Sequence[SettingOutcome], *, cost_model: CostModel | None = None) -> None:
    """Print a table for each campaign, one row per setting, and one of all campaigns together."""
    console = Console(highlight=False, markup=False)
    names = list(dict.fromkeys(outcome.campaign for outcome in outcomes))
    for name in names:
        mine = [outcome for outcome in outcomes if outcome.campaign == name]
        _head(console, f"{name}: {mine[0].replicates} replays of {mine[0].n_candidates} candidates")
        console.print(_table(mine))
    if len(names) > 1:
        _head(console, f"All {len(names)} campaigns together")
        console.print(_total_table(totals(outcomes)))
    console.print(
        "Second lines: saved share, stated risk, in %. Brackets: 5 to 95 % of the replays; of the risk, which is the share "
        "of replays with the hull beyond the tolerance, the 95 % interval after Clopper and Pearson. Largest error in meV/atom.",
        soft_wrap=True,
    )
    if cost_model is not None:
        console.print(f"Core-hours: {cost_model}.", soft_wrap=True)


def _table(outcomes: Sequence[SettingOutcome]) -> Table:
    first = outcomes[0]
    has_cost = any(round(o.cost["saved_fraction"] - o.saved_fraction.mean, 12) for o in outcomes)
    columns = ["calculations", *["cost\nsaved %"] * has_cost, *["core-hours"] * (first.cost_core_hours is not None)]
    columns += [*([] if first.cost_priced is None else [str(first.cost_priced["unit"])]), "risk %", "largest\nerror"]
    table = _empty(columns)
    shared = {key for key, value in first.setting.items() if all(o.setting.get(key) == value for o in outcomes)}
    for o in outcomes:
        cells = [
            _setting(o.rule, {key: value for key, value in o.setting.items() if key not in shared}),
            f"{o.calculations.mean:.0f} ({o.calculations.p05:.0f}-{o.calculations.p95:.0f})\n{PERCENT * o.saved_fraction.mean:.1f}",
        ]
        if has_cost:
            cells.append(f"\n{PERCENT * o.cost['saved_fraction']:.1f}")
        if o.cost_core_hours is not None:
            hours = o.cost_core_hours
            spent = f"{three_digits(hours['mean'])} ({three_digits(hours['p05'])}-{three_digits(hours['p95'])})"
            cells.append(f"{spent}\n{PERCENT * hours['saved_fraction']:.1f}")
        if o.cost_priced is not None:
            cells.append(three_digits(float(o.cost_priced["mean"])))
        cells += [_risk(o.risk, o.failure["stated"]), f"{MILLI * o.hull_error_ev_per_atom['max']:.2f}"]
        table.add_row(*cells)
    return table


def _total_table(sums: Sequence[Total]) -> Table:
    """One row per setting that all campaigns have."""
    has_hours = any(total.core_hours is not None for total in sums)
    table = _empty(["calculations", *["core-hours"] * has_hours, "risk %"])
    for total in sums:
        cells = [
            _setting(total.rule, total.varied),
            f"{total.calculations:.0f} of {total.n_candidates}\n{PERCENT * total.saved_fraction:.1f}",
        ]
        if total.core_hours is not None and total.core_hours_saved is not None:
            cells.append(f"{three_digits(total.core_hours)}\n{PERCENT * total.core_hours_saved:.1f}")
        table.add_row(*cells, _risk(total.risk, total.stated))
    return table


def _head(console: Console, title: str) -> None:
    console.print()
    console.print(title, style="bold", soft_wrap=True)


def _empty(columns: Sequence[str], *, first: str = "rule") -> Table:
    # Two lines to a row, so that it is read on a terminal of 80 characters.
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column(first, overflow="fold")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _setting(rule: str, varied: Mapping[str, Any]) -> str:
    # A key of a section is shown as it is typed.
    lines = [
        f" {key if '.' in key else key.replace('_', ' ')} {value}" for key, value in varied.items() if value is not None
    ]
    return "\n".join([rule, *lines])


def _risk(risk: Rate, stated: float | None) -> str:
    return f"{_percent(risk)}\n{'-' if stated is None else f'{PERCENT * stated:.1f}'}"


def print_budget(
    budget: Budget, outcomes: Sequence[SettingOutcome], spendings: Sequence[Spending], shares: Sequence[Share], *, risk: float
) -> None:
    """Print the chance of a right hull for a budget, what a wanted chance takes, and how the campaigns share the budget."""
    console = Console(highlight=False, markup=False)
    _head(console, f"{budget} for one campaign alone give the right hull")
    table = _empty(["of the\nreplays %", f"{PERCENT * (1.0 - risk):g} % with\nconfidence take"], first="campaign")
    for outcome, spending in zip(outcomes, spendings, strict=True):
        least = spending.least_budget(1.0 - risk)
        varied = {key: value for key, value in outcome.setting.items() if key != "hull_tolerance"}
        table.add_row(
            f"{outcome.campaign}\n{_setting(f' {outcome.rule}', varied)}",
            _percent(spending.chance(budget.amount)),
            "-" if least is None else three_digits(least),
        )
    console.print(table)
    console.print("-: it takes more replicates or a larger budget to show that.", soft_wrap=True)
    if len(shares) > 1:
        right = sum(share.chance.rate for share in shares)
        _head(console, f"{budget} shared by {len(shares)} campaigns, {right:.2f} right hulls expected")
        split = _empty([str(budget.unit), "right hulls,\n% of the replays"], first="campaign")
        for share in shares:
            split.add_row(share.name, three_digits(share.budget), _percent(share.chance))
        console.print(split)
        settings = totals(outcomes)
        if len(settings) > 1:
            console.print(f"Each under the first setting, {settings[0].label}.", soft_wrap=True)


def print_predictions(
    predictions: Sequence[Prediction], *, source: Source, n_similar: int, order: PlanOrder, budget: Budget | None = None
) -> None:
    """Print what new alloys are expected to take, and with which probability a budget is enough."""
    console = Console(highlight=False, markup=False)
    origin = {
        Source.REPLAYS: f"from replays of {n_similar} other campaigns",
        Source.PRIOR: f"from {order.n_replicates} replays of energies drawn as those of {n_similar} other campaigns are",
        Source.BASELINE: f"from {order.n_replicates} replays of the baseline's energies",
    }[source]
    shown = [*predictions, *([total_of(predictions)] if len(predictions) > 1 else [])]
    unit = None if order.price is None else order.price.unit
    has_hours = any(prediction.core_hours is not None for prediction in shown)
    columns = ["calculations", *["core-hours"] * has_hours, *([unit] if unit else [])]
    if budget is not None:
        columns += [f"{budget.short}\nenough", f"{PERCENT * (1.0 - order.risk):g} %\ntake"]
    _head(console, f"Predicted {origin}: median, 90 % interval")
    table = _empty(columns, first="campaign")
    for prediction in shown:
        counts = _interval(np.rint(prediction.quantiles(INTERVAL)), of=f" of {prediction.n_candidates}")
        cells, hours = [prediction.name, counts], prediction.core_hour_quantiles(INTERVAL)
        if hours is not None:
            cells.append(_interval(hours))
            if order.price is not None:
                cells.append(_interval(order.price.per_core_hour * hours))
        if budget is not None:
            enough = f"{PERCENT * prediction.probability_within(budget):.0f} %"
            cells += [enough, _least(prediction, budget, risk=order.risk)]
        table.add_row(*cells)
    console.print(table)


def _interval(quantiles: NDArray[np.float64], *, of: str = "") -> str:
    low, middle, high = (three_digits(value) for value in quantiles.tolist())
    return f"{middle}{of}\n({low}-{high})"


def _least(prediction: Prediction, budget: Budget, *, risk: float) -> str:
    level = (1.0 - risk,)
    amounts = prediction.core_hour_quantiles(level) if budget.is_core_hours else prediction.quantiles(level)
    return (
        "-" if amounts is None else three_digits(float(np.ceil(amounts[0]) if not budget.is_core_hours else amounts[0]))
    )


def print_recommendations(recommendations: Sequence[Recommendation]) -> None:
    """Print what to take."""
    console = Console(highlight=False, markup=False)
    for recommendation in recommendations:
        console.print(recommendation.sentence, soft_wrap=True)


def print_written(folder: Path, names: Sequence[str]) -> None:
    """Print what was written."""
    *others, last = names
    text = f"{', '.join(others)} and {last}" if others else last
    Console(highlight=False, markup=False).print(f"Wrote {folder}/{text}.", soft_wrap=True)


def _percent(rate: Rate) -> str:
    return f"{PERCENT * rate.rate:.1f} ({PERCENT * rate.low:.0f}-{PERCENT * rate.high:.0f})"
