"""Structures handed out as files for codes that run elsewhere; `replies` reads their results back.

A folder that is handed out holds the structure as POSCAR, CIF and extended XYZ, in right-handed cell vectors, and `manifest.json`
with its id, which is also the comment of the POSCAR; where it has initial magnetic moments, they are in the extended XYZ and, in
the order of the POSCAR, in `INCAR.magmom`. Beside these stands what a template holds, as an INCAR and a job script. It is made
under another name and moved into place when whole.
"""

from __future__ import annotations

import json
import os
import re
from itertools import chain, count, groupby
from typing import TYPE_CHECKING

from hullscout.contents import json_of, member_text, raw_content
from hullscout.errors import OutputError, UnsafeFileError
from hullscout.writing import half_made_beside, put

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from hullscout.pool import Candidate

MANIFEST = "manifest.json"
SCHEMA = 1
WRITTEN = {"POSCAR": "vasp", "structure.cif": "cif", "structure.extxyz": "extxyz"}
MAGMOM = "INCAR.magmom"
"""What VASP is told of magnetic moments: lines for its INCAR, handed out where a structure has any."""
FAILED = "FAILED"
"""A file of this name among results says that the calculation failed; what is in it says why."""
MAX_TEMPLATE_BYTES = 16 << 20
_WORDS_IN_LINE = 12  # lines of an INCAR have an end


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


def read_template(folder: Path) -> dict[str, tuple[bytes, int]]:
    """The files of a folder that go into each that is handed out: content and rights by name; `OutputError` for what cannot.

    Regular files only, no folders and no links, of other names than those that are handed out anyway.
    """
    found: dict[str, tuple[bytes, int]] = {}
    try:
        members = sorted(folder.iterdir())
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be read as a template: {error.strerror}. Give a folder with an INCAR, a job script and so on."
        ) from error
    for member in members:
        if member.name in {MAGMOM, MANIFEST, FAILED, *WRITTEN}:
            raise OutputError(
                f"{member}: expected other files than are handed out anyway. Remove it from the template."
            )
        if member.is_symlink():
            raise OutputError(f"{member}: expected a file, found a link. A template holds regular files only.")
        try:
            found[member.name] = (raw_content(member, MAX_TEMPLATE_BYTES + 1), member.stat().st_mode & 0o777)
        except (OSError, UnsafeFileError) as error:
            raise OutputError(f"{error} A template holds regular files only.") from error
        if sum(len(content) for content, _ in found.values()) > MAX_TEMPLATE_BYTES:
            raise OutputError(
                f"{folder}: expected files of no more than {MAX_TEMPLATE_BYTES >> 20} MB together, found more at {member.name}. "
                "Large ones, as potentials, are better named in the job script."
            )
    return found


def write_folder(
    outbox: Path,
    name: str,
    candidate: Candidate,
    *,
    campaign: str,
    elements: Sequence[str],
    template: Mapping[str, tuple[bytes, int]] | None = None,
) -> Path:
    """Write one structure into a folder of this name in the outbox, anew if it is there; one of another id is an OutputError.

    Beside it go the files of a template (see `read_template`); in a folder that is there already those that are not.
    """
    folder = outbox / name
    manifest = {
        "schema": SCHEMA,
        "campaign": campaign,
        "id": candidate.id,
        "formula": candidate.formula_in(elements),
        "n_atoms": candidate.n_atoms,
        "wanted": "total energy in eV of this cell",
    }
    if candidate.magmoms is not None:
        manifest["magnetic_moments"] = (
            f"initial ones in Bohr magnetons: the column initial_magmoms of structure.extxyz, and {MAGMOM} in the order of POSCAR; "
            "structure.cif holds none"
        )
    try:
        if folder.is_symlink():
            raise OutputError(
                f"{folder}: expected a folder, found a link. Nothing was changed; remove it or choose another --to."
            )
        if folder.exists() and _id_in(folder, campaign) != candidate.id:
            raise OutputError(
                f"{folder} holds something else than {candidate.id!r}. Nothing was changed; choose another --to."
            )
        outbox.mkdir(parents=True, exist_ok=True)
        with half_made_beside(folder) as half_made:
            half_made.mkdir()
            _write_structure(half_made, candidate)
            for file, (content, rights) in (template or {}).items():
                if not os.path.lexists(folder / file):
                    (half_made / file).write_bytes(content)
                    (half_made / file).chmod(rights)
            (half_made / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
            if folder.exists():  # results may lie in it already, so it is not replaced as a whole
                for written in sorted(half_made.iterdir()):
                    put(written, folder / written.name)
            else:
                put(half_made, folder)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}. Choose another --to.") from error
    return folder


def _write_structure(folder: Path, candidate: Candidate) -> None:
    from ase.io import write  # noqa: PLC0415  (late: ASE loads slowly)

    atoms = candidate.right_handed().to_ase()
    # POSCAR wants each element once; who reads it back compares structures, not lists of atoms.
    order = sorted(range(len(atoms)), key=lambda place: atoms.symbols[place])
    for file, kind in WRITTEN.items():
        write(folder / file, atoms[order] if kind == "vasp" else atoms, format=kind)
    _, *lines = (folder / "POSCAR").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "POSCAR").write_text("".join([f"{candidate.id}\n", *lines]), encoding="utf-8")
    if candidate.magmoms is not None:
        (folder / MAGMOM).write_text(magmom_lines(candidate.magmoms[order]), encoding="utf-8")


def magmom_lines(magmoms: NDArray[np.float64]) -> str:
    """Lines for VASP's INCAR that start a calculation from these moments, (n,) or (n, 3), in the order of its POSCAR.

    >>> import numpy as np
    >>> print(magmom_lines(np.array([2.2, 2.2, 2.2, -0.6])), end="")
    # initial magnetic moments, in the order of the atoms in POSCAR
    ISPIN = 2
    MAGMOM = 3*2.2 -0.6
    """
    words = magmom_words(magmoms).split()
    rows = [" ".join(words[start : start + _WORDS_IN_LINE]) for start in range(0, len(words), _WORDS_IN_LINE)]
    spin = "ISPIN = 2" if magmoms.ndim == 1 else "LNONCOLLINEAR = .TRUE."
    lines = "# initial magnetic moments, in the order of the atoms in POSCAR\n"
    return lines + f"{spin}\nMAGMOM = " + " \\\n    ".join(rows) + "\n"


def magmom_words(magmoms: NDArray[np.float64]) -> str:
    """Moments as VASP's MAGMOM has them: as many of one value in a row as `3*2.2`."""
    values = [value + 0.0 for value in magmoms.ravel().tolist()]  # no sign before zero
    runs = [(value, len(list(alike))) for value, alike in groupby(values)]
    return " ".join(f"{count}*{value!r}" if count > 1 else repr(value) for value, count in runs)


def _id_in(folder: Path, campaign: str) -> str | None:
    """The id in a folder's manifest, if it is of this campaign."""
    try:
        manifest = json_of(member_text(folder / MANIFEST))
        return str(manifest["id"]) if manifest["campaign"] == campaign else None
    except (OSError, UnsafeFileError, ValueError, KeyError, TypeError):
        return None
