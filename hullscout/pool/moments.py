"""Initial magnetic moments: what a source states of each atom, in Bohr magnetons, as calculators and files take them.

Collinear moments are (n,) numbers along one axis that nobody names, up positive; vectors are (n, 3), Cartesian, in the frame of the
positions. Atoms for which a source states none while it does for others have 0. None is stated of any atom: no moments at all,
which is not the same as zeros.

Moments that a calculation ended in are taken where no initial ones are stated: the best start for the next.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.errors import InvalidStructureError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

COLUMNS = ("initial_magmoms", "initial_magmom", "magmoms", "magmom", "magnetic_moments")
"""Names of moments atom by atom, the first that is there is taken; small and capital letters are the same."""

_LOOKS_SO = re.compile(r"(?i)(?!total_)(.*_)?(mag_?mom(ent)?s?|magnetic_?moments?|moments?|spins?|mag)")
_NUMBER = re.compile(r"(?:([0-9]+)\*)?([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")

MAX_MOMENT = 100.0
"""No moment of an atom is further from zero, Bohr magnetons: what states more is no moment."""


MAX_LISTED = 100_000
"""Numbers that are read of one list of moments in words."""


def checked_moments(values: ArrayLike, n: int) -> NDArray[np.float64]:
    """Moments (n,) or (n, 3) of n atoms, finite and at most MAX_MOMENT; else an InvalidStructureError, which does not name it."""
    try:
        moments = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidStructureError(
            f"expected magnetic moments as numbers in Bohr magnetons, found {values!r}. Correct them or leave them out."
        ) from error
    if moments.shape == (n, 1):
        moments = moments[:, 0]
    if moments.shape not in {(n,), (n, 3)}:
        raise InvalidStructureError(
            f"expected one magnetic moment, or a vector of three, for each of {n} atoms, found an array {moments.shape}. "
            "Correct them or leave them out."
        )
    if not (np.abs(moments) <= MAX_MOMENT).all():
        raise InvalidStructureError(
            f"expected finite magnetic moments of at most {MAX_MOMENT:g} Bohr magnetons, found {moments.tolist()}. "
            "Correct them or leave them out."
        )
    moments.setflags(write=False)
    return moments


def moments_of_atoms(atoms: Any) -> NDArray[np.float64] | None:
    """What ASE's atoms state: their array of initial moments, or another by a name of COLUMNS, or what their calculator kept."""
    n, arrays = len(atoms.numbers), {name.lower(): values for name, values in getattr(atoms, "arrays", {}).items()}
    stated = next((arrays[name] for name in COLUMNS if name in arrays), None)
    if stated is None:
        calculator: Any = getattr(atoms, "calc", None)
        results = getattr(calculator, "results", {})
        stated = results.get("magmoms")
        if stated is None or calculator.check_state(atoms):
            return None
    return checked_moments(stated, n)


def moments_of_sites(sites: Sequence[Any]) -> NDArray[np.float64] | None:
    """What pymatgen's sites state: `magmom` of each, a number, a vector or pymatgen's `Magmom`, or the spin of its species."""
    stated = [next((site.properties[name] for name in COLUMNS if name in site.properties), None) for site in sites]
    if all(value is None for value in stated):
        stated = [getattr(site.specie, "spin", None) for site in sites]
    if all(value is None for value in stated):
        return None
    rows = [_vector(0.0 if value is None else value) for value in stated]
    if any(len(row) == 3 for row in rows):  # a single number among vectors is along z, as pymatgen has it
        rows = [row if len(row) == 3 else [0.0, 0.0, *row] for row in rows]
    return checked_moments(rows, len(rows))


def _vector(value: Any) -> list[float]:
    """The one or three numbers of a moment."""
    if hasattr(value, "global_moment"):
        moment = [float(component) for component in value.global_moment]
        return moment if any(moment[:2]) or np.ndim(value.moment) else moment[2:]
    return [float(component) for component in np.ravel(value)]


def moments_in_words(columns: Mapping[str, object], n: int) -> tuple[str, NDArray[np.float64]] | None:
    """The column among single values that states moments of all n atoms in their order, and these; None where none does.

    A single number is of the whole cell where it stands in no brackets and the name is `magmom`; `4*2.0` is 2.0 four times.

    >>> moments_in_words({"magmom": "[2*0.6 -2.2]", "spin": "up"}, 3)
    ('magmom', array([ 0.6,  0.6, -2.2]))
    >>> moments_in_words({"magmom": 1.2}, 1) is None
    True
    """
    named = {name.lower(): name for name in columns}
    for column in COLUMNS:
        value = columns[named[column]] if column in named else None
        values = _listed(value)
        is_list = not isinstance(value, str | float | int) or str(value)[:1] in {*"[{("} or column != "magmom"
        if values and len(values) in {n, 3 * n} and (len(values) > 1 or is_list):
            return named[column], checked_moments(np.reshape(values, (n, -1)), n)
    return None


def _listed(value: object) -> list[float]:
    """The numbers of a list, in memory or in words, nothing where it holds anything else."""
    if not isinstance(value, str):
        array = (
            np.ravel(np.asarray(value)) if isinstance(value, list | tuple | np.ndarray | float | int) else np.array([])
        )
        return array.astype(np.float64).tolist() if array.dtype.kind in "fiu" else []
    words = re.split(r"[\s,;]+", re.sub(r"[\[\](){}]", " ", value).strip())
    found = [_NUMBER.fullmatch(word) for word in words]
    if None in found or sum(int(match[1] or 1) for match in found if match) > MAX_LISTED:
        return []
    return [float(match[2]) for match in found if match for _ in range(int(match[1] or 1))]


def unused_note(columns: Mapping[str, object], atom_by_atom: Iterable[str]) -> str:
    """A sentence on columns, of frames or atoms, that look like moments where none are used; empty for none, or zeros."""
    found = {name for name, value in columns.items() if _looks_so(name) and _is_stated(value)}
    alike = sorted({*found, *filter(_looks_so, atom_by_atom)})
    if not alike:
        return ""
    return (
        f"Not used, though {'they look' if len(alike) > 1 else 'it looks'} like magnetic moments: {', '.join(alike)}. Initial "
        f"moments are read, one for each atom, by the names {', '.join(COLUMNS)}."
    )


def _is_stated(value: object) -> bool:
    """Whether a value is neither 0 nor empty."""
    numbers = _listed(value)
    return any(numbers) if numbers else bool(value)


@lru_cache(maxsize=1024)
def _looks_so(name: str) -> bool:
    return _LOOKS_SO.fullmatch(name) is not None


def moments_by_rule(numbers: NDArray[np.int64], rule: Mapping[str, float]) -> NDArray[np.float64]:
    """(n,) the moment of each atom by its chemical symbol; 0 for elements that the rule does not name."""
    from ase.data import atomic_numbers  # noqa: PLC0415  (late: ASE loads slowly)

    by_number = {atomic_numbers[symbol]: moment for symbol, moment in rule.items()}
    return checked_moments([by_number.get(number, 0.0) for number in numbers.tolist()], len(numbers))


def has_moments(moments: NDArray[np.float64] | None) -> bool:
    """Whether any atom has a moment that is not zero."""
    return moments is not None and bool(moments.any())


def moment_note(stated: Sequence[NDArray[np.float64] | None], siblings: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """What is to be known of the moments of a pool, in sentences: how many structures state any, and which are one crystal.

    Siblings are the ids of candidates that are one crystal in several magnetic orderings.
    """
    n_stated = sum(moments is not None for moments in stated)
    said = []
    if n_stated:
        others = "" if n_stated == len(stated) else f"; the other {len(stated) - n_stated} state none"
        said.append(
            f"{n_stated} of {len(stated)} structures state magnetic moments{others}. Calculations start from them, and files that "
            "are handed out hold them."
        )
    if siblings:
        shown = ", ".join(siblings[0][:4]) + (", ..." if len(siblings[0]) > 4 else "")
        said.append(
            f"{len(siblings)} {'crystal occurs' if len(siblings) == 1 else 'crystals occur'} in several magnetic orderings, each a "
            f"candidate of its own. The first: {shown}. Their moments are features of their own, since positions and elements "
            "cannot tell them apart; what each ordering costs in energy is learned from those that are known."
        )
    return tuple(said)
