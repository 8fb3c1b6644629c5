"""Pictures of crystal structures: the conventional cell, its edges and its atoms."""

from __future__ import annotations

import base64
import itertools
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from hullscout.figures.prototypes import prototype, symmetry
from hullscout.figures.style import GREEN, ORANGE, PURPLE, SKY, VERMILLION

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hullscout.pool import Candidate

    Floats = NDArray[np.float64]

# Of the first and the second element in every picture of a campaign: told apart by the colour-blind and in grey.
COLOURS = (SKY, VERMILLION, GREEN, ORANGE, PURPLE)
# A site nearer to a face of the cell than this fraction of an edge is on it, and shown on the opposite face as well.
ON_A_FACE = 1e-3
# Two atoms are bound where they are no farther apart than this times the distance from either to its nearest neighbour: the first
# shell of fcc, bcc (whose second is at 1.15) and hcp.
BOND = 1.1
# Radius of an atom in a picture over its covalent radius.
SHARE_OF_RADIUS = 0.5
PIXELS = 160
# Turned about the third axis, then tilted towards the reader, in degrees: that axis points upwards, seen a little from above.
VIEW = (-20.0, -75.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DrawnCell:
    """What is drawn of a crystal: its conventional cell with its edges, and atoms on a face on the opposite one too.

    Attributes:
        space_group: Symbol and number, for example `Fm-3m (225)`; empty where no symmetry was found.
        prototype: For example `L1_2`; empty where it is none of the common ones.
        n_atoms: Atoms in the cell, each counted once.
        cell: (3, 3) row vectors in A.
        numbers: (m,) atomic numbers of the atoms drawn; those on a face more than once.
        positions: (m, 3) where they are, in A.
        edges: (12, 2, 3) ends of the edges of the cell, in A.
        bonds: (b, 2) places of atoms drawn that are nearest neighbours, see BOND.
    """

    space_group: str
    prototype: str
    n_atoms: int
    cell: Floats
    numbers: NDArray[np.int64]
    positions: Floats
    edges: Floats
    bonds: NDArray[np.int64]


def drawn_cell(candidate: Candidate) -> DrawnCell:
    """The conventional cell of a candidate in the standard orientation; its own cell where spglib finds no symmetry."""
    from hullscout.neighbors import nearest_distances  # noqa: PLC0415  (late: numba)

    found = symmetry(candidate.cell, candidate.positions, candidate.numbers)
    if found is None:
        sites = np.linalg.solve(candidate.cell.T, candidate.positions.T).T
        cell, kinds = candidate.cell, candidate.numbers
    else:
        cell, sites, kinds = found.std_lattice, found.std_positions, found.std_types
    sites = sites - np.floor(sites + ON_A_FACE)
    nearest = nearest_distances(sites @ cell, np.asarray(cell), np.zeros(len(kinds), dtype=np.int64), 1).reshape(-1)
    numbers, shown, reach = [], [], []
    for number, site, distance in zip(kinds.tolist(), sites, nearest.tolist(), strict=True):
        for shift in itertools.product(*((0, 1) if abs(f) <= ON_A_FACE else (0,) for f in site.tolist())):
            numbers.append(number)
            shown.append(site + shift)
            reach.append(BOND * distance)
    positions = np.asarray(shown) @ cell
    apart = np.linalg.norm(positions[:, None] - positions, axis=2)
    bonds = np.argwhere(np.triu(apart <= np.maximum.outer(reach, reach), k=1))
    corners = np.array(list(itertools.product((0, 1), repeat=3)))
    pairs = [(a, b) for a, b in itertools.combinations(corners, 2) if np.abs(a - b).sum() == 1]
    return DrawnCell(
        space_group="" if found is None else f"{found.international} ({found.number})",
        prototype=prototype(candidate) or "",
        n_atoms=len(kinds),
        cell=cell,
        numbers=np.asarray(numbers, dtype=np.int64),
        positions=positions,
        edges=np.asarray(pairs) @ cell,
        bonds=bonds,
    )


def picture(drawn: DrawnCell, elements: tuple[str, ...]) -> str:
    """A structure as a PNG picture, in the form of a `data:` address: nearer atoms cover farther ones, and all the edges."""
    from ase.data import atomic_numbers, covalent_radii  # noqa: PLC0415  slow to import, as all these
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.collections import EllipseCollection, LineCollection  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415
    from scipy.spatial.transform import Rotation  # noqa: PLC0415

    colour_of = {atomic_numbers[symbol]: colour for symbol, colour in zip(elements, COLOURS, strict=False)}
    view = Rotation.from_euler("zx", VIEW, degrees=True)
    at, ends = view.apply(drawn.positions), view.apply(drawn.edges.reshape(-1, 3))[:, :2]
    order = np.argsort(at[:, 2])
    diameters = 2 * SHARE_OF_RADIUS * covalent_radii[drawn.numbers[order]]
    figure = Figure(figsize=(1, 1), dpi=PIXELS)
    FigureCanvasAgg(figure)
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_axis_off()
    ax.set_aspect("equal")
    middle = (ends.min(axis=0) + ends.max(axis=0)) / 2
    reach = 1.03 * (np.abs(ends - middle).max() + diameters.max() / 2)
    ax.set_xlim(middle[0] - reach, middle[0] + reach)
    ax.set_ylim(middle[1] - reach, middle[1] + reach)
    ax.add_collection(LineCollection(list(ends.reshape(-1, 2, 2)), colors="#777777", linewidths=0.5, zorder=1))
    colours = [colour_of[number] for number in drawn.numbers[order].tolist()]
    atoms = EllipseCollection(
        diameters, diameters, np.zeros(order.size), units="xy", offsets=at[order, :2], offset_transform=ax.transData,
        facecolors=colours, edgecolors="#333333", linewidths=0.35, zorder=2,
    )  # fmt: skip
    ax.add_collection(atoms)
    stream = BytesIO()
    figure.savefig(stream, format="png", transparent=True, metadata={"Software": None})
    return data_address(stream.getvalue())


def data_address(png: bytes) -> str:
    """A picture in the form of an address, which a page holds in itself."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
