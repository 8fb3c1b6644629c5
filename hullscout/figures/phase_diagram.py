"""The phase diagram: candidates, what was calculated, the found hull, the true one, and what the model still believes.

In the manner of figure 4 of Huo & Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022): every candidate at its true energy where
that is known, calculated structures filled and round, the others as triangles. Where the posterior is given, the 95 % band of the
hull, and of each candidate that may be on it the predicted energy, its 95 % interval and the probability.

And the same by the distance to the hull, on an axis that is linear within one meV/atom of it and logarithmic beyond: ground states
and structures of several eV/atom stand in one picture, and predictions below today's hull too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hullscout.display import MILLI, PERCENT
from hullscout.figures import style
from hullscout.figures.axes import into_axes, n_cut
from hullscout.figures.labels import HEAVY, Kept, Label, place_labels
from hullscout.figures.legends import legend_below
from hullscout.figures.prototypes import parent_lattice
from hullscout.figures.sections import Places, Section
from hullscout.figures.structure_names import structure_name
from hullscout.selection import shown_candidates

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from hullscout.pool import Pool
    from hullscout.selection import Belief, Known
    from hullscout.selection.known import Floats, Indices

    Mask = NDArray[np.bool_]
    Names = NDArray[np.str_]
    Intervals = tuple[Floats, Floats, Floats]

# The energy axis shows the hull and this many times its depth above it (at least 60 meV/atom, and the lowest quarter of the
# candidates; where the elements do not mix, three quarters); what lies higher is counted.
HEADROOM = 1.6
MIN_HEADROOM_MEV = 60.0
MIN_SHOWN = 0.25
MIN_SHOWN_WITHOUT_COMPOUNDS = 0.75
# Above the elements it leaves this share of the hull's depth for their labels, whatever else lies there.
ROOM_FOR_ENDS = 0.28
# Below the hull the axis leaves room for rows of labels, in points each and between; a label is at most about so wide.
LABEL_HEIGHT, LABEL_WIDTH, LABEL_GAP = 22.0, 36.0, 14.0
MAX_FOOTROOM = 0.4
MAX_FOOTROOM_WITH_LEGEND, ENTRY_HEIGHT = 0.6, 15.0  # where a legend stands within the axes; points
# Intervals that reach further below the hull than this share of the range above are cut, and counted.
MAX_BELOW = 0.2
# Candidates that are on the hull with at least this probability are drawn with their intervals, and at most so many.
MIN_PROBABILITY = 0.005
MAX_INTERVALS = 40
# What labels keep away from: radii of markers in points, and how much heavier these are than a point of an interval; a hull's line.
MARKER_RADIUS, VERTEX_RADIUS = 2.3, 3.5
MARKER_HEAVIER, LINE_WEIGHT = 10.0, 0.05
# Ends of the scale of these probabilities, in %: the first that holds all.
PROBABILITY_SCALES = (2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
ALONG = np.linspace(-1.0, 1.0, 41)
NO_INTERVALS = (np.empty(0), np.empty(0), np.empty(0))  # places, lower and upper ends
# Of distances to the hull: where their axis is linear.
LINEAR_MEV = 1.0
MARKERS = {"fcc": "o", "bcc": "s", "hcp": "v", "other": "^"}


@into_axes
def draw_phase_diagram(ax: Axes, known: Known, *, belief: Belief | None = None, lattices: bool = False) -> Axes:
    """Draw the phase diagram of two elements into `ax`; vertices of the hull are named with formula and prototype or space group.

    Args:
        lattices: Whether candidates on fcc, bcc and hcp lattices get markers of their own.
    """
    return _draw_section(ax, Section.whole(known), known, belief=belief, lattices=lattices)


@into_axes
def draw_section(
    ax: Axes, known: Known, *, between: tuple[str, str], belief: Belief | None = None, lattices: bool = False
) -> Axes:
    """Draw the phase diagram between two compositions, each a formula or a candidate's id, of any number of elements.

    Raises:
        OutputError: One of them is neither, or both are the same composition.
    """
    section = Section.between(known, *between)
    return _draw_section(ax, section, known, belief=belief, lattices=lattices)


def _draw_section(ax: Axes, section: Section, known: Known, *, belief: Belief | None, lattices: bool) -> Axes:
    found, true, those = known.hull, known.true_hull, section.candidates
    energies = section.relative(section.x, drawn_energies(known, belief)[those]) * MILLI
    points, is_shown = np.column_stack([section.x, energies]), ~np.isnan(energies)
    is_answered, is_failed = np.isin(those, known.answered), np.isin(those, known.failed) & is_shown
    if belief is not None:
        at = belief.BAND_AT
        band = belief.band if section.is_whole else belief.band_ev_per_atom(section.compositions(at))
        low, _, high = section.relative(at, band) * MILLI
        label = "95 % band of the hull"
        ax.fill_between(at, low, high, fc=style.BAND, ec=style.BAND_EDGE, lw=0.6, label=label, zorder=1.5)
    of_each = None
    if lattices:
        pairs = zip(those.tolist(), is_shown.tolist(), strict=True)
        of_each = np.array([parent_lattice(known.pool.candidates[i]) if shown else "" for i, shown in pairs])
    what, energy = ("predicted", "") if true is None else ("not calculated", "true energy")
    color = "none" if lattices else style.NOT_CALCULATED
    is_other = ~is_answered & ~is_failed
    others, n_others = (points, is_shown & is_other), int(is_other.sum())
    _draw_points(
        ax,
        *others,
        "^",
        what,
        energy,
        of_each,
        n=n_others,
        mfc=color,
        mec=style.DARK_ORANGE,
        ms=3.6,
        mew=0.6,
        zorder=2,
    )
    energy = energy or "predicted energy"
    _draw_points(ax, points, is_failed, "x", "failed", energy, None, color=style.found(), ms=4.5, mew=1.1, zorder=8)
    look: dict[str, Any] = {"mfc": style.CALCULATED, "mec": "white", "ms": 3.6, "mew": 0.3, "zorder": 3}
    _draw_points(ax, points, is_answered, "o", style.answered_name(known), "", of_each, **look)
    hulls = [hull for hull in (found, true) if hull is not None]
    lines = [section.hull_line(hull) for hull in hulls]
    if true is not None:
        # Wide, under the narrow one: where the hulls agree both are seen, in grey too.
        ax.plot(lines[1][0], lines[1][1] * MILLI, "-", color=style.TRUE, lw=2.6, label="true hull", zorder=2.5)
    ax.plot(lines[0][0], lines[0][1] * MILLI, "-", color=style.found(), lw=1.1, label="hull found", zorder=4)
    x, at_vertices, _ = section.vertices(found)
    ax.plot(x, at_vertices * MILLI, "o", mfc="none", mec=style.found(), ms=6, mew=1.0, zorder=6)
    lowest, top = _range([line[1] for line in lines], energies)
    believed = None if belief is None else _draw_belief(ax, section, belief)
    low_end, high_end = (np.empty(0), np.empty(0)) if believed is None else believed.ends
    lowest = min(lowest, max(float(low_end.min(initial=0.0)), lowest - MAX_BELOW * (top - lowest)))
    ax.axhline(0, color="0.75", lw=0.5, zorder=1)
    style.set_composition_axis(ax, section.names)
    is_formation = not section.zero_ev_per_atom.any()
    ax.set_ylabel(f"{'formation energy' if is_formation else 'energy relative to the ends'} (meV/atom)")
    ax.set_ylim(lowest - (top - lowest), top)  # the legend names what is seen
    legend_below(ax, n_columns=style.legend_columns(ax))
    bottom = lowest - _footroom(ax, x.size - 2) * (top - lowest)
    ax.set_ylim(bottom, top)
    vertices = np.column_stack([x, at_vertices * MILLI])
    drawn_band = NO_INTERVALS if belief is None else (at, low, high)
    intervals = NO_INTERVALS if believed is None else (believed.x, low_end, high_end)
    style.keep_title(
        ax, style.title_of(known), lambda: _remark(ax, points, vertices, intervals=intervals, band=drawn_band)
    )
    kept = [Kept(np.column_stack(section.hull_points(hull)) * [1.0, MILLI], LINE_WEIGHT) for hull in hulls]
    kept += [Kept(points[is_shown], radius=MARKER_RADIUS), *(() if believed is None else believed.kept)]
    _label_vertices(ax, section, known, avoid=kept)
    return ax


@into_axes
def draw_hull_distance(
    ax: Axes, known: Known, *, belief: Belief | None = None, tolerance_ev_per_atom: float | None = None
) -> Axes:
    """Draw the distance of every candidate to the hull found against its composition; of more than two elements by system.

    Args:
        tolerance_ev_per_atom: The campaign's `stop.hull_tolerance`, drawn as a line on either side of the hull.
    """
    drawn, places = [np.zeros(1)], Places.of(known)

    def heights(those: Indices, formation_ev_per_atom: Floats) -> tuple[Floats, Floats]:
        drawn.append(known.hull.distance(known.fractions[those], formation_ev_per_atom) * MILLI)
        return places.x[those], drawn[-1]

    energies, is_replay = drawn_energies(known, belief), known.true_formation_ev_per_atom is not None
    unknown = np.setdiff1d(known.unknown, known.failed)
    others, failed = (those[~np.isnan(energies[those])] for those in (unknown, known.failed))
    if others.size:
        count = style.counted(others.size, unknown.size)
        what = f"not calculated ({count}, true energy)" if is_replay else f"predicted ({count})"
        ax.plot(*heights(others, energies[others]), "^", ls="", mfc=style.NOT_CALCULATED, mec=style.DARK_ORANGE, ms=3.4, mew=0.5,
                label=what, zorder=2)  # fmt: skip
    if failed.size:
        ax.plot(*heights(failed, energies[failed]), "x", ls="", color=style.found(), ms=4.5, mew=1.1,
                label=f"failed ({failed.size}, {'true' if is_replay else 'predicted'} energy)", zorder=5)  # fmt: skip
    ax.plot(*heights(known.answered, known.formation_ev_per_atom), "o", ls="", color=style.CALCULATED, ms=3.6, mec="white",
            mew=0.3, label=f"{style.answered_name(known)} ({known.answered.size})", zorder=3)  # fmt: skip
    if belief is not None and (chosen := intervals_of(belief)[0]).size:
        half_width = belief.half_width_ev_per_atom()[chosen] * MILLI
        x, mean = heights(chosen, belief.mean_ev_per_atom[chosen])
        drawn += [mean - half_width, mean + half_width]
        ax.errorbar(
            x, mean, half_width, fmt="D", ms=3.4, mfc="white", mec=style.found(), mew=0.7, ecolor=style.BELIEVED, elinewidth=0.7,
            capsize=1.5, capthick=0.7, label="prediction, 95 % interval", zorder=4,
        )  # fmt: skip
    ax.axhline(0, color=style.found(), lw=1.2, zorder=1.5, label="hull found")
    if tolerance_ev_per_atom is not None:
        tolerance = tolerance_ev_per_atom * MILLI
        for at, label in ((tolerance, f"tolerance, {tolerance:g} meV/atom"), (-tolerance, None)):
            ax.axhline(at, color="0.45", lw=0.7, ls=":", zorder=1.5, label=label)
    ax.set_yscale("symlog", linthresh=LINEAR_MEV, linscale=0.7)
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}".replace("-", "\N{MINUS SIGN}"))
    every = np.concatenate(drawn)
    ax.set_ylim(1.6 * float(every.min()) - 0.6, 2.0 * max(float(every.max()), 10.0))
    places.set_axis(ax, known)
    ax.set_ylabel("distance to the hull (meV/atom)")
    style.set_title(ax, style.title_of(known))
    legend_below(ax, n_columns=style.legend_columns(ax))
    return ax


def drawn_energies(known: Known, belief: Belief | None) -> Floats:
    """(n,) eV/atom that each candidate is drawn at: calculated, else true, else predicted; nan where nothing says it.

    And nan for those of a large pool that are not shown, see `shown_candidates`.
    """
    true = known.true_formation_ev_per_atom
    others = true if true is not None or belief is None else belief.mean_ev_per_atom
    energies = np.full(known.n_candidates, np.nan) if others is None else others.copy()
    energies[known.answered] = known.formation_ev_per_atom
    shown = shown_candidates(known, belief)
    if shown.size < known.n_candidates:
        energies[np.delete(np.arange(known.n_candidates), shown)] = np.nan
    return energies


def energy_range(known: Known, belief: Belief | None) -> tuple[float, float]:
    """Lowest and highest energy that a phase diagram shows, in meV/atom, without the room for labels below."""
    hulls = [hull.energy_ev_per_atom for hull in (known.hull, known.true_hull) if hull is not None]
    return _range(hulls, drawn_energies(known, belief) * MILLI)


def _range(hulls_ev_per_atom: list[Floats], energies_mev_per_atom: Floats) -> tuple[float, float]:
    """The same, of energies at the vertices of hulls and of all candidates, relative to the ends of what is drawn."""
    energies = energies_mev_per_atom[~np.isnan(energies_mev_per_atom)]
    energies = energies if energies.size else np.zeros(1)
    lowest = min(float(hull.min()) for hull in hulls_ev_per_atom) * MILLI
    share = MIN_SHOWN_WITHOUT_COMPOUNDS if all(hull.size == 2 for hull in hulls_ev_per_atom) else MIN_SHOWN
    top = max(HEADROOM * -lowest, MIN_HEADROOM_MEV, 1.05 * float(np.quantile(energies, share)))
    return lowest, min(top, max(1.05 * float(energies.max()), MIN_HEADROOM_MEV / 4, ROOM_FOR_ENDS * -lowest))


def intervals_of(belief: Belief) -> tuple[Indices, Floats]:
    """The unknown candidates that may be on the hull, most probable first, and half their 95 % intervals, eV/atom."""
    unknown = belief.known.unknown
    probability = belief.probability_on_hull[unknown]
    n_likely = min(int((probability >= MIN_PROBABILITY).sum()), MAX_INTERVALS)
    chosen = unknown[np.argsort(-probability, kind="stable")[:n_likely]]
    return chosen, belief.half_width_ev_per_atom()[chosen]


def _remark(ax: Axes, points: Floats, vertices: Floats, *, intervals: Intervals, band: Intervals) -> str:
    """What the limits of `ax` cut off, as they are now; empty where nothing.

    Args:
        points: (n, 2) of the candidates, nan where none is drawn.
        vertices: (v, 2) of the hull.
    """
    (left, right), (bottom, top) = sorted(ax.get_xlim()), sorted(ax.get_ylim())
    (x, y), (at, depth) = points.T, vertices.T
    is_beside = (x < left) | (x > right)
    masks = {
        ("vertex of the hull lies", "vertices of the hull lie", "outside"): (
            (at < left) | (at > right) | (depth < bottom) | (depth > top)
        ),
        ("candidate lies", "candidates lie", "above"): ~is_beside & (y > top),
        ("candidate lies", "candidates lie", "below"): ~is_beside & (y < bottom),
        ("candidate lies", "candidates lie", "beside"): is_beside & ~np.isnan(y),
    }
    counts = [(int(mask.sum()), *words) for words, mask in masks.items()]
    cut = [f"{n} {one if n == 1 else many} {where}" for n, one, many, where in counts if n]
    n_leaving = n_cut(ax, *intervals)
    cut += [f"{n_leaving} {'interval leaves' if n_leaving == 1 else 'intervals leave'}"] if n_leaving else []
    cut += ["the band leaves"] if n_cut(ax, *band) else []
    return ", ".join(f"{what} {'it' if place else 'this range'}" for place, what in enumerate(cut))


def _footroom(ax: Axes, n_labels: int) -> float:
    """Room for labels under the lowest energy, over the range above it."""
    width, height = style.room_in_points(ax)
    n_rows = min(1, n_labels) if n_labels * LABEL_WIDTH <= width else 2
    figure, legend = ax.get_figure(root=True), ax.get_legend()
    stands_within = legend is not None and figure is not None and figure.get_layout_engine() is None
    entries = len(legend.get_texts()) if legend is not None and stands_within and n_labels else 0
    needed = LABEL_GAP + n_rows * LABEL_HEIGHT + entries * ENTRY_HEIGHT
    share = min(needed / max(height, 1.0), MAX_FOOTROOM_WITH_LEGEND if entries else MAX_FOOTROOM)
    return share / (1.0 - share)


def _draw_points(
    ax: Axes,
    points: Floats,
    chosen: Mask,
    marker: str,
    what: str,
    energy: str,
    lattices: Names | None,
    *,
    n: int | None = None,
    **look: Any,
) -> None:
    """Markers of chosen candidates (n, 2), counted in the legend, of `n` if more; or of their lattices (n,), if given."""
    count = style.counted(int(chosen.sum()), n)
    groups = [(marker, chosen, f"{what} ({count}{energy and f', {energy}'})")]
    if lattices is not None:
        groups = [
            (marker, chosen & (lattices == lattice), f"{what}, {lattice}{energy and f' ({energy})'}")
            for lattice, marker in MARKERS.items()
        ]
    for marker, those, label in groups:  # noqa: PLR1704
        if those.any():
            ax.plot(*points[those].T, marker, ls="", label=label, **look)


class _Believed(NamedTuple):
    """What may be on the hull: places (n,), predicted energies and half intervals in meV/atom, and probabilities."""

    x: Floats
    mean: Floats
    half_width: Floats
    probability: Floats

    @property
    def ends(self) -> tuple[Floats, Floats]:
        """(n,) ends of the intervals."""
        return self.mean - self.half_width, self.mean + self.half_width

    @property
    def kept(self) -> tuple[Kept, Kept]:
        """Markers and intervals, of which the most probable matter most."""
        share = HEAVY * self.probability / self.probability.max()
        x, along = np.repeat(self.x, ALONG.size), (self.mean[:, None] + np.outer(self.half_width, ALONG)).ravel()
        return (
            Kept(np.column_stack([self.x, self.mean]), MARKER_HEAVIER * share, MARKER_RADIUS),
            Kept(np.column_stack([x, along]), np.repeat(share, ALONG.size)),
        )


def _draw_belief(ax: Axes, section: Section, belief: Belief) -> _Believed | None:
    """Predicted energies and intervals of what may be on the hull, shaded by the probability; None where nothing may be."""
    chosen, half_width = intervals_of(belief)
    is_on_line = np.isin(chosen, section.candidates)
    chosen, half_width = chosen[is_on_line], half_width[is_on_line]
    if not chosen.size:
        return None
    probability = PERCENT * belief.probability_on_hull[chosen]
    highest = min(scale for scale in PROBABILITY_SCALES if scale >= probability.max())
    x, half_width = section.x[np.searchsorted(section.candidates, chosen)], half_width * MILLI
    mean = section.relative(x, belief.mean_ev_per_atom[chosen]) * MILLI
    ax.errorbar(
        x, mean, half_width, fmt="none", ecolor=style.BELIEVED, elinewidth=0.7, capsize=1.5, capthick=0.7, zorder=6.5
    )
    shown = ax.scatter(
        x, mean, c=probability, cmap="Greys", vmin=0, vmax=highest, marker="D", s=14, edgecolors=style.found(), linewidths=0.7,
        label="prediction, 95 % interval", zorder=7,
    )  # fmt: skip
    bar = ax.figure.colorbar(shown, ax=ax, pad=0.015, aspect=30, ticks=[0.0, 0.5 * highest, highest])
    style.label_bar(bar, ax, "P(on the hull) (%)")
    return _Believed(x, mean, half_width, probability)


def _label_vertices(ax: Axes, section: Section, known: Known, *, avoid: list[Kept]) -> None:
    """Write each vertex's formula and prototype or space group below it, at the ends above."""
    x, energies, indices = section.vertices(known.hull)
    at = np.column_stack([x, energies * MILLI])
    labels = [
        Label(text=vertex_name(known.pool, index), x=x, y=y, is_above=x in (0, 1))
        for (x, y), index in zip(at.tolist(), indices.tolist(), strict=True)
    ]
    place_labels(ax, labels, avoid=[*avoid, Kept(at, MARKER_HEAVIER * HEAVY, VERTEX_RADIUS)])


def vertex_name(pool: Pool, index: int) -> str:
    """Formula, and below it the prototype or the space group."""
    names = (style.mathtext_formula(pool.formulas[index]), structure_name(pool.candidates[index]))
    return "\n".join(filter(None, names))
