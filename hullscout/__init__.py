"""Find the ground-state convex hull of an alloy with few DFT calculations, and say how sure it is.

The rooms: `pool` (candidates), `representation` and `mbtr` (features), `regression` (kernel models), `hull`, `selection` (what to
calculate next, and when to stop), `oracle` (where energies come from), `campaign` (the loop and its store), `planning`, `figures`,
`cli`. Here stands what scripts and notebooks need. Importing this package loads none of the rooms; a name loads its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hullscout.api import Campaign
    from hullscout.hull import Hull, lower_hull
    from hullscout.known_pool import Pool
    from hullscout.mbtr import MBTR
    from hullscout.pool import Candidate
    from hullscout.regression import KernelModel
    from hullscout.representation import MbtrRepresentation, Representation
    from hullscout.selection import (
        Belief,
        CostSettings,
        Decision,
        GreedyRule,
        HullPosteriorRule,
        HullThresholdRule,
        Known,
        RandomRule,
        Rule,
        StopSettings,
        SurrogateSettings,
        ThresholdRule,
        VarianceRule,
    )

__version__ = "0.1.0"

_ROOMS = {
    "api": "Campaign",
    "hull": "Hull lower_hull",
    "mbtr": "MBTR",
    "known_pool": "Pool",
    "pool": "Candidate",
    "regression": "KernelModel",
    "representation": "MbtrRepresentation Representation",
    "selection": "Belief CostSettings Decision GreedyRule HullPosteriorRule HullThresholdRule Known RandomRule Rule StopSettings "
    "SurrogateSettings ThresholdRule VarianceRule",
}
_WHERE = {name: room for room, names in _ROOMS.items() for name in names.split()}

__all__ = [
    "MBTR",
    "Belief",
    "Campaign",
    "Candidate",
    "CostSettings",
    "Decision",
    "GreedyRule",
    "Hull",
    "HullPosteriorRule",
    "HullThresholdRule",
    "KernelModel",
    "Known",
    "MbtrRepresentation",
    "Pool",
    "RandomRule",
    "Representation",
    "Rule",
    "StopSettings",
    "SurrogateSettings",
    "ThresholdRule",
    "VarianceRule",
    "__version__",
    "lower_hull",
]


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415  only where it is needed

    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
