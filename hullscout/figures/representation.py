"""The representation of a structure: one curve per element channel, in the manner of figure 1 of Huo & Rupp 2022."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hullscout.figures.style import BLACK, BLUE, GREY, ORANGE, SKY, VERMILLION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from hullscout.mbtr import MBTR, Term

COLOURS = (BLUE, VERMILLION, BLACK, ORANGE, SKY, GREY, "#009E73", "#CC79A7")
LINES = ("-", "--", "-.", ":", (0, (8, 2)), (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (3, 3, 1, 3)))
# From the widest line to the narrowest: one that lies exactly under another is still seen beside it.
WIDEST, NARROWEST = 2.8, 1.0
AXIS_LABELS = {
    "atomic_number": "atomic number",
    "distance": "distance (Å)",
    "inverse_distance": "inverse distance (1/Å)",
    "inverse_square_distance": "inverse square distance (1/Å$^2$)",
    "angle": "angle (rad)",
    "cosine": "cosine of the angle",
    "dihedral": "dihedral angle (rad)",
    "dihedral_cosine": "cosine of the dihedral angle",
}
# Channels that stay below this share of the highest curve are left out.
LEAST_SHOWN = 1e-3


def draw_channels(ax: Axes, mbtr: MBTR, term: Term, values: NDArray[np.float64], *, y_label: str) -> Axes:
    """Draw one term of a representation, one curve per element channel that is not zero.

    Args:
        ax: Where to draw.
        mbtr: The representation.
        term: One of its terms.
        values: (n,) features of that term, or their derivatives.
        y_label: Label of the features, with their unit.
    """
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415  slow to import

    from hullscout.mbtr import bin_centers, channel_labels  # noqa: PLC0415  loads numba

    x = bin_centers(term)
    curves = values.reshape(-1, term.n_x)
    labels = channel_labels(mbtr.elements, term.k)
    highest = float(np.max(np.abs(curves)))
    shown = [c for c in range(len(labels)) if np.max(np.abs(curves[c])) > LEAST_SHOWN * highest]
    for place, c in enumerate(shown):
        color, line = COLOURS[place % len(COLOURS)], LINES[place % len(LINES)]
        width = WIDEST - (WIDEST - NARROWEST) * place / max(len(shown) - 1, 1)
        ax.plot(x, curves[c], ls=line, color=color, lw=width, label=labels[c])
        ax.fill_between(x, curves[c], color=color, alpha=0.06, lw=0)
    ax.axhline(0.0, color="0.6", lw=0.5, zorder=0)
    ax.set_xlim(x[0], x[-1])
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.set_xlabel(AXIS_LABELS[term.geometry])
    ax.set_ylabel(y_label)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, columnspacing=1.0)
    ax.spines[["top", "right"]].set_visible(False)
    return ax
