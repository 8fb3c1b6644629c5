"""Structures handed out as files: a folder each, for codes that run elsewhere.

A folder holds the structure as POSCAR, CIF and extended XYZ, and `manifest.json` with its id. It is made under another name and
moved into place when whole.
"""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

from hullscout.errors import OutputError

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
    names: list[str] = []
    taken: set[str] = set()
    for candidate_id in ids:
        name, n = folder_name(candidate_id), 1
        while name.casefold() in taken:
            n += 1
            name = f"{folder_name(candidate_id)}-{n}"
        taken.add(name.casefold())
        names.append(name)
    return tuple(names)


def write_folder(outbox: Path, name: str, candidate: Candidate, *, campaign: str) -> Path:
    """Write one structure into its folder in the outbox; one of the same campaign and id that is there is written anew.

    Args:
        outbox: Folder of folders; made where there is none.
        name: Name of the structure's folder.
        candidate: The structure.
        campaign: Name of the campaign.

    Raises:
        OutputError: The folder holds something else, or cannot be written.
    """
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
        shutil.rmtree(half_made, ignore_errors=True)
        half_made.mkdir(parents=True)
        atoms = candidate.to_ase()
        for file, kind in WRITTEN.items():
            # POSCAR wants each element once: ASE sorts, and who reads it back compares structures, not lists of atoms.
            write(half_made / file, atoms, format=kind, **({"sort": True} if kind == "vasp" else {}))
        (half_made / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        if folder.exists():
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
