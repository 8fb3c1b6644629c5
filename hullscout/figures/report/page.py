"""The report: one HTML file that holds everything it shows, and asks no network for anything.

plotly.js draws, Jinja writes. Names and texts of the user's files are data to both: Jinja escapes them in the page and in its
JSON, the scripts put them into the page as text, and the page's own policy admits no script but those of this package.
"""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.metadata import requires, version
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import atomic_numbers, covalent_radii

from hullscout.campaign import read_history
from hullscout.citations import citations_of
from hullscout.display import milli, percent, unbroken
from hullscout.errors import OutputError
from hullscout.figures.crystals import COLOURS, DrawnCell, data_address, drawn_cell, picture
from hullscout.figures.phase_diagram import MAX_INTERVALS, MIN_PROBABILITY, draw_phase_diagram
from hullscout.figures.report import facts
from hullscout.figures.style import Width, figure_bytes
from hullscout.files import write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

REPORT = "report.html"
SUFFIXES = (".html", ".htm")
# Structures shown beside the hull: of the calculated ones, and of the others.
N_NEXT = 8
# Of the picture that stands in for the diagram, height over width: those of its place on a wide and on a narrow screen.
STILL_ASPECT = {Width.PAGE: 0.55, Width.COLUMN: 1.25}


def read_report(folder: Path, *, has_lattices: bool = False) -> facts.Reported:
    """Read the campaign in `folder`, and compute what its rule believed before each round and believes now."""
    return facts.Reported.of(read_history(folder), has_lattices=has_lattices)


def write_report(path: Path, reported: facts.Reported) -> None:
    """Write the report of a campaign, finished or not, whole or not at all. The same campaign gives the same bytes."""
    if path.suffix not in SUFFIXES:
        found = path.suffix or "no ending"
        raise OutputError(f"{path}: expected a file that ends in {' or '.join(SUFFIXES)}, found {found!r}.")
    write_whole(path, render_report(reported), remedy="Give another file.")


def render_report(reported: facts.Reported) -> str:
    """The HTML text of the report of a campaign."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415  slow to import
    from plotly.offline import get_plotlyjs  # noqa: PLC0415

    room, config = files("hullscout.figures.report") / "parts", reported.history.config
    own = sorted((file for file in room.iterdir() if file.name.endswith(".js")), key=lambda file: file.name)
    *first, last = (file.read_text(encoding="utf-8") for file in own)
    # plotly.js takes a second to load: the tables work before it does.
    scripts = [*first, get_plotlyjs(), last]
    loader = PackageLoader("hullscout.figures.report", "parts")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["unbroken"] = unbroken
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":"), "ensure_ascii": False}
    shown, cells = shown_structures(reported)
    return environment.get_template("page.html.jinja").render(
        reported=reported,
        say=facts,
        least_probability=percent(MIN_PROBABILITY),
        most_intervals=MAX_INTERVALS,
        tables={name: [table_row(reported, i, cells[i]) for i in those] for name, those in shown.items()},
        page={**facts.page_data(reported), "structures": view_data(config.elements, cells)},
        policy=_policy(scripts),
        scripts=scripts,
        still={width.value: _still(reported, width) for width in Width},
        style=(room / "page.css").read_text(encoding="utf-8"),
        versions=_versions(),
        citations=citations_of((*config.representation.citations, *config.select.citations)),
        kinds=list(zip(config.elements, COLOURS, strict=True)),
        split_formula=lambda formula: re.split(r"(\d+)", formula),
    )


def _still(reported: facts.Reported, width: Width) -> str:
    """The phase diagram as a picture: seen until the one to point at is drawn, or instead."""

    def draw(figure: Figure) -> None:
        draw_phase_diagram(figure.add_subplot(), reported.known, belief=reported.belief)

    size = width.size(STILL_ASPECT[width])
    return data_address(figure_bytes(draw, suffix=".png", inches=size, dpi=width.dots_per_inch))


def _policy(scripts: list[str]) -> str:
    """Nothing is loaded, and nothing runs but these scripts. plotly.js compiles its shaders' callers with `new Function`."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{text}'" for text in hashes)
    return f"default-src 'none'; script-src {allowed} 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:"


def _versions() -> list[tuple[str, str]]:
    """Hullscout and the packages that it needs, with the versions installed."""
    needed = (requirement for requirement in requires("hullscout") or () if "extra ==" not in requirement)
    names = sorted(re.split(r"[^\w.-]", requirement, maxsplit=1)[0] for requirement in needed)
    return [(name, version(name)) for name in ("hullscout", *names)]


def shown_structures(reported: facts.Reported) -> tuple[dict[str, list[int]], dict[int, DrawnCell]]:
    """Indices of the candidates of each table, best first, and the cells of all these and of everything that was on the hull.

    The tables: the vertices of the hull by ascending x; calculated structures next above it; those not calculated that are most
    probably on the true hull, none without a posterior.
    """
    known, belief = reported.known, reported.belief
    vertices = known.hull.indices.tolist()
    height = known.hull.distance(known.x[known.answered], known.formation_ev_per_atom)
    by_height = known.answered[np.argsort(height, kind="stable")].tolist()
    nearest = [index for index in by_height if index not in vertices][:N_NEXT]
    likeliest: list[int] = []
    if belief is not None:
        unknown, probability = known.unknown, belief.probability_on_hull
        above = known.hull.distance(known.x[unknown], belief.mean_ev_per_atom[unknown])
        order = np.lexsort((above, -probability[unknown]))
        likeliest = [index for index in unknown[order].tolist() if probability[index] > 0][:N_NEXT]
    ever = [index for then in reported.history.moments for index in then.hull.indices.tolist()]
    wanted = dict.fromkeys([*vertices, *nearest, *likeliest, *ever])
    cells = {index: drawn_cell(known.pool.candidates[index]) for index in wanted}
    return {"hull": vertices, "nearest": nearest, "likeliest": likeliest}, cells


def view_data(elements: tuple[str, str], cells: dict[int, DrawnCell]) -> dict[str, Any]:
    """What the page needs to show the structures in three dimensions: lengths in A, elements as 0 and 1."""
    kind_of = {atomic_numbers[symbol]: kind for kind, symbol in enumerate(elements)}
    return {
        "colours": list(COLOURS),
        "radii": [float(covalent_radii[number]) for number in kind_of],
        "cells": {
            str(index): {
                "spaceGroup": cell.space_group,
                "prototype": cell.prototype,
                "n": cell.n_atoms,
                "atoms": [
                    [kind_of[number], *position]
                    for number, position in zip(cell.numbers.tolist(), _rounded(cell.positions.tolist()), strict=True)
                ],
                "edges": _rounded(cell.edges.tolist()),
            }
            for index, cell in cells.items()
        },
    }


def _rounded(lengths: Any) -> Any:
    """Nested lists of lengths, to 0.001 A."""
    return [_rounded(inner) for inner in lengths] if isinstance(lengths, list) else round(lengths, 3)


def table_row(reported: facts.Reported, index: int, cell: DrawnCell) -> dict[str, Any]:
    """The row of a structure in a table with pictures."""
    known, belief, failed = reported.known, reported.belief, reported.history.failures.get(index)
    candidate, is_answered = known.pool.candidates[index], known.answered == index
    if is_answered.any():
        energy = float(known.formation_ev_per_atom[is_answered][0])
        status, shown = f"calculated (round {known.asked_in[index]})", milli(energy)
    elif belief is not None:
        energy, half_width = float(belief.mean_ev_per_atom[index]), float(belief.half_width_ev_per_atom()[index])
        status = f"failed (round {known.asked_in[index]}): {failed.reason}" if failed else "not calculated"
        shown = f"{milli(energy)} \N{PLUS-MINUS SIGN} {milli(half_width)}"
    return {
        "index": index,
        "image": picture(cell, known.pool.elements),
        "formula": candidate.formula,
        "id": candidate.id,
        "x": float(known.x[index]),
        "n_atoms": candidate.n_atoms,
        "space_group": cell.space_group or "not found",
        "prototype": cell.prototype,
        "energy": shown,
        "above_hull": milli(energy - float(known.hull.energy_at(known.x[index]))),
        "on_hull": "" if belief is None else percent(float(belief.probability_on_hull[index])),
        "status": status,
    }
