"""The one loop of a campaign: it carries ids from the engine to a crew of workers and outcomes back, by way of the store.

Order of each step: what the engine asks for is committed before it is started, each outcome is committed before the engine sees
it. So the process can die anywhere, and running again ends in the same result.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import FIRST_COMPLETED, wait
from typing import TYPE_CHECKING

from hullscout.errors import StoreError
from hullscout.oracle import Calculated, Failed, outcome_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from hullscout.campaign.engine import Engine
    from hullscout.campaign.state import State
    from hullscout.campaign.store import Store
    from hullscout.errors import OracleError
    from hullscout.oracle import Outcome, Workers


class Drive:
    """A campaign's engine and its store, kept in step.

    Args:
        engine: It decides.
        store: It keeps; holds what the engine's state holds.
        n_ahead: Candidates that may be under way when the next one is chosen; 0 to await whole rounds.
    """

    def __init__(self, engine: Engine, store: Store, *, n_ahead: int = 0) -> None:
        self._engine = engine
        self._store = store
        self._n_ahead = n_ahead
        self._n_saved = len(engine.state.rounds)
        attempts = store.attempts()
        self._n_attempts = Counter(attempt.id for attempt in attempts)
        self._n_failed = Counter(a.id for a in attempts if a.reason is not None and not a.is_forgiven)

    def ask(self) -> tuple[str, ...]:
        """Let the engine ask for as much as there is room for, commit that, and return what is pending. Empty at the end."""
        if not self._n_ahead:
            self._engine.ask()
            self.save_rounds()
        while self._engine.ask_ahead(self._n_ahead - len(self._engine.state.pending)):
            self.save_rounds()
        return self._engine.state.pending

    def save_rounds(self) -> None:
        """Commit what the engine decided since the last time."""
        for record in self._engine.state.rounds[self._n_saved :]:
            self._store.save_round(record)
        self._n_saved = len(self._engine.state.rounds)

    def run(self, crew: Workers, *, on_progress: Callable[[State], None], on_note: Callable[[str], None]) -> None:
        """Keep the crew at work until the engine has no more to ask.

        Args:
            crew: The workers.
            on_progress: Called with the state after each outcome.
            on_note: Called with a sentence for each outcome that a person should know of.

        Raises:
            OracleError: The workers are gone. What they had answered is kept.
            StoreError: The disk is full. What was under way was awaited, and is kept.
        """
        state = self._engine.state
        running: dict[Future[Outcome], tuple[str, int]] = {}
        while (pending := self.ask() if self._store.has_room else ()) or running:
            busy = {candidate_id for candidate_id, _ in running.values()}
            for candidate_id in pending:
                if len(running) < crew.size and candidate_id not in busy and self._store.has_room:
                    attempt = self.start(candidate_id) if crew.is_recorded else 1
                    candidate = state.pool.candidates[state.index_of(candidate_id)]
                    running[crew.submit(candidate, attempt=attempt)] = (candidate_id, attempt)
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            lost: OracleError | None = None
            for future in [future for future in running if future in done]:
                candidate_id, attempt = running.pop(future)
                outcome = outcome_of(future)
                if isinstance(outcome, Calculated | Failed):
                    self._settle(crew, candidate_id, attempt, outcome, on_note)
                    on_progress(state)
                else:
                    lost = outcome
            if lost is not None:
                raise lost
        if not self._store.has_room:
            raise StoreError(
                f"The disk of {self._store.database} is full. Nothing new was begun; what was under way was awaited, and every "
                "answer is kept. Free some room and run the same command again."
            )

    def start(self, candidate_id: str) -> int:
        """Commit that the calculation of a candidate is started; which attempt it is."""
        self._n_attempts[candidate_id] += 1
        self._store.save_start(candidate_id, self._n_attempts[candidate_id])
        return self._n_attempts[candidate_id]

    def _settle(
        self, crew: Workers, candidate_id: str, attempt: int, outcome: Outcome, on_note: Callable[[str], None]
    ) -> None:
        """Commit an outcome, then tell the engine."""
        match outcome:
            case Calculated():
                if crew.is_recorded:
                    self._store.save_calculated(candidate_id, attempt, outcome)
                else:
                    self._store.save_answer(candidate_id, outcome.energy_ev)
                self._engine.tell(candidate_id, outcome.energy_ev)
                if outcome.note:
                    on_note(f"{candidate_id}: {outcome.note}")
            case Failed():
                self._n_failed[candidate_id] += 1
                n_left = crew.retries + 1 - self._n_failed[candidate_id] if outcome.reason.may_pass else 0
                self._store.save_failed(candidate_id, attempt, outcome, is_final=n_left <= 0)
                if n_left <= 0:
                    self._engine.tell_failure(candidate_id, outcome)
                verdict = f"tried again, {n_left} left" if n_left > 0 else "marked as failed"
                on_note(f"{candidate_id} ({outcome.reason}): {outcome.sentence} It is {verdict}.")
