"""What commands share that compute the energies of a pool by a potential, and the command that does nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hullscout.cli.shared import FORCE, FORMATS, OVERRIDES, PATH, POOL_FILE, live_line, main
from hullscout.cli.streams import say
from hullscout.contents import toml_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hullscout.oracle import PriorOrder
    from hullscout.pool import Existing

EPILOG = """\b
Examples:
  hullscout baseline agpt.extxyz.gz --calculator diep -o agpt-diep.extxyz.gz
  hullscout baseline agpt.extxyz.gz --calculator ase.calculators.emt.EMT --column emt -o agpt-emt.extxyz.gz
  hullscout baseline agpt.extxyz.gz --calculator chgnet --relax cell --workers 2 -o agpt-chgnet.extxyz.gz
"""
INTERRUPTED = "What was computed is kept; run the same command again to go on."


def _arguments(_context: click.Context, _option: click.Parameter, text: str | None) -> dict[str, Any]:
    try:
        found: dict[str, Any] = toml_of(f"found = {{{text or ''}}}")["found"]
    except ValueError as error:
        raise click.BadParameter(
            f"expected NAME=VALUE, ... in TOML, for example 'device=\"cpu\"', found {text!r}"
        ) from error
    return found


WORKERS = click.option(
    "--workers", type=click.IntRange(min=1), help="Structures at a time, each worker with a potential of its own."
)


@main.command(epilog=EPILOG, interrupted=INTERRUPTED)
@click.argument("pool", type=PATH)
@click.option("--calculator", metavar="NAME", required=True, help="diep, chgnet, sevenn, or a dotted path.")
@click.option(
    "--arguments", metavar="TOML", callback=_arguments, help="What the calculator is made with: 'a=1, b=\"c\"'."
)
@click.option(
    "--relax",
    type=click.Choice(("none", "volume", "cell")),
    default="none",
    show_default=True,
    help="What is relaxed by it before: nothing, volume and atoms, or cell and atoms.",
)
@click.option("--column", metavar="NAME", help="Column of the energies.  [default: as the calculator]")
@click.option("--format", "pool_format", type=click.Choice(FORMATS), help="Of POOL.  [default: told by what is there]")
@WORKERS
@OVERRIDES
@POOL_FILE
@FORCE
def baseline(
    pool: Path,
    calculator: str,
    arguments: dict[str, Any],
    relax: Any,
    column: str | None,
    pool_format: str | None,
    workers: int | None,
    overrides: tuple[str, ...],
    output: Path,
    *,
    force: bool,
) -> None:
    """Compute the energies of all structures of POOL by a potential, for `[pool] baseline` of a campaign.

    POOL stays as it is; what is written has one more column, and another that says of which potential it is. Structures that the
    potential cannot do are named and stay without. --set executor.kind=dask and the like say where it is computed.
    """
    from hullscout import oracle  # noqa: PLC0415  loads the scientific packages
    from hullscout import pool as pools  # noqa: PLC0415

    order = oracle.PriorOrder(calculator=calculator, arguments=arguments, relax=relax, setting="--calculator")
    existing = pools.Existing.REPLACE if force else pools.Existing.REFUSE
    compute_column(
        pool,
        output,
        order,
        column=column,
        pool_format=pool_format,
        workers=workers,
        overrides=overrides,
        existing=existing,
    )


def potential_order(calculator: str, elements: Iterable[str], *, setting: str) -> PriorOrder:
    """An order of energies of structures of these elements, as given; an error, before any cost, where nothing can come of it."""
    from hullscout.oracle import PriorOrder  # noqa: PLC0415  loads the scientific packages

    order = PriorOrder(calculator=calculator, setting=setting)
    order.refuse_unknown_elements(elements)
    return order


def compute_column(
    pool: Path,
    output: Path,
    order: PriorOrder,
    *,
    existing: Existing,
    column: str | None = None,
    pool_format: str | None = None,
    workers: int | None = None,
    overrides: tuple[str, ...] = (),
) -> None:
    """Compute it with a bar on the terminal, and say what came of it; where nobody names the column, the calculator does."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    from hullscout.campaign.config import executor_of  # noqa: PLC0415
    from hullscout.oracle import add_column  # noqa: PLC0415

    name = column or order.calculator.rpartition(".")[2].lower()
    line = live_line(
        TextColumn(order.calculator, markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    )
    with line:
        task = line.add_task("", total=None)
        found = add_column(
            pool,
            output,
            order,
            executor_of(overrides, n_workers=workers),
            column=name,
            pool_format=pool_format,
            beside=Path.cwd(),
            existing=existing,
            on_progress=lambda done, total: line.update(task, completed=done, total=total),
            on_note=lambda sentence: line.console.print(sentence, soft_wrap=True),
        )
    kept = f", {found.n_kept} of them kept from before" if found.n_kept else ""
    without = (
        f" {len(found.failures)} structures are without: a campaign learns them without it." if found.failures else ""
    )
    say(f"Wrote {output}: {found.n_computed} energies by {order.source}{kept}.{without}")
    if found.missing_pure:
        say(
            f"No structure of pure {' and '.join(found.missing_pure)} has one: a campaign with that end of its axis cannot start "
            f"from this column. The first failure: {next(iter(found.failures.values()))}"
        )
        return
    say(f'In a campaign file: [pool] baseline = "{name}".')
