"""What a plan shows in the terminal: its progress, its tables, how a budget is shared, what new alloys take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from hullscout import planning
from hullscout.cli.shared import console, live_line
from hullscout.cli.streams import say
from hullscout.display import MILLI, PERCENT
from hullscout.planning.forecast import total_of
from hullscout.planning.planner import Progress
from hullscout.planning.rates import three_digits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Columns = list[tuple[str, list[str]]]

INTERVAL = (0.05, 0.5, 0.95)


class PlanProgress(Progress):
    """A live line: replays finished of all, and the time that is left. Silent where output is no terminal."""

    def __init__(self) -> None:
        self.line = live_line(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(),
        )
        self._task = self.line.add_task("opening the pools", total=None)

    def opening(self, name: str) -> None:
        """Say which campaign's features are being computed."""
        self.line.update(self._task, description=f"features of {name}")

    def update(self, n_done: int, n_all: int) -> None:
        """Show how many replays are finished."""
        self.line.update(self._task, description="replays", completed=n_done, total=n_all)


def print_answer(answer: planning.Answer) -> None:
    """Print the tables behind an answer: each setting, what a budget gives and how it is split, what new alloys take."""
    order, budget = answer.order, answer.budget
    if answer.plan is not None:
        _print_outcomes(answer.plan.outcomes, about=answer.about_intervals, cost_model=order.cost_model)
        if budget is not None and not answer.is_of_others:
            _print_chances(budget, answer.plan.outcomes, answer.spendings, risk=order.risk)
    if answer.predictions:
        _print_predictions(answer.predictions, basis=answer.basis, order=order, budget=budget)
    if budget is not None and len(answer.shares) > 1:
        _print_shares(budget, answer.shares)


def _print_outcomes(
    outcomes: Sequence[planning.SettingOutcome], *, about: str, cost_model: planning.CostModel | None
) -> None:
    """Print a table for each campaign, one row per setting, and one of all campaigns together."""
    names = list(dict.fromkeys(outcome.campaign for outcome in outcomes))
    for name in names:
        _print_outcomes_of([outcome for outcome in outcomes if outcome.campaign == name])
    if len(names) > 1:
        _print_totals(planning.totals(outcomes), n_campaigns=len(names))
    say(
        "Second lines: saved share, stated risk, in %. Brackets: 5 to 95 % of the replays; of the risk, which is the share "
        f"of replays with the hull beyond the tolerance, {about}. Largest error in meV/atom."
    )
    if cost_model is not None:
        say(f"Core-hours: {cost_model}.")


def _print_outcomes_of(outcomes: Sequence[planning.SettingOutcome]) -> None:
    """Of one campaign, one row per setting."""
    first = outcomes[0].setting
    shared = {key for key, value in first.items() if all(o.setting.get(key) == value for o in outcomes)}
    counts = [
        f"{o.calculations.mean:.0f} ({o.calculations.p05:.0f}-{o.calculations.p95:.0f})\n{PERCENT * o.saved_fraction.mean:.1f}"
        for o in outcomes
    ]
    columns: Columns = [("calculations", counts)]
    if any(round(o.cost["saved_fraction"] - o.saved_fraction.mean, 12) for o in outcomes):
        columns.append(("cost\nsaved %", [f"\n{PERCENT * o.cost['saved_fraction']:.1f}" for o in outcomes]))
    if hours := [o.cost_core_hours for o in outcomes if o.cost_core_hours is not None]:
        spent = [f"{three_digits(h['mean'])} ({three_digits(h['p05'])}-{three_digits(h['p95'])})" for h in hours]
        saved = [f"{PERCENT * h['saved_fraction']:.1f}" for h in hours]
        columns.append(("core-hours", [f"{above}\n{below}" for above, below in zip(spent, saved, strict=True)]))
    if prices := [o.cost_priced for o in outcomes if o.cost_priced is not None]:
        columns.append((str(prices[0]["unit"]), [three_digits(float(price["mean"])) for price in prices]))
    columns.append(("risk %", [_risk(o.risk, o.failure["stated"]) for o in outcomes]))
    columns.append(("largest\nerror", [f"{MILLI * o.hull_error_ev_per_atom['max']:.2f}" for o in outcomes]))
    settings = [_setting(o.rule, {k: value for k, value in o.setting.items() if k not in shared}) for o in outcomes]
    title = f"{outcomes[0].campaign}: {outcomes[0].replicates} replays of {outcomes[0].n_candidates} candidates"
    _print_table(title, settings, columns)


def _print_totals(sums: Sequence[planning.Total], *, n_campaigns: int) -> None:
    """One row per setting that all campaigns have."""
    counts = [f"{t.calculations:.0f} of {t.n_candidates}\n{PERCENT * t.saved_fraction:.1f}" for t in sums]
    hours = [
        f"{three_digits(t.core_hours)}\n{PERCENT * t.core_hours_saved:.1f}"
        for t in sums
        if t.core_hours is not None and t.core_hours_saved is not None
    ]
    columns: Columns = [("calculations", counts), *([("core-hours", hours)] if hours else [])]
    columns.append(("risk %", [_risk(t.risk, t.stated) for t in sums]))
    _print_table(f"All {n_campaigns} campaigns together", [_setting(t.rule, t.varied) for t in sums], columns)


def _print_chances(
    budget: planning.Budget,
    outcomes: Sequence[planning.SettingOutcome],
    spendings: Sequence[planning.Spending],
    *,
    risk: float,
) -> None:
    """Print the chance of a right hull for a budget and what a wanted chance takes."""
    varied = [{key: value for key, value in o.setting.items() if key != "hull_tolerance"} for o in outcomes]
    names = [f"{o.campaign}\n{_setting(f' {o.rule}', those)}" for o, those in zip(outcomes, varied, strict=True)]
    chances = [_percent(spending.chance(budget.amount)) for spending in spendings]
    least = [spending.least_budget(1.0 - risk) for spending in spendings]
    wanted = ["-" if amount is None else three_digits(amount) for amount in least]
    columns = [("of the\nreplays %", chances), (f"{PERCENT * (1.0 - risk):g} % with\nconfidence take", wanted)]
    _print_table(f"{budget} for one campaign alone give the right hull", names, columns, first="campaign")
    say("-: it takes more replicates or a larger budget to show that.")


def _print_shares(budget: planning.Budget, shares: Sequence[planning.Share]) -> None:
    """How the campaigns share a budget, each under the setting that is recommended for it."""
    expected = sum(share.chance.rate for share in shares)
    columns: Columns = [
        (budget.unit, [three_digits(share.budget) for share in shares]),
        ("enough,\n%", [_percent(share.chance) for share in shares]),
    ]
    title = f"{budget} shared by {len(shares)} campaigns, {expected:.2f} of them expected to be done"
    _print_table(title, [share.name for share in shares], columns, first="campaign")
    say(
        "Enough: of replays for the right hull, of a new alloy to the end of its campaign. Each under its recommended setting."
    )


def _print_predictions(
    predictions: Sequence[planning.Prediction],
    *,
    basis: str,
    order: planning.PlanOrder,
    budget: planning.Budget | None,
) -> None:
    """Print what new alloys are expected to take, with which probability a budget is enough, and what is enough surely."""
    shown = [*predictions, *([total_of(predictions)] if len(predictions) > 1 else [])]
    counts = [_interval(np.rint(p.quantiles(INTERVAL)), of=f" of {p.n_candidates}") for p in shown]
    columns: Columns = [("calculations", counts)]
    hours = [p.core_hour_quantiles(INTERVAL) for p in shown]
    if any(h is not None for h in hours):
        priced = [] if order.price is None else [(order.price.unit, order.price.per_core_hour)]
        for unit, per_hour in [("core-hours", 1.0), *priced]:
            columns.append((unit, ["" if h is None else _interval(per_hour * h) for h in hours]))
    if budget is not None:
        columns.append((f"{budget.short}\nenough", [f"{PERCENT * p.probability_within(budget):.0f} %" for p in shown]))
    is_in_hours = all(p.core_hours is not None for p in shown) if budget is None else budget.is_core_hours
    columns.append(
        (
            f"{PERCENT * (1.0 - order.risk):g} % sure\nwith",
            [_sure(p, is_in_core_hours=is_in_hours, risk=order.risk) for p in shown],
        )
    )
    title = f"{basis.partition(' (')[0].removesuffix('.')}: median, 90 % interval"
    _print_table(title, [p.name for p in shown], columns, first="campaign")


def _print_table(title: str, names: Sequence[str], columns: Columns, *, first: str = "rule") -> None:
    # Two lines to a row, so that it is read on a terminal of 80 characters.
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column(first, overflow="fold")
    for heading, _ in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in zip(names, *(cells for _, cells in columns), strict=True):
        table.add_row(*row)
    screen = console()
    screen.print(f"\n{title}", style="bold", soft_wrap=True)
    screen.print(table)


def _setting(rule: str, varied: Mapping[str, Any]) -> str:
    given = {key: value for key, value in varied.items() if value is not None}
    # A key of a section is shown as it is typed.
    lines = (f" {key if '.' in key else key.replace('_', ' ')} {value}" for key, value in given.items())
    return "\n".join([rule, *lines])


def _risk(risk: planning.Rate, stated: float | None) -> str:
    return f"{_percent(risk)}\n{'-' if stated is None else f'{PERCENT * stated:.1f}'}"


def _percent(rate: planning.Rate) -> str:
    return f"{PERCENT * rate.rate:.1f} ({PERCENT * rate.low:.0f}-{PERCENT * rate.high:.0f})"


def _interval(quantiles: NDArray[np.float64], *, of: str = "") -> str:
    low, middle, high = (three_digits(value) for value in quantiles.tolist())
    return f"{middle}{of}\n({low}-{high})"


def _sure(prediction: planning.Prediction, *, is_in_core_hours: bool, risk: float) -> str:
    level = (1.0 - risk,)
    amounts = prediction.core_hour_quantiles(level) if is_in_core_hours else np.ceil(prediction.quantiles(level))
    return "-" if amounts is None else f"{three_digits(float(amounts[0]))}{' h' if is_in_core_hours else ''}"
