"""Does the element correlation matrix C help? Several binary alloys of eight elements, learned together from few energies.

    python tests/benchmarks/mbtr_alchemy.py --pools PATH [--train 150 600] [--repeats 5]

PATH holds the extended-XYZ pools Ag-Pt, Au-Pd, Cu-Pd, Mo-Pt, Ni-Pd and Ti-Pd; their energies are those of a model (UNEP-v1, Song
et al., Nat. Commun. 15, 10208 (2024)), not DFT. A Gaussian-kernel model is trained on structures drawn from all pools and tested on
the rest, for C = 1 and the two ready-made matrices at several lengths. Width and regularization by leave-one-out on the training
part.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase.io import read
from scipy.linalg import eigh

from hullscout.mbtr import MBTR, Term, periodic_table_correlation, pettifor_correlation

ELEMENTS = ("Ti", "Mo", "Ni", "Pd", "Pt", "Cu", "Ag", "Au")
POOLS = ("AgPt", "AuPd", "CuPd", "MoPt", "NiPd", "TiPd")
TERMS = (
    Term(
        k=2,
        geometry="inverse_distance",
        weighting="inverse_square",
        cutoff=8.0,
        grid=(0.1, 0.6, 25),
        sigma=0.02,
        factor=27.0,
    ),
    Term(k=3, geometry="cosine", cutoff=6.0, grid=(-1.0, 1.0, 20), sigma=0.1),
)


def load(folder: Path) -> tuple[list[object], np.ndarray]:
    """Return the structures of all pools and formation energies in eV/atom, those above 0.5 left out."""
    structures, energies = [], []
    for name in POOLS:
        pool = read(folder / f"{name}.extxyz.gz", ":")
        per_atom = np.array([atoms.get_potential_energy() / len(atoms) for atoms in pool])
        first, second = sorted({symbol for atoms in pool for symbol in atoms.get_chemical_symbols()})
        x = np.array([np.mean([symbol == second for symbol in atoms.get_chemical_symbols()]) for atoms in pool])
        formation = per_atom - (1 - x) * per_atom[x == 0].min() - x * per_atom[x == 1].min()
        print(f"{first}-{second}: {len(pool)} structures, {np.sum(formation < 0.5)} below 0.5 eV/atom")
        structures += [atoms for atoms, e in zip(pool, formation, strict=True) if e < 0.5]
        energies += formation[formation < 0.5].tolist()
    return structures, np.array(energies)


def held_out_error(X: np.ndarray, y: np.ndarray, train: np.ndarray, test: np.ndarray) -> float:
    """Return the mean absolute error of a Gaussian-kernel model whose settings were chosen by leave-one-out."""
    square = np.sum(X**2, axis=1)
    D = np.maximum(square[:, None] + square[train] - 2 * X @ X[train].T, 0.0)
    inner = D[train]
    target = y[train] - y[train].mean()
    best: tuple[float, float, np.ndarray] | None = None
    for width in np.sqrt(np.median(inner)) * 2.0 ** np.arange(-2.0, 4):
        values, vectors = eigh(np.exp(-inner / (2 * width**2)))
        for ridge in 10.0 ** np.arange(-8.0, -1):
            alpha = vectors @ ((vectors.T @ target) / (values + ridge))
            left_out = alpha / (vectors**2 @ (1 / (values + ridge)))
            error = float(np.mean(left_out**2))
            if best is None or error < best[0]:
                best = (error, width, alpha)
    predicted = np.exp(-D[test] / (2 * best[1] ** 2)) @ best[2] + y[train].mean()
    return float(np.mean(np.abs(predicted - y[test])))


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pools", type=Path, required=True)
    parser.add_argument("--train", type=int, nargs="+", default=[150, 600])
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    if not (arguments.pools / "AgPt.extxyz.gz").exists():
        print(f"skipped: no pools in {arguments.pools}")
        return 0
    structures, y = load(arguments.pools)
    matrices = {"identity": None}
    matrices |= {f"Pettifor, length {a:g}": pettifor_correlation(ELEMENTS, length=a) for a in (0.5, 1.0, 2.0, 4.0)}
    matrices |= {
        f"periodic table, lengths {a:g} {b:g}": periodic_table_correlation(ELEMENTS, group_length=a, period_length=b)
        for a, b in ((0.3, 0.7), (0.3, 1.0), (0.7, 0.7), (1.0, 1.0))
    }
    counts = MBTR(ELEMENTS, TERMS).count(structures)
    for label, C in matrices.items():
        X = replace(counts, definition=replace(counts.definition, correlation=C)).features()
        line = f"{label}:"
        for n in arguments.train:
            errors = []
            for seed in range(arguments.repeats):
                order = np.random.default_rng(seed).permutation(len(y))
                errors.append(1e3 * held_out_error(X, y, order[:n], order[n:]))
            line += f"  {n} train: MAE {np.mean(errors):.1f} +- {np.std(errors) / np.sqrt(len(errors)):.1f} meV/atom"
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
