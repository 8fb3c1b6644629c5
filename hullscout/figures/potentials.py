"""The chemical-potential diagram: what is stable at which potentials, of two elements as steps, of three as regions of a plane.

Its axes are the potentials of the elements after the first relative to that of the first, each from its own element: what an
exchange of atoms costs. A corner of a region is a facet of the hull, a line between two regions a tie line.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.path import Path
from matplotlib.transforms import Bbox
from scipy.spatial import ConvexHull

from hullscout.display import MILLI, percent
from hullscout.errors import OutputError
from hullscout.figures import style
from hullscout.figures.axes import into_axes
from hullscout.figures.labels import Kept, Label, place_around
from hullscout.figures.legends import legend_below
from hullscout.hull import of_all_elements
from hullscout.selection.chemical_potentials import ChemicalPotentials, corners_of, facet_potentials, slopes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hullscout.hull import Hull
    from hullscout.selection import Belief, Known
    from hullscout.selection.known import Floats

# Room around the corners of regions, over how far these reach, and at least in meV.
ROOM, MIN_ROOM_MEV = 0.25, 30.0
# Samples whose regions are drawn.
MAX_SAMPLES = 40
# So far away, in meV, that it is outside of any diagram.
FAR_MEV = 1e6
# Regions have the colours of the elements, mixed as their compositions are, and so much of white.
ELEMENTS, WHITE = (style.BLUE, style.ORANGE, style.GREEN), 0.62
STEPS = 401


@into_axes
def draw_potentials(ax: Axes, known: Known, *, belief: Belief | None = None) -> Axes:
    """Draw where each ground state is stable, of two or three elements, and how sure that is.

    Raises:
        OutputError: There are more elements.
    """
    elements = known.pool.end_names
    if len(elements) > 3:
        raise OutputError(
            f"potentials: expected two or three elements, which a plane has room for, found {', '.join(elements)}. "
            "`hullscout status` has a table of any number."
        )
    draw = _draw_steps if len(elements) == 2 else _draw_regions
    draw(ax, known, belief)
    legend_below(ax, n_columns=style.legend_columns(ax))
    style.set_title(ax, style.title_of(known))
    _label_regions(ax, ChemicalPotentials.of(known, belief), known)
    return ax


def _draw_steps(ax: Axes, known: Known, belief: Belief | None) -> None:
    """Composition by potential: flat where a phase is stable, a step where two coexist."""
    hull, (first, second) = known.hull, known.pool.end_names
    steps = _slopes(hull)[:, 0]
    low, high = _window(steps)
    at = np.linspace(low, high, STEPS)
    if belief is not None:
        of_samples = [np.broadcast_to(_stable_at(one, at), (n, STEPS)) for one, n in belief.sampled_hulls]
        least, most = np.quantile(np.concatenate(of_samples), (0.025, 0.975), axis=0, method="nearest")
        ax.fill_between(at, least, most, step="mid", fc=style.BAND, ec=style.BAND_EDGE, lw=0.6,
                        label="95 % band", zorder=1.5)  # fmt: skip
    if known.true_hull is not None:
        x, y = _staircase(known.true_hull, low, high).T
        ax.plot(x, y, "-", color=style.TRUE, lw=2.6, label="true hull", zorder=2.5)
    x, y = _staircase(hull, low, high).T
    ax.plot(x, y, "-", color=style.found(), lw=1.1, label="hull found", zorder=4)
    ax.set_xlim(low, high)
    ax.set_ylim(-0.12, 1.12)
    ax.set_xlabel(_exchange(second, first))
    ax.set_ylabel(f"$x$ in {first}$_{{1-x}}${second}$_x$ (atomic fraction)")


def _draw_regions(ax: Axes, known: Known, belief: Belief | None) -> None:
    """The regions of three elements, and the lines between those of samples."""
    from matplotlib.collections import LineCollection  # noqa: PLC0415  after the backend
    from matplotlib.colors import to_rgb  # noqa: PLC0415
    from matplotlib.patches import Polygon  # noqa: PLC0415

    hull, (first, second, third) = known.hull, known.pool.end_names
    colours, corners = np.array([to_rgb(colour) for colour in ELEMENTS]), _slopes(hull)
    for fractions, outline in zip(of_all_elements(hull.fractions), _outlines(hull), strict=True):
        colour = WHITE + (1.0 - WHITE) * (fractions @ colours)
        ax.add_patch(Polygon(outline, fc=colour, ec=style.found(), lw=0.9, zorder=1.5))
    if belief is not None:
        every = [one for one, n in belief.sampled_hulls for _ in range(n)]
        chosen = np.linspace(0, len(every) - 1, min(len(every), MAX_SAMPLES)).astype(int).tolist()
        lines = [outline[[*range(len(outline)), 0]] for place in chosen for outline in _outlines(every[place])]
        label = f"{len(chosen)} samples of the hull"
        ax.add_collection(
            LineCollection(lines, colors=style.BELIEVED, linewidths=0.4, alpha=0.35, zorder=2, label=label)
        )
    if known.true_hull is not None:
        lines = [outline[[*range(len(outline)), 0]] for outline in _outlines(known.true_hull)]
        ax.add_collection(
            LineCollection(lines, colors=style.TRUE, linewidths=1.4, linestyles=":", zorder=3, label="true hull")
        )
    ax.plot([], [], "-", color=style.found(), lw=0.9, label="hull found")
    ax.set_xlim(*_window(corners[:, 0]))
    ax.set_ylim(*_window(corners[:, 1]))
    ax.set_xlabel(_exchange(second, first))
    ax.set_ylabel(_exchange(third, first))


def _label_regions(ax: Axes, potentials: ChemicalPotentials, known: Known) -> None:
    """Name each region in its middle, with the probability that its structure is on the hull."""
    hull, (left, right), (bottom, top) = known.hull, ax.get_xlim(), ax.get_ylim()
    window, labels, lines = Bbox([[left, bottom], [right, top]]), [], []
    if hull.fractions.shape[1] == 1:
        lines = [_staircase(hull, left, right)]
        middles = 0.5 * (lines[0][::2] + lines[0][1::2])
    else:
        lines = [np.asarray(Path(outline).clip_to_bbox(window).to_polygons()[0]) for outline in _outlines(hull)]
        middles = np.array([0.5 * (line.min(axis=0) + line.max(axis=0)) for line in lines])
    for region, (x, y) in zip(potentials.regions, middles.tolist(), strict=True):
        share = [] if region.probability is None else [percent(region.probability)]
        labels.append(Label(text="\n".join([style.mathtext_formula(region.formula), *share]), x=x, y=y, is_above=True))
    at = np.linspace(0.0, 1.0, 60)[:, None]
    avoid = [Kept(a + at * (b - a)) for line in lines for a, b in itertools.pairwise(line)]
    place_around(ax, labels, away=np.tile([0.0, float(hull.fractions.shape[1] == 1)], (len(labels), 1)), avoid=avoid)


def _slopes(hull: Hull) -> Floats:
    """(f, k) potentials of the facets relative to the first element, meV/atom."""
    return slopes(facet_potentials(hull)) * MILLI


def _staircase(hull: Hull, low: float, high: float) -> Floats:
    """(2 m, 2) both ends of the step of each vertex of a hull of two elements, potential and composition."""
    edges = np.concatenate([[low], _slopes(hull)[:, 0], [high]])
    return np.column_stack([np.repeat(edges, 2)[1:-1], np.repeat(hull.x, 2)])


def _stable_at(hull: Hull, at: Floats) -> Floats:
    """(n,) composition that is stable at potentials (n,), of two elements."""
    return hull.x[np.searchsorted(_slopes(hull)[:, 0], at)]


def _outlines(hull: Hull) -> list[Floats]:
    """The (c, 2) outline of the region of each vertex of a hull of three elements, meV/atom; far out where it has no bound."""
    towards = np.array([[1.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])  # where the potential of each element falls without end
    outlines = []
    for fractions, corners in zip(of_all_elements(hull.fractions), corners_of(hull), strict=True):
        bounded = slopes(corners) * MILLI
        points = np.vstack([bounded, *(bounded + FAR_MEV * one for one in towards[fractions == 0.0])])
        outlines.append(points[ConvexHull(points).vertices])
    return outlines


def _window(values: Floats) -> tuple[float, float]:
    """Limits of an axis around all corners."""
    room = max(ROOM * float(np.ptp(values)), MIN_ROOM_MEV)
    return float(values.min()) - room, float(values.max()) + room


def _exchange(one: str, other: str) -> str:
    """What an axis shows: the potential of an element relative to that of another."""
    return rf"$\Delta\mu_\mathrm{{{one}}} - \Delta\mu_\mathrm{{{other}}}$ (meV)"
