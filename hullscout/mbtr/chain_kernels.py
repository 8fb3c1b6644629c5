"""Compiled counting of dihedral angles, k = 4; see kernels.py for the scheme.

A chain i-j-k-l has its second atom j in the cell. It is met once from j and once, reversed, from k, with half the
weight each.
"""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import math

import numpy as np
from numba import njit

from hullscout.mbtr.kernels import decay, deposit, taper_factor
from hullscout.mbtr.neighbor_kernels import find_neighbors, prepare_search

DIHEDRAL = 0
STRAIGHT = 1e-6
"""Sine of a bond angle below which a chain has no dihedral angle."""
SAME = 1e-12
"""Squared distance (A^2) below which two ends are the same atom."""


@njit(cache=True, nogil=True)
def count_chains(start, stop, structures, radii, most, term, panels, rows, moments, lost):  # type: ignore[no-untyped-def]  # noqa: C901, PLR0912, PLR0915 - one loop nest
    """Count the chains of structures start to stop; arguments as in kernels.count_pairs."""
    offsets, species, positions, cells, pbc = structures
    n_elements = term.n_elements
    row_of = np.empty(n_elements, dtype=np.int64)
    for s in range(start, stop):
        search = prepare_search(offsets[s], offsets[s + 1], positions, cells[s], pbc[s], radii[s])
        first, n_atoms = offsets[s], offsets[s + 1] - offsets[s]
        vectors = np.empty((n_atoms, most[s], 3))
        atoms = np.empty((n_atoms, most[s]), dtype=np.int64)
        bond = np.empty((n_atoms, most[s]))
        found = np.empty(n_atoms, dtype=np.int64)
        g, w = np.empty(most[s]), np.empty(most[s])
        kind = np.empty(most[s], dtype=np.int64)
        missed = 0.0
        for i in range(n_atoms):
            n, _ = find_neighbors(
                first + i,
                first,
                offsets[s + 1],
                positions,
                pbc[s],
                search,
                radii[s],
                vectors[i],
                atoms[i],
            )
            found[i] = n
            for a in range(n):
                d = math.sqrt(vectors[i, a, 0] ** 2 + vectors[i, a, 1] ** 2 + vectors[i, a, 2] ** 2)
                bond[i, a] = decay(d, term.weighting, term.scale) * taper_factor(
                    d, term.taper, term.cutoff, term.sharpness
                )
        for j in range(n_atoms):
            for a in range(found[j]):
                k = atoms[j, a] - first
                x, y, z = vectors[j, a, 0], vectors[j, a, 1], vectors[j, a, 2]
                square_jk = x * x + y * y + z * z
                for b in range(found[j]):
                    if b == a:
                        continue
                    ix, iy, iz = vectors[j, b, 0], vectors[j, b, 1], vectors[j, b, 2]
                    px, py, pz = iy * z - iz * y, iz * x - ix * z, ix * y - iy * x
                    square_p = px * px + py * py + pz * pz
                    if square_p < STRAIGHT**2 * (ix * ix + iy * iy + iz * iz) * square_jk:
                        continue
                    e_i, e_j, e_k = species[atoms[j, b]], species[first + j], species[first + k]
                    for e in range(n_elements):
                        row_of[e] = rows[
                            s, term.channels[((e_i * n_elements + e_j) * n_elements + e_k) * n_elements + e]
                        ]
                    m = 0
                    for c in range(found[k]):
                        lx, ly, lz = vectors[k, c, 0], vectors[k, c, 1], vectors[k, c, 2]
                        ex, ey, ez = x + lx, y + ly, z + lz  # from j to l
                        if ex * ex + ey * ey + ez * ez < SAME:
                            continue
                        if (ex - ix) ** 2 + (ey - iy) ** 2 + (ez - iz) ** 2 < SAME:
                            continue
                        qx, qy, qz = y * lz - z * ly, z * lx - x * lz, x * ly - y * lx
                        square_q = qx * qx + qy * qy + qz * qz
                        if square_q < STRAIGHT**2 * (lx * lx + ly * ly + lz * lz) * square_jk:
                            continue
                        cosine = -(px * qx + py * qy + pz * qz)
                        if term.geometry == DIHEDRAL:
                            rx, ry, rz = py * qz - pz * qy, pz * qx - px * qz, px * qy - py * qx
                            g[m] = math.atan2(math.sqrt(rx * rx + ry * ry + rz * rz), cosine)
                        else:
                            g[m] = min(1.0, max(-1.0, cosine / math.sqrt(square_p * square_q)))
                        w[m] = 0.5 * bond[j, a] * bond[j, b] * bond[k, c]
                        kind[m] = species[atoms[k, c]]
                        m += 1
                    missed += deposit(moments, row_of, kind, g, w, m, panels)
        lost[s] = missed
