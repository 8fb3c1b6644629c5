"""Write dscribe_2_1_2.npz: features by DScribe 2.1.2 for every setting that both codes have.

Run by hand, in an environment of its own (DScribe 2.1.2 fails on periodic cells with ASE 3.27 and later):

    pip install "dscribe==2.1.2" "ase<3.27" && python tests/golden/make_dscribe_golden.py

The file holds the structures, the settings as JSON, and the features. The tests read nothing else.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from dscribe.descriptors import MBTR

OUTPUT = Path(__file__).with_name("dscribe_2_1_2.npz")
SPECIES = ["H", "C", "O", "Na", "Cl"]


def structures() -> dict[str, Atoms]:
    """Return the structures, by name."""
    skewed = Atoms(
        "NaClNa",
        positions=[[0.1, 0.2, -0.1], [1.9, 1.7, 2.2], [3.4, 0.4, 0.9]],
        cell=[[4.1, 0.3, 0.0], [1.7, 3.9, 0.2], [-0.6, 1.1, 4.4]],
        pbc=True,
    )
    return {"methanol": molecule("CH3OH"), "salt": bulk("NaCl", "rocksalt", a=5.64), "skewed": skewed}


def settings() -> list[dict[str, object]]:
    """Return (structure, keyword arguments of DScribe) of every case."""
    smooth = {"function": "smooth_cutoff", "r_cut": 4.5, "sharpness": 2}
    square = {"function": "inverse_square", "r_cut": 6.3}
    cases: list[dict[str, object]] = []

    def add(
        name: str, geometry: str, grid: tuple[float, float, int, float], weighting: dict[str, object] | None, norm: str
    ) -> None:
        low, high, n, sigma = grid
        cases.append(
            {
                "structure": name,
                "geometry": geometry,
                "grid": {"min": low, "max": high, "n": n, "sigma": sigma},
                "weighting": weighting,
                "normalization": norm,
            }
        )

    axes = {
        "atomic_number": (0.0, 18.0, 19, 0.7),
        "distance": (0.5, 6.5, 25, 0.3),
        "inverse_distance": (0.05, 1.1, 25, 0.04),
        "angle": (0.0, 180.0, 19, 9.0),
        "cosine": (-1.0, 1.0, 21, 0.1),
    }
    for name in structures():
        for norm in ("none", "l2", "n_atoms"):
            add(name, "atomic_number", axes["atomic_number"], None, norm)
        norms = ("none", "l2", "n_atoms") if name == "methanol" else ("none", "l2", "n_atoms", "valle_oganov")
        for geometry in ("distance", "inverse_distance"):
            exponential = {"function": "exp", "r_cut": 6.1, "threshold": 1e-3}
            for norm in norms:
                add(name, geometry, axes[geometry], exponential, norm)
            add(name, geometry, axes[geometry], square, "none")
        for geometry in ("angle", "cosine"):
            exponential = {"function": "exp", "r_cut": 5.7, "threshold": 1e-3}
            for norm in norms:
                add(name, geometry, axes[geometry], exponential, norm)
            add(name, geometry, axes[geometry], smooth, "none")
            if name == "methanol":
                add(name, geometry, axes[geometry], {"function": "unity"}, "none")
        if name == "methanol":
            add(name, "distance", axes["distance"], {"function": "unity"}, "none")
    return cases


def main() -> None:
    """Compute and write."""
    arrays: dict[str, np.ndarray] = {}
    for name, atoms in structures().items():
        arrays |= {
            f"{name}_numbers": atoms.numbers,
            f"{name}_positions": atoms.positions,
            f"{name}_cell": atoms.cell[:],
            f"{name}_pbc": atoms.pbc,
        }
    cases = settings()
    for number, case in enumerate(cases):
        atoms = structures()[str(case["structure"])]
        mbtr = MBTR(
            species=SPECIES,
            geometry={"function": case["geometry"]},
            grid=case["grid"],
            weighting=case["weighting"],
            normalization=case["normalization"],
            periodic=bool(np.all(atoms.pbc)),
            normalize_gaussians=True,
        )
        arrays[f"features_{number}"] = mbtr.create(atoms)
    np.savez_compressed(OUTPUT, cases=json.dumps(cases), species=np.array(SPECIES), **arrays)


if __name__ == "__main__":
    main()
