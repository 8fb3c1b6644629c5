"""What a person sees of a pool in the terminal: how many candidates were made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from hullscout.pool.making import MadePool, Recipe


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


def print_made(made: MadePool, recipe: Recipe, path: Path) -> None:
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
