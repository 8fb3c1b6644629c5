"""Where a campaign starts: the pure elements, which define formation energies, and a few random structures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hullscout.selection.interface import Snapshot

# Structures of a pure element that are looked up first. Pools hold one to a few (fcc, bcc, hcp); what goes beyond is a
# candidate like any other, so that a long list of hypothetical elemental phases is not paid for blindly.
END_MEMBERS_OF_AN_ELEMENT = 4


def end_members(snapshot: Snapshot) -> tuple[int, ...]:
    """Indices of the structures of the two pure elements, smallest cells first, at most four of each."""
    chosen: list[int] = []
    for end in (0.0, 1.0):
        at_end = np.flatnonzero(snapshot.x == end)
        smallest_first = at_end[np.argsort(snapshot.n_atoms[at_end], kind="stable")]
        chosen.extend(smallest_first[:END_MEMBERS_OF_AN_ELEMENT].tolist())
    return tuple(chosen)


def one_per_composition(snapshot: Snapshot, rng: np.random.Generator) -> tuple[int, ...]:
    """Index of one random structure of each composition between the pure elements, by ascending composition."""
    inner: NDArray[np.float64] = np.unique(snapshot.x[(snapshot.x > 0) & (snapshot.x < 1)])
    return tuple(int(rng.choice(np.flatnonzero(snapshot.x == value))) for value in inner)


def random_compounds(snapshot: Snapshot, n: int) -> tuple[int, ...]:
    """Indices of n random candidates between the pure elements."""
    compounds = np.flatnonzero((snapshot.x > 0) & (snapshot.x < 1))
    return tuple(snapshot.rng().permutation(compounds)[:n].tolist())
