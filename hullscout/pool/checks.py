"""What makes a pool unusable, found frame by frame and said all at once.

The checks know nothing of compositions worth having or of energies worth believing: they refuse only what no campaign
can use.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import InvalidPoolError
from hullscout.pool.candidate import has_volume

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hullscout.pool.frames import Frame

LARGEST_EV_PER_ATOM = 1e7
"""Total energies of heavy atoms with all their electrons come to some 1e6 eV; more is no energy."""

SHORTEST_DISTANCE = 0.5
"""Atoms closer than this many A (not at it) are a mistake, periodic images included."""


def atomic_numbers(elements: tuple[str, str]) -> tuple[int, int]:
    """Atomic numbers of the two elements of a campaign.

    Raises:
        InvalidPoolError: not two different chemical symbols.
    """
    from ase.data import atomic_numbers as known  # noqa: PLC0415  (late: ASE loads slowly)

    first, second = elements
    if first == second or "X" in elements or not set(elements) <= set(known):
        raise InvalidPoolError(
            f"Expected two different chemical elements, found {elements=}. Give symbols such as Ag, Pd."
        )
    return int(known[first]), int(known[second])


def find_faults(frames: Sequence[Frame], elements: tuple[str, str]) -> list[str]:
    """Everything that is wrong with single frames, and ids that occur twice.

    Args:
        frames: all frames of a source.
        elements: the campaign's elements.

    Returns:
        One sentence per fault, with frame number and id, in the order of the frames; empty for a sound pool.
    """
    faults = [
        (frame.number, f"{frame.name}: {fault}") for frame in frames for fault in find_frame_faults(frame, elements)
    ]
    for repeated, numbers in find_repeated_ids(frames).items():
        places = ", ".join(str(number) for number in numbers)
        faults.append((numbers[1], f"id {repeated!r} is repeated: frames {places}; ids must be unique"))
    return [fault for _, fault in sorted(faults, key=lambda pair: pair[0])]


def find_repeated_ids(frames: Sequence[Frame]) -> dict[str, tuple[int, ...]]:
    """Numbers of the frames by id, for ids that occur more than once."""
    seen: defaultdict[str, list[int]] = defaultdict(list)
    for frame in frames:
        seen[frame.id].append(frame.number)
    return {repeated: tuple(numbers) for repeated, numbers in seen.items() if len(numbers) > 1}


def find_missing_ends(frames: Sequence[Frame], elements: tuple[str, str]) -> list[str]:
    """Ends of the composition axis for which no frame is the pure element.

    Args:
        frames: those that will be candidates.
        elements: the campaign's elements.

    Returns:
        One sentence per element that has no structure of its own.
    """
    pure = {int(frame.numbers[0]) for frame in frames if (frame.numbers == frame.numbers[0]).all()}
    return [
        f"no structure of pure {symbol} among {len(frames)} usable frames: "
        "formation energies need one for each end of the axis"
        for symbol, number in zip(elements, atomic_numbers(elements), strict=True)
        if number not in pure
    ]


def find_frame_faults(frame: Frame, elements: tuple[str, str]) -> Iterator[str]:
    """What is wrong with one frame; distances are looked at only where the cell allows it.

    Args:
        frame: as it stands in the source.
        elements: the campaign's elements.

    Yields:
        One sentence per fault, without the frame's name.
    """
    from ase.data import chemical_symbols  # noqa: PLC0415  (late: ASE loads slowly)

    wanted = atomic_numbers(elements)
    if frame.energy_ev is not None and not np.isfinite(frame.energy_ev):
        yield f"energy is {frame.energy_ev}: expected a finite number in eV per cell"
    elif frame.energy_ev is not None and abs(frame.energy_ev) > LARGEST_EV_PER_ATOM * len(frame.numbers):
        yield f"energy is {frame.energy_ev:g} eV per cell: expected at most {LARGEST_EV_PER_ATOM:g} eV per atom"
    foreign = sorted(set(frame.numbers.tolist()) - set(wanted))
    if foreign:
        found = ", ".join(chemical_symbols[number] for number in foreign)
        yield f"foreign element {found}: expected only {elements[0]} and {elements[1]}"
    has_finite_positions = bool(np.isfinite(frame.positions).all())
    if not has_finite_positions:
        atom = int(np.argmin(np.isfinite(frame.positions).all(axis=1)))
        yield f"atom {atom + 1} has the position {_shown(frame.positions[atom])}: expected finite coordinates in A"
    if not np.isfinite(frame.cell).all():
        yield f"the lattice {_shown(frame.cell)} is not finite"
    elif not frame.cell.any():
        yield "no lattice: expected a crystal, periodic in three directions"
    elif not all(frame.pbc):
        letters = " ".join("T" if periodic else "F" for periodic in frame.pbc)
        yield f'not periodic in three directions: expected pbc="T T T", found pbc="{letters}"'
    elif not has_volume(frame.cell):
        yield f"a cell without volume: {_shown(frame.cell)}"
    elif has_finite_positions:
        yield from _close_atoms(frame)


def _close_atoms(frame: Frame) -> Iterator[str]:
    """The closest pair of atoms, if it is too close."""
    from hullscout.neighbors import closest_pair  # noqa: PLC0415  (late: numba)

    distance, first, second = closest_pair(frame.positions, frame.cell, SHORTEST_DISTANCE)
    if distance < SHORTEST_DISTANCE:
        pair = f"atoms {first + 1} and {second + 1}" if first != second else f"atom {first + 1} and its periodic image"
        yield f"{pair} are {distance:.3f} A apart: expected at least {SHORTEST_DISTANCE} A"


def _shown(values: np.ndarray) -> str:
    """Numbers on one line, short."""
    return " ".join(f"{value:.6g}" for value in values.ravel().tolist())
