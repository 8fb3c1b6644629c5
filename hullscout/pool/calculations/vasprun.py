"""One calculation from a vasprun.xml, read by pymatgen."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.contents import content_of
from hullscout.errors import ResultError
from hullscout.pool.calculations import vasp
from hullscout.pool.calculations.calculation import Calculation, plain_file
from hullscout.pool.calculations.relaxation import EV_PER_KBAR_A3, Relaxation
from hullscout.pool.columns import coarsest_k_spacing, mesh_of_points
from hullscout.pool.forces import largest_force

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_TYPES = re.compile(rb'<array name="atomtypes".*?</array>', re.DOTALL)
_HEAD = 16384
_N_CELLS = 5  # atoms, element, mass, valence, potential
_ENERGIES = {"e_fr_energy", "e_wo_entrp", "e_0_energy"}  # of a step; the first and the last of a loop state more
_ROUNDED = 1e-4  # eV
_VOLUME = re.compile(rb'<i name="volume">\s*([0-9.]+)\s*</i>')
_SAME_VOLUME, _SAME_PLACE = 1e-5, 1e-4  # relative; A
_MIN_STRUCTURES = 2  # the first is that of the input


def read_vasprun(file: Path) -> Calculation:
    """The last step of a vasprun.xml; the energy is without the work of an external pressure (PSTRESS), which the file holds."""
    from ase import Atoms  # noqa: PLC0415  (late: ASE loads slowly)

    content = content_of(file)
    if b"<modeling" not in content[:_HEAD]:
        begins = content.lstrip()[:60].decode(errors="replace").splitlines()[:1]
        raise ResultError(
            f"expected what VASP writes in {file.name}, found a file that begins {begins}. Copy it again."
        )
    run = _parsed(content)
    if not run.ionic_steps or not run.ionic_steps[-1].get("electronic_steps"):
        raise ResultError("expected at least one step with an energy in vasprun.xml, found none")
    last = run.ionic_steps[-1]
    structure, electronic, tags = last["structure"], _loop(run), {**run.incar, **run.parameters}
    vasp.refuse_other_runs(tags)
    _refuse_other_atoms(content, structure)
    # The energy for zero smearing of the step itself may be wrong, that of its last loop lacks dispersion corrections.
    loop = electronic[-1]
    energy = last["e_fr_energy"] - float(tags.get("PSTRESS") or 0.0) * EV_PER_KBAR_A3 * structure.volume
    doubt = vasp.doubt_between(loop["e_fr_energy"], energy, len(structure), tags)
    low, high = sorted((loop["e_fr_energy"], loop["e_wo_entrp"]))
    if not low - _ROUNDED <= loop["e_0_energy"] <= high + _ROUNDED:
        doubt = f"an energy for zero smearing, {loop['e_0_energy']:.6f} eV, that is not between those with and without the entropy"
    doubt = doubt or _doubt_about_cells(content, structure, run.final_structure)
    energy += loop["e_0_energy"] - loop["e_fr_energy"]
    force = largest_force(last.get("forces"), _free(run))
    atoms, start = (
        Atoms(list(one.atomic_numbers), positions=one.cart_coords, cell=one.lattice.matrix, pbc=True)
        for one in (structure, run.initial_structure)
    )
    return Calculation(
        atoms=atoms,
        start=start,
        energy_ev=float(energy),
        columns=_columns(run, tags, content),
        unconverged=_unconverged(run, tags, force, structure.volume / len(atoms)),
        max_force=force,
        doubt=doubt,
    )


def _doubt_about_cells(content: bytes, last: Any, final: Any) -> str:
    """What is odd where the file states another volume than its cells have, or ends with another structure than its last step."""
    stated = [float(text) for text in _VOLUME.findall(content)[-2:]]
    for volume, structure in zip(stated, (last, final)[-len(stated) :], strict=True):
        if abs(volume - structure.volume) > _SAME_VOLUME * structure.volume:
            return f"a volume of {volume:.4f} A^3 beside a cell of {structure.volume:.4f} A^3"
    moved = last.lattice.get_cartesian_coords(np.mod(final.frac_coords - last.frac_coords + 0.5, 1.0) - 0.5)
    if (
        not np.allclose(final.lattice.matrix, last.lattice.matrix, atol=_SAME_PLACE)
        or np.abs(moved).max() > _SAME_PLACE
    ):
        return "a final structure that is not that of the last step"
    return ""


def _parsed(content: bytes) -> Any:
    """A vasprun.xml by pymatgen, without what is not used of it."""
    from pymatgen.io.vasp.outputs import Vasprun  # noqa: PLC0415  (late: slow to import)

    try:
        with (
            plain_file(content, "vasprun.xml") as plain,
            warnings.catch_warnings(action="ignore"),
        ):  # what matters is checked
            return Vasprun(str(plain), parse_dos=False, parse_eigen=False, parse_potcar_file=False)
    except SyntaxError as error:  # as XML
        if content.count(b"</structure>") < _MIN_STRUCTURES:
            raise ResultError(
                "vasprun.xml holds no energy that can be read: it is cut off before its first step ended."
            ) from error
        raise ResultError(
            f"vasprun.xml is cut off in line {error.lineno or 0}. Copy it again, or wait until the calculation has ended."
        ) from error


def _refuse_other_atoms(content: bytes, structure: Any) -> None:
    """A ResultError where the numbers of atoms, in all or by potential, are not those of the structure."""
    stated, symbols = re.search(rb"<atoms>\s*([0-9]{1,9})\s*</atoms>", content), _types(content)
    counts: Counter[str] = Counter()
    for n, symbol in zip(symbols[0], symbols[1], strict=True):
        counts[symbol] += n
    found = Counter(str(site.specie.symbol) for site in structure)
    if stated and int(stated[1]) != len(structure):
        raise ResultError(f"expected the {int(stated[1])} atoms of atominfo in vasprun.xml, found {len(structure)}.")
    if counts and set(counts) == set(found) and counts != found:
        raise ResultError(
            f"expected the atoms by type of atominfo in vasprun.xml, {dict(counts)}, found {dict(found)}."
        )


def _loop(run: Any) -> list[dict[str, float]]:
    """The steps of the last electronic loop, without those of a response to a field that follow it."""
    steps: list[dict[str, float]] = run.ionic_steps[-1]["electronic_steps"]
    if not run.incar.get("LEPSILON"):
        return steps
    ends = (place for place, step in enumerate(steps) if place and set(step) != _ENERGIES)
    return steps[: next(ends, len(steps) - 1) + 1]


def _free(run: Any) -> Any:
    """(n, 3) whether each component may move, None where all may."""
    return run.initial_structure.site_properties.get("selective_dynamics")


def _unconverged(run: Any, tags: Mapping[str, Any], force: float | None, volume_per_atom: float) -> str:
    """What did not converge, in words that begin a sentence."""
    last, n_electronic = run.ionic_steps[-1], int(float(tags.get("NELM") or 0))
    if 0 < n_electronic <= len(_loop(run)):
        return f"The electrons did not converge within NELM = {n_electronic} steps"
    if not vasp.is_relaxation(tags):
        return ""
    ediffg = tags.get("EDIFFG")
    return Relaxation(
        n_steps=len(run.ionic_steps),
        max_steps=int(tags["NSW"]),
        ediffg=None if ediffg is None else float(ediffg),
        energies_ev=tuple(float(step["e_fr_energy"]) for step in run.ionic_steps[-3:]),
        max_force=force,
        stress_kbar=np.array(last["stress"], dtype=np.float64) if np.shape(last.get("stress")) == (3, 3) else None,
        pressure_kbar=float(tags.get("PSTRESS") or 0.0),
        volume_per_atom=volume_per_atom,
        isif=int(tags.get("ISIF", 2)),
    ).unrest()


def _columns(run: Any, tags: Mapping[str, Any], content: bytes) -> dict[str, object]:
    """The settings: tags, potentials, charge, k-points, version."""
    counts, symbols, valences, titles = _types(content)
    structure = run.final_structure
    mesh: Sequence[float] = ()
    if run.kpoints is not None and run.kpoints.num_kpts == 0 and np.shape(run.kpoints.kpts[0]) == (3,):
        mesh = run.kpoints.kpts[0]
    elif run.actual_kpoints:
        mesh = mesh_of_points(run.actual_kpoints)
    return {
        **vasp.settings_of(tags, titles=titles or run.potcar_symbols, symbols=symbols),
        **vasp.excess_charge(tags.get("NELECT"), valences, counts),
        **coarsest_k_spacing(structure.lattice.matrix, mesh),
        "code_version": run.vasp_version,
    }


def _types(content: bytes) -> tuple[list[int], list[str], list[float], list[str]]:
    """Atoms, symbol, valence and title of the potential, for each potential; of valences pymatgen keeps none."""
    block = _TYPES.search(content)
    if block is None:
        return [], [], [], []
    rows = re.findall(rb"<rc>(.*?)</rc>", block[0], re.DOTALL)
    cells = [[cell.decode().strip() for cell in re.findall(rb"<c>(.*?)</c>", row, re.DOTALL)] for row in rows]
    cells = [row for row in cells if len(row) >= _N_CELLS]
    numbers = [(int(row[0]), float(row[3])) for row in cells]
    return (
        [n for n, _ in numbers],
        [row[1] for row in cells],
        [valence for _, valence in numbers],
        [row[4] for row in cells],
    )
