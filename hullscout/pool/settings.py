"""The settings of calculations that shift energies: by which columns they are stated, what their values mean, and what may differ.

A difference may be meant where no energy need be shifted by it: a spin that was left out where nothing is magnetic, the width of a
smearing of which the energy is extrapolated to zero, a precision above the normal one. Of everything else it may not.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

K_SPACING_FACTOR = 2.0
"""Meshes of k-points are of one setting while the coarsest spacings of two cells differ by no more than this factor: meshes are
whole numbers."""
MAX_SIGMA_APART = 0.3
"""Widths of a smearing in eV that are further apart than this are not meant: the energies are no longer those of zero smearing."""

Groups = tuple[tuple[str, tuple[str, ...]], ...]
"""Values as shown, each with the ids that state it, most ids first."""
Elements = Mapping[str, set[int]]
"""Atomic numbers by id."""

_SAME_NUMBER = 1e-6  # relative
_UNSTATED = frozenset({"", "nan", "unknown"})
_SAY_NONE = frozenset({"spin-orbit coupling", "dispersion", "metaGGA"})  # settings of which `none` is a value
_MAGNETIC = frozenset({*range(24, 29), *range(58, 71), *range(92, 97)})  # Cr to Ni, 4f, 5f
_RY_EV = 13.605693122994


def atomic_number(symbol: str) -> int:
    """The atomic number of a symbol, 0 where there is none."""
    from ase.data import atomic_numbers  # noqa: PLC0415  (late: ASE loads slowly)

    return int(atomic_numbers.get(symbol, 0))


_OF = "[ +-]+"  # between the parts of a name in Quantum ESPRESSO
_FUNCTIONALS = {
    "PBE": r"pbe|pe|gga|gga_?pe|gga_?pbe|(xc_)?gga_x_pbe\+(xc_)?gga_c_pbe|paw_?pbe|sla{0}pw{0}pb[ex]{0}pb[ec]",
    "PBEsol": r"pbesol|ps|gga_?ps|(xc_)?gga_x_pbe_sol\+(xc_)?gga_c_pbe_sol|sla{0}pw{0}psx{0}psc",
    "LDA": r"lda|ca|pz|lda_?pz|lda_?pw|sla{0}p[zw]({0}nogx{0}nogc)?",
    "RPBE": r"rpbe|rp|gga_?rp",
    "revPBE": r"revpbe|re|gga_?re",
    "PW91": r"pw91|91|gga_?pw91|sla{0}pw{0}ggx{0}ggc",
    "AM05": r"am05|am",
    "SCAN": r"(mgga_?)?scan",
    "r2SCAN": r"(mgga_?)?r2scan|r\^2scan",
    "PBE+U": r"pbe[+_]u|gga[+_]u",
    "r2SCAN+U": r"r2scan[+_]u",
    "optB88-vdW": r"optb88(-?vdw)?",
}


def same_functional(text: str) -> str:
    """One name for all names of a functional; one that is not known stays as it is, in small letters.

    >>> same_functional("pbe"), same_functional("GGA_PE"), same_functional("SLA  PW   PBE  PBE"), same_functional("mine")
    ('PBE', 'PBE', 'PBE', 'mine')
    """
    plain = " ".join(text.lower().split())
    return next((name for name, names in _FUNCTIONALS.items() if re.fullmatch(names.format(_OF), plain)), plain)


def _truth(text: str) -> str:
    """Yes or no in one spelling."""
    plain = text.strip().strip(".").lower()
    return {"t": "yes", "true": "yes", "1": "yes", "1.0": "yes", "f": "no", "false": "no", "0": "no", "0.0": "no"}.get(
        plain, plain
    )


def _none(text: str) -> str:
    plain = text.strip().lower()
    return "none" if plain in {"--", "none", "no", "f", "false"} else plain


def _precision(text: str) -> str:
    """VASP looks at the first letter only."""
    return text.strip().lower()[:1]


def _projection(text: str) -> str:
    plain = _truth(text)
    return "reciprocal space" if plain in {"no", "reciprocal space"} else "real space"


def _orbit(text: str) -> str:
    return {"yes": "spin-orbit", "no": "none"}.get(_truth(text), text.strip().lower())


def _dispersion(text: str) -> str:
    plain = text.strip().lower()
    return "none" if plain in {"0", "0.0", "none", "no", "f", "false"} else plain


def _spin(text: str) -> str:
    """1 or 2, whatever way it is said."""
    value = _number(text)
    return f"{value:g}" if value is not None else {"yes": "2", "no": "1"}.get(_truth(text), text)


def _smearing(text: str) -> str:
    """The kind of a smearing by its usual names."""
    plain = re.sub(r"[^a-z0-9-]", "", text.lower().removesuffix("smearing"))
    for name, names in (
        ("tetrahedra", r"-5|-50|-4|-14|-15|tetra.*"),
        ("Gaussian", r"0|00|g|gauss.*"),
        ("Fermi-Dirac", r"-1|-10|fd|f-d|fermi-?dirac"),
        ("Methfessel-Paxton", r"[1-9]|[1-9]0|mp|m-p|methfessel-?paxton"),
        ("fixed", r"-2|fixed"),
        ("cold", r"mv|m-v|cold|marzari-?vanderbilt"),
    ):
        if re.fullmatch(names, plain):
            return name
    return plain


def _spin_may(groups: Groups, elements: Elements) -> bool:
    """Leaving the spin out may be meant where none of those without it holds an element that is often magnetic."""
    without = [member for value, ids in groups if _spin(value) == "1" for member in ids]
    return not any(elements.get(member, set()) & _MAGNETIC for member in without)


def _precision_may(groups: Groups, _: Elements) -> bool:
    return {_precision(value) for value, _ in groups} <= {"n", "a", "s"}


def _widths_may(unit_ev: float) -> Callable[[Groups, Elements], bool]:
    def may(groups: Groups, _: Elements) -> bool:
        numbers = [_number(part) for value, _ in groups for part in value.split(" to ")]
        return None not in numbers and unit_ev * (max(numbers) - min(numbers)) <= MAX_SIGMA_APART  # type: ignore[type-var,operator]

    return may


def _method_may(groups: Groups, _: Elements) -> bool:
    """A method may be that by which structures were found, unless it is a functional."""
    return sum(same_functional(value) in _FUNCTIONALS for value, _ in groups) < 2


def _always(_: Groups, __: Elements) -> bool:
    return True


def _never(_: Groups, __: Elements) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting: its name with `{}` for an element, the columns that state it, and how values are compared.

    Attributes:
        keys: a regular expression for the columns, in any case of letters.
        width: share by which numbers may differ; None for words.
        meaning: words of one meaning become one.
        may_differ: whether a difference may be meant.
    """

    name: str
    keys: str
    width: float | None = None
    meaning: Callable[[str], str] = str.casefold
    may_differ: Callable[[Groups, Elements], bool] = _never

    def element_in(self, name: str) -> str:
        """The element in a name of this setting, empty where it is of none."""
        before, found, after = self.name.partition("{}")
        return name.removeprefix(before).removesuffix(after) if found else ""


SETTINGS = (
    Setting(
        name="functional",
        keys="(dft_|density_|xc_?)?functional(_name)?|xc|exchange_?correlation|run_type|level_of_theory",
        meaning=same_functional,
    ),
    Setting(
        name="cutoff (eV)",
        keys="(energy_|e_|pw_|plane_?wave_)?cutoff(_energy)?(_ev)?|encut|enmax|ecut",
        width=_SAME_NUMBER,
    ),
    Setting(name="cutoff (Ry)", keys="ecutwfc|cutoff_ry", width=_SAME_NUMBER),
    Setting(name="cutoff of the density (Ry)", keys="ecutrho", width=_SAME_NUMBER),
    Setting(name="Hubbard U (eV)", keys="hubbard_u", width=_SAME_NUMBER),
    Setting(name="Hubbard U of {} (eV)", keys="hubbard_u_([a-z]{1,2})", width=_SAME_NUMBER),
    Setting(
        name="pseudopotentials", keys="pseudo(potential)?s?|pp|(pseudo|potential|potcar)_(family|functional)|potcar"
    ),
    Setting(name="potential of {}", keys="potential_([a-z]{1,2})"),
    Setting(name="k-point density", keys="k_?density|k_?points?_density|kppr?a", width=_SAME_NUMBER),
    Setting(name="k-point spacing (1/A)", keys="kspacing", width=_SAME_NUMBER),
    Setting(name="coarsest k-point spacing (1/A)", keys="k_spacing", width=K_SPACING_FACTOR - 1.0),
    Setting(name="code", keys="code|calculator|dft_code|program|software"),
    Setting(
        name="spin (ISPIN)",
        keys="ispin|nspin|spinpol|(is_)?spin_?polari[sz](ed|ation)",
        meaning=_spin,
        may_differ=_spin_may,
    ),
    Setting(name="spin-orbit coupling", keys="spin_orbit|spin_orbit_coupling|soc|lsorbit|lspinorb", meaning=_orbit),
    Setting(name="charge of the cell (e)", keys="charge|(total|tot|cell|net)_charge|charge_state", width=_SAME_NUMBER),
    Setting(name="pressure (kbar)", keys="pstress", width=_SAME_NUMBER),
    Setting(name="pressure", keys="(external|target|applied)_press(ure)?(_(gpa|kbar))?", width=_SAME_NUMBER),
    Setting(
        name="pressure, of the setup or as it came out",
        keys="press(ure)?(_(gpa|kbar))?",
        width=_SAME_NUMBER,
        may_differ=_always,
    ),
    Setting(name="dispersion", keys="(dispersion|vdw)(_corr(ection)?)?|ivdw", meaning=_dispersion),
    Setting(name="precision (PREC)", keys="prec", meaning=_precision, may_differ=_precision_may),
    Setting(name="projection (LREAL)", keys="lreal", meaning=_projection, may_differ=_always),
    Setting(
        name="smearing", keys="smearing(_(type|method|kind))?|ismear|occupations", meaning=_smearing, may_differ=_always
    ),
    Setting(
        name="width of the smearing (eV)", keys="sigma|smearing_width", width=_SAME_NUMBER, may_differ=_widths_may(1.0)
    ),
    Setting(name="width of the smearing (Ry)", keys="degauss", width=_SAME_NUMBER, may_differ=_widths_may(_RY_EV)),
    Setting(name="solvent (LSOL)", keys="lsol", meaning=_truth),
    Setting(name="electric field (EFIELD)", keys="efield", width=_SAME_NUMBER),
    Setting(name="terms in the spheres (LASPH)", keys="lasph", meaning=_truth, may_differ=_always),
    Setting(name="fixed magnetic moment (NUPDOWN)", keys="nupdown", width=_SAME_NUMBER, may_differ=_always),
    Setting(name="convergence of the electrons (EDIFF)", keys="ediff", width=_SAME_NUMBER, may_differ=_always),
    Setting(name="cutoff of the augmentation (ENAUG)", keys="enaug", width=_SAME_NUMBER, may_differ=_always),
    Setting(name="finer grid (ADDGRID)", keys="addgrid", meaning=_truth, may_differ=_always),
    Setting(name="metaGGA", keys="metagga|meta_gga", meaning=_none),
    Setting(name="method", keys="(dft_)?method|theory", meaning=same_functional, may_differ=_method_may),
    Setting(name="+U", keys="is_hubbard|ldau|lda_plus_u|dft_plus_u", meaning=_truth),
    Setting(name="temperature of the electrons", keys="electronic_temperature(_(k|ev))?", width=_SAME_NUMBER),
    Setting(name="constrained moments (I_CONSTRAINED_M)", keys="i_constrained_m", width=_SAME_NUMBER),
    Setting(name="dipole correction (LDIPOL)", keys="ldipol", meaning=_truth, may_differ=_always),
    Setting(name="spherical terms of the GGA (GGA_COMPAT)", keys="gga_compat", meaning=_truth, may_differ=_always),
    Setting(name="version of the code", keys="code_version|(vasp|qe)_version", may_differ=_always),
)


def settings_among(columns: Mapping[str, str | float]) -> dict[tuple[int, str], str]:
    """The settings among columns: value by place in SETTINGS and name; what two columns state of one in different ways is both."""
    found: dict[tuple[int, str], str] = {}
    for key, value in columns.items():
        meant, text = _meant_by(key), str(value).strip()
        if meant is None or text.lower() in _UNSTATED:
            continue
        if text.lower() != "none" or meant[1] in _SAY_NONE:
            earlier = found.setdefault(meant, text)
            if earlier != text and not _are_one(earlier, text, SETTINGS[meant[0]]):
                found[meant] = " and ".join(sorted((earlier, text)))
    return found


def setting_columns(columns: Mapping[str, str | float]) -> dict[str, str | float]:
    """Those of columns that state settings, under their own names."""
    return {
        key: value
        for key, value in columns.items()
        if _meant_by(key) is not None and str(value).strip().lower() not in _UNSTATED
    }


def _are_one(one: str, other: str, setting: Setting) -> bool:
    number = _number(one)
    return setting.meaning(one) == setting.meaning(other) or (number is not None and number == _number(other))


@lru_cache(maxsize=1024)
def _meant_by(key: str) -> tuple[int, str] | None:
    """Place in SETTINGS and name of the setting that a column states, if it is one."""
    for place, setting in enumerate(SETTINGS):
        if match := re.fullmatch(setting.keys, key, re.IGNORECASE):
            return place, setting.name.format(match[1].capitalize() if "{}" in setting.name else "")
    return None


def grouped(values: Sequence[tuple[str, str]], setting: Setting) -> Groups:
    """Ids by value as shown, most ids first; numbers in ascending groups, each no wider than a share of its lowest."""
    numbers = np.array([_number(text) for text, _ in values], dtype=np.float64)  # None as NaN
    members: defaultdict[str | float, list[int]] = defaultdict(list)
    width = setting.width
    if width is None or np.isnan(numbers).any():
        meanings = {text: setting.meaning(text) for text in {text for text, _ in values}}
        for index, (text, _) in enumerate(values):
            members[meanings[text]].append(index)
        shown = [values[indices[0]][0] for indices in members.values()]
    else:
        lowest = -np.inf
        for index in np.argsort(numbers, kind="stable").tolist():
            if not members or numbers[index] - lowest > width * abs(lowest):
                lowest = numbers[index]
            members[lowest].append(index)
        ranges = [(f"{numbers[i[0]]:.6g}", f"{numbers[i[-1]]:.6g}") for i in members.values()]
        shown = [low if low == high else f"{low} to {high}" for low, high in ranges]
    ids = [tuple(values[index][1] for index in sorted(indices)) for indices in members.values()]
    return tuple(sorted(zip(shown, ids, strict=True), key=lambda group: -len(group[1])))


def _number(text: str) -> float | None:
    """A finite number as text states it, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None
