"""What a person sees in the terminal: the progress bar, the final table, the status."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from hullscout.campaign.awaited import awaited
from hullscout.campaign.standing import Standing
from hullscout.display import MILLI
from hullscout.planning.forecast import forecast
from hullscout.terminal.live import LiveLine

if TYPE_CHECKING:
    from pathlib import Path

    from hullscout.campaign.config import CampaignConfig
    from hullscout.campaign.handoff import Told
    from hullscout.campaign.result import CampaignResult
    from hullscout.campaign.state import State
    from hullscout.campaign.store import Attempt


class CampaignProgress(LiveLine):
    """A live line: round, lookups, saved so far, RMSE on energies left out, hull. Where output is no terminal, a line per new hull.

    What went wrong with a calculation is a line of its own in both.

    Args:
        config: The campaign.
        n_candidates: Number of candidates.
    """

    def __init__(self, config: CampaignConfig, *, n_candidates: int) -> None:
        self._config = config
        super().__init__(
            TextColumn("round {task.fields[round]}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.completed}/{task.total} looked up", markup=False),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
        )
        self._task = self._bar.add_task("computing features", total=n_candidates, round=0)
        self._is_computed = config.oracle.kind != "table"
        self._hull: tuple[str, ...] = ()

    def update(self, state: State) -> None:
        """Show a state, after each answer."""
        n_candidates, record = len(state.pool.ids), state.rounds[-1]
        figures = [f"{100 * (1 - state.n_known / n_candidates):.0f} % saved"]
        if self._is_computed and state.pending:
            figures.append(f"{len(state.pending)} awaited")
        if state.failures:
            figures.append(f"{len(state.failures)} failed")
        if record.model_error is not None:
            figures.append(f"RMSE left out {record.model_error * MILLI:.1f} meV/atom")
        if record.failure_probability is not None:
            figures.append(f"P(wrong hull) {100 * record.failure_probability:.0f} %")
        foreseen = forecast(self._config, state)
        if foreseen is not None:
            figures.append(str(foreseen))
        if state.has_both_ends:
            hull = Standing.of(state, name=self._config.name, reference_ev_per_atom=None).hull_formulas
            figures.append(f"hull {' '.join(hull)}")
            if hull != self._hull and not self._console.is_terminal:
                self._console.print(
                    f"round {record.round}: {state.n_known} looked up, {', '.join(figures)}", soft_wrap=True
                )
            self._hull = hull
        self._bar.update(self._task, completed=state.n_known, round=record.round, description="  ".join(figures))

    def note(self, sentence: str) -> None:
        """Print a sentence above the line."""
        self._console.print(sentence, soft_wrap=True)


def print_result(result: CampaignResult, folder: Path) -> None:
    """Print the hull as a table, and in sentences what it took, how sure it is and where the files are."""
    console = Console(highlight=False, markup=False)
    table = Table(title=f"Convex hull of {result.campaign}", title_justify="left", title_style="bold")
    table.add_column("formula")
    table.add_column(f"x ({result.elements[1]})", justify="right")
    table.add_column("formation energy (meV/atom)", justify="right")
    table.add_column("id", overflow="fold")
    for vertex in result.hull:
        table.add_row(
            vertex.formula, f"{vertex.x:.4f}", f"{vertex.formation_energy_ev_per_atom * MILLI:.1f}", vertex.id
        )
    console.print(table)
    console.print(
        f"Looked up {result.n_calculations} of {result.n_candidates} candidates: {100 * result.saved_fraction:.1f} % saved."
    )
    if round(result.cost_saved_fraction, 12) != round(result.saved_fraction, 12):
        console.print(f"Spent a cost of {result.cost_spent:.6g}: {100 * result.cost_saved_fraction:.1f} % saved.")
    for failed in result.failed:
        console.print(f"Failed: {failed.id} ({failed.reason}): {failed.sentence}", soft_wrap=True)
    if result.failed:
        console.print("What failed counts as unknown, not as high in energy; --retry-failed calculates it again.")
    if "calculations" in result.timings_s:
        console.print(f"The calculations took {_duration(result.timings_s['calculations'])} of worker time.")
    console.print(f"Stopped: {result.stop_sentence}")
    if result.failure_probability is None:
        console.print(f"The rule '{result.rule}' states no probability of a wrong hull.")
    else:
        console.print(f"Stated probability of a hull beyond the tolerance: {100 * result.failure_probability:.1f} %.")
    reference = result.reference
    if reference is not None:
        sentence = "The hull found is the true hull."
        if not reference.exact:
            error = reference.hull_error_ev_per_atom * MILLI
            verdict = "within" if reference.within_tolerance else "beyond"
            sentence = f"The hull found lies up to {error:.2f} meV/atom above the true hull, {verdict} the tolerance."
        if reference.mae_uncomputed_ev_per_atom is not None:
            mae = reference.mae_uncomputed_ev_per_atom * MILLI
            n_unknown = result.n_candidates - result.n_calculations
            sentence += f" Mean absolute error (MAE) of the model on the {n_unknown} energies not looked up: {mae:.1f} meV/atom."
        console.print(sentence)
    console.print(
        f"Wrote {folder}/campaign.db, result.json and hull.png in {result.timings_s['total']:.1f} s.", soft_wrap=True
    )


def print_status(
    config: CampaignConfig,
    state: State,
    attempts: tuple[Attempt, ...],
    *,
    folder: Path,
    result: CampaignResult | None,
) -> None:
    """Print where a campaign stands, and how it ended or goes on."""
    console = Console(highlight=False, markup=False)
    n_candidates = len(state.pool.ids)
    n_calculated = state.n_known + len(state.failures)
    console.print(
        f"{config.name}: rule '{config.select.rule}', seed {config.seed}, {len(state.rounds)} rounds, "
        f"{state.n_known} of {n_candidates} candidates looked up ({100 * (1 - n_calculated / n_candidates):.1f} % saved so far), "
        f"{len(awaited(config, state, attempts))} asked for and not yet answered."
    )
    errors = [record.model_error for record in state.rounds if record.model_error is not None]
    if errors:
        console.print(
            f"RMSE of the model on known energies left out of its training, last round: {errors[-1] * MILLI:.1f} meV/atom."
        )
    stated = [r.stated_failure_probability for r in state.rounds if r.stated_failure_probability is not None]
    if result is not None and result.failure_probability is not None:
        console.print(f"Stated probability of a wrong hull at the end: {100 * result.failure_probability:.1f} %.")
    elif result is None and stated:
        console.print(f"Stated probability of a wrong hull in the last round: {100 * stated[-1]:.1f} %.")
    if state.has_both_ends:
        hull = Standing.of(state, name=config.name, reference_ev_per_atom=None).hull_formulas
        console.print(f"Hull so far: {' '.join(hull)}")
    for candidate_id, failed in state.failures.items():
        console.print(f"Failed: {candidate_id} ({failed.reason}): {failed.sentence}", soft_wrap=True)
    is_handoff = config.oracle.kind == "handoff"
    _print_attempts(console, state, attempts, started="Handed out" if is_handoff else "Started")
    _print_forecast(console, config, state, result=result)
    if result is not None:
        console.print(f"Finished; see result.json. {result.stop_sentence}", soft_wrap=True)
    elif is_handoff:
        console.print(
            f"Not finished; `hullscout ask {quote(str(folder))}` and `hullscout tell {quote(str(folder))}` go on.",
            soft_wrap=True,
        )
    else:
        console.print("Not finished; the same `hullscout run` command goes on.")


def _print_attempts(console: Console, state: State, attempts: tuple[Attempt, ...], *, started: str) -> None:
    latest = {attempt.id: attempt for attempt in attempts}
    for candidate_id in state.pending:
        attempt = latest.get(candidate_id)
        if attempt is not None:
            sentence = f"{started}: {candidate_id}, try {attempt.attempt}, {attempt.began:%Y-%m-%d %H:%M} UTC"
            before = next((a for a in reversed(attempts) if a.id == candidate_id and a.reason is not None), None)
            sentence += "." if before is None else f"; the try before it failed ({before.reason}): {before.sentence}"
            console.print(sentence, soft_wrap=True)
    if attempts:
        total_s = sum(attempt.wall_s or 0.0 for attempt in attempts)
        console.print(f"Calculations so far: {len(attempts)} started, {_duration(total_s)} of worker time.")


def print_handoff(folder: Path, config: CampaignConfig) -> None:
    """Say how a hand-off campaign goes on."""
    console, named = Console(highlight=False, markup=False), quote(str(folder))
    console.print(f"{config.name} is a hand-off campaign, kept in {folder}.", soft_wrap=True)
    console.print(
        f"Next: hullscout ask {named} -n 8 --to outbox/, then hullscout tell {named} results/", soft_wrap=True
    )


def print_asked(folders: tuple[Path, ...], *, folder: Path, n_awaited: int, n_wanted: int) -> None:
    """Say what was handed out."""
    console = Console(highlight=False, markup=False)
    for structure in folders:
        console.print(f"  {structure}", soft_wrap=True)
    console.print(f"Handed out {len(folders)} structures; {n_awaited} results are awaited.")
    if len(folders) < n_wanted:
        console.print("More can be asked for when some of these are told.")
    console.print(f"Next: hullscout tell {quote(str(folder))} RESULTS", soft_wrap=True)


def print_told(told: Told, *, folder: Path) -> None:
    """Say what came back, and what could not be taken."""
    console = Console(highlight=False, markup=False)
    new = f"{told.n_energies} new {'energy' if told.n_energies == 1 else 'energies'}, {len(told.failures)} new failures"
    console.print(f"{new}, {told.n_known} known already; {told.n_awaited} results are awaited.")
    for candidate_id, failed in told.failures.items():
        console.print(f"Failed: {candidate_id} ({failed.reason}): {failed.sentence}", soft_wrap=True)
    for fault in told.faults:
        Console(stderr=True, highlight=False, markup=False).print(f"Error: {fault}", soft_wrap=True)
    console.print(f"Next: hullscout ask {quote(str(folder))} -n 8 --to outbox/", soft_wrap=True)


def _duration(seconds: float) -> str:
    """Seconds in a unit that reads well."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _print_forecast(console: Console, config: CampaignConfig, state: State, *, result: CampaignResult | None) -> None:
    foreseen = None if result is not None else forecast(config, state)
    if foreseen is not None:
        console.print(
            f"Expected until the stop: {foreseen.expected} more calculations (90 % interval {foreseen.low} to {foreseen.high})."
        )
