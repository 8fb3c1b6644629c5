"""How far above the hull each candidate lies: what was calculated, what is known of the rest, what is believed of it.

The axis is linear within one meV/atom of the hull and logarithmic beyond, so that ground states and structures of several
eV/atom stand in one picture, and predictions below today's hull too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hullscout.display import MILLI
from hullscout.figures.phase_diagram import intervals_of
from hullscout.figures.style import (
    BELIEVED,
    CALCULATED,
    DARK_ORANGE,
    FOUND,
    NOT_CALCULATED,
    composition_label,
    legend_below,
    set_title,
    title_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hullscout.selection import Belief, Known

LINEAR_MEV = 1.0


def draw_hull_distance(
    ax: Axes, known: Known, *, belief: Belief | None = None, tolerance_ev_per_atom: float | None = None
) -> Axes:
    """Draw the distance of every candidate to the hull found against its composition.

    Args:
        ax: Where to draw.
        known: The campaign at one moment.
        belief: What was believed at that moment.
        tolerance_ev_per_atom: The campaign's `stop.hull_tolerance`, drawn as a line on either side of the hull.
    """
    pool, hull, unknown = known.pool, known.hull, known.unknown
    x_known = pool.x[known.answered]
    lowest, highest = 0.0, 0.0
    if known.true_formation_ev_per_atom is not None and unknown.size:
        distance = hull.distance(pool.x[unknown], known.true_formation_ev_per_atom[unknown]) * MILLI
        ax.plot(pool.x[unknown], distance, "^", ls="", mfc=NOT_CALCULATED, mec=DARK_ORANGE, ms=3.4, mew=0.5, zorder=2,
                label=f"not calculated ({unknown.size}, true energy)")  # fmt: skip
        lowest, highest = min(lowest, float(distance.min())), float(distance.max())
    if belief is not None and known.n_failed:
        failed = known.failed
        distance = hull.distance(pool.x[failed], belief.mean_ev_per_atom[failed]) * MILLI
        ax.plot(pool.x[failed], distance, "x", ls="", color=FOUND, ms=4.5, mew=1.1, zorder=5,
                label=f"failed ({known.n_failed}, predicted energy)")  # fmt: skip
        lowest, highest = min(lowest, float(distance.min())), max(highest, float(distance.max()))
    distance = hull.distance(x_known, known.formation_ev_per_atom) * MILLI
    ax.plot(x_known, distance, "o", ls="", color=CALCULATED, ms=3.6, mec="white", mew=0.3, zorder=3,
            label=f"calculated ({known.n_answered})")  # fmt: skip
    highest = max(highest, float(distance.max()))
    if belief is not None:
        chosen, half_width = intervals_of(belief)
        mean = hull.distance(pool.x[chosen], belief.mean_ev_per_atom[chosen]) * MILLI
        if chosen.size:
            ax.errorbar(
                pool.x[chosen], mean, half_width * MILLI, fmt="D", ms=3.4, mfc="white", mec=FOUND, mew=0.7, ecolor=BELIEVED,
                elinewidth=0.7, capsize=1.5, capthick=0.7, label="prediction, 95 % interval", zorder=4,
            )  # fmt: skip
            lowest = min(lowest, float((mean - half_width * MILLI).min()))
            highest = max(highest, float((mean + half_width * MILLI).max()))
    ax.axhline(0, color=FOUND, lw=1.2, zorder=1.5, label="hull found")
    if tolerance_ev_per_atom is not None:
        for sign in (1, -1):
            label = f"tolerance, {tolerance_ev_per_atom * MILLI:g} meV/atom" if sign > 0 else None
            ax.axhline(sign * tolerance_ev_per_atom * MILLI, color="0.45", lw=0.7, ls=":", zorder=1.5, label=label)
    ax.set_yscale("symlog", linthresh=LINEAR_MEV, linscale=0.7)
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}".replace("-", "\N{MINUS SIGN}"))
    ax.set_ylim(1.6 * lowest - 0.6, 2.0 * max(highest, 10.0))
    ax.set_xlim(-0.04, 1.04)
    ax.set_xlabel(composition_label(pool.elements))
    ax.set_ylabel("distance to the hull (meV/atom)")
    set_title(ax, title_of(known))
    legend_below(ax, n_columns=_columns(ax))
    return ax


def _columns(ax: Axes) -> int:
    return 2 if np.ceil(ax.get_window_extent().width / ax.figure.dpi) < 5 else 3
