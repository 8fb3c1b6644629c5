"""Scaling of a structure's features, so that structures of different size can be compared."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hullscout.mbtr.channels import list_channels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hullscout.mbtr.recipe import Normalization
    from hullscout.mbtr.term import Term


def normalize(
    block: NDArray[np.float64],
    term: Term,
    normalization: Normalization,
    element_counts: NDArray[np.int64],
    volumes: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Scale the features of one term.

    Args:
        block: Features, shape (n, n_channels, n_x).
        term: The term.
        normalization: Which scaling; see channel_factors for all but `l2`, which gives each structure's block unit
            length (a block of zeros stays).
        element_counts: Atoms of each element, shape (n, n_elements).
        volumes: Cell volumes, A^3, shape (n,).

    Returns:
        Scaled features, same shape.
    """
    if normalization == "l2":
        length = np.sqrt(np.sum(block**2, axis=(1, 2), keepdims=True))
        return np.asarray(np.divide(block, length, out=np.zeros_like(block), where=length > 0))
    return np.asarray(block * channel_factors(term, normalization, element_counts, volumes)[:, :, None])


def channel_factors(
    term: Term,
    normalization: Normalization,
    element_counts: NDArray[np.int64],
    volumes: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return what the features of each structure and channel are multiplied by.

    `none`: 1. `per_atom`: 1/N. `valle_oganov`: V / (4 pi N_A N_B), with N_A N_A / 2 for equal elements (k = 2), and V /
        (N_A N_B N_C)
    (k = 3), so that a random structure has features near one whatever its size; 0 for elements that are not there.

    Args:
        term: The term.
        normalization: Any but `l2`, which is no factor known beforehand.
        element_counts: Atoms of each element, shape (n, n_elements).
        volumes: Cell volumes, A^3, shape (n,).

    Returns:
        Shape (n, n_channels).

    Source: Valle & Oganov, Acta Cryst. A 66, 507 (2010), in the form of DScribe (Himanen et al., Comput. Phys. Commun.
        247, 106949 (2020)).
    """
    channels = list_channels(element_counts.shape[1], term.k)
    n_atoms = element_counts.sum(axis=1)
    if normalization != "valle_oganov":
        factor = 1.0 / n_atoms if normalization == "per_atom" else np.ones(len(n_atoms))
        return np.repeat(factor[:, None], len(channels), axis=1)
    members = np.array(channels)
    products = np.prod(element_counts[:, members], axis=2).astype(np.float64)
    if term.k == 2:
        products *= 4 * math.pi * np.where(members[:, 0] == members[:, 1], 0.5, 1.0)
    return np.asarray(np.divide(volumes[:, None], products, out=np.zeros_like(products), where=products > 0))


def normalization_slope(
    slopes: NDArray[np.float64],
    block: NDArray[np.float64],
    term: Term,
    normalization: Normalization,
    element_counts: NDArray[np.int64],
    volumes: NDArray[np.float64],
    volume_slopes: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the derivatives of one structure's normalized features from those of the unnormalized ones.

    Args:
        slopes: Derivatives before normalization, shape (n_dof, n_channels, n_x).
        block: Features before normalization, shape (n_channels, n_x).
        term: The term.
        normalization: Which scaling.
        element_counts: Atoms of each element, shape (1, n_elements).
        volumes: Cell volume, A^3, shape (1,).
        volume_slopes: d ln V of each degree of freedom, shape (n_dof,).

    Returns:
        Shape (n_dof, n_channels, n_x).
    """
    if normalization == "l2":
        square = float(np.sum(block**2))
        if square == 0.0:
            return np.zeros_like(slopes)
        along = np.tensordot(slopes, block, axes=2) / square
        return np.asarray((slopes - along[:, None, None] * block) / math.sqrt(square))
    factors = channel_factors(term, normalization, element_counts, volumes)[0]
    scaled = slopes * factors[:, None]
    if normalization == "valle_oganov":
        scaled += volume_slopes[:, None, None] * (block * factors[:, None])
    return np.asarray(scaled)
