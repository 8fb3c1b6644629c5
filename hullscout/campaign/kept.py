"""What was computed once of a campaign's pool and is the same in every command: its checked candidates and their features.

They stand in one file of the campaign's folder, with the energies of a pool that is replayed; it holds nothing that is run:
numbers, and JSON that names them.
It is used where its key says that it was made of the same pool, settings and code, and its seal that this user made it: what
anybody else wrote, or changed, is as if it were not there. Without it everything is computed anew, to the same bytes. Nothing is
kept of a campaign to which structures were added, nor of a representation of one's own, whose code may change.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.campaign.sealed import code_of, read_sealed, write_sealed
from hullscout.oracle import candidate_to_tree
from hullscout.pool import Candidate, Pool, PoolReport
from hullscout.pool.candidate import AtomArrays

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from hullscout.campaign.origin import Origin
    from hullscout.selection.known import Floats

KEPT = "pool.kept"
"""Name of the file in a campaign's folder."""
_PERIODIC = (True, True, True)
_ASIDE = ("name", "seed", "executor", "select", "stop", "cost", "regression")
"""Sections of the campaign file that neither the pool nor its features depend on."""
_MADE_BY = (
    "lattice.py",
    "neighbors.py",
    "neighbor_kernels.py",
    "pool/**/*.py",
    "mbtr/*.py",
    "representation/*.py",
    "campaign/prior.py",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kept:
    """A checked pool, the features (n, d) of its candidates by block name, and their energies (n,) where a table knows them."""

    pool: Pool
    features: dict[str, Floats]
    true_ev_per_atom: Floats | None = None


def pool_key(origin: Origin, *, is_table: bool) -> str | None:
    """What tells one pool, its settings and the code that checks and represents it from all others; None of what is not kept."""
    if origin.additions or "." in getattr(origin.config.representation, "kind", "."):
        return None
    said: dict[str, Any] = {
        "made by": (np.__version__, version("numba"), code_of(_MADE_BY)),
        "pool": (origin.pool_sha256, origin.pool_name, origin.faults, origin.notes, is_table),
        "settings": origin.config.model_dump(mode="json", exclude=set(_ASIDE)),
    }
    if (prior := origin.prior) is not None and prior.stands_for:
        relaxed = {each: candidate_to_tree(one) for each, one in prior.relaxed.items()}
        said["relaxed"] = (relaxed, dict(prior.stands_for), sorted(prior.changed))
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def write_kept(folder: Path, origin: Origin, kept: Kept, *, is_table: bool) -> None:
    """Keep a pool and its features in a folder; where that cannot be done, nothing is kept and nothing is said."""
    key, pool = pool_key(origin, is_table=is_table), kept.pool
    if key is None or pool.report.mixed_settings:
        return
    moments = [np.empty(0) if c.magmoms is None else c.magmoms for c in pool.candidates]
    arrays: dict[str, NDArray[Any]] = {
        "numbers": np.concatenate([c.numbers for c in pool.candidates]),
        "positions": np.concatenate([c.positions for c in pool.candidates]),
        "cells": np.array([c.cell for c in pool.candidates]),
        "moments": np.concatenate([one.ravel() for one in moments]),
        **{name: values for name in ("cost", "baseline_ev_per_atom") if (values := getattr(pool, name)) is not None},
        **{f"features {name}": block for name, block in kept.features.items()},
        **({} if kept.true_ev_per_atom is None else {"true_ev_per_atom": kept.true_ev_per_atom}),
    }
    header = {
        "ids": pool.ids,
        "n_atoms": pool.n_atoms.tolist(),
        "moments": [-1 if c.magmoms is None else c.magmoms.ndim for c in pool.candidates],
        "pool": {"elements": pool.elements, "ends": pool.ends, "given": pool.given},
        "report": asdict(pool.report),
    }
    write_sealed(folder / KEPT, key, header, arrays)


def read_kept(folder: Path, origin: Origin, *, is_table: bool) -> Kept | None:
    """What is kept in a folder; None where there is nothing that this user made, or it is of something else."""
    found = read_sealed(folder / KEPT)
    if found is None or found.key != pool_key(origin, is_table=is_table):
        return None
    arrays = found.arrays
    features = {name.removeprefix("features "): arrays[name] for name in arrays if name.startswith("features ")}
    return Kept(pool=_pool_of(found.header, arrays), features=features, true_ev_per_atom=arrays.get("true_ev_per_atom"))


def _pool_of(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Pool:
    n_atoms, axes = header["n_atoms"], header["moments"]
    ends = np.cumsum(n_atoms)[:-1]
    sizes = [n * {-1: 0, 1: 1, 2: 3}[axis] for n, axis in zip(n_atoms, axes, strict=True)]
    moments = np.split(arrays["moments"], np.cumsum(sizes)[:-1])
    parts = zip(
        header["ids"],
        np.split(arrays["numbers"], ends),
        np.split(arrays["positions"], ends),
        arrays["cells"],
        (
            None if axis < 0 else one.reshape((-1,) if axis == 1 else (-1, 3))
            for axis, one in zip(axes, moments, strict=True)
        ),
        strict=True,
    )
    return Pool(
        candidates=tuple(
            Candidate.checked_before(name, AtomArrays(numbers, positions, cell, _PERIODIC, magmoms))
            for name, numbers, positions, cell, magmoms in parts
        ),
        report=PoolReport(**{name: _frozen(value) for name, value in header["report"].items()}),
        cost=arrays.get("cost"),
        baseline_ev_per_atom=arrays.get("baseline_ev_per_atom"),
        **{name: tuple(value) for name, value in header["pool"].items()},
    )


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
