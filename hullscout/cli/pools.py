"""Commands that make a pool and look it over."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hullscout.cli.shared import reports_errors

ENUMERATE_EPILOG = """\b
Examples:
  hullscout enumerate Ag Pt -o agpt.extxyz.gz
  hullscout enumerate Ag Pt --lattice fcc --max-atoms 8 --prototypes -o agpt.extxyz.gz
  hullscout enumerate Ag Pt --volume Ag=17.8 --volume Pt=15.6 -o agpt.extxyz.gz
"""
PROTOTYPE_ATOMS = 16
CHECK_EPILOG = """\b
Examples:
  hullscout check agpt.extxyz.gz
  hullscout check agpt.extxyz.gz --elements Pt,Ag --all --write cleaned.extxyz.gz
"""


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
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="Pool file, .extxyz or .extxyz.gz."
)
@click.option("--force", is_flag=True, help="Replace the file if there is one.")
@reports_errors("Nothing was written.")
def enumerate_(
    first: str,
    second: str,
    lattices: tuple[str, ...],
    max_atoms: int,
    prototypes: bool,  # noqa: FBT001  click passes flags by name
    prototype_atoms: int | None,
    volumes: dict[str, float],
    output: Path,
    force: bool,  # noqa: FBT001
) -> None:
    """Make a pool of the elements FIRST and SECOND, without energies.

    Every symmetry-distinct cell of the parent lattices up to a size, and on request the binary prototypes of the AFLOW library
    that are not among them. The same command gives the same file.
    """
    if prototype_atoms is not None and not prototypes:
        raise click.UsageError("--prototype-atoms says nothing without --prototypes; give both.")
    from hullscout.pool import (  # noqa: PLC0415  loads the scientific packages
        EnumerationSettings,
        Existing,
        ParentLattice,
        check_target,
        make_pool,
        save_frames,
    )
    from hullscout.terminal.pools import Working, print_made  # noqa: PLC0415

    most_atoms = PROTOTYPE_ATOMS if prototype_atoms is None else prototype_atoms
    recipe = EnumerationSettings(
        elements=(first, second),
        lattices=tuple(ParentLattice(name) for name in lattices),
        max_atoms=max_atoms,
        prototype_atoms=most_atoms if prototypes else None,
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


@click.command(epilog=CHECK_EPILOG)
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
@reports_errors("Nothing was written.")
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
    from hullscout.pool import (  # noqa: PLC0415
        Existing,
        Suspects,
        check_target,
        clean,
        inspect_frames,
        most_frequent_elements,
        read_pool,
        save_frames,
    )
    from hullscout.terminal.pools import N_SHOWN, Working, print_cleaned, print_inspection  # noqa: PLC0415

    existing = Existing.REPLACE if force else Existing.REFUSE
    if write is not None:
        check_target(write, existing, source=pool)
    with Working() as working:
        working.update(f"reading {pool}")
        frames = read_pool(pool, pool_format)
        found = inspect_frames(frames, elements or most_frequent_elements(frames), on_progress=working.update)
    suspects = Suspects.LEAVE_OUT if without_suspects else Suspects.KEEP
    print_inspection(found, pool, suspects=suspects, n_shown=None if show_all else N_SHOWN)
    if write is not None:
        left = clean(frames.frames, found, suspects=suspects)
        save_frames(write, left, existing=existing)
        print_cleaned(len(left), found.n_frames, write)
    sys.exit(0 if found.is_clean else 1)
