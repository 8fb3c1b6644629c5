"""Pictures of crystal structures: the conventional cell, its edges, and its atoms, those on a face repeated on the opposite one.

spglib finds the symmetry. The two elements have the same two colours in every structure of a campaign.
"""

from __future__ import annotations

import base64
import itertools
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from hullscout.figures.symmetry import SYMMETRY_TOLERANCE, prototype, symmetry_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hullscout.pool import Candidate

# Of the first and the second element: told apart by the colour-blind and in grey.
COLOURS = ("#56B4E9", "#D55E00")
# A site nearer to a face of the cell than this fraction of an edge is on it, and shown on the opposite face as well.
ON_A_FACE = 1e-3
# Radius of an atom in a picture over its covalent radius.
SHARE_OF_RADIUS = 0.5
PIXELS = 160
# Turned about the third axis, then tilted towards the reader, in degrees: that axis points upwards, seen a little from above.
VIEW = (-20.0, -75.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DrawnCell:
    """What is drawn of a crystal.

    Attributes:
        space_group: Symbol and number, for example `Fm-3m (225)`; empty where no symmetry was found.
        prototype: For example `L1_2`; empty where it is none of the common ones.
        n_atoms: Atoms in the cell, each counted once.
        cell: (3, 3) row vectors in A.
        numbers: (m,) atomic numbers of the atoms drawn; those on a face more than once.
        positions: (m, 3) where they are, in A.
        edges: (12, 2, 3) ends of the edges of the cell, in A.
    """

    space_group: str
    prototype: str
    n_atoms: int
    cell: NDArray[np.float64]
    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    edges: NDArray[np.float64]


def drawn_cell(candidate: Candidate) -> DrawnCell:
    """The conventional cell of a candidate in the standard orientation; its own cell where spglib finds no symmetry."""
    symmetry = symmetry_of(candidate, candidate.numbers, tolerance=SYMMETRY_TOLERANCE)
    own = (candidate.cell, np.linalg.solve(candidate.cell.T, candidate.positions.T).T, candidate.numbers)
    cell, fractions, kinds = (
        own if symmetry is None else (symmetry.std_lattice, symmetry.std_positions, symmetry.std_types)
    )
    fractions = fractions - np.floor(fractions + ON_A_FACE)
    numbers, sites = [], []
    for number, site in zip(kinds.tolist(), fractions, strict=True):
        for shift in itertools.product(*((0, 1) if abs(f) <= ON_A_FACE else (0,) for f in site.tolist())):
            numbers.append(number)
            sites.append(site + shift)
    corners = np.array(list(itertools.product((0, 1), repeat=3)))
    pairs = [(a, b) for a, b in itertools.combinations(corners, 2) if np.abs(a - b).sum() == 1]
    return DrawnCell(
        space_group="" if symmetry is None else f"{symmetry.international} ({symmetry.number})",
        prototype=prototype(candidate) or "",
        n_atoms=len(kinds),
        cell=cell,
        numbers=np.asarray(numbers, dtype=np.int64),
        positions=np.asarray(sites) @ cell,
        edges=np.asarray(pairs) @ cell,
    )


def picture(drawn: DrawnCell, elements: tuple[str, ...]) -> str:
    """A structure as a PNG picture, in the form of a `data:` address: nearer atoms cover farther ones, and all the edges."""
    from ase.data import atomic_numbers, covalent_radii  # noqa: PLC0415  slow to import, as all these
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.collections import EllipseCollection, LineCollection  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415
    from scipy.spatial.transform import Rotation  # noqa: PLC0415

    colour_of = {atomic_numbers[symbol]: colour for symbol, colour in zip(elements, COLOURS, strict=True)}
    view = Rotation.from_euler("zx", VIEW, degrees=True)
    at, edges = view.apply(drawn.positions), view.apply(drawn.edges.reshape(-1, 3)).reshape(-1, 2, 3)
    order = np.argsort(at[:, 2])
    diameters = 2 * SHARE_OF_RADIUS * covalent_radii[drawn.numbers[order]]
    figure = Figure(figsize=(1, 1), dpi=PIXELS)
    FigureCanvasAgg(figure)
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_axis_off()
    ax.set_aspect("equal")
    middle = (edges.reshape(-1, 3).min(axis=0) + edges.reshape(-1, 3).max(axis=0)) / 2
    reach = np.abs(edges.reshape(-1, 3) - middle)[:, :2].max() + diameters.max() / 2
    ax.set_xlim(middle[0] - 1.03 * reach, middle[0] + 1.03 * reach)
    ax.set_ylim(middle[1] - 1.03 * reach, middle[1] + 1.03 * reach)
    ax.add_collection(LineCollection(list(edges[:, :, :2]), colors="#777777", linewidths=0.5, zorder=1))
    atoms = EllipseCollection(
        diameters,
        diameters,
        np.zeros(order.size),
        units="xy",
        offsets=at[order, :2],
        offset_transform=ax.transData,
        facecolors=[colour_of[number] for number in drawn.numbers[order].tolist()],
        edgecolors="#333333",
        linewidths=0.35,
        zorder=2,
    )
    ax.add_collection(atoms)
    file = BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
