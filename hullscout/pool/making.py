"""Makes the candidates of a new campaign: enumerated cells on parent lattices, and prototypes that are not among them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hullscout.errors import InvalidSettingError
from hullscout.pool.checks import atomic_numbers
from hullscout.pool.enumeration import MOST_ATOMS, ParentLattice, atomic_volumes, enumerate_cells
from hullscout.pool.prototypes import prototype_cells, without_known

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hullscout.pool.frames import Frame

PROTOTYPE = "prototype"
"""The source of a candidate that no lattice gave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What to enumerate.

    Attributes:
        elements: first and second element of the axis.
        lattices: parent lattices, in the order of the pool.
        max_atoms: atoms in the largest cell of a lattice.
        prototype_atoms: atoms in the largest cell of a prototype; None for no prototypes.
        volumes: A^3 per atom of pure elements, where they are known better than from the table.

    Raises:
        InvalidPoolError: not two different elements.
        InvalidSettingError: no lattice, one twice, cells too small for a lattice or too large for any, or an impossible volume.
    """

    elements: tuple[str, str]
    lattices: tuple[ParentLattice, ...]
    max_atoms: int
    prototype_atoms: int | None = None
    volumes: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        atomic_numbers(self.elements)
        names = [lattice.value for lattice in self.lattices]
        if not names or len(set(names)) < len(names):
            raise InvalidSettingError(f"Expected one or more different lattices, found {', '.join(names) or 'none'}.")
        smallest = max(lattice.n_sites for lattice in self.lattices)
        if not smallest <= self.max_atoms <= MOST_ATOMS:
            raise InvalidSettingError(
                f"Expected max_atoms from {smallest} to {MOST_ATOMS} for {', '.join(names)}, found {self.max_atoms}."
            )
        if self.prototype_atoms is not None and self.prototype_atoms < 2:
            raise InvalidSettingError(
                f"Expected prototypes of at most 2 atoms or more, found prototype_atoms={self.prototype_atoms}."
            )
        atomic_volumes(self.elements, self.volumes)


@dataclass(frozen=True, slots=True, kw_only=True)
class MadePool:
    """New candidates.

    Attributes:
        frames: without an energy, numbered from 1.
        counts: how many there are by source (a lattice's name, or PROTOTYPE) and number of atoms.
        n_known: prototypes left out because a lattice, or a prototype before, gave them already.
        n_open: prototypes left out because their atoms come too close; see `prototypes.CLOSEST`.
        volumes: A^3 per atom of the two elements that were used.
    """

    frames: tuple[Frame, ...] = field(repr=False)
    counts: Mapping[tuple[str, int], int]
    n_known: int
    n_open: int
    volumes: tuple[float, float]


def make_pool(recipe: Recipe, *, on_progress: Callable[[str], None] = lambda _: None) -> MadePool:
    """All candidates that a recipe asks for; the same recipe gives the same frames.

    Args:
        recipe: what to enumerate.
        on_progress: called with what is being done, before it is done.

    Raises:
        MissingPackageError: icet is not installed.
    """
    volumes = atomic_volumes(recipe.elements, recipe.volumes)
    frames: list[Frame] = []
    counts: Counter[tuple[str, int]] = Counter()
    for lattice in recipe.lattices:
        for n_atoms in range(lattice.n_sites, recipe.max_atoms + 1, lattice.n_sites):
            on_progress(f"{lattice.value}, {n_atoms} atoms")
            cells = tuple(enumerate_cells(recipe.elements, lattice, n_atoms=n_atoms, volumes=volumes))
            counts[lattice.value, n_atoms] += len(cells)
            frames.extend(cells)
    n_known = n_open = 0
    if recipe.prototype_atoms is not None:
        on_progress("prototypes")
        prototypes = prototype_cells(recipe.elements, most_atoms=recipe.prototype_atoms, volumes=volumes)
        on_progress(f"comparing {len(prototypes.frames)} prototypes with {len(frames)} cells")
        new = without_known(prototypes.frames, frames)
        n_known, n_open = len(prototypes.frames) - len(new), prototypes.n_open
        counts.update((PROTOTYPE, len(frame.numbers)) for frame in new)
        frames.extend(new)
    numbered = tuple(replace(frame, number=number) for number, frame in enumerate(frames, start=1))
    return MadePool(frames=numbered, counts=dict(counts), n_known=n_known, n_open=n_open, volumes=volumes)
