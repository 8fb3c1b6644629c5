"""The candidates of a campaign: checked, in a fixed order, each crystal once.

A pool holds no energy and no way to one. It looks at a frame's energy only to see whether there is one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hullscout.display import html_sentences, html_table
from hullscout.errors import InvalidPoolError
from hullscout.pool.candidate import Candidate
from hullscout.pool.checks import atomic_numbers, find_faults, find_missing_ends
from hullscout.pool.columns import Columns, read_baseline, read_cost
from hullscout.pool.frames import natural_key, one_error, shown_ids
from hullscout.pool.theory import MixedSettings, SettingConflict, find_setting_conflicts, refuse_mixed_settings
from hullscout.pool.twins import TWIN_TOLERANCE, find_twins

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from numpy.typing import NDArray

    from hullscout.pool.frames import Frames


NO_COLUMNS = Columns()


class WithoutEnergy(Enum):
    """What becomes of a frame that states no energy."""

    LEAVE_OUT = "leave out"
    """A table can never answer for it: it is no candidate."""
    KEEP = "keep"
    """Its energy will be computed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolReport:
    """What was found in the frames and what was done about it.

    Attributes:
        elements: the two elements of the axis.
        n_frames: frames in the source.
        n_candidates: crystals that a campaign may ask for.
        left_out: ids of frames without an energy that are no candidates, in pool order.
        twin_groups: ids that are one crystal, the candidate first; only groups of two or more.
        n_pure: candidates that are the pure first and the pure second element.
        shared_labels: prototype labels that stood for several structures, which got numbers.
        mixed_settings: settings that differ among the energies, where that was allowed.
    """

    elements: tuple[str, str]
    n_frames: int
    n_candidates: int
    left_out: tuple[str, ...]
    twin_groups: tuple[tuple[str, ...], ...]
    n_pure: tuple[int, int]
    shared_labels: tuple[str, ...] = ()
    mixed_settings: tuple[SettingConflict, ...] = ()

    def lines(self) -> tuple[str, ...]:
        """The report in plain sentences, one per finding; one line for a pool with nothing to tell."""
        return tuple(self._sentences())

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _sentences(self) -> Iterator[str]:
        yield f"{self.n_frames} frames hold {self.n_candidates} candidates."
        if self.left_out:
            yield f"Left out, since they have no energy: {_counted(self.left_out)}."
        if self.twin_groups:
            n_groups = len(self.twin_groups)
            n_twins = _n_frames(sum(len(group) - 1 for group in self.twin_groups))
            first = " = ".join(self.twin_groups[0])
            within = f"more than once (within {TWIN_TOLERANCE} A)"
            if n_groups == 1:
                yield f"1 crystal occurs {within}; it is looked up once, {n_twins} counted as its twins: {first}."
            else:
                yield (
                    f"{n_groups} crystals occur {within}; each is looked up once, {n_twins} counted as their twins. "
                    f"The first: {first}."
                )
        if self.shared_labels:
            label = self.shared_labels[0]
            yield (
                f"{len(self.shared_labels)} ids are labels that several structures of a prototype share; these were given "
                f"numbers by ascending volume per atom. The first: {label}#1, {label}#2."
            )
        for conflict in self.mixed_settings:
            yield f"Energies of different settings, as allowed: {conflict}."
        for symbol, count in zip(self.elements, self.n_pure, strict=True):
            if count > 1:
                yield f"{count} candidates are pure {symbol}; the lowest of those looked up is the end of the axis."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pool:
    """Candidates in the natural order of their ids (`a2` before `a10`), whatever the order of the file.

    Attributes:
        elements: the two elements of the axis.
        candidates: one for each crystal.
        report: what was left out or grouped.
        cost: (n,) what computing each candidate costs, above 0, in the unit of the source; None where it states none.
        baseline_ev_per_atom: (n,) energies of a cheaper method in eV/atom; None where there are none.
        ids: the candidates' ids.
        n_atoms: (n,) atoms in each cell.
        x: (n,) atomic fraction of the second element.
        end_members: indices of the pure first and of the pure second element; at least one each.

    Raises:
        InvalidPoolError: no candidate for an end of the axis, a foreign element, an id that occurs twice, costs or baselines
            that are not one finite number per candidate, a cost not above 0.
    """

    elements: tuple[str, str]
    candidates: tuple[Candidate, ...] = field(repr=False)
    report: PoolReport = field(repr=False)
    cost: NDArray[np.float64] | None = field(default=None, repr=False)
    baseline_ev_per_atom: NDArray[np.float64] | None = field(default=None, repr=False)
    ids: tuple[str, ...] = field(init=False, repr=False)
    n_atoms: NDArray[np.int64] = field(init=False, repr=False)
    x: NDArray[np.float64] = field(init=False, repr=False)
    end_members: tuple[tuple[int, ...], tuple[int, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        first, second = atomic_numbers(self.elements)
        n_first = np.array([int((c.numbers == first).sum()) for c in self.candidates], dtype=np.int64)
        n_second = np.array([int((c.numbers == second).sum()) for c in self.candidates], dtype=np.int64)
        n_atoms = np.array([c.n_atoms for c in self.candidates], dtype=np.int64)
        ids = tuple(c.id for c in self.candidates)
        ends = (tuple(np.flatnonzero(n_second == 0).tolist()), tuple(np.flatnonzero(n_first == 0).tolist()))
        if not all(ends) or not np.array_equal(n_first + n_second, n_atoms) or len(set(ids)) < len(ids):
            raise InvalidPoolError(
                f"Expected candidates of {self.elements} with unique ids and both pure elements, found {len(ids)} "
                f"candidates with {len(set(ids))} ids and {len(ends[0])} and {len(ends[1])} pure structures. "
                "Build pools by build_pool."
            )
        x = n_second / n_atoms
        arrays = {"n_atoms": n_atoms, "x": x}
        for name, above in (("cost", 0.0), ("baseline_ev_per_atom", -np.inf)):
            if getattr(self, name) is not None:
                arrays[name] = _checked(getattr(self, name), name, n=len(ids), above=above)
        for array in arrays.values():
            array.setflags(write=False)
        for name, value in (("ids", ids), ("end_members", ends), *arrays.items()):
            object.__setattr__(self, name, value)

    @classmethod
    def read(cls, path: str | Path, elements: tuple[str, str], *, columns: Columns = NO_COLUMNS) -> Pool:
        """The candidates of a file or folder of any format that is read, whether or not it states energies.

        Args:
            path: A file or a folder; what it is, is told by what is there.
            elements: First and second element of the axis.
            columns: Which columns state cost and baseline.

        Raises:
            InvalidPoolError: There is none, or it holds something that no campaign can use.
        """
        from hullscout.pool.formats import read_pool  # noqa: PLC0415  the formats know frames, and these the pool

        return build_pool(
            read_pool(Path(path)),
            elements,
            without_energy=WithoutEnergy.KEEP,
            columns=columns,
            mixed_settings=MixedSettings.ALLOW,
        )

    def __len__(self) -> int:
        return len(self.candidates)

    def table(self) -> pd.DataFrame:
        """The candidates by id: formula, x, atoms in the cell, and cost and baseline where the pool has them."""
        import pandas as pd  # noqa: PLC0415  slow to import

        columns: dict[str, object] = {
            "id": self.ids,
            "formula": [candidate.formula for candidate in self.candidates],
            "x": self.x,
            "n_atoms": self.n_atoms,
        }
        for name in ("cost", "baseline_ev_per_atom"):
            if getattr(self, name) is not None:
                columns[name] = getattr(self, name)
        return pd.DataFrame(columns).set_index("id")

    def _repr_html_(self) -> str:
        sizes, counts = np.unique(self.n_atoms, return_counts=True)
        rows = [
            (f"{size}", f"{count}", f"{np.unique(self.x[self.n_atoms == size]).size}")
            for size, count in zip(sizes.tolist(), counts.tolist(), strict=True)
        ]
        title = f"Pool of {' and '.join(self.elements)}"
        return html_sentences(title, *self.report.lines()) + html_table(
            ("atoms in the cell", "candidates", "compositions"), rows
        )

    @property
    def fractions(self) -> NDArray[np.float64]:
        """(n, k) atomic fractions of the elements after the first."""
        return self.x[:, None]

    @property
    def twins(self) -> dict[str, tuple[str, ...]]:
        """For each candidate that occurs more than once, the ids of the frames that it stands for."""
        return {group[0]: group[1:] for group in self.report.twin_groups}


def build_pool(
    frames: Frames,
    elements: tuple[str, str],
    *,
    without_energy: WithoutEnergy,
    columns: Columns = NO_COLUMNS,
    mixed_settings: MixedSettings = MixedSettings.REFUSE,
) -> Pool:
    """Check frames, group what is the same crystal, and order it.

    The candidate of a group is the one whose id comes first; cost and baseline are its own.

    Args:
        frames: what a file says.
        elements: first and second element of the axis.
        without_energy: what becomes of frames that state no energy.
        columns: which columns state cost and baseline.
        mixed_settings: what becomes of energies computed with different settings.

    Returns:
        A pool that knows no energies.

    Raises:
        InvalidPoolError: any fault of a frame, a repeated id, no pure element for an end of the axis, no energy at all
            where energies are needed, all in one error; then energies of different settings; then a column that does not hold
            what it should.
    """
    is_table = without_energy is WithoutEnergy.LEAVE_OUT
    usable = [frame for frame in frames.frames if not is_table or frame.energy_ev is not None]
    if not usable:
        raise InvalidPoolError(
            f"{frames.path}: expected an energy (eV per cell) for the frames of a pool that is looked up, found one for none of "
            f"{len(frames.frames)} frames; columns found: {', '.join(frames.keys) or 'none'}. "
            "Name the total energy `energy`, or choose an oracle that computes."
        )
    faults = find_faults(frames.frames, elements) + find_missing_ends(usable, elements)
    if faults:
        raise one_error(frames.path, faults, n_frames=len(frames.frames))
    conflicts = find_setting_conflicts(usable)
    if mixed_settings is MixedSettings.REFUSE:
        refuse_mixed_settings(frames.path, conflicts)
    usable.sort(key=lambda frame: natural_key(frame.id))
    candidates = [Candidate(id=f.id, numbers=f.numbers, positions=f.positions, cell=f.cell) for f in usable]
    groups = find_twins(candidates)
    chosen = tuple(candidates[group[0]] for group in groups)
    used_frames = [usable[group[0]] for group in groups]
    pure = [sum(1 for c in chosen if (c.numbers == number).all()) for number in atomic_numbers(elements)]
    used = {candidate.id for candidate in candidates}
    report = PoolReport(
        elements=elements,
        n_frames=len(frames.frames),
        n_candidates=len(chosen),
        left_out=tuple(sorted((f.id for f in frames.frames if f.id not in used), key=natural_key)),
        twin_groups=tuple(tuple(candidates[i].id for i in group) for group in groups if len(group) > 1),
        n_pure=(pure[0], pure[1]),
        shared_labels=frames.shared_labels,
        mixed_settings=conflicts,
    )
    return Pool(
        elements=elements,
        candidates=chosen,
        report=report,
        cost=read_cost(frames, used_frames, columns.cost),
        baseline_ev_per_atom=read_baseline(frames, used_frames, columns.baseline),
    )


def _checked(values: NDArray[np.float64], name: str, *, n: int, above: float) -> NDArray[np.float64]:
    """A copy of a pool's column: (n,) finite numbers above a floor."""
    array = np.array(values, dtype=np.float64)
    if array.shape != (n,) or not (np.isfinite(array) & (array > above)).all():
        raise InvalidPoolError(
            f"Expected {name} as {n} finite numbers above {above:g}, found {array}. Build pools by build_pool."
        )
    return array


def _n_frames(count: int) -> str:
    """`1 frame is` or `2 frames are`."""
    return "1 frame is" if count == 1 else f"{count} frames are"


def _counted(ids: tuple[str, ...]) -> str:
    """The first few ids and how many there are."""
    return f"{len(ids)} frames ({shown_ids(ids)})" if len(ids) > 1 else ids[0]
