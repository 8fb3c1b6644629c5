"""What the energies of a source are: of which column, in which unit, total or of formation; ends of the axis without a structure.

Readers take `energy` for the total energy of the cell in eV. Columns whose names say as much of themselves are taken where there is
none; any other is offered by name, and taken where a user says so. A formation energy is 0 for the elements, so that a pool of such
needs no structure of them; in one of total energies, or where energies are computed, a reference may be given by value. Either way
a made-up crystal of the element stands for the end of the axis: what it costs is nothing, since it is known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import InvalidPoolError
from hullscout.pool.checks import atomic_numbers
from hullscout.pool.columns import finite_number
from hullscout.pool.frames import Frame, Frames, plain_name, shown_ids
from hullscout.pool.units import UNITS, claim_of_name, claim_of_text, factor_of, is_per_atom

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

KINDS = ("total", "formation")
DIFFERENT_EV_PER_ATOM = 1e-3
"""Columns that differ by more than this from the energy that is taken are named."""

_OWN = ("energy_ev", "energy_ev_per_atom", "energy_per_atom")  # names that say all
_UNIT_NAMES = re.compile(r"(?i)(.*energ(y|ies)_|e_|)units?")
_COUNTS = ("n_atoms", "natoms", "nsites")  # columns that state of how many atoms an energy is
_LOOKS_SO = re.compile(r"(?i).*energ(y|ies).*|e_?0|e_?tot(al)?|toten|e_?form|h_?form|.*enthalpy.*|u_?0|dft_e|e_?dft")
_OF_FORMATION = re.compile(r"(?i).*(form|mix).*")
_NO_TOTAL = re.compile(
    r"(?i).*(form|mix|hull|cohes|atomi[sz]|bind|fermi|cut|zero_?point|zpe|kinetic|std|var|uncert|err|unit|corr|weight|adsor|surf"
    r"|strain|dispersion|vdw|above|gap|per_?vol).*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyMeaning:
    """What a user says of the energies of a source; nothing of it is guessed where it is not said.

    Attributes:
        column: The column that holds them; `energy`, or one whose name says the unit, if not given.
        unit: One of `UNITS`, alone for energies of cells or with `/atom` behind; eV, or what the name says, if not given.
        kind: `total` or `formation`.
        references: Energies of elements of which there is no structure, in eV/atom by symbol.
    """

    column: str | None = None
    unit: str | None = None
    kind: str | None = None
    references: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.unit is not None and factor_of(self.unit) is None:
            units = ", ".join((*UNITS, *(f"{unit}/atom" for unit in UNITS)))
            raise InvalidPoolError(f"pool.energy_unit: expected one of {units}, found {self.unit!r}.")
        if self.kind not in {None, *KINDS}:
            raise InvalidPoolError(f"pool.energy_kind: expected one of {', '.join(KINDS)}, found {self.kind!r}.")
        if not all(np.isfinite(value) for value in self.references.values()):
            raise InvalidPoolError(f"pool.references: expected finite energies in eV/atom, found {self.references}.")
        if self.kind == "formation" and any(self.references.values()):
            raise InvalidPoolError(
                f'pool.references: expected none with pool.energy_kind = "formation", which are 0 for the elements, found '
                f"{self.references}. Leave one of the two out."
            )

    @property
    def is_stated(self) -> bool:
        """Whether it is said what the energies are of."""
        return self.unit is not None or self.kind is not None


STATED_BY_NAME = EnergyMeaning()


def understand(
    frames: Frames,
    meaning: EnergyMeaning = STATED_BY_NAME,
    *,
    elements: Sequence[str] = (),
    others: Iterable[str] = (),
    has_ends: bool = True,
) -> Frames:
    """Frames whose energies are total energies in eV per cell, as a user or the names of their columns say.

    Args:
        elements: Of the axis; needed for energies of formation and references.
        others: Columns that are known to be something else (a baseline, say).
        has_ends: Whether ends of the axis that are given by value join the frames.
    """
    column = meaning.column
    read = _of_own_names(frames, meaning) if column is None else _of_column(frames, column, meaning)
    if meaning.unit is None:
        _refuse_another_unit(read, _unit_for(_used(frames, column), meaning))
    read = replace(
        read,
        is_meant=meaning.is_stated,
        notes=(*read.notes, *_other_columns(frames, read, meaning.column, set(others))),
    )
    return with_given_ends(read, meaning, elements) if has_ends else read


def _refuse_another_unit(frames: Frames, unit: str) -> None:
    """An InvalidPoolError where something claims another unit of energies than they are read in, and nobody said which it is."""
    names = {name for frame in frames.frames for name in frame.columns}
    for name, match in sorted((name, match) for name in names if (match := _UNIT_NAMES.fullmatch(name))):
        for frame in frames.frames:
            claim = claim_of_text(str(frame.columns.get(name, "")), is_of_energy=bool(match[1]))
            if (
                frame.energy_ev is not None
                and claim is not None
                and claim.unit not in {unit, unit.removesuffix("/atom")}
            ):
                expected = unit if unit.endswith("/atom") else f"{unit} per cell"
                raise InvalidPoolError(
                    f"{frames.path}: {frame.name}: expected energies in {expected}, found {name} = {claim.words!r} beside them. "
                    f"{_what_to_say(claim.unit)}."
                )


def _what_to_say(unit: str) -> str:
    """How the unit is said that is understood, or which ones are where none is."""
    if unit:
        return f'Say so by pool.energy_unit = "{unit}" (check and add: --energy-unit {unit})'
    return (
        f"Say what they are by pool.energy_unit (check and add: --energy-unit), one of {', '.join(UNITS)}, alone or with /atom "
        "behind, or convert them"
    )


def with_given_ends(
    frames: Frames, meaning: EnergyMeaning, elements: Sequence[str], *, is_computed: bool = False
) -> Frames:
    """Frames and the ends of the axis whose energies are given by value; what frames state is not looked at if it is computed."""
    if meaning.kind == "formation" and not is_computed:
        return _with_ends(frames, dict.fromkeys(elements, 0.0), elements, is_formation=True)
    if not meaning.references:
        return frames
    numbers = dict(zip(elements, atomic_numbers(elements), strict=True))
    for symbol in meaning.references if is_computed else ():
        pure = next((f for f in frames.frames if (f.numbers == numbers.get(symbol)).all()), None)
        if pure is not None:
            raise _refused(frames, symbol, f"no structure of pure {symbol}", pure.id)
    return _with_ends(frames, meaning.references, elements, is_formation=False)


def _refused(frames: Frames, symbol: str, expected: str, found: str) -> InvalidPoolError:
    return InvalidPoolError(
        f"{frames.path}: pool.references.{symbol}: expected {expected}, found {found!r}. Leave the reference out, or the structure."
    )


def _of_column(frames: Frames, column: str, meaning: EnergyMeaning) -> Frames:
    """Frames with the energies of a column; what is no number there is a fault."""
    name = column if any(column in frame.columns for frame in frames.frames) else plain_name(column)
    is_energy = column == "energy"
    if not is_energy and not any(name in frame.columns for frame in frames.frames):
        known = sorted({key for frame in frames.frames for key in frame.columns})
        raise InvalidPoolError(
            f"{frames.path}: pool.energy = {column!r}: expected a column of this name, found none; columns found: "
            f"{', '.join(known) or 'none'}. Correct the name."
        )
    if meaning.kind is None and _OF_FORMATION.fullmatch(column):
        raise InvalidPoolError(
            f"{frames.path}: pool.energy = {column!r}: expected pool.energy_kind to say whether this column holds energies of "
            'formation, as its name lets one think: set it to "formation", or to "total" (check: --energy-kind).'
        )
    unit = _unit_for(column, meaning)
    if is_per_atom(column) and not unit.endswith("/atom"):
        raise InvalidPoolError(
            f"{frames.path}: pool.energy = {column!r}: expected a unit per atom, as the column is named, found "
            f'pool.energy_unit = {unit!r}. Set it to "{unit}/atom", or name another column.'
        )
    kept: list[Frame] = []
    faults: list[str] = []
    for frame in frames.frames:
        if not unit.endswith("/atom") and (sentence := _of_another_cell(frame)):
            faults.append(f"{frame.name}: {sentence}")
            continue
        said = frame.energy_ev if is_energy else frame.columns.get(name)
        value = said if said is None or isinstance(said, float) else finite_number(str(said))
        if value is None and said is not None:
            faults.append(f"{frame.name}: expected {column} as a number in {unit}, found {said!r}")
        else:
            kept.append(replace(frame, energy_ev=None if value is None else _in_ev(value, unit, frame)))
    if not kept:
        raise InvalidPoolError(f"{frames.path}: {faults[0]}, and in no frame a number. Name another column.")
    return replace(frames, frames=tuple(kept), faults=(*frames.faults, *faults), n_faulty=frames.n_faulty + len(faults))


def _unit_for(column: str, meaning: EnergyMeaning) -> str:
    """The unit that is said, or the one that a column's name says; an InvalidPoolError where it claims one that is none."""
    if meaning.unit is not None:
        return meaning.unit
    claim = claim_of_name(column)
    if claim is None:
        return "eV/atom" if is_per_atom(column) else "eV"
    if not claim.unit:
        raise InvalidPoolError(
            f"pool.energy = {column!r}: expected a name that says no unit, or one of {', '.join(UNITS)}, found one that is not "
            f"understood. {_what_to_say('')}."
        )
    return claim.unit


def restated(frames: Frames, meaning: EnergyMeaning) -> Frames:
    """Frames with total energies in eV per cell, which stand then where and as a meaning reads them."""
    column = meaning.column or "energy"
    unit, name = _unit_for(column, meaning), plain_name(column)

    def stated(frame: Frame) -> Frame:
        value = None if frame.energy_ev is None else frame.energy_ev / _in_ev(1.0, unit, frame)
        if column == "energy" or value is None:
            return replace(frame, energy_ev=value)
        return replace(frame, energy_ev=None, columns={**frame.columns, name: value})

    listed = tuple(map(stated, frames.frames))
    return replace(frames, frames=listed, keys=tuple(sorted({key for frame in listed for key in frame.columns})))


def _of_own_names(frames: Frames, meaning: EnergyMeaning) -> Frames:
    """Frames with the energy that they state, or that of the first column whose name says its unit."""
    column = _used(frames)
    is_as_read = column == "energy" and meaning.unit is None and not any(map(_of_another_cell, frames.frames))
    is_there = column != "energy" or any(frame.energy_ev is not None for frame in frames.frames)
    return _of_column(frames, column, meaning) if is_there and not is_as_read else frames


def _used(frames: Frames, chosen: str | None = None) -> str:
    """The column that energies are of: the one named, else `energy`, else the first whose name says its unit."""
    if chosen is not None or any(frame.energy_ev is not None for frame in frames.frames):
        return chosen or "energy"
    return next((own for own in _OWN if any(own in frame.columns for frame in frames.frames)), "energy")


def _of_another_cell(frame: Frame) -> str:
    """What is said of a frame whose source counts other atoms than its structure has; nothing where it does not."""
    for column in _COUNTS:
        said = finite_number(str(frame.columns.get(column)))
        if frame.energy_ev is not None and said is not None and said != len(frame.numbers):
            return (
                f"expected the energy of the structure's {len(frame.numbers)} atoms, found {column} = {said:g}: it is of another "
                "cell. State energy_per_atom, or the structure that was calculated"
            )
    return ""


def _in_ev(value: float, unit: str, frame: Frame) -> float:
    """An energy in eV per cell."""
    found = factor_of(unit)
    assert found is not None  # noqa: S101  checked where the meaning was made
    factor, is_per_atom = found
    return value * factor * (len(frame.numbers) if is_per_atom else 1)


def _other_columns(frames: Frames, read: Frames, chosen: str | None, others: set[str]) -> list[str]:
    """Notes on columns that look like another total energy and differ from the one that is taken."""
    stated = [frame for frame in read.frames if frame.energy_ev is not None]
    if not stated:
        return []
    used = _used(frames, chosen)
    notes = []
    if used != "energy" and chosen is not None:
        as_written = {frame.number: frame.energy_ev for frame in frames.frames}
        differ = _differing("energy", [(frame, as_written[frame.number]) for frame in stated])
        notes += [_said(used, "energy", differ, len(stated))] if differ else []
    for column in energy_columns(stated):
        if column == used or column in others or _NO_TOTAL.fullmatch(column):
            continue
        differ = _differing(column, [(frame, finite_number(str(frame.columns.get(column)))) for frame in stated])
        notes += [_said(used, column, differ, len(stated))] if differ else []
    return notes


def _differing(column: str, pairs: Sequence[tuple[Frame, float | None]]) -> list[tuple[str, float]]:
    """Ids whose energy is another in a column, and by how much in eV/atom; read per cell or per atom, whichever is nearer."""
    given = [(frame, value) for frame, value in pairs if value is not None and frame.energy_ev is not None]
    if not given:
        return []
    n_atoms = np.array([len(frame.numbers) for frame, _ in given], np.float64)
    taken = np.array([frame.energy_ev for frame, _ in given], np.float64) / n_atoms
    claim = claim_of_name(column)
    values = np.array([value for _, value in given], np.float64) * (
        UNITS.get(claim.unit.removesuffix("/atom"), 1.0) if claim else 1.0
    )
    readings: list[NDArray[np.float64]] = [np.abs(values - taken)]
    if not is_per_atom(column):
        readings.append(np.abs(values / n_atoms - taken))
    nearest = min(readings, key=lambda deviations: float(np.median(deviations)))
    return [
        (frame.id, float(deviation))
        for (frame, _), deviation in zip(given, nearest, strict=True)
        if deviation > DIFFERENT_EV_PER_ATOM
    ]


def _said(used: str, column: str, differ: Sequence[tuple[str, float]], n: int) -> str:
    most = max(deviation for _, deviation in differ)
    return (
        f"{used} is taken; {column} stands beside it and differs for {len(differ)} of {n} "
        f"({shown_ids([name for name, _ in differ])}), by up to {most:.3g} eV/atom. Which one is meant is said by pool.energy "
        "(check: --energy)."
    )


def energy_columns(frames: Iterable[Frame]) -> tuple[str, ...]:
    """Columns of frames whose names look like energies, in the order of the alphabet."""
    return tuple(sorted({key for frame in frames for key in frame.columns if _LOOKS_SO.fullmatch(key)}))


def offered(frames: Iterable[Frame]) -> str:
    """Which columns may be meant where no energy is stated, in a sentence; nothing where none looks like it."""
    columns = energy_columns(frames)
    if not columns:
        return ""
    formation = [column for column in columns if _OF_FORMATION.fullmatch(column)]
    kind = f' (with pool.energy_kind = "formation" for {formation[0]})' if formation else ""
    return (
        f"Columns that look like energies: {', '.join(columns)}. Name one by pool.energy = {columns[0]!r}{kind}; "
        f"for check, hull and add, --energy {columns[0]}"
    )


def _with_ends(
    frames: Frames, references: Mapping[str, float], elements: Sequence[str], *, is_formation: bool
) -> Frames:
    """Frames and, for each element given that has no structure with this energy or a lower one, one that is made up."""
    foreign = sorted(set(references) - set(elements))
    if foreign:
        raise InvalidPoolError(
            f"pool.references: expected some of {', '.join(elements)}, found {', '.join(foreign)}. Correct the symbols."
        )
    made: list[Frame] = []
    notes: list[str] = []
    numbers, taken = dict(zip(elements, atomic_numbers(elements), strict=True)), {frame.id for frame in frames.frames}
    for symbol, reference in references.items():
        pure = [frame for frame in frames.frames if (frame.numbers == numbers[symbol]).all()]
        known = {f.id: f.energy_ev / len(f.numbers) for f in pure if f.energy_ev is not None}
        lowest = min(known, key=lambda name: known[name], default=None)
        if lowest is not None and not is_formation:
            raise _refused(frames, symbol, f"no pure {symbol} with an energy", lowest)
        if lowest is not None and known[lowest] < -DIFFERENT_EV_PER_ATOM:
            raise InvalidPoolError(
                f'{frames.path}: pool.energy_kind = "formation": expected 0 eV/atom or more for pure {symbol}, found '
                f"{known[lowest]:g} for {lowest!r}. Are these total energies?"
            )
        if lowest is None or known[lowest] > 1e-6:
            made.append(_made_up(symbol, numbers[symbol], reference, number=frames.n_frames + len(made) + 1))
            if made[-1].id in taken:
                raise InvalidPoolError(
                    f"{frames.path}: expected no structure called {made[-1].id!r}, the name of the reference, found one. Rename it."
                )
            why = (
                "the elements are at 0 in formation energies"
                if is_formation
                else f"pool.references = {reference:g} eV/atom"
            )
            notes.append(f"{made[-1].id} is the end of the axis at {symbol} ({why}); its crystal is made up.")
    return replace(frames, frames=(*frames.frames, *made), notes=(*frames.notes, *notes))


def _made_up(symbol: str, z: int, reference: float, *, number: int) -> Frame:
    """The element's crystal at its measured volume, or fcc of touching atoms where that is none of ASE's simple ones."""
    from ase.build import bulk  # noqa: PLC0415  (late: ASE loads slowly)
    from ase.data import covalent_radii  # noqa: PLC0415

    try:
        atoms = bulk(symbol)
    except (RuntimeError, ValueError, KeyError, NotImplementedError):
        atoms = bulk(symbol, "fcc", a=2.0 * 2.0**0.5 * float(covalent_radii[z]))
    return Frame(
        number=number,
        id=f"reference-{symbol}",
        numbers=np.asarray(atoms.numbers, np.int64),
        positions=np.asarray(atoms.positions, np.float64),
        cell=np.array(atoms.cell, np.float64),
        pbc=(True, True, True),
        energy_ev=reference * len(atoms),
        is_given=True,
    )
