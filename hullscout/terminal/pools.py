"""What a person sees of a pool in the terminal: how many candidates were made, what is wrong with them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hullscout.pool import Severity, Suspects

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from hullscout.pool import EnumerationSettings, Inspection, MadePool

N_SHOWN = 8
"""Findings of one kind that are shown where not all are asked for."""

_STYLES = {Severity.FAULT: "bold red", Severity.SUSPECT: "yellow", Severity.NOTE: "dim"}


class Working:
    """A line on the screen that says what is being done; nothing where output is no terminal."""

    def __init__(self) -> None:
        self._status = Console(stderr=True, highlight=False, markup=False).status("starting")

    def update(self, doing: str) -> None:
        """Say what is being done."""
        self._status.update(doing)

    def __enter__(self) -> Self:
        self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status.stop()


def print_made(made: MadePool, recipe: EnumerationSettings, path: Path) -> None:
    """Print how many candidates there are by size and source, and in sentences what was left out."""
    console = Console(highlight=False, markup=False)
    first, second = recipe.elements
    sources = list(dict.fromkeys(source for source, _ in made.counts))
    table = Table(title=f"Candidates of {first}-{second}", title_justify="left", title_style="bold")
    for heading in ("atoms", *sources, "all"):
        table.add_column(heading, justify="right")
    sizes = sorted({n_atoms for _, n_atoms in made.counts})
    for n_atoms in sizes:
        row = [made.counts.get((source, n_atoms), 0) for source in sources]
        table.add_row(str(n_atoms), *(str(count or "") for count in row), str(sum(row)))
    table.add_section()
    totals = [sum(made.counts.get((source, n_atoms), 0) for n_atoms in sizes) for source in sources]
    table.add_row("all", *map(str, totals), str(sum(totals)))
    console.print(table)
    volumes = ", ".join(f"{symbol} {volume:.2f}" for symbol, volume in zip(recipe.elements, made.volumes, strict=True))
    console.print(f"Volumes by Vegard's law between {volumes} A^3 per atom.", soft_wrap=True)
    if recipe.prototype_atoms is not None:
        console.print(
            f"Prototypes left out: {made.n_known} that were there already, {made.n_open} whose atoms come too close for an "
            "alloy.",
            soft_wrap=True,
        )
    console.print(f"Wrote {path}: {len(made.frames)} candidates, A = {first}, B = {second}.", soft_wrap=True)


def print_inspection(inspection: Inspection, path: Path, *, suspects: Suspects, n_shown: int | None = N_SHOWN) -> None:
    """Print what was found in a pool as a table, what counts as suspect, and the verdict in a sentence.

    Args:
        inspection: what was found.
        path: the pool.
        suspects: what becomes of suspects in a cleaned pool.
        n_shown: findings of one kind that are shown; None for all.
    """
    console = Console(highlight=False, markup=False)
    first, second = inspection.elements
    console.print(
        f"{path}: {inspection.n_frames} frames of {first}-{second}, {inspection.n_energies} with an energy, "
        f"{inspection.n_crystals} different crystals.",
        soft_wrap=True,
    )
    if inspection.findings:
        console.print(_findings_table(inspection, suspects, n_shown))
    for criterion in inspection.criteria:
        console.print(criterion)
    n_faults, n_suspects, n_notes = (len(inspection.of(severity)) for severity in Severity)
    if inspection.is_clean:
        notes = f"; {_counted(n_notes, 'note')}" if n_notes else ""
        console.print(f"Nothing is wrong with this pool{notes}.")
    else:
        verdict = "No campaign takes it as it is." if n_faults else "A campaign takes it; look at the suspects first."
        console.print(f"{_counted(n_faults, 'fault')}, {_counted(n_suspects, 'suspect')}. {verdict}")


def print_cleaned(n_left: int, n_frames: int, path: Path) -> None:
    """Print what was written as the cleaned pool."""
    console = Console(highlight=False, markup=False)
    console.print(f"Wrote {path}: {n_left} of {n_frames} frames, {n_frames - n_left} taken out.", soft_wrap=True)


def _findings_table(inspection: Inspection, suspects: Suspects, n_shown: int | None) -> Table:
    """One row per finding, the first of each kind only where there are many."""
    table = Table()
    table.add_column("")
    table.add_column("about")
    table.add_column("found", overflow="fold")
    table.add_column("cleaned pool", justify="right")
    kinds = Counter((finding.severity, finding.kind) for finding in inspection.findings)
    shown: Counter[tuple[Severity, str]] = Counter()
    for finding in inspection.findings:
        kind = (finding.severity, finding.kind)
        shown[kind] += 1
        if n_shown is not None and shown[kind] > n_shown:
            if shown[kind] == n_shown + 1:
                table.add_row("", finding.kind, Text(f"and {kinds[kind] - n_shown} more; --all shows them"), "")
            continue
        n_out = len(finding.left_out(suspects))
        table.add_row(
            Text(finding.severity.value, style=_STYLES[finding.severity]),
            finding.kind,
            Text(finding.sentence),
            f"{n_out} out" if n_out else "stays" if finding.frames else "",
        )
    return table


def _counted(count: int, noun: str) -> str:
    """`1 fault`, `2 faults`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
