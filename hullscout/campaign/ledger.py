"""The ledger of a campaign: every request and every answer, checked as it comes in and committed before anything uses it.

Live campaigns, hand-offs and replays keep the same ledger; that of a replay has no store behind it. No model and no decision is
made here: everything else about a campaign follows from its pool, its settings and this.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import ProtocolError
from hullscout.oracle import Calculated, Failed
from hullscout.selection import Known

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hullscout.campaign.attempts import Attempt
    from hullscout.campaign.founding import KnownAnswer
    from hullscout.campaign.store import Store
    from hullscout.oracle import Outcome
    from hullscout.pool import Candidate, Pool
    from hullscout.selection import Decision
    from hullscout.selection.known import Floats


BY_VALUE = "pool.references"
"""Where the energies of elements are from that are given by value."""


class Ledger:
    """What was decided, asked for and answered in a campaign; `ProtocolError` where that does not fit together or to the pool.

    Args:
        cost: (n,) cost of the calculation of each candidate; 1 each if not given.
        given: Where each energy is from that nobody asked for, by id: most were known before anything was.
        given_after: How many rounds were decided before those of them that came later, by id.
        energies_ev: Energies told earlier, eV per cell by id, those given among them.
        relaxed: Structures that these energies are of, by id, where they are not those of the pool.
        failures: Calculations that failed for good, by id.
        earlier: The pool before each addition of candidates, and the rounds that were decided before that; theirs come first in
            the pool.
        is_handed_out: Whether somebody else calculates, so that only what was handed out is awaited.
        store: Where everything new is committed; nowhere if not given.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        name: str = "",
        seed: int = 0,
        cost: Floats | None = None,
        decisions: Iterable[Decision] = (),
        given: Mapping[str, str] | None = None,
        given_after: Mapping[str, int] | None = None,
        energies_ev: Mapping[str, float] | None = None,
        relaxed: Mapping[str, Candidate] | None = None,
        failures: Mapping[str, Failed] | None = None,
        attempts: Iterable[Attempt] = (),
        earlier: Sequence[tuple[int, Pool]] = (),
        is_handed_out: bool = False,
        store: Store | None = None,
    ) -> None:
        self.pool = pool
        self._name, self._seed = name, seed
        self._cost = np.ones(len(pool)) if cost is None else cost
        self._index = {candidate_id: index for index, candidate_id in enumerate(pool.ids)}
        self._decisions: list[Decision] = []
        self._asked: set[int] = set()
        self._given: dict[int, int] = {}  # and the rounds that were decided before
        self._energies_ev: dict[int, float] = {}
        self._relaxed: dict[int, Candidate] = {}
        self._failures: dict[int, Failed] = {}
        self.attempts = tuple(attempts)
        self._n_attempts = Counter(attempt.id for attempt in self.attempts)
        self._n_failed = Counter(a.id for a in self.attempts if a.reason is not None and not a.is_forgiven)
        self._handed_out = {attempt.id for attempt in self.attempts if not attempt.is_forgiven}
        self._earlier = tuple(earlier)
        self._is_handed_out = is_handed_out
        self._store: Store | None = None  # what is read is not written again
        self._known: Known | None = None
        for decision in decisions:
            self.record(decision)
        # Earlier versions asked for what is given by value.
        self.given = {each: source for each, source in (given or {}).items() if self.index_of(each) not in self._asked}
        after = given_after or {}
        self._given.update((self.index_of(candidate_id), after.get(candidate_id, 0)) for candidate_id in self.given)
        for candidate_id, energy in (energies_ev or {}).items():
            self.take(candidate_id, Calculated(energy_ev=energy, relaxed=(relaxed or {}).get(candidate_id)))
        for candidate_id, failed in (failures or {}).items():
            self.take(candidate_id, failed)
        self._store = store

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """Those made so far, each with what it asked for."""
        return tuple(self._decisions)

    @property
    def n_beforehand(self) -> dict[str, int]:
        """How many energies of candidates nobody asked for, by where they are from; not those of elements by value."""
        return dict(Counter(source for source in self.given.values() if source != BY_VALUE))

    @property
    def known(self) -> Known:
        """What is known now."""
        if self._known is None:
            self._known = self.known_after(len(self._decisions))
        return self._known

    def known_after(self, n_decisions: int) -> Known:
        """What was known of the candidates of then when the first few decisions were answered, whatever came later."""
        pool = next((pool for n_rounds, pool in self._earlier if n_decisions < n_rounds), self.pool)
        decisions = self._decisions[:n_decisions]
        asked = [index for decision in decisions for index in decision.chosen]
        given = [index for index in self._energies_ev if self._given.get(index, n_decisions + 1) <= n_decisions]
        answered = [*given, *(index for index in asked if index in self._energies_ev)]
        failed = [index for index in asked if index in self._failures]
        settled = {*answered, *failed}
        energies = [self._energies_ev[index] / int(self.pool.n_atoms[index]) for index in answered]
        return Known(
            pool=pool,
            name=self._name,
            seed=self._seed,
            cost=self._cost[: len(pool)],
            added_after=tuple(n_rounds for n_rounds, _ in self._earlier if n_rounds <= n_decisions),
            decisions=tuple(decisions),
            given=np.array(given, dtype=np.intp),
            answered=np.array(answered, dtype=np.intp),
            energies_ev_per_atom=np.array(energies, dtype=np.float64),
            failed=np.array(failed, dtype=np.intp),
            pending=np.array([index for index in asked if index not in settled], dtype=np.intp),
        )

    @property
    def pending(self) -> tuple[str, ...]:
        """Ids asked for and not yet answered, in the order of asking."""
        return tuple(self.pool.ids[index] for index in self.known.pending)

    @property
    def handed_out(self) -> frozenset[str]:
        """Ids that were given to somebody to calculate, whatever came of it; not those that were let go again."""
        return frozenset(self._handed_out)

    @property
    def awaited(self) -> tuple[str, ...]:
        """Ids whose results are awaited, in the order of asking.

        A rule chooses in batches: in a hand-off only what was given out of a batch is awaited. Elsewhere the campaign calculates
        all of it without being asked again.
        """
        if not self._is_handed_out:
            return self.pending
        return tuple(candidate_id for candidate_id in self.pending if candidate_id in self._handed_out)

    @property
    def failures(self) -> dict[str, Failed]:
        """The calculations that failed for good, by id, in the order of asking."""
        return {self.pool.ids[index]: self._failures[index] for index in self.known.failed.tolist()}

    @property
    def has_room(self) -> bool:
        """Whether the disk took everything so far; if not, nothing new should be begun."""
        return self._store is None or self._store.has_room

    @property
    def told_ev(self) -> dict[str, float]:
        """The energies that a store keeps, eV per cell by id: all but those that the campaign file gives by value."""
        told = {self.pool.ids[index]: energy for index, energy in self._energies_ev.items()}
        return {each: energy for each, energy in told.items() if self.given.get(each) != BY_VALUE}

    def energy_ev(self, candidate_id: str) -> float | None:
        """Energy in eV per cell of a candidate, where it is known."""
        return self._energies_ev.get(self.index_of(candidate_id))

    @property
    def relaxed(self) -> dict[int, Candidate]:
        """The structures that energies are of, by the candidate's index, where they are not those of the pool."""
        return dict(self._relaxed)

    def is_asked(self, candidate_id: str) -> bool:
        """Whether a candidate was asked for."""
        return self.index_of(candidate_id) in self._asked

    def n_attempts(self, candidate_id: str) -> int:
        """Number of calculations of a candidate that were started."""
        return self._n_attempts[candidate_id]

    def index_of(self, candidate_id: str) -> int:
        """The index of a candidate."""
        try:
            return self._index[candidate_id]
        except KeyError as error:
            raise ProtocolError(f"{candidate_id!r} is no candidate of this pool; is it another campaign's?") from error

    def record(self, decision: Decision) -> None:
        """Commit a decision, before anything of it is calculated; it may ask for nothing that was asked for before."""
        again = [self.pool.ids[index] for index in decision.chosen if index in self._asked]
        if again:
            raise ProtocolError(
                f"Round {len(self._decisions)} asks again for {again[0]!r}; every candidate is asked for once."
            )
        if self._store is not None:
            self._store.save_decision(len(self._decisions), decision, self.pool.ids)
        self._decisions.append(decision)
        self._asked.update(decision.chosen)
        self._known = None

    def start(self, candidate_id: str) -> int:
        """Commit that the calculation of a candidate is started; which attempt it is."""
        attempt = self._n_attempts[candidate_id] + 1
        if self._store is not None:
            self._store.save_start(candidate_id, attempt)
        self._n_attempts[candidate_id] = attempt
        self._handed_out.add(candidate_id)
        return attempt

    def take(self, candidate_id: str, outcome: Outcome, *, attempt: int | None = None, retries: int = 0) -> int:
        """Commit an outcome of a candidate that was asked for, then make it part of what is known.

        The same energy twice changes nothing; of several failures the first counts, and an energy withdraws it. `ProtocolError`
        where it was not asked for, is not finite, or contradicts what is known.

        Args:
            attempt: Which calculation gave it; None where nobody calculated.
            retries: Further tries after a failure that may pass.

        Returns:
            Tries that are left after a failure; 0 after the last and after an energy.
        """
        index = self.index_of(candidate_id)
        what = "The energy" if isinstance(outcome, Calculated) else "The failure"
        if index not in self._asked and index not in self._given:
            raise ProtocolError(f"{what} of {candidate_id!r} was told but never asked for; ask first.")
        before = self._energies_ev.get(index)
        if isinstance(outcome, Failed):
            if before is not None:
                raise ProtocolError(f"{candidate_id!r} was told to have failed, but its energy is known.")
            return self._take_failure(index, outcome, attempt=attempt, retries=retries)
        if not np.isfinite(outcome.energy_ev):
            raise ProtocolError(f"The energy of {candidate_id!r} must be finite, found {outcome.energy_ev}.")
        if before is not None and before != outcome.energy_ev:
            raise ProtocolError(
                f"The energy of {candidate_id!r} was told as {before} eV before and as {outcome.energy_ev} eV now."
            )
        if before is None:
            if self._store is not None:
                self._store.save_answer(candidate_id, outcome, attempt=attempt)
            self._energies_ev[index] = outcome.energy_ev
            if outcome.relaxed is not None:
                self._relaxed[index] = outcome.relaxed
            self._failures.pop(index, None)
            self._known = None
        return 0

    def know(self, candidate_id: str, answer: KnownAnswer) -> None:
        """Commit an energy of a candidate that was not asked for, then make it part of what is known from now on."""
        index, n_rounds = self.index_of(candidate_id), len(self._decisions)
        if index in self._asked or index in self._energies_ev:
            raise ProtocolError(f"{candidate_id!r} was asked for or is known: its energy does not come unasked.")
        if not np.isfinite(answer.energy_ev):
            raise ProtocolError(f"The energy of {candidate_id!r} must be finite, found {answer.energy_ev}.")
        if self._store is not None:
            self._store.save_known({candidate_id: answer}, n_rounds=n_rounds)
        self.given[candidate_id], self._given[index] = answer.source, n_rounds
        self._energies_ev[index] = answer.energy_ev
        if answer.relaxed is not None:
            self._relaxed[index] = answer.relaxed
        self._known = None

    def _take_failure(self, index: int, failed: Failed, *, attempt: int | None, retries: int) -> int:
        candidate_id = self.pool.ids[index]
        self._n_failed[candidate_id] += 1
        n_left = max(retries + 1 - self._n_failed[candidate_id], 0) if failed.reason.may_pass else 0
        if self._store is not None:
            self._store.save_failed(candidate_id, failed, attempt=attempt, is_final=not n_left)
        if not n_left:
            self._failures.setdefault(index, failed)
            self._known = None
        return n_left
