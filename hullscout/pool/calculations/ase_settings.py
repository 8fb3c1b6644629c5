"""Settings that ASE keeps of a calculator: its name and the parameters that it was called with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.pool.calculations import vasp
from hullscout.pool.calculations.calculation import another_kind
from hullscout.pool.columns import coarsest_k_spacing

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ase

_NAMES = {
    "xc": "functional", "encut": "cutoff", "ecut": "cutoff", "ecutwfc": "ecutwfc", "pp": "pseudopotentials", "kspacing": "kspacing",
    "charge": "total_charge", "tot_charge": "total_charge", "nspin": "ispin", "degauss": "degauss", "smearing": "smearing",
    "vdw_corr": "dispersion", "input_dft": "functional",
}  # fmt: skip
_FIXED_DENSITY = {"nscf", "bands"}
_DYNAMICS = {"md", "vc-md"}


def ase_settings(code: str, parameters: Mapping[str, Any], atoms: ase.Atoms) -> dict[str, object]:
    """Columns of the settings among a calculator's parameters; a ResultError for a run that is no energy of a structure at rest."""
    flat: dict[str, Any] = {**parameters, **_namelists(parameters.get("input_data"))}
    found: dict[str, object] = {"code": code}
    if code == "vasp":
        tags = {str(key).upper(): value for key, value in flat.items() if value is not None}
        vasp.refuse_other_runs(tags)
        found |= vasp.settings_of(tags)
    if (task := str(flat.get("calculation", "")).lower()) in _FIXED_DENSITY | _DYNAMICS:
        raise another_kind(
            f"{'molecular dynamics' if task in _DYNAMICS else 'a fixed charge density'} (calculation = {task!r})"
        )
    found |= {name: flat[key] for key, name in _NAMES.items() if flat.get(key) is not None}
    mode, occupations = flat.get("mode"), flat.get("occupations")
    if isinstance(mode, dict) and "ecut" in mode:
        found["cutoff"] = mode["ecut"]
    if isinstance(occupations, dict):
        found |= {
            name: occupations[key] for key, name in (("name", "smearing"), ("width", "sigma")) if key in occupations
        }
    if isinstance(is_polarized := flat.get("spinpol"), bool):
        found["ispin"] = 1 + is_polarized
    if any(flat.get(key) is not None for key in ("lspinorb", "noncolin")):
        found["spin_orbit"] = (
            "spin-orbit" if flat.get("lspinorb") else "noncollinear" if flat.get("noncolin") else "none"
        )
    for symbol, values in dict(flat.get("ldau_luj") or {}).items():
        found[f"hubbard_u_{symbol}"] = float(values.get("U", 0.0)) - float(values.get("J", 0.0))
    if isinstance(files := flat.get("pseudopotentials"), dict):
        found |= {f"potential_{symbol}": str(file) for symbol, file in files.items()}
    mesh = flat.get("kpts")
    mesh = mesh.get("size") if isinstance(mesh, dict) else mesh
    if mesh is not None and np.shape(mesh) == (3,):
        found |= coarsest_k_spacing(np.array(atoms.cell), mesh)
    return found


def _namelists(stated: object) -> dict[str, Any]:
    """The parameters in Quantum ESPRESSO's namelists, nested or flat."""
    if not isinstance(stated, dict):
        return {}
    flat: dict[str, Any] = {}
    for key, value in stated.items():
        flat |= {str(k).lower(): v for k, v in value.items()} if isinstance(value, dict) else {str(key).lower(): value}
    return flat
