"""The phase diagram of three elements: a triangle of all compositions, with the tie lines between the ground states.

A composition is the point that divides the triangle as the fractions of its elements do: two lines of arithmetic on any `Axes`, for
which no projection of another package is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import Normalize

from hullscout.display import MILLI, PERCENT
from hullscout.figures import style
from hullscout.figures.axes import into_axes
from hullscout.figures.labels import HEAVY, Kept, Label, place_around
from hullscout.figures.legends import legend_below
from hullscout.figures.phase_diagram import drawn_energies, intervals_of, vertex_name
from hullscout.hull import of_all_elements
from hullscout.selection.known import NONE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hullscout.hull import Hull
    from hullscout.selection import Belief, Known
    from hullscout.selection.known import Floats, Indices

# Corners of the triangle, for the elements in their order.
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.5 * 3.0**0.5]])
# Room for labels beside, below and above the triangle, in lengths of a side.
BESIDE, BELOW, ABOVE = 0.2, 0.24, 0.13
TICKS = (0.2, 0.4, 0.6, 0.8)
# Heights above the hull are told apart by colour up to this quantile of them, and at least up to so many meV/atom.
COLOURED_SHARE, MIN_COLOURED_MEV = 0.9, 10.0
# Facets whose planes are nearer than this at all vertices are one, which qhull cut: what cuts it is no tie line.
COPLANAR_EV_PER_ATOM = 1e-9
# Area of a marker of probability, in points^2: of one that is sure, and the least.
SURE_AREA, MIN_AREA = 110.0, 14.0
SHOWN_PROBABILITIES = (0.05, 0.5)
# Points of each tie line that labels keep away from.
ALONG = np.linspace(0.0, 1.0, 25)


def in_triangle(fractions: Floats) -> Floats:
    """(n, 2) points of compositions (n, 2), fractions of the second and third element."""
    return np.asarray(CORNERS[0] + fractions @ (CORNERS[1:] - CORNERS[0]))


def tie_lines(hull: Hull) -> Indices:
    """(t, 2) places of the vertices at the ends of each tie line of a hull of three elements.

    Where more than three phases coexist in one plane, the lines around them and none across.
    """
    heights = np.column_stack([hull.fractions, np.ones(len(hull.fractions))]) @ hull.planes.T
    beside: dict[tuple[int, int], list[int]] = {}
    for place, facet in enumerate(hull.facets.tolist()):
        for ends in ((facet[0], facet[1]), (facet[0], facet[2]), (facet[1], facet[2])):
            beside.setdefault(ends, []).append(place)
    kept = [
        ends
        for ends, facets in beside.items()
        if len(facets) == 1 or np.abs(heights[:, facets[0]] - heights[:, facets[1]]).max() > COPLANAR_EV_PER_ATOM
    ]
    return np.array(sorted(kept), dtype=np.intp)


def coloured_up_to(heights_mev: Floats) -> float:
    """The height above the hull up to which colours tell heights (n,) apart, meV/atom; those that are not known are nan."""
    return max(float(np.quantile(heights_mev[~np.isnan(heights_mev)], COLOURED_SHARE)), MIN_COLOURED_MEV)


@into_axes
def draw_triangle(ax: Axes, known: Known, *, belief: Belief | None = None) -> Axes:
    """Draw the phase diagram of three elements: candidates coloured by their height above the hull, and its tie lines.

    Where several candidates have one composition the lowest lies on top, what is not calculated around what is.
    """
    found, true, energies = known.hull, known.true_hull, drawn_energies(known, belief)
    at, heights = in_triangle(known.fractions), known.hull.distance(known.fractions, energies) * MILLI
    every = np.arange(energies.size)
    is_answered, is_failed = np.isin(every, known.answered), np.isin(every, known.failed)
    _draw_frame(ax)
    is_shown = ~np.isnan(heights)
    top = coloured_up_to(heights)
    norm = Normalize(0.0, top)
    order = np.argsort(-heights, kind="stable")
    others, energy = order[(is_shown & ~is_answered & ~is_failed)[order]], "true" if true is not None else "predicted"
    answered = order[is_answered[order]]
    if others.size:
        x, y = at[others].T
        count = style.counted(others.size, int((~is_answered & ~is_failed).sum()))
        ax.scatter(x, y, s=24, c=heights[others], marker="^", linewidths=0, zorder=5, cmap="viridis_r", norm=norm)
        ax.plot([], [], "^", color=style.GREY, ms=4.5, mew=0, label=f"not calculated ({count}, {energy} energy)")
    x, y = at[answered].T
    shown = ax.scatter(
        x,
        y,
        s=22,
        c=heights[answered],
        marker="o",
        edgecolors="white",
        linewidths=0.5,
        zorder=5.5,
        cmap="viridis_r",
        norm=norm,
    )
    ax.plot([], [], "o", color=style.GREY, ms=4.5, mew=0, label=f"{style.answered_name(known)} ({answered.size})")
    if is_failed.any():
        ax.plot(*at[is_failed].T, "x", ls="", color=style.found(), ms=4.5, mew=1.1, label=f"failed ({is_failed.sum()})",
                zorder=8)  # fmt: skip
    if true is not None:
        # Wide, under the narrow ones: where the hulls agree both are seen, in grey too.
        _draw_lines(ax, true, color=style.TRUE, lw=2.4, label="true hull", zorder=3.5)
    _draw_lines(ax, found, color=style.found(), lw=1.0, label="hull found", zorder=4)
    vertices = in_triangle(found.fractions)
    ax.plot(*vertices.T, "o", mfc="none", mec=style.found(), ms=6, mew=1.0, zorder=6)
    likely = NONE if belief is None else _draw_likely(ax, belief)
    beyond = "max" if heights[is_shown].max() > top else "neither"
    side = "bottom" if style.is_narrow(ax) and not style.is_in_grid(ax) else "right"
    bar = ax.figure.colorbar(shown, ax=ax, location=side, pad=0.01, aspect=30, shrink=0.75, extend=beyond)
    style.label_bar(bar, ax, "height above the hull (meV/atom)")
    legend_below(ax, n_columns=style.legend_columns(ax))
    style.set_title(ax, style.title_of(known))
    _label_vertices(ax, known, likely=likely)
    return ax


def _draw_frame(ax: Axes) -> None:
    """The triangle with a grid, and the fractions of its lines."""
    ax.set_aspect("equal")
    ax.set_axis_off()
    ax.set_xlim(-BESIDE, 1.0 + BESIDE)
    ax.set_ylim(-BELOW, CORNERS[2, 1] + ABOVE)
    for share in TICKS:
        for corner in range(3):
            first, second = (CORNERS[other] for other in range(3) if other != corner)
            ends = share * CORNERS[corner] + (1.0 - share) * np.array([first, second])
            ax.plot(*ends.T, color="0.88", lw=0.5, zorder=0.5)
    ax.plot(*CORNERS[[0, 1, 2, 0]].T, color="0.4", lw=0.7, zorder=1)


def _draw_lines(ax: Axes, hull: Hull, *, label: str, **look: Any) -> None:
    points = in_triangle(hull.fractions)
    for place, ends in enumerate(tie_lines(hull)):
        ax.plot(*points[ends].T, "-", label=None if place else label, solid_capstyle="round", **look)


def _draw_likely(ax: Axes, belief: Belief) -> Indices:
    """What is not calculated and may be on the hull, in sizes of the probability."""
    chosen, _ = intervals_of(belief)
    if not chosen.size:
        return chosen
    probability = belief.probability_on_hull[chosen]
    x, y = in_triangle(belief.known.fractions[chosen]).T
    _diamonds(ax, x, y, probability)
    for share in SHOWN_PROBABILITIES:
        _diamonds(ax, np.empty(0), np.empty(0), share, label=f"P(on the hull) {PERCENT * share:g} %")
    return chosen


def _diamonds(ax: Axes, x: Floats, y: Floats, probability: Floats | float, label: str | None = None) -> None:
    area = MIN_AREA + (SURE_AREA - MIN_AREA) * np.asarray(probability)
    ax.scatter(
        x, y, s=area, marker="D", facecolors="none", edgecolors=style.found(), linewidths=0.8, label=label, zorder=7
    )


def _label_vertices(ax: Axes, known: Known, *, likely: Indices) -> None:
    """Name each vertex beside it: away from the middle of the triangle, where there is room."""
    found, at, middle = known.hull, in_triangle(known.hull.fractions), CORNERS.mean(axis=0)
    labels = [
        Label(text=vertex_name(known.pool, index), x=x, y=y, is_above=y > middle[1])
        for (x, y), index in zip(at.tolist(), found.indices.tolist(), strict=True)
    ]
    is_missing = (of_all_elements(found.fractions) == 0.0).astype(float)
    # Away from the corners of missing elements: out of the triangle; what holds all of them, away from the middle.
    outwards = is_missing @ (middle - CORNERS)
    away = np.where(outwards.any(axis=1, keepdims=True), outwards, at - middle)
    lines = [at[a] + ALONG[:, None] * (at[b] - at[a]) for a, b in tie_lines(found)]
    light = np.vstack([*lines, in_triangle(np.unique(known.fractions, axis=0))])
    heavy = np.vstack([at, in_triangle(known.fractions[likely])])
    place_around(ax, labels, away=away, avoid=[Kept(light), Kept(heavy, HEAVY)])
