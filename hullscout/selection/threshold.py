"""The paper's rule: look up whatever is predicted to lie less than a threshold above the lowest of its composition.

And the same rule measured from today's hull, which spares the compositions at which nothing can be stable.

Source: Huo & Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022), section 3.4 and its published notebook. Deviations: by default
one model on energies capped above the hull instead of three on the paper's transforms, and leave-one-out errors instead of those
of a held-out half; both are settings.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from hullscout.citations import HUO_RUPP_RULE, Citation
from hullscout.display import MILLI
from hullscout.hull import lower_hull
from hullscout.selection.decision import Decision, Stop
from hullscout.selection.rule import Rule, in_order, one_per_composition, starting_pure
from hullscout.selection.stopping import StopReason
from hullscout.selection.transforms import Transform
from hullscout.settings import Amount, Count  # noqa: TC001  pydantic reads them

if TYPE_CHECKING:
    from hullscout.selection.known import Floats, Indices, Known
    from hullscout.selection.stopping import StopSettings
    from hullscout.selection.surrogate import Surrogate


class _Threshold(Rule, ABC):
    """What the two rules share: all but the energy from which a height is measured."""

    uses_hull_tolerance: ClassVar[bool] = False
    citations: ClassVar[tuple[Citation, ...]] = (HUO_RUPP_RULE,)
    _reference_name: ClassVar[str]  # what the height is measured from, in words
    batch: Count = 4
    """Structures looked up in one round."""
    factor: Amount = 1.3
    """Threshold over held-out error."""
    held_out: Literal["leave-one-out", "half"] = "leave-one-out"
    """How the error is measured: on each structure left out in turn, or on a random half of what is known."""
    window: Count = 20
    """Rounds over which the median error is taken."""
    energy_cap: Amount = 0.15
    """Heights above today's hull are capped smoothly at this by the transform `cap`, eV/atom."""
    transforms: tuple[Annotated[Transform, Field(strict=False)], ...] = Field(
        default=(Transform.CAP,), min_length=1, strict=False
    )
    """Energy scales, one model each: `cap`, or the paper's `shrink-positive`, `stretch-negative`, `standardize`, or `none`."""

    def start(self, known: Known) -> tuple[int, ...]:
        """The pure elements and one random structure of each composition."""
        return (*starting_pure(known), *one_per_composition(known))

    def decide(self, known: Known, surrogate: Surrogate, *, stop: StopSettings) -> Decision:  # noqa: ARG002  the interface of all rules
        """The unknown structures predicted lowest, in units of the threshold; stop when none is below it."""
        askable = known.askable
        relative = np.full(askable.size, np.inf)
        errors: dict[str, float] = {}
        thresholds: list[float] = []
        for transform in self.transforms:
            labels, baselines = transform(known, energy_cap_ev_per_atom=self.energy_cap)
            model = transform.value
            belief = surrogate.fit(known, labels, baselines=baselines)
            errors[model] = belief.model_error_ev_per_atom
            if self.held_out == "half":
                errors[model] = surrogate.held_out_half_rmse(known, labels, baselines=baselines)
            recent = [decision.model_errors[model] for decision in known.decisions if model in decision.model_errors]
            thresholds.append(self.factor * float(np.median([*recent, errors[model]][-self.window :])))
            height = (belief.mean_ev_per_atom - self._reference(known, labels))[askable]
            relative = np.minimum(relative, height / max(thresholds[-1], np.finfo(float).tiny))
        is_contender = relative < 1.0
        n_contenders = int(is_contender.sum())
        best_first = in_order(relative)[: min(self.batch, n_contenders)]
        return Decision(
            chosen=tuple(askable[best_first].tolist()),
            n_contenders=n_contenders,
            model_errors=errors,
            threshold_ev_per_atom=thresholds[0] if self.transforms[0] is not Transform.STANDARDIZE else None,
        )

    def none_left(self, decision: Decision, stop: StopSettings) -> Stop:  # noqa: ARG002  the interface of all rules
        """The campaign ends since nothing is predicted below the threshold."""
        within = "the threshold"
        if self.transforms == (Transform.CAP,) and decision.threshold_ev_per_atom is not None:
            within = f"{MILLI * decision.threshold_ev_per_atom:.1f} meV/atom"
        return Stop(
            reason=StopReason.NOTHING_BELOW_THRESHOLD,
            sentence=f"No structure is predicted within {within} of {self._reference_name}.",
        )

    @abstractmethod
    def _reference(self, known: Known, labels: Floats) -> Floats:
        """(n,) label from which the height of each candidate is measured."""


class ThresholdRule(_Threshold):
    """Look up what is predicted low for its composition; stop when nothing is.

    In each round a model is trained on what is known. Its threshold is `factor` times its held-out root mean square error, the
    median over the last `window` rounds. Every unknown structure predicted less than the threshold above the lowest known energy
    of its own composition is a contender; so is every structure of a composition of which nothing is known. With several
    transforms, a contender of any of their models is one. The `batch` best by height over threshold are looked up.
    """

    rule: Literal["threshold"] = "threshold"
    _reference_name: ClassVar[str] = "the lowest of its composition"

    def _reference(self, known: Known, labels: Floats) -> Floats:
        return lowest_of_composition(known.fractions, known.answered, labels)


class HullThresholdRule(_Threshold):
    """Look up what is predicted less than the threshold above today's hull; stop when nothing is.

    The threshold, the start and the transforms are those of `ThresholdRule`.
    """

    rule: Literal["hull-threshold"] = "hull-threshold"
    _reference_name: ClassVar[str] = "the hull"

    def _reference(self, known: Known, labels: Floats) -> Floats:
        return lower_hull(known.fractions[known.answered], labels).energy_at(known.fractions)


def lowest_of_composition(fractions: Floats, known: Indices, labels: Floats) -> Floats:
    """(n,) lowest label (m,) of what is known (m,) at each candidate's composition (n, k); infinite where nothing is known."""
    _, composition = np.unique(fractions, axis=0, return_inverse=True)
    lowest = np.full(int(composition.max()) + 1, np.inf)
    np.minimum.at(lowest, composition[known], labels)
    return np.asarray(lowest[composition])
