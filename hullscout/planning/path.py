"""The path of a replay: what was looked up in which order, what the rule stated on the way, and how wrong the hull was.

A path is played to the strictest stop that is asked of it. Which candidates are looked up does not depend on
`stop.failure_probability`, which only decides when to end; so a run with a larger one is the first part of the same path, and
its end is read off. This is exact, and a grid over failure probabilities costs no more than its smallest value.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import asdict, dataclass
from typing import Self

from hullscout.selection import StopReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A decision on the path.

    Attributes:
        n_known: Calculations so far.
        n_contenders: Unknown candidates that the rule still considered.
        stated: The failure probability that the rule stood by; None where it states none.
        n_foreseen: Lookups to the stop as the rule foresaw them, for the smallest failure probability of the path.
    """

    n_known: int
    n_contenders: int
    stated: float | None
    n_foreseen: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a run ended.

    Attributes:
        n_calculations: Calculations until then.
        hull_error_ev_per_atom: Largest height of the found hull above the true one.
        stated: The failure probability that the rule stood by; None where it states none.
        reason: Why it ended.
    """

    n_calculations: int
    hull_error_ev_per_atom: float
    stated: float | None
    reason: StopReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """A replay to its end, calculation by calculation.

    Attributes:
        seed: Of the replay.
        order: (m,) indices in the pool in the order of looking up.
        error_steps: (number of calculations, hull error in eV/atom from then on), ascending; the first when both pure elements
            are known.
        moments: The decisions, ascending; the last one is the end.
        reason: Why the whole path ended.
    """

    seed: int
    order: tuple[int, ...]
    error_steps: tuple[tuple[int, float], ...]
    moments: tuple[Moment, ...]
    reason: StopReason

    def hull_error_after(self, n_calculations: int) -> float:
        """Hull error in eV/atom after so many calculations, at the end of the path if it is shorter; infinite without a hull."""
        step = bisect_right(self.error_steps, n_calculations, key=lambda pair: pair[0])
        return self.error_steps[step - 1][1] if step else float("inf")

    def end(self, failure_probability: float | None = None) -> Ending:
        """Where a run that accepts this failure probability ends; the end of the path if it is None or never reached."""
        last = self.moments[-1]
        moment, reason = last, self.reason
        if failure_probability is not None:
            is_low = (m for m in self.moments if m.stated is not None and m.stated < failure_probability)
            moment = next(is_low, last)
        if moment is not last:
            reason = StopReason.FAILURE_PROBABILITY if moment.n_contenders else StopReason.ALL_CONTENDERS_KNOWN
        return Ending(
            n_calculations=moment.n_known,
            hull_error_ev_per_atom=self.hull_error_after(moment.n_known),
            stated=moment.stated,
            reason=reason,
        )

    def to_json(self) -> str:
        """The path as text; `from_json` gives the same path back."""
        return json.dumps(asdict(self), allow_nan=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """A path from its text.

        Raises:
            KeyError, TypeError, ValueError: It is none.
        """
        tree = json.loads(text)
        return cls(
            seed=tree["seed"],
            order=tuple(tree["order"]),
            error_steps=tuple((n, error) for n, error in tree["error_steps"]),
            moments=tuple(Moment(**moment) for moment in tree["moments"]),
            reason=StopReason(tree["reason"]),
        )
