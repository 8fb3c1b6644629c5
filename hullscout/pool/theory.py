"""Levels of theory: the settings of the calculations, where a source states them beside its energies.

Energies of different functionals, cutoffs or +U belong to different hulls. A setting is a column of a known name, whatever
the format; a frame that does not state it is not compared by it. Which settings are right is not known here.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import InvalidPoolError
from hullscout.pool.frames import shown_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from hullscout.pool.frames import Frame

K_SPACING_FACTOR = 2.0
"""Meshes of k-points are of one setting while the coarsest spacings of two cells differ by no more than this factor: meshes are
whole numbers."""

_SAME_NUMBER = 1e-6  # relative
_UNSTATED = frozenset({"", "none", "nan", "unknown"})


class MixedSettings(Enum):
    """What becomes of a pool whose energies were computed with different settings."""

    REFUSE = "refuse"
    """It is an error that names settings and ids."""
    ALLOW = "allow"
    """It is reported."""


class _Kind(Enum):
    """How two values of a setting are compared."""

    WORD = "word"
    NUMBER = "number"
    SPACING = "spacing"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setting:
    """A setting by name: `keys` are the columns that state it, a regular expression, in any case of letters."""

    name: str
    keys: str
    kind: _Kind


_SETTINGS = (
    _Setting(name="functional", keys="functional|dft_functional|xc|xc_functional|run_type", kind=_Kind.WORD),
    _Setting(name="cutoff (eV)", keys="cutoff|cutoff_ev|encut|ecut", kind=_Kind.NUMBER),
    _Setting(name="cutoff (Ry)", keys="ecutwfc|cutoff_ry", kind=_Kind.NUMBER),
    _Setting(name="Hubbard U (eV)", keys="hubbard_u", kind=_Kind.NUMBER),
    _Setting(name="Hubbard U of {} (eV)", keys="hubbard_u_([a-z]{1,2})", kind=_Kind.NUMBER),
    _Setting(name="pseudopotentials", keys="pseudopotentials?", kind=_Kind.WORD),
    _Setting(name="potential of {}", keys="potential_([a-z]{1,2})", kind=_Kind.WORD),
    _Setting(name="k-point density", keys="k_?density|kpoint_density|kppa", kind=_Kind.NUMBER),
    _Setting(name="k-point spacing (1/A)", keys="kspacing", kind=_Kind.NUMBER),
    _Setting(name="coarsest k-point spacing (1/A)", keys="k_spacing", kind=_Kind.SPACING),
    _Setting(name="code", keys="code|calculator", kind=_Kind.WORD),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingConflict:
    """A setting with more than one value among energies of one pool.

    Attributes:
        setting: its name, with the unit.
        groups: a value as shown, and the ids of those computed with it; most ids first.
    """

    setting: str
    groups: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def odd_ids(self) -> tuple[str, ...]:
        """Ids of all but the largest group."""
        return tuple(member for _, ids in self.groups[1:] for member in ids)

    def __str__(self) -> str:
        """The setting and its values, each with the first ids."""
        values = (f"{value} ({len(ids)}: {shown_ids(ids)})" for value, ids in self.groups)
        return f"{self.setting}: {'; '.join(values)}"


def find_setting_conflicts(frames: Iterable[Frame]) -> tuple[SettingConflict, ...]:
    """Settings that are not the same for all energies.

    Args:
        frames: those whose energies are compared; frames without one do not count.

    Returns:
        One entry per setting that has several values, in a fixed order of the settings. Words are compared in any case of
        letters, numbers to 1e-6, spacings of k-points that were found from a mesh within K_SPACING_FACTOR.
    """
    stated: defaultdict[tuple[int, str], list[tuple[str, str]]] = defaultdict(list)
    for frame in frames:
        if frame.energy_ev is not None:
            for key, value in _settings(frame.columns).items():
                stated[key].append((value, frame.id))
    conflicts = []
    for (place, name), values in sorted(stated.items()):
        groups = _groups(values, _SETTINGS[place].kind)
        if len(groups) > 1:
            conflicts.append(SettingConflict(setting=name, groups=groups))
    return tuple(conflicts)


def refuse_mixed_settings(path: Path, conflicts: Sequence[SettingConflict]) -> None:
    """Make an error of conflicting settings.

    Raises:
        InvalidPoolError: there are any.
    """
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
        for place, setting in enumerate(_SETTINGS):
            if match := re.fullmatch(setting.keys, key, re.IGNORECASE):
                element = match[1].capitalize() if match.re.groups else ""
                found[place, setting.name.format(element)] = text
    return found


def _groups(values: Sequence[tuple[str, str]], kind: _Kind) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Ids by value as shown, most ids first."""
    numbers = [_number(text) for text, _ in values]
    if kind is _Kind.WORD or None in numbers:
        words: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        for text, frame_id in values:
            words[text.casefold()].append((text, frame_id))
        groups = [(members[0][0], tuple(member for _, member in members)) for members in words.values()]
    else:
        factor = K_SPACING_FACTOR if kind is _Kind.SPACING else 1.0 + _SAME_NUMBER
        groups = _number_groups(np.array(numbers, dtype=np.float64), [frame_id for _, frame_id in values], factor)
    return tuple(sorted(groups, key=lambda group: -len(group[1])))


def _number_groups(numbers: np.ndarray, ids: Sequence[str], factor: float) -> list[tuple[str, tuple[str, ...]]]:
    """Numbers in ascending groups, each no wider than a factor from its lowest."""
    groups: list[list[int]] = []
    for index in np.argsort(numbers, kind="stable").tolist():
        if groups and numbers[index] - numbers[groups[-1][0]] <= (factor - 1.0) * abs(numbers[groups[-1][0]]):
            groups[-1].append(index)
        else:
            groups.append([index])
    shown = []
    for group in groups:
        low, high = f"{numbers[group[0]]:.6g}", f"{numbers[group[-1]]:.6g}"
        shown.append((low if low == high else f"{low} to {high}", tuple(ids[index] for index in sorted(group))))
    return shown


def _number(text: str) -> float | None:
    """A finite number, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None
