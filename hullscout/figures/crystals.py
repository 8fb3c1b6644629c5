"""Crystal structures: their symmetry and lattice by spglib, the names of common ones, and a picture of their conventional cell."""

from __future__ import annotations

import base64
import itertools
import re
import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hullscout.figures.style import GREEN, ORANGE, PURPLE, SKY, VERMILLION

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hullscout.pool import Candidate

    Floats = NDArray[np.float64]
    Lattice = Literal["fcc", "bcc", "hcp", "other"]

# Positions within this distance in A are equivalent.
SYMMETRY_TOLERANCE = 0.01
# Relaxed atoms still belong to a site of the parent lattice that is at most so far away, in nearest-neighbour distances.
PARENT_TOLERANCE = 0.05
# Of the first and the second element in every picture of a campaign: told apart by the colour-blind and in grey.
COLOURS = (SKY, VERMILLION, GREEN, ORANGE, PURPLE)
# A site nearer to a face of the cell than this fraction of an edge is on it, and shown on the opposite face as well.
ON_A_FACE = 1e-3
# Radius of an atom in a picture over its covalent radius.
SHARE_OF_RADIUS = 0.5
PIXELS = 160
# Turned about the third axis, then tilted towards the reader, in degrees: that axis points upwards, seen a little from above.
VIEW = (-20.0, -75.0)
# Space group and atoms in the primitive cell of the elements in these lattices.
PARENTS: dict[tuple[int, int], Lattice] = {(225, 1): "fcc", (229, 1): "bcc", (194, 2): "hcp"}
# Ordered structures on these lattices, by space group and atoms of each element in the primitive cell, and their names: the
# Strukturbericht, or the crystal named first. Those that lattice, space group and numbers tell for certain: among the
# derivative structures with so many atoms each is the only one.
PROTOTYPES = {
    ("fcc", 123, (1, 1)): "L1_0",
    ("fcc", 166, (1, 1)): "L1_1",
    ("fcc", 221, (1, 3)): "L1_2",
    ("fcc", 139, (1, 3)): "D0_22",
    ("fcc", 139, (2, 6)): "D0_23",
    ("fcc", 87, (1, 4)): "D1_a",
    ("fcc", 71, (1, 2)): "MoPt_2",
    ("bcc", 221, (1, 1)): "B2",
    ("bcc", 227, (2, 2)): "B32",
    ("bcc", 225, (1, 3)): "D0_3",
    ("bcc", 139, (1, 2)): "C11_b",
    ("hcp", 51, (2, 2)): "B19",
    ("hcp", 187, (1, 1)): "B_h",
    ("hcp", 194, (2, 6)): "D0_19",
}


def space_group(candidate: Candidate) -> str | None:
    """International symbol of the space group at a tolerance of 0.01 A, for example `Fm-3m`; None where spglib finds none."""
    dataset = _symmetry(candidate, candidate.numbers)
    return None if dataset is None else str(dataset.international)


def parent_lattice(candidate: Candidate) -> Lattice:
    """The lattice that the sites form, whatever the elements on them: within a twentieth of the nearest-neighbour distance."""
    volume = abs(float(np.linalg.det(candidate.cell))) / candidate.n_atoms
    nearest = (np.sqrt(2.0) * volume) ** (1.0 / 3.0)  # of close-packed spheres of this volume per atom
    dataset = _symmetry(candidate, np.ones_like(candidate.numbers), tolerance=PARENT_TOLERANCE * nearest)
    if dataset is None:
        return "other"
    n_primitive = len(set(dataset.mapping_to_primitive.tolist()))
    return PARENTS.get((int(dataset.number), n_primitive), "other")


def prototype(candidate: Candidate) -> str | None:
    """Name of a common ordered structure, for example `L1_2`, or the lattice of an element; None of any other."""
    dataset = _symmetry(candidate, candidate.numbers)
    if dataset is None:
        return None
    _, first = np.unique(dataset.mapping_to_primitive, return_index=True)
    counts = tuple(sorted(np.unique(candidate.numbers[first], return_counts=True)[1].tolist()))
    if len(counts) == 1:
        return PARENTS.get((int(dataset.number), counts[0]))
    if not any((int(dataset.number), counts) == key[1:] for key in PROTOTYPES):
        return None
    return PROTOTYPES.get((parent_lattice(candidate), int(dataset.number), counts))


def mathtext_structure(candidate: Candidate) -> str:
    """How a label names a structure: its prototype, else its space group with bars and screw axes as printed, else nothing."""
    name = prototype(candidate)
    if name is not None:
        return re.sub(r"_(\w+)", r"$_{\1}$", name)
    symbol = space_group(candidate) or ""
    return symbol and "$" + re.sub(r"_(\d)", r"_{\1}", re.sub(r"-(\d)", r"\\bar{\1}", symbol)) + "$"


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
    """

    space_group: str
    prototype: str
    n_atoms: int
    cell: Floats
    numbers: NDArray[np.int64]
    positions: Floats
    edges: Floats


def drawn_cell(candidate: Candidate) -> DrawnCell:
    """The conventional cell of a candidate in the standard orientation; its own cell where spglib finds no symmetry."""
    symmetry = _symmetry(candidate, candidate.numbers)
    if symmetry is None:
        cell, sites, kinds = candidate.cell, _fractions(candidate), candidate.numbers
    else:
        cell, sites, kinds = symmetry.std_lattice, symmetry.std_positions, symmetry.std_types
    sites = sites - np.floor(sites + ON_A_FACE)
    numbers, shown = [], []
    for number, site in zip(kinds.tolist(), sites, strict=True):
        for shift in itertools.product(*((0, 1) if abs(f) <= ON_A_FACE else (0,) for f in site.tolist())):
            numbers.append(number)
            shown.append(site + shift)
    corners = np.array(list(itertools.product((0, 1), repeat=3)))
    pairs = [(a, b) for a, b in itertools.combinations(corners, 2) if np.abs(a - b).sum() == 1]
    return DrawnCell(
        space_group="" if symmetry is None else f"{symmetry.international} ({symmetry.number})",
        prototype=prototype(candidate) or "",
        n_atoms=len(kinds),
        cell=cell,
        numbers=np.asarray(numbers, dtype=np.int64),
        positions=np.asarray(shown) @ cell,
        edges=np.asarray(pairs) @ cell,
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


def _symmetry(candidate: Candidate, kinds: NDArray[np.int64], *, tolerance: float = SYMMETRY_TOLERANCE) -> Any:
    """The symmetry of a candidate, its atoms told apart by kinds (n,), as spglib's dataset; None where it finds none."""
    import spglib  # noqa: PLC0415  slow to import

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of how errors are told: both ways are heeded here
            return spglib.get_symmetry_dataset((candidate.cell, _fractions(candidate), kinds), symprec=tolerance)  # type: ignore[arg-type]  # arrays
    except spglib.SpglibError:
        return None


def _fractions(candidate: Candidate) -> Floats:
    """(n, 3) positions in units of the cell."""
    return np.asarray(np.linalg.solve(candidate.cell.T, candidate.positions.T).T, dtype=np.float64)
