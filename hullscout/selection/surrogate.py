"""The surrogate: kernel ridge regression of energies over the features of a pool, as the selection rules use it.

It joins the regression service to a pool's features and keeps nothing between rounds but what can be computed again: distances
of labelled structures to the pool, one row each.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from hullscout.regression import (
    Criterion,
    KernelShape,
    Mean,
    MixturePosterior,
    ModelSettings,
    PoolModel,
)
from hullscout.selection.alloys import KERNELS
from hullscout.selection.baselines import NO_USE, Fit, doubted, doubted_moments, joined, uses
from hullscout.selection.belief import Belief
from hullscout.selection.transforms import Transform
from hullscout.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hullscout.regression.arrays import BoolArray
    from hullscout.selection.baselines import Use
    from hullscout.selection.known import Floats, Indices, Known

# Labels in eV/atom (or standard deviations) that differ by less are equal: the rounding of energies of some 10^4 eV per cell.
SPREAD_THAT_IS_ROUNDING = 1e-9
# Labels of candidates of which a baseline says something, without which it is not looked at where it does not say all.
MIN_SAID = 5
# Of these kernels the heaviest count in the predictions of a round.
N_AVERAGED = 4
# Kernels are weighed by so many labels, drawn from more: that costs the third power of their number for each kernel.
N_WEIGHED = 600
# Noises that each kernel is tried with, half a decade apart.
N_NOISES = 21


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


class Surrogate:
    """Model of the energies of a pool, over features (n, d) of its candidates by block.

    Args:
        fractions: (n, k) atomic fractions of the elements after the first, or (n,) of the second of two.
        scales: Unit of length of each block, where the candidates are a part of a pool.
    """

    def __init__(
        self,
        blocks: Mapping[str, Floats],
        *,
        fractions: Floats,
        settings: SurrogateSettings | None = None,
        scales: Mapping[str, float] | None = None,
    ) -> None:
        self.settings = SurrogateSettings() if settings is None else settings
        self._blocks = dict(blocks)
        self._fractions = fractions.reshape(len(fractions), -1)
        self._n_candidates = len(fractions)
        self._scales = scales
        self._model = self._empty_model(self.settings.mean)
        self._models: dict[bytes, PoolModel] = {}  # of the candidates of which some baselines say something
        self._fits: tuple[Fit, ...] = ()  # the one in use, and beside it the one without baselines
        self._exact_mean: Floats | None = None

    def learn(self, known: Known, transform: Transform, *, energy_cap_ev_per_atom: float) -> Belief:
        """What is believed of all candidates on a scale of energies."""
        labels, baselines = transform(known, energy_cap_ev_per_atom=energy_cap_ev_per_atom)
        belief = self.fit(known, labels, baselines=baselines)
        return replace(belief, energy_cap_ev_per_atom=energy_cap_ev_per_atom) if transform is Transform.CAP else belief

    def fit(self, known: Known, labels: Floats, *, baselines: Floats | None = None) -> Belief:
        """Fit on labels of what is known and predict all candidates.

        Labels that all agree, or fewer than three, are predicted to go on as they are. So are labels that all agree with a
        baseline, and if it varies over three of them or more, that is learned: to rounding.

        Labels (m,) are those of `known.answered`; cheaper methods' of all candidates are the baselines (n, b), NaN where one says
        nothing, of which that is used under which the left-out labels are most probable, or none (see `baselines`). How wide
        intervals are is said by the labels of the lower half of what is known: what lies far above the hull errs by more, and no
        hull depends on it.
        """
        height = known.formation_ev_per_atom - known.hull.energy_at(known.fractions[known.answered])
        return Belief(known=known, **self.fit_labels(known.answered, labels, baselines=baselines, height=height))

    def fit_labels(
        self, labelled: Indices, labels: Floats, *, baselines: Floats | None, height: Floats
    ) -> dict[str, Any]:
        """What a belief holds, from labels (m,) of some candidates and their heights above the hull (m,)."""
        columns = np.empty((self._n_candidates, 0)) if baselines is None else baselines
        self._exact_mean, self._fits = None, ()
        nothing = np.zeros(self._n_candidates)
        for offset in (*(column for column in columns.T if np.isfinite(column).all()), nothing):
            differences = labels - offset[labelled]
            if labelled.size < 3 or np.ptp(differences) <= SPREAD_THAT_IS_ROUNDING:
                mean = offset + differences.mean()
                is_exact = labelled.size >= 3 and bool(np.ptp(offset[labelled]) > SPREAD_THAT_IS_ROUNDING)
                self._exact_mean = mean if is_exact else None
                std = np.full(self._n_candidates, SPREAD_THAT_IS_ROUNDING if is_exact else 0.0)
                return {
                    "mean_ev_per_atom": mean,
                    "std_ev_per_atom": std,
                    "degrees_of_freedom": np.inf,
                    "left_out_mean_ev_per_atom": mean[labelled],
                    "left_out_std_ev_per_atom": std[labelled],
                    "is_learned": is_exact,
                    "model_error_ev_per_atom": float(np.ptp(differences)),
                }
        best, *others = self._fits = self._best_fits(
            labelled, labels, columns=columns, is_counted=height <= np.median(height)
        )
        mean, std = best.predict()
        left_out_mean, left_out_std = np.empty(labelled.size), np.empty(labelled.size)
        suspects = best.suspects
        for without in others:
            untold = without.predict()
            told = doubted_moments((mean, std), untold, doubt=best.doubt)
            mean, std = (np.where(best.said, own, other) for own, other in zip(told, untold, strict=True))
            suspects = np.union1d(suspects, without.suspects[~best.said[without.suspects]])
        for fit in (*others, best):
            left_out_mean[fit.places] = fit.left_out_mean_ev_per_atom
            left_out_std[fit.places] = fit.left_out_std_ev_per_atom
        return {
            "mean_ev_per_atom": mean,
            "std_ev_per_atom": std,
            "degrees_of_freedom": best.fitted.calibration.degrees_of_freedom,
            "left_out_mean_ev_per_atom": left_out_mean,
            "left_out_std_ev_per_atom": left_out_std,
            "is_learned": True,
            "suspects": suspects,
            "model_error_ev_per_atom": best.error_ev_per_atom,
            "baseline_use": best.use,
        }

    def _best_fits(
        self, labelled: Indices, labels: Floats, *, columns: Floats, is_counted: BoolArray
    ) -> tuple[Fit, ...]:
        """The fit under which the labels left out are most probable; beside it the one without baselines, where that is another."""
        without = best = self._fit_by(NO_USE, labelled, labels, columns=columns, is_counted=is_counted)
        assert without is not None  # noqa: S101  labels that agree were seen before
        scores, highest = without.scores(labels), 0.0
        for use in uses(columns.shape[1]):
            fit = self._fit_by(use, labelled, labels, columns=columns, is_counted=is_counted)
            gain = 0.0 if fit is None else float(np.nansum((fit.scores(labels) - scores)[is_counted]))
            if gain > highest:
                best, highest = fit, gain
        assert best is not None  # noqa: S101
        return (best,) if best is without else (best, without)

    def _fit_by(
        self, use: Use, labelled: Indices, labels: Floats, *, columns: Floats, is_counted: BoolArray
    ) -> Fit | None:
        """The fit of one use of the baselines; None where too few labels, or labels that agree, are of what they say."""
        said = np.asarray(np.isfinite(columns[:, list(use.baselines)]).all(axis=1))
        chosen, left = labelled[said[labelled]], labels[said[labelled]]
        if use.baselines and not use.is_fitted:
            left = left - columns[chosen, use.baselines[0]]
        if not said.all() and (chosen.size < MIN_SAID or np.ptp(left) <= SPREAD_THAT_IS_ROUNDING):
            return None
        model = self._grown(chosen, b"" if said.all() else said.tobytes())
        return Fit.of(model, labelled, labels, columns=columns, use=use, is_counted=is_counted)

    def spread_out(
        self,
        known: Known,
        n: int,
        *,
        beside: tuple[int, ...] = (),
        among: Indices | None = None,
        rng: np.random.Generator | None = None,
    ) -> tuple[int, ...]:
        """Up to n candidates that may be asked for, far in their features from each other, from what was asked for and `beside`.

        They are `among` some, or anywhere, and drawn by `rng`, or by the random numbers of the round. One after the other is drawn
        by its squared distance to the nearest of those before it, as k-means++ draws its centres (Arthur & Vassilvitskii, SODA
        2007): they cover the pool, and each seed covers it in its own way.
        """
        is_askable = np.isin(np.arange(self._n_candidates), np.setdiff1d(known.askable, beside))
        is_allowed = is_askable.copy() if among is None else is_askable & np.isin(np.arange(self._n_candidates), among)
        return self.drawn(n, is_allowed, taken=np.flatnonzero(~is_askable), rng=known.rng() if rng is None else rng)

    def drawn(self, n: int, is_allowed: BoolArray, *, taken: Indices, rng: np.random.Generator) -> tuple[int, ...]:
        """Up to n candidates of those that are allowed (n_candidates,), far from those taken and from each other."""
        apart = self._model.separations_from(taken).min(axis=0, initial=np.inf)
        n_most = min(n, int(is_allowed.sum()))
        nearest = np.where(is_allowed, np.minimum(apart, np.finfo(np.float64).max / self._n_candidates), 0.0)
        drawn: list[int] = []
        while len(drawn) < n_most:
            weights = nearest if nearest.sum() > 0.0 else np.where(is_allowed, 1.0, 0.0)
            index = int(rng.choice(self._n_candidates, p=weights / weights.sum()))
            drawn.append(index)
            is_allowed[index] = False
            nearest = np.minimum(nearest, self._model.separations_from(np.asarray([index], dtype=np.intp))[0])
            nearest[index] = 0.0
        return tuple(drawn)

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
        best, *others = self._fits
        if not others:
            return best.posterior(candidates)
        is_all = best.said[candidates].all()
        told = best.posterior(candidates) if is_all else joined(candidates, best, others[0])
        return doubted(told, others[0].posterior(candidates), doubt=best.doubt)

    def predict_others(self, blocks: Mapping[str, Floats], fractions: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation (q,) of structures that are no candidates, by features (q, d) and fractions (q, k).

        Under the last fit, which had no baselines and learned something.
        """
        return self._fits[0].model.predict_others(blocks, fractions)

    def held_out_half_rmse(self, known: Known, labels: Floats, *, baselines: Floats | None = None) -> float:
        """Root mean square error on a random half of the labels of what is known, predicted from the other half."""
        rows = known.answered
        order = known.rng().permutation(rows.size)
        trained, held_out = order[: rows.size - rows.size // 2], order[rows.size - rows.size // 2 :]
        blocks = {name: block[rows] for name, block in self._blocks.items()}
        half = Surrogate(blocks, fractions=self._fractions[rows], settings=self.settings)
        height = known.formation_ev_per_atom - known.hull.energy_at(known.fractions[rows])
        fitted = half.fit_labels(
            trained, labels[trained], baselines=None if baselines is None else baselines[rows], height=height[trained]
        )
        return float(np.sqrt(np.mean((fitted["mean_ev_per_atom"][held_out] - labels[held_out]) ** 2)))

    def predict_formation_energy(self, known: Known) -> Floats:
        """(n,) formation energies in eV/atom predicted for all candidates, learned without a cap."""
        baselines = known.baseline_formation_ev_per_atom
        return self.fit(known, known.formation_ev_per_atom, baselines=baselines).mean_ev_per_atom

    def _empty_model(self, mean: Mean) -> PoolModel:
        own = self.settings
        settings = ModelSettings(
            shape=own.kernel,
            criterion=own.criterion,
            mean=mean,
            calibrated=own.calibrated,
            prior=KERNELS,
            n_averaged=N_AVERAGED,
            n_weighed=N_WEIGHED,
            n_regularizations=N_NOISES,
        )
        return PoolModel(self._blocks, composition=self._fractions, settings=settings, scales=self._scales)

    def _grown(self, known: Indices, of: bytes = b"") -> PoolModel:
        """The model with exactly `known` labelled; of some candidates, where these are named by what tells them apart.

        Rows are added one by one: rounding then does not depend on how many answers came together, and a resumed campaign
        equals an uninterrupted one to the last bit.
        """
        grown = self._models.get(of, self._model)
        labelled = set(grown.labelled.tolist())
        wanted = known.tolist()
        mean = self.settings.mean.determined_by(self._fractions[known])
        if not labelled.issubset(wanted) or grown.settings.mean is not mean:
            grown = self._empty_model(mean)
            labelled = set()
        for index in wanted:
            if index not in labelled:
                grown.add([index])
        self._models[of] = grown
        return grown
