"""Which candidates of a large pool figures, the report and exports show: what is known, and the lowest of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from hullscout.selection.known import NONE

if TYPE_CHECKING:
    from hullscout.selection.belief import Belief
    from hullscout.selection.known import Indices, Known

ALL_SHOWN: Final = 20_000
"""Of pools of so many candidates all are shown."""
N_LOWEST: Final = 5_000
"""So many of those without an energy are shown of larger ones."""


def shown_candidates(known: Known, belief: Belief | None = None) -> Indices:
    """(s,) the candidates that are worth showing, ascending.

    Of large pools: all that was asked for or is known, what may be on the hull by the belief, and the N_LOWEST others above the
    hull, by their true energies, where a replay knows these, else by those that the belief predicts.
    """
    n = known.n_candidates
    if n <= ALL_SHOWN or not known.has_hull:
        return np.arange(n)
    energies = known.true_formation_ev_per_atom
    if energies is None and belief is not None:
        energies = belief.mean_ev_per_atom
    lowest = NONE
    if energies is not None:
        heights = known.hull.distance(known.fractions[known.unknown], energies[known.unknown])
        lowest = known.unknown[np.argsort(heights, kind="stable")[:N_LOWEST]]
    likely = NONE if belief is None else np.flatnonzero(belief.probability_on_hull)
    return np.unique(np.concatenate([known.answered, known.failed, known.pending, likely, lowest]))


def left_out_of(n_candidates: int, n_shown: int) -> str:
    """What is to be said where fewer candidates are shown than there are; empty where all are."""
    if n_shown == n_candidates:
        return ""
    return (
        f"Of {n_candidates} candidates these are {n_shown}: all that is known or was asked for, what may be on the hull, and the "
        f"{N_LOWEST} lowest of the others above it."
    )
