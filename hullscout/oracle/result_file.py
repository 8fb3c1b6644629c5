"""One file with the result of a calculation: which files are such, the energy in them, and whether the code converged."""

from __future__ import annotations

import gzip
import math
import re
from typing import TYPE_CHECKING, Any, cast
from xml.etree import ElementTree as ET

from hullscout.errors import ResultError

if TYPE_CHECKING:
    from pathlib import Path

    import ase

FAILED = "FAILED"
"""A file of this name says that the calculation failed; what is in it says why."""
VASP_NAME = re.compile(r"(?P<file>vasprun\.xml|OUTCAR)(\.relax(?P<run>\d+))?(\.gz)?")
"""Files that VASP writes, also of one of several runs in a folder (in the manner of custodian)."""
_SUFFIXES = {".xml", ".traj", ".extxyz", ".xyz", ".json", ".db", ".out", ".pwo", ".log", ".gpw", ".castep"}


def may_hold_energy(file: Path) -> bool:
    """Whether a file has the name of a result: of VASP's, a FAILED, or one of other codes that ASE may read."""
    return preference(file) is not None or file.suffix.lower() in _SUFFIXES


def preference(file: Path) -> tuple[int, float] | None:
    """The place of a file among those that are taken before others, the lowest first; None for others."""
    if file.name == FAILED:
        return 0, 0.0
    vasp = VASP_NAME.fullmatch(file.name)
    if vasp is None:
        return None
    return 1 if vasp["file"] == "vasprun.xml" else 2, -float(vasp["run"] or math.inf)


def read_atoms(file: Path) -> ase.Atoms:
    """The last structure with an energy of a file, as ASE reads it."""
    from ase.io import read  # noqa: PLC0415  (late: ASE loads slowly)

    kind = {"vasprun.xml": "vasp-xml", "OUTCAR": "vasp-out"}.get(vasp_file(file))
    try:
        atoms: Any = read(file, index=-1, format=kind)
        atoms.get_potential_energy()
    except Exception as error:  # a reader of a foreign file may raise anything
        text = " ".join(str(error).split())[:200]
        raise ResultError(
            f"{file.name} holds no energy that can be read ({type(error).__name__}: {text}). Is the calculation complete? "
            f"If it failed, put a file {FAILED} beside it that says why."
        ) from error
    return cast("ase.Atoms", atoms)


def holds_energy(file: Path) -> bool:
    """Whether ASE reads an energy from a file."""
    try:
        read_atoms(file)
    except ResultError:
        return False
    return True


def vasp_file(file: Path) -> str:
    """`vasprun.xml` or `OUTCAR`, whichever run it is of and whether compressed; empty for other files."""
    vasp = VASP_NAME.fullmatch(file.name)
    return "" if vasp is None else vasp["file"]


def what_did_not_converge(file: Path) -> str:
    """What the code says of its own convergence, for codes that do not fail without it; empty where it converged."""
    opened = gzip.open if file.name.endswith(".gz") else open
    name = vasp_file(file)
    if not name:
        return ""
    with opened(file, "rt", encoding="utf-8", errors="replace") as stream:
        text = stream.read()
    if name == "vasprun.xml":
        return _vasprun_convergence(text)
    if "General timing and accounting" not in text:
        raise ResultError("OUTCAR is cut off: expected the timings at its end. Is the calculation complete?")
    loops = re.findall(r"aborting loop (because EDIFF is reached|EDIFF was not reached)", text)
    if loops and "not" in loops[-1]:
        return "The electrons did not converge"
    n_steps, mode = (re.search(rf"\b{key}\s*=\s*(-?\d+)", text) for key in ("NSW", "IBRION"))
    is_relaxation = n_steps and mode and int(n_steps[1]) > 1 and int(mode[1]) in (1, 2, 3)
    return "The atoms did not come to rest" if is_relaxation and "reached required accuracy" not in text else ""


def _vasprun_convergence(text: str) -> str:
    """As pymatgen judges: the last step took less than NELM electronic, the relaxation less than NSW ionic steps."""
    try:
        root = ET.fromstring(text)  # noqa: S314  the user's own result
    except ET.ParseError as error:
        raise ResultError(f"vasprun.xml is cut off ({error}). Is the calculation complete?") from error
    settings = {item.get("name"): (item.text or "").strip() for item in root.findall("./parameters//i")}
    steps = root.findall("./calculation")
    n_electronic, n_ionic = int(settings.get("NELM", 0)), int(settings.get("NSW", 0))
    if steps and n_electronic > 1 and len(steps[-1].findall("./scstep")) >= n_electronic:
        return f"The electrons did not converge within NELM = {n_electronic} steps"
    if n_ionic > 1 and settings.get("IBRION") in {"1", "2", "3"} and len(steps) >= n_ionic:
        return f"The atoms did not come to rest within NSW = {n_ionic} steps"
    return ""
