"""The command that plans."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from hullscout.cli.shared import OVERRIDES, PATH, main
from hullscout.cli.streams import say
from hullscout.errors import InvalidPlanError

EPILOG = """\b
Examples:
  hullscout plan campaigns/agpd/agpd.toml --core-hours 8:12:3 --price '0.02 EUR'
  hullscout plan campaigns/agpd/agpd.toml --grid stop.failure_probability=0.1,0.05,0.01
  hullscout plan a.toml b.toml --grid select.rule=hull-posterior,threshold --core-hours runs/a --cores 64 --budget 5000h
  hullscout plan new1.toml new2.toml --core-hours 8:12:3 --budget 5000h
  hullscout plan new.toml --like a.toml --like b.toml --like c.toml --core-hours 8:12:3 --price '0.02 EUR'
  hullscout plan a.toml --replicates 100 --set executor.kind=dask --set executor.address=tcp://node:8786
"""


@main.command(epilog=EPILOG, interrupted="Every finished replay is kept; run the same command again to go on.")
@click.argument("campaigns", nargs=-1, required=True, type=PATH)
@click.option(
    "--replicates",
    type=int,
    help="Replays of each setting, one seed each.  [default: until the recommendation is decided; of new alloys by --like: 10]",
)
@click.option("--max-replicates", type=int, help="The most that are played until it is decided.  [default: 300]")
@click.option("--out", type=PATH, help="Output folder; made, or resumed.  [default: plans/<name>]")
@click.option(
    "--grid",
    multiple=True,
    metavar="SECTION.KEY=V1,V2,...",
    help="Values of a setting to compare; may be repeated. A key that a rule does not know is left alone for it.",
)
@OVERRIDES
@click.option("--risk", type=float, default=0.05, show_default=True, help="Wanted risk of a hull beyond the tolerance.")
@click.option(
    "--core-hours",
    multiple=True,
    metavar="MODEL",
    help="What a calculation takes: 'column' (the pool's cost column), ATOMS:HOURS[:EXPONENT] (8:12:3: a cell of 8 atoms takes 12 "
    "core-hours, and time grows with the third power), or measured times, to which such a law is fitted: the output folder of a "
    "live campaign, or a .csv file (atoms, core_hours, kpoints); these may be several.",
)
@click.option("--cores", type=click.IntRange(min=1), help="Of each calculation of such a live campaign.  [default: 1]")
@click.option(
    "--kpoint-spacing", type=float, metavar="1/A", help="Time also grows with the number of k-points of this spacing."
)
@click.option(
    "--budget",
    metavar="N",
    help="Calculations, or core-hours with an h behind (5000h): the chance that they give the right hull (of new alloys: that they "
    "are enough), and how several campaigns share them.",
)
@click.option(
    "--like",
    multiple=True,
    type=PATH,
    metavar="CAMPAIGN",
    help="Replay these campaigns instead, and predict CAMPAIGNS, of which no energy is known, from them; three or more.  [default: "
    "the replays of known alloys that come with Hullscout]",
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
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Replays at a time, in processes here or where [executor] of the campaign files (--set executor.kind=dask) says.  "
    "[default: one per core]",
)
def plan(
    *,
    campaigns: tuple[Path, ...],
    replicates: int | None,
    max_replicates: int | None,
    out: Path | None,
    grid: tuple[str, ...],
    overrides: tuple[str, ...],
    risk: float,
    core_hours: tuple[str, ...],
    cores: int | None,
    kpoint_spacing: float | None,
    price: str | None,
    budget: str | None,
    like: tuple[Path, ...],
    source: str,
    workers: int | None,
) -> None:
    """How much to ask for, and how probably it gives the right hull.

    CAMPAIGNS whose energies are known are replayed until the recommendation is decided: the cheapest setting whose observed risk is
    below the wanted one with confidence. Where none is, stricter failure probabilities are tried; at worst the whole pool is the
    answer. Those of which no energy is known are predicted from known alloys. The output folder holds the answer as plan.html,
    plan.png, plan.csv, plan.tex and plan.json, and plan.db, which keeps every finished replay: run the same command again after an
    interruption, or with more replicates or another grid, and only what is missing is played.
    """
    from hullscout.cli import plan_output as output  # noqa: PLC0415  loads the scientific packages
    from hullscout.figures import plan_files  # noqa: PLC0415
    from hullscout.planning import Budget, Price, Source, answer, read_request  # noqa: PLC0415
    from hullscout.planning import order as orders  # noqa: PLC0415

    if replicates is not None and max_replicates is not None:
        raise InvalidPlanError(
            "--max-replicates bounds a plan that plays until it is decided; --replicates says how many are played. Give one."
        )
    bound = orders.MAX_REPLICATES if max_replicates is None else max_replicates
    counted = (("--replicates", replicates), ("--max-replicates", max_replicates))
    order = orders.PlanOrder(
        n_replicates=replicates,
        max_replicates=bound,
        risk=risk,
        cost_model=orders.cost_model(core_hours, kpoint_spacing=kpoint_spacing, cores=cores),
        price=None if price is None else Price.parse(price),
    )
    given = None if budget is None else Budget.parse(budget)
    orders.check_budget(given, order)
    request = read_request(
        campaigns,
        like=like,
        source=Source(source),
        grid=grid,
        overrides=overrides,
        unused=[option for option, value in counted if value is not None],
    )
    if like and replicates is None:
        order = replace(order, n_replicates=order.n_of_alloys)
    executor = orders.executor_of(request.played, overrides=overrides, n_workers=workers)
    order = replace(order, executor=executor, n_workers=workers)
    folder = out if out is not None else Path("plans") / request.folder_name
    progress = output.PlanProgress()
    with progress.line:
        made = answer(request, folder, order=order, budget=given, progress=progress)
    for sentence in made.sentences:
        say(sentence)
    output.print_answer(made)
    written = plan_files.save_answer(folder, made, on_note=say)
    say(f"Wrote {folder}/{', '.join(written[:-1])} and {written[-1]}.")
