"""Extended XYZ files, plain or gzipped: ASE reads the frames; what ASE lets pass is caught here.

ASE turns `id=0001` into 1 and `id=1e5` into 100000.0, takes a line with too many columns, puts atoms without positions
at the origin, and stops without a word at an empty line. So frames are cut apart here, counted against what they
announce, and each is then given to ASE alone; ids are taken from the comment line letter by letter.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hullscout.errors import InvalidPoolError
from hullscout.pool.frames import UNREADABLE, Frame, Frames, number_shared_labels, one_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_GZIP_MAGIC = b"\x1f\x8b"
_PAIR = re.compile(
    r"""(?P<key>[^\s="'{\[]+)\s*=\s*"""
    r"""(?:"(?P<double>(?:\\.|[^"\\])*)"|'(?P<single>(?:\\.|[^'\\])*)'|\{(?P<curly>[^}]*)\}|\[(?P<square>[^\]]*)\]|(?P<bare>\S*))"""
)
_PLAIN_PROPERTIES = "species:S:1:pos:R:3"
_NO_COLUMNS = frozenset({"Lattice", "Properties", "pbc", "id", "energy"})


class _FrameError(Exception):
    """One frame cannot be read; the others still can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """The lines of one frame and what its comment says, values letter by letter."""

    number: int
    lines: tuple[str, ...]
    stated: dict[str, str]

    @property
    def name(self) -> str:
        """Frame number, and id where there is one."""
        return f"frame {self.number} (id {self.stated['id']!r})" if "id" in self.stated else f"frame {self.number}"


def read_frames(path: Path) -> Frames:
    """All frames of an extended XYZ file; see `parse_frames`.

    Raises:
        InvalidPoolError: the file is missing, or `parse_frames` refuses it.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InvalidPoolError(
            f"{path}: expected a pool file, found none that can be read: {error.strerror}."
        ) from error
    return parse_frames(raw, path=path)


def parse_frames(raw: bytes, *, path: Path) -> Frames:
    """All frames of the content of an extended XYZ file; compression is told by the content, not by the name.

    Args:
        raw: the content. `energy` in a comment line is the total energy in eV per cell, `id` the candidate's name.
        path: where it was read from, for messages.

    Returns:
        Frames in the file's order. Where no frame has an id they are named `frame-000001` and so on; structures that
        share a prototype's label are numbered (see `number_shared_labels`).

    Raises:
        InvalidPoolError: the content is empty, cut off or not extended XYZ; some frames have ids, some have not.
    """
    blocks = _cut(_text(raw, path), path)
    keys = tuple(sorted({key for block in blocks for key in block.stated}))
    faults: list[str] = []
    frames: list[Frame] = []
    for block in blocks:
        try:
            frames.append(_read_block(block))
        except _FrameError as error:
            faults.append(f"{block.name}: {error}")
    nameless = [block.number for block in blocks if "id" not in block.stated]
    if len(nameless) == len(blocks):
        frames = [replace(frame, id=f"frame-{frame.number:06d}") for frame in frames]
    elif nameless:
        shown = ", ".join(str(number) for number in nameless[:5]) + (", ..." if len(nameless) > 5 else "")
        faults.append(f"{len(nameless)} of {len(blocks)} frames have no id (frame {shown}): name all frames or none")
    if faults:
        raise one_error(path, faults, n_frames=len(blocks))
    return number_shared_labels(Frames(path=path, frames=tuple(frames), keys=keys))


def _text(raw: bytes, path: Path) -> str:
    """The content as text, decompressed if it begins like gzip."""
    if raw.startswith(_GZIP_MAGIC):
        parts: list[bytes] = []
        try:
            with gzip.open(io.BytesIO(raw)) as stream:
                while part := stream.read1(1 << 16):
                    parts.append(part)
        except (EOFError, OSError, zlib.error) as error:
            last = _last_whole_frame(b"".join(parts).decode("utf-8", errors="replace"))
            raise InvalidPoolError(
                f"{path}: the compressed file is truncated or damaged ({error}); {last}. Copy or download it again."
            ) from error
        raw = b"".join(parts)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidPoolError(
            f"{path}: expected extended XYZ text, found bytes that are no UTF-8 text at offset {error.start}. "
            "Give an .xyz or .extxyz file, plain or gzipped."
        ) from error


def _last_whole_frame(text: str) -> str:
    """How far a broken file can be read, in words."""
    last = None
    try:
        for last in _iter_blocks(text):  # noqa: B007  (the last one is wanted)
            pass
    except _FrameError:
        pass
    return "no frame of it is whole" if last is None else f"the last whole frame is {last.name}"


def _cut(text: str, path: Path) -> list[_Block]:
    """Frames as blocks of lines; a file that is not made of whole frames is refused."""
    try:
        blocks = list(_iter_blocks(text))
    except _FrameError as error:
        raise InvalidPoolError(f"{path}: {error}") from error
    if not blocks:
        raise InvalidPoolError(
            f"{path}: expected at least one frame, found an empty file. Give a file with structures."
        )
    return blocks


def _iter_blocks(text: str) -> Iterator[_Block]:
    """Cut text where each frame says it ends: a count, a comment, one line per atom."""
    lines = io.StringIO(text, newline=None).read().split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    start = 0
    number = 0
    while start < len(lines):
        number += 1
        head = lines[start].strip()
        if not re.fullmatch(r"[0-9]{1,9}", head) or int(head) == 0:
            raise _FrameError(
                f"frame {number}, line {start + 1}: expected the number of atoms (a whole number above 0), "
                f"found {head[:60]!r}. An extended XYZ frame is a count, a comment line and one line per atom; "
                "check the frame before."
            )
        stop = start + 2 + int(head)
        stated = _stated(lines[start + 1]) if start + 1 < len(lines) else {}
        block = _Block(number=number, lines=tuple(lines[start:stop]), stated=stated)
        if stop > len(lines):
            raise _FrameError(
                f"{block.name} is truncated: expected {head} atom lines, found {max(0, len(lines) - start - 2)} "
                "before the end of the file. Copy or write the file again."
            )
        yield block
        start = stop


def _stated(comment: str) -> dict[str, str]:
    """Every `key=value` of a comment line, values letter by letter without their quotes.

    >>> _stated('id=0001 energy=-1.5 note="id=7" pbc="T T T"')["id"]
    '0001'
    """
    stated = {}
    for match in _PAIR.finditer(comment):
        value = next(part for part in match.group("double", "single", "curly", "square", "bare") if part is not None)
        stated[match["key"]] = value if match["bare"] is not None else re.sub(r"\\(.)", r"\1", value)
    return stated


def _read_block(block: _Block) -> Frame:
    """One frame by ASE, after its columns were counted."""
    from ase.io.extxyz import read_xyz  # noqa: PLC0415  (late: ASE loads slowly)

    if block.stated.get("id") == "":
        raise _FrameError("expected an id, found an empty one: name the frame")
    properties = block.stated.get("Properties", _PLAIN_PROPERTIES)
    fields = properties.split(":")
    columns = dict(zip(fields[::3], fields[2::3], strict=False))
    if len(fields) % 3 or not all(count.isdecimal() for count in columns.values()):
        raise _FrameError(f"expected Properties as name:type:columns, found {properties!r}")
    if columns.get("pos") != "3" or not {"species", "Z"} & set(columns):
        raise _FrameError(f"expected species (or Z) and three pos columns in Properties, found {properties!r}")
    n_columns = sum(int(count) for count in fields[2::3])
    for offset, line in enumerate(block.lines[2:], start=1):
        if len(line.split()) != n_columns:
            raise _FrameError(
                f"atom {offset}: expected {n_columns} columns ({properties}), found {line.strip()[:80]!r}"
            )
    try:
        (atoms,) = read_xyz(io.StringIO("\n".join(block.lines) + "\n"), 0)
    except UNREADABLE as error:
        raise _FrameError(f"not readable as extended XYZ: {type(error).__name__}: {error}") from error
    return Frame(
        number=block.number,
        id=block.stated.get("id", ""),
        numbers=np.asarray(atoms.numbers, dtype=np.int64),
        positions=np.asarray(atoms.positions, dtype=np.float64),
        cell=np.array(atoms.cell, dtype=np.float64),
        pbc=(bool(atoms.pbc[0]), bool(atoms.pbc[1]), bool(atoms.pbc[2])),
        energy_ev=None if atoms.calc is None else _energy(atoms.calc.results),
        columns={key: value for key, value in block.stated.items() if key not in _NO_COLUMNS},
    )


def _energy(results: dict[str, Any]) -> float | None:
    """The energy that ASE moved from the comment line into its calculator, in eV per cell.

    NaN and infinity pass: they are the checks' to refuse.
    """
    if "energy" not in results:
        return None
    value = results["energy"]
    if isinstance(value, bool) or not np.isscalar(value) or isinstance(value, str):
        raise _FrameError(f"expected energy as one number in eV per cell, found {value!r}")
    return float(value)  # type: ignore[arg-type]  # np.isscalar narrows to more than numbers
