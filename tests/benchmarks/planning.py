"""How good plans are: forecasts during a campaign, and predictions for an alloy that took no part.

    hullscout plan campaigns/ag*/*.toml ../shared/data/[an]*/[ANC]*.toml ... --replicates 10 --out DIR   # pools, all different
    python tests/benchmarks/planning.py DIR

Reads the replays of the plan in DIR (its own settings, hull-posterior). Prints

- the calibration of the forecast (constants of `hullscout.planning.forecast`), and how often its 90 % interval covers the final
  count, over all rounds and at half of the campaign, on each pool with a calibration that this pool took no part in;
- leave one alloy out: the 90 % interval of the number of calculations of each pool, predicted from the replays of the others, how
  many of its replays lie within, and how wide it is.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hullscout.planning.forecast import calibrate, predict, regressors
from hullscout.planning.new_alloy import from_similar
from hullscout.planning.path import Path as ReplayPath

STEADY = 0.03


@dataclass(frozen=True)
class Round:
    """A round of a replay."""

    pool: str
    run: int
    n_candidates: int
    n_known: int
    n_foreseen: int
    n_contenders: int
    n_end: int


def read_replays(folder: Path) -> dict[str, tuple[int, list[ReplayPath]]]:
    """Size of each pool and its replays."""
    sizes = {entry["campaign"]: entry["n_candidates"] for entry in json.loads((folder / "plan.json").read_text())}
    pools: dict[str, tuple[int, list[ReplayPath]]] = {name: (size, []) for name, size in sizes.items()}
    with closing(sqlite3.connect(f"file:{folder / 'plan.db'}?mode=ro", uri=True)) as connection:
        for name, text in connection.execute("SELECT campaign, path FROM replays ORDER BY campaign, seed"):
            path = ReplayPath.from_json(text)
            if path.moments[-1].stated is not None:
                pools[name][1].append(path)
    return pools


def rounds_of(pools: dict[str, tuple[int, list[ReplayPath]]]) -> list[Round]:
    """Every round in which a stop was foreseen."""
    return [
        Round(
            pool=name,
            run=run,
            n_candidates=size,
            n_known=moment.n_known,
            n_foreseen=moment.n_foreseen,
            n_contenders=moment.n_contenders,
            n_end=path.moments[-1].n_known,
        )
        for name, (size, paths) in pools.items()
        for run, path in enumerate(paths)
        for moment in path.moments[:-1]
        if moment.n_foreseen is not None
    ]


def table_of(rounds: list[Round]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Regressors, lookups to the stop, weights (each run counts the same) and which rounds are at half of their run."""
    column = {
        name: np.array([getattr(r, name) for r in rounds], dtype=float)
        for name in Round.__dataclass_fields__
        if name != "pool"
    }
    rows = regressors(
        n_foreseen=column["n_foreseen"], n_contenders=column["n_contenders"], n_known=column["n_known"],
        n_candidates=column["n_candidates"], steady=STEADY,
    )  # fmt: skip
    runs = np.array([f"{r.pool} {r.run}" for r in rounds])
    names, which, counts = np.unique(runs, return_inverse=True, return_counts=True)
    off = np.abs(column["n_known"] / column["n_end"] - 0.5)
    is_half = np.zeros(len(rounds), dtype=bool)
    for number in range(names.size):
        members = np.flatnonzero(which == number)
        is_half[members[np.argmin(off[members])]] = True
    return rows, column["n_end"] - column["n_known"], 1.0 / counts[which], is_half


def print_forecasts(rounds: list[Round]) -> None:
    rows, lookups, weights, is_half = table_of(rounds)
    pools = np.array([r.pool for r in rounds])
    everything = calibrate(rows, lookups, weights=weights, pools=pools)
    print(f"{everything}\n")
    print("forecast: 90 % interval of the lookups to the stop, calibrated without the pool")
    print(
        f"{'pool':<18}{'all rounds %':>14}{'at half %':>12}{'of':>5}{'high / low':>12}{'actual / median at half':>25}"
    )
    covered, halves = [], []
    for name in dict.fromkeys(pools):
        is_it = pools == name
        others = calibrate(rows[~is_it], lookups[~is_it], weights=weights[~is_it], pools=pools[~is_it])
        low, middle, high = predict(rows[is_it], others).T
        actual, half = lookups[is_it], is_half[is_it]
        # Counts are whole: the interval that is shown is rounded.
        is_in = (actual >= np.rint(low)) & (actual <= np.rint(high))
        covered.append(np.average(is_in, weights=weights[is_it]))
        halves.extend(is_in[half])
        ratio = np.exp(np.mean(np.log(actual[half] / middle[half])))
        print(
            f"{name:<18}{100 * covered[-1]:>14.1f}{100 * is_in[half].mean():>12.1f}{half.sum():>5}{np.mean(high / low):>12.2f}"
            f"{ratio:>25.2f}"
        )
    print(f"{'all':<18}{100 * np.mean(covered):>14.1f}{100 * np.mean(halves):>12.1f}{len(halves):>5}\n")


def print_new_alloys(pools: dict[str, tuple[int, list[ReplayPath]]]) -> None:
    taken = {name: np.array([path.moments[-1].n_known for path in paths]) for name, (_, paths) in pools.items()}
    print("a new alloy, from the replays of the others: calculations")
    print(f"{'pool':<18}{'5 %':>7}{'50 %':>7}{'95 %':>7}{'actual mean':>13}{'within %':>10}{'high / low':>12}")
    within, widths = [], []
    for name, (size, _) in pools.items():
        shares = [taken[other] / pools[other][0] for other in pools if other != name]
        low, middle, high = from_similar(shares, size).quantiles((0.05, 0.5, 0.95))
        is_in = (taken[name] >= low) & (taken[name] <= high)
        within.append(is_in.mean())
        widths.append(high / low)
        print(
            f"{name:<18}{low:>7.0f}{middle:>7.0f}{high:>7.0f}{taken[name].mean():>13.1f}{100 * is_in.mean():>10.0f}"
            f"{high / low:>12.2f}"
        )
    print(f"{'all':<18}{'':>34}{100 * np.mean(within):>10.1f}{np.exp(np.mean(np.log(widths))):>12.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR", help="output folder of `hullscout plan`")
    pools = read_replays(parser.parse_args().folder)
    print_forecasts(rounds_of(pools))
    print_new_alloys(pools)


if __name__ == "__main__":
    main()
