"""Compiled counting: moments of weighted geometry values on panels, for k = 2, 3 and 4.

Neighbours are given, those of some atoms at a time (`hullscout.neighbors.Found`). One index of a tuple runs over the atoms of
the cell, the others over neighbours in all images, so that each tuple is counted once per cell: pairs are met from both ends
with half the weight each, angles once at their vertex, chains i-j-k-l once from j and once, reversed, from k with half the
weight each. Plain arrays in and out; no broadening here.
Every structure writes only its own rows, so results do not depend on the number of threads.
"""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hullscout.compiling import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
DIHEDRAL = 0
STRAIGHT = 1e-6
"""Sine of a bond angle below which a chain has no dihedral angle."""
SAME = 1e-12
"""Squared distance (A^2) below which two ends of a chain are the same atom."""


class TermCodes(NamedTuple):
    """A term in numbers: geometry, weighting and taper are positions in GEOMETRIES[k], Weighting and Taper of term.py."""

    geometry: int
    weighting: int
    taper: int
    scale: float  # 1/A, 0 if there is none
    cutoff: float  # A, infinite if there is none
    sharpness: float
    n_elements: int
    channels: NDArray[np.int64]  # of each ordered element tuple, shape (n_elements**k,)


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
def find_panel(g, panels):  # type: ignore[no-untyped-def]
    """Return the panel that holds g, or -1."""
    edges, _, _, table, table_start, table_inverse = panels
    last = edges.shape[0] - 2
    if g < edges[0] or g > edges[last + 1]:
        return -1
    panel = table[min(int((g - table_start) * table_inverse), table.shape[0] - 1)]
    while panel < last and g >= edges[panel + 1]:
        panel += 1
    return panel


@njit(cache=True, nogil=True)
def deposit(moments, row_of, kind, g, w, n, panels):  # type: ignore[no-untyped-def]
    """Add w t^p, p = 0 to 15, to the panel that holds g, for n tuples; return the weight that no panel holds.

    Geometry values g, weights w and kinds are given per tuple, shape (>= n,), the row of moments, (n_rows, n_panels, 16),
    per kind, and the Panels of axis.py.
    """
    edges, middle, inverse_half, table, table_start, table_inverse = panels
    last, last_cell = middle.shape[0] - 1, table.shape[0] - 1
    missed = 0.0
    for i in range(n):
        if g[i] < edges[0] or g[i] > edges[last + 1]:  # find_panel, written out: most of the time is spent here
            missed += w[i]
            continue
        panel = table[min(int((g[i] - table_start) * table_inverse), last_cell)]
        while panel < last and g[i] >= edges[panel + 1]:
            panel += 1
        t = (g[i] - middle[panel]) * inverse_half[panel]
        t2 = t * t
        t4 = t2 * t2
        a, b = w[i], w[i] * t
        c, e = a * t2, b * t2
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
def count_pairs(found, most, kinds, owners, term, panels, rows, moments, lost, stopped):  # type: ignore[no-untyped-def]
    """Count the pairs of some atoms.

    Args:
        found: Their neighbours, as `hullscout.neighbors.Found` has them.
        most: The largest number of neighbours of an atom.
        kinds: Position in the element set of each atom, shape (n_atoms,).
        owners: Structure of each atom, shape (n_atoms,).
        rows: Row of each structure and channel in moments, -1 where it holds none, shape (n, n_channels).
        moments: Output, added to, shape (n_rows, n_panels, 16).
        lost: Output, added to, weight that lies on no panel, shape (n,).
        stopped: Whether to stop, shape (1,): looked at before each atom, and set from outside.
    """
    first, last, starts, others, vectors = found
    n_elements = term.n_elements
    row_of = np.empty(n_elements, dtype=np.int64)
    kind = np.empty(most, dtype=np.int64)
    g, w = np.empty(most), np.empty(most)
    for i in range(first, last):
        if stopped[0]:
            return
        begin, s = starts[i - first], owners[i]
        n = starts[i - first + 1] - begin
        for e in range(n_elements):
            row_of[e] = rows[s, term.channels[kinds[i] * n_elements + e]]
        for a in range(n):
            x, y, z = vectors[begin + a, 0], vectors[begin + a, 1], vectors[begin + a, 2]
            d = math.sqrt(x * x + y * y + z * z)
            w[a] = 0.5 * decay(d, term.weighting, term.scale)
            w[a] *= taper_factor(d, term.taper, term.cutoff, term.sharpness)
            g[a] = d
            if term.geometry != DISTANCE:
                g[a] = 1.0 / d if term.geometry == INVERSE_DISTANCE else 1.0 / (d * d)
            kind[a] = kinds[others[begin + a]]
        lost[s] += deposit(moments, row_of, kind, g, w, n, panels)


@njit(cache=True, nogil=True)
def count_angles(found, most, kinds, owners, term, panels, rows, moments, lost, stopped):  # type: ignore[no-untyped-def]  # noqa: C901 - one loop nest
    """Count the angles at some atoms; arguments as in count_pairs."""
    first, last, starts, others, vectors = found
    n_elements, weighting, taper, scale, cutoff = term.n_elements, term.weighting, term.taper, term.scale, term.cutoff
    needs_third = 1 <= weighting <= 3 or taper == TAPER_SHARP
    longest = 2.0 * cutoff * (1.0 + 1e-12) if taper == TAPER_SHARP else math.inf
    row_of = np.empty(n_elements, dtype=np.int64)
    kind = np.empty(most, dtype=np.int64)
    x, y, z = np.empty(most), np.empty(most), np.empty(most)
    length, leg = np.empty(most), np.empty(most)
    g, w = np.empty(most), np.empty(most)
    for j in range(first, last):
        if stopped[0]:
            return
        begin, s = starts[j - first], owners[j]
        n = starts[j - first + 1] - begin
        for a in range(n):
            vx, vy, vz = vectors[begin + a, 0], vectors[begin + a, 1], vectors[begin + a, 2]
            d = math.sqrt(vx * vx + vy * vy + vz * vz)
            x[a], y[a], z[a] = vx / d, vy / d, vz / d
            length[a] = d
            leg[a] = decay(d, weighting, scale) * taper_factor(d, taper, cutoff, term.sharpness)
            kind[a] = kinds[others[begin + a]]
        missed = 0.0
        for a in range(n):
            for e in range(n_elements):
                row_of[e] = rows[s, term.channels[(kind[a] * n_elements + kinds[j]) * n_elements + e]]
            for b in range(a):  # no branches: one vector instruction does several
                g[b] = min(1.0, max(-1.0, x[a] * x[b] + y[a] * y[b] + z[a] * z[b]))
                w[b] = leg[a] * leg[b]
            if needs_third:
                for b in range(a):
                    vx = length[a] * x[a] - length[b] * x[b]
                    vy = length[a] * y[a] - length[b] * y[b]
                    vz = length[a] * z[a] - length[b] * z[b]
                    third = math.sqrt(vx * vx + vy * vy + vz * vz)
                    w[b] *= decay(third, weighting, scale)
                    if length[a] + length[b] + third > longest:
                        w[b] = 0.0
            if term.geometry == ANGLE:
                for b in range(a):
                    cx = y[a] * z[b] - z[a] * y[b]
                    cy = z[a] * x[b] - x[a] * z[b]
                    cz = x[a] * y[b] - y[a] * x[b]
                    g[b] = math.atan2(math.sqrt(cx * cx + cy * cy + cz * cz), g[b])
            missed += deposit(moments, row_of, kind, g, w, a, panels)
        lost[s] += missed


@njit(cache=True, nogil=True)
def count_chains(found, most, kinds, owners, term, panels, rows, moments, lost, stopped):  # type: ignore[no-untyped-def]  # noqa: C901 - one loop nest
    """Count the chains of some structures, all atoms of which are given; arguments as in count_pairs."""
    first, last, starts, others, vectors = found
    n_elements = term.n_elements
    row_of = np.empty(n_elements, dtype=np.int64)
    kind = np.empty(most, dtype=np.int64)
    g, w = np.empty(most), np.empty(most)
    bond = np.empty(starts[last - first])
    for a in range(bond.shape[0]):
        d = math.sqrt(vectors[a, 0] * vectors[a, 0] + vectors[a, 1] * vectors[a, 1] + vectors[a, 2] * vectors[a, 2])
        bond[a] = decay(d, term.weighting, term.scale)
        bond[a] *= taper_factor(d, term.taper, term.cutoff, term.sharpness)
    for j in range(first, last):
        s = owners[j]
        for a in range(starts[j - first], starts[j - first + 1]):
            if stopped[0]:
                return
            k = others[a]
            x, y, z = vectors[a, 0], vectors[a, 1], vectors[a, 2]
            square_jk = x * x + y * y + z * z
            for b in range(starts[j - first], starts[j - first + 1]):
                if b == a:
                    continue
                ix, iy, iz = vectors[b, 0], vectors[b, 1], vectors[b, 2]
                px, py, pz = iy * z - iz * y, iz * x - ix * z, ix * y - iy * x
                square_p = px * px + py * py + pz * pz
                if square_p < STRAIGHT**2 * (ix * ix + iy * iy + iz * iz) * square_jk:
                    continue
                channel = ((kinds[others[b]] * n_elements + kinds[j]) * n_elements + kinds[k]) * n_elements
                for e in range(n_elements):
                    row_of[e] = rows[s, term.channels[channel + e]]
                m = 0
                for c in range(starts[k - first], starts[k - first + 1]):
                    lx, ly, lz = vectors[c, 0], vectors[c, 1], vectors[c, 2]
                    ex, ey, ez = x + lx, y + ly, z + lz  # from j to l
                    square_il = (ex - ix) ** 2 + (ey - iy) ** 2 + (ez - iz) ** 2
                    if ex * ex + ey * ey + ez * ez < SAME or square_il < SAME:
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
                    w[m] = 0.5 * bond[a] * bond[b] * bond[c]
                    kind[m] = kinds[others[c]]
                    m += 1
                lost[s] += deposit(moments, row_of, kind, g, w, m, panels)
