"""The numbers of `hullscout.selection.alloys`: fitted to replays of many alloys, and judged by leaving each alloy out.

    python tests/benchmarks/alloys.py --seeds 30            # 24 pools, some ten minutes on two cores
    python tests/benchmarks/alloys.py --seeds 10 --to 0.01  # also what a stated 1 % costs; most of the time goes there
    python tests/benchmarks/alloys.py --seeds 10 --cells 60 # of small pools: the 60 smallest cells of each pool
    python tests/benchmarks/alloys.py --seeds 30 --write    # also keep the judgement that every result.json states
    python tests/benchmarks/alloys.py --seeds 3 --to 0.015 --prior diep  # with energies of a potential, kept by priors.py

A campaign to a small probability passes all larger ones, so each run tells where it would have ended at any. With u the share of
samples below the hull and s the share of plausible compounds that are unknown, a run that ends when u falls below a level is wrong
with the probability

    1 - (1 - expit(a + b logit u)) (1 - rho s).

a, b and rho maximize the likelihood of all runs at a dozen levels, each alloy counted once (pools of one alloy share its weight),
with a weak prior that keeps b near 1 and rho near one alloy in twenty. The second table is the judgement: the constants are fitted
without each alloy, and its runs end where these say. Intervals are those of a bootstrap over alloys, and over the seeds of each.
"Wrong" is the share of runs, "over alloys" the same with each alloy counted once.
"""

from __future__ import annotations

import selection  # isort: skip  # first: it sets the number of threads

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from hullscout.campaign import load_config
from hullscout.hull import pure
from hullscout.planning import ReplayPool, play
from hullscout.selection import alloys

if TYPE_CHECKING:
    from pathlib import Path

JUDGED = selection.ROOT / "hullscout" / "selection" / "judged.json"
LEVELS = np.geomspace(0.5, 0.01, 12)
STATED = (0.2, 0.1, 0.05, 0.02, 0.01)
# Widths of the weak prior: of a and b, and the log-odds of rho.
PRIOR = {"a": (0.0, 1.0), "b": (1.0, 0.2), "rho": (logit(0.05), 1.0)}


@dataclass(frozen=True, kw_only=True)
class Passed:
    """What a run passed: u, s and the number of calculations of each decision with a belief, and whether the hull was wrong."""

    pool: str
    alloy: str
    n_candidates: int
    share: np.ndarray
    unknown: np.ndarray
    n_known: np.ndarray
    is_wrong: np.ndarray
    right_after: float

    def at(self, probability: np.ndarray, accepted: float) -> int:
        """The decision at which it ends; its last where the path is too short."""
        below = np.flatnonzero(probability < accepted)
        return int(below[0]) if below.size else len(probability) - 1

    def probability(self, a: float, b: float, rho: float) -> np.ndarray:
        return 1.0 - (1.0 - expit(a + b * logit(np.clip(self.share, 1e-9, 1 - 1e-9)))) * (1.0 - rho * self.unknown)


@cache
def smallest(path: Path, n_cells: int | None, prior: str = "none") -> ReplayPool:
    """A pool, or its smallest cells, in the order of the pool where these are equal; and the smallest of each pure element."""
    found = selection.opened(path, prior)
    if n_cells is None or n_cells >= len(found.pool):
        return found
    by_size = np.argsort(found.pool.n_atoms, kind="stable")
    ends = [by_size[np.isin(by_size, those)][:1] for those in pure(found.pool.fractions)]
    kept = np.unique(np.concatenate([by_size[:n_cells], *ends]))
    candidates = tuple(found.pool.candidates[index] for index in kept)
    return replace(
        found,
        pool=replace(found.pool, candidates=candidates, cost=None),
        energies_ev=found.energies_ev[kept],
        features={name: block[kept] for name, block in found.features.items()},
    )


def passed(
    path: Path,
    settings: tuple[str, ...],
    seed: int,
    tolerance: float,
    n_cells: int | None = None,
    prior: str = "none",
) -> Passed:
    alloys.CALIBRATION_WITH_PRIOR = (
        alloys.CALIBRATION
    )  # so that u is read off a probability, whatever a round made of the prior
    config = load_config(path, settings, seed=seed)
    found = smallest(path, n_cells, prior)
    played = play(found, config, seed=seed)
    rows = [
        (n, one.failure_probability, one.loner_probability, played.hull_error_after(n) > tolerance)
        for n, one in zip(played.n_known, played.decisions, strict=True)
        if one.loner_probability is not None
    ]
    n, whole, loners, wrong = (np.array(column) for column in zip(*rows, strict=True))
    by_model = 1.0 - (1.0 - whole) / (1.0 - loners)
    return Passed(
        pool=path.stem,
        alloy="-".join(sorted(found.pool.elements)),
        n_candidates=len(found.pool),
        share=np.array([alloys.stated_for(float(one)) for one in np.clip(by_model, 0.0, 1.0)]),
        unknown=loners / alloys.LONER_RATE,
        n_known=n,
        is_wrong=wrong.astype(bool),
        right_after=next((k / len(found.pool) for k, error in played.error_steps if error <= tolerance), np.nan),
    )


def fit(runs: list[Passed]) -> np.ndarray:
    """(3,) a, b, rho."""
    rows, weights = [], []
    of_alloy = {alloy: sum(run.alloy == alloy for run in runs) for alloy in {run.alloy for run in runs}}
    for run in runs:
        for level in LEVELS:
            at = np.flatnonzero(run.share < level)
            if at.size:
                rows.append((run.share[at[0]], run.unknown[at[0]], run.is_wrong[at[0]]))
                weights.append(1.0 / of_alloy[run.alloy] / len(LEVELS))
    share, unknown, wrong = np.array(rows, dtype=float).T
    odds, weight = logit(np.clip(share, 1e-4, 1 - 1e-4)), np.array(weights)

    def loss(theta: np.ndarray) -> float:
        a, b, rho = theta[0], theta[1], expit(theta[2])
        p = np.clip(1.0 - (1.0 - expit(a + b * odds)) * (1.0 - rho * unknown), 1e-9, 1 - 1e-9)
        centres, widths = np.array(list(PRIOR.values())).T
        return float(
            -weight @ np.where(wrong > 0, np.log(p), np.log(1.0 - p)) + 0.5 * np.sum(((theta - centres) / widths) ** 2)
        )

    found = minimize(loss, [PRIOR["a"][0], PRIOR["b"][0], PRIOR["rho"][0]], method="Nelder-Mead").x
    return np.array([found[0], found[1], expit(found[2])])


def interval(runs: list[Passed], values: np.ndarray) -> tuple[float, float]:
    """95 % of the means over alloys, each counted once, when alloys and then seeds are drawn again.

    Where nothing went wrong, draws tell nothing: then up to what n alloys without one exclude, 1 - 0.05^(1/n).
    """
    rng, names = np.random.default_rng(0), np.array([run.pool for run in runs])
    pools = {alloy: sorted({run.pool for run in runs if run.alloy == alloy}) for alloy in {run.alloy for run in runs}}
    chosen = sorted(pools)
    if not values.any():
        return 0.0, 100.0 * (1.0 - 0.05 ** (1.0 / len(chosen)))
    means = []
    for _ in range(2000):
        drawn = [rng.choice(pools[alloy]) for alloy in rng.choice(chosen, len(chosen))]
        means.append(np.mean([rng.choice(values[names == pool], (names == pool).sum()).mean() for pool in drawn]))
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def are_large(runs: list[Passed]) -> np.ndarray:
    """(r,) whether a run's pool is one of more than 130 candidates; all of them where none is."""
    large = np.array([run.n_candidates > 130 for run in runs])
    return large if large.any() else np.ones(len(runs), dtype=bool)


def judge(runs: list[Passed], constants: dict[str, np.ndarray], stated: tuple[float, ...]) -> list[dict[str, object]]:
    """Print what was observed at each stated probability, and return it as `judged.json` holds it."""
    rows: list[dict[str, object]] = []
    large = are_large(runs)
    heads = (
        f"{'saved, %':>10}{'of > 130':>10}{'worst pool of > 130':>24}{'wrong, %':>10}{'over alloys':>12}{'95 %':>14}"
    )
    print(f"\n{'stated':<10}{heads}   pools with wrong hulls (runs)")
    for accepted in stated:
        ends = [run.at(run.probability(*constants[run.alloy]), accepted) for run in runs]
        saved = np.array([100 * (1 - run.n_known[end] / run.n_candidates) for run, end in zip(runs, ends, strict=True)])
        wrong = np.array([100.0 * run.is_wrong[end] for run, end in zip(runs, ends, strict=True)])
        by_pool = {
            pool: np.array([run.pool == pool for run in runs]) for pool in dict.fromkeys(run.pool for run in runs)
        }
        worst, name = min((saved[of].mean(), pool) for pool, of in by_pool.items() if large[of].all())
        of_alloys = {run.alloy: np.array([other.alloy == run.alloy for other in runs]) for run in runs}
        over_alloys = np.mean([wrong[of].mean() for of in of_alloys.values()])
        low, high = interval(runs, wrong)
        n_wrong = {pool: int((wrong[of] > 0).sum()) for pool, of in by_pool.items() if wrong[of].any()}
        failed = ", ".join(f"{pool} {n}" for pool, n in n_wrong.items())
        rows.append(
            {
                "stated": accepted,
                "runs": len(runs),
                "observed_over_alloys": round(over_alloys / 100, 4),
                "interval_95": [round(low / 100, 4), round(high / 100, 4)],
                "observed_over_runs": round(wrong.mean() / 100, 4),
                "saved_fraction": round(saved.mean() / 100, 4),
                "wrong_runs_by_pool": n_wrong,
            }
        )
        print(
            f"{100 * accepted:<10g}{saved.mean():>10.1f}{saved[large].mean():>10.1f}{f'{name} {worst:.1f}':>24}"
            f"{wrong.mean():>10.1f}{over_alloys:>12.1f}{f'{low:.1f}-{high:.1f}':>14}   {failed}",
            flush=True,
        )
    return rows


def print_pools(runs: list[Passed], constants: dict[str, np.ndarray], stated: tuple[float, ...]) -> None:
    """Saved % (5 to 95 % of the runs) at a stated 5 %, wrong runs at each stated probability, and when the hull was right."""
    print(
        f"\n{'pool':<14}{'candidates':>10}{'saved at 5 %':>20}{'right after, %':>16}   "
        + "".join(f"wrong at {100 * p:g} %  " for p in stated)
    )
    for pool in dict.fromkeys(run.pool for run in runs):
        chosen = [run for run in runs if run.pool == pool]
        wrong = [sum(run.is_wrong[run.at(run.probability(*constants[run.alloy]), p)] for run in chosen) for p in stated]
        ends = [run.n_known[run.at(run.probability(*constants[run.alloy]), 0.05)] / run.n_candidates for run in chosen]
        low, middle, high = 100 - 100 * np.array([np.percentile(ends, 95), np.mean(ends), np.percentile(ends, 5)])
        after = np.array([run.right_after for run in chosen])
        right = f"{100 * np.nanmean(after):.1f}" if not np.isnan(after).all() else "-"
        cells = "".join(f"{f'{n} of {len(chosen)}':>13}" for n in wrong)
        print(
            f"{pool:<14}{chosen[0].n_candidates:>10}{f'{middle:.1f} ({low:.1f}-{high:.1f})':>20}{right:>16}{cells}",
            flush=True,
        )


def write(rows: list[dict[str, Any]], *, alloys: list[str], n_pools: int, tolerance: float) -> None:
    """Keep the judgement; at each stated probability that of more runs stays. Remove the file where the rule has changed since."""
    before = json.loads(JUDGED.read_text())["observed"] if JUDGED.exists() else []
    kept = {row["stated"]: row for row in sorted([*before, *rows], key=lambda row: row["runs"])}
    tree = {
        "command": "python tests/benchmarks/alloys.py",
        "hull_tolerance_ev_per_atom": tolerance,
        "alloys": alloys,
        "n_pools": n_pools,
        "observed": sorted(kept.values(), key=lambda row: -row["stated"]),
    }
    JUDGED.write_text(json.dumps(tree, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=30, help="runs of each pool")
    parser.add_argument("--to", type=float, default=0.04, help="stated probability to which runs go")
    parser.add_argument("--cells", type=int, help="only so many of the smallest cells of each pool")
    parser.add_argument("--tolerance", type=float, default=0.001, help="eV/atom")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--prior", default="none", help="a potential (see `hullscout baseline`)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", action="store_true", help=f"keep the judgement in {JUDGED.name}")
    arguments = parser.parse_args()
    if arguments.write and (arguments.cells is not None or arguments.prior != "none"):
        parser.error("--write keeps the judgement of whole pools without a prior: leave --cells and --prior out.")
    lines = {"without a prior": alloys.CALIBRATION}
    if arguments.prior != "none":
        lines["with a prior"] = alloys.CALIBRATION_WITH_PRIOR
    paths = selection.CAMPAIGNS + selection.SHARED
    settings = (f"stop.failure_probability={arguments.to}", *arguments.settings)
    with ProcessPoolExecutor(arguments.workers) as executor:
        jobs = [(path, seed) for path in paths for seed in range(arguments.seeds)]
        waiting = [
            executor.submit(passed, path, settings, seed, arguments.tolerance, arguments.cells, arguments.prior)
            for path, seed in jobs
        ]
        runs = [one.result() for one in waiting]
    everything = fit(runs)
    without = {alloy: fit([run for run in runs if run.alloy != alloy]) for alloy in sorted({run.alloy for run in runs})}
    print(f"\n{'without':<10}{'a':>8}{'b':>8}{'rho':>8}")
    for name, constants in [("nothing", everything), *without.items()]:
        print(f"{name:<10}" + "".join(f"{one:>8.3f}" for one in constants))
    after, is_large = 100 * np.array([run.right_after for run in runs]), are_large(runs)
    means = f"{np.nanmean(after):.1f} % of the pool ({np.nanmean(after[is_large]):.1f} % of those > 130)"
    print(f"\nright after {means}; never in {np.isnan(after).sum()} of {len(runs)} runs")
    stated = tuple(one for one in STATED if one >= arguments.to)
    print("\nEach alloy with the constants that are fitted without it:")
    rows = judge(runs, without, stated)
    if arguments.write:
        write(rows, alloys=sorted(without), n_pools=len(paths), tolerance=arguments.tolerance)
    print_pools(runs, without, stated)
    for name, line in lines.items():
        print(f"\nThe constants in use of campaigns {name}:")
        judge(runs, dict.fromkeys(without, np.array([*line, alloys.LONER_RATE])), stated)


if __name__ == "__main__":
    main()
