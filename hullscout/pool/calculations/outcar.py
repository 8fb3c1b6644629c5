"""One calculation from an OUTCAR of VASP, structure and energy read by ASE, what else matters by the lines that VASP writes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hullscout.contents import content_of
from hullscout.errors import ResultError
from hullscout.pool.calculations import vasp
from hullscout.pool.calculations.calculation import Calculation, plain_file
from hullscout.pool.columns import coarsest_k_spacing
from hullscout.pool.forces import largest_force

if TYPE_CHECKING:
    from pathlib import Path

_TAG = r"(?:^|[\s;]){}\s*=\s*(\S+)"
_TAGS = (
    "IBRION", "NSW", "ICHARG", "IMAGES", "NELM", "ISIF", "EDIFFG", "ENCUT", "PREC", "ISPIN", "LSORBIT", "LNONCOLLINEAR", "NELECT",
    "LREAL", "ISMEAR", "SIGMA", "PSTRESS", "GGA", "LUSE_VDW", "IVDW", "LVDW", "LHFCALC", "AEXX", "HFSCREEN", "ML_LMLFF",
)  # fmt: skip
_META = re.compile(r"METAGGA\s*=\s*([A-Za-z]\S+)")  # a lone F or T is what else is printed under this name
_TITLE = re.compile(r"^\s*(?:TITEL\s*=|POTCAR:)\s*(.+?)\s*$", re.MULTILINE)
_VALENCES = re.compile(r"Ionic Valenz\s+ZVAL\s*=((?:\s+[\d.]+)+)")
_COUNTS = re.compile(r"ions per type\s*=\s*((?:\d+ *)+)")
_MESH = re.compile(r"generate k-points for:\s+(\d+)\s+(\d+)\s+(\d+)")
_LOOP_ENDED = re.compile(r"aborting loop (because EDIFF is reached|EDIFF was not reached)")
_IN_LOOP = re.compile(r"energy without entropy *= *\S+ +energy\(sigma->0\) *= *([-\d.]+)")
_ITERATION = re.compile(r"Iteration\s+\d+\(\s*(\d+)\)")
_ELAPSED = re.compile(r"Elapsed time \(sec\): +(\d+(?:\.\d*)?)")
_U_LISTS = re.compile(r"for each species\s+(LDAU[LUJ])\s*=([^\n]+)")


def read_outcar(file: Path) -> Calculation:
    """The last step of an OUTCAR; its energy is for zero smearing and holds no work of an external pressure."""
    from ase.io import read  # noqa: PLC0415  (late: ASE loads slowly)

    content = content_of(file)
    text = content.decode(errors="replace")
    tags = _tags(text)
    vasp.refuse_other_runs(tags)
    with plain_file(content, "OUTCAR") as plain:
        atoms: Any = read(plain, index=-1, format="vasp-out")
        start: Any = read(plain, index=0, format="vasp-out")
    energy = float(atoms.get_potential_energy())
    if vasp.END_OF_OUTCAR not in content:
        raise ResultError("OUTCAR is cut off: expected the timings at its end. Is the calculation complete?")
    counts = _COUNTS.search(text)
    if counts and sum(map(int, counts[1].split())) != len(atoms):
        raise ResultError(
            f"expected the atoms of `ions per type` in OUTCAR, {' '.join(counts[1].split())}, found {len(atoms)}."
        )
    atoms.pbc = True
    loops = _IN_LOOP.findall(text)
    results = atoms.calc.results
    return Calculation(
        atoms=atoms,
        start=start,
        energy_ev=energy,
        columns=_columns(text, tags, atoms),
        unconverged=_unconverged(text, tags),
        max_force=largest_force(results.get("forces")),
        doubt=vasp.doubt_between(float(loops[-1]), energy, len(atoms), tags) if loops else "",
        wall_s=elapsed_s(text),
    )


def elapsed_s(text: str) -> float | None:
    """Seconds that a run took, by the timings at the end of its OUTCAR; None where they are not there."""
    found = _ELAPSED.findall(text)
    return float(found[-1]) if found else None


def _tags(text: str) -> dict[str, object]:
    """The tags that an OUTCAR prints, by the last print of each."""
    found: dict[str, object] = {}
    for name in _TAGS:
        if values := re.findall(_TAG.format(name), text, re.MULTILINE):
            found[name] = values[-1].rstrip(";")
    if meta := _META.search(text):
        found["METAGGA"] = meta[1]
    lists = _U_LISTS.findall(text)
    found |= dict(lists)
    if any(name == "LDAUU" for name, _ in lists):
        found["LDAU"] = "T"
    elif found:
        found["LDAU"] = "F"
    return found


def _unconverged(text: str, tags: dict[str, object]) -> str:
    """What did not converge, in words that begin a sentence; old versions say that EDIFF is reached at NELM, too."""
    ended, iterations = _LOOP_ENDED.findall(text), _ITERATION.findall(text)
    n_max = int(float(str(tags.get("NELM", 0))))
    if ended and "not" in ended[-1]:
        return "The electrons did not converge"
    if n_max and iterations and int(iterations[-1]) >= n_max:
        return f"The electrons did not converge within NELM = {n_max} steps"
    if vasp.is_relaxation(tags) and "reached required accuracy" not in text:
        return f"The atoms did not come to rest (NSW = {tags['NSW']}): VASP does not say that it reached the required accuracy"
    return ""


def _columns(text: str, tags: dict[str, object], atoms: Any) -> dict[str, object]:
    """The settings: tags, potentials, charge, k-points, version."""
    titles = list(dict.fromkeys(_TITLE.findall(text)))
    symbols = [re.split(r"[_.]", (title.split()[1:] or title.split())[0])[0] for title in titles]
    counts = _COUNTS.search(text)
    valences = _VALENCES.search(text)
    version = re.match(r"\s*vasp\.(\S+)", text)
    mesh = _MESH.search(text)
    return {
        **vasp.settings_of(tags, titles=titles, symbols=symbols),
        **vasp.excess_charge(
            tags.get("NELECT"),
            [float(valence) for valence in valences[1].split()] if valences else [],
            [int(n) for n in counts[1].split()] if counts else [],
        ),
        **coarsest_k_spacing(atoms.cell.array, [int(n) for n in mesh.groups()] if mesh else ()),
        **({"code_version": version[1]} if version else {}),
    }
