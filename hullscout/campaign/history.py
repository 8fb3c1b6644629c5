"""The history of a campaign from round to round, off which figures and reports read everything.

It fits no model: see `Beliefs` for what was believed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hullscout.campaign.result import FailedCandidate, read_result
from hullscout.campaign.setup import Setup
from hullscout.campaign.store import Store
from hullscout.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from hullscout.campaign.config import CampaignConfig
    from hullscout.campaign.founding import About
    from hullscout.campaign.result import CampaignResult
    from hullscout.pool import Candidate, Pool
    from hullscout.selection import Decision, Known


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A campaign from its start until now.

    Attributes:
        moments: What was known before each round after the start, with the energies of all rounds before it; and now:
            `moments[-1]`.
        failures: Why each calculation that failed for good did, by the candidate's index.
        relaxed: The structures that energies are of, by the candidate's index, where they are not those of the pool.
        awaited: (p,) indices of the candidates whose results are awaited; in a hand-off those that were handed out.
        result: What `result.json` says; None while the campaign is not finished.
        about: What is kept of energies beside themselves, by the candidate's id.
    """

    setup: Setup = field(repr=False)
    moments: tuple[Known, ...] = field(repr=False)
    failures: dict[int, FailedCandidate] = field(repr=False)
    relaxed: dict[int, Candidate] = field(repr=False)
    awaited: tuple[int, ...] = field(repr=False)
    result: CampaignResult | None
    about: dict[str, About] = field(default_factory=dict, repr=False)

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
        return (*(self.now.decisions[len(known.decisions)] for known in self.moments[:-1]), None)


def read_history(folder: Path, *, setup: Setup | None = None) -> History:
    """Read the campaign in `folder`, finished or not, also while it is running; `StoreError` where there is no hull yet.

    Args:
        setup: What it works with, as in the folder by now, where that was read already.
    """
    setup = Setup.read(folder) if setup is None else setup
    with Store.read(folder) as store:
        ledger, about = setup.with_additions(store).open_ledger(store, is_kept=False), store.about()
    true = setup.true_ev_per_atom
    every = (ledger.known_after(n) for n in range(len(ledger.decisions) + 1))
    moments = tuple(known.with_truth(true) for known in every if known.has_hull)
    if not moments:
        raise StoreError(
            f"The campaign in {folder} has no hull yet: the energies of all pure elements are needed; run it first."
        )
    failures = {
        ledger.index_of(each): FailedCandidate.of(setup.pool, each, why) for each, why in ledger.failures.items()
    }
    awaited = tuple(map(ledger.index_of, ledger.awaited))
    return History(
        setup=setup,
        moments=moments,
        failures=failures,
        relaxed=ledger.relaxed,
        awaited=awaited,
        result=read_result(folder),
        about=about,
    )
