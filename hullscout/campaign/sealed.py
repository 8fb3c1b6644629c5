"""Files of a campaign's folder that hold what was computed once: arrays and JSON, for the user who made them and what they name.

A file holds nothing that is run. Its key says what it was made of, and its seal that this user made it: what anybody else wrote,
or changed, is as if it were not there. The seal is a message authentication code (RFC 2104) by a secret in this user's cache; where
there is no such place, nothing is kept.
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
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hullscout.errors import HullscoutError
from hullscout.writing import written_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_MAGIC = b"hullscout kept 1\n"
_SEAL = hashlib.sha256().digest_size
MAX_HEADER_BYTES = 256_000_000
_ALIGNED = 64
_AT_ONCE = 2**26
_KINDS = {"int64": "<i8", "float32": "<f4"}  # how arrays of these stand in the file; all others are in double precision


class Sealed(NamedTuple):
    """What a file holds: the key of what it was made of, JSON by name, and arrays, which nobody may write to."""

    key: str
    header: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


@cache
def code_of(patterns: tuple[str, ...]) -> str:
    """What tells the files of this package that match some patterns from those of any other version."""
    package, found = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(path for pattern in patterns for path in package.glob(pattern)):
        found.update(path.read_bytes())
    return found.hexdigest()


def write_sealed(path: Path, key: str, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Keep arrays and JSON; where that cannot be done, nothing is kept and nothing is said."""
    if (secret := _secret()) is None:
        return
    pieces: list[bytes | memoryview] = []
    places, end = {}, 0
    for name, values in arrays.items():
        content = np.ascontiguousarray(values, _KINDS.get(values.dtype.name, "<f8"))
        places[name] = (content.dtype.str, values.shape, end)
        pieces += [content.data.cast("B") if content.size else b"", bytes(-content.nbytes % _ALIGNED)]
        end += content.nbytes + len(pieces[-1])
    text = json.dumps({"key": key, "arrays": places, **header}).encode()
    before = len(_MAGIC) + _SEAL + 8
    sealed = [len(text).to_bytes(8, "little"), text, bytes(-(before + len(text)) % _ALIGNED), *pieces]
    with (
        suppress(HullscoutError),
        written_whole(path, remedy="It is made anew.") as half_made,
        half_made.open("xb") as stream,
    ):
        stream.writelines([_MAGIC, _seal(secret, *sealed), *sealed])


def read_sealed(path: Path) -> Sealed | None:
    """What is kept; None where there is nothing that this user made. Whoever reads it compares the key."""
    content = _mapped(path)
    if content is None or (secret := _secret()) is None:
        return None
    start = len(_MAGIC) + _SEAL
    found = memoryview(content)
    if found[: len(_MAGIC)] != _MAGIC or len(found) < start + 8:
        return None
    if not hmac.compare_digest(_seal(secret, found[start:]), found[len(_MAGIC) : start]):
        return None
    n_header = int.from_bytes(found[start : start + 8], "little")
    if n_header > MAX_HEADER_BYTES:
        return None
    header = json.loads(bytes(found[start + 8 : start + 8 + n_header]))
    first = start + 8 + n_header
    first += -first % _ALIGNED
    arrays = {
        name: np.frombuffer(content, dtype, int(np.prod(shape)), first + place).reshape(shape)
        for name, (dtype, shape, place) in header["arrays"].items()
    }
    return Sealed(header["key"], header, arrays)


def _seal(secret: bytes, *pieces: bytes | memoryview) -> bytes:
    """The code of pieces one after the other, in parts, since OpenSSL takes no more than 2 GiB at a time."""
    seal = hmac.new(secret, digestmod=hashlib.sha256)
    for piece in pieces:
        for start in range(0, len(piece), _AT_ONCE):
            seal.update(piece[start : start + _AT_ONCE])
    return seal.digest()


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
