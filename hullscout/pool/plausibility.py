"""Whether energies can be of the cells beside them: what can be told of them by themselves, with no model and at no cost.

Energies grow with the atoms: `E = sum_a mu_a n_a + n f`, formation energies f being small beside the atoms' own. That is all
that is assumed, so that energies per atom, of another cell, of formation among totals, placeholders and two methods on one axis
are found where they stand out by themselves. Not found is what fits that equation as well: all cells of one size with energies
per atom, say, or formation energies per atom where the elements are at 0.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from hullscout.pool.checks import atomic_numbers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from hullscout.pool.frames import Frame

    Floats = NDArray[np.float64]

MAX_FORMATION_EV_PER_ATOM = 2.0
"""Formation energies of alloys stay within this."""
MAX_OF_ANY_EV_PER_ATOM = 5.0
"""Those of salts and oxides come to some 4 eV/atom."""
MAX_JUDGED_ALONE = 30
"""In pools of fewer energies each one beyond MAX_FORMATION_EV_PER_ATOM is a suspect; in larger ones the others judge it."""

MIN_AS_PER_ATOM = 0.5
"""eV/atom: an energy this far off the line that lies on it as it is, not over its atoms, is one per atom."""
MIN_POSITIVE = 0.5
"""eV/atom: total energies of elements are below this; those of effective potentials are near 0."""

_PER_ATOM = 0.8
"""Energies are per atom where they scatter around a line over composition by less than this share of the scatter of E / n. For
energies of cells the share is at least 1 where the atoms' own energies are 0, and some 5 to 2000 otherwise."""
_CELLS = (1 / 2, 1 / 3, 1 / 4, 1 / 6, 1 / 8, 2.0, 3.0, 4.0, 6.0, 8.0)  # of primitive, conventional and supercells
_MULTIPLES = (1 / 2, 1 / 3, 2.0, 3.0)  # beside the number of atoms: what is stated of half a cell, of two, ...
_CLEARLY = 5.0  # an energy is of another cell if as such all lie so many times closer to the line
_MIN_COMPOSITIONS = 3  # of compounds, by which an end of the line may be told to be wrong
_EXPLAINED = 0.1  # another cell explains formation energies if they come down to this share
_MIN_METHODS = 12  # energies from which on two methods may be told apart
_GAP = 3.0  # between the energies of two methods, in widths (80 %) of the wider of the two
_ITERATIONS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """What energies look like, in a sentence, and the numbers of the frames concerned, none where it is all of them.

    It is a fault where nothing else explains them, else a suspect.
    """

    is_fault: bool
    sentence: str
    frames: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Energies:
    """Energies (n,) in eV per cell of frames, atoms (n,) in their cells, and fractions (n, k) of all elements."""

    frames: Sequence[Frame]
    ev: Floats
    n_atoms: Floats
    fractions: Floats
    elements: Sequence[str]

    @property
    def per_atom(self) -> Floats:
        return self.ev / self.n_atoms

    @property
    def is_pure(self) -> NDArray[np.bool_]:
        return np.asarray(self.fractions.max(axis=1) == 1.0)

    def ends(self, values: Floats) -> Floats | None:
        """The lowest value of each pure element (k,); None where one has none."""
        pure = [values[column == 1.0] for column in self.fractions.T]
        return np.array([each.min() for each in pure]) if all(each.size for each in pure) else None


def find_doubts(frames: Sequence[Frame], elements: Sequence[str], *, is_stated: bool = False) -> list[Doubt]:
    """What the energies of sound frames look like, where they do not look like total energies of their cells.

    Args:
        is_stated: The user has said what they are of; then nothing is a fault.
    """
    given = [frame for frame in frames if frame.energy_ev is not None]
    if len(given) < 3:
        return []
    sizes = np.array([len(frame.numbers) for frame in given])
    numbers, places = np.concatenate([frame.numbers for frame in given]), np.repeat(np.arange(len(given)), sizes)
    counts = np.column_stack(
        [np.bincount(places, weights=numbers == z, minlength=len(given)) for z in atomic_numbers(elements)]
    )
    n_atoms = sizes.astype(np.float64)
    ev = np.array([frame.energy_ev for frame in given], np.float64)
    energies = _Energies(frames=given, ev=ev, n_atoms=n_atoms, fractions=counts / n_atoms[:, None], elements=elements)
    if float(np.ptp(ev)) == 0.0 and len(np.unique(counts, axis=0)) > 1:
        sentence = f"all {len(ev)} energies are {ev[0]:g} eV: are they placeholders?"
        return [Doubt(is_fault=False, sentence=sentence)]
    doubts = (
        [*_per_atom(energies)]
        or [*_some_per_atom(energies)]
        or [*_ends(energies)]
        or [*_zeros(energies), *_positive(energies)]
        + ([*_multiples(energies)] or [*_multiples_of_ends(energies)] or [*_alone(energies)])
        + [*_two_methods(energies)]
    )
    return [
        Doubt(is_fault=doubt.is_fault and not is_stated, sentence=doubt.sentence, frames=doubt.frames)
        for doubt in doubts
    ]


def _fitted(terms: Floats, values: Floats) -> Floats:
    """The linear model of terms (n, t) with the least sum of absolute deviations from values (n,), at each of them.

    By weights anew from the deviations before (iteratively reweighted least squares).
    """
    weights = np.ones(len(values))
    floor = 1e-9 * max(float(np.abs(values).max()), 1.0)
    fitted = values
    for _ in range(_ITERATIONS):
        fitted = terms @ np.linalg.lstsq(terms * weights[:, None], values * weights, rcond=None)[0]
        weights = 1.0 / np.sqrt(np.maximum(np.abs(values - fitted), floor))
    return np.asarray(fitted, np.float64)


def _per_atom(energies: _Energies) -> Iterator[Doubt]:
    """Energies that do not grow with the atoms."""
    n, k = energies.fractions.shape
    if n <= k or len(np.unique(energies.n_atoms)) < 2:
        return
    scatter, usual = (
        float(np.abs(values - _fitted(energies.fractions, values)).mean())
        for values in (energies.ev, energies.per_atom)
    )
    if scatter < _PER_ATOM * usual and usual > 1e-6:
        yield Doubt(
            is_fault=True,
            sentence=(
                f"the energies do not grow with the atoms in the cell: these look like energies per atom (as such they lie "
                f"{scatter:.3g} eV/atom off a line over composition, as energies of cells {usual:.3g}). Name the column "
                'energy_per_atom, or say pool.energy_unit = "eV/atom" (check: --energy-unit eV/atom)'
            ),
        )


def _some_per_atom(energies: _Energies) -> Iterator[Doubt]:
    """Energies of cells of several atoms that fit the line between the elements as energies per atom, among others that do not."""
    ends = energies.ends(energies.per_atom)
    if ends is None:
        return
    line = energies.fractions @ ends
    formation, as_they_are = np.abs(energies.per_atom - line), np.abs(energies.ev - line)
    fits = (formation > MIN_AS_PER_ATOM) & (as_they_are < _EXPLAINED * formation)
    if fits.any():
        frames = [energies.frames[place] for place in np.flatnonzero(fits).tolist()]
        shown = ", ".join(frame.id for frame in frames[:5]) + (", ..." if len(frames) > 5 else "")
        few, all_of = len(frames), len(energies.ev)
        yield Doubt(
            is_fault=few > 1,
            sentence=(
                f"{few} of {all_of} energies look like energies per atom among energies of cells ({shown}): as they are they lie "
                "on the line between the elements, over the atoms of their cells up to "
                f"{formation[fits].max():.2f} eV/atom off it. State all of one kind"
            ),
            frames=tuple(frame.number for frame in frames),
        )


def _positive(energies: _Energies) -> Iterator[Doubt]:
    """Energies of all elements above 0: the sign may be turned, as of cohesive energies."""
    ends = energies.ends(energies.per_atom)
    if ends is not None and (ends > MIN_POSITIVE).all():
        shown = " and ".join(
            f"{symbol} {end:.2f}" for symbol, end in zip(energies.elements, ends.tolist(), strict=True)
        )
        yield Doubt(
            is_fault=False,
            sentence=f"the elements have positive energies ({shown} eV/atom): is the sign turned, as of cohesive energies?",
        )


def _ends(energies: _Energies) -> Iterator[Doubt]:
    """Pure elements and compounds whose energies are not of one kind."""
    ends, compounds = energies.ends(energies.per_atom), ~energies.is_pure
    if ends is None or not compounds.any():
        return
    values, fractions = energies.per_atom[compounds], energies.fractions[compounds]
    formation = np.abs(values - fractions @ ends)
    usual = float(np.median(formation))
    if usual <= MAX_FORMATION_EV_PER_ATOM:
        return
    found = f"compounds lie {usual:.2f} eV/atom (median) off the line between the pure elements, which no alloy does"
    if np.median(np.abs(values)) < min(_EXPLAINED * usual, 1.0):
        yield Doubt(
            is_fault=True,
            sentence=(
                f"{found}, but are near 0 themselves: these look like formation energies beside total energies of the elements. "
                'State total energies, or formation energies of all with pool.energy_kind = "formation"'
            ),
        )
        return
    per_cell = energies.per_atom / energies.n_atoms
    other_ends = energies.ends(per_cell)
    if other_ends is not None:
        others = np.abs(per_cell[compounds] - fractions @ other_ends)
        if len(np.unique(energies.n_atoms)) > 1 and np.quantile(others, 0.75) < _EXPLAINED * min(usual, 10.0):
            yield Doubt(
                is_fault=True,
                sentence=f"{found}: these look like energies of cells, stated per atom. Name the column energy",
            )
            return
    n_compositions = len(np.unique(fractions, axis=0))
    pairs = (
        product((1.0, *_CELLS), repeat=len(ends)) if n_compositions > len(ends) else ((k,) * len(ends) for k in _CELLS)
    )
    shares = {pair: float(np.quantile(np.abs(values - fractions @ (ends / pair)), 0.75)) for pair in pairs}
    best = min(shares, key=lambda pair: shares[pair])
    if shares[best] < _EXPLAINED * usual:
        cells = " and ".join(
            f"{symbol} of {_share(k)} the atoms" for symbol, k in zip(energies.elements, best, strict=True) if k != 1.0
        )
        yield Doubt(
            is_fault=True,
            sentence=(
                f"{found}, and {shares[best]:.2f} eV/atom if energies were of cells other than the structures beside them "
                f"({cells}, or the compounds' the other way round), as where a CIF holds the conventional cell and the primitive "
                "one was calculated. State energy_per_atom, or the structures that were calculated"
            ),
        )
        return
    is_fault = usual > MAX_OF_ANY_EV_PER_ATOM
    yield Doubt(is_fault=is_fault, sentence=f"{found}: are all energies of one kind, method and cell?")


def _share(k: float) -> str:
    return f"{k:g} times" if k >= 1.0 else f"1/{round(1 / k)} of"


def _zeros(energies: _Energies) -> Iterator[Doubt]:
    """Energies of exactly 0 where those of the elements are not."""
    ends = energies.ends(energies.per_atom)
    if ends is None or (np.abs(ends) < 1e-3).any():
        return
    zeros = np.flatnonzero(energies.ev == 0.0).tolist()
    if zeros:
        frames = [energies.frames[place] for place in zeros]
        shown = ", ".join(frame.id for frame in frames[:5]) + (", ..." if len(frames) > 5 else "")
        yield Doubt(
            is_fault=False,
            sentence=f"{shown}: an energy of exactly 0, where the others are not near it: a placeholder?",
            frames=tuple(frame.number for frame in frames),
        )


def _multiples(energies: _Energies) -> Iterator[Doubt]:
    """Energies whose multiple by a small number or that of the atoms is what the others have, as they are far from it.

    No size of energies is assumed: with them as multiples, all energies must lie _CLEARLY times closer to the line between the
    elements than each of them does as stated, and than the line is from 0, where every multiple is one.
    """
    ends = energies.ends(energies.per_atom)
    if ends is None:
        return
    line = energies.fractions @ ends
    factors = np.column_stack([np.ones_like(energies.n_atoms)[:, None] * _MULTIPLES, energies.n_atoms])
    multiples = np.abs(factors * energies.per_atom[:, None] - line[:, None])
    best = multiples.argmin(axis=1)
    off, mended = np.abs(energies.per_atom - line), multiples.min(axis=1)
    farthest = np.minimum(off, np.abs(line)) / _CLEARLY
    is_one, n_before = mended < farthest, -1
    while n_before != is_one.sum():
        n_before = int(is_one.sum())
        is_one &= float(np.where(is_one, mended, off).max()) < farthest
    for place in np.flatnonzero(is_one).tolist():
        frame, factor = energies.frames[place], float(factors[place, best[place]])
        yield Doubt(
            is_fault=False,
            sentence=(
                f"{frame.id}: its energy is {off[place]:.2f} eV/atom off the line between the elements, and {_times(factor)} it "
                f"{mended[place]:.2f}, as near as the others: is it of another cell than the structure?"
            ),
            frames=(frame.number,),
        )


def _multiples_of_ends(energies: _Energies) -> Iterator[Doubt]:
    """The energy of a pure element whose multiple, by the measure of `_multiples`, is what the compounds have."""
    ends = energies.ends(energies.per_atom)
    if ends is None or len(np.unique(energies.fractions[~energies.is_pure], axis=0)) < _MIN_COMPOSITIONS:
        return
    as_stated = float(np.abs(energies.per_atom - energies.fractions @ ends).max())
    for element, end in enumerate(ends.tolist()):
        place = int(np.flatnonzero((energies.fractions[:, element] == 1.0) & (energies.per_atom == end))[0])
        for factor in (*_MULTIPLES, float(energies.n_atoms[place])):
            changed = energies.per_atom.copy()
            changed[place] *= factor
            line_ends = energies.ends(changed)
            assert line_ends is not None  # noqa: S101  as of the energies that are stated
            mended = float(np.abs(changed - energies.fractions @ line_ends).max())
            if mended * _CLEARLY < min(as_stated, abs(float(line_ends[element]))):
                frame = energies.frames[place]
                yield Doubt(
                    is_fault=False,
                    sentence=(
                        f"{frame.id}: with its energy the others lie up to {as_stated:.2f} eV/atom off the line between the "
                        f"elements, and with {_times(factor)} it {mended:.2f}: is it of another cell than the structure?"
                    ),
                    frames=(frame.number,),
                )
                break


def _times(factor: float) -> str:
    return f"{factor:g} times" if factor >= 1.0 else f"1/{round(1 / factor)} of"


def _alone(energies: _Energies) -> Iterator[Doubt]:
    """Single formation energies that no alloy has, in pools too small for the others to judge them."""
    ends = energies.ends(energies.per_atom)
    if ends is None or len(energies.ev) >= MAX_JUDGED_ALONE:
        return
    line = energies.fractions @ ends
    formation = energies.per_atom - line
    for place in np.flatnonzero((np.abs(formation) > MAX_FORMATION_EV_PER_ATOM) & (energies.ev != 0.0)).tolist():
        frame, hint = energies.frames[place], ""
        other = {k: abs(energies.per_atom[place] / k - line[place]) for k in _CELLS}
        k = min(other, key=lambda each: other[each])
        if other[k] < _EXPLAINED * abs(formation[place]):
            hint = f": it would fit a cell of {_share(k)} the atoms"
        yield Doubt(
            is_fault=False,
            sentence=f"{frame.id}: a formation energy of {formation[place]:.2f} eV/atom, which no alloy has{hint}",
            frames=(frame.number,),
        )


def _two_methods(energies: _Energies) -> Iterator[Doubt]:
    """Two groups of energies, a constant apart, over the same compositions."""
    n, k = energies.fractions.shape
    if n < _MIN_METHODS:
        return
    curved = [energies.fractions[:, a] * energies.fractions[:, b] for a in range(k) for b in range(a)]
    deviations = energies.per_atom - _fitted(np.column_stack([energies.fractions, *curved]), energies.per_atom)
    order = np.argsort(deviations, kind="stable")
    ordered = deviations[order]
    least = max(3, int(0.1 * n))
    gaps = np.diff(ordered)[least - 1 : n - least]
    cut = int(np.argmax(gaps)) + least
    lower, upper = ordered[:cut], ordered[cut:]
    width = max(float(np.quantile(part, 0.9) - np.quantile(part, 0.1)) for part in (lower, upper))
    few, many = sorted((order[:cut], order[cut:]), key=len)
    at = energies.fractions
    is_among = ((at[few] >= at[many].min(axis=0)) & (at[few] <= at[many].max(axis=0))).all(axis=1)
    if gaps.max() > _GAP * width and is_among.mean() > 0.5 and len(np.unique(energies.fractions[few], axis=0)) > 1:
        frames = [energies.frames[place] for place in np.sort(few).tolist()]
        counts = Counter(frame.id for frame in frames)
        shown = ", ".join(list(counts)[:5]) + (", ..." if len(counts) > 5 else "")
        yield Doubt(
            is_fault=False,
            sentence=(
                f"the energies are two groups {gaps.max():.3g} eV/atom apart with nothing between, {len(frames)} and "
                f"{n - len(frames)} of {n}: are they of two methods? The smaller: {shown}"
            ),
            frames=tuple(frame.number for frame in frames),
        )
