"""What a process has solved of a large pool, kept between fits: a new label then costs what is new.

With the kernel K of labels x pool and the factor L of A, the kernel among labels with what is on its diagonal, all that a process
says of the pool follows from the rows of V = L^-1 K:

    mean = H b + V^T z,  z = L^T (dual),      variance = k - sum V^2 + sum (B^-1 (h - (L^-1 H)^T V))^2.

While kernel and diagonal stay the same, a label adds a row to L and to V, and leaves those before it as they are. Rows are solved
in blocks of a few labels, counted from the first, and what is left over is solved anew each time: so every number depends on the
labels alone and not on how they came, and a resumed campaign equals an uninterrupted one to the last bit.

Source: Rasmussen & Williams, Gaussian Processes for Machine Learning (2006), algorithm 2.1; Osborne, PhD thesis (Oxford, 2010),
appendix B, for factors that grow.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from hullscout.regression.process import lower_solved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hullscout.regression.arrays import FloatArray, IntArray
    from hullscout.regression.covariance import Kernel
    from hullscout.regression.pool_separations import PoolSeparations
    from hullscout.regression.tuning import Component

BLOCKS: Final = ((256, 4), (512, 8), (1024, 16), (10**9, 32))
"""So many labels are solved together, up to a label. In larger blocks all cost less, and one that is new costs more."""
MAX_BYTES: Final = 2**31
"""Rows may take so much: the settings that were in use last are kept. Where those in use would take more, none are."""
_ROWS: Final = 64  # Of one piece of memory, a multiple of the block
_COLUMNS: Final = 1024  # Candidates at a time: what is solved of them stays in the processor's cache


class KeptRows:
    """Rows of V by setting, each grown by the labels that are new when it comes into use."""

    def __init__(self) -> None:
        self._settings: dict[tuple[Kernel, float, str], _Rows] = {}

    def moments(
        self,
        components: Sequence[Component],
        separations: Sequence[PoolSeparations],
        places: IntArray,
        basis: FloatArray,
    ) -> tuple[FloatArray, FloatArray] | None:
        """Means and variances of the function, (m, n) of the m components at all candidates, or None where nothing is kept.

        From the separations of each component's representation, the places of its labels among those that were labelled, and the
        basis functions of the mean at all candidates (n, p).
        """
        n_bytes = 8 * len(places) * len(basis)
        if n_bytes * len(components) > MAX_BYTES or any(component.process.jitter for component in components):
            return None
        means, variances = np.empty((2, len(components), len(basis)))
        for component, parts, mean, variance in zip(components, separations, means, variances, strict=True):
            setting = component.hyperparameters
            key = setting.kernel, setting.regularization, setting.representation
            rows = self._settings.pop(key, None) or _Rows(setting.kernel, len(basis))
            self._settings[key] = rows  # the last in use are the last
            rows.grow(parts, places, component.process.diagonal)
            rows.read(component, basis, parts, places, mean, variance)
        for key in [*self._settings][: max(0, len(self._settings) - MAX_BYTES // n_bytes)]:
            del self._settings[key]
        return means, variances


class _Rows:
    """Whole blocks of rows of one setting: of V, the sums of their squares (n,), and of L."""

    def __init__(self, kernel: Kernel, n_candidates: int) -> None:
        self._kernel, self._n_candidates = kernel, n_candidates
        self._labels = np.empty(0, dtype=np.intp)
        self._diagonal, self._factor = np.empty(0), np.empty((0, 0))
        self._pieces: list[FloatArray] = []
        self._squares = np.zeros(n_candidates)

    def grow(self, parts: PoolSeparations, places: IntArray, diagonal: FloatArray) -> None:
        """Solve the whole blocks that are new; those after the first that is no longer the same are solved again."""
        labels, edges = parts.labelled[places], _edges(len(places))
        n = edges[-1]
        least = min(n, self._labels.size)
        is_same = (self._labels[:least] == labels[:least]) & (self._diagonal[:least] == diagonal[:least])
        n_old = _edges(least if is_same.all() else int(np.argmin(is_same)))[-1]
        if n_old < self._labels.size:
            self._squares = np.zeros(self._n_candidates)
            for start, end in pairwise(_edges(n_old)):
                old = self._pieces[start // _ROWS][start % _ROWS :][: end - start]
                self._squares += np.einsum("ij,ij->j", old, old)
        self._labels, self._diagonal = labels[:n].copy(), diagonal[:n].copy()
        self._factor = self._grown_factor(parts, places, diagonal, n_old, n)
        while len(self._pieces) * _ROWS < n:
            self._pieces.append(np.empty((_ROWS, self._n_candidates)))
        blocks = [slice(start, end) for start, end in pairwise(edges) if start >= n_old]

        def solve(columns: slice) -> None:
            for rows in blocks:
                values = self._kernel(parts.to_pool(columns, places[rows]))
                for piece, before in self._pieces_before(rows.start):
                    values -= self._factor[rows, before] @ piece[:, columns]
                values = lower_solved(self._factor[rows, rows], values)
                first = rows.start % _ROWS
                self._pieces[rows.start // _ROWS][first : first + len(values), columns] = values
                self._squares[columns] += np.einsum("ij,ij->j", values, values)

        if blocks:
            for_all(solve, self._n_candidates)

    def read(
        self,
        component: Component,
        basis: FloatArray,
        parts: PoolSeparations,
        places: IntArray,
        mean: FloatArray,
        variance: FloatArray,
    ) -> None:
        """Write the process' mean and variance of every candidate (n,), with the labels that make no whole block."""
        process, n = component.process, len(self._labels)
        factor = self._grown_factor(parts, places, process.diagonal, n, len(places))
        of_labels = np.vstack([factor.T @ process.dual, lower_solved(factor, process.basis).T])
        read = np.vstack([factor[n:, :n], of_labels[:, :n]])
        n_left = len(places) - n

        def read_out(columns: slice) -> None:
            sums = np.zeros((len(read), columns.stop - columns.start))
            for piece, before in self._pieces_before(n):
                sums += read[:, before] @ piece[:, columns]
            squares = self._squares[columns].copy()
            if n_left:
                left = self._kernel(parts.to_pool(columns, places[n:])) - sums[:n_left]
                left = lower_solved(factor[n:, n:], left)
                sums[n_left:] += of_labels[:, n:] @ left
                squares += np.einsum("ij,ij->j", left, left)
            mean[columns] = basis[columns] @ process.coefficients + sums[n_left]
            lifted = lower_solved(process.basis_factor, basis[columns].T - sums[n_left + 1 :])
            own = self._kernel(parts.to_self(columns)) - squares + np.einsum("ij,ij->j", lifted, lifted)
            variance[columns] = process.signal_variance * np.maximum(own, 0.0)

        for_all(read_out, self._n_candidates)

    def _pieces_before(self, n: int) -> Iterator[tuple[FloatArray, slice]]:
        """The first n rows, piece by piece, and which they are."""
        for piece, start in zip(self._pieces, range(0, n, _ROWS), strict=False):
            end = min(start + _ROWS, n)
            yield piece[: end - start], slice(start, end)

    def _grown_factor(
        self, parts: PoolSeparations, places: IntArray, diagonal: FloatArray, n_old: int, n: int
    ) -> FloatArray:
        """L of the first n labels, from its first n_old rows, block by block."""
        factor = np.zeros((n, n))
        factor[:n_old, :n_old] = self._factor[:n_old, :n_old]
        edges: list[int] = [*_edges(n), n]
        for start, end in pairwise(edges):
            if end <= max(n_old, start):
                continue
            rows = slice(start, end)
            to = parts.labelled[places[: rows.stop]]
            among = self._kernel(parts.to_pool(to, places[rows]))
            factor[rows, :start] = lower_solved(factor[:start, :start], among[:, :start].T).T
            own = among[:, start:] - factor[rows, :start] @ factor[rows, :start].T
            own += np.diag(diagonal[rows])
            factor[rows, rows] = np.linalg.cholesky(own)
        return factor


def _edges(n: int) -> list[int]:
    """Where blocks begin, and where the last whole one among n labels ends."""
    edges: list[int] = []
    start = 0
    for end, size in BLOCKS:
        edges += range(start, min(end, n + 1), size)
        start = end
    return edges


def for_all(work: Callable[[slice], None], n_candidates: int, *, n_at_once: int = _COLUMNS) -> None:
    """Do it for some candidates at a time, on all cores: each of them depends on itself alone."""
    slices = (slice(start, min(start + n_at_once, n_candidates)) for start in range(0, n_candidates, n_at_once))
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:
        for _ in threads.map(work, slices):
            pass
