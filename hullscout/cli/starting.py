"""The commands that a new user begins with: an example, and a campaign from two symbols."""

from __future__ import annotations

import shlex
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from hullscout.cli.pools import of_lattices, print_made
from hullscout.cli.shared import LEAVE_OUT_FAULTS, PATH, main, working_line
from hullscout.cli.streams import say
from hullscout.examples import EXAMPLES, write_example

if TYPE_CHECKING:
    from pathlib import Path

NEW_EPILOG = """\b
Examples:
  hullscout new Cu Au --lattice fcc --max-atoms 4 --calculator emt
  hullscout run cu-au.toml
  hullscout new Ni Al --pool cells.extxyz --calculator handoff
"""
EXAMPLE_EPILOG = "\b\nExamples:\n" + "\n".join(f"  {name:<8} {example.shows}" for name, example in EXAMPLES.items())
# They stand in the campaign's room, too; but importing it takes a second, for which the help does not wait.
CALCULATORS = ("emt", "gpaw", "diep", "handoff")


@main.command(epilog=EXAMPLE_EPILOG, interrupted="Run it again.")
@click.argument("name", type=click.Choice(list(EXAMPLES)), default="agpd", metavar="[NAME]")
@click.option("--to", "folder", type=PATH, help="Folder for its files; made.  [default: NAME]")
def example(name: str, folder: Path | None) -> None:
    """Write a campaign that is ready to run: NAME is agpd (if not given), cuau, alli or cuagau."""
    from pathlib import Path  # noqa: PLC0415

    file = write_example(name, Path(name) if folder is None else folder)
    say(f"Wrote {file.parent}: {EXAMPLES[name].shows}.")
    say(f"Next: hullscout run {shlex.quote(str(file))}")


@main.command(epilog=NEW_EPILOG, interrupted="What was written is whole; run it again.")
@click.argument("elements", nargs=-1, required=True)
@of_lattices
@click.option(
    "--calculator",
    type=click.Choice(CALCULATORS),
    default="handoff",
    show_default=True,
    help="How energies come about.",
)
@click.option("--pool", type=PATH, help="Candidates that are there, instead of making them.")
@LEAVE_OUT_FAULTS
@click.option("--name", help="Of the campaign.  [default: its elements]")
@click.option("--to", "folder", type=PATH, help="Folder for its files; made.  [default: the current one]")
def new(
    elements: tuple[str, ...],
    lattices: tuple[str, ...] | None,
    max_atoms: int | None,
    calculator: str,
    pool: Path | None,
    name: str | None,
    folder: Path | None,
    *,
    leave_out_faults: bool,
) -> None:
    """Make a campaign of two to five ELEMENTS: a pool of cells and a campaign file with comments.

    Every symmetry-distinct cell of the lattices up to a size, as `enumerate` makes them, which knows more. Energies come by ASE's
    EMT (to try), by GPAW, or by files for any code that runs elsewhere. Nothing that is there is replaced.
    """
    import os  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    if pool is not None and (lattices or max_atoms is not None):
        raise click.UsageError("--pool gives the candidates, and --lattice and --max-atoms make them. Leave some out.")
    if leave_out_faults and pool is None:
        raise click.UsageError("--leave-out-faults is for a --pool that is there. Leave it out.")
    from hullscout import pool as pools  # noqa: PLC0415  loads the scientific packages
    from hullscout.campaign.config import check_new_config  # noqa: PLC0415
    from hullscout.campaign.template import STARTERS, starting_text  # noqa: PLC0415
    from hullscout.errors import OutputError  # noqa: PLC0415
    from hullscout.writing import make_folder, write_whole  # noqa: PLC0415

    place, stem = Path() if folder is None else folder, "-".join(elements).lower()
    file, cells = place / f"{stem}.toml", place / f"{stem}.extxyz.gz"
    words = [*elements, *_stated(lattices, max_atoms, pool, name), "--calculator", calculator]
    words += ["--leave-out-faults"] if leave_out_faults else []
    made_by, starter = shlex.join(["hullscout", "new", *words]), STARTERS[calculator]
    where = cells.name if pool is None else os.path.relpath(pool, place)
    text = starting_text(
        elements, pool=where, starter=calculator, name=name, made_by=made_by, leaves_out_faults=leave_out_faults
    )
    check_new_config(text, source=f"`{made_by}`")
    for there in (file, cells) if pool is None else (file,):
        if there.exists():
            raise OutputError(f"{there} is there already and was not changed. Give another --to.")
    if pool is None:
        settings = pools.EnumerationSettings(
            elements=elements,
            lattices=tuple(pools.ParentLattice(each) for each in lattices or ("fcc", "bcc", "hcp")),
            max_atoms=6 if max_atoms is None else max_atoms,
        )
        with working_line("starting") as update:
            made = pools.make_pool(settings, on_progress=update)
        make_folder(place, remedy="Give another --to.")
        pools.save_frames(cells, made.frames)
        print_made(made, cells)
    else:
        _refuse_without(elements, pool)
        make_folder(place, remedy="Give another --to.")
    write_whole(file, text, remedy="Give another --to.")
    say(f"Wrote {file}.")
    if starter.package and find_spec(starter.package) is None:
        extra = f"pip install 'hullscout[{calculator}]'"
        say(f"The package {starter.package} is not installed here, and the campaign needs it: {extra}.", err=True)
    say(f"Next: {starter.next.format(file=shlex.quote(str(file)))}")


def _refuse_without(elements: tuple[str, ...], pool: Path) -> None:
    """Refuse a pool that is not there, cannot be read, or in which one of the elements does not occur at all."""
    from ase.data import atomic_numbers  # noqa: PLC0415  loads the scientific packages

    from hullscout.errors import InvalidPoolError  # noqa: PLC0415
    from hullscout.pool import read_pool  # noqa: PLC0415

    if not pool.exists():
        raise InvalidPoolError(f"There is no {pool}. Give a file or folder of candidates.")
    held = {number for frame in read_pool(pool).frames for number in frame.numbers.tolist()}
    if absent := [symbol for symbol in elements if atomic_numbers[symbol] not in held]:
        raise InvalidPoolError(
            f"{pool}: expected structures of {', '.join(elements)}, found none that holds {' or '.join(absent)}. Give the elements "
            "of the pool, or another --pool."
        )


def _stated(lattices: tuple[str, ...] | None, max_atoms: int | None, pool: Path | None, name: str | None) -> list[str]:
    """The options that were given and say what is made, as words of a command."""
    said = {"--lattice": ",".join(lattices or ()), "--max-atoms": max_atoms, "--pool": pool, "--name": name}
    return [word for option, value in said.items() if value not in {"", None} for word in (option, str(value))]
