"""The command that shows the hull of energies that are at hand, without a campaign."""

from __future__ import annotations

from dataclasses import replace
from shlex import quote
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from hullscout.cli.looks import look_of, looks_otherwise
from hullscout.cli.pools import reads_pool
from hullscout.cli.results import EXPORTS
from hullscout.cli.shared import CELL, LEAVE_OUT_FAULTS, PATH, console, main, working_line
from hullscout.cli.streams import say
from hullscout.display import MILLI
from hullscout.writing import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hullscout.campaign.exports import ExportFormat
    from hullscout.campaign.structure_text import Cells
    from hullscout.known_pool import PoolHull
    from hullscout.oracle.workers import TwinConflict
    from hullscout.pool import Frames

HULL_EPILOG = """\b
Examples:
  hullscout hull results/                        # a tree of VASP calculations
  hullscout hull agpd.extxyz.gz -o agpd.pdf --distances distances.csv
  hullscout hull agpd.extxyz.gz --export entries --to entries.json
"""
WRITTEN = tuple(name for name in EXPORTS if name != "csv")
N_NEAR = 10
"""So many of the lowest above the hull are shown where not all are asked for."""
N_COMPARED = 800
"""So many of the lowest are compared with each other."""


@main.command(epilog=HULL_EPILOG, is_printed=True, interrupted="What was written is whole.")
@click.argument("pool", type=PATH)
@reads_pool
@click.option("--allow-mixed-settings", is_flag=True, help="Take energies of different settings onto one hull.")
@LEAVE_OUT_FAULTS
@click.option("-o", "--output", type=PATH, help="Figure file, .png, .svg, .pdf or .eps.")
@click.option(
    "--width", type=click.Choice(["page", "column"]), default="page", show_default=True, help="Of the figure."
)
@click.option("--lattices", is_flag=True, help="Mark structures on fcc, bcc and hcp lattices in it.")
@looks_otherwise
@click.option("--all", "show_all", is_flag=True, help="Show the distances of all structures to the hull.")
@click.option("--distances", type=PATH, help="Write a table of all, with their distances to the hull, .csv.")
@click.option(
    "--export",
    "export_format",
    type=click.Choice([name for name in EXPORTS if name != "csv"]),
    help="Write it for other programs, as `export`.",
)
@click.option("--to", "target", type=PATH, help="File or folder of --export.")
@CELL
@click.option("--force", is_flag=True, help="Replace what is there.")
def hull(
    pool: Path,
    elements: tuple[str, ...] | None,
    ends: tuple[str, ...],
    pool_format: str | None,
    energy: str | None,
    energy_unit: str | None,
    energy_kind: str | None,
    references: dict[str, float],
    output: Path | None,
    width: str,
    *,
    cell: str,
    distances: Path | None,
    export_format: str | None,
    target: Path | None,
    allow_mixed_settings: bool,
    leave_out_faults: bool,
    lattices: bool,
    show_all: bool,
    force: bool,
    **look: Any,
) -> None:
    """Show the hull of the energies in POOL, a file or folder of any format, without a campaign.

    Ground states and the structures nearest to the hull are printed. Energies are looked over as for a campaign: what is no total
    energy of its cell is refused. Of a crystal that occurs more than once the lowest energy counts.
    """
    if (export_format is None) != (target is None):
        raise click.UsageError("Expected --export and --to together, found one. Give what to write and where.")
    if output is None:
        _refuse_given({"width", "lattices", *look}, "is for a figure. Give -o as well.")
    if export_format is None:
        _refuse_given({"cell"}, "is for structures that are written. Give --export and --to as well.")
    from hullscout import pool as pools  # noqa: PLC0415  loads the scientific packages
    from hullscout.campaign import exports  # noqa: PLC0415
    from hullscout.campaign.energy_settings import settings_of_frames  # noqa: PLC0415
    from hullscout.campaign.opening import DATABASE  # noqa: PLC0415
    from hullscout.campaign.structure_text import Cells  # noqa: PLC0415
    from hullscout.figures import KINDS  # noqa: PLC0415
    from hullscout.figures.hulls import draw_hull  # noqa: PLC0415
    from hullscout.figures.saving import save_figure  # noqa: PLC0415
    from hullscout.figures.style import Width  # noqa: PLC0415
    from hullscout.known_pool import PoolHull, known_of  # noqa: PLC0415
    from hullscout.oracle import TableOracle  # noqa: PLC0415

    wanted_look = look_of(look)
    chosen, cells = None if export_format is None else exports.ExportFormat(export_format), Cells(cell)
    _refuse_places(output, distances, target, chosen, cells=cells, replace=force)
    if (pool / DATABASE).is_file():
        named = quote(str(pool))
        raise click.UsageError(
            f"Expected a pool, found the folder of a campaign: {pool}. `hullscout plot {named}` draws its hull, and "
            f"`hullscout status {named}` says where it stands."
        )
    meaning = pools.EnergyMeaning(column=energy, unit=energy_unit, kind=energy_kind, references=references)
    frames = pools.read_pool(pool, pool_format)
    wanted = elements or pools.most_frequent_elements(frames)
    frames = pools.understand(frames, meaning, elements=wanted)
    axis = pools.axis_of(wanted, ends)
    frames = axis.sift(frames) if leave_out_faults else frames
    _refuse_without_energies(frames)
    built = pools.build_pool(
        frames,
        axis,
        without_energy=pools.WithoutEnergy.LEAVE_OUT,
        mixed_settings=pools.MixedSettings.ALLOW if allow_mixed_settings else pools.MixedSettings.REFUSE,
        faulty=pools.Faulty.LEAVE_OUT if leave_out_faults else pools.Faulty.REFUSE,
        leave_out="--leave-out-faults",
    )
    table = TableOracle.from_frames(frames, built)
    settings = settings_of_frames(frames.frames, built)
    found = PoolHull(known_of(built, table.energies_ev_per_atom()), settings)
    notes: list[str] = []
    if output is not None:  # what cannot be drawn is said before all else
        save_figure(
            output,
            lambda figure: draw_hull(figure.add_subplot(), found.known, lattices=lattices),
            width=Width(width),
            aspect=KINDS["hull"].aspect_of(len(built.end_names), Width(width)),
            look=wanted_look,
            on_note=notes.append,
        )
        notes.append(f"Wrote {output}")
    for line in built.report.lines():
        say(line)
    _print_hull(found, n_shown=None if show_all else N_NEAR)
    _say_doubts(frames, found, pool, conflicts=table.conflicts)
    for note in notes:
        say(note)
    if distances is not None:
        write_whole(distances, found.candidates().to_csv(), remedy="Give another name.")
        say(f"Wrote {distances}")
    if chosen is not None and target is not None:
        n = exports.export_known(target, found.known, chosen, cells=cells, settings=found.settings, replace=force)
        say(f"Wrote {n} structures to {target}")
    say(
        f"Next: hullscout ask {quote(str(pool))} --pool CELLS -n 8 --to outbox/ chooses among CELLS what to calculate; hullscout "
        f"enumerate {' '.join(axis.elements)} -o CELLS.extxyz.gz makes some."
    )


def _say_doubts(frames: Frames, found: PoolHull, pool: Path, *, conflicts: Iterable[TwinConflict]) -> None:
    """Say which twins disagree, and the energies on the hull and near it that the others contradict, those on it first."""
    from hullscout.cli.campaign_output import say_suspects  # noqa: PLC0415
    from hullscout.pool import find_contradicted  # noqa: PLC0415  loads the scientific packages

    for conflict in conflicts:
        say(str(conflict))
    built, rows = found.known.pool, found.candidates()
    merged = {name: (name, *built.twins.get(name, ())) for name in rows.index[:N_COMPARED]}
    near = {name for names in merged.values() for name in names}
    on_hull = {name for first in rows.index[rows.on_hull] for name in merged.get(first, ())}
    with working_line("comparing energies"):
        compared = replace(frames, frames=tuple(frame for frame in frames.frames if frame.id in near))
        contradicted = find_contradicted(compared, built.axis)
    order = sorted(contradicted, key=lambda name: name not in on_hull)
    check = f"hullscout check {quote(str(pool))}"
    say_suspects((contradicted[name] for name in order), check=check)
    if vertices := [name for name in order if name in on_hull]:
        say(
            f"Caution: this hull stands on suspect energies, {', '.join(vertices[:N_NEAR])}. Look at their calculations before you "
            f"use it: `{check}` says more."
        )


def _refuse_given(names: set[str], advice: str) -> None:
    """Refuse options of these names that were given, since they say nothing here."""
    context = click.get_current_context()
    for option in context.command.params:
        if option.name in names and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{option.opts[0]} {advice}")


def _refuse_without_energies(frames: Frames) -> None:
    """Refuse a pool of sound structures that states no energy."""
    from hullscout.errors import InvalidPoolError  # noqa: PLC0415
    from hullscout.pool.energies import energy_columns  # noqa: PLC0415  loads the scientific packages

    if frames.faults or any(frame.energy_ev is not None for frame in frames.frames):
        return
    likely = next(iter(energy_columns(frames.frames)), "COLUMN")
    raise InvalidPoolError(
        f"{frames.path}: expected an energy of each structure, found none in {len(frames.frames)} structures; columns found: "
        f"{', '.join(frames.keys) or 'none'}. Name the one that states it by --energy {likely}, or begin a campaign that chooses "
        "what to calculate: `hullscout ask`."
    )


def _refuse_places(
    figure: Path | None,
    distances: Path | None,
    target: Path | None,
    export_format: ExportFormat | None,
    *,
    cells: Cells,
    replace: bool,
) -> None:
    """Refuse what nothing can be written to, before anything is read."""
    from hullscout.campaign import exports  # noqa: PLC0415  loads the scientific packages
    from hullscout.figures.saving import refuse_figure_file  # noqa: PLC0415

    if figure is not None:
        refuse_figure_file(figure)
    if distances is not None:
        if distances.suffix != ".csv":
            raise click.UsageError(f"Expected a name that ends in .csv for --distances, found {distances}.")
        exports.refuse_target(distances, exports.ExportFormat.CSV, replace=replace)
    if export_format is not None and target is not None:
        exports.refuse_cells(export_format, cells)
        exports.refuse_target(target, export_format, replace=replace)
    places = [path.absolute() for path in (figure, distances, target) if path is not None]
    if len(places) > len(set(places)):
        raise click.UsageError("-o, --distances and --to name the same file. Give each a name of its own.")


def _print_hull(found: PoolHull, *, n_shown: int | None) -> None:
    """Print the ground states, and the structures nearest above the hull."""
    from rich.table import Table  # noqa: PLC0415  the help does without it

    from hullscout.cli.campaign_output import table_of_hull  # noqa: PLC0415

    screen, known = console(), found.known
    ends = known.pool.end_names
    title = f"Convex hull of {'-'.join(ends)}, {known.answered.size} energies"
    screen.print(table_of_hull(found.ground_states, title=title, ends=ends))
    above = [row for row in found.candidates().itertuples() if not row.on_hull]
    near = Table(title="Nearest above the hull", title_justify="left", title_style="bold")
    for head in ("formula", "formation energy (meV/atom)", "above the hull (meV/atom)", "id"):
        near.add_column(head, justify="left" if head in {"formula", "id"} else "right", overflow="fold")
    for row in above[:n_shown]:
        energies = (row.formation_energy_ev_per_atom, row.hull_distance_ev_per_atom)
        near.add_row(row.formula, *(f"{energy * MILLI:.1f}" for energy in energies), row.Index)
    if above:
        screen.print(near)
    if n_shown is not None and len(above) > n_shown:
        screen.print(f"{len(above) - n_shown} more lie higher: --all shows them, --distances FILE.csv writes them.")
