"""How good plans are: forecasts during a campaign, and predictions for an alloy that took no part.

    S=../shared/data
    hullscout plan campaigns/agpd/agpd.toml campaigns/agpt-unep/agpt-unep.toml $S/agau/AgAu.toml $S/agpd-byu/AgPd-byu.toml \\
        $S/nbmo/NbMo-relax.toml $S/nbmo/NbMo-unrelax.toml $S/pgm-unep/{AuPd,CuPd,MoPt,NiPd,TiPd}.toml --replicates 30 \\
        --grid select.rule=hull-posterior,threshold,greedy --grid stop.failure_probability=0.2,0.1,0.05 --out DIR
    python tests/benchmarks/planning.py forecast DIR
    python tests/benchmarks/planning.py most DIR2    # of a plan with --set stop.failure_probability=0.01: what is said below 5 %
    python tests/benchmarks/planning.py replays DIR
    python tests/benchmarks/planning.py prior DIR --out PRIOR        # some minutes; run again to go on where it was cut off
    python tests/benchmarks/planning.py baseline DIR --out BASELINE
    python tests/benchmarks/planning.py ship DIR3 --write  # what comes with the package; DIR3: a plan of all pools of two elements,
        # campaigns/ and $S but AgPd and AgPt, --replicates 10 --grid stop.failure_probability=0.2,0.1,0.05

All read the replays of the plan in DIR under hull-posterior at 5 %. Pools of the same two elements are one alloy; what is said of
an alloy was learned without it.

`forecast` prints the calibration of the forecast (`CALIBRATION` of `hullscout.planning.forecast`), and how often its 90 % interval
covers the final count, over all rounds and at half of the campaign. The others leave one alloy out: the 90 % interval of the
number of calculations of each pool, predicted from the replays of the others, or from replays on its own pool with energies drawn
from a prior like the others, or with EMT's, where it knows both elements; how many of the pool's replays lie within, and how wide
it is over the true number. `prior` and `baseline` print what stands there as
`EXPERIENCE`.
"""

from __future__ import annotations

import argparse
import json
import re
import sqlite3
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from alloys import smallest
from priors import prior_energies
from selection import CAMPAIGNS, SHARED

from hullscout.campaign import Setup, load_config
from hullscout.planning import Path as ReplayPath
from hullscout.planning import PlannedCampaign, planner, play
from hullscout.planning.core_hours import PowerLaw
from hullscout.planning.forecast import (
    Experience,
    Source,
    calibrate,
    log_odds,
    predict_alloy,
    predict_lookups,
    regressors,
)
from hullscout.planning.order import PlanOrder
from hullscout.planning.planner import SILENT
from hullscout.planning.replay import begun, n_at_start
from hullscout.planning.shipped import FILE
from hullscout.planning.stand_in import learn_all, play_stand_ins
from hullscout.selection import HullPosteriorRule

STATED = 0.05
SHIPPED = (0.2, 0.1, 0.05)
N_SMALLEST = 60
UNEP = ("Ag-Pt (UNEP-v1)", "AuPd", "CuPd", "MoPt", "NiPd", "TiPd")
EMT_ELEMENTS = {"Al", "Ni", "Cu", "Pd", "Ag", "Pt", "Au"}


@dataclass(frozen=True)
class Pool:
    """A pool of the plan, its replays under hull-posterior, and where its campaign file is."""

    name: str
    alloy: frozenset[str]
    size: int
    n_start: int
    paths: tuple[ReplayPath, ...]
    file: Path

    @property
    def taken(self) -> np.ndarray:
        """(r,) calculations of each replay."""
        return np.array([path.end(STATED).n_calculations for path in self.paths])

    @property
    def odds(self) -> np.ndarray:
        """(r,) log-odds of the share of the pool that each replay took."""
        return log_odds(self.taken / self.size)


def read_pools(folder: Path) -> list[Pool]:
    """The pools of the plan in a folder, in its order."""
    files = {
        planned.name: (planned, file) for file in (*CAMPAIGNS, *SHARED) for planned in planner.read_campaigns([file])
    }
    paths: dict[str, list[ReplayPath]] = {}
    with closing(sqlite3.connect(f"file:{folder / 'plan.db'}?mode=ro", uri=True)) as connection:
        for name, text in connection.execute("SELECT campaign, path FROM replays ORDER BY campaign, seed"):
            path = ReplayPath.from_json(text)
            if path.end().stated is not None:
                paths.setdefault(name, []).append(path)
        names = [name for (name,) in connection.execute("SELECT name FROM campaigns ORDER BY rowid")]
        sizes = {entry["campaign"]: entry["n_candidates"] for entry in json.loads((folder / "plan.json").read_text())}
    return [
        Pool(
            name=name,
            alloy=frozenset(files[name][0].origin.config.elements),
            size=sizes[name],
            n_start=n_at_start(Setup(files[name][0].origin).pool, files[name][0].origin.config),
            paths=tuple(paths[name]),
            file=files[name][1],
        )
        for name in names
    ]


@dataclass(frozen=True)
class Round:
    """A round of a replay."""

    pool: str
    alloy: str
    run: int
    n_candidates: int
    n_known: int
    n_foreseen: int
    n_contenders: int
    n_end: int


def rounds_of(pools: list[Pool]) -> list[Round]:
    """Every round in which a stop was foreseen."""
    return [
        Round(
            pool=pool.name,
            alloy="-".join(sorted(pool.alloy)),
            run=run,
            n_candidates=pool.size,
            n_known=n_known,
            n_foreseen=decision.n_lookups_foreseen,
            n_contenders=decision.n_contenders,
            n_end=len(path.order),
        )
        for pool in pools
        for run, path in enumerate(pool.paths)
        for n_known, decision in zip(path.n_known[:-1], path.decisions[:-1], strict=True)
        if decision.n_lookups_foreseen is not None
    ]


def table_of(rounds: list[Round]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Regressors, lookups to the stop, weights (each run counts the same) and which rounds are at half of their run."""
    column = {
        name: np.array([getattr(r, name) for r in rounds], dtype=float)
        for name in Round.__dataclass_fields__
        if name not in {"pool", "alloy"}
    }
    rows = regressors(
        n_foreseen=column["n_foreseen"],
        n_contenders=column["n_contenders"],
        n_to_stay_low=np.array(
            [HullPosteriorRule().calculations_to_stay_low(r.n_candidates, r.n_known) for r in rounds]
        ),
    )
    runs = np.array([f"{r.pool} {r.run}" for r in rounds])
    names, which, counts = np.unique(runs, return_inverse=True, return_counts=True)
    off = np.abs(column["n_known"] / column["n_end"] - 0.5)
    is_half = np.zeros(len(rounds), dtype=bool)
    for number in range(names.size):
        members = np.flatnonzero(which == number)
        is_half[members[np.argmin(off[members])]] = True
    return rows, column["n_end"] - column["n_known"], 1.0 / counts[which], is_half


def print_forecasts(pools: list[Pool]) -> None:
    """The calibration from all pools, and how the one without each alloy does on it."""
    rounds = rounds_of(pools)
    rows, lookups, weights, is_half = table_of(rounds)
    alloys, names = np.array([r.alloy for r in rounds]), np.array([r.pool for r in rounds])
    print(f"{calibrate(rows, lookups, weights=weights, pools=alloys)}\n")
    print("forecast: 90 % interval of the lookups to the stop, calibrated without the alloy")
    print(
        f"{'pool':<18}{'all rounds %':>14}{'at half %':>12}{'of':>5}{'high / low':>12}{'actual / median at half':>25}"
    )
    covered, halves, ratios = [], [], []
    for name in dict.fromkeys(names):
        is_it = names == name
        is_other = alloys != alloys[is_it][0]
        others = calibrate(rows[is_other], lookups[is_other], weights=weights[is_other], pools=alloys[is_other])
        low, middle, high = predict_lookups(rows[is_it], others).T
        actual, half = lookups[is_it], is_half[is_it]
        # Counts are whole: the interval that is shown is rounded.
        is_in = (actual >= np.rint(low)) & (actual <= np.rint(high))
        covered.append(np.average(is_in, weights=weights[is_it]))
        halves.extend(is_in[half])
        ratios.append(np.mean(high / low))
        ratio = np.exp(np.mean(np.log(actual[half] / middle[half])))
        print(
            f"{name:<18}{100 * covered[-1]:>14.1f}{100 * is_in[half].mean():>12.1f}{half.sum():>5}{ratios[-1]:>12.2f}"
            f"{ratio:>25.2f}"
        )
    print(
        f"{'all':<18}{100 * np.mean(covered):>14.1f}{100 * np.mean(halves):>12.1f}{len(halves):>5}{np.mean(ratios):>12.2f}"
    )


def print_most(pools: list[Pool]) -> None:
    """How often a run took no more than what it may take at most, over all rounds, and the share of that which it took."""
    print("forecast below 5 %: rounds in which the run took no more than was said")
    print(f"{'pool':<18}{'all rounds %':>14}{'taken / said at half':>22}")
    for name, rounds in groupby(rounds_of(pools), key=lambda one: one.pool):
        these = list(rounds)
        (rows, lookups, weights, is_half) = table_of(these)
        said = np.exp(rows[:, 1]) - 1.0
        held = np.average(lookups <= np.maximum(np.rint(said), 1.0), weights=weights)
        print(f"{name:<18}{100 * held:>14.1f}{np.mean(lookups[is_half] / said[is_half]):>22.2f}")


def experience_of(pools: list[Pool], guesses: dict[str, float]) -> Experience:
    """How far off guesses were, each alloy once."""
    alloys: dict[frozenset[str], list[Pool]] = {}
    for pool in pools:
        alloys.setdefault(pool.alloy, []).append(pool)
    offsets = [float(np.mean([p.odds.mean() - guesses[p.name] for p in group])) for group in alloys.values()]
    scatter = float(np.sqrt(np.mean([pool.odds.var(ddof=1) for pool in pools])))
    return Experience(offsets=tuple(offsets), scatter=scatter)


def print_left_out(pools: list[Pool], guesses: dict[str, float], *, title: str) -> None:
    """The prediction of each pool from the experience with other alloys."""
    print(title)
    print(
        f"{'pool':<18}{'guess':>7}{'5 %':>7}{'50 %':>7}{'95 %':>7}{'true mean':>11}{'within %':>10}{'width / true':>14}"
    )
    by_alloy: dict[frozenset[str], list[tuple[float, float]]] = {}
    for pool in pools:
        others = [other for other in pools if other.alloy != pool.alloy]
        by_alloy.setdefault(pool.alloy, []).append(print_prediction(pool, others, guesses))
    within, width = np.mean([np.mean(of_alloy, axis=0) for of_alloy in by_alloy.values()], axis=0)
    print(f"{f'mean of {len(by_alloy)} alloys':<18}{'':>39}{100 * within:>10.1f}{width:>14.2f}")


def print_prediction(pool: Pool, others: list[Pool], guesses: dict[str, float]) -> tuple[float, float]:
    """A line; the share of the replays that the interval covers and its width over the true number."""
    made = predict_alloy(experience_of(others, guesses), pool.size, n_start=pool.n_start, guess=guesses[pool.name])
    low, middle, high = made.quantiles((0.05, 0.5, 0.95))
    is_in = float(((pool.taken >= np.rint(low)) & (pool.taken <= np.rint(high))).mean())
    true, guess = pool.taken.mean(), guesses[pool.name]
    shown = "-" if guess == 0 else f"{pool.size / (1 + np.exp(-guess)):.0f}"
    width = (high - low) / true
    print(
        f"{pool.name:<18}{shown:>7}{low:>7.0f}{middle:>7.0f}{high:>7.0f}{true:>11.1f}{100 * is_in:>10.0f}{width:>14.2f}",
        flush=True,
    )
    return is_in, width


def stand_in_shares(
    pools: list[Pool], source: Source, folder: Path, *, order: PlanOrder
) -> tuple[list[Pool], dict[str, np.ndarray]]:
    """The pools that the source serves, and of each the share that replays with energies that stand in took."""
    if source is Source.BASELINE:
        pools = [pool for pool in pools if pool.alloy <= EMT_ELEMENTS]
    planned: dict[str, PlannedCampaign] = {pool.name: planner.read_campaigns([pool.file])[0] for pool in pools}
    scales = {}
    for pool in pools if source is Source.PRIOR else ():
        print(f"{time.strftime('%H:%M:%S')} learning from {pool.name}", file=sys.stderr, flush=True)
        (scales[pool.name],) = learn_all([planned[pool.name]], progress=SILENT)
    shares = {}
    for pool in pools:
        print(f"{time.strftime('%H:%M:%S')} replays on {pool.name}", file=sys.stderr, flush=True)
        (new,) = planner.read_new([pool.file])
        similar: list[PlannedCampaign] = []
        if source is Source.PRIOR:
            similar = [planned[other.name] for other in pools if other.alloy != pool.alloy]
        else:
            vars(new)["pool"] = replace(
                new.pool, baseline_ev_per_atom=prior_energies(new.pool, "emt", new.config.folder_name)
            )
        (taken,) = play_stand_ins(
            [new], similar, folder / new.origin.config.folder_name, scales=[scales[other.name] for other in similar],
            order=order, progress=SILENT,
        )  # fmt: skip
        shares[pool.name] = np.array([len(one) for one in taken]) / pool.size
    return pools, shares


def print_raw(pools: list[Pool], shares: dict[str, np.ndarray]) -> None:
    """How the replays with energies that stand in do as they are."""
    within = []
    for pool in pools:
        low, high = pool.size * np.quantile(shares[pool.name], [0.05, 0.95])
        within.append(((pool.taken >= np.floor(low)) & (pool.taken <= np.ceil(high))).mean())
    print(
        f"the 5 to 95 % of the replays with energies that stand in hold {100 * np.mean(within):.1f} % of the true ones"
    )


def ship(pools: list[Pool], *, n_workers: int | None, is_written: bool) -> None:
    """What replays took, alloy by alloy, on whole pools and on their smallest cells, as it comes with the package."""
    law, alloys = PowerLaw(hours=1.0, reference_atoms=1.0), dict[str, dict[str, Any]]()
    n_replicates = min(len(pool.paths) for pool in pools)
    with ProcessPoolExecutor(n_workers) as executor:
        of_small = {
            pool.name: [executor.submit(play_smallest, pool.file, seed) for seed in range(n_replicates)]
            for pool in pools
        }
        small = {name: [one.result() for one in runs] for name, runs in of_small.items()}
    for pool in pools:
        of_alloy = alloys.setdefault("-".join(sorted(pool.alloy)), {"pools": [], "relative_size": [], "replays": []})
        of_alloy["pools"].append(f"{pool.name}, {pool.size} candidates")
        (planned,) = planner.read_campaigns([pool.file])
        tolerance, hours = planned.origin.config.stop.hull_tolerance, law.of(begun(Setup(planned.origin)))
        ends = [path.end(STATED) for path in pool.paths]
        sizes = [hours[list(p.order[: end.n_calculations])].mean() for p, end in zip(pool.paths, ends, strict=True)]
        of_alloy["relative_size"].append(float(np.mean(sizes) / hours.mean()))
        for size, paths in ((min(N_SMALLEST, pool.size), small[pool.name]), (pool.size, pool.paths)):
            of_size: dict[str, Any] = {"n_candidates": size, "shares": {}, "right": {}}
            for probability in SHIPPED:
                ends = [path.end(probability) for path in paths]
                of_size["shares"][f"{probability:g}"] = [round(end.n_calculations / size, 4) for end in ends]
                right = [end.hull_error_ev_per_atom <= tolerance for end in ends]
                of_size["right"][f"{probability:g}"] = float(np.mean(right))
            of_alloy["replays"].append(of_size)
    for name, one in alloys.items():
        one["relative_size"] = round(float(np.mean(one["relative_size"])), 4)
        shown = [
            f"{of['n_candidates']}: {100 * np.mean(of['shares'][f'{STATED:g}']):.1f} %, right {of['right'][f'{STATED:g}']:g}"
            for of in one["replays"]
        ]
        print(f"{name:<7}{'; '.join(shown)}; size {one['relative_size']}")
    if is_written:
        tree = {
            "made_by": "python tests/benchmarks/planning.py ship DIR --write",
            "failure_probabilities": [f"{probability:g}" for probability in SHIPPED],
            "replicates": n_replicates,
            "alloys": alloys,
        }
        text = json.dumps(tree, indent=1)
        FILE.write_text(re.sub(r"\[[\d.,\s]+\]", lambda found: " ".join(found[0].split()), text) + "\n")


def play_smallest(file: Path, seed: int) -> ReplayPath:
    """A replay on the smallest cells of a pool."""
    return play(smallest(file, N_SMALLEST), load_config(file, seed=seed), seed=seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["forecast", "most", "ship", *Source])
    parser.add_argument("--write", action="store_true", help="of `ship`: keep it in the package")
    parser.add_argument("folder", type=Path, metavar="DIR", help="output folder of `hullscout plan`")
    parser.add_argument("--out", type=Path, help="where replays with energies that stand in are kept")
    parser.add_argument("--replicates", type=int, default=10, help="of them, for each pool")
    parser.add_argument("--workers", type=int, help="processes; one per core if not given")
    arguments = parser.parse_args()
    pools = read_pools(arguments.folder)
    if arguments.what == "forecast":
        print_forecasts(pools)
        return
    if arguments.what == "most":
        print_most(pools)
        return
    if arguments.what == "ship":
        ship(pools, n_workers=arguments.workers, is_written=arguments.write)
        return
    source, guesses = Source(arguments.what), {pool.name: 0.0 for pool in pools}
    if source is not Source.REPLAYS:
        if arguments.out is None:
            parser.error("expected --out, a folder for the replays")
        order = PlanOrder(n_replicates=arguments.replicates, n_workers=arguments.workers)
        pools, shares = stand_in_shares(pools, source, arguments.out, order=order)
        guesses = {name: float(log_odds(share).mean()) for name, share in shares.items()}
        print_raw(pools, shares)
        print(f"{source}: {experience_of(pools, guesses)}\n")
    print_left_out(pools, guesses, title=f"a new alloy, from {source}, without it: calculations, 90 % interval")
    by_name = {pool.name: pool for pool in pools}
    if source is Source.REPLAYS and set(UNEP) <= set(by_name):
        print("\nAg-Pt from the other UNEP-v1 pools only")
        print_prediction(by_name[UNEP[0]], [by_name[name] for name in UNEP[1:]], guesses)


if __name__ == "__main__":
    main()
