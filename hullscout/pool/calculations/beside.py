"""A calculation of VASP held against what stands beside it: files of one run agree, and such as do not are of several.

VASP writes a run to several files. Compared are the last energy, the last structure, the start, and whether the run ended and
converged. What is not there, or cannot be read, contradicts nothing.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hullscout.contents import DAMAGED, content_of, text_of
from hullscout.errors import ResultError
from hullscout.pool.calculations import vasp
from hullscout.pool.calculations.outcar import elapsed_s, read_outcar
from hullscout.pool.calculations.relaxation import EV_PER_KBAR_A3
from hullscout.pool.calculations.vasprun import read_vasprun
from hullscout.pool.folders import is_link_out
from hullscout.pool.frames import UNREADABLE, FrameError
from hullscout.pool.structure_files import structure_of_poscar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    import ase
    from numpy.typing import NDArray

    from hullscout.pool.calculations.calculation import Calculation

MAX_ENERGIES_APART_EV = 1e-4
"""Per cell. VASP prints energies to 1e-8 eV and volumes to 1e-8 of themselves: sums of three, and the work of 1000 kbar, stay
within 1e-5 eV."""
MAX_PLACES_APART = 1e-3
"""A. An OUTCAR prints positions to 1e-5 A; atoms this far apart differ by some 1e-6 eV in energy."""

_NAMED = re.compile(r"(?P<before>.*?)(vasprun\.xml|OUTCAR)(?P<after>.*?)(\.(gz|bz2|xz|zst))?")
_OSZICAR = re.compile(r"(.+[._-])?OSZICAR([._-].+)?")
_PACKED = ("", ".gz", ".bz2", ".xz", ".zst")
_STEP = re.compile(r"^ *\d+ F= *\S+ +E0= *([-+.\dEe]+)", re.MULTILINE)
_DIGITS = 1e-7  # relative: an OSZICAR prints eight digits


class _Read(NamedTuple):
    """A calculation and the name of its file."""

    name: str
    done: Calculation


def held_against_others(file: Path, done: Calculation, of_others: Collection[str] = ()) -> Calculation:
    """The calculation in a file of VASP, with the names of what beside it could not be compared; some names are not its run's.

    Raises:
        ResultError: A file of the same run beside it contradicts it.
    """
    unread = []
    for other, contradicts in _beside(file):
        if other.name in of_others:
            continue
        try:
            if is_link_out(file.parent, other):
                raise FrameError("a link that leads out of the folder is not followed")
            found = contradicts(_Read(file.name, done), other)
        except UNREADABLE:
            unread.append(other.name)
            continue
        if found:
            raise ResultError(
                f"expected {other.name} beside it to be of the same run, found {found}. Keep the files of one run, or each run in "
                "a folder of its own."
            )
    wall_s = done.wall_s
    if wall_s is None and file.name not in of_others:
        outcars = (
            other for other, contradicts in _beside(file) if contradicts is _of_outcar and other.name not in unread
        )
        wall_s = next((elapsed_s(text_of(content_of(other))) for other in outcars), None)
    return replace(done, uncompared=tuple(unread), wall_s=wall_s)


def names_beside(name: str) -> frozenset[str]:
    """The names that the other results of the run of a vasprun.xml or OUTCAR may have; none where it is not named so."""
    named = _NAMED.fullmatch(name)
    if named is None:
        return frozenset()
    same = {
        f"{named['before']}{kind}{named['after']}{packed}" for kind in ("vasprun.xml", "OUTCAR") for packed in _PACKED
    }
    return frozenset(same - {name})


def _beside(file: Path) -> Iterator[tuple[Path, Callable[[_Read, Path], str]]]:
    """Files of the same run in the folder of one of its results, each with what compares it."""
    named = _NAMED.fullmatch(file.name)
    before, after = (named["before"], named["after"]) if named else ("", "")
    for kind, contradicts in _COMPARED.items():
        for packed in _PACKED:
            other = file.with_name(f"{before}{kind}{after}{packed}")
            if other != file and other.is_file() and other.stat().st_size:
                yield other, contradicts
    printed = [other for other in file.parent.iterdir() if _OSZICAR.fullmatch(other.name) and other.is_file()]
    if named is None and len(printed) == 1 and printed[0].name not in {f"OSZICAR{packed}" for packed in _PACKED}:
        yield printed[0], _of_oszicar  # whatever they are called, these two are all that there is


def _of_results(this: _Read, file: Path, end: bytes, read: Callable[[Path], Calculation]) -> str:
    """Two results of one run, each read by itself."""
    try:
        if end not in content_of(file):
            return "that it is cut off"
    except DAMAGED:
        return "that it is cut off or damaged"
    try:
        other = read(file)
    except ResultError as error:
        return f"that {str(error).removesuffix('.')}"
    found = _structures_differ(this, other.atoms, of=this.done.atoms)
    if not found and abs(other.energy_ev - this.done.energy_ev) > MAX_ENERGIES_APART_EV:
        found = f"{other.energy_ev:.6f} eV there and {this.done.energy_ev:.6f} eV in {this.name}"
    if not found and other.unconverged and not this.done.unconverged:
        found = f"that by it {other.unconverged[0].lower()}{other.unconverged[1:]}, and by {this.name} nothing is amiss"
    return found


def _of_vasprun(this: _Read, file: Path) -> str:
    return _of_results(this, file, vasp.END_OF_VASPRUN, read_vasprun)


def _of_outcar(this: _Read, file: Path) -> str:
    return _of_results(this, file, vasp.END_OF_OUTCAR, read_outcar)


def _of_oszicar(this: _Read, file: Path) -> str:
    """The energies of all steps: with or without the work of an external pressure, by the version."""
    steps, done = _STEP.findall(text_of(content_of(file))), this.done
    if not steps:
        return f"no step that ended there, and one in {this.name}"
    work = float(str(done.columns.get("pstress") or 0.0)) * EV_PER_KBAR_A3 * float(done.atoms.get_volume())
    energy = float(steps[-1])
    apart = min(abs(energy - done.energy_ev), abs(energy - work - done.energy_ev))
    if apart > MAX_ENERGIES_APART_EV + _DIGITS * abs(energy):
        return f"{energy:.6f} eV there and {done.energy_ev:.6f} eV in {this.name}"
    return ""


def _of_contcar(this: _Read, file: Path) -> str:
    return _structures_differ(this, _poscar(file), of=this.done.atoms)


def _of_poscar(this: _Read, file: Path) -> str:
    """The start, or the end where it was copied to go on from there."""
    start, atoms = this.done.start or this.done.atoms, _poscar(file)
    differ = _structures_differ(this, atoms, of=start)
    return differ if _structures_differ(this, atoms, of=this.done.atoms) else ""


def _poscar(file: Path) -> ase.Atoms:
    from pymatgen.io.vasp.inputs import BadPoscarWarning  # noqa: PLC0415  (late: slow to import)

    with warnings.catch_warnings(action="ignore"):
        warnings.simplefilter("error", BadPoscarWarning)  # no symbols, and others made up for them
        atoms: ase.Atoms = structure_of_poscar(text_of(content_of(file))).to_ase_atoms(msonable=False)
    return atoms


def _structures_differ(this: _Read, there: ase.Atoms, *, of: ase.Atoms) -> str:
    """In what two structures of one run differ; atoms may be in other cells of the lattice."""
    if sorted(there.numbers.tolist()) != sorted(of.numbers.tolist()):
        return f"{there.symbols} there and {of.symbols} in {this.name}"
    cell: NDArray[np.float64] = of.cell.array
    apart = float(np.abs(there.cell.array - cell).max())
    if apart > MAX_PLACES_APART:
        volumes = f"{there.get_volume():.3f} and {of.get_volume():.3f} A^3"
        return f"another cell there than in {this.name}: vectors differ by up to {apart:.4f} A ({volumes})"
    if not np.array_equal(there.numbers, of.numbers):
        return f"atoms in another order there than in {this.name}"
    fractions = (there.positions - of.positions) @ np.linalg.inv(cell)
    moved = np.linalg.norm((fractions - np.rint(fractions)) @ cell, axis=1)
    if moved.max() > MAX_PLACES_APART:
        atom = int(np.argmax(moved))
        return f"other positions there than in {this.name}: atom {atom + 1} is {moved[atom]:.4f} A away"
    return ""


_COMPARED: dict[str, Callable[[_Read, Path], str]] = {
    "vasprun.xml": _of_vasprun,
    "OUTCAR": _of_outcar,
    "OSZICAR": _of_oszicar,
    "CONTCAR": _of_contcar,
    "POSCAR": _of_poscar,
}
