"""The yardstick: candidates in random order. It fits no model, states nothing and never stops by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import PositiveInt

from hullscout.selection.interface import Proposal, Snapshot
from hullscout.selection.start import end_members
from hullscout.settings import Settings

if TYPE_CHECKING:
    from hullscout.selection.stopping import StopSettings
    from hullscout.selection.surrogate import Surrogate


class RandomRule(Settings):
    """Look candidates up in random order until all are known or `stop.max_calculations` is reached."""

    rule: Literal["random"] = "random"
    batch: PositiveInt = 4
    """Structures looked up in one round."""

    def start(self, snapshot: Snapshot) -> tuple[int, ...]:
        """The pure elements."""
        return end_members(snapshot)

    def select(self, snapshot: Snapshot, surrogate: Surrogate, *, stop: StopSettings) -> Proposal:  # noqa: ARG002  the interface of all rules
        """A random batch of what is unknown."""
        unknown = snapshot.unknown
        chosen = snapshot.rng().permutation(unknown)[: self.batch]
        return Proposal(chosen=tuple(chosen.tolist()), n_contenders=unknown.size)
