"""Pools, features and targets for the benchmarks of the regression service: read once, features kept in memory."""

from __future__ import annotations

import gzip
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.io.extxyz import read_xyz

from hullscout.hull import lower_hull
from hullscout.mbtr import MBTR

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
POOLS = {
    "agpd": "agpd/AgPd",
    "agpd-byu": "agpd-byu/AgPd-byu",
    "agau": "agau/AgAu",
    "nbmo-relax": "nbmo/NbMo-relax",
    "nbmo-unrelax": "nbmo/NbMo-unrelax",
    **{name: f"pgm-unep/{name}" for name in ("AgPt", "AuPd", "CuPd", "MoPt", "NiPd", "TiPd")},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkPool:
    """A pool with all its energies known.

    Attributes:
        name: Short name.
        blocks: MBTR features by block, shape (n, d).
        alternatives: The same with other broadenings, by name.
        x: Atomic fraction of the second element, shape (n,).
        energies: Formation energies relative to the lowest pure structures, eV/atom, shape (n,).
        ends: The lowest pure structure of each element.
    """

    name: str
    blocks: dict[str, np.ndarray]
    alternatives: dict[str, dict[str, np.ndarray]]
    x: np.ndarray
    energies: np.ndarray
    ends: tuple[int, int]

    def __len__(self) -> int:
        return len(self.x)

    def columns(self) -> tuple[dict[str, slice], np.ndarray]:
        """Columns of each block, and all blocks side by side, shape (n, d)."""
        ends = np.cumsum([0, *(block.shape[1] for block in self.blocks.values())])
        slices = {name: slice(int(a), int(b)) for name, a, b in zip(self.blocks, ends[:-1], ends[1:], strict=True)}
        return slices, np.hstack(list(self.blocks.values()))

    def split(self, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Training indices (both ends and random others) and the rest."""
        order = np.random.default_rng([seed, n]).permutation(len(self))
        rest = order[~np.isin(order, self.ends)]
        return np.concatenate([self.ends, rest[: n - 2]]).astype(np.intp), rest[n - 2 :]

    def heights(self, known: np.ndarray) -> np.ndarray:
        """Height of all candidates above the hull of the known ones, eV/atom, shape (n,)."""
        return lower_hull(self.x[known], self.energies[known]).distance(self.x, self.energies)

    def targets(self, known: np.ndarray, cap: float) -> np.ndarray:
        """Energies with heights h above the hull of the known ones compressed, eV/atom, shape (n,).

        Up to the cap c heights stay; beyond it they become c (1 + ln(h / c)), so that no error is hidden: a campaign's
        smooth cap is level there.
        """
        heights = self.heights(known)
        compressed = np.where(heights > cap, cap * (1.0 + np.log(np.maximum(heights, cap)) - np.log(cap)), heights)
        return self.energies - heights + compressed


def open_pool(name: str, *, broadenings: tuple[float, ...] = ()) -> BenchmarkPool:
    """Read one pool and represent it, also with its MBTR broadenings times the factors given."""
    with gzip.open(DATA / f"{POOLS[name]}.extxyz.gz", "rt") as file:
        frames = list(read_xyz(file, index=slice(None)))
    symbols = sorted({symbol for atoms in frames for symbol in atoms.get_chemical_symbols()})
    x = np.array([np.mean([s == symbols[1] for s in atoms.get_chemical_symbols()]) for atoms in frames])
    totals = [atoms.info["energy"] if "energy" in atoms.info else atoms.get_potential_energy() for atoms in frames]
    energies = np.array(totals) / [len(atoms) for atoms in frames]
    ends = tuple(int(np.flatnonzero(x == end)[np.argmin(energies[x == end])]) for end in (0.0, 1.0))
    mbtr = MBTR.for_alloys(tuple(symbols))
    counts = mbtr.count(frames)
    widths = {block: term.sigma for block, term in zip(mbtr.slices, mbtr.terms, strict=True)}

    def blocks(factor: float) -> dict[str, np.ndarray]:
        features = counts.features({block: factor * width for block, width in widths.items()})
        return {block: features[:, columns] for block, columns in mbtr.slices.items()}

    return BenchmarkPool(
        name=name,
        blocks=blocks(1.0),
        alternatives={f"sigma x {factor}": blocks(factor) for factor in broadenings},
        x=x,
        energies=energies - (1.0 - x) * energies[ends[0]] - x * energies[ends[1]],
        ends=ends,
    )


def chosen_pools(names: str) -> list[str]:
    """Names of the pools asked for; ends the program with a plain sentence where the shared data are missing."""
    if not DATA.is_dir():
        sys.exit(f"Skipped: the pools are expected in {Path('..') / 'shared' / 'data'} beside the checkout.")
    asked = list(POOLS) if names == "all" else names.split(",")
    unknown = [name for name in asked if name not in POOLS]
    if unknown:
        sys.exit(f"Expected pools of {list(POOLS)}, found {unknown}.")
    return asked
