"""The representation of a structure: a panel for each part, in the manner of figure 1 of Huo & Rupp 2022."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from hullscout.display import class_names
from hullscout.figures import style
from hullscout.figures.axes import into_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hullscout.campaign import History
    from hullscout.pool import Candidate
    from hullscout.representation import Panel

COLOURS = (style.BLUE, style.VERMILLION, style.BLACK, style.ORANGE, style.SKY, style.GREY, style.GREEN, style.PURPLE)
LINES = ("-", "--", "-.", ":", (0, (8, 2)), (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (3, 3, 1, 3)))
# From the widest line to the narrowest: one that lies exactly under another is still seen beside it.
WIDEST, NARROWEST = 2.8, 1.0
# Curves that stay below this share of the highest one are left out.
MIN_SHOWN = 1e-3


def draw_representation(figure: Figure, history: History, candidate: Candidate) -> None:
    """Draw one candidate as the campaign represents it: panels beside each other, or below where the figure is upright.

    The figure is made for two panels; for another number of them its height changes.
    """
    panels = history.setup.representation.panels(candidate)
    is_upright = figure.get_figheight() > figure.get_figwidth()
    n_columns = 1 if is_upright else min(len(panels), 2)
    n_rows = -(-len(panels) // n_columns)
    figure.set_figheight(figure.get_figheight() * n_rows / (2 if is_upright else 1))
    axes = list(figure.subplots(n_rows, n_columns, squeeze=False).flat)
    draw_panels(axes, panels, candidate, elements=history.pool.elements)
    for ax in axes[len(panels) :]:
        ax.remove()


def draw_panels(
    axes: Sequence[Axes], panels: Sequence[Panel], candidate: Candidate, *, elements: Sequence[str]
) -> Sequence[Axes]:
    """Draw the panels of a candidate into axes of one figure, which gets its formula and id as title."""
    if not isinstance(axes, Iterable):
        raise TypeError(
            f"Expected a sequence of matplotlib's Axes, one for each of {len(panels)} panels, found an object of class "
            f"{class_names(axes)[0]}."
        )
    for ax, panel in zip(axes, panels, strict=False):
        draw_panel(ax, panel)
    title = f"{style.mathtext_formula(candidate.formula_in(elements))}, {style.plain(candidate.id)}"
    axes[0].figure.suptitle(title, fontsize="medium")
    return axes


@into_axes
def draw_panel(ax: Axes, panel: Panel) -> Axes:
    """Draw a part of a representation, each curve that is not zero in a colour and a line of its own."""
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415  slow to import

    highest = max(float(np.max(np.abs(curve))) for curve in panel.curves.values())
    shown = {label: curve for label, curve in panel.curves.items() if np.max(np.abs(curve)) >= MIN_SHOWN * highest}
    for place, (label, curve) in enumerate(shown.items()):
        color, line = COLOURS[place % len(COLOURS)], LINES[place % len(LINES)]
        width = WIDEST - (WIDEST - NARROWEST) * place / max(len(shown) - 1, 1)
        ax.plot(panel.x, curve, ls=line, color=color, lw=width, marker="" if panel.x.size > 1 else "o", label=label)
        ax.fill_between(panel.x, curve, color=color, alpha=0.06, lw=0)
    ax.axhline(0.0, color="0.6", lw=0.5, zorder=0)
    if panel.x.size > 1:
        ax.set_xlim(panel.x[0], panel.x[-1])
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.set_xlabel(panel.x_label)
    ax.set_ylabel(panel.y_label)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, columnspacing=1.0)
    ax.spines[["top", "right"]].set_visible(False)
    return ax
