"""What the readers of all formats share: columns with plain names, ids, and one error for all faults of a source."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hullscout.pool.frames import Frame, FrameError, Frames, frame_of, named, one_error, place_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import ase
    from numpy.typing import ArrayLike
    from pymatgen.core.structure import Structure


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
        structure: ase.Atoms | Structure,
        *,
        name: str,
        energy_ev: float | None,
        columns: Mapping[str, object] | None = None,
    ) -> None:
        """Add a structure, numbered by its place, with its energy in eV per cell; one with partly occupied sites becomes a fault.

        The name is empty and the energy None where the source gives none. Of columns only single numbers and words are kept.
        """
        number = len(self.frames) + len(self.faults) + 1
        kept = plain_columns(columns or {})
        try:
            self.frames.append(frame_of(structure, number=number, name=name, energy_ev=energy_ev, columns=kept))
        except FrameError as error:
            self.faults.append(f"{place_of(number, name)}: {error}")

    def finish(self) -> Frames:
        """All frames; where none has an id they are named `frame-000001` and so on.

        Raises:
            InvalidPoolError: something could not be read; some frames have ids, some have not.
        """
        n_frames = len(self.frames) + len(self.faults)
        nameless = [frame.number for frame in self.frames if not frame.id]
        frames = named(self.frames, nameless, len(self.frames), self.faults)
        if self.faults:
            raise one_error(self.path, self.faults, n_frames=n_frames)
        keys = tuple(sorted({key for frame in frames for key in frame.columns}))
        return Frames(path=self.path, frames=frames, keys=keys)


def plain_columns(stated: Mapping[str, object]) -> dict[str, str | float]:
    """Single numbers and words by plain name, without names that mean something of their own in a comment line.

    >>> plain_columns({"core hours": 3, "spin": True, "sites": [1, 2], "empty": None, "by": "PBE"})
    {'core_hours': 3.0, 'spin': 1.0, 'by': 'PBE'}
    """
    from ase.calculators.calculator import all_properties  # noqa: PLC0415  (late: ASE loads slowly)

    reserved = {"", *all_properties, "Lattice", "Properties", "pbc", "id", "virial", "virials"}
    columns: dict[str, str | float] = {}
    for key, value in stated.items():
        name = plain_name(str(key))
        if name in reserved:
            continue
        if isinstance(value, str):
            text = " ".join(value.split())
            if text:
                columns[name] = text
        elif isinstance(value, bool | int | float | np.number | np.bool_):
            columns[name] = float(value)
    return columns


def plain_name(key: str) -> str:
    """A column's name as a comment line can hold it: other characters than letters, digits and `_.+-` become underscores.

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


def coarsest_k_spacing(cell: ArrayLike, mesh: Iterable[int]) -> dict[str, float]:
    """The column `k_spacing`: the largest |b_i| / n_i of a mesh of k-points in 1/A, 2 pi included.

    A mesh of a single point says nothing of a setting: then there is no such column.
    """
    counts = np.asarray(list(mesh), dtype=np.float64)
    if counts.shape != (3,) or counts.min() < 1 or counts.max() == 1:
        return {}
    reciprocal = 2.0 * np.pi * np.linalg.inv(np.asarray(cell, dtype=np.float64)).T
    return {"k_spacing": float((np.linalg.norm(reciprocal, axis=1) / counts).max())}
