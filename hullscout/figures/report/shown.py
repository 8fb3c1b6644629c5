"""The structures that the report shows: the hull, what lies next above it, and what might still belong to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import atomic_numbers, covalent_radii

from hullscout.figures.report.numbers import milli, percent
from hullscout.figures.report.pictures import COLOURS, DrawnCell, drawn_cell, picture

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hullscout.figures.report.facts import Reported

# Structures shown beside the hull: of the calculated ones, and of the others.
N_NEXT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownStructures:
    """Indices of candidates, best first, and how they are drawn.

    Attributes:
        hull: Vertices of the found hull, by ascending x.
        nearest: Calculated ones that lie next above it.
        likeliest: Not calculated ones that are most probably on the true hull; none without a posterior.
        cells: Of all these, and of everything that was on the hull after some round.
    """

    hull: tuple[int, ...]
    nearest: tuple[int, ...]
    likeliest: tuple[int, ...]
    cells: dict[int, DrawnCell]


def shown_structures(reported: Reported) -> ShownStructures:
    """Choose what is shown, and find its symmetry."""
    pool, known, belief = reported.history.pool, reported.known, reported.belief
    found = known.hull
    vertices = found.indices.tolist()
    height = found.distance(pool.x[known.answered], known.formation_ev_per_atom)
    by_height = known.answered[np.argsort(height, kind="stable")].tolist()
    nearest = [index for index in by_height if index not in vertices][:N_NEXT]
    likeliest: list[int] = []
    if belief is not None:
        unknown = known.unknown
        above = belief.mean_ev_per_atom[unknown] - found.energy_at(pool.x[unknown])
        order = np.lexsort((above, -belief.probability_on_hull[unknown]))
        likeliest = [index for index in unknown[order].tolist() if belief.probability_on_hull[index] > 0][:N_NEXT]
    ever = [index for moment in reported.history.moments for index in moment.hull.indices.tolist()]
    wanted = dict.fromkeys([*vertices, *nearest, *likeliest, *ever])
    return ShownStructures(
        hull=tuple(vertices),
        nearest=tuple(nearest),
        likeliest=tuple(likeliest),
        cells={index: drawn_cell(pool.candidates[index]) for index in wanted},
    )


def table_rows(reported: Reported, shown: ShownStructures) -> dict[str, list[dict[str, Any]]]:
    """The rows of the tables with pictures, by the table's name."""
    return {
        name: [_row(reported, index, shown.cells[index]) for index in indices]
        for name, indices in (("hull", shown.hull), ("nearest", shown.nearest), ("likeliest", shown.likeliest))
    }


def view_data(reported: Reported, shown: ShownStructures) -> dict[str, Any]:
    """What the page needs to show the structures in three dimensions: lengths in A, elements as 0 and 1."""
    kind_of = {atomic_numbers[symbol]: kind for kind, symbol in enumerate(reported.history.pool.elements)}
    return {
        "colours": list(COLOURS),
        "radii": [float(covalent_radii[number]) for number in kind_of],
        "cells": {
            str(index): {
                "spaceGroup": cell.space_group,
                "prototype": cell.prototype,
                "n": cell.n_atoms,
                "atoms": [
                    [kind_of[number], *_rounded(position)]
                    for number, position in zip(cell.numbers.tolist(), cell.positions.tolist(), strict=True)
                ],
                "edges": [[_rounded(end) for end in edge] for edge in cell.edges.tolist()],
            }
            for index, cell in shown.cells.items()
        },
    }


def _row(reported: Reported, index: int, cell: DrawnCell) -> dict[str, Any]:
    pool, known, belief = reported.history.pool, reported.known, reported.belief
    candidate, at_round = pool.candidates[index], reported.round_of.get(index)
    if at_round is not None:
        energy = float(known.formation_ev_per_atom[known.answered == index][0])
        status, shown = f"calculated (round {at_round})", milli(energy)
    elif belief is not None and reported.half_width_per_std is not None:
        energy = float(belief.mean_ev_per_atom[index])
        status = "not calculated"
        if index in reported.failures:
            status = f"failed (round {reported.known.asked_in[index]}): {reported.failures[index].reason}"
        half_width = reported.half_width_per_std * float(belief.std_ev_per_atom[index])
        shown = f"{milli(energy)} \N{PLUS-MINUS SIGN} {milli(half_width)}"
    return {
        "index": index,
        "image": picture(cell, pool.elements),
        "formula": candidate.formula,
        "id": candidate.id,
        "x": float(pool.x[index]),
        "n_atoms": candidate.n_atoms,
        "space_group": cell.space_group or "not found",
        "prototype": cell.prototype,
        "energy": shown,
        "above_hull": milli(energy - float(known.hull.energy_at(pool.x[index]))),
        "on_hull": "" if belief is None else percent(float(belief.probability_on_hull[index])),
        "status": status,
    }


def _rounded(position: Iterable[float]) -> list[float]:
    return [round(length, 3) for length in position]
