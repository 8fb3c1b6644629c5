"""What a paper wants of a figure otherwise than it is drawn: size, title, legend, limits, units, styles, text that stays text."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import chain
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hullscout.display import MILLI, PERCENT
from hullscout.errors import OutputError
from hullscout.figures.notes import heard_log, short

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from logging import LogRecord

    from matplotlib.artist import Artist
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
        sheets: Style sheets of matplotlib, each a name, a file or a dictionary of settings, upon the style of all
            figures.
        restyled: Properties of matplotlib's artists by what the legend calls them, without what is in brackets; what stands
            before a comma names all that begin with it: `{"calculated": {"color": "black"}, "calculated, bcc": {"marker": "s"}}`.
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
    sheets: tuple[str | Path | Mapping[str, Any], ...] = ()
    restyled: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.size_inches is not None and not all(0 < inches <= MAX_INCHES for inches in self.size_inches):
            raise OutputError(f"Expected a size above 0 and up to {MAX_INCHES:g} inches, found {self.size_inches}.")
        if self.dpi is not None and not 0 < self.dpi <= MAX_DPI:
            raise OutputError(f"Expected 1 to {MAX_DPI} dots per inch, found {self.dpi}.")
        for name, limits in (("x", self.x_range), ("y", self.y_range)):
            if limits is not None and not -inf < limits[0] < limits[1] < inf:
                raise OutputError(
                    f"Expected finite limits of {name} that ascend, found {limits[0]:g} to {limits[1]:g}."
                )
        for sheet in self.sheets:
            _settings_of(sheet)

    @property
    def rc(self) -> dict[str, Any]:
        """Settings of matplotlib that are other than usual."""
        sheets = chain.from_iterable(_settings_of(sheet).items() for sheet in self.sheets)
        return {**dict(sheets), **({"svg.fonttype": "none"} if self.has_text else {})}

    def apply(self, figure: Figure) -> None:
        """Change a figure that was drawn."""
        from hullscout.figures.legends import legend_below  # noqa: PLC0415  loads matplotlib

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
        self._restyle(figure)
        for legend in list(figure.legends):
            legend.remove()
            if self.has_legend:  # of what is seen within the limits
                legend_below(figure.axes[0], n_columns=legend._ncols)  # type: ignore[attr-defined]  # noqa: SLF001  nothing else tells it

    def _restyle(self, figure: Figure) -> None:
        """Give what is named properties of its own, and its marks in legends."""
        for name, properties in self.restyled.items():
            named = [artist for ax in figure.axes for artist in _called(ax, name)]
            if not named:
                labels = [label for ax in figure.axes for label in ax.get_legend_handles_labels()[1]]
                every = sorted({each for label in labels for each in _names_of(label)})
                expected, near = " or ".join(map(repr, every)), _near(name, every, "")
                raise OutputError(f"Expected the name of what is drawn, {expected}, found {name!r}. {near}".rstrip())
            for artist in named:
                own = dict(properties)
                if "color" in own and hasattr(artist, "set_markerfacecolor"):  # of a line; its markers have their own
                    own.setdefault("markerfacecolor", own["color"])
                try:
                    artist.set(**own)
                except (AttributeError, TypeError, ValueError) as error:
                    raise OutputError(
                        f"{name}: expected properties of matplotlib for it, found others: {short(error)}."
                    ) from error

    def _limit(self, ax: Axes) -> None:
        is_energy, is_composition = "(eV/atom)" in ax.get_ylabel(), "(at.%)" in ax.get_xlabel()
        scales = (("x", self.x_range, ax.get_xscale()), ("y", self.y_range, ax.get_yscale()))
        for name, limits, scale in scales:
            if limits is not None and scale == "log" and limits[0] <= 0:
                raise OutputError(
                    f"Expected limits of {name} above 0, as this axis is logarithmic, found {limits[0]:g} to {limits[1]:g}."
                )
        if self.x_range is not None:
            ax.set_xlim(*(value / (PERCENT if is_composition else 1.0) for value in self.x_range))
        if self.y_range is not None:
            ax.set_ylim(*(value * (MILLI if is_energy else 1.0) for value in self.y_range))


AS_DRAWN = Look()


def _settings_of(sheet: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a style sheet: a dictionary, or one by its file or its name.

    Raises:
        OutputError: There is none of this name, or it holds what is no setting.
    """
    import matplotlib as mpl  # noqa: PLC0415  slow to import
    from matplotlib import style  # noqa: PLC0415

    library: Any = style.library
    checked: Any = mpl.RcParams
    of_file: Any = mpl.rc_params_from_file
    given = "a dictionary" if not isinstance(sheet, str | Path) else str(sheet)
    try:
        if not isinstance(sheet, str | Path):
            settings = dict(checked(sheet))
        elif str(sheet) in library:
            settings = dict(library[str(sheet)])
        else:
            with heard_log() as records:
                settings = dict(of_file(sheet, use_default_template=False))
            _refuse_logged(records, sheet)
    except OSError as error:
        remedy = _near(str(sheet), style.available, "Such as dark_background or grayscale.")
        raise OutputError(
            f"Expected a file or the name of one of matplotlib's style sheets, found {given!r}. {remedy}"
        ) from error
    except (KeyError, ValueError) as error:
        known: Any = mpl.rcParams
        wrong = "" if isinstance(sheet, str | Path) else next((str(name) for name in sheet if name not in known), "")
        remedy = _near(wrong, [*known], "")
        raise OutputError(
            f"{given}: expected settings of matplotlib, found others: {short(error)}. {remedy}".strip()
        ) from error
    return settings


def _refuse_logged(records: list[LogRecord], sheet: str | Path) -> None:
    """ValueError with what matplotlib says of a file in its log alone, without the file's name."""
    if records:
        raise ValueError(records[0].getMessage().replace(f" in file {str(sheet)!r},", " in"))


def _near(name: str, names: list[str], otherwise: str) -> str:
    """What may be meant by a name."""
    near = get_close_matches(name, names, n=3)
    return f"Near: {', '.join(near)}." if near else otherwise


def _names_of(label: str) -> tuple[str, str]:
    """What is called by a label in the legend: by all of it but what is in brackets, and by what stands before a comma."""
    name = label.partition(" (")[0]
    return name, name.partition(", ")[0]


def _called(ax: Axes, name: str) -> Iterator[Artist]:
    """What the legend calls by a name, and its marks in a legend of the axes."""
    yield from (artist for artist in ax.get_children() if name in _names_of(str(artist.get_label())))
    for bars in ax.containers:
        if name in _names_of(str(bars.get_label())):
            yield from bars.get_children()
    legend = ax.get_legend()
    if legend is not None:
        marks = zip(legend.legend_handles, legend.get_texts(), strict=True)
        yield from (mark for mark, text in marks if mark is not None and name in _names_of(text.get_text()))


def _times(factor: float) -> Callable[[float, object], str]:
    """Labels of ticks in another unit."""
    return lambda value, _: f"{value * factor:g}".replace("-", "\N{MINUS SIGN}")
