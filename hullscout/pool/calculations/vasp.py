"""What VASP's tags mean: runs that are no energy of a structure at rest, and the settings that shift energies.

Tags come from a vasprun.xml, an OUTCAR, an INCAR in an entry or the parameters of ASE's calculator: one reading for all of them. A
tag that is not stated is left out, not guessed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hullscout.pool.calculations.calculation import FALSE, another_kind
from hullscout.pool.columns import potentials

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_OF_GGA = {
    "PE": "PBE", "PS": "PBEsol", "RP": "RPBE", "RE": "revPBE", "91": "PW91", "AM": "AM05", "OR": "optPBE", "BO": "optB88",
    "MK": "optB86b", "ML": "rPW86", "CA": "LDA", "CO": "LDA", "VW": "LDA", "B3": "B3LYP", "BF": "BEEF",
}  # fmt: skip
_OF_POTENTIALS = {"PAW_PBE": "PBE", "PBE": "PBE", "PAW_GGA": "PW91", "PAW": "LDA", "LDA": "LDA", "US": "LDA"}
END_OF_VASPRUN, END_OF_OUTCAR = b"</modeling>", b"General timing and accounting"
"""In a file that is not cut off."""
MAX_APART_EV = 1e-3  # per atom: energies of one step that are further apart are two
_PHONONS = {5, 6, 7, 8}
_AS_STATED = (
    "lsol", "lasph", "addgrid", "efield", "nupdown", "ediff", "enaug", "i_constrained_m", "ldipol", "gga_compat",
)  # fmt: skip
"""Tags that are columns as they are."""
_MOVES = {-1, 1, 2, 3}
_NO_LOOP = re.compile(r"eigenval\w*|nothing|none|subrot\w*", re.IGNORECASE)
_NO_LOOP_BY_NUMBER = {2, 3, 4}  # IALGO
_MANY_BODY = re.compile(r"chi|bse|tdhf|timeev|2e4w.*|acfdt.*|rpa.*|.*gw.*", re.IGNORECASE)


def refuse_other_runs(tags: Mapping[str, Any]) -> None:
    """A ResultError for molecular dynamics, phonons, fixed charge densities, chains of images and response functions."""
    mode, n_steps, charge = (_whole(tags.get(name)) for name in ("IBRION", "NSW", "ICHARG"))
    if mode == 0 and (n_steps is None or n_steps > 0):
        raise another_kind(f"molecular dynamics (IBRION = 0, NSW = {n_steps})")
    if mode in _PHONONS:
        raise another_kind(f"vibrations by displaced atoms or perturbations (IBRION = {mode})")
    if mode is not None and mode not in _MOVES and n_steps:
        raise another_kind(f"a run that moves the atoms in another way (IBRION = {mode})")
    if charge is not None and charge >= 10:
        raise another_kind(f"a run with a fixed charge density (ICHARG = {charge})")
    if not _is_false(tags.get("ML_LMLFF")):
        raise another_kind("energies by a force field that VASP learned (ML_LMLFF = T)")
    if (_whole(tags.get("IMAGES")) or 0) > 0:
        raise another_kind(f"a chain of images (IMAGES = {tags['IMAGES']})")
    algorithm = str(tags.get("ALGO", "")).strip()
    if _NO_LOOP.fullmatch(algorithm) or _whole(tags.get("IALGO")) in _NO_LOOP_BY_NUMBER:
        raise another_kind(f"a run without a self-consistent loop (ALGO = {algorithm or tags.get('IALGO')})")
    if _MANY_BODY.fullmatch(algorithm):
        raise another_kind(f"a response or many-body run (ALGO = {tags['ALGO']})")


def doubt_between(loop_ev: float, step_ev: float, n_atoms: int, tags: Mapping[str, Any]) -> str:
    """What is odd where the energy of a step is not that of its last electronic loop, empty where it is.

    A file that was changed or garbled is so; dispersion, dipoles and solvents are known to be added after the loop.
    """
    has_more = any(not _is_false(tags.get(name)) for name in ("IVDW", "LVDW", "LDIPOL", "LSOL", "EFIELD"))
    if has_more or abs(loop_ev - step_ev) <= MAX_APART_EV * n_atoms:
        return ""
    return f"two energies of the last step, {loop_ev:.6f} eV after its electronic loop and {step_ev:.6f} eV at its end"


def is_relaxation(tags: Mapping[str, Any]) -> bool:
    """Whether atoms or cell were to move for more than one step."""
    return _whole(tags.get("IBRION")) in {1, 2, 3} and (_whole(tags.get("NSW")) or 0) > 1


def settings_of(
    tags: Mapping[str, Any], *, titles: Sequence[str] = (), symbols: Sequence[str] = ()
) -> dict[str, object]:
    """Columns of the settings in tags, which are named as in an INCAR, in capitals.

    Args:
        titles: of the potentials, which name the functional where GGA does not.
        symbols: of the elements in the order of the potentials, for values that are stated for each of them.
    """
    found: dict[str, object] = {"code": "vasp", "functional": _functional(tags, titles), **potentials(titles)}
    found |= {column: tags.get(column.upper()) for column in _AS_STATED}
    for column, names in (("cutoff", ("ENCUT", "ENMAX")), ("ispin", ("ISPIN",)), ("pstress", ("PSTRESS",))):
        found[column] = next((tags[name] for name in names if tags.get(name) is not None), None)
    if tags.get("LREAL") is not None:
        found["lreal"] = "reciprocal space" if _is_false(tags["LREAL"]) else "real space"
    if tags.get("PREC") is not None:
        found["prec"] = str(tags["PREC"]).strip()
    if (smearing := _whole(tags.get("ISMEAR"))) is not None:
        is_tetrahedra = smearing in {-4, -5, -14, -15}
        found["smearing"] = (
            "tetrahedra"
            if is_tetrahedra
            else {-2: "fixed", -1: "Fermi-Dirac", 0: "Gaussian"}.get(smearing, "Methfessel-Paxton")
        )
        found["sigma"] = None if is_tetrahedra else tags.get("SIGMA")
    if tags.get("LSORBIT") is not None or tags.get("LNONCOLLINEAR") is not None:
        has_orbit, is_vector = (not _is_false(tags.get(name, False)) for name in ("LSORBIT", "LNONCOLLINEAR"))
        found["spin_orbit"] = "spin-orbit" if has_orbit else "noncollinear" if is_vector else "none"
    if any(tags.get(name) is not None for name in ("IVDW", "LUSE_VDW", "LVDW")):
        nonlocal_ = not _is_false(tags.get("LUSE_VDW", False))
        method = _whole(tags.get("IVDW")) or (1 if not _is_false(tags.get("LVDW", False)) else 0)
        found["dispersion"] = "nonlocal" if nonlocal_ else f"IVDW {method}" if method else "none"
    if (uses_u := tags.get("LDAU")) is not None:
        found |= {
            f"hubbard_u_{symbol}": value
            for symbol, value in _hubbard(tags, symbols, uses_u=not _is_false(uses_u)).items()
        }
    return {column: value for column, value in found.items() if value is not None}


def _functional(tags: Mapping[str, Any], titles: Sequence[str]) -> str | None:
    """The functional's name: that of a hybrid or metaGGA, of the tag GGA, or of the potentials where GGA is `--`; never with +U."""
    kinds = {_OF_POTENTIALS.get(title.split()[0].upper()) for title in titles if title.split()}
    gga = str(tags.get("GGA") or "--").strip().upper()
    base = _OF_GGA.get(gga, gga)
    if gga == "--":
        base = next(iter(kinds)) or "" if len(kinds) == 1 else ""
    meta = str(tags.get("METAGGA") or "--").strip()
    if meta not in {"--", "None", "F", "False", "N"} and not meta.startswith("-"):
        base = meta.upper()
    if not _is_false(tags.get("LHFCALC", False)):
        share, screening = (float(tags.get(name) or 0.0) for name in ("AEXX", "HFSCREEN"))
        base = f"hybrid of {base or 'its potentials'}, AEXX {share:g}, HFSCREEN {screening:g}"
    return base or None


def _hubbard(tags: Mapping[str, Any], symbols: Sequence[str], *, uses_u: bool) -> dict[str, float]:
    """U - J in eV by element; 0 where +U is off or acts on no shell."""
    values = []
    for name in ("LDAUU", "LDAUJ", "LDAUL"):
        stated = tags.get(name)
        listed = stated.split() if isinstance(stated, str) else list(stated) if isinstance(stated, list | tuple) else []
        values.append([float(value) for value in listed])
    strong, weak, shells = values
    found = {}
    for place, symbol in enumerate(symbols):
        is_on = uses_u and place < len(strong) and not (place < len(shells) and shells[place] < 0)
        found[symbol] = strong[place] - (weak[place] if place < len(weak) else 0.0) if is_on else 0.0
    return found


def excess_charge(electrons: object, valences: Sequence[float], counts: Sequence[int]) -> dict[str, object]:
    """The column `total_charge` in elementary charges: valences of all atoms less NELECT; none where either is not stated."""
    if electrons is None or not valences or len(valences) != len(counts):
        return {}
    neutral = sum(valence * count for valence, count in zip(valences, counts, strict=True))
    return {"total_charge": round(neutral - float(str(electrons)), 2) + 0.0}


def _whole(value: object) -> int | None:
    """A tag's value as a whole number, None where it is none."""
    try:
        return int(float(str(value)))
    except (ValueError, OverflowError):
        return None


def _is_false(value: object) -> bool:
    return value is None or str(value).strip().lower() in FALSE
