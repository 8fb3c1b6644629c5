"""What the columns of a source mean: cost and baseline by the names that a user gives, settings of calculations by known names.

Energies of different functionals, cutoffs or +U belong to different hulls. A setting of a calculation is a column of a known name,
whatever the format; a frame that does not state it is not compared by it. Which settings are right is not known here.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import InvalidPoolError
from hullscout.pool.frames import Frame, shown_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

K_SPACING_FACTOR = 2.0
"""Meshes of k-points are of one setting while the coarsest spacings of two cells differ by no more than this factor: meshes are
whole numbers."""

_SAME_NUMBER = 1e-6  # relative
_UNSTATED = frozenset({"", "none", "nan", "unknown"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns of a source, named as it names them, are read as what.

    Attributes:
        cost: what computing a candidate costs, in any unit (core-hours, say), above 0.
        baseline: an energy of a cheaper method, in eV per cell as energies are.
    """

    cost: str | None = None
    baseline: str | None = None

    def __post_init__(self) -> None:
        for setting, column in (("cost", self.cost), ("baseline", self.baseline)):
            if column == "energy":
                raise InvalidPoolError(
                    f"pool.{setting}: expected a column other than 'energy', found {column!r}: that is what a campaign looks "
                    "up, and it may not know it before. Name another column."
                )

    def read(self, path: Path, used: Sequence[Frame]) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
        """Cost (n,), all above 0, and baseline energy (n,) in eV/atom of frames that become candidates; None where not named."""
        cost = None if self.cost is None else _read_column(path, used, setting="cost", column=self.cost, above=0.0)
        if self.baseline is None:
            return cost, None
        n_atoms = np.array([len(frame.numbers) for frame in used], dtype=np.float64)
        return cost, _read_column(path, used, setting="baseline", column=self.baseline, above=-np.inf) / n_atoms


def _read_column(path: Path, used: Sequence[Frame], *, setting: str, column: str, above: float) -> NDArray[np.float64]:
    """(n,) finite numbers, all above a limit, of a column that every frame states."""
    where = f"{path}: pool.{setting} = {column!r}"
    missing = [frame.id for frame in used if column not in frame.columns]
    if missing:
        known = sorted({key for frame in used for key in frame.columns})
        raise InvalidPoolError(
            f"{where}: expected it for every candidate, found it for {len(used) - len(missing)} of {len(used)}; missing for "
            f"{shown_ids(missing)}. Columns found: {', '.join(known) or 'none'}. State it for all, or name another column."
        )
    stated = [frame.columns[column] for frame in used]
    values = np.array([finite_number(str(value)) for value in stated], dtype=np.float64)  # None as NaN
    for is_wrong, expected, found in (
        (np.isnan(values), "a finite number", "no finite numbers"),
        (values <= above, f"a number above {above:g}", f"not above {above:g}"),
    ):
        if is_wrong.any():
            first = int(is_wrong.argmax())
            shown = repr(stated[first]) if np.isnan(values[first]) else stated[first]
            raise InvalidPoolError(
                f"{where}: expected {expected} for every candidate, found {shown} for {used[first].name} "
                f"({is_wrong.sum()} of {len(used)} are {found}). Correct the column."
            )
    return values


def finite_number(text: str) -> float | None:
    """A finite number as text states it, or None.

    >>> finite_number("4e0"), finite_number("inf"), finite_number("long")
    (4.0, None, None)
    """
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


class MixedSettings(Enum):
    """What becomes of a pool whose energies were computed with different settings: an error that names them, or a report."""

    REFUSE = "refuse"
    ALLOW = "allow"


_SETTINGS = (
    # name, columns that state it (a regular expression, in any case of letters), share by which values may differ (None: words)
    ("functional", "functional|dft_functional|xc|xc_functional|run_type", None),
    ("cutoff (eV)", "cutoff|cutoff_ev|encut|ecut", _SAME_NUMBER),
    ("cutoff (Ry)", "ecutwfc|cutoff_ry", _SAME_NUMBER),
    ("Hubbard U (eV)", "hubbard_u", _SAME_NUMBER),
    ("Hubbard U of {} (eV)", "hubbard_u_([a-z]{1,2})", _SAME_NUMBER),
    ("pseudopotentials", "pseudopotentials?", None),
    ("potential of {}", "potential_([a-z]{1,2})", None),
    ("k-point density", "k_?density|kpoint_density|kppa", _SAME_NUMBER),
    ("k-point spacing (1/A)", "kspacing", _SAME_NUMBER),
    ("coarsest k-point spacing (1/A)", "k_spacing", K_SPACING_FACTOR - 1.0),
    ("code", "code|calculator", None),
)


def potentials(titles: Iterable[str]) -> dict[str, str]:
    """Columns for pseudopotentials by their titles in VASP's manner.

    >>> potentials(["PAW_PBE Ag 06Sep2000", "PBE Pd_pv"])
    {'potential_Ag': 'PAW_PBE Ag 06Sep2000', 'potential_Pd': 'PBE Pd_pv'}
    """
    split = [words for title in titles if (words := title.split())]
    return {f"potential_{re.split(r'[_.]', (words[1:] or words)[0])[0]}": " ".join(words) for words in split}


def coarsest_k_spacing(cell: ArrayLike, mesh: Iterable[int]) -> dict[str, float]:
    """The column `k_spacing`: the largest `|b_i| / n_i` of a mesh of k-points in 1/A, 2 pi included.

    A mesh of a single point says nothing of a setting: then there is no such column.
    """
    counts = np.asarray(list(mesh), dtype=np.float64)
    if counts.shape != (3,) or counts.min() < 1 or counts.max() == 1:
        return {}
    reciprocal = 2.0 * np.pi * np.linalg.inv(np.asarray(cell, dtype=np.float64)).T
    return {"k_spacing": float((np.linalg.norm(reciprocal, axis=1) / counts).max())}


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingConflict:
    """A setting, named with its unit, whose values differ in one pool: each as shown, with the ids computed so; most ids first."""

    setting: str
    groups: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def odd_ids(self) -> tuple[str, ...]:
        """Ids of all but the largest group."""
        return tuple(member for _, ids in self.groups[1:] for member in ids)

    def __str__(self) -> str:
        values = (f"{value} ({len(ids)}: {shown_ids(ids)})" for value, ids in self.groups)
        return f"{self.setting}: {'; '.join(values)}"


def find_setting_conflicts(frames: Iterable[Frame]) -> tuple[SettingConflict, ...]:
    """Settings that are not the same for all energies, in a fixed order; frames without an energy do not count.

    Words are compared in any case of letters, numbers to 1e-6, spacings of k-points that were found from a mesh within
    K_SPACING_FACTOR.
    """
    stated: defaultdict[tuple[int, str], list[tuple[str, str]]] = defaultdict(list)
    for frame in frames:
        if frame.energy_ev is not None:
            for key, value in _settings(frame.columns).items():
                stated[key].append((value, frame.id))
    grouped = [(name, _groups(values, _SETTINGS[place][2])) for (place, name), values in sorted(stated.items())]
    return tuple(SettingConflict(setting=name, groups=groups) for name, groups in grouped if len(groups) > 1)


def refuse_mixed_settings(path: Path, conflicts: Sequence[SettingConflict]) -> None:
    """Make an InvalidPoolError of conflicting settings, if there are any."""
    if conflicts:
        lines = "".join(f"\n  {conflict}" for conflict in conflicts)
        raise InvalidPoolError(
            f"{path}: expected energies that were all computed with the same settings, found several (number and ids in "
            f"brackets):{lines}\nCompute them alike, take the odd ones out, or set pool.allow_mixed_settings = true."
        )


def _settings(columns: Mapping[str, str | float]) -> dict[tuple[int, str], str]:
    """The settings among columns: value by place in _SETTINGS and name."""
    found = {}
    for key, value in columns.items():
        text = str(value).strip()
        if text.lower() in _UNSTATED:
            continue
        for place, (name, keys, _) in enumerate(_SETTINGS):
            if match := re.fullmatch(keys, key, re.IGNORECASE):
                element = match[1].capitalize() if match.re.groups else ""
                found[place, name.format(element)] = text
    return found


def _groups(values: Sequence[tuple[str, str]], width: float | None) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Ids by value as shown, most ids first; numbers in ascending groups, each no wider than a share of its lowest."""
    numbers = np.array([finite_number(text) for text, _ in values], dtype=np.float64)  # None as NaN
    members: defaultdict[str | float, list[int]] = defaultdict(list)
    if width is None or np.isnan(numbers).any():
        for index, (text, _) in enumerate(values):
            members[text.casefold()].append(index)
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
