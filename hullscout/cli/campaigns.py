"""Commands by which a campaign goes on: run it, hand out and take back, add to it, keep what it knows."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from hullscout.cli.shared import (
    EPILOG,
    FOLDER,
    FORCE,
    LEAVE_OUT_FAULTS,
    OVERRIDES,
    PATH,
    POOL_FILE,
    looks,
    main,
    working_line,
)
from hullscout.cli.streams import say
from hullscout.figures import save_result

if TYPE_CHECKING:
    from hullscout.campaign import Setup
    from hullscout.campaign.handoff import Told

MAX_COMPARED = 150
"""Frames of a table up to which `run` compares all energies, as `check` does: of more it would take longer than the campaign."""
HANDOFF_EPILOG = """\b
Examples:
  hullscout ask results/ --pool agpt.extxyz.gz -n 8 --to outbox/ # calculations, and cells to choose from
  hullscout ask agpt.extxyz.gz -n 8 --to outbox/ # cells, with or without energies: makes runs/Ag-Pt
  hullscout ask agpt.toml -n 8 --to outbox/      # the same by a campaign file, with oracle.kind = "handoff"
  hullscout tell runs/Ag-Pt outbox/
  hullscout ask runs/Ag-Pt -n 8 --to outbox/
  hullscout status runs/Ag-Pt
"""
ADD_EPILOG = """\b
Example:
  hullscout add runs/agpt more-cells.extxyz.gz
  hullscout run agpt.toml --out runs/agpt
"""


@main.command(epilog=EPILOG, interrupted="Every answer so far is kept; run the same command again to go on.")
@click.argument("campaign", type=PATH)
@click.option("--out", type=PATH, help="Output folder; made, or resumed.  [default: runs/<name>]")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of every random choice, instead of the file's.")
@OVERRIDES
@click.option("--retry-failed", is_flag=True, help="Calculate again what failed before.")
def run(campaign: Path, out: Path | None, seed: int | None, overrides: tuple[str, ...], *, retry_failed: bool) -> None:
    """Run the campaign file CAMPAIGN to its end, or resume it.

    The output folder holds campaign.db (everything asked and answered), result.json and hull.png. Run the same command
    again after an interruption of any kind: it goes on where it stopped and ends in the same result.
    """
    from hullscout import campaign as campaigns  # noqa: PLC0415  loads the scientific packages
    from hullscout.campaign.cautions import cautions, warnings  # noqa: PLC0415
    from hullscout.campaign.opening import DATABASE  # noqa: PLC0415
    from hullscout.cli.campaign_output import CampaignProgress, print_result, say_suspects  # noqa: PLC0415
    from hullscout.pool import find_contradicted  # noqa: PLC0415

    setup = campaigns.Setup(campaigns.read_origin(campaign, overrides, seed=seed))
    folder = out if out is not None else Path("runs") / setup.config.folder_name
    setup = setup.as_in(folder)
    if setup.config.oracle.kind == "handoff":
        _make_handoff(setup, folder, retry_failed=retry_failed)
        named = quote(str(folder))
        say(f"Next: hullscout ask {named} -n 8 --to outbox/, then hullscout tell {named} results/")
        return
    for line in (*setup.pool.report.lines(), *map(str, () if setup.table is None else setup.table.conflicts)):
        say(line)
    is_new = not (folder / DATABASE).exists()
    if setup.table is not None and is_new and len(setup.frames.frames) <= MAX_COMPARED:
        with working_line("comparing energies"):
            contradicted = find_contradicted(setup.frames, setup.config.axis)
        say_suspects(contradicted.values())
    for caution in (*cautions(setup), *(warnings(setup) if is_new else ())):
        say(caution)
    progress = CampaignProgress(setup)
    with progress.line:
        result, known = campaigns.run(
            setup,
            folder,
            retry_failed=retry_failed,
            on_progress=progress.update,
            on_note=progress.note,
            on_computed=progress.update_prior,
        )
        save_result(folder, result, known, on_note=progress.note)
    print_result(result, folder, done=setup.config.done)


def _make_handoff(setup: Setup, folder: Path, *, retry_failed: bool = False) -> None:
    """Make a campaign whose energies are calculated elsewhere, or see that it is there, and say what is to be known of it."""
    from hullscout.campaign import create  # noqa: PLC0415  loads the scientific packages
    from hullscout.campaign.cautions import cautions  # noqa: PLC0415

    found = create(setup, folder, retry_failed=retry_failed, on_note=say)
    say(f"{setup.config.name} is a hand-off campaign, kept in {folder}.")
    for sentence in (*found, *setup.pool.report.notes, *cautions(setup)):
        say(sentence)


def _handed_out_by(
    path: Path, out: Path | None, cells: Path | None, *, template: Path | None, outbox: Path, leaves_out: bool
) -> Path:
    """The folder of the campaign to ask: the one given, or `out` of the campaign file or pool given, which is made.

    It is made once all that is given was looked at: with `cells`, of these, and what is given are results that are told first.
    """
    from hullscout import campaign as campaigns  # noqa: PLC0415  loads the scientific packages
    from hullscout.campaign import handoff  # noqa: PLC0415
    from hullscout.campaign.opening import DATABASE  # noqa: PLC0415
    from hullscout.campaign.origin import handoff_origin  # noqa: PLC0415
    from hullscout.errors import ResultError  # noqa: PLC0415
    from hullscout.oracle import read_template  # noqa: PLC0415
    from hullscout.pool.frames import LEAVE_OUT  # noqa: PLC0415

    if not path.exists():
        kinds = "a campaign's folder, a campaign file or a pool" if cells is None else "results: a folder or a file"
        raise ResultError(f"There is no {path}. Give {kinds}{'; or results, with --pool' if cells is None else ''}.")
    if (path / DATABASE).exists():
        for option, value in (("--out", out), ("--pool", cells), ("--leave-out-faults", leaves_out or None)):
            if value is not None:
                raise click.UsageError(
                    f"{option} is for a campaign that is made of a file; a campaign's folder is asked as it is. Leave it out."
                )
        return path
    if path.suffix == ".toml":
        if leaves_out or cells is not None:
            option, key = ("--pool", "path") if cells is not None else ("--leave-out-faults", "leave_out_faults")
            raise click.UsageError(f"{option}: a campaign file says that itself, by [pool] {key}. Leave it out.")
        origin = campaigns.read_origin(path)
    else:
        origin = handoff_origin(cells or path, leaves_out_faults=leaves_out and cells is None)
    is_alone = cells is None and path.suffix != ".toml"
    setup = campaigns.Setup(origin, leave_out="--leave-out-faults" if is_alone else LEAVE_OUT)
    handoff.settings_of(setup, path)
    folder = out if out is not None else Path("runs") / setup.config.folder_name
    if template is not None:
        read_template(template)
    _make_and_tell(setup, folder, None if cells is None else path, outbox=outbox, leaves_out=leaves_out)
    return folder


def _make_and_tell(setup: Setup, folder: Path, results: Path | None, *, outbox: Path, leaves_out: bool) -> None:
    """Make a hand-off campaign in a folder, or see that it is there, and tell it results, once these were looked at."""
    from hullscout.campaign import handoff  # noqa: PLC0415  loads the scientific packages
    from hullscout.campaign.opening import DATABASE  # noqa: PLC0415
    from hullscout.pool.frames import one_error  # noqa: PLC0415
    from hullscout.writing import make_folder  # noqa: PLC0415

    is_there = (folder / DATABASE).is_file()
    setup = setup.as_in(folder)
    if is_there:  # where it is another one, the results are not what is wrong
        _make_handoff(setup, folder)
    replies = [] if results is None else handoff.read_results(setup, [results])
    faults = [] if results is None else handoff.unusable(setup, folder, replies, path=results)
    if results is not None and faults and not leaves_out:
        n, n_sound = len(replies), len(replies) - len(faults)
        raise one_error(results, faults, n_frames=n, n_sound=n_sound, leave_out="--leave-out-faults")
    if not is_there:
        _ = setup.pool
        make_folder(outbox, remedy="Give another --to.")
        _make_handoff(setup, folder)
    if results is not None:
        _say_told(handoff.take(folder, lambda _: replies, adds=True), fault="Left out")


@main.command(epilog=HANDOFF_EPILOG, interrupted="Nothing is handed out twice; run the same command again to go on.")
@FOLDER
@click.option("-n", "n", type=click.IntRange(min=1), default=4, show_default=True, help="Number of structures.")
@click.option(
    "--to", "outbox", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the structures."
)
@click.option("--out", type=PATH, help="Folder of the campaign, where FOLDER is none.  [default: runs/<name>]")
@click.option("--pool", "cells", type=PATH, help="Candidates to choose from, where FOLDER holds results.")
@LEAVE_OUT_FAULTS
@click.option("--again", is_flag=True, help="Hand out again what is still awaited, instead of new structures.")
@click.option("--retry-failed", is_flag=True, help="Hand out what failed before, too, as if it had not been.")
@click.option("--template", type=PATH, help="Folder whose files go into each: INCAR, KPOINTS, a job script.")
@looks
def ask(
    folder: Path,
    n: int,
    outbox: Path,
    out: Path | None,
    cells: Path | None,
    template: Path | None,
    *,
    leave_out_faults: bool,
    again: bool,
    retry_failed: bool,
) -> None:
    """Hand out the next structures of the campaign in FOLDER, for a code that runs elsewhere.

    FOLDER may be a campaign file, or a pool of which some energies are known: its campaign is made in runs/, or in --out. With
    --pool it holds results of calculations, as for `tell`: they are told to the campaign of these candidates, as candidates of
    their own where they are none, and the next ones are chosen. The same command again tells what has come since.
    Each gets a folder with POSCAR, CIF, extended XYZ and a manifest with its id. What is under way is taken into account. At the
    end of the campaign its result is written instead.
    """
    from hullscout.campaign import handoff  # noqa: PLC0415
    from hullscout.cli.campaign_output import print_result  # noqa: PLC0415

    folder = _handed_out_by(folder, out, cells, template=template, outbox=outbox, leaves_out=leave_out_faults)
    asked = handoff.ask(folder, n=n, outbox=outbox, again=again, template=template, retry_failed=retry_failed)
    if asked.result is not None and asked.known is not None:
        save_result(folder, asked.result, asked.known, on_note=say)
        print_result(asked.result, folder)
        return
    for structure in asked.folders:
        say(f"  {structure}")
    say(f"Handed out {len(asked.folders)} structures; {asked.n_awaited} results are awaited.")
    if len(asked.folders) < n:
        say("More can be asked for when some of these are told.")
    say(f"Next: hullscout tell {quote(str(folder))} RESULTS")


@main.command(
    epilog=HANDOFF_EPILOG, interrupted="What was taken so far is kept; run the same command again for the rest."
)
@FOLDER
@click.argument("results", nargs=-1, required=True, type=PATH)
@click.option("--add", "adds", is_flag=True, help="Make candidates of structures that are none, with their energies.")
def tell(folder: Path, results: tuple[Path, ...], *, adds: bool) -> None:
    """Take RESULTS back into the campaign in FOLDER: folders of results, single results, or CSV files.

    Reads vasprun.xml, OUTCAR and whatever ASE reads, told by content, sees whether the calculation converged, finds the id by
    the manifest or the folder's name and sees that it is the same structure. What was never handed out is told by its crystal, as
    it was before it was relaxed where that is known. A CSV has the columns id and energy_ev (or
    energy_ev_per_atom), and failed. A file named FAILED says that a calculation failed, and why. Results may come late, in any
    order and twice.
    """
    from hullscout.campaign import handoff  # noqa: PLC0415

    told = handoff.tell(folder, results, adds=adds)
    _say_told(told, fault="Error")
    say(f"Next: hullscout ask {quote(str(folder))} -n 8 --to outbox/")
    if told.faults:
        sys.exit(2)


def _say_told(told: Told, *, fault: str) -> None:
    """What came of results that were told; what was not taken is said on the other stream, as a `fault`."""
    from hullscout.cli.campaign_output import print_failures  # noqa: PLC0415  loads the scientific packages

    new = f"{told.n_energies} new {'energy' if told.n_energies == 1 else 'energies'}, {len(told.failures)} new failures"
    say(f"{new}, {told.n_known} known already; {told.n_awaited} results are awaited.")
    if told.n_unasked:
        say(
            f"{told.n_unasked} of them were never asked for: they are known from now on, and no calculations of this campaign."
        )
    for sentence in () if told.added is None else told.added.sentences:
        say(sentence)
    print_failures(told.failures)
    for note in told.notes:
        say(f"Note: {note}")
    for sentence in told.faults:
        say(f"{fault}: {sentence}", err=True)


@main.command(
    epilog=ADD_EPILOG, interrupted="It was added as a whole or not at all; `hullscout status` says which. Run it again."
)
@FOLDER
@click.argument("pool", type=PATH)
@click.option("--format", "pool_format", help="Of the pool.  [default: told by what is there]")
@click.option(
    "--energy", metavar="COLUMN", help="Column that holds its energies.  [default: as in the campaign's pool]"
)
@click.option("--energy-unit", metavar="UNIT", help="Their unit: eV, eV/atom, meV, ...  [default: as for a pool]")
@LEAVE_OUT_FAULTS
def add(
    folder: Path,
    pool: Path,
    pool_format: str | None,
    energy: str | None,
    energy_unit: str | None,
    *,
    leave_out_faults: bool,
) -> None:
    """Add the structures of POOL to the campaign in FOLDER, under way or at its end.

    POOL is a file or folder of any format that a campaign reads; it needs no pure elements. Crystals that the campaign has are not
    added again. The campaign then goes on, and what it states covers the pool with them.
    """
    from hullscout import campaign as campaigns  # noqa: PLC0415  loads the scientific packages
    from hullscout.campaign import growth  # noqa: PLC0415

    added = growth.add_file(
        folder, pool, pool_format, column=energy, unit=energy_unit, leaves_out_faults=leave_out_faults
    )
    for sentence in added.sentences:
        say(sentence)
    if added.ids or added.n_known:
        is_handoff = campaigns.Setup.read(folder).config.oracle.kind == "handoff"
        command = (
            f"`hullscout ask {quote(str(folder))}` goes" if is_handoff else "The same `hullscout run` command goes"
        )
        say(f"{command} on with {'them' if added.ids else 'what is known'}.")


@main.command()
@FOLDER
@click.option(
    "--structures",
    type=click.Choice(["relaxed", "start", "given"]),
    default="relaxed",
    show_default=True,
    help="What energies are of, where it is known; what was asked for; or the pool as it was given.",
)
@POOL_FILE
@FORCE
def table(folder: Path, output: Path, structures: str, *, force: bool) -> None:
    """Write what the campaign in FOLDER knows as a pool with energies, which a table campaign can replay.

    Relaxed structures stand beside their energies where they are known; with --structures start, those that were asked for, as the
    campaign saw them; with --structures given, those of the pool before a potential relaxed them, with the energies that it states.
    Columns state both volumes. Ids stay. Candidates without an energy are written without one.
    """
    from hullscout.campaign.exports import Structures, frames_as_given, frames_with_energies  # noqa: PLC0415
    from hullscout.pool import Existing, save_frames  # noqa: PLC0415

    is_given = structures == "given"
    frames = frames_as_given(folder) if is_given else frames_with_energies(folder, Structures(structures))
    save_frames(output, frames, existing=Existing.REPLACE if force else Existing.REFUSE)
    n_known = sum(frame.energy_ev is not None for frame in frames)
    say(f"Wrote {output}: {len(frames)} candidates, {n_known} with their energies.")
    if n_relaxed := sum("relaxed_volume_a3_per_atom" in frame.columns for frame in frames):
        other = (
            "--structures start writes those asked for" if structures == "relaxed" else "energies are of relaxed ones"
        )
        say(f"{n_relaxed} structures were relaxed; written are the {structures} ones: {other}.")


@main.command(interrupted="Nothing was changed; run the same command again.")
@FOLDER
@click.option("-o", "--output", type=PATH, required=True, help="Folder of the new campaign; made.")
def salvage(folder: Path, output: Path) -> None:
    """Make a new campaign of what is sound in the damaged one in FOLDER, and say what was lost.

    FOLDER is left as it is. What has no answer any more is calculated again when the new campaign is run. Where settings or pool
    are lost, the energies are written as a table.
    """
    from hullscout.campaign.salvage import salvage as salvaged  # noqa: PLC0415  loads the scientific packages

    said = salvaged(folder, output)
    for sentence in said.sentences:
        say(sentence)
    if said.is_campaign:
        say(f"Next: hullscout status {quote(str(output))}, then go on with --out {quote(str(output))}")
