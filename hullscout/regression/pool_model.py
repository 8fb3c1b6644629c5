"""The model of a pool, grown label by label: what a campaign's round calls.

Features stay where they are; a new label costs one row of separations; a fit works on what is labelled; predictions go
through the pool in slices.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from hullscout.errors import InvalidSettingError, InvalidTrainingSetError
from hullscout.regression.arrays import (
    FloatArray,
    IntArray,
    candidate_indices,
    finite_labels,
    finite_vector,
    group_numbers,
    is_kind,
)
from hullscout.regression.mixture import FittedMixture, fit_mixture
from hullscout.regression.posterior import MixturePosterior
from hullscout.regression.separations import PoolSeparations
from hullscout.regression.settings import SINGLE, ModelSettings
from hullscout.regression.tuning import WarmStart

_SLICE = 4096


class PoolModel:
    """Kernel model of all candidates of a pool, of which some are labelled.

    Args:
        blocks: Features of all candidates, shape (n_candidates, d), by block name.
        alternatives: Further representations of the same candidates (for example other MBTR broadenings), by name;
            tuning chooses among them and `blocks`, which is called "features". In the order of the broadening.
        composition: Atomic fraction of the second element, shape (n_candidates,); needed by a composition mean.
        settings: What is searched and how.
    """

    def __init__(
        self,
        blocks: Mapping[str, npt.ArrayLike],
        *,
        alternatives: Mapping[str, Mapping[str, npt.ArrayLike]] | None = None,
        composition: npt.ArrayLike | None = None,
        settings: ModelSettings | None = None,
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
        self._representations = {name: PoolSeparations(parts, metric=metric) for name, parts in named.items()}
        counts = {name: part.n_candidates for name, part in self._representations.items()}
        if len(set(counts.values())) > 1:
            raise InvalidTrainingSetError(f"Expected representations of the same candidates, found {counts}.")
        names = {part.blocks for part in self._representations.values()}
        if len(names) > 1:
            raise InvalidSettingError(f"Expected the same blocks in every representation, found {sorted(names)}.")
        self.n_candidates = counts[SINGLE]
        compositions = None if composition is None else finite_vector(composition, what="composition")
        if compositions is not None and len(compositions) != self.n_candidates:
            raise InvalidTrainingSetError(
                f"Expected a composition for each of {self.n_candidates} structures, found {len(compositions)}."
            )
        self._basis = self.settings.mean.basis(self.n_candidates, compositions)
        self._fitted: FittedMixture | None = None

    @property
    def labelled(self) -> IntArray:
        """Indices of the labelled candidates, in the order in which they were added."""
        return self._representations[SINGLE].labelled

    @property
    def fitted(self) -> FittedMixture:
        """The last fit: components, calibration, leave-one-out predictions.

        Raises:
            InvalidTrainingSetError: Nothing fitted since the last label was added.
        """
        if self._fitted is None:
            raise InvalidTrainingSetError(
                "Expected a fitted model, found labels added since the last fit: call fit first."
            )
        return self._fitted

    def add(self, indices: Sequence[int] | IntArray) -> None:
        """Label candidates; their energies come with the next fit."""
        for part in self._representations.values():
            part.add(indices)
        self._fitted = None

    def labelled_separations(self) -> dict[str, dict[str, FloatArray]]:
        """For each representation and block, separations among the labelled candidates."""
        return {name: part.among_labelled() for name, part in self._representations.items()}

    def fit(
        self, y: npt.ArrayLike, *, groups: npt.ArrayLike | None = None, warm_start: WarmStart | None = None
    ) -> FittedMixture:
        """Tune on all labels.

        Args:
            y: One label per labelled candidate, in the order of `labelled`, eV/atom.
            groups: A number per label; equal numbers are left out together.
            warm_start: From `fitted.best` of an earlier round. Results depend on it: a resumed campaign must give the same.

        Raises:
            InvalidTrainingSetError: Labels that cannot be learned from.
        """
        labels = finite_labels(y, n_rows=len(self.labelled))
        self._fitted = fit_mixture(
            self.labelled_separations(),
            self._basis[self.labelled],
            labels,
            settings=self.settings,
            groups=group_numbers(groups),
            warm_start=warm_start,
        )
        return self._fitted

    def extend(self, indices: Sequence[int] | IntArray, y: npt.ArrayLike) -> FittedMixture:
        """Label candidates and learn their labels without tuning again: O(n^2) per label, for use between fits.

        A copy of a known structure counts as a second label until the next fit merges it.

        Args:
            indices: Candidates not labelled before, shape (m,).
            y: Their labels, shape (m,), eV/atom.

        Raises:
            InvalidTrainingSetError: Not fitted, labels that are not finite or of another length, or a singular problem.
        """
        fitted, known = self.fitted, self.labelled
        new = candidate_indices(indices, n_candidates=self.n_candidates)
        labels = finite_vector(y, what="y")
        if len(labels) != len(new):
            raise InvalidTrainingSetError(f"Expected one label per candidate, found {len(labels)} for {len(new)}.")
        self.add(new)
        cross = {
            name: {block: values[: len(known)] for block, values in part.to_pool(new).items()}
            for name, part in self._representations.items()
        }
        among = {name: part.among(new) for name, part in self._representations.items()}
        self._fitted = fitted.extended(cross, among, self._basis[new], labels)
        return self._fitted

    def predict(self, candidates: IntArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Mean and calibrated standard deviation of the labels of candidates.

        Args:
            candidates: Indices, shape (q,); the whole pool if not given.

        Returns:
            Two arrays of shape (q,), unit of the labels.
        """
        chosen = None if candidates is None else candidate_indices(candidates, n_candidates=self.n_candidates)
        n = self.n_candidates if chosen is None else len(chosen)
        means, stds = np.empty(n), np.empty(n)
        for start in range(0, n, _SLICE):
            piece = slice(start, start + _SLICE)
            part = piece if chosen is None else chosen[piece]
            cross = {name: one.to_pool(part) for name, one in self._representations.items()}
            prior = {name: one.to_self(part) for name, one in self._representations.items()}
            means[piece], stds[piece] = self.fitted.predict(cross, prior, self._basis[part])
        return means, stds

    def posterior(self, candidates: IntArray) -> MixturePosterior:
        """Joint posterior of the labels of chosen candidates (the contenders), shape (q,)."""
        chosen = candidate_indices(candidates, n_candidates=self.n_candidates)
        cross = {name: one.to_pool(chosen) for name, one in self._representations.items()}
        among = {name: one.among(chosen) for name, one in self._representations.items()}
        return self.fitted.posterior(cross, among, self._basis[chosen])
