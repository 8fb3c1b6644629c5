"""What was computed once of a campaign's pool and is the same in every command: its checked candidates and their features.

They stand in one file of the campaign's folder, with the energies of a pool that is replayed; it holds nothing that is run:
numbers, and JSON that names them.
It is used where its key says that it was made of the same pool, settings and code, and its seal that this user made it: what
anybody else wrote, or changed, is as if it were not there. Without it everything is computed anew, to the same bytes. Nothing is
kept of a campaign to which structures were added, nor of a representation of one's own, whose code may change.

The seal is a message authentication code (RFC 2104) by a secret in this user's cache; where there is no such place, nothing is
kept.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import mmap
import os
import secrets
import stat
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.errors import HullscoutError
from hullscout.oracle import candidate_to_tree
from hullscout.pool import Candidate, Pool, PoolReport
from hullscout.pool.candidate import AtomArrays
from hullscout.writing import written_whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hullscout.campaign.origin import Origin
    from hullscout.selection.known import Floats

KEPT = "pool.kept"
"""Name of the file in a campaign's folder."""
_MAGIC = b"hullscout kept 1\n"
_SEAL = hashlib.sha256().digest_size
MAX_HEADER_BYTES = 256_000_000
_ALIGNED = 64
_PERIODIC = (True, True, True)
_KINDS = {"int64": "<i8", "float32": "<f4"}  # how arrays of these stand in the file; all others are in double precision
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


def _key_of(origin: Origin, *, is_table: bool) -> str | None:
    """What tells one pool, its settings and the code that checks and represents it from all others; None of what is not kept."""
    if origin.additions or "." in getattr(origin.config.representation, "kind", "."):
        return None
    said: dict[str, Any] = {
        "made by": (np.__version__, version("numba"), _code()),
        "pool": (origin.pool_sha256, origin.pool_name, origin.faults, origin.notes, is_table),
        "settings": origin.config.model_dump(mode="json", exclude=set(_ASIDE)),
    }
    if (prior := origin.prior) is not None and prior.stands_for:
        relaxed = {each: candidate_to_tree(one) for each, one in prior.relaxed.items()}
        said["relaxed"] = (relaxed, dict(prior.stands_for), sorted(prior.changed))
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


@cache
def _code() -> str:
    package, found = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(path for pattern in _MADE_BY for path in package.glob(pattern)):
        found.update(path.read_bytes())
    return found.hexdigest()


def write_kept(folder: Path, origin: Origin, kept: Kept, *, is_table: bool) -> None:
    """Keep a pool and its features in a folder; where that cannot be done, nothing is kept and nothing is said."""
    key, secret, pool = _key_of(origin, is_table=is_table), _secret(), kept.pool
    if key is None or secret is None or pool.report.mixed_settings:
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
    pieces: list[bytes | memoryview] = []
    places, end = {}, 0
    for name, values in arrays.items():
        content = np.ascontiguousarray(values, _KINDS.get(values.dtype.name, "<f8"))
        places[name] = (content.dtype.str, values.shape, end)
        pieces += [content.data.cast("B") if content.size else b"", bytes(-content.nbytes % _ALIGNED)]
        end += content.nbytes + len(pieces[-1])
    header = {
        "key": key,
        "arrays": places,
        "ids": pool.ids,
        "n_atoms": pool.n_atoms.tolist(),
        "moments": [-1 if c.magmoms is None else c.magmoms.ndim for c in pool.candidates],
        "pool": {"elements": pool.elements, "ends": pool.ends, "given": pool.given},
        "report": asdict(pool.report),
    }
    text = json.dumps(header).encode()
    before = len(_MAGIC) + _SEAL + 8
    sealed = [len(text).to_bytes(8, "little"), text, bytes(-(before + len(text)) % _ALIGNED), *pieces]
    seal = hmac.new(secret, digestmod=hashlib.sha256)
    for piece in sealed:
        seal.update(piece)
    with (
        suppress(HullscoutError),
        written_whole(folder / KEPT, remedy="It is made anew.") as half_made,
        half_made.open("xb") as stream,
    ):
        stream.writelines([_MAGIC, seal.digest(), *sealed])


def read_kept(folder: Path, origin: Origin, *, is_table: bool) -> Kept | None:
    """What is kept in a folder; None where there is nothing that this user made, or it is of something else."""
    content = _mapped(folder / KEPT)
    key = None if content is None else _key_of(origin, is_table=is_table)
    if content is None or key is None or (secret := _secret()) is None:
        return None
    start = len(_MAGIC) + _SEAL
    found = memoryview(content)
    if found[: len(_MAGIC)] != _MAGIC or len(found) < start + 8:
        return None
    if not hmac.compare_digest(hmac.digest(secret, found[start:], "sha256"), found[len(_MAGIC) : start]):
        return None
    n_header = int.from_bytes(found[start : start + 8], "little")
    if n_header > MAX_HEADER_BYTES:
        return None
    header = json.loads(bytes(found[start + 8 : start + 8 + n_header]))
    if header["key"] != key:
        return None
    first = start + 8 + n_header
    first += -first % _ALIGNED
    arrays = {
        name: np.frombuffer(content, dtype, int(np.prod(shape)), first + place).reshape(shape)
        for name, (dtype, shape, place) in header["arrays"].items()
    }
    features = {name.removeprefix("features "): arrays[name] for name in arrays if name.startswith("features ")}
    return Kept(pool=_pool_of(header, arrays), features=features, true_ev_per_atom=arrays.get("true_ev_per_atom"))


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


def _mapped(path: Path) -> mmap.mmap | None:
    """The content of a regular file, no link; None where there is none or it is empty."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError:
        return None
    try:
        found = os.fstat(descriptor)
        is_there = stat.S_ISREG(found.st_mode) and found.st_size > 0
        return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) if is_there else None
    finally:
        os.close(descriptor)


def _secret() -> bytes | None:
    """This user's secret, made at its first use; None where there is no place for it that is this user's alone."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))  # noqa: PTH111  that of Path raises
    path = home / "hullscout" / "seal"
    if not home.is_absolute() or not hasattr(os, "getuid"):
        return None
    with suppress(OSError):
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.write(secrets.token_bytes(_SEAL))
        found = path.lstat()
        if stat.S_ISREG(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077:
            content = path.read_bytes()
            return content if len(content) == _SEAL else None
    return None
