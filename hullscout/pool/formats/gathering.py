"""What the readers of all formats share: columns with plain names, ids, and one error for all faults of a source."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.pool.frames import Frame, Frames, one_error, shown_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


@dataclass(slots=True)
class Gathered:
    """Frames of one source while they are read.

    Attributes:
        path: the source.
        frames: those that could be read; an empty id where the source gives none.
        faults: what could not be read, each with its place.
    """

    path: Path
    frames: list[Frame] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def add(
        self,
        structure: Any,
        *,
        name: str,
        energy_ev: float | None,
        columns: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a structure, numbered by its place.

        Args:
            structure: a crystal as pymatgen's `Structure` or ASE's `Atoms`; one with partly occupied sites becomes a fault.
            name: its id, empty where the source gives none.
            energy_ev: total energy in eV per cell, None where the source gives none.
            columns: everything else that the source states; only single numbers and words are kept.
        """
        number = len(self.frames) + len(self.faults) + 1
        if not name.isprintable():
            self.faults.append(f"frame {number}: expected an id of printable characters on one line, found {name!r}")
            return
        pbc = tuple(bool(axis) for axis in getattr(structure, "pbc", (True, True, True)))
        if hasattr(structure, "is_ordered"):
            if not structure.is_ordered:
                self.faults.append(f"frame {number} (id {name!r}): expected whole atoms, found partly occupied sites")
                return
            numbers, positions = [site.specie.Z for site in structure], structure.cart_coords
            cell = structure.lattice.matrix
        else:
            numbers, positions, cell = structure.numbers, structure.positions, np.array(structure.cell)
        self.frames.append(
            Frame(
                number=number,
                id=name,
                numbers=np.asarray(numbers, dtype=np.int64),
                positions=np.asarray(positions, dtype=np.float64),
                cell=np.asarray(cell, dtype=np.float64),
                pbc=(pbc[0], pbc[1], pbc[2]),
                energy_ev=energy_ev,
                columns=plain_columns(columns or {}),
            )
        )

    def finish(self) -> Frames:
        """All frames; where none has an id they are named `frame-000001` and so on.

        Raises:
            InvalidPoolError: something could not be read; some frames have ids, some have not.
        """
        n_frames = len(self.frames) + len(self.faults)
        nameless = [frame for frame in self.frames if not frame.id]
        if nameless and len(nameless) == len(self.frames):
            self.frames = [replace(frame, id=f"frame-{frame.number:06d}") for frame in self.frames]
        elif nameless:
            shown = shown_ids([str(frame.number) for frame in nameless])
            self.faults.append(
                f"{len(nameless)} of {len(self.frames)} frames have no id (frame {shown}): name all frames or none"
            )
        if self.faults:
            raise one_error(self.path, self.faults, n_frames=n_frames)
        keys = tuple(sorted({key for frame in self.frames for key in frame.columns}))
        return Frames(path=self.path, frames=tuple(self.frames), keys=keys)


def plain_columns(stated: Mapping[str, Any]) -> dict[str, str | float]:
    """Single numbers and words by plain name: other characters than letters, digits and `_.+-` become underscores.

    >>> plain_columns({"core hours": 3, "spin": True, "sites": [1, 2], "empty": None, "by": "PBE"})
    {'core_hours': 3.0, 'spin': 1.0, 'by': 'PBE'}
    """
    reserved = _reserved()
    columns: dict[str, str | float] = {}
    for key, value in stated.items():
        name = plain_name(str(key))
        if not name or name in reserved:
            continue
        if isinstance(value, str):
            text = " ".join(value.split())
            if text:
                columns[name] = text
        elif isinstance(value, bool | int | float | np.number | np.bool_):
            columns[name] = float(value)
    return columns


def plain_name(key: str) -> str:
    """A column's name as a comment line can hold it.

    >>> plain_name("wall time (h)")
    'wall_time_h'
    """
    return re.sub(r"[^A-Za-z0-9_.+-]+", "_", key).strip("_")


def potentials(titles: Iterable[str]) -> dict[str, str]:
    """Columns for pseudopotentials by their titles in VASP's manner.

    >>> potentials(["PAW_PBE Ag 06Sep2000", "PBE Pd_pv"])
    {'potential_Ag': 'PAW_PBE Ag 06Sep2000', 'potential_Pd': 'PBE Pd_pv'}
    """
    columns = {}
    for title in titles:
        words = title.split()
        if words:
            symbol = re.split(r"[_.]", words[1] if len(words) > 1 else words[0])[0]
            columns[f"potential_{symbol}"] = " ".join(words)
    return columns


def coarsest_k_spacing(cell: Any, mesh: Iterable[int]) -> dict[str, float]:
    """The column `k_spacing`: the largest |b_i| / n_i of a mesh of k-points in 1/A, 2 pi included.

    A mesh of a single point says nothing of a setting: then there is no such column.
    """
    counts = np.asarray(list(mesh), dtype=np.float64)
    if counts.shape != (3,) or counts.min() < 1 or counts.max() == 1:
        return {}
    reciprocal = 2.0 * np.pi * np.linalg.inv(np.asarray(cell, dtype=np.float64)).T
    return {"k_spacing": float((np.linalg.norm(reciprocal, axis=1) / counts).max())}


def _reserved() -> frozenset[str]:
    """Names that mean something of their own in a comment line."""
    from ase.calculators.calculator import all_properties  # noqa: PLC0415  (late: ASE loads slowly)

    return frozenset({*all_properties, "Lattice", "Properties", "pbc", "id", "virial", "virials"})
