"""Commands that run a campaign and say where it stands."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hullscout.cli.shared import EPILOG, reports_errors

HANDOFF_EPILOG = """\b
Examples:
  hullscout run agpt.toml --out runs/agpt        # with oracle.kind = "handoff": makes the campaign
  hullscout ask runs/agpt -n 8 --to outbox/
  hullscout tell runs/agpt results/
  hullscout status runs/agpt
"""


@click.command(epilog=EPILOG)
@click.argument("campaign", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Output folder; made, or resumed.  [default: runs/<name>]")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of every random choice, instead of the file's.")
@click.option(
    "--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="Replace a setting; may be repeated."
)
@click.option("--retry-failed", is_flag=True, help="Calculate again what failed before.")
@reports_errors("Every answer so far is kept; run the same command again to go on.")
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
        runner.create(origin, folder, pool=runner.open_pool(origin)[0], retry_failed=retry_failed)
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


@click.command(epilog=HANDOFF_EPILOG)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-n", "n", type=click.IntRange(min=1), default=4, show_default=True, help="Number of structures.")
@click.option(
    "--to", "outbox", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the structures."
)
@click.option("--again", is_flag=True, help="Hand out again what is still awaited, instead of new structures.")
@reports_errors("Nothing is handed out twice; run the same command again to go on.")
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


@click.command(epilog=HANDOFF_EPILOG)
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@reports_errors("What was taken so far is kept; run the same command again for the rest.")
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


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="Pool file, .extxyz or .extxyz.gz."
)
@click.option("--force", is_flag=True, help="Replace the file if there is one.")
@reports_errors()
def table(folder: Path, output: Path, *, force: bool) -> None:
    """Write what the campaign in FOLDER knows as a pool with energies, which a table campaign can replay.

    Structures are those that were asked for, not relaxed ones; ids stay. Candidates without an energy are written without one.
    """
    from hullscout.campaign import runner  # noqa: PLC0415
    from hullscout.pool import Existing, save_frames  # noqa: PLC0415

    frames = runner.read_frames_with_energies(folder)
    save_frames(output, frames, existing=Existing.REPLACE if force else Existing.REFUSE)
    n_known = sum(frame.energy_ev is not None for frame in frames)
    click.echo(f"Wrote {output}: {len(frames)} candidates, {n_known} with their energies.")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@reports_errors()
def status(folder: Path) -> None:
    """Say where the campaign in FOLDER stands; also while it is running."""
    from hullscout.campaign import runner  # noqa: PLC0415
    from hullscout.campaign.history import read_result  # noqa: PLC0415
    from hullscout.terminal.campaigns import print_status  # noqa: PLC0415

    config, state = runner.read_state(folder)
    result = read_result(folder / runner.RESULT)
    print_status(config, state, runner.read_attempts(folder), folder=folder, result=result)
