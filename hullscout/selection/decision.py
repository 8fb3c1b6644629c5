"""What a rule answers: what to calculate next, and the numbers behind it; with why a campaign ends, if it does."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """The end of a campaign: a reason for programs (a `stopping.StopReason`) and a sentence for people."""

    reason: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A round of a campaign: what was decided, and what the model knew then.

    Attributes:
        chosen: Indices of the candidates to calculate, best first; empty only at the end.
        stop: Why the campaign ends; None while it goes on. Rules leave it None: `stopping.concluded` sets it.
        n_contenders: Unknown candidates that the rule still considers; without any, a campaign ends.
        model_errors: Held-out error of each of the rule's models, on the scale that it was trained on; empty where none was fitted.
        threshold_ev_per_atom: The rule's threshold, where it has one.
        failure_probability: Probability of a wrong hull in this round, where the rule knows one.
        stated_failure_probability: What the rule stands by in this round, where it states one.
        loner_probability: The part of it that no sample shows: a ground state of which the model has nothing to say (`alloys`).
        settleable_probability: The probability of this round without the candidates that failed, which no calculation settles.
        stated_settleable_probability: What the rule stands by of that.
        n_lookups_foreseen: Calculations to the stop if each told only of itself; see `hull_posterior.lookups_foreseen`.
    """

    chosen: tuple[int, ...] = ()
    stop: Stop | None = None
    n_contenders: int = 0
    model_errors: dict[str, float] = field(default_factory=dict)
    threshold_ev_per_atom: float | None = None
    failure_probability: float | None = None
    stated_failure_probability: float | None = None
    loner_probability: float | None = None
    settleable_probability: float | None = None
    stated_settleable_probability: float | None = None
    n_lookups_foreseen: int | None = None

    @property
    def model_error(self) -> float | None:
        """Held-out error of the rule's first model in eV/atom; None where none was fitted."""
        return next(iter(self.model_errors.values()), None)

    def only(self, n: int) -> Self:
        """The same decision with the n best of what it chose."""
        return replace(self, chosen=self.chosen[:n])

    def to_tree(self) -> dict[str, Any]:
        """What JSON knows; `from_tree` gives the same decision back."""
        return asdict(self)

    @classmethod
    def from_tree(cls, tree: Mapping[str, Any]) -> Self:
        """A decision from its tree; what an earlier version did not know is left at its default, what only it knew is left out."""
        stop = None if tree.get("stop") is None else Stop(**tree["stop"])
        known = {key: value for key, value in tree.items() if key != "warm_starts"}
        return cls(**{**known, "chosen": tuple(tree["chosen"]), "stop": stop})
