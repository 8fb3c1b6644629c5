"""Replays: what each rule saves on each pool, whether the hull was right, and whether its stated risk is the observed one.

    python tests/benchmarks/selection.py --seeds 20                       # the committed campaigns
    python tests/benchmarks/selection.py --seeds 30 --pools all           # and the pools of ../shared/data, where they are
    python tests/benchmarks/selection.py --rules threshold,hull-threshold,greedy,variance
    python tests/benchmarks/selection.py --pools all --seeds 10 --ablate  # what each ingredient of hull-posterior buys
    python tests/benchmarks/selection.py --set select.batch=8             # any setting
    python tests/benchmarks/selection.py --prior none,emt                 # without and with ASE's EMT as a cheaper method
    python tests/benchmarks/selection.py --prior none,diep,noise --pools all --calibrate

Prints one line per pool and rule: saved fraction (mean, 5 to 95 %), share of runs with the hull within the tolerance (with its 95 %
Wilson interval), exact hulls, largest hull error, share of the pool after which the hull was right (which only a replay can know),
seconds per run and milliseconds per round. For rules that state a probability, then a table of stated `failure_probability` against
the observed rate: which candidates are looked up does not depend on it, so one run to the smallest tells where each larger one
would have stopped. Every run starts from its own seed; runs are spread over processes, each with one BLAS thread. Of several priors
a last table says what each saves; their energies are computed once and kept by `priors.py`.
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from priors import has_ends, prior_energies
from scipy.stats import binomtest

from hullscout.campaign import Setup, load_config, read_origin
from hullscout.planning import ReplayPool, play

if TYPE_CHECKING:
    from hullscout.planning import Path as Replayed

ROOT = Path(__file__).parents[2]
TABLES = [path for path in sorted((ROOT / "campaigns").glob("*/*.toml")) if 'kind = "table"' in path.read_text()]
# Of three elements, by name only: the constants of `alloys` are those of two.
TERNARY = [path for path in TABLES if path.stem == "cuagau"]
CAMPAIGNS = [path for path in TABLES if path not in TERNARY]
# All three are committed campaigns under another name.
LEFT_OUT = ("AgPd", "AgPt", "CuAgAu")
SHARED = [path for path in sorted((ROOT.parent / "shared" / "data").glob("*/*.toml")) if path.stem not in LEFT_OUT]
STATED = (0.2, 0.1, 0.05, 0.01)
# Of hull-posterior: its ingredients left out, and what earlier versions did.
VARIANTS = {
    "as it is": (),
    "no volume": ("representation.volume=false",),
    "12 to start": ("select.n_start=12",),
    "no calibration": ("regression.calibrated=false",),
    "no energy cap": ("select.energy_cap=1000",),
    "batches of 4": ("select.batch=4",),
    "4 degrees": ("select.degrees_of_freedom=4",),
    "steady 0.03": ("select.steady=0.03",),
}


@dataclass(frozen=True)
class Run:
    """A replay to its end, and the seconds that it took."""

    path: Replayed
    n_candidates: int
    seconds: float

    def saved(self, probability: float | None) -> float:
        return 1 - self.path.end(probability).n_calculations / self.n_candidates

    def error(self, probability: float | None) -> float:
        return self.path.end(probability).hull_error_ev_per_atom

    def right_after(self, tolerance: float) -> float:
        """Share of the pool after which the hull was within the tolerance; NaN if it never was."""
        return next((n / self.n_candidates for n, error in self.path.error_steps if error <= tolerance), np.nan)


@cache
def opened(path: Path, prior: str, representation: tuple[str, ...] = ()) -> ReplayPool:
    """The pool with the energies of the priors, joined by `+`; one that has none of an end is left out."""
    found = ReplayPool.of(Setup(read_origin(path, representation)))
    names = [name for name in prior.split("+") if name != "none"]
    columns = [
        energies for name in names if has_ends(found.pool, energies := prior_energies(found.pool, name, path.stem))
    ]
    return (
        replace(found, pool=replace(found.pool, baseline_ev_per_atom=np.stack(columns, axis=1))) if columns else found
    )


def replay(path: Path, settings: tuple[str, ...], seed: int, prior: str) -> Run:
    config = load_config(path, settings, seed=seed)
    found = opened(path, prior, tuple(one for one in settings if one.startswith("representation.")))
    began = time.perf_counter()
    played = play(found, config, seed=seed)
    return Run(path=played, n_candidates=len(found.pool), seconds=time.perf_counter() - began)


def line(name: str, rule: str, runs: list[Run], probability: float | None, tolerance: float) -> str:
    saved = 100 * np.array([run.saved(probability) for run in runs])
    errors = np.array([run.error(probability) for run in runs])
    n_right = int((errors <= tolerance).sum())
    low, high = binomtest(n_right, len(runs)).proportion_ci(method="wilson")
    low_saved, high_saved = np.percentile(saved, [5, 95])
    return (
        f"{name:<14} {rule:<16} saved {saved.mean():5.1f} % ({low_saved:4.1f}-{high_saved:4.1f})   "
        f"right {100 * n_right / len(runs):5.1f} % ({100 * low:3.0f}-{100 * high:3.0f})   "
        f"exact {(errors <= 1e-9).sum():3d}/{len(runs)}   "
        f"largest error {1000 * errors.max():6.2f} meV/atom   right after {right_after(runs, tolerance)}   "
        f"{np.mean([run.seconds for run in runs]):5.2f} s/run, "
        f"{1000 * np.sum([run.seconds for run in runs]) / np.sum([len(run.path.decisions) for run in runs]):5.1f} ms/round"
    )


def right_after(runs: list[Run], tolerance: float) -> str:
    after = np.array([run.right_after(tolerance) for run in runs])
    return f"{100 * after[~np.isnan(after)].mean():4.1f} %" if not np.isnan(after).all() else "   - %"


def print_ablation(executor: ProcessPoolExecutor, paths: list[Path], arguments: argparse.Namespace) -> None:
    """One line per variant: saved % and number of right runs, over all pools and for each."""
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    print(f"saved % / right runs of {arguments.seeds}, at a stated {100 * arguments.stated:g} %")
    print(f"{'variant':<14}{'all pools':>16}" + "".join(f"{path.stem:>16}" for path in paths), flush=True)
    for name, left_out in VARIANTS.items():
        settings = (f"stop.failure_probability={arguments.stated}", *left_out, *arguments.settings)
        futures = [[executor.submit(replay, path, settings, seed, arguments.prior) for seed in seeds] for path in paths]
        ends = [
            [(run.saved(arguments.stated), run.error(arguments.stated)) for run in (future.result() for future in row)]
            for row in futures
        ]
        saved, errors = np.moveaxis(np.array(ends), 2, 0)
        right = (errors <= arguments.tolerance).sum(axis=1)
        cells = [
            f"{100 * s:.1f} /{n:3d}"
            for s, n in zip((saved.mean(), *saved.mean(axis=1)), (right.sum(), *right), strict=True)
        ]
        print(f"{name:<14}" + "".join(f"{cell:>16}" for cell in cells), flush=True)


def print_priors(runs: dict[str, dict[str, list[Run]]], stated: float, tolerance: float) -> None:
    """Per pool, saved %, wrong runs and the share of the pool after which the hull was right, for each prior."""
    print(f"\nsaved % / wrong runs / right after %, at a stated {100 * stated:g} %")
    print(f"{'pool':<14}" + "".join(f"{prior:>22}" for prior in runs))
    first = next(iter(runs.values()))
    left = {prior: [] for prior in runs}
    for name in first:
        cells = []
        for prior, of_prior in runs.items():
            chosen = of_prior[name]
            saved = 100 * np.mean([run.saved(stated) for run in chosen])
            wrong = sum(run.error(stated) > tolerance for run in chosen)
            left[prior].append(100 - saved)
            cells.append(f"{saved:.1f} /{wrong:3d} /{right_after(chosen, tolerance).removesuffix(' %')}")
        print(f"{name:<14}" + "".join(f"{cell:>22}" for cell in cells))
    base = np.array(next(iter(left.values())))
    for prior, calculated in left.items():
        fewer = 100 * (1 - np.array(calculated) / base)
        print(
            f"{prior:<14} saves {100 - np.mean(calculated):.1f} % on average, {fewer.mean():.1f} % fewer calculations than "
            f"{next(iter(left))}; least {(base - calculated).min():+.1f} points on a pool"
        )


def print_calibration(runs: dict[str, list[Run]], tolerance: float, smallest: float) -> None:
    stated = [p for p in STATED if p >= smallest]
    print("\nstated failure probability against the observed rate, % (saved %)")
    print(f"{'pool':<14}" + "".join(f"{100 * p:>16g}" for p in stated))
    everything = [run for of_pool in runs.values() for run in of_pool]
    for name, chosen in [*runs.items(), ("all pools", everything)]:
        cells = []
        for p in stated:
            wrong = np.mean([run.error(p) > tolerance for run in chosen])
            cells.append(f"{100 * wrong:7.1f} ({100 * np.mean([run.saved(p) for run in chosen]):5.1f})")
        print(f"{name:<14}" + "".join(f"{cell:>16}" for cell in cells), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="runs of each pool")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument(
        "--pools", default="campaigns", help="campaigns, all, or names of campaign files, comma separated"
    )
    parser.add_argument("--rules", default="hull-posterior", help="comma separated")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--stated", type=float, default=0.05, help="failure probability of the lines, from 0.01 on")
    parser.add_argument("--calibrate", action="store_true", help="run on to the smallest and print the table")
    parser.add_argument(
        "--smallest", type=float, default=min(STATED), help="stated probability that the table ends with"
    )
    parser.add_argument(
        "--ablate", action="store_true", help="leave out one ingredient of hull-posterior after the other"
    )
    parser.add_argument(
        "--prior", default="none", help="none, emt, noise, a potential (see `hullscout baseline`), a+b; comma separated"
    )
    parser.add_argument("--tolerance", type=float, default=0.001, help="eV/atom")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    paths = CAMPAIGNS if arguments.pools == "campaigns" else CAMPAIGNS + SHARED
    if arguments.pools not in ("campaigns", "all"):
        paths = [path for path in paths + TERNARY if path.stem in arguments.pools.split(",")]
    if not SHARED:
        print("../shared/data is missing: only the committed campaigns are run.", file=sys.stderr)
    smallest = min(arguments.smallest, arguments.stated) if arguments.calibrate else arguments.stated
    with ProcessPoolExecutor(arguments.workers) as executor:
        if arguments.ablate:
            print_ablation(executor, paths, arguments)
            return
        seeds = range(arguments.first, arguments.first + arguments.seeds)
        of_priors: dict[str, dict[str, list[Run]]] = {}
        for prior, rule in product(arguments.prior.split(","), arguments.rules.split(",")):
            settings = (f"select.rule={rule}", f"stop.failure_probability={smallest}", *arguments.settings)
            runs = of_priors[prior if rule == arguments.rules else f"{prior} {rule}"] = {}
            for path in paths:
                futures = [executor.submit(replay, path, settings, seed, prior) for seed in seeds]
                runs[path.stem] = [future.result() for future in futures]
                is_stated = runs[path.stem][0].path.end().stated is not None
                probability = arguments.stated if is_stated else None
                name = rule if prior == "none" else f"{rule} {prior}"
                print(line(path.stem, name, runs[path.stem], probability, arguments.tolerance), flush=True)
            if arguments.calibrate and is_stated:
                print_calibration(runs, arguments.tolerance, smallest)
        if len(of_priors) > 1:
            print_priors(of_priors, arguments.stated, arguments.tolerance)


if __name__ == "__main__":
    main()
