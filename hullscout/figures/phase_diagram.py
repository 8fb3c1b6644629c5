"""The phase diagram: candidates, what was calculated, the found hull, the true one, and what the model still believes.

In the manner of figure 4 of Huo & Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022): every candidate at its true energy where
that is known, calculated structures filled and round, the others as triangles. Where the posterior is given, the 95 % band of the
hull, and of each candidate that may be on it the predicted energy, its 95 % interval and the probability.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hullscout.display import MILLI, PERCENT
from hullscout.figures.labels import Label, place_labels
from hullscout.figures.style import (
    BAND,
    BAND_EDGE,
    BELIEVED,
    CALCULATED,
    DARK_ORANGE,
    FOUND,
    NOT_CALCULATED,
    TRUE,
    Width,
    composition_label,
    legend_below,
    mathtext_formula,
    save_figure,
    set_title,
    size_in_points,
    title_of,
)
from hullscout.figures.symmetry import Lattice, mathtext_structure, parent_lattice

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from hullscout.selection import Belief, Known

    Floats = NDArray[np.float64]

# The energy axis shows the hull and this many times its depth above it (at least 60 meV/atom, and the lowest quarter of the
# candidates; where the elements do not mix, three quarters); what lies higher is counted.
HEADROOM = 1.6
LEAST_HEADROOM_MEV = 60.0
LEAST_SHOWN = 0.25
LEAST_SHOWN_WITHOUT_COMPOUNDS = 0.75
# Above the elements it leaves this share of the hull's depth for their labels, whatever else lies there.
ROOM_FOR_ENDS = 0.28
# Below the hull the axis leaves room for rows of labels, in points each and between; a label is at most about so wide.
LABEL_HEIGHT, LABEL_WIDTH, LABEL_GAP = 22.0, 36.0, 14.0
MOST_FOOTROOM = 0.4
# Intervals that reach further below the hull than this share of the range above are cut, and counted.
MOST_BELOW = 0.2
# Candidates that are on the hull with at least this probability are drawn with their intervals, and at most so many.
LEAST_PROBABILITY = 0.005
MOST_INTERVALS = 40
# Ends of the scale of these probabilities, in %: the first that holds all.
PROBABILITY_SCALES = (2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
MARKERS = {Lattice.FCC: "o", Lattice.BCC: "s", Lattice.HCP: "v", Lattice.OTHER: "^"}


def draw_phase_diagram(
    ax: Axes, known: Known, *, belief: Belief | None = None, has_lattices: bool = False, has_labels: bool = True
) -> Axes:
    """Draw a campaign's phase diagram into `ax` and return it.

    Args:
        ax: Where to draw.
        known: The campaign at one moment.
        belief: What was believed at that moment.
        has_lattices: Whether candidates on fcc, bcc and hcp lattices get markers of their own.
        has_labels: Whether the vertices of the hull are named: formula and prototype or space group.
    """
    pool, found, true = known.pool, known.hull, known.true_hull
    energies, is_shown = _energies(known, belief)
    is_known = np.isin(np.arange(known.n_candidates), known.answered)
    if belief is not None:
        at = np.linspace(0.0, 1.0, 401)
        low, _, high = belief.band_ev_per_atom(at) * MILLI
        ax.fill_between(at, low, high, fc=BAND, ec=BAND_EDGE, lw=0.6, label="95 % band of the hull", zorder=1.5)
    what = "not calculated" if known.true_formation_ev_per_atom is not None else "predicted"
    is_failed = np.isin(np.arange(known.n_candidates), known.failed) & is_shown
    _draw_candidates(
        ax, known, energies, ~is_known & ~is_failed & is_shown, color=NOT_CALCULATED, what=what, has_lattices=has_lattices
    )  # fmt: skip
    _draw_failed(ax, known, energies, is_failed)
    _draw_candidates(ax, known, energies, is_known, color=CALCULATED, what="calculated", has_lattices=has_lattices)
    if true is not None:
        # Wide, under the narrow one: where the hulls agree both are seen, in grey too.
        ax.plot(true.x, true.energy_ev_per_atom * MILLI, "-", color=TRUE, lw=2.6, label="true hull", zorder=2.5)
    ax.plot(found.x, found.energy_ev_per_atom * MILLI, "-", color=FOUND, lw=1.1, label="hull found", zorder=4)
    ax.plot(found.x, found.energy_ev_per_atom * MILLI, "o", mfc="none", mec=FOUND, ms=6, mew=1.0, zorder=6)
    lowest, top = energy_range(known, energies[is_shown])
    low_end, high_end = _draw_beliefs(ax, known, belief) if belief is not None else (np.empty(0), np.empty(0))
    lowest = min(lowest, max(float(low_end.min(initial=0.0)), lowest - MOST_BELOW * (top - lowest)))
    ax.set_xlim(-0.04, 1.04)
    ax.axhline(0, color="0.75", lw=0.5, zorder=1)
    ax.set_xlabel(composition_label(pool.elements))
    ax.set_ylabel("formation energy (meV/atom)")
    n_columns = 2 if ax.get_window_extent().width < 4.5 * ax.figure.dpi else 3
    legend_below(ax, n_columns=n_columns)
    ax.set_ylim(lowest - _footroom(ax, found.x.size - 2 if has_labels else 0) * (top - lowest), top)
    bottom, _ = ax.get_ylim()
    is_band_cut = belief is not None and bool(low.min() < bottom or high.max() > top)
    n_cut = int(((low_end < bottom) | (high_end > top)).sum())
    remark = _remark(n_above=int((energies[is_shown] * MILLI > top).sum()), n_cut=n_cut, is_band_cut=is_band_cut)
    set_title(ax, title_of(known), remark)
    if has_labels:
        _label_vertices(ax, known, points=np.column_stack([pool.x, energies * MILLI])[is_shown])
    return ax


def save_phase_diagram(
    path: Path,
    known: Known,
    *,
    belief: Belief | None = None,
    has_lattices: bool = False,
    width: Width = Width.PAGE,
) -> None:
    """Write a campaign's phase diagram to a file (PNG, SVG or PDF by its suffix), whole or not at all.

    Raises:
        OutputError: The suffix is another one, or the file cannot be written.
    """
    save_figure(
        path,
        lambda figure: draw_phase_diagram(figure.add_subplot(), known, belief=belief, has_lattices=has_lattices),
        width=width,
    )


def energy_range(known: Known, energies_ev_per_atom: Floats) -> tuple[float, float]:
    """Lowest and highest energy that a phase diagram shows, in meV/atom, without the room for labels below.

    Args:
        known: The campaign.
        energies_ev_per_atom: (k,) of the candidates that are drawn.
    """
    hulls = [hull for hull in (known.hull, known.true_hull) if hull is not None]
    lowest = min(float(hull.energy_ev_per_atom.min()) for hull in hulls) * MILLI
    share = LEAST_SHOWN_WITHOUT_COMPOUNDS if all(hull.x.size == 2 for hull in hulls) else LEAST_SHOWN
    top = max(HEADROOM * -lowest, LEAST_HEADROOM_MEV, 1.05 * float(np.quantile(energies_ev_per_atom, share)) * MILLI)
    highest = max(1.05 * float(energies_ev_per_atom.max()) * MILLI, LEAST_HEADROOM_MEV / 4, ROOM_FOR_ENDS * -lowest)
    return lowest, min(top, highest)


def intervals_of(belief: Belief) -> tuple[NDArray[np.intp], Floats]:
    """The unknown candidates that may be on the hull, most probable first, and half their 95 % intervals, eV/atom."""
    unknown = belief.known.unknown
    probability = belief.probability_on_hull[unknown]
    chosen = unknown[np.argsort(-probability, kind="stable")[: int((probability >= LEAST_PROBABILITY).sum())]]
    chosen = chosen[:MOST_INTERVALS]
    return chosen, belief.half_width_ev_per_atom()[chosen]


def _energies(known: Known, belief: Belief | None) -> tuple[Floats, NDArray[np.bool_]]:
    """(n,) formation energies to draw, known, true or predicted, and for which candidates there are any."""
    if known.true_formation_ev_per_atom is not None:
        return known.true_formation_ev_per_atom, np.ones(known.n_candidates, dtype=bool)
    energies = np.zeros(known.n_candidates) if belief is None else belief.mean_ev_per_atom.copy()
    energies[known.answered] = known.formation_ev_per_atom
    is_shown = np.full(known.n_candidates, belief is not None)
    is_shown[known.answered] = True
    return energies, is_shown


def _remark(*, n_above: int, n_cut: int, is_band_cut: bool) -> str:
    """What the energy axis cuts off; empty where nothing."""
    parts = []
    if n_above:
        parts.append(f"{n_above} {'candidate lies' if n_above == 1 else 'candidates lie'} above this range")
    if n_cut:
        parts.append(f"{n_cut} {'interval leaves' if n_cut == 1 else 'intervals leave'} it")
    if is_band_cut:
        parts.append("the band leaves it")
    if parts and not n_above:
        parts[0] = parts[0].removesuffix("it") + "this range"
    return ", ".join(parts)


def _draw_failed(ax: Axes, known: Known, energies: Floats, is_failed: NDArray[np.bool_]) -> None:
    """Crosses where calculations failed, at the energies that they are believed, or known to a replay, to have."""
    if is_failed.any():
        energy = "true" if known.true_formation_ev_per_atom is not None else "predicted"
        ax.plot(
            known.pool.x[is_failed], energies[is_failed] * MILLI, "x", ls="", color=FOUND, ms=4.5, mew=1.1, zorder=8,
            label=f"failed ({is_failed.sum()}, {energy} energy)",
        )  # fmt: skip


def _footroom(ax: Axes, n_labels: int) -> float:
    """Room for labels under the lowest energy, over the range above it."""
    width, height = size_in_points(ax)
    n_rows = min(1, n_labels) if n_labels * LABEL_WIDTH <= width else 2
    share = min((LABEL_GAP + n_rows * LABEL_HEIGHT) / max(height, 1.0), MOST_FOOTROOM)
    return share / (1.0 - share)


def _draw_candidates(
    ax: Axes,
    known: Known,
    energies: Floats,
    chosen: NDArray[np.bool_],
    *,
    color: str,
    what: str,
    has_lattices: bool,
) -> None:
    """Markers of some candidates: filled where calculated; triangles, or the markers of their lattices, where not."""
    is_filled = what == "calculated"
    if not chosen.any():
        return
    energy = ", true energy" if what == "not calculated" else ""
    groups = {("o" if is_filled else "^", f"{what} ({chosen.sum()}{energy})"): np.flatnonzero(chosen)}
    if has_lattices:
        lattices = np.array([parent_lattice(candidate).value for candidate in known.pool.candidates])
        groups = {
            (marker, f"{lattice.value}, {what}{energy and ' (true energy)'}"): np.flatnonzero(
                chosen & (lattices == lattice.value)
            )
            for lattice, marker in MARKERS.items()
        }
    for (marker, label), indices in groups.items():
        if indices.size:
            ax.plot(
                known.pool.x[indices], energies[indices] * MILLI, marker, ls="", ms=3.6, mew=0.3 if is_filled else 0.6,
                mfc="none" if has_lattices and not is_filled else color, mec="white" if is_filled else DARK_ORANGE,
                label=label, zorder=3 if is_filled else 2,
            )  # fmt: skip


def _draw_beliefs(ax: Axes, known: Known, belief: Belief) -> tuple[Floats, Floats]:
    """Predicted energies and intervals of what may be on the hull, shaded by the probability; ends of these in meV/atom."""
    chosen, half_width = intervals_of(belief)
    if not chosen.size:
        return np.empty(0), np.empty(0)
    probability = PERCENT * belief.probability_on_hull[chosen]
    highest = min(scale for scale in PROBABILITY_SCALES if scale >= probability.max())
    x, mean = known.pool.x[chosen], belief.mean_ev_per_atom[chosen] * MILLI
    ax.errorbar(
        x, mean, half_width * MILLI, fmt="none", ecolor=BELIEVED, elinewidth=0.7, capsize=1.5, capthick=0.7, zorder=6.5
    )
    shown = ax.scatter(
        x, mean, c=probability, cmap="Greys", vmin=0, vmax=highest, marker="D", s=14, edgecolors=FOUND, linewidths=0.7,
        label="prediction, 95 % interval", zorder=7,
    )  # fmt: skip
    bar = ax.figure.colorbar(shown, ax=ax, pad=0.015, aspect=30, ticks=[0.0, 0.5 * highest, highest])
    bar.set_label("P(on the hull) (%)")
    bar.outline.set_linewidth(0.5)
    return mean - half_width * MILLI, mean + half_width * MILLI


def _label_vertices(ax: Axes, known: Known, *, points: Floats) -> None:
    """Write each vertex's formula and prototype or space group below it, at the pure elements above."""
    found = known.hull
    at = np.linspace(0, 1, 400)
    line = np.column_stack([at, found.energy_at(at) * MILLI])
    labels = []
    for x, energy, index in zip(found.x, found.energy_ev_per_atom * MILLI, found.indices.tolist(), strict=True):
        candidate = known.pool.candidates[index]
        text = "\n".join(filter(None, (mathtext_formula(candidate.formula), mathtext_structure(candidate))))
        labels.append(Label(text=text, x=float(x), y=float(energy), is_above=x in (0, 1)))
    place_labels(ax, labels, avoid=np.vstack([line, points]))
