"""What a paper wants of a figure otherwise than it is drawn: size, title, legend, limits, units, and text that stays text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hullscout.display import MILLI, PERCENT
from hullscout.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_INCHES, MAX_DPI = 100.0, 2400
OF_ENERGY, OF_COMPOSITION = "(meV/atom)", "(atomic fraction)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a figure is to look; what is not given stays as it is drawn.

    Attributes:
        size_inches: Width and height.
        dpi: Dots per inch of a PNG.
        title: Instead of the one drawn; none where it is empty.
        has_legend: Whether the legend stays.
        x_range: Limits of the horizontal axis, in what it then shows.
        y_range: Limits of the vertical axis, in what it then shows.
        is_in_ev: Energies in eV/atom instead of meV/atom.
        is_in_percent: Compositions in at.% instead of atomic fractions.
        has_text: Text in an SVG that stays text, to be edited, in the reader's fonts; else it is drawn.
    """

    size_inches: tuple[float, float] | None = None
    dpi: int | None = None
    title: str | None = None
    has_legend: bool = True
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    is_in_ev: bool = False
    is_in_percent: bool = False
    has_text: bool = False

    def __post_init__(self) -> None:
        if self.size_inches is not None and not all(0 < inches <= MAX_INCHES for inches in self.size_inches):
            raise OutputError(f"Expected a size above 0 and up to {MAX_INCHES:g} inches, found {self.size_inches}.")
        if self.dpi is not None and not 0 < self.dpi <= MAX_DPI:
            raise OutputError(f"Expected 1 to {MAX_DPI} dots per inch, found {self.dpi}.")
        for name, limits in (("x", self.x_range), ("y", self.y_range)):
            if limits is not None and not limits[0] < limits[1]:
                raise OutputError(f"Expected limits of {name} that ascend, found {limits[0]:g} to {limits[1]:g}.")

    @property
    def rc(self) -> dict[str, Any]:
        """Settings of matplotlib that are other than usual."""
        return {"svg.fonttype": "none"} if self.has_text else {}

    def apply(self, figure: Figure) -> None:
        """Change a figure that was drawn."""
        for ax in figure.axes:
            if self.is_in_ev and OF_ENERGY in ax.get_ylabel():
                ax.set_ylabel(ax.get_ylabel().replace(OF_ENERGY, "(eV/atom)"))
                ax.yaxis.set_major_formatter(_times(1.0 / MILLI))
            if self.is_in_percent and OF_COMPOSITION in ax.get_xlabel():
                ax.set_xlabel(ax.get_xlabel().replace(OF_COMPOSITION, "(at.%)"))
                ax.xaxis.set_major_formatter(_times(PERCENT))
            if ax.get_label() != "<colorbar>":
                self._limit(ax)
                if self.title is not None:
                    ax.set_title(self.title if ax is figure.axes[0] else "", parse_math=False)
            if not self.has_legend and (legend := ax.get_legend()) is not None:
                legend.remove()
        if not self.has_legend:
            for legend in list(figure.legends):
                legend.remove()

    def _limit(self, ax: Axes) -> None:
        is_energy, is_composition = "(eV/atom)" in ax.get_ylabel(), "(at.%)" in ax.get_xlabel()
        if self.x_range is not None:
            ax.set_xlim(*(value / (PERCENT if is_composition else 1.0) for value in self.x_range))
        if self.y_range is not None:
            ax.set_ylim(*(value * (MILLI if is_energy else 1.0) for value in self.y_range))


AS_DRAWN = Look()


def _times(factor: float) -> Callable[[float, object], str]:
    """Labels of ticks in another unit."""
    return lambda value, _: f"{value * factor:g}".replace("-", "\N{MINUS SIGN}")
