"""Which candidates are the same crystal: a supercell, rotated, mirrored, shifted, reordered, in another choice of cell.

Three sieves and a judge. Structures of one composition are compared by the mean distance to the k-th neighbour of each
kind (average minimum distances); then by the same distances atom by atom (pointwise distance distributions); then,
since enumerated pools hold crystals that differ only in angles, by how the neighbours of each kind lie around each atom
(eigenvalues of second moments). Each of these changes by no more than a known multiple of any displacement of the
atoms, whatever the cell, so that no twin is lost. Crystals that differ can still agree in all of them, so pymatgen's
StructureMatcher decides about the few pairs that are left.

Source: D. Widdowson, M. Mosca, A. Pulido, A. Cooper, V. Kurlin, MATCH Commun. Math. Comput. Chem. 87, 529 (2022)
(average minimum distances); D. Widdowson, V. Kurlin, NeurIPS 35 (2022) (pointwise distance distributions). Deviations:
distances are kept by the kinds of both atoms, and atoms are paired by the nearest row instead of the earth mover's
distance.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hullscout.pool.candidate import Candidate

TWIN_TOLERANCE = 1e-3
"""Crystals that can be laid on each other, atoms and cell vectors coinciding within about this many A, are twins."""

CONFLICT_EV_PER_ATOM = 0.001
"""Twins whose energies differ by more than this (not by exactly this) are reported."""

_SIEVE_WIDTH = 3 * TWIN_TOLERANCE  # 2 for the two atoms of a distance, 1 for the cell vectors between them
_N_NEAREST = 24
_MOMENT_RADIUS = 5.0  # A: first and second shell of a metal; the distances before look further


def find_twins(candidates: Sequence[Candidate]) -> tuple[tuple[int, ...], ...]:
    """Groups of candidates that are one crystal; a candidate without a twin is a group of one.

    A group gathers what matches its first member, within TWIN_TOLERANCE. The order decides who is first. Every index is there once,
    groups in the order of their first members, members in ascending order.
    """
    by_composition: defaultdict[tuple[bytes, bytes], list[int]] = defaultdict(list)
    for index, candidate in enumerate(candidates):
        numbers, counts = np.unique(candidate.numbers, return_counts=True)
        amounts = counts // np.gcd.reduce(counts)  # the smallest whole ones
        by_composition[numbers.tobytes(), amounts.tobytes()].append(index)
    groups: list[tuple[int, ...]] = []
    for indices in by_composition.values():
        members = _group([candidates[index] for index in indices])
        groups.extend(tuple(indices[member] for member in group) for group in members)
    return tuple(sorted(groups))


def _group(candidates: Sequence[Candidate]) -> list[list[int]]:
    """Groups of twins among candidates of one composition."""
    if len(candidates) == 1:
        return [[0]]
    rows = [_distances(candidate) for candidate in candidates]
    # (candidates, kinds x kinds x k) mean over the atoms of a kind of their sorted neighbour distances
    means = np.array([np.concatenate([row.mean(axis=0) for row in of_kinds]) for of_kinds in rows])
    # one number per crystal, within the sieve's width for twins: sorted, it leaves a short window to compare with
    key = means.mean(axis=1)
    order = np.argsort(key, kind="stable")
    starts = np.searchsorted(key[order], key - _SIEVE_WIDTH, side="left")
    stops = np.searchsorted(key[order], key + _SIEVE_WIDTH, side="right")
    is_grouped = np.zeros(len(candidates), dtype=np.bool_)
    groups: list[list[int]] = []
    for first in range(len(candidates)):
        if is_grouped[first]:
            continue
        window = np.sort(order[starts[first] : stops[first]])
        window = window[(window > first) & ~is_grouped[window]]
        close = window[(np.abs(means[window] - means[first]) <= _SIEVE_WIDTH).all(axis=1)]
        alike = [other for other in close.tolist() if _has_same_rows(rows[first], rows[other])]
        group = [first, *(other for other in alike if _is_same_crystal(candidates[first], candidates[other]))]
        is_grouped[group] = True
        groups.append(group)
    return groups


def _distances(candidate: Candidate) -> list[NDArray[np.float64]]:
    """For each kind, (atoms, kinds x k) sorted neighbour distances in A, unchanged by the choice of the cell."""
    from hullscout.neighbors import nearest_distances  # noqa: PLC0415  (late: numba)

    symbols, kinds = np.unique(candidate.numbers, return_inverse=True)
    distances = nearest_distances(candidate.positions, candidate.cell, kinds, _N_NEAREST)
    flat = distances.reshape(candidate.n_atoms, -1)
    return [flat[kinds == kind] for kind in range(len(symbols))]


def _has_same_rows(one: Sequence[NDArray[np.float64]], other: Sequence[NDArray[np.float64]]) -> bool:
    """Every atom has a partner in the other crystal that sees the same distances, and the other way round."""
    return all(
        _has_partners(np.abs(mine[:, None, :] - theirs[None, :, :]).max(axis=2) <= _SIEVE_WIDTH)
        for mine, theirs in zip(one, other, strict=True)
    )


def _has_partners(is_alike: NDArray[np.bool_]) -> bool:
    """Every row and every column has something that is alike."""
    return bool(is_alike.any(axis=1).all() and is_alike.any(axis=0).all())


def second_moments(
    positions: NDArray[np.float64], cell: NDArray[np.float64], kinds: NDArray[np.intp], radius: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How the neighbours of each kind lie around each atom: M = sum_j c(d_j) u_j u_j^T, c(d) = (1 - d^2 / radius^2)^2.

    u_j is the unit vector to neighbour j. Positions (n, 3) differ; of the kinds (n,) every one from 0 to the last occurs. Given
    back are (n, n_kinds, 3, 3) tensors, and (n,) the most that the tensors of an atom, all kinds together, can change (Frobenius
    norm) per A by which neighbours move: `sum_j |c'(d_j)| + 2 c(d_j) / d_j`.
    """
    from hullscout.neighbors import list_neighbors  # noqa: PLC0415  (late: numba)

    starts, others, vectors = list_neighbors(positions, cell, np.ones(3, dtype=np.bool_), radius)
    n, n_kinds = len(positions), int(kinds.max()) + 1
    centers = np.repeat(np.arange(n), np.diff(starts))
    square = (vectors * vectors).sum(axis=1)
    fall = 1.0 - square / radius**2
    weighted = vectors * (fall * fall / square)[:, None]
    rows = centers * n_kinds + kinds[others]
    products = (weighted[:, a] * vectors[:, b] for a in range(3) for b in range(3))
    tensors = np.stack([np.bincount(rows, product, n * n_kinds) for product in products], axis=1)
    distances = np.sqrt(square)
    stiffness = np.bincount(centers, 4.0 * distances / radius**2 * fall + 2.0 * fall * fall / distances, n)
    return np.asarray(tensors.reshape(n, n_kinds, 3, 3), np.float64), np.asarray(stiffness, np.float64)


def _has_same_angles(one: Candidate, other: Candidate) -> bool:
    """Every atom has a partner in the other crystal around which the neighbours lie alike, and the other way round.

    Compared are the sorted eigenvalues of each kind's second moment M_a and of M_a + 2 M_b. By Weyl's inequality they
    move by no more than 2 x stiffness x displacement.
    """
    spectra, kinds, slack = _moment_spectra(one)
    other_spectra, other_kinds, _ = _moment_spectra(other)
    is_close = np.abs(spectra[:, None, :] - other_spectra[None, :, :]).max(axis=2) <= slack[:, None]
    return _has_partners(is_close & (kinds[:, None] == other_kinds[None, :]))


def _moment_spectra(candidate: Candidate) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.float64]]:
    """Eigenvalues (n, 3 kinds^2), kinds (n,) and the slack (n,) that twins may differ by."""
    symbols, kinds = np.unique(candidate.numbers, return_inverse=True)
    n_kinds = len(symbols)
    moments, stiffness = second_moments(candidate.positions, candidate.cell, kinds, _MOMENT_RADIUS)
    mixed = [moments[:, a] + (2 * moments[:, b] if a != b else 0) for a in range(n_kinds) for b in range(n_kinds)]
    return np.linalg.eigvalsh(np.stack(mixed, axis=1)).reshape(len(kinds), -1), kinds, 2 * _SIEVE_WIDTH * stiffness


def _is_same_crystal(one: Candidate, other: Candidate) -> bool:
    """The judgement of pymatgen's StructureMatcher, unscaled, with all tolerances at TWIN_TOLERANCE.

    It is asked only where angles agree too and the two are not the same numbers anyway.
    """
    if one.has_same_atoms(other):
        return True
    if not _has_same_angles(one, other):
        return False
    from pymatgen.core.structure_matcher import StructureMatcher  # noqa: PLC0415  (late: seldom needed)

    from hullscout.lattice import compact_cell  # noqa: PLC0415  (late: numba)

    # reduced here, not by the matcher: its own reduction overlooks displacements of up to 0.25 A
    small, other_small = (
        replace(candidate, cell=compact_cell(candidate.cell))
        .to_pymatgen()
        .get_primitive_structure(tolerance=2 * TWIN_TOLERANCE)
        for candidate in (one, other)
    )
    relative = TWIN_TOLERANCE / (small.volume / len(small)) ** (1 / 3)
    matcher = StructureMatcher(
        ltol=relative, stol=relative, angle_tol=float(np.degrees(relative)), primitive_cell=False, scale=False
    )
    return bool(matcher.fit(small, other_small))
