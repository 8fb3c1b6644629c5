"""The surrogate of a pool of hundreds of thousands: only what may come near the hull is looked at in every round.

Now and then, whenever a quarter more labels are known, a model of these labels predicts all candidates, in slices. Those that may
lie lowest above the hull (mean less three standard deviations) are in play, together with all that is labelled: the model of a
round holds these alone. The others are set aside with what was predicted of them then, on the scale that caps what lies high, and
count with it in the probability of a wrong hull. Features are read where they lie, which may be a file, in single precision.

What is set aside follows from the labels and their order alone, so that a resumed campaign equals an uninterrupted one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hullscout.hull import pure
from hullscout.regression.kept_rows import for_all
from hullscout.selection.belief import Belief
from hullscout.selection.surrogate import Surrogate, SurrogateSettings
from hullscout.selection.transforms import Transform

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hullscout.regression import MixturePosterior
    from hullscout.regression.arrays import BoolArray
    from hullscout.selection.known import Floats, Indices, Known

SCREENED_ABOVE: Final = 200_000
"""Pools of more candidates are screened."""
N_IN_PLAY: Final = 50_000
"""So many candidates are in play, besides what is labelled."""
N_DEVIATIONS: Final = 3.0
GROWTH: Final = 1.25
"""Labels that make a new screening, over those of the last."""
N_ALWAYS: Final = 8  # up to so many labels each is a new screening
CAP_EV_PER_ATOM: Final = 0.1
_AT_ONCE: Final = 4096


def surrogate_of(blocks: Mapping[str, Floats], *, fractions: Floats, settings: SurrogateSettings) -> Surrogate:
    """The surrogate for a pool of this size."""
    make = ScreenedSurrogate if len(fractions) > SCREENED_ABOVE else Surrogate
    return make(blocks, fractions=fractions, settings=settings)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Screening:
    """What was predicted of all candidates (n,) from some labels, the first `labelled`, and the `lowest` that are in play."""

    labelled: Indices
    mean_ev_per_atom: Floats
    std_ev_per_atom: Floats
    lowest: Indices


class ScreenedSurrogate(Surrogate):
    """Model of the energies of a large pool, over features (n, d) of its candidates by block, in any precision."""

    def __init__(
        self, blocks: Mapping[str, Floats], *, fractions: Floats, settings: SurrogateSettings | None = None
    ) -> None:
        self.settings = SurrogateSettings() if settings is None else settings
        self._blocks = dict(blocks)
        self._fractions = fractions.reshape(len(fractions), -1)
        self._n_candidates = len(fractions)
        self._scales = {name: _scale(block) for name, block in self._blocks.items()}
        self._screening: Screening | None = None
        self._in_play = np.empty(0, dtype=np.intp)
        self._near: Surrogate | None = None
        self._last: dict[str, Any] = {}

    def fit(self, known: Known, labels: Floats, *, baselines: Floats | None = None) -> Belief:
        """Fit on labels of what is known; see `Surrogate.fit`. What is not in play is predicted as it was when last looked at."""
        screening = self._screened(known)
        height = known.formation_ev_per_atom - known.hull.energy_at(known.fractions[known.answered])
        self._last = {"labelled": known.answered, "labels": labels, "baselines": baselines, "height": height}
        ends = np.concatenate(pure(self._fractions))
        fields = self._fit_in_play(np.unique(np.concatenate([screening.lowest, known.answered, ends])))
        for name, of_all in (
            ("mean_ev_per_atom", screening.mean_ev_per_atom),
            ("std_ev_per_atom", screening.std_ev_per_atom),
        ):
            values = of_all.copy()
            values[self._in_play] = fields[name]
            fields[name] = values
        if "suspects" in fields:
            fields["suspects"] = self._in_play[fields["suspects"]]
        return Belief(known=known, **fields)

    def posterior(self, candidates: Indices) -> MixturePosterior:
        """Joint posterior of the labels of `candidates` (q,); those that were set aside come into play."""
        missing = np.setdiff1d(candidates, self._in_play)
        if missing.size:
            self._fit_in_play(np.union1d(self._in_play, missing))
        assert self._near is not None  # noqa: S101  a fit comes first
        return self._near.posterior(np.searchsorted(self._in_play, candidates))

    def _fit_in_play(self, in_play: Indices) -> dict[str, Any]:
        """What the model of some candidates, in ascending order, believes of these from the labels of the last fit."""
        if self._near is None or not np.array_equal(in_play, self._in_play):
            self._in_play, self._near = in_play, self._of(in_play)
        last = self._last
        return self._near.fit_labels(
            np.searchsorted(in_play, last["labelled"]),
            last["labels"],
            baselines=None if last["baselines"] is None else last["baselines"][in_play],
            height=last["height"],
        )

    def _of(self, candidates: Indices) -> Surrogate:
        """The surrogate of some candidates alone, in the units of all."""
        blocks = {name: np.asarray(block[candidates], dtype=np.float64) for name, block in self._blocks.items()}
        return Surrogate(blocks, fractions=self._fractions[candidates], settings=self.settings, scales=self._scales)

    def _screened(self, known: Known) -> Screening:
        """What all candidates look like from the labels that there were when they were last looked at."""
        labelled = known.answered[: _n_screened_with(known.answered.size)]
        if self._screening is None or not np.array_equal(self._screening.labelled, labelled):
            then = replace(known, answered=labelled, energies_ev_per_atom=known.energies_ev_per_atom[: labelled.size])
            self._screening = self._screen(then)
        return self._screening

    def _screen(self, known: Known) -> Screening:
        n = self._n_candidates
        labels, _ = Transform.CAP(known, energy_cap_ev_per_atom=CAP_EV_PER_ATOM)
        at_hull = known.hull.energy_at(known.fractions[known.answered])
        of_labels = self._of(known.answered)
        places = np.arange(known.answered.size)
        fields = of_labels.fit_labels(places, labels, baselines=None, height=known.formation_ev_per_atom - at_hull)
        if not fields["is_learned"]:
            level, spread = float(fields["mean_ev_per_atom"].mean()), float(fields["std_ev_per_atom"].mean())
            mean, std = np.full(n, level), np.full(n, spread)
            return Screening(labelled=known.answered, mean_ev_per_atom=mean, std_ev_per_atom=std, lowest=self._some())
        mean, std = np.empty(n), np.empty(n)

        def predict(part: slice) -> None:
            blocks = {name: np.asarray(block[part], dtype=np.float64) for name, block in self._blocks.items()}
            mean[part], std[part] = of_labels.predict_others(blocks, self._fractions[part])

        for_all(predict, n, n_at_once=_AT_ONCE)
        least = mean - N_DEVIATIONS * std - known.hull.energy_at(known.fractions)
        lowest = np.argpartition(least, N_IN_PLAY)[:N_IN_PLAY] if n > N_IN_PLAY else np.arange(n)
        return Screening(labelled=known.answered, mean_ev_per_atom=mean, std_ev_per_atom=std, lowest=np.sort(lowest))

    def _some(self) -> Indices:
        """As many candidates as are in play, evenly from all."""
        n = self._n_candidates
        return np.unique(np.linspace(0, n - 1, min(n, N_IN_PLAY)).astype(np.intp))

    def drawn(self, n: int, is_allowed: BoolArray, *, taken: Indices, rng: np.random.Generator) -> tuple[int, ...]:
        """Up to n candidates of those that are allowed, far from those taken and from each other; of many, from an even choice."""
        allowed = np.flatnonzero(is_allowed)
        step = -(-allowed.size // N_IN_PLAY) or 1
        some = np.unique(np.concatenate([allowed[::step], taken[:N_IN_PLAY]]))
        near_by = np.searchsorted(some, taken[:N_IN_PLAY])
        return tuple(some[list(self._of(some).drawn(n, is_allowed[some], taken=near_by, rng=rng))].tolist())


def _n_screened_with(n_labels: int) -> int:
    """How many of the labels the last screening had.

    >>> [_n_screened_with(n) for n in (5, 8, 9, 10, 11, 12, 100, 123)]
    [5, 8, 8, 10, 10, 12, 97, 121]
    """
    last = min(n_labels, N_ALWAYS)
    while (after := int(last * GROWTH)) <= n_labels and after > last:
        last = after
    return last


def _scale(block: Floats) -> float:
    """Root mean square distance among all rows (n, d), 1 where all coincide; read in slices."""
    n = len(block)
    total, square = np.zeros(block.shape[1]), 0.0
    shift = np.asarray(block[0], dtype=np.float64)
    for start in range(0, n, _AT_ONCE):
        part = np.asarray(block[start : start + _AT_ONCE], dtype=np.float64) - shift
        total += part.sum(axis=0)
        square += float(np.einsum("ij,ij->", part, part))
    mean = 2.0 * (square / n - float(((total / n) ** 2).sum())) * n / max(n - 1, 1)
    return float(np.sqrt(mean)) if mean > 0.0 else 1.0
