"""The report: one HTML file that holds everything it shows, and asks no network for anything.

plotly.js draws, Jinja writes. Names and texts of the user's files are data to both: Jinja escapes them in the page and in its
JSON, the scripts put them into the page as text, and the page's own policy admits no script but those of this package.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from functools import partial
from importlib.metadata import requires, version
from pathlib import Path
from typing import TYPE_CHECKING

from hullscout.campaign import read_history
from hullscout.citations import citations_of
from hullscout.display import percent, unbroken
from hullscout.errors import OutputError
from hullscout.figures.crystals import COLOURS, data_address
from hullscout.figures.hulls import MAX_PICTURED, draw_overview
from hullscout.figures.notes import told_once
from hullscout.figures.phase_diagram import MAX_INTERVALS, MIN_PROBABILITY, draw_section
from hullscout.figures.potentials import draw_potentials
from hullscout.figures.report import facts
from hullscout.figures.report.page_data import page_data
from hullscout.figures.report.shown import shown_structures, table_row, view_data
from hullscout.figures.saving import figure_bytes
from hullscout.figures.style import Width
from hullscout.writing import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from jinja2 import Environment
    from markupsafe import Markup
    from matplotlib.figure import Figure

    from hullscout.campaign import Setup

REPORT = "report.html"
PARTS = Path(__file__).parent / "parts"
SUFFIXES = (".html", ".htm")
# What a command is called with, as it stands in a sentence.
OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")
# What lays the diagram out, by the number of elements; the last one serves more too.
DIAGRAMS = {2: "2_line.js", 3: "2_triangle.js", 4: "2_columns.js"}
# Of the picture that stands in for the diagram, height over width: those of its place on a wide and on a narrow screen.
OTHERS_DPI = 180
STILL_ASPECT = {Width.PAGE: 0.55, Width.COLUMN: 1.25}


def read_report(folder: Path, *, setup: Setup | None = None, lattices: bool = False) -> facts.Reported:
    """Read the campaign in `folder`, with its setup if that was read, and compute what its rule believed in each round and now.

    Raises:
        StoreError: There is none, it is damaged, or there is no hull yet.
    """
    return facts.Reported.of(read_history(folder, setup=setup), lattices=lattices)


def write_report(
    path: Path, reported: facts.Reported, *, reload_s: int | None = None, on_note: Callable[[str], object] | None = None
) -> None:
    """Write the report of a campaign, finished or not, whole or not at all. The same campaign gives the same bytes.

    Args:
        reload_s: Seconds after which an open page loads itself again, until `settle_report`; never if not given.
        on_note: Called with a sentence for each thing that the pictures cannot show; by default these are warnings.

    Raises:
        OutputError: The suffix is no HTML file's, or the file cannot be written.
    """
    if path.suffix not in SUFFIXES:
        raise OutputError(
            f"{path}: expected a file that ends in {' or '.join(SUFFIXES)}, found {path.suffix or 'no ending'!r}."
        )
    write_whole(path, render_report(reported, reload_s=reload_s, on_note=on_note), remedy="Give another file.")


def settle_report(path: Path) -> None:
    """Write a page again without what makes an open one load itself again; what is no such page is left alone."""
    if not path.is_file():
        return
    start, head, rest = path.read_text(encoding="utf-8").partition("<head>")
    settled = re.sub(r' data-reload="\d+"', "", start)
    if settled != start:
        write_whole(path, settled + head + rest, remedy="Give another file.")


def render_report(
    reported: facts.Reported, *, reload_s: int | None = None, on_note: Callable[[str], object] | None = None
) -> str:
    """The HTML text of the report of a campaign; see `write_report`."""
    from plotly.offline import get_plotlyjs  # noqa: PLC0415

    config = reported.history.config
    n_elements = len(reported.known.pool.end_names)
    others = {name for n, name in DIAGRAMS.items() if n != min(n_elements, max(DIAGRAMS))}
    files = [file for file in sorted(PARTS.glob("*.js")) if file.name not in others]
    *first, last = (file.read_text(encoding="utf-8") for file in files)
    # plotly.js takes a second to load: the tables work before it does.
    scripts = [*first, get_plotlyjs(), last]
    shown, cells = shown_structures(reported)
    picture = partial(_picture, reported=reported, on_note=told_once(on_note))
    return (
        environment()
        .get_template("page.html.jinja")
        .render(
            reported=reported,
            reload_s=reload_s,
            say=facts,
            least_probability=percent(MIN_PROBABILITY),
            most_intervals=MAX_INTERVALS,
            tables={name: [table_row(reported, i, cells[i]) for i in those] for name, those in shown.items()},
            page={**page_data(reported), "structures": view_data(reported, cells)},
            policy=policy(scripts),
            scripts=scripts,
            still={width.value: picture(draw_overview, width=width, aspect=STILL_ASPECT[width]) for width in Width},
            others=_other_pictures(reported, picture) if n_elements > 2 else [],
            style=(PARTS / "page.css").read_text(encoding="utf-8"),
            versions=versions(),
            citations=citations_of((*config.representation.citations, *config.select.citations)),
            kinds=list(zip(config.elements, COLOURS, strict=False)),
            split_formula=lambda formula: re.split(r"(\d+)", formula),
        )
    )


def environment() -> Environment:
    """What fills in the templates of pages."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415  slow to import

    made = Environment(loader=FileSystemLoader(PARTS), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    made.filters["unbroken"] = _unbroken
    made.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":"), "ensure_ascii": False}
    return made


def _unbroken(text: str) -> Markup:
    """Text in which neither a number and its unit nor an option of a command are parted where a line breaks."""
    from markupsafe import Markup, escape  # noqa: PLC0415  comes with jinja2

    return Markup(OPTION.sub(r'<span class="whole">\g<0></span>', str(escape(unbroken(text)))))  # noqa: S704  escaped


def _other_pictures(reported: facts.Reported, picture: Callable[..., str]) -> list[tuple[str, str]]:
    """Of more than two elements: sections between all pairs of them, and of three the chemical potentials; with what they show."""
    elements = reported.known.pool.end_names
    drawn: list[tuple[str, Callable[..., object]]] = [
        (f"The section from {start} to {end}", partial(draw_section, between=(start, end)))
        for start, end in itertools.combinations(elements, 2)
    ]
    if len(elements) == MAX_PICTURED:
        about = "Potentials at which each ground state is stable, with the probability that it is on the hull"
        drawn.append((about, draw_potentials))
    return [(about, picture(draw, width=Width.COLUMN, aspect=1.1, dpi=OTHERS_DPI)) for about, draw in drawn]


def _picture(
    draw: Callable[..., object],
    *,
    reported: facts.Reported,
    width: Width,
    aspect: float,
    on_note: Callable[[str], object],
    dpi: int | None = None,
) -> str:
    """A figure as a picture."""

    def fill(figure: Figure) -> None:
        draw(figure.add_subplot(), reported.known, belief=reported.belief)

    inches, dpi = width.size(aspect), dpi or width.dots_per_inch
    return data_address(figure_bytes(fill, suffix=".png", inches=inches, dpi=dpi, on_note=on_note))


def policy(scripts: list[str]) -> str:
    """Nothing is loaded, and nothing runs but these scripts. plotly.js compiles its shaders' callers with `new Function`."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{text}'" for text in hashes)
    if not scripts:
        return "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return f"default-src 'none'; script-src {allowed} 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:"


def versions() -> list[tuple[str, str]]:
    """Hullscout and the packages that it needs, with the versions installed."""
    needed = (requirement for requirement in requires("hullscout") or () if "extra ==" not in requirement)
    names = sorted(re.split(r"[^\w.-]", requirement, maxsplit=1)[0] for requirement in needed)
    return [(name, version(name)) for name in ("hullscout", *names)]
