"""What happened in a campaign: what was known before each round, what was then decided, and how it ended.

Everything that a figure or a report needs is read off this. No model is fitted; see `Beliefs` for what was believed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hullscout.campaign.result import CampaignResult, FailedCandidate, read_result
from hullscout.campaign.setup import Setup
from hullscout.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from hullscout.campaign.config import CampaignConfig
    from hullscout.pool import Pool
    from hullscout.selection import Decision, Known


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A campaign from its start until now.

    Attributes:
        setup: What it is made of.
        moments: What was known before each round after the start, with the energies of all rounds before it; and now:
            `moments[-1]`.
        failures: Why each calculation that failed for good did, by the candidate's index.
        awaited: (p,) indices of the candidates whose results are awaited; in a hand-off those that were handed out.
        result: What `result.json` says; None while the campaign is not finished.
    """

    setup: Setup = field(repr=False)
    moments: tuple[Known, ...] = field(repr=False)
    failures: dict[int, FailedCandidate] = field(repr=False)
    awaited: tuple[int, ...] = field(repr=False)
    result: CampaignResult | None

    @property
    def config(self) -> CampaignConfig:
        """The settings in force."""
        return self.setup.config

    @property
    def pool(self) -> Pool:
        """The candidates."""
        return self.setup.pool

    @property
    def now(self) -> Known:
        """What is known now."""
        return self.moments[-1]

    @property
    def decided(self) -> tuple[Decision | None, ...]:
        """What was decided at each moment; None now."""
        all_of_them = self.now.decisions
        return (*(all_of_them[len(known.decisions)] for known in self.moments[:-1]), None)


def read_history(folder: Path, *, setup: Setup | None = None) -> History:
    """Read the campaign in `folder`, finished or not, also while it is running.

    Raises:
        StoreError: There is none, it is damaged, or there is no hull yet.
    """
    setup = Setup.read(folder) if setup is None else setup
    ledger, true = setup.read_ledger(folder), setup.true_ev_per_atom
    every = (ledger.known_after(n) for n in range(1, len(ledger.decisions) + 1))
    moments = tuple(known.with_truth(true) for known in every if known.has_hull)
    if not moments:
        raise StoreError(
            f"The campaign in {folder} has no hull yet: the energies of both pure elements are needed; run it first."
        )
    return History(
        setup=setup,
        moments=moments,
        failures={
            ledger.index_of(candidate_id): FailedCandidate.of(setup.pool, candidate_id, failed)
            for candidate_id, failed in ledger.failures.items()
        },
        awaited=tuple(ledger.index_of(candidate_id) for candidate_id in ledger.awaited),
        result=read_result(folder),
    )
