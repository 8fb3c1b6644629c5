"""What a person sees of a plan in the terminal: the progress bar, the table, the recommendation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from hullscout.planning.intervals import Rate
    from hullscout.planning.trade_off import Outcome, Recommendation

MILLI, PERCENT = 1000.0, 100.0


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


def print_outcomes(outcomes: Sequence[Outcome]) -> None:
    """Print a table for each campaign, one line per setting."""
    console = Console(highlight=False, markup=False)
    for name in dict.fromkeys(outcome.campaign for outcome in outcomes):
        console.print(_table(name, [outcome for outcome in outcomes if outcome.campaign == name]))
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


def print_recommendations(recommendations: Sequence[Recommendation], *, folder: Path) -> None:
    """Print what to take, and what was written."""
    console = Console(highlight=False, markup=False)
    for recommendation in recommendations:
        console.print(recommendation.sentence, soft_wrap=True)
    console.print(f"Wrote {folder}/plan.db, plan.json and plan.png.", soft_wrap=True)


def _percent(rate: Rate) -> str:
    return f"{PERCENT * rate.rate:.1f} ({PERCENT * rate.low:.0f}-{PERCENT * rate.high:.0f})"
