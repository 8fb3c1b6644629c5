"""How the energies of cheaper methods enter the model: not at all, as they are, or times coefficients that are fitted.

Taken as it is, a baseline is subtracted and the difference is learned. Fitted, it is one more column of the mean beside those of
the composition: its coefficient has a flat prior, and its uncertainty is in every variance and left-out label as theirs is. Which
of these is used is decided anew in each round by the labels left out: the one under which they are most probable. So a baseline
that helps at first and misleads later is dropped, and nothing has to be remembered.

A potential may be wrong about a structure unlike all that is known, and no label left out says so. Of m that were foretold, the
next is one that misleads with the probability 1/m or so: this share of the belief stays with the model that was told nothing.

Source of fitted coefficients: Rasmussen & Williams, Gaussian Processes for Machine Learning, MIT Press 2006, section 2.7. Of the
choice by left-out labels: section 5.4.2 there. Of the share: Laplace's rule of succession, which has m + 2.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from hullscout.regression import MixturePosterior

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hullscout.regression import FittedMixture, PoolModel
    from hullscout.regression.arrays import BoolArray
    from hullscout.selection.known import Floats, Indices

FREE = 1e-6
"""A label that fixes a coefficient of the mean alone, to this share, leaves nothing to judge it by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What of the baselines is used: which of them, by their places, times which coefficients, and whether these were fitted."""

    baselines: tuple[int, ...] = ()
    coefficients: tuple[float, ...] = ()
    is_fitted: bool = False

    def sentence(self, names: Sequence[str]) -> str:
        """What is used of the baselines of these names."""
        if not self.baselines:
            return (
                f"Of {' and '.join(names)} the model uses nothing now: left-out energies are predicted better without."
            )
        how = "fitted" if self.is_fitted else "as it is"
        used = " and ".join(
            f"{names[place]} times {coefficient:.2f}"
            for place, coefficient in zip(self.baselines, self.coefficients, strict=True)
        )
        return f"The model starts from {used} ({how}) now."


NO_USE = Use()


def uses(n_baselines: int) -> Iterator[Use]:
    """The ways in which so many baselines may be used: each as it is, each fitted, and all of them fitted together."""
    for place in range(n_baselines):
        yield Use(baselines=(place,), coefficients=(1.0,))
        yield Use(baselines=(place,), is_fitted=True)
    if n_baselines > 1:
        yield Use(baselines=tuple(range(n_baselines)), is_fitted=True)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """A model of the candidates of which all baselines in use say something.

    Attributes:
        said: (n,) which candidates these are.
        offset_ev_per_atom: (n,) what was subtracted from the labels.
        places: (m,) which labels it learned from, by their places among all.
        n_counted: How many of these count in the choice of it.
        left_out_mean_ev_per_atom: (m,) predictions of these from the others.
        left_out_std_ev_per_atom: (m,) their calibrated standard deviations.
        suspects: (k,) indices of candidates whose labels the others contradict.
        error_ev_per_atom: Root mean square of what the predictions of these labels from the others are off.
    """

    use: Use
    model: PoolModel
    fitted: FittedMixture
    said: BoolArray
    offset_ev_per_atom: Floats
    places: Indices
    n_counted: int
    left_out_mean_ev_per_atom: Floats
    left_out_std_ev_per_atom: Floats
    suspects: Indices
    error_ev_per_atom: float

    @classmethod
    def of(
        cls, model: PoolModel, labelled: Indices, labels: Floats, *, columns: Floats, use: Use, is_counted: BoolArray
    ) -> Self | None:
        """Fit a model whose labelled candidates are those of `labelled` of which the baselines in use say something.

        None where these labels do not tell: they agree, or do not determine the coefficients without any one of them.
        """
        own = columns[:, list(use.baselines)]
        said = np.asarray(np.isfinite(own).all(axis=1))
        places = np.flatnonzero(said[labelled])
        place_of = {index: place for place, index in enumerate(labelled[places].tolist())}
        order = np.asarray([place_of[index] for index in model.labelled.tolist()], dtype=np.intp)
        offset = np.zeros(len(said)) if use.is_fitted or not use.baselines else own[:, 0]
        y = (labels - offset[labelled])[places][order]
        beside, scale = None, np.ones(0)
        if use.is_fitted:
            beside, scale = _beside(model.basis, np.where(said[:, None], own, 0.0), model.labelled)
            if not _is_determined(np.hstack([model.basis, beside])[model.labelled]):
                return None
        model = copy(model)  # shares its features and separations
        fitted = model.fit(y, is_counted=is_counted[places][order], columns=beside)
        mean, std = np.empty(places.size), np.empty(places.size)
        mean[order], std[order] = fitted.loo_mean, fitted.loo_std
        if use.is_fitted:
            among = [one.weight * one.process.coefficients[-own.shape[1] :] for one in fitted.components]
            use = Use(
                baselines=use.baselines, coefficients=tuple((np.sum(among, axis=0) / scale).tolist()), is_fitted=True
            )
        return cls(
            use=use,
            model=model,
            fitted=fitted,
            said=said,
            offset_ev_per_atom=offset,
            places=places,
            n_counted=int(is_counted[places].sum()),
            left_out_mean_ev_per_atom=offset[labelled][places] + mean,
            left_out_std_ev_per_atom=std,
            suspects=model.labelled[fitted.suspects],
            error_ev_per_atom=float(np.sqrt(np.mean((fitted.loo_mean - y) ** 2))),
        )

    @property
    def doubt(self) -> float:
        """Share of the belief that stays with the model that was told nothing, where this is the best of those that were told."""
        return 1.0 / self.n_counted

    def scores(self, labels: Floats) -> Floats:
        """(n_labels,) log predictive density of each label from the others, up to a constant; NaN of those that it knows not."""
        scores, std = np.full(labels.size, np.nan), self.left_out_std_ev_per_atom
        scores[self.places] = -np.log(std) - 0.5 * ((labels[self.places] - self.left_out_mean_ev_per_atom) / std) ** 2
        return scores

    def predict(self) -> tuple[Floats, Floats]:
        """Mean and calibrated standard deviation (n,) of all labels; they mean something where it has `said`."""
        mean, std = self.model.predict()
        return self.offset_ev_per_atom + mean, std

    def posterior(self, candidates: Indices) -> MixturePosterior:
        """Joint posterior of the labels of some candidates (q,) of which it has `said`."""
        found = self.model.posterior(candidates)
        return MixturePosterior(
            weights=found.weights,
            means=found.means + self.offset_ev_per_atom[candidates],
            covariances=found.covariances,
            scale=found.scale,
            degrees_of_freedom=found.degrees_of_freedom,
        )


def joined(candidates: Indices, best: Fit, without: Fit) -> MixturePosterior:
    """The posterior of candidates of which some baselines in use say nothing: these are known by the model without, and apart."""
    parts = [(np.flatnonzero(best.said[candidates]), best), (np.flatnonzero(~best.said[candidates]), without)]
    mean, covariance = np.empty(candidates.size), np.zeros((candidates.size, candidates.size))
    for places, fit in parts:
        found = fit.posterior(candidates[places])
        mean[places], covariance[np.ix_(places, places)] = found.mean, found.covariance
    tails = min(fit.fitted.calibration.degrees_of_freedom for _, fit in parts)
    return MixturePosterior(
        weights=np.ones(1), means=mean[None], covariances=covariance[None], scale=1.0, degrees_of_freedom=tails
    )


def doubted(told: MixturePosterior, untold: MixturePosterior, *, doubt: float) -> MixturePosterior:
    """The posterior of a model that was told energies of a cheaper method, and a share of that of one that was not."""
    parts = ((1.0 - doubt, told), (doubt, untold))
    return MixturePosterior(
        weights=np.concatenate([share * part.weights for share, part in parts]),
        means=np.concatenate([part.means for _, part in parts]),
        covariances=np.concatenate([part.scale**2 * part.covariances for _, part in parts]),
        scale=1.0,
        degrees_of_freedom=min(part.degrees_of_freedom for _, part in parts),
    )


def doubted_moments(
    told: tuple[Floats, Floats], untold: tuple[Floats, Floats], *, doubt: float
) -> tuple[Floats, Floats]:
    """The means and standard deviations (n,) of the same."""
    (mean, std), (other, other_std) = told, untold
    variance = (1.0 - doubt) * std**2 + doubt * other_std**2 + doubt * (1.0 - doubt) * (mean - other) ** 2
    return mean + doubt * (other - mean), np.sqrt(variance)


def _beside(basis: Floats, columns: Floats, labelled: Indices) -> tuple[Floats, Floats]:
    """What columns (n, q) add to the basis (n, p) of the mean, of spread 1 over what is labelled; and their spreads (q,).

    So nothing depends on their units, nor on what the mean says anyway.
    """
    if basis.shape[1]:
        columns = columns - basis @ np.linalg.lstsq(basis[labelled], columns[labelled], rcond=None)[0]
    spread = np.sqrt((columns[labelled] ** 2).mean(axis=0))
    spread = np.where(spread > 0.0, spread, 1.0)
    return columns / spread, spread


def _is_determined(basis: Floats) -> bool:
    """Whether labels with basis functions (m, p) determine every coefficient, without any one of them."""
    m, p = basis.shape
    if m <= p + 1:
        return False
    left, sizes, _ = np.linalg.svd(basis, full_matrices=False)
    return bool(sizes[-1] > FREE * sizes[0] and (left**2).sum(axis=1).max() < 1.0 - FREE)
