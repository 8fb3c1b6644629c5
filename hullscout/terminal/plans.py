"""What a person sees of a plan in the terminal: the progress bar, the table, the recommendation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from hullscout.planning.new_alloy import Source, total_of
from hullscout.planning.trade_off import totals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from hullscout.planning.budget import Budget, Share, Spending
    from hullscout.planning.core_hours import CostModel
    from hullscout.planning.intervals import Rate
    from hullscout.planning.new_alloy import Prediction
    from hullscout.planning.order import PlanOrder
    from hullscout.planning.trade_off import Outcome, Recommendation, Total
    from hullscout.selection.interface import Floats

MILLI, PERCENT = 1000.0, 100.0
INTERVAL = (0.05, 0.5, 0.95)


class PlanProgress:
    """A live line: replays finished of all, and the time that is left. Silent where output is no terminal."""

    def __init__(self) -> None:
        console = Console(stderr=True, highlight=False, markup=False)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("opening the pools", total=None)

    def opening(self, name: str) -> None:
        """Say which campaign's features are being computed."""
        self._bar.update(self._task, description=f"features of {name}")

    def update(self, n_done: int, n_all: int) -> None:
        """Show how many replays are finished."""
        self._bar.update(self._task, description="replays", completed=n_done, total=n_all)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


def print_outcomes(outcomes: Sequence[Outcome], *, cost_model: CostModel | None = None) -> None:
    """Print a table for each campaign, one row per setting, and one of all campaigns together."""
    console = Console(highlight=False, markup=False)
    names = list(dict.fromkeys(outcome.campaign for outcome in outcomes))
    for name in names:
        console.print(_table([outcome for outcome in outcomes if outcome.campaign == name]))
    if len(names) > 1:
        console.print(_total_table(len(names), totals(outcomes)))
    console.print(
        "Second lines: saved share, stated risk, in %. Brackets: 5 to 95 % of the replays; of the risk, which is the share "
        "of replays with the hull beyond the tolerance, the 95 % interval after Clopper and Pearson. Largest error in meV/atom.",
        soft_wrap=True,
    )
    if cost_model is not None:
        console.print(f"Core-hours: {cost_model}.", soft_wrap=True)


def _table(outcomes: Sequence[Outcome]) -> Table:
    first = outcomes[0]
    has_cost = any(round(o.cost["saved_fraction"] - o.saved_fraction.mean, 12) for o in outcomes)
    columns = ["calculations", *["cost\nsaved %"] * has_cost, *["core-hours"] * (first.cost_core_hours is not None)]
    columns += ["risk %", "largest\nerror"]
    table = _empty(f"{first.campaign}: {first.replicates} replays of {first.n_candidates} candidates", columns)
    shared = {key for key, value in first.setting.items() if all(o.setting.get(key) == value for o in outcomes)}
    for o in outcomes:
        cells = [
            _setting(o.rule, {key: value for key, value in o.setting.items() if key not in shared}),
            f"{_spread(o.calculations.mean, o.calculations.p05, o.calculations.p95, '.0f')}\n{PERCENT * o.saved_fraction.mean:.1f}",
        ]
        if has_cost:
            cells.append(f"\n{PERCENT * o.cost['saved_fraction']:.1f}")
        if o.cost_core_hours is not None:
            hours = o.cost_core_hours
            spent = _spread(hours["mean"], hours["p05"], hours["p95"], ".3g")
            cells.append(f"{spent}\n{PERCENT * hours['saved_fraction']:.1f}")
        cells += [_risk(o.risk, o.failure["stated"]), f"{MILLI * o.hull_error_ev_per_atom['max']:.2f}"]
        table.add_row(*cells)
    return table


def _total_table(n_campaigns: int, sums: Sequence[Total]) -> Table:
    """One row per setting that all campaigns have."""
    has_hours = any(total.core_hours is not None for total in sums)
    table = _empty(f"All {n_campaigns} campaigns together", ["calculations", *["core-hours"] * has_hours, "risk %"])
    for total in sums:
        cells = [
            _setting(total.rule, total.varied),
            f"{total.calculations:.0f} of {total.n_candidates}\n{PERCENT * total.saved_fraction:.1f}",
        ]
        if total.core_hours is not None and total.core_hours_saved is not None:
            cells.append(f"{total.core_hours:.4g}\n{PERCENT * total.core_hours_saved:.1f}")
        table.add_row(*cells, _risk(total.risk, total.stated))
    return table


def _empty(title: str, columns: Sequence[str]) -> Table:
    # Two lines to a row, so that it is read on a terminal of 80 characters.
    table = Table(
        title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False
    )
    table.add_column("rule", overflow="fold")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _setting(rule: str, varied: Mapping[str, Any]) -> str:
    lines = [f" {key.replace('_', ' ')} {value}" for key, value in varied.items() if value is not None]
    return "\n".join([rule, *lines])


def _spread(mean: float, low: float, high: float, form: str) -> str:
    return f"{mean:{form}} ({low:{form}}-{high:{form}})"


def _risk(risk: Rate, stated: float | None) -> str:
    return f"{_percent(risk)}\n{'-' if stated is None else f'{PERCENT * stated:.1f}'}"


def print_budget(
    budget: Budget, outcomes: Sequence[Outcome], spendings: Sequence[Spending], shares: Sequence[Share], *, risk: float
) -> None:
    """Print the chance of a right hull for a budget, what a wanted chance takes, and how the campaigns share the budget."""
    console = Console(highlight=False, markup=False)
    console.print(f"{budget} for one campaign alone give the right hull:")
    for outcome, spending in zip(outcomes, spendings, strict=True):
        least = spending.least_budget(1.0 - risk)
        takes = "more replicates or a larger budget" if least is None else f"{least:.4g} {budget.unit}"
        console.print(
            f"  {outcome.campaign}, {outcome.rule} ({outcome.label}): {_percent(spending.chance(budget.amount))} % of the replays; "
            f"{PERCENT * (1.0 - risk):g} % with confidence take {takes}.",
            soft_wrap=True,
        )
    if len(shares) > 1:
        right = sum(share.chance.rate for share in shares)
        console.print(f"{budget} shared by {len(shares)} campaigns, {right:.2f} right hulls expected:")
        for share in shares:
            console.print(f"  {share.name}: {share.budget:.4g} ({_percent(share.chance)} %)", soft_wrap=True)


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
    console.print(f"Predicted {origin}, median and 90 % interval:", soft_wrap=True)
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("campaign")
    has_hours = any(prediction.core_hours is not None for prediction in shown)
    unit = None if order.price is None else order.price.unit
    names = ["candidates", "calculations", *["core-hours"] * has_hours, *([unit] if unit else [])]
    if budget is not None:
        names += [f"{budget}\nare enough with", f"{PERCENT * (1.0 - order.risk):g} % take"]
    for column in names:
        table.add_column(column, justify="right")
    for prediction in shown:
        cells = [prediction.name, str(prediction.n_candidates), _interval(prediction.quantiles(INTERVAL), "{:.0f}")]
        hours = prediction.core_hour_quantiles(INTERVAL)
        if hours is not None:
            cells.append(_interval(hours, "{:.3g}"))
            if order.price is not None:
                cells.append(_interval(order.price.per_core_hour * hours, "{:.3g}"))
        if budget is not None:
            cells += [
                f"{PERCENT * prediction.probability_within(budget):.0f} %",
                _least(prediction, budget, risk=order.risk),
            ]
        table.add_row(*cells)
    console.print(table)


def _interval(quantiles: Floats, form: str) -> str:
    low, middle, high = (form.format(value) for value in quantiles.tolist())
    return f"{middle} ({low}-{high})"


def _least(prediction: Prediction, budget: Budget, *, risk: float) -> str:
    level = (1.0 - risk,)
    amounts = prediction.core_hour_quantiles(level) if budget.is_core_hours else prediction.quantiles(level)
    return "-" if amounts is None else f"{amounts[0]:.4g}"


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
