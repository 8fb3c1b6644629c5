"""Folder trees of ATAT's maps: a folder for each structure, with `str.out`, `energy` and, relaxed, `str_relax.out`.

The energy is that of the cell in eV. A folder with a file `error` is left out, as maps does; one without `energy` is yet to be
calculated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hullscout.contents import content_of, decimal
from hullscout.errors import InvalidPoolError
from hullscout.pool.folders import in_order, is_link_out
from hullscout.pool.frames import FrameError, Frames, Gathered, shown_ids

if TYPE_CHECKING:
    from pathlib import Path

_MAX_ENERGY = 1000  # bytes: a number
START, RELAXED, ENERGY, ERROR = "str.out", "str_relax.out", "energy", "error"


def find_atat_folders(folder: Path) -> list[Path]:
    """Folders anywhere in a folder that hold `str.out`."""
    return [path.parent for path in in_order(folder, folder.rglob(START))]


def read_atat(path: Path) -> Frames:
    """All structures of a tree, the relaxed ones where there are any."""
    folders = find_atat_folders(path)
    if not folders:
        raise InvalidPoolError(
            f"{path}: expected folders with {START} files of ATAT in it, found none. Name their folder."
        )
    gathered = Gathered(path)
    failed = [folder for folder in folders if (folder / ERROR).exists()]
    for folder in folders:
        if folder in failed:
            continue
        name = path.resolve().name if folder == path else folder.relative_to(path).as_posix()
        relaxed = folder / RELAXED
        file = relaxed if relaxed.is_file() else folder / START
        with gathered.reading(file.relative_to(path).as_posix(), " as a structure of ATAT"):
            if odd := next((each.name for each in (file, folder / ENERGY) if is_link_out(path, each)), ""):
                raise FrameError(f"expected files, found {odd}, a link that leads out of the folder")
            energy = _energy(folder / ENERGY)
            structure = _structure(file)
            n_before = len(_structure(folder / START)) if file is relaxed else len(structure)
            if n_before != len(structure):
                raise FrameError(f"expected the {n_before} atoms of {START}, found {len(structure)}")
            gathered.add(structure, name=name, energy_ev=energy, columns={})
    for folder in _without_start(path):
        place = folder.relative_to(path).as_posix()
        gathered.faults.append(
            f"{place}: expected {START} beside what is there, found none: put it back, or remove the folder"
        )
    if failed:
        shown = shown_ids([folder.relative_to(path).as_posix() for folder in failed])
        gathered.note(f"Left out, since they hold a file `{ERROR}`: {len(failed)} of {len(folders)} folders ({shown}).")
    if not gathered.frames and not gathered.faults:
        raise InvalidPoolError(f"{path}: expected folders without a file `{ERROR}`, found it in all {len(folders)}.")
    gathered.note("Whether the calculations behind ATAT's energies converged cannot be told from its files.")
    return gathered.finish()


def _without_start(path: Path) -> list[Path]:
    """Folders with an energy or a relaxed structure, and no start."""
    files = (file for name in (ENERGY, RELAXED) for file in in_order(path, path.rglob(name)))
    return sorted({file.parent for file in files if not (file.parent / START).is_file()})


def _energy(file: Path) -> float | None:
    """The energy in eV per cell, None where there is none yet."""
    if not file.is_file():
        return None
    words = content_of(file)[:_MAX_ENERGY].decode(errors="replace").split()
    try:
        (energy,) = map(decimal, words)
    except ValueError as error:
        raise FrameError(f"expected one energy in eV in {file.name}, found {' '.join(words)[:60]!r}") from error
    return energy


def _structure(file: Path) -> Any:
    """A structure as ATAT writes it; vacancies are no atoms."""
    from pymatgen.io.atat import Mcsqs  # noqa: PLC0415  (late: slow to import)

    lines = [line for line in content_of(file).decode().splitlines() if line.strip()]
    kept = [line for line in lines if line.split()[-1] not in {"Vac", "Va"}]
    return Mcsqs.structure_from_str("\n".join(kept))
