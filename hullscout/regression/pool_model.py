"""The model of a pool, grown label by label: what a campaign's round calls.

Features stay where they are; a new label costs one row of separations; a fit works on what is labelled; predictions go
through the pool in slices.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from hullscout.errors import InvalidSettingError, InvalidTrainingSetError
from hullscout.regression.arrays import (
    SINGLE,
    BoolArray,
    FloatArray,
    IntArray,
    candidate_indices,
    finite_composition,
    finite_labels,
    group_numbers,
    is_kind,
)
from hullscout.regression.covariance import Metric
from hullscout.regression.kept_rows import KeptRows
from hullscout.regression.mixture import FittedMixture, MixturePosterior, fit_mixture
from hullscout.regression.pool_separations import PoolSeparations
from hullscout.regression.tuning import ModelSettings, WarmStart

_SLICE = 4096


class PoolModel:
    """Kernel model of all candidates of a pool, of which some are labelled.

    Args:
        blocks: Features of all candidates, shape (n_candidates, d), by block name.
        alternatives: Further representations of the same candidates (for example other MBTR broadenings), by name;
            tuning chooses among them and `blocks`, which is called "features". In the order of the broadening.
        composition: Atomic fractions of the elements after the first, shape (n_candidates, k), or (n_candidates,) of the second of
            two; needed by a composition mean.
        scales: Unit of length of each block; by default the root mean square distance among the candidates.
    """

    def __init__(
        self,
        blocks: Mapping[str, npt.ArrayLike],
        *,
        alternatives: Mapping[str, Mapping[str, npt.ArrayLike]] | None = None,
        composition: npt.ArrayLike | None = None,
        settings: ModelSettings | None = None,
        scales: Mapping[str, float] | None = None,
    ) -> None:
        if not isinstance(blocks, Mapping):
            raise InvalidSettingError(f"Expected feature arrays by block name, found {type(blocks).__name__}.")
        if alternatives is not None and not is_kind(alternatives, Mapping):
            raise InvalidSettingError(f"Expected representations by name, found {type(alternatives).__name__}.")
        self.settings = ModelSettings() if settings is None else settings
        if not is_kind(self.settings, ModelSettings):
            raise InvalidSettingError(f"Expected ModelSettings or None, found {settings!r}.")
        metric = self.settings.shape.metric
        named = {SINGLE: blocks, **(alternatives or {})}
        self._representations = {
            name: PoolSeparations(parts, metric=metric, scales=scales) for name, parts in named.items()
        }
        counts = {name: part.n_candidates for name, part in self._representations.items()}
        if len(set(counts.values())) > 1:
            raise InvalidTrainingSetError(f"Expected representations of the same candidates, found {counts}.")
        names = {part.blocks for part in self._representations.values()}
        if len(names) > 1:
            raise InvalidSettingError(f"Expected the same blocks in every representation, found {sorted(names)}.")
        self.n_candidates = counts[SINGLE]
        compositions = None if composition is None else finite_composition(composition)
        self.basis = self.settings.mean.basis(self.n_candidates, compositions)
        """Basis functions of the mean at all candidates, shape (n_candidates, p)."""
        self._basis = self.basis
        self._fitted: FittedMixture | None = None
        self._kept = KeptRows()

    @property
    def labelled(self) -> IntArray:
        """Indices of the labelled candidates, in the order in which they were added."""
        return self._representations[SINGLE].labelled

    @property
    def fitted(self) -> FittedMixture:
        """The last fit: components, calibration, leave-one-out predictions."""
        if self._fitted is not None:
            return self._fitted
        raise InvalidTrainingSetError("Expected a fitted model, found labels added since the last fit: call fit first.")

    @property
    def scales(self) -> dict[str, float]:
        """Root mean square distance among all candidates in each block of the first representation."""
        return self._representations[SINGLE].scales

    def add(self, indices: Sequence[int] | IntArray) -> None:
        """Label candidates; their energies come with the next fit."""
        for part in self._representations.values():
            part.add(indices)
        self._fitted = None

    def separations_from(self, candidates: IntArray) -> FloatArray:
        """Squared distances candidates x pool (q, n_candidates), summed over blocks in units of the mean one."""
        return self._representations[SINGLE].rows_from(candidate_indices(candidates, n_candidates=self.n_candidates))

    def labelled_separations(self) -> dict[str, dict[str, FloatArray]]:
        """For each representation and block, separations among the labelled candidates."""
        return {
            name: part.to_pool(self.labelled, np.arange(self.labelled.size))
            for name, part in self._representations.items()
        }

    def fit(
        self,
        y: npt.ArrayLike,
        *,
        groups: npt.ArrayLike | None = None,
        warm_start: WarmStart | None = None,
        is_counted: BoolArray | None = None,
        columns: FloatArray | None = None,
    ) -> FittedMixture:
        """Tune on labels y, one per labelled candidate in the order of `labelled`, eV/atom.

        Labels with the same number in `groups` are left out together. Results depend on the `warm_start`, from
        `fitted.best` of an earlier round. Where labels are marked as `is_counted`, the left-out z-scores of these alone say how
        wide intervals are. Further `columns` of the mean at all candidates, shape (n_candidates, q), have fitted coefficients as
        the composition has.

        Raises:
            InvalidTrainingSetError: Labels that cannot be learned from.
        """
        is_drawn = self.settings.prior is not None and self.settings.shape.metric is Metric.SQUARED_EUCLIDEAN
        self._basis = self.basis if columns is None else np.hstack([self.basis, columns])
        self._fitted = fit_mixture(
            self.labelled_separations(),
            self._basis[self.labelled],
            finite_labels(y, n_rows=len(self.labelled)),
            settings=self.settings,
            groups=group_numbers(groups),
            warm_start=warm_start,
            scales={name: part.scales for name, part in self._representations.items()} if is_drawn else None,
            is_counted=is_counted,
        )
        return self._fitted

    def predict(self, candidates: IntArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Mean and calibrated standard deviation (q,) of the labels of candidates, of the whole pool if none are named."""
        chosen = None if candidates is None else candidate_indices(candidates, n_candidates=self.n_candidates)
        n = self.n_candidates if chosen is None else len(chosen)
        if chosen is None and n > _SLICE and (moments := self._kept_moments()) is not None:
            return self.fitted.of_labels(*moments)
        means, stds = np.empty(n), np.empty(n)
        for start in range(0, n, _SLICE):
            piece = slice(start, start + _SLICE)
            part = piece if chosen is None else chosen[piece]
            cross = {name: one.to_pool(part) for name, one in self._representations.items()}
            prior = {name: one.to_self(part) for name, one in self._representations.items()}
            means[piece], stds[piece] = self.fitted.predict(cross, prior, self._basis[part])
        return means, stds

    def predict_others(
        self, blocks: Mapping[str, FloatArray], composition: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Mean and calibrated standard deviation (q,) of the labels of structures that are no candidates.

        From their features (q, d) by block and their composition (q, k), under a fit without further columns of the mean.
        """
        cross, own = self._representations[SINGLE].to_others(blocks)
        basis = self.settings.mean.basis(len(composition), composition)
        return self.fitted.predict({SINGLE: cross}, {SINGLE: own}, basis)

    def _kept_moments(self) -> tuple[FloatArray, FloatArray] | None:
        """Means and variances of the function at all candidates, (m, n) of m components, from what was solved before."""
        fitted = self.fitted
        parts = [self._representations[one.hyperparameters.representation] for one in fitted.components]
        return self._kept.moments(fitted.components, parts, fitted.grouping.kept, self._basis)

    def posterior(self, candidates: IntArray) -> MixturePosterior:
        """Joint posterior of the labels of chosen candidates (the contenders), shape (q,)."""
        chosen = candidate_indices(candidates, n_candidates=self.n_candidates)
        cross = {name: one.to_pool(chosen) for name, one in self._representations.items()}
        among = {name: one.among(chosen) for name, one in self._representations.items()}
        return self.fitted.posterior(cross, among, self._basis[chosen])
