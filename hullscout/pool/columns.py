"""What the columns of a source mean: cost and baseline by the names that a user gives, settings of calculations by known names.

Energies of different functionals, cutoffs or +U belong to different hulls. A setting of a calculation is a column of a known name,
whatever the format, compared by what it means: `pbe`, `PBE` and `GGA_PE` are one functional. A frame that does not state a setting
is not compared by it, and that is said. Which settings are right is not known here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from hullscout.errors import InvalidPoolError
from hullscout.pool.frames import Frame, shown_ids
from hullscout.pool.settings import SETTINGS, atomic_number, grouped, settings_among
from hullscout.pool.units import claim_of_name, is_per_atom

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray


MAX_VALUES_SHOWN = 8
"""Of a setting whose values differ: there is one for each structure where a column is no setting."""
_MESH = re.compile(r"(?i)kpts|k_?points?(_?(mesh|grid))?|k_?(mesh|grid)|monkhorst_pack(_grid)?")
_OF_MESH = re.compile(r"[^0-9xX,;*()\[\]{} ]")  # not of a mesh, as `4 4 4`, `4x4x4` or `[4, 4, 4]`


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns of a source, named as it names them, are read as what.

    Attributes:
        cost: what computing a candidate costs, in any unit (core-hours, say), above 0.
        baseline: an energy of a cheaper method, in eV per cell as energies are; or those of several.
    """

    cost: str | None = None
    baseline: str | tuple[str, ...] | None = None

    @property
    def baselines(self) -> tuple[str, ...]:
        """The columns of cheaper methods."""
        return (self.baseline,) if isinstance(self.baseline, str) else self.baseline or ()

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return (*(() if self.cost is None else (self.cost,)), *self.baselines)

    def __post_init__(self) -> None:
        for setting, column in (("cost", self.cost), *(("baseline", column) for column in self.baselines)):
            if column == "energy":
                raise InvalidPoolError(
                    f"pool.{setting}: expected a column other than 'energy', found {column!r}: that is what a campaign looks "
                    "up, and it may not know it before. Name another column."
                )
        for column in self.baselines:
            claim = claim_of_name(column)
            if (claim and claim.unit != "eV") or is_per_atom(column):
                raise InvalidPoolError(
                    f"pool.baseline: expected a column of energies in eV per cell, found {column!r}, whose name claims another "
                    "unit. Convert it, and name it otherwise."
                )

    def read(self, path: Path, used: Sequence[Frame]) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
        """Cost (n,), all above 0, and baseline energy in eV/atom of frames that become candidates; None where not named.

        The latter is (n,) of one column, (n, b) of several, NaN where a frame does not state it. An energy that is given by value
        costs nothing, whatever stands here.
        """
        cost = None
        if self.cost is not None:
            stated = [frame for frame in used if not frame.is_given]
            cost = np.ones(len(used))
            cost[[not frame.is_given for frame in used]] = _read_column(
                path, stated, setting="cost", column=self.cost, above=0.0
            )
        if self.baseline is None:
            return cost, None
        if made := [frame.id for frame in used if frame.is_given]:
            raise InvalidPoolError(
                f"{path}: pool.baseline = {self.baseline!r}: expected structures of the elements, since the cheaper method's "
                f"energies need ends of their own, found energies by value: {shown_ids(made)}. Add the structures, or leave it out."
            )
        columns = [self._read_baseline(path, used, column) for column in self.baselines]
        return cost, columns[0] if isinstance(self.baseline, str) else np.stack(columns, axis=1)

    def notes(self, used: Sequence[Frame]) -> tuple[str, ...]:
        """A sentence on each column of a cheaper method that not all frames state."""
        missing = {column: [frame.id for frame in used if column not in frame.columns] for column in self.baselines}
        return tuple(
            f"{column}: not stated for {len(ids)} of {len(used)} candidates ({shown_ids(ids)}), which are learned without it."
            for column, ids in missing.items()
            if ids
        )

    def _read_baseline(self, path: Path, used: Sequence[Frame], column: str) -> NDArray[np.float64]:
        stated = [place for place, frame in enumerate(used) if column in frame.columns] or list(range(len(used)))
        those = [used[place] for place in stated]
        values = np.full(len(used), np.nan)
        n_atoms = np.array([len(frame.numbers) for frame in those], dtype=np.float64)
        values[stated] = _read_column(path, those, setting="baseline", column=column, above=-np.inf) / n_atoms
        return values


def names_of_columns(value: object) -> object:
    """One name of a column as it is, several as a tuple; ValueError where it is neither."""
    names = value if isinstance(value, list | tuple) else [value]
    if value is not None and (not names or not all(isinstance(name, str) and name for name in names)):
        raise ValueError("expected the name of a column, or a list of several")
    if len(set(names)) < len(names):
        raise ValueError("expected different columns")
    return tuple(names) if isinstance(value, list) else value


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


def potentials(titles: Iterable[str]) -> dict[str, str]:
    """Columns for pseudopotentials by their titles in VASP's manner.

    >>> potentials(["PAW_PBE Ag 06Sep2000", "PBE Pd_pv"])
    {'potential_Ag': 'PAW_PBE Ag 06Sep2000', 'potential_Pd': 'PBE Pd_pv'}
    """
    split = [words for title in titles if (words := title.split())]
    return {f"potential_{re.split(r'[_.]', (words[1:] or words)[0])[0]}": " ".join(words) for words in split}


def coarsest_k_spacing(cell: ArrayLike, mesh: Iterable[float]) -> dict[str, float]:
    """The column `k_spacing`: the largest `|b_i| / n_i` of a mesh of k-points in 1/A, 2 pi included, also of a single point."""
    counts, vectors = np.asarray(list(mesh), dtype=np.float64), np.asarray(cell, dtype=np.float64)
    if counts.shape != (3,) or counts.min() < 1 or not np.linalg.det(vectors):
        return {}
    reciprocal = 2.0 * np.pi * np.linalg.inv(vectors).T
    return {"k_spacing": float((np.linalg.norm(reciprocal, axis=1) / counts).max())}


def mesh_of_points(points: ArrayLike) -> tuple[int, int, int]:
    """The mesh that k-points (n, 3) in units of the reciprocal vectors belong to, of which symmetry left some.

    >>> mesh_of_points([[0, 0, 0], [0.25, 0, 0], [0.5, 0.5, 0], [0.25, 0.5, 0]])
    (4, 2, 1)
    """
    steps = []
    for along in np.atleast_2d(np.asarray(points, dtype=np.float64)).T:
        places = np.unique(np.round(np.concatenate([along, -along]) % 1.0, 4) % 1.0)
        apart = np.diff(np.append(places, places[0] + 1.0))
        steps.append(max(1, round(1.0 / float(apart.min()))))
    return steps[0], steps[1], steps[2]


class MixedSettings(Enum):
    """What becomes of a pool whose energies were computed with different settings: an error that names them, or a report."""

    REFUSE = "refuse"
    ALLOW = "allow"


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
        values = [f"{value} ({len(ids)}: {shown_ids(ids)})" for value, ids in self.groups[:MAX_VALUES_SHOWN]]
        others = len(self.groups) - len(values)
        return f"{self.setting}: {'; '.join(values)}" + (f"; {others} other values" if others else "")


@dataclass(slots=True)
class _Stated:
    """What frames with an energy state of one setting: value and id of each, and how many might have stated it."""

    values: list[tuple[str, str]]
    n_concerned: int


def find_setting_conflicts(frames: Iterable[Frame]) -> tuple[SettingConflict, ...]:
    """Settings that are not the same for all energies, in a fixed order; frames without an energy do not count.

    Words are compared by their meaning, numbers to 1e-6, spacings of k-points that were found from a mesh within K_SPACING_FACTOR.
    Differences that may be meant are no conflicts: `setting_notes` has them.
    """
    listed = list(frames)
    found = (
        SettingConflict(setting=name, groups=groups)
        for name, groups, may in _differing(listed, _stated(listed))
        if not may
    )
    return tuple(found)


def setting_notes(frames: Iterable[Frame]) -> tuple[str, ...]:
    """Sentences on settings that differ and may be meant to, and on those that only some of the energies state."""
    listed = list(frames)
    all_stated = _stated(listed)
    said = [
        f"Computed differently, which may be meant: {SettingConflict(setting=name, groups=groups)}."
        for name, groups, may in _differing(listed, all_stated)
        if may
    ]
    partly = [
        f"{name} for {len(stated.values)} of {stated.n_concerned}"
        for (_, name), stated in sorted(all_stated.items())
        if len(stated.values) < stated.n_concerned
    ]
    if partly:
        said.append(
            f"Settings that not all energies state, and that were compared for the others only: {'; '.join(partly)}."
        )
    return (*said, *_spin_notes(listed))


def stated_settings(frames: Iterable[Frame]) -> str:
    """The settings that energies state, as `encut_ev: 520; xc: PBE`; empty where they state none."""
    return "; ".join(
        f"{name}: {', '.join(value for value, _ in grouped(stated.values, SETTINGS[place])[:MAX_VALUES_SHOWN])}"
        for (place, name), stated in sorted(_stated(list(frames)).items())
    )


def _spin_notes(frames: Sequence[Frame]) -> Iterator[str]:
    """A sentence on energies of structures with Fe, Co or Ni that are stated to be of no spin, or of no moments."""
    ferromagnetic = {atomic_number(symbol): symbol for symbol in ("Fe", "Co", "Ni")}
    concerned = [
        f for f in frames if f.energy_ev is not None and not ferromagnetic.keys().isdisjoint(f.numbers.tolist())
    ]
    without = [frame for frame in concerned if _is_without_spin(frame)]
    if without:
        found = {number for frame in without for number in frame.numbers.tolist()}
        symbols = " and ".join(symbol for number, symbol in ferromagnetic.items() if number in found)
        yield (
            f"Computed without spin or with all moments at 0, by what is stated: {len(without)} of {len(concerned)} energies of "
            f"structures with {symbols} ({shown_ids([frame.id for frame in without])}). The magnetic order of {symbols}, and what "
            "it lowers, is missing in these."
        )


def _is_without_spin(frame: Frame) -> bool:
    is_stated = any(
        SETTINGS[place].keys.startswith("ispin") and SETTINGS[place].meaning(value) == "1"
        for (place, _), value in settings_among(frame.columns).items()
    )
    return is_stated or (frame.magmoms is not None and not frame.magmoms.any())


def _differing(
    frames: Sequence[Frame], all_stated: Mapping[tuple[int, str], _Stated]
) -> Iterator[tuple[str, tuple[tuple[str, tuple[str, ...]], ...], bool]]:
    """Name, groups and whether it may be meant, of each setting with more than one value."""
    for (place, name), stated in sorted(all_stated.items()):
        setting = SETTINGS[place]
        groups = grouped(stated.values, setting)
        if len(groups) > 1:
            elements = {frame.id: set(frame.numbers.tolist()) for frame in frames}
            yield name, groups, setting.may_differ(groups, elements)


def _stated(frames: Sequence[Frame]) -> dict[tuple[int, str], _Stated]:
    """Values with their ids by place in SETTINGS and name."""
    found: dict[tuple[int, str], _Stated] = {}
    counted = [frame for frame in frames if frame.energy_ev is not None]
    for frame in counted:
        for key, value in settings_among(_with_spacing(frame)).items():
            found.setdefault(key, _Stated([], len(counted))).values.append((value, frame.id))
    for (place, name), stated in found.items():
        if symbol := SETTINGS[place].element_in(name):
            number = atomic_number(symbol)
            stated.n_concerned = sum(number in frame.numbers for frame in counted)
    return found


def _with_spacing(frame: Frame) -> Mapping[str, str | float]:
    """The columns of a frame, a mesh of k-points that one of them states as the spacing that it gives in the cell."""
    stated = (str(value) for name, value in frame.columns.items() if _MESH.fullmatch(name))
    mesh = next(
        (numbers for text in stated if len(numbers := re.findall(r"[0-9]+", text)) == 3 and not _OF_MESH.search(text)),
        None,
    )
    if mesh is None or "k_spacing" in frame.columns or not np.isfinite(frame.cell).all():
        return frame.columns
    return {**frame.columns, **coarsest_k_spacing(frame.cell, map(int, mesh))}


ALLOW_IN_FILE = "set pool.allow_mixed_settings = true in a campaign file"
"""What takes energies of several settings, where no option does."""


def refuse_mixed_settings(
    path: Path,
    conflicts: Sequence[SettingConflict],
    *,
    allow: str = "set pool.allow_mixed_settings = true, which is --allow-mixed-settings of `hullscout hull`",
) -> None:
    """Make an InvalidPoolError of conflicting settings, if there are any; `allow` is what takes them all the same."""
    if conflicts:
        lines = "".join(f"\n  {conflict}" for conflict in conflicts)
        raise InvalidPoolError(
            f"{path}: expected energies that were all computed with the same settings, found several (number and ids in "
            f"brackets):{lines}\nCompute them alike, take the odd ones out (`hullscout check ... --write` does), or {allow}."
        )
