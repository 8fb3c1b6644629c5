"""A pool of 100 000 candidates: seconds per round and peak memory of the rule `hull-posterior`.

    python tests/benchmarks/selection_large_pool.py [--candidates 100000] [--rounds 40]
    python tests/benchmarks/selection_large_pool.py --known 300 --rounds 20      # late in a campaign
    python tests/benchmarks/selection_large_pool.py --known 300 --rounds 20 --nothing-kept
    python tests/benchmarks/selection_large_pool.py --known 300 --rounds 20 --screened
    python tests/benchmarks/selection_large_pool.py --campaign campaigns/cuagau/cuagau.toml --candidates 20000

Features are those of the committed Ag-Pd pool, or of another campaign, interpolated between pairs of structures of one composition;
energies are interpolated alike, with a bow, so that many candidates lie near the hull. Computing features is not part of
it; what is measured is what a campaign's rounds cost. The first round with known energies, which solves all of them, stands apart.
"""

from __future__ import annotations

import argparse
import resource
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hullscout.campaign import Setup, read_origin
from hullscout.campaign.engine import fitting_threads
from hullscout.hull import pure
from hullscout.regression import kept_rows
from hullscout.selection import (
    Decision,
    HullPosteriorRule,
    Known,
    StopSettings,
    SurrogateSettings,
    screened,
    surrogate_of,
)

CAMPAIGN = Path(__file__).parents[2] / "campaigns" / "agpd" / "agpd.toml"


@dataclass(frozen=True, eq=False)
class Compositions:
    """What rules ask of a pool: candidates of one atom, without structures."""

    fractions: np.ndarray
    baseline_ev_per_atom: None = None

    @property
    def n_atoms(self) -> np.ndarray:
        return np.ones(len(self.fractions), dtype=np.int64)


def large_pool(campaign: Path, n: int) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Compositions (n, k), features by block (n, d) and energies (n,) in eV/atom."""
    setup = Setup(read_origin(campaign))
    pool, blocks, energies = setup.pool, setup.features, setup.true_ev_per_atom
    rng = np.random.default_rng(0)
    ends = np.concatenate(pure(pool.fractions))
    compounds = np.setdiff1d(np.arange(len(pool)), ends)
    first = rng.choice(compounds, size=n)
    second = np.array(
        [rng.choice(np.flatnonzero((pool.fractions == pool.fractions[i]).all(axis=1))) for i in compounds]
    )[np.searchsorted(compounds, first)]
    share = rng.uniform(size=n)
    first[: ends.size], second[: ends.size], share[: ends.size] = ends, ends, 0.0
    mixed = {
        name: (1 - share)[:, None] * block[first] + share[:, None] * block[second] for name, block in blocks.items()
    }
    bow = 0.01 * share * (1 - share)
    return pool.fractions[first], mixed, (1 - share) * energies[first] + share * energies[second] + bow


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--campaign", type=Path, default=CAMPAIGN)
    parser.add_argument("--candidates", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--known", type=int, default=0, help="candidates, drawn at random, that are known beforehand")
    parser.add_argument("--nothing-kept", action="store_true", help="predict the pool from nothing in each round")
    parser.add_argument(
        "--screened", action="store_true", help="as pools above 200 000 candidates are, in single precision"
    )
    arguments = parser.parse_args()
    if arguments.nothing_kept:
        kept_rows.MAX_BYTES = 0
    fractions, blocks, energies = large_pool(arguments.campaign, arguments.candidates)
    if arguments.screened:
        screened.SCREENED_ABOVE = 0
        blocks = {name: block.astype(np.float32) for name, block in blocks.items()}
    rule, surrogate = HullPosteriorRule(), surrogate_of(blocks, fractions=fractions, settings=SurrogateSettings())
    del blocks
    pool, decisions = Compositions(fractions), []
    answered = np.empty(0, dtype=np.intp)
    if arguments.known:
        drawn = np.random.default_rng(1).permutation(len(fractions))[: arguments.known]
        answered = np.array([*dict.fromkeys([*np.concatenate(pure(fractions)), *drawn])], dtype=np.intp)
        decisions.append(Decision(chosen=tuple(answered.tolist())))
    seconds = []
    for number in range(arguments.rounds + 1):
        known = Known(
            pool=pool,
            cost=np.ones(len(fractions)),
            decisions=tuple(decisions),
            answered=answered,
            energies_ev_per_atom=energies[answered],
        )
        began = time.perf_counter()
        is_start = number == 0 and not arguments.known
        with fitting_threads():
            decision = (
                Decision(chosen=rule.start(known)) if is_start else rule.decide(known, surrogate, stop=StopSettings())
            )
        seconds.append(time.perf_counter() - began)
        if not decision.chosen:
            break
        decisions.append(decision)
        answered = np.concatenate([answered, decision.chosen]).astype(np.intp)
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{arguments.candidates} candidates, {len(seconds) - 1} rounds to {answered.size} labels: first {seconds[0]:.2f} s, then "
        f"{np.median(seconds[1:]):.2f} s per round (slowest {max(seconds[1:]):.2f} s, the last {seconds[-1]:.2f} s), "
        f"peak memory {peak_gib:.2f} GiB"
    )


if __name__ == "__main__":
    main()
