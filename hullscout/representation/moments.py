"""Magnetic orderings as features: what a representation by positions and elements cannot see.

Structures that differ only in their magnetic moments have the same features, and what is learned of one would be believed of the
other. So where there are such in a pool, a block of features is added that says how moments are ordered: for each element the mean
size of its moments, and for each pair of elements the correlation of moments over neighbours in four smooth shells,

    f_abr = 1/n sum_{i in a, j in b} exp(-((d_ij / s - c_r) / w)^2) m_i . m_j,

with n atoms, s^3 the volume per atom, and c_r from the first to the third neighbours of fcc and bcc. The features are the same for
every choice of the cell, and where all moments are turned round or rotated together. Moments are over the largest of the pool.
"""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

BLOCK = "magnetic moments"
SHELLS = (1.1, 1.35, 1.6, 1.85)  # in units of the cube root of the volume per atom
WIDTH = 0.15
CUTOFF = 2.2
SAME = 1e-6  # features are the same that differ by no more than this share of the largest


def moment_features(candidates: Sequence[Any], blocks: Mapping[str, Floats]) -> Floats | None:
    """(n, d) features of the magnetic orderings of n candidates; None where the blocks (n, d) tell all that differ apart."""
    stated = [getattr(candidate, "magmoms", None) for candidate in candidates]
    largest = max((float(np.abs(moments).max()) for moments in stated if moments is not None), default=0.0)
    if largest == 0.0:
        return None
    elements = np.unique(np.concatenate([candidate.numbers for candidate in candidates])).tolist()
    rows = [
        _features(candidate, np.zeros(len(candidate.numbers)) if moments is None else moments / largest, elements)
        for candidate, moments in zip(candidates, stated, strict=True)
    ]
    features = np.array(rows)
    return features if _has_siblings(np.hstack([*blocks.values()]), features) else None


def _has_siblings(known: Floats, features: Floats) -> bool:
    """Whether two candidates have the same known features and other moments."""
    tolerance = SAME * float(np.abs(known).max())
    order = np.argsort(known @ np.random.default_rng(0).normal(size=known.shape[1]), kind="stable")
    is_same = (np.abs(np.diff(known[order], axis=0)) <= tolerance).all(axis=1)
    return bool((is_same & (np.abs(np.diff(features[order], axis=0)) > SAME).any(axis=1)).any())


def _features(candidate: Any, moments: Floats, elements: Sequence[int]) -> Floats:
    """The features of one ordering, by moments over the largest of the pool."""
    from hullscout.neighbors import list_neighbors  # noqa: PLC0415  (late: numba)

    vectors = moments.reshape(len(moments), -1)
    n, is_of = len(vectors), [candidate.numbers == element for element in elements]
    sizes = [float(np.linalg.norm(vectors[mine], axis=1).sum()) / n for mine in is_of]
    unit = (abs(float(np.linalg.det(candidate.cell))) / n) ** (1 / 3)
    starts, others, ways = list_neighbors(
        candidate.positions, np.asarray(candidate.cell), np.ones(3, dtype=np.bool_), CUTOFF * unit
    )
    centers = np.repeat(np.arange(n), np.diff(starts))
    products = (vectors[centers] * vectors[others]).sum(axis=1)
    distances = np.linalg.norm(ways, axis=1) / unit
    weights = np.exp(-(((distances[:, None] - np.array(SHELLS)) / WIDTH) ** 2)) * products[:, None]
    correlations = [
        weights[is_of[a][centers] & is_of[b][others]].sum(axis=0) / n
        for a, b in combinations_with_replacement(range(len(elements)), 2)
    ]
    return np.concatenate([sizes, *correlations])
