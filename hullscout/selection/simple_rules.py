"""Simple rules, to hold the others against. They state no probability of a wrong hull.

`greedy` and `variance` stop when no contender is left: an unknown candidate whose predicted energy less `confidence` standard
deviations lies more than the tolerance below today's hull.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from hullscout.display import MILLI
from hullscout.selection.decision import Decision, Stop
from hullscout.selection.rule import Rule, in_order, random_askable, random_compounds, starting_pure
from hullscout.selection.stopping import StopReason
from hullscout.selection.transforms import Transform
from hullscout.settings import Amount, Count, CountOrZero  # noqa: TC001  pydantic reads them

if TYPE_CHECKING:
    from hullscout.selection.known import Floats, Known
    from hullscout.selection.stopping import StopSettings
    from hullscout.selection.surrogate import Surrogate

MODEL = Transform.CAP.value


class _Contenders(Rule, ABC):
    """What `greedy` and `variance` share: all but the order of the contenders."""

    batch: Count = 4
    """Structures looked up in one round."""
    n_start: CountOrZero = 10
    """Random compounds looked up at the start, beside the pure elements."""
    energy_cap: Amount = 0.6
    """Heights above today's hull are capped smoothly at this, eV/atom."""
    confidence: float = Field(default=3.0, ge=0, le=1e6)
    """Standard deviations below its prediction down to which a candidate is believed to reach."""

    def start(self, known: Known) -> tuple[int, ...]:
        """The pure elements and `n_start` random compounds."""
        return (*starting_pure(known), *random_compounds(known, self.n_start))

    def decide(self, known: Known, surrogate: Surrogate, *, stop: StopSettings) -> Decision:
        """The best contenders, or stop when there is none."""
        belief = surrogate.learn(known, Transform.CAP, energy_cap_ev_per_atom=self.energy_cap)
        askable = known.askable
        if not belief.is_learned:
            return Decision(chosen=random_askable(known, self.batch), n_contenders=askable.size)
        height = (belief.mean_ev_per_atom - known.hull.energy_at(known.fractions))[askable]
        std = belief.std_ev_per_atom[askable]
        is_contender = height - self.confidence * std < -stop.hull_tolerance
        worst_first = self._badness(height, std)
        best = in_order(np.where(is_contender, worst_first, np.inf))[: min(self.batch, is_contender.sum())]
        return Decision(
            chosen=tuple(askable[best].tolist()),
            n_contenders=int(is_contender.sum()),
            model_errors={MODEL: belief.model_error_ev_per_atom},
        )

    def none_left(self, decision: Decision, stop: StopSettings) -> Stop:  # noqa: ARG002  the interface of all rules
        """The campaign ends since nothing is believed to reach below the hull."""
        return Stop(
            reason=StopReason.ALL_CONTENDERS_KNOWN,
            sentence=f"No structure is predicted to reach {MILLI * stop.hull_tolerance:g} meV/atom below the hull within "
            f"{self.confidence:g} standard deviations.",
        )

    @abstractmethod
    def _badness(self, height: Floats, std: Floats) -> Floats:
        """What is looked up last, of predicted heights above today's hull and their standard deviations, eV/atom."""


class GreedyRule(_Contenders):
    """Look up the contenders predicted lowest above today's hull."""

    rule: Literal["greedy"] = "greedy"

    def _badness(self, height: Floats, std: Floats) -> Floats:  # noqa: ARG002  shared
        return height


class VarianceRule(_Contenders):
    """Look up the contenders with the most uncertain energies."""

    rule: Literal["variance"] = "variance"

    def _badness(self, height: Floats, std: Floats) -> Floats:  # noqa: ARG002  shared
        return -std


class RandomRule(Rule):
    """Look candidates up in random order until all are known or `stop.max_calculations` is reached. It fits no model."""

    rule: Literal["random"] = "random"
    uses_hull_tolerance: ClassVar[bool] = False
    batch: Count = 4
    """Structures looked up in one round."""

    def start(self, known: Known) -> tuple[int, ...]:
        """The pure elements."""
        return starting_pure(known)

    def decide(self, known: Known, surrogate: Surrogate, *, stop: StopSettings) -> Decision:  # noqa: ARG002  the interface of all rules
        """A random batch of what may be asked for."""
        return Decision(chosen=random_askable(known, self.batch), n_contenders=known.askable.size)
