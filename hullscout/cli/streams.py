"""Standard output and error that may be full, closed, or read by nobody any more: what cannot be printed ends no command.

A stream whose reader is gone (`| head`, a closed terminal) falls silent. Where the system refuses a line otherwise, as on a full
disk, that is said once on the other stream. Both take every text in every encoding. Text is written by `say`, on one line, and
through `visible`.
"""

from __future__ import annotations

import codecs
import errno
import os
import select
import sys
from io import BufferedWriter, RawIOBase, TextIOWrapper
from typing import TYPE_CHECKING

from hullscout.display import visible

if TYPE_CHECKING:
    from typing import TextIO

    from _typeshed import ReadableBuffer

NAMES = {1: "Standard output", 2: "Standard error"}
MIN_COLUMNS, MAX_COLUMNS = 20, 1000
"""Other widths of COLUMNS and heights of LINES are none that text can be laid out for, and are not heeded."""
_GONE = {errno.EPIPE, errno.EIO, errno.EBADF, errno.ECONNRESET, errno.ENXIO}
"""Nobody reads any more: a pipe, a terminal or a connection that is closed."""
_IN_ASCII = {
    "\N{MINUS SIGN}": "-",
    "\N{EN DASH}": "-",
    "\N{NO-BREAK SPACE}": " ",
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{PLUS-MINUS SIGN}": "+-",
}
_ERRORS = "hullscout"


class _Bearing(RawIOBase):
    """A descriptor to which writing never fails; of what was lost the first error is kept."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.error: OSError | None = None
        self.other: TextIO | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    @property
    def is_refused(self) -> bool:
        """Whether something was lost that somebody still waits for."""
        return self.error is not None and self.error.errno not in _GONE

    def write(self, content: ReadableBuffer, /) -> int:
        size = memoryview(content).nbytes
        if self.error is not None and not self.is_refused:
            return size
        while True:
            try:
                return os.write(self._descriptor, content)
            except BlockingIOError:  # a terminal that another program set so
                select.select([], [self._descriptor], [])
            except OSError as error:
                self._lose(error)
                return size

    def _lose(self, error: OSError) -> None:
        self.error = self.error or error
        if self.is_refused and self.other is not None:
            other, self.other = self.other, None
            other.buffer.raw.other = None  # type: ignore[attr-defined]  # what it loses cannot be told here
            said = f"{NAMES[self._descriptor]} cannot be written: {error.strerror}. The command goes on without it."
            other.write(f"{said}\n")
            other.flush()


def prepare() -> None:
    """Make standard output and error such that printing never fails, where they are the process's own; heed no absurd width."""
    codecs.register_error(_ERRORS, _in_ascii)
    for name in ("COLUMNS", "LINES"):
        text = os.environ.get(name, "")
        if text and not (
            text.isascii() and text.isdecimal() and len(text) < 9 and MIN_COLUMNS <= int(text) <= MAX_COLUMNS
        ):
            del os.environ[name]
    _fill_descriptors()
    made: list[_Bearing] = []
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        now, own = getattr(sys, name), getattr(sys, f"__{name}__")
        if now is not own or (isinstance(now, TextIOWrapper) and now.errors == _ERRORS):
            continue  # somebody else's, as a test's, or made before
        if now is not None:
            now.flush()
        raw = _Bearing(descriptor)
        encoding = getattr(now, "encoding", None) or "utf-8"
        is_line_by_line = raw.isatty() or name == "stderr"
        stream = TextIOWrapper(BufferedWriter(raw), encoding=encoding, errors=_ERRORS, line_buffering=is_line_by_line)
        setattr(sys, name, stream)
        made.append(raw)
    if len(made) == len(NAMES):
        made[0].other, made[1].other = sys.stderr, sys.stdout


def say(text: str, *, err: bool = False) -> None:
    """Print a sentence as a line of its own, with what is not seen escaped."""
    say_lines(visible(text), err=err)


def say_lines(text: str, *, err: bool = False) -> None:
    """Print lines as they are; they must be `visible`."""
    stream = sys.stderr if err else sys.stdout
    if stream is not None:
        stream.write(f"{text}\n")
        stream.flush()


def is_output_refused() -> bool:
    """Whether something printed on standard output was lost though somebody waits for it: no room, not a reader that is gone."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return isinstance(raw, _Bearing) and raw.is_refused


def _fill_descriptors() -> None:
    """Open what is closed of standard input, output and error, or else the next file that is opened, a database, would be it."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDONLY if descriptor == 0 else os.O_WRONLY), True)  # noqa: FBT003  has no name


def _in_ascii(error: UnicodeError) -> tuple[str | bytes, int]:
    """What an encoding has no sign for: a plain one where there is one, else its escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(
        _IN_ASCII.get(sign) or sign.encode("ascii", "backslashreplace").decode() for sign in signs
    ), error.end
