"""A pool with the energies that its source states, and its hull: what a student with results has, and no campaign.

Pools of campaigns hold no energies, so that no rule can see one. This one keeps those that were brought, and shows them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from hullscout import pool as pools
from hullscout.campaign.candidate_rows import candidate_rows
from hullscout.campaign.energy_settings import settings_of_frames
from hullscout.campaign.exports import computed_entries
from hullscout.campaign.ground_states import GroundStates, ground_states
from hullscout.display import html_sentences
from hullscout.errors import InvalidPoolError
from hullscout.figures.style import axes_or_new
from hullscout.hull import Hull, phase_diagram_of
from hullscout.pool import Frames
from hullscout.selection import Known

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import ase
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike
    from pymatgen.analysis.phase_diagram import PhaseDiagram
    from pymatgen.core.structure import Structure
    from pymatgen.entries.computed_entries import ComputedStructureEntry

    from hullscout.pool import Candidate
    from hullscout.selection.known import Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pool(pools.Pool):
    """Candidates of a file or of structures, as `hullscout.pool.Pool` reads them, with the energies that are stated of them.

    Attributes:
        energies_ev_per_atom: (n,) total energies in eV/atom, nan where none is stated, of twins the lowest; None where
            there are none.
        settings: what is stated of the settings of these energies, by candidate.
    """

    energies_ev_per_atom: Floats | None = field(default=None, repr=False)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        structures: Iterable[ase.Atoms | Structure | Candidate],
        elements: Sequence[str] | None = None,
        *,
        ends: Sequence[str] = (),
        ids: Sequence[str] | None = None,
        cost: ArrayLike | None = None,
        baseline_ev_per_atom: ArrayLike | None = None,
    ) -> Self:
        """The candidates in a list, as `hullscout.pool.Pool.of`, with the energies that ASE's atoms among them carry."""
        listed = tuple(structures)
        stated = {"ends": ends, "ids": ids, "cost": cost, "baseline_ev_per_atom": baseline_ev_per_atom}
        return cls._with_energies(pools.Pool.of(listed, elements, **stated), Frames.of(listed, ids=ids))  # type: ignore[arg-type]

    @classmethod
    def _with_energies(cls, pool: pools.Pool, frames: Frames) -> Self:
        per_atom = {f.id: f.energy_ev / len(f.numbers) for f in frames.frames if f.energy_ev is not None}
        twins = pool.twins
        energies = np.array(
            [
                min((per_atom.get(each, np.inf) for each in (name, *twins.get(name, ()))), default=np.inf)
                for name in pool.ids
            ]
        )
        energies[~np.isfinite(energies)] = np.nan
        kept = {each.name: getattr(pool, each.name) for each in fields(pools.Pool) if each.init}
        stated = settings_of_frames(frames.frames, pool)
        return cls(**kept, energies_ev_per_atom=energies if per_atom else None, settings=stated)

    def __repr__(self) -> str:
        n = 0 if self.energies_ev_per_atom is None else int(np.isfinite(self.energies_ev_per_atom).sum())
        return f"{pools.Pool.__repr__(self)}, {n} with energies"

    def table(self) -> pd.DataFrame:
        """The candidates by id, with their energies where there are any; see `hull` for their distances to it."""
        table = pools.Pool.table(self)
        return (
            table if self.energies_ev_per_atom is None else table.assign(energy_ev_per_atom=self.energies_ev_per_atom)
        )

    def hull(self) -> PoolHull:
        """The hull of what has an energy; an `InvalidPoolError` where an end of the axis has none."""
        energies = self.energies_ev_per_atom
        known = known_of(self, np.full(len(self), np.nan) if energies is None else energies)
        return PoolHull(known, self.settings)

    def plot_hull(self, ax: Axes | None = None, *, lattices: bool = False) -> Axes:
        """Draw the phase diagram of what has an energy; of three elements a triangle.

        Args:
            lattices: Whether structures of two elements on fcc, bcc and hcp lattices get markers of their own, as by `--lattices`.
        """
        return self.hull().plot(ax, lattices=lattices)


def known_of(pool: pools.Pool, energies_ev_per_atom: Floats) -> Known:
    """What is known where energies (n,) were brought, nan where there is none: all that has one, and nobody asked for it."""
    answered = np.flatnonzero(np.isfinite(energies_ev_per_atom))
    known = Known(
        pool=pool, cost=np.ones(len(pool)), answered=answered, energies_ev_per_atom=energies_ev_per_atom[answered]
    )
    if not known.has_hull:
        raise InvalidPoolError(
            f"Expected an energy of a structure of {' and of '.join(pool.end_labels)}, between which the hull is, found "
            f"{answered.size} energies without one of them. Add it, or name other ends."
        )
    return known


class PoolHull:
    """The hull of a pool's energies: ground states, distances, pymatgen's objects, figures. A notebook shows the ground states.

    Attributes:
        known: What the figures and exports read.
        settings: What is stated of the settings of its energies, by candidate.
    """

    def __init__(self, known: Known, settings: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self.known = known
        self.settings = settings or {}

    @property
    def hull(self) -> Hull:
        """Its vertices and facets, over formation energies; indices count in the pool."""
        return self.known.hull

    @cached_property
    def ground_states(self) -> GroundStates:
        """The ground states, by ascending composition."""
        return ground_states(self.known)

    def candidates(self) -> pd.DataFrame:
        """The candidates that have an energy, by id, lowest above the hull first: formation energy and distance to the hull."""
        import pandas as pd  # noqa: PLC0415  slow to import

        rows = [row.columns() for row in candidate_rows(self.known) if row.energy_ev is not None]
        table = pd.DataFrame(rows).set_index("id")
        return table[[name for name in table if name not in NOT_OF_POOLS]].sort_values(
            "hull_distance_ev_per_atom", kind="stable"
        )

    def entries(self) -> list[ComputedStructureEntry]:
        """What has an energy, as pymatgen's `ComputedStructureEntry`."""
        return computed_entries(self.known, settings=self.settings)

    def phase_diagram(self) -> PhaseDiagram:
        """The phase diagram of these, pymatgen's."""
        return phase_diagram_of(self.entries(), self.known.pool.elements)

    def plot(self, ax: Axes | None = None, *, lattices: bool = False) -> Axes:
        """Draw the phase diagram; of three elements a triangle."""
        from hullscout.figures.hulls import draw_hull  # noqa: PLC0415  loads matplotlib

        return draw_hull(axes_or_new(ax), self.known, lattices=lattices)

    def plot_distance(self, ax: Axes | None = None) -> Axes:
        """Draw the distance of every energy to the hull."""
        from hullscout.figures.phase_diagram import draw_hull_distance  # noqa: PLC0415

        return draw_hull_distance(axes_or_new(ax), self.known)

    def __repr__(self) -> str:
        return f"PoolHull: {len(self.ground_states)} ground states of {self.known.answered.size} energies"

    def _repr_html_(self) -> str:
        return html_sentences(repr(self)) + self.ground_states._repr_html_()


NOT_OF_POOLS = (
    "status",
    "round",
    "predicted_formation_energy_ev_per_atom",
    "predicted_std_ev_per_atom",
    "probability_on_hull",
    "relaxed_volume_a3_per_atom",
)
"""Columns of a campaign's table that say nothing of a pool alone."""
