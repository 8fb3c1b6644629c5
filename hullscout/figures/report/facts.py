"""What the report says in numbers and sentences. Energies in meV/atom, as on the page.

Formation energies refer to the lowest known structures of the pure elements, those known now, also in the earlier rounds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.campaign.setup import Beliefs
from hullscout.display import MILLI
from hullscout.figures.phase_diagram import LEAST_PROBABILITY, MOST_INTERVALS, energy_range, intervals_of
from hullscout.figures.report.numbers import energies_mev, energy_mev, listed, milli, percent
from hullscout.figures.symmetry import Lattice, parent_lattice
from hullscout.hull import VERTEX_TOLERANCE_EV_PER_ATOM, hull_error
from hullscout.regression.calibration import student_quantile
from hullscout.selection.transforms import Transform

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from hullscout.campaign.history import History
    from hullscout.campaign.result import FailedCandidate
    from hullscout.hull import Hull
    from hullscout.selection import Belief, Known

    Floats = NDArray[np.float64]

# Energies that differ by less look the same on the page.
SHOWN_EV_PER_ATOM = 1e-6
# Below the hull the energy axis leaves this share of its range for labels.
FOOTROOM = 0.3
# Failed calculations that the head of the page names.
MOST_FAILURES = 5
BAND_AT = np.linspace(0.0, 1.0, 121)
# Of larger pools only the band of now is computed: each round costs seconds.
MOST_WITH_BANDS = 3000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """A campaign, and what its rule believes now and believed before.

    Attributes:
        history: The campaign until now.
        belief: Of every candidate; None for rules without a posterior, and where too little or everything is known.
        bands: For each moment the (2, k) ends of the hull's 95 % band at `BAND_AT` in eV/atom, as formation energies of that
            moment; None where there is none, and before now in pools of more than `MOST_WITH_BANDS`.
        lattices: The parent lattice of each candidate, where markers are to tell it.
    """

    history: History
    belief: Belief | None
    bands: tuple[Floats | None, ...]
    lattices: tuple[Lattice, ...] | None = None

    @classmethod
    def of(cls, history: History, *, has_lattices: bool = False) -> Reported:
        """A campaign, with what its rule believes now and believed before each round, where it has a posterior.

        Args:
            history: The campaign.
            has_lattices: Whether the lattice of each candidate is found.
        """
        lattices = tuple(parent_lattice(c) for c in history.pool.candidates) if has_lattices else None
        if not history.config.select.states_probability:
            return cls(history=history, belief=None, bands=(None,) * len(history.moments), lattices=lattices)
        beliefs = Beliefs(history.setup)
        bands = []
        for moment in history.moments:
            is_wanted = moment is history.now or len(history.pool) <= MOST_WITH_BANDS
            belief = beliefs.at(moment) if is_wanted else None
            bands.append(None if belief is None else belief.band_ev_per_atom(BAND_AT)[[0, 2]])
        return cls(history=history, belief=belief, bands=tuple(bands), lattices=lattices)

    @property
    def known(self) -> Known:
        """Where the campaign stands now."""
        return self.history.now

    @property
    def is_replay(self) -> bool:
        """Whether the energies of all candidates are known to the oracle."""
        return self.known.true_formation_ev_per_atom is not None

    @property
    def is_finished(self) -> bool:
        """Whether the campaign has come to its end."""
        return self.history.result is not None

    @property
    def stated_failure_probability(self) -> float | None:
        """Probability of a wrong hull that the rule stands by now; None where it states none."""
        if self.history.result is not None:
            return self.history.result.failure_probability
        return None if self.belief is None else self.belief.stated_failure_probability

    @property
    def round_of(self) -> dict[int, int]:
        """The round in which each known candidate was asked for, by its index."""
        return {index: self.known.asked_in[index] for index in self.known.answered.tolist()}

    @property
    def pending(self) -> tuple[int, ...]:
        """Candidates asked for, in a hand-off handed out, and not answered."""
        return tuple(sorted(self.history.awaited))

    @property
    def failures(self) -> dict[int, FailedCandidate]:
        """Why each calculation that failed for good did, by the candidate's index; they count as unknown."""
        return dict(sorted(self.history.failures.items()))

    @property
    def half_width_per_std(self) -> float | None:
        """Half the 95 % interval of a prediction over its standard deviation; None where nothing is predicted."""
        return None if self.belief is None else student_quantile(0.975, self.belief.degrees_of_freedom)

    @property
    def model_errors_ev_per_atom(self) -> tuple[float | None, ...]:
        """Error of the rule's model at each moment; that of now is not written down in a round, and is the belief's."""
        *before, now = (None if decision is None else decision.model_error for decision in self.history.decided)
        return (*before, now if self.belief is None else self.belief.model_error_ev_per_atom)

    @property
    def energies_ev_per_atom(self) -> Floats:
        """(n,) formation energies of what is known; nan of the others."""
        energies = np.full(self.known.n_candidates, np.nan)
        energies[self.known.answered] = self.known.formation_ev_per_atom
        return energies


def headline(reported: Reported) -> dict[str, Any]:
    """What the page says in words: its head, its figures, its settings."""
    history, known = reported.history, reported.known
    config = history.config
    return {
        "name": config.name,
        "elements": config.elements,
        "rule": config.select.rule,
        "seed": config.seed,
        "n_candidates": known.n_candidates,
        "is_replay": reported.is_replay,
        "has_posterior": reported.belief is not None,
        "n_failed": len(reported.failures),
        "least_probability": percent(LEAST_PROBABILITY),
        "most_intervals": MOST_INTERVALS,
        "model_error": _model_error_name(reported),
        "has_model_error": any(error is not None for error in reported.model_errors_ev_per_atom),
        "energy_cap": _energy_cap(reported),
        "has_lattices": reported.lattices is not None,
        "states_probability": any(d is not None and d.failure_probability is not None for d in history.decided),
        "summary": summary(reported),
        "remarks": list(_remarks(reported)),
        "warning": _warning(reported),
        "facts": list(_facts(reported)),
        "n_above": int((drawn_energies(reported) > view_of_energies(reported)[1]).sum()),
        "settings": list(_settings(reported)),
        "campaign_text": history.setup.origin.campaign_text,
        "pool_lines": history.pool.report.lines(),
        "pool_sha256": history.setup.origin.pool_sha256,
    }


def summary(reported: Reported) -> str:
    """The report in one sentence: what was found, with how many calculations, and how sure that is."""
    known = reported.known
    took = f"{known.n_answered} of {known.n_candidates} calculations"
    hull = f"hull of {known.hull.x.size} structures"
    found = f"A {hull} was found with {took}" if reported.is_finished else f"So far {took} give a {hull}"
    wrong = f"wrong by more than {_tolerance(reported)} meV/atom"
    stated = reported.stated_failure_probability
    if stated is None and reported.history.config.select.states_probability:
        return f"{found}; too little is known to state a probability that it is {wrong}."
    if stated is None:
        return f"{found}; the rule {reported.history.config.select.rule} states no probability that it is {wrong}."
    return f"{found}; probability that it is {wrong}: {percent(stated)}."


def drawn_energies(reported: Reported) -> Floats:
    """(n,) meV/atom that the phase diagram shows each candidate at: calculated, else true, else predicted; nan where it cannot."""
    drawn = reported.energies_ev_per_atom
    others = [
        reported.known.true_formation_ev_per_atom,
        None if reported.belief is None else reported.belief.mean_ev_per_atom,
    ]
    for energies in others:
        if energies is not None:
            drawn = np.where(np.isnan(drawn), energies, drawn)
    return drawn * MILLI


def view_of_energies(reported: Reported) -> tuple[float, float]:
    """The range of the energy axis: the hulls, and above them what still says something; below them room for labels."""
    drawn = drawn_energies(reported) / MILLI
    lowest, top = energy_range(reported.known, drawn[~np.isnan(drawn)])
    return lowest - FOOTROOM * (top - lowest), top


def page_data(reported: Reported) -> dict[str, Any]:
    """What the scripts of the page draw: the candidates in columns, and the campaign after each round."""
    known, config = reported.known, reported.history.config
    true = known.true_hull
    return {
        "fileName": config.folder_name,
        "elements": list(config.elements),
        "isReplay": reported.is_replay,
        "tolerance": float(_tolerance(reported)),
        "accepted": config.stop.failure_probability,
        "modelErrorName": _model_error_name(reported),
        "halfWidthPerStd": reported.half_width_per_std,
        "candidates": _candidates(reported),
        "moments": list(_moments(reported)),
        "trueHull": None if true is None else {"x": listed(true.x, 6), "energy": energies_mev(true.energy_ev_per_atom)},
        "bandAt": listed(BAND_AT, 4),
        "view": {"x": [-0.03, 1.03], "energy": list(view_of_energies(reported))},
    }


def _candidates(reported: Reported) -> dict[str, Any]:
    pool, belief, round_of = reported.history.pool, reported.belief, reported.round_of
    energies, reference = reported.energies_ev_per_atom, reported.known.true_formation_ev_per_atom
    is_unknown = np.isnan(energies)
    columns: dict[str, Any] = {
        "id": list(pool.ids),
        "formula": [candidate.formula for candidate in pool.candidates],
        "x": listed(pool.x, 6),
        "atoms": pool.n_atoms.tolist(),
        "round": [round_of.get(index) for index in range(energies.size)],
        "energy": energies_mev(energies),
        "lattice": None if reported.lattices is None else [lattice.value for lattice in reported.lattices],
        "pending": list(reported.pending),
        "failed": {
            str(index): {
                "round": reported.known.asked_in[index],
                "reason": failed.reason,
                "sentence": failed.sentence,
            }
            for index, failed in reported.failures.items()
        },
        "reference": None if reference is None else energies_mev(np.where(is_unknown, reference, np.nan)),
    }
    if belief is not None:
        columns["predicted"] = energies_mev(np.where(is_unknown, belief.mean_ev_per_atom, np.nan))
        columns["std"] = energies_mev(np.where(is_unknown, belief.std_ev_per_atom, np.nan))
        columns["onHull"] = listed(belief.probability_on_hull, 4)
        columns["contenders"] = intervals_of(belief)[0].tolist()
    return columns


def _moments(reported: Reported) -> Iterator[dict[str, Any]]:
    energies, belief = reported.energies_ev_per_atom, reported.belief
    before: Hull | None = None
    history = reported.history
    for known, decision, band, model_error in zip(
        history.moments, history.decided, reported.bands, reported.model_errors_ev_per_atom, strict=True
    ):
        hull = _seen_from_now(known.hull, energies)
        # What the rule knew now was not yet written down in a round.
        now = belief if decision is None else decision
        yield {
            "round": len(known.decisions) - 1,
            "known": known.n_answered,
            "hull": hull.indices.tolist(),
            "lowering": None if before is None else energy_mev(hull_error(before, hull)),
            "error": energy_mev(known.hull_error_ev_per_atom),
            "modelError": energy_mev(model_error),
            "probability": None if now is None else now.failure_probability,
            "stated": reported.stated_failure_probability if decision is None else decision.stated_failure_probability,
            "band": None if band is None else _band(band, hull),
        }
        before = hull


def _seen_from_now(found: Hull, energies_ev_per_atom: Floats) -> Hull:
    return replace(found, energy_ev_per_atom=energies_ev_per_atom[found.indices])


def _band(band_ev_per_atom: Floats, hull: Hull) -> dict[str, Any]:
    """The band of an earlier moment relative to the pure elements known now, whose energies are the ends of that moment's hull."""
    first, last = hull.energy_ev_per_atom[[0, -1]]
    low, high = band_ev_per_atom + (1.0 - BAND_AT) * first + BAND_AT * last
    return {"low": listed(low * MILLI, 2), "high": listed(high * MILLI, 2)}


def _remarks(reported: Reported) -> Iterator[str]:
    if reported.history.result is not None:
        yield f"Stopped: {reported.history.result.stop_sentence}"
    error = reported.known.hull_error_ev_per_atom
    if error is not None and error <= VERTEX_TOLERANCE_EV_PER_ATOM:
        yield "The hull found is the true hull, which this replay knows."
    elif error is not None:
        yield f"The hull found lies up to {milli(error, 2)} meV/atom above the true hull, which this replay knows."
    yield from _ties(reported)
    if reported.failures:
        ids = reported.history.pool.ids
        told = [f"{ids[i]} ({failed.reason}): {failed.sentence}" for i, failed in reported.failures.items()]
        more = [f"{len(told) - MOST_FAILURES} more are in the table."] if len(told) > MOST_FAILURES else []
        yield " ".join(
            ["Failed calculations, which count as unknown and not as high in energy:", *told[:MOST_FAILURES], *more]
        )


def _ties(reported: Reported) -> Iterator[str]:
    """A sentence for each ground state that other calculated structures share their composition and energy with."""
    known, hull = reported.known, reported.known.hull
    x = known.pool.x
    for vertex, at, energy in zip(hull.indices.tolist(), hull.x, hull.energy_ev_per_atom, strict=True):
        is_alike = (x[known.answered] == at) & (np.abs(known.formation_ev_per_atom - energy) < SHOWN_EV_PER_ATOM)
        others = [index for index in known.answered[is_alike].tolist() if index != vertex]
        if others:
            ids = ", ".join(known.pool.ids[index] for index in others)
            yield (
                f"{ids} and {known.pool.ids[vertex]} have one composition and, to 0.001 meV/atom, one energy; "
                f"{known.pool.ids[vertex]} stands for them on the hull and in P(on hull)."
            )


def _warning(reported: Reported) -> str | None:
    if not reported.is_finished:
        n_pending = len(reported.pending)
        waiting = f" {n_pending} structures are asked for and not yet answered." if n_pending else ""
        return f"This campaign has not come to its end; what is said of the hull holds for what is known now.{waiting}"
    accepted, stated = reported.history.config.stop.failure_probability, reported.stated_failure_probability
    if stated is not None and stated >= accepted:
        return f"The campaign ended before the probability of a wrong hull was below the accepted {percent(accepted)}."
    return None


def _facts(reported: Reported) -> Iterator[dict[str, str]]:
    known, config = reported.known, reported.history.config
    yield _fact("calculations", f"{known.n_answered}", f"of {known.n_candidates}")
    so_far = "of the calculations" if reported.is_finished else "of the calculations, so far"
    yield _fact("saved", f"{100 * known.saved_fraction:.1f} %", so_far)
    if config.cost.kind != "equal":
        spent = float(known.cost[known.answered].sum())
        yield _fact("cost spent", f"{spent:.6g}", f"of {float(known.cost.sum()):.6g}")
    stated = reported.stated_failure_probability
    if stated is not None:
        accepted = f"accepted: {percent(config.stop.failure_probability)}"
        yield _fact(f"P(wrong by more than {_tolerance(reported)} meV/atom)", percent(stated), accepted)
    yield _fact("structures on the hull", f"{known.hull.x.size}", "pure elements included")
    error = known.hull_error_ev_per_atom
    if error is not None:
        yield _fact("hull error, known by the replay", milli(error, 2), "meV/atom")
    errors = zip(reported.model_errors_ev_per_atom, reported.history.moments, strict=True)
    fitted = [(error, known.n_answered) for error, known in errors if error is not None]
    if fitted:
        error, n_known = fitted[-1]
        unit = "meV/atom" if n_known == known.n_answered else f"meV/atom, after {n_known} calculations"
        yield _fact(f"{_model_error_name(reported)} of the model", milli(error), unit)


def _fact(name: str, value: str, unit: str) -> dict[str, str]:
    return {"name": name, "value": value, "unit": unit}


def _settings(reported: Reported) -> Iterator[tuple[str, Any]]:
    for section, value in reported.history.config.model_dump(mode="json").items():
        if isinstance(value, dict):
            yield from ((f"{section}.{key}", setting) for key, setting in value.items())
        else:
            yield section, value


def _model_error_name(reported: Reported) -> str:
    """What exactly the error of the rule's model is."""
    is_half = getattr(reported.history.config.select, "held_out", "leave-one-out") == "half"
    return "RMSE on a held-out half" if is_half else "leave-one-out RMSE"


def _energy_cap(reported: Reported) -> str | None:
    """In meV/atom, what heights above the hull are capped at in the energies that the rule's model learns; None if at nothing."""
    rule = reported.history.config.select
    is_capped = getattr(rule, "transforms", (Transform.CAP,))[0] is Transform.CAP
    return milli(rule.energy_cap, 0) if is_capped and hasattr(rule, "energy_cap") else None


def _tolerance(reported: Reported) -> str:
    return f"{reported.history.config.stop.hull_tolerance * MILLI:g}"
