"""The engine: ask it what to calculate, tell it the energies. It decides, and computes no energy itself.

The engine is a function of the pool, the settings and the ledger: give those to a new engine and it goes on exactly where the
old one stood.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import InvalidSettingError
from hullscout.oracle import Calculated
from hullscout.selection import Decision, StopSettings
from hullscout.selection.rule import cheapest_pure, missing_pure
from hullscout.selection.stopping import concluded, refuse_impossible_limits

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from threadpoolctl import ThreadpoolController

    from hullscout.campaign.ledger import Ledger
    from hullscout.oracle import Failed
    from hullscout.selection import Rule, Stop, Surrogate
    from hullscout.selection.known import Floats

PROBABILITIES = (
    "failure_probability",
    "stated_failure_probability",
    "settleable_probability",
    "stated_settleable_probability",
)


class Engine:
    """What to calculate next, and when to stop; `InvalidCampaignError` where `settings` do not even allow the pure elements.

    Args:
        ledger: What was asked and answered so far; the engine adds to it.

    Attributes:
        decision: The last decision of this engine, with the numbers behind it; None before the first.
    """

    def __init__(
        self, ledger: Ledger, *, rule: Rule, surrogate: Surrogate, settings: StopSettings | None = None
    ) -> None:
        self.ledger = ledger
        self.rule = rule
        self.surrogate = surrogate
        self.decision: Decision | None = None
        self._settings = StopSettings() if settings is None else settings
        refuse_impossible_limits(ledger.known, cheapest_pure(ledger.known), self._settings)

    @property
    def stop(self) -> Stop | None:
        """Why the campaign ended; None while it goes on."""
        return None if self.decision is None else self.decision.stop

    def ask(self) -> tuple[str, ...]:
        """Return the ids to calculate, best first: those still pending, or a new round. Empty at the end; see `stop`.

        Asking again without telling gives the same ids.
        """
        if not self.ledger.pending and self.stop is None:
            self._take(self._decide())
        return self.ledger.pending

    def ask_ahead(self, n: int) -> tuple[str, ...]:
        """Ask for up to n more while others are pending, and return these ids alone; the start comes whole.

        Empty where nothing can be decided before more answers are there: the pure elements are not known yet, or the rule would
        stop by what is known (an answer that is still pending may speak against it). With nothing pending: empty at the end only.
        """
        if self.stop is not None or n < 1:
            return ()
        known = self.ledger.known
        is_waiting = bool(known.pending.size)
        if is_waiting and not known.has_hull:
            return ()
        decision = self._decide()
        if is_waiting and decision.stop is not None:
            return ()
        return self._take(decision.only(n) if known.decisions else decision)

    def tell(self, candidate_id: str, energy_ev: float) -> None:
        """Take the energy of a candidate that was asked for, in eV per cell; see `Ledger.take`."""
        self.ledger.take(candidate_id, Calculated(energy_ev=energy_ev))

    def tell_failure(self, candidate_id: str, failed: Failed) -> None:
        """Take it that the energy of a candidate that was asked for cannot be had."""
        self.ledger.take(candidate_id, failed)

    def predict(self) -> Floats:
        """(n,) formation energies in eV/atom that the model predicts for all candidates from what is known."""
        with fitting_threads():
            return self.surrogate.predict_formation_energy(self.ledger.known)

    def _take(self, decision: Decision) -> tuple[str, ...]:
        """Make it this engine's decision; the ids that it asks for."""
        self.decision = decision
        if decision.chosen:
            self.ledger.record(decision)
        return tuple(self.ledger.pool.ids[index] for index in decision.chosen)

    def _decide(self) -> Decision:
        known, rule = self.ledger.known, self.rule
        if not known.unknown.size:
            decision = Decision(stated_failure_probability=0.0 if rule.states_probability else None)
        elif not known.decisions and (begun := self._begun()):
            decision = Decision(chosen=begun, n_contenders=known.n_candidates)
        elif not known.has_hull:
            decision = Decision(chosen=missing_pure(known), n_contenders=known.n_candidates)
        else:
            with fitting_threads():
                decision = rule.decide(known, self.surrogate, stop=self._settings)
        decision = self._checked(decision)
        return concluded(known, decision, none_left=rule.none_left(decision, self._settings), settings=self._settings)

    def _begun(self) -> tuple[int, ...]:
        """What the rule starts with, less what was known beforehand."""
        known = self.ledger.known
        begun, given = self.rule.begin(known, self.surrogate), set(known.given.tolist())
        return tuple(index for index in begun if index not in given) if given else begun

    def _checked(self, decision: object) -> Decision:
        """A rule's decision: different candidates among those that may be asked for."""
        askable, chosen = self.ledger.known.askable, getattr(decision, "chosen", None)
        if not isinstance(decision, Decision) or not isinstance(chosen, tuple | list | np.ndarray):
            raise InvalidSettingError(
                f"select.rule: expected candidates from start and a Decision from decide of {self.rule.rule!r}, found "
                f"{decision if chosen is None else chosen!r}."
            )
        is_index = all(isinstance(index, int | np.integer) and not isinstance(index, bool) for index in chosen)
        if (
            not is_index
            or len(set(chosen)) < len(chosen)
            or not np.isin(np.array(chosen, dtype=np.intp), askable).all()
        ):
            raise InvalidSettingError(
                f"select.rule: expected of {self.rule.rule!r} different indices among the {askable.size} candidates that may "
                f"be asked for (known.askable), found {chosen!r}."
            )
        for name in PROBABILITIES:
            value = getattr(decision, name)
            if value is not None and not (isinstance(value, int | float | np.floating) and 0.0 <= value <= 1.0):
                raise InvalidSettingError(
                    f"select.rule: expected {name} of {self.rule.rule!r} as a probability from 0 to 1, found {value!r}."
                )
        return replace(decision, chosen=tuple(int(index) for index in chosen))


def fitting_threads() -> AbstractContextManager[object]:
    """One BLAS thread while the context lasts.

    Small products are faster with one, by far where the cores have other work. And the last bit of a sum of products depends on how
    it was shared out: a campaign resumed with another number of threads would not end in the same bytes.
    """
    limited: AbstractContextManager[object] = _controller().limit(limits=1, user_api="blas")
    return limited


@cache
def _controller() -> ThreadpoolController:
    import scipy.linalg  # noqa: F401, PLC0415  its BLAS has to be there to be found
    from threadpoolctl import ThreadpoolController  # noqa: PLC0415

    return ThreadpoolController()
