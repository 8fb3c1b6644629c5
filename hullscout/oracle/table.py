"""Energies that are already known: a replay looks them up one by one.

The only reader of a pool's energies. What it answers is the total energy of a candidate's own cell; where a crystal
occurs more than once in the pool, the lowest energy per atom among its twins answers for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hullscout.display import MILLI
from hullscout.errors import OracleError
from hullscout.pool.twins import CONFLICT_EV_PER_ATOM

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hullscout.pool import Frame, Frames, Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinConflict:
    """One crystal with energies that do not agree: the ids of a candidate and its twins, and highest minus lowest energy."""

    ids: tuple[str, ...]
    spread_ev_per_atom: float

    def __str__(self) -> str:
        return (
            f"{' = '.join(self.ids)} are one crystal, but their energies differ by "
            f"{MILLI * self.spread_ev_per_atom:.1f} meV/atom; the lowest is used."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TableOracle:
    """The ids, total energies in eV per cell and numbers of atoms of n candidates in pool order, and twins that do not agree."""

    ids: tuple[str, ...] = field(repr=False)
    energies_ev: tuple[float, ...] = field(repr=False)
    n_atoms: tuple[int, ...] = field(repr=False)
    conflicts: tuple[TwinConflict, ...]
    _rows: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_rows", {candidate_id: row for row, candidate_id in enumerate(self.ids)})
        if not len(self._rows) == len(self.ids) == len(self.energies_ev) == len(self.n_atoms):
            raise OracleError(
                f"Expected one energy and one number of atoms for each id, found {len(self._rows)} different ids of "
                f"{len(self.ids)}, {len(self.energies_ev)} energies and {len(self.n_atoms)} numbers of atoms."
            )
        if not np.isfinite(self.energies_ev).all() or min(self.n_atoms, default=1) < 1:
            raise OracleError(
                "Expected finite energies in eV per cell and cells with atoms. Build tables by from_frames."
            )

    @classmethod
    def from_frames(cls, frames: Frames, pool: Pool) -> TableOracle:
        """The energies that frames state for the candidates of the pool that was built from them, in its order."""
        stated = {frame.id: frame for frame in frames.frames}
        twins = pool.twins
        energies: list[float] = []
        conflicts: list[TwinConflict] = []
        for candidate in pool.candidates:
            ids = (candidate.id, *twins.get(candidate.id, ()))
            cells = [_energy_and_size(stated.get(member), member) for member in ids]
            per_atom = [energy / size for energy, size in cells]
            energy, size = cells[int(np.argmin(per_atom))]
            energies.append(energy * (candidate.n_atoms / size))
            spread = max(per_atom) - min(per_atom)
            if spread > CONFLICT_EV_PER_ATOM:
                conflicts.append(TwinConflict(ids=ids, spread_ev_per_atom=spread))
        n_atoms = tuple(pool.n_atoms.tolist())
        return cls(ids=pool.ids, energies_ev=tuple(energies), n_atoms=n_atoms, conflicts=tuple(conflicts))

    def lookup(self, candidate_id: str) -> float:
        """The total energy in eV of the candidate's cell."""
        if candidate_id not in self._rows:
            raise OracleError(
                f"Expected the id of one of {len(self.ids)} candidates, found {candidate_id=}. "
                "Twins are asked for by the id of the candidate that stands for them."
            )
        return self.energies_ev[self._rows[candidate_id]]

    def energies_ev_per_atom(self) -> NDArray[np.float64]:
        """(n,) energies in eV/atom in pool order: the reference that a replay is judged by."""
        return np.array(self.energies_ev, dtype=np.float64) / np.array(self.n_atoms, dtype=np.float64)


def _energy_and_size(frame: Frame | None, candidate_id: str) -> tuple[float, int]:
    """Energy in eV per cell and atoms in the cell of one frame."""
    if frame is None or frame.energy_ev is None:
        found = "no such frame" if frame is None else f"{frame.name} without one"
        raise OracleError(
            f"Expected an energy for {candidate_id!r}, found {found}. Build pool and table from the same frames."
        )
    return frame.energy_ev, len(frame.numbers)
