"""What a person sees of a plan in the terminal: the progress bar, the table, the recommendation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from hullscout.planning.new_alloy import Source, total_of
from hullscout.planning.trade_off import totals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from hullscout.planning.budget import Budget, Share, Spending
    from hullscout.planning.core_hours import CostModel
    from hullscout.planning.intervals import Rate
    from hullscout.planning.new_alloy import Prediction
    from hullscout.planning.order import PlanOrder
    from hullscout.planning.trade_off import Outcome, Recommendation
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
    """Print a table for each campaign, one line per setting, and one of all campaigns together."""
    console = Console(highlight=False, markup=False)
    names = list(dict.fromkeys(outcome.campaign for outcome in outcomes))
    for name in names:
        console.print(_table(name, [outcome for outcome in outcomes if outcome.campaign == name]))
    if len(names) > 1:
        console.print(_total_table(names, outcomes))
    if cost_model is not None:
        console.print(f"Core-hours: {cost_model}.", soft_wrap=True)
    console.print(
        "Calculations and core-hours: mean (5 to 95 % of the replays). Risk: share of the replays with the hull beyond the "
        "tolerance, with the 95 % interval after Clopper and Pearson. Largest error in meV/atom.",
        soft_wrap=True,
    )


def _table(name: str, outcomes: Sequence[Outcome]) -> Table:
    first = outcomes[0]
    table = Table(
        title=f"{name}: {first.replicates} replays of {first.n_candidates} candidates", title_justify="left",
        title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0),
    )  # fmt: skip
    has_cost = any(round(o.cost["saved_fraction"] - o.saved_fraction.mean, 12) for o in outcomes)
    has_hours = first.cost_core_hours is not None
    table.add_column("rule", no_wrap=True)
    table.add_column("setting", overflow="fold", min_width=12)
    names = ["calculations", "saved\n%", *["cost\nsaved %"] * has_cost, *["core-hours", "core-h.\nsaved %"] * has_hours]
    for column in [*names, "stated\nrisk %", "risk %", "largest\nerror"]:
        table.add_column(column, justify="right", no_wrap=True)
    shared = {key for key, value in first.setting.items() if all(o.setting.get(key) == value for o in outcomes)}
    for o in outcomes:
        varied = [
            f"{key.replace('_', ' ')} {value}"
            for key, value in o.setting.items()
            if key not in shared and value is not None
        ]
        cells = [
            o.rule,
            "\n".join(varied),
            f"{o.calculations.mean:.0f} ({o.calculations.p05:.0f}-{o.calculations.p95:.0f})",
        ]
        cells.append(f"{PERCENT * o.saved_fraction.mean:.1f}")
        if has_cost:
            cells.append(f"{PERCENT * o.cost['saved_fraction']:.1f}")
        if o.cost_core_hours is not None:
            hours = o.cost_core_hours
            cells.append(f"{hours['mean']:.3g} ({hours['p05']:.3g}-{hours['p95']:.3g})")
            cells.append(f"{PERCENT * hours['saved_fraction']:.1f}")
        cells.append("-" if o.failure["stated"] is None else f"{PERCENT * o.failure['stated']:.1f}")
        cells += [_percent(o.risk), f"{MILLI * o.hull_error_ev_per_atom['max']:.2f}"]
        table.add_row(*cells)
    return table


def _total_table(names: Sequence[str], outcomes: Sequence[Outcome]) -> Table:
    """One line per setting that all campaigns have: sums of the means, and all their replays as one sample."""
    table = Table(
        title=f"All {len(names)} campaigns together", title_justify="left", title_style="bold", box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )  # fmt: skip
    has_hours = outcomes[0].cost_core_hours is not None
    table.add_column("rule", no_wrap=True)
    table.add_column("setting", overflow="fold", min_width=12)
    columns = ["calculations", "saved\n%", *["core-hours", "core-h.\nsaved %"] * has_hours, "stated\nrisk %", "risk %"]
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for total in totals(outcomes):
        cells = [total.rule, "\n".join(f"{key.replace('_', ' ')} {value}" for key, value in total.varied.items())]
        cells += [f"{total.calculations:.0f} of {total.n_candidates}", f"{PERCENT * total.saved_fraction:.1f}"]
        if total.core_hours is not None and total.core_hours_saved is not None:
            cells += [f"{total.core_hours:.4g}", f"{PERCENT * total.core_hours_saved:.1f}"]
        cells += ["-" if total.stated is None else f"{PERCENT * total.stated:.1f}", _percent(total.risk)]
        table.add_row(*cells)
    return table


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
