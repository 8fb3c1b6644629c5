"""Where the probability of a wrong hull comes from, and what more calculations would make of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hullscout.display import stated_percent
from hullscout.selection.hull_posterior import Fantasies
from hullscout.selection.surrogate import N_WEIGHED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hullscout.selection.belief import Belief
    from hullscout.selection.known import Indices

# A sample this many standard deviations below a prediction shows a tail.
TAIL = 3.0
# What is foreseen: the probability after so many more calculations.
STEPS = (5, 10, 20, 50)
# Parts below this are not worth a sentence.
MIN_SAID = 0.001
# So many candidates and compositions are named.
N_NAMED = 3
# So many known structures whose energies are doubted are named.
N_SUSPECTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The parts of the probability that the hull is wrong by more than the tolerance; `model` and `loners` add up to it.

    Attributes:
        probability: The whole.
        model: What the model's samples say, where no loner makes the hull wrong anyway.
        tails: The part of `model` from values more than three standard deviations below their predictions.
        loners: A ground state that the model does not see coming (`alloys`).
        is_least: Whether no sample shows anything, and `model` is the least that so many of them can tell.
        failed: The part of the whole that candidates take whose calculations failed.
        candidates: (index in the pool, part of `model`), the largest first.
        compositions: (fractions of the elements after the first, part of `model`), the largest first; of two elements a number.
        outlook: (number, probability) after so many more calculations, as if each told only of itself.
    """

    probability: float
    model: float
    tails: float
    loners: float
    is_least: bool
    failed: float
    candidates: tuple[tuple[int, float], ...]
    compositions: tuple[tuple[float | tuple[float, ...], float], ...]
    outlook: tuple[tuple[int, float], ...]

    @classmethod
    def of(cls, belief: Belief, *, tolerance_ev_per_atom: float) -> Sources:
        """Take apart what a belief says; one without samples says nothing, and has no parts."""
        known, depths, tolerance = belief.known, belief.depths_ev_per_atom, tolerance_ev_per_atom
        whole, loners = belief.probability_of_wrong_hull(tolerance), float(belief.loner_probability.sum())
        model = max(whole - loners, 0.0)
        wrong = np.flatnonzero(depths.max(axis=1, initial=-np.inf) > tolerance)
        deepest = depths[wrong].argmax(axis=1) if wrong.size else np.zeros(0, dtype=np.intp)
        indices, below = np.concatenate([belief.sampled, belief.others]), belief.others_deeper(tolerance)
        shares = np.concatenate([np.bincount(deepest, minlength=belief.sampled.size) / max(depths.shape[0], 1), below])
        unit = model / float(shares.sum()) if shares.any() else 0.0
        distance = belief.mean_ev_per_atom[belief.sampled[deepest]] - belief.sampled_ev_per_atom[wrong, deepest]
        n_tails = int((distance > TAIL * belief.std_ev_per_atom[belief.sampled[deepest]]).sum())
        far = (
            belief.mean_ev_per_atom - known.hull.energy_at(known.fractions) + tolerance > TAIL * belief.std_ev_per_atom
        )
        tails = n_tails / max(depths.shape[0], 1) + float(below[far[belief.others]].sum())
        at, where = np.unique(known.fractions[indices], axis=0, return_inverse=True)
        by_x = np.bincount(where.ravel(), weights=shares, minlength=len(at))
        x = at.ravel().tolist() if at.shape[1] == 1 else list(map(tuple, at.tolist()))
        places, compositions = np.argsort(-shares, kind="stable"), np.argsort(-by_x, kind="stable")
        return cls(
            probability=whole,
            model=model,
            tails=tails * unit,
            loners=loners,
            is_least=not shares.any(),
            failed=whole - belief.probability_of_wrong_hull(tolerance, without=known.failed),
            candidates=tuple((int(indices[at]), float(shares[at] * unit)) for at in places if shares[at] > 0.0),
            compositions=tuple((x[at], float(by_x[at] * unit)) for at in compositions.tolist() if by_x[at] > 0.0),
            outlook=tuple(_outlook(belief, tolerance)) if known.askable.size else (),
        )

    def sentences(self, belief: Belief) -> Iterator[str]:
        """What a person should know of it."""
        known, pool = belief.known, belief.known.pool
        tails = (
            f", of which {stated_percent(self.tails)} far below a prediction (more than {TAIL:g} standard deviations)"
        )
        by_model = f"{stated_percent(self.model)} by what the model foresees{tails if self.tails >= MIN_SAID else ''}"
        if not self.model:
            by_model = "nothing by what the model foresees"
        elif self.is_least:
            by_model = f"{stated_percent(self.model)} that samples of the model cannot exclude, though none shows it"
        yield (
            f"The hull is wrong with a probability of {stated_percent(self.probability)}, over alloys: {by_model}, and "
            f"{stated_percent(self.loners)} by a ground state that no model sees coming."
        )
        if self.failed >= MIN_SAID:
            n = known.n_failed
            yield (
                f"Of it {stated_percent(self.failed)} {'is of the candidate' if n == 1 else f'are of the {n} candidates'} that "
                "failed: no other calculation settles that."
            )
        stated = belief.stated_failure_probability
        if stated is not None and stated > self.probability:
            yield f"What counts for the stop is the highest of the last rounds: {stated_percent(stated)}."
        if self.candidates:
            named = ", ".join(
                f"{pool.ids[index]} ({pool.formulas[index]}{', failed' if index in known.failed else ''}) "
                f"{stated_percent(part)}"
                for index, part in self.candidates[:N_NAMED]
            )
            ends = tuple(name if name in pool.elements else f"({name})" for name in pool.end_names)
            at = ", ".join(f"{stated_percent(part)} at {_named(x, ends)}" for x, part in self.compositions[:N_NAMED])
            yield f"Largest single parts of the model's: {named}; by composition {at}."
        if self.outlook:
            ahead = ", ".join(f"{stated_percent(probability)} after {n}" for n, probability in self.outlook)
            before = ", once those chosen before are known," if known.pending.size else ""
            yield (
                f"With more calculations{before} it falls to {ahead}, or lower: that is as if each told only of itself, and "
                "each teaches of others too."
            )
        if belief.suspects.size:
            named = ", ".join(pool.ids[index] for index in belief.suspects[:N_SUSPECTS].tolist())
            more = f" and {belief.suspects.size - N_SUSPECTS} more" if belief.suspects.size > N_SUSPECTS else ""
            yield (
                f"Hardly counted by the model, since the other energies contradict them: {named}{more}. Look at these "
                "calculations."
            )
        if (n := known.answered.size) > N_WEIGHED:
            yield f"The model learns from all {n} known energies; its kernels are weighed by {N_WEIGHED} of them, drawn at random."


def _named(at: float | tuple[float, ...], ends: tuple[str, ...]) -> str:
    """A composition in words: x of two elements or ends, the fraction of each of more."""
    if isinstance(at, float):
        return f"x = {at:.3g}"
    return "".join(f"{end}{x:.3g}" for end, x in zip(ends, (1.0 - sum(at), *at), strict=True) if x > 1e-9)


def _outlook(
    belief: Belief, tolerance_ev_per_atom: float, steps: tuple[int, ...] = STEPS
) -> Iterator[tuple[int, float]]:
    """The probability after so many more calculations: the deepest in samples are looked up, then the likeliest loners.

    What is under way counts as settled. What failed is not: it stays in doubt, and so do contenders that were not sampled.
    """
    known, sampled = belief.known, belief.sampled
    depths, at, cost = belief.depths_ev_per_atom, known.fractions[sampled], known.cost[sampled]
    order = Fantasies(np.where(np.isin(sampled, known.failed), -np.inf, depths), at, floor=tolerance_ev_per_atom)
    every = Fantasies(depths, at, floor=tolerance_ev_per_atom)
    _look_up(order, pending := np.flatnonzero(np.isin(sampled, known.pending)))
    _look_up(every, pending)
    others = belief.others_deeper(tolerance_ev_per_atom)[~np.isin(belief.others, known.pending)]
    loners = belief.loner_probability
    askable, failed = -np.sort(-loners[known.askable]), float(loners[known.failed].sum())
    n_done = 0
    for n in sorted({min(step, known.askable.size) for step in steps}):
        chosen = order.look_up_deepest(n - n_done, cost=cost)
        _look_up(every, chosen)
        n_done += chosen.size
        share = max(float(every.share_of_deepest.sum()), 1.0 / depths.shape[0] if n < known.askable.size else 0.0)
        by_model = belief.observed(1.0 - (1.0 - share) * float(np.prod(1.0 - others)))
        yield n, 1.0 - (1.0 - by_model) * (1.0 - failed - float(askable[max(n - n_done, 0) :].sum()))


def _look_up(fantasies: Fantasies, candidates: Indices) -> None:
    """Lower the hull of each sample by candidates, those of them that count in some sample."""
    for place in np.flatnonzero(np.isin(fantasies.columns, candidates)).tolist():
        fantasies.look_up(place)
