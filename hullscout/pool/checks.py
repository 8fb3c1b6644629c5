"""What is wrong with a pool, and what looks wrong: faults that no campaign can use, and frames that do not look like the others.

Faults are said all at once. The checks know nothing of compositions worth having or of energies worth believing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import InvalidPoolError
from hullscout.pool.calculations import stated_unconverged
from hullscout.pool.geometry import MIN_DISTANCE, cell_fault, crystal_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from hullscout.pool.candidate import Candidate
    from hullscout.pool.frames import Frame, Frames

MAX_EV_PER_ATOM = 1e7  # total energies of heavy atoms with all their electrons come to some 1e6 eV; more is no energy
MIN_VACUUM = 5.0
"""A layer without atoms of this many A or more is vacuum; layers of metals are less than 3 A apart."""
ODD_VOLUME = 0.4  # a volume per atom within this share of the line is never odd
ROBUST_DEVIATIONS = 6.0
"""Odd is what lies further off than this many robust standard deviations: 1.4826 medians of the absolute deviation."""

CLOSE = 0.6
"""Atoms come too close for an alloy below this share of the neighbour distance in fcc at the same volume per atom; a zincblende
cell has 0.77."""

MAX_ELEMENTS = 5
"""A pool of more elements takes more candidates than anybody has."""
MIN_ENERGIES = 30  # fewer energies say too little of one another
MAX_COMPARED = 800
MAX_IN_PART = (
    500  # more energies than MAX_COMPARED are judged in random parts of so many: the cost grows with the third power
)
MAX_JUDGED = 4000
"""Of more energies as many are judged: one half the lowest for their composition, which are what a hull is made of, the others at
random."""
MAX_ON_LINE = 2000  # volumes that the line through all is fitted to; of more as many at random
FLOOR_EV_PER_ATOM = 0.005  # smaller deviations of an energy are never suspect
SUSPICION = 6.0  # robust standard deviations from which on an energy is a suspect


def atomic_numbers(elements: Sequence[str], n_max: int = MAX_ELEMENTS) -> tuple[int, ...]:
    """Atomic numbers of two to n_max elements; an InvalidPoolError for what are not so many different ones."""
    from ase.data import atomic_numbers as known  # noqa: PLC0415  (late: ASE loads slowly)

    is_known = "X" not in elements and set(elements) <= set(known)
    if not 2 <= len(elements) <= n_max or len(set(elements)) < len(elements) or not is_known:
        expected = "two" if n_max == 2 else "two to five"
        raise InvalidPoolError(
            f"Expected {expected} different chemical elements, found {elements=}. Give symbols such as Ag, Pd."
        )
    return tuple(int(known[symbol]) for symbol in elements)


def symbol_of(number: int) -> str:
    """The chemical symbol of an atomic number, or `Z=200` where there is no such element."""
    from ase.data import chemical_symbols  # noqa: PLC0415  (late: ASE loads slowly)

    return str(chemical_symbols[number]) if 0 <= number < len(chemical_symbols) else f"Z={number}"


class Faulty(Enum):
    """What becomes of a pool that holds what no campaign can use: an error that names it, or the rest is taken and it is said."""

    REFUSE = "refuse"
    LEAVE_OUT = "leave out"


def sift(frames: Frames, elements: Sequence[str]) -> Frames:
    """The frames that campaigns can use; what is wrong with single others is said among the faults, in their order.

    Of an id that occurs more than once the first frame without another fault stays. Those that were sifted stay as they are.
    """
    if frames.usable_for == tuple(elements):
        return frames
    found = [
        (frame.number, f"{frame.name}: {fault}")
        for frame in frames.frames
        for fault in find_frame_faults(frame, elements)
    ]
    bad = {number for number, _ in found}
    for repeated, numbers in find_repeated_ids(frames.frames).items():
        places = ", ".join(str(number) for number in numbers)
        found.append((numbers[1], f"id {repeated!r} is repeated: frames {places}; ids must be unique"))
        first = next((number for number in numbers if number not in bad), None)
        bad.update(number for number in numbers if number != first)
    faults = [fault for _, fault in sorted(found, key=lambda pair: pair[0])]
    return replace(
        frames,
        frames=tuple(frame for frame in frames.frames if frame.number not in bad),
        faults=(*frames.faults, *faults),
        n_faulty=frames.n_faulty + len(bad),
        usable_for=tuple(elements),
    )


def find_repeated_ids(frames: Sequence[Frame]) -> dict[str, tuple[int, ...]]:
    """Numbers of the frames by id, for ids that occur more than once."""
    seen: defaultdict[str, list[int]] = defaultdict(list)
    for frame in frames:
        seen[frame.id].append(frame.number)
    return {repeated: tuple(numbers) for repeated, numbers in seen.items() if len(numbers) > 1}


def find_missing_ends(frames: Sequence[Frame], elements: Sequence[str]) -> list[str]:
    """A sentence for each element that none of the frames that will be candidates is made of alone."""
    pure = {int(frame.numbers[0]) for frame in frames if (frame.numbers == frame.numbers[0]).all()}
    held = {number for frame in frames for number in np.unique(frame.numbers).tolist()}
    return [
        f"no structure of pure {symbol} among {len(frames)} usable frames"
        f"{'' if number in held else f', nor any that holds {symbol}'}: formation energies need one for each end of the axis"
        for symbol, number in zip(elements, atomic_numbers(elements), strict=True)
        if number not in pure
    ]


def find_frame_faults(frame: Frame, elements: Sequence[str]) -> Iterator[str]:
    """What is wrong with one frame, in sentences without its name; distances are looked at only where the cell allows it."""
    yield from _energy_faults(frame)
    foreign = sorted(set(frame.numbers.tolist()) - set(atomic_numbers(elements)))
    if foreign:
        found = ", ".join(symbol_of(number) for number in foreign)
        yield f"foreign element {found}: expected only {', '.join(elements[:-1])} and {elements[-1]}"
    is_finite = np.isfinite(frame.positions).all(axis=1)
    if not is_finite.all():
        atom = int(np.argmin(is_finite))
        yield f"atom {atom + 1} has the position {_shown(frame.positions[atom])}: expected finite coordinates in A"
    if not np.isfinite(frame.cell).all():
        yield f"the lattice {_shown(frame.cell)} is not finite"
    elif not frame.cell.any():
        yield "no lattice: expected a crystal, periodic in three directions"
    elif not all(frame.pbc) and not is_slab(frame):
        letters = " ".join("T" if periodic else "F" for periodic in frame.pbc)
        yield f'not periodic in three directions: expected pbc="T T T", found pbc="{letters}"'
    elif fault := crystal_fault(frame.positions, frame.cell):
        yield fault
    elif is_finite.all():
        yield from _close_atoms(frame)


def _energy_faults(frame: Frame) -> Iterator[str]:
    """What is wrong with the energy of a frame, if it states one."""
    if frame.energy_ev is not None and not np.isfinite(frame.energy_ev):
        yield f"energy is {frame.energy_ev}: expected a finite number in eV per cell"
    elif frame.energy_ev is not None and abs(frame.energy_ev) > MAX_EV_PER_ATOM * len(frame.numbers):
        yield f"energy is {frame.energy_ev:g} eV per cell: expected at most {MAX_EV_PER_ATOM:g} eV per atom"
    if frame.energy_ev is not None and (found := stated_unconverged(frame.columns)):
        yield f"{found[0].lower()}{found[1:]}: expected a converged calculation. Take the column out if it says something else"


def is_slab(frame: Frame) -> bool:
    """Open along one vector of the cell, along which there is vacuum: such a frame is taken as periodic."""
    if sum(frame.pbc) != 2 or not np.isfinite(frame.cell).all() or cell_fault(frame.cell, len(frame.numbers)):
        return False
    return bool(vacuum(frame)[frame.pbc.index(False)] >= MIN_VACUUM)


def slab_notes(frames: Sequence[Frame]) -> list[str]:
    """A sentence on slabs, where there are any."""
    n = sum(not all(frame.pbc) for frame in frames)
    said = (
        f"{n} of {len(frames)} frames are open along one direction, with vacuum along it: they are taken as periodic."
    )
    return [said] if n else []


def vacuum(frame: Frame) -> NDArray[np.float64]:
    """(3,) the widest layer without atoms along the normal of each face of the cell, periodic images included, in A."""
    fractions = np.sort((frame.positions @ np.linalg.inv(frame.cell)) % 1.0, axis=0)
    gaps = np.diff(np.vstack([fractions, fractions[:1] + 1.0]), axis=0).max(axis=0)
    heights = 1.0 / np.linalg.norm(np.linalg.inv(frame.cell), axis=0)
    return np.asarray(gaps * heights)


def has_vacuum(frame: Frame) -> bool:
    """Whether the cell holds a layer without atoms, so that its volume says nothing of how close they are.

    A cell that is too wide along all its vectors holds none: it is blown up.
    """
    layers = vacuum(frame)
    return bool(layers.max() >= MIN_VACUUM > layers.min())


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


def find_odd_volumes(frames: Sequence[Frame], fractions: NDArray[np.float64]) -> dict[int, tuple[float, float]]:
    """Cells further from the line through all volumes than ODD_VOLUME and ROBUST_DEVIATIONS, by place in `frames`.

    The line v(x) over the fractions (n, k) of the elements after the first has the least sum of absolute deviations; deviations are
    log(v / v(x)). Given back are v and v(x) in A^3 per atom. Slabs, whose volume is that of the vacuum, are not odd.
    """
    from sklearn.linear_model import QuantileRegressor  # noqa: PLC0415  (late: slow to import)

    from hullscout.lattice import compact_cell  # noqa: PLC0415  (late: numba)

    volumes = np.array([abs(float(np.linalg.det(compact_cell(frame.cell)))) / len(frame.numbers) for frame in frames])
    some = np.random.default_rng(0).permutation(len(fractions))[:MAX_ON_LINE]
    line = QuantileRegressor(quantile=0.5, alpha=0.0).fit(fractions[some], volumes[some]).predict(fractions)
    expected = np.where(line > 0.0, line, np.median(volumes))
    deviations = np.abs(np.log(volumes / expected))
    width = max(ROBUST_DEVIATIONS * 1.4826 * float(np.median(deviations)), np.log1p(ODD_VOLUME))
    odd = [place for place in np.flatnonzero(deviations > width).tolist() if all(frames[place].pbc)]
    return {place: (float(volumes[place]), float(expected[place])) for place in odd}


def find_close_atoms(frames: Sequence[Frame]) -> dict[int, str]:
    """Frames whose atoms come closer than CLOSE allows, by place, with what was found in words.

    The measure is the neighbour distance in fcc at the same volume per atom, (sqrt(2) v)^(1/3); where there is vacuum, the median
    of the shortest distances in all frames.
    """
    shares = np.array([shortest_distance(frame.positions, frame.cell) for frame in frames])
    shortest = shares * np.array([_fcc_distance(frame.cell, len(frame.numbers)) for frame in frames])
    usual = float(np.median(shortest))
    found = {}
    for place in np.flatnonzero(shares < CLOSE).tolist():
        if not has_vacuum(frames[place]):
            found[place] = f"atoms come as close as {shares[place]:.2f} of the fcc neighbour distance"
        elif shortest[place] < CLOSE * usual:
            found[place] = f"atoms come as close as {shortest[place] / usual:.2f} of what is usual in the pool"
    return found


def shortest_distance(positions: NDArray[np.float64], cell: NDArray[np.float64]) -> float:
    """The shortest distance as a share of the neighbour distance in fcc at the same volume per atom."""
    from hullscout.neighbors import nearest_distances  # noqa: PLC0415  (late: numba)

    n = len(positions)
    distances = nearest_distances(positions, cell, np.zeros(n, dtype=np.intp), 1)
    return float(distances.min()) / _fcc_distance(cell, n)


def _fcc_distance(cell: NDArray[np.float64], n: int) -> float:
    from hullscout.lattice import compact_cell  # noqa: PLC0415  (late: numba)

    return float((2**0.5 * abs(float(np.linalg.det(compact_cell(cell)))) / n) ** (1 / 3))


def find_suspect_energies(
    candidates: Sequence[Candidate],
    energies_ev_per_atom: NDArray[np.float64],
    fractions: NDArray[np.float64],
    *,
    elements: tuple[str, ...],
    on_progress: Callable[[str], None],
) -> dict[int, tuple[float, float]]:
    """Energies (n,) that the others contradict: each predicted from all others by the kernel model of the representation.

    The model of formation energies is fitted robustly; an energy is a suspect if it is further from its leave-one-out prediction
    than `regression.labelled.distrust` allows (see there), and by more than FLOOR_EV_PER_ATOM. The n candidates, at least
    MIN_ENERGIES, are different crystals, `fractions` (n, k) those of the elements after the first. Given back, by place in
    `candidates`, are the energy minus its prediction, and the prediction's calibrated standard deviation, in eV/atom.
    """
    from hullscout.regression import Mean, ModelSettings, PoolModel  # noqa: PLC0415  (late: slow to import)
    from hullscout.representation import MbtrRepresentation, checked_blocks  # noqa: PLC0415

    ends = np.column_stack([1.0 - fractions.sum(axis=1), fractions])
    labels = energies_ev_per_atom - ends @ np.linalg.lstsq(ends, energies_ev_per_atom, rcond=None)[0]
    curved = Mean.QUADRATIC.basis(len(labels), fractions)
    judged = _judged(labels - curved @ np.linalg.lstsq(curved, labels, rcond=None)[0])
    candidates, labels, fractions = [candidates[place] for place in judged], labels[judged], fractions[judged]
    on_progress(f"representing {len(candidates)} crystals")
    blocks = checked_blocks(MbtrRepresentation(elements=elements), candidates)
    n_parts = 1 if len(labels) <= MAX_COMPARED else -(-len(labels) // MAX_IN_PART)
    suspects: dict[int, tuple[float, float]] = {}
    for number, part in enumerate(np.array_split(np.random.default_rng(0).permutation(len(labels)), n_parts), start=1):
        on_progress(f"comparing energies, part {number} of {n_parts}")
        parts = {name: features[part] for name, features in blocks.items()}
        mean = Mean.QUADRATIC.determined_by(fractions[part].reshape(len(part), -1))
        settings = ModelSettings(mean=mean, suspicion=SUSPICION)
        model = PoolModel(parts, composition=fractions[part], settings=settings)
        model.add(np.arange(len(part)))
        fitted = model.fit(labels[part])
        for row in fitted.suspects.tolist():
            deviation = float(labels[part[row]] - fitted.loo_mean[row])
            if abs(deviation) > FLOOR_EV_PER_ATOM:
                suspects[int(judged[part[row]])] = deviation, float(fitted.loo_std[row])
    return suspects


def _judged(heights: NDArray[np.float64]) -> NDArray[np.intp]:
    """The places, ascending, of at most MAX_JUDGED energies, by their heights (n,) above what is usual for the composition."""
    if len(heights) <= MAX_JUDGED:
        return np.arange(len(heights))
    order = np.argsort(heights, kind="stable")
    lowest, others = np.split(order, [MAX_JUDGED // 2])
    chance = np.random.default_rng(0).permutation(others)[: MAX_JUDGED - len(lowest)]
    return np.sort(np.concatenate([lowest, chance]))
