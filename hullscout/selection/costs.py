"""What a calculation costs, known before it is done. Only ratios matter to a rule; a budget is in the same unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field, PositiveFloat

from hullscout.errors import InvalidCampaignError
from hullscout.settings import Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hullscout.selection.known import Floats


class CostSettings(Settings):
    """The cost of a calculation."""

    kind: Literal["equal", "atoms", "column"] = "equal"
    """`equal`: 1 each. `atoms`: (atoms / reference_atoms)^exponent. `column`: the pool's own cost of each candidate."""
    exponent: float = Field(default=3.0, ge=0, le=6)
    """Power of the number of atoms; 3 is that of conventional DFT."""
    reference_atoms: PositiveFloat = 1.0
    """Number of atoms of a cell that costs 1."""

    def of(self, n_atoms: NDArray[np.int64], *, column: Floats | None = None) -> Floats:
        """(n,) cost of each candidate.

        Args:
            n_atoms: (n,) atoms per cell.
            column: (n,) the pool's own costs, where it has them.

        Raises:
            InvalidCampaignError: Costs of the pool are asked for and it has none.
        """
        match self.kind:
            case "equal":
                return np.ones(n_atoms.size)
            case "atoms":
                return np.asarray((n_atoms / self.reference_atoms) ** self.exponent)
            case "column":
                if column is None:
                    raise InvalidCampaignError(
                        'cost.kind: "column" takes the costs from the pool, and this pool has none. Name its column in pool.cost, '
                        'or set cost.kind to "atoms".'
                    )
                return column
