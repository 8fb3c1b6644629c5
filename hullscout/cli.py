"""The command line: it parses, calls and prints. No science in it.

Exit codes: 0 done, 1 `check` found something wrong, 2 something given is not valid (one clear message, nothing overwritten),
130 interrupted.
"""

from __future__ import annotations

import sys
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec

import click

from hullscout import __version__
from hullscout.errors import HullscoutError

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
EXPORTS = ("entries", "ase", "csv", "cif", "poscar")
FIGURES = ("hull", "distance", "progress", "parity", "calibration", "learning", "mbtr")

EPILOG = """\b
Examples:
  hullscout run campaigns/agpd/agpd.toml
  hullscout run campaigns/agpd/agpd.toml --seed 7 --set select.batch=8 --out runs/seed7
  hullscout status runs/seed7
  hullscout plot runs/seed7
  hullscout report runs/seed7
  hullscout plan campaigns/agpd/agpd.toml --replicates 100 --grid stop.failure_probability=0.1,0.05,0.01
  hullscout enumerate Ag Pt --lattice fcc,bcc,hcp --max-atoms 6 --prototypes -o pool.extxyz.gz
  hullscout check pool.extxyz.gz
"""
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


HANDOFF_EPILOG = """\b
Examples:
  hullscout run agpt.toml --out runs/agpt        # with oracle.kind = "handoff": makes the campaign
  hullscout ask runs/agpt -n 8 --to outbox/
  hullscout tell runs/agpt results/
  hullscout status runs/agpt
"""


def _reports_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Print an error that Hullscout raises on purpose, without a traceback, and exit with code 2; with 130 on Ctrl-C."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except HullscoutError as error:
            click.echo(f"{click.style('Error:', fg='red', bold=True)} {error}", err=True)
            sys.exit(2)
        except KeyboardInterrupt:
            click.echo("\nInterrupted. Every answer so far is kept; run the same command again to go on.", err=True)
            sys.exit(130)

    return wrapped


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="hullscout")
def main() -> None:
    """Find the ground-state convex hull of a binary alloy with few DFT calculations."""


@main.command(epilog=EPILOG)
@click.argument("campaign", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Output folder; made, or resumed.  [default: runs/<name>]")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of every random choice, instead of the file's.")
@click.option(
    "--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="Replace a setting; may be repeated."
)
@click.option("--retry-failed", is_flag=True, help="Calculate again what failed before.")
@_reports_errors
def run(campaign: Path, out: Path | None, seed: int | None, overrides: tuple[str, ...], *, retry_failed: bool) -> None:
    """Run the campaign file CAMPAIGN to its end, or resume it.

    The output folder holds campaign.db (everything asked and answered), result.json and hull.png. Run the same command
    again after an interruption of any kind: it goes on where it stopped and ends in the same result.
    """
    from hullscout.campaign import runner  # noqa: PLC0415  loads the scientific packages
    from hullscout.terminal.campaigns import CampaignProgress, print_handoff, print_result  # noqa: PLC0415

    origin = runner.read_origin(campaign, overrides, seed=seed)
    folder = out if out is not None else Path("runs") / origin.config.folder_name
    if origin.config.oracle.kind == "handoff":
        from hullscout.campaign import handoff  # noqa: PLC0415

        handoff.create(origin, folder, retry_failed=retry_failed)
        print_handoff(folder, origin.config)
        return
    pool, oracle = runner.open_pool(origin)
    for line in (*pool.report.lines(), *map(str, () if oracle is None else oracle.conflicts)):
        click.echo(line)
    with CampaignProgress(origin.config, n_candidates=len(pool.ids)) as progress:
        result, standing = runner.run(
            origin,
            folder,
            pool=pool,
            oracle=oracle,
            retry_failed=retry_failed,
            on_progress=progress.update,
            on_note=progress.note,
        )
        runner.save(folder, result, standing)
    print_result(result, folder)


@main.command(epilog=HANDOFF_EPILOG)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-n", "n", type=click.IntRange(min=1), default=4, show_default=True, help="Number of structures.")
@click.option(
    "--to", "outbox", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the structures."
)
@click.option("--again", is_flag=True, help="Hand out again what is still awaited, instead of new structures.")
@_reports_errors
def ask(folder: Path, n: int, outbox: Path, *, again: bool) -> None:
    """Hand out the next structures of the campaign in FOLDER, for a code that runs elsewhere.

    Each gets a folder with POSCAR, CIF, extended XYZ and a manifest with its id. What is under way is taken into account. At the
    end of the campaign its result is written instead.
    """
    from hullscout.campaign import handoff  # noqa: PLC0415
    from hullscout.terminal.campaigns import print_asked, print_result  # noqa: PLC0415

    handed = handoff.ask(folder, n=n, outbox=outbox, again=again)
    if handed.result is not None:
        print_result(handed.result, folder)
    else:
        print_asked(handed.folders, folder=folder, n_awaited=handed.n_awaited, n_wanted=n)


@main.command(epilog=HANDOFF_EPILOG)
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@_reports_errors
def tell(folder: Path, results: tuple[Path, ...]) -> None:
    """Take RESULTS back into the campaign in FOLDER: folders of results, single results, or CSV files.

    Reads vasprun.xml, OUTCAR and whatever ASE reads, finds the id by the manifest or the folder's name and sees that it is the
    same structure. A CSV has the columns id and energy_ev (or energy_ev_per_atom), and failed. A file named FAILED says that
    a calculation failed, and why. Results may come late, in any order and twice.
    """
    from hullscout.campaign import handoff  # noqa: PLC0415
    from hullscout.terminal.campaigns import print_told  # noqa: PLC0415

    told = handoff.tell(folder, results)
    print_told(told, folder=folder)
    if told.faults:
        sys.exit(2)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="Pool file, .extxyz or .extxyz.gz."
)
@click.option("--force", is_flag=True, help="Replace the file if there is one.")
@_reports_errors
def table(folder: Path, output: Path, *, force: bool) -> None:
    """Write what the campaign in FOLDER knows as a pool with energies, which a table campaign can replay.

    Structures are those that were asked for, not relaxed ones; ids stay. Candidates without an energy are written without one.
    """
    from hullscout.campaign import runner  # noqa: PLC0415
    from hullscout.pool.writing import Existing, save_frames  # noqa: PLC0415

    frames = runner.read_frames_with_energies(folder)
    save_frames(output, frames, existing=Existing.REPLACE if force else Existing.REFUSE)
    n_known = sum(frame.energy_ev is not None for frame in frames)
    click.echo(f"Wrote {output}: {len(frames)} candidates, {n_known} with their energies.")


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@_reports_errors
def status(folder: Path) -> None:
    """Say where the campaign in FOLDER stands; also while it is running."""
    from hullscout.campaign import runner  # noqa: PLC0415
    from hullscout.campaign.history import read_result  # noqa: PLC0415
    from hullscout.terminal.campaigns import print_status  # noqa: PLC0415

    config, state = runner.read_state(folder)
    result = read_result(folder / runner.RESULT)
    print_status(config, state, runner.read_attempts(folder), folder=folder, result=result)


@main.command()
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
@_reports_errors
def plot(folder: Path, kind: str, output: Path | None, width: str, lattices: bool, candidate: str | None) -> None:  # noqa: FBT001  click passes by name
    r"""Draw the campaign in FOLDER, finished or not.

    \b
    hull         phase diagram, with what the model still believes possible
    distance     distance of every candidate to the hull
    progress     errors and the probability of a wrong hull, by calculations
    parity       predicted against true energies
    calibration  whether the stated uncertainty holds
    learning     model error by number of random structures
    mbtr         the representation of a structure
    """
    from hullscout.figures.kinds import Kind, save_campaign_figure  # noqa: PLC0415
    from hullscout.figures.style import Width  # noqa: PLC0415

    target = output if output is not None else folder / f"{kind}.png"
    save_campaign_figure(
        folder, target, kind=Kind(kind), width=Width(width), has_lattices=lattices, candidate_id=candidate
    )
    click.echo(f"Wrote {target}")


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="HTML file.  [default: FOLDER/report.html]")
@_reports_errors
def report(folder: Path, output: Path | None) -> None:
    """Write everything about the campaign in FOLDER, finished or not, into one HTML page that needs no network."""
    from hullscout.figures.report import REPORT, read_report, write_report  # noqa: PLC0415

    target = output if output is not None else folder / REPORT
    write_report(target, read_report(folder))
    click.echo(f"Wrote {target}")


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--format", "export_format", type=click.Choice(EXPORTS), required=True, help="What to write.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File or folder.  [default: in FOLDER, named for the format]",
)
@click.option("--force", is_flag=True, help="Replace what is there.")
@_reports_errors
def export(folder: Path, export_format: str, output: Path | None, force: bool) -> None:  # noqa: FBT001  click passes by name
    r"""Write what the campaign in FOLDER found for other programs, finished or not.

    \b
    entries      pymatgen's ComputedStructureEntry as JSON: what was calculated
    ase          ASE database: all candidates
    csv          table: all candidates, with predictions and P(on the hull)
    cif, poscar  folder of the structures of the hull
    """
    from hullscout.campaign import exports  # noqa: PLC0415

    chosen = exports.ExportFormat(export_format)
    target = output if output is not None else folder / chosen.default_name
    n_written = exports.export(folder, target, chosen, replace=force)
    click.echo(f"Wrote {n_written} structures to {target}")


@main.command()
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@_reports_errors
def cite(folder: Path | None) -> None:
    """Say what to cite: Hullscout, and the papers behind the methods that the campaign in FOLDER used."""
    click.echo(f"The Hullscout developers: Hullscout, version {__version__}.")
    if folder is None:
        click.echo("Give a campaign's folder for the papers behind the methods that it used.")
        return
    from hullscout.campaign import runner  # noqa: PLC0415
    from hullscout.campaign.citations import citations_of  # noqa: PLC0415

    config, _ = runner.read_state(folder)
    for citation in citations_of(config):
        click.echo(f"{citation.text}{f' doi:{citation.doi}' if citation.doi else ''} {citation.used_for}")


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


@main.command("enumerate", epilog=ENUMERATE_EPILOG)
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
@click.option("--prototype-atoms", type=int, default=16, show_default=True, help="Atoms in the largest prototype.")
@click.option(
    "--volume",
    "volumes",
    multiple=True,
    metavar="ELEMENT=A3",
    callback=_volumes,
    help="Volume per atom of a pure element, instead of the tabulated one; may be repeated.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="Pool file, .extxyz or .extxyz.gz."
)
@click.option("--force", is_flag=True, help="Replace the file if there is one.")
@_reports_errors
def enumerate_(
    first: str,
    second: str,
    lattices: tuple[str, ...],
    max_atoms: int,
    prototypes: bool,  # noqa: FBT001  click passes flags by name
    prototype_atoms: int,
    volumes: dict[str, float],
    output: Path,
    force: bool,  # noqa: FBT001
) -> None:
    """Make a pool of the elements FIRST and SECOND, without energies.

    Every symmetry-distinct cell of the parent lattices up to a size, and on request the binary prototypes of the AFLOW library
    that are not among them. The same command gives the same file.
    """
    from hullscout.pool.enumeration import ParentLattice  # noqa: PLC0415  loads the scientific packages
    from hullscout.pool.making import Recipe, make_pool  # noqa: PLC0415
    from hullscout.pool.writing import Existing, check_target, save_frames  # noqa: PLC0415
    from hullscout.terminal.pools import Working, print_made  # noqa: PLC0415

    recipe = Recipe(
        elements=(first, second),
        lattices=tuple(ParentLattice(name) for name in lattices),
        max_atoms=max_atoms,
        prototype_atoms=prototype_atoms if prototypes else None,
        volumes=volumes,
    )
    existing = Existing.REPLACE if force else Existing.REFUSE
    check_target(output, existing)
    with Working() as working:
        made = make_pool(recipe, on_progress=working.update)
    save_frames(output, made.frames, existing=existing)
    print_made(made, recipe, output)


def _elements(_context: click.Context, _option: click.Parameter, text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    match tuple(part.strip() for part in text.split(",")):
        case (first, second):
            return first, second
    raise click.BadParameter(f"expected two elements, for example Ag,Pd, found {text!r}")


@main.command(epilog=CHECK_EPILOG)
@click.argument("pool", type=click.Path(path_type=Path))
@click.option(
    "--elements", metavar="A,B", callback=_elements, help="The two elements.  [default: the two in most frames]"
)
@click.option(
    "--format",
    "pool_format",
    type=click.Choice(["extxyz", "ase", "entries", "files", "vasprun"]),
    help="Format of POOL.  [default: told by what is there]",
)
@click.option("--all", "show_all", is_flag=True, help="Show every finding, not only the first of each kind.")
@click.option("--write", type=click.Path(path_type=Path), help="Write a cleaned pool, .extxyz or .extxyz.gz.")
@click.option("--without-suspects", is_flag=True, help="Leave suspects out of the cleaned pool, too.")
@click.option("--force", is_flag=True, help="Replace the cleaned pool's file if there is one.")
@_reports_errors
def check(
    pool: Path,
    elements: tuple[str, str] | None,
    pool_format: str | None,
    show_all: bool,  # noqa: FBT001
    write: Path | None,
    without_suspects: bool,  # noqa: FBT001
    force: bool,  # noqa: FBT001
) -> None:
    """Look POOL over: duplicates, missing or suspect energies, mixed settings, odd volumes and distances, missing elements.

    POOL stays as it is. A cleaned pool leaves out frames with faults, all but one of each set of twins, and of mixed settings all
    but the most frequent; suspect energies, volumes and distances only on request. Exit codes: 0 nothing wrong, 1 faults or
    suspects found, 2 POOL cannot be read.
    """
    from hullscout.inspection import Suspects, clean, inspect_frames, most_frequent_elements  # noqa: PLC0415
    from hullscout.pool import PoolFormat, read_pool  # noqa: PLC0415
    from hullscout.pool.writing import Existing, check_target, save_frames  # noqa: PLC0415
    from hullscout.terminal.pools import N_SHOWN, Working, print_cleaned, print_inspection  # noqa: PLC0415

    existing = Existing.REPLACE if force else Existing.REFUSE
    if write is not None:
        check_target(write, existing, source=pool)
    with Working() as working:
        working.update(f"reading {pool}")
        frames = read_pool(pool, None if pool_format is None else PoolFormat(pool_format))
        found = inspect_frames(frames, elements or most_frequent_elements(frames), on_progress=working.update)
    suspects = Suspects.LEAVE_OUT if without_suspects else Suspects.KEEP
    print_inspection(found, pool, suspects=suspects, n_shown=None if show_all else N_SHOWN)
    if write is not None:
        left = clean(frames.frames, found, suspects=suspects)
        save_frames(write, left, existing=existing)
        print_cleaned(len(left), found.n_frames, write)
    sys.exit(0 if found.is_clean else 1)


@main.command(epilog=EPILOG)
@click.argument("campaigns", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--replicates", type=int, default=30, show_default=True, help="Replays of each setting, one seed each.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Output folder; made, or resumed.  [default: plans/<name>]"
)
@click.option(
    "--grid",
    multiple=True,
    metavar="SECTION.KEY=V1,V2,...",
    help="Values of a setting to compare; may be repeated. A key that a rule does not know is left alone for it.",
)
@click.option(
    "--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="Replace a setting; may be repeated."
)
@click.option("--risk", type=float, default=0.05, show_default=True, help="Wanted risk of a hull beyond the tolerance.")
@click.option(
    "--core-hours",
    metavar="MODEL",
    help="What a calculation takes: 'column' (the pool's cost column), ATOMS:HOURS[:EXPONENT] (8:12:3: a cell of 8 atoms takes 12 "
    "core-hours, and time grows with the third power), or a .csv file of measured times (atoms, core_hours, kpoints), to which "
    "such a law is fitted.",
)
@click.option(
    "--kpoint-spacing", type=float, metavar="1/A", help="Time also grows with the number of k-points of this spacing."
)
@click.option(
    "--budget",
    metavar="N",
    help="Calculations, or core-hours with an h behind (5000h): the chance that they give the right hull, and how several "
    "campaigns share them.",
)
@click.option(
    "--like",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="CAMPAIGN",
    help="Replay these campaigns instead, and predict CAMPAIGNS, of which no energy is known, from them; three or more.",
)
@click.option(
    "--from",
    "source",
    type=click.Choice(["replays", "prior", "baseline"]),
    default="replays",
    show_default=True,
    help="What new alloys are predicted from: replays of --like; replays on their own pools with energies drawn from a prior "
    "learned from --like; or with those of a cheaper method ([pool] baseline).",
)
@click.option("--price", metavar="'NUMBER UNIT'", help="Of a core-hour, for example '0.02 EUR'.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes.  [default: one per core]")
@_reports_errors
def plan(
    *,
    campaigns: tuple[Path, ...],
    replicates: int,
    out: Path | None,
    grid: tuple[str, ...],
    overrides: tuple[str, ...],
    risk: float,
    core_hours: str | None,
    kpoint_spacing: float | None,
    price: str | None,
    budget: str | None,
    like: tuple[Path, ...],
    source: str,
    workers: int | None,
) -> None:
    """Replay CAMPAIGNS whose energies are known: what each setting saves, and at what risk.

    The output folder holds plan.json, plan.png and plan.db, which keeps every finished replay: run the same command again after an
    interruption, or with more replicates or another grid, and only what is missing is played. The recommendation is the cheapest
    setting whose observed risk is below the wanted one with confidence.
    """
    from hullscout.figures.trade_off import save_trade_off  # noqa: PLC0415
    from hullscout.planning import planner  # noqa: PLC0415
    from hullscout.planning.budget import Budget  # noqa: PLC0415
    from hullscout.planning.core_hours import Price  # noqa: PLC0415
    from hullscout.planning.new_alloy import Source  # noqa: PLC0415
    from hullscout.planning.simulated import simulate_new  # noqa: PLC0415
    from hullscout.terminal import plans as terminal  # noqa: PLC0415  loads the scientific packages

    order = planner.PlanOrder(
        n_replicates=replicates,
        risk=risk,
        n_workers=workers,
        cost_model=planner.cost_model(core_hours, kpoint_spacing=kpoint_spacing),
        price=None if price is None else Price.parse(price),
    )
    given = None if budget is None else Budget.parse(budget)
    planner.check_budget(given, order)
    is_new = bool(like) or source == Source.BASELINE
    chosen = planner.read_campaigns(like if is_new else campaigns, grid=grid, overrides=overrides)
    new = planner.read_new(campaigns, overrides) if is_new else ()
    folder = out if out is not None else Path("plans") / planner.folder_name(new or chosen)
    if is_new or source != Source.REPLAYS:
        unused = [name for name, value in (("--grid", grid), ("--budget", budget)) if value]
        planner.check_source(Source(source), new=new, similar=chosen if like else (), unused=unused)
    if source != Source.REPLAYS:
        with terminal.PlanProgress() as progress:
            predictions = simulate_new(new, chosen, folder, source=Source(source), order=order, progress=progress)
        planner.save_predictions(folder, predictions)
        terminal.print_predictions(predictions, source=source, n_similar=len(chosen), order=order)
        return
    with terminal.PlanProgress() as progress:
        made = planner.make_plan(chosen, folder, order=order, progress=progress)
    terminal.print_outcomes(made.outcomes)
    if given is not None:
        spendings = planner.fixed_budget(made, given, order=order)
        shares = planner.split_budget(made, spendings, given)
        planner.save_budget(folder, given, made, spendings, shares)
        terminal.print_budget(given, made.outcomes, spendings, shares, risk=risk)
    if new:
        predictions = planner.predict_new(made, new, order=order)
        planner.save_predictions(folder, predictions)
        terminal.print_predictions(predictions, source=source, n_similar=len(chosen), order=order)
    save_trade_off(folder / planner.FIGURE, made.outcomes, risk=risk)
    terminal.print_recommendations(planner.recommendations(made.outcomes, risk=risk), folder=folder)
