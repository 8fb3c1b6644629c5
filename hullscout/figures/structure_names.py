"""How labels name structures, each found once: to find a name takes longer than to draw it.

Those of a campaign's ground states are kept in its folder when it ends, sealed as its pool is, and used where the key says that the
same code found them; without the file they are found again.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from typing import TYPE_CHECKING

from hullscout.campaign.sealed import code_of, read_sealed, write_sealed
from hullscout.figures.prototypes import mathtext_structure
from hullscout.writing import clear_half_made

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hullscout.pool import Candidate

KEPT_NAMES = "names.kept"
"""Name of the file in a campaign's folder."""
_MADE_BY = (
    "lattice.py",
    "figures/parents.py",
    "figures/prototypes.py",
    "figures/structure_names.py",
    "figures/style.py",
)
_FOUND: dict[str, str] = {}


def structure_name(candidate: Candidate) -> str:
    """What `mathtext_structure` says of a structure."""
    key = _of_atoms(candidate)
    if key not in _FOUND:
        _FOUND[key] = mathtext_structure(candidate)
    return _FOUND[key]


def keep_names(folder: Path, candidates: Iterable[Candidate]) -> None:
    """Keep what structures are called; where that cannot be done, nothing is kept and nothing is said."""
    clear_half_made(folder / KEPT_NAMES)
    names = {_of_atoms(candidate): structure_name(candidate) for candidate in candidates}
    write_sealed(folder / KEPT_NAMES, _key(), {"names": names}, {})


def read_names(folder: Path) -> None:
    """Know what is kept in a folder, if this user and this code made it."""
    found = read_sealed(folder / KEPT_NAMES)
    if found is not None and found.key == _key():
        _FOUND.update(found.header["names"])


def _key() -> str:
    return f"names {version('pymatgen')} {version('spglib')} {code_of(_MADE_BY)}"


def _of_atoms(candidate: Candidate) -> str:
    """What tells the atoms of a structure from all others."""
    found = hashlib.sha256()
    for values in (candidate.numbers, candidate.positions, candidate.cell):
        found.update(values.tobytes())
    return found.hexdigest()
