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
from pydantic import Field, PositiveFloat, PositiveInt

from hullscout.hull import lower_hull
from hullscout.selection.interface import Proposal, Snapshot, Stop, StopReason, in_order
from hullscout.selection.start import end_members, one_per_composition
from hullscout.selection.transforms import Transform
from hullscout.settings import Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hullscout.regression import SearchPoint
    from hullscout.selection.stopping import StopSettings
    from hullscout.selection.surrogate import Surrogate


class _Threshold(Settings, ABC):
    """What the two rules share: all but the energy from which a height is measured."""

    batch: PositiveInt = 4
    """Structures looked up in one round."""
    factor: PositiveFloat = 1.3
    """Threshold over held-out error."""
    held_out: Literal["leave-one-out", "half"] = "leave-one-out"
    """How the error is measured: on each structure left out in turn, or on a random half of what is known."""
    window: PositiveInt = 20
    """Rounds over which the median error is taken."""
    energy_cap: PositiveFloat = 0.15
    """Heights above today's hull are capped smoothly at this by the transform `cap`, eV/atom."""
    transforms: tuple[Annotated[Transform, Field(strict=False)], ...] = Field(
        default=(Transform.CAP,), min_length=1, strict=False
    )
    """Energy scales, one model each: `cap`, or the paper's `shrink-positive`, `stretch-negative`, `standardize`, or `none`."""

    def start(self, snapshot: Snapshot) -> tuple[int, ...]:
        """The pure elements and one random structure of each composition."""
        return (*end_members(snapshot), *one_per_composition(snapshot, snapshot.rng()))

    def select(self, snapshot: Snapshot, surrogate: Surrogate, *, stop: StopSettings) -> Proposal:  # noqa: ARG002  the interface of all rules
        """The unknown structures predicted lowest, in units of the threshold; stop when none is below it."""
        askable = snapshot.askable
        relative = np.full(askable.size, np.inf)
        errors: dict[str, float] = {}
        warm_starts: dict[str, SearchPoint] = {}
        thresholds: list[float] = []
        for transform in self.transforms:
            labels, baseline = transform(snapshot, energy_cap_ev_per_atom=self.energy_cap)
            warm_start = surrogate.warm_start(transform.value, snapshot.history)
            fit = surrogate.fit(snapshot.known, labels, baseline=baseline, warm_start=warm_start)
            if fit.best is not None:
                warm_starts[transform.value] = fit.best
            if self.held_out == "leave-one-out":
                errors[transform.value] = fit.leave_one_out_rmse
            else:
                errors[transform.value] = surrogate.held_out_half_rmse(
                    snapshot.known, labels, baseline=baseline, rng=snapshot.rng()
                )
            threshold = self.factor * self._median_error(snapshot, transform.value, errors[transform.value])
            thresholds.append(threshold)
            height = (fit.mean - self._reference(snapshot, labels))[askable]
            relative = np.minimum(relative, height / max(threshold, np.finfo(float).tiny))
        is_contender = relative < 1.0
        n_contenders = int(is_contender.sum())
        end = None
        if n_contenders == 0:
            sentence = (
                f"No structure is predicted within {1000 * thresholds[0]:.1f} meV/atom of {self._reference_name}."
            )
            if self.transforms != (Transform.CAP,):
                sentence = f"No structure is predicted within the threshold of {self._reference_name}."
            end = Stop(reason=StopReason.NOTHING_BELOW_THRESHOLD, sentence=sentence)
        best_first = in_order(relative)[: min(self.batch, n_contenders)]
        return Proposal(
            chosen=tuple(askable[best_first].tolist()),
            stop=end,
            n_contenders=n_contenders,
            model_errors=errors,
            threshold_ev_per_atom=thresholds[0] if self.transforms[0] is not Transform.STANDARDIZE else None,
            warm_starts=warm_starts,
        )

    @abstractmethod
    def _reference(self, snapshot: Snapshot, labels: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) label from which the height of each candidate is measured."""

    @property
    @abstractmethod
    def _reference_name(self) -> str:
        """What the height is measured from, in words."""

    def _median_error(self, snapshot: Snapshot, model: str, error: float) -> float:
        earlier = [record.model_errors[model] for record in snapshot.history if model in record.model_errors]
        return float(np.median([*earlier, error][-self.window :]))


class ThresholdRule(_Threshold):
    """Look up what is predicted low for its composition; stop when nothing is.

    In each round a model is trained on what is known. Its threshold is `factor` times its held-out root mean square error, the
    median over the last `window` rounds. Every unknown structure predicted less than the threshold above the lowest known energy
    of its own composition is a contender; so is every structure of a composition of which nothing is known. With several
    transforms, a contender of any of their models is one. The `batch` best by height over threshold are looked up.
    """

    rule: Literal["threshold"] = "threshold"
    states_probability: ClassVar[bool] = False

    def _reference(self, snapshot: Snapshot, labels: NDArray[np.float64]) -> NDArray[np.float64]:
        return lowest_of_composition(snapshot.x, snapshot.known, labels)

    @property
    def _reference_name(self) -> str:
        return "the lowest of its composition"


class HullThresholdRule(_Threshold):
    """Look up what is predicted less than the threshold above today's hull; stop when nothing is.

    The threshold, the start and the transforms are those of `ThresholdRule`.
    """

    rule: Literal["hull-threshold"] = "hull-threshold"
    states_probability: ClassVar[bool] = False

    def _reference(self, snapshot: Snapshot, labels: NDArray[np.float64]) -> NDArray[np.float64]:
        return lower_hull(snapshot.x[snapshot.known], labels).energy_at(snapshot.x)

    @property
    def _reference_name(self) -> str:
        return "the hull"


def lowest_of_composition(
    x: NDArray[np.float64], known: NDArray[np.intp], labels: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(n,) lowest known label at each candidate's composition; infinite where nothing is known of it.

    Args:
        x: (n,) compositions, equal floats where equal.
        known: (m,) indices of what is known.
        labels: (m,) their labels.
    """
    _, composition = np.unique(x, return_inverse=True)
    lowest = np.full(int(composition.max()) + 1, np.inf)
    np.minimum.at(lowest, composition[known], labels)
    return np.asarray(lowest[composition])
