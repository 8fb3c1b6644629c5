"""Legends: under their axes, no wider than these, and of what is seen."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import ScaledTranslation

from hullscout.figures import style

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hullscout.selection.known import Floats

# Distance from the axes, in font sizes.
LEGEND_DROP = 3.6
# An area that is nowhere so high, in points, is not named: lines hide it.
MIN_THICKNESS = 1.0


def legend_below(ax: Axes, *, n_columns: int) -> None:
    """A legend under `ax` where the figure makes room for it (`layout="constrained"`), else inside, where it hides least."""
    figure = ax.get_figure(root=True)
    if figure is None or figure.get_layout_engine() is None:
        ax.legend(*drawn_handles(ax), loc="best", fontsize="small", framealpha=0.8)
    elif _is_alone(ax, figure) and isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
        figure.legend(*drawn_handles(ax), loc="outside lower center", fontsize="small", frameon=False, ncols=n_columns)
    elif style.is_in_grid(ax) or style.is_narrow(ax):
        _suit_room(ax)
    else:
        drop = -LEGEND_DROP * float(ax.xaxis.label.get_fontsize()) / 72.0
        below = ax.transAxes + ScaledTranslation(0.0, drop, figure.dpi_scale_trans)
        ax.legend(
            *drawn_handles(ax), loc="upper center", bbox_to_anchor=(0.5, 0.0), bbox_transform=below, fontsize="small",
            frameon=False, ncols=min(n_columns, 2), borderaxespad=0.0, columnspacing=1.2,
        )  # fmt: skip


def _is_alone(ax: Axes, figure: Figure) -> bool:
    """Whether the whole width of the figure is that of `ax`."""
    return all(other is ax or other.get_label() == "<colorbar>" for other in figure.axes)


def _suit_room(ax: Axes) -> None:
    """Labels and a legend under `ax` that are no wider or higher than it: what is would take its place from it in a layout."""
    ax.tick_params(labelsize="small")
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set_fontsize("small")
        label.set_text(label.get_text().replace(" (", "\n("))
    width = style.slot_in_points(ax)
    handles, labels = drawn_handles(ax)
    legend = ax.legend(
        handles, labels, loc="upper center", fontsize="x-small", frameon=False, borderaxespad=0.0, labelspacing=0.2,
        handlelength=1.4,
    )  # fmt: skip
    size = float(legend.prop.get_size_in_points())
    n_characters = max(int(width / (style.CHARACTER_WIDTH * size)) - 4, style.MIN_CHARACTERS)
    for text in legend.get_texts():
        text.set_text("\n".join(textwrap.wrap(text.get_text(), n_characters, break_on_hyphens=False)))
    drop = -(LEGEND_DROP + 1.0) * float(ax.xaxis.label.get_fontsize()) / 72.0
    legend.set_bbox_to_anchor((0.5, 0.0), ax.transAxes + ScaledTranslation(0.0, drop, ax.figure.dpi_scale_trans))


def drawn_handles(ax: Axes) -> tuple[list[Artist], list[str]]:
    """Handles and labels of what is seen within the limits of `ax`; what has no points of its own explains others, and stays."""
    entries = zip(*ax.get_legend_handles_labels(), strict=True)
    kept = [(handle, label) for handle, label in entries if _is_seen(handle, ax)]
    return [handle for handle, _ in kept], [label for _, label in kept]


def _is_seen(handle: Any, ax: Axes) -> bool:
    """Whether any marker of a handle, or an area that lines do not hide, is within limits; lines count as seen."""
    if isinstance(handle, PolyCollection):
        return bool(_thickness(handle, ax) >= MIN_THICKNESS)
    x, y, points = sorted(ax.get_xlim()), sorted(ax.get_ylim()), _points_of(handle)
    is_in = (points[:, 0] >= x[0]) & (points[:, 0] <= x[1]) & (points[:, 1] >= y[0]) & (points[:, 1] <= y[1])
    return not points.size or bool(is_in.any())


def _thickness(area: PolyCollection, ax: Axes) -> float:
    """How high an area between two lines is at most within the limits of `ax`, in points."""
    corners = np.vstack([ax.transData.transform(np.asarray(path.vertices)) for path in area.get_paths()])
    corners = corners[(corners[:, 0] >= ax.bbox.x0 - 1.0) & (corners[:, 0] <= ax.bbox.x1 + 1.0)]
    x, y = np.round(corners[:, 0], 3), np.clip(corners[:, 1], ax.bbox.y0, ax.bbox.y1)
    figure = ax.get_figure(root=True)
    heights = [float(np.ptp(y[x == each])) for each in np.unique(x)]
    return 0.0 if figure is None else max(heights, default=0.0) * 72.0 / figure.dpi


def _points_of(handle: Any) -> Floats:
    """(k, 2) markers of a handle in a legend, in the units of the axes; none of lines."""
    while isinstance(handle, tuple):  # bars of errors with or without their points
        handle = handle[0]
    if (
        handle is None
        or isinstance(handle, LineCollection)
        or (not hasattr(handle, "get_xydata") and not hasattr(handle, "get_offsets"))
    ):
        return np.empty((0, 2))
    if hasattr(handle, "get_xydata"):
        is_marked = handle.get_linestyle() in {"None", "none", "", " "}
        return np.asarray(handle.get_xydata()) if is_marked else np.empty((0, 2))
    return np.asarray(handle.get_offsets())
