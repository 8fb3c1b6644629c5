"""Choosing few of many: farthest points and CUR, on rows (structures) or columns (features).

Source: Imbalzano et al., J. Chem. Phys. 148, 241730 (2018), the method behind Onat, Ortner & Kermode, J. Chem. Phys.
153, 144106 (2020), sections V.B and VI.B. CUR takes the item with the largest weight in the leading eigenvector of the
Gram matrix, removes its direction from all others (a Schur complement) and repeats. Deviation: one eigenvector per
step, the paper's k = 1.
"""

import numpy as np
from scipy.sparse.linalg import eigsh

from hullscout.errors import InvalidSettingError
from hullscout.regression.arrays import FloatArray, IntArray, candidate_indices, finite_matrix, is_kind

_DENSE = 32
_EXHAUSTED = 1e-13


def farthest_points(gram: FloatArray, n: int, *, start: int | None = None) -> IntArray:
    """Farthest point sampling: each next item is the one farthest from all chosen ones.

    Args:
        gram: Dot products (or kernel) among the items, shape (m, m); distance^2 = g_ii + g_jj - 2 g_ij.
        n: How many to choose.
        start: First item; the one farthest from the mean of all if not given.

    Returns:
        Indices in the order chosen, shape (n,); ties go to the smaller index.

    Raises:
        InvalidSettingError: n is not between 1 and m.
    """
    gram = _checked_gram(gram)
    diagonal = np.diag(gram)
    _check_count(n, len(gram))
    if start is None:
        first = int(np.argmax(diagonal - 2.0 * gram.mean(axis=1)))
    else:
        first = int(candidate_indices([start], n_candidates=len(gram))[0])
    chosen = [first]
    distances = diagonal + diagonal[first] - 2.0 * gram[first]
    for _ in range(n - 1):
        distances[chosen[-1]] = -np.inf
        following = int(np.argmax(distances))
        chosen.append(following)
        distances = np.minimum(distances, diagonal + diagonal[following] - 2.0 * gram[following])
    return np.array(chosen, dtype=np.intp)


def farthest_rows(rows: FloatArray, n: int) -> IntArray:
    """Farthest point sampling of structures without their Gram matrix: O(m d) per point, for large pools.

    Args:
        rows: Features, shape (m, d).
        n: How many to choose.

    Returns:
        Indices in the order chosen, shape (n,), the first the one farthest from the mean.

    Raises:
        InvalidSettingError: n is not between 1 and m.
    """
    rows = finite_matrix(rows, what="rows")
    _check_count(n, len(rows))
    centred = rows - rows.mean(axis=0)
    squares = np.einsum("ij,ij->i", centred, centred)
    chosen = [int(np.argmax(squares))]
    distances = np.full(len(rows), np.inf)
    for _ in range(n - 1):
        last = chosen[-1]
        distances = np.minimum(distances, squares + squares[last] - 2.0 * (centred @ centred[last]))
        distances[last] = -np.inf
        chosen.append(int(np.argmax(distances)))
    return np.array(chosen, dtype=np.intp)


def cur_points(gram: FloatArray, n: int) -> IntArray:
    """CUR selection: each next item is the heaviest in the leading eigenvector of what is left.

    Items that add nothing any more (the Gram matrix is exhausted) follow in the order of their indices.

    Args:
        gram: Dot products (or kernel) among the items, shape (m, m).
        n: How many to choose.

    Returns:
        Indices in the order chosen, shape (n,).

    Raises:
        InvalidSettingError: n is not between 1 and m.
    """
    gram = _checked_gram(gram)
    _check_count(n, len(gram))
    left = gram.copy()
    total = float(np.trace(gram))
    chosen: list[int] = []
    vector = np.ones(len(gram))
    while len(chosen) < n and float(np.trace(left)) > _EXHAUSTED * total:
        vector = _leading(left, vector)
        is_left = np.diag(left) > _EXHAUSTED * total / len(gram)
        item = int(np.argmax(np.where(is_left, vector**2, -1.0)))
        chosen.append(item)
        column = left[:, item] / np.sqrt(left[item, item])
        left -= np.outer(column, column)
        left[item], left[:, item] = 0.0, 0.0
    rest = np.setdiff1d(np.arange(len(gram)), chosen)
    return np.concatenate([chosen, rest]).astype(np.intp)[:n]


def _leading(matrix: FloatArray, start: FloatArray) -> FloatArray:
    """Eigenvector of the largest eigenvalue."""
    if len(matrix) <= _DENSE:
        return np.asarray(np.linalg.eigh(matrix)[1][:, -1])
    _, vectors = eigsh(matrix, k=1, which="LA", v0=start + 1e-3, tol=1e-8)
    return np.asarray(vectors[:, 0])


def _checked_gram(gram: FloatArray) -> FloatArray:
    values = finite_matrix(gram, what="the Gram matrix")
    if values.shape[0] != values.shape[1]:
        raise InvalidSettingError(f"Expected a square Gram matrix, found {values.shape=}.")
    return values


def _check_count(n: int, available: int) -> None:
    if not (is_kind(n, int, np.integer) and 1 <= n <= available):
        raise InvalidSettingError(f"Expected to choose 1 to {available} items, found {n=}.")
