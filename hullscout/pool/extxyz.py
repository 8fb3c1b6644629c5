"""Extended XYZ files, plain or gzipped, read as they stand; `writing` writes them.

ASE reads the frames; what ASE lets pass is caught here. ASE turns `id=0001` into 1 and `id=1e5` into 100000.0, takes a line with
too many columns, puts atoms without positions at the origin, and stops without a word at an empty line. So frames are cut apart
here, counted against what they announce, and each is then given to ASE alone; ids are taken from the comment line letter by letter.

What is written reads back as the same frames: ids letter by letter, energies and magnetic moments to the last bit, coordinates to
1e-10 A.
"""

from __future__ import annotations

import io
import re
from bisect import bisect_left
from collections import Counter
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hullscout.contents import DAMAGED, decimal, decompressed, raw_content, text_of, what_is_left
from hullscout.display import is_visible
from hullscout.errors import InvalidPoolError, UnsafeFileError
from hullscout.pool import moments
from hullscout.pool.candidate import VACANCY, AtomArrays
from hullscout.pool.forces import force_column, largest_force, note_on_forces
from hullscout.pool.frames import (
    UNREADABLE,
    VACANCIES,
    Frame,
    FrameError,
    Frames,
    Gathered,
    check_id,
    number_shared_labels,
    one_energy,
    refuse_motion,
)
from hullscout.pool.geometry import numbers_fault
from hullscout.pool.plain_structures import refuse_other_formula

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

SUFFIXES = (".extxyz", ".xyz", ".extxyz.gz", ".xyz.gz")
_KEY = re.compile(r"""(?<![^\s="'{\[])(?P<key>[^\s="'{\[]++)\s*+=\s*+""")
_WORD = re.compile(r"\S*")
_OF_PYTHON = re.compile(r"_|[^\x00-\x7f]")
_CLOSING = {'"': '"', "'": "'", "{": "}", "[": "]"}
_QUOTED = {quote: re.compile(rf"{quote}(?:\\.|[^{quote}\\])*+{quote}") for quote in "\"'"}
MAX_COMMENT = 200_000
"""Characters that a comment line may have."""
PLAIN_PROPERTIES = "species:S:1:pos:R:3"
_COMMENT = re.compile(r"(?i)\b(lattice|properties)\s*=")
_NAMES = {
    name: (re.compile(rf"(?<!\S){name}\s*+="), re.compile(rf"(?i)(?<!\S){name}(?=\s*+=)"))
    for name in ("Lattice", "Properties", "pbc")
}
_NEEDED = ("Lattice", "Properties", "pbc", "energy")
_NO_COLUMNS = frozenset({*_NEEDED, "id"})


class _Block(NamedTuple):
    """The lines of one frame and what its comment says, values letter by letter."""

    number: int
    lines: tuple[str, ...]
    stated: dict[str, str]
    fault: str = ""

    @property
    def name(self) -> str:
        name = self.stated.get("id")
        return f"frame {self.number}" if name is None or not is_visible(name) else f"frame {self.number} (id {name!r})"


def read_frames(path: Path) -> Frames:
    """All frames of an extended XYZ file; see `parse_frames`."""
    try:
        raw = raw_content(path)
    except UnsafeFileError as error:
        raise InvalidPoolError(str(error)) from error
    except OSError as error:
        said = f"{path}: expected a pool file, found none that can be read: {error.strerror}."
        raise InvalidPoolError(said) from error
    return parse_frames(raw, path=path)


def parse_frames(raw: bytes, *, path: Path) -> Frames:
    """All frames of the content of an extended XYZ file; compression is told by the content, not by the name.

    `energy` in a comment line is the total energy in eV per cell, `id` the candidate's name. Where no frame has an id they are
    named `frame-000001` and so on; structures that share a prototype's label are numbered (see `number_shared_labels`). A frame
    that cannot be read is a fault; reading goes on where a later frame begins beyond doubt: a count above a comment line that
    states a lattice or properties.
    """
    text, cut = _text(raw, path)
    gathered = Gathered(path)
    keys: set[str] = set()
    forces: dict[str, float] = {}
    last = "no frame of it is whole"
    for found in _iter_blocks(text):
        if isinstance(found, str):
            gathered.faults.append(found)
            continue
        keys |= found.stated.keys()
        with gathered.reading(found.name, " as extended XYZ"):
            frame, force = _read_block(found)
            gathered.frames.append(_with_moments_of_comment(frame, found, gathered))
            forces[frame.id or f"frame {frame.number}"] = force
            last = f"the last whole frame is {found.name}"
    if cut:
        gathered.faults = [fault for fault in gathered.faults if " is truncated: " not in fault]
        said = f"the compressed file is truncated or damaged ({cut}); {last}. Copy or download it again"
        gathered.faults.append(said)
    if note := note_on_forces(forces):
        gathered.note(note)
    return number_shared_labels(gathered.named(keys))


def _text(raw: bytes, path: Path) -> tuple[str, str]:
    """The content as text, decompressed if it begins so; of gzip that is cut off what is there, and why there is no more."""
    cut = ""
    try:
        raw = decompressed(raw)
    except EOFError as error:
        whole_lines, _, _ = what_is_left(raw).rpartition(b"\n")
        raw, cut = whole_lines, str(error)
    except UnsafeFileError as error:
        raise InvalidPoolError(f"{path}: {error}.") from error
    except DAMAGED as error:
        said = f"{path}: the compressed file is truncated or damaged ({error}). Copy or download it again."
        raise InvalidPoolError(said) from error
    try:
        return text_of(raw), cut
    except UnsafeFileError as error:
        raise InvalidPoolError(f"{path}: {error}.") from error
    except ValueError as error:
        said = f"expected extended XYZ text, found {error}. Give an .xyz or .extxyz file, plain or compressed."
        raise InvalidPoolError(f"{path}: {said}") from error


def _iter_blocks(text: str) -> Iterator[_Block | str]:
    """Cut text where each frame says it ends (a count, a comment, one line per atom); a sentence for what is no frame."""
    lines = io.StringIO(text, newline=None).read().split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        yield "expected at least one frame, found an empty file. Give a file with structures"
    counts = [place for place, line in enumerate(lines) if _is_count(line.strip())]
    start = number = 0
    while start < len(lines):
        number += 1
        head = lines[start].strip()
        if not _is_count(head):
            stop = _next_frame(lines, counts, start + 1)
            yield (
                f"frame {number}, line {start + 1}: expected the number of atoms (a whole number above 0), "
                f"found {head[:60]!r}. An extended XYZ frame is a count, a comment line and one line per atom; "
                "check the frame before"
            )
            start = stop
            continue
        stop = start + 2 + int(head)
        if start + 1 < len(lines):
            lines[start + 1] = _plain_case(lines[start + 1])
        stated, fault = _stated(lines[start + 1]) if start + 1 < len(lines) else ({}, "")
        block = _Block(number=number, lines=(), stated=stated, fault=fault)
        other = _next_frame(lines, counts, start + 2, stop)
        follower = lines[stop].strip() if stop < len(lines) else ""
        if other < min(stop, len(lines)):
            yield (
                f"{block.name}, line {start + 1}: expected {head} atom lines, found the next frame after {other - start - 2}"
            )
            stop = other
        elif stop > len(lines):
            yield (
                f"{block.name} is truncated: expected {head} atom lines, found {max(0, len(lines) - start - 2)} "
                "before the end of the file. Copy or write the file again"
            )
        elif follower and not follower.isdecimal():  # more atoms than were announced, so that these are not all
            stop = _next_frame(lines, counts, stop)
            yield (
                f"{block.name}, line {start + 3 + int(head)}: expected {head} atom lines and then the number of atoms of the next "
                f"frame, found {follower[:60]!r}"
            )
        else:
            yield block._replace(lines=tuple(lines[start:stop]))
        start = stop


def _is_count(line: str) -> bool:
    return line.isdecimal() and line.isascii() and len(line) <= 9 and int(line) > 0


def _next_frame(lines: list[str], counts: list[int], start: int, stop: int | None = None) -> int:
    """The first line from a place on where a frame begins beyond doubt, given where all counts are; the end where there is none."""
    end = len(lines) if stop is None else min(stop, len(lines))
    for nth in range(bisect_left(counts, start), len(counts)):
        place = counts[nth]
        if place >= end or (place + 1 < len(lines) and _COMMENT.search(lines[place + 1])):
            return min(place, end)
    return end


def _plain_case(comment: str) -> str:
    """A comment line with the names of lattice, properties and periodicity as ASE knows them, where it has them in other cases."""
    for name, (as_known, in_any_case) in _NAMES.items():
        if not as_known.search(comment):
            comment = in_any_case.sub(name, comment, count=1)
    return comment


def _stated(comment: str) -> tuple[dict[str, str], str]:
    """Every `key=value` of a comment line, values letter by letter without their quotes; and what is wrong with it, if anything.

    >>> _stated('id=0001 energy=-1.5 note="id=7" pbc="T T T"')[0]["id"]
    '0001'
    >>> _stated("energy=-1.5 energy=-1.6")[1]
    "expected 'energy' once in the comment line, found it twice"
    """
    stated: dict[str, str] = {}
    if len(comment) > MAX_COMMENT:
        return stated, f"expected a comment line of at most {MAX_COMMENT:,} characters, found {len(comment):,}"
    place, names = 0, set()
    while match := _KEY.search(comment, place):
        closing = _CLOSING.get(comment[match.end() : match.end() + 1])
        value, place = _value_at(comment, match.end(), closing)
        if closing and place < 0:
            return stated, f"expected {closing} at the end of the value of {match['key'][:40]!r}, found none"
        name = match["key"].lower() if match["key"].lower() in {"lattice", "properties", "pbc"} else match["key"]
        if name in names:
            return stated, f"expected {match['key'][:40]!r} once in the comment line, found it twice"
        names.add(name)
        stated[match["key"]] = value
    return stated, ""


def _value_at(comment: str, start: int, closing: str | None) -> tuple[str, int]:
    """The value that begins at a place of a comment line, and where it ends; -1 where its bracket or quote is not closed."""
    if closing in _QUOTED:
        match = _QUOTED[closing].match(comment, start)
        return (_unescaped(match[0][1:-1]), match.end()) if match else ("", -1)
    if closing:
        end = comment.find(closing, start)
        return _unescaped(comment[start + 1 : max(end, 0)]), end + 1 if end > 0 else -1
    match = _WORD.match(comment, start)
    return (match[0], match.end()) if match else ("", start)


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text) if "\\" in text else text


class _Layout(NamedTuple):
    """The columns of the lines of atoms: how many, which hold numbers, and name and place of those of moments."""

    n_columns: int
    is_number: tuple[bool, ...]
    moments: tuple[str, int, int] | None


@lru_cache(maxsize=64)
def _layout(properties: str) -> _Layout:
    """What Properties say; a FrameError where they cannot be used."""
    fields = properties.split(":")
    names, kinds, counts = fields[::3], fields[1::3], fields[2::3]
    columns = dict(zip(names, counts, strict=False))
    if len(fields) % 3 or not all(re.fullmatch(r"[0-9]{1,6}", count) for count in counts):
        raise FrameError(f"expected Properties as name:type:columns, found {properties!r}")
    if columns.get("pos") != "3" or not {"species", "Z"} & set(columns):
        raise FrameError(f"expected species (or Z) and three pos columns in Properties, found {properties!r}")
    if len(columns) < len(names):
        raise FrameError(f"expected columns of different names in Properties, found {properties!r}")
    stops = list(accumulate(map(int, counts)))
    if stops[-1] > MAX_COMMENT:
        raise FrameError(f"expected at most {MAX_COMMENT:,} columns in Properties, found {stops[-1]:,}")
    is_number = tuple(kind in {"R", "I"} for kind, count in zip(kinds, counts, strict=True) for _ in range(int(count)))
    starts: dict[str, tuple[str, int, int]] = {}
    for name, start, stop in zip(names, [0, *stops], stops, strict=False):
        starts.setdefault(name.lower(), (name, start, stop))
    found = next((starts[name] for name in moments.COLUMNS if name in starts), None)
    return _Layout(stops[-1], is_number, found)


def _read_block(block: _Block) -> tuple[Frame, float]:
    """One frame by ASE, after its columns were counted, and the largest force on an atom in eV/A, 0 where none is stated."""
    from ase.io.extxyz import read_xyz  # noqa: PLC0415  (late: ASE loads slowly)

    if block.fault:
        raise FrameError(block.fault)
    if block.stated.get("id") == "":
        raise FrameError("expected an id, found an empty one: name the frame")
    check_id(block.stated.get("id", ""))
    properties = block.stated.get("Properties", PLAIN_PROPERTIES)
    layout = _layout(properties)
    rows = [line.split() for line in block.lines[2:]]
    for offset, (row, line) in enumerate(zip(rows, block.lines[2:], strict=True), start=1):
        if len(row) != (n := layout.n_columns):
            raise FrameError(f"atom {offset}: expected {n} columns ({properties}), found {line.strip()[:80]!r}")
    _refuse_numbers_of_python(block, rows, layout)
    try:
        (atoms,) = read_xyz(io.StringIO("\n".join(block.lines) + "\n"), 0)
    except UNREADABLE:  # for what else stands in the comment line, if it is read without that
        needed = " ".join(f'{key}="{block.stated[key]}"' for key in _NEEDED if key in block.stated)
        (atoms,) = read_xyz(io.StringIO("\n".join((block.lines[0], needed, *block.lines[2:])) + "\n"), 0)
    sites = AtomArrays(
        numbers=np.asarray(atoms.numbers, np.int64),
        positions=np.asarray(atoms.positions, np.float64),
        cell=np.array(atoms.cell.array, np.float64),
        pbc=tuple(atoms.pbc.tolist()),
        magmoms=_moments(rows, layout),
    ).without_vacancies()
    if odd := numbers_fault(sites.numbers):
        raise FrameError(odd)
    results = {} if atoms.calc is None else atoms.calc.results  # ASE moves the energy there from the comment line
    if "energy" in results:
        refuse_motion(atoms)
    refuse_other_formula(block.stated, Counter(symbol for symbol in atoms.get_chemical_symbols() if symbol != VACANCY))
    others = (values for name, values in atoms.arrays.items() if name.lower().endswith(("force", "forces")))
    stated = atoms.get_forces() if "forces" in results else next(others, None)
    force = largest_force(stated) if stated is not None and np.shape(stated) == atoms.positions.shape else None
    columns = {key: value for key, value in block.stated.items() if key not in _NO_COLUMNS}
    frame = Frame(
        number=block.number,
        id=block.stated.get("id", ""),
        energy_ev=one_energy(results["energy"]) if "energy" in results else None,
        columns={**columns, **force_column(force)},
        **sites._asdict(),
    )
    return frame, force or 0.0


def _with_moments_of_comment(frame: Frame, block: _Block, gathered: Gathered) -> Frame:
    """A frame whose atoms state no moments with those that its comment line states of them; that sites are empty is noted."""
    if len(block.lines) - 2 > len(frame.numbers):
        gathered.note(VACANCIES)
    if frame.magmoms is not None:
        return frame
    atom_by_atom = block.stated.get("Properties", PLAIN_PROPERTIES).split(":")[::3]
    columns, magmoms = gathered.moments(frame.columns, atom_by_atom, len(frame.numbers))
    return frame if magmoms is None else replace(frame, columns=columns, magmoms=magmoms)


def _refuse_numbers_of_python(block: _Block, rows: Sequence[Sequence[str]], layout: _Layout) -> None:
    """A FrameError for what Python takes as a number and no other program does, as `1_000` and digits of other scripts."""
    for key in ("Lattice", "energy"):
        for text in block.stated.get(key, "").replace(",", " ").split():
            if _OF_PYTHON.search(text):
                raise FrameError(f"expected {key} in decimal numbers, found {text[:40]!r}")
    is_odd = _OF_PYTHON.search("\n".join(block.lines[2:]))
    for offset, row in enumerate(rows if is_odd else (), start=1):
        odd = [
            text for text, is_number in zip(row, layout.is_number, strict=True) if is_number and _OF_PYTHON.search(text)
        ]
        if odd:
            raise FrameError(f"atom {offset}: expected decimal numbers, found {odd[0][:40]!r}")


def _moments(rows: Sequence[Sequence[str]], layout: _Layout) -> NDArray[np.float64] | None:
    """The magnetic moments in the columns of a frame: here, since ASE keeps only some of these names atom by atom."""
    if layout.moments is None:
        return None
    name, start, stop = layout.moments
    try:
        values = [[decimal(text) for text in row[start:stop]] for row in rows]
    except ValueError as error:
        said = f"expected numbers in the column {name}, magnetic moments in Bohr magnetons: {error}"
        raise FrameError(said) from error
    return moments.checked_moments(values, len(rows))
