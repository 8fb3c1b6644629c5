"""Shapes of kernels in one pass: plain arrays in and out. In numpy each step of a formula would be an array of its own."""

import math

import numpy as np

from hullscout.compiling import njit


@njit(cache=True, nogil=True)
def matern32(separations, scale):  # type: ignore[no-untyped-def]
    """(n,) of (1 + s) exp(-s), s = sqrt(3 r), r = scale x squared separations (n,)."""
    values = np.empty(separations.size)
    for i in range(separations.size):
        root = math.sqrt(3.0 * scale * separations[i])
        values[i] = (1.0 + root) * math.exp(-root)
    return values


@njit(cache=True, nogil=True)
def matern52(separations, scale):  # type: ignore[no-untyped-def]
    """(n,) of (1 + s + s^2/3) exp(-s), s = sqrt(5 r), r = scale x squared separations (n,)."""
    values = np.empty(separations.size)
    for i in range(separations.size):
        root = math.sqrt(5.0 * scale * separations[i])
        values[i] = (1.0 + root + root * root / 3.0) * math.exp(-root)
    return values
