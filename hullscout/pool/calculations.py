"""Calculations as their codes wrote them: folder trees of `vasprun.xml` files, and single results that are read back.

A calculation is its final structure with its energy for zero smearing. The id is the path of its folder. Of a relaxation in several
runs, kept under the names that custodian gives (`vasprun.xml.relax1`, `.relax2`), the last counts. Settings are functional, cutoff,
+U, potentials and the coarsest spacing of the k-points. A CSV table in the top folder may state further columns by `id`.
"""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.errors import InvalidPoolError, ResultError
from hullscout.files import decompressed
from hullscout.pool.columns import coarsest_k_spacing, potentials
from hullscout.pool.folders import find_tables, in_order, read_table
from hullscout.pool.frames import FrameError, Frames, Gathered

if TYPE_CHECKING:
    from pathlib import Path

    import ase

VASP_NAME = re.compile(r"(?P<file>vasprun\.xml|OUTCAR)(\.relax(?P<run>\d+))?(\.gz)?")
"""Results as VASP names them, also of one of several runs in a folder (in the manner of custodian)."""
_EV_PER_KBAR_A3 = 1e-22 / 1.60217733e-19  # with VASP's own elementary charge
_VASPRUN = re.compile(r"(?P<stem>.*vasprun.*?)\.xml(\.relax(?P<run>\d+))?(\.(gz|bz2|xz))?")


def find_vaspruns(folder: Path) -> list[Path]:
    """Files anywhere in a folder whose name holds `vasprun` and ends in `.xml` or `.xml.relaxN`, also compressed.

    Of runs that follow each other in one folder under one name (`.relax1`, `.relax2`, then without a number) only the last.
    """
    runs: defaultdict[tuple[Path, str], list[tuple[float, Path]]] = defaultdict(list)
    for path in in_order(folder, folder.rglob("*vasprun*")):
        if named := _VASPRUN.fullmatch(path.name):
            runs[path.parent, named["stem"]].append((float(named["run"] or np.inf), path))
    return in_order(folder, (path for group in runs.values() for run, path in group if run == max(group)[0]))


def read_vaspruns(path: Path) -> Frames:
    """All calculations of a folder tree; one that is cut off or not converged is a fault."""
    files = find_vaspruns(path)
    if not files:
        raise InvalidPoolError(
            f"{path}: expected a folder with vasprun.xml files in it, found none. Name their folder."
        )
    stated = _stated_by_table(path)
    found: set[str] = set()
    gathered = Gathered(path)
    for file in files:
        relative = file.relative_to(path)
        stem = file.name[: file.name.index(".xml")]
        name = relative.with_name(stem).as_posix()
        if stem == "vasprun":
            name = path.resolve().name if relative.parent.as_posix() == "." else relative.parent.as_posix()
        found.add(name)
        with gathered.reading(relative.as_posix(), " as a finished vasprun.xml"):
            run = _parsed(file)
            if not run.converged_electronic:
                raise FrameError("expected a converged calculation, found the last electronic loop cut off at NELM")
            if not run.converged_ionic:
                raise FrameError("expected a converged relaxation, found it cut off at NSW")
            energy, columns = float(run.final_energy), {**stated.get(name, {}), **_settings(run)}
            gathered.add(run.final_structure, name=name, energy_ev=energy, columns=columns)
    gathered.faults += [
        f"the table states {name!r}: there is no such calculation" for name in stated if name not in found
    ]
    return gathered.finish()


def _stated_by_table(folder: Path) -> dict[str, dict[str, str]]:
    """Columns by id of the CSV table in the top folder; none where there is no table."""
    tables = find_tables(folder)
    if not tables:
        return {}
    table = read_table(tables[0])
    if len(tables) > 1 or "id" not in table.header or "energy" in table.header:
        raise InvalidPoolError(
            f"{folder}: expected at most one CSV file beside vasprun.xml files, with a column `id` and none `energy`, found "
            f"{', '.join(path.name for path in tables)} ({','.join(table.header)}). The energies are in the vasprun.xml files; "
            'to read structure files with a table instead, set pool.format = "files".'
        )
    rows = (dict(row.cells) for row in table.rows)
    return {cells.pop("id"): cells for cells in rows if "id" in cells}


def _parsed(file: Path) -> Any:
    """A vasprun.xml by pymatgen, without what is not used of it."""
    from pymatgen.io.vasp.outputs import Vasprun  # noqa: PLC0415  (late: slow to import)

    with warnings.catch_warnings(action="ignore"):  # what matters is checked
        return Vasprun(str(file), parse_dos=False, parse_eigen=False, parse_potcar_file=False)


def _settings(run: Any) -> dict[str, Any]:
    """Functional, cutoff, +U by element, potentials, k-points."""
    symbols = sorted({site.specie.symbol for site in run.final_structure})
    mesh = run.kpoints.kpts[0] if run.kpoints is not None and run.kpoints.num_kpts == 0 else ()
    return {
        "code": "vasp",
        "functional": run.run_type,
        "cutoff": run.parameters.get("ENMAX") or run.parameters.get("ENCUT"),
        **{f"hubbard_u_{symbol}": float(run.hubbards.get(symbol, 0.0)) for symbol in symbols},
        **potentials(run.potcar_symbols),
        **coarsest_k_spacing(run.final_structure.lattice.matrix, mesh),
    }


def read_vasp_result(file: Path) -> tuple[ase.Atoms, float, str]:
    """The last structure of one calculation, its energy in eV per cell for zero smearing, and what did not converge, if anything.

    The file is a vasprun.xml or OUTCAR, named as `VASP_NAME` has it. Unlike a pool's, the energy is without the work of an external
    pressure (PSTRESS), which vasprun.xml holds and OUTCAR does not; and no convergence is expected where there is no loop
    (NELM = 1), or no relaxation (IBRION). A file that is cut off is a ResultError, one without an energy what its reader raises.
    """
    if file.name.startswith("OUTCAR"):
        return _read_outcar(file)
    from ase import Atoms  # noqa: PLC0415  (late: ASE loads slowly)

    try:
        run = _parsed(file)
    except SyntaxError as error:  # as XML
        if decompressed(file.read_bytes()).count(b"</structure>") < 2:  # the first is that of the input
            raise
        raise ResultError(f"vasprun.xml is cut off ({error}). Is the calculation complete?") from error
    last, settings = run.ionic_steps[-1], run.parameters
    structure, electronic = last["structure"], last["electronic_steps"]
    # The energy for zero smearing of the step itself may be wrong, that of its last loop lacks dispersion corrections.
    energy = last["e_fr_energy"] - settings.get("PSTRESS", 0.0) * _EV_PER_KBAR_A3 * structure.volume
    energy += electronic[-1]["e_0_energy"] - electronic[-1]["e_fr_energy"]
    n_electronic, n_ionic = settings.get("NELM", 0), settings.get("NSW", 0)
    unconverged = ""
    if 1 < n_electronic <= len(electronic):
        unconverged = f"The electrons did not converge within NELM = {n_electronic} steps"
    elif settings.get("IBRION") in {1, 2, 3} and 1 < n_ionic <= len(run.ionic_steps):
        unconverged = f"The atoms did not come to rest within NSW = {n_ionic} steps"
    atoms = Atoms(list(structure.atomic_numbers), positions=structure.cart_coords, cell=structure.lattice.matrix)
    return atoms, float(energy), unconverged


def _read_outcar(file: Path) -> tuple[ase.Atoms, float, str]:
    from ase.io import read  # noqa: PLC0415  (late: ASE loads slowly)

    atoms: Any = read(file, index=-1, format="vasp-out")
    energy = float(atoms.get_potential_energy())
    text = decompressed(file.read_bytes()).decode(errors="replace")
    if "General timing and accounting" not in text:
        raise ResultError("OUTCAR is cut off: expected the timings at its end. Is the calculation complete?")
    loops = re.findall(r"aborting loop (because EDIFF is reached|EDIFF was not reached)", text)
    if loops and "not" in loops[-1]:
        return atoms, energy, "The electrons did not converge"
    n_steps, mode = (re.search(rf"\b{key}\s*=\s*(-?\d+)", text) for key in ("NSW", "IBRION"))
    is_relaxation = n_steps and mode and int(n_steps[1]) > 1 and int(mode[1]) in (1, 2, 3)
    is_cut = is_relaxation and "reached required accuracy" not in text
    return atoms, energy, "The atoms did not come to rest" if is_cut else ""
