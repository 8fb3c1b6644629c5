"""Where the probability of a wrong hull comes from, and what more calculations would make of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hullscout.display import PERCENT
from hullscout.selection.alloys import observed
from hullscout.selection.hull_posterior import Fantasies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hullscout.selection.belief import Belief

# A sample this many standard deviations below a prediction shows a tail.
TAIL = 3.0
# What is foreseen: the probability after so many more calculations.
STEPS = (5, 10, 20, 50)
# So many candidates and compositions are named.
N_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The parts of the probability that the hull is wrong by more than the tolerance; `model` and `loners` add up to it.

    Attributes:
        probability: The whole.
        model: What the model's samples say.
        tails: The part of `model` from values more than three standard deviations below their predictions.
        loners: A ground state that the model does not see coming (`alloys`).
        candidates: (index in the pool, part of `model`), the largest first.
        compositions: (fraction of the second element, part of `model`), the largest first.
        outlook: (number, probability) after so many more calculations, as if each told only of itself.
    """

    probability: float
    model: float
    tails: float
    loners: float
    candidates: tuple[tuple[int, float], ...]
    compositions: tuple[tuple[float, float], ...]
    outlook: tuple[tuple[int, float], ...]

    @classmethod
    def of(cls, belief: Belief, *, tolerance_ev_per_atom: float) -> Sources:
        """Take apart what a belief says; one without samples says nothing, and has no parts."""
        known, depths = belief.known, belief.depths_ev_per_atom
        whole, loners = belief.probability_of_wrong_hull(tolerance_ev_per_atom), float(belief.loner_probability.sum())
        model = 1.0 - (1.0 - whole) / (1.0 - loners)
        wrong = np.flatnonzero(depths.max(axis=1, initial=-np.inf) > tolerance_ev_per_atom)
        deepest = depths[wrong].argmax(axis=1) if wrong.size else np.zeros(0, dtype=np.intp)
        shares = np.bincount(deepest, minlength=belief.sampled.size) / max(wrong.size, 1) * model
        below = belief.mean_ev_per_atom[belief.sampled[deepest]] - belief.sampled_ev_per_atom[wrong, deepest]
        is_tail = below > TAIL * belief.std_ev_per_atom[belief.sampled[deepest]]
        places = np.argsort(-shares, kind="stable")
        x, where = np.unique(known.x[belief.sampled], return_inverse=True)
        by_x = np.bincount(where, weights=shares, minlength=x.size)
        return cls(
            probability=whole,
            model=model,
            tails=float(is_tail.mean()) * model if wrong.size else 0.0,
            loners=whole - model,
            candidates=tuple((int(belief.sampled[at]), float(shares[at])) for at in places if shares[at] > 0.0),
            compositions=tuple(
                (float(x[at]), float(by_x[at])) for at in np.argsort(-by_x, kind="stable") if by_x[at] > 0.0
            ),
            outlook=tuple(_outlook(belief, tolerance_ev_per_atom)),
        )

    def sentences(self, belief: Belief) -> Iterator[str]:
        """What a person should know of it."""
        pool = belief.known.pool
        yield (
            f"P(wrong hull) {_percent(self.probability)} = {_percent(self.model)} from the model's samples, of which "
            f"{_percent(self.tails)} from more than {TAIL:g} standard deviations below a prediction, + {_percent(self.loners)} for "
            "a ground state that no model sees coming."
        )
        if self.candidates:
            named = ", ".join(
                f"{pool.ids[index]} ({pool.candidates[index].formula}) {_percent(part)}"
                for index, part in self.candidates[:N_NAMED]
            )
            at = ", ".join(f"{_percent(part)} at x = {x:.3g}" for x, part in self.compositions[:N_NAMED])
            yield f"Most of the model's part: {named}; by composition {at}."
        if self.outlook:
            ahead = ", ".join(f"{_percent(probability)} after {n}" for n, probability in self.outlook)
            yield f"More calculations, if each told only of itself: {ahead}."


def _outlook(belief: Belief, tolerance_ev_per_atom: float) -> Iterator[tuple[int, float]]:
    """The probability after `STEPS` more calculations: the deepest in samples are looked up, then the likeliest loners.

    What is under way counts as settled, and so does what failed, which no calculation settles.
    """
    known = belief.known
    depths = np.where(np.isin(belief.sampled, known.askable), belief.depths_ev_per_atom, -np.inf)
    fantasies = Fantasies(depths, known.x[belief.sampled], floor=tolerance_ev_per_atom)
    loners, n_done = -np.sort(-belief.loner_probability), 0
    for n in STEPS:
        if n > known.askable.size:
            return
        n_done += fantasies.look_up_deepest(n - n_done, cost=known.cost[belief.sampled]).size
        left = float(fantasies.share_of_deepest.sum())
        yield n, 1.0 - (1.0 - observed(left)) * (1.0 - float(loners[max(n - n_done, 0) :].sum()))


def _percent(probability: float) -> str:
    return f"{PERCENT * probability:.1f} %"
