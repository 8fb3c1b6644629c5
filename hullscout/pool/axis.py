"""What compositions are measured by: coordinates between the ends of a campaign, which are its elements or compounds of them.

A composition is the vector a of its atomic fractions, one for each element. With ends a_1, ..., a_e, which are linearly
independent, its coordinates are the weights w of

    a = w_1 a_1 + ... + w_e a_e.

Since the fractions in every vector add up to 1, so do the weights: they are barycentric coordinates on the simplex between the
ends, and w_j is the share of all atoms that would stand in the end j (not of its formula units). A mixture of two phases, one with
the share s of the atoms, has the fractions s a + (1 - s) a', the weights s w + (1 - s) w', and the energy per atom
s e + (1 - s) e'. So what is linear over fractions is linear over weights: the lower convex hull over weights is the one over
fractions, seen along the simplex, and the formation energy e - sum_j w_j e_j is 0 for the ends.

Weights are found in whole numbers, by elimination: with integer atoms c of the elements, c = sum_j n_j c_j for n_j formula units of
the end j, and w_j is n_j times the atoms in c_j over those in c. So an end has exactly 1 and 0, and what lies on the edge of the
simplex is not outside.

A vacancy, X, is a site without an atom: no atom of fractions and energies, which are per atom, nor of representation and
calculation. An alloy of vacancies or interstitials lies between the filled and the empty compound: `ends = ["ZrX", "ZrN"]` is
`["Zr", "ZrN"]`. The hull is the one over sites: with the share y of a sublattice filled and v of all sites empty, y is (1 - v) w,
the formation energy per site (1 - v) times that per atom, and 1 - v is linear in y. Such a projective map takes lines to lines and
what is below to what is below: vertices and tie lines are the same, and heights per site are (1 - v) times those per atom.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import InvalidSettingError
from hullscout.pool.candidate import VACANCY, formula_of
from hullscout.pool.checks import atomic_numbers, find_missing_ends, sift
from hullscout.pool.limits import Limits, checked_limits, is_within

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from hullscout.pool.candidate import Candidate
    from hullscout.pool.frames import Frame, Frames

_FORMULA = re.compile(r"(?:[A-Z][a-z]?(?:[1-9][0-9]*)?)+")
_EMPTY_SITES = re.compile(rf"{VACANCY}(?![a-z])[0-9]*")
_PART = re.compile(r"([A-Z][a-z]?)([0-9]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositionAxis:
    """The ends between which compositions are, and the limits of what counts. `axis_of` checks and makes one.

    Attributes:
        ends: Formulas; none where the elements are the ends.
        limits: Lowest and highest atomic fraction by element. What is beyond is no candidate, ends excepted, the references.
    """

    elements: tuple[str, ...]
    ends: tuple[str, ...] = ()
    limits: Limits = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The ends by formula: `Zr`, `ZrN`; the elements where these are the ends."""
        return self.ends or self.elements

    @property
    def labels(self) -> tuple[str, ...]:
        """The ends in sentences: `pure Zr`, `ZrN`."""
        return tuple(f"pure {name}" if name in self.elements else name for name in self.names)

    def counts(self, structures: Sequence[Frame | Candidate]) -> NDArray[np.int64]:
        """(n, elements) atoms of each element."""
        numbers = np.array(atomic_numbers(self.elements))
        counts = [(each.numbers[:, None] == numbers).sum(axis=0) for each in structures]
        return np.array(counts, dtype=np.int64).reshape(-1, len(numbers))

    def coordinates(self, counts: NDArray[np.int64] | NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, ends) weights of compositions, (n, elements) atoms of each element; NaN where no weights make a composition."""
        if not self.ends:
            with np.errstate(invalid="ignore"):  # foreign atoms alone
                return np.asarray(counts / counts.sum(axis=1, keepdims=True))
        units = [_atoms(end, self.elements) for end in self.ends]
        different, which = np.unique(counts, axis=0, return_inverse=True)
        return np.array([_weights(units, row) for row in different.tolist()])[which.reshape(-1)]

    def sift(self, frames: Frames) -> Frames:
        """The frames that campaigns can use, as `checks.sift`; a composition that is not between the ends is a fault, too."""
        sound = sift(frames, self.elements)
        if not self.ends or not sound.frames:
            return sound
        faults = {frame.number: f"{frame.name}: {fault}" for frame, fault in self.outside(sound.frames)}
        return replace(
            sound,
            frames=tuple(frame for frame in sound.frames if frame.number not in faults),
            faults=(*sound.faults, *faults.values()),
            n_faulty=sound.n_faulty + len(faults),
        )

    def outside(self, frames: Sequence[Frame]) -> Iterator[tuple[Frame, str]]:
        """The frames whose compositions are not between the ends, each with a sentence."""
        if not self.ends:
            return
        counts = self.counts(frames)
        is_between = (self.coordinates(counts) >= 0.0).all(axis=1)  # no number is neither
        for place in np.flatnonzero(~is_between).tolist():
            shown = formula_of(counts[place].tolist(), self.elements)
            yield (
                frames[place],
                f"composition {shown} is outside of {'-'.join(self.ends)}: expected a mixture of the ends",
            )

    def missing(self, frames: Sequence[Frame]) -> list[str]:
        """A sentence for each end of which none of the frames that will be candidates is a structure."""
        if not self.ends:
            return find_missing_ends(frames, self.elements)
        counts = self.counts(frames)
        is_whole = counts.sum(axis=1) == [len(frame.numbers) for frame in frames]  # others have a fault
        is_end = (self.coordinates(counts[is_whole]) == 1.0).any(axis=0)
        return [
            f"no structure of {label} among {len(frames)} usable frames: formation energies need one for each end of the axis"
            for label, is_there in zip(self.labels, is_end.tolist(), strict=True)
            if not is_there
        ]

    def beyond(self, frames: Sequence[Frame]) -> set[int]:
        """Numbers of the frames, all of them between the ends, that are beyond the limits and no end."""
        if not self.limits:
            return set()
        are_held = self.holds(self.counts(frames)).tolist()
        return {frame.number for frame, is_held in zip(frames, are_held, strict=True) if not is_held}

    def emptied(self, usable: Sequence[Frame], n_beyond: int) -> list[str]:
        """A sentence where the limits leave nothing but ends of the frames that were between them."""
        if not n_beyond or not (self.coordinates(self.counts(usable)) == 1.0).any(axis=1).all():
            return []
        limits = ", ".join(f"{symbol} {low:g} to {high:g}" for symbol, (low, high) in self.limits.items())
        are = "frame is" if n_beyond == 1 else "frames are"
        return [f"no compound is within the limits {limits}: {n_beyond} {are} beyond. Widen them"]

    def holds(self, counts: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n,) whether compositions are between the ends, and within the limits or an end."""
        weights = self.coordinates(counts)
        is_in = is_within(self.limits, self.elements, counts) | (weights == 1.0).any(axis=1)
        return np.asarray(is_in & (weights >= 0.0).all(axis=1))

    def notes(self, n_beyond: int) -> list[str]:
        """A sentence on what is beyond the limits, where there are any."""
        if not self.limits:
            return []
        limits = ", ".join(f"{symbol} {low:g} to {high:g}" for symbol, (low, high) in self.limits.items())
        left = f"{n_beyond} {'frame is' if n_beyond == 1 else 'frames are'} beyond and left out: the hull is that of the others."
        beyond = [
            name
            for name in self.names
            if not is_within(self.limits, self.elements, np.array([_atoms(name, self.elements)]))[0]
        ]
        stay = (
            f" What is {' or '.join(beyond)} is beyond, too, and stays: energies are relative to it." if beyond else ""
        )
        return [f"Limits: {limits}. {left}{stay}"]


def axis_of(
    elements: Sequence[str], ends: Sequence[str] = (), limits: Mapping[str, Sequence[float]] | None = None
) -> CompositionAxis:
    """An axis of two to five elements, between compounds or the elements, within limits.

    Raises:
        InvalidSettingError: The ends are no formulas of the elements, or not independent, or nothing is within the limits.
    """
    atomic_numbers(elements)
    units = [_atoms(end, elements) for end in ends]
    if ends and not 2 <= len(ends) <= len(elements):
        raise InvalidSettingError(
            f"Expected at least two ends, and no more than the elements {', '.join(elements)}, found {len(ends)}: "
            f"{', '.join(ends)}. More can never be independent."
        )
    missing = [symbol for place, symbol in enumerate(elements) if ends and not any(unit[place] for unit in units)]
    if missing:
        raise InvalidSettingError(
            f"Expected every element in one of the ends {', '.join(ends)}, found {' and '.join(missing)} in none: no candidate "
            "between them could hold it. Take it out of the elements, or name an end that holds it."
        )
    for place, unit in enumerate(units):
        made = _units(units[:place], unit) if place else None
        if made is not None:
            parts = " and ".join(end for end, n in zip(ends, made, strict=False) if n)
            raise InvalidSettingError(
                f"Expected ends that are linearly independent, found {ends[place]}, which is made of {parts}. Leave one out."
            )
    named = tuple(_EMPTY_SITES.sub("", end) for end in ends)
    return CompositionAxis(elements=tuple(elements), ends=named, limits=checked_limits(limits or {}, elements))


def _atoms(formula: str, elements: Sequence[str]) -> list[int]:
    """Atoms of each element in a formula."""
    if not _FORMULA.fullmatch(formula):
        raise InvalidSettingError(
            f"Expected ends as formulas with whole numbers, for example Zr or ZrN, found {formula!r}."
        )
    parts = [(symbol, int(count or 1)) for symbol, count in _PART.findall(formula) if symbol != VACANCY]
    if not parts:
        raise InvalidSettingError(f"Expected ends that hold atoms, found {formula!r}, which is of vacancies alone.")
    foreign = sorted({symbol for symbol, _ in parts} - set(elements))
    if foreign:
        raise InvalidSettingError(
            f"Expected ends of {', '.join(elements)}, found {', '.join(foreign)} in {formula!r}. Name it among the elements."
        )
    return [sum(count for symbol, count in parts if symbol == each) for each in elements]


def _units(units: Sequence[Sequence[int]], atoms: Sequence[float]) -> list[Fraction] | None:
    """How many formula units of each end hold these atoms, by Gauss and Jordan's elimination; None where none do.

    The ends before are independent.
    """
    rows = [[Fraction(unit[place]) for unit in units] + [Fraction(n)] for place, n in enumerate(atoms)]
    for column in range(len(units)):
        pivot = next(place for place in range(column, len(rows)) if rows[place][column])
        rows[column], rows[pivot] = rows[pivot], rows[column]
        first = rows[column][column]
        rows[column] = [value / first for value in rows[column]]
        for place, row in enumerate(rows):
            if place != column and row[column]:
                rows[place] = [mine - row[column] * other for mine, other in zip(row, rows[column], strict=True)]
    if any(row[-1] for row in rows[len(units) :]):
        return None
    return [row[-1] for row in rows[: len(units)]]


def _weights(units: Sequence[Sequence[int]], atoms: Sequence[float]) -> list[float]:
    """Shares of the atoms that stand in each end; NaN where the ends do not make them."""
    made = _units(units, atoms)
    if made is None:
        return [float("nan")] * len(units)
    total = sum(map(Fraction, atoms))
    return [float(n * sum(unit) / total) for n, unit in zip(made, units, strict=True)]
