"""Units of energies: by the names that a user, a column or a comment line gives them, of a cell or of an atom.

What claims to be a unit and is none of those that are understood is told from what claims nothing: it is never taken for eV.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

UNITS = {
    "eV": 1.0,
    "meV": 1e-3,
    "Ry": 13.605693122994,
    "Ha": 27.211386245988,
    "kJ/mol": 1.0 / 96.48533212331,
    "kcal/mol": 4.184 / 96.48533212331,
}
"""Units of the energy of a cell in eV (CODATA 2018); with `/atom` behind, of the energy per atom."""

_SPELLINGS = {
    "eV": r"ev|electron_?volts?",
    "meV": r"mev|milli_?electron_?volts?",
    "Ry": r"ryd?|rydbergs?",
    "Ha": r"ha|hartrees?|e_?h",
    "kJ/mol": r"kj_?(per_?)?mol",
    "kcal/mol": r"kcal_?(per_?)?mol",
}
_FOREIGN = (
    r"a_?u|atomic_?units?|(milli_?|m)(hartrees?|ha|ryd?)|kj|kcal|m?j|joules?|erg|cm_?1|wave_?numbers?|kelvin|(k|g)ev"
)
_NAME_OF_FORMULA = r"(per_?)?(f_?u|formula(_?units?)?|u_?c|unit_?cell|site|mol|molecule|ion)"
_OF = re.compile(
    rf"(?P<unit>{'|'.join(f'(?:{pattern})' for pattern in (*_SPELLINGS.values(), _FOREIGN))})"
    rf"(?P<per>_(?:per_?)?atom|_pa|_(?:per_?)?cell|_{_NAME_OF_FORMULA})?"
)
_PER_ATOM = re.compile(r"(?i).*per_?atom.*|.*_pa(_.*)?")
_PER_OTHER = re.compile(
    r"(?i).*_(per_?f_?u|f_?u|per_?formula(_?units?)?|per_?site|per_?molecule|per_?mol|per_?ion)(_.*)?"
)
_UNSTATED = frozenset({"", "none", "nan", "n_a", "unknown"})
_NO_ENERGY = re.compile(
    r"(?i)(a|å|ang(strom)?s?|bohr|nm|pm|g_?pa|kbar|metal|ase|vasp|mu_?b|fs|ev_(a|å|ang(strom)?)(_?[23])?)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a name claims of the unit of its energies.

    Attributes:
        unit: one of UNITS, alone or with `/atom` behind, as `pool.energy_unit` takes it; empty where it is none of them.
        words: the claim as it is written.
    """

    unit: str
    words: str


def factor_of(unit: str) -> tuple[float, bool] | None:
    """The unit in eV, and whether it is of an atom; None for none that is known."""
    base = unit.removesuffix("/atom")
    return (UNITS[base], base != unit) if base in UNITS else None


def is_per_atom(column: str) -> bool:
    """Whether a column's name says that its energies are of an atom.

    >>> [is_per_atom(name) for name in ("energy_per_atom", "Total_Energy_eV_atom", "energy_ev", "e_pa")]
    [True, True, False, True]
    """
    claim = claim_of_name(column)
    return claim.unit.endswith("/atom") if claim and claim.unit else _PER_ATOM.fullmatch(column) is not None


def claim_of_name(column: str) -> Claim | None:
    """What the last words of a column's name claim of its unit, None where they claim nothing.

    >>> [claim_of_name(name).unit for name in ("energy_Ry", "Total_Energy_eV_atom", "energy_per_atom_ha", "energy_au")]
    ['Ry', 'eV/atom', 'Ha/atom', '']
    >>> claim_of_name("dft_energy") is None
    True
    """
    apart = re.sub(r"(?<=[a-z]{2})(m?(?:eV|Ry|Ha))(?![a-z])", r"_\1", column)  # energyRy
    plain = re.sub(r"[^a-z0-9]+", "_", apart.lower()).strip("_")
    words = plain.split("_")
    for start in range(1, len(words)):
        if match := _OF.fullmatch("_".join(words[start:])):
            return _claim(match, column, is_per_atom=_PER_ATOM.fullmatch(column) is not None)
    if _PER_OTHER.fullmatch(plain):
        return Claim(unit="", words=column)
    return None


def claim_of_text(text: str, *, is_of_energy: bool) -> Claim | None:
    """What a text that stands for a unit claims, None where it claims nothing: empty, or a unit of other things.

    >>> claim_of_text("hartree/atom", is_of_energy=True).unit, claim_of_text("a.u.", is_of_energy=True).unit
    ('Ha/atom', '')
    >>> claim_of_text("Angstrom", is_of_energy=False) is None
    True
    """
    plain = re.sub(r"[^a-zå0-9]+", "_", text.lower()).strip("_")
    if match := _OF.fullmatch(plain):
        return _claim(match, text, is_per_atom=False)
    if plain in _UNSTATED or (not is_of_energy and not any(map(_claims, re.split(r"[\s,;]+", text)))):
        return None
    return Claim(unit="", words=text)


def _claims(word: str) -> bool:
    """Whether a word is neither a number, eV, nor a unit of something else than energies."""
    plain = re.sub(r"[^a-zå0-9]+", "_", word.lower()).strip("_")
    return not (plain == "ev" or plain.isdecimal() or _NO_ENERGY.fullmatch(plain))


def _claim(match: re.Match[str], words: str, *, is_per_atom: bool) -> Claim:
    """The unit of a match, by the table of spellings."""
    unit = next((unit for unit, pattern in _SPELLINGS.items() if re.fullmatch(pattern, match["unit"])), "")
    per = (match["per"] or "").strip("_")
    if per and not re.fullmatch(r"(per_?)?atom|pa|(per_?)?cell", per):
        unit = ""
    is_of_atom = is_per_atom or per.endswith("atom") or per == "pa"
    return Claim(unit=f"{unit}/atom" if unit and is_of_atom else unit, words=words)
