"""Whose results are awaited. A rule chooses in batches; what a hand-off has not given out of a batch is not awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hullscout.campaign.config import CampaignConfig
    from hullscout.campaign.state import State
    from hullscout.campaign.store import Attempt


def handed_out(attempts: Iterable[Attempt]) -> frozenset[str]:
    """Ids that were given to somebody to calculate, whatever came of it; not those that were let go again."""
    return frozenset(attempt.id for attempt in attempts if not attempt.is_forgiven)


def awaited(config: CampaignConfig, state: State, attempts: Iterable[Attempt]) -> tuple[str, ...]:
    """Ids asked for and not yet answered, in the order of asking.

    In a hand-off these are the ones that were handed out. Elsewhere they are all that the rule chose: the campaign calculates
    them without being asked again.
    """
    if config.oracle.kind != "handoff":
        return state.pending
    given = handed_out(attempts)
    return tuple(candidate_id for candidate_id in state.pending if candidate_id in given)
