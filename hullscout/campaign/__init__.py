"""A campaign: its file, its ledger and store, the engine that asks and is told, its history and its result.

`Setup` opens what a campaign is made of, `Ledger` keeps what was asked and answered, `Engine` decides; `run` and `handoff` carry
energies. `hullscout.Campaign` is the door for people.
"""

from hullscout.campaign.beliefs import Beliefs
from hullscout.campaign.config import CampaignConfig, check_config, load_config
from hullscout.campaign.engine import Engine
from hullscout.campaign.ground_states import GroundStates
from hullscout.campaign.history import History, read_history
from hullscout.campaign.ledger import Ledger
from hullscout.campaign.origin import Origin, read_origin
from hullscout.campaign.result import CampaignResult, read_result
from hullscout.campaign.run import create, run
from hullscout.campaign.setup import Setup
from hullscout.campaign.store import Store

__all__ = [
    "Beliefs",
    "CampaignConfig",
    "CampaignResult",
    "Engine",
    "GroundStates",
    "History",
    "Ledger",
    "Origin",
    "Setup",
    "Store",
    "check_config",
    "create",
    "load_config",
    "read_history",
    "read_origin",
    "read_result",
    "run",
]
