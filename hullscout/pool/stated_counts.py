"""POSCAR and CIF files against what they state of themselves: numbers of atoms, formulas, tags; and numbers as such.

A copy that was interrupted or edited by hand is often a structure still, of another compound. What is stated is compared with what
is there, and what is stated twice is refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hullscout.pool.frames import FrameError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymatgen.core.structure import Structure

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eEdD][+-]?[0-9]+)?")
_SYMBOLS_LINE, _VECTORS = 5, slice(2, 5)
_SAME_RATIO = 1e-3
_SAME_VOLUME = 2e-4  # relative, for angles, beside what edges and volume are rounded by
_TAG = re.compile(r"_[^\s]+")


def refuse_odd_poscar(text: str) -> None:
    """A FrameError where a POSCAR's counts are not those of its symbols and lines, or its numbers are none."""
    lines = text.splitlines()
    if len(lines) <= _SYMBOLS_LINE + 1:
        raise FrameError(
            f"not readable as POSCAR: expected comment, scale, cell, numbers and atoms, found {len(lines)} lines"
        )
    for line in (lines[1], *lines[_VECTORS]):
        _refuse_odd_numbers(re.split(r"[!#]", line)[0].split()[:3])
    place, symbols = _SYMBOLS_LINE, lines[_SYMBOLS_LINE].split()
    if symbols and not symbols[0][:1].isdigit():
        place += 1
    counts = re.split(r"[!#]", lines[place])[0].split()
    if not counts or not all(re.fullmatch(r"[0-9]{1,9}", count) for count in counts):
        raise FrameError(f"expected the numbers of atoms in line {place + 1}, found {lines[place].strip()[:60]!r}")
    if place > _SYMBOLS_LINE and len(symbols) != len(counts):
        raise FrameError(f"expected a number of atoms for each of {len(symbols)} symbols, found {len(counts)}")
    n_atoms, first = sum(map(int, counts)), place + 2
    if place + 1 < len(lines) and lines[place + 1].strip()[:1] in {"s", "S"}:
        first += 1
    atoms = lines[first : first + n_atoms]
    if len(atoms) < n_atoms:
        raise FrameError(f"expected {n_atoms} atoms, found lines for {len(atoms)}")
    for line in atoms:
        _refuse_odd_numbers(line.split()[:3])
    if _is_triple(follower := lines[first + n_atoms] if first + n_atoms < len(lines) else ""):
        raise FrameError(f"expected {n_atoms} atoms and then the end or an empty line, found {follower.strip()[:60]!r}")


def with_one_scale(text: str) -> str:
    """A POSCAR of scale 1 where one is stated for each of x, y and z, as VASP 6 takes it: of cell and Cartesian positions."""
    lines = text.splitlines()
    factors = [float(re.sub("[dD]", "e", word)) for word in re.split(r"[!#]", lines[1])[0].split()[:3]]
    if len(factors) == 1:
        return text
    if len(factors) != 3 or min(factors) <= 0:
        raise FrameError(f"expected one scale, or three above 0 for x, y and z, found {lines[1].strip()[:60]!r}")
    place = next(
        n for n in range(_SYMBOLS_LINE, len(lines)) if lines[n].split()[:1] and lines[n].split()[0].isdecimal()
    )
    n_atoms, mode = sum(int(count) for count in re.split(r"[!#]", lines[place])[0].split()), place + 1
    if lines[mode].strip()[:1] in {"s", "S"}:
        mode += 1
    is_cartesian = lines[mode].strip()[:1] in {*"cCkK"}
    scaled = range(mode + 1, mode + 1 + n_atoms) if is_cartesian else ()
    for number in (*range(*_VECTORS.indices(len(lines))), *scaled):
        words = lines[number].split()
        values = (float(re.sub("[dD]", "e", word)) * factor for word, factor in zip(words, factors, strict=False))
        lines[number] = " ".join([*map(repr, values), *words[3:]])
    lines[1] = "1.0"
    return "\n".join(lines) + "\n"


def _is_triple(line: str) -> bool:
    words = line.split()
    return len(words) >= 3 and all(_NUMBER.fullmatch(word) for word in words[:3])


def _refuse_odd_numbers(words: list[str]) -> None:
    for word in words:
        if not _NUMBER.fullmatch(word):
            raise FrameError(f"expected decimal numbers, found {word[:40]!r}")


def refuse_odd_tags(text: str) -> None:
    """A FrameError where a data block of a CIF states a tag twice, or a number of the cell goes on in the next line."""
    seen: set[str] = set()
    in_text, complete = False, ""
    for line in text.splitlines():
        if line.startswith(";"):
            in_text, complete = not in_text, ""
        if in_text or not (words := line.split()) or words[0].startswith("#"):
            continue
        if complete and _NUMBER.fullmatch(words[0]):
            raise FrameError(
                f"expected one value of {complete}, found {line.strip()[:40]!r} in a line of its own after it"
            )
        complete = ""
        if line[:5].lower() == "data_":
            seen = set()
        if tag := _TAG.match(line.lstrip()):
            if tag[0].lower() in seen:
                raise FrameError(f"expected {tag[0][:60]} once in a data block, found it twice")
            seen.add(tag[0].lower())
            complete = tag[0] if len(words) > 1 and tag[0].lower().startswith("_cell_") else ""


def refuse_other_formula(block: Mapping[str, Any], structure: Structure) -> None:
    """A FrameError where the atoms of a CIF are not those of its formula, or not as many, or its volume is another.

    Programs differ in whether the formula is of the cell or of a unit; where it states the units, one of the two has to be true.
    """
    from pymatgen.core.composition import Composition  # noqa: PLC0415  (late: a light import of this package)

    stated = " ".join(str(block.get("_chemical_formula_sum") or "").replace("'", " ").split())
    if re.fullmatch(r"([A-Z][a-z]?[0-9]*\.?[0-9]*\s*)+", stated):
        formula, found = Composition(stated), structure.composition.element_composition
        ratio = formula.num_atoms / found.num_atoms
        if formula.keys() != found.keys() or any(
            abs(formula[e] / ratio - n) > _SAME_RATIO * n for e, n in found.items()
        ):
            raise FrameError(f"expected the atoms of _chemical_formula_sum, {stated!r}, found {found.formula!r}")
        _refuse_other_number(block, formula.num_atoms, found.num_atoms)
    volume = _plain(block.get("_cell_volume"))
    edges = (f"_cell_length_{edge}" for edge in "abc")
    rounded = _SAME_VOLUME + sum(_last_digit(block.get(edge)) / (_plain(block.get(edge)) or 1.0) for edge in edges)
    if volume and abs(volume - structure.volume) > rounded * structure.volume + _last_digit(block.get("_cell_volume")):
        raise FrameError(f"expected a cell of _cell_volume, {volume:g} A^3, found one of {structure.volume:g} A^3")


def _last_digit(stated: object) -> float:
    """One unit of the last decimal of a number as it is written: it may be rounded by half of that.

    >>> _last_digit("51.31(2)"), _last_digit("4")
    (0.01, 1.0)
    """
    return float(10.0 ** -len(str(stated).partition("(")[0].partition(".")[2]))


def _refuse_other_number(block: Mapping[str, Any], n_stated: float, n_found: float) -> None:
    units = _plain(block.get("_cell_formula_units_z"))
    possible = {n_stated, n_stated * units} if units else {n_stated * max(1, round(n_found / n_stated))}
    if not any(abs(n_found - number) < _SAME_RATIO * number for number in possible):
        shown = " or ".join(f"{number:g}" for number in sorted(possible))
        raise FrameError(
            f"expected {shown} atoms by _chemical_formula_sum and _cell_formula_units_Z, found {n_found:g}"
        )


def _plain(value: object) -> float:
    """A number of a CIF without its uncertainty, 0 where it is none."""
    text = re.sub(r"\([0-9]+\)$", "", str(value or ""))
    return float(text) if re.fullmatch(r"[0-9]+\.?[0-9]*", text) else 0.0
