"""The options of commands that draw: how a figure is to look."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from hullscout.figures.look import Look

NAMED = re.compile(r"""\s*(?:(?P<quote>["'])(?P<quoted>.+)(?P=quote)\s*|(?P<plain>[^:]*[^:\s][^:]*)):(?P<rest>.*)""")
"""What is restyled, its name in quotes or not, and how."""


def _numbers(mark: str, expected: str) -> Callable[..., tuple[float, float] | None]:
    def parsed(_context: click.Context, _option: click.Parameter, text: str | None) -> tuple[float, float] | None:
        if text is None:
            return None
        try:
            low, high = (float(part) for part in text.split(mark))
        except ValueError as error:
            raise click.BadParameter(f"expected {expected}, found {text!r}") from error
        return low, high

    return parsed


def _restyled(
    _context: click.Context, _option: click.Parameter, texts: tuple[str, ...]
) -> dict[str, dict[str, str | float]]:
    every: dict[str, dict[str, str | float]] = {}
    for text in texts:
        found = NAMED.fullmatch(text)
        pairs = [part.partition("=") for part in found["rest"].split(",")] if found else []
        if found is None or not all(key and value for key, _, value in pairs):
            raise click.BadParameter(
                f"expected WHAT:KEY=VALUE, for example calculated:color=black or 'calculated, bcc':marker=s, found {text!r}"
            )
        name = (found["quoted"] or found["plain"]).strip()
        every.setdefault(name, {}).update({key.strip(): _value(value.strip()) for key, _, value in pairs})
    return every


def _value(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


LOOK_OPTIONS = (
    click.option(
        "--size",
        "size_inches",
        metavar="WxH",
        callback=_numbers("x", "WIDTHxHEIGHT, for example 3.4x2.6"),
        help="Inches.",
    ),
    click.option("--dpi", type=int, help="Dots per inch of a PNG.  [default: 300 in a column, 160 on the page]"),
    click.option("--title", help='Instead of the one drawn; "" for none.'),
    click.option("--no-legend", is_flag=True, help="Leave the legend out."),
    click.option(
        "--xlim", "x_range", metavar="LOW:HIGH", callback=_numbers(":", "LOW:HIGH, for example 0:0.5"), help="Limits."
    ),
    click.option(
        "--ylim", "y_range", metavar="LOW:HIGH", callback=_numbers(":", "LOW:HIGH, for example -80:20"), help="Limits."
    ),
    click.option("--ev", "is_in_ev", is_flag=True, help="Energies in eV/atom instead of meV/atom."),
    click.option("--at-percent", "is_in_percent", is_flag=True, help="Compositions in at.% instead of fractions."),
    click.option(
        "--style", "sheets", multiple=True, metavar="NAME|FILE", help="A style sheet of matplotlib; may be repeated."
    ),
    click.option(
        "--restyle",
        "restyled",
        multiple=True,
        metavar="WHAT:KEY=VALUE,...",
        callback=_restyled,
        help="Properties of what the legend names, as calculated:color=black,marker=s; may be repeated. What stands before a comma "
        "there names all that begin with it.",
    ),
    click.option("--svg-text", "has_text", is_flag=True, help="Text in an SVG stays text, in the reader's fonts."),
)


def looks_otherwise(command: Callable[..., None]) -> Callable[..., None]:
    """A command that takes how its figure is to look."""
    for option in reversed(LOOK_OPTIONS):
        command = option(command)
    return command


def look_of(options: dict[str, Any]) -> Look:
    """The look that options ask for."""
    from hullscout.figures.look import Look  # noqa: PLC0415  the help does without it

    return Look(
        **{name: value for name, value in options.items() if name != "no_legend"}, has_legend=not options["no_legend"]
    )
