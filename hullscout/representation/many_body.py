"""The many-body tensor representation as campaigns use it: pairs and triples, broadened. The service itself is `hullscout.mbtr`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from hullscout.citations import MBTR as PAPER
from hullscout.citations import Citation
from hullscout.representation.interface import Panel, Representation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hullscout.mbtr import MBTR
    from hullscout.representation.interface import Floats, Structure

# Relative differences of volumes below this are those of coordinates in files.
ROUNDING_OF_VOLUMES = 1e-3
AXIS_LABELS = {
    "atomic_number": "atomic number",
    "distance": "distance (Å)",
    "inverse_distance": "inverse distance (1/Å)",
    "inverse_square_distance": "inverse square distance (1/Å$^2$)",
    "angle": "angle (rad)",
    "cosine": "cosine of the angle",
    "dihedral": "dihedral angle (rad)",
    "dihedral_cosine": "cosine of the dihedral angle",
}


class MbtrRepresentation(Representation):
    """The many-body tensor representation: pair distances and triple angles, broadened.

    Source: Huo & Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022).
    """

    kind: Literal["mbtr"] = "mbtr"
    citations: ClassVar[tuple[Citation, ...]] = (PAPER,)
    elements: tuple[str, ...] = Field(default=(), exclude=True, strict=False)
    pair_cutoff: float = Field(default=10.0, ge=3.0, le=20.0)
    """Range of the two-body term, Angstrom."""
    triple_cutoff: float = Field(default=8.0, ge=3.0, le=12.0)
    """Range of the three-body term, Angstrom."""
    volume: bool = True
    """Whether the volume per atom is a feature too, where the composition does not say it all: of relaxed cells, the tightly packed
    are strongly bound."""

    @property
    def mbtr(self) -> MBTR:
        """The service."""
        from hullscout.mbtr import MBTR  # noqa: PLC0415  loads numba

        return MBTR.for_alloys(self.elements, pair_cutoff=self.pair_cutoff, triple_cutoff=self.triple_cutoff)

    def blocks(self, candidates: Sequence[Structure]) -> Mapping[str, Floats]:
        """Features (n, d) of each term, and the volume (n, 1)."""
        return {**self.own_blocks(candidates), **self.joint_blocks(candidates)}

    @property
    def part_size(self) -> int:
        """Structures at a time whose counts take about 64 MB."""
        return self.mbtr.chunk_size

    def own_blocks(self, candidates: Sequence[Structure]) -> Mapping[str, Floats]:
        """Features (n, d) of each term."""
        mbtr = self.mbtr
        features = mbtr.transform(candidates)
        return {name: features[:, columns] for name, columns in mbtr.slices.items()}

    def joint_blocks(self, candidates: Sequence[Structure]) -> Mapping[str, Floats]:
        """The volume (n, 1), where the composition does not say it all."""
        excess = excess_volume(candidates) if self.volume else np.zeros(0)
        return {"volume": excess[:, None]} if np.any(excess) else {}

    def panels(self, candidate: Structure) -> tuple[Panel, ...]:
        """A panel for each term, with a curve for each channel of elements."""
        from hullscout.mbtr.axis import bin_centers  # noqa: PLC0415  loads numba
        from hullscout.mbtr.channels import channel_labels  # noqa: PLC0415

        mbtr = self.mbtr
        (features,) = mbtr.transform([candidate])
        return tuple(
            Panel(
                x=np.asarray(bin_centers(term)),
                curves=dict(
                    zip(channel_labels(mbtr.elements, term.k), features[columns].reshape(-1, term.n_x), strict=True)
                ),
                x_label=AXIS_LABELS[term.geometry],
                y_label=f"$f_{term.k}$ per atom (arb. units)",
            )
            for term, columns in zip(mbtr.terms, mbtr.slices.values(), strict=True)
        )


def excess_volume(candidates: Sequence[Structure]) -> Floats:
    """(n,) log of each volume per atom over what the composition asks for, by least squares quadratic in the fractions.

    Zeros where the composition says it all (one lattice with one constant, or too few structures to tell), and for molecules.
    """
    from hullscout.lattice import compact_cell  # noqa: PLC0415  loads numba

    volumes = np.array(
        [abs(np.linalg.det(compact_cell(np.asarray(one.cell)))) / len(one.numbers) for one in candidates]
    )
    kinds = np.unique(np.concatenate([one.numbers for one in candidates]))
    fractions = np.array([[np.mean(one.numbers == kind) for kind in kinds] for one in candidates])
    if not volumes.all():
        return np.zeros(len(volumes))
    pairs = [fractions[:, a] * fractions[:, b] for a in range(len(kinds)) for b in range(a, len(kinds))]
    basis = np.stack(pairs, axis=1)
    logs = np.log(volumes)
    excess = np.asarray(logs - basis @ np.linalg.lstsq(basis, logs, rcond=None)[0])
    return excess if np.ptp(excess) > ROUNDING_OF_VOLUMES else np.zeros(len(volumes))
