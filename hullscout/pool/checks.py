"""What makes a pool unusable: faults of frames, missing elements, energies of different settings, all said at once.

The checks know nothing of compositions worth having or of energies worth believing: they refuse only what no campaign can use.
Energies of different functionals, cutoffs or +U belong to different hulls. A setting of a calculation is a column of a known name,
whatever the format; a frame that does not state it is not compared by it. Which settings are right is not known here.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import InvalidPoolError
from hullscout.pool.candidate import has_volume
from hullscout.pool.frames import finite_number, shown_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from hullscout.pool.frames import Frame

MAX_EV_PER_ATOM = 1e7
"""Total energies of heavy atoms with all their electrons come to some 1e6 eV; more is no energy."""

MIN_DISTANCE = 0.5
"""Atoms closer than this many A (not at it) are a mistake, periodic images included."""

K_SPACING_FACTOR = 2.0
"""Meshes of k-points are of one setting while the coarsest spacings of two cells differ by no more than this factor: meshes are
whole numbers."""

_SAME_NUMBER = 1e-6  # relative
_UNSTATED = frozenset({"", "none", "nan", "unknown"})


def atomic_numbers(elements: Sequence[str]) -> tuple[int, ...]:
    """Atomic numbers of the elements of a campaign, two or more.

    Raises:
        InvalidPoolError: not so many different chemical symbols.
    """
    from ase.data import atomic_numbers as known  # noqa: PLC0415  (late: ASE loads slowly)

    if len(elements) < 2 or len(set(elements)) < len(elements) or "X" in elements or not set(elements) <= set(known):
        raise _no_elements(elements, "two" if len(elements) <= 2 else "two or more")
    return tuple(int(known[symbol]) for symbol in elements)


def two_atomic_numbers(elements: Sequence[str]) -> tuple[int, int]:
    """Atomic numbers of two elements and no more, or InvalidPoolError: those of a pool that is read or made."""
    numbers = atomic_numbers(elements)
    if len(numbers) != 2:
        raise _no_elements(elements, "two")
    return numbers[0], numbers[1]


def _no_elements(elements: Sequence[str], expected: str) -> InvalidPoolError:
    return InvalidPoolError(
        f"Expected {expected} different chemical elements, found {elements=}. Give symbols such as Ag, Pd."
    )


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

    distance, first, second = closest_pair(frame.positions, frame.cell, MIN_DISTANCE)
    if distance < MIN_DISTANCE:
        pair = f"atoms {first + 1} and {second + 1}" if first != second else f"atom {first + 1} and its periodic image"
        yield f"{pair} are {distance:.3f} A apart: expected at least {MIN_DISTANCE} A"


def _shown(values: np.ndarray) -> str:
    """Numbers on one line, short."""
    return " ".join(f"{value:.6g}" for value in values.ravel().tolist())


class MixedSettings(Enum):
    """What becomes of a pool whose energies were computed with different settings."""

    REFUSE = "refuse"
    """It is an error that names settings and ids."""
    ALLOW = "allow"
    """It is reported."""


class _Compared(Enum):
    """How two values of a setting are compared."""

    AS_WORDS = "words"
    AS_NUMBERS = "numbers"
    AS_SPACINGS = "spacings"


_SETTINGS = (
    # name, columns that state it (a regular expression, in any case of letters), how values are compared
    ("functional", "functional|dft_functional|xc|xc_functional|run_type", _Compared.AS_WORDS),
    ("cutoff (eV)", "cutoff|cutoff_ev|encut|ecut", _Compared.AS_NUMBERS),
    ("cutoff (Ry)", "ecutwfc|cutoff_ry", _Compared.AS_NUMBERS),
    ("Hubbard U (eV)", "hubbard_u", _Compared.AS_NUMBERS),
    ("Hubbard U of {} (eV)", "hubbard_u_([a-z]{1,2})", _Compared.AS_NUMBERS),
    ("pseudopotentials", "pseudopotentials?", _Compared.AS_WORDS),
    ("potential of {}", "potential_([a-z]{1,2})", _Compared.AS_WORDS),
    ("k-point density", "k_?density|kpoint_density|kppa", _Compared.AS_NUMBERS),
    ("k-point spacing (1/A)", "kspacing", _Compared.AS_NUMBERS),
    ("coarsest k-point spacing (1/A)", "k_spacing", _Compared.AS_SPACINGS),
    ("code", "code|calculator", _Compared.AS_WORDS),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingConflict:
    """A setting with more than one value among energies of one pool.

    Attributes:
        setting: its name, with the unit.
        groups: a value as shown, and the ids of those computed with it; most ids first.
    """

    setting: str
    groups: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def odd_ids(self) -> tuple[str, ...]:
        """Ids of all but the largest group."""
        return tuple(member for _, ids in self.groups[1:] for member in ids)

    def __str__(self) -> str:
        """The setting and its values, each with the first ids."""
        values = (f"{value} ({len(ids)}: {shown_ids(ids)})" for value, ids in self.groups)
        return f"{self.setting}: {'; '.join(values)}"


def find_setting_conflicts(frames: Iterable[Frame]) -> tuple[SettingConflict, ...]:
    """Settings that are not the same for all energies, in a fixed order; frames without an energy do not count.

    Words are compared in any case of letters, numbers to 1e-6, spacings of k-points that were found from a mesh within
    K_SPACING_FACTOR.
    """
    stated: defaultdict[tuple[int, str], list[tuple[str, str]]] = defaultdict(list)
    for frame in frames:
        if frame.energy_ev is not None:
            for key, value in _settings(frame.columns).items():
                stated[key].append((value, frame.id))
    conflicts = []
    for (place, name), values in sorted(stated.items()):
        groups = _groups(values, _SETTINGS[place][2])
        if len(groups) > 1:
            conflicts.append(SettingConflict(setting=name, groups=groups))
    return tuple(conflicts)


def refuse_mixed_settings(path: Path, conflicts: Sequence[SettingConflict]) -> None:
    """Make an InvalidPoolError of conflicting settings, if there are any."""
    if conflicts:
        lines = "".join(f"\n  {conflict}" for conflict in conflicts)
        raise InvalidPoolError(
            f"{path}: expected energies that were all computed with the same settings, found several (number and ids in "
            f"brackets):{lines}\nCompute them alike, take the odd ones out, or set pool.allow_mixed_settings = true."
        )


def _settings(columns: Mapping[str, str | float]) -> dict[tuple[int, str], str]:
    """The settings among columns: value by place in _SETTINGS and name."""
    found = {}
    for key, value in columns.items():
        text = str(value).strip()
        if text.lower() in _UNSTATED:
            continue
        for place, (name, keys, _) in enumerate(_SETTINGS):
            if match := re.fullmatch(keys, key, re.IGNORECASE):
                element = match[1].capitalize() if match.re.groups else ""
                found[place, name.format(element)] = text
    return found


def _groups(values: Sequence[tuple[str, str]], compared: _Compared) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Ids by value as shown, most ids first; numbers in ascending groups, each no wider than a factor from its lowest."""
    numbers = np.array([finite_number(text) for text, _ in values], dtype=np.float64)  # None as NaN
    members: defaultdict[str | float, list[int]] = defaultdict(list)
    if compared is _Compared.AS_WORDS or np.isnan(numbers).any():
        for index, (text, _) in enumerate(values):
            members[text.casefold()].append(index)
        shown = [values[indices[0]][0] for indices in members.values()]
    else:
        factor = K_SPACING_FACTOR if compared is _Compared.AS_SPACINGS else 1.0 + _SAME_NUMBER
        lowest = -np.inf
        for index in np.argsort(numbers, kind="stable").tolist():
            if not members or numbers[index] - lowest > (factor - 1.0) * abs(lowest):
                lowest = numbers[index]
            members[lowest].append(index)
        ranges = [(f"{numbers[i[0]]:.6g}", f"{numbers[i[-1]]:.6g}") for i in members.values()]
        shown = [low if low == high else f"{low} to {high}" for low, high in ranges]
    ids = [tuple(values[index][1] for index in sorted(indices)) for indices in members.values()]
    return tuple(sorted(zip(shown, ids, strict=True), key=lambda group: -len(group[1])))
