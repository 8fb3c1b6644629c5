"""Compiled counting: moments of weighted geometry values on panels, for k = 2 and 3.

One index of a tuple runs over the atoms of the cell, the others over neighbours in all images, so that each tuple is
counted once per cell: pairs are met from both ends with half the weight each, angles once at their vertex. Plain arrays
in and out; no broadening here. Every structure writes only its own rows, so results do not depend on the number of
threads.
"""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import math

import numpy as np
from numba import njit

from hullscout.mbtr.neighbor_kernels import find_neighbors, prepare_search

# Codes are positions in the Literal types of term.py.
EXPONENTIAL = 1
INVERSE_SQUARE = 2
INVERSE_PRODUCT = 3
TAPER_COSINE = 0
TAPER_POLYNOMIAL = 1
TAPER_SHARP = 2
DISTANCE = 0
INVERSE_DISTANCE = 1
ANGLE = 0


@njit(cache=True, nogil=True)
def decay(d, weighting, scale):  # type: ignore[no-untyped-def]
    """Return the factor of the weight that belongs to one distance of the path."""
    if weighting == EXPONENTIAL:
        return math.exp(-scale * d)
    if weighting == INVERSE_SQUARE:
        return 1.0 / (d * d)
    if weighting == INVERSE_PRODUCT:
        return 1.0 / d
    return 1.0


@njit(cache=True, nogil=True)
def taper_factor(d, taper, cutoff, sharpness):  # type: ignore[no-untyped-def]
    """Return the factor that ends the weight at the cutoff (1 for a sharp one)."""
    if taper == TAPER_SHARP:
        return 1.0
    if d >= cutoff:
        return 0.0
    t = d / cutoff
    if taper == TAPER_COSINE:
        return 0.5 + 0.5 * math.cos(math.pi * t)
    return 1.0 + sharpness * t ** (sharpness + 1.0) - (sharpness + 1.0) * t**sharpness


@njit(cache=True, nogil=True)
def deposit(moments, row_of, kind, g, w, n, panels):  # type: ignore[no-untyped-def]
    """Add w t^p, p = 0 to 15, to the panel that holds g, for n tuples; return the weight that no panel holds.

    Args:
        moments: Shape (n_rows, n_panels, 16).
        row_of: Row of each kind of tuple.
        kind: Kind of each tuple, shape (>= n,).
        g: Geometry values, shape (>= n,).
        w: Weights, shape (>= n,).
        n: Number of tuples.
        panels: PanelArrays.
    """
    edges, middle, inverse_half, table, table_start, table_inverse = panels
    last = middle.shape[0] - 1
    last_cell = table.shape[0] - 1
    missed = 0.0
    for i in range(n):
        if g[i] < edges[0] or g[i] > edges[last + 1]:
            missed += w[i]
            continue
        panel = table[min(int((g[i] - table_start) * table_inverse), last_cell)]
        while panel < last and g[i] >= edges[panel + 1]:
            panel += 1
        t = (g[i] - middle[panel]) * inverse_half[panel]
        t2 = t * t
        t4 = t2 * t2
        a = w[i]
        b = a * t
        c = a * t2
        e = b * t2
        row = row_of[kind[i]]
        for q in range(0, 16, 4):
            moments[row, panel, q] += a
            moments[row, panel, q + 1] += b
            moments[row, panel, q + 2] += c
            moments[row, panel, q + 3] += e
            a *= t4
            b *= t4
            c *= t4
            e *= t4
    return missed


@njit(cache=True, nogil=True)
def count_pairs(start, stop, structures, radii, most, term, panels, rows, moments, lost):  # type: ignore[no-untyped-def]
    """Count the pairs of structures start to stop.

    Args:
        start: First structure.
        stop: One past the last structure.
        structures: StructureArrays of n structures.
        radii: Search radius per structure, A.
        most: Largest number of neighbours of an atom, per structure.
        term: TermCodes.
        panels: PanelArrays.
        rows: Row of each structure and channel in moments, -1 where it holds none, shape (n, n_channels).
        moments: Output, added to, shape (n_rows, n_panels, 16).
        lost: Output, weight that lies on no panel, shape (n,).
    """
    offsets, species, positions, cells, pbc = structures
    n_elements = term.n_elements
    row_of = np.empty(n_elements, dtype=np.int64)
    for s in range(start, stop):
        search = prepare_search(offsets[s], offsets[s + 1], positions, cells[s], pbc[s], radii[s])
        vectors = np.empty((most[s], 3))
        atoms = np.empty(most[s], dtype=np.int64)
        g, w = np.empty(most[s]), np.empty(most[s])
        missed = 0.0
        for i in range(offsets[s], offsets[s + 1]):
            n, _ = find_neighbors(i, offsets[s], offsets[s + 1], positions, pbc[s], search, radii[s], vectors, atoms)
            for e in range(n_elements):
                row_of[e] = rows[s, term.channels[species[i] * n_elements + e]]
            for a in range(n):
                d = math.sqrt(vectors[a, 0] ** 2 + vectors[a, 1] ** 2 + vectors[a, 2] ** 2)
                w[a] = 0.5 * decay(d, term.weighting, term.scale)
                w[a] *= taper_factor(d, term.taper, term.cutoff, term.sharpness)
                g[a] = d
                if term.geometry != DISTANCE:
                    g[a] = 1.0 / d if term.geometry == INVERSE_DISTANCE else 1.0 / (d * d)
                atoms[a] = species[atoms[a]]
            missed += deposit(moments, row_of, atoms, g, w, n, panels)
        lost[s] = missed


@njit(cache=True, nogil=True)
def count_angles(start, stop, structures, radii, most, term, panels, rows, moments, lost):  # type: ignore[no-untyped-def]  # noqa: C901 - one loop nest
    """Count the angles of structures start to stop; arguments as in count_pairs."""
    offsets, species, positions, cells, pbc = structures
    n_elements, weighting, taper, scale, cutoff = term.n_elements, term.weighting, term.taper, term.scale, term.cutoff
    needs_third = weighting in {EXPONENTIAL, INVERSE_SQUARE, INVERSE_PRODUCT} or taper == TAPER_SHARP
    longest = 2.0 * cutoff * (1.0 + 1e-12) if taper == TAPER_SHARP else math.inf
    row_of = np.empty(n_elements, dtype=np.int64)
    for s in range(start, stop):
        search = prepare_search(offsets[s], offsets[s + 1], positions, cells[s], pbc[s], radii[s])
        vectors = np.empty((most[s], 3))
        atoms = np.empty(most[s], dtype=np.int64)
        x, y, z = np.empty(most[s]), np.empty(most[s]), np.empty(most[s])
        length, leg = np.empty(most[s]), np.empty(most[s])
        g, w = np.empty(most[s]), np.empty(most[s])
        missed = 0.0
        for j in range(offsets[s], offsets[s + 1]):
            n, _ = find_neighbors(j, offsets[s], offsets[s + 1], positions, pbc[s], search, radii[s], vectors, atoms)
            for a in range(n):
                d = math.sqrt(vectors[a, 0] ** 2 + vectors[a, 1] ** 2 + vectors[a, 2] ** 2)
                x[a], y[a], z[a] = vectors[a, 0] / d, vectors[a, 1] / d, vectors[a, 2] / d
                length[a] = d
                leg[a] = decay(d, weighting, scale) * taper_factor(d, taper, cutoff, term.sharpness)
                atoms[a] = species[atoms[a]]
            for a in range(n):
                for e in range(n_elements):
                    row_of[e] = rows[s, term.channels[(atoms[a] * n_elements + species[j]) * n_elements + e]]
                for b in range(a):  # no branches: one vector instruction does several
                    g[b] = min(1.0, max(-1.0, x[a] * x[b] + y[a] * y[b] + z[a] * z[b]))
                    w[b] = leg[a] * leg[b]
                if needs_third:
                    for b in range(a):
                        third = math.sqrt(
                            (length[a] * x[a] - length[b] * x[b]) ** 2
                            + (length[a] * y[a] - length[b] * y[b]) ** 2
                            + (length[a] * z[a] - length[b] * z[b]) ** 2
                        )
                        w[b] *= decay(third, weighting, scale)
                        if length[a] + length[b] + third > longest:
                            w[b] = 0.0
                if term.geometry == ANGLE:
                    for b in range(a):
                        cx = y[a] * z[b] - z[a] * y[b]
                        cy = z[a] * x[b] - x[a] * z[b]
                        cz = x[a] * y[b] - y[a] * x[b]
                        g[b] = math.atan2(math.sqrt(cx * cx + cy * cy + cz * cz), g[b])
                missed += deposit(moments, row_of, atoms, g, w, a, panels)
        lost[s] = missed
