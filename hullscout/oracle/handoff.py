"""Structures handed out as files for codes that run elsewhere; `replies` reads their results back.

A folder that is handed out holds the structure as POSCAR, CIF and extended XYZ, and `manifest.json` with its id. It is made under
another name and moved into place when whole.
"""

from __future__ import annotations

import json
import re
from itertools import chain, count
from typing import TYPE_CHECKING

from hullscout.errors import OutputError
from hullscout.files import remove

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hullscout.pool import Candidate

MANIFEST = "manifest.json"
SCHEMA = 1
WRITTEN = {"POSCAR": "vasp", "structure.cif": "cif", "structure.extxyz": "extxyz"}


def folder_name(candidate_id: str) -> str:
    """An id as a folder name: letters, digits, dots, dashes and underscores, at most 100.

    >>> folder_name("fcc/Al3Li #2")
    'fcc-Al3Li-2'
    """
    return re.sub(r"[^\w.-]+", "-", candidate_id, flags=re.ASCII)[:100].strip("-.") or "structure"


def folder_names(ids: Sequence[str]) -> tuple[str, ...]:
    """A folder name for each id of a pool, in its order; ids whose names would be the same get numbers."""
    names: dict[str, str] = {}
    for plain in map(folder_name, ids):
        numbered = chain([plain], (f"{plain}-{n}" for n in count(2)))
        name = next(name for name in numbered if name.casefold() not in names)
        names[name.casefold()] = name
    return tuple(names.values())


def write_folder(outbox: Path, name: str, candidate: Candidate, *, campaign: str) -> Path:
    """Write one structure into a folder of this name in the outbox, anew if it is there; one of another id is an OutputError."""
    from ase.io import write  # noqa: PLC0415  (late: ASE loads slowly)

    folder, half_made = outbox / name, outbox / f".{name}.new"
    manifest = {
        "schema": SCHEMA,
        "campaign": campaign,
        "id": candidate.id,
        "formula": candidate.formula,
        "n_atoms": candidate.n_atoms,
        "wanted": "total energy in eV of this cell",
    }
    try:
        if folder.exists() and _id_in(folder, campaign) != candidate.id:
            raise OutputError(
                f"{folder} holds something else than {candidate.id!r}. Nothing was changed; choose another --to."
            )
        remove(half_made)
        half_made.mkdir(parents=True)
        atoms = candidate.to_ase()
        for file, kind in WRITTEN.items():
            # POSCAR wants each element once: ASE sorts, and who reads it back compares structures, not lists of atoms.
            write(half_made / file, atoms, format=kind, **({"sort": True} if kind == "vasp" else {}))
        (half_made / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        if folder.exists():  # results may lie in it already, so it is not replaced as a whole
            for file in (*WRITTEN, MANIFEST):
                (half_made / file).replace(folder / file)
            half_made.rmdir()
        else:
            half_made.rename(folder)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror}. Choose another --to.") from error
    return folder


def _id_in(folder: Path, campaign: str) -> str | None:
    """The id in a folder's manifest, if it is of this campaign."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return str(manifest["id"]) if manifest["campaign"] == campaign else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
