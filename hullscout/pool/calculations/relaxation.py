"""Whether a relaxation by VASP came to rest: by its own criterion, not by how many steps it took.

Source: VASP's manual of EDIFFG. A negative one bounds the force on each atom, and where the cell relaxes each component of the
stress times the volume per atom; a positive one bounds the change of the energy from one step to the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hullscout.pool.forces import MAX_FORCE

if TYPE_CHECKING:
    from numpy.typing import NDArray

EV_PER_KBAR_A3 = 1e-22 / 1.60217733e-19  # with VASP's own elementary charge
_SLACK = 1.01  # numbers in files are rounded
_N_PAIR = 2  # trial and corrector step of a line search: the energy is compared with that of either


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxation:
    """The end of a relaxation.

    Attributes:
        n_steps: steps that were taken.
        max_steps: NSW.
        ediffg: the criterion, None where the file does not state it.
        energies_ev: of the last steps, the last one last.
        max_force: largest force of the last step in eV/A, None where there are none.
        stress_kbar: (3, 3) of the last step, None where there is none.
        pressure_kbar: PSTRESS.
        volume_per_atom: of the last step in A^3.
        isif: what is relaxed: atoms below 5 (and 8), the shape of the cell from 3 to 6, its volume at 3, 6, 7 and 8.
    """

    n_steps: int
    max_steps: int
    ediffg: float | None
    energies_ev: tuple[float, ...]
    max_force: float | None
    stress_kbar: NDArray[np.float64] | None
    pressure_kbar: float
    volume_per_atom: float
    isif: int

    def unrest(self) -> str:
        """Why it is not at rest, in words that begin a sentence; empty where it is."""
        where = f"after {self.n_steps} of NSW = {self.max_steps} steps"
        missed = self._missed()
        if missed is None:  # no criterion is known: the number of steps has to do
            missed = "" if self.n_steps < self.max_steps else "nothing says that they did"
            where = f"within NSW = {self.max_steps} steps"
        return f"The atoms did not come to rest {where}: {missed}" if missed else ""

    def _missed(self) -> str | None:
        """What misses the criterion, empty where nothing does, None where there is none to compare with."""
        if self.ediffg is None:
            return None
        if self.ediffg < 0:
            return self._missed_by_forces(-self.ediffg)
        if self.ediffg == 0:
            return (
                f"the largest force is {self.max_force:.3g} eV/A and EDIFFG = 0 asks for none"
                if self._is_large()
                else None
            )
        if self.n_steps < 2:
            at_rest = self.max_force is not None and self.max_force <= MAX_FORCE
            return "" if at_rest else f"there is no second energy to compare by EDIFFG = {self.ediffg:g} eV"
        last, *before = self.energies_ev[::-1][: _N_PAIR + 1]
        change = min(abs(last - energy) for energy in before)
        if change > _SLACK * self.ediffg:
            return f"the energy changed by {abs(last - before[0]):.3g} eV in the last one, EDIFFG = {self.ediffg:g} eV"
        return ""

    def _is_large(self) -> bool:
        return self.max_force is not None and self.max_force > MAX_FORCE

    def _missed_by_forces(self, limit: float) -> str | None:
        if self.max_force is None:
            return None
        if self.isif not in {5, 6, 7} and self.max_force > _SLACK * limit:
            return f"the largest force is {self.max_force:.3g} eV/A, EDIFFG = {-limit:g} eV/A"
        stress = self._largest_stress()
        if stress > _SLACK * limit:
            return f"the stress times the volume per atom is {stress:.3g} eV, EDIFFG = {-limit:g}"
        return ""

    def _largest_stress(self) -> float:
        """The largest component of the stress that the cell is free to follow, times the volume per atom, in eV."""
        if self.isif < 3 or self.stress_kbar is None:
            return 0.0
        largest = []
        for pressure in (0.0, self.pressure_kbar):  # versions differ in what they write
            stress = np.asarray(self.stress_kbar, dtype=np.float64) - pressure * np.eye(3)
            mean = np.trace(stress) / 3.0 * np.eye(3)
            if self.isif in {7, 8}:
                stress = mean
            elif self.isif in {4, 5}:
                stress = stress - mean
            largest.append(float(np.abs(stress).max()))
        return min(largest) * EV_PER_KBAR_A3 * self.volume_per_atom
