"""The ground states that a campaign found: the vertices of its hull, as `result.json`, tables and notebooks show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hullscout.display import MILLI, html_table
from hullscout.hull import of_all_elements, phase_diagram

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hullscout.pool import Candidate
    from hullscout.selection import Known


@dataclass(frozen=True, slots=True, kw_only=True)
class HullVertex:
    """A ground state: a vertex of the found hull.

    Of two elements (or ends) x is the fraction of the second; of more there are `fractions` of all, by name, and no x.
    Volumes are in A^3 per atom: of the structure that was asked for, and of the one that its energy is of, where that was relaxed.
    """

    id: str
    formula: str
    x: float | None = None
    fractions: dict[str, float] | None = None
    formation_energy_ev_per_atom: float
    start_volume_a3_per_atom: float | None = None  #: None in results of earlier versions
    relaxed_volume_a3_per_atom: float | None = None


class GroundStates(tuple[HullVertex, ...]):
    """The ground states, by ascending x; a tuple that a notebook shows as a table."""

    __slots__ = ()

    @property
    def is_relaxed(self) -> bool:
        """Whether the energy of any of them is of a relaxed structure."""
        return any(vertex.relaxed_volume_a3_per_atom is not None for vertex in self)

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Heads and rows of a table for people; with the volumes of starts and relaxed structures, if any."""
        rows: list[tuple[str, ...]] = []
        for vertex in self:
            volumes = (vertex.start_volume_a3_per_atom, vertex.relaxed_volume_a3_per_atom)
            told = " → ".join(f"{volume:.2f}" for volume in volumes if volume is not None)
            energy = f"{vertex.formation_energy_ev_per_atom * MILLI:.1f}"
            at = [vertex.x] if vertex.fractions is None else list(vertex.fractions.values())
            shown = [f"{fraction:.4f}" for fraction in at]
            rows.append((vertex.formula, *shown, energy, *([told] if self.is_relaxed else []), vertex.id))
        volume = ("start → relaxed (Å³/atom)",) if self.is_relaxed else ()
        fractions = ["x"] if not self or self[0].fractions is None else list(self[0].fractions)
        return ("formula", *fractions, "formation energy (meV/atom)", *volume, "id"), rows

    def _repr_html_(self) -> str:
        return html_table(*self.table())


def ground_states(known: Known, relaxed: Mapping[int, Candidate] | None = None) -> GroundStates:
    """The vertices of the hull of what is known, by ascending fractions of the elements (or ends) after the first.

    Between elements they are the stable entries of pymatgen's phase diagram.

    Args:
        relaxed: Structures that energies are of, by the candidate's index, where they are not those of the pool.
    """
    pool, fractions = known.pool, of_all_elements(known.fractions)
    is_binary = len(pool.end_names) == 2
    if pool.ends:
        stable = dict(zip(known.hull.indices.tolist(), known.hull.energy_ev_per_atom.tolist(), strict=True))
    else:
        counts = np.rint(fractions * pool.n_atoms[:, None]).astype(int)
        diagram = phase_diagram(
            pool.elements,
            counts[known.answered].tolist(),
            (known.formation_ev_per_atom * pool.n_atoms[known.answered]).tolist(),
            [pool.ids[i] for i in known.answered],
        )
        stable = {
            pool.index_of(entry.entry_id): float(diagram.get_form_energy_per_atom(entry))
            for entry in diagram.stable_entries
        }
    return GroundStates(
        HullVertex(
            id=pool.ids[index],
            formula=pool.formulas[index],
            x=float(pool.x[index]) if is_binary else None,
            fractions=None if is_binary else dict(zip(pool.end_names, fractions[index].tolist(), strict=True)),
            formation_energy_ev_per_atom=energy,
            start_volume_a3_per_atom=pool.candidates[index].volume_a3_per_atom,
            relaxed_volume_a3_per_atom=volume_of(relaxed, index),
        )
        for index, energy in sorted(stable.items(), key=lambda pair: pool.fractions[pair[0]].tolist())
    )


def volume_of(relaxed: Mapping[int, Candidate] | None, index: int) -> float | None:
    """The volume in A^3 per atom of the relaxed structure of a candidate, where there is one."""
    structure = (relaxed or {}).get(index)
    return None if structure is None else structure.volume_a3_per_atom
