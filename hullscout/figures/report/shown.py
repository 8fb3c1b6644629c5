"""The structures that the report shows: the hull, what lies next above it, and what might still belong to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import atomic_numbers, covalent_radii

from hullscout.campaign.structure_text import cif_text
from hullscout.display import milli, percent
from hullscout.figures.crystals import COLOURS, DrawnCell, drawn_cell, picture

if TYPE_CHECKING:
    from hullscout.figures.report.facts import Reported

# Structures shown beside the hull: of the calculated ones, and of the others.
N_NEXT = 8
# Calculated structures whose CIF files the page holds, of the lowest ones.
MAX_CIFS = 1000


def shown_structures(reported: Reported) -> tuple[dict[str, list[int]], dict[int, DrawnCell]]:
    """Indices of the candidates of each table, best first, and the cells of all these and of everything that was on the hull.

    The tables: the vertices of the hull; calculated structures next above it; those not calculated that are most
    probably on the true hull, none without a posterior.
    """
    known, belief = reported.known, reported.belief
    vertices = known.hull.indices.tolist()
    height = known.hull.distance(known.fractions[known.answered], known.formation_ev_per_atom)
    by_height = known.answered[np.argsort(height, kind="stable")].tolist()
    nearest = [index for index in by_height if index not in vertices][:N_NEXT]
    likeliest: list[int] = []
    if belief is not None:
        unknown, probability = known.unknown, belief.probability_on_hull
        above = known.hull.distance(known.fractions[unknown], belief.mean_ev_per_atom[unknown])
        order = np.lexsort((above, -probability[unknown]))
        likeliest = [index for index in unknown[order].tolist() if probability[index] > 0][:N_NEXT]
    ever = [index for then in reported.history.moments for index in then.hull.indices.tolist()]
    wanted = [*vertices, *nearest, *likeliest, *ever]
    cells = {index: drawn_cell(known.pool.candidates[index]) for index in dict.fromkeys(wanted)}
    return {"hull": vertices, "nearest": nearest, "likeliest": likeliest}, cells


def view_data(reported: Reported, cells: dict[int, DrawnCell]) -> dict[str, Any]:
    """What the page needs to show the structures in three dimensions: lengths in A, elements as 0, 1 and on; and CIF files."""
    elements = reported.history.config.elements
    kind_of = {atomic_numbers[symbol]: kind for kind, symbol in enumerate(elements)}
    return {
        "colours": list(COLOURS[: len(elements)]),
        "radii": [float(covalent_radii[number]) for number in kind_of],
        "cells": {
            str(place): {
                "spaceGroup": cell.space_group,
                "prototype": cell.prototype,
                "n": cell.n_atoms,
                "atoms": [
                    [kind_of[number], *position]
                    for number, position in zip(cell.numbers.tolist(), _rounded(cell.positions.tolist()), strict=True)
                ],
                "edges": _rounded(cell.edges.tolist()),
                "bonds": cell.bonds.tolist(),
            }
            for place, cell in zip(reported.places([*cells]), cells.values(), strict=True)
        },
        "cifs": _cif_files(reported, cells),
    }


def _cif_files(reported: Reported, cells: dict[int, DrawnCell]) -> dict[str, str]:
    """CIF files of the structures shown and of what is calculated, the lowest of it: relaxed where the energy is of that."""
    known, relaxed = reported.known, reported.history.relaxed
    height = known.hull.distance(known.fractions[known.answered], known.formation_ev_per_atom)
    lowest = known.answered[np.argsort(height, kind="stable")][:MAX_CIFS].tolist()
    candidates = known.pool.candidates
    wanted = sorted({*cells, *lowest})
    texts = (cif_text(relaxed.get(index, candidates[index])) for index in wanted)
    return dict(zip(map(str, reported.places(wanted)), texts, strict=True))


def _rounded(lengths: Any) -> Any:
    """Nested lists of lengths, to 0.001 A."""
    return [_rounded(inner) for inner in lengths] if isinstance(lengths, list) else round(lengths, 3)


def table_row(reported: Reported, index: int, cell: DrawnCell) -> dict[str, Any]:
    """The row of a structure in a table with pictures."""
    known, belief, failed = reported.known, reported.belief, reported.history.failures.get(index)
    candidate, is_answered = known.pool.candidates[index], known.answered == index
    if is_answered.any():
        energy = float(known.formation_ev_per_atom[is_answered][0])
        asked = known.asked_in[index]
        status, shown = "known beforehand" if asked < 0 else f"calculated (round {asked})", milli(energy)
    elif belief is not None:
        energy, half_width = float(belief.mean_ev_per_atom[index]), float(belief.half_width_ev_per_atom()[index])
        status = f"failed (round {known.asked_in[index]}): {failed.reason}" if failed else "not calculated"
        shown = f"{milli(energy)} \N{PLUS-MINUS SIGN} {milli(half_width)}"
    relaxed = reported.history.relaxed.get(index)
    volumes = [candidate.volume_a3_per_atom, *([] if relaxed is None else [relaxed.volume_a3_per_atom])]
    return {
        "place": reported.places([index])[0],
        "volumes": [f"{volume:.2f}" for volume in volumes] + [""],
        "image": picture(cell, known.pool.elements),
        "formula": known.pool.formulas[index],
        "id": candidate.id,
        "fractions": [f"{fraction:.4f}" for fraction in known.fractions[index].tolist()],
        "n_atoms": candidate.n_atoms,
        "space_group": cell.space_group or "not found",
        "prototype": cell.prototype,
        "energy": shown,
        "above_hull": milli(energy - float(known.hull.energy_at(known.fractions[[index]])[0])),
        "on_hull": "" if belief is None else percent(float(belief.probability_on_hull[index])),
        "status": status,
    }
