"""What a campaign knows and believes of each candidate, as tables and exports show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hullscout.campaign.ground_states import volume_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from hullscout.pool import Candidate
    from hullscout.selection import Belief, Known
    from hullscout.selection.known import Indices


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateRow:
    """A candidate and what the campaign knows and believes of it; None where it knows or believes nothing.

    Attributes:
        formula: Reduced.
        fractions: Atomic fractions of the elements after the first, by the names of `Pool.fraction_names`: each is a column.
        status: `calculated`, `known` (beforehand), `failed`, `asked` (its result is awaited; in a hand-off it was handed out) or
            `unknown`.
        round: In which it was asked for, from 0.
        on_hull: 1 for a vertex of the hull found, else 0; None while there is no hull.
        energy_ev: Total energy of its cell.
        formation_energy_ev_per_atom: Relative to the lowest calculated structures of the pure elements.
        hull_distance_ev_per_atom: Height above the hull found.
        predicted_formation_energy_ev_per_atom: By the model, from all other energies that are known: where it was calculated,
            its own energy is left out. See `Belief` for the scale.
        predicted_std_ev_per_atom: The calibrated standard deviation of this prediction.
        probability_on_hull: Probability that it is a vertex of the true hull, from all that is known.
        start_volume_a3_per_atom: Of the structure that is asked for.
        relaxed_volume_a3_per_atom: Of the structure that the energy is of, where it was relaxed.
    """

    id: str
    formula: str
    fractions: dict[str, float]
    n_atoms: int
    status: str
    round: int | None
    on_hull: int | None
    energy_ev: float | None
    formation_energy_ev_per_atom: float | None
    hull_distance_ev_per_atom: float | None
    predicted_formation_energy_ev_per_atom: float | None
    predicted_std_ev_per_atom: float | None
    probability_on_hull: float | None
    start_volume_a3_per_atom: float
    relaxed_volume_a3_per_atom: float | None

    def columns(self) -> dict[str, Any]:
        """The row with a column for each fraction."""
        pairs = ((name, getattr(self, name)) for name in type(self).__dataclass_fields__)
        return {key: each for name, one in pairs for key, each in (one if name == "fractions" else {name: one}).items()}


def candidate_rows(
    known: Known,
    *,
    awaited: Collection[int] = (),
    belief: Belief | None = None,
    relaxed: Mapping[int, Candidate] | None = None,
    chosen: Indices | None = None,
) -> tuple[CandidateRow, ...]:
    """All candidates in the order of the pool, or those chosen (s,); before there is a hull, nothing relative to it.

    Args:
        awaited: Indices of those whose results are awaited.
        belief: What is believed of them; without it nothing is said of predictions.
        relaxed: Structures that energies are of, by the candidate's index, where they are not those of the pool.
    """
    answered = known.answered.tolist()
    energies = dict(zip(answered, known.energies_ev_per_atom.tolist(), strict=True))
    status_of = dict.fromkeys(awaited, "asked") | dict.fromkeys(known.failed.tolist(), "failed")
    status_of |= dict.fromkeys(answered, "calculated") | dict.fromkeys(known.given.tolist(), "known")
    vertices: set[int] = set()
    formation: dict[int, float] = {}
    distance: dict[int, float] = {}
    if known.has_hull:
        vertices = set(known.hull.indices.tolist())
        heights = known.hull.distance(known.fractions[known.answered], known.formation_ev_per_atom)
        formation = dict(zip(answered, known.formation_ev_per_atom.tolist(), strict=True))
        distance = dict(zip(answered, heights.tolist(), strict=True))
    believed = None if belief is None else _believed(belief)
    rows, names = [], known.pool.fraction_names
    for index in range(known.n_candidates) if chosen is None else chosen.tolist():
        candidate = known.pool.candidates[index]
        status = status_of.get(index, "unknown")
        mean, std, probability = (None, None, None) if believed is None else believed[index]
        rows.append(
            CandidateRow(
                id=candidate.id,
                formula=known.pool.formulas[index],
                fractions=dict(zip(names, known.fractions[index].tolist(), strict=True)),
                n_atoms=candidate.n_atoms,
                status=status,
                round=None if status in {"unknown", "known"} else known.asked_in.get(index),
                on_hull=int(index in vertices) if known.has_hull else None,
                energy_ev=energies[index] * candidate.n_atoms if index in energies else None,
                formation_energy_ev_per_atom=formation.get(index),
                hull_distance_ev_per_atom=distance.get(index),
                predicted_formation_energy_ev_per_atom=mean,
                predicted_std_ev_per_atom=std,
                probability_on_hull=probability,
                start_volume_a3_per_atom=candidate.volume_a3_per_atom,
                relaxed_volume_a3_per_atom=volume_of(relaxed, index),
            )
        )
    return tuple(rows)


def _believed(belief: Belief) -> list[tuple[float, float, float]]:
    """Mean and standard deviation, never from the candidate's own energy, and probability on the hull of each candidate."""
    answered = belief.known.answered
    mean, std = belief.mean_ev_per_atom.copy(), belief.std_ev_per_atom.copy()
    mean[answered], std[answered] = belief.left_out_mean_ev_per_atom, belief.left_out_std_ev_per_atom
    return list(zip(mean.tolist(), std.tolist(), belief.probability_on_hull.tolist(), strict=True))
