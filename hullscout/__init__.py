"""Find the ground-state convex hull of a binary alloy with few DFT calculations, and say how sure it is.

The rooms: `pool` (candidates), `mbtr` (representation), `regression` (kernel models), `hull`, `selection` (what to compute
next, and when to stop), `oracle` (where energies come from), `campaign` (the loop and its store), `figures`, `cli`.
`Campaign` and `Pool` are what a notebook needs. Importing this package loads none of the rooms; these two load theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hullscout.campaign.campaign import Campaign
    from hullscout.pool import Pool

__version__ = "0.1.0"
__all__ = ["Campaign", "Pool", "__version__"]

_WHERE = {"Campaign": "hullscout.campaign.campaign", "Pool": "hullscout.pool"}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415  only where it is needed

    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_WHERE])
