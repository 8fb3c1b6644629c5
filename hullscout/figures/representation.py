"""The representation of a structure: one curve per element channel, in the manner of figure 1 of Huo & Rupp 2022."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hullscout.figures.style import BLACK, BLUE, GREY, ORANGE, SKY, VERMILLION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hullscout.representation import Panel

COLOURS = (BLUE, VERMILLION, BLACK, ORANGE, SKY, GREY, "#009E73", "#CC79A7")
LINES = ("-", "--", "-.", ":", (0, (8, 2)), (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (3, 3, 1, 3)))
# From the widest line to the narrowest: one that lies exactly under another is still seen beside it.
WIDEST, NARROWEST = 2.8, 1.0
# Channels that stay below this share of the highest curve are left out.
LEAST_SHOWN = 1e-3


def draw_curves(ax: Axes, panel: Panel) -> Axes:
    """Draw a part of the representation of one structure, each curve that is not zero in a colour and line of its own."""
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415  slow to import

    highest = max(float(np.max(np.abs(curve))) for curve in panel.curves.values())
    shown = {label: curve for label, curve in panel.curves.items() if np.max(np.abs(curve)) > LEAST_SHOWN * highest}
    for place, (label, curve) in enumerate(shown.items()):
        color, line = COLOURS[place % len(COLOURS)], LINES[place % len(LINES)]
        width = WIDEST - (WIDEST - NARROWEST) * place / max(len(shown) - 1, 1)
        ax.plot(panel.x, curve, ls=line, color=color, lw=width, label=label)
        ax.fill_between(panel.x, curve, color=color, alpha=0.06, lw=0)
    ax.axhline(0.0, color="0.6", lw=0.5, zorder=0)
    ax.set_xlim(panel.x[0], panel.x[-1])
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.set_xlabel(panel.x_label)
    ax.set_ylabel(panel.y_label)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, columnspacing=1.0)
    ax.spines[["top", "right"]].set_visible(False)
    return ax
