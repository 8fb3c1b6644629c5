"""How far above the hull each candidate lies: what was calculated, what is known of the rest, what is believed of it.

The axis is linear within one meV/atom of the hull and logarithmic beyond, so that ground states and structures of several
eV/atom stand in one picture, and predictions below today's hull too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hullscout.display import MILLI
from hullscout.figures import style
from hullscout.figures.phase_diagram import intervals_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hullscout.selection import Belief, Known
    from hullscout.selection.known import Floats, Indices

LINEAR_MEV = 1.0


def draw_hull_distance(
    ax: Axes, known: Known, *, belief: Belief | None = None, tolerance_ev_per_atom: float | None = None
) -> Axes:
    """Draw the distance of every candidate to the hull found against its composition.

    Args:
        tolerance_ev_per_atom: The campaign's `stop.hull_tolerance`, drawn as a line on either side of the hull.
    """
    drawn = [np.zeros(1)]

    def heights(those: Indices, formation_ev_per_atom: Floats) -> tuple[Floats, Floats]:
        distance = known.hull.distance(known.x[those], formation_ev_per_atom) * MILLI
        drawn.append(distance)
        return known.x[those], distance

    unknown, true = known.unknown, known.true_formation_ev_per_atom
    if true is not None and unknown.size:
        ax.plot(*heights(unknown, true[unknown]), "^", ls="", mfc=style.NOT_CALCULATED, mec=style.DARK_ORANGE, ms=3.4, mew=0.5,
                label=f"not calculated ({unknown.size}, true energy)", zorder=2)  # fmt: skip
    if belief is not None and known.n_failed:
        ax.plot(*heights(known.failed, belief.mean_ev_per_atom[known.failed]), "x", ls="", color=style.FOUND, ms=4.5, mew=1.1,
                label=f"failed ({known.n_failed}, predicted energy)", zorder=5)  # fmt: skip
    ax.plot(*heights(known.answered, known.formation_ev_per_atom), "o", ls="", color=style.CALCULATED, ms=3.6, mec="white",
            mew=0.3, label=f"calculated ({known.n_answered})", zorder=3)  # fmt: skip
    if belief is not None and (chosen := intervals_of(belief)[0]).size:
        half_width = belief.half_width_ev_per_atom()[chosen] * MILLI
        x, mean = heights(chosen, belief.mean_ev_per_atom[chosen])
        drawn += [mean - half_width, mean + half_width]
        ax.errorbar(
            x, mean, half_width, fmt="D", ms=3.4, mfc="white", mec=style.FOUND, mew=0.7, ecolor=style.BELIEVED, elinewidth=0.7,
            capsize=1.5, capthick=0.7, label="prediction, 95 % interval", zorder=4,
        )  # fmt: skip
    ax.axhline(0, color=style.FOUND, lw=1.2, zorder=1.5, label="hull found")
    if tolerance_ev_per_atom is not None:
        for sign in (1, -1):
            label = f"tolerance, {tolerance_ev_per_atom * MILLI:g} meV/atom" if sign > 0 else None
            ax.axhline(sign * tolerance_ev_per_atom * MILLI, color="0.45", lw=0.7, ls=":", zorder=1.5, label=label)
    ax.set_yscale("symlog", linthresh=LINEAR_MEV, linscale=0.7)
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}".replace("-", "\N{MINUS SIGN}"))
    every = np.concatenate(drawn)
    ax.set_ylim(1.6 * float(every.min()) - 0.6, 2.0 * max(float(every.max()), 10.0))
    style.set_composition_axis(ax, known.pool.elements)
    ax.set_ylabel("distance to the hull (meV/atom)")
    style.set_title(ax, style.title_of(known))
    style.legend_below(ax, n_columns=style.legend_columns(ax))
    return ax
