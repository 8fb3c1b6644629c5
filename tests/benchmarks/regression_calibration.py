"""Can the model's uncertainty be believed? RMSE, coverage and calibration error on every shared pool.

    python tests/benchmarks/regression_calibration.py --splits 20 --sizes 50,100,200,400 [--pools agpd,AgPt] [--kernel gaussian]
    python tests/benchmarks/regression_calibration.py --model sparse        # 100 active points; or ensemble: 16 submodels
    python tests/benchmarks/regression_calibration.py --out calibration     # one figure per pool

Random splits, both pure elements always among the labels. Heights above the hull of the labels are compressed beyond --cap
(eV/atom); RMSE is that of the compressed energies, "low" that of structures less than 0.1 eV/atom above the hull. Coverage is
the share of unseen structures inside the stated central interval, "!" marks 95 % intervals that cover less than 93 or more than
97 %; "|z| > 3" is the share of z-scores (as normal ones, where 0.0027 are expected) in the tails. Figures show the whole histogram
and observed against stated coverage. Ends with leave-one-out over all structures of the Ag-Pd pool.
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from regression_pools import BenchmarkPool, chosen_pools, open_pool

from hullscout.regression import (
    Combination,
    Criterion,
    KernelShape,
    ModelSettings,
    PoolModel,
    ResamplingEnsemble,
    SparseKernelModel,
    diagnose,
    normal_scores,
    plot_calibration,
)

LOW = 0.1
BROADENINGS = (0.5, 0.7, 1.4, 2.0)
LEVELS = tuple(float(level) for level in np.linspace(0.05, 0.95, 19))


opened = cache(open_pool)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Predictions at the unseen structures: means, calibrated standard deviations, tails; suspects; time of the fit."""

    mean: np.ndarray
    std: np.ndarray
    degrees_of_freedom: float
    n_suspects: int
    seconds: float


def fit(pool: BenchmarkPool, known: np.ndarray, unseen: np.ndarray, y: np.ndarray, settings: ModelSettings) -> Fit:
    """The model that campaigns use."""
    model = PoolModel(pool.blocks, composition=pool.x, settings=settings)
    model.add(known)
    began = time.perf_counter()
    fitted = model.fit(y)
    seconds = time.perf_counter() - began
    mean, std = model.predict(unseen)
    return Fit(
        mean=mean,
        std=std,
        degrees_of_freedom=fitted.calibration.degrees_of_freedom,
        n_suspects=len(fitted.suspects),
        seconds=seconds,
    )


def fit_estimator(
    pool: BenchmarkPool,
    known: np.ndarray,
    unseen: np.ndarray,
    y: np.ndarray,
    model: SparseKernelModel | ResamplingEnsemble,
) -> Fit:
    """One of the alternatives."""
    columns, X = pool.columns()
    model.set_params(blocks=columns)
    began = time.perf_counter()
    model.fit(X[known], y)
    seconds = time.perf_counter() - began
    mean, std = model.predict(X[unseen], return_std=True)
    return Fit(
        mean=mean,
        std=std,
        degrees_of_freedom=model.calibration_.degrees_of_freedom,
        n_suspects=len(model.suspects_),
        seconds=seconds,
    )


def measure(
    split: int, *, name: str, n: int, cap: float, kind: str, settings: ModelSettings
) -> tuple[tuple[float, ...], np.ndarray]:
    """RMSE, RMSE of the low ones, coverages, coverage of the low ones, calibration error, tails, suspects, seconds; z-scores."""
    pool = opened(name)
    known, unseen = pool.split(n, split)
    targets = pool.targets(known, cap)
    match kind:
        case "sparse":
            found = fit_estimator(pool, known, unseen, targets[known], SparseKernelModel(n_active=100))
        case "ensemble":
            found = fit_estimator(pool, known, unseen, targets[known], ResamplingEnsemble())
        case _:
            found = fit(pool, known, unseen, targets[known], settings)
    residuals, is_low = targets[unseen] - found.mean, pool.heights(known)[unseen] < LOW
    nu = found.degrees_of_freedom
    every, low = (diagnose(residuals[part], found.std[part], degrees_of_freedom=nu) for part in (slice(None), is_low))
    z = normal_scores(residuals / found.std, degrees_of_freedom=nu)
    return (
        1e3 * every.rmse,
        1e3 * low.rmse,
        *every.coverage,
        low.coverage[-1],
        every.expected_calibration_error,
        float(np.mean(np.abs(z) > 3.0)),
        found.n_suspects,
        found.seconds,
    ), z


def draw(name: str, scores: dict[int, np.ndarray], out: Path) -> None:
    """One pool's calibration at every training size."""
    out.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(10.0, 4.5), layout="constrained")
    reports = {f"n = {n}": diagnose(z, np.ones(len(z)), levels=LEVELS) for n, z in scores.items()}
    left, right = figure.subplots(1, 2)
    plot_calibration(reports, left).legend(frameon=False, fontsize="small")
    for label, report in reports.items():
        right.stairs(report.z_counts / (report.n * np.diff(report.z_edges)), report.z_edges, label=label)
    grid = np.linspace(-5.0, 5.0, 201)
    right.plot(grid, np.exp(-0.5 * grid**2) / np.sqrt(2.0 * np.pi), color="0.6", label="normal")
    right.set(xlabel="z-score (beyond the ends: in the end bins)", ylabel="density")
    right.legend(frameon=False, fontsize="small")
    figure.suptitle(name)
    figure.savefig(out / f"{name}.png", dpi=150)


def main() -> None:
    """Print one line per pool and training size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pools", default="all")
    parser.add_argument("--sizes", default="20,50,100,200,300,400")
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--cap", type=float, default=0.15)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--kernel", default=ModelSettings().shape.value)
    parser.add_argument("--criterion", default=ModelSettings().criterion.value)
    parser.add_argument("--combination", default=ModelSettings().combination.value)
    parser.add_argument("--model", choices=["kernel", "sparse", "ensemble"], default="kernel")
    parser.add_argument("--out", type=Path, help="folder for figures")
    parser.add_argument("--averaged", type=int, default=ModelSettings().n_averaged)
    options = parser.parse_args()
    settings = ModelSettings(
        shape=KernelShape(options.kernel),
        criterion=Criterion(options.criterion),
        combination=Combination(options.combination),
        n_averaged=options.averaged,
    )
    names = chosen_pools(options.pools)
    print(
        f"{'pool':13s}{'n':>5s}{'RMSE':>9s}{'low':>8s}   50 %   80 %   95 %   low 95 %    ECE  |z| > 3  suspects  fit (s)"
    )
    print(f"{'':18s}{'meV/atom':>17s}")
    totals = []
    with ProcessPoolExecutor(options.workers) as workers:
        for name in names:
            scores = {}
            for n in (int(size) for size in options.sizes.split(",")):
                if n > 0.8 * len(opened(name)):
                    continue
                run = partial(measure, name=name, n=n, cap=options.cap, kind=options.model, settings=settings)
                rows, z = zip(*workers.map(run, range(options.splits)), strict=True)
                row, scores[n] = np.mean(rows, axis=0), np.concatenate(z)
                flag = " " if 0.93 <= row[4] <= 0.97 else "!"
                totals.append((n, *row))
                print(
                    f"{name:13s}{n:5d}{row[0]:9.2f}{row[1]:8.2f}  {row[2]:.3f}  {row[3]:.3f}  {row[4]:.3f}{flag}     "
                    f"{row[5]:.3f}  {row[6]:.3f}   {row[7]:.4f}  {row[8]:8.2f} {row[9]:8.2f}",
                    flush=True,
                )
            if options.out is not None:
                draw(name, scores, options.out)
    for n in sorted({int(row[0]) for row in totals}):
        rows = np.array([row[1:] for row in totals if row[0] == n])
        mean = rows.mean(axis=0)
        print(
            f"{'all pools':13s}{n:5d}{'':17s}  {mean[2]:.3f}  {mean[3]:.3f}  {mean[4]:.3f}      {mean[5]:.3f}  {mean[6]:.3f}   "
            f"{mean[7]:.4f}   (95 %: {rows[:, 4].min():.3f} to {rows[:, 4].max():.3f})"
        )
    if "agpd" in names and options.model == "kernel":
        leave_one_out(settings)


def leave_one_out(settings: ModelSettings) -> None:
    """Print the leave-one-out RMSE over all of Ag-Pd: as in a campaign, and tuned for it, MBTR broadening included."""
    pool = open_pool("agpd", broadenings=BROADENINGS)
    for label, criterion, alternatives in (
        (f"{settings.criterion}", settings.criterion, {}),
        ("rmse, broadening tuned", Criterion.RMSE, pool.alternatives),
    ):
        model = PoolModel(pool.blocks, alternatives=alternatives, settings=replace(settings, criterion=criterion))
        model.add(range(len(pool)))
        began = time.perf_counter()
        fitted = model.fit(pool.energies)
        rmse = 1e3 * np.sqrt(np.mean((fitted.loo_mean - pool.energies) ** 2))
        seconds, representation = time.perf_counter() - began, fitted.components[0].hyperparameters.representation
        print(
            f"agpd, leave-one-out over all {len(pool)} ({label}): {rmse:.3f} meV/atom "
            f"({representation}, {len(fitted.suspects)} suspects, {seconds:.1f} s)",
            flush=True,
        )


if __name__ == "__main__":
    main()
