"""The command that plans."""

from __future__ import annotations

from pathlib import Path

import click

from hullscout.cli.shared import OVERRIDES, PATH, main
from hullscout.cli.streams import say

EPILOG = """\b
Examples:
  hullscout plan campaigns/agpd/agpd.toml --replicates 100 --grid stop.failure_probability=0.1,0.05,0.01
  hullscout plan a.toml b.toml --grid select.rule=hull-posterior,threshold --core-hours runs/a --cores 64 --budget 5000h
  hullscout plan new.toml --like a.toml --like b.toml --like c.toml --core-hours 8:12:3 --price '0.02 EUR'
  hullscout plan a.toml --replicates 100 --set executor.kind=dask --set executor.address=tcp://node:8786
"""


@main.command(epilog=EPILOG, interrupted="Every finished replay is kept; run the same command again to go on.")
@click.argument("campaigns", nargs=-1, required=True, type=PATH)
@click.option("--replicates", type=int, default=30, show_default=True, help="Replays of each setting, one seed each.")
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
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Replays at a time, in processes here or where [executor] of the campaign files (--set executor.kind=dask) says.  "
    "[default: one per core]",
)
def plan(
    *,
    campaigns: tuple[Path, ...],
    replicates: int,
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
    """Replay CAMPAIGNS whose energies are known: what each setting saves, and at what risk.

    The output folder holds plan.json, plan.png and plan.db, which keeps every finished replay: run the same command again after an
    interruption, or with more replicates or another grid, and only what is missing is played. The recommendation is the cheapest
    setting whose observed risk is below the wanted one with confidence.
    """
    from hullscout.cli import plan_output as output  # noqa: PLC0415  loads the scientific packages
    from hullscout.figures.trade_off import save_trade_off  # noqa: PLC0415
    from hullscout.planning import Budget, Prediction, Price, Source, planner, simulate_new  # noqa: PLC0415
    from hullscout.planning import order as orders  # noqa: PLC0415
    from hullscout.planning.store import DATABASE  # noqa: PLC0415

    origin = Source(source)
    is_new, is_replayed = bool(like) or origin is Source.BASELINE, origin is Source.REPLAYS
    chosen = planner.read_campaigns(like if is_new else campaigns, grid=grid, overrides=overrides)
    new = planner.read_new(campaigns, overrides) if is_new else ()
    executor = orders.executor_of(chosen if is_replayed else new, overrides=overrides, n_workers=workers)
    order = orders.PlanOrder(
        n_replicates=replicates,
        risk=risk,
        executor=executor,
        n_workers=workers,
        cost_model=orders.cost_model(core_hours, kpoint_spacing=kpoint_spacing, cores=cores),
        price=None if price is None else Price.parse(price),
    )
    given = None if budget is None else Budget.parse(budget)
    orders.check_budget(given, order)
    folder = out if out is not None else Path("plans") / planner.folder_name(new or chosen)
    if is_new or not is_replayed:
        orders.check_source(origin, new=new, similar=chosen if like else (), unused=["--grid"] if grid else [])
    progress, written = output.PlanProgress(), [DATABASE]
    predictions: tuple[Prediction, ...] = ()
    with progress.line:
        if is_replayed:
            made = planner.make_plan(chosen, folder, order=order, progress=progress)
        else:
            predictions = simulate_new(new, chosen, folder, source=origin, order=order, progress=progress)
    if is_replayed:
        written += [planner.PLAN, planner.FIGURE]
        output.print_outcomes(made.outcomes, cost_model=order.cost_model)
        if given is not None and not new:
            spendings = planner.fixed_budget(made, given, order=order)
            shares = planner.split_budget(made, spendings, given)
            planner.save_budget(folder, given, made, spendings, shares)
            written.append(planner.BUDGET)
            output.print_budget(given, made.outcomes, spendings, shares, risk=risk)
        save_trade_off(folder / planner.FIGURE, made.outcomes, risk=risk)
        for recommendation in planner.recommendations(made.outcomes, risk=risk):
            say(recommendation.sentence)
        predictions = planner.predict_new(made, new, order=order) if new else ()
    if new:
        planner.save_predictions(folder, predictions)
        written.append(planner.PREDICTION)
        output.print_predictions(predictions, source=origin, n_similar=len(chosen), order=order, budget=given)
    say(f"Wrote {folder}/{', '.join(written[:-1])} and {written[-1]}.")
