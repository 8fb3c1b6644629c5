"""Lists of entries and documents in JSON: pymatgen's, the Materials Project's, Alexandria's and JARVIS'.

The energy of a `ComputedStructureEntry` is with the corrections that it carries; null for one that is yet to be computed. Documents
of the Materials Project's API and of JARVIS state energies per atom, which are multiplied by the atoms of their structure. Columns
are the single values of `data` and `parameters`, or of the document.

A scheme that mixes functionals (GGA, GGA+U, r2SCAN) moves energies onto one hull: an entry that carries its adjustment is not
compared by functional and +U any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.contents import DAMAGED, content_of, json_of
from hullscout.errors import InvalidPoolError, ResultError, UnsafeFileError
from hullscout.pool.calculations import refuse_other_runs, settings_of
from hullscout.pool.columns import potentials
from hullscout.pool.frames import FrameError, Frames, Gathered
from hullscout.pool.plain_structures import energy_of_entry, refuse_modules, refuse_other_atoms, structure_of_dict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import ArrayLike
    from pymatgen.core.structure import Structure

MAX_ROUNDING = 1e-3
"""What a crystal states twice may differ by so much, in A and as a share: databases round."""
_LISTS = ("entries", "data", "docs", "results")  # keys of a dictionary that hold the list
_IDS = ("entry_id", "mat_id", "material_id", "jid", "task_id", "id")
_PER_ATOM = ("energy_per_atom", "uncorrected_energy_per_atom", "optb88vdw_total_energy")
_MIXED = {"run_type", "is_hubbard"}  # what a scheme that mixes functionals makes one
_FORMATION = ("formation_energy_per_atom", "formation_energy_peratom", "e_form")


def read_json(path: Path) -> Any:
    """The content of a JSON file, plain or compressed."""
    try:
        raw = content_of(path)
    except UnsafeFileError as error:
        raise InvalidPoolError(f"{str(error).rstrip('.')}.") from error
    except DAMAGED as error:
        raise InvalidPoolError(
            f"{path}: the compressed file is truncated or damaged ({error}). Copy or download it again."
        ) from error
    try:
        return json_of(raw)
    except ValueError as error:
        raise InvalidPoolError(
            f"{path}: expected JSON, found none that can be read: {error}. Write it again."
        ) from error


def read_entries(path: Path) -> Frames:
    """All entries or documents of a file: a list, or a dictionary with a list in it."""
    tree = read_json(path)
    listed = tree
    if isinstance(tree, dict):
        listed = next((tree[key] for key in _LISTS if isinstance(tree.get(key), list)), None)
    if not isinstance(listed, list) or not listed:
        found = f"a dictionary of {', '.join(list(tree)[:5])}" if isinstance(tree, dict) else type(tree).__name__
        raise InvalidPoolError(
            f"{path}: expected a list of pymatgen's ComputedStructureEntry with at least one, found {found}. Write one by "
            "monty.serialization.dumpfn(entries, path)."
        )
    gathered = Gathered(path)
    for place, entry in enumerate(listed, start=1):
        with gathered.reading(f"entry {place}"):
            _refuse_two_crystals(entry)
            _add(gathered, entry)
    return gathered.finish()


def _add(gathered: Gathered, entry: object) -> None:
    """Add one entry or document."""
    if not isinstance(entry, dict):
        raise FrameError(f"expected a ComputedStructureEntry (structure, energy), found {type(entry).__name__}")
    refuse_modules(entry)
    if {"structure", "energy"} <= entry.keys():
        _add_entry(gathered, entry)
    elif isinstance(entry.get("entries"), dict) and "structure" not in entry:
        _add_entry(gathered, _one_of(entry))
    elif "atoms" in entry or "structure" in entry:
        _add_document(gathered, entry)
    else:
        found = f"one with {', '.join(map(str, sorted(entry, key=str)[:6]))}"
        raise FrameError(f"expected a ComputedStructureEntry (structure, energy), found {found}")


def _add_entry(gathered: Gathered, entry: Mapping[str, Any]) -> None:
    structure = structure_of_dict(entry["structure"])
    refuse_other_atoms(entry, structure)
    data, parameters = ({**(entry.get(name) or {})} for name in ("data", "parameters"))
    stated = {**data, **parameters}
    columns = {**stated, **_settings_of_entry(parameters, structure)}
    energy = energy_of_entry(entry)
    _refuse_another_per_atom(entry, len(structure), energy)
    adjustments = (str(adjustment.get("name")) for adjustment in entry.get("energy_adjustments") or [])
    if adjusted := [name for name in adjustments if "mixing" in name.lower()]:
        columns = {key: v for key, v in columns.items() if key not in _MIXED and not key.startswith("hubbard")}
        gathered.note(f"Adjusted by a scheme that mixes functionals, and so of one hull: entries with {adjusted[0]!r}.")
    gathered.add(structure, name=_id_of({**stated, **entry}), energy_ev=energy, columns=columns)


def _refuse_another_per_atom(entry: Mapping[str, Any], n_atoms: int, energy: float | None) -> None:
    """A FrameError where an entry states an energy per atom beside its energy, with or without corrections, that is another."""
    per_atom = entry.get("energy_per_atom")
    if energy is None or not isinstance(per_atom, int | float):
        return
    nearest = min((energy, float(entry["energy"])), key=lambda each: abs(each / n_atoms - per_atom))
    if abs(nearest / n_atoms - per_atom) > MAX_ROUNDING:
        raise FrameError(
            f"expected energy_per_atom to be the energy over {n_atoms} atoms, {nearest / n_atoms:.6g} eV, found {per_atom:g}"
        )


def _one_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """The entry of a document of the Materials Project that holds several by functional: the one that it is about."""
    entries: dict[str, Any] = {key: value for key, value in document["entries"].items() if isinstance(value, dict)}
    chosen = document.get("energy_type") or document.get("thermo_type")
    if len(entries) != 1 and chosen not in entries:
        raise FrameError(f"expected one entry, or `energy_type` that names one, found {', '.join(entries) or 'none'}")
    entry = dict(entries[chosen] if chosen in entries else next(iter(entries.values())))
    if not {"structure", "energy"} <= entry.keys():
        raise FrameError(
            "expected entries with structures in the document, found none. Ask the API for structures, too"
        )
    return {
        **entry,
        "data": {**(entry.get("data") or {}), "material_id": document.get("material_id")},
        "entry_id": None,
    }


def _add_document(gathered: Gathered, document: Mapping[str, Any]) -> None:
    """Add a document that states a structure and an energy per atom."""
    key = next((key for key in _PER_ATOM if document.get(key) is not None), None)
    if key is None and any(name in document for name in _FORMATION):
        raise FrameError(
            f"expected a total energy ({', '.join(_PER_ATOM)}), found formation energies only. Ask the database for it"
        )
    if key is None:
        raise FrameError(
            f"expected an energy ({', '.join(('energy', *_PER_ATOM))}), found none among {', '.join(list(document)[:8])}"
        )
    value = document[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FrameError(f"expected {key} as one number in eV per atom, found {value!r}")
    structure = _structure_of(document)
    refuse_other_atoms(document, structure)
    columns: dict[str, object] = {name: value for name, value in document.items() if name not in _PER_ATOM}
    if key == "optb88vdw_total_energy":
        columns["functional"] = "optB88-vdW"
    elif thermo := document.get("thermo_type"):
        columns = {**{name: value for name, value in columns.items() if name not in _MIXED}, "functional": str(thermo)}
    gathered.note(f"Energies are `{key}` of the documents, in eV per atom, times the atoms of the structure.")
    gathered.add(structure, name=_id_of(document), energy_ev=float(value) * len(structure), columns=columns)


def _structure_of(document: Mapping[str, Any]) -> Structure:
    """The structure of a document: pymatgen's, or atoms as JARVIS writes them."""
    from pymatgen.core.structure import Structure  # noqa: PLC0415  (late: slow to import)

    if "structure" in document:
        return structure_of_dict(document["structure"])
    atoms = document["atoms"]
    if not isinstance(atoms, dict) or not {"lattice_mat", "coords", "elements"} <= atoms.keys():
        raise FrameError("expected `atoms` with lattice_mat, coords and elements, found something else")
    symbols = [str(symbol).strip() for symbol in atoms["elements"]]
    is_cartesian = str(atoms.get("cartesian", False)).lower() == "true"
    return Structure(atoms["lattice_mat"], symbols, atoms["coords"], coords_are_cartesian=is_cartesian)


def _refuse_two_crystals(entry: Any) -> None:
    """A FrameError where what is stated of a crystal beside its cell and its fractions is of another one."""
    structure, atoms = (entry.get(key) if isinstance(entry, dict) else None for key in ("structure", "atoms"))
    if isinstance(structure, dict) and isinstance(lattice := structure.get("lattice"), dict) and "matrix" in lattice:
        cell = np.array(lattice["matrix"], np.float64)
        _refuse_other("edges a, b, c", [lattice.get(edge) for edge in "abc"], np.linalg.norm(cell, axis=1))
        _refuse_other("volume", [lattice.get("volume")], [abs(np.linalg.det(cell))])
        sites = [
            site for site in structure.get("sites", []) if isinstance(site, dict) and {"abc", "xyz"} <= site.keys()
        ]
        for number, site in enumerate(sites, start=1):
            _refuse_other(f"xyz of site {number}", site["xyz"], np.array(site["abc"], np.float64) @ cell)
    if isinstance(atoms, dict) and "abc" in atoms and "lattice_mat" in atoms:
        _refuse_other("edges `abc`", atoms["abc"], np.linalg.norm(np.array(atoms["lattice_mat"], np.float64), axis=1))


def _refuse_other(what: str, stated: Any, found: ArrayLike) -> None:
    """A FrameError where numbers are stated that are not those found, by more than rounding."""
    if None in stated:
        return
    numbers, others = np.array(stated, np.float64), np.asarray(found, np.float64)
    if numbers.shape != others.shape or not np.allclose(numbers, others, rtol=MAX_ROUNDING, atol=MAX_ROUNDING):
        shown = ", ".join(f"{number:.6g}" for number in np.ravel(others))
        raise FrameError(
            f"expected {what} of its cell and fractions, {shown}, found {str(stated)[:80]}: which is meant?"
        )


def _id_of(stated: Mapping[str, Any]) -> str:
    """The first id that is stated, empty where there is none."""
    return next((str(stated[key]) for key in _IDS if stated.get(key) is not None), "")


def _settings_of_entry(parameters: Mapping[str, Any], structure: Structure) -> dict[str, object]:
    """Settings that are no single values: tags, +U and pseudopotentials by element; a FrameError for runs of another kind."""
    found: dict[str, object] = {}
    incar = parameters.get("incar")
    if isinstance(incar, dict):
        tags = {str(key).upper(): value for key, value in incar.items()}
        try:
            refuse_other_runs(tags)
        except ResultError as error:
            raise FrameError(str(error).removesuffix(".")) from error
        found |= settings_of(tags)
        if "run_type" in parameters:
            found.pop("functional", None)
    used = parameters.get("hubbards")
    if isinstance(used, dict):
        symbols = {site.specie.symbol for site in structure if structure.is_ordered}
        found |= {f"hubbard_u_{symbol}": float(used.get(symbol, 0.0)) for symbol in sorted(symbols)}
    specs, titles = parameters.get("potcar_spec"), parameters.get("potcar_symbols")
    if isinstance(specs, list):
        found |= potentials(str(spec.get("titel") or "") for spec in specs if isinstance(spec, dict))
    elif isinstance(titles, list):
        found |= potentials(str(title) for title in titles)
    return found
