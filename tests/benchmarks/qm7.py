"""Accuracy on QM7 against table 1 of the paper: kernel ridge regression on MBTR k = 2 and k = 3, 5000 molecules to learn from.

    python tests/benchmarks/qm7.py --qm7 PATH/qm7.extxyz.gz [--tune]

Without --tune the representation is the paper's, with equal weight for both terms; kernel width and regularization are chosen on
1000 of the 5000 training molecules. With --tune, the widths of both distributions and the balance of the terms are chosen too, with
a model of 2000 molecules. The test molecules are touched once, at the end. Energies are PBE0/def2-TZVP atomization energies; the
paper's come from another code and basis, so numbers compare only roughly.

Source: Huo & Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022), table 1: MAE 0.60, RMSE 0.97 kcal/mol; linear kernel: 0.74, 1.14.
Data: Rupp et al., Phys. Rev. Lett. 108, 058301 (2012), geometries of github qmlcode/tutorial (MIT).
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase.io import read
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from hullscout.mbtr import MBTR, Counts, Term

if TYPE_CHECKING:
    from collections.abc import Sequence

DATA = Path(__file__).resolve().parents[2] / "data" / "qm7" / "qm7.extxyz.gz"
ELEMENTS = ("H", "C", "N", "O", "S")
N_TRAIN = 5000
N_VALIDATION = 1000


def representation() -> MBTR:
    """Return the paper's representation."""
    sigma_2, sigma_3 = 2.0**-4, 2.0**-2.5
    return MBTR(
        ELEMENTS,
        (
            Term(
                k=2,
                geometry="inverse_distance",
                weighting="inverse_square",
                grid=(0.1, 1.2, 100),
                sigma=sigma_2,
                sigmas=(sigma_2 / 4, sigma_2),
            ),
            Term(
                k=3,
                geometry="angle",
                weighting="inverse_product",
                grid=(-0.15, 3.3, 100),
                sigma=sigma_3,
                sigmas=(sigma_3 / 4, sigma_3),
            ),
        ),
        normalization="none",
    )


def squared_distances(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Return |a - b|^2 of all rows."""
    return np.maximum((A**2).sum(1)[:, None] + (B**2).sum(1) - 2 * A @ B.T, 0.0)


def predict(D_train: np.ndarray, D_test: np.ndarray, y: np.ndarray, width: float, ridge: float) -> np.ndarray:
    """Return Gaussian-kernel ridge regression predictions; NaN where the kernel matrix is not positive definite."""
    K = np.exp(-D_train / (2 * width**2))
    K[np.diag_indices_from(K)] += ridge
    try:
        alpha = cho_solve(cho_factor(K, overwrite_a=True, check_finite=False), y - y.mean(), check_finite=False)
    except LinAlgError:
        return np.full(len(D_test), np.nan)
    return np.exp(-D_test / (2 * width**2)) @ alpha + y.mean()


def errors(predicted: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return (MAE, RMSE)."""
    return float(np.mean(np.abs(predicted - y))), float(np.sqrt(np.mean((predicted - y) ** 2)))


def term_distances(mbtr: MBTR, X: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> list[np.ndarray]:
    """Return squared distances per term, integrals over the axis included."""
    parts = []
    for term in mbtr.terms:
        block = X[:, mbtr.slices[term.label]]
        dx = (term.grid[1] - term.grid[0]) / term.grid[2]
        parts.append(dx**2 * squared_distances(block[rows], block[columns]))
    return parts


def mixed(mbtr: MBTR, X: np.ndarray, balance: float, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return squared distances with the angles weighted by balance^2."""
    pairs, angles = term_distances(mbtr, X, rows, columns)
    return pairs + balance**2 * angles


def best_model(
    A: np.ndarray,
    B: np.ndarray,
    y_fit: np.ndarray,
    y_check: np.ndarray,
    *,
    widths: Sequence[float] = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5),
    ridges: Sequence[float] = (-30.0, -26.0, -23.0, -20.0),
) -> tuple[float, float, float]:
    """Return (MAE, width, ridge) of the best of 2^widths median distances and regularizations 2^ridges."""
    scale = float(np.sqrt(np.median(A)))
    found = []
    for width, ridge in itertools.product(scale * 2.0 ** np.array(widths), 2.0 ** np.array(ridges)):
        mae = errors(predict(A, B, y_fit, width, ridge), y_check)[0]
        if np.isfinite(mae):
            found.append((mae, width, ridge))
    return min(found)


def linear_error(X: np.ndarray, y: np.ndarray, train: np.ndarray, test: np.ndarray) -> tuple[float, float]:
    """Return (MAE, RMSE) of ridge regression on the features, regularization chosen on part of the training molecules."""

    def solved(fit: np.ndarray, check: np.ndarray, ridge: float) -> np.ndarray:
        center = X[fit].mean(axis=0)
        A, B = X[fit] - center, X[check] - center
        K = A @ A.T
        K[np.diag_indices_from(K)] += ridge
        return B @ (A.T @ cho_solve(cho_factor(K, overwrite_a=True), y[fit] - y[fit].mean())) + y[fit].mean()

    fit, check = train[:-N_VALIDATION], train[-N_VALIDATION:]
    ridges = 2.0 ** np.arange(-24.0, -11, 4)
    ridge = min(ridges, key=lambda r: errors(solved(fit, check, r), y[check])[0])
    return errors(solved(train, test, ridge), y[test])


def tuned_representation(
    counts: Counts, mbtr: MBTR, y: np.ndarray, train: np.ndarray
) -> tuple[dict[str, float], float]:
    """Return distribution widths and term balance that serve a model of 2000 molecules best on 1000 others."""
    fit, check = train[:2000], train[-N_VALIDATION:]
    found = []
    for f2, f3 in itertools.product((1.0, 0.5, 0.25), (1.0, 0.5, 0.25)):
        sigma = {"k2": f2 * mbtr.terms[0].sigma, "k3": f3 * mbtr.terms[1].sigma}
        X = counts.features(sigma)
        for balance in (0.06, 0.12, 0.25, 0.5):
            A, B = mixed(mbtr, X, balance, fit, fit), mixed(mbtr, X, balance, check, fit)
            model = best_model(A, B, y[fit], y[check], widths=(2.0, 3.0), ridges=(-26.0, -20.0))
            found.append((model[0], tuple(sigma.items()), balance))
        print(f"  {sigma}: validation MAE of 2000 molecules {min(found[-4:])[0]:.3f}", flush=True)
    _, sigma_items, balance = min(found)
    return dict(sigma_items), balance


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--qm7", type=Path, default=DATA)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--tune", action="store_true", help="choose distribution widths and the balance of the terms too"
    )
    arguments = parser.parse_args()
    if not arguments.qm7.exists():
        print(f"skipped: {arguments.qm7} is missing; pass --qm7 PATH to the QM7 extended-XYZ file")
        return 0
    molecules = read(arguments.qm7, ":")
    y = np.array([molecule.info["atomization_energy_kcal_mol"] for molecule in molecules])
    order = np.random.default_rng(arguments.seed).permutation(len(y))
    train, test = order[:N_TRAIN], order[N_TRAIN:]
    fit, check = train[:-N_VALIDATION], train[-N_VALIDATION:]
    mbtr = representation()
    start = time.perf_counter()
    counts = mbtr.count(molecules)
    print(f"{len(y)} molecules counted in {time.perf_counter() - start:.2f} s", flush=True)
    sigma, balance = tuned_representation(counts, mbtr, y, train) if arguments.tune else ({}, 1.0)
    X = counts.features(sigma)
    print(f"distribution widths {sigma or 'of the paper'}, balance {balance}", flush=True)
    mae, width, ridge = best_model(
        mixed(mbtr, X, balance, fit, fit), mixed(mbtr, X, balance, check, fit), y[fit], y[check]
    )
    print(f"validation MAE {mae:.3f} at kernel width {width:.3g}, regularization 2^{np.log2(ridge):.0f}", flush=True)
    predicted = predict(
        mixed(mbtr, X, balance, train, train), mixed(mbtr, X, balance, test, train), y[train], width, ridge
    )
    mae, rmse = errors(predicted, y[test])
    median = np.median(np.abs(predicted - y[test]))
    print(
        f"Gaussian kernel, {len(train)} train, {len(test)} test: MAE {mae:.3f}, RMSE {rmse:.3f}, median {median:.3f} kcal/mol"
    )
    worst = np.sort(np.abs(predicted - y[test]))[::-1]
    print(f"largest errors {np.round(worst[:5], 1).tolist()}; without the largest two MAE {worst[2:].mean():.3f}")
    for term, weight in zip(mbtr.terms, (1.0, balance), strict=True):
        X[:, mbtr.slices[term.label]] *= weight * (term.grid[1] - term.grid[0]) / term.grid[2]
    mae, rmse = linear_error(X, y, train, test)
    print(f"linear kernel: MAE {mae:.3f}, RMSE {rmse:.3f} kcal/mol")
    print("paper: Gaussian 0.60, 0.97; linear 0.74, 1.14")
    return 0


if __name__ == "__main__":
    sys.exit(main())
