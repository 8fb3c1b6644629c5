"""Commands that look at a campaign, finished or not: where it stands, figures, the report, exports, what to cite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hullscout import __version__
from hullscout.citations import citations_of, own_bibtex
from hullscout.cli.following import follow, time_now
from hullscout.cli.looks import look_of, looks_otherwise
from hullscout.cli.shared import CELL, FOLDER, PATH, STRUCTURES, console, looks, main
from hullscout.cli.streams import say, say_lines
from hullscout.display import counted_rounds
from hullscout.figures import KINDS, Width, save_campaign_figure
from hullscout.figures.saving import refuse_figure_file

if TYPE_CHECKING:
    from pathlib import Path

    from hullscout.campaign import Setup
    from hullscout.citations import Citation

# They stand in the campaign's room, too; but importing it takes a second, for which the help does not wait.
EXPORTS = ("entries", "ase", "csv", "cif", "poscar")
NOT_TOUCHED = "The campaign was only looked at, and goes on or stands as it was."
FOLLOW = click.option(
    "--follow", "is_followed", is_flag=True, help="Do so again as the campaign goes on, until it ends."
)
PAGE_S, STATUS_S = 60, 10
"""Seconds that pass at least before what is followed is written or said again."""
PLOTS = "\n".join(f"{name:<16}{kind.shows}" for name, kind in KINDS.items())
PLOT_HELP = f"Draw the campaign in FOLDER, finished or not.\n\n\b\n{PLOTS}"


@main.command(is_printed=True, interrupted=NOT_TOUCHED)
@FOLDER
@FOLLOW
@looks
def status(folder: Path, *, setup: Setup | None, is_followed: bool) -> None:
    """Say where the campaign in FOLDER stands; also while it is running.

    With --follow say it again when that has changed, on a terminal in place of what was said before.
    """
    from hullscout import campaign as campaigns  # noqa: PLC0415
    from hullscout.cli.campaign_output import print_status  # noqa: PLC0415

    def show(setup: Setup) -> None:
        print_status(setup, setup.read_ledger(folder), folder=folder, result=campaigns.read_result(folder))

    if not is_followed:
        show(setup or campaigns.Setup.read(folder))
        return
    for now in follow(folder, every_s=STATUS_S):
        console().clear()  # does nothing where output is no terminal
        show(campaigns.Setup.read(folder))
        if not now.is_ended:
            say(f"{time_now()}. Followed until the campaign ends; Ctrl-C ends this sooner.")


@main.command(help=PLOT_HELP)
@FOLDER
@click.option("--kind", type=click.Choice(list(KINDS)), default="hull", show_default=True, help="What to draw.")
@click.option("-o", "--output", type=PATH, help="Figure file, .png, .svg, .pdf or .eps.  [default: FOLDER/<kind>.png]")
@click.option(
    "--width", type=click.Choice(["page", "column"]), default="page", show_default=True, help="Of a two-column paper."
)
@click.option("--lattices", is_flag=True, help="hull: mark candidates on fcc, bcc and hcp lattices.")
@click.option("--candidate", metavar="ID", help="mbtr: whose representation.  [default: the lowest structure's]")
@click.option(
    "--from", "start", metavar="X", help="section: where it begins, a formula or an id.  [default: the first element]"
)
@click.option("--to", "end", metavar="X", help="section: where it ends.  [default: the second element]")
@looks_otherwise
@looks
def plot(
    folder: Path,
    kind: str,
    output: Path | None,
    width: str,
    candidate: str | None,
    start: str | None,
    end: str | None,
    *,
    setup: Setup | None,
    lattices: bool,
    **look: Any,
) -> None:
    """Draw the campaign in FOLDER, finished or not."""
    if lattices and "lattices" not in KINDS[kind].takes:
        raise click.UsageError(f"--lattices is for --kind hull, found --kind {kind}. Leave it out.")
    if candidate is not None and "candidate" not in KINDS[kind].takes:
        raise click.UsageError(f"--candidate is for --kind mbtr, found --kind {kind}. Leave it out.")
    if (start, end) != (None, None) and "between" not in KINDS[kind].takes:
        raise click.UsageError(f"--from and --to are for --kind section, found --kind {kind}. Leave them out.")
    if (start is None) != (end is None):
        raise click.UsageError("Expected both ends of a section, found one. Give --from and --to.")
    between = None if start is None or end is None else (start, end)
    if output is not None:
        refuse_figure_file(output)
    target = output if output is not None else folder / f"{kind}.png"
    save_campaign_figure(
        folder,
        target,
        setup=setup,
        kind=kind,
        width=Width(width),
        lattices=lattices,
        candidate_id=candidate,
        between=between,
        look=look_of(look),
        on_note=say,
    )
    say(f"Wrote {target}")


@main.command(interrupted=f"The page is whole, as it was last written. {NOT_TOUCHED}")
@FOLDER
@click.option("-o", "--output", type=PATH, help="HTML file.  [default: FOLDER/report.html]")
@click.option("--lattices", is_flag=True, help="Mark candidates on fcc, bcc and hcp lattices.")
@FOLLOW
@looks
def report(folder: Path, output: Path | None, *, setup: Setup | None, lattices: bool, is_followed: bool) -> None:
    """Write everything about the campaign in FOLDER, finished or not, into one HTML page that needs no network.

    With --follow write it again after rounds, at most once a minute; a page that is open in a browser reloads itself until then.
    """
    from hullscout.figures.notes import told_once  # noqa: PLC0415
    from hullscout.figures.report import REPORT, read_report, settle_report, write_report  # noqa: PLC0415

    target = output if output is not None else folder / REPORT
    if not is_followed:
        write_report(target, read_report(folder, setup=setup, lattices=lattices), on_note=say)
        say(f"Wrote {target}")
        return
    is_written, tell = False, told_once(say)
    try:
        for now in follow(folder, every_s=PAGE_S, of=lambda seen: seen.has_hull and seen.n_rounds):
            if not now.has_hull:
                say("There is no hull yet: the energies of all pure elements are needed. The page is written then.")
                continue
            reported = read_report(folder, lattices=lattices)
            write_report(target, reported, reload_s=None if now.is_ended else PAGE_S, on_note=tell)
            is_written = not now.is_ended
            say(f"{time_now()}: wrote {target}, {counted_rounds(now.n_rounds)}, {now.n_answered} energies known.")
    finally:
        if is_written:
            settle_report(target)


@main.command()
@FOLDER
@click.option("--format", "export_format", type=click.Choice(EXPORTS), required=True, help="What to write.")
@STRUCTURES
@CELL
@click.option("-o", "--output", type=PATH, help="File or folder.  [default: in FOLDER, named for the format]")
@click.option("--force", is_flag=True, help="Replace what is there.")
@looks
def export(
    folder: Path,
    export_format: str,
    structures: str,
    cell: str,
    output: Path | None,
    *,
    setup: Setup | None,
    force: bool,
) -> None:
    """Write what the campaign in FOLDER found for other programs, finished or not.

    \b
    entries      pymatgen's ComputedStructureEntry as JSON: what was calculated
    ase          ASE database: all candidates
    csv          table: all candidates, with predictions and P(on the hull)
    cif, poscar  folder of the structures of the hull

    Of more than 20 000 candidates ase and csv hold what is known and the lowest of the others.

    Energies are of relaxed structures where these are known, and so are the structures written beside them; what was asked for is
    kept next to each, in a folder `start` for CIF and POSCAR.
    """  # noqa: D301  click takes the character, not the two letters
    from hullscout.campaign import Setup, exports  # noqa: PLC0415
    from hullscout.campaign.structure_text import Cells  # noqa: PLC0415

    chosen = exports.ExportFormat(export_format)
    target = output if output is not None else folder / chosen.default_name
    which, cells = exports.Structures(structures), Cells(cell)
    setup = setup or Setup.read(folder)
    n_written = exports.export(folder, target, chosen, structures=which, cells=cells, replace=force, setup=setup)
    say(f"Wrote {n_written} structures to {target}")
    for note in exports.notes_on(setup.pool, chosen, n_written):
        say(note)


@main.command(is_printed=True)
@click.argument("folder", type=PATH, required=False)
@click.option("--bibtex", "is_bibtex", is_flag=True, help="As entries of BibTeX.")
@looks
def cite(folder: Path | None, *, setup: Setup | None, is_bibtex: bool) -> None:
    """Say what to cite: Hullscout, and the papers behind the methods that the campaign in FOLDER used."""
    cited: tuple[Citation, ...] = ()
    papers = ["Give a campaign's folder for the papers behind the methods that it used."]
    if folder is not None:
        from hullscout import campaign as campaigns  # noqa: PLC0415

        config = (setup or campaigns.Setup.read(folder)).config
        cited = citations_of((*config.representation.citations, *config.select.citations))
        papers = [f"{c.text}{f' doi:{c.doi}' if c.doi else ''} {c.used_for}" for c in cited]
    if is_bibtex:
        say_lines("\n\n".join([own_bibtex(__version__), *(citation.bibtex for citation in cited)]))
        return
    for line in (f"The Hullscout developers: Hullscout, version {__version__}.", *papers):
        say(line)
