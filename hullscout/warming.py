"""Every kernel compiled before it is needed: where many processes start at once, or none may write later, as in a container."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from ase.build import bulk

from hullscout.campaign.origin import read_origin
from hullscout.campaign.run import run
from hullscout.campaign.setup import Setup
from hullscout.mbtr import MBTR, Term
from hullscout.neighbor_kernels import find_by_images
from hullscout.neighbors import list_neighbors
from hullscout.regression.shape_kernels import matern32
from hullscout.selection.sample_kernels import hulls_at, vertex_shares

CAMPAIGN = """
name = "warm-up"
elements = ["Cu", "Au"]

[pool]
path = "pool.extxyz"

[stop]
max_calculations = 14
"""


def warm_up() -> str:
    """Compile everything by a small campaign of made up energies, and what it does not need; return the folder that keeps it."""
    with tempfile.TemporaryDirectory(prefix="hullscout-") as scratch:
        _write_pool(Path(scratch) / "pool.extxyz")
        campaign = Path(scratch) / "warm-up.toml"
        campaign.write_text(CAMPAIGN, encoding="utf-8")
        run(Setup(read_origin(campaign)), Path(scratch) / "run")
    rng = np.random.default_rng(0)
    cell, every = 14.0 * np.eye(3), np.ones(3, dtype=np.bool_)
    list_neighbors(rng.uniform(0.0, 14.0, (80, 3)), cell, every, 3.0)  # by bins
    x, energies = np.linspace(0.0, 1.0, 5), rng.normal(size=(3, 5))
    vertex_shares(x, energies, tolerance=1e-9)
    hulls_at(x, energies, x)
    matern32(x, 1.0)
    k2 = Term(k=2, geometry="distance", grid=(1.0, 5.0, 9), sigma=0.3, cutoff=4.0)
    k3 = Term(k=3, geometry="angle", grid=(0.0, 3.2, 9), sigma=0.3, cutoff=3.0)
    k4 = Term(k=4, geometry="dihedral", grid=(0.0, 3.2, 9), sigma=0.3, cutoff=2.6)
    MBTR(("Cu",), (k4,)).transform([bulk("Cu")])
    MBTR(("Cu",), (k2, k3)).gradient(bulk("Cu"))
    return str(find_by_images.stats.cache_path)


def _write_pool(path: Path) -> None:
    """Forty decorations of one cell with energies that mean nothing."""
    rng = np.random.default_rng(0)
    site = bulk("Cu", a=3.8).repeat((2, 2, 2))
    lines: list[str] = []
    for place in range(40):
        gold = rng.permutation(8) < (0, 8, 1, 2, 3, 4, 5, 6)[place % 8]
        energy = -30.0 - 4.0 * gold.mean() * (1.0 - gold.mean()) + (rng.normal(0.0, 0.2) if gold.any() else 0.0)
        vectors = " ".join(f"{number:.6f}" for number in np.asarray(site.cell).ravel())
        lines += [
            str(len(site)),
            f'Lattice="{vectors}" Properties=species:S:1:pos:R:3 pbc="T T T" id={place} energy={energy:.6f}',
        ]
        for is_gold, (x, y, z) in zip(gold, site.positions, strict=True):
            lines.append(f"{'Au' if is_gold else 'Cu'} {x:.6f} {y:.6f} {z:.6f}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
