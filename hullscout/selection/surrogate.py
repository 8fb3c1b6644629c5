"""The surrogate: kernel ridge regression of energies over the features of a pool, as the selection rules use it.

It joins the regression service to a pool's features and keeps nothing between rounds but what can be computed again: distances
of labelled structures to the pool, one row each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from hullscout.regression import Criterion, KernelShape, Mean, MixturePosterior, ModelSettings, PoolModel, WarmStart
from hullscout.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from hullscout.regression import SearchPoint
    from hullscout.selection.interface import RoundRecord, Snapshot

    Floats = NDArray[np.float64]
    Indices = NDArray[np.intp]


# Labels in eV/atom (or standard deviations) that differ by less are equal: the rounding of energies of some 10^4 eV per cell.
SPREAD_THAT_IS_ROUNDING = 1e-9


class SurrogateSettings(Settings):
    """How energies are learned."""

    kernel: Annotated[KernelShape, Field(strict=False)] = KernelShape.MATERN52
    """Shape of the kernel: `gaussian`, `laplacian`, `matern32`, `matern52` or `linear`."""
    criterion: Annotated[Criterion, Field(strict=False)] = Criterion.MARGINAL_LIKELIHOOD
    """What the hyperparameters make best: leave-one-out `log-score` or `rmse`, or `marginal-likelihood`."""
    mean: Annotated[Mean, Field(strict=False)] = Mean.QUADRATIC
    """Mean under the kernel model, in composition: `zero`, `constant`, `linear` or `quadratic`."""
    calibrated: bool = True
    """Whether standard deviations are scaled so that they hold for the labels left out."""
    search_growth: float = Field(default=1.2, ge=1, allow_inf_nan=False)
    """Hyperparameters are searched again when so many times as many calculations have been asked for as at the last search, and
    from nothing when twice as many as at the last such; 1: in every round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SurrogateFit:
    """A model fitted on some labels.

    Attributes:
        mean: (n,) predicted labels of all candidates.
        std: (n,) calibrated standard deviations of the same; 0 where nothing was learned.
        is_learned: Whether there was anything to learn: three labels or more that do not all agree, or that all agree with a
            baseline that varies.
        leave_one_out_rmse: Root mean square error of the labels, each predicted from the others.
        best: The best setting of the hyperparameters, with which the next round may start.
        left_out_mean: (m,) prediction of each label from the others, in the order of the labels.
        left_out_std: (m,) calibrated standard deviations of the same; 0 where nothing was learned.
        degrees_of_freedom: Of the Student-t whose scales the standard deviations are.
    """

    mean: Floats
    std: Floats
    is_learned: bool
    leave_one_out_rmse: float
    best: SearchPoint | None
    left_out_mean: Floats
    left_out_std: Floats
    degrees_of_freedom: float


class Surrogate:
    """Model of the energies of a pool.

    Args:
        blocks: (n, d) features of all candidates by block name.
        x: (n,) atomic fraction of the second element.
        settings: How energies are learned.
    """

    def __init__(self, blocks: Mapping[str, Floats], *, x: Floats, settings: SurrogateSettings | None = None) -> None:
        self.settings = SurrogateSettings() if settings is None else settings
        self._blocks = dict(blocks)
        self._x = x
        self._n_candidates = x.size
        self._model = self._empty_model(self.settings.mean)
        self._baseline = np.zeros(x.size)
        self._exact_mean: Floats | None = None

    def fit(
        self,
        known: Indices,
        labels: Floats,
        *,
        baseline: Floats | None = None,
        warm_start: WarmStart | None = None,
    ) -> SurrogateFit:
        """Fit on labels and predict all candidates.

        Labels that all agree, or fewer than three, are predicted to go on as they are. So are labels that all agree with a
        baseline, and if it varies over three of them or more, that is learned: to rounding.

        Args:
            known: (m,) labelled candidates, in any order.
            labels: (m,) their labels.
            baseline: (n,) a cheaper method's labels of all candidates; what is learned is the difference from it.
            warm_start: What an earlier fit found; a search of the hyperparameters from nothing if not given.
        """
        self._baseline = np.zeros(self._n_candidates) if baseline is None else baseline
        differences = labels - self._baseline[known]
        if known.size < 3 or np.ptp(differences) <= SPREAD_THAT_IS_ROUNDING:
            mean = self._baseline + differences.mean()
            is_exact = known.size >= 3 and bool(np.ptp(self._baseline[known]) > SPREAD_THAT_IS_ROUNDING)
            self._exact_mean = mean if is_exact else None
            std = np.full(self._n_candidates, SPREAD_THAT_IS_ROUNDING if is_exact else 0.0)
            return SurrogateFit(
                mean=mean,
                std=std,
                is_learned=is_exact,
                leave_one_out_rmse=float(np.ptp(differences)),
                best=None,
                left_out_mean=mean[known],
                left_out_std=std[known],
                degrees_of_freedom=np.inf,
            )
        self._exact_mean = None
        model = self._grown(known)
        position = {index: place for place, index in enumerate(known.tolist())}
        order = np.asarray([position[index] for index in model.labelled.tolist()], dtype=np.intp)
        y = differences[order]
        fitted = model.fit(y, warm_start=warm_start)
        mean, std = model.predict()
        left_out_mean, left_out_std = np.empty(known.size), np.empty(known.size)
        left_out_mean[order], left_out_std[order] = fitted.loo_mean, fitted.loo_std
        return SurrogateFit(
            mean=self._baseline + mean,
            std=std,
            is_learned=True,
            leave_one_out_rmse=float(np.sqrt(np.mean((fitted.loo_mean - y) ** 2))),
            best=fitted.best,
            left_out_mean=self._baseline[known] + left_out_mean,
            left_out_std=left_out_std,
            degrees_of_freedom=fitted.calibration.degrees_of_freedom,
        )

    def warm_start(self, model: str, history: Iterable[RoundRecord]) -> WarmStart | None:
        """Where the next fit of a model finds its hyperparameters; None where it searches them from nothing.

        That is in the first round, and whenever twice as much has been asked for as at the last search from nothing. A search from
        the last round's best follows whenever `search_growth` times as much has been asked for as at the last search. In between,
        settings are kept.

        Args:
            model: Its name in the rounds' `warm_starts`.
            history: The rounds so far.
        """
        best: SearchPoint | None = None
        n_asked = n_from_nothing = n_searched = 0

        def is_from_nothing() -> bool:
            return best is None or n_asked >= 2 * n_from_nothing

        def is_searched() -> bool:
            return n_asked >= self.settings.search_growth * n_searched

        for record in history:
            if model in record.warm_starts:
                n_from_nothing = n_asked if is_from_nothing() else n_from_nothing
                n_searched = n_asked if n_from_nothing == n_asked or is_searched() else n_searched
            best = record.warm_starts.get(model)
            n_asked += len(record.chosen)
        return None if best is None or is_from_nothing() else WarmStart(point=best, is_searched=is_searched())

    def posterior(self, candidates: Indices) -> MixturePosterior:
        """Joint posterior of the labels of `candidates` (q,) under the last fit that learned something."""
        if self._exact_mean is not None:
            return MixturePosterior(
                weights=np.ones(1),
                means=self._exact_mean[None, candidates],
                covariances=SPREAD_THAT_IS_ROUNDING**2 * np.eye(candidates.size)[None],
                scale=1.0,
                degrees_of_freedom=np.inf,
            )
        posterior = self._model.posterior(candidates)
        return replace(posterior, means=posterior.means + self._baseline[candidates])

    def held_out_half_rmse(
        self, known: Indices, labels: Floats, *, baseline: Floats | None = None, rng: np.random.Generator
    ) -> float:
        """Root mean square error on a random half of the labels, predicted from the other half."""
        order = rng.permutation(known.size)
        trained, held_out = order[: known.size - known.size // 2], order[known.size - known.size // 2 :]
        half = Surrogate(
            {name: block[known] for name, block in self._blocks.items()}, x=self._x[known], settings=self.settings
        )
        mean = half.fit(trained, labels[trained], baseline=None if baseline is None else baseline[known]).mean[held_out]
        return float(np.sqrt(np.mean((mean - labels[held_out]) ** 2)))

    def predict_formation_energy(self, snapshot: Snapshot) -> Floats:
        """(n,) formation energies in eV/atom predicted for all candidates, learned without a cap."""
        baseline = snapshot.baseline_formation_ev_per_atom
        return self.fit(snapshot.known, snapshot.formation_ev_per_atom, baseline=baseline).mean

    def _empty_model(self, mean: Mean) -> PoolModel:
        settings = ModelSettings(
            shape=self.settings.kernel,
            criterion=self.settings.criterion,
            mean=mean,
            n_averaged=1,
            calibrated=self.settings.calibrated,
        )
        return PoolModel(self._blocks, composition=self._x, settings=settings)

    def _mean_for(self, known: Indices) -> Mean:
        """The wanted mean, or the richest below it that is determined without any one composition."""
        n_compositions = np.unique(self._x[known]).size
        means = list(Mean)[: list(Mean).index(self.settings.mean) + 1]
        return next(mean for mean in reversed(means) if mean.n_coefficients < max(n_compositions, 2))

    def _grown(self, known: Indices) -> PoolModel:
        """The model with exactly `known` labelled.

        Rows are added one by one: rounding then does not depend on how many answers came together, and a resumed campaign
        equals an uninterrupted one to the last bit.
        """
        labelled = set(self._model.labelled.tolist())
        wanted = known.tolist()
        mean = self._mean_for(known)
        if not labelled.issubset(wanted) or self._model.settings.mean is not mean:
            self._model = self._empty_model(mean)
            labelled = set()
        for index in wanted:
            if index not in labelled:
                self._model.add([index])
        return self._model
