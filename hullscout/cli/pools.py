"""Commands that make a pool and look it over, and what they print."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from itertools import groupby
from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING

import click

from hullscout.cli.potentials import compute_column, potential_order
from hullscout.cli.shared import FORCE, FORMATS, PATH, POOL_FILE, console, main, working_line
from hullscout.cli.streams import say
from hullscout.display import visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.table import Table

    from hullscout.pool import EnumerationSettings, Inspection, MadePool, Suspects

ENUMERATE_EPILOG = """\b
Examples:
  hullscout enumerate Ag Pt -o agpt.extxyz.gz
  hullscout enumerate Ag Pt --lattice fcc --max-atoms 8 --prototypes -o agpt.extxyz.gz
  hullscout enumerate Ag Pt --volume Ag=17.8 --volume Pt=15.6 -o agpt.extxyz.gz
  hullscout enumerate Ag Pt --baseline diep -o agpt-diep.extxyz.gz
  hullscout enumerate Cu Ag Au --lattice fcc --max-atoms 5 --limit Cu=0:0.5 -o cuagau.extxyz.gz
"""
CHECK_EPILOG = """\b
Examples:
  hullscout check agpt.extxyz.gz
  hullscout check agpt.extxyz.gz --elements Pt,Ag --all --write cleaned.extxyz.gz
"""
PROTOTYPE_ATOMS = 16
LATTICES = ("fcc", "bcc", "hcp")
N_SHOWN = 8
"""Findings of one kind that are shown where not all are asked for."""
STYLES = {"fault": "bold red", "suspect": "yellow", "note": "dim"}
"""Of findings by their severity."""


def _lattices(_context: click.Context, _option: click.Parameter, text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(","))
    if not set(names) <= set(LATTICES) or len(set(names)) < len(names):
        raise click.BadParameter(f"expected some of {', '.join(LATTICES)}, separated by commas, found {text!r}")
    return names


def _by_element(texts: tuple[str, ...], expected: str) -> dict[str, float]:
    values: dict[str, float] = {}
    for text in texts:
        symbol, _, number = text.partition("=")
        try:
            values[symbol.strip()] = float(number)
        except ValueError as error:
            raise click.BadParameter(f"expected {expected}, found {text!r}") from error
    return values


def _volumes(_context: click.Context, _option: click.Parameter, texts: tuple[str, ...]) -> dict[str, float]:
    return _by_element(texts, "ELEMENT=A3, for example Ag=17.05")


def _references(_context: click.Context, _option: click.Parameter, texts: tuple[str, ...]) -> dict[str, float]:
    return _by_element(texts, "ELEMENT=EV, for example Ag=-2.83")


def _limits(
    _context: click.Context, _option: click.Parameter, texts: tuple[str, ...]
) -> dict[str, tuple[float, float]]:
    limits = {}
    for text in texts:
        symbol, _, bounds = text.partition("=")
        low, _, high = bounds.partition(":")
        try:
            limits[symbol.strip()] = (float(low), float(high))
        except ValueError as error:
            raise click.BadParameter(f"expected ELEMENT=LOW:HIGH, for example Cu=0.1:0.5, found {text!r}") from error
    return limits


def _formulas(_context: click.Context, _option: click.Parameter, text: str | None) -> tuple[str, ...]:
    return () if text is None else tuple(part.strip() for part in text.split(","))


@main.command("enumerate", epilog=ENUMERATE_EPILOG, interrupted="Nothing was written.")
@click.argument("elements", nargs=-1, required=True)
@click.option(
    "--lattice",
    "lattices",
    default=",".join(LATTICES),
    show_default=True,
    metavar="NAMES",
    callback=_lattices,
    help="Parent lattices, separated by commas.",
)
@click.option("--max-atoms", type=int, default=6, show_default=True, help="Atoms in the largest cell of a lattice.")
@click.option("--prototypes", is_flag=True, help="Add the AFLOW prototypes, elements all ways round.")
@click.option("--prototype-atoms", type=int, help=f"Atoms in the largest prototype.  [default: {PROTOTYPE_ATOMS}]")
@click.option(
    "--volume",
    "volumes",
    multiple=True,
    metavar="ELEMENT=A3",
    callback=_volumes,
    help="Volume per atom of a pure element, instead of the tabulated one; may be repeated.",
)
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="ELEMENT=LOW:HIGH",
    callback=_limits,
    help="Least and most of an element, as atomic fractions; the ends stay. May be repeated.",
)
@click.option(
    "--ends", metavar="A,B", callback=_formulas, help="Compounds between which all is, instead of the elements: Zr,ZrN."
)
@click.option(
    "--baseline",
    metavar="NAME",
    help="Add the energies of a potential as a column: diep, chgnet, sevenn, or a dotted path.",
)
@POOL_FILE
@FORCE
def enumerate_(
    elements: tuple[str, ...],
    lattices: tuple[str, ...],
    max_atoms: int,
    prototype_atoms: int | None,
    volumes: dict[str, float],
    limits: dict[str, tuple[float, float]],
    ends: tuple[str, ...],
    baseline: str | None,
    output: Path,
    *,
    prototypes: bool,
    force: bool,
) -> None:
    """Make a pool of two to five ELEMENTS, without energies.

    Every symmetry-distinct cell of the parent lattices up to a size, and on request the prototypes of the AFLOW library, of two
    elements or more, that are not among them. The same command gives the same file.
    """
    if prototype_atoms is not None and not prototypes:
        raise click.UsageError("--prototype-atoms says nothing without --prototypes; give both.")
    from hullscout import pool as pools  # noqa: PLC0415  loads the scientific packages

    settings = pools.EnumerationSettings(
        elements=elements,
        lattices=tuple(pools.ParentLattice(name) for name in lattices),
        max_atoms=max_atoms,
        prototype_atoms=PROTOTYPE_ATOMS if prototypes and prototype_atoms is None else prototype_atoms,
        volumes=volumes,
        limits=limits,
        ends=ends,
        max_candidates=pools.MAX_IN_COLUMNS if output.name.endswith(pools.PARQUET) else pools.MAX_CANDIDATES,
    )
    made_pool(settings, output, force=force, baseline=baseline)


def made_pool(settings: EnumerationSettings, output: Path, *, force: bool = False, baseline: str | None = None) -> None:
    """Make a pool, with the energies of a potential where one is named, write it and print what it holds."""
    from hullscout import pool as pools  # noqa: PLC0415  loads the scientific packages

    existing = pools.Existing.REPLACE if force else pools.Existing.REFUSE
    pools.check_target(output, existing)
    order = None if baseline is None else potential_order(baseline, settings.elements, setting="--baseline")
    with tempfile.TemporaryDirectory(prefix="hullscout-") as folder:
        bare = output if order is None else Path(folder) / output.name
        with working_line("starting") as update:
            made = pools.MadePool(settings=settings, on_progress=update)
            pools.save_frames(bare, made.stream(), existing=existing, kinds={})
        if order is not None:
            compute_column(bare, output, order, existing=existing)
    print_made(made, output)


def of_lattices(command: Callable[..., None]) -> Callable[..., None]:
    """A command that takes lattices and a size, None where they are not given."""
    shown = f"Parent lattices, separated by commas.  [default: {','.join(LATTICES)}]"
    lattices = click.option("--lattice", "lattices", metavar="NAMES", callback=_some_lattices, help=shown)
    return lattices(
        click.option("--max-atoms", type=int, help="Atoms in the largest cell of a lattice.  [default: 6]")(command)
    )


def _some_lattices(context: click.Context, option: click.Parameter, text: str | None) -> tuple[str, ...] | None:
    return None if text is None else _lattices(context, option, text)


def _elements(_context: click.Context, _option: click.Parameter, text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    symbols = tuple(part.strip() for part in text.split(","))
    if not 2 <= len(symbols) <= 5:
        raise click.BadParameter(f"expected two to five elements, for example Ag,Pd, found {text!r}")
    return symbols


POOL_OPTIONS = (
    click.option(
        "--elements",
        metavar="A,B",
        callback=_elements,
        help="Two to five elements.  [default: the two in most frames, and others in a tenth or more]",
    ),
    click.option(
        "--ends",
        metavar="A,B",
        callback=_formulas,
        help="Compounds between which all is, instead of the elements: Zr,ZrN.",
    ),
    click.option(
        "--format", "pool_format", type=click.Choice(FORMATS), help="Format of POOL.  [default: told by what is there]"
    ),
    click.option("--energy", metavar="COLUMN", help="Column that holds the energies.  [default: energy]"),
    click.option(
        "--energy-unit", metavar="UNIT", help="Their unit: eV, eV/atom, meV, Ry, Ha, kJ/mol, ...  [default: eV]"
    ),
    click.option(
        "--energy-kind", type=click.Choice(("total", "formation")), help="Total energies, or formation energies."
    ),
    click.option(
        "--reference",
        "references",
        multiple=True,
        metavar="ELEMENT=EV",
        callback=_references,
        help="Energy per atom of an element of which POOL holds no structure; may be repeated.",
    ),
)
"""How a pool is read and what of it, for the commands that take one."""


def reads_pool(command: Callable[..., None]) -> Callable[..., None]:
    """A command that takes the options of a pool."""
    for option in reversed(POOL_OPTIONS):
        command = option(command)
    return command


@main.command(epilog=CHECK_EPILOG, is_printed=True, interrupted="Nothing was written.")
@click.argument("pool", type=PATH)
@reads_pool
@click.option("--all", "show_all", is_flag=True, help="Show every finding, not only the first of each kind.")
@click.option("--write", type=PATH, help="Write a cleaned pool, .extxyz or .extxyz.gz.")
@click.option("--without-suspects", is_flag=True, help="Leave suspects out of the cleaned pool, too.")
@click.option("--force", is_flag=True, help="Replace the cleaned pool's file if there is one.")
def check(
    pool: Path,
    elements: tuple[str, ...] | None,
    ends: tuple[str, ...],
    pool_format: str | None,
    energy: str | None,
    energy_unit: str | None,
    energy_kind: str | None,
    references: dict[str, float],
    write: Path | None,
    *,
    show_all: bool,
    without_suspects: bool,
    force: bool,
) -> None:
    """Look POOL over: duplicates, missing or suspect energies, mixed settings, odd volumes and distances, missing elements.

    POOL stays as it is. A cleaned pool holds total energies in eV and leaves out frames with faults, all but one of each set of
    twins, and of mixed settings all but the most frequent; suspect energies, volumes and distances only on request. Exit codes: 0
    nothing wrong, 1 faults or suspects found, 2 POOL cannot be read.
    """
    from hullscout import pool as pools  # noqa: PLC0415  loads the scientific packages

    existing = pools.Existing.REPLACE if force else pools.Existing.REFUSE
    meaning = pools.EnergyMeaning(column=energy, unit=energy_unit, kind=energy_kind, references=references)
    if write is not None:
        pools.check_target(write, existing, source=pool)
    with working_line(f"reading {pool}") as update:
        frames = pools.read_pool(pool, pool_format)
        wanted = elements or pools.most_frequent_elements(frames)
        frames = pools.understand(frames, meaning, elements=wanted)
        found = pools.inspect_frames(frames, wanted, ends=ends, on_progress=update)
    suspects = pools.Suspects.LEAVE_OUT if without_suspects else pools.Suspects.KEEP
    _print_inspection(found, pool, _findings_table(found, suspects, n_shown=None if show_all else N_SHOWN))
    if write is not None:
        left = pools.clean(frames.frames, found, suspects=suspects)
        pools.save_frames(write, left, existing=existing)
        say(f"Wrote {write}: {len(left)} of {found.n_frames} frames, {found.n_frames - len(left)} taken out.")
    if not found.is_clean:
        sys.exit(1)


def print_made(made: MadePool, path: Path) -> None:
    """Print how many candidates there are by size and source, and in sentences what was left out."""
    from rich.table import Table  # noqa: PLC0415  the help does without it

    settings = made.settings
    sources = list(dict.fromkeys(source for source, _ in made.counts))
    sizes = sorted({n_atoms for _, n_atoms in made.counts})
    table = Table(title=f"Candidates of {'-'.join(settings.elements)}", title_justify="left", title_style="bold")
    for heading in ("atoms", *sources, "all"):
        table.add_column(heading, justify="right")
    for label, of in [*((str(n_atoms), [n_atoms]) for n_atoms in sizes), ("all", sizes)]:
        counts = [sum(made.counts.get((source, n_atoms), 0) for n_atoms in of) for source in sources]
        shown = [*(str(count or "") for count in counts), str(sum(counts))]
        table.add_row(label, *shown, end_section=label == str(sizes[-1]))
    console().print(table)
    volumes = ", ".join(f"{symbol} {each:.2f}" for symbol, each in zip(settings.elements, made.volumes, strict=True))
    say(f"Volumes by Vegard's law between {volumes} A^3 per atom.")
    if settings.prototype_atoms is not None:
        known, too_close = (
            f"{made.n_known} that were there already",
            f"{made.n_open} whose atoms come too close for an alloy",
        )
        say(f"Prototypes left out: {known}, {too_close}.")
    if settings.limits:
        limits = ", ".join(f"{symbol} {low:g} to {high:g}" for symbol, (low, high) in settings.limits.items())
        say(f"Left out {made.n_beyond} beyond the limits ({limits}); {', '.join(settings.axis.names)} stay.")
    elif settings.ends:
        say(f"Left out {made.n_beyond} that are not between {' and '.join(settings.ends)}.")
    letters = ", ".join(
        f"{letter} = {symbol}" for letter, symbol in zip(ascii_uppercase, settings.elements, strict=False)
    )
    say(f"Wrote {path}: {made.n_made} candidates, {letters}.")


def _print_inspection(inspection: Inspection, path: Path, table: Table) -> None:
    """Print what was found in a pool as a table, what counts as suspect, and the verdict in a sentence."""
    from hullscout import pool as pools  # noqa: PLC0415  loads the scientific packages

    screen = console()
    say(
        f"{path}: {inspection.n_frames} frames of {'-'.join(inspection.elements)}, {inspection.n_energies} with an energy, "
        f"{inspection.n_crystals} different crystals."
    )
    if inspection.findings:
        screen.print(table)
    for criterion in inspection.criteria:
        screen.print(criterion)
    counts = Counter(finding.severity.value for finding in inspection.findings)
    faults, suspects, notes = (f"{counts[noun]} {noun}{'' if counts[noun] == 1 else 's'}" for noun in STYLES)
    if inspection.is_clean:
        screen.print(f"Nothing is wrong with this pool{f'; {notes}' if counts['note'] else ''}.")
    else:
        advice = "A campaign takes it; look at the suspects first"
        taken = "No campaign takes it as it is" if counts["fault"] else advice
        faulty = [one for one in inspection.of(pools.Severity.FAULT) if one.taken_out or one.kind == pools.NOT_READ]
        single = [one for one in faulty if one.kind != pools.MIXED_SETTINGS]
        if faulty:
            taken += "; --write leaves the faults out"
        if single:
            taken += ", as do --leave-out-faults and [pool] leave_out_faults = true"
            taken += "" if single == faulty else ", but for mixed settings"
        screen.print(f"{faults}, {suspects}. {taken}.")


def _findings_table(inspection: Inspection, suspects: Suspects, *, n_shown: int | None) -> Table:
    """One row per finding, of each kind only the first where there are many."""
    from rich.table import Table  # noqa: PLC0415  the help does without it
    from rich.text import Text  # noqa: PLC0415

    from hullscout import pool as pools  # noqa: PLC0415  loads the scientific packages

    table = Table()
    for heading in ("", "about", "found", "cleaned pool"):
        table.add_column(heading, overflow="fold" if heading == "found" else "ellipsis")
    table.columns[-1].justify = "right"
    for (severity, kind), group in groupby(inspection.findings, key=lambda one: (one.severity.value, one.kind)):
        findings = list(group)
        for finding in findings[:n_shown]:
            n_out = len(finding.left_out(suspects))
            fate = f"{n_out} out" if n_out else "stays" if finding.frames else "out" if kind == pools.NOT_READ else ""
            table.add_row(Text(severity, style=STYLES[severity]), kind, Text(visible(finding.sentence)), fate)
        if n_shown is not None and len(findings) > n_shown:
            table.add_row("", kind, Text(f"and {len(findings) - n_shown} more; --all shows them"), "")
    return table
