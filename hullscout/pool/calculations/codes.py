"""Which code wrote a file, told by its first bytes, and the one way to read it.

A name does not make a result, and none that is renamed stops being one. Where a name promises what the content does not hold, that
is said.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from typing import TYPE_CHECKING

from hullscout.contents import content_of, raw_content, refuse_no_file
from hullscout.errors import ResultError, UnsafeFileError
from hullscout.pool.calculations import vasp
from hullscout.pool.calculations.ase_files import read_ase_file
from hullscout.pool.calculations.beside import held_against_others, names_beside
from hullscout.pool.calculations.outcar import read_outcar
from hullscout.pool.calculations.printed import CODES, code_of, read_printed
from hullscout.pool.calculations.vasprun import read_vasprun

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from hullscout.pool.calculations.calculation import Calculation

VASP_NAME = re.compile(r"(?P<file>vasprun\.xml|OUTCAR)(\.relax(?P<run>\d+))?(\.(gz|bz2|xz|zst))?")
"""Results as VASP names them, also of one of several runs in a folder (in the manner of custodian)."""
VASPRUN = "vasprun.xml"
OUTCAR = "OUTCAR"
_HEAD, _BLOCK = 16384, 2 * 1024**2
_BINARY = frozenset(range(9)) | {11} | set(range(14, 27)) | set(range(28, 32))


def kind_of(file: Path) -> str | None:
    """`vasprun.xml`, `OUTCAR` or the name of another code whose output it is, by its content; None where it is none of these."""
    head = _head(file)
    if _is_binary(head):
        return None
    text = head.decode(errors="replace")
    if "<modeling>" in text:
        return VASPRUN
    if re.match(r"\s*vasp\.\d", text) and "executed on" in text:
        return OUTCAR
    code = code_of(text)
    return None if code is None else code.name


def promised_kind(file: Path) -> str | None:
    """`vasprun.xml` or `OUTCAR` where the file is named so, else None."""
    named = VASP_NAME.fullmatch(file.name)
    return None if named is None else named["file"]


def read_calculation(file: Path, *, of_others: Collection[str] = ()) -> Calculation:
    """The calculation in a file, whatever its name; of VASP it is held against the other files of its run.

    Args:
        of_others: Names in the folder of what was not written by the run, nor for it.

    Raises:
        ResultError: It is cut off or of another kind; a file that holds no energy, or none that is understood; one that files of
            its run beside it contradict.
        UnsafeFileError: It is no regular file.
    """
    refuse_no_file(file)
    if not file.stat().st_size:
        raise ResultError(f"{file.name} holds no energy that can be read: it is empty. Is the calculation complete?")
    kind = kind_of(file)
    try:
        for vasp_kind, read in ((VASPRUN, read_vasprun), (OUTCAR, read_outcar)):
            if vasp_kind in {kind, promised_kind(file)}:
                done = read(file)
                return held_against_others(file, done, of_others) if _has_run_of_its_own(file, vasp_kind) else done
        for code in CODES:
            if kind == code.name:
                return read_printed(file, code)
        return read_ase_file(file)
    except ResultError:
        raise
    except UnsafeFileError as error:
        raise ResultError(f"{file.name}: {str(error).removeprefix(f'{file}: ').rstrip('.')}.") from error
    except Exception as error:  # a reader of a foreign file may raise anything
        what = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        if kind is None and promised_kind(file) is None:
            lines = _head(file).decode(errors="replace").splitlines()
            begins = next((line.strip()[:60] for line in lines if line.strip()), "")
            raise ResultError(
                f"{file.name} holds no energy that can be read: it begins {begins!r}, as no code does that is known here, and ASE "
                f"finds none in it ({what})."
            ) from error
        raise ResultError(f"{file.name} holds no energy that can be read ({what}).{_is_cut_off(file)}") from error


def _has_run_of_its_own(file: Path, kind: str) -> bool:
    """Whether it can be told which files beside it are of its run: by its name, or since there is no other of its kind."""
    others = (other for other in file.parent.iterdir() if other != file and other.is_file())
    return bool(names_beside(file.name)) or all(kind_of(other) != kind for other in others)


def _is_cut_off(file: Path) -> str:
    """A question about a file of VASP that has no end."""
    end = {VASPRUN: vasp.END_OF_VASPRUN, OUTCAR: vasp.END_OF_OUTCAR}.get(promised_kind(file) or kind_of(file) or "")
    try:
        return " Is the calculation complete?" if end and end not in content_of(file) else ""
    except (OSError, EOFError, zlib.error, lzma.LZMAError, UnsafeFileError):
        return " Copy or download it again."


def _head(file: Path) -> bytes:
    """The first bytes of a file, decompressed; what cannot be read or is damaged has none."""
    try:
        head = raw_content(file, _HEAD)
        if head.startswith(b"\x1f\x8b"):
            return zlib.decompressobj(wbits=31).decompress(head, _HEAD)  # 31: gzip; a head is no whole file
        if head.startswith(b"BZh"):
            return bz2.BZ2Decompressor().decompress(raw_content(file, _BLOCK), _HEAD)  # comes in large blocks
        if head.startswith(b"\xfd7zXZ\x00"):
            return lzma.LZMADecompressor().decompress(head, _HEAD)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, UnsafeFileError):
        return b""
    return head


def _is_binary(head: bytes) -> bool:
    return any(byte in _BINARY for byte in head[:512])
