"""The state of a campaign: what was asked for and what was answered, and nothing else. No I/O, no model, no decisions.

Everything else about a campaign follows from its pool, its settings and this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import ProtocolError
from hullscout.selection.interface import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from hullscout.oracle import Failed
    from hullscout.pool import Pool
    from hullscout.selection.interface import RoundRecord


class State:
    """Rounds and answers, checked as they come in.

    Args:
        pool: The candidates.
        rounds: Rounds decided earlier.
        energies_ev: Energies told earlier, eV per cell by id.
        failures: Calculations that failed for good, by id.

    Raises:
        ProtocolError: The rounds or energies are not of this pool, or an energy was never asked for.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        rounds: Iterable[RoundRecord] = (),
        energies_ev: Mapping[str, float] | None = None,
        failures: Mapping[str, Failed] | None = None,
    ) -> None:
        self.pool = pool
        self._index = {candidate_id: index for index, candidate_id in enumerate(pool.ids)}
        self._rounds: list[RoundRecord] = []
        self._asked: dict[int, None] = {}  # in the order of asking
        self._energies_ev_per_atom: dict[int, float] = {}
        self._failures: dict[int, Failed] = {}
        for record in rounds:
            self.add_round(record)
        for candidate_id, energy in (energies_ev or {}).items():
            self.add_answer(candidate_id, energy)
        for candidate_id, failed in (failures or {}).items():
            self.add_failure(candidate_id, failed)

    @property
    def rounds(self) -> tuple[RoundRecord, ...]:
        """The rounds decided so far."""
        return tuple(self._rounds)

    @property
    def n_known(self) -> int:
        """Number of candidates whose energy is known."""
        return len(self._energies_ev_per_atom)

    @property
    def pending(self) -> tuple[str, ...]:
        """Ids asked for and not yet answered, in the order of asking."""
        return tuple(self.pool.ids[index] for index in self._pending)

    @property
    def failures(self) -> dict[str, Failed]:
        """The calculations that failed for good, by id, in the order of asking."""
        return {self.pool.ids[index]: self._failures[index] for index in self._asked if index in self._failures}

    @property
    def asked(self) -> NDArray[np.intp]:
        """(k,) indices of the candidates asked for, whatever came of it, in the order of asking."""
        return np.asarray(list(self._asked), dtype=np.intp)

    @property
    def known(self) -> NDArray[np.intp]:
        """(m,) indices of the candidates with an energy, in the order of asking, whatever the order of the answers."""
        return np.asarray([index for index in self._asked if index in self._energies_ev_per_atom], dtype=np.intp)

    @property
    def energies_ev_per_atom(self) -> NDArray[np.float64]:
        """(m,) the energies of `known`."""
        return np.asarray([self._energies_ev_per_atom[index] for index in self.known.tolist()], dtype=np.float64)

    @property
    def has_both_ends(self) -> bool:
        """Whether the energy of a structure of each pure element is known, so that there is a hull."""
        x = self.pool.x[self.known]
        return bool((x == 0).any() and (x == 1).any())

    def add_round(self, record: RoundRecord) -> None:
        """Take a decided round.

        Raises:
            ProtocolError: It asks for what is no candidate or was asked for before.
        """
        indices = [self.index_of(candidate_id) for candidate_id in record.chosen]
        again = [self.pool.ids[index] for index in indices if index in self._asked]
        if again:
            raise ProtocolError(f"Round {record.round} asks again for {again[0]!r}; every candidate is asked for once.")
        self._rounds.append(record)
        self._asked.update(dict.fromkeys(indices))

    def add_answer(self, candidate_id: str, energy_ev: float) -> None:
        """Take the energy in eV per cell of a candidate that was asked for; the same answer twice changes nothing.

        A candidate that had failed has not any more.

        Raises:
            ProtocolError: The candidate was not asked for, the energy is not finite, or another one was told before.
        """
        index = self._asked_index_of(candidate_id, "The energy")
        if not np.isfinite(energy_ev):
            raise ProtocolError(f"The energy of {candidate_id!r} must be finite, found {energy_ev}.")
        n_atoms = int(self.pool.n_atoms[index])
        before = self._energies_ev_per_atom.setdefault(index, energy_ev / n_atoms)
        if before != energy_ev / n_atoms:
            raise ProtocolError(
                f"The energy of {candidate_id!r} was told as {before * n_atoms} eV before and as {energy_ev} eV now."
            )
        self._failures.pop(index, None)

    def add_failure(self, candidate_id: str, failed: Failed) -> None:
        """Take it that a candidate's energy cannot be had; of several failures the first counts.

        Raises:
            ProtocolError: The candidate was not asked for, or its energy is known.
        """
        index = self._asked_index_of(candidate_id, "The failure")
        if index in self._energies_ev_per_atom:
            raise ProtocolError(f"{candidate_id!r} was told to have failed, but its energy is known.")
        self._failures.setdefault(index, failed)

    def snapshot(self, *, seed: int, cost: NDArray[np.float64] | None = None) -> Snapshot:
        """What a selection rule may see; each calculation costs 1 where no `cost` (n,) is given."""
        return Snapshot(
            x=self.pool.x,
            n_atoms=self.pool.n_atoms,
            cost=np.ones(self.pool.x.size) if cost is None else cost,
            baseline_ev_per_atom=self.pool.baseline_ev_per_atom,
            known=self.known,
            energies_ev_per_atom=self.energies_ev_per_atom,
            history=self.rounds,
            seed=seed,
            pending=np.asarray(self._pending, dtype=np.intp),
            failed=np.asarray([index for index in self._asked if index in self._failures], dtype=np.intp),
        )

    @property
    def _pending(self) -> list[int]:
        known, failed = self._energies_ev_per_atom, self._failures
        return [index for index in self._asked if index not in known and index not in failed]

    def _asked_index_of(self, candidate_id: str, what: str) -> int:
        index = self.index_of(candidate_id)
        if index not in self._asked:
            raise ProtocolError(f"{what} of {candidate_id!r} was told but never asked for; ask first.")
        return index

    def index_of(self, candidate_id: str) -> int:
        """The index of a candidate.

        Raises:
            ProtocolError: There is no such candidate.
        """
        try:
            return self._index[candidate_id]
        except KeyError as error:
            raise ProtocolError(f"{candidate_id!r} is no candidate of this pool; is it another campaign's?") from error
