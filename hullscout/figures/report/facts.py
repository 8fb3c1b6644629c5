"""What the report says in numbers and sentences. Energies in meV/atom, as on the page; what is drawn is in `page_data`.

Formation energies refer to the lowest known structures of the pure elements, those known now, also in the earlier rounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.campaign import Beliefs
from hullscout.campaign.cautions import cautions
from hullscout.display import MILLI, milli, percent, saved_percent
from hullscout.figures.phase_diagram import drawn_energies, energy_range
from hullscout.hull import VERTEX_TOLERANCE_EV_PER_ATOM
from hullscout.selection import ChemicalPotentials, Sources, left_out_of, shown_candidates
from hullscout.selection.transforms import Transform

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hullscout.campaign import History
    from hullscout.campaign.result import FailedCandidate
    from hullscout.selection import Belief, Known
    from hullscout.selection.known import Floats, Indices

# Energies that differ by less look the same on the page.
SHOWN_EV_PER_ATOM = 1e-6
# Below the hull the energy axis leaves this share of its range for labels.
FOOTROOM = 0.3
# Structures left out of the pool that the head of the page names.
MAX_LEFT_OUT = 5
BAND_AT = np.linspace(0.0, 1.0, 121)
# Of larger pools only the band of now is computed, and space groups of what is calculated alone: they cost seconds.
MAX_WITH_BANDS = 3000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """A campaign's history, and what a report adds to it.

    Attributes:
        history: The campaign until now.
        belief: What its rule believes now; None for rules without a posterior, and where too little or everything is known.
        bands: For each moment the (2, k) ends of the hull's 95 % band at `BAND_AT` in eV/atom, as formation energies of that
            moment; None where there is none, for more than two elements, and before now in pools of more than `MAX_WITH_BANDS`.
        shown: (s,) the candidates that the page holds, ascending: all of them, or of large pools what `shown_candidates` says.
        lattices: Whether markers are to tell the lattice of each candidate, which takes a while.
    """

    history: History
    belief: Belief | None
    bands: tuple[Floats | None, ...]
    shown: Indices
    lattices: bool = False

    @classmethod
    def of(cls, history: History, *, lattices: bool = False) -> Reported:
        """A campaign, with what its rule believes now and believed before each round, where it has a posterior."""
        belief: Belief | None = None
        bands: list[Floats | None] = []
        beliefs = Beliefs(history.setup) if history.config.select.states_probability else None
        has_bands = len(history.pool.end_names) == 2
        for known in history.moments:
            is_wanted = known is history.now or (has_bands and len(history.pool) <= MAX_WITH_BANDS)
            belief = beliefs.at(known) if beliefs is not None and is_wanted else None
            if belief is None or not has_bands:
                bands.append(None)
            else:
                bands.append(belief.band_ev_per_atom(BAND_AT, (0.025, 0.975)))
        shown = shown_candidates(history.now, belief)
        return cls(history=history, belief=belief, bands=tuple(bands), shown=shown, lattices=lattices)

    def places(self, candidates: Indices | Sequence[int]) -> list[int]:
        """Where on the page candidates (q,) stand that are shown."""
        places: list[int] = np.searchsorted(self.shown, np.asarray(candidates, dtype=np.intp)).tolist()
        return places

    @property
    def known(self) -> Known:
        """What is known now."""
        return self.history.now

    @property
    def stated_failure_probability(self) -> float | None:
        """Probability of a wrong hull that the rule stands by now; None where it states none."""
        if self.history.result is not None:
            return self.history.result.failure_probability
        return None if self.belief is None else self.belief.stated_failure_probability

    @property
    def model_errors_ev_per_atom(self) -> tuple[float | None, ...]:
        """Error of the rule's model at each moment; that of now is not written down in a round, and is the belief's."""
        before = (None if decision is None else decision.model_error for decision in self.history.decided[:-1])
        return (*before, None if self.belief is None else self.belief.model_error_ev_per_atom)

    @property
    def model_error_name(self) -> str:
        """What exactly the error of the rule's model is."""
        is_half = getattr(self.history.config.select, "held_out", "leave-one-out") == "half"
        return "RMSE on a held-out half" if is_half else "leave-one-out RMSE"

    @property
    def energy_cap(self) -> str | None:
        """What heights above the hull are capped at in the energies that the rule's model learns; None if at nothing."""
        rule = self.history.config.select
        is_capped = getattr(rule, "transforms", (Transform.CAP,))[0] is Transform.CAP
        return milli(rule.energy_cap, 0) if is_capped and hasattr(rule, "energy_cap") else None

    @property
    def wrong(self) -> str:
        """What a wrong hull is."""
        return f"wrong by more than {self.history.config.stop.hull_tolerance * MILLI:g} meV/atom"

    @property
    def view_mev(self) -> tuple[float, float]:
        """The range of the energy axis: the hulls, and above them what still says something; below them room for labels."""
        lowest, top = energy_range(self.known, self.belief)
        return lowest - FOOTROOM * (top - lowest), top

    @property
    def n_above(self) -> int:
        """Number of candidates above that."""
        return int((drawn_energies(self.known, self.belief) * MILLI > self.view_mev[1]).sum())


def summary(reported: Reported) -> str:
    """The report in one sentence: what was found, with how many calculations, and how sure that is."""
    known, rule, wrong = reported.known, reported.history.config.select, reported.wrong
    took = f"{known.n_answered} of {known.n_calculable} calculations"
    hull = f"hull of {known.hull.indices.size} structures"
    found = f"So far {took} give a {hull}" if reported.history.result is None else f"A {hull} was found with {took}"
    stated = reported.stated_failure_probability
    if stated is not None:
        return f"{found}; probability that it is {wrong}: {percent(stated)}."
    if reported.history.setup.not_imported:
        return f"{found}; no probability is given, since what the folder names was not imported."
    if rule.states_probability:
        return f"{found}; too little is known to state a probability that it is {wrong}."
    return f"{found}; the rule {rule.rule} states no probability that it is {wrong}."


def remarks(reported: Reported) -> Iterator[str]:
    """Sentences under the summary: why it ended, how right it is, which structures are alike, what failed."""
    history, known = reported.history, reported.known
    if history.result is not None:
        yield f"Stopped: {history.result.stop_sentence}"
    yield from (then.sentence for then in history.setup.added)
    yield from history.setup.prerelaxed
    error = known.hull_error_ev_per_atom
    if error is not None and error <= VERTEX_TOLERANCE_EV_PER_ATOM:
        yield "The hull found is the true hull, which this replay knows."
    elif error is not None:
        yield f"The hull found lies up to {milli(error, 2)} meV/atom above the true hull, which this replay knows."
    if reported.belief is not None:
        tolerance = history.config.stop.hull_tolerance
        yield from Sources.of(reported.belief, tolerance_ev_per_atom=tolerance).sentences(reported.belief)
    yield from cautions(history.setup)
    if not_shown := left_out_of(known.n_candidates, reported.shown.size):
        yield not_shown
    for vertex, energy in zip(known.hull.indices.tolist(), known.hull.energy_ev_per_atom.tolist(), strict=True):
        is_alike = np.abs(known.formation_ev_per_atom - energy) < SHOWN_EV_PER_ATOM
        is_alike &= (known.fractions[known.answered] == known.fractions[vertex]).all(axis=1) & (
            known.answered != vertex
        )
        others, one = ", ".join(known.pool.ids[index] for index in known.answered[is_alike]), known.pool.ids[vertex]
        if others:
            yield (
                f"{others} and {one} have one composition and, to 0.001 meV/atom, one energy; "
                f"{one} stands for them on the hull and in P(on hull)."
            )
    if history.failures:
        reasons = ", ".join(f"{reason} ({len(those)})" for reason, those in failures_by_reason(reported).items())
        n_failed = f"{len(history.failures)} calculation{'s' if len(history.failures) > 1 else ''} failed"
        yield f"{n_failed} and count{'' if len(history.failures) > 1 else 's'} as unknown, not as high in energy: {reasons}."
    if left_out := history.pool.report.faults:
        more = [f"{len(left_out) - MAX_LEFT_OUT} more are in result.json."] if len(left_out) > MAX_LEFT_OUT else []
        said = (f"{sentence.rstrip('.')}." for sentence in left_out[:MAX_LEFT_OUT])
        yield " ".join(["Left out of the pool, since no campaign can use it:", *said, *more])


def failures_by_reason(reported: Reported) -> dict[str, list[FailedCandidate]]:
    """What failed by its reason, the most frequent first, in the order of the pool."""
    groups: dict[str, list[FailedCandidate]] = {}
    for _, failed in sorted(reported.history.failures.items()):
        groups.setdefault(failed.reason, []).append(failed)
    return dict(sorted(groups.items(), key=lambda group: (-len(group[1]), group[0])))


def warning(reported: Reported) -> str | None:
    """What a reader must know before believing the summary; None where there is nothing."""
    history, stated = reported.history, reported.stated_failure_probability
    if history.result is None:
        n_awaited = len(history.awaited)
        waiting = f" {n_awaited} structures are asked for and not yet answered." if n_awaited else ""
        return f"This campaign has not come to its end; what is said of the hull holds for what is known now.{waiting}"
    accepted = history.config.stop.failure_probability
    if stated is not None and stated >= accepted:
        return f"The campaign ended before the probability of a wrong hull was below the accepted {percent(accepted)}."
    return None


def facts(reported: Reported) -> Iterator[tuple[str, str, str]]:
    """The figures of the page: name, value, unit."""
    history, known, config = reported.history, reported.known, reported.history.config
    yield "calculations", f"{known.n_answered}", f"of {known.n_calculable}"
    so_far = ", so far" if history.result is None else ""
    yield "saved", saved_percent(known.saved_fraction), f"of the calculations{so_far}"
    if config.cost.kind != "equal":
        yield "cost spent", f"{float(known.cost[known.answered].sum()):.6g}", f"of {float(known.cost.sum()):.6g}"
    stated = reported.stated_failure_probability
    if stated is not None:
        yield f"P({reported.wrong})", percent(stated), f"accepted: {percent(config.stop.failure_probability)}"
    yield (
        "structures on the hull",
        f"{known.hull.indices.size}",
        "ends included" if known.pool.ends else "pure elements included",
    )
    if known.hull_error_ev_per_atom is not None:
        yield "hull error, known by the replay", milli(known.hull_error_ev_per_atom, 2), "meV/atom"
    errors = zip(reported.model_errors_ev_per_atom, history.moments, strict=True)
    fitted = [(error, then.n_answered) for error, then in errors if error is not None]
    if fitted:
        error, n = fitted[-1]
        after = "" if n == known.n_answered else f", after {n} calculations"
        yield f"{reported.model_error_name} of the model", milli(error), f"meV/atom{after}"


def settings(reported: Reported) -> Iterator[tuple[str, Any]]:
    """Every setting in force by its full name."""
    for section, value in reported.history.config.model_dump(mode="json").items():
        if isinstance(value, dict):
            yield from ((f"{section}.{key}", setting) for key, setting in value.items())
        else:
            yield section, value


def potentials(reported: Reported) -> ChemicalPotentials:
    """Where each ground state is stable."""
    return ChemicalPotentials.of(reported.known, reported.belief)


def fraction_heads(reported: Reported) -> list[str]:
    """Heads of the columns of compositions."""
    return [f"x ({end})" for end in reported.known.pool.end_names[1:]]
