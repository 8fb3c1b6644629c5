"""Compiled derivatives of moments with respect to positions and strain, for k = 2 and 3.

The moments are M_p = sum w t^p, so dM_p = sum (dw t^p + w p t^(p-1) dt): linear in the slopes of weight and geometry.
Degrees of freedom: x, y, z of every atom of the cell (all its images move along), then the nine strain components e_ab
in r_a -> r_a + sum_b e_ab r_b, which moves atoms and cell.

Source: Huo & Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022), equation 6, with the distribution still to be applied.
"""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import math

import numpy as np

from hullscout.compiling import njit
from hullscout.mbtr.kernels import (
    ANGLE,
    DISTANCE,
    EXPONENTIAL,
    INVERSE_DISTANCE,
    INVERSE_PRODUCT,
    INVERSE_SQUARE,
    TAPER_COSINE,
    TAPER_SHARP,
    decay,
    find_panel,
    taper_factor,
)

STRAIGHT = 1e-7
"""Sine of an angle below which the angle has no slope (it has a kink at 0 and pi)."""


@njit(cache=True, nogil=True)
def decay_slope(d, weighting, scale):  # type: ignore[no-untyped-def]
    """Return the derivative of decay."""
    if weighting == EXPONENTIAL:
        return -scale * math.exp(-scale * d)
    if weighting == INVERSE_SQUARE:
        return -2.0 / (d * d * d)
    if weighting == INVERSE_PRODUCT:
        return -1.0 / (d * d)
    return 0.0


@njit(cache=True, nogil=True)
def taper_slope(d, taper, cutoff, sharpness):  # type: ignore[no-untyped-def]
    """Return the derivative of taper_factor; 0 for a sharp cutoff, whose jump has none."""
    if taper == TAPER_SHARP or d >= cutoff:
        return 0.0
    t = d / cutoff
    if taper == TAPER_COSINE:
        return -0.5 * math.pi / cutoff * math.sin(math.pi * t)
    return sharpness * (sharpness + 1.0) * (t**sharpness - t ** (sharpness - 1.0)) / cutoff


@njit(cache=True, nogil=True)
def deposit_slopes(slopes, channel, panels, g, w, g_slope, w_slope, vector, end, start):  # type: ignore[no-untyped-def]
    """Add the change of one tuple's moments as one of its edges changes, the vector from atom start to atom end.

    Geometry value g and weight w have the derivatives g_slope and w_slope by the edge, shape (3,); slopes is the output of
    pair_slopes.
    """
    panel = find_panel(g, panels)
    if panel < 0:
        return
    scale = panels.inverse_half[panel]
    t = (g - panels.middle[panel]) * scale
    strain = slopes.shape[0] - 9
    power, lower = 1.0, 0.0
    for p in range(16):
        for a in range(3):
            change = w_slope[a] * power + w * p * lower * scale * g_slope[a]
            slopes[3 * end + a, channel, panel, p] += change
            slopes[3 * start + a, channel, panel, p] -= change
            for b in range(3):
                slopes[strain + 3 * a + b, channel, panel, p] += change * vector[b]
        lower = power
        power *= t


@njit(cache=True, nogil=True)
def pair_slopes(found, most, kinds, term, panels, slopes, stopped):  # type: ignore[no-untyped-def]  # noqa: ARG001 - as angle_slopes
    """Add the derivatives of the pairs of one structure to slopes, shape (3 n_atoms + 9, n_channels, n_panels, 16).

    Neighbours of its atoms are given as in count_pairs, term is TermCodes, and panels are the Panels of axis.py. It ends early
    where `stopped` says so. Other arguments as in count_pairs.
    """
    first, last, starts, others, all_vectors = found
    for i in range(first, last):
        if stopped[0]:
            return
        vectors = all_vectors[starts[i - first] : starts[i - first + 1]]
        atoms = others[starts[i - first] : starts[i - first + 1]]
        n = len(atoms)
        for a in range(n):
            vector = vectors[a]
            d = math.sqrt(np.sum(vector * vector))
            fall, ramp = decay(d, term.weighting, term.scale), decay_slope(d, term.weighting, term.scale)
            taper = taper_factor(d, term.taper, term.cutoff, term.sharpness)
            bend = taper_slope(d, term.taper, term.cutoff, term.sharpness)
            if term.geometry == DISTANCE:
                g, turn = d, 1.0
            elif term.geometry == INVERSE_DISTANCE:
                g, turn = 1.0 / d, -1.0 / (d * d)
            else:
                g, turn = 1.0 / (d * d), -2.0 / (d * d * d)
            channel = term.channels[kinds[i] * term.n_elements + kinds[atoms[a]]]
            w, w_slope = 0.5 * fall * taper, 0.5 * (ramp * taper + fall * bend) / d * vector
            deposit_slopes(slopes, channel, panels, g, w, turn / d * vector, w_slope, vector, atoms[a], i)


@njit(cache=True, nogil=True)
def angle_slopes(found, most, kinds, term, panels, slopes, stopped):  # type: ignore[no-untyped-def]
    """Add the derivatives of the angles of one structure to slopes; arguments as in pair_slopes."""
    first, last, starts, others, all_vectors = found
    weighting, taper, scale, cutoff = term.weighting, term.taper, term.scale, term.cutoff
    longest = 2.0 * cutoff * (1.0 + 1e-12) if taper == TAPER_SHARP else math.inf
    length, leg, bend = np.empty(most), np.empty(most), np.empty(most)
    for j in range(first, last):
        if stopped[0]:
            return
        vectors = all_vectors[starts[j - first] : starts[j - first + 1]]
        atoms = others[starts[j - first] : starts[j - first + 1]]
        n = len(atoms)
        for a in range(n):
            d = math.sqrt(np.sum(vectors[a] * vectors[a]))
            fall, factor = decay(d, weighting, scale), taper_factor(d, taper, cutoff, term.sharpness)
            length[a] = d
            leg[a] = fall * factor
            bend[a] = decay_slope(d, weighting, scale) * factor
            bend[a] += fall * taper_slope(d, taper, cutoff, term.sharpness)
        for a in range(n):
            u = vectors[a] / length[a]
            for b in range(a):
                v = vectors[b] / length[b]
                across = vectors[a] - vectors[b]
                third = math.sqrt(np.sum(across * across))
                if length[a] + length[b] + third > longest:
                    continue
                cosine = min(1.0, max(-1.0, np.sum(u * v)))
                g, turn = cosine, 1.0
                if term.geometry == ANGLE:
                    x, y, z = u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]
                    sine = math.sqrt(x * x + y * y + z * z)
                    g = math.atan2(sine, cosine)
                    turn = -1.0 / sine if sine > STRAIGHT else 0.0
                three = (kinds[atoms[a]] * term.n_elements + kinds[j]) * term.n_elements + kinds[atoms[b]]
                channel, far = term.channels[three], decay(third, weighting, scale)
                ramp = leg[a] * leg[b] * decay_slope(third, weighting, scale) / third * across
                w = leg[a] * leg[b] * far
                g_slope, w_slope = turn / length[a] * (v - cosine * u), bend[a] * leg[b] * far * u + ramp
                deposit_slopes(slopes, channel, panels, g, w, g_slope, w_slope, vectors[a], atoms[a], j)
                g_slope, w_slope = turn / length[b] * (u - cosine * v), leg[a] * bend[b] * far * v - ramp
                deposit_slopes(slopes, channel, panels, g, w, g_slope, w_slope, vectors[b], atoms[b], j)
