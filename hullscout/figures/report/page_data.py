"""What the scripts of the report draw: the candidates in columns, and the campaign after each round. Energies in meV/atom."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.display import MILLI
from hullscout.figures.phase_diagram import drawn_energies, intervals_of
from hullscout.figures.prototypes import parent_lattice, space_group
from hullscout.figures.report.facts import BAND_AT, MAX_WITH_BANDS
from hullscout.figures.sections import Places
from hullscout.figures.ternary import coloured_up_to, tie_lines
from hullscout.hull import hull_error
from hullscout.regression import student_quantile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hullscout.figures.report.facts import Reported
    from hullscout.hull import Hull
    from hullscout.pool import Candidate
    from hullscout.selection import Known
    from hullscout.selection.known import Floats


def page_data(reported: Reported) -> dict[str, Any]:
    """What the scripts of the page draw: the candidates in columns, and the campaign after each round."""
    config, belief = reported.history.config, reported.belief
    return {
        "fileName": config.folder_name,
        "elements": list(config.elements),
        "ends": list(reported.known.pool.end_names),
        "given": int(reported.known.given.size),
        "isReplay": reported.known.true_hull is not None,
        "tolerance": float(f"{config.stop.hull_tolerance * MILLI:g}"),
        "accepted": config.stop.failure_probability,
        "modelErrorName": reported.model_error_name,
        "halfWidthPerStd": None if belief is None else student_quantile(0.975, belief.degrees_of_freedom),
        "candidates": _candidates(reported),
        "moments": list(_moments(reported)),
        "trueHull": _true_hull(reported.known),
        "bandAt": listed(BAND_AT, 4),
        "view": {"x": [-0.03, 1.03], "energy": list(reported.view_mev), **_view_of_heights(reported)},
    }


def _view_of_heights(reported: Reported) -> dict[str, Any]:
    """Of three elements and more, up to which height above the hull colours tell or is drawn, meV/atom; of four the columns."""
    known = reported.known
    if len(known.pool.end_names) == 2:
        return {}
    columns = {} if len(known.pool.end_names) == 3 else {"columns": list(Places.of(known).systems)}
    heights = known.hull.distance(known.fractions, drawn_energies(known, reported.belief)) * MILLI
    return {"height": round(coloured_up_to(heights), 1), **columns}


def _candidates(reported: Reported) -> dict[str, Any]:
    history, known, belief = reported.history, reported.known, reported.belief
    pool, true, shown = known.pool, known.true_formation_ev_per_atom, reported.shown
    is_known = np.isin(shown, known.answered)
    candidates, indices = [pool.candidates[index] for index in shown], shown.tolist()
    columns: dict[str, Any] = {
        "id": [each.id for each in candidates],
        "formula": [pool.formulas[index] for index in indices],
        **_compositions(pool.fractions[shown]),
        "place": listed(Places.of(known).x[shown], 4) if len(pool.end_names) > 3 else None,
        "atoms": pool.n_atoms[shown].tolist(),
        "spaceGroup": _space_groups(reported, candidates),
        "round": [
            known.asked_in[index] if is_there else None for index, is_there in zip(indices, is_known, strict=True)
        ],
        "energy": listed(np.where(is_known, MILLI * drawn_energies(known, None)[shown], np.nan), 3),
        "startVolume": [round(each.volume_a3_per_atom, 3) for each in candidates] if history.relaxed else None,
        "relaxedVolume": _relaxed_volumes(reported) if history.relaxed else None,
        "lattice": [parent_lattice(each) for each in candidates] if reported.lattices else None,
        "pending": reported.places(sorted(history.awaited)),
        "failed": {
            str(place): {"round": known.asked_in[index], "reason": failed.reason, "sentence": failed.sentence}
            for index, failed in sorted(history.failures.items())
            for place in reported.places([index])
        },
        "reference": None if true is None else listed(np.where(is_known, np.nan, MILLI * true[shown]), 3),
    }
    if belief is not None:
        columns["predicted"] = listed(np.where(is_known, np.nan, MILLI * belief.mean_ev_per_atom[shown]), 3)
        columns["std"] = listed(np.where(is_known, np.nan, MILLI * belief.std_ev_per_atom[shown]), 3)
        columns["onHull"] = listed(belief.probability_on_hull[shown], 4)
        columns["contenders"] = reported.places(intervals_of(belief)[0])
    return columns


def _space_groups(reported: Reported, candidates: Sequence[Candidate]) -> list[str | None]:
    """Symbols of what is shown, of large pools of what is calculated alone."""
    wanted = set(reported.places(reported.known.answered))
    is_small = len(candidates) <= MAX_WITH_BANDS
    return [space_group(one) if is_small or place in wanted else None for place, one in enumerate(candidates)]


def _true_hull(known: Known) -> dict[str, Any] | None:
    """The hull of all candidates that there were at a moment, where a table knows it."""
    true = known.true_hull
    if true is None:
        return None
    energy = listed(MILLI * true.energy_ev_per_atom, 3)
    if true.fractions.shape[1] == 1:
        return {"x": listed(true.x, 6), "energy": energy}
    return {"fractions": np.round(true.fractions, 6).tolist(), "energy": energy, **_drawn_lines(true)}


def _compositions(fractions: Floats) -> dict[str, list[Any]]:
    """The x of two elements; of more a column for each element after the first, to nine digits, for heights above planes."""
    columns = [listed(column, 6 if fractions.shape[1] == 1 else 9) for column in fractions.T]
    return {"x": columns[0]} if len(columns) == 1 else {"fractions": columns}


def _drawn_lines(hull: Hull) -> dict[str, list[list[int]]]:
    """The tie lines of three elements, by places among the vertices."""
    return {"ties": tie_lines(hull).tolist()} if hull.fractions.shape[1] == 2 else {}


def _facets(reported: Reported, hull: Hull) -> dict[str, list[Any]]:
    """Of more than two elements: planes of the facets in meV/atom; of three, facets and tie lines by their places on the page."""
    if hull.fractions.shape[1] == 1:
        return {}
    several = {"planes": np.round(MILLI * hull.planes, 4).tolist()}
    if hull.fractions.shape[1] == 2:
        at = np.array(reported.places(hull.indices))
        several |= {"facets": at[hull.facets].tolist(), "ties": at[tie_lines(hull)].tolist()}
    return several


def _relaxed_volumes(reported: Reported) -> list[float | None]:
    """The volume per atom in A^3 of the structure that each energy is of, where that was relaxed."""
    relaxed = reported.history.relaxed
    volumes = {index: round(structure.volume_a3_per_atom, 3) for index, structure in relaxed.items()}
    return [volumes.get(index) for index in reported.shown.tolist()]


def _moments(reported: Reported) -> Iterator[dict[str, Any]]:
    history, energies, before = reported.history, drawn_energies(reported.known, None), None
    for known, decision, band, model_error in zip(
        history.moments, history.decided, reported.bands, reported.model_errors_ev_per_atom, strict=True
    ):
        hull = replace(known.hull, energy_ev_per_atom=energies[known.hull.indices])  # as seen from now
        error = known.hull_error_ev_per_atom
        # What the rule knows now is not written down in a round yet.
        now = reported.belief if decision is None else decision
        stated = reported.stated_failure_probability if decision is None else decision.stated_failure_probability
        yield {
            "round": len(known.decisions) - 1,
            "known": int(known.answered.size),
            "candidates": known.n_candidates,
            "shown": int(np.searchsorted(reported.shown, known.n_candidates)),
            "hull": reported.places(hull.indices),
            **_facets(reported, hull),
            "trueHull": _true_hull(known) if known.n_candidates < len(history.pool) else None,
            "lowering": None if before is None else round(MILLI * hull_error(before, hull), 3),
            "error": None if error is None else round(MILLI * error, 3),
            "modelError": None if model_error is None else round(MILLI * model_error, 3),
            "probability": None if now is None else now.failure_probability,
            "stated": stated,
            "band": None if band is None else _band(band, hull),
        }
        before = hull


def _band(band_ev_per_atom: Floats, hull: Hull) -> dict[str, Any]:
    """The band of an earlier moment relative to the pure elements known now, whose energies are the ends of that moment's hull."""
    first, last = hull.energy_ev_per_atom[[0, -1]]
    low, high = band_ev_per_atom + (1.0 - BAND_AT) * first + BAND_AT * last
    return {"low": listed(low * MILLI, 2), "high": listed(high * MILLI, 2)}


def listed(values: Floats, digits: int) -> list[float | None]:
    """Numbers rounded to so many digits; None for nan."""
    return [None if np.isnan(value) else round(value, digits) for value in values.tolist()]
