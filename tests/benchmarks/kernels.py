"""What kernels of alloys are like: lengths and weights of the blocks where a model of much of a pool is likeliest.

    python tests/benchmarks/kernels.py    # all pools, some minutes

For each pool, kernels are searched by the marginal likelihood of the capped energies of random candidates (`--labels`), from
nothing and several times. Printed are the logarithms to the base 2 of the length over the root mean square distance of the pool, by
block, and of the weight over that of the first block; then mean and standard deviation over alloys, each counted once, beside what
`selection.alloys.KERNELS` draws from, and the range of the mean when each alloy is left out. The numbers in use were chosen among
a few near these by replays: a draw must also hold for a dozen labels, for which a likelihood says little.
"""

from __future__ import annotations

import selection  # isort: skip  # first: it sets the number of threads

import argparse
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from hullscout.hull import end_energies, formation_energy, lower_hull
from hullscout.regression import Mean, ModelSettings, PoolModel, cap_height
from hullscout.selection import HullPosteriorRule
from hullscout.selection.alloys import KERNELS

if TYPE_CHECKING:
    from pathlib import Path


def likeliest(path: Path, n_labels: int, seed: int) -> tuple[str, str, dict[str, tuple[float, float]]]:
    """Pool, alloy, and by block log2 of length over the pool's scale and of weight over the first block's."""
    found = selection.opened(path, "none")
    energies, fractions = found.energies_ev_per_atom, found.pool.fractions
    formation = formation_energy(fractions, energies, ends_ev_per_atom=end_energies(fractions, energies))
    at_hull = lower_hull(fractions, formation).energy_at(fractions)
    capped = at_hull + cap_height(formation - at_hull, HullPosteriorRule().energy_cap)
    model = PoolModel(found.features, composition=found.pool.x, settings=ModelSettings(mean=Mean.QUADRATIC))
    chosen = np.random.default_rng(seed).permutation(len(found.pool))[:n_labels]
    model.add(np.sort(chosen))
    model.fit(capped[model.labelled])
    kernel = model.fitted.components[0].hyperparameters.kernel
    scales, first = model.scales, kernel.terms[0].weight
    said = {
        term.block: (float(np.log2(term.length_scale / scales[term.block])), float(np.log2(term.weight / first)))
        for term in kernel.terms
    }
    return path.stem, "-".join(sorted(found.pool.elements)), said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, default=150, help="labels of each pool, or as many as it has")
    parser.add_argument("--seeds", type=int, default=3, help="choices of labels in each pool")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    paths = selection.CAMPAIGNS + selection.SHARED
    with ProcessPoolExecutor(arguments.workers) as executor:
        waiting = [
            executor.submit(likeliest, path, arguments.labels, seed)
            for path in paths
            for seed in range(arguments.seeds)
        ]
        found = [one.result() for one in waiting]
    blocks = list(dict.fromkeys(block for _, _, said in found for block in said))
    print(f"{'pool':<14}" + "".join(f"{f'{block}: length, weight':>28}" for block in blocks))
    for pool in dict.fromkeys(pool for pool, _, _ in found):
        cells = []
        for block in blocks:
            pairs = [said[block] for name, _, said in found if name == pool and block in said]
            cells.append(
                f"{np.mean(pairs, axis=0)[0]:>20.2f}{np.mean(pairs, axis=0)[1]:>8.2f}" if pairs else f"{'-':>28}"
            )
        print(f"{pool:<14}" + "".join(cells))
    for block in blocks:
        of_alloy: dict[str, list[tuple[float, float]]] = {}
        for _, alloy, said in found:
            if block in said:
                of_alloy.setdefault(alloy, []).append(said[block])
        means = np.array([np.mean(pairs, axis=0) for pairs in of_alloy.values()])
        without = (means.sum(axis=0) - means) / max(len(means) - 1, 1)
        for column, name in enumerate(("length", "weight")):
            print(
                f"{block}, {name}: mean {means[:, column].mean():.2f} (without any one alloy {without[:, column].min():.2f} to "
                f"{without[:, column].max():.2f}), standard deviation {means[:, column].std(ddof=1):.2f}"
            )
    print(
        f"in use: length {KERNELS.log_length_mean} +- {KERNELS.log_length_std}, of each weight +- {KERNELS.log_weight_std}"
    )
    print(f"and {KERNELS.extras}")


if __name__ == "__main__":
    main()
