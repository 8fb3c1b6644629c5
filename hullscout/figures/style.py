"""One look for all figures: legible in a column of a two-column paper, told apart by the colour-blind and in grey.

Colours are Okabe and Ito's (https://jfly.uni-koeln.de/color). What matters is told apart by shape, fill or dashes as well.
Drawing functions take and return `Axes` and set no sizes of their own but relative to the font; `saving` makes figures for them.
"""

from __future__ import annotations

import re
import textwrap
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from hullscout.display import refuse_no_axes, saved_percent

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar

    from hullscout.selection import Known

BLACK, ORANGE, BLUE, VERMILLION, SKY, GREY = "#000000", "#E69F00", "#0072B2", "#D55E00", "#56B4E9", "#8C8C8C"
GREEN, PURPLE = "#009E73", "#CC79A7"
CALCULATED, NOT_CALCULATED, TRUE = BLUE, ORANGE, VERMILLION
BELIEVED, BAND, BAND_EDGE = "#595959", "#BFBFBF", "#808080"
DARK_ORANGE = "#996900"  # outlines of what is not calculated, dark enough for grey
# Mean width of a character in font sizes; fewest characters of a line.
CHARACTER_WIDTH = 0.52
MIN_CHARACTERS = 20
# Of its place in a grid so much is drawn in, the rest is labels, title and legend.
DRAWN_SHARE = 0.6
# Axes less wide than this, in inches, get legends of two columns.
NARROW = 4.5
RC: dict[Any, Any] = {
    "font.size": 8.0,
    "axes.titlesize": 8.0,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 7.0,
    "legend.handletextpad": 0.4,
    "legend.borderaxespad": 0.3,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.hashsalt": "hullscout",
}


class Width(StrEnum):
    """How wide a figure is: one column of a two-column paper, 3.4 inches, or the page, 7 inches."""

    COLUMN = "column"
    PAGE = "page"

    def size(self, aspect: float) -> tuple[float, float]:
        """Width and height in inches."""
        inches = 3.4 if self is Width.COLUMN else 7.0
        return inches, aspect * inches

    @property
    def dots_per_inch(self) -> int:
        """Of a PNG."""
        return 300 if self is Width.COLUMN else 160


def found() -> str:
    """The colour of the hull found: that of text, black but in styles for a dark ground."""
    from matplotlib import rcParams  # noqa: PLC0415
    from matplotlib.colors import to_hex  # noqa: PLC0415

    return to_hex(rcParams["text.color"])


def new_axes(width: Width = Width.PAGE, aspect: float = 0.65) -> Axes:
    """Axes in a new pyplot figure, which a notebook shows."""
    return new_row(1, width=width, aspect=aspect)[0]


def axes_or_new(ax: Axes | None) -> Axes:
    """Axes that are given, a TypeError where they are none, else new ones."""
    if ax is None:
        return new_axes()
    refuse_no_axes(ax)
    return ax


def new_row(n: int, *, width: Width = Width.PAGE, aspect: float = 0.45) -> list[Axes]:
    """Axes beside each other in a new pyplot figure, which a notebook shows."""
    import matplotlib.pyplot as plt  # noqa: PLC0415  chooses the notebook's backend

    figure, axes = plt.subplots(1, n, figsize=width.size(aspect), layout="constrained", squeeze=False)
    figure.set_dpi(110)
    return list(axes.flat)


def mathtext_formula(formula: str) -> str:
    """A formula with its numbers as subscripts.

    >>> mathtext_formula("Ag5Pd3")
    'Ag$_{5}$Pd$_{3}$'
    """
    return re.sub(r"(\d+)", r"$_{\1}$", formula)


def plain(text: str) -> str:
    """Text without mathematics: a name may hold dollars."""
    return text.replace("$", r"\$")


def set_composition_axis(ax: Axes, elements: tuple[str, ...]) -> None:
    """Limits and label of the axis of composition between two elements, or two compounds."""
    first, second = (end if re.fullmatch("[A-Z][a-z]?", end) else f"({mathtext_formula(end)})" for end in elements)
    ax.set_xlim(-0.04, 1.04)
    what = "atomic fraction" if all(re.fullmatch("[A-Z][a-z]?", end) for end in elements) else "share of the atoms"
    ax.set_xlabel(f"$x$ in {first}$_{{1-x}}${second}$_x$ ({what})")


def size_in_points(ax: Axes) -> tuple[float, float]:
    """Width and height of `ax` in points, as its figure's layout makes it by now."""
    figure = ax.get_figure(root=True)
    if figure is None:
        return 0.0, 0.0
    figure.draw_without_rendering()
    extent, per_point = ax.get_window_extent(), figure.dpi / 72.0
    return float(extent.width) / per_point, float(extent.height) / per_point


def room_in_points(ax: Axes) -> tuple[float, float]:
    """Width and height of `ax` in points; of one among others about what the grid leaves it, whatever is drawn in them by now."""
    spec: Any = ax.get_subplotspec()
    figure: Any = ax.get_figure()
    if spec is None or figure is None or spec.get_topmost_subplotspec().get_gridspec().get_geometry() == (1, 1):
        return size_in_points(ax)
    width, height = (DRAWN_SHARE * 72.0 * float(pixels) / figure.dpi for pixels in figure.bbox.size)
    while spec is not None:
        grid = spec.get_gridspec()
        columns, rows = grid.get_width_ratios(), grid.get_height_ratios()
        width *= sum(columns[place] for place in spec.colspan) / sum(columns)
        height *= sum(rows[place] for place in spec.rowspan) / sum(rows)
        spec = getattr(grid, "_subplot_spec", None)
    return width, height


def is_in_grid(ax: Axes) -> bool:
    """Whether others may stand beside `ax`."""
    spec = ax.get_subplotspec()
    return spec is not None and spec.get_topmost_subplotspec().get_gridspec().ncols > 1


def slot_in_points(ax: Axes) -> float:
    """Width of the room that `ax` has in its figure's layout, also where it keeps an aspect."""
    size_in_points(ax)
    figure = ax.get_figure(root=True)
    return 0.0 if figure is None else float(ax.get_position(original=True).width * figure.get_figwidth() * 72.0)


def label_bar(bar: Colorbar, ax: Axes, text: str) -> None:
    """What a bar of colours beside `ax` tells."""
    size = "small" if is_in_grid(ax) else None
    bar.set_label(text, size=size)
    bar.ax.tick_params(labelsize=size)
    bar.outline.set_linewidth(0.5)


def answered_name(known: Known) -> str:
    """How a legend calls candidates with an energy: those that were known beforehand are among them."""
    return "calculated or known" if known.given.size else "calculated"


def counted(n_drawn: int, n: int | None = None) -> str:
    """How a legend counts what is drawn, the lowest of n where these are more.

    >>> counted(5000, 906_332)
    '5000 lowest of 906332'
    """
    return f"{n_drawn}" if n is None or n == n_drawn else f"{n_drawn} lowest of {n}"


def title_of(known: Known) -> str:
    """A campaign in a line: its name, what was calculated, what failed, what was saved; of a pool alone how many energies."""
    if not known.name and not known.decisions:
        return f"{'-'.join(known.pool.end_names)}: {known.answered.size} energies"
    failed = f", {known.n_failed} failed" if known.n_failed else ""
    calculated = f"{known.n_answered} of {known.n_calculable} calculated{failed}"
    return f"{known.name}: {calculated}, {saved_percent(known.saved_fraction)} saved"


def set_title(ax: Axes, *lines: str) -> None:
    """Write a title over `ax`, each line broken where it would be wider than the axes."""
    width, _ = size_in_points(ax)
    if is_in_grid(ax):
        ax.set_title("", fontsize="small")
        width = slot_in_points(ax)
    n_characters = max(int(width / (CHARACTER_WIDTH * float(ax.title.get_fontsize()))), MIN_CHARACTERS)
    broken = [part for line in lines for part in _wrapped(line, n_characters)]
    ax.title.set_text("\n".join(map(plain, broken)))


def keep_title(ax: Axes, line: str, remark: Callable[[], str]) -> None:
    """Write a title over `ax`, and below it what `remark` says of its limits; anew when these change while it is the title."""
    written = ""

    def write(_: Axes) -> None:
        nonlocal written
        if ax.get_title() == written:
            set_title(ax, line, remark())
            written = ax.get_title()

    ax.set_title("")
    write(ax)
    for name in ("xlim_changed", "ylim_changed"):
        ax.callbacks.connect(name, write)


def _wrapped(line: str, n_characters: int) -> list[str]:
    """Parts of a line, broken after commas and colons where that is enough."""
    bound = re.sub(r"(?<![,:]) ", "\N{NO-BREAK SPACE}", line)
    is_enough = max(map(len, bound.split(" "))) <= n_characters
    parts = textwrap.wrap(bound if is_enough else line, n_characters, break_on_hyphens=False)
    return [part.replace("\N{NO-BREAK SPACE}", " ") for part in parts]


def legend_columns(ax: Axes) -> int:
    """Columns of a legend that `ax` has room for."""
    return 2 if is_narrow(ax) else 3


def is_narrow(ax: Axes) -> bool:
    """Whether `ax` is as wide as a column rather than the page."""
    return bool(ax.get_window_extent().width < NARROW * ax.figure.dpi)
