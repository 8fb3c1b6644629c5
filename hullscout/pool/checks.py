"""What is wrong with a pool, and what looks wrong: faults that no campaign can use, and frames that do not look like the others.

Faults are said all at once. The checks know nothing of compositions worth having or of energies worth believing.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import InvalidPoolError
from hullscout.pool.geometry import MIN_DISTANCE, crystal_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from hullscout.pool.candidate import Candidate
    from hullscout.pool.frames import Frame

MAX_EV_PER_ATOM = 1e7  # total energies of heavy atoms with all their electrons come to some 1e6 eV; more is no energy
ODD_VOLUME = 0.4  # a volume per atom within this share of the line is never odd
ROBUST_DEVIATIONS = 6.0
"""Odd is what lies further off than this many robust standard deviations: 1.4826 medians of the absolute deviation."""

CLOSE = 0.6
"""Atoms come too close for an alloy below this share of the neighbour distance in fcc at the same volume per atom; a zincblende
cell has 0.77."""

MIN_ENERGIES = 30  # fewer energies say too little of one another
MAX_COMPARED = 800  # more energies are judged in random parts of at most so many: the cost grows with the third power
FLOOR_EV_PER_ATOM = 0.005  # smaller deviations of an energy are never suspect
SUSPICION = 6.0  # robust standard deviations from which on an energy is a suspect


def atomic_numbers(elements: Sequence[str], n_max: float = np.inf) -> tuple[int, ...]:
    """Atomic numbers of two or more (at most n_max) elements; an InvalidPoolError for what are not so many different ones."""
    from ase.data import atomic_numbers as known  # noqa: PLC0415  (late: ASE loads slowly)

    is_known = "X" not in elements and set(elements) <= set(known)
    if not 2 <= len(elements) <= n_max or len(set(elements)) < len(elements) or not is_known:
        expected = "two" if min(len(elements), n_max) <= 2 else "two or more"
        raise InvalidPoolError(
            f"Expected {expected} different chemical elements, found {elements=}. Give symbols such as Ag, Pd."
        )
    return tuple(int(known[symbol]) for symbol in elements)


def symbol_of(number: int) -> str:
    """The chemical symbol of an atomic number, or `Z=200` where there is no such element."""
    from ase.data import chemical_symbols  # noqa: PLC0415  (late: ASE loads slowly)

    return str(chemical_symbols[number]) if 0 <= number < len(chemical_symbols) else f"Z={number}"


def find_faults(frames: Sequence[Frame], elements: Sequence[str]) -> list[str]:
    """Everything that is wrong with single frames, and ids that occur twice: a sentence each, with frame and id, in their order."""
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


def find_missing_ends(frames: Sequence[Frame], elements: Sequence[str]) -> list[str]:
    """A sentence for each element that none of the frames that will be candidates is made of alone."""
    pure = {int(frame.numbers[0]) for frame in frames if (frame.numbers == frame.numbers[0]).all()}
    return [
        f"no structure of pure {symbol} among {len(frames)} usable frames: "
        "formation energies need one for each end of the axis"
        for symbol, number in zip(elements, atomic_numbers(elements), strict=True)
        if number not in pure
    ]


def find_frame_faults(frame: Frame, elements: Sequence[str]) -> Iterator[str]:
    """What is wrong with one frame, in sentences without its name; distances are looked at only where the cell allows it."""
    if frame.energy_ev is not None and not np.isfinite(frame.energy_ev):
        yield f"energy is {frame.energy_ev}: expected a finite number in eV per cell"
    elif frame.energy_ev is not None and abs(frame.energy_ev) > MAX_EV_PER_ATOM * len(frame.numbers):
        yield f"energy is {frame.energy_ev:g} eV per cell: expected at most {MAX_EV_PER_ATOM:g} eV per atom"
    foreign = sorted(set(frame.numbers.tolist()) - set(atomic_numbers(elements)))
    if foreign:
        found = ", ".join(symbol_of(number) for number in foreign)
        yield f"foreign element {found}: expected only {' and '.join(elements)}"
    is_finite = np.isfinite(frame.positions).all(axis=1)
    if not is_finite.all():
        atom = int(np.argmin(is_finite))
        yield f"atom {atom + 1} has the position {_shown(frame.positions[atom])}: expected finite coordinates in A"
    if not np.isfinite(frame.cell).all():
        yield f"the lattice {_shown(frame.cell)} is not finite"
    elif not frame.cell.any():
        yield "no lattice: expected a crystal, periodic in three directions"
    elif not all(frame.pbc):
        letters = " ".join("T" if periodic else "F" for periodic in frame.pbc)
        yield f'not periodic in three directions: expected pbc="T T T", found pbc="{letters}"'
    elif fault := crystal_fault(frame.positions, frame.cell):
        yield fault
    elif is_finite.all():
        yield from _close_atoms(frame)


def _close_atoms(frame: Frame) -> Iterator[str]:
    """The closest pair of atoms, if it is too close."""
    from hullscout.neighbors import closest_pair  # noqa: PLC0415  (late: numba)

    distance, one, two = closest_pair(frame.positions, frame.cell, MIN_DISTANCE)
    if distance < MIN_DISTANCE:
        pair = f"atoms {one + 1} and {two + 1}" if one != two else f"atom {one + 1} and its periodic image"
        yield f"{pair} are {distance:.3f} A apart: expected at least {MIN_DISTANCE} A"


def _shown(values: np.ndarray) -> str:
    """Numbers on one line, short."""
    return " ".join(f"{value:.6g}" for value in values.ravel().tolist())


def find_odd_volumes(frames: Sequence[Frame], x: NDArray[np.float64]) -> dict[int, tuple[float, float]]:
    """Cells further from the line through all volumes than ODD_VOLUME and ROBUST_DEVIATIONS, by place in `frames`.

    The line v(x) over x (n,), the fractions of the second element, has the least sum of absolute deviations; deviations are
    log(v / v(x)). Given back are v and v(x) in A^3 per atom.
    """
    from sklearn.linear_model import QuantileRegressor  # noqa: PLC0415  (late: slow to import)

    from hullscout.lattice import compact_cell  # noqa: PLC0415  (late: numba)

    volumes = np.array([abs(float(np.linalg.det(compact_cell(frame.cell)))) / len(frame.numbers) for frame in frames])
    line = QuantileRegressor(quantile=0.5, alpha=0.0).fit(x[:, None], volumes).predict(x[:, None])
    expected = np.where(line > 0.0, line, np.median(volumes))
    deviations = np.abs(np.log(volumes / expected))
    width = max(ROBUST_DEVIATIONS * 1.4826 * float(np.median(deviations)), np.log1p(ODD_VOLUME))
    odd = np.flatnonzero(deviations > width).tolist()
    return {place: (float(volumes[place]), float(expected[place])) for place in odd}


def shortest_distance(positions: NDArray[np.float64], cell: NDArray[np.float64]) -> float:
    """The shortest distance as a share of the neighbour distance in fcc at the same volume per atom, (sqrt(2) v)^(1/3)."""
    from hullscout.lattice import compact_cell  # noqa: PLC0415  (late: numba)
    from hullscout.neighbors import nearest_distances  # noqa: PLC0415

    n = len(positions)
    fcc = (2**0.5 * abs(float(np.linalg.det(compact_cell(cell)))) / n) ** (1 / 3)
    distances = nearest_distances(positions, cell, np.zeros(n, dtype=np.intp), 1)
    return float(distances.min()) / float(fcc)


def find_suspect_energies(
    candidates: Sequence[Candidate],
    energies_ev_per_atom: NDArray[np.float64],
    x: NDArray[np.float64],
    *,
    elements: tuple[str, str],
    on_progress: Callable[[str], None],
) -> dict[int, tuple[float, float]]:
    """Energies (n,) that the others contradict: each predicted from all others by the kernel model of the representation.

    The model of formation energies is fitted robustly; an energy is a suspect if it is further from its leave-one-out prediction
    than `regression.labelled.distrust` allows (see there), and by more than FLOOR_EV_PER_ATOM. The n candidates, at least
    MIN_ENERGIES, are different crystals, x (n,) their atomic fractions of the second of the two elements. Given back, by place in
    `candidates`, are the energy minus its prediction, and the prediction's calibrated standard deviation, in eV/atom.
    """
    from hullscout.regression import Mean, ModelSettings, PoolModel  # noqa: PLC0415  (late: slow to import)
    from hullscout.representation import MbtrRepresentation  # noqa: PLC0415

    on_progress(f"representing {len(candidates)} crystals")
    blocks = MbtrRepresentation(elements=elements).blocks(candidates)
    ends = np.column_stack([1.0 - x, x])
    labels = energies_ev_per_atom - ends @ np.linalg.lstsq(ends, energies_ev_per_atom, rcond=None)[0]
    settings = ModelSettings(mean=Mean.QUADRATIC, suspicion=SUSPICION)
    n_parts = -(-len(labels) // MAX_COMPARED)
    suspects: dict[int, tuple[float, float]] = {}
    for number, part in enumerate(np.array_split(np.random.default_rng(0).permutation(len(labels)), n_parts), start=1):
        on_progress(f"comparing energies, part {number} of {n_parts}")
        parts = {name: features[part] for name, features in blocks.items()}
        model = PoolModel(parts, composition=x[part], settings=settings)
        model.add(np.arange(len(part)))
        fitted = model.fit(labels[part])
        for row in fitted.suspects.tolist():
            deviation = float(labels[part[row]] - fitted.loo_mean[row])
            if abs(deviation) > FLOOR_EV_PER_ATOM:
                suspects[int(part[row])] = deviation, float(fitted.loo_std[row])
    return suspects
