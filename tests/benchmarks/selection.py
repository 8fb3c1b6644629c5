"""Replays: what each rule saves on each pool, and whether the hull was right.

    python tests/benchmarks/selection.py --seeds 20                       # the committed campaigns
    python tests/benchmarks/selection.py --seeds 30 --pools all           # and the pools of ../shared/data, where they are

Prints one line per pool and rule: saved fraction (mean, 5 to 95 %), share of runs with the hull within the tolerance (with its
95 % Wilson interval), exact hulls, largest hull error, seconds per run. Every run starts from its own seed; runs are spread
over processes, each with one BLAS thread.
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from hullscout.campaign import runner
from hullscout.campaign.engine import Engine
from hullscout.campaign.standing import Standing
from hullscout.campaign.state import State
from hullscout.selection.surrogate import Surrogate

ROOT = Path(__file__).parents[2]
CAMPAIGNS = sorted((ROOT / "campaigns").glob("*/*.toml"))
SHARED = sorted((ROOT.parent / "shared" / "data").glob("*/*.toml"))


@cache
def opened(path: Path):
    origin = runner.read_origin(path)
    pool, oracle = runner.open_pool(origin)
    return pool, oracle, runner.open_features(origin, pool)


def replay(path: Path, settings: tuple[str, ...], seed: int) -> tuple[float, float, float | None, float]:
    """Saved fraction, hull error in eV/atom, stated failure probability, seconds."""
    config = runner.read_origin(path, settings, seed=seed).config
    pool, oracle, features = opened(path)
    began = time.perf_counter()
    state = State(pool)
    engine = Engine(
        state,
        rule=config.select,
        surrogate=Surrogate(features, x=pool.x, settings=config.regression),
        seed=seed,
        settings=config.stop,
    )
    while ids := engine.ask():
        for candidate_id in ids:
            engine.tell(candidate_id, oracle.lookup(candidate_id))
    seconds = time.perf_counter() - began
    standing = Standing.of(state, name=config.name, reference_ev_per_atom=oracle.energies_ev_per_atom())
    return standing.saved_fraction, standing.hull_error_ev_per_atom, engine.proposal.stated_failure_probability, seconds


def line(path: Path, rule: str, runs: list[tuple], tolerance: float) -> str:
    saved, errors, _, seconds = (np.array(column, dtype=float) for column in zip(*runs, strict=True))
    n_right = int((errors <= tolerance).sum())
    low, high = binomtest(n_right, len(runs)).proportion_ci(method="wilson")
    low_saved, high_saved = np.percentile(saved, [5, 95])
    return (
        f"{path.stem:<14} {rule:<24} saved {100 * saved.mean():5.1f} % ({100 * low_saved:4.1f}-{100 * high_saved:4.1f})   "
        f"right {100 * n_right / len(runs):5.1f} % ({100 * low:3.0f}-{100 * high:3.0f})   "
        f"exact {(errors <= 1e-9).sum():3d}/{len(runs)}   "
        f"largest error {1000 * errors.max():6.2f} meV/atom   {seconds.mean():5.2f} s/run"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument(
        "--pools", default="campaigns", help="campaigns, all, or names of campaign files, comma separated"
    )
    parser.add_argument("--rules", default="threshold", help="comma separated")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--tolerance", type=float, default=0.001, help="eV/atom")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    paths = CAMPAIGNS if arguments.pools == "campaigns" else CAMPAIGNS + SHARED
    if arguments.pools not in ("campaigns", "all"):
        paths = [path for path in paths if path.stem in arguments.pools.split(",")]
    if not SHARED:
        print("../shared/data is missing: only the committed campaigns are run.", file=sys.stderr)
    with ProcessPoolExecutor(arguments.workers) as executor:
        for path in paths:
            for rule in arguments.rules.split(","):
                settings = (f"select.rule={rule}", *arguments.settings)
                futures = [executor.submit(replay, path, settings, seed) for seed in range(arguments.seeds)]
                print(line(path, rule, [future.result() for future in futures], arguments.tolerance), flush=True)


if __name__ == "__main__":
    main()
