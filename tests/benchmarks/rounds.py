"""What a round takes: processor time of replays under the default settings, against an earlier version.

    git worktree add ../before 4181ec9
    python tests/benchmarks/rounds.py --against ../before

4181ec9 is the last version that searched lengths and weights, started from random compounds, and looked up four structures in a
round. The two versions play in turns, each in a process of its own with one thread; of each seed the fastest turn counts. A round
is everything from one answer to the next question: fit, samples, probability, choice. What is known grows, so rounds early and
late in a campaign stand apart.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
CAMPAIGNS = ("agpd/agpd.toml", "agpt-unep/agpt-unep.toml")
# Calculations that end each part of a campaign.
PARTS = (30, 10**9)
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
PLAY = """
import json, sys, time
from pathlib import Path
from hullscout.campaign import Setup, load_config, read_origin
from hullscout.planning import ReplayPool
path, seeds = Path(sys.argv[1]), int(sys.argv[2])
pool = ReplayPool.of(Setup(read_origin(path)))
energies = dict(zip(pool.pool.ids, pool.energies_ev.tolist()))
def rounds(seed):
    engine, n = pool.engine(load_config(path, (), seed=seed), seed=seed), 0
    while True:
        began = time.process_time()
        asked = engine.ask()
        yield n, time.process_time() - began
        if not asked:
            return
        for name in asked:
            engine.tell(name, energies[name])
        n += len(asked)
list(rounds(seeds))  # compiled kernels are loaded at their first use
print(json.dumps([list(rounds(seed)) for seed in range(seeds)]))
"""


def rounds(checkout: Path, campaign: str, seeds: int) -> list[np.ndarray]:
    """For each seed (rounds, 2): calculations before each round, and its seconds; the start is no round."""
    words = [sys.executable, "-c", PLAY, str(checkout / "campaigns" / campaign), str(seeds)]
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(checkout)}
    done = subprocess.run(words, env=environment, cwd=checkout, capture_output=True, text=True, check=True)
    return [np.array(one)[1:] for one in json.loads(done.stdout)]


def milliseconds(turns: list[list[np.ndarray]]) -> list[float]:
    """Of a round in each part of a campaign, and in all."""
    fastest = np.concatenate([np.min(of_seed, axis=0) for of_seed in zip(*turns, strict=True)])
    part = np.searchsorted(PARTS, fastest[:, 0])
    return [1e3 * fastest[chosen, 1].mean() for chosen in (*(part == place for place in range(len(PARTS))), part >= 0)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, help="Checkout of an earlier version.")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    heads = [*(f"to {n}" for n in PARTS[:-1]), "beyond", "all"]
    print(f"{'ms per round, by what is known':<32}" + "".join(f"{head:>9}" for head in heads))
    checkouts = {"now": ROOT} if options.against is None else {"before": options.against, "now": ROOT}
    for campaign in CAMPAIGNS:
        turns = [
            {name: rounds(checkout, campaign, options.seeds) for name, checkout in checkouts.items()}
            for _ in range(options.turns)
        ]
        rows = {name: milliseconds([turn[name] for turn in turns]) for name in checkouts}
        for name, row in rows.items():
            print(f"{f'{Path(campaign).stem}, {name}':<32}" + "".join(f"{one:>9.1f}" for one in row))
        if len(rows) > 1:
            ratios = np.array(rows["now"]) / np.array(rows["before"])
            print(f"{'now over before':<32}" + "".join(f"{one:>9.2f}" for one in ratios), flush=True)


if __name__ == "__main__":
    main()
