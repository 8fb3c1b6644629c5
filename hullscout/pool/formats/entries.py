"""JSON lists of pymatgen's `ComputedStructureEntry`, plain or gzipped.

The energy is the entry's, with the corrections that it carries; null for one that is yet to be computed. Columns are the single
values of `data` and `parameters`; settings are those that the Materials Project writes into `parameters`.
"""

from __future__ import annotations

import gzip
import json
import warnings
import zlib
from typing import TYPE_CHECKING, Any

from hullscout.errors import InvalidPoolError
from hullscout.pool.formats.gathering import Gathered, potentials
from hullscout.pool.frames import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hullscout.pool.frames import Frames

_GZIP_MAGIC = b"\x1f\x8b"


def read_json(path: Path) -> Any:
    """The content of a JSON file, plain or gzipped.

    Raises:
        InvalidPoolError: damaged, or no JSON.
    """
    raw = path.read_bytes()
    try:
        return json.loads(gzip.decompress(raw) if raw.startswith(_GZIP_MAGIC) else raw)
    except (EOFError, OSError, zlib.error) as error:
        raise InvalidPoolError(
            f"{path}: the compressed file is truncated or damaged ({error}). Copy or download it again."
        ) from error
    except (ValueError, RecursionError) as error:
        raise InvalidPoolError(
            f"{path}: expected JSON, found none that can be read: {error}. Write it again."
        ) from error


def read_entries(path: Path) -> Frames:
    """All entries of a file: a list, or a dictionary with a list under `entries`.

    Raises:
        InvalidPoolError: no list, or an entry without a structure or energy, or not readable.
    """
    tree = read_json(path)
    listed = tree.get("entries") if isinstance(tree, dict) else tree
    if not isinstance(listed, list) or not listed:
        found = f"a dictionary of {', '.join(list(tree)[:5])}" if isinstance(tree, dict) else type(tree).__name__
        raise InvalidPoolError(
            f"{path}: expected a list of pymatgen's ComputedStructureEntry with at least one, found {found}. Write one by "
            "monty.serialization.dumpfn(entries, path)."
        )
    from pymatgen.entries.computed_entries import ComputedStructureEntry  # noqa: PLC0415  (late: slow to import)

    gathered = Gathered(path)
    for place, entry in enumerate(listed, start=1):
        if not isinstance(entry, dict) or not {"structure", "energy"} <= entry.keys():
            what = f"one with {', '.join(sorted(entry)[:6])}" if isinstance(entry, dict) else type(entry).__name__
            gathered.faults.append(
                f"entry {place}: expected a ComputedStructureEntry (structure, energy), found {what}"
            )
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what is not used here
                computed = ComputedStructureEntry.from_dict({**entry, "energy": entry["energy"] or 0.0})
            columns = {**computed.data, **computed.parameters, **_settings(computed.parameters, computed.structure)}
            energy = None if entry["energy"] is None else float(computed.energy)
        except UNREADABLE as error:
            gathered.faults.append(f"entry {place}: not readable: {type(error).__name__}: {error}")
        else:
            name = "" if computed.entry_id is None else str(computed.entry_id)
            gathered.add(computed.structure, name=name, energy_ev=energy, columns=columns)
    return gathered.finish()


def _settings(parameters: Mapping[str, Any], structure: Any) -> dict[str, Any]:
    """Settings that are no single values: +U and pseudopotentials by element."""
    found: dict[str, Any] = {}
    if isinstance(parameters.get("hubbards"), dict):
        used = parameters["hubbards"]
        symbols = {site.specie.symbol for site in structure if structure.is_ordered}
        found |= {f"hubbard_u_{symbol}": float(used.get(symbol, 0.0)) for symbol in sorted(symbols)}
    specs = parameters.get("potcar_spec")
    if isinstance(specs, list):
        found |= potentials(str(spec.get("titel") or "") for spec in specs if isinstance(spec, dict))
    elif isinstance(parameters.get("potcar_symbols"), list):
        found |= potentials(str(title) for title in parameters["potcar_symbols"])
    incar = parameters.get("incar")
    if isinstance(incar, dict) and "ENCUT" in incar:
        found["cutoff"] = incar["ENCUT"]
    return found
