"""Commands that show a campaign and write what it found."""

from __future__ import annotations

from pathlib import Path

import click

from hullscout import __version__
from hullscout.cli.shared import reports_errors

EXPORTS = ("entries", "ase", "csv", "cif", "poscar")
FIGURES = ("hull", "distance", "progress", "parity", "calibration", "learning", "mbtr")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--kind", type=click.Choice(FIGURES), default=FIGURES[0], show_default=True, help="What to draw.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Figure file, .png, .svg or .pdf.  [default: FOLDER/<kind>.png]",
)
@click.option(
    "--width", type=click.Choice(["page", "column"]), default="page", show_default=True, help="Of a two-column paper."
)
@click.option("--lattices", is_flag=True, help="hull: mark candidates on fcc, bcc and hcp lattices.")
@click.option("--candidate", metavar="ID", help="mbtr: whose representation.  [default: the lowest structure's]")
@reports_errors()
def plot(folder: Path, kind: str, output: Path | None, width: str, lattices: bool, candidate: str | None) -> None:  # noqa: FBT001  click passes by name
    """Draw the campaign in FOLDER, finished or not.

    \b
    hull         phase diagram, with what the model still believes possible
    distance     distance of every candidate to the hull
    progress     errors and the probability of a wrong hull, by calculations
    parity       predicted against true energies
    calibration  whether the stated uncertainty holds
    learning     model error by number of random structures (40 or more energies)
    mbtr         the representation of a structure
    """  # noqa: D301  click takes the character, not the two letters
    if lattices and kind != "hull":
        raise click.UsageError(f"--lattices is for --kind hull, found --kind {kind}. Leave it out.")
    if candidate is not None and kind != "mbtr":
        raise click.UsageError(f"--candidate is for --kind mbtr, found --kind {kind}. Leave it out.")
    from hullscout.figures.kinds import Kind, save_campaign_figure  # noqa: PLC0415
    from hullscout.figures.style import Width  # noqa: PLC0415

    target = output if output is not None else folder / f"{kind}.png"
    save_campaign_figure(
        folder, target, kind=Kind(kind), width=Width(width), has_lattices=lattices, candidate_id=candidate
    )
    click.echo(f"Wrote {target}")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="HTML file.  [default: FOLDER/report.html]")
@click.option("--lattices", is_flag=True, help="Mark candidates on fcc, bcc and hcp lattices.")
@reports_errors()
def report(folder: Path, output: Path | None, *, lattices: bool) -> None:
    """Write everything about the campaign in FOLDER, finished or not, into one HTML page that needs no network."""
    from hullscout.figures.report import REPORT, read_report, write_report  # noqa: PLC0415

    target = output if output is not None else folder / REPORT
    write_report(target, read_report(folder, has_lattices=lattices))
    click.echo(f"Wrote {target}")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--format", "export_format", type=click.Choice(EXPORTS), required=True, help="What to write.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File or folder.  [default: in FOLDER, named for the format]",
)
@click.option("--force", is_flag=True, help="Replace what is there.")
@reports_errors()
def export(folder: Path, export_format: str, output: Path | None, force: bool) -> None:  # noqa: FBT001  click passes by name
    """Write what the campaign in FOLDER found for other programs, finished or not.

    \b
    entries      pymatgen's ComputedStructureEntry as JSON: what was calculated
    ase          ASE database: all candidates
    csv          table: all candidates, with predictions and P(on the hull)
    cif, poscar  folder of the structures of the hull
    """  # noqa: D301  click takes the character, not the two letters
    from hullscout.campaign import exports  # noqa: PLC0415

    chosen = exports.ExportFormat(export_format)
    target = output if output is not None else folder / chosen.default_name
    n_written = exports.export(folder, target, chosen, replace=force)
    click.echo(f"Wrote {n_written} structures to {target}")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@reports_errors()
def cite(folder: Path | None) -> None:
    """Say what to cite: Hullscout, and the papers behind the methods that the campaign in FOLDER used."""
    papers = ["Give a campaign's folder for the papers behind the methods that it used."]
    if folder is not None:
        from hullscout.campaign import runner  # noqa: PLC0415
        from hullscout.campaign.citations import citations_of  # noqa: PLC0415

        config, _ = runner.read_state(folder)
        papers = [f"{c.text}{f' doi:{c.doi}' if c.doi else ''} {c.used_for}" for c in citations_of(config)]
    click.echo("\n".join([f"The Hullscout developers: Hullscout, version {__version__}.", *papers]))
