"""Learning curves of kernels and of representations on the shared pools; compression curves of the features.

    python tests/benchmarks/regression_learning_curves.py [--pools agpd,AgPt] [--repeats 5] [--out curves]

Prints RMSE (meV/atom, heights above the true hull capped at 0.15 eV/atom) against training size for each kernel on k = 2 + k = 3,
for each block alone, and for a sparse model; and the reconstruction error of the features against the kept fraction for FPS, CUR
and PCA, with the leave-one-out RMSE of a model on the kept features. With --out, draws one figure per pool.
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from regression_pools import BenchmarkPool, chosen_pools, open_pool

from hullscout.regression import (
    FeatureCompressor,
    KernelModel,
    SparseKernelModel,
    compression_curve,
    learning_curve,
    plot_learning_curves,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = (25, 50, 100, 200, 400)
FRACTIONS = (0.02, 0.05, 0.1, 0.2, 0.5)


def models(blocks: dict[str, slice]) -> dict[str, Callable[[], KernelModel | SparseKernelModel]]:
    """What is compared, by label."""
    kernels = {
        name: lambda name=name: KernelModel(name, blocks=blocks)
        for name in ("matern52", "gaussian", "matern32", "laplacian", "linear")
    }
    alone = {
        f"{block} alone": lambda columns=columns: KernelModel(blocks={"alone": columns})
        for block, columns in blocks.items()
    }
    return {**kernels, **alone, "sparse, 100 points": lambda: SparseKernelModel(blocks=blocks, n_active=100)}


def curves_of(pool: BenchmarkPool, n_repeats: int, out: Path | None) -> None:
    """Print, and draw if asked, the learning curves of one pool."""
    columns, X = pool.columns()
    y = 1e3 * pool.targets(np.arange(len(pool)), 0.15)
    sizes = [size for size in SIZES if size <= 0.8 * len(pool)]
    print(f"\n{pool.name}: RMSE (meV/atom) at n = {sizes}")
    curves = []
    for label, make in models(columns).items():
        curve = learning_curve(
            lambda known, labels, new, make=make: np.asarray(make().fit(known, labels).predict(new)),
            X,
            y,
            sizes=sizes,
            n_repeats=n_repeats,
            label=label,
        )
        cells = "  ".join(f"{mean:7.2f} +- {std:5.2f}" for mean, std in zip(curve.mean, curve.std, strict=True))
        print(f"  {label:20s}{cells}   exponent {curve.exponent:5.2f}", flush=True)
        curves.append(curve)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        figure = Figure(figsize=(8.5, 5.0), layout="constrained")
        axes = plot_learning_curves(curves, figure.add_subplot(), unit="meV/atom")
        axes.set_title(pool.name)
        figure.savefig(out / f"{pool.name}.png", dpi=150)
    compression_of(X, y)


def compression_of(X: np.ndarray, y: np.ndarray) -> None:
    """Print the reconstruction error and the leave-one-out RMSE of 150 labels against the kept fraction."""
    counts = [max(1, round(fraction * X.shape[1])) for fraction in FRACTIONS]
    known = np.random.default_rng(0).permutation(len(X))[:150]
    full = KernelModel(n_averaged=1).fit(X[known], y[known]).loo_rmse_
    print(f"  kept features {counts} of {X.shape[1]}: relative error; leave-one-out RMSE (all: {full:.2f})")
    for method in ("fps", "cur", "pca"):
        errors = compression_curve(X, method=method, counts=counts).errors
        rmses = [
            KernelModel(n_averaged=1)
            .fit(FeatureCompressor(method, n_features=count).fit_transform(X)[known], y[known])
            .loo_rmse_
            for count in counts
        ]
        cells = "  ".join(f"{error:.1e}; {rmse:6.2f}" for error, rmse in zip(errors, rmses, strict=True))
        print(f"    {method}  {cells}", flush=True)


def main() -> None:
    """Print one block per pool."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pools", default="all")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    for name in chosen_pools(options.pools):
        curves_of(open_pool(name), options.repeats, options.out)


if __name__ == "__main__":
    main()
