"""Many-body tensor representation (MBTR) of molecules and crystals.

Start with `MBTR` and `Term`. The room knows nothing of pools, energies or campaigns.

Source: Huo & Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022).
"""

from hullscout.mbtr.correlation import periodic_table_correlation, pettifor_correlation
from hullscout.mbtr.counts import Counts
from hullscout.mbtr.distances import structure_distances
from hullscout.mbtr.gradients import Gradient
from hullscout.mbtr.term import Term
from hullscout.mbtr.transformer import MBTR

__all__ = [
    "MBTR",
    "Counts",
    "Gradient",
    "Term",
    "periodic_table_correlation",
    "pettifor_correlation",
    "structure_distances",
]
