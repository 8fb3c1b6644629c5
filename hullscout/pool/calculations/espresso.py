"""What the output of Quantum ESPRESSO's pw.x says of its settings, and its energy for zero smearing.

The printed total energy is the free energy F = E - TS. For zero smearing it is F + TS / 2 with Gaussian and Fermi-Dirac
occupations (M. J. Gillan, J. Phys. Condens. Matter 1, 689 (1989)) and F + TS / 3 with Methfessel and Paxton's of first order; with
cold smearing F itself is right to second order.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from hullscout.pool.columns import coarsest_k_spacing, mesh_of_points

RY_EV = 13.605693122994
_SHARES = {"fermi": 1 / 2, "gauss": 1 / 2, "methfessel": 1 / 3}
_SMEARING = re.compile(r"number of k points *= *\d+ +(\S.*?) +smearing, width \(Ry\) *= *([\d.Ee+-]+)")
_ENTROPY = re.compile(r"smearing contrib\. \(-TS\) *= *([\d.Ee+-]+) *Ry")
_TOTAL = re.compile(r"^! *total energy *= *([-\d.]+) *Ry", re.MULTILINE)
_TERMS = re.compile(r"sum of the following terms:\s*\n((?: +[^=\n]+= *[-\d.]+ *Ry *\n)+)")
_TERM = re.compile(r"^ +(?! |->)[^=\n]+= *([-\d.]+) *Ry", re.MULTILINE)  # terms of a term begin with an arrow
_VOLUME = re.compile(r"(?:unit-cell|new unit-cell) volume *= *([\d.]+) *(?:\(a\.u\.\)|a\.u\.)\^3")
_BOHR = 0.529177210544  # A
_MAX_VOLUMES_APART = 1e-3  # axes are printed to six digits
_MAX_APART_RY = 1e-4  # per atom
_XC = re.compile(r"Exchange-correlation *= *(.+?)(?: *\([ \d]*\))?\s*$", re.MULTILINE)
_SPECIES = re.compile(r"atomic species +valence +mass +pseudopotential.*\n((?: +\S+ +[\d.]+ +[\d.]+ +\S.*\n)+)")
_PSEUDO = re.compile(
    r"PseudoPot\. *# *\d+ for +([A-Za-z]{1,2})\S* +read from file:?\s*\n? *(\S+)(?:\s*\n *MD5 check sum: *(\w+))?"
)


def smearing_shift_ev(text: str) -> float:
    """What to add to the last printed total energy, in eV per cell, for zero smearing."""
    kind, entropy = _SMEARING.search(text), _ENTROPY.findall(text)
    if kind is None or not entropy:
        return 0.0
    share = next((share for name, share in _SHARES.items() if name in kind[1].lower()), 0.0)
    return -float(entropy[-1]) * share * RY_EV


def espresso_doubt(text: str, atoms: Any) -> str:
    """What is odd, empty where nothing is: a total energy that is not the sum of its printed terms, a cell of another volume."""
    n_atoms, volumes = len(atoms), _VOLUME.findall(text)
    if volumes and abs(float(volumes[-1]) * _BOHR**3 / atoms.get_volume() - 1.0) > _MAX_VOLUMES_APART:
        printed = float(volumes[-1]) * _BOHR**3
        return f"a volume of {printed:.4f} A^3, and a cell of {atoms.get_volume():.4f} A^3"
    totals, blocks, entropy = (pattern.findall(text) for pattern in (_TOTAL, _TERMS, _ENTROPY))
    if not totals or not blocks:
        return ""
    total, terms = float(totals[-1]), sum(float(value) for value in _TERM.findall(blocks[-1]))
    apart = min(abs(total - terms), abs(total - terms - float(entropy[-1] if entropy else 0.0)))
    if apart <= _MAX_APART_RY * n_atoms:
        return ""
    return f"a total energy of {total:.6f} Ry, and terms of it that add up to {terms:.6f} Ry"


def espresso_columns(text: str, atoms: Any) -> dict[str, object]:
    """The settings as columns."""
    found: dict[str, object] = {"code": "espresso", "spin_orbit": "none", "dispersion": "none"}
    for column, pattern in (
        ("code_version", r"Program PWSCF +v\.(\S+)"),
        ("ecutwfc", r"kinetic-energy cutoff *= *([\d.]+) *Ry"),
        ("ecutrho", r"charge density cutoff *= *([\d.]+) *Ry"),
    ):
        if value := re.search(pattern, text):
            found[column] = value[1]
    if functional := _XC.search(text):
        found["functional"] = " ".join(functional[1].split())
    if smearing := _SMEARING.search(text):
        found |= {"smearing": smearing[1], "degauss": smearing[2]}
    if "Noncollinear calculation" in text:
        found["spin_orbit"] = (
            "spin-orbit" if re.search(r"Noncollinear calculation with spin-orbit", text) else "noncollinear"
        )
    found["ispin"] = 2 if re.search(r"Starting magnetic structure|total magnetization", text) else 1
    if method := re.search(
        r"(DFT-D3|Grimme-D2|DFT-D2|Tkatchenko-Scheffler|XDM|MBD)[^\n]*[Dd]ispersion|(Grimme-D2) ", text
    ):
        found["dispersion"] = method[1] or method[2]
    for symbol, file, digest in _PSEUDO.findall(text):
        found[f"potential_{symbol}"] = digest or file.rsplit("/", 1)[-1]
    symbols = atoms.get_chemical_symbols()
    if species := _SPECIES.search(text):
        valences = {words[0]: float(words[1]) for line in species[1].splitlines() if (words := line.split())}
        electrons = re.search(r"number of electrons *= *([\d.]+)", text)
        by_symbol = {re.sub(r"[^A-Za-z].*", "", name): valence for name, valence in valences.items()}
        if electrons and set(symbols) <= set(by_symbol):
            found["total_charge"] = round(sum(by_symbol[s] for s in symbols) - float(electrons[1]), 2) + 0.0
    return {**found, **_hubbard(text, symbols), **_k_spacing(text, atoms)}


def _hubbard(text: str, symbols: list[str]) -> dict[str, object]:
    """U in eV by element, 0 where +U is off."""
    found: dict[str, object] = {f"hubbard_u_{symbol}": 0.0 for symbol in sorted(set(symbols))}
    for block in re.findall(
        r"(?:LDA|DFT)\+U calculation[^\n]*\n(?:[^\n]*\n){0,2}?((?: +[A-Z][a-z]?\d* +[\d.]+[^\n]*\n)+)", text
    ):
        for line in block.splitlines():
            words = line.split()
            found[f"hubbard_u_{re.sub(r'[^A-Za-z].*', '', words[0])}"] = float(words[2] if len(words) > 2 else words[1])
    for symbol, value in re.findall(r"U\(([A-Z][a-z]?)\S*\) *= *([\d.]+)", text):
        found[f"hubbard_u_{symbol}"] = float(value)
    return found


def _k_spacing(text: str, atoms: Any) -> dict[str, float]:
    """The coarsest spacing of the mesh whose irreducible points are printed, in units of 2 pi / alat; none where they are not."""
    points = re.findall(r"k\( *\d+\) *= *\( *(\S+) +(\S+) +(\S+?) *\), wk", text)
    vectors = re.findall(r"a\([123]\) *= *\( *(\S+) +(\S+) +(\S+?) *\)", text)[:3]  # in alat
    stated = re.search(r"number of k points *= *(\d+)", text)
    if not points or len(vectors) < 3 or not stated or len(points) < int(stated[1]):
        return {}
    fractional = np.array(points[: int(stated[1])], dtype=np.float64) @ np.array(vectors, dtype=np.float64).T
    return coarsest_k_spacing(atoms.cell.array, mesh_of_points(fractional))
