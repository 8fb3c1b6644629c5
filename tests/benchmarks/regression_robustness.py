"""Copies and wrong labels: a pool in which everything stands twice, and one label off by 200 meV/atom.

    python tests/benchmarks/regression_robustness.py --splits 20 --size 100 [--pools agpd,AgPt] [--offset 0.2]

For each pool: the largest difference between the predictions of the pool once and the pool with every structure twice; how
often a wrong label is named, how often it stands out (the other labels contradict it by more than the suspicion times the
standard deviation of its prediction; less cannot be told from a surprise) and how many of those are named; how far it moves the
predictions at unlabelled structures, in units of their stated standard deviation (structures nearer than 1 % of the typical
distance are the wrong one's copies and not counted); how many right labels are named.
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import argparse

import numpy as np
from regression_pools import BenchmarkPool, chosen_pools, open_pool

from hullscout.regression import FittedMixture, ModelSettings, PoolModel

CAP = 0.15
SAME = 0.01
SUSPICION = ModelSettings().suspicion


def fitted_on(pool: BenchmarkPool, known: np.ndarray, labels: np.ndarray) -> tuple[PoolModel, FittedMixture]:
    """A model of the pool, fitted on the labels given."""
    model = PoolModel(pool.blocks, composition=pool.x)
    model.add(known)
    return model, model.fit(labels)


def distances_from(pool: BenchmarkPool, one: int) -> np.ndarray:
    """Distance of every structure from one, in units of the typical distance, shape (n,)."""
    scaled = np.hstack([block / np.sqrt(2.0 * block.var(axis=0).sum()) for block in pool.blocks.values()])
    return np.linalg.norm(scaled - scaled[one], axis=1)


def twice_error(pool: BenchmarkPool, known: np.ndarray, labels: np.ndarray, mean: np.ndarray) -> float:
    """Largest change of a prediction when every structure stands twice, eV/atom."""
    doubled = PoolModel({name: np.vstack([block, block]) for name, block in pool.blocks.items()})
    doubled.add(np.concatenate([known, known + len(pool)]))
    doubled.fit(np.tile(labels, 2))
    return float(np.max(np.abs(doubled.predict()[0] - np.tile(mean, 2))))


def main() -> None:
    """Print one line per pool."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pools", default="all")
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--offset", type=float, default=0.2, help="eV/atom")
    options = parser.parse_args()
    print("pool       twice: change       wrong label: named     moves others by (of their std)  > 1 std  right labels")
    print("             (meV/atom)    all  stands out  of these     median    99 %   largest                    named")
    for name in chosen_pools(options.pools):
        pool = open_pool(name)
        changes, named, stands_out, moves, innocent = [], [], [], [], []
        for split in range(options.splits):
            known, _ = pool.split(options.size, split)
            labels = pool.targets(known, CAP)[known]
            clean_model, clean = fitted_on(pool, known, labels)
            mean, _ = clean_model.predict()
            if split < 3:
                changes.append(1e3 * twice_error(pool, known, labels, mean))
            victim = int(np.random.default_rng([split, 7]).integers(2, options.size))
            wrong = labels.copy()
            wrong[victim] += options.offset
            wrong_model, found = fitted_on(pool, known, wrong)
            moved, std = wrong_model.predict()
            is_other = distances_from(pool, known[victim]) > SAME
            is_other[known] = False
            others = np.flatnonzero(is_other)
            moves.append(np.abs(moved - mean)[others] / std[others])
            named.append(victim in found.suspects)
            stands_out.append(abs(wrong[victim] - clean.loo_mean[victim]) > SUSPICION * clean.loo_std[victim])
            innocent.append(len(clean.suspects))
        every, of_these = np.concatenate(moves), np.array(named)[stands_out]
        print(
            f"{name:13s}{max(changes):9.1e}{np.mean(named):8.2f}{np.mean(stands_out):10.2f}{np.mean(of_these):11.2f}"
            f"{np.median(every):12.3f}{np.quantile(every, 0.99):9.2f}{every.max():9.2f}{np.mean(every > 1.0):12.4f}"
            f"{np.mean(innocent):11.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
