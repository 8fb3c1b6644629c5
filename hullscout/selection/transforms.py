"""Transforms of the energy scale on which a model is trained, so that what lies high does not cost attention low.

Each keeps the order of energies at one composition, which is all that a threshold rule compares.
"""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from hullscout.hull import lower_hull
from hullscout.regression import cap_height

if TYPE_CHECKING:
    from hullscout.selection.known import Floats, Known

# Huo & Rupp scale positive energies down and negative ones up, and give no factors; these are ours.
SHRINK = 0.25
STRETCH = 2.0


class Transform(StrEnum):
    """How known formation energies become training labels.

    `cap` limits the height h above today's hull smoothly to c tanh(h / c), c = `select.energy_cap`: unchanged low, level
    high. The others are those of Huo & Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022), section 3.4: `shrink-positive`
    scales positive formation energies down, `stretch-negative` scales negative ones up, `standardize` subtracts the mean and
    divides by the standard deviation. `none` leaves energies as they are.
    """

    CAP = "cap"
    NONE = "none"
    SHRINK_POSITIVE = "shrink-positive"
    STRETCH_NEGATIVE = "stretch-negative"
    STANDARDIZE = "standardize"

    def __call__(self, known: Known, *, energy_cap_ev_per_atom: float) -> tuple[Floats, Floats | None]:
        """Training labels (m,) of what is known, and those of b cheaper methods (n, b) of all candidates, if there are any.

        Labels are in eV/atom, or standard deviations for `standardize`. The cap measures each method from its own hull. NaN where a
        method says nothing.
        """
        formation, baselines = known.formation_ev_per_atom, known.baseline_formation_ev_per_atom
        scaled = partial(
            self._scaled, cap=energy_cap_ev_per_atom, mean=float(formation.mean()), std=float(formation.std())
        )
        labels = scaled(formation, at_hull=known.hull.energy_at(known.fractions[known.answered]))
        if baselines is None:
            return labels, None
        columns = []
        for baseline in baselines.T:
            said = np.isfinite(baseline)
            hull = lower_hull(known.fractions[said], baseline[said])
            columns.append(scaled(baseline, at_hull=hull.energy_at(known.fractions)))
        return labels, np.stack(columns, axis=1)

    def _scaled(self, formation: Floats, *, at_hull: Floats, cap: float, mean: float, std: float) -> Floats:
        match self:
            case Transform.CAP:
                return np.asarray(at_hull + cap_height(formation - at_hull, cap))
            case Transform.NONE:
                return formation
            case Transform.SHRINK_POSITIVE:
                return np.where(formation > 0, SHRINK * formation, formation)
            case Transform.STRETCH_NEGATIVE:
                return np.where(formation < 0, STRETCH * formation, formation)
            case Transform.STANDARDIZE:
                return np.asarray((formation - mean) / (std if std > 0 else 1.0))
