"""Yardsticks: plain rules to hold the others against. They state no probability of a wrong hull.

`greedy` and `variance` stop when no contender is left: an unknown candidate whose predicted energy less `confidence` standard
deviations lies more than the tolerance below today's hull.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from hullscout.selection.interface import Proposal, Snapshot, Stop, StopReason, in_order
from hullscout.selection.start import end_members, random_compounds
from hullscout.selection.transforms import Transform
from hullscout.settings import Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hullscout.selection.stopping import StopSettings
    from hullscout.selection.surrogate import Surrogate

MODEL = Transform.CAP.value


class _Contenders(Settings, ABC):
    """What `greedy` and `variance` share: all but the order of the contenders."""

    batch: PositiveInt = 4
    """Structures looked up in one round."""
    n_start: NonNegativeInt = 10
    """Random compounds looked up at the start, beside the pure elements."""
    energy_cap: PositiveFloat = 0.6
    """Heights above today's hull are capped smoothly at this, eV/atom."""
    confidence: float = Field(default=3.0, ge=0)
    """Standard deviations below its prediction down to which a candidate is believed to reach."""

    def start(self, snapshot: Snapshot) -> tuple[int, ...]:
        """The pure elements and `n_start` random compounds."""
        return (*end_members(snapshot), *random_compounds(snapshot, self.n_start))

    def select(self, snapshot: Snapshot, surrogate: Surrogate, *, stop: StopSettings) -> Proposal:
        """The best contenders, or stop when there is none."""
        labels, baseline = Transform.CAP(snapshot, energy_cap_ev_per_atom=self.energy_cap)
        warm_start = surrogate.warm_start(MODEL, snapshot.history)
        fit = surrogate.fit(snapshot.known, labels, baseline=baseline, warm_start=warm_start)
        askable = snapshot.askable
        if not fit.is_learned:
            chosen = snapshot.rng().permutation(askable)[: self.batch]
            return Proposal(chosen=tuple(chosen.tolist()), n_contenders=askable.size)
        height = (fit.mean - snapshot.hull.energy_at(snapshot.x))[askable]
        std = fit.std[askable]
        is_contender = height - self.confidence * std < -stop.hull_tolerance
        worst_first = self._badness(height, std)
        best = in_order(np.where(is_contender, worst_first, np.inf))[: min(self.batch, is_contender.sum())]
        end = None
        if best.size == 0:
            sentence = (
                f"No structure is predicted to reach {1000 * stop.hull_tolerance:g} meV/atom below the hull within "
                f"{self.confidence:g} standard deviations."
            )
            end = Stop(reason=StopReason.ALL_CONTENDERS_KNOWN, sentence=sentence)
        return Proposal(
            chosen=tuple(askable[best].tolist()),
            stop=end,
            n_contenders=int(is_contender.sum()),
            model_errors={MODEL: fit.leave_one_out_rmse},
            warm_starts={} if fit.best is None else {MODEL: fit.best},
        )

    @abstractmethod
    def _badness(self, height: NDArray[np.float64], std: NDArray[np.float64]) -> NDArray[np.float64]:
        """What is looked up last, of predicted heights above today's hull and their standard deviations, eV/atom."""


class GreedyRule(_Contenders):
    """Look up the contenders predicted lowest above today's hull."""

    rule: Literal["greedy"] = "greedy"
    states_probability: ClassVar[bool] = False

    def _badness(self, height: NDArray[np.float64], std: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: ARG002  shared
        return height


class VarianceRule(_Contenders):
    """Look up the contenders with the most uncertain energies."""

    rule: Literal["variance"] = "variance"
    states_probability: ClassVar[bool] = False

    def _badness(self, height: NDArray[np.float64], std: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: ARG002  shared
        return -std


class RandomRule(Settings):
    """Look candidates up in random order until all are known or `stop.max_calculations` is reached. It fits no model."""

    rule: Literal["random"] = "random"
    states_probability: ClassVar[bool] = False
    batch: PositiveInt = 4
    """Structures looked up in one round."""

    def start(self, snapshot: Snapshot) -> tuple[int, ...]:
        """The pure elements."""
        return end_members(snapshot)

    def select(self, snapshot: Snapshot, surrogate: Surrogate, *, stop: StopSettings) -> Proposal:  # noqa: ARG002  the interface of all rules
        """A random batch of what may be asked for."""
        askable = snapshot.askable
        chosen = snapshot.rng().permutation(askable)[: self.batch]
        return Proposal(chosen=tuple(chosen.tolist()), n_contenders=askable.size)
