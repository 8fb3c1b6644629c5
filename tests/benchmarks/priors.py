"""Energies of pools by potentials, computed once and kept in files outside of the tree, for benchmarks.

python tests/benchmarks/priors.py diep            # of all pools of selection.py, kept in a folder of temporary files
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import numpy as np

from hullscout.hull import lower_hull
from hullscout.oracle import Calculated, PriorOrder, ProcessesSettings

NAMED = {"emt": "ase.calculators.emt.EMT"}
NOISE_EV_PER_ATOM = 0.05
CACHE = Path(tempfile.gettempdir()) / "hullscout-priors"


def prior_energies(pool, name: str, stem: str, *, cache: Path = CACHE, workers: int = 1) -> np.ndarray:
    """(n,) energies in eV/atom by a potential, NaN where it has none; `noise` are random numbers that say nothing."""
    if name == "noise":
        return np.random.default_rng(0).normal(scale=NOISE_EV_PER_ATOM, size=len(pool))
    path = cache / f"{name}-{stem}-{fingerprint(pool)}.npy"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        order = PriorOrder(calculator=NAMED.get(name, name))
        found = dict(order.energies(pool.candidates, ProcessesSettings(workers=workers), folder=cache))
        energies = [one.energy_ev if isinstance(one := found[each], Calculated) else np.nan for each in pool.ids]
        np.save(path, np.array(energies) / pool.n_atoms)
    return np.load(path)


def has_ends(pool, energies: np.ndarray) -> bool:
    """Whether there is an energy for a structure of each pure element."""
    fractions = np.column_stack([1.0 - pool.fractions.sum(axis=1), pool.fractions])
    return all(np.isfinite(energies[those]).any() for those in (fractions > 1.0 - 1e-9).T)


def said_of_ground_states(found, energies: np.ndarray) -> str:
    """Of the true ground states the one that lies highest above the potential's own hull, and its rank there."""
    pool, known = found.pool, np.isfinite(energies)
    hull = lower_hull(pool.fractions[known], energies[known])
    above = energies - hull.energy_at(pool.fractions)
    highest = max(found.ground_states, key=lambda index: np.nan_to_num(above[index]))
    rank = 100 * np.nanmean(above < above[highest])
    return f"{pool.ids[highest]} {1000 * above[highest]:.0f} meV/atom above its hull, below it {rank:.0f} % of the pool"


def fingerprint(pool) -> str:
    digest = hashlib.sha256()
    for candidate in pool.candidates:
        digest.update(candidate.id.encode() + candidate.numbers.tobytes())
        digest.update(np.round(candidate.positions, 8).tobytes() + np.round(candidate.cell, 8).tobytes())
    return digest.hexdigest()[:16]


def main() -> None:
    import sys

    from selection import CAMPAIGNS, SHARED, opened

    for path in CAMPAIGNS + SHARED:
        found = opened(path, "none")
        pool = found.pool
        for name in sys.argv[1:]:
            energies = prior_energies(pool, name, path.stem)
            n, worst = np.isfinite(energies).sum(), said_of_ground_states(found, energies)
            print(f"{path.stem:<14} {name}: {n} of {len(pool)} energies; of the ground states {worst}", flush=True)


if __name__ == "__main__":
    main()
