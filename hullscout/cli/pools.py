"""Commands that make a pool and look it over, and what they print."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hullscout.cli.shared import FORCE, PATH, POOL_FILE, console, reports_errors

if TYPE_CHECKING:
    from rich.table import Table

    from hullscout.inspection import Inspection, Suspects
    from hullscout.pool.making import MadePool, Recipe

ENUMERATE_EPILOG = """\b
Examples:
  hullscout enumerate Ag Pt -o agpt.extxyz.gz
  hullscout enumerate Ag Pt --lattice fcc --max-atoms 8 --prototypes -o agpt.extxyz.gz
  hullscout enumerate Ag Pt --volume Ag=17.8 --volume Pt=15.6 -o agpt.extxyz.gz
"""
CHECK_EPILOG = """\b
Examples:
  hullscout check agpt.extxyz.gz
  hullscout check agpt.extxyz.gz --elements Pt,Ag --all --write cleaned.extxyz.gz
"""
PROTOTYPE_ATOMS = 16
# Written down in `PoolFormat`, too; but that takes a while to import, and the help does not wait for it.
FORMATS = ("extxyz", "ase", "entries", "files", "vasprun")
N_SHOWN = 8
"""Findings of one kind that are shown where not all are asked for."""
STYLES = {"fault": "bold red", "suspect": "yellow", "note": "dim"}
"""Of the findings of each severity."""


def _lattices(_context: click.Context, _option: click.Parameter, text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(","))
    if not set(names) <= {"fcc", "bcc", "hcp"} or len(set(names)) < len(names):
        raise click.BadParameter(f"expected some of fcc, bcc, hcp, separated by commas, found {text!r}")
    return names


def _volumes(_context: click.Context, _option: click.Parameter, texts: tuple[str, ...]) -> dict[str, float]:
    volumes: dict[str, float] = {}
    for text in texts:
        symbol, _, number = text.partition("=")
        try:
            volumes[symbol.strip()] = float(number)
        except ValueError as error:
            raise click.BadParameter(f"expected ELEMENT=A3, for example Ag=17.05, found {text!r}") from error
    return volumes


@click.command("enumerate", epilog=ENUMERATE_EPILOG)
@click.argument("first")
@click.argument("second")
@click.option(
    "--lattice",
    "lattices",
    default="fcc,bcc,hcp",
    show_default=True,
    metavar="NAMES",
    callback=_lattices,
    help="Parent lattices, separated by commas.",
)
@click.option("--max-atoms", type=int, default=6, show_default=True, help="Atoms in the largest cell of a lattice.")
@click.option("--prototypes", is_flag=True, help="Add the binary AFLOW prototypes, both ways round.")
@click.option("--prototype-atoms", type=int, help=f"Atoms in the largest prototype.  [default: {PROTOTYPE_ATOMS}]")
@click.option(
    "--volume",
    "volumes",
    multiple=True,
    metavar="ELEMENT=A3",
    callback=_volumes,
    help="Volume per atom of a pure element, instead of the tabulated one; may be repeated.",
)
@POOL_FILE
@FORCE
@reports_errors("Nothing was written.")
def enumerate_(
    first: str,
    second: str,
    lattices: tuple[str, ...],
    max_atoms: int,
    prototype_atoms: int | None,
    volumes: dict[str, float],
    output: Path,
    *,
    prototypes: bool,
    force: bool,
) -> None:
    """Make a pool of the elements FIRST and SECOND, without energies.

    Every symmetry-distinct cell of the parent lattices up to a size, and on request the binary prototypes of the AFLOW library
    that are not among them. The same command gives the same file.
    """
    if prototype_atoms is not None and not prototypes:
        raise click.UsageError("--prototype-atoms says nothing without --prototypes; give both.")
    from hullscout.pool.enumeration import ParentLattice  # noqa: PLC0415  loads the scientific packages
    from hullscout.pool.making import Recipe, make_pool  # noqa: PLC0415
    from hullscout.pool.writing import Existing, check_target, save_frames  # noqa: PLC0415

    recipe = Recipe(
        elements=(first, second),
        lattices=tuple(ParentLattice(name) for name in lattices),
        max_atoms=max_atoms,
        prototype_atoms=(prototype_atoms or PROTOTYPE_ATOMS) if prototypes else None,
        volumes=volumes,
    )
    existing = Existing.REPLACE if force else Existing.REFUSE
    check_target(output, existing)
    with console(stderr=True).status("starting") as working:
        made = make_pool(recipe, on_progress=working.update)
    save_frames(output, made.frames, existing=existing)
    _print_made(made, recipe, output)


def _elements(_context: click.Context, _option: click.Parameter, text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    match tuple(part.strip() for part in text.split(",")):
        case (first, second):
            return first, second
    raise click.BadParameter(f"expected two elements, for example Ag,Pd, found {text!r}")


@click.command(epilog=CHECK_EPILOG)
@click.argument("pool", type=PATH)
@click.option(
    "--elements", metavar="A,B", callback=_elements, help="The two elements.  [default: the two in most frames]"
)
@click.option(
    "--format",
    "pool_format",
    type=click.Choice(FORMATS),
    help="Format of POOL.  [default: told by what is there]",
)
@click.option("--all", "show_all", is_flag=True, help="Show every finding, not only the first of each kind.")
@click.option("--write", type=PATH, help="Write a cleaned pool, .extxyz or .extxyz.gz.")
@click.option("--without-suspects", is_flag=True, help="Leave suspects out of the cleaned pool, too.")
@click.option("--force", is_flag=True, help="Replace the cleaned pool's file if there is one.")
@reports_errors("Nothing was written.")
def check(
    pool: Path,
    elements: tuple[str, str] | None,
    pool_format: str | None,
    write: Path | None,
    *,
    show_all: bool,
    without_suspects: bool,
    force: bool,
) -> None:
    """Look POOL over: duplicates, missing or suspect energies, mixed settings, odd volumes and distances, missing elements.

    POOL stays as it is. A cleaned pool leaves out frames with faults, all but one of each set of twins, and of mixed settings all
    but the most frequent; suspect energies, volumes and distances only on request. Exit codes: 0 nothing wrong, 1 faults or
    suspects found, 2 POOL cannot be read.
    """
    from hullscout.inspection import Suspects, clean, inspect_frames, most_frequent_elements  # noqa: PLC0415
    from hullscout.pool import PoolFormat, read_pool  # noqa: PLC0415
    from hullscout.pool.writing import Existing, check_target, save_frames  # noqa: PLC0415

    existing = Existing.REPLACE if force else Existing.REFUSE
    if write is not None:
        check_target(write, existing, source=pool)
    with console(stderr=True).status("starting") as working:
        working.update(f"reading {pool}")
        frames = read_pool(pool, None if pool_format is None else PoolFormat(pool_format))
        found = inspect_frames(frames, elements or most_frequent_elements(frames), on_progress=working.update)
    suspects = Suspects.LEAVE_OUT if without_suspects else Suspects.KEEP
    _print_inspection(found, pool, suspects=suspects, n_shown=None if show_all else N_SHOWN)
    if write is not None:
        left = clean(frames.frames, found, suspects=suspects)
        save_frames(write, left, existing=existing)
        click.echo(f"Wrote {write}: {len(left)} of {found.n_frames} frames, {found.n_frames - len(left)} taken out.")
    sys.exit(0 if found.is_clean else 1)


def _print_made(made: MadePool, recipe: Recipe, path: Path) -> None:
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


def _print_inspection(inspection: Inspection, path: Path, *, suspects: Suspects, n_shown: int | None = N_SHOWN) -> None:
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
