"""Structures, energies and compositions from plain JSON, as pymatgen and the databases write them: data, and nothing that is run.

JSON of monty names modules and classes that its decoder imports and calls. Here none is: fields are taken by name, and what names a
module that no such file has a reason to name is a fault. What a file states twice (coordinates, cell, number of atoms, formula) has
to agree.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.pool.frames import FrameError
from hullscout.pool.settings import atomic_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pymatgen.core.structure import Structure

_HARMLESS = (
    "pymatgen.",
    "emmet.core.",
    "mp_api.",
    "atomate2.",
    "custodian.",
    "datetime",
    "numpy",
    "bson.",
    "uuid",
    "pathlib",
)
_MADE_BY_NAME = frozenset(
    {
        ("pymatgen.electronic_structure.core", "Magmom"),
        ("pymatgen.electronic_structure.core", "Spin"),
        ("numpy", "array"),
    }
)
_SAME_A = 1e-2  # of coordinates and edges, which files round
_SAME_EV = 1e-3
_COUNTS = ("nsites", "num_sites", "natoms", "n_atoms")
_FORMULAS = ("formula_pretty", "pretty_formula", "composition_reduced", "formula")


def refuse_modules(tree: object) -> None:
    """A FrameError where plain JSON, at any depth, asks for a module or an object that such files have no reason to name."""
    for found in dicts_in(tree):
        module = found.get("@module")
        is_known = module is None or (isinstance(module, str) and (module + ".").startswith(_HARMLESS))
        if not is_known or "@callable" in found or "__ase_objtype__" in found:
            named = module if not is_known else "a function" if "@callable" in found else found["__ase_objtype__"]
            raise FrameError(f"expected data, found a request to load {str(named)[:60]!r}: nothing from a file is run")


def dicts_in(tree: object) -> Iterator[dict[str, Any]]:
    """Every dictionary in plain JSON, at any depth."""
    waiting = [tree]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield found
            waiting.extend(found.values())
        elif isinstance(found, list):
            waiting.extend(found)


def structure_of_dict(stated: object) -> Structure:
    """A structure of pymatgen's `as_dict`, whose fields agree with each other."""
    from pymatgen.core.structure import Structure  # noqa: PLC0415  (late: slow to import)

    if (
        not isinstance(stated, dict)
        or not isinstance(stated.get("sites"), list)
        or not isinstance(stated.get("lattice"), dict)
    ):
        raise FrameError("expected a structure with lattice and sites, found something else")
    lattice, sites = stated["lattice"], stated["sites"]
    for site in sites:
        for found in dicts_in(site.get("properties") if isinstance(site, dict) else None):
            if ("@module" in found or "@class" in found) and (
                found.get("@module"),
                found.get("@class"),
            ) not in _MADE_BY_NAME:
                raise FrameError(
                    f"expected numbers and words as properties of sites, found {str(found.get('@class'))[:60]!r}"
                )
    fields = {key: stated[key] for key in ("charge",) if key in stated}
    plain = {key: lattice[key] for key in ("matrix", "a", "b", "c", "alpha", "beta", "gamma", "pbc") if key in lattice}
    structure = Structure.from_dict({"lattice": plain, "sites": sites, **fields})
    edges = [lattice.get(name) for name in ("a", "b", "c")]
    if "matrix" in lattice and None not in edges:
        _refuse_different("edges", edges, structure.lattice.abc)
    places = [site.get("xyz") for site in sites]
    if None not in places:
        _refuse_different("Cartesian coordinates", places, structure.cart_coords)
    return structure


def _refuse_different(what: str, stated: object, found: Any) -> None:
    values = np.asarray(stated, dtype=np.float64)
    if values.shape != np.shape(found) or not np.allclose(values, np.asarray(found), rtol=1e-4, atol=_SAME_A):
        raise FrameError(f"expected {what} that agree with the cell and the fractional coordinates, found others")


def energy_of_entry(entry: Mapping[str, Any]) -> float | None:
    """Energy in eV of the cell of an entry with its corrections, None for one that is yet to be computed."""
    energy = entry["energy"]
    if energy is None:
        return None
    adjustments = entry.get("energy_adjustments") or []
    if not isinstance(adjustments, list):
        raise FrameError(f"expected energy_adjustments as a list, found {type(adjustments).__name__}")
    correction = _number(entry.get("correction") or 0.0, "correction")
    if adjustments:
        total = math.fsum(_adjustment(stated) for stated in adjustments)
        if entry.get("correction") is not None and abs(total - correction) > _SAME_EV:
            raise FrameError(
                f"expected a correction that is the sum of the adjustments, {total:.6g} eV, found {correction:.6g} eV"
            )
        correction = total
    return _number(energy, "energy") + correction


def _adjustment(stated: object) -> float:
    """An adjustment in eV, of the kinds that pymatgen has."""
    if not isinstance(stated, dict):
        raise FrameError(f"expected an energy adjustment, found {type(stated).__name__}")
    kind, cls = stated.keys(), stated.get("@class")
    if "value" in kind:
        return _number(stated["value"], "value of an adjustment")
    if {"adj_per_atom", "n_atoms"} <= kind:
        names: tuple[str, ...] = ("adj_per_atom", "n_atoms")
    elif {"adj_per_deg", "temp", "n_atoms"} <= kind:
        names = ("adj_per_deg", "temp", "n_atoms")
    else:
        raise FrameError(f"expected an energy adjustment of a known kind, found {cls or sorted(map(str, kind))[:5]}")
    return math.prod(_number(stated[name], name) for name in names)


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FrameError(f"expected {name} as one number in eV, found {str(value)[:60]!r}")
    return float(value)


def refuse_other_atoms(stated: Mapping[str, Any], structure: Structure) -> None:
    """A FrameError where a number of atoms, a composition or a formula beside a structure is not that of its atoms."""
    counts = Counter(site.specie.symbol for site in structure) if structure.is_ordered else Counter()
    for key in _COUNTS:
        if stated.get(key) is not None and stated[key] != len(structure):
            raise FrameError(f"expected the {stated[key]} atoms of `{key}`, found a structure of {len(structure)}")
    composition = _composition(stated.get("composition"))
    if counts and composition and composition != counts:
        raise FrameError(f"expected the atoms of `composition`, {_shown(composition)}, found {_shown(counts)}")
    refuse_other_formula(stated, counts)


def refuse_other_formula(stated: Mapping[str, Any], counts: Mapping[str, float]) -> None:
    """A FrameError where a formula, of elements that there are, is not that of atoms by symbol; none is given where not whole."""
    for key in _FORMULAS:
        formula = _composition(stated.get(key)) if counts and key in stated else {}
        if formula and all(map(atomic_number, formula)) and _reduced(formula) != _reduced(counts):
            raise FrameError(f"expected the atoms of `{key}`, {_shown(formula)}, found {_shown(counts)}")


def _composition(stated: object) -> dict[str, float]:
    """Atoms by symbol in a dictionary or a plain formula; empty for what is neither."""
    if isinstance(stated, str):
        parts = re.findall(r"([A-Z][a-z]?)([0-9]*\.?[0-9]*)", stated)
        if "".join(symbol + number for symbol, number in parts) != "".join(stated.split()):
            return {}
        stated = [(symbol, float(number or 1)) for symbol, number in parts]
    elif isinstance(stated, dict):
        stated = [
            (re.sub(r"[^A-Za-z].*", "", str(key)), value)
            for key, value in stated.items()
            if not str(key).startswith("@")
        ]
    else:
        return {}
    found: dict[str, float] = {}
    for symbol, value in stated:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return {}
        found[symbol] = found.get(symbol, 0.0) + value
    return found


def _reduced(counts: Mapping[str, float]) -> dict[str, float]:
    total = sum(counts.values())
    return {symbol: round(number / total, 4) for symbol, number in counts.items() if number} if total else {}


def _shown(counts: Mapping[str, float]) -> str:
    return " ".join(f"{symbol}{number:g}" for symbol, number in counts.items())
