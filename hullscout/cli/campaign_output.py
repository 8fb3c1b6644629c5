"""What a campaign shows in the terminal: its progress, its result, where it stands, what was handed out and came back."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from hullscout.campaign.beforehand import beforehand_sentences
from hullscout.campaign.beliefs import explained
from hullscout.campaign.cautions import cautions
from hullscout.campaign.prior_energies import baseline_sentences
from hullscout.campaign.result import RESULT, given_ev_per_atom, given_sentences
from hullscout.cli.shared import console, live_line
from hullscout.cli.streams import say
from hullscout.display import MILLI, counted_rounds, saved_percent, stated_percent
from hullscout.planning.forecast import forecast
from hullscout.planning.progress import progress_figures
from hullscout.selection import StopReason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from hullscout.campaign import CampaignResult, GroundStates, Ledger, Setup
    from hullscout.campaign.result import FailedCandidate, Reference
    from hullscout.oracle import Failed
    from hullscout.selection import ChemicalPotentials, Known


N_SUSPECTS = 5
"""So many suspect energies are named."""
FIRST = ("foreseen", "risk")
"""What a live line says first, since a narrow terminal shows no more."""


class CampaignProgress:
    """A live line: time, round, lookups, how many more, risk, what else there is. Where output is no terminal, a line per new hull.

    What went wrong with a calculation is a line of its own in both.
    """

    def __init__(self, setup: Setup) -> None:
        self._config, self._n = setup.config, setup.pool.n_calculable
        self.line = live_line(
            TimeElapsedColumn(),
            TextColumn("round {task.fields[round]}", markup=False),
            BarColumn(bar_width=8),
            TextColumn("{task.completed}/{task.total} {task.fields[done]}", markup=False),
            TextColumn("{task.description}", markup=False),  # the last, since a narrow terminal cuts it off
        )
        self._task = self.line.add_task("computing features", total=self._n, round=0, done=self._config.done)
        self._is_computed = setup.table is None
        self._hull: tuple[str, ...] = ()

    def update_prior(self, n_done: int, n: int) -> None:
        """Show how many energies of the prior are there; once all are, features come next."""
        if n_done < n:
            shown: dict[str, Any] = {"total": n, "done": "by the prior", "description": "computing the prior, once"}
        else:
            n_done, shown = 0, {"total": self._n, "done": self._config.done, "description": "computing features"}
        self.line.update(self._task, completed=n_done, **shown)

    def update(self, known: Known) -> None:
        """Show what is known after an answer."""
        n_round, figures = (
            len(known.decisions) - 1,
            progress_figures(self._config, known, is_computed=self._is_computed),
        )
        if known.has_hull:
            hull = known.hull_formulas
            if hull != self._hull and not self.line.console.is_terminal:
                self.note(f"round {n_round}: {known.n_answered} {self._config.done}, {', '.join(figures.values())}")
            self._hull = hull
        first = [figures.pop(name) for name in FIRST if name in figures]
        said = "  ".join([*first, *figures.values()])
        shown: dict[str, Any] = {"total": known.pool.n_calculable, "round": n_round, "description": said}
        self.line.update(self._task, completed=known.n_answered, **shown)

    def note(self, sentence: str) -> None:
        """Print a sentence above the line."""
        self.line.console.print(sentence, soft_wrap=True)


def table_of_hull(found: GroundStates, *, title: str, ends: Sequence[str]) -> Table:
    """The ground states between ends."""
    table = Table(title=title, title_justify="left", title_style="bold")
    heads, rows = found.table()
    for head in heads:
        shown = f"x ({ends[1]})" if head == "x" else head
        table.add_column(shown, justify="left" if head in {"formula", "id"} else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def say_suspects(sentences: Iterable[str], *, check: str = "hullscout check") -> None:
    """Say the first energies that are suspect, and which command says more."""
    every = list(sentences)
    for sentence in every[:N_SUSPECTS]:
        say(f"Suspect: {sentence}.")
    if len(every) > N_SUSPECTS:
        say(f"{len(every) - N_SUSPECTS} more energies are suspect: see `{check}`.")


def print_result(result: CampaignResult, folder: Path, *, done: str = "calculated") -> None:
    """Print the hull as a table, and in sentences what it took, how sure it is and where the files are; `done` as `config.done`."""
    screen = console()
    ends = result.ends or result.elements
    screen.print(table_of_hull(result.hull, title=f"Convex hull of {result.campaign}", ends=ends))
    counted = f"{done.capitalize()} {result.n_calculations} of {result.n_candidates} candidates"
    screen.print(f"{counted}: {saved_percent(result.saved_fraction)} saved.")
    if round(result.cost_saved_fraction, 12) != round(result.saved_fraction, 12):
        screen.print(f"Spent a cost of {result.cost_spent:.6g}: {saved_percent(result.cost_saved_fraction)} saved.")
    for sentence in (
        *given_sentences(result.given_ev_per_atom),
        *baseline_sentences(result.baselines),
        *beforehand_sentences(result.known_beforehand),
        *(then.sentence for then in result.additions),
        *(then.sentence for then in result.changes),
    ):
        screen.print(sentence)
    print_failures({failed.id: failed for failed in result.failed})
    if result.failed:
        screen.print("What failed counts as unknown, not as high in energy; --retry-failed calculates it again.")
    if "calculations" in result.timings_s:
        screen.print(f"The calculations took {_duration(result.timings_s['calculations'])} of worker time.")
    for doubt in result.doubts:
        screen.print(f"Look at the energies: {doubt}.")
    screen.print(f"Stopped: {result.stop_sentence}")
    if result.probability_sentence:
        screen.print(result.probability_sentence)
    if result.reference is not None:
        screen.print(
            _compared(
                result.reference,
                n_unknown=result.n_candidates - result.n_calculations - sum(result.known_beforehand.values()),
            )
        )
    say(f"Wrote {folder}/campaign.db, result.json and hull.png in {result.timings_s['total']:.1f} s.")
    if result.stop_reason is StopReason.ALL_KNOWN and done == "calculated":
        say(
            f"Next: make further candidates, for example by `hullscout enumerate {' '.join(result.elements)} -o more.extxyz`, and "
            f"add them: `hullscout add {quote(str(folder))} more.extxyz`"
        )


def _compared(reference: Reference, *, n_unknown: int) -> str:
    """How far the hull is from the true one, and the model from what was not looked up."""
    sentence = "The hull found is the true hull."
    if not reference.exact:
        error = reference.hull_error_ev_per_atom * MILLI
        verdict = "within" if reference.within_tolerance else "beyond"
        sentence = f"The hull found lies up to {error:.2f} meV/atom above the true hull, {verdict} the tolerance."
    if reference.mae_uncomputed_ev_per_atom is not None:
        mae = reference.mae_uncomputed_ev_per_atom * MILLI
        sentence += (
            f" Mean absolute error (MAE) of the model on the {n_unknown} energies not looked up: {mae:.1f} meV/atom."
        )
    return sentence


def print_status(setup: Setup, ledger: Ledger, *, folder: Path, result: CampaignResult | None) -> None:
    """Print where a campaign stands, what keeps it going, and how it ended or goes on."""
    screen, known, config = console(), ledger.known, setup.config
    failed = f", {known.n_failed} failed" if known.n_failed else ""
    screen.print(
        f"{config.name}: rule '{config.select.rule}', seed {config.seed}, {counted_rounds(len(known.decisions))}, "
        f"{known.n_answered} of {known.n_calculable} candidates {config.done}{failed} "
        f"({saved_percent(known.saved_fraction)} saved so far), {len(ledger.awaited)} asked for and not yet answered."
    )
    for sentence in (
        *given_sentences(given_ev_per_atom(known)),
        *setup.prerelaxed,
        *beforehand_sentences(ledger.n_beforehand),
        *(then.sentence for then in setup.added),
        *(then.sentence for then in setup.origin.changes),
    ):
        screen.print(sentence)
    for caution in cautions(setup):
        screen.print(caution)
    errors = [decision.model_error for decision in known.decisions if decision.model_error is not None]
    if errors:
        error = f"{errors[-1] * MILLI:.1f} meV/atom"
        screen.print(f"RMSE of the model on known energies left out of its training, last round: {error}.")
    if result is not None and result.failure_probability is not None:
        accepted = config.stop.failure_probability
        stated = stated_percent(result.failure_probability, below=accepted)
        screen.print(f"Stated probability of a wrong hull at the end: {stated}.")
    if known.has_hull:
        formulas = known.hull_formulas if result is None else [vertex.formula for vertex in result.hull]
        screen.print(f"Hull so far: {' '.join(formulas)}")
    is_kept = result is not None and result.stability is not None
    said, potentials = (result.sources, result.stability) if result and is_kept else explained(setup, known)
    for sentence in said:
        screen.print(sentence)
    if potentials is not None:
        _print_potentials(screen, potentials)
    print_failures(ledger.failures)
    is_handoff = config.oracle.kind == "handoff"
    _print_attempts(screen, ledger, started="Handed out" if is_handoff else "Started")
    if result is None and not setup.not_imported and (foreseen := forecast(config, known)) is not None:
        screen.print(foreseen.sentence)
    say(_ending(setup, folder) if result is None else f"Finished; see result.json. {result.stop_sentence}")


def _ending(setup: Setup, folder: Path) -> str:
    """How a campaign that is not finished goes on."""
    named = quote(str(folder))
    is_handoff = setup.config.oracle.kind == "handoff"
    commands = (
        f"`hullscout ask {named}` and `hullscout tell {named}` go"
        if is_handoff
        else "the same `hullscout run` command goes"
    )
    is_old = (folder / RESULT).exists()
    since = "structures were added" if setup.added else "settings were changed or energies told"
    return f"Not finished; {commands} on.{f' {RESULT} is of before {since}.' if is_old else ''}"


def _print_potentials(screen: Console, potentials: ChemicalPotentials) -> None:
    """Where each ground state of the hull so far is stable."""
    heads, rows = potentials.table()
    title = "Chemical potentials at which each ground state is stable"
    table = Table(title=title, title_justify="left", title_style="bold")
    for head in heads:
        table.add_column(head, justify="left" if head in {"formula", "id"} else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    screen.print(table)


def _print_attempts(screen: Console, ledger: Ledger, *, started: str) -> None:
    attempts, latest = ledger.attempts, {attempt.id: attempt for attempt in ledger.attempts}
    failed = {attempt.id: attempt for attempt in attempts if attempt.reason is not None}
    for attempt in (latest[candidate_id] for candidate_id in ledger.pending if candidate_id in latest):
        sentence = f"{started}: {attempt.id}, try {attempt.attempt}, {attempt.began:%Y-%m-%d %H:%M} UTC"
        before = failed.get(attempt.id)
        sentence += "." if before is None else f"; the try before it failed ({before.reason}): {before.sentence}"
        say(sentence)
    if attempts:
        total_s = sum(attempt.wall_s or 0.0 for attempt in attempts)
        screen.print(f"Calculations so far: {len(attempts)} started, {_duration(total_s)} of worker time.")


def print_failures(failures: Mapping[str, Failed | FailedCandidate]) -> None:
    """Print why calculations failed."""
    for candidate_id, failed in failures.items():
        say(f"Failed: {candidate_id} ({failed.reason}): {failed.sentence}")


def _duration(seconds: float) -> str:
    """Seconds in a unit that reads well."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
