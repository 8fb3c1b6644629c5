"""The same representation, slowly and readably: plain loops over index tuples, no panels, no compilation.

Written from the equation alone, to be read beside it and compared with the fast one in tests. Every tuple of atoms with
one index in the cell is visited, its geometry value is broadened on the spot. Nothing here is shared with the compiled
kernels but the settings, the order of channels and the search radius.

Source: Huo & Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022), equation 4.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

from hullscout.mbtr.axis import response
from hullscout.mbtr.channels import list_channels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from hullscout.mbtr.structures import Batch
    from hullscout.mbtr.term import Term

_STRAIGHT = 1e-6
"""Sine of a bond angle below which a chain is straight."""


def reference_features(
    batch: Batch, term: Term, numbers: tuple[int, ...], radii: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the features of one term without correlation and normalization.

    Args:
        batch: Structures; keep them small.
        term: The term.
        numbers: Atomic numbers of the element set.
        radii: Search radius of each structure, A.

    Returns:
        Shape (n_structures, n_channels, n_x).
    """
    number = {z: c for c, z in enumerate(list_channels(len(numbers), term.k))}
    block = np.zeros((batch.n_structures, len(number), term.n_x))
    for s in range(batch.n_structures):
        for z, g, w in weighted_values(batch, s, term, float(radii[s])):
            channel = number[min(z, z[::-1])]
            value = float(numbers[z[0]]) if term.k == 1 else g
            if term.grid is None:
                block[s, channel, 0] += w
            else:
                block[s, channel] += w * response(term, np.array([value]), term.sigma)[0]
    return block


def weighted_values(batch: Batch, s: int, term: Term, radius: float) -> Iterator[tuple[tuple[int, ...], float, float]]:
    """Yield (elements, g, w) of every tuple of atoms of structure s; unordered tuples once per cell."""
    first, last = int(batch.offsets[s]), int(batch.offsets[s + 1])
    species = batch.species
    for i in range(first, last):
        if term.k == 1:
            yield (int(species[i]),), 0.0, 1.0
            continue
        around = _neighbors(batch, s, i, radius)
        if term.k == 2:
            for atom, v in around:
                yield (int(species[i]), int(species[atom])), _pair_value(term, v), 0.5 * _weight(term, [v], [v, v])
        elif term.k == 3:
            for (a, u), (b, v) in itertools.combinations(around, 2):
                w = _weight(term, [u, v], [u, v, u - v])
                yield (int(species[a]), int(species[i]), int(species[b])), _angle_value(term, u, v), w
        else:
            yield from _chains(batch, s, term, radius, i, around)


def _chains(
    batch: Batch, s: int, term: Term, radius: float, j: int, around: list[tuple[int, NDArray[np.float64]]]
) -> Iterator[tuple[tuple[int, ...], float, float]]:
    """Yield the chains i-j-k-l with j in the cell: each is met from j and, reversed, from k."""
    species = batch.species
    for k, jk in around:
        for i, ji in around:
            for l_, kl in _neighbors(batch, s, k, radius):
                il = jk + kl - ji
                if np.allclose(ji, jk, atol=1e-9) or np.allclose(kl, -jk, atol=1e-9) or np.allclose(il, 0, atol=1e-9):
                    continue
                one, two = np.cross(ji, jk), np.cross(jk, kl)
                sines = [
                    np.linalg.norm(one) / np.linalg.norm(ji) / np.linalg.norm(jk),
                    np.linalg.norm(two) / np.linalg.norm(jk) / np.linalg.norm(kl),
                ]
                if min(sines) < _STRAIGHT:
                    continue
                g = math.atan2(float(np.linalg.norm(np.cross(one, two))), -float(one @ two))
                if term.geometry == "dihedral_cosine":
                    g = math.cos(g)
                z = tuple(int(species[atom]) for atom in (i, j, k, l_))
                yield z, g, 0.5 * _weight(term, [ji, jk, kl], [ji, jk, kl])


def _neighbors(batch: Batch, s: int, i: int, radius: float) -> list[tuple[int, NDArray[np.float64]]]:
    """Return (atom, vector) of every atom within the radius, images included."""
    cell, pbc = batch.cells[s], batch.pbc[s]
    axes = np.flatnonzero(pbc)
    atoms = range(int(batch.offsets[s]), int(batch.offsets[s + 1]))
    vectors = batch.positions[list(atoms)] - batch.positions[i]
    reach = np.zeros(3, dtype=np.int64)
    if len(axes):
        dual = np.linalg.pinv(cell[axes])  # columns: fractional coordinates along the periodic directions
        fractional = np.abs(vectors @ dual).max(axis=0)
        reach[axes] = np.ceil(radius * np.linalg.norm(dual, axis=0) + fractional).astype(np.int64)
    found = []
    for image in itertools.product(*(range(-n, n + 1) for n in reach)):
        shift = np.array(image) @ np.where(pbc[:, None], cell, 0.0)
        for atom, vector in zip(atoms, vectors + shift, strict=True):
            d = float(np.linalg.norm(vector))
            if d <= radius and not (atom == i and image == (0, 0, 0)):
                found.append((atom, vector))
    return found


def _pair_value(term: Term, v: NDArray[np.float64]) -> float:
    d = float(np.linalg.norm(v))
    return {"distance": d, "inverse_distance": 1 / d, "inverse_square_distance": 1 / d**2}[term.geometry]


def _angle_value(term: Term, u: NDArray[np.float64], v: NDArray[np.float64]) -> float:
    angle = math.atan2(float(np.linalg.norm(np.cross(u, v))), float(u @ v))
    return angle if term.geometry == "angle" else math.cos(angle)


def _weight(term: Term, tapered: list[NDArray[np.float64]], path: list[NDArray[np.float64]]) -> float:
    """Return the weight of a tuple: `tapered` have a cutoff, `path` closes the tuple or is the chain (k = 4)."""
    lengths = [float(np.linalg.norm(v)) for v in path]
    counted = lengths[:1] if term.k == 2 else lengths
    weight = 1.0
    if term.weighting == "exponential" and term.scale is not None:
        weight = math.exp(-term.scale * sum(counted))
    elif term.weighting == "inverse_square":
        weight = 1 / math.prod(counted) ** 2
    elif term.weighting == "inverse_product":
        weight = 1 / math.prod(counted)
    if term.cutoff is None:
        return weight
    if term.taper == "sharp":
        too_long = max(lengths) > term.cutoff if term.k == 4 else sum(lengths) > 2 * term.cutoff * (1 + 1e-12)
        return 0.0 if too_long else weight
    for v in tapered:
        t = float(np.linalg.norm(v)) / term.cutoff
        s = term.sharpness
        smooth = 0.5 * (1 + math.cos(math.pi * t)) if term.taper == "cosine" else 1 + s * t ** (s + 1) - (s + 1) * t**s
        weight *= smooth if t < 1 else 0.0
    return weight
