"""Energies that the others contradict: each predicted from all others by the kernel model of the representation.

The model of formation energies is fitted robustly; an energy is a suspect if it is further from its leave-one-out prediction
than `regression.suspects` allows (see there), and by more than a floor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from hullscout.pool import Candidate

FEWEST = 30
"""Fewer energies say too little of one another."""

MOST = 800
"""More are judged in random parts of at most so many: the cost grows with the third power."""

FLOOR_EV_PER_ATOM = 0.005
"""Smaller deviations are never suspect."""

SUSPICION = 6.0
"""Robust standard deviations from which on an energy is a suspect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspectEnergy:
    """An energy and what the others say of it.

    Attributes:
        deviation_ev_per_atom: the energy minus its prediction from the others.
        std_ev_per_atom: calibrated standard deviation of that prediction.
    """

    deviation_ev_per_atom: float
    std_ev_per_atom: float


def find_suspect_energies(
    candidates: Sequence[Candidate],
    energies_ev_per_atom: NDArray[np.float64],
    x: NDArray[np.float64],
    *,
    elements: tuple[str, str],
    on_progress: Callable[[str], None],
) -> dict[int, SuspectEnergy]:
    """Energies that the others contradict.

    Args:
        candidates: n different crystals, at least FEWEST.
        energies_ev_per_atom: (n,) total energies.
        x: (n,) atomic fraction of the second element.
        elements: first and second element.
        on_progress: called with what is being done, before it is done.

    Returns:
        Suspects by place in `candidates`.
    """
    from hullscout.mbtr import MBTR  # noqa: PLC0415  (late: numba)
    from hullscout.regression import Mean, ModelSettings, PoolModel  # noqa: PLC0415

    on_progress(f"representing {len(candidates)} crystals")
    mbtr = MBTR.for_alloys(elements)
    features = mbtr.transform(candidates)
    ends = np.column_stack([1.0 - x, x])
    labels = energies_ev_per_atom - ends @ np.linalg.lstsq(ends, energies_ev_per_atom, rcond=None)[0]
    settings = ModelSettings(mean=Mean.QUADRATIC, suspicion=SUSPICION)
    n_parts = -(-len(labels) // MOST)
    suspects: dict[int, SuspectEnergy] = {}
    for number, part in enumerate(np.array_split(np.random.default_rng(0).permutation(len(labels)), n_parts), start=1):
        on_progress(f"comparing energies, part {number} of {n_parts}")
        blocks = {name: features[part, columns] for name, columns in mbtr.slices.items()}
        model = PoolModel(blocks, composition=x[part], settings=settings)
        model.add(np.arange(len(part)))
        fitted = model.fit(labels[part])
        for row in fitted.suspects.tolist():
            deviation = float(labels[part[row]] - fitted.loo_mean[row])
            if abs(deviation) > FLOOR_EV_PER_ATOM:
                suspects[int(part[row])] = SuspectEnergy(
                    deviation_ev_per_atom=deviation, std_ev_per_atom=float(fitted.loo_std[row])
                )
    return suspects
