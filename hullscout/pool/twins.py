"""Which candidates are the same crystal: a supercell, rotated, mirrored, shifted, reordered, in another choice of cell.

Three sieves and a judge. Structures of one composition are compared by the mean distance to the k-th neighbour of each
kind (average minimum distances); then by the same distances atom by atom (pointwise distance distributions); then,
since enumerated pools hold crystals that differ only in angles, by how the neighbours of each kind lie around each atom
(eigenvalues of second moments). Each of these changes by no more than a known multiple of any displacement of the
atoms, whatever the cell, so that no twin is lost. Crystals that differ can still agree in all of them, so pymatgen's
StructureMatcher decides about the few pairs that are left.

Magnetic orderings of one crystal are no twins, since their energies differ. Whether two are one ordering is judged by the same
matcher, with atoms of one element and different moments as different elements: so moments that symmetry makes equal are equal, and
one ordering with every moment turned round is the same.

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

from hullscout.pool.moments import has_moments

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from hullscout.pool.candidate import Candidate

TWIN_TOLERANCE = 1e-3
"""Crystals that can be laid on each other, atoms and cell vectors coinciding within about this many A, are twins."""

RELAXED_TOLERANCE = 0.05
"""So of crystals that were relaxed apart: as near to one minimum as forces of some 0.02 eV/A leave them."""

MOMENT_TOLERANCE = 0.1
"""Moments of one element that lie no further apart than this many Bohr magnetons, from one to the next, count as equal."""

CONFLICT_EV_PER_ATOM = 0.001
"""Twins whose energies differ by more than this (not by exactly this) are reported."""

_SIEVE_WIDTHS = 3  # tolerances: 2 for the two atoms of a distance, 1 for the cell vectors between them
_N_NEAREST = 24
_MOMENT_RADIUS = 5.0  # A: first and second shell of a metal; the distances before look further


def find_twins(
    candidates: Sequence[Candidate],
    *,
    crystals: Sequence[tuple[int, ...]] | None = None,
    tolerance: float = TWIN_TOLERANCE,
) -> tuple[tuple[int, ...], ...]:
    """Groups of candidates that are one crystal in one magnetic ordering; a candidate without a twin is a group of one.

    A group gathers what matches its first member, within the tolerance (A) and MOMENT_TOLERANCE. The order decides who is first.
    Every index is there once, groups in the order of their first members, members in ascending order. `crystals` is what
    `find_crystals` gives, if that is at hand. Candidates without moments are taken as those whose moments are all zero.
    """
    groups: list[tuple[int, ...]] = []
    for crystal in find_crystals(candidates, tolerance=tolerance) if crystals is None else crystals:
        left = list(crystal)
        while left:
            first = candidates[left[0]]
            group = [left[0], *(other for other in left[1:] if _is_same_ordering(first, candidates[other], tolerance))]
            left = [other for other in left if other not in group]
            groups.append(tuple(group))
    return tuple(sorted(groups))


def twin_among(given: Candidate, candidates: Iterable[Candidate]) -> Candidate | None:
    """The first of the candidates that is the same crystal in the same magnetic ordering; None where none is."""
    composition = reduced_composition(given.numbers)
    alike = [candidate for candidate in candidates if reduced_composition(candidate.numbers) == composition]
    first = next(group[0] for group in find_twins([*alike, given]) if len(alike) in group)
    return alike[first] if first < len(alike) else None


def are_of_one_lattice(one: Candidate, other: Candidate) -> bool:
    """Whether two candidates are one crystal but for their volumes, as relaxed crystals are compared."""
    scale = (other.volume_a3_per_atom / one.volume_a3_per_atom) ** (1 / 3)
    scaled = replace(one, positions=scale * one.positions, cell=scale * one.cell)
    return len(find_twins([scaled, other], tolerance=RELAXED_TOLERANCE)) == 1


def reduced_composition(numbers: NDArray[np.int64]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Atomic numbers, ascending, and how many there are of each in the smallest formula, of atoms (n,)."""
    kinds, counts = np.unique(numbers, return_counts=True)
    return tuple(kinds.tolist()), tuple((counts // np.gcd.reduce(counts)).tolist())


def find_siblings(crystals: Sequence[tuple[int, ...]], twins: Sequence[tuple[int, ...]]) -> tuple[tuple[int, ...], ...]:
    """The first members of the groups of twins that are one crystal in several magnetic orderings, crystal by crystal."""
    firsts = {group[0] for group in twins}
    siblings = (tuple(index for index in crystal if index in firsts) for crystal in crystals)
    return tuple(group for group in siblings if len(group) > 1)


def find_crystals(candidates: Sequence[Candidate], *, tolerance: float = TWIN_TOLERANCE) -> tuple[tuple[int, ...], ...]:
    """Groups of candidates that are one crystal, as `find_twins`, whatever their magnetic moments."""
    by_composition: defaultdict[tuple[tuple[int, ...], tuple[int, ...]], list[int]] = defaultdict(list)
    for index, candidate in enumerate(candidates):
        by_composition[reduced_composition(candidate.numbers)].append(index)
    groups: list[tuple[int, ...]] = []
    for indices in by_composition.values():
        members = _group([candidates[index] for index in indices], tolerance)
        groups.extend(tuple(indices[member] for member in group) for group in members)
    return tuple(sorted(groups))


def _group(candidates: Sequence[Candidate], tolerance: float) -> list[list[int]]:
    """Groups of twins among candidates of one composition."""
    if len(candidates) == 1:
        return [[0]]
    from scipy.spatial import KDTree  # noqa: PLC0415  slow to import

    rows = [_distances(candidate) for candidate in candidates]
    # (candidates, kinds x kinds x k) mean over the atoms of a kind of their sorted neighbour distances
    means = np.array([np.concatenate([row.mean(axis=0) for row in of_kinds]) for of_kinds in rows])
    width = _SIEVE_WIDTHS * tolerance
    # means of means move no further than the means: few numbers per crystal, for which a tree finds those that are near
    keys = means.reshape(len(means), -1, _N_NEAREST // 3).mean(axis=2)
    nearby = KDTree(keys)
    is_grouped = np.zeros(len(candidates), dtype=np.bool_)
    groups: list[list[int]] = []
    for first in range(len(candidates)):
        if is_grouped[first]:
            continue
        near = np.sort(nearby.query_ball_point(keys[first], width, p=np.inf)).astype(np.intp)
        near = near[(near > first) & ~is_grouped[near]]
        close = near[(np.abs(means[near] - means[first]) <= width).all(axis=1)]
        alike = [other for other in close.tolist() if _has_same_rows(rows[first], rows[other], width)]
        group = [
            first,
            *(other for other in alike if _is_same_crystal(candidates[first], candidates[other], tolerance)),
        ]
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


def _has_same_rows(one: Sequence[NDArray[np.float64]], other: Sequence[NDArray[np.float64]], width: float) -> bool:
    """Every atom has a partner in the other crystal that sees the same distances, and the other way round."""
    return all(
        _has_partners(np.abs(mine[:, None, :] - theirs[None, :, :]).max(axis=2) <= width)
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


def _has_same_angles(one: Candidate, other: Candidate, tolerance: float) -> bool:
    """Every atom has a partner in the other crystal around which the neighbours lie alike, and the other way round.

    Compared are the sorted eigenvalues of each kind's second moment M_a and of M_a + 2 M_b. By Weyl's inequality they
    move by no more than 2 x stiffness x displacement.
    """
    spectra, kinds, slack = _moment_spectra(one, tolerance)
    other_spectra, other_kinds, _ = _moment_spectra(other, tolerance)
    is_close = np.abs(spectra[:, None, :] - other_spectra[None, :, :]).max(axis=2) <= slack[:, None]
    return _has_partners(is_close & (kinds[:, None] == other_kinds[None, :]))


def _moment_spectra(
    candidate: Candidate, tolerance: float
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.float64]]:
    """Eigenvalues (n, 3 kinds^2), kinds (n,) and the slack (n,) that twins may differ by."""
    symbols, kinds = np.unique(candidate.numbers, return_inverse=True)
    n_kinds = len(symbols)
    moments, stiffness = second_moments(candidate.positions, candidate.cell, kinds, _MOMENT_RADIUS)
    mixed = [moments[:, a] + (2 * moments[:, b] if a != b else 0) for a in range(n_kinds) for b in range(n_kinds)]
    return (
        np.linalg.eigvalsh(np.stack(mixed, axis=1)).reshape(len(kinds), -1),
        kinds,
        2 * _SIEVE_WIDTHS * tolerance * stiffness,
    )


def _is_same_crystal(one: Candidate, other: Candidate, tolerance: float) -> bool:
    """The judgement of pymatgen's StructureMatcher, unscaled, with all tolerances at this one.

    It is asked only where angles agree too and the two are not the same numbers anyway.
    """
    if _is_same_crystal_as_written(one, other):
        return True
    if not _has_same_angles(one, other, tolerance):
        return False
    from pymatgen.core.structure_matcher import StructureMatcher  # noqa: PLC0415  (late: seldom needed)

    from hullscout.lattice import compact_cell  # noqa: PLC0415  (late: numba)

    # reduced here, not by the matcher: its own reduction overlooks displacements of up to 0.25 A
    small, other_small = (
        replace(candidate, cell=compact_cell(candidate.cell))
        .to_pymatgen()
        .get_primitive_structure(tolerance=2 * tolerance)
        for candidate in (one, other)
    )
    relative = tolerance / (small.volume / len(small)) ** (1 / 3)
    matcher = StructureMatcher(
        ltol=relative, stol=relative, angle_tol=float(np.degrees(relative)), primitive_cell=False, scale=False
    )
    return bool(matcher.fit(small, other_small))


def _is_same_crystal_as_written(one: Candidate, other: Candidate) -> bool:
    """Whether numbers, positions and cell are the same, to the last bit."""
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("numbers", "positions", "cell"))


def _is_same_ordering(one: Candidate, other: Candidate, tolerance: float) -> bool:
    """Whether two candidates that are one crystal have the same magnetic moments, or all of them turned round.

    Vectors along one axis are as numbers along it. Those that are not are compared only where the two are the same atoms anyway, in
    this frame and up to MOMENT_TOLERANCE: which crystals with such moments are the same is not judged.
    """
    if not has_moments(one.magmoms) and not has_moments(other.magmoms):
        return True
    mine, theirs = _along_one_axis(one), _along_one_axis(other)
    if mine is None or theirs is None:
        if mine is not theirs or not _is_same_crystal_as_written(one, other):
            return False
        vectors, other_vectors = np.asarray(one.magmoms), np.asarray(other.magmoms)
        return any(bool((np.abs(vectors - sign * other_vectors) <= MOMENT_TOLERANCE).all()) for sign in (1, -1))
    for turned in (theirs, -theirs):
        kinds, other_kinds = _magnetic_kinds(one.numbers, mine, other.numbers, turned)
        shares, other_shares = (np.bincount(each, minlength=119) / len(each) for each in (kinds, other_kinds))
        if np.allclose(shares, other_shares) and _is_same_crystal(
            replace(one, numbers=kinds, magmoms=None), replace(other, numbers=other_kinds, magmoms=None), tolerance
        ):
            return True
    return False


def _along_one_axis(candidate: Candidate) -> NDArray[np.float64] | None:
    """(n,) moments along the one axis of all of them, zeros where there are no moments; None where they have no such axis."""
    moments = candidate.magmoms
    if moments is None:
        return np.zeros(candidate.n_atoms)
    if moments.ndim == 1:
        return moments
    axis = np.linalg.svd(moments)[2][0]
    along = moments @ axis
    return along if bool((np.abs(moments - along[:, None] * axis) <= MOMENT_TOLERANCE).all()) else None


def _magnetic_kinds(
    numbers: NDArray[np.int64], moments: NDArray[np.float64], others: NDArray[np.int64], turned: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers that stand for element and moment of each atom of two crystals; none above 118 where at most so many occur."""
    elements, values = np.concatenate([numbers, others]), np.concatenate([moments, turned])
    order = np.lexsort((values, elements))
    is_new = np.ones(len(order), dtype=np.bool_)
    is_new[1:] = (np.diff(elements[order]) != 0) | (np.diff(values[order]) > MOMENT_TOLERANCE)
    kinds = np.empty(len(order), dtype=np.int64)
    kinds[order] = np.cumsum(is_new)
    return kinds[: len(numbers)], kinds[len(numbers) :]
