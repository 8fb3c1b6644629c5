"""One tuned fit against scikit-learn's grid search over the same grid, the time of a campaign's round, and a sparse model.

    python tests/benchmarks/regression_speed.py [--size 400] [--candidates 650] [--large 5000]

Features are synthetic (two blocks, 156 and 360 columns), so nothing but the machine matters. Both sides see the same kernels
(Gaussian, length scale and weight of the second block) and the same regularizations. scikit-learn: `GridSearchCV` with
`KernelRidge`, 5 folds and, for what Hullscout computes, leave-one-out (measured on a part of the grid and scaled up). All times
are CPU seconds of one thread.
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import argparse
import time
from typing import TYPE_CHECKING

import numpy as np
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import GridSearchCV, LeaveOneOut
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from hullscout.regression import (
    Combination,
    Criterion,
    KernelShape,
    Mean,
    ModelSettings,
    PoolModel,
    SearchPoint,
    SparseKernelModel,
    WarmStart,
)
from hullscout.regression.labelled import Labelled
from hullscout.regression.tuning import Search

if TYPE_CHECKING:
    from collections.abc import Callable

LENGTHS = np.linspace(0.0, 3.0, 7)
LEANINGS = np.linspace(-1.0, 1.0, 5)
STRENGTHS = ModelSettings().regularizations


def synthetic(n: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Two feature blocks of n structures and a smooth label with noise."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(n, 8))
    blocks = {"k2": np.tanh(hidden @ rng.normal(size=(8, 156))), "k3": np.tanh(hidden @ rng.normal(size=(8, 360)))}
    return blocks, np.sin(hidden[:, 0]) + 0.3 * hidden[:, 1] * hidden[:, 2] + 0.02 * rng.normal(size=n)


def seconds(run: Callable[[], object], *, repeats: int = 3) -> float:
    """Shortest of a few runs."""
    times = []
    for _ in range(repeats):
        began = time.process_time()
        run()
        times.append(time.process_time() - began)
    return min(times)


def whole_grid(blocks: dict[str, np.ndarray], y: np.ndarray, known: np.ndarray) -> Search:
    """Every kernel of the grid once, every regularization with it, by closed-form leave-one-out."""
    settings = ModelSettings(
        shape=KernelShape.GAUSSIAN,
        combination=Combination.JOINT,
        mean=Mean.ZERO,
        criterion=Criterion.RMSE,
        max_kernels=len(LENGTHS) * len(LEANINGS),
    )
    model = PoolModel({name: block[known] for name, block in blocks.items()}, settings=settings)
    model.add(range(len(known)))
    labels = Labelled(separations=model.labelled_separations(), basis=np.zeros((len(known), 0)), y=y[known], groups=())
    search = Search(labels, settings=settings)
    for length in LENGTHS:
        for leaning in LEANINGS:
            search.evaluate(
                SearchPoint(representation="features", log_lengths=(length, length + leaning), log_weights=(0.0, 0.0))
            )
    return search


def large_model(n: int) -> None:
    """Print the time and the error of a sparse model of n labels, tuned on 300 of them; half as many are predicted."""
    blocks, y = synthetic(n + n // 2)
    X, columns = np.hstack(list(blocks.values())), {"k2": slice(0, 156), "k3": slice(156, 516)}
    print(f"A sparse model of {n} labels (label noise 0.02):")
    for n_active in (100, 400):
        model = SparseKernelModel(blocks=columns, n_active=n_active)
        fit = seconds(lambda model=model: model.fit(X[:n], y[:n]), repeats=1)
        predict = seconds(lambda model=model: model.predict(X[n:], return_std=True), repeats=1)
        rmse = np.sqrt(np.mean((model.predict(X[n:]) - y[n:]) ** 2))
        print(
            f"  {n_active} active points: fit {fit:6.2f} s, predict {n // 2} {predict:5.2f} s, RMSE {rmse:.3f}",
            flush=True,
        )


def rounds(blocks: dict[str, np.ndarray], y: np.ndarray, n: int) -> None:
    """Print what the fits of a campaign's rounds take."""
    print("A campaign's round (default settings, 1 thread):")
    for size in sorted({50, 100, 200, n}):
        model = PoolModel(blocks)
        model.add(range(size))
        cold = seconds(lambda size=size, model=model: model.fit(y[:size]))
        start = WarmStart(point=model.fitted.best)
        warm = seconds(lambda size=size, model=model, start=start: model.fit(y[:size], warm_start=start))
        predict = seconds(model.predict)
        posterior = seconds(lambda size=size, model=model: model.posterior(np.arange(size, size + 60)))
        print(
            f"  n = {size:4d}: fit {cold:6.3f} s ({len(model.fitted.evaluated)} kernels warm), warm {warm:6.3f} s, "
            f"predict {len(y)} {predict:6.3f} s, posterior of 60 {posterior:6.3f} s"
        )


def against_scikit_learn(blocks: dict[str, np.ndarray], y: np.ndarray, n: int) -> None:
    """Print what the same grid takes here and there."""
    known = np.arange(n)
    features = np.hstack(list(blocks.values()))[known]
    scaled = features - features.mean(axis=0)
    typical = np.sqrt(2.0 * np.sum(scaled.var(axis=0)))
    n_settings = len(LENGTHS) * len(LEANINGS) * len(STRENGTHS)
    ours = seconds(lambda: whole_grid(blocks, y, known))
    print(f"The same grid, {n_settings} settings, n = {n}:")
    print(f"  Hullscout, closed-form leave-one-out: {ours:8.2f} s")

    def grid_search(folds: object, lengths: np.ndarray, strengths: np.ndarray) -> float:
        began = time.process_time()
        for leaning in LEANINGS[: 1 if len(strengths) < 3 else None]:
            weights = np.concatenate([np.ones(156), np.full(360, 2.0**-leaning)])
            pipeline = make_pipeline(FunctionTransformer(lambda X, w=weights: X * w), KernelRidge(kernel="rbf"))
            grid = {
                "kernelridge__gamma": 0.5 / (typical * 2.0**lengths) ** 2,
                "kernelridge__alpha": strengths,
            }
            GridSearchCV(pipeline, grid, cv=folds, scoring="neg_mean_squared_error", refit=False).fit(scaled, y[known])
        return time.process_time() - began

    five = (
        grid_search(5, LENGTHS[::3], STRENGTHS[::10])
        * n_settings
        / (len(LENGTHS[::3]) * len(STRENGTHS[::10]) * len(LEANINGS))
    )
    print(f"  scikit-learn, 5 folds:                {five:8.2f} s (scaled up), {five / ours:7.0f} times slower")
    one_out = grid_search(LeaveOneOut(), LENGTHS[3:4], STRENGTHS[20:21]) * n_settings
    print(f"  scikit-learn, leave-one-out:          {one_out:8.0f} s (scaled up), {one_out / ours:7.0f} times slower")


def main() -> None:
    """Print times and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=400)
    parser.add_argument("--candidates", type=int, default=650)
    parser.add_argument("--large", type=int, default=5000, help="labels of the sparse model")
    parser.add_argument("--only-ratio", action="store_true", help="only the grid, here and in scikit-learn")
    options = parser.parse_args()
    blocks, y = synthetic(options.candidates)
    if not options.only_ratio:
        rounds(blocks, y, options.size)
        large_model(options.large)
    against_scikit_learn(blocks, y, options.size)


if __name__ == "__main__":
    main()
