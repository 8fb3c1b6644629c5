"""Where a campaign stands: what is known, the hull found so far, and, where all energies are known, the true one.

Everything that a person sees (progress, tables, figures, `result.json`) is read off this one object.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hullscout.hull import LowerHull, formation_energy, hull_error, lower_hull

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hullscout.campaign.state import State
    from hullscout.pool import Pool

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A campaign at one moment. Formation energies refer to the lowest known structures of the pure elements.

    Attributes:
        name: Name of the campaign.
        pool: Its candidates.
        known: (m,) indices of the candidates with an energy, in the order in which they were asked for.
        formation_ev_per_atom: (m,) their formation energies.
        reference_ev_per_atom: (n,) formation energies of all candidates, or None where they are not known.
        failed: Indices of the candidates whose calculation failed for good; they were paid for like the known ones.
    """

    name: str
    pool: Pool
    known: NDArray[np.intp]
    formation_ev_per_atom: Floats
    reference_ev_per_atom: Floats | None
    failed: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, dtype=np.intp))

    @classmethod
    def of(cls, state: State, *, name: str, reference_ev_per_atom: Floats | None) -> Standing:
        """Read a standing off a state in which both pure elements are known.

        Args:
            state: What was asked and answered.
            name: Name of the campaign.
            reference_ev_per_atom: (n,) energies per atom of all candidates, where an oracle knows them.
        """
        pool, known, energies = state.pool, state.known, state.energies_ev_per_atom
        x = pool.x[known]
        ends = (float(energies[x == 0].min()), float(energies[x == 1].min()))
        reference = reference_ev_per_atom
        if reference is not None:
            reference = formation_energy(pool.x, reference, ends_ev_per_atom=ends)
        formation = formation_energy(x, energies, ends_ev_per_atom=ends)
        return cls(
            name=name,
            pool=pool,
            known=known,
            formation_ev_per_atom=formation,
            reference_ev_per_atom=reference,
            failed=np.array([state.index_of(candidate_id) for candidate_id in state.failures], dtype=np.intp),
        )

    @property
    def n_known(self) -> int:
        """Number of calculations so far."""
        return int(self.known.size)

    @property
    def n_failed(self) -> int:
        """Number of calculations that failed for good."""
        return int(self.failed.size)

    @property
    def n_candidates(self) -> int:
        """Number of candidates."""
        return len(self.pool.ids)

    @property
    def saved_fraction(self) -> float:
        """Share of the candidates that was not calculated, failed calculations counted as such."""
        return 1.0 - (self.n_known + self.n_failed) / self.n_candidates

    @property
    def unknown(self) -> NDArray[np.intp]:
        """Indices of the candidates without an energy, ascending."""
        return np.setdiff1d(np.arange(self.n_candidates), self.known)

    @property
    def found_hull(self) -> LowerHull:
        """The hull of what is known; its indices count in the pool."""
        hull = lower_hull(self.pool.x[self.known], self.formation_ev_per_atom)
        return LowerHull(x=hull.x, energy_ev_per_atom=hull.energy_ev_per_atom, indices=self.known[hull.indices])

    @property
    def true_hull(self) -> LowerHull | None:
        """The hull of all candidates, where their energies are known."""
        return None if self.reference_ev_per_atom is None else lower_hull(self.pool.x, self.reference_ev_per_atom)

    @property
    def hull_error_ev_per_atom(self) -> float | None:
        """Largest height of the found hull above the true one, where that is known."""
        true = self.true_hull
        return None if true is None else hull_error(self.found_hull, true)

    @property
    def hull_formulas(self) -> tuple[str, ...]:
        """Formulas of the found hull's vertices by ascending x."""
        return tuple(self.pool.candidates[index].formula for index in self.found_hull.indices)
