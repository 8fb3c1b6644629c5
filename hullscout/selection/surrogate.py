"""The surrogate: kernel ridge regression of energies over the features of a pool, as the selection rules use it.

It joins the regression service to a pool's features and keeps nothing between rounds but what can be computed again: distances
of labelled structures to the pool, one row each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt

from hullscout.regression import Criterion, KernelShape, ModelSettings, PoolModel
from hullscout.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hullscout.regression.tuning import SearchPoint
    from hullscout.selection.interface import Snapshot

    Floats = NDArray[np.float64]
    Indices = NDArray[np.intp]


# Labels in eV/atom (or standard deviations) that differ by less are equal: the rounding of energies of some 10^4 eV per cell.
SPREAD_THAT_IS_ROUNDING = 1e-9


class SurrogateSettings(Settings):
    """How energies are learned."""

    kernel: Annotated[KernelShape, Field(strict=False)] = KernelShape.GAUSSIAN
    """Shape of the kernel: `gaussian`, `laplacian`, `matern32`, `matern52` or `linear`."""
    criterion: Annotated[Criterion, Field(strict=False)] = Criterion.LOG_SCORE
    """What the hyperparameters make best: leave-one-out `log-score` or `rmse`, or `marginal-likelihood`."""
    energy_cap: PositiveFloat = 0.15
    """Heights above the current hull are capped smoothly at this, eV/atom: what lies far above says nothing of the hull."""
    cold_start_every: PositiveInt = 8
    """Hyperparameters are searched from nothing every so many rounds, and from the last round's best in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SurrogateFit:
    """A model fitted on some labels.

    Attributes:
        mean: (n,) predicted labels of all candidates.
        leave_one_out_rmse: Root mean square error of the labels, each predicted from the others.
        warm_start: Where the search of the next round may start.
    """

    mean: Floats
    leave_one_out_rmse: float
    warm_start: SearchPoint | None


class Surrogate:
    """Model of the energies of a pool.

    Args:
        blocks: (n, d) features of all candidates by block name.
        settings: How energies are learned.
    """

    def __init__(self, blocks: Mapping[str, Floats], *, settings: SurrogateSettings | None = None) -> None:
        self.settings = SurrogateSettings() if settings is None else settings
        self._blocks = dict(blocks)
        self._n_candidates = len(next(iter(self._blocks.values())))
        self._model_settings = ModelSettings(shape=self.settings.kernel, criterion=self.settings.criterion)
        self._model = self._empty_model()

    def fit(self, known: Indices, labels: Floats, *, warm_start: SearchPoint | None = None) -> SurrogateFit:
        """Fit on labels (m,) of the candidates `known` (m,), in any order, and predict all candidates.

        Labels that all agree, or fewer than three, are predicted to go on as they are.
        """
        if known.size < 3 or np.ptp(labels) <= SPREAD_THAT_IS_ROUNDING:
            mean = np.full(self._n_candidates, labels.mean())
            return SurrogateFit(mean=mean, leave_one_out_rmse=float(np.ptp(labels)), warm_start=None)
        model = self._grown(known)
        position = {index: place for place, index in enumerate(known.tolist())}
        y = labels[[position[index] for index in model.labelled.tolist()]]
        fitted = model.fit(y, warm_start=warm_start)
        mean, _ = model.predict()
        return SurrogateFit(
            mean=mean,
            leave_one_out_rmse=float(np.sqrt(np.mean((fitted.loo_mean - y) ** 2))),
            warm_start=fitted.warm_start,
        )

    def held_out_half_rmse(self, known: Indices, labels: Floats, *, rng: np.random.Generator) -> float:
        """Root mean square error on a random half of the labels, predicted from the other half."""
        order = rng.permutation(known.size)
        trained, held_out = order[: known.size - known.size // 2], order[known.size - known.size // 2 :]
        half = PoolModel({name: block[known] for name, block in self._blocks.items()}, settings=self._model_settings)
        half.add(trained)
        half.fit(labels[trained])
        mean, _ = half.predict(held_out)
        return float(np.sqrt(np.mean((mean - labels[held_out]) ** 2)))

    def predict_formation_energy(self, snapshot: Snapshot) -> Floats:
        """(n,) formation energies in eV/atom predicted for all candidates, learned without a cap."""
        return self.fit(snapshot.known, snapshot.formation_ev_per_atom).mean

    def _empty_model(self) -> PoolModel:
        return PoolModel(self._blocks, settings=self._model_settings)

    def _grown(self, known: Indices) -> PoolModel:
        """The model with exactly `known` labelled.

        Rows are added one by one: rounding then does not depend on how many answers came together, and a resumed campaign
        equals an uninterrupted one to the last bit.
        """
        labelled = set(self._model.labelled.tolist())
        wanted = known.tolist()
        if not labelled.issubset(wanted):
            self._model = self._empty_model()
            labelled = set()
        for index in wanted:
            if index not in labelled:
                self._model.add([index])
        return self._model
