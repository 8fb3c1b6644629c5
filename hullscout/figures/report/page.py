"""The report: one HTML file that holds everything it shows, and asks no network for anything.

plotly.js draws, Jinja writes. Names and texts of the user's files are data to both: Jinja escapes them in the page and in its
JSON, the scripts put them into the page as text, and the page's own policy admits no script but those of this package.
"""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.resources import files
from typing import TYPE_CHECKING

from hullscout import __version__
from hullscout.campaign.history import read_history
from hullscout.errors import OutputError
from hullscout.figures.phase_diagram import draw_phase_diagram
from hullscout.figures.report.facts import Reported, headline, page_data
from hullscout.figures.report.numbers import unbroken
from hullscout.figures.report.pictures import COLOURS
from hullscout.figures.report.shown import shown_structures, table_rows, view_data
from hullscout.figures.style import Width, figure_bytes

if TYPE_CHECKING:
    from pathlib import Path

REPORT = "report.html"
SUFFIXES = (".html", ".htm")
# Of the picture that stands in for the diagram, height over width: those of its place on a wide and on a narrow screen.
STILL_ASPECT = {Width.PAGE: 0.55, Width.COLUMN: 1.25}


def read_report(folder: Path, *, has_lattices: bool = False) -> Reported:
    """Read the campaign in `folder`, and compute what its rule believed before each round and believes now.

    Args:
        folder: Of the campaign.
        has_lattices: Whether markers are to tell the lattice of each candidate, which takes a while.

    Raises:
        StoreError: There is none, it is damaged, or there is no hull yet.
    """
    return Reported.of(read_history(folder), has_lattices=has_lattices)


def write_report(path: Path, reported: Reported) -> None:
    """Write the report of a campaign, finished or not, whole or not at all. The same campaign gives the same bytes.

    Raises:
        OutputError: The suffix is no HTML file's, or the file cannot be written.
    """
    if path.suffix not in SUFFIXES:
        raise OutputError(
            f"{path}: expected a file that ends in {' or '.join(SUFFIXES)}, found {path.suffix or 'no ending'!r}."
        )
    text = render_report(reported)
    half_made = path.with_name(f".{path.name}.new")
    try:
        half_made.write_text(text, encoding="utf-8")
        half_made.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}. Give another file.") from error


def render_report(reported: Reported) -> str:
    """The HTML text of the report of a campaign."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415  slow to import
    from plotly.offline import get_plotlyjs  # noqa: PLC0415

    room = files("hullscout.figures.report") / "parts"
    own = sorted((file for file in room.iterdir() if file.name.endswith(".js")), key=lambda file: file.name)
    *first, last = (file.read_text(encoding="utf-8") for file in own)
    # plotly.js takes a second to load: the tables work before it does.
    scripts = [*first, get_plotlyjs(), last]
    environment = Environment(
        loader=PackageLoader("hullscout.figures.report", "parts"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["unbroken"] = unbroken
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":"), "ensure_ascii": False}
    shown = shown_structures(reported)
    return environment.get_template("page.html.jinja").render(
        headline(reported),
        **table_rows(reported, shown),
        page={**page_data(reported), "structures": view_data(reported, shown)},
        policy=_policy(scripts),
        scripts=scripts,
        still={width.value: _still(reported, width) for width in Width},
        style=(room / "page.css").read_text(encoding="utf-8"),
        version=__version__,
        versions=_versions(),
        citations=reported.history.config.citations,
        kinds=[
            {"symbol": symbol, "colour": colour}
            for symbol, colour in zip(reported.history.pool.elements, COLOURS, strict=True)
        ],
        split_formula=lambda formula: re.split(r"(\d+)", formula),
    )


def _still(reported: Reported, width: Width) -> str:
    """The phase diagram as a picture, in the form of a `data:` address: seen until the one to point at is drawn, or instead."""
    picture = figure_bytes(
        lambda figure: draw_phase_diagram(figure.add_subplot(), reported.known, belief=reported.belief),
        suffix=".png",
        width=width,
        aspect=STILL_ASPECT[width],
    )
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"


def _policy(scripts: list[str]) -> str:
    """Nothing is loaded, and nothing runs but these scripts. plotly.js compiles its shaders' callers with `new Function`."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{text}'" for text in hashes)
    return f"default-src 'none'; script-src {allowed} 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:"


def _versions() -> list[tuple[str, str]]:
    """Hullscout and the packages that it needs, with the versions installed."""
    names = [
        re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        for requirement in requires("hullscout") or ()
        if "extra ==" not in requirement
    ]
    found = [("hullscout", __version__)]
    for name in sorted(names):
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:  # pragma: no cover  a broken installation
            found.append((name, "not found"))
    return found
