"""The candidates of a campaign: checked, in a fixed order, each crystal once.

A pool holds no energy and no way to one. It looks at a frame's energy only to see whether there is one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from hullscout.display import html_sentences, html_table
from hullscout.errors import InvalidPoolError
from hullscout.pool.axis import CompositionAxis, axis_of
from hullscout.pool.candidate import Candidate, formula_of
from hullscout.pool.checks import Faulty, atomic_numbers, slab_notes, symbol_of
from hullscout.pool.columns import (
    Columns,
    MixedSettings,
    find_setting_conflicts,
    refuse_mixed_settings,
    setting_notes,
)
from hullscout.pool.energies import STATED_BY_NAME, EnergyMeaning, offered, understand
from hullscout.pool.formats import read_pool
from hullscout.pool.frames import LEAVE_OUT, Frames, natural_key, one_error
from hullscout.pool.moments import moment_note
from hullscout.pool.plausibility import find_doubts
from hullscout.pool.report import PoolReport
from hullscout.pool.twins import find_crystals, find_siblings, find_twins

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import ase
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray
    from pymatgen.core.structure import Structure

NO_COLUMNS = Columns()


class WithoutEnergy(Enum):
    """What becomes of a frame that states no energy: no candidate, where a table can never answer for it; else it is computed."""

    LEAVE_OUT = "leave out"
    KEEP = "keep"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pool:
    """Candidates in the natural order of their ids (`a2` before `a10`), whatever the order of the source.

    What was added to a pool in use comes after them. `pool[3]` is a candidate by its place, `pool["a3"]` by its id; `in` takes an
    id or a candidate, and a loop gives candidates.

    Attributes:
        elements: two to five.
        ends: what the compositions are between, where it is not the elements: formulas.
        candidates: one for each crystal.
        report: what was left out or grouped.
        cost: (n,) what computing each candidate costs, above 0, in the unit of the source; None where it states none.
        baseline_ev_per_atom: (n,) energies of a cheaper method in eV/atom, or (n, b) of several, NaN where one says nothing; None
            where there are none.
        given: ids of the made-up crystals of elements whose energies are given by value: nothing is calculated of them.
        ids: the candidates' ids.
        formulas: their reduced formulas, in the order of the elements.
        n_atoms: (n,) atoms in each cell.
        fractions: (n, k) atomic fractions of the elements after the first; with `ends` the shares of the atoms that would stand in
            the ends after the first, see `axis`.
    """

    elements: tuple[str, ...]
    candidates: tuple[Candidate, ...] = field(repr=False)
    report: PoolReport = field(repr=False)
    ends: tuple[str, ...] = ()
    cost: NDArray[np.float64] | None = field(default=None, repr=False)
    baseline_ev_per_atom: NDArray[np.float64] | None = field(default=None, repr=False)
    given: tuple[str, ...] = field(default=(), repr=False)
    ids: tuple[str, ...] = field(init=False, repr=False)
    formulas: tuple[str, ...] = field(init=False, repr=False)
    n_atoms: NDArray[np.int64] = field(init=False, repr=False)
    fractions: NDArray[np.float64] = field(init=False, repr=False)
    _places: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        n_atoms = np.array([c.n_atoms for c in self.candidates], dtype=np.int64)
        numbers = np.concatenate([c.numbers for c in self.candidates] or [np.empty(0, np.int64)])
        starts = np.cumsum(n_atoms) - n_atoms
        of_elements = [(numbers == number).astype(np.int64) for number in atomic_numbers(self.elements)]
        counts = np.stack(
            [np.add.reduceat(these, starts) for these in of_elements], axis=1
        )  # (n, elements) atoms of each
        ids = tuple(c.id for c in self.candidates)
        places = {name: place for place, name in enumerate(ids)}
        is_whole = np.array_equal(counts.sum(axis=1), n_atoms)
        weights = self.axis.coordinates(counts) if is_whole else counts / n_atoms[:, None]
        n_pure = (weights == 1.0).sum(axis=0)
        if not n_pure.all() or not is_whole or not (weights >= 0.0).all() or len(places) < len(ids):
            raise InvalidPoolError(
                f"Expected candidates of {self.elements} with unique ids and {'both' if len(n_pure) == 2 else 'all'} pure "
                f"elements, found {len(ids)} candidates with {len(places)} ids and {' and '.join(map(str, n_pure))} pure "
                "structures. Build pools by build_pool."
            )
        arrays = {"n_atoms": n_atoms, "fractions": weights[:, 1:].copy()}
        for name in ("cost", "baseline_ev_per_atom"):
            if getattr(self, name) is not None:
                arrays[name] = _checked(getattr(self, name), name, n=len(ids), remedy="Build pools by build_pool.")
        if "baseline_ev_per_atom" in arrays:
            _refuse_missing_ends(np.asarray(arrays["baseline_ev_per_atom"]), weights == 1.0, self.end_labels)
        for array in arrays.values():
            array.setflags(write=False)
        kinds, kind_of = np.unique(counts, axis=0, return_inverse=True)
        names = [formula_of(atoms, self.elements) for atoms in kinds.tolist()]
        formulas = tuple(names[kind] for kind in kind_of.ravel().tolist())
        for name, value in (("ids", ids), ("formulas", formulas), ("_places", places), *arrays.items()):
            object.__setattr__(self, name, value)

    @classmethod
    def read(
        cls,
        path: str | Path,
        elements: tuple[str, ...],
        *,
        ends: Sequence[str] = (),
        columns: Columns = NO_COLUMNS,
        energies: EnergyMeaning = STATED_BY_NAME,
        faulty: Faulty = Faulty.REFUSE,
    ) -> Self:
        """The candidates of a file or folder, whether or not it states energies; its format is told by what is there."""
        axis = axis_of(elements, ends)
        frames = understand(read_pool(Path(path)), energies, elements=elements)
        keep, allow = WithoutEnergy.KEEP, MixedSettings.ALLOW
        pool = build_pool(frames, axis, without_energy=keep, columns=columns, mixed_settings=allow, faulty=faulty)
        return cls._with_energies(pool, frames)

    @classmethod
    def _with_energies(cls, pool: Pool, _frames: Frames) -> Self:
        """A pool with what a class keeps of the energies of its frames: here nothing, so that no rule can see one."""
        return cls(**{each.name: getattr(pool, each.name) for each in fields(Pool) if each.init})

    @classmethod
    def of(
        cls,
        structures: Iterable[ase.Atoms | Structure | Candidate],
        elements: Sequence[str] | None = None,
        *,
        ends: Sequence[str] = (),
        ids: Sequence[str] | None = None,
        cost: ArrayLike | None = None,
        baseline_ev_per_atom: ArrayLike | None = None,
    ) -> Pool:
        """The candidates in a list, which may hold ASE's atoms, pymatgen's structures and candidates side by side.

        They are checked and grouped as those of a file; a crystal that occurs more than once keeps the cost and baseline of the one
        whose id comes first. For a table of the energies that they carry: `TableOracle.from_frames(Frames.of(structures), pool)`.

        Elements are in the order of the axis; those that occur, in alphabetical order, if not given. `ends` are formulas, where the
        elements are not the ends. Ids are as for `Frames.of`, cost and baseline as in a pool, one for each structure. Structures
        that no campaign can use are all in one error.
        """
        frames = Frames.of(structures, ids=ids)
        stated = {"cost": cost, "baseline_ev_per_atom": baseline_ev_per_atom}
        remedy = "Give one for each structure, in their order."
        n = len(frames.frames)
        arrays = {name: _checked(v, name, n=n, remedy=remedy) for name, v in stated.items() if v is not None}
        if elements is None:
            elements = sorted({symbol_of(z) for frame in frames.frames for z in np.unique(frame.numbers).tolist()})
        keep, allow = WithoutEnergy.KEEP, MixedSettings.ALLOW
        pool = build_pool(frames, axis_of(elements, ends), without_energy=keep, mixed_settings=allow)
        place_of = {frame.id: place for place, frame in enumerate(frames.frames)}
        places = [place_of[name] for name in pool.ids]
        found: dict[str, Any] = {name: values[places] for name, values in arrays.items()}
        return replace(pool, **found)

    @property
    def n_calculable(self) -> int:
        """Number of candidates that may be calculated: all whose energies are not given by value."""
        return len(self) - len(self.given)

    @property
    def is_calculable(self) -> NDArray[np.bool_]:
        """(n,) whether each candidate may be calculated."""
        return ~np.isin(self.ids, self.given)

    @property
    def x(self) -> NDArray[np.float64]:
        """(n,) atomic fraction of the second of two elements, or ends; an InvalidPoolError where there are more."""
        if len(self.end_names) != 2:
            what = "ends" if self.ends else "elements"
            raise InvalidPoolError(
                f"Expected a pool of two {what} to have x, found {', '.join(self.end_names)}. Use fractions, (n, k)."
            )
        return self.fractions[:, 0]

    @property
    def fraction_names(self) -> tuple[str, ...]:
        """How the columns of `fractions` are called in tables: `x` of two elements, `x_Ag`, `x_Au` of three; so of ends."""
        return ("x",) if len(self.end_names) == 2 else tuple(f"x_{name}" for name in self.end_names[1:])

    @property
    def axis(self) -> CompositionAxis:
        """What the compositions are measured by."""
        return CompositionAxis(elements=self.elements, ends=self.ends)

    @property
    def end_names(self) -> tuple[str, ...]:
        """The ends of the axis by formula: the elements, where none are named."""
        return self.axis.names

    @property
    def end_labels(self) -> tuple[str, ...]:
        """The ends in sentences: `pure Zr`, `ZrN`."""
        return self.axis.labels

    def __len__(self) -> int:
        return len(self.candidates)

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self.candidates)

    def __getitem__(self, key: int | str) -> Candidate:
        if isinstance(key, slice):
            raise TypeError(f"Expected a place or an id, found {key}. Slices are taken of pool.candidates.")
        return self.candidates[self.index_of(key) if isinstance(key, str) else key]

    def __contains__(self, item: object) -> bool:
        if isinstance(item, Candidate):
            return item.id in self._places and item.has_same_atoms(self[item.id])
        return isinstance(item, str) and item in self._places

    def index_of(self, id: str) -> int:  # noqa: A002  the candidate's attribute
        """The place of a candidate in the pool; a KeyError that names ids that look like this one where it has none."""
        if id in self._places:
            return self._places[id]
        kept = next((first for first, twins in self.twins.items() if id in twins), None)
        near = get_close_matches(str(id), self.ids, n=3)
        hint = f" It is a twin of {kept!r}." if kept else f" Near: {', '.join(map(repr, near))}." if near else ""
        raise KeyError(f"Expected the id of one of {len(self)} candidates, found {id!r}.{hint}")

    def table(self) -> pd.DataFrame:
        """The candidates by id: formula, composition, atoms in the cell, and cost and baseline where the pool has them."""
        import pandas as pd  # noqa: PLC0415  slow to import

        columns: dict[str, object] = {
            "id": self.ids,
            "formula": self.formulas,
            **{name: self.fractions[:, place] for place, name in enumerate(self.fraction_names)},
            "n_atoms": self.n_atoms,
        }
        for name in ("cost", "baseline_ev_per_atom"):
            if (values := getattr(self, name)) is not None:
                several = values.ndim > 1
                columns |= (
                    {f"{name}_{place}": each for place, each in enumerate(values.T, 1)} if several else {name: values}
                )
        return pd.DataFrame(columns).set_index("id")

    def __repr__(self) -> str:
        return f"Pool of {' and '.join(self.end_names)}: {len(self)} candidates"

    def _repr_html_(self) -> str:
        sizes, counts = np.unique(self.n_atoms, return_counts=True)
        n_compositions = [len(np.unique(self.fractions[self.n_atoms == size], axis=0)) for size in sizes]
        heads = ("atoms in the cell", "candidates", "compositions")
        table = html_table(heads, list(zip(sizes, counts, n_compositions, strict=True)))
        return html_sentences(repr(self), *self.report.lines()) + table

    @property
    def twins(self) -> dict[str, tuple[str, ...]]:
        """For each candidate that occurs more than once, the ids of the frames that it stands for."""
        return {group[0]: group[1:] for group in self.report.twin_groups}


def build_pool(
    frames: Frames,
    elements: tuple[str, ...] | CompositionAxis,
    *,
    without_energy: WithoutEnergy,
    columns: Columns = NO_COLUMNS,
    mixed_settings: MixedSettings = MixedSettings.REFUSE,
    faulty: Faulty = Faulty.REFUSE,
    leave_out: str = LEAVE_OUT,
) -> Pool:
    """Check what a source says, group what is the same crystal, and order it.

    Where energies are looked up they must look like total energies (see `find_doubts`), unless a user has said what they are. What
    asks for faults to be left out is named where some are refused: `leave_out`.

    With an axis, what is not between its ends is a fault, and what is beyond its limits is left out, and said.

    The candidate of a group is the one whose id comes first; cost and baseline are its own. Faults of frames, repeated ids and ends
    of the axis without a pure element are in one InvalidPoolError; others are of mixed settings and of what columns hold.
    """
    is_table = without_energy is WithoutEnergy.LEAVE_OUT
    is_strict = faulty is Faulty.REFUSE
    axis = elements if isinstance(elements, CompositionAxis) else axis_of(elements)
    elements = axis.elements
    sifted = axis.sift(frames)
    beyond = axis.beyond(sifted.frames)
    usable = [
        frame
        for frame in (frames if is_strict else sifted).frames
        if (not is_table or frame.energy_ev is not None) and frame.number not in beyond
    ]
    if not usable:
        sentence = (
            "expected an energy (eV per cell) for the frames of a pool that is looked up, found one for none of "
            f"{len(frames.frames)} frames; columns found: {', '.join(frames.keys) or 'none'}. "
            f"Name the total energy `energy`, or choose an oracle that computes. {offered(frames.frames)}".strip()
        )
        if sifted.faults:
            raise one_error(frames.path, [*sifted.faults, sentence], n_frames=frames.n_frames)
        raise InvalidPoolError(f"{frames.path}: {sentence}")
    missing = [*axis.missing(usable), *axis.emptied(usable, len(beyond))]
    doubts = find_doubts(sifted.frames, elements, is_stated=frames.is_meant) if is_table else []
    whole = [*missing, *(doubt.sentence for doubt in doubts if doubt.is_fault)]
    # What was left out may be why an end is missing.
    if faults := [*(sifted.faults if is_strict or missing else ()), *whole]:
        n_sound = 0 if whole else len(sifted.frames)
        raise one_error(frames.path, faults, n_frames=frames.n_frames, n_sound=n_sound, leave_out=leave_out)
    conflicts = find_setting_conflicts(usable)
    if mixed_settings is MixedSettings.REFUSE:
        refuse_mixed_settings(frames.path, conflicts)
    usable.sort(key=lambda frame: natural_key(frame.id))
    crystals = [frame.candidate() for frame in usable]
    alike = find_crystals(crystals)
    groups = find_twins(crystals, crystals=alike)
    siblings = [[crystals[index].id for index in group] for group in find_siblings(alike, groups)]
    chosen = tuple(crystals[group[0]] for group in groups)
    given = tuple(usable[group[0]].id for group in groups if usable[group[0]].is_given)
    stated = [frame for frame in usable if not frame.is_given]
    report = PoolReport(
        elements=elements,
        n_frames=frames.n_frames,
        n_candidates=len(chosen) - len(given),
        left_out=tuple(
            sorted({f.id for f in sifted.frames if f.number not in beyond} - {f.id for f in usable}, key=natural_key)
        ),
        twin_groups=tuple(tuple(crystals[i].id for i in group) for group in groups if len(group) > 1),
        n_pure=tuple((axis.coordinates(axis.counts(chosen)) == 1.0).sum(axis=0).tolist()),
        ends=axis.ends,
        shared_labels=frames.shared_labels,
        mixed_settings=conflicts,
        notes=(
            *frames.notes,
            *axis.notes(len(beyond)),
            *setting_notes(stated),
            *slab_notes(stated),
            *columns.notes([usable[group[0]] for group in groups]),
            *moment_note([frame.magmoms for frame in stated], siblings),
        ),
        faults=sifted.faults,
        suspects=tuple(doubt.sentence for doubt in doubts),
    )
    cost, baseline = columns.read(frames.path, [usable[group[0]] for group in groups])
    return Pool(
        elements=elements,
        ends=axis.ends,
        candidates=chosen,
        report=report,
        cost=cost,
        baseline_ev_per_atom=baseline,
        given=given,
    )


def _refuse_missing_ends(baseline: NDArray[np.float64], is_end: NDArray[np.bool_], labels: Sequence[str]) -> None:
    """InvalidPoolError where a baseline (n,) or (n, b) says nothing of an end, by candidates that are ends (n, k + 1)."""
    for column in baseline.reshape(len(is_end), -1).T:
        missing = [label for label, those in zip(labels, is_end.T, strict=True) if not np.isfinite(column[those]).any()]
        if missing:
            raise InvalidPoolError(
                f"Expected the energies of a cheaper method for a structure of each end of the axis, found none for "
                f"{' and '.join(missing)}: its formation energies need them. Compute them, or leave the baseline out."
            )


def _checked(values: ArrayLike, name: str, *, n: int, remedy: str) -> NDArray[np.float64]:
    """A copy of a column: (n,) finite numbers, costs above 0; of baselines several columns (n, b) and NaN, too."""
    above = 0.0 if name == "cost" else -np.inf
    is_baseline = name == "baseline_ev_per_atom"
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidPoolError(f"Expected {name} as {n} finite numbers, found {values!r}. {remedy}") from error
    is_shaped = array.shape == (n,) or (is_baseline and array.ndim == 2 and len(array) == n and array.shape[1] > 0)
    is_sound = np.isfinite(array) & (array > above)
    if not is_shaped or not (is_sound | (np.isnan(array) & is_baseline)).all():
        raise InvalidPoolError(f"Expected {name} as {n} finite numbers above {above:g}, found {array}. {remedy}")
    return array
