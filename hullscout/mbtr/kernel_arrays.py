"""What compiled kernels are handed: plain arrays and numbers, bundled so that calls stay readable."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class StructureArrays(NamedTuple):
    """Structures as flat arrays; see structures.Batch."""

    offsets: NDArray[np.int64]
    species: NDArray[np.int64]
    positions: NDArray[np.float64]
    cells: NDArray[np.float64]
    pbc: NDArray[np.bool_]


class SearchArrays(NamedTuple):
    """What the search for neighbours knows of one structure; see neighbor_kernels.prepare_search.

    Attributes:
        lattice: Reduced lattice vectors as rows, open directions filled by unit normals, shape (3, 3).
        inverse: Its inverse.
        heights: Distances of its opposite faces, A, shape (3,).
        n_bins: Bins along each direction, shape (3,).
        reach: How many bins away a neighbour may lie, shape (3,).
        bins: Bin of each atom as it stands, not wrapped into the cell, shape (n_atoms, 3); empty without a list.
        starts: First member of each bin and the end, shape (n_bins + 1,); empty without a list.
        members: Atoms by bin, counted from the structure's first, shape (n_atoms,).
    """

    lattice: NDArray[np.float64]
    inverse: NDArray[np.float64]
    heights: NDArray[np.float64]
    n_bins: NDArray[np.int64]
    reach: NDArray[np.int64]
    bins: NDArray[np.int64]
    starts: NDArray[np.int64]
    members: NDArray[np.int64]


class PanelArrays(NamedTuple):
    """Panels of an axis in its order, and a table that finds them.

    Attributes:
        edges: Borders, shape (n_panels + 1,); the last is raised by a hair to hold the natural end of the axis.
        middle: Shape (n_panels,).
        inverse_half: 2 / width, shape (n_panels,).
        table: First candidate panel of each cell of a uniform lattice over the axis.
        table_start: Where that lattice starts.
        table_inverse: 1 / its spacing.
    """

    edges: NDArray[np.float64]
    middle: NDArray[np.float64]
    inverse_half: NDArray[np.float64]
    table: NDArray[np.int64]
    table_start: float
    table_inverse: float


class TermCodes(NamedTuple):
    """A term in numbers: geometry, weighting and taper are positions in the tuples of term.py.

    Attributes:
        geometry: Position in GEOMETRIES[k].
        weighting: Position in Weighting.
        taper: Position in Taper.
        scale: 1/A, 0 if there is none.
        cutoff: A, infinite if there is none.
        sharpness: Of the polynomial taper.
        n_elements: Size of the element set.
        channels: Channel of each ordered element tuple, shape (n_elements**k,).
    """

    geometry: int
    weighting: int
    taper: int
    scale: float
    cutoff: float
    sharpness: float
    n_elements: int
    channels: NDArray[np.int64]
