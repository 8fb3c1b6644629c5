"""The result of a campaign: the contract of `result.json`. Energies in eV/atom, x the atomic fraction of the second element."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from hullscout.display import MILLI, html_sentences, html_table
from hullscout.hull import VERTEX_TOLERANCE_EV_PER_ATOM, phase_diagram
from hullscout.selection.interface import StopReason

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hullscout.campaign.standing import Standing

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HullVertex:
    """A ground state: a vertex of the found hull."""

    id: str
    formula: str
    x: float
    formation_energy_ev_per_atom: float


class Hull(tuple[HullVertex, ...]):
    """The ground states, by ascending x; a tuple that a notebook shows as a table."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return html_table(
            ("formula", "x", "formation energy (meV/atom)", "id"),
            (
                (vertex.formula, f"{vertex.x:.4f}", f"{vertex.formation_energy_ev_per_atom * MILLI:.1f}", vertex.id)
                for vertex in self
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedCandidate:
    """A candidate whose energy could not be had; in the probability of a wrong hull it counts as unknown."""

    id: str
    formula: str
    reason: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The found hull against the true one, where every energy is known.

    Attributes:
        hull_error_ev_per_atom: Largest height of the found hull above the true hull over all compositions.
        within_tolerance: The error is at most the campaign's `stop.hull_tolerance`.
        exact: The found hull is the true one.
        mae_uncomputed_ev_per_atom: Mean absolute error of the model's formation energies of what was not calculated; None
            where everything was.
    """

    hull_error_ev_per_atom: float
    within_tolerance: bool
    exact: bool
    mae_uncomputed_ev_per_atom: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignResult:
    """What a finished campaign found, and what it took."""

    campaign: str
    elements: tuple[str, str]
    rule: str
    seed: int
    n_candidates: int
    n_calculations: int
    saved_fraction: float
    cost_spent: float
    cost_saved_fraction: float
    stop_reason: StopReason
    stop_sentence: str
    failure_probability: float | None
    hull: Hull
    failed: tuple[FailedCandidate, ...]
    reference: Reference | None
    timings_s: dict[str, float]

    def to_json(self) -> str:
        """The text of `result.json`; `reference` is left out where the oracle does not know every energy."""
        tree = {"schema": SCHEMA, **asdict(self)}
        if self.reference is None:
            del tree["reference"]
        return json.dumps(tree, indent=2, allow_nan=False) + "\n"

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was found, how sure that is and what failed, in sentences."""
        said = [
            f"{self.campaign}: {self.n_calculations} of {self.n_candidates} candidates calculated. {self.stop_sentence}"
        ]
        if self.failure_probability is not None:
            percent = 100 * self.failure_probability
            said.append(f"Stated probability of a hull beyond the tolerance: {percent:.1f} %.")
        if self.reference is not None:
            error = f"up to {self.reference.hull_error_ev_per_atom * MILLI:.2f} meV/atom above the true hull"
            said.append("The hull found is the true hull." if self.reference.exact else f"The hull found lies {error}.")
        said.extend(f"Failed: {failed.id} ({failed.reason}): {failed.sentence}" for failed in self.failed)
        return tuple(said)

    def _repr_html_(self) -> str:
        return html_sentences(*self.sentences) + self.hull._repr_html_()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the text of a `result.json`.

        Raises:
            json.JSONDecodeError: It is no JSON.
            KeyError: A field is missing.
            ValueError: It ended for a reason that this version does not know.
            TypeError: It has another shape, or fields that this version does not know.
        """
        tree = json.loads(text)
        del tree["schema"]
        reference = tree.get("reference")
        tree["reference"] = None if reference is None else Reference(**reference)
        tree["hull"] = Hull(HullVertex(**vertex) for vertex in tree["hull"])
        tree["failed"] = tuple(FailedCandidate(**failed) for failed in tree["failed"])
        tree["stop_reason"] = StopReason(tree["stop_reason"])
        tree["elements"] = tuple(tree["elements"])
        return cls(**tree)


def hull_vertices(standing: Standing) -> Hull:
    """The stable entries of pymatgen's phase diagram of what is known, by ascending x."""
    pool, known = standing.pool, standing.known
    n_second = np.rint(pool.x * pool.n_atoms).astype(int)
    diagram = phase_diagram(
        pool.elements,
        [(int(pool.n_atoms[i]) - int(n_second[i]), int(n_second[i])) for i in known],
        (standing.formation_ev_per_atom * pool.n_atoms[known]).tolist(),
        [pool.ids[i] for i in known],
    )
    index_of = {pool.ids[i]: i for i in known.tolist()}
    vertices = [
        HullVertex(
            id=entry.entry_id,
            formula=pool.candidates[index_of[entry.entry_id]].formula,
            x=float(pool.x[index_of[entry.entry_id]]),
            formation_energy_ev_per_atom=float(diagram.get_form_energy_per_atom(entry)),
        )
        for entry in diagram.stable_entries
    ]
    return Hull(sorted(vertices, key=lambda vertex: vertex.x))


def compare(
    standing: Standing, predicted_ev_per_atom: NDArray[np.float64], *, hull_tolerance: float
) -> Reference | None:
    """Hold what was found against the known truth; None where there is none.

    Args:
        standing: The campaign at its end.
        hull_tolerance: Hull error in eV/atom up to which the hull counts as found.
        predicted_ev_per_atom: (n,) predicted formation energies of all candidates.
    """
    error = standing.hull_error_ev_per_atom
    if error is None or standing.reference_ev_per_atom is None:
        return None
    unknown = standing.unknown
    errors = np.abs(predicted_ev_per_atom[unknown] - standing.reference_ev_per_atom[unknown])
    mae = float(errors.mean()) if unknown.size else None
    return Reference(
        hull_error_ev_per_atom=error,
        within_tolerance=error <= hull_tolerance,
        exact=error <= VERTEX_TOLERANCE_EV_PER_ATOM,
        mae_uncomputed_ev_per_atom=mae,
    )
